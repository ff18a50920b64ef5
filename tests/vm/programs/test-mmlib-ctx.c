// SPDX-License-Identifier: LGPL-2.1-or-later
/* mmlib_ctx(3) with mergemod. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"
#include "mmlib-pairs.h"

#define SEED 93
#define END (HELD_ADDRESS + HELD * PAGE)

/* A couple as targets. */
struct session {
        struct couple couple;
        struct mm_ctx *ctx;
        struct mm_target *targets[2];
};

static struct session session_start(uid_t first, uid_t second, long first_seed, long second_seed) {
        struct session s = { .couple = couple_start(first, second, first_seed, second_seed) };

        check_equal(mm_ctx_new(&s.ctx), 0);
        check_equal(mm_ctx_check_module(s.ctx), 0);
        for (size_t i = 0; i < 2; i++)
                check_equal(mm_target_new_from_pid(s.ctx, s.couple.peers[i].pid, 0, &s.targets[i]), 0);
        return s;
}

static void session_end(struct session *s) {
        for (size_t i = 0; i < 2; i++)
                mm_target_unref(s->targets[i]);
        mm_ctx_unref(s->ctx);
        couple_end(&s->couple);
}

/* The same page of both in one group. */
static void fill_pages(const struct session *s, struct mm_merge_page *pages) {
        for (size_t i = 0; i < 2 * HELD; i++)
                pages[i] = (struct mm_merge_page){ .target = s->targets[i % 2],
                                                   .address = HELD_ADDRESS + i / 2 * PAGE,
                                                   .group = i / 2,
                                                   .status = 7 };
}

static size_t count(const struct mm_merge_page *pages, int status) {
        size_t n = 0;

        for (size_t i = 0; i < 2 * HELD; i++)
                n += pages[i].status == status;
        return n;
}

static void groups(void) {
        struct session s = session_start(1000, 1000, SEED, SEED);
        struct mm_merge_result result;
        struct mm_group_info info;
        struct mm_groups *groups;
        struct mm_stats before, after;
        uint64_t n_saving = 0, n_groups = 0, pages;

        check_equal(mm_ctx_get_stats(s.ctx, &before), 0);
        check_equal(mm_groups_new(s.ctx, NULL, 1 << 20, &groups), 0);
        for (size_t i = 0; i < 2; i++)
                check_equal(mm_groups_scan(groups, s.targets[i], HELD_ADDRESS, END, 0), 0);
        while (mm_groups_next(groups, &info) > 0) {
                check_equal(info.pages, 2);
                check_equal(info.freeable, 2);
                n_saving += info.saving;
                n_groups++;
                check_equal(mm_groups_plan(groups), 0);
        }
        check_equal(n_groups, HELD);
        check_equal(n_saving, HELD);
        check_equal(mm_groups_merge(groups, &result), 0);
        check_equal(result.merged, 2 * HELD);
        check_equal(result.freed, 2 * HELD);
        check_equal(result.new_frames, HELD);
        check_equal(result.refused, 0);
        check_equal(couple_shared(&s.couple), HELD);
        check_equal(mm_ctx_get_stats(s.ctx, &after), 0);
        check_equal(after.merged - before.merged, 2 * HELD);
        /* Those of processes that have ended go in their own time. */
        check_at_least(after.frames, HELD);
        check_at_least(after.mappings, 2 * HELD);
        check_at_least(after.frames_max, after.frames);
        /* What was planned is done. */
        check_equal(mm_groups_merge(groups, &result), 0);
        check_equal(result.merged, 0);
        mm_groups_free(groups);

        check_equal(mm_target_unmerge(s.targets[0], HELD_ADDRESS, END, 0, &pages), 0);
        check_equal(pages, HELD);
        check_equal(couple_shared(&s.couple), 0);
        check_equal(mm_target_unmerge(s.targets[1], HELD_ADDRESS, END, MM_UNMERGE_SINGLE, &pages), 0);
        check_equal(pages, HELD);
        check_equal(couple_wrong(&s.couple, SEED, SEED), 0);
        session_end(&s);
}

