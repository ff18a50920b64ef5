/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which processes mergemod takes for one trust domain, from what /proc tells. */
#include <glib.h>

#include "lib/domain.h"

static struct mm_process user(uid_t uid)
{
        return (struct mm_process) {
                .ruid = uid,
                .euid = uid,
                .suid = uid,
                .fsuid = uid,
                .user_ns = { 4, 1 },
                .pid_ns = { 4, 2 },
                .mnt_ns = { 4, 3 },
                .cgroup = (char *) "/one.service",
        };
}

static void test_users(void)
{
        struct mm_process a = user(1000), b = user(1000), c = user(1001);

        g_assert_true(mm_domain_is_equal(&a, &b));
        g_assert_false(mm_domain_is_equal(&a, &c));
        /* Every one of the four counts. */
        for (size_t i = 0; i < 4; i++) {
                uid_t *uids[] = { &b.ruid, &b.euid, &b.suid, &b.fsuid };

                *uids[i] = 1001;
                g_assert_false(mm_domain_is_equal(&a, &b));
                *uids[i] = 1000;
        }
        /* A user's cgroups do not. */
        b.cgroup = (char *) "/two.service";
        g_assert_true(mm_domain_is_equal(&a, &b));
}

static void test_root(void)
{
        struct mm_process a = user(0), b = user(0);

        g_assert_true(mm_domain_is_equal(&a, &b));
        b.cgroup = (char *) "/two.service";
        g_assert_false(mm_domain_is_equal(&a, &b));
        b.cgroup = NULL;
        g_assert_false(mm_domain_is_equal(&a, &b));
        a.cgroup = NULL;
        g_assert_true(mm_domain_is_equal(&a, &b));
        /* Also who could become root again. */
        a = user(1000), b = user(1000);
        a.suid = b.suid = 0;
        g_assert_true(mm_domain_is_equal(&a, &b));
        b.cgroup = (char *) "/two.service";
        g_assert_false(mm_domain_is_equal(&a, &b));
}

static void test_namespaces(void)
{
        struct mm_process a = user(1000), b = user(1000);
        struct mm_file_id *ids[] = { &b.user_ns, &b.pid_ns, &b.mnt_ns };
        struct mm_file_id *own[] = { &a.user_ns, &a.pid_ns, &a.mnt_ns };

        for (size_t i = 0; i < 3; i++) {
                struct mm_file_id before = *ids[i];

                g_assert_true(mm_domain_has_equal_namespaces(&a, &b));
                ids[i]->ino++;
                g_assert_false(mm_domain_has_equal_namespaces(&a, &b));
                g_assert_false(mm_domain_is_equal(&a, &b));
                /* What is not known may be anything. */
                *ids[i] = *own[i] = (struct mm_file_id) {};
                g_assert_false(mm_domain_has_equal_namespaces(&a, &b));
                *ids[i] = *own[i] = before;
        }
        b.ruid = 7;
        g_assert_true(mm_domain_has_equal_namespaces(&a, &b));
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/domain/users", test_users);
        g_test_add_func("/domain/root", test_root);
        g_test_add_func("/domain/namespaces", test_namespaces);
        return g_test_run();
}
