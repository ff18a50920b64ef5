/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the real worker tells of pages: how much a process uses, which pages it has, who shares them. */
#include <linux/kernel-page-flags.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/owner.h"
#include "target.h"
#include "worker-rounds.h"

#define PAGE ROUNDS_PAGE

/* A process, opened for a call. */
static int open_process(struct rounds *f, pid_t pid, struct mm_file_id *ret_exe)
{
        _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;

        g_assert_cmpint(mm_process_open(f->calls.proc_fd, pid, false, &p), ==, 0);
        *ret_exe = p.exe_id;
        return TAKE_FD(p.dir_fd);
}

static const struct worker_looked *looked(const struct outcome *o)
{
        g_assert_cmpuint(outcome_count(o, WORKER_ROW_LOOKED), ==, 1);
        g_assert_cmpuint(((const union worker_packet *) o->rows->pdata[o->rows->len - 1])->header.type, ==,
                         WORKER_ROW_LOOKED);
        return &outcome_row(o, WORKER_ROW_LOOKED)->looked;
}

/* In slices of @slice_usec; what belongs to the file of @library into *@ret_library. Returns how many slices
 * it took. */
static unsigned usage(struct rounds *f, pid_t pid, uint64_t slice_usec, const char *library,
                      struct mm_usage *ret, struct mm_usage *ret_library)
{
        struct stat st = {};
        unsigned n = 0;
        uint64_t from = 0;

        if (library)
                g_assert_cmpint(stat(library, &st), ==, 0);
        *ret = *ret_library = (struct mm_usage) {};
        do {
                _cleanup_(outcome_done) struct outcome o = {};
                _cleanup_(closep) int fd = -EBADF;
                union worker_packet p;

                worker_packet_init(&p, WORKER_USAGE, sizeof(p.usage));
                fd = open_process(f, pid, &p.usage.exe);
                p.usage.from = from;
                p.usage.slice_usec = slice_usec;
                p.usage.by_library = library != NULL;
                g_assert_cmpint(call(&f->calls, &p, fd, &o), ==, 0);
                for (size_t i = 0; i < o.rows->len; i++) {
                        const union worker_packet *row = o.rows->pdata[i];

                        if (row->header.type != WORKER_ROW_USAGE)
                                continue;
                        mm_usage_add(ret, &row->usage_row.usage);
                        if (library && row->usage_row.file.ino == st.st_ino)
                                mm_usage_add(ret_library, &row->usage_row.usage);
                }
                g_assert_true(looked(&o)->next == 0 || looked(&o)->next > from);
                from = looked(&o)->next;
                n++;
        } while (from > 0);
        return n;
}

static void have_a_lot(void *userdata)
{
        char *pages = map_pages(0, ROUNDS_BYTES / PAGE);

        if (!pages)
                _exit(1);
        memset(pages, 'x', ROUNDS_BYTES);
}

/* However it is cut it is the same, but for what other processes do meanwhile to files. */
static void test_usage(struct rounds *f, const void *data)
{
        pid_t pid = child_start(have_a_lot, NULL);
        struct mm_usage whole, cut, unused;

        g_assert_cmpuint(usage(f, pid, 0, NULL, &whole, &unused), ==, 1);
        g_assert_cmpuint(whole.rss_pages, >=, ROUNDS_BYTES / PAGE);
        g_assert_cmpuint(whole.uss_pages, >=, ROUNDS_BYTES / PAGE);
        g_assert_cmpuint(whole.pss >> MM_PSS_SHIFT, >=, ROUNDS_BYTES);
        g_assert_cmpuint(whole.unknown_pages, ==, 0);
        g_assert_cmpuint(usage(f, pid, 1, NULL, &cut, &unused), >=, 10);
        g_assert_cmpuint(cut.rss_pages, ==, whole.rss_pages);
        child_kill(pid);
}

