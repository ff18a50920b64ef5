/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/result.h"

#include <unistd.h>

#include "ctl-fake-bus.h"
#include "ctl/bus.h"
#include "shared/names.h"

static sd_bus_message *status_message(struct fake_bus *f)
{
        sd_bus_message *m = fake_bus_message(f);

        g_assert_cmpint(sd_bus_message_append(
                m, "a{sv}", 5,
                "State", "s", "done",
                "Progress", "d", 0.75,
                "Novelty", "a{ss}", 1, "from", "tomorrow",
                "Error", "(ss)", "a.b", "text",
                "Result", "a{sv}", 10,
                "processes", "u", (uint32_t) 12,
                "pages", "t", UINT64_C(1) << 40,
                "unheard_of", "(tas)", UINT64_C(1), 1, "x",
                "excluded", "a(su)", 2, "one", (uint32_t) 1, "two", (uint32_t) 2,
                "skipped", "a(su)", 0,
                "refused", "a(st)", 1, "late", UINT64_C(99),
                "domains", "a(stuu)", 1, "user 1", UINT64_C(5), (uint32_t) 6, (uint32_t) 1,
                "owners", "a(sstttt)", 3,
                "library", "/b", UINT64_C(10), UINT64_C(2), UINT64_C(0), UINT64_C(0),
                "heap", "[heap]", UINT64_C(1), UINT64_C(20), UINT64_C(3), UINT64_C(4),
                "library", "/a", UINT64_C(10), UINT64_C(2), UINT64_C(0), UINT64_C(0),
                "mechanism", "s", "ksm",
                "stop_usec", "t", UINT64_C(17)), >=, 0);
        fake_bus_seal(m);
        return m;
}

static void test_read(void)
{
        struct fake_bus f;
        struct job_status s = {};
        sd_bus_message *m;

        fake_bus_open(&f);
        m = status_message(&f);
        /* A second reading takes the place of the first. */
        for (int i = 0; i < 2; i++) {
                g_assert_cmpint(sd_bus_message_rewind(m, 1), >=, 0);
                g_assert_cmpint(job_status_read(m, &s), >=, 0);
        }
        g_assert_cmpstr(s.state, ==, "done");
        g_assert_cmpfloat(s.progress, ==, 0.75);
        g_assert_cmpstr(s.error.name, ==, "a.b");
        g_assert_cmpstr(s.error.message, ==, "text");
        g_assert_cmpuint(s.result.processes, ==, 12);
        g_assert_cmpuint(s.result.pages, ==, UINT64_C(1) << 40);
        g_assert_cmpuint(s.result.excluded.n, ==, 2);
        g_assert_cmpstr(s.result.excluded.items[1].text, ==, "two");
        g_assert_cmpuint(s.result.excluded.items[1].n, ==, 2);
        g_assert_cmpuint(s.result.skipped.n, ==, 0);
        g_assert_cmpuint(s.result.refused.n, ==, 1);
        g_assert_cmpuint(s.result.refused.items[0].n, ==, 99);
        g_assert_cmpuint(s.result.domains.n, ==, 1);
        g_assert_cmpstr(s.result.domains.items[0].name, ==, "user 1");
        g_assert_cmpuint(s.result.domains.items[0].duplicate_frames, ==, 5);
        g_assert_cmpuint(s.result.domains.items[0].processes, ==, 6);
        g_assert_true(s.result.domains.items[0].chosen);
        g_assert_cmpuint(s.result.owners.n, ==, 3);
        g_assert_cmpstr(s.result.owners.items[0].kind, ==, "heap");
        g_assert_cmpuint(s.result.owners.items[0].pages, ==, 1);
        g_assert_cmpuint(s.result.owners.items[0].duplicate_frames, ==, 20);
        g_assert_cmpuint(s.result.owners.items[0].zero_frames, ==, 3);
        g_assert_cmpuint(s.result.owners.items[0].private_bytes, ==, 4);
        g_assert_cmpstr(s.result.owners.items[1].name, ==, "/a");
        g_assert_cmpstr(s.result.owners.items[2].name, ==, "/b");
        g_assert_cmpstr(s.result.mechanism, ==, "ksm");
        g_assert_cmpuint(s.result.stop_usec, ==, 17);
        g_assert_true(job_status_is_final(&s));
        job_status_done(&s);
        sd_bus_message_unref(m);
        fake_bus_close(&f);
}

