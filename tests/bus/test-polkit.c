/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "children.h"
#include "client.h"
#include "polkit.h"
#include "shared/macro.h"
#include "shared/names.h"

/* Who may do what, as the real polkitd says: yes, no, only after authentication, nothing at all. */

#define N 2U
#define PAGES 300U

static struct harness h;
static struct polkit polkit;
static sd_bus *own, *no, *standard, *yes;
static struct child *mine[N], *foreign;
static pid_t my_pids[N];

static const struct what my_processes = { .pids = my_pids, .n_pids = N };

/* The name of the error of a call without arguments, or NULL. */
static char *call(sd_bus *bus, const char *method)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        char *name;

        (void) sd_bus_call_method(bus, MERGEMEM_BUS_NAME, MERGEMEM_PATH, MERGEMEM_MANAGER_INTERFACE, method,
                                  &error, NULL, NULL);
        name = g_strdup(error.name);
        sd_bus_error_free(&error);
        return name;
}

static void expect(sd_bus *bus, const char *method, const struct what *what, const char *wanted)
{
        char *error = what ? job_refused(bus, method, what) : call(bus, method);

        g_assert_cmpstr(error, ==, wanted);
        g_free(error);
}

static void test_absent(void)
{
        static const char *const methods[] = { "Merge", "Unmerge", "Estimate" };

        for (size_t i = 0; i < ELEMENTSOF(methods); i++)
                expect(own, methods[i], &my_processes, SD_BUS_ERROR_ACCESS_DENIED);
        expect(own, "Totals", NULL, SD_BUS_ERROR_ACCESS_DENIED);
        expect(own, "Subscribe", NULL, SD_BUS_ERROR_ACCESS_DENIED);
        /* What is his own he sees. */
        g_assert_cmpuint(count_processes(own, &(struct what){ 0 }), >=, N);
        expect(own, "ListProcesses", &(struct what){ .others = true }, SD_BUS_ERROR_ACCESS_DENIED);
        expect(h.bus, "Totals", NULL, NULL);
        g_free(job_run(h.bus, "Estimate", &my_processes));
}

static void test_own(void)
{
        char *job = job_run(own, "Merge", &my_processes);

        g_assert_cmpuint(job_figure(own, job, "merged_pages"), >=, N * PAGES);
        g_assert_cmpuint(job_figure(own, job, "processes"), ==, N);
        children_verify(mine, N);
        g_free(job);
        g_free(job_run(own, "Unmerge", &my_processes));
        children_verify(mine, N);
        /* Everything he can say comes to his own. */
        job = job_run(own, "Estimate", &(struct what){ .all = true });
        g_assert_cmpuint(job_figure(own, job, "processes"), ==, N);
        g_free(job);
        job = job_run(own, "Estimate", &(struct what){ .exe = h.target });
        g_assert_cmpuint(job_figure(own, job, "processes"), ==, N);
        g_free(job);
}

/* To him others are not there; naming them takes more. */
static void test_others(void)
{
        const struct what of_another = { .pids = &foreign->pid, .n_pids = 1 };
        struct what with_others = of_another;

        with_others.others = true;
        expect(own, "Estimate", &of_another, MERGEMEM_ERROR_NO_SUCH_PROCESS);
        expect(own, "Merge", &of_another, MERGEMEM_ERROR_NO_SUCH_PROCESS);
        expect(own, "Unmerge", &of_another, MERGEMEM_ERROR_NO_SUCH_PROCESS);
        expect(own, "Estimate", &(struct what){ .user = "daemon" }, MERGEMEM_ERROR_NOTHING_MATCHES);
        expect(own, "Merge", &(struct what){ .all = true, .user = "nobody", .trust = "system" },
               MERGEMEM_ERROR_BAD_SELECTOR);
        for (size_t i = 0; i < 3; i++)
                expect(own, ((const char *[]){ "Estimate", "Merge", "Unmerge" })[i], &with_others,
                       SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED);
        expect(own, "Totals", NULL, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED);
        expect(yes, "Estimate", &of_another, MERGEMEM_ERROR_NO_SUCH_PROCESS);
        g_free(job_run(yes, "Estimate", &with_others));
        expect(yes, "Totals", NULL, NULL);
}

