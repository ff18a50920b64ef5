/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "lib/hash.h"
#include "service.h"
#include "shared/macro.h"
#include "shared/names.h"

/* Whether the service keeps to CpuQuota=: a rule that always has something to do, since what it merges is
 * written to, is watched for some minutes by the kernel's accounts of CPU time, which are not the service's
 * own. What counts is the worst minute, whenever it begins. --rounds: minutes; --mib: memory of each of the
 * processes. The machine's KSM is used. */

#define QUOTA_PERCENT 5U
#define PROCESSES 4U
/* How often so much of the memory gets other contents, the same in all of them. */
#define WRITE_NSEC (500L * 1000 * 1000)
#define WRITTEN_PART 20U
/* A rule begins somewhere in its interval, and the first turns find the processes. */
#define WARM_UP_SEC 5U
#define MINUTE_SEC 60U
#define SECONDS_MAX (BENCH_ROUNDS_MAX * MINUTE_SEC)

enum { DAEMON, WORKER, KSMD, WHO_MAX_ };
static const char *const names[] = { "mergememd", "its worker", "ksmd" };

struct sample {
        double sec[WHO_MAX_]; /* CPU time until then */
};

struct result {
        struct sample worst; /* within one minute */
        double worst_sec, mean_sec;
        unsigned n_seconds;
        uint64_t n_merged;
};

static void write_pages(uint64_t *words, size_t from, size_t n_pages, uint64_t step)
{
        size_t per_page = MM_PAGE_SIZE / sizeof(uint64_t);

        for (size_t i = from; i < from + n_pages; i++)
                for (size_t k = 0; k < per_page; k++)
                        words[i * per_page + k] = (step << 40 | i << 12 | k) * UINT64_C(0x9e3779b97f4a7c15);
}

/* All begin to count at one time, so that their contents are equal. */
static void be_writer(size_t n_pages, const struct timespec *begin)
{
        size_t part = MAX(n_pages / WRITTEN_PART, (size_t)1);
        struct timespec next = *begin;
        uint64_t *words;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        words = mmap(NULL, n_pages * MM_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                     0);
        if (words == MAP_FAILED)
                _exit(EXIT_FAILURE);
        write_pages(words, 0, n_pages, 0);
        for (uint64_t step = 1;; step++) {
                write_pages(words, step % WRITTEN_PART * part, part, step);
                next.tv_nsec += WRITE_NSEC;
                next.tv_sec += next.tv_nsec / 1000000000L;
                next.tv_nsec %= 1000000000L;
                clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
        }
}

static int start_writers(size_t n_pages, pid_t *ret)
{
        struct timespec begin;

        clock_gettime(CLOCK_MONOTONIC, &begin);
        for (size_t i = 0; i < PROCESSES; i++) {
                ret[i] = fork();
                if (ret[i] < 0)
                        return -errno;
                if (ret[i] == 0)
                        be_writer(n_pages, &begin);
        }
        return 0;
}

static void stop_writers(const pid_t *pids)
{
        for (size_t i = 0; i < PROCESSES; i++)
                if (pids[i] > 0) {
                        kill(pids[i], SIGKILL);
                        waitpid(pids[i], NULL, 0);
                }
}

/* CPU time of @pid and of its children that were waited for: fields 14 to 17 of proc(5)'s stat. */
static int read_cpu(pid_t pid, double *ret)
{
        _cleanup_(fclosep) FILE *f = NULL;
        unsigned long user, system;
        long children_user, children_system;
        char text[1024], *p;

        snprintf(text, sizeof(text), "/proc/%d/stat", (int)pid);
        f = fopen(text, "re");
        if (!f || !fgets(text, sizeof(text), f))
                return -ESRCH;
        p = strrchr(text, ')');
        if (!p || sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld", &user,
                         &system, &children_user, &children_system) != 4)
                return -EBADMSG;
        *ret = (double)(user + system + (unsigned long)(children_user + children_system)) /
               (double)sysconf(_SC_CLK_TCK);
        return 0;
}

/* 0: it is not to be seen from here. */
static pid_t find_ksmd(void)
{
        _cleanup_(closedirp) DIR *proc = opendir("/proc");
        struct dirent *entry;

        while (proc && (entry = readdir(proc))) {
                _cleanup_(fclosep) FILE *f = NULL;
                char path[300], comm[32];

                snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
                if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
                        continue;
                f = fopen(path, "re");
                if (f && fgets(comm, sizeof(comm), f) && streq(comm, "ksmd\n"))
                        return (pid_t)strtol(entry->d_name, NULL, 10);
        }
        return 0;
}

static int take_sample(const struct service *s, pid_t ksmd_pid, const struct sample *before,
                       struct sample *ret)
{
        struct sample sample = *before;
        pid_t worker;
        int r;

        r = read_cpu(s->daemon_pid, &sample.sec[DAEMON]);
        /* One that is replaced has its time counted as the service's. */
        if (r >= 0 && service_worker(s, &worker) >= 0)
                (void)read_cpu(worker, &sample.sec[WORKER]);
        if (r >= 0 && ksmd_pid > 0)
                r = read_cpu(ksmd_pid, &sample.sec[KSMD]);
        if (r >= 0)
                *ret = sample;
        return r;
}

