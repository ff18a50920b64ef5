/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/device.h"

#include <fcntl.h>
#include <sys/ioctl.h>

/* A process of the session. */
struct attached {
        pid_t pid;
        uint64_t start_ticks;
        int process_fd;
        uint32_t target;
};

struct mm_device {
        int fd;
        uint64_t features;
        struct attached *attached;
        size_t n_attached, allocated;
};

static int call(const struct mm_device *d, unsigned long request, void *argument)
{
        return ioctl(d->fd, request, argument) < 0 ? -errno : 0;
}

int mm_device_open(const char *path, struct mm_device **ret, struct mergemod_info *ret_info)
{
        _cleanup_(mm_device_freep) struct mm_device *d = NULL;
        struct mergemod_info info = { .version = MERGEMOD_VERSION, .features = MM_DEVICE_FEATURES };
        int r;

        if (ret_info)
                *ret_info = (struct mergemod_info) {};
        d = malloc(sizeof(*d));
        if (!d)
                return -ENOMEM;
        *d = (struct mm_device) { .fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY) };
        if (d->fd < 0)
                return -errno;
        r = call(d, MERGEMOD_INFO, &info);
        if (r == -ENOTTY)
                return -EPROTO; /* some other device */
        if (ret_info && (r >= 0 || r == -EPROTO))
                *ret_info = info;
        if (r < 0)
                return r;
        if (info.page_size != (uint32_t) sysconf(_SC_PAGESIZE))
                return -EPROTO;
        d->features = info.features;
        *ret = TAKE_PTR(d);
        return 0;
}

struct mm_device *mm_device_free(struct mm_device *d)
{
        if (!d)
                return NULL;
        for (size_t i = 0; i < d->n_attached; i++)
                safe_close(d->attached[i].process_fd);
        free(d->attached);
        safe_close(d->fd);
        free(d);
        return NULL;
}

uint64_t mm_device_features(const struct mm_device *d)
{
        return d->features;
}

static void detach_at(struct mm_device *d, size_t i)
{
        (void) call(d, MERGEMOD_DETACH, &(struct mergemod_target) { .target = d->attached[i].target });
        safe_close(d->attached[i].process_fd);
        d->attached[i] = d->attached[--d->n_attached];
}

void mm_device_detach(struct mm_device *d, uint32_t target)
{
        for (size_t i = 0; i < d->n_attached; i++)
                if (d->attached[i].target == target) {
                        detach_at(d, i);
                        return;
                }
}

static bool is_alive(int process_fd)
{
        return faccessat(process_fd, "stat", F_OK, 0) >= 0;
}

void mm_device_sweep(struct mm_device *d)
{
        for (size_t i = d->n_attached; i-- > 0;)
                if (!is_alive(d->attached[i].process_fd))
                        detach_at(d, i);
}

static int make_room(struct mm_device *d)
{
        struct attached *attached;
        size_t allocated;

        if (d->n_attached < d->allocated)
                return 0;
        allocated = MAX(d->allocated * 2, (size_t) 64);
        attached = reallocarray(d->attached, allocated, sizeof(*attached));
        if (!attached)
                return -ENOMEM;
        d->attached = attached;
        d->allocated = allocated;
        return 0;
}

