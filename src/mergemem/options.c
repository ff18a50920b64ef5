/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mergemem/options.h"

#include <getopt.h>

#include "shared/log.h"
#include "shared/parse.h"
#include "shared/path.h"

#define LOG_MASK_MAX (CONF_LOG_RESULTS | CONF_LOG_SELECTION | CONF_LOG_MAPS | CONF_LOG_GROUPS)

void options_help(FILE *f)
{
        fputs("mergemem [OPTION...] PROGRAM|PID...\n"
              "mergeall [OPTION...]\n"
              "\n"
              "Merge identical memory of running processes, without the service mergememd.\n"
              "\n"
              "  PROGRAM is the name of a program, or a path; PID the number of a process.\n"
              "\n"
              "  -s --shlib=NAME|PATH  Only this library's memory, with or without version;\n"
              "                        of all processes that have it, if none is named\n"
              "     --all              Every process; compare across owners: mergeall\n"
              "     --no-stack         Leave stacks alone\n"
              "     --dry-run          Change nothing: count what merging would free\n"
              "     --interval=SEC     Do it again and again, SEC after the last time\n"
              "     --loglevel=MASK    Sum of 1 statistics, 2 processes, 4 owners, 8 groups\n"
              "                        of pages (default 1)\n"
              "     --config=FILE      Read FILE and FILE.d/*.conf, not mergememd.conf(5)\n"
              "  -h --help             Show this help\n"
              "     --version          Show the version\n"
              "\n"
              "See mergemem(1).\n", f);
}

static int add_library(struct options *o, const char *library)
{
        const char **libraries = reallocarray(o->libraries, o->n_libraries + 1, sizeof(*libraries));

        if (!libraries)
                return log_oom();
        o->libraries = libraries;
        libraries[o->n_libraries++] = library;
        return 0;
}

static int set_log_mask(struct options *o, const char *text)
{
        uint64_t mask;

        if (parse_uint64(text, &mask) < 0 || mask > LOG_MASK_MAX)
                return log_error_errno(-EINVAL, "--loglevel=%s: not a sum of 1, 2, 4 and 8.", text);
        o->log_mask = (unsigned) mask;
        return 0;
}

static int set_interval(struct options *o, const char *text)
{
        uint64_t usec;

        if (parse_sec(text, &usec) < 0 || usec < INTERVAL_MIN_USEC || usec > INTERVAL_MAX_USEC)
                return log_error_errno(-EINVAL, "--interval=%s: not a time from 1s to 1d.", text);
        o->interval_usec = usec;
        return 0;
}

static int parse_options(int argc, char **argv, struct options *o)
{
        enum {
                ARG_ALL = 0x100,
                ARG_NO_STACK,
                ARG_DRY_RUN,
                ARG_INTERVAL,
                ARG_LOGLEVEL,
                ARG_CONFIG,
                ARG_VERSION,
        };
        static const struct option options[] = {
                { "shlib", required_argument, NULL, 's' },
                { "all", no_argument, NULL, ARG_ALL },
                { "no-stack", no_argument, NULL, ARG_NO_STACK },
                { "dry-run", no_argument, NULL, ARG_DRY_RUN },
                { "interval", required_argument, NULL, ARG_INTERVAL },
                { "loglevel", required_argument, NULL, ARG_LOGLEVEL },
                { "config", required_argument, NULL, ARG_CONFIG },
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, ARG_VERSION },
                {},
        };
        int c, r = 0;

        optind = 0; /* from the start, however often this is called */
        while (r >= 0 && (c = getopt_long(argc, argv, "s:h", options, NULL)) >= 0)
                switch (c) {
                case 's':
                        r = add_library(o, optarg);
                        break;
                case ARG_ALL:
                        o->all = true;
                        break;
                case ARG_NO_STACK:
                        o->stacks = false;
                        break;
                case ARG_DRY_RUN:
                        o->dry_run = true;
                        break;
                case ARG_INTERVAL:
                        r = set_interval(o, optarg);
                        break;
                case ARG_LOGLEVEL:
                        r = set_log_mask(o, optarg);
                        break;
                case ARG_CONFIG:
                        o->config = optarg;
                        break;
                case 'h':
                        o->help = true;
                        break;
                case ARG_VERSION:
                        o->version = true;
                        break;
                default:
                        return -EINVAL; /* it has been said why */
                }
        return r;
}

