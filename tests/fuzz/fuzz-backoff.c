/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/backoff.h"
#include "fuzz.h"

/* The input: bytes of what to do and bytes of with whom; held against an array. */

#define PIDS 64U

struct known {
        bool known, seen;
        uint64_t size_bytes, next_round;
        unsigned level;
};

static void look(struct known *k, const struct backoff_process *p, uint64_t round, bool gained)
{
        k->known = k->seen = true;
        k->size_bytes = p->size_bytes;
        k->level = gained ? 0 : MIN(k->level + 1U, BACKOFF_LEVEL_MAX);
        k->next_round = (round / (1U << k->level) + 1U) * (1U << k->level);
}

static bool due(struct known *k, const struct backoff_process *p, uint64_t round)
{
        uint64_t eighth = k->size_bytes / 8U;

        if (!k->known)
                return true;
        k->seen = true;
        if (p->size_bytes > k->size_bytes + eighth || p->size_bytes + eighth < k->size_bytes) {
                k->level = 0;
                return true;
        }
        return round >= k->next_round;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct known all[PIDS] = {};
        struct backoff b = {};
        uint64_t round = 0;

        for (size_t i = 0; i + 2 <= size; i += 2) {
                unsigned pid = data[i + 1] % PIDS;
                struct backoff_process p = {
                        .pid = (pid_t) pid + 1,
                        .start_ticks = 5,
                        .family = pid % 4U,
                        .size_bytes = 1000U + data[i] / 8U * 50U,
                        .group = pid % 3U,
                };

                switch (data[i] % 8U) {
                case 0:
                        round += data[i + 1];
                        break;
                case 1:
                        backoff_sweep(&b);
                        for (unsigned k = 0; k < PIDS; k++) {
                                if (!all[k].seen)
                                        all[k] = (struct known) {};
                                all[k].seen = false;
                        }
                        break;
                case 2:
                        (void) backoff_wake(&b, &p, 1, round);
                        for (unsigned k = 0; k < PIDS; k++)
                                if (k % 4U == pid % 4U || (p.group > 0 && k % 3U == p.group))
                                        all[k].next_round = MIN(all[k].next_round, round);
                        break;
                case 3:
                case 4:
                        CHECK(backoff_looked(&b, &p, round, data[i] % 8U == 3) == 0);
                        look(&all[pid], &p, round, data[i] % 8U == 3);
                        break;
                default:
                        CHECK(backoff_knows(&b, &p) == all[pid].known);
                        CHECK(backoff_due(&b, &p, round) == due(&all[pid], &p, round));
                }
        }
        backoff_done(&b);
        return 0;
}
