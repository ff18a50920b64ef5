/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sys/stat.h>

#include "shared/file.h"
#include "shared/macro.h"

static int fill(int fd, const char *text, size_t size, mode_t mode, bool durable)
{
        /* First, since it may be secret. */
        if (fchmod(fd, mode) < 0)
                return -errno;
        while (size > 0) {
                ssize_t n = write(fd, text, size);

                if (n < 0)
                        return -errno;
                text += n;
                size -= (size_t) n;
        }
        return durable && fsync(fd) < 0 ? -errno : 0;
}

int file_replace(int dir_fd, const char *name, const char *text, size_t size, mode_t mode, bool durable)
{
        _cleanup_(closep) int fd = -EBADF;
        int r;

        /* Not written over: somebody may have it open. */
        (void) unlinkat(dir_fd, FILE_NEW, 0);
        fd = openat(dir_fd, FILE_NEW, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        r = fill(fd, text, size, mode, durable);
        if (r >= 0 && renameat(dir_fd, FILE_NEW, dir_fd, name) < 0)
                r = -errno;
        if (r < 0) {
                (void) unlinkat(dir_fd, FILE_NEW, 0);
                return r;
        }
        return durable && fsync(dir_fd) < 0 ? -errno : 0;
}
