/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>

#include "daemon/manager.h"
#include "shared/log.h"
#include "shared/names.h"

#define POLKIT_NAME "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"

/* The bus could not start it: how such errors begin. */
#define ERROR_SPAWN "org.freedesktop.DBus.Error.Spawn."

/* CheckAuthorizationFlags.AllowUserInteraction */
#define POLKIT_FLAG_INTERACTIVE UINT32_C(1)

/* polkitd may have to be started first; a person has to find the password. */
#define ANSWER_TIMEOUT_USEC (20U * UINT64_C(1000000))
#define PERSON_TIMEOUT_USEC (5U * 60U * UINT64_C(1000000))

struct auth_check {
        Manager *manager;
        sd_bus_message *call;
        uid_t uid;
        enum auth_action action;
        auth_then_t then;
        sd_bus_slot *question, *watch; /* the call to polkit; the caller's life */
        char id[32];                   /* for polkit, to cancel it by */
};

static const char *const action_names[AUTH_ACTION_MAX_] = {
        [AUTH_MERGE_OWN] = "org.mergemem1.merge-own",
        [AUTH_MERGE_OWN_DIRECT] = "org.mergemem1.merge-own-direct",
        [AUTH_MERGE] = "org.mergemem1.merge",
        [AUTH_UNMERGE] = "org.mergemem1.unmerge",
        [AUTH_CONFIGURE] = "org.mergemem1.configure",
        [AUTH_RELOAD] = "org.mergemem1.reload",
        [AUTH_INSPECT] = "org.mergemem1.inspect",
};

static struct auth_check *check_free(struct auth_check *c)
{
        struct auth *a;

        if (!c)
                return NULL;
        a = &c->manager->auth;
        for (size_t i = 0; i < a->n_checks; i++)
                if (a->checks[i] == c)
                        a->checks[i] = a->checks[--a->n_checks];
        sd_bus_slot_unref(c->question);
        sd_bus_slot_unref(c->watch);
        sd_bus_message_unref(c->call);
        free(c);
        return NULL;
}
DEFINE_CLEANUP_FUNC(struct auth_check *, check_free)

void auth_done(struct auth *a)
{
        while (a->n_checks > 0)
                check_free(a->checks[a->n_checks - 1]);
        callers_done(&a->callers);
}

int auth_caller(Manager *m, sd_bus_message *call, uid_t *ret, sd_bus_error *error)
{
        const struct auth_check *judged = m->auth.judged;
        int r;

        /* Others may have come by since. */
        if (judged && judged->call == call) {
                *ret = judged->uid;
                return 0;
        }
        r = caller_uid(&m->auth.callers, call, ret);
        if (r < 0)
                return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED,
                                        "The bus does not say which user this is.");
        return 0;
}

static int refuse(enum auth_action action, bool challenge, sd_bus_error *error)
{
        if (challenge)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
                                         "Not permitted without authentication: %s.", action_names[action]);
        return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED, "Not permitted by polkit: %s.",
                                 action_names[action]);
}

static bool polkit_is_absent(const sd_bus_error *e)
{
        return sd_bus_error_has_names(e, SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_NAME_HAS_NO_OWNER,
                                      "org.freedesktop.systemd1.UnitMasked") ||
               (e->name && strncmp(e->name, ERROR_SPAWN, strlen(ERROR_SPAWN)) == 0);
}

/* 0 if the @reply permits it. */
static int read_verdict(sd_bus_message *reply, enum auth_action action, sd_bus_error *error)
{
        const sd_bus_error *e = sd_bus_message_get_error(reply);
        int authorized, challenge, r;

        if (e && polkit_is_absent(e))
                return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED,
                                         "Only root may do this, since polkit is not there to permit %s.",
                                         action_names[action]);
        if (e && sd_bus_error_has_names(e, SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_TIMEOUT))
                return sd_bus_error_setf(error, SD_BUS_ERROR_AUTH_FAILED,
                                         "polkit does not say whether %s is permitted.",
                                         action_names[action]);
        if (e) {
                log_warning("polkit cannot say whether %s is permitted: %s", action_names[action],
                            e->message ?: e->name);
                return sd_bus_error_setf(error, SD_BUS_ERROR_AUTH_FAILED,
                                         "polkit cannot say whether %s is permitted.", action_names[action]);
        }
        r = sd_bus_message_enter_container(reply, 'r', "bba{ss}");
        if (r >= 0)
                r = sd_bus_message_read(reply, "bb", &authorized, &challenge);
        if (r < 0)
                return r;
        return authorized ? 0 : refuse(action, challenge, error);
}

