/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <unistd.h>

#include "children.h"
#include "client.h"
#include "polkit.h"
#include "shared/macro.h"
#include "shared/names.h"

/* A client that sends whatever comes to its mind to every method there is, and one that never stops asking.
 * It is a user who may merge his own. */

/* What the daemon may keep of all that: some of the largest messages, which its allocator has no reason to
 * give back at once, but not of each. */
#define GROWTH_MAX_KIB (32U * 1024U)
/* Far more than any answer takes, however busy the machine is. */
#define PATIENCE_USEC (15U * UINT64_C(1000000))

static struct harness h;
static struct polkit polkit;
static sd_bus *own;
static GRand *dice;

struct method {
        char *path, *interface, *name;
        GPtrArray *types; /* of its arguments */
};
static GPtrArray *methods;

static void method_free(void *p)
{
        struct method *m = p;

        g_free(m->path);
        g_free(m->interface);
        g_free(m->name);
        g_ptr_array_free(m->types, TRUE);
        g_free(m);
}

static const char *attribute(const char **names, const char **values, const char *name)
{
        for (size_t i = 0; names[i]; i++)
                if (streq(names[i], name))
                        return values[i];
        return "";
}

struct reading {
        const char *path;
        char *interface;
        struct method *method;
};

static void on_element(GMarkupParseContext *context, const char *element, const char **names,
                       const char **values, void *userdata, GError **error)
{
        const char *name = attribute(names, values, "name");
        struct reading *r = userdata;

        if (streq(element, "interface")) {
                g_free(r->interface);
                r->interface = g_strdup(name);
        } else if (streq(element, "method")) {
                r->method = g_new(struct method, 1);
                *r->method = (struct method){ g_strdup(r->path), g_strdup(r->interface), g_strdup(name),
                                              g_ptr_array_new_with_free_func(g_free) };
                g_ptr_array_add(methods, r->method);
        } else if (streq(element, "arg") && streq(attribute(names, values, "direction"), "in"))
                g_ptr_array_add(r->method->types, g_strdup(attribute(names, values, "type")));
}

/* Takes down all methods that the service has at @path. */
static void learn(const char *path)
{
        struct reading r = { .path = path };
        GMarkupParser parser = { .start_element = on_element };
        GMarkupParseContext *context = g_markup_parse_context_new(&parser, 0, &r, NULL);
        sd_bus_message *reply = NULL;
        size_t n = methods->len;
        const char *xml;

        g_assert_cmpint(sd_bus_call_method(own, MERGEMEM_BUS_NAME, path,
                                           "org.freedesktop.DBus.Introspectable", "Introspect", NULL, &reply,
                                           NULL),
                        >=, 0);
        g_assert_cmpint(sd_bus_message_read(reply, "s", &xml), >, 0);
        g_assert_true(g_markup_parse_context_parse(context, xml, -1, NULL));
        g_assert_cmpuint(methods->len, >, n);
        g_markup_parse_context_free(context);
        sd_bus_message_unref(reply);
        g_free(r.interface);
}

static bool chance(int one_in)
{
        return g_rand_int_range(dice, 0, one_in) == 0;
}

/* Now and then far too many. */
static unsigned any_count(void)
{
        return (unsigned)g_rand_int_range(dice, 0, chance(300) ? 200000 : chance(10) ? 5000 : 4);
}

/* The bus takes UTF-8 only. */
static char *any_text(void)
{
        static const char *const some[] = {
                "",           "/",        "/proc/self/exe", "libc.so.6",          "*",      "nobody",
                "user.slice", "no\ntext", "../../..",       "\xc3\xbc\xe2\x82\xac", "system", "yes",
        };

        if (chance(8))
                return g_strnfill(any_count() * 10, chance(2) ? '/' : 'x');
        return g_strdup(some[g_rand_int_range(dice, 0, ELEMENTSOF(some))]);
}

static void append_dictionary(sd_bus_message *m);

static void append_any(sd_bus_message *m, const char *type)
{
        g_autofree char *text = any_text();
        uint32_t number = g_rand_int(dice);
        unsigned n;

        if (streq(type, "a{sv}"))
                append_dictionary(m);
        else if (streq(type, "as")) {
                g_assert_cmpint(sd_bus_message_open_container(m, 'a', "s"), >=, 0);
                for (n = strlen(text) < 100 ? any_count() : 1; n > 0; n--)
                        g_assert_cmpint(sd_bus_message_append(m, "s", text), >=, 0);
                g_assert_cmpint(sd_bus_message_close_container(m), >=, 0);
        } else if (streq(type, "au")) {
                g_assert_cmpint(sd_bus_message_open_container(m, 'a', "u"), >=, 0);
                for (n = any_count(); n > 0; n--)
                        g_assert_cmpint(sd_bus_message_append(m, "u", number + n), >=, 0);
                g_assert_cmpint(sd_bus_message_close_container(m), >=, 0);
        } else if (streq(type, "v"))
                g_assert_cmpint(sd_bus_message_append(m, "v", "s", text), >=, 0);
        else if (streq(type, "u") || streq(type, "b"))
                g_assert_cmpint(sd_bus_message_append(m, type, *type == 'b' ? number % 2 : number), >=, 0);
        else
                g_assert_cmpint(sd_bus_message_append(m, "s", text), >=, 0);
}

