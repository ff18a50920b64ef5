/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/account.h"
#include "lib/hash.h"
#include "lib/owner.h"
#include "shared/macro.h"
#include "test-util.h"

/* The books on registries of plain data: who is registered, and how much of that is merged. */

#define PROCESSES 8U

struct fixture {
        struct account account;
        const char *rule; /* of the look; NULL: none */
        struct registry registries[2];
        struct registered registered[2][PROCESSES];
        struct registered *items[2][PROCESSES];
};

static void set_up(struct fixture *f, const void *data)
{
        for (size_t k = 0; k < 2; k++) {
                registry_init(&f->registries[k], (enum registry_kind) k, NULL, -EBADF);
                f->registries[k].items = f->items[k];
        }
}

static void tear_down(struct fixture *f, const void *data)
{
        account_done(&f->account);
        for (size_t k = 0; k < 2; k++)
                f->registries[k].items = NULL;
}

static void have_registered(struct fixture *f, enum registry_kind kind, pid_t pid)
{
        struct registry *r = &f->registries[kind];
        size_t n = r->n_items;

        f->registered[kind][n] = (struct registered) { .pid = pid, .start_ticks = 1 };
        f->items[kind][n] = &f->registered[kind][n];
        r->n_items++;
}

static void update(struct fixture *f)
{
        account_update(&f->account, &f->registries[0], &f->registries[1], 1000000);
}

static struct account_line *owner(struct fixture *f, uint32_t kind, const char *name)
{
        static const struct mm_file_id none = {};

        return account_line(&f->account.owners, kind, &none, name);
}

static void begin_look(struct fixture *f, const char *rule)
{
        account_look_begin(&f->account);
        f->rule = rule;
}

static struct account_process *look_at(struct fixture *f, pid_t pid, bool whole)
{
        return account_look_at(&f->account,
                               &(struct account_look) {
                                       .pid = pid,
                                       .start_ticks = 1,
                                       .rule = f->rule,
                                       .whole = whole,
                                       .now_usec = 77,
                               });
}

static void found(struct fixture *f, pid_t pid, const char *library, uint32_t n_pages, uint32_t n_duplicates,
                  uint32_t n_zero)
{
        struct account_process *p = look_at(f, pid, true);

        account_add_part(&f->account, p, owner(f, MM_OWNER_LIBRARY, library),
                         &(struct worker_part) {
                                 .n_pages = n_pages, .n_duplicates = n_duplicates, .n_zero = n_zero },
                         true);
}

/* One range at @start with so many pages merged, as the worker would count. */
static void count(struct fixture *f, enum registry_kind kind, pid_t pid, uint64_t start, uint32_t n_merged,
                  uint32_t n_zero, uint64_t zero_pages)
{
        struct registered *g = registry_find(&f->registries[kind], pid, 1);
        uint64_t before = f->registries[kind].n_broken;
        const struct worker_range range = { start, start + MM_PAGE_SIZE };

        account_count(&f->account, pid, 1, &range,
                      &(struct worker_range_count) { .n_merged = n_merged, .n_zero = n_zero }, 1);
        registry_refreshed(&f->registries[kind], g, n_merged + zero_pages, 0);
        account_counted(&f->account, kind, pid, 1, zero_pages, f->registries[kind].n_broken - before);
}

