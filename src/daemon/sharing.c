/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/called-process.h"
#include "daemon/pages-options.h"
#include "daemon/process-list.h"
#include "daemon/reopen.h"
#include "daemon/sharing.h"
#include "daemon/worker.h"
#include "shared/bus.h"
#include "shared/format.h"
#include "shared/names.h"

#define SLICE_USEC 100000U
/* Processes that are looked at; a larger machine is beyond what this is for. */
#define OTHERS_MAX 65536U
/* Runs in one answer: below 1 MiB of it. */
#define RUNS_MAX 16384U
/* Workers that may be lost in one answer. */
#define RESTARTS_MAX 3U

struct other {
        pid_t pid;
        uint64_t start_ticks;
        uid_t uid;
        char comm[MM_COMM_MAX];
        struct mm_shared_run *runs;
        size_t n_kept;
        uint64_t n_pages[MM_PAGE_KIND_MAX_];
        uint64_t n_runs;
};

struct sharing {
        Manager *manager;
        sd_bus_message *call;
        struct other target;
        uint64_t from, to, id;
        uint64_t n_mappings;
        uint64_t next_frames; /* where more frames are that could not be remembered; 0: none */
        struct process_list *list;
        struct other *others;
        size_t n_others, next;
        size_t n_kept;
        struct other now; /* of the process at hand */
        uint64_t next_from;
        bool full;
        bool target_known; /* what it shares is counted; maybe its frames are noted once more */
        unsigned n_restarts;
};

static void other_done(struct other *o)
{
        free(o->runs);
}

static void run_first(Manager *m);

static struct sharing *sharing_free(struct sharing *s)
{
        Manager *m;

        if (!s)
                return NULL;
        m = s->manager;
        worker_forget(m->worker, s);
        process_list_free(s->list);
        for (size_t i = 0; i < s->n_others; i++)
                other_done(&s->others[i]);
        free(s->others);
        other_done(&s->target);
        other_done(&s->now);
        sd_bus_message_unref(s->call);
        for (size_t i = 0; i < m->n_sharing; i++)
                if (m->sharing[i] == s) {
                        memmove(m->sharing + i, m->sharing + i + 1, (m->n_sharing - i - 1) * sizeof(s));
                        m->n_sharing--;
                }
        free(s);
        return NULL;
}

void sharing_done(Manager *m)
{
        while (m->n_sharing > 0)
                sharing_free(m->sharing[m->n_sharing - 1]);
}

/* It is answered: the next one's turn. */
static void end(struct sharing *s)
{
        Manager *m = s->manager;

        sharing_free(s);
        run_first(m);
}

static void fail(struct sharing *s, int r)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        if (r == -ESRCH)
                r = called_process_is_gone(s->target.pid, &error);
        else if (r == -ETIMEDOUT)
                r = sd_bus_error_setf(&error, MERGEMEM_ERROR_FAILED,
                                      "The memory of process %d does not answer.", s->target.pid);
        else
                r = sd_bus_error_set_errnof(&error, r,
                                            "Cannot look at who shares memory with process %d: %s",
                                            s->target.pid, strerror(-r));
        (void) sd_bus_reply_method_errno(s->call, r, &error);
        end(s);
}

static const char *kind_name(enum mm_page_kind kind)
{
        switch (kind) {
        case MM_PAGE_IS_FILE:
                return "file";
        case MM_PAGE_IS_ANON:
                return "anon";
        case MM_PAGE_IS_KSM:
                return "ksm";
        case MM_PAGE_IS_DIRECT:
                return "direct";
        default:
                return "hugetlb";
        }
}

static int append_runs(sd_bus_message *m, const struct other *o)
{
        int r;

        r = bus_open_array(m, "runs", "(tttts)");
        for (size_t i = 0; i < o->n_kept && r >= 0; i++)
                r = sd_bus_message_append(m, "(tttts)", o->runs[i].here, o->runs[i].there,
                                          o->runs[i].n_pages, o->runs[i].frame,
                                          kind_name(o->runs[i].kind));
        return r < 0 ? r : bus_close_array(m);
}

