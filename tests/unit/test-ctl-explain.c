/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl/verb-explain.h"

#include <glib.h>
#include <locale.h>

/* What is said of a process, word for word. Pages are of 4 KiB. */

#define TEXT(s) ((char *) (s))
#define LIST(items_) { .items = (items_), .n = ELEMENTSOF(items_) }

static char *explain(const struct explanation *e, bool legend, enum json_mode json, uint64_t limit)
{
        struct output out = { .json = json, .legend = legend, .width = 80 };
        char *text = NULL;
        size_t size;

        out.file = open_memstream(&text, &size);
        g_assert_cmpint(explanation_print(&out, e, 63000000, limit), ==, 0);
        fclose(out.file);
        return text;
}

static void assert_explains(const struct explanation *e, const char *expected)
{
        char *text = explain(e, true, JSON_OFF, 10);

        g_assert_cmpstr(text, ==, expected);
        free(text);
}

static void test_words(void)
{
        struct explained_owner memory[] = {
                { TEXT("heap"), TEXT("/usr/bin/app"), TEXT("default"),
                  { .present_pages = 900, .duplicate_frames = 512, .zero_frames = 256 } },
        };
        struct explanation e = {
                .pid = 4711,
                .uid = 33,
                .comm = TEXT("app"),
                .exe = TEXT("/usr/bin/app"),
                .unit = TEXT("app.service"),
                .rule = TEXT("default"),
                .merge = TEXT("yes"),
                .zero_only = true,
                .trust = TEXT("user"),
                .mechanism = TEXT("ksm"),
                .mechanism_works = true,
                .domain = TEXT("user 33"),
                .busy_domain = TEXT(""),
                .excluded = TEXT(""),
                .min_age_usec = 10000000,
                .figures = { .present_pages = 1024, .duplicate_frames = 512, .zero_frames = 256,
                             .merged_pages = 1, .saved_bytes = 4096, .written_pages = 2,
                             .last_scan_usec = 1000000 },
                .owners = LIST(memory),
        };

        assert_explains(&e,
                "Process 4711 is app (/usr/bin/app) of user 33, in the unit app.service.\n"
                "No rule is about it in particular, so \"default\" decides: it is looked at, and only pages "
                "of zeros are merged, once it is 10.0s old.\n"
                "Its pages may meet only those of the trust domain \"user 33\".\n"
                "It was looked at 1min 2s ago: of 4.0 MiB of private memory, merging would free 2.0 MiB, "
                "1.0 MiB of it zeros.\n"
                "Merged are 1 page, which saves 4.0 KiB.\n"
                "2 merged pages were written to since, and are alone again.\n"
                "To have all of it merged from now on: mergememctl enable --unit=app.service\n"
                "\n"
                "KIND FREEABLE   ZEROS SAVED RULE    OWNER\n"
                "heap  2.0 MiB 1.0 MiB   0 B default app\n");

        /* A rule that merges all needs no command; one that says never cannot be lifted by one. */
        e.owners.n = 0;
        e.figures = (struct figures){};
        e.rule = TEXT("app");
        e.rule_file = TEXT("/etc/mergemem/mergememd.conf.d/app.conf");
        e.rule_line = 3;
        e.zero_only = false;
        e.busy = true;
        e.busy_domain = TEXT("user 34");
        assert_explains(&e,
                "Process 4711 is app (/usr/bin/app) of user 33, in the unit app.service.\n"
                "The rule \"app\" (/etc/mergemem/mergememd.conf.d/app.conf, line 3) decides about it: it is "
                "looked at and merged, once it is 10.0s old.\n"
                "Its pages may meet only those of the trust domain \"user 33\".\n"
                "KSM keeps no domains apart and is used for another one, \"user 34\":\n"
                "nothing of this one is merged as long as that is.\n"
                "It was not looked at yet since the service started.\n");
        /* Who is not to know. */
        e.busy_domain = TEXT("");
        assert_explains(&e,
                "Process 4711 is app (/usr/bin/app) of user 33, in the unit app.service.\n"
                "The rule \"app\" (/etc/mergemem/mergememd.conf.d/app.conf, line 3) decides about it: it is "
                "looked at and merged, once it is 10.0s old.\n"
                "Its pages may meet only those of the trust domain \"user 33\".\n"
                "KSM keeps no domains apart and is used for another one:\n"
                "nothing of this one is merged as long as that is.\n"
                "It was not looked at yet since the service started.\n");
        e.merge = TEXT("never");
        e.excluded = TEXT("a rule says never");
        assert_explains(&e,
                "Process 4711 is app (/usr/bin/app) of user 33, in the unit app.service.\n"
                "The rule \"app\" (/etc/mergemem/mergememd.conf.d/app.conf, line 3) decides about it.\n"
                "It is left alone: a rule says never.\n"
                "It was not looked at yet since the service started.\n");

        /* What is left alone unless it is named can be named. */
        e.merge = TEXT("yes");
        e.zero_only = true;
        e.rule_file = NULL;
        e.rule = TEXT("default");
        e.unit = TEXT("");
        e.excluded = TEXT("holds keys or passwords");
        e.liftable = true;
        assert_explains(&e,
                "Process 4711 is app (/usr/bin/app) of user 33.\n"
                "No rule is about it in particular, so \"default\" decides.\n"
                "It is left alone: holds keys or passwords.\n"
                "A rule that names it by unit, cgroup, user or program would lift that.\n"
                "It was not looked at yet since the service started.\n"
                "To have all of it merged from now on: mergememctl enable --exe=/usr/bin/app\n");
}

