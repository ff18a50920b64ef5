/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <poll.h>
#include <sys/random.h>

#include "daemon/layout.h"
#include "shared/macro.h"

static void layout_free(struct layout *g)
{
        explicit_bzero(g->secret, sizeof(g->secret));
        free(g);
}

void layouts_done(struct layouts *l)
{
        for (size_t i = 0; i < l->n_processes; i++)
                safe_close(l->processes[i].pid_fd);
        free(l->processes);
        for (size_t i = 0; i < l->n; i++)
                layout_free(l->items[i]);
        free(l->items);
        safe_close(l->dir_fd);
        *l = (struct layouts) { .dir_fd = -EBADF };
}

struct layout *layouts_find(const struct layouts *l, bool unit, uid_t uid, const char *name)
{
        for (size_t i = 0; i < l->n; i++) {
                struct layout *g = l->items[i];

                if (g->uid == uid && g->unit == unit && streq(g->name, name))
                        return g;
        }
        return NULL;
}

/* The place of a process, or where it would have it. */
static size_t place_of(const struct layouts *l, pid_t pid)
{
        size_t low = 0, high = l->n_processes;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (l->processes[middle].pid < pid)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

void layouts_sweep(struct layouts *l)
{
        _cleanup_(freep) struct pollfd *fds = NULL;
        size_t n = 0;

        if (l->n_processes == 0)
                return;
        fds = calloc(l->n_processes, sizeof(*fds));
        if (!fds)
                return;
        for (size_t i = 0; i < l->n_processes; i++)
                fds[i] = (struct pollfd) { .fd = l->processes[i].pid_fd, .events = POLLIN };
        if (poll(fds, l->n_processes, 0) <= 0)
                return;
        for (size_t i = 0; i < l->n_processes; i++)
                if (fds[i].revents != 0) {
                        safe_close(l->processes[i].pid_fd);
                        l->processes[i].layout->n_processes--;
                } else
                        l->processes[n++] = l->processes[i];
        l->n_processes = n;
}

static void forget_processes(struct layouts *l, struct layout *g)
{
        size_t n = 0;

        for (size_t i = 0; i < l->n_processes; i++)
                if (l->processes[i].layout == g)
                        safe_close(l->processes[i].pid_fd);
                else
                        l->processes[n++] = l->processes[i];
        l->n_processes = n;
        g->n_processes = 0;
}

static bool process_has_ended(const struct layout_process *p)
{
        struct pollfd end = { .fd = p->pid_fd, .events = POLLIN };

        return poll(&end, 1, 0) != 0;
}

uint64_t layouts_group_of(const struct layouts *l, pid_t pid, uint64_t start_ticks, pid_t parent)
{
        for (size_t i = place_of(l, pid); i < l->n_processes && l->processes[i].pid == pid; i++)
                if (l->processes[i].start_ticks == start_ticks)
                        return l->processes[i].layout->number;
        /* What fork(2) made has the layout too, unless it has executed something since. */
        for (size_t i = place_of(l, parent); i < l->n_processes && l->processes[i].pid == parent; i++)
                if (!process_has_ended(&l->processes[i]))
                        return l->processes[i].layout->number;
        return 0;
}

static int draw(struct layout *g, uint64_t now_usec)
{
        ssize_t n = getrandom(g->secret, sizeof(g->secret), 0);

        if (n != (ssize_t) sizeof(g->secret))
                return n < 0 ? -errno : -EIO;
        g->drawn_usec = now_usec;
        g->n_given = 0;
        g->forgetful = false;
        return 0;
}

static void drop(struct layouts *l, struct layout *g)
{
        size_t n = 0;

        forget_processes(l, g);
        for (size_t i = 0; i < l->n; i++)
                if (l->items[i] != g)
                        l->items[n++] = l->items[i];
        l->n = n;
        layout_free(g);
}

/* Of all groups, or of @uid's, that have no process: the one that was not asked for longest. */
static struct layout *find_idle(const struct layouts *l, const uid_t *uid)
{
        struct layout *oldest = NULL;

        for (size_t i = 0; i < l->n; i++) {
                struct layout *g = l->items[i];

                if (g->n_processes == 0 && (!uid || g->uid == *uid) &&
                    (!oldest || g->last_usec < oldest->last_usec))
                        oldest = g;
        }
        return oldest;
}

static int make_room(struct layouts *l, uid_t uid)
{
        size_t n_his = 0, max = uid == 0 ? LAYOUTS_MAX : LAYOUTS_MAX - LAYOUTS_OF_ROOT;
        bool has_his;
        struct layout *idle;

        for (size_t i = 0; i < l->n && uid != 0; i++)
                n_his += l->items[i]->uid == uid;
        has_his = n_his >= LAYOUTS_PER_USER_MAX;
        if (!has_his && l->n < max)
                return 0;
        layouts_sweep(l);
        idle = find_idle(l, has_his ? &uid : NULL);
        if (!idle)
                return -ENOBUFS;
        layout_remove(l, idle);
        drop(l, idle);
        return 0;
}

int layouts_add(struct layouts *l, const struct layout *g, struct layout **ret)
{
        struct layout **items, *copy;
        size_t at;

        if (layouts_find(l, g->unit, g->uid, g->name))
                return -EEXIST;
        items = reallocarray(l->items, l->n + 1, sizeof(*items));
        if (!items)
                return -ENOMEM;
        l->items = items;
        copy = malloc(sizeof(*copy));
        if (!copy)
                return -ENOMEM;
        *copy = *g;
        l->last_number = MAX(l->last_number, copy->number);
        /* New ones have the highest number; only a directory has them in no order. */
        for (at = l->n++; at > 0 && items[at - 1]->number > copy->number; at--)
                items[at] = items[at - 1];
        *ret = items[at] = copy;
        return 0;
}

int layouts_get(struct layouts *l, bool unit, uid_t uid, const char *name, uint64_t now_usec,
                struct layout **ret)
{
        struct layout new = { .unit = unit, .uid = uid, .last_usec = now_usec }, *g;
        int r;

        g = layouts_find(l, unit, uid, name);
        if (g) {
                *ret = g;
                return 0;
        }
        r = make_room(l, uid);
        if (r < 0)
                return r;
        new.number = l->last_number + 1;
        (void) snprintf(new.name, sizeof(new.name), "%s", name);
        r = draw(&new, now_usec);
        if (r >= 0)
                r = layouts_add(l, &new, &g);
        explicit_bzero(new.secret, sizeof(new.secret));
        if (r < 0)
                return r;
        /* Nobody gets what the next service would not know. */
        r = layout_save(l, g);
        if (r < 0) {
                drop(l, g);
                return r;
        }
        *ret = g;
        return 0;
}

static bool has_room(const struct layouts *l, uid_t uid)
{
        size_t n_his = 0;

        if (l->n_processes >= LAYOUT_PROCESSES_MAX)
                return false;
        for (size_t i = 0; i < l->n_processes && uid != 0; i++)
                n_his += l->processes[i].layout->uid == uid;
        return n_his < LAYOUT_PROCESSES_PER_USER_MAX;
}

int layouts_add_process(struct layouts *l, struct layout *g, pid_t pid, uint64_t start_ticks, int pid_fd)
{
        _cleanup_(closep) int fd = pid_fd;
        struct layout_process *processes;
        size_t at = place_of(l, pid);

        /* Whoever asks again, maybe for another group. */
        for (size_t i = at; i < l->n_processes && l->processes[i].pid == pid; i++)
                if (l->processes[i].start_ticks == start_ticks) {
                        l->processes[i].layout->n_processes--;
                        l->processes[i].layout = g;
                        g->n_processes++;
                        return 0;
                }
        if (!has_room(l, g->uid))
                return -ENOBUFS;
        processes = reallocarray(l->processes, l->n_processes + 1, sizeof(*processes));
        if (!processes)
                return -ENOMEM;
        l->processes = processes;
        memmove(&processes[at + 1], &processes[at], (l->n_processes - at) * sizeof(*processes));
        processes[at] = (struct layout_process) {
                .pid = pid, .start_ticks = start_ticks, .pid_fd = TAKE_FD(fd), .layout = g
        };
        l->n_processes++;
        g->n_processes++;
        return 0;
}

int layouts_give(struct layouts *l, struct layout *g, pid_t pid, uint64_t start_ticks, int pid_fd,
                 uint64_t now_usec)
{
        if (!has_room(l, g->uid))
                layouts_sweep(l);
        if (layouts_add_process(l, g, pid, start_ticks, pid_fd) < 0)
                g->forgetful = true;
        g->n_given++;
        g->last_usec = now_usec;
        return layout_save(l, g);
}

int layouts_rotate(struct layouts *l, struct layout *g, uint64_t now_usec)
{
        struct layout before = *g;
        int r;

        r = draw(g, now_usec);
        g->n_processes = 0;
        if (r >= 0)
                r = layout_save(l, g);
        if (r >= 0)
                forget_processes(l, g);
        else
                *g = before;
        explicit_bzero(before.secret, sizeof(before.secret));
        return r;
}
