/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "inject-busy.h"
#include "inject-spin.h"

#define NUMBERED (SIGRTMIN + 2)
#define TICK (SIGRTMIN + 3)
#define NUMBERS_MAX (UINT64_C(1) << 22)
#define TICK_USEC 1000

/* In memory that the test and its children share; set up before they part. */
static struct {
        uint64_t sent, received;
        uint64_t seen[NUMBERS_MAX / 64];
} *numbers;
static pid_t sender;
static struct target *self;

enum {
        STOP_SENDING = 1,
        STOP_ALL,
};

static bool stopping(void)
{
        return __atomic_load_n(&self->shared->stop, __ATOMIC_RELAXED) == STOP_ALL;
}

static void expect(int64_t r, int64_t expected, const char *what)
{
        if (r != expected)
                target_fail(self, "%s: %" G_GINT64_FORMAT ", errno %d", what, r, errno);
}

/* Like expect(), but an injector that died may have left EINTR. */
static bool expect_timed(int64_t r, int64_t expected, const char *what)
{
        if (r < 0 && errno == EINTR && self->shared->broken)
                return false;
        expect(r, expected, what);
        return true;
}

static void expect_mask(void)
{
        sigset_t mask;

        pthread_sigmask(SIG_SETMASK, NULL, &mask);
        if (!sigismember(&mask, NUMBERED) || !sigismember(&mask, TICK) || sigismember(&mask, SIGUSR1))
                target_fail(self, "the signal mask has changed");
}

static void take_number(int signal, siginfo_t *info, void *context)
{
        uint64_t n = (uint64_t) (uintptr_t) info->si_value.sival_ptr, bit = UINT64_C(1) << (n % 64);

        if (n >= NUMBERS_MAX ||
            (__atomic_fetch_or(&numbers->seen[n / 64], bit, __ATOMIC_RELAXED) & bit) != 0)
                target_fail(self, "signal %" G_GUINT64_FORMAT " came twice", n);
        __atomic_add_fetch(&numbers->received, 1, __ATOMIC_RELEASE);
}

/* Registers, with handlers running on top of them. */
static void *spin_thread(void *data)
{
        struct spin *s = spin_new((uint64_t) (uintptr_t) &s, SPIN_TILES_NEVER);
        sigset_t set, mask;

        sigemptyset(&set);
        sigaddset(&set, NUMBERED);
        pthread_sigmask(SIG_UNBLOCK, &set, NULL);
        while (!stopping()) {
                const char *wrong = spin_check(s, 300);

                if (wrong)
                        target_fail(self, "%s has changed", wrong);
                pthread_sigmask(SIG_SETMASK, NULL, &mask);
                if (sigismember(&mask, NUMBERED) || !sigismember(&mask, TICK))
                        target_fail(self, "the signal mask has changed");
        }
        free(s);
        return NULL;
}

static uint32_t ball;

/* Two of these play with one word. */
static void *futex_thread(void *data)
{
        uint32_t mine = data != NULL;

        while (!stopping()) {
                long r = syscall(SYS_futex, &ball, FUTEX_WAIT_PRIVATE, !mine, NULL, NULL, 0);

                if (r < 0 && errno != EAGAIN)
                        expect(r, 0, "futex wait");
                if (__atomic_load_n(&ball, __ATOMIC_ACQUIRE) != mine)
                        continue;
                __atomic_store_n(&ball, !mine, __ATOMIC_RELEASE);
                if (syscall(SYS_futex, &ball, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) < 0)
                        expect(-1, 0, "futex wake");
                expect_mask();
        }
        __atomic_store_n(&ball, 2, __ATOMIC_RELEASE); /* nobody waits for that */
        syscall(SYS_futex, &ball, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
        return NULL;
}

static int pipes[2][2];

/* Two of these send numbers around; the first begins. */
static void *pipe_thread(void *data)
{
        bool first = data != NULL;
        uint64_t n = 0, got;

        if (first)
                expect(write(pipes[0][1], &n, sizeof(n)), sizeof(n), "first write");
        for (;;) {
                ssize_t r = read(pipes[first][0], &got, sizeof(got));

                if (r == 0)
                        break; /* the other one has seen the end */
                expect(r, sizeof(got), "read");
                n += 1;
                if (got != (first ? 2 * n - 1 : 2 * n - 2))
                        target_fail(self, "another number came through the pipe");
                if (stopping())
                        break;
                got++;
                r = write(pipes[!first][1], &got, sizeof(got));
                if (r < 0 && errno == EPIPE)
                        break;
                expect(r, sizeof(got), "write");
                expect_mask();
        }
        close(pipes[!first][1]);
        close(pipes[first][0]);
        return NULL;
}

static void *sleep_thread(void *data)
{
        const struct timespec ts = { .tv_nsec = 200000 };

        while (!stopping()) {
                gint64 begin = g_get_monotonic_time();

                if (expect_timed(syscall(SYS_nanosleep, &ts, NULL), 0, "nanosleep") &&
                    g_get_monotonic_time() - begin < 200)
                        target_fail(self, "nanosleep was short");
                expect_mask();
        }
        return NULL;
}

static void *epoll_thread(void *data)
{
        struct epoll_event event;
        int fd = epoll_create1(EPOLL_CLOEXEC);

        while (!stopping()) {
                expect(epoll_wait(fd, &event, 1, 1), 0, "epoll_wait");
                expect_mask();
        }
        close(fd);
        return NULL;
}

/* As many ticks as there was time for, no more and no fewer. */
static void *tick_thread(void *data)
{
        const struct timespec limit = { .tv_sec = 10 };
        struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = TICK };
        struct itimerspec interval = { { 0, TICK_USEC * 1000 }, { 0, TICK_USEC * 1000 } };
        gint64 begin, begun;
        int64_t n_ticks = 0;
        sigset_t set;
        timer_t timer;

        event._sigev_un._tid = gettid();
        sigemptyset(&set);
        sigaddset(&set, TICK);
        expect(timer_create(CLOCK_MONOTONIC, &event, &timer), 0, "timer_create");
        begin = g_get_monotonic_time();
        expect(timer_settime(timer, 0, &interval, NULL), 0, "timer_settime");
        begun = g_get_monotonic_time();
        while (!stopping()) {
                int64_t at_least = (g_get_monotonic_time() - begun) / TICK_USEC - 1, at_most;
                siginfo_t info;

                expect(sigtimedwait(&set, &info, &limit), TICK, "sigtimedwait");
                n_ticks += 1 + info.si_overrun;
                at_most = (g_get_monotonic_time() - begin) / TICK_USEC + 1;
                if (n_ticks < at_least || n_ticks > at_most)
                        target_fail(self,
                                    "%" G_GINT64_FORMAT " ticks, not %" G_GINT64_FORMAT
                                    " ... %" G_GINT64_FORMAT,
                                    n_ticks, at_least, at_most);
                expect_mask();
        }
        timer_delete(timer);
        return NULL;
}

