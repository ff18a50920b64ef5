/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "inject-target.h"

#define WAIT_USEC 800000
#define WAIT_NSEC (WAIT_USEC * 1000L)

static const struct timespec wait_time = { .tv_nsec = WAIT_NSEC };

static int64_t result(long r)
{
        return r < 0 ? -errno : r;
}

/* Two words: no signal mask of its own but one without SIGUSR1. */
static uint64_t open_mask(void)
{
        return UINT64_C(1) << (SIGRTMAX - 1);
}

static void wake_by_byte(struct target *t)
{
        g_assert_cmpint(write(t->wake[0], "", 1), ==, 1);
}

static void wake_by_signal(struct target *t)
{
        g_assert_cmpint(kill(t->pid, SIGUSR1), ==, 0);
}

static void wake_by_futex(struct target *t)
{
        gint64 end = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;

        /* It may be between two waits at the moment: after an interruption it goes back into the call. */
        while (syscall(SYS_futex, &t->shared->futex, FUTEX_WAKE, 1, NULL, NULL, 0) == 0) {
                g_assert_cmpint(g_get_monotonic_time(), <, end);
                g_usleep(100);
        }
}

static int64_t take_byte(struct target *t, int64_t r)
{
        char c;

        if (r == 1 && read(t->wake[1], &c, 1) != 1)
                target_fail(t, "the byte is gone");
        return r;
}

static int64_t call_read(struct target *t)
{
        char c;

        return result(syscall(SYS_read, t->wake[1], &c, 1));
}

static int64_t call_recvfrom(struct target *t)
{
        char c;

        return result(syscall(SYS_recvfrom, t->wake[1], &c, 1, 0, NULL, NULL));
}

static int64_t call_recv_timeout(struct target *t)
{
        struct timeval limit = { .tv_usec = WAIT_USEC };
        char c;

        setsockopt(t->wake[1], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        return result(syscall(SYS_recvfrom, t->wake[1], &c, 1, 0, NULL, NULL));
}

static int64_t call_poll(struct target *t)
{
        struct pollfd p = { .fd = t->wake[1], .events = POLLIN };

        return take_byte(t, result(syscall(SYS_poll, &p, 1, -1)));
}

static int64_t call_poll_timeout(struct target *t)
{
        return result(syscall(SYS_poll, NULL, 0, WAIT_USEC / 1000));
}

static int64_t call_ppoll(struct target *t)
{
        struct pollfd p = { .fd = t->wake[1], .events = POLLIN };
        uint64_t mask = open_mask();

        return take_byte(t, result(syscall(SYS_ppoll, &p, 1, NULL, &mask, sizeof(mask))));
}

static int64_t call_ppoll_timeout(struct target *t)
{
        struct timespec ts = wait_time;
        uint64_t mask = open_mask();

        return result(syscall(SYS_ppoll, NULL, 0, &ts, &mask, sizeof(mask)));
}

static int64_t call_ppoll_signal(struct target *t)
{
        uint64_t mask = open_mask();

        return result(syscall(SYS_ppoll, NULL, 0, NULL, &mask, sizeof(mask)));
}

static int64_t call_select_timeout(struct target *t)
{
        struct timeval tv = { .tv_usec = WAIT_USEC };

        return result(syscall(SYS_select, 0, NULL, NULL, NULL, &tv));
}

static int64_t call_pselect_timeout(struct target *t)
{
        struct timespec ts = wait_time;

        return result(syscall(SYS_pselect6, 0, NULL, NULL, NULL, &ts, NULL));
}

static int64_t epoll_once(struct target *t, int timeout, const uint64_t *mask)
{
        struct epoll_event event = { .events = EPOLLIN };
        int fd = epoll_create1(EPOLL_CLOEXEC);
        int64_t r;

        if (epoll_ctl(fd, EPOLL_CTL_ADD, t->wake[1], &event) < 0)
                target_fail(t, "epoll_ctl");
        r = mask ? result(syscall(SYS_epoll_pwait, fd, &event, 1, timeout, mask, sizeof(*mask)))
                 : result(syscall(SYS_epoll_wait, fd, &event, 1, timeout));
        close(fd);
        return take_byte(t, r);
}

static int64_t call_epoll_wait(struct target *t)
{
        return epoll_once(t, -1, NULL);
}

static int64_t call_epoll_wait_timeout(struct target *t)
{
        return epoll_once(t, WAIT_USEC / 1000, NULL);
}

static int64_t call_epoll_pwait(struct target *t)
{
        uint64_t mask = open_mask();

        return epoll_once(t, -1, &mask);
}

static int64_t futex(struct target *t, int op, const struct timespec *ts)
{
        return result(syscall(SYS_futex, &t->shared->futex, op, 0, ts, NULL, FUTEX_BITSET_MATCH_ANY));
}

static int64_t call_futex(struct target *t)
{
        return futex(t, FUTEX_WAIT, NULL);
}

static int64_t call_futex_timeout(struct target *t)
{
        return futex(t, FUTEX_WAIT, &wait_time);
}

static struct timespec deadline(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        ts.tv_nsec += WAIT_NSEC;
        ts.tv_sec += ts.tv_nsec / 1000000000;
        ts.tv_nsec %= 1000000000;
        return ts;
}

static int64_t call_futex_deadline(struct target *t)
{
        struct timespec ts = deadline();

        return futex(t, FUTEX_WAIT_BITSET, &ts);
}

static int64_t call_nanosleep(struct target *t)
{
        return result(syscall(SYS_nanosleep, &wait_time, NULL));
}

static int64_t call_clock_nanosleep(struct target *t)
{
        struct timespec ts = wait_time;

        return result(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &ts, NULL));
}

