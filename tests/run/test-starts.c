/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "start.h"

/* Very many starts, and what may come in between. */

#define BUSY 4U

static pid_t busy[BUSY];

/* More to do than there are processors. */
static void load_start(void)
{
        for (unsigned i = 0; i < BUSY; i++) {
                busy[i] = fork();
                g_assert_cmpint(busy[i], >=, 0);
                if (busy[i] == 0) {
                        volatile uint64_t n = 0;

                        prctl(PR_SET_PDEATHSIG, SIGKILL);
                        for (;;)
                                n++;
                }
        }
}

static void load_stop(void)
{
        for (unsigned i = 0; i < BUSY; i++) {
                kill(busy[i], SIGKILL);
                waitpid(busy[i], NULL, 0);
        }
}

/* Reports differ in their pids only, if the layout is the same. */
static char *without_pid(const char *report)
{
        GString *text = g_string_new(NULL);
        char **lines = g_strsplit(report, "\n", -1);

        for (size_t i = 0; lines[i]; i++)
                if (!g_str_has_prefix(lines[i], "Pid "))
                        g_string_append_printf(text, "%s\n", lines[i]);
        g_strfreev(lines);
        return g_string_free(text, FALSE);
}

static void set_nothing(void *userdata)
{
        /* Files with names of their own would differ. */
        close(STDERR_FILENO);
        close(STDIN_FILENO);
}

static char *report_once(void)
{
        const struct start s = { .options = WORDS("--group=many"), .argv = WORDS(PROBE, "report"),
                                 .setup = set_nothing };
        int in, out, status;
        GString *text = g_string_new(NULL);
        char buffer[8192];
        ssize_t n;
        pid_t pid = start_spawn(&s, &in, &out);

        while ((n = read(out, buffer, sizeof(buffer))) > 0)
                g_string_append_len(text, buffer, n);
        close(in);
        close(out);
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        g_assert_cmpint(status, ==, 0);
        g_assert_cmpuint(report_number(text->str, "Pid"), ==, (guint64) pid);
        g_assert_cmpuint(report_number(text->str, "Childless"), ==, 1);
        return g_string_free(text, FALSE);
}

/* Pipes have numbers. */
static char *without_files(char *report)
{
        char *at = strstr(report, "\nFiles ");

        g_assert_nonnull(at);
        at++;
        memmove(at, strchr(at, '\n') + 1, strlen(strchr(at, '\n')));
        return report;
}

static void test_many(void)
{
        g_autofree char *first_report = report_once(), *first = without_files(without_pid(first_report));
        unsigned n = test_rounds(30);

        load_start();
        for (unsigned i = 0; i < n; i++) {
                g_autofree char *report = report_once(), *same = without_files(without_pid(report));

                if (strcmp(first, same) != 0)
                        g_error("start %u differs:\n%s\n%s", i, first, same);
        }
        load_stop();
        wait_alone();
}

/* Several at a time. */
static void test_at_once(void)
{
        enum { N = 16 };
        g_autofree char *first_report = report_once();
        unsigned n = test_rounds(30) / N + 1;

        for (unsigned i = 0; i < n; i++) {
                const struct start s = { .options = WORDS("--group=many"), .argv = WORDS(PROBE, "report"),
                                         .setup = set_nothing };
                int in[N], out[N], status;
                pid_t pids[N];

                for (unsigned k = 0; k < N; k++)
                        pids[k] = start_spawn(&s, &in[k], &out[k]);
                for (unsigned k = 0; k < N; k++) {
                        char buffer[16384];
                        size_t size = 0;
                        ssize_t got;

                        while ((got = read(out[k], buffer + size, sizeof(buffer) - 1 - size)) > 0)
                                size += (size_t) got;
                        buffer[size] = '\0';
                        close(in[k]);
                        close(out[k]);
                        g_assert_cmpint(waitpid(pids[k], &status, 0), ==, pids[k]);
                        g_assert_cmpint(status, ==, 0);
                        g_assert_cmpuint(report_number(buffer, "Libraries"), ==,
                                         report_number(first_report, "Libraries"));
                        g_assert_cmpuint(report_number(buffer, "StackSoft"), ==, 8 << 20);
                }
        }
        wait_alone();
}

static void pause_at_random(unsigned usec_max)
{
        g_usleep(g_random_int_range(0, (gint32) usec_max));
}

static bool is_report(const Outcome *o)
{
        return o->out_size > 0 && strstr(o->out, "\nChildless 1\n");
}

/* What a process is told at whatever moment. */
struct moment {
        struct start start;
        int in, out;
        pid_t pid;
};

static void moment_start(struct moment *m)
{
        m->start = (struct start){ .options = WORDS("--group=many"), .argv = WORDS(PROBE, "report") };
        m->pid = start_spawn(&m->start, &m->in, &m->out);
        close(m->in);
        /* With sanitizers a start takes some 30 ms, without them 3. */
        pause_at_random(g_random_boolean() ? 4000 : 50000);
}

