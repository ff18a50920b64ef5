/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <glib.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "daemon/layout-text.h"
#include "lib/procfs.h"
#include "shared/macro.h"
#include "test-util.h"

#define WEB 33U
#define MAIL 8U

struct fixture {
        char *tree;
        int tree_fd, proc_fd;
        struct layouts layouts;
        GArray *children;
};

/* What the next service would know. */
static void load(struct fixture *f)
{
        layouts_done(&f->layouts);
        g_assert_cmpint(layouts_load(&f->layouts, f->tree_fd, f->proc_fd), ==, 0);
}

static void set_up(struct fixture *f, const void *data)
{
        f->tree = tree_new();
        f->tree_fd = tree_open(f->tree);
        f->proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        f->layouts = (struct layouts) { .dir_fd = -EBADF };
        f->children = g_array_new(FALSE, FALSE, sizeof(pid_t));
        load(f);
}

static void tear_down(struct fixture *f, const void *data)
{
        for (guint i = 0; i < f->children->len; i++)
                child_kill(g_array_index(f->children, pid_t, i));
        g_array_free(f->children, TRUE);
        layouts_done(&f->layouts);
        safe_close(f->tree_fd);
        safe_close(f->proc_fd);
        tree_free(f->tree);
}

static void nothing(void *userdata)
{
}

static pid_t start(struct fixture *f)
{
        pid_t pid = child_start(nothing, NULL);

        g_array_append_val(f->children, pid);
        return pid;
}

static void end(struct fixture *f, pid_t pid)
{
        for (guint i = 0; i < f->children->len; i++)
                if (g_array_index(f->children, pid_t, i) == pid)
                        g_array_remove_index_fast(f->children, i--);
        child_kill(pid);
}

static uint64_t ticks_of(struct fixture *f, pid_t pid)
{
        _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;

        g_assert_cmpint(mm_process_open(f->proc_fd, pid, false, &p), ==, 0);
        return p.start_ticks;
}

static void give(struct fixture *f, struct layout *g, pid_t pid)
{
        int pid_fd = (int) syscall(SYS_pidfd_open, pid, 0);

        g_assert_cmpint(pid_fd, >=, 0);
        g_assert_cmpint(layouts_give(&f->layouts, g, pid, ticks_of(f, pid), pid_fd, 1000), ==, 0);
}

static struct layout *get(struct fixture *f, bool unit, uid_t uid, const char *name)
{
        struct layout *g = NULL;

        g_assert_cmpint(layouts_get(&f->layouts, unit, uid, name, 500, &g), ==, 0);
        g_assert_nonnull(g);
        return g;
}

static char *path_of(const struct layout *g)
{
        return g_strdup_printf(LAYOUT_DIRECTORY "/%" G_GUINT64_FORMAT, g->number);
}

static void test_names(void)
{
        g_autofree char *longest = g_strnfill(LAYOUT_NAME_MAX, 'a');
        g_autofree char *longer = g_strnfill(LAYOUT_NAME_MAX + 1, 'a');
        static const char *const good[] = { "a", "web.service", "foo@bar.service", "dev-sda\\x2d1.swap",
                                            "A:B_c.d-9", ".", "..", "-", "@" };
        static const char *const bad[] = { "", "a b", "a/b", "a\n", "\xc3\xa4", "a*", "%n", "a\x7f" };

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                g_assert_true(layout_name_is_valid(good[i]));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                g_assert_false(layout_name_is_valid(bad[i]));
        g_assert_true(layout_name_is_valid(longest));
        g_assert_false(layout_name_is_valid(longer));
}

