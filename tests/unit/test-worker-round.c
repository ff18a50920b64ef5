/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What rounds of the real worker find in children whose pages are known. */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "lib/owner.h"
#include "worker-rounds.h"

#define PAGE ROUNDS_PAGE
#define MANY_PAGES 4096U
#define FILES 5000U

static void test_figures(struct rounds *f, const void *data)
{
        _cleanup_(outcome_done) struct outcome o = {};
        pid_t a = child_with("aabc0."), b = child_with("acd00..a");
        struct worker_scanned row;

        begin_round(f);
        row = scan_process(f, a, 0);
        g_assert_cmpint(row.error, ==, 0);
        g_assert_cmpuint(row.n_pages, ==, 5);
        g_assert_cmpuint(row.n_ksm, ==, 0);
        g_assert_true(row.matched);
        g_assert_false(row.incomplete);
        g_assert_cmpuint(scan_process(f, b, 0).n_pages, ==, 6);

        /* Of four pages of "a" three, of three of zeros two, of two of "c" one. */
        group_pages(f, &o);
        check_total(&o, 6, 2);

        /* All is one owner's: anonymous memory of this program. */
        g_assert_cmpuint(outcome_count(&o, WORKER_ROW_OWNER), ==, 1);
        g_assert_cmpuint(outcome_row(&o, WORKER_ROW_OWNER)->owner.kind, ==, MM_OWNER_ANON);
        g_assert_cmpuint(outcome_row(&o, WORKER_ROW_OWNER)->owner.n_pages, ==, 11);
        g_assert_cmpuint(outcome_row(&o, WORKER_ROW_OWNER)->owner.n_duplicates, ==, 6);
        g_assert_cmpuint(outcome_row(&o, WORKER_ROW_OWNER)->owner.n_zero, ==, 2);
        g_assert_cmpuint(outcome_count(&o, WORKER_ROW_DOMAIN), ==, 1);
        g_assert_cmpuint(outcome_row(&o, WORKER_ROW_DOMAIN)->domain.n_duplicates, ==, 6);

        child_kill(a);
        child_kill(b);
}

static const struct worker_domain *domain_row(const struct outcome *o, uint32_t domain)
{
        for (size_t i = 0; i < o->rows->len; i++) {
                const union worker_packet *row = o->rows->pdata[i];

                if (row->header.type == WORKER_ROW_DOMAIN && row->domain.domain == domain)
                        return &row->domain;
        }
        g_error("no row of domain %u", domain);
}

static void test_domains(struct rounds *f, const void *data)
{
        _cleanup_(outcome_done) struct outcome o = {};
        pid_t a = child_with("abc"), b = child_with("abcc"), c = child_with("aab0");

        begin_round(f);
        g_assert_cmpuint(scan_process(f, a, 3).n_pages, ==, 3);
        g_assert_cmpuint(scan_process(f, b, 3).n_pages, ==, 4);
        g_assert_cmpuint(scan_process(f, c, 5).n_pages, ==, 4);
        group_pages(f, &o);
        check_total(&o, 5, 0);
        g_assert_cmpuint(outcome_count(&o, WORKER_ROW_DOMAIN), ==, 2);
        g_assert_cmpuint(domain_row(&o, 3)->n_duplicates, ==, 4);
        g_assert_cmpuint(domain_row(&o, 5)->n_duplicates, ==, 1);

        child_kill(a);
        child_kill(b);
        child_kill(c);
}

static void have_pages_and_child(void *userdata)
{
        pid_t pid;

        have_pages(userdata);
        pid = fork();
        if (pid < 0)
                _exit(1);
        if (pid > 0)
                return;
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                _exit(1);
        for (;;)
                pause();
}

static pid_t only_child_of(pid_t pid)
{
        g_autofree char *path = g_strdup_printf("/proc/%d/task/%d/children", pid, pid), *text = NULL;

        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        return (pid_t) g_ascii_strtoll(text, NULL, 10);
}

