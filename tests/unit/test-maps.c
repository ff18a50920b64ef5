/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <glib.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "lib/maps.h"
#include "test-util.h"

#define PREFIX "1000-2000 rw-p 00000000 "

static int parse(const char *text, size_t size, struct mm_areas *ret)
{
        char *copy = malloc(size + 1);

        memcpy(copy, text, size);
        copy[size] = '\0';
        return mm_areas_parse(copy, size, ret);
}

static void test_line(void)
{
        _cleanup_(mm_areas_done) struct mm_areas areas = {};
        static const char text[] = "55d0000-7f0000001000 r-xs 0012f000 103:0b 4294967297        /usr/lib/a\n"
                                   "7f0000001000-7f0000002000 -w-p 00000000 00:00 0 \n";
        const struct mm_area *a;

        g_assert_cmpint(parse(text, strlen(text), &areas), ==, 0);
        g_assert_cmpuint(areas.n, ==, 2);
        a = areas.items;
        g_assert_cmphex(a->start, ==, 0x55d0000);
        g_assert_cmphex(a->end, ==, 0x7f0000001000);
        g_assert_cmphex(a->offset, ==, 0x12f000);
        g_assert_cmpuint(major(a->file.dev), ==, 0x103);
        g_assert_cmpuint(minor(a->file.dev), ==, 0xb);
        g_assert_cmpuint(a->file.ino, ==, 4294967297);
        g_assert_cmpint(a->flags, ==, MM_AREA_READ | MM_AREA_EXEC | MM_AREA_MAYSHARE);
        g_assert_cmpint(a->kind, ==, MM_AREA_FILE);
        g_assert_cmpstr(a->name, ==, "/usr/lib/a");

        g_assert_cmpint(a[1].flags, ==, MM_AREA_WRITE);
        g_assert_cmpint(a[1].kind, ==, MM_AREA_ANON);
        g_assert_cmpstr(a[1].name, ==, "");
        g_assert_false(mm_file_id_known(&a[1].file));
}

