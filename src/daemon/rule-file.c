/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sys/stat.h>

#include "daemon/rule-file.h"
#include "shared/file.h"
#include "shared/macro.h"

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

int rule_file_write(const char *path, const char *text)
{
        _cleanup_(closep) int dir_fd = -EBADF;
        const char *name;

        dir_fd = open_parent(path, true, &name);
        if (dir_fd < 0)
                return dir_fd;
        /* What stays behind of it if that fails begins with a dot, and is no drop-in. */
        return file_replace(dir_fd, name, text, strlen(text), 0644, true);
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
