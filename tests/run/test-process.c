/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <elf.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "start.h"

/* The program is the very process that was started, and finds itself as it would without mergemem-run. */

/* What must be alike, whatever it is. The places and the pids are not. */
static const char *const equal_keys[] = {
        "Name", "TracerPid", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt", "CapInh", "CapPrm", "CapEff",
        "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Threads", "Uid", "Gid", "PPid", "Files", "Personality",
        "Score", "Control", "StackSoft", "StackHard", "ThreadStack", "Death", "Subreaper", "Timer", "Mask",
        "Nice", "Merge", "Terminal", "Directory", "Childless",
};

/* Of the same number, or each of its own. */
static void assert_id_alike(const Outcome *a, const Outcome *b, const char *key)
{
        uint64_t id = report_number(a->out, key);

        g_assert_cmpuint(report_number(b->out, key), ==, id == (uint64_t) a->pid ? (uint64_t) b->pid : id);
}

static void assert_alike(uid_t uid, void (*setup)(void *userdata))
{
        const struct start plain = { .argv = WORDS(PROBE, "report", "word"), .uid = uid, .setup = setup };
        const struct start with = { .options = WORDS("--group=alike"), .argv = plain.argv, .uid = uid,
                                    .setup = setup };
        g_auto(Outcome) a = start_run(&plain), b = start_run(&with);

        assert_exited(&a, 0);
        assert_exited(&b, 0);
        g_assert_cmpstr(b.err, ==, "");
        for (size_t i = 0; i < G_N_ELEMENTS(equal_keys); i++) {
                g_autofree char *value = g_strdup(report_text(a.out, equal_keys[i]));

                if (strcmp(value, report_text(b.out, equal_keys[i])) != 0)
                        g_error("%s is '%s' without and '%s' with mergemem-run", equal_keys[i], value,
                                report_text(b.out, equal_keys[i]));
        }
        /* The process that was started, of the group and the session that it was started in. */
        g_assert_cmpuint(report_number(b.out, "Pid"), ==, (guint64) b.pid);
        assert_id_alike(&a, &b, "Group");
        assert_id_alike(&a, &b, "Session");
        g_assert_cmpuint(report_number(b.out, "Childless"), ==, 1);
        g_assert_cmpuint(count_others(), ==, 0);
}

static void test_plain(void)
{
        assert_alike(0, NULL);
        assert_alike(UID_NOBODY, NULL);
}

static void change_signals(void *userdata)
{
        sigset_t mask;

        signal(SIGCHLD, SIG_IGN);
        signal(SIGPIPE, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGCHLD);
        sigaddset(&mask, SIGURG);
        sigaddset(&mask, SIGTRAP);
        sigprocmask(SIG_SETMASK, &mask, NULL);
        raise(SIGTERM); /* waits */
        raise(SIGURG);
}

static void block_all(void *userdata)
{
        sigset_t mask;

        sigfillset(&mask);
        sigprocmask(SIG_SETMASK, &mask, NULL);
        for (int i = SIGRTMIN; i <= SIGRTMAX; i++)
                raise(i);
}

static void ignore_all(void *userdata)
{
        for (int i = 1; i <= SIGRTMAX; i++)
                if (i != SIGSEGV && i != SIGBUS && i != SIGFPE) /* sanitizers have them */
                        signal(i, SIG_IGN);
}

static void test_signals(void)
{
        assert_alike(0, change_signals);
        assert_alike(0, block_all);
        assert_alike(0, ignore_all);
}

static void change_files(void *userdata)
{
        int fd = open("/etc/passwd", O_RDONLY);

        (void) dup2(fd, 77);
        (void) dup2(fd, 4);
        (void) fcntl(fd, F_SETFD, FD_CLOEXEC); /* goes, in both cases */
}

static void close_streams(void *userdata)
{
        close(STDIN_FILENO);
        close(STDERR_FILENO);
}

static void close_input(void *userdata)
{
        close(STDIN_FILENO);
}

