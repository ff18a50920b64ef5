/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mmlib_ctx(3) without mergemod: groups of equal pages. */
#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

#include "mmlib-memory.h"

#define N 64U
#define BYTES (UINT64_C(4) << 20)
#define NOBODY 65534

struct member {
        pid_t pid;
        struct mm_target *target;
};

struct fixture {
        struct mm_ctx *ctx;
        uint8_t *memory;
        struct member members[3];
};

/* One page of zeros, and as many of the others equal as not. */
static void touch_all(void *userdata)
{
        uint8_t *memory = userdata;

        memory_fill(memory, 0, 0);
        memory[0] = 0;
        for (size_t i = 1; i < N; i++)
                memory_fill(memory, i, i % 2 == 0 ? i : (uint64_t) getpid() << 16 | i);
}

static void touch_as_nobody(void *userdata)
{
        if (setresuid(NOBODY, NOBODY, NOBODY) < 0)
                _exit(1);
        touch_all(userdata);
}

static void setup(struct fixture *f, const void *unused)
{
        g_assert_cmpint(mm_ctx_new(&f->ctx), ==, 0);
        f->memory = memory_map(N);
        for (size_t i = 0; i < 3; i++) {
                f->members[i].pid = child_start(i == 2 ? touch_as_nobody : touch_all, f->memory);
                g_assert_cmpint(mm_target_new_from_pid(f->ctx, f->members[i].pid, 0,
                                                       &f->members[i].target), ==, 0);
        }
}

static void teardown(struct fixture *f, const void *unused)
{
        for (size_t i = 0; i < 3; i++) {
                mm_target_unref(f->members[i].target);
                child_kill(f->members[i].pid);
        }
        mm_ctx_unref(f->ctx);
        memory_unmap(f->memory, N * PAGE);
}

static int scan(struct mm_groups *g, const struct fixture *f, size_t member, uint64_t owner)
{
        uint64_t start = (uintptr_t) f->memory;

        return mm_groups_scan(g, f->members[member].target, start, start + N * PAGE, owner);
}

struct sums {
        size_t groups, pages, frames, freeable, saving, zero;
};

static struct sums sum_up(struct mm_groups *g)
{
        struct mm_group_info info;
        struct sums s = {};
        int r;

        while ((r = mm_groups_next(g, &info)) > 0) {
                s.groups++;
                s.pages += info.pages;
                s.frames += info.frames;
                s.freeable += info.freeable;
                s.saving += info.saving;
                s.zero += info.zero ? info.pages : 0;
        }
        g_assert_cmpint(r, ==, 0);
        return s;
}

static void test_users(struct fixture *f, const void *unused)
{
        const struct mm_merge_options all = { .domain = MM_DOMAIN_SYSTEM, .cgroup_fd = -1 };
        const size_t n_equal = N / 2 - 1; /* pages that all have, but that of zeros */
        struct mm_groups *g;
        struct sums s;

        /* Two of root's, and one of somebody else's, who has a page of zeros. */
        g_assert_cmpint(mm_groups_new(f->ctx, NULL, BYTES, &g), ==, 0);
        for (size_t i = 0; i < 3; i++)
                g_assert_cmpint(scan(g, f, i, 0), ==, 0);
        s = sum_up(g);
        g_assert_cmpuint(s.groups, ==, n_equal + 2);
        g_assert_cmpuint(s.pages, ==, 2 * n_equal + 3);
        g_assert_cmpuint(s.frames, ==, s.pages);
        g_assert_cmpuint(s.freeable, ==, s.pages);
        g_assert_cmpuint(s.saving, ==, n_equal + 3);
        g_assert_cmpuint(s.zero, ==, 3);
        mm_groups_free(g);

        g_assert_cmpint(mm_groups_new(f->ctx, &all, BYTES, &g), ==, 0);
        for (size_t i = 0; i < 3; i++)
                g_assert_cmpint(scan(g, f, i, 0), ==, 0);
        s = sum_up(g);
        g_assert_cmpuint(s.groups, ==, n_equal + 1);
        g_assert_cmpuint(s.pages, ==, 3 * n_equal + 3);
        g_assert_cmpuint(s.saving, ==, 2 * n_equal + 3);
        mm_groups_free(g);
}

static void test_owners(struct fixture *f, const void *unused)
{
        struct mm_groups *g;
        struct sums s;

        g_assert_cmpint(mm_groups_new(f->ctx, NULL, BYTES, &g), ==, 0);
        g_assert_cmpint(scan(g, f, 0, 1), ==, 0);
        g_assert_cmpint(scan(g, f, 1, 2), ==, 0);
        s = sum_up(g);
        /* Nothing but pages of zeros, each by itself. */
        g_assert_cmpuint(s.groups, ==, 2);
        g_assert_cmpuint(s.zero, ==, 2);
        g_assert_cmpuint(s.pages, ==, 2);
        mm_groups_free(g);
}