static void test_by_library(struct rounds *f, const void *data)
{
        struct mm_usage all, library, unused;
        struct target t;

        target_start(&t, TEST_TARGET, (const char *[]) { "loads", TEST_LIBRARY, NULL });
        (void) usage(f, t.pid, 0, TEST_LIBRARY, &all, &library);
        g_assert_cmpuint(library.rss_pages, >, TARGET_BSS_BYTES / PAGE);
        g_assert_cmpuint(library.uss_pages, >, TARGET_BSS_BYTES / PAGE);
        g_assert_cmpuint(library.rss_pages, <, all.rss_pages);
        /* What lies behind its .bss is not its own, however close. */
        g_assert_cmpuint(
                library.uss_pages, <,
                (TARGET_BSS_BYTES + 2 * TARGET_DATA_BYTES + 4 * TARGET_RELRO_POINTERS * 8) / PAGE + 16);
        (void) usage(f, t.pid, 1, TEST_LIBRARY, &unused, &all);
        g_assert_cmpuint(all.rss_pages, ==, library.rss_pages);
        target_stop(&t);
}

/* A question about pages, and the answer. */
struct question {
        pid_t pid;
        uint64_t from, to, slice_usec;
        uint32_t max_runs, max_bytes;
        const char *flags, *owner;
        struct mm_file_id file;
        bool reduced;
};

static int ask(struct rounds *f, const struct question *q, struct outcome *o)
{
        _cleanup_(closep) int fd = -EBADF;
        struct mm_flag_error error;
        union worker_packet p;

        worker_packet_init(&p, WORKER_PAGES, sizeof(p.pages));
        fd = open_process(f, q->pid, &p.pages.exe);
        p.pages.from = q->from;
        p.pages.to = q->to > 0 ? q->to : UINT64_MAX;
        p.pages.slice_usec = q->slice_usec;
        p.pages.max_runs = q->max_runs > 0 ? q->max_runs : UINT32_MAX;
        p.pages.max_bytes = q->max_bytes > 0 ? q->max_bytes : UINT32_MAX;
        p.pages.file = q->file;
        p.pages.reduced = q->reduced;
        if (q->flags) {
                g_assert_cmpint(mm_flag_filter_parse(q->flags, &p.pages.filters[0], &error), ==, 0);
                p.pages.n_filters = 1;
        }
        worker_packet_text(&p, q->owner ?: "");
        return call(&f->calls, &p, fd, o);
}

/* All runs of an answer; their owner's kind if it is one for all. */
static GArray *runs_of(const struct outcome *o, uint32_t *ret_kind)
{
        GArray *runs = g_array_new(false, false, sizeof(struct mm_run));

        *ret_kind = MM_OWNER_KIND_MAX_;
        for (size_t i = 0; i < o->rows->len; i++) {
                const union worker_packet *row = o->rows->pdata[i];

                if (row->header.type != WORKER_ROW_RUNS)
                        continue;
                g_assert_cmpuint(row->runs.n, >, 0);
                g_array_append_vals(runs, row->runs.runs, row->runs.n);
                *ret_kind = row->runs.kind;
        }
        return runs;
}

static uint64_t pages_in(const GArray *runs)
{
        uint64_t n = 0;

        for (size_t i = 0; i < runs->len; i++)
                n += g_array_index(runs, struct mm_run, i).n_pages;
        return n;
}

/* Pages that match, over as many answers as it takes; each only once, ascending. */
static uint64_t count_pages(struct rounds *f, struct question q, unsigned *ret_answers)
{
        uint64_t n = 0, last = 0;

        *ret_answers = 0;
        do {
                _cleanup_(outcome_done) struct outcome o = {};
                g_autoptr(GArray) runs = NULL;
                uint32_t kind;

                g_assert_cmpint(ask(f, &q, &o), ==, 0);
                runs = runs_of(&o, &kind);
                g_assert_cmpuint(runs->len, <=, q.max_runs > 0 ? q.max_runs : UINT32_MAX);
                for (size_t i = 0; i < runs->len; i++) {
                        const struct mm_run *run = &g_array_index(runs, struct mm_run, i);

                        g_assert_cmphex(run->address, >=, MAX(last, q.from));
                        last = run->address + run->n_pages * PAGE;
                }
                n += pages_in(runs);
                g_assert_true(looked(&o)->matched);
                g_assert_true(looked(&o)->next == 0 || looked(&o)->next > q.from);
                q.from = looked(&o)->next;
                ++*ret_answers;
        } while (q.from > 0);
        return n;
}

