/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/owner.h"
#include "target.h"
#include "worker-rounds.h"

/* What a rule's turn asks of the worker: to stop after a while and to go on, and to leave out what is not
 * the rule's. */

static void have_a_lot(void *userdata)
{
        char *pages;

        hide_memory();
        pages = map_pages(0, ROUNDS_BYTES / ROUNDS_PAGE);
        if (!pages)
                _exit(1);
        memset(pages, 'x', ROUNDS_BYTES);
}

/* However often it is stopped, it looks at each page once. */
static void test_slices(struct rounds *f, const void *data)
{
        _cleanup_(outcome_done) struct outcome o = {};
        pid_t a = child_start(have_a_lot, NULL);
        uint64_t from = 0, n_pages = 0;
        unsigned n_slices = 0;

        begin_round(f);
        do {
                _cleanup_(closep) int fd = -EBADF;
                const struct worker_scanned *s;
                union worker_packet p;

                fd = packet_target(f, WORKER_SCAN, a, 0, &p);
                p.target.from = from;
                p.target.slice_usec = 1;
                g_assert_cmpint(call(&f->calls, &p, fd, &o), ==, 0);
                s = &outcome_row(&o, WORKER_ROW_SCANNED)->scanned;
                g_assert_cmpint(s->error, ==, 0);
                g_assert_true(s->matched);
                g_assert_true(s->next == 0 || s->next > from);
                from = s->next;
                n_pages += s->n_pages;
                n_slices++;
        } while (from > 0);
        /* Between two looks at the clock are a few thousand pages at most. */
        g_assert_cmpuint(n_slices, >=, ROUNDS_BYTES / ROUNDS_PAGE / 4096U);
        g_assert_cmpuint(n_pages, ==, ROUNDS_BYTES / ROUNDS_PAGE);
        group_pages(f, &o);
        check_total(&o, ROUNDS_BYTES / ROUNDS_PAGE - 1U, 0);
        child_kill(a);
}

/* One that was not begun cannot go on. */
static void test_order(struct rounds *f, const void *data)
{
        _cleanup_(closep) int fd = -EBADF;
        pid_t a = child_with("aa");
        union worker_packet p;

        begin_round(f);
        fd = packet_target(f, WORKER_SCAN, a, 0, &p);
        p.target.from = (uintptr_t) rounds_place;
        g_assert_cmpint(call(&f->calls, &p, fd, NULL), ==, -EINVAL);
        child_kill(a);
}

static void add_library(struct rounds *f, const char *pattern, bool others, bool never, uint32_t rule)
{
        union worker_packet p;

        worker_packet_init(&p, WORKER_LIBRARY, sizeof(p.library));
        p.library.others = others;
        p.library.never = never;
        p.library.rule = rule;
        worker_packet_text(&p, pattern);
        g_assert_cmpint(call(&f->calls, &p, -1, NULL), ==, 0);
}

/* Pages of the library, and of all else, that a round over @t looked at. */
static void look(struct rounds *f, const struct target *t, const struct worker_other_rules *others,
                 uint64_t *ret_library, uint64_t *ret_rest, bool *ret_forbidden)
{
        _cleanup_(outcome_done) struct outcome o = {};
        _cleanup_(closep) int fd = -EBADF;
        union worker_packet p;
        struct stat st;

        g_assert_cmpint(stat(TEST_LIBRARY, &st), ==, 0);
        fd = packet_target(f, WORKER_SCAN, t->pid, 0, &p);
        p.target.other_rules = *others;
        g_assert_cmpint(call(&f->calls, &p, fd, &o), ==, 0);
        *ret_forbidden = outcome_row(&o, WORKER_ROW_SCANNED)->scanned.forbidden;
        group_pages(f, &o);
        *ret_library = *ret_rest = 0;
        for (size_t i = 0; i < o.rows->len; i++) {
                const union worker_packet *row = o.rows->pdata[i];

                if (row->header.type != WORKER_ROW_OWNER)
                        continue;
                if (row->owner.file.dev == st.st_dev && row->owner.file.ino == st.st_ino)
                        *ret_library += row->owner.n_pages;
                else
                        *ret_rest += row->owner.n_pages;
        }
}

/* The more specific rule decides about a library, by how its patterns fit and then by the order that the
 * service gives; one that says never, always. */
