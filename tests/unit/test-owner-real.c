/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <elf.h>
#include <glib.h>
#include <inttypes.h>

#include "lib/owner.h"
#include "test-readelf.h"
#include "test-util.h"

/* The rule on real processes, captured and running, held against what readelf(1) says of the files. */

#define PAGE_DOWN(x) ((x) & ~UINT64_C(4095))
#define PAGE_UP(x) PAGE_DOWN((x) + 4095)

struct expected {
        uint64_t start, end;
        int owner, part;
};

/* Adds a range, joined with the last one if it is more of the same. */
static void add(GArray *list, uint64_t start, uint64_t end, int owner, int part)
{
        struct expected *last = list->len > 0 ? &g_array_index(list, struct expected, list->len - 1) : NULL;

        if (start >= end)
                return;
        if (last && last->end == start && last->part == part)
                last->end = end;
        else
                g_array_append_val(list, ((struct expected){ start, end, owner, part }));
}

/* What the loader makes of program headers, by the specification and ld.so's rounding. */
static void expect_load(GArray *expected, const struct mm_elf *elf, int owner, uint64_t bias)
{
        for (size_t i = 0; i < elf->n_segments; i++) {
                const struct mm_elf_segment *s = elf->segments + i;
                uint64_t start = bias + PAGE_DOWN(s->vaddr), relro_end = start;
                uint64_t file_end = bias + PAGE_UP(s->vaddr + s->filesz);
                uint64_t memory_end = bias + PAGE_UP(s->vaddr + s->memsz);

                if (elf->relro_memsz > 0 && s->flags & PF_W)
                        relro_end = MAX(start, bias + PAGE_DOWN(elf->relro_vaddr + elf->relro_memsz));
                add(expected, start, relro_end, owner, MM_PART_RELRO);
                add(expected, relro_end, file_end, owner, s->flags & PF_W ? MM_PART_DATA : MM_PART_TEXT);
                add(expected, file_end, memory_end, owner, MM_PART_BSS);
        }
}

/* All that @ranges give to the file called @name is what is expected, and nothing else. */
static void check_file(const struct mm_range *ranges, size_t n, const char *name, const GArray *expected)
{
        g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(struct expected));

        for (size_t i = 0; i < n; i++)
                if (g_str_equal(ranges[i].name, name)) {
                        g_test_message("%" PRIx64 "-%" PRIx64 " %s", ranges[i].start, ranges[i].end,
                                       mm_owner_part_name(ranges[i].part));
                        add(found, ranges[i].start, ranges[i].end, ranges[i].owner, ranges[i].part);
                }
        for (unsigned i = 0; i < MIN(found->len, expected->len); i++) {
                const struct expected *f = &g_array_index(found, struct expected, i);
                const struct expected *e = &g_array_index(expected, struct expected, i);

                g_assert_cmphex(f->start, ==, e->start);
                g_assert_cmphex(f->end, ==, e->end);
                g_assert_cmpint(f->owner, ==, e->owner);
                g_assert_cmpint(f->part, ==, e->part);
        }
        g_assert_cmpuint(found->len, ==, expected->len);
}

static const struct mm_range *range_at(const struct mm_range *ranges, size_t n, uint64_t address)
{
        for (size_t i = 0; i < n; i++)
                if (address >= ranges[i].start && address < ranges[i].end)
                        return ranges + i;
        return NULL;
}

static int look_up_headers(void *headers, const struct mm_area *area, const struct mm_elf **ret)
{
        static struct mm_elf elf;

        if (!strstr(headers, area->name))
                return 0;
        readelf_parse(headers, area->name, &elf);
        *ret = &elf;
        return 1;
}

