// SPDX-License-Identifier: LGPL-2.1-or-later
/* What mmlib(3) promises, with mergemod. */
#include <errno.h>
#include <fcntl.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"
#include "knob.h"
#include "mmlib-pairs.h"

#define SEED 91
#define OTHER 92
#define MAX_FRAMES "/sys/module/mergemod/parameters/max_frames"

typedef unsigned long (*hash_function)(const void *addr, size_t size);

/* As a program would that was written from the manual page: infos, hashes, pairs of equal hashes, merge. */
static void from_the_manual(void) {
        struct couple couple = couple_start(1000, 1000, SEED, SEED);
        MPAGEINFO infos[2][HELD], after[2][HELD];
        MEQUALPAIR pairs[HELD];

        for (size_t i = 0; i < 2; i++) {
                memset(infos[i], 0x55, sizeof(infos[i]));
                held_infos(couple.peers[i].pid, infos[i]);
                for (size_t k = 0; k < HELD; k++) {
                        check_equal(infos[i][k].v_addr, HELD_ADDRESS + k * PAGE);
                        check_equal(infos[i][k].p_addr,
                                    page_frame(couple.peers[i].pid, HELD_ADDRESS + k * PAGE) * PAGE);
                        check_equal(infos[i][k].count, 1);
                        check_equal(infos[i][k].hash, 0x5555555555555555);
                }
                check_equal(m_hashpages(couple.peers[i].pid, infos[i], HELD, NULL), HELD);
        }
        for (size_t k = 0; k < HELD; k++) {
                check_equal(infos[0][k].hash, infos[1][k].hash);
                pairs[k] = (MEQUALPAIR){ couple.peers[0].pid, infos[0][k].v_addr, couple.peers[1].pid,
                                         infos[1][k].v_addr, -1 };
        }
        check_equal(m_merge(pairs, HELD), HELD);
        check_equal(pairs_count(pairs, HELD, 0), HELD);
        check_equal(couple_shared(&couple), HELD);
        check_equal(couple_wrong(&couple, SEED, SEED), 0);

        /* One frame each, and neither's before. */
        for (size_t i = 0; i < 2; i++) {
                held_infos(couple.peers[i].pid, after[i]);
                for (size_t k = 0; k < HELD; k++) {
                        check_equal(after[i][k].count, 2);
                        check_equal(after[i][k].p_addr, after[0][k].p_addr);
                        check(after[i][k].p_addr != infos[0][k].p_addr);
                        check(after[i][k].p_addr != infos[1][k].p_addr);
                }
                check_equal(m_hashpages(couple.peers[i].pid, after[i], HELD, NULL), HELD);
                for (size_t k = 0; k < HELD; k++)
                        check_equal(after[i][k].hash, infos[i][k].hash);
        }

        /* And once more: there is nothing left to do. */
        check_equal(m_merge(pairs, HELD), 0);
        check_equal(pairs_count(pairs, HELD, EALREADY), HELD);
        peer_call(&couple.peers[0], held_write, 7);
        check_equal(couple_shared(&couple), HELD - 1);
        check_equal(couple_wrong(&couple, SEED, SEED), 1);
        couple_end(&couple);
}

/* The manual page's own program, built by the manual page. */
static void program_of_the_manual(void) {
        struct couple equal = couple_start(1000, 1000, SEED, SEED);
        struct couple differ = couple_start(1000, 1000, SEED, OTHER);

        check_equal(couple_run(&equal, "./merge-two"), 0);
        check_equal(couple_shared(&equal), HELD);
        check_equal(couple_wrong(&equal, SEED, SEED), 0);
        check_equal(couple_run(&differ, "./merge-two"), 0);
        check_equal(couple_shared(&differ), 0);
        check_equal(couple_wrong(&differ, SEED, OTHER), 0);
        couple_end(&equal);
        couple_end(&differ);
}

