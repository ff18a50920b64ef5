/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/macro.h"
#include "shared/setting.h"

static void free_strings(struct conf_setting *s)
{
        free(s->section);
        free(s->key);
        free(s->value);
}

void settings_done(struct settings *s)
{
        for (size_t i = 0; i < s->n; i++)
                free_strings(&s->items[i]);
        free(s->items);
        *s = (struct settings) {};
}

int settings_add(struct settings *s, const char *section, const char *key, const char *value,
                 const struct conf_origin *origin)
{
        struct conf_setting *items, new = { .origin = *origin };

        if (s->n >= SETTINGS_MAX)
                return -E2BIG;
        items = reallocarray(s->items, s->n + 1, sizeof(*items));
        if (!items)
                return -ENOMEM;
        s->items = items;
        new.section = strdup(section);
        new.key = strdup(key);
        new.value = strdup(value);
        if (!new.section || !new.key || !new.value) {
                free_strings(&new);
                return -ENOMEM;
        }
        items[s->n++] = new;
        return 0;
}

static bool is_of(const struct conf_setting *s, const char *section, const char *key)
{
        return streq(s->key, key) && streq(s->section, section);
}

void settings_remove(struct settings *s, const char *section, const char *key)
{
        size_t n = 0;

        for (size_t i = 0; i < s->n; i++)
                if (is_of(&s->items[i], section, key))
                        free_strings(&s->items[i]);
                else
                        s->items[n++] = s->items[i];
        s->n = n;
}

const struct conf_setting *settings_next(const struct settings *s, const char *section, const char *key,
                                         const struct conf_setting *previous)
{
        for (size_t i = previous ? (size_t) (previous - s->items) + 1 : 0; i < s->n; i++)
                if (is_of(&s->items[i], section, key))
                        return &s->items[i];
        return NULL;
}
