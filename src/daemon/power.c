/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>

#include "daemon/power.h"
#include "lib/text.h"
#include "shared/macro.h"

#define ATTRIBUTE_MAX 4096U

static bool attribute_is(int dir_fd, const char *device, const char *name, const char *value)
{
        _cleanup_(freep) char *text = NULL;
        char path[512];
        size_t size;

        if (snprintf(path, sizeof(path), "%s/%s", device, name) >= (int) sizeof(path) ||
            mm_read_file(dir_fd, path, 64, ATTRIBUTE_MAX, &text, &size) < 0)
                return false;
        text[strcspn(text, "\n")] = 0;
        return streq(text, value);
}

static bool on_battery(int sys_fd)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        const struct dirent *entry;
        bool discharging = false;
        int fd;

        fd = openat(sys_fd, "class/power_supply", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return false;
        dir = fdopendir(fd);
        if (!dir) {
                safe_close(fd);
                return false;
        }
        while ((entry = readdir(dir))) {
                const char *device = entry->d_name;

                if (device[0] == '.')
                        continue;
                /* A mouse's battery, or what a phone is given, is not the machine's supply. */
                if (attribute_is(fd, device, "scope", "Device"))
                        continue;
                if (attribute_is(fd, device, "type", "Battery"))
                        discharging = discharging || attribute_is(fd, device, "status", "Discharging");
                else if (attribute_is(fd, device, "online", "1"))
                        return false;
        }
        return discharging;
}

bool power_is_saved(int sys_fd)
{
        return attribute_is(sys_fd, "firmware/acpi", "platform_profile", "low-power") || on_battery(sys_fd);
}
