/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/options.h"

#include <getopt.h>

#include "run/group.h"
#include "shared/log.h"

enum {
        OPTION_DRY_RUN = 0x100,
        OPTION_FALLBACK,
        OPTION_GROUP,
        OPTION_INHERIT,
        OPTION_KSM,
        OPTION_STABLE_HASH,
        OPTION_VERSION,
};

const struct option_info option_table[] = {
        { "group", OPTION_GROUP, "NAME", "Layout group, instead of that of the systemd unit" },
        { "stable-hash", OPTION_STABLE_HASH, NULL, "One seed for the hash tables of interpreters" },
        { "ksm", OPTION_KSM, NULL, "Let the kernel's KSM merge the program's memory" },
        { "inherit", OPTION_INHERIT, NULL, "Programs that it executes are not randomised either" },
        { "fallback", OPTION_FALLBACK, NULL, "Start it without the layout rather than not at all" },
        { "dry-run", OPTION_DRY_RUN, NULL, "Try all but the start, and say what would be done" },
        { "verbose", 'v', NULL, "Say what is done" },
        { "help", 'h', NULL, "Show this help" },
        { "version", OPTION_VERSION, NULL, "Show the version" },
};
const size_t option_table_size = ELEMENTSOF(option_table);

static int apply(struct options *o, int id, const char *value)
{
        switch (id) {
        case OPTION_GROUP:
                if (!layout_name_is_valid(value))
                        return log_error_errno(-EINVAL, "mergemem-run: bad name of a group: '%s' (1 to %u "
                                               "letters, digits, : _ . - @ or \\)", value, LAYOUT_NAME_MAX);
                o->group = value;
                return 0;
        case OPTION_STABLE_HASH:
                o->stable_hash = true;
                return 0;
        case OPTION_KSM:
                o->ksm = true;
                return 0;
        case OPTION_INHERIT:
                o->inherit = true;
                return 0;
        case OPTION_FALLBACK:
                o->fallback = true;
                return 0;
        case OPTION_DRY_RUN:
                o->dry_run = true;
                return 0;
        case 'v':
                o->verbose = true;
                return 0;
        case 'h':
                o->help = true;
                return 0;
        case OPTION_VERSION:
                o->version = true;
                return 0;
        default: /* getopt_long() has said it */
                return -EINVAL;
        }
}

int options_parse(int argc, char **argv, struct options *ret)
{
        struct option longopts[ELEMENTSOF(option_table) + 1] = { 0 };
        struct options o = { 0 };
        int id, r;

        for (size_t i = 0; i < ELEMENTSOF(option_table); i++)
                longopts[i] = (struct option){
                        .name = option_table[i].name,
                        .has_arg = option_table[i].arg ? required_argument : no_argument,
                        .val = option_table[i].id,
                };

        optind = 0; /* from the start, however often this is called */
        /* "+": the program's own options are its own. */
        while ((id = getopt_long(argc, argv, "+hv", longopts, NULL)) >= 0) {
                r = apply(&o, id, optarg);
                if (r < 0)
                        return r;
        }
        o.argv = argv + optind;
        if (!*o.argv && !o.help && !o.version)
                return log_error_errno(-EINVAL, "mergemem-run: no program to start; see --help.");
        *ret = o;
        return 0;
}

void options_help(FILE *f)
{
        fputs("mergemem-run [OPTION...] [--] PROGRAM [ARGUMENT...]\n"
              "\n"
              "Start a program with the memory layout of its group, so that the pages of equal\n"
              "processes can be equal.\n"
              "\n", f);
        for (size_t i = 0; i < ELEMENTSOF(option_table); i++) {
                const struct option_info *info = option_table + i;
                bool letter = info->id < 0x100;
                char left[64];

                snprintf(left, sizeof(left), "%c%c%c --%s%s%s", letter ? '-' : ' ',
                         letter ? (char) info->id : ' ', letter ? ',' : ' ', info->name,
                         info->arg ? "=" : "", info->arg ?: "");
                fprintf(f, "  %-22s %s\n", left, info->help);
        }
        fputs("\nSee mergemem-run(1), which begins with the price.\n", f);
}
