/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/program.h"

#include <elf.h>
#include <glib.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "run/program-file.h"
#include "test-util.h"

static int parse_script(const char *text, size_t size, char **ret_interpreter, char **ret_argument)
{
        static char line[PROGRAM_LINE_MAX + 1];

        g_assert_cmpuint(size, <=, PROGRAM_LINE_MAX);
        memset(line, 'Z', sizeof(line));
        memcpy(line, text, size);
        return program_parse_script(line, size, ret_interpreter, ret_argument);
}

static void test_scripts(void)
{
        static const struct {
                const char *text, *interpreter, *argument;
        } scripts[] = {
                { "#!/bin/sh\n", "/bin/sh", NULL },
                { "#!/bin/sh", "/bin/sh", NULL },
                { "#!/bin/sh\nrest of it\n", "/bin/sh", NULL },
                { "#! /bin/sh -e \n", "/bin/sh", "-e" },
                { "#!\t/bin/sh\t-e -u\t\n", "/bin/sh", "-e -u" },
                { "#!/usr/bin/env python3\n", "/usr/bin/env", "python3" },
                { "#!/bin/sh  \n", "/bin/sh", NULL },
        };
        char *interpreter, *argument;

        for (size_t i = 0; i < G_N_ELEMENTS(scripts); i++) {
                g_assert_cmpint(parse_script(scripts[i].text, strlen(scripts[i].text), &interpreter,
                                             &argument), ==, 1);
                g_assert_cmpstr(interpreter, ==, scripts[i].interpreter);
                g_assert_cmpstr(argument, ==, scripts[i].argument);
        }
        g_assert_cmpint(parse_script("", 0, &interpreter, &argument), ==, 0);
        g_assert_cmpint(parse_script("#", 1, &interpreter, &argument), ==, 0);
        g_assert_cmpint(parse_script("\x7f" "ELF", 4, &interpreter, &argument), ==, 0);
        g_assert_cmpint(parse_script("#!", 2, &interpreter, &argument), ==, -ENOEXEC);
        g_assert_cmpint(parse_script("#! \t\n/bin/sh", 12, &interpreter, &argument), ==, -ENOEXEC);
        g_assert_cmpint(parse_script("#!/bin/sh\0-e\n", 13, &interpreter, &argument), ==, 1);
        g_assert_cmpstr(interpreter, ==, "/bin/sh");
        g_assert_null(argument);
}

/* A line that goes on beyond what the kernel reads. */
static void test_long_line(void)
{
        char text[PROGRAM_LINE_MAX], *interpreter, *argument;

        memset(text, 'x', sizeof(text));
        memcpy(text, "#!/", 3);
        g_assert_cmpint(parse_script(text, sizeof(text), &interpreter, &argument), ==, -ENOEXEC);
        text[100] = ' ';
        g_assert_cmpint(parse_script(text, sizeof(text), &interpreter, &argument), ==, 1);
        g_assert_cmpuint(strlen(interpreter), ==, 98);
        g_assert_cmpuint(strlen(argument), ==, PROGRAM_LINE_MAX - 101);
}

/* A small program: one segment with all of the file. */
struct image {
        Elf64_Ehdr header;
        Elf64_Phdr segment, interpreter;
        unsigned char code[64];
        char path[16];
};

static struct image image(void)
{
        struct image m = {
                .header = {
                        .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
                                     EV_CURRENT },
                        .e_type = ET_DYN,
                        .e_machine = EM_X86_64,
                        .e_version = EV_CURRENT,
                        .e_entry = 0x10000 + offsetof(struct image, code),
                        .e_phoff = offsetof(struct image, segment),
                        .e_phentsize = sizeof(Elf64_Phdr),
                        .e_phnum = 2,
                },
                .segment = {
                        .p_type = PT_LOAD,
                        .p_flags = PF_R | PF_X,
                        .p_vaddr = 0x10000,
                        .p_filesz = sizeof(struct image),
                        .p_memsz = sizeof(struct image),
                },
                .interpreter = {
                        .p_type = PT_INTERP,
                        .p_offset = offsetof(struct image, path),
                        .p_filesz = sizeof("/lib/ld.so"),
                },
                .path = "/lib/ld.so",
        };

        memcpy(m.code + 40, (const unsigned char[]){ 0x0f, 0x05, 0xc3 }, 3);
        memcpy(m.code + 50, (const unsigned char[]){ 0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05 }, 7);
        return m;
}

