/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>

#include "daemon/account-bus.h"
#include "daemon/limit.h"
#include "daemon/listing.h"
#include "daemon/policy.h"
#include "daemon/reopen.h"
#include "shared/format.h"

/* How much memory processes use: each is looked at by the worker, in slices between which others have their
 * turn, and counts in a row of its own, or in that of its program, user, cgroup or libraries. */

#define SLICE_USEC 100000U
/* Users whose names are looked up. */
#define NAMES_MAX 256U

struct memory_row {
        char *name; /* of the process, program, user or library; path of the cgroup; "": of no library */
        pid_t pid;
        uid_t uid;
        char *exe, *cgroup, *unit;
        struct mm_file_id file; /* program or library */
        uint32_t n_processes, n_unread;
        bool incomplete;
        struct mm_usage usage;
        bool known; /* looked at by a scan */
        uint64_t n_duplicates, n_zero;
        size_t last_process; /* that it was counted for, from 1 */
};

enum memory_by memory_by_from_string(const char *s)
{
        static const char *const names[MEMORY_BY_MAX_] = {
                [MEMORY_BY_PROCESS] = "process", [MEMORY_BY_PROGRAM] = "program",
                [MEMORY_BY_USER] = "user",       [MEMORY_BY_CGROUP] = "cgroup",
                [MEMORY_BY_LIBRARY] = "library",
        };

        for (int i = 0; i < MEMORY_BY_MAX_; i++)
                if (streq(names[i], s))
                        return (enum memory_by) i;
        return MEMORY_BY_INVALID_;
}

static void row_done(struct memory_row *row)
{
        free(row->name);
        free(row->exe);
        free(row->cgroup);
        free(row->unit);
}

void listing_memory_done(struct listing *l)
{
        for (size_t i = 0; i < l->memory.n_rows; i++)
                row_done(&l->memory.rows[i]);
        free(l->memory.rows);
}

/* A copy of @text, or of "" where the answer has no room for more; NULL: no memory. */
static char *copy_text(struct listing *l, const char *text)
{
        _cleanup_(freep) char *in_answer = NULL;
        int r = answer_text_take(&l->text, text, &in_answer);

        return r < 0 ? NULL : strdup(r > 0 ? text : "");
}

/* Takes *@row over, also if there is no room for it. */
static int add_row(struct listing *l, struct memory_row *row, size_t *ret)
{
        struct memory_row *rows;
        size_t n = l->memory.n_rows;

        if (n > LISTING_ROWS_MAX) {
                row_done(row);
                return -E2BIG;
        }
        /* In powers of two. */
        if (row->name && (n & (n - 1)) == 0) {
                rows = reallocarray(l->memory.rows, MAX(n * 2, (size_t) 1), sizeof(*rows));
                if (rows)
                        l->memory.rows = rows;
                else
                        row->name = (free(row->name), NULL);
        }
        if (!row->name) {
                row_done(row);
                return -ENOMEM;
        }
        l->memory.rows[n] = *row;
        *ret = l->memory.n_rows++;
        return 0;
}

static bool is_row_of(const struct listing *l, const struct memory_row *row, const struct mm_process *p)
{
        switch (l->memory.by) {
        case MEMORY_BY_PROGRAM:
                return mm_file_id_known(&p->exe_id)
                               ? mm_file_id_equal(&row->file, &p->exe_id)
                               : !mm_file_id_known(&row->file) && streq(row->name, p->comm);
        case MEMORY_BY_USER:
                return row->uid == p->ruid;
        case MEMORY_BY_CGROUP:
                return streq(row->name, p->cgroup ?: "");
        default:
                return false;
        }
}

static int new_row(struct listing *l, const struct mm_process *p, const char *unit, size_t *ret)
{
        struct memory_row row = {};
        char number[16];

        switch (l->memory.by) {
        case MEMORY_BY_PROCESS:
                row.pid = p->pid;
                row.name = strdup(p->comm);
                row.exe = copy_text(l, p->exe ?: "");
                row.cgroup = copy_text(l, p->cgroup ?: "");
                break;
        case MEMORY_BY_PROGRAM:
                row.name = mm_file_id_known(&p->exe_id) && p->exe ? copy_text(l, p->exe) : strdup(p->comm);
                row.file = p->exe_id;
                break;
        case MEMORY_BY_USER:
                (void) snprintf(number, sizeof(number), "%u", p->ruid);
                row.name = strdup(number);
                break;
        default:
                row.name = copy_text(l, p->cgroup ?: "");
                /* Its path is what tells it from others: those that there is no room for are one row. */
                for (size_t i = 0; row.name && !*row.name && i < l->memory.n_rows; i++)
                        if (!*l->memory.rows[i].name) {
                                free(row.name);
                                *ret = i;
                                return 0;
                        }
                if (row.name && !*row.name)
                        unit = NULL;
                break;
        }
        row.uid = p->ruid;
        if (unit && (l->memory.by == MEMORY_BY_PROCESS || l->memory.by == MEMORY_BY_CGROUP))
                row.unit = copy_text(l, unit);
        return add_row(l, &row, ret);
}

