/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Text that the kernel writes, not ended by NUL: a cursor that never leaves it. */

struct mm_text {
        const char *at, *end;
};

/* Takes @c if it stands next. */
bool mm_text_skip(struct mm_text *t, char c);
/* Takes all of @c that stand next. */
void mm_text_skip_all(struct mm_text *t, char c);
/* Takes a number to @base, 10 or 16, without sign or prefix. False, and nothing taken, if there is
 * none or it does not fit. */
bool mm_text_number(struct mm_text *t, unsigned base, uint64_t *ret);
/* Takes what stands before the next @c or the end, and @c. False at the end of the text. */
bool mm_text_until(struct mm_text *t, char c, struct mm_text *ret);
/* Takes @prefix if it stands next. */
bool mm_text_prefix(struct mm_text *t, const char *prefix);

static inline size_t mm_text_size(const struct mm_text *t)
{
        return (size_t)(t->end - t->at);
}

/* Reads a file without a known size, to its end; a NUL follows the text. More than @max bytes:
 * -E2BIG. @size_hint: what to begin with. */
int mm_read_file(int dir_fd, const char *path, size_t size_hint, size_t max, char **ret, size_t *ret_size);
