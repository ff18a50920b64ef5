/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/selector-bus.h"
#include "shared/names.h"

/* There are fewer keys. */
#define ENTRIES_MAX 64U

static int bad(sd_bus_error *error, const char *key, const char *what)
{
        return sd_bus_error_setf(error, MERGEMEM_ERROR_BAD_SELECTOR, "Selector \"%s\": %s.", key, what);
}

static int add(struct selector *s, enum selector_kind kind, const char *text, pid_t pid, sd_bus_error *error)
{
        const char *key = selector_kind_to_string(kind);

        switch (selector_add(s, kind, text, pid)) {
        case 0:
                return 0;
        case -EINVAL:
                if (kind == SELECTOR_PID)
                        return bad(error, key, "process ids start at 1");
                if (kind == SELECTOR_EXE || kind == SELECTOR_CGROUP)
                        return bad(error, key, "not an absolute path");
                return bad(error, key, "empty, too long, or not a name");
        case -E2BIG:
                return sd_bus_error_setf(error, MERGEMEM_ERROR_LIMITS,
                                         "More than %u values, or %u KiB, in one selector.",
                                         SELECTOR_VALUES_MAX, SELECTOR_BYTES_MAX / 1024U);
        default:
                return -ENOMEM;
        }
}

static int read_values(sd_bus_message *m, struct selector *s, enum selector_kind kind, sd_bus_error *error)
{
        const char *text = NULL;
        uint32_t pid = 0;
        char type = kind == SELECTOR_PID ? 'u' : 's';
        int r;

        r = sd_bus_message_enter_container(m, 'a', type == 'u' ? "u" : "s");
        if (r < 0)
                return r;
        while ((r = type == 'u' ? sd_bus_message_read(m, "u", &pid) : sd_bus_message_read(m, "s", &text)) >
               0) {
                r = pid > INT32_MAX ? bad(error, "pid", "out of range")
                                    : add(s, kind, text, (pid_t) pid, error);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static bool *flag_of(struct selector *s, const char *key)
{
        return streq(key, "all")      ? &s->all
               : streq(key, "force")  ? &s->force
               : streq(key, "others") ? &s->others
                                      : NULL;
}

static int read_option(sd_bus_message *m, struct selector *s, const char *key, sd_bus_error *error)
{
        const char *text;
        bool *flag;
        int value, r;

        flag = flag_of(s, key);
        if (flag) {
                r = sd_bus_message_read(m, "b", &value);
                if (r >= 0)
                        *flag = value;
                return r;
        }
        r = sd_bus_message_read(m, "s", &text);
        if (r < 0)
                return r;
        if (streq(key, "trust")) {
                s->trust = trust_from_string(text);
                return s->trust == TRUST_INVALID_ ? bad(error, key, "not \"user\", \"cgroup\" or \"system\"")
                                                  : 0;
        }
        if (streq(key, "huge-pages")) {
                s->huge_pages = rule_huge_pages_from_string(text);
                return s->huge_pages == RULE_HUGE_PAGES_INVALID_
                               ? bad(error, key, "not \"auto\", \"keep\" or \"split\"")
                               : 0;
        }
        s->mechanism = mechanism_from_string(text);
        return s->mechanism == MECHANISM_INVALID_ ? bad(error, key, "not \"direct\", \"ksm\" or \"observe\"")
                                                  : 0;
}

/* The signature that the value of @key must have, or NULL for an unknown one. */
static const char *signature_of(struct selector *s, const char *key)
{
        enum selector_kind kind = selector_kind_from_string(key);

        if (kind != SELECTOR_KIND_INVALID_)
                return kind == SELECTOR_PID ? "au" : "as";
        if (flag_of(s, key))
                return "b";
        return streq(key, "trust") || streq(key, "mechanism") || streq(key, "huge-pages") ? "s" : NULL;
}

static int read_entry(sd_bus_message *m, struct selector *s, sd_bus_error *error)
{
        const char *key, *contents, *wanted;
        enum selector_kind kind;
        int r;

        r = sd_bus_message_read(m, "s", &key);
        if (r < 0)
                return r;
        wanted = signature_of(s, key);
        if (!wanted)
                return bad(error, key, "there is no such key");
        r = sd_bus_message_peek_type(m, NULL, &contents);
        if (r < 0)
                return r;
        if (!streq(contents, wanted))
                return sd_bus_error_setf(error, MERGEMEM_ERROR_BAD_SELECTOR,
                                         "Selector \"%s\": its value has type \"%s\" and must have \"%s\".",
                                         key, contents, wanted);
        r = sd_bus_message_enter_container(m, 'v', wanted);
        if (r < 0)
                return r;
        kind = selector_kind_from_string(key);
        r = kind != SELECTOR_KIND_INVALID_ ? read_values(m, s, kind, error) : read_option(m, s, key, error);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

int selector_read(sd_bus_message *m, struct selector *ret, sd_bus_error *error)
{
        size_t n_entries = 0;
        int r;

        selector_note_user_ns(ret);
        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                /* The message stays as long as the request: keys without values count too. */
                if (n_entries++ >= ENTRIES_MAX)
                        r = sd_bus_error_setf(error, MERGEMEM_ERROR_LIMITS,
                                              "More than %u entries in one selector.", ENTRIES_MAX);
                else
                        r = read_entry(m, ret, error);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        break;
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0)
                selector_done(ret);
        return r;
}
