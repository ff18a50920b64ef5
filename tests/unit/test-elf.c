/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <elf.h>
#include <fcntl.h>
#include <glib.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "lib/elf.h"
#include "lib/maps.h"
#include "test-readelf.h"
#include "test-util.h"

#define NATIVE_DATA (G_BYTE_ORDER == G_LITTLE_ENDIAN ? ELFDATA2LSB : ELFDATA2MSB)

/* A small 64-bit library: text, and data with .bss. */
struct image {
        Elf64_Ehdr header;
        Elf64_Phdr programs[MM_ELF_SEGMENTS_MAX + 2];
};

static void image_init(struct image *i)
{
        *i = (struct image){
                .header = {
                        .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
                                     NATIVE_DATA, EV_CURRENT },
                        .e_type = ET_DYN,
                        .e_version = EV_CURRENT,
                        .e_phoff = offsetof(struct image, programs),
                        .e_phentsize = sizeof(Elf64_Phdr),
                        .e_phnum = 4,
                },
                .programs = {
                        { PT_INTERP, PF_R, 0x200, 0x200, 0x200, 0x10, 0x10, 1 },
                        { PT_LOAD, PF_R | PF_X, 0, 0, 0, 0x1234, 0x1234, 0x1000 },
                        { PT_LOAD, PF_R | PF_W, 0x1800, 0x2800, 0x2800, 0x500, 0x9000, 0x1000 },
                        { PT_GNU_RELRO, PF_R, 0x1800, 0x2800, 0x2800, 0x800, 0x800, 1 },
                },
        };
}

static void test_parse(void)
{
        static const struct mm_elf expected = {
                .n_segments = 2,
                .segments = { { 0, 0, 0x1234, 0x1234, PF_R | PF_X },
                              { 0x2800, 0x1800, 0x500, 0x9000, PF_R | PF_W } },
                .relro_vaddr = 0x2800,
                .relro_memsz = 0x800,
        };
        struct mm_elf elf;
        struct image i;

        image_init(&i);
        g_assert_cmpint(mm_elf_parse(&i, sizeof(i), &elf), ==, 0);
        assert_elf_equal(&elf, &expected);
        g_assert_cmpint(elf.type, ==, ET_DYN);
        g_assert_cmpint(elf.class_, ==, ELFCLASS64);

        i.header.e_type = ET_EXEC;
        i.header.e_phnum = 0;
        g_assert_cmpint(mm_elf_parse(&i, sizeof(i), &elf), ==, 0);
        g_assert_cmpint(elf.type, ==, ET_EXEC);
        g_assert_cmpuint(elf.n_segments, ==, 0);
        g_assert_cmpuint(elf.relro_memsz, ==, 0);
}

static void test_parse_32(void)
{
        struct {
                Elf32_Ehdr header;
                Elf32_Phdr programs[2];
        } i = {
                .header = {
                        .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32,
                                     NATIVE_DATA, EV_CURRENT },
                        .e_type = ET_EXEC,
                        .e_version = EV_CURRENT,
                        .e_phoff = sizeof(Elf32_Ehdr),
                        .e_phentsize = sizeof(Elf32_Phdr),
                        .e_phnum = 2,
                },
                .programs = {
                        { PT_LOAD, 0, 0x8048000, 0x8048000, 0x400, 0x400, PF_R | PF_X, 0x1000 },
                        { PT_LOAD, 0x400, 0x8049400, 0x8049400, 0x20, 0xffff, PF_R | PF_W, 0x1000 },
                },
        };
        static const struct mm_elf expected = {
                .n_segments = 2,
                .segments = { { 0x8048000, 0, 0x400, 0x400, PF_R | PF_X },
                              { 0x8049400, 0x400, 0x20, 0xffff, PF_R | PF_W } },
        };
        struct mm_elf elf;

        g_assert_cmpint(mm_elf_parse(&i, sizeof(i), &elf), ==, 0);
        assert_elf_equal(&elf, &expected);
        g_assert_cmpint(elf.class_, ==, ELFCLASS32);

        i.header.e_phentsize = sizeof(Elf64_Phdr);
        g_assert_cmpint(mm_elf_parse(&i, sizeof(i), &elf), ==, -EINVAL);
}

