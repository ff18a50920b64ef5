/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/job.h"
#include "ctl/report.h"
#include "ctl/verbs.h"

int verb_scan(const struct options *o)
{
        return job_verb(o, "Scan", estimate_print);
}