/* A key that means something, with another type than was agreed. */
static void test_wrong_type(void)
{
        struct fake_bus f;
        struct job_status s = {};
        sd_bus_message *m;

        fake_bus_open(&f);
        m = fake_bus_message(&f);
        g_assert_cmpint(sd_bus_message_append(m, "a{sv}", 2, "State", "s", "scanning",
                                              "Result", "a{sv}", 2,
                                              "excluded", "a(su)", 1, "one", (uint32_t) 1,
                                              "pages", "u", (uint32_t) 1), >=, 0);
        fake_bus_seal(m);
        g_assert_cmpint(job_status_read(m, &s), <, 0);
        job_status_done(&s);
        sd_bus_message_unref(m);
        fake_bus_close(&f);
}

static void test_final(void)
{
        g_assert_false(job_status_is_final(&(struct job_status){}));
        g_assert_false(job_status_is_final(&(struct job_status){ .state = (char *) "merging" }));
        g_assert_true(job_status_is_final(&(struct job_status){ .state = (char *) "failed" }));
        g_assert_true(job_status_is_final(&(struct job_status){ .state = (char *) "cancelled" }));
}

static void test_exit_statuses(void)
{
        g_assert_cmpint(bus_error_status(MERGEMEM_ERROR_NO_SUCH_LIBRARY, -EIO), ==, 3);
        g_assert_cmpint(bus_error_status(MERGEMEM_ERROR_NO_SUCH_JOB, -EIO), ==, 3);
        g_assert_cmpint(bus_error_status(MERGEMEM_ERROR_NOTHING_MATCHES, -EIO), ==, 3);
        g_assert_cmpint(bus_error_status(MERGEMEM_ERROR_BAD_SELECTOR, -EINVAL), ==, 2);
        g_assert_cmpint(bus_error_status(MERGEMEM_ERROR_NO_MEMORY, -ENOMEM), ==, 1);
        g_assert_cmpint(bus_error_status(MERGEMEM_ERROR_DOMAIN_BUSY, -EIO), ==, 1);
        g_assert_cmpint(bus_error_status("org.freedesktop.DBus.Error.AccessDenied", -EACCES), ==, 4);
        g_assert_cmpint(bus_error_status(SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, -EPERM), ==, 4);
        g_assert_cmpint(bus_error_status("org.freedesktop.DBus.Error.ServiceUnknown", -EIO), ==, 5);
        g_assert_cmpint(bus_error_status("org.freedesktop.DBus.Error.NameHasNoOwner", -ENXIO), ==, 5);
        g_assert_cmpint(bus_error_status("org.freedesktop.DBus.Error.NoReply", -ETIMEDOUT), ==, 5);
        g_assert_cmpint(bus_error_status("org.freedesktop.DBus.Error.Spawn.ChildExited", -EIO), ==, 5);
        g_assert_cmpint(bus_error_status("org.freedesktop.DBus.Error.UnknownMethod", -EBADR), ==, 1);
        g_assert_cmpint(bus_error_status(NULL, -ECONNRESET), ==, 5);
        g_assert_cmpint(bus_error_status(NULL, -ENOTCONN), ==, 5);
        g_assert_cmpint(bus_error_status(NULL, -EACCES), ==, 4);
        g_assert_cmpint(bus_error_status(NULL, -ENOMEM), ==, 1);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/ctl/result/read", test_read);
        g_test_add_func("/ctl/result/wrong-type", test_wrong_type);
        g_test_add_func("/ctl/result/final", test_final);
        g_test_add_func("/ctl/result/exit-statuses", test_exit_statuses);
        return g_test_run();
}
