// SPDX-License-Identifier: LGPL-2.1-or-later
/* Processes with equal memory, merged by mergemod straight through its device, by ksmd flat out, and by ksmd
 * as it is by default: how long it takes until nearly all is merged, what it costs, what a write to a merged
 * page costs then, and how long a process waits for a page fault meanwhile. For tests/bench/run merge. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "case.h"
#include "device.h"
#include "pages.h"

#define PROCESSES 4
#define MIB 64
#define N (MIB * 256)
#define AREA ((char *)0x300000000000UL)
#define ROUNDS 5
/* Pages on their way from one list to another are not merged at the first try. */
#define ENOUGH (N * PROCESSES / 100 * 99)
#define GIB_SAVED ((PROCESSES - 1) * MIB / 1024.0)

static uint64_t now_nsec(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static int by_size(const void *a, const void *b) {
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return (x > y) - (x < y);
}

/* In the processes. */

static long fill(long seed) {
        check(mmap(AREA, N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
                   -1, 0) == AREA);
        madvise(AREA, N * PAGE, MADV_NOHUGEPAGE);
        pages_fill(AREA, N, seed);
        pages_settle();
        return 0;
}

static long offer_to_ksm(long unused) {
        return madvise(AREA, N * PAGE, MADV_MERGEABLE);
}

/* The median, in nanoseconds, of the first writes to all pages. */
static long break_all(long unused) {
        static uint32_t nsec[N];

        for (size_t i = 0; i < N; i++) {
                uint64_t start = now_nsec();

                AREA[i * PAGE] ^= 1;
                nsec[i] = now_nsec() - start;
        }
        qsort(nsec, N, sizeof(nsec[0]), by_size);
        return nsec[N / 2];
}

#define FAULTS_MAX (1U << 22)
#define FRESH 256
static uint32_t *faults;
static size_t n_faults;
static atomic_bool faults_end;
static pthread_t fault_thread;

static void *fault(void *unused) {
        char *fresh = pages_map(FRESH);

        while (!faults_end && n_faults + FRESH <= FAULTS_MAX) {
                for (size_t i = 0; i < FRESH; i++) {
                        uint64_t start = now_nsec();

                        fresh[i * PAGE] = 1;
                        faults[n_faults++] = now_nsec() - start;
                }
                madvise(fresh, FRESH * PAGE, MADV_DONTNEED);
        }
        return NULL;
}

static long fault_start(long unused) {
        faults = mmap(NULL, FAULTS_MAX * sizeof(*faults), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        check(faults != MAP_FAILED);
        return pthread_create(&fault_thread, NULL, fault, NULL);
}

/* The longest but a thousandth of them, in nanoseconds. */
static long fault_stop(long unused) {
        faults_end = true;
        pthread_join(fault_thread, NULL);
        qsort(faults, n_faults, sizeof(*faults), by_size);
        return faults[n_faults - n_faults / 1000 - 1];
}

/* The mechanisms: each merges what all processes have, and returns the CPU time of who did it. */

static uint64_t cpu_nsec(pid_t pid) {
        unsigned long long nsec;
        char path[64];
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
        f = fopen(path, "re");
        check(f && fscanf(f, "%llu", &nsec) == 1);
        fclose(f);
        return nsec;
}

/* Numbers groups by hash, in an open table. */
static uint32_t group_of(uint64_t hash) {
        static struct { uint64_t hash; uint32_t group; } table[4 * N * PROCESSES];
        static uint32_t n_groups;
        size_t at = hash % (4 * N * PROCESSES);

        if (!hash) {
                memset(table, 0, sizeof(table));
                return n_groups = 0;
        }
        while (table[at].group && table[at].hash != hash)
                at = (at + 1) % (4 * N * PROCESSES);
        if (!table[at].group) {
                table[at].hash = hash;
                table[at].group = ++n_groups;
        }
        return table[at].group - 1;
}

static uint64_t merge_direct(const struct peer *peers) {
        static struct mergemod_page pages[N];
        static struct mergemod_element elements[N * PROCESSES];
        struct mergemod_merge merge = {};
        uint64_t before, start;
        int fd = device_open();
        uint32_t n = 0;

        memset(elements, 0, sizeof(elements));
        memset(pages, 0, sizeof(pages));
        group_of(0);
        before = cpu_nsec(getpid());
        start = now_nsec();
        for (size_t i = 0; i < PROCESSES; i++) {
                struct mergemod_scan scan = {
                        .target = device_attach(fd, peers[i].pid),
                        .start = (uintptr_t)AREA,
                        .end = (uintptr_t)AREA + N * PAGE,
                        .flags = MERGEMOD_SCAN_SAMPLE,
                        .seed = 1,
                        .pages = (uintptr_t)pages,
                        .n_pages = N,
                };

                check_equal(device_call(fd, MERGEMOD_SCAN, &scan), 0);
                for (size_t j = 0; j < scan.done; j++)
                        elements[n++] = (struct mergemod_element){
                                .address = pages[j].address,
                                .target = scan.target,
                                .group = group_of(pages[j].hash),
                        };
        }
        printf("# looked at after %.3f s\n", (now_nsec() - start) / 1e9);
        check_equal(device_merge(fd, &merge, elements, n), 0);
        check_at_least(merge.merged, ENOUGH);
        close(fd);
        return cpu_nsec(getpid()) - before;
}

static void ksm_set(const char *knob, long value) {
        char path[64];
        FILE *f;

        snprintf(path, sizeof(path), "/sys/kernel/mm/ksm/%s", knob);
        f = fopen(path, "we");
        check(f && fprintf(f, "%ld", value) > 0 && fclose(f) == 0);
}

static long ksm_get(const char *knob) {
        char path[64];
        long value;
        FILE *f;

        snprintf(path, sizeof(path), "/sys/kernel/mm/ksm/%s", knob);
        f = fopen(path, "re");
        check(f && fscanf(f, "%ld", &value) == 1);
        fclose(f);
        return value;
}

static pid_t ksmd(void) {
        char name[32], path[64];

        for (pid_t pid = 2; pid < 1000; pid++) {
                FILE *f;

                snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
                f = fopen(path, "re");
                if (!f)
                        continue;
                if (!fgets(name, sizeof(name), f))
                        name[0] = 0;
                fclose(f);
                if (strcmp(name, "ksmd\n") == 0)
                        return pid;
        }
        fail("there is no ksmd");
}

static uint64_t merge_ksm(const struct peer *peers, long pages_to_scan, long sleep_msec) {
        uint64_t before;

        /* It still counts those that are gone. */
        ksm_set("run", 2);
        before = cpu_nsec(ksmd());
        for (size_t i = 0; i < PROCESSES; i++)
                check_equal(peer_call(&peers[i], offer_to_ksm, 0), 0);
        ksm_set("pages_to_scan", pages_to_scan);
        ksm_set("sleep_millisecs", sleep_msec);
        ksm_set("run", 1);
        while (ksm_get("pages_shared") + ksm_get("pages_sharing") < ENOUGH)
                usleep(2000);
        ksm_set("run", 0);
        return cpu_nsec(ksmd()) - before;
}

static uint64_t merge_flat_out(const struct peer *peers) {
        return merge_ksm(peers, 10000, 0);
}

static uint64_t merge_by_default(const struct peer *peers) {
        return merge_ksm(peers, 100, 20);
}

struct mechanism {
        const char *name;
        uint64_t (*merge)(const struct peer *peers);
        unsigned rounds;
        double wall_sec[ROUNDS], cpu_sec[ROUNDS], break_usec[ROUNDS], fault_usec[ROUNDS];
};

static struct mechanism mechanisms[] = {
        { "direct", merge_direct, ROUNDS },
        { "ksm_flat_out", merge_flat_out, ROUNDS },
        { "ksm_default", merge_by_default, 1 },
};
#define MECHANISMS (sizeof(mechanisms) / sizeof(mechanisms[0]))

/* The page faults of one process are looked at in a pass of their own: they want a processor. */
static void measure(struct mechanism *mechanism, unsigned round, bool with_faults) {
        struct peer peers[PROCESSES];
        uint64_t start, cpu;

        for (size_t i = 0; i < PROCESSES; i++) {
                peers[i] = peer_start();
                peer_call(&peers[i], fill, 1);
        }
        if (with_faults)
                check_equal(peer_call(&peers[0], fault_start, 0), 0);
        start = now_nsec();
        cpu = mechanism->merge(peers);
        if (with_faults) {
                mechanism->fault_usec[round] = peer_call(&peers[0], fault_stop, 0) / 1e3;
        } else {
                mechanism->wall_sec[round] = (now_nsec() - start) / 1e9;
                mechanism->cpu_sec[round] = cpu / 1e9 / GIB_SAVED;
                mechanism->break_usec[round] = peer_call(&peers[1], break_all, 0) / 1e3;
        }
        for (size_t i = 0; i < PROCESSES; i++)
                peer_end(&peers[i]);
}

/* The round that was disturbed least: what else the machine does only ever adds. */
static double least(const double *values, unsigned n) {
        double ret = values[0];

        for (unsigned i = 1; i < n; i++)
                ret = values[i] < ret ? values[i] : ret;
        return ret;
}

static int by_value(const void *a, const void *b) {
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

/* Of waiting times, which have no least that would say much. */
static double median(const double *values, unsigned n) {
        double sorted[ROUNDS];

        memcpy(sorted, values, n * sizeof(*values));
        qsort(sorted, n, sizeof(*sorted), by_value);
        return sorted[n / 2];
}

int main(int argc, char **argv) {
        struct utsname name;

        for (unsigned round = 0; round < ROUNDS; round++)
                for (size_t i = 0; i < MECHANISMS; i++) {
                        if (round >= mechanisms[i].rounds)
                                continue;
                        measure(&mechanisms[i], round, false);
                        measure(&mechanisms[i], round, true);
                        printf("# %s: %.3f s, %.2f CPU-s/GiB, write %.1f us, fault p99.9 %.1f us\n",
                               mechanisms[i].name, mechanisms[i].wall_sec[round],
                               mechanisms[i].cpu_sec[round], mechanisms[i].break_usec[round],
                               mechanisms[i].fault_usec[round]);
                        fflush(stdout);
                }
        uname(&name);
        printf("result {\"kernel\":\"%s\",\"processes\":%d,\"mib_each\":%d,\"mechanisms\":[", name.release,
               PROCESSES, MIB);
        for (size_t i = 0; i < MECHANISMS; i++) {
                const struct mechanism *m = &mechanisms[i];

                printf("%s{\"name\":\"%s\",\"wall_sec\":%.4f,\"cpu_sec_per_gib\":%.4f,\"break_usec\":%.2f,"
                       "\"fault_p999_usec\":%.2f}", i ? "," : "", m->name, least(m->wall_sec, m->rounds),
                       least(m->cpu_sec, m->rounds), least(m->break_usec, m->rounds),
                       median(m->fault_usec, m->rounds));
        }
        printf("]}\n");
        return 0;
}