/* Frames that a fork shares are not duplicates, and not freed while somebody else has them. */
static void test_fork(struct rounds *f, const void *data)
{
        _cleanup_(outcome_done) struct outcome o = {};
        pid_t a = child_start(have_pages_and_child, (void *) "abcd"), b = child_with("ab"),
              child = only_child_of(a);

        g_assert_cmpint(child, >, 0);
        begin_round(f);
        g_assert_cmpuint(scan_process(f, a, 0).n_pages, ==, 4);
        g_assert_cmpuint(scan_process(f, child, 0).n_pages, ==, 4);
        group_pages(f, &o);
        check_total(&o, 0, 0);

        /* Only one of the two is looked at: its frames stay with the other. */
        begin_round(f);
        g_assert_cmpuint(scan_process(f, a, 0).n_pages, ==, 4);
        g_assert_cmpuint(scan_process(f, b, 0).n_pages, ==, 2);
        group_pages(f, &o);
        check_total(&o, 0, 0);

        begin_round(f);
        scan_process(f, a, 0);
        scan_process(f, child, 0);
        scan_process(f, b, 0);
        group_pages(f, &o);
        check_total(&o, 2, 0);

        child_kill(a);
        child_kill(b);
}

/* The letters as anonymous memory, and again as the stack of a thread: behind a guard. */
static void have_stack(void *letters)
{
        size_t n = strlen(letters);
        char *pages;

        have_pages(letters);
        pages = map_pages(n + 1, n);
        if (!pages)
                _exit(1);
        fill_pages(pages, letters);
}

static const struct worker_owner *owner_row(const struct outcome *o, enum mm_owner_kind kind)
{
        for (size_t i = 0; i < o->rows->len; i++) {
                const union worker_packet *row = o->rows->pdata[i];

                if (row->header.type == WORKER_ROW_OWNER && row->owner.kind == kind)
                        return &row->owner;
        }
        return NULL;
}

/* Stacks are looked at where that is said, and what is found besides is the same then. */
static void test_stacks(struct rounds *f, const void *data)
{
        pid_t a = child_start(have_stack, (void *) "ab0"), b = child_start(have_stack, (void *) "ac0");

        for (unsigned i = 0; i < 4; i++) {
                bool stacks = i & 1;
                _cleanup_(outcome_done) struct outcome o = {};
                const struct worker_owner *anon, *stack;

                begin_round_with(f,
                                 &(struct worker_begin) {
                                         .bookkeeping_max_bytes = ROUNDS_BOOKKEEPING,
                                         .use_zero_pages = -1,
                                         .seed = 4711,
                                         .cross_owners = (i & 2) != 0,
                                         .stacks = stacks,
                                 });
                g_assert_cmpuint(scan_process(f, a, 0).n_pages, ==, stacks ? 6 : 3);
                g_assert_cmpuint(scan_process(f, b, 0).n_read, ==, stacks ? 6 : 3);
                group_pages(f, &o);
                check_total(&o, stacks ? 4 : 2, stacks ? 2 : 1);
                anon = owner_row(&o, MM_OWNER_ANON);
                stack = owner_row(&o, MM_OWNER_THREAD_STACK);
                g_assert_cmpuint(anon->n_pages, ==, 6);
                g_assert_cmpuint(anon->n_duplicates, ==, 2);
                g_assert_cmpuint(anon->n_zero, ==, 1);
                g_assert_true(stacks == !!stack);
                if (!stack)
                        continue;
                g_assert_cmpuint(stack->n_pages, ==, 6);
                g_assert_cmpuint(stack->n_duplicates, ==, 2);
                g_assert_cmpuint(stack->n_zero, ==, 1);
        }
        child_kill(a);
        child_kill(b);
}

/* A stack is registered as one area: what lies apart from it would not be known as a stack any more. */
static void test_stack_plan(struct rounds *f, const void *data)
{
        static const char letters[] = "..b..........";
        pid_t a = child_start(have_stack, (void *) letters), b = child_start(have_stack, (void *) letters);
        _cleanup_(outcome_done) struct outcome o = {}, planned = {};
        const struct worker_ranges *ranges;
        union worker_packet p;

        begin_round_with(f,
                         &(struct worker_begin) {
                                 .bookkeeping_max_bytes = ROUNDS_BOOKKEEPING,
                                 .use_zero_pages = -1,
                                 .seed = 4711,
                                 .stacks = true,
                         });
        scan_process(f, a, 0);
        scan_process(f, b, 0);
        group_pages(f, &o);
        worker_packet_init(&p, WORKER_PLAN, sizeof(p.plan));
        g_assert_cmpint(call(&f->calls, &p, -1, &planned), ==, 0);
        g_assert_cmpuint(outcome_count(&planned, WORKER_ROW_PLANNED), ==, 2);
        ranges = &outcome_row(&planned, WORKER_ROW_PLANNED)->ranges;
        g_assert_cmpuint(ranges->n, ==, 2);
        g_assert_cmpuint(ranges->ranges[0].end - ranges->ranges[0].start, ==, PAGE);
        g_assert_cmpuint(ranges->ranges[1].end - ranges->ranges[1].start, ==, strlen(letters) * PAGE);

        child_kill(a);
        child_kill(b);
}

