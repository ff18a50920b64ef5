/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/refusal.h"

#include <stdarg.h>

int refuse(struct refusal *f, int error, const char *format, ...)
{
        va_list ap;

        errno = -error;
        va_start(ap, format);
        vsnprintf(f->text, sizeof(f->text), format, ap);
        va_end(ap);
        return error;
}
