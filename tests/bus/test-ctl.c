/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <glib.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "children.h"
#include "client.h"
#include "frames.h"
#include "json.h"
#include "shared/macro.h"
#include "shared/names.h"

/* mergememctl as its users and their scripts see it. */

#define N 3U
#define PAGES 300U

static struct harness h;
static struct child *c[N];
static pid_t pids[N];
static char *pid_options[N];

/* The exit status of "mergememctl @args", of up to 12 words; @ret: its output (g_free), may be NULL. */
static int ctl_as(uid_t uid, char **ret, const char *args)
{
        char *bus = g_strconcat("--bus=", h.address, NULL), **words = g_strsplit(args, " ", 12), *text;
        const char *argv[16] = { h.ctl, bus };
        int status;

        for (size_t i = 0; words[i] && *words[i]; i++)
                argv[i + 2] = words[i];
        status = spawn_run(&(struct spawn){ .argv = argv, .uid = uid }, 60000, &text);
        g_test_message("mergememctl %s: %s", args, text);
        g_assert_true(WIFEXITED(status));
        if (ret)
                *ret = text;
        else
                g_free(text);
        g_strfreev(words);
        g_free(bus);
        return WEXITSTATUS(status);
}

/* With the pids of our targets behind @verb. */
static int ctl_targets(char **ret, const char *verb)
{
        char *args = g_strjoin(" ", verb, pid_options[0], pid_options[1], pid_options[2], NULL);
        int status = ctl_as(0, ret, args);

        g_free(args);
        return status;
}

/* The error is one line and says @word. */
static void expect_failure(const char *args, int status, const char *word)
{
        char *text;

        g_assert_cmpint(ctl_as(0, &text, args), ==, status);
        if (!strstr(text, word))
                g_error("%s: %s", args, text);
        g_assert_cmpint(*text, !=, '\0');
        g_assert_true(strchr(text, '\n') == text + strlen(text) - 1);
        g_free(text);
}

static void test_usage(void)
{
        expect_failure("conjure", MERGEMEM_EXIT_USAGE, "conjure");
        expect_failure("merge", MERGEMEM_EXIT_USAGE, "merge");
        expect_failure("merge --pid=zero", MERGEMEM_EXIT_USAGE, "zero");
        expect_failure("stats surplus", MERGEMEM_EXIT_USAGE, "surplus");
        expect_failure("estimate --json=yaml --all", MERGEMEM_EXIT_USAGE, "yaml");
        expect_failure("--colour", MERGEMEM_EXIT_USAGE, "colour");
        expect_failure("list mushrooms", MERGEMEM_EXIT_USAGE, "mushrooms");
        expect_failure("pages 12x", MERGEMEM_EXIT_USAGE, "12x");
        expect_failure("shared 1 elsewhere", MERGEMEM_EXIT_USAGE, "elsewhere");
        expect_failure("shared 1 ffffffffff600000", MERGEMEM_EXIT_USAGE, "ffffffffff600000");
        expect_failure("pages 1 --flags=anon,purple", MERGEMEM_EXIT_USAGE, "character 6");
        g_assert_cmpint(ctl_as(0, NULL, "--help"), ==, MERGEMEM_EXIT_DONE);
        g_assert_cmpint(ctl_as(0, NULL, "--version"), ==, MERGEMEM_EXIT_DONE);
}