/* Pages as mlock(2), MADV_DONTDUMP and MADV_WIPEONFORK mark them. */
static void have_secrets(void *userdata)
{
        char *pages;

        hide_memory();
        pages = map_pages(0, 8);
        if (!pages)
                _exit(1);
        fill_pages(pages, "aabbccdd");
        /* AddressSanitizer makes nothing of mlock(). */
        if (syscall(SYS_mlock, pages, 2UL * PAGE) < 0 ||
            madvise(pages + 2 * PAGE, 2 * PAGE, MADV_DONTDUMP) < 0 ||
            madvise(pages + 4 * PAGE, 2 * PAGE, MADV_WIPEONFORK) < 0)
                _exit(1);
}

static void test_private(struct rounds *f, const void *data)
{
        _cleanup_(outcome_done) struct outcome o = {};
        pid_t a = child_start(have_secrets, NULL);
        struct worker_scanned row;

        begin_round(f);
        row = scan_process(f, a, 0);
        g_assert_cmpuint(row.n_pages, ==, 2);
        group_pages(f, &o);
        check_total(&o, 1, 0);

        /* A rule names the process: all of its memory, the hidden part too. */
        begin_round_with(f,
                         &(struct worker_begin) {
                                 .bookkeeping_max_bytes = ROUNDS_BOOKKEEPING,
                                 .use_zero_pages = -1,
                                 .include_private = true,
                         });
        row = scan_process(f, a, 0);
        g_assert_cmpuint(row.n_pages, >, 8);

        child_kill(a);
}

