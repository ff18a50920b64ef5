/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <sys/mman.h>

#include "shared/conf.h"
#include "shared/ini.h"
#include "shared/log.h"
#include "shared/macro.h"

/* Runs conf_parse() with standard error in memory: @ret_messages is what it said. */
static int parse(const char *text, size_t size, struct conf *c, char **ret_messages)
{
        int saved = dup(STDERR_FILENO), fd = memfd_create("messages", MFD_CLOEXEC), r;
        char buf[16384];
        ssize_t n;

        g_assert_cmpint(dup2(fd, STDERR_FILENO), ==, STDERR_FILENO);
        r = conf_parse("a.conf", text, size, c);
        g_assert_cmpint(dup2(saved, STDERR_FILENO), ==, STDERR_FILENO);
        close(saved);
        n = pread(fd, buf, sizeof(buf) - 1, 0);
        g_assert_cmpint(n, >=, 0);
        close(fd);
        buf[n] = '\0';
        *ret_messages = g_strdup(buf);
        return r;
}

static void init(struct conf *c)
{
        g_assert_cmpint(conf_init(c), ==, 0);
}

static void expect_defaults(const struct conf *c)
{
        const struct rule *rule;

        g_assert_cmpint(c->mechanism, ==, MECHANISM_AUTO);
        g_assert_cmpuint(c->bookkeeping_max_bytes, ==, 64 << 20);
        g_assert_cmpint(c->log_level, ==, LOG_INFO);
        g_assert_cmpuint(c->ksm_pages_to_scan, ==, 2000);
        g_assert_cmpuint(c->ksm_sleep_millisecs, ==, 0);
        g_assert_cmpint(c->ksm_use_zero_pages, ==, -1);
        g_assert_cmpuint(c->interval_usec, ==, 60000000);
        g_assert_cmpuint(c->cpu_quota_percent, ==, 5);
        g_assert_cmpuint(c->max_frames, ==, 0);
        g_assert_true(c->on_battery);
        g_assert_cmpuint(c->log_mask, ==, CONF_LOG_RESULTS);
        g_assert_cmpuint(c->history_usec, ==, UINT64_C(604800000000));
        g_assert_false(c->ksm_smart_scan);
        g_assert_false(c->ksm_advisor);
        g_assert_cmpint(c->ksm_merge_across_nodes, ==, -1);
        g_assert_cmpuint(c->ksm_max_page_sharing, ==, 0);
        g_assert_cmpuint(c->settings.n, ==, 0);

        g_assert_cmpuint(c->n_rules, ==, 1);
        rule = conf_find_rule(c, RULE_DEFAULT_NAME);
        g_assert_true(rule == c->rules);
        g_assert_true(rule_is_default(rule));
        g_assert_cmpint(rule->merge, ==, RULE_MERGE_YES);
        g_assert_true(rule->zero_only);
        g_assert_cmpuint(rule->interval_usec, ==, 0);
        g_assert_false(rule_names_processes(rule));
}

static void test_mechanism(void)
{
        for (enum mechanism m = 0; m < MECHANISM_MAX_; m++)
                g_assert_cmpint(mechanism_from_string(mechanism_to_string(m)), ==, m);
        g_assert_null(mechanism_to_string(MECHANISM_INVALID_));
        g_assert_null(mechanism_to_string(MECHANISM_MAX_));
        g_assert_cmpint(mechanism_from_string("KSM"), ==, MECHANISM_INVALID_);
        g_assert_cmpint(mechanism_from_string(""), ==, MECHANISM_INVALID_);
}

static void test_good(void)
{
        static const char text[] =
                "\xef\xbb\xbf# a comment\n"
                "   ; another, with a backslash \\\n"
                "\n"
                "[Daemon]\r\n"
                "Mechanism = ksm\n"
                "\tBookkeepingMax=\t1 GiB  \r\n"
                "LogLevel=debug\n"
                "X-Note=ours\n"
                "[X-Ours]\n"
                "whatever=1\n"
                "[KSM]\n"
                "PagesToScan=1\n"
                "PagesToScan=500\n"
                "[Daemon]\n"
                "LogLevel=warning\n"
                "[KSM]\n"
                "SleepMilliSec=60000\n"
                "UseZeroPages=off";
        g_autofree char *messages = NULL;
        _cleanup_(conf_done) struct conf c = {};

        init(&c);
        expect_defaults(&c);
        g_assert_cmpint(parse(text, strlen(text), &c, &messages), ==, 0);
        g_assert_cmpstr(messages, ==, "");
        g_assert_cmpint(c.mechanism, ==, MECHANISM_KSM);
        g_assert_cmpuint(c.bookkeeping_max_bytes, ==, 1 << 30);
        g_assert_cmpint(c.log_level, ==, LOG_WARNING);
        g_assert_cmpuint(c.ksm_pages_to_scan, ==, 500);
        g_assert_cmpuint(c.ksm_sleep_millisecs, ==, 60000);
        g_assert_cmpint(c.ksm_use_zero_pages, ==, 0);
}