/* A secret for each unit or name and each user, and no two of them the same. */
static void test_groups(struct fixture *f, const void *data)
{
        struct layout *g[] = {
                get(f, true, WEB, "web.service"),   get(f, false, WEB, "web.service"),
                get(f, true, MAIL, "web.service"),  get(f, true, WEB, "web@1.service"),
                get(f, false, WEB, "web.servic"),
        };
        const uint8_t none[LAYOUT_SECRET_BYTES] = {};

        for (size_t i = 0; i < ELEMENTSOF(g); i++) {
                g_assert_true(memcmp(g[i]->secret, none, sizeof(none)) != 0);
                for (size_t k = 0; k < i; k++)
                        g_assert_true(memcmp(g[i]->secret, g[k]->secret, sizeof(none)) != 0);
        }
        g_assert_true(get(f, true, WEB, "web.service") == g[0]);
        g_assert_cmpuint(f->layouts.n, ==, ELEMENTSOF(g));
        g_assert_cmpuint(g[0]->drawn_usec, ==, 500);
        g_assert_null(layouts_find(&f->layouts, true, 0, "web.service"));
}

static void test_files(struct fixture *f, const void *data)
{
        struct layout *g = get(f, true, WEB, "web.service");
        struct layout before = *g;
        g_autofree char *path = path_of(g);
        struct stat st;

        give(f, g, getpid());
        g_assert_cmpint(fstatat(f->tree_fd, LAYOUT_DIRECTORY, &st, 0), ==, 0);
        g_assert_cmpint(st.st_mode & 07777, ==, 0700);
        g_assert_cmpint(fstatat(f->tree_fd, path, &st, 0), ==, 0);
        g_assert_cmpint(st.st_mode & 07777, ==, 0600);

        load(f);
        g_assert_cmpuint(f->layouts.n, ==, 1);
        g = get(f, true, WEB, "web.service");
        g_assert_cmpmem(g->secret, sizeof(g->secret), before.secret, sizeof(before.secret));
        g_assert_cmpuint(g->number, ==, before.number);
        g_assert_cmpuint(g->drawn_usec, ==, 500);
        g_assert_cmpuint(g->last_usec, ==, 1000);
        g_assert_cmpuint(g->n_given, ==, 1);
        g_assert_cmpuint(g->n_processes, ==, 1);
        /* And one more does not take its place. */
        g_assert_cmpuint(get(f, true, WEB, "other.service")->number, !=, before.number);
}

/* Whoever is written down may have ended meanwhile, or have left his number to somebody else. */
static void test_processes(struct fixture *f, const void *data)
{
        struct layout *g = get(f, false, WEB, "fleet"), *other = get(f, false, WEB, "other");
        pid_t pids[3];

        for (size_t i = 0; i < ELEMENTSOF(pids); i++) {
                pids[i] = start(f);
                give(f, g, pids[i]);
        }
        give(f, g, pids[0]);
        g_assert_cmpuint(g->n_given, ==, 4);
        g_assert_cmpuint(g->n_processes, ==, 3);
        give(f, other, pids[1]);
        g_assert_cmpuint(g->n_processes, ==, 2);
        g_assert_cmpuint(other->n_processes, ==, 1);
        give(f, g, pids[1]);

        end(f, pids[2]);
        layouts_sweep(&f->layouts);
        g_assert_cmpuint(g->n_processes, ==, 2);
        end(f, pids[0]);
        load(f);
        g = get(f, false, WEB, "fleet");
        g_assert_cmpuint(g->n_processes, ==, 1);
        g_assert_cmpuint(g->n_given, ==, 5);

        g_assert_cmpint(layouts_add_process(&f->layouts, g, getpid(), 1, -EBADF), ==, 0);
        g_assert_cmpint(layout_save(&f->layouts, g), ==, 0);
        load(f);
        g_assert_cmpuint(get(f, false, WEB, "fleet")->n_processes, ==, 1);
}