static void have_two_owners(void *userdata)
{
        int fd = open(userdata, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        char *pages, *file;

        hide_memory();
        pages = map_pages(0, 2);
        if (fd < 0 || ftruncate(fd, 4 * PAGE) < 0 || !pages)
                _exit(1);
        file = mmap(rounds_place + 16 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd,
                    0);
        if (file == MAP_FAILED)
                _exit(1);
        fill_pages(pages, "ab");
        fill_pages(file, "a.b"); /* the second is the file's, the last was never touched */
}

/* Pages meet within their owner, unless all are meant. */
static void test_owners(struct rounds *f, const void *data)
{
        _cleanup_(outcome_done) struct outcome o = {};
        g_autofree char *path = g_build_filename(f->calls.tree, "file", NULL);
        pid_t a = child_start(have_two_owners, path);
        const union worker_packet *row;

        begin_round(f);
        g_assert_cmpuint(scan_process(f, a, 0).n_pages, ==, 4);
        group_pages(f, &o);
        check_total(&o, 0, 0);
        g_assert_cmpuint(outcome_count(&o, WORKER_ROW_OWNER), ==, 2);

        begin_round_with(f,
                         &(struct worker_begin) {
                                 .bookkeeping_max_bytes = ROUNDS_BOOKKEEPING,
                                 .use_zero_pages = -1,
                                 .cross_owners = true,
                         });
        scan_process(f, a, 0);
        group_pages(f, &o);
        row = outcome_row(&o, WORKER_ROW_TOTAL);
        g_assert_cmpuint(row->total.n_duplicates, ==, 2);

        for (size_t i = 0, n = 0; i < o.rows->len; i++) {
                union worker_packet *owner = o.rows->pdata[i];

                if (owner->header.type != WORKER_ROW_OWNER)
                        continue;
                g_assert_cmpuint(owner->owner.n_pages, ==, 2);
                if (owner->owner.kind == MM_OWNER_FILE)
                        g_assert_cmpstr(worker_packet_get_text(owner, sizeof(owner->owner)), ==, path);
                else
                        g_assert_cmpuint(owner->owner.kind, ==, MM_OWNER_ANON);
                g_assert_cmpuint(++n, <=, 2);
        }
        child_kill(a);
}

static void have_files(void *userdata)
{
        hide_memory();
        for (size_t i = 0; i < FILES; i++) {
                int fd = memfd_create("a", MFD_CLOEXEC);
                char *page;

                if (fd < 0 || ftruncate(fd, PAGE) < 0)
                        _exit(1);
                page = mmap(rounds_place + i * PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
                            fd, 0);
                if (page == MAP_FAILED)
                        _exit(1);
                *page = 'a';
                close(fd);
        }
}

/* Anybody can map more files than anybody wants to read of: the last of them count together. */
static void test_many_owners(struct rounds *f, const void *data)
{
        _cleanup_(outcome_done) struct outcome o = {};
        pid_t a = child_start(have_files, NULL);
        uint64_t n_others = 0;

        begin_round(f);
        g_assert_cmpuint(scan_process(f, a, 0).n_pages, ==, FILES);
        group_pages(f, &o);
        g_assert_cmpuint(outcome_count(&o, WORKER_ROW_OWNER), <, FILES);
        for (size_t i = 0; i < o.rows->len; i++) {
                union worker_packet *row = o.rows->pdata[i];

                if (row->header.type == WORKER_ROW_OWNER &&
                    streq(worker_packet_get_text(row, sizeof(row->owner)), "others"))
                        n_others += row->owner.n_pages;
        }
        g_assert_cmpuint(n_others, ==, FILES - outcome_count(&o, WORKER_ROW_OWNER) + 1);
        child_kill(a);
}

static void have_many(void *userdata)
{
        char *pages;

        hide_memory();
        pages = map_pages(0, MANY_PAGES);
        if (!pages)
                _exit(1);
        /* Each page twice. */
        for (size_t i = 0; i < MANY_PAGES; i++)
                *(size_t *) (pages + i * PAGE) = 1 + i / 2;
}

/* In passes over parts of the hashes the sums are the same, however little room there is. */
static void test_parts(struct rounds *f, const void *data)
{
        _cleanup_(outcome_done) struct outcome o = {};
        pid_t a = child_start(have_many, NULL);
        struct worker_begin b = { .bookkeeping_max_bytes = 64 * 1024, .seed = 99, .n_parts = 8 };
        uint64_t n_duplicates = 0;
        struct worker_scanned row;

        begin_round(f);
        row = scan_process(f, a, 0);
        g_assert_cmpuint(row.n_pages, ==, MANY_PAGES);
        g_assert_false(row.incomplete);
        group_pages(f, &o);
        check_total(&o, MANY_PAGES / 2, 0);

        for (b.part = 0; b.part < b.n_parts; b.part++) {
                begin_round_with(f, &b);
                row = scan_process(f, a, 0);
                g_assert_cmpuint(row.n_pages, ==, MANY_PAGES);
                g_assert_false(row.incomplete);
                group_pages(f, &o);
                n_duplicates += outcome_row(&o, WORKER_ROW_TOTAL)->total.n_duplicates;
        }
        g_assert_cmpuint(n_duplicates, ==, MANY_PAGES / 2);

        b.part = 0;
        b.n_parts = 1;
        begin_round_with(f, &b);
        g_assert_true(scan_process(f, a, 0).incomplete);
        child_kill(a);
}

#define HUGE_PAGE (2U << 20)
#define IN_HUGE (2U * HUGE_PAGE / PAGE)
#define SMALL 4U

/* Where a huge page of the place lies, counted in pages: not at its beginning. */
static size_t first_huge(void)
{
        uintptr_t place = (uintptr_t) rounds_place;

        return ((place + 2 * HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE - place) / PAGE;
}

/* Two huge pages, if the kernel has any, and some small ones, all equal. */
static void have_huge(void *unused)
{
        char *huge, *small;

        hide_memory();
        huge = map_pages(first_huge(), IN_HUGE);
        small = map_pages(0, SMALL);
        if (!huge || !small || madvise(huge, 2 * HUGE_PAGE, MADV_HUGEPAGE) < 0)
                _exit(1);
        memset(huge, 'x', 2 * HUGE_PAGE);
        memset(small, 'x', SMALL * PAGE);
}

static bool has_huge(pid_t pid)
{
        g_autofree char *path = g_strdup_printf("/proc/%d/smaps_rollup", (int) pid), *text = NULL;
        const char *line;

        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        line = strstr(text, "AnonHugePages:");
        g_assert_nonnull(line);
        return g_ascii_strtoull(line + strlen("AnonHugePages:"), NULL, 10) > 0;
}

/* What mergemod leaves to huge pages is told apart where it is to merge; KSM takes all of it. */
static void test_huge(struct rounds *f, const void *data)
{
        pid_t a = child_start(have_huge, NULL);
        bool is_huge = has_huge(a);
        const struct {
                enum mergemod_huge mode;
                bool direct, left;
        } cases[] = {
                { MERGEMOD_HUGE_SPLIT, true, false }, { MERGEMOD_HUGE_KEEP, true, true },
                { MERGEMOD_HUGE_AUTO, true, is_huge }, { MERGEMOD_HUGE_SPLIT, false, false },
                { MERGEMOD_HUGE_KEEP, false, true },   { MERGEMOD_HUGE_AUTO, false, is_huge },
        };

        g_test_message("huge pages: %s", is_huge ? "yes" : "no");
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(outcome_done) struct outcome o = {};
                const struct worker_total *total;

                begin_round_with(f,
                                 &(struct worker_begin) {
                                         .bookkeeping_max_bytes = ROUNDS_BOOKKEEPING,
                                         .use_zero_pages = -1,
                                         .direct = cases[i].direct,
                                         .huge = cases[i].mode,
                                         .seed = 4711,
                                 });
                g_assert_cmpuint(scan_process(f, a, 0).n_pages, ==, IN_HUGE + SMALL);
                group_pages(f, &o);
                total = &outcome_row(&o, WORKER_ROW_TOTAL)->total;
                if (!cases[i].direct) {
                        g_assert_cmpuint(total->n_duplicates, ==, IN_HUGE + SMALL - 1);
                        g_assert_cmpuint(total->n_huge, ==, 0);
                        if (cases[i].left)
                                g_assert_cmpuint(total->n_anonymous, <=, SMALL);
                        else
                                g_assert_cmpuint(total->n_anonymous, ==, IN_HUGE + SMALL - 1);
                        continue;
                }
                g_assert_cmpuint(total->n_duplicates, ==, cases[i].left ? SMALL - 1 : IN_HUGE + SMALL - 1);
                g_assert_cmpuint(total->n_anonymous, ==, total->n_duplicates);
                g_assert_cmpuint(total->n_huge, ==, cases[i].left ? IN_HUGE - 1 : 0);
                g_assert_cmpuint(outcome_row(&o, WORKER_ROW_DOMAIN)->domain.n_duplicates, ==,
                                 total->n_duplicates);
                g_assert_cmpuint(outcome_row(&o, WORKER_ROW_OWNER)->owner.n_duplicates, ==,
                                 total->n_duplicates);
        }
        child_kill(a);
}

/* Only zeros count. */
static void test_zero_only(struct rounds *f, const void *data)
{
        _cleanup_(outcome_done) struct outcome o = {};
        pid_t a = child_with("00aaab0b0");

        begin_round_with(f,
                         &(struct worker_begin) {
                                 .bookkeeping_max_bytes = ROUNDS_BOOKKEEPING,
                                 .direct = true,
                                 .huge = MERGEMOD_HUGE_SPLIT,
                                 .zero_only = true,
                                 .seed = 4711,
                         });
        g_assert_cmpuint(scan_process(f, a, 0).n_pages, ==, 9);
        group_pages(f, &o);
        check_total(&o, 4, 4);
        child_kill(a);
}

static void add_test(const char *name, void (*test)(struct rounds *f, const void *data))
{
        g_test_add(name, struct rounds, NULL, rounds_set_up, test, rounds_tear_down);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        add_test("/worker/round/figures", test_figures);
        add_test("/worker/round/domains", test_domains);
        add_test("/worker/round/fork", test_fork);
        add_test("/worker/round/stacks", test_stacks);
        add_test("/worker/round/stack-plan", test_stack_plan);
        add_test("/worker/round/private", test_private);
        add_test("/worker/round/owners", test_owners);
        add_test("/worker/round/many-owners", test_many_owners);
        add_test("/worker/round/parts", test_parts);
        add_test("/worker/round/huge", test_huge);
        add_test("/worker/round/zero-only", test_zero_only);
        return g_test_run();
}
