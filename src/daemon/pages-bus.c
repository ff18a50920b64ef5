/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/called-process.h"
#include "daemon/limit.h"
#include "daemon/pages-bus.h"
#include "daemon/pages-options.h"
#include "daemon/policy.h"
#include "daemon/reopen.h"
#include "daemon/resolve.h"
#include "lib/owner.h"
#include "shared/format.h"
#include "shared/names.h"

#define SLICE_USEC 100000U

struct paging {
        Manager *manager;
        sd_bus_message *call, *reply;
        pid_t pid;
        uint64_t start_ticks;
        uid_t uid;     /* who asks */
        bool only_own; /* and is told what is his own only */
        struct pages_options options;
        struct selector file; /* the owner, if it is given by path */
        struct resolve resolve;
        uint64_t next;
        bool matched, looked;
        int error; /* of the reply being written */
};

static struct paging *paging_free(struct paging *p)
{
        Manager *m;

        if (!p)
                return NULL;
        m = p->manager;
        worker_forget(m->worker, p);
        resolve_stop(&p->resolve);
        selector_done(&p->file);
        for (size_t i = 0; i < m->n_paging; i++)
                if (m->paging[i] == p)
                        m->paging[i] = m->paging[--m->n_paging];
        sd_bus_message_unref(p->call);
        sd_bus_message_unref(p->reply);
        free(p);
        return NULL;
}
DEFINE_CLEANUP_FUNC(struct paging *, paging_free)

uid_t paging_uid(const struct paging *p)
{
        return p->uid;
}

void pages_done(Manager *m)
{
        while (m->n_paging > 0)
                paging_free(m->paging[0]);
}

static int append_run(sd_bus_message *m, const struct mm_run *run, const char *kind, const char *owner)
{
        int r;

        r = sd_bus_message_open_container(m, 'r', "tttttssa{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "tttttssa{sv}", run->address, run->n_pages, run->frame,
                                          run->count, run->flags, kind, owner, 0);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* For whose quota it is. */
static struct selector his_selector(const struct paging *p)
{
        return (struct selector) { .only_own = p->only_own, .owner = p->uid };
}

static void on_row(void *userdata, const union worker_packet *row)
{
        const struct worker_runs *runs = &row->runs;
        _cleanup_(freep) char *owner = NULL;
        struct paging *p = userdata;
        const struct selector his = his_selector(p);
        const char *kind;

        if (row->header.type == WORKER_ROW_LOOKED) {
                p->next = row->looked.next;
                p->matched = row->looked.matched;
                p->looked = true;
                limit_charge_seen(p->manager, &his, row->looked.n_pages);
        }
        if (row->header.type != WORKER_ROW_RUNS || runs->n > WORKER_RUNS_MAX)
                return;
        kind = mm_owner_kind_name(runs->kind);
        owner = bus_text(worker_packet_get_text((union worker_packet *) row,
                                                sizeof(*runs) + runs->n * sizeof(runs->runs[0])));
        if (!owner)
                p->error = -ENOMEM;
        for (uint32_t i = 0; i < runs->n && p->error >= 0; i++)
                p->error = append_run(p->reply, &runs->runs[i], kind ?: "", owner);
}

/* The reply is whole, or @error says why there is none. */
static int answer(struct paging *p, int result, sd_bus_error *error)
{
        int r = result < 0 ? result : p->error;

        if (r == -ESRCH)
                return called_process_is_gone(p->pid, error);
        if (r == -ETIMEDOUT)
                return sd_bus_error_setf(error, MERGEMEM_ERROR_FAILED,
                                         "The memory of process %d does not answer.", p->pid);
        if (r < 0)
                return sd_bus_error_set_errnof(error, r, "Cannot look at the memory of process %d: %s",
                                               p->pid, strerror(-r));
        if (!p->looked)
                return -EBADMSG;
        if (!p->matched)
                return sd_bus_error_setf(error, MERGEMEM_ERROR_NO_SUCH_LIBRARY,
                                         "Process %d has no memory of \"%s\".", p->pid, p->options.owner);
        r = sd_bus_message_close_container(p->reply);
        if (r >= 0)
                r = sd_bus_message_append(p->reply, "t", p->next);
        return r < 0 ? r : sd_bus_send(NULL, p->reply, NULL);
}

static int open_process(const struct paging *p, struct mm_process *ret)
{
        return process_reopen(p->manager->proc_fd, p->pid, p->start_ticks, p->only_own, p->uid, ret);
}

static void penalize(const struct paging *p)
{
        const struct selector his = his_selector(p);

        limit_penalize(p->manager, &his);
}

static void on_done(void *userdata, int result)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(mm_process_done) struct mm_process process = MM_PROCESS_NULL;
        _cleanup_(paging_freep) struct paging *p = userdata;
        int r;

        if (result == -ETIMEDOUT) {
                manager_mark_hung(p->manager, p->pid, p->start_ticks);
                penalize(p);
        }
        /* Meanwhile it may have become a program that has privileges. */
        if (result >= 0 && p->only_own)
                result = open_process(p, &process);
        r = answer(p, result, &error);
        if (r < 0)
                (void) sd_bus_reply_method_errno(p->call, r, &error);
}