/* Each way of adding up comes to the total, which is what the registries say. */
static void check_sums(struct fixture *f)
{
        struct account_figures rest = f->account.total, processes = {}, owners = {}, rule;
        const struct account_figures *t = &f->account.total;
        uint64_t gross = 0, metadata = 0;

        for (size_t k = 0; k < 2; k++) {
                gross += registry_saved_frames(&f->registries[k]) * MM_PAGE_SIZE;
                metadata += registry_metadata_bytes(&f->registries[k]);
        }
        g_assert_cmpuint(t->saved_gross_bytes, ==, gross);
        g_assert_cmpuint(t->saved_bytes, ==, gross - MIN(gross, metadata));
        g_assert_cmpuint(t->n_merged, ==,
                         registry_merged_pages(&f->registries[0]) +
                                 registry_merged_pages(&f->registries[1]));
        g_assert_cmpuint(t->n_written, ==, f->registries[0].n_broken + f->registries[1].n_broken);
        g_assert_cmpuint(t->n_zero, <=, t->n_duplicates);
        g_assert_cmpuint(t->n_merged_zero, <=, t->n_merged);

        account_owners_clear(&f->account);
        for (size_t i = 0; i < f->account.n_processes; i++) {
                account_figures_add(&processes, &f->account.processes[i]->figures);
                account_owners_add(f->account.processes[i]);
        }
        for (size_t i = 0; i < f->account.owners.n; i++)
                account_figures_add(&owners, &f->account.owners.items[i]->sum);
        g_assert_cmpuint(processes.n_present, ==, t->n_present);
        g_assert_cmpuint(processes.n_duplicates, ==, t->n_duplicates);
        g_assert_cmpuint(processes.n_zero, ==, t->n_zero);
        g_assert_cmpuint(processes.n_merged_zero, ==, t->n_merged_zero);
        g_assert_cmpuint(owners.n_present, ==, t->n_present);
        g_assert_cmpuint(owners.n_duplicates, ==, t->n_duplicates);
        g_assert_cmpuint(owners.n_zero, ==, t->n_zero);
        g_assert_cmpuint(owners.n_merged_zero, ==, t->n_merged_zero);
        /* Nobody claims more than there is; the rest is of who is not in the books, and of who was. */
        g_assert_cmpuint(processes.n_merged, <=, t->n_merged);
        g_assert_cmpuint(owners.n_merged, <=, processes.n_merged);
        g_assert_cmpuint(processes.saved_gross_bytes, <=, t->saved_gross_bytes);
        g_assert_cmpuint(owners.saved_gross_bytes, <=, processes.saved_gross_bytes);
        g_assert_cmpuint(processes.saved_bytes, <=, t->saved_bytes);
        g_assert_cmpuint(processes.n_written, <=, t->n_written);
        g_assert_cmpuint(owners.n_written, <=, processes.n_written);
        g_assert_cmpuint(processes.cpu_nsec, <=, t->cpu_nsec);
        account_figures_subtract(&rest, &processes);
        account_figures_add(&rest, &processes);
        g_assert_cmpmem(&rest, sizeof(rest), t, sizeof(*t));
        account_rule_figures(&f->account, "odd", &rule);
        g_assert_cmpuint(rule.n_duplicates, <=, processes.n_duplicates);
        g_assert_cmpuint(rule.n_written, <=, t->n_written);
}

static void test_found(struct fixture *f, const void *data)
{
        struct account_line *libc = owner(f, MM_OWNER_LIBRARY, "libc"), *libm;

        begin_look(f, NULL);
        found(f, 2, "libc", 50, 5, 5);
        begin_look(f, "odd");
        found(f, 1, "libc", 100, 10, 4);
        found(f, 1, "libm", 20, 2, 0);
        libm = owner(f, MM_OWNER_LIBRARY, "libm");
        /* The second pass sees the same pages, and other duplicates. */
        account_add_part(&f->account, look_at(f, 1, true), libc,
                         &(struct worker_part) { .n_pages = 100, .n_duplicates = 7, .n_zero = 1 }, false);
        update(f);
        check_sums(f);
        g_assert_cmpuint(f->account.total.n_present, ==, 170);
        g_assert_cmpuint(f->account.total.n_duplicates, ==, 24);
        g_assert_cmpuint(libc->n_processes, ==, 2);
        g_assert_cmpuint(libc->sum.n_present, ==, 150);
        g_assert_cmpuint(libc->sum.n_duplicates, ==, 22);
        g_assert_cmpuint(libc->sum.n_zero, ==, 10);
        g_assert_cmpuint(libm->n_processes, ==, 1);
        g_assert_cmpuint(account_find(&f->account, 1, 1)->figures.n_duplicates, ==, 19);
        g_assert_cmpuint(account_find(&f->account, 1, 1)->figures.last_scan_usec, ==, 77);
        g_assert_cmpstr(account_find(&f->account, 1, 1)->rule->name, ==, "odd");
        g_assert_null(account_find(&f->account, 2, 1)->rule);

        /* A look at one library leaves the others' figures; a whole one does not. */
        begin_look(f, NULL);
        account_add_part(&f->account, look_at(f, 1, false), libm,
                         &(struct worker_part) { .n_pages = 30, .n_duplicates = 3 }, true);
        update(f);
        check_sums(f);
        g_assert_cmpuint(libm->sum.n_present, ==, 30);
        g_assert_cmpuint(libc->sum.n_present, ==, 150);
        begin_look(f, "odd");
        found(f, 1, "libc", 9, 1, 1);
        update(f);
        check_sums(f);
        g_assert_cmpuint(libm->sum.n_present, ==, 0);
        g_assert_cmpuint(libc->sum.n_present, ==, 59);
}

