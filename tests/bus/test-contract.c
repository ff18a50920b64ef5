/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "children.h"
#include "client.h"
#include "shared/macro.h"
#include "shared/names.h"

/* The running daemon's introspection against the installed XML. Both are flattened to one line per
 * member, argument and annotation, sorted; the order of members means nothing, that of arguments
 * does. */

static struct harness h;

struct flat {
        const char *interface; /* the one wanted */
        bool inside;
        char *member;
        unsigned n_args;
        GPtrArray *lines;
};

static const char *attribute(const char **names, const char **values, const char *name)
{
        for (size_t i = 0; names[i]; i++)
                if (streq(names[i], name))
                        return values[i];
        return "";
}

static void on_start(GMarkupParseContext *context, const char *element, const char **names,
                     const char **values, void *userdata, GError **error)
{
        struct flat *f = userdata;
        const char *name = attribute(names, values, "name");

        if (streq(element, "interface")) {
                f->inside = streq(name, f->interface);
                return;
        }
        if (!f->inside)
                return;
        if (streq(element, "arg")) {
                const char *direction = attribute(names, values, "direction");

                /* What a signal says can only go out. */
                if (g_str_has_prefix(f->member, "signal"))
                        direction = "out";
                g_ptr_array_add(f->lines,
                                g_strdup_printf("%s arg %u %s %s %s", f->member, f->n_args++, direction,
                                                attribute(names, values, "type"), name));
        } else if (streq(element, "annotation")) {
                /* sd-bus's own mark, which no XML has; who may call what, the tests of errors show. */
                if (streq(name, "org.freedesktop.systemd1.Privileged"))
                        return;
                g_ptr_array_add(f->lines, g_strdup_printf("%s annotation %s=%s", f->member, name,
                                                          attribute(names, values, "value")));
        } else {
                g_free(f->member);
                f->member = g_strdup_printf("%s %s", element, name);
                f->n_args = 0;
                g_ptr_array_add(f->lines,
                                g_strdup_printf("%s %s %s", f->member, attribute(names, values, "type"),
                                                attribute(names, values, "access")));
        }
}

static void on_end(GMarkupParseContext *context, const char *element, void *userdata, GError **error)
{
        struct flat *f = userdata;

        if (streq(element, "interface"))
                f->inside = false;
}

static int compare_lines(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *flatten(const char *xml, const char *interface)
{
        struct flat f = { .interface = interface, .lines = g_ptr_array_new_with_free_func(g_free) };
        GMarkupParser parser = { .start_element = on_start, .end_element = on_end };
        GMarkupParseContext *context = g_markup_parse_context_new(&parser, 0, &f, NULL);
        char *text;

        g_assert_true(g_markup_parse_context_parse(context, xml, -1, NULL));
        g_assert_true(g_markup_parse_context_end_parse(context, NULL));
        g_markup_parse_context_free(context);
        g_free(f.member);

        g_ptr_array_sort(f.lines, compare_lines);
        g_ptr_array_add(f.lines, NULL);
        text = g_strjoinv("\n", (char **)f.lines->pdata);
        g_ptr_array_free(f.lines, TRUE);
        return text;
}

static char *introspect(const char *path)
{
        sd_bus_message *reply = NULL;
        const char *xml;
        char *copy;

        g_assert_cmpint(sd_bus_call_method(h.bus, MERGEMEM_BUS_NAME, path,
                                           "org.freedesktop.DBus.Introspectable", "Introspect", NULL, &reply,
                                           NULL),
                        >=, 0);
        g_assert_cmpint(sd_bus_message_read(reply, "s", &xml), >, 0);
        copy = g_strdup(xml);
        sd_bus_message_unref(reply);
        return copy;
}

static void compare(const char *path, const char *interface, const char *file)
{
        char *name = g_build_filename(TEST_DBUS_DIR, file, NULL), *written, *expected, *running, *found;

        g_assert_true(g_file_get_contents(name, &written, NULL, NULL));
        running = introspect(path);
        expected = flatten(written, interface);
        found = flatten(running, interface);
        g_assert_cmpstr(expected, !=, "");
        g_assert_cmpstr(found, ==, expected);

        g_free(found);
        g_free(expected);
        g_free(running);
        g_free(written);
        g_free(name);
}

static void test_manager(void)
{
        compare(MERGEMEM_PATH, MERGEMEM_MANAGER_INTERFACE, "org.mergemem1.Manager.xml");
}

static void test_job(void)
{
        struct child *c = child_start(&h, UID_FIRST);
        char *job = job_run(h.bus, "Estimate", &(struct what){ .pids = &c->pid, .n_pids = 1 });

        g_assert_true(g_str_has_prefix(job, MERGEMEM_JOB_PREFIX "/"));
        compare(job, MERGEMEM_JOB_INTERFACE, "org.mergemem1.Job.xml");
        g_free(job);
        child_end(c);
}

static void test_log_control(void)
{
        char *xml = introspect("/org/freedesktop/LogControl1"), *found, *level = NULL;

        found = flatten(xml, "org.freedesktop.LogControl1");
        g_assert_nonnull(strstr(found, "property LogLevel s readwrite"));
        g_assert_nonnull(strstr(found, "property SyslogIdentifier s read"));
        g_assert_cmpint(sd_bus_set_property(h.bus, MERGEMEM_BUS_NAME, "/org/freedesktop/LogControl1",
                                            "org.freedesktop.LogControl1", "LogLevel", NULL, "s", "notice"),
                        >=, 0);
        g_assert_cmpint(sd_bus_get_property_string(h.bus, MERGEMEM_BUS_NAME, "/org/freedesktop/LogControl1",
                                                   "org.freedesktop.LogControl1", "LogLevel", NULL, &level),
                        >=, 0);
        g_assert_cmpstr(level, ==, "notice");
        free(level);
        g_free(found);
        g_free(xml);
}

struct signals {
        unsigned n_new, n_removed;
        char *job, *result;
};

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct signals *s = userdata;
        const char *job, *result;
        uint32_t id;

        if (sd_bus_message_is_signal(m, NULL, "JobNew")) {
                g_assert_cmpint(sd_bus_message_read(m, "uo", &id, &job), >, 0);
                s->n_new++;
        } else {
                g_assert_cmpint(sd_bus_message_read(m, "uos", &id, &job, &result), >, 0);
                s->n_removed++;
                g_free(s->result);
                s->result = g_strdup(result);
        }
        g_free(s->job);
        s->job = g_strdup(job);
        return 0;
}

