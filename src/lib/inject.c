/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "lib/inject-run.h"
#include "lib/inject.h"
#include "shared/clock.h"

#define PAGE_MASK UINT64_C(0xfff)

/* The injector keeps to the timeout itself; this is for one that the kernel keeps waiting. */
#define GRACE_MSEC 500U

/* Injectors that did not end in time. They are left to themselves and reaped later. */
#define ABANDONED_MAX 16U
static _Atomic int abandoned[ABANDONED_MAX]; /* pidfd + 1; 0: free */

const char *mm_inject_result_name(enum mm_inject_result r)
{
        static const char *const names[] = {
                [MM_INJECT_OK] = "done",
                [MM_INJECT_GONE] = "gone",
                [MM_INJECT_TRACED] = "traced by another process",
                [MM_INJECT_SECCOMP] = "filtered by seccomp",
                [MM_INJECT_NAMESPACE] = "in another user namespace",
                [MM_INJECT_BITS] = "not an x86-64 process",
                [MM_INJECT_STOPPED] = "stopped",
                [MM_INJECT_NO_PLACE] = "no thread that could make the call",
                [MM_INJECT_BUSY] = "busy",
                [MM_INJECT_FAILED] = "failed",
        };
        _Static_assert(ELEMENTSOF(names) == MM_INJECT_RESULT_MAX_, "a name each");

        return (unsigned) r < ELEMENTSOF(names) ? names[r] : "unknown";
}

static bool is_valid(const struct mm_advice *a)
{
        return a->start < a->end && (a->start & PAGE_MASK) == 0 && (a->end & PAGE_MASK) == 0 &&
               (a->advice == MADV_MERGEABLE || a->advice == MADV_UNMERGEABLE);
}

/* Whether it is gone; @ret_signal: what ended it, 0 if it did itself or if the caller ignores
 * SIGCHLD, in which case there is nothing to reap. */
static bool reap(int pid_fd, int *ret_signal)
{
        siginfo_t info = { 0 };

        if (waitid(P_PIDFD, (id_t) pid_fd, &info, WEXITED | WNOHANG) < 0) {
                *ret_signal = 0;
                return true;
        }
        *ret_signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
        return info.si_pid != 0;
}

static void reap_abandoned(void)
{
        for (size_t i = 0; i < ABANDONED_MAX; i++) {
                int held = atomic_exchange(&abandoned[i], 0), none = 0, signal;

                if (held == 0)
                        continue;
                if (reap(held - 1, &signal))
                        safe_close(held - 1);
                else if (!atomic_compare_exchange_strong(&abandoned[i], &none, held))
                        safe_close(held - 1);
        }
}

static void abandon(int pid_fd)
{
        for (size_t i = 0; i < ABANDONED_MAX; i++) {
                int none = 0;

                if (atomic_compare_exchange_strong(&abandoned[i], &none, pid_fd + 1))
                        return;
        }
        safe_close(pid_fd);
}

/* Closes all but what the injector needs. Standard error stays, for sanitizers and the like. */
static void close_others(const struct mm_process *p)
{
        int keep[] = { STDERR_FILENO, MIN(p->dir_fd, p->pid_fd), MAX(p->dir_fd, p->pid_fd) };
        unsigned from = 0;

        for (size_t i = 0; i < ELEMENTSOF(keep); i++) {
                if (keep[i] < (int) from)
                        continue;
                if ((unsigned) keep[i] > from)
                        close_range(from, (unsigned) keep[i] - 1, 0);
                from = (unsigned) keep[i] + 1;
        }
        close_range(from, ~0U, 0);
}

/* Makes this process one that nothing is likely to end in the middle of its work: no signal but the
 * alarm that it sets itself, and not the one that the system kills when memory is short. */
