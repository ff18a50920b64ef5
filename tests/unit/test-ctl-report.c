/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <locale.h>

#include "ctl/report.h"
#include "ctl/verb-stats.h"

/* What a terminal of 80 columns shows, word for word. Pages are of 4 KiB. */

#define TEXT(s) ((char *) (s))
#define LIST(items_) { .items = (items_), .n = ELEMENTSOF(items_) }

static struct tally reasons[] = { { TEXT("not dumpable"), 3 }, { TEXT("e\033[31m"), 1 } };
static struct tally gone[] = { { TEXT("exited meanwhile"), 1 } };
static struct tally by_ksm[] = { { TEXT("ksm"), 16947 } };
static struct tally by_two[] = { { TEXT("direct"), 256 }, { TEXT("ksm"), 16947 } };
static struct tally late[] = { { TEXT("written meanwhile"), 247 } };
static struct result_domain domains[] = {
        { TEXT("user 1000"), 16000, 8, true },
        { TEXT("user 0, unit foo.service"), 947, 4, false },
};
static struct result_owner owners[] = {
        { TEXT("heap"), TEXT("[heap]"), 100000, 16000, 200, 409600000 },
        { TEXT("anonymous"), TEXT("[anon]"), 2000, 800, 100, 8192000 },
        { TEXT("library"), TEXT("/usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0"), 1000, 20, 3, 4096000 },
        { TEXT("file"), TEXT("/srv/a name that is longer than the width of the terminal allows it to be"),
          10, 1, 0, 40960 },
};

static struct job_status whole_status(void)
{
        return (struct job_status){
                .state = TEXT("done"),
                .result = {
                        .processes = 12,
                        .duration_usec = 1340000,
                        .pages = 208000,
                        .swapped_pages = 100,
                        .ksm_pages = 2000,
                        .duplicate_frames = 16947,
                        .zero_frames = 307,
                        .excluded = LIST(reasons),
                        .skipped = LIST(gone),
                        .mechanisms = LIST(by_ksm),
                        .domains = LIST(domains),
                        .owners = LIST(owners),
                        .mechanism = TEXT("ksm"),
                        .merged_pages = 18234,
                        .saved_frames = 16700,
                        .shared_frames = 1287,
                        .metadata_bytes = 1200000,
                        .refused = LIST(late),
                        .stop_usec = 412,
                        .unmerged_pages = 1,
                },
        };
}

typedef int (*print_t)(const struct options *o, const struct output *out, const struct job_status *status);

static char *print_text(print_t print, const struct options *o, struct job_status status)
{
        struct output out = { .json = o->json, .legend = o->legend, .width = 80 };
        char *text = NULL;
        size_t size;

        out.file = open_memstream(&text, &size);
        g_assert_cmpint(print(o, &out, &status), ==, 0);
        fclose(out.file);
        return text;
}

static void assert_prints(print_t print, const struct options *o, struct job_status status,
                          const char *expected)
{
        char *text = print_text(print, o, status);

        g_assert_cmpstr(text, ==, expected);
        free(text);
}

static void test_estimate(void)
{
        struct options o = { .legend = true, .limit = 3 };

        assert_prints(estimate_print, &o, whole_status(),
                "Merging would free 66.2 MiB (16947 frames), 1.2 MiB of it zeros, by ksm.\n"
                "Looked at 812.5 MiB of private memory in 12 processes in 1.3s.\n"
                "Shared already: 7.8 MiB\n"
                "Swapped out, left alone: 400.0 KiB\n"
                "Left out: not dumpable (3 processes)\n"
                "Left out: e\\x1b[31m (1 process)\n"
                "Skipped: exited meanwhile (1 process)\n"
                "\n"
                "DOMAIN                   PROCESSES DUPLICATES CHOSEN\n"
                "user 1000                        8      16000 yes\n"
                "user 0, unit foo.service         4        947 no\n"
                "\n"
                "OWNER                KIND       PAGES DUPLICATES ZERO      SIZE\n"
                "[heap]               heap      100000      16000  200 390.6 MiB\n"
                "[anon]               anonymous   2000        800  100   7.8 MiB\n"
                "libpython3.11.so.1.0 library     1000         20    3   3.9 MiB\n"
                "\n"
                "1 more owner; --limit=0 shows all.\n");
}