static void test_no(void)
{
        const struct what w = { .pids = &foreign->pid, .n_pids = 1 };

        /* It is his. */
        expect(no, "Merge", &w, SD_BUS_ERROR_ACCESS_DENIED);
        expect(no, "Unmerge", &w, SD_BUS_ERROR_ACCESS_DENIED);
        expect(no, "Estimate", &w, SD_BUS_ERROR_ACCESS_DENIED);
        expect(no, "Totals", NULL, SD_BUS_ERROR_ACCESS_DENIED);
        /* Mistakes are found before polkit is asked. */
        expect(no, "Merge", &(struct what){ 0 }, MERGEMEM_ERROR_BAD_SELECTOR);
        expect(no, "Merge", &(struct what){ .all = true, .mechanism = "direct" },
               MERGEMEM_ERROR_NOT_SUPPORTED);
}

/* A call about one process; the error's name (g_free), or NULL. */
static char *about(sd_bus *bus, const char *method, pid_t pid, bool others)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        char *name;

        (void) sd_bus_call_method(bus, MERGEMEM_BUS_NAME, MERGEMEM_PATH, MERGEMEM_MANAGER_INTERFACE, method,
                                  &error, NULL, "ua{sv}", (uint32_t)pid, others ? 1 : 0, "others", "b", 1);
        name = g_strdup(error.name);
        sd_bus_error_free(&error);
        return name;
}

static void expect_about(sd_bus *bus, const char *method, pid_t pid, bool others, const char *wanted)
{
        char *name = about(bus, method, pid, others);

        g_assert_cmpstr(name, ==, wanted);
        g_free(name);
}

/* What is told of pages, and whose frames are whose. */
static void test_inspect(void)
{
        expect_about(own, "Pages", my_pids[0], false, NULL);
        expect_about(own, "Pages", my_pids[0], true, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED);
        expect_about(own, "Pages", foreign->pid, false, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED);
        expect_about(own, "Sharing", my_pids[0], false, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED);
        expect_about(no, "Pages", foreign->pid, false, NULL);
        expect_about(no, "Pages", my_pids[0], false, SD_BUS_ERROR_ACCESS_DENIED);
        expect_about(no, "Sharing", foreign->pid, false, SD_BUS_ERROR_ACCESS_DENIED);
        expect_about(yes, "Pages", my_pids[0], false, NULL);
        expect_about(yes, "Pages", foreign->pid, true, NULL);
        expect_about(yes, "Sharing", my_pids[0], false, NULL);
}

static void test_challenge(void)
{
        expect(standard, "Estimate", &(struct what){ .all = true },
               SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED);
        /* Nobody is there to be asked. */
        g_assert_cmpint(sd_bus_set_allow_interactive_authorization(standard, true), >=, 0);
        expect(standard, "Estimate", &(struct what){ .all = true },
               SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED);
        g_assert_cmpint(sd_bus_set_allow_interactive_authorization(standard, false), >=, 0);
}

/* What is never merged is lifted by root's word, and not by the user's. */
static void test_never_list(void)
{
        struct child *secret = child_start(&h, UID_OWN);
        struct what w = { .pids = &secret->pid, .n_pids = 1, .exe = h.target };
        char *job;

        child_say(secret, "secret");
        expect(own, "Merge", &w, MERGEMEM_ERROR_NOTHING_MATCHES);
        w.user = "nobody";
        expect(own, "Estimate", &w, MERGEMEM_ERROR_NOTHING_MATCHES);
        job = job_run(h.bus, "Estimate", &w);
        g_assert_cmpuint(job_figure(h.bus, job, "processes"), ==, 1);
        g_free(job);
        child_end(secret);
}

static void test_lists(void)
{
        size_t n = count_processes(h.bus, &(struct what){ 0 });

        g_assert_cmpuint(count_processes(own, &(struct what){ 0 }), ==, N);
        expect(own, "ListProcesses", &(struct what){ .user = "daemon" }, MERGEMEM_ERROR_NOTHING_MATCHES);
        g_assert_cmpuint(count_processes(no, &(struct what){ 0 }), ==, 1);
        g_assert_cmpuint(count_processes(standard, &(struct what){ 0 }), ==, 0);
        g_assert_cmpuint(count_processes(yes, &(struct what){ .others = true }), ==, n);
        g_assert_cmpuint(n, >, N + 1);
        g_assert_cmpuint(count_library_users(own, "/libc.so.6"), ==, N);
        g_assert_cmpuint(count_library_users(h.bus, "/libc.so.6"), >, N + 1);
        g_assert_cmpuint(count_library_users(standard, "/libc.so.6"), ==, 0);
}

