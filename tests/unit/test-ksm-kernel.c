/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The running kernel's KSM, driven for real with memory of our own; needs root. */
#include <fcntl.h>
#include <glib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "lib/ksm-state.h"
#include "lib/ksm.h"
#include "lib/vmflags.h"

#define KSM_DIR "/sys/kernel/mm/ksm"
#define PAGES 64U
#define MERGE_TIMEOUT_USEC (60 * G_USEC_PER_SEC)

static const struct mm_ksm_settings settings = {
        .pages_to_scan = 2000,
        .sleep_millisecs = 1,
        .smart_scan = 0,
        .use_zero_pages = -1,
        .advisor = "none",
        .merge_across_nodes = -1,
        .max_page_sharing = -1,
};

struct fixture {
        int root_fd, state_fd;
        char *state;
};

/* What the machine had: NULL for a knob that its kernel does not have. */
static char *before[KSM_KNOB_MAX_];

static char *get_knob(enum ksm_knob knob)
{
        g_autofree char *path = g_build_filename(KSM_DIR, ksm_knob_name(knob), NULL);
        char *text = NULL;

        (void) g_file_get_contents(path, &text, NULL, NULL);
        return text;
}

static void set_knob(enum ksm_knob knob, const char *value)
{
        g_autofree char *path = g_build_filename(KSM_DIR, ksm_knob_name(knob), NULL);
        int fd = open(path, O_WRONLY | O_CLOEXEC);

        g_assert_cmpint(fd, >=, 0);
        g_assert_cmpint(write(fd, value, strlen(value)), ==, strlen(value));
        safe_close(fd);
}

static void expect_knob(enum ksm_knob knob, const char *value)
{
        g_autofree char *text = get_knob(knob);

        g_assert_cmpstr(text, ==, value);
}

static void expect_as_before(const struct fixture *f)
{
        for (enum ksm_knob k = 0; k < KSM_KNOB_MAX_; k++)
                expect_knob(k, before[k]);
        g_assert_cmpint(faccessat(f->state_fd, "ksm.state", F_OK, 0), ==, -1);
}

