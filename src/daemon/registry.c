/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>

#include "daemon/registry.h"
#include "lib/device.h"
#include "shared/log.h"
#include "shared/lookup.h"

#define KSM_RMAP_ITEM_BYTES 64U

void registry_init(struct registry *r, enum registry_kind kind, sd_event *event, int state_fd)
{
        *r = (struct registry) { .kind = kind, .event = event, .state_fd = state_fd };
}

static struct registered *registered_free(struct registered *g)
{
        if (!g)
                return NULL;
        sd_event_source_disable_unref(g->exit_source);
        safe_close(g->dir_fd);
        safe_close(g->pid_fd);
        free(g->domain);
        free(g->ranges);
        free(g);
        return NULL;
}
DEFINE_CLEANUP_FUNC(struct registered *, registered_free)

void registry_done(struct registry *r)
{
        for (size_t i = 0; i < r->n_items; i++)
                registered_free(r->items[i]);
        free(r->items);
        for (size_t i = 0; i < r->n_former; i++)
                former_done(&r->former[i]);
        *r = (struct registry) {};
}

/* Where a process of this number and age is, or would be. */
static size_t find_place(const struct registry *r, pid_t pid, uint64_t start_ticks)
{
        size_t low = 0, high = r->n_items;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                const struct registered *g = r->items[middle];

                if (g->pid < pid || (g->pid == pid && g->start_ticks < start_ticks))
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

struct registered *registry_find(const struct registry *r, pid_t pid, uint64_t start_ticks)
{
        size_t i = find_place(r, pid, start_ticks);

        if (i < r->n_items && r->items[i]->pid == pid && r->items[i]->start_ticks == start_ticks)
                return r->items[i];
        return NULL;
}

void registry_drop(struct registry *r, struct registered *g)
{
        size_t i = find_place(r, g->pid, g->start_ticks);

        memmove(r->items + i, r->items + i + 1, (--r->n_items - i) * sizeof(struct registered *));
        registered_free(g);
        if (r->n_items == 0)
                r->n_saved = r->n_baseline = r->n_shared = r->n_shared_baseline = 0;
}

struct registered *registry_find_before(const struct registry *r, pid_t pid, uint64_t ticks)
{
        size_t i = ticks < UINT64_MAX ? find_place(r, pid, ticks + 1) : find_place(r, pid + 1, 0);

        return i > 0 && r->items[i - 1]->pid == pid ? r->items[i - 1] : NULL;
}

static int on_process_exit(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct registered *g = userdata;
        struct registry *r = g->registry;

        /* The file is left to the next change: whoever reads it sees who has ended, and when thousands end
         * at once, each would write all the others anew. */
        registry_remember(r, g->domain, g->since_ticks, registry_now_ticks(), g->ranges, g->n_ranges);
        registry_drop(r, g);
        return 0;
}

static int new_registered(struct registry *r, pid_t pid, uint64_t start_ticks, int dir_fd, int pid_fd,
                          const char *domain, struct registered **ret)
{
        _cleanup_(registered_freep) struct registered *g = NULL;
        struct registered **items;
        size_t i;
        int k;

        g = malloc(sizeof(*g));
        if (!g)
                return -ENOMEM;
        *g = (struct registered) {
                .registry = r,
                .pid = pid,
                .start_ticks = start_ticks,
                .since_ticks = registry_now_ticks(),
                .dir_fd = -EBADF,
                .pid_fd = -EBADF,
        };
        g->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
        g->pid_fd = fcntl(pid_fd, F_DUPFD_CLOEXEC, 3);
        if (g->dir_fd < 0 || g->pid_fd < 0)
                return -errno;
        g->domain = strdup(domain);
        if (!g->domain)
                return -ENOMEM;
        items = array_grow(r->items, r->n_items, sizeof(struct registered *));
        if (!items)
                return -ENOMEM;
        r->items = items;
        k = sd_event_add_io(r->event, &g->exit_source, g->pid_fd, EPOLLIN, on_process_exit, g);
        if (k < 0)
                return k;
        i = find_place(r, pid, start_ticks);
        memmove(r->items + i + 1, r->items + i, (r->n_items++ - i) * sizeof(struct registered *));
        *ret = r->items[i] = TAKE_PTR(g);
        return 0;
}

int registry_add(struct registry *r, pid_t pid, uint64_t start_ticks, int dir_fd, int pid_fd,
                 const char *domain, const struct worker_range *ranges, size_t n)
{
        struct registered *g = registry_find(r, pid, start_ticks);
        struct worker_range *sum;
        size_t n_sum;
        int k;

        if (!g) {
                k = new_registered(r, pid, start_ticks, dir_fd, pid_fd, domain, &g);
                if (k < 0)
                        return k;
        }
        k = ranges_add(g->ranges, g->n_ranges, ranges, n, &sum, &n_sum);
        if (k < 0)
                return k;
        free(g->ranges);
        g->ranges = sum;
        g->n_ranges = n_sum;
        g->counted = false;
        return 0;
}

int registry_remove(struct registry *r, struct registered *g, const struct worker_range *ranges, size_t n)
{
        struct worker_range *left;
        size_t n_left;
        int k;

        k = ranges_subtract(g->ranges, g->n_ranges, ranges, n, &left, &n_left);
        if (k < 0)
                return k;
        if (n_left == g->n_ranges && memcmp(left, g->ranges, n_left * sizeof(*left)) == 0) {
                free(left);
                return 0;
        }
        free(g->ranges);
        g->ranges = left;
        g->n_ranges = n_left;
        /* Until the next count: what was given back was not written to. */
        g->merging_pages = 0;
        if (n_left == 0)
                registry_drop(r, g);
        return 0;
}

const char *registry_other_domain(const struct registry *r, const char *domain)
{
        for (size_t i = 0; i < r->n_items; i++)
                if (!streq(r->items[i]->domain, domain))
                        return r->items[i]->domain;
        return NULL;
}

void registry_settle(struct registry *r)
{
        r->n_saved = registry_saved_frames(r);
        r->n_baseline = registry_merged_pages(r);
        r->n_shared_baseline = r->n_shared;
}

void registry_account(struct registry *r, uint64_t saved, uint64_t shared)
{
        r->n_saved += saved;
        r->n_shared += shared;
        r->n_baseline = registry_merged_pages(r);
        r->n_shared_baseline = r->n_shared;
}

void registry_counted(struct registry *r, uint64_t shared)
{
        if (r->kind == REGISTRY_DIRECT)
                r->n_shared = shared;
}

uint64_t registry_merged_pages(const struct registry *r)
{
        uint64_t n = 0;

        for (size_t i = 0; i < r->n_items; i++)
                n += r->items[i]->merging_pages;
        return n;
}

void registry_refreshed(struct registry *r, struct registered *g, uint64_t merging_pages,
                        uint64_t rmap_items)
{
        if (merging_pages < g->merging_pages)
                r->n_broken += g->merging_pages - merging_pages;
        g->merging_pages = merging_pages;
        g->rmap_items = rmap_items;
        g->counted = true;
}

void registry_forget_idle(struct registry *r)
{
        for (size_t i = r->n_items; i-- > 0;)
                if (r->items[i]->counted && r->items[i]->merging_pages == 0)
                        registry_drop(r, r->items[i]);
}

uint64_t registry_saved_frames(const struct registry *r)
{
        uint64_t now = registry_merged_pages(r);

        /* Each page that is merged is one less, each frame one more; what was merged when a service was
         * killed comes on top that way. */
        if (r->kind == REGISTRY_DIRECT) {
                int64_t saved = (int64_t) (r->n_saved + now - r->n_baseline);

                saved += (int64_t) (r->n_shared_baseline - r->n_shared);
                return (uint64_t) MAX(saved, (int64_t) 0);
        }

        /* Each page that is written or ends takes one frame again. One that ksmd merges by itself
         * later counts for nothing: it may have been shared by fork before. */
        return r->n_saved - MIN(r->n_saved, r->n_baseline > now ? r->n_baseline - now : 0);
}

uint64_t registry_metadata_bytes(const struct registry *r)
{
        uint64_t n = 0;

        if (r->kind == REGISTRY_DIRECT)
                return r->n_shared * MM_DEVICE_FRAME_BYTES;
        for (size_t i = 0; i < r->n_items; i++)
                n += r->items[i]->rmap_items;
        return n * KSM_RMAP_ITEM_BYTES;
}