static int call_worker(struct paging *p)
{
        _cleanup_(mm_process_done) struct mm_process process = MM_PROCESS_NULL;
        const struct pages_options *o = &p->options;
        union worker_packet call;
        int r;

        r = open_process(p, &process);
        if (r < 0)
                return r;
        worker_packet_init(&call, WORKER_PAGES, sizeof(call.pages));
        call.pages.exe = process.exe_id;
        call.pages.from = o->from;
        call.pages.to = o->to;
        call.pages.slice_usec = SLICE_USEC;
        call.pages.max_runs = o->max_runs;
        call.pages.max_bytes = PAGES_BYTES_MAX;
        call.pages.n_filters = o->n_filters;
        memcpy(call.pages.filters, o->filters, sizeof(call.pages.filters));
        call.pages.reduced = p->only_own;
        if (p->file.n_values > 0)
                call.pages.file = p->file.values[0].file;
        worker_packet_text(&call, o->owner);
        return worker_call(p->manager->worker, &call, process.dir_fd, on_row, on_done, p);
}

/* The owner is known, or that there is no such file. */
static void on_resolved(void *userdata, int result)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        struct paging *p = userdata;
        int r;

        if (result < 0) {
                penalize(p);
                r = sd_bus_error_setf(&error, MERGEMEM_ERROR_FAILED,
                                      "Cannot look up %s: the file system does not answer.",
                                      p->options.owner);
        } else {
                r = call_worker(p);
                if (r >= 0)
                        return;
                r = answer(p, r, &error);
        }
        (void) sd_bus_reply_method_errno(p->call, r, &error);
        paging_free(p);
}

static int check(Manager *m, const struct mm_process *process, const struct pages_options *o, uid_t uid,
                 bool only_own, sd_bus_error *error)
{
        const struct selector his = { .only_own = only_own, .owner = uid };

        if (only_own && !pages_options_are_for_users(o))
                return sd_bus_error_set(
                        error, SD_BUS_ERROR_ACCESS_DENIED,
                        "Flags but file, swap, mmap_exclusive and zero_page are for root, and "
                        "with \"others\" for whom polkit permits to inspect.");
        if (manager_is_hung(m, process->pid, process->start_ticks))
                return sd_bus_error_setf(error, MERGEMEM_ERROR_FAILED,
                                         "The memory of process %d did not answer lately.", process->pid);
        return limit_paging(m, &his, error);
}

/* Reads the call, and the process it is about. */
static int read_call(Manager *m, sd_bus_message *call, struct pages_options *o, struct mm_process *process,
                     sd_bus_error *error)
{
        int r;

        r = called_process_read(m, call, process, error);
        if (r >= 0)
                r = pages_options_read(call, false, o, error);
        if (r < 0)
                return r;
        return process->kernel_thread ? called_process_is_gone(process->pid, error) : 0;
}

static int start(Manager *m, sd_bus_message *call, const struct pages_options *o,
                 const struct mm_process *process, uid_t uid, bool only_own, sd_bus_error *error)
{
        _cleanup_(paging_freep) struct paging *p = NULL;
        struct paging *begun;
        int r;

        r = check(m, process, o, uid, only_own, error);
        if (r < 0)
                return r;
        p = malloc(sizeof(*p));
        if (!p)
                return -ENOMEM;
        *p = (struct paging) {
                .manager = m,
                .call = sd_bus_message_ref(call),
                .pid = process->pid,
                .start_ticks = process->start_ticks,
                .uid = uid,
                .only_own = only_own,
                .options = *o,
        };
        m->paging[m->n_paging++] = p;
        r = sd_bus_message_new_method_return(call, &p->reply);
        if (r >= 0)
                r = sd_bus_message_open_container(p->reply, 'a', "(tttttssa{sv})");
        if (r >= 0 && *o->owner == '/')
                r = selector_add(&p->file, SELECTOR_SHLIB, o->owner, 0);
        if (r < 0)
                return r;
        begun = TAKE_PTR(p);
        resolve_start(&begun->resolve, m->worker, &begun->file, on_resolved, begun);
        return 1;
}

static int start_permitted(Manager *m, sd_bus_message *call, enum auth_action granted, sd_bus_error *error)
{
        _cleanup_(mm_process_done) struct mm_process process = MM_PROCESS_NULL;
        struct pages_options o;
        uid_t uid;
        int r;

        r = auth_caller(m, call, &uid, error);
        if (r >= 0)
                r = read_call(m, call, &o, &process, error);
        return r < 0 ? r : start(m, call, &o, &process, uid, false, error);
}

int pages_get(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        _cleanup_(mm_process_done) struct mm_process process = MM_PROCESS_NULL;
        Manager *m = userdata;
        struct pages_options o;
        uid_t uid;
        int r;

        r = read_call(m, call, &o, &process, error);
        if (r >= 0)
                r = auth_caller(m, call, &uid, error);
        if (r < 0)
                return r;
        if (uid == 0 || o.others || !policy_own_memory_is_told(&process, uid))
                return auth_check(m, call, AUTH_INSPECT, start_permitted, error);
        return start(m, call, &o, &process, uid, true, error);
}
