/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"
#include "ctl/layout-drop-in.h"
#include "shared/log.h"
#include "shared/names.h"
#include "test-util.h"

/* The drop-in that enable-layout writes: its text, what it refuses, and what systemd makes of it. */

#define ETC "etc/systemd/system/"
#define RUN "run/systemd/system/"
#define LIB "usr/lib/systemd/system/"
#define SYSTEMD "/usr/lib/systemd/systemd"

#define LAUNCH "/usr/bin/mergemem-run -- "

struct fixture {
        char *tree;
        struct unit_root root;
};

static void set_up(struct fixture *f, const void *data)
{
        static const char *const targets[] = { "sysinit", "basic", "shutdown" };

        f->tree = tree_new();
        /* systemd is asked as a user who is nobody. */
        g_assert_cmpint(chmod(f->tree, 0755), ==, 0);
        for (size_t i = 0; i < G_N_ELEMENTS(targets); i++) {
                g_autofree char *path = g_strconcat(LIB, targets[i], ".target", NULL);

                tree_write(f->tree, path, "[Unit]\n");
        }
        tree_write(f->tree, ETC "other.service", "[Service]\n");
        tree_write(f->tree, MERGEMEM_RUN + 1, "");
        g_assert_cmpint(unit_root_open(f->tree, &f->root), ==, 0);
}

static void tear_down(struct fixture *f, const void *data)
{
        unit_root_done(&f->root);
        tree_free(f->tree);
}

static int compose(struct fixture *f, const char *name, char **ret, char **ret_notes)
{
        const struct layout_drop_in_options o = { .launcher = "/usr/bin/mergemem-run" };
        struct unit u = {};
        int r;

        g_assert_cmpint(unit_read(&f->root, name, LAYOUT_DROP_IN, &u), ==, 0);
        r = layout_drop_in(&u, &o, ret, ret_notes);
        unit_done(&u);
        return r;
}

/* What it has behind "[Service]". */
static void expect(struct fixture *f, const char *text, const char *expected, const char *expected_notes)
{
        char *written = NULL, *notes = NULL, *service;

        tree_write(f->tree, LIB "a.service", text);
        g_assert_cmpint(compose(f, "a.service", &written, &notes), ==, 0);
        g_assert_true(g_str_has_prefix(written, "# Written by \"mergememctl enable-layout a.service\""));
        g_assert_nonnull(strstr(written, "\n[Unit]\nWants=mergememd.service\nAfter=mergememd.service\n"));
        service = strstr(written, "[Service]\n");
        g_assert_nonnull(service);
        g_assert_cmpstr(service + strlen("[Service]\n"), ==, expected);
        if (*expected_notes)
                g_assert_nonnull(strstr(notes, expected_notes));
        else
                g_assert_cmpstr(notes, ==, "");
        free(written);
        free(notes);
}

static void test_text(struct fixture *f, const void *data)
{
        expect(f, "[Service]\nExecStart=/bin/a b\n", "ExecStart=\nExecStart=" LAUNCH "/bin/a b\n", "");
        expect(f, "[Service]\nType=oneshot\n"
                  "ExecStart=/bin/a\nExecStart=-/bin/b\nExecStart=/bin/c ; +/bin/d\n",
               "ExecStart=\n"
               "ExecStart=" LAUNCH "/bin/a\n"
               "ExecStart=-" LAUNCH "/bin/b\n"
               "ExecStart=" LAUNCH "/bin/c ; +" LAUNCH "/bin/d\n",
               "");
        /* What is taken back does not count; nor what is no assignment of ours. */
        expect(f,
               "[Service]\nExecStart=/bin/a\nExecStartPre=/bin/b\nExecStart=\nExecStart=/bin/c \\\n  d\n"
               "[Install]\nExecStart=/bin/e\n",
               "ExecStart=\nExecStart=" LAUNCH "/bin/c    d\n", "");
        expect(f, "[Service]\nExecStart=/bin/a\nSystemCallFilter=@system-service\nLockPersonality=yes\n"
                  "LockPersonality=no\nMemoryDenyWriteExecute=yes\nNoNewPrivileges=yes\nDynamicUser=yes\n"
                  "RestrictAddressFamilies=AF_INET\nRestrictAddressFamilies=AF_UNIX AF_INET6\n",
               "ExecStart=\nExecStart=" LAUNCH "/bin/a\nSystemCallFilter=personality ptrace\n",
               "SystemCallFilter=");
        expect(f, "[Service]\nExecStart=/bin/a\nSystemCallFilter=~@debug\nSystemCallFilter=\n"
                  "RestrictAddressFamilies=~AF_PACKET\nLimitSTACK=8M:infinity\n",
               "ExecStart=\nExecStart=" LAUNCH "/bin/a\n", "");
        expect(f, "[Service]\nExecStart=/bin/a\nLimitSTACK=8M\n",
               "ExecStart=\nExecStart=" LAUNCH "/bin/a\n", "LimitSTACK=8M");
}

