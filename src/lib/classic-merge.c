/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <limits.h>

#include "lib/classic.h"
#include "lib/domain.h"
#include "lib/look.h"

/* Pairs at a time, which bounds our own memory. */
#define BATCH_PAIRS 1024U

/* A process that pairs name. */
struct process {
        pid_t pid;
        struct mm_target *target; /* NULL: it could not be opened */
        int error;
};

/* A page that pairs name: one of a kind, so that it is looked at and merged once. */
struct place {
        struct process *process;
        struct mm_page_info page; /* a huge one has its own address, not that of the pair */
        uint64_t address;         /* as in the pair, page-aligned */
        int error;                /* negative: it cannot be merged */
        enum mm_domain domain;    /* in which it is merged next, if @wanted */
        bool wanted, merged;
        bool useful; /* a pair was merged by it */
};

struct pair {
        MEQUALPAIR *asked;
        struct place *s, *d;
};

struct merging {
        struct mm_ctx *ctx;
        struct mm_hash hash;
        struct process *processes; /* by pid */
        size_t n_processes;
        struct place places[2 * BATCH_PAIRS]; /* by process, then address */
        size_t n_places;
        struct pair pairs[BATCH_PAIRS];
        struct mm_page_info found[2 * BATCH_PAIRS];
};

static void merging_free(struct merging *m)
{
        for (size_t i = 0; i < m->n_processes; i++)
                mm_target_unref(m->processes[i].target);
        free(m->processes);
        mm_ctx_unref(m->ctx);
        free(m);
}
DEFINE_CLEANUP_FUNC(struct merging *, merging_free)

static int compare_pids(const void *a, const void *b)
{
        const struct process *x = a, *y = b;

        return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static int open_processes(struct merging *m, const MEQUALPAIR *asked, size_t n)
{
        size_t n_unique = 0;

        m->processes = calloc(MAX(2 * n, (size_t) 1), sizeof(*m->processes));
        if (!m->processes)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                m->processes[2 * i].pid = asked[i].spid;
                m->processes[2 * i + 1].pid = asked[i].dpid;
        }
        qsort(m->processes, 2 * n, sizeof(*m->processes), compare_pids);
        for (size_t i = 0; i < 2 * n; i++)
                if (n_unique == 0 || m->processes[n_unique - 1].pid != m->processes[i].pid)
                        m->processes[n_unique++].pid = m->processes[i].pid;
        m->n_processes = n_unique;
        for (size_t i = 0; i < n_unique; i++) {
                struct process *p = &m->processes[i];

                p->error = mm_target_new_from_pid(m->ctx, p->pid, 0, &p->target);
                if (p->error == -ENOMEM)
                        return p->error;
        }
        return 0;
}

static struct process *find_process(const struct merging *m, pid_t pid)
{
        return bsearch(&(struct process) { .pid = pid }, m->processes, m->n_processes,
                       sizeof(*m->processes), compare_pids);
}

static int compare_places(const void *a, const void *b)
{
        const struct place *x = a, *y = b;

        if (x->process != y->process)
                return x->process < y->process ? -1 : 1;
        return x->address < y->address ? -1 : x->address > y->address;
}

static struct place place_of(const struct merging *m, pid_t pid, const void *address)
{
        uintptr_t at = (uintptr_t) address;

        return (struct place) { .process = find_process(m, pid), .address = at - at % MM_PAGE_SIZE };
}

static struct place *find_place(struct merging *m, pid_t pid, const void *address)
{
        struct place key = place_of(m, pid, address);

        return bsearch(&key, m->places, m->n_places, sizeof(*m->places), compare_places);
}

static void find_places(struct merging *m, MEQUALPAIR *asked, size_t n)
{
        size_t n_unique = 0;

        for (size_t i = 0; i < n; i++) {
                m->places[2 * i] = place_of(m, asked[i].spid, asked[i].sv_addr);
                m->places[2 * i + 1] = place_of(m, asked[i].dpid, asked[i].dv_addr);
        }
        qsort(m->places, 2 * n, sizeof(*m->places), compare_places);
        for (size_t i = 0; i < 2 * n; i++)
                if (n_unique == 0 || compare_places(&m->places[n_unique - 1], &m->places[i]) != 0)
                        m->places[n_unique++] = m->places[i];
        m->n_places = n_unique;
        for (size_t i = 0; i < n; i++)
                m->pairs[i] = (struct pair) {
                        .asked = &asked[i],
                        .s = find_place(m, asked[i].spid, asked[i].sv_addr),
                        .d = find_place(m, asked[i].dpid, asked[i].dv_addr),
                };
}

