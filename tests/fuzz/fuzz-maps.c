/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"
#include "lib/hash.h"
#include "lib/maps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(mm_areas_done) struct mm_areas areas = {};
        char *text;
        size_t i;
        int r;

        text = malloc(size + 1);
        CHECK(text);
        if (size > 0)
                memcpy(text, data, size);
        text[size] = '\0';

        r = mm_areas_parse(text, size, &areas);
        if (r < 0) {
                CHECK(r == -EINVAL || r == -EAGAIN);
                CHECK(areas.n == 0 && !areas.items && !areas.text);
                return 0;
        }
        for (i = 0; i < areas.n; i++) {
                const struct mm_area *a = areas.items + i;

                CHECK(a->start < a->end && a->start % MM_PAGE_SIZE == 0 && a->end % MM_PAGE_SIZE == 0);
                CHECK(i == 0 || a[-1].end <= a->start);
                CHECK(a->kind <= MM_AREA_SPECIAL);
                CHECK(a->name >= areas.text && a->name + strlen(a->name) <= areas.text + size);
                CHECK(!strchr(a->name, '\n') || a->kind == MM_AREA_FILE || a->kind == MM_AREA_DEVICE ||
                      a->kind == MM_AREA_SHARED);
                CHECK(a->kind != MM_AREA_ANON || !mm_file_id_known(&a->file));
                CHECK(mm_areas_find(&areas, a->start) == a);
                CHECK(mm_areas_find(&areas, a->end - 1) == a);
        }
        return 0;
}
