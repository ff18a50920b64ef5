/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "memory-call.h"
#include "shared/macro.h"
#include "shared/names.h"

sd_bus_message *memory_call(sd_bus *bus, const struct what *what, const char *by, sd_bus_error *error)
{
        sd_bus_message *m, *reply = NULL;

        g_assert_cmpint(sd_bus_message_new_method_call(bus, &m, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                                       MERGEMEM_MANAGER_INTERFACE, "Memory"),
                        >=, 0);
        g_assert_cmpint(what_append(m, what), >=, 0);
        g_assert_cmpint(sd_bus_message_append(m, "s", by), >=, 0);
        (void) sd_bus_call(bus, m, 120 * UINT64_C(1000000), error, &reply);
        sd_bus_message_unref(m);
        return reply;
}

static void read_more(sd_bus_message *m, struct usage *u, uint32_t *ret_pid)
{
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "{sv}"), >, 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                const char *key;

                g_assert_cmpint(sd_bus_message_read(m, "s", &key), >, 0);
                if (streq(key, "pid"))
                        g_assert_cmpint(sd_bus_message_read(m, "v", "u", ret_pid), >, 0);
                else if (streq(key, "ksm_bytes"))
                        g_assert_cmpint(sd_bus_message_read(m, "v", "t", &u->ksm), >, 0);
                else if (streq(key, "unread_processes"))
                        g_assert_cmpint(sd_bus_message_read(m, "v", "u", &u->unread), >, 0);
                else
                        g_assert_cmpint(sd_bus_message_skip(m, "v"), >, 0);
                g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
        }
        g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
}

size_t memory_row(sd_bus *bus, const struct what *what, const char *by, pid_t pid, const char *name,
                  struct usage *ret)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *m = memory_call(bus, what, by, &error);
        size_t n = 0;

        if (!m)
                g_error("Memory: %s", error.message);
        *ret = (struct usage){ 0 };
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "(sutttta{sv})"), >, 0);
        while (sd_bus_message_enter_container(m, 'r', "sutttta{sv}") > 0) {
                struct usage u = { 0 };
                uint32_t his_pid = 0;
                const char *his_name;

                g_assert_cmpint(sd_bus_message_read(m, "sutttt", &his_name, &u.processes, &u.rss, &u.pss,
                                                    &u.uss, &u.swap),
                                >, 0);
                read_more(m, &u, &his_pid);
                n++;
                if ((pid == 0 || (pid_t)his_pid == pid) && (!name || g_str_has_suffix(his_name, name))) {
                        ret->rss += u.rss;
                        ret->pss += u.pss;
                        ret->uss += u.uss;
                        ret->swap += u.swap;
                        ret->ksm += u.ksm;
                        ret->processes += u.processes;
                        ret->unread += u.unread;
                }
                g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
        }
        sd_bus_message_unref(m);
        return n;
}
