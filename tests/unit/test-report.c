/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl-fake-bus.h"
#include "daemon/report.h"
#include "lib/owner.h"
#include "shared/macro.h"

static void test_count(void)
{
        _cleanup_(report_done) struct report r = {};
        struct report_counts *c = &r.skipped;

        g_assert_cmpint(report_count(c, "ended", 1), ==, 0);
        g_assert_cmpint(report_count(c, "refused", 2), ==, 0);
        g_assert_cmpint(report_count(c, "ended", UINT32_MAX), ==, 0);
        g_assert_cmpuint(c->n, ==, 2);
        g_assert_cmpstr(c->items[0].name, ==, "ended");
        g_assert_cmpuint(c->items[0].n, ==, 1ULL << 32);
        g_assert_cmpstr(c->items[1].name, ==, "refused");
        g_assert_cmpuint(c->items[1].n, ==, 2);
}

static void add_owner(struct report *r, uint32_t kind, const char *name, uint64_t n_pages,
                      uint64_t n_duplicates, uint64_t n_zero, bool first)
{
        const struct worker_owner row = {
                .kind = kind, .n_pages = n_pages, .n_duplicates = n_duplicates, .n_zero = n_zero
        };

        g_assert_cmpint(report_add_owner(r, &row, name, first), ==, 0);
}

static void check_owner(const struct report *r, size_t i, const char *name, uint64_t n_pages,
                        uint64_t n_duplicates, uint64_t n_zero)
{
        g_assert_cmpuint(r->n_owners, >, i);
        g_assert_cmpstr(r->owners[i].name, ==, name);
        g_assert_cmpuint(r->owners[i].n_pages, ==, n_pages);
        g_assert_cmpuint(r->owners[i].n_duplicates, ==, n_duplicates);
        g_assert_cmpuint(r->owners[i].n_zero, ==, n_zero);
}

static void test_owners(void)
{
        _cleanup_(report_done) struct report r = {};

        add_owner(&r, MM_OWNER_LIBRARY, "/lib/a", 100, 10, 1, true);
        add_owner(&r, MM_OWNER_PROGRAM, "/lib/a", 50, 5, 0, true);
        /* Another file of the same name, in a container or replaced since. */
        add_owner(&r, MM_OWNER_LIBRARY, "/lib/a", 70, 7, 0, true);
        /* The second pass sees the same pages and other duplicates, here and there more of them. */
        add_owner(&r, MM_OWNER_LIBRARY, "/lib/a", 101, 20, 2, false);
        add_owner(&r, MM_OWNER_LIBRARY, "/lib/a", 70, 3, 0, false);
        add_owner(&r, MM_OWNER_HEAP, "/lib/b", 4, 4, 4, false);

        g_assert_cmpuint(r.n_owners, ==, 3);
        check_owner(&r, 0, "/lib/a", 170, 40, 3);
        g_assert_cmpuint(r.owners[0].kind, ==, MM_OWNER_LIBRARY);
        check_owner(&r, 1, "/lib/a", 50, 5, 0);
        g_assert_cmpuint(r.owners[1].kind, ==, MM_OWNER_PROGRAM);
        check_owner(&r, 2, "/lib/b", 0, 4, 4);
}

static void test_domains(void)
{
        _cleanup_(report_done) struct report r = {};
        uint32_t index = 4711;

        g_assert_cmpint(report_find_domain(&r, "one", &index), ==, 0);
        g_assert_cmpuint(index, ==, 0);
        g_assert_cmpint(report_find_domain(&r, "two", &index), ==, 0);
        g_assert_cmpuint(index, ==, 1);
        g_assert_cmpint(report_find_domain(&r, "one", &index), ==, 0);
        g_assert_cmpuint(index, ==, 0);
        g_assert_cmpuint(r.n_domains, ==, 2);
        g_assert_cmpstr(r.domains[1].text, ==, "two");
}