static int on_verdict(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
        _cleanup_(check_freep) struct auth_check *c = userdata;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = read_verdict(reply, c->action, &error);
        if (r >= 0)
                r = sd_bus_message_rewind(c->call, true);
        c->manager->auth.judged = c;
        if (r >= 0)
                r = c->then(c->manager, c->call, c->action, &error);
        c->manager->auth.judged = NULL;
        if (r < 0)
                (void) sd_bus_reply_method_errno(c->call, r, &error);
        return 0;
}

/* Nobody waits for the answer any more: nor is a person to be bothered. */
static int on_caller_gone(sd_bus_message *signal, void *userdata, sd_bus_error *unused)
{
        struct auth_check *c = userdata;

        (void) sd_bus_call_method_async(c->manager->bus, NULL, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE,
                                        "CancelCheckAuthorization", NULL, NULL, "s", c->id);
        check_free(c);
        return 0;
}

/* Not by sd_bus_track, which waits for the bus each time. */
static int watch_caller(struct auth_check *c)
{
        _cleanup_(freep) char *match = NULL;

        if (asprintf(&match,
                     "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
                     "interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='%s'",
                     sd_bus_message_get_sender(c->call)) < 0) {
                match = NULL;
                return -ENOMEM;
        }
        return sd_bus_add_match_async(c->manager->bus, &c->watch, match, on_caller_gone, NULL, c);
}

static int ask_polkit(struct auth_check *c)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *q = NULL;
        bool interactive = sd_bus_message_get_allow_interactive_authorization(c->call) > 0;
        int r;

        r = watch_caller(c);
        if (r >= 0)
                r = sd_bus_message_new_method_call(c->manager->bus, &q, POLKIT_NAME, POLKIT_PATH,
                                                   POLKIT_INTERFACE, "CheckAuthorization");
        if (r >= 0)
                r = sd_bus_message_append(q, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name", "s",
                                          sd_bus_message_get_sender(c->call), action_names[c->action], 0,
                                          interactive ? POLKIT_FLAG_INTERACTIVE : 0, c->id);
        if (r >= 0)
                r = sd_bus_call_async(c->manager->bus, &c->question, q, on_verdict, c,
                                      interactive ? PERSON_TIMEOUT_USEC : ANSWER_TIMEOUT_USEC);
        return r;
}

static bool has_room(const struct auth *a, uid_t uid)
{
        size_t n = 0;

        for (size_t i = 0; i < a->n_checks; i++)
                n += a->checks[i]->uid == uid;
        return n < AUTH_CHECKS_PER_USER_MAX && a->n_checks < AUTH_CHECKS_MAX;
}

int auth_check(Manager *m, sd_bus_message *call, enum auth_action action, auth_then_t then,
               sd_bus_error *error)
{
        _cleanup_(check_freep) struct auth_check *c = NULL;
        struct auth *a = &m->auth;
        uid_t uid;
        int r;

        r = auth_caller(m, call, &uid, error);
        if (r < 0)
                return r;
        if (uid == 0) {
                r = sd_bus_message_rewind(call, true);
                return r < 0 ? r : then(m, call, action, error);
        }
        if (!has_room(a, uid))
                return sd_bus_error_set(error, MERGEMEM_ERROR_LIMITS,
                                        "Too many requests wait for polkit already.");
        c = malloc(sizeof(*c));
        if (!c)
                return -ENOMEM;
        *c = (struct auth_check) {
                .manager = m, .call = sd_bus_message_ref(call), .uid = uid, .action = action, .then = then
        };
        (void) snprintf(c->id, sizeof(c->id), "mergemem-%" PRIu64, ++a->last_check_id);
        a->checks[a->n_checks++] = c;
        r = ask_polkit(c);
        if (r < 0)
                return r;
        (void) TAKE_PTR(c);
        return 1;
}
