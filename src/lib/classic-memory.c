/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/classic.h"

#include <fcntl.h>
#include <sys/uio.h>


/* Pages that are looked at in one go. Less than a pipe holds. */
#define BATCH_PAGES 256U

/* The kernel, asked to move a byte of each page, tells without a signal whether it could. */
static int check_bytes(const int pipe_fds[2], struct iovec *bytes, size_t n, bool write)
{
        uint8_t elsewhere[BATCH_PAGES];
        ssize_t n_moved;

        n_moved = writev(pipe_fds[1], bytes, (int) n);
        if (n_moved < 0)
                return -errno;
        if ((size_t) n_moved < n)
                return -EFAULT;
        n_moved = write ? readv(pipe_fds[0], bytes, (int) n) : read(pipe_fds[0], elsewhere, n);
        if (n_moved < 0)
                return -errno;
        return (size_t) n_moved < n ? -EFAULT : 0;
}

int mm_classic_check_memory(const void *p, size_t size, bool write)
{
        uintptr_t at = (uintptr_t) p, last = at + size - 1;
        struct iovec bytes[BATCH_PAGES];
        int pipe_fds[2], r = 0;
        bool more = true;
        size_t n = 0;

        if (size == 0)
                return 0;
        if (last < at)
                return -EFAULT;
        if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        while (more && r >= 0) {
                uintptr_t left_of_page = MM_PAGE_SIZE - at % MM_PAGE_SIZE;

                bytes[n++] = (struct iovec) { .iov_base = (void *) at, .iov_len = 1 };
                more = last - at >= left_of_page;
                at += left_of_page;
                if (!more || n == BATCH_PAGES) {
                        r = check_bytes(pipe_fds, bytes, n, write);
                        n = 0;
                }
        }
        safe_close(pipe_fds[0]);
        safe_close(pipe_fds[1]);
        return r;
}
