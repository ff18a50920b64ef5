/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/path.h"

#include "shared/macro.h"

int path_make_absolute(const char *path, char **ret)
{
        _cleanup_(freep) char *cwd = NULL;
        char *absolute;

        if (path[0] != '/') {
                cwd = getcwd(NULL, 0);
                if (!cwd)
                        return -errno;
        }
        if (asprintf(&absolute, "%s%s%s", cwd && !streq(cwd, "/") ? cwd : "", cwd ? "/" : "", path) < 0)
                return -ENOMEM;
        *ret = absolute;
        return 0;
}
