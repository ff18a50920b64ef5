/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>

#include "daemon/manager.h"
#include "lib/inject.h"
#include "lib/ksm.h"
#include "shared/log.h"

static int note(Manager *m, enum mechanism mechanism, bool works, const char *reason)
{
        struct mechanism_state *s = &m->mechanisms[mechanism];
        char *copy = strdup(reason);

        if (!copy)
                return log_oom();
        free(s->reason);
        *s = (struct mechanism_state) { .works = works, .reason = copy };
        return 0;
}

static int probe_ksm(Manager *m)
{
        struct mm_ksm_counters counters;
        int r;

        if (!mm_inject_is_possible())
                return note(m, MECHANISM_KSM, false,
                            "registering memory of other processes without mergemod needs x86-64");
        if (m->ksm_fd < 0)
                return note(m, MECHANISM_KSM, false, "the kernel has no KSM (CONFIG_KSM)");
        r = mm_ksm_read(m->ksm_fd, &counters);
        if (r < 0)
                return note(m, MECHANISM_KSM, false,
                            "the counters of KSM in /sys/kernel/mm/ksm cannot be read");
        if (faccessat(m->ksm_fd, "run", W_OK, AT_EACCESS) < 0)
                return note(m, MECHANISM_KSM, false, "/sys/kernel/mm/ksm cannot be written");
        if (counters.run == 2)
                return note(m, MECHANISM_KSM, false,
                            "KSM was told to unmerge everything (/sys/kernel/mm/ksm/run is 2)");
        return note(m, MECHANISM_KSM, true,
                    "the kernel has KSM, and ptrace registers memory with it");
}

int manager_choose_mechanism(Manager *m)
{
        static const enum mechanism order[] = { MECHANISM_DIRECT, MECHANISM_KSM, MECHANISM_OBSERVE };
        enum mechanism wanted =
                m->mechanism_option != MECHANISM_INVALID_ ? m->mechanism_option : m->conf.mechanism;
        char *reason;
        int r;

        r = note(m, MECHANISM_DIRECT, false, "mergemod is not available in this version");
        if (r >= 0)
                r = probe_ksm(m);
        if (r >= 0)
                r = note(m, MECHANISM_OBSERVE, true, "looking and estimating always work");
        if (r < 0)
                return r;

        for (size_t i = 0; i < ELEMENTSOF(order); i++)
                if ((wanted == MECHANISM_AUTO || wanted == order[i]) && m->mechanisms[order[i]].works) {
                        /* Under auto it is worth a word why nothing better was taken. */
                        bool second = wanted == MECHANISM_AUTO && i > 0;

                        if (asprintf(&reason, "%s%s", second ? "direct: " : "",
                                     m->mechanisms[second ? MECHANISM_DIRECT : order[i]].reason) < 0)
                                return log_oom();
                        free(m->mechanism_reason);
                        m->mechanism_reason = reason;
                        m->mechanism = order[i];
                        log_info("Using mechanism %s (%s).", mechanism_to_string(m->mechanism), reason);
                        return 0;
                }
        return log_error_errno(-EOPNOTSUPP,
                               "Mechanism %s does not work here: %s. Mechanism=auto takes what works.",
                               mechanism_to_string(wanted), m->mechanisms[wanted].reason);
}
