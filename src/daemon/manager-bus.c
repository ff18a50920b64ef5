/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"
#include "daemon/explain.h"
#include "daemon/history-bus.h"
#include "daemon/job.h"
#include "daemon/layout-bus.h"
#include "daemon/limit.h"
#include "daemon/log-control.h"
#include "daemon/pages-bus.h"
#include "daemon/request.h"
#include "daemon/rule-bus.h"
#include "daemon/sharing.h"
#include "daemon/subscriber.h"
#include "daemon/totals-bus.h"
#include "shared/bus.h"
#include "shared/log.h"
#include "shared/names.h"

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

/* Nothing is left to sd-bus's own idea of privilege: each handler asks who calls, see auth.h. */
static const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Merge", SD_BUS_ARGS("a{sv}", what), SD_BUS_RESULT("o", job), request_job,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Unmerge", SD_BUS_ARGS("a{sv}", what), SD_BUS_RESULT("o", job),
                                request_job, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Estimate", SD_BUS_ARGS("a{sv}", what), SD_BUS_RESULT("o", job),
                                request_job, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Scan", SD_BUS_ARGS("a{sv}", what), SD_BUS_RESULT("o", job), request_job,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListLibraries", SD_BUS_ARGS("a{sv}", what),
                                SD_BUS_RESULT("a(sttuta{sv})", libraries), request_list,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListProcesses", SD_BUS_ARGS("a{sv}", what),
                                SD_BUS_RESULT("a(usustta{sv})", processes), request_list,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListOwners", SD_BUS_ARGS("a{sv}", what),
                                SD_BUS_RESULT("a(ssua{sv})", owners), request_list,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListCgroups", SD_BUS_ARGS("a{sv}", what),
                                SD_BUS_RESULT("a(ssuta{sv})", cgroups), request_list,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Memory", SD_BUS_ARGS("a{sv}", what, "s", by),
                                SD_BUS_RESULT("a(sutttta{sv})", rows), request_list,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Pages", SD_BUS_ARGS("u", pid, "a{sv}", options),
                                SD_BUS_RESULT("a(tttttssa{sv})", runs, "t", next), pages_get,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Sharing", SD_BUS_ARGS("u", pid, "a{sv}", options),
                                SD_BUS_RESULT("a(usutttta{sv})", processes, "t", next), sharing_get,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListJobs", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(uossda{sv})", jobs),
                                request_list_jobs, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Totals", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{sv}", totals), totals_get_all,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Explain", SD_BUS_ARGS("u", pid), SD_BUS_RESULT("a{sv}", explanation),
                                explain_process, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("History", SD_BUS_ARGS("t", from, "t", to, "u", max),
                                SD_BUS_RESULT("a(tttttttttta{sv})", samples), history_get,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Subscribe", NULL, NULL, subscriber_add, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Unsubscribe", NULL, NULL, subscriber_remove, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListRules", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(sa{sv})", rules),
                                rule_bus_list, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListSettings", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(sssa{sv})", settings),
                                rule_bus_list_settings, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SetRule", SD_BUS_ARGS("s", name, "a{sv}", rule), SD_BUS_NO_RESULT,
                                rule_bus_set, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RemoveRule", SD_BUS_ARGS("s", name), SD_BUS_NO_RESULT, rule_bus_remove,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("TryRule", SD_BUS_ARGS("a{sv}", rule), SD_BUS_RESULT("o", job),
                                rule_bus_try, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Reload", NULL, NULL, rule_bus_reload, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("LayoutSecret", SD_BUS_ARGS("s", group),
                                SD_BUS_RESULT("s", name, "ay", secret), layout_bus_secret,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Layouts", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(subtta{sv})", layouts),
                                layout_bus_list, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RotateLayout", SD_BUS_ARGS("s", group, "u", uid), SD_BUS_NO_RESULT,
                                layout_bus_rotate, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL_WITH_ARGS("JobNew", SD_BUS_ARGS("u", id, "o", job), 0),
        SD_BUS_SIGNAL_WITH_ARGS("JobRemoved", SD_BUS_ARGS("u", id, "o", job, "s", result), 0),
        SD_BUS_SIGNAL_WITH_ARGS("ScanFinished", SD_BUS_ARGS("u", id, "o", job, "a{sv}", found), 0),
        SD_BUS_PROPERTY("Version", "s", NULL, offsetof(Manager, version), SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Mechanism", "s", get_mechanism, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("MechanismReason", "s", NULL, offsetof(Manager, mechanism_reason),
                        SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Mechanisms", "a(sbs)", get_mechanisms, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("SavedBytes", "t", totals_get_u64, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("SavedGrossBytes", "t", totals_get_u64, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("MetadataBytes", "t", totals_get_u64, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("SharedFrames", "t", totals_get_u64, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("MergedPages", "t", totals_get_u64, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("RegisteredProcesses", "u", totals_get_u32, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("PagesScannedTotal", "t", totals_get_u64, 0, 0),
        SD_BUS_PROPERTY("PagesMergedTotal", "t", totals_get_u64, 0, 0),
        SD_BUS_PROPERTY("PagesFailedTotal", "t", totals_get_u64, 0, 0),
        SD_BUS_PROPERTY("PagesBrokenTotal", "t", totals_get_u64, 0, 0),
        SD_BUS_PROPERTY("CPUUsageNSec", "t", totals_get_u64, 0, 0),
        SD_BUS_PROPERTY("KsmdCPUUsageNSec", "t", totals_get_u64, 0, 0),
        SD_BUS_PROPERTY("LastScanUSec", "t", totals_get_u64, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};

/* So that whoever explores the bus finds his jobs. */
static int enumerate_jobs(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *error)
{
        Manager *m = userdata;
        char **paths;
        size_t n = 0;

        paths = calloc(m->n_jobs + 1, sizeof(char *));
        if (!paths)
                return -ENOMEM;
        for (size_t i = 0; i < m->n_jobs; i++) {
                if (!job_is_visible(m->jobs[i]))
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

static int connect_callers(Manager *m)
{
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        int r;

        r = bus_open(m->bus_address, &bus);
        return r < 0 ? r : callers_init(&m->auth.callers, m->bus, TAKE_PTR(bus), m->event);
}

int manager_connect_bus(Manager *m)
{
        int r;

        r = bus_open(m->bus_address, &m->bus);
        if (r >= 0)
                r = connect_callers(m);
        if (r < 0)
                return log_error_errno(r, "Cannot connect to the bus %s: %m", m->bus_address);
        r = sd_bus_add_filter(m->bus, NULL, limit_filter, m);
        if (r >= 0)
                r = sd_bus_add_object_vtable(m->bus, NULL, MERGEMEM_PATH, MERGEMEM_MANAGER_INTERFACE,
                                             manager_vtable, m);
        if (r >= 0)
                r = job_attach(m);
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
