/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "daemon/kept-rows.h"

/* Text of the @i-th row: of every length from nothing to a whole packet. */
static char *text_of(unsigned i)
{
        size_t n = (size_t) i * 977 % (WORKER_PACKET_MAX - sizeof(struct worker_owner));

        return g_strnfill(n, (char) ('a' + i % 26));
}

static void keep(struct kept_rows *k, unsigned i)
{
        g_autofree char *text = text_of(i);
        union worker_packet row;

        worker_packet_init(&row, WORKER_ROW_OWNER, sizeof(row.owner));
        row.owner.index = i;
        worker_packet_text(&row, text);
        g_assert_cmpint(kept_rows_add(k, &row), ==, 0);
}

static void take(void *userdata, const union worker_packet *row)
{
        unsigned *n = userdata;
        g_autofree char *text = text_of(*n);

        g_assert_cmpuint(row->header.type, ==, WORKER_ROW_OWNER);
        g_assert_cmpuint(row->owner.index, ==, *n);
        g_assert_cmpstr(worker_packet_get_text((union worker_packet *) row, sizeof(row->owner)), ==, text);
        (*n)++;
}

/* All come back, whole and in order, and only once. */
static void test_give(void)
{
        struct kept_rows k = {};
        unsigned n = 0;

        kept_rows_give(&k, take, &n);
        g_assert_cmpuint(n, ==, 0);
        for (unsigned i = 0; i < 500; i++)
                keep(&k, i);
        kept_rows_give(&k, take, &n);
        g_assert_cmpuint(n, ==, 500);
        n = 0;
        kept_rows_give(&k, take, &n);
        g_assert_cmpuint(n, ==, 0);
}

/* What came before somebody died is gone, and what comes anew counts once. */
static void test_drop(void)
{
        struct kept_rows k = {};
        unsigned n = 0;

        for (unsigned i = 0; i < 7; i++)
                keep(&k, i);
        kept_rows_done(&k);
        for (unsigned i = 0; i < 9; i++)
                keep(&k, i);
        kept_rows_give(&k, take, &n);
        g_assert_cmpuint(n, ==, 9);
        kept_rows_done(&k);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/kept-rows/give", test_give);
        g_test_add_func("/kept-rows/drop", test_drop);
        return g_test_run();
}