/* All owners; the longest name is what gives way. By how much depends on the version of libsmartcols. */
static void test_estimate_narrow(void)
{
        struct options o = { .legend = true };
        struct job_status s = whole_status();
        GRegex *spaces = g_regex_new(" +", 0, 0, NULL);
        char *text, *squeezed;

        s.result.domains.n = 1;
        s.result.excluded.n = s.result.skipped.n = 0;
        s.result.swapped_pages = s.result.ksm_pages = s.result.zero_frames = 0;
        text = print_text(estimate_print, &o, s);
        for (const char *line = text, *end; *line; line = end + 1) {
                end = strchr(line, '\n');
                g_assert_nonnull(end);
                g_assert_cmpint(end - line, <=, 80);
        }
        squeezed = g_regex_replace_literal(spaces, text, -1, 0, " ", 0, NULL);
        g_assert_cmpstr(squeezed, ==,
                "Merging would free 66.2 MiB (16947 frames), by ksm.\n"
                "Looked at 812.5 MiB of private memory in 12 processes in 1.3s.\n"
                "\n"
                "OWNER KIND PAGES DUPLICATES ZERO SIZE\n"
                "[heap] heap 100000 16000 200 390.6 MiB\n"
                "[anon] anonymous 2000 800 100 7.8 MiB\n"
                "libpython3.11.so.1.0 library 1000 20 3 3.9 MiB\n"
                "a name that is longer than the width file 10 1 0 40.0 KiB\n");
        g_free(squeezed);
        g_regex_unref(spaces);
        free(text);
}

static void test_estimate_mechanisms(void)
{
        struct options o = { .legend = true };
        struct job_status s = whole_status();

        s.result = (struct result){ .processes = 1, .pages = 1, .duplicate_frames = 16947,
                                    .mechanisms = LIST(by_two) };
        assert_prints(estimate_print, &o, s,
                "Merging would free 66.2 MiB (16947 frames):\n"
                "  1.0 MiB by direct\n"
                "  66.2 MiB by ksm\n"
                "Looked at 4.0 KiB of private memory in 1 process in 0us.\n");
        s.result.mechanisms.n = 0;
        assert_prints(estimate_print, &o, s,
                "Merging would free 66.2 MiB (16947 frames).\n"
                "No mechanism here could merge it.\n"
                "Looked at 4.0 KiB of private memory in 1 process in 0us.\n");
        s.result.duplicate_frames = 0;
        s.result.huge_frames = 512;
        assert_prints(estimate_print, &o, s,
                "Merging would free nothing.\n"
                "Besides, 2.0 MiB in areas with huge pages, which direct leaves alone.\n"
                "With --huge-pages=split huge pages are taken apart.\n"
                "Looked at 4.0 KiB of private memory in 1 process in 0us.\n");
        o.legend = false;
        s.result.huge_frames = 0;
        assert_prints(estimate_print, &o, s,
                "Merging would free nothing.\n"
                "Looked at 4.0 KiB of private memory in 1 process in 0us.\n");
}

static void test_estimate_json(void)
{
        struct options o = { .json = JSON_SHORT, .limit = 1 };

        assert_prints(estimate_print, &o, whole_status(),
                "{\"state\":\"done\",\"processes\":12,\"duration_usec\":1340000,\"pages\":208000,"
                "\"swapped_pages\":100,\"ksm_pages\":2000,\"duplicate_frames\":16947,\"zero_frames\":307,"
                "\"huge_frames\":0,"
                "\"mechanisms\":[{\"mechanism\":\"ksm\",\"duplicate_frames\":16947}],"
                "\"domains\":["
                "{\"domain\":\"user 1000\",\"processes\":8,\"duplicate_frames\":16000,"
                "\"chosen\":true},"
                "{\"domain\":\"user 0, unit foo.service\",\"processes\":4,\"duplicate_frames\":947,"
                "\"chosen\":false}],"
                "\"owners\":["
                "{\"name\":\"[heap]\",\"kind\":\"heap\",\"pages\":100000,\"duplicate_frames\":16000,"
                "\"zero_frames\":200,\"private_bytes\":409600000},"
                "{\"name\":\"[anon]\",\"kind\":\"anonymous\",\"pages\":2000,\"duplicate_frames\":800,"
                "\"zero_frames\":100,\"private_bytes\":8192000},"
                "{\"name\":\"/usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0\",\"kind\":\"library\","
                "\"pages\":1000,"
                "\"duplicate_frames\":20,\"zero_frames\":3,\"private_bytes\":4096000},"
                "{\"name\":\"/srv/a name that is longer than the width of the terminal allows it to be\","
                "\"kind\":\"file\",\"pages\":10,\"duplicate_frames\":1,\"zero_frames\":0,"
                "\"private_bytes\":40960}],"
                "\"excluded\":[{\"reason\":\"not dumpable\",\"processes\":3},"
                "{\"reason\":\"e\\\\x1b[31m\",\"processes\":1}],"
                "\"skipped\":[{\"reason\":\"exited meanwhile\",\"processes\":1}]}\n");
}

