/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Registering memory of real processes, and giving it back: what the worker says was done. */
#include <sys/mman.h>

#include "lib/inject.h"
#include "lib/vmflags.h"
#include "worker-calls.h"

#define AREA_BYTES (16 * UINT64_C(4096))

/* Three areas with holes between them, at the same place in parent and child. */
struct fixture {
        struct worker_calls calls;
        struct mm_process process;
        pid_t pid;
        uint8_t *base;
};

static uint64_t area(const struct fixture *f, unsigned i)
{
        return (uint64_t) (uintptr_t) f->base + 2 * i * AREA_BYTES;
}

static void *area_pointer(const struct fixture *f, unsigned i)
{
        return f->base + 2 * i * AREA_BYTES;
}

static void child_setup(void *userdata)
{
        const struct fixture *f = userdata;

        for (unsigned i = 0; i < 3; i++)
                memset(area_pointer(f, i), (int) i + 1, AREA_BYTES);
        /* The second is one to be left alone, of the third half is registered by the process itself. */
        if (madvise(area_pointer(f, 1), AREA_BYTES, MADV_DONTDUMP) < 0 ||
            madvise(area_pointer(f, 2), AREA_BYTES / 2, MADV_MERGEABLE) < 0)
                abort();
}

static void set_up(struct fixture *f, const void *data)
{
        worker_calls_open(&f->calls);
        f->base = mmap(NULL, 6 * AREA_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        g_assert_true(f->base != MAP_FAILED);
        for (unsigned i = 0; i < 3; i++)
                g_assert_cmpint(mprotect(area_pointer(f, i), AREA_BYTES, PROT_READ | PROT_WRITE), ==, 0);
        f->pid = child_start(child_setup, f);
        f->process = MM_PROCESS_NULL;
        g_assert_cmpint(mm_process_open(f->calls.proc_fd, f->pid, true, &f->process), ==, 0);
}

static void tear_down(struct fixture *f, const void *data)
{
        child_kill(f->pid);
        mm_process_done(&f->process);
        g_assert_cmpint(munmap(f->base, 6 * AREA_BYTES), ==, 0);
        worker_calls_close(&f->calls);
}

/* Calls for @ranges and returns the one row of the answer. */
static const struct worker_advised *advise(struct fixture *f, uint32_t type, struct outcome *o,
                                           const struct worker_range *ranges, size_t n)
{
        const union worker_packet *row;
        union worker_packet p;

        worker_packet_init(&p, type, sizeof(p.ranges));
        p.ranges.index = 7;
        p.ranges.pid = f->pid;
        p.ranges.start_ticks = f->process.start_ticks;
        p.ranges.n = (uint32_t) n;
        memcpy(p.ranges.ranges, ranges, n * sizeof(*ranges));
        p.header.size += (uint32_t) (n * sizeof(*ranges));
        g_assert_cmpint(call(&f->calls, &p, f->process.dir_fd, o), ==, 0);
        g_assert_cmpuint(outcome_count(o, WORKER_ROW_ADVISED), ==, 1);
        row = outcome_row(o, WORKER_ROW_ADVISED);
        g_assert_cmpuint(row->advised.index, ==, 7);
        g_assert_cmpuint(row->advised.result, ==, MM_INJECT_OK);
        return &row->advised;
}

static bool is_registered(const struct fixture *f, uint64_t start, uint64_t end)
{
        _cleanup_(freep) struct mm_vmflags *flags = NULL;
        size_t n;

        g_assert_cmpint(mm_vmflags_read(f->process.dir_fd, &flags, &n), ==, 0);
        return mm_vmflags_of(flags, n, start, end) & MM_VM_MERGEABLE;
}

static void check_range(const struct worker_range *range, uint64_t start, uint64_t end)
{
        g_assert_cmphex(range->start, ==, start);
        g_assert_cmphex(range->end, ==, end);
}

/* Ours is what was not registered before us and may be looked at, and nothing else. */
static void test_register(struct fixture *f, const void *data)
{
        const struct worker_range all = { area(f, 0), area(f, 2) + AREA_BYTES };
        _cleanup_(outcome_done) struct outcome o = {};
        const struct worker_advised *a;

        g_assert_false(is_registered(f, area(f, 0), area(f, 2)));
        a = advise(f, WORKER_REGISTER, &o,
                   (const struct worker_range[]) { { area(f, 0), area(f, 0) + AREA_BYTES },
                                                   { area(f, 1), area(f, 1) + AREA_BYTES },
                                                   { area(f, 2), area(f, 2) + AREA_BYTES } },
                   3);
        g_assert_cmpuint(a->n, ==, 2);
        check_range(&a->ranges[0], area(f, 0), area(f, 0) + AREA_BYTES);
        check_range(&a->ranges[1], area(f, 2) + AREA_BYTES / 2, area(f, 2) + AREA_BYTES);
        g_assert_cmpuint(a->n_foreign_bytes, ==, AREA_BYTES / 2);
        g_assert_cmpuint(a->stop_usec, >, 0);
        g_assert_true(is_registered(f, area(f, 0), area(f, 0) + AREA_BYTES));
        g_assert_false(is_registered(f, area(f, 1), area(f, 1) + AREA_BYTES));

        /* Once more: all of it is somebody's already. */
        a = advise(f, WORKER_REGISTER, &o, &(struct worker_range){ area(f, 0), area(f, 0) + AREA_BYTES }, 1);
        g_assert_cmpuint(a->n, ==, 0);
        g_assert_cmpuint(a->n_foreign_bytes, ==, AREA_BYTES);

        a = advise(f, WORKER_UNREGISTER, &o, &all, 1);
        g_assert_cmpuint(a->n, ==, 1);
        check_range(&a->ranges[0], all.start, all.end);
        g_assert_false(is_registered(f, all.start, all.end));
}

/* What is no memory any more, or was never registered, is given back too, or it would be ours for ever. */
static void test_unregister_holes(struct fixture *f, const void *data)
{
        const struct worker_range all = { area(f, 0), area(f, 2) + 2 * AREA_BYTES },
                                  free_range = { 0x10000, 0x20000 };
        _cleanup_(outcome_done) struct outcome o = {};
        const struct worker_advised *a;

        a = advise(f, WORKER_UNREGISTER, &o, (const struct worker_range[]) { free_range, all }, 2);
        g_assert_cmpuint(a->n, ==, 2);
        check_range(&a->ranges[0], free_range.start, free_range.end);
        check_range(&a->ranges[1], all.start, all.end);
        g_assert_false(is_registered(f, all.start, all.end));
}

/* Nothing of another process that has got the number. */
static void test_other_process(struct fixture *f, const void *data)
{
        const struct worker_range all = { area(f, 0), area(f, 2) + AREA_BYTES };
        _cleanup_(outcome_done) struct outcome o = {};
        const union worker_packet *row;
        union worker_packet p;

        worker_packet_init(&p, WORKER_UNREGISTER, sizeof(p.ranges) + sizeof(all));
        p.ranges.pid = f->pid;
        p.ranges.start_ticks = f->process.start_ticks + 1;
        p.ranges.n = 1;
        p.ranges.ranges[0] = all;
        g_assert_cmpint(call(&f->calls, &p, f->process.dir_fd, &o), ==, 0);
        row = outcome_row(&o, WORKER_ROW_ADVISED);
        g_assert_cmpuint(row->advised.result, ==, MM_INJECT_GONE);
        g_assert_cmpuint(row->advised.n, ==, 0);
        g_assert_true(is_registered(f, area(f, 2), area(f, 2) + AREA_BYTES));
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add("/worker-advise/register", struct fixture, NULL, set_up, test_register, tear_down);
        g_test_add("/worker-advise/unregister-holes", struct fixture, NULL, set_up, test_unregister_holes,
                   tear_down);
        g_test_add("/worker-advise/other-process", struct fixture, NULL, set_up, test_other_process,
                   tear_down);
        return g_test_run();
}
