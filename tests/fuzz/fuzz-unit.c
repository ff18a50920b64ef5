/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/exec-line.h"
#include "ctl/unit.h"
#include "fuzz.h"

/* The input is the file of a unit, whose commands get a launcher. */

#define LAUNCHER "/run -- "

static void check_line(const char *value)
{
        char reason[EXEC_REASON_MAX], *line = NULL, *text;
        struct settings s = {};
        int size, r;

        r = exec_line_launch(value, "/run --", &line, reason);
        CHECK(r == 0 || r == -EOPNOTSUPP);
        if (r < 0) {
                CHECK(!line && reason[0] != '\0');
                return;
        }
        CHECK(strncmp(line + strspn(line, "-:+!"), LAUNCHER, strlen(LAUNCHER)) == 0);

        /* It is one line, and the same when it is read. */
        size = asprintf(&text, "[Service]\nExecStart=\nExecStart=%s\n", line);
        CHECK(size >= 0);
        CHECK(unit_parse("written", text, (size_t) size, &s) == 0);
        CHECK(s.n == 2 && strcmp(s.items[1].value, line) == 0);
        settings_done(&s);
        free(text);
        free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const struct conf_setting *setting = NULL;
        struct settings s = {};
        int r;

        r = unit_parse("input", (const char *) data, size, &s);
        CHECK(r == 0 || r == -E2BIG);
        for (size_t i = 0; i < s.n; i++)
                CHECK(s.items[i].section[0] != '\0' && !strchr(s.items[i].value, '\n'));
        while ((setting = settings_next(&s, "Service", "ExecStart", setting)))
                check_line(setting->value);
        settings_done(&s);
        return 0;
}
