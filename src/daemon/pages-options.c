/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/pages-options.h"
#include "daemon/selector.h"
#include "lib/hash.h"
#include "shared/macro.h"
#include "shared/names.h"

/* There are fewer keys. */
#define ENTRIES_MAX 64U

static int bad(sd_bus_error *error, const char *key, const char *what)
{
        return sd_bus_error_setf(error, MERGEMEM_ERROR_BAD_SELECTOR, "Option \"%s\": %s.", key, what);
}

static int read_filter(const char *text, struct pages_options *o, sd_bus_error *error)
{
        struct mm_flag_error wrong;

        if (o->n_filters == ELEMENTSOF(o->filters))
                return sd_bus_error_setf(error, MERGEMEM_ERROR_LIMITS, "More than %u conditions on flags.",
                                         WORKER_FLAG_FILTERS_MAX);
        if (mm_flag_filter_parse(text, &o->filters[o->n_filters], &wrong) < 0)
                return sd_bus_error_setf(error, MERGEMEM_ERROR_BAD_SELECTOR,
                                         "Condition \"%.*s\", character %zu: %s%.*s%s%s.",
                                         (int) MM_FLAG_TEXT_MAX, text, wrong.at + 1, wrong.n > 0 ? "\"" : "",
                                         (int) wrong.n, text + wrong.at, wrong.n > 0 ? "\": " : "",
                                         wrong.what);
        o->n_filters++;
        return 0;
}

static int read_filters(sd_bus_message *m, struct pages_options *o, sd_bus_error *error)
{
        const char *text;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "s");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "s", &text)) > 0) {
                r = read_filter(text, o, error);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* One kind of entry: what its value must be, and where it goes. */
struct option {
        const char *key, *type;
        bool range;
};

static const struct option options[] = {
        { "from", "t", true },  { "to", "t", true },       { "max", "u", false },
        { "owner", "s", false }, { "flags", "as", false }, { "others", "b", false },
};

static const struct option *find_option(const char *key, bool range_only)
{
        for (size_t i = 0; i < ELEMENTSOF(options); i++)
                if (streq(options[i].key, key) && (options[i].range || !range_only))
                        return &options[i];
        return NULL;
}

static int read_value(sd_bus_message *m, const char *key, struct pages_options *o, sd_bus_error *error)
{
        int b, r;

        if (streq(key, "from"))
                return sd_bus_message_read(m, "t", &o->from);
        if (streq(key, "to"))
                return sd_bus_message_read(m, "t", &o->to);
        if (streq(key, "max"))
                return sd_bus_message_read(m, "u", &o->max_runs);
        if (streq(key, "flags"))
                return read_filters(m, o, error);
        if (streq(key, "others")) {
                r = sd_bus_message_read(m, "b", &b);
                if (r >= 0)
                        o->others = b;
                return r;
        }
        r = sd_bus_message_read(m, "s", &o->owner);
        if (r >= 0 && strnlen(o->owner, SELECTOR_TEXT_MAX) == SELECTOR_TEXT_MAX)
                return bad(error, key, "too long");
        return r;
}

static int read_entry(sd_bus_message *m, bool range_only, struct pages_options *o, sd_bus_error *error)
{
        const struct option *option;
        const char *key, *type;
        int r;

        r = sd_bus_message_read(m, "s", &key);
        if (r < 0)
                return r;
        option = find_option(key, range_only);
        if (!option)
                return bad(error, key, "there is no such key");
        r = sd_bus_message_peek_type(m, NULL, &type);
        if (r < 0)
                return r;
        if (!streq(type, option->type))
                return sd_bus_error_setf(error, MERGEMEM_ERROR_BAD_SELECTOR,
                                         "Option \"%s\": its value has type \"%s\" and must have \"%s\".",
                                         key, type, option->type);
        r = sd_bus_message_enter_container(m, 'v', type);
        if (r >= 0)
                r = read_value(m, key, o, error);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_entries(sd_bus_message *m, bool range_only, struct pages_options *o, sd_bus_error *error)
{
        size_t n = 0;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                if (n++ >= ENTRIES_MAX)
                        return sd_bus_error_setf(error, MERGEMEM_ERROR_LIMITS, "More than %u options.",
                                                 ENTRIES_MAX);
                r = read_entry(m, range_only, o, error);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

int pages_options_read(sd_bus_message *m, bool range_only, struct pages_options *ret, sd_bus_error *error)
{
        struct pages_options o = { .to = UINT64_MAX, .owner = "" };
        int r;

        r = read_entries(m, range_only, &o, error);
        if (r < 0)
                return r;
        if (o.from >= o.to)
                return bad(error, "to", "not behind \"from\"");
        o.from -= o.from % MM_PAGE_SIZE;
        if (o.to <= UINT64_MAX - MM_PAGE_SIZE)
                o.to += (MM_PAGE_SIZE - o.to % MM_PAGE_SIZE) % MM_PAGE_SIZE;
        else
                o.to = UINT64_MAX;
        o.max_runs = o.max_runs > 0 ? MIN(o.max_runs, PAGES_RUNS_MAX) : PAGES_RUNS_MAX;
        *ret = o;
        return 0;
}

bool pages_options_are_for_users(const struct pages_options *o)
{
        for (size_t i = 0; i < o->n_filters; i++) {
                const struct mm_flag_filter *f = &o->filters[i];

                /* "=" is about all flags: of those that are told there may be none but these. */
                if (((f->mask == UINT64_MAX && !f->any ? f->bits : f->mask) & ~MM_FLAGS_OF_USERS) != 0)
                        return false;
        }
        return true;
}
