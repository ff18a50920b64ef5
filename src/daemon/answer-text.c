/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/answer-text.h"

#include "shared/format.h"
#include "shared/macro.h"

int answer_text_take(struct answer_text *t, const char *raw, char **ret)
{
        _cleanup_(freep) char *text = bus_text(raw);
        size_t n;

        if (!text)
                return -ENOMEM;
        n = strlen(text);
        if (n > ANSWER_TEXT_MAX - t->n_bytes)
                return 0;
        t->n_bytes += n;
        *ret = TAKE_PTR(text);
        return 1;
}

int answer_text_take_or_none(struct answer_text *t, const char *raw, char **ret)
{
        int r = answer_text_take(t, raw, ret);

        if (r > 0)
                return 0;
        if (r < 0)
                return r;
        *ret = strdup("");
        return *ret ? 0 : -ENOMEM;
}
