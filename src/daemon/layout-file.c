/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <systemd/sd-id128.h>

#include "daemon/layout-text.h"
#include "lib/procfs.h"
#include "lib/text.h"
#include "shared/file.h"
#include "shared/log.h"
#include "shared/parse.h"

/* "123.damaged" */
#define FILE_NAME_BYTES 40U

static const char *name_of(char buffer[FILE_NAME_BYTES], uint64_t number, const char *suffix)
{
        (void) snprintf(buffer, FILE_NAME_BYTES, "%" PRIu64 "%s", number, suffix);
        return buffer;
}

int layout_save(const struct layouts *l, const struct layout *g)
{
        char name[FILE_NAME_BYTES], *text;
        sd_id128_t boot;
        size_t size;
        int r;

        if (l->dir_fd < 0)
                return -EBADF;
        r = sd_id128_get_boot(&boot);
        if (r < 0)
                return r;
        r = layout_format(g, &boot, l->processes, l->n_processes, &text, &size);
        if (r < 0)
                return r;
        /* Nothing of it has to outlast the machine. */
        r = file_replace(l->dir_fd, name_of(name, g->number, ""), text, size, 0600, false);
        explicit_bzero(text, size);
        free(text);
        return r;
}

void layout_remove(const struct layouts *l, const struct layout *g)
{
        char name[FILE_NAME_BYTES];

        (void) unlinkat(l->dir_fd, name_of(name, g->number, ""), 0);
}

static int open_directory(int state_fd)
{
        _cleanup_(closep) int fd = -EBADF;
        struct stat st;

        if (mkdirat(state_fd, LAYOUT_DIRECTORY, 0700) < 0 && errno != EEXIST)
                return -errno;
        fd = openat(state_fd, LAYOUT_DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (st.st_uid != geteuid())
                return -EPERM;
        if ((st.st_mode & 077) != 0 && fchmod(fd, 0700) < 0)
                return -errno;
        return TAKE_FD(fd);
}

/* -EBADMSG also for what others could have read or written. */
static int read_file(int dir_fd, const char *name, char **ret, size_t *ret_size)
{
        _cleanup_(freep) char *text = NULL;
        struct stat st;
        int r;

        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0 || st.st_nlink != 1)
                return -EBADMSG;
        r = mm_read_file(dir_fd, name, LAYOUT_TEXT_MAX / 16U, LAYOUT_TEXT_MAX, &text, ret_size);
        if (r < 0)
                return r == -E2BIG ? -EBADMSG : r;
        *ret = TAKE_PTR(text);
        return 0;
}

/* Of those that are written down, who still lives. */
static int load_processes(struct layouts *l, struct layout *g, const struct layout_process *processes,
                          size_t n, int proc_fd)
{
        for (size_t i = 0; i < n; i++) {
                _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;
                int r;

                r = mm_process_open(proc_fd, processes[i].pid, true, &p);
                if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
                        return r;
                if (r < 0 || p.start_ticks != processes[i].start_ticks)
                        continue;
                if (layouts_add_process(l, g, p.pid, p.start_ticks, TAKE_FD(p.pid_fd)) < 0)
                        g->forgetful = true;
        }
        return 0;
}

static int load_text(struct layouts *l, const char *text, size_t size, uint64_t number, int proc_fd)
{
        _cleanup_(freep) struct layout_process *processes = NULL;
        struct layout read = {}, *g;
        sd_id128_t boot;
        size_t n;
        int r;

        r = sd_id128_get_boot(&boot);
        if (r < 0)
                return r;
        r = layout_parse(text, size, &boot, &read, &processes, &n);
        if (r < 0)
                return r;
        read.number = number;
        r = l->n < LAYOUTS_MAX ? layouts_add(l, &read, &g) : -EBADMSG;
        explicit_bzero(read.secret, sizeof(read.secret));
        if (r < 0)
                return r == -EEXIST ? -EBADMSG : r;
        return load_processes(l, g, processes, n, proc_fd);
}

static int load_one(struct layouts *l, const char *name, uint64_t number, int proc_fd)
{
        char *text = NULL, aside[FILE_NAME_BYTES];
        size_t size = 0;
        int r;

        l->last_number = MAX(l->last_number, number);
        r = read_file(l->dir_fd, name, &text, &size);
        if (r >= 0) {
                r = load_text(l, text, size, number, proc_fd);
                explicit_bzero(text, size);
                free(text);
        }
        if (r == -ESTALE) /* of another boot */
                (void) unlinkat(l->dir_fd, name, 0);
        else if (r == -EBADMSG) {
                log_warning(LAYOUT_DIRECTORY "/%s is damaged, or not root's alone: it is set aside as %s, "
                            "and the layout of that group is drawn anew when it is asked for.",
                            name, name_of(aside, number, ".damaged"));
                (void) renameat(l->dir_fd, name, l->dir_fd, aside);
        } else if (r < 0)
                return r;
        return 0;
}

int layouts_load(struct layouts *l, int state_fd, int proc_fd)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        const struct dirent *entry;
        int fd, r = 0;

        fd = open_directory(state_fd);
        if (fd < 0)
                return fd;
        l->dir_fd = fd;
        fd = fcntl(l->dir_fd, F_DUPFD_CLOEXEC, 3);
        dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir) {
                r = -errno;
                safe_close(fd);
                return r;
        }
        while (r >= 0) {
                char name[FILE_NAME_BYTES];
                uint64_t number;

                errno = 0;
                entry = readdir(dir);
                if (!entry)
                        return -errno;
                if (parse_uint64(entry->d_name, &number) >= 0 && number > 0 && number < UINT64_MAX &&
                    streq(entry->d_name, name_of(name, number, "")))
                        r = load_one(l, name, number, proc_fd);
        }
        return r;
}
