/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <sys/wait.h>

#include "children.h"
#include "client.h"
#include "json.h"
#include "shared/macro.h"
#include "shared/names.h"

/* Rules of the configuration, as the service goes by them. Nothing is merged here: only processes of
 * this test are named, and only looked at. */

#define N 2U

static struct harness h;

static void assert_estimate(const struct what *what, bool permitted)
{
        char *error, *job;

        if (permitted) {
                job = job_run(h.bus, "Estimate", what);
                g_assert_cmpuint(job_figure(h.bus, job, "processes"), ==, N);
                g_free(job);
                return;
        }
        error = job_refused(h.bus, "Estimate", what);
        g_assert_cmpstr(error, ==, MERGEMEM_ERROR_NOTHING_MATCHES);
        g_free(error);
}

/* A rule with Merge=never holds for commands too, however it names the processes. */
static void test_never(void)
{
        static const struct {
                const char *rule;
                bool permitted;
        } samples[] = {
                { "", true },
                { "[Rule a]\nExe=%s\nMerge=never\n", false },
                { "[Rule a]\nExe=%s\nMerge=no\n", true },
                { "[Rule a]\nExe=%s*\nMerge=never\n[Rule b]\nExe=%1$s\n", false },
                { "[Rule a]\nExe=%s.other\nMerge=never\n", true },
                { "[Rule a]\nExe=%s\nUser=nobod*\nMerge=never\n", false },
                { "[Rule a]\nExe=%s\nUser=roo*\nMerge=never\n", true },
        };
        struct child *c[N];
        pid_t pids[N];

        children_start(&h, UID_FIRST, c, pids, N);
        for (size_t i = 0; i < ELEMENTSOF(samples); i++) {
                GString *text = g_string_new(samples[i].rule);

                g_string_replace(text, "%1$s", h.target, 0);
                g_string_replace(text, "%s", h.target, 0);
                g_test_message("%s", text->str);
                harness_configure(&h, text->str);
                assert_estimate(&(struct what){ .pids = pids, .n_pids = N, .all = true },
                                samples[i].permitted);
                g_string_free(text, TRUE);
        }
        children_end(c, N);
}

/* A program that is found by a link. */
static void test_link(void)
{
        char *link = g_build_filename(h.dir, "link-to-target", NULL);
        char *text = g_strdup_printf("[Rule a]\nExe=%s\nMerge=never\n", link);
        struct child *c[N];
        pid_t pids[N];

        children_start(&h, UID_FIRST, c, pids, N);
        g_assert_cmpint(symlink(h.target, link), ==, 0);
        harness_configure(&h, text);
        assert_estimate(&(struct what){ .pids = pids, .n_pids = N, .all = true }, false);
        g_assert_cmpint(unlink(link), ==, 0);
        children_end(c, N);
        g_free(text);
        g_free(link);
}

/* Calls SetRule(), or TryRule() if @ret_job is not NULL, with @exe and a @key (NULL: without). The name of
 * the error (g_free) or NULL. */
static char *send_rule(sd_bus *bus, const char *name, const char *exe, const char *key, const char *value,
                       char **ret_job)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *m = NULL, *reply = NULL;
        const char *job;
        char *e;
        int r;

        g_assert_cmpint(sd_bus_message_new_method_call(bus, &m, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                                       MERGEMEM_MANAGER_INTERFACE,
                                                       ret_job ? "TryRule" : "SetRule"), >=, 0);
        if (!ret_job)
                g_assert_cmpint(sd_bus_message_append(m, "s", name), >=, 0);
        g_assert_cmpint(sd_bus_message_open_container(m, 'a', "{sv}"), >=, 0);
        if (exe)
                g_assert_cmpint(sd_bus_message_append(m, "{sv}", "Exe", "as", 1, exe), >=, 0);
        if (key)
                g_assert_cmpint(sd_bus_message_append(m, "{sv}", key, "s", value), >=, 0);
        g_assert_cmpint(sd_bus_message_close_container(m), >=, 0);
        r = sd_bus_call(bus, m, 0, &error, &reply);
        g_assert_cmpint(r < 0, ==, sd_bus_error_is_set(&error));
        e = g_strdup(error.name);
        if (r >= 0 && ret_job) {
                g_assert_cmpint(sd_bus_message_read(reply, "o", &job), >=, 0);
                *ret_job = g_strdup(job);
        }
        if (error.message)
                g_test_message("%s", error.message);
        sd_bus_error_free(&error);
        sd_bus_message_unref(m);
        sd_bus_message_unref(reply);
        return e;
}

