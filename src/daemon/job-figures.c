/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/job.h"
#include "shared/clock.h"

/* What a job's scan has found goes into the books of the service, by process and owner. */

void job_figures_begin(struct job *j)
{
        account_look_begin(&j->manager->account);
        if (j->cpu_nsec == 0)
                j->cpu_nsec = manager_cpu_nsec(j->manager) + j->manager->ksmd_cpu_nsec;
}

static void on_owner(struct job *j, const union worker_packet *row)
{
        const struct worker_owner *o = &row->owner;
        struct account_line **owners;
        size_t n = (size_t) o->index + 1;

        if (n > j->figures.n_owners) {
                owners = reallocarray(j->figures.owners, n, sizeof(*owners));
                if (!owners)
                        return;
                memset(owners + j->figures.n_owners, 0, (n - j->figures.n_owners) * sizeof(*owners));
                j->figures.owners = owners;
                j->figures.n_owners = n;
        }
        owners = &j->figures.owners[o->index];
        *owners = account_line(&j->manager->account.owners, o->kind, &o->file,
                               worker_packet_get_text((union worker_packet *) row, sizeof(*o)));
        if (*owners)
                (*owners)->n_users++;
}

static struct account_line *owner_at(const struct job *j, uint32_t index)
{
        return index < j->figures.n_owners ? j->figures.owners[index] : NULL;
}

static struct account_process *process_at(struct job *j, uint32_t index)
{
        const struct job_target *t;

        if (index >= j->n_targets)
                return NULL;
        t = &j->targets[index];
        return account_look_at(&j->manager->account,
                               &(struct account_look) {
                                       .pid = t->pid,
                                       .start_ticks = t->start_ticks,
                                       .rule = j->rule ? j->rule->name : NULL,
                                       .whole = !selector_has(&j->selector, SELECTOR_SHLIB),
                                       .now_usec = clock_usec(CLOCK_REALTIME),
                               });
}

static void on_parts(struct job *j, const struct worker_parts *parts)
{
        struct account_process *p = process_at(j, parts->index);

        for (uint32_t i = 0; p && i < parts->n; i++) {
                struct account_line *owner = owner_at(j, parts->parts[i].owner);

                if (!owner)
                        continue;
                account_add_part(&j->manager->account, p, owner, &parts->parts[i], j->part == 0);
                job_log_part(j, p->pid, owner, &parts->parts[i]);
        }
}

static void on_places(struct job *j, const struct worker_places *places)
{
        struct account_process *p = process_at(j, places->index);

        for (uint32_t i = 0; p && i < places->n; i++) {
                struct account_line *owner = owner_at(j, places->places[i].owner);

                if (owner)
                        account_add_place(&j->manager->account, p, owner, places->places[i].start,
                                          places->places[i].end);
        }
}

void job_figures_row(struct job *j, const union worker_packet *row)
{
        if (row->header.type == WORKER_ROW_OWNER)
                on_owner(j, row);
        else if (row->header.type == WORKER_ROW_PARTS)
                on_parts(j, &row->parts);
        else if (row->header.type == WORKER_ROW_PLACES && j->part == 0)
                on_places(j, &row->places);
        else if (row->header.type == WORKER_ROW_GROUP)
                job_log_group(j, &row->group);
}

void job_figures_clear(struct job *j)
{
        for (size_t i = 0; i < j->figures.n_owners; i++)
                if (j->figures.owners[i])
                        j->figures.owners[i]->n_users--;
        free(TAKE_PTR(j->figures.owners));
        j->figures.n_owners = 0;
}

void job_figures_end(struct job *j)
{
        uint64_t cpu_nsec = manager_cpu_nsec(j->manager) + j->manager->ksmd_cpu_nsec;

        if (j->cpu_nsec > 0)
                account_spend(&j->manager->account, cpu_nsec - MIN(cpu_nsec, j->cpu_nsec));
}
