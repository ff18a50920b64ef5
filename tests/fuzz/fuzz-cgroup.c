/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"
#include "lib/procfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(freep) char *path = NULL, *unit = NULL;
        int r;

        r = mm_parse_cgroup((const char *)data, size, &path);
        if (r < 0) {
                CHECK(r == -EINVAL);
                CHECK(!path);
                return 0;
        }
        if (!path)
                return 0;
        CHECK(*path == '/' && !strchr(path, '\n'));

        r = mm_cgroup_unit(path, &unit);
        if (r < 0) {
                CHECK(r == -ENXIO);
                CHECK(!unit);
                return 0;
        }
        CHECK(strrchr(unit, '.') > unit && !strchr(unit, '/'));
        CHECK(strstr(path, unit));
        return 0;
}
