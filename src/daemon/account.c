/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/account.h"

static void line_free(struct account_line *l)
{
        free(l->name);
        free(l);
}

static void process_free(struct account *a, struct account_process *p)
{
        for (size_t i = 0; i < p->n_parts; i++) {
                account_part_set_rule(&p->parts[i], NULL);
                p->parts[i].owner->n_users--;
        }
        a->n_parts -= p->n_parts;
        a->n_places -= p->n_places;
        free(p->parts);
        free(p->places);
        free(p);
}

static void lines_done(struct account_lines *lines)
{
        for (size_t i = 0; i < lines->n; i++)
                line_free(lines->items[i]);
        free(lines->items);
}

void account_part_set_rule(struct account_part *part, struct account_line *rule)
{
        if (part->rule == rule)
                return;
        if (part->rule) {
                part->rule->past.n_written += part->figures.n_written - part->n_written_before;
                part->rule->past.cpu_nsec += part->figures.cpu_nsec - part->cpu_nsec_before;
        }
        part->rule = rule;
        part->n_written_before = part->figures.n_written;
        part->cpu_nsec_before = part->figures.cpu_nsec;
}

void account_forget_rule(struct account *a, const char *name)
{
        for (size_t i = 0; i < a->n_processes; i++) {
                struct account_process *p = a->processes[i];

                if (p->rule && streq(p->rule->name, name))
                        p->rule = NULL;
                for (size_t k = 0; k < p->n_parts; k++)
                        if (p->parts[k].rule && streq(p->parts[k].rule->name, name))
                                account_part_set_rule(&p->parts[k], NULL);
        }
}

void account_done(struct account *a)
{
        for (size_t i = 0; i < a->n_processes; i++)
                process_free(a, a->processes[i]);
        free(a->processes);
        lines_done(&a->owners);
        lines_done(&a->rules);
        *a = (struct account) {};
}

struct account_process *account_find(const struct account *a, pid_t pid, uint64_t start_ticks)
{
        size_t low = 0, high = a->n_processes;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                struct account_process *p = a->processes[middle];

                if (p->pid == pid && p->start_ticks == start_ticks)
                        return p;
                if (p->pid < pid || (p->pid == pid && p->start_ticks < start_ticks))
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

static struct account_line *find_line(const struct account_lines *lines, uint32_t kind,
                                      const struct mm_file_id *file, const char *name)
{
        for (size_t i = lines->n; i-- > 0;) {
                struct account_line *l = lines->items[i];

                if (l->kind == kind && mm_file_id_equal(&l->file, file) &&
                    (mm_file_id_known(file) || streq(l->name, name)))
                        return l;
        }
        return NULL;
}

struct account_line *account_line(struct account_lines *lines, uint32_t kind, const struct mm_file_id *file,
                                  const char *name)
{
        struct account_line *l = find_line(lines, kind, file, name), **items;

        if (l)
                return l;
        if (lines->n >= ACCOUNT_LINES_MAX || strlen(name) > ACCOUNT_TEXT_MAX - lines->n_text)
                return NULL;
        items = reallocarray(lines->items, lines->n + 1, sizeof(*items));
        if (!items)
                return NULL;
        lines->items = items;
        l = malloc(sizeof(*l));
        if (!l)
                return NULL;
        *l = (struct account_line) { .kind = kind, .file = *file, .name = strdup(name) };
        if (!l->name) {
                line_free(l);
                return NULL;
        }
        lines->n_text += strlen(name);
        return lines->items[lines->n++] = l;
}

uint64_t account_pass_begin(struct account *a)
{
        return ++a->clock;
}

void account_seen(struct account *a, pid_t pid, uint64_t start_ticks)
{
        struct account_process *p = account_find(a, pid, start_ticks);

        if (p)
                p->seen = a->clock;
}

void account_pass_end(struct account *a, uint64_t pass)
{
        size_t n = 0;

        for (size_t i = 0; i < a->n_processes; i++)
                if (a->processes[i]->seen >= pass)
                        a->processes[n++] = a->processes[i];
                else
                        process_free(a, a->processes[i]);
        a->n_processes = n;

        /* Owners that nobody names any more. Rules are few, and what they have spent stays known. */
        n = 0;
        for (size_t i = 0; i < a->owners.n; i++)
                if (a->owners.items[i]->n_users > 0)
                        a->owners.items[n++] = a->owners.items[i];
                else {
                        a->owners.n_text -= strlen(a->owners.items[i]->name);
                        line_free(a->owners.items[i]);
                }
        a->owners.n = n;
}
