/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/verbs.h"

#include "shared/macro.h"

const struct verb verb_table[] = {
        { "stats", VERB_STATS, "", 0, 0, "Show what is saved and what it costs (default)", verb_stats },
        { "explain", VERB_EXPLAIN, "PID", 1, 1, "Say what is done with a process, and why", verb_explain },
        { "history", VERB_HISTORY, "", 0, 0, "Show what was saved over time", verb_history },
        { "estimate", VERB_ESTIMATE, "SELECTOR...", 0, 0, "Show what merging would free; change nothing",
          verb_estimate },
        { "scan", VERB_SCAN, "[SELECTOR...]", 0, 0, "The same of every process, for stats", verb_scan },
        { "merge", VERB_MERGE, "SELECTOR...", 0, 0, "Merge identical pages", verb_merge },
        { "unmerge", VERB_UNMERGE, "SELECTOR...", 0, 0, "Give every process its own pages back",
          verb_unmerge },
        { "list", VERB_LIST, "WHAT", 1, 1,
          "List libraries, processes, rules and more",
          verb_list },
        { "memory", VERB_MEMORY, "[SELECTOR...]", 0, 0, "Show how much memory processes use",
          verb_memory },
        { "pages", VERB_PAGES, "PID", 1, 1, "Show the pages of a process", verb_pages },
        { "shared", VERB_SHARED, "PID [ADDRESS]", 1, 2, "Show who shares which frames with it",
          verb_shared },
        { "enable", VERB_ENABLE, "[NAME] SELECTOR...", 0, 1, "Set a rule that has it merged",
          verb_enable },
        { "disable", VERB_DISABLE, "NAME|SELECTOR...", 0, 1, "Remove such a rule",
          verb_disable },
        { "layouts", VERB_LAYOUTS, "[rotate GROUP]", 0, 2, "List layout groups; draw one anew",
          verb_layouts },
        { "enable-layout", VERB_ENABLE_LAYOUT, "UNIT", 1, 1, "Have a service started by mergemem-run",
          verb_enable_layout },
        { "disable-layout", VERB_DISABLE_LAYOUT, "UNIT", 1, 1, "Take that back",
          verb_disable_layout },
        { "config", VERB_CONFIG, "", 0, 0, "Show the configuration in force",
          verb_config },
        { "cancel", VERB_CANCEL, "JOB...", 1, SIZE_MAX, "Cancel jobs, by number", verb_cancel },
        { "help", VERB_HELP, "", 0, 0, "Show this help", verb_help },
};
const size_t verb_table_size = ELEMENTSOF(verb_table);

const struct verb *verb_find(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(verb_table); i++)
                if (streq(verb_table[i].name, name))
                        return verb_table + i;
        return NULL;
}