static void test_kinds(void)
{
        static const struct {
                const char *line;
                int kind, flags;
                const char *name;
        } cases[] = {
                { PREFIX "00:00 0 ", MM_AREA_ANON, 0, "" },
                { PREFIX "00:00 0", MM_AREA_ANON, 0, "" },
                { PREFIX "00:00 0    [heap]", MM_AREA_HEAP, 0, "heap" },
                { PREFIX "00:00 0    [stack]", MM_AREA_STACK, 0, "stack" },
                { PREFIX "00:00 0    [stack:4711]", MM_AREA_STACK, 0, "stack:4711" },
                { PREFIX "00:00 0    [vdso]", MM_AREA_SPECIAL, 0, "vdso" },
                { PREFIX "00:00 0    [vvar_vclock]", MM_AREA_SPECIAL, 0, "vvar_vclock" },
                { PREFIX "00:00 0    [uprobes]", MM_AREA_SPECIAL, 0, "uprobes" },
                { PREFIX "00:00 0    [stacked]", MM_AREA_SPECIAL, 0, "stacked" },
                { PREFIX "00:00 0    [anon:glibc: malloc]", MM_AREA_NAMED_ANON, 0, "anon:glibc: malloc" },
                { PREFIX "00:01 7    [anon_shmem:cache]", MM_AREA_SHARED, 0, "anon_shmem:cache" },
                { PREFIX "fe:01 7    /a b  c ", MM_AREA_FILE, 0, "/a b  c " },
                { PREFIX "fe:01 7    /a\\012b", MM_AREA_FILE, 0, "/a\nb" },
                { PREFIX "fe:01 7    /a\\040b\\134", MM_AREA_FILE, 0, "/a\\040b\\134" },
                { PREFIX "fe:01 7    /srv/[heap]", MM_AREA_FILE, 0, "/srv/[heap]" },
                { PREFIX "fe:01 7    /a (deleted)", MM_AREA_FILE, MM_AREA_DELETED, "/a" },
                { PREFIX "fe:01 7    /a (deleted) (deleted)", MM_AREA_FILE, MM_AREA_DELETED,
                  "/a (deleted)" },
                { PREFIX "fe:01 7    /a\\012 (deleted)", MM_AREA_FILE, MM_AREA_DELETED, "/a\n" },
                { PREFIX "00:01 7    /memfd:x (deleted)", MM_AREA_SHARED, MM_AREA_DELETED, "/memfd:x" },
                { PREFIX "00:01 7    /SYSV0000000a (deleted)", MM_AREA_SHARED, MM_AREA_DELETED,
                  "/SYSV0000000a" },
                { PREFIX "fe:01 7    /SYSV0000000a", MM_AREA_FILE, 0, "/SYSV0000000a" },
                { PREFIX "00:01 7    /dev/zero (deleted)", MM_AREA_SHARED, MM_AREA_DELETED, "/dev/zero" },
                { PREFIX "00:06 4    /dev/zero", MM_AREA_ANON, 0, "" },
                { PREFIX "00:19 7    /dev/shm/segment", MM_AREA_FILE, 0, "/dev/shm/segment" },
                { PREFIX "00:0f 7    /anon_hugepage (deleted)", MM_AREA_SPECIAL, MM_AREA_DELETED,
                  "/anon_hugepage" },
                { PREFIX "00:0f 7    /dev/hugepages/pool", MM_AREA_FILE, 0, "/dev/hugepages/pool" },
                { PREFIX "00:06 9    /dev/mem", MM_AREA_DEVICE, 0, "/dev/mem" },
                { PREFIX "00:06 9    /dev/dri/renderD128", MM_AREA_DEVICE, 0, "/dev/dri/renderD128" },
                { PREFIX "00:15 9    /sys/devices/pci0000:00/0000:00:02.0/resource0", MM_AREA_DEVICE, 0,
                  "/sys/devices/pci0000:00/0000:00:02.0/resource0" },
                { PREFIX "00:16 9    /proc/bus/pci/00/02.0", MM_AREA_DEVICE, 0, "/proc/bus/pci/00/02.0" },
                { PREFIX "00:0e 9    anon_inode:[perf_event]", MM_AREA_DEVICE, 0,
                  "anon_inode:[perf_event]" },
                { PREFIX "00:0e 9    anon_inode:kvm-vcpu:0", MM_AREA_DEVICE, 0, "anon_inode:kvm-vcpu:0" },
                { PREFIX "00:0c 9    /dmabuf:camera", MM_AREA_DEVICE, 0, "/dmabuf:camera" },
                { PREFIX "00:01 9    /i915 (deleted)", MM_AREA_DEVICE, MM_AREA_DELETED, "/i915" },
                { PREFIX "00:08 9    socket:[4711]", MM_AREA_DEVICE, 0, "socket:[4711]" },
                { PREFIX "00:11 9    /[aio] (deleted)", MM_AREA_SPECIAL, MM_AREA_DELETED, "/[aio]" },
                { PREFIX "fe:01 7    /devices/x", MM_AREA_FILE, 0, "/devices/x" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(mm_areas_done) struct mm_areas areas = {};

                g_test_message("%s", cases[i].line);
                g_assert_cmpint(parse(cases[i].line, strlen(cases[i].line), &areas), ==, 0);
                g_assert_cmpuint(areas.n, ==, 1);
                g_assert_cmpint(areas.items[0].kind, ==, cases[i].kind);
                g_assert_cmphex(areas.items[0].flags, ==, cases[i].flags | MM_AREA_READ | MM_AREA_WRITE);
                g_assert_cmpstr(areas.items[0].name, ==, cases[i].name);
        }
}

static void test_zero_device(void)
{
        static const char text[] = "1000-2000 rw-p 00003000 00:06 4    /dev/zero\n"
                                   "2000-3000 rw-s 00000000 00:06 4    /dev/zero\n";
        _cleanup_(mm_areas_done) struct mm_areas areas = {};

        g_assert_cmpint(parse(text, strlen(text), &areas), ==, 0);
        g_assert_cmpint(areas.items[0].kind, ==, MM_AREA_ANON);
        g_assert_false(mm_file_id_known(&areas.items[0].file));
        g_assert_cmpint(areas.items[1].kind, ==, MM_AREA_DEVICE);
}

static void test_malformed(void)
{
        static const char *const lines[] = {
                "\n",
                "1000",
                "1000-2000",
                "1000-2000 rw-p",
                "1000-2000 rw-p 00000000",
                "1000-2000 rw-p 00000000 fe",
                "1000-2000 rw-p 00000000 fe:",
                "1000-2000 rw-p 00000000 fe:01",
                "1000-2000 rw-p 00000000 fe:01 ",
                "1000-2000 rw-p 00000000 fe:01 x /a",
                "1000-2000 rw- 00000000 fe:01 7 /a",
                "1000-2000 rwpp 00000000 fe:01 7 /a",
                "1000-2000 wr-p 00000000 fe:01 7 /a",
                "1000-1000 rw-p 00000000 fe:01 7 /a",
                "2000-1000 rw-p 00000000 fe:01 7 /a",
                "1001-2000 rw-p 00000000 fe:01 7 /a",
                "1000-2fff rw-p 00000000 fe:01 7 /a",
                "1000-2000 rw-p 00000800 fe:01 7 /a",
                "1000-2000 rw-p 00000800 00:00 0 ",
                "1000-2000 rw-p 00000000 100000000:01 7 /a",
                "1000-2000 rw-p 00000000 fe:100000000 7 /a",
                "1000-2000 rw-p 00000000 fe:01 18446744073709551616 /a",
                "1000-10000000000000000 rw-p 00000000 fe:01 7 /a",
                "-1000-2000 rw-p 00000000 fe:01 7 /a",
                "0x1000-0x2000 rw-p 00000000 fe:01 7 /a",
                "1000-2000 rw-p 00000000 00:00 0 \n\n2000-3000 rw-p 00000000 00:00 0 \n",
        };
        static const char nul[] = "1000-2000 rw-p 00000000 fe:01 7 /a\0b\n";
        struct mm_areas areas = { .n = 4711 };

        for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
                g_test_message("%s", lines[i]);
                g_assert_cmpint(parse(lines[i], strlen(lines[i]), &areas), ==, -EINVAL);
        }
        g_assert_cmpint(parse(nul, sizeof(nul) - 1, &areas), ==, -EINVAL);
        g_assert_cmpuint(areas.n, ==, 4711);

        g_assert_cmpint(parse("", 0, &areas), ==, 0);
        g_assert_cmpuint(areas.n, ==, 0);
        mm_areas_done(&areas);
}