/* Keys that mean something and others, mostly with values of the right type. */
static void append_dictionary(sd_bus_message *m)
{
        static const char *const keys[][2] = {
                { "pid", "au" },   { "comm", "as" },  { "exe", "as" },     { "cgroup", "as" },
                { "unit", "as" },  { "user", "as" },  { "shlib", "as" },   { "trust", "s" },
                { "force", "b" },  { "others", "b" }, { "all", "b" },      { "mechanism", "s" },
                { "zebra", "as" }, { "", "v" },       { "user.name", "u" },
        };
        unsigned n = any_count();

        g_assert_cmpint(sd_bus_message_open_container(m, 'a', "{sv}"), >=, 0);
        for (unsigned i = 0; i < n; i++) {
                int k = g_rand_int_range(dice, 0, ELEMENTSOF(keys));
                const char *type = keys[chance(8) ? g_rand_int_range(dice, 0, ELEMENTSOF(keys)) : k][1];

                /* Many entries, or large ones. */
                if (n > 4)
                        type = "b";
                g_assert_cmpint(sd_bus_message_open_container(m, 'e', "sv"), >=, 0);
                g_assert_cmpint(sd_bus_message_append(m, "s", keys[k][0]), >=, 0);
                g_assert_cmpint(sd_bus_message_open_container(m, 'v', type), >=, 0);
                append_any(m, type);
                g_assert_cmpint(sd_bus_message_close_container(m), >=, 0);
                g_assert_cmpint(sd_bus_message_close_container(m), >=, 0);
        }
        g_assert_cmpint(sd_bus_message_close_container(m), >=, 0);
}

static sd_bus_message *any_call(sd_bus *bus)
{
        static const char *const wrong[] = { "s", "as", "a{sv}", "u", "v" };
        const struct method *method = methods->pdata[g_rand_int_range(dice, 0, (gint32)methods->len)];
        sd_bus_message *m = NULL;

        g_assert_cmpint(sd_bus_message_new_method_call(bus, &m, MERGEMEM_BUS_NAME, method->path,
                                                       method->interface, method->name), >=, 0);
        if (chance(6))
                append_any(m, wrong[g_rand_int_range(dice, 0, ELEMENTSOF(wrong))]);
        else
                for (size_t i = 0; i < method->types->len; i++)
                        append_any(m, method->types->pdata[i]);
        return m;
}

static uint64_t resident_kib(pid_t pid)
{
        char *path = g_strdup_printf("/proc/%d/status", (int)pid), *text, *line;
        uint64_t kib;

        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        line = strstr(text, "VmRSS:");
        g_assert_nonnull(line);
        kib = g_ascii_strtoull(line + strlen("VmRSS:"), NULL, 10);
        g_free(text);
        g_free(path);
        return kib;
}

/* As large as it gets, so that what the daemon needs for such a message it needs from the beginning. */
static void warm_up(void)
{
        g_autofree char *text = g_strnfill(2000000, 'x');

        for (unsigned i = 0; i < 8; i++) {
                char *name = job_refused(own, "Estimate", &(struct what){ .comm = text, .shlib = text });

                g_assert_cmpstr(name, ==, MERGEMEM_ERROR_BAD_SELECTOR);
                g_free(name);
        }
}

static void test_random(void)
{
        unsigned rounds = test_rounds(2000), n_errors = 0;
        uint64_t before = 0, after;

        warm_up();
        for (unsigned i = 0; i < rounds; i++) {
                sd_bus_error error = SD_BUS_ERROR_NULL;
                sd_bus_message *m = any_call(own), *reply = NULL;

                if (sd_bus_call(own, m, 0, &error, &reply) < 0) {
                        /* What is refused for being too much is not looked at. */
                        if (strstr(error.message, "too often")) {
                                sleep_msec(10);
                                i--;
                        } else
                                n_errors++;
                        /* All that goes wrong has a name, and the service goes on. */
                        if (sd_bus_error_has_names(&error, SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_DISCONNECTED,
                                                   SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_TIMEOUT))
                                g_error("%s: %s: %s", sd_bus_message_get_member(m), error.name,
                                        error.message);
                }
                sd_bus_error_free(&error);
                sd_bus_message_unref(reply);
                sd_bus_message_unref(m);
                if (i == rounds / 2)
                        before = resident_kib(h.daemon_pid);
        }
        after = resident_kib(h.daemon_pid);
        g_test_message("%u calls, %u errors, %" G_GUINT64_FORMAT " KiB, then %" G_GUINT64_FORMAT " KiB",
                       rounds, n_errors, before, after);
        g_assert_cmpuint(n_errors, >, rounds / 4);
        g_assert_cmpuint(after, <, before + GROWTH_MAX_KIB);
}