static void test_pages(struct rounds *f, const void *data)
{
        uint64_t start = (uintptr_t) rounds_place;
        pid_t pid = child_with("ab.cd..e");
        struct question q = { .pid = pid, .from = start, .to = start + 8 * PAGE };
        _cleanup_(outcome_done) struct outcome o = {};
        g_autoptr(GArray) all = NULL, some = NULL, reduced = NULL;
        unsigned n_answers;
        uint32_t kind;

        g_assert_cmpint(ask(f, &q, &o), ==, 0);
        all = runs_of(&o, &kind);
        g_assert_cmpint(kind, ==, MM_OWNER_ANON);
        g_assert_cmpuint(pages_in(all), ==, 5);
        g_assert_cmphex(g_array_index(all, struct mm_run, 0).address, ==, start);
        for (size_t i = 0; i < all->len; i++) {
                const struct mm_run *run = &g_array_index(all, struct mm_run, i);

                g_assert_cmpuint(run->count, ==, 1);
                g_assert_cmpuint(run->frame, !=, 0);
                g_assert_true(run->flags & UINT64_C(1) << KPF_ANON);
                g_assert_true(run->flags & UINT64_C(1) << MM_FLAG_MMAP_EXCLUSIVE);
        }
        g_assert_cmpuint(looked(&o)->next, ==, 0);

        q.flags = "ksm";
        g_assert_cmpint(ask(f, &q, &o), ==, 0);
        some = runs_of(&o, &kind);
        g_assert_cmpuint(some->len, ==, 0);
        q.flags = "anon,~ksm";
        q.max_runs = 1;
        g_assert_cmpuint(count_pages(f, q, &n_answers), ==, 5);
        g_assert_cmpuint(n_answers, >=, 3);
        /* Names take room too. */
        q.max_runs = 0;
        q.max_bytes = 2 * sizeof(struct mm_run);
        g_assert_cmpuint(count_pages(f, q, &n_answers), ==, 5);
        g_assert_cmpuint(n_answers, >=, 2);
        q.max_bytes = 0;
        q.flags = NULL;
        q.slice_usec = 1;
        q.from = 0;
        q.to = 0;
        q.max_runs = 100;
        g_assert_cmpuint(count_pages(f, q, &n_answers), >, 100);
        g_assert_cmpuint(n_answers, >, 3);

        /* To his own user: no frames, and of counts only that it is one. */
        q = (struct question) { .pid = pid, .from = start, .to = start + 8 * PAGE, .reduced = true };
        g_assert_cmpint(ask(f, &q, &o), ==, 0);
        reduced = runs_of(&o, &kind);
        g_assert_cmpuint(reduced->len, ==, 3);
        for (size_t i = 0; i < reduced->len; i++) {
                const struct mm_run *run = &g_array_index(reduced, struct mm_run, i);

                g_assert_cmpuint(run->frame, ==, 0);
                g_assert_cmpuint(run->count, ==, 1);
                g_assert_cmphex(run->flags, ==, UINT64_C(1) << MM_FLAG_MMAP_EXCLUSIVE);
        }
        child_kill(pid);
}

