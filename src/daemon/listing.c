/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/listing.h"
#include "daemon/policy.h"
#include "daemon/process-list.h"
#include "daemon/resolve.h"
#include "lib/owner.h"
#include "shared/format.h"
#include "shared/names.h"

/* Answers stay well below the 128 MiB that D-Bus allows. */
#define ROWS_MAX 65536U

struct library {
        struct mm_file_id file;
        char *path;
        uint32_t n_processes;
        uint64_t private_bytes;
        size_t last_process; /* that it was counted for, from 1 */
};

/* A process whose libraries are still to be asked for. */
struct waiting {
        pid_t pid;
        uint64_t start_ticks;
        int dir_fd;
        struct mm_file_id exe_id;
};

struct listing {
        Manager *manager;
        sd_bus_message *call, *reply;
        bool libraries;
        struct selector selector;
        struct resolve resolve;
        struct process_list *list;
        struct waiting *waiting;
        size_t n_waiting, next;
        struct library *rows;
        size_t n_rows, n_processes;
};

static void next_process(struct listing *l);

struct listing *listing_free(struct listing *l)
{
        Manager *m;

        if (!l)
                return NULL;
        m = l->manager;
        worker_forget(m->worker, l);
        resolve_stop(&l->resolve);
        process_list_free(l->list);
        for (size_t i = 0; i < l->n_waiting; i++)
                safe_close(l->waiting[i].dir_fd);
        free(l->waiting);
        for (size_t i = 0; i < l->n_rows; i++)
                free(l->rows[i].path);
        free(l->rows);
        selector_done(&l->selector);
        sd_bus_message_unref(l->call);
        sd_bus_message_unref(l->reply);
        for (size_t i = 0; i < m->n_listings; i++)
                if (m->listings[i] == l)
                        m->listings[i] = m->listings[--m->n_listings];
        free(l);
        return NULL;
}

static void fail(struct listing *l, int error)
{
        (void) sd_bus_reply_method_errnof(l->call, error, "Cannot make the list: %m");
        listing_free(l);
}

static int append_process(struct listing *l, const struct mm_process *p, const char *unit,
                          enum exclusion why)
{
        const struct registered *g = registry_find(&l->manager->registry, p->pid, p->start_ticks);
        const struct registered *d = registry_find(&l->manager->merged, p->pid, p->start_ticks);
        uint64_t merged = (g ? g->merging_pages : 0) + (d ? d->merging_pages : 0);
        _cleanup_(freep) char *exe = NULL, *cgroup = NULL, *comm = NULL;

        /* Names come from programs, the bus takes only UTF-8. */
        comm = bus_text(p->comm);
        exe = bus_text(p->exe ?: "");
        cgroup = bus_text(p->cgroup ?: "");
        if (!comm || !exe || !cgroup)
                return -ENOMEM;
        return sd_bus_message_append(l->reply, "(usustta{sv})", (uint32_t) p->pid, comm, p->ruid, unit ?: "",
                                     p->rss_anon_bytes, merged * MM_PAGE_SIZE, 3, "exe",
                                     "s", exe, "cgroup", "s", cgroup, "excluded", "s",
                                     exclusion_to_string(why));
}

static int on_process(void *userdata, struct mm_process *p, const char *unit)
{
        struct listing *l = userdata;
        enum exclusion why = policy_exclude(p, selector_names_processes(&l->selector));
        struct waiting *waiting;

        if (why == EXCLUSION_KERNEL || why == EXCLUSION_ENDED || !selector_match(&l->selector, p, unit))
                return 0;
        if (l->n_processes++ >= ROWS_MAX)
                return -E2BIG;
        if (p->pid == getpid() || p->pid == worker_pid(l->manager->worker))
                why = EXCLUSION_SELF;
        if (!l->libraries)
                return append_process(l, p, unit, why);

        if (why != EXCLUSION_NONE || manager_is_hung(l->manager, p->pid, p->start_ticks))
                return 0;
        waiting = reallocarray(l->waiting, l->n_waiting + 1, sizeof(*waiting));
        if (!waiting)
                return -ENOMEM;
        l->waiting = waiting;
        waiting[l->n_waiting++] = (struct waiting) {
                .pid = p->pid,
                .start_ticks = p->start_ticks,
                .dir_fd = TAKE_FD(p->dir_fd),
                .exe_id = p->exe_id,
        };
        return 0;
}

static void answer(struct listing *l)
{
        int r;

        r = sd_bus_message_close_container(l->reply);
        if (r >= 0)
                r = sd_bus_send(NULL, l->reply, NULL);
        if (r < 0) {
                fail(l, r);
                return;
        }
        listing_free(l);
}