static int find_row(struct listing *l, const struct mm_process *p, const char *unit, size_t *ret)
{
        for (size_t i = l->memory.n_rows; l->memory.by != MEMORY_BY_PROCESS && i-- > 0;)
                if (is_row_of(l, &l->memory.rows[i], p)) {
                        *ret = i;
                        return 0;
                }
        return new_row(l, p, unit, ret);
}

int listing_memory_add(struct listing *l, struct mm_process *p, const char *unit)
{
        const struct account_process *a = account_find(&l->manager->account, p->pid, p->start_ticks);
        struct memory_row *row;
        size_t index = 0;
        int r;

        if (l->selector.only_own && !policy_own_memory_is_told(p, l->selector.owner))
                return 0;
        if (l->memory.by == MEMORY_BY_LIBRARY)
                return listing_wait(l, p, 0);
        r = find_row(l, p, unit, &index);
        if (r < 0)
                return r;
        row = &l->memory.rows[index];
        row->n_processes++;
        /* The books know what a process has, not what of it is some library's. */
        if (a && !selector_has(&l->selector, SELECTOR_SHLIB)) {
                row->known = true;
                row->n_duplicates += a->figures.n_duplicates;
                row->n_zero += a->figures.n_zero;
        }
        return listing_wait(l, p, index);
}

static int append_text(sd_bus_message *m, const char *key, const char *value)
{
        _cleanup_(freep) char *text = bus_text(value ?: "");

        return text ? sd_bus_message_append(m, "{sv}", key, "s", text) : -ENOMEM;
}

static int append_who(struct listing *l, const struct memory_row *row)
{
        sd_bus_message *m = l->reply;
        int r = 0;

        switch (l->memory.by) {
        case MEMORY_BY_PROCESS:
                r = sd_bus_message_append(m, "{sv}{sv}", "pid", "u", (uint32_t) row->pid, "uid", "u",
                                          (uint32_t) row->uid);
                if (r >= 0)
                        r = append_text(m, "exe", row->exe);
                if (r >= 0)
                        r = append_text(m, "cgroup", row->cgroup);
                return r < 0 ? r : append_text(m, "unit", row->unit);
        case MEMORY_BY_USER:
                return sd_bus_message_append(m, "{sv}", "uid", "u", (uint32_t) row->uid);
        case MEMORY_BY_CGROUP:
                return append_text(m, "unit", row->unit);
        case MEMORY_BY_LIBRARY:
                return sd_bus_message_append(m, "{sv}{sv}", "device", "t", (uint64_t) row->file.dev, "inode",
                                             "t", (uint64_t) row->file.ino);
        default:
                return r;
        }
}

static int append_more(struct listing *l, const struct memory_row *row)
{
        const struct mm_usage *u = &row->usage;
        sd_bus_message *m = l->reply;
        int r;

        r = append_who(l, row);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}", "direct_bytes", "t",
                                          u->direct_pages * MM_PAGE_SIZE, "ksm_bytes", "t",
                                          u->ksm_pages * MM_PAGE_SIZE, "zero_bytes", "t",
                                          u->zero_pages * MM_PAGE_SIZE, "hugetlb_bytes", "t",
                                          u->hugetlb_pages * MM_PAGE_SIZE);
        if (r >= 0 && row->known)
                r = sd_bus_message_append(m, "{sv}{sv}", "duplicate_frames", "t", row->n_duplicates,
                                          "zero_frames", "t", row->n_zero);
        if (r >= 0 && row->n_unread > 0)
                r = sd_bus_message_append(m, "{sv}", "unread_processes", "u", row->n_unread);
        if (r >= 0 && (row->incomplete || u->unknown_pages > 0))
                r = sd_bus_message_append(m, "{sv}", "incomplete", "b", 1);
        return r;
}

