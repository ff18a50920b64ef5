/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of mergemod's device needs no module; the rest is tested in virtual machines. */
#include <glib.h>

#include "lib/device.h"

static void test_open(void)
{
        struct mm_device *d = NULL;
        struct mergemod_info info = { .version = 7 };

        g_assert_cmpint(mm_device_open("/nonexistent/mergemod", &d, &info), ==, -ENOENT);
        g_assert_cmpuint(info.version, ==, 0);
        g_assert_cmpint(mm_device_open("/nonexistent/mergemod", &d, NULL), ==, -ENOENT);
        g_assert_null(d);
        /* A device that is something else. */
        info.version = 7;
        g_assert_cmpint(mm_device_open("/dev/null", &d, &info), ==, -EPROTO);
        g_assert_cmpuint(info.version, ==, 0);
        g_assert_null(d);
        g_assert_null(mm_device_free(NULL));
}

static void test_status_text(void)
{
        static const int statuses[] = { -EALREADY,  -ESTALE,    -EBUSY, -EAGAIN, -ENODATA, -EOPNOTSUPP,
                                        -EHWPOISON, -E2BIG,     -EXDEV, -ENOSPC, -EDQUOT,  -ENOMEM,
                                        -ESRCH };
        const char *unknown = mm_device_status_text(-EXFULL);

        for (size_t i = 0; i < G_N_ELEMENTS(statuses); i++) {
                const char *text = mm_device_status_text(statuses[i]);

                g_assert_cmpstr(text, !=, unknown);
                for (size_t k = 0; k < i; k++)
                        g_assert_cmpstr(text, !=, mm_device_status_text(statuses[k]));
        }
        g_assert_cmpstr(mm_device_status_text(-EFAULT), ==, mm_device_status_text(-ENODATA));
        g_assert_cmpstr(mm_device_status_text(-ENOENT), ==, mm_device_status_text(-ESRCH));
        g_assert_cmpstr(mm_device_status_text(-EMEDIUMTYPE), ==, mm_device_status_text(-EOPNOTSUPP));
        g_assert_cmpstr(mm_device_status_text(-EINVAL), ==, unknown);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/device/open", test_open);
        g_test_add_func("/device/status-text", test_status_text);
        return g_test_run();
}
