/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The life of the worker, and the queue of calls in front of it. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "worker-calls.h"

#define END_MSEC 30000

static void set_up(struct worker_calls *c, const void *data)
{
        worker_calls_open(c);
}

static void tear_down(struct worker_calls *c, const void *data)
{
        worker_calls_close(c);
}

static void check_resolves(struct worker_calls *c)
{
        _cleanup_(outcome_done) struct outcome o = {};
        union worker_packet p;

        packet_resolve(&p, WORKER_RESOLVE_USER, "root");
        g_assert_cmpint(call(c, &p, -1, &o), ==, 0);
        g_assert_cmpuint(o.rows->len, ==, 1);
        g_assert_cmpuint(outcome_row(&o, WORKER_ROW_RESOLVED)->resolved.uid, ==, 0);
}

/* The kernel counts the time of a process that runs on when a tick comes, or when it sleeps. */
static void check_takes_time(const struct worker_calls *c)
{
        gint64 until = g_get_monotonic_time() + END_MSEC * 1000;

        while (worker_cpu_nsec(c->worker) == 0) {
                g_assert_cmpint(g_get_monotonic_time(), <, until);
                g_usleep(1000);
        }
}

static void test_start(struct worker_calls *c, const void *data)
{
        pid_t pid = worker_pid(c->worker);
        g_autofree char *path = g_strdup_printf("/proc/%d/comm", pid), *comm = NULL;

        g_assert_cmpint(pid, >, 0);
        g_assert_cmpuint(worker_generation(c->worker), ==, 1);
        check_resolves(c);
        g_assert_cmpint(worker_pid(c->worker), ==, pid);
        g_assert_cmpuint(worker_generation(c->worker), ==, 1);
        check_takes_time(c);

        g_assert_true(g_file_get_contents(path, &comm, NULL, NULL));
        g_assert_cmpstr(comm, ==, "mergemem-worker\n");

        c->worker = worker_free(c->worker);
        g_assert_cmpint(kill(pid, 0), ==, -1);
        g_assert_cmpint(errno, ==, ESRCH);
}

static unsigned count_open(pid_t pid, const char *path)
{
        g_autofree char *fds = g_strdup_printf("/proc/%d/fd", pid);
        g_autoptr(GDir) dir = g_dir_open(fds, 0, NULL);
        const char *name;
        unsigned n = 0;

        g_assert_nonnull(dir);
        while ((name = g_dir_read_name(dir))) {
                g_autofree char *link = g_build_filename(fds, name, NULL);
                g_autofree char *target = g_file_read_link(link, NULL);

                n += g_strcmp0(target, path) == 0;
        }
        return n;
}

/* The worker has what it needs, and nothing else that the service has open. */
static void test_descriptors(struct worker_calls *c, const void *data)
{
        g_autofree char *path = g_build_filename(c->tree, "secret", NULL);
        _cleanup_(closep) int fd = -EBADF;
        int high;

        tree_write(c->tree, "secret", "");
        fd = open(path, O_RDONLY);
        g_assert_cmpint(fd, >=, 0);
        high = fcntl(fd, F_DUPFD, 200);
        g_assert_cmpint(high, >=, 200);
        g_assert_cmpuint(count_open(getpid(), path), ==, 2);

        worker_free(c->worker);
        g_assert_cmpint(worker_new(c->event, c->proc_fd, c->state_fd, -EBADF, &c->worker), ==, 0);
        check_resolves(c);
        g_assert_cmpuint(count_open(worker_pid(c->worker), path), ==, 0);
        g_assert_cmpuint(count_open(worker_pid(c->worker), c->tree), ==, 1);
        g_assert_cmpuint(count_open(worker_pid(c->worker), "/proc"), ==, 1);
        safe_close(high);
}

