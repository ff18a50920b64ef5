/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What mergememctl makes of the answers about memory, pages and who shares them. */
#include "ctl-fake-bus.h"
#include "ctl/verb-memory.h"
#include "ctl/verb-pages.h"
#include "ctl/verb-shared.h"

#define MIB (UINT64_C(1) << 20)

/* Where output goes to. */
struct written {
        char *text;
        size_t size;
        struct output out;
};

static void written_open(struct written *w, enum json_mode json, bool legend)
{
        *w = (struct written) {};
        w->out = (struct output) { .json = json, .legend = legend, .width = 80 };
        w->out.file = open_memstream(&w->text, &w->size);
}

static void assert_written(struct written *w, const char *expected)
{
        fclose(w->out.file);
        g_assert_cmpstr(w->text, ==, expected);
        free(w->text);
}

static void append_process(sd_bus_message *m, const char *name, uint32_t pid, uint64_t rss, uint64_t pss,
                           uint64_t uss, uint64_t ksm)
{
        g_assert_cmpint(sd_bus_message_append(m, "(sutttta{sv})", name, UINT32_C(1), rss, pss, uss,
                                              UINT64_C(0), 4, "pid", "u", pid, "uid", "u", UINT32_C(1000),
                                              "ksm_bytes", "t", ksm, "exe", "s", "/usr/bin/thing"),
                        >=, 0);
}

static void test_memory(void)
{
        _cleanup_(memory_rows_done) struct memory_rows rows = {};
        struct fake_bus f;
        struct written w;
        sd_bus_message *m;

        fake_bus_open(&f);
        m = fake_bus_message(&f);
        g_assert_cmpint(sd_bus_message_open_container(m, 'a', "(sutttta{sv})"), >=, 0);
        append_process(m, "small", 10, 3 * MIB, MIB, 4096, 0);
        append_process(m, "large", 20, 200 * MIB, 157 * MIB, 100 * MIB, 2 * MIB);
        append_process(m, "middle", 30, 20 * MIB, 15 * MIB, 10 * MIB, 0);
        g_assert_cmpint(sd_bus_message_close_container(m), >=, 0);
        fake_bus_seal(m);
        g_assert_cmpint(memory_read(m, &rows), >=, 0);
        g_assert_cmpuint(rows.n, ==, 3);
        g_assert_cmpstr(rows.items[0].name, ==, "large");
        g_assert_cmpstr(rows.items[2].exe, ==, "/usr/bin/thing");

        /* Only columns that have something in them. */
        written_open(&w, JSON_OFF, true);
        g_assert_cmpint(memory_print(&w.out, "process", &rows, 2), ==, 0);
        assert_written(&w, "PID    RSS    PSS    USS  KSM COMMAND\n"
                           " 20 200.0M 157.0M 100.0M 2.0M large\n"
                           " 30  20.0M  15.0M  10.0M    0 middle\n"
                           "\n"
                           "1 more; --limit=0 shows all.\n"
                           "In all: RSS 223.0 MiB, PSS 173.0 MiB, USS 110.0 MiB, swap 0 B.\n");
        written_open(&w, JSON_SHORT, true);
        rows.n = 1;
        g_assert_cmpint(memory_print(&w.out, "process", &rows, 2), ==, 0);
        assert_written(&w,
                       "{\"by\":\"process\",\"rss_bytes\":209715200,\"pss_bytes\":164626432,"
                       "\"uss_bytes\":104857600,\"swap_bytes\":0,\"direct_bytes\":0,\"ksm_bytes\":2097152,"
                       "\"zero_bytes\":0,\"hugetlb_bytes\":0,\"duplicate_frames\":0,\"zero_frames\":0,"
                       "\"unread_processes\":0,\"memory\":[{\"name\":\"large\",\"processes\":1,\"pid\":20,"
                       "\"uid\":1000,\"rss_bytes\":209715200,\"pss_bytes\":164626432,"
                       "\"uss_bytes\":104857600,\"swap_bytes\":0,\"direct_bytes\":0,\"ksm_bytes\":2097152,"
                       "\"zero_bytes\":0,\"hugetlb_bytes\":0,\"duplicate_frames\":0,\"zero_frames\":0,"
                       "\"unread_processes\":0,\"incomplete\":false,\"exe\":\"/usr/bin/thing\","
                       "\"cgroup\":null,\"unit\":null,\"device\":0,\"inode\":0}]}\n");
        rows.n = 3;
        sd_bus_message_unref(m);
        fake_bus_close(&f);
}

