/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What mmlib(3) promises of m_hashpages() and m_set_hash_default(), without mergemod. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mmlib-memory.h"

#define N 64U

typedef unsigned long (*hash_function)(const void *addr, size_t size);

struct fixture {
        uint8_t *memory;
        pid_t pid;
};

static void touch_all(void *userdata)
{
        for (size_t i = 0; i < N; i++)
                memory_fill(userdata, i, i / 2 + 1);
}

static void setup(struct fixture *f, const void *unused)
{
        f->memory = memory_map(N);
        f->pid = child_start(touch_all, f->memory);
}

static void teardown(struct fixture *f, const void *unused)
{
        child_kill(f->pid);
        memory_unmap(f->memory, N * PAGE);
}

/* Each page of the fixture's memory. */
static void list(const struct fixture *f, MPAGEINFO *infos)
{
        memset(infos, 0, N * sizeof(*infos));
        for (size_t i = 0; i < N; i++)
                infos[i].v_addr = f->memory + i * PAGE;
}

static void test_fields(struct fixture *f, const void *unused)
{
        MPAGEINFO infos[N];

        list(f, infos);
        g_assert_cmpint(m_hashpages(f->pid, infos, N, NULL), ==, N);
        for (size_t i = 0; i < N; i++) {
                g_assert_true(infos[i].v_addr == f->memory + i * PAGE);
                g_assert_cmpuint((uintptr_t) infos[i].p_addr, ==,
                                 memory_frame(f->pid, infos[i].v_addr) * PAGE);
                g_assert_cmpuint(infos[i].count, ==, 1);
                /* Two of each. */
                for (size_t k = 0; k < i; k++)
                        g_assert_true((infos[i].hash == infos[k].hash) == (i / 2 == k / 2));
        }
}

/* "The page containing the virtual address". */
static void test_containing_page(struct fixture *f, const void *unused)
{
        const uint8_t *page = f->memory + 6 * PAGE;
        MPAGEINFO infos[2] = { { .v_addr = page }, { .v_addr = page + PAGE - 1 } };

        g_assert_cmpint(m_hashpages(f->pid, infos, 2, NULL), ==, 2);
        g_assert_true(infos[1].v_addr == page + PAGE - 1);
        g_assert_true(infos[0].p_addr == infos[1].p_addr);
        g_assert_cmpuint(infos[0].hash, ==, infos[1].hash);
}

static void touch_even(void *userdata)
{
        for (size_t i = 0; i < N; i += 2)
                memory_fill(userdata, i, i + 1);
}

static void test_not_available(void)
{
        uint8_t *memory = memory_map(N);
        struct fixture f = { memory, child_start(touch_even, memory) };
        MPAGEINFO infos[N + 2];

        list(&f, infos);
        infos[N] = (MPAGEINFO) { .v_addr = memory - PAGE, .p_addr = memory, .count = 7 };
        infos[N + 1] = (MPAGEINFO) { .v_addr = (void *) -1, .p_addr = memory, .count = 7 };
        for (size_t i = 0; i < N; i++) {
                infos[i].p_addr = memory;
                infos[i].count = 7;
        }
        g_assert_cmpint(m_hashpages(f.pid, infos, N + 2, NULL), ==, N / 2);
        for (size_t i = 0; i < N + 2; i++) {
                g_assert_cmpuint(infos[i].count, ==, i < N && i % 2 == 0);
                g_assert_true((infos[i].p_addr != NULL) == (i < N && i % 2 == 0));
        }
        child_kill(f.pid);
        memory_unmap(memory, N * PAGE);
}

static struct {
        size_t n_calls, size;
        bool misaligned;
} seen;

static unsigned long hash_first_word(const void *addr, size_t size)
{
        seen.n_calls++;
        seen.size = size;
        if ((uintptr_t) addr % sizeof(long) != 0)
                seen.misaligned = true;
        return *(const unsigned long *) addr * 3;
}

static void test_function_of_user(struct fixture *f, const void *unused)
{
        MPAGEINFO infos[N];

        list(f, infos);
        seen.n_calls = 0;
        g_assert_cmpint(m_hashpages(f->pid, infos, N, hash_first_word), ==, N);
        g_assert_cmpuint(seen.n_calls, ==, N);
        g_assert_cmpuint(seen.size, ==, PAGE);
        g_assert_false(seen.misaligned);
        for (size_t i = 0; i < N; i++)
                g_assert_cmpuint(infos[i].hash, ==, (i / 2 + 1) * 3);
}