static int check(const struct options *o)
{
        _cleanup_(selector_done) struct selector s = {};

        if (o->all && o->n_targets > 0)
                return log_error_errno(-EINVAL, "\"%s\" makes no sense where every process is meant.",
                                       o->targets[0]);
        if (!o->all && o->n_targets == 0 && o->n_libraries == 0)
                return log_error_errno(-EINVAL,
                                       "Which processes? Name programs or process numbers, or a library "
                                       "with --shlib, or say --all.");
        return options_selector(o, &s);
}

int options_parse(int argc, char **argv, struct options *ret)
{
        const char *slash = argv[0] ? strrchr(argv[0], '/') : NULL;
        const char *name = slash ? slash + 1 : argv[0] ?: "";
        bool all = streq(name, "mergeall");
        struct options o = {
                .name = all ? "mergeall" : "mergemem",
                .all = all,
                .stacks = true,
                .log_mask = CONF_LOG_RESULTS,
        };
        int r;

        r = parse_options(argc, argv, &o);
        o.targets = argv + optind;
        o.n_targets = optind < argc ? (size_t) (argc - optind) : 0;
        if (r >= 0 && !o.help && !o.version)
                r = check(&o);
        if (r < 0) {
                options_done(&o);
                return r == -ENOMEM ? r : -EINVAL;
        }
        *ret = o;
        return 0;
}

void options_done(struct options *o)
{
        free(TAKE_PTR(o->libraries));
        o->n_libraries = 0;
}

/* Names as they are, paths from the root on. */
static int add_text(struct selector *s, enum selector_kind kind, const char *text)
{
        _cleanup_(freep) char *path = NULL;
        int r = 0;

        if (strchr(text, '/'))
                r = path_make_absolute(text, &path);
        return r < 0 ? r : selector_add(s, kind, path ?: text, 0);
}

static int add_target(struct selector *s, const char *target)
{
        pid_t pid;

        if (*target && target[strspn(target, "0123456789")] == '\0')
                return parse_pid(target, &pid) < 0 ? -EINVAL : selector_add(s, SELECTOR_PID, NULL, pid);
        return add_text(s, strchr(target, '/') ? SELECTOR_EXE : SELECTOR_PROGRAM, target);
}

static int refuse(const char *text, int error)
{
        switch (error) {
        case -ENOMEM:
                return log_oom();
        case -EINVAL:
                return log_error_errno(error,
                                       "\"%s\": neither a name nor a path nor the number of a process.",
                                       text);
        case -E2BIG:
                return log_error_errno(error,
                                       "\"%s\" is too much: at most %u names, and %u KiB of them.", text,
                                       SELECTOR_VALUES_MAX, SELECTOR_BYTES_MAX / 1024U);
        default:
                return log_error_errno(error, "\"%s\": %m", text);
        }
}

int options_selector(const struct options *o, struct selector *ret)
{
        _cleanup_(selector_done) struct selector s = { .all = o->all, .any = true };

        for (size_t i = 0; i < o->n_libraries; i++) {
                int r = add_text(&s, SELECTOR_SHLIB, o->libraries[i]);

                if (r < 0)
                        return refuse(o->libraries[i], r);
        }
        for (size_t i = 0; i < o->n_targets; i++) {
                int r = add_target(&s, o->targets[i]);

                if (r < 0)
                        return refuse(o->targets[i], r);
        }
        selector_note_user_ns(&s);
        *ret = TAKE_GENERIC(s, (struct selector) {});
        return 0;
}
