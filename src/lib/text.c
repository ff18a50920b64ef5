/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/text.h"

#include <fcntl.h>

#include "shared/macro.h"

bool mm_text_skip(struct mm_text *t, char c)
{
        if (t->at == t->end || *t->at != c)
                return false;
        t->at++;
        return true;
}

void mm_text_skip_all(struct mm_text *t, char c)
{
        while (mm_text_skip(t, c))
                ;
}

static int digit_of(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return -1;
}

bool mm_text_number(struct mm_text *t, unsigned base, uint64_t *ret)
{
        const char *p = t->at;
        uint64_t value = 0;

        for (; p < t->end; p++) {
                int digit = digit_of(*p);

                if (digit < 0 || (unsigned)digit >= base)
                        break;
                if (__builtin_mul_overflow(value, base, &value) ||
                    __builtin_add_overflow(value, (uint64_t)digit, &value))
                        return false;
        }
        if (p == t->at)
                return false;
        t->at = p;
        *ret = value;
        return true;
}

bool mm_text_until(struct mm_text *t, char c, struct mm_text *ret)
{
        const char *found;

        if (t->at == t->end)
                return false;
        found = memchr(t->at, c, mm_text_size(t));
        ret->at = t->at;
        ret->end = found ?: t->end;
        t->at = found ? found + 1 : t->end;
        return true;
}

bool mm_text_prefix(struct mm_text *t, const char *prefix)
{
        size_t length = strlen(prefix);

        if (mm_text_size(t) < length || memcmp(t->at, prefix, length) != 0)
                return false;
        t->at += length;
        return true;
}

int mm_read_file(int dir_fd, const char *path, size_t size_hint, size_t max, char **ret, size_t *ret_size)
{
        _cleanup_(closep) int fd = -EBADF;
        _cleanup_(freep) char *text = NULL;
        size_t size = 0, allocated = 0;

        fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return -errno;

        for (;;) {
                ssize_t n;

                if (size + 1 >= allocated) {
                        size_t wanted = allocated ? allocated * 2 : MAX(size_hint, (size_t)2);
                        char *grown;

                        if (size > max)
                                return -E2BIG;
                        grown = realloc(text, wanted);
                        if (!grown)
                                return -ENOMEM;
                        text = grown;
                        allocated = wanted;
                }

                n = read(fd, text + size, allocated - size - 1);
                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                if (n == 0)
                        break;
                size += (size_t)n;
        }
        if (size > max)
                return -E2BIG;

        text[size] = '\0';
        *ret = TAKE_PTR(text);
        *ret_size = size;
        return 0;
}
