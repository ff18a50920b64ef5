/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"
#include "lib/maps.h"
#include "lib/vmflags.h"

#define ALL ((MM_VM_HAS_KSM << 1) - 1)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(freep) struct mm_vmflags *v = NULL;
        uint32_t flags = 0;
        size_t n = 0;
        bool ascending = true;
        int r;

        r = mm_vmflags_parse((const char *) data, size, &v, &n);
        if (r < 0) {
                CHECK(r == -EINVAL || r == -E2BIG);
                CHECK(!v && n == 0);
                return 0;
        }
        CHECK(n <= MM_AREAS_MAX);
        for (size_t i = 0; i < n; i++) {
                CHECK(v[i].start < v[i].end);
                CHECK((v[i].flags & ~(uint32_t) ALL) == 0);
                flags |= v[i].flags;
                ascending = ascending && (i == 0 || v[i - 1].end <= v[i].start);
        }

        if (!ascending)
                return 0;
        CHECK(mm_vmflags_of(v, n, 0, UINT64_MAX) == flags);
        for (size_t i = 0; i < n; i++) {
                CHECK(mm_vmflags_of(v, n, v[i].start, v[i].end) == v[i].flags);
                CHECK(mm_vmflags_of(v, n, v[i].start, v[i].start + 1) == v[i].flags);
                CHECK(mm_vmflags_of(v, n, v[i].end - 1, v[i].end) == v[i].flags);
        }
        return 0;
}
