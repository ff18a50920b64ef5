/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/account-bus.h"

int account_append(const struct account_figures *f, sd_bus_message *m)
{
        if (!f)
                return 0;
        return sd_bus_message_append(
                m, "{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}", "present_pages", "t", f->n_present,
                "duplicate_frames", "t", f->n_duplicates, "zero_frames", "t", f->n_zero,
                "merged_pages", "t", f->n_merged, "merged_zero_pages", "t", f->n_merged_zero, "saved_bytes",
                "t", f->saved_bytes, "saved_gross_bytes", "t", f->saved_gross_bytes, "written_pages", "t",
                f->n_written, "cpu_nsec", "t", f->cpu_nsec, "last_scan_usec", "t", f->last_scan_usec);
}

void manager_update_account(Manager *m)
{
        account_update(&m->account, &m->registry, &m->merged, manager_cpu_nsec(m) + m->ksmd_cpu_nsec);
}
