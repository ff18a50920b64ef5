/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <glib.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lib/procfs.h"
#include "test-util.h"

/* Real processes. */

static void open_process(pid_t pid, struct mm_process *ret)
{
        _cleanup_(closep) int proc_fd = tree_open("/proc");

        g_assert_cmpint(mm_process_open(proc_fd, pid, true, ret), ==, 0);
}

static void check_id(const struct mm_file_id *id, const char *path)
{
        struct stat st;

        g_assert_cmpint(stat(path, &st), ==, 0);
        g_assert_cmpuint(id->dev, ==, st.st_dev);
        g_assert_cmpuint(id->ino, ==, st.st_ino);
}

static void test_self(void)
{
        _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;
        g_autofree char *exe = g_file_read_link("/proc/self/exe", NULL);
        uid_t ruid, euid, suid;

        open_process(getpid(), &p);
        g_assert_cmpint(getresuid(&ruid, &euid, &suid), ==, 0);
        g_assert_cmpuint(p.ruid, ==, ruid);
        g_assert_cmpuint(p.euid, ==, euid);
        g_assert_cmpuint(p.suid, ==, suid);
        g_assert_cmpuint(p.fsuid, ==, euid);
        g_assert_cmpstr(p.exe, ==, exe);
        g_assert_false(p.exe_deleted);
        check_id(&p.exe_id, exe);
        check_id(&p.user_ns, "/proc/self/ns/user");
        check_id(&p.pid_ns, "/proc/self/ns/pid");
        check_id(&p.mnt_ns, "/proc/self/ns/mnt");
        g_assert_cmpint(p.state, ==, 'R');
        g_assert_true(p.dumpable);
        g_assert_false(p.kernel_thread);
        g_assert_cmpuint(p.start_ticks, >, 0);
        g_assert_cmpuint(p.rss_anon_bytes, >, 0);
        g_assert_cmpint(mm_process_verify(&p), ==, 0);
}

static void *wait_in_thread(void *userdata)
{
        for (;;)
                pause();
        return NULL;
}

static void become_special(void *userdata)
{
        size_t size = 32 * 1024 * 1024;
        pthread_t id;
        char *memory;

        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
                _exit(1);
        memset(memory, 1, size);
        if (pthread_create(&id, NULL, wait_in_thread, NULL) != 0 ||
            pthread_create(&id, NULL, wait_in_thread, NULL) != 0 || prctl(PR_SET_NAME, "a) S 1 (\n") < 0)
                _exit(1);
}

static void test_child(void)
{
        _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;
        pid_t pid;
        int status;

        pid = child_start(become_special, NULL);
        g_assert_cmpint(ptrace(PTRACE_SEIZE, pid, NULL, NULL), ==, 0);
        open_process(pid, &p);
        g_assert_cmpint(p.pid, ==, pid);
        g_assert_cmpstr(p.comm, ==, "a) S 1 (\n");
        g_assert_cmpint(p.tracer, ==, getpid());
        g_assert_cmpuint(p.rss_anon_bytes, >=, 32 * 1024 * 1024);
        g_assert_cmpuint(p.rss_anon_bytes, <, 1024 * 1024 * 1024);
        g_assert_cmpint(ptrace(PTRACE_DETACH, pid, NULL, NULL), ==, -1); /* it runs */
        child_make_zombie(pid);
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
}

static void test_stopped(void)
{
        _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;
        siginfo_t info;
        pid_t pid;

        pid = child_start(NULL, NULL);
        g_assert_cmpint(kill(pid, SIGSTOP), ==, 0);
        g_assert_cmpint(waitid(P_PID, (id_t)pid, &info, WSTOPPED), ==, 0);
        open_process(pid, &p);
        g_assert_cmpint(p.state, ==, 'T');
        g_assert_cmpint(p.tracer, ==, 0);
        g_assert_cmpint(mm_process_verify(&p), ==, 0);
        child_kill(pid);
}

