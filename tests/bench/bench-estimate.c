/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "lib/hash.h"
#include "lib/scan.h"
#include "service.h"
#include "shared/macro.h"
#include "shared/names.h"

/* What an estimate costs whoever asks for it: the real service, on a bus of its own, looks at a process
 * that holds nothing but unique pages, beside the least that anybody must do, which is to read the
 * memory and to hash it. The two take turns, so that what else the machine does hits both. */

/* What the project promises; the memory for a process of 4096 MiB, all of the service together. */
#define PROMISED_RATIO 1.3
#define PROMISED_PEAK_MIB 64.0

#define CALL_USEC (600ULL * 1000U * 1000U)

struct result {
        double plain_sec, estimate_sec, ratio;
        double daemon_peak_mib, worker_peak_mib;
        uint64_t n_pages;
};

/* The figure "pages" of the job's result. */
static int read_pages(struct service *s, const char *job, uint64_t *ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        const char *key;
        int r;

        r = sd_bus_get_property(s->bus, MERGEMEM_BUS_NAME, job, MERGEMEM_JOB_INTERFACE, "Result", NULL, &m,
                                "a{sv}");
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &key);
                if (r >= 0 && streq(key, "pages"))
                        return sd_bus_message_read(m, "v", "t", ret);
                if (r >= 0)
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : -ENODATA;
}

static int estimate_round(struct service *s, pid_t pid, double *ret_sec, uint64_t *ret_pages)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        double start = bench_now_sec();
        const char *job;
        int r;

        r = sd_bus_message_new_method_call(s->bus, &m, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                           MERGEMEM_MANAGER_INTERFACE, "Estimate");
        if (r >= 0)
                r = sd_bus_message_append(m, "a{sv}", 1, "pid", "au", 1, (uint32_t)pid);
        if (r >= 0)
                r = sd_bus_call(s->bus, m, CALL_USEC, &error, &reply);
        if (r < 0) {
                fprintf(stderr, "%s\n", error.message ?: strerror(-r));
                return r;
        }
        r = sd_bus_message_read(reply, "o", &job);
        while (r >= 0 && !streq(s->removed, job)) {
                r = sd_bus_process(s->bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(s->bus, CALL_USEC);
        }
        if (r < 0)
                return r;
        if (!streq(s->how, "done"))
                return -ECANCELED;
        *ret_sec = s->removed_sec - start;
        return read_pages(s, job, ret_pages);
}

/* The most memory that @pid had in RAM. */
static int read_peak_mib(pid_t pid, double *ret)
{
        _cleanup_(fclosep) FILE *f = NULL;
        char line[256];
        double kib;

        snprintf(line, sizeof(line), "/proc/%d/status", (int)pid);
        f = fopen(line, "re");
        if (!f)
                return -errno;
        while (fgets(line, sizeof(line), f))
                if (sscanf(line, "VmHWM: %lf kB", &kib) == 1) {
                        *ret = kib / 1024;
                        return 0;
                }
        return -ENODATA;
}

static int read_peaks(const struct service *s, struct result *ret)
{
        pid_t worker;
        int r;

        r = service_worker(s, &worker);
        if (r >= 0)
                r = read_peak_mib(s->daemon_pid, &ret->daemon_peak_mib);
        return r < 0 ? r : read_peak_mib(worker, &ret->worker_peak_mib);
}

static int measure(struct service *s, const struct bench_target *t, unsigned n_rounds, struct result *ret)
{
        double plain[BENCH_ROUNDS_MAX], estimate[BENCH_ROUNDS_MAX], ratio[BENCH_ROUNDS_MAX];
        _cleanup_(freep) uint8_t *buffer = NULL;
        struct result result = {};
        int r;

        buffer = aligned_alloc(MM_PAGE_SIZE, MM_SCAN_BUFFER);
        if (!buffer)
                return -ENOMEM;
        /* Round 0 warms up. */
        for (unsigned i = 0; i <= n_rounds; i++) {
                unsigned k = i > 0 ? i - 1 : 0;

                r = bench_plain_round(t, buffer, &plain[k]);
                if (r < 0)
                        return r;
                r = estimate_round(s, t->pid, &estimate[k], &result.n_pages);
                if (r < 0)
                        return r;
                if (result.n_pages < t->size / MM_PAGE_SIZE)
                        return -ENODATA;
                ratio[k] = estimate[k] / plain[k];
        }
        r = read_peaks(s, &result);
        if (r < 0)
                return r;
        result.plain_sec = bench_median(plain, n_rounds);
        result.estimate_sec = bench_median(estimate, n_rounds);
        result.ratio = bench_median(ratio, n_rounds);
        *ret = result;
        return 0;
}

static void print_human(const struct result *r, const struct bench_options *o)
{
        printf("estimate of %" PRIu64 " MiB of unique pages by the service, medians of %u rounds\n", o->mib,
               o->n_rounds);
        bench_print_line("256 KiB preads and XXH3", r->plain_sec, r->n_pages);
        bench_print_line("estimate", r->estimate_sec, r->n_pages);
        printf("  %-24s %8.2f     promised: at most %.1f\n", "ratio", r->ratio, PROMISED_RATIO);
        printf("  %-24s %8.1f MiB promised: under %.0f MiB for 4096 MiB\n", "peak memory",
               r->daemon_peak_mib + r->worker_peak_mib, PROMISED_PEAK_MIB);
        printf("  %-24s %8.1f MiB\n", "of it, the worker", r->worker_peak_mib);
}

static void print_json(const struct result *r, const struct bench_options *o)
{
        printf("{\"benchmark\":\"estimate\",\"mib\":%" PRIu64 ",\"rounds\":%u,\"pages\":%" PRIu64 ","
               "\"plain_seconds\":%.6f,\"estimate_seconds\":%.6f,"
               "\"ratio\":%.4f,\"ratio_promised\":%.1f,"
               "\"daemon_peak_mib\":%.2f,\"worker_peak_mib\":%.2f,"
               "\"peak_mib\":%.2f,\"peak_mib_promised\":%.0f}\n",
               o->mib, o->n_rounds, r->n_pages, r->plain_sec, r->estimate_sec, r->ratio, PROMISED_RATIO,
               r->daemon_peak_mib, r->worker_peak_mib, r->daemon_peak_mib + r->worker_peak_mib,
               PROMISED_PEAK_MIB);
}

int main(int argc, char *argv[])
{
        struct bench_options options = BENCH_OPTIONS_DEFAULT;
        struct bench_target target;
        struct service service;
        struct result result;
        int r;

        bench_parse_options(argc, argv, &options);
        r = bench_target_start(options.mib << 20, &target);
        if (r < 0) {
                fprintf(stderr, "Cannot start a process with %" PRIu64 " MiB: %s\n",
                        options.mib, strerror(-r));
                return EXIT_FAILURE;
        }
        /* Nothing is merged, so the machine's KSM is not touched. */
        r = service_start(&service, "observe", "");
        if (r >= 0)
                r = measure(&service, &target, options.n_rounds, &result);
        service_stop(&service);
        bench_target_stop(&target);
        if (r < 0) {
                fprintf(stderr, "Cannot estimate: %s\n", strerror(-r));
                return EXIT_FAILURE;
        }

        (options.json ? print_json : print_human)(&result, &options);
        return EXIT_SUCCESS;
}
