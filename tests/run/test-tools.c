/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "start.h"

/* Debuggers and their kin look at what mergemem-run has started as at any other program. */

static Outcome run_tool(const char *const *argv)
{
        return start_run(&(const struct start){ .argv = argv });
}
#define TOOL(...) run_tool(WORDS(__VA_ARGS__))

static void assert_says(const char *text, const char *what)
{
        if (!strstr(text, what))
                g_error("no '%s' in: %s", what, text);
}

/* A program that waits, started through mergemem-run. */
struct held {
        pid_t pid;
        int in, out;
        char number[16];
};

static void held_start(struct held *h)
{
        const struct start s = { .options = WORDS("--group=held"), .argv = WORDS(PROBE, "hold") };
        g_autoptr(GString) text = g_string_new(NULL);
        char buffer[4096];

        h->pid = start_spawn(&s, &h->in, &h->out);
        while (!strstr(text->str, "\nend\n")) {
                ssize_t n = read(h->out, buffer, sizeof(buffer));

                g_assert_cmpint(n, >, 0);
                g_string_append_len(text, buffer, n);
        }
        g_snprintf(h->number, sizeof(h->number), "%d", (int) h->pid);
}

static void held_stop(struct held *h)
{
        int status;

        close(h->in);
        close(h->out);
        g_assert_cmpint(waitpid(h->pid, &status, 0), ==, h->pid);
        g_assert_cmpint(status, ==, 0);
}

static void test_gdb_attaches(void)
{
        struct held h;

        held_start(&h);
        {
                g_auto(Outcome) o = TOOL("/usr/bin/gdb", "-nx", "-batch", "-p", h.number, "-ex", "bt", "-ex",
                                         "print data", "-ex", "info threads", PROBE);

                assert_exited(&o, 0);
                assert_says(o.out, " main (argc=");
                assert_says(o.out, "$1 = 11");
                g_assert_null(strstr(o.err, "warning: Unable"));
        }
        held_stop(&h);
}

/* Started inside: with a program of its own to trace. */
static void test_gdb_inside(void)
{
        g_auto(Outcome) o = TOOL(RUN, "--group=gdb", "/usr/bin/gdb", "-nx", "-batch", "-ex", "break deep",
                                 "-ex", "run", "-ex", "bt", "-ex", "delete", "-ex", "continue", "--args",
                                 PROBE, "deep", "1");

        assert_exited(&o, 0);
        assert_says(o.out, "in main (");
        assert_says(o.out, "exited normally");
}

/* From outside it cannot be: what is traced already is refused in words. */
static void test_traced(void)
{
        g_auto(Outcome) gdb = TOOL("/usr/bin/gdb", "-nx", "-batch", "-ex", "run", "--args", RUN, PROBE,
                                   "exit", "3");
        g_auto(Outcome) strict = TOOL("/usr/bin/strace", "-f", "-e", "trace=none", "-E",
                                      "ASAN_OPTIONS=detect_leaks=0", RUN, PROBE, "exit", "3");
        g_auto(Outcome) lenient = TOOL("/usr/bin/strace", "-f", "-e", "trace=none", RUN, "--fallback", PROBE,
                                       "exit", "3");

        assert_says(gdb.err, "has to be traced by itself");
        assert_exited(&strict, 125);
        assert_says(strict.err, "has to be traced by itself");
        assert_exited(&lenient, 3);
}

static void test_strace(void)
{
        g_auto(Outcome) inside = TOOL(RUN, "/usr/bin/strace", "-o", "/run/trace", PROBE, "exit", "4");
        g_autofree char *trace = NULL;
        struct held h;

        assert_exited(&inside, 4);
        g_assert_true(g_file_get_contents("/run/trace", &trace, NULL, NULL));
        assert_says(trace, "exit_group(4)");

        held_start(&h);
        {
                g_auto(Outcome) o = TOOL("/usr/bin/timeout", "--signal=INT", "1", "/usr/bin/strace", "-p",
                                         h.number);

                assert_says(o.err, "read(0");
        }
        held_stop(&h);
}

