/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* recount PID...
 *
 * Prints how many page frames hold the private memory of these processes: each frame counts once, however
 * many pages are mapped to it. The difference between two counts is what a merge saved. This is the second
 * opinion on the figures of mergememd, hence nothing of src/ is used here. */

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define PAGEMAP_FILE_OR_SHARED (UINT64_C(1) << 61)
#define PAGEMAP_FRAME ((UINT64_C(1) << 55) - 1)
#define KPAGEFLAGS_ZERO_PAGE (UINT64_C(1) << 24)

struct frames {
        uint64_t *frame;
        size_t n, allocated;
};

static void fail(const char *what) {
        fprintf(stderr, "recount: ");
        perror(what);
        exit(EXIT_FAILURE);
}

static void add(struct frames *frames, uint64_t frame) {
        if (frames->n == frames->allocated) {
                frames->allocated = frames->allocated > 0 ? 2 * frames->allocated : 65536;
                frames->frame = realloc(frames->frame, frames->allocated * sizeof(uint64_t));
                if (!frames->frame)
                        fail("memory");
        }
        frames->frame[frames->n++] = frame;
}

/* In anonymous areas what is not an anonymous page is a frame that mergemod shares. */
static void add_range(struct frames *frames, int pagemap, uint64_t page, uint64_t end, int anonymous) {
        static uint64_t entries[8192];
        uint64_t unwanted = anonymous ? 0 : PAGEMAP_FILE_OR_SHARED;

        while (page < end) {
                size_t want = end - page < 8192 ? end - page : 8192;
                ssize_t n = pread(pagemap, entries, want * 8, (off_t) (page * 8));

                if (n < 8)
                        fail("pagemap");
                for (ssize_t i = 0; i < n / 8; i++, page++)
                        if ((entries[i] & PAGEMAP_PRESENT) && !(entries[i] & unwanted)) {
                                if (!(entries[i] & PAGEMAP_FRAME)) {
                                        fprintf(stderr, "recount: the kernel hides frame numbers\n");
                                        exit(EXIT_FAILURE);
                                }
                                add(frames, entries[i] & PAGEMAP_FRAME);
                        }
        }
}

static void add_process(struct frames *frames, const char *pid) {
        size_t page_size = (size_t) sysconf(_SC_PAGESIZE), length = 0;
        char path[64], *line = NULL;
        uint64_t start, end, inode;
        char access[5];
        FILE *maps;
        int pagemap;

        snprintf(path, sizeof(path), "/proc/%s/pagemap", pid);
        pagemap = open(path, O_RDONLY | O_CLOEXEC);
        if (pagemap < 0)
                fail(path);
        snprintf(path, sizeof(path), "/proc/%s/maps", pid);
        maps = fopen(path, "re");
        if (!maps)
                fail(path);
        while (getline(&line, &length, maps) > 0)
                /* The vsyscall page lies in the kernel's half, where pagemap ends. */
                if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*s %*s %" SCNu64, &start, &end, access,
                           &inode) == 4 &&
                    access[3] == 'p' && end >> 63 == 0)
                        add_range(frames, pagemap, start / page_size, end / page_size, inode == 0);
        if (ferror(maps))
                fail(path);
        free(line);
        fclose(maps);
        close(pagemap);
}

static int compare(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
        struct frames frames = {};
        uint64_t flags, last = 0;
        size_t distinct = 0;
        int kpageflags;

        for (int i = 1; i < argc; i++)
                add_process(&frames, argv[i]);
        if (frames.n > 0)
                qsort(frames.frame, frames.n, sizeof(uint64_t), compare);

        kpageflags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
        if (kpageflags < 0)
                fail("/proc/kpageflags");
        for (size_t i = 0; i < frames.n; i++) {
                if (frames.frame[i] == last)
                        continue;
                last = frames.frame[i];
                if (pread(kpageflags, &flags, 8, (off_t) (last * 8)) != 8)
                        fail("/proc/kpageflags");
                /* The kernel's own pages of zeros are nobody's memory. */
                if (!(flags & KPAGEFLAGS_ZERO_PAGE))
                        distinct++;
        }
        printf("%zu\n", distinct);
        free(frames.frame);
        return EXIT_SUCCESS;
}
