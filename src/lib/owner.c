/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/owner.h"

#include "lib/hash.h"
#include "lib/load.h"

/* glibc's guard is one page, that of others some dozen. What allocators reserve without access lies
 * below memory in use as well, and is large: 64 MiB less what is used of it for glibc's arenas. */
#define GUARD_MAX (1024U * 1024U)

/* No area begins here. */
#define NOWHERE UINT64_MAX

struct assignment {
        const struct mm_file_id *exe;
        mm_elf_lookup_t lookup;
        void *userdata;

        /* The file looked up last. */
        struct mm_file_id file;
        const struct mm_elf *elf;

        /* The load that areas now belong to, if load.elf is set, and how far it reaches without a
         * gap in what we have seen: its .bss can only begin there. */
        struct mm_load load;
        struct mm_range load_range;
        uint64_t load_end;

        uint64_t device_end; /* of a device mapping and what follows it without a gap */
        uint64_t guard_end;

        struct mm_range *ranges;
        size_t n, allocated;
};

static int emit(struct assignment *a, const struct mm_area *area, const struct mm_range *what,
                uint8_t part, uint64_t start, uint64_t end)
{
        struct mm_range *last = a->n > 0 ? a->ranges + a->n - 1 : NULL;

        if (last && last->end == start && last->start >= area->start && last->owner == what->owner &&
            last->part == part) {
                last->end = end;
                return 0;
        }
        if (a->n == a->allocated) {
                size_t wanted = a->allocated ? a->allocated * 2 : 64;
                struct mm_range *grown = realloc(a->ranges, wanted * sizeof(*grown));

                if (!grown)
                        return -ENOMEM;
                a->ranges = grown;
                a->allocated = wanted;
        }

        last = a->ranges + a->n++;
        *last = *what;
        last->start = start;
        last->end = end;
        last->part = part;
        last->file_backed = area->kind == MM_AREA_FILE || area->kind == MM_AREA_SHARED;
        return 0;
}

static int look_up(struct assignment *a, const struct mm_area *area)
{
        const struct mm_elf *elf = NULL;
        int r;

        /* The areas of a file mostly come in a row. */
        if (mm_file_id_equal(&a->file, &area->file))
                return 0;
        a->file = area->file;
        a->elf = NULL;
        /* Any two files without an identity look the same. */
        if (!mm_file_id_known(&area->file))
                return 0;
        r = a->lookup(a->userdata, area, &elf);
        if (r < 0)
                return r;
        if (r > 0)
                a->elf = elf;
        return 0;
}

/* Finds the load that @area belongs to and makes it the current one. */
static bool enter_load(struct assignment *a, const struct mm_area *area, const struct mm_range *what)
{
        bool same = a->load.elf && mm_file_id_equal(&a->load_range.file, &area->file);
        bool accessible = area->flags & (MM_AREA_READ | MM_AREA_WRITE | MM_AREA_EXEC);

        /* ld.so maps the whole span first and leaves what is between segments inaccessible. */
        if (same && (!accessible || mm_load_fits(&a->load, area, area->start)))
                return true;
        if (!mm_load_find(a->elf, area, &a->load))
                return same;
        a->load_range = *what;
        return true;
}

static int assign_file(struct assignment *a, const struct mm_area *area)
{
        struct mm_range what = { .file = area->file, .name = area->name };
        uint64_t at, end;
        int r;

        r = look_up(a, area);
        if (r < 0)
                return r;

        if (a->exe && mm_file_id_equal(a->exe, &area->file))
                what.owner = MM_OWNER_PROGRAM;
        else
                what.owner = a->elf ? MM_OWNER_LIBRARY : MM_OWNER_FILE;
        if (!a->elf)
                return emit(a, area, &what, MM_PART_NONE, area->start, area->end);
        if (!enter_load(a, area, &what))
                return emit(a, area, &what, area->flags & MM_AREA_WRITE ? MM_PART_DATA : MM_PART_TEXT,
                            area->start, area->end);

        for (at = area->start; at < area->end; at = end) {
                uint8_t part = mm_load_part(&a->load, area, at, &end);

                r = emit(a, area, &what, part, at, end);
                if (r < 0)
                        return r;
        }

        /* A file that is mapped to be read rather than loaded starts like a load and ends otherwise. */
        at = area->end - MM_PAGE_SIZE;
        if (mm_load_fits(&a->load, area, at) || mm_load_in_gap(&a->load, at))
                a->load_end = area->end;
        return 0;
}

