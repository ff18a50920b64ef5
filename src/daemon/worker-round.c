/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/worker-child.h"

/* Lines of figures that a result can have. */
#define OWNERS_MAX 4096U

static void target_done(struct round_target *t)
{
        t->dir_fd = safe_close(t->dir_fd);
        free(t->ranges);
}

void round_done(struct round *r)
{
        for (size_t i = 0; i < r->n_targets; i++)
                target_done(&r->targets[i]);
        free(r->targets);
        for (size_t i = 0; i < r->n_owners; i++)
                free(r->owners[i].name);
        free(r->owners);
        for (size_t i = 0; i < r->n_libraries; i++)
                free(r->libraries[i].name);
        free(r->libraries);
        if (r->scan_ready)
                mm_scan_done(&r->scan);
        mm_records_free(r->records);
        mm_elf_cache_free(r->elf_cache);
        *r = (struct round) {};
}

int round_begin(struct round *r, int proc_fd, const struct worker_begin *begin)
{
        int k;

        round_done(r);
        k = mm_elf_cache_new(&r->elf_cache);
        if (k < 0)
                return k;
        k = mm_records_new(begin->bookkeeping_max_bytes, &r->records);
        if (k < 0)
                return k;
        k = mm_scan_init(&r->scan, r->records, proc_fd, begin->seed);
        if (k < 0)
                return k;
        r->scan_ready = true;
        r->zero_frame = mm_zero_frame();
        r->scan.part = begin->part;
        r->scan.n_parts = MAX(begin->n_parts, 1U);
        r->cross_owners = begin->cross_owners;
        r->include_private = begin->include_private;
        r->direct = r->scan.direct = begin->direct;
        r->use_zero_pages = begin->use_zero_pages;
        r->tell_groups = begin->tell_groups;
        r->zero_only = begin->zero_only;
        r->left_out = begin->left_out;
        r->huge = begin->huge;
        r->stacks = begin->stacks;
        r->all_libraries = true;
        return 0;
}

int round_add_library(struct round *r, const struct worker_library *library, const char *name)
{
        struct round_library *libraries;
        char *copy;

        libraries = reallocarray(r->libraries, r->n_libraries + 1, sizeof(*libraries));
        if (!libraries)
                return -ENOMEM;
        r->libraries = libraries;
        copy = strdup(name);
        if (!copy)
                return -ENOMEM;
        r->libraries[r->n_libraries++] = (struct round_library) {
                .file = library->file,
                .name = copy,
                .others = library->others,
                .never = library->never,
                .rule = library->rule,
        };
        r->all_libraries = r->all_libraries && library->others;
        return 0;
}

struct round_target *round_find_target(struct round *r, uint32_t index)
{
        size_t low = 0, high = r->n_targets;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (r->targets[middle].index < index)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low < r->n_targets && r->targets[low].index == index ? &r->targets[low] : NULL;
}

struct round_range *round_find_range(struct round_target *t, uint64_t address)
{
        size_t low = 0, high = t->n_ranges;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (t->ranges[middle].end <= address)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low < t->n_ranges && t->ranges[low].start <= address ? &t->ranges[low] : NULL;
}

static bool find_known_owner(const struct round *r, uint8_t kind, const struct mm_file_id *file,
                             const char *name, uint32_t *ret)
{
        for (size_t i = r->n_owners; i-- > 0;) {
                const struct round_owner *o = &r->owners[i];

                if (o->kind != kind)
                        continue;
                if (mm_file_id_known(file) ? mm_file_id_equal(&o->file, file) : streq(o->name, name)) {
                        *ret = (uint32_t) i;
                        return true;
                }
        }
        return false;
}

/* The figures' line that memory of this kind and file belongs to. Few hundred lines as a rule, most
 * look-ups hit one of the last. But anybody can give names to his areas: beyond a limit all of one kind
 * count together. */
static int find_owner(struct round *r, uint8_t kind, const struct mm_file_id *file, const char *name,
                      uint32_t *ret)
{
        static const struct mm_file_id unknown = {};
        struct round_owner *owners;
        char *copy;

        if (find_known_owner(r, kind, file, name, ret))
                return 0;
        if (r->n_owners >= OWNERS_MAX) {
                file = &unknown;
                name = "others";
                if (find_known_owner(r, kind, file, name, ret))
                        return 0;
        }

        owners = reallocarray(r->owners, r->n_owners + 1, sizeof(*owners));
        if (!owners)
                return -ENOMEM;
        r->owners = owners;
        copy = strdup(name);
        if (!copy)
                return -ENOMEM;
        *ret = (uint32_t) r->n_owners;
        r->owners[r->n_owners++] = (struct round_owner) { .kind = kind, .file = *file, .name = copy };
        return 0;
}

/* A heap has no name of its own: it is the program's. */
int round_range_owner(struct round *r, const struct mm_range *range, const struct worker_target *t,
                      const char *exe, uint32_t *ret)
{
        static const struct mm_file_id unknown = {};

        switch (range->owner) {
        case MM_OWNER_LIBRARY:
        case MM_OWNER_PROGRAM:
        case MM_OWNER_FILE:
                return find_owner(r, range->owner, &range->file, range->name, ret);
        case MM_OWNER_NAMED:
                return find_owner(r, range->owner, &unknown, range->name, ret);
        default:
                return find_owner(r, range->owner, &t->exe, exe, ret);
        }
}
