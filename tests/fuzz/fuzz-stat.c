/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"
#include "lib/procfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct mm_process p = MM_PROCESS_NULL;
        int r;

        memset(p.comm, 'x', sizeof(p.comm));
        r = mm_parse_stat((const char *)data, size, &p);
        if (r < 0) {
                CHECK(r == -EINVAL);
                CHECK(p.comm[0] == 'x' && p.state == 0 && p.start_ticks == 0);
                return 0;
        }
        CHECK(memchr(p.comm, '\0', sizeof(p.comm)));
        CHECK(memmem(data, size, p.comm, strlen(p.comm)));
        CHECK(p.state != ' ');
        return 0;
}
