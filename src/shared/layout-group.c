/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/layout-group.h"
#include "shared/macro.h"

bool layout_name_is_valid(const char *name)
{
        size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:_.-@\\");

        return n > 0 && n <= LAYOUT_NAME_MAX && name[n] == '\0';
}
