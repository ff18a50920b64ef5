/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* What we change in /sys/kernel/mm/ksm, and how a later start is told of it. */

/* In the order in which they are set; put back in the opposite one. pages_to_scan can only be
 * written after the advisor has been switched off, and ksmd runs only between the others. The first two
 * cannot be changed while any page is shared. */
enum ksm_knob {
        KSM_MERGE_ACROSS_NODES,
        KSM_MAX_PAGE_SHARING,
        KSM_ADVISOR_MODE,
        KSM_PAGES_TO_SCAN,
        KSM_SLEEP_MILLISECS,
        KSM_SMART_SCAN,
        KSM_USE_ZERO_PAGES,
        KSM_RUN, /* changed after all others */
        KSM_KNOB_MAX_,
};
const char *ksm_knob_name(enum ksm_knob knob);

#define KSM_VALUE_BYTES 12U /* UINT32_MAX, "scan-time" */
/* Whether @value is one that we would ever write there. `run` is never 2: that unmerges everybody. */
bool ksm_knob_takes(enum ksm_knob knob, const char *value);

/* Whether the kernel may take a new value only later: -EBUSY. */
bool ksm_knob_waits(enum ksm_knob knob);

struct ksm_state {
        struct ksm_change {
                char before[KSM_VALUE_BYTES], ours[KSM_VALUE_BYTES]; /* both empty: not changed */
        } changes[KSM_KNOB_MAX_];
};

#define KSM_STATE_BYTES_MAX 512U
/* Returns the length. */
size_t ksm_state_format(const struct ksm_state *state, char buf[KSM_STATE_BYTES_MAX]);
/* Takes exactly what ksm_state_format() makes: 0 or -EBADMSG. */
int ksm_state_parse(const char *text, size_t size, struct ksm_state *ret);
