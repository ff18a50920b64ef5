/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/layout-caller.h"

#include <fcntl.h>
#include <glib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ctl-fake-bus.h"
#include "test-util.h"

/* What buses say of a connection: older ones a number, newer ones the process itself. */

struct said {
        int64_t uid, pid; /* negative: not */
        int pid_fd;
};

static void append(sd_bus_message *m, const char *key, int64_t value)
{
        if (value >= 0)
                g_assert_cmpint(sd_bus_message_append(m, "{sv}", key, "u", (uint32_t) value), >=, 0);
}

static int read_said(const struct said *said, struct layout_caller *ret)
{
        struct fake_bus f;
        sd_bus_message *m;
        int r;

        fake_bus_open(&f);
        m = fake_bus_message(&f);
        g_assert_cmpint(sd_bus_message_open_container(m, 'a', "{sv}"), >=, 0);
        g_assert_cmpint(sd_bus_message_append(m, "{sv}", "LinuxSecurityLabel", "ay", 2, 'x', 0), >=, 0);
        append(m, "UnixUserID", said->uid);
        append(m, "ProcessID", said->pid);
        if (said->pid_fd >= 0)
                g_assert_cmpint(sd_bus_message_append(m, "{sv}", "ProcessFD", "h", said->pid_fd), >=, 0);
        g_assert_cmpint(sd_bus_message_close_container(m), >=, 0);
        fake_bus_seal(m);
        r = layout_caller_read(m, ret);
        sd_bus_message_unref(m);
        fake_bus_close(&f);
        return r;
}

static void test_read(void)
{
        static const struct said incomplete[] = {
                { -1, 5, -1 }, { 5, -1, -1 }, { -1, -1, -1 }, { 5, 0, -1 }, { 5, UINT32_MAX, -1 },
        };
        int fd = (int) syscall(SYS_pidfd_open, getpid(), 0);
        struct layout_caller c = {};

        for (size_t i = 0; i < G_N_ELEMENTS(incomplete); i++)
                g_assert_cmpint(read_said(&incomplete[i], &c), ==, -ENXIO);
        g_assert_cmpint(read_said(&(struct said){ 33, 1234, -1 }, &c), ==, 0);
        g_assert_cmpuint(c.uid, ==, 33);
        g_assert_cmpint(c.pid, ==, 1234);
        g_assert_cmpint(c.pid_fd, <, 0);
        g_assert_cmpint(read_said(&(struct said){ 0, 1, fd }, &c), ==, 0);
        g_assert_cmpuint(c.uid, ==, 0);
        /* A descriptor that the message does not take along. */
        g_assert_cmpint(fcntl(c.pid_fd, F_GETFD), ==, FD_CLOEXEC);
        close(c.pid_fd);
        g_assert_cmpint(read_said(&(struct said){ -1, 1, fd }, &c), ==, -ENXIO);
        close(fd);
}

static int open_as(uid_t uid, pid_t pid, int pid_fd)
{
        struct mm_process p = MM_PROCESS_NULL;
        int proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

        r = layout_caller_open(proc_fd, &(struct layout_caller){ uid, pid, pid_fd }, &p);
        if (r >= 0)
                g_assert_cmpint(p.pid, ==, pid);
        mm_process_done(&p);
        close(proc_fd);
        return r;
}

/* The number is another's once the process that connected has ended. */
static void test_open(void)
{
        pid_t pid = child_start(NULL, NULL), other = child_start(NULL, NULL);
        int fd = (int) syscall(SYS_pidfd_open, pid, 0);

        g_assert_cmpint(open_as(geteuid(), pid, fd), ==, 0);
        g_assert_cmpint(open_as(geteuid(), pid, -EBADF), ==, 0);
        g_assert_cmpint(open_as(geteuid() + 1, pid, fd), ==, -ESRCH);
        child_kill(pid);
        g_assert_cmpint(open_as(geteuid(), pid, fd), ==, -ESRCH);
        g_assert_cmpint(open_as(geteuid(), pid, -EBADF), ==, -ESRCH);
        /* As if it had got that number. */
        g_assert_cmpint(open_as(geteuid(), other, fd), ==, -ESRCH);
        g_assert_cmpint(open_as(geteuid(), other, -EBADF), ==, 0);
        child_kill(other);
        close(fd);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/layout-caller/read", test_read);
        g_test_add_func("/layout-caller/open", test_open);
        return g_test_run();
}
