/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"
#include "shared/conf.h"
#include "shared/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct conf c, before, again;
        int r;

        log_set_level(LOG_EMERG);
        memset(&c, 0, sizeof(c));
        conf_init(&c);
        before = c;

        r = conf_parse("fuzz", (const char *) data, size, &c);
        if (r < 0) {
                CHECK(r == -EINVAL);
                CHECK(memcmp(&c, &before, sizeof(c)) == 0);
                return 0;
        }
        CHECK(mechanism_to_string(c.mechanism));
        CHECK(c.bookkeeping_max_bytes >= 1U << 20 && c.bookkeeping_max_bytes <= UINT64_C(64) << 30);
        CHECK(c.log_level >= LOG_ERR && c.log_level <= LOG_DEBUG);
        CHECK(c.ksm_pages_to_scan >= 1 && c.ksm_pages_to_scan <= 1000000);
        CHECK(c.ksm_sleep_millisecs <= 60000);
        CHECK(c.ksm_use_zero_pages >= -1 && c.ksm_use_zero_pages <= 1);

        /* The same file once more says nothing new. */
        again = c;
        CHECK(conf_parse("fuzz", (const char *) data, size, &again) == 0);
        CHECK(memcmp(&c, &again, sizeof(c)) == 0);
        return 0;
}
