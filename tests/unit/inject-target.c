/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "inject-spin.h"
#include "inject-target.h"

#define PATIENCE_USEC (20 * G_USEC_PER_SEC)

#define BITS(from, to) (((UINT64_C(1) << ((to) - (from))) - 1) << (from))

static struct target_shared *own; /* the child's, for its handlers */

static void *map(size_t size, int flags)
{
        void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

        g_assert_true(p != MAP_FAILED);
        return p;
}

void target_start(struct target *t, void (*body)(struct target *t), const void *data)
{
        _cleanup_(closep) int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        gint64 end = g_get_monotonic_time() + PATIENCE_USEC;

        g_assert_cmpint(proc_fd, >=, 0);
        *t = (struct target) { .data = data };
        t->shared = map(sizeof(*t->shared), MAP_SHARED);
        /* Apart from its neighbours, so that the kernel cannot join it with one of them. */
        t->pages = map((TARGET_PAGES + 2) * TARGET_PAGE, MAP_PRIVATE);
        g_assert_cmpint(mprotect(t->pages, TARGET_PAGE, PROT_NONE), ==, 0);
        g_assert_cmpint(mprotect(t->pages + (TARGET_PAGES + 1) * TARGET_PAGE, TARGET_PAGE, PROT_NONE), ==,
                        0);
        t->pages += TARGET_PAGE;
        g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, t->wake), ==, 0);

        t->pid = fork();
        g_assert_cmpint(t->pid, >=, 0);
        if (t->pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                own = t->shared;
                safe_close(t->wake[0]); /* so that whoever waits at the other end sees the test end */
                for (uint64_t i = 0; i < TARGET_PAGES; i++)
                        memset(t->pages + i * TARGET_PAGE, (int) i + 1, TARGET_PAGE);
                body(t);
                _exit(EXIT_SUCCESS);
        }

        while (!__atomic_load_n(&t->shared->ready, __ATOMIC_ACQUIRE)) {
                target_expect_well(t);
                g_assert_cmpint(g_get_monotonic_time(), <, end);
                g_usleep(500);
        }
        g_assert_cmpint(mm_process_open(proc_fd, t->pid, true, &t->process), ==, 0);
}

int target_wait(struct target *t)
{
        int status;

        g_assert_cmpint(waitpid(t->pid, &status, 0), ==, t->pid);
        t->pid = 0; /* somebody else's from now on */
        return status;
}

void target_end(struct target *t)
{
        if (t->pid > 0) {
                kill(t->pid, SIGKILL);
                (void) target_wait(t);
        }
        mm_process_done(&t->process);
        munmap(t->shared, sizeof(*t->shared));
        munmap(t->pages - TARGET_PAGE, (TARGET_PAGES + 2) * TARGET_PAGE);
        safe_close(t->wake[0]);
        safe_close(t->wake[1]);
}

void target_ready(struct target *t)
{
        __atomic_store_n(&t->shared->ready, 1, __ATOMIC_RELEASE);
}

void target_fail(struct target *t, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        vsnprintf(t->shared->failure, sizeof(t->shared->failure), format, args);
        va_end(args);
        _exit(EXIT_FAILURE);
}

static void count_signal(int signal)
{
        __atomic_add_fetch(&own->n_signals[signal], 1, __ATOMIC_RELAXED);
}

void target_handle(int signal, int flags)
{
        struct sigaction action = { .sa_handler = count_signal, .sa_flags = flags };

        sigaction(signal, &action, NULL);
}

static char *read_proc(const struct target *t, const char *name)
{
        g_autofree char *path = g_strdup_printf("/proc/%d/%s", t->pid, name);
        g_autoptr(GError) error = NULL;
        char *text = NULL;

        (void) g_file_get_contents(path, &text, NULL, &error);
        g_assert_no_error(error);
        return text;
}

char target_state(const struct target *t)
{
        g_autofree char *stat = read_proc(t, "stat");

        return strrchr(stat, ')')[2];
}

int64_t target_call(const struct target *t)
{
        g_autofree char *text = read_proc(t, "syscall");

        return g_ascii_isdigit(*text) ? g_ascii_strtoll(text, NULL, 10) : -1;
}

uint64_t target_stack_pointer(const struct target *t)
{
        g_autofree char *text = read_proc(t, "syscall");
        g_auto(GStrv) words = g_strsplit(text, " ", -1);
        guint n = g_strv_length(words);

        g_assert_cmpuint(n, >=, 3);
        return g_ascii_strtoull(words[n - 2], NULL, 16);
}

void target_expect_well(const struct target *t)
{
        siginfo_t info = { 0 };

        g_assert_cmpint(waitid(P_PID, (id_t) t->pid, &info, WEXITED | WNOHANG | WNOWAIT), ==, 0);
        g_assert_cmpstr(t->shared->failure, ==, "");
        if (info.si_pid != 0)
                g_error("the target has ended, code %d, status %d", info.si_code, info.si_status);
}

void target_wait_for_call(const struct target *t, int64_t nr)
{
        gint64 end = g_get_monotonic_time() + PATIENCE_USEC;
        int64_t at;

        while ((at = target_call(t)) != nr && at != 219 /* restart_syscall */) {
                target_expect_well(t);
                g_assert_cmpint(g_get_monotonic_time(), <, end);
                g_usleep(200);
        }
}

