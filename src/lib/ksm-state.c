/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/ksm-state.h"
#include "shared/macro.h"

#define FIRST_LINE "mergemem-ksm-state 1\n"
#define LAST_LINE "end\n"

static const char *const knob_names[] = {
        [KSM_MERGE_ACROSS_NODES] = "merge_across_nodes",
        [KSM_MAX_PAGE_SHARING] = "max_page_sharing",
        [KSM_ADVISOR_MODE] = "advisor_mode",
        [KSM_PAGES_TO_SCAN] = "pages_to_scan",
        [KSM_SLEEP_MILLISECS] = "sleep_millisecs",
        [KSM_SMART_SCAN] = "smart_scan",
        [KSM_USE_ZERO_PAGES] = "use_zero_pages",
        [KSM_RUN] = "run",
};

const char *ksm_knob_name(enum ksm_knob knob)
{
        return knob_names[knob];
}

static bool is_uint32(const char *s)
{
        size_t n = strspn(s, "0123456789");

        return n > 0 && n <= 10 && s[n] == '\0' && strtoull(s, NULL, 10) <= UINT32_MAX;
}

bool ksm_knob_takes(enum ksm_knob knob, const char *value)
{
        switch (knob) {
        case KSM_ADVISOR_MODE:
                return streq(value, "none") || streq(value, "scan-time");
        case KSM_MAX_PAGE_SHARING: /* from 2 on, but what is there is taken as it is */
        case KSM_PAGES_TO_SCAN:
        case KSM_SLEEP_MILLISECS:
                return is_uint32(value);
        default:
                return streq(value, "0") || streq(value, "1");
        }
}

bool ksm_knob_waits(enum ksm_knob knob)
{
        return knob == KSM_MERGE_ACROSS_NODES || knob == KSM_MAX_PAGE_SHARING;
}

size_t ksm_state_format(const struct ksm_state *state, char buf[KSM_STATE_BYTES_MAX])
{
        size_t n = (size_t) sprintf(buf, FIRST_LINE);

        for (enum ksm_knob k = 0; k < KSM_KNOB_MAX_; k++) {
                const struct ksm_change *c = state->changes + k;

                if (c->ours[0])
                        n += (size_t) sprintf(buf + n, "%s %s %s\n", knob_names[k], c->before, c->ours);
        }
        return n + (size_t) sprintf(buf + n, LAST_LINE);
}

/* The word at *@s up to @separator, behind which *@s is moved. */
static bool take_word(char **s, char separator, const char **ret)
{
        char *end = strchr(*s, separator);

        if (!end)
                return false;
        *end = '\0';
        *ret = *s;
        *s = end + 1;
        return true;
}

int ksm_state_parse(const char *text, size_t size, struct ksm_state *ret)
{
        char buf[KSM_STATE_BYTES_MAX], *p = buf;
        struct ksm_state state = {};
        enum ksm_knob next = 0;

        if (size >= sizeof(buf) || memchr(text, '\0', size))
                return -EBADMSG;
        memcpy(buf, text, size);
        buf[size] = '\0';

        if (strncmp(p, FIRST_LINE, strlen(FIRST_LINE)) != 0)
                return -EBADMSG;
        p += strlen(FIRST_LINE);

        while (!streq(p, LAST_LINE)) {
                const char *name, *before, *ours;
                enum ksm_knob k;

                if (!take_word(&p, ' ', &name) || !take_word(&p, ' ', &before) ||
                    !take_word(&p, '\n', &ours))
                        return -EBADMSG;
                for (k = next; k < KSM_KNOB_MAX_ && !streq(name, knob_names[k]); k++)
                        ;
                if (k == KSM_KNOB_MAX_ || !ksm_knob_takes(k, before) || !ksm_knob_takes(k, ours))
                        return -EBADMSG;
                strcpy(state.changes[k].before, before);
                strcpy(state.changes[k].ours, ours);
                next = k + 1;
        }

        *ret = state;
        return 0;
}
