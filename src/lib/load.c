/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/load.h"

#include <elf.h>

#include "lib/hash.h"

#define PAGE_DOWN(x) ((x) & ~(uint64_t)(MM_PAGE_SIZE - 1))
#define PAGE_UP(x) PAGE_DOWN((x) + MM_PAGE_SIZE - 1)

/* What of a segment comes from the file, and all of it, in whole pages and at linked addresses. */
static bool in_file_part(const struct mm_elf_segment *s, uint64_t vaddr)
{
        return s->filesz > 0 && vaddr >= PAGE_DOWN(s->vaddr) && vaddr < PAGE_UP(s->vaddr + s->filesz);
}

static bool in_memory_part(const struct mm_elf_segment *s, uint64_t vaddr)
{
        return vaddr >= PAGE_DOWN(s->vaddr) && vaddr < PAGE_UP(s->vaddr + s->memsz);
}

static unsigned likeness(const struct mm_elf_segment *s, const struct mm_area *area)
{
        return 1U + (!(s->flags & PF_W) == !(area->flags & MM_AREA_WRITE)) +
               (!(s->flags & PF_X) == !(area->flags & MM_AREA_EXEC));
}

bool mm_load_find(const struct mm_elf *elf, const struct mm_area *area, struct mm_load *ret)
{
        unsigned best = 0;
        size_t i;

        for (i = 0; i < elf->n_segments; i++) {
                const struct mm_elf_segment *s = elf->segments + i;
                uint64_t first = PAGE_DOWN(s->offset);

                if (s->filesz == 0 || area->offset < first || area->offset >= PAGE_UP(s->offset + s->filesz))
                        continue;
                if (likeness(s, area) <= best)
                        continue;
                best = likeness(s, area);
                *ret = (struct mm_load){
                        .elf = elf,
                        .bias = area->start - (PAGE_DOWN(s->vaddr) + (area->offset - first)),
                };
        }
        return best > 0;
}

bool mm_load_fits(const struct mm_load *l, const struct mm_area *area, uint64_t address)
{
        uint64_t vaddr = address - l->bias, offset = area->offset + (address - area->start);
        size_t i;

        for (i = 0; i < l->elf->n_segments; i++) {
                const struct mm_elf_segment *s = l->elf->segments + i;

                if (in_file_part(s, vaddr) && offset - PAGE_DOWN(s->offset) == vaddr - PAGE_DOWN(s->vaddr))
                        return true;
        }
        return false;
}

bool mm_load_in_gap(const struct mm_load *l, uint64_t address)
{
        size_t i;

        for (i = 0; i < l->elf->n_segments; i++)
                if (in_memory_part(l->elf->segments + i, address - l->bias))
                        return false;
        return true;
}

uint64_t mm_load_bss_end(const struct mm_load *l, uint64_t address)
{
        uint64_t vaddr = address - l->bias;
        size_t i;

        for (i = 0; i < l->elf->n_segments; i++) {
                const struct mm_elf_segment *s = l->elf->segments + i;

                if ((s->flags & PF_W) && in_memory_part(s, vaddr) && !in_file_part(s, vaddr))
                        return l->bias + PAGE_UP(s->vaddr + s->memsz);
        }
        return 0;
}

/* ld.so makes whole pages read-only and leaves one that is RELRO in part writable. */
static bool in_relro(const struct mm_elf *elf, uint64_t vaddr)
{
        return elf->relro_memsz > 0 && vaddr >= PAGE_DOWN(elf->relro_vaddr) &&
               vaddr < PAGE_DOWN(elf->relro_vaddr + elf->relro_memsz);
}

static void nearer(uint64_t vaddr, uint64_t boundary, uint64_t *distance)
{
        if (boundary != vaddr)
                *distance = MIN(*distance, boundary - vaddr);
}

enum mm_owner_part mm_load_part(const struct mm_load *l, const struct mm_area *area, uint64_t address,
                                uint64_t *ret_end)
{
        const struct mm_elf_segment *found = NULL;
        uint64_t vaddr = address - l->bias, distance = area->end - address;
        size_t i;

        for (i = 0; i < l->elf->n_segments; i++) {
                const struct mm_elf_segment *s = l->elf->segments + i;

                /* Where two share a page, the later one has been mapped over the earlier. */
                if (in_file_part(s, vaddr))
                        found = s;
                nearer(vaddr, PAGE_DOWN(s->vaddr), &distance);
                nearer(vaddr, PAGE_UP(s->vaddr + s->filesz), &distance);
        }
        nearer(vaddr, PAGE_DOWN(l->elf->relro_vaddr), &distance);
        nearer(vaddr, PAGE_DOWN(l->elf->relro_vaddr + l->elf->relro_memsz), &distance);
        *ret_end = address + distance;

        if (!found)
                return area->flags & MM_AREA_WRITE ? MM_PART_DATA : MM_PART_TEXT;
        if (!(found->flags & PF_W))
                return MM_PART_TEXT;
        return in_relro(l->elf, vaddr) ? MM_PART_RELRO : MM_PART_DATA;
}