static uint8_t anonymous_owner(const struct assignment *a, const struct mm_area *area, uint64_t start)
{
        switch (area->kind) {
        case MM_AREA_HEAP:
                return MM_OWNER_HEAP;
        case MM_AREA_STACK:
                return streq(area->name, "stack") ? MM_OWNER_STACK : MM_OWNER_THREAD_STACK;
        case MM_AREA_NAMED_ANON:
                return MM_OWNER_NAMED;
        default:
                if (a->guard_end == start && area->flags & MM_AREA_READ && area->flags & MM_AREA_WRITE)
                        return MM_OWNER_THREAD_STACK;
                return MM_OWNER_ANON;
        }
}

static int assign_anonymous(struct assignment *a, const struct mm_area *area)
{
        struct mm_range what = { .name = area->name };
        uint64_t start = area->start, bss_end = 0;
        int r;

        if (a->load.elf && a->load_end == start)
                bss_end = mm_load_bss_end(&a->load, start);
        if (bss_end > 0) {
                a->load_end = MIN(area->end, bss_end);
                /* The kernel joins .bss with what lies behind: allocators' areas, the heap. */
                if (area->kind == MM_AREA_ANON || area->kind == MM_AREA_HEAP) {
                        r = emit(a, area, &a->load_range, MM_PART_BSS, start, a->load_end);
                        if (r < 0)
                                return r;
                        start = a->load_end;
                }
        }
        if (start == area->end)
                return 0;

        what.owner = anonymous_owner(a, area, start);
        if (area->kind == MM_AREA_ANON && area->end - start <= GUARD_MAX &&
            !(area->flags & (MM_AREA_READ | MM_AREA_WRITE | MM_AREA_EXEC)))
                a->guard_end = area->end;
        return emit(a, area, &what, MM_PART_NONE, start, area->end);
}

static int assign_area(struct assignment *a, const struct mm_area *area)
{
        /* Memory behind a device's may be the device's too: what an X server maps of /dev/mem. */
        if (area->kind == MM_AREA_DEVICE || (a->device_end == area->start && area->kind != MM_AREA_FILE)) {
                a->device_end = area->end;
                return 0;
        }
        if (area->flags & MM_AREA_MAYSHARE || area->kind == MM_AREA_SPECIAL)
                return 0;
        if (area->kind == MM_AREA_FILE || area->kind == MM_AREA_SHARED)
                return assign_file(a, area);
        return assign_anonymous(a, area);
}

int mm_owners_assign(const struct mm_areas *areas, const struct mm_file_id *exe, mm_elf_lookup_t lookup,
                     void *userdata, struct mm_range **ret, size_t *ret_n)
{
        struct assignment a = {
                .exe = exe,
                .lookup = lookup,
                .userdata = userdata,
                .load_end = NOWHERE,
                .device_end = NOWHERE,
                .guard_end = NOWHERE,
        };
        size_t i;
        int r;

        for (i = 0; i < areas->n; i++) {
                r = assign_area(&a, areas->items + i);
                if (r < 0) {
                        free(a.ranges);
                        return r;
                }
        }
        *ret = a.ranges;
        *ret_n = a.n;
        return 0;
}

_public_ const char *mm_owner_kind_name(enum mm_owner_kind kind)
{
        static const char *const names[MM_OWNER_KIND_MAX_] = {
                [MM_OWNER_NONE] = "none",
                [MM_OWNER_LIBRARY] = "library",
                [MM_OWNER_PROGRAM] = "program",
                [MM_OWNER_FILE] = "file",
                [MM_OWNER_HEAP] = "heap",
                [MM_OWNER_STACK] = "stack",
                [MM_OWNER_THREAD_STACK] = "thread-stack",
                [MM_OWNER_NAMED] = "named",
                [MM_OWNER_ANON] = "anon",
        };

        return (unsigned)kind < ELEMENTSOF(names) ? names[kind] : NULL;
}

_public_ const char *mm_owner_part_name(enum mm_owner_part part)
{
        static const char *const names[] = {
                [MM_PART_NONE] = "none",
                [MM_PART_TEXT] = "text",
                [MM_PART_RELRO] = "relro",
                [MM_PART_DATA] = "data",
                [MM_PART_BSS] = "bss",
        };

        return (unsigned)part < ELEMENTSOF(names) ? names[part] : NULL;
}
