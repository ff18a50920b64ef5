/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"
#include "lib/hash.h"
#include "lib/owner.h"

/* Text of maps up to the first NUL, then up to N_FILES files. A file is the number of its segments,
 * start and size of RELRO, and the segments as differences to what comes before, so that nearly
 * every input keeps what mm_elf_parse() promises. */

#define N_FILES 4U

struct reader {
        const uint8_t *at, *end;
};

static uint64_t take(struct reader *r, size_t size)
{
        uint64_t value = 0;

        for (; size > 0 && r->at < r->end; size--)
                value = value << 8 | *r->at++;
        return value;
}

static void take_elf(struct reader *r, struct mm_elf *ret)
{
        uint64_t vaddr = 0;
        size_t n = take(r, 1) % (MM_ELF_SEGMENTS_MAX + 1);

        *ret = (struct mm_elf){};
        ret->relro_vaddr = take(r, 4);
        ret->relro_memsz = take(r, 3);
        while (ret->n_segments < n) {
                struct mm_elf_segment *s = ret->segments + ret->n_segments++;

                vaddr += take(r, 3);
                s->vaddr = vaddr;
                s->offset = take(r, 2) * MM_PAGE_SIZE + vaddr % MM_PAGE_SIZE;
                s->filesz = take(r, 3);
                s->memsz = s->filesz + take(r, 3) + (s->filesz == 0);
                s->flags = (uint32_t)take(r, 1) & 7;
                vaddr += s->memsz;
        }
}

static int look_up(void *userdata, const struct mm_area *area, const struct mm_elf **ret)
{
        CHECK(!(area->flags & MM_AREA_MAYSHARE));
        if (area->file.ino % (N_FILES + 1) == N_FILES)
                return 0;
        *ret = (const struct mm_elf *)userdata + area->file.ino % (N_FILES + 1);
        return 1;
}

static void check_range(const struct mm_areas *areas, const struct mm_range *range)
{
        const struct mm_area *area = mm_areas_find(areas, range->start);

        CHECK(range->start < range->end);
        CHECK(range->start % MM_PAGE_SIZE == 0 && range->end % MM_PAGE_SIZE == 0);
        CHECK(area && range->end <= area->end);

        CHECK(!(area->flags & MM_AREA_MAYSHARE));
        CHECK(area->kind != MM_AREA_SPECIAL && area->kind != MM_AREA_DEVICE);
        CHECK(range->file_backed == (area->kind == MM_AREA_FILE || area->kind == MM_AREA_SHARED));

        CHECK(range->owner > MM_OWNER_NONE && range->owner < MM_OWNER_KIND_MAX_ && range->name);
        if (range->part == MM_PART_BSS) {
                CHECK(!range->file_backed && mm_file_id_known(&range->file));
                CHECK(area > areas->items && area[-1].end == area->start);
        }
        if (range->owner >= MM_OWNER_HEAP) {
                CHECK(!range->file_backed && range->part == MM_PART_NONE);
                CHECK(area == areas->items || area[-1].end != area->start ||
                      area[-1].kind != MM_AREA_DEVICE);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(mm_areas_done) struct mm_areas areas = {};
        _cleanup_(freep) struct mm_range *ranges = NULL;
        struct mm_file_id exe = { .ino = 1 };
        struct mm_elf files[N_FILES];
        const uint8_t *nul;
        struct reader r;
        char *text;
        size_t i, n;

        nul = size > 0 ? memchr(data, '\0', size) : NULL;
        if (!nul)
                return 0;
        r = (struct reader){ nul + 1, data + size };
        for (i = 0; i < N_FILES; i++)
                take_elf(&r, files + i);

        text = strdup((const char *)data);
        CHECK(text);
        if (mm_areas_parse(text, (size_t)(nul - data), &areas) < 0)
                return 0;
        CHECK(mm_owners_assign(&areas, &exe, look_up, files, &ranges, &n) == 0);
        for (i = 0; i < n; i++) {
                CHECK(i == 0 || ranges[i - 1].end <= ranges[i].start);
                check_range(&areas, ranges + i);
        }
        return 0;
}
