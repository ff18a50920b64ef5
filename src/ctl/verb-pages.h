/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "ctl/options.h"

/* What Pages says, answer by answer, and what that comes to. */
struct pages_view {
        const struct output *out;
        uint64_t limit; /* rows of the table, 0: all; JSON has all */
        struct table *table;
        uint64_t n_runs, n_shown, n_pages, n_single, n_swapped;
};

int pages_view_init(struct pages_view *v, const struct output *out, uint64_t limit);
void pages_view_done(struct pages_view *v);
/* One reply. @ret_next: where to go on, 0: that was all. */
int pages_view_read(struct pages_view *v, sd_bus_message *m, uint64_t *ret_next);
int pages_view_print(struct pages_view *v);

/* "anonymous,lru": the names of flags. A new string; NULL: out of memory. */
char *pages_flags_text(uint64_t flags);
