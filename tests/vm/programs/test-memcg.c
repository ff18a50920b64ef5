// SPDX-License-Identifier: LGPL-2.1-or-later
/* Memory cgroups: who pays for shared frames. */
#include <errno.h>
#include <sys/mman.h>

#include "case.h"
#include "held.h"
#include "knob.h"

#define SEED 51
#define MANY 4096
#define MANY_AREA 0x300000000000UL
static long hold(long seed) {
        char *pages = mmap((void *)MANY_AREA, MANY * PAGE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

        check(pages == (void *)MANY_AREA);
        check_equal(madvise(pages, MANY * PAGE, MADV_NOHUGEPAGE), 0);
        pages_fill(pages, MANY, seed);
        pages_settle();
        return 0;
}

static long wrong(long seed) {
        return pages_wrong((void *)MANY_AREA, MANY, seed);
}

static void charges(void) {
        static struct mergemod_element elements[2 * MANY];
        struct mergemod_merge merge = {};
        struct peer peers[2];
        long before, after;
        int fd = device_open();

        cgroup_make();
        for (size_t i = 0; i < 2; i++) {
                peers[i] = peer_start();
                cgroup_put(peers[i].pid);
                peer_call(&peers[i], hold, SEED);
                elements_fill(elements + i * MANY, device_attach(fd, peers[i].pid), MANY_AREA, MANY, 0);
        }
        before = knob_get(CGROUP "/memory.current");
        check_equal(device_merge(fd, &merge, elements, 2 * MANY), 0);
        check_equal(merge.merged, 2 * MANY);
        peer_call(&peers[0], wrong, SEED);
        pages_settle();
        after = knob_get(CGROUP "/memory.current");
        printf("# memory.current %ld KiB, after merging %ld KiB\n", before / 1024, after / 1024);
        /* One of two copies is gone, the other is still paid for. */
        check_at_least(before - after, MANY * PAGE * 3 / 4);
        check_at_least(after, MANY * PAGE);
        for (size_t i = 0; i < 2; i++) {
                check_equal(peer_call(&peers[i], wrong, SEED), 0);
                peer_end(&peers[i]);
        }
        frames_gone(fd);
        cgroup_remove();
}

static void full(void) {
        static struct mergemod_element elements[MANY];
        struct mergemod_merge merge = {};
        struct peer peer = peer_start();
        int fd = device_open();
        long limit;

        cgroup_make();
        cgroup_put(peer.pid);
        peer_call(&peer, hold, SEED);
        /* No room for frames but that of pages merged before. */
        limit = knob_get(CGROUP "/memory.current") / 4096 * 4096;
        knob_set_number(CGROUP "/memory.max", limit);
        elements_fill(elements, device_attach(fd, peer.pid), MANY_AREA, MANY, 0);
        check_equal(device_merge(fd, &merge, elements, MANY), 0);
        check_equal(merge.done, MANY);
        printf("# %u merged, %zu without memory\n", merge.merged, elements_count(elements, MANY, -ENOMEM));
        check_at_least(limit, knob_get(CGROUP "/memory.current"));
        check_equal(elements_count(elements, MANY, -ENOMEM) + merge.merged, MANY);
        /* It would be killed for the next page it touches. */
        knob_set(CGROUP "/memory.max", "max");
        check_equal(peer_call(&peer, wrong, SEED), 0);
        peer_end(&peer);
        frames_gone(fd);
        cgroup_remove();
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "memory cgroups: frames are charged, and the cgroup can go", charges },
                { "memory cgroups: merging does not lift the limit", full },
        };

        return CASES_RUN(argc, argv, cases);
}
