/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "shared/names.h"
#include "start.h"

/* Secrets from the service on a private bus, from a peer that has its name and answers well or badly,
 * and what is done where nobody has it or it does not answer. */

#define BUS_ADDRESS "unix:path=/run/bus" /* where start_init() has mergemem-run look */

/* What the peer answers, by the name of the group. */
static int on_secret(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        sd_bus_message *reply = NULL;
        const char *group;
        uint8_t secret[40];
        size_t size = 32;
        int r;

        if (!sd_bus_message_is_method_call(m, MERGEMEM_MANAGER_INTERFACE, "LayoutSecret"))
                return 0;
        r = sd_bus_message_read(m, "s", &group);
        if (r < 0)
                return r;
        if (g_str_equal(group, "silent"))
                return 1;
        if (g_str_equal(group, "no-unit") || g_str_equal(group, ""))
                return sd_bus_error_set(error, MERGEMEM_ERROR_NO_SUCH_UNIT, "This process is in no unit.");
        if (g_str_equal(group, "forbidden"))
                return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "Not for you.\nNot at all.");
        if (g_str_equal(group, "limits"))
                return sd_bus_error_set(error, MERGEMEM_ERROR_LIMITS, "Too many ask.");
        if (g_str_equal(group, "old"))
                return sd_bus_error_set(error, SD_BUS_ERROR_UNKNOWN_METHOD, "What is that?");
        if (g_str_equal(group, "gone"))
                return sd_bus_error_set(error, SD_BUS_ERROR_NO_REPLY, "It went away.");
        if (g_str_equal(group, "strange"))
                return sd_bus_reply_method_return(m, "s", "no secret");
        if (g_str_equal(group, "short"))
                size = 31;
        if (g_str_equal(group, "long"))
                size = 33;
        memset(secret, (int) strlen(group), sizeof(secret));
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "s", g_str_equal(group, "renamed") ? "no/name" : group);
        if (r >= 0)
                r = sd_bus_message_append_array(reply, 'y', secret, size);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

static pid_t bus_start(void)
{
        static const char config[] =
                "<busconfig><listen>" BUS_ADDRESS "</listen><auth>EXTERNAL</auth>\n"
                "<policy context='default'><allow user='*'/><allow own='*'/>\n"
                "<allow send_destination='*'/><allow receive_sender='*'/></policy></busconfig>\n";
        pid_t pid;

        g_assert_true(g_file_set_contents("/run/bus.conf", config, -1, NULL));
        pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                execlp("dbus-daemon", "dbus-daemon", "--nofork", "--nosyslog", "--config-file=/run/bus.conf",
                       NULL);
                _exit(88);
        }
        for (uint64_t end = now_usec() + 10000000; access("/run/bus", F_OK) < 0; g_usleep(1000))
                g_assert_cmpuint(now_usec(), <, end);
        return pid;
}

static void stop(pid_t pid)
{
        kill(pid, SIGKILL);
        g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
}

static pid_t peer_start(void)
{
        int ready[2];
        char c;
        pid_t pid;

        g_assert_cmpint(pipe(ready), ==, 0);
        pid = fork();
        if (pid == 0) {
                sd_bus *bus = NULL;

                prctl(PR_SET_PDEATHSIG, SIGKILL);
                /* Without a table of methods, which would not let it answer whatever it likes. */
                if (sd_bus_open_system(&bus) < 0 ||
                    sd_bus_add_object(bus, NULL, MERGEMEM_PATH, on_secret, NULL) < 0 ||
                    sd_bus_request_name(bus, MERGEMEM_BUS_NAME, 0) < 0 || write(ready[1], "", 1) != 1)
                        _exit(88);
                for (;;)
                        if (sd_bus_process(bus, NULL) == 0)
                                (void) sd_bus_wait(bus, UINT64_MAX);
        }
        close(ready[1]);
        g_assert_cmpint(read(ready[0], &c, 1), ==, 1);
        close(ready[0]);
        return pid;
}

static Outcome ask(uid_t uid, const char *group, const char *option)
{
        g_autofree char *name = g_strdup_printf("--group=%s", group);
        const struct start s = { .options = group ? WORDS(name, option) : WORDS(option),
                                 .argv = WORDS(PROBE, "report"), .uid = uid };

        return start_run(&s);
}