static char *call_name(const char *method, const char *name)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        char *e;

        (void) sd_bus_call_method(h.bus, MERGEMEM_BUS_NAME, MERGEMEM_PATH, MERGEMEM_MANAGER_INTERFACE,
                                  method, &error, NULL, name ? "s" : NULL, name);
        e = g_strdup(error.name);
        sd_bus_error_free(&error);
        return e;
}

static void assert_error(char *error, const char *expected)
{
        g_assert_cmpstr(error, ==, expected);
        g_free(error);
}

static sd_bus_message *list(const char *method)
{
        sd_bus_message *reply = NULL;

        g_assert_cmpint(sd_bus_call_method(h.bus, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                           MERGEMEM_MANAGER_INTERFACE, method, NULL, &reply, NULL), >=, 0);
        return reply;
}

/* The names of all. */
static char *list_rules(void)
{
        GString *s = g_string_new(NULL);
        sd_bus_message *reply;
        const char *name;

        reply = list("ListRules");
        g_assert_cmpint(sd_bus_message_enter_container(reply, 'a', "(sa{sv})"), >, 0);
        while (sd_bus_message_enter_container(reply, 'r', "sa{sv}") > 0) {
                g_assert_cmpint(sd_bus_message_read(reply, "s", &name), >, 0);
                g_string_append_printf(s, "%s%s", s->len > 0 ? " " : "", name);
                g_assert_cmpint(sd_bus_message_skip(reply, "a{sv}"), >=, 0);
                g_assert_cmpint(sd_bus_message_exit_container(reply), >=, 0);
        }
        sd_bus_message_unref(reply);
        return g_string_free(s, FALSE);
}

static void assert_rules(const char *expected)
{
        char *names = list_rules();

        g_assert_cmpstr(names, ==, expected);
        g_free(names);
}

static char *rule_file(const char *name)
{
        return g_strdup_printf("%s.d/50-rule-%s.conf", h.config, name);
}

/* A rule that is set is in force at once, is written down, and is gone again without a trace. */
static void test_set(void)
{
        char *path = rule_file("mine"), *text;
        struct child *c[N];
        struct what what = { .n_pids = N, .all = true };
        pid_t pids[N];

        harness_configure(&h, "");
        children_start(&h, UID_FIRST, c, pids, N);
        what.pids = pids;
        assert_rules("default");
        assert_estimate(&what, true);

        assert_error(send_rule(h.bus, "mine", h.target, "Merge", "never", NULL), NULL);
        assert_rules("default mine");
        assert_estimate(&what, false);
        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        g_assert_nonnull(strstr(text, "\n[Rule mine]\nExe=/"));
        g_assert_nonnull(strstr(text, "\nMerge=never\n"));
        g_free(text);

        /* In place of what was set before. */
        assert_error(send_rule(h.bus, "mine", h.target, "Merge", "no", NULL), NULL);
        assert_estimate(&what, true);
        assert_error(send_rule(h.bus, "mine", h.target, "Merge", "never", NULL), NULL);
        assert_estimate(&what, false);
        /* It stays when all is read again. */
        assert_error(call_name("Reload", NULL), NULL);
        assert_estimate(&what, false);

        assert_error(call_name("RemoveRule", "mine"), NULL);
        assert_rules("default");
        assert_estimate(&what, true);
        g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
        assert_error(call_name("RemoveRule", "mine"), MERGEMEM_ERROR_NO_SUCH_RULE);
        children_end(c, N);
        g_free(path);
}

