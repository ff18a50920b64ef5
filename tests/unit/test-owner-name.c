/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "lib/owner.h"

static void test_library(void)
{
        static const struct {
                const char *name, *path;
                bool match;
        } cases[] = {
                { "libm.so.6", "/lib/libm.so.6", true },
                { "libm.so", "/lib/libm.so.6", true },
                { "libm", "/lib/libm.so.6", true },
                { "libm", "libm.so.6", true },
                { "lib", "/lib/libm.so.6", false },
                { "libm.", "/lib/libm.so.6", false },
                { "libm.s", "/lib/libm.so.6", false },
                { "libm.so.", "/lib/libm.so.6", false },
                { "libm.so.5", "/lib/libm.so.6", false },
                { "libm.so.6", "/lib/libm.so.5", false },
                { "libm.so.6", "/lib/libm.so", false },
                { "libm.so.6.1", "/lib/libm.so.6", false },
                { "libm.so.6", "/lib/libm.so.60", false },
                { "libm", "/lib/libmvec.so.1", false },
                { "libm.so", "/lib/libmvec.so.1", false },
                { "libmvec", "/lib/libm.so.6", false },
                { "m", "/lib/libm.so.6", false },
                { "", "/lib/libm.so.6", false },
                { "", "/lib/.so", false },
                { ".so", "/lib/libm.so", false },
                { "LIBM", "/lib/libm.so.6", false },
                { "libz.so.1", "/lib/libz.so.1.2.13", true },
                { "libz.so.1.2", "/lib/libz.so.1.2.13", true },
                { "libz.so.1.2.1", "/lib/libz.so.1.2.13", false },
                { "libpython3.11.so", "/usr/lib/libpython3.11.so.1.0", true },
                { "libpython3.11", "/usr/lib/libpython3.11.so.1.0", true },
                { "libpython3", "/usr/lib/libpython3.11.so.1.0", false },
                { "libstdc++", "/usr/lib/libstdc++.so.6.0.30", true },
                { "libm", "/lib/libm-2.31.so", true },
                { "libm.so", "/lib/libm-2.31.so", true },
                { "libm-2.31", "/lib/libm-2.31.so", true },
                { "libm-2.31.so", "/lib/libm-2.31.so", true },
                { "libm-2", "/lib/libm-2.31.so", false },
                { "libm.so.6", "/lib/libm-2.31.so", false },
                { "libm", "/lib/libm-.so", false },
                { "libm", "/lib/libm-.5.so", false },
                { "libgtk", "/lib/libgtk-3.so.0", false },
                { "libgtk-3", "/lib/libgtk-3.so.0.2404.29", true },
                { "libboost", "/lib/libboost-python.so", false },
                { "", "/lib/-2.so", false },
                { "_ssl", "/usr/lib/python3/_ssl.cpython-311-x86_64-linux-gnu.so", false },
                { "_ssl.cpython-311", "/usr/lib/python3/_ssl.cpython-311.so", true },
                { "a.sock", "/run/a.sock.so", true },
                { "a", "/run/a.sock.so", false },
                { ".sox", "/lib/.sox.so", true },
                { "plugin", "/lib/plugin", true },
                { "plugin.so", "/lib/plugin", false },
                { "plug", "/lib/plugin", false },
                { "lib", "/lib/", false },
                { "", "/lib/", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                g_test_message("%s %s", cases[i].name, cases[i].path);
                g_assert_cmpint(mm_library_name_match(cases[i].name, cases[i].path), ==, cases[i].match);
        }
}

static void test_names(void)
{
        for (int i = 0; i < MM_OWNER_KIND_MAX_; i++)
                g_assert_nonnull(mm_owner_kind_name(i));
        g_assert_cmpstr(mm_owner_kind_name(MM_OWNER_LIBRARY), ==, "library");
        g_assert_null(mm_owner_kind_name(MM_OWNER_KIND_MAX_));
        for (int i = MM_PART_NONE; i <= MM_PART_BSS; i++)
                g_assert_nonnull(mm_owner_part_name(i));
        g_assert_cmpstr(mm_owner_part_name(MM_PART_RELRO), ==, "relro");
        g_assert_null(mm_owner_part_name(MM_PART_BSS + 1));
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/owner-name/library", test_library);
        g_test_add_func("/owner-name/names", test_names);
        return g_test_run();
}