static void test_others(struct rounds *f, const void *data)
{
        static const struct {
                const char *own, *other;
                bool applies, first, never, looked;
        } cases[] = {
                { NULL, "libtarget", false, false, false, true },
                { NULL, "libtarget", true, false, false, false },
                { NULL, "lib*", true, false, false, false },
                { NULL, "libnowhere", true, true, true, true },
                { "lib*", "libtarget.so", true, false, false, false },
                { "lib*", "libtarget.so", false, true, false, true },
                { "libtarget", "lib*", true, true, false, true },
                { "libtarget", "libtarget", true, false, false, true },
                { "libtarget", "libtarget", true, true, false, false },
                { "libtarget", "lib*", true, false, true, false },
                { "lib[t]*", "lib*", true, true, false, false },
        };
        struct target t;

        target_start(&t, TEST_TARGET, (const char *const[]) { "loads", TEST_LIBRARY, NULL });
        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                const uint32_t rule = 200;
                struct worker_other_rules others = {};
                uint64_t library, rest;
                bool forbidden;

                g_test_message("%s, %s", cases[i].own ?: "all", cases[i].other);
                others.applies[rule / 8] = cases[i].applies ? 1U << rule % 8 : 0;
                others.first[rule / 8] = cases[i].first ? 1U << rule % 8 : 0;
                begin_round(f);
                if (cases[i].own)
                        add_library(f, cases[i].own, false, false, 0);
                add_library(f, cases[i].other, true, cases[i].never, rule);
                look(f, &t, &others, &library, &rest, &forbidden);
                g_assert_cmpint(forbidden, ==, cases[i].never && !cases[i].looked);
                if (cases[i].looked)
                        g_assert_cmpuint(library, >=, TARGET_BSS_BYTES / ROUNDS_PAGE);
                else
                        g_assert_cmpuint(library, ==, 0);
                if (!cases[i].own)
                        g_assert_cmpuint(rest, >, 0);
        }
        target_stop(&t);
}

static void test_owners(struct rounds *f, const void *data)
{
        const struct worker_other_rules others = {};
        uint64_t library, rest;
        bool forbidden;
        struct target t;

        target_start(&t, TEST_TARGET, (const char *const[]) { "loads", TEST_LIBRARY, NULL });
        for (unsigned left_out = 0; left_out < 16; left_out++) {
                begin_round_with(f,
                                 &(struct worker_begin) {
                                         .bookkeeping_max_bytes = ROUNDS_BOOKKEEPING,
                                         .use_zero_pages = -1,
                                         .seed = 1,
                                         .left_out = left_out,
                                 });
                look(f, &t, &others, &library, &rest, &forbidden);
                g_assert_false(forbidden);
                g_assert_true((library > 0) == !(left_out & RULE_OWNER_LIBRARY));
                if ((left_out & RULE_OWNER_LIBRARY) && (left_out & RULE_OWNER_HEAP) &&
                    (left_out & RULE_OWNER_ANON))
                        g_assert_cmpuint(rest, ==, 0);
                else if (!(left_out & RULE_OWNER_HEAP))
                        g_assert_cmpuint(rest, >, 0);
        }
        target_stop(&t);
}

#define BEFORE 0U
#define BETWEEN 4U
#define BEHIND 8U
#define EACH 4U

/* Anonymous memory, a library's, and anonymous memory again. */
static void have_between(void *unused)
{
        int fd = open(TEST_LIBRARY, O_RDONLY | O_CLOEXEC);
        char *before, *behind, *library;

        hide_memory();
        before = map_pages(BEFORE, EACH);
        behind = map_pages(BEHIND, EACH);
        library = mmap(rounds_place + BETWEEN * ROUNDS_PAGE, EACH * ROUNDS_PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_FIXED, fd, 0);
        if (!before || !behind || library == MAP_FAILED)
                _exit(1);
        memset(before, 'x', EACH * ROUNDS_PAGE);
        memset(behind, 'x', EACH * ROUNDS_PAGE);
        for (size_t i = 0; i < EACH; i++)
                library[(i + 1) * ROUNDS_PAGE - 1] = 'x';
}

/* Where another rule's library lies between two places of one owner, those are two. */
static void test_places(struct rounds *f, const void *data)
{
        pid_t a = child_start(have_between, NULL);
        uint64_t start = (uintptr_t) rounds_place + BETWEEN * ROUNDS_PAGE;

        for (unsigned left_out = 0; left_out <= RULE_OWNER_LIBRARY; left_out += RULE_OWNER_LIBRARY) {
                _cleanup_(outcome_done) struct outcome o = {};
                const struct worker_places *places;

                begin_round_with(f,
                                 &(struct worker_begin) {
                                         .bookkeeping_max_bytes = ROUNDS_BOOKKEEPING,
                                         .use_zero_pages = -1,
                                         .left_out = left_out,
                                         .seed = 4711,
                                 });
                g_assert_cmpuint(scan_process(f, a, 0).n_pages, ==, left_out ? 2 * EACH : 3 * EACH);
                group_pages(f, &o);
                places = &outcome_row(&o, WORKER_ROW_PLACES)->places;
                g_assert_cmpuint(places->n, ==, left_out ? 2 : 3);
                g_assert_cmpuint(places->places[0].end, ==, start);
                g_assert_cmpuint(places->places[places->n - 1].start, ==, start + EACH * ROUNDS_PAGE);
        }
        child_kill(a);
}

static void add_test(const char *name, void (*test)(struct rounds *f, const void *data))
{
        g_test_add(name, struct rounds, NULL, rounds_set_up, test, rounds_tear_down);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        add_test("/worker/slice/slices", test_slices);
        add_test("/worker/slice/order", test_order);
        add_test("/worker/slice/others", test_others);
        add_test("/worker/slice/owners", test_owners);
        add_test("/worker/slice/places", test_places);
        return g_test_run();
}
