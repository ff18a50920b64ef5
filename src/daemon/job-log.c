/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>

#include "daemon/event-log.h"
#include "daemon/job.h"
#include "lib/owner.h"
#include "shared/format.h"

/* What a job does, as LogMask= asks for it. */

static bool logs(const struct job *j, unsigned what)
{
        return (j->manager->conf.log_mask & what) != 0;
}

void job_log_result(const struct job *j)
{
        const struct report *r = &j->report;
        const struct event_field fields[] = {
                { "JOB", NULL, j->id },
                { "TYPE", job_type_to_string(j->type), 0 },
                { "PROCESSES", NULL, r->n_processes },
                { "PAGES", NULL, r->n_pages },
                { "DUPLICATE_FRAMES", NULL, r->n_duplicates },
                { "ZERO_FRAMES", NULL, r->n_zero },
                { "MERGED_PAGES", NULL, r->n_merged },
                { "SAVED_FRAMES", NULL, r->n_saved },
                { "UNMERGED_PAGES", NULL, r->n_unmerged },
                { "DURATION_USEC", NULL, r->duration_usec },
        };

        /* Of what nobody asked for, what changed something. */
        if (!logs(j, CONF_LOG_RESULTS) || (!j->announced && r->n_merged + r->n_unmerged == 0))
                return;
        if (j->type == JOB_UNMERGE)
                event_log(fields, ELEMENTSOF(fields),
                          "Job %u has given %" PRIu64 " pages back to %u processes, in %s.", j->id,
                          r->n_unmerged, r->n_processes, FORMAT_SPAN(r->duration_usec));
        else if (j->type == JOB_MERGE)
                event_log(fields, ELEMENTSOF(fields),
                          "Job %u has merged %" PRIu64 " pages of %u processes, which saves %s, in %s.",
                          j->id, r->n_merged, r->n_processes, FORMAT_BYTES(report_saved_bytes(r)),
                          FORMAT_SPAN(r->duration_usec));
        else
                event_log(fields, ELEMENTSOF(fields),
                          "Job %u has found %s to be freed in %s of %u processes, in %s.", j->id,
                          FORMAT_BYTES(r->n_duplicates * MM_PAGE_SIZE),
                          FORMAT_BYTES(r->n_pages * MM_PAGE_SIZE), r->n_processes,
                          FORMAT_SPAN(r->duration_usec));
}

void job_log_selected(const struct job *j, const struct mm_process *p, enum exclusion why)
{
        const struct event_field fields[] = {
                { "JOB", NULL, j->id },
                { "PID", NULL, (uint64_t) p->pid },
                { "COMM", p->comm, 0 },
                { "EXCLUDED", exclusion_to_string(why), 0 },
        };

        if (!logs(j, CONF_LOG_SELECTION))
                return;
        event_log(fields, ELEMENTSOF(fields), "Job %u: process %d (%s) is %s%s.", j->id, p->pid, p->comm,
                  why == EXCLUSION_NONE ? "selected" : "left out: ", exclusion_to_string(why));
}

void job_log_part(const struct job *j, pid_t pid, const struct account_line *owner,
                  const struct worker_part *part)
{
        const char *kind = mm_owner_kind_name(owner->kind);
        const struct event_field fields[] = {
                { "JOB", NULL, j->id },
                { "PID", NULL, (uint64_t) pid },
                { "KIND", kind, 0 },
                { "OWNER", owner->name, 0 },
                { "PAGES", NULL, part->n_pages },
                { "DUPLICATE_FRAMES", NULL, part->n_duplicates },
                { "ZERO_FRAMES", NULL, part->n_zero },
        };

        if (!logs(j, CONF_LOG_MAPS))
                return;
        event_log(fields, ELEMENTSOF(fields),
                  "Job %u: process %d, %s %s: %u pages, %u frames to be freed, %u of them zeros.", j->id,
                  pid, kind, owner->name, part->n_pages, part->n_duplicates, part->n_zero);
}

void job_log_group(const struct job *j, const struct worker_group_row *group)
{
        const pid_t pid = group->index < j->n_targets ? j->targets[group->index].pid : 0;
        const struct event_field fields[] = {
                { "JOB", NULL, j->id },
                { "PID", NULL, (uint64_t) pid },
                { "PAGES", NULL, group->n_pages },
                { "FRAMES", NULL, group->n_frames },
                { "DUPLICATE_FRAMES", NULL, group->n_duplicates },
        };

        if (!logs(j, CONF_LOG_GROUPS))
                return;
        event_log(fields, ELEMENTSOF(fields),
                  "Job %u: %u equal pages%s in %u frames, the first of process %d at 0x%" PRIx64
                  ": %u frames to be freed.",
                  j->id, group->n_pages, group->zero ? " of zeros" : "", group->n_frames, pid,
                  group->address, group->n_duplicates);
}