/* What is refused changes nothing. */
static void test_refused(void)
{
        char *path = rule_file("mine"), *control = g_strconcat(h.target, "\n[Rule b]", NULL);
        static const struct {
                const char *name, *exe, *key, *value;
        } samples[] = {
                { "", "/x", NULL, NULL },
                { "../x", "/x", NULL, NULL },
                { "a b", "/x", NULL, NULL },
                { "mine", NULL, NULL, NULL },
                { "mine", "x", NULL, NULL },
                { "mine", "", NULL, NULL },
                { "mine", "/x", "Merge", "maybe" },
                { "mine", "/x", "Merging", "yes" },
                { "mine", "/x", "Unit", "a" },
                { "mine", "/x", "TrustDomain", "cgroup" },
                { "mine", "/*", "TrustDomain", "system" },
                { "mine", "/x\\", NULL, NULL },
        };

        harness_configure(&h, "[Rule theirs]\nExe=/x\n");
        for (size_t i = 0; i < ELEMENTSOF(samples); i++)
                assert_error(send_rule(h.bus, samples[i].name, samples[i].exe, samples[i].key,
                                       samples[i].value, NULL), MERGEMEM_ERROR_BAD_RULE);
        assert_error(send_rule(h.bus, "mine", control, NULL, NULL, NULL), MERGEMEM_ERROR_BAD_RULE);
        assert_error(send_rule(h.bus, "mine", "/x", "Merge", "yes\nComm=a", NULL), MERGEMEM_ERROR_BAD_RULE);
        /* Somebody else's file. */
        assert_error(send_rule(h.bus, "theirs", "/y", NULL, NULL, NULL), MERGEMEM_ERROR_BAD_RULE);
        assert_error(call_name("RemoveRule", "theirs"), MERGEMEM_ERROR_NO_SUCH_RULE);
        assert_error(call_name("RemoveRule", "../mergememd"), MERGEMEM_ERROR_NO_SUCH_RULE);
        assert_rules("default theirs");

        /* The whole must be in order, not only what is new. */
        harness_config_write(&h, "[Rule theirs]\nExe=/x\n[KSM]\nPagesToScan=lots\n");
        assert_error(send_rule(h.bus, "mine", "/x", NULL, NULL, NULL), MERGEMEM_ERROR_BAD_CONFIGURATION);
        assert_error(call_name("Reload", NULL), MERGEMEM_ERROR_BAD_CONFIGURATION);
        assert_rules("default theirs");
        g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
        harness_configure(&h, "");
        g_free(path);
        g_free(control);
}

/* An estimate of a rule finds what the rule would be about, and leaves nothing behind. */
static void test_try(void)
{
        /* The equal pages are of no such memory, and do not hold zeros. */
        static const char *const keys[][2] = {
                { "Owners", "library" }, { "Owners", "heap" }, { "ZeroOnly", "yes" },
        };
        char *pattern = g_strconcat(h.target, "*", NULL), *job;
        struct child *c[N];
        pid_t pids[N];

        harness_configure(&h, "");
        children_start(&h, UID_FIRST, c, pids, N);
        for (size_t i = 0; i < N; i++)
                child_area(c[i], 100, 5, 1);
        assert_error(send_rule(h.bus, NULL, pattern, "TrustDomain", "user", &job), NULL);
        g_assert_cmpstr(job_wait(h.bus, job), ==, "done");
        g_assert_cmpuint(job_figure(h.bus, job, "processes"), ==, N);
        g_assert_cmpuint(job_figure(h.bus, job, "duplicate_frames"), >=, 100);
        g_free(job);
        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                assert_error(send_rule(h.bus, NULL, pattern, keys[i][0], keys[i][1], &job), NULL);
                g_assert_cmpstr(job_wait(h.bus, job), ==, "done");
                g_assert_cmpuint(job_figure(h.bus, job, "processes"), ==, N);
                g_assert_cmpuint(job_figure(h.bus, job, "duplicate_frames"), <, 100);
                g_free(job);
        }
        assert_rules("default");
        assert_error(send_rule(h.bus, NULL, "/no/such/program", NULL, NULL, &job),
                     MERGEMEM_ERROR_NOTHING_MATCHES);
        assert_error(send_rule(h.bus, NULL, "relative", NULL, NULL, &job), MERGEMEM_ERROR_BAD_RULE);
        children_end(c, N);
        g_free(pattern);
}

