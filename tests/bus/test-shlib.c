/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "children.h"
#include "client.h"
#include "frames.h"
#include "libtarget.h"
#include "shared/macro.h"
#include "shared/names.h"

/* merge by library registers what the library's ELF headers say is its writable memory, and no
 * page besides. The headers are read by readelf(1), not by our own code. */

#define N 3U

static struct harness h;

/* Where the writable segment of the file begins and ends when it is loaded at @base. */
static struct frames_range expected_range(uint64_t base)
{
        struct frames_range r = { 0 };
        char *text, **lines;

        g_assert_cmpint(spawn_run(&(struct spawn){ .argv = (const char *[]){ "/usr/bin/readelf", "-lW",
                                                                             h.library, NULL } },
                                  10000, &text),
                        ==, 0);
        lines = g_strsplit(text, "\n", -1);
        for (size_t i = 0; lines[i]; i++) {
                unsigned long long offset, vaddr, paddr, filesz, memsz;
                char flags[2];

                if (sscanf(lines[i], " LOAD %llx %llx %llx %llx %llx %1[R]W", &offset, &vaddr, &paddr,
                           &filesz, &memsz, flags) != 6 ||
                    !strstr(lines[i], " RW "))
                        continue;
                g_assert_cmpuint(r.end, ==, 0);
                r.start = base + vaddr / 4096 * 4096;
                r.end = base + (vaddr + memsz + 4095) / 4096 * 4096;
        }
        g_assert_cmpuint(r.end, >, r.start);
        g_strfreev(lines);
        g_free(text);
        return r;
}

static uint64_t load_base(pid_t pid)
{
        char *path = g_strdup_printf("/proc/%d/maps", (int)pid), *maps, **lines;
        uint64_t base = 0;

        g_assert_true(g_file_get_contents(path, &maps, NULL, NULL));
        lines = g_strsplit(maps, "\n", -1);
        for (size_t i = 0; lines[i] && base == 0; i++)
                if (g_str_has_suffix(lines[i], "/libtarget.so"))
                        base = strtoull(lines[i], NULL, 16);
        g_assert_cmpuint(base, !=, 0);
        g_strfreev(lines);
        g_free(maps);
        g_free(path);
        return base;
}

/* Those of its pages that are there at all; a page between sections may be untouched. */
static uint64_t library_pages(pid_t pid)
{
        struct frames_range r = expected_range(load_base(pid));
        struct frames f = frames_read(pid, r.start, r.end);
        uint64_t n = f.n;

        g_assert_cmpuint(n, >=, LIBTARGET_DATA_PAGES + LIBTARGET_BSS_PAGES + LIBTARGET_RELRO_PAGES);
        frames_done(&f);
        return n;
}

static void start(struct child **c, pid_t *pids)
{
        children_start(&h, UID_FIRST, c, pids, N);
        for (size_t i = 0; i < N; i++) {
                child_area(c[i], 100, 31, 1);
                child_say(c[i], "load %s 12", h.library);
                /* Allocators put areas right behind libraries: those are not theirs. */
                child_area(c[i], 100, 32, 1);
        }
}

static void test_ranges(gconstpointer name)
{
        struct child *c[N];
        pid_t pids[N];
        struct frames_range ranges[16], expected;
        uint64_t pages;
        size_t before;
        char *job;

        start(c, pids);
        pages = library_pages(pids[0]);
        before = frames_distinct(pids, N);
        job = job_run(h.bus, "Merge",
                      &(struct what){ .shlib = name ? name : h.library, .pids = pids, .n_pids = N });
        for (size_t i = 0; i < N; i++) {
                expected = expected_range(load_base(pids[i]));
                g_assert_cmpuint(frames_registered(pids[i], ranges, ELEMENTSOF(ranges)), ==, 1);
                g_assert_cmphex(ranges[0].start, ==, expected.start);
                g_assert_cmphex(ranges[0].end, ==, expected.end);
        }
        g_assert_cmpuint(job_figure(h.bus, job, "saved_frames"), ==, (N - 1) * pages);
        g_assert_cmpuint(before - frames_distinct(pids, N), ==, (N - 1) * pages);
        g_free(job);
        children_verify(c, N);

        /* Its pages are written like any others. */
        child_say(c[0], "library 13");
        children_verify(c, N);
        g_free(job_run(h.bus, "Unmerge", &(struct what){ .pids = pids, .n_pids = N }));
        for (size_t i = 0; i < N; i++)
                frames_assert_unregistered(pids[i]);
        children_verify(c, N);
        children_end(c, N);
}

/* Loaded in some, not in others: only those that have it are touched. */
static void test_some(void)
{
        struct child *c[N], *other = child_start(&h, UID_FIRST);
        pid_t pids[N];
        char *job;

        child_area(other, 100, 31, 1);
        start(c, pids);
        job = job_run(h.bus, "Merge", &(struct what){ .shlib = h.library });
        g_assert_cmpuint(job_figure(h.bus, job, "processes"), ==, N);
        frames_assert_unregistered(other->pid);
        g_free(job);
        g_free(job_run(h.bus, "Unmerge", &(struct what){ .pids = pids, .n_pids = N }));
        for (size_t i = 0; i < N; i++)
                frames_assert_unregistered(pids[i]);
        children_verify(c, N);
        children_end(c, N);
        child_end(other);
}

