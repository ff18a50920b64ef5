/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "daemon/registry.h"
#include "lib/procfs.h"
#include "shared/macro.h"
#include "test-util.h"

#define WAIT_USEC (30U * 1000U * 1000U)

struct fixture {
        char *tree;
        int state_fd, proc_fd;
        sd_event *event;
        struct registry registry;
        struct child {
                pid_t pid;
                uint64_t start_ticks;
        } children[2];
};

static const struct worker_range low = { .start = 0x1000, .end = 0x3000 },
                                 high = { .start = 0x7fff00000000, .end = 0x7fff00008000 };

static void set_up(struct fixture *f, const void *data)
{
        f->tree = tree_new();
        f->state_fd = tree_open(f->tree);
        f->proc_fd = tree_open("/proc");
        g_assert_cmpint(sd_event_new(&f->event), ==, 0);
        registry_init(&f->registry, REGISTRY_KSM, f->event, f->state_fd);
        for (size_t i = 0; i < ELEMENTSOF(f->children); i++) {
                _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;

                f->children[i].pid = child_start(NULL, NULL);
                g_assert_cmpint(mm_process_open(f->proc_fd, f->children[i].pid, true, &p), ==, 0);
                f->children[i].start_ticks = p.start_ticks;
        }
}

static void end_child(struct child *c)
{
        child_kill(c->pid);
        c->pid = 0;
}

static void tear_down(struct fixture *f, const void *data)
{
        registry_done(&f->registry);
        for (size_t i = 0; i < ELEMENTSOF(f->children); i++)
                if (f->children[i].pid > 0)
                        end_child(&f->children[i]);
        sd_event_unref(f->event);
        safe_close(f->state_fd);
        safe_close(f->proc_fd);
        tree_free(f->tree);
}

static struct registered *add(struct fixture *f, const struct child *c, const char *domain,
                              const struct worker_range *range)
{
        _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;
        struct registered *g;

        g_assert_cmpint(mm_process_open(f->proc_fd, c->pid, true, &p), ==, 0);
        g_assert_cmpint(registry_add(&f->registry, c->pid, c->start_ticks, p.dir_fd, p.pid_fd, domain, range,
                                     1),
                        ==, 0);
        g = registry_find(&f->registry, c->pid, c->start_ticks);
        g_assert_nonnull(g);
        return g;
}

static void check_range(const struct worker_range *range, uint64_t start, uint64_t end)
{
        g_assert_cmphex(range->start, ==, start);
        g_assert_cmphex(range->end, ==, end);
}

static bool exists(const struct fixture *f, const char *name)
{
        return faccessat(f->state_fd, name, F_OK, 0) == 0;
}

static char *contents(const struct fixture *f, const char *name)
{
        g_autofree char *path = g_build_filename(f->tree, name, NULL);
        g_autoptr(GError) error = NULL;
        char *text;

        g_file_get_contents(path, &text, NULL, &error);
        g_assert_no_error(error);
        return text;
}

/* As a service that starts anew. */
static int load(struct fixture *f)
{
        registry_done(&f->registry);
        registry_init(&f->registry, REGISTRY_KSM, f->event, f->state_fd);
        return registry_load(&f->registry, f->proc_fd);
}

static void test_add(struct fixture *f, const void *data)
{
        const struct child *c = f->children;
        const struct worker_range next = { .start = 0x3000, .end = 0x4000 };
        struct registered *g;

        g_assert_null(registry_find(&f->registry, c[0].pid, c[0].start_ticks));
        g = add(f, &c[0], "one", &high);
        g_assert_cmpint(g->pid, ==, c[0].pid);
        g_assert_cmpuint(g->start_ticks, ==, c[0].start_ticks);
        g_assert_cmpstr(g->domain, ==, "one");
        g_assert_true(add(f, &c[0], "one", &low) == g);
        g_assert_true(add(f, &c[0], "one", &next) == g);
        g_assert_true(add(f, &c[0], "one", &low) == g);
        g_assert_cmpuint(g->n_ranges, ==, 2);
        check_range(&g->ranges[0], 0x1000, 0x4000);
        check_range(&g->ranges[1], high.start, high.end);

        /* The descriptors are its own, and those of the process. */
        g_assert_cmpint(faccessat(g->dir_fd, "stat", F_OK, 0), ==, 0);
        g_assert_cmpint(fcntl(g->dir_fd, F_GETFD), ==, FD_CLOEXEC);
        g_assert_cmpint(fcntl(g->pid_fd, F_GETFD), ==, FD_CLOEXEC);

        /* A pid is not a process. */
        g_assert_null(registry_find(&f->registry, c[0].pid, c[0].start_ticks + 1));
        g_assert_null(registry_find(&f->registry, c[1].pid, c[0].start_ticks));

        g_assert_null(registry_other_domain(&f->registry, "one"));
        g_assert_cmpstr(registry_other_domain(&f->registry, "three"), ==, "one");
        add(f, &c[1], "two", &low);
        g_assert_cmpuint(f->registry.n_items, ==, 2);
        g_assert_cmpstr(registry_other_domain(&f->registry, "one"), ==, "two");
        g_assert_cmpstr(registry_other_domain(&f->registry, "two"), ==, "one");
}