/* A report with a different figure in each place. */
static void fill(struct report *r)
{
        uint32_t index;

        *r = (struct report) {
                .n_processes = 11,
                .duration_usec = 12,
                .n_pages = 1ULL << 33,
                .n_swapped = 14,
                .n_ksm = 15,
                .n_duplicates = 16,
                .n_zero = 17,
                .n_anonymous = 18,
                .n_huge = 100,
                .mechanism = "ksm",
                .n_merged = 19,
                .n_saved = 20,
                .n_shared = 21,
                .metadata_bytes = 22,
                .n_unmerged = 23,
                .stop_usec = 24,
        };
        g_assert_cmpint(report_count(&r->excluded, "first process", 25), ==, 0);
        g_assert_cmpint(report_count(&r->skipped, "ended", 26), ==, 0);
        g_assert_cmpint(report_count(&r->skipped, "access refused", 27), ==, 0);
        g_assert_cmpint(report_count(&r->refused, "another trust domain", 1ULL << 34), ==, 0);
        add_owner(r, MM_OWNER_LIBRARY, "/lib/a", 28, 29, 30, true);
        add_owner(r, MM_OWNER_ANON, "bad \377 name", 31, 32, 33, true);
        g_assert_cmpint(report_find_domain(r, "one", &index), ==, 0);
        g_assert_cmpint(report_find_domain(r, "two", &index), ==, 0);
        r->domains[1] = (struct report_domain) {
                .text = r->domains[1].text, .n_duplicates = 34, .n_processes = 35, .chosen = true
        };
}

/* Whoever gives his areas ever new names makes the result no longer than so, and nothing of it is lost. */
static void test_owners_many(void)
{
        _cleanup_(report_done) struct report r = {};
        uint64_t n_pages = 0;

        for (size_t i = 0; i < REPORT_OWNERS_MAX + 100; i++) {
                g_autofree char *name = g_strdup_printf("area %zu", i);

                add_owner(&r, MM_OWNER_NAMED, name, 3, 2, 1, true);
        }
        add_owner(&r, MM_OWNER_HEAP, "/bin/a", 3, 2, 1, true);
        /* Those that are known still count by themselves. */
        add_owner(&r, MM_OWNER_NAMED, "area 0", 3, 2, 1, true);
        g_assert_cmpuint(r.n_owners, ==, REPORT_OWNERS_MAX + 2);
        check_owner(&r, 0, "area 0", 6, 4, 2);
        check_owner(&r, REPORT_OWNERS_MAX, "others", 300, 200, 100);
        g_assert_cmpuint(r.owners[REPORT_OWNERS_MAX].kind, ==, MM_OWNER_NAMED);
        check_owner(&r, REPORT_OWNERS_MAX + 1, "others", 3, 2, 1);
        g_assert_cmpuint(r.owners[REPORT_OWNERS_MAX + 1].kind, ==, MM_OWNER_HEAP);
        for (size_t i = 0; i < r.n_owners; i++)
                n_pages += r.owners[i].n_pages;
        g_assert_cmpuint(n_pages, ==, 3 * (REPORT_OWNERS_MAX + 102));
}

static void test_owners_long(void)
{
        enum { SIZE = 16000 };
        _cleanup_(report_done) struct report r = {};
        char name[SIZE];

        memset(name, '\377', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        for (size_t i = 0; i < 200; i++) {
                (void)snprintf(name, 8, "%07zu", i);
                name[7] = '\377';
                add_owner(&r, MM_OWNER_LIBRARY, name, 1, 0, 0, true);
        }
        g_assert_cmpuint(r.owners_text.n_bytes, <=, ANSWER_TEXT_MAX);
        g_assert_cmpuint(r.n_owners, <, ANSWER_TEXT_MAX / SIZE / 3);
        check_owner(&r, r.n_owners - 1, "others", 200 - (r.n_owners - 1), 0, 0);
}

/* Another try begins: what the scan found is gone, what was decided before stays. */
static void test_restart(void)
{
        _cleanup_(report_done) struct report r;

        fill(&r);
        report_restart(&r);
        g_assert_cmpuint(r.n_processes, ==, 0);
        g_assert_cmpuint(r.n_pages + r.n_swapped + r.n_ksm, ==, 0);
        g_assert_cmpuint(r.n_duplicates + r.n_zero + r.n_anonymous + r.n_huge, ==, 0);
        g_assert_cmpuint(r.n_owners, ==, 0);
        g_assert_cmpuint(r.skipped.n, ==, 0);
        g_assert_cmpuint(r.excluded.n, ==, 1);
        g_assert_cmpuint(r.n_domains, ==, 2);
        g_assert_cmpuint(r.domains[1].n_duplicates, ==, 0);
        g_assert_cmpuint(r.domains[1].n_processes, ==, 0);
        add_owner(&r, MM_OWNER_LIBRARY, "/lib/a", 1, 1, 1, true);
        check_owner(&r, 0, "/lib/a", 1, 1, 1);
}

/* Enters the value of @key, which must have @type. */
static void enter(sd_bus_message *m, const char *key, const char *type)
{
        const char *name;

        g_assert_cmpint(sd_bus_message_rewind(m, 1), >=, 0);
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "{sv}"), >, 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                const char *contents;

                g_assert_cmpint(sd_bus_message_read(m, "s", &name), >, 0);
                if (g_str_equal(name, key)) {
                        g_assert_cmpint(sd_bus_message_peek_type(m, NULL, &contents), >, 0);
                        g_assert_cmpstr(contents, ==, type);
                        g_assert_cmpint(sd_bus_message_enter_container(m, 'v', type), >, 0);
                        return;
                }
                g_assert_cmpint(sd_bus_message_skip(m, "v"), >=, 0);
                g_assert_cmpint(sd_bus_message_exit_container(m), >=, 0);
        }
        g_error("no \"%s\"", key);
}