static void test_options(struct fixture *f, const void *data)
{
        const struct layout_drop_in_options o = {
                .launcher = "/opt/mergemem-run", .stable_hash = true, .ksm = true, .fallback = true
        };
        char *text, *notes;
        struct unit u = {};

        tree_write(f->tree, LIB "a\\x2db@.service", "[Service]\nExecStart=-/bin/a %i\n");
        g_assert_cmpint(unit_read(&f->root, "a\\x2db@.service", LAYOUT_DROP_IN, &u), ==, 0);
        g_assert_cmpint(layout_drop_in(&u, &o, &text, &notes), ==, 0);
        g_assert_nonnull(strstr(text, "\nExecStart=-/opt/mergemem-run --group=a\\\\x2db@.service "
                                      "--stable-hash --ksm --fallback -- /bin/a %i\n"));
        free(text);
        free(notes);
        unit_done(&u);
        /* An instance by itself is the group of its unit. */
        g_assert_cmpint(compose(f, "a\\x2db@c.service", &text, &notes), ==, 0);
        g_assert_nonnull(strstr(text, "\nExecStart=-/usr/bin/mergemem-run -- /bin/a %i\n"));
        free(text);
        free(notes);
}

/* The launcher knows all that the drop-in says to it. */
static void test_launcher(struct fixture *f, const void *data)
{
        const char *argv[] = { g_getenv("MERGEMEM_RUN"), "--group=a\\x2db@.service", "--stable-hash",
                               "--ksm", "--fallback", "--help", "--", "/bin/a", NULL };
        g_autofree char *out = NULL, *err = NULL;
        int status;

        g_assert_true(g_spawn_sync(NULL, (char **) argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &out, &err,
                                   &status, NULL));
        g_assert_cmpint(status, ==, 0);
        g_assert_cmpstr(err, ==, "");
}

static void test_refused(struct fixture *f, const void *data)
{
        static const char *const cases[][2] = {
                { "[Service]\nExecStart=@/bin/a b\n", "/a.service, line 2, ExecStart=: \"@\"" },
                { "[Service]\nExecStart=/bin/a\nExecStart=\nExecStop=/bin/b\n", "no ExecStart=" },
                { "[Service]\nType=oneshot\nExecStop=/bin/b\n", "no ExecStart=" },
                { "[Service]\nExecStart=/bin/a\nLockPersonality=yes\n", "LockPersonality=yes" },
                { "[Service]\nExecStart=/bin/a\nLockPersonality=no\nLockPersonality=on\n",
                  "LockPersonality=" },
                { "[Service]\nExecStart=/bin/a\nRootDirectory=/srv\n", "RootDirectory=" },
                { "[Service]\nExecStart=/bin/a\nRootImage=/srv/x\n", "RootImage=" },
                { "[Service]\nExecStart=/bin/a\nRestrictAddressFamilies=AF_INET AF_INET6\n", "AF_UNIX" },
                { "[Service]\nExecStart=/bin/a\nRestrictAddressFamilies=none\n", "AF_UNIX" },
                { "[Service]\nExecStart=/bin/a\nRestrictAddressFamilies=~AF_UNIX AF_INET\n", "AF_UNIX" },
                { "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/bin/a\n", "before mergememd" },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                char *text = NULL, *notes = NULL;

                tree_write(f->tree, LIB "a.service", cases[i][0]);
                g_assert_cmpint(compose(f, "a.service", &text, &notes), ==, -EOPNOTSUPP);
                g_assert_null(text);
                if (!strstr(log_last_error(), cases[i][1]))
                        g_error("%s", log_last_error());
        }
}

