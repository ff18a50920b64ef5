/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <inttypes.h>

#include "daemon/registry.h"
#include "lib/procfs.h"
#include "shared/log.h"

/* The file: a line of figures, then for each process a line "process PID START DOMAIN" and its
 * ranges. It lives in /run, so a reboot takes it along. */

#define FILE_NAME "registered"
#define FILE_HEAD "mergemem registered 1"

int registry_save(const struct registry *r)
{
        _cleanup_(fclosep) FILE *f = NULL;
        int fd;

        fd = openat(r->state_fd, FILE_NAME ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                    0600);
        if (fd < 0)
                return -errno;
        f = fdopen(fd, "we");
        if (!f) {
                safe_close(fd);
                return -ENOMEM;
        }
        fprintf(f, FILE_HEAD "\ntotals %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", r->n_saved, r->n_merged,
                r->n_shared);
        for (size_t i = 0; i < r->n_items; i++) {
                const struct registered *g = r->items[i];

                fprintf(f, "process %d %" PRIu64 " %s\n", g->pid, g->start_ticks, g->domain);
                for (size_t k = 0; k < g->n_ranges; k++)
                        fprintf(f, "range %" PRIx64 " %" PRIx64 "\n", g->ranges[k].start, g->ranges[k].end);
        }
        if (fflush(f) != 0 || ferror(f))
                return errno > 0 ? -errno : -EIO;
        if (renameat(r->state_fd, FILE_NAME ".new", r->state_fd, FILE_NAME) < 0)
                return -errno;
        return 0;
}

/* The process of a "process" line while it still lives; 0 if it does not. */
static int load_process(struct registry *r, int proc_fd, const char *line, struct registered **ret)
{
        _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;
        uint64_t start_ticks;
        int pid, domain = -1, k;

        *ret = NULL;
        if (sscanf(line, "process %d %" SCNu64 " %n", &pid, &start_ticks, &domain) != 2 || domain < 0)
                return -EBADMSG;
        k = mm_process_open(proc_fd, pid, true, &p);
        if (k < 0 || p.start_ticks != start_ticks)
                return k == -ENOMEM ? k : 0;
        k = registry_add(r, pid, start_ticks, p.dir_fd, p.pid_fd, line + domain, NULL, 0);
        if (k < 0)
                return k;
        *ret = registry_find(r, pid, start_ticks);
        return 0;
}

static int load_line(struct registry *r, int proc_fd, const char *line, struct registered **current)
{
        struct worker_range range;

        if (strncmp(line, "process ", 8) == 0)
                return load_process(r, proc_fd, line, current);
        if (sscanf(line, "range %" SCNx64 " %" SCNx64, &range.start, &range.end) != 2 ||
            range.start >= range.end)
                return -EBADMSG;
        if (!*current)
                return 0;
        return registry_add(r, (*current)->pid, (*current)->start_ticks, -EBADF, -EBADF, NULL, &range, 1);
}

static int load_file(struct registry *r, int proc_fd, FILE *f)
{
        _cleanup_(freep) char *line = NULL;
        struct registered *current = NULL;
        size_t allocated = 0;
        ssize_t n;
        int k;

        for (unsigned i = 0; (n = getline(&line, &allocated, f)) > 0; i++) {
                if (line[n - 1] != '\n')
                        return -EBADMSG;
                line[n - 1] = 0;
                if (i == 0)
                        k = streq(line, FILE_HEAD) ? 0 : -EBADMSG;
                else if (i == 1)
                        k = sscanf(line, "totals %" SCNu64 " %" SCNu64 " %" SCNu64, &r->n_saved,
                                   &r->n_merged, &r->n_shared) == 3
                                    ? 0
                                    : -EBADMSG;
                else
                        k = load_line(r, proc_fd, line, &current);
                if (k < 0)
                        return k;
        }
        return ferror(f) ? -EIO : 0;
}

int registry_load(struct registry *r, int proc_fd)
{
        _cleanup_(fclosep) FILE *f = NULL;
        int fd, k;

        fd = openat(r->state_fd, FILE_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        f = fdopen(fd, "re");
        if (!f) {
                safe_close(fd);
                return -ENOMEM;
        }
        k = load_file(r, proc_fd, f);
        if (k == -EBADMSG)
                (void) renameat(r->state_fd, FILE_NAME, r->state_fd, FILE_NAME ".damaged");
        while (r->n_items > 0 && k < 0)
                registry_drop(r, r->items[0]);
        for (size_t i = r->n_items; i-- > 0 && k >= 0;)
                if (r->items[i]->n_ranges == 0)
                        registry_drop(r, r->items[i]);
        if (r->n_items == 0)
                r->n_saved = r->n_merged = r->n_shared = 0;
        return k;
}