/* What changes make of an image that is right without them. */
static void test_malformed(void)
{
#define CASE(expected, change)                                                   \
        do {                                                                     \
                struct mm_elf elf = { .n_segments = 4711 };                      \
                struct image i;                                                  \
                                                                                 \
                image_init(&i);                                                  \
                change;                                                          \
                g_test_message("%s", #change);                                   \
                g_assert_cmpint(mm_elf_parse(&i, sizeof(i), &elf), ==, expected); \
                if (expected != 0)                                               \
                        g_assert_cmpuint(elf.n_segments, ==, 4711);              \
                else if (i.programs[2].p_memsz == 0)                             \
                        g_assert_cmpuint(elf.n_segments, ==, 1);                 \
        } while (0)

        CASE(-ENOEXEC, i.header.e_ident[EI_MAG3] = 'f');
        CASE(-ENOEXEC, i.header.e_ident[EI_CLASS] = ELFCLASSNONE);
        CASE(-ENOEXEC, i.header.e_ident[EI_CLASS] = 3);
        CASE(-ENOEXEC, i.header.e_ident[EI_DATA] ^= ELFDATA2LSB ^ ELFDATA2MSB);
        CASE(-ENOEXEC, i.header.e_ident[EI_VERSION] = 2);
        CASE(-ENOEXEC, i.header.e_version = 2);
        CASE(-ENOEXEC, i.header.e_type = ET_REL);
        CASE(-ENOEXEC, i.header.e_type = ET_CORE);
        CASE(-EINVAL, i.header.e_phentsize = sizeof(Elf64_Phdr) + 8);
        CASE(-EINVAL, i.header.e_phentsize = 0);
        CASE(-E2BIG, i.header.e_phnum = PN_XNUM);
        CASE(-EINVAL, i.header.e_phnum = ELEMENTSOF(i.programs) + 1);
        CASE(-EINVAL, i.header.e_phoff = sizeof(i));
        CASE(-EINVAL, i.header.e_phoff = UINT64_MAX);
        CASE(-EINVAL, i.header.e_phoff = UINT64_MAX - 4 * sizeof(Elf64_Phdr) + 1);
        CASE(-EINVAL, i.programs[1].p_filesz = i.programs[1].p_memsz + 1);
        CASE(-EINVAL, i.programs[2].p_memsz = UINT64_MAX);
        CASE(-EINVAL, i.programs[2].p_memsz = UINT64_MAX - i.programs[2].p_vaddr);
        CASE(-EINVAL, i.programs[2].p_vaddr = UINT64_MAX & ~UINT64_C(0x7ff));
        CASE(-EINVAL, i.programs[2].p_offset = UINT64_MAX & ~UINT64_C(0x7ff));
        CASE(-EINVAL, i.programs[2].p_offset++); /* no page of the file can be mapped there */
        CASE(-EINVAL, i.programs[2].p_vaddr = 0x800); /* overlaps the one before */
        CASE(-EINVAL, i.programs[1].p_vaddr = 0x100000); /* comes after the next one */
        CASE(-EINVAL, i.programs[3].p_memsz = UINT64_MAX - 4096);

        CASE(0, i.programs[2].p_filesz = 0; i.programs[2].p_offset++); /* nothing of the file is mapped */
        CASE(0, i.programs[2].p_memsz = i.programs[2].p_filesz = 0);
        CASE(0, i.programs[3].p_type = PT_NULL);
#undef CASE
}

static void test_too_many(void)
{
        struct mm_elf elf;
        struct image i;

        image_init(&i);
        i.header.e_phnum = MM_ELF_SEGMENTS_MAX;
        for (size_t n = 0; n < ELEMENTSOF(i.programs); n++)
                i.programs[n] = (Elf64_Phdr){ PT_LOAD, PF_R, 0, n * 0x1000, 0, 0x1000, 0x1000, 0x1000 };
        g_assert_cmpint(mm_elf_parse(&i, sizeof(i), &elf), ==, 0);
        g_assert_cmpuint(elf.n_segments, ==, MM_ELF_SEGMENTS_MAX);
        i.header.e_phnum++;
        g_assert_cmpint(mm_elf_parse(&i, sizeof(i), &elf), ==, -E2BIG);
}

/* Cut anywhere, the image is refused; nothing behind the end is read (AddressSanitizer). */
static void test_cut(void)
{
        const size_t needed = offsetof(struct image, programs) + 4 * sizeof(Elf64_Phdr);
        struct mm_elf elf;
        struct image i;

        image_init(&i);
        for (size_t size = 0; size <= needed; size++) {
                g_autofree void *copy = g_memdup2(&i, size);
                int r = mm_elf_parse(copy, size, &elf);

                if (size < EI_NIDENT)
                        g_assert_cmpint(r, ==, -ENOEXEC);
                else
                        g_assert_cmpint(r, ==, size < needed ? -EINVAL : 0);
        }
}

static int find_libc(struct dl_phdr_info *info, size_t size, void *userdata)
{
        if (!strstr(info->dlpi_name, "/libc.so"))
                return 0;
        *(char **)userdata = g_strdup(info->dlpi_name);
        return 1;
}

static void test_readelf(void)
{
        g_autofree char *libc = NULL;

        g_assert_cmpint(dl_iterate_phdr(find_libc, &libc), ==, 1);
        for (unsigned i = 0; i < 4; i++) {
                const char *path = (const char *[]){ libc, TEST_LIBRARY, TEST_TARGET, "/proc/self/exe" }[i];
                g_autofree char *self = g_file_read_link("/proc/self/exe", NULL), *text = NULL;
                struct mm_elf elf, expected;
                gsize size;

                g_test_message("%s", path);
                g_assert_true(g_file_get_contents(path, &text, &size, NULL));
                g_assert_cmpint(mm_elf_parse(text, size, &elf), ==, 0);
                readelf_run(i == 3 ? self : path, &expected);
                assert_elf_equal(&elf, &expected);
        }
}

static const struct mm_area *first_area(const struct mm_areas *areas, const char *name)
{
        g_autofree char *real = realpath(name, NULL);

        for (size_t i = 0; i < areas->n; i++)
                if (g_str_equal(areas->items[i].name, real ?: name) && areas->items[i].offset == 0)
                        return areas->items + i;
        g_error("%s is not mapped", name);
}

static void map_only(void *path)
{
        int fd = open(path, O_RDONLY);

        if (fd < 0 || mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED)
                _exit(1);
        close(fd);
}

static int read_mapped(pid_t pid, const char *name, struct mm_elf *ret)
{
        _cleanup_(mm_areas_done) struct mm_areas areas = {};
        g_autofree char *proc = g_strdup_printf("/proc/%d", pid);
        const struct mm_area *area;
        int fd = tree_open(proc), r;

        g_assert_cmpint(mm_areas_read(fd, &areas), ==, 0);
        area = first_area(&areas, name);
        r = mm_elf_read_mapped(fd, area->start, area->end, ret);
        g_assert_cmpint(mm_elf_read_mapped(fd, 0x1000, 0x2000, ret), ==, -ENOENT);
        close(fd);
        return r;
}

static void test_read_mapped(void)
{
        char *tree = tree_new();
        g_autofree char *gone = g_build_filename(tree, "gone with blanks\n", NULL), *text = NULL;
        g_autofree char *other = g_build_filename(tree, "other", NULL);
        struct mm_elf elf, expected;
        gsize size;
        pid_t pid;

        readelf_run(TEST_LIBRARY, &expected);
        g_assert_true(g_file_get_contents(TEST_LIBRARY, &text, &size, NULL));
        g_assert_true(g_file_set_contents(gone, text, (gssize)size, NULL));
        pid = child_start(map_only, gone);
        g_assert_cmpint(read_mapped(pid, gone, &elf), ==, 0);
        assert_elf_equal(&elf, &expected);

        /* The name now leads to something else; what is mapped counts. */
        g_assert_cmpint(unlink(gone), ==, 0);
        g_assert_true(g_file_set_contents(gone, "no ELF", -1, NULL));
        g_assert_cmpint(read_mapped(pid, gone, &elf), ==, 0);
        assert_elf_equal(&elf, &expected);
        child_kill(pid);

        tree_write(tree, "other", "#!/bin/sh\n");
        pid = child_start(map_only, other);
        g_assert_cmpint(read_mapped(pid, other, &elf), ==, -ENOEXEC);
        child_kill(pid);
        tree_free(tree);
}

/* A copy of the library with its program headers at the end, as patchelf(1) leaves a file. */
static char *write_patched(const char *tree)
{
        char *path = g_build_filename(tree, "patched", NULL);
        g_autoptr(GByteArray) patched = g_byte_array_new();
        g_autofree char *text = NULL;
        Elf64_Ehdr header;
        guint table_size;
        gsize size;

        g_assert_true(g_file_get_contents(TEST_LIBRARY, &text, &size, NULL));
        memcpy(&header, text, sizeof(header));
        table_size = header.e_phnum * (guint)sizeof(Elf64_Phdr);
        g_byte_array_append(patched, (guint8 *)text, (guint)size);
        g_byte_array_append(patched, (guint8 *)text + header.e_phoff, table_size);
        memset(patched->data + header.e_phoff, 0xff, table_size);
        header.e_phoff = size;
        memcpy(patched->data, &header, sizeof(header));
        g_assert_true(g_file_set_contents(path, (char *)patched->data, patched->len, NULL));
        return path;
}

static void test_headers_at_end(void)
{
        char *tree = tree_new();
        g_autofree char *path = write_patched(tree);
        struct mm_elf elf, expected;
        pid_t pid;

        readelf_run(TEST_LIBRARY, &expected);
        pid = child_start(map_only, path);
        /* Without the capability they are out of reach. */
        g_assert_cmpint(read_mapped(pid, path, &elf), ==, geteuid() == 0 ? 0 : -EINVAL);
        if (geteuid() == 0)
                assert_elf_equal(&elf, &expected);
        child_kill(pid);
        tree_free(tree);
}

static void become_nobody(void)
{
        if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
                _exit(1);
        if (prctl(PR_SET_DUMPABLE, 1) < 0)
                _exit(1);
        (void) prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); /* EINVAL without Yama */
}