static void become_user(void *dumpable)
{
        if (geteuid() == 0 && setresuid(65534, 65533, 65532) < 0)
                _exit(1);
        if (prctl(PR_SET_DUMPABLE, *(int *)dumpable) < 0)
                _exit(1);
}

static void test_dumpable(void)
{
        for (int dumpable = 0; dumpable < 2; dumpable++) {
                _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;
                pid_t pid = child_start(become_user, &dumpable);

                open_process(pid, &p);
                g_assert_cmpint(p.dumpable, ==, dumpable);
                if (geteuid() == 0) {
                        g_assert_cmpuint(p.ruid, ==, 65534);
                        g_assert_cmpuint(p.euid, ==, 65533);
                        g_assert_cmpuint(p.suid, ==, 65532);
                        g_assert_cmpuint(p.fsuid, ==, 65533);
                        g_assert_cmphex(p.cap_effective, ==, 0);
                }
                child_kill(pid);
        }
}

static void test_exe_deleted(void)
{
        _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;
        char *tree = tree_new();
        g_autofree char *copy = g_build_filename(tree, "odd\nname", NULL), *text = NULL;
        struct target t;
        struct stat st;
        gsize size;

        g_assert_true(g_file_get_contents(TEST_TARGET, &text, &size, NULL));
        g_assert_true(g_file_set_contents_full(copy, text, (gssize)size, G_FILE_SET_CONTENTS_NONE, 0755,
                                               NULL));
        g_assert_cmpint(stat(copy, &st), ==, 0);
        target_start(&t, copy, (const char *const[]){ "wait", NULL });
        open_process(t.pid, &p);
        g_assert_cmpstr(p.exe, ==, copy);
        g_assert_false(p.exe_deleted);
        g_assert_cmpuint(p.exe_id.ino, ==, st.st_ino);
        mm_process_done(&p);

        g_assert_cmpint(unlink(copy), ==, 0);
        open_process(t.pid, &p);
        g_assert_cmpstr(p.exe, ==, copy);
        g_assert_true(p.exe_deleted);
        g_assert_cmpuint(p.exe_id.ino, ==, st.st_ino);
        target_stop(&t);
        tree_free(tree);
}

static void test_end(void)
{
        _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL, q = MM_PROCESS_NULL;
        _cleanup_(closep) int proc_fd = tree_open("/proc");
        struct pollfd end = { .events = POLLIN };
        pid_t pid;

        pid = child_start(NULL, NULL);
        open_process(pid, &p);
        g_assert_cmpint(mm_process_open(proc_fd, pid, false, &q), ==, 0);
        end.fd = p.pid_fd;
        g_assert_cmpint(poll(&end, 1, 0), ==, 0);

        child_make_zombie(pid);
        g_assert_cmpint(poll(&end, 1, 0), ==, 1);
        g_assert_cmpint(mm_process_verify(&p), ==, -ESRCH);
        g_assert_cmpint(mm_process_verify(&q), ==, -ESRCH);
        g_assert_cmpint(mm_process_open(proc_fd, pid, true, &p), ==, -ESRCH);

        child_kill(pid);
        g_assert_cmpint(mm_process_verify(&p), ==, -ESRCH);
        g_assert_cmpint(mm_process_verify(&q), ==, -ESRCH);
        g_assert_cmpint(openat(p.dir_fd, "stat", O_RDONLY), ==, -1);
        g_assert_cmpint(errno, ==, ESRCH);
        g_assert_cmpint(mm_process_open(proc_fd, pid, true, &p), ==, -ESRCH);
}

/* The number of a thread is no process. */
static void test_thread(void)
{
        _cleanup_(closep) int proc_fd = tree_open("/proc");
        struct mm_process p;
        g_autofree char *tasks = NULL;
        g_autoptr(GDir) dir = NULL;
        const char *name;
        unsigned n = 0;
        pid_t pid;

        pid = child_start(become_special, NULL);
        tasks = g_strdup_printf("/proc/%d/task", pid);
        dir = g_dir_open(tasks, 0, NULL);
        while ((name = g_dir_read_name(dir)))
                if (atoi(name) != pid) {
                        g_assert_cmpint(mm_process_open(proc_fd, atoi(name), true, &p), ==, -ESRCH);
                        n++;
                }
        g_assert_cmpuint(n, ==, 2);
        child_kill(pid);
}