static void test_predefined(struct fixture *f, const void *unused)
{
        const hash_function pairs[][2] = {
                { m_hash_addrothalf, m_libhash_addrothalf },
                { m_hash_const, m_libhash_const },
                { m_hash_sample, m_libhash_sample },
                { m_hash_xxh64, m_libhash_xxh64 },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++) {
                MPAGEINFO in_kernel[N], in_library[N];

                list(f, in_kernel);
                list(f, in_library);
                g_assert_true(pairs[i][0] != pairs[i][1]);
                g_assert_cmpint(m_hashpages(f->pid, in_kernel, N, pairs[i][0]), ==, N);
                g_assert_cmpint(m_hashpages(f->pid, in_library, N, pairs[i][1]), ==, N);
                for (size_t k = 0; k < N; k++) {
                        uint8_t page[PAGE];

                        memory_fill(page, 0, k / 2 + 1);
                        g_assert_cmpuint(in_kernel[k].hash, ==, in_library[k].hash);
                        g_assert_cmpuint(in_kernel[k].hash, ==, pairs[i][0](page, PAGE));
                }
        }
}

/* Known values, so that they stay what they are. */
static void test_values(void)
{
        uint8_t page[PAGE];

        memory_fill(page, 0, 1);
        g_assert_cmpuint(m_hash_const(page, PAGE), ==, m_hash_const(page, 1));
        g_assert_cmpuint(m_hash_xxh64("", 0), ==, (unsigned long) UINT64_C(0xef46db3751d8e999));
        g_assert_cmpuint(m_hash_xxh64(page, PAGE), !=, m_hash_sample(page, PAGE));

        /* The first half only. */
        memset(page, 0, sizeof(page));
        page[PAGE / 2] = 1;
        g_assert_cmpuint(m_hash_addrothalf(page, PAGE), ==, 0);
        page[PAGE / 2 - 8] = 1;
        g_assert_cmpuint(m_hash_addrothalf(page, PAGE), ==, 2);
        page[0] = 1;
        g_assert_cmpuint(m_hash_addrothalf(page, PAGE), ==, 3); /* rotated 256 times: four times around */

        /* Some lines. */
        memset(page, 0, sizeof(page));
        g_assert_cmpuint(m_hash_sample(page, PAGE), ==, m_hash_xxh64(page, 256));
        page[64] = 1;
        g_assert_cmpuint(m_hash_sample(page, PAGE), ==, m_hash_xxh64(page + 128, 256));
        page[PAGE / 4 * 3 + 63] = 1;
        g_assert_cmpuint(m_hash_sample(page, PAGE), !=, m_hash_xxh64(page + 128, 256));
        g_assert_cmpuint(m_hash_sample(page, 100), ==, m_hash_xxh64(page, 100));
}

/* "The address handed over to hashfunction is only word aligned." */
static void test_word_alignment(void)
{
        static const size_t sizes[] = { 0, 1, 8, 100, 256, 1000, PAGE };
        uint8_t data[2 * PAGE + sizeof(long)] __attribute__((aligned(16)));

        for (size_t i = 0; i < sizeof(data); i++)
                data[i] = (uint8_t) (i * 7);
        for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
                uint8_t copy[PAGE] __attribute__((aligned(16)));
                const uint8_t *odd = data + sizeof(long);
                size_t size = sizes[i];

                memcpy(copy, odd, size);
                g_assert_cmpuint(m_libhash_addrothalf(odd, size), ==, m_libhash_addrothalf(copy, size));
                g_assert_cmpuint(m_libhash_sample(odd, size), ==, m_libhash_sample(copy, size));
                g_assert_cmpuint(m_libhash_xxh64(odd, size), ==, m_libhash_xxh64(copy, size));
        }
}

static unsigned long hash_seven(const void *addr, size_t size)
{
        return 7;
}