static void map_as_nobody(void *path)
{
        map_only(path);
        become_nobody();
}

/* Says what it could not do by its exit status. */
static int read_as_nobody(int fd, const struct mm_area *libc, const struct mm_area *patched,
                          const struct mm_elf *expected)
{
        struct mm_elf elf = {};
        char name[64];

        become_nobody();
        (void) snprintf(name, sizeof(name), "map_files/%lx-%lx", (unsigned long)libc->start,
                        (unsigned long)libc->end);
        if (openat(fd, name, O_RDONLY) >= 0)
                return 10;
        if (mm_elf_read_mapped(fd, libc->start, libc->end, &elf) < 0)
                return 11;
        if (elf.n_segments != expected->n_segments ||
            memcmp(elf.segments, expected->segments, sizeof(elf.segments)) != 0)
                return 12;
        if (mm_elf_read_mapped(fd, patched->start, patched->end, &elf) != -EINVAL)
                return 13;
        return 0;
}

/* Without the capability for map_files the headers are read from memory. */
static void test_unprivileged(void)
{
        _cleanup_(mm_areas_done) struct mm_areas areas = {};
        char *tree = tree_new();
        g_autofree char *libc = NULL, *proc = NULL, *patched = write_patched(tree);
        struct mm_elf expected;
        int fd, status;
        pid_t pid, reader;

        g_assert_cmpint(dl_iterate_phdr(find_libc, &libc), ==, 1);
        readelf_run(libc, &expected);
        pid = child_start(map_as_nobody, patched);
        proc = g_strdup_printf("/proc/%d", pid);
        fd = tree_open(proc);
        g_assert_cmpint(mm_areas_read(fd, &areas), ==, 0);

        reader = fork();
        g_assert_cmpint(reader, >=, 0);
        if (reader == 0)
                _exit(read_as_nobody(fd, first_area(&areas, libc), first_area(&areas, patched), &expected));
        g_assert_cmpint(waitpid(reader, &status, 0), ==, reader);
        g_assert_true(WIFEXITED(status));
        g_assert_cmpint(WEXITSTATUS(status), ==, 0);
        child_kill(pid);
        close(fd);
        tree_free(tree);
}

