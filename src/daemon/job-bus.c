/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/job.h"
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

static int get_result(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        struct job *j = userdata;

        if (j->state != JOB_DONE && j->state != JOB_CANCELLED)
                return sd_bus_message_append(reply, "a{sv}", 0);
        return report_append(&j->report, job_type_to_string(j->type),
                             j->manager->mechanisms[MECHANISM_KSM].works,
                             j->manager->mechanisms[MECHANISM_DIRECT].works, reply);
}

static int get_error(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        struct job *j = userdata;

        return sd_bus_message_append(reply, "(ss)", j->error_name ?: "", j->error_message ?: "");
}

static const sd_bus_vtable job_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Cancel", NULL, NULL, method_cancel, 0),
        SD_BUS_PROPERTY("Id", "u", NULL, offsetof(struct job, id), SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Type", "s", get_type, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("State", "s", get_state, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Progress", "d", NULL, offsetof(struct job, progress),
                        SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Result", "a{sv}", get_result, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Error", "(ss)", get_error, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_VTABLE_END,
};

int job_export(struct job *j)
{
        return sd_bus_add_object_vtable(j->manager->bus, &j->slot, j->path, MERGEMEM_JOB_INTERFACE,
                                        job_vtable, j);
}

void job_emit(struct job *j, const char *property)
{
        if (!j->announced)
                return;
        if (job_is_over(j))
                (void) sd_bus_emit_properties_changed(j->manager->bus, j->path, MERGEMEM_JOB_INTERFACE,
                                                      "State", "Progress", "Result", "Error", NULL);
        else
                (void) sd_bus_emit_properties_changed(j->manager->bus, j->path, MERGEMEM_JOB_INTERFACE,
                                                      property, NULL);
}
