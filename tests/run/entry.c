/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A program without libraries that writes its registers, as they are at its very first instruction, to
 * standard output: what is pushed here, the last first. x86-64. With RESTORER it has a way to
 * rt_sigreturn(2), as programs that handle signals do. */

__asm__(".globl _start\n"
        "_start:\n"
        "        push %rax\n"
        "        push %rbx\n"
        "        push %rcx\n"
        "        push %rdx\n"
        "        push %rsi\n"
        "        push %rdi\n"
        "        push %rbp\n"
        "        lea 56(%rsp), %rax\n"
        "        push %rax\n"
        "        pushfq\n"
        "        push %r8\n"
        "        push %r9\n"
        "        push %r12\n"
        "        push %r13\n"
        "        push %r14\n"
        "        push %r15\n"
        "        pushq 120(%rsp)\n" /* argc */
        "        mov %rsp, %rsi\n"
        "        mov $128, %edx\n"
        "        mov $1, %edi\n"
        "        mov $1, %eax\n"
        "        call call_kernel\n"
        "        xor %edi, %edi\n"
        "        mov $60, %eax\n"
        "        call call_kernel\n"
        "call_kernel:\n"
        "        syscall\n"
        "        ret\n"
#ifdef RESTORER
        "        mov $15, %rax\n"
        "        syscall\n"
#endif
);
