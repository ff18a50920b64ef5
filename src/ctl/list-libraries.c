/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/figures.h"
#include "ctl/verb-list.h"

struct library {
        const char *path; /* the message's */
        uint64_t device;
        uint64_t inode;
        uint32_t processes;
        uint64_t private_bytes;
        struct figures figures;
};

struct libraries {
        struct library *items;
        size_t n;
};

static void libraries_done(struct libraries *l)
{
        free(l->items);
}

static int libraries_read(sd_bus_message *m, struct libraries *libraries)
{
        static const struct dict_field fields[] = { FIGURES_FIELDS(struct library, figures) };
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(sttuta{sv})");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'r', "sttuta{sv}")) > 0) {
                struct library *items, l = {};

                r = sd_bus_message_read(m, "sttut", &l.path, &l.device, &l.inode, &l.processes,
                                        &l.private_bytes);
                if (r < 0)
                        return r;
                r = dict_read(m, fields, ELEMENTSOF(fields), &l);
                if (r < 0)
                        return r;
                items = reallocarray(libraries->items, libraries->n + 1, sizeof(*items));
                if (!items)
                        return -ENOMEM;
                libraries->items = items;
                items[libraries->n++] = l;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r;
}

/* Those with the most to gain first. */
static int library_compare(const void *a, const void *b)
{
        const struct library *x = a, *y = b;

        if (x->private_bytes != y->private_bytes)
                return x->private_bytes > y->private_bytes ? -1 : 1;
        return strcmp(x->path, y->path);
}

int list_libraries_table(const struct output *out, sd_bus_message *m, struct table **ret)
{
        static const struct column columns[] = {
                { .head = "PROCESSES", .key = "processes", .type = COLUMN_NUMBER },
                { .head = "PRIVATE", .key = "private_bytes", .type = COLUMN_BYTES },
                FIGURES_COLUMNS,
                { .head = "PATH", .key = "path", .type = COLUMN_TEXT, .truncate = true },
                { .key = "device", .type = COLUMN_NUMBER },
                { .key = "inode", .type = COLUMN_NUMBER },
        };
        _cleanup_(libraries_done) struct libraries libraries = {};
        _cleanup_(table_freep) struct table *t = NULL;
        int r;

        r = libraries_read(m, &libraries);
        if (r < 0)
                return r;
        if (libraries.n > 0)
                qsort(libraries.items, libraries.n, sizeof(*libraries.items), library_compare);

        r = table_new(out, "libraries", columns, ELEMENTSOF(columns), &t);
        if (r < 0)
                return r;
        for (size_t i = 0; i < libraries.n; i++) {
                const struct library *l = libraries.items + i;

                r = table_add(t, (struct cell[]){
                        { .number = l->processes },
                        { .number = l->private_bytes },
                        FIGURES_CELLS(&l->figures),
                        { .text = l->path },
                        { .number = l->device },
                        { .number = l->inode },
                });
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(t);
        return 0;
}
