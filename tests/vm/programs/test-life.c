// SPDX-License-Identifier: LGPL-2.1-or-later
/* What becomes of merged pages when the process goes on. */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"
#include "held.h"

#define SEED 5
#define HELD_AREA ((char *)HELD_ADDRESS)

/* Two processes with all pages merged. */
static struct herd merged_herd(long seed) {
        struct herd herd = herd_start(2, seed);
        struct mergemod_merge merge = {};

        check_equal(herd_merge(&herd, &merge), 2 * HELD);
        return herd;
}

static void forks(void) {
        for (long seed = 0; seed <= SEED; seed += SEED) {
                struct herd herd = merged_herd(seed);

                check_equal(peer_call(&herd.peers[0], held_wrong_in_child, seed), 0);
                peer_call(&herd.peers[0], held_write, 3);
                check_equal(peer_call(&herd.peers[0], held_wrong_in_child, seed), 1);
                peer_call(&herd.peers[0], held_write, 3);
                check_equal(herd_wrong(&herd, seed), 0);
                herd_end(&herd);
        }
}

static long unmap_half(long unused) {
        return munmap(HELD_AREA, HELD / 2 * PAGE);
}

static long half_wrong(long seed) {
        long wrong = 0;

        /* The second half of the pages that would start where the first half was. */
        for (size_t i = HELD / 2; i < HELD; i++) {
                char expected[PAGE * HELD];

                pages_fill(expected, HELD, seed);
                wrong += memcmp(expected + i * PAGE, HELD_AREA + i * PAGE, PAGE) != 0;
        }
        return wrong;
}

static void unmaps(void) {
        struct herd herd = merged_herd(SEED);

        check_equal(peer_call(&herd.peers[0], unmap_half, 0), 0);
        check_equal(peer_call(&herd.peers[0], half_wrong, SEED), 0);
        check_equal(peer_call(&herd.peers[1], held_wrong, SEED), 0);
        herd_end(&herd);
}

static long move_and_look(long seed) {
        char *moved = mremap(HELD_AREA, HELD * PAGE, 2 * HELD * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
                             HELD_AREA + 4096 * PAGE);

        check(moved != MAP_FAILED);
        if (pages_wrong(moved, HELD, seed) || pages_wrong(moved + HELD * PAGE, HELD, 0))
                return -1;
        pages_fill(moved, HELD, seed + 1);
        return pages_wrong(moved, HELD, seed + 1);
}

static void moves(void) {
        for (long seed = 0; seed <= SEED; seed += SEED) {
                struct herd herd = merged_herd(seed);

                check_equal(peer_call(&herd.peers[0], move_and_look, seed), 0);
                check_equal(peer_call(&herd.peers[1], held_wrong, seed), 0);
                herd_end(&herd);
        }
}

static long protect_and_look(long seed) {
        check(mprotect(HELD_AREA, HELD * PAGE, PROT_READ) == 0);
        if (pages_wrong(HELD_AREA, HELD, seed))
                return -1;
        check(mprotect(HELD_AREA, HELD * PAGE, PROT_NONE) == 0);
        check(mprotect(HELD_AREA, HELD * PAGE, PROT_READ | PROT_WRITE) == 0);
        if (pages_wrong(HELD_AREA, HELD, seed))
                return -2;
        pages_fill(HELD_AREA, HELD, seed + 1);
        return pages_wrong(HELD_AREA, HELD, seed + 1);
}

static void protects(void) {
        for (long seed = 0; seed <= SEED; seed += SEED) {
                struct herd herd = merged_herd(seed);

                check_equal(peer_call(&herd.peers[0], protect_and_look, seed), 0);
                check_equal(peer_call(&herd.peers[1], held_wrong, seed), 0);
                herd_end(&herd);
        }
}

static long discard_and_look(long unused) {
        check(madvise(HELD_AREA, HELD * PAGE, MADV_DONTNEED) == 0);
        return pages_wrong(HELD_AREA, HELD, 0);
}

static long advise_and_look(long seed) {
        static const int advices[] = { MADV_COLD, MADV_PAGEOUT, MADV_FREE, MADV_HUGEPAGE, MADV_NOHUGEPAGE,
                                       MADV_DONTFORK, MADV_DOFORK, MADV_WILLNEED, MADV_MERGEABLE,
                                       MADV_UNMERGEABLE };

        for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++) {
                madvise(HELD_AREA, HELD * PAGE, advices[i]);
                if (pages_wrong(HELD_AREA, HELD, seed))
                        return advices[i];
        }
        return 0;
}

static void advices(void) {
        for (long seed = 0; seed <= SEED; seed += SEED) {
                struct herd herd = merged_herd(seed);

                check_equal(peer_call(&herd.peers[0], advise_and_look, seed), 0);
                check_equal(peer_call(&herd.peers[0], discard_and_look, 0), 0);
                check_equal(peer_call(&herd.peers[1], held_wrong, seed), 0);
                herd_end(&herd);
        }
}

static long lock_and_look(long seed) {
        check(mlock(HELD_AREA, HELD * PAGE) == 0);
        if (pages_wrong(HELD_AREA, HELD, seed))
                return -1;
        pages_fill(HELD_AREA, HELD / 2, seed);
        check(munlock(HELD_AREA, HELD * PAGE) == 0);
        return pages_wrong(HELD_AREA, HELD, seed);
}