static void test_group_of(struct fixture *f, const void *data)
{
        struct layout *g = get(f, false, WEB, "fleet");
        pid_t pid = start(f);
        uint64_t ticks = ticks_of(f, pid);

        give(f, g, pid);
        g_assert_cmpuint(layouts_group_of(&f->layouts, pid, ticks, 1), ==, g->number);
        g_assert_cmpuint(layouts_group_of(&f->layouts, pid, ticks + 1, 1), ==, 0);
        g_assert_cmpuint(layouts_group_of(&f->layouts, pid + 1, ticks, 1), ==, 0);
        /* Its child. */
        g_assert_cmpuint(layouts_group_of(&f->layouts, pid + 1, ticks + 1, pid), ==, g->number);
        /* Somebody else's, who has its number now. */
        end(f, pid);
        g_assert_cmpuint(layouts_group_of(&f->layouts, pid + 1, ticks + 1, pid), ==, 0);
}

static void test_rotate(struct fixture *f, const void *data)
{
        struct layout *g = get(f, true, WEB, "web.service");
        struct layout before = *g, after;

        give(f, g, getpid());
        g_assert_cmpint(layouts_rotate(&f->layouts, g, 2000), ==, 0);
        g_assert_true(memcmp(before.secret, g->secret, sizeof(g->secret)) != 0);
        g_assert_cmpuint(g->drawn_usec, ==, 2000);
        g_assert_cmpuint(g->n_given, ==, 0);
        g_assert_cmpuint(g->n_processes, ==, 0);
        g_assert_cmpuint(f->layouts.n_processes, ==, 0);
        after = *g;
        load(f);
        g = get(f, true, WEB, "web.service");
        g_assert_cmpmem(g->secret, sizeof(g->secret), after.secret, sizeof(after.secret));

        /* Where it cannot be written down nothing changes. */
        give(f, g, getpid());
        after = *g;
        safe_close(f->layouts.dir_fd);
        f->layouts.dir_fd = -EBADF;
        g_assert_cmpint(layouts_rotate(&f->layouts, g, 3000), <, 0);
        g_assert_cmpmem(g, sizeof(*g), &after, sizeof(after));
        g_assert_cmpuint(f->layouts.n_processes, ==, 1);
        g_assert_cmpint(layouts_get(&f->layouts, true, WEB, "new.service", 1, &g), <, 0);
        g_assert_null(layouts_find(&f->layouts, true, WEB, "new.service"));
}

/* A bit of it, or all of it, or who else could have read it: it is set aside, and drawn anew. */
static void test_damage(struct fixture *f, const void *data)
{
        g_autofree char *path = path_of(get(f, true, WEB, "web.service"));
        g_autofree char *aside = g_strconcat(path, ".damaged", NULL);
        g_autofree char *whole = g_build_filename(f->tree, path, NULL), *text = NULL;
        size_t size;

        give(f, get(f, true, WEB, "web.service"), getpid());
        get(f, true, MAIL, "mail.service");
        g_assert_true(g_file_get_contents(whole, &text, &size, NULL));
        for (size_t at = 0; at < size + 3; at++) {
                g_autofree char *changed = g_memdup2(text, size);
                gssize n = (gssize) size;

                if (at < size)
                        changed[at] ^= 1;
                else if (at == size)
                        n--;
                else if (at == size + 1)
                        n = 0;
                g_assert_true(g_file_set_contents(whole, changed, n, NULL));
                g_assert_cmpint(chmod(whole, at < size + 2 ? 0600 : 0640), ==, 0);
                load(f);
                g_assert_cmpint(faccessat(f->tree_fd, path, F_OK, 0), ==, -1);
                g_assert_cmpint(faccessat(f->tree_fd, aside, F_OK, 0), ==, 0);
                g_assert_null(layouts_find(&f->layouts, true, WEB, "web.service"));
                g_assert_nonnull(layouts_find(&f->layouts, true, MAIL, "mail.service"));
                g_assert_cmpint(unlinkat(f->tree_fd, aside, 0), ==, 0);
        }
        /* As it was. */
        g_assert_true(g_file_set_contents(whole, text, (gssize) size, NULL));
        g_assert_cmpint(chmod(whole, 0600), ==, 0);
        load(f);
        g_assert_nonnull(layouts_find(&f->layouts, true, WEB, "web.service"));
}

