/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <inttypes.h>

#include "daemon/memory.h"
#include "shared/macro.h"

static int read_text(int dir_fd, const char *path, char *buffer, size_t size)
{
        _cleanup_(closep) int fd = -EBADF;
        ssize_t n;

        fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        n = read(fd, buffer, size - 1);
        if (n < 0)
                return -errno;
        buffer[n] = 0;
        return 0;
}

static int read_figure(int root_fd, const char *directory, const char *name, uint64_t *ret)
{
        _cleanup_(freep) char *path = NULL;
        char text[64];
        int r;

        if (asprintf(&path, "%s/%s", directory, name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        r = read_text(root_fd, path, text, sizeof(text));
        if (r < 0)
                return r;
        return sscanf(text, "%" SCNu64, ret) == 1 ? 0 : -ENODATA;
}

int memory_available(int proc_fd, uint64_t *ret)
{
        static const char key[] = "\nMemAvailable:";
        char text[4096];
        const char *line;
        uint64_t kib;
        int r;

        r = read_text(proc_fd, "meminfo", text, sizeof(text));
        if (r < 0)
                return r;
        line = strstr(text, key);
        if (!line || sscanf(line + sizeof(key) - 1, "%" SCNu64, &kib) != 1)
                return -ENODATA;
        *ret = kib * 1024U;
        return 0;
}

int memory_cgroup_available(int cgroup_root_fd, const char *cgroup, uint64_t *ret)
{
        _cleanup_(freep) char *path = NULL;
        uint64_t least = UINT64_MAX;
        char *slash;

        path = strdup(cgroup);
        if (!path)
                return -ENOMEM;
        for (; (slash = strrchr(path, '/')) && path[1]; *slash = 0) {
                uint64_t max, current;

                /* A cgroup without the memory controller has no such file, and one without a limit
                 * says "max": neither limits anything. */
                if (read_figure(cgroup_root_fd, path + 1, "memory.max", &max) >= 0 &&
                    read_figure(cgroup_root_fd, path + 1, "memory.current", &current) >= 0)
                        least = MIN(least, max > current ? max - current : 0);
        }
        *ret = least;
        return 0;
}