/* Each read() of maps is consistent by itself only. */
static void test_overlap(void)
{
        static const char overlapping[] = "1000-3000 rw-p 00000000 00:00 0 \n"
                                          "2000-4000 rw-p 00000000 00:00 0 \n";
        static const char descending[] = "3000-4000 rw-p 00000000 00:00 0 \n"
                                         "1000-2000 rw-p 00000000 00:00 0 \n";
        struct mm_areas areas;

        g_assert_cmpint(parse(overlapping, strlen(overlapping), &areas), ==, -EAGAIN);
        g_assert_cmpint(parse(descending, strlen(descending), &areas), ==, -EAGAIN);
}

static void test_find(void)
{
        static const char text[] = "1000-3000 rw-p 00000000 00:00 0 \n3000-4000 r--p 00000000 00:00 0 \n"
                                   "6000-7000 rw-p 00000000 00:00 0 \n";
        _cleanup_(mm_areas_done) struct mm_areas areas = {};
        const struct mm_areas none = {};

        g_assert_cmpint(parse(text, strlen(text), &areas), ==, 0);
        g_assert_null(mm_areas_find(&areas, 0xfff));
        g_assert_true(mm_areas_find(&areas, 0x1000) == areas.items);
        g_assert_true(mm_areas_find(&areas, 0x2fff) == areas.items);
        g_assert_true(mm_areas_find(&areas, 0x3000) == areas.items + 1);
        g_assert_null(mm_areas_find(&areas, 0x4000));
        g_assert_null(mm_areas_find(&areas, 0x5fff));
        g_assert_true(mm_areas_find(&areas, 0x6fff) == areas.items + 2);
        g_assert_null(mm_areas_find(&areas, 0x7000));
        g_assert_null(mm_areas_find(&none, 0));
}