static void test_files(void)
{
        assert_alike(0, change_files);
        assert_alike(0, close_streams);
        assert_alike(0, close_input);
        assert_alike(UID_NOBODY, close_input);
}

static void change_rest(void *userdata)
{
        const struct itimerval timer = { .it_value.tv_sec = 1000 };

        prctl(PR_SET_PDEATHSIG, SIGUSR1);
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        setitimer(ITIMER_REAL, &timer, NULL);
        umask(0137);
        (void) !nice(3);
        (void) !chdir("/etc");
        setpgid(0, 0);
}

static void new_session(void *userdata)
{
        setsid();
}

/* A user with one of root's capabilities, as AmbientCapabilities= gives it. */
static void become_capable(void *userdata)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
                [0] = { .permitted = 1 << CAP_NET_BIND_SERVICE, .inheritable = 1 << CAP_NET_BIND_SERVICE } };

        prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
        if (setresgid(UID_NOBODY, UID_NOBODY, UID_NOBODY) < 0 ||
            setresuid(UID_NOBODY, UID_NOBODY, UID_NOBODY) < 0 || syscall(SYS_capset, &header, data) < 0 ||
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0) < 0)
                _exit(77);
        g_setenv("XDG_RUNTIME_DIR", "/run/nobody", TRUE);
}

static void test_rest(void)
{
        assert_alike(0, change_rest);
        assert_alike(UID_NOBODY, change_rest);
        assert_alike(0, new_session);
        assert_alike(0, become_capable);
}

/* With a terminal of its own, in its foreground. */
static char *report_on_terminal(const char *const *options)
{
        const struct start s = { .options = options, .argv = WORDS(PROBE, "report") };
        GString *text = g_string_new(NULL);
        char buffer[4096];
        int terminal, status;
        ssize_t n;
        pid_t pid;

        pid = forkpty(&terminal, NULL, NULL, NULL);
        g_assert_cmpint(pid, >=, 0);
        if (pid == 0) {
                GPtrArray *words = g_ptr_array_new();

                if (options) {
                        g_ptr_array_add(words, (void *) RUN);
                        for (; *options; options++)
                                g_ptr_array_add(words, (void *) *options);
                }
                for (size_t i = 0; s.argv[i]; i++)
                        g_ptr_array_add(words, (void *) s.argv[i]);
                g_ptr_array_add(words, NULL);
                execv(words->pdata[0], (char **) words->pdata);
                _exit(88);
        }
        while ((n = read(terminal, buffer, sizeof(buffer))) > 0)
                g_string_append_len(text, buffer, n);
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        g_assert_cmpint(status, ==, 0);
        close(terminal);
        for (char *p = text->str; (p = strchr(p, '\r')); )
                memmove(p, p + 1, strlen(p));
        g_assert_cmpuint(report_number(text->str, "Foreground"), ==, (guint64) pid);
        g_assert_cmpuint(report_number(text->str, "Session"), ==, (guint64) pid);
        return g_string_free(text, FALSE);
}

static void test_terminal(void)
{
        g_autofree char *plain = report_on_terminal(NULL), *with = report_on_terminal(NO_OPTIONS);
        g_autofree char *name = g_strdup(report_text(plain, "Terminal"));

        g_assert_cmpstr(name, !=, "none");
        g_assert_cmpstr(name, ==, report_text(with, "Terminal"));
        g_assert_cmpstr(report_text(with, "Foreground"), !=, "0");
}

