/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/node.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "config.h"
#include "run/hash.h"
#include "run/node-options.h"

/* A script that runs in Node.js takes no arguments for it; and what only bears its name, such as a script
 * that chooses a version, is something else. */
static bool is_node(const struct program *p)
{
        _cleanup_(freep) char *path = streq(p->path, p->runs) ? realpath(p->runs, NULL) : NULL;

        return path && node_is_name(strrchr(path, '/') + 1);
}

/* It lies where this program has it when both are installed: no variable leads to it. */
static int find_module(char **ret, struct refusal *f)
{
        _cleanup_(freep) char *path = NULL, *real = NULL;
        char self[PATH_MAX];
        struct stat st;
        ssize_t n;

        n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        if (n < 0)
                return refuse(f, -errno, "cannot find out where mergemem-run is: %m");
        self[n] = '\0';
        if (asprintf(&path, "%.*s" MERGEMEM_RUN_DATA "/math-random.cjs",
                     (int) (strrchr(self, '/') + 1 - self), self) < 0)
                return refuse(f, -ENOMEM, "out of memory");
        real = realpath(path, NULL);
        if (!real || stat(real, &st) < 0 || faccessat(AT_FDCWD, real, R_OK, AT_EACCESS) < 0)
                return refuse(f, -errno, "cannot read %s: %m", path);
        if (!S_ISREG(st.st_mode))
                return refuse(f, -EISDIR, "%s is not a file", real);
        *ret = TAKE_PTR(real);
        return 0;
}

/* NODE_OPTIONS stays what it is unless it would have other modules loaded first. */
static int add(struct program *p, uint32_t seed, const char *module, const char *options)
{
        _cleanup_(freep) char *random_seed = NULL, *require = NULL, *all = NULL;
        int r;

        if (asprintf(&random_seed, "--random-seed=%u", seed) < 0)
                return -ENOMEM;
        if (asprintf(&require, "--require=%s", module) < 0)
                return -ENOMEM;
        if (options) {
                all = node_options_prepend(options, module);
                if (!all || setenv("NODE_OPTIONS", all, 1) < 0)
                        return -ENOMEM;
        }
        r = program_insert(p, (char *[]){ random_seed, require }, 2);
        if (r < 0)
                return r;
        random_seed = require = NULL;
        return 0;
}

int node_apply(struct program *p, const uint8_t secret[LAYOUT_SECRET_BYTES], struct refusal *f)
{
        _cleanup_(freep) char *module = NULL;
        struct node_options arguments = { 0 }, inherited = { 0 };
        const char *text = getenv("NODE_OPTIONS") ?: "";
        int r;

        if (!is_node(p))
                return 0;
        r = find_module(&module, f);
        if (r < 0)
                return r;
        node_options_of_arguments(p->argv, module, &arguments);
        if (arguments.seed)
                return refuse(f, -EEXIST, "it has one already");
        r = node_options_of_text(text, module, &inherited);
        if (r < 0)
                return refuse(f, r, "out of memory");
        if (arguments.limit || inherited.limit)
                return refuse(f, -EPERM, "%s may keep it from reading %s",
                              arguments.limit ?: inherited.limit, module);
        r = add(p, hash_node_seed(secret), module, inherited.modules && !inherited.ours ? text : NULL);
        return r < 0 ? refuse(f, r, "out of memory") : 1;
}