static void test_merged(struct fixture *f, const void *data)
{
        struct registry *direct = &f->registries[REGISTRY_DIRECT];
        struct account_line *libc, *libm;
        struct account_process *p;

        begin_look(f, "odd");
        found(f, 1, "libc", 100, 10, 4);
        found(f, 1, "libm", 20, 2, 0);
        libc = owner(f, MM_OWNER_LIBRARY, "libc");
        libm = owner(f, MM_OWNER_LIBRARY, "libm");
        p = account_find(&f->account, 1, 1);
        account_add_place(&f->account, p, libc, 0x1000, 0x100000);
        account_add_place(&f->account, p, libm, 0x200000, 0x300000);
        g_assert_cmpuint(p->n_places, ==, 2);
        have_registered(f, REGISTRY_DIRECT, 1);
        have_registered(f, REGISTRY_DIRECT, 3); /* never looked at by this service */
        count(f, REGISTRY_DIRECT, 3, 0x1000, 10, 0, 0);
        account_count(&f->account, 1, 1, &(struct worker_range) { 0x200000, 0x201000 },
                      &(struct worker_range_count) { .n_merged = 1 }, 1);
        account_count(&f->account, 1, 1, &(struct worker_range) { 0x2000, 0x30000 },
                      &(struct worker_range_count) { .n_merged = 8, .n_zero = 4 }, 1);
        /* Nobody's. */
        account_count(&f->account, 1, 1, &(struct worker_range) { 0x180000, 0x181000 },
                      &(struct worker_range_count) { .n_merged = 1 }, 1);
        registry_refreshed(direct, direct->items[0], 10, 0);
        account_counted(&f->account, REGISTRY_DIRECT, 1, 1, 0, 0);
        registry_account(direct, 0, 7);
        direct->n_saved = 13;
        update(f);
        check_sums(f);
        /* Frames are shared out as pages are merged. */
        g_assert_cmpuint(f->account.total.saved_gross_bytes, ==, 13 * MM_PAGE_SIZE);
        g_assert_cmpuint(p->figures.n_merged, ==, 10);
        g_assert_cmpuint(p->figures.saved_gross_bytes, ==, 6 * MM_PAGE_SIZE);
        g_assert_cmpuint(p->figures.n_merged_zero, ==, 4);
        g_assert_cmpuint(libm->sum.n_merged, ==, 1);
        g_assert_cmpuint(libc->sum.n_merged, ==, 8);
        /* What was merged is no duplicate any more. */
        g_assert_cmpuint(libc->sum.n_duplicates, ==, 2);
        g_assert_cmpuint(libc->sum.n_zero, ==, 2);
        g_assert_cmpuint(libm->sum.n_duplicates, ==, 1);

        /* Three pages were written to; that is told to the total and to who lost them. */
        count(f, REGISTRY_DIRECT, 1, 0x2000, 7, 4, 0);
        update(f);
        check_sums(f);
        g_assert_cmpuint(p->figures.n_written, ==, 3);
        g_assert_cmpuint(libc->sum.n_written, ==, 1);
        g_assert_cmpuint(libm->sum.n_written, ==, 1);
        g_assert_cmpuint(p->figures.n_merged, ==, 7);

        /* Given back, as registry_remove() has it: nothing is merged, and nothing was written. */
        direct->items[0]->merging_pages = 0;
        update(f);
        check_sums(f);
        g_assert_cmpuint(p->figures.n_merged, ==, 0);
        g_assert_cmpuint(libc->sum.n_merged, ==, 0);
        g_assert_cmpuint(f->account.total.n_written, ==, 3);
}

static void test_ksm_zero(struct fixture *f, const void *data)
{
        struct account_line *libc;
        struct account_process *p;

        begin_look(f, "odd");
        found(f, 1, "libc", 100, 10, 4);
        libc = owner(f, MM_OWNER_LIBRARY, "libc");
        p = account_find(&f->account, 1, 1);
        account_add_place(&f->account, p, libc, 0x1000, 0x100000);
        have_registered(f, REGISTRY_KSM, 1);
        /* Forty zero pages are there, of which KSM has made three. */
        count(f, REGISTRY_KSM, 1, 0x2000, 5, 40, 3);
        update(f);
        check_sums(f);
        g_assert_cmpuint(libc->sum.n_merged, ==, 8);
        g_assert_cmpuint(libc->sum.n_merged_zero, ==, 3);
}