/* Drop-ins that are read before ours count, those after it would undo it. */
static void test_order(struct fixture *f, const void *data)
{
        char *text = NULL, *notes = NULL;

        tree_write(f->tree, LIB "a.service", "[Service]\nExecStart=/bin/a\n");
        tree_write(f->tree, ETC "a.service.d/10-other.conf", "[Service]\nExecStart=\nExecStart=/bin/b\n");
        tree_write(f->tree, ETC "a.service.d/" LAYOUT_DROP_IN,
                   "[Service]\nExecStart=\nExecStart=/bin/ours\n");
        tree_write(f->tree, ETC "a.service.d/90-late.conf", "[Service]\nEnvironment=A=1\n");
        g_assert_cmpint(compose(f, "a.service", &text, &notes), ==, 0);
        g_assert_nonnull(strstr(text, "\nExecStart=\nExecStart=/usr/bin/mergemem-run -- /bin/b\n"));
        free(text);
        free(notes);
        tree_write(f->tree, ETC "a.service.d/90-late.conf", "[Service]\nExecStart=\nExecStart=/bin/c\n");
        g_assert_cmpint(compose(f, "a.service", &text, &notes), ==, -EOPNOTSUPP);
        g_assert_nonnull(strstr(log_last_error(), "a.service.d/90-late.conf, line 2"));
}

/* Runs mergememctl; *@ret_out is what it said, on standard error behind all else. */
static int ctl(struct fixture *f, char **ret_out, const char *verb, const char *unit, const char *option)
{
        g_autofree char *root = g_strconcat("--root=", f->tree, NULL), *out = NULL, *err = NULL;
        const char *argv[] = { g_getenv("MERGEMEMCTL"), root, verb, unit, option, NULL };
        int status;

        g_assert_true(g_spawn_sync(NULL, (char **) argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &out, &err,
                                   &status, NULL));
        g_assert_true(WIFEXITED(status));
        if (ret_out)
                *ret_out = g_strconcat(out, err, NULL);
        return WEXITSTATUS(status);
}

static char *read_drop_in(struct fixture *f, const char *unit)
{
        g_autofree char *path = g_strdup_printf("%s/" ETC "%s.d/" LAYOUT_DROP_IN, f->tree, unit);
        char *text = NULL;

        (void) g_file_get_contents(path, &text, NULL, NULL);
        return text;
}