/* By name, by path, by kind. */
static void test_owner(struct rounds *f, const void *data)
{
        _cleanup_(outcome_done) struct outcome o = {};
        uint64_t by_name, by_path, of_libraries, all;
        struct mm_file_id file;
        unsigned unused;
        struct target t;
        struct stat st;

        g_assert_cmpint(stat(TEST_LIBRARY, &st), ==, 0);
        file = (struct mm_file_id) { .dev = st.st_dev, .ino = st.st_ino };
        target_start(&t, TEST_TARGET, (const char *[]) { "loads", TEST_LIBRARY, NULL });
        by_name = count_pages(f, (struct question) { .pid = t.pid, .owner = "libtarget" }, &unused);
        by_path = count_pages(
                f, (struct question) { .pid = t.pid, .owner = "/any/other/path", .file = file }, &unused);
        g_assert_cmpuint(count_pages(f, (struct question) { .pid = t.pid, .owner = TEST_LIBRARY }, &unused),
                         ==, by_path);
        of_libraries = count_pages(f, (struct question) { .pid = t.pid, .owner = "library" }, &unused);
        all = count_pages(f, (struct question) { .pid = t.pid }, &unused);
        g_assert_cmpuint(by_name, ==, by_path);
        g_assert_cmpuint(by_name, >, TARGET_BSS_BYTES / PAGE);
        g_assert_cmpuint(of_libraries, >, by_name);
        g_assert_cmpuint(all, >, of_libraries);
        g_assert_cmpuint(count_pages(f, (struct question){ .pid = t.pid, .owner = "stack" }, &unused), >,
                         0);
        g_assert_cmpuint(count_pages(f, (struct question){ .pid = t.pid, .owner = "program" }, &unused), >,
                         0);
        g_assert_cmpuint(count_pages(f, (struct question) { .pid = t.pid, .owner = "vdso" }, &unused), >, 0);

        g_assert_cmpint(ask(f, &(struct question) { .pid = t.pid, .owner = "libnowhere.so.1" }, &o), ==, 0);
        g_assert_false(looked(&o)->matched);
        g_assert_cmpint(ask(f, &(struct question) { .pid = t.pid, .owner = "/no/such/file" }, &o), ==, 0);
        g_assert_false(looked(&o)->matched);
        target_stop(&t);
}

/* Memory that the children have from us. */
static char *inherited;

static void write_some(void *userdata)
{
        memset(inherited + 4 * PAGE, 'y', 2 * PAGE);
}

static int share(struct rounds *f, uint32_t type, pid_t pid, const struct worker_share *what,
                 struct outcome *o)
{
        _cleanup_(closep) int fd = -EBADF;
        struct mm_file_id exe;
        union worker_packet p;

        worker_packet_init(&p, type, sizeof(p.share));
        p.share.id = what->id;
        p.share.from = what->from;
        p.share.to = what->to;
        p.share.begins = what->begins;
        p.share.self = what->self;
        fd = open_process(f, pid, &exe);
        return call(&f->calls, &p, fd, o);
}

static const struct worker_shared *shared(const struct outcome *o)
{
        return &outcome_row(o, WORKER_ROW_SHARED)->shared;
}

