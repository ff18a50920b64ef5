/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* KSM's knobs, driven and put back, on trees of plain files in place of sysfs. */
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "ksm-tree.h"
#include "lib/ksm-state.h"
#include "lib/ksm.h"

static const struct mm_ksm_settings settings = {
        .pages_to_scan = 2000,
        .sleep_millisecs = 0,
        .smart_scan = 0,
        .use_zero_pages = -1,
        .advisor = "none",
        .merge_across_nodes = -1,
        .max_page_sharing = -1,
};

static void test_drive(void)
{
        struct mm_ksm_drive *d = NULL;
        struct tree t;

        tree_init(&t, true);
        g_assert_cmpint(mm_ksm_drive_start(t.root_fd, t.state_fd, &settings, &d), ==, 0);
        expect(t.root, "pages_to_scan", "2000");
        expect(t.root, "sleep_millisecs", "0");
        expect(t.root, "smart_scan", "0");
        expect(t.root, "use_zero_pages", "0");
        expect(t.root, "run", "1");
        /* Nothing about knobs that stay: the advisor was off, use_zero_pages was not asked for. */
        expect(t.state, "ksm.state",
               "mergemem-ksm-state 1\n"
               "pages_to_scan 100 2000\n"
               "sleep_millisecs 20 0\n"
               "smart_scan 1 0\n"
               "run 0 1\n"
               "end");

        g_assert_null(mm_ksm_drive_stop(d));
        expect_untouched(&t);
        g_assert_null(mm_ksm_drive_stop(NULL));
        tree_done(&t);
}

static void test_drive_old_kernel(void)
{
        struct mm_ksm_drive *d = NULL;
        struct tree t;

        tree_init(&t, false);
        g_assert_cmpint(mm_ksm_drive_start(t.root_fd, t.state_fd, &settings, &d), ==, 0);
        expect(t.root, "pages_to_scan", "2000");
        expect(t.root, "smart_scan", NULL);
        expect(t.root, "advisor_mode", NULL);
        mm_ksm_drive_stop(d);
        expect(t.root, "pages_to_scan", "100");
        expect(t.root, "run", "0");
        tree_done(&t);
}

static void test_drive_advisor(void)
{
        struct mm_ksm_settings s = settings;
        struct mm_ksm_drive *d = NULL;
        struct tree t;

        tree_init(&t, true);
        put(t.root, "advisor_mode", "none [scan-time]\n");
        g_assert_cmpint(mm_ksm_drive_start(t.root_fd, t.state_fd, &s, &d), ==, 0);
        expect(t.root, "advisor_mode", "none");
        expect(t.root, "pages_to_scan", "2000");
        mm_ksm_drive_stop(d);
        expect(t.root, "advisor_mode", "scan-time");
        expect(t.root, "pages_to_scan", "100");

        /* Left to the advisor, pages_to_scan is its own. */
        s.advisor = NULL;
        g_assert_cmpint(mm_ksm_drive_start(t.root_fd, t.state_fd, &s, &d), ==, 0);
        expect(t.root, "advisor_mode", "scan-time");
        expect(t.root, "pages_to_scan", "100");
        expect(t.root, "sleep_millisecs", "0");
        mm_ksm_drive_stop(d);
        expect(t.root, "sleep_millisecs", "20");
        tree_done(&t);
}

/* pages_to_scan is the advisor's then, and what it was before is known all the same. */
static void test_drive_scan_time(void)
{
        struct mm_ksm_settings s = settings;
        struct mm_ksm_drive *d = NULL;
        struct tree t;

        tree_init(&t, true);
        put(t.root, "pages_to_scan", "70\n");
        s.advisor = "scan-time";
        g_assert_cmpint(mm_ksm_drive_start(t.root_fd, t.state_fd, &s, &d), ==, 0);
        expect(t.root, "advisor_mode", "scan-time");
        expect(t.root, "pages_to_scan", "70");
        /* As the kernel does when its advisor is switched off. */
        put(t.root, "pages_to_scan", "100\n");
        mm_ksm_drive_stop(d);
        expect(t.root, "advisor_mode", "none");
        expect(t.root, "pages_to_scan", "70");
        tree_done(&t);
}