static void assert_source(uid_t uid, const char *group, const char *name, const char *where)
{
        g_auto(Outcome) o = ask(uid, group, "--verbose");
        g_autofree char *layout = g_strdup_printf("\nLayout:  of the group %s, one of 2^28\n", name);
        g_autofree char *secret = g_strdup_printf("\nSecret:  kept by %s\n", where);

        assert_exited(&o, 0);
        if (!strstr(o.err, layout) || !strstr(o.err, secret))
                g_error("no '%s%s' in '%s'", layout, secret, o.err);
}

static uint64_t libraries(uid_t uid, const char *group)
{
        g_auto(Outcome) o = ask(uid, group, "--ksm");

        assert_exited(&o, 0);
        return report_number(o.out, "Libraries");
}

static void test_answers(void)
{
        pid_t bus = bus_start(), peer = peer_start();

        assert_source(0, "web.service", "web.service", "mergememd");
        assert_source(UID_NOBODY, "web.service", "web.service", "mergememd");
        /* Who is in no unit has a group of that user. */
        assert_source(0, NULL, "default", "mergememd");
        g_assert_cmpuint(libraries(0, "aaaa"), ==, libraries(UID_NOBODY, "bbbb"));
        g_assert_cmpuint(libraries(0, "aaaa"), !=, libraries(0, "aaaaa"));
        stop(peer);
        stop(bus);
        g_assert_cmpint(unlink("/run/bus"), ==, 0);
}

static void test_refusals(void)
{
        static const struct {
                const char *group, *why;
        } cases[] = {
                { "forbidden", "Not for you" },
                { "limits", "Too many ask" },
                { "no-unit", "in no unit" },
                { "strange", "cannot be read" },
                { "short", "cannot be read" },
                { "long", "cannot be read" },
                { "renamed", "cannot be read" },
        };
        pid_t bus = bus_start(), peer = peer_start();

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_auto(Outcome) strict = ask(0, cases[i].group, "--ksm");
                g_auto(Outcome) lenient = ask(0, cases[i].group, "--fallback");

                assert_refused(&strict, cases[i].why);
                assert_exited(&lenient, 0);
                g_assert_nonnull(strstr(lenient.err, cases[i].why));
        }
        stop(peer);
        stop(bus);
        g_assert_cmpint(unlink("/run/bus"), ==, 0);
}

/* Nobody there to ask, in every way there is: then it is files. */
static void test_absent(void)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/run/bus" };
        pid_t bus, peer;
        int fd;

        /* No bus at all. */
        assert_source(0, "g", "g", "/run/mergemem/groups");
        assert_source(UID_NOBODY, "g", "g", "/run/nobody/mergemem/groups");
        /* One that has gone. */
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        g_assert_cmpint(bind(fd, (struct sockaddr *) &address, sizeof(address)), ==, 0);
        assert_source(0, "g", "g", "/run/mergemem/groups");
        close(fd);
        g_assert_cmpint(unlink("/run/bus"), ==, 0);

        bus = bus_start();
        assert_source(0, "g", "g", "/run/mergemem/groups");
        assert_source(0, NULL, "default", "/run/mergemem/groups");
        peer = peer_start();
        assert_source(0, "old", "old", "/run/mergemem/groups");
        assert_source(0, "gone", "gone", "/run/mergemem/groups");
        stop(peer);
        stop(bus);
        g_assert_cmpint(unlink("/run/bus"), ==, 0);
}

static void assert_in_time(const char *group)
{
        uint64_t begin = now_usec();

        assert_source(0, group, group, "/run/mergemem/groups");
        g_assert_cmpuint(now_usec() - begin, >=, 1900000);
        g_assert_cmpuint(now_usec() - begin, <, 5000000);
}

/* A service, or a bus, that says nothing holds nobody up for long. */
static void test_silent(void)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/run/bus" };
        pid_t bus = bus_start(), peer = peer_start();
        int fd;

        assert_in_time("silent");
        kill(peer, SIGSTOP);
        assert_in_time("stopped");
        kill(bus, SIGSTOP);
        assert_in_time("stopped-too");
        stop(peer);
        stop(bus);
        g_assert_cmpint(unlink("/run/bus"), ==, 0);

        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        g_assert_cmpint(bind(fd, (struct sockaddr *) &address, sizeof(address)), ==, 0);
        g_assert_cmpint(chmod("/run/bus", 0777), ==, 0);
        g_assert_cmpint(listen(fd, 8), ==, 0);
        assert_in_time("no-bus");
        close(fd);
        g_assert_cmpint(unlink("/run/bus"), ==, 0);
}

