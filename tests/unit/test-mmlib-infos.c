/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What mmlib(3) promises of m_getpageinfos(), without mergemod. */
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mmlib-memory.h"

#define N 64U
#define UNTOUCHED UINT64_C(0x123456789abcdef)

struct fixture {
        uint8_t *memory;
        pid_t pid;
};

/* Every other page. */
static void touch_some(void *userdata)
{
        for (size_t i = 0; i < N; i += 2)
                memory_fill(userdata, i, i + 1);
}

static void setup(struct fixture *f, const void *unused)
{
        f->memory = memory_map(N);
        f->pid = child_start(touch_some, f->memory);
}

static void teardown(struct fixture *f, const void *unused)
{
        child_kill(f->pid);
        memory_unmap(f->memory, N * PAGE);
}

static void test_fields(struct fixture *f, const void *unused)
{
        MPAGEINFO infos[N];
        size_t n;

        for (size_t i = 0; i < N; i++)
                infos[i].hash = UNTOUCHED + i;
        n = memory_infos(f->pid, f->memory, N * PAGE, infos, N);
        g_assert_cmpuint(n, ==, N / 2);
        for (size_t i = 0; i < n; i++) {
                const uint8_t *address = f->memory + 2 * i * PAGE;

                g_assert_true(infos[i].v_addr == address);
                g_assert_cmpuint((uintptr_t) infos[i].p_addr, ==, memory_frame(f->pid, address) * PAGE);
                g_assert_cmpuint(infos[i].count, ==, 1);
        }
}

static void test_hash_unchanged(struct fixture *f, const void *unused)
{
        MPAGEINFO infos[N];

        for (size_t i = 0; i < N; i++)
                infos[i].hash = UNTOUCHED + i;
        g_assert_cmpuint(memory_infos(f->pid, f->memory, N * PAGE, infos, N), ==, N / 2);
        for (size_t i = 0; i < N; i++)
                g_assert_cmpuint(infos[i].hash, ==, UNTOUCHED + i);
}

static void fork_once(void *userdata)
{
        touch_some(userdata);
        if (fork() == 0)
                for (;;)
                        pause();
}

static void test_count_of_shared(void)
{
        uint8_t *memory = memory_map(N);
        pid_t pid = child_start(fork_once, memory);
        g_autofree char *kill_children = g_strdup_printf("pkill -KILL -P %d", (int) pid);
        MPAGEINFO infos[N];

        g_assert_cmpuint(memory_infos(pid, memory, N * PAGE, infos, N), ==, N / 2);
        for (size_t i = 0; i < N / 2; i++) {
                g_assert_cmpuint(infos[i].count, ==, 2);
                g_assert_cmpuint(infos[i].count, ==, memory_count(pid, infos[i].v_addr));
        }
        g_assert_cmpint(system(kill_children), ==, 0);
        child_kill(pid);
        memory_unmap(memory, N * PAGE);
}

static void test_at_most_nel(struct fixture *f, const void *unused)
{
        MPAGEINFO infos[N] = {};
        const void *cont = NULL;

        g_assert_cmpint(m_getpageinfos(f->pid, f->memory, f->memory + N * PAGE, infos, 5, &cont), ==, 5);
        for (size_t i = 0; i < 5; i++)
                g_assert_true(infos[i].v_addr == f->memory + 2 * i * PAGE);
        g_assert_null(infos[5].v_addr);
        /* The sixth is the first not yet examined. */
        g_assert_true((const uint8_t *) cont > f->memory + 8 * PAGE);
        g_assert_true((const uint8_t *) cont <= f->memory + 10 * PAGE);
}

static void test_contp(struct fixture *f, const void *unused)
{
        const uint8_t *end = f->memory + N * PAGE;
        const void *cont = f->memory;
        MPAGEINFO infos[N];
        size_t n = 0;

        g_assert_cmpint(m_getpageinfos(f->pid, f->memory, end, infos, 3, NULL), ==, 3);
        /* Exactly as many as there are: done. */
        g_assert_cmpint(m_getpageinfos(f->pid, f->memory, end, infos, N / 2, &cont), ==, N / 2);
        g_assert_null(cont);
        cont = f->memory;
        g_assert_cmpint(m_getpageinfos(f->pid, f->memory, end, infos, N / 2 - 1, &cont), ==, N / 2 - 1);
        g_assert_nonnull(cont);
        /* Each page once. */
        for (cont = f->memory; cont;) {
                ssize_t k = m_getpageinfos(f->pid, cont, end, infos, 3, &cont);

                g_assert_cmpint(k, ==, MIN(3, N / 2 - n));
                for (ssize_t i = 0; i < k; i++, n++)
                        g_assert_true(infos[i].v_addr == f->memory + 2 * n * PAGE);
        }
        g_assert_cmpuint(n, ==, N / 2);
}

