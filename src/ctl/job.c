/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/job.h"

#include <signal.h>
#include <systemd/sd-event.h>

#include "ctl/bus.h"
#include "ctl/json.h"
#include "ctl/progress.h"
#include "shared/names.h"

/* The service answers when it knows what is selected, which takes as long as it takes. */
#define START_TIMEOUT_USEC UINT64_MAX

/* One job from the call that starts it to its end. Each ending is an exit status given to the loop. */
struct job {
        sd_bus *bus;
        sd_event *event;
        char *path; /* NULL until the service has said it */
        bool stopping;
        struct job_status status;
        struct progress progress;
};

static void job_exit(struct job *job, int status)
{
        progress_clear(&job->progress);
        (void) sd_event_exit(job->event, status);
}

static int job_fail(struct job *job, const sd_bus_error *e, int r)
{
        progress_clear(&job->progress);
        job_exit(job, bus_error_report(e, r));
        return 0;
}

static const char *state_shown(const struct job_status *s)
{
        if (!s->state)
                return "waiting";
        return streq(s->state, "merging") && s->type && streq(s->type, "unmerge") ? "unmerging" : s->state;
}

static void job_update(struct job *job)
{
        struct job_status *s = &job->status;

        if (!job_status_is_final(s))
                progress_show(&job->progress, state_shown(s), s->progress);
        else if (streq(s->state, "failed")) {
                sd_bus_error error = { .name = s->error.name, .message = s->error.message };

                job_fail(job, &error, -EIO);
        } else
                job_exit(job, streq(s->state, "done") ? MERGEMEM_EXIT_DONE : MERGEMEM_EXIT_FAILED);
}

static int on_properties(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        const sd_bus_error *e = sd_bus_message_get_error(m);
        struct job *job = userdata;
        int r;

        if (e)
                return job_fail(job, e, -sd_bus_message_get_errno(m));
        r = job_status_read(m, &job->status);
        if (r < 0) {
                job_exit(job, bus_bad_reply(r));
                return 0;
        }
        job_update(job);
        return 0;
}

/* The properties as they are now: the first look, and the last one, which has the result. */
static int job_fetch(struct job *job)
{
        int r;

        r = sd_bus_call_method_async(job->bus, NULL, MERGEMEM_BUS_NAME, job->path,
                                     "org.freedesktop.DBus.Properties", "GetAll",
                                     on_properties, job, "s", MERGEMEM_JOB_INTERFACE);
        return r < 0 ? job_fail(job, NULL, r) : 0;
}

static int on_cancelled(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        const sd_bus_error *e = sd_bus_message_get_error(m);

        /* The job may have ended by itself in between; its object tells. */
        if (e && !sd_bus_error_has_name(e, SD_BUS_ERROR_UNKNOWN_OBJECT) &&
            !sd_bus_error_has_name(e, MERGEMEM_ERROR_NO_SUCH_JOB))
                return job_fail(userdata, e, -sd_bus_message_get_errno(m));
        return 0;
}

static int job_cancel(struct job *job)
{
        int r;

        r = sd_bus_call_method_async(job->bus, NULL, MERGEMEM_BUS_NAME, job->path,
                                     MERGEMEM_JOB_INTERFACE, "Cancel", on_cancelled, job, NULL);
        return r < 0 ? job_fail(job, NULL, r) : 0;
}

static int on_started(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        const sd_bus_error *e = sd_bus_message_get_error(m);
        struct job *job = userdata;
        const char *path;
        int r;

        if (e)
                return job_fail(job, e, -sd_bus_message_get_errno(m));
        r = sd_bus_message_read(m, "o", &path);
        if (r < 0) {
                job_exit(job, bus_bad_reply(r));
                return 0;
        }
        job->path = strdup(path);
        if (!job->path)
                return job_fail(job, NULL, -ENOMEM);
        if (job->stopping)
                job_cancel(job);
        return job_fetch(job);
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        struct job *job = userdata;
        const char *path;

        /* Before the reply to our call there is nothing to compare with, and the look at the
         * properties that follows it will find the job ended. */
        if (!job->path || sd_bus_message_read(m, "uos", NULL, &path, NULL) < 0 || !streq(path, job->path))
                return 0;
        return job_fetch(job);
}

static int on_job_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        struct job *job = userdata;

        if (!job->path || !streq(sd_bus_message_get_path(m), job->path) ||
            sd_bus_message_read(m, "s", NULL) < 0)
                return 0;
        if (job_status_read(m, &job->status) >= 0 && !job_status_is_final(&job->status))
                job_update(job);
        return 0;
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        const char *old_owner;

        /* A first owner is the service being started on our account. */
        if (sd_bus_message_read(m, "sss", NULL, &old_owner, NULL) < 0 || !*old_owner)
                return 0;
        return job_fail(userdata, &SD_BUS_ERROR_MAKE_CONST(SD_BUS_ERROR_DISCONNECTED,
                                                          "it went away while the job ran."), -ENOTCONN);
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        return job_fail(userdata, &SD_BUS_ERROR_MAKE_CONST(SD_BUS_ERROR_DISCONNECTED,
                                                          "the connection to the bus was lost."), -ENOTCONN);
}