static void test_resolve(struct worker_calls *c, const void *data)
{
        static const struct {
                enum worker_resolve_kind kind;
                const char *text;
                int error;
                uid_t uid;
        } cases[] = {
                { WORKER_RESOLVE_USER, "root", 0, 0 },
                { WORKER_RESOLVE_USER, "123456789", 0, 123456789 },
                { WORKER_RESOLVE_USER, "no such user", -ESRCH, 0 },
                { WORKER_RESOLVE_USER, "-1", -ESRCH, 0 },
                { WORKER_RESOLVE_USER, "4294967295", -ESRCH, 0 }, /* (uid_t) -1 means no user */
                { WORKER_RESOLVE_USER, "4294967294", 0, 4294967294U },
                { WORKER_RESOLVE_PATH, "/nowhere/at/all", -ENOENT, 0 },
        };
        _cleanup_(outcome_done) struct outcome o = {};
        union worker_packet p;
        struct stat st;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                packet_resolve(&p, cases[i].kind, cases[i].text);
                g_assert_cmpint(call(c, &p, -1, &o), ==, 0);
                g_assert_cmpuint(o.rows->len, ==, 1);
                g_assert_cmpint(outcome_row(&o, WORKER_ROW_RESOLVED)->resolved.error, ==, cases[i].error);
                g_assert_cmpuint(outcome_row(&o, WORKER_ROW_RESOLVED)->resolved.uid, ==, cases[i].uid);
        }

        /* Through a symlink. */
        packet_resolve(&p, WORKER_RESOLVE_PATH, "/proc/self/exe");
        g_assert_cmpint(stat("/proc/self/exe", &st), ==, 0);
        g_assert_cmpint(call(c, &p, -1, &o), ==, 0);
        g_assert_cmpuint(outcome_row(&o, WORKER_ROW_RESOLVED)->resolved.file.dev, ==, st.st_dev);
        g_assert_cmpuint(outcome_row(&o, WORKER_ROW_RESOLVED)->resolved.file.ino, ==, st.st_ino);
}

/* What is no call is refused, and the worker goes on. */
static void test_bad_calls(struct worker_calls *c, const void *data)
{
        union worker_packet p;

        for (uint32_t type = WORKER_CALL_MAX_; type < 200; type += 33) {
                worker_packet_init(&p, type, sizeof(p.target));
                g_assert_cmpint(call(c, &p, -1, NULL), ==, -EBADMSG);
        }
        /* No round has begun. */
        worker_packet_init(&p, WORKER_SCAN, sizeof(p.target));
        g_assert_cmpint(call(c, &p, c->proc_fd, NULL), ==, -EINVAL);
        worker_packet_init(&p, WORKER_GROUP, sizeof(p.header));
        g_assert_cmpint(call(c, &p, -1, NULL), ==, -EINVAL);
        worker_packet_init(&p, WORKER_PLAN, sizeof(p.plan));
        g_assert_cmpint(call(c, &p, -1, NULL), ==, -EINVAL);
        worker_packet_init(&p, WORKER_MEASURE, sizeof(p.header));
        g_assert_cmpint(call(c, &p, -1, NULL), ==, -EINVAL);
        /* Ranges that are not there. */
        worker_packet_init(&p, WORKER_REGISTER, sizeof(p.ranges));
        p.ranges.n = 1;
        g_assert_cmpint(call(c, &p, c->proc_fd, NULL), ==, -EBADMSG);
        worker_packet_init(&p, WORKER_COUNT, sizeof(p.ranges));
        p.ranges.n = WORKER_RANGES_MAX + 1;
        g_assert_cmpint(call(c, &p, c->proc_fd, NULL), ==, -EBADMSG);
        /* There is no KSM to drive. */
        worker_packet_init(&p, WORKER_KSM_START, sizeof(p.ksm));
        g_assert_cmpint(call(c, &p, -1, NULL), ==, -ENOENT);
        worker_packet_init(&p, WORKER_KSM_STOP, sizeof(p.header));
        g_assert_cmpint(call(c, &p, -1, NULL), ==, 0);

        g_assert_cmpuint(worker_generation(c->worker), ==, 1);
        check_resolves(c);
}

static void test_queue(struct worker_calls *c, const void *data)
{
        struct outcome o[50] = {};
        union worker_packet p;
        unsigned order = 0;

        for (size_t i = 0; i < ELEMENTSOF(o); i++) {
                g_autofree char *uid = g_strdup_printf("%zu", 100000 + i);

                packet_resolve(&p, WORKER_RESOLVE_USER, uid);
                o[i].order = &order;
                call_start(c, &p, -1, &o[i]);
        }
        call_wait(c, &o[ELEMENTSOF(o) - 1]);
        for (size_t i = 0; i < ELEMENTSOF(o); i++) {
                g_assert_cmpuint(o[i].n_ends, ==, 1);
                g_assert_cmpuint(o[i].place, ==, i);
                g_assert_cmpint(o[i].error, ==, 0);
                g_assert_cmpuint(o[i].rows->len, ==, 1);
                g_assert_cmpuint(outcome_row(&o[i], WORKER_ROW_RESOLVED)->resolved.uid, ==, 100000 + i);
                outcome_done(&o[i]);
        }
}