static void busy_body(struct target *t)
{
        static const struct {
                void *(*run)(void *data);
                void *data;
        } plan[] = {
                { spin_thread, NULL },
                { spin_thread, NULL },
                { futex_thread, NULL },
                { futex_thread, &ball },
                { pipe_thread, NULL },
                { pipe_thread, &ball },
                { sleep_thread, NULL },
                { epoll_thread, NULL },
                { tick_thread, NULL },
        };
        struct sigaction action = { .sa_sigaction = take_number, .sa_flags = SA_SIGINFO | SA_RESTART };
        pthread_t threads[G_N_ELEMENTS(plan)];
        sigset_t set;

        self = t;
        signal(SIGPIPE, SIG_IGN);
        sigemptyset(&set);
        sigaddset(&set, NUMBERED);
        sigaddset(&set, TICK);
        sigprocmask(SIG_SETMASK, &set, NULL);
        sigaction(NUMBERED, &action, NULL);
        expect(pipe(pipes[0]), 0, "pipe");
        expect(pipe(pipes[1]), 0, "pipe");
        for (size_t i = 0; i < G_N_ELEMENTS(plan); i++)
                expect(pthread_create(&threads[i], NULL, plan[i].run, plan[i].data), 0, "pthread_create");
        target_ready(t);
        for (size_t i = 0; i < G_N_ELEMENTS(plan); i++)
                expect(pthread_join(threads[i], NULL), 0, "pthread_join");
}

static void send_numbers(struct target *t)
{
        union sigval value;

        for (uint64_t n = 0; n < NUMBERS_MAX && __atomic_load_n(&t->shared->stop, __ATOMIC_RELAXED) == 0;
             n++) {
                value.sival_ptr = (void *) (uintptr_t) n;
                while (sigqueue(t->pid, NUMBERED, value) < 0) {
                        if (errno != EAGAIN)
                                target_fail(t, "sigqueue: errno %d", errno);
                        g_usleep(50); /* the queue is full */
                }
                __atomic_add_fetch(&numbers->sent, 1, __ATOMIC_RELEASE);
                if (n % 16 == 0)
                        g_usleep(200);
        }
}

void busy_start(struct target *t, bool killed)
{
        numbers = mmap(NULL, sizeof(*numbers), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        g_assert_true(numbers != MAP_FAILED);
        target_start(t, busy_body, NULL);
        t->shared->broken = killed;

        sender = fork();
        g_assert_cmpint(sender, >=, 0);
        if (sender == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                self = t;
                send_numbers(t);
                _exit(EXIT_SUCCESS);
        }
}

void busy_finish(struct target *t)
{
        gint64 end = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
        int status;

        __atomic_store_n(&t->shared->stop, STOP_SENDING, __ATOMIC_RELAXED);
        g_assert_cmpint(waitpid(sender, &status, 0), ==, sender);
        g_assert_cmpint(status, ==, 0);
        while (__atomic_load_n(&numbers->received, __ATOMIC_ACQUIRE) < numbers->sent) {
                target_expect_well(t);
                g_assert_cmpint(g_get_monotonic_time(), <, end);
                g_usleep(1000);
        }
        __atomic_store_n(&t->shared->stop, STOP_ALL, __ATOMIC_RELAXED);
        status = target_wait(t);
        g_assert_cmpstr(t->shared->failure, ==, "");
        g_assert_cmpint(status, ==, 0);
        g_test_message("%" G_GUINT64_FORMAT " signals", numbers->sent);
        g_assert_cmpuint(numbers->sent, >, 0);
        g_assert_cmpuint(numbers->received, ==, numbers->sent);
        munmap(numbers, sizeof(*numbers));
}