void target_wait_for_rounds(const struct target *t, uint64_t rounds)
{
        gint64 end = g_get_monotonic_time() + PATIENCE_USEC;

        while (__atomic_load_n(&t->shared->rounds, __ATOMIC_ACQUIRE) < rounds) {
                target_expect_well(t);
                g_assert_cmpint(g_get_monotonic_time(), <, end);
                g_usleep(200);
        }
}

uint64_t target_registered(const struct target *t)
{
        g_autofree char *smaps = read_proc(t, "smaps");
        g_auto(GStrv) lines = g_strsplit(smaps, "\n", -1);
        uint64_t first = (uint64_t) (uintptr_t) t->pages, start = 0, end = 0, bits = 0;

        for (char **l = lines; *l; l++) {
                uint64_t a, b;

                if (sscanf(*l, "%" SCNx64 "-%" SCNx64 " ", &a, &b) == 2) {
                        start = a;
                        end = b;
                } else if (g_str_has_prefix(*l, "VmFlags:") && strstr(*l, " mg")) {
                        g_assert_cmphex(start, >=, first);
                        g_assert_cmphex(end, <=, first + TARGET_PAGES * TARGET_PAGE);
                        for (uint64_t p = start; p < end; p += TARGET_PAGE)
                                bits |= UINT64_C(1) << ((p - first) / TARGET_PAGE);
                }
        }
        return bits;
}

enum mm_inject_result target_advise(const struct target *t, int advice, unsigned from, unsigned to)
{
        struct mm_advice a = {
                .start = (uint64_t) (uintptr_t) t->pages + from * TARGET_PAGE,
                .end = (uint64_t) (uintptr_t) t->pages + to * TARGET_PAGE,
                .advice = advice,
        };
        enum mm_inject_result result;

        result = mm_inject_advise(&t->process, &a, 1, 10000, NULL, NULL);
        if (result == MM_INJECT_OK) {
                g_assert_cmpint(a.status, ==, 0);
                g_assert_cmpint(a.done, ==, a.end - a.start);
        }
        return result;
}

void target_advise_and_check(const struct target *t)
{
        target_assert_advise(t, MADV_MERGEABLE, 3, 17, MM_INJECT_OK);
        target_expect_well(t);
        g_assert_cmphex(target_registered(t), ==, BITS(3, 17));
        target_assert_advise(t, MADV_UNMERGEABLE, 5, 17, MM_INJECT_OK);
        g_assert_cmphex(target_registered(t), ==, BITS(3, 5));
        target_assert_advise(t, MADV_UNMERGEABLE, 0, TARGET_PAGES, MM_INJECT_OK);
        g_assert_cmphex(target_registered(t), ==, 0);
}

void target_pause_body(struct target *t)
{
        target_ready(t);
        for (;;)
                pause();
}

void target_wait_body(struct target *t)
{
        const struct wait_case *c = t->data;
        sigset_t mask, now;

        target_handle(SIGUSR1, 0);
        target_handle(SIGUSR2, SA_RESTART);
        sigemptyset(&mask);
        sigaddset(&mask, SIGRTMAX); /* to be recognised */
        if (c->nr != SYS_pause)
                sigaddset(&mask, SIGUSR1); /* comes only when it is waited for */
        sigprocmask(SIG_SETMASK, &mask, NULL);
        target_ready(t);

        for (;;) {
                int64_t r;

                t->shared->begin_usec = g_get_monotonic_time();
                r = c->call(t);
                t->shared->last_usec = g_get_monotonic_time() - t->shared->begin_usec;
                if (r != c->expected && (r != c->expected_broken || !t->shared->broken))
                        target_fail(t, "%s returned %" PRIi64, c->name, r);
                if (r == c->expected && t->shared->last_usec < c->usec)
                        target_fail(t, "%s returned after %" PRIi64 " us", c->name, t->shared->last_usec);
                sigprocmask(SIG_SETMASK, NULL, &now);
                if (memcmp(&now, &mask, 8) != 0)
                        target_fail(t, "%s left another signal mask", c->name);
                __atomic_add_fetch(&t->shared->rounds, 1, __ATOMIC_RELEASE);
        }
}

void target_spin_body(struct target *t)
{
        enum spin_tiles tiles = t->data ? *(const enum spin_tiles *) t->data : SPIN_TILES_NEVER;
        struct spin *s = spin_new((uint64_t) g_get_monotonic_time() | 1, tiles);
        sigset_t mask;
        stack_t stack = { .ss_sp = t->pages, .ss_size = TARGET_PAGES * TARGET_PAGE }, now;
        const char *wrong;

        sigaltstack(&stack, NULL);
        target_ready(t);
        for (;;) {
                wrong = spin_check(s, 2000);
                if (wrong)
                        target_fail(t, "%s has changed", wrong);
                if (sigaltstack(NULL, &now) < 0 || now.ss_sp != stack.ss_sp || now.ss_size != stack.ss_size)
                        target_fail(t, "the alternate stack has changed");
                sigprocmask(SIG_SETMASK, NULL, &mask);
                if (!sigisemptyset(&mask))
                        target_fail(t, "the signal mask has changed");
                __atomic_add_fetch(&t->shared->rounds, 1, __ATOMIC_RELEASE);
        }
}
