/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <grp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "layout-caller.h"
#include "shared/macro.h"
#include "shared/names.h"

void layout_ask(sd_bus *bus, const char *group, struct answer *a)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        const void *secret;
        const char *name;
        size_t size;

        *a = (struct answer){ 0 };
        if (sd_bus_call_method(bus, MERGEMEM_BUS_NAME, MERGEMEM_PATH, MERGEMEM_MANAGER_INTERFACE,
                               "LayoutSecret", &error, &reply, "s", group) < 0) {
                g_strlcpy(a->error, error.name, sizeof(a->error));
                g_strlcpy(a->message, error.message, sizeof(a->message));
                sd_bus_error_free(&error);
                return;
        }
        g_assert_cmpint(sd_bus_message_read(reply, "s", &name), >, 0);
        g_assert_cmpint(sd_bus_message_read_array(reply, 'y', &secret, &size), >, 0);
        g_assert_cmpuint(size, ==, sizeof(a->secret));
        memcpy(a->secret, secret, size);
        g_strlcpy(a->name, name, sizeof(a->name));
        sd_bus_message_unref(reply);
}

void layout_join(const struct layout_harness *l, const char *cgroup)
{
        char *path = g_build_filename(l->cgroups, cgroup, "cgroup.procs", NULL);
        int fd = open(path, O_WRONLY | O_CLOEXEC);

        if (fd < 0 || write(fd, "0", 1) != 1)
                g_error("%s: %m", path);
        safe_close(fd);
        g_free(path);
}

void layout_become(uid_t uid)
{
        g_assert_cmpint(setgroups(0, NULL), ==, 0);
        g_assert_cmpint(setresgid(uid, uid, uid), ==, 0);
        g_assert_cmpint(setresuid(uid, uid, uid), ==, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
}

void layout_caller_start(struct layout_harness *l, struct caller *c, uid_t uid, const char *cgroup,
                         const char *group)
{
        int answer[2];

        g_assert_cmpint(pipe2(answer, O_CLOEXEC), ==, 0);
        c->pid = fork();
        g_assert_cmpint(c->pid, >=, 0);
        if (c->pid == 0) {
                struct answer a;

                layout_join(l, cgroup);
                layout_become(uid);
                layout_ask(harness_connect(&l->h), group, &a);
                g_assert_cmpint(write(answer[1], &a, sizeof(a)), ==, sizeof(a));
                for (;;)
                        pause();
        }
        safe_close(answer[1]);
        g_assert_cmpint(read(answer[0], &c->answer, sizeof(c->answer)), ==, sizeof(c->answer));
        safe_close(answer[0]);
}

void layout_caller_end(struct caller *c)
{
        spawn_kill(c->pid);
}

struct answer layout_asked(struct layout_harness *l, uid_t uid, const char *cgroup, const char *group)
{
        struct caller c;

        layout_caller_start(l, &c, uid, cgroup, group);
        layout_caller_end(&c);
        return c.answer;
}

void layout_expect(const struct answer *a, const char *name)
{
        static const uint8_t none[LAYOUT_SECRET_BYTES];

        g_assert_cmpstr(a->error, ==, "");
        g_assert_cmpstr(a->name, ==, name);
        g_assert_true(memcmp(a->secret, none, sizeof(none)) != 0);
}

bool layout_same(const struct answer *a, const struct answer *b)
{
        return memcmp(a->secret, b->secret, sizeof(a->secret)) == 0;
}

/* What a test before this one has left that did not come to its end. */
static void remove_stale_cgroups(const struct layout_harness *l)
{
        GDir *d = g_dir_open(l->cgroups, 0, NULL);
        const char *name;

        while ((name = g_dir_read_name(d)))
                if (g_str_has_prefix(name, "mergemem-test-")) {
                        char *path = g_build_filename(l->cgroups, name, NULL);

                        g_rmdir(path);
                        g_free(path);
                }
        g_dir_close(d);
}

static void make_cgroups(struct layout_harness *l)
{
        const char *id = strrchr(l->h.dir, '-') + 1;

        l->cgroups = g_build_filename(l->h.dir, "cgroup", NULL);
        g_assert_cmpint(g_mkdir(l->cgroups, 0755), ==, 0);
        if (mount("cgroup2", l->cgroups, "cgroup2", 0, NULL) < 0)
                g_error("cgroup2: %m");
        remove_stale_cgroups(l);
        l->unit = g_strdup_printf("mergemem-test-%s.service", id);
        l->other_unit = g_strdup_printf("mergemem-test-%s@other.service", id);
        l->no_unit = g_strdup_printf("mergemem-test-%s", id);
        for (size_t i = 0; i < 3; i++) {
                const char *name = (const char *[]){ l->unit, l->other_unit, l->no_unit }[i];
                char *path = g_build_filename(l->cgroups, name, NULL);

                if (mkdir(path, 0755) < 0)
                        g_error("%s: %m", path);
                g_free(path);
        }
}

static void remove_cgroups(struct layout_harness *l)
{
        for (size_t i = 0; i < 3; i++) {
                char *name = ((char *[]){ l->unit, l->other_unit, l->no_unit })[i];
                char *path = g_build_filename(l->cgroups, name, NULL);

                /* Whoever was in it may still be on his way out. */
                for (uint64_t end = now_usec() + 10000000; rmdir(path) < 0; sleep_msec(10))
                        if (errno != EBUSY || now_usec() > end)
                                g_error("%s: %m", path);
                g_free(path);
                g_free(name);
        }
        g_assert_cmpint(umount(l->cgroups), ==, 0);
        g_free(l->cgroups);
}

void layout_harness_start(struct layout_harness *l)
{
        harness_start(&l->h);
        make_cgroups(l);
        polkit_start(&l->polkit, &l->h);
        harness_daemon_start(&l->h, "observe", NULL);
}

int layout_harness_end(struct layout_harness *l, int status)
{
        polkit_stop(&l->polkit);
        remove_cgroups(l);
        return harness_end(&l->h, status);
}
