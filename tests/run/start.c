/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "start.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../bus/isolate.h"

#define STACK_LIMIT (8U << 20)
/* Debuggers take their time on a busy machine. */
#define TIMEOUT_USEC UINT64_C(60000000)
#define RUNTIME_NOBODY "/run/nobody"
#define PROGRAMS "/run/bin"

uint64_t now_usec(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

unsigned test_rounds(unsigned few)
{
        const char *s = g_getenv("MERGEMEM_TEST_ROUNDS");

        return s ? (unsigned) strtoul(s, NULL, 10) : few;
}

/* To where every user gets. */
static void copy_file(const char *path, const char *to, mode_t mode)
{
        g_autofree char *bytes = NULL;
        gsize size;

        g_assert_true(g_file_get_contents(path, &bytes, &size, NULL));
        g_assert_true(g_file_set_contents(to, bytes, (gssize) size, NULL));
        g_assert_cmpint(chmod(to, mode), ==, 0);
}

static void copy_program(const char *path)
{
        g_autofree char *name = g_path_get_basename(path);
        g_autofree char *to = g_build_filename(PROGRAMS, name, NULL);

        copy_file(path, to, 0755);
}

/* The launcher finds it from where it is itself, wherever that is. */
static void copy_module(void)
{
        g_autofree char *to = g_canonicalize_filename(RUN_MODULE_UNRESOLVED, NULL);
        g_autofree char *directory = g_path_get_dirname(to);

        g_assert_cmpstr(to, ==, RUN_MODULE);
        g_assert_cmpint(g_mkdir_with_parents(directory, 0755), ==, 0);
        copy_file(TEST_MODULE, to, 0644);
}

void start_init(int *argc, char ***argv)
{
        static const char *const programs[] = { TEST_RUN, TEST_PROBE, TEST_PROBE_STATIC, TEST_PROBE_ASAN,
                                                TEST_ENTRY, TEST_ENTRY_RETURN };
        struct rlimit stack;

        isolate();
        if (mount("tmpfs", "/run", "tmpfs", 0, "mode=755") < 0)
                g_error("/run: %m");
        g_assert_cmpint(mkdir(PROGRAMS, 0755), ==, 0);
        for (size_t i = 0; i < G_N_ELEMENTS(programs); i++)
                copy_program(programs[i]);
        copy_module();
        g_assert_cmpint(mkdir(RUNTIME_NOBODY, 0700), ==, 0);
        g_assert_cmpint(chown(RUNTIME_NOBODY, UID_NOBODY, UID_NOBODY), ==, 0);
        /* No bus, until a test makes one. */
        g_setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/run/bus", TRUE);
        g_unsetenv("JOURNAL_STREAM");
        g_assert_cmpint(getrlimit(RLIMIT_STACK, &stack), ==, 0);
        stack.rlim_cur = STACK_LIMIT;
        g_assert_cmpint(setrlimit(RLIMIT_STACK, &stack), ==, 0);
        g_test_init(argc, argv, NULL);
}

/* The parent of all, which is the first of the namespace, is none of those. */
unsigned count_others(void)
{
        GDir *dir = g_dir_open("/proc", 0, NULL);
        const char *name;
        unsigned n = 0;

        g_assert_nonnull(dir);
        while ((name = g_dir_read_name(dir)))
                if (g_ascii_isdigit(*name) && atoi(name) != getpid() && atoi(name) != 1)
                        n++;
        g_dir_close(dir);
        return n;
}

void wait_alone(void)
{
        for (uint64_t end = now_usec() + TIMEOUT_USEC; count_others() > 0; g_usleep(1000))
                if (now_usec() > end)
                        g_error("processes are left");
}

int start_end(int status)
{
        wait_alone();
        return status;
}

static void child(const struct start *s, int in, int out, int err)
{
        GPtrArray *words = g_ptr_array_new();

        if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
                return;
        close_range(3, ~0U, 0);
        if (s->uid != 0) {
                if (setgroups(0, NULL) < 0 || setresgid(s->uid, s->uid, s->uid) < 0 ||
                    setresuid(s->uid, s->uid, s->uid) < 0)
                        return;
                g_setenv("XDG_RUNTIME_DIR", RUNTIME_NOBODY, TRUE);
        } else
                g_unsetenv("XDG_RUNTIME_DIR");

        if (s->options) {
                g_ptr_array_add(words, (void *) RUN);
                for (size_t i = 0; s->options[i]; i++)
                        g_ptr_array_add(words, (void *) s->options[i]);
        }
        for (size_t i = 0; s->argv[i]; i++)
                g_ptr_array_add(words, (void *) s->argv[i]);
        g_ptr_array_add(words, NULL);
        if (s->setup)
                s->setup(s->userdata);
        execv(words->pdata[0], (char **) words->pdata);
}

static pid_t spawn(const struct start *s, int in, int out, int err)
{
        pid_t pid = fork();

        g_assert_cmpint(pid, >=, 0);
        if (pid == 0) {
                child(s, in, out, err);
                _exit(88);
        }
        return pid;
}

pid_t start_spawn(const struct start *s, int *ret_in, int *ret_out)
{
        int in[2], out[2];
        pid_t pid;

        g_assert_cmpint(pipe2(in, O_CLOEXEC), ==, 0);
        g_assert_cmpint(pipe2(out, O_CLOEXEC), ==, 0);
        pid = spawn(s, in[0], out[1], STDERR_FILENO);
        close(in[0]);
        close(out[1]);
        *ret_in = in[1];
        *ret_out = out[0];
        return pid;
}

/* Always of the same name, which the probe sees. */
static int temporary(const char *name, const char *text)
{
        int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        g_assert_cmpint(fd, >=, 0);
        if (text)
                g_assert_cmpint(write(fd, text, strlen(text)), ==, strlen(text));
        lseek(fd, 0, SEEK_SET);
        return fd;
}

static char *contents(int fd, size_t *ret_size)
{
        off_t size = lseek(fd, 0, SEEK_END);
        char *text = g_malloc0((gsize) size + 1);

        g_assert_cmpint(pread(fd, text, (size_t) size, 0), ==, size);
        close(fd);
        if (ret_size)
                *ret_size = (size_t) size;
        return text;
}

Outcome start_run(const struct start *s)
{
        int in = temporary("/run/in", s->input), out = temporary("/run/out", NULL);
        int err = temporary("/run/err", NULL);
        uint64_t end = now_usec() + TIMEOUT_USEC;
        Outcome o = { .pid = spawn(s, in, out, err) };
        pid_t r;

        while ((r = waitpid(o.pid, &o.status, WNOHANG)) == 0) {
                if (now_usec() > end)
                        g_error("%s does not end: %s", s->argv[0], contents(err, NULL));
                g_usleep(500);
        }
        g_assert_cmpint(r, ==, o.pid);
        close(in);
        o.out = contents(out, &o.out_size);
        o.err = contents(err, NULL);
        return o;
}

void outcome_done(Outcome *o)
{
        g_clear_pointer(&o->out, g_free);
        g_clear_pointer(&o->err, g_free);
}

const char *report_text(const char *report, const char *key)
{
        static char value[8192];
        g_autofree char *start = g_strdup_printf("\n%s ", key);
        g_autofree char *lines = g_strdup_printf("\n%s", report);
        const char *found = strstr(lines, start);

        if (!found)
                g_error("no '%s' in: %s", key, report);
        found += strlen(start);
        g_strlcpy(value, found, MIN(sizeof(value), strcspn(found, "\n") + 1));
        return value;
}

uint64_t report_number(const char *report, const char *key)
{
        return g_ascii_strtoull(report_text(report, key), NULL, 10);
}

void assert_exited(const Outcome *o, int status)
{
        if (!WIFEXITED(o->status) || WEXITSTATUS(o->status) != status)
                g_error("status %#x instead of exit %d: %s", (unsigned) o->status, status, o->err);
}

void assert_refused(const Outcome *o, const char *why)
{
        assert_exited(o, 125);
        g_assert_cmpstr(o->out, ==, "");
        if (!strstr(o->err, why) || !g_str_has_prefix(o->err, "mergemem-run: "))
                g_error("'%s' does not say '%s'", o->err, why);
        g_assert_true(strchr(o->err, '\n') == o->err + strlen(o->err) - 1);
}
