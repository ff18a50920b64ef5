/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/program.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "run/program-file.h"

#define DEFAULT_PATH "/usr/bin:/bin"

void program_done(struct program *p)
{
        for (size_t i = 0; i < p->n_words; i++)
                free(p->words[i]);
        free(p->path);
        free(p->argv);
        free(p->runs);
        *p = (struct program){ 0 };
}

static int can_execute(const char *path)
{
        struct stat st;

        if (stat(path, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EACCES;
        return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

static int find(const char *name, char **ret)
{
        const char *at = getenv("PATH") ?: DEFAULT_PATH;
        int result = -ENOENT, r;

        if (strchr(name, '/')) {
                result = can_execute(name);
                if (result < 0)
                        return result;
                *ret = strdup(name);
                return *ret ? 0 : -ENOMEM;
        }
        while (*name) {
                size_t n = strcspn(at, ":");
                char *path;

                /* An empty piece is the current directory. */
                if (asprintf(&path, "%.*s%s%s", (int) n, at, n > 0 ? "/" : "./", name) < 0)
                        return -ENOMEM;
                r = can_execute(path);
                if (r == 0) {
                        *ret = path;
                        return 0;
                }
                free(path);
                if (r == -EACCES)
                        result = r;
                if (at[n] == '\0')
                        break;
                at += n + 1;
        }
        return result;
}

int program_find(char **argv, struct program *ret)
{
        size_t n = 0;

        while (argv[n])
                n++;
        *ret = (struct program){ .argv = calloc(n + 1, sizeof(char *)) };
        if (!ret->argv)
                return -ENOMEM;
        memcpy(ret->argv, argv, n * sizeof(char *));
        return find(argv[0], &ret->path);
}

/* A file in memory. */
struct mapping {
        void *data;
        size_t size;
};

static void mapping_done(struct mapping *m)
{
        if (m->data)
                munmap(m->data, m->size);
}

/* Fails where the kernel would not let us look into the running program either. */
static int open_file(const char *path, struct stat *ret_st, struct refusal *f)
{
        _cleanup_(closep) int fd = -EBADF;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0 || fstat(fd, ret_st) < 0)
                return refuse(f, -errno, "cannot read %s: %m", path);
        if (!S_ISREG(ret_st->st_mode))
                return refuse(f, -EACCES, "%s is not a file", path);
        return TAKE_FD(fd);
}

static int parse_file(int fd, const struct stat *st, const char *path, struct mapping *m,
                      struct program_elf *ret, struct refusal *f)
{
        int r = -ENOEXEC;

        if (st->st_size > 0) {
                void *data = mmap(NULL, (size_t) st->st_size, PROT_READ, MAP_PRIVATE, fd, 0);

                if (data == MAP_FAILED)
                        return refuse(f, -errno, "cannot read %s: %m", path);
                *m = (struct mapping){ data, (size_t) st->st_size };
                r = program_parse_elf(data, m->size, ret);
        }
        if (r == -EAFNOSUPPORT)
                return refuse(f, r, "%s is not a 64-bit x86-64 program", path);
        if (r < 0)
                return refuse(f, r, "%s is neither an x86-64 program nor a script", path);
        return 0;
}

/* Traced, such a program would lose what it is given; and the kernel takes back the layout. */
static int check_privileges(int fd, const struct stat *st, const char *path, struct refusal *f)
{
        if ((st->st_mode & S_ISUID) != 0)
                return refuse(f, -EPERM, "%s is set-user-ID", path);
        if ((st->st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
                return refuse(f, -EPERM, "%s is set-group-ID", path);
        if (fgetxattr(fd, "security.capability", NULL, 0) > 0)
                return refuse(f, -EPERM, "%s has file capabilities", path);
        return 0;
}

static int note_code(struct program *p, const struct program_elf *elf, const char *path, struct refusal *f)
{
        if (elf->code.call == 0)
                return refuse(f, -ENOEXEC, "%s has no system call that could be used for the layout", path);
        p->code.call = (int64_t) (elf->code.call - elf->entry);
        p->code.restorer = elf->code.restorer != 0 ? (int64_t) (elf->code.restorer - elf->entry) : 0;
        return 0;
}

static int examine_loader(struct program *p, const char *path, struct refusal *f)
{
        _cleanup_(mapping_done) struct mapping m = { 0 };
        _cleanup_(closep) int fd = -EBADF;
        struct program_elf elf;
        struct stat st;
        int r;

        fd = open_file(path, &st, f);
        if (fd < 0)
                return fd;
        r = parse_file(fd, &st, path, &m, &elf, f);
        if (r < 0)
                return r;
        if (elf.interpreter)
                return refuse(f, -ENOEXEC, "%s, the loader of %s, has a loader itself", path, p->runs);
        return note_code(p, &elf, path, f);
}

static int examine_elf(struct program *p, int fd, const struct stat *st, struct refusal *f)
{
        _cleanup_(mapping_done) struct mapping m = { 0 };
        struct program_elf elf;
        int r;

        r = parse_file(fd, st, p->runs, &m, &elf, f);
        if (r < 0)
                return r;
        r = check_privileges(fd, st, p->runs, f);
        if (r < 0)
                return r;
        return elf.interpreter ? examine_loader(p, elf.interpreter, f) : note_code(p, &elf, p->runs, f);
}

/* env(1) would execute the interpreter itself, and that would get a layout of its own: what it would
 * execute is executed at once. */
static int pass_env(struct program *p, const char *argument, struct refusal *f)
{
        char **argv, *word, *path;
        size_t n = 0;
        int r;

        if (!argument || *argument == '-' || strpbrk(argument, "= \t"))
                return refuse(f, -ENOEXEC, "%s is started by env(1), and what that starts would get a "
                              "layout of its own: name the interpreter itself", p->path);
        while (p->argv[n])
                n++;
        argv = calloc(n + 2, sizeof(char *));
        word = strdup(argument);
        if (!argv || !word) {
                free(argv);
                free(word);
                return refuse(f, -ENOMEM, "out of memory");
        }
        p->words[p->n_words++] = word;
        r = find(word, &path);
        if (r < 0) {
                free(argv);
                return refuse(f, r, "cannot execute %s, the interpreter of %s: %m", word, p->path);
        }

        argv[0] = word;
        argv[1] = p->words[p->n_words++] = p->path;
        memcpy(argv + 2, p->argv + 1, (n - 1) * sizeof(char *));
        free(p->argv);
        p->argv = argv;
        p->path = path;
        return 0;
}

int program_insert(struct program *p, char *const *words, size_t n_words)
{
        char **argv;
        size_t n = 0;

        if (n_words > PROGRAM_INSERT_MAX || p->n_words > ELEMENTSOF(p->words) - n_words)
                return -E2BIG;
        while (p->argv[n])
                n++;
        argv = calloc(n + n_words + 1, sizeof(char *));
        if (!argv)
                return -ENOMEM;
        argv[0] = p->argv[0];
        for (size_t i = 0; i < n_words; i++)
                argv[1 + i] = p->words[p->n_words++] = words[i];
        memcpy(argv + 1 + n_words, p->argv + 1, (n - 1) * sizeof(char *));
        free(p->argv);
        p->argv = argv;
        return 0;
}

static bool is_env(const char *path)
{
        const char *slash = strrchr(path, '/');

        return streq(slash ? slash + 1 : path, "env");
}

int program_examine(struct program *p, struct refusal *f)
{
        free(p->runs);
        p->runs = strdup(p->path);

        for (unsigned n_scripts = 0; p->runs; n_scripts++) {
                _cleanup_(closep) int fd = -EBADF;
                char line[PROGRAM_LINE_MAX + 1], *interpreter, *argument;
                bool first = streq(p->runs, p->path);
                struct stat st;
                ssize_t n;
                int r;

                fd = open_file(p->runs, &st, f);
                if (fd < 0)
                        return fd;
                n = pread(fd, line, PROGRAM_LINE_MAX, 0);
                if (n < 0)
                        return refuse(f, -errno, "cannot read %s: %m", p->runs);
                r = program_parse_script(line, (size_t) n, &interpreter, &argument);
                if (r < 0)
                        return refuse(f, r, "%s names no interpreter", p->runs);
                if (r == 0)
                        return examine_elf(p, fd, &st, f);
                if (n_scripts == PROGRAM_SCRIPTS_MAX)
                        return refuse(f, -ELOOP, "the interpreter of %s is a script, too many times over",
                                      p->path);

                if (is_env(interpreter)) {
                        r = first ? pass_env(p, argument, f) :
                                    refuse(f, -ENOEXEC, "%s is started by env(1)", p->runs);
                        if (r < 0)
                                return r;
                        interpreter = p->path;
                }
                free(p->runs);
                p->runs = strdup(interpreter);
        }
        return refuse(f, -ENOMEM, "out of memory");
}
