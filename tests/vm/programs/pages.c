// SPDX-License-Identifier: LGPL-2.1-or-later
#include "pages.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "case.h"

void *pages_map(size_t n) {
        void *address = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        check(address != MAP_FAILED);
        check(madvise(address, n * PAGE, MADV_NOHUGEPAGE) == 0);
        return address;
}

static void page_make(uint64_t *words, uint64_t seed, size_t page) {
        uint64_t state = seed * 0x9e3779b97f4a7c15 + page * 0xbf58476d1ce4e5b9 + 1;

        for (size_t i = 0; i < PAGE / sizeof(*words); i++) {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                words[i] = seed ? state : 0;
        }
}

void pages_fill(void *address, size_t n, uint64_t seed) {
        for (size_t i = 0; i < n; i++)
                page_make((uint64_t *)((char *)address + i * PAGE), seed, i);
}

size_t pages_wrong(const void *address, size_t n, uint64_t seed) {
        uint64_t expected[PAGE / sizeof(uint64_t)];
        size_t wrong = 0;

        for (size_t i = 0; i < n; i++) {
                page_make(expected, seed, i);
                wrong += memcmp(expected, (const char *)address + i * PAGE, PAGE) != 0;
        }
        return wrong;
}

void pages_settle(void) {
        long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
        cpu_set_t all, one;
        char *pages;

        check(sched_getaffinity(0, sizeof(all), &all) == 0);
        for (long cpu = 0; cpu < n_cpus; cpu++) {
                CPU_ZERO(&one);
                CPU_SET(cpu, &one);
                check(sched_setaffinity(0, sizeof(one), &one) == 0);
                pages = pages_map(64);
                memset(pages, 1, 64 * PAGE);
                munmap(pages, 64 * PAGE);
        }
        check(sched_setaffinity(0, sizeof(all), &all) == 0);
}

void pages_drain(void) {
        int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

        check(fd >= 0);
        check_equal(write(fd, "1", 1), 1);
        close(fd);
        fd = open("/proc/sys/vm/stat_refresh", O_WRONLY | O_CLOEXEC);
        check(fd >= 0);
        check_equal(write(fd, "1", 1), 1);
        close(fd);
}

void pages_frames(pid_t pid, uintptr_t address, uint64_t *frames, size_t n) {
        char path[64];
        int fd;

        snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        check(fd >= 0);
        check(pread(fd, frames, n * sizeof(*frames), address / PAGE * sizeof(*frames)) ==
              (ssize_t)(n * sizeof(*frames)));
        close(fd);
        for (size_t i = 0; i < n; i++)
                frames[i] = frames[i] >> 63 ? frames[i] & ((1ULL << 55) - 1) : 0;
}

uint64_t page_frame(pid_t pid, uintptr_t address) {
        uint64_t frame;

        pages_frames(pid, address, &frame, 1);
        return frame;
}

uint64_t zero_frame(void) {
        volatile char *page = pages_map(1);
        uint64_t frame;

        (void)*page;
        frame = page_frame(getpid(), (uintptr_t)page);
        munmap((void *)page, PAGE);
        check(frame);
        return frame;
}

size_t pages_shared(pid_t a, pid_t b, uintptr_t address, size_t n) {
        uint64_t *frames = calloc(2 * n, sizeof(*frames));
        size_t shared = 0;

        check(frames);
        pages_frames(a, address, frames, n);
        pages_frames(b, address, frames + n, n);
        for (size_t i = 0; i < n; i++)
                shared += frames[i] && frames[i] == frames[n + i];
        free(frames);
        return shared;
}

size_t pages_zero(pid_t pid, uintptr_t address, size_t n) {
        uint64_t *frames = calloc(n, sizeof(*frames)), zero = zero_frame();
        size_t count = 0;

        check(frames);
        pages_frames(pid, address, frames, n);
        for (size_t i = 0; i < n; i++)
                count += frames[i] == zero;
        free(frames);
        return count;
}

static long figure_of(const char *path, const char *name) {
        size_t length = strlen(name);
        char line[256];
        long value = -1;
        FILE *f = fopen(path, "re");

        check(f);
        while (value < 0 && fgets(line, sizeof(line), f))
                if (strncmp(line, name, length) == 0 && strchr(": \t", line[length]))
                        value = strtol(line + length + 1, NULL, 10);
        fclose(f);
        if (value < 0)
                fail("%s has no %s", path, name);
        return value;
}

long kib_of(pid_t pid, const char *name) {
        char path[64] = "/proc/meminfo";

        if (pid)
                snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
        return figure_of(path, name);
}

long vmstat(const char *name) {
        return figure_of("/proc/vmstat", name);
}
