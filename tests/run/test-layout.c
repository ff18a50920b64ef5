/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "start.h"

/* Where things are, and what is put back before the program begins. */

#define MIB (UINT64_C(1) << 20)

static const char *const places[] = { "Program", "Heap", "Libraries", "Mappings", "Stack", "ThreadStackAt" };

struct layout {
        uint64_t at[G_N_ELEMENTS(places)];
};

static struct layout layout_of_start(const struct start *s)
{
        g_auto(Outcome) o = start_run(s);
        struct layout l;

        assert_exited(&o, 0);
        for (size_t i = 0; i < G_N_ELEMENTS(places); i++)
                l.at[i] = report_number(o.out, places[i]);
        return l;
}

static struct layout layout_as(uid_t uid, const char *program, const char *const *options)
{
        const struct start s = { .options = options, .argv = WORDS(program, "report"), .uid = uid };

        return layout_of_start(&s);
}
#define LAYOUT(...) layout_as(0, PROBE, WORDS(__VA_ARGS__))

static bool same(struct layout a, struct layout b)
{
        return memcmp(&a, &b, sizeof(a)) == 0;
}

static void assert_elsewhere(struct layout a, struct layout b)
{
        /* By a chance of one in 2^28 a test fails here for nothing. */
        g_assert_cmpuint(a.at[2], !=, b.at[2]);
        g_assert_cmpuint(a.at[3], !=, b.at[3]);
        g_assert_cmpuint(a.at[5], !=, b.at[5]);
}

static void test_group(void)
{
        struct layout a = LAYOUT("--group=a"), b = LAYOUT("--group=b");

        for (unsigned i = 0; i < 10; i++)
                g_assert_true(same(LAYOUT("--group=a"), a));
        g_assert_true(same(LAYOUT("--group=b"), b));
        assert_elsewhere(a, b);
        /* Nobody's group but one of that name, too. */
        assert_elsewhere(a, layout_as(UID_NOBODY, PROBE, WORDS("--group=a")));
        g_assert_true(same(layout_as(UID_NOBODY, PROBE, WORDS("--group=a")),
                           layout_as(UID_NOBODY, PROBE, WORDS("--group=a"))));
        /* As it is without, and that of the default group. */
        assert_elsewhere(layout_as(0, PROBE, NULL), layout_as(0, PROBE, NULL));
        g_assert_true(same(layout_as(0, PROBE, NO_OPTIONS), layout_as(0, PROBE, NO_OPTIONS)));
}

/* All that differs is where the gap below the stack ends. */
static void test_price(void)
{
        struct layout a = LAYOUT("--group=a"), b = LAYOUT("--group=b");

        g_assert_cmpuint(a.at[0], ==, b.at[0]);
        g_assert_cmpuint(a.at[1], ==, b.at[1]);
        g_assert_cmpuint(a.at[4], ==, b.at[4]);
}

static void test_static(void)
{
        struct layout a = layout_as(0, PROBE_STATIC, WORDS("--group=a"));

        g_assert_true(same(layout_as(0, PROBE_STATIC, WORDS("--group=a")), a));
        g_assert_cmpuint(layout_as(0, PROBE_STATIC, WORDS("--group=b")).at[3], !=, a.at[3]);
}

static void rotate(const char *group)
{
        g_autofree char *path = g_build_filename("/run/mergemem/groups", group, NULL);

        g_assert_cmpint(unlink(path), ==, 0);
}

static void test_rotated(void)
{
        struct layout a = LAYOUT("--group=turning");

        rotate("turning");
        assert_elsewhere(a, LAYOUT("--group=turning"));
}

struct limits {
        rlim_t soft, hard;
};

static void set_limits(void *userdata)
{
        const struct limits *l = userdata;

        (void) setrlimit(RLIMIT_STACK, &(const struct rlimit){ l->soft, l->hard });
}

static Outcome run_limited(struct limits *l, const char *const *options, const char *const *argv)
{
        return start_run(&(const struct start){ .options = options, .argv = argv, .setup = set_limits,
                                                .userdata = l });
}

/* The limits and the stacks of threads are what they are without. */
static void test_limits(void)
{
        static const rlim_t limits[] = { 1 * MIB, 8 * MIB, 8 * MIB + 4096, 100 * MIB, 128 * MIB, 1000 * MIB,
                                         RLIM_INFINITY };

        for (size_t i = 0; i < G_N_ELEMENTS(limits); i++) {
                struct limits l = { limits[i], RLIM_INFINITY };
                g_auto(Outcome) plain = run_limited(&l, NULL, WORDS(PROBE, "report"));
                g_auto(Outcome) with = run_limited(&l, WORDS("--group=limits"), WORDS(PROBE, "report"));

                assert_exited(&plain, 0);
                assert_exited(&with, 0);
                g_assert_cmpuint(report_number(with.out, "StackSoft"), ==, limits[i]);
                g_assert_cmpuint(report_number(with.out, "StackHard"), ==, RLIM_INFINITY);
                g_assert_cmpuint(report_number(with.out, "ThreadStack"), ==,
                                 report_number(plain.out, "ThreadStack"));
                g_assert_cmpstr(report_text(with.out, "Personality"), ==, "00000000");
        }
}

