/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lib/procfs.h"

/* The areas (VMAs) of a process as /proc/PID/maps lists them, proc_pid_maps(5). */

enum mm_area_kind {
        MM_AREA_ANON,       /* no name */
        MM_AREA_NAMED_ANON, /* [anon:NAME], prctl(PR_SET_VMA_ANON_NAME) */
        MM_AREA_HEAP,       /* [heap] */
        MM_AREA_STACK,      /* [stack]: the first thread's; [stack:TID] of kernels before 4.5 */
        MM_AREA_FILE,       /* a file, whether its name still exists or not */
        MM_AREA_SHARED,     /* memory without a file of its own: memfd, /dev/zero, SysV, [anon_shmem:...] */
        MM_AREA_DEVICE,     /* below /dev, /sys or /proc; dma-buf, socket, anon_inode; what follows it is
                               not touched either */
        MM_AREA_SPECIAL,    /* the kernel's own: [vdso], [vvar], [uprobes], ...; huge pages without a file */
};

enum {
        MM_AREA_READ = 1 << 0,
        MM_AREA_WRITE = 1 << 1,
        MM_AREA_EXEC = 1 << 2,
        MM_AREA_MAYSHARE = 1 << 3, /* "s" in maps: MAP_SHARED */
        MM_AREA_DELETED = 1 << 4,  /* the file's name is gone */
};

struct mm_area {
        uint64_t start, end; /* bytes, page-aligned, start < end */
        uint64_t offset;     /* bytes into the file */
        struct mm_file_id file;
        const char *name; /* path without " (deleted)", its newlines as they are; or what stands in the
                             brackets, as in "heap" and "anon:NAME"; "" if none; belongs to the list */
        uint8_t kind;     /* enum mm_area_kind */
        uint8_t flags;    /* MM_AREA_* */
};

/* Ascending and disjoint. */
struct mm_areas {
        struct mm_area *items;
        size_t n;
        char *text; /* the names live here */
};

/* The kernel's own default for vm.max_map_count is 65530; a process with more than this is refused
 * rather than kept in memory. */
#define MM_AREAS_MAX (1U << 20)

/* Reads all areas of the process whose /proc/PID is @process_fd. mmap_lock is taken for that, so
 * this can hang as long as a page fault of the target does: only for the worker.
 * Returns 0 and *@ret (mm_areas_done), -ESRCH if the process has no memory (any more), -E2BIG,
 * -EACCES, -EINVAL for a malformed line, -ENOMEM; -EAGAIN if areas overlap, because the process
 * changed them between two reads, and did so each time we tried. */
int mm_areas_read(int process_fd, struct mm_areas *ret);

/* The same from text; takes over @text (malloc, @size bytes and a NUL behind them) in any case. */
int mm_areas_parse(char *text, size_t size, struct mm_areas *ret);

void mm_areas_done(struct mm_areas *a);

/* The area that holds @address, or NULL. */
const struct mm_area *mm_areas_find(const struct mm_areas *a, uint64_t address);
