/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "ctl/json.h"
#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/result.h"

/* How the verbs show what their jobs did. */
int estimate_print(const struct options *o, const struct output *out, const struct job_status *status);
int merge_print(const struct options *o, const struct output *out, const struct job_status *status);
int unmerge_print(const struct options *o, const struct output *out, const struct job_status *status);

/* What they have in common. */

/* The service counts in pages and frames of the machine's size. */
uint64_t report_page_bytes(void);

/* A first line if the report is not of a whole job. */
void report_state(const struct output *out, const struct job_status *status);
/* A line for each: "@what: reason (N @one or @many)". */
void report_tallies(const struct output *out, const char *what, const struct tallies *t,
                    const char *one, const char *many);
/* What was looked at and what was left out, and how long it took. */
void report_scanned(const struct output *out, const struct result *s);
/* How long targets were held, if any was. */
void report_stop(const struct output *out, const struct result *s);
/* A table, if there is more than one. */
int report_domains(const struct output *out, const struct result_domains *domains);
/* A table with the first @limit of them, or all if that is 0. */
int report_owners(const struct output *out, const struct result_owners *owners, uint64_t limit);

/* The result of a scan as JSON: what it counted, and what it lists. */
int report_json_figures(struct json_document *d, const struct output *out, const struct job_status *status);
int report_json_arrays(struct json_document *d, const struct output *out, const struct result *result);
int report_json_tallies(struct json_document *d, const struct output *out, const char *key,
                        const struct tallies *t, const char *text_key, const char *number_key);
