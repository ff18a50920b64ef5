/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "shared/macro.h"

/* Tables for people and JSON for programs, both from one description of the columns. */

enum json_mode {
        JSON_OFF,
        JSON_PRETTY,
        JSON_SHORT,
};

struct output {
        FILE *file;
        enum json_mode json;
        bool legend;  /* heads above tables, and hints */
        size_t width; /* of tables; 0: that of the terminal, unlimited if there is none */
};

enum column_type {
        COLUMN_TEXT,
        COLUMN_NUMBER,
        COLUMN_BYTES,   /* shown in IEC units; a plain number in JSON, as all that follows */
        COLUMN_SIZE,    /* the same in little room */
        COLUMN_PERCENT, /* a fraction from 0 to 1 */
        COLUMN_BOOLEAN,
};

struct column {
        const char *head; /* NULL: not in tables */
        const char *key;  /* NULL: not in JSON */
        enum column_type type;
        bool truncate;    /* give way where the terminal is too narrow */
        bool wrap;        /* a list with commas, which may take several lines there */
        double width;     /* libsmartcols' hint: characters, or a part of the terminal below 1 */
};

/* One per column, in their order; the column's type says which member counts. */
struct cell {
        const char *text;
        uint64_t number;
        double fraction;
};

struct table;

int table_new(const struct output *o, const char *key, const struct column *columns, size_t n_columns,
              struct table **ret);
void table_free(struct table *t);
DEFINE_CLEANUP_FUNC(struct table *, table_free)
/* Texts are escaped here and nowhere else. */
int table_add(struct table *t, const struct cell *cells);
/* To the output's file; an empty table prints nothing. */
int table_print(struct table *t);
int table_to_string(struct table *t, char **ret);

/* For sentences: "1 frame", "2 frames". */
static inline const char *plural(uint64_t n, const char *one, const char *many)
{
        return n == 1 ? one : many;
}

/* The exit status for what a printing function returned; says it if that is an error. */
int output_status(int r);
