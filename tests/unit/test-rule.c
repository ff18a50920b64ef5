/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <sys/mman.h>

#include "shared/conf.h"
#include "shared/pattern.h"

/* Reads @text as configuration, with standard error in memory: @ret_messages is what was said. */
static int read_conf(const char *text, struct conf *c, char **ret_messages)
{
        int saved = dup(STDERR_FILENO), fd = memfd_create("messages", MFD_CLOEXEC), r;
        char buf[16384];
        ssize_t n;

        g_assert_cmpint(conf_init(c), ==, 0);
        g_assert_cmpint(dup2(fd, STDERR_FILENO), ==, STDERR_FILENO);
        r = conf_parse("a.conf", text, strlen(text), c);
        if (r >= 0)
                r = conf_check(c);
        g_assert_cmpint(dup2(saved, STDERR_FILENO), ==, STDERR_FILENO);
        close(saved);
        n = pread(fd, buf, sizeof(buf) - 1, 0);
        g_assert_cmpint(n, >=, 0);
        close(fd);
        buf[n] = '\0';
        *ret_messages = g_strdup(buf);
        return r;
}

static void expect_patterns(const struct rule *rule, enum rule_kind kind, const char *expected)
{
        g_autoptr(GString) s = g_string_new(NULL);

        for (size_t i = 0; i < rule->match[kind].n; i++)
                g_string_append_printf(s, "%s<%s>", i > 0 ? " " : "", rule->match[kind].items[i]);
        g_assert_cmpstr(s->str, ==, expected);
}

static void test_defaults(void)
{
        _cleanup_(conf_done) struct conf c = {};
        g_autofree char *messages = NULL;
        const struct rule *rule;

        g_assert_cmpint(read_conf("[Rule a]\nComm=x\n", &c, &messages), ==, 0);
        g_assert_cmpstr(messages, ==, "");
        g_assert_cmpuint(c.n_rules, ==, 2);
        rule = conf_find_rule(&c, "a");
        g_assert_true(rule == &c.rules[1]);
        g_assert_cmpstr(rule->origin.file, ==, "a.conf");
        g_assert_cmpuint(rule->origin.line, ==, 1);
        g_assert_cmpint(rule->merge, ==, RULE_MERGE_YES);
        g_assert_false(rule->zero_only);
        g_assert_cmpint(rule->mechanism, ==, MECHANISM_AUTO);
        g_assert_cmpint(rule->trust, ==, TRUST_USER);
        g_assert_cmpuint(rule->owners, ==, RULE_OWNER_LIBRARY | RULE_OWNER_HEAP | RULE_OWNER_ANON);
        g_assert_cmpuint(rule->min_age_usec, ==, 10000000);
        g_assert_cmpuint(rule->interval_usec, ==, 15000000);
        g_assert_cmpuint(rule->cpu_quota_percent, ==, 0);
        g_assert_cmpint(rule->huge_pages, ==, RULE_HUGE_PAGES_AUTO);
        g_assert_cmpint(rule->on_erosion, ==, RULE_ON_EROSION_COOLDOWN);
        g_assert_null(conf_find_rule(&c, "b"));
}

static void test_all_keys(void)
{
        _cleanup_(conf_done) struct conf c = {};
        g_autofree char *messages = NULL;
        const struct rule *rule;

        g_assert_cmpint(read_conf("[Rule web.1:x@y_z-]\n"
                                  "Shlib=libfoo.so /opt/*/libbar.so\n"
                                  "Exe=/usr/bin/python3*\n"
                                  "Comm=Web\\ Content  [a-c]x\n"
                                  "Comm=more\n"
                                  "Cgroup=/sys/fs/cgroup/system.slice/ //a/\n"
                                  "Unit=web php-* a.scope\n"
                                  "User=1000 www-*\n"
                                  "Merge=never\nZeroOnly=yes\nMechanism=direct\nTrustDomain=system\n"
                                  "Owners=anon,heap\nMinAgeSec=0\nIntervalSec=1min\nCpuQuota=200%\n"
                                  "HugePages=split\nOnErosion=keep\n",
                                  &c, &messages), ==, 0);
        g_assert_cmpstr(messages, ==, "");
        rule = conf_find_rule(&c, "web.1:x@y_z-");
        g_assert_nonnull(rule);
        expect_patterns(rule, RULE_SHLIB, "<libfoo.so> </opt/*/libbar.so>");
        expect_patterns(rule, RULE_EXE, "</usr/bin/python3*>");
        expect_patterns(rule, RULE_COMM, "<Web\\ Content> <[a-c]x> <more>");
        expect_patterns(rule, RULE_CGROUP, "</system.slice> </a>");
        expect_patterns(rule, RULE_UNIT, "<web.service> <php-*> <a.scope>");
        expect_patterns(rule, RULE_USER, "<1000> <www-*>");
        g_assert_cmpint(rule->merge, ==, RULE_MERGE_NEVER);
        g_assert_true(rule->zero_only);
        g_assert_cmpint(rule->mechanism, ==, MECHANISM_DIRECT);
        g_assert_cmpint(rule->trust, ==, TRUST_SYSTEM);
        g_assert_cmpuint(rule->owners, ==, RULE_OWNER_HEAP | RULE_OWNER_ANON);
        g_assert_cmpuint(rule_owners(rule), ==, RULE_OWNER_LIBRARY);
        g_assert_cmpuint(rule->min_age_usec, ==, 0);
        g_assert_cmpuint(rule->interval_usec, ==, 60000000);
        g_assert_cmpuint(rule->cpu_quota_percent, ==, 200);
        g_assert_cmpint(rule->huge_pages, ==, RULE_HUGE_PAGES_SPLIT);
        g_assert_cmpint(rule->on_erosion, ==, RULE_ON_EROSION_KEEP);
}

