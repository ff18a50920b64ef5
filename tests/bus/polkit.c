/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "polkit.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "shared/macro.h"

static const char rules[] =
        "polkit.addRule(function(action, subject) {\n"
        "        if (action.id.indexOf('org.mergemem1.') != 0)\n"
        "                return polkit.Result.NOT_HANDLED;\n"
        "        if (subject.user == 'sys')\n"
        "                return polkit.Result.YES;\n"
        "        if (subject.user == 'daemon')\n"
        "                return polkit.Result.NO;\n"
        "        if (subject.user == 'nobody' && action.id == 'org.mergemem1.merge-own')\n"
        "                return polkit.Result.YES;\n"
        "        return polkit.Result.NOT_HANDLED;\n"
        "});\n"
        "polkit.addAdminRule(function(action, subject) { return ['unix-user:bin']; });\n";

/* A directory with one file covers @place, in the test's mount namespace. */
static void cover(struct harness *h, const char *place, const char *name, const char *text)
{
        char *dir = g_build_filename(h->dir, name, NULL), *file = g_build_filename(dir, name, NULL);

        if (g_mkdir(dir, 0755) == 0 && text)
                g_assert_true(g_file_set_contents(file, text, -1, NULL));
        g_assert_cmpint(chmod(dir, 0755), ==, 0);
        if (mount(dir, place, NULL, MS_BIND, NULL) < 0)
                g_error("%s: %m", place);
        g_free(file);
        g_free(dir);
}

static bool has_name(struct harness *h)
{
        sd_bus_message *reply = NULL;
        int owned = 0;

        g_assert_cmpint(sd_bus_call_method(h->bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                           "org.freedesktop.DBus", "NameHasOwner", NULL, &reply, "s",
                                           "org.freedesktop.PolicyKit1"), >=, 0);
        g_assert_cmpint(sd_bus_message_read(reply, "b", &owned), >, 0);
        sd_bus_message_unref(reply);
        return owned;
}

void polkit_start(struct polkit *p, struct harness *h)
{
        char *address = g_strconcat("DBUS_SYSTEM_BUS_ADDRESS=", h->address, NULL), *policy;
        int status;

        g_assert_true(g_file_get_contents(TEST_DBUS_DIR "/org.mergemem1.policy", &policy, NULL, NULL));
        cover(h, "/usr/share/polkit-1/actions", "mergemem.policy", policy);
        cover(h, "/usr/share/polkit-1/rules.d", "none", NULL);
        cover(h, "/etc/polkit-1/rules.d", "test.rules", rules);
        g_free(policy);

        p->pid = spawn(&(struct spawn){
                .argv = (const char *[]){ "/usr/lib/polkit-1/polkitd", "--no-debug", NULL },
                .environment = (const char *[]){ address, NULL },
        });
        g_free(address);
        for (uint64_t end = now_usec() + 20000000; !has_name(h); sleep_msec(5))
                if (now_usec() > end || spawn_wait_maybe(p->pid, 0, &status))
                        g_error("polkitd did not come up");
}

void polkit_stop(struct polkit *p)
{
        spawn_kill(TAKE_GENERIC(p->pid, 0));
        g_assert_cmpint(umount("/etc/polkit-1/rules.d"), ==, 0);
        g_assert_cmpint(umount("/usr/share/polkit-1/rules.d"), ==, 0);
        g_assert_cmpint(umount("/usr/share/polkit-1/actions"), ==, 0);
}

void polkit_freeze(struct polkit *p)
{
        int status;

        g_assert_cmpint(kill(p->pid, SIGSTOP), ==, 0);
        g_assert_cmpint(waitpid(p->pid, &status, WUNTRACED), ==, p->pid);
        g_assert_true(WIFSTOPPED(status));
}

void polkit_thaw(struct polkit *p)
{
        g_assert_cmpint(kill(p->pid, SIGCONT), ==, 0);
}
