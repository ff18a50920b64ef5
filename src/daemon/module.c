/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/module.h"

#include <fcntl.h>
#include <libkmod.h>
#include <syslog.h>

#include "lib/device.h"

#define NAME "mergemod"

/* Of modules that are built here: dkms's own, and the one that Debian's signing tools make. */
static const char *const keys[] = { "/var/lib/dkms/mok.pub", "/var/lib/shim-signed/mok/MOK.der" };

/* Whether the first line of @path has @text in it. */
static bool file_has(const char *path, const char *text)
{
        _cleanup_(fclosep) FILE *f = fopen(path, "re");
        char line[128] = "";

        return f && fgets(line, sizeof(line), f) && strstr(line, text);
}

void module_look(struct module_facts *ret)
{
        _cleanup_(mm_device_freep) struct mm_device *device = NULL;

        *ret = (struct module_facts) {};
        ret->device_error = mm_device_open(MERGEMOD_DEVICE, &device, &ret->info);
        ret->loaded = access("/sys/module/" NAME, F_OK) >= 0;
        ret->kernel_has_modules = access("/proc/modules", F_OK) >= 0;
        ret->modules_disabled = file_has("/proc/sys/kernel/modules_disabled", "1");
        ret->locked_down = file_has("/sys/kernel/security/lockdown", "[integrity]") ||
                           file_has("/sys/kernel/security/lockdown", "[confidentiality]");
        for (size_t i = 0; i < ELEMENTSOF(keys) && !ret->key; i++)
                if (access(keys[i], F_OK) >= 0)
                        ret->key = keys[i];
        (void) uname(&ret->kernel);
}

/* 0 or -errno, and whether there is such a module for this kernel. */
static int insert(enum module_installed *ret_installed)
{
        struct kmod_ctx *ctx;
        struct kmod_module *module = NULL;
        int r;

        ctx = kmod_new(NULL, NULL);
        if (!ctx)
                return -ENOMEM;
        /* What it would say is said in one sentence. */
        kmod_set_log_priority(ctx, LOG_EMERG);
        r = kmod_module_new_from_name(ctx, NAME, &module);
        if (r >= 0) {
                *ret_installed = kmod_module_get_path(module) ? MODULE_INSTALLED_YES : MODULE_INSTALLED_NO;
                r = kmod_module_probe_insert_module(module, KMOD_PROBE_APPLY_BLACKLIST, NULL, NULL, NULL,
                                                    NULL);
                if (r == KMOD_PROBE_APPLY_BLACKLIST) {
                        *ret_installed = MODULE_INSTALLED_BLACKLISTED;
                        r = -EPERM;
                }
        }
        kmod_module_unref(module);
        kmod_unref(ctx);
        return r;
}

int module_load(struct module_facts *ret)
{
        enum module_installed installed = MODULE_INSTALLED_UNKNOWN;
        int r = 0;

        module_look(ret);
        if (ret->device_error == 0 || ret->loaded || !ret->kernel_has_modules)
                return ret->device_error;
        r = insert(&installed);
        module_look(ret);
        ret->load_error = r;
        ret->installed = installed;
        return ret->device_error;
}
