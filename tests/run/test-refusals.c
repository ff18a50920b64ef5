/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <elf.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "start.h"

/* Where there can be no layout mergemem-run says why, in one line, or starts the program without. */

struct refused {
        const char *program;
        uid_t uid;
        void (*setup)(void *userdata);
        void *userdata;
        const char *why; /* what the line has to say */
        bool stays;      /* without the layout it does not start either */
};

static void assert_case(const struct refused *c)
{
        const struct start strict = { .options = WORDS("--group=none"),
                                      .argv = WORDS(c->program, "exit", "5"), .uid = c->uid,
                                      .setup = c->setup, .userdata = c->userdata };
        struct start dry = strict, lenient = strict;
        g_auto(Outcome) refused = start_run(&strict);

        assert_refused(&refused, c->why);
        g_assert_nonnull(strstr(refused.err, c->program));

        dry.options = WORDS("--group=none", "--dry-run");
        {
                g_auto(Outcome) o = start_run(&dry);

                assert_refused(&o, c->why);
        }
        if (c->stays)
                return;
        lenient.options = WORDS("--group=none", "--fallback");
        {
                g_auto(Outcome) o = start_run(&lenient);

                assert_exited(&o, 5);
                g_assert_nonnull(strstr(o.err, "started without"));
                g_assert_nonnull(strstr(o.err, c->why));
                g_assert_true(strchr(o.err, '\n') == o.err + strlen(o.err) - 1);
        }
        g_assert_cmpuint(count_others(), ==, 0);
}
#define CASE(...) assert_case(&(const struct refused){ __VA_ARGS__ })

static void copy_probe(const char *path, mode_t mode)
{
        g_autofree char *bytes = NULL;
        gsize size;

        g_assert_true(g_file_get_contents(PROBE, &bytes, &size, NULL));
        g_assert_true(g_file_set_contents(path, bytes, (gssize) size, NULL));
        g_assert_cmpint(chmod(path, mode), ==, 0);
}

static void test_privileged(void)
{
        const struct vfs_cap_data caps = {
                .magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
                .data[0].permitted = 1 << CAP_NET_BIND_SERVICE,
        };

        copy_probe("/run/bin/set-user", 04755);
        copy_probe("/run/bin/set-group", 02755);
        copy_probe("/run/bin/capable", 0755);
        g_assert_cmpint(setxattr("/run/bin/capable", "security.capability", &caps, XATTR_CAPS_SZ_2, 0), ==,
                        0);
        CASE("/run/bin/set-user", .why = "set-user-ID");
        CASE("/run/bin/set-user", .uid = UID_NOBODY, .why = "set-user-ID");
        CASE("/run/bin/set-group", .uid = UID_NOBODY, .why = "set-group-ID");
        CASE("/run/bin/capable", .uid = UID_NOBODY, .why = "file capabilities");

        /* And keeps its privileges if it is started all the same. */
        {
                const struct start s = { .options = WORDS("--group=none", "--fallback"),
                                         .argv = WORDS("/run/bin/set-user", "report"), .uid = UID_NOBODY };
                g_auto(Outcome) o = start_run(&s);

                assert_exited(&o, 0);
                g_assert_cmpstr(report_text(o.out, "Uid"), ==, "65534\t0\t0\t0");
        }
}

static void test_files(void)
{
        static const char text[] = "no program\n";
        Elf32_Ehdr small = {
                .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32, ELFDATA2LSB, EV_CURRENT },
                .e_type = ET_EXEC,
                .e_machine = EM_386,
                .e_version = EV_CURRENT,
                .e_ehsize = sizeof(small),
        };

        g_assert_true(g_file_set_contents("/run/bin/small", (const char *) &small, sizeof(small), NULL));
        g_assert_cmpint(chmod("/run/bin/small", 0755), ==, 0);
        CASE("/run/bin/small", .why = "64-bit", .stays = true);
        g_assert_true(g_file_set_contents("/run/bin/text", text, -1, NULL));
        g_assert_cmpint(chmod("/run/bin/text", 0755), ==, 0);
        CASE("/run/bin/text", .why = "neither", .stays = true);
        copy_probe("/run/bin/unreadable", 0711);
        CASE("/run/bin/unreadable", .uid = UID_NOBODY, .why = "cannot read");
}

