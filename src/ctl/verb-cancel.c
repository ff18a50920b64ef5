/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/bus.h"
#include "ctl/verbs.h"
#include "shared/log.h"
#include "shared/names.h"
#include "shared/parse.h"

/* A job is named by its number, or by its object as --no-block prints it. */
static int job_path(const char *job, char **ret)
{
        size_t n = strlen(MERGEMEM_JOB_PREFIX "/");
        uint64_t id;

        if (strncmp(job, MERGEMEM_JOB_PREFIX "/", n) == 0)
                job += n;
        if (parse_uint64(job, &id) < 0)
                return -EINVAL;
        return asprintf(ret, MERGEMEM_JOB_PREFIX "/%s", job) < 0 ? -ENOMEM : 0;
}

static int cancel(sd_bus *bus, const char *job)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(freep) char *path = NULL;
        int r;

        r = job_path(job, &path);
        if (r == -EINVAL) {
                log_error("Not a job: '%s'", job);
                return MERGEMEM_EXIT_USAGE;
        }
        if (r < 0)
                return bus_error_report(NULL, r);

        r = sd_bus_call_method(bus, MERGEMEM_BUS_NAME, path, MERGEMEM_JOB_INTERFACE, "Cancel",
                               &error, NULL, NULL);
        if (r < 0 && sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_OBJECT)) {
                log_error("There is no job '%s'.", job);
                return MERGEMEM_EXIT_NOTHING_MATCHED;
        }
        return r < 0 ? bus_error_report(&error, r) : MERGEMEM_EXIT_DONE;
}

int verb_cancel(const struct options *o)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        int first = MERGEMEM_EXIT_DONE, status;

        status = bus_connect(o, &bus);
        if (status != MERGEMEM_EXIT_DONE)
                return status;
        /* One that has just ended is no reason to let the others run on. */
        for (size_t i = 0; i < o->n_args && status != MERGEMEM_EXIT_UNREACHABLE; i++) {
                status = cancel(bus, o->args[i]);
                if (first == MERGEMEM_EXIT_DONE)
                        first = status;
        }
        return first;
}