static void test_nothing_matched(void)
{
        static const char *const lists[] = {
                "memory", "memory --by=user", "memory --by=library", "list processes", "list libraries",
                "list cgroups", "list owners",
        };

        expect_failure("merge --shlib=libnosuch.so", MERGEMEM_EXIT_NOTHING_MATCHED, "libnosuch.so");
        expect_failure("merge --exe=/no/such/program", MERGEMEM_EXIT_NOTHING_MATCHED, "/no/such/program");
        expect_failure("merge --comm=nosuchcomm", MERGEMEM_EXIT_NOTHING_MATCHED, "nosuchcomm");
        expect_failure("estimate --pid=4194303", MERGEMEM_EXIT_NOTHING_MATCHED, "4194303");
        expect_failure("estimate --cgroup=/no/such", MERGEMEM_EXIT_NOTHING_MATCHED, "/no/such");
        expect_failure("unmerge --unit=nosuch.service", MERGEMEM_EXIT_NOTHING_MATCHED, "nosuch.service");
        expect_failure("estimate --user=nosuchuser", MERGEMEM_EXIT_NOTHING_MATCHED, "nosuchuser");
        expect_failure("pages 4194303", MERGEMEM_EXIT_NOTHING_MATCHED, "4194303");
        expect_failure("shared 4194303", MERGEMEM_EXIT_NOTHING_MATCHED, "4194303");
        expect_failure("pages 1 --owner=libnosuch", MERGEMEM_EXIT_NOTHING_MATCHED, "libnosuch");
        for (size_t i = 0; i < ELEMENTSOF(lists); i++) {
                char *by_pid = g_strconcat(lists[i], " --pid=4194303", NULL);
                char *by_user = g_strconcat(lists[i], " --user=nosuchuser", NULL);
                char *by_both = g_strconcat(lists[i], " --comm=mergememd ", pid_options[0], NULL);

                expect_failure(by_pid, MERGEMEM_EXIT_NOTHING_MATCHED, "4194303");
                expect_failure(by_user, MERGEMEM_EXIT_NOTHING_MATCHED, "nosuchuser");
                expect_failure(by_both, MERGEMEM_EXIT_NOTHING_MATCHED, "matches all");
                g_free(by_pid);
                g_free(by_user);
                g_free(by_both);
        }
        expect_failure("memory --shlib=libnosuch.so", MERGEMEM_EXIT_NOTHING_MATCHED, "libnosuch.so");
        expect_failure("memory --by=library --shlib=libnosuch.so", MERGEMEM_EXIT_NOTHING_MATCHED,
                       "libnosuch.so");
        expect_failure("list libraries --shlib=libnosuch.so", MERGEMEM_EXIT_NOTHING_MATCHED, "libnosuch.so");
}

static void test_failed(void)
{
        char *args = g_strconcat("merge --mechanism=direct ", pid_options[0], NULL);

        expect_failure(args, MERGEMEM_EXIT_FAILED, "direct");
        expect_failure("cancel 4000000000", MERGEMEM_EXIT_NOTHING_MATCHED, "4000000000");
        g_free(args);
}

static void test_not_permitted(void)
{
        char *args = g_strconcat("merge ", pid_options[0], NULL), *text;

        g_assert_cmpint(ctl_as(UID_SECOND, &text, args), ==, MERGEMEM_EXIT_NOT_PERMITTED);
        g_assert_cmpstr(text, !=, "");
        g_free(text);
        g_free(args);
        /* The totals are for everybody. */
        g_assert_cmpint(ctl_as(UID_SECOND, NULL, "stats"), ==, MERGEMEM_EXIT_DONE);
}

static void test_unreachable(void)
{
        int status;
        char *text;

        status = spawn_run(&(struct spawn){ .argv = (const char *[]){ h.ctl,
                                                                      "--bus=unix:path=/nonexistent/bus",
                                                                      "stats", NULL } },
                           10000, &text);
        g_assert_cmpint(WEXITSTATUS(status), ==, MERGEMEM_EXIT_UNREACHABLE);
        g_assert_nonnull(strstr(text, "/nonexistent/bus"));
        g_free(text);

        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
        g_assert_cmpint(ctl_as(0, NULL, "stats"), ==, MERGEMEM_EXIT_UNREACHABLE);
        harness_daemon_start(&h, NULL, NULL);
}

