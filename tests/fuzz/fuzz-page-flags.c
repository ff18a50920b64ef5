/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"
#include "lib/page-flags.h"

/* A condition from the user: one that is understood means what it says, what is wrong is in it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct mm_flag_error error = { .what = NULL };
        struct mm_flag_filter f = { .mask = 1, .bits = 2 };
        char *text = malloc(size + 1);
        int r;

        CHECK(text);
        memcpy(text, data, size);
        text[size] = '\0';

        r = mm_flag_filter_parse(text, &f, &error);
        if (r < 0) {
                CHECK(r == -EINVAL && error.what);
                CHECK(error.at + error.n <= strlen(text));
                CHECK(f.mask == 1 && f.bits == 2);
        } else {
                CHECK(f.any || (f.bits & ~f.mask) == 0);
                CHECK(mm_flag_filter_match(&f, 0) == (!f.any && f.bits == 0));
                CHECK(f.any ? mm_flag_filter_match(&f, UINT64_MAX) == (f.mask != 0)
                            : mm_flag_filter_match(&f, f.bits | ~f.mask));
                for (unsigned i = 0; i < 64; i++) {
                        uint64_t bit = UINT64_C(1) << i;

                        if (f.any)
                                CHECK(mm_flag_filter_match(&f, bit) == ((f.mask & bit) != 0));
                        else
                                CHECK(mm_flag_filter_match(&f, f.bits ^ bit) == ((f.mask & bit) == 0));
                }
        }
        free(text);
        return 0;
}
