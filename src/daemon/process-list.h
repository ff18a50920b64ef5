/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-event.h>

#include "lib/procfs.h"

/* One pass over /proc in slices between which the bus is served. */

struct process_list;

/* A process, opened, in systemd unit @unit (NULL: none); what the callback does not take over it
 * leaves in @p. Negative ends the pass with that error. */
typedef int (*process_list_each_t)(void *userdata, struct mm_process *p, const char *unit);
typedef void (*process_list_done_t)(void *userdata, int error);

/* Starts a pass; callbacks come from the event loop. @proc_fd is borrowed. Ends itself before @done
 * is called; process_list_free() before that ends it silently. */
int process_list_new(sd_event *event, int proc_fd, process_list_each_t each, process_list_done_t done,
                     void *userdata, struct process_list **ret);
struct process_list *process_list_free(struct process_list *l);
