/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the real worker does with single processes: plans, libraries, counts, and how it stops. */
#include <signal.h>
#include <sys/stat.h>

#include "lib/owner.h"
#include "target.h"
#include "worker-rounds.h"

#define PAGE ROUNDS_PAGE

static void plan(struct rounds *f, uint32_t domain, bool every, struct outcome *o)
{
        union worker_packet p;

        worker_packet_init(&p, WORKER_PLAN, sizeof(p.plan));
        p.plan.domain = domain;
        p.plan.every_domain = every;
        g_assert_cmpint(call(&f->calls, &p, -1, o), ==, 0);
}

static void measure(struct rounds *f, uint64_t n_planned, uint64_t n_gone)
{
        _cleanup_(outcome_done) struct outcome o = {};
        union worker_packet p;
        const struct worker_measured *m;

        worker_packet_init(&p, WORKER_MEASURE, sizeof(p.header));
        g_assert_cmpint(call(&f->calls, &p, -1, &o), ==, 0);
        m = &outcome_row(&o, WORKER_ROW_MEASURED)->measured;
        g_assert_cmpuint(m->n_planned, ==, n_planned);
        g_assert_cmpuint(m->n_gone, ==, n_gone);
        /* Nothing was merged. */
        g_assert_cmpuint(m->n_merged + m->n_frames_before + m->n_frames_shared, ==, 0);
}

static void test_plan(struct rounds *f, const void *data)
{
        _cleanup_(outcome_done) struct outcome o = {};
        pid_t a = child_with("xaaby.z"), b = child_with("....b"), c = child_with("b");
        const struct worker_ranges *r;

        begin_round(f);
        scan_process(f, a, 0);
        scan_process(f, b, 0);
        scan_process(f, c, 1);
        group_pages(f, &o);
        check_total(&o, 2, 0);

        plan(f, 0, false, &o);
        g_assert_cmpuint(outcome_count(&o, WORKER_ROW_PLANNED), ==, 2);
        r = &((const union worker_packet *) o.rows->pdata[0])->ranges;
        g_assert_cmpuint(r->index, ==, 0);
        g_assert_cmpint(r->pid, ==, a);
        g_assert_cmpuint(r->n_pages, ==, 3);
        g_assert_cmpuint(r->n, ==, 1);
        g_assert_cmphex(r->ranges[0].start, ==, (uintptr_t) rounds_place + PAGE);
        g_assert_cmphex(r->ranges[0].end, ==, (uintptr_t) rounds_place + 4 * PAGE);
        r = &((const union worker_packet *) o.rows->pdata[1])->ranges;
        g_assert_cmpuint(r->index, ==, 1);
        g_assert_cmpint(r->pid, ==, b);
        g_assert_cmpuint(r->n_pages, ==, 1);
        g_assert_cmphex(r->ranges[0].start, ==, (uintptr_t) rounds_place + 4 * PAGE);
        g_assert_cmphex(r->ranges[0].end, ==, (uintptr_t) rounds_place + 5 * PAGE);
        measure(f, 4, 0);

        child_kill(b);
        begin_round(f);
        scan_process(f, a, 0);
        scan_process(f, c, 1);
        plan(f, 1, false, &o);
        g_assert_cmpuint(outcome_count(&o, WORKER_ROW_PLANNED), ==, 0);
        plan(f, 0, true, &o);
        g_assert_cmpuint(outcome_count(&o, WORKER_ROW_PLANNED), ==, 1);
        child_kill(a);
        measure(f, 0, 2);
        child_kill(c);
}

static void test_gone(struct rounds *f, const void *data)
{
        _cleanup_(outcome_done) struct outcome o = {};
        _cleanup_(closep) int fd = -EBADF;
        pid_t a = child_with("aa");
        union worker_packet p;

        begin_round(f);
        fd = packet_target(f, WORKER_SCAN, a, 0, &p);
        child_kill(a);
        g_assert_cmpint(call(&f->calls, &p, fd, &o), ==, 0);
        g_assert_cmpint(outcome_row(&o, WORKER_ROW_SCANNED)->scanned.error, ==, -ESRCH);
        g_assert_cmpuint(outcome_row(&o, WORKER_ROW_SCANNED)->scanned.n_pages, ==, 0);
        group_pages(f, &o);
        check_total(&o, 0, 0);

        /* A rounds_place in the order is given once. */
        g_assert_cmpint(call(&f->calls, &p, fd, &o), ==, -EINVAL);
}

