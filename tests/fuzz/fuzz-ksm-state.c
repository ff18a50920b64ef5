/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"
#include "lib/ksm-state.h"
#include "shared/macro.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char text[KSM_STATE_BYTES_MAX];
        struct ksm_state state;
        int r;

        r = ksm_state_parse((const char *) data, size, &state);
        if (r < 0) {
                CHECK(r == -EBADMSG);
                return 0;
        }
        for (enum ksm_knob k = 0; k < KSM_KNOB_MAX_; k++) {
                const struct ksm_change *c = state.changes + k;

                CHECK(!c->ours[0] == !c->before[0]);
                CHECK(!c->ours[0] || (ksm_knob_takes(k, c->ours) && ksm_knob_takes(k, c->before)));
        }
        CHECK(ksm_state_format(&state, text) == size && memcmp(text, data, size) == 0);
        return 0;
}
