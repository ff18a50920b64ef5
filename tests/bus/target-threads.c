/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "target.h"

/* Threads that use, at full speed, what an injected call could break: futexes, sleeps that the
 * kernel restarts, timers, queued signals, pipes, floating point. Each checks itself. */

static _Atomic unsigned long futex_turns, sleeps, ticks, signals_sent, signals_seen, transfers, sums;
static _Atomic(const char *) broken;
static _Atomic int broken_errno;

static void fail(const char *what)
{
        broken_errno = errno;
        broken = what;
}

static _Atomic unsigned turn;

static void *futex_thread(void *arg)
{
        unsigned mine = (unsigned)(uintptr_t)arg;

        for (;;) {
                unsigned now = turn;

                if (now % 2 != mine) {
                        /* Without a handler run, a wait must never end with EINTR. */
                        if (syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, now, NULL, NULL, 0) < 0 &&
                            errno != EAGAIN)
                                fail("futex wait");
                        continue;
                }
                turn = now + 1;
                futex_turns++;
                if (syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0) < 0)
                        fail("futex wake");
        }
        return NULL;
}

static void *sleep_thread(void *unused)
{
        for (;;) {
                struct timespec a, b, span = { .tv_nsec = 3000000 };

                clock_gettime(CLOCK_MONOTONIC, &a);
                if (nanosleep(&span, NULL) < 0)
                        fail("nanosleep");
                clock_gettime(CLOCK_MONOTONIC, &b);
                if ((b.tv_sec - a.tv_sec) * 1000000000LL + b.tv_nsec - a.tv_nsec < span.tv_nsec)
                        fail("nanosleep ended early");
                sleeps++;
        }
        return NULL;
}

static void *timer_thread(void *unused)
{
        struct itimerspec every = { .it_interval.tv_nsec = 1000000, .it_value.tv_nsec = 1000000 };
        int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
        uint64_t expired;

        if (fd < 0 || timerfd_settime(fd, 0, &every, NULL) < 0)
                fail("timerfd");
        for (;;) {
                if (read(fd, &expired, sizeof(expired)) != sizeof(expired) || expired == 0)
                        fail("timerfd read");
                ticks += expired;
        }
        return NULL;
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
        /* Queued signals of one number come in order: a lost or doubled one shows. */
        if ((unsigned)info->si_value.sival_int != (unsigned)(signals_seen & INT_MAX))
                fail("signals out of order");
        signals_seen++;
}

static int pipe_fds[2];
static pthread_t receiver;

/* Gets the signals while it blocks in, and returns from, read(). */
static void *receive_thread(void *unused)
{
        unsigned long expected = 0, value;

        for (;;) {
                if (read(pipe_fds[0], &value, sizeof(value)) != sizeof(value))
                        fail("pipe read");
                else if (value != expected++)
                        fail("pipe data");
                transfers++;
        }
        return NULL;
}

static void *send_thread(void *unused)
{
        for (unsigned long i = 0;; i++) {
                union sigval value = { .sival_int = (int)(signals_sent & INT_MAX) };

                if (write(pipe_fds[1], &i, sizeof(i)) != sizeof(i))
                        fail("pipe write");
                /* Few enough on the way that the queue never is full. */
                if (signals_sent - signals_seen > 64)
                        continue;
                signals_sent++;
                if (pthread_sigqueue(receiver, SIGRTMIN, value) != 0)
                        fail("sigqueue");
        }
        return NULL;
}

static void *float_thread(void *unused)
{
        double first = 0;

        for (unsigned long round = 0;; round++) {
                double sum = 0;

                for (int i = 1; i < 20000; i++)
                        sum += 1.0 / i;
                if (round == 0)
                        first = sum;
                else if (memcmp(&sum, &first, sizeof(sum)) != 0)
                        fail("floating point");
                sums++;
        }
        return NULL;
}

/* Threads that wake each other all the time can keep whoever else is ready from running for half a minute
 * (seen with Linux 6.18), ksmd with its lock too. */
static int let_others_go_first(void)
{
        const struct sched_param none = {};

        return sched_setscheduler(0, SCHED_IDLE, &none);
}

static int start(void)
{
        struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART };
        sigset_t set;
        pthread_t thread;

        if (sigaction(SIGRTMIN, &action, NULL) < 0 || pipe(pipe_fds) < 0 || let_others_go_first() < 0)
                return -1;
        /* The receiver alone takes the signal: elsewhere it would excuse an EINTR. */
        if (pthread_create(&receiver, NULL, receive_thread, NULL) != 0)
                return -1;
        sigemptyset(&set);
        sigaddset(&set, SIGRTMIN);
        pthread_sigmask(SIG_BLOCK, &set, NULL);
        for (uintptr_t i = 0; i < 2; i++)
                if (pthread_create(&thread, NULL, futex_thread, (void *)i) != 0)
                        return -1;
        if (pthread_create(&thread, NULL, sleep_thread, NULL) != 0 ||
            pthread_create(&thread, NULL, timer_thread, NULL) != 0 ||
            pthread_create(&thread, NULL, send_thread, NULL) != 0 ||
            pthread_create(&thread, NULL, float_thread, NULL) != 0)
                return -1;
        return 0;
}

/* All must have moved on since the last look, and what was sent must arrive. */
static void check(char answer[ANSWER_MAX])
{
        static _Atomic unsigned long *const counts[] = { &futex_turns,  &sleeps,    &ticks,
                                                         &signals_seen, &transfers, &sums };
        static unsigned long before[sizeof(counts) / sizeof(counts[0])];
        const char *what = broken;

        for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]) && !what; i++) {
                for (int wait = 0; *counts[i] == before[i] && wait < 5000; wait++)
                        usleep(1000);
                if (*counts[i] == before[i])
                        what = "a thread that stands still";
                before[i] = *counts[i];
        }
        if (what)
                snprintf(answer, ANSWER_MAX, "bad %s (%s)", what, strerror(broken_errno));
        else
                snprintf(answer, ANSWER_MAX,
                         "ok %lu turns, %lu sleeps, %lu ticks, %lu signals, %lu transfers", futex_turns,
                         sleeps, ticks, signals_seen, transfers);
}

int threads_command(const char *line, char answer[ANSWER_MAX])
{
        if (strcmp(line, "threads") == 0) {
                snprintf(answer, ANSWER_MAX, start() < 0 ? "bad threads" : "ok");
                return 1;
        }
        if (strcmp(line, "threads-check") == 0) {
                check(answer);
                return 1;
        }
        return 0;
}
