/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/totals-bus.h"
#include "shared/log.h"
#include "shared/names.h"

struct totals totals_now(const Manager *m)
{
        uint64_t gross = manager_saved_frames(m) * MM_PAGE_SIZE;
        uint64_t metadata = manager_metadata_bytes(m);

        return (struct totals) {
                .saved_bytes = gross - MIN(gross, metadata),
                .saved_gross_bytes = gross,
                .metadata_bytes = metadata,
                .shared_frames = m->registry.n_shared + m->merged.n_shared,
                .merged_pages = registry_merged_pages(&m->registry) + registry_merged_pages(&m->merged),
                .registered_processes = m->registry.n_items,
                .scanned_pages = m->n_scanned_total,
                .merged_pages_total = m->n_merged_total,
                .failed_pages = m->n_failed_total,
                .broken_pages = m->registry.n_broken + m->merged.n_broken,
                .cpu_nsec = manager_cpu_nsec(m),
                .ksmd_cpu_nsec = m->ksmd_cpu_nsec,
                .last_scan_usec = m->last_scan_usec,
        };
}

static int publish(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;
        struct totals before = m->published;
        const char *names[TOTALS_MAX];

        m->published = totals_now(m);
        totals_round(&m->published);
        totals_compare(&before, &m->published, names);
        if (names[0] && m->bus)
                (void) sd_bus_emit_properties_changed_strv(m->bus, MERGEMEM_PATH, MERGEMEM_MANAGER_INTERFACE,
                                                           (char **) names);
        /* What changes from now on waits for its turn. */
        m->publish_source = sd_event_source_disable_unref(m->publish_source);
        (void) sd_event_now(m->event, CLOCK_MONOTONIC, &m->published_usec);
        return 0;
}

void totals_changed(Manager *m)
{
        uint64_t now_usec, due_usec = m->published_usec > 0 ? m->published_usec + TOTALS_PUBLISH_USEC : 0;
        int r;

        if (m->publish_source)
                return;
        r = sd_event_now(m->event, CLOCK_MONOTONIC, &now_usec);
        if (r >= 0 && due_usec > now_usec)
                r = sd_event_add_time(m->event, &m->publish_source, CLOCK_MONOTONIC, due_usec, 0, publish,
                                      m);
        else
                (void) publish(NULL, now_usec, m);
        if (r < 0)
                log_warning_errno(r, "Cannot publish what is saved: %m");
}

static int answer(Manager *m, sd_bus_message *call, enum auth_action granted, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        struct totals t = totals_now(m);
        int r;

        r = sd_bus_message_new_method_return(call, &reply);
        if (r >= 0)
                r = totals_append(&t, reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

int totals_get_all(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return auth_check(userdata, m, AUTH_INSPECT, answer, error);
}

int totals_get_u64(sd_bus *bus, const char *path, const char *interface, const char *property,
                   sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const Manager *m = userdata;

        return sd_bus_message_append(reply, "t", totals_figure(&m->published, property));
}

int totals_get_u32(sd_bus *bus, const char *path, const char *interface, const char *property,
                   sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const Manager *m = userdata;

        return sd_bus_message_append(reply, "u", (uint32_t) totals_figure(&m->published, property));
}
