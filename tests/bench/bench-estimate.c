/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "lib/hash.h"
#include "lib/scan.h"
#include "shared/macro.h"
#include "shared/names.h"

/* What an estimate costs whoever asks for it: the real service, on a bus of its own, looks at a process
 * that holds nothing but unique pages, beside the least that anybody must do, which is to read the
 * memory and to hash it. The two take turns, so that what else the machine does hits both. */

/* What the project promises; the memory for a process of 4096 MiB, all of the service together. */
#define PROMISED_RATIO 1.3
#define PROMISED_PEAK_MIB 64.0

#define START_MSEC 10000U
#define CALL_USEC (600ULL * 1000U * 1000U)

static const char bus_config[] =
        "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"\n"
        " \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
        "<busconfig><type>session</type><listen>unix:path=%s/bus</listen><auth>EXTERNAL</auth>\n"
        "<policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>\n"
        "<allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>\n";

struct service {
        char directory[32];
        char address[64];
        pid_t bus_pid, daemon_pid;
        sd_bus *bus;
        /* The job that ended last. */
        char removed[64], how[16];
        double removed_sec;
};

struct result {
        double plain_sec, estimate_sec, ratio;
        double daemon_peak_mib, worker_peak_mib;
        uint64_t n_pages;
};

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

static pid_t start_program(const struct service *s, const char *const *arguments, bool quiet)
{
        pid_t pid = fork();
        int null_fd, error_fd;

        if (pid != 0)
                return pid < 0 ? -errno : pid;
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        setenv("RUNTIME_DIRECTORY", s->directory, 1);
        setenv("STATE_DIRECTORY", s->directory, 1);
        null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        error_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
        dup2(null_fd, STDOUT_FILENO);
        if (quiet)
                dup2(null_fd, STDERR_FILENO);
        execvp(arguments[0], (char **)arguments);
        dprintf(error_fd, "Cannot run %s: %s\n", arguments[0], strerror(errno));
        _exit(127);
}

static void stop_program(pid_t pid)
{
        if (pid <= 0)
                return;
        kill(pid, SIGTERM);
        waitpid(pid, NULL, 0);
}

static void service_stop(struct service *s)
{
        stop_program(s->daemon_pid);
        sd_bus_flush_close_unref(s->bus);
        stop_program(s->bus_pid);
        nftw(s->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static int write_config(const struct service *s, const char *path)
{
        _cleanup_(fclosep) FILE *f = fopen(path, "we");

        if (!f)
                return -errno;
        fprintf(f, bus_config, s->directory);
        return fflush(f) != 0 ? -errno : 0;
}

static int on_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        struct service *s = userdata;
        const char *path, *how;
        uint32_t id;

        if (sd_bus_message_read(m, "uos", &id, &path, &how) < 0)
                return 0;
        s->removed_sec = bench_now_sec();
        snprintf(s->removed, sizeof(s->removed), "%s", path);
        snprintf(s->how, sizeof(s->how), "%s", how);
        return 0;
}

static int connect_bus(struct service *s)
{
        int r;

        r = sd_bus_new(&s->bus);
        if (r >= 0)
                r = sd_bus_set_address(s->bus, s->address);
        if (r >= 0)
                r = sd_bus_set_bus_client(s->bus, true);
        return r >= 0 ? sd_bus_start(s->bus) : r;
}

/* Until @try() succeeds on something that has just been started. */
static int retry(int (*try)(struct service *s), struct service *s, pid_t pid)
{
        int r = -ETIMEDOUT;

        for (unsigned i = 0; i < START_MSEC / 10; i++) {
                siginfo_t ended = {};

                r = try(s);
                if (r >= 0 || waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT) < 0 ||
                    ended.si_pid != 0)
                        break;
                nanosleep(&(struct timespec){ .tv_nsec = 10 * 1000 * 1000 }, NULL);
        }
        return r;
}

static int try_bus(struct service *s)
{
        int r;

        s->bus = sd_bus_unref(s->bus);
        r = access(s->address + strlen("unix:path="), F_OK) < 0 ? -errno : connect_bus(s);
        return r < 0 ? r : sd_bus_get_unique_name(s->bus, &(const char *){ NULL });
}

static int try_daemon(struct service *s)
{
        return sd_bus_get_name_creds(s->bus, MERGEMEM_BUS_NAME, 0, NULL);
}

static int service_start(struct service *s)
{
        char config[64], bus_option[80], config_option[80];
        int r;

        *s = (struct service){ .directory = "/tmp/mergemem-bench-XXXXXX" };
        if (!mkdtemp(s->directory))
                return -errno;
        snprintf(s->address, sizeof(s->address), "unix:path=%s/bus", s->directory);
        snprintf(config, sizeof(config), "%s/bus.conf", s->directory);
        snprintf(config_option, sizeof(config_option), "--config-file=%s", config);
        snprintf(bus_option, sizeof(bus_option), "--bus=%s", s->address);
        r = write_config(s, config);
        if (r < 0)
                return r;

        /* In a container it complains of limits that it cannot raise. */
        s->bus_pid = start_program(s, (const char *const[]){
                                           "dbus-daemon", "--nofork", config_option, NULL }, true);
        if (s->bus_pid < 0)
                return s->bus_pid;
        r = retry(try_bus, s, s->bus_pid);
        if (r < 0)
                return r;

        /* Nothing is merged, so the machine's KSM is not touched. */
        s->daemon_pid = start_program(s, (const char *const[]){
                                              BENCH_DAEMON, bus_option, "--mechanism=observe",
                                              "--config=/dev/null", "--log-level=warning", NULL }, false);
        if (s->daemon_pid < 0)
                return s->daemon_pid;
        r = retry(try_daemon, s, s->daemon_pid);
        if (r >= 0)
                r = sd_bus_match_signal(s->bus, NULL, NULL, MERGEMEM_PATH, MERGEMEM_MANAGER_INTERFACE,
                                        "JobRemoved", on_removed, s);
        return r;
}

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
        _cleanup_(fclosep) FILE *f = NULL;
        char path[64];
        int worker, r;

        snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)s->daemon_pid, (int)s->daemon_pid);
        f = fopen(path, "re");
        if (!f)
                return -errno;
        if (fscanf(f, "%d", &worker) != 1)
                return -ENODATA;
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
        struct bench_options options;
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
        r = service_start(&service);
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
