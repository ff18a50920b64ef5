/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/options.h"

#include <getopt.h>

#include "ctl/verb-memory.h"
#include "ctl/verbs.h"
#include "shared/log.h"
#include "shared/parse.h"

/* Enough for a screen. */
#define LIMIT_DEFAULT 20U

/* Options without a letter are numbered from beyond the characters on. */
enum {
        OPTION_ALL = 0x100,
        OPTION_BUS,
        OPTION_BY,
        OPTION_CGROUP,
        OPTION_COMM,
        OPTION_DRY_RUN,
        OPTION_EXE,
        OPTION_FALLBACK,
        OPTION_FLAGS,
        OPTION_FORCE,
        OPTION_HUGE_PAGES,
        OPTION_JSON,
        OPTION_KSM,
        OPTION_LIMIT,
        OPTION_MECHANISM,
        OPTION_NO_BLOCK,
        OPTION_NO_LEGEND,
        OPTION_OTHERS,
        OPTION_OWNER,
        OPTION_PID,
        OPTION_ROOT,
        OPTION_SHLIB,
        OPTION_STABLE_HASH,
        OPTION_TRUST,
        OPTION_UNIT,
        OPTION_USER,
        OPTION_VERSION,
};

#define SELECTING (VERB_JOBS_ | VERB_LIST | VERB_MEMORY)
#define NAMING (SELECTING | VERB_RULES_)
#define SCANNING (VERB_ESTIMATE | VERB_MERGE | VERB_SCAN | VERB_ENABLE)

const struct option_info option_table[] = {
        { "shlib", OPTION_SHLIB, "NAME|PATH", false, OPTION_GROUP_SELECTOR, NAMING & ~VERB_UNMERGE,
          "Shared library, with or without version" },
        { "exe", OPTION_EXE, "PATH", false, OPTION_GROUP_SELECTOR, NAMING, "Program that is run" },
        { "comm", OPTION_COMM, "NAME", false, OPTION_GROUP_SELECTOR, NAMING, "Name of processes" },
        { "pid", OPTION_PID, "PID", false, OPTION_GROUP_SELECTOR, SELECTING, "Process" },
        { "cgroup", OPTION_CGROUP, "PATH", false, OPTION_GROUP_SELECTOR, NAMING,
          "Control group and those below it" },
        { "unit", OPTION_UNIT, "NAME", false, OPTION_GROUP_SELECTOR, NAMING, "systemd unit" },
        { "user", OPTION_USER, "NAME", false, OPTION_GROUP_SELECTOR, NAMING | VERB_LAYOUTS,
          "Name or number of a user" },
        { "all", OPTION_ALL, NULL, false, OPTION_GROUP_SELECTOR, SELECTING,
          "Every process; compare across owners" },
        { "others", OPTION_OTHERS, NULL, false, OPTION_GROUP_SELECTOR, SELECTING | VERB_PAGES,
          "Not root: also other users' processes" },

        { "trust", OPTION_TRUST, "DOMAIN", false, OPTION_GROUP_JOB, SCANNING,
          "Who may share: user, cgroup, system" },
        { "mechanism", OPTION_MECHANISM, "NAME", false, OPTION_GROUP_JOB, SCANNING,
          "auto, direct, ksm or observe" },
        { "huge-pages", OPTION_HUGE_PAGES, "MODE", false, OPTION_GROUP_JOB, SCANNING,
          "direct: auto, keep or split them" },
        { "force", OPTION_FORCE, NULL, false, OPTION_GROUP_JOB, VERB_UNMERGE,
          "Go on although memory may not suffice" },
        { "limit", OPTION_LIMIT, "N", false, OPTION_GROUP_JOB,
          VERB_ESTIMATE | VERB_SCAN | VERB_ENABLE | VERB_HISTORY | VERB_EXPLAIN | VERB_MEMORY | VERB_PAGES |
                  VERB_SHARED,
          "Show N rows, 0 for all (default 20)" },
        { "no-block", OPTION_NO_BLOCK, NULL, false, OPTION_GROUP_JOB, VERB_JOBS_,
          "Print the job and do not wait for it" },

        { "dry-run", OPTION_DRY_RUN, NULL, false, OPTION_GROUP_LAYOUT, VERB_UNIT_FILES_,
          "Show it, and change nothing" },
        { "root", OPTION_ROOT, "DIR", false, OPTION_GROUP_LAYOUT, VERB_UNIT_FILES_,
          "Of the system whose files are in DIR" },
        { "stable-hash", OPTION_STABLE_HASH, NULL, false, OPTION_GROUP_LAYOUT, VERB_ENABLE_LAYOUT,
          "One hash seed too, for interpreters" },
        { "ksm", OPTION_KSM, NULL, false, OPTION_GROUP_LAYOUT, VERB_ENABLE_LAYOUT,
          "Have the kernel's KSM merge its memory" },
        { "fallback", OPTION_FALLBACK, NULL, false, OPTION_GROUP_LAYOUT, VERB_ENABLE_LAYOUT,
          "Start it without rather than not at all" },

        { "by", OPTION_BY, "WHAT", false, OPTION_GROUP_PAGES, VERB_MEMORY,
          "process, program, user, cgroup, library" },
        { "owner", OPTION_OWNER, "LIB", false, OPTION_GROUP_PAGES, VERB_PAGES,
          "Only pages of this library, or kind of owner" },
        { "flags", OPTION_FLAGS, "EXPR", false, OPTION_GROUP_PAGES, VERB_PAGES,
          "Only pages with flags as in anon,~lru" },

        { "bus", OPTION_BUS, "BUS", false, OPTION_GROUP_GENERAL, 0, "system, session or an address" },
        { "host", 'H', "[USER@]HOST", false, OPTION_GROUP_GENERAL, 0, "Ask a service over ssh" },
        { "machine", 'M', "CONTAINER", false, OPTION_GROUP_GENERAL, 0, "Ask the service of a container" },
        { "json", OPTION_JSON, "MODE", true, OPTION_GROUP_GENERAL, 0, "pretty (default), short or off" },
        { "no-legend", OPTION_NO_LEGEND, NULL, false, OPTION_GROUP_GENERAL, 0,
          "No heads above tables, no hints" },
        { "quiet", 'q', NULL, false, OPTION_GROUP_GENERAL, 0, "Print nothing but errors" },
        { "help", 'h', NULL, false, OPTION_GROUP_GENERAL, 0, "Show this help" },
        { "version", OPTION_VERSION, NULL, false, OPTION_GROUP_GENERAL, 0, "Show the version" },
};
const size_t option_table_size = ELEMENTSOF(option_table);

