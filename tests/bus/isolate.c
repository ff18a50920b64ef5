/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "isolate.h"

#include <errno.h>
#include <glib.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long a daemon may take to stop ksmd after its test died. */
#define END_SEC 20U

static pid_t tester;

static void on_terminate(int sig)
{
        kill(tester, SIGKILL);
}

static int exit_status(int status)
{
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The first process of the namespace: when it ends the kernel kills all others, so it ends last. */
static void be_init(void)
{
        int status, result = EXIT_FAILURE;
        pid_t pid;

        prctl(PR_SET_PDEATHSIG, SIGTERM);
        tester = fork();
        if (tester == 0)
                return;
        signal(SIGTERM, on_terminate);
        while ((pid = waitpid(-1, &status, 0)) > 0 || errno == EINTR)
                if (pid == tester) {
                        result = exit_status(status);
                        signal(SIGALRM, _exit);
                        alarm(END_SEC);
                }
        _exit(result);
}

void isolate(void)
{
        int status;
        pid_t pid;

        if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0)
                g_error("namespaces: %m");
        pid = fork();
        g_assert_cmpint(pid, >=, 0);
        if (pid > 0) {
                while (waitpid(pid, &status, 0) < 0)
                        g_assert_cmpint(errno, ==, EINTR);
                /* The search for leaks at exit() needs a thread, which this one cannot have any more. */
                _exit(exit_status(status));
        }
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("proc", "/proc", "proc", 0, NULL) < 0)
                g_error("/proc: %m");
        /* The daemon's rules would wait for whatever else keeps the machine's CPUs busy. */
        if (access("/proc/pressure/cpu", F_OK) == 0 &&
            mount("/dev/null", "/proc/pressure/cpu", NULL, MS_BIND, NULL) < 0)
                g_error("/proc/pressure/cpu: %m");
        be_init();
}