static void test_default(struct fixture *f, const void *unused)
{
        MPAGEINFO infos[N];

        list(f, infos);
        g_assert_cmpint(m_hashpages(f->pid, infos, 1, NULL), ==, 1);
        seen.n_calls = 0;
        g_assert_cmpint(m_set_hash_default(hash_seven), ==, 0);
        g_assert_cmpint(m_hashpages(f->pid, infos + 1, 1, NULL), ==, 1);
        g_assert_cmpuint(infos[1].hash, ==, 7);
        /* One that is given counts. */
        g_assert_cmpint(m_hashpages(f->pid, infos + 2, 1, hash_first_word), ==, 1);
        g_assert_cmpuint(infos[2].hash, ==, 6);
        g_assert_cmpint(m_set_hash_default(m_hash_const), ==, 0);
        g_assert_cmpint(m_hashpages(f->pid, infos + 1, 1, NULL), ==, 1);
        g_assert_cmpuint(infos[1].hash, ==, m_hash_const(NULL, 0));
        g_assert_cmpint(m_set_hash_default(NULL), ==, 0);
        g_assert_cmpint(m_hashpages(f->pid, infos + 1, 1, NULL), ==, 1);
        g_assert_cmpuint(infos[1].hash, ==, infos[0].hash);
}

static void fork_once(void *userdata)
{
        touch_all(userdata);
        if (fork() == 0)
                for (;;)
                        pause();
}

/* To look at shared pages does not end that. */
static void test_sharing_stays(void)
{
        uint8_t *memory = memory_map(N);
        struct fixture f = { memory, child_start(fork_once, memory) };
        g_autofree char *kill_children = g_strdup_printf("pkill -KILL -P %d", (int) f.pid);
        MPAGEINFO before[N], after[N];

        list(&f, before);
        list(&f, after);
        g_assert_cmpint(m_hashpages(f.pid, before, N, NULL), ==, N);
        g_assert_cmpint(m_hashpages(f.pid, after, N, hash_first_word), ==, N);
        for (size_t i = 0; i < N; i++) {
                g_assert_cmpuint(before[i].count, ==, 2);
                g_assert_cmpuint(after[i].count, ==, 2);
                g_assert_true(before[i].p_addr == after[i].p_addr);
        }
        g_assert_cmpint(system(kill_children), ==, 0);
        child_kill(f.pid);
        memory_unmap(memory, N * PAGE);
}

static void touch_huge(void *userdata)
{
        for (size_t i = 0; i < 2 * HUGE / PAGE; i++)
                memory_fill(userdata, i, i % 512 + 1);
        /* The second is in parts. */
        if (madvise((uint8_t *) userdata + HUGE + PAGE, PAGE, MADV_DONTNEED) < 0)
                _exit(1);
}

/* "Do not assume that all pages are of the same size." */
static void test_huge(void)
{
        uint8_t *memory = memory_map_huge(2);
        pid_t pid = child_start(touch_huge, memory);
        MPAGEINFO infos[4] = {
                { .v_addr = memory },
                { .v_addr = memory + 100 * PAGE },
                { .v_addr = memory + HUGE },
                { .v_addr = memory + HUGE + PAGE },
        };

        g_assert_cmpint(m_hashpages(pid, infos, 4, hash_first_word), ==, 3);
        g_assert_cmpuint(infos[0].hash, ==, 3);
        g_assert_cmpuint(infos[1].hash, ==, 3);
        g_assert_true(infos[0].p_addr == infos[1].p_addr);
        g_assert_cmpuint((uintptr_t) infos[0].p_addr, ==, memory_frame(pid, memory) * PAGE);
        g_assert_cmpuint(infos[2].hash, ==, 3);
        g_assert_cmpuint(infos[3].count, ==, 0);
        g_assert_cmpint(m_hashpages(pid, infos, 1, hash_first_word), ==, 1);
        g_assert_cmpuint(seen.size, ==, HUGE);

        g_assert_cmpint(m_hashpages(pid, infos, 4, m_hash_xxh64), ==, 3);
        g_assert_cmpuint(infos[0].hash, ==, infos[1].hash);
        g_assert_cmpuint(infos[0].hash, !=, infos[2].hash);
        g_assert_cmpint(m_hashpages(pid, infos, 3, m_hash_const), ==, 3);
        g_assert_cmpuint(infos[0].hash, ==, infos[2].hash);
        child_kill(pid);
        memory_unmap(memory, 2 * HUGE);
}

/* More than what is looked at in one go. */
static void touch_many(void *userdata)
{
        for (size_t i = 0; i < 5000; i++)
                memory_fill(userdata, i, i + 1);
}

static void test_many(void)
{
        const size_t n = 5000;
        uint8_t *memory = memory_map(n);
        pid_t pid = child_start(touch_many, memory);
        g_autofree MPAGEINFO *infos = g_new0(MPAGEINFO, n);

        for (size_t i = 0; i < n; i++)
                infos[i].v_addr = memory + (n - 1 - i) * PAGE;
        g_assert_cmpint(m_hashpages(pid, infos, n, hash_first_word), ==, n);
        for (size_t i = 0; i < n; i++)
                g_assert_cmpuint(infos[i].hash, ==, 3 * (n - i));
        child_kill(pid);
        memory_unmap(memory, n * PAGE);
}