static void test_drive_rarely(void)
{
        struct mm_ksm_settings s = settings;
        struct mm_ksm_drive *d = NULL;
        struct tree t;

        tree_init(&t, true);
        put(t.root, "merge_across_nodes", "1\n");
        s.merge_across_nodes = 0;
        s.max_page_sharing = 512;
        g_assert_cmpint(mm_ksm_drive_start(t.root_fd, t.state_fd, &s, &d), ==, 0);
        expect(t.root, "merge_across_nodes", "0");
        expect(t.root, "max_page_sharing", "512");
        mm_ksm_drive_stop(d);
        expect(t.root, "merge_across_nodes", "1");
        expect(t.root, "max_page_sharing", "256");
        expect(t.state, "ksm.state", NULL);

        /* Only what the kernel was to take later: a new drive keeps what was there first. */
        put(t.root, "max_page_sharing", "300\n");
        put(t.state, "ksm.state", "mergemem-ksm-state 1\nmax_page_sharing 200 300\nend\n");
        g_assert_cmpint(mm_ksm_drive_start(t.root_fd, t.state_fd, &s, &d), ==, 0);
        expect(t.root, "max_page_sharing", "512");
        mm_ksm_drive_stop(d);
        expect(t.root, "max_page_sharing", "200");
        expect(t.state, "ksm.state", NULL);

        put(t.root, "max_page_sharing", "300\n");
        put(t.state, "ksm.state", "mergemem-ksm-state 1\nmax_page_sharing 256 300\nend\n");
        g_assert_cmpint(mm_ksm_recover(t.root_fd, t.state_fd), ==, 0);
        expect(t.root, "max_page_sharing", "256");
        expect(t.state, "ksm.state", NULL);
        tree_done(&t);
}

static void test_drive_refused(void)
{
        struct mm_ksm_settings s = settings;
        struct mm_ksm_drive *d = NULL;
        struct tree t;

        tree_init(&t, true);
        s.pages_to_scan = INT64_C(1) << 32;
        g_assert_cmpint(mm_ksm_drive_start(t.root_fd, t.state_fd, &s, &d), ==, -EINVAL);
        s = settings;
        s.smart_scan = 2;
        g_assert_cmpint(mm_ksm_drive_start(t.root_fd, t.state_fd, &s, &d), ==, -EINVAL);
        s = settings;
        s.advisor = "scan-times";
        g_assert_cmpint(mm_ksm_drive_start(t.root_fd, t.state_fd, &s, &d), ==, -EINVAL);
        s = settings;
        s.merge_across_nodes = 2;
        put(t.root, "merge_across_nodes", "1\n");
        g_assert_cmpint(mm_ksm_drive_start(t.root_fd, t.state_fd, &s, &d), ==, -EINVAL);
        g_assert_null(d);
        expect_untouched(&t);

        put(t.root, "run", "2\n");
        g_assert_cmpint(mm_ksm_drive_start(t.root_fd, t.state_fd, &settings, &d), ==, -EBUSY);
        put(t.root, "run", "0\n");

        put(t.state, "ksm.state", "mergemem-ksm-state 1\nrun 0 1\nend\n");
        g_assert_cmpint(mm_ksm_drive_start(t.root_fd, t.state_fd, &settings, &d), ==, -EEXIST);
        g_assert_cmpint(mm_ksm_recover(t.root_fd, t.state_fd), ==, 1);
        expect_untouched(&t);
        tree_done(&t);
}

/* The last knob cannot be written: those before it are put back. */
static void test_drive_fails_midway(void)
{
        g_autofree char *path = NULL, *target = NULL;
        struct mm_ksm_drive *d = NULL;
        struct tree t;
        int fd;

        tree_init(&t, true);
        fd = memfd_create("run", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        g_assert_cmpint(write(fd, "0\n", 2), ==, 2);
        g_assert_cmpint(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW), ==, 0);
        path = g_build_filename(t.root, "run", NULL);
        target = g_strdup_printf("/proc/self/fd/%d", fd);
        g_assert_cmpint(g_unlink(path), ==, 0);
        g_assert_cmpint(symlink(target, path), ==, 0);

        g_assert_cmpint(mm_ksm_drive_start(t.root_fd, t.state_fd, &settings, &d), ==, -EPERM);
        g_assert_null(d);
        g_assert_cmpint(g_unlink(path), ==, 0);
        put(t.root, "run", "0\n");
        expect(t.root, "pages_to_scan", "100");
        expect(t.root, "sleep_millisecs", "20");
        expect(t.root, "smart_scan", "1");
        expect(t.state, "ksm.state", NULL);
        safe_close(fd);
        tree_done(&t);
}