static int64_t call_clock_nanosleep_deadline(struct target *t)
{
        struct timespec ts = deadline();

        return result(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL));
}

static int64_t call_pause(struct target *t)
{
        return result(syscall(SYS_pause));
}

static int64_t call_sigsuspend(struct target *t)
{
        uint64_t mask = open_mask();

        return result(syscall(SYS_rt_sigsuspend, &mask, sizeof(mask)));
}

static int64_t call_sigtimedwait(struct target *t)
{
        uint64_t set = UINT64_C(1) << (SIGUSR1 - 1);

        return result(syscall(SYS_rt_sigtimedwait, &set, NULL, NULL, sizeof(set)));
}

static int64_t call_sigtimedwait_timeout(struct target *t)
{
        uint64_t set = UINT64_C(1) << (SIGUSR1 - 1);

        return result(syscall(SYS_rt_sigtimedwait, &set, NULL, &wait_time, sizeof(set)));
}

static int64_t call_wait4(struct target *t)
{
        pid_t pid = fork();

        if (pid == 0) {
                char c;

                (void) !read(t->wake[1], &c, 1);
                _exit(EXIT_SUCCESS);
        }
        return result(syscall(SYS_wait4, pid, NULL, 0, NULL)) == pid ? 0 : -errno;
}

static int64_t call_semtimedop(struct target *t)
{
        struct sembuf down = { .sem_op = -1 };
        int id = semget(IPC_PRIVATE, 1, 0600);
        int64_t r;

        r = result(syscall(SYS_semtimedop, id, &down, 1, &wait_time));
        semctl(id, 0, IPC_RMID);
        return r;
}

const struct wait_case wait_cases[] = {
        { "read", SYS_read, call_read, wake_by_byte, 1, TARGET_NOTHING, .restarts = true },
        { "recvfrom", SYS_recvfrom, call_recvfrom, wake_by_byte, 1, TARGET_NOTHING, .restarts = true },
        { "poll", SYS_poll, call_poll, wake_by_byte, 1, TARGET_NOTHING },
        { "ppoll", SYS_ppoll, call_ppoll, wake_by_byte, 1, TARGET_NOTHING },
        { "ppoll-signal", SYS_ppoll, call_ppoll_signal, wake_by_signal, -EINTR, TARGET_NOTHING },
        { "epoll_wait", SYS_epoll_wait, call_epoll_wait, wake_by_byte, 1, -EINTR },
        { "epoll_pwait", SYS_epoll_pwait, call_epoll_pwait, wake_by_byte, 1, -EINTR },
        { "futex", SYS_futex, call_futex, wake_by_futex, 0, TARGET_NOTHING, .restarts = true },
        { "wait4", SYS_wait4, call_wait4, wake_by_byte, 0, TARGET_NOTHING, .restarts = true },
        { "pause", SYS_pause, call_pause, wake_by_signal, -EINTR, TARGET_NOTHING },
        { "sigsuspend", SYS_rt_sigsuspend, call_sigsuspend, wake_by_signal, -EINTR, TARGET_NOTHING },
        { "sigwaitinfo", SYS_rt_sigtimedwait, call_sigtimedwait, wake_by_signal, SIGUSR1, -EINTR },

        { "nanosleep", SYS_nanosleep, call_nanosleep, NULL, 0, -EINTR, WAIT_USEC },
        { "clock_nanosleep", SYS_clock_nanosleep, call_clock_nanosleep, NULL, 0, -EINTR, WAIT_USEC },
        { "clock_nanosleep-deadline", SYS_clock_nanosleep, call_clock_nanosleep_deadline, NULL, 0,
          TARGET_NOTHING, WAIT_USEC },
        { "poll-timeout", SYS_poll, call_poll_timeout, NULL, 0, -EINTR, WAIT_USEC },
        { "ppoll-timeout", SYS_ppoll, call_ppoll_timeout, NULL, 0, TARGET_NOTHING, WAIT_USEC },
        { "select-timeout", SYS_select, call_select_timeout, NULL, 0, TARGET_NOTHING, WAIT_USEC },
        { "pselect-timeout", SYS_pselect6, call_pselect_timeout, NULL, 0, TARGET_NOTHING, WAIT_USEC },
        { "futex-timeout", SYS_futex, call_futex_timeout, NULL, -ETIMEDOUT, -EINTR, WAIT_USEC },
        { "futex-deadline", SYS_futex, call_futex_deadline, NULL, -ETIMEDOUT, -EINTR, WAIT_USEC },
        { "epoll_wait-timeout", SYS_epoll_wait, call_epoll_wait_timeout, NULL, 0, -EINTR, WAIT_USEC, true },
        { "recvfrom-timeout", SYS_recvfrom, call_recv_timeout, NULL, -EAGAIN, -EINTR, WAIT_USEC - 10000,
          true },
        { "sigtimedwait", SYS_rt_sigtimedwait, call_sigtimedwait_timeout, NULL, -EAGAIN, -EINTR, WAIT_USEC,
          true },
        { "semtimedop", SYS_semtimedop, call_semtimedop, NULL, -EAGAIN, -EINTR, WAIT_USEC - 10000, true },
};
const size_t n_wait_cases = ELEMENTSOF(wait_cases);
