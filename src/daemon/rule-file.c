/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sys/stat.h>

#include "daemon/rule-file.h"
#include "shared/macro.h"

/* Not read as a drop-in if it stays behind. */
#define NEW_NAME ".new"

/* The directory of @path, and the name in it. */
static int open_parent(const char *path, bool make, const char **ret_name)
{
        const char *slash = strrchr(path, '/');
        _cleanup_(freep) char *directory = NULL;
        int fd;

        if (!slash)
                return -EINVAL;
        directory = strndup(path, (size_t) (slash - path));
        if (!directory)
                return -ENOMEM;
        /* Configuration is for everybody to read, whatever our umask. */
        if (make && mkdir(directory, 0755) >= 0 && chmod(directory, 0755) < 0)
                return -errno;
        fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        *ret_name = slash + 1;
        return fd;
}

static int write_all(int fd, const char *text)
{
        for (size_t left = strlen(text); left > 0;) {
                ssize_t n = write(fd, text, left);

                if (n < 0)
                        return -errno;
                text += n;
                left -= (size_t) n;
        }
        return fchmod(fd, 0644) < 0 || fsync(fd) < 0 ? -errno : 0;
}

int rule_file_write(const char *path, const char *text)
{
        _cleanup_(closep) int dir_fd = -EBADF, fd = -EBADF;
        const char *name;
        int r;

        dir_fd = open_parent(path, true, &name);
        if (dir_fd < 0)
                return dir_fd;
        fd = openat(dir_fd, NEW_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (fd < 0)
                return -errno;
        r = write_all(fd, text);
        if (r >= 0 && renameat(dir_fd, NEW_NAME, dir_fd, name) < 0)
                r = -errno;
        if (r < 0) {
                (void) unlinkat(dir_fd, NEW_NAME, 0);
                return r;
        }
        return fsync(dir_fd) < 0 ? -errno : 0;
}

int rule_file_remove(const char *path)
{
        _cleanup_(closep) int dir_fd = -EBADF;
        const char *name;

        dir_fd = open_parent(path, false, &name);
        if (dir_fd < 0)
                return dir_fd;
        if (unlinkat(dir_fd, name, 0) < 0)
                return -errno;
        return fsync(dir_fd) < 0 ? -errno : 0;
}
