/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdarg.h>

#include "daemon/module.h"
#include "lib/device.h"

#define PACKAGE "mergemem-dkms"

struct level {
        unsigned major, minor, patch;
};

/* Debian's releases name an ABI, its version has the level: "#1 SMP ... Debian 6.1.153-1 (2025-...)". */
static bool read_level(const struct utsname *kernel, struct level *ret)
{
        static const char debian[] = "Debian ";
        const char *text = strstr(kernel->version, debian);

        if (text)
                return sscanf(text + sizeof(debian) - 1, "%u.%u.%u", &ret->major, &ret->minor,
                              &ret->patch) == 3;
        /* That of others that name an ABI says no level either. */
        return sscanf(kernel->release, "%u.%u.%u", &ret->major, &ret->minor, &ret->patch) == 3 &&
               (ret->patch > 0 || !strchr(kernel->release, '-'));
}

const char *module_kernel_needed(const struct utsname *kernel)
{
        struct level l;

        if (!read_level(kernel, &l) || l.major > 6)
                return NULL;
        if (l.major < 6 || l.minor <= 1)
                return l.major == 6 && l.minor == 1 && l.patch >= 155 ? NULL : "6.1.155";
        if (l.minor <= 12)
                return l.minor == 12 && l.patch >= 17 ? NULL : "6.12.17";
        return l.minor == 13 && l.patch < 5 ? "6.13.5" : NULL;
}

static _printf_(1, 2) char *sentence(const char *format, ...)
{
        va_list ap;
        char *ret;
        int r;

        va_start(ap, format);
        r = vasprintf(&ret, format, ap);
        va_end(ap);
        return r < 0 ? NULL : ret;
}

static char *explain_signature(const struct module_facts *f)
{
        if (f->key)
                return sentence("the kernel does not know the key that mergemod is signed with%s: enrol it "
                                "with 'mokutil --import %s', and confirm that at the next start",
                                f->locked_down ? " and is locked down" : "", f->key);
        return sentence("the kernel takes only modules signed with a key that it knows%s: have mergemod "
                        "signed and enrol that key with 'mokutil --import', for a module of dkms "
                        "/var/lib/dkms/mok.pub",
                        f->locked_down ? ", being locked down" : "");
}

static char *explain_loading(const struct module_facts *f)
{
        const char *needed = module_kernel_needed(&f->kernel);

        if (f->modules_disabled)
                return sentence("modules cannot be loaded any more until the next start "
                                "(kernel.modules_disabled is set)");
        if (f->installed == MODULE_INSTALLED_BLACKLISTED)
                return sentence("mergemod is blacklisted: see modprobe.d(5)");
        if (needed)
                return sentence("mergemod needs Linux %s or later of that series, and this is %s: install a "
                                "newer kernel",
                                needed, f->kernel.release);
        if (f->installed == MODULE_INSTALLED_NO)
                return sentence("mergemod is not installed for the kernel %s: install the package " PACKAGE
                                " and linux-headers-%s",
                                f->kernel.release, f->kernel.release);
        switch (f->load_error) {
        case -EKEYREJECTED:
        case -ENOKEY:
        case -EBADMSG:
        case -ENOPKG:
                return explain_signature(f);
        case -EPERM:
                return f->locked_down ? explain_signature(f)
                                      : sentence("loading modules is not permitted here: it takes "
                                                 "CAP_SYS_MODULE on the host, which containers do not have");
        case -ENOEXEC:
                return sentence("mergemod was built for another kernel than %s: install linux-headers-%s "
                                "and run 'dkms autoinstall'",
                                f->kernel.release, f->kernel.release);
        case -ENOENT:
                return sentence("the kernel %s lacks something that mergemod needs, which its log names: "
                                "use a kernel of Debian's",
                                f->kernel.release);
        case -ENOMEM:
                return sentence("there is no memory to load mergemod: try again later");
        }
        return sentence("mergemod cannot be loaded (%s): the kernel's log says more",
                        strerror(-f->load_error));
}

static char *explain_interface(const struct module_facts *f)
{
        if (f->info.version != MERGEMOD_VERSION)
                return sentence("the interface of the loaded mergemod is version %u, and this is made for "
                                "%u: install mergemem and " PACKAGE " of one version, and run "
                                "'modprobe -r mergemod' and 'modprobe mergemod'",
                                f->info.version, MERGEMOD_VERSION);
        return sentence("the loaded mergemod lacks what is needed here (features %#" PRIx64 "): install "
                        "mergemem and " PACKAGE " of one version",
                        (uint64_t) (MM_DEVICE_FEATURES & ~f->info.features));
}

char *module_explain(const struct module_facts *f)
{
        switch (f->device_error) {
        case 0:
                return sentence("mergemod is loaded");
        case -EPROTO:
                return explain_interface(f);
        case -EPERM:
        case -EACCES:
                return sentence("%s may not be opened: that takes root with CAP_SYS_ADMIN and "
                                "CAP_SYS_PTRACE on the host, and a unit that allows the device; if the "
                                "module was loaded after the service had started, 'systemctl restart "
                                "mergememd'",
                                MERGEMOD_DEVICE);
        case -ENOENT:
        case -ENODEV:
        case -ENXIO:
                break;
        default:
                return sentence("%s cannot be opened: %s", MERGEMOD_DEVICE, strerror(-f->device_error));
        }
        if (f->loaded)
                return sentence("mergemod is loaded, but there is no %s here: in a container it has to be "
                                "passed in",
                                MERGEMOD_DEVICE);
        if (!f->kernel_has_modules)
                return sentence("the kernel %s cannot load modules: use one with CONFIG_MODULES",
                                f->kernel.release);
        if (f->load_error < 0)
                return explain_loading(f);
        return sentence("mergemod is not loaded: 'mergememd --load-module' loads it, or says why not");
}
