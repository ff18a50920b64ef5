/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sys/stat.h>

#include "daemon/history-bus.h"
#include "daemon/totals-bus.h"
#include "shared/clock.h"
#include "shared/log.h"

#define DEFAULT_STATE_DIRECTORY "/var/lib/mergemem"

/* Samples cost next to nothing, and waking up for one does not matter much either. */
#define SAMPLE_USEC (60ULL * 1000U * 1000U)
#define SAMPLE_SLACK_USEC (10ULL * 1000U * 1000U)

static void take_sample(Manager *m)
{
        const struct totals now = totals_now(m), *last = &m->history_last;
        uint64_t now_usec = clock_usec(CLOCK_BOOTTIME);
        uint64_t cpu_nsec = now.cpu_nsec + now.ksmd_cpu_nsec;
        uint64_t last_nsec = last->cpu_nsec + last->ksmd_cpu_nsec;
        const struct history_sample sample = {
                .usec = clock_usec(CLOCK_REALTIME),
                .span_usec = now_usec - m->history_last_usec,
                .saved_bytes = now.saved_bytes,
                .saved_gross_bytes = now.saved_gross_bytes,
                .shared_frames = now.shared_frames,
                .merged_pages = now.merged_pages,
                .n_scanned = now.scanned_pages - last->scanned_pages,
                .n_merged = now.merged_pages_total - last->merged_pages_total,
                .n_written = now.broken_pages - last->broken_pages,
                .cpu_nsec = cpu_nsec - MIN(cpu_nsec, last_nsec),
        };
        int r;

        m->history_last = now;
        m->history_last_usec = now_usec;
        if (m->conf.history_usec == 0)
                return;
        r = history_add(&m->history, &sample, m->conf.history_usec);
        if (r >= 0)
                r = history_save(&m->history);
        if (r < 0 && !m->history_failed)
                log_warning_errno(r, "Cannot note in the history what is saved: %m");
        m->history_failed = r < 0;
}

static int on_sample(sd_event_source *source, uint64_t usec, void *userdata)
{
        take_sample(userdata);
        (void) sd_event_source_set_time_relative(source, SAMPLE_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int open_state_directory(void)
{
        const char *path = getenv("STATE_DIRECTORY");
        int fd;

        path = path && *path ? path : DEFAULT_STATE_DIRECTORY;
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
                return log_warning_errno(-errno, "The history is not kept: cannot make the directory %s: %m",
                                         path);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return log_warning_errno(-errno, "The history is not kept: cannot open the directory %s: %m",
                                         path);
        return fd;
}

int history_start(Manager *m)
{
        int fd, r;

        fd = open_state_directory();
        if (fd >= 0) {
                r = history_load(&m->history, fd, MAX(m->conf.history_usec, UINT64_C(1)));
                if (r == -EBADMSG)
                        log_warning("The file of the history was damaged; it is set aside as "
                                    HISTORY_FILE_DAMAGED ", and what came before the damage is kept.");
                else if (r < 0)
                        log_warning_errno(r, "Cannot read the history: %m");
        }
        m->history_last_usec = clock_usec(CLOCK_BOOTTIME);
        r = sd_event_add_time_relative(m->event, &m->history_source, CLOCK_BOOTTIME, SAMPLE_USEC,
                                       SAMPLE_SLACK_USEC, on_sample, m);
        return r < 0 ? log_error_errno(r, "Cannot take samples for the history: %m") : 0;
}

void history_stop(Manager *m)
{
        take_sample(m);
}

static int append_sample(sd_bus_message *m, const struct history_sample *s)
{
        return sd_bus_message_append(m, "(tttttttttta{sv})", s->usec, s->span_usec, s->saved_bytes,
                                     s->saved_gross_bytes, s->shared_frames, s->merged_pages, s->n_scanned,
                                     s->n_merged, s->n_written, s->cpu_nsec, 0);
}

static int answer(Manager *m, sd_bus_message *call, enum auth_action granted, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_(freep) struct history_sample *samples = NULL;
        uint64_t from, to;
        uint32_t max;
        size_t n;
        int r;

        r = sd_bus_message_read(call, "ttu", &from, &to, &max);
        if (r >= 0)
                r = history_select(&m->history, from, to > 0 ? to : UINT64_MAX, max, &samples, &n);
        if (r >= 0)
                r = sd_bus_message_new_method_return(call, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(tttttttttta{sv})");
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = append_sample(reply, &samples[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

int history_get(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return auth_check(userdata, m, AUTH_INSPECT, answer, error);
}
