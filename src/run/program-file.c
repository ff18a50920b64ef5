/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/program-file.h"

#include <elf.h>

#include "lib/elf.h"

/* Most have both near the beginning. */
#define PIECE_BYTES (64U * 1024U)
#define OVERLAP_BYTES 16U

static bool is_blank(char c)
{
        return c == ' ' || c == '\t';
}

int program_parse_script(char *text, size_t size, char **ret_interpreter, char **ret_argument)
{
        char *end, *name, *rest;
        bool whole = true;

        if (size < 2 || text[0] != '#' || text[1] != '!')
                return 0;
        end = memchr(text, '\n', size);
        if (!end) {
                whole = size < PROGRAM_LINE_MAX;
                end = text + size;
        }
        *end = '\0';
        end = text + strlen(text);

        while (is_blank(end[-1]) && end > text + 2)
                *--end = '\0';
        for (name = text + 2; is_blank(*name); name++)
                ;
        if (*name == '\0')
                return -ENOEXEC;
        rest = name + strcspn(name, " \t");
        /* Cut in the middle of the name it would be another one. */
        if (*rest == '\0' && !whole)
                return -ENOEXEC;
        if (*rest != '\0')
                for (*rest++ = '\0'; is_blank(*rest); rest++)
                        ;
        *ret_interpreter = name;
        *ret_argument = *rest != '\0' ? rest : NULL;
        return 1;
}

static void find_code(const uint8_t *data, size_t size, const struct mm_elf *elf, struct mm_inject_code *c)
{
        for (size_t i = 0; i < elf->n_segments; i++) {
                const struct mm_elf_segment *s = elf->segments + i;
                uint64_t end;

                if ((s->flags & PF_X) == 0 || s->offset > size)
                        continue;
                end = MIN(s->filesz, (uint64_t) size - s->offset);
                for (uint64_t at = 0; at < end && (c->call == 0 || c->restorer == 0); at += PIECE_BYTES)
                        mm_inject_code_scan(data + s->offset + at,
                                            MIN(end - at, (uint64_t) PIECE_BYTES + OVERLAP_BYTES),
                                            s->vaddr + at, c);
        }
}

/* The path that a PT_INTERP holds; NULL if there is none, or no path in it. */
static const char *find_interpreter(const char *data, size_t size, const Elf64_Ehdr *header)
{
        for (size_t i = 0; i < header->e_phnum; i++) {
                Elf64_Phdr h;

                memcpy(&h, data + header->e_phoff + i * sizeof(h), sizeof(h));
                if (h.p_type != PT_INTERP)
                        continue;
                if (h.p_offset > size || h.p_filesz > size - h.p_offset || h.p_filesz < 2 ||
                    data[h.p_offset + h.p_filesz - 1] != '\0')
                        return NULL;
                return data + h.p_offset;
        }
        return NULL;
}

int program_parse_elf(const void *data, size_t size, struct program_elf *ret)
{
        struct program_elf p = { 0 };
        Elf64_Ehdr header;
        struct mm_elf elf;
        int r;

        r = mm_elf_parse(data, size, &elf);
        if (r < 0)
                return r;
        if (elf.class_ != ELFCLASS64)
                return -EAFNOSUPPORT;
        memcpy(&header, data, sizeof(header));
        if (header.e_machine != EM_X86_64)
                return -EAFNOSUPPORT;

        p.entry = header.e_entry;
        p.interpreter = find_interpreter(data, size, &header);
        if (!p.interpreter)
                find_code(data, size, &elf, &p.code);
        *ret = p;
        return 0;
}
