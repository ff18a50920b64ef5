/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>

#include "daemon/memory.h"
#include "lib/text.h"
#include "shared/macro.h"

#define FILE_BYTES_MAX (64U * 1024U)

static int read_figure(int root_fd, const char *directory, const char *name, uint64_t *ret)
{
        _cleanup_(freep) char *path = NULL, *text = NULL;
        size_t size;
        int r;

        if (asprintf(&path, "%s/%s", directory, name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        r = mm_read_file(root_fd, path, 64, FILE_BYTES_MAX, &text, &size);
        if (r < 0)
                return r;
        return sscanf(text, "%" SCNu64, ret) == 1 ? 0 : -ENODATA;
}

int memory_available(int proc_fd, uint64_t *ret)
{
        static const char key[] = "\nMemAvailable:";
        _cleanup_(freep) char *text = NULL;
        const char *line;
        uint64_t kib;
        size_t size;
        int r;

        r = mm_read_file(proc_fd, "meminfo", 4096, FILE_BYTES_MAX, &text, &size);
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
