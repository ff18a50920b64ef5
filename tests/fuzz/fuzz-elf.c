/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"
#include "lib/elf.h"
#include "lib/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct mm_elf elf, before;
        size_t i;
        int r;

        memset(&elf, 0, sizeof(elf));
        memset(&before, 0, sizeof(before));
        r = mm_elf_parse(data, size, &elf);
        if (r < 0) {
                CHECK(r == -ENOEXEC || r == -EINVAL || r == -E2BIG);
                CHECK(memcmp(&elf, &before, sizeof(elf)) == 0);
                return 0;
        }
        CHECK(elf.n_segments <= MM_ELF_SEGMENTS_MAX);
        CHECK(elf.relro_vaddr + elf.relro_memsz >= elf.relro_vaddr);
        for (i = 0; i < elf.n_segments; i++) {
                const struct mm_elf_segment *s = elf.segments + i;

                CHECK(s->filesz <= s->memsz && s->memsz > 0);
                /* Rounding up to a page overflows neither. */
                CHECK(s->vaddr + s->memsz + MM_PAGE_SIZE > s->vaddr);
                CHECK(s->offset + s->filesz + MM_PAGE_SIZE > s->offset);
                CHECK(s->filesz == 0 || (s->vaddr - s->offset) % MM_PAGE_SIZE == 0);
                CHECK(i == 0 || s->vaddr >= s[-1].vaddr + s[-1].memsz);
        }
        return 0;
}