static void no_leak_check(void)
{
        /* It traces the process too. */
        g_setenv("ASAN_OPTIONS", "detect_leaks=0", TRUE);
}

struct filter {
        int nr;
        uint32_t verdict;
        bool except_zero; /* not if the first argument is 0 */
};

static void set_filter(void *userdata)
{
        const struct filter *f = userdata;
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t) f->nr, 0, 3),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, f->except_zero ? 0 : UINT32_C(0xfffffff0), 1, 0),
                BPF_STMT(BPF_RET | BPF_K, f->verdict),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        const struct sock_fprog program = { .len = G_N_ELEMENTS(code), .filter = code };

        no_leak_check();
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
                _exit(77);
}

static void test_seccomp(void)
{
        static const struct {
                int nr;
                const char *why;
        } calls[] = {
                { SYS_personality, "randomisation" },
                { SYS_ptrace, "trac" },
                { SYS_waitid, "wait" },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
                struct filter error = { calls[i].nr, SECCOMP_RET_ERRNO | EPERM, false };
                struct filter deadly = { calls[i].nr, SECCOMP_RET_KILL_PROCESS, false };

                CASE(PROBE, .setup = set_filter, .userdata = &error, .why = calls[i].why);
                CASE(PROBE, .uid = UID_NOBODY, .setup = set_filter, .userdata = &error, .why = calls[i].why);
                if (calls[i].nr != SYS_waitid) /* mergemem-run itself waits too */
                        CASE(PROBE, .uid = UID_NOBODY, .setup = set_filter, .userdata = &deadly,
                             .why = "filter of system calls");
        }
        /* A filter that has nothing against it. */
        {
                struct filter other = { SYS_syslog, SECCOMP_RET_KILL_PROCESS, false };
                const struct start s = { .options = WORDS("--group=none"), .argv = WORDS(PROBE, "report"),
                                         .uid = UID_NOBODY, .setup = set_filter, .userdata = &other };
                g_auto(Outcome) o = start_run(&s);

                assert_exited(&o, 0);
                g_assert_cmpuint(report_number(o.out, "Seccomp"), ==, 2);
                g_assert_cmpstr(report_text(o.out, "Personality"), ==, "00000000");
        }
}

/* As LockPersonality= does it. */
static void test_locked_personality(void)
{
        struct filter locked = { SYS_personality, SECCOMP_RET_ERRNO | EPERM, true };

        CASE(PROBE, .uid = UID_NOBODY, .setup = set_filter, .userdata = &locked, .why = "LockPersonality=");
}

static void limit_hard(void *userdata)
{
        const rlim_t *limit = userdata;

        (void) setrlimit(RLIMIT_STACK, &(const struct rlimit){ 8 << 20, *limit });
}

static bool may_raise_limits(void)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

        g_assert_cmpint(syscall(SYS_capget, &header, data), ==, 0);
        return (data[0].effective & (1U << CAP_SYS_RESOURCE)) != 0;
}

static void test_hard_limit(void)
{
        static rlim_t limits[] = { 8 << 20, 128 << 20 };

        for (size_t i = 0; i < G_N_ELEMENTS(limits); i++) {
                const struct start s = { .options = WORDS("--group=none"), .argv = WORDS(PROBE, "report"),
                                         .setup = limit_hard, .userdata = &limits[i] };

                CASE(PROBE, .uid = UID_NOBODY, .setup = limit_hard, .userdata = &limits[i],
                     .why = "hard limit");
                /* Root may raise it as a rule, and it is put back. */
                if (may_raise_limits()) {
                        g_auto(Outcome) o = start_run(&s);

                        assert_exited(&o, 0);
                        g_assert_cmpuint(report_number(o.out, "StackHard"), ==, limits[i]);
                        g_assert_cmpuint(report_number(o.out, "StackSoft"), ==, 8 << 20);
                } else
                        CASE(PROBE, .setup = limit_hard, .userdata = &limits[i], .why = "hard limit");
        }
}

