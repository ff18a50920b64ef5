/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/ranges.h"

struct elf_lookup {
        struct mm_elf_cache *cache;
        int process_fd;
};

static int lookup_elf(void *userdata, const struct mm_area *area, const struct mm_elf **ret)
{
        struct elf_lookup *l = userdata;
        struct mm_elf elf;
        int r;

        r = mm_elf_cache_get(l->cache, &area->file, ret);
        if (r == 0) {
                r = mm_elf_read_mapped(l->process_fd, area->start, area->end, &elf);
                if (r == -ENOMEM)
                        return r;
                r = mm_elf_cache_put(l->cache, &area->file, r < 0 ? NULL : &elf);
                if (r < 0)
                        return r;
                r = mm_elf_cache_get(l->cache, &area->file, ret);
        }
        if (r < 0)
                return r;
        return *ret ? 1 : 0;
}

void mm_ranges_done(struct mm_ranges *r)
{
        mm_areas_done(&r->areas);
        free(r->flags);
        free(r->items);
        *r = (struct mm_ranges) {};
}

int mm_ranges_read(struct mm_elf_cache *cache, int process_fd, const struct mm_file_id *exe, bool flags,
                   struct mm_ranges *ret)
{
        struct elf_lookup lookup = { .cache = cache, .process_fd = process_fd };
        _cleanup_(mm_ranges_done) struct mm_ranges r = {};
        int k;

        k = mm_areas_read(process_fd, &r.areas);
        if (k >= 0 && flags)
                k = mm_vmflags_read(process_fd, &r.flags, &r.n_flags);
        if (k >= 0 && cache)
                k = mm_owners_assign(&r.areas, exe, lookup_elf, &lookup, &r.items, &r.n);
        if (k < 0)
                return k;
        *ret = r;
        r = (struct mm_ranges) {};
        return 0;
}