static void unequal_stay(void) {
        struct couple couple = couple_start(1000, 1000, SEED, OTHER);
        uint64_t before[2][HELD], after[2][HELD];
        int fd = device_open();
        struct mergemod_stats stats = device_stats(fd);
        MEQUALPAIR pairs[HELD];

        couple_pairs(&couple, pairs);
        for (size_t i = 0; i < 2; i++)
                pages_frames(couple.peers[i].pid, HELD_ADDRESS, before[i], HELD);
        check_equal(m_merge(pairs, HELD), 0);
        check_equal(pairs_count(pairs, HELD, ESTALE), HELD);
        for (size_t i = 0; i < 2; i++) {
                pages_frames(couple.peers[i].pid, HELD_ADDRESS, after[i], HELD);
                check_equal(memcmp(before[i], after[i], sizeof(before[i])), 0);
        }
        check_equal(device_stats(fd).merged, stats.merged);
        check_equal(couple_wrong(&couple, SEED, OTHER), 0);

        /* Some of the same, among others. */
        check_equal(peer_call(&couple.peers[1], held_fill, SEED), 0);
        peer_call(&couple.peers[1], held_write, 3);
        check_equal(m_merge(pairs, HELD), HELD - 1);
        check_equal(pairs[3].status, ESTALE);
        check_equal(couple_shared(&couple), HELD - 1);
        couple_end(&couple);
}

static void zeros(void) {
        struct couple couple = couple_start(1000, 1000, 0, 0);
        MEQUALPAIR pairs[HELD];
        MPAGEINFO infos[HELD];

        couple_pairs(&couple, pairs);
        check_equal(m_merge(pairs, HELD), HELD);
        check_equal(pages_zero(couple.peers[0].pid, HELD_ADDRESS, HELD), HELD);
        held_infos(couple.peers[1].pid, infos);
        for (size_t i = 0; i < HELD; i++) {
                check_equal(infos[i].p_addr, zero_frame() * PAGE);
                check_at_least(infos[i].count, 2);
        }
        check_equal(m_merge(pairs, HELD), 0);
        check_equal(pairs_count(pairs, HELD, EALREADY), HELD);
        check_equal(couple_wrong(&couple, 0, 0), 0);
        couple_end(&couple);
}

static long clear_even(long unused) {
        for (size_t i = 0; i < HELD; i += 2)
                check_equal(madvise((char *)HELD_ADDRESS + i * PAGE, PAGE, MADV_DONTNEED), 0);
        return 0;
}

static long lock_first(long unused) {
        return mlock((void *)HELD_ADDRESS, PAGE);
}

/* Each pair by itself. */
static void statuses(void) {
        struct couple couple = couple_start(1000, 1000, SEED, SEED);
        pid_t a = couple.peers[0].pid, b = couple.peers[1].pid, gone;
        char *page = (char *)HELD_ADDRESS;
        MEQUALPAIR pairs[8];

        gone = fork();
        if (gone == 0)
                _exit(0);
        waitpid(gone, NULL, 0);
        peer_call(&couple.peers[1], clear_even, 0);
        check_equal(peer_call(&couple.peers[0], lock_first, 0), 0);
        pairs[0] = (MEQUALPAIR){ a, page + PAGE, b, page + PAGE, -1 };
        pairs[1] = (MEQUALPAIR){ a, page + 2 * PAGE, b, page + 2 * PAGE, -1 }; /* not there */
        pairs[2] = (MEQUALPAIR){ a, page + 3 * PAGE, gone, page + 3 * PAGE, -1 };
        pairs[3] = (MEQUALPAIR){ a, page + 3 * PAGE, a, page + 3 * PAGE + 1, -1 }; /* itself */
        pairs[4] = (MEQUALPAIR){ a, page, b, page + PAGE, -1 }; /* locked */
        pairs[5] = (MEQUALPAIR){ a, page + 5 * PAGE + 7, b, page + 5 * PAGE + 9, -1 };
        pairs[6] = (MEQUALPAIR){ a, page + 3 * PAGE, b, page + 5 * PAGE, -1 };
        pairs[7] = (MEQUALPAIR){ 1, page, -1, page, -1 };
        check_equal(m_merge(pairs, 8), 2);
        check_equal(pairs[0].status, 0);
        check_equal(pairs[1].status, ENODATA);
        check_equal(pairs[2].status, ESRCH);
        check_equal(pairs[3].status, EINVAL);
        check_equal(pairs[4].status, ENODATA);
        check_equal(pairs[5].status, 0); /* the pages that contain the addresses */
        check_equal(pairs[6].status, ESTALE);
        check(pairs[7].status == EPERM || pairs[7].status == EINVAL);
        check_equal(couple_shared(&couple), 2);
        check_equal(m_merge(pairs, 0), 0);
        couple_end(&couple);
}