static void statuses(void) {
        struct session s = session_start(1000, 1001, SEED, SEED);
        const struct mm_merge_options session = { .domain = MM_DOMAIN_SESSION, .cgroup_fd = -1 };
        const struct mm_merge_options zero = { .cgroup_fd = -1, .zero_only = 1 };
        struct mm_merge_page pages[2 * HELD];
        struct mm_merge_result result;
        uint64_t unmerged;

        fill_pages(&s, pages);
        pages[0].address++;
        check_equal(mm_ctx_merge(s.ctx, &zero, pages, 2 * HELD, &result), 0);
        check_equal(result.merged, 0);
        check_equal(count(pages, -ESTALE), 2 * HELD - 1);
        check_equal(pages[0].status, -EINVAL);
        pages[0].address--;
        check_equal(mm_ctx_merge(s.ctx, NULL, pages, 2 * HELD, &result), 0);
        check_equal(result.merged, HELD);
        check_equal(result.refused, HELD);
        check_equal(count(pages, -EXDEV), HELD);
        for (size_t i = 0; i < 2; i++)
                check_equal(mm_target_unmerge(s.targets[i], HELD_ADDRESS, END, 0, NULL), 0);
        for (size_t i = 0; i < 2; i++)
                peer_call(&s.couple.peers[i], held_fill, SEED);
        /* One after the other: the session remembers. */
        check_equal(mm_ctx_merge(s.ctx, &session, pages, HELD, &result), 0);
        check_equal(result.merged, HELD);
        for (size_t i = HELD; i < 2 * HELD; i++)
                pages[i].group -= HELD / 2;
        check_equal(mm_ctx_merge(s.ctx, &session, pages + HELD, HELD, NULL), 0);
        check_equal(count(pages, 0), 2 * HELD);
        check_equal(couple_shared(&s.couple), HELD);
        check_equal(mm_target_unmerge(s.targets[0], HELD_ADDRESS, HELD_ADDRESS + PAGE, 0, &unmerged), 0);
        check_equal(unmerged, 1);
        check_equal(couple_wrong(&s.couple, SEED, SEED), 0);
        session_end(&s);
}

static void same_pages(const struct mm_page_info *a, const struct mm_page_info *b) {
        for (size_t i = 0; i < HELD; i++) {
                check_equal(a[i].address, b[i].address);
                check_equal(a[i].frame, b[i].frame);
                check_equal(a[i].hash, b[i].hash);
                check_equal(a[i].count, b[i].count);
                check_equal(a[i].size, b[i].size);
                check_equal(a[i].flags, b[i].flags);
                check_equal(a[i].status, b[i].status);
        }
}

/* What mergemod says of pages is what the kernel's own files say. */
static void two_sources(void) {
        struct session s = session_start(1000, 1000, SEED, 0);
        const struct mm_hash hashes[] = { { .kind = MM_HASH_XXH64, .seed = SEED },
                                          { .kind = MM_HASH_ADDROTHALF, .seed = SEED },
                                          { .kind = MM_HASH_SAMPLE, .seed = SEED },
                                          { .kind = MM_HASH_CONST, .seed = SEED } };
        struct mm_page_info pages[2][HELD];
        struct mm_target *target;
        struct mm_ctx *without;

        module_hide();
        check_equal(mm_ctx_new(&without), 0);
        check_equal(mm_ctx_check_module(without), -ENOPKG);
        for (size_t i = 0; i < 2; i++) {
                check_equal(mm_target_new_from_pid(without, s.couple.peers[i].pid, 0, &target), 0);
                for (size_t k = 0; k < 4; k++) {
                        for (size_t way = 0; way < 2; way++) {
                                uint64_t at = HELD_ADDRESS;

                                check_equal(mm_target_scan(way ? target : s.targets[i], &at, END, &hashes[k],
                                                           pages[way], HELD), HELD);
                                check_equal(at, END);
                        }
                        same_pages(pages[0], pages[1]);
                        check_equal(mm_target_look(s.targets[i], &hashes[k], pages[0], HELD), HELD);
                        same_pages(pages[0], pages[1]);
                }
                mm_target_unref(target);
        }
        mm_ctx_unref(without);
        module_show();
        session_end(&s);
}

/* What is shared by whom is told alike by both. */
static void flags(void) {
        struct session s = session_start(1000, 1000, SEED, SEED);
        struct mm_merge_page pages[2 * HELD];
        struct mm_page_info infos[HELD];
        struct mm_target *target;
        struct mm_ctx *without;
        uint64_t at;

        fill_pages(&s, pages);
        check_equal(mm_ctx_merge(s.ctx, NULL, pages, 2 * HELD, NULL), 0);
        module_hide();
        check_equal(mm_ctx_new(&without), 0);
        check_equal(mm_target_new_from_pid(without, s.couple.peers[0].pid, 0, &target), 0);
        for (size_t way = 0; way < 2; way++) {
                at = HELD_ADDRESS;
                check_equal(mm_target_scan(way ? target : s.targets[0], &at, END, NULL, infos, HELD), HELD);
                for (size_t i = 0; i < HELD; i++) {
                        check_equal(infos[i].flags, MM_PAGE_INFO_MERGED);
                        check_equal(infos[i].count, 2);
                        check_equal(infos[i].frame, page_frame(s.couple.peers[1].pid, infos[i].address));
                }
        }
        mm_target_unref(target);
        mm_ctx_unref(without);
        module_show();
        session_end(&s);
}