static const struct option_info *option_by_id(int id)
{
        for (size_t i = 0; i < ELEMENTSOF(option_table); i++)
                if (option_table[i].id == id)
                        return option_table + i;
        return NULL;
}

static int parse_json_mode(const char *s, enum json_mode *ret)
{
        if (!s || streq(s, "pretty"))
                *ret = JSON_PRETTY;
        else if (streq(s, "short"))
                *ret = JSON_SHORT;
        else if (streq(s, "off"))
                *ret = JSON_OFF;
        else
                return -EINVAL;
        return 0;
}

static int set_text(const char **var, const char *value)
{
        if (!*value)
                return -EINVAL;
        *var = value;
        return 0;
}

static int parse_bus(const char *s, const char **ret)
{
        if (!streq(s, "system") && !streq(s, "session") && !strchr(s, ':'))
                return -EINVAL;
        *ret = s;
        return 0;
}

static int option_apply(struct options *o, int id, const char *value)
{
        switch (id) {
        case OPTION_SHLIB:
                return selector_add(&o->what, SELECTOR_SHLIB, value);
        case OPTION_EXE:
                return selector_add(&o->what, SELECTOR_EXE, value);
        case OPTION_COMM:
                return selector_add(&o->what, SELECTOR_COMM, value);
        case OPTION_PID:
                return selector_add_pid(&o->what, value);
        case OPTION_CGROUP:
                return selector_add(&o->what, SELECTOR_CGROUP, value);
        case OPTION_UNIT:
                return selector_add(&o->what, SELECTOR_UNIT, value);
        case OPTION_USER:
                return selector_add(&o->what, SELECTOR_USER, value);
        case OPTION_ALL:
                o->what.all = true;
                return 0;
        case OPTION_OTHERS:
                o->what.others = true;
                return 0;
        case OPTION_TRUST:
                return selector_set_trust(&o->what, value);
        case OPTION_MECHANISM:
                return selector_set_mechanism(&o->what, value);
        case OPTION_HUGE_PAGES:
                return selector_set_huge_pages(&o->what, value);
        case OPTION_FORCE:
                o->what.force = true;
                return 0;
        case OPTION_DRY_RUN:
                o->dry_run = true;
                return 0;
        case OPTION_ROOT:
                return set_text(&o->root, value);
        case OPTION_STABLE_HASH:
                o->stable_hash = true;
                return 0;
        case OPTION_KSM:
                o->ksm = true;
                return 0;
        case OPTION_FALLBACK:
                o->fallback = true;
                return 0;
        case OPTION_LIMIT:
                return parse_uint64(value, &o->limit);
        case OPTION_NO_BLOCK:
                o->block = false;
                return 0;
        case OPTION_BY:
                return memory_by_is_known(value) ? set_text(&o->by, value) : -EINVAL;
        case OPTION_OWNER:
                return set_text(&o->owner, value);
        case OPTION_FLAGS:
                return o->n_flags < OPTIONS_FLAGS_MAX ? set_text(&o->flags[o->n_flags++], value) : -EINVAL;
        case OPTION_BUS:
                return parse_bus(value, &o->bus);
        case 'H':
                return set_text(&o->host, value);
        case 'M':
                return set_text(&o->machine, value);
        case OPTION_JSON:
                return parse_json_mode(value, &o->json);
        case OPTION_NO_LEGEND:
                o->legend = false;
                return 0;
        case 'q':
                o->quiet = true;
                return 0;
        case 'h':
                o->help = true;
                return 0;
        case OPTION_VERSION:
                o->version = true;
                return 0;
        default:
                return -EINVAL;
        }
}