static void test_end(void)
{
        static const int statuses[] = { 0, 1, 7, 125, 126, 127, 255 };
        const int signals[] = { SIGTERM, SIGKILL, SIGSEGV, SIGABRT, SIGPIPE, SIGUSR1, SIGCHLD, SIGRTMIN };

        for (size_t i = 0; i < G_N_ELEMENTS(statuses); i++) {
                g_autofree char *number = g_strdup_printf("%d", statuses[i]);
                g_auto(Outcome) o = start_run(&(const struct start){ .options = NO_OPTIONS,
                                                                     .argv = WORDS(PROBE, "exit", number) });

                assert_exited(&o, statuses[i]);
                g_assert_cmpstr(o.err, ==, "");
        }
        for (size_t i = 0; i < G_N_ELEMENTS(signals); i++) {
                g_autofree char *number = g_strdup_printf("%d", signals[i]);
                const struct start s = { .options = NO_OPTIONS, .argv = WORDS(PROBE, "kill", number) };
                g_auto(Outcome) o = start_run(&s);

                if (signals[i] == SIGCHLD) /* ignored by default */
                        assert_exited(&o, 98);
                else
                        g_assert_true(WIFSIGNALED(o.status) && WTERMSIG(o.status) == signals[i]);
        }
}

/* As the first process of a PID namespace, as in a container, where nobody else takes orphans. */
static void test_first_process(void)
{
        const struct start s = {
                .argv = WORDS("/usr/bin/unshare", "--pid", "--fork", "--kill-child", "--mount-proc", RUN,
                              PROBE, "report") };
        g_auto(Outcome) o = start_run(&s);

        assert_exited(&o, 0);
        g_assert_cmpuint(report_number(o.out, "Pid"), ==, 1);
        g_assert_cmpuint(report_number(o.out, "Childless"), ==, 1);
        g_assert_cmpstr(report_text(o.out, "Personality"), ==, "00000000");
}

/* For who starts it there are no more children than one, ever. */
static void test_subreaper(void)
{
        g_assert_cmpint(prctl(PR_SET_CHILD_SUBREAPER, 1), ==, 0);
        for (unsigned i = 0; i < 20; i++) {
                g_auto(Outcome) good = start_run(&(const struct start){ .options = NO_OPTIONS,
                                                                        .argv = WORDS(PROBE, "exit", "0") });
                g_auto(Outcome) bad = start_run(&(const struct start){ .options = NO_OPTIONS,
                                                                       .argv = WORDS("/nowhere/at/all") });
                int status;

                assert_exited(&good, 0);
                assert_exited(&bad, 127);
                g_assert_cmpint(waitpid(-1, &status, __WALL), <, 0);
        }
        g_assert_cmpint(prctl(PR_SET_CHILD_SUBREAPER, 0), ==, 0);
}

/* A copy of the probe whose program headers @change is applied to. */
static void write_changed(const char *path,
                          void (*change)(Elf64_Phdr *header, const char *bytes, gsize size))
{
        g_autofree char *bytes = NULL;
        Elf64_Ehdr *elf;
        gsize size;

        g_assert_true(g_file_get_contents(PROBE, &bytes, &size, NULL));
        elf = (Elf64_Ehdr *) bytes;
        for (unsigned i = 0; i < elf->e_phnum; i++)
                change((Elf64_Phdr *) (bytes + elf->e_phoff) + i, bytes, size);
        g_assert_true(g_file_set_contents(path, bytes, (gssize) size, NULL));
        g_assert_cmpint(chmod(path, 0755), ==, 0);
}

/* Longer than the kernel takes, which says so with an error. */
static void lengthen_interpreter(Elf64_Phdr *header, const char *bytes, gsize size)
{
        if (header->p_type != PT_INTERP)
                return;
        header->p_filesz = 4097;
        while (bytes[header->p_offset + header->p_filesz - 1] != '\0')
                header->p_filesz++;
        g_assert_cmpuint(header->p_offset + header->p_filesz, <, size);
}

/* Memory where none can be: found out when there is no way back, so that the kernel ends it. */
static void misplace_memory(Elf64_Phdr *header, const char *bytes, gsize size)
{
        if (header->p_type == PT_LOAD && header->p_offset > 0)
                header->p_vaddr += UINT64_C(1) << 60;
}

