/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "ctl/output.h"

/* One JSON object, put together from tables, since libsmartcols can only write an array of rows. */
struct json_document {
        FILE *members;
        char *text;
        size_t size;
        bool begun;
};

int json_document_init(struct json_document *d);
void json_document_done(struct json_document *d);

/* The fields of one row become members of the object. */
int json_append_row(struct json_document *d, const struct output *o, const struct column *columns,
                    size_t n_columns, const struct cell *cells);
/* The rows of a table become one member, under the table's key. */
int json_append_array(struct json_document *d, struct table *t);
/* Once. */
int json_document_print(struct json_document *d, const struct output *o);

/* An object that has nothing but the fields of one row. */
int json_print_row(const struct output *o, const struct column *columns, size_t n_columns,
                   const struct cell *cells);

/* Sets the blanks between the tokens of a well-formed JSON text anew: indented, or all on one line.
 * A new string without a newline at its end; NULL: out of memory. */
char *json_reflow(const char *text, bool pretty);