struct chain {
        struct worker_calls *calls;
        unsigned left;
};

static void on_link(void *userdata, int error)
{
        struct chain *chain = userdata;
        union worker_packet p;

        g_assert_cmpint(error, ==, 0);
        if (--chain->left == 0)
                return;
        packet_resolve(&p, WORKER_RESOLVE_USER, "root");
        g_assert_cmpint(worker_call(chain->calls->worker, &p, -1, NULL, on_link, chain), ==, 0);
}

/* The end of a call may begin the next. */
static void test_chain(struct worker_calls *c, const void *data)
{
        struct chain chain = { .calls = c, .left = 21 };
        gint64 until = g_get_monotonic_time() + END_MSEC * 1000;

        on_link(&chain, 0);
        while (chain.left > 0 && g_get_monotonic_time() < until)
                g_assert_cmpint(sd_event_run(c->event, 1000), >=, 0);
        g_assert_cmpuint(chain.left, ==, 0);
}

static void test_forget(struct worker_calls *c, const void *data)
{
        struct outcome running = {}, waiting = {}, last = {};
        union worker_packet p;

        /* So that the first one runs for as long as we like. */
        g_assert_cmpint(kill(worker_pid(c->worker), SIGSTOP), ==, 0);
        packet_resolve(&p, WORKER_RESOLVE_USER, "root");
        call_start(c, &p, -1, &running);
        call_start(c, &p, c->proc_fd, &waiting);
        call_start(c, &p, -1, &last);
        worker_forget(c->worker, &waiting);
        worker_forget(c->worker, &running);
        worker_forget(c->worker, c); /* has none */
        g_assert_cmpint(kill(worker_pid(c->worker), SIGCONT), ==, 0);
        call_wait(c, &last);
        g_assert_cmpint(last.error, ==, 0);
        g_assert_cmpuint(last.rows->len, ==, 1);
        check_resolves(c);
        g_assert_cmpuint(worker_generation(c->worker), ==, 1);
        g_assert_cmpuint(running.n_ends + running.rows->len, ==, 0);
        g_assert_cmpuint(waiting.n_ends + waiting.rows->len, ==, 0);
        outcome_done(&running);
        outcome_done(&waiting);
        outcome_done(&last);
}

static void test_killed(struct worker_calls *c, const void *data)
{
        struct outcome running = {}, waiting = {};
        pid_t pid = worker_pid(c->worker);
        union worker_packet p;

        check_resolves(c);
        g_assert_cmpint(kill(pid, SIGSTOP), ==, 0);
        packet_resolve(&p, WORKER_RESOLVE_USER, "root");
        call_start(c, &p, -1, &running);
        call_start(c, &p, -1, &waiting);
        g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
        call_wait(c, &running);
        g_assert_cmpint(running.error, ==, -EPIPE);
        g_assert_cmpuint(running.rows->len, ==, 0);
        g_assert_cmpuint(worker_generation(c->worker), ==, 2);
        g_assert_cmpint(worker_pid(c->worker), !=, pid);
        /* What had not begun is done by its successor. */
        call_wait(c, &waiting);
        g_assert_cmpint(waiting.error, ==, 0);
        g_assert_cmpuint(waiting.rows->len, ==, 1);
        check_takes_time(c);
        outcome_done(&running);
        outcome_done(&waiting);

        /* While it had nothing to do, or something that nobody waits for any more. */
        g_assert_cmpint(kill(worker_pid(c->worker), SIGKILL), ==, 0);
        while (worker_generation(c->worker) == 2)
                g_assert_cmpint(sd_event_run(c->event, END_MSEC * 1000U), >, 0);
        check_resolves(c);
        g_assert_cmpint(kill(worker_pid(c->worker), SIGSTOP), ==, 0);
        call_start(c, &p, -1, &running);
        worker_forget(c->worker, &running);
        g_assert_cmpint(kill(worker_pid(c->worker), SIGKILL), ==, 0);
        check_resolves(c);
        g_assert_cmpuint(worker_generation(c->worker), ==, 4);
        g_assert_cmpuint(running.n_ends, ==, 0);
        outcome_done(&running);
}