static void test_sharing(struct rounds *f, const void *data)
{
        _cleanup_(outcome_done) struct outcome o = {};
        pid_t a, b, stranger;
        struct worker_share what;
        uint64_t start;

        inherited = mmap(NULL, 10 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        g_assert_true(inherited != MAP_FAILED);
        g_assert_cmpint(madvise(inherited, 10 * PAGE, MADV_NOHUGEPAGE), ==, 0);
        memset(inherited, 'x', 10 * PAGE);
        start = (uintptr_t) inherited;
        a = child_start(write_some, NULL);
        b = child_start(write_some, NULL);
        munmap(inherited, 10 * PAGE);
        stranger = child_with("a");

        what = (struct worker_share) { .id = 7, .from = start, .to = start + 10 * PAGE, .begins = true };
        g_assert_cmpint(share(f, WORKER_SHARE, a, &what, &o), ==, 0);
        g_assert_cmpuint(looked(&o)->next, ==, 0);
        g_assert_false(looked(&o)->full);
        g_assert_cmpuint(shared(&o)->n_pages[MM_PAGE_IS_ANON], ==, 8);
        g_assert_cmpuint(shared(&o)->n_mappings, ==, 16);
        g_assert_cmpuint(shared(&o)->n_runs, ==, 0);

        what = (struct worker_share) { .id = 7, .to = UINT64_MAX };
        g_assert_cmpint(share(f, WORKER_SHARE_WITH, b, &what, &o), ==, 0);
        g_assert_cmpuint(shared(&o)->n_pages[MM_PAGE_IS_ANON], ==, 8);
        g_assert_cmpuint(shared(&o)->n_runs, ==, shared(&o)->n);
        g_assert_cmpuint(shared(&o)->n, >=, 2);
        for (size_t i = 0, n = 0; i < shared(&o)->n; n += shared(&o)->runs[i++].n_pages) {
                const struct mm_shared_run *run = &shared(&o)->runs[i];

                g_assert_cmphex(run->here, ==, start + (n < 4 ? n : n + 2) * PAGE);
                g_assert_cmphex(run->there, ==, run->here);
                g_assert_cmpint(run->kind, ==, MM_PAGE_IS_ANON);
        }
        g_assert_cmpint(share(f, WORKER_SHARE_WITH, stranger, &what, &o), ==, 0);
        g_assert_cmpuint(shared(&o)->n_pages[MM_PAGE_IS_ANON], ==, 0);
        g_assert_cmpuint(shared(&o)->n_runs, ==, 0);
        what.self = true;
        g_assert_cmpint(share(f, WORKER_SHARE_WITH, a, &what, &o), ==, 0);
        g_assert_cmpuint(shared(&o)->n_pages[MM_PAGE_IS_ANON], ==, 0);

        /* Somebody else's frames are none of this one's. */
        what = (struct worker_share) { .id = 8, .to = UINT64_MAX };
        g_assert_cmpint(share(f, WORKER_SHARE_WITH, b, &what, &o), ==, -ESTALE);
        g_assert_cmpint(share(f, WORKER_SHARE, a, &what, &o), ==, -ESTALE);
        what.begins = true;
        g_assert_cmpint(share(f, WORKER_SHARE, stranger, &what, &o), ==, 0);
        g_assert_cmpuint(shared(&o)->n_pages[MM_PAGE_IS_FILE], >, 0);
        what.id = 7;
        g_assert_cmpint(share(f, WORKER_SHARE_WITH, b, &what, &o), ==, -ESTALE);
        child_kill(a);
        child_kill(b);
        child_kill(stranger);
}

static void test_gone(struct rounds *f, const void *data)
{
        static const uint32_t calls[] = { WORKER_USAGE, WORKER_PAGES, WORKER_SHARE };
        pid_t pid = child_with("a");
        struct mm_file_id exe;
        _cleanup_(closep) int fd = open_process(f, pid, &exe);
        union worker_packet p;

        child_kill(pid);
        for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
                worker_packet_init(&p, calls[i], MAX(sizeof(p.pages), sizeof(p.share)));
                if (calls[i] == WORKER_PAGES)
                        p.pages.max_runs = p.pages.max_bytes = 1;
                if (calls[i] == WORKER_SHARE)
                        p.share.begins = true;
                g_assert_cmpint(call(&f->calls, &p, fd, NULL), ==, -ESRCH);
        }
        /* No room for any run; more conditions than there can be. */
        worker_packet_init(&p, WORKER_PAGES, sizeof(p.pages));
        g_assert_cmpint(call(&f->calls, &p, fd, NULL), ==, -EBADMSG);
        p.pages.max_runs = p.pages.max_bytes = 1;
        p.pages.n_filters = WORKER_FLAG_FILTERS_MAX + 1;
        g_assert_cmpint(call(&f->calls, &p, fd, NULL), ==, -EBADMSG);
}

static void add_test(const char *name, void (*test)(struct rounds *f, const void *data))
{
        g_test_add(name, struct rounds, NULL, rounds_set_up, test, rounds_tear_down);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        add_test("/worker/pagemap/usage", test_usage);
        add_test("/worker/pagemap/by-library", test_by_library);
        add_test("/worker/pagemap/pages", test_pages);
        add_test("/worker/pagemap/owner", test_owner);
        add_test("/worker/pagemap/sharing", test_sharing);
        add_test("/worker/pagemap/gone", test_gone);
        return g_test_run();
}
