/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/account-bus.h"
#include "daemon/limit.h"
#include "daemon/listing.h"
#include "daemon/policy.h"
#include "daemon/process-list.h"
#include "daemon/resolve.h"
#include "lib/owner.h"
#include "shared/format.h"
#include "shared/lookup.h"
#include "shared/names.h"

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
        listing_libraries_done(l);
        listing_cgroups_done(l);
        listing_memory_done(l);
        selector_done(&l->selector);
        sd_bus_message_unref(l->call);
        sd_bus_message_unref(l->reply);
        for (size_t i = 0; i < m->n_listings; i++)
                if (m->listings[i] == l)
                        m->listings[i] = m->listings[--m->n_listings];
        free(l);
        return NULL;
}

void listing_fail(struct listing *l, int error)
{
        if (error == -E2BIG)
                (void) sd_bus_reply_method_errorf(l->call, MERGEMEM_ERROR_LIMITS,
                                                  "There are too many processes for one list: ask for "
                                                  "fewer.");
        else
                (void) sd_bus_reply_method_errnof(l->call, error, "Cannot make the list: %m");
        listing_free(l);
}

static void fail_missing(struct listing *l, const struct selector_value *missing)
{
        const struct selector *s = &l->selector;
        const char *name = MERGEMEM_ERROR_NOTHING_MATCHES;
        _cleanup_(freep) char *text = NULL;

        if (missing)
                name = selector_missing_error(s, missing, &text);
        if (text)
                (void) sd_bus_reply_method_errorf(l->call, name, "%s", text);
        else
                (void) sd_bus_reply_method_errorf(l->call, name,
                                                  "No process%s that may be looked at matches all that was "
                                                  "asked for.", s->only_own ? " of your own" : "");
        listing_free(l);
}

void listing_fail_none(struct listing *l)
{
        const struct selector *s = &l->selector;

        fail_missing(l, selector_unseen(s, false) ?: selector_unseen(s, true));
}

static int append_process(struct listing *l, const struct mm_process *p, const char *unit,
                          enum exclusion why)
{
        const struct registered *g = registry_find(&l->manager->registry, p->pid, p->start_ticks);
        const struct registered *d = registry_find(&l->manager->merged, p->pid, p->start_ticks);
        const struct account_process *a = account_find(&l->manager->account, p->pid, p->start_ticks);
        uint64_t merged = (g ? g->merging_pages : 0) + (d ? d->merging_pages : 0);
        _cleanup_(freep) char *exe = NULL, *cgroup = NULL, *comm = NULL, *unit_text = NULL;
        int r;

