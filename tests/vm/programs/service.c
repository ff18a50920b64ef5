// SPDX-License-Identifier: LGPL-2.1-or-later
#include "service.h"

#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"

#define ADDRESS "unix:path=/tmp/bus"
#define ATTEMPTS 600

static bool logs;

void service_write(const char *path, const char *text) {
        FILE *f = fopen(path, "we");

        check(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static pid_t start(char *const argv[]) {
        pid_t pid = fork();

        check(pid >= 0);
        if (pid == 0) {
                if (logs)
                        check(freopen(SERVICE_LOG, "a", stderr));
                execv(argv[0], argv);
                _exit(127);
        }
        return pid;
}

static bool answers(void) {
        return system("./mergememctl stats >/dev/null 2>&1") == 0;
}

void service_start_daemon(struct service *service) {
        char *const argv[] = { "./mergememd", "--bus=" ADDRESS, "--config=" SERVICE_CONF, NULL };

        service->daemon = start(argv);
        for (int i = 0; i < ATTEMPTS && !answers(); i++) {
                if (waitpid(service->daemon, NULL, WNOHANG) == service->daemon)
                        fail("mergememd ended");
                usleep(100000);
        }
        check(answers());
}

static struct service start_both(const char *conf) {
        char *const argv[] = { "./dbus-daemon", "--nofork", "--nosyslog", "--config-file=/tmp/bus.conf",
                               NULL };
        struct service service;

        unlink("/tmp/bus");
        mkdir("/tmp/run", 0700);
        service_write(SERVICE_CONF, conf);
        service_write("/tmp/bus.conf",
                   "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"\n"
                   " \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
                   "<busconfig><listen>" ADDRESS "</listen><auth>EXTERNAL</auth>\n"
                   "<policy context=\"default\"><allow send_destination=\"*\"/>\n"
                   "<allow receive_sender=\"*\"/><allow own=\"*\"/></policy></busconfig>\n");
        setenv("RUNTIME_DIRECTORY", "/tmp/run", 1);
        setenv("DBUS_SYSTEM_BUS_ADDRESS", ADDRESS, 1);
        service.bus = start(argv);
        for (int i = 0; i < ATTEMPTS && access("/tmp/bus", F_OK) < 0; i++)
                usleep(100000);
        service_start_daemon(&service);
        return service;
}

struct service service_start(void) {
        return start_both("[Daemon]\nAutomatic=no\n");
}

struct service service_start_with(const char *conf) {
        unlink(SERVICE_LOG);
        check_equal(system("rm -rf " SERVICE_CONF ".d"), 0);
        logs = true;
        return start_both(conf);
}

size_t service_said(const char *what) {
        char line[1024];
        size_t n = 0;
        FILE *f = fopen(SERVICE_LOG, "re");

        check(f);
        while (fgets(line, sizeof(line), f))
                n += strstr(line, what) != NULL;
        fclose(f);
        return n;
}

void service_end(struct service *service) {
        int status;

        kill(service->daemon, SIGTERM);
        check_equal(waitpid(service->daemon, &status, 0), service->daemon);
        check_equal(status, 0);
        kill(service->bus, SIGKILL);
        waitpid(service->bus, NULL, 0);
}

char *ctl(const char *format, ...) {
        char command[512] = "exec 2>/tmp/errors; ./mergememctl --json=short ", *output = calloc(1, 1 << 20);
        size_t n = strlen(command);
        va_list arguments;
        FILE *f;

        check(output);
        va_start(arguments, format);
        vsnprintf(command + n, sizeof(command) - n, format, arguments);
        va_end(arguments);
        f = popen(command, "re");
        check(f);
        n = fread(output, 1, (1 << 20) - 1, f);
        if (pclose(f) != 0) {
                (void)!system("cat /tmp/errors");
                fail("%s: %s", command, output);
        }
        return output;
}

long json_number(const char *json, const char *name) {
        char key[128];
        const char *p;

        snprintf(key, sizeof(key), "\"%s\":", name);
        p = strstr(json, key);
        if (!p)
                fail("there is no %s in %s", name, json);
        p += strlen(key);
        return strtol(p + (*p == '"'), NULL, 10);
}

long stats_number(const char *name) {
        char *json = ctl("stats");
        long n = json_number(json, name);

        free(json);
        return n;
}
