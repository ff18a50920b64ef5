/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <inttypes.h>

#include "daemon/registry.h"
#include "lib/procfs.h"
#include "shared/log.h"

/* The file: a line of figures, then for each process a line "process PID START DOMAIN" and its
 * ranges, for each domain that had some before "former SINCE UNTIL DOMAIN" and those. It lives in /run, so a
 * reboot takes it along. */

#define FILE_HEAD "mergemem registered 1"

static void print_ranges(FILE *f, const struct worker_range *ranges, size_t n)
{
        for (size_t i = 0; i < n; i++)
                fprintf(f, "range %" PRIx64 " %" PRIx64 "\n", ranges[i].start, ranges[i].end);
}

/* Of the file; of one that is not complete yet; of one that was damaged. */
struct names {
        const char *name;
        const char *new, *damaged;
};

static const struct names all_names[] = {
        [REGISTRY_KSM] = { "registered", "registered.new", "registered.damaged" },
        [REGISTRY_DIRECT] = { "merged", "merged.new", "merged.damaged" },
};

int registry_save(const struct registry *r)
{
        const struct names *names = &all_names[r->kind];
        _cleanup_(fclosep) FILE *f = NULL;
        int fd;

        if (r->state_fd < 0)
                return 0;
        fd = openat(r->state_fd, names->new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        f = fdopen(fd, "we");
        if (!f) {
                safe_close(fd);
                return -ENOMEM;
        }
        fprintf(f, FILE_HEAD "\ntotals %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", r->n_saved, r->n_baseline,
                r->n_shared_baseline);
        for (size_t i = 0; i < r->n_items; i++) {
                const struct registered *g = r->items[i];

                fprintf(f, "process %d %" PRIu64 " %s\n", g->pid, g->start_ticks, g->domain);
                print_ranges(f, g->ranges, g->n_ranges);
        }
        for (size_t i = r->n_former; i-- > 0;) {
                const struct former *g = &r->former[i];

                fprintf(f, "former %" PRIu64 " %" PRIu64 " %s\n", g->since_ticks, g->until_ticks, g->domain);
                print_ranges(f, g->ranges, g->n_ranges);
        }
        if (fflush(f) != 0 || ferror(f))
                return errno > 0 ? -errno : -EIO;
        if (renameat(r->state_fd, names->new, r->state_fd, names->name) < 0)
                return -errno;
        return 0;
}

struct loading {
        struct registry *registry;
        int proc_fd;
        struct registered *process; /* that the ranges belong to; NULL: it has ended */
        char *domain;               /* of one that has ended */
        uint64_t since_ticks, until_ticks;
        struct worker_range *ranges;
        size_t n_ranges, allocated;
};

static void loading_done(struct loading *l)
{
        free(l->domain);
        free(l->ranges);
}

/* All ranges of a process at once: adding one to many costs as much as adding many. */
static int load_ranges(struct loading *l)
{
        const struct registered *g = l->process;
        size_t n = l->n_ranges;

        l->n_ranges = 0;
        if (n == 0)
                return 0;
        if (!g) {
                if (l->domain)
                        registry_remember(l->registry, l->domain, l->since_ticks, l->until_ticks,
                                          l->ranges, n);
                return 0;
        }
        return registry_add(l->registry, g->pid, g->start_ticks, g->dir_fd, g->pid_fd, g->domain, l->ranges,
                            n);
}

static int load_range(struct loading *l, const char *line)
{
        struct worker_range range;

        if (sscanf(line, "range %" SCNx64 " %" SCNx64, &range.start, &range.end) != 2 ||
            range.start >= range.end)
                return -EBADMSG;
        if (l->n_ranges >= l->allocated) {
                size_t allocated = MAX(l->allocated * 2, (size_t) 64);
                struct worker_range *ranges;

                ranges = reallocarray(l->ranges, allocated, sizeof(*ranges));
                if (!ranges)
                        return -ENOMEM;
                l->ranges = ranges;
                l->allocated = allocated;
        }
        l->ranges[l->n_ranges++] = range;
        return 0;
}

/* The ranges that follow are of one that has ended. */
static int set_former(struct loading *l, uint64_t since_ticks, uint64_t until_ticks, const char *domain)
{
        l->since_ticks = since_ticks;
        l->until_ticks = until_ticks;
        l->domain = strdup(domain);
        return l->domain ? 0 : -ENOMEM;
}

static int load_former(struct loading *l, const char *line)
{
        uint64_t since_ticks, until_ticks;
        int domain = -1;

        if (sscanf(line, "former %" SCNu64 " %" SCNu64 " %n", &since_ticks, &until_ticks, &domain) != 2 ||
            domain < 0)
                return -EBADMSG;
        return set_former(l, since_ticks, until_ticks, line + domain);
}

static int load_process(struct loading *l, const char *line)
{
        _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;
        uint64_t start_ticks;
        int pid, domain = -1, r;

        if (sscanf(line, "process %d %" SCNu64 " %n", &pid, &start_ticks, &domain) != 2 || domain < 0)
                return -EBADMSG;
        r = mm_process_open(l->proc_fd, pid, true, &p);
        if (r < 0 || p.start_ticks != start_ticks)
                return r == -ENOMEM || r == -EMFILE || r == -ENFILE
                               ? r
                               : set_former(l, start_ticks, registry_now_ticks(), line + domain);
        r = registry_add(l->registry, pid, start_ticks, p.dir_fd, p.pid_fd, line + domain, NULL, 0);
        if (r < 0)
                return r;
        l->process = registry_find(l->registry, pid, start_ticks);
        l->process->since_ticks = start_ticks;
        return 0;
}

static int load_line(struct loading *l, unsigned i, const char *line)
{
        struct registry *r = l->registry;
        int k;

        if (i == 0)
                return streq(line, FILE_HEAD) ? 0 : -EBADMSG;
        if (i == 1)
                return sscanf(line, "totals %" SCNu64 " %" SCNu64 " %" SCNu64, &r->n_saved, &r->n_baseline,
                              &r->n_shared) == 3
                               ? 0
                               : -EBADMSG;
        if (strncmp(line, "range ", 6) == 0)
                return load_range(l, line);
        k = load_ranges(l);
        if (k < 0)
                return k;
        l->process = NULL;
        free(TAKE_PTR(l->domain));
        return strncmp(line, "former ", 7) == 0 ? load_former(l, line) : load_process(l, line);
}

static int load_file(struct registry *r, int proc_fd, FILE *f)
{
        _cleanup_(loading_done) struct loading l = { .registry = r, .proc_fd = proc_fd };
        _cleanup_(freep) char *line = NULL;
        size_t allocated = 0;
        ssize_t n;
        int k;

        for (unsigned i = 0; (n = getline(&line, &allocated, f)) > 0; i++) {
                if (line[n - 1] != '\n')
                        return -EBADMSG;
                line[n - 1] = 0;
                k = load_line(&l, i, line);
                if (k < 0)
                        return k;
        }
        if (ferror(f))
                return -EIO;
        return load_ranges(&l);
}

int registry_load(struct registry *r, int proc_fd)
{
        const struct names *names = &all_names[r->kind];
        _cleanup_(fclosep) FILE *f = NULL;
        int fd, k;

        fd = openat(r->state_fd, names->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        f = fdopen(fd, "re");
        if (!f) {
                safe_close(fd);
                return -ENOMEM;
        }
        k = load_file(r, proc_fd, f);
        if (k == -EBADMSG)
                (void) renameat(r->state_fd, names->name, r->state_fd, names->damaged);
        while (r->n_items > 0 && k < 0)
                registry_drop(r, r->items[0]);
        for (size_t i = r->n_items; i-- > 0 && k >= 0;)
                if (r->items[i]->n_ranges == 0)
                        registry_drop(r, r->items[i]);
        if (r->n_items == 0)
                r->n_saved = r->n_baseline = r->n_shared = 0;
        r->n_shared_baseline = r->n_shared;
        return k;
}