static void test_settings(void)
{
        sd_bus_message *reply = NULL;
        const char *section, *key, *value, *file, *origin;
        GString *s = g_string_new(NULL);
        char *expected;
        unsigned n_default = 0;
        uint32_t line;

        harness_configure(&h, "[Daemon]\nLogMask=3\n[Rule a]\nComm=x y\n\nIntervalSec=1min\n");
        reply = list("ListSettings");
        g_assert_cmpint(sd_bus_message_enter_container(reply, 'a', "(sssa{sv})"), >, 0);
        while (sd_bus_message_enter_container(reply, 'r', "sssa{sv}") > 0) {
                g_assert_cmpint(sd_bus_message_read(reply, "sss", &section, &key, &value), >, 0);
                g_assert_cmpint(sd_bus_message_enter_container(reply, 'a', "{sv}"), >=, 0);
                if (sd_bus_message_at_end(reply, false) == 0) {
                        g_assert_cmpint(sd_bus_message_read(reply, "{sv}", &origin, "s", &file), >, 0);
                        g_assert_cmpint(sd_bus_message_read(reply, "{sv}", &origin, "u", &line), >, 0);
                        g_string_append_printf(s, "[%s] %s=%s %s:%u\n", section, key, value, file, line);
                } else
                        n_default++;
                g_assert_cmpint(sd_bus_message_exit_container(reply), >=, 0);
                g_assert_cmpint(sd_bus_message_exit_container(reply), >=, 0);
        }
        sd_bus_message_unref(reply);
        /* The last one is the harness's. */
        expected = g_strdup_printf("[Daemon] Automatic=no %1$s:9\n[Daemon] LogMask=3 %1$s:2\n"
                                   "[Rule a] Comm=x %1$s:4\n[Rule a] Comm=y %1$s:4\n"
                                   "[Rule a] IntervalSec=1min %1$s:6\n", h.config);
        g_assert_cmpstr(s->str, ==, expected);
        /* 15 of [Daemon] and [KSM], 10 and 9 of the rules. */
        g_assert_cmpuint(n_default, ==, 34);
        g_free(expected);
        g_string_free(s, TRUE);
        harness_configure(&h, "");
}

/* Read again all the time, by the bus and by signals, while jobs run: each goes by what is in force, and
 * nothing is left open. */
static void test_reload_often(void)
{
        char *text = g_strdup_printf("[Rule a]\nExe=%s\nUser=nob*\nMerge=no\n", h.target);
        struct what what = { .n_pids = N, .all = true };
        char *job = NULL, *more;
        struct child *c[N];
        pid_t pids[N];
        unsigned n_fds;

        harness_configure(&h, text);
        children_start(&h, UID_FIRST, c, pids, N);
        what.pids = pids;
        for (size_t i = 0; i < N; i++)
                child_area(c[i], 20000, 5, 1);
        assert_estimate(&what, true);
        n_fds = harness_daemon_fds(&h);
        for (unsigned i = 0; i < 1000; i++) {
                if (i % 50 == 0) {
                        if (job)
                                g_assert_cmpstr(job_wait(h.bus, job), ==, "done");
                        g_free(job);
                        job = job_start(h.bus, "Estimate", &what);
                }
                if (i % 7 == 0)
                        g_assert_cmpint(kill(h.daemon_pid, SIGHUP), ==, 0);
                assert_error(call_name("Reload", NULL), NULL);
        }
        g_assert_cmpstr(job_wait(h.bus, job), ==, "done");
        g_free(job);
        assert_rules("default a");
        assert_estimate(&what, true);
        g_assert_cmpuint(harness_daemon_fds(&h), ==, n_fds);

        more = g_strconcat(text, "Merge=never\n", NULL);
        harness_configure(&h, more);
        assert_estimate(&what, false);
        harness_configure(&h, "");
        children_end(c, N);
        g_free(more);
        g_free(text);
}

/* The exit status of "mergememctl VERB [ARGUMENT] [SELECTOR]"; @ret: its output (g_free). */
static int ctl(uid_t uid, char **ret, const char *verb, const char *argument, const char *selector)
{
        char *bus = g_strconcat("--bus=", h.address, NULL);
        int status;

        status = spawn_run(&(struct spawn){ .argv = (const char *[]){ h.ctl, bus, verb, argument, selector,
                                                                      NULL },
                                            .uid = uid },
                           60000, ret);
        g_assert_true(WIFEXITED(status));
        g_test_message("%s", *ret);
        g_free(bus);
        return WEXITSTATUS(status);
}

static void assert_ctl(int expected, uid_t uid, const char *verb, const char *argument, const char *selector,
                       const char *said)
{
        char *text;

        g_assert_cmpint(ctl(uid, &text, verb, argument, selector), ==, expected);
        if (!strstr(text, said))
                g_error("%s: no \"%s\" in: %s", verb, said, text);
        g_free(text);
}

