/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "polkit.h"
#include "shared/macro.h"
#include "shared/names.h"

/* A user with an agent of polkit in his session: he is asked for a password if the call allows that, and
 * only then. This one gives none. */

#define AGENT_PATH "/org/mergemem1/test/agent"

static struct harness h;
static struct polkit polkit;

struct session {
        sd_bus *bus;
        unsigned n_asked;
        char *action;
        bool answered;
        char *error;
};

static int on_begin(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct session *s = userdata;
        const char *action;

        g_assert_cmpint(sd_bus_message_read(m, "s", &action), >, 0);
        g_free(s->action);
        s->action = g_strdup(action);
        s->n_asked++;
        return sd_bus_error_set(error, "org.freedesktop.PolicyKit1.Error.Cancelled", "No.");
}

static int on_cancel(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return sd_bus_reply_method_return(m, NULL);
}

static const sd_bus_vtable agent_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("BeginAuthentication", "sssa{ss}sa(sa{sv})", NULL, on_begin,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("CancelAuthentication", "s", NULL, on_cancel, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *unused)
{
        const sd_bus_error *e = sd_bus_message_get_error(m);
        struct session *s = userdata;

        s->answered = true;
        s->error = g_strdup(e ? e->name : NULL);
        return 0;
}

/* The name of the error of Totals, or NULL. */
static char *ask(struct session *s, bool interactive)
{
        sd_bus_message *m = NULL;

        s->answered = false;
        g_assert_cmpint(sd_bus_message_new_method_call(s->bus, &m, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                                       MERGEMEM_MANAGER_INTERFACE, "Totals"), >=, 0);
        g_assert_cmpint(sd_bus_message_set_allow_interactive_authorization(m, interactive), >=, 0);
        g_assert_cmpint(sd_bus_call_async(s->bus, NULL, m, on_answer, s, 0), >=, 0);
        sd_bus_message_unref(m);
        while (!s->answered)
                if (sd_bus_process(s->bus, NULL) == 0)
                        g_assert_cmpint(sd_bus_wait(s->bus, 60 * UINT64_C(1000000)), >, 0);
        return TAKE_PTR(s->error);
}

/* Field 22 of stat: when this process began, which together with its pid is its name to polkit. */
static uint64_t start_time(void)
{
        char *text, **fields;
        uint64_t time;

        g_assert_true(g_file_get_contents("/proc/self/stat", &text, NULL, NULL));
        fields = g_strsplit(strrchr(text, ')') + 2, " ", -1);
        time = g_ascii_strtoull(fields[22 - 3], NULL, 10);
        g_strfreev(fields);
        g_free(text);
        return time;
}

static void be_user(void)
{
        struct session s = {};
        char *error;

        g_assert_cmpint(setresgid(UID_DEFAULT, UID_DEFAULT, UID_DEFAULT), ==, 0);
        g_assert_cmpint(setresuid(UID_DEFAULT, UID_DEFAULT, UID_DEFAULT), ==, 0);
        s.bus = harness_connect(&h);
        g_assert_cmpint(sd_bus_add_object_vtable(s.bus, NULL, AGENT_PATH,
                                                 "org.freedesktop.PolicyKit1.AuthenticationAgent",
                                                 agent_vtable, &s), >=, 0);
        g_assert_cmpint(sd_bus_call_method(s.bus, "org.freedesktop.PolicyKit1",
                                           "/org/freedesktop/PolicyKit1/Authority",
                                           "org.freedesktop.PolicyKit1.Authority",
                                           "RegisterAuthenticationAgent", NULL, NULL, "(sa{sv})ss",
                                           "unix-process", 3, "pid", "u", (uint32_t)getpid(), "start-time",
                                           "t", start_time(), "uid", "i", (int32_t)UID_DEFAULT, "C",
                                           AGENT_PATH),
                        >=, 0);

        error = ask(&s, false);
        g_assert_cmpstr(error, ==, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED);
        g_assert_cmpuint(s.n_asked, ==, 0);
        g_free(error);

        error = ask(&s, true);
        g_assert_cmpstr(error, ==, SD_BUS_ERROR_ACCESS_DENIED);
        g_assert_cmpuint(s.n_asked, ==, 1);
        g_assert_cmpstr(s.action, ==, "org.mergemem1.inspect");
        g_free(error);
        _exit(0);
}

static void test_interactive(void)
{
        pid_t user = fork();

        if (user == 0)
                be_user();
        g_assert_cmpint(spawn_wait(user, 90000), ==, 0);
}

int main(int argc, char **argv)
{
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        polkit_start(&polkit, &h);
        harness_daemon_start(&h, "observe", NULL);
        g_test_add_func("/agent/interactive", test_interactive);
        status = g_test_run();
        polkit_stop(&polkit);
        return harness_end(&h, status);
}