/* @n_mappings: of the target itself. */
static int append_other(sd_bus_message *m, const struct other *o, uint64_t n_mappings)
{
        _cleanup_(freep) char *comm = bus_text(o->comm);
        int r;

        if (!comm)
                return -ENOMEM;
        r = sd_bus_message_open_container(m, 'r', "usutttta{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "usutttt", (uint32_t) o->pid, comm, (uint32_t) o->uid,
                                          o->n_pages[MM_PAGE_IS_FILE], o->n_pages[MM_PAGE_IS_ANON],
                                          o->n_pages[MM_PAGE_IS_KSM], o->n_pages[MM_PAGE_IS_DIRECT]);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "hugetlb_pages", "t", o->n_pages[MM_PAGE_IS_HUGETLB]);
        if (r >= 0 && n_mappings > 0)
                r = sd_bus_message_append(m, "{sv}", "mappings", "t", n_mappings);
        if (r >= 0 && o->n_runs > 0)
                r = sd_bus_message_append(m, "{sv}", "run_count", "t", o->n_runs);
        if (r >= 0 && o->n_runs > 0)
                r = append_runs(m, o);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int answer(struct sharing *s)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(s->call, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(usutttta{sv})");
        if (r >= 0)
                r = append_other(reply, &s->target, s->n_mappings);
        for (size_t i = 0; i < s->n_others && r >= 0; i++)
                if (s->others[i].n_runs > 0)
                        r = append_other(reply, &s->others[i], 0);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "t", s->next_frames);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int keep_runs(struct sharing *s, const struct worker_shared *shared)
{
        size_t room = MIN(WORKER_SHARED_RUNS_MAX - s->now.n_kept, RUNS_MAX - s->n_kept - s->now.n_kept);
        size_t n = MIN((size_t) shared->n, room);
        struct mm_shared_run *runs;

        if (n == 0)
                return 0;
        runs = reallocarray(s->now.runs, s->now.n_kept + n, sizeof(*runs));
        if (!runs)
                return -ENOMEM;
        memcpy(runs + s->now.n_kept, shared->runs, n * sizeof(*runs));
        s->now.runs = runs;
        s->now.n_kept += n;
        return 0;
}

static void on_row(void *userdata, const union worker_packet *row)
{
        const struct worker_shared *shared = &row->shared;
        struct sharing *s = userdata;

        if (row->header.type == WORKER_ROW_LOOKED) {
                s->next_from = row->looked.next;
                s->full = row->looked.full;
        }
        if (row->header.type != WORKER_ROW_SHARED || shared->n > WORKER_SHARED_RUNS_MAX ||
            shared->header.size != sizeof(*shared) + shared->n * sizeof(shared->runs[0]))
                return;
        for (int i = 0; i < MM_PAGE_KIND_MAX_; i++)
                s->now.n_pages[i] += shared->n_pages[i];
        s->now.n_runs += shared->n_runs;
        if (!s->target_known)
                s->n_mappings += shared->n_mappings;
        /* What is not kept is counted all the same. */
        (void) keep_runs(s, shared);
}

/* What was found in the process at hand is kept, or forgotten. */
static void end_process(struct sharing *s, struct other *o, bool keep)
{
        if (keep) {
                memcpy(o->n_pages, s->now.n_pages, sizeof(o->n_pages));
                o->n_runs = s->now.n_runs;
                o->n_kept = s->now.n_kept;
                o->runs = TAKE_PTR(s->now.runs);
                s->n_kept += o->n_kept;
        }
        other_done(&s->now);
        s->now = (struct other) {};
        s->next_from = 0;
}

static void look_at_target(struct sharing *s);
static void look_at_others(struct sharing *s);

static int call_worker(struct sharing *s, uint32_t type, const struct other *o, worker_done_t done)
{
        _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;
        union worker_packet call;
        int r;

        if (manager_is_hung(s->manager, o->pid, o->start_ticks))
                return -ETIMEDOUT;
        r = process_reopen(s->manager->proc_fd, o->pid, o->start_ticks, false, 0, &p);
        if (r < 0)
                return r;
        worker_packet_init(&call, type, sizeof(call.share));
        call.share.id = s->id;
        call.share.from = s->next_from;
        call.share.to = type == WORKER_SHARE ? s->to : UINT64_MAX;
        call.share.slice_usec = SLICE_USEC;
        call.share.begins = s->next_from == s->from;
        call.share.self = o->pid == s->target.pid;
        return worker_call(s->manager->worker, &call, p.dir_fd, on_row, done, s);
}

static struct other other_of(const struct mm_process *p)
{
        struct other o = { .pid = p->pid, .start_ticks = p->start_ticks, .uid = p->ruid };

        memcpy(o.comm, p->comm, sizeof(o.comm));
        return o;
}

static int on_process(void *userdata, struct mm_process *p, const char *unit)
{
        struct sharing *s = userdata;
        struct other *others;

        if (p->kernel_thread || p->state == 'Z' || p->state == 'X')
                return 0;
        if (s->n_others >= OTHERS_MAX)
                return -E2BIG;
        others = reallocarray(s->others, s->n_others + 1, sizeof(*others));
        if (!others)
                return -ENOMEM;
        s->others = others;
        others[s->n_others++] = other_of(p);
        return 0;
}

