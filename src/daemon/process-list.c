/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>

#include "daemon/process-list.h"

/* About 100 us each, so a slice stays near 3 ms. */
#define SLICE_PROCESSES 32U

struct process_list {
        sd_event_source *source;
        int proc_fd;
        DIR *dir;
        process_list_each_t each;
        process_list_done_t done;
        void *userdata;
};

static int visit(struct process_list *l, pid_t pid)
{
        _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;
        _cleanup_(freep) char *unit = NULL;
        int r;

        r = mm_process_open(l->proc_fd, pid, true, &p);
        if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
                return r;
        if (r < 0)
                return 0; /* it ended, or is hidden: nothing to look at */
        if (p.cgroup) {
                r = mm_cgroup_unit(p.cgroup, &unit);
                if (r == -ENOMEM)
                        return r;
        }
        return l->each(l->userdata, &p, unit);
}

static int on_slice(sd_event_source *source, void *userdata)
{
        struct process_list *l = userdata;
        int r = 1;

        for (size_t i = 0; i < SLICE_PROCESSES; i++) {
                pid_t pid;

                r = mm_procfs_next(l->dir, &pid);
                if (r <= 0)
                        break;
                r = visit(l, pid);
                if (r < 0)
                        break;
                r = 1;
        }
        if (r <= 0) {
                process_list_done_t done = l->done;
                void *done_userdata = l->userdata;

                process_list_free(l);
                done(done_userdata, r);
                return 0;
        }
        /* Behind all that waits by now: nothing may keep the bus waiting, nor be kept by it. */
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int process_list_new(sd_event *event, int proc_fd, process_list_each_t each, process_list_done_t done,
                     void *userdata, struct process_list **ret)
{
        _cleanup_(closep) int fd = -EBADF;
        struct process_list *l;
        int r;

        fd = openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        l = malloc(sizeof(*l));
        if (!l)
                return -ENOMEM;
        *l = (struct process_list) { .proc_fd = proc_fd, .each = each, .done = done, .userdata = userdata };
        l->dir = fdopendir(fd);
        if (!l->dir) {
                r = -errno;
                process_list_free(l);
                return r;
        }
        (void) TAKE_FD(fd);
        r = sd_event_add_defer(event, &l->source, on_slice, l);
        if (r < 0) {
                process_list_free(l);
                return r;
        }
        *ret = l;
        return 0;
}

struct process_list *process_list_free(struct process_list *l)
{
        if (!l)
                return NULL;
        sd_event_source_disable_unref(l->source);
        if (l->dir)
                closedir(l->dir);
        free(l);
        return NULL;
}
