/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What mmlib(3) promises of m_merge() where there is no mergemod. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mmlib-memory.h"

static void test_enopkg(void)
{
        MEQUALPAIR pair = { .spid = getpid(), .dpid = getpid(), .status = 77 };

        errno = 0;
        g_assert_cmpint(m_merge(&pair, 1), ==, -1);
        g_assert_cmpint(errno, ==, ENOPKG);
        g_assert_cmpint(pair.status, ==, 77);
        errno = 0;
        g_assert_cmpint(m_merge(&pair, 0), ==, -1);
        g_assert_cmpint(errno, ==, ENOPKG);
}

static void test_bad_parameters(void)
{
        uint8_t *constant = memory_map(1);
        MEQUALPAIR pair;

        g_assert_cmpint(mprotect(constant, PAGE, PROT_READ), ==, 0);
        g_assert_cmpint(m_merge(NULL, 1), ==, -1);
        g_assert_cmpint(errno, ==, EFAULT);
        g_assert_cmpint(m_merge((MEQUALPAIR *) constant, 1), ==, -1);
        g_assert_cmpint(errno, ==, EFAULT);
        g_assert_cmpint(m_merge((MEQUALPAIR *) (constant - PAGE), 1), ==, -1);
        g_assert_cmpint(errno, ==, EFAULT);
        g_assert_cmpint(m_merge(&pair, SIZE_MAX), ==, -1);
        g_assert_cmpint(errno, ==, EINVAL);
        memory_unmap(constant, PAGE);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/mmlib/merge/enopkg", test_enopkg);
        g_test_add_func("/mmlib/merge/bad-parameters", test_bad_parameters);
        return g_test_run();
}
