/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "target.h"

/* States that make a process hard to look at. */

static int filter_self(void)
{
        struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        struct sock_fprog program = { .len = 1, .filter = &allow };

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -1;
        return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* @n children that live as long as it takes to write a few equal pages. */
static int churn(unsigned n)
{
        for (unsigned i = 0; i < n; i++) {
                pid_t pid = fork();

                if (pid < 0)
                        return -1;
                if (pid == 0) {
                        unsigned char *p = mmap(NULL, 16 * TARGET_PAGE, PROT_READ | PROT_WRITE,
                                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

                        if (p == MAP_FAILED)
                                _exit(1);
                        for (size_t k = 0; k < 16; k++)
                                stream_fill(p + k * TARGET_PAGE, 77, k);
                        /* Every second one becomes another program before it ends. */
                        if (i % 2 == 0)
                                execl("/bin/true", "/bin/true", NULL);
                        _exit(0);
                }
                if (waitpid(pid, NULL, 0) != pid)
                        return -1;
        }
        return 0;
}

/* A child that does nothing, and goes on when its parent is gone. */
static pid_t orphan(void)
{
        pid_t pid = fork();

        while (pid == 0)
                pause();
        return pid;
}

static unsigned char *hanging;
static _Atomic int answered = 1;

void states_answered(void)
{
        /* Who has been answered is looked at, page by page: no write without need. */
        if (!answered)
                answered = 1;
}

/* Once one thread hangs the others may at any page fault. */
static void wait_for_answer(void)
{
        while (!answered)
                usleep(1000);
}

static void *hang_reader(void *unused)
{
        wait_for_answer();
        return (void *)(uintptr_t)*(volatile unsigned char *)hanging;
}

static void *hang_writer(void *unused)
{
        wait_for_answer();
        /* Waits for mmap_lock, and whoever comes after it waits too. */
        usleep(100 * 1000);
        mprotect(hanging + TARGET_PAGE, TARGET_PAGE, PROT_NONE);
        return NULL;
}

/* One thread faults on a file that never answers, a second wants to change the mapping meanwhile. */
static int hang(const char *path, unsigned page)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        pthread_t thread;

        if (fd < 0)
                return -1;
        hanging = mmap(NULL, 2 * TARGET_PAGE, PROT_READ, MAP_PRIVATE, fd, (off_t)page * TARGET_PAGE);
        if (hanging == MAP_FAILED)
                return -1;
        answered = 0;
        if (pthread_create(&thread, NULL, hang_reader, NULL) != 0 ||
            pthread_create(&thread, NULL, hang_writer, NULL) != 0)
                return -1;
        return 0;
}

int states_command(const char *line, char answer[ANSWER_MAX])
{
        char path[ANSWER_MAX];
        unsigned n;
        int failed;
        pid_t pid;

        if (strcmp(line, "seccomp") == 0)
                failed = filter_self();
        else if (strcmp(line, "secret") == 0)
                failed = prctl(PR_SET_DUMPABLE, 0);
        else if (sscanf(line, "user %u", &n) == 1)
                failed = setresuid(n, n, n);
        else if (strcmp(line, "exec") == 0)
                failed = execl("/proc/self/exe", "mm-target", NULL);
        else if (sscanf(line, "churn %u", &n) == 1)
                failed = churn(n);
        else if (sscanf(line, "hang %u %511s", &n, path) == 2)
                failed = hang(path, n);
        else if (strcmp(line, "orphan") == 0) {
                pid = orphan();
                snprintf(answer, ANSWER_MAX, pid < 0 ? "bad fork" : "ok %d", (int)pid);
                return 1;
        } else
                return 0;
        if (failed)
                snprintf(answer, ANSWER_MAX, "bad %s: %m", line);
        else
                snprintf(answer, ANSWER_MAX, "ok");
        return 1;
}