static void test_contp_on_error(struct fixture *f, const void *unused)
{
        const void *cont = f->memory;
        MPAGEINFO infos[N];

        g_assert_cmpint(m_getpageinfos(f->pid, f->memory, f->memory + PAGE, infos, 0, &cont), ==, -1);
        g_assert_true(cont == f->memory);
}

static void test_region(struct fixture *f, const void *unused)
{
        MPAGEINFO infos[N];

        /* Pages that are in it only in part are used to represent it. */
        g_assert_cmpuint(memory_infos(f->pid, f->memory + 2 * PAGE + 7, 1, infos, N), ==, 1);
        g_assert_true(infos[0].v_addr == f->memory + 2 * PAGE);
        g_assert_cmpuint(memory_infos(f->pid, f->memory + 2 * PAGE - 1, 2, infos, N), ==, 1);
        g_assert_true(infos[0].v_addr == f->memory + 2 * PAGE);
        g_assert_cmpuint(memory_infos(f->pid, f->memory + 2 * PAGE + 7, 2 * PAGE, infos, N), ==, 2);
        /* The end is not in it. */
        g_assert_cmpuint(memory_infos(f->pid, f->memory, 2 * PAGE, infos, N), ==, 1);
        g_assert_cmpuint(memory_infos(f->pid, f->memory + 2 * PAGE + 7, 0, infos, N), ==, 0);
        g_assert_cmpuint(memory_infos(f->pid, f->memory + PAGE, PAGE, infos, N), ==, 0);
}

/* All memory, with few entries a call: each page once, in order, and ours among them. */
static void test_everything(struct fixture *f, const void *unused)
{
        const void *cont = NULL, *last = NULL;
        size_t n_ours = 0, n_calls = 0;
        MPAGEINFO infos[20];

        do {
                ssize_t n = m_getpageinfos(f->pid, cont, (void *) -1, infos, G_N_ELEMENTS(infos), &cont);

                g_assert_cmpint(n, >, 0);
                for (ssize_t i = 0; i < n; i++) {
                        const uint8_t *address = infos[i].v_addr;

                        g_assert_true(infos[i].v_addr > last);
                        last = infos[i].v_addr;
                        n_ours += address >= f->memory && address < f->memory + N * PAGE;
                }
                n_calls++;
        } while (cont);
        g_assert_cmpuint(n_ours, ==, N / 2);
        g_assert_cmpuint(n_calls, >, 1);
}

static void test_last_page(struct fixture *f, const void *unused)
{
        const void *cont = f->memory;
        MPAGEINFO info;
        ssize_t n = m_getpageinfos(f->pid, (void *) -1, (void *) -1, &info, 1, &cont);

        g_assert_true(n == 0 || n == 1);
        g_assert_null(cont);
}

/* Areas that mergemod would refuse, and one that it would not. */
enum { AREA_PLAIN, AREA_SHARED, AREA_FILE, AREA_LOCKED, AREA_DONTDUMP, AREA_WIPEONFORK, AREA_KSM, N_AREAS };

static uint8_t *areas[N_AREAS];

static void make_areas(void *unused)
{
        int flags[N_AREAS] = { [AREA_SHARED] = MAP_SHARED | MAP_ANONYMOUS, [AREA_FILE] = MAP_PRIVATE };
        int fd = memfd_create("file", MFD_CLOEXEC);

        if (fd < 0 || ftruncate(fd, PAGE) < 0)
                _exit(1);
        for (size_t i = 0; i < N_AREAS; i++) {
                int f = flags[i] ? flags[i] : MAP_PRIVATE | MAP_ANONYMOUS;
                uint8_t *p = mmap(areas[i], PAGE, PROT_READ | PROT_WRITE, f | MAP_FIXED,
                                  i == AREA_FILE ? fd : -1, 0);

                if (p == MAP_FAILED)
                        _exit(1);
                memory_fill(p, 0, i + 1);
        }
        /* The call itself: sanitizers have one that does nothing. */
        if (syscall(SYS_mlock, areas[AREA_LOCKED], PAGE) < 0 ||
            madvise(areas[AREA_DONTDUMP], PAGE, MADV_DONTDUMP) < 0 ||
            madvise(areas[AREA_WIPEONFORK], PAGE, MADV_WIPEONFORK) < 0 ||
            madvise(areas[AREA_KSM], PAGE, MADV_MERGEABLE) < 0)
                _exit(1);
}

