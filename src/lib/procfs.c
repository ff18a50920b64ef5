/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/procfs.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "lib/text.h"

/* PF_KTHREAD of the kernel's include/linux/sched.h, in field 9 of stat for kernels whose status
 * has no Kthread: line (before 6.11). */
#define TASK_FLAG_KERNEL_THREAD 0x00200000U

/* status grows with the list of supplementary groups, of which there can be 65536. */
#define STATUS_MAX (1024U * 1024U)
/* At most 17 hierarchies and PATH_MAX for each. */
#define CGROUP_MAX (128U * 1024U)
#define STAT_MAX 4096U

static const char deleted_suffix[] = " (deleted)";

static size_t without_deleted(const char *path, size_t length)
{
        size_t n = sizeof(deleted_suffix) - 1;

        if (length > n && memcmp(path + length - n, deleted_suffix, n) == 0)
                return length - n;
        return length;
}

int mm_parse_stat(const char *text, size_t size, struct mm_process *p)
{
        const char *open = memchr(text, '(', size), *close = memrchr(text, ')', size);
        uint64_t flags = 0, start_ticks = 0, parent = 0;
        struct mm_text rest, field;
        size_t comm_length;
        char state = 0;
        unsigned i;

        /* comm may hold parentheses, blanks and newlines of its own: the last ")" ends it. */
        if (!open || !close || close < open)
                return -EINVAL;
        comm_length = MIN((size_t)(close - open - 1), (size_t)MM_COMM_MAX - 1);
        if (memchr(open + 1, '\0', comm_length))
                return -EINVAL;

        rest = (struct mm_text){ close + 1, text + size };
        if (!mm_text_skip(&rest, ' '))
                return -EINVAL;
        for (i = 3; i <= 22; i++) {
                if (!mm_text_until(&rest, ' ', &field))
                        return -EINVAL;
                if (i == 3) {
                        if (mm_text_size(&field) != 1)
                                return -EINVAL;
                        state = *field.at;
                } else if (i == 4 && !mm_text_number(&field, 10, &parent))
                        return -EINVAL;
                else if (i == 9 && !mm_text_number(&field, 10, &flags))
                        return -EINVAL;
                else if (i == 22 && !mm_text_number(&field, 10, &start_ticks))
                        return -EINVAL;
        }

        memcpy(p->comm, open + 1, comm_length);
        p->comm[comm_length] = '\0';
        p->state = state;
        p->parent = (pid_t) parent;
        p->kernel_thread = flags & TASK_FLAG_KERNEL_THREAD;
        p->start_ticks = start_ticks;
        return 0;
}

static bool take_number(struct mm_text *t, unsigned base, uint64_t max, uint64_t *ret)
{
        uint64_t value;

        mm_text_skip_all(t, '\t');
        mm_text_skip_all(t, ' ');
        if (!mm_text_number(t, base, &value) || value > max)
                return false;
        *ret = value;
        return true;
}

static bool take_kilobytes(struct mm_text *t, uint64_t *ret)
{
        uint64_t value;

        if (!take_number(t, 10, UINT64_MAX / 1024, &value))
                return false;
        *ret = value * 1024;
        return true;
}

int mm_parse_status(const char *text, size_t size, struct mm_process *p)
{
        uint64_t uids[4] = {}, permitted = 0, effective = 0, rss_anon = 0;
        uint64_t tracer = 0, kernel_thread = p->kernel_thread;
        struct mm_text rest = { text, text + size }, line;
        bool have_uids = false;
        size_t i;

        while (mm_text_until(&rest, '\n', &line)) {
                bool good = true;

                if (mm_text_prefix(&line, "Uid:")) {
                        for (i = 0; good && i < ELEMENTSOF(uids); i++)
                                good = take_number(&line, 10, UINT32_MAX, &uids[i]);
                        have_uids = good;
                } else if (mm_text_prefix(&line, "TracerPid:"))
                        good = take_number(&line, 10, INT_MAX, &tracer);
                else if (mm_text_prefix(&line, "Kthread:"))
                        good = take_number(&line, 10, 1, &kernel_thread);
                else if (mm_text_prefix(&line, "RssAnon:"))
                        good = take_kilobytes(&line, &rss_anon);
                else if (mm_text_prefix(&line, "CapPrm:"))
                        good = take_number(&line, 16, UINT64_MAX, &permitted);
                else if (mm_text_prefix(&line, "CapEff:"))
                        good = take_number(&line, 16, UINT64_MAX, &effective);
                if (!good)
                        return -EINVAL;
        }
        if (!have_uids)
                return -EINVAL;

        p->ruid = (uid_t)uids[0];
        p->euid = (uid_t)uids[1];
        p->suid = (uid_t)uids[2];
        p->fsuid = (uid_t)uids[3];
        p->cap_permitted = permitted;
        p->cap_effective = effective;
        p->rss_anon_bytes = rss_anon;
        p->tracer = (pid_t)tracer;
        p->kernel_thread = kernel_thread;
        return 0;
}

