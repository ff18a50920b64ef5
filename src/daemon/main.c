/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <getopt.h>

#include "config.h"
#include "daemon/manager.h"
#include "daemon/module.h"
#include "shared/log.h"

static void help(void)
{
        printf("mergememd [OPTIONS...]\n\n"
               "Finds and merges identical memory of running processes.\n\n"
               "  -h --help                Show this help\n"
               "     --version             Show the version\n"
               "     --bus=BUS             system (default), session, or a D-Bus address\n"
               "     --mechanism=NAME      auto, direct, ksm or observe, whatever is configured\n"
               "     --load-module         Load mergemod into the kernel, or say why not, and exit\n"
               "     --config=FILE         Read FILE and FILE.d/*.conf instead of\n"
               "                           %s/mergememd.conf and its like\n"
               "     --check-config        Say what is wrong with the configuration, and exit\n"
               "     --log-level=LEVEL     err, warning, notice, info or debug\n\n"
               "See mergememd(8).\n",
               MERGEMEM_SYSCONFDIR);
}

enum action { ACTION_SERVE, ACTION_LOAD_MODULE, ACTION_CHECK_CONFIG };

/* 1: go on; 0: all is said; -EINVAL. */
static int parse_argv(int argc, char *argv[], Manager *m, enum action *ret_action)
{
        enum {
                ARG_VERSION = 0x100,
                ARG_BUS,
                ARG_MECHANISM,
                ARG_LOAD_MODULE,
                ARG_CONFIG,
                ARG_CHECK_CONFIG,
                ARG_LOG_LEVEL,
        };
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, ARG_VERSION },
                { "bus", required_argument, NULL, ARG_BUS },
                { "mechanism", required_argument, NULL, ARG_MECHANISM },
                { "load-module", no_argument, NULL, ARG_LOAD_MODULE },
                { "config", required_argument, NULL, ARG_CONFIG },
                { "check-config", no_argument, NULL, ARG_CHECK_CONFIG },
                { "log-level", required_argument, NULL, ARG_LOG_LEVEL },
                {},
        };
        int c;

        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case 'h':
                        help();
                        return 0;
                case ARG_VERSION:
                        printf("mergemem %s\n", MERGEMEM_VERSION);
                        return 0;
                case ARG_BUS:
                        m->bus_address = optarg;
                        break;
                case ARG_MECHANISM:
                        m->mechanism_option = mechanism_from_string(optarg);
                        if (m->mechanism_option == MECHANISM_INVALID_)
                                return log_error_errno(
                                        -EINVAL, "--mechanism=%s: not one of auto, direct, ksm, observe.",
                                        optarg);
                        break;
                case ARG_LOAD_MODULE:
                        *ret_action = ACTION_LOAD_MODULE;
                        break;
                case ARG_CHECK_CONFIG:
                        *ret_action = ACTION_CHECK_CONFIG;
                        break;
                case ARG_CONFIG:
                        m->conf_path = optarg;
                        break;
                case ARG_LOG_LEVEL:
                        m->log_level_option = log_level_from_string(optarg);
                        if (m->log_level_option < LOG_ERR)
                                return log_error_errno(
                                        -EINVAL,
                                        "--log-level=%s: not one of err, warning, notice, info, debug.",
                                        optarg);
                        break;
                default:
                        return -EINVAL;
                }
        if (optind < argc)
                return log_error_errno(-EINVAL, "Unexpected argument \"%s\".", argv[optind]);
        return 1;
}

/* Not in the service itself, which is not to be able to. */
static int load_module(void)
{
        _cleanup_(freep) char *text = NULL;
        struct module_facts facts;
        int r;

        r = module_load(&facts);
        text = module_explain(&facts);
        if (!text)
                return log_oom();
        if (r < 0)
                return log_error_errno(r, "%s.", text);
        log_info("%s.", text);
        return 0;
}

static int check_config(const Manager *m)
{
        _cleanup_(conf_done) struct conf c = {};

        return manager_load_conf(m, NULL, &c);
}

int main(int argc, char *argv[])
{
        _cleanup_(manager_freep) Manager *m = NULL;
        enum action action = ACTION_SERVE;
        int r;

        r = manager_new(&m);
        if (r < 0) {
                (void) log_error_errno(r, "Cannot set up: %m");
                return EXIT_FAILURE;
        }
        r = parse_argv(argc, argv, m, &action);
        if (r <= 0)
                return r < 0 ? 2 : EXIT_SUCCESS;
        if (action == ACTION_CHECK_CONFIG)
                return check_config(m) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        if (geteuid() != 0) {
                log_error("mergememd must run as root: it reads the memory of other processes.");
                return EXIT_FAILURE;
        }
        if (action == ACTION_LOAD_MODULE)
                return load_module() < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        r = manager_start(m);
        if (r < 0)
                return EXIT_FAILURE;
        r = manager_run(m);
        return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
