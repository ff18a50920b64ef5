/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <locale.h>

#include "config.h"
#include "ctl/help.h"
#include "ctl/options.h"
#include "ctl/verbs.h"
#include "shared/exit.h"
#include "shared/names.h"

int main(int argc, char *argv[])
{
        _cleanup_(options_done) struct options options = {};
        int r;

        /* For the width of characters only: figures keep their points in every language. */
        setlocale(LC_CTYPE, "");

        r = options_parse(argc, argv, &options);
        if (r == -EINVAL)
                return MERGEMEM_EXIT_USAGE;
        if (r < 0)
                return MERGEMEM_EXIT_FAILED;

        if (options.help)
                help_print(stdout);
        else if (options.version)
                puts("mergememctl " MERGEMEM_VERSION);
        else
                return exit_flush_stdout(options.verb->run(&options));
        return exit_flush_stdout(MERGEMEM_EXIT_DONE);
}
