/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "ctl/unit.h"

/* By rank, as systemd.unit(5) has them for the system manager. */
static const char *const directories[] = {
        "/etc/systemd/system.control",
        "/run/systemd/system.control",
        "/run/systemd/transient",
        "/run/systemd/generator.early",
        "/etc/systemd/system",
        "/etc/systemd/system.attached",
        "/run/systemd/system",
        "/run/systemd/system.attached",
        "/run/systemd/generator",
        "/usr/local/lib/systemd/system",
        "/lib/systemd/system",
        "/usr/lib/systemd/system",
        "/run/systemd/generator.late",
};

/* A link may lead to a link. */
#define ALIAS_DEPTH 8U

#define SUFFIX ".service"

static int list_add(struct unit_paths *l, char *item)
{
        char **items;

        if (!item)
                return -ENOMEM;
        items = reallocarray(l->items, l->n + 1, sizeof(*items));
        if (!items) {
                free(item);
                return -ENOMEM;
        }
        l->items = items;
        items[l->n++] = item;
        return 0;
}

void unit_paths_done(struct unit_paths *p)
{
        for (size_t i = 0; i < p->n; i++)
                free(p->items[i]);
        free(p->items);
        free(p->name);
        *p = (struct unit_paths) {};
}

static const char *last_part(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

static char *join(const char *directory, const char *name, const char *suffix)
{
        char *path;

        return asprintf(&path, "%s/%s%s", directory, name, suffix) < 0 ? NULL : path;
}

/* "NAME@.service" of "NAME@INSTANCE.service", @name itself else. */
static char *template_of(const char *name)
{
        const char *at = strchr(name, '@');
        char *template;

        if (!at)
                return strdup(name);
        return asprintf(&template, "%.*s" SUFFIX, (int) (at + 1 - name), name) < 0 ? NULL : template;
}

/* What a link calls the unit: where it leads to a template, that with the instance of @name. */
static int name_linked(const char *name, const char *target, char **ret)
{
        const char *at = strchr(name, '@'), *linked = last_part(target);
        char *alias;

        if (at && unit_name_is_template(linked) && !unit_name_is_template(name)) {
                if (asprintf(&alias, "%.*s%s", (int) (strchr(linked, '@') + 1 - linked), linked, at + 1) < 0)
                        return -ENOMEM;
        } else {
                alias = strdup(linked);
                if (!alias)
                        return -ENOMEM;
        }
        *ret = alias;
        return 0;
}

/* 1 and what the link at @path leads to; 0 if it is none; -errno. */
static int read_link(const struct unit_root *root, const char *path, char ret[PATH_MAX])
{
        _cleanup_(closep) int fd = unit_root_open_file(root, path, O_PATH | O_NOFOLLOW);
        struct stat st;
        ssize_t n;

        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISLNK(st.st_mode))
                return 0;
        n = readlinkat(fd, "", ret, PATH_MAX - 1);
        if (n < 0)
                return -errno;
        ret[n] = '\0';
        return 1;
}

static bool is_missing(int error)
{
        return error == -ENOENT || error == -ENOTDIR;
}

/* Whether it is there: a file of nothing, and a link to /dev/null, are not even if they are. */
static int check_masked(const struct unit_root *root, const char *path)
{
        _cleanup_(closep) int fd = unit_root_open_file(root, path, O_PATH);
        struct stat st;

        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        return S_ISREG(st.st_mode) && st.st_size > 0 ? 0 : -ESTALE;
}

/* Whether a link leads to another unit, rather than to a file that lies elsewhere. */
static bool is_alias(const char *target)
{
        size_t n = (size_t) (last_part(target) - target);

        if (!unit_name_is_service(last_part(target)))
                return false;
        for (size_t i = 0; i < ELEMENTSOF(directories) && target[0] == '/'; i++)
                if (strlen(directories[i]) == n - 1 && strncmp(directories[i], target, n - 1) == 0)
                        return true;
        return target[0] != '/';
}

