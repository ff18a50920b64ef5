/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>

#include "daemon/policy.h"

static const char *const exclusion_names[EXCLUSION_MAX_] = {
        [EXCLUSION_NONE] = "",
        [EXCLUSION_KERNEL] = "kernel thread",
        [EXCLUSION_INIT] = "first process",
        [EXCLUSION_SELF] = "part of mergemem",
        [EXCLUSION_ENDED] = "ended",
        [EXCLUSION_NOT_DUMPABLE] = "not dumpable",
        [EXCLUSION_PRIVILEGED] = "set-uid or privileged",
        [EXCLUSION_SECRETS] = "holds keys or passwords",
        [EXCLUSION_MIXED] = "mixes data of many parties",
        [EXCLUSION_RULE] = "a rule says never",
        [EXCLUSION_DOUBT] = "cannot be told whether a rule says never",
        [EXCLUSION_HUNG] = "did not answer lately",
};

/* By base name of the program and by name of the process: each may hide behind the other. Names
 * ending in "*" are prefixes. */
static const char *const secret_programs[] = {
        "sshd*",          "ssh-agent", "gpg-agent", "scdaemon",   "keyboxd",       "dirmngr",
        "pinentry*",      "sudo",      "su",        "doas",       "polkitd",       "polkit-agent*",
        "gnome-keyring*", "kwalletd*", "ksecretd",  "keepassxc*", "systemd-homed", "systemd-cryptse*",
        "gcr-ssh-agent",  "pcscd",     "sssd*",     "krb5kdc",    "unix_chkpwd",
};
static const char *const mixed_programs[] = {
        "firefox*",         "chrome*",         "chromium*",   "google-chrome*",   "msedge*",
        "brave*",           "opera*",          "vivaldi*",    "epiphany*",        "WebKitWebProces*",
        "WebKitWebProcess", "WebKitNetworkP*", "Web Content", "Isolated Web Co*", "Privileged Cont*",
        "thunderbird*",     "evolution*",      "kmail*",      "geary*",           "qutebrowser*",
};

const char *exclusion_to_string(enum exclusion e)
{
        return exclusion_names[e];
}

static bool name_in(const char *name, const char *const *list, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                size_t length = strlen(list[i]);

                if (list[i][length - 1] == '*' ? strncmp(name, list[i], length - 1) == 0
                                               : streq(name, list[i]))
                        return true;
        }
        return false;
}

static bool process_in(const struct mm_process *p, const char *const *list, size_t n)
{
        const char *slash = p->exe ? strrchr(p->exe, '/') : NULL;

        return name_in(p->comm, list, n) || (slash && name_in(slash + 1, list, n));
}

static bool is_privileged(const struct mm_process *p)
{
        if (p->ruid != p->euid || p->ruid != p->suid || p->ruid != p->fsuid)
                return true;
        return p->euid != 0 && (p->cap_effective != 0 || p->cap_permitted != 0);
}

enum exclusion policy_exclude(const struct mm_process *p, bool named)
{
        if (p->kernel_thread)
                return EXCLUSION_KERNEL;
        if (p->state == 'Z' || p->state == 'X')
                return EXCLUSION_ENDED;
        if (p->pid == 1)
                return EXCLUSION_INIT;
        if (named)
                return EXCLUSION_NONE;
        if (process_in(p, secret_programs, ELEMENTSOF(secret_programs)))
                return EXCLUSION_SECRETS;
        if (process_in(p, mixed_programs, ELEMENTSOF(mixed_programs)))
                return EXCLUSION_MIXED;
        if (is_privileged(p))
                return EXCLUSION_PRIVILEGED;
        if (!p->dumpable)
                return EXCLUSION_NOT_DUMPABLE;
        return EXCLUSION_NONE;
}

bool policy_own_memory_is_told(const struct mm_process *p, uid_t uid)
{
        return selector_is_of(p, uid) && p->dumpable && !is_privileged(p) && !p->kernel_thread &&
               p->pid != 1;
}

int policy_domain(enum trust trust, const struct mm_process *p, const char *unit, const char *cgroup,
                  char **ret)
{
        /* Who has put root's uid off for a while can take it on again. */
        bool root = p->ruid == 0 || p->euid == 0 || p->suid == 0 || p->fsuid == 0;
        char *domain;
        int r;

        switch (trust) {
        case TRUST_SYSTEM:
                domain = strdup("system");
                if (!domain)
                        return -ENOMEM;
                *ret = domain;
                return 0;
        case TRUST_CGROUP:
                /* Who is in no cgroup of the selection shares with nobody. */
                r = asprintf(&domain, "cgroup %s (user namespace %ju, pid %ju, mount %ju)", cgroup ?: "none",
                             (uintmax_t) p->user_ns.ino, (uintmax_t) p->pid_ns.ino,
                             (uintmax_t) p->mnt_ns.ino);
                break;
        default:
                /* root's processes share within their unit only; without systemd, within their cgroup. */
                r = asprintf(&domain, "user %u/%u/%u/%u%s%s (user namespace %ju, pid %ju, mount %ju)",
                             p->ruid, p->euid, p->suid, p->fsuid, root ? " in " : "",
                             !root       ? ""
                             : unit      ? unit
                             : p->cgroup ? p->cgroup
                                         : "no cgroup",
                             (uintmax_t) p->user_ns.ino, (uintmax_t) p->pid_ns.ino,
                             (uintmax_t) p->mnt_ns.ino);
        }
        if (r < 0)
                return -ENOMEM;
        *ret = domain;
        return 0;
}
