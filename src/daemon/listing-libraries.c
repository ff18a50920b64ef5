/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/account-bus.h"
#include "daemon/limit.h"
#include "daemon/listing.h"
#include "lib/owner.h"
#include "shared/lookup.h"

/* Libraries are asked for from each process's map of memory: also those that nobody has looked at yet. */

struct listing_library {
        struct mm_file_id file;
        char *path; /* as the bus takes it; "": of those that there is no room for */
        uint32_t n_processes;
        uint64_t private_bytes;
        size_t last_process; /* that it was counted for, from 1 */
};

void listing_libraries_done(struct listing *l)
{
        for (size_t i = 0; i < l->n_rows; i++)
                free(l->rows[i].path);
        free(l->rows);
}

const struct account_line *listing_find_library(const struct account *a, const struct mm_file_id *file)
{
        for (size_t i = 0; i < a->owners.n; i++)
                if (a->owners.items[i]->kind == MM_OWNER_LIBRARY &&
                    mm_file_id_equal(&a->owners.items[i]->file, file))
                        return a->owners.items[i];
        return NULL;
}

static int append_library(struct listing *l, const struct listing_library *row)
{
        const struct account_line *owner = listing_find_library(&l->manager->account, &row->file);
        int r;

        r = sd_bus_message_open_container(l->reply, 'r', "sttuta{sv}");
        if (r >= 0)
                r = sd_bus_message_append(l->reply, "sttut", row->path, (uint64_t) row->file.dev,
                                          (uint64_t) row->file.ino, row->n_processes, row->private_bytes);
        if (r >= 0)
                r = sd_bus_message_open_container(l->reply, 'a', "{sv}");
        if (r >= 0)
                r = account_append(owner && owner->n_processes > 0 ? &owner->sum : NULL, l->reply);
        if (r >= 0)
                r = sd_bus_message_close_container(l->reply);
        return r < 0 ? r : sd_bus_message_close_container(l->reply);
}

static void append_libraries(struct listing *l)
{
        if (l->n_rows == 0 && selector_has(&l->selector, SELECTOR_SHLIB)) {
                listing_fail_none(l);
                return;
        }
        manager_update_account(l->manager);
        listing_sum_owners(l);
        for (size_t i = 0; i < l->n_rows; i++) {
                int r = append_library(l, &l->rows[i]);

                if (r < 0) {
                        listing_fail(l, r);
                        return;
                }
        }
        listing_answer(l);
}

bool listing_library_is_meant(struct listing *l, const struct mm_file_id *file, const char *path)
{
        bool meant = false;

        if (!selector_has(&l->selector, SELECTOR_SHLIB))
                return true;
        for (size_t i = 0; i < l->selector.n_values; i++) {
                struct selector_value *v = &l->selector.values[i];

                if (v->kind == SELECTOR_SHLIB &&
                    (mm_file_id_known(&v->file) ? mm_file_id_equal(&v->file, file)
                                                : mm_library_name_match(v->text, path)))
                        v->seen = meant = true;
        }
        return meant;
}

static struct listing_library *find_row(struct listing *l, const struct mm_file_id *file)
{
        for (size_t i = 0; i < l->n_rows; i++)
                if (mm_file_id_equal(&l->rows[i].file, file))
                        return &l->rows[i];
        return NULL;
}

/* NULL if there is no room, or no memory. */
static struct listing_library *add_row(struct listing *l, const struct mm_file_id *file, const char *path)
{
        struct listing_library *rows;
        char *text;

        rows = array_grow(l->rows, l->n_rows, sizeof(*rows));
        if (!rows)
                return NULL;
        l->rows = rows;
        if (answer_text_take(&l->text, path, &text) <= 0)
                return NULL;
        rows[l->n_rows] = (struct listing_library) { .file = *file, .path = text };
        return &rows[l->n_rows++];
}

/* The library's row, or that of all that there is no room for. */
static struct listing_library *row_of(struct listing *l, const struct mm_file_id *file, const char *path)
{
        static const struct mm_file_id none = {};
        struct listing_library *row = find_row(l, file);

        if (!row && l->n_rows < LISTING_ROWS_MAX)
                row = add_row(l, file, path);
        return row ?: find_row(l, &none) ?: add_row(l, &none, "");
}

static void on_library(void *userdata, const union worker_packet *row)
{
        struct listing *l = userdata;
        const struct worker_library_row *found = &row->library_row;
        const char *path = worker_packet_get_text((union worker_packet *) row, sizeof(*found));
        struct listing_library *library;

        if (row->header.type != WORKER_ROW_LIBRARY || !listing_library_is_meant(l, &found->file, path))
                return;
        library = row_of(l, &found->file, path);
        if (!library)
                return;
        library->private_bytes += found->private_bytes;
        /* A library has several ranges in one process. */
        if (library->last_process != l->next + 1) {
                library->last_process = l->next + 1;
                library->n_processes++;
        }
}

static void on_library_done(void *userdata, int error)
{
        struct listing *l = userdata;
        const struct listing_waiting *w = &l->waiting[l->next];

        if (error == -ETIMEDOUT) {
                manager_mark_hung(l->manager, w->pid, w->start_ticks);
                limit_penalize(l->manager, &l->selector);
        }
        /* Whatever else: the process ended or refuses to be looked at, and the list goes on. */
        l->next++;
        listing_libraries(l);
}

void listing_libraries(struct listing *l)
{
        union worker_packet p;
        int r;

        if (l->next >= l->n_waiting) {
                append_libraries(l);
                return;
        }
        worker_packet_init(&p, WORKER_LIST, sizeof(p.target));
        p.target.pid = l->waiting[l->next].pid;
        p.target.start_ticks = l->waiting[l->next].start_ticks;
        p.target.exe = l->waiting[l->next].exe_id;
        r = worker_call(l->manager->worker, &p, l->waiting[l->next].dir_fd, on_library, on_library_done, l);
        if (r < 0)
                listing_fail(l, r);
}
