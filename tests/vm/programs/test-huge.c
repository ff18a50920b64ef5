// SPDX-License-Identifier: LGPL-2.1-or-later
/* Huge pages. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "case.h"
#include "held.h"
#include "knob.h"

static char *area(int advice) {
        char *address = mmap((void *)0x400000000000UL, 4 * HUGE_PAGE, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

        check(address != MAP_FAILED);
        if (advice)
                check_equal(madvise(address, 4 * HUGE_PAGE, advice), 0);
        return address;
}

/* Does one start there? */
static bool is_area(const void *address) {
        char line[512], start[32];
        bool found = false;
        FILE *f = fopen("/proc/self/maps", "re");

        snprintf(start, sizeof(start), "%lx-", (unsigned long)address);
        while (!found && fgets(line, sizeof(line), f))
                found = strncmp(line, start, strlen(start)) == 0;
        fclose(f);
        return found;
}

static bool has_flag(const void *address, const char *flag) {
        char line[512], start[32];
        bool here = false, found = false;
        FILE *f = fopen("/proc/self/smaps", "re");

        snprintf(start, sizeof(start), "%lx-", (unsigned long)address);
        while (fgets(line, sizeof(line), f)) {
                if (strncmp(line, start, strlen(start)) == 0)
                        here = true;
                if (here && strncmp(line, "VmFlags:", 8) == 0) {
                        found = strstr(line, flag);
                        break;
                }
        }
        fclose(f);
        return found;
}

/* A huge page is split by taking hold of a part of it, which is not ready at once then. */
static int merge_one(int fd, uint32_t target, char *page, uint32_t huge) {
        struct mergemod_merge merge = { .huge = huge };
        int status = held_merge_one(fd, target, (uintptr_t)page, merge);

        if (status != -EAGAIN)
                return status;
        check_equal(huge, MERGEMOD_HUGE_SPLIT);
        pages_settle();
        return held_merge_one(fd, target, (uintptr_t)page, merge);
}

static void modes(void) {
        static const uint32_t huge[] = { MERGEMOD_HUGE_KEEP, MERGEMOD_HUGE_AUTO, MERGEMOD_HUGE_SPLIT };
        static const int expected[] = { -E2BIG, -E2BIG, 0 };
        int fd = device_open();
        uint32_t target = device_attach(fd, getpid());

        for (size_t i = 0; i < 3; i++) {
                char *pages = area(MADV_HUGEPAGE);

                pages_fill(pages, 4 * 512, 3);
                pages_settle();
                check_equal(merge_one(fd, target, pages + 9 * PAGE, huge[i]), expected[i]);
                check_equal(has_flag(pages, " nh"), expected[i] == 0);
                check_equal(pages_wrong(pages, 4 * 512, 3), 0);
        }
        check_equal(device_unmerge(fd, target, 0x400000000000UL, 4 * 512, 0), 1);
        check(has_flag((void *)0x400000000000UL, " hg"));
        check_equal(pages_wrong((void *)0x400000000000UL, 4 * 512, 3), 0);
}

/* In two parts, in either order, and with one more try after something was left. */
static void in_parts(void) {
        const struct mergemod_merge merge = { .huge = MERGEMOD_HUGE_AUTO };
        int fd = device_open();
        uint32_t target = device_attach(fd, getpid());

        for (int forwards = 0; forwards < 2; forwards++) {
                char *pages = area(MADV_NOHUGEPAGE), *middle = pages + 2 * HUGE_PAGE;
                uintptr_t parts[] = { (uintptr_t)middle, (uintptr_t)pages };

                pages_fill(pages, 4 * 512, 3);
                pages_settle();
                check_equal(madvise(pages, 4 * HUGE_PAGE, MADV_HUGEPAGE), 0);
                check_equal(held_merge_one(fd, target, (uintptr_t)pages, merge), 0);
                check_equal(held_merge_one(fd, target, (uintptr_t)middle, merge), 0);
                check_equal(device_unmerge(fd, target, parts[forwards], 2 * 512, 0), 1);
                check(has_flag(pages, " nh"));
                check_equal(device_unmerge(fd, target, parts[!forwards], 2 * 512, 0), 1);
                check_equal(device_unmerge(fd, target, (uintptr_t)middle, 2 * 512, 0), 0);
                check(has_flag(pages, " hg"));
                check_equal(pages_wrong(pages, 4 * 512, 3), 0);
        }
}

