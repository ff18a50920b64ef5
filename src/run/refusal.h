/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "shared/macro.h"

/* Why a program does not get the layout of its group, or is not started: one line, for people. */

#define REFUSAL_MAX 512U

struct refusal {
        char text[REFUSAL_MAX];
};

/* Notes the reason, what does not fit is cut. @error: negative errno, for %m. Returns @error. */
int refuse(struct refusal *f, int error, const char *format, ...) _printf_(3, 4);