static void test_merge(void)
{
        struct options o = { .legend = true };
        struct job_status s = whole_status();

        s.state = TEXT("cancelled");
        s.result.domains.n = 1;
        assert_prints(merge_print, &o, s,
                "Cancelled. Until then:\n"
                "Merged 18234 pages into 1287 frames by ksm: 64.1 MiB saved (net).\n"
                "988.0 KiB of duplicates remain.\n"
                "Not merged: written meanwhile (247 pages)\n"
                "Looked at 812.5 MiB of private memory in 12 processes in 1.3s.\n"
                "Shared already: 7.8 MiB\n"
                "Swapped out, left alone: 400.0 KiB\n"
                "Left out: not dumpable (3 processes)\n"
                "Left out: e\\x1b[31m (1 process)\n"
                "Skipped: exited meanwhile (1 process)\n"
                "No thread was held for longer than 412us.\n");

        s.state = TEXT("done");
        s.result = (struct result){
                .merged_pages = 2,
                .shared_frames = 1,
                .saved_frames = 1,
                .duplicate_frames = 1,
                .metadata_bytes = 5120,
                .mechanism = TEXT("ksm"),
        };
        assert_prints(merge_print, &o, s,
                "Merged 2 pages into 1 frame by ksm: 1.0 KiB lost, "
                "since the kernel's bookkeeping takes 5.0 KiB.\n"
                "Looked at 0 B of private memory in 0 processes in 0us.\n");

        s.result = (struct result){};
        assert_prints(merge_print, &o, s,
                "Merged nothing.\n"
                "Looked at 0 B of private memory in 0 processes in 0us.\n");
}

static void test_merge_json(void)
{
        struct options o = { .json = JSON_SHORT };
        struct job_status s = whole_status();

        s.result.owners.n = s.result.domains.n = s.result.mechanisms.n = 0;
        s.result.excluded.n = s.result.skipped.n = 0;
        assert_prints(merge_print, &o, s,
                "{\"state\":\"done\",\"processes\":12,\"duration_usec\":1340000,\"pages\":208000,"
                "\"swapped_pages\":100,\"ksm_pages\":2000,\"duplicate_frames\":16947,\"zero_frames\":307,"
                "\"huge_frames\":0,"
                "\"mechanism\":\"ksm\",\"merged_pages\":18234,\"saved_frames\":16700,\"shared_frames\":1287,"
                "\"metadata_bytes\":1200000,\"stop_usec\":412,"
                "\"mechanisms\":[],\"domains\":[],\"owners\":[],\"excluded\":[],\"skipped\":[],"
                "\"refused\":[{\"reason\":\"written meanwhile\",\"pages\":247}]}\n");
}

static void test_unmerge(void)
{
        struct options o = { .legend = true };

        assert_prints(unmerge_print, &o, whole_status(),
                "Unmerged 1 page in 12 processes.\n"
                "Left out: not dumpable (3 processes)\n"
                "Left out: e\\x1b[31m (1 process)\n"
                "Skipped: exited meanwhile (1 process)\n"
                "No thread was held for longer than 412us.\n");
        o.json = JSON_SHORT;
        assert_prints(unmerge_print, &o, whole_status(),
                "{\"state\":\"done\",\"processes\":12,\"duration_usec\":1340000,\"unmerged_pages\":1,"
                "\"stop_usec\":412,"
                "\"excluded\":[{\"reason\":\"not dumpable\",\"processes\":3},"
                "{\"reason\":\"e\\\\x1b[31m\",\"processes\":1}],"
                "\"skipped\":[{\"reason\":\"exited meanwhile\",\"processes\":1}]}\n");
}