static int activate(struct mm_device *d, int process_fd, uint32_t target)
{
        int mem_fd;

        mem_fd = openat(process_fd, "mem", O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (mem_fd < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        safe_close(mem_fd);
        /* As long as it is there, nobody else got its pid: it was the one that was attached. */
        if (!is_alive(process_fd))
                return -ESRCH;
        return call(d, MERGEMOD_ACTIVATE, &(struct mergemod_target) { .target = target });
}

int mm_device_attach(struct mm_device *d, pid_t pid, uint64_t start_ticks, int process_fd, uint32_t *ret)
{
        struct mergemod_attach attach = { .pid = pid };
        int copy, r;

        for (size_t i = 0; i < d->n_attached; i++)
                if (d->attached[i].pid == pid && d->attached[i].start_ticks == start_ticks) {
                        *ret = d->attached[i].target;
                        return 0;
                }
        r = make_room(d);
        if (r < 0)
                return r;
        copy = fcntl(process_fd, F_DUPFD_CLOEXEC, 3);
        if (copy < 0)
                return -errno;
        r = call(d, MERGEMOD_ATTACH, &attach);
        if (r < 0) {
                safe_close(copy);
                return r;
        }
        d->attached[d->n_attached++] = (struct attached) {
                .pid = pid,
                .start_ticks = start_ticks,
                .process_fd = copy,
                .target = attach.target,
        };
        r = activate(d, process_fd, attach.target);
        if (r < 0) {
                mm_device_detach(d, attach.target);
                return r;
        }
        *ret = attach.target;
        return 0;
}

static int compare_elements(const void *a, const void *b)
{
        const struct mergemod_element *x = a, *y = b;

        if (x->target != y->target)
                return x->target < y->target ? -1 : 1;
        return x->address < y->address ? -1 : x->address > y->address;
}

int mm_device_merge(struct mm_device *d, const struct mm_device_domain *domain, enum mergemod_huge huge,
                    struct mergemod_element *elements, size_t n, struct mergemod_merge *ret)
{
        struct mergemod_merge sum = {};

        qsort(elements, n, sizeof(*elements), compare_elements);
        /* Only what is left after a signal takes another turn, and there a group is one anew. */
        while (sum.done < n) {
                struct mergemod_merge merge = {
                        .flags = domain->zero_only ? MERGEMOD_MERGE_ZERO_ONLY : 0U,
                        .domain = domain->kind,
                        .huge = huge,
                        .cgroup_fd = domain->cgroup_fd,
                        .elements = (uintptr_t) (elements + sum.done),
                        .n_elements = (uint32_t) n - sum.done,
                };
                int r;

                /* The numbers of groups are below that of all elements. */
                for (size_t i = sum.done; sum.done > 0 && i < n; i++)
                        elements[i].group = (uint32_t) (i - sum.done);
                r = call(d, MERGEMOD_MERGE, &merge);
                if (r == -EINTR)
                        continue;
                if (r < 0)
                        return r;
                sum.done += merge.done;
                sum.merged += merge.merged;
                sum.zero_merged += merge.zero_merged;
                sum.freed += merge.freed;
                sum.new_frames += merge.new_frames;
        }
        *ret = sum;
        return 0;
}

#define NOT_BEGUN 1

/* Of a range before a signal and after it. Where the first part had an area, the range has one. */
static void join_parts(const struct mergemod_range *first, struct mergemod_range *range)
{
        range->pages += first->pages;
        if (range->status == -ENOMEM || range->status == -ESRCH)
                return; /* so it ends here, whatever was before */
        if (first->status < 0 || range->status == -ERANGE)
                range->status = first->status;
}

static int call_ranges(struct mm_device *d, unsigned long request, struct mergemod_range *ranges, size_t n,
                       uint32_t flags)
{
        struct mergemod_range first = {};
        size_t done = 0;
        int r;

        for (size_t i = 0; i < n; i++)
                ranges[i].status = NOT_BEGUN;
        while (done < n) {
                struct mergemod_ranges all = {
                        .ranges = (uintptr_t) (ranges + done),
                        .n_ranges = (uint32_t) (n - done),
                        .flags = flags,
                };

                r = call(d, request, &all);
                if (r == -EINTR)
                        continue;
                if (r < 0)
                        return r;
                if (first.end > 0)
                        join_parts(&first, &ranges[done]);
                done += all.done;
                first = done < n && ranges[done].status != NOT_BEGUN ? ranges[done] :
                                                                       (struct mergemod_range) {};
        }
        return 0;
}

int mm_device_unmerge(struct mm_device *d, struct mergemod_range *ranges, size_t n, uint32_t flags)
{
        return call_ranges(d, MERGEMOD_UNMERGE, ranges, n, flags);
}

int mm_device_advise(struct mm_device *d, struct mergemod_range *ranges, size_t n, uint32_t flags)
{
        return call_ranges(d, MERGEMOD_ADVISE, ranges, n, flags);
}

static int call_scan(struct mm_device *d, unsigned long request, struct mergemod_scan *scan, uint64_t *start,
                     size_t *ret_n)
{
        int r;

        r = call(d, request, scan);
        if (r < 0)
                return r;
        *start = scan->start;
        *ret_n = scan->done;
        return 0;
}

int mm_device_scan(struct mm_device *d, uint32_t target, uint32_t flags, uint64_t seed, uint64_t *start,
                   uint64_t end, struct mergemod_page *pages, size_t n, size_t *ret_n)
{
        struct mergemod_scan scan = {
                .target = target,
                .flags = flags,
                .start = *start,
                .end = end,
                .seed = seed,
                .pages = (uintptr_t) pages,
                .n_pages = (uint32_t) n,
        };

        return call_scan(d, MERGEMOD_SCAN, &scan, start, ret_n);
}

int mm_device_pages(struct mm_device *d, uint32_t target, uint32_t flags, uint64_t *start, uint64_t end,
                    struct mergemod_page *pages, size_t n, size_t *ret_n)
{
        struct mergemod_scan scan = {
                .target = target,
                .flags = flags,
                .start = *start,
                .end = end,
                .pages = (uintptr_t) pages,
                .n_pages = (uint32_t) n,
        };

        return call_scan(d, MERGEMOD_PAGES, &scan, start, ret_n);
}

int mm_device_hash(struct mm_device *d, uint32_t target, uint32_t flags, uint64_t seed,
                   struct mergemod_page *pages, size_t n)
{
        size_t done = 0;

        while (done < n) {
                struct mergemod_scan scan = {
                        .target = target,
                        .flags = flags,
                        .seed = seed,
                        .pages = (uintptr_t) (pages + done),
                        .n_pages = (uint32_t) (n - done),
                };
                int r;

                r = call(d, MERGEMOD_HASH, &scan);
                if (r < 0 && r != -EINTR)
                        return r;
                done += r < 0 ? 0 : scan.done;
        }
        return 0;
}

int mm_device_stats(struct mm_device *d, struct mergemod_stats *ret)
{
        struct mergemod_stats stats;
        int r;

        r = call(d, MERGEMOD_STATS, &stats);
        if (r < 0)
                return r;
        *ret = stats;
        return 0;
}

const char *mm_device_status_text(int status)
{
        switch (status) {
        case -EALREADY:
                return "merged already";
        case -ESTALE:
                return "page changed meanwhile";
        case -EBUSY:
                return "page in use";
        case -EAGAIN:
                return "page on its way to or from somewhere";
        case -ENODATA:
        case -EFAULT:
                return "page gone meanwhile";
        case -EOPNOTSUPP:
        case -EMEDIUMTYPE:
                return "not memory that mergemod merges";
        case -EHWPOISON:
                return "broken memory";
        case -E2BIG:
                return "in an area with huge pages";
        case -EXDEV:
                return "another trust domain";
        case -ENOSPC:
                return "no more shared frames (max_frames of mergemod)";
        case -EDQUOT:
                return "no more shared frames for this user (max_user_percent of mergemod)";
        case -ENOMEM:
                return "no memory for a shared frame";
        case -ENOBUFS:
                return "too scattered to keep account of";
        case -ESRCH:
        case -ENOENT:
                return "ended or changed program";
        default:
                return "refused by mergemod";
        }
}

const char *mm_device_problem(int error)
{
        switch (error) {
        case -ENOENT:
        case -ENODEV:
        case -ENXIO:
                return "mergemod is not loaded (any more)";
        case -EPROTO:
                return "the mergemod that is loaded now has another interface";
        default:
                return NULL;
        }
}