/* No more owners than asked for, and so many others; in JSON all. */
static void test_limit(void)
{
        struct explained_owner memory[] = {
                { TEXT("heap"), TEXT("/usr/bin/app"), TEXT("default"), { .duplicate_frames = 512 } },
                { TEXT("anon"), TEXT("/usr/bin/app"), TEXT("default"), { .duplicate_frames = 256 } },
                { TEXT("stack"), TEXT("/usr/bin/app"), TEXT("default"), { .duplicate_frames = 128 } },
        };
        const struct explanation e = {
                .pid = 4711,
                .comm = TEXT("app"),
                .exe = TEXT(""),
                .unit = TEXT(""),
                .rule = TEXT("default"),
                .merge = TEXT("yes"),
                .trust = TEXT("user"),
                .mechanism = TEXT("ksm"),
                .mechanism_works = true,
                .domain = TEXT("user 33"),
                .busy_domain = TEXT(""),
                .excluded = TEXT(""),
                .owners = LIST(memory),
        };
        static const struct {
                uint64_t limit;
                bool legend, stack;
                enum json_mode json;
                const char *end;
        } cases[] = {
                { 1, true, false, JSON_OFF, "\n\n2 more owners; --limit=0 shows all.\n" },
                { 2, true, false, JSON_OFF, "\n\n1 more owner; --limit=0 shows all.\n" },
                { 2, false, false, JSON_OFF, " app\n" },
                { 3, true, true, JSON_OFF, " app\n" },
                { 0, true, true, JSON_OFF, " app\n" },
                { 1, true, true, JSON_SHORT, "}]}\n" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char *text = explain(&e, cases[i].legend, cases[i].json, cases[i].limit);

                g_test_message("%s", text);
                g_assert_true(g_str_has_suffix(text, cases[i].end));
                g_assert_true(!!strstr(text, "stack") == cases[i].stack);
                free(text);
        }
}

int main(int argc, char *argv[])
{
        setlocale(LC_CTYPE, "C.UTF-8");
        g_assert_cmpint(sysconf(_SC_PAGESIZE), ==, 4096);

        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/ctl/explain/words", test_words);
        g_test_add_func("/ctl/explain/limit", test_limit);
        return g_test_run();
}