/* Whether @bus may read the job's state. */
static bool sees(sd_bus *bus, const char *job)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        char *state = NULL;
        int r;

        r = sd_bus_get_property_string(bus, MERGEMEM_BUS_NAME, job, MERGEMEM_JOB_INTERFACE, "State", &error,
                                       &state);
        if (r < 0)
                g_assert_true(sd_bus_error_has_names(&error, SD_BUS_ERROR_UNKNOWN_OBJECT));
        sd_bus_error_free(&error);
        free(state);
        return r >= 0;
}

static int cancel(sd_bus *bus, const char *job, const char *wanted)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = sd_bus_call_method(bus, MERGEMEM_BUS_NAME, job, MERGEMEM_JOB_INTERFACE, "Cancel", &error,
                                   NULL, NULL);

        g_assert_cmpstr(error.name, ==, wanted);
        sd_bus_error_free(&error);
        return r;
}

static void test_jobs(void)
{
        struct child *big = child_start(&h, UID_OWN);
        sd_bus *second = harness_connect_as(&h, UID_OWN);
        char *his, *roots;

        child_area(big, 40000, 7, 1);
        roots = job_start(h.bus, "Estimate", &(struct what){ .pids = &big->pid, .n_pids = 1 });
        his = job_start(own, "Estimate", &(struct what){ .pids = &big->pid, .n_pids = 1 });
        g_assert_true(sees(own, his));
        g_assert_true(sees(second, his));
        g_assert_true(sees(h.bus, his));
        g_assert_false(sees(standard, his));
        g_assert_false(sees(yes, his));
        g_assert_true(sees(h.bus, roots));
        g_assert_false(sees(own, roots));
        g_assert_cmpuint(count_jobs(own), <, count_jobs(h.bus));
        g_assert_cmpuint(count_jobs(standard), ==, 0);

        cancel(own, roots, SD_BUS_ERROR_UNKNOWN_OBJECT);
        cancel(standard, his, SD_BUS_ERROR_UNKNOWN_OBJECT);
        cancel(second, his, NULL);
        g_assert_cmpstr(job_wait(own, his), ==, "cancelled");
        g_assert_cmpstr(job_wait(h.bus, roots), ==, "done");
        sd_bus_close_unref(second);
        g_free(his);
        g_free(roots);
        child_end(big);
}

static void test_start(void)
{
        polkit_start(&polkit, &h);
}

/* What the package ships. */
static void test_defaults(void)
{
        static const char *const actions[][4] = {
                { "merge-own", "auth_admin", "auth_admin", "yes" },
                { "merge-own-direct", "auth_admin_keep", "auth_admin_keep", "auth_admin_keep" },
                { "merge", "auth_admin_keep", "auth_admin_keep", "auth_admin_keep" },
                { "unmerge", "auth_admin_keep", "auth_admin_keep", "auth_admin_keep" },
                { "configure", "auth_admin_keep", "auth_admin_keep", "auth_admin_keep" },
                { "reload", "auth_admin_keep", "auth_admin_keep", "auth_admin_keep" },
                { "inspect", "auth_admin_keep", "auth_admin_keep", "auth_admin_keep" },
        };
        char *address = g_strconcat("DBUS_SYSTEM_BUS_ADDRESS=", h.address, NULL);

        for (size_t i = 0; i < ELEMENTSOF(actions); i++) {
                char *id = g_strconcat("org.mergemem1.", actions[i][0], NULL), *text, *wanted;
                GRegex *regex;

                g_assert_cmpint(spawn_run(&(struct spawn){
                                        .argv = (const char *[]){ "/usr/bin/pkaction", "--verbose",
                                                                  "--action-id", id, NULL },
                                        .environment = (const char *[]){ address, NULL } },
                                          10000, &text), ==, 0);
                wanted = g_strdup_printf("any: *%s\n *implicit inactive: *%s\n *implicit active: *%s\n",
                                         actions[i][1], actions[i][2], actions[i][3]);
                regex = g_regex_new(wanted, 0, 0, NULL);
                if (!g_regex_match(regex, text, 0, NULL))
                        g_error("%s", text);
                g_regex_unref(regex);
                g_free(wanted);
                g_free(text);
                g_free(id);
        }
        g_free(address);
}

struct waiting {
        sd_bus_slot *slot;
        bool answered;
        char *error;
};

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *unused)
{
        struct waiting *w = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(m);

        w->answered = true;
        w->error = g_strdup(e ? e->name : NULL);
        return 0;
}