/* Libraries of one process add up, processes of one library do not. */
static void test_library(void)
{
        _cleanup_(memory_rows_done) struct memory_rows rows = {};
        struct fake_bus f;
        struct written w;
        sd_bus_message *m;

        g_assert_true(memory_by_is_known("library"));
        g_assert_false(memory_by_is_known("libraries"));
        fake_bus_open(&f);
        m = fake_bus_message(&f);
        g_assert_cmpint(sd_bus_message_append(m, "a(sutttta{sv})", 2, "/lib/libc.so.6", UINT32_C(7), MIB,
                                              MIB / 2, MIB / 4, UINT64_C(0), 2, "device", "t", UINT64_C(1),
                                              "duplicate_frames", "t", UINT64_C(3), "", UINT32_C(7),
                                              8 * MIB, 8 * MIB, 8 * MIB, MIB, 2, "unread_processes", "u",
                                              UINT32_C(2), "incomplete", "b", 1),
                        >=, 0);
        fake_bus_seal(m);
        g_assert_cmpint(memory_read(m, &rows), >=, 0);
        written_open(&w, JSON_OFF, true);
        g_assert_cmpint(memory_print(&w.out, "library", &rows, 0), ==, 0);
        assert_written(&w, "PROCESSES  RSS    PSS    USS SWAP FREEABLE LIBRARY\n"
                           "        7 8.0M   8.0M   8.0M 1.0M        0 (none)\n"
                           "        7 1.0M 512.0K 256.0K    0    12.0K libc.so.6\n"
                           "\n"
                           "In all: RSS 9.0 MiB, PSS 8.5 MiB, USS 8.3 MiB, swap 1.0 MiB.\n"
                           "2 processes could not be looked at.\n"
                           "Areas that are next to empty were not looked through.\n");
        sd_bus_message_unref(m);
        fake_bus_close(&f);
}

#define ANON (UINT64_C(1) << 12)
#define LRU (UINT64_C(1) << 5)
#define SWAPPED (UINT64_C(1) << 62)

static void read_pages(struct pages_view *v, struct fake_bus *f, uint64_t expected_next, const char *types,
                       ...)
{
        sd_bus_message *m = fake_bus_message(f);
        uint64_t next = 1;
        va_list ap;

        va_start(ap, types);
        g_assert_cmpint(sd_bus_message_appendv(m, types, ap), >=, 0);
        va_end(ap);
        fake_bus_seal(m);
        g_assert_cmpint(pages_view_read(v, m, &next), >=, 0);
        g_assert_cmphex(next, ==, expected_next);
        sd_bus_message_unref(m);
}

#define REPLY "a(tttttssa{sv})t"