static void test_spent(struct fixture *f, const void *data)
{
        struct account_figures rule;
        struct account_process *p;

        begin_look(f, "odd");
        found(f, 1, "libc", 100, 10, 4);
        found(f, 2, "libc", 300, 10, 4);
        account_spend(&f->account, 1001);
        update(f);
        check_sums(f);
        p = account_find(&f->account, 1, 1);
        g_assert_cmpuint(p->figures.cpu_nsec, ==, 250);
        g_assert_cmpuint(account_find(&f->account, 2, 1)->figures.cpu_nsec, ==, 751);
        /* Nobody was looked at since. */
        account_spend(&f->account, 5000);
        update(f);
        g_assert_cmpuint(p->figures.cpu_nsec, ==, 250);

        /* What is spent on command is not the rule's, which keeps what was spent for who has ended. */
        begin_look(f, NULL);
        found(f, 1, "libc", 100, 10, 4);
        account_spend(&f->account, 100);
        update(f);
        check_sums(f);
        g_assert_cmpuint(p->figures.cpu_nsec, ==, 350);
        account_rule_figures(&f->account, "odd", &rule);
        g_assert_cmpuint(rule.cpu_nsec, ==, 1001);
        g_assert_cmpuint(rule.n_duplicates, ==, 20);
        account_pass_end(&f->account, account_pass_begin(&f->account));
        update(f);
        check_sums(f);
        account_rule_figures(&f->account, "odd", &rule);
        g_assert_cmpuint(rule.cpu_nsec, ==, 1001);
        g_assert_cmpuint(rule.n_duplicates, ==, 0);
}

static void found_at(struct fixture *f, pid_t pid, bool whole, const char *library, uint32_t n_pages,
                     uint64_t start, uint64_t end)
{
        struct account_process *p = look_at(f, pid, whole);
        struct account_line *line = owner(f, MM_OWNER_LIBRARY, library);

        account_add_part(&f->account, p, line,
                         &(struct worker_part) { .n_pages = n_pages, .n_duplicates = 10 }, true);
        account_add_place(&f->account, p, line, start, end);
}

static void check_rule(struct fixture *f, const char *rule, uint64_t n_merged, uint64_t n_written,
                       uint64_t cpu_nsec)
{
        struct account_figures figures;

        update(f);
        check_sums(f);
        account_rule_figures(&f->account, rule, &figures);
        g_assert_cmpuint(figures.n_merged, ==, n_merged);
        g_assert_cmpuint(figures.n_written, ==, n_written);
        g_assert_cmpuint(figures.cpu_nsec, ==, cpu_nsec);
}

/* So many pages merged in the process's own memory, and in a library's that lies in the middle of it. */
static void count_two(struct fixture *f, uint32_t own, uint32_t library)
{
        const struct worker_range ranges[] = {
                { 0x1000, 0x2000 }, { 0x200000, 0x201000 }, { 0x400000, 0x401000 }
        };
        const struct worker_range_count counts[] = { { .n_merged = own }, { .n_merged = library }, {} };
        struct registry *r = &f->registries[REGISTRY_DIRECT];
        uint64_t before = r->n_broken;

        account_count(&f->account, 1, 1, ranges, counts, ELEMENTSOF(ranges));
        registry_refreshed(r, registry_find(r, 1, 1), own + library, 0);
        account_counted(&f->account, REGISTRY_DIRECT, 1, 1, 0, r->n_broken - before);
}

/* Two rules that are about one process, one of them about a library in it: each has its own share, however
 * their looks follow each other. */
