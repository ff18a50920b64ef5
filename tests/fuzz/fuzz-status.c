/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"
#include "lib/procfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct mm_process p, before;
        int r;

        memset(&p, 0, sizeof(p));
        memset(&before, 0, sizeof(before));
        r = mm_parse_status((const char *)data, size, &p);
        if (r < 0) {
                CHECK(r == -EINVAL);
                CHECK(memcmp(&p, &before, sizeof(p)) == 0);
                return 0;
        }
        CHECK(memmem(data, size, "Uid:", 4));
        CHECK(p.tracer >= 0);
        CHECK(p.rss_anon_bytes % 1024 == 0);
        return 0;
}