static Outcome moment_end(struct moment *m)
{
        Outcome o = { .pid = m->pid, .out = g_malloc0(16384) };
        uint64_t end = now_usec() + 10000000;
        ssize_t n;
        pid_t r;

        while ((r = waitpid(m->pid, &o.status, WNOHANG)) == 0) {
                if (now_usec() > end)
                        g_error("process %d does not end", (int) m->pid);
                g_usleep(500);
        }
        g_assert_cmpint(r, ==, m->pid);
        while ((n = read(m->out, o.out + o.out_size, 16383 - o.out_size)) > 0)
                o.out_size += (size_t) n;
        close(m->out);
        return o;
}

static void test_terminated(void)
{
        unsigned n_terminated = 0, n = test_rounds(30);

        for (unsigned i = 0; i < n; i++) {
                struct moment m;

                moment_start(&m);
                g_assert_cmpint(kill(m.pid, SIGTERM), ==, 0);
                {
                        g_auto(Outcome) o = moment_end(&m);

                        if (WIFSIGNALED(o.status)) {
                                g_assert_cmpint(WTERMSIG(o.status), ==, SIGTERM);
                                n_terminated++;
                        } else {
                                g_assert_cmpint(o.status, ==, 0);
                                g_assert_true(is_report(&o));
                        }
                }
        }
        g_assert_cmpuint(n_terminated, >, 0);
        wait_alone();
}

/* It stands when it is stopped, and goes on where it was. */
static void test_stopped(void)
{
        g_autofree char *first_report = report_once();
        unsigned n = test_rounds(30), n_stopped = 0;

        for (unsigned i = 0; i < n; i++) {
                struct moment m;

                moment_start(&m);
                g_assert_cmpint(kill(m.pid, SIGSTOP), ==, 0);
                {
                        siginfo_t info = { 0 };

                        g_assert_cmpint(waitid(P_PID, (id_t) m.pid, &info, WSTOPPED | WEXITED | WNOWAIT),
                                        ==, 0);
                        if (info.si_code == CLD_STOPPED) {
                                g_assert_cmpint(waitid(P_PID, (id_t) m.pid, &info, WSTOPPED), ==, 0);
                                n_stopped++;
                        }
                }
                kill(m.pid, SIGCONT);
                {
                        g_auto(Outcome) o = moment_end(&m);

                        g_assert_cmpint(o.status, ==, 0);
                        g_assert_true(is_report(&o));
                        g_assert_cmpuint(report_number(o.out, "Libraries"), ==,
                                         report_number(first_report, "Libraries"));
                        g_assert_cmpuint(report_number(o.out, "StackSoft"), ==, 8 << 20);
                        g_assert_cmpstr(report_text(o.out, "Personality"), ==, "00000000");
                }
        }
        g_assert_cmpuint(n_stopped, >, 0);
        wait_alone();
}

static pid_t only_child(pid_t pid)
{
        g_autofree char *path = g_strdup_printf("/proc/%d/task/%d/children", (int) pid, (int) pid);
        g_autofree char *text = NULL;

        return g_file_get_contents(path, &text, NULL, NULL) ? (pid_t) atoi(text) : 0;
}

/* The tracing process is killed: no program runs with what was meant for the exec only. */
static void test_tracer_killed(void)
{
        unsigned n = test_rounds(30), n_killed = 0;

        for (unsigned i = 0; i < n; i++) {
                struct moment m = {
                        .start = { .options = WORDS("--group=many"), .argv = WORDS(PROBE, "report") } };
                uint64_t end = now_usec() + 200000;
                bool killed = false;
                pid_t tracer;

                m.pid = start_spawn(&m.start, &m.in, &m.out);
                close(m.in);
                while (!(tracer = only_child(m.pid)) && now_usec() < end)
                        ;
                pause_at_random(g_random_boolean() ? 300 : 3000);
                if (tracer > 0)
                        killed = kill(tracer, SIGKILL) == 0;
                {
                        g_auto(Outcome) o = moment_end(&m);

                        n_killed += killed;
                        if (WIFSIGNALED(o.status)) {
                                g_assert_true(killed);
                                g_assert_cmpint(WTERMSIG(o.status), ==, SIGKILL);
                                g_assert_cmpuint(o.out_size, ==, 0);
                        } else if (WEXITSTATUS(o.status) == 125) {
                                g_assert_true(killed);
                                g_assert_cmpuint(o.out_size, ==, 0);
                        } else {
                                g_assert_cmpint(o.status, ==, 0);
                                g_assert_true(is_report(&o));
                                g_assert_cmpuint(report_number(o.out, "StackSoft"), ==, 8 << 20);
                                g_assert_cmpstr(report_text(o.out, "Personality"), ==, "00000000");
                        }
                }
        }
        g_assert_cmpuint(n_killed, >, 0);
        wait_alone();
}

int main(int argc, char *argv[])
{
        start_init(&argc, &argv);
        g_test_add_func("/starts/many", test_many);
        g_test_add_func("/starts/at-once", test_at_once);
        g_test_add_func("/starts/terminated", test_terminated);
        g_test_add_func("/starts/stopped", test_stopped);
        g_test_add_func("/starts/tracer-killed", test_tracer_killed);
        return start_end(g_test_run());
}
