/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/layout-bus.h"
#include "daemon/layout-caller.h"
#include "daemon/manager.h"
#include "shared/clock.h"
#include "shared/format.h"
#include "shared/log.h"
#include "shared/names.h"

/* Who asks is asked for at the bus, and then looked at. */

/* The bus answers at once or is in trouble. */
#define ASK_TIMEOUT_USEC (5U * UINT64_C(1000000))

/* Of one user; for root there is LAYOUT_ASKING_MAX. */
#define ASKING_PER_USER_MAX 64U

struct layout_asking {
        Manager *manager;
        sd_bus_message *call;
        uid_t uid;
        sd_bus_slot *question;
};

static struct layout_asking *asking_free(struct layout_asking *a)
{
        Manager *m;

        if (!a)
                return NULL;
        m = a->manager;
        for (size_t i = 0; i < m->n_layout_asking; i++)
                if (m->layout_asking[i] == a)
                        m->layout_asking[i] = m->layout_asking[--m->n_layout_asking];
        sd_bus_slot_unref(a->question);
        sd_bus_message_unref(a->call);
        free(a);
        return NULL;
}
DEFINE_CLEANUP_FUNC(struct layout_asking *, asking_free)

void layout_bus_done(Manager *m)
{
        while (m->n_layout_asking > 0)
                asking_free(m->layout_asking[m->n_layout_asking - 1]);
}

/* Said once until it works again: users can have it happen often. */
static void note_writing(Manager *m, int r)
{
        if (r < 0 && !m->layouts_failed)
                log_warning_errno(r, "Cannot write down layouts: %m");
        m->layouts_failed = r < 0;
}

/* Which group is meant: by @name, or the unit that @p is in. */
static int find_group(Manager *m, const struct mm_process *p, uid_t uid, const char *name,
                      struct layout **ret, sd_bus_error *error)
{
        _cleanup_(freep) char *unit = NULL, *cgroup = NULL;
        int r;

        if (!*name) {
                r = p->cgroup ? mm_cgroup_unit(p->cgroup, &unit) : -ENXIO;
                if (r == -ENOMEM)
                        return r;
                if (r < 0 || !layout_name_is_valid(unit)) {
                        cgroup = bus_text(p->cgroup ?: "none");
                        return sd_bus_error_setf(error, MERGEMEM_ERROR_NO_SUCH_UNIT,
                                                 "The process that asks, %d, is in no systemd unit (its "
                                                 "cgroup is %s): it has to name a layout group.",
                                                 p->pid, cgroup ?: "unknown");
                }
        }
        r = layouts_get(&m->layouts, unit != NULL, uid, unit ?: name, clock_usec(CLOCK_REALTIME), ret);
        if (r == -ENOBUFS)
                return sd_bus_error_set(error, MERGEMEM_ERROR_LIMITS,
                                        "Too many layout groups have processes already.");
        if (r >= 0)
                return 0;
        note_writing(m, r);
        return sd_bus_error_set(error, MERGEMEM_ERROR_FAILED,
                                "The layout cannot be written down, so it is not given.");
}

static int reply_secret(sd_bus_message *call, const struct layout *g)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r;

        r = sd_bus_message_new_method_return(call, &reply);
        if (r >= 0)
                r = sd_bus_message_sensitive(reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "s", g->name);
        if (r >= 0)
                r = sd_bus_message_append_array(reply, 'y', g->secret, sizeof(g->secret));
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int hand_out(Manager *m, sd_bus_message *call, const struct layout_caller *c, sd_bus_error *error)
{
        _cleanup_(mm_process_done) struct mm_process p = MM_PROCESS_NULL;
        struct layout *g;
        const char *name;
        int r;

        r = sd_bus_message_read(call, "s", &name);
        if (r >= 0)
                r = layout_caller_open(m->proc_fd, c, &p);
        if (r == -ESRCH)
                return sd_bus_error_setf(error, MERGEMEM_ERROR_NO_SUCH_PROCESS,
                                         "The process that asks, %d of user %u, is not there.", c->pid,
                                         c->uid);
        if (r >= 0)
                r = find_group(m, &p, c->uid, name, &g, error);
        if (r >= 0)
                r = reply_secret(call, g);
        if (r < 0)
                return r;
        r = layouts_give(&m->layouts, g, p.pid, p.start_ticks, TAKE_FD(p.pid_fd),
                         clock_usec(CLOCK_REALTIME));
        note_writing(m, r);
        newcomer_add(m, p.pid, p.start_ticks);
        return 0;
}

static int on_credentials(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
        _cleanup_(asking_freep) struct layout_asking *a = userdata;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        struct layout_caller c;
        int r;

        r = sd_bus_message_is_method_error(reply, NULL) ? -ENXIO : layout_caller_read(reply, &c);
        if (r >= 0) {
                r = hand_out(a->manager, a->call, &c, &error);
                safe_close(c.pid_fd);
        } else if (r != -ENOMEM)
                r = sd_bus_error_set(&error, SD_BUS_ERROR_ACCESS_DENIED,
                                     "The bus does not say which user and process this is.");
        if (r < 0)
                (void) sd_bus_reply_method_errno(a->call, r, &error);
        return 0;
}

static bool has_room(const Manager *m, uid_t uid)
{
        size_t n = 0;

        for (size_t i = 0; i < m->n_layout_asking && uid != 0; i++)
                n += m->layout_asking[i]->uid == uid;
        return n < ASKING_PER_USER_MAX && m->n_layout_asking < LAYOUT_ASKING_MAX;
}

int layout_bus_secret(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(asking_freep) struct layout_asking *a = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *q = NULL;
        Manager *manager = userdata;
        sd_bus *bus = manager->auth.callers.bus;
        const char *name;
        uid_t uid;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        if (*name && !layout_name_is_valid(name))
                return layout_bus_bad_name(error);
        r = auth_caller(manager, m, &uid, error);
        if (r >= 0)
                r = layout_bus_limit(manager, uid, error);
        if (r < 0)
                return r;
        if (!has_room(manager, uid))
                return sd_bus_error_set(error, MERGEMEM_ERROR_LIMITS,
                                        "Too many ask for layouts at this moment: try again.");
        r = sd_bus_message_rewind(m, true);
        if (r < 0)
                return r;
        a = malloc(sizeof(*a));
        if (!a)
                return -ENOMEM;
        *a = (struct layout_asking) { .manager = manager, .call = sd_bus_message_ref(m), .uid = uid };
        manager->layout_asking[manager->n_layout_asking++] = a;
        /* On the connection that is there for asking the bus: see struct callers. */
        r = sd_bus_message_new_method_call(bus, &q, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                           "org.freedesktop.DBus", "GetConnectionCredentials");
        if (r >= 0)
                r = sd_bus_message_append(q, "s", sd_bus_message_get_sender(m));
        if (r >= 0)
                r = sd_bus_call_async(bus, &a->question, q, on_credentials, a, ASK_TIMEOUT_USEC);
        if (r < 0)
                return r;
        (void) TAKE_PTR(a);
        return 1;
}

