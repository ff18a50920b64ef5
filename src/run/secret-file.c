/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <stdint.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "run/secret.h"

/* No group is called so: "+" is in no name. */
#define NEW_PREFIX "+new-"
#define NEW_NAME_MAX 64U

/* "." and ".." are names of groups too. */
static void file_name(const char *group, char ret[LAYOUT_NAME_MAX + 2])
{
        bool dots = streq(group, ".") || streq(group, "..");

        sprintf(ret, "%s%s", dots ? "+" : "", group);
}

/* Opens directory @name in @at, which is made if need be. @forbidden: bits of its mode. */
static int open_directory(int at, const char *name, uid_t uid, mode_t forbidden, struct refusal *f)
{
        _cleanup_(closep) int fd = -EBADF;
        struct stat st;

        fd = openat(at, name, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT) {
                if (mkdirat(at, name, 0700) < 0 && errno != EEXIST)
                        return refuse(f, -errno, "cannot make the directory %s for secrets: %m", name);
                fd = openat(at, name, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        }
        if (fd < 0 || fstat(fd, &st) < 0)
                return refuse(f, -errno, "cannot open the directory %s for secrets: %m", name);
        if (st.st_uid != uid || (st.st_mode & forbidden) != 0)
                return refuse(f, -EPERM, "the directory %s for secrets belongs to, or is open to, "
                              "other users", name);
        return TAKE_FD(fd);
}

static int open_groups(const char *directory, uid_t uid, struct refusal *f)
{
        _cleanup_(closep) int top = -EBADF, ours = -EBADF;
        struct stat st;

        top = open(directory, O_DIRECTORY | O_CLOEXEC);
        if (top < 0 || fstat(top, &st) < 0)
                return refuse(f, -errno, "cannot open %s for secrets: %m", directory);
        if ((st.st_uid != uid && st.st_uid != 0) || (st.st_mode & 022) != 0)
                return refuse(f, -EPERM, "no place for secrets: other users may write to %s", directory);
        ours = open_directory(top, "mergemem", uid, 022, f);
        return ours < 0 ? ours : open_directory(ours, "groups", uid, 077, f);
}

/* 0; -ENOENT: there is none yet. */
static int read_secret(int groups, const char *name, uid_t uid, uint8_t bytes[LAYOUT_SECRET_BYTES],
                       struct refusal *f)
{
        _cleanup_(closep) int fd = -EBADF;
        struct stat st;

        fd = openat(groups, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return refuse(f, -errno, "cannot read the secret of the group %s: %m", name);
        if (!S_ISREG(st.st_mode) || st.st_uid != uid || (st.st_mode & 077) != 0)
                return refuse(f, -EPERM, "the secret of the group %s belongs to, or is open to, other users",
                              name);
        if (read(fd, bytes, LAYOUT_SECRET_BYTES) != LAYOUT_SECRET_BYTES || st.st_size != LAYOUT_SECRET_BYTES)
                return refuse(f, -EINVAL, "the secret of the group %s is damaged: remove it", name);
        return 0;
}

/* Others may draw at the same time: the first one holds. */
static int draw(int groups, const char *name, struct refusal *f)
{
        _cleanup_(closep) int fd = -EBADF;
        uint8_t bytes[LAYOUT_SECRET_BYTES];
        char fresh[NEW_NAME_MAX];
        uint64_t number;
        ssize_t n;
        int r;

        if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes) ||
            getrandom(&number, sizeof(number), 0) != sizeof(number))
                return refuse(f, -errno, "cannot draw a secret for the group %s: %m", name);
        sprintf(fresh, NEW_PREFIX "%016jx", (uintmax_t) number);

        fd = openat(groups, fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
                return refuse(f, -errno, "cannot keep a secret for the group %s: %m", name);
        n = write(fd, bytes, sizeof(bytes));
        if (n < 0)
                r = -errno;
        else if ((size_t) n < sizeof(bytes))
                r = -ENOSPC;
        else if (renameat2(groups, fresh, groups, name, RENAME_NOREPLACE) == 0)
                return 0;
        else
                r = errno == EEXIST ? 0 : -errno;
        unlinkat(groups, fresh, 0);
        return r < 0 ? refuse(f, r, "cannot keep a secret for the group %s: %m", name) : 0;
}

int secret_from_directory(const char *directory, uid_t uid, const char *group, struct secret *ret,
                          struct refusal *f)
{
        _cleanup_(closep) int groups = -EBADF;
        char name[LAYOUT_NAME_MAX + 2];
        int r;

        file_name(group, name);
        groups = open_groups(directory, uid, f);
        if (groups < 0)
                return groups;
        r = read_secret(groups, name, uid, ret->bytes, f);
        if (r == -ENOENT) {
                r = draw(groups, name, f);
                if (r >= 0)
                        r = read_secret(groups, name, uid, ret->bytes, f);
        }
        if (r < 0)
                return r;
        strcpy(ret->group, group);
        snprintf(ret->where, sizeof(ret->where), "%s/mergemem/groups", directory);
        return 0;
}
