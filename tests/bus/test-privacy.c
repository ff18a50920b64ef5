/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "children.h"
#include "client.h"
#include "polkit.h"
#include "shared/macro.h"
#include "shared/names.h"

/* What users get to know without asking: signals, and properties that are for everybody. */

#define N 3U
#define PAGES 400U
#define MIB (1024U * 1024U)

static struct harness h;
static struct polkit polkit;
static struct child *mine[N];
static pid_t my_pids[N];

static const struct what my_processes = { .pids = my_pids, .n_pids = N };

/* Somebody who hears all that he is given. */
struct listener {
        sd_bus *bus;
        unsigned n_new, n_removed, n_changed, n_totals;
        char *changed; /* names of totals, the latest signal's */
};

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct listener *l = userdata;
        bool job = g_str_has_prefix(sd_bus_message_get_path(m), MERGEMEM_JOB_PREFIX "/");

        l->n_new += sd_bus_message_is_signal(m, MERGEMEM_MANAGER_INTERFACE, "JobNew") > 0;
        l->n_removed += sd_bus_message_is_signal(m, MERGEMEM_MANAGER_INTERFACE, "JobRemoved") > 0;
        if (sd_bus_message_is_signal(m, "org.freedesktop.DBus.Properties", "PropertiesChanged") > 0)
                ++*(job ? &l->n_changed : &l->n_totals);
        return 0;
}

static void listen_as(struct listener *l, uid_t uid)
{
        *l = (struct listener){ .bus = harness_connect_as(&h, uid) };
        g_assert_cmpint(sd_bus_add_match(l->bus, NULL, "type='signal',sender='" MERGEMEM_BUS_NAME "'",
                                         on_signal, l),
                        >=, 0);
}

/* All that has been sent by now: the bus keeps the order of what a sender sends, so an answer of the
 * service comes behind its signals. */
static void catch_up(struct listener *l)
{
        char *version = manager_string(l->bus, "Version");

        g_free(version);
        while (sd_bus_process(l->bus, NULL) > 0)
                ;
}

static void expect_nothing(struct listener *l)
{
        catch_up(l);
        g_assert_cmpuint(l->n_new + l->n_removed + l->n_changed, ==, 0);
}

static void expect_all(struct listener *l, unsigned n_jobs)
{
        catch_up(l);
        g_assert_cmpuint(l->n_new, ==, n_jobs);
        g_assert_cmpuint(l->n_removed, ==, n_jobs);
        g_assert_cmpuint(l->n_changed, >=, n_jobs);
}

static int subscribe(sd_bus *bus, const char *method)
{
        return sd_bus_call_method(bus, MERGEMEM_BUS_NAME, MERGEMEM_PATH, MERGEMEM_MANAGER_INTERFACE, method,
                                  NULL, NULL, NULL);
}

static void test_signals(void)
{
        struct listener user, same_user, other_user, root, subscriber;

        listen_as(&user, UID_OWN);
        listen_as(&same_user, UID_OWN);
        listen_as(&other_user, UID_YES);
        listen_as(&root, 0);
        listen_as(&subscriber, 0);
        g_assert_cmpint(subscribe(user.bus, "Subscribe"), <, 0);
        g_assert_cmpint(subscribe(subscriber.bus, "Subscribe"), >=, 0);
        g_assert_cmpint(subscribe(subscriber.bus, "Subscribe"), >=, 0);

        g_free(job_run(user.bus, "Estimate", &my_processes));
        expect_all(&user, 1);
        expect_nothing(&same_user);
        expect_nothing(&other_user);
        expect_nothing(&root);
        expect_all(&subscriber, 1);

        /* root's as well; and whoever both begins and subscribes hears of it once. */
        g_free(job_run(subscriber.bus, "Estimate", &my_processes));
        expect_all(&user, 1);
        expect_all(&subscriber, 2);
        g_assert_cmpint(subscribe(subscriber.bus, "Unsubscribe"), >=, 0);
        g_free(job_run(root.bus, "Estimate", &my_processes));
        expect_all(&root, 1);
        expect_all(&subscriber, 2);
        expect_nothing(&other_user);

        sd_bus_close_unref(user.bus);
        sd_bus_close_unref(same_user.bus);
        sd_bus_close_unref(other_user.bus);
        sd_bus_close_unref(root.bus);
        sd_bus_close_unref(subscriber.bus);
}

static const struct {
        const char *name;
        char type;
        uint64_t unit;
} totals[] = {
        { "SavedBytes", 't', MIB },
        { "SavedGrossBytes", 't', MIB },
        { "MetadataBytes", 't', MIB },
        { "SharedFrames", 't', MIB / 4096 },
        { "MergedPages", 't', MIB / 4096 },
        { "PagesScannedTotal", 't', MIB / 4096 },
        { "PagesMergedTotal", 't', MIB / 4096 },
        { "PagesFailedTotal", 't', MIB / 4096 },
        { "PagesBrokenTotal", 't', MIB / 4096 },
        { "CPUUsageNSec", 't', 1000000000 },
        { "LastScanUSec", 't', 60000000 },
};

static void expect_rounded(uint64_t ret[ELEMENTSOF(totals)])
{
        for (size_t i = 0; i < ELEMENTSOF(totals); i++) {
                ret[i] = manager_published(h.bus, totals[i].name, totals[i].type);
                g_test_message("%s %" G_GUINT64_FORMAT, totals[i].name, ret[i]);
                g_assert_cmpuint(ret[i] % totals[i].unit, ==, 0);
        }
}