/* Names that are none of ours, links, and one group twice. */
static void test_strangers(struct fixture *f, const void *data)
{
        g_autofree char *path = path_of(get(f, true, WEB, "web.service"));
        g_autofree char *whole = g_build_filename(f->tree, path, NULL);
        g_autofree char *second = g_build_filename(f->tree, LAYOUT_DIRECTORY "/70", NULL), *text = NULL;

        g_assert_true(g_file_get_contents(whole, &text, NULL, NULL));
        tree_write(f->tree, LAYOUT_DIRECTORY "/007", text);
        tree_write(f->tree, LAYOUT_DIRECTORY "/0", text);
        tree_write(f->tree, LAYOUT_DIRECTORY "/web", text);
        tree_write(f->tree, LAYOUT_DIRECTORY "/.new", text);
        tree_link(f->tree, LAYOUT_DIRECTORY "/60", "1");
        g_assert_true(g_file_set_contents(second, text, -1, NULL));
        g_assert_cmpint(chmod(second, 0600), ==, 0);
        load(f);
        g_assert_cmpuint(f->layouts.n, ==, 1);
        g_assert_cmpint(faccessat(f->tree_fd, LAYOUT_DIRECTORY "/60.damaged", F_OK, AT_SYMLINK_NOFOLLOW), ==,
                        0);
        g_assert_cmpint(faccessat(f->tree_fd, LAYOUT_DIRECTORY "/web", F_OK, 0), ==, 0);
        /* What was left half written is in nobody's way. */
        g_assert_cmpuint(get(f, true, WEB, "x.service")->number, ==, 71);
}

static void test_boot(struct fixture *f, const void *data)
{
        struct layout *g = get(f, true, WEB, "web.service"), read = {};
        _cleanup_(freep) struct layout_process *processes = NULL;
        _cleanup_(freep) char *text = NULL;
        g_autofree char *path = path_of(g), *whole = g_build_filename(f->tree, path, NULL);
        sd_id128_t here, elsewhere = { .bytes = { 1 } };
        size_t size, n;

        give(f, g, getpid());
        g_assert_cmpint(sd_id128_get_boot(&here), ==, 0);
        g_assert_cmpint(layout_format(g, &elsewhere, f->layouts.processes, f->layouts.n_processes, &text,
                                      &size),
                        ==, 0);
        g_assert_cmpint(layout_parse(text, size, &here, &read, &processes, &n), ==, -ESTALE);
        g_assert_cmpint(layout_parse(text, size, &elsewhere, &read, &processes, &n), ==, 0);
        g_assert_cmpuint(n, ==, 1);
        g_assert_cmpint(processes[0].pid, ==, getpid());

        g_assert_true(g_file_set_contents(whole, text, (gssize) size, NULL));
        g_assert_cmpint(chmod(whole, 0600), ==, 0);
        load(f);
        g_assert_cmpuint(f->layouts.n, ==, 0);
        g_assert_cmpint(faccessat(f->tree_fd, path, F_OK, 0), ==, -1);
}

static struct layout *get_numbered(struct fixture *f, uid_t uid, unsigned i, int expected)
{
        g_autofree char *name = g_strdup_printf("group-%u", i);
        struct layout *g = NULL;

        g_assert_cmpint(layouts_get(&f->layouts, false, uid, name, 100 + i, &g), ==, expected);
        return g;
}