static void check_number(sd_bus_message *m, const char *key, uint64_t expected)
{
        uint64_t n = 0;

        enter(m, key, "t");
        g_assert_cmpint(sd_bus_message_read(m, "t", &n), >, 0);
        g_test_message("%s", key);
        g_assert_cmpuint(n, ==, expected);
}

/* "NAME=N NAME=N" */
static void check_counts(sd_bus_message *m, const char *key, bool wide, const char *expected)
{
        g_autoptr(GString) text = g_string_new(NULL);
        const char *name;
        union {
                uint64_t t;
                uint32_t u;
        } n;

        enter(m, key, wide ? "a(st)" : "a(su)");
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', wide ? "(st)" : "(su)"), >, 0);
        while (sd_bus_message_read(m, wide ? "(st)" : "(su)", &name, &n) > 0)
                g_string_append_printf(text, "%s%s=%" G_GUINT64_FORMAT, text->len > 0 ? " " : "", name,
                                       wide ? n.t : n.u);
        g_assert_cmpstr(text->str, ==, expected);
}

static char *keys_of(sd_bus_message *m)
{
        GString *keys = g_string_new(NULL);

        g_assert_cmpint(sd_bus_message_rewind(m, 1), >=, 0);
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "{sv}"), >, 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                const char *name;

                g_assert_cmpint(sd_bus_message_read(m, "s", &name), >, 0);
                g_string_append_printf(keys, "%s ", name);
                g_assert_cmpint(sd_bus_message_skip(m, "v"), >=, 0);
                g_assert_cmpint(sd_bus_message_exit_container(m), >=, 0);
        }
        return g_string_free(keys, FALSE);
}

static sd_bus_message *append(struct fake_bus *bus, const struct report *r, const char *type, bool ksm,
                              bool direct)
{
        sd_bus_message *m = fake_bus_message(bus);

        g_assert_cmpint(report_append(r, type, ksm, direct, m), >=, 0);
        fake_bus_seal(m);
        g_assert_cmpstr(sd_bus_message_get_signature(m, 1), ==, "a{sv}");
        return m;
}

