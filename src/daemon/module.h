/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <linux/mergemod.h>
#include <stdbool.h>
#include <sys/utsname.h>

/* Whether mergemod can be used here, and if not, what would help. */

enum module_installed {
        MODULE_INSTALLED_UNKNOWN, /* the service does not see where modules are */
        MODULE_INSTALLED_YES,
        MODULE_INSTALLED_NO,
        MODULE_INSTALLED_BLACKLISTED,
};

/* What is known when mergemod cannot be used. */
struct module_facts {
        int device_error;          /* of opening the device and greeting it; 0: all is well */
        struct mergemod_info info; /* what it said of itself, if it said anything */
        int load_error;            /* of loading it; 0 if that was not tried or went well */
        enum module_installed installed;
        bool loaded;               /* the kernel has it */
        bool kernel_has_modules;   /* can have any */
        bool modules_disabled;     /* kernel.modules_disabled */
        bool locked_down;
        const char *key;           /* that modules built here are signed with, or NULL */
        struct utsname kernel;
};

/* Opens the device, and finds out the rest if that fails. */
void module_look(struct module_facts *ret);

/* Loads it. Fills @ret whether that went well or not; returns 0 if it can be used, -errno. */
int module_load(struct module_facts *ret);

/* What is wrong, and the remedy: one sentence without a full stop, to be freed; NULL: no memory. */
char *module_explain(const struct module_facts *f);

/* The stable release that mergemod needs where @kernel is too old for it; else NULL, also if it does not
 * tell its level. */
const char *module_kernel_needed(const struct utsname *kernel);
