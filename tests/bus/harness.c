/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "isolate.h"
#include "shared/macro.h"
#include "shared/names.h"

#define KSM_DIR "/sys/kernel/mm/ksm/"

/* The bus keeps nobody away: whoever is refused, the service refuses. */
static const char bus_config[] =
        "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"\n"
        " \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
        "<busconfig><listen>unix:path=%s/bus</listen><auth>EXTERNAL</auth>\n"
        "<policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/>"
        "<allow send_destination=\"*\" eavesdrop=\"true\"/><allow eavesdrop=\"true\"/>"
        "</policy></busconfig>\n";

static const char *const knobs[] = {
        "run", "pages_to_scan", "sleep_millisecs", "smart_scan", "use_zero_pages", "advisor_mode",
        "advisor_max_cpu", "advisor_target_scan_time", "max_page_sharing", "merge_across_nodes",
};

char *harness_ksm_knobs(void)
{
        GString *all = g_string_new(NULL);

        for (size_t i = 0; i < ELEMENTSOF(knobs); i++) {
                char *path = g_strconcat(KSM_DIR, knobs[i], NULL), *value;

                /* Not every kernel has every knob. */
                if (g_file_get_contents(path, &value, NULL, NULL)) {
                        g_string_append_printf(all, "%s %s", knobs[i], value);
                        g_free(value);
                }
                g_free(path);
        }
        return g_string_free(all, FALSE);
}

static char *copy_into(const struct harness *h, const char *from, const char *name)
{
        char *to = g_build_filename(h->dir, name, NULL), *data;
        size_t size;

        g_assert_true(g_file_get_contents(from, &data, &size, NULL));
        g_assert_true(g_file_set_contents(to, data, (gssize)size, NULL));
        g_assert_cmpint(chmod(to, 0755), ==, 0);
        g_free(data);
        return to;
}

sd_bus *harness_connect(struct harness *h)
{
        sd_bus *bus = NULL;

        g_assert_cmpint(sd_bus_new(&bus), >=, 0);
        g_assert_cmpint(sd_bus_set_address(bus, h->address), >=, 0);
        g_assert_cmpint(sd_bus_set_bus_client(bus, 1), >=, 0);
        g_assert_cmpint(sd_bus_start(bus), >=, 0);
        return bus;
}

sd_bus *harness_connect_as(struct harness *h, uid_t uid)
{
        sd_bus *bus;

        /* The bus asks the kernel who connects, and then never again. */
        g_assert_cmpint(seteuid(uid), ==, 0);
        bus = harness_connect(h);
        g_assert_cmpint(sd_bus_get_unique_name(bus, &(const char *){ NULL }), >=, 0);
        g_assert_cmpint(seteuid(0), ==, 0);
        return bus;
}

void harness_bus_start(struct harness *h)
{
        char *config = g_build_filename(h->dir, "bus.conf", NULL);
        char *text = g_strdup_printf(bus_config, h->dir);
        char *log = g_build_filename(h->dir, "bus.log", NULL);
        char *option = g_strconcat("--config-file=", config, NULL), buffer[256];
        int fds[2], log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

        g_assert_true(g_file_set_contents(config, text, -1, NULL));
        g_assert_cmpint(pipe2(fds, O_CLOEXEC), ==, 0);
        h->bus_pid = spawn(&(struct spawn){
                .argv = (const char *[]){ "/usr/bin/dbus-daemon", option, "--nofork", "--nosyslog",
                                          "--print-address", NULL },
                .out = fds[1],
                .err = log_fd,
        });
        safe_close(log_fd);
        safe_close(fds[1]);
        /* It says its address once it listens. */
        g_assert_cmpint(read(fds[0], buffer, sizeof(buffer)), >, 0);
        safe_close(fds[0]);

        g_free(option);
        g_free(log);
        g_free(text);
        g_free(config);
        h->bus = harness_connect(h);
}

void harness_bus_stop(struct harness *h)
{
        h->bus = sd_bus_close_unref(h->bus);
        spawn_kill(TAKE_GENERIC(h->bus_pid, 0));
}

void harness_rules_write(struct harness *h, const char *text)
{
        g_assert_true(g_file_set_contents(h->config, text, -1, NULL));
}