static void small_pages(void) {
        int fd = device_open();
        uint32_t target = device_attach(fd, getpid());
        char *pages = area(MADV_NOHUGEPAGE);

        pages_fill(pages, 4 * 512, 3);
        pages_settle();
        check_equal(madvise(pages, 4 * HUGE_PAGE, MADV_HUGEPAGE), 0);
        check_equal(held_merge_one(fd, target, (uintptr_t)pages, (struct mergemod_merge){}), -E2BIG);
        check_equal(held_merge_one(fd, target, (uintptr_t)pages,
                                   (struct mergemod_merge){ .huge = MERGEMOD_HUGE_AUTO }), 0);
        check(has_flag(pages, " nh"));
        check_equal(device_unmerge(fd, target, (uintptr_t)pages, 4 * 512, 0), 1);
        check(has_flag(pages, " hg"));
        check_equal(pages_wrong(pages, 4 * 512, 3), 0);
}

/* One with CONFIG_DEBUG_VM. */
static bool kernel_asserts(void) {
        char line[512];
        bool found = false;
        FILE *f = fopen("/proc/kallsyms", "re");

        check(f);
        while (!found && fgets(line, sizeof(line), f))
                found = strstr(line, " dump_mm\n");
        fclose(f);
        return found;
}

static char *small_area(char *address) {
        check(mmap(address, 8 * PAGE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == address);
        pages_fill(address, 8, 3);
        pages_settle();
        return address;
}

/* Areas that could not hold one are merged whatever is said of huge pages, and join others afterwards. Where
 * the kernel would stop over that if they joined at the wrong moment they do not. */
static void small_areas(void) {
        int fd = device_open();
        uint32_t target = device_attach(fd, getpid());
        bool kept_apart = kernel_asserts();

        for (uint32_t huge = MERGEMOD_HUGE_KEEP; huge <= MERGEMOD_HUGE_SPLIT; huge++) {
                char *start = small_area((char *)0x400000000000UL), *next = start + 8 * PAGE;

                check_equal(held_merge_one(fd, target, (uintptr_t)start + PAGE,
                                           (struct mergemod_merge){ .huge = huge }), 0);
                check_equal(has_flag(start, " nh"), kept_apart);
                small_area(next);
                check_equal(is_area(next), kept_apart);
                check_equal(device_unmerge(fd, target, (uintptr_t)start, 8, 0), 1);
                check(!has_flag(start, " nh"));
                check_equal(pages_wrong(start, 8, 3) + pages_wrong(next, 8, 3), 0);
                check_equal(munmap(start, 16 * PAGE), 0);
        }
}

/* More than is looked at under one hold of a lock, with few pages. */
#define LARGE ((char *)0x500000000000UL)
#define LARGE_BYTES (1UL << 30)

static void map_large(void) {
        /* Or khugepaged makes huge pages of these. */
        knob_set("/sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_none", "0");
        check(mmap(LARGE, LARGE_BYTES, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == LARGE);
        check_equal(madvise(LARGE, LARGE_BYTES, MADV_NOHUGEPAGE), 0);
        for (size_t at = 0; at < LARGE_BYTES; at += 8 * HUGE_PAGE)
                memset(LARGE + at, 1, PAGE);
        pages_settle();
        check_equal(madvise(LARGE, LARGE_BYTES, MADV_HUGEPAGE), 0);
}

/* The last huge page is found, and that there is none any more. */
static void large_area(void) {
        char *last = LARGE + LARGE_BYTES - HUGE_PAGE;
        int fd = device_open();
        uint32_t target = device_attach(fd, getpid());
        struct mergemod_merge automatic = { .huge = MERGEMOD_HUGE_AUTO };

        map_large();
        memset(last, 1, PAGE);
        check_equal(held_merge_one(fd, target, (uintptr_t)LARGE, automatic), -E2BIG);
        check_equal(madvise(last, HUGE_PAGE, MADV_DONTNEED), 0);
        check_equal(held_merge_one(fd, target, (uintptr_t)LARGE, automatic), 0);
        check(has_flag(LARGE, " nh"));
        check_equal(device_unmerge(fd, target, (uintptr_t)LARGE, LARGE_BYTES / PAGE, 0), 1);
        check(has_flag(LARGE, " hg"));
        knob_set("/sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_none", "511");
}

static bool is_merged(int fd, uint32_t target, const char *address) {
        struct mergemod_page page = {};
        struct mergemod_scan scan = { .target = target, .start = (uintptr_t)address,
                                      .end = (uintptr_t)address + PAGE, .pages = (uintptr_t)&page,
                                      .n_pages = 1 };

        check_equal(device_call(fd, MERGEMOD_PAGES, &scan), 0);
        check_equal(scan.done, 1);
        return page.flags & MERGEMOD_PAGE_MERGED;
}

#define ROUNDS 20
#define MERGES 8

static void *merge_first(void *unused) {
        struct mergemod_merge split = { .huge = MERGEMOD_HUGE_SPLIT };
        int fd = device_open();
        uint32_t target = device_attach(fd, getpid());
        size_t n_merged = 0;

        for (int i = 0; i < MERGES; i++) {
                /* The page that was unmerged. */
                pages_settle();
                n_merged += held_merge_one(fd, target, (uintptr_t)LARGE, split) == 0;
                usleep(i * 500);
        }
        close(fd);
        return (void *)n_merged;
}

/* One session allows huge pages again, another merges meanwhile: where something is merged in the end they
 * are forbidden. */
static void two_sessions(void) {
        int fd = device_open();
        uint32_t target = device_attach(fd, getpid());
        size_t n_merged = 0, n_left = 0;

        map_large();
        for (int i = 0; i < ROUNDS; i++) {
                pthread_t thread;
                void *merged;

                check_equal(pthread_create(&thread, NULL, merge_first, NULL), 0);
                /* The other one goes on for longer. */
                for (int j = 0; j < MERGES / 2; j++) {
                        held_merge_one(fd, target, (uintptr_t)LARGE,
                                       (struct mergemod_merge){ .huge = MERGEMOD_HUGE_SPLIT });
                        device_unmerge(fd, target, (uintptr_t)LARGE, LARGE_BYTES / PAGE, 0);
                }
                check_equal(pthread_join(thread, &merged), 0);
                n_merged += (size_t)merged;
                if (!is_merged(fd, target, LARGE))
                        continue;
                n_left++;
                check(has_flag(LARGE, " nh"));
        }
        printf("# %zu merged, %zu times at the end\n", n_merged, n_left);
        check_at_least(n_left, 1);
        knob_set("/sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_none", "511");
}

#define AREAS 4096
#define AREA_STEP (2 * HUGE_PAGE)
#define AGAIN 128

/* Areas of the size of a huge page, each with one page. */
static void map_areas(char *start, size_t n) {
        for (size_t i = 0; i < n; i++) {
                char *page = start + i * AREA_STEP;

                check(mmap(page, HUGE_PAGE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page);
                check_equal(madvise(page, HUGE_PAGE, MADV_NOHUGEPAGE), 0);
                memset(page, 1, PAGE);
                check_equal(madvise(page, HUGE_PAGE, MADV_HUGEPAGE), 0);
        }
        pages_settle();
}

/* What is remembered of areas is bounded, and forgotten when they go. */
static void many_areas(void) {
        static struct mergemod_element elements[AREAS + 1];
        struct mergemod_merge merge = { .huge = MERGEMOD_HUGE_SPLIT };
        char *start = (char *)0x400000000000UL;
        int fd = device_open();
        uint32_t target = device_attach(fd, getpid());
        size_t n_merged = 0;

        /* Or khugepaged fills up one of them before its turn comes. */
        knob_set("/sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_none", "0");
        for (int round = 0; round < 2; round++) {
                map_areas(start, AREAS + 1);
                for (size_t i = 0; i <= AREAS; i++)
                        elements_fill(elements + i, target, (uintptr_t)start + i * AREA_STEP, 1, 0);
                check_equal(device_merge(fd, &merge, elements, AREAS + 1), 0);
                check_equal(merge.merged, AREAS);
                check_equal(elements[AREAS].status, -ENOMEM);
                check(has_flag(start, " nh"));
                munmap(start, (AREAS + 1) * AREA_STEP);
        }
        /* The same ones again and again. Now and then khugepaged is first. */
        map_areas(start, AGAIN);
        for (int i = 0; n_merged < AREAS + 10 && i < 3 * AREAS / AGAIN; i++) {
                for (size_t j = 0; j < AGAIN; j++) {
                        check_equal(madvise(start + j * AREA_STEP, HUGE_PAGE, MADV_HUGEPAGE), 0);
                        start[j * AREA_STEP] = i;
                        elements_fill(elements + j, target, (uintptr_t)start + j * AREA_STEP, 1, j);
                }
                pages_settle();
                check_equal(device_merge(fd, &merge, elements, AGAIN), 0);
                check_equal(elements_count(elements, AGAIN, 0) + elements_count(elements, AGAIN, -EAGAIN) +
                            elements_count(elements, AGAIN, -E2BIG), AGAIN);
                n_merged += merge.merged;
        }
        check_at_least(n_merged, AREAS + 10);
        check_equal(device_unmerge(fd, target, (uintptr_t)start, 512, 0), elements[0].status == 0);
        check(has_flag(start, " hg"));
        knob_set("/sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_none", "511");
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "huge pages: kept, kept, split", modes },
                { "huge pages: areas that could hold one", small_pages },
                { "huge pages: unmerged in parts", in_parts },
                { "huge pages: areas that could not", small_areas },
                { "huge pages: in a large area", large_area },
                { "huge pages: allowed by one, forbidden by another", two_sessions },
                { "huge pages: more areas than are remembered", many_areas },
        };

        return CASES_RUN(argc, argv, cases);
}
