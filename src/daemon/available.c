/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>

#include "daemon/available.h"
#include "daemon/selector.h"
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

static uint64_t needed_within(const struct memory_need *needs, size_t n, const char *cgroup)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < n; i++)
                if (needs[i].cgroup && cgroup_contains(cgroup, needs[i].cgroup))
                        sum += needs[i].bytes;
        return sum;
}

static int compare_needs(const void *a, const void *b)
{
        const struct memory_need *x = a, *y = b;

        return strcmp(x->cgroup ?: "", y->cgroup ?: "");
}

int memory_cgroup_shortage(int cgroup_root_fd, struct memory_need *needs, size_t n,
                           struct memory_shortage *ret)
{
        /* Thousands of processes are in a few cgroups, each of which is to be asked once. */
        if (n > 0)
                qsort(needs, n, sizeof(*needs), compare_needs);
        for (size_t i = 0; i < n; i++) {
                _cleanup_(freep) char *path = NULL;
                char *slash;

                if (!needs[i].cgroup || (i > 0 && compare_needs(&needs[i - 1], &needs[i]) == 0))
                        continue;
                path = strdup(needs[i].cgroup);
                if (!path)
                        return -ENOMEM;
                /* The further up, the more have to share what is left. */
                for (; (slash = strrchr(path, '/')) && path[1]; *slash = 0) {
                        uint64_t needed = needed_within(needs, n, path), left;
                        int r;

                        r = memory_cgroup_available(cgroup_root_fd, path, &left);
                        if (r < 0)
                                return r;
                        if (needed <= left)
                                continue;
                        *ret = (struct memory_shortage) {
                                .cgroup = TAKE_PTR(path), .needed = needed, .left = left
                        };
                        return 1;
                }
        }
        return 0;
}