/* The unit's own file, in the directory that comes first; by its @name and nothing else. An alias gives
 * -EXDEV and *@ret_alias. */
static int find_by_name(const struct unit_root *root, const char *name, char **ret, char **ret_alias)
{
        for (size_t i = 0; i < ELEMENTSOF(directories); i++) {
                _cleanup_(freep) char *path = join(directories[i], name, ""), *alias = NULL;
                _cleanup_(freep) char *template = NULL;
                char target[PATH_MAX];
                int r;

                if (!path)
                        return -ENOMEM;
                r = read_link(root, path, target);
                if (is_missing(r))
                        continue;
                if (r < 0)
                        return r;
                if (r > 0 && streq(target, "/dev/null"))
                        return -ESTALE;
                if (r > 0 && is_alias(target)) {
                        r = name_linked(name, target, &alias);
                        template = template_of(name);
                        if (r < 0 || !template)
                                return -ENOMEM;
                        if (!streq(alias, name) && !streq(last_part(target), template)) {
                                *ret_alias = TAKE_PTR(alias);
                                return -EXDEV;
                        }
                }
                r = check_masked(root, path);
                if (r < 0)
                        return r;
                *ret = TAKE_PTR(path);
                return 0;
        }
        return -ENOENT;
}

static int find_own_file(const struct unit_root *root, struct unit_paths *p, struct unit_paths *aliases)
{
        for (unsigned depth = 0; depth < ALIAS_DEPTH; depth++) {
                _cleanup_(freep) char *path = NULL, *alias = NULL, *template = template_of(p->name);
                int r;

                if (!template)
                        return -ENOMEM;
                r = find_by_name(root, p->name, &path, &alias);
                if (r == -ENOENT && !streq(template, p->name)) {
                        _cleanup_(freep) char *linked = NULL;

                        r = find_by_name(root, template, &path, &linked);
                        if (r == -EXDEV && name_linked(p->name, linked, &alias) < 0)
                                return -ENOMEM;
                }
                if (r >= 0)
                        return list_add(p, TAKE_PTR(path));
                if (r != -EXDEV)
                        return r;
                r = list_add(aliases, TAKE_PTR(p->name));
                p->name = TAKE_PTR(alias);
                if (r < 0)
                        return r;
        }
        return -ELOOP;
}

/* What the link called @entry is to the unit @name: another name of it, if it leads there or to its
 * template. */
static int alias_of(const char *name, const char *template, const char *entry, const char *target,
                    char **ret)
{
        bool of_template = streq(last_part(target), template) && !streq(template, name);

        *ret = NULL;
        if (!is_alias(target) || (!streq(last_part(target), name) && !of_template))
                return 0;
        if (of_template && !unit_name_is_template(entry))
                return 0;
        return of_template ? name_linked(name, entry, ret) : (*ret = strdup(entry)) ? 0 : -ENOMEM;
}

