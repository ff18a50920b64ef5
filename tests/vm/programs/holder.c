// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Has a library whose memory is known. Does what the lines of its input say, "fill SEED" or "check SEED",
 * and answers each with a line: "ok", or where it is wrong.
 */
#include <stdio.h>
#include <string.h>

#include "libtarget.h"
#include "pages.h"

int main(void) {
        unsigned long seed;
        char verb[16];

        while (scanf("%15s %lu", verb, &seed) == 2) {
                long wrong = -1;

                if (strcmp(verb, "fill") == 0) {
                        libtarget_fill(seed);
                        pages_settle();
                } else {
                        wrong = libtarget_check(seed);
                }
                if (wrong < 0)
                        printf("ok\n");
                else
                        printf("wrong at %ld\n", wrong);
                fflush(stdout);
        }
        return 0;
}
