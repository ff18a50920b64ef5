/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"
#include "daemon/job.h"
#include "daemon/listing.h"
#include "daemon/log-control.h"
#include "daemon/selector-bus.h"
#include "shared/log.h"
#include "shared/names.h"

/* Whether a job of this kind can be done at all; else @error says why. */
static int check_job(const Manager *m, enum job_type type, const struct selector *s, sd_bus_error *error)
{
        enum mechanism mechanism = s->mechanism == MECHANISM_AUTO ? m->mechanism : s->mechanism;

        if (selector_is_empty(s))
                return sd_bus_error_set(error, MERGEMEM_ERROR_BAD_SELECTOR,
                                        "The selector is empty: say what is meant, or \"all\".");
        if (s->trust != TRUST_USER && !selector_names_processes(s))
                return sd_bus_error_set(
                        error, MERGEMEM_ERROR_BAD_SELECTOR,
                        "Trust beyond one user needs processes named by unit, cgroup, user or program.");
        if (s->trust == TRUST_CGROUP && !selector_has(s, SELECTOR_CGROUP) && !selector_has(s, SELECTOR_UNIT))
                return sd_bus_error_set(error, MERGEMEM_ERROR_BAD_SELECTOR,
                                        "Trust within a cgroup needs a cgroup or unit in the selector.");
        if (!m->mechanisms[mechanism].works)
                return sd_bus_error_setf(error, MERGEMEM_ERROR_NOT_SUPPORTED,
                                         "Mechanism %s does not work here: %s.",
                                         mechanism_to_string(mechanism), m->mechanisms[mechanism].reason);
        if (type == JOB_MERGE && mechanism == MECHANISM_OBSERVE)
                return sd_bus_error_set(
                        error, MERGEMEM_ERROR_NOT_SUPPORTED,
                        "Mechanism observe merges nothing; estimate shows what could be saved.");
        return 0;
}

static int start_job(Manager *manager, enum job_type type, sd_bus_message *m, sd_bus_error *error)
{
        _cleanup_(selector_done) struct selector s = {};
        struct job *j;
        int r;

        r = selector_read(m, &s, error);
        if (r < 0)
                return r;
        r = check_job(manager, type, &s, error);
        if (r < 0)
                return r;
        r = job_new(manager, type, &s, m, &j);
        if (r == -ENOBUFS)
                return sd_bus_error_setf(error, MERGEMEM_ERROR_LIMITS, "%u jobs are waiting already.",
                                         JOBS_MAX);
        if (r < 0)
                return r;
        if (manager->running)
                job_accept(j);
        else
                manager_dispatch(manager);
        return 1;
}

static int method_merge(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return start_job(userdata, JOB_MERGE, m, error);
}

static int method_unmerge(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return start_job(userdata, JOB_UNMERGE, m, error);
}

static int method_estimate(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return start_job(userdata, JOB_ESTIMATE, m, error);
}

static int start_listing(Manager *manager, bool libraries, sd_bus_message *m, sd_bus_error *error)
{
        _cleanup_(selector_done) struct selector s = {};
        int r;

        r = selector_read(m, &s, error);
        if (r < 0)
                return r;
        r = listing_new(manager, libraries, &s, m);
        if (r == -ENOBUFS)
                return sd_bus_error_setf(error, MERGEMEM_ERROR_LIMITS, "%u lists are being made already.",
                                         LISTINGS_MAX);
        return r;
}

static int method_list_libraries(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return start_listing(userdata, true, m, error);
}

static int method_list_processes(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return start_listing(userdata, false, m, error);
}

