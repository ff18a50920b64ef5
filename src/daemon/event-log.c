/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdarg.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>

#include "daemon/event-log.h"
#include "shared/format.h"
#include "shared/log.h"

static char *field_new(const struct event_field *f)
{
        char *ret;
        int r;

        if (f->text)
                r = asprintf(&ret, "MERGEMEM_%s=%s", f->name, f->text);
        else
                r = asprintf(&ret, "MERGEMEM_%s=%" PRIu64, f->name, f->number);
        return r < 0 ? NULL : ret;
}

static int send_to_journal(const struct event_field *fields, size_t n_fields, const char *message)
{
        char *texts[EVENT_FIELDS_MAX] = {};
        _cleanup_(freep) char *first = NULL;
        struct iovec parts[EVENT_FIELDS_MAX + 2];
        _cleanup_(freep) char *escaped = escape_text(message);
        int n = 0, r = 0;

        if (!escaped)
                return -ENOMEM;
        /* Names in a message may be anybody's choice; the fields have them as they are. */
        if (asprintf(&first, "MESSAGE=%s", escaped) < 0) {
                first = NULL;
                return -ENOMEM;
        }
        parts[n++] = (struct iovec) { first, strlen(first) };
        parts[n++] = (struct iovec) { (char *) "PRIORITY=6", strlen("PRIORITY=6") };
        for (size_t i = 0; i < n_fields && i < EVENT_FIELDS_MAX && r >= 0; i++) {
                texts[i] = field_new(&fields[i]);
                if (texts[i])
                        parts[n++] = (struct iovec) { texts[i], strlen(texts[i]) };
                else
                        r = -ENOMEM;
        }
        if (r >= 0)
                r = sd_journal_sendv(parts, n);
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                free(texts[i]);
        return r;
}

void event_log(const struct event_field *fields, size_t n_fields, const char *format, ...)
{
        _cleanup_(freep) char *message = NULL;
        va_list ap;
        int r;

        if (log_get_level() < LOG_INFO)
                return;
        va_start(ap, format);
        r = vasprintf(&message, format, ap);
        va_end(ap);
        if (r < 0) {
                message = NULL;
                return;
        }
        if (!log_is_journal() || send_to_journal(fields, n_fields, message) < 0)
                log_info("%s", message);
}