static void test_unmergeable(void)
{
        MPAGEINFO info;
        pid_t pid;

        for (size_t i = 0; i < N_AREAS; i++)
                areas[i] = memory_map(1);
        pid = child_start(make_areas, NULL);
        for (size_t i = 0; i < N_AREAS; i++) {
                g_test_message("area %zu", i);
                g_assert_cmpuint(memory_frame(pid, areas[i]), >, 0);
                g_assert_cmpuint(memory_infos(pid, areas[i], PAGE, &info, 1), ==, i == AREA_PLAIN);
                memory_unmap(areas[i], PAGE);
        }
        child_kill(pid);
}

static void touch_huge(void *userdata)
{
        uint8_t *memory = userdata;

        for (size_t i = 0; i < 3; i++)
                memory_fill(memory, i * HUGE / PAGE, i + 1);
        /* One is in parts then. */
        if (madvise(memory + HUGE, PAGE, MADV_DONTNEED) < 0)
                _exit(1);
}

static void test_huge_once(void)
{
        uint8_t *memory = memory_map_huge(3);
        pid_t pid = child_start(touch_huge, memory);
        MPAGEINFO infos[1024];

        g_assert_cmpuint(memory_infos(pid, memory, 3 * HUGE, infos, G_N_ELEMENTS(infos)), ==, 513);
        g_assert_true(infos[0].v_addr == memory);
        g_assert_cmpuint((uintptr_t) infos[0].p_addr, ==, memory_frame(pid, memory) * PAGE);
        g_assert_cmpuint(infos[0].count, ==, 1);
        for (size_t i = 1; i < 512; i++)
                g_assert_true(infos[i].v_addr == memory + HUGE + i * PAGE);
        g_assert_true(infos[512].v_addr == memory + 2 * HUGE);
        /* Whatever part of it is asked for. */
        g_assert_cmpuint(memory_infos(pid, memory + 100 * PAGE, PAGE, infos, 1), ==, 1);
        g_assert_true(infos[0].v_addr == memory);
        child_kill(pid);
        memory_unmap(memory, 3 * HUGE);
}

static void read_only(void *userdata)
{
        (void) *(volatile uint8_t *) userdata;
}

static void test_zero_page(void)
{
        uint8_t *memory = memory_map(N), *own = memory_map(1);
        pid_t pid = child_start(read_only, memory);
        MPAGEINFO infos[N];

        g_assert_cmpuint(memory_infos(pid, memory, N * PAGE, infos, N), ==, 1);
        read_only(own);
        g_assert_cmpuint((uintptr_t) infos[0].p_addr, ==, memory_frame(getpid(), own) * PAGE);
        g_assert_cmpuint(infos[0].count, >, 1);
        child_kill(pid);
        memory_unmap(memory, N * PAGE);
        memory_unmap(own, PAGE);
}

static void test_self(void)
{
        uint8_t *memory = memory_map(1);
        MPAGEINFO info;

        memory_fill(memory, 0, 1);
        g_assert_cmpuint(memory_infos(getpid(), memory, PAGE, &info, 1), ==, 1);
        g_assert_cmpuint((uintptr_t) info.p_addr, ==, memory_frame(getpid(), memory) * PAGE);
        memory_unmap(memory, PAGE);
}

static int error_of(pid_t pid, const void *start, const void *end, MPAGEINFO *infos, size_t nel,
                    const void **contp)
{
        errno = 0;
        g_assert_cmpint(m_getpageinfos(pid, start, end, infos, nel, contp), ==, -1);
        return errno;
}

static void test_esrch(void)
{
        pid_t pid = child_start(NULL, NULL);
        MPAGEINFO info;

        child_make_zombie(pid);
        g_assert_cmpint(error_of(pid, NULL, (void *) -1, &info, 1, NULL), ==, ESRCH);
        g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
        g_assert_cmpint(error_of(pid, NULL, (void *) -1, &info, 1, NULL), ==, ESRCH);
        g_assert_cmpint(error_of(INT_MAX, NULL, (void *) -1, &info, 1, NULL), ==, ESRCH);
}

