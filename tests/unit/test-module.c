/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "daemon/module.h"
#include "lib/device.h"
#include "shared/macro.h"

static struct utsname kernel_of(const char *release, const char *version)
{
        struct utsname u = {};

        g_strlcpy(u.release, release, sizeof(u.release));
        g_strlcpy(u.version, version, sizeof(u.version));
        return u;
}

static void test_kernel_needed(void)
{
        static const struct {
                const char *release, *version, *needed;
        } kernels[] = {
                { "6.1.0-56-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.155-1 (2025-10-01)", NULL },
                { "6.1.0-40-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.153-1 (2025-09-20)", "6.1.155" },
                { "6.1.154", "#1 SMP", "6.1.155" },
                { "6.1.155", "#1 SMP", NULL },
                { "5.10.0-30-amd64", "#1 SMP Debian 5.10.218-1 (2024-06-01)", "6.1.155" },
                { "6.6.80", "#1 SMP", "6.12.17" },
                { "6.12.16+deb13-amd64", "#1 SMP", "6.12.17" },
                { "6.12.17", "#1 SMP", NULL },
                { "6.13.4", "#1 SMP", "6.13.5" },
                { "6.13.5", "#1 SMP", NULL },
                { "6.14.0", "#1 SMP", NULL },
                { "6.18.44", "#1 SMP", NULL },
                { "7.3.0", "#1 SMP", NULL },
                /* An ABI rather than a level. */
                { "6.8.0-31-generic", "#31-Ubuntu SMP", NULL },
                { "strange", "", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(kernels); i++) {
                struct utsname u = kernel_of(kernels[i].release, kernels[i].version);

                g_test_message("%s", kernels[i].release);
                g_assert_cmpstr(module_kernel_needed(&u), ==, kernels[i].needed);
        }
}

static struct module_facts facts_of(int device_error, int load_error)
{
        return (struct module_facts) {
                .device_error = device_error,
                .load_error = load_error,
                .installed = MODULE_INSTALLED_YES,
                .kernel_has_modules = true,
                .kernel = kernel_of("6.1.0-56-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.155-1"),
        };
}

/* One sentence with all of @words, which end with NULL. */
static void check(const struct module_facts *f, const char *const words[])
{
        _cleanup_(freep) char *text = module_explain(f);

        g_test_message("%s", text);
        g_assert_nonnull(text);
        g_assert_false(g_str_has_suffix(text, "."));
        for (size_t i = 0; words[i]; i++)
                g_assert_nonnull(strstr(text, words[i]));
}

#define CHECK(f, ...) check(f, (const char *const[]) { __VA_ARGS__, NULL })

static void test_device(void)
{
        struct module_facts f = facts_of(0, 0);

        CHECK(&f, "mergemod is loaded");

        f = facts_of(-EPROTO, 0);
        f.info.version = MERGEMOD_VERSION + 1;
        CHECK(&f, "version 2", "modprobe -r mergemod", "mergemem-dkms");
        f.info.version = MERGEMOD_VERSION;
        f.info.features = MM_DEVICE_FEATURES & ~MERGEMOD_FEATURE_UNMERGE;
        CHECK(&f, "features 0x8", "mergemem-dkms");

        f = facts_of(-EPERM, 0);
        CHECK(&f, "/dev/mergemod", "CAP_SYS_ADMIN");
        f = facts_of(-EMFILE, 0);
        CHECK(&f, "/dev/mergemod", strerror(EMFILE));
        f = facts_of(-ENOENT, 0);
        CHECK(&f, "--load-module");
        f.kernel_has_modules = false;
        CHECK(&f, "CONFIG_MODULES");
        f.loaded = true;
        CHECK(&f, "container");
}

static void test_load(void)
{
        struct module_facts f = facts_of(-ENOENT, -ENOENT);

        CHECK(&f, "lacks something", "log");
        f.installed = MODULE_INSTALLED_NO;
        CHECK(&f, "mergemem-dkms", "linux-headers-6.1.0-56-amd64");
        f.kernel = kernel_of("6.1.0-40-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.153-1");
        CHECK(&f, "6.1.155", "newer kernel");
        f.installed = MODULE_INSTALLED_BLACKLISTED;
        CHECK(&f, "blacklisted", "modprobe.d(5)");
        f.modules_disabled = true;
        CHECK(&f, "kernel.modules_disabled");

        f = facts_of(-ENOENT, -ENOEXEC);
        CHECK(&f, "built for another kernel", "dkms autoinstall");
        f = facts_of(-ENOENT, -ENOMEM);
        CHECK(&f, "no memory");
        f = facts_of(-ENOENT, -EINVAL);
        CHECK(&f, strerror(EINVAL), "log");
}

static void test_signature(void)
{
        static const int errors[] = { -EKEYREJECTED, -ENOKEY, -EBADMSG, -ENOPKG };
        struct module_facts f;

        for (size_t i = 0; i < ELEMENTSOF(errors); i++) {
                f = facts_of(-ENOENT, errors[i]);
                CHECK(&f, "mokutil --import", "/var/lib/dkms/mok.pub");
        }
        f.key = "/some/key.der";
        CHECK(&f, "mokutil --import /some/key.der", "next start");
        f.locked_down = true;
        CHECK(&f, "mokutil --import /some/key.der", "locked down");

        f = facts_of(-ENOENT, -EPERM);
        CHECK(&f, "CAP_SYS_MODULE");
        f.locked_down = true;
        CHECK(&f, "locked down", "mokutil --import");
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/module/kernel-needed", test_kernel_needed);
        g_test_add_func("/module/device", test_device);
        g_test_add_func("/module/load", test_load);
        g_test_add_func("/module/signature", test_signature);
        return g_test_run();
}
