/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "layout-caller.h"
#include "shared/macro.h"
#include "shared/names.h"

/* What calls about layouts may cost. */

static struct layout_harness l;

/* Calls in a row, which the service works on faster than a user's quota grows, whatever else the machine
 * does. */
#define BURST 100U

struct burst {
        unsigned n, n_refused;
        char *error; /* of the last */
};

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *unused)
{
        struct burst *b = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(m);

        b->n++;
        b->n_refused += e && streq(e->name, MERGEMEM_ERROR_LIMITS);
        g_free(b->error);
        b->error = g_strdup(e ? e->name : NULL);
        return 0;
}

static void send_call(sd_bus *bus, struct burst *b, const char *method, const char *group)
{
        sd_bus_message *m = NULL;

        g_assert_cmpint(sd_bus_message_new_method_call(bus, &m, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                                       MERGEMEM_MANAGER_INTERFACE, method),
                        >=, 0);
        if (group)
                g_assert_cmpint(sd_bus_message_append(m, "s", group), >=, 0);
        g_assert_cmpint(sd_bus_call_async(bus, NULL, m, on_answer, b, 0), >=, 0);
        sd_bus_message_unref(m);
}

/* "Layouts" many times, and then one for a secret. */
static void burst(sd_bus *bus, struct burst *b)
{
        *b = (struct burst){ 0 };
        for (unsigned i = 0; i < BURST; i++)
                send_call(bus, b, "Layouts", NULL);
        send_call(bus, b, "LayoutSecret", "fleet");
        while (b->n < BURST + 1)
                if (sd_bus_process(bus, NULL) == 0)
                        sd_bus_wait(bus, 1000000);
}

/* Who asks all the time is told to wait, and nobody else is; nor does that cost him his estimates. */
static void test_quota(void)
{
        sd_bus *no = harness_connect_as(&l.h, UID_NO);
        struct burst b = { 0 };
        struct answer a;
        unsigned n = 0;

        /* Of who is not known yet only so many calls wait. */
        g_free(manager_string(no, "Version"));
        for (; b.n_refused == 0 && n < 10000; n++) {
                g_free(b.error);
                burst(no, &b);
        }
        g_test_message("%u times %u calls", n, BURST + 1);
        g_assert_cmpuint(n, >, 8192 / (BURST + 1));
        g_assert_cmpuint(b.n_refused, >, 0);
        g_free(b.error);
        burst(no, &b);
        g_assert_cmpuint(b.n_refused, >, BURST / 2);
        g_assert_cmpstr(b.error, ==, MERGEMEM_ERROR_LIMITS);
        g_free(b.error);
        a = layout_asked(&l, UID_OWN, l.unit, "");
        layout_expect(&a, l.unit);
        a = layout_asked(&l, 0, l.unit, "");
        layout_expect(&a, l.unit);
        g_assert_cmpuint(count_processes(no, &(struct what){ 0 }), ==, 0);
        sd_bus_close_unref(no);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        layout_harness_start(&l);
        g_test_add_func("/layout-quota/quota", test_quota);
        return layout_harness_end(&l, g_test_run());
}
