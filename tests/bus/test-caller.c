/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <signal.h>
#include <sys/wait.h>

#include "children.h"
#include "client.h"
#include "shared/macro.h"
#include "shared/names.h"

/* The service asks the bus who is at the other end of a connection, and waits for that with nothing but the
 * calls of that connection. */

#define PATIENCE_USEC (30U * UINT64_C(1000000))

static struct harness h;

static unsigned count_turns(void)
{
        char *log = harness_log(&h);
        unsigned n = 0;

        for (const char *at = log; (at = strstr(at, "Rule \"mine\": a turn is over")); at++)
                n++;
        g_free(log);
        return n;
}

static void freeze(pid_t pid, bool frozen)
{
        int status;

        g_assert_cmpint(kill(pid, frozen ? SIGSTOP : SIGCONT), ==, 0);
        g_assert_cmpint(waitpid(pid, &status, frozen ? WUNTRACED : WCONTINUED), ==, pid);
}

static sd_bus_message *get_mechanism(sd_bus *bus)
{
        sd_bus_message *m = NULL;

        g_assert_cmpint(sd_bus_message_new_method_call(bus, &m, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                                       "org.freedesktop.DBus.Properties", "Get"), >=, 0);
        g_assert_cmpint(sd_bus_message_append(m, "ss", MERGEMEM_MANAGER_INTERFACE, "Mechanism"), >=, 0);
        return m;
}

/* Counts answers. */
static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        (*(unsigned *)userdata)++;
        return 0;
}

static void send(sd_bus *bus, sd_bus_message_handler_t handler, void *userdata)
{
        sd_bus_message *m = get_mechanism(bus);

        g_assert_cmpint(sd_bus_call_async(bus, NULL, m, handler, userdata, 0), >=, 0);
        sd_bus_message_unref(m);
}

static void wait_for_replies(sd_bus *bus, const unsigned *n, unsigned expected)
{
        for (uint64_t end = now_usec() + PATIENCE_USEC; *n < expected;) {
                g_assert_cmpuint(now_usec(), <, end);
                g_assert_cmpint(sd_bus_process(bus, NULL), >=, 0);
                if (*n < expected)
                        g_assert_cmpint(sd_bus_wait(bus, 10000), >=, 0);
        }
}

/* A call has come, and then the bus does not say any more from whom: rules are worked on all the same. */
static void test_silent_bus(void)
{
        sd_bus *bus = harness_connect(&h);
        unsigned n_replies = 0, before;

        freeze(h.daemon_pid, true);
        send(bus, on_reply, &n_replies);
        g_assert_cmpint(sd_bus_flush(bus), >=, 0);
        /* Answered after the call was passed on. */
        g_assert_cmpint(sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                           "org.freedesktop.DBus", "GetId", NULL, NULL, NULL), >=, 0);
        freeze(h.bus_pid, true);
        before = count_turns();
        freeze(h.daemon_pid, false);
        /* The first may have been under way. */
        for (uint64_t end = now_usec() + 4000000; count_turns() < before + 2; sleep_msec(10))
                g_assert_cmpuint(now_usec(), <, end);
        freeze(h.bus_pid, false);
        wait_for_replies(bus, &n_replies, 1);
        sd_bus_close_unref(bus);
}

struct numbered {
        unsigned *n_replies, number;
};

static int on_numbered(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        const struct numbered *expected = userdata;

        if (sd_bus_message_is_method_error(m, NULL))
                g_error("%s", sd_bus_message_get_error(m)->message);
        g_assert_cmpuint((*expected->n_replies)++, ==, expected->number);
        return 0;
}

/* What a new connection sends all at once is answered, and in its order. */
static void test_order(void)
{
        for (unsigned round = 0; round < 20; round++) {
                sd_bus *bus = harness_connect(&h);
                struct numbered expected[40];
                unsigned n_replies = 0;

                for (unsigned i = 0; i < ELEMENTSOF(expected); i++) {
                        expected[i] = (struct numbered){ &n_replies, i };
                        send(bus, on_numbered, &expected[i]);
                }
                wait_for_replies(bus, &n_replies, ELEMENTSOF(expected));
                sd_bus_close_unref(bus);
        }
}

/* More than wait for the bus at a time: each is answered, if only that it was too much. */
static void test_many_calls(void)
{
        sd_bus *bus = harness_connect(&h);
        unsigned n_replies = 0;

        freeze(h.daemon_pid, true);
        for (unsigned i = 0; i < 500; i++)
                send(bus, on_reply, &n_replies);
        g_assert_cmpint(sd_bus_flush(bus), >=, 0);
        freeze(h.daemon_pid, false);
        wait_for_replies(bus, &n_replies, 500);
        sd_bus_close_unref(bus);
}

/* Who is gone before the bus has said who he was leaves nothing behind. */
static void test_gone(void)
{
        for (unsigned i = 0; i < 300; i++) {
                sd_bus *bus = harness_connect(&h);
                sd_bus_message *m = get_mechanism(bus);

                g_assert_cmpint(sd_bus_send(bus, m, NULL), >=, 0);
                g_assert_cmpint(sd_bus_flush(bus), >=, 0);
                sd_bus_message_unref(m);
                sd_bus_close_unref(bus);
        }
        g_free(manager_string(h.bus, "Mechanism"));
}

/* More connections than are remembered, all alive: each is known again. */
static void test_many_connections(void)
{
        sd_bus *buses[280];

        for (size_t i = 0; i < ELEMENTSOF(buses); i++)
                /* One user may not have all of them. */
                buses[i] = harness_connect_as(&h, i % 2 ? UID_FIRST : 0);
        for (unsigned round = 0; round < 2; round++)
                for (size_t i = 0; i < ELEMENTSOF(buses); i++)
                        g_free(manager_string(buses[i], "Mechanism"));
        for (size_t i = 0; i < ELEMENTSOF(buses); i++)
                sd_bus_close_unref(buses[i]);
}

int main(int argc, char **argv)
{
        struct child *c;
        char *rules;
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        rules = g_strdup_printf("[Daemon]\nLogLevel=debug\nCpuQuota=400%%\n[Rule default]\nMinAgeSec=1w\n"
                                "[Rule mine]\nExe=%s\nMerge=no\nMinAgeSec=0\nIntervalSec=1\n", h.target);
        harness_rules_write(&h, rules);
        harness_daemon_start(&h, "observe", NULL);
        c = child_start(&h, UID_FIRST);
        g_test_add_func("/caller/silent-bus", test_silent_bus);
        g_test_add_func("/caller/order", test_order);
        g_test_add_func("/caller/many-calls", test_many_calls);
        g_test_add_func("/caller/gone", test_gone);
        g_test_add_func("/caller/many-connections", test_many_connections);
        status = g_test_run();
        child_end(c);
        g_free(rules);
        return harness_end(&h, status);
}
