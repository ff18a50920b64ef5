/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shared/macro.h"

uint64_t now_usec(void)
{
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void sleep_msec(unsigned msec)
{
        g_usleep((gulong)msec * 1000);
}

unsigned test_rounds(unsigned few)
{
        const char *s = g_getenv("MERGEMEM_TEST_ROUNDS");

        return s ? (unsigned)strtoul(s, NULL, 10) : few;
}

static void child_exec(const struct spawn *s, char **environment, pid_t parent)
{
        int in = s->in > 0 ? s->in : open("/dev/null", O_RDONLY | O_CLOEXEC);

        if (in < 0 || dup2(in, STDIN_FILENO) < 0)
                return;
        if (s->out > 0 && dup2(s->out, STDOUT_FILENO) < 0)
                return;
        if (s->err > 0 && dup2(s->err, STDERR_FILENO) < 0)
                return;
        if (s->fixed_layout && personality(ADDR_NO_RANDOMIZE) < 0)
                return;
        if (s->uid != 0 && (setgroups(0, NULL) < 0 || setresgid(s->uid, s->uid, s->uid) < 0 ||
                            setresuid(s->uid, s->uid, s->uid) < 0))
                return;
        /* After the change of user, which clears it. */
        if (prctl(PR_SET_PDEATHSIG, s->death_signal ? s->death_signal : SIGKILL) < 0 || getppid() != parent)
                return;
        execve(s->argv[0], (char *const *)s->argv, environment);
}

pid_t spawn(const struct spawn *s)
{
        char **environment = g_get_environ();
        pid_t parent = getpid(), pid;

        for (size_t i = 0; s->environment && s->environment[i]; i++) {
                char **pair = g_strsplit(s->environment[i], "=", 2);

                environment = g_environ_setenv(environment, pair[0], pair[1], TRUE);
                g_strfreev(pair);
        }

        pid = fork();
        if (pid == 0) {
                child_exec(s, environment, parent);
                _exit(127);
        }
        g_assert_cmpint(pid, >, 0);
        g_strfreev(environment);
        return pid;
}

bool spawn_wait_maybe(pid_t pid, unsigned timeout_msec, int *ret_status)
{
        uint64_t end = now_usec() + timeout_msec * 1000ULL;

        for (;;) {
                int status;
                pid_t r = waitpid(pid, &status, WNOHANG);

                if (r == pid) {
                        if (ret_status)
                                *ret_status = status;
                        return true;
                }
                g_assert_cmpint(r, ==, 0);
                if (now_usec() >= end)
                        return false;
                sleep_msec(2);
        }
}

int spawn_wait(pid_t pid, unsigned timeout_msec)
{
        int status = 0;

        if (!spawn_wait_maybe(pid, timeout_msec, &status))
                g_error("process %d did not end within %u ms", (int)pid, timeout_msec);
        return status;
}

void spawn_kill(pid_t pid)
{
        if (pid <= 0)
                return;
        kill(pid, SIGKILL);
        spawn_wait(pid, 10000);
}

int spawn_run(const struct spawn *s, unsigned timeout_msec, char **ret_out)
{
        struct spawn with_pipe = *s;
        GString *text = g_string_new(NULL);
        uint64_t end = now_usec() + timeout_msec * 1000ULL;
        int fds[2], status = 0;
        pid_t pid;

        g_assert_cmpint(pipe2(fds, O_CLOEXEC), ==, 0);
        with_pipe.out = with_pipe.err = fds[1];
        pid = spawn(&with_pipe);
        fds[1] = safe_close(fds[1]);
        g_assert_cmpint(fcntl(fds[0], F_SETFL, O_NONBLOCK), ==, 0);

        for (;;) {
                char buffer[4096];
                ssize_t n = read(fds[0], buffer, sizeof(buffer));

                if (n > 0)
                        g_string_append_len(text, buffer, n);
                else if (n == 0)
                        break;
                else if (errno == EAGAIN && now_usec() < end)
                        sleep_msec(2);
                else
                        g_error("%s does not end: %s", s->argv[0], text->str);
        }
        safe_close(fds[0]);
        status = spawn_wait(pid, timeout_msec);
        if (ret_out)
                *ret_out = g_string_free(text, FALSE);
        else
                g_string_free(text, TRUE);
        return status;
}