/* The page is in a pipe until the process ends. */
static long pipe_first(long unused) {
        struct iovec iov = { (void *)HELD_ADDRESS, PAGE };
        int ends[2];

        return pipe(ends) == 0 && vmsplice(ends[1], &iov, 1, 0) == PAGE ? 0 : -1;
}

static void in_use(void) {
        struct couple couple = couple_start(1000, 1000, SEED, SEED);
        MEQUALPAIR pairs[HELD];

        check_equal(peer_call(&couple.peers[0], pipe_first, 0), 0);
        couple_pairs(&couple, pairs);
        check_equal(m_merge(pairs, HELD), HELD - 1);
        check_equal(pairs[0].status, EBUSY);
        check_equal(pairs_count(pairs, HELD, 0), HELD - 1);
        check_equal(couple_wrong(&couple, SEED, SEED), 0);
        couple_end(&couple);
}

/* One user has three quarters of the frames at most, and another what he leaves. */
static void no_frame_left(void) {
        struct couple first = couple_start(1000, 1000, SEED, SEED);
        struct couple second = couple_start(1001, 1001, SEED, SEED);
        MEQUALPAIR pairs[HELD];

        frames_gone(device_open());
        knob_set(MAX_FRAMES, "100");
        couple_pairs(&first, pairs);
        check_equal(m_merge(pairs, HELD), 75);
        check_equal(pairs_count(pairs, HELD, EDQUOT), HELD - 75);
        couple_pairs(&second, pairs);
        check_equal(m_merge(pairs, HELD), 25);
        check_equal(pairs_count(pairs, HELD, ENOSPC), HELD - 25);
        check_equal(couple_shared(&first), 75);
        check_equal(couple_shared(&second), 25);
        knob_set(MAX_FRAMES, "0");
        check_equal(m_merge(pairs, HELD), HELD - 25);
        check_equal(pairs_count(pairs, HELD, EALREADY), 25);
        check_equal(couple_wrong(&first, SEED, SEED) + couple_wrong(&second, SEED, SEED), 0);
        couple_end(&first);
        couple_end(&second);
}

/* Many pages with one content: pairs name them in every way. */
static void chains(void) {
        struct couple couples[2] = { couple_start(1000, 1000, SEED, SEED),
                                     couple_start(1000, 1000, SEED, SEED) };
        MEQUALPAIR pairs[3 * HELD];

        for (size_t i = 0; i < HELD; i++) {
                void *page = (char *)HELD_ADDRESS + i * PAGE;
                pid_t a = couples[0].peers[0].pid;

                pairs[3 * i] = (MEQUALPAIR){ a, page, couples[0].peers[1].pid, page, -1 };
                pairs[3 * i + 1] = (MEQUALPAIR){ couples[1].peers[0].pid, page, a, page, -1 };
                pairs[3 * i + 2] = (MEQUALPAIR){ a, page, couples[1].peers[1].pid, page, -1 };
        }
        /* In two calls: a page that is merged takes others on. */
        check_equal(m_merge(pairs, 3 * HELD / 2), 3 * HELD / 2);
        check_equal(m_merge(pairs + 3 * HELD / 2, 3 * HELD / 2), 3 * HELD / 2);
        check_equal(couple_shared(&couples[0]), HELD);
        check_equal(couple_shared(&couples[1]), HELD);
        check_equal(pages_shared(couples[0].peers[0].pid, couples[1].peers[0].pid, HELD_ADDRESS, HELD),
                    HELD);
        for (size_t i = 0; i < 2; i++) {
                check_equal(couple_wrong(&couples[i], SEED, SEED), 0);
                couple_end(&couples[i]);
        }
}

/* "Calls that refer to processes of different effective userids can only be performed by the superuser." */
static void users(void) {
        struct couple couple = couple_start(1000, 1001, SEED, SEED);
        struct couple same = couple_start(1001, 1001, SEED, SEED);
        MEQUALPAIR pairs[HELD];

        couple_pairs(&couple, pairs);
        check_equal(m_merge(pairs, HELD), HELD);
        check_equal(couple_shared(&couple), HELD);
        /* Others of one of them do not come to share these. */
        couple_pairs(&same, pairs);
        check_equal(m_merge(pairs, HELD), HELD);
        check_equal(couple_shared(&same), HELD);
        check_equal(pages_shared(couple.peers[1].pid, same.peers[0].pid, HELD_ADDRESS, HELD), 0);

        /* One page cannot be in two domains: what it would be merged with stays as it is. */
        for (size_t i = 0; i < HELD; i++)
                pairs[i] = (MEQUALPAIR){ couple.peers[0].pid, (char *)HELD_ADDRESS + i * PAGE,
                                         same.peers[0].pid, (char *)HELD_ADDRESS + i * PAGE, -1 };
        check_equal(m_merge(pairs, HELD), 0);
        check_equal(pairs_count(pairs, HELD, EALREADY), HELD);
        check_equal(couple_wrong(&couple, SEED, SEED) + couple_wrong(&same, SEED, SEED), 0);
        couple_end(&couple);
        couple_end(&same);
}

