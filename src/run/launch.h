/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "run/layout.h"
#include "run/program.h"
#include "run/refusal.h"
#include "run/situation.h"

/* This process becomes the program. */

struct launch {
        const struct program *program;
        const struct situation *situation;
        const uint8_t *secret; /* LAYOUT_SECRET_BYTES bytes */
        bool inherit, ksm, dry_run;
};

enum launch_result {
        LAUNCH_TRIED,   /* only if it is a dry run */
        LAUNCH_REFUSED, /* no layout, for the reason in *@f; the program can be started without */
        LAUNCH_FAILED,  /* the exec failed, for the reason in *@f and *@ret_error */
};

/* With the layout. Returns only if this is still mergemem-run. */
enum launch_result launch_with_layout(const struct launch *l, int *ret_error, struct refusal *f);

/* Has the memory of this process merged, and of the program too since Linux 6.7. 0 or -errno and *@f. */
int launch_set_ksm(struct refusal *f);

/* As it is. Returns -errno and *@f. */
int launch_plain(const struct program *p, struct refusal *f);
