/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/domain.h"

static bool is_equal(const struct mm_file_id *a, const struct mm_file_id *b)
{
        return mm_file_id_known(a) && mm_file_id_equal(a, b);
}

bool mm_domain_has_equal_namespaces(const struct mm_process *a, const struct mm_process *b)
{
        return is_equal(&a->user_ns, &b->user_ns) && is_equal(&a->pid_ns, &b->pid_ns) &&
               is_equal(&a->mnt_ns, &b->mnt_ns);
}

static bool is_root(const struct mm_process *p)
{
        return p->ruid == 0 || p->euid == 0 || p->suid == 0 || p->fsuid == 0;
}

/* NULL: there is no v2 hierarchy, and so no difference. */
static bool has_equal_cgroups(const struct mm_process *a, const struct mm_process *b)
{
        return a->cgroup && b->cgroup ? streq(a->cgroup, b->cgroup) : a->cgroup == b->cgroup;
}

bool mm_domain_is_equal(const struct mm_process *a, const struct mm_process *b)
{
        if (a->ruid != b->ruid || a->euid != b->euid || a->suid != b->suid || a->fsuid != b->fsuid)
                return false;
        if (is_root(a) && !has_equal_cgroups(a, b))
                return false;
        return mm_domain_has_equal_namespaces(a, b);
}
