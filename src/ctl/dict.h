/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <systemd/sd-bus.h>

/* Reading a{sv} into a struct, by a table. */

struct dict_field {
        const char *key;
        const char *type;                         /* what the variant must hold */
        int (*read)(sd_bus_message *m, void *p);  /* one value of that type, into the member at @p */
        size_t offset;
};

/* Keys without a field are passed over, so that a newer service can say more; members without a key
 * keep their value. */
int dict_read(sd_bus_message *m, const struct dict_field *fields, size_t n_fields, void *object);

/* Into a bool, from "b". */
int dict_read_bool(sd_bus_message *m, void *p);
/* Into a uint64_t, from "u" and "t"; into a double, from "d". */
int dict_read_u32(sd_bus_message *m, void *p);
int dict_read_u64(sd_bus_message *m, void *p);
int dict_read_double(sd_bus_message *m, void *p);
/* Into a char*, from "s"; a copy, what was there before is freed. */
int dict_read_text(sd_bus_message *m, void *p);