void harness_config_write(struct harness *h, const char *text)
{
        /* At the end: messages name lines. */
        char *all = g_strconcat(text, "\n[Daemon]\nAutomatic=no\n", NULL);

        harness_rules_write(h, all);
        g_free(all);
}

void harness_configure(struct harness *h, const char *text)
{
        harness_config_write(h, text);
        safe_close(open(h->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
        g_assert_cmpint(kill(h->daemon_pid, SIGHUP), ==, 0);
        for (uint64_t end = now_usec() + 10000000;; sleep_msec(10)) {
                char *log = harness_log(h);
                bool done = strstr(log, "Configuration read again.");

                if (!done && now_usec() > end)
                        g_error("not read again: %s", log);
                g_free(log);
                if (done)
                        return;
        }
}

char *harness_log(struct harness *h)
{
        char *text = NULL;

        g_assert_true(g_file_get_contents(h->log, &text, NULL, NULL));
        return text;
}

void harness_start(struct harness *h)
{
        *h = (struct harness){ .lock_fd = -EBADF };

        if (geteuid() != 0)
                g_error("the tests on the bus need root: they look at frames and drive the kernel's KSM");

        isolate();
        h->lock_fd = open(KSM_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (h->lock_fd < 0)
                g_error("%s: %m", KSM_DIR);
        g_assert_cmpint(flock(h->lock_fd, LOCK_EX), ==, 0);

        h->ksm = harness_ksm_knobs();
        h->dir = g_dir_make_tmp("mergemem-bus-XXXXXX", NULL);
        g_assert_nonnull(h->dir);
        g_assert_cmpint(chmod(h->dir, 0755), ==, 0);
        h->address = g_strdup_printf("unix:path=%s/bus", h->dir);
        h->config = g_build_filename(h->dir, "mergememd.conf", NULL);
        h->log = g_build_filename(h->dir, "mergememd.log", NULL);
        h->target = copy_into(h, TEST_TARGET, "mm-target");
        h->library = copy_into(h, TEST_LIBRARY, "libtarget.so");
        h->ctl = copy_into(h, TEST_CTL, "mergememctl");
        harness_config_write(h, "[Daemon]\nLogLevel=debug\n");
        harness_bus_start(h);
}

static void remove_tree(const char *dir)
{
        GDir *d = g_dir_open(dir, 0, NULL);
        const char *name;

        while (d && (name = g_dir_read_name(d))) {
                char *path = g_build_filename(dir, name, NULL);

                if (g_file_test(path, G_FILE_TEST_IS_DIR) && !g_file_test(path, G_FILE_TEST_IS_SYMLINK))
                        remove_tree(path);
                else
                        g_unlink(path);
                g_free(path);
        }
        if (d)
                g_dir_close(d);
        g_rmdir(dir);
}

int harness_end(struct harness *h, int status)
{
        char *ksm;

        if (h->daemon_pid > 0)
                g_assert_cmpint(harness_daemon_stop(h), ==, 0);
        harness_bus_stop(h);

        ksm = harness_ksm_knobs();
        g_assert_cmpstr(ksm, ==, h->ksm);
        g_free(ksm);

        if (status != 0) {
                char *said = harness_log(h);

                g_printerr("The daemon said:\n%s", said);
                g_free(said);
        }
        remove_tree(h->dir);
        safe_close(h->lock_fd);
        g_free(h->dir);
        g_free(h->address);
        g_free(h->target);
        g_free(h->ctl);
        g_free(h->library);
        g_free(h->config);
        g_free(h->log);
        g_free(h->ksm);
        return status;
}

pid_t harness_daemon_spawn(struct harness *h, const char *mechanism, const char *extra,
                           const char *const *environment)
{
        char *runtime = g_strconcat("RUNTIME_DIRECTORY=", h->dir, "/run", NULL);
        char *state = g_strconcat("STATE_DIRECTORY=", h->dir, "/state", NULL);
        char *bus = g_strconcat("--bus=", h->address, NULL);
        char *config = g_strconcat("--config=", h->config, NULL);
        char *chosen = g_strconcat("--mechanism=", mechanism ? mechanism : "ksm", NULL);
        char *run = g_build_filename(h->dir, "run", NULL);
        GPtrArray *all = g_ptr_array_new();
        int log = open(h->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        pid_t pid;

        g_assert_cmpint(log, >=, 0);
        g_mkdir(run, 0755);
        g_ptr_array_add(all, runtime);
        g_ptr_array_add(all, state);
        for (size_t i = 0; environment && environment[i]; i++)
                g_ptr_array_add(all, (char *)environment[i]);
        g_ptr_array_add(all, NULL);

        /* SIGTERM when the test dies: it then still stops ksmd. */
        pid = spawn(&(struct spawn){
                .argv = (const char *[]){ TEST_DAEMON, bus, config, chosen, extra, NULL },
                .environment = (const char *const *)all->pdata,
                .err = log,
                .death_signal = SIGTERM,
        });

        safe_close(log);
        g_ptr_array_free(all, TRUE);
        g_free(run);
        g_free(chosen);
        g_free(config);
        g_free(bus);
        g_free(runtime);
        g_free(state);
        return pid;
}

void harness_daemon_wait_name(struct harness *h)
{
        for (uint64_t end = now_usec() + 15000000;;) {
                sd_bus_message *reply = NULL;
                int owned = 0, status;

                g_assert_cmpint(sd_bus_call_method(h->bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                                   "org.freedesktop.DBus", "NameHasOwner", NULL, &reply, "s",
                                                   MERGEMEM_BUS_NAME), >=, 0);
                g_assert_cmpint(sd_bus_message_read(reply, "b", &owned), >, 0);
                sd_bus_message_unref(reply);
                if (owned)
                        return;
                if (now_usec() > end || spawn_wait_maybe(h->daemon_pid, 0, &status)) {
                        char *said = harness_log(h);

                        g_error("mergememd did not come up: %s", said);
                }
                sleep_msec(5);
        }
}

void harness_daemon_start(struct harness *h, const char *mechanism, const char *const *environment)
{
        g_assert_cmpint(h->daemon_pid, ==, 0);
        h->daemon_pid = harness_daemon_spawn(h, mechanism, NULL, environment);
        harness_daemon_wait_name(h);
}

int harness_daemon_stop(struct harness *h)
{
        pid_t pid = TAKE_GENERIC(h->daemon_pid, 0);

        g_assert_cmpint(kill(pid, SIGTERM), ==, 0);
        return spawn_wait(pid, 15000);
}

/* Told by the runtime directory in their environment: other daemons of this machine are none of ours. */
static bool is_ours(const struct harness *h, const char *name)
{
        char *path = g_strdup_printf("/proc/%s/exe", name), *exe = g_file_read_link(path, NULL);
        char *environment = NULL;
        size_t size = 0;
        bool ours = false;

        /* The environment lies in a process's memory, which may hang: not looked at for other programs. */
        if (g_strcmp0(exe, TEST_DAEMON) == 0) {
                g_free(path);
                path = g_strdup_printf("/proc/%s/environ", name);
                if (g_file_get_contents(path, &environment, &size, NULL))
                        ours = memmem(environment, size, h->dir, strlen(h->dir));
        }
        g_free(environment);
        g_free(exe);
        g_free(path);
        return ours;
}

size_t harness_daemon_processes(struct harness *h, pid_t *ret, size_t n)
{
        GDir *proc = g_dir_open("/proc", 0, NULL);
        const char *name;
        size_t found = 0;

        while (found < n && (name = g_dir_read_name(proc)))
                if (g_ascii_isdigit(name[0]) && is_ours(h, name))
                        ret[found++] = (pid_t)g_ascii_strtoll(name, NULL, 10);
        g_dir_close(proc);
        return found;
}

unsigned harness_daemon_fds(struct harness *h)
{
        char *path = g_strdup_printf("/proc/%d/fd", h->daemon_pid);
        GDir *dir = g_dir_open(path, 0, NULL);
        unsigned n = 0;

        g_assert_nonnull(dir);
        while (g_dir_read_name(dir))
                n++;
        g_dir_close(dir);
        g_free(path);
        return n;
}