static void test_ctl(struct fixture *f, const void *data)
{
        g_autofree char *dir = g_build_filename(f->tree, ETC "a.service.d", NULL), *said = NULL,
                        *launcher = g_build_filename(f->tree, MERGEMEM_RUN, NULL), *text = NULL;
        struct stat st;

        tree_write(f->tree, LIB "a.service", "[Service]\nExecStart=/bin/a\n");
        tree_link(f->tree, LIB "alias.service", "a.service");
        g_assert_cmpint(ctl(f, &said, "enable-layout", "a", "--dry-run"), ==, 0);
        g_assert_nonnull(strstr(said, "\nExecStart=" MERGEMEM_RUN " -- /bin/a\n"));
        g_assert_nonnull(strstr(said, "Nothing is written"));
        g_assert_cmpint(stat(dir, &st), ==, -1);

        /* Shown and written are the same. */
        umask(077);
        g_free(said);
        g_assert_cmpint(ctl(f, &said, "enable-layout", "alias.service", NULL), ==, 0);
        text = read_drop_in(f, "a.service");
        g_assert_nonnull(text);
        g_assert_nonnull(strstr(said, text));
        g_assert_nonnull(strstr(said, "disable-layout a.service"));
        g_assert_cmpint(stat(dir, &st), ==, 0);
        g_assert_cmpint(st.st_mode & 07777, ==, 0755);
        umask(022);
        /* Again, which is no second launcher; then with more. */
        g_assert_cmpint(ctl(f, NULL, "enable-layout", "a.service", "--quiet"), ==, 0);
        g_free(said);
        said = read_drop_in(f, "a.service");
        g_assert_cmpstr(said, ==, text);
        g_assert_cmpint(ctl(f, NULL, "enable-layout", "a.service", "--stable-hash"), ==, 0);
        g_free(said);
        said = read_drop_in(f, "a.service");
        g_assert_nonnull(strstr(said, " --stable-hash -- /bin/a\n"));

        g_assert_cmpint(ctl(f, NULL, "disable-layout", "a", "--dry-run"), ==, 0);
        g_free(text);
        text = read_drop_in(f, "a.service");
        g_assert_nonnull(text);
        g_assert_cmpint(ctl(f, NULL, "disable-layout", "alias", NULL), ==, 0);
        g_assert_cmpint(stat(dir, &st), ==, -1);
        g_free(said);
        g_assert_cmpint(ctl(f, &said, "disable-layout", "a", NULL), ==, MERGEMEM_EXIT_NOTHING_MATCHED);
        g_assert_nonnull(strstr(said, "a.service has no layout"));

        /* What others have put there stays; and a unit that is gone can still be cleaned up. */
        g_assert_cmpint(ctl(f, NULL, "enable-layout", "a", "--quiet"), ==, 0);
        tree_write(f->tree, ETC "a.service.d/60-other.conf", "[Service]\n");
        g_free(text);
        text = g_build_filename(f->tree, LIB "a.service", NULL);
        g_assert_cmpint(unlink(text), ==, 0);
        g_assert_cmpint(ctl(f, NULL, "disable-layout", "a", NULL), ==, 0);
        g_assert_cmpint(stat(dir, &st), ==, 0);

        g_assert_cmpint(ctl(f, NULL, "enable-layout", "a", NULL), ==, MERGEMEM_EXIT_NOTHING_MATCHED);
        g_assert_cmpint(ctl(f, NULL, "enable-layout", "a.socket", NULL), ==, MERGEMEM_EXIT_USAGE);
        g_assert_cmpint(ctl(f, NULL, "enable-layout", "../a", NULL), ==, MERGEMEM_EXIT_USAGE);
        g_assert_cmpint(ctl(f, NULL, "enable-layout", "a", "--host=x"), ==, MERGEMEM_EXIT_USAGE);
        g_assert_cmpint(ctl(f, NULL, "enable-layout", "a", "--all"), ==, MERGEMEM_EXIT_USAGE);
        g_assert_cmpint(ctl(f, NULL, "disable-layout", "a", "--ksm"), ==, MERGEMEM_EXIT_USAGE);
        tree_write(f->tree, LIB "dbus.service", "[Service]\nExecStart=/bin/a\n");
        g_assert_cmpint(ctl(f, NULL, "enable-layout", "dbus", NULL), ==, MERGEMEM_EXIT_FAILED);
        /* No unit is made to start by what is not there. */
        tree_write(f->tree, LIB "a.service", "[Service]\nExecStart=/bin/a\n");
        g_assert_cmpint(unlink(launcher), ==, 0);
        g_free(said);
        g_assert_cmpint(ctl(f, &said, "enable-layout", "a", NULL), ==, MERGEMEM_EXIT_FAILED);
        g_assert_nonnull(strstr(said, MERGEMEM_RUN " is not there"));
        g_free(text);
        text = read_drop_in(f, "a.service");
        g_assert_null(text);
}

