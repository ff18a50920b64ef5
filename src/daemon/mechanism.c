/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>

#include "daemon/manager.h"
#include "daemon/module.h"
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

int manager_rule_out(Manager *m, enum mechanism mechanism, const char *reason)
{
        return note(m, mechanism, false, reason);
}

/* *@ret_advise: mergemod registers memory with KSM, too. */
static int probe_direct(Manager *m, bool *ret_advise)
{
        _cleanup_(freep) char *reason = NULL;
        struct module_facts facts;

        module_look(&facts);
        reason = module_explain(&facts);
        if (!reason)
                return log_oom();
        *ret_advise = facts.device_error == 0 && (facts.info.features & MERGEMOD_FEATURE_ADVISE) != 0;
        return note(m, MECHANISM_DIRECT, facts.device_error == 0, reason);
}

static int probe_ksm(Manager *m, bool advise)
{
        struct mm_ksm_counters counters;
        int r;

        if (!mm_inject_is_possible() && !advise)
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
                    advise ? "the kernel has KSM, and mergemod registers memory with it"
                           : "the kernel has KSM, and ptrace registers memory with it");
}

/* Under auto it is worth a word why nothing better was taken. */
static char *make_reason(const Manager *m, enum mechanism chosen, bool automatic)
{
        const struct mechanism_state *states = m->mechanisms;
        char *reason;
        int r;

        if (!automatic || chosen == MECHANISM_DIRECT)
                return strdup(states[chosen].reason);
        if (chosen == MECHANISM_KSM)
                r = asprintf(&reason, "direct: %s", states[MECHANISM_DIRECT].reason);
        else
                r = asprintf(&reason, "direct: %s; ksm: %s", states[MECHANISM_DIRECT].reason,
                             states[MECHANISM_KSM].reason);
        return r < 0 ? NULL : reason;
}

int manager_choose_mechanism(Manager *m)
{
        static const enum mechanism order[] = { MECHANISM_DIRECT, MECHANISM_KSM, MECHANISM_OBSERVE };
        enum mechanism wanted =
                m->mechanism_option != MECHANISM_INVALID_ ? m->mechanism_option : m->conf.mechanism;
        bool advise = false;
        char *reason;
        int r;

        r = probe_direct(m, &advise);
        if (r >= 0)
                r = probe_ksm(m, advise);
        if (r >= 0)
                r = note(m, MECHANISM_OBSERVE, true, "looking and estimating always work");
        if (r < 0)
                return r;

        for (size_t i = 0; i < ELEMENTSOF(order); i++) {
                if ((wanted != MECHANISM_AUTO && wanted != order[i]) || !m->mechanisms[order[i]].works)
                        continue;
                reason = make_reason(m, order[i], wanted == MECHANISM_AUTO);
                if (!reason)
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
