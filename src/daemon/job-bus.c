/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/job.h"
#include "daemon/subscriber.h"
#include "shared/log.h"
#include "shared/names.h"

static int method_cancel(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct job *j = userdata;

        if (job_is_over(j))
                return sd_bus_error_setf(error, MERGEMEM_ERROR_NO_SUCH_JOB, "Job %u has ended already.",
                                         j->id);
        job_cancel(j);
        return sd_bus_reply_method_return(m, NULL);
}

static int get_type(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        struct job *j = userdata;

        return sd_bus_message_append(reply, "s", job_type_to_string(j->type));
}

static int get_state(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        struct job *j = userdata;

        return sd_bus_message_append(reply, "s", job_state_to_string(j->state));
}

static int append_result(const struct job *j, sd_bus_message *reply)
{
        if (j->state != JOB_DONE && j->state != JOB_CANCELLED)
                return sd_bus_message_append(reply, "a{sv}", 0);
        return report_append(&j->report, job_type_to_string(j->type),
                             job_may_use_ksm(j), j->manager->mechanisms[MECHANISM_DIRECT].works, reply);
}

static int get_result(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return append_result(userdata, reply);
}

static int get_error(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        struct job *j = userdata;

        return sd_bus_message_append(reply, "(ss)", j->error_name ?: "", j->error_message ?: "");
}

static const sd_bus_vtable job_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Cancel", NULL, NULL, method_cancel, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("Id", "u", NULL, offsetof(struct job, id), SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Type", "s", get_type, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("State", "s", get_state, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Progress", "d", NULL, offsetof(struct job, progress),
                        SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Result", "a{sv}", get_result, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Error", "(ss)", get_error, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};

bool job_is_visible(const struct job *j)
{
        sd_bus_message *m = sd_bus_get_current_message(j->manager->bus);
        uid_t uid;

        if (!j->announced || !m || caller_uid(&j->manager->auth.callers, m, &uid) < 0)
                return false;
        return uid == 0 || uid == j->uid;
}

/* To all others there is no such object. */
static int find_job(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret_found,
                    sd_bus_error *error)
{
        const Manager *m = userdata;

        for (size_t i = 0; i < m->n_jobs; i++)
                if (streq(m->jobs[i]->path, path)) {
                        if (!job_is_visible(m->jobs[i]))
                                return 0;
                        *ret_found = m->jobs[i];
                        return 1;
                }
        return 0;
}

int job_attach(Manager *m)
{
        return sd_bus_add_fallback_vtable(m->bus, NULL, MERGEMEM_JOB_PREFIX, MERGEMEM_JOB_INTERFACE,
                                          job_vtable, find_job, m);
}

typedef int (*send_t)(const struct job *j, const char *to, const char *what);

/* Signals of a job tell about processes, so they go to those who may know and to nobody else. */
static void send_to_all(const struct job *j, send_t send, const char *what)
{
        int r = 0;

        if (j->sender && !subscriber_is(j->manager, j->sender))
                r = send(j, j->sender, what);
        for (size_t i = 0; i < j->manager->n_subscribers; i++) {
                int k = send(j, subscriber_name(j->manager, i), what);

                r = r < 0 ? r : k;
        }
        if (r < 0)
                log_warning_errno(r, "Cannot send a signal of job %u: %m", j->id);
}

static int send_life(const struct job *j, const char *to, const char *member)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *s = NULL;
        int r;

        r = sd_bus_message_new_signal(j->manager->bus, &s, MERGEMEM_PATH, MERGEMEM_MANAGER_INTERFACE,
                                      member);
        if (r >= 0)
                r = sd_bus_message_append(s, "uo", j->id, j->path);
        if (r >= 0 && streq(member, "JobRemoved"))
                r = sd_bus_message_append(s, "s", job_state_to_string(j->state));
        else if (r >= 0 && streq(member, "ScanFinished"))
                r = sd_bus_message_append(s, "a{sv}", 4, "processes", "u", j->report.n_processes, "pages",
                                          "t", j->report.n_pages, "duplicate_frames", "t",
                                          j->report.n_duplicates, "zero_frames", "t", j->report.n_zero);
        return r < 0 ? r : sd_bus_send_to(j->manager->bus, s, to, NULL);
}

void job_signal(const struct job *j, const char *member)
{
        send_to_all(j, send_life, member);
}

static int append_end(const struct job *j, sd_bus_message *s)
{
        int r;

        r = sd_bus_message_append(s, "{sv}{sv}", "Progress", "d", j->progress, "Error", "(ss)",
                                  j->error_name ?: "", j->error_message ?: "");
        if (r >= 0)
                r = sd_bus_message_open_container(s, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(s, "s", "Result");
        if (r >= 0)
                r = sd_bus_message_open_container(s, 'v', "a{sv}");
        if (r >= 0)
                r = append_result(j, s);
        if (r >= 0)
                r = sd_bus_message_close_container(s);
        return r < 0 ? r : sd_bus_message_close_container(s);
}

static int send_changed(const struct job *j, const char *to, const char *property)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *s = NULL;
        int r;

        r = sd_bus_message_new_signal(j->manager->bus, &s, j->path, "org.freedesktop.DBus.Properties",
                                      "PropertiesChanged");
        if (r >= 0)
                r = sd_bus_message_append(s, "s", MERGEMEM_JOB_INTERFACE);
        if (r >= 0)
                r = sd_bus_message_open_container(s, 'a', "{sv}");
        if (r >= 0 && !job_is_over(j) && streq(property, "Progress"))
                r = sd_bus_message_append(s, "{sv}", "Progress", "d", j->progress);
        else if (r >= 0)
                r = sd_bus_message_append(s, "{sv}", "State", "s", job_state_to_string(j->state));
        if (r >= 0 && job_is_over(j))
                r = append_end(j, s);
        if (r >= 0)
                r = sd_bus_message_close_container(s);
        if (r >= 0)
                r = sd_bus_message_append(s, "as", 0);
        return r < 0 ? r : sd_bus_send_to(j->manager->bus, s, to, NULL);
}

void job_emit(struct job *j, const char *property)
{
        if (j->announced)
                send_to_all(j, send_changed, property);
}
