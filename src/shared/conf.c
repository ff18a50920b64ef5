/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/conf-item.h"
#include "shared/ini.h"
#include "shared/log.h"

#define RULE_PREFIX "Rule "

/* One text being read. */
struct reader {
        struct conf *conf;
        const char *file;  /* the name as the configuration keeps it */
        struct rule *rule; /* of the section we are in, or NULL */
};

static void init_items(const char *section, const struct rule *rule, void *base)
{
        for (const struct conf_item *i = conf_items; i->key; i++)
                if (streq(i->section, section) && !i->list)
                        (void) conf_item_assign(i, conf_item_initial(i, rule), base);
}

static int add_rule(struct conf *c, const char *name, const struct conf_origin *origin, struct rule **ret)
{
        struct rule *rules, *rule;

        if (c->n_rules >= RULES_MAX)
                return -E2BIG;
        rules = reallocarray(c->rules, c->n_rules + 1, sizeof(*rules));
        if (!rules)
                return -ENOMEM;
        c->rules = rules;
        rule = &rules[c->n_rules++];
        *rule = (struct rule) { .origin = *origin };
        strcpy(rule->name, name);
        init_items("Rule", rule, rule);
        *ret = rule;
        return 0;
}

int conf_init(struct conf *c)
{
        static const struct conf_origin built_in;
        struct rule *rule;

        *c = (struct conf) {};
        init_items("Daemon", NULL, c);
        init_items("KSM", NULL, c);
        return add_rule(c, RULE_DEFAULT_NAME, &built_in, &rule);
}

void conf_done(struct conf *c)
{
        for (size_t i = 0; i < c->n_rules; i++)
                rule_done(&c->rules[i]);
        for (size_t i = 0; i < c->n_files; i++)
                free(c->files[i]);
        settings_done(&c->settings);
        free(c->rules);
        free(c->files);
        *c = (struct conf) {};
}

static struct rule *find_rule(const struct conf *c, const char *name)
{
        for (size_t i = 0; i < c->n_rules; i++)
                if (streq(c->rules[i].name, name))
                        return &c->rules[i];
        return NULL;
}

const struct rule *conf_find_rule(const struct conf *c, const char *name)
{
        return find_rule(c, name);
}

static bool is_private(const char *name)
{
        /* Left to other programs and to notes, systemd.syntax(7). */
        return strncmp(name, "X-", 2) == 0;
}

static int enter_rule(struct reader *reader, const struct ini_place *place)
{
        const char *name = place->section + strlen(RULE_PREFIX);
        const struct conf_origin origin = { reader->file, place->line };
        int r;

        if (!rule_name_is_valid(name))
                return log_error_errno(-EINVAL,
                                       "%s:%u: [%s]: not a name of a rule; write up to %u letters, digits "
                                       "and \"-_.:@\"",
                                       place->name, place->line, place->section, RULE_NAME_MAX);
        reader->rule = find_rule(reader->conf, name);
        if (reader->rule) {
                if (!reader->rule->origin.file)
                        reader->rule->origin = origin;
                return 0;
        }
        r = add_rule(reader->conf, name, &origin, &reader->rule);
        if (r == -E2BIG)
                return log_error_errno(r, "%s:%u: more than %u rules", place->name, place->line, RULES_MAX);
        return r < 0 ? log_oom() : 0;
}

static int on_section(const struct ini_place *place, void *userdata)
{
        struct reader *reader = userdata;

        reader->rule = NULL;
        if (strncmp(place->section, RULE_PREFIX, strlen(RULE_PREFIX)) == 0)
                return enter_rule(reader, place);
        if (!streq(place->section, "Daemon") && !streq(place->section, "KSM") && !is_private(place->section))
                log_warning("%s:%u: section [%s] is not known and ignored; [Daemon], [KSM] and [Rule NAME] "
                            "are",
                            place->name, place->line, place->section);
        return 0;
}