/* A stack really grows to its limit, and no farther. */
static void test_depth(void)
{
        struct limits small = { 8 * MIB, RLIM_INFINITY }, large = { 400 * MIB, RLIM_INFINITY };
        g_auto(Outcome) in_small = run_limited(&small, WORDS("--group=d"), WORDS(PROBE, "deep", "6"));
        g_auto(Outcome) beyond_small = run_limited(&small, WORDS("--group=d"), WORDS(PROBE, "deep", "9"));
        g_auto(Outcome) in_large = run_limited(&large, WORDS("--group=d"), WORDS(PROBE, "deep", "390"));
        g_auto(Outcome) beyond_large = run_limited(&large, WORDS("--group=d"), WORDS(PROBE, "deep", "401"));

        assert_exited(&in_small, 0);
        assert_exited(&in_large, 0);
        g_assert_true(WIFSIGNALED(beyond_small.status) && WTERMSIG(beyond_small.status) == SIGSEGV);
        g_assert_true(WIFSIGNALED(beyond_large.status) && WTERMSIG(beyond_large.status) == SIGSEGV);
}

static void set_personality(void *userdata)
{
        (void) personality(*(unsigned long *) userdata);
}

/* What was in force before is in force after. */
static void test_personality(void)
{
        static const unsigned long values[] = { 0, ADDR_NO_RANDOMIZE, 0x0020000 /* UNAME26 */,
                                                STICKY_TIMEOUTS };

        for (size_t i = 0; i < G_N_ELEMENTS(values); i++) {
                unsigned long value = values[i];
                g_autofree char *expected = g_strdup_printf("%08lx", value);
                g_auto(Outcome) o = start_run(&(const struct start){
                        .options = WORDS("--group=p"), .argv = WORDS(PROBE, "report"),
                        .setup = set_personality, .userdata = &value });

                assert_exited(&o, 0);
                g_assert_cmpstr(report_text(o.out, "Personality"), ==, expected);
        }
}

/* Programs that the program executes are as random as any, with --inherit as little as it can be. */
static void test_later_exec(void)
{
        const struct start later = { .options = WORDS("--group=a"),
                                     .argv = WORDS(PROBE, "exec", PROBE, "report") };
        const struct start inherit = { .options = WORDS("--group=a", "--inherit"),
                                       .argv = WORDS(PROBE, "exec", PROBE, "report") };
        const struct start first = { .options = WORDS("--group=a", "--inherit"),
                                     .argv = WORDS(PROBE, "report") };
        struct layout a = LAYOUT("--group=a"), b = layout_of_start(&later);

        assert_elsewhere(a, b);
        g_assert_cmpuint(a.at[0], !=, b.at[0]);
        assert_elsewhere(b, layout_of_start(&later));

        g_assert_true(same(layout_of_start(&first), a));
        b = layout_of_start(&inherit);
        g_assert_cmpuint(a.at[0], ==, b.at[0]);
        g_assert_true(same(layout_of_start(&inherit), b));
        /* The secret is not in it. */
        assert_elsewhere(a, b);
}

static void write_script(const char *path, const char *text)
{
        g_assert_true(g_file_set_contents(path, text, -1, NULL));
        g_assert_cmpint(chmod(path, 0755), ==, 0);
}

/* It is the interpreter that has the layout. */
static void test_scripts(void)
{
        struct layout a = LAYOUT("--group=a"), b;

        write_script("/run/bin/script", "#!" PROBE " report\n");
        b = layout_as(0, "/run/bin/script", WORDS("--group=a"));
        g_assert_cmpuint(a.at[2], ==, b.at[2]);

        /* Through env(1), with a $PATH that leads there. "report" is the name of the script here. */
        write_script("/run/bin/report", "#!/usr/bin/env probe\n");
        g_assert_cmpint(chdir("/run/bin"), ==, 0);
        {
                g_autofree char *path = g_strdup(g_getenv("PATH"));

                g_setenv("PATH", "/run/bin:/usr/bin:/bin", TRUE);
                b = layout_as(0, "report", WORDS("--group=a"));
                g_setenv("PATH", path, TRUE);
        }
        g_assert_cmpint(chdir("/"), ==, 0);
        g_assert_cmpuint(a.at[2], ==, b.at[2]);
}

