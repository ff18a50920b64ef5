/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>

#include "shared/conf.h"
#include "shared/log.h"

/* Far above any sensible file, far below what would hurt to hold in memory. */
#define FILE_BYTES_MAX (1024U * 1024U)

static int read_file(const char *path, char **ret, size_t *ret_size)
{
        _cleanup_(closep) int fd = -EBADF;
        _cleanup_(freep) char *text = NULL;
        size_t size = 0;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        text = malloc(FILE_BYTES_MAX + 1);
        if (!text)
                return -ENOMEM;

        for (;;) {
                ssize_t n = read(fd, text + size, FILE_BYTES_MAX + 1 - size);

                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                size += (size_t) n;
                if (size > FILE_BYTES_MAX)
                        return -EFBIG;
        }
        *ret = TAKE_PTR(text);
        *ret_size = size;
        return 0;
}

int conf_load(const char *path, struct conf *ret)
{
        _cleanup_(conf_done) struct conf c = {};
        _cleanup_(freep) char *text = NULL;
        size_t size = 0;
        int r;

        r = read_file(path, &text, &size);
        if (r == -ENOENT)
                return r;
        if (r == -EFBIG)
                return log_error_errno(r, "%s: larger than 1 MiB; that is no configuration file", path);
        if (r < 0)
                return log_error_errno(r, "%s: cannot be read: %m", path);

        if (conf_init(&c) < 0)
                return log_oom();
        r = conf_parse(path, text, size, &c);
        if (r >= 0)
                r = conf_check(&c);
        if (r < 0)
                return r;
        *ret = TAKE_GENERIC(c, (struct conf) {});
        return 0;
}
