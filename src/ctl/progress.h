/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* One line on a terminal's standard error that is written over and taken away at the end. */

#define PROGRESS_WIDTH_MAX 72U

struct progress {
        bool enabled;
        char line[PROGRESS_WIDTH_MAX + 1]; /* what stands there; empty: nothing */
};

/* Off where standard error is no terminal, or one that cannot go back. */
struct progress progress_init(bool wanted);
/* @fraction: from 0 to 1. */
void progress_show(struct progress *p, const char *state, double fraction);
void progress_clear(struct progress *p);

/* "scanning    [=======>          ]  42%", never longer than @width; without the bar where that is
 * too narrow for it. */
void progress_format(char line[PROGRESS_WIDTH_MAX + 1], size_t width, const char *state, double fraction);
