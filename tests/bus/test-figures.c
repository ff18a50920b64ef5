/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "children.h"
#include "client.h"
#include "shared/macro.h"
#include "shared/names.h"

/* The figures that lists give: what was found and merged is with those whose it is, and whoever adds a
 * list up gets what the service says of the whole. */

#define N 4U
#define PAGES 300U
#define ZEROS 50U

static struct harness h;

struct figures {
        uint64_t n_rows, present, duplicates, zero, merged, saved, gross, written, cpu, last_scan;
};

static void add_figure(struct figures *f, const char *key, uint64_t value)
{
        const struct {
                const char *key;
                uint64_t *sum;
        } sums[] = {
                { "present_pages", &f->present },   { "duplicate_frames", &f->duplicates },
                { "zero_frames", &f->zero },        { "merged_pages", &f->merged },
                { "saved_bytes", &f->saved },       { "saved_gross_bytes", &f->gross },
                { "written_pages", &f->written },   { "cpu_nsec", &f->cpu },
                { "last_scan_usec", &f->last_scan },
        };

        for (size_t i = 0; i < ELEMENTSOF(sums); i++)
                if (streq(sums[i].key, key))
                        *sums[i].sum += value;
}

static void read_figures(sd_bus_message *m, struct figures *f)
{
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "{sv}"), >, 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                const char *key, *type;
                uint64_t value;

                g_assert_cmpint(sd_bus_message_read(m, "s", &key), >, 0);
                g_assert_cmpint(sd_bus_message_peek_type(m, NULL, &type), >, 0);
                if (streq(type, "t")) {
                        g_assert_cmpint(sd_bus_message_read(m, "v", "t", &value), >, 0);
                        add_figure(f, key, value);
                } else
                        g_assert_cmpint(sd_bus_message_skip(m, "v"), >, 0);
                g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
        }
        g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
        f->n_rows++;
}

static sd_bus_message *call(const char *method, const struct what *what)
{
        sd_bus_message *m = NULL, *reply = NULL;
        sd_bus_error error = SD_BUS_ERROR_NULL;

        g_assert_cmpint(sd_bus_message_new_method_call(h.bus, &m, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                                       MERGEMEM_MANAGER_INTERFACE, method),
                        >=, 0);
        g_assert_cmpint(what_append(m, what), >=, 0);
        if (sd_bus_call(h.bus, m, 0, &error, &reply) < 0)
                g_error("%s: %s", method, error.message);
        sd_bus_message_unref(m);
        return reply;
}

/* All owners, or those of @kind, or of them the one named like that at its end. */
static struct figures owners(const char *kind, const char *name)
{
        sd_bus_message *m = call("ListOwners", &(struct what){ 0 });
        struct figures sum = { 0 };
        const char *k, *n;
        uint32_t processes;

        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "(ssua{sv})"), >, 0);
        while (sd_bus_message_enter_container(m, 'r', "ssua{sv}") > 0) {
                struct figures one = { 0 };

                g_assert_cmpint(sd_bus_message_read(m, "ssu", &k, &n, &processes), >, 0);
                if ((!kind || streq(kind, k)) && (!name || g_str_has_suffix(n, name)))
                        read_figures(m, &sum);
                else
                        read_figures(m, &one);
                g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
        }
        sd_bus_message_unref(m);
        return sum;
}

static struct figures processes(const pid_t *pids, size_t n)
{
        sd_bus_message *m = call("ListProcesses", &(struct what){ .pids = pids, .n_pids = n });
        struct figures sum = { 0 };

        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "(usustta{sv})"), >, 0);
        while (sd_bus_message_enter_container(m, 'r', "usustta{sv}") > 0) {
                g_assert_cmpint(sd_bus_message_skip(m, "usustt"), >, 0);
                read_figures(m, &sum);
                g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
        }
        sd_bus_message_unref(m);
        return sum;
}

/* All cgroups, or the one that this process is in. */
static struct figures cgroups(pid_t pid)
{
        sd_bus_message *m = call("ListCgroups", &(struct what){ .pids = &pid, .n_pids = pid > 0 });
        struct figures sum = { 0 };

        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "(ssuta{sv})"), >, 0);
        while (sd_bus_message_enter_container(m, 'r', "ssuta{sv}") > 0) {
                g_assert_cmpint(sd_bus_message_skip(m, "ssut"), >, 0);
                read_figures(m, &sum);
                g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
        }
        sd_bus_message_unref(m);
        return sum;
}