static void become_nobody(gpointer userdata)
{
        const id_t nobody = 65534;

        if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(nobody, nobody, nobody) < 0 ||
                               setresuid(nobody, nobody, nobody) < 0))
                _exit(1);
}

/* What the real systemd, of which there is no running one, has read of @unit: a line each, blanks cut
 * off. */
static char **ask_systemd(struct fixture *f, const char *unit)
{
        g_autofree char *path =
                g_strdup_printf("SYSTEMD_UNIT_PATH=%1$s/" ETC ":%1$s/" RUN ":%1$s/" LIB, f->tree);
        g_autofree char *option = g_strconcat("--unit=", unit, NULL), *out = NULL, *err = NULL;
        g_autofree char *head = g_strdup_printf("\n\t-> Unit %s:\n", unit);
        const char *argv[] = { SYSTEMD, "--test", "--system", option, NULL };
        const char *envp[] = { path, "PATH=/usr/bin:/bin", NULL };
        char **lines, *at;
        int status;

        g_assert_true(g_spawn_sync(NULL, (char **) argv, (char **) envp, G_SPAWN_DEFAULT, become_nobody,
                                   NULL, &out, &err, &status, NULL));
        at = strstr(out, head);
        if (!at)
                g_error("systemd does not know %s: %s", unit, err);
        at += strlen(head);
        /* Up to the next unit. */
        if (strstr(at, "\n\t-> "))
                *strstr(at, "\n\t-> ") = '\0';
        lines = g_strsplit(at, "\n", -1);
        for (size_t i = 0; lines[i]; i++)
                g_strstrip(lines[i]);
        return lines;
}

static void append(GString *all, const char *text, const char *separator)
{
        g_string_append_printf(all, "%s%s", all->len > 0 ? separator : "", text);
}

/* What it would be started by, a command a line; and the files, apart by blanks. */
static void ask_commands(struct fixture *f, const char *unit, char **ret_commands, char **ret_files)
{
        GString *commands = g_string_new(NULL), *files = g_string_new(NULL);
        g_auto(GStrv) lines = ask_systemd(f, unit);
        bool start = false;

        for (size_t i = 0; lines[i]; i++) {
                const char *line = lines[i];

                if (g_str_has_prefix(line, "Fragment Path: ") || g_str_has_prefix(line, "DropIn Path: "))
                        append(files, strchr(line, ':') + 2 + strlen(f->tree), " ");
                else if (g_str_has_prefix(line, "-> "))
                        start = g_str_equal(line, "-> ExecStart:");
                else if (start && g_str_has_prefix(line, "Command Line: "))
                        append(commands, line + strlen("Command Line: "), "\n");
        }
        *ret_commands = g_string_free(commands, FALSE);
        *ret_files = g_string_free(files, FALSE);
}

