/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/procfs.h"

/* What the program headers of an ELF file say of its writable memory: elf(5). */

#define MM_ELF_SEGMENTS_MAX 32U

struct mm_elf_segment {
        uint64_t vaddr;  /* as linked; only distances count, the file is loaded anywhere */
        uint64_t offset; /* in the file */
        uint64_t filesz, memsz;
        uint32_t flags; /* PF_R, PF_W, PF_X */
};

struct mm_elf {
        uint16_t type;  /* ET_EXEC, ET_DYN */
        uint8_t class_; /* ELFCLASS32, ELFCLASS64 */
        size_t n_segments;
        struct mm_elf_segment segments[MM_ELF_SEGMENTS_MAX]; /* PT_LOAD, ascending vaddr */
        uint64_t relro_vaddr, relro_memsz;                    /* PT_GNU_RELRO; 0, 0 if there is none */
};

/* Parses the first @size bytes of a file. 0; -ENOEXEC if it is not ELF of this machine's byte
 * order; -E2BIG for more PT_LOADs than MM_ELF_SEGMENTS_MAX; -EINVAL if the headers contradict
 * themselves or lie beyond @size. */
int mm_elf_parse(const void *data, size_t size, struct mm_elf *ret);

/* The same from a file that a process maps at [@start, @end): through /proc/PID/map_files, so that
 * it is that very file even if the name leads elsewhere now. Where that is not permitted
 * (CAP_CHECKPOINT_RESTORE), from the memory there, which has to be where offset 0 of the file is
 * mapped and to hold all headers. -ENOENT if there is no such area. Can hang on a dead file system:
 * only for the worker. */
int mm_elf_read_mapped(int process_fd, uint64_t start, uint64_t end, struct mm_elf *ret);

/* Headers by file, so that each is read once per round whatever the number of processes. Files that
 * are no ELF are remembered too. */
struct mm_elf_cache;
int mm_elf_cache_new(struct mm_elf_cache **ret);
struct mm_elf_cache *mm_elf_cache_free(struct mm_elf_cache *c);
DEFINE_CLEANUP_FUNC(struct mm_elf_cache *, mm_elf_cache_free)

/* Adds what is known of @file; NULL @elf: no ELF. 0 or -ENOMEM. */
int mm_elf_cache_put(struct mm_elf_cache *c, const struct mm_file_id *file, const struct mm_elf *elf);
/* 1 and *@ret (NULL: known to be no ELF; valid until the cache is freed), 0 if nothing is known. */
int mm_elf_cache_get(const struct mm_elf_cache *c, const struct mm_file_id *file, const struct mm_elf **ret);