/* A page that was moved for nothing gets a frame of its own again. */
static void nothing_in_vain(void) {
        struct couple merged = couple_start(1000, 1001, SEED, SEED);
        struct couple other = couple_start(1002, 1002, SEED, 0);
        MEQUALPAIR pairs[HELD];
        MPAGEINFO infos[HELD];

        couple_pairs(&merged, pairs);
        check_equal(m_merge(pairs, HELD), HELD);
        for (size_t i = 0; i < HELD; i++)
                pairs[i] = (MEQUALPAIR){ other.peers[0].pid, (char *)HELD_ADDRESS + i * PAGE,
                                         merged.peers[0].pid, (char *)HELD_ADDRESS + i * PAGE, -1 };
        check_equal(m_merge(pairs, HELD), 0);
        check_equal(pairs_count(pairs, HELD, EALREADY), HELD);
        held_infos(other.peers[0].pid, infos);
        for (size_t i = 0; i < HELD; i++)
                check_equal(infos[i].count, 1);
        check_equal(kib_of(other.peers[0].pid, "RssFile") < HELD * 4, 1);
        check_equal(couple_wrong(&other, SEED, 0), 0);
        couple_end(&merged);
        couple_end(&other);
}

static unsigned long hash_first_word(const void *addr, size_t size) {
        return *(const unsigned long *)addr ^ size;
}

/* In the kernel or in the library, the values are the same; who computed them mergemod knows. */
static void where_hashes_run(void) {
        static const hash_function in_kernel[] = {
                m_hash_addrothalf, m_hash_const, m_hash_sample, m_hash_xxh64,
        };
        static const hash_function in_library[] = { m_libhash_addrothalf, m_libhash_const, m_libhash_sample,
                                                    m_libhash_xxh64 };
        struct couple couple = couple_start(1000, 1000, SEED, SEED);
        char *same = pages_map(HELD);
        int fd = device_open();

        pages_fill(same, HELD, SEED);
        for (size_t i = 0; i < 4; i++) {
                MPAGEINFO infos[HELD];
                unsigned long values[HELD];
                uint64_t before;

                held_infos(couple.peers[0].pid, infos);
                before = device_stats(fd).hashed;
                check_equal(m_hashpages(couple.peers[0].pid, infos, HELD, in_kernel[i]), HELD);
                check_equal(device_stats(fd).hashed - before, HELD);
                for (size_t k = 0; k < HELD; k++) {
                        values[k] = infos[k].hash;
                        check_equal(values[k], in_kernel[i](same + k * PAGE, PAGE));
                }
                check_equal(m_hashpages(couple.peers[0].pid, infos, HELD, in_library[i]), HELD);
                for (size_t k = 0; k < HELD; k++)
                        check_equal(infos[k].hash, values[k]);
                check_equal(m_hashpages(couple.peers[0].pid, infos, HELD, hash_first_word), HELD);
                check_equal(infos[1].hash, hash_first_word(same + PAGE, PAGE));
        }
        couple_end(&couple);
}

static void not_available(void) {
        struct couple couple = couple_start(1000, 1000, SEED, SEED);
        MPAGEINFO infos[HELD + 2];

        held_infos(couple.peers[0].pid, infos);
        infos[HELD] = (MPAGEINFO){ .v_addr = (void *)(HELD_ADDRESS - PAGE), .count = 7, .p_addr = infos };
        infos[HELD + 1] = (MPAGEINFO){ .v_addr = (void *)-1, .count = 7, .p_addr = infos };
        peer_call(&couple.peers[0], clear_even, 0);
        peer_call(&couple.peers[0], lock_first, 0); /* which brings the page back, but it cannot be merged */
        check_equal(m_hashpages(couple.peers[0].pid, infos, HELD + 2, NULL), HELD / 2);
        for (size_t i = 0; i < HELD + 2; i++) {
                check_equal(infos[i].count, i < HELD && i % 2);
                check_equal(infos[i].p_addr != NULL, i < HELD && i % 2);
        }
        check_equal(m_getpageinfos(couple.peers[0].pid, (void *)HELD_ADDRESS,
                                   (char *)HELD_ADDRESS + HELD * PAGE, infos, HELD, NULL), HELD / 2);
        couple_end(&couple);
}