static int append_row(struct listing *l, const struct memory_row *row)
{
        _cleanup_(freep) char *name = bus_text(row->name);
        const struct mm_usage *u = &row->usage;
        int r;

        if (!name)
                return -ENOMEM;
        r = sd_bus_message_open_container(l->reply, 'r', "sutttta{sv}");
        if (r >= 0)
                r = sd_bus_message_append(l->reply, "sutttt", name, row->n_processes,
                                          u->rss_pages * MM_PAGE_SIZE, u->pss >> MM_PSS_SHIFT,
                                          u->uss_pages * MM_PAGE_SIZE, u->swap_pages * MM_PAGE_SIZE);
        if (r >= 0)
                r = sd_bus_message_open_container(l->reply, 'a', "{sv}");
        if (r >= 0)
                r = append_more(l, row);
        if (r >= 0)
                r = sd_bus_message_close_container(l->reply);
        return r < 0 ? r : sd_bus_message_close_container(l->reply);
}

static void append_rows(struct listing *l)
{
        bool any = l->selector.n_values == 0;
        int r = 0;

        if (l->memory.by == MEMORY_BY_LIBRARY) {
                manager_update_account(l->manager);
                listing_sum_owners(l);
        }
        for (size_t i = 0; i < l->memory.n_rows && r >= 0; i++) {
                struct memory_row *row = &l->memory.rows[i];
                const struct account_line *owner;

                owner = l->memory.by == MEMORY_BY_LIBRARY
                                ? listing_find_library(&l->manager->account, &row->file)
                                : NULL;
                if (owner && owner->n_processes > 0) {
                        row->known = true;
                        row->n_duplicates = owner->sum.n_duplicates;
                        row->n_zero = owner->sum.n_zero;
                }
                if (row->n_processes == 0 && row->n_unread == 0)
                        continue;
                r = append_row(l, row);
                any = true;
        }
        if (r < 0)
                listing_fail(l, r);
        else if (!any)
                listing_fail_none(l);
        else
                listing_answer(l);
}

static void next_name(struct listing *l);

static void on_name(void *userdata, const union worker_packet *row)
{
        struct listing *l = userdata;
        char *name;

        if (row->header.type != WORKER_ROW_RESOLVED || row->resolved.error < 0)
                return;
        name = strdup(worker_packet_get_text((union worker_packet *) row, sizeof(row->resolved)));
        if (!name)
                return;
        free(l->memory.rows[l->next].name);
        l->memory.rows[l->next].name = name;
}

/* A user without a name keeps his number. */
static void on_name_done(void *userdata, int unused)
{
        struct listing *l = userdata;

        l->next++;
        next_name(l);
}

static void next_name(struct listing *l)
{
        union worker_packet p;
        int r;

        if (l->memory.by != MEMORY_BY_USER || l->next >= MIN(l->memory.n_rows, (size_t) NAMES_MAX)) {
                append_rows(l);
                return;
        }
        worker_packet_init(&p, WORKER_RESOLVE, sizeof(p.resolve));
        p.resolve.kind = WORKER_RESOLVE_UID;
        worker_packet_text(&p, l->memory.rows[l->next].name);
        r = worker_call(l->manager->worker, &p, -1, on_name, on_name_done, l);
        if (r < 0)
                listing_fail(l, r);
}

/* The row of a library, or of no library. */
static struct memory_row *library_row(struct listing *l, const struct worker_usage_row *found,
                                      const char *path)
{
        struct memory_row row = { .file = found->file };
        size_t index;

        for (size_t i = 0; i < l->memory.n_rows; i++)
                if (mm_file_id_equal(&l->memory.rows[i].file, &found->file))
                        return &l->memory.rows[i];
        if (*path && l->memory.n_rows >= LISTING_ROWS_MAX)
                return NULL;
        row.name = copy_text(l, path);
        if (row.name && !streq(row.name, path)) {
                free(row.name);
                return NULL;
        }
        return add_row(l, &row, &index) < 0 ? NULL : &l->memory.rows[index];
}