/* One that a page on a dead file system holds looks like this. */
static void test_silent(struct worker_calls *c, const void *data)
{
        struct outcome running = {}, waiting = {};
        pid_t pid = worker_pid(c->worker);
        gint64 began, took;
        union worker_packet p;

        check_resolves(c);
        /* That nothing is said while nothing is asked does no harm. */
        g_assert_cmpint(sd_event_run(c->event, 100000), ==, 0);

        g_assert_cmpint(kill(pid, SIGSTOP), ==, 0);
        began = g_get_monotonic_time();
        packet_resolve(&p, WORKER_RESOLVE_USER, "root");
        call_start(c, &p, -1, &running);
        call_start(c, &p, -1, &waiting);
        call_wait(c, &running);
        took = g_get_monotonic_time() - began;
        g_assert_cmpint(running.error, ==, -ETIMEDOUT);
        g_assert_cmpint(took, >=, WORKER_SILENCE_USEC);
        g_assert_cmpint(took, <, 5 * WORKER_SILENCE_USEC);
        g_assert_cmpuint(worker_generation(c->worker), ==, 2);
        g_assert_cmpint(worker_pid(c->worker), !=, pid);
        call_wait(c, &waiting);
        g_assert_cmpint(waiting.error, ==, 0);
        g_assert_cmpuint(waiting.rows->len, ==, 1);
        outcome_done(&running);
        outcome_done(&waiting);

        /* The old one is gone, and was waited for. */
        for (unsigned i = 0; kill(pid, 0) == 0 && i < 1000; i++)
                g_assert_cmpint(sd_event_run(c->event, 10000), >=, 0);
        g_assert_cmpint(kill(pid, 0), ==, -1);
        check_resolves(c);
}

/* A service that cannot have a worker any more ends, instead of waiting for ever. */
static void test_no_successor(struct worker_calls *c, const void *data)
{
        struct outcome running = {};
        struct rlimit before, none;
        union worker_packet p;
        int r;

        check_resolves(c);
        g_assert_cmpint(kill(worker_pid(c->worker), SIGSTOP), ==, 0);
        packet_resolve(&p, WORKER_RESOLVE_USER, "root");
        call_start(c, &p, -1, &running);
        g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &before), ==, 0);
        none = (struct rlimit) { .rlim_cur = 0, .rlim_max = before.rlim_max };
        g_assert_cmpint(kill(worker_pid(c->worker), SIGKILL), ==, 0);
        g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &none), ==, 0);
        r = sd_event_loop(c->event);
        g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &before), ==, 0);
        g_assert_cmpint(r, ==, -EMFILE);
        outcome_done(&running);
}

/* The worker does not outlive a service that was killed. */
static void test_orphan(void)
{
        struct pollfd end = { .events = POLLIN };
        pid_t service, worker;
        int fds[2];

        g_assert_cmpint(prctl(PR_SET_CHILD_SUBREAPER, 1UL, 0UL, 0UL, 0UL), ==, 0);
        g_assert_cmpint(pipe2(fds, O_CLOEXEC), ==, 0);
        service = fork();
        g_assert_cmpint(service, >=, 0);
        if (service == 0) {
                struct worker_calls c;
                pid_t pid;

                worker_calls_open(&c);
                check_resolves(&c);
                tree_free(c.tree);
                pid = worker_pid(c.worker);
                if (write(fds[1], &pid, sizeof(pid)) != sizeof(pid))
                        _exit(1);
                for (;;)
                        pause();
        }
        safe_close(fds[1]);
        g_assert_cmpint(read(fds[0], &worker, sizeof(worker)), ==, sizeof(worker));
        safe_close(fds[0]);
        end.fd = (int) syscall(SYS_pidfd_open, worker, 0U);
        g_assert_cmpint(end.fd, >=, 0);
        g_assert_cmpint(poll(&end, 1, 100), ==, 0);
        child_kill(service);
        g_assert_cmpint(poll(&end, 1, END_MSEC), ==, 1);
        safe_close(end.fd);
        g_assert_cmpint(waitpid(worker, NULL, 0), ==, worker);
}

static void add_test(const char *name, void (*test)(struct worker_calls *c, const void *data))
{
        g_test_add(name, struct worker_calls, NULL, set_up, test, tear_down);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        add_test("/worker/start", test_start);
        add_test("/worker/descriptors", test_descriptors);
        add_test("/worker/resolve", test_resolve);
        add_test("/worker/bad-calls", test_bad_calls);
        add_test("/worker/queue", test_queue);
        add_test("/worker/chain", test_chain);
        add_test("/worker/forget", test_forget);
        add_test("/worker/killed", test_killed);
        add_test("/worker/silent", test_silent);
        add_test("/worker/no-successor", test_no_successor);
        g_test_add_func("/worker/orphan", test_orphan);
        return g_test_run();
}
