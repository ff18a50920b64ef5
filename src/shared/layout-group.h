/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* What the service and the launcher agree on about layout groups. */

#define LAYOUT_NAME_MAX 255U

/* What a group's secret has: bytes 0-7 are for the layout, 8-31 for the seeds of hashes. */
#define LAYOUT_SECRET_BYTES 32U

/* 1 to LAYOUT_NAME_MAX of A-Z a-z 0-9 : _ . - @ \, which is what names of units are made of. */
bool layout_name_is_valid(const char *name);