static int error_of(pid_t pid, MPAGEINFO *infos, size_t nel, hash_function function)
{
        errno = 0;
        g_assert_cmpint(m_hashpages(pid, infos, nel, function), ==, -1);
        return errno;
}

static int try_own(void)
{
        MPAGEINFO info = { .v_addr = &info };

        return m_hashpages(getpid(), &info, 1, NULL) < 0 ? errno : 0;
}

static void test_errors(struct fixture *f, const void *unused)
{
        hash_function nowhere = (hash_function) (f->memory - PAGE);
        MPAGEINFO infos[N];
        pid_t gone;

        list(f, infos);
        g_assert_cmpint(error_of(f->pid, NULL, 1, NULL), ==, EFAULT);
        g_assert_cmpint(error_of(f->pid, (MPAGEINFO *) (f->memory - PAGE), 1, NULL), ==, EFAULT);
        g_assert_cmpint(error_of(f->pid, infos, 1, nowhere), ==, EFAULT);
        g_assert_cmpint(m_set_hash_default(nowhere), ==, -1);
        g_assert_cmpint(errno, ==, EFAULT);
        g_assert_cmpint(error_of(f->pid, infos, SIZE_MAX, NULL), ==, EINVAL);
        g_assert_cmpint(error_of(-1, infos, 1, NULL), ==, EINVAL);
        gone = child_start(NULL, NULL);
        child_kill(gone);
        g_assert_cmpint(error_of(gone, infos, 1, NULL), ==, ESRCH);
        g_assert_cmpint(run_as_nobody(try_own), ==, EPERM);
        g_assert_cmpint(m_hashpages(f->pid, infos, 0, NULL), ==, 0);
}

static const struct fixture *shared;

static void *hash_often(void *userdata)
{
        hash_function own = GPOINTER_TO_SIZE(userdata) % 2 == 0 ? m_hash_xxh64 : m_libhash_addrothalf;
        const uint8_t *end = shared->memory + N * PAGE;
        uintptr_t n_wrong = 0;

        for (size_t round = 0; round < 20; round++) {
                MPAGEINFO infos[N], all[N];
                const void *cont;

                list(shared, infos);
                if (m_set_hash_default(own) != 0 || m_hashpages(shared->pid, infos, N, own) != N ||
                    m_getpageinfos(shared->pid, shared->memory, end, all, N, &cont) != N)
                        return (void *) -1;
                for (size_t i = 0; i < N; i++) {
                        uint8_t page[PAGE];

                        memory_fill(page, 0, i / 2 + 1);
                        n_wrong += infos[i].hash != own(page, PAGE) || infos[i].p_addr != all[i].p_addr;
                }
        }
        return (void *) n_wrong;
}

static void test_threads(struct fixture *f, const void *unused)
{
        pthread_t threads[4];

        shared = f;
        for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
                g_assert_cmpint(pthread_create(&threads[i], NULL, hash_often, GSIZE_TO_POINTER(i)), ==, 0);
        for (size_t i = 0; i < G_N_ELEMENTS(threads); i++) {
                void *n_wrong;

                g_assert_cmpint(pthread_join(threads[i], &n_wrong), ==, 0);
                g_assert_cmpuint((uintptr_t) n_wrong, ==, 0);
        }
        g_assert_cmpint(m_set_hash_default(NULL), ==, 0);
}

#define ADD(path, test) g_test_add("/mmlib/hash/" path, struct fixture, NULL, setup, test, teardown)

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        ADD("hash-p_addr-count", test_fields);
        ADD("page-containing-the-address", test_containing_page);
        g_test_add_func("/mmlib/hash/not-available", test_not_available);
        ADD("function-of-the-user", test_function_of_user);
        ADD("predefined-in-kernel-and-library", test_predefined);
        g_test_add_func("/mmlib/hash/values", test_values);
        g_test_add_func("/mmlib/hash/word-alignment", test_word_alignment);
        ADD("default", test_default);
        g_test_add_func("/mmlib/hash/sharing-stays", test_sharing_stays);
        g_test_add_func("/mmlib/hash/huge-pages", test_huge);
        g_test_add_func("/mmlib/hash/many", test_many);
        ADD("errors", test_errors);
        ADD("threads", test_threads);
        return g_test_run();
}