/* A shell as it was, loaded without a random layout, and readelf's word on its files. */
static void test_captured_bash(void)
{
        static const struct {
                const char *name;
                uint64_t bias;
        } loads[] = {
                { "/usr/bin/bash", 0x555555554000 },
                { "/usr/lib/x86_64-linux-gnu/libc.so.6", 0x7ffff7da0000 },
                { "/usr/lib/x86_64-linux-gnu/libtinfo.so.6.4", 0x7ffff7f82000 },
                { "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", 0x7ffff7fca000 },
        };
        static const struct mm_file_id bash = { .dev = 0xfe00, .ino = 247101 };
        _cleanup_(mm_areas_done) struct mm_areas areas = {};
        _cleanup_(freep) struct mm_range *ranges = NULL;
        g_autofree char *headers = NULL;
        size_t size, n;
        char *text;

        headers = data_read("bash.headers", &size);
        text = data_read("bash.maps", &size);
        g_assert_cmpint(mm_areas_parse(text, size, &areas), ==, 0);
        g_assert_cmpint(mm_owners_assign(&areas, &bash, look_up_headers, headers, &ranges, &n), ==, 0);

        for (size_t i = 0; i < ELEMENTSOF(loads); i++) {
                g_autoptr(GArray) expected = g_array_new(FALSE, FALSE, sizeof(struct expected));
                struct mm_elf elf;

                readelf_parse(headers, loads[i].name, &elf);
                expect_load(expected, &elf, i == 0 ? MM_OWNER_PROGRAM : MM_OWNER_LIBRARY, loads[i].bias);
                check_file(ranges, n, loads[i].name, expected);
        }
        g_assert_cmpint(range_at(ranges, n, 0x555555694000)->owner, ==, MM_OWNER_HEAP);
        g_assert_cmpint(range_at(ranges, n, 0x7ffff7d9d000)->owner, ==, MM_OWNER_ANON);
        g_assert_cmpint(range_at(ranges, n, 0x7ffff7d3f000)->owner, ==, MM_OWNER_FILE);
        g_assert_cmpint(range_at(ranges, n, 0x7ffffffde000)->owner, ==, MM_OWNER_STACK);
        g_assert_null(range_at(ranges, n, 0x7ffff7fc8000)); /* [vdso] */
        g_assert_null(range_at(ranges, n, 0x7ffff7fb8000)); /* shared */
}

/* Device memory with anonymous areas behind it, and libraries right behind those. */
static void test_captured_xorg(void)
{
        static const uint64_t nobodys[] = {
                0x7f2a10000000, 0x7f2a14000000, 0x7f2a14100000, 0x7f2a14200000, 0x7f2a14210000,
                0x7f2a20000000, 0x7f2a20040000, 0x7f2a20044000, 0x7f2a20246000, 0x7f2a20346000,
                0x7f2a20350000, 0x7f2a20360000, 0x7f2a20361000, 0x7f2a20362000,
        };
        _cleanup_(mm_areas_done) struct mm_areas areas = {};
        _cleanup_(freep) struct mm_range *ranges = NULL;
        g_autoptr(GArray) expected = g_array_new(FALSE, FALSE, sizeof(struct expected));
        g_autofree char *headers = NULL;
        struct mm_elf libc;
        size_t size, n;
        char *text;

        headers = data_read("bash.headers", &size); /* has the same libc */
        text = data_read("xorg.maps", &size);
        g_assert_cmpint(mm_areas_parse(text, size, &areas), ==, 0);
        g_assert_cmpint(mm_owners_assign(&areas, NULL, look_up_headers, headers, &ranges, &n), ==, 0);

        for (size_t i = 0; i < ELEMENTSOF(nobodys); i++) {
                g_test_message("%" PRIx64, nobodys[i]);
                g_assert_nonnull(mm_areas_find(&areas, nobodys[i]));
                g_assert_null(range_at(ranges, n, nobodys[i]));
        }
        readelf_parse(headers, "/usr/lib/x86_64-linux-gnu/libc.so.6", &libc);
        expect_load(expected, &libc, MM_OWNER_LIBRARY, 0x7f2a20064000);
        check_file(ranges, n, "/usr/lib/x86_64-linux-gnu/libc.so.6", expected);
        g_assert_cmpint(range_at(ranges, n, 0x7f2a14240000)->owner, ==, MM_OWNER_ANON);
        g_assert_cmpint(range_at(ranges, n, 0x55d5d3f14000)->owner, ==, MM_OWNER_HEAP);
}

static int look_up_mapped(void *process_fd, const struct mm_area *area, const struct mm_elf **ret)
{
        static struct mm_elf elf;
        int r;

        r = mm_elf_read_mapped(*(int *)process_fd, area->start, area->end, &elf);
        if (r < 0) {
                g_assert_cmpint(r, ==, -ENOEXEC);
                return 0;
        }
        *ret = &elf;
        return 1;
}