static void test_remove(struct fixture *f, const void *data)
{
        const struct child *c = f->children;
        const struct worker_range inner = { .start = 0x7fff00002000, .end = 0x7fff00003000 },
                                  outside = { .start = 0x9000, .end = 0xa000 };
        struct registered *g = add(f, &c[0], "one", &high);

        g_assert_true(add(f, &c[1], "one", &low) != g);
        registry_refreshed(&f->registry, g, 5, 9);
        g_assert_cmpint(registry_remove(&f->registry, g, &outside, 1), ==, 0);
        g_assert_cmpuint(g->merging_pages, ==, 5);
        g_assert_cmpint(registry_remove(&f->registry, g, &inner, 1), ==, 0);
        g_assert_cmpuint(g->n_ranges, ==, 2);
        check_range(&g->ranges[0], high.start, inner.start);
        check_range(&g->ranges[1], inner.end, high.end);
        /* What was given back was not broken by a write. */
        registry_refreshed(&f->registry, g, 3, 8);
        g_assert_cmpuint(f->registry.n_broken, ==, 0);

        g_assert_cmpint(registry_remove(&f->registry, g, &high, 1), ==, 0);
        g_assert_null(registry_find(&f->registry, c[0].pid, c[0].start_ticks));
        g_assert_nonnull(registry_find(&f->registry, c[1].pid, c[1].start_ticks));
        g_assert_cmpuint(f->registry.n_items, ==, 1);
        registry_drop(&f->registry, registry_find(&f->registry, c[1].pid, c[1].start_ticks));
        g_assert_cmpuint(f->registry.n_items, ==, 0);
        g_assert_null(registry_other_domain(&f->registry, ""));
}

static void test_figures(struct fixture *f, const void *data)
{
        struct registry *r = &f->registry;
        struct registered *a = add(f, &f->children[0], "one", &low),
                          *b = add(f, &f->children[1], "one", &low);

        /* 12 pages of 12 frames to 2 shared ones. */
        registry_refreshed(r, a, 6, 100);
        registry_refreshed(r, b, 6, 28);
        registry_account(r, 10, 2);
        g_assert_cmpuint(registry_saved_frames(r), ==, 10);
        g_assert_cmpuint(registry_merged_pages(r), ==, 12);
        g_assert_cmpuint(registry_metadata_bytes(r), ==, 128 * 64);
        g_assert_cmpuint(r->n_shared, ==, 2);

        /* Four are written to, then KSM finds five more. */
        registry_refreshed(r, a, 2, 100);
        g_assert_cmpuint(registry_saved_frames(r), ==, 6);
        g_assert_cmpuint(r->n_broken, ==, 4);
        registry_refreshed(r, a, 7, 100);
        g_assert_cmpuint(registry_saved_frames(r), ==, 10);
        g_assert_cmpuint(r->n_broken, ==, 4);

        /* Another merge, of pages that had been shared by fork: fewer frames than pages. */
        registry_settle(r);
        registry_refreshed(r, b, 16, 28);
        registry_account(r, 3, 1);
        g_assert_cmpuint(registry_merged_pages(r), ==, 23);
        g_assert_cmpuint(registry_saved_frames(r), ==, 13);

        /* What was lost before a merge stays lost. */
        registry_refreshed(r, a, 5, 100);
        registry_settle(r);
        registry_refreshed(r, a, 7, 100);
        registry_account(r, 2, 0);
        g_assert_cmpuint(registry_saved_frames(r), ==, 13);

        /* Never below nothing. */
        registry_refreshed(r, a, 0, 0);
        registry_refreshed(r, b, 0, 0);
        g_assert_cmpuint(registry_saved_frames(r), ==, 0);
        g_assert_cmpuint(registry_metadata_bytes(r), ==, 0);
        g_assert_cmpuint(r->n_broken, ==, 6 + 23);

        /* Who ended saves nothing any more; what writes have broken stays counted. */
        registry_refreshed(r, b, 16, 28);
        registry_drop(r, a);
        g_assert_cmpuint(registry_merged_pages(r), ==, 16);
        registry_drop(r, b);
        g_assert_cmpuint(registry_saved_frames(r), ==, 0);
        g_assert_cmpuint(r->n_saved + r->n_baseline + r->n_shared, ==, 0);
        g_assert_cmpuint(r->n_broken, ==, 6 + 23);
}

