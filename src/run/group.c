/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/group.h"

#include <fcntl.h>

#include "lib/procfs.h"
#include "lib/text.h"

#define CGROUP_TEXT_MAX 65536U

char *group_own_unit(void)
{
        _cleanup_(freep) char *text = NULL, *cgroup = NULL;
        char *unit;
        size_t size;

        if (mm_read_file(AT_FDCWD, "/proc/self/cgroup", 1024, CGROUP_TEXT_MAX, &text, &size) < 0 ||
            mm_parse_cgroup(text, size, &cgroup) < 0 || !cgroup || mm_cgroup_unit(cgroup, &unit) < 0)
                return NULL;
        if (!layout_name_is_valid(unit)) {
                free(unit);
                return NULL;
        }
        return unit;
}
