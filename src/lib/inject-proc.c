/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/inject-proc.h"

static int read_text(int dir_fd, const char *path, char *text, size_t size)
{
        _cleanup_(closep) int fd = -EBADF;
        ssize_t n;

        fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        n = read(fd, text, size - 1);
        if (n < 0)
                return -errno;
        text[n] = 0;
        return (int) n;
}

int mm_inject_proc_read_task(int process_fd, pid_t tid, const char *name, char text[MM_INJECT_TEXT_MAX])
{
        char path[64];
        int r;

        snprintf(path, sizeof(path), "task/%d/%s", tid, name);
        r = read_text(process_fd, path, text, MM_INJECT_TEXT_MAX);
        return r < 0 ? r : 0;
}

int mm_inject_proc_open_tasks(int process_fd, DIR **ret)
{
        int fd;
        DIR *dir;

        fd = openat(process_fd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        dir = fdopendir(fd);
        if (!dir) {
                safe_close(fd);
                return -ENOMEM;
        }
        *ret = dir;
        return 0;
}

/* What follows "@key:" at the start of a line, without blanks; NULL if there is no such line. */
static const char *status_field(const char *status, const char *key)
{
        size_t n = strlen(key);

        for (const char *p = status; p; p = strchr(p, '\n')) {
                p += *p == '\n';
                if (strncmp(p, key, n) == 0 && p[n] == ':')
                        return p + n + 1 + strspn(p + n + 1, " \t");
        }
        return NULL;
}

static uint64_t status_number(const char *status, const char *key, int base)
{
        const char *s = status_field(status, key);

        return s ? strtoull(s, NULL, base) : 0;
}

enum mm_inject_result mm_inject_judge_status(const char *status)
{
        const char *features = status_field(status, "x86_Thread_features");

        if (status_number(status, "TracerPid", 10) != 0)
                return MM_INJECT_TRACED;
        if (status_number(status, "Seccomp", 10) != 0)
                return MM_INJECT_SECCOMP;
        if (features && strncmp(features, "shstk", 5) == 0)
                return MM_INJECT_NO_PLACE;
        return MM_INJECT_OK;
}

bool mm_inject_signals_wait(const char *status)
{
        uint64_t waiting = status_number(status, "SigPnd", 16) | status_number(status, "ShdPnd", 16);

        return (waiting & ~status_number(status, "SigBlk", 16)) != 0;
}

bool mm_inject_auxv_is_64bit(const uint8_t *auxv, size_t size)
{
        /* In the vector of a 32-bit program two of its entries stand for one of ours, and AT_PAGESZ
         * is no type then. */
        for (size_t i = 0; i + sizeof(Elf64_auxv_t) <= size; i += sizeof(Elf64_auxv_t)) {
                Elf64_auxv_t a;

                memcpy(&a, auxv + i, sizeof(a));
                if (a.a_type == AT_PAGESZ)
                        return true;
                if (a.a_type == AT_NULL)
                        return false;
        }
        return false;
}

static enum mm_inject_result examine_bits(const struct mm_process *p, int *ret_error)
{
        _cleanup_(closep) int fd = -EBADF;
        uint8_t auxv[1024];
        ssize_t n;

        fd = openat(p->dir_fd, "auxv", O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
                *ret_error = -errno;
                return MM_INJECT_FAILED;
        }
        n = read(fd, auxv, sizeof(auxv));
        if (n <= 0)
                return MM_INJECT_GONE; /* its memory went first */
        return mm_inject_auxv_is_64bit(auxv, (size_t) n) ? MM_INJECT_OK : MM_INJECT_BITS;
}

static enum mm_inject_result examine_namespace(const struct mm_process *p, int *ret_error)
{
        struct stat ours, theirs;

        if (stat("/proc/self/ns/user", &ours) < 0) {
                *ret_error = -errno;
                return errno == ENOENT ? MM_INJECT_OK : MM_INJECT_FAILED; /* a kernel without them */
        }
        if (fstatat(p->dir_fd, "ns/user", &theirs, 0) < 0) {
                *ret_error = -errno;
                return MM_INJECT_FAILED;
        }
        return ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino ? MM_INJECT_OK
                                                                            : MM_INJECT_NAMESPACE;
}

/* A thread of a frozen cgroup would take the changed registers into its sleep. */
static bool is_frozen(const char *cgroup)
{
        static const char *const mounts[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

        for (size_t i = 0; cgroup && i < ELEMENTSOF(mounts); i++) {
                _cleanup_(freep) char *path = NULL;
                char text[256];

                if (asprintf(&path, "%s%s/cgroup.events", mounts[i], cgroup) < 0) {
                        path = NULL;
                        return false;
                }
                if (read_text(AT_FDCWD, path, text, sizeof(text)) >= 0)
                        return strstr(text, "frozen 1") != NULL;
        }
        return false;
}

static enum mm_inject_result examine_threads(const struct mm_process *p, int *ret_error)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        char text[MM_INJECT_TEXT_MAX];
        pid_t tid;
        int r;

        r = mm_inject_proc_open_tasks(p->dir_fd, &dir);
        while (r >= 0 && (r = mm_procfs_next(dir, &tid)) > 0) {
                enum mm_inject_result result;

                r = mm_inject_proc_read_task(p->dir_fd, tid, "status", text);
                if (r == -ESRCH || r == -ENOENT) { /* a thread may end, the others are still there */
                        r = 0;
                        continue;
                }
                if (r < 0)
                        break;
                result = mm_inject_judge_status(text);
                if (result != MM_INJECT_OK)
                        return result;
        }
        if (r >= 0)
                return MM_INJECT_OK;
        *ret_error = r;
        return r == -ESRCH ? MM_INJECT_GONE : MM_INJECT_FAILED;
}

enum mm_inject_result mm_inject_examine(const struct mm_process *p, int *ret_error)
{
        char text[MM_INJECT_TEXT_MAX];
        const char *state;
        enum mm_inject_result result;

        if (p->kernel_thread) {
                *ret_error = -EPERM;
                return MM_INJECT_FAILED;
        }
        if (mm_process_verify(p) < 0 || read_text(p->dir_fd, "status", text, sizeof(text)) < 0)
                return MM_INJECT_GONE;
        result = mm_inject_judge_status(text);
        if (result != MM_INJECT_OK)
                return result;
        state = status_field(text, "State");
        if (!state || *state == 'Z' || *state == 'X')
                return MM_INJECT_GONE;
        if (*state == 'T' || *state == 't')
                return MM_INJECT_STOPPED;

        result = examine_namespace(p, ret_error);
        if (result != MM_INJECT_OK)
                return result;
        result = examine_bits(p, ret_error);
        if (result != MM_INJECT_OK)
                return result;
        if (is_frozen(p->cgroup))
                return MM_INJECT_STOPPED;
        return examine_threads(p, ret_error);
}