static void test_save_and_load(struct fixture *f, const void *data)
{
        static const char words[] = "user 0/0/0/0 in a.service (user namespace 1, pid 2, mount 3)";
        const struct child *c = f->children;
        g_autofree char *text = NULL, *again = NULL;
        struct registered *g;
        struct stat st;

        g_assert_cmpint(load(f), ==, 0);
        g_assert_cmpint(registry_save(&f->registry), ==, 0);
        g_assert_cmpint(load(f), ==, 0);
        g_assert_cmpuint(f->registry.n_items, ==, 0);

        add(f, &c[0], words, &high);
        add(f, &c[0], words, &low);
        add(f, &c[1], "other", &low);
        registry_account(&f->registry, 1ULL << 40, 2);
        f->registry.n_baseline = 12;
        g_assert_cmpint(registry_save(&f->registry), ==, 0);
        g_assert_false(exists(f, "registered.new"));
        g_assert_cmpint(fstatat(f->state_fd, "registered", &st, 0), ==, 0);
        g_assert_cmpuint(st.st_mode & 07777, ==, 0600);
        text = contents(f, "registered");

        g_assert_cmpint(load(f), ==, 0);
        g_assert_cmpuint(f->registry.n_items, ==, 2);
        g_assert_cmpuint(f->registry.n_saved, ==, 1ULL << 40);
        g_assert_cmpuint(f->registry.n_baseline, ==, 12);
        g_assert_cmpuint(f->registry.n_shared, ==, 2);
        g = registry_find(&f->registry, c[0].pid, c[0].start_ticks);
        g_assert_nonnull(g);
        g_assert_cmpstr(g->domain, ==, words);
        g_assert_cmpuint(g->n_ranges, ==, 2);
        check_range(&g->ranges[0], low.start, low.end);
        check_range(&g->ranges[1], high.start, high.end);
        g_assert_cmpint(faccessat(g->dir_fd, "stat", F_OK, 0), ==, 0);
        g = registry_find(&f->registry, c[1].pid, c[1].start_ticks);
        g_assert_nonnull(g);
        g_assert_cmpstr(g->domain, ==, "other");

        g_assert_cmpint(registry_save(&f->registry), ==, 0);
        again = contents(f, "registered");
        g_assert_cmpstr(text, ==, again);
}

static void test_load_ended(struct fixture *f, const void *data)
{
        struct child ended = f->children[0];

        add(f, &f->children[0], "one", &low);
        add(f, &f->children[1], "one", &high);
        registry_account(&f->registry, 5, 1);
        g_assert_cmpint(registry_save(&f->registry), ==, 0);

        end_child(&f->children[0]);
        g_assert_cmpint(load(f), ==, 0);
        g_assert_cmpuint(f->registry.n_items, ==, 1);
        g_assert_null(registry_find(&f->registry, ended.pid, ended.start_ticks));
        /* Its ranges went with it, into memory. */
        g_assert_true(registry_explains(&f->registry, "one", ended.start_ticks, &low, 1));
        g_assert_cmpuint(f->registry.items[0]->n_ranges, ==, 1);
        check_range(&f->registry.items[0]->ranges[0], high.start, high.end);
        g_assert_cmpuint(f->registry.n_saved, ==, 5);

        end_child(&f->children[1]);
        g_assert_cmpint(load(f), ==, 0);
        g_assert_cmpuint(f->registry.n_items, ==, 0);
        g_assert_cmpuint(f->registry.n_saved + f->registry.n_baseline + f->registry.n_shared, ==, 0);
        g_assert_true(exists(f, "registered"));
}

