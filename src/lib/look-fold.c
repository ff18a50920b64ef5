/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/hash-kind.h"
#include "lib/look.h"

/* How many parts of the huge page that starts with the first of @pages there are, in order; 0 if none
 * starts there. */
static size_t count_parts(const struct mm_page_info *pages, size_t n)
{
        size_t i;

        if (pages[0].address % MM_HUGE_BYTES != 0 || pages[0].frame % MM_HUGE_PARTS != 0)
                return 0;
        for (i = 0; i < MIN(n, (size_t) MM_HUGE_PARTS); i++)
                if ((pages[i].flags & MM_PAGE_INFO_HUGE) == 0 || pages[i].frame != pages[0].frame + i ||
                    pages[i].address != pages[0].address + i * MM_PAGE_SIZE)
                        break;
        return i;
}

static uint64_t join(const struct mm_hash *hash, const struct mm_page_info *pages)
{
        uint64_t parts[MM_HUGE_PARTS];

        if (!hash || hash->kind == MM_HASH_NONE || hash->kind == MM_HASH_FUNCTION)
                return 0;
        for (size_t i = 0; i < MM_HUGE_PARTS; i++)
                parts[i] = pages[i].hash;
        return mm_hash_kind_join(hash->kind, hash->seed, parts, MM_HUGE_PARTS);
}

size_t mm_look_fold(const struct mm_hash *hash, struct mm_page_info *pages, size_t n, bool more,
                    size_t *ret_used)
{
        size_t n_out = 0, i = 0;

        while (i < n) {
                size_t n_parts = count_parts(&pages[i], n - i);
                struct mm_page_info page = pages[i];

                if (n_parts == MM_HUGE_PARTS) {
                        page.size = MM_HUGE_BYTES;
                        page.hash = join(hash, &pages[i]);
                        i += MM_HUGE_PARTS;
                } else if (more && n_parts > 0 && i + n_parts == n && i > 0)
                        break;
                else {
                        page.flags &= ~MM_PAGE_INFO_HUGE;
                        i++;
                }
                pages[n_out++] = page;
        }
        *ret_used = i;
        return n_out;
}
