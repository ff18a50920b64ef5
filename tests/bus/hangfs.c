/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hangfs.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <linux/fuse.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shared/macro.h"
#include "spawn.h"

#define FILE_NODE 2U
#define FILE_PAGES 64U
#define FILE_SIZE (FILE_PAGES * 4096U)

static void answer(int fd, const struct fuse_in_header *in, int error, const void *data, size_t size)
{
        struct fuse_out_header out = { .len = (uint32_t) (sizeof(out) + size),
                                       .error = error,
                                       .unique = in->unique };
        struct iovec parts[] = { { &out, sizeof(out) }, { (void *)data, size } };

        /* ENOENT: the caller was interrupted meanwhile. */
        if (writev(fd, parts, 2) < 0 && errno != ENOENT)
                _exit(1);
}

static struct fuse_attr attributes(uint64_t node)
{
        return (struct fuse_attr){
                .ino = node,
                .mode = node == FILE_NODE ? S_IFREG | 0444 : S_IFDIR | 0555,
                .nlink = 1,
                .size = node == FILE_NODE ? FILE_SIZE : 0,
                .blksize = 4096,
        };
}

static void serve_one(int fd, const struct fuse_in_header *in, int hung_fd)
{
        static bool failed[FILE_PAGES];
        bool *page;

        switch (in->opcode) {
        case FUSE_INIT:
                /* max_readahead stays 0: one read for each try. */
                answer(fd, in, 0,
                       &(struct fuse_init_out){ .major = FUSE_KERNEL_VERSION,
                                                .minor = FUSE_KERNEL_MINOR_VERSION,
                                                .max_write = 4096 },
                       sizeof(struct fuse_init_out));
                break;
        case FUSE_LOOKUP:
                if (streq((const char *)(in + 1), HANGFS_GONE))
                        break;
                if (streq((const char *)(in + 1), HANGFS_DENIED)) {
                        answer(fd, in, -EACCES, NULL, 0);
                        break;
                }
                answer(fd, in, 0,
                       &(struct fuse_entry_out){ .nodeid = FILE_NODE,
                                                 .attr_valid = 3600,
                                                 .entry_valid = 3600,
                                                 .attr = attributes(FILE_NODE) },
                       sizeof(struct fuse_entry_out));
                break;
        case FUSE_GETATTR:
                answer(fd, in, 0,
                       &(struct fuse_attr_out){ .attr_valid = 3600, .attr = attributes(in->nodeid) },
                       sizeof(struct fuse_attr_out));
                break;
        case FUSE_OPEN:
        case FUSE_OPENDIR:
                /* Else whoever opens it waits for the pages that hang. */
                answer(fd, in, 0, &(struct fuse_open_out){ .fh = 1, .open_flags = FOPEN_KEEP_CACHE },
                       sizeof(struct fuse_open_out));
                break;
        case FUSE_READ:
                page = &failed[((const struct fuse_read_in *)(in + 1))->offset / 4096U % FILE_PAGES];
                if (!*page)
                        answer(fd, in, -EIO, NULL, 0);
                else if (write(hung_fd, "!", 1) != 1)
                        _exit(1);
                *page = true;
                break;
        case FUSE_FORGET:
        case FUSE_BATCH_FORGET:
        case FUSE_INTERRUPT:
                break;
        case FUSE_ACCESS:
        case FUSE_FLUSH:
        case FUSE_RELEASE:
        case FUSE_RELEASEDIR:
                answer(fd, in, 0, NULL, 0);
                break;
        default:
                answer(fd, in, -ENOSYS, NULL, 0);
        }
}

static void serve(int fd, int hung_fd)
{
        static union {
                struct fuse_in_header in;
                char bytes[FUSE_MIN_READ_BUFFER + 4096];
        } request;

        for (;;) {
                ssize_t n = read(fd, &request, sizeof(request));

                if (n < (ssize_t)sizeof(request.in)) {
                        if (n < 0 && (errno == EINTR || errno == ENOENT))
                                continue;
                        _exit(0);
                }
                serve_one(fd, &request.in, hung_fd);
        }
}

void hangfs_start(struct hangfs *fs, const char *dir)
{
        int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC), hung[2];
        char *options = g_strdup_printf("fd=%d,rootmode=40555,user_id=0,group_id=0,allow_other", fd);
        pid_t parent = getpid();

        if (fd < 0 || mount("mergemem-test", dir, "fuse", MS_NOSUID | MS_NODEV, options) < 0)
                g_error("fuse on %s: %m", dir);
        g_free(options);
        g_assert_cmpint(pipe2(hung, O_CLOEXEC), ==, 0);
        fs->pid = fork();
        if (fs->pid == 0) {
                /* Only this process may hold the device: its end is what lets the others go. */
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (getppid() == parent)
                        serve(fd, hung[1]);
                _exit(0);
        }
        safe_close(fd);
        safe_close(hung[1]);
        fs->hung_fd = hung[0];
        fs->file = g_build_filename(dir, "page", NULL);
}

void hangfs_stop(struct hangfs *fs, const char *dir)
{
        spawn_kill(TAKE_GENERIC(fs->pid, 0));
        fs->hung_fd = safe_close(fs->hung_fd);
        umount2(dir, MNT_DETACH);
        g_free(fs->file);
        *fs = (struct hangfs){ .hung_fd = -EBADF };
}
