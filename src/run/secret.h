/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "run/group.h"
#include "run/layout.h"
#include "run/refusal.h"

/* The secret of a layout group: random bytes, drawn once per boot, group and user. */

#define SECRET_WHERE_MAX 256U

struct secret {
        uint8_t bytes[LAYOUT_SECRET_BYTES];
        char group[LAYOUT_NAME_MAX + 1];
        char where[SECRET_WHERE_MAX]; /* who keeps it, for people */
};

/* From mergememd, or where there is none from files of the user's own. @group: NULL for that of the
 * systemd unit that this process is in. 0 or -errno and *@f. */
int secret_get(const char *group, struct secret *ret, struct refusal *f);

/* From mergememd; @group "" leaves it to the service to find the unit. Never blocks for longer than
 * two seconds. 0; -ENOTCONN: there is no service, or none that answers, and *@f says so; another
 * -errno if it refuses; -ENXIO if this process is in no unit. */
int secret_from_service(const char *group, struct secret *ret, struct refusal *f);

/* From the files in mergemem/groups/ below @directory, a directory that no other user can write to;
 * drawn there if it is new. Whatever does not belong to @uid alone is refused. 0 or -errno and *@f. */
int secret_from_directory(const char *directory, uid_t uid, const char *group, struct secret *ret,
                          struct refusal *f);
