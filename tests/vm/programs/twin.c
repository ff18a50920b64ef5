// SPDX-License-Identifier: LGPL-2.1-or-later
#include "twin.h"

#include <sys/mman.h>
#include <unistd.h>

#include "case.h"

#define TWIN_MAX 4096

struct twin twin_make(size_t n, long seed) {
        struct twin twin = { .fd = device_open(), .n = n, .seed = seed };

        check_at_least(TWIN_MAX, n);
        twin.target = device_attach(twin.fd, getpid());
        twin.a = pages_map(n);
        twin.b = pages_map(n);
        pages_fill(twin.a, n, seed);
        pages_fill(twin.b, n, seed);
        pages_settle();
        return twin;
}

size_t twin_merge(const struct twin *twin, const void *address, size_t n) {
        static struct mergemod_element elements[TWIN_MAX];
        struct mergemod_merge merge = {};

        elements_fill(elements, twin->target, (uintptr_t)address, n, 0);
        check_equal(device_merge(twin->fd, &merge, elements, n), 0);
        check_equal(merge.done, n);
        return merge.merged;
}

struct twin twin_merged(size_t n, long seed) {
        struct twin twin = twin_make(n, seed);

        check_equal(twin_merge(&twin, twin.a, n), n);
        check_equal(twin_merge(&twin, twin.b, n), n);
        check_equal(twin_shared(&twin), n);
        return twin;
}

size_t twin_shared(const struct twin *twin) {
        size_t shared = 0;

        for (size_t i = 0; i < twin->n; i++)
                shared += page_frame(getpid(), (uintptr_t)twin->a + i * PAGE) ==
                          page_frame(getpid(), (uintptr_t)twin->b + i * PAGE);
        return shared;
}

size_t twin_wrong(const struct twin *twin) {
        return pages_wrong(twin->b, twin->n, twin->seed);
}

void twin_end(struct twin *twin) {
        munmap(twin->a, twin->n * PAGE);
        munmap(twin->b, twin->n * PAGE);
        close(twin->fd);
}
