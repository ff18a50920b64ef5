/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <signal.h>

#include "config.h"
#include "mergemem/alone.h"
#include "mergemem/rounds.h"
#include "shared/exit.h"
#include "shared/log.h"
#include "shared/names.h"

static int run(const struct options *o)
{
        _cleanup_(manager_freep) Manager *m = NULL;
        int r;

        r = manager_new(&m);
        if (r < 0) {
                (void) log_error_errno(r, "Cannot set up: %m");
                return MERGEMEM_EXIT_FAILED;
        }
        return alone_start(m, o) < 0 ? MERGEMEM_EXIT_FAILED : rounds_run(m, o);
}

int main(int argc, char *argv[])
{
        _cleanup_(options_done) struct options o = {};
        int r;

        r = options_parse(argc, argv, &o);
        if (r < 0)
                return r == -EINVAL ? MERGEMEM_EXIT_USAGE : MERGEMEM_EXIT_FAILED;
        if (o.help)
                options_help(stdout);
        else if (o.version)
                puts("mergemem " MERGEMEM_VERSION);
        if (o.help || o.version)
                return exit_flush_stdout(MERGEMEM_EXIT_DONE);
        if (geteuid() != 0) {
                log_error("%s must be run by root: it reads the memory of other processes.", o.name);
                return MERGEMEM_EXIT_NOT_PERMITTED;
        }
        /* Whatever service we are a part of, its status is not ours to tell. */
        (void) unsetenv("NOTIFY_SOCKET");
        (void) signal(SIGPIPE, SIG_IGN);
        return run(&o);
}
