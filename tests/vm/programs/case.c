// SPDX-License-Identifier: LGPL-2.1-or-later
#include "case.h"

#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Emulated machines are slow, and kernels that look for their own mistakes more so. */
#define CASE_SECONDS 400

void fail_at(const char *file, int line, const char *format, ...) {
        va_list arguments;

        printf("# %s:%d: ", file, line);
        va_start(arguments, format);
        vprintf(format, arguments);
        va_end(arguments);
        printf("\n");
        fflush(stdout);
        _exit(1);
}

static bool case_run(const struct test_case *test) {
        int status;
        pid_t pid;

        fflush(stdout);
        pid = fork();
        if (pid < 0) {
                perror("fork");
                return false;
        }
        if (pid == 0) {
                setpgid(0, 0);
                alarm(CASE_SECONDS);
                test->run();
                fflush(stdout);
                _exit(0);
        }
        while (waitpid(pid, &status, 0) < 0)
                ;
        kill(-pid, SIGKILL);
        if (WIFSIGNALED(status))
                printf("# %s\n", strsignal(WTERMSIG(status)));
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool case_wanted(int argc, char **argv, const char *name) {
        for (int i = 1; i < argc; i++)
                if (strstr(name, argv[i]))
                        return true;
        return argc == 1;
}

int cases_run(int argc, char **argv, const struct test_case *cases, size_t n_cases) {
        bool good = true;

        for (size_t i = 0; i < n_cases; i++) {
                if (!case_wanted(argc, argv, cases[i].name))
                        continue;
                if (case_run(&cases[i])) {
                        printf("ok %s\n", cases[i].name);
                } else {
                        printf("not ok %s\n", cases[i].name);
                        good = false;
                }
                fflush(stdout);
        }
        return good ? 0 : 1;
}