static int try_own(void)
{
        MPAGEINFO info;

        return m_getpageinfos(getpid(), NULL, (void *) -1, &info, 1, NULL) < 0 ? errno : 0;
}

static int try_parent(void)
{
        MPAGEINFO info;

        return m_getpageinfos(getppid(), NULL, (void *) -1, &info, 1, NULL) < 0 ? errno : 0;
}

static void test_eperm(void)
{
        g_assert_cmpint(run_as_nobody(try_own), ==, EPERM);
        g_assert_cmpint(run_as_nobody(try_parent), ==, EPERM);
}

static void test_root_sees_others(void)
{
        pid_t pid = child_start_as_nobody();
        MPAGEINFO info;

        g_assert_cmpint(m_getpageinfos(pid, NULL, (void *) -1, &info, 1, NULL), ==, 1);
        child_kill(pid);
}

static void test_efault(struct fixture *f, const void *unused)
{
        const uint8_t *end = f->memory + N * PAGE;
        uint8_t *constant = memory_map(1), *none = f->memory - PAGE;
        MPAGEINFO info, *overlap;

        g_assert_cmpint(mprotect(constant, PAGE, PROT_READ), ==, 0);
        g_assert_cmpint(error_of(f->pid, f->memory, end, NULL, 1, NULL), ==, EFAULT);
        g_assert_cmpint(error_of(f->pid, f->memory, end, (MPAGEINFO *) none, 1, NULL), ==, EFAULT);
        g_assert_cmpint(error_of(f->pid, f->memory, end, (MPAGEINFO *) constant, 1, NULL), ==, EFAULT);
        g_assert_cmpint(error_of(f->pid, f->memory, end, &info, 1, (const void **) none), ==, EFAULT);
        g_assert_cmpint(error_of(f->pid, f->memory, end, &info, 1, (const void **) constant), ==, EFAULT);
        /* Only its end. */
        overlap = (MPAGEINFO *) (constant - 3 * sizeof(*overlap));
        g_assert_cmpint(error_of(f->pid, f->memory, end, overlap, 6, NULL), ==, EFAULT);
        memory_unmap(constant, PAGE);
}

static void test_einval(struct fixture *f, const void *unused)
{
        MPAGEINFO info;

        g_assert_cmpint(error_of(f->pid, f->memory + 1, f->memory, &info, 1, NULL), ==, EINVAL);
        g_assert_cmpint(error_of(f->pid, (void *) -1, NULL, &info, 1, NULL), ==, EINVAL);
        g_assert_cmpint(error_of(f->pid, f->memory, f->memory + PAGE, &info, 0, NULL), ==, EINVAL);
        g_assert_cmpint(error_of(f->pid, f->memory, f->memory + PAGE, &info, SIZE_MAX, NULL), ==, EINVAL);
        g_assert_cmpint(error_of(0, NULL, (void *) -1, &info, 1, NULL), ==, EINVAL);
        g_assert_cmpint(error_of(-1, NULL, (void *) -1, &info, 1, NULL), ==, EINVAL);
}

#define ADD(path, test) g_test_add("/mmlib/infos/" path, struct fixture, NULL, setup, test, teardown)

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        ADD("v_addr-p_addr-count", test_fields);
        ADD("hash-is-left-unchanged", test_hash_unchanged);
        g_test_add_func("/mmlib/infos/count-of-shared-pages", test_count_of_shared);
        ADD("at-most-nel-in-ascending-order", test_at_most_nel);
        ADD("contp-is-first-page-not-examined-or-null", test_contp);
        ADD("contp-stays-on-error", test_contp_on_error);
        ADD("region", test_region);
        ADD("everything", test_everything);
        ADD("last-page", test_last_page);
        g_test_add_func("/mmlib/infos/unmergeable-pages-are-left-out", test_unmergeable);
        g_test_add_func("/mmlib/infos/huge-pages-count-once", test_huge_once);
        g_test_add_func("/mmlib/infos/page-of-zeros", test_zero_page);
        g_test_add_func("/mmlib/infos/own-process", test_self);
        g_test_add_func("/mmlib/infos/esrch", test_esrch);
        g_test_add_func("/mmlib/infos/eperm", test_eperm);
        g_test_add_func("/mmlib/infos/superuser-sees-all", test_root_sees_others);
        ADD("efault", test_efault);
        ADD("einval", test_einval);
        return g_test_run();
}