/* A process that executes another program when it is told to. */
static pid_t start_executor(int *ret_to) {
        int to[2];
        pid_t pid;
        char byte;

        check_equal(pipe(to), 0);
        pid = fork();
        check(pid >= 0);
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                close(to[1]);
                held_fill(SEED);
                if (read(to[0], &byte, 1) == 1)
                        execl("/bin/sleep", "sleep", "1000", NULL);
                _exit(1);
        }
        close(to[0]);
        *ret_to = to[1];
        return pid;
}

static bool has_held(struct mm_target *target) {
        struct mm_page_info page = { .address = HELD_ADDRESS };

        return mm_target_look(target, NULL, &page, 1) == 1;
}

static void wait_for_exec(pid_t pid) {
        char path[32], exe[64] = "";

        snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
        for (int i = 0; i < 1000 && !strstr(exe, "busybox"); i++) {
                usleep(10000);
                check(readlink(path, exe, sizeof(exe) - 1) > 0);
        }
        check(strstr(exe, "busybox"));
}

/* A target ends with the memory that it had, whoever else asks about the process. */
static void exec_ends_it(void) {
        struct mm_page_info page = { .address = HELD_ADDRESS };
        struct mm_merge_page merge = { .address = HELD_ADDRESS };
        struct mm_target *met, *late, *fresh;
        struct mm_ctx *ctx;
        pid_t pid;
        int to;

        check_equal(mm_ctx_new(&ctx), 0);
        pid = start_executor(&to);
        usleep(100000);
        check_equal(mm_target_new_from_pid(ctx, pid, 0, &met), 0);
        while (!has_held(met))
                usleep(10000);
        check_equal(write(to, "", 1), 1);
        wait_for_exec(pid);
        /* Its number with mergemod is still that of the memory before. */
        check_equal(mm_target_new_from_pid(ctx, pid, 0, &late), 0);
        check_equal(mm_target_look(late, NULL, &page, 1), 0);
        check_equal(page.status, -ENODATA);
        check_equal(mm_target_look(met, NULL, &page, 1), -ESRCH);
        check_equal(mm_target_new_from_pid(ctx, pid, 0, &fresh), 0);
        check_equal(mm_target_look(fresh, NULL, &page, 1), 0);
        check_equal(mm_target_is_alive(met), 1);
        merge.target = met;
        check_equal(mm_ctx_merge(ctx, NULL, &merge, 1, NULL), 0);
        check_equal(merge.status, -ESRCH);
        merge.target = fresh;
        check_equal(mm_ctx_merge(ctx, NULL, &merge, 1, NULL), 0);
        check_equal(merge.status, -EFAULT);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        check_equal(mm_target_look(fresh, NULL, &page, 1), -ESRCH);
        mm_target_unref(met);
        mm_target_unref(late);
        mm_target_unref(fresh);
        mm_ctx_unref(ctx);
}

#define HUGE_ADDRESS ((char *)0x500000000000UL)