static void write_file(struct fixture *f, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void write_file(struct fixture *f, const char *format, ...)
{
        g_autofree char *text = NULL;
        va_list ap;

        va_start(ap, format);
        text = g_strdup_vprintf(format, ap);
        va_end(ap);
        tree_write(f->tree, "registered", text);
}

/* Frames of mergemod's can be counted, so that what nobody shares any more is known. */
static void test_direct_figures(struct fixture *f, const void *data)
{
        struct registry *r = &f->registry;
        struct registered *a, *b;

        registry_done(r);
        registry_init(r, REGISTRY_DIRECT, f->event, f->state_fd);
        a = add(f, &f->children[0], "one", &low);
        b = add(f, &f->children[1], "one", &low);

        /* 12 pages of 12 frames to 3 shared ones and, two of them, to that of zeros. */
        registry_refreshed(r, a, 6, 0);
        registry_refreshed(r, b, 6, 0);
        registry_counted(r, 3);
        registry_account(r, 9, 0);
        g_assert_cmpuint(registry_saved_frames(r), ==, 9);
        g_assert_cmpuint(registry_merged_pages(r), ==, 12);
        g_assert_cmpuint(registry_metadata_bytes(r), ==, 3 * 64);

        /* One more page is written to; then all that share a frame, which goes. */
        registry_refreshed(r, a, 5, 0);
        registry_counted(r, 3);
        g_assert_cmpuint(registry_saved_frames(r), ==, 8);
        registry_refreshed(r, a, 4, 0);
        registry_refreshed(r, b, 5, 0);
        registry_counted(r, 2);
        g_assert_cmpuint(registry_saved_frames(r), ==, 7);
        g_assert_cmpuint(r->n_broken, ==, 3);

        /* A service that was killed while it merged has not written down what that saved. */
        g_assert_cmpint(registry_save(r), ==, 0);
        registry_done(r);
        registry_init(r, REGISTRY_DIRECT, f->event, f->state_fd);
        g_assert_cmpint(registry_load(r, f->proc_fd), ==, 0);
        g_assert_cmpuint(r->n_items, ==, 2);
        registry_refreshed(r, r->items[0], 10, 0);
        registry_refreshed(r, r->items[1], 10, 0);
        registry_counted(r, 5);
        g_assert_cmpuint(registry_saved_frames(r), ==, 9 + 8 - 2);
        registry_settle(r);
        registry_account(r, 0, 0);
        g_assert_cmpuint(registry_saved_frames(r), ==, 15);

        /* It is in a file of its own. */
        registry_done(r);
        registry_init(r, REGISTRY_KSM, f->event, f->state_fd);
        g_assert_cmpint(registry_load(r, f->proc_fd), ==, 0);
        g_assert_cmpuint(r->n_items, ==, 0);
        registry_counted(r, 5);
        g_assert_cmpuint(r->n_shared, ==, 0);
}

/* The number is taken again, by a process that we have nothing to do with. */
static void test_load_reused(struct fixture *f, const void *data)
{
        const struct child *c = f->children;

        write_file(f, "mergemem registered 1\ntotals 1 2 3\nprocess %d %" PRIu64 " one\nrange 1000 3000\n",
                   c->pid, c->start_ticks - 1);
        g_assert_cmpint(load(f), ==, 0);
        g_assert_cmpuint(f->registry.n_items, ==, 0);

        write_file(f, "mergemem registered 1\ntotals 1 2 3\nprocess %d %" PRIu64 " one\nrange 1000 3000\n",
                   c->pid, c->start_ticks);
        g_assert_cmpint(load(f), ==, 0);
        g_assert_cmpuint(f->registry.n_items, ==, 1);
}

static void test_load_without_ranges(struct fixture *f, const void *data)
{
        const struct child *c = f->children;

        write_file(f,
                   "mergemem registered 1\ntotals 1 2 3\nprocess %d %" PRIu64 " one\nprocess %d %" PRIu64
                   " one\nrange 1000 3000\n",
                   c[0].pid, c[0].start_ticks, c[1].pid, c[1].start_ticks);
        g_assert_cmpint(load(f), ==, 0);
        g_assert_cmpuint(f->registry.n_items, ==, 1);
        g_assert_cmpint(f->registry.items[0]->pid, ==, c[1].pid);
}

static void test_load_damaged(struct fixture *f, const void *data)
{
        /* Of a process that lives: its good lines do not help. */
        static const char *const texts[] = {
                "mergemem registered 2\ntotals 1 2 3\n",
                "mergemem registered 1",
                "\n",
                "mergemem registered 1\ntotals 1 2\n",
                "mergemem registered 1\ntotals 1 2 3",
                "mergemem registered 1\nprocess %d %ju one\n",
                "mergemem registered 1\ntotals 1 2 3\nprocess %d %ju one\nrange 1000 3000\nrange 5000\n",
                "mergemem registered 1\ntotals 1 2 3\nprocess %d %ju one\nrange 1000 3000\nrange 500 500\n",
                "mergemem registered 1\ntotals 1 2 3\nprocess %d %ju one\nrange 1000 3000\nrange 500 400\n",
                "mergemem registered 1\ntotals 1 2 3\nprocess %d %ju one\nrange 1000 3000\nrange 4000 5000",
                "mergemem registered 1\ntotals 1 2 3\nprocess %d %ju one\nrange 1000 3000\nnonsense\n",
                "mergemem registered 1\ntotals 1 2 3\nprocess %d %ju one\nrange 1000 3000\n\n",
                "mergemem registered 1\ntotals 1 2 3\nprocess %d %ju one\nrange 1000 3000\nprocess x\n",
                "mergemem registered 1\ntotals 1 2 3\nprocess %d\n",
        };
        const struct child *c = f->children;

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                g_autofree char *start = g_strdup_printf("%" PRIu64, c->start_ticks);
                g_autofree char *pid = g_strdup_printf("%d", c->pid), *aside = NULL;
                g_autoptr(GString) text = g_string_new(texts[i]);

                g_string_replace(text, "%d", pid, 0);
                g_string_replace(text, "%ju", start, 0);
                tree_write(f->tree, "registered", text->str);
                g_test_message("%s", text->str);
                g_assert_cmpint(load(f), ==, -EBADMSG);
                g_assert_cmpuint(f->registry.n_items, ==, 0);
                g_assert_cmpuint(f->registry.n_saved + f->registry.n_baseline + f->registry.n_shared, ==, 0);
                g_assert_false(exists(f, "registered"));
                aside = contents(f, "registered.damaged");
                g_assert_cmpstr(aside, ==, text->str);
                /* The next start is not held up. */
                g_assert_cmpint(load(f), ==, 0);
        }
}