/* A user's groups make room for each other, and for nobody's while they are in use. */
static void test_limit(struct fixture *f, const void *data)
{
        g_autofree char *path = NULL;

        get(f, true, MAIL, "mail.service");
        for (unsigned i = 0; i < LAYOUTS_PER_USER_MAX; i++)
                get_numbered(f, WEB, i, 0);
        give(f, layouts_find(&f->layouts, false, WEB, "group-0"), getpid());
        path = path_of(layouts_find(&f->layouts, false, WEB, "group-1"));
        get_numbered(f, WEB, 1000, 0);
        g_assert_nonnull(layouts_find(&f->layouts, false, WEB, "group-0"));
        g_assert_null(layouts_find(&f->layouts, false, WEB, "group-1"));
        g_assert_nonnull(layouts_find(&f->layouts, false, WEB, "group-2"));
        g_assert_nonnull(layouts_find(&f->layouts, true, MAIL, "mail.service"));
        g_assert_cmpint(faccessat(f->tree_fd, path, F_OK, 0), ==, -1);
        g_assert_cmpuint(f->layouts.n, ==, LAYOUTS_PER_USER_MAX + 1);

        /* All in use. */
        for (size_t i = 0; i < f->layouts.n; i++)
                f->layouts.items[i]->n_processes++;
        get_numbered(f, WEB, 1001, -ENOBUFS);
        get_numbered(f, MAIL, 1001, 0);
        g_assert_cmpuint(f->layouts.n, ==, LAYOUTS_PER_USER_MAX + 2);
        for (size_t i = 0; i < f->layouts.n; i++)
                f->layouts.items[i]->n_processes = 0;
}

static void test_limit_all(struct fixture *f, const void *data)
{
        const size_t others = LAYOUTS_MAX - LAYOUTS_OF_ROOT;

        for (unsigned i = 0; i < others; i++) {
                get_numbered(f, 1000U + i / LAYOUTS_PER_USER_MAX, i, 0);
                f->layouts.items[i]->n_processes++;
        }
        get_numbered(f, 2000, 0, -ENOBUFS);
        for (unsigned i = 0; i < LAYOUTS_OF_ROOT; i++)
                get_numbered(f, 0, i, 0)->n_processes++;
        get_numbered(f, 0, 5000, -ENOBUFS);
        /* One that ends makes room for whoever comes. */
        f->layouts.items[7]->n_processes = 0;
        get_numbered(f, 2000, 0, 0);
        g_assert_cmpuint(f->layouts.n, ==, LAYOUTS_MAX);
        for (size_t i = 0; i < f->layouts.n; i++)
                f->layouts.items[i]->n_processes = 0;
}

/* Of more than can be remembered, some are not, and that is known. */
static void test_forgetful(struct fixture *f, const void *data)
{
        struct layout *g = get(f, false, WEB, "fleet"), *other = get(f, false, MAIL, "fleet");
        int pid_fd = (int) syscall(SYS_pidfd_open, getpid(), 0);

        for (unsigned i = 0; i < LAYOUT_PROCESSES_PER_USER_MAX; i++) {
                int fd = fcntl(pid_fd, F_DUPFD_CLOEXEC, 3);

                g_assert_cmpint(layouts_add_process(&f->layouts, g, getpid(), i, fd), ==, 0);
        }
        g_assert_false(g->forgetful);
        give(f, g, getpid());
        g_assert_true(g->forgetful);
        g_assert_cmpuint(g->n_processes, ==, LAYOUT_PROCESSES_PER_USER_MAX);
        give(f, other, getpid());
        g_assert_false(other->forgetful);
        /* That many fit into its file. */
        load(f);
        g = get(f, false, WEB, "fleet");
        g_assert_true(g->forgetful);
        g_assert_cmpuint(g->n_processes, ==, 0);
        safe_close(pid_fd);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/layout/names", test_names);
#define ADD(name, test) g_test_add(name, struct fixture, NULL, set_up, test, tear_down)
        ADD("/layout/groups", test_groups);
        ADD("/layout/files", test_files);
        ADD("/layout/processes", test_processes);
        ADD("/layout/group-of", test_group_of);
        ADD("/layout/rotate", test_rotate);
        ADD("/layout/damage", test_damage);
        ADD("/layout/strangers", test_strangers);
        ADD("/layout/boot", test_boot);
        ADD("/layout/limit", test_limit);
        ADD("/layout/limit-all", test_limit_all);
        ADD("/layout/forgetful", test_forgetful);
        return g_test_run();
}
