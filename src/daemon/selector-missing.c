/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "daemon/selector.h"
#include "shared/names.h"

static const char *error_of(const struct selector_value *v)
{
        switch (v->kind) {
        case SELECTOR_COMM:
        case SELECTOR_EXE:
        case SELECTOR_PROGRAM:
                return MERGEMEM_ERROR_NO_SUCH_PROGRAM;
        case SELECTOR_CGROUP:
                return MERGEMEM_ERROR_NO_SUCH_CGROUP;
        case SELECTOR_UNIT:
                return MERGEMEM_ERROR_NO_SUCH_UNIT;
        case SELECTOR_USER:
                return v->uid == (uid_t) -1 ? MERGEMEM_ERROR_NO_SUCH_USER : MERGEMEM_ERROR_NOTHING_MATCHES;
        case SELECTOR_SHLIB:
                return MERGEMEM_ERROR_NO_SUCH_LIBRARY;
        default:
                return MERGEMEM_ERROR_NO_SUCH_PROCESS;
        }
}

const char *selector_missing_error(const struct selector *s, const struct selector_value *v, char **ret)
{
        const char *own = s->only_own ? " among your own" : "";
        char *text = NULL;
        int r;

        switch (v->kind) {
        case SELECTOR_PID:
                r = asprintf(&text, "There is no process %d%s.", v->pid, own);
                break;
        case SELECTOR_COMM:
                r = asprintf(&text, "No process is named \"%s\"%s.", v->text, own);
                break;
        case SELECTOR_EXE:
        case SELECTOR_PROGRAM:
                r = asprintf(&text, "No process runs the program %s%s.", v->text, own);
                break;
        case SELECTOR_CGROUP:
                r = asprintf(&text, "No process is in the cgroup %s%s.", v->text, own);
                break;
        case SELECTOR_UNIT:
                r = asprintf(&text, "No process belongs to the unit %s%s.", v->text, own);
                break;
        case SELECTOR_USER:
                r = v->uid == (uid_t) -1 ? asprintf(&text, "There is no user \"%s\".", v->text)
                                         : asprintf(&text, "The user %s has no process%s.", v->text, own);
                break;
        default:
                r = asprintf(&text, "No process%s has the library %s in its memory.", own, v->text);
        }
        *ret = r < 0 ? NULL : text;
        return error_of(v);
}