static void test_json(void)
{
        static const char *const verbs[] = { "estimate --json=pretty", "merge --json=short",
                                             "unmerge --json=pretty", "list --json=pretty libraries",
                                             "list --json=short processes", "list --json=short cgroups",
                                             "list --json=short owners", "scan --json=short",
                                             "memory --json=short", "memory --json --by=library" };
        static const struct {
                const char *verb, *begin;
        } of_service[] = {
                { "list jobs --json=short", "{\"jobs\":[{\"id\":" },
                { "list rules --json=short", "{\"rules\":[{\"name\":\"" },
                { "config --json=short", "{\"settings\":[{\"section\":\"" },
                { "history --json=short", "{\"samples\":[" },
        };
        size_t duplicates = frames_duplicates(pids, N), before = frames_distinct(pids, N), saved;
        char *text;

        for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
                g_assert_cmpint(ctl_targets(&text, verbs[i]), ==, MERGEMEM_EXIT_DONE);
                if (!json_valid(text))
                        g_error("%s: %s", verbs[i], text);
                if (i == 0) {
                        g_assert_cmpuint(json_number(text, "duplicate_frames"), >, duplicates * 9 / 10);
                        g_assert_cmpuint(json_number(text, "processes"), ==, N);
                } else if (i == 1) {
                        saved = before - frames_distinct(pids, N);
                        g_assert_cmpuint(json_number(text, "saved_frames"), >=, (N - 1) * PAGES);
                        g_assert_cmpuint(json_number(text, "saved_frames"), >, saved * 98 / 100);
                        g_assert_cmpuint(json_number(text, "saved_frames"), <, saved * 102 / 100);
                }
                g_free(text);
        }
        for (size_t i = 0; i < ELEMENTSOF(of_service); i++) {
                g_assert_cmpint(ctl_as(0, &text, of_service[i].verb), ==, MERGEMEM_EXIT_DONE);
                if (!json_valid(text) || !g_str_has_prefix(text, of_service[i].begin))
                        g_error("%s: %s", of_service[i].verb, text);
                g_free(text);
        }
        g_assert_cmpint(ctl_as(0, &text, "--json stats"), ==, MERGEMEM_EXIT_DONE);
        g_assert_true(json_valid(text));
        g_assert_cmpuint(json_number(text, "pages_merged_total"), >=, (N - 1) * PAGES);
        g_assert_nonnull(strstr(text, "\"gains\""));
        g_assert_nonnull(strstr(text, h.target));
        g_free(text);
        children_verify(c, N);
}

/* The verbs about one process: those who have forked have something in common. */
static void test_pages(void)
{
        uint64_t start = child_address(c[0], 0);
        char *args, *text;

        (void)child_fork(c[0]);
        args = g_strdup_printf("pages %d --json=short --flags=anon", (int)pids[0]);
        g_assert_cmpint(ctl_as(0, &text, args), ==, MERGEMEM_EXIT_DONE);
        g_assert_true(json_valid(text));
        g_assert_cmpuint(json_number(text, "page_count"), >=, PAGES);
        g_free(args);
        g_free(text);

        args = g_strdup_printf("shared %d --json", (int)pids[0]);
        g_assert_cmpint(ctl_as(0, &text, args), ==, MERGEMEM_EXIT_DONE);
        g_assert_true(json_valid(text));
        g_assert_cmpuint(json_number(text, "anon_pages"), >=, PAGES);
        g_free(args);
        g_free(text);

        args = g_strdup_printf("shared %d %" G_GINT64_MODIFIER "x --json=short", (int)pids[0], start + 5);
        g_assert_cmpint(ctl_as(0, &text, args), ==, MERGEMEM_EXIT_DONE);
        g_assert_true(json_valid(text));
        g_assert_cmpuint(json_number(text, "mappings"), ==, 2);
        g_assert_cmpuint(json_number(text, "other_address"), ==, start);
        g_assert_cmpuint(json_number(text, "frame"), !=, 0);
        g_free(args);
        g_free(text);

        args = g_strdup_printf("shared %d %" G_GINT64_MODIFIER "x", (int)pids[0], start);
        g_assert_cmpint(ctl_as(0, &text, args), ==, MERGEMEM_EXIT_DONE);
        g_assert_nonnull(strstr(text, "is mapped 2 times; 1 other place was found."));
        g_free(args);
        g_free(text);
        /* To its own user, and to another. */
        args = g_strdup_printf("pages %d", (int)pids[0]);
        g_assert_cmpint(ctl_as(UID_FIRST, &text, args), ==, MERGEMEM_EXIT_DONE);
        g_assert_nonnull(strstr(text, "In all "));
        g_free(text);
        g_assert_cmpint(ctl_as(UID_SECOND, NULL, args), ==, MERGEMEM_EXIT_NOT_PERMITTED);
        g_free(args);
        args = g_strdup_printf("shared %d", (int)pids[0]);
        g_assert_cmpint(ctl_as(UID_FIRST, NULL, args), ==, MERGEMEM_EXIT_NOT_PERMITTED);
        g_free(args);
}

