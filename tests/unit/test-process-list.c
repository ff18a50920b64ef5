/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/prctl.h>

#include "daemon/process-list.h"
#include "test-util.h"

#define CHILDREN 70U /* more than two slices of a pass */

struct pass {
        sd_event *event;
        struct process_list *list;
        pid_t children[CHILDREN];
        unsigned n_seen[CHILDREN];
        unsigned n_processes, n_self;
        unsigned stop_at; /* ends the pass after so many processes */
        bool take;        /* takes the directory of each over */
        int *fds;
        int error; /* 1: not done yet */
};

static int on_process(void *userdata, struct mm_process *p, const char *unit)
{
        struct pass *pass = userdata;

        pass->n_processes++;
        g_assert_cmpint(p->dir_fd, >=, 0);
        g_assert_cmpint(p->pid_fd, >=, 0);
        g_assert_cmpint(pass->error, ==, 1);
        pass->n_self += p->pid == getpid();
        for (size_t i = 0; i < CHILDREN; i++) {
                if (p->pid != pass->children[i])
                        continue;
                pass->n_seen[i]++;
                g_assert_cmpint(p->parent, ==, getpid());
                g_assert_cmpstr(p->comm, ==, "listed");
                if (pass->take)
                        pass->fds[i] = TAKE_FD(p->dir_fd);
        }
        return pass->stop_at > 0 && pass->n_processes >= pass->stop_at ? -E2BIG : 0;
}

static void on_done(void *userdata, int error)
{
        struct pass *pass = userdata;

        g_assert_cmpint(pass->error, ==, 1);
        pass->error = error;
        pass->list = NULL;
}

static void start(struct pass *pass, int proc_fd)
{
        pass->error = 1;
        pass->n_processes = pass->n_self = 0;
        memset(pass->n_seen, 0, sizeof(pass->n_seen));
        g_assert_cmpint(process_list_new(pass->event, proc_fd, on_process, on_done, pass, &pass->list), ==,
                        0);
        /* Callbacks come from the event loop. */
        g_assert_cmpuint(pass->n_processes, ==, 0);
}

/* Turns of the loop until nothing is to do. */
static unsigned run(struct pass *pass)
{
        unsigned n = 0;

        while (sd_event_run(pass->event, 0) > 0)
                n++;
        return n;
}

static void name_it(void *userdata)
{
        g_assert_cmpint(prctl(PR_SET_NAME, "listed"), ==, 0);
}

static void set_up(struct pass *pass, const void *data)
{
        g_assert_cmpint(sd_event_new(&pass->event), ==, 0);
        for (size_t i = 0; i < CHILDREN; i++)
                pass->children[i] = child_start(name_it, NULL);
}

static void tear_down(struct pass *pass, const void *data)
{
        for (size_t i = 0; i < CHILDREN; i++)
                child_kill(pass->children[i]);
        sd_event_unref(pass->event);
}

static void test_pass(struct pass *pass, const void *data)
{
        _cleanup_(closep) int proc_fd = tree_open("/proc");

        start(pass, proc_fd);
        /* In slices, between which others have their turn. */
        g_assert_cmpuint(run(pass), >, CHILDREN / 32);
        g_assert_cmpint(pass->error, ==, 0);
        g_assert_cmpuint(pass->n_self, ==, 1);
        for (size_t i = 0; i < CHILDREN; i++)
                g_assert_cmpuint(pass->n_seen[i], ==, 1);
}

