/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <inttypes.h>

#include "lib/ksm.h"

/* A file of a process that is gone is not found either; "stat" tells which it is. */
static int open_file(int process_fd, const char *name, FILE **ret)
{
        _cleanup_(closep) int fd = -EBADF;
        FILE *f;

        fd = openat(process_fd, name, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
                if (errno != ENOENT)
                        return -errno;
                return faccessat(process_fd, "stat", F_OK, 0) < 0 && errno == ENOENT ? -ESRCH : -ENOENT;
        }
        f = fdopen(fd, "r");
        if (!f)
                return -errno;
        TAKE_FD(fd);
        *ret = f;
        return 0;
}

/* Linux 6.6 to 6.9 can count zero pages below none. */
static bool parse_count(const char *s, uint64_t *ret)
{
        int64_t n;

        if (sscanf(s, "%" SCNi64, &n) != 1)
                return false;
        *ret = n > 0 ? (uint64_t) n : 0;
        return true;
}

static int parse_answer(const char *s)
{
        return streq(s, "yes") ? 1 : streq(s, "no") ? 0 : -1;
}

static int read_stat(FILE *f, struct mm_ksm_process *p, bool *ret_merging)
{
        char line[128];

        while (fgets(line, sizeof(line), f)) {
                char name[32], value[32];

                if (sscanf(line, "%31s %31s", name, value) != 2)
                        continue;
                if (streq(name, "ksm_rmap_items"))
                        parse_count(value, &p->rmap_items);
                else if (streq(name, "ksm_zero_pages"))
                        parse_count(value, &p->zero_pages);
                else if (streq(name, "ksm_merging_pages"))
                        *ret_merging = parse_count(value, &p->merging_pages);
                else if (streq(name, "ksm_mergeable:"))
                        p->mergeable = parse_answer(value);
        }
        return ferror(f) ? -errno : 0;
}

int mm_ksm_process_read(int process_fd, struct mm_ksm_process *ret)
{
        _cleanup_(fclosep) FILE *stat = NULL, *merging = NULL;
        struct mm_ksm_process p = { .mergeable = -1 };
        bool has_merging = false;
        int r, q;

        r = open_file(process_fd, "ksm_stat", &stat);
        if (r >= 0)
                r = read_stat(stat, &p, &has_merging);
        if (r < 0 && r != -ENOENT)
                return r;

        if (!has_merging) {
                char line[32];

                q = open_file(process_fd, "ksm_merging_pages", &merging);
                if (q < 0 && (q != -ENOENT || r == -ENOENT))
                        return q;
                if (q >= 0) {
                        if (fgets(line, sizeof(line), merging))
                                parse_count(line, &p.merging_pages);
                        else if (ferror(merging))
                                return -errno;
                }
        }

        *ret = p;
        return 0;
}
