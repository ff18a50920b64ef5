/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <poll.h>

#include "daemon/layout-caller.h"

static int read_value(sd_bus_message *m, const char *key, struct layout_caller *c)
{
        uint32_t number;
        int fd, r;

        if (streq(key, "UnixUserID")) {
                r = sd_bus_message_read(m, "v", "u", &number);
                if (r >= 0)
                        c->uid = number;
                return r;
        }
        if (streq(key, "ProcessID")) {
                r = sd_bus_message_read(m, "v", "u", &number);
                if (r >= 0 && number > 0 && number <= INT32_MAX)
                        c->pid = (pid_t) number;
                return r;
        }
        if (streq(key, "ProcessFD")) {
                r = sd_bus_message_read(m, "v", "h", &fd);
                if (r < 0)
                        return r;
                /* The message closes its own. */
                safe_close(c->pid_fd);
                c->pid_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
                return c->pid_fd < 0 ? -errno : r;
        }
        return sd_bus_message_skip(m, "v");
}

static int read_caller(sd_bus_message *reply, struct layout_caller *c)
{
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
                const char *key;

                r = sd_bus_message_read(reply, "s", &key);
                if (r >= 0)
                        r = read_value(reply, key, c);
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(reply);
}

int layout_caller_read(sd_bus_message *reply, struct layout_caller *ret)
{
        struct layout_caller c = { .uid = (uid_t) -1, .pid_fd = -EBADF };
        int r;

        r = read_caller(reply, &c);
        if (r >= 0 && (c.uid == (uid_t) -1 || c.pid == 0))
                r = -ENXIO;
        if (r < 0) {
                safe_close(c.pid_fd);
                return r;
        }
        *ret = c;
        return 0;
}

static bool has_ended(int pid_fd)
{
        struct pollfd end = { .fd = pid_fd, .events = POLLIN };

        return poll(&end, 1, 0) != 0;
}

int layout_caller_open(int proc_fd, const struct layout_caller *c, struct mm_process *ret)
{
        _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;
        int r;

        r = mm_process_open(proc_fd, c->pid, true, &p);
        if (r < 0)
                return r == -ENOMEM || r == -EMFILE || r == -ENFILE ? r : -ESRCH;
        /* As long as that one lives the number is its own. */
        if (p.euid != c->uid || (c->pid_fd >= 0 && has_ended(c->pid_fd)))
                return -ESRCH;
        *ret = TAKE_GENERIC(p, MM_PROCESS_NULL);
        return 0;
}