/* All that comes out of a terminal 80 columns wide, until the program ends. */
static char *on_terminal(const char *const *argv)
{
        int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;
        GString *all = g_string_new(NULL);
        char buffer[4096];
        ssize_t n;
        pid_t pid;

        g_assert_cmpint(master, >=, 0);
        g_assert_cmpint(grantpt(master), ==, 0);
        g_assert_cmpint(unlockpt(master), ==, 0);
        g_assert_cmpint(ioctl(master, TIOCSWINSZ, &(struct winsize){ .ws_row = 24, .ws_col = 80 }), ==, 0);
        slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
        pid = spawn(
                &(struct spawn){ .argv = argv,
                                 .in = slave,
                                 .out = slave,
                                 .err = slave,
                                 .environment = (const char *[]){ "TERM=xterm", "LANG=C.UTF-8", NULL } });
        safe_close(slave);
        /* EIO is the end of a terminal. */
        while ((n = read(master, buffer, sizeof(buffer))) > 0)
                g_string_append_len(all, buffer, n);
        safe_close(master);
        g_assert_cmpint(spawn_wait(pid, 10000), ==, 0);
        return g_string_free(all, FALSE);
}

static void test_width(void)
{
        char *pid = g_strdup_printf("%d", (int)h.daemon_pid);
        const char *const verbs[][2] = {
                { "stats" },  { "estimate", "--all" }, { "list", "processes" }, { "list", "libraries" },
                { "list", "cgroups" }, { "list", "owners" }, { "history" },
                { "memory" }, { "memory", "--by=library" }, { "memory", "--by=cgroup" },
                { "pages", pid }, { "shared", pid },
                { "--help" },
        };
        char *bus = g_strconcat("--bus=", h.address, NULL);
        /* The escapes that a terminal swallows, and what a carriage return or an erased line starts anew. */
        GRegex *escapes = g_regex_new("\x1b\\[[0-9;?]*[A-Za-z]", 0, 0, NULL);

        for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
                char *text = on_terminal((const char *[]){ h.ctl, bus, verbs[i][0], verbs[i][1], NULL });
                char *plain = g_regex_replace_literal(escapes, text, -1, 0, "", 0, NULL);
                char **lines = g_strsplit_set(plain, "\r\n", -1);

                for (size_t k = 0; lines[k]; k++)
                        /* Nothing breaks a command. */
                        if (g_utf8_strlen(lines[k], -1) > 80 &&
                            !g_str_has_prefix(lines[k], "  mergememctl "))
                                g_error("%s: \"%s\"", verbs[i][0], lines[k]);
                g_strfreev(lines);
                g_free(plain);
                g_free(text);
        }
        g_regex_unref(escapes);
        g_free(pid);
        g_free(bus);
}

static bool merge_is_running(void)
{
        sd_bus_message *m = NULL;
        const char *type, *state;
        bool found = false;

        g_assert_cmpint(sd_bus_call_method(h.bus, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                           MERGEMEM_MANAGER_INTERFACE, "ListJobs", NULL, &m, NULL),
                        >=, 0);
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "(uossda{sv})"), >, 0);
        while (sd_bus_message_enter_container(m, 'r', "uossda{sv}") > 0) {
                g_assert_cmpint(sd_bus_message_read(m, "uossd", NULL, NULL, &type, &state, NULL), >, 0);
                if (streq(type, "merge") && (streq(state, "scanning") || streq(state, "merging")))
                        found = true;
                g_assert_cmpint(sd_bus_message_skip(m, "a{sv}"), >, 0);
                g_assert_cmpint(sd_bus_message_exit_container(m), >=, 0);
        }
        sd_bus_message_unref(m);
        return found;
}

