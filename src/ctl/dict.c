/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/dict.h"

#include "shared/macro.h"

int dict_read_bool(sd_bus_message *m, void *p)
{
        int b, r = sd_bus_message_read_basic(m, 'b', &b);

        if (r > 0)
                *(bool *) p = b;
        return r;
}

int dict_read_u32(sd_bus_message *m, void *p)
{
        uint32_t u;
        int r = sd_bus_message_read_basic(m, 'u', &u);

        if (r > 0)
                *(uint64_t *) p = u;
        return r;
}

int dict_read_u64(sd_bus_message *m, void *p)
{
        return sd_bus_message_read_basic(m, 't', p);
}

int dict_read_double(sd_bus_message *m, void *p)
{
        return sd_bus_message_read_basic(m, 'd', p);
}

int dict_read_text(sd_bus_message *m, void *p)
{
        const char *s;
        char *copy;
        int r;

        r = sd_bus_message_read_basic(m, 's', &s);
        if (r <= 0)
                return r;
        copy = strdup(s);
        if (!copy)
                return -ENOMEM;
        free(*(char **) p);
        *(char **) p = copy;
        return r;
}

/* The message stands before the variant. */
static int field_read(sd_bus_message *m, const struct dict_field *field, void *object)
{
        int r;

        r = sd_bus_message_enter_container(m, 'v', field->type);
        if (r < 0)
                return r;
        r = field->read(m, (char *) object + field->offset);
        if (r < 0)
                return r;
        return sd_bus_message_exit_container(m);
}

static const struct dict_field *field_find(const struct dict_field *fields, size_t n_fields, const char *key)
{
        for (size_t i = 0; i < n_fields; i++)
                if (streq(fields[i].key, key))
                        return fields + i;
        return NULL;
}

int dict_read(sd_bus_message *m, const struct dict_field *fields, size_t n_fields, void *object)
{
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const struct dict_field *field;
                const char *key;

                r = sd_bus_message_read_basic(m, 's', &key);
                if (r < 0)
                        return r;
                field = field_find(fields, n_fields, key);
                r = field ? field_read(m, field, object) : sd_bus_message_skip(m, "v");
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}