static void ask(sd_bus *bus, struct waiting *w)
{
        *w = (struct waiting){ 0 };
        g_assert_cmpint(sd_bus_call_method_async(bus, &w->slot, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                                 MERGEMEM_MANAGER_INTERFACE, "Totals", on_answer, w, NULL),
                        >=, 0);
        g_assert_cmpint(sd_bus_flush(bus), >=, 0);
}

static void hear(sd_bus *bus, struct waiting *w, unsigned timeout_sec, const char *wanted)
{
        for (uint64_t end = now_usec() + timeout_sec * UINT64_C(1000000); !w->answered;) {
                g_assert_cmpuint(now_usec(), <, end);
                if (sd_bus_process(bus, NULL) == 0)
                        sd_bus_wait(bus, 100000);
        }
        g_assert_cmpstr(w->error, ==, wanted);
        sd_bus_slot_unref(w->slot);
        g_free(w->error);
}

/* Everything but what waits for polkit goes on. */
static void test_hanging(void)
{
        sd_bus *leaver = harness_connect_as(&h, UID_YES), *heir;
        struct waiting w[8], surplus;

        polkit_freeze(&polkit);
        for (size_t i = 0; i < 8; i++)
                ask(leaver, &w[i]);
        ask(leaver, &surplus);
        hear(leaver, &surplus, 10, MERGEMEM_ERROR_LIMITS);
        for (size_t i = 0; i < 8; i++)
                g_assert_false(w[i].answered);

        expect(h.bus, "Totals", NULL, NULL);
        g_free(job_run(h.bus, "Estimate", &my_processes));
        g_assert_cmpuint(count_processes(own, &(struct what){ 0 }), ==, N);
        for (size_t i = 0; i < 8; i++)
                sd_bus_slot_unref(w[i].slot);

        /* Who leaves makes room. */
        sd_bus_close_unref(leaver);
        heir = harness_connect_as(&h, UID_YES);
        ask(heir, &w[0]);
        ask(own, &w[1]);
        polkit_thaw(&polkit);
        hear(heir, &w[0], 10, NULL);
        hear(own, &w[1], 10, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED);
        sd_bus_close_unref(heir);
}

/* Nobody waits for ever, nor for a polkit that has died. */
static void test_no_answer(void)
{
        struct waiting w;

        polkit_freeze(&polkit);
        ask(yes, &w);
        hear(yes, &w, 60, SD_BUS_ERROR_AUTH_FAILED);
        ask(yes, &w);
        polkit_stop(&polkit);
        hear(yes, &w, 10, SD_BUS_ERROR_AUTH_FAILED);
        expect(yes, "Totals", NULL, SD_BUS_ERROR_ACCESS_DENIED);
        polkit_start(&polkit, &h);
        expect(yes, "Totals", NULL, NULL);
}

int main(int argc, char **argv)
{
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        harness_daemon_start(&h, NULL, NULL);
        own = harness_connect_as(&h, UID_OWN);
        no = harness_connect_as(&h, UID_NO);
        standard = harness_connect_as(&h, UID_DEFAULT);
        yes = harness_connect_as(&h, UID_YES);
        children_start(&h, UID_OWN, mine, my_pids, N);
        for (size_t i = 0; i < N; i++)
                child_area(mine[i], PAGES, 15, 1);
        foreign = child_start(&h, UID_NO);

        g_test_add_func("/polkit/absent", test_absent);
        g_test_add_func("/polkit/start", test_start);
        g_test_add_func("/polkit/defaults", test_defaults);
        g_test_add_func("/polkit/own", test_own);
        g_test_add_func("/polkit/others", test_others);
        g_test_add_func("/polkit/no", test_no);
        g_test_add_func("/polkit/inspect", test_inspect);
        g_test_add_func("/polkit/challenge", test_challenge);
        g_test_add_func("/polkit/never-list", test_never_list);
        g_test_add_func("/polkit/lists", test_lists);
        g_test_add_func("/polkit/jobs", test_jobs);
        g_test_add_func("/polkit/hanging", test_hanging);
        g_test_add_func("/polkit/no-answer", test_no_answer);
        status = g_test_run();
        children_end(mine, N);
        child_end(foreign);
        sd_bus_close_unref(own);
        sd_bus_close_unref(no);
        sd_bus_close_unref(standard);
        sd_bus_close_unref(yes);
        polkit_stop(&polkit);
        return harness_end(&h, status);
}