static void limit_soft(void *userdata)
{
        (void) setrlimit(RLIMIT_STACK, &(const struct rlimit){ UINT64_C(100) << 40, RLIM_INFINITY });
}

static void limit_processes(void *userdata)
{
        no_leak_check();
        (void) setrlimit(RLIMIT_NPROC, &(const struct rlimit){ 1, 1 });
}

static void compat_layout(void *userdata)
{
        (void) personality(ADDR_COMPAT_LAYOUT);
}

#ifndef __SANITIZE_ADDRESS__ /* cannot be told there not to look for leaks, which does not work */
static void split_user(void *userdata)
{
        (void) !seteuid(UID_NOBODY);
        g_setenv("XDG_RUNTIME_DIR", "/run/nobody", TRUE);
}
#endif

/* Without the last step the exec of mergemem-run itself would give it back. */
static void drop_capability(void *userdata)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

        (void) syscall(SYS_capget, &header, data);
        data[0].permitted &= ~(1U << CAP_NET_RAW);
        data[0].effective &= ~(1U << CAP_NET_RAW);
        (void) syscall(SYS_capset, &header, data);
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static void separate_children(void *userdata)
{
        no_leak_check();
        (void) unshare(CLONE_NEWPID);
}

static void no_runtime_directory(void *userdata)
{
        g_unsetenv("XDG_RUNTIME_DIR");
}

static void relative_runtime_directory(void *userdata)
{
        g_setenv("XDG_RUNTIME_DIR", "run/nobody", TRUE);
}

static void foreign_runtime_directory(void *userdata)
{
        g_setenv("XDG_RUNTIME_DIR", "/tmp", TRUE);
}

static void test_process(void)
{
        CASE(PROBE, .setup = limit_soft, .why = "limit of the stack");
        CASE(PROBE, .uid = UID_NOBODY, .setup = limit_processes, .why = "cannot start a process");
        CASE(PROBE, .setup = compat_layout, .why = "ADDR_COMPAT_LAYOUT");
#ifndef __SANITIZE_ADDRESS__
        CASE(PROBE, .setup = split_user, .why = "effective user");
#endif
        CASE(PROBE, .setup = drop_capability, .why = "capabilities");
        CASE(PROBE, .setup = separate_children, .why = "PID namespace");
}

static void test_no_secret(void)
{
        CASE(PROBE, .uid = UID_NOBODY, .setup = no_runtime_directory, .why = "XDG_RUNTIME_DIR");
        CASE(PROBE, .uid = UID_NOBODY, .setup = relative_runtime_directory, .why = "XDG_RUNTIME_DIR");
        CASE(PROBE, .uid = UID_NOBODY, .setup = foreign_runtime_directory, .why = "/tmp");
}

/* Nothing to refuse: namespaces of one's own. */
static void test_namespaces(void)
{
        const struct start s = {
                .argv = WORDS("/usr/bin/unshare", "--user", "--map-current-user", "--pid", "--fork",
                              "--kill-child", RUN, "--group=ns", PROBE, "report"),
                .uid = UID_NOBODY };
        const struct start plain = { .options = WORDS("--group=ns"), .argv = WORDS(PROBE, "report"),
                                     .uid = UID_NOBODY };
        g_auto(Outcome) inside = start_run(&s), outside = start_run(&plain);

        assert_exited(&inside, 0);
        assert_exited(&outside, 0);
        g_assert_cmpuint(report_number(inside.out, "Libraries"), ==,
                         report_number(outside.out, "Libraries"));
        g_assert_cmpuint(report_number(inside.out, "StackSoft"), ==, 8 << 20);
}

int main(int argc, char *argv[])
{
        start_init(&argc, &argv);
        g_test_add_func("/refusals/privileged", test_privileged);
        g_test_add_func("/refusals/files", test_files);
        g_test_add_func("/refusals/seccomp", test_seccomp);
        g_test_add_func("/refusals/locked-personality", test_locked_personality);
        g_test_add_func("/refusals/hard-limit", test_hard_limit);
        g_test_add_func("/refusals/process", test_process);
        g_test_add_func("/refusals/no-secret", test_no_secret);
        g_test_add_func("/refusals/namespaces", test_namespaces);
        return start_end(g_test_run());
}