static int on_between(sd_event_source *source, void *userdata)
{
        (*(unsigned *) userdata)++;
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* A pass and whatever else there is to do take turns: neither keeps the other waiting. */
static void test_turns(struct pass *pass, const void *data)
{
        _cleanup_(closep) int proc_fd = tree_open("/proc");
        sd_event_source *source = NULL;
        unsigned n_between = 0, n_turns = 0;

        start(pass, proc_fd);
        g_assert_cmpint(sd_event_add_defer(pass->event, &source, on_between, &n_between), ==, 0);
        for (; pass->list; n_turns++)
                g_assert_cmpint(sd_event_run(pass->event, 0), >, 0);
        g_assert_cmpuint(n_between, >=, n_turns / 3);
        g_assert_cmpuint(n_between, <=, n_turns * 2 / 3 + 1);
        sd_event_source_disable_unref(source);
        g_assert_cmpint(pass->error, ==, 0);
}

/* What the callback takes stays open, all else is closed. */
static void test_take(struct pass *pass, const void *data)
{
        _cleanup_(closep) int proc_fd = tree_open("/proc");
        int fds[CHILDREN];

        pass->take = true;
        pass->fds = fds;
        start(pass, proc_fd);
        run(pass);
        for (size_t i = 0; i < CHILDREN; i++) {
                g_assert_cmpuint(pass->n_seen[i], ==, 1);
                g_assert_cmpint(faccessat(fds[i], "stat", F_OK, 0), ==, 0);
                safe_close(fds[i]);
        }
}

static void test_stopped(struct pass *pass, const void *data)
{
        _cleanup_(closep) int proc_fd = tree_open("/proc");

        pass->stop_at = 40;
        start(pass, proc_fd);
        run(pass);
        g_assert_cmpint(pass->error, ==, -E2BIG);
        g_assert_cmpuint(pass->n_processes, ==, 40);
}

/* Freed in the middle: no callback follows. */
static void test_free(struct pass *pass, const void *data)
{
        _cleanup_(closep) int proc_fd = tree_open("/proc");
        unsigned n;

        start(pass, proc_fd);
        pass->list = process_list_free(pass->list);
        g_assert_cmpuint(run(pass), ==, 0);
        g_assert_cmpuint(pass->n_processes, ==, 0);

        start(pass, proc_fd);
        g_assert_cmpint(sd_event_run(pass->event, 0), >, 0);
        n = pass->n_processes;
        g_assert_cmpuint(n, <, CHILDREN);
        pass->list = process_list_free(pass->list);
        g_assert_null(pass->list);
        g_assert_cmpuint(run(pass), ==, 0);
        g_assert_cmpuint(pass->n_processes, ==, n);
        g_assert_cmpint(pass->error, ==, 1);
        g_assert_null(process_list_free(NULL));
}

/* Files of our own for the numbers of our children: units come from cgroups, and what is no process
 * does not end the pass. */
static int on_captured(void *userdata, struct mm_process *p, const char *unit)
{
        struct pass *pass = userdata;

        for (size_t i = 0; i < CHILDREN; i++) {
                static const char *const units[] = { "a.service", "session-1.scope", NULL };

                if (p->pid != pass->children[i])
                        continue;
                pass->n_seen[i]++;
                g_assert_cmpuint(i, <, ELEMENTSOF(units));
                g_assert_cmpstr(unit, ==, units[i]);
        }
        pass->n_processes++;
        return 0;
}

static void add_captured(const char *tree, pid_t pid, const char *stat, const char *cgroup)
{
        g_autofree char *stat_path = g_strdup_printf("%d/stat", pid),
                        *status_path = g_strdup_printf("%d/status", pid),
                        *cgroup_path = g_strdup_printf("%d/cgroup", pid);

        tree_write(tree, stat_path, stat);
        tree_write(tree, status_path,
                   "Name:\tx\nTracerPid:\t0\nUid:\t1\t1\t1\t1\nThreads:\t1\nCapPrm:\t0\nCapEff:\t0\n"
                   "Seccomp:\t0\n");
        tree_write(tree, cgroup_path, cgroup);
}

static void test_units(struct pass *pass, const void *data)
{
        /* As many numbers as there are. */
        static const char stat[] =
                "1 (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 77 0 0 0 0 0 0 0 0 0 0 0 0 0 "
                "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
        char *tree = tree_new();
        int fd = tree_open(tree);

        add_captured(tree, pass->children[0], stat, "0::/system.slice/a.service\n");
        add_captured(tree, pass->children[1], stat, "0::/user.slice/user-0.slice/session-1.scope\n");
        add_captured(tree, pass->children[2], stat, "0::/a/b\n");
        add_captured(tree, pass->children[3], "malformed\n", "0::/a/b\n");
        add_captured(tree, INT32_MAX, stat, "0::/a/b\n"); /* beyond what the kernel gives */
        tree_write(tree, "self/stat", stat);
        tree_write(tree, "meminfo", "");

        pass->error = 1;
        g_assert_cmpint(process_list_new(pass->event, fd, on_captured, on_done, pass, &pass->list), ==, 0);
        run(pass);
        g_assert_cmpint(pass->error, ==, 0);
        g_assert_cmpuint(pass->n_processes, ==, 3);
        for (size_t i = 0; i < CHILDREN; i++)
                g_assert_cmpuint(pass->n_seen[i], ==, i < 3);

        safe_close(fd);
        tree_free(tree);
}

static void add_test(const char *name, void (*test)(struct pass *pass, const void *data))
{
        g_test_add(name, struct pass, NULL, set_up, test, tear_down);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        add_test("/process-list/pass", test_pass);
        add_test("/process-list/turns", test_turns);
        add_test("/process-list/take", test_take);
        add_test("/process-list/stopped", test_stopped);
        add_test("/process-list/free", test_free);
        add_test("/process-list/units", test_units);
        return g_test_run();
}