static pid_t clone_as(pid_t pid)
{
        struct clone_args arguments = {
                .exit_signal = SIGCHLD,
                .set_tid = (uint64_t)(uintptr_t)&pid,
                .set_tid_size = 1,
        };
        pid_t child = (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));

        if (child == 0)
                for (;;)
                        pause();
        return child;
}

/* In a PID namespace of its own, where numbers can be chosen: what follows is init's. */
static int reuse(void)
{
        struct mm_process first, second;
        struct stat a, b;
        int proc_fd;

        if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("proc", "/proc", "proc", 0, NULL) < 0)
                return 2;
        proc_fd = open("/proc", O_RDONLY | O_DIRECTORY);

        if (clone_as(100) != 100 || mm_process_open(proc_fd, 100, true, &first) < 0)
                return 3;
        if (kill(100, SIGKILL) < 0 || waitpid(100, NULL, 0) != 100)
                return 4;
        if (clone_as(100) != 100 || mm_process_open(proc_fd, 100, true, &second) < 0)
                return 5;

        /* Two processes of one number. */
        if (mm_process_verify(&first) != -ESRCH || mm_process_verify(&second) != 0)
                return 6;
        if (openat(first.dir_fd, "stat", O_RDONLY) >= 0 || errno != ESRCH)
                return 7;
        if (fstat(first.dir_fd, &a) < 0 || fstat(second.dir_fd, &b) < 0 || a.st_ino == b.st_ino)
                return 8;
        close(first.pid_fd);
        first.pid_fd = -EBADF;
        if (mm_process_verify(&first) != -ESRCH)
                return 9;
        mm_process_done(&first);
        mm_process_done(&second);
        return 0;
}

static void test_reuse(void)
{
        int status;
        pid_t pid;

        pid = fork();
        g_assert_cmpint(pid, >=, 0);
        if (pid == 0) {
                pid_t init;

                if (unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS) < 0)
                        _exit(1);
                init = fork();
                if (init == 0)
                        _exit(reuse());
                if (init < 0 || waitpid(init, &status, 0) != init || !WIFEXITED(status))
                        _exit(1);
                _exit(WEXITSTATUS(status));
        }
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        g_assert_true(WIFEXITED(status));
        g_assert_cmpint(WEXITSTATUS(status), ==, 0);
}

static void test_list(void)
{
        _cleanup_(closedirp) DIR *dir = opendir("/proc");
        bool found = false;
        unsigned n = 0;
        pid_t pid;
        int r;

        g_assert_nonnull(dir);
        for (;;) {
                struct mm_process p;

                r = mm_procfs_next(dir, &pid);
                if (r <= 0)
                        break;
                found = found || pid == getpid();
                r = mm_process_open(dirfd(dir), pid, true, &p);
                if (r == -ESRCH)
                        continue;
                g_assert_cmpint(r, ==, 0);
                n++;
                mm_process_done(&p);
        }
        g_assert_cmpint(r, ==, 0);
        g_assert_true(found);
        g_assert_cmpuint(n, >, 1);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/procfs-real/self", test_self);
        g_test_add_func("/procfs-real/child", test_child);
        g_test_add_func("/procfs-real/stopped", test_stopped);
        g_test_add_func("/procfs-real/dumpable", test_dumpable);
        g_test_add_func("/procfs-real/exe-deleted", test_exe_deleted);
        g_test_add_func("/procfs-real/end", test_end);
        g_test_add_func("/procfs-real/thread", test_thread);
        g_test_add_func("/procfs-real/reuse", test_reuse);
        g_test_add_func("/procfs-real/list", test_list);
        return g_test_run();
}
