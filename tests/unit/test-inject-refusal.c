/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whom injection leaves alone, and whom it does not; needs root. */
#include <glib.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "inject-target.h"

static void traced_body(struct target *t)
{
        pid_t parent = getpid();

        if (fork() == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (ptrace(PTRACE_SEIZE, parent, NULL, NULL) < 0)
                        target_fail(t, "cannot trace");
                target_ready(t);
                for (;;)
                        pause();
        }
        for (;;)
                pause();
}

static void seccomp_body(struct target *t)
{
        struct sock_filter allow[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
        struct sock_fprog program = { .len = 1, .filter = allow };

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
                target_fail(t, "cannot filter");
        target_pause_body(t);
}

static void *seccomp_thread(void *data)
{
        seccomp_body(data);
        return NULL;
}

static void seccomp_thread_body(struct target *t)
{
        pthread_t thread;

        pthread_create(&thread, NULL, seccomp_thread, t);
        for (;;)
                pause();
}

static void namespace_body(struct target *t)
{
        if (unshare(CLONE_NEWUSER) < 0)
                target_fail(t, "cannot have a user namespace");
        prctl(PR_SET_DUMPABLE, 1);
        target_pause_body(t);
}

/* An ELF file for i386, by hand as there may be no compiler for it: it waits in pause(2) for ever. */
static void bits_body(struct target *t)
{
        static const unsigned char file[] = {
                0x7f, 'E', 'L', 'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* 32 bits, little-endian */
                2, 0, 3, 0, 1, 0, 0, 0, 0x54, 0x80, 0x04, 0x08,          /* EXEC, 386, entry 0x8048054 */
                52, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 52, 0, 32, 0, 1, 0, 0, 0, 0, 0, 0, 0,
                1, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x04, 0x08, 0, 0x80, 0x04, 0x08, /* LOAD */
                0x5d, 0, 0, 0, 0x5d, 0, 0, 0, 5, 0, 0, 0, 0, 0x10, 0, 0,
                0xb8, 29, 0, 0, 0, 0xcd, 0x80, 0xeb, 0xf7, /* mov $29, %eax; int $0x80; jmp back */
        };
        char *const none[] = { NULL };
        int fd = memfd_create("i386", MFD_CLOEXEC);

        if (write(fd, file, sizeof(file)) != sizeof(file))
                target_fail(t, "cannot write");
        target_ready(t); /* what follows cannot say so any more */
        fexecve(fd, none, none);
        target_fail(t, "cannot run a 32-bit program");
}

static void small_stack_call(void *stack, size_t size, void (*call)(void))
{
        static ucontext_t here, there;

        getcontext(&there);
        there.uc_stack.ss_sp = stack;
        there.uc_stack.ss_size = size;
        makecontext(&there, call, 0);
        swapcontext(&here, &there);
}

static void wait_for_ever(void)
{
        for (;;)
                pause();
}

static void coroutine_body(struct target *t)
{
        target_ready(t);
        small_stack_call(malloc(256 * 1024), 256 * 1024, wait_for_ever);
}

static void alternate_handler(int signal)
{
        wait_for_ever();
}

static char *alternate_stack;
static size_t alternate_size;

static __attribute__((__noinline__)) void go_deep(struct target *t, unsigned depth)
{
        volatile char room[4096] = { (char) depth };

        if (depth > 0)
                go_deep(t, depth - 1);
        else {
                target_ready(t);
                raise(SIGUSR1);
        }
        room[0]++;
}

/* A handler that runs on a piece of the thread's own stack, above frames that are still in use. */
static void alternate_body(struct target *t)
{
        struct sigaction action = { .sa_handler = alternate_handler, .sa_flags = SA_ONSTACK };
        stack_t stack = { .ss_sp = alternate_stack, .ss_size = alternate_size };

        sigaltstack(&stack, NULL);
        sigaction(SIGUSR1, &action, NULL);
        go_deep(t, 20);
}

static void alternate_own_body(struct target *t)
{
        char room[64 * 1024];

        alternate_stack = room;
        alternate_size = sizeof(room);
        alternate_body(t);
        wait_for_ever();
}

static void alternate_heap_body(struct target *t)
{
        alternate_size = 256 * 1024;
        alternate_stack = malloc(alternate_size);
        alternate_body(t);
        wait_for_ever();
}

/* Every system call is handed to a handler, as emulators of other systems do; so there are none. */
static void dispatch_body(struct target *t)
{
        static volatile char selector = PR_SYS_DISPATCH_ON;

        if (prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &selector) < 0)
                target_fail(t, "cannot have system calls dispatched");
        target_ready(t);
        for (;;)
                t->shared->rounds++;
}

/* For ever in one restartable sequence, rseq(2): whenever the kernel takes the thread out of it, it
 * begins it again. */