static void have_a_lot(void *userdata)
{
        char *pages;

        hide_memory();
        pages = map_pages(0, ROUNDS_BYTES / PAGE);
        if (!pages)
                _exit(1);
        memset(pages, 'x', ROUNDS_BYTES);
}

/* Somebody who does not want the answer any more is not waited for to the end. */
static void test_cancel(struct rounds *f, const void *data)
{
        pid_t a = child_start(have_a_lot, NULL);
        uint64_t n_duplicates = ROUNDS_BYTES / PAGE - 1;

        /* The scan may be over before it is stopped, if we do not get the CPU. */
        for (unsigned i = 0; i < 20 && n_duplicates == ROUNDS_BYTES / PAGE - 1; i++) {
                _cleanup_(outcome_done) struct outcome scanned = {}, o = {};
                _cleanup_(closep) int fd = -EBADF;
                pid_t worker = worker_pid(f->calls.worker);
                uint64_t before;
                union worker_packet p;

                begin_round(f);
                before = worker_cpu_nsec(f->calls.worker);
                fd = packet_target(f, WORKER_SCAN, a, 0, &p);
                call_start(&f->calls, &p, fd, &scanned);
                while (worker_cpu_nsec(f->calls.worker) < before + 2000000U)
                        g_usleep(100);
                g_assert_cmpint(kill(worker, SIGSTOP), ==, 0);
                worker_forget(f->calls.worker, &scanned);
                g_usleep(100000); /* it looks every 50 ms */
                g_assert_cmpint(kill(worker, SIGCONT), ==, 0);
                group_pages(f, &o);
                n_duplicates = outcome_row(&o, WORKER_ROW_TOTAL)->total.n_duplicates;
                g_assert_cmpuint(scanned.n_ends, ==, 0);
        }
        g_assert_cmpuint(n_duplicates, >, 0);
        g_assert_cmpuint(n_duplicates, <, ROUNDS_BYTES / PAGE - 1);
        g_assert_cmpuint(worker_generation(f->calls.worker), ==, 1);
        child_kill(a);
}

/* The library's file, from the file system. */
static struct mm_file_id library_id(void)
{
        struct stat st;

        g_assert_cmpint(stat(TEST_LIBRARY, &st), ==, 0);
        return (struct mm_file_id) { .dev = st.st_dev, .ino = st.st_ino };
}

static void test_list(struct rounds *f, const void *data)
{
        _cleanup_(outcome_done) struct outcome o = {};
        _cleanup_(closep) int fd = -EBADF;
        struct mm_file_id library = library_id();
        uint64_t bytes = 0;
        union worker_packet p;
        struct target t;

        target_start(&t, TEST_TARGET, (const char *const[]) { "loads", TEST_LIBRARY, NULL });
        fd = packet_target(f, WORKER_LIST, t.pid, 0, &p);
        g_assert_cmpint(call(&f->calls, &p, fd, &o), ==, 0);
        for (size_t i = 0; i < o.rows->len; i++) {
                union worker_packet *row = o.rows->pdata[i];
                const char *path = worker_packet_get_text(row, sizeof(row->library_row));

                g_assert_cmpuint(row->header.type, ==, WORKER_ROW_LIBRARY);
                g_assert_true(g_path_is_absolute(path));
                g_assert_false(mm_file_id_equal(&row->library_row.file, &p.target.exe));
                if (!mm_file_id_equal(&row->library_row.file, &library))
                        continue;
                g_assert_cmpstr(path, ==, TEST_LIBRARY);
                bytes += row->library_row.private_bytes;
        }
        /* Its .bss was written in one of two loads; beside that there is little. */
        g_assert_cmpuint(bytes, >=, TARGET_BSS_BYTES);
        g_assert_cmpuint(bytes, <, TARGET_BSS_BYTES + 32 * PAGE);
        target_stop(&t);
}