/* Each line of what real processes showed, against sscanf(). */
static void test_captured(gconstpointer name)
{
        _cleanup_(mm_areas_done) struct mm_areas areas = {};
        g_autofree char *text = NULL;
        g_auto(GStrv) lines = NULL;
        size_t size, n = 0;

        text = data_read(name, &size);
        g_assert_cmpint(parse(text, size, &areas), ==, 0);

        lines = g_strsplit(text, "\n", -1);
        for (; *lines[n]; n++) {
                const struct mm_area *a = areas.items + n;
                unsigned long start, end, offset, ino;
                unsigned major_, minor_;
                char r, w, x, s;

                g_assert_cmpuint(n, <, areas.n);
                g_assert_cmpint(sscanf(lines[n], "%lx-%lx %c%c%c%c %lx %x:%x %lu", &start, &end, &r, &w, &x,
                                       &s, &offset, &major_, &minor_, &ino), ==, 10);
                g_assert_cmphex(a->start, ==, start);
                g_assert_cmphex(a->end, ==, end);
                g_assert_cmphex(a->offset, ==, offset);
                g_assert_true(!(a->flags & MM_AREA_READ) == (r == '-'));
                g_assert_true(!(a->flags & MM_AREA_WRITE) == (w == '-'));
                g_assert_true(!(a->flags & MM_AREA_EXEC) == (x == '-'));
                g_assert_true(!(a->flags & MM_AREA_MAYSHARE) == (s == 'p'));
                if (a->kind != MM_AREA_ANON) {
                        g_assert_cmpuint(a->file.ino, ==, ino);
                        g_assert_cmpuint(a->file.dev, ==, makedev(major_, minor_));
                }
        }
        g_assert_cmpuint(n, ==, areas.n);
}

static void check_area(const struct mm_areas *areas, const struct target *t, const char *key, int kind,
                       int flags, const char *tree, const char *name)
{
        const struct mm_area *a = mm_areas_find(areas, target_number(t, key));
        g_autofree char *full = tree ? g_strconcat(tree, "/", name, NULL) : g_strdup(name);

        g_test_message("%s", key);
        g_assert_nonnull(a);
        g_assert_cmpint(a->kind, ==, kind);
        g_assert_cmphex(a->flags, ==, flags | MM_AREA_READ | MM_AREA_WRITE);
        g_assert_cmpstr(a->name, ==, full);
}