static void set_up(struct fixture *f, const void *data)
{
        f->root_fd = open(KSM_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        g_assert_cmpint(f->root_fd, >=, 0);
        f->state = g_dir_make_tmp("mergemem-state-XXXXXX", NULL);
        f->state_fd = open(f->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        g_assert_cmpint(f->state_fd, >=, 0);
}

static void tear_down(struct fixture *f, const void *data)
{
        expect_as_before(f);
        safe_close(f->state_fd);
        g_assert_cmpint(rmdir(f->state), ==, 0);
        g_free(f->state);
        safe_close(f->root_fd);
}

/* Of the areas between two addresses. */
static uint64_t registered_bytes(int process_fd, uint64_t start, uint64_t end)
{
        _cleanup_(freep) struct mm_vmflags *flags = NULL;
        uint64_t sum = 0;
        size_t n;

        g_assert_cmpint(mm_vmflags_read(process_fd, &flags, &n), ==, 0);
        for (size_t i = 0; i < n; i++)
                if (flags[i].start >= start && flags[i].end <= end && (flags[i].flags & MM_VM_MERGEABLE))
                        sum += flags[i].end - flags[i].start;
        return sum;
}

static uint64_t wait_until_merged(int process_fd, uint64_t pages)
{
        gint64 end = g_get_monotonic_time() + MERGE_TIMEOUT_USEC;
        struct mm_ksm_process p;

        do {
                g_assert_cmpint(mm_ksm_process_read(process_fd, &p), ==, 0);
                if (p.merging_pages >= pages)
                        break;
                g_usleep(1000);
        } while (g_get_monotonic_time() < end);
        return p.merging_pages;
}

static void test_merge(struct fixture *f, const void *data)
{
        size_t page = (size_t) sysconf(_SC_PAGESIZE), size = PAGES * page;
        struct mm_ksm_counters counters;
        struct mm_ksm_drive *d = NULL;
        struct mm_ksm_process p;
        uint64_t middle;
        int process_fd;
        char *memory;

        process_fd = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        g_assert_cmpint(process_fd, >=, 0);
        memory = mmap(NULL, 3 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        g_assert_true(memory != MAP_FAILED);
        middle = (uintptr_t) memory + size;
        memset(memory, 'x', 3 * size);

        g_assert_cmpuint(registered_bytes(process_fd, 0, UINT64_MAX), ==, 0);
        g_assert_cmpint(madvise(memory + size, size, MADV_MERGEABLE), ==, 0);
        g_assert_cmpuint(registered_bytes(process_fd, 0, UINT64_MAX), ==, size);
        g_assert_cmpuint(registered_bytes(process_fd, middle, middle + size), ==, size);
        g_assert_cmpint(mm_ksm_process_read(process_fd, &p), ==, 0);
        g_assert_cmpint(p.mergeable, !=, 0);
        g_assert_cmpuint(p.merging_pages, ==, 0);

        g_assert_cmpint(mm_ksm_drive_start(f->root_fd, f->state_fd, &settings, &d), ==, 0);
        expect_knob(KSM_PAGES_TO_SCAN, "2000\n");
        expect_knob(KSM_SLEEP_MILLISECS, "1\n");
        expect_knob(KSM_RUN, "1\n");
        g_assert_cmpuint(wait_until_merged(process_fd, PAGES), ==, PAGES);
        g_assert_cmpint(mm_ksm_read(f->root_fd, &counters), ==, 0);
        g_assert_cmpuint(counters.run, ==, 1);
        g_assert_cmpuint(counters.pages_sharing, >=, PAGES - 1);
        g_assert_null(mm_ksm_drive_stop(d));

        /* Merged pages stay merged. */
        g_assert_cmpint(mm_ksm_process_read(process_fd, &p), ==, 0);
        g_assert_cmpuint(p.merging_pages, ==, PAGES);
        for (size_t i = 0; i < 3 * size; i++)
                g_assert_cmpint(memory[i], ==, 'x');
        g_assert_cmpint(munmap(memory, 3 * size), ==, 0);
        safe_close(process_fd);
}

static void test_killed(struct fixture *f, const void *data)
{
        pid_t pid = fork();
        int status;

        g_assert_cmpint(pid, >=, 0);
        if (pid == 0) {
                struct mm_ksm_drive *d;

                if (mm_ksm_drive_start(f->root_fd, f->state_fd, &settings, &d) == 0)
                        raise(SIGKILL);
                _exit(EXIT_FAILURE);
        }
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        g_assert_true(WIFSIGNALED(status));

        expect_knob(KSM_RUN, "1\n");
        g_assert_cmpint(mm_ksm_recover(f->root_fd, f->state_fd), ==, 1);
        expect_as_before(f);
}

/* Only a kernel refuses to take pages_to_scan from us while its advisor is on. */
static void test_advisor(struct fixture *f, const void *data)
{
        struct mm_ksm_settings s = settings;
        struct mm_ksm_drive *d = NULL;

        if (!before[KSM_ADVISOR_MODE]) /* Linux before 6.8: the other tests say all there is */
                return;
        set_knob(KSM_ADVISOR_MODE, "scan-time");

        g_assert_cmpint(mm_ksm_drive_start(f->root_fd, f->state_fd, &s, &d), ==, 0);
        expect_knob(KSM_ADVISOR_MODE, "[none] scan-time\n");
        expect_knob(KSM_PAGES_TO_SCAN, "2000\n");
        mm_ksm_drive_stop(d);
        expect_knob(KSM_ADVISOR_MODE, "none [scan-time]\n");

        s.advisor = NULL;
        g_assert_cmpint(mm_ksm_drive_start(f->root_fd, f->state_fd, &s, &d), ==, 0);
        expect_knob(KSM_ADVISOR_MODE, "none [scan-time]\n");
        mm_ksm_drive_stop(d);

        set_knob(KSM_ADVISOR_MODE, "none");
        set_knob(KSM_PAGES_TO_SCAN, before[KSM_PAGES_TO_SCAN]);
}

/* Its own choice of pages_to_scan is not left behind. */
static void test_scan_time(struct fixture *f, const void *data)
{
        struct mm_ksm_settings s = settings;
        struct mm_ksm_drive *d = NULL;

        if (!before[KSM_ADVISOR_MODE])
                return;
        set_knob(KSM_PAGES_TO_SCAN, "70");
        s.advisor = "scan-time";
        g_assert_cmpint(mm_ksm_drive_start(f->root_fd, f->state_fd, &s, &d), ==, 0);
        expect_knob(KSM_ADVISOR_MODE, "none [scan-time]\n");
        mm_ksm_drive_stop(d);
        expect_knob(KSM_ADVISOR_MODE, "[none] scan-time\n");
        expect_knob(KSM_PAGES_TO_SCAN, "70\n");
        set_knob(KSM_PAGES_TO_SCAN, before[KSM_PAGES_TO_SCAN]);
}

/* Has ksmd forget all that nobody shares any more. */
static void drain(struct fixture *f)
{
        gint64 end = g_get_monotonic_time() + MERGE_TIMEOUT_USEC;
        struct mm_ksm_counters counters;
        struct mm_ksm_drive *d = NULL;

        g_assert_cmpint(mm_ksm_drive_start(f->root_fd, f->state_fd, &settings, &d), ==, 0);
        do {
                g_assert_cmpint(g_get_monotonic_time(), <, end);
                g_usleep(1000);
                g_assert_cmpint(mm_ksm_read(f->root_fd, &counters), ==, 0);
        } while (counters.pages_shared > 0);
        mm_ksm_drive_stop(d);
}

static void share(struct fixture *f, const struct mm_ksm_settings *s, char *memory, size_t size)
{
        _cleanup_(closep) int process_fd = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct mm_ksm_drive *d = NULL;

        g_assert_cmpint(madvise(memory, size, MADV_MERGEABLE), ==, 0);
        g_assert_cmpint(mm_ksm_drive_start(f->root_fd, f->state_fd, s, &d), ==, 0);
        g_assert_cmpuint(wait_until_merged(process_fd, PAGES), ==, PAGES);
        mm_ksm_drive_stop(d);
}

/* max_page_sharing is set and put back once the kernel takes it, which it does while nothing is shared. */
static void test_waits(struct fixture *f, const void *data)
{
        size_t size = PAGES * (size_t) sysconf(_SC_PAGESIZE);
        struct mm_ksm_settings s = settings;
        char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        g_assert_true(memory != MAP_FAILED);
        memset(memory, 'y', size);
        s.max_page_sharing = 512;
        g_assert_cmpstr(before[KSM_MAX_PAGE_SHARING], !=, "512\n");

        drain(f);
        share(f, &s, memory, size);
        expect_knob(KSM_MAX_PAGE_SHARING, "512\n");
        g_assert_cmpint(mm_ksm_recover(f->root_fd, f->state_fd), ==, 0);
        expect_knob(KSM_MAX_PAGE_SHARING, "512\n");
        g_assert_cmpint(madvise(memory, size, MADV_UNMERGEABLE), ==, 0);
        drain(f);
        expect_as_before(f);

        share(f, &settings, memory, size);
        share(f, &s, memory, size);
        expect_as_before(f);
        g_assert_cmpint(munmap(memory, size), ==, 0);
        drain(f);
}

static void put_everything_back(void)
{
        set_knob(KSM_RUN, "0");
        if (before[KSM_ADVISOR_MODE])
                set_knob(KSM_ADVISOR_MODE, "none");
        for (enum ksm_knob k = KSM_PAGES_TO_SCAN; k < KSM_RUN; k++)
                if (before[k])
                        set_knob(k, before[k]);
}

int main(int argc, char **argv)
{
        int fd, status;
        pid_t pid;

        g_test_init(&argc, &argv, NULL);

        /* There is one KSM: tests that drive it take turns. */
        fd = open(KSM_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        g_assert_cmpint(fd, >=, 0);
        g_assert_cmpint(flock(fd, LOCK_EX), ==, 0);
        for (enum ksm_knob k = 0; k < KSM_KNOB_MAX_; k++)
                before[k] = get_knob(k);
        g_assert_cmpstr(before[KSM_RUN], ==, "0\n");
        if (before[KSM_ADVISOR_MODE])
                g_assert_cmpstr(before[KSM_ADVISOR_MODE], ==, "[none] scan-time\n");

        /* A test that fails ends its process where it stands. */
        pid = fork();
        g_assert_cmpint(pid, >=, 0);
        if (pid > 0) {
                g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
                put_everything_back();
                for (enum ksm_knob k = 0; k < KSM_KNOB_MAX_; k++)
                        g_free(before[k]);
                safe_close(fd);
                return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
        }

        g_test_add("/ksm-kernel/merge", struct fixture, NULL, set_up, test_merge, tear_down);
        g_test_add("/ksm-kernel/killed", struct fixture, NULL, set_up, test_killed, tear_down);
        g_test_add("/ksm-kernel/advisor", struct fixture, NULL, set_up, test_advisor, tear_down);
        g_test_add("/ksm-kernel/scan-time", struct fixture, NULL, set_up, test_scan_time, tear_down);
        g_test_add("/ksm-kernel/waits", struct fixture, NULL, set_up, test_waits, tear_down);
        return g_test_run();
}