/* Execs that fail where nobody could have known. */
static void test_failed_exec(void)
{
        write_changed("/run/bin/long", lengthen_interpreter);
        for (unsigned i = 0; i < 10; i++) {
                const struct start s = { .options = NO_OPTIONS, .argv = WORDS("/run/bin/long") };
                g_auto(Outcome) o = start_run(&s);

                assert_exited(&o, 126);
                g_assert_cmpstr(o.err, ==, "mergemem-run: cannot execute /run/bin/long: "
                                "Exec format error.\n");
                g_assert_cmpuint(count_others(), ==, 0);
        }

        write_changed("/run/bin/misplaced", misplace_memory);
        for (unsigned i = 0; i < 10; i++) {
                const struct start s = { .options = NO_OPTIONS, .argv = WORDS("/run/bin/misplaced") };
                g_auto(Outcome) o = start_run(&s);

                g_assert_true(WIFSIGNALED(o.status));
                g_assert_cmpstr(o.err, ==, "");
        }
        wait_alone();
}

static void shrink_environment(void *userdata)
{
        clearenv();
        if (userdata)
                setenv("FILL", userdata, 1);
}

/* The stack begins at the end of the address space, so that little environment means little room above. */
static void test_environment(void)
{
        g_autofree char *fill = g_strnfill(8192, 'f');

        for (unsigned i = 0; i < 130; i++) {
                const struct start s = { .options = NO_OPTIONS,
                                         .argv = WORDS(i % 2 ? PROBE : PROBE_STATIC, "exit", "0"),
                                         .setup = shrink_environment,
                                         .userdata = i == 0 ? NULL : fill + 8192 - 61 * i };
                g_auto(Outcome) o = start_run(&s);

                assert_exited(&o, 0);
        }
}

enum { R15, R14, R13, R12, R9, R8, FLAGS, RSP, RBP, RDI, RSI, RDX, RCX, RBX, RAX, REGISTERS };

static void fix(void *userdata)
{
        (void) personality(ADDR_NO_RANDOMIZE);
}

/* Argument count first, then registers, the last pushed first. */
static void entry_registers(const char *const *options, const char *program, uint64_t ret[1 + REGISTERS])
{
        g_auto(Outcome) o = start_run(&(const struct start){ .options = options, .argv = WORDS(program),
                                                             .setup = fix });

        assert_exited(&o, 0);
        g_assert_cmpuint(o.out_size, ==, sizeof(uint64_t) * (1 + REGISTERS));
        memcpy(ret, o.out, o.out_size);
}

/* The first instruction finds what the kernel has set up for it. */
static void test_entry(void)
{
        uint64_t plain[1 + REGISTERS], with[1 + REGISTERS];

        entry_registers(NULL, ENTRY_RETURN, plain);
        entry_registers(NO_OPTIONS, ENTRY_RETURN, with);
        g_assert_cmpuint(plain[0], ==, 1);
        g_assert_cmpmem(plain, sizeof(plain), with, sizeof(with));

        /* Where that cannot be, at least what the ABI promises. */
        entry_registers(NULL, ENTRY, plain);
        entry_registers(NO_OPTIONS, ENTRY, with);
        g_assert_cmpuint(with[0], ==, 1);
        g_assert_cmpuint(with[1 + RDX], ==, 0);
        g_assert_cmpuint(with[1 + RBP], ==, 0);
        g_assert_cmpuint(with[1 + RSP], ==, plain[1 + RSP]);
        g_assert_cmpuint(with[1 + FLAGS], ==, plain[1 + FLAGS]);
}

int main(int argc, char *argv[])
{
        start_init(&argc, &argv);
        g_test_add_func("/process/plain", test_plain);
        g_test_add_func("/process/signals", test_signals);
        g_test_add_func("/process/files", test_files);
        g_test_add_func("/process/rest", test_rest);
        g_test_add_func("/process/terminal", test_terminal);
        g_test_add_func("/process/end", test_end);
        g_test_add_func("/process/first-process", test_first_process);
        g_test_add_func("/process/subreaper", test_subreaper);
        g_test_add_func("/process/failed-exec", test_failed_exec);
        g_test_add_func("/process/environment", test_environment);
        g_test_add_func("/process/entry", test_entry);
        return start_end(g_test_run());
}