static long page_out(long unused) {
        return madvise((void *)HELD_ADDRESS, HELD / 2 * PAGE, MADV_PAGEOUT);
}

/* Left out, not available, not merged, and not brought back by any of that. */
static void swapped(void) {
        struct couple couple = couple_start(1000, 1000, SEED, SEED);
        pid_t pid = couple.peers[0].pid;
        MEQUALPAIR pairs[HELD];

        for (int i = 0; i < 100 && kib_of(pid, "VmSwap") < (long)HELD / 2 * 4; i++) {
                check_equal(peer_call(&couple.peers[0], page_out, 0), 0);
                usleep(10000);
        }
        check_equal(kib_of(pid, "VmSwap"), HELD / 2 * 4);
        for (int with_module = 1; with_module >= 0; with_module--) {
                MPAGEINFO infos[HELD] = { { 0 } };

                if (!with_module)
                        module_hide();
                check_equal(m_getpageinfos(pid, (void *)HELD_ADDRESS, (char *)HELD_ADDRESS + HELD * PAGE,
                                           infos, HELD, NULL), HELD / 2);
                check_equal(infos[0].v_addr, HELD_ADDRESS + HELD / 2 * PAGE);
                for (size_t i = 0; i < HELD; i++)
                        infos[i] = (MPAGEINFO){ .v_addr = (void *)(HELD_ADDRESS + i * PAGE), .count = 7 };
                check_equal(m_hashpages(pid, infos, HELD, m_hash_xxh64), HELD / 2);
                check_equal(m_hashpages(pid, infos, HELD, m_libhash_xxh64), HELD / 2);
                for (size_t i = 0; i < HELD; i++)
                        check_equal(infos[i].count, i >= HELD / 2);
        }
        module_show();
        couple_pairs(&couple, pairs);
        check_equal(m_merge(pairs, HELD), HELD / 2);
        check_equal(pairs_count(pairs, HELD, ENODATA), HELD / 2);
        check_equal(kib_of(pid, "VmSwap"), HELD / 2 * 4);
        check_equal(couple_wrong(&couple, SEED, SEED), 0);
        couple_end(&couple);
}

#define HUGE_ADDRESS ((char *)0x500000000000UL)

