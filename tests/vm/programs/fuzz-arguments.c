// SPDX-License-Identifier: LGPL-2.1-or-later
#include "fuzz-arguments.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "case.h"
#include "pages.h"

#define ARRAY_MAX 192
#define NUMBERS 8

static void *map_to_the_end(size_t size) {
        size_t whole = (size + PAGE - 1) / PAGE * PAGE;
        char *address = mmap(NULL, whole + PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        check(address != MAP_FAILED);
        check_equal(mprotect(address, whole, PROT_READ | PROT_WRITE), 0);
        return address + whole - size;
}

static unsigned below(struct fuzz_caller *caller, unsigned n) {
        return random_below(&caller->random, n);
}

static bool once_in(struct fuzz_caller *caller, unsigned n) {
        return random_once_in(&caller->random, n);
}

static uint64_t some_address(struct fuzz_caller *caller) {
        return FUZZ_ADDRESS + below(caller, FUZZ_PAGES) * PAGE;
}

static uint32_t some_number(struct fuzz_caller *caller) {
        return 1 + below(caller, NUMBERS);
}

static void make_info(struct fuzz_caller *caller) {
        caller->argument.info.version = MERGEMOD_VERSION;
        caller->argument.info.features = below(caller, 8);
}

static void make_attach(struct fuzz_caller *caller) {
        unsigned target = below(caller, FUZZ_TARGETS + 1);

        caller->argument.attach.pid = target < FUZZ_TARGETS ? caller->board->pids[target] : getpid();
}

static void make_target(struct fuzz_caller *caller) {
        caller->argument.target.target = some_number(caller);
}

/* Which hash, and how often pages are mapped; one in eight asks for two hashes. */
static uint32_t some_hash(struct fuzz_caller *caller) {
        static const uint32_t flags[8] = {
                [1] = MERGEMOD_SCAN_SAMPLE,
                [2] = MERGEMOD_SCAN_SAMPLE,
                [3] = MERGEMOD_SCAN_ADDROTHALF,
                [4] = MERGEMOD_SCAN_ADDROTHALF,
                [5] = MERGEMOD_SCAN_CONST,
                [7] = MERGEMOD_SCAN_ADDROTHALF | MERGEMOD_SCAN_CONST,
        };

        return flags[below(caller, 8)] | (once_in(caller, 2) ? MERGEMOD_SCAN_COUNT : 0);
}

static void make_scan(struct fuzz_caller *caller) {
        struct mergemod_scan *scan = &caller->argument.scan;

        scan->target = some_number(caller);
        scan->n_pages = 1 + below(caller, ARRAY_MAX);
        scan->pages = (uintptr_t)(caller->pages + ARRAY_MAX - scan->n_pages);
        scan->start = some_address(caller);
        scan->end = scan->start + (1 + below(caller, FUZZ_PAGES)) * PAGE;
        if (once_in(caller, 8)) {
                scan->start = 0;
                scan->end = 0x7ffffffff000;
        }
}

static void make_pages(struct fuzz_caller *caller) {
        make_scan(caller);
        caller->argument.scan.flags = once_in(caller, 2) ? MERGEMOD_SCAN_COUNT : 0;
}

static void make_wide_scan(struct fuzz_caller *caller) {
        make_scan(caller);
        caller->argument.scan.flags = below(caller, 16) | some_hash(caller);
        caller->argument.scan.seed = random_next(&caller->random);
}

static void make_hash(struct fuzz_caller *caller) {
        struct mergemod_scan *scan = &caller->argument.scan;
        struct mergemod_page *pages;

        make_wide_scan(caller);
        scan->flags = some_hash(caller);
        scan->start = scan->end = 0;
        pages = (struct mergemod_page *)scan->pages;
        for (unsigned i = 0; i < scan->n_pages; i++)
                pages[i].address = some_address(caller) + once_in(caller, 64);
}

static int by_place(const void *a, const void *b) {
        const struct mergemod_element *x = a, *y = b;

        if (x->target != y->target)
                return x->target < y->target ? -1 : 1;
        return (x->address > y->address) - (x->address < y->address);
}

static void make_elements(struct fuzz_caller *caller, struct mergemod_element *elements, unsigned n) {
        uint32_t target = some_number(caller);

        for (unsigned i = 0; i < n; i++) {
                unsigned page = below(caller, FUZZ_PAGES);

                if (once_in(caller, 16))
                        target = some_number(caller);
                elements[i] = (struct mergemod_element){
                        .address = FUZZ_ADDRESS + page * PAGE + once_in(caller, 256),
                        .target = target,
                        .group = page % FUZZ_SEEDS % n,
                        .reserved = once_in(caller, 256),
                };
        }
        if (!once_in(caller, 3))
                qsort(elements, n, sizeof(*elements), by_place);
}

static void make_merge(struct fuzz_caller *caller) {
        struct mergemod_merge *merge = &caller->argument.merge;

        merge->flags = once_in(caller, 8) ? MERGEMOD_MERGE_ZERO_ONLY : 0;
        merge->domain = below(caller, 4);
        merge->huge = below(caller, 3);
        merge->cgroup_fd = merge->domain == MERGEMOD_DOMAIN_CGROUP ? caller->cgroup_fd : -1;
        merge->narrow = below(caller, 2);
        merge->n_elements = 1 + below(caller, once_in(caller, 4) ? ARRAY_MAX : 16);
        merge->elements = (uintptr_t)(caller->elements + ARRAY_MAX - merge->n_elements);
        make_elements(caller, (struct mergemod_element *)merge->elements, merge->n_elements);
}

static void make_ranges(struct fuzz_caller *caller) {
        struct mergemod_ranges *ranges = &caller->argument.ranges;
        struct mergemod_range *range;

        ranges->n_ranges = 1 + below(caller, 4);
        range = caller->ranges + ARRAY_MAX - ranges->n_ranges;
        ranges->ranges = (uintptr_t)range;
        for (unsigned i = 0; i < ranges->n_ranges; i++) {
                range[i].target = some_number(caller);
                range[i].start = some_address(caller);
                range[i].end = range[i].start + (1 + below(caller, 64)) * PAGE;
                if (once_in(caller, 8)) {
                        range[i].start = FUZZ_ADDRESS;
                        range[i].end = FUZZ_ADDRESS + FUZZ_PAGES * PAGE;
                }
        }
        ranges->flags = below(caller, 4);
}

static void make_advice(struct fuzz_caller *caller) {
        make_ranges(caller);
        caller->argument.ranges.flags = once_in(caller, 3) ? MERGEMOD_ADVISE_KSM : MERGEMOD_ADVISE_NO_KSM;
}

static void make_stats(struct fuzz_caller *caller) {
        memset(&caller->argument, 0, sizeof(caller->argument));
}

/* Weights are such that all calls together take a bearable time. */
const struct fuzz_kind fuzz_kinds[FUZZ_KINDS] = {
        { "INFO", MERGEMOD_INFO, make_info, 10, -1 },
        { "ATTACH", MERGEMOD_ATTACH, make_attach, 14, -1 },
        { "ACTIVATE", MERGEMOD_ACTIVATE, make_target, 20, -1 },
        { "DETACH", MERGEMOD_DETACH, make_target, 5, -1 },
        { "PAGES", MERGEMOD_PAGES, make_pages, 8, offsetof(struct mergemod_scan, pages) },
        { "HASH", MERGEMOD_HASH, make_hash, 6, offsetof(struct mergemod_scan, pages) },
        { "SCAN", MERGEMOD_SCAN, make_wide_scan, 4, offsetof(struct mergemod_scan, pages) },
        { "MERGE", MERGEMOD_MERGE, make_merge, 16, offsetof(struct mergemod_merge, elements) },
        { "UNMERGE", MERGEMOD_UNMERGE, make_ranges, 4, offsetof(struct mergemod_ranges, ranges) },
        { "ADVISE", MERGEMOD_ADVISE, make_advice, 4, offsetof(struct mergemod_ranges, ranges) },
        { "STATS", MERGEMOD_STATS, make_stats, 4, -1 },
        { "none", 0, make_stats, 2, -1 },
};
static unsigned some_kind(struct fuzz_caller *caller) {
        unsigned sum = 0, i = 0, at;

        for (size_t k = 0; k < FUZZ_KINDS; k++)
                sum += fuzz_kinds[k].weight;
        for (at = below(caller, sum); at >= fuzz_kinds[i].weight; i++)
                at -= fuzz_kinds[i].weight;
        return i;
}

/* Bytes of the argument change; a pointer never becomes one to other memory of ours. */
static void spoil(struct fuzz_caller *caller, const struct fuzz_kind *kind) {
        uint64_t *pointer = kind->pointer < 0 ? NULL : &caller->argument.words[kind->pointer / 8];
        uint64_t kept = pointer ? *pointer : 0;
        uint64_t others[] = { 0, kept + 1, 0xffff888000000000, (uintptr_t)caller->read_only };
        unsigned size = _IOC_SIZE(kind->request) ?: 8;

        for (unsigned n = 1 + below(caller, 3); n; n--)
                ((unsigned char *)&caller->argument)[below(caller, size)] ^= 1 << below(caller, 8);
        if (pointer)
                *pointer = once_in(caller, 4) ? others[below(caller, 4)] : kept;
}

void fuzz_caller_init(struct fuzz_caller *caller) {
        caller->elements = map_to_the_end(ARRAY_MAX * sizeof(*caller->elements));
        caller->pages = map_to_the_end(ARRAY_MAX * sizeof(*caller->pages));
        caller->ranges = map_to_the_end(ARRAY_MAX * sizeof(*caller->ranges));
        caller->read_only = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        check(caller->read_only != MAP_FAILED);
}

unsigned fuzz_make(struct fuzz_caller *caller, unsigned long *ret_request) {
        unsigned k = some_kind(caller);

        *ret_request = fuzz_kinds[k].request ?:
                _IOC(below(caller, 4), MERGEMOD_IOC, below(caller, 16), below(caller, 256));
        memset(&caller->argument, 0, sizeof(caller->argument));
        fuzz_kinds[k].make(caller);
        if (once_in(caller, 6))
                spoil(caller, &fuzz_kinds[k]);
        return k;
}