static void test_elf(void)
{
        struct image m = image();
        struct program_elf e;

        g_assert_cmpint(program_parse_elf(&m, sizeof(m), &e), ==, 0);
        g_assert_cmpstr(e.interpreter, ==, "/lib/ld.so");
        g_assert_cmpuint(e.entry, ==, m.header.e_entry);
        g_assert_cmpuint(e.code.call, ==, 0);

        m.interpreter.p_type = PT_NULL;
        g_assert_cmpint(program_parse_elf(&m, sizeof(m), &e), ==, 0);
        g_assert_null(e.interpreter);
        g_assert_cmpuint(e.code.call - e.entry, ==, 40);
        g_assert_cmpuint(e.code.restorer - e.entry, ==, 50);

        /* Not in code, or not in the file. */
        m.segment.p_flags = PF_R | PF_W;
        g_assert_cmpint(program_parse_elf(&m, sizeof(m), &e), ==, 0);
        g_assert_cmpuint(e.code.call, ==, 0);
        m = image();
        m.interpreter.p_type = PT_NULL;
        g_assert_cmpint(program_parse_elf(&m, offsetof(struct image, code) + 42, &e), ==, 0);
        g_assert_cmpuint(e.code.call, ==, 0);
        m.segment.p_offset = m.segment.p_vaddr = 0x200000;
        g_assert_cmpint(program_parse_elf(&m, sizeof(m), &e), ==, 0);
        g_assert_cmpuint(e.code.call, ==, 0);
}

static void test_elf_refused(void)
{
        struct image m = image();
        struct program_elf e;

        m.header.e_machine = EM_AARCH64;
        g_assert_cmpint(program_parse_elf(&m, sizeof(m), &e), ==, -EAFNOSUPPORT);
        m = image();
        m.header.e_type = ET_REL;
        g_assert_cmpint(program_parse_elf(&m, sizeof(m), &e), ==, -ENOEXEC);
        g_assert_cmpint(program_parse_elf("#!/bin/sh", 9, &e), ==, -ENOEXEC);
        g_assert_cmpint(program_parse_elf("", 0, &e), ==, -ENOEXEC);

        /* A path that has no end, or is not there. */
        m = image();
        m.interpreter.p_filesz -= 1;
        g_assert_cmpint(program_parse_elf(&m, sizeof(m), &e), ==, 0);
        g_assert_null(e.interpreter);
        m.interpreter.p_offset = UINT64_MAX - 4;
        m.interpreter.p_filesz = 11;
        g_assert_cmpint(program_parse_elf(&m, sizeof(m), &e), ==, 0);
        g_assert_null(e.interpreter);
}

/* Looks at @word with arguments "one" and "two", in a $PATH of @path. */
static int examine(const char *word, const char *path, struct program *p, struct refusal *f)
{
        char *argv[] = { (char *) word, (char *) "one", (char *) "two", NULL };
        g_autofree char *before = g_strdup(g_getenv("PATH"));
        int r;

        g_setenv("PATH", path, TRUE);
        f->text[0] = '\0';
        r = program_find(argv, p);
        if (r >= 0)
                r = program_examine(p, f);
        g_setenv("PATH", before, TRUE);
        return r;
}

static void assert_refused(const char *word, const char *why)
{
        struct program p;
        struct refusal f;

        g_assert_cmpint(examine(word, "/usr/bin:/bin", &p, &f), <, 0);
        if (!strstr(f.text, why))
                g_error("'%s' does not say '%s'", f.text, why);
        program_done(&p);
}

static void test_find(void)
{
        g_autofree char *tree = tree_new(), *path = NULL, *closed = NULL;
        struct program p;
        struct refusal f;

        tree_write(tree, "a/file", "");
        tree_write(tree, "b/tool", "#!/bin/sh\n");
        tree_write(tree, "closed/shut", "#!/bin/sh\n");
        tree_write(tree, "c/directory/x", "");
        closed = g_build_filename(tree, "b/tool", NULL);
        g_assert_cmpint(chmod(closed, 0755), ==, 0);
        path = g_strdup_printf("/nowhere:%s/a/file:%s/a:%s/b:%s/closed:%s/c", tree, tree, tree, tree, tree);

        g_assert_cmpint(examine("tool", path, &p, &f), ==, 0);
        g_assert_cmpstr(p.path, ==, closed);
        g_assert_cmpstr(p.runs, ==, "/bin/sh");
        g_assert_cmpstr(p.argv[0], ==, "tool");
        program_done(&p);
        g_assert_cmpint(examine("shut", path, &p, &f), ==, -EACCES);
        program_done(&p);
        g_assert_cmpint(examine("directory", path, &p, &f), ==, -EACCES);
        program_done(&p);
        g_assert_cmpint(examine("none", path, &p, &f), ==, -ENOENT);
        program_done(&p);
        g_assert_cmpint(examine("", path, &p, &f), ==, -ENOENT);
        program_done(&p);
        g_assert_cmpint(examine("/nowhere/x", path, &p, &f), ==, -ENOENT);
        program_done(&p);
        tree_free(g_steal_pointer(&tree));
}