static long fill_huge(long seed) {
        char *p = mmap(HUGE_ADDRESS, 2 * HUGE_PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

        check(p == HUGE_ADDRESS);
        check_equal(madvise(p, 2 * HUGE_PAGE, MADV_HUGEPAGE), 0);
        pages_fill(p, 2 * 512, seed);
        pages_settle();
        return 0;
}

static long wrong_huge(long seed) {
        return pages_wrong(HUGE_ADDRESS, 2 * 512, seed);
}

static long write_huge(long page) {
        HUGE_ADDRESS[page * PAGE] ^= 1;
        return 0;
}

/* Count once, and are split by nothing but a merge. */
static void huge(void) {
        struct peer peers[2] = { peer_start_as(1000), peer_start_as(1000) };
        MPAGEINFO infos[2][4];
        MEQUALPAIR pairs[2];

        for (size_t i = 0; i < 2; i++) {
                peer_call(&peers[i], fill_huge, SEED);
                check_equal(m_getpageinfos(peers[i].pid, HUGE_ADDRESS + 5 * PAGE,
                                           HUGE_ADDRESS + 2 * HUGE_PAGE, infos[i], 4, NULL), 2);
                check_equal(m_hashpages(peers[i].pid, infos[i], 2, NULL), 2);
                for (size_t k = 0; k < 2; k++) {
                        check_equal(infos[i][k].v_addr, HUGE_ADDRESS + k * HUGE_PAGE);
                        check_equal(infos[i][k].p_addr,
                                    page_frame(peers[i].pid,
                                               (uintptr_t)HUGE_ADDRESS + k * HUGE_PAGE) * PAGE);
                        check_equal(infos[i][k].count, 1);
                        check_equal(infos[i][k].hash, infos[0][k].hash);
                }
        }
        check(infos[0][0].hash != infos[0][1].hash);
        peer_call(&peers[1], write_huge, 600);
        for (size_t k = 0; k < 2; k++)
                pairs[k] = (MEQUALPAIR){ peers[0].pid, HUGE_ADDRESS + k * HUGE_PAGE, peers[1].pid,
                                         HUGE_ADDRESS + k * HUGE_PAGE, -1 };
        check_equal(m_merge(pairs, 2), 1);
        check_equal(pairs[1].status, ESTALE);
        check_equal(pages_shared(peers[0].pid, peers[1].pid, (uintptr_t)HUGE_ADDRESS, 512), 512);
        /* The other is one page still. */
        for (size_t i = 0; i < 2; i++)
                check_equal(m_getpageinfos(peers[i].pid, HUGE_ADDRESS + HUGE_PAGE,
                                           HUGE_ADDRESS + 2 * HUGE_PAGE, infos[i], 4, NULL), 1);
        check_equal(peer_call(&peers[0], wrong_huge, SEED), 0);
        check_equal(peer_call(&peers[1], wrong_huge, SEED), 1);
        peer_end(&peers[0]);
        peer_end(&peers[1]);
}

static void errors(void) {
        struct couple couple = couple_start(1000, 1000, SEED, SEED);
        MEQUALPAIR pairs[HELD];
        MPAGEINFO info;

        couple_pairs(&couple, pairs);
        check_equal(m_merge(NULL, 1), -1);
        check_equal(errno, EFAULT);
        check_equal(m_merge(pairs, (size_t)-1), -1);
        check_equal(errno, EINVAL);
        check_equal(m_getpageinfos(2, NULL, (void *)-1, &info, 1, NULL), -1); /* has no memory */
        check_equal(errno, ESRCH);
        check_equal(setresuid(1000, 1000, 1000), 0);
        check_equal(m_merge(pairs, HELD), -1);
        check_equal(errno, EPERM);
        check_equal(m_getpageinfos(couple.peers[0].pid, NULL, (void *)-1, &info, 1, NULL), -1);
        check_equal(errno, EPERM);
        couple_end(&couple);
}

/* Another device in its place speaks no protocol of mergemod's, and there may be none. */
static void no_module(void) {
        struct couple couple = couple_start(1000, 1000, SEED, SEED);
        MPAGEINFO infos[HELD];
        MEQUALPAIR pairs[HELD];

        couple_pairs(&couple, pairs);
        module_hide();
        check_equal(m_merge(pairs, HELD), -1);
        check_equal(errno, ENOPKG);
        check_equal(pairs_count(pairs, HELD, -1), HELD);
        held_infos(couple.peers[0].pid, infos);
        check_equal(m_hashpages(couple.peers[0].pid, infos, HELD, m_hash_xxh64), HELD);
        check_equal(mknod(MERGEMOD_DEVICE, S_IFCHR | 0600, makedev(1, 3)), 0);
        check_equal(m_merge(pairs, HELD), -1);
        check_equal(errno, EPROTO);
        check_equal(m_hashpages(couple.peers[0].pid, infos, HELD, NULL), -1);
        check_equal(errno, EPROTO);
        module_show();
        check_equal(m_merge(pairs, HELD), HELD);
        couple_end(&couple);
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "mmlib: infos, hashes, merge", from_the_manual },
                { "mmlib: the program of the manual", program_of_the_manual },
                { "mmlib: never merges unequal pages", unequal_stay },
                { "mmlib: pages of zeros", zeros },
                { "mmlib: a status for each pair", statuses },
                { "mmlib: a page that is in a pipe", in_use },
                { "mmlib: no frame is left", no_frame_left },
                { "mmlib: pairs in chains", chains },
                { "mmlib: pages of different users", users },
                { "mmlib: what was moved in vain goes back", nothing_in_vain },
                { "mmlib: predefined hashes in the kernel and the library", where_hashes_run },
                { "mmlib: pages that are not available", not_available },
                { "mmlib: swapped pages are left out", swapped },
                { "mmlib: huge pages count once", huge },
                { "mmlib: errors", errors },
                { "mmlib: without the module, or with another", no_module },
        };

        return CASES_RUN(argc, argv, cases);
}