static void test_drive_ran_already(void)
{
        struct mm_ksm_drive *d = NULL;
        struct tree t;

        tree_init(&t, true);
        put(t.root, "run", "1\n");
        g_assert_cmpint(mm_ksm_drive_start(t.root_fd, t.state_fd, &settings, &d), ==, 0);
        expect(t.root, "pages_to_scan", "100");
        expect(t.root, "sleep_millisecs", "20");
        expect(t.state, "ksm.state", NULL);
        mm_ksm_drive_stop(d);
        expect(t.root, "run", "1");
        expect(t.root, "pages_to_scan", "100");

        /* A state file that is not of this drive is not taken away by it. */
        put(t.state, "ksm.state", "mergemem-ksm-state 1\nsleep_millisecs 30 20\nend\n");
        g_assert_cmpint(mm_ksm_drive_start(t.root_fd, t.state_fd, &settings, &d), ==, 0);
        mm_ksm_drive_stop(d);
        g_assert_cmpint(mm_ksm_recover(t.root_fd, t.state_fd), ==, 1);
        expect(t.root, "sleep_millisecs", "30");
        tree_done(&t);
}

static void test_drive_foreign_values(void)
{
        struct mm_ksm_drive *d = NULL;
        struct tree t;

        tree_init(&t, true);
        g_assert_cmpint(mm_ksm_drive_start(t.root_fd, t.state_fd, &settings, &d), ==, 0);
        put(t.root, "sleep_millisecs", "5\n");
        put(t.root, "advisor_mode", "none [scan-time]\n");
        put(t.root, "run", "2\n");
        mm_ksm_drive_stop(d);
        expect(t.root, "sleep_millisecs", "5");
        expect(t.root, "advisor_mode", "none [scan-time]");
        expect(t.root, "run", "2");
        /* Has our value, but an advisor that somebody has switched on meanwhile rules it. */
        expect(t.root, "pages_to_scan", "2000");
        expect(t.root, "smart_scan", "1");
        expect(t.state, "ksm.state", NULL);
        tree_done(&t);
}

static void test_recover(void)
{
        struct tree t;
        int status;
        pid_t pid;

        tree_init(&t, true);
        g_assert_cmpint(mm_ksm_recover(t.root_fd, t.state_fd), ==, 0);

        pid = fork();
        g_assert_cmpint(pid, >=, 0);
        if (pid == 0) {
                struct mm_ksm_drive *d;

                if (mm_ksm_drive_start(t.root_fd, t.state_fd, &settings, &d) == 0)
                        raise(SIGKILL);
                _exit(EXIT_FAILURE);
        }
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        g_assert_true(WIFSIGNALED(status));

        expect(t.root, "run", "1");
        expect(t.root, "pages_to_scan", "2000");
        g_assert_cmpint(mm_ksm_recover(t.root_fd, t.state_fd), ==, 1);
        expect_untouched(&t);
        g_assert_cmpint(mm_ksm_recover(t.root_fd, t.state_fd), ==, 0);

        /* Killed before the first knob, or between two. */
        put(t.state, "ksm.state", "mergemem-ksm-state 1\npages_to_scan 100 2000\nrun 0 1\nend\n");
        put(t.root, "pages_to_scan", "2000");
        g_assert_cmpint(mm_ksm_recover(t.root_fd, t.state_fd), ==, 1);
        expect_untouched(&t);
        tree_done(&t);
}

