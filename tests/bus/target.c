/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

/* Forks of this process, each at the other end of a socket. */
#define FORKS_MAX 16
static struct {
        pid_t pid;
        int fd;
} forks[FORKS_MAX];
static unsigned n_forks;

static int read_line(int fd, char *line, size_t size)
{
        for (size_t n = 0; n < size; n++) {
                if (read(fd, line + n, 1) != 1)
                        return -1;
                if (line[n] == '\n') {
                        line[n] = '\0';
                        return 0;
                }
        }
        return -1;
}

static void write_line(int fd, const char *text)
{
        char line[ANSWER_MAX + 1];
        int n = snprintf(line, sizeof(line), "%s\n", text);

        if (write(fd, line, (size_t)n) != n)
                _exit(3);
}

static void serve(int in, int out) __attribute__((__noreturn__));

static void fork_self(char answer[ANSWER_MAX])
{
        int fds[2];
        pid_t pid;

        if (n_forks == FORKS_MAX || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
                snprintf(answer, ANSWER_MAX, "bad fork");
                return;
        }
        pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                close(fds[0]);
                n_forks = 0;
                serve(fds[1], fds[1]);
        }
        close(fds[1]);
        forks[n_forks].pid = pid;
        forks[n_forks].fd = fds[0];
        n_forks++;
        snprintf(answer, ANSWER_MAX, "ok %d", (int)pid);
}

static void forward(unsigned i, const char *line, char answer[ANSWER_MAX])
{
        if (i >= n_forks) {
                snprintf(answer, ANSWER_MAX, "bad no such child");
                return;
        }
        write_line(forks[i].fd, line);
        if (read_line(forks[i].fd, answer, ANSWER_MAX) < 0)
                snprintf(answer, ANSWER_MAX, "bad the child is gone");
}

static void verify(char answer[ANSWER_MAX])
{
        areas_verify(answer);
        for (unsigned i = 0; i < n_forks && strcmp(answer, "ok") == 0; i++)
                forward(i, "verify", answer);
}

static void command(const char *line, char answer[ANSWER_MAX])
{
        unsigned child;
        int rest = 0;

        if (strcmp(line, "verify") == 0)
                verify(answer);
        else if (strcmp(line, "fork") == 0)
                fork_self(answer);
        else if (sscanf(line, "child %u %n", &child, &rest) == 1 && rest > 0)
                forward(child, line + rest, answer);
        else if (!areas_command(line, answer) && !threads_command(line, answer) &&
                 !states_command(line, answer))
                snprintf(answer, ANSWER_MAX, "bad command %.400s", line);
}

static void serve(int in, int out)
{
        char line[ANSWER_MAX], answer[ANSWER_MAX];

        while (read_line(in, line, sizeof(line)) >= 0) {
                command(line, answer);
                write_line(out, answer);
                states_answered();
        }
        _exit(0);
}

int main(void)
{
        /* No timeouts of its own: it ends with its input. */
        write_line(STDOUT_FILENO, "ok ready");
        serve(STDIN_FILENO, STDOUT_FILENO);
}
