/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/runtime.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "shared/log.h"
#include "shared/parse.h"

/* "NAME PID", and a newline. */
static void read_holder(int lock_fd, struct runtime_holder *ret)
{
        char text[sizeof(ret->name) + 16], *pid;
        ssize_t n;

        *ret = (struct runtime_holder) {};
        n = pread(lock_fd, text, sizeof(text) - 1, 0);
        if (n <= 0)
                return;
        text[n] = '\0';
        text[strcspn(text, "\n")] = '\0';
        pid = strchr(text, ' ');
        if (!pid)
                return;
        *pid++ = '\0';
        if (parse_pid(pid, &ret->pid) >= 0)
                snprintf(ret->name, sizeof(ret->name), "%.*s", (int) sizeof(ret->name) - 1, text);
}

static int write_holder(int lock_fd, const char *name)
{
        if (ftruncate(lock_fd, 0) < 0 || dprintf(lock_fd, "%s %d\n", name, (int) getpid()) < 0)
                return -errno;
        return 0;
}

int runtime_open(const char *path, const char *name, int *ret_state_fd, int *ret_lock_fd,
                 struct runtime_holder *ret_holder)
{
        _cleanup_(closep) int state_fd = -EBADF, lock_fd = -EBADF;
        int r;

        if (mkdir(path, 0700) < 0 && errno != EEXIST)
                return log_error_errno(-errno, "Cannot make the directory %s: %m", path);
        state_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (state_fd < 0)
                return log_error_errno(-errno, "Cannot open the directory %s: %m", path);
        lock_fd = openat(state_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (lock_fd < 0)
                return log_error_errno(-errno, "Cannot open %s/lock: %m", path);
        if (flock(lock_fd, LOCK_EX | LOCK_NB) < 0) {
                if (errno != EWOULDBLOCK)
                        return log_error_errno(-errno, "Cannot lock %s/lock: %m", path);
                read_holder(lock_fd, ret_holder);
                return -EWOULDBLOCK;
        }
        r = write_holder(lock_fd, name);
        if (r < 0)
                return log_error_errno(r, "Cannot write %s/lock: %m", path);
        *ret_state_fd = TAKE_FD(state_fd);
        *ret_lock_fd = TAKE_FD(lock_fd);
        return 0;
}

int runtime_last_holder(const char *path, struct runtime_holder *ret)
{
        _cleanup_(closep) int state_fd = -EBADF, lock_fd = -EBADF;
        struct runtime_holder holder;

        state_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (state_fd < 0)
                return errno == ENOENT ? 0 : -errno;
        /* To try the lock would be to have it for a moment, in which a service that starts could not. */
        lock_fd = openat(state_fd, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (lock_fd < 0)
                return errno == ENOENT ? 0 : -errno;
        read_holder(lock_fd, &holder);
        if (holder.pid == 0)
                return 0;
        *ret = holder;
        return 1;
}