static void check_found(sd_bus_message *m)
{
        const char *kind, *name;
        uint64_t n_pages, n_duplicates, n_zero, bytes, n_frames;
        uint32_t n_processes, chosen;

        enter(m, "processes", "u");
        g_assert_cmpint(sd_bus_message_read(m, "u", &n_processes), >, 0);
        g_assert_cmpuint(n_processes, ==, 11);
        check_number(m, "duration_usec", 12);
        check_number(m, "pages", 1ULL << 33);
        check_number(m, "swapped_pages", 14);
        check_number(m, "ksm_pages", 15);
        check_number(m, "duplicate_frames", 16);
        check_number(m, "zero_frames", 17);
        check_number(m, "huge_frames", 100);
        check_counts(m, "excluded", false, "first process=25");
        check_counts(m, "skipped", false, "ended=26 access refused=27");

        enter(m, "owners", "a(sstttt)");
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "(sstttt)"), >, 0);
        g_assert_cmpint(sd_bus_message_read(m, "(sstttt)", &kind, &name, &n_pages, &n_duplicates, &n_zero,
                                            &bytes),
                        >, 0);
        g_assert_cmpstr(kind, ==, "library");
        g_assert_cmpstr(name, ==, "/lib/a");
        g_assert_cmpuint(n_pages, ==, 28);
        g_assert_cmpuint(n_duplicates, ==, 29);
        g_assert_cmpuint(n_zero, ==, 30);
        g_assert_cmpuint(bytes, ==, 28 * 4096);
        g_assert_cmpint(sd_bus_message_read(m, "(sstttt)", &kind, &name, &n_pages, &n_duplicates, &n_zero,
                                            &bytes),
                        >, 0);
        /* The bus carries UTF-8 only. */
        g_assert_cmpstr(name, ==, "bad \\xff name");
        g_assert_cmpint(sd_bus_message_at_end(m, 0), >, 0);

        enter(m, "domains", "a(stuu)");
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "(stuu)"), >, 0);
        g_assert_cmpint(sd_bus_message_skip(m, "(stuu)"), >=, 0);
        g_assert_cmpint(sd_bus_message_read(m, "(stuu)", &name, &n_frames, &n_processes, &chosen),
                        >, 0);
        g_assert_cmpstr(name, ==, "two");
        g_assert_cmpuint(n_frames, ==, 34);
        g_assert_cmpuint(n_processes, ==, 35);
        g_assert_cmpuint(chosen, ==, 1);
        g_assert_cmpint(sd_bus_message_at_end(m, 0), >, 0);
}

/* Whoever makes himself namespaces makes as many domains as processes. */
static void test_many_domains(void)
{
        enum { MANY = 20000 };
        _cleanup_(report_done) struct report r = {};

        for (unsigned round = 0; round < 2; round++)
                for (uint32_t i = 0; i < MANY; i++) {
                        g_autofree char *text = g_strdup_printf(
                                "user 1000/1000/1000/1000 (user namespace %u, pid 4026531836, mount 1)", i);
                        uint32_t index;

                        g_assert_cmpint(report_find_domain(&r, text, &index), ==, 0);
                        g_assert_cmpuint(index, ==, i);
                }
        g_assert_cmpuint(r.n_domains, ==, MANY);
}

/* Names and types as dbus/org.mergemem1.Job.xml has them. */
static void test_append_merge(void)
{
        _cleanup_(fake_bus_close) struct fake_bus bus;
        _cleanup_(report_done) struct report r;
        g_autofree char *keys = NULL;
        const char *mechanism;
        sd_bus_message *m;

        fake_bus_open(&bus);
        fill(&r);
        m = append(&bus, &r, "merge", true, true);
        keys = keys_of(m);
        g_assert_cmpstr(keys, ==,
                        "processes excluded skipped duration_usec pages swapped_pages ksm_pages "
                        "duplicate_frames zero_frames huge_frames mechanisms domains owners mechanism "
                        "merged_pages saved_frames shared_frames metadata_bytes refused stop_usec ");
        check_found(m);
        enter(m, "mechanism", "s");
        g_assert_cmpint(sd_bus_message_read(m, "s", &mechanism), >, 0);
        g_assert_cmpstr(mechanism, ==, "ksm");
        check_number(m, "merged_pages", 19);
        check_number(m, "saved_frames", 20);
        check_number(m, "shared_frames", 21);
        check_number(m, "metadata_bytes", 22);
        check_counts(m, "refused", true, "another trust domain=17179869184");
        check_number(m, "stop_usec", 24);
        sd_bus_message_unref(m);
}

static void test_append_estimate(void)
{
        _cleanup_(fake_bus_close) struct fake_bus bus;
        _cleanup_(report_done) struct report r;
        g_autofree char *keys = NULL;
        sd_bus_message *m;

        fake_bus_open(&bus);
        fill(&r);
        m = append(&bus, &r, "estimate", true, false);
        keys = keys_of(m);
        g_assert_cmpstr(keys, ==,
                        "processes excluded skipped duration_usec pages swapped_pages ksm_pages "
                        "duplicate_frames zero_frames huge_frames mechanisms domains owners ");
        check_found(m);
        sd_bus_message_unref(m);
}