/* Only the memory of a library is looked at, found by name or by file. */
static void test_library(struct rounds *f, const void *data)
{
        static const char *const names[] = { "libtarget", "libtarget.so", NULL };
        struct target t[2];

        for (size_t i = 0; i < ELEMENTSOF(t); i++)
                target_start(&t[i], TEST_TARGET, (const char *const[]) { "loads", TEST_LIBRARY, NULL });

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_(outcome_done) struct outcome o = {};
                const struct worker_owner *owner;
                union worker_packet p;

                begin_round(f);
                worker_packet_init(&p, WORKER_LIBRARY, sizeof(p.library));
                if (names[i])
                        worker_packet_text(&p, names[i]);
                else
                        p.library.file = library_id();
                g_assert_cmpint(call(&f->calls, &p, -1, NULL), ==, 0);
                worker_packet_init(&p, WORKER_LIBRARY, sizeof(p.library));
                worker_packet_text(&p, "libnowhere");
                g_assert_cmpint(call(&f->calls, &p, -1, NULL), ==, 0);

                for (size_t k = 0; k < ELEMENTSOF(t); k++) {
                        _cleanup_(closep) int fd = packet_target(f, WORKER_SCAN, t[k].pid, 0, &p);

                        f->n_scanned++;
                        g_assert_cmpint(call(&f->calls, &p, fd, &o), ==, 0);
                        g_assert_true(outcome_row(&o, WORKER_ROW_SCANNED)->scanned.matched);
                        /* Where it is met first. */
                        g_assert_cmpuint(outcome_count(&o, WORKER_ROW_MATCHED), ==, k == 0);
                        if (k == 0)
                                g_assert_cmpuint(outcome_row(&o, WORKER_ROW_MATCHED)->matched.library, ==,
                                                 0);
                }
                group_pages(f, &o);
                g_assert_cmpuint(outcome_count(&o, WORKER_ROW_OWNER), ==, 1);
                owner = &outcome_row(&o, WORKER_ROW_OWNER)->owner;
                g_assert_cmpuint(owner->kind, ==, MM_OWNER_LIBRARY);
                /* All of .bss holds the same byte. */
                g_assert_cmpuint(owner->n_pages, >=, 2 * TARGET_BSS_BYTES / PAGE);
                g_assert_cmpuint(owner->n_duplicates, >=, 2 * (TARGET_BSS_BYTES / PAGE - 1) - 1);
                g_assert_cmpuint(owner->n_duplicates, <, owner->n_pages);
        }
        for (size_t i = 0; i < ELEMENTSOF(t); i++)
                target_stop(&t[i]);
}

static void test_count(struct rounds *f, const void *data)
{
        _cleanup_(outcome_done) struct outcome o = {};
        _cleanup_(closep) int fd = -EBADF;
        pid_t a = child_with("aab");
        union worker_packet p;

        fd = packet_target(f, WORKER_LIST, a, 0, &p);
        worker_packet_init(&p, WORKER_COUNT, sizeof(p.ranges));
        p.ranges.n = 1;
        p.ranges.ranges[0] = (struct worker_range) {
                .start = (uintptr_t) rounds_place, .end = (uintptr_t) rounds_place + 3 * PAGE
        };
        p.header.size += sizeof(p.ranges.ranges[0]);
        g_assert_cmpint(call(&f->calls, &p, fd, &o), ==, 0);
        g_assert_cmpint(outcome_row(&o, WORKER_ROW_KSM)->ksm_row.error, ==, 0);
        g_assert_cmpuint(outcome_row(&o, WORKER_ROW_KSM)->ksm_row.merging_pages, ==, 0);

        worker_packet_init(&p, WORKER_CENSUS, sizeof(p.header));
        g_assert_cmpint(call(&f->calls, &p, fd, &o), ==, 0);
        g_assert_cmpint(outcome_row(&o, WORKER_ROW_KSM)->ksm_row.error, ==, 0);
        g_assert_cmpint(outcome_row(&o, WORKER_ROW_KSM)->ksm_row.mergeable, <=, 0);

        child_kill(a);
        g_assert_cmpint(call(&f->calls, &p, fd, &o), ==, 0);
        g_assert_cmpint(outcome_row(&o, WORKER_ROW_KSM)->ksm_row.error, ==, -ESRCH);
}

static void add_test(const char *name, void (*test)(struct rounds *f, const void *data))
{
        g_test_add(name, struct rounds, NULL, rounds_set_up, test, rounds_tear_down);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        add_test("/worker/target/plan", test_plan);
        add_test("/worker/target/gone", test_gone);
        add_test("/worker/target/cancel", test_cancel);
        add_test("/worker/target/library", test_library);
        add_test("/worker/target/list", test_list);
        add_test("/worker/target/count", test_count);
        return g_test_run();
}
