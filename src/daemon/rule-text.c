/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/rule-text.h"
#include "shared/conf-item.h"
#include "shared/log.h"
#include "shared/names.h"

#define TEXT_BYTES_MAX (64U * 1024U)

static int bad(sd_bus_error *error, const char *key, const char *what)
{
        return sd_bus_error_setf(error, MERGEMEM_ERROR_BAD_RULE, "Key \"%s\": %s.", key, what);
}

/* One value is one line. A blank in a pattern belongs to it, as no other is given in the same string. */
static int append_value(FILE *f, const char *key, const char *value, bool pattern, sd_bus_error *error)
{
        if (!*value && pattern)
                return bad(error, key, "an empty pattern");
        fprintf(f, "%s=", key);
        for (const char *p = value; *p; p++) {
                if ((unsigned char) *p < ' ' || *p == 0x7f)
                        return bad(error, key, "control characters cannot be written down");
                if (pattern && *p == '\\' && (unsigned char) p[1] >= ' ' && p[1] != 0x7f)
                        putc(*p++, f);
                else if (pattern && *p == ' ')
                        putc('\\', f);
                putc(*p, f);
        }
        putc('\n', f);
        return ftell(f) > (long) TEXT_BYTES_MAX
                       ? sd_bus_error_setf(error, MERGEMEM_ERROR_LIMITS, "More than %u bytes in one rule.",
                                           TEXT_BYTES_MAX)
                       : 0;
}

static int append_values(FILE *f, sd_bus_message *m, const struct conf_item *item, sd_bus_error *error)
{
        const char *value;
        int r;

        r = item->list ? sd_bus_message_enter_container(m, 'a', "s") : 0;
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "s", &value)) > 0) {
                r = append_value(f, item->key, value, item->list, error);
                if (r < 0 || !item->list)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int append_entry(FILE *f, sd_bus_message *m, sd_bus_error *error)
{
        const char *key, *contents, *wanted;
        const struct conf_item *item;
        int r;

        r = sd_bus_message_read(m, "s", &key);
        if (r < 0)
                return r;
        item = conf_item_find("Rule", key);
        if (!item)
                return bad(error, key, "there is no such key");
        wanted = item->list ? "as" : "s";
        r = sd_bus_message_peek_type(m, NULL, &contents);
        if (r < 0)
                return r;
        if (!streq(contents, wanted))
                return sd_bus_error_setf(error, MERGEMEM_ERROR_BAD_RULE,
                                         "Key \"%s\": its value has type \"%s\" and must have \"%s\".", key,
                                         contents, wanted);
        r = sd_bus_message_enter_container(m, 'v', wanted);
        if (r >= 0)
                r = append_values(f, m, item, error);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int append_rule(FILE *f, sd_bus_message *m, const char *name, sd_bus_error *error)
{
        int r;

        fprintf(f, "# Written by mergememd; \"mergememctl disable %s\" removes it.\n", name);
        fprintf(f, "[Rule %s]\n", name);
        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = append_entry(f, m, error);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

int rule_text_read(sd_bus_message *m, const char *name, char **ret, sd_bus_error *error)
{
        _cleanup_(freep) char *text = NULL;
        size_t size;
        FILE *f;
        int r;

        if (!rule_name_is_valid(name))
                return sd_bus_error_setf(error, MERGEMEM_ERROR_BAD_RULE,
                                         "The name of a rule has up to %u letters, digits and \"-_.:@\".",
                                         RULE_NAME_MAX);
        f = open_memstream(&text, &size);
        if (!f)
                return -ENOMEM;
        r = append_rule(f, m, name, error);
        if (fclose(f) != 0 && r >= 0)
                r = -ENOMEM;
        if (r < 0)
                return r;
        *ret = TAKE_PTR(text);
        return 0;
}

int rule_text_parse(const char *text, struct conf *ret, sd_bus_error *error)
{
        _cleanup_(conf_done) struct conf c = {};
        int level = log_get_level(), r;

        r = conf_init(&c);
        if (r < 0)
                return r;
        log_set_level(LOG_EMERG);
        r = conf_parse("rule", text, strlen(text), &c);
        if (r >= 0)
                r = conf_check(&c);
        log_set_level(level);
        if (r < 0)
                return sd_bus_error_setf(error, MERGEMEM_ERROR_BAD_RULE, "%s", log_last_error());
        *ret = TAKE_GENERIC(c, (struct conf) {});
        return 0;
}
