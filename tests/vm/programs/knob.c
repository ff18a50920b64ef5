// SPDX-License-Identifier: LGPL-2.1-or-later
#include "knob.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "case.h"

int knob_try(const char *path, const char *value) {
        int fd = open(path, O_WRONLY | O_CLOEXEC), r = 0;

        if (fd < 0)
                return -errno;
        if (write(fd, value, strlen(value)) < 0)
                r = -errno;
        close(fd);
        return r;
}

void knob_set(const char *path, const char *value) {
        int r = knob_try(path, value);

        if (r < 0)
                fail("cannot write %s to %s: %s", value, path, strerror(-r));
}

void knob_set_number(const char *path, long value) {
        char text[32];

        snprintf(text, sizeof(text), "%ld", value);
        knob_set(path, text);
}

long knob_get(const char *path) {
        FILE *f = fopen(path, "re");
        long value;

        if (!f || fscanf(f, "%ld", &value) != 1)
                fail("cannot read %s", path);
        fclose(f);
        return value;
}

void cgroup_make(void) {
        knob_set("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
        check(mkdir(CGROUP, 0755) == 0 || errno == EEXIST);
        /* One that failed may have left it. */
        knob_set(CGROUP "/memory.max", "max");
}

void cgroup_put(pid_t pid) {
        knob_set_number(CGROUP "/cgroup.procs", pid);
}

long cgroup_events(const char *name) {
        FILE *f = fopen(CGROUP "/memory.events", "re");
        char line[64];
        long value = -1;

        check(f);
        while (value < 0 && fgets(line, sizeof(line), f))
                if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ' ')
                        value = atol(line + strlen(name));
        fclose(f);
        check(value >= 0);
        return value;
}

void cgroup_remove(void) {
        int r = -1;

        knob_set("/sys/fs/cgroup/cgroup.procs", "0");
        /* Those that were in it may still be leaving. */
        for (int i = 0; i < 100 && r < 0; i++) {
                r = rmdir(CGROUP);
                if (r < 0)
                        usleep(100000);
        }
        check_equal(r, 0);
}