static void on_list_done(void *userdata, int error)
{
        struct sharing *s = userdata;

        s->list = NULL;
        if (error < 0)
                fail(s, error);
        else
                look_at_others(s);
}

/* All of its frames are noted: now for the others, or on with those that a worker was lost with. */
static void target_done(struct sharing *s)
{
        int r;

        end_process(s, &s->target, !s->target_known);
        s->target_known = true;
        if (s->others) {
                look_at_others(s);
                return;
        }
        r = process_list_new(s->manager->event, s->manager->proc_fd, on_process, on_list_done, s, &s->list);
        if (r < 0)
                fail(s, r);
}

/* A worker that was replaced knows nothing of the frames: they are noted once more. */
static void restart(struct sharing *s, int error)
{
        if (s->n_restarts++ >= RESTARTS_MAX) {
                fail(s, error);
                return;
        }
        end_process(s, NULL, false);
        if (!s->target_known)
                s->n_mappings = 0;
        s->next_from = s->from;
        look_at_target(s);
}

static void on_target_done(void *userdata, int error)
{
        struct sharing *s = userdata;

        if (error == -ETIMEDOUT)
                manager_mark_hung(s->manager, s->target.pid, s->target.start_ticks);
        if (error == -EPIPE || error == -ESTALE)
                restart(s, error);
        else if (error < 0)
                fail(s, error);
        else if (s->next_from > 0 && !s->full)
                look_at_target(s);
        else {
                s->next_frames = s->full ? s->next_from : s->next_frames;
                s->to = s->full ? s->next_from : s->to;
                target_done(s);
        }
}

static void look_at_target(struct sharing *s)
{
        int r;

        r = call_worker(s, WORKER_SHARE, &s->target, on_target_done);
        if (r < 0)
                fail(s, r);
}

static void on_other_done(void *userdata, int error)
{
        struct sharing *s = userdata;
        struct other *o = &s->others[s->next];

        if (error == -ETIMEDOUT)
                manager_mark_hung(s->manager, o->pid, o->start_ticks);
        if (error == -ETIMEDOUT || error == -EPIPE || error == -ESTALE) {
                restart(s, error);
                return;
        }
        if (error < 0 || s->next_from == 0) {
                end_process(s, o, error >= 0);
                s->next++;
        }
        look_at_others(s);
}

static void look_at_others(struct sharing *s)
{
        int r;

        for (; s->next < s->n_others; s->next++) {
                r = call_worker(s, WORKER_SHARE_WITH, &s->others[s->next], on_other_done);
                if (r >= 0)
                        return;
                if (r == -ENOMEM || r == -EMFILE || r == -ENFILE) {
                        fail(s, r);
                        return;
                }
                /* It has ended, or does not answer. */
                end_process(s, &s->others[s->next], false);
        }
        r = answer(s);
        if (r < 0)
                fail(s, r);
        else
                end(s);
}

static void run_first(Manager *m)
{
        if (m->n_sharing > 0)
                look_at_target(m->sharing[0]);
}

static int start(Manager *m, sd_bus_message *call, const struct pages_options *o, const struct mm_process *p,
                 sd_bus_error *error)
{
        struct sharing *s;

        if (m->n_sharing >= SHARING_MAX)
                return sd_bus_error_setf(error, MERGEMEM_ERROR_LIMITS,
                                         "%u such answers are being made already.", SHARING_MAX);
        s = malloc(sizeof(*s));
        if (!s)
                return -ENOMEM;
        *s = (struct sharing) {
                .manager = m,
                .call = sd_bus_message_ref(call),
                .from = o->from,
                .to = o->to,
                .id = ++m->last_sharing_id,
                .next_from = o->from,
                .target = other_of(p),
        };
        m->sharing[m->n_sharing++] = s;
        if (m->n_sharing == 1)
                run_first(m);
        return 1;
}

static int read_call(Manager *m, sd_bus_message *call, struct pages_options *o, struct mm_process *p,
                     sd_bus_error *error)
{
        int r;

        r = called_process_read(m, call, p, error);
        if (r >= 0)
                r = pages_options_read(call, true, o, error);
        if (r < 0)
                return r;
        return p->kernel_thread ? called_process_is_gone(p->pid, error) : 0;
}

static int start_permitted(Manager *m, sd_bus_message *call, enum auth_action granted, sd_bus_error *error)
{
        _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;
        struct pages_options o;
        int r;

        r = read_call(m, call, &o, &p, error);
        return r < 0 ? r : start(m, call, &o, &p, error);
}

int sharing_get(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
        _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;
        struct pages_options o;
        int r;

        /* Who shares with whom is not even for a user's own processes. */
        r = read_call(userdata, call, &o, &p, error);
        return r < 0 ? r : auth_check(userdata, call, AUTH_INSPECT, start_permitted, error);
}
