/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <inttypes.h>
#include <sys/resource.h>

#include "bench.h"
#include "lib/group.h"
#include "lib/hash.h"
#include "lib/scan.h"
#include "shared/macro.h"

/* What looking at memory costs: our scan of a process that holds nothing but unique pages, beside
 * the least that anybody must do, which is to read the memory and to hash it. The two take turns,
 * so that what else the machine does hits both. */

/* What the project promises. */
#define PROMISED_RATIO 1.3
#define PROMISED_BYTES_PER_PAGE 24.0
#define PROMISED_PEAK_MIB 64.0

struct result {
        double plain_sec, scan_sec, ratio;
        double bytes_per_page, peak_mib;
        uint64_t n_looked, n_read, n_groups;
};

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

static int count_mappings(void *userdata, uint32_t frame, uint64_t *ret)
{
        struct mm_scan *s = userdata;

        return mm_kpage_count(&s->kpage, frame, ret);
}

static int scan_round(const struct bench_target *t, struct mm_scan *s, double *ret_sec, uint64_t *ret_groups)
{
        struct mm_scan_target st = {};
        double start = bench_now_sec();
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

        *ret_sec = bench_now_sec() - start;
        *ret_groups = n_groups;
        return 0;
}

static int measure(const struct bench_target *t, unsigned n_rounds, struct result *ret)
{
        _cleanup_(mm_records_freep) struct mm_records *records = NULL;
        double plain[BENCH_ROUNDS_MAX], scan[BENCH_ROUNDS_MAX], ratio[BENCH_ROUNDS_MAX], before, kept = 0;
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

                r = bench_plain_round(t, s.buffer, &plain[k]);
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
        result.plain_sec = bench_median(plain, n_rounds);
        result.scan_sec = bench_median(scan, n_rounds);
        result.ratio = bench_median(ratio, n_rounds);
        result.bytes_per_page = kept / (double)result.n_looked;
        result.peak_mib = (double)usage.ru_maxrss / 1024;
        *ret = result;
        return 0;
}

static void print_human(const struct result *r, uint64_t mib, unsigned n_rounds)
{
        printf("scan of %" PRIu64 " MiB of unique pages, medians of %u rounds\n", mib, n_rounds);
        bench_print_line("256 KiB preads and XXH3", r->plain_sec, r->n_looked);
        bench_print_line("scan, sort, groups", r->scan_sec, r->n_looked);
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

int main(int argc, char *argv[])
{
        struct bench_options options = BENCH_OPTIONS_DEFAULT;
        struct bench_target target;
        struct result result;
        int r;

        bench_parse_options(argc, argv, &options);
        r = bench_target_start(options.mib << 20, &target);
        if (r < 0) {
                fprintf(stderr, "Cannot start a process with %" PRIu64 " MiB: %s\n",
                        options.mib, strerror(-r));
                return EXIT_FAILURE;
        }

        r = measure(&target, options.n_rounds, &result);
        bench_target_stop(&target);
        if (r < 0) {
                fprintf(stderr, "Cannot scan: %s\n", strerror(-r));
                return EXIT_FAILURE;
        }

        (options.json ? print_json : print_human)(&result, options.mib, options.n_rounds);
        return EXIT_SUCCESS;
}
