/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/registry.h"
#include "shared/macro.h"
#include "test-util.h"

/* What was ours of whom, after he has ended. */
static void test_former(void)
{
        static const struct worker_range low = { .start = 0x1000, .end = 0x3000 },
                                         high = { .start = 0x7fff00000000, .end = 0x7fff00008000 },
                                         between = { .start = 0x2000, .end = 0x3000 },
                                         beyond = { .start = 0x2000, .end = 0x4000 };
        const struct worker_range both[] = { between, high };
        char *tree = tree_new();
        int state_fd = tree_open(tree), proc_fd = tree_open("/proc");
        struct registry registry, *r = &registry;
        sd_event *event;

        g_assert_cmpint(sd_event_new(&event), ==, 0);
        registry_init(r, REGISTRY_KSM, event, state_fd);
        registry_remember(r, "one", 100, 150, &low, 1);
        registry_remember(r, "one", 90, 200, &high, 1);
        registry_remember(r, "two", 50, 60, &low, 0);
        g_assert_cmpuint(r->n_former, ==, 1);
        for (int again = 0; again < 2; again++) {
                g_assert_true(registry_explains(r, "one", 90, &low, 1));
                g_assert_true(registry_explains(r, "one", 200, &between, 1));
                g_assert_true(registry_explains(r, "one", 200, both, 2));
                g_assert_false(registry_explains(r, "one", 89, &low, 1));
                g_assert_false(registry_explains(r, "one", 201, &low, 1));
                g_assert_false(registry_explains(r, "one", 200, &beyond, 1));
                g_assert_false(registry_explains(r, "two", 200, &low, 1));
                g_assert_cmpint(registry_save(r), ==, 0);
                registry_done(r);
                registry_init(r, REGISTRY_KSM, event, state_fd);
                g_assert_cmpint(registry_load(r, proc_fd), ==, 0);
        }

        /* The latest domains count, and of one with very many ranges the latest of them. */
        for (unsigned i = 0; i < FORMER_DOMAINS_MAX; i++) {
                g_autofree char *name = g_strdup_printf("domain %u", i);

                if (i == FORMER_DOMAINS_MAX - 1)
                        registry_remember(r, "domain 0", 1, 2, &high, 1);
                registry_remember(r, name, 1, 2, &low, 1);
        }
        g_assert_cmpuint(r->n_former, ==, FORMER_DOMAINS_MAX);
        g_assert_false(registry_explains(r, "one", 200, &low, 1));
        g_assert_true(registry_explains(r, "domain 0", 1, &high, 1));
        registry_remember(r, "one", 1, 2, &low, 1);
        g_assert_false(registry_explains(r, "domain 1", 1, &low, 1));
        g_assert_true(registry_explains(r, "domain 0", 1, &low, 1));
        for (uint64_t i = 0; i <= FORMER_RANGES_MAX; i++) {
                struct worker_range range = { .start = (8 + 2 * i) << 12, .end = (9 + 2 * i) << 12 };

                registry_remember(r, "one", 1, 2, &range, 1);
        }
        g_assert_cmpuint(r->former[0].n_ranges, <=, FORMER_RANGES_MAX);
        g_assert_false(registry_explains(r, "one", 1, &low, 1));

        registry_done(r);
        sd_event_unref(event);
        safe_close(state_fd);
        safe_close(proc_fd);
        tree_free(tree);
}

/* Whether all of @some is in @all, told page by page. */
static bool is_in(const struct worker_range *all, size_t n_all, const struct worker_range *some, size_t n)
{
        for (size_t i = 0; i < n; i++)
                for (uint64_t page = some[i].start; page < some[i].end; page++) {
                        bool found = false;

                        for (size_t k = 0; k < n_all && !found; k++)
                                found = all[k].start <= page && page < all[k].end;
                        if (!found)
                                return false;
                }
        return true;
}

/* Ascending ones below 40; they may touch. */
static size_t any_ranges(struct worker_range *ret)
{
        size_t n = 0;

        for (uint64_t at = 1 + (uint64_t) g_test_rand_int_range(0, 4); at < 30; n++) {
                ret[n].start = at;
                ret[n].end = at + (uint64_t) g_test_rand_int_range(1, 6);
                at = ret[n].end + (uint64_t) g_test_rand_int_range(0, 3);
        }
        return n;
}

static void test_contains(void)
{
        unsigned n_in = 0;

        for (unsigned i = 0; i < 20000; i++) {
                struct worker_range all[40], some[40];
                size_t n_all = any_ranges(all), n = any_ranges(some);
                struct registered g = {
                        .pid = 1, .domain = (char *) "one", .ranges = all, .n_ranges = n_all
                };
                struct registered *items[] = { &g };
                struct registry r = { .kind = REGISTRY_KSM, .items = items, .n_items = 1 };

                n = MIN(n, (size_t) g_test_rand_int_range(0, 4));
                g_assert_cmpint(registry_explains(&r, "one", 1, some, n), ==, is_in(all, n_all, some, n));
                n_in += is_in(all, n_all, some, n);
        }
        g_assert_cmpuint(n_in, >, 100);
}

/* Of all that have had a number, the last that was there. */
static void test_find_before(void)
{
        struct registered g[] = {
                { .pid = 3, .start_ticks = 9 },
                { .pid = 5, .start_ticks = 10 },
                { .pid = 5, .start_ticks = 20 },
                { .pid = 6, .start_ticks = 15 },
        };
        struct registered *items[] = { &g[0], &g[1], &g[2], &g[3] };
        struct registry r = { .items = items, .n_items = ELEMENTSOF(items) };

        g_assert_null(registry_find_before(&r, 5, 9));
        g_assert_true(registry_find_before(&r, 5, 10) == &g[1]);
        g_assert_true(registry_find_before(&r, 5, 19) == &g[1]);
        g_assert_true(registry_find_before(&r, 5, 20) == &g[2]);
        g_assert_true(registry_find_before(&r, 5, UINT64_MAX) == &g[2]);
        g_assert_true(registry_find_before(&r, 6, 99) == &g[3]);
        g_assert_null(registry_find_before(&r, 4, 99));
        g_assert_null(registry_find_before(&r, 7, UINT64_MAX));
        r.n_items = 0;
        g_assert_null(registry_find_before(&r, 5, 20));
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/registry/former", test_former);
        g_test_add_func("/registry/former-contains", test_contains);
        g_test_add_func("/registry/former-find-before", test_find_before);
        return g_test_run();
}