int mm_parse_cgroup(const char *text, size_t size, char **ret)
{
        struct mm_text rest = { text, text + size }, line;
        char *path = NULL;

        while (mm_text_until(&rest, '\n', &line)) {
                /* The unified hierarchy, beside others on a hybrid host. */
                if (!mm_text_prefix(&line, "0::"))
                        continue;
                if (line.at == line.end || *line.at != '/' || memchr(line.at, '\0', mm_text_size(&line)))
                        return -EINVAL;
                path = strndup(line.at, without_deleted(line.at, mm_text_size(&line)));
                if (!path)
                        return -ENOMEM;
                break;
        }
        *ret = path;
        return 0;
}

static bool is_unit(const char *name, size_t length)
{
        static const char *const suffixes[] = { ".service", ".scope", ".socket", ".mount", ".swap" };
        size_t i;

        for (i = 0; i < ELEMENTSOF(suffixes); i++) {
                size_t n = strlen(suffixes[i]);

                if (length > n && memcmp(name + length - n, suffixes[i], n) == 0)
                        return true;
        }
        return false;
}

int mm_cgroup_unit(const char *cgroup, char **ret)
{
        struct mm_text rest = { cgroup, cgroup + strlen(cgroup) }, name;

        while (mm_text_until(&rest, '/', &name)) {
                size_t length = mm_text_size(&name);
                char *unit;

                if (length == 0 || (length > 6 && memcmp(name.end - 6, ".slice", 6) == 0))
                        continue;
                (void) mm_text_skip(&name, '_');
                if (!is_unit(name.at, mm_text_size(&name)))
                        break;
                unit = strndup(name.at, mm_text_size(&name));
                if (!unit)
                        return -ENOMEM;
                *ret = unit;
                return 0;
        }
        return -ENXIO;
}

/* A file that is not there any more means that the process is not. */
static int read_process_file(int dir_fd, const char *name, size_t max, char **ret, size_t *ret_size)
{
        int r = mm_read_file(dir_fd, name, 4096, max, ret, ret_size);

        return r == -ENOENT ? -ESRCH : r;
}

static int read_stat(struct mm_process *p)
{
        _cleanup_(freep) char *text = NULL;
        size_t size;
        int r;

        r = read_process_file(p->dir_fd, "stat", STAT_MAX, &text, &size);
        if (r < 0)
                return r;
        r = mm_parse_stat(text, size, p);
        if (r < 0)
                return r;
        return p->state == 'Z' || p->state == 'X' ? -ESRCH : 0;
}