/* Pages of one process. */
static int look_at(struct merging *m, struct place *places, size_t n)
{
        const struct process *p = places[0].process;
        ssize_t r = p->error;

        for (size_t i = 0; i < n; i++)
                m->found[i].address = places[i].address;
        if (p->target)
                r = mm_target_look(p->target, &m->hash, m->found, n);
        if (r == -ENOMEM)
                return (int) r;
        for (size_t i = 0; i < n; i++) {
                places[i].page = m->found[i];
                places[i].page.address -= places[i].address % MAX(m->found[i].size, (uint64_t) MM_PAGE_SIZE);
                places[i].error = r < 0 ? (int) r : m->found[i].status;
        }
        return 0;
}

static int look_at_all(struct merging *m)
{
        int r = 0;

        for (size_t i = 0, next; i < m->n_places && r >= 0; i = next) {
                for (next = i + 1; next < m->n_places && m->places[next].process == m->places[i].process;)
                        next++;
                r = look_at(m, &m->places[i], next - i);
        }
        return r;
}

/* What can be said of a pair before anything is tried. */
static int judge(const struct place *s, const struct place *d)
{
        if (s->error < 0 || d->error < 0)
                return s->error < 0 ? s->error : d->error;
        if (s->process == d->process && s->page.address == d->page.address)
                return -EINVAL;
        if (s->page.size != d->page.size)
                return -E2BIG;
        if (s->page.frame == d->page.frame)
                return -EALREADY;
        return s->page.hash == d->page.hash ? 0 : -ESTALE;
}

static enum mm_domain domain_of(const struct pair *p)
{
        const struct mm_target *s = p->s->process->target, *d = p->d->process->target;

        return mm_domain_is_equal(&s->process, &d->process) ? MM_DOMAIN_USER : MM_DOMAIN_SESSION;
}

static int compare_content(const void *a, const void *b)
{
        const struct place *x = *(struct place *const *) a, *y = *(struct place *const *) b;

        if (x->page.size != y->page.size)
                return x->page.size < y->page.size ? -1 : 1;
        return x->page.hash < y->page.hash ? -1 : x->page.hash > y->page.hash;
}

/* The status of a page: of a huge one, what is wrong with any of its parts. */
static int status_of(const struct mm_merge_page *pages, size_t n)
{
        int status = pages[0].status;

        for (size_t i = 1; i < n; i++)
                if (status >= 0 || (status == -EALREADY && pages[i].status != 0))
                        status = pages[i].status;
        return status;
}

static size_t parts_of(const struct place *p)
{
        return p->page.size / MM_PAGE_SIZE;
}

static int merge_places(struct merging *m, enum mm_domain domain, struct place **wanted, size_t n)
{
        const struct mm_merge_options options = { .domain = domain, .huge = MM_HUGE_SPLIT, .cgroup_fd = -1 };
        _cleanup_(freep) struct mm_merge_page *pages = NULL;
        size_t n_pages = 0, n_groups = 0;
        int r;

        for (size_t i = 0; i < n; i++)
                n_pages += parts_of(wanted[i]);
        pages = calloc(MAX(n_pages, (size_t) 1), sizeof(*pages));
        if (!pages)
                return -ENOMEM;
        qsort(wanted, n, sizeof(*wanted), compare_content);
        n_pages = 0;
        for (size_t i = 0; i < n; i++) {
                if (i > 0 && compare_content(&wanted[i - 1], &wanted[i]) != 0)
                        n_groups += parts_of(wanted[i - 1]);
                for (size_t k = 0; k < parts_of(wanted[i]); k++)
                        pages[n_pages++] = (struct mm_merge_page) {
                                .target = wanted[i]->process->target,
                                .address = wanted[i]->page.address + k * MM_PAGE_SIZE,
                                .group = (uint32_t) (n_groups + k),
                        };
        }
        r = mm_ctx_merge(m->ctx, &options, pages, n_pages, NULL);
        if (r < 0)
                return r;
        n_pages = 0;
        for (size_t i = 0; i < n; i++) {
                wanted[i]->error = status_of(pages + n_pages, parts_of(wanted[i]));
                wanted[i]->merged = wanted[i]->merged || wanted[i]->error == 0;
                n_pages += parts_of(wanted[i]);
        }
        return 0;
}