/* Each command as it was, behind the launcher. */
static void test_systemd(struct fixture *f, const void *data)
{
        static const struct {
                const char *name, *file, *text;
                const char *launcher;
        } cases[] = {
                { "a.service", LIB "a.service",
                  "[Service]\nType=oneshot\n"
                  "ExecStart=/bin/a 'b c' \"d\\te\" \\x41 ${F} $G $$H %% %n \\; ';' x\"y z\"\n"
                  "ExecStart=-:/bin/b $A ; +/bin/c ; !/bin/d\\x20e ; !!\"/bin/f g\" h\n"
                  "ExecStart=\"-/bin/i j\" \\\n# a comment\n  k \\\n  l\\\\\n",
                  LAUNCH },
                { "w@1.service", LIB "w@.service",
                  "[Service]\nDynamicUser=yes\nExecStart=-/bin/w --name=%i %I %p\n", LAUNCH },
                { "w\\x2dx@.service", LIB "w\\x2dx@.service",
                  "[Service]\nUser=nobody\nExecStart=/bin/w \"%j\" '%i'\n",
                  "/usr/bin/mergemem-run \"--group=w\\\\x2dx@.service\" -- " },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autofree char *before = NULL, *after = NULL, *files = NULL, *more_files = NULL;
                g_autofree char *asked = g_strdup(cases[i].name);
                GString *expected = g_string_new(NULL);
                char **lines;

                /* Of a template nothing is known but through an instance. */
                if (unit_name_is_template(asked)) {
                        g_free(asked);
                        asked = g_strdup("w\\x2dx@y.service");
                }
                tree_write(f->tree, cases[i].file, cases[i].text);
                ask_commands(f, asked, &before, &files);
                g_assert_cmpstr(before, !=, "");
                lines = g_strsplit(before, "\n", -1);
                for (size_t k = 0; lines[k]; k++) {
                        append(expected, cases[i].launcher, "\n");
                        g_string_append(expected, lines[k]);
                }
                g_strfreev(lines);

                g_assert_cmpint(ctl(f, NULL, "enable-layout", cases[i].name, NULL), ==, 0);
                ask_commands(f, asked, &after, &more_files);
                g_assert_nonnull(strstr(more_files, LAYOUT_DROP_IN));
                g_assert_cmpstr(after, ==, expected->str);
                g_string_free(expected, TRUE);

                /* And back. */
                g_assert_cmpint(ctl(f, NULL, "disable-layout", cases[i].name, NULL), ==, 0);
                g_free(after);
                g_free(more_files);
                ask_commands(f, asked, &after, &more_files);
                g_assert_cmpstr(after, ==, before);
                g_assert_cmpstr(more_files, ==, files);
        }
}

/* Whether the unit's filter names the call: of those that it permits, or forbids. */
static bool is_filtered(struct fixture *f, const char *unit, const char *call)
{
        g_auto(GStrv) lines = ask_systemd(f, unit);

        for (size_t i = 0; lines[i]; i++) {
                g_auto(GStrv) words = g_strsplit_set(lines[i], " ~", -1);

                if (g_str_equal(words[0], "SystemCallFilter:"))
                        return g_strv_contains((const char *const *) words, call);
        }
        g_error("%s has no filter", unit);
}

/* What the launcher needs is permitted whichever way it was forbidden, and nothing else. */
static void test_systemd_filter(struct fixture *f, const void *data)
{
        tree_write(f->tree, LIB "permits.service",
                   "[Service]\nExecStart=/bin/a\n"
                   "SystemCallFilter=@system-service\nSystemCallFilter=~personality\n");
        tree_write(f->tree, LIB "forbids.service",
                   "[Service]\nExecStart=/bin/a\nSystemCallFilter=~@debug personality\n");
        g_assert_false(is_filtered(f, "permits.service", "ptrace"));
        g_assert_false(is_filtered(f, "permits.service", "personality"));
        g_assert_true(is_filtered(f, "forbids.service", "ptrace"));
        g_assert_true(is_filtered(f, "forbids.service", "personality"));
        g_assert_cmpint(ctl(f, NULL, "enable-layout", "permits", NULL), ==, 0);
        g_assert_cmpint(ctl(f, NULL, "enable-layout", "forbids", NULL), ==, 0);
        g_assert_true(is_filtered(f, "permits.service", "ptrace"));
        g_assert_true(is_filtered(f, "permits.service", "personality"));
        g_assert_false(is_filtered(f, "permits.service", "perf_event_open"));
        g_assert_false(is_filtered(f, "forbids.service", "ptrace"));
        g_assert_false(is_filtered(f, "forbids.service", "personality"));
        g_assert_true(is_filtered(f, "forbids.service", "perf_event_open"));
}