static int method_list_jobs(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Manager *manager = userdata;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(uossda{sv})");
        for (size_t i = 0; i < manager->n_jobs && r >= 0; i++) {
                const struct job *j = manager->jobs[i];

                if (j->announced)
                        r = sd_bus_message_append(reply, "(uossda{sv})", j->id, j->path,
                                                  job_type_to_string(j->type), job_state_to_string(j->state),
                                                  j->progress, 0);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int get_mechanism(sd_bus *bus, const char *path, const char *interface, const char *property,
                         sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        Manager *m = userdata;

        return sd_bus_message_append(reply, "s", mechanism_to_string(m->mechanism));
}

static int get_mechanisms(sd_bus *bus, const char *path, const char *interface, const char *property,
                          sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        Manager *m = userdata;
        int r;

        r = sd_bus_message_open_container(reply, 'a', "(sbs)");
        for (int i = MECHANISM_DIRECT; i < MECHANISM_MAX_ && r >= 0; i++)
                r = sd_bus_message_append(reply, "(sbs)", mechanism_to_string((enum mechanism) i),
                                          m->mechanisms[i].works, m->mechanisms[i].reason);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* Totals that are computed rather than kept. */
static uint64_t total(const Manager *m, const char *property)
{
        uint64_t gross = manager_saved_frames(m) * MM_PAGE_SIZE;
        uint64_t metadata = manager_metadata_bytes(m);

        if (streq(property, "SavedBytes"))
                return gross - MIN(gross, metadata);
        if (streq(property, "SavedGrossBytes"))
                return gross;
        if (streq(property, "MetadataBytes"))
                return metadata;
        if (streq(property, "MergedPages"))
                return registry_merged_pages(&m->registry) + registry_merged_pages(&m->merged);
        if (streq(property, "SharedFrames"))
                return m->registry.n_shared + m->merged.n_shared;
        if (streq(property, "PagesBrokenTotal"))
                return m->registry.n_broken + m->merged.n_broken;
        if (streq(property, "CPUUsageNSec"))
                return manager_cpu_nsec(m);
        return 0;
}

static int get_total(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return sd_bus_message_append(reply, "t", total(userdata, property));
}

static int get_registered(sd_bus *bus, const char *path, const char *interface, const char *property,
                          sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        Manager *m = userdata;

        return sd_bus_message_append(reply, "u", (uint32_t) m->registry.n_items);
}

/* All methods are for the privileged: sd-bus asks for CAP_SYS_ADMIN unless a method says otherwise. */
static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Merge", SD_BUS_ARGS("a{sv}", what), SD_BUS_RESULT("o", job), method_merge,
                                0),
        SD_BUS_METHOD_WITH_ARGS("Unmerge", SD_BUS_ARGS("a{sv}", what), SD_BUS_RESULT("o", job),
                                method_unmerge, 0),
        SD_BUS_METHOD_WITH_ARGS("Estimate", SD_BUS_ARGS("a{sv}", what), SD_BUS_RESULT("o", job),
                                method_estimate, 0),
        SD_BUS_METHOD_WITH_ARGS("ListLibraries", SD_BUS_ARGS("a{sv}", what),
                                SD_BUS_RESULT("a(sttuta{sv})", libraries), method_list_libraries, 0),
        SD_BUS_METHOD_WITH_ARGS("ListProcesses", SD_BUS_ARGS("a{sv}", what),
                                SD_BUS_RESULT("a(usustta{sv})", processes), method_list_processes, 0),
        SD_BUS_METHOD_WITH_ARGS("ListJobs", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(uossda{sv})", jobs),
                                method_list_jobs, 0),
        SD_BUS_SIGNAL_WITH_ARGS("JobNew", SD_BUS_ARGS("u", id, "o", job), 0),
        SD_BUS_SIGNAL_WITH_ARGS("JobRemoved", SD_BUS_ARGS("u", id, "o", job, "s", result), 0),
        SD_BUS_PROPERTY("Version", "s", NULL, offsetof(Manager, version), SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Mechanism", "s", get_mechanism, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("MechanismReason", "s", NULL, offsetof(Manager, mechanism_reason),
                        SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Mechanisms", "a(sbs)", get_mechanisms, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("SavedBytes", "t", get_total, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("SavedGrossBytes", "t", get_total, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("MetadataBytes", "t", get_total, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("SharedFrames", "t", get_total, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("MergedPages", "t", get_total, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("RegisteredProcesses", "u", get_registered, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("PagesScannedTotal", "t", NULL, offsetof(Manager, n_scanned_total), 0),
        SD_BUS_PROPERTY("PagesMergedTotal", "t", NULL, offsetof(Manager, n_merged_total), 0),
        SD_BUS_PROPERTY("PagesFailedTotal", "t", NULL, offsetof(Manager, n_failed_total), 0),
        SD_BUS_PROPERTY("PagesBrokenTotal", "t", get_total, 0, 0),
        SD_BUS_PROPERTY("CPUUsageNSec", "t", get_total, 0, 0),
        SD_BUS_PROPERTY("KsmdCPUUsageNSec", "t", NULL, offsetof(Manager, ksmd_cpu_nsec), 0),
        SD_BUS_PROPERTY("LastScanUSec", "t", NULL, offsetof(Manager, last_scan_usec),
                        SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};

void manager_emit_totals(Manager *m)
{
        (void) sd_bus_emit_properties_changed(m->bus, MERGEMEM_PATH, MERGEMEM_MANAGER_INTERFACE,
                                              "SavedBytes", "SavedGrossBytes", "MetadataBytes",
                                              "SharedFrames", "MergedPages", "RegisteredProcesses",
                                              "LastScanUSec", NULL);
}

/* So that whoever explores the bus finds the jobs. */
static int enumerate_jobs(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *error)
{
        Manager *m = userdata;
        char **paths;
        size_t n = 0;

        paths = calloc(m->n_jobs + 1, sizeof(char *));
        if (!paths)
                return -ENOMEM;
        for (size_t i = 0; i < m->n_jobs; i++) {
                if (!m->jobs[i]->announced)
                        continue;
                paths[n] = strdup(m->jobs[i]->path);
                if (!paths[n++]) {
                        while (n > 0)
                                free(paths[--n]);
                        free(paths);
                        return -ENOMEM;
                }
        }
        *ret = paths;
        return 0;
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Manager *manager = userdata;

        log_error("The connection to the bus is lost.");
        return sd_event_exit(manager->event, EXIT_FAILURE);
}

static int open_bus(Manager *m)
{
        int r;

        if (streq(m->bus_address, "system"))
                return sd_bus_open_system(&m->bus);
        if (streq(m->bus_address, "session"))
                return sd_bus_open_user(&m->bus);
        r = sd_bus_new(&m->bus);
        if (r >= 0)
                r = sd_bus_set_address(m->bus, m->bus_address);
        if (r >= 0)
                r = sd_bus_set_bus_client(m->bus, true);
        if (r >= 0)
                r = sd_bus_negotiate_creds(m->bus, true, SD_BUS_CREDS_EUID | SD_BUS_CREDS_EFFECTIVE_CAPS);
        if (r >= 0)
                r = sd_bus_start(m->bus);
        return r;
}

int manager_connect_bus(Manager *m)
{
        int r;

        r = open_bus(m);
        if (r < 0)
                return log_error_errno(r, "Cannot connect to the bus %s: %m", m->bus_address);
        r = sd_bus_add_object_vtable(m->bus, NULL, MERGEMEM_PATH, MERGEMEM_MANAGER_INTERFACE, manager_vtable,
                                     m);
        if (r >= 0)
                r = log_control_attach(m->bus);
        if (r >= 0)
                r = sd_bus_add_node_enumerator(m->bus, NULL, MERGEMEM_PATH, enumerate_jobs, m);
        if (r >= 0)
                r = sd_bus_match_signal(m->bus, NULL, NULL, "/org/freedesktop/DBus/Local",
                                        "org.freedesktop.DBus.Local", "Disconnected", on_disconnected, m);
        if (r >= 0)
                r = sd_bus_attach_event(m->bus, m->event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return log_error_errno(r, "Cannot set up the objects on the bus: %m");
        r = sd_bus_request_name(m->bus, MERGEMEM_BUS_NAME, 0);
        if (r == -EEXIST)
                return log_error_errno(r, "Another mergememd serves %s already.", MERGEMEM_BUS_NAME);
        if (r < 0)
                return log_error_errno(r, "Cannot take the name %s on the bus: %m", MERGEMEM_BUS_NAME);
        return 0;
}
