/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <inttypes.h>

#include "daemon/frame-limit.h"
#include "shared/macro.h"
#include "shared/parse.h"

#define PARAMETER "module/mergemod/parameters/max_frames"
#define NUMBER_BYTES sizeof("18446744073709551615")

static int read_limit(int sys_fd, uint64_t *ret)
{
        _cleanup_(closep) int fd = -EBADF;
        char text[NUMBER_BYTES + 1];
        ssize_t n;

        fd = openat(sys_fd, PARAMETER, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        n = read(fd, text, sizeof(text) - 1);
        if (n < 0)
                return -errno;
        text[n] = '\0';
        text[strcspn(text, "\n")] = '\0';
        return parse_uint64(text, ret);
}

static int write_limit(int sys_fd, uint64_t limit)
{
        _cleanup_(closep) int fd = -EBADF;
        char text[NUMBER_BYTES];

        fd = openat(sys_fd, PARAMETER, O_WRONLY | O_TRUNC | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        snprintf(text, sizeof(text), "%" PRIu64, limit);
        return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

int frame_limit_set(struct frame_limit *l, int sys_fd, uint64_t wanted)
{
        uint64_t before = 0;
        int r;

        if (wanted == 0 && !l->changed)
                return 0;
        r = read_limit(sys_fd, &before);
        if (r >= 0)
                r = write_limit(sys_fd, wanted ?: l->before);
        if (r == -ENOENT && wanted == 0) {
                l->changed = false; /* it went away with the module */
                return 0;
        }
        if (r < 0)
                return r;
        if (!l->changed)
                l->before = before;
        l->changed = wanted != 0;
        return 0;
}
