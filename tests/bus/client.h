/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-bus.h>

/* Calls to the service. What is not expected fails the test. */

/* A selector; what is NULL or 0 is not said. */
struct what {
        const pid_t *pids;
        size_t n_pids;
        const char *comm, *exe, *cgroup, *unit, *user, *shlib;
        const char *trust, *mechanism;
        bool all, force, others;
};

int what_append(sd_bus_message *m, const struct what *what);

/* Rows of ListProcesses and ListJobs, and how many processes have the library whose path ends in @name. */
size_t count_processes(sd_bus *bus, const struct what *what);
size_t count_jobs(sd_bus *bus);
size_t count_library_users(sd_bus *bus, const char *name);

/* Starts a job: "Merge", "Unmerge", "Estimate". Returns its object (g_free). */
char *job_start(sd_bus *bus, const char *method, const struct what *what);
/* The same where it may be refused: NULL, and the name of the D-Bus error (g_free). */
char *job_try(sd_bus *bus, const char *method, const struct what *what, char **ret_error);
/* Waits for the end. Returns "done", "failed" or "cancelled"; never to be freed. */
const char *job_wait(sd_bus *bus, const char *job);
/* Starts a job, waits, and has it be done. */
char *job_run(sd_bus *bus, const char *method, const struct what *what);
/* Starts a job that must not succeed, be it the call or the job that fails; the error's name (g_free). */
char *job_refused(sd_bus *bus, const char *method, const struct what *what);

/* Unmerges what may or may not be registered. */
void job_undo(sd_bus *bus, const struct what *what);

/* A figure of Result, of type u or t; the test fails if it is not there. */
uint64_t job_figure(sd_bus *bus, const char *job, const char *name);
bool job_has(sd_bus *bus, const char *job, const char *name);
/* The count behind @reason in one of Result's lists of (reason, count); a NULL @reason adds all up. */
uint64_t job_reason(sd_bus *bus, const char *job, const char *list, const char *reason);

struct owner_row {
        uint64_t pages, duplicate_frames, zero_frames, private_bytes;
};
/* The row of an owner whose name ends in @name; false if there is none. */
bool job_owner(sd_bus *bus, const char *job, const char *kind, const char *name, struct owner_row *ret);

char *job_string(sd_bus *bus, const char *job, const char *property);
double job_progress(sd_bus *bus, const char *job);
/* One of the totals, of type u or t: exact as root sees it, and as everybody sees it. */
uint64_t manager_figure(sd_bus *bus, const char *name, char type);
uint64_t manager_published(sd_bus *bus, const char *property, char type);
char *manager_string(sd_bus *bus, const char *property);