/* Sums are over all answers, also what there is no room for. */
static void test_pages(void)
{
        static const char *const kinds[] = { "anon", "library" };
        struct fake_bus f;
        char *names;

        fake_bus_open(&f);
        for (int json = 0; json < 2; json++) {
                struct pages_view v;
                struct written w;

                written_open(&w, json ? JSON_SHORT : JSON_OFF, true);
                g_assert_cmpint(pages_view_init(&v, &w.out, 2), ==, 0);
                read_pages(&v, &f, 0x5000, REPLY, 1, UINT64_C(0x1000), UINT64_C(3), UINT64_C(0x1234),
                           UINT64_C(1), ANON | LRU, kinds[0], "", 0, UINT64_C(0x5000));
                read_pages(&v, &f, 0, REPLY, 2, UINT64_C(0x7fff00005000), UINT64_C(1), UINT64_C(0),
                           UINT64_C(0), SWAPPED, kinds[1], "/lib/libc.so.6", 0, UINT64_C(0x7fff00008000),
                           UINT64_C(2), UINT64_C(0x77), UINT64_C(5), UINT64_C(1) << 30, kinds[0], "", 0,
                           UINT64_C(0));
                g_assert_cmpint(pages_view_print(&v), ==, 0);
                assert_written(
                        &w, json ? "{\"page_count\":6,\"single_pages\":3,\"swapped_pages\":1,\"pages\":["
                                   "{\"address\":4096,\"pages\":3,\"frame\":4660,\"map_count\":1,"
                                   "\"owner_kind\":\"anon\",\"owner\":null,\"flags\":\"lru,anonymous\"},"
                                   "{\"address\":140733193408512,\"pages\":1,\"frame\":0,\"map_count\":0,"
                                   "\"owner_kind\":\"library\",\"owner\":\"/lib/libc.so.6\","
                                   "\"flags\":\"swap\"},"
                                   "{\"address\":140733193420800,\"pages\":2,\"frame\":119,"
                                   "\"map_count\":5,\"owner_kind\":\"anon\",\"owner\":null,"
                                   "\"flags\":\"30\"}]}\n"
                                 : "ADDRESS      PAGES FRAME COUNT OWNER     FLAGS\n"
                                   "1000             3 1234      1 [anon]    lru,anonymous\n"
                                   "7fff00005000     1           0 libc.so.6 swap\n"
                                   "\n"
                                   "1 more; --limit=0 shows all.\n"
                                   "In all 6 pages (24.0 KiB): 3 mapped once, 1 swapped.\n");
                pages_view_done(&v);
        }
        names = pages_flags_text(0);
        g_assert_cmpstr(names, ==, "");
        free(names);
        fake_bus_close(&f);
}

/* Long lists of flags take several lines, none of which is too long for a terminal. */
static void test_wrap(void)
{
        uint64_t flags = UINT64_C(1) << 63 | 0x5cfc;
        struct pages_view v;
        struct fake_bus f;
        struct written w;
        char **lines;

        fake_bus_open(&f);
        written_open(&w, JSON_OFF, false);
        g_assert_cmpint(pages_view_init(&v, &w.out, 0), ==, 0);
        read_pages(&v, &f, 0, REPLY, 1, UINT64_C(0x7fff00005000), UINT64_C(3), UINT64_C(0x123456),
                   UINT64_C(1), flags, "library", "/lib/libverylongnameindeed.so.6", 0, UINT64_C(0));
        g_assert_cmpint(pages_view_print(&v), ==, 0);
        fclose(w.out.file);
        g_assert_nonnull(strstr(w.text, "mmap_exclusive"));
        g_assert_nonnull(strstr(w.text, "referenced,"));
        lines = g_strsplit(w.text, "\n", -1);
        g_assert_cmpuint(g_strv_length(lines), >, 3);
        for (size_t i = 0; lines[i]; i++)
                g_assert_cmpuint(strlen(lines[i]), <=, 80);
        g_strfreev(lines);
        free(w.text);
        pages_view_done(&v);
        fake_bus_close(&f);
}

#define SHARERS "a(usutttta{sv})t"

static void read_sharing(struct fake_bus *f, sd_bus_message **ret, struct sharing *s)
{
        *ret = fake_bus_message(f);
        g_assert_cmpint(sd_bus_message_append(
                                *ret, SHARERS, 3, UINT32_C(10), "it", UINT32_C(0), UINT64_C(256),
                                UINT64_C(512), UINT64_C(0), UINT64_C(1), 1,
                                "mappings", "t", UINT64_C(9), UINT32_C(12), "other", UINT32_C(1),
                                UINT64_C(256), UINT64_C(0), UINT64_C(0), UINT64_C(0), 2, "run_count", "t",
                                UINT64_C(70), "runs", "a(tttts)", 2, UINT64_C(0x1000), UINT64_C(0x2000),
                                UINT64_C(1), UINT64_C(0x99), "file", UINT64_C(0x3000), UINT64_C(0x4000),
                                UINT64_C(2), UINT64_C(0xab), "file", UINT32_C(11), "fork", UINT32_C(0),
                                UINT64_C(256), UINT64_C(512), UINT64_C(0), UINT64_C(1), 2, "run_count",
                                "t", UINT64_C(1), "runs", "a(tttts)", 1, UINT64_C(0x1000),
                                UINT64_C(0x1000), UINT64_C(1), UINT64_C(0x99), "anon", UINT64_C(0)),
                        >=, 0);
        fake_bus_seal(*ret);
        g_assert_cmpint(sharing_read(*ret, s), >=, 0);
}