static struct figures library(const pid_t *pids, size_t n, const char *name)
{
        sd_bus_message *m = call("ListLibraries", &(struct what){ .pids = pids, .n_pids = n });
        struct figures sum = { 0 };
        const char *path;

        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "(sttuta{sv})"), >, 0);
        while (sd_bus_message_enter_container(m, 'r', "sttuta{sv}") > 0) {
                struct figures one = { 0 };

                g_assert_cmpint(sd_bus_message_read(m, "s", &path), >, 0);
                g_assert_cmpint(sd_bus_message_skip(m, "ttut"), >, 0);
                read_figures(m, g_str_has_suffix(path, name) ? &sum : &one);
                g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
        }
        sd_bus_message_unref(m);
        return sum;
}

/* The totals of the service and the sums of lists, all of one moment. */
static void check_sums(void)
{
        static const char *const names[] = { "MergedPages", "SavedBytes", "SavedGrossBytes",
                                             "PagesBrokenTotal" };
        uint64_t before[ELEMENTSOF(names)], after[ELEMENTSOF(names)];
        struct figures f, c;

        do {
                for (size_t i = 0; i < ELEMENTSOF(names); i++)
                        before[i] = manager_figure(h.bus, names[i], 't');
                f = owners(NULL, NULL);
                c = cgroups(0);
                for (size_t i = 0; i < ELEMENTSOF(names); i++)
                        after[i] = manager_figure(h.bus, names[i], 't');
        } while (memcmp(before, after, sizeof(before)) != 0);
        g_assert_cmpuint(f.merged, ==, after[0]);
        g_assert_cmpuint(f.saved, ==, after[1]);
        g_assert_cmpuint(f.gross, ==, after[2]);
        g_assert_cmpuint(f.written, ==, after[3]);
        g_assert_cmpuint(c.merged, ==, after[0]);
        g_assert_cmpuint(c.saved, ==, after[1]);
        g_assert_cmpuint(c.gross, ==, after[2]);
        g_assert_cmpuint(c.written, ==, after[3]);
        g_assert_cmpuint(c.present, ==, f.present);
        g_assert_cmpuint(c.duplicates, ==, f.duplicates);
        g_assert_cmpuint(c.zero, ==, f.zero);
}

static void test_found(struct child **c, const pid_t *pids)
{
        char *job = job_run(h.bus, "Estimate", &(struct what){ .pids = pids, .n_pids = N });
        struct figures all = owners(NULL, NULL), four = processes(pids, N), one = processes(pids, 1);

        g_assert_cmpuint(all.present, ==, job_figure(h.bus, job, "pages"));
        g_assert_cmpuint(all.duplicates, ==, job_figure(h.bus, job, "duplicate_frames"));
        g_assert_cmpuint(all.zero, ==, job_figure(h.bus, job, "zero_frames"));
        g_assert_cmpuint(four.n_rows, ==, N);
        g_assert_cmpuint(four.present, ==, all.present);
        g_assert_cmpuint(four.duplicates, ==, all.duplicates);
        g_assert_cmpuint(four.zero, ==, all.zero);
        g_assert_cmpuint(four.merged, ==, 0);
        g_assert_cmpuint(one.present, >=, PAGES + ZEROS);
        g_assert_cmpuint(one.present, <, four.present / 2);
        g_assert_cmpuint(cgroups(pids[0]).n_rows, ==, 1);
        g_assert_cmpuint(cgroups(pids[0]).present, ==, one.present);
        g_assert_cmpuint(one.last_scan, >, 0);
        g_assert_cmpuint(one.cpu, >, 0);
        g_assert_cmpuint(four.cpu, >, one.cpu);
        g_assert_cmpuint(owners("anon", NULL).duplicates, >=, (N - 1) * PAGES);
        g_assert_cmpuint(owners("library", "libc.so.6").present, >, 0);
        g_assert_cmpuint(library(pids, N, "libc.so.6").present, ==,
                         owners("library", "libc.so.6").present);
        check_sums();
        g_free(job);
}