static void assert_stats(enum json_mode json, const struct stats *s, const char *expected)
{
        struct output out = { .json = json, .legend = true, .width = 80 };
        char *text = NULL;
        size_t size;

        out.file = open_memstream(&text, &size);
        g_assert_cmpint(stats_print(&out, s, UINT64_C(1750000182000000)), ==, 0);
        fclose(out.file);
        g_assert_cmpstr(text, ==, expected);
        free(text);
}

static void test_stats(void)
{
        struct stats_mechanism mechanisms[] = { { TEXT("ksm"), true, TEXT("the kernel has it") } };
        struct stats s = {
                .version = TEXT("0.1"),
                .mechanism = TEXT("ksm"),
                .mechanism_reason =
                        TEXT("the kernel has it, and processes can be registered by ptrace, mind you"),
                .mechanisms = LIST(mechanisms),
                .saved_bytes = 67000000,
                .saved_gross_bytes = 68403200,
                .metadata_bytes = 1403200,
                .shared_frames = 1287,
                .merged_pages = 18234,
                .registered_processes = 1,
                .pages_scanned_total = 208000,
                .pages_merged_total = 18300,
                .pages_failed_total = 3,
                .pages_broken_total = 63,
                .cpu_usage_nsec = 1200000000,
                .ksmd_cpu_usage_nsec = 850000,
                .last_scan_usec = UINT64_C(1750000000000000),
                .exact = true,
        };

        assert_stats(JSON_OFF, &s,
                "Mechanism:  ksm (the kernel has it, and processes can be registered by ptrace,\n"
                "            mind you)\n"
                "Saved:      63.9 MiB (65.2 MiB before 1.3 MiB of bookkeeping)\n"
                "Sharing:    18234 pages on 1287 frames\n"
                "Registered: 1 process\n"
                "Scanned:    208000 pages\n"
                "Merged:     18300 pages, 3 failed, 63 broken by writes since\n"
                "CPU time:   1.2s mergememd, 850us ksmd\n"
                "Last scan:  3min 2s ago (Sun 2025-06-15 15:06:40 UTC)\n");
        s.exact = false;
        s.ksmd_cpu_usage_nsec = 0;
        assert_stats(JSON_OFF, &s,
                "Mechanism:  ksm (the kernel has it, and processes can be registered by ptrace,\n"
                "            mind you)\n"
                "Saved:      63.9 MiB (65.2 MiB before 1.3 MiB of bookkeeping)\n"
                "Sharing:    18234 pages on 1287 frames\n"
                "Registered: 1 process\n"
                "Scanned:    208000 pages\n"
                "Merged:     18300 pages, 3 failed, 63 broken by writes since\n"
                "CPU time:   1.2s mergememd\n"
                "Last scan:  3min 2s ago (Sun 2025-06-15 15:06:40 UTC)\n"
                "Rounded:    as everybody may see it; root sees all\n");
        s.exact = true;
        s.ksmd_cpu_usage_nsec = 850000;
        assert_stats(JSON_SHORT, &s,
                "{\"version\":\"0.1\",\"mechanism\":\"ksm\",\"mechanism_reason\":"
                "\"the kernel has it, and processes can be registered by ptrace, mind you\","
                "\"saved_bytes\":67000000,\"saved_gross_bytes\":68403200,\"metadata_bytes\":1403200,"
                "\"shared_frames\":1287,\"merged_pages\":18234,\"registered_processes\":1,"
                "\"pages_scanned_total\":208000,\"pages_merged_total\":18300,\"pages_failed_total\":3,"
                "\"pages_broken_total\":63,\"cpu_usage_nsec\":1200000000,\"ksmd_cpu_usage_nsec\":850000,"
                "\"last_scan_usec\":1750000000000000,\"exact\":true,"
                "\"mechanisms\":[{\"name\":\"ksm\",\"works\":true,\"reason\":\"the kernel has it\"}],"
                "\"gains\":[]}\n");
}

