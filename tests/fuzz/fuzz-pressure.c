/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/pressure.h"
#include "fuzz.h"
#include "shared/macro.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        /* Of the exact size, so that AddressSanitizer sees a step too far. */
        _cleanup_(freep) char *text = malloc(size);
        uint32_t some = UINT32_MAX;
        int r;

        CHECK(text || size == 0);
        if (size > 0)
                memcpy(text, data, size);
        r = pressure_parse(text, size, &some);
        CHECK(r == 0 || r == -EINVAL);
        CHECK(r == 0 ? some <= 10099U : some == UINT32_MAX);
        return 0;
}