/* That we cannot open a process does not mean that it has ended. */
static void test_load_no_descriptors(struct fixture *f, const void *data)
{
        struct rlimit before, few;
        int fd, r;

        add(f, &f->children[0], "one", &low);
        g_assert_cmpint(registry_save(&f->registry), ==, 0);
        registry_done(&f->registry);
        registry_init(&f->registry, REGISTRY_KSM, f->event, f->state_fd);

        /* One is left, for the file itself. */
        fd = fcntl(f->state_fd, F_DUPFD_CLOEXEC, 0);
        g_assert_cmpint(fd, >=, 0);
        safe_close(fd);
        g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &before), ==, 0);
        few = (struct rlimit) { .rlim_cur = (rlim_t) fd + 1, .rlim_max = before.rlim_max };
        g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &few), ==, 0);
        r = registry_load(&f->registry, f->proc_fd);
        g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &before), ==, 0);
        g_assert_cmpint(r, ==, -EMFILE);
        g_assert_cmpuint(f->registry.n_items, ==, 0);

        g_assert_cmpint(load(f), ==, 0);
        g_assert_cmpuint(f->registry.n_items, ==, 1);
}

static void test_load_many(struct fixture *f, const void *data)
{
        enum { RANGES = 50000 };
        const struct child *c = f->children;
        g_autoptr(GString) text = g_string_new("mergemem registered 1\ntotals 0 0 0\n");

        g_string_append_printf(text, "process %d %" PRIu64 " one\n", c->pid, c->start_ticks);
        for (unsigned i = 1; i <= RANGES; i++)
                g_string_append_printf(text, "range %x %x\n", i * 0x2000, i * 0x2000 + 0x1000);
        tree_write(f->tree, "registered", text->str);
        g_assert_cmpint(load(f), ==, 0);
        g_assert_cmpuint(f->registry.n_items, ==, 1);
        g_assert_cmpuint(f->registry.items[0]->n_ranges, ==, RANGES);
        check_range(&f->registry.items[0]->ranges[RANGES - 1], RANGES * 0x2000, RANGES * 0x2000 + 0x1000);
}

