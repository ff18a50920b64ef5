/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/elf.h"

/* Open addressing with linear probing; a power of two of slots, at most half of them in use. */

#define SLOTS_MIN 64U

struct slot {
        struct mm_file_id file;
        struct mm_elf *elf;
        bool used;
};

struct mm_elf_cache {
        struct slot *slots;
        size_t n_slots, n_used;
};

static struct slot *find_slot(struct slot *slots, size_t n_slots, const struct mm_file_id *file)
{
        /* Inode numbers come in rows; multiplied by 2^64 divided by the golden ratio they spread. */
        uint64_t h = ((uint64_t)file->ino ^ ((uint64_t)file->dev << 32)) * UINT64_C(0x9e3779b97f4a7c15);

        for (size_t i = (h >> 32) & (n_slots - 1);; i = (i + 1) & (n_slots - 1))
                if (!slots[i].used || mm_file_id_equal(&slots[i].file, file))
                        return slots + i;
}

int mm_elf_cache_new(struct mm_elf_cache **ret)
{
        _cleanup_(mm_elf_cache_freep) struct mm_elf_cache *c = NULL;

        c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        c->slots = calloc(SLOTS_MIN, sizeof(*c->slots));
        if (!c->slots)
                return -ENOMEM;
        c->n_slots = SLOTS_MIN;

        *ret = TAKE_PTR(c);
        return 0;
}

struct mm_elf_cache *mm_elf_cache_free(struct mm_elf_cache *c)
{
        size_t i;

        if (!c)
                return NULL;
        for (i = 0; i < c->n_slots; i++)
                free(c->slots[i].elf);
        free(c->slots);
        free(c);
        return NULL;
}

static int grow(struct mm_elf_cache *c)
{
        size_t n_slots = c->n_slots * 2, i;
        struct slot *slots;

        slots = calloc(n_slots, sizeof(*slots));
        if (!slots)
                return -ENOMEM;
        for (i = 0; i < c->n_slots; i++)
                if (c->slots[i].used)
                        *find_slot(slots, n_slots, &c->slots[i].file) = c->slots[i];
        free(c->slots);
        c->slots = slots;
        c->n_slots = n_slots;
        return 0;
}

int mm_elf_cache_put(struct mm_elf_cache *c, const struct mm_file_id *file, const struct mm_elf *elf)
{
        _cleanup_(freep) struct mm_elf *copy = NULL;
        struct slot *slot;
        int r;

        slot = find_slot(c->slots, c->n_slots, file);
        if (slot->used)
                return 0;

        if (elf) {
                copy = malloc(sizeof(*copy));
                if (!copy)
                        return -ENOMEM;
                *copy = *elf;
        }
        if ((c->n_used + 1) * 2 > c->n_slots) {
                r = grow(c);
                if (r < 0)
                        return r;
                slot = find_slot(c->slots, c->n_slots, file);
        }

        *slot = (struct slot){ .file = *file, .elf = TAKE_PTR(copy), .used = true };
        c->n_used++;
        return 0;
}

int mm_elf_cache_get(const struct mm_elf_cache *c, const struct mm_file_id *file, const struct mm_elf **ret)
{
        const struct slot *slot = find_slot(c->slots, c->n_slots, file);

        if (!slot->used)
                return 0;
        *ret = slot->elf;
        return 1;
}