static void seclude(const struct mm_process *p)
{
        struct sigaction plain = { .sa_handler = SIG_DFL };
        sigset_t mask;
        int fd;

        /* The parent's handlers are not for us, and with its SIG_IGN no SIGCHLD would come at all. */
        sigaction(SIGCHLD, &plain, NULL);
        sigaction(SIGALRM, &plain, NULL);
        sigfillset(&mask);
        sigdelset(&mask, SIGALRM);
        sigprocmask(SIG_SETMASK, &mask, NULL);
        /* Not a session: the scheduler takes each for a group of its own (sched(7), autogroup), and
         * a new one was seen to wait for seconds on a loaded machine, the target with it. */
        setpgid(0, 0);
        setpriority(PRIO_PROCESS, 0, -20); /* while a thread is held, all wait for us */

        fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
        if (fd >= 0)
                (void) !write(fd, "-1000", 5);
        close_others(p);
}

static bool wait_for_end(int pid_fd, unsigned timeout_msec)
{
        struct pollfd pollfd = { .fd = pid_fd, .events = POLLIN };
        uint64_t now = clock_usec(CLOCK_MONOTONIC);
        uint64_t end = now + ((uint64_t) timeout_msec + GRACE_MSEC) * 1000U;

        for (; now < end; now = clock_usec(CLOCK_MONOTONIC)) {
                int r = poll(&pollfd, 1, (int) MIN((end - now + 999U) / 1000U, (uint64_t) INT32_MAX));

                if (r > 0)
                        return true;
                if (r < 0 && errno != EINTR)
                        return false;
        }
        return false;
}

/* Runs the injector. 0 when it has ended; -ETIMEDOUT if it has not, or by its own alarm; -errno. */
static int run_injector(const struct mm_process *p, unsigned timeout_msec, struct mm_inject_channel *c)
{
        pid_t pid;
        int pid_fd, signal;

        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0) {
                seclude(p);
                mm_inject_run(p, timeout_msec, c);
                c->done = true;
                _exit(EXIT_SUCCESS);
        }

        pid_fd = pidfd_open(pid, 0);
        if (pid_fd < 0) /* it has ended and was not waited for: the caller ignores SIGCHLD */
                return errno == ESRCH ? 0 : -errno;
        if (!wait_for_end(pid_fd, timeout_msec)) {
                abandon(pid_fd);
                return -ETIMEDOUT;
        }
        (void) reap(pid_fd, &signal);
        safe_close(pid_fd);
        return signal == SIGALRM ? -ETIMEDOUT : 0;
}

enum mm_inject_result mm_inject_advise(const struct mm_process *p, struct mm_advice *advices, size_t n,
                                       unsigned timeout_msec, int *ret_error, uint64_t *ret_stop_usec)
{
        size_t size = sizeof(struct mm_inject_channel) + n * sizeof(struct mm_advice);
        struct mm_inject_channel *c;
        enum mm_inject_result result;
        int r = 0, error = 0;
        uint64_t longest_usec;

        reap_abandoned();

        for (size_t i = 0; i < n; i++) {
                advices[i].status = 1;
                advices[i].done = 0;
                if (!is_valid(&advices[i]))
                        r = -EINVAL;
        }
        c = r < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (c == MAP_FAILED) {
                if (ret_error)
                        *ret_error = r < 0 ? r : -errno;
                if (ret_stop_usec)
                        *ret_stop_usec = 0;
                return MM_INJECT_FAILED;
        }
        c->n = n;
        for (size_t i = 0; i < n; i++)
                c->advices[i] = advices[i];

        r = run_injector(p, timeout_msec, c);
        if (c->done) {
                result = c->result;
                error = c->error;
        } else {
                result = r == -ETIMEDOUT ? MM_INJECT_STOPPED : MM_INJECT_FAILED;
                error = r < 0 ? r : -ECANCELED; /* it was killed */
        }
        longest_usec = c->longest_usec;
        for (size_t i = 0; i < n; i++)
                advices[i] = c->advices[i];
        munmap(c, size);

        if (ret_error)
                *ret_error = error;
        if (ret_stop_usec)
                *ret_stop_usec = longest_usec;
        return result;
}
