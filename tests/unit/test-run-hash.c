/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/hash.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

static const char *value_of(const char *variable, const uint8_t *secret)
{
        static char value[HASH_VALUE_MAX];

        for (size_t i = 0; i < hash_settings_size; i++)
                if (g_str_equal(hash_settings[i].variable, variable)) {
                        memset(value, 'x', sizeof(value));
                        hash_settings[i].value(secret, value);
                        g_assert_nonnull(memchr(value, '\0', sizeof(value)));
                        return value;
                }
        g_error("no %s", variable);
}

static void test_python(void)
{
        uint8_t secret[LAYOUT_SECRET_BYTES] = { 0 };

        /* What is for the layout has no part in it. */
        memset(secret, 0xff, 8);
        g_assert_cmpstr(value_of("PYTHONHASHSEED", secret), ==, "1");
        secret[8] = 5;
        g_assert_cmpstr(value_of("PYTHONHASHSEED", secret), ==, "6");
        memset(secret + 8, 0, 8);
        memset(secret + 8, 0xff, 4);
        g_assert_cmpstr(value_of("PYTHONHASHSEED", secret), ==, "1");
        secret[8] = 0xfe;
        g_assert_cmpstr(value_of("PYTHONHASHSEED", secret), ==, "4294967295");

        /* Never 0, which is no seed, and never more than CPython takes. */
        for (unsigned i = 0; i < 100000; i++) {
                guint64 n;

                for (unsigned k = 8; k < 16; k++)
                        secret[k] = (uint8_t) g_random_int();
                n = g_ascii_strtoull(value_of("PYTHONHASHSEED", secret), NULL, 10);
                g_assert_cmpuint(n, >=, 1);
                g_assert_cmpuint(n, <=, G_MAXUINT32);
        }
}

static void test_perl(void)
{
        uint8_t secret[LAYOUT_SECRET_BYTES];

        for (unsigned i = 0; i < sizeof(secret); i++)
                secret[i] = (uint8_t) i;
        g_assert_cmpstr(value_of("PERL_HASH_SEED", secret), ==, "0x101112131415161718191a1b1c1d1e1f");
        g_assert_cmpstr(value_of("PERL_PERTURB_KEYS", secret), ==, "2");
}

/* It is public, unlike the others: nothing of them may be seen in it. */
static void test_node(void)
{
        uint8_t secret[LAYOUT_SECRET_BYTES];
        g_autofree char *python = NULL;

        memset(secret, 0xff, sizeof(secret));
        memset(secret + 12, 0, 4);
        g_assert_cmpuint(hash_node_seed(secret), ==, 1);
        secret[12] = 7;
        g_assert_cmpuint(hash_node_seed(secret), ==, 8);
        memset(secret + 12, 0xff, 4);
        g_assert_cmpuint(hash_node_seed(secret), ==, 2);
        secret[12] = 0xfc;
        secret[15] = 0x7f;
        g_assert_cmpuint(hash_node_seed(secret), ==, 0x7ffffffd);
        secret[12] = 0xfe;
        g_assert_cmpuint(hash_node_seed(secret), ==, G_MAXINT32);

        /* With one and the same, CPython's goes through all values. */
        for (unsigned i = 0; i < 4; i++)
                secret[8 + i] = 0;
        python = g_strdup(value_of("PYTHONHASHSEED", secret));
        secret[8] = 1;
        g_assert_cmpuint(hash_node_seed(secret), ==, G_MAXINT32);
        g_assert_cmpuint(g_ascii_strtoull(value_of("PYTHONHASHSEED", secret), NULL, 10), ==,
                         g_ascii_strtoull(python, NULL, 10) + 1);
}

static void test_environment(void)
{
        uint8_t secret[LAYOUT_SECRET_BYTES] = { 0 };

        g_setenv("PYTHONHASHSEED", "random", TRUE);
        g_unsetenv("PERL_HASH_SEED");
        g_assert_cmpint(hash_apply(secret), ==, 0);
        g_assert_cmpstr(g_getenv("PYTHONHASHSEED"), ==, "random");
        g_assert_cmpstr(g_getenv("PERL_HASH_SEED"), ==, "0x00000000000000000000000000000000");
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/run-hash/python", test_python);
        g_test_add_func("/run-hash/perl", test_perl);
        g_test_add_func("/run-hash/node", test_node);
        g_test_add_func("/run-hash/environment", test_environment);
        return g_test_run();
}
