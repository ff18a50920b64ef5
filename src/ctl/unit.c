/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/unit.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "shared/log.h"

/* Far above any sensible file. */
#define FILE_BYTES_MAX (1024U * 1024U)

#define SUFFIX ".service"
#define NAME_MAX_ 255U

int unit_root_open(const char *path, struct unit_root *ret)
{
        int fd = open(path ?: "/", O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return log_error_errno(-errno, "%s: %m", path ?: "/");
        *ret = (struct unit_root) { .path = path && !streq(path, "/") ? path : "", .fd = fd };
        return 0;
}

void unit_root_done(struct unit_root *root)
{
        root->fd = safe_close(root->fd);
}

int unit_root_open_file(const struct unit_root *root, const char *path, int flags)
{
        const struct open_how how = {
                .flags = (uint64_t) (flags | O_CLOEXEC), .resolve = RESOLVE_IN_ROOT
        };
        int fd = (int) syscall(SYS_openat2, root->fd, path, &how, sizeof(how));

        return fd < 0 ? -errno : fd;
}

bool unit_name_is_service(const char *name)
{
        static const char characters[] =
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.-@\\";
        size_t n = strlen(name), suffix = strlen(SUFFIX);

        return n > suffix && n <= NAME_MAX_ && name[strspn(name, characters)] == '\0' && name[0] != '@' &&
               streq(name + n - suffix, SUFFIX);
}

bool unit_name_is_template(const char *name)
{
        const char *at = strchr(name, '@');

        return at && streq(at + 1, SUFFIX);
}

void unit_done(struct unit *u)
{
        settings_done(&u->settings);
        for (size_t i = 0; i < u->n_files; i++)
                free(u->files[i]);
        free(u->files);
        free(u->name);
        *u = (struct unit) {};
}

static int read_file(const struct unit_root *root, const char *path, struct settings *s)
{
        _cleanup_(closep) int fd = unit_root_open_file(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
        _cleanup_(freep) char *text = NULL;
        struct stat st;
        size_t size = 0;

        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return 0;
        if (st.st_size > FILE_BYTES_MAX)
                return -EFBIG;
        text = malloc(FILE_BYTES_MAX);
        if (!text)
                return -ENOMEM;
        for (ssize_t n; size < FILE_BYTES_MAX && (n = read(fd, text + size, FILE_BYTES_MAX - size)) != 0;) {
                if (n < 0)
                        return -errno;
                size += (size_t) n;
        }
        return unit_parse(path, text, size, s);
}

static int log_not_found(const struct unit_root *root, const char *name, int error)
{
        if (error == -ENOENT)
                return log_error_errno(error, "There is no file of a unit %s%s%s.", name,
                                       *root->path ? " in " : "", root->path);
        if (error == -ESTALE)
                return log_error_errno(error, "The unit %s is masked: it cannot be started.", name);
        return log_error_errno(error, "Cannot find the files of the unit %s: %m", name);
}

int unit_read(const struct unit_root *root, const char *name, const char *ignored, struct unit *ret)
{
        _cleanup_(unit_paths_done) struct unit_paths p = {};
        _cleanup_(unit_done) struct unit u = {};
        int r;

        r = unit_find(root, name, ignored, &p);
        if (r < 0)
                return log_not_found(root, name, r);
        u.name = TAKE_PTR(p.name);
        u.files = TAKE_PTR(p.items);
        u.n_files = TAKE_GENERIC(p.n, 0);
        for (size_t i = 0; i < u.n_files; i++) {
                r = read_file(root, u.files[i], &u.settings);
                /* A drop-in that leads nowhere, or to /dev/null, takes others of its name away. */
                if (r < 0 && (i == 0 || r != -ENOENT))
                        return log_error_errno(r, "%s%s: cannot be read: %m", root->path, u.files[i]);
        }
        *ret = TAKE_GENERIC(u, (struct unit) {});
        return 0;
}

bool unit_setting_is_after(const struct unit *u, const struct conf_setting *s, const char *name)
{
        return s->origin.file != u->files[0] && strcmp(strrchr(s->origin.file, '/') + 1, name) > 0;
}

const char *unit_get(const struct unit *u, const char *section, const char *key)
{
        const struct conf_setting *s = NULL;
        const char *value = "";

        while ((s = settings_next(&u->settings, section, key, s)))
                value = s->value;
        return value;
}
