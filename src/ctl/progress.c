/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/progress.h"

#include <sys/ioctl.h>

#include "shared/macro.h"

/* State and percentage around the bar. */
#define STATE_WIDTH 11
#define FIXED_WIDTH (STATE_WIDTH + 9)
#define BAR_MIN 8

struct progress progress_init(bool wanted)
{
        const char *term = getenv("TERM");

        return (struct progress){
                .enabled = wanted && isatty(STDERR_FILENO) > 0 && term && !streq(term, "dumb"),
        };
}

void progress_format(char line[PROGRESS_WIDTH_MAX + 1], size_t width, const char *state, double fraction)
{
        size_t limit = MIN(width, PROGRESS_WIDTH_MAX), bar, filled;
        char buf[2 * PROGRESS_WIDTH_MAX];
        int percent;

        fraction = fraction > 1 ? 1 : fraction > 0 ? fraction : 0;
        percent = (int) (fraction * 100);

        if (limit < FIXED_WIDTH + BAR_MIN)
                snprintf(buf, sizeof(buf), "%.*s %3d%%", STATE_WIDTH, state, percent);
        else {
                bar = limit - FIXED_WIDTH;
                filled = (size_t) (fraction * (double) bar);
                snprintf(buf, sizeof(buf), "%-*.*s [%.*s%s%*s] %3d%%",
                         STATE_WIDTH, STATE_WIDTH, state,
                         (int) (filled > 0 ? filled - 1 : 0),
                         "========================================================================",
                         filled == 0 ? "" : filled < bar ? ">" : "=",
                         (int) (bar - filled), "", percent);
        }
        snprintf(line, PROGRESS_WIDTH_MAX + 1, "%.*s", (int) limit, buf);
}

static size_t terminal_width(void)
{
        struct winsize ws;

        return ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 1 ? ws.ws_col - 1 : 79;
}

void progress_show(struct progress *p, const char *state, double fraction)
{
        char line[PROGRESS_WIDTH_MAX + 1];

        if (!p->enabled)
                return;
        progress_format(line, terminal_width(), state, fraction);
        if (streq(line, p->line))
                return;
        fprintf(stderr, "\r%s\033[K", line);
        strcpy(p->line, line);
}

void progress_clear(struct progress *p)
{
        if (!p->line[0])
                return;
        fputs("\r\033[K", stderr);
        p->line[0] = '\0';
}