static void sequence_body(struct target *t)
{
        struct rseq *r = (struct rseq *) ((char *) __builtin_thread_pointer() + __rseq_offset);

        if (__rseq_size == 0)
                target_fail(t, "no restartable sequences");
        target_ready(t);
        __asm__ volatile(".pushsection .data.rel.local, \"aw\"\n"
                         ".balign 32\n"
                         "1: .long 0, 0\n"
                         ".quad 3f, 4f - 3f, 5f\n"
                         ".popsection\n"
                         "2: lea 1b(%%rip), %%rax\n"
                         "mov %%rax, %[cs]\n"
                         "3: incq %[rounds]\n"
                         "pause\n"
                         "jmp 3b\n"
                         "4: .byte 0x0f, 0xb9, 0x3d\n" /* an invalid instruction around the signature */
                         ".long 0x53053053\n"
                         "5: jmp 2b\n"
                         : [cs] "=m"(r->rseq_cs), [rounds] "+m"(t->shared->rounds)
                         :
                         : "rax", "memory", "cc");
}

struct refusal {
        const char *name;
        void (*body)(struct target *t);
        enum mm_inject_result result;
        int64_t call; /* that it waits in */
};

static const struct refusal refusals[] = {
        { "traced", traced_body, MM_INJECT_TRACED, SYS_pause },
        { "seccomp", seccomp_body, MM_INJECT_SECCOMP, SYS_pause },
        { "seccomp-thread", seccomp_thread_body, MM_INJECT_SECCOMP, SYS_pause },
        { "dispatch", dispatch_body, MM_INJECT_SECCOMP, -1 },
        { "user-namespace", namespace_body, MM_INJECT_NAMESPACE, SYS_pause },
        { "32-bit", bits_body, MM_INJECT_BITS, 29 },
        { "coroutine", coroutine_body, MM_INJECT_NO_PLACE, SYS_pause },
        { "alternate-stack-on-stack", alternate_own_body, MM_INJECT_NO_PLACE, SYS_pause },
        { "alternate-stack-on-heap", alternate_heap_body, MM_INJECT_NO_PLACE, SYS_pause },
};

static void test_refusal(const void *data)
{
        const struct refusal *c = data;
        struct target t;

        target_start(&t, c->body, NULL);
        target_wait_for_call(&t, c->call);
        for (unsigned i = 0; i < 3; i++)
                target_assert_advise(&t, MADV_MERGEABLE, 0, 1, c->result);
        target_wait_for_call(&t, c->call);
        target_expect_well(&t);
        g_assert_cmphex(target_registered(&t), ==, 0);
        target_end(&t);
}

/* A return into the middle of the sequence would break what it is good for. */
static void test_sequence(void)
{
        unsigned n_busy = 0;
        struct target t;

        target_start(&t, sequence_body, NULL);
        for (unsigned i = 0; i < 5; i++) {
                enum mm_inject_result result = target_advise(&t, MADV_MERGEABLE, 0, 1);

                /* It may be caught on its way back into the sequence. */
                if (result != MM_INJECT_OK)
                        target_assert_result(result, MM_INJECT_BUSY);
                n_busy += result == MM_INJECT_BUSY;
        }
        g_assert_cmpuint(n_busy, >, 2);
        target_wait_for_rounds(&t, t.shared->rounds + 1000);
        target_end(&t);
}

static void test_stopped(void)
{
        struct target t;

        target_start(&t, target_spin_body, NULL);
        g_assert_cmpint(kill(t.pid, SIGSTOP), ==, 0);
        g_assert_cmpint(waitpid(t.pid, NULL, WUNTRACED), ==, t.pid);
        target_assert_advise(&t, MADV_MERGEABLE, 0, 1, MM_INJECT_STOPPED);
        g_assert_cmpint(target_state(&t), ==, 'T');
        g_assert_cmpint(kill(t.pid, SIGCONT), ==, 0);
        target_wait_for_rounds(&t, t.shared->rounds + 2);
        target_advise_and_check(&t);
        target_end(&t);
}

static void test_gone(void)
{
        struct target t;

        target_start(&t, target_pause_body, NULL);
        g_assert_cmpint(kill(t.pid, SIGKILL), ==, 0);
        while (target_state(&t) != 'Z')
                g_usleep(1000);
        target_assert_advise(&t, MADV_MERGEABLE, 0, 1, MM_INJECT_GONE);
        g_assert_cmpint(WTERMSIG(target_wait(&t)), ==, SIGKILL);
        target_assert_advise(&t, MADV_MERGEABLE, 0, 1, MM_INJECT_GONE);
        target_end(&t);
}

static void *pause_thread(void *data)
{
        wait_for_ever();
        return NULL;
}

/* The first thread cannot be used, another can. */
static void second_thread_body(struct target *t)
{
        pthread_t thread;

        pthread_create(&thread, NULL, pause_thread, NULL);
        coroutine_body(t);
}

static void test_second_thread(void)
{
        struct target t;

        target_start(&t, second_thread_body, NULL);
        target_wait_for_call(&t, SYS_pause);
        for (unsigned i = 0; i < 10; i++)
                target_advise_and_check(&t);
        target_expect_well(&t);
        target_end(&t);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        for (size_t i = 0; i < G_N_ELEMENTS(refusals); i++) {
                g_autofree char *name = g_strconcat("/inject/refused/", refusals[i].name, NULL);

                g_test_add_data_func(name, &refusals[i], test_refusal);
        }
        g_test_add_func("/inject/refused/sequence", test_sequence);
        g_test_add_func("/inject/refused/stopped", test_stopped);
        g_test_add_func("/inject/refused/gone", test_gone);
        g_test_add_func("/inject/second-thread", test_second_thread);
        return g_test_run();
}