/* Asks for everything, again and again. */
static void flood(void)
{
        static const char *const asked[] = {
                "Merge", "Unmerge", "Estimate", "ListProcesses", "ListLibraries", "ListJobs", "Totals",
        };
        sd_bus *bus = harness_connect_as(&h, UID_OWN);

        for (unsigned i = 0;; i++) {
                const char *method = asked[i % ELEMENTSOF(asked)];
                sd_bus_message *m = NULL;

                g_assert_cmpint(sd_bus_message_new_method_call(bus, &m, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                                               MERGEMEM_MANAGER_INTERFACE, method), >=, 0);
                if (!streq(method, "ListJobs") && !streq(method, "Totals"))
                        g_assert_cmpint(what_append(m, &(struct what){ .all = true, .others = i % 16 == 0 }),
                                        >=, 0);
                (void)sd_bus_call(bus, m, UINT64_MAX, NULL, NULL);
                sd_bus_message_unref(m);
        }
}

/* A user with many connections, each of which asks without a pause; root and another user are served. */
static void test_flood(void)
{
        struct child *c = child_start(&h, UID_YES);
        const struct what w = { .pids = &c->pid, .n_pids = 1, .others = true };
        sd_bus *yes = harness_connect_as(&h, UID_YES);
        uint64_t slowest = 0;
        pid_t flooders[8];

        for (size_t i = 0; i < ELEMENTSOF(flooders); i++) {
                flooders[i] = fork();
                if (flooders[i] == 0)
                        flood();
        }
        for (unsigned i = 0; i < 40; i++) {
                uint64_t begin = now_usec();

                g_free(job_run(i % 2 ? h.bus : yes, "Estimate", &w));
                slowest = MAX(slowest, now_usec() - begin);
        }
        for (size_t i = 0; i < ELEMENTSOF(flooders); i++)
                spawn_kill(flooders[i]);
        g_test_message("the slowest of 40 estimates took %" G_GUINT64_FORMAT " ms", slowest / 1000);
        g_assert_cmpuint(slowest, <, PATIENCE_USEC);
        sd_bus_close_unref(yes);
        child_end(c);
}

/* Asks for what is long, and reads no answer; slowly enough for the bus, which refuses by itself what is
 * more than it has let wait. */
static void be_deaf(void)
{
        sd_bus *bus = harness_connect_as(&h, UID_OWN);

        for (unsigned i = 0;; i++) {
                sd_bus_message *m = NULL;
                uint64_t cookie;

                g_assert_cmpint(sd_bus_message_new_method_call(bus, &m, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                                               MERGEMEM_MANAGER_INTERFACE, "ListSettings"),
                                >=, 0);
                (void)sd_bus_send(bus, m, &cookie);
                (void)sd_bus_flush(bus);
                sd_bus_message_unref(m);
                if (i % 100 == 0)
                        sleep_msec(100);
        }
}

/* Nobody is slowed by that, nor is the bus filled with answers. */
static void test_deaf(void)
{
        struct child *c = child_start(&h, UID_YES);
        const struct what w = { .pids = &c->pid, .n_pids = 1, .others = true };
        uint64_t slowest = 0, before = resident_kib(h.bus_pid), after;
        pid_t deaf[4];

        for (size_t i = 0; i < ELEMENTSOF(deaf); i++) {
                deaf[i] = fork();
                if (deaf[i] == 0)
                        be_deaf();
        }
        for (unsigned i = 0; i < 20; i++) {
                uint64_t begin = now_usec();

                g_free(job_run(h.bus, "Estimate", &w));
                slowest = MAX(slowest, now_usec() - begin);
                sleep_msec(200);
        }
        after = resident_kib(h.bus_pid);
        for (size_t i = 0; i < ELEMENTSOF(deaf); i++)
                spawn_kill(deaf[i]);
        g_test_message("the slowest of 20 estimates took %" G_GUINT64_FORMAT " ms; the bus took %"
                       G_GUINT64_FORMAT " KiB", slowest / 1000, after - before);
        g_assert_cmpuint(slowest, <, PATIENCE_USEC / 3);
        g_assert_cmpuint(after, <, before + GROWTH_MAX_KIB);
        child_end(c);
}

int main(int argc, char **argv)
{
        struct child *c;
        char *job;
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        polkit_start(&polkit, &h);
        /* What is freed is to be gone, so that what stays can be seen. */
        harness_daemon_start(&h, NULL, (const char *[]){ "ASAN_OPTIONS=detect_leaks=1:quarantine_size_mb=1",
                                                         NULL });
        dice = g_rand_new_with_seed((guint32)g_test_rand_int());
        own = harness_connect_as(&h, UID_OWN);
        c = child_start(&h, UID_OWN);
        methods = g_ptr_array_new_with_free_func(method_free);
        learn(MERGEMEM_PATH);
        learn("/org/freedesktop/LogControl1");
        job = job_run(own, "Estimate", &(struct what){ .all = true });
        learn(job);

        g_test_add_func("/flood/random", test_random);
        g_test_add_func("/flood/flood", test_flood);
        g_test_add_func("/flood/deaf", test_deaf);
        status = g_test_run();
        g_free(job);
        g_ptr_array_free(methods, TRUE);
        g_rand_free(dice);
        child_end(c);
        sd_bus_close_unref(own);
        polkit_stop(&polkit);
        return harness_end(&h, status);
}