static void test_append_unmerge(void)
{
        _cleanup_(fake_bus_close) struct fake_bus bus;
        _cleanup_(report_done) struct report r;
        g_autofree char *keys = NULL;
        sd_bus_message *m;

        fake_bus_open(&bus);
        fill(&r);
        m = append(&bus, &r, "unmerge", true, true);
        keys = keys_of(m);
        g_assert_cmpstr(keys, ==, "processes excluded skipped unmerged_pages duration_usec stop_usec ");
        check_number(m, "unmerged_pages", 23);
        check_number(m, "duration_usec", 12);
        check_number(m, "stop_usec", 24);
        check_counts(m, "skipped", false, "ended=26 access refused=27");
        sd_bus_message_unref(m);
}

/* What `direct` cannot serve is not promised for it. */
static void test_append_mechanisms(void)
{
        static const struct {
                bool ksm, direct;
                const char *text;
        } cases[] = {
                { true, true, "direct=18 ksm=116" },
                { true, false, "ksm=116" },
                { false, true, "direct=18" },
                { false, false, "" },
        };
        _cleanup_(fake_bus_close) struct fake_bus bus;
        _cleanup_(report_done) struct report r;

        fake_bus_open(&bus);
        fill(&r);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                sd_bus_message *m = append(&bus, &r, "estimate", cases[i].ksm, cases[i].direct);

                check_counts(m, "mechanisms", true, cases[i].text);
                sd_bus_message_unref(m);
        }
}

/* A job that was cancelled at once. */
static void test_append_empty(void)
{
        static const char *const types[] = { "estimate", "merge", "unmerge" };
        const struct report r = {};
        _cleanup_(fake_bus_close) struct fake_bus bus;

        fake_bus_open(&bus);
        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                sd_bus_message *m = append(&bus, &r, types[i], true, false);

                check_counts(m, "skipped", false, "");
                sd_bus_message_unref(m);
        }
}

/* Paths of cgroups are in what domains are called. */
static void test_append_domains_long(void)
{
        enum { N = 4000, SIZE = 4000 };
        _cleanup_(fake_bus_close) struct fake_bus bus;
        _cleanup_(report_done) struct report r = {};
        uint32_t index, n_processes, chosen, sum = 0;
        size_t n = 0, size = 0;
        char text[SIZE] = "";
        const char *name;
        uint64_t n_duplicates;
        sd_bus_message *m;

        memset(text, 'x', sizeof(text) - 1);
        for (size_t i = 0; i < N; i++) {
                (void)snprintf(text, 8, "%07zu", i);
                text[7] = '/';
                g_assert_cmpint(report_find_domain(&r, text, &index), ==, 0);
                r.domains[index].n_processes = 2;
        }
        fake_bus_open(&bus);
        m = append(&bus, &r, "estimate", true, true);
        enter(m, "domains", "a(stuu)");
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "(stuu)"), >, 0);
        while (sd_bus_message_read(m, "(stuu)", &name, &n_duplicates, &n_processes, &chosen) > 0) {
                n++;
                size += strlen(name);
                sum += n_processes;
        }
        g_assert_cmpuint(sum, ==, 2 * N);
        g_assert_cmpuint(size, <=, ANSWER_TEXT_MAX + strlen("others"));
        g_assert_cmpuint(n, >, 2000);
        g_assert_cmpuint(n, <, N);
        sd_bus_message_unref(m);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/report/count", test_count);
        g_test_add_func("/report/owners", test_owners);
        g_test_add_func("/report/domains", test_domains);
        g_test_add_func("/report/owners-many", test_owners_many);
        g_test_add_func("/report/owners-long", test_owners_long);
        g_test_add_func("/report/restart", test_restart);
        g_test_add_func("/report/many-domains", test_many_domains);
        g_test_add_func("/report/append/merge", test_append_merge);
        g_test_add_func("/report/append/estimate", test_append_estimate);
        g_test_add_func("/report/append/unmerge", test_append_unmerge);
        g_test_add_func("/report/append/mechanisms", test_append_mechanisms);
        g_test_add_func("/report/append/empty", test_append_empty);
        g_test_add_func("/report/append/domains-long", test_append_domains_long);
        return g_test_run();
}
