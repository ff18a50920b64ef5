/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/manager.h"
#include "daemon/rule-bus.h"
#include "shared/conf-item.h"
#include "shared/format.h"

/* What is in force, for everybody to see: the files are no secret either. */

#define SECTION_BYTES (sizeof("Rule ") + RULE_NAME_MAX)

static int append_text(sd_bus_message *m, const char *s)
{
        _cleanup_(freep) char *text = bus_text(s);

        return text ? sd_bus_message_append(m, "s", text) : -ENOMEM;
}

static int append_origin(sd_bus_message *m, const struct conf_origin *origin)
{
        _cleanup_(freep) char *file = NULL;

        if (!origin->file)
                return 0;
        file = bus_text(origin->file);
        if (!file)
                return -ENOMEM;
        return sd_bus_message_append(m, "{sv}{sv}", "file", "s", file, "line", "u", (uint32_t) origin->line);
}

static int append_setting(sd_bus_message *m, const char *section, const char *key, const char *value,
                          const struct conf_origin *origin)
{
        int r;

        r = sd_bus_message_open_container(m, 'r', "sssa{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", section, key);
        if (r >= 0)
                r = append_text(m, value);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = append_origin(m, origin);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_section(sd_bus_message *m, const struct conf *c, const char *kind, const char *section,
                          const struct rule *rule)
{
        static const struct conf_origin built_in;

        for (const struct conf_item *item = conf_items; item->key; item++) {
                const struct conf_setting *s = NULL;
                bool any = false;
                int r = 0;

                if (!streq(item->section, kind))
                        continue;
                while (r >= 0 && (s = settings_next(&c->settings, section, item->key, s))) {
                        r = append_setting(m, section, item->key, s->value, &s->origin);
                        any = true;
                }
                if (!any && !item->list)
                        r = append_setting(m, section, item->key, conf_item_initial(item, rule), &built_in);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void section_of(const struct rule *rule, char ret[SECTION_BYTES])
{
        snprintf(ret, SECTION_BYTES, "Rule %s", rule->name);
}

int rule_bus_list_settings(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const struct conf *c = &((const Manager *) userdata)->conf;
        char section[SECTION_BYTES];
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(sssa{sv})");
        if (r >= 0)
                r = append_section(reply, c, "Daemon", "Daemon", NULL);
        if (r >= 0)
                r = append_section(reply, c, "KSM", "KSM", NULL);
        for (size_t i = 0; i < c->n_rules && r >= 0; i++) {
                section_of(&c->rules[i], section);
                r = append_section(reply, c, "Rule", section, &c->rules[i]);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int append_patterns(sd_bus_message *m, const struct rule_patterns *patterns)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "s");
        for (size_t i = 0; i < patterns->n && r >= 0; i++)
                r = append_text(m, patterns->items[i]);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* One key of @rule, in the form that SetRule() takes. */
static int append_key(sd_bus_message *m, const struct conf *c, const struct conf_item *item,
                      const struct rule *rule)
{
        const void *field = (const char *) rule + item->offset;
        const struct conf_setting *s;
        char section[SECTION_BYTES];
        int r;

        section_of(rule, section);
        s = settings_next(&c->settings, section, item->key, NULL);
        if (item->list && !s)
                return 0;
        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", item->key);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', item->list ? "as" : "s");
        if (r >= 0)
                r = item->list ? append_patterns(m, field)
                               : append_text(m, s ? s->value : conf_item_initial(item, rule));
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_rule(sd_bus_message *m, const struct conf *c, const struct rule *rule)
{
        int r;

        r = sd_bus_message_open_container(m, 'r', "sa{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", rule->name);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        for (const struct conf_item *item = conf_items; item->key && r >= 0; item++)
                if (streq(item->section, "Rule"))
                        r = append_key(m, c, item, rule);
        if (r >= 0)
                r = append_origin(m, &rule->origin);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int rule_bus_list(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const struct conf *c = &((const Manager *) userdata)->conf;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(sa{sv})");
        for (size_t i = 0; i < c->n_rules && r >= 0; i++)
                r = append_rule(reply, c, &c->rules[i]);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}
