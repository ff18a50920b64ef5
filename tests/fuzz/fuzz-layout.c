/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/layout-text.h"
#include "fuzz.h"
#include "shared/macro.h"

/* The input is the file of a layout group. */

static const sd_id128_t boot = { .bytes = { 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
                                            0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11 } };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct layout_process *processes = NULL;
        struct layout g = {};
        size_t n = 0, again_size;
        char *again;
        int r;

        r = layout_parse((const char *) data, size, &boot, &g, &processes, &n);
        CHECK(r == 0 || r == -EBADMSG || r == -ESTALE);
        if (r < 0) {
                CHECK(!processes && n == 0 && g.name[0] == '\0');
                return 0;
        }
        CHECK(layout_name_is_valid(g.name) && n <= LAYOUT_PROCESSES_MAX);

        /* Nothing else is written so. */
        g.n_processes = n;
        for (size_t i = 0; i < n; i++) {
                CHECK(processes[i].pid > 0 && processes[i].pid_fd < 0);
                processes[i].layout = &g;
        }
        CHECK(layout_format(&g, &boot, processes, n, &again, &again_size) == 0);
        CHECK(again_size == size && memcmp(again, data, size) == 0);
        free(again);
        free(processes);
        return 0;
}