/* The first signal cancels the job and waits for what it did; the second does not wait. */
static int on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
        struct job *job = userdata;

        if (job->stopping) {
                job_exit(job, MERGEMEM_EXIT_FAILED);
                return 0;
        }
        job->stopping = true;
        return job->path ? job_cancel(job) : 0;
}

/* All of it before the call, so that nothing that happens afterwards is missed. */
static int job_subscribe(struct job *job)
{
        int r;

        r = sd_bus_match_signal(job->bus, NULL, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                MERGEMEM_MANAGER_INTERFACE, "JobRemoved", on_job_removed, job);
        if (r < 0)
                return r;
        r = sd_bus_add_match(job->bus, NULL,
                             "type='signal',sender='" MERGEMEM_BUS_NAME "',"
                             "path_namespace='" MERGEMEM_JOB_PREFIX "',"
                             "interface='org.freedesktop.DBus.Properties',member='PropertiesChanged',"
                             "arg0='" MERGEMEM_JOB_INTERFACE "'", on_job_changed, job);
        if (r < 0)
                return r;
        r = sd_bus_add_match(job->bus, NULL,
                             "type='signal',sender='org.freedesktop.DBus',"
                             "interface='org.freedesktop.DBus',member='NameOwnerChanged',"
                             "arg0='" MERGEMEM_BUS_NAME "'", on_owner_changed, job);
        if (r < 0)
                return r;
        return sd_bus_match_signal(job->bus, NULL, NULL, "/org/freedesktop/DBus/Local",
                                   "org.freedesktop.DBus.Local", "Disconnected", on_disconnected, job);
}

static int job_loop_prepare(struct job *job)
{
        sigset_t mask;
        int r;

        r = job_subscribe(job);
        if (r < 0)
                return r;
        r = sd_event_new(&job->event);
        if (r < 0)
                return r;
        r = sd_bus_attach_event(job->bus, job->event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return r;

        sigemptyset(&mask);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGTERM);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;
        r = sd_event_add_signal(job->event, NULL, SIGINT, on_signal, job);
        if (r < 0)
                return r;
        return sd_event_add_signal(job->event, NULL, SIGTERM, on_signal, job);
}

/* Returns an exit status. */
static int job_run(struct job *job, sd_bus_message *call)
{
        int r;

        r = job_loop_prepare(job);
        if (r < 0)
                return bus_error_report(NULL, r);
        r = sd_bus_call_async(job->bus, NULL, call, on_started, job, START_TIMEOUT_USEC);
        if (r < 0)
                return bus_error_report(NULL, r);
        progress_show(&job->progress, "selecting", 0);
        r = sd_event_loop(job->event);
        return r < 0 ? bus_error_report(NULL, r) : r;
}

static void job_done(struct job *job)
{
        job_status_done(&job->status);
        free(job->path);
        (void) sd_bus_detach_event(job->bus);
        sd_event_unref(job->event);
        sd_bus_flush_close_unref(job->bus);
}

static int print_path(const struct options *o, const char *path)
{
        static const struct column columns[] = { { .key = "job", .type = COLUMN_TEXT } };
        struct output out = options_output(o, stdout);

        if (o->json != JSON_OFF)
                return json_print_row(&out, columns, ELEMENTSOF(columns), &(struct cell){ .text = path });
        puts(path);
        return 0;
}

static int job_start_only(const struct options *o, sd_bus *bus, sd_bus_message *call)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *path;
        int r;

        r = bus_call(bus, call, &reply);
        if (r != MERGEMEM_EXIT_DONE)
                return r;
        r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                return bus_bad_reply(r);
        return o->quiet ? MERGEMEM_EXIT_DONE : output_status(print_path(o, path));
}

int job_follow(const struct options *o, sd_bus *bus, sd_bus_message *call, job_print_t print)
{
        _cleanup_(job_done) struct job job = { .bus = bus, .progress = progress_init(!o->quiet) };
        struct output out = options_output(o, stdout);
        int status, r;

        status = job_run(&job, call);
        if (o->quiet || !job_status_is_final(&job.status) || streq(job.status.state, "failed"))
                return status;
        r = output_status(print(o, &out, &job.status));
        return r != MERGEMEM_EXIT_DONE ? r : status;
}

int job_verb(const struct options *o, const char *method, job_print_t print)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        int status;

        status = bus_connect(o, &bus);
        if (status != MERGEMEM_EXIT_DONE)
                return status;
        status = manager_call_new(bus, method, &o->what, &call);
        if (status != MERGEMEM_EXIT_DONE)
                return status;
        return o->block ? job_follow(o, TAKE_PTR(bus), call, print) : job_start_only(o, bus, call);
}