static void test_signals(void)
{
        struct child *c = child_start(&h, UID_FIRST);
        struct signals s = { 0 };
        sd_bus_slot *added = NULL, *removed = NULL;
        char *job;

        g_assert_cmpint(sd_bus_match_signal(h.bus, &added, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                            MERGEMEM_MANAGER_INTERFACE, "JobNew", on_signal, &s), >=, 0);
        g_assert_cmpint(sd_bus_match_signal(h.bus, &removed, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                            MERGEMEM_MANAGER_INTERFACE, "JobRemoved", on_signal, &s), >=, 0);
        job = job_start(h.bus, "Estimate", &(struct what){ .pids = &c->pid, .n_pids = 1 });
        for (uint64_t end = now_usec() + 20000000; s.n_removed == 0 && now_usec() < end;)
                if (sd_bus_process(h.bus, NULL) == 0)
                        sd_bus_wait(h.bus, 100000);
        g_assert_cmpuint(s.n_new, ==, 1);
        g_assert_cmpuint(s.n_removed, ==, 1);
        g_assert_cmpstr(s.job, ==, job);
        g_assert_cmpstr(s.result, ==, "done");
        /* The object outlives the signal, so that its result can be read. */
        g_assert_cmpstr(job_wait(h.bus, job), ==, "done");
        g_assert_cmpfloat(job_progress(h.bus, job), ==, 1);

        sd_bus_slot_unref(added);
        sd_bus_slot_unref(removed);
        g_free(s.job);
        g_free(s.result);
        g_free(job);
        child_end(c);
}

static void test_properties(void)
{
        char *mechanism = manager_string(h.bus, "Mechanism"), *version = manager_string(h.bus, "Version");
        char *reason = manager_string(h.bus, "MechanismReason");

        g_assert_cmpstr(mechanism, ==, "ksm");
        g_assert_cmpstr(version, ==, TEST_VERSION);
        g_assert_cmpstr(reason, !=, "");
        g_assert_cmpuint(manager_figure(h.bus, "RegisteredProcesses", 'u'), ==, 0);
        g_assert_cmpuint(manager_figure(h.bus, "SavedBytes", 't'), ==, 0);
        g_assert_cmpuint(manager_figure(h.bus, "LastScanUSec", 't'), >, 0);
        g_assert_cmpuint(manager_figure(h.bus, "PagesScannedTotal", 't'), >, 0);
        g_assert_cmpuint(manager_figure(h.bus, "CPUUsageNSec", 't'), >, 0);
        g_free(mechanism);
        g_free(version);
        g_free(reason);
}

int main(int argc, char **argv)
{
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        harness_daemon_start(&h, NULL, NULL);
        g_test_add_func("/contract/manager", test_manager);
        g_test_add_func("/contract/job", test_job);
        g_test_add_func("/contract/log-control", test_log_control);
        g_test_add_func("/contract/signals", test_signals);
        g_test_add_func("/contract/properties", test_properties);
        status = g_test_run();
        return harness_end(&h, status);
}