static void test_names(void)
{
        _cleanup_(mm_areas_done) struct mm_areas areas = {};
        char *tree = tree_new();
        g_autofree char *proc = NULL, *file = g_build_filename(tree, "with blanks ", NULL);
        struct target t;
        struct stat st;
        int fd;

        target_start(&t, TEST_TARGET, (const char *const[]){ "names", tree, NULL });
        proc = g_strdup_printf("/proc/%d", t.pid);
        fd = tree_open(proc);
        g_assert_cmpint(mm_areas_read(fd, &areas), ==, 0);

        check_area(&areas, &t, "blank", MM_AREA_FILE, 0, tree, "with blanks ");
        check_area(&areas, &t, "newline", MM_AREA_FILE, 0, tree, "with\nnewlines\n");
        check_area(&areas, &t, "brackets", MM_AREA_FILE, 0, tree, "[heap]");
        check_area(&areas, &t, "gone", MM_AREA_FILE, MM_AREA_DELETED, tree, "gone");
        check_area(&areas, &t, "gone-newline", MM_AREA_FILE, MM_AREA_DELETED, tree, "gone\n");
        check_area(&areas, &t, "shared-file", MM_AREA_FILE, MM_AREA_MAYSHARE, tree, "shared");
        check_area(&areas, &t, "memfd-shared", MM_AREA_SHARED, MM_AREA_MAYSHARE | MM_AREA_DELETED, NULL,
                   "/memfd:name");
        check_area(&areas, &t, "memfd-private", MM_AREA_SHARED, MM_AREA_DELETED, NULL, "/memfd:name");
        check_area(&areas, &t, "zero-shared", MM_AREA_SHARED, MM_AREA_MAYSHARE | MM_AREA_DELETED, NULL,
                   "/dev/zero");
        check_area(&areas, &t, "zero-private", MM_AREA_ANON, 0, NULL, "");
        check_area(&areas, &t, "anon-shared", MM_AREA_SHARED, MM_AREA_MAYSHARE | MM_AREA_DELETED, NULL,
                   "/dev/zero");
        check_area(&areas, &t, "sysv", MM_AREA_SHARED, MM_AREA_MAYSHARE | MM_AREA_DELETED, NULL,
                   "/SYSV00000000");
        check_area(&areas, &t, "heap", MM_AREA_HEAP, 0, NULL, "heap");
        check_area(&areas, &t, "stack", MM_AREA_STACK, 0, NULL, "stack");

        g_assert_cmpint(stat(file, &st), ==, 0);
        g_assert_cmpuint(mm_areas_find(&areas, target_number(&t, "blank"))->file.ino, ==, st.st_ino);

        target_stop(&t);
        close(fd);
        tree_free(tree);
}