static void test_recover_damaged(void)
{
        static const char *const texts[] = {
                "",
                "\n",
                "mergemem-ksm-state 1\n",
                "mergemem-ksm-state 1\nrun 0 1\n",
                "mergemem-ksm-state 1\nrun 0 1\nend",
                "mergemem-ksm-state 1\nrun 0 1\nend\nend\n",
                "mergemem-ksm-state 2\nrun 0 1\nend\n",
                "mergemem-ksm-state 1\nrun 2 1\nend\n",
                "mergemem-ksm-state 1\nrun 0 1 \nend\n",
                "mergemem-ksm-state 1\nrun  0 1\nend\n",
                "mergemem-ksm-state 1\nrun 0\nend\n",
                "mergemem-ksm-state 1\nrun 0 1\nrun 0 1\nend\n",
                "mergemem-ksm-state 1\nrun 0 1\nsleep_millisecs 20 0\nend\n",
                "mergemem-ksm-state 1\nsleep_millisecs 4294967296 0\nend\n",
                "mergemem-ksm-state 1\nsleep_millisecs 00000000020 0\nend\n",
                "mergemem-ksm-state 1\nsleep_millisecs -1 0\nend\n",
                "mergemem-ksm-state 1\n../run 0 1\nend\n",
                "mergemem-ksm-state 1\nadvisor_mode auto none\nend\n",
                "mergemem-ksm-state 1\nstable_node_chains 2 256\nend\n",
        };
        g_autofree char *large = g_strnfill(4096, 'x');
        struct tree t;

        tree_init(&t, true);
        for (size_t i = 0; i <= ELEMENTSOF(texts); i++) {
                const char *text = i < ELEMENTSOF(texts) ? texts[i] : large;

                put(t.state, "ksm.state", text);
                g_assert_cmpint(mm_ksm_recover(t.root_fd, t.state_fd), ==, -EBADMSG);
                expect_untouched(&t);
                g_assert_cmpint(faccessat(t.state_fd, "ksm.state.damaged", F_OK, 0), ==, 0);
                g_assert_cmpint(unlinkat(t.state_fd, "ksm.state.damaged", 0), ==, 0);
                g_assert_cmpint(mm_ksm_recover(t.root_fd, t.state_fd), ==, 0);
        }
        tree_done(&t);
}

static void test_state_longest(void)
{
        char buf[KSM_STATE_BYTES_MAX], again[KSM_STATE_BYTES_MAX];
        struct ksm_state in = {}, out;
        size_t n;

        for (enum ksm_knob k = 0; k < KSM_KNOB_MAX_; k++) {
                const char *value = "1";

                if (k == KSM_ADVISOR_MODE)
                        value = "scan-time";
                else if (ksm_knob_takes(k, "4294967295"))
                        value = "4294967295";
                g_assert_true(ksm_knob_takes(k, value));
                strcpy(in.changes[k].before, value);
                strcpy(in.changes[k].ours, value);
        }
        n = ksm_state_format(&in, buf);
        g_assert_cmpuint(n, <, sizeof(buf));
        g_assert_cmpint(ksm_state_parse(buf, n, &out), ==, 0);
        g_assert_cmpuint(ksm_state_format(&out, again), ==, n);
        g_assert_cmpmem(buf, n, again, n);

        /* A file cut anywhere is noticed, and so is one byte too many. */
        for (size_t i = 0; i < n; i++)
                g_assert_cmpint(ksm_state_parse(buf, i, &out), ==, -EBADMSG);
        buf[n] = '\0';
        g_assert_cmpint(ksm_state_parse(buf, n + 1, &out), ==, -EBADMSG);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/ksm/drive", test_drive);
        g_test_add_func("/ksm/drive/old-kernel", test_drive_old_kernel);
        g_test_add_func("/ksm/drive/advisor", test_drive_advisor);
        g_test_add_func("/ksm/drive/scan-time", test_drive_scan_time);
        g_test_add_func("/ksm/drive/rarely", test_drive_rarely);
        g_test_add_func("/ksm/drive/refused", test_drive_refused);
        g_test_add_func("/ksm/drive/fails-midway", test_drive_fails_midway);
        g_test_add_func("/ksm/drive/ran-already", test_drive_ran_already);
        g_test_add_func("/ksm/drive/foreign-values", test_drive_foreign_values);
        g_test_add_func("/ksm/recover", test_recover);
        g_test_add_func("/ksm/recover/damaged", test_recover_damaged);
        g_test_add_func("/ksm/state/longest", test_state_longest);
        return g_test_run();
}