static void test_two_rules(struct fixture *f, const void *data)
{
        struct account_process *p;

        have_registered(f, REGISTRY_DIRECT, 1);
        for (unsigned i = 0; i < 3; i++) {
                begin_look(f, "process");
                found_at(f, 1, true, "own", 100, 0x1000, 0x100000);
                found_at(f, 1, true, "own", 0, 0x400000, 0x500000);
                account_spend(&f->account, 30);
                if (i == 1)
                        continue;
                begin_look(f, "library");
                found_at(f, 1, false, "lib", 50, 0x200000, 0x300000);
                account_spend(&f->account, 7);
        }
        p = account_find(&f->account, 1, 1);
        g_assert_cmpuint(p->n_parts, ==, 2);
        g_assert_cmpuint(p->n_places, ==, 3);
        g_assert_cmpuint(p->places[1].start, ==, 0x200000);
        g_assert_cmpuint(p->figures.n_present, ==, 0);
        count_two(f, 40, 20);
        check_rule(f, "process", 40, 0, 90);
        check_rule(f, "library", 20, 0, 14);
        g_assert_cmpuint(p->figures.n_present, ==, 150);
        /* The library's pages are written to; those of the process go on gaining. */
        count_two(f, 40, 5);
        begin_look(f, "process");
        found_at(f, 1, true, "own", 100, 0x1000, 0x500000);
        check_rule(f, "process", 40, 0, 90);
        check_rule(f, "library", 5, 15, 14);
        /* A place that was said to be larger has room for the library's again. */
        begin_look(f, "library");
        found_at(f, 1, false, "lib", 50, 0x200000, 0x300000);
        count_two(f, 39, 5);
        check_rule(f, "process", 39, 1, 90);
        check_rule(f, "library", 5, 15, 14);

        /* Another rule comes to decide about the library: what was lost before stays the first one's. */
        begin_look(f, "other");
        found_at(f, 1, false, "lib", 50, 0x200000, 0x300000);
        account_spend(&f->account, 3);
        count_two(f, 39, 3);
        check_rule(f, "library", 0, 15, 14);
        check_rule(f, "other", 3, 2, 3);
        account_forget_rule(&f->account, "other");
        count_two(f, 39, 0);
        check_rule(f, "other", 0, 2, 3);
        check_rule(f, "process", 39, 1, 90);
        /* What no rule is about is forgotten when it is not there any more. */
        begin_look(f, "process");
        found_at(f, 1, true, "own", 100, 0x1000, 0x500000);
        begin_look(f, "process");
        found_at(f, 1, true, "own", 100, 0x1000, 0x500000);
        g_assert_cmpuint(p->n_parts, ==, 1);
        account_pass_end(&f->account, account_pass_begin(&f->account));
        check_rule(f, "process", 0, 1, 90);
}

static void test_ended(struct fixture *f, const void *data)
{
        uint64_t pass;

        begin_look(f, "odd");
        found(f, 1, "libc", 100, 10, 4);
        found(f, 2, "libm", 10, 1, 1);
        pass = account_pass_begin(&f->account);
        account_seen(&f->account, 2, 1);
        account_seen(&f->account, 1, 2); /* the number was given away again */
        found(f, 3, "libm", 10, 1, 1); /* begun since */
        account_pass_end(&f->account, pass);
        update(f);
        check_sums(f);
        g_assert_null(account_find(&f->account, 1, 1));
        g_assert_nonnull(account_find(&f->account, 2, 1));
        g_assert_nonnull(account_find(&f->account, 3, 1));
        g_assert_cmpuint(f->account.owners.n, ==, 1);
        g_assert_cmpuint(f->account.n_parts, ==, 2);

        /* Of two passes at a time none takes the other's processes for ended. */
        pass = account_pass_begin(&f->account);
        account_seen(&f->account, 2, 1);
        account_seen(&f->account, 3, 1);
        (void) account_pass_begin(&f->account);
        account_pass_end(&f->account, pass);
        g_assert_cmpuint(f->account.n_processes, ==, 2);
}

static void test_bounds(struct fixture *f, const void *data)
{
        begin_look(f, "odd");
        for (unsigned i = 0; i < ACCOUNT_LINES_MAX; i++) {
                g_autofree char *name = g_strdup_printf("lib%u", i);

                g_assert_nonnull(owner(f, MM_OWNER_LIBRARY, name));
        }
        g_assert_null(owner(f, MM_OWNER_LIBRARY, "one more"));
        g_assert_nonnull(owner(f, MM_OWNER_LIBRARY, "lib7"));

        for (pid_t pid = 1; pid <= (pid_t) ACCOUNT_PROCESSES_MAX; pid++) {
                struct account_process *p = look_at(f, pid, true);

                g_assert_nonnull(p);
                for (unsigned i = 0; i < 5; i++)
                        account_add_part(&f->account, p, f->account.owners.items[i],
                                         &(struct worker_part) { .n_pages = 1 }, true);
        }
        g_assert_null(look_at(f, ACCOUNT_PROCESSES_MAX + 1, true));
        g_assert_cmpuint(f->account.n_processes, ==, ACCOUNT_PROCESSES_MAX);
        g_assert_cmpuint(f->account.n_parts, ==, ACCOUNT_PARTS_MAX);
        update(f);
        check_sums(f);
        g_assert_cmpuint(f->account.total.n_present, ==, ACCOUNT_PARTS_MAX);
}