/* A section may come again; scalars are replaced, patterns added, and an empty value takes back. */
static void test_override(void)
{
        _cleanup_(conf_done) struct conf c = {};
        g_autofree char *messages = NULL;
        const struct conf_setting *s;
        const struct rule *rule;

        g_assert_cmpint(read_conf("[Rule a]\nComm=x y\nMinAgeSec=1\nOwners=heap\nExe=/x\n"
                                  "[Rule default]\nZeroOnly=no\nIntervalSec=5\n"
                                  "[Rule a]\nMinAgeSec=2\nComm=\nComm=z\nExe=/y\nOwners=\n"
                                  "[Rule default]\nZeroOnly=\nIntervalSec=\n",
                                  &c, &messages), ==, 0);
        g_assert_cmpstr(messages, ==, "");
        g_assert_cmpuint(c.n_rules, ==, 2);
        rule = conf_find_rule(&c, "a");
        expect_patterns(rule, RULE_COMM, "<z>");
        expect_patterns(rule, RULE_EXE, "</x> </y>");
        g_assert_cmpuint(rule->min_age_usec, ==, 2000000);
        g_assert_cmpuint(rule->owners, ==, RULE_OWNER_LIBRARY | RULE_OWNER_HEAP | RULE_OWNER_ANON);
        rule = conf_find_rule(&c, "default");
        g_assert_true(rule->zero_only);
        g_assert_cmpuint(rule->interval_usec, ==, 0);

        g_assert_cmpuint(c.settings.n, ==, 4);
        s = settings_next(&c.settings, "Rule a", "MinAgeSec", NULL);
        g_assert_cmpstr(s->value, ==, "2");
        g_assert_cmpuint(s->origin.line, ==, 10);
        g_assert_null(settings_next(&c.settings, "Rule a", "MinAgeSec", s));
        s = settings_next(&c.settings, "Rule a", "Exe", NULL);
        g_assert_cmpuint(s->origin.line, ==, 5);
        s = settings_next(&c.settings, "Rule a", "Exe", s);
        g_assert_cmpuint(s->origin.line, ==, 13);
}