static void test_empty_assignment(void)
{
        static const char first[] =
                "[Daemon]\nMechanism=ksm\nBookkeepingMax=1M\nLogLevel=err\n"
                "[KSM]\nPagesToScan=7\nSleepMilliSec=7\nUseZeroPages=yes\n";
        static const char second[] =
                "[Daemon]\nMechanism=\nBookkeepingMax= \nLogLevel=\n"
                "[KSM]\nPagesToScan=\nSleepMilliSec=\nUseZeroPages=\n";
        g_autofree char *a = NULL, *b = NULL;
        _cleanup_(conf_done) struct conf c = {};

        init(&c);
        g_assert_cmpint(parse(first, strlen(first), &c, &a), ==, 0);
        g_assert_cmpint(c.ksm_use_zero_pages, ==, 1);
        g_assert_cmpint(parse(second, strlen(second), &c, &b), ==, 0);
        g_assert_cmpstr(b, ==, "");
        expect_defaults(&c);
}

static void test_unknown(void)
{
        static const char text[] =
                "[Daemon]\nMechanisms=ksm\nPagesToScan=7\n"
                "[Deamon]\nMechanism=nonsense\n"
                "[KSM]\nPagesToScan=8\n";
        g_autofree char *messages = NULL;
        _cleanup_(conf_done) struct conf c = {};

        init(&c);
        g_assert_cmpint(parse(text, strlen(text), &c, &messages), ==, 0);
        g_assert_cmpstr(messages, ==,
                "a.conf:2: Mechanisms= is not known in [Daemon] and ignored; see mergememd.conf(5)\n"
                "a.conf:3: PagesToScan= is not known in [Daemon] and ignored; see mergememd.conf(5)\n"
                "a.conf:4: section [Deamon] is not known and ignored; "
                "[Daemon], [KSM] and [Rule NAME] are\n");
        g_assert_cmpint(c.mechanism, ==, MECHANISM_AUTO);
        g_assert_cmpuint(c.ksm_pages_to_scan, ==, 8);
}

