/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "shared/macro.h"

/* The processes of a proc file system, and proof of who they are.
 *
 * A pid is a number that the kernel gives away again. What names a process here is an open
 * directory /proc/PID: every file below it belongs to that very process and answers ESRCH once it
 * is gone, whoever owns the number now. The pidfd beside it can be polled for the end. */

/* Longest comm plus the end, TASK_COMM_LEN (proc(5)); a kernel thread's may be longer and is cut. */
#define MM_COMM_MAX 64U

/* An inode in its file system; of namespaces and files alike. All zero: not known. */
struct mm_file_id {
        dev_t dev;
        ino_t ino;
};

struct mm_process {
        pid_t pid;
        pid_t parent;
        uint64_t start_ticks; /* clock ticks from boot to start, field 22 of /proc/PID/stat */
        int dir_fd;           /* /proc/PID; owned */
        int pid_fd;           /* pidfd_open(2), owned; negative in a captured tree */

        uid_t ruid, euid, suid, fsuid;
        uint64_t cap_effective, cap_permitted; /* bits as in capabilities(7) */
        struct mm_file_id user_ns, pid_ns, mnt_ns;

        char comm[MM_COMM_MAX];   /* as it is, any byte but NUL */
        char *exe;                /* target of /proc/PID/exe without " (deleted)"; NULL: none; owned */
        struct mm_file_id exe_id; /* of the file itself, wherever it is mounted */
        bool exe_deleted;
        char *cgroup; /* path in the v2 hierarchy, "/" at its root; NULL if the kernel has none; owned */

        uint64_t rss_anon_bytes; /* RssAnon of status: private memory in RAM */
        pid_t tracer; /* 0: nobody */
        char state;      /* letter of /proc/PID/stat, 'T' stopped, 'Z' zombie, ... */
        bool kernel_thread;
        /* As far as it shows: files of a process that must not be dumped belong to root
         * (proc(5)), which says nothing of root's own processes. */
        bool dumpable;
};

/* An empty one: zero would be a file descriptor. */
#define MM_PROCESS_NULL ((struct mm_process){ .dir_fd = -EBADF, .pid_fd = -EBADF })

/* Opens process @pid below @proc_fd, a directory like /proc, and reads what it says of itself.
 * With @want_pidfd a pidfd is taken too and the two are made sure to be one process.
 * Namespaces and exe of a process that we may not look into stay unknown.
 * Returns 0 and *@ret, which mm_process_done() frees; -ESRCH if there is no such process, it ended
 * meanwhile or is a zombie; -EINVAL if @pid < 1 or a file is malformed; -EACCES, -EMFILE, -ENOMEM, ... */
int mm_process_open(int proc_fd, pid_t pid, bool want_pidfd, struct mm_process *ret);

/* The same, but only pid, file descriptors, the pidfd among them, and what stat says: for who only wants the
 * memory. */
int mm_process_open_briefly(int proc_fd, pid_t pid, struct mm_process *ret);

/* Closes and frees all that @p owns and leaves it empty. Takes NULL and half-built ones. */
void mm_process_done(struct mm_process *p);

/* 0 while @p is alive and not a zombie, else -ESRCH. Asked after each read of its files. */
int mm_process_verify(const struct mm_process *p);

/* The next pid of @proc_dir, an open /proc, in the order of the directory.
 * Returns 1 and *@ret_pid, 0 at the end, -errno. */
int mm_procfs_next(DIR *proc_dir, pid_t *ret_pid);

/* The component of cgroup path @cgroup below its slices, if it is a systemd unit (NAME.service,
 * .scope, .socket, .mount, .swap), unescaped as systemd escapes cgroup names (a leading "_").
 * Returns 0 and a new string, -ENXIO if there is none, -ENOMEM. systemd's CONTROL_GROUP_INTERFACE:
 * a unit that delegates names the directories below it as it likes, so only the outermost counts. */
int mm_cgroup_unit(const char *cgroup, char **ret);

/* Parsers of the single files, on text that need not end in NUL. 0 or -EINVAL, and then *@p is as
 * it was. mm_parse_stat() sets comm, state, parent, kernel_thread and start_ticks, mm_parse_status() the
 * rest that is a number. mm_parse_cgroup() gives NULL if there is no v2 hierarchy; -ENOMEM. */
int mm_parse_stat(const char *text, size_t size, struct mm_process *p);
int mm_parse_status(const char *text, size_t size, struct mm_process *p);
int mm_parse_cgroup(const char *text, size_t size, char **ret);

static inline bool mm_file_id_equal(const struct mm_file_id *a, const struct mm_file_id *b)
{
        return a->dev == b->dev && a->ino == b->ino;
}

static inline bool mm_file_id_known(const struct mm_file_id *a)
{
        return a->dev != 0 || a->ino != 0;
}
