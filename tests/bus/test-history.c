/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <glib/gstdio.h>
#include <signal.h>

#include "children.h"
#include "client.h"
#include "json.h"
#include "shared/macro.h"
#include "shared/names.h"

/* What the service notes of what it saved: when it stops, and each minute. */

#define PAGES 300U
#define SAMPLES_MAX 64U

static struct harness h;

struct sample {
        uint64_t usec, span, saved, gross, shared, merged, n_scanned, n_merged, n_written, cpu;
};

static size_t history(uint64_t from, uint64_t to, uint32_t max, struct sample ret[SAMPLES_MAX])
{
        sd_bus_message *m = NULL;
        sd_bus_error error = SD_BUS_ERROR_NULL;
        size_t n = 0;

        if (sd_bus_call_method(h.bus, MERGEMEM_BUS_NAME, MERGEMEM_PATH, MERGEMEM_MANAGER_INTERFACE,
                               "History", &error, &m, "ttu", from, to, max) < 0)
                g_error("History: %s", error.message);
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "(tttttttttta{sv})"), >, 0);
        while (sd_bus_message_enter_container(m, 'r', "tttttttttta{sv}") > 0) {
                struct sample *s = &ret[n++];

                g_assert_cmpuint(n, <=, SAMPLES_MAX);
                g_assert_cmpint(sd_bus_message_read(m, "tttttttttt", &s->usec, &s->span, &s->saved,
                                                    &s->gross, &s->shared, &s->merged, &s->n_scanned,
                                                    &s->n_merged, &s->n_written, &s->cpu),
                                >, 0);
                g_assert_cmpint(sd_bus_message_skip(m, "a{sv}"), >, 0);
                g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
        }
        sd_bus_message_unref(m);
        return n;
}

/* What "mergememctl --limit=1 @option history" prints. */
static char *limited(const char *option)
{
        char *bus = g_strconcat("--bus=", h.address, NULL), *text;
        const char *const argv[] = { h.ctl, bus, "--limit=1", option, "history", NULL };

        g_assert_cmpint(spawn_run(&(struct spawn){ .argv = argv }, 60000, &text), ==, 0);
        g_test_message("%s", text);
        g_free(bus);
        return text;
}

static size_t count(const char *text, const char *word)
{
        size_t n = 0;

        while ((text = strstr(text, word))) {
                text += strlen(word);
                n++;
        }
        return n;
}

static void restart(void)
{
        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
        harness_daemon_start(&h, NULL, NULL);
}

static void test_restart(void)
{
        struct sample before[SAMPLES_MAX], s[SAMPLES_MAX];
        uint64_t saved, merged, start = (uint64_t) g_get_real_time();
        struct child *c[2];
        pid_t pids[2];
        char *text;
        size_t n;

        n = history(0, 0, 0, before);
        children_start(&h, UID_FIRST, c, pids, 2);
        child_area(c[0], PAGES, 5, 1);
        child_area(c[1], PAGES, 5, 1);
        g_free(job_run(h.bus, "Merge", &(struct what){ .pids = pids, .n_pids = 2 }));
        saved = manager_figure(h.bus, "SavedBytes", 't');
        merged = manager_figure(h.bus, "PagesMergedTotal", 't');
        g_assert_cmpuint(saved, >, 0);
        restart();

        g_assert_cmpuint(history(0, 0, 0, s), ==, n + 1);
        g_assert_cmpmem(s, n * sizeof(*s), before, n * sizeof(*s));
        g_assert_cmpuint(s[n].saved, ==, saved);
        g_assert_cmpuint(s[n].gross, >=, saved);
        g_assert_cmpuint(s[n].merged, >=, PAGES);
        g_assert_cmpuint(s[n].n_merged, ==, merged);
        g_assert_cmpuint(s[n].n_scanned, >=, 2 * PAGES);
        g_assert_cmpuint(s[n].cpu, >, 0);
        g_assert_cmpuint(s[n].usec, >=, start);
        g_assert_cmpuint(s[n].usec, <=, (uint64_t) g_get_real_time());

        job_undo(h.bus, &(struct what){ .pids = pids, .n_pids = 2 });
        restart();
        g_assert_cmpuint(history(0, 0, 0, s), ==, n + 2);
        g_assert_cmpuint(s[n + 1].saved, ==, 0);
        g_assert_cmpuint(s[n + 1].n_merged, ==, 0);

        /* A part of it, and all in one. */
        g_assert_cmpuint(history(s[n + 1].usec, 0, 0, before), ==, 1);
        g_assert_cmpuint(history(0, s[n + 1].usec - 1, 0, before), ==, n + 1);
        g_assert_cmpuint(history(0, 0, 1, before), ==, 1);
        g_assert_cmpuint(before[0].n_merged, >=, merged);
        g_assert_cmpuint(before[0].span, >=, s[n].span + s[n + 1].span);
        children_end(c, 2);

        /* To people the client shows as many as they want, to programs all. */
        text = limited("--no-legend");
        g_assert_cmpuint(count(text, "\n"), ==, 1);
        g_free(text);
        text = limited("--json=short");
        g_assert_true(json_valid(text));
        g_assert_cmpuint(count(text, "\"span_usec\":"), ==, n + 2);
        g_free(text);
}

static void test_damaged(void)
{
        char *path = g_build_filename(h.dir, "state", "history", NULL), *text, *log;
        char *aside = g_strconcat(path, ".damaged", NULL);
        struct sample s[SAMPLES_MAX];
        size_t size;
        struct stat st;

        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
        g_assert_true(g_file_get_contents(path, &text, &size, NULL));
        text[25] = text[25] == '7' ? '8' : '7';
        g_assert_true(g_file_set_contents(path, text, (gssize) size, NULL));
        harness_daemon_start(&h, NULL, NULL);
        g_assert_cmpuint(history(0, 0, 0, s), ==, 0);
        g_assert_cmpint(g_stat(aside, &st), ==, 0);
        log = harness_log(&h);
        g_assert_nonnull(strstr(log, "The file of the history was damaged"));
        restart();
        g_assert_cmpuint(history(0, 0, 0, s), ==, 1);
        g_assert_cmpint(g_stat(path, &st), ==, 0);
        g_assert_cmpint(st.st_mode & 07777, ==, 0600);
        g_assert_cmpint(st.st_uid, ==, 0);
        g_free(log);
        g_free(text);
        g_free(aside);
        g_free(path);
}

static void test_off(void)
{
        struct sample s[SAMPLES_MAX];
        size_t n = history(0, 0, 0, s);

        harness_configure(&h, "[Daemon]\nHistorySec=0\n");
        g_assert_cmpint(harness_daemon_stop(&h), ==, 0);
        harness_config_write(&h, "");
        harness_daemon_start(&h, NULL, NULL);
        g_assert_cmpuint(history(0, 0, 0, s), ==, n);
}

int main(int argc, char **argv)
{
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        harness_daemon_start(&h, NULL, NULL);
        g_test_add_func("/history/restart", test_restart);
        g_test_add_func("/history/damaged", test_damaged);
        g_test_add_func("/history/off", test_off);
        status = g_test_run();
        return harness_end(&h, status);
}
