/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "alone.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLACE "/run/mergemem"
#define WORDS_MAX 64U

void alone_set_up(struct harness *h)
{
        char *run = g_build_filename(h->dir, "run", NULL);

        g_assert_cmpint(g_mkdir(run, 0700), ==, 0);
        if (mount("tmpfs", "/run", "tmpfs", 0, "mode=0755") < 0 || g_mkdir(PLACE, 0700) < 0 ||
            mount(run, PLACE, NULL, MS_BIND, NULL) < 0)
                g_error(PLACE ": %m");
        g_free(run);
}

static char **arguments(struct harness *h, const char *args, const pid_t *pids, size_t n)
{
        GPtrArray *argv = g_ptr_array_new();
        char **words = g_strsplit(args, " ", -1);

        g_ptr_array_add(argv, g_strdup(TEST_MERGEMEM));
        g_ptr_array_add(argv, g_strconcat("--config=", h->config, NULL));
        for (size_t i = 0; words[i]; i++)
                if (*words[i])
                        g_ptr_array_add(argv, g_strdup(words[i]));
        for (size_t i = 0; i < n; i++)
                g_ptr_array_add(argv, g_strdup_printf("%d", (int)pids[i]));
        g_ptr_array_add(argv, NULL);
        g_strfreev(words);
        return (char **)g_ptr_array_free(argv, FALSE);
}

pid_t alone_spawn(struct harness *h, const char *args, const pid_t *pids, size_t n, int out)
{
        char **argv = arguments(h, args, pids, n);
        /* SIGTERM when the test dies: it then still stops ksmd. */
        pid_t pid = spawn(&(struct spawn){ .argv = (const char *const *)argv,
                                           .out = out,
                                           .err = out,
                                           .death_signal = SIGTERM });

        g_strfreev(argv);
        return pid;
}

int alone_run(struct harness *h, char **ret, const char *args, const pid_t *pids, size_t n)
{
        char **argv = arguments(h, args, pids, n), *text;
        int status = spawn_run(&(struct spawn){ .argv = (const char *const *)argv, .death_signal = SIGTERM },
                               60000, &text);

        g_test_message("mergemem %s: %s", args, text);
        g_assert_true(WIFEXITED(status));
        if (ret)
                *ret = text;
        else
                g_free(text);
        g_strfreev(argv);
        return WEXITSTATUS(status);
}

uint64_t alone_figure(const char *text, const char *line, const char *word)
{
        char *head = g_strdup_printf("%s:", line), *key = word ? g_strdup_printf(" %s: ", word) : NULL;
        const char *at = text, *end;

        while (!g_str_has_prefix(at, head)) {
                at = strchr(at, '\n');
                if (!at)
                        g_error("no line \"%s\": %s", line, text);
                at++;
        }
        end = strchrnul(at, '\n');
        at += strlen(head);
        if (key) {
                at = strstr(at, key);
                if (!at || at > end)
                        g_error("no \"%s\" in line \"%s\": %s", word, line, text);
                at += strlen(key);
        }
        at += strspn(at, " ");
        g_assert_true(g_ascii_isdigit(*at));
        g_free(key);
        g_free(head);
        return g_ascii_strtoull(at, NULL, 10);
}
