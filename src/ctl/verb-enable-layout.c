/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sys/stat.h>

#include "config.h"
#include "ctl/layout-drop-in.h"
#include "ctl/options.h"
#include "ctl/verbs.h"
#include "shared/file.h"
#include "shared/log.h"
#include "shared/names.h"
#include "shared/pattern.h"

/* What is written here is of the machine's administrator, and not of the service. */

#define DIRECTORY "/etc/systemd/system"

static int exit_status(int r)
{
        return r >= 0                           ? MERGEMEM_EXIT_DONE
               : r == -ENOENT                   ? MERGEMEM_EXIT_NOTHING_MATCHED
               : r == -EACCES || r == -EPERM    ? MERGEMEM_EXIT_NOT_PERMITTED
                                                : MERGEMEM_EXIT_FAILED;
}

static int read_name(const struct options *o, char **ret)
{
        char *name;

        if (o->bus || o->host || o->machine) {
                log_error("'%s' is about files of this machine: not with --bus, --host or --machine.",
                          o->verb->name);
                return MERGEMEM_EXIT_USAGE;
        }
        name = canonical_unit(o->args[0]);
        if (!name) {
                log_oom();
                return MERGEMEM_EXIT_FAILED;
        }
        if (!unit_name_is_service(name)) {
                log_error("'%s' is not the name of a service.", o->args[0]);
                free(name);
                return MERGEMEM_EXIT_USAGE;
        }
        *ret = name;
        return MERGEMEM_EXIT_DONE;
}

static char *drop_in_directory(const char *name)
{
        char *path;

        return asprintf(&path, DIRECTORY "/%s.d", name) < 0 ? NULL : path;
}

/* What is there already, or made. */
static int open_drop_in_directory(const struct unit_root *root, const char *path)
{
        _cleanup_(closep) int parent = unit_root_open_file(root, DIRECTORY, O_RDONLY | O_DIRECTORY);
        const char *name = strrchr(path, '/') + 1;

        if (parent < 0)
                return parent;
        /* For everybody to read, whatever our umask. */
        if (mkdirat(parent, name, 0755) >= 0) {
                if (fchmodat(parent, name, 0755, 0) < 0)
                        return -errno;
        } else if (errno != EEXIST)
                return -errno;
        return unit_root_open_file(root, path, O_RDONLY | O_DIRECTORY);
}

static int write_drop_in(const struct unit_root *root, const char *directory, const char *text)
{
        _cleanup_(closep) int fd = open_drop_in_directory(root, directory);
        int r;

        r = fd < 0 ? fd : file_replace(fd, LAYOUT_DROP_IN, text, strlen(text), 0644, true);
        return r < 0 ? log_error_errno(r, "%s%s/" LAYOUT_DROP_IN ": cannot be written: %m", root->path,
                                       directory)
                     : 0;
}

static int check_launcher(const struct unit_root *root)
{
        _cleanup_(closep) int fd = unit_root_open_file(root, MERGEMEM_RUN, O_PATH);

        if (fd >= 0)
                return 0;
        return log_error_errno(-EOPNOTSUPP, "%s" MERGEMEM_RUN " is not there, so that no unit could be "
                                            "started by it: %s.",
                               root->path, strerror(-fd));
}

/* How it takes effect: in the running system, and not before it is told. */
static void print_next_steps(const struct unit_root *root, const char *name)
{
        if (*root->path)
                return;
        printf("It takes effect with \"systemctl daemon-reload\" and \"systemctl restart %s%.*s%s\".\n",
               unit_name_is_template(name) ? "'" : "", (int) strcspn(name, "@"), name,
               unit_name_is_template(name) ? "@*.service'" : strchr(name, '@') ?: "");
}

static int enable(const struct options *o, const struct unit_root *root, const char *name)
{
        const struct layout_drop_in_options how = {
                .launcher = MERGEMEM_RUN,
                .stable_hash = o->stable_hash,
                .ksm = o->ksm,
                .fallback = o->fallback,
        };
        _cleanup_(freep) char *directory = NULL, *text = NULL, *notes = NULL;
        _cleanup_(unit_done) struct unit u = {};
        int r;

        r = unit_read(root, name, LAYOUT_DROP_IN, &u);
        if (r >= 0)
                r = layout_drop_in(&u, &how, &text, &notes);
        if (r >= 0)
                r = check_launcher(root);
        if (r < 0)
                return r;
        directory = drop_in_directory(u.name);
        if (!directory)
                return log_oom();
        if (!o->quiet)
                printf("# %s%s/" LAYOUT_DROP_IN "\n%s\n%s", root->path, directory, text, notes);
        if (o->dry_run) {
                if (!o->quiet)
                        printf("Nothing is written (--dry-run).\n");
                return 0;
        }
        (void) fflush(stdout);
        r = write_drop_in(root, directory, text);
        if (r < 0 || o->quiet)
                return r;
        printf("This is written; \"mergememctl disable-layout %s\" takes it back.\n", u.name);
        print_next_steps(root, u.name);
        return 0;
}

static int disable(const struct options *o, const struct unit_root *root, const char *name)
{
        _cleanup_(unit_paths_done) struct unit_paths paths = {};
        _cleanup_(closep) int parent = -EBADF, fd = -EBADF;
        _cleanup_(freep) char *directory = NULL;

        /* It may be an alias; or the unit may be gone. */
        if (unit_find(root, name, LAYOUT_DROP_IN, &paths) >= 0)
                name = paths.name;
        directory = drop_in_directory(name);
        if (!directory)
                return log_oom();
        fd = unit_root_open_file(root, directory, O_RDONLY | O_DIRECTORY);
        if (fd < 0 && fd != -ENOENT)
                return log_error_errno(fd, "%s%s: %m", root->path, directory);
        if (fd < 0 || faccessat(fd, LAYOUT_DROP_IN, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                return log_error_errno(-ENOENT, "%s has no layout that \"enable-layout\" has given it: "
                                                "there is no %s%s/" LAYOUT_DROP_IN ".",
                                       name, root->path, directory);
        if (!o->quiet)
                printf("%s%s/" LAYOUT_DROP_IN "\n", root->path, directory);
        if (o->dry_run) {
                if (!o->quiet)
                        printf("Nothing is removed (--dry-run).\n");
                return 0;
        }
        (void) fflush(stdout);
        if (unlinkat(fd, LAYOUT_DROP_IN, 0) < 0)
                return log_error_errno(-errno, "%s%s/" LAYOUT_DROP_IN ": cannot be removed: %m", root->path,
                                       directory);
        /* Unless there is something else in it. */
        parent = unit_root_open_file(root, DIRECTORY, O_RDONLY | O_DIRECTORY);
        if (parent >= 0)
                (void) unlinkat(parent, strrchr(directory, '/') + 1, AT_REMOVEDIR);
        if (o->quiet)
                return 0;
        printf("This is removed.\n");
        print_next_steps(root, name);
        return 0;
}

static int run(const struct options *o,
               int (*verb)(const struct options *o, const struct unit_root *root, const char *name))
{
        _cleanup_(freep) char *name = NULL;
        struct unit_root root;
        int status, r;

        status = read_name(o, &name);
        if (status != MERGEMEM_EXIT_DONE)
                return status;
        r = unit_root_open(o->root, &root);
        if (r >= 0) {
                r = verb(o, &root, name);
                unit_root_done(&root);
        }
        return exit_status(r);
}

int verb_enable_layout(const struct options *o)
{
        return run(o, enable);
}

int verb_disable_layout(const struct options *o)
{
        return run(o, disable);
}
