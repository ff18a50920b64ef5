/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((__cleanup__(f)))
#define _printf_(a, b) __attribute__((__format__(__printf__, a, b)))
#define _public_ __attribute__((__visibility__("default")))

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))

/* <sys/param.h> and GLib have their own, which evaluate their arguments twice. */
#undef MIN
#undef MAX
#define MIN(a, b)                          \
        ({                                 \
                __typeof__(a) a_ = (a);    \
                __typeof__(b) b_ = (b);    \
                a_ < b_ ? a_ : b_;         \
        })
#define MAX(a, b)                          \
        ({                                 \
                __typeof__(a) a_ = (a);    \
                __typeof__(b) b_ = (b);    \
                a_ > b_ ? a_ : b_;         \
        })

#define TAKE_GENERIC(var, null)                    \
        ({                                         \
                __typeof__(var) *taken_ = &(var);  \
                __typeof__(var) value_ = *taken_;  \
                *taken_ = (null);                  \
                value_;                            \
        })
#define TAKE_PTR(p) TAKE_GENERIC(p, NULL)
#define TAKE_FD(fd) TAKE_GENERIC(fd, -EBADF)

/* void func(T*) becomes usable as _cleanup_(funcp) on a "T*" variable. */
#define DEFINE_CLEANUP_FUNC(type, func)               \
        static inline void func##p(type *p)           \
        {                                             \
                if (*p)                               \
                        func(*p);                     \
        }

static inline void freep(void *p)
{
        free(*(void **)p);
}

/* close() without a trace in errno; takes and returns an invalid fd gladly. */
static inline int safe_close(int fd)
{
        if (fd >= 0) {
                int saved_errno = errno;

                close(fd);
                errno = saved_errno;
        }
        return -EBADF;
}

static inline void closep(int *fd)
{
        safe_close(*fd);
}

DEFINE_CLEANUP_FUNC(FILE *, fclose)
DEFINE_CLEANUP_FUNC(DIR *, closedir)

static inline bool streq(const char *a, const char *b)
{
        return strcmp(a, b) == 0;
}
