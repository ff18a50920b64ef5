/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/classic.h"

#include <fcntl.h>


/* The kernel, asked to move a byte, tells without a signal whether it could. */
static int check_byte(const int pipe_fds[2], const uint8_t *p, bool write_too)
{
        uint8_t byte;

        if (write(pipe_fds[1], p, 1) < 0)
                return -errno;
        if (read(pipe_fds[0], write_too ? (void *) p : &byte, 1) < 0)
                return -errno;
        return 0;
}

int mm_classic_check_memory(const void *p, size_t size, bool write)
{
        uintptr_t at = (uintptr_t) p, last = at + size - 1;
        int pipe_fds[2], r;

        if (size == 0)
                return 0;
        if (last < at)
                return -EFAULT;
        if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        for (;;) {
                r = check_byte(pipe_fds, (const uint8_t *) at, write);
                if (r < 0 || last - at < MM_PAGE_SIZE - at % MM_PAGE_SIZE)
                        break;
                at += MM_PAGE_SIZE - at % MM_PAGE_SIZE;
        }
        safe_close(pipe_fds[0]);
        safe_close(pipe_fds[1]);
        return r;
}