static void append_libraries(struct listing *l)
{
        for (size_t i = 0; i < l->n_rows; i++) {
                const struct library *row = &l->rows[i];
                _cleanup_(freep) char *path = bus_text(row->path);
                int r = -ENOMEM;

                if (path)
                        r = sd_bus_message_append(l->reply, "(sttuta{sv})", path, (uint64_t) row->file.dev,
                                                  (uint64_t) row->file.ino, row->n_processes,
                                                  row->private_bytes, 0);
                if (r < 0) {
                        fail(l, r);
                        return;
                }
        }
        answer(l);
}

static bool library_is_asked_for(struct listing *l, const struct mm_file_id *file, const char *path)
{
        if (!selector_has(&l->selector, SELECTOR_SHLIB))
                return true;
        for (size_t i = 0; i < l->selector.n_values; i++) {
                const struct selector_value *v = &l->selector.values[i];

                if (v->kind == SELECTOR_SHLIB &&
                    (mm_file_id_known(&v->file) ? mm_file_id_equal(&v->file, file)
                                                : mm_library_name_match(v->text, path)))
                        return true;
        }
        return false;
}

static void on_library(void *userdata, const union worker_packet *row)
{
        struct listing *l = userdata;
        const struct worker_library_row *found = &row->library_row;
        const char *path = worker_packet_get_text((union worker_packet *) row, sizeof(*found));
        struct library *rows;
        size_t i;

        if (row->header.type != WORKER_ROW_LIBRARY || !library_is_asked_for(l, &found->file, path))
                return;
        for (i = 0; i < l->n_rows && !mm_file_id_equal(&l->rows[i].file, &found->file); i++)
                ;
        if (i == l->n_rows) {
                rows = l->n_rows < ROWS_MAX ? reallocarray(l->rows, l->n_rows + 1, sizeof(*rows)) : NULL;
                if (!rows)
                        return;
                l->rows = rows;
                rows[i] = (struct library) { .file = found->file, .path = strdup(path) };
                if (!rows[i].path)
                        return;
                l->n_rows++;
        }
        l->rows[i].private_bytes += found->private_bytes;
        /* A library has several ranges in one process. */
        if (l->rows[i].last_process != l->next + 1) {
                l->rows[i].last_process = l->next + 1;
                l->rows[i].n_processes++;
        }
}

static void on_library_done(void *userdata, int error)
{
        struct listing *l = userdata;
        const struct waiting *w = &l->waiting[l->next];

        if (error == -ETIMEDOUT)
                manager_mark_hung(l->manager, w->pid, w->start_ticks);
        /* Whatever else: the process ended or refuses to be looked at, and the list goes on. */
        l->next++;
        next_process(l);
}

static void next_process(struct listing *l)
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
                fail(l, r);
}

static void on_list_done(void *userdata, int error)
{
        struct listing *l = userdata;

        l->list = NULL;
        if (error < 0)
                fail(l, error);
        else if (l->libraries)
                next_process(l);
        else
                answer(l);
}

static void on_resolve_done(void *userdata, int error)
{
        struct listing *l = userdata;
        int r = error;

        if (r == -ESRCH) {
                (void) sd_bus_reply_method_errorf(l->call, MERGEMEM_ERROR_NO_SUCH_USER,
                                                  "There is no user \"%s\".",
                                                  l->selector.values[l->resolve.next].text);
                listing_free(l);
                return;
        }
        if (r >= 0)
                r = process_list_new(l->manager->event, l->manager->proc_fd, on_process, on_list_done, l,
                                     &l->list);
        if (r < 0)
                fail(l, r);
}

int listing_new(Manager *manager, bool libraries, struct selector *s, sd_bus_message *m)
{
        struct listing **listings, *l;
        int r;

        if (manager->n_listings >= LISTINGS_MAX)
                return -ENOBUFS;
        listings = reallocarray(manager->listings, manager->n_listings + 1, sizeof(struct listing *));
        if (!listings)
                return -ENOMEM;
        manager->listings = listings;
        l = malloc(sizeof(*l));
        if (!l)
                return -ENOMEM;
        *l = (struct listing) {
                .manager = manager, .call = sd_bus_message_ref(m), .libraries = libraries, .selector = *s
        };
        *s = (struct selector) {};
        listings[manager->n_listings++] = l;
        r = sd_bus_message_new_method_return(m, &l->reply);
        if (r >= 0)
                r = sd_bus_message_open_container(l->reply, 'a',
                                                  libraries ? "(sttuta{sv})" : "(usustta{sv})");
        if (r < 0) {
                listing_free(l);
                return r;
        }
        resolve_start(&l->resolve, manager->worker, &l->selector, on_resolve_done, l);
        return 1;
}