static long fill_huge(long seed) {
        char *p = mmap(HUGE_ADDRESS, HUGE_PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

        check(p == HUGE_ADDRESS);
        check_equal(madvise(p, HUGE_PAGE, MADV_HUGEPAGE), 0);
        pages_fill(p, 512, seed);
        pages_settle();
        return 0;
}

static void huge(void) {
        struct session s = session_start(1000, 1000, SEED, SEED);
        const struct mm_merge_options keep = { .huge = MM_HUGE_KEEP, .cgroup_fd = -1 };
        struct mm_merge_page pages[2];
        struct mm_page_info info;
        uint64_t at = (uintptr_t)HUGE_ADDRESS;

        for (size_t i = 0; i < 2; i++) {
                peer_call(&s.couple.peers[i], fill_huge, SEED);
                pages[i] = (struct mm_merge_page){ .target = s.targets[i], .address = at };
        }
        check_equal(mm_ctx_merge(s.ctx, &keep, pages, 2, NULL), 0);
        check_equal(pages[0].status, -E2BIG);
        check_equal(pages[1].status, -E2BIG);
        check_equal(mm_target_scan(s.targets[0], &at, at + HUGE_PAGE, NULL, &info, 1), 1);
        check_equal(at, (uintptr_t)HUGE_ADDRESS + HUGE_PAGE);
        check_equal(info.size, HUGE_PAGE);
        check_equal(info.flags, MM_PAGE_INFO_HUGE);
        session_end(&s);
}

static void put_into(const char *cgroup, pid_t pid) {
        char path[128];
        FILE *f;

        mkdir(cgroup, 0755);
        snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
        f = fopen(path, "we");
        check(f && fprintf(f, "%d", (int)pid) > 0 && fclose(f) == 0);
}

static void cgroups(void) {
        struct session s = session_start(1000, 1001, SEED, SEED);
        struct mm_merge_options options = { .domain = MM_DOMAIN_CGROUP };
        struct mm_merge_page pages[2 * HELD];

        put_into("/sys/fs/cgroup/mmlib", s.couple.peers[0].pid);
        options.cgroup_fd = open("/sys/fs/cgroup/mmlib", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        fill_pages(&s, pages);
        check_equal(mm_ctx_merge(s.ctx, &options, pages, 2 * HELD, NULL), 0);
        check_equal(count(pages, -EXDEV), HELD);
        put_into("/sys/fs/cgroup/mmlib", s.couple.peers[1].pid);
        check_equal(mm_ctx_merge(s.ctx, &options, pages, 2 * HELD, NULL), 0);
        check_equal(count(pages, 0), HELD);
        check_equal(count(pages, -EALREADY), HELD);
        check_equal(couple_shared(&s.couple), HELD);
        session_end(&s);
}

#define STACK_PAGES 64

/* What was on the stack stays there, until something else comes to be. */
static long fill_stack(long seed) {
        char pages[(STACK_PAGES + 1) * PAGE];
        char *start = (char *)(((uintptr_t)pages + PAGE - 1) & ~(PAGE - 1));

        pages_fill(start, STACK_PAGES, seed);
        pages_settle();
        return (uintptr_t)start;
}

/* The strategy of the manual: nothing but stacks. */
static void strategy_of_the_manual(void) {
        struct couple couple = couple_start(1000, 1000, SEED, SEED);
        uintptr_t start[2];
        size_t shared;

        for (size_t i = 0; i < 2; i++)
                start[i] = peer_call(&couple.peers[i], fill_stack, SEED);
        check_equal(start[0], start[1]);
        check_equal(pages_shared(couple.peers[0].pid, couple.peers[1].pid, start[0], STACK_PAGES), 0);
        check_equal(couple_run(&couple, "./merge-stacks -n"), 0);
        check_equal(pages_shared(couple.peers[0].pid, couple.peers[1].pid, start[0], STACK_PAGES), 0);
        check_equal(couple_run(&couple, "./merge-stacks"), 0);
        /* The upper ones are in use. */
        shared = pages_shared(couple.peers[0].pid, couple.peers[1].pid, start[0], STACK_PAGES);
        check_at_least(shared, STACK_PAGES - 16);
        check_equal(couple_shared(&couple), 0);
        check_equal(couple_wrong(&couple, SEED, SEED), 0);
        couple_end(&couple);
}

static void ksm(void) {
        struct session s = session_start(1000, 1000, SEED, SEED);
        struct mm_area_iter *iter;
        struct mm_area_info info;
        uint64_t bytes;
        size_t n = 0;

        check_equal(mm_target_ksm_register(s.targets[0], HELD_ADDRESS, END, &bytes), 0);
        check_equal(bytes, HELD * PAGE);
        check_equal(mm_area_iter_new(s.targets[0], &iter), 0);
        while (mm_area_iter_next(iter, &info) > 0)
                if (info.start >= HELD_ADDRESS && info.end <= END) {
                        check_equal(info.flags, MM_AREA_INFO_KSM);
                        n++;
                }
        check_equal(n, 1);
        mm_area_iter_free(iter);
        check_equal(mm_target_ksm_unregister(s.targets[0], HELD_ADDRESS, END, &bytes), 0);
        check_equal(bytes, HELD * PAGE);
        session_end(&s);
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "mmlib_ctx: groups, merge, unmerge, statistics", groups },
                { "mmlib_ctx: a status for each page", statuses },
                { "mmlib_ctx: pages as mergemod and the kernel tell them", two_sources },
                { "mmlib_ctx: merged pages as both tell them", flags },
                { "mmlib_ctx: a target ends with its memory", exec_ends_it },
                { "mmlib_ctx: huge pages are kept", huge },
                { "mmlib_ctx: cgroups", cgroups },
                { "mmlib_ctx: KSM", ksm },
                { "mmlib_ctx: the strategy of the manual", strategy_of_the_manual },
        };

        return CASES_RUN(argc, argv, cases);
}
