/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "ctl/figures.h"
#include "ctl/json.h"

/* What could be saved, and is, by library, program and unit, and how to have it merged. */

enum gain_kind { GAIN_LIBRARY, GAIN_PROGRAM, GAIN_UNIT, GAIN_KIND_MAX_ };

struct gain {
        enum gain_kind kind;
        char *name;
        uint32_t processes; /* at most so many, of programs */
        struct figures figures;
};

struct gains {
        struct gain *items; /* by kind, those with the most to gain first */
        size_t n;
        uint64_t duplicate_frames, zero_frames; /* whoever's they are */
};

/* From lists of owners and of cgroups. What a heap or other memory without a name of its own has is the
 * program's. *@gains wants gains_done() also if this fails. */
int gains_read(const struct figures_rows *owners, const struct figures_rows *cgroups, struct gains *gains);
void gains_done(struct gains *gains);

/* A paragraph, a table, and commands; nothing if there is nothing to gain. */
int gains_print(const struct output *out, const struct gains *gains);
int gains_json(struct json_document *d, const struct output *out, const struct gains *gains);
