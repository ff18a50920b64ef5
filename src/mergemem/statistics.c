/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mergemem/statistics.h"

#include <inttypes.h>
#include <stdarg.h>

#include "lib/hash.h"
#include "lib/owner.h"
#include "shared/format.h"

struct found {
        uint64_t n_pages, n_duplicates, n_zero;
};

static struct found found_on_stacks(const struct report *r)
{
        struct found sum = {};

        for (size_t i = 0; i < r->n_owners; i++) {
                const struct report_owner *o = &r->owners[i];

                if (o->kind != MM_OWNER_STACK && o->kind != MM_OWNER_THREAD_STACK)
                        continue;
                sum.n_pages += o->n_pages;
                sum.n_duplicates += o->n_duplicates;
                sum.n_zero += o->n_zero;
        }
        return sum;
}

/* All besides; never less than nothing, whatever a process did while it was looked at. */
static struct found found_elsewhere(const struct report *r, const struct found *stacks)
{
        return (struct found) {
                .n_pages = r->n_pages - MIN(r->n_pages, stacks->n_pages),
                .n_duplicates = r->n_duplicates - MIN(r->n_duplicates, stacks->n_duplicates),
                .n_zero = r->n_zero - MIN(r->n_zero, stacks->n_zero),
        };
}

static _printf_(3, 4) void line(FILE *f, const char *name, const char *format, ...)
{
        va_list ap;

        fprintf(f, "%s:%*s", name, (int) (strlen(name) < 18 ? 18 - strlen(name) : 1), "");
        va_start(ap, format);
        vfprintf(f, format, ap);
        va_end(ap);
        fputc('\n', f);
}

/* A line for each reason. */
static void lines_of(FILE *f, const char *name, const struct report_counts *c)
{
        for (size_t i = 0; i < c->n; i++)
                line(f, name, "%" PRIu64 " (%s)", c->items[i].n, c->items[i].name);
}

static void print_merged(FILE *f, const struct report *r)
{
        line(f, "Merged", "%" PRIu64 " by %s", r->n_merged, r->mechanism ?: "nothing");
        line(f, "Frames freed", "%" PRIu64 " (%s)", r->n_saved, FORMAT_BYTES(r->n_saved * MM_PAGE_SIZE));
        lines_of(f, "Refused", &r->refused);
        if (r->stop_usec > 0)
                line(f, "Longest stop", "%s", FORMAT_SPAN(r->stop_usec));
}

void statistics_print(FILE *f, const struct report *r, bool stacks, bool merge)
{
        struct found on_stacks = found_on_stacks(r), elsewhere = found_elsewhere(r, &on_stacks);

        line(f, "Processes", "%" PRIu32, r->n_processes);
        lines_of(f, "Left out", &r->excluded);
        lines_of(f, "Skipped", &r->skipped);
        line(f, "Pages looked at", "%" PRIu64 " (%s)", elsewhere.n_pages,
             FORMAT_BYTES(elsewhere.n_pages * MM_PAGE_SIZE));
        line(f, "Duplicates", "%" PRIu64 " (%s), zeros: %" PRIu64, elsewhere.n_duplicates,
             FORMAT_BYTES(elsewhere.n_duplicates * MM_PAGE_SIZE), elsewhere.n_zero);
        if (stacks)
                line(f, "On stacks", "%" PRIu64 ", duplicates: %" PRIu64 ", zeros: %" PRIu64,
                     on_stacks.n_pages, on_stacks.n_duplicates, on_stacks.n_zero);
        if (r->n_huge > 0)
                line(f, "In huge pages", "%" PRIu64 " (%s), besides", r->n_huge,
                     FORMAT_BYTES(r->n_huge * MM_PAGE_SIZE));
        line(f, "Frames read", "%" PRIu64, r->n_read);
        line(f, "Shared already", "%" PRIu64, r->n_ksm);
        line(f, "Swapped out", "%" PRIu64, r->n_swapped);
        if (merge)
                print_merged(f, r);
        line(f, "Time", "%s", FORMAT_SPAN(r->duration_usec));
}