static void test_interrupt(void)
{
        char *bus = g_strconcat("--bus=", h.address, NULL), *knobs;
        struct child *big[2];
        int status;
        pid_t pid;

        for (size_t i = 0; i < 2; i++) {
                big[i] = child_start(&h, UID_FIRST);
                child_area(big[i], 40000, 6, 1);
        }
        pid = spawn(&(struct spawn){
                .argv = (const char *[]){ h.ctl, bus, "merge", "--quiet", "--exe", h.target, NULL } });
        for (uint64_t end = now_usec() + UINT64_C(60000000); !merge_is_running(); sleep_msec(1))
                g_assert_cmpuint(now_usec(), <, end);
        g_assert_cmpint(kill(pid, SIGINT), ==, 0);
        status = spawn_wait(pid, 20000);
        g_assert_true(WIFEXITED(status));
        g_assert_cmpint(WEXITSTATUS(status), ==, MERGEMEM_EXIT_FAILED);
        knobs = harness_ksm_knobs();
        g_assert_cmpstr(knobs, ==, h.ksm);
        g_free(knobs);

        job_undo(h.bus, &(struct what){ .exe = h.target });
        for (size_t i = 0; i < 2; i++) {
                child_verify(big[i]);
                child_end(big[i]);
        }
        g_free(bus);
}

static void test_cancel(void)
{
        struct child *big[2];
        char *text, *args, *state, *said;

        for (size_t i = 0; i < 2; i++) {
                big[i] = child_start(&h, UID_FIRST);
                child_area(big[i], 40000, 6, 1);
        }
        args = g_strconcat("merge --no-block --exe=", h.target, NULL);
        g_assert_cmpint(ctl_as(0, &text, args), ==, MERGEMEM_EXIT_DONE);
        g_strchomp(text);
        g_assert_true(g_str_has_prefix(text, MERGEMEM_JOB_PREFIX "/"));
        g_free(args);
        /* What is no job does not keep the others from being cancelled. */
        args = g_strconcat("cancel 4000000000 ", strrchr(text, '/') + 1, " x", NULL);
        g_assert_cmpint(ctl_as(0, &said, args), ==, MERGEMEM_EXIT_NOTHING_MATCHED);
        g_assert_cmpstr(said, ==, "There is no job '4000000000'.\nNot a job: 'x'\n");
        g_free(said);
        g_assert_cmpstr(job_wait(h.bus, text), ==, "cancelled");
        state = job_string(h.bus, text, "Type");
        g_assert_cmpstr(state, ==, "merge");
        g_free(state);
        g_free(args);
        g_free(text);
        job_undo(h.bus, &(struct what){ .exe = h.target });
        children_end(big, 2);
}

int main(int argc, char **argv)
{
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        harness_daemon_start(&h, NULL, NULL);
        children_start(&h, UID_FIRST, c, pids, N);
        for (size_t i = 0; i < N; i++) {
                child_area(c[i], PAGES, 15, 1);
                pid_options[i] = g_strdup_printf("--pid=%d", (int)pids[i]);
        }
        g_test_add_func("/ctl/usage", test_usage);
        g_test_add_func("/ctl/nothing-matched", test_nothing_matched);
        g_test_add_func("/ctl/failed", test_failed);
        g_test_add_func("/ctl/not-permitted", test_not_permitted);
        g_test_add_func("/ctl/unreachable", test_unreachable);
        g_test_add_func("/ctl/json", test_json);
        g_test_add_func("/ctl/pages", test_pages);
        g_test_add_func("/ctl/width", test_width);
        g_test_add_func("/ctl/interrupt", test_interrupt);
        g_test_add_func("/ctl/cancel", test_cancel);
        status = g_test_run();
        children_end(c, N);
        for (size_t i = 0; i < N; i++)
                g_free(pid_options[i]);
        return harness_end(&h, status);
}