static void on_usage(struct listing *l, const union worker_packet *p)
{
        const struct worker_usage_row *found = &p->usage_row;
        const char *path = worker_packet_get_text((union worker_packet *) p, sizeof(*found));
        struct memory_row *row;

        if (selector_has(&l->selector, SELECTOR_SHLIB)) {
                if (!mm_file_id_known(&found->file) || !listing_library_is_meant(l, &found->file, path))
                        return;
                l->memory.matched = true;
        }
        if (l->memory.by != MEMORY_BY_LIBRARY) {
                mm_usage_add(&l->memory.now, &found->usage);
                return;
        }
        /* What there is no room for is of no library. */
        row = library_row(l, found, path) ?: library_row(l, &(struct worker_usage_row) {}, "");
        if (!row)
                return;
        row->incomplete = row->incomplete || !mm_file_id_equal(&row->file, &found->file);
        mm_usage_add(&row->usage, &found->usage);
        if (row->last_process != l->next + 1) {
                row->last_process = l->next + 1;
                row->n_processes++;
        }
}

static void on_row(void *userdata, const union worker_packet *row)
{
        struct listing *l = userdata;

        if (row->header.type == WORKER_ROW_USAGE)
                on_usage(l, row);
        else if (row->header.type == WORKER_ROW_LOOKED) {
                l->memory.from = row->looked.next;
                l->memory.incomplete = l->memory.incomplete || row->looked.n_sparse > 0;
                limit_charge_seen(l->manager, &l->selector, row->looked.n_pages);
        }
}

static void end_process(struct listing *l, int error)
{
        const struct listing_waiting *w = &l->waiting[l->next];
        bool by_library = l->memory.by == MEMORY_BY_LIBRARY;
        bool matched = l->memory.matched || !selector_has(&l->selector, SELECTOR_SHLIB);
        struct memory_row *row = by_library ? NULL : &l->memory.rows[w->row];

        if (error >= 0 && !matched)
                error = -ESRCH;
        /* What was not seen may be of any library: it is told where no library is. */
        if (by_library && error != -ESRCH && (error < 0 || l->memory.incomplete))
                row = library_row(l, &(struct worker_usage_row) {}, "");
        if (row && error == -ESRCH)
                row->n_processes--;
        else if (row && error < 0)
                row->n_unread++;
        else if (row) {
                mm_usage_add(&row->usage, &l->memory.now);
                row->incomplete = row->incomplete || l->memory.incomplete;
        }
        l->memory.now = (struct mm_usage) {};
        l->memory.incomplete = l->memory.matched = false;
        l->memory.from = 0;
        l->next++;
}

static int open_process(const struct listing *l, const struct listing_waiting *w, struct mm_process *ret)
{
        return process_reopen(l->manager->proc_fd, w->pid, w->start_ticks, l->selector.only_own,
                              l->selector.owner, ret);
}

static void on_done(void *userdata, int error)
{
        _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;
        struct listing *l = userdata;
        const struct listing_waiting *w = &l->waiting[l->next];

        if (error == -ETIMEDOUT) {
                manager_mark_hung(l->manager, w->pid, w->start_ticks);
                limit_penalize(l->manager, &l->selector);
        }
        /* Meanwhile it may have become a program that has privileges. */
        if (error >= 0 && l->selector.only_own)
                error = open_process(l, w, &p);
        if (error < 0 || l->memory.from == 0)
                end_process(l, error);
        listing_memory(l);
}

static int call_worker(struct listing *l, const struct listing_waiting *w)
{
        _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;
        union worker_packet call;
        int r;

        if (manager_is_hung(l->manager, w->pid, w->start_ticks))
                return -ETIMEDOUT;
        r = open_process(l, w, &p);
        if (r < 0)
                return r;
        if (!limit_take(l->manager, &l->selector, 1))
                return -EDQUOT;
        worker_packet_init(&call, WORKER_USAGE, sizeof(call.usage));
        call.usage.exe = p.exe_id;
        call.usage.from = l->memory.from;
        call.usage.slice_usec = SLICE_USEC;
        call.usage.by_library = l->memory.by == MEMORY_BY_LIBRARY ||
                                selector_has(&l->selector, SELECTOR_SHLIB);
        return worker_call(l->manager->worker, &call, p.dir_fd, on_row, on_done, l);
}

void listing_memory(struct listing *l)
{
        while (l->next < l->n_waiting) {
                int r = call_worker(l, &l->waiting[l->next]);

                if (r >= 0)
                        return;
                if (r == -ENOMEM || r == -EMFILE || r == -ENFILE) {
                        listing_fail(l, r);
                        return;
                }
                end_process(l, r);
        }
        l->next = 0;
        next_name(l);
}