static int not_understood(const struct ini_place *place, const struct conf_item *item, const char *value,
                          int error)
{
        if (error == -ENOMEM)
                return log_oom();
        if (error == -E2BIG)
                return log_error_errno(error, "%s:%u: %s=: more than %u patterns in one rule, or %u "
                                       "settings in all",
                                       place->name, place->line, item->key, RULE_PATTERNS_MAX,
                                       SETTINGS_MAX);
        return log_error_errno(-EINVAL, "%s:%u: %s=%s: not understood; write %s", place->name, place->line,
                               item->key, value, item->expected);
}

static int remember(const struct reader *reader, const struct ini_place *place, const char *key,
                    const char *value)
{
        const struct conf_origin origin = { reader->file, place->line };

        return settings_add(&reader->conf->settings, place->section, key, value, &origin);
}

static int assign_scalar(const struct reader *reader, const struct ini_place *place,
                         const struct conf_item *item, const char *value, void *base)
{
        int r;

        r = conf_item_assign(item, *value ? value : conf_item_initial(item, reader->rule), base);
        if (r < 0)
                return r;
        settings_remove(&reader->conf->settings, place->section, item->key);
        return *value ? remember(reader, place, item->key, value) : 0;
}

/* The next of several patterns; a blank that belongs to one has a backslash before it. */
static char *take_word(char **s)
{
        char *word = *s + strspn(*s, INI_BLANKS), *end = word;

        while (*end && !strchr(INI_BLANKS, *end))
                end += *end == '\\' && end[1] ? 2 : 1;
        *s = *end ? end + 1 : end;
        *end = '\0';
        return word;
}

static int assign_list(const struct reader *reader, const struct ini_place *place,
                       const struct conf_item *item, const char *value, void *base)
{
        _cleanup_(freep) char *copy = strdup(value);
        char *p = copy, *word;
        int r;

        if (!copy)
                return -ENOMEM;
        if (!*value) {
                rule_patterns_done((struct rule_patterns *) ((char *) base + item->offset));
                settings_remove(&reader->conf->settings, place->section, item->key);
                return 0;
        }
        while (*(word = take_word(&p))) {
                r = conf_item_assign(item, word, base);
                if (r >= 0)
                        r = remember(reader, place, item->key, word);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int on_assign(const struct ini_place *place, const char *key, const char *value, void *userdata)
{
        const struct reader *reader = userdata;
        const char *section = reader->rule ? "Rule" : place->section;
        void *base = reader->rule ? (void *) reader->rule : (void *) reader->conf;
        const struct conf_item *item;
        int r;

        /* "Rule" without a name is a section like any other that is not known. */
        if (!reader->rule && !streq(section, "Daemon") && !streq(section, "KSM"))
                return 0;
        item = conf_item_find(section, key);
        if (!item) {
                if (!is_private(key))
                        log_warning("%s:%u: %s= is not known in [%s] and ignored; see mergememd.conf(5)",
                                    place->name, place->line, key, place->section);
                return 0;
        }
        r = (item->list ? assign_list : assign_scalar)(reader, place, item, value, base);
        return r < 0 ? not_understood(place, item, value, r) : 0;
}

static int add_file(struct conf *c, const char *name, const char **ret)
{
        char **files, *copy;

        files = reallocarray(c->files, c->n_files + 1, sizeof(char *));
        if (!files)
                return -ENOMEM;
        c->files = files;
        copy = strdup(name);
        if (!copy)
                return -ENOMEM;
        *ret = c->files[c->n_files++] = copy;
        return 0;
}

int conf_parse(const char *name, const char *text, size_t size, struct conf *c)
{
        static const struct ini_handler handler = { on_section, on_assign };
        struct reader reader = { .conf = c };

        if (add_file(c, name, &reader.file) < 0)
                return log_oom();
        return ini_parse(name, text, size, &handler, &reader);
}