static void test_ksm(void)
{
        const struct start plain = { .options = WORDS("--group=a"), .argv = WORDS(PROBE, "report") };
        const struct start ksm = { .options = WORDS("--group=a", "--ksm"), .argv = WORDS(PROBE, "report") };
        g_auto(Outcome) without = start_run(&plain), with = start_run(&ksm);

        assert_exited(&without, 0);
        g_assert_cmpuint(report_number(without.out, "Merge"), ==, 0);
        assert_exited(&with, 0);
        g_assert_cmpuint(report_number(with.out, "Merge"), ==, 1);
}

static char *environment_of(const char *const *options)
{
        g_auto(Outcome) o = start_run(&(const struct start){ .options = options,
                                                             .argv = WORDS("/usr/bin/env") });

        assert_exited(&o, 0);
        return g_steal_pointer(&o.out);
}

static void test_hash(void)
{
        g_autofree char *a = environment_of(WORDS("--group=a", "--stable-hash"));
        g_autofree char *again = environment_of(WORDS("--group=a", "--stable-hash"));
        g_autofree char *b = environment_of(WORDS("--group=b", "--stable-hash"));
        g_autofree char *without = environment_of(WORDS("--group=a"));

        g_assert_cmpstr(a, ==, again);
        g_assert_cmpstr(a, !=, b);
        g_assert_nonnull(strstr(a, "\nPYTHONHASHSEED="));
        g_assert_nonnull(strstr(a, "\nPERL_HASH_SEED=0x"));
        g_assert_nonnull(strstr(a, "\nPERL_PERTURB_KEYS=2\n"));
        g_assert_null(strstr(without, "HASH"));
}

/* A dry run starts nothing. */
static void test_dry_run(void)
{
        const struct start s = { .options = WORDS("--group=dry", "--stable-hash", "--ksm", "--inherit",
                                                  "--dry-run"),
                                 .argv = WORDS(PROBE, "exit", "3") };
        g_auto(Outcome) o = start_run(&s);

        assert_exited(&o, 0);
        g_assert_cmpstr(o.out, ==,
                        "Program: " PROBE "\n"
                        "Layout:  of the group dry, one of 2^28\n"
                        "Secret:  kept by /run/mergemem/groups\n"
                        "Hashes:  PYTHONHASHSEED, for CPython\n"
                        "Hashes:  PERL_HASH_SEED, for Perl\n"
                        "Hashes:  PERL_PERTURB_KEYS, for Perl\n"
                        "KSM:     merges what it has\n"
                        "Inherit: programs that it executes are not randomised\n");
        g_assert_cmpstr(o.err, ==, "");
}

static void fill_output(void *userdata)
{
        int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

        if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0)
                _exit(88);
}

/* Where standard output takes nothing, that is not success. */
static void test_dry_run_full(void)
{
        const struct start s = { .options = WORDS("--group=dry", "--dry-run"), .argv = WORDS(PROBE),
                                 .setup = fill_output };
        g_auto(Outcome) o = start_run(&s);

        assert_refused(&o, "No space left on device");
}

static void test_verbose(void)
{
        const struct start s = { .options = WORDS("--group=loud", "-v"), .argv = WORDS(PROBE, "exit", "3") };
        g_auto(Outcome) o = start_run(&s);

        assert_exited(&o, 3);
        g_assert_cmpstr(o.out, ==, "");
        g_assert_cmpstr(o.err, ==,
                        "Program: " PROBE "\n"
                        "Layout:  of the group loud, one of 2^28\n"
                        "Secret:  kept by /run/mergemem/groups\n");
}

int main(int argc, char *argv[])
{
        start_init(&argc, &argv);
        g_test_add_func("/layout/group", test_group);
        g_test_add_func("/layout/price", test_price);
        g_test_add_func("/layout/static", test_static);
        g_test_add_func("/layout/rotated", test_rotated);
        g_test_add_func("/layout/limits", test_limits);
        g_test_add_func("/layout/depth", test_depth);
        g_test_add_func("/layout/personality", test_personality);
        g_test_add_func("/layout/later-exec", test_later_exec);
        g_test_add_func("/layout/scripts", test_scripts);
        g_test_add_func("/layout/ksm", test_ksm);
        g_test_add_func("/layout/hash", test_hash);
        g_test_add_func("/layout/dry-run", test_dry_run);
        g_test_add_func("/layout/dry-run-full", test_dry_run_full);
        g_test_add_func("/layout/verbose", test_verbose);
        return start_end(g_test_run());
}