static void test_perf(void)
{
        g_auto(Outcome) record = TOOL("/usr/bin/perf", "record", "-o", "/run/perf", "-e", "cpu-clock", "-F",
                                      "20000", RUN, PROBE, "deep", "7");
        g_auto(Outcome) script = TOOL("/usr/bin/perf", "script", "-i", "/run/perf", "-F", "comm,ip,sym");
        g_auto(Outcome) stat = TOOL("/usr/bin/perf", "stat", "-e", "task-clock", RUN, PROBE, "exit", "6");

        assert_exited(&record, 0);
        assert_exited(&script, 0);
        assert_says(script.out, "probe ");
        assert_exited(&stat, 6);
        assert_says(stat.err, "task-clock");
}

static void allow_core(void *userdata)
{
        (void) setrlimit(RLIMIT_CORE, &(const struct rlimit){ RLIM_INFINITY, RLIM_INFINITY });
        (void) !chdir("/run/core");
        /* Or sanitizers set the limit to 0 in mergemem-run. */
        g_setenv("ASAN_OPTIONS", "disable_coredump=0", TRUE);
}

static void test_core(void)
{
        const struct start s = { .options = WORDS("--group=core"), .argv = WORDS(PROBE, "kill", "6"),
                                 .setup = allow_core };
        struct held h;

        g_assert_cmpint(mkdir("/run/core", 0755), ==, 0);
        {
                g_auto(Outcome) o = start_run(&s);

                g_assert_true(WIFSIGNALED(o.status));
                g_assert_cmpint(WTERMSIG(o.status), ==, SIGABRT);
                g_assert_true(WCOREDUMP(o.status));
        }
        /* Where the kernel puts it is the machine's affair; where gdb does is ours. */
        held_start(&h);
        {
                g_autofree char *file = g_strdup_printf("/run/core/held.%s", h.number);
                g_auto(Outcome) dump = TOOL("/usr/bin/gcore", "-o", "/run/core/held", h.number);
                g_auto(Outcome) look = TOOL("/usr/bin/gdb", "-nx", "-batch", "-ex", "bt", PROBE, file);

                assert_exited(&dump, 0);
                assert_says(look.out, " main (argc=");
        }
        held_stop(&h);
}

static void test_sanitizer(void)
{
        static const char *const groups[] = { "--group=s1", "--group=s2", "--group=s3" };

        for (size_t i = 0; i < G_N_ELEMENTS(groups); i++) {
                g_auto(Outcome) good = TOOL(RUN, groups[i], PROBE_ASAN, "report");
                g_auto(Outcome) beyond = TOOL(RUN, groups[i], PROBE_ASAN, "beyond", "10");
                g_auto(Outcome) lost = TOOL(RUN, groups[i], PROBE_ASAN, "lose", "10");

                assert_exited(&good, 0);
                g_assert_cmpstr(good.err, ==, "");
                assert_exited(&beyond, 1);
                assert_says(beyond.err, "heap-buffer-overflow");
                g_assert_cmpint(lost.status, !=, 0);
                assert_says(lost.err, "detected memory leaks");
        }
}

int main(int argc, char *argv[])
{
        start_init(&argc, &argv);
        /* What is expected of them is their default. */
        g_unsetenv("ASAN_OPTIONS");
        g_test_add_func("/tools/gdb-attaches", test_gdb_attaches);
        g_test_add_func("/tools/gdb-inside", test_gdb_inside);
        g_test_add_func("/tools/traced", test_traced);
        g_test_add_func("/tools/strace", test_strace);
        g_test_add_func("/tools/perf", test_perf);
        g_test_add_func("/tools/core", test_core);
        g_test_add_func("/tools/sanitizer", test_sanitizer);
        return start_end(g_test_run());
}
