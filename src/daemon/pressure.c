/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>

#include "daemon/pressure.h"
#include "lib/text.h"
#include "shared/macro.h"

/* Two short lines. */
#define PRESSURE_FILE_MAX 4096U

int pressure_parse(const char *text, size_t size, uint32_t *ret)
{
        struct mm_text t = { text, text + size };
        uint64_t whole, hundredths;
        const char *fraction;

        if (!mm_text_prefix(&t, "some avg10=") || !mm_text_number(&t, 10, &whole) || !mm_text_skip(&t, '.'))
                return -EINVAL;
        fraction = t.at;
        if (!mm_text_number(&t, 10, &hundredths) || t.at - fraction != 2 || !mm_text_skip(&t, ' '))
                return -EINVAL;
        if (whole > 100U)
                return -EINVAL;
        *ret = (uint32_t) (whole * 100U + hundredths);
        return 0;
}

uint32_t pressure_read(int proc_fd, const char *what)
{
        _cleanup_(freep) char *text = NULL;
        char path[64];
        uint32_t some;
        size_t size;

        (void) snprintf(path, sizeof(path), "pressure/%s", what);
        if (mm_read_file(proc_fd, path, 256, PRESSURE_FILE_MAX, &text, &size) < 0)
                return 0;
        return pressure_parse(text, size, &some) < 0 ? 0 : some;
}

int pressure_open_trigger(int proc_fd)
{
        _cleanup_(closep) int fd = openat(proc_fd, "pressure/memory", O_RDWR | O_CLOEXEC | O_NONBLOCK);

        if (fd < 0)
                return -errno;
        /* With the NUL, as the kernel's documentation has it. */
        if (write(fd, PRESSURE_MEMORY_TRIGGER, sizeof(PRESSURE_MEMORY_TRIGGER)) < 0)
                return -errno;
        return TAKE_FD(fd);
}