static void map_many(void *userdata)
{
        /* Areas of different rights are not joined; two pages for each pair. */
        for (unsigned i = 0; i < *(unsigned *)userdata; i += 2) {
                char *p = mmap(NULL, 2 * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

                if (p == MAP_FAILED || mprotect(p, 4096, PROT_NONE) < 0)
                        _exit(1);
        }
}

/* More than one read() gives. */
static void test_many(void)
{
        _cleanup_(mm_areas_done) struct mm_areas areas = {};
        g_autofree char *proc = NULL;
        unsigned n = 20000;
        pid_t pid;
        int fd;

        pid = child_start(map_many, &n);
        proc = g_strdup_printf("/proc/%d", pid);
        fd = tree_open(proc);
        g_assert_cmpint(mm_areas_read(fd, &areas), ==, 0);
        g_assert_cmpuint(areas.n, >=, n);
        for (size_t i = 1; i < areas.n; i++)
                g_assert_cmphex(areas.items[i - 1].end, <=, areas.items[i].start);
        child_kill(pid);
        close(fd);
}

static void *remap_forever(void *userdata)
{
        const size_t size = 64 * 4096;

        for (;;) {
                char *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

                for (size_t i = 0; i < size; i += 2 * 4096)
                        if (mprotect(p + i, 4096, PROT_NONE) < 0)
                                abort();
                if (munmap(p, size) < 0)
                        abort();
        }
        return NULL;
}

static void start_remapping(void *userdata)
{
        pthread_t id;

        map_many(userdata);
        if (pthread_create(&id, NULL, remap_forever, NULL) != 0)
                _exit(1);
}

/* Read while it changes: whole and ordered, or refused. */
static void test_changing(void)
{
        g_autofree char *proc = NULL;
        unsigned n = 1000, n_good = 0;
        pid_t pid;
        int fd;

        pid = child_start(start_remapping, &n);
        proc = g_strdup_printf("/proc/%d", pid);
        fd = tree_open(proc);
        for (unsigned i = 0; i < 200; i++) {
                _cleanup_(mm_areas_done) struct mm_areas areas = {};
                int r = mm_areas_read(fd, &areas);

                if (r == -EAGAIN)
                        continue;
                g_assert_cmpint(r, ==, 0);
                n_good++;
                g_assert_cmpuint(areas.n, >=, n);
                for (size_t k = 1; k < areas.n; k++)
                        g_assert_cmphex(areas.items[k - 1].end, <=, areas.items[k].start);
        }
        g_test_message("%u of 200 reads were whole", n_good);
        g_assert_cmpuint(n_good, >, 0);
        child_kill(pid);
        close(fd);
}

/* Opens @fifo once somebody reads it, and only then lets "maps" lead elsewhere. */
static void *replace_while_read(void *tree)
{
        static const char text[] = "1000-3000 rw-p 00000000 00:00 0 \n2000-4000 rw-p 00000000 00:00 0 \n";
        g_autofree char *fifo = g_build_filename(tree, "fifo", NULL);
        g_autofree char *maps = g_build_filename(tree, "maps", NULL);
        g_autofree char *next = g_build_filename(tree, "next", NULL);
        int fd = open(fifo, O_WRONLY);

        g_assert_cmpint(fd, >=, 0);
        g_assert_cmpint(rename(next, maps), ==, 0);
        g_assert_cmpint(write(fd, text, strlen(text)), ==, strlen(text));
        close(fd);
        return NULL;
}

static void test_read_again(void)
{
        _cleanup_(mm_areas_done) struct mm_areas areas = {};
        char *tree = tree_new();
        g_autofree char *fifo = g_build_filename(tree, "fifo", NULL);
        _cleanup_(closep) int fd = tree_open(tree);
        pthread_t id;

        g_assert_cmpint(mm_areas_read(fd, &areas), ==, -ESRCH);

        g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
        tree_link(tree, "maps", "fifo");
        tree_write(tree, "next", "1000-2000 rw-p 00000000 00:00 0 \n");
        g_assert_cmpint(pthread_create(&id, NULL, replace_while_read, tree), ==, 0);
        g_assert_cmpint(mm_areas_read(fd, &areas), ==, 0);
        g_assert_cmpuint(areas.n, ==, 1);
        g_assert_cmpint(pthread_join(id, NULL), ==, 0);
        mm_areas_done(&areas);

        tree_write(tree, "maps", "2000-3000 rw-p 00000000 00:00 0 \n1000-2000 rw-p 00000000 00:00 0 \n");
        g_assert_cmpint(mm_areas_read(fd, &areas), ==, -EAGAIN);
        tree_write(tree, "maps", "");
        g_assert_cmpint(mm_areas_read(fd, &areas), ==, -ESRCH);
        tree_free(tree);
}

static void test_gone(void)
{
        struct mm_areas areas;
        g_autofree char *proc = NULL;
        pid_t pid;
        int fd;

        pid = child_start(NULL, NULL);
        proc = g_strdup_printf("/proc/%d", pid);
        fd = tree_open(proc);
        child_make_zombie(pid);
        g_assert_cmpint(mm_areas_read(fd, &areas), ==, -ESRCH);
        child_kill(pid);
        g_assert_cmpint(mm_areas_read(fd, &areas), ==, -ESRCH);
        close(fd);
}

int main(int argc, char **argv)
{
        static const char *const captured[] = { "bash.maps", "names.maps", "threads.maps", "xorg.maps" };

        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/maps/line", test_line);
        g_test_add_func("/maps/kinds", test_kinds);
        g_test_add_func("/maps/zero-device", test_zero_device);
        g_test_add_func("/maps/malformed", test_malformed);
        g_test_add_func("/maps/overlap", test_overlap);
        g_test_add_func("/maps/find", test_find);
        for (size_t i = 0; i < ELEMENTSOF(captured); i++) {
                g_autofree char *path = g_strconcat("/maps/captured/", captured[i], NULL);

                g_test_add_data_func(path, captured[i], test_captured);
        }
        g_test_add_func("/maps/names", test_names);
        g_test_add_func("/maps/many", test_many);
        g_test_add_func("/maps/changing", test_changing);
        g_test_add_func("/maps/read-again", test_read_again);
        g_test_add_func("/maps/gone", test_gone);
        return g_test_run();
}
