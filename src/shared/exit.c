/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/exit.h"

#include "shared/log.h"
#include "shared/names.h"

int exit_status_of_error(const char *error_name)
{
        static const struct {
                const char *name; /* and all that begin with it */
                int status;
        } map[] = {
                { MERGEMEM_ERROR_PREFIX "NoSuch", MERGEMEM_EXIT_NOTHING_MATCHED },
                { MERGEMEM_ERROR_NOTHING_MATCHES, MERGEMEM_EXIT_NOTHING_MATCHED },
                { MERGEMEM_ERROR_BAD_SELECTOR, MERGEMEM_EXIT_USAGE },
                { MERGEMEM_ERROR_BAD_RULE, MERGEMEM_EXIT_USAGE },
                { MERGEMEM_ERROR_BAD_LAYOUT, MERGEMEM_EXIT_USAGE },
        };

        for (size_t i = 0; i < ELEMENTSOF(map); i++)
                if (strncmp(error_name, map[i].name, strlen(map[i].name)) == 0)
                        return map[i].status;
        return MERGEMEM_EXIT_FAILED;
}

int exit_flush_stdout(int status)
{
        if (fflush(stdout) == 0 && !ferror(stdout))
                return status;
        log_error_errno(-errno, "Cannot write to standard output: %m");
        return status == MERGEMEM_EXIT_DONE ? MERGEMEM_EXIT_FAILED : status;
}
