/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdio.h>

/* Written from the tables of verbs and options. */
void help_print(FILE *f);