static void test_dynamic(void)
{
        struct program p;
        struct refusal f;

        g_assert_cmpint(examine("cat", "/usr/bin:/bin", &p, &f), ==, 0);
        g_assert_cmpstr(p.runs, ==, p.path);
        g_assert_cmpint(p.code.call, !=, 0);
        g_assert_cmpint(p.code.restorer, !=, 0);
        g_assert_cmpstr(p.argv[0], ==, "cat");
        g_assert_cmpstr(p.argv[2], ==, "two");
        g_assert_null(p.argv[3]);
        program_done(&p);
}

static void test_insert(void)
{
        char *words[PROGRAM_INSERT_MAX + 1] = { g_strdup("-a"), g_strdup("-b") };
        struct program p;
        struct refusal f;

        g_assert_cmpint(examine("cat", "/usr/bin:/bin", &p, &f), ==, 0);
        g_assert_cmpint(program_insert(&p, words, PROGRAM_INSERT_MAX + 1), ==, -E2BIG);
        g_assert_cmpstr(p.argv[1], ==, "one");
        g_assert_cmpint(program_insert(&p, words, 2), ==, 0);
        g_assert_cmpstr(p.argv[0], ==, "cat");
        g_assert_cmpstr(p.argv[1], ==, "-a");
        g_assert_cmpstr(p.argv[2], ==, "-b");
        g_assert_cmpstr(p.argv[3], ==, "one");
        g_assert_cmpstr(p.argv[4], ==, "two");
        g_assert_null(p.argv[5]);
        program_done(&p);
}

static char *script(const char *tree, const char *name, const char *text)
{
        char *full = g_build_filename(tree, name, NULL);

        tree_write(tree, name, text);
        g_assert_cmpint(chmod(full, 0755), ==, 0);
        return full;
}

static void test_env(void)
{
        g_autofree char *tree = tree_new();
        g_autofree char *plain = script(tree, "plain", "#!/usr/bin/env cat\n");
        g_autofree char *options = script(tree, "options", "#!/usr/bin/env -S cat -n\n");
        g_autofree char *variable = script(tree, "variable", "#!/usr/bin/env A=1\n");
        g_autofree char *missing = script(tree, "missing", "#!/usr/bin/env no-such-program-anywhere\n");
        g_autofree char *bare = script(tree, "bare", "#!/usr/bin/env\n");
        g_autofree char *through_text = g_strdup_printf("#!%s\n", plain);
        g_autofree char *through = script(tree, "through", through_text);
        g_autofree char *twice = script(tree, "twice", "#!/usr/bin/env plain\n");
        struct program p;
        struct refusal f;

        g_assert_cmpint(examine(plain, "/nowhere:/usr/bin", &p, &f), ==, 0);
        g_assert_cmpstr(p.path, ==, "/usr/bin/cat");
        g_assert_cmpstr(p.runs, ==, "/usr/bin/cat");
        g_assert_cmpstr(p.argv[0], ==, "cat");
        g_assert_cmpstr(p.argv[1], ==, plain);
        g_assert_cmpstr(p.argv[2], ==, "one");
        g_assert_cmpstr(p.argv[3], ==, "two");
        g_assert_null(p.argv[4]);
        program_done(&p);

        /* Its interpreter is such a script again. */
        {
                g_autofree char *path = g_strdup_printf("%s:/usr/bin", tree);

                g_assert_cmpint(examine(twice, path, &p, &f), ==, 0);
                g_assert_cmpstr(p.path, ==, "/usr/bin/cat");
                g_assert_cmpstr(p.argv[0], ==, "cat");
                g_assert_cmpstr(p.argv[1], ==, plain);
                g_assert_cmpstr(p.argv[2], ==, twice);
                g_assert_cmpstr(p.argv[3], ==, "one");
                program_done(&p);
        }

        assert_refused(options, "env(1)");
        assert_refused(variable, "env(1)");
        assert_refused(bare, "env(1)");
        assert_refused(through, "env(1)");
        assert_refused(missing, "no-such-program-anywhere");
        tree_free(g_steal_pointer(&tree));
}

