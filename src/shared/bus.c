/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/bus.h"
#include "shared/macro.h"

/* Types are the programs' own, and short. */
#define ARRAY_TYPE_MAX 32U

int bus_open(const char *address, sd_bus **ret)
{
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        int r;

        if (streq(address, "system"))
                return sd_bus_open_system(ret);
        if (streq(address, "session"))
                return sd_bus_open_user(ret);
        r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_address(bus, address);
        if (r >= 0)
                r = sd_bus_set_bus_client(bus, true);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(bus);
        return 0;
}

int bus_open_array(sd_bus_message *m, const char *key, const char *type)
{
        char array[ARRAY_TYPE_MAX];
        int r;

        if ((size_t) snprintf(array, sizeof(array), "a%s", type) >= sizeof(array))
                return -EINVAL;
        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", key);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', array);
        return r < 0 ? r : sd_bus_message_open_container(m, 'a', type);
}

int bus_close_array(sd_bus_message *m)
{
        int r = 0;

        for (int i = 0; i < 3 && r >= 0; i++)
                r = sd_bus_message_close_container(m);
        return r;
}