static void test_shared(void)
{
        _cleanup_(sharing_done) struct sharing s = {};
        const uint64_t page = 0x1000;
        struct fake_bus f;
        struct written w;
        sd_bus_message *m;

        fake_bus_open(&f);
        read_sharing(&f, &m, &s);
        g_assert_cmpuint(s.n, ==, 3);
        g_assert_cmpuint(s.items[0].mappings, ==, 9);
        g_assert_cmpuint(s.items[1].pid, ==, 11);
        g_assert_cmpuint(s.items[2].n_runs, ==, 2);

        written_open(&w, JSON_OFF, true);
        g_assert_cmpint(sharing_print(&w.out, &s, NULL, 1), ==, 0);
        assert_written(&w, "PID UID FILE ANON KSM DIRECT COMMAND\n"
                           " 11   0 1.0M 2.0M   0   4.0K fork\n"
                           "\n"
                           "1 more; --limit=0 shows all.\n"
                           "Process 10 shares 3.0 MiB:\n"
                           "  1.0 MiB of files, or shared from the start\n"
                           "  2.0 MiB since a fork\n"
                           "  4.0 KiB by mergemod\n");
        written_open(&w, JSON_OFF, true);
        s.next = 0x12000;
        g_assert_cmpint(sharing_print(&w.out, &s, &page, 2), ==, 0);
        assert_written(&w, "PID ADDRESS FRAME KIND COMMAND\n"
                           " 11 1000    99    anon fork\n"
                           " 12 2000    99    file other\n"
                           "\n"
                           "1 more; --limit=0 shows all.\n"
                           "The frame at 1000 is mapped 9 times; 3 other places were found.\n");
        written_open(&w, JSON_SHORT, true);
        s.n = 2;
        g_assert_cmpint(sharing_print(&w.out, &s, NULL, 0), ==, 0);
        assert_written(&w, "{\"pid\":10,\"file_pages\":256,\"anon_pages\":512,\"ksm_pages\":0,"
                           "\"direct_pages\":1,\"hugetlb_pages\":0,\"mappings\":9,\"next_address\":73728,"
                           "\"processes\":[{\"pid\":11,\"uid\":0,\"file_pages\":256,\"anon_pages\":512,"
                           "\"ksm_pages\":0,\"direct_pages\":1,\"hugetlb_pages\":0,\"comm\":\"fork\","
                           "\"run_count\":1}],\"runs\":[{\"pid\":11,\"address\":4096,"
                           "\"other_address\":4096,\"pages\":1,\"frame\":153,\"kind\":\"anon\"}]}\n");
        s.n = 1;
        s.items[0].file_pages = s.items[0].anon_pages = s.items[0].direct_pages = 0;
        written_open(&w, JSON_OFF, true);
        g_assert_cmpint(sharing_print(&w.out, &s, &page, 0), ==, 0);
        assert_written(&w, "The page at 1000 is not in RAM, or nobody else has it.\n");
        s.n = 3;
        sd_bus_message_unref(m);
        fake_bus_close(&f);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/ctl/memory/memory", test_memory);
        g_test_add_func("/ctl/memory/library", test_library);
        g_test_add_func("/ctl/memory/pages", test_pages);
        g_test_add_func("/ctl/memory/wrap", test_wrap);
        g_test_add_func("/ctl/memory/shared", test_shared);
        return g_test_run();
}