/* Other names of the unit. */
static int find_aliases(const struct unit_root *root, const char *name, struct unit_paths *aliases)
{
        _cleanup_(freep) char *template = template_of(name);

        if (!template)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(directories); i++) {
                int fd = unit_root_open_file(root, directories[i], O_RDONLY | O_DIRECTORY), r = 0;
                _cleanup_(closedirp) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
                const struct dirent *entry;

                if (!dir && is_missing(fd))
                        continue;
                if (!dir) {
                        r = fd < 0 ? fd : -errno;
                        safe_close(fd);
                        return r;
                }
                while (r >= 0 && (entry = readdir(dir))) {
                        char target[PATH_MAX], *alias;
                        ssize_t n;

                        if (!unit_name_is_service(entry->d_name) || streq(entry->d_name, name))
                                continue;
                        n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
                        if (n < 0)
                                continue;
                        target[n] = '\0';
                        r = alias_of(name, template, entry->d_name, target, &alias);
                        if (r >= 0 && alias)
                                r = list_add(aliases, alias);
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_drop_in_directories(struct unit_paths *dirs, const char *directory, const char *name)
{
        _cleanup_(freep) char *template = template_of(name), *prefix = NULL, *shorter = NULL;
        char *dash;
        int r;

        r = list_add(dirs, join(directory, name, ".d"));
        if (r < 0 || !template)
                return r < 0 ? r : -ENOMEM;
        if (!streq(template, name)) {
                r = add_drop_in_directories(dirs, directory, template);
                if (r < 0)
                        return r;
        }
        /* "a-b-c.service" has those of "a-b-.service" and "a-.service" too. */
        prefix = strndup(name, strcspn(name, strchr(name, '@') ? "@" : "."));
        if (!prefix)
                return -ENOMEM;
        for (size_t n = strlen(prefix); n > 0 && prefix[n - 1] == '-'; n--)
                prefix[n - 1] = '\0';
        dash = strrchr(prefix, '-');
        if (!dash)
                return 0;
        return asprintf(&shorter, "%.*s" SUFFIX, (int) (dash + 1 - prefix), prefix) < 0
                       ? -ENOMEM
                       : add_drop_in_directories(dirs, directory, shorter);
}

static bool is_known(const struct unit_paths *p, const char *name)
{
        for (size_t i = 1; i < p->n; i++)
                if (streq(last_part(p->items[i]), name))
                        return true;
        return false;
}

static bool is_drop_in(const char *name)
{
        size_t n = strlen(name);

        return name[0] != '.' && n > 5 && streq(name + n - 5, ".conf");
}

/* The first of a name counts. */
static int add_drop_ins(const struct unit_root *root, const char *directory, const char *ignored,
                        struct unit_paths *p)
{
        int fd = unit_root_open_file(root, directory, O_RDONLY | O_DIRECTORY), r = 0;
        _cleanup_(closedirp) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
        const struct dirent *entry;

        if (!dir && is_missing(fd))
                return 0;
        if (!dir) {
                r = fd < 0 ? fd : -errno;
                safe_close(fd);
                return r;
        }
        while (r >= 0 && (entry = readdir(dir)))
                if (is_drop_in(entry->d_name) && !streq(entry->d_name, ignored) &&
                    !is_known(p, entry->d_name))
                        r = list_add(p, join(directory, entry->d_name, ""));
        return r;
}

static int compare_last_parts(const void *a, const void *b)
{
        return strcmp(last_part(*(char *const *) a), last_part(*(char *const *) b));
}

static int find_drop_ins(const struct unit_root *root, const char *ignored, const struct unit_paths *aliases,
                         struct unit_paths *p)
{
        _cleanup_(unit_paths_done) struct unit_paths dirs = {};
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(directories) && r >= 0; i++)
                r = add_drop_in_directories(&dirs, directories[i], p->name);
        for (size_t k = 0; k < aliases->n; k++)
                for (size_t i = 0; i < ELEMENTSOF(directories) && r >= 0; i++)
                        r = add_drop_in_directories(&dirs, directories[i], aliases->items[k]);
        for (size_t i = 0; i < ELEMENTSOF(directories) && r >= 0; i++)
                r = list_add(&dirs, join(directories[i], "service", ".d"));
        for (size_t i = 0; i < dirs.n && r >= 0; i++)
                r = add_drop_ins(root, dirs.items[i], ignored, p);
        if (r >= 0 && p->n > 2)
                qsort(p->items + 1, p->n - 1, sizeof(*p->items), compare_last_parts);
        return r;
}

int unit_find(const struct unit_root *root, const char *name, const char *ignored, struct unit_paths *ret)
{
        _cleanup_(unit_paths_done) struct unit_paths p = { .name = strdup(name) }, aliases = {};
        int r;

        if (!p.name)
                return -ENOMEM;
        r = find_own_file(root, &p, &aliases);
        if (r >= 0)
                r = find_aliases(root, p.name, &aliases);
        if (r >= 0)
                r = find_drop_ins(root, ignored, &aliases, &p);
        if (r < 0)
                return r;
        *ret = TAKE_GENERIC(p, (struct unit_paths) {});
        return 0;
}
