/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "children.h"
#include "client.h"
#include "shared/macro.h"
#include "shared/names.h"

/* What the service says of one process. Nothing is merged: only processes of this test are looked at. */

static struct harness h;

static sd_bus_message *explain(sd_bus *bus, pid_t pid, sd_bus_error *error)
{
        sd_bus_message *m = NULL;

        (void) sd_bus_call_method(bus, MERGEMEM_BUS_NAME, MERGEMEM_PATH, MERGEMEM_MANAGER_INTERFACE,
                                  "Explain", error, &m, "u", (uint32_t) pid);
        return m;
}

/* What is said under @key, as text (g_free); NULL if nothing is. */
static char *said(pid_t pid, const char *key)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *m = explain(h.bus, pid, &error);
        char *ret = NULL;

        if (!m)
                g_error("Explain: %s", error.message);
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "{sv}"), >, 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                const char *k, *type, *text;
                uint64_t number;
                int truth;

                g_assert_cmpint(sd_bus_message_read(m, "s", &k), >, 0);
                g_assert_cmpint(sd_bus_message_peek_type(m, NULL, &type), >, 0);
                if (!streq(k, key) || strlen(type) != 1) {
                        g_assert_cmpint(sd_bus_message_skip(m, "v"), >, 0);
                } else if (*type == 's') {
                        g_assert_cmpint(sd_bus_message_read(m, "v", "s", &text), >, 0);
                        ret = g_strdup(text);
                } else if (*type == 'b') {
                        g_assert_cmpint(sd_bus_message_read(m, "v", "b", &truth), >, 0);
                        ret = g_strdup(truth ? "true" : "false");
                } else if (*type == 't') {
                        g_assert_cmpint(sd_bus_message_read(m, "v", "t", &number), >, 0);
                        ret = g_strdup_printf("%" G_GUINT64_FORMAT, number);
                } else
                        g_assert_cmpint(sd_bus_message_skip(m, "v"), >, 0);
                g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
        }
        sd_bus_message_unref(m);
        return ret;
}

static void assert_said(pid_t pid, const char *key, const char *expected)
{
        char *text = said(pid, key);

        g_assert_cmpstr(text, ==, expected);
        g_free(text);
}

static void test_rules(void)
{
        struct child *c = child_start(&h, UID_FIRST);
        char *text;

        harness_configure(&h, "");
        assert_said(c->pid, "comm", "mm-target");
        assert_said(c->pid, "rule", "default");
        assert_said(c->pid, "merge", "yes");
        assert_said(c->pid, "zero_only", "true");
        assert_said(c->pid, "rule_file", NULL);
        assert_said(c->pid, "excluded", "");
        assert_said(c->pid, "mechanism", "ksm");

        text = g_strdup_printf("[Rule mine]\nExe=%s\nMerge=no\nTrustDomain=system\nMinAgeSec=7\n", h.target);
        harness_configure(&h, text);
        g_free(text);
        assert_said(c->pid, "rule", "mine");
        assert_said(c->pid, "rule_file", h.config);
        assert_said(c->pid, "merge", "no");
        assert_said(c->pid, "zero_only", "false");
        assert_said(c->pid, "trust", "system");
        assert_said(c->pid, "domain", "system");
        assert_said(c->pid, "min_age_usec", "7000000");
        assert_said(c->pid, "excluded", "");

        text = g_strdup_printf("[Rule not]\nExe=%s\nMerge=never\n", h.target);
        harness_configure(&h, text);
        g_free(text);
        assert_said(c->pid, "rule", "not");
        assert_said(c->pid, "excluded", "a rule says never");
        assert_said(c->pid, "liftable", "false");
        harness_configure(&h, "");
        child_end(c);
}

static void test_excluded(void)
{
        assert_said(1, "excluded", "first process");
        assert_said(1, "liftable", "false");
        assert_said(h.daemon_pid, "excluded", "part of mergemem");
}

static void test_found(void)
{
        struct child *c = child_start(&h, UID_FIRST);
        char *text;

        child_area(c, 100, 0, 0);
        assert_said(c->pid, "present_pages", NULL);
        g_free(job_run(h.bus, "Estimate", &(struct what){ .pids = &c->pid, .n_pids = 1 }));
        text = said(c->pid, "present_pages");
        g_assert_cmpuint(g_ascii_strtoull(text, NULL, 10), >=, 100);
        g_free(text);
        text = said(c->pid, "zero_frames");
        g_assert_cmpuint(g_ascii_strtoull(text, NULL, 10), >=, 90);
        g_free(text);
        child_end(c);
}

static void assert_refused(sd_bus *bus, pid_t pid, const char *name)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;

        g_assert_null(explain(bus, pid, &error));
        g_assert_cmpstr(error.name, ==, name);
        sd_bus_error_free(&error);
}

/* Who is not root may ask about his own. */
static void test_own(void)
{
        sd_bus *bus = harness_connect_as(&h, UID_FIRST);
        struct child *own = child_start(&h, UID_FIRST), *other = child_start(&h, UID_SECOND);
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *m;
        pid_t ended;

        m = explain(bus, own->pid, &error);
        if (!m)
                g_error("Explain: %s", error.message);
        sd_bus_message_unref(m);
        assert_refused(bus, other->pid, SD_BUS_ERROR_ACCESS_DENIED);
        assert_refused(bus, 1, SD_BUS_ERROR_ACCESS_DENIED);
        ended = own->pid;
        child_end(own);
        assert_refused(bus, ended, MERGEMEM_ERROR_NO_SUCH_PROCESS);
        assert_refused(h.bus, ended, MERGEMEM_ERROR_NO_SUCH_PROCESS);
        assert_refused(h.bus, 0, MERGEMEM_ERROR_NO_SUCH_PROCESS);
        assert_refused(h.bus, -1, MERGEMEM_ERROR_NO_SUCH_PROCESS);
        child_end(other);
        sd_bus_flush_close_unref(bus);
}

int main(int argc, char **argv)
{
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        harness_daemon_start(&h, NULL, NULL);
        g_test_add_func("/explain/rules", test_rules);
        g_test_add_func("/explain/excluded", test_excluded);
        g_test_add_func("/explain/found", test_found);
        g_test_add_func("/explain/own", test_own);
        status = g_test_run();
        return harness_end(&h, status);
}