/* For programs: one object each, and nothing besides. */
static void assert_json(void)
{
        static const struct {
                const char *verb, *argument, *begin;
        } cases[] = {
                { "enable", "mine", "{\"state\":\"done\"," },
                { "list", "rules", "{\"rules\":[{\"name\":\"default\",\"merge\":" },
                { "config", NULL, "{\"settings\":[{\"section\":\"" },
                { "disable", "mine", "{\"rule\":\"mine\"}\n" },
        };
        char *selector = g_strconcat("--exe=", h.target, NULL);

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char *bus = g_strconcat("--bus=", h.address, NULL), *text;
                const char *const argv[] = { h.ctl, bus, "--json=short", cases[i].verb, cases[i].argument,
                                             i == 0 ? selector : NULL, NULL };

                g_assert_cmpint(spawn_run(&(struct spawn){ .argv = argv }, 60000, &text), ==, 0);
                if (!json_valid(text) || !g_str_has_prefix(text, cases[i].begin))
                        g_error("%s: %s", cases[i].verb, text);
                g_free(text);
                g_free(bus);
        }
        g_free(selector);
}

/* mergememctl enable shows what there is to save and sets the rule; disable takes it back. */
static void test_ctl(void)
{
        char *selector = g_strconcat("--exe=", h.target, NULL), *name = g_path_get_basename(h.target);
        char *rules = g_strconcat("default ", name, NULL), *path = rule_file(name);
        struct child *c[N];
        pid_t pids[N];

        harness_configure(&h, "");
        children_start(&h, UID_FIRST, c, pids, N);
        for (size_t i = 0; i < N; i++)
                child_area(c[i], 1000, 7, 1);
        assert_ctl(MERGEMEM_EXIT_DONE, 0, "enable", selector, NULL, "Merging would free ");
        assert_rules(rules);
        assert_ctl(MERGEMEM_EXIT_DONE, 0, "list", "rules", NULL, path);
        assert_ctl(MERGEMEM_EXIT_DONE, 0, "config", NULL, NULL, "built in");
        assert_ctl(MERGEMEM_EXIT_DONE, UID_SECOND, "config", NULL, NULL, path);
        assert_ctl(MERGEMEM_EXIT_DONE, 0, "disable", selector, NULL, "is removed");
        assert_rules("default");
        assert_ctl(MERGEMEM_EXIT_NOTHING_MATCHED, 0, "disable", selector, NULL, "There is no rule");

        /* By a name of one's own, and for what does not run yet. */
        assert_ctl(MERGEMEM_EXIT_DONE, 0, "enable", "mine", "--unit=no-such-unit", "The rule mine is set.");
        assert_rules("default mine");
        assert_ctl(MERGEMEM_EXIT_DONE, 0, "disable", "mine", NULL, "is removed");
        assert_ctl(MERGEMEM_EXIT_USAGE, 0, "disable", "mine", "--unit=no-such-unit", "not both");
        assert_json();
        assert_ctl(MERGEMEM_EXIT_DONE, 0, "enable", "--json=short", "--unit=no-such-unit",
                   "\n{\"rule\":\"no-such-unit.service\"}\n");
        assert_ctl(MERGEMEM_EXIT_DONE, 0, "disable", "--json=short", "--unit=no-such-unit",
                   "{\"rule\":\"no-such-unit.service\"}\n");

        assert_ctl(MERGEMEM_EXIT_USAGE, 0, "enable", "a/b", selector, "The name of a rule");
        assert_ctl(MERGEMEM_EXIT_USAGE, 0, "enable", "mine", NULL, "needs to be told");
        assert_ctl(MERGEMEM_EXIT_USAGE, 0, "enable", "--all", NULL, "means nothing to 'enable'");
        assert_ctl(MERGEMEM_EXIT_USAGE, 0, "enable", "--comm=x", "--trust=system", "needs processes named");
        /* Without polkit only root may. */
        assert_ctl(MERGEMEM_EXIT_NOT_PERMITTED, UID_SECOND, "enable", selector, NULL, "nly root may");
        assert_ctl(MERGEMEM_EXIT_NOT_PERMITTED, UID_SECOND, "disable", "mine", NULL, "nly root may");
        assert_rules("default");
        children_end(c, N);
        g_free(selector);
        g_free(rules);
        g_free(path);
        g_free(name);
}

int main(int argc, char **argv)
{
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        harness_daemon_start(&h, "observe", NULL);
        g_test_add_func("/rules/never", test_never);
        g_test_add_func("/rules/link", test_link);
        g_test_add_func("/rules/set", test_set);
        g_test_add_func("/rules/refused", test_refused);
        g_test_add_func("/rules/try", test_try);
        g_test_add_func("/rules/settings", test_settings);
        g_test_add_func("/rules/ctl", test_ctl);
        g_test_add_func("/rules/reload-often", test_reload_often);
        status = g_test_run();
        return harness_end(&h, status);
}