/* The files that it reads are those that we read, in its order. */
static void test_systemd_files(struct fixture *f, const void *data)
{
        static const char *const files[] = {
                LIB "a-b@.service",            LIB "a-b@.service.d/20.conf", ETC "a-b@.service.d/20.conf",
                ETC "a-b@1.service.d/20.conf", ETC "a-b@.service.d/30.conf", RUN "a-.service.d/10.conf",
                RUN "a-.service.d/25.conf",    ETC "service.d/25.conf",      ETC "service.d/90.conf",
                LIB "a-b.service.d/40.conf",
        };
        g_autofree char *commands = NULL, *read = NULL;
        GString *found = g_string_new(NULL);
        struct unit_paths p = {};

        for (size_t i = 0; i < G_N_ELEMENTS(files); i++)
                tree_write(f->tree, files[i], "[Service]\nType=oneshot\nExecStart=/bin/a\n");
        tree_link(f->tree, LIB "alias@.service", "a-b@.service");
        tree_write(f->tree, ETC "alias@1.service.d/35.conf", "[Service]\n");
        ask_commands(f, "a-b@1.service", &commands, &read);
        g_assert_cmpint(unit_find(&f->root, "a-b@1.service", LAYOUT_DROP_IN, &p), ==, 0);
        for (size_t i = 0; i < p.n; i++)
                g_string_append_printf(found, "%s%s", i > 0 ? " " : "", p.items[i]);
        g_assert_cmpstr(found->str, ==, read);
        g_string_free(found, TRUE);
        unit_paths_done(&p);
}

/* What systemd-analyze(1) thinks of units with it: nothing. */
static void test_verify(struct fixture *f, const void *data)
{
        static const char *const units[][3] = {
                { "plain.service", "plain.service", "[Service]\nExecStart=/usr/bin/true a\n" },
                { "tmpl@.service", "tmpl@x.service",
                  "[Service]\nDynamicUser=yes\nType=notify\nExecStart=-/usr/bin/true %i\n" },
                { "filter.service", "filter.service",
                  "[Service]\nExecStart=+/usr/bin/true\nSystemCallFilter=@system-service\n"
                  "NoNewPrivileges=yes\n" },
                { "more.service", "more.service",
                  "[Service]\nType=oneshot\nExecStart=/usr/bin/true ; /usr/bin/true\n" },
        };
        g_autofree char *root = g_strconcat("--root=", f->tree, NULL);
        g_autofree char *launcher = g_build_filename(f->tree, MERGEMEM_RUN, NULL);

        tree_write(f->tree, "usr/bin/true", "#!/bin/sh\n");
        tree_write(f->tree, LIB "mergememd.service", "[Service]\nExecStart=/usr/bin/true\n");
        g_assert_cmpint(chmod(launcher, 0755), ==, 0);
        g_free(launcher);
        launcher = g_build_filename(f->tree, "usr/bin/true", NULL);
        g_assert_cmpint(chmod(launcher, 0755), ==, 0);
        for (size_t i = 0; i < G_N_ELEMENTS(units); i++) {
                const char *argv[] = { "systemd-analyze", "verify", "--man=no", "--recursive-errors=no",
                                       root, units[i][1], NULL };
                g_autofree char *path = g_strconcat(LIB, units[i][0], NULL), *out = NULL, *err = NULL;
                int status;

                tree_write(f->tree, path, units[i][2]);
                g_assert_cmpint(ctl(f, NULL, "enable-layout", units[i][0], NULL), ==, 0);
                g_assert_true(g_spawn_sync(NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out,
                                           &err, &status, NULL));
                g_assert_cmpstr(err, ==, "");
                g_assert_cmpstr(out, ==, "");
                g_assert_cmpint(status, ==, 0);
        }
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
#define ADD(name, test) g_test_add(name, struct fixture, NULL, set_up, test, tear_down)
        ADD("/ctl/layout/text", test_text);
        ADD("/ctl/layout/options", test_options);
        ADD("/ctl/layout/launcher", test_launcher);
        ADD("/ctl/layout/refused", test_refused);
        ADD("/ctl/layout/order", test_order);
        ADD("/ctl/layout/ctl", test_ctl);
        ADD("/ctl/layout/systemd", test_systemd);
        ADD("/ctl/layout/systemd-filter", test_systemd_filter);
        ADD("/ctl/layout/systemd-files", test_systemd_files);
        ADD("/ctl/layout/verify", test_verify);
        return g_test_run();
}