/* Names are as long as somebody likes. They go with those who have them. */
static void test_names(struct fixture *f, const void *data)
{
        enum { SIZE = 4096 };
        char name[SIZE] = "";
        size_t n = 0;
        uint64_t pass;

        memset(name, 'x', sizeof(name) - 1);
        for (; n < ACCOUNT_LINES_MAX; n++) {
                (void) snprintf(name, 8, "%07zu", n);
                name[7] = '/';
                if (!owner(f, MM_OWNER_LIBRARY, name))
                        break;
        }
        g_assert_cmpuint(n, ==, ACCOUNT_TEXT_MAX / (SIZE - 1));
        g_assert_nonnull(owner(f, MM_OWNER_LIBRARY, "libc"));
        pass = account_pass_begin(&f->account);
        account_pass_end(&f->account, pass);
        g_assert_cmpuint(f->account.owners.n, ==, 0);
        g_assert_cmpuint(f->account.owners.n_text, ==, 0);
        g_assert_nonnull(owner(f, MM_OWNER_LIBRARY, name));
}

/* Whatever happens in whatever order, the sums hold. */
static void test_any(struct fixture *f, const void *data)
{
        static const char *const names[] = { "liba", "libb", "libc", "libd" };

        for (pid_t pid = 1; pid <= (pid_t) PROCESSES; pid++)
                have_registered(f, pid % 3 ? REGISTRY_KSM : REGISTRY_DIRECT, pid);
        for (unsigned i = 0; i < 2000; i++) {
                pid_t pid = g_test_rand_int_range(1, PROCESSES + 3);
                enum registry_kind kind = pid % 3 ? REGISTRY_KSM : REGISTRY_DIRECT;
                uint64_t start = (uint64_t) g_test_rand_int_range(1, 64) << 12;
                struct account_process *p;

                switch (g_test_rand_int_range(0, 5)) {
                case 0:
                        begin_look(f, i % 3 == 0 ? NULL : i % 3 == 1 ? "odd" : "even");
                        for (size_t k = 0; k < ELEMENTSOF(names); k++)
                                found(f, pid, names[k], 50, k * 3, k);
                        p = account_find(&f->account, pid, 1);
                        for (size_t k = 0; k < ELEMENTSOF(names); k++)
                                account_add_place(&f->account, p, owner(f, MM_OWNER_LIBRARY, names[k]),
                                                  k << 16, (k << 16) + 0xf000);
                        break;
                case 1:
                        account_spend(&f->account, 100);
                        break;
                case 2:
                        if (registry_find(&f->registries[kind], pid, 1))
                                count(f, kind, pid, start, g_test_rand_int_range(0, 30),
                                      kind == REGISTRY_KSM ? 7 : 0, kind == REGISTRY_KSM ? 4 : 0);
                        break;
                case 3:
                        registry_settle(&f->registries[kind]);
                        registry_account(&f->registries[kind], 5, 2);
                        break;
                default:
                        if (g_test_rand_int_range(0, 8) == 0)
                                account_forget_rule(&f->account, "even");
                        if (g_test_rand_int_range(0, 8) == 0)
                                account_pass_end(&f->account, account_pass_begin(&f->account));
                }
                update(f);
                check_sums(f);
        }
}

#define ADD(name, test) g_test_add(name, struct fixture, NULL, set_up, test, tear_down)

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        ADD("/account/found", test_found);
        ADD("/account/merged", test_merged);
        ADD("/account/ksm-zero", test_ksm_zero);
        ADD("/account/spent", test_spent);
        ADD("/account/two-rules", test_two_rules);
        ADD("/account/ended", test_ended);
        ADD("/account/bounds", test_bounds);
        ADD("/account/names", test_names);
        ADD("/account/any", test_any);
        return g_test_run();
}