static char *node_seed(const char *group)
{
        g_autofree char *name = g_strdup_printf("--group=%s", group);
        const struct start s = { .options = WORDS(name, "--stable-hash"),
                                 .argv = WORDS("/usr/bin/node", "-p", "process.execArgv[0]") };
        g_auto(Outcome) o = start_run(&s);

        assert_exited(&o, 0);
        g_assert_true(g_str_has_prefix(o.out, "--random-seed="));
        return g_steal_pointer(&o.out);
}

static pid_t service_start(void)
{
        pid_t pid;

        g_assert_cmpint(mkdir("/run/service", 0700), ==, 0);
        g_assert_true(g_file_set_contents("/run/service.conf", "[Daemon]\nAutomatic=no\n", -1, NULL));
        pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                g_setenv("RUNTIME_DIRECTORY", "/run/service", TRUE);
                g_setenv("STATE_DIRECTORY", "/run/service", TRUE);
                execl(TEST_DAEMON, "mergememd", "--mechanism=observe", "--bus=" BUS_ADDRESS,
                      "--config=/run/service.conf", "--log-level=warning", NULL);
                _exit(88);
        }
        for (uint64_t end = now_usec() + 30000000;; g_usleep(10000)) {
                g_auto(Outcome) o = start_run(&(const struct start){
                        .argv = WORDS(TEST_CTL, "--bus=" BUS_ADDRESS, "stats") });

                if (o.status == 0)
                        return pid;
                g_assert_cmpuint(now_usec(), <, end);
        }
}

/* The real one. */
static void test_service(void)
{
        pid_t bus = bus_start(), service = service_start();
        const struct start s = { .options = WORDS("--group=real"), .argv = WORDS(PROBE, "hold") };
        g_autofree char *seed = NULL, *again = NULL, *rotated = NULL;
        uint64_t a;
        int in, out, status;
        pid_t pid;
        char c;

        assert_source(0, "real", "real", "mergememd");
        assert_source(UID_NOBODY, "real", "real", "mergememd");
        assert_source(0, NULL, "default", "mergememd"); /* in no unit */
        a = libraries(0, "real");
        seed = node_seed("real");
        g_assert_cmpuint(libraries(0, "real"), ==, a);
        again = node_seed("real");
        g_assert_cmpstr(again, ==, seed);
        g_assert_cmpuint(libraries(0, "other"), !=, a);
        g_assert_cmpuint(libraries(UID_NOBODY, "real"), !=, a);

        /* It knows who has it. */
        pid = start_spawn(&s, &in, &out);
        g_assert_cmpint(read(out, &c, 1), ==, 1);
        {
                g_auto(Outcome) o = start_run(&(const struct start){
                        .argv = WORDS(TEST_CTL, "--bus=" BUS_ADDRESS, "layouts", "--json=short") });

                assert_exited(&o, 0);
                if (!strstr(o.out, "\"name\":\"real\"") || !strstr(o.out, "\"started\":6,\"processes\":1"))
                        g_error("nobody runs: %s", o.out);
        }
        close(in);
        close(out);
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);

        {
                g_auto(Outcome) o = start_run(&(const struct start){
                        .argv = WORDS(TEST_CTL, "--bus=" BUS_ADDRESS, "layouts", "rotate", "real",
                                      "--user=0") });

                assert_exited(&o, 0);
        }
        g_assert_cmpuint(libraries(0, "real"), !=, a);
        rotated = node_seed("real");
        g_assert_cmpstr(rotated, !=, seed);

        kill(service, SIGTERM);
        g_assert_cmpint(waitpid(service, &status, 0), ==, service);
        g_assert_cmpint(status, ==, 0);
        stop(bus);
        g_assert_cmpint(unlink("/run/bus"), ==, 0);
}

int main(int argc, char *argv[])
{
        start_init(&argc, &argv);
        g_test_add_func("/service/service", test_service);
        g_test_add_func("/service/answers", test_answers);
        g_test_add_func("/service/refusals", test_refusals);
        g_test_add_func("/service/absent", test_absent);
        g_test_add_func("/service/silent", test_silent);
        return start_end(g_test_run());
}