static void test_script_chain(void)
{
        g_autofree char *tree = tree_new();
        char *last = g_strdup("/bin/sh");
        struct program p;
        struct refusal f;

        for (unsigned i = 1; i <= PROGRAM_SCRIPTS_MAX + 1; i++) {
                g_autofree char *name = g_strdup_printf("s%u", i), *text = g_strdup_printf("#!%s\n", last);

                g_free(last);
                last = script(tree, name, text);
                if (i <= PROGRAM_SCRIPTS_MAX) {
                        g_assert_cmpint(examine(last, "/usr/bin", &p, &f), ==, 0);
                        g_assert_cmpstr(p.path, ==, last);
                        g_assert_cmpstr(p.runs, ==, "/bin/sh");
                        program_done(&p);
                } else
                        assert_refused(last, "too many times");
        }
        g_free(last);
        tree_free(g_steal_pointer(&tree));
}

static void test_refused(void)
{
        g_autofree char *tree = tree_new();
        g_autofree char *text = script(tree, "text", "no program at all\n");
        g_autofree char *empty = script(tree, "empty", "");
        g_autofree char *nameless = script(tree, "nameless", "#!\n");
        g_autofree char *lost = script(tree, "lost", "#!/nowhere/interpreter\n");
        g_autofree char *other = g_build_filename(tree, "other", NULL);
        struct image m = image();

        assert_refused(text, "neither");
        assert_refused(empty, "neither");
        assert_refused(nameless, "no interpreter");
        assert_refused(lost, "/nowhere/interpreter");

        m.header.e_ident[EI_CLASS] = ELFCLASS32;
        memset((char *) &m + sizeof(Elf32_Ehdr), 0, sizeof(m) - sizeof(Elf32_Ehdr));
        ((Elf32_Ehdr *) &m)->e_phoff = 0;
        ((Elf32_Ehdr *) &m)->e_phnum = 0;
        g_assert_true(g_file_set_contents(other, (const char *) &m, sizeof(m), NULL));
        g_assert_cmpint(chmod(other, 0755), ==, 0);
        assert_refused(other, "64-bit");

        m = image();
        g_assert_true(g_file_set_contents(other, (const char *) &m, sizeof(m), NULL));
        g_assert_cmpint(chmod(other, 0755), ==, 0);
        assert_refused(other, "/lib/ld.so");

        m.interpreter.p_type = PT_NULL;
        memset(m.code, 0, sizeof(m.code));
        g_assert_true(g_file_set_contents(other, (const char *) &m, sizeof(m), NULL));
        g_assert_cmpint(chmod(other, 0755), ==, 0);
        assert_refused(other, "no system call");
        tree_free(g_steal_pointer(&tree));
}

static void test_privileged(void)
{
        g_autofree char *tree = tree_new();
        g_autofree char *copy = g_build_filename(tree, "copy", NULL);
        g_autofree char *bytes = NULL;
        gsize size;

        g_assert_true(g_file_get_contents("/bin/true", &bytes, &size, NULL));
        g_assert_true(g_file_set_contents(copy, bytes, (gssize) size, NULL));
        g_assert_cmpint(chmod(copy, 04755), ==, 0);
        assert_refused(copy, "set-user-ID");
        g_assert_cmpint(chmod(copy, 02755), ==, 0);
        assert_refused(copy, "set-group-ID");
        tree_free(g_steal_pointer(&tree));
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/run-program/scripts", test_scripts);
        g_test_add_func("/run-program/long-line", test_long_line);
        g_test_add_func("/run-program/elf", test_elf);
        g_test_add_func("/run-program/elf-refused", test_elf_refused);
        g_test_add_func("/run-program/find", test_find);
        g_test_add_func("/run-program/dynamic", test_dynamic);
        g_test_add_func("/run-program/insert", test_insert);
        g_test_add_func("/run-program/env", test_env);
        g_test_add_func("/run-program/script-chain", test_script_chain);
        g_test_add_func("/run-program/refused", test_refused);
        g_test_add_func("/run-program/privileged", test_privileged);
        return g_test_run();
}