/* Whether any of the library's memory is registered. */
static bool is_touched(pid_t pid)
{
        struct frames_range ranges[16], library = expected_range(load_base(pid));
        size_t n = frames_registered(pid, ranges, ELEMENTSOF(ranges));

        g_assert_cmpuint(n, <, ELEMENTSOF(ranges));
        for (size_t i = 0; i < n; i++)
                if (ranges[i].start < library.end && library.start < ranges[i].end)
                        return true;
        return false;
}

/* A rule that says never of a library holds for what is done on command, in the processes that it is
 * about. */
static void test_never(void)
{
        static const struct {
                const char *rule;
                bool never;
        } samples[] = {
                { "Shlib=libtarget", true },
                { "Shlib=%s\nUser=nobody", true },
                { "Shlib=lib*\nExe=/no/such/program", false },
                { "Shlib=libtarget.so\nUser=root", false },
        };
        struct child *c[N];
        struct what what = { .n_pids = N };
        pid_t pids[N];

        start(c, pids);
        what.pids = pids;
        for (size_t i = 0; i < ELEMENTSOF(samples); i++) {
                GString *text = g_string_new("[Rule a]\nMerge=never\n");
                char *job, *error;

                g_string_append(text, samples[i].rule);
                g_string_replace(text, "%s", h.library, 0);
                g_test_message("%s", text->str);
                harness_configure(&h, text->str);
                g_string_free(text, TRUE);

                job = job_run(h.bus, "Merge", &what);
                g_assert_cmpuint(job_reason(h.bus, job, "skipped", NULL), ==, samples[i].never ? N : 0);
                for (size_t k = 0; k < N; k++)
                        g_assert_cmpint(is_touched(pids[k]), ==, !samples[i].never);
                g_free(job);
                g_free(job_run(h.bus, "Unmerge", &what));

                what.shlib = h.library;
                if (samples[i].never) {
                        static const char *const methods[] = { "Merge", "Estimate" };

                        for (size_t k = 0; k < ELEMENTSOF(methods); k++) {
                                error = job_refused(h.bus, methods[k], &what);
                                g_assert_cmpstr(error, ==, MERGEMEM_ERROR_NOTHING_MATCHES);
                                g_free(error);
                        }
                        for (size_t k = 0; k < N; k++)
                                frames_assert_unregistered(pids[k]);
                } else
                        g_free(job_run(h.bus, "Estimate", &what));
                what.shlib = NULL;
        }
        harness_configure(&h, "");
        children_verify(c, N);
        children_end(c, N);
}

static void test_list(void)
{
        struct child *c[N];
        pid_t pids[N];
        sd_bus_message *m = NULL, *reply = NULL;
        const char *path;
        uint64_t device, inode, bytes;
        uint32_t processes;
        bool found = false;

        start(c, pids);
        g_assert_cmpint(sd_bus_message_new_method_call(h.bus, &m, "org.mergemem1", "/org/mergemem1",
                                                       "org.mergemem1.Manager", "ListLibraries"), >=, 0);
        g_assert_cmpint(what_append(m, &(struct what){ .pids = pids, .n_pids = N }), >=, 0);
        g_assert_cmpint(sd_bus_call(h.bus, m, 0, NULL, &reply), >=, 0);
        g_assert_cmpint(sd_bus_message_enter_container(reply, 'a', "(sttuta{sv})"), >, 0);
        while (sd_bus_message_enter_container(reply, 'r', "sttuta{sv}") > 0) {
                g_assert_cmpint(sd_bus_message_read(reply, "sttut", &path, &device, &inode, &processes,
                                                    &bytes),
                                >, 0);
                g_assert_cmpint(sd_bus_message_skip(reply, "a{sv}"), >, 0);
                g_assert_cmpint(sd_bus_message_exit_container(reply), >, 0);
                if (!streq(path, h.library))
                        continue;
                found = true;
                g_assert_cmpuint(processes, ==, N);
                g_assert_cmpuint(bytes, ==, N * library_pages(pids[0]) * 4096);
        }
        g_assert_true(found);
        sd_bus_message_unref(m);
        sd_bus_message_unref(reply);
        children_end(c, N);
}

int main(int argc, char **argv)
{
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        harness_daemon_start(&h, NULL, NULL);
        g_test_add_data_func("/shlib/by-path", NULL, test_ranges);
        g_test_add_data_func("/shlib/by-name", "libtarget.so", test_ranges);
        g_test_add_data_func("/shlib/by-stem", "libtarget", test_ranges);
        g_test_add_func("/shlib/some", test_some);
        g_test_add_func("/shlib/never", test_never);
        g_test_add_func("/shlib/list", test_list);
        status = g_test_run();
        return harness_end(&h, status);
}