static int read_status(struct mm_process *p)
{
        _cleanup_(freep) char *text = NULL;
        struct stat st;
        size_t size;
        int r;

        r = read_process_file(p->dir_fd, "status", STATUS_MAX, &text, &size);
        if (r < 0)
                return r;
        r = mm_parse_status(text, size, p);
        if (r < 0)
                return r;

        /* Not of the directory: that one belongs to the effective uid in any case. */
        if (fstatat(p->dir_fd, "stat", &st, 0) < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        p->dumpable = st.st_uid == p->euid;
        return 0;
}

static int read_cgroup(struct mm_process *p)
{
        _cleanup_(freep) char *text = NULL;
        size_t size;
        int r;

        r = mm_read_file(p->dir_fd, "cgroup", 4096, CGROUP_MAX, &text, &size);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        return mm_parse_cgroup(text, size, &p->cgroup);
}

/* Follows the link, but asks no server: it may be dead, and the caller must not hang with it.
 * What may not be seen or is not there stays unknown. */
static int read_file_id(int dir_fd, const char *path, struct mm_file_id *ret)
{
        struct statx sx;

        if (statx(dir_fd, path, AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_INO, &sx) < 0)
                return errno == ESRCH || errno == ENOMEM ? -errno : 0;
        *ret = (struct mm_file_id){ makedev(sx.stx_dev_major, sx.stx_dev_minor), sx.stx_ino };
        return 0;
}

static int read_exe(struct mm_process *p)
{
        char path[PATH_MAX];
        size_t length;
        ssize_t n;

        n = readlinkat(p->dir_fd, "exe", path, sizeof(path));
        if (n < 0)
                return errno == ESRCH || errno == ENOMEM ? -errno : 0;
        length = without_deleted(path, (size_t)n);
        p->exe_deleted = length < (size_t)n;
        p->exe = strndup(path, length);
        if (!p->exe)
                return -ENOMEM;
        return read_file_id(p->dir_fd, "exe", &p->exe_id);
}

static int read_all(struct mm_process *p)
{
        int r;

        r = read_stat(p);
        if (r < 0)
                return r;
        r = read_status(p);
        if (r < 0)
                return r;
        r = read_cgroup(p);
        if (r < 0)
                return r;
        r = read_file_id(p->dir_fd, "ns/user", &p->user_ns);
        if (r < 0)
                return r;
        r = read_file_id(p->dir_fd, "ns/pid", &p->pid_ns);
        if (r < 0)
                return r;
        r = read_file_id(p->dir_fd, "ns/mnt", &p->mnt_ns);
        if (r < 0)
                return r;
        return p->kernel_thread ? 0 : read_exe(p);
}

static int process_open(int proc_fd, pid_t pid, bool want_pidfd, int (*read)(struct mm_process *p),
                        struct mm_process *ret)
{
        _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;
        char name[sizeof("2147483647")];
        int r;

        if (pid < 1)
                return -EINVAL;

        p.pid = pid;
        (void) snprintf(name, sizeof(name), "%d", pid);
        p.dir_fd = openat(proc_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (p.dir_fd < 0)
                return errno == ENOENT ? -ESRCH : -errno;

        /* That what the directory stands for is found alive after this proves that the number was
         * its own all the time, and so that the pidfd is its too. */
        if (want_pidfd) {
                p.pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
                if (p.pid_fd < 0) /* the number of a thread that leads no process */
                        return errno == EINVAL || errno == ENOENT ? -ESRCH : -errno;
        }
        r = read(&p);
        if (r < 0)
                return r;

        *ret = p;
        p = MM_PROCESS_NULL;
        return 0;
}

int mm_process_open(int proc_fd, pid_t pid, bool want_pidfd, struct mm_process *ret)
{
        return process_open(proc_fd, pid, want_pidfd, read_all, ret);
}

int mm_process_open_briefly(int proc_fd, pid_t pid, struct mm_process *ret)
{
        return process_open(proc_fd, pid, true, read_stat, ret);
}

void mm_process_done(struct mm_process *p)
{
        if (!p)
                return;
        safe_close(p->dir_fd);
        safe_close(p->pid_fd);
        free(p->exe);
        free(p->cgroup);
        *p = MM_PROCESS_NULL;
}

int mm_process_verify(const struct mm_process *p)
{
        struct mm_process now = { .dir_fd = p->dir_fd };
        struct pollfd end = { .fd = p->pid_fd, .events = POLLIN };

        /* Reading stat takes locks of the target; the pidfd answers for less. */
        if (p->pid_fd < 0)
                return read_stat(&now);
        if (poll(&end, 1, 0) < 0)
                return -errno;
        return end.revents ? -ESRCH : 0;
}

int mm_procfs_next(DIR *proc_dir, pid_t *ret_pid)
{
        struct dirent *entry;

        for (;;) {
                struct mm_text name;
                uint64_t pid;

                errno = 0;
                entry = readdir(proc_dir);
                if (!entry)
                        return -errno;

                name = (struct mm_text){ entry->d_name, entry->d_name + strlen(entry->d_name) };
                if (!mm_text_number(&name, 10, &pid) || name.at != name.end || pid < 1 || pid > INT_MAX)
                        continue;
                *ret_pid = (pid_t)pid;
                return 1;
        }
}