/* Nobody else may lead us to other files. */
static void test_links(struct fixture *f, const void *data)
{
        g_autofree char *text = NULL;

        tree_write(f->tree, "elsewhere", "untouched");
        tree_link(f->tree, "registered.new", "elsewhere");
        g_assert_cmpint(registry_save(&f->registry), ==, -ELOOP);
        text = contents(f, "elsewhere");
        g_assert_cmpstr(text, ==, "untouched");
        g_assert_false(exists(f, "registered"));

        tree_link(f->tree, "registered", "elsewhere");
        g_assert_cmpint(load(f), ==, -ELOOP);
        g_assert_true(exists(f, "elsewhere"));
}

static bool file_names(const struct fixture *f, pid_t pid)
{
        g_autofree char *text = contents(f, "registered"), *line = g_strdup_printf("\nprocess %d ", pid);

        return strstr(text, line);
}

static void test_exit(struct fixture *f, const void *data)
{
        const struct child ended = f->children[0], *lives = &f->children[1];
        gint64 until = g_get_monotonic_time() + WAIT_USEC;

        add(f, &f->children[0], "one", &low);
        add(f, lives, "one", &high);
        g_assert_cmpint(registry_save(&f->registry), ==, 0);
        while (sd_event_run(f->event, 0) > 0)
                ;
        g_assert_cmpuint(f->registry.n_items, ==, 2);

        /* Even while nobody waits for it. */
        child_make_zombie(ended.pid);
        while (f->registry.n_items == 2 && g_get_monotonic_time() < until)
                g_assert_cmpint(sd_event_run(f->event, WAIT_USEC), >=, 0);
        g_assert_cmpuint(f->registry.n_items, ==, 1);
        g_assert_null(registry_find(&f->registry, ended.pid, ended.start_ticks));
        g_assert_true(registry_explains(&f->registry, "one", registry_now_ticks() - 1, &low, 1) ||
                      registry_explains(&f->registry, "one", registry_now_ticks(), &low, 1));
        g_assert_false(registry_explains(&f->registry, "one", ended.start_ticks - 1, &low, 1));
        g_assert_nonnull(registry_find(&f->registry, lives->pid, lives->start_ticks));
        g_assert_cmpint(waitpid(ended.pid, NULL, 0), ==, ended.pid);
        f->children[0].pid = 0;

        /* Thousands may end at once, and the file is not written for each: a start finds who lives. */
        g_assert_true(file_names(f, ended.pid));
        g_assert_cmpint(load(f), ==, 0);
        g_assert_cmpuint(f->registry.n_items, ==, 1);
        g_assert_nonnull(registry_find(&f->registry, lives->pid, lives->start_ticks));
}

static void add_test(const char *name, void (*test)(struct fixture *f, const void *data))
{
        g_test_add(name, struct fixture, NULL, set_up, test, tear_down);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        add_test("/registry/add", test_add);
        add_test("/registry/remove", test_remove);
        add_test("/registry/figures", test_figures);
        add_test("/registry/direct-figures", test_direct_figures);
        add_test("/registry/save-and-load", test_save_and_load);
        add_test("/registry/load/ended", test_load_ended);
        add_test("/registry/load/reused", test_load_reused);
        add_test("/registry/load/without-ranges", test_load_without_ranges);
        add_test("/registry/load/damaged", test_load_damaged);
        add_test("/registry/load/no-descriptors", test_load_no_descriptors);
        add_test("/registry/load/many", test_load_many);
        add_test("/registry/links", test_links);
        add_test("/registry/exit", test_exit);
        return g_test_run();
}