static double sum(const struct sample *s)
{
        double all = 0;

        for (size_t i = 0; i < WHO_MAX_; i++)
                all += s->sec[i];
        return all;
}

static struct sample difference(const struct sample *from, const struct sample *to)
{
        struct sample d;

        for (size_t i = 0; i < WHO_MAX_; i++)
                d.sec[i] = to->sec[i] - from->sec[i];
        return d;
}

static int watch(const struct service *s, unsigned n_seconds, struct result *ret)
{
        static struct sample samples[SECONDS_MAX + 1];
        struct result result = { .n_seconds = n_seconds };
        pid_t ksmd_pid = find_ksmd();
        struct timespec next;
        struct sample all;
        int r;

        clock_gettime(CLOCK_MONOTONIC, &next);
        r = take_sample(s, ksmd_pid, &(struct sample){}, &samples[0]);
        for (unsigned i = 1; i <= n_seconds && r >= 0; i++) {
                next.tv_sec++;
                clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
                r = take_sample(s, ksmd_pid, &samples[i - 1], &samples[i]);
                if (r >= 0 && i >= MINUTE_SEC) {
                        struct sample minute = difference(&samples[i - MINUTE_SEC], &samples[i]);

                        if (sum(&minute) > result.worst_sec) {
                                result.worst = minute;
                                result.worst_sec = sum(&minute);
                        }
                }
        }
        if (r < 0)
                return r;
        all = difference(&samples[0], &samples[n_seconds]);
        result.mean_sec = sum(&all) * MINUTE_SEC / n_seconds;
        (void)sd_bus_get_property_trivial(s->bus, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                          MERGEMEM_MANAGER_INTERFACE, "PagesMergedTotal", NULL, 't',
                                          &result.n_merged);
        *ret = result;
        return 0;
}

static void print_human(const struct result *r, const struct bench_options *o)
{
        double allowed = QUOTA_PERCENT * MINUTE_SEC / 100.0;

        printf("%u minutes of a rule about %u processes of %" PRIu64 " MiB that write all the time\n",
               r->n_seconds / MINUTE_SEC, PROCESSES, o->mib);
        printf("  %-24s %8.2f s     allowed: %.2f s, CpuQuota=%u%%\n", "worst minute", r->worst_sec, allowed,
               QUOTA_PERCENT);
        for (size_t i = 0; i < WHO_MAX_; i++)
                printf("  %-24s %8.2f s\n", names[i], r->worst.sec[i]);
        printf("  %-24s %8.2f s a minute\n", "mean", r->mean_sec);
        printf("  %-24s %8" PRIu64 " (rounded by the service)\n", "pages merged", r->n_merged);
}

static void print_json(const struct result *r, const struct bench_options *o)
{
        printf("{\"benchmark\":\"quota\",\"mib\":%" PRIu64 ",\"processes\":%u,\"seconds\":%u,"
               "\"quota_seconds\":%.2f,\"worst_seconds\":%.2f,\"worst_daemon_seconds\":%.2f,"
               "\"worst_worker_seconds\":%.2f,\"worst_ksmd_seconds\":%.2f,\"mean_seconds\":%.2f,"
               "\"merged_pages\":%" PRIu64 "}\n",
               o->mib, PROCESSES, r->n_seconds, QUOTA_PERCENT * MINUTE_SEC / 100.0, r->worst_sec,
               r->worst.sec[DAEMON], r->worst.sec[WORKER], r->worst.sec[KSMD], r->mean_sec, r->n_merged);
}

/* All that the service looks at by itself is this program's. */
static char *make_config(void)
{
        char exe[512], *config;
        ssize_t n;

        n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
        if (n < 0)
                return NULL;
        exe[n] = '\0';
        if (asprintf(&config,
                     "[Daemon]\nCpuQuota=%u%%\n[Rule default]\nMinAgeSec=1w\n"
                     "[Rule bench]\nExe=%s\nMinAgeSec=0\nIntervalSec=1\nOnErosion=keep\n",
                     QUOTA_PERCENT, exe) < 0)
                return NULL;
        return config;
}

int main(int argc, char *argv[])
{
        struct bench_options options = { .mib = 256, .n_rounds = 3 };
        _cleanup_(freep) char *config = make_config();
        pid_t pids[PROCESSES] = {};
        struct service service;
        struct result result;
        int r;

        bench_parse_options(argc, argv, &options);
        r = config ? start_writers(options.mib * 1024 * 1024 / MM_PAGE_SIZE, pids) : -ENOMEM;
        if (r >= 0) {
                r = service_start(&service, "ksm", config);
                if (r >= 0) {
                        sleep(WARM_UP_SEC);
                        r = watch(&service, options.n_rounds * MINUTE_SEC, &result);
                }
                service_stop(&service);
        }
        stop_writers(pids);
        if (r < 0) {
                fprintf(stderr, "Cannot watch the service: %s\n", strerror(-r));
                return EXIT_FAILURE;
        }
        (options.json ? print_json : print_human)(&result, &options);
        return EXIT_SUCCESS;
}