/* What pairs in this domain want. */
static int merge_domain(struct merging *m, size_t n, enum mm_domain domain)
{
        struct place *wanted[2 * BATCH_PAIRS];
        size_t n_wanted = 0;

        for (size_t i = 0; i < n; i++) {
                struct pair *p = &m->pairs[i];

                if (p->asked->status != 0 || domain_of(p) != domain)
                        continue;
                p->s->wanted = p->d->wanted = true;
        }
        for (size_t i = 0; i < m->n_places; i++) {
                if (m->places[i].wanted)
                        wanted[n_wanted++] = &m->places[i];
                m->places[i].wanted = false;
        }
        return n_wanted > 0 ? merge_places(m, domain, wanted, n_wanted) : 0;
}

/* Whether two pages are in one frame now; of huge ones, which are in parts now, the first. */
static bool is_shared(struct merging *m, const struct place *s, const struct place *d)
{
        struct mm_page_info pages[] = { { .address = s->page.address }, { .address = d->page.address } };

        return mm_target_look(s->process->target, NULL, &pages[0], 1) == 1 &&
               mm_target_look(d->process->target, NULL, &pages[1], 1) == 1 &&
               pages[0].frame == pages[1].frame;
}

static int settle(struct merging *m, const struct pair *p)
{
        int s = p->s->error, d = p->d->error;

        if (s >= 0 && d >= 0)
                return 0;
        if (s < 0 && s != -EALREADY)
                return s;
        if (d < 0 && d != -EALREADY)
                return d;
        return is_shared(m, p->s, p->d) ? 0 : -EALREADY;
}

/* Alone in its frame a page is better off with one of its own. */
static void undo(const struct place *p)
{
        (void) mm_target_unmerge(p->process->target, p->page.address, p->page.address + p->page.size,
                                 MM_UNMERGE_SINGLE, NULL);
}

static ssize_t merge_batch(struct merging *m, MEQUALPAIR *asked, size_t n)
{
        size_t n_merged = 0;
        int r;

        find_places(m, asked, n);
        r = look_at_all(m);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                asked[i].status = -judge(m->pairs[i].s, m->pairs[i].d);
        r = merge_domain(m, n, MM_DOMAIN_USER);
        if (r >= 0)
                r = merge_domain(m, n, MM_DOMAIN_SESSION);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                struct pair *p = &m->pairs[i];

                if (asked[i].status == 0)
                        asked[i].status = -settle(m, p);
                if (asked[i].status == EACCES)
                        asked[i].status = EPERM;
                if (asked[i].status == 0) {
                        p->s->useful = p->d->useful = true;
                        n_merged++;
                }
        }
        for (size_t i = 0; i < m->n_places; i++)
                if (m->places[i].merged && !m->places[i].useful)
                        undo(&m->places[i]);
        return (ssize_t) n_merged;
}

static ssize_t merge(MEQUALPAIR *asked, size_t nel)
{
        _cleanup_(merging_freep) struct merging *m = NULL;
        ssize_t n_merged = 0;
        int r;

        if (nel > SSIZE_MAX / sizeof(*asked) / 2)
                return -EINVAL;
        r = mm_classic_check_memory(asked, nel * sizeof(*asked), true);
        if (r < 0)
                return r;
        m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        m->hash.kind = MM_HASH_XXH64;
        r = mm_hash_seed(&m->hash.seed);
        if (r >= 0)
                r = mm_ctx_new(&m->ctx);
        if (r >= 0)
                r = mm_ctx_check_module(m->ctx);
        if (r >= 0)
                r = open_processes(m, asked, nel);
        if (r < 0)
                return r;
        for (size_t i = 0; i < nel; i += BATCH_PAIRS) {
                ssize_t n;

                n = merge_batch(m, asked + i, MIN(nel - i, (size_t) BATCH_PAIRS));
                if (n < 0)
                        return n;
                n_merged += n;
        }
        return n_merged;
}

_public_ ssize_t m_merge(MEQUALPAIR *pagepairs, size_t nel)
{
        return mm_classic_result(merge(pagepairs, nel));
}