static void test_bad(void)
{
        static const struct {
                const char *text, *message;
        } samples[] = {
                { "[Daemon]\nMechanism=magic\n",
                  "a.conf:2: Mechanism=magic: not understood; write auto, direct, ksm or observe\n" },
                { "[Daemon]\nMechanism=ksm # or not\n",
                  "a.conf:2: Mechanism=ksm # or not: not understood; write auto, direct, ksm or observe\n" },
                { "[Daemon]\nBookkeepingMax=1023K\n",
                  "a.conf:2: BookkeepingMax=1023K: not understood; write a size from 1M to 64G\n" },
                { "[Daemon]\nBookkeepingMax=65G\n",
                  "a.conf:2: BookkeepingMax=65G: not understood; write a size from 1M to 64G\n" },
                { "[Daemon]\n\nLogLevel=crit\n",
                  "a.conf:3: LogLevel=crit: not understood; write err, warning, notice, info or debug\n" },
                { "[KSM]\nPagesToScan=0\n",
                  "a.conf:2: PagesToScan=0: not understood; write a number from 1 to 1000000\n" },
                { "[KSM]\nPagesToScan=1000001\n",
                  "a.conf:2: PagesToScan=1000001: not understood; write a number from 1 to 1000000\n" },
                { "[KSM]\nSleepMilliSec=60001\n",
                  "a.conf:2: SleepMilliSec=60001: not understood; write a number from 0 to 60000\n" },
                { "[KSM]\nSleepMilliSec=20ms\n",
                  "a.conf:2: SleepMilliSec=20ms: not understood; write a number from 0 to 60000\n" },
                { "[KSM]\nUseZeroPages=maybe\n",
                  "a.conf:2: UseZeroPages=maybe: not understood; "
                  "write yes, no, or nothing for what the kernel has\n" },
                { "[KSM]\nAdvisor=magic\n",
                  "a.conf:2: Advisor=magic: not understood; "
                  "write none or scan-time\n" },
                { "[KSM]\nMaxPageSharing=1\n",
                  "a.conf:2: MaxPageSharing=1: not understood; "
                  "write a number from 2 to 1000000, or nothing for what the kernel has\n" },
                { "[Daemon]\nIntervalSec=999ms\n",
                  "a.conf:2: IntervalSec=999ms: not understood; write a time from 1s to 1d\n" },
                { "[Daemon]\nCpuQuota=0%\n",
                  "a.conf:2: CpuQuota=0%: not understood; write whole percents, 1% to 6400%\n" },
                { "[Daemon]\nCpuQuota=5\n",
                  "a.conf:2: CpuQuota=5: not understood; write whole percents, 1% to 6400%\n" },
                { "[Daemon]\nMaxFrames=0\n",
                  "a.conf:2: MaxFrames=0: not understood; "
                  "write a number from 1, or nothing for what mergemod has\n" },
                { "[Daemon]\nLogMask=16\n",
                  "a.conf:2: LogMask=16: not understood; write a number from 0 to 15\n" },
                { "[Daemon]\nOnBattery=perhaps\n",
                  "a.conf:2: OnBattery=perhaps: not understood; write yes or no\n" },
                { "[Daemon]\nHistorySec=53w\n",
                  "a.conf:2: HistorySec=53w: not understood; write a time from 0 to 52w\n" },
                { "Mechanism=ksm\n",
                  "a.conf:1: assignment outside of any section; put it below a [NAME]\n" },
                { "[Daemon]\nMechanism\n",
                  "a.conf:2: neither section, assignment nor comment; write Key=value\n" },
                { "[Daemon]\n = ksm\n",
                  "a.conf:2: neither section, assignment nor comment; write Key=value\n" },
                { "[Daemon\n", "a.conf:1: not a section header; write a name in brackets: [NAME]\n" },
                { "[]\n", "a.conf:1: not a section header; write a name in brackets: [NAME]\n" },
                { "[", "a.conf:1: not a section header; write a name in brackets: [NAME]\n" },
                { "[Daemon] # x\n", "a.conf:1: not a section header; write a name in brackets: [NAME]\n" },
                { "[Daemon]\nMechanism=\\\nksm\n",
                  "a.conf:2: a backslash continues no line here; write it as one line\n" },
                { "[Daemon]\nMechanism=x\x1b[2J\n",
                  "a.conf:2: Mechanism=x\\x1b[2J: not understood; write auto, direct, ksm or observe\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(samples); i++) {
                g_autofree char *messages = NULL;
                _cleanup_(conf_done) struct conf c = {};

                init(&c);
                g_assert_cmpint(parse(samples[i].text, strlen(samples[i].text), &c, &messages), ==, -EINVAL);
                g_assert_cmpstr(messages, ==, samples[i].message);
        }
}

static void test_limits(void)
{
        g_autoptr(GString) s = g_string_new("[Daemon]\n");
        g_autofree char *a = NULL, *b = NULL, *e = NULL;
        _cleanup_(conf_done) struct conf c = {};

        init(&c);
        for (unsigned i = 0; i < 4095; i++)
                g_string_append_c(s, '#');
        g_assert_cmpint(parse(s->str, s->len, &c, &a), ==, 0);
        g_string_append_c(s, '#');
        g_assert_cmpint(parse(s->str, s->len, &c, &b), ==, -EINVAL);
        g_assert_cmpstr(b, ==, "a.conf:2: line of 4096 bytes or more; make it shorter\n");

        g_assert_cmpint(parse("[KSM]\n#\0\n", 9, &c, &e), ==, -EINVAL);
        g_assert_cmpstr(e, ==, "a.conf:2: NUL byte; this is not a text file\n");
}

/* None of these is a default. */
static void disturb(struct conf *c)
{
        c->mechanism = MECHANISM_OBSERVE;
        c->interval_usec = c->bookkeeping_max_bytes = c->history_usec = c->max_frames = 1;
        c->cpu_quota_percent = 1;
        c->on_battery = false;
        c->log_level = LOG_ERR;
        c->log_mask = 2;
        c->ksm_pages_to_scan = c->ksm_sleep_millisecs = c->ksm_max_page_sharing = 1;
        c->ksm_smart_scan = c->ksm_advisor = true;
        c->ksm_use_zero_pages = c->ksm_merge_across_nodes = 1;
}

/* The packaged file says of each key what the program has built in, and the manual knows the key. */
static void test_packaged(void)
{
        g_autofree char *packaged = NULL, *manual = NULL, *messages = NULL;
        g_auto(GStrv) lines = NULL;
        g_autoptr(GString) text = g_string_new(NULL);
        unsigned n_keys = 0;
        _cleanup_(conf_done) struct conf c = {};

        g_assert_true(g_file_get_contents(SOURCE_ROOT "/systemd/mergememd.conf", &packaged, NULL, NULL));
        g_assert_true(g_file_get_contents(SOURCE_ROOT "/man/mergememd.conf.5.scd", &manual, NULL, NULL));

        lines = g_strsplit(packaged, "\n", -1);
        for (char **line = lines; *line; line++) {
                g_autofree char *key = NULL;

                if ((*line)[0] == '#' && g_ascii_isupper((*line)[1])) {
                        key = g_strdup_printf("\n*%.*s=*\n", (int) strcspn(*line + 1, "="), *line + 1);
                        g_assert_nonnull(strstr(manual, key));
                        n_keys++;
                        g_string_append_printf(text, "%s\n", *line + 1);
                } else
                        g_string_append_printf(text, "%s\n", *line);
        }
        g_assert_cmpuint(n_keys, ==, 17);
        init(&c);
        disturb(&c);
        g_assert_cmpint(parse(text->str, text->len, &c, &messages), ==, 0);
        g_assert_cmpstr(messages, ==, "");
        settings_done(&c.settings);
        expect_defaults(&c);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/conf/mechanism", test_mechanism);
        g_test_add_func("/conf/good", test_good);
        g_test_add_func("/conf/empty-assignment", test_empty_assignment);
        g_test_add_func("/conf/unknown", test_unknown);
        g_test_add_func("/conf/bad", test_bad);
        g_test_add_func("/conf/limits", test_limits);
        g_test_add_func("/conf/packaged", test_packaged);
        return g_test_run();
}
