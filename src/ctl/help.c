/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/help.h"

#include "ctl/options.h"
#include "ctl/verbs.h"
#include "shared/names.h"

static const char *const group_titles[OPTION_GROUP_MAX_] = {
        [OPTION_GROUP_SELECTOR] =
                "Selectors (values of one kind add up, several kinds narrow each other down)",
        [OPTION_GROUP_JOB] = "Options of jobs",
        [OPTION_GROUP_LAYOUT] = "Options of enable-layout and disable-layout",
        [OPTION_GROUP_PAGES] = "Options of memory and pages",
        [OPTION_GROUP_GENERAL] = "Options",
};

static void option_print(FILE *f, const struct option_info *info)
{
        char left[64];

        snprintf(left, sizeof(left), "%c%c%c --%s%s%s%s",
                 info->id < 0x100 ? '-' : ' ',
                 info->id < 0x100 ? (char) info->id : ' ',
                 info->id < 0x100 ? ',' : ' ',
                 info->name,
                 !info->arg ? "" : info->arg_optional ? "[=" : "=",
                 info->arg ? info->arg : "",
                 info->arg_optional ? "]" : "");
        fprintf(f, "  %-28s %s\n", left, info->help);
}

void help_print(FILE *f)
{
        fputs("mergememctl [OPTION...] [VERB] [ARGUMENT...]\n"
              "\n"
              "Find identical pages of running processes, and merge them.\n"
              "\n"
              "Verbs:\n", f);
        for (size_t i = 0; i < verb_table_size; i++) {
                char left[64];

                snprintf(left, sizeof(left), "%s %s", verb_table[i].name, verb_table[i].args);
                fprintf(f, "  %-30s %s\n", left, verb_table[i].help);
        }
        for (size_t group = 0; group < OPTION_GROUP_MAX_; group++) {
                fprintf(f, "\n%s:\n", group_titles[group]);
                for (size_t i = 0; i < option_table_size; i++)
                        if (option_table[i].group == group)
                                option_print(f, option_table + i);
        }
        fputs("\nSee mergememctl(1).\n", f);
}

int verb_help(const struct options *o)
{
        help_print(stdout);
        return MERGEMEM_EXIT_DONE;
}
