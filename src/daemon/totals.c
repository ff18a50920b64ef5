/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/totals.h"
#include "lib/hash.h"
#include "shared/macro.h"

#define MIB (1024U * 1024U)
#define MIB_PAGES (MIB / MM_PAGE_SIZE)
#define NSEC_PER_SEC UINT64_C(1000000000)
#define USEC_PER_MINUTE UINT64_C(60000000)

static const struct figure {
        const char *name;
        char type;
        size_t offset;
        uint64_t unit;  /* of which others see multiples */
        bool announced; /* with PropertiesChanged */
} figures[] = {
        { "SavedBytes", 't', offsetof(struct totals, saved_bytes), MIB, true },
        { "SavedGrossBytes", 't', offsetof(struct totals, saved_gross_bytes), MIB, true },
        { "MetadataBytes", 't', offsetof(struct totals, metadata_bytes), MIB, true },
        { "SharedFrames", 't', offsetof(struct totals, shared_frames), MIB_PAGES, true },
        { "MergedPages", 't', offsetof(struct totals, merged_pages), MIB_PAGES, true },
        { "RegisteredProcesses", 'u', offsetof(struct totals, registered_processes), 1, true },
        { "PagesScannedTotal", 't', offsetof(struct totals, scanned_pages), MIB_PAGES, false },
        { "PagesMergedTotal", 't', offsetof(struct totals, merged_pages_total), MIB_PAGES, false },
        { "PagesFailedTotal", 't', offsetof(struct totals, failed_pages), MIB_PAGES, false },
        { "PagesBrokenTotal", 't', offsetof(struct totals, broken_pages), MIB_PAGES, false },
        { "CPUUsageNSec", 't', offsetof(struct totals, cpu_nsec), NSEC_PER_SEC, false },
        { "KsmdCPUUsageNSec", 't', offsetof(struct totals, ksmd_cpu_nsec), NSEC_PER_SEC, false },
        { "LastScanUSec", 't', offsetof(struct totals, last_scan_usec), USEC_PER_MINUTE, true },
};

static uint64_t value_of(const struct totals *t, const struct figure *f)
{
        return *(const uint64_t *) ((const char *) t + f->offset);
}

void totals_round(struct totals *t)
{
        for (size_t i = 0; i < ELEMENTSOF(figures); i++) {
                uint64_t *value = (uint64_t *) ((char *) t + figures[i].offset);
                uint64_t rest = *value % figures[i].unit;

                *value -= rest;
                if (rest >= figures[i].unit - rest && *value <= UINT64_MAX - figures[i].unit)
                        *value += figures[i].unit;
        }
}

uint64_t totals_figure(const struct totals *t, const char *property)
{
        for (size_t i = 0; i < ELEMENTSOF(figures); i++)
                if (streq(figures[i].name, property))
                        return value_of(t, &figures[i]);
        return 0;
}

void totals_compare(const struct totals *a, const struct totals *b, const char *ret[TOTALS_MAX])
{
        size_t n = 0;

        for (size_t i = 0; i < ELEMENTSOF(figures); i++)
                if (figures[i].announced && value_of(a, &figures[i]) != value_of(b, &figures[i]))
                        ret[n++] = figures[i].name;
        ret[n] = NULL;
}

int totals_append(const struct totals *t, sd_bus_message *m)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        for (size_t i = 0; i < ELEMENTSOF(figures) && r >= 0; i++) {
                const struct figure *f = &figures[i];

                if (f->type == 'u')
                        r = sd_bus_message_append(m, "{sv}", f->name, "u", (uint32_t) value_of(t, f));
                else
                        r = sd_bus_message_append(m, "{sv}", f->name, "t", value_of(t, f));
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}