static void add_row(struct figures_rows *rows, const char *kind, const char *name, const char *unit,
                    uint32_t processes, uint64_t duplicate_frames, uint64_t zero_frames,
                    uint64_t saved_bytes)
{
        rows->items = g_renew(struct figures_row, rows->items, rows->n + 1);
        rows->items[rows->n++] = (struct figures_row){
                .kind = kind,
                .name = name,
                .unit = unit,
                .processes = processes,
                .figures = { .duplicate_frames = duplicate_frames, .zero_frames = zero_frames,
                             .saved_bytes = saved_bytes },
        };
}

static void test_gains(void)
{
        struct output out = { .legend = true, .width = 80 };
        struct figures_rows memory = {}, cgroups = {};
        struct gains gains = {};
        char *text = NULL;
        size_t size;

        add_row(&memory, "library", "/usr/lib/x86_64-linux-gnu/libc.so.6", NULL, 7, 300, 20, 0);
        add_row(&memory, "library", "/usr/lib/libunused.so", NULL, 7, 0, 0, 0);
        add_row(&memory, "program", "/usr/bin/python3.13", NULL, 4, 10, 0, 0);
        add_row(&memory, "heap", "/usr/bin/python3.13", NULL, 3, 2000, 1000, 0);
        add_row(&memory, "anon", "/usr/bin/with blank", NULL, 3, 3000, 0, 8192);
        add_row(&memory, "named", "glibc: malloc arena", NULL, 3, 1, 1, 0);
        add_row(&memory, "others", "", NULL, 0, 0, 0, 0);
        for (unsigned i = 0; i < 5; i++)
                add_row(&cgroups, NULL, "/system.slice/x", i < 3 ? "app.service" : i == 3 ? "b.service" : "",
                        2, 100 * i + 1, 0, 0);
        g_assert_cmpint(gains_read(&memory, &cgroups, &gains), ==, 0);

        out.file = open_memstream(&text, &size);
        g_assert_cmpint(gains_print(&out, &gains), ==, 0);
        fclose(out.file);
        g_assert_cmpstr(text, ==,
                "\n"
                "At the last look merging would have freed 20.7 MiB, 4.0 MiB of it zeros.\n"
                "\n"
                "KIND    PROCESSES FREEABLE    ZEROS   SAVED NAME\n"
                "library         7  1.2 MiB 80.0 KiB     0 B libc.so.6\n"
                "program         3 11.7 MiB      0 B 8.0 KiB with blank\n"
                "program         4  7.9 MiB  3.9 MiB     0 B python3.13\n"
                "unit            6  1.2 MiB      0 B     0 B app.service\n"
                "unit            2  1.2 MiB      0 B     0 B b.service\n"
                "\n"
                "To have that merged from now on, among processes of one user each:\n"
                "  mergememctl enable --shlib=libc.so.6\n"
                "  mergememctl enable --exe=/usr/bin/python3.13\n"
                "  mergememctl enable --unit=app.service\n");
        free(text);
        gains_done(&gains);
        g_free(memory.items);
        g_free(cgroups.items);
}

int main(int argc, char *argv[])
{
        setlocale(LC_CTYPE, "C.UTF-8");
        g_setenv("TZ", "UTC", true);
        g_assert_cmpint(sysconf(_SC_PAGESIZE), ==, 4096);

        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/ctl/report/estimate", test_estimate);
        g_test_add_func("/ctl/report/estimate-narrow", test_estimate_narrow);
        g_test_add_func("/ctl/report/estimate-mechanisms", test_estimate_mechanisms);
        g_test_add_func("/ctl/report/estimate-json", test_estimate_json);
        g_test_add_func("/ctl/report/merge", test_merge);
        g_test_add_func("/ctl/report/merge-json", test_merge_json);
        g_test_add_func("/ctl/report/unmerge", test_unmerge);
        g_test_add_func("/ctl/report/stats", test_stats);
        g_test_add_func("/ctl/report/gains", test_gains);
        return g_test_run();
}