static void test_cache(void)
{
        _cleanup_(mm_elf_cache_freep) struct mm_elf_cache *c = NULL;
        const struct mm_elf *found, *kept;
        const size_t n = 10000;

        g_assert_cmpint(mm_elf_cache_new(&c), ==, 0);
        for (size_t i = 0; i < n; i++) {
                struct mm_file_id file = { .dev = i % 7, .ino = i / 7 };
                struct mm_elf elf = { .n_segments = i };

                found = (void *)-1;
                g_assert_cmpint(mm_elf_cache_get(c, &file, &found), ==, 0);
                g_assert_true(found == (void *)-1);
                g_assert_cmpint(mm_elf_cache_put(c, &file, i % 3 == 0 ? NULL : &elf), ==, 0);
                if (i == 1)
                        g_assert_cmpint(mm_elf_cache_get(c, &file, &kept), ==, 1);
        }
        for (size_t i = 0; i < n; i++) {
                struct mm_file_id file = { .dev = i % 7, .ino = i / 7 };

                g_assert_cmpint(mm_elf_cache_get(c, &file, &found), ==, 1);
                if (i % 3 == 0)
                        g_assert_null(found);
                else
                        g_assert_cmpuint(found->n_segments, ==, i);
                if (i == 1)
                        g_assert_true(found == kept);
        }

        /* What is known stays: others may hold it. */
        g_assert_cmpint(mm_elf_cache_put(c, &(struct mm_file_id){ .dev = 1, .ino = 0 }, NULL), ==, 0);
        g_assert_cmpint(mm_elf_cache_get(c, &(struct mm_file_id){ .dev = 1, .ino = 0 }, &found), ==, 1);
        g_assert_true(found == kept);
        g_assert_null(mm_elf_cache_free(NULL));
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/elf/parse", test_parse);
        g_test_add_func("/elf/parse-32", test_parse_32);
        g_test_add_func("/elf/malformed", test_malformed);
        g_test_add_func("/elf/too-many", test_too_many);
        g_test_add_func("/elf/cut", test_cut);
        g_test_add_func("/elf/readelf", test_readelf);
        g_test_add_func("/elf/read-mapped", test_read_mapped);
        g_test_add_func("/elf/headers-at-end", test_headers_at_end);
        g_test_add_func("/elf/unprivileged", test_unprivileged);
        g_test_add_func("/elf/cache", test_cache);
        return g_test_run();
}
