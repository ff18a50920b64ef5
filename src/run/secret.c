/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/secret.h"

/* Where root keeps what users have in $XDG_RUNTIME_DIR. */
#define ROOT_DIRECTORY "/run"

static int from_files(const char *group, const char *why, struct secret *ret, struct refusal *f)
{
        _cleanup_(freep) char *unit = NULL;
        const char *directory = ROOT_DIRECTORY;
        uid_t uid = geteuid();

        if (!group) {
                unit = group_own_unit();
                group = unit ?: GROUP_DEFAULT;
        }
        if (uid != 0) {
                directory = getenv("XDG_RUNTIME_DIR");
                if (!directory || *directory != '/')
                        return refuse(f, -ENOENT, "no secret for the layout: %s, and XDG_RUNTIME_DIR is "
                                      "not set", why);
        }
        return secret_from_directory(directory, uid, group, ret, f);
}

int secret_get(const char *group, struct secret *ret, struct refusal *f)
{
        int r;

        r = secret_from_service(group ?: "", ret, f);
        if (r == -ENXIO && !group)
                r = secret_from_service(GROUP_DEFAULT, ret, f);
        if (r == -ENOTCONN) {
                struct refusal why = *f;

                return from_files(group, why.text, ret, f);
        }
        return r;
}
