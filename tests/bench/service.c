/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "service.h"
#include "shared/macro.h"
#include "shared/names.h"

#define START_MSEC 10000U

static const char bus_config[] =
        "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"\n"
        " \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
        "<busconfig><type>session</type><listen>unix:path=%s/bus</listen><auth>EXTERNAL</auth>\n"
        "<policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>\n"
        "<allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>\n";

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

void service_stop(struct service *s)
{
        stop_program(s->daemon_pid);
        sd_bus_flush_close_unref(s->bus);
        stop_program(s->bus_pid);
        nftw(s->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static int write_file(const char *path, const char *text)
{
        _cleanup_(fclosep) FILE *f = fopen(path, "we");

        if (!f)
                return -errno;
        fputs(text, f);
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

int service_start(struct service *s, const char *mechanism, const char *config)
{
        char bus_conf[64], conf[64], bus_option[80], bus_conf_option[80], conf_option[80],
                mechanism_option[64], text[1024];
        int r;

        *s = (struct service){ .directory = "/tmp/mergemem-bench-XXXXXX" };
        if (!mkdtemp(s->directory))
                return -errno;
        snprintf(s->address, sizeof(s->address), "unix:path=%s/bus", s->directory);
        snprintf(bus_conf, sizeof(bus_conf), "%s/bus.conf", s->directory);
        snprintf(conf, sizeof(conf), "%s/mergememd.conf", s->directory);
        snprintf(bus_conf_option, sizeof(bus_conf_option), "--config-file=%s", bus_conf);
        snprintf(bus_option, sizeof(bus_option), "--bus=%s", s->address);
        snprintf(conf_option, sizeof(conf_option), "--config=%s", conf);
        snprintf(mechanism_option, sizeof(mechanism_option), "--mechanism=%s", mechanism);
        snprintf(text, sizeof(text), bus_config, s->directory);
        r = write_file(bus_conf, text);
        if (r >= 0)
                r = write_file(conf, config);
        if (r < 0)
                return r;

        /* In a container it complains of limits that it cannot raise. */
        s->bus_pid = start_program(s, (const char *const[]){
                                           "dbus-daemon", "--nofork", bus_conf_option, NULL }, true);
        if (s->bus_pid < 0)
                return s->bus_pid;
        r = retry(try_bus, s, s->bus_pid);
        if (r < 0)
                return r;

        s->daemon_pid = start_program(s, (const char *const[]){
                                              BENCH_DAEMON, bus_option, mechanism_option, conf_option,
                                              "--log-level=warning", NULL }, false);
        if (s->daemon_pid < 0)
                return s->daemon_pid;
        r = retry(try_daemon, s, s->daemon_pid);
        if (r >= 0)
                r = sd_bus_match_signal(s->bus, NULL, NULL, MERGEMEM_PATH, MERGEMEM_MANAGER_INTERFACE,
                                        "JobRemoved", on_removed, s);
        return r;
}

int service_worker(const struct service *s, pid_t *ret)
{
        _cleanup_(fclosep) FILE *f = NULL;
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)s->daemon_pid, (int)s->daemon_pid);
        f = fopen(path, "re");
        if (!f)
                return -errno;
        return fscanf(f, "%d", ret) == 1 ? 0 : -ENODATA;
}