/* What is published changes once, and then for a minute no more, however much is merged. */
static void test_rounded(void)
{
        uint64_t before[ELEMENTSOF(totals)], after[ELEMENTSOF(totals)], saved, begin;
        struct listener l;

        listen_as(&l, UID_DEFAULT);
        expect_rounded(before);
        g_free(job_run(h.bus, "Merge", &my_processes));
        saved = manager_figure(h.bus, "SavedGrossBytes", 't');
        g_assert_cmpuint(saved, >=, (N - 1) * PAGES * 4096);
        g_assert_cmpuint(saved % MIB, !=, 0);

        for (begin = now_usec(); manager_published(h.bus, "SavedGrossBytes", 't') == before[1];
             sleep_msec(100))
                g_assert_cmpuint(now_usec(), <, begin + 90 * UINT64_C(1000000));
        begin = now_usec();
        expect_rounded(before);
        g_assert_cmpuint(before[1], ==, (saved + MIB / 2) / MIB * MIB);
        catch_up(&l);
        l.n_totals = 0;

        g_free(job_run(h.bus, "Unmerge", &my_processes));
        g_free(job_run(h.bus, "Estimate", &my_processes));
        g_assert_cmpuint(manager_figure(h.bus, "SavedGrossBytes", 't'), ==, 0);
        expect_rounded(after);
        catch_up(&l);
        if (now_usec() < begin + 55 * UINT64_C(1000000)) {
                g_assert_cmpmem(before, sizeof(before), after, sizeof(after));
                g_assert_cmpuint(l.n_totals, ==, 0);
        }
        while (manager_published(h.bus, "SavedGrossBytes", 't') != 0)
                g_assert_cmpuint(now_usec(), <, begin + 90 * UINT64_C(1000000));
        g_assert_cmpuint(now_usec(), >, begin + 55 * UINT64_C(1000000));
        catch_up(&l);
        g_assert_cmpuint(l.n_totals, ==, 1);
        sd_bus_close_unref(l.bus);
}

/* What Explain() says of KSM's use for another domain. */
static void assert_busy(sd_bus *bus, pid_t pid, bool told)
{
        sd_bus_message *m = NULL;
        const char *key, *domain = NULL;
        int busy = -1;

        g_assert_cmpint(sd_bus_call_method(bus, MERGEMEM_BUS_NAME, MERGEMEM_PATH, MERGEMEM_MANAGER_INTERFACE,
                                           "Explain", NULL, &m, "u", (uint32_t)pid), >=, 0);
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "{sv}"), >, 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                g_assert_cmpint(sd_bus_message_read(m, "s", &key), >, 0);
                g_assert_cmpint(streq(key, "busy")          ? sd_bus_message_read(m, "v", "b", &busy)
                                : streq(key, "busy_domain") ? sd_bus_message_read(m, "v", "s", &domain)
                                                            : sd_bus_message_skip(m, "v"), >, 0);
                g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
        }
        g_assert_cmpint(busy, ==, 1);
        g_assert_nonnull(domain);
        g_assert_cmpint(*domain != '\0', ==, told);
        sd_bus_message_unref(m);
}

/* Whose memory is in KSM's hands, so that his cannot be, no user gets to know. */
static void test_domain_busy(void)
{
        sd_bus *own = harness_connect_as(&h, UID_OWN);
        struct child *c[2];
        pid_t pids[2];
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        const char *name, *text;
        char *job;

        children_start(&h, UID_NO, c, pids, 2);
        for (size_t i = 0; i < 2; i++)
                child_area(c[i], 100, 3, 1);
        g_free(job_run(h.bus, "Merge", &(struct what){ .pids = pids, .n_pids = 2 }));

        job = job_start(own, "Merge", &my_processes);
        g_assert_cmpstr(job_wait(own, job), ==, "failed");
        g_assert_cmpint(sd_bus_get_property(own, MERGEMEM_BUS_NAME, job, MERGEMEM_JOB_INTERFACE, "Error",
                                            &error, &reply, "(ss)"),
                        >=, 0);
        g_assert_cmpint(sd_bus_message_read(reply, "(ss)", &name, &text), >, 0);
        g_assert_cmpstr(name, ==, MERGEMEM_ERROR_DOMAIN_BUSY);
        for (const char *p = text; *p; p++)
                g_assert_false(g_ascii_isdigit(*p));
        sd_bus_message_unref(reply);
        g_free(job);
        assert_busy(own, my_pids[0], false);
        assert_busy(h.bus, my_pids[0], true);
        g_free(job_run(h.bus, "Unmerge", &(struct what){ .pids = pids, .n_pids = 2 }));
        children_end(c, 2);
        sd_bus_close_unref(own);
}

int main(int argc, char **argv)
{
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        polkit_start(&polkit, &h);
        harness_daemon_start(&h, NULL, NULL);
        children_start(&h, UID_OWN, mine, my_pids, N);
        for (size_t i = 0; i < N; i++)
                child_area(mine[i], PAGES, 15, 1);
        g_test_add_func("/privacy/signals", test_signals);
        g_test_add_func("/privacy/rounded", test_rounded);
        g_test_add_func("/privacy/domain-busy", test_domain_busy);
        status = g_test_run();
        children_end(mine, N);
        polkit_stop(&polkit);
        return harness_end(&h, status);
}