static void test_merged(struct child **c, const pid_t *pids)
{
        uint64_t merged, written;
        char *job = job_run(h.bus, "Merge", &(struct what){ .pids = pids, .n_pids = N });
        struct figures four = processes(pids, N);

        merged = job_figure(h.bus, job, "merged_pages");
        g_free(job);
        g_assert_cmpuint(merged, >=, N * PAGES);
        g_assert_cmpuint(four.merged, ==, manager_figure(h.bus, "MergedPages", 't'));
        g_assert_cmpuint(four.gross, >=, (N - 1) * PAGES * 4096);
        g_assert_cmpuint(owners("anon", NULL).merged, >=, N * PAGES);
        /* What is merged is no duplicate any more. */
        g_assert_cmpuint(owners("anon", NULL).duplicates, <, PAGES);
        check_sums();

        /* Written to: the service looks every ten seconds. */
        written = manager_figure(h.bus, "PagesBrokenTotal", 't') + 100;
        for (size_t i = 0; i < 100; i++)
                child_say(c[0], "write 0 %zu 9 %zu", i, i + 1);
        for (uint64_t end = now_usec() + 120000000; now_usec() < end; g_usleep(100000))
                if (manager_figure(h.bus, "PagesBrokenTotal", 't') >= written)
                        break;
        g_assert_cmpuint(processes(pids, 1).written, >=, 100);
        g_assert_cmpuint(processes(pids + 1, N - 1).written, <, 100);
        g_assert_cmpuint(owners("anon", NULL).written, >=, 100);
        check_sums();

        job_undo(h.bus, &(struct what){ .pids = pids, .n_pids = N });
        g_assert_cmpuint(processes(pids, N).merged, ==, 0);
        check_sums();
}

static void test_ended(struct child **c, const pid_t *pids)
{
        c[0] = child_end(c[0]);
        g_assert_cmpuint(processes(pids + 1, N - 1).n_rows, ==, N - 1);
        g_assert_cmpuint(owners("anon", NULL).present, <, N * PAGES);
        g_assert_cmpuint(owners("anon", NULL).present, >=, (N - 1) * PAGES);
        for (size_t i = 1; i < N; i++)
                c[i] = child_end(c[i]);
        (void) processes(NULL, 0);
        g_assert_cmpuint(owners(NULL, NULL).present, ==, 0);
        check_sums();
}

struct finished {
        unsigned n;
        uint64_t pages, duplicates;
};

static int on_finished(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct finished *f = userdata;
        const char *key;

        f->n++;
        g_assert_cmpint(sd_bus_message_skip(m, "uo"), >, 0);
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "{sv}"), >, 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                g_assert_cmpint(sd_bus_message_read(m, "s", &key), >, 0);
                if (streq(key, "pages"))
                        g_assert_cmpint(sd_bus_message_read(m, "v", "t", &f->pages), >, 0);
                else if (streq(key, "duplicate_frames"))
                        g_assert_cmpint(sd_bus_message_read(m, "v", "t", &f->duplicates), >, 0);
                else
                        g_assert_cmpint(sd_bus_message_skip(m, "v"), >, 0);
                g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
        }
        return 0;
}

/* Who began a scan is told what it found before he is told of the job's end. */
static void test_scan(struct child **c, const pid_t *pids)
{
        struct finished f = { 0 };
        sd_bus_slot *slot = NULL;
        char *job, *type;

        g_assert_cmpint(sd_bus_match_signal(h.bus, &slot, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                            MERGEMEM_MANAGER_INTERFACE, "ScanFinished", on_finished, &f), >=,
                        0);
        job = job_run(h.bus, "Scan", &(struct what){ .pids = pids, .n_pids = N });
        type = job_string(h.bus, job, "Type");
        while (sd_bus_process(h.bus, NULL) > 0)
                ;
        g_assert_cmpstr(type, ==, "scan");
        g_assert_cmpuint(f.n, ==, 1);
        g_assert_cmpuint(f.pages, ==, job_figure(h.bus, job, "pages"));
        g_assert_cmpuint(f.duplicates, ==, job_figure(h.bus, job, "duplicate_frames"));
        g_assert_cmpuint(f.duplicates, ==, owners(NULL, NULL).duplicates);
        g_assert_false(job_has(h.bus, job, "merged_pages"));
        g_free(type);
        g_free(job);

        /* Everything is meant if nothing is said; that is more than a test has time for. */
        job = job_start(h.bus, "Scan", &(struct what){ 0 });
        g_assert_cmpint(sd_bus_call_method(h.bus, MERGEMEM_BUS_NAME, job, MERGEMEM_JOB_INTERFACE, "Cancel",
                                           NULL, NULL, NULL),
                        >=, 0);
        g_assert_cmpstr(job_wait(h.bus, job), ==, "cancelled");
        g_free(job);
        sd_bus_slot_unref(slot);
        check_sums();
}

static void test_figures(void)
{
        struct child *c[N];
        pid_t pids[N];

        children_start(&h, UID_FIRST, c, pids, N);
        for (size_t i = 0; i < N; i++) {
                child_area(c[i], PAGES, 5, 1);
                child_area(c[i], ZEROS, 0, 0);
        }
        test_found(c, pids);
        test_merged(c, pids);
        test_scan(c, pids);
        test_ended(c, pids);
}

int main(int argc, char **argv)
{
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        harness_daemon_start(&h, NULL, NULL);
        g_test_add_func("/figures", test_figures);
        status = g_test_run();
        return harness_end(&h, status);
}