static void look_at_target(struct target *t, struct mm_areas *areas, struct mm_range **ret, size_t *ret_n)
{
        _cleanup_(closep) int proc_fd = tree_open("/proc");
        _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;

        g_assert_cmpint(mm_process_open(proc_fd, t->pid, true, &p), ==, 0);
        g_assert_cmpint(mm_areas_read(p.dir_fd, areas), ==, 0);
        g_assert_cmpint(mm_owners_assign(areas, &p.exe_id, look_up_mapped, &p.dir_fd, ret, ret_n), ==, 0);
}

/* A library that ld.so loaded twice, whose file is gone, whose name is odd, and behind whose .bss
 * lies other memory that the kernel joined with it. */
static void test_loads(void)
{
        _cleanup_(mm_areas_done) struct mm_areas areas = {};
        _cleanup_(freep) struct mm_range *ranges = NULL;
        g_autoptr(GArray) expected = g_array_new(FALSE, FALSE, sizeof(struct expected));
        char *tree = tree_new();
        g_autofree char *path = g_build_filename(tree, "lib odd\nname.so.1", NULL), *text = NULL;
        const struct mm_range *bss, *behind;
        uint64_t first, second;
        struct mm_elf headers;
        struct target t;
        gsize size;
        size_t n;

        g_assert_true(g_file_get_contents(TEST_LIBRARY, &text, &size, NULL));
        g_assert_true(g_file_set_contents(path, text, (gssize)size, NULL));
        readelf_run(TEST_LIBRARY, &headers);
        target_start(&t, TEST_TARGET, (const char *const[]){ "loads", path, NULL });
        g_assert_cmpint(unlink(path), ==, 0);

        look_at_target(&t, &areas, &ranges, &n);
        first = target_number(&t, "first");
        second = target_number(&t, "second");
        expect_load(expected, &headers, MM_OWNER_LIBRARY, MIN(first, second));
        expect_load(expected, &headers, MM_OWNER_LIBRARY, MAX(first, second));
        check_file(ranges, n, path, expected);

        /* What the variables themselves say. */
        g_assert_cmpint(range_at(ranges, n, target_number(&t, "relro"))->part, ==, MM_PART_RELRO);
        g_assert_cmpint(range_at(ranges, n, target_number(&t, "data"))->part, ==, MM_PART_DATA);
        bss = range_at(ranges, n, target_number(&t, "bss") + 4096);
        behind = range_at(ranges, n, target_number(&t, "behind"));
        g_assert_cmpint(bss->part, ==, MM_PART_BSS);
        g_assert_false(bss->file_backed);
        g_assert_cmphex(bss->end, ==, target_number(&t, "behind"));
        g_assert_cmpint(behind->owner, ==, MM_OWNER_ANON);
        g_assert_true(mm_areas_find(&areas, bss->start) == mm_areas_find(&areas, behind->start));

        target_stop(&t);
        tree_free(tree);
}

static void test_threads(void)
{
        _cleanup_(mm_areas_done) struct mm_areas areas = {};
        _cleanup_(freep) struct mm_range *ranges = NULL;
        struct target t;
        size_t n;

        target_start(&t, TEST_TARGET, (const char *const[]){ "threads", NULL });
        look_at_target(&t, &areas, &ranges, &n);
        g_assert_cmpint(range_at(ranges, n, target_number(&t, "thread-local"))->owner, ==,
                        MM_OWNER_THREAD_STACK);
        g_assert_cmphex(range_at(ranges, n, target_number(&t, "thread-stack"))->start, ==,
                        target_number(&t, "thread-stack"));
        g_assert_cmpint(range_at(ranges, n, target_number(&t, "reserve-used"))->owner, ==, MM_OWNER_ANON);
        g_assert_cmpint(range_at(ranges, n, target_number(&t, "stack"))->owner, ==, MM_OWNER_STACK);
        target_stop(&t);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/owner-real/captured/bash", test_captured_bash);
        g_test_add_func("/owner-real/captured/xorg", test_captured_xorg);
        g_test_add_func("/owner-real/loads", test_loads);
        g_test_add_func("/owner-real/threads", test_threads);
        return g_test_run();
}
