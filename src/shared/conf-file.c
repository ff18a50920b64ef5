/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <limits.h>

#include "config.h"
#include "shared/conf-file.h"
#include "shared/log.h"

/* Far above any sensible file, far below what would hurt to hold in memory. */
#define FILE_BYTES_MAX (1024U * 1024U)
#define MAIN_NAME "mergememd.conf"
#define DROP_INS_NAME MAIN_NAME ".d"
#define SUFFIX ".conf"

/* By rank: what lies in one masks what has the same name in those behind it. */
static const char *const directories[] = {
        MERGEMEM_SYSCONFDIR,
        "/run/mergemem",
        "/usr/local/lib/mergemem",
        MERGEMEM_VENDORDIR,
};

struct drop_in {
        char *path;
        const char *name; /* its last part */
};

struct drop_ins {
        struct drop_in items[CONF_DROP_INS_MAX];
        size_t n;
};

static void drop_ins_done(struct drop_ins *d)
{
        for (size_t i = 0; i < d->n; i++)
                free(d->items[i].path);
}

/* All paths are absolute in messages, and looked up from @root_fd. */
static const char *below_root(int root_fd, const char *path)
{
        return root_fd == AT_FDCWD ? path : path + strspn(path, "/");
}

static int read_file(int root_fd, const char *path, char **ret, size_t *ret_size)
{
        _cleanup_(closep) int fd = -EBADF;
        _cleanup_(freep) char *text = NULL;
        size_t size = 0;

        fd = openat(root_fd, below_root(root_fd, path), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        text = malloc(FILE_BYTES_MAX + 1);
        if (!text)
                return -ENOMEM;

        for (;;) {
                ssize_t n = read(fd, text + size, FILE_BYTES_MAX + 1 - size);

                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                size += (size_t) n;
                if (size > FILE_BYTES_MAX)
                        return -EFBIG;
        }
        *ret = TAKE_PTR(text);
        *ret_size = size;
        return 0;
}

/* Everything but -ENOENT has been logged. */
static int load_one(int root_fd, const char *path, const struct conf_overlay *overlay, struct conf *c)
{
        _cleanup_(freep) char *text = NULL;
        size_t size = 0;
        int r;

        if (overlay && streq(path, overlay->path))
                return conf_parse(path, overlay->text, strlen(overlay->text), c);
        r = read_file(root_fd, path, &text, &size);
        if (r == -ENOENT)
                return r;
        if (r == -EFBIG)
                return log_error_errno(r, "%s: larger than 1 MiB; that is no configuration file", path);
        if (r < 0)
                return log_error_errno(r, "%s: cannot be read: %m", path);
        return conf_parse(path, text, size, c);
}

static bool is_drop_in(const char *name)
{
        size_t n = strlen(name);

        return name[0] != '.' && n > strlen(SUFFIX) && streq(name + n - strlen(SUFFIX), SUFFIX);
}

/* The first of a name counts. */
static int add_drop_in(struct drop_ins *d, const char *directory, const char *name)
{
        char *path;

        for (size_t i = 0; i < d->n; i++)
                if (streq(d->items[i].name, name))
                        return 0;
        if (d->n == CONF_DROP_INS_MAX)
                return log_error_errno(-E2BIG, "%s: more than %u drop-ins", directory, CONF_DROP_INS_MAX);
        if (asprintf(&path, "%s/%s", directory, name) < 0)
                return log_oom();
        d->items[d->n++] = (struct drop_in) { path, path + strlen(directory) + 1 };
        return 0;
}

/* Whether it is a drop-in of @directory. */
static bool lies_in(const struct conf_overlay *overlay, const char *directory)
{
        size_t n = strlen(directory);

        return strncmp(overlay->path, directory, n) == 0 && strrchr(overlay->path, '/') == overlay->path + n;
}

static int find_drop_ins(int root_fd, const char *directory, const struct conf_overlay *overlay,
                         struct drop_ins *d)
{
        const char *skipped = overlay && lies_in(overlay, directory) ? overlay->path + strlen(directory) + 1
                                                                     : NULL;
        _cleanup_(closedirp) DIR *dir = NULL;
        int fd, r;

        if (skipped && overlay->text) {
                r = add_drop_in(d, directory, skipped);
                if (r < 0)
                        return r;
        }
        fd = openat(root_fd, below_root(root_fd, directory), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT)
                return 0;
        if (fd < 0)
                return log_error_errno(-errno, "%s: cannot be read: %m", directory);
        dir = fdopendir(fd);
        if (!dir) {
                safe_close(fd);
                return log_oom();
        }
        for (;;) {
                const struct dirent *entry;

                errno = 0;
                entry = readdir(dir);
                if (!entry)
                        return errno ? log_error_errno(-errno, "%s: cannot be read: %m", directory) : 0;
                if (!is_drop_in(entry->d_name) || (skipped && streq(entry->d_name, skipped)))
                        continue;
                r = add_drop_in(d, directory, entry->d_name);
                if (r < 0)
                        return r;
        }
}

static int compare_names(const void *a, const void *b)
{
        const struct drop_in *x = a, *y = b;

        return strcmp(x->name, y->name);
}

static int load_drop_ins(int root_fd, struct drop_ins *d, const struct conf_overlay *overlay, struct conf *c)
{
        qsort(d->items, d->n, sizeof(d->items[0]), compare_names);
        for (size_t i = 0; i < d->n; i++) {
                int r = load_one(root_fd, d->items[i].path, overlay, c);

                if (r == -ENOENT)
                        log_warning("%s: leads nowhere and is ignored", d->items[i].path);
                else if (r < 0)
                        return r;
        }
        return conf_check(c);
}

int conf_load_file(const char *path, const struct conf_overlay *overlay, struct conf *ret)
{
        _cleanup_(drop_ins_done) struct drop_ins drop_ins = {};
        _cleanup_(conf_done) struct conf c = {};
        _cleanup_(freep) char *directory = NULL;
        int r;

        if (conf_init(&c) < 0 || asprintf(&directory, "%s.d", path) < 0)
                return log_oom();
        r = load_one(AT_FDCWD, path, NULL, &c);
        if (r == -ENOENT)
                return log_error_errno(r, "%s: %m", path);
        if (r >= 0)
                r = find_drop_ins(AT_FDCWD, directory, overlay, &drop_ins);
        if (r >= 0)
                r = load_drop_ins(AT_FDCWD, &drop_ins, overlay, &c);
        if (r < 0)
                return r;
        *ret = TAKE_GENERIC(c, (struct conf) {});
        return 0;
}

int conf_load(int root_fd, const struct conf_overlay *overlay, struct conf *ret)
{
        _cleanup_(drop_ins_done) struct drop_ins drop_ins = {};
        _cleanup_(conf_done) struct conf c = {};
        char path[PATH_MAX];
        int r = -ENOENT;

        if (conf_init(&c) < 0)
                return log_oom();
        for (size_t i = 0; i < ELEMENTSOF(directories) && r == -ENOENT; i++) {
                snprintf(path, sizeof(path), "%s/" MAIN_NAME, directories[i]);
                r = load_one(root_fd, path, NULL, &c);
        }
        if (r == -ENOENT)
                r = 0;
        for (size_t i = 0; i < ELEMENTSOF(directories) && r >= 0; i++) {
                snprintf(path, sizeof(path), "%s/" DROP_INS_NAME, directories[i]);
                r = find_drop_ins(root_fd, path, overlay, &drop_ins);
        }
        if (r >= 0)
                r = load_drop_ins(root_fd, &drop_ins, overlay, &c);
        if (r < 0)
                return r;
        *ret = TAKE_GENERIC(c, (struct conf) {});
        return 0;
}

char *conf_rule_path(const char *main_path, const char *name)
{
        char *path;

        if (asprintf(&path, "%s.d/50-rule-%s" SUFFIX, main_path ?: MERGEMEM_SYSCONFDIR "/" MAIN_NAME,
                     name) < 0)
                return NULL;
        return path;
}
