/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

/* Room for names in an answer. Who owns programs, files, areas and cgroups names them, at length, and as
 * many of them as he likes, and the system's dbus-daemon(1) lets 32 MiB pass: whoever sends more is thrown
 * off. */

/* Bytes, of all names of one answer together. */
#define ANSWER_TEXT_MAX (8U * 1024U * 1024U)

struct answer_text {
        size_t n_bytes; /* taken */
};

/* *@ret is @raw as bus_text() has it, a new string. 1; 0 and nothing in *@ret if there is no room for it any
 * more; -ENOMEM. */
int answer_text_take(struct answer_text *t, const char *raw, char **ret);
/* The same with "" for what there is no room for. 0 or -ENOMEM. */
int answer_text_take_or_none(struct answer_text *t, const char *raw, char **ret);