static void test_pages(struct fixture *f, const void *unused)
{
        struct mm_group_info info;
        struct mm_groups *g;
        struct mm_target *target;
        uint64_t address;

        g_assert_cmpint(mm_groups_new(f->ctx, NULL, BYTES, &g), ==, 0);
        g_assert_cmpint(mm_groups_get_page(g, 0, &target, &address), ==, -ERANGE);
        g_assert_cmpint(mm_groups_plan(g), ==, -ERANGE);
        g_assert_cmpint(scan(g, f, 0, 0), ==, 0);
        g_assert_cmpint(scan(g, f, 1, 0), ==, 0);
        while (mm_groups_next(g, &info) > 0) {
                uint64_t first = 0;
                bool seen[2] = {};

                g_assert_cmpuint(info.pages, ==, 2);
                for (size_t i = 0; i < 2; i++) {
                        g_assert_cmpint(mm_groups_get_page(g, i, &target, &address), ==, 0);
                        g_assert_true(target == f->members[0].target || target == f->members[1].target);
                        seen[target == f->members[1].target] = true;
                        first = i == 0 ? address : first;
                        g_assert_cmpuint(address, ==, first);
                }
                g_assert_true(seen[0] && seen[1]);
                g_assert_cmpint(mm_groups_get_page(g, 2, &target, &address), ==, -ERANGE);
                g_assert_cmpint(mm_groups_plan(g), ==, 0);
        }
        g_assert_cmpint(mm_groups_merge(g, NULL), ==, -ENOPKG);
        mm_groups_free(g);
}

static void test_rounds(struct fixture *f, const void *unused)
{
        struct mm_groups *g;
        size_t n_groups;

        g_assert_cmpint(mm_groups_new(f->ctx, NULL, BYTES, &g), ==, 0);
        for (size_t round = 0; round < 3; round++) {
                g_assert_cmpint(scan(g, f, 0, 0), ==, 0);
                g_assert_cmpint(scan(g, f, 1, 0), ==, 0);
                n_groups = sum_up(g).groups;
                g_assert_cmpuint(n_groups, ==, N / 2);
                g_assert_cmpint(scan(g, f, 2, 0), ==, -EBUSY);
                g_assert_cmpint(mm_groups_clear(g), ==, 0);
                g_assert_cmpuint(sum_up(g).groups, ==, 0);
                g_assert_cmpint(mm_groups_clear(g), ==, 0);
        }
        mm_groups_free(g);
}

static void test_full(struct fixture *f, const void *unused)
{
        struct mm_groups *g;

        g_assert_cmpint(mm_groups_new(f->ctx, NULL, 24 * N, &g), ==, 0);
        g_assert_cmpint(scan(g, f, 0, 0), ==, -ENOBUFS);
        g_assert_cmpint(scan(g, f, 1, 0), ==, -ENOBUFS);
        (void) sum_up(g);
        mm_groups_free(g);
}

/* Pieces in any order, and of everything. */
static void test_pieces(struct fixture *f, const void *unused)
{
        uint64_t start = (uintptr_t) f->memory;
        struct mm_groups *g;

        g_assert_cmpint(mm_groups_new(f->ctx, NULL, BYTES, &g), ==, 0);
        for (size_t i = N; i > 0; i -= 8)
                for (size_t k = 0; k < 2; k++)
                        g_assert_cmpint(mm_groups_scan(g, f->members[k].target, start + (i - 8) * PAGE,
                                                       start + i * PAGE, 0), ==, 0);
        g_assert_cmpuint(sum_up(g).groups, ==, N / 2);
        g_assert_cmpint(mm_groups_clear(g), ==, 0);
        g_assert_cmpint(mm_groups_scan(g, f->members[0].target, start, start + 1, 0), ==, -EINVAL);
        g_assert_cmpint(mm_groups_scan(g, f->members[0].target, 0, UINT64_MAX - PAGE + 1, 0), ==, 0);
        g_assert_cmpint(mm_groups_scan(g, f->members[1].target, 0, UINT64_MAX - PAGE + 1, 0), ==, 0);
        g_assert_cmpuint(sum_up(g).groups, >=, N / 2);
        mm_groups_free(g);
}

#define ADD(path, test) g_test_add("/mmlib-groups/" path, struct fixture, NULL, setup, test, teardown)

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        ADD("users", test_users);
        ADD("owners", test_owners);
        ADD("pages", test_pages);
        ADD("rounds", test_rounds);
        ADD("full", test_full);
        ADD("pieces", test_pieces);
        return g_test_run();
}