/* From the table; what getopt_long() finds wrong, it says itself. @used: per row of the table. */
static int parse_options(int argc, char **argv, struct options *o, bool *used)
{
        struct option longopts[ELEMENTSOF(option_table) + 1] = {};
        char shortopts[2 * ELEMENTSOF(option_table) + 1] = "", *p = shortopts;
        int id;

        for (size_t i = 0; i < ELEMENTSOF(option_table); i++) {
                const struct option_info *info = option_table + i;

                longopts[i].name = info->name;
                longopts[i].val = info->id;
                longopts[i].has_arg = !info->arg ? no_argument :
                                      info->arg_optional ? optional_argument : required_argument;
                if (info->id < 0x100) {
                        *p++ = (char) info->id;
                        if (info->arg)
                                *p++ = ':';
                }
        }

        optind = 0; /* from the start, however often this is called */
        while ((id = getopt_long(argc, argv, shortopts, longopts, NULL)) >= 0) {
                const struct option_info *info = option_by_id(id);
                int r;

                if (!info)
                        return -EINVAL;
                used[info - option_table] = true;
                r = option_apply(o, id, optarg);
                if (r == -ENOMEM)
                        return log_oom();
                if (r < 0)
                        return log_error_errno(-EINVAL, "Bad value for --%s: '%s'", info->name, optarg);
        }
        return 0;
}

static int check_usage(const struct options *o, const bool *used)
{
        const struct verb *verb = o->verb;

        for (size_t i = 0; i < ELEMENTSOF(option_table); i++) {
                const struct option_info *info = option_table + i;

                if (used[i] && info->verbs != 0 && !(info->verbs & verb->id))
                        return log_error_errno(-EINVAL, "--%s means nothing to '%s'.", info->name,
                                               verb->name);
        }
        if (o->n_args < verb->min_args)
                return log_error_errno(-EINVAL, "'%s' needs an argument: %s", verb->name, verb->args);
        if (o->n_args > verb->max_args)
                return log_error_errno(-EINVAL, "Too many arguments for '%s': '%s'", verb->name,
                                       o->args[verb->max_args]);
        if ((verb->id & (VERB_JOBS_ | VERB_ENABLE)) && verb->id != VERB_SCAN && selector_is_empty(&o->what))
                return log_error_errno(-EINVAL,
                                       "'%s' needs to be told which processes, say by --unit or --all.",
                                       verb->name);
        if (!!o->bus + !!o->host + !!o->machine > 1)
                return log_error_errno(-EINVAL, "--bus, --host and --machine exclude each other.");
        return 0;
}

int options_parse(int argc, char **argv, struct options *o)
{
        bool used[ELEMENTSOF(option_table)] = {};
        int r;

        *o = (struct options){ .verb = verb_table, .limit = LIMIT_DEFAULT, .legend = true, .block = true };

        r = parse_options(argc, argv, o, used);
        if (r < 0)
                return r;
        if (o->help || o->version)
                return 0;

        if (optind < argc) {
                o->verb = verb_find(argv[optind]);
                if (!o->verb)
                        return log_error_errno(-EINVAL, "Unknown verb '%s'.", argv[optind]);
                o->args = argv + optind + 1;
                o->n_args = (size_t) (argc - optind - 1);
        }
        return check_usage(o, used);
}

void options_done(struct options *o)
{
        selector_done(&o->what);
}

struct output options_output(const struct options *o, FILE *file)
{
        return (struct output){ .file = file, .json = o->json, .legend = o->legend };
}
