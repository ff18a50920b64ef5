// SPDX-License-Identifier: LGPL-2.1-or-later
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "case.h"
#include "pages.h"

int device_call(int fd, unsigned long request, void *argument) {
        int r = ioctl(fd, request, argument);

        return r < 0 ? -errno : r;
}

int device_open(void) {
        struct mergemod_info info = { .version = MERGEMOD_VERSION };
        int fd = open(MERGEMOD_DEVICE, O_RDWR | O_CLOEXEC);

        check(fd >= 0);
        check_equal(device_call(fd, MERGEMOD_INFO, &info), 0);
        check_equal(info.page_size, PAGE);
        return fd;
}

uint32_t device_attach(int fd, pid_t pid) {
        struct mergemod_attach attach = { .pid = pid };
        struct mergemod_target target = {};

        check_equal(device_call(fd, MERGEMOD_ATTACH, &attach), 0);
        target.target = attach.target;
        check_equal(device_call(fd, MERGEMOD_ACTIVATE, &target), 0);
        return attach.target;
}

void elements_fill(struct mergemod_element *elements, uint32_t target, uintptr_t address, size_t n,
                   uint32_t group) {
        for (size_t i = 0; i < n; i++)
                elements[i] = (struct mergemod_element){
                        .address = address + i * PAGE,
                        .target = target,
                        .group = group + i,
                        .status = 1,
                };
}

int device_merge(int fd, struct mergemod_merge *merge, struct mergemod_element *elements, uint32_t n) {
        merge->elements = (uintptr_t)elements;
        merge->n_elements = n;
        if (merge->domain != MERGEMOD_DOMAIN_CGROUP)
                merge->cgroup_fd = -1;
        return device_call(fd, MERGEMOD_MERGE, merge);
}

size_t elements_count(const struct mergemod_element *elements, size_t n, int status) {
        size_t count = 0;

        for (size_t i = 0; i < n; i++)
                count += elements[i].status == status;
        return count;
}

struct mergemod_stats device_stats(int fd) {
        struct mergemod_stats stats;

        check_equal(device_call(fd, MERGEMOD_STATS, &stats), 0);
        return stats;
}

uint64_t device_unmerge(int fd, uint32_t target, uintptr_t address, size_t n_pages, uint32_t flags) {
        struct mergemod_range range = {
                .start = address,
                .end = address + n_pages * PAGE,
                .target = target,
        };
        struct mergemod_ranges ranges = { .ranges = (uintptr_t)&range, .n_ranges = 1, .flags = flags };

        check_equal(device_call(fd, MERGEMOD_UNMERGE, &ranges), 0);
        check_equal(ranges.done, 1);
        check_equal(range.status, 0);
        return range.pages;
}