static void test_bad(void)
{
        static const struct {
                const char *text, *message;
        } samples[] = {
                { "[Rule ]\n", "a.conf:1: [Rule ]: not a name of a rule; write up to 64 letters, digits and "
                               "\"-_.:@\"\n" },
                { "[Rule a b]\n", "a.conf:1: [Rule a b]: not a name of a rule; write up to 64 letters, "
                                  "digits and \"-_.:@\"\n" },
                { "[Rule ../x]\n", "a.conf:1: [Rule ../x]: not a name of a rule; write up to 64 letters, "
                                   "digits and \"-_.:@\"\n" },
                { "[Rule .x]\n", "a.conf:1: [Rule .x]: not a name of a rule; write up to 64 letters, digits "
                                 "and \"-_.:@\"\n" },
                { "[Rule a]\nMerge=yes\n",
                  "a.conf:1: rule \"a\": nothing says what it is about; write Shlib=, Exe=, Comm=, Cgroup=, "
                  "Unit= or User=\n" },
                { "[Rule a]\nComm=x\nComm=\n",
                  "a.conf:1: rule \"a\": nothing says what it is about; write Shlib=, Exe=, Comm=, Cgroup=, "
                  "Unit= or User=\n" },
                { "[Rule a]\nExe=bin/x\n",
                  "a.conf:2: Exe=bin/x: not understood; write absolute paths of programs\n" },
                { "[Rule a]\nExe=/x y\n",
                  "a.conf:2: Exe=/x y: not understood; write absolute paths of programs\n" },
                { "[Rule a]\nCgroup=x\n", "a.conf:2: Cgroup=x: not understood; write paths of cgroups\n" },
                { "[Rule a]\nUnit=a/b\n", "a.conf:2: Unit=a/b: not understood; write names of units\n" },
                { "[Rule a]\nShlib=a/b\n",
                  "a.conf:2: Shlib=a/b: not understood; write names of libraries or paths\n" },
                { "[Rule a]\nComm=x\\  y\n",
                  "a.conf:2: Comm=x\\  y: not understood; write names of processes\n" },
                { "[Rule a]\nComm=x\\\\ y\n",
                  "a.conf:2: Comm=x\\\\ y: not understood; write names of processes\n" },
                { "[Rule a]\nMerge=maybe\n",
                  "a.conf:2: Merge=maybe: not understood; write yes, no or never\n" },
                { "[Rule a]\nZeroOnly=x\n", "a.conf:2: ZeroOnly=x: not understood; write yes or no\n" },
                { "[Rule a]\nMechanism=x\n",
                  "a.conf:2: Mechanism=x: not understood; write auto, direct, ksm or observe\n" },
                { "[Rule a]\nTrustDomain=x\n",
                  "a.conf:2: TrustDomain=x: not understood; write user, cgroup or system\n" },
                { "[Rule a]\nOwners=heap,,anon\n",
                  "a.conf:2: Owners=heap,,anon: not understood; write some of library,heap,anon,stack\n" },
                { "[Rule a]\nOwners=heap, anon\n",
                  "a.conf:2: Owners=heap, anon: not understood; write some of library,heap,anon,stack\n" },
                { "[Rule a]\nMinAgeSec=8d\n",
                  "a.conf:2: MinAgeSec=8d: not understood; write a time from 0 to 1w\n" },
                { "[Rule a]\nIntervalSec=0\n",
                  "a.conf:2: IntervalSec=0: not understood; write a time from 1s to 1w\n" },
                { "[Rule a]\nCpuQuota=6401%\n",
                  "a.conf:2: CpuQuota=6401%: not understood; write whole percents, 1% to 6400%\n" },
                { "[Rule a]\nHugePages=yes\n",
                  "a.conf:2: HugePages=yes: not understood; write auto, keep or split\n" },
                { "[Rule a]\nOnErosion=stop\n",
                  "a.conf:2: OnErosion=stop: not understood; write cooldown, unmerge or keep\n" },
                { "[Rule default]\nUnit=x\n",
                  "a.conf:1: rule \"default\": it is for all that no other rule matches, and takes no key "
                  "that matches; give the rule another name\n" },
                { "[Rule a]\nShlib=x\nOnErosion=unmerge\n",
                  "a.conf:3: rule \"a\": OnErosion=unmerge gives back all that a process has merged, and "
                  "cannot be had with Shlib=\n" },
                { "[Rule a]\nComm=x\n\nTrustDomain=system\n",
                  "a.conf:4: rule \"a\": TrustDomain= beyond one user needs processes named by "
                  "Unit=, Cgroup=, User= or Exe=, and not by wildcards alone\n" },
                { "[Rule a]\nShlib=x\nTrustDomain=cgroup\n",
                  "a.conf:3: rule \"a\": TrustDomain= beyond one user needs processes named by "
                  "Unit=, Cgroup=, User= or Exe=, and not by wildcards alone\n" },
                { "[Rule a]\nUser=bob *\nTrustDomain=system\n",
                  "a.conf:3: rule \"a\": TrustDomain= beyond one user needs processes named by "
                  "Unit=, Cgroup=, User= or Exe=, and not by wildcards alone\n" },
                { "[Rule a]\nCgroup=/\nTrustDomain=cgroup\n",
                  "a.conf:3: rule \"a\": TrustDomain= beyond one user needs processes named by "
                  "Unit=, Cgroup=, User= or Exe=, and not by wildcards alone\n" },
                { "[Rule a]\nUser=bob\nTrustDomain=cgroup\n",
                  "a.conf:3: rule \"a\": TrustDomain=cgroup needs Cgroup= or Unit=\n" },
                { "[Rule a]\nUser=bob\nZeroOnly=yes\nMechanism=ksm\n",
                  "a.conf:4: rule \"a\": ZeroOnly=yes cannot be had with Mechanism=ksm, which merges all "
                  "that is equal\n" },
                { "[Rule default]\nTrustDomain=system\n",
                  "a.conf:2: rule \"default\": TrustDomain= beyond one user needs processes named by "
                  "Unit=, Cgroup=, User= or Exe=, and not by wildcards alone\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(samples); i++) {
                _cleanup_(conf_done) struct conf c = {};
                g_autofree char *messages = NULL;

                g_assert_cmpint(read_conf(samples[i].text, &c, &messages), ==, -EINVAL);
                g_assert_cmpstr(messages, ==, samples[i].message);
        }
}

static void test_warnings(void)
{
        _cleanup_(conf_done) struct conf c = {};
        g_autofree char *messages = NULL;

        g_assert_cmpint(read_conf("[Rule a]\nComm=x\nMerges=yes\nX-Mine=1\nOwners=stack\nLogLevel=err\n"
                                  "[Rule]\nUnit=a\nMinAgeSec=1\nMerge=never\n", &c, &messages), ==, 0);
        g_assert_cmpuint(c.n_rules, ==, 2);
        g_assert_cmpuint(c.settings.n, ==, 2);
        g_assert_cmpstr(messages, ==,
                        "a.conf:3: Merges= is not known in [Rule a] and ignored; see mergememd.conf(5)\n"
                        "a.conf:6: LogLevel= is not known in [Rule a] and ignored; see mergememd.conf(5)\n"
                        "a.conf:7: section [Rule] is not known and ignored; [Daemon], [KSM] and [Rule NAME] "
                        "are\n"
                        "a.conf:5: rule \"a\": stacks are not looked at; \"stack\" is ignored\n");
}

static void test_limits(void)
{
        g_autoptr(GString) rules = g_string_new(NULL), patterns = g_string_new("[Rule a]\n");
        _cleanup_(conf_done) struct conf a = {}, b = {}, d = {};
        g_autofree char *no = NULL, *many = NULL, *yes = NULL;
        g_autofree char *longest = g_strnfill(RULE_NAME_MAX, 'n');
        g_autofree char *longer = g_strnfill(RULE_NAME_MAX + 1, 'n');

        g_assert_true(rule_name_is_valid(longest));
        g_assert_false(rule_name_is_valid(longer));

        for (size_t i = 1; i < RULES_MAX; i++)
                g_string_append_printf(rules, "[Rule %zu]\nComm=x\n", i);
        g_assert_cmpint(read_conf(rules->str, &a, &yes), ==, 0);
        g_string_append(rules, "[Rule more]\n");
        g_assert_cmpint(read_conf(rules->str, &b, &no), ==, -E2BIG);
        g_assert_cmpstr(no, ==, "a.conf:511: more than 256 rules\n");

        for (size_t i = 0; i <= RULE_PATTERNS_MAX; i++)
                g_string_append_printf(patterns, "Comm=%zu\n", i);
        g_assert_cmpint(read_conf(patterns->str, &d, &many), ==, -E2BIG);
        g_assert_cmpstr(many, ==,
                        "a.conf:258: Comm=: more than 256 patterns in one rule, or 4096 settings in all\n");
}

static void test_names(void)
{
        static const struct {
                const char *text;
                bool names;
        } samples[] = {
                { "Unit=a", true },          { "Unit=*", false },         { "Unit=*.service", true },
                { "Cgroup=/", false },       { "Cgroup=/*/*", false },    { "Cgroup=/a", true },
                { "Exe=/usr/bin/x", true },  { "Exe=/*", false },         { "User=0", true },
                { "User=??", false },        { "User=a *", false },       { "Comm=a", false },
                { "Shlib=liba.so", false },  { "Comm=a\nUser=b", true },  { "User=*\nUnit=a", true },
        };

        for (size_t i = 0; i < ELEMENTSOF(samples); i++) {
                g_autofree char *text = g_strdup_printf("[Rule a]\n%s\n", samples[i].text), *messages = NULL;
                _cleanup_(conf_done) struct conf c = {};

                g_assert_cmpint(read_conf(text, &c, &messages), ==, 0);
                g_assert_cmpint(rule_names_processes(&c.rules[1]), ==, samples[i].names);
        }
        g_assert_true(pattern_is_glob("a*"));
        g_assert_true(pattern_is_glob("a\\ b"));
        g_assert_false(pattern_is_glob("/usr/bin/a-b.c"));
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/rule/defaults", test_defaults);
        g_test_add_func("/rule/all-keys", test_all_keys);
        g_test_add_func("/rule/override", test_override);
        g_test_add_func("/rule/bad", test_bad);
        g_test_add_func("/rule/warnings", test_warnings);
        g_test_add_func("/rule/limits", test_limits);
        g_test_add_func("/rule/names", test_names);
        return g_test_run();
}