static void locks(void) {
        long locked;

        pages_drain();
        locked = vmstat("nr_mlock");
        for (long seed = 0; seed <= SEED; seed += SEED) {
                struct herd herd = merged_herd(seed);

                check_equal(peer_call(&herd.peers[0], lock_and_look, seed), 0);
                check_equal(peer_call(&herd.peers[1], held_wrong, seed), 0);
                herd_end(&herd);
        }
        pages_drain();
        check_equal(vmstat("nr_mlock"), locked);
}

/* Bit 55 of a word of pagemap. */
static size_t dirty_pages(pid_t pid) {
        uint64_t words[HELD];
        char path[64];
        size_t n = 0;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)pid);
        f = fopen(path, "re");
        check(f && fseek(f, HELD_ADDRESS / PAGE * 8, SEEK_SET) == 0);
        check_equal(fread(words, sizeof(words[0]), HELD, f), HELD);
        fclose(f);
        for (size_t i = 0; i < HELD; i++)
                n += words[i] >> 55 & 1;
        return n;
}

static void soft_dirty(void) {
        struct herd herd = herd_start(2, SEED);
        struct mergemod_merge merge = {};
        char path[64];
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/clear_refs", (int)herd.peers[0].pid);
        f = fopen(path, "we");
        check(f && fputs("4", f) >= 0 && fclose(f) == 0);
        peer_call(&herd.peers[0], held_write, 7);
        peer_call(&herd.peers[0], held_write, 7);
        check_equal(dirty_pages(herd.peers[0].pid), 1);
        check_equal(herd_merge(&herd, &merge), 2 * HELD);
        check_equal(dirty_pages(herd.peers[0].pid), 1);
        check_equal(dirty_pages(herd.peers[1].pid), HELD);
        herd_end(&herd);
}

static void exits(void) {
        struct herd herd = merged_herd(SEED);
        int status;

        peer_end(&herd.peers[0]);
        check_equal(peer_call(&herd.peers[1], held_wrong, SEED), 0);
        check_equal(kill(herd.peers[1].pid, SIGKILL), 0);
        check_equal(waitpid(herd.peers[1].pid, &status, 0), herd.peers[1].pid);
        frames_gone(herd.fd);
}

static void counters(void) {
        struct herd herd = herd_start(2, SEED);
        pid_t pid = herd.peers[0].pid;
        long anon = kib_of(pid, "RssAnon"), file = kib_of(pid, "RssFile");
        struct mergemod_merge merge = {};

        check_equal(herd_merge(&herd, &merge), 2 * HELD);
        check_equal(merge.freed, 2 * HELD);
        /* Newer kernels keep these in parts, of which some are not in the sum yet. */
        check_at_least(anon - kib_of(pid, "RssAnon") + 512, HELD * 4);
        check_at_least(kib_of(pid, "RssFile") - file + 512, HELD * 4);
        peer_call(&herd.peers[0], held_fill, SEED);
        check_at_least(kib_of(pid, "RssAnon") + 512, anon);
        herd_end(&herd);
}

/* More than checkers of the kernel set aside meanwhile: KASAN keeps up to 1/32 of all memory for a while. */
#define MANY 16384
#define MANY_AREA 0x300000000000UL

static long hold_many(long seed) {
        char *pages = mmap((void *)MANY_AREA, MANY * PAGE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

        check(pages == (void *)MANY_AREA);
        check_equal(madvise(pages, MANY * PAGE, MADV_NOHUGEPAGE), 0);
        pages_fill(pages, MANY, seed);
        pages_settle();
        return 0;
}

static void memory(void) {
        static struct mergemod_element elements[4 * MANY];
        struct herd herd = herd_start(4, SEED);
        struct mergemod_merge merge = {};
        long before, after = 0;

        for (size_t i = 0; i < herd.n; i++) {
                peer_call(&herd.peers[i], hold_many, SEED);
                elements_fill(elements + i * MANY, herd.targets[i], MANY_AREA, MANY, 0);
        }
        frames_gone(herd.fd);
        before = kib_of(0, "MemFree");
        check_equal(device_merge(herd.fd, &merge, elements, 4 * MANY), 0);
        check_equal(merge.merged, 4 * MANY);
        pages_settle();
        /* Lists of free pages per CPU do not count as free, and are shortened in time. */
        for (int i = 0; i < 20; i++) {
                after = kib_of(0, "MemFree");
                if (after - before >= (4 - 1) * MANY * 4 * 9 / 10)
                        break;
                sleep(1);
        }
        printf("# %lu KiB merged, %ld KiB more free\n", 4 * MANY * 4UL, after - before);
        check_at_least(after - before, (4 - 1) * MANY * 4 * 3 / 4);
        check_equal(device_stats(herd.fd).frames, MANY);
        check_equal(device_stats(herd.fd).mappings, 4 * MANY);
        herd_end(&herd);
        frames_gone(herd.fd);
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "merged pages: fork", forks },
                { "merged pages: munmap", unmaps },
                { "merged pages: mremap", moves },
                { "merged pages: mprotect", protects },
                { "merged pages: madvise", advices },
                { "merged pages: mlock", locks },
                { "merged pages: soft-dirty bits", soft_dirty },
                { "merged pages: exit and SIGKILL", exits },
                { "merged pages: RSS counters", counters },
                { "merged pages: memory is free, frames go when nobody is left", memory },
        };

        return CASES_RUN(argc, argv, cases);
}
