/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-readelf.h"

#include <elf.h>

void readelf_parse(const char *text, const char *path, struct mm_elf *ret)
{
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
        gboolean ours = TRUE;

        *ret = (struct mm_elf){};
        for (char **line = lines; *line; line++) {
                unsigned long offset, vaddr, filesz, memsz;
                char type[32], flags[4];

                if (g_str_has_prefix(*line, "File: "))
                        ours = g_str_equal(*line + strlen("File: "), path);
                if (!ours || sscanf(*line, " %31s 0x%lx 0x%lx 0x%*x 0x%lx 0x%lx %3[RWE ]", type, &offset,
                                    &vaddr, &filesz, &memsz, flags) != 6)
                        continue;

                if (g_str_equal(type, "LOAD")) {
                        g_assert_cmpuint(ret->n_segments, <, MM_ELF_SEGMENTS_MAX);
                        ret->segments[ret->n_segments++] = (struct mm_elf_segment){
                                .vaddr = vaddr,
                                .offset = offset,
                                .filesz = filesz,
                                .memsz = memsz,
                                .flags = (uint32_t)((strchr(flags, 'R') ? PF_R : 0) |
                                                    (strchr(flags, 'W') ? PF_W : 0) |
                                                    (strchr(flags, 'E') ? PF_X : 0)),
                        };
                } else if (g_str_equal(type, "GNU_RELRO")) {
                        ret->relro_vaddr = vaddr;
                        ret->relro_memsz = memsz;
                }
        }
        g_assert_cmpuint(ret->n_segments, >, 0);
}

void readelf_run(const char *path, struct mm_elf *ret)
{
        const char *argv[] = { "readelf", "-lW", path, NULL };
        g_autoptr(GError) error = NULL;
        g_autofree char *text = NULL;
        int status;

        (void) g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &text, NULL, &status,
                            &error);
        g_assert_no_error(error);
        g_assert_cmpint(status, ==, 0);
        readelf_parse(text, path, ret);
}

void assert_elf_equal(const struct mm_elf *a, const struct mm_elf *b)
{
        g_assert_cmpuint(a->n_segments, ==, b->n_segments);
        for (size_t i = 0; i < a->n_segments; i++) {
                g_assert_cmphex(a->segments[i].vaddr, ==, b->segments[i].vaddr);
                g_assert_cmphex(a->segments[i].offset, ==, b->segments[i].offset);
                g_assert_cmphex(a->segments[i].filesz, ==, b->segments[i].filesz);
                g_assert_cmphex(a->segments[i].memsz, ==, b->segments[i].memsz);
                g_assert_cmphex(a->segments[i].flags, ==, b->segments[i].flags);
        }
        g_assert_cmphex(a->relro_vaddr, ==, b->relro_vaddr);
        g_assert_cmphex(a->relro_memsz, ==, b->relro_memsz);
}