        if (l->n_processes > LISTING_ROWS_MAX)
                return -E2BIG;
        /* Names come from programs, the bus takes only UTF-8. */
        comm = bus_text(p->comm);
        if (!comm)
                return -ENOMEM;
        r = answer_text_take_or_none(&l->text, unit ?: "", &unit_text);
        if (r >= 0)
                r = answer_text_take_or_none(&l->text, p->exe ?: "", &exe);
        if (r >= 0)
                r = answer_text_take_or_none(&l->text, p->cgroup ?: "", &cgroup);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(l->reply, 'r', "usustta{sv}");
        if (r >= 0)
                r = sd_bus_message_append(l->reply, "usustt", (uint32_t) p->pid, comm, p->ruid, unit_text,
                                          p->rss_anon_bytes, merged * MM_PAGE_SIZE);
        if (r >= 0)
                r = sd_bus_message_open_container(l->reply, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(l->reply, "{sv}{sv}{sv}", "exe", "s", exe, "cgroup", "s", cgroup,
                                          "excluded", "s", exclusion_to_string(why));
        if (r >= 0)
                r = account_append(a ? &a->figures : NULL, l->reply);
        if (r >= 0)
                r = sd_bus_message_close_container(l->reply);
        return r < 0 ? r : sd_bus_message_close_container(l->reply);
}

int listing_wait(struct listing *l, struct mm_process *p, size_t row)
{
        struct listing_waiting *waiting;

        waiting = array_grow(l->waiting, l->n_waiting, sizeof(*waiting));
        if (!waiting)
                return -ENOMEM;
        l->waiting = waiting;
        waiting[l->n_waiting++] = (struct listing_waiting) {
                .pid = p->pid,
                .start_ticks = p->start_ticks,
                .dir_fd = l->kind == LISTING_LIBRARIES ? TAKE_FD(p->dir_fd) : -EBADF,
                .exe_id = p->exe_id,
                .row = row,
        };
        return 0;
}

static int on_process(void *userdata, struct mm_process *p, const char *unit)
{
        struct listing *l = userdata;
        enum exclusion why = manager_exclude(l->manager, p, selector_names_processes(&l->selector));

        account_seen(&l->manager->account, p->pid, p->start_ticks);
        if (!selector_match(&l->selector, p, unit) || why == EXCLUSION_KERNEL || why == EXCLUSION_ENDED)
                return 0;
        if (l->n_processes++ >= LISTING_PROCESSES_MAX)
                return -E2BIG;
        if (l->kind == LISTING_PROCESSES)
                return append_process(l, p, unit, why);
        if (l->kind == LISTING_CGROUPS)
                return listing_cgroups_add(l, p, unit);
        if (l->kind == LISTING_MEMORY)
                return listing_memory_add(l, p, unit);

        if (l->kind == LISTING_LIBRARIES && why != EXCLUSION_NONE)
                return 0;
        return listing_wait(l, p, 0);
}

void listing_answer(struct listing *l)
{
        int r;

        r = sd_bus_message_close_container(l->reply);
        if (r >= 0)
                r = sd_bus_send(NULL, l->reply, NULL);
        if (r < 0) {
                listing_fail(l, r);
                return;
        }
        listing_free(l);
}

static void on_list_done(void *userdata, int error)
{
        struct listing *l = userdata;

        l->list = NULL;
        if (error < 0) {
                listing_fail(l, error);
                return;
        }
        account_pass_end(&l->manager->account, l->pass);
        if (l->n_processes == 0 && l->selector.n_values > 0)
                listing_fail_none(l);
        else if (l->kind == LISTING_LIBRARIES)
                listing_libraries(l);
        else if (l->kind == LISTING_OWNERS)
                listing_owners(l);
        else if (l->kind == LISTING_CGROUPS)
                listing_cgroups(l);
        else if (l->kind == LISTING_MEMORY)
                listing_memory(l);
        else
                listing_answer(l);
}

static void on_resolve_done(void *userdata, int error)
{
        struct listing *l = userdata;
        int r = error;

        if (r == -ESRCH) {
                fail_missing(l, &l->selector.values[l->resolve.next]);
                return;
        }
        if (r == -ETIMEDOUT)
                limit_penalize(l->manager, &l->selector);
        manager_update_account(l->manager);
        l->total = l->manager->account.total;
        l->pass = account_pass_begin(&l->manager->account);
        if (r >= 0)
                r = process_list_new(l->manager->event, l->manager->proc_fd, on_process, on_list_done, l,
                                     &l->list);
        if (r < 0)
                listing_fail(l, r);
}

static const char *const row_types[] = {
        [LISTING_PROCESSES] = "(usustta{sv})",
        [LISTING_LIBRARIES] = "(sttuta{sv})",
        [LISTING_OWNERS] = "(ssua{sv})",
        [LISTING_CGROUPS] = "(ssuta{sv})",
        [LISTING_MEMORY] = "(sutttta{sv})",
};

int listing_new(Manager *manager, enum listing_kind kind, enum memory_by by, struct selector *s,
                sd_bus_message *m)
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
                .manager = manager,
                .call = sd_bus_message_ref(m),
                .kind = kind,
                .selector = *s,
                .memory.by = by,
        };
        *s = (struct selector) {};
        listings[manager->n_listings++] = l;
        r = sd_bus_message_new_method_return(m, &l->reply);
        if (r >= 0)
                r = sd_bus_message_open_container(l->reply, 'a', row_types[kind]);
        if (r < 0) {
                listing_free(l);
                return r;
        }
        resolve_start(&l->resolve, manager->worker, &l->selector, on_resolve_done, l);
        return 1;
}
