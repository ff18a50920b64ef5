/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <xxhash.h>

#include "lib/group.h"
#include "lib/hash.h"
#include "lib/scan.h"
#include "shared/macro.h"

/* What looking at memory costs: our scan of a process that holds nothing but unique pages, beside
 * the least that anybody must do, which is to read the memory and to hash it. The two take turns,
 * so that what else the machine does hits both. */

#define ROUNDS_MAX 101U

/* What the project promises. */
#define PROMISED_RATIO 1.3
#define PROMISED_BYTES_PER_PAGE 24.0
#define PROMISED_PEAK_MIB 64.0

struct target {
        pid_t pid;
        uint64_t start, size;
        int dir_fd;
};

struct result {
        double plain_sec, scan_sec, ratio;
        double bytes_per_page, peak_mib;
        uint64_t n_looked, n_read, n_groups;
};

static double now_sec(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int compare_double(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static double median(double *values, size_t n)
{
        qsort(values, n, sizeof(*values), compare_double);
        return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* Private memory of this process in RAM. */
static double resident_bytes(void)
{
        _cleanup_(fclosep) FILE *f = NULL;
        char line[256];
        double kib;

        f = fopen("/proc/self/smaps_rollup", "re");
        if (!f)
                return 0;
        while (fgets(line, sizeof(line), f))
                if (sscanf(line, "Anonymous: %lf kB", &kib) == 1)
                        return kib * 1024;
        return 0;
}

static void fill_unique(uint64_t *words, size_t n)
{
        uint64_t x = UINT64_C(0x9e3779b97f4a7c15);

        for (size_t i = 0; i < n; i++) {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                words[i] = x;
        }
}

static int target_start(uint64_t size, struct target *ret)
{
        struct target t = { .size = size };
        char path[64], byte;
        int ready[2];

        if (pipe2(ready, O_CLOEXEC) < 0)
                return -errno;

        /* Mapped before the fork, so that both know where; nothing of it is touched here. */
        void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
                return -errno;
        t.start = (uintptr_t)p;

        t.pid = fork();
        if (t.pid < 0)
                return -errno;
        if (t.pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                fill_unique(p, size / sizeof(uint64_t));
                if (write(ready[1], "", 1) != 1)
                        _exit(EXIT_FAILURE);
                for (;;)
                        pause();
        }

        munmap(p, size);
        close(ready[1]);
        if (read(ready[0], &byte, 1) != 1)
                return -ECHILD;
        close(ready[0]);

        snprintf(path, sizeof(path), "/proc/%d", (int)t.pid);
        t.dir_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (t.dir_fd < 0)
                return -errno;

        *ret = t;
        return 0;
}

static void target_stop(struct target *t)
{
        kill(t->pid, SIGKILL);
        waitpid(t->pid, NULL, 0);
        safe_close(t->dir_fd);
}

static int plain_round(const struct target *t, uint8_t *buffer, double *ret_sec)
{
        _cleanup_(closep) int fd = -EBADF;
        double start = now_sec();
        uint64_t sum = 0;

        fd = openat(t->dir_fd, "mem", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;

        for (uint64_t done = 0; done < t->size; done += MM_SCAN_BUFFER) {
                ssize_t n = pread(fd, buffer, MM_SCAN_BUFFER, (off_t)(t->start + done));

                if (n != MM_SCAN_BUFFER)
                        return n < 0 ? -errno : -EIO;
                sum ^= XXH3_64bits(buffer, MM_SCAN_BUFFER);
        }

        /* Kept, so that no compiler finds the loop idle. */
        __asm__ volatile("" : : "r"(sum));
        *ret_sec = now_sec() - start;
        return 0;
}

static int count_mappings(void *userdata, uint32_t frame, uint64_t *ret)
{
        struct mm_scan *s = userdata;

        return mm_kpage_count(&s->kpage, frame, ret);
}

static int scan_round(const struct target *t, struct mm_scan *s, double *ret_sec, uint64_t *ret_groups)
{
        struct mm_scan_target st = {};
        double start = now_sec();
        uint64_t n_groups = 0;
        struct mm_group g;
        int r;

        s->n_looked = s->n_read = 0;

        r = mm_scan_target_open(t->dir_fd, 0, 1, &st);
        if (r < 0)
                return r;
        r = mm_scan_range(s, &st, t->start, t->start + t->size, 1, false, NULL, NULL);
        mm_scan_target_done(&st);
        if (r < 0)
                return r;

        mm_records_sort(s->records);
        for (size_t i = 0; (i = mm_group_next(s->records, i, count_mappings, s, &g)) > 0;)
                n_groups++;

        *ret_sec = now_sec() - start;
        *ret_groups = n_groups;
        return 0;
}

static int measure(const struct target *t, unsigned n_rounds, struct result *ret)
{
        _cleanup_(mm_records_freep) struct mm_records *records = NULL;
        double plain[ROUNDS_MAX], scan[ROUNDS_MAX], ratio[ROUNDS_MAX], before, kept = 0;
        struct result result = {};
        struct rusage usage;
        struct mm_scan s;
        uint64_t seed;
        int r, proc_fd;

        proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (proc_fd < 0)
                return -errno;

        r = mm_hash_seed(&seed);
        if (r >= 0)
                r = mm_records_new(UINT64_C(64) << 20, &records);
        if (r >= 0)
                r = mm_scan_init(&s, records, proc_fd, seed);
        close(proc_fd);
        if (r < 0)
                return r;

        /* Round 0 warms up, and brings in all memory that does not depend on the number of pages. */
        for (unsigned i = 0; i <= n_rounds; i++) {
                unsigned k = i > 0 ? i - 1 : 0;

                r = plain_round(t, s.buffer, &plain[k]);
                if (r < 0)
                        break;
                mm_records_clear(records);
                before = resident_bytes();
                r = scan_round(t, &s, &scan[k], &result.n_groups);
                if (r < 0)
                        break;
                ratio[k] = scan[k] / plain[k];
                kept = resident_bytes() - before;
        }

        result.n_looked = s.n_looked;
        result.n_read = s.n_read;
        mm_scan_done(&s);
        if (r < 0)
                return r;
        if (result.n_looked == 0)
                return -ENODATA;

        getrusage(RUSAGE_SELF, &usage);
        result.plain_sec = median(plain, n_rounds);
        result.scan_sec = median(scan, n_rounds);
        result.ratio = median(ratio, n_rounds);
        result.bytes_per_page = kept / (double)result.n_looked;
        result.peak_mib = (double)usage.ru_maxrss / 1024;
        *ret = result;
        return 0;
}

static void print_line(const char *name, double sec, const struct result *r)
{
        printf("  %-24s %8.1f ms  %6.0f ns a page  %5.2f GB/s\n", name, sec * 1e3,
               sec * 1e9 / (double)r->n_looked, (double)r->n_looked * MM_PAGE_SIZE / sec / 1e9);
}

static void print_human(const struct result *r, uint64_t mib, unsigned n_rounds)
{
        printf("scan of %" PRIu64 " MiB of unique pages, medians of %u rounds\n", mib, n_rounds);
        print_line("256 KiB preads and XXH3", r->plain_sec, r);
        print_line("scan, sort, groups", r->scan_sec, r);
        printf("  %-24s %8.2f     promised: at most %.1f\n", "ratio", r->ratio, PROMISED_RATIO);
        printf("  %-24s %8.1f     promised: at most %.0f\n", "bytes kept a page", r->bytes_per_page,
               PROMISED_BYTES_PER_PAGE);
        printf("  %-24s %8.1f MiB promised: under %.0f MiB for 4096 MiB\n", "peak memory", r->peak_mib,
               PROMISED_PEAK_MIB);
}

static void print_json(const struct result *r, uint64_t mib, unsigned n_rounds)
{
        printf("{\"benchmark\":\"scan\",\"mib\":%" PRIu64 ",\"rounds\":%u,"
               "\"pages\":%" PRIu64 ",\"frames_read\":%" PRIu64 ",\"groups\":%" PRIu64 ","
               "\"plain_seconds\":%.6f,\"scan_seconds\":%.6f,"
               "\"ratio\":%.4f,\"ratio_promised\":%.1f,"
               "\"bytes_per_page\":%.3f,\"bytes_per_page_promised\":%.0f,"
               "\"peak_mib\":%.2f,\"peak_mib_promised\":%.0f}\n",
               mib, n_rounds, r->n_looked, r->n_read, r->n_groups, r->plain_sec, r->scan_sec, r->ratio,
               PROMISED_RATIO, r->bytes_per_page, PROMISED_BYTES_PER_PAGE, r->peak_mib, PROMISED_PEAK_MIB);
}

static uint64_t number(const char *text, uint64_t max)
{
        char *end;
        uint64_t n;

        errno = 0;
        n = strtoull(text, &end, 10);
        if (errno != 0 || *end != '\0' || n == 0 || n > max) {
                fprintf(stderr, "Not a number from 1 to %" PRIu64 ": %s\n", max, text);
                exit(2);
        }
        return n;
}

int main(int argc, char *argv[])
{
        static const struct option options[] = {
                { "json", no_argument, NULL, 'j' },
                { "mib", required_argument, NULL, 'm' },
                { "rounds", required_argument, NULL, 'r' },
                {},
        };
        uint64_t mib = 1024, n_rounds = 7;
        struct target target;
        struct result result;
        bool json = false;
        int c, r;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (c) {
                case 'j':
                        json = true;
                        break;
                case 'm':
                        mib = number(optarg, UINT64_C(1) << 20);
                        break;
                case 'r':
                        n_rounds = number(optarg, ROUNDS_MAX);
                        break;
                default:
                        return 2;
                }

        r = target_start(mib << 20, &target);
        if (r < 0) {
                fprintf(stderr, "Cannot start a process with %" PRIu64 " MiB: %s\n", mib, strerror(-r));
                return EXIT_FAILURE;
        }

        r = measure(&target, (unsigned)n_rounds, &result);
        target_stop(&target);
        if (r < 0) {
                fprintf(stderr, "Cannot scan: %s\n", strerror(-r));
                return EXIT_FAILURE;
        }

        (json ? print_json : print_human)(&result, mib, (unsigned)n_rounds);
        return EXIT_SUCCESS;
}
