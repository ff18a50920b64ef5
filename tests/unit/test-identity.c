/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <pwd.h>
#include <signal.h>

#include "daemon/identity.h"
#include "daemon/worker.h"
#include "worker-calls.h"

struct fixture {
        struct worker_calls calls;
        struct identities *identities;
        struct mm_process self;
        struct conf conf;
        char *link;
};

static void set_up(struct fixture *f, const void *data)
{
        g_autofree char *directory = NULL, *text = NULL;

        worker_calls_open(&f->calls);
        g_assert_cmpint(identities_new(f->calls.event, f->calls.worker, &f->identities), ==, 0);
        g_assert_cmpint(mm_process_open(f->calls.proc_fd, getpid(), false, &f->self), ==, 0);

        directory = g_path_get_dirname(f->self.exe);
        f->link = g_build_filename(f->calls.tree, "program", NULL);
        g_assert_cmpint(symlink(f->self.exe, f->link), ==, 0);
        text = g_strdup_printf("[Rule a]\nExe=/no/such/program %s\n[Rule b]\nExe=%s/*\nUser=x* 4711\n",
                               f->link, directory);
        g_assert_cmpint(conf_init(&f->conf), ==, 0);
        g_assert_cmpint(conf_parse("a.conf", text, strlen(text), &f->conf), ==, 0);
}

static void tear_down(struct fixture *f, const void *data)
{
        g_assert_cmpint(unlink(f->link), ==, 0);
        g_free(f->link);
        conf_done(&f->conf);
        mm_process_done(&f->self);
        identities_free(f->identities);
        worker_calls_close(&f->calls);
}

static void on_answered(void *userdata, int error)
{
        g_assert_cmpint(error, ==, 0);
        *(bool *) userdata = true;
}

/* What is known once all is answered; and before that nothing is. */
static void find(struct fixture *f, const struct mm_process *p, struct rule_subject *ret)
{
        bool answered = false;

        g_assert_cmpint(identities_subject(f->identities, &f->conf, p, "a.service", ret), ==, 1);
        g_assert_true(ret->process == p);
        g_assert_cmpstr(ret->unit, ==, "a.service");
        g_assert_null(ret->user);
        g_assert_false(ret->exe_verified);
        g_assert_cmpuint(ret->n_exe_names, ==, 0);

        g_assert_cmpint(identities_wait(f->identities, on_answered, &answered), ==, 0);
        while (!answered)
                g_assert_cmpint(sd_event_run(f->calls.event, UINT64_MAX), >=, 0);
        g_assert_cmpint(identities_subject(f->identities, &f->conf, p, "a.service", ret), ==, 0);
}

static void test_found(struct fixture *f, const void *data)
{
        struct rule_subject s;

        find(f, &f->self, &s);
        g_assert_cmpstr(s.user, ==, getpwuid(getuid())->pw_name);
        g_assert_true(s.exe_verified);
        g_assert_cmpuint(s.n_exe_names, ==, 1);
        g_assert_cmpstr(s.exe_names[0], ==, f->link);
        g_assert_true(rule_match_process(&f->conf.rules[1], &s));
}

/* The same path, but another file there. */
static void test_other_file(struct fixture *f, const void *data)
{
        struct mm_process other = f->self;
        struct rule_subject s;

        other.exe_id.ino++;
        find(f, &other, &s);
        g_assert_false(s.exe_verified);
        g_assert_cmpuint(s.n_exe_names, ==, 0);
        g_assert_false(rule_match_process(&f->conf.rules[1], &s));
}

static void test_no_user(struct fixture *f, const void *data)
{
        struct mm_process other = f->self;
        struct rule_subject s;

        other.ruid = 4294967;
        g_assert_null(getpwuid(other.ruid));
        find(f, &other, &s);
        g_assert_null(s.user);
        g_assert_true(s.exe_verified);
}

static void wait_for_answers(struct fixture *f)
{
        bool answered = false;

        g_assert_cmpint(identities_wait(f->identities, on_answered, &answered), ==, 0);
        while (!answered)
                g_assert_cmpint(sd_event_run(f->calls.event, UINT64_MAX), >=, 0);
}

/* A worker that hangs has not said that there is no such file or user: what a rule says never of by then is
 * in doubt, and nothing else. All users together cost one worker. */
static void test_hang(struct fixture *f, const void *data)
{
        _cleanup_(conf_done) struct conf c = {};
        g_autofree char *text = g_strdup_printf("[Rule a]\nExe=%s\nMerge=never\n"
                                                "[Rule b]\nUser=x*\nMerge=never\n[Rule c]\nExe=%s\n",
                                                f->link, f->link);
        unsigned generation = worker_generation(f->calls.worker);
        struct mm_process other = f->self, third = f->self;
        struct rule_subject s;

        g_assert_cmpint(conf_init(&c), ==, 0);
        g_assert_cmpint(conf_parse("a.conf", text, strlen(text), &c), ==, 0);
        other.ruid = 4294967;
        third.ruid = 4294968;
        third.exe_id.ino++;
        g_assert_cmpint(kill(worker_pid(f->calls.worker), SIGSTOP), ==, 0);
        /* The path first, then users. */
        g_assert_cmpint(identities_subject(f->identities, &c, &f->self, NULL, &s), ==, 1);
        g_assert_cmpint(identities_subject(f->identities, &c, &other, NULL, &s), ==, 1);
        g_assert_cmpint(identities_subject(f->identities, &c, &third, NULL, &s), ==, 1);
        g_assert_true(rule_match_process(&c.rules[1], &s) && rule_match_process(&c.rules[2], &s));
        wait_for_answers(f);
        g_assert_cmpuint(worker_generation(f->calls.worker), ==, generation + 1);

        /* Users were asked for from the next worker, which answered. */
        g_assert_cmpint(identities_subject(f->identities, &c, &f->self, NULL, &s), ==, 0);
        g_assert_cmpstr(s.user, ==, getpwuid(getuid())->pw_name);
        g_assert_true(rule_match_process(&c.rules[1], &s) && rule_is_doubtful(&c.rules[1], &s));
        g_assert_false(rule_match_process(&c.rules[2], &s));
        g_assert_false(rule_match_process(&c.rules[3], &s));

        identities_retry(f->identities);
        g_assert_cmpint(identities_subject(f->identities, &c, &f->self, NULL, &s), ==, 1);
        wait_for_answers(f);
        g_assert_cmpint(identities_subject(f->identities, &c, &f->self, NULL, &s), ==, 0);
        g_assert_true(rule_match_process(&c.rules[1], &s) && !rule_is_doubtful(&c.rules[1], &s));
        g_assert_true(rule_match_process(&c.rules[3], &s));
        /* Another program, and it is known that this is another one. */
        g_assert_cmpint(identities_subject(f->identities, &c, &third, NULL, &s), ==, 0);
        g_assert_false(rule_match_process(&c.rules[1], &s));

        /* What was known once holds for Merge=never also when there is no answer any more. */
        third.ruid = 4294969;
        other.ruid = 4294970;
        g_assert_cmpint(kill(worker_pid(f->calls.worker), SIGSTOP), ==, 0);
        g_assert_cmpint(identities_subject(f->identities, &c, &third, NULL, &s), ==, 1);
        g_assert_cmpint(identities_subject(f->identities, &c, &other, NULL, &s), ==, 1);
        wait_for_answers(f);
        g_assert_cmpuint(worker_generation(f->calls.worker), ==, generation + 2);
        g_assert_cmpint(identities_subject(f->identities, &c, &third, NULL, &s), ==, 0);
        g_assert_true(rule_match_process(&c.rules[2], &s) && rule_is_doubtful(&c.rules[2], &s));
        g_assert_false(rule_match_process(&c.rules[1], &s));
        third.ruid = 4294971;
        g_assert_cmpint(identities_subject(f->identities, &c, &third, NULL, &s), ==, 0);
        g_assert_true(rule_match_process(&c.rules[2], &s));
        g_assert_cmpint(identities_subject(f->identities, &c, &f->self, NULL, &s), ==, 0);
        g_assert_false(rule_match_process(&c.rules[2], &s));
}

/* More names of one program in rules than are kept: none of those that say never is passed over. */
static void test_many_names(struct fixture *f, const void *data)
{
        _cleanup_(conf_done) struct conf c = {};
        GString *text = g_string_new(NULL);
        struct rule_subject s;

        for (unsigned i = 0; i <= RULE_EXE_NAMES_MAX; i++) {
                g_autofree char *directory = g_path_get_dirname(f->link);
                g_autofree char *name = g_path_get_basename(f->link);

                g_string_append_printf(text, "[Rule %u]\nMerge=%s\nExe=%s", i,
                                       i < RULE_EXE_NAMES_MAX ? "no" : "never", directory);
                for (unsigned k = 0; k <= i; k++)
                        g_string_append(text, "/.");
                g_string_append_printf(text, "/%s\n", name);
        }
        g_assert_cmpint(conf_init(&c), ==, 0);
        g_assert_cmpint(conf_parse("a.conf", text->str, text->len, &c), ==, 0);
        g_assert_cmpint(identities_subject(f->identities, &c, &f->self, NULL, &s), ==, 1);
        wait_for_answers(f);
        g_assert_cmpint(identities_subject(f->identities, &c, &f->self, NULL, &s), ==, 0);
        g_assert_cmpint(rules_for_process(&c, &s)->merge, ==, RULE_MERGE_NEVER);
        g_string_free(text, TRUE);
}

/* More programs than are kept. */
static void test_many(struct fixture *f, const void *data)
{
        struct rule_subject s;

        for (unsigned i = 0; i < 3000; i++) {
                g_autofree char *path = g_strdup_printf("/no/such/directory/%u", i);
                struct mm_process other = f->self;

                other.exe = path;
                g_assert_cmpint(identities_subject(f->identities, &f->conf, &other, NULL, &s), ==, 1);
        }
        find(f, &f->self, &s);
        g_assert_true(s.exe_verified);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add("/identity/found", struct fixture, NULL, set_up, test_found, tear_down);
        g_test_add("/identity/other-file", struct fixture, NULL, set_up, test_other_file, tear_down);
        g_test_add("/identity/no-user", struct fixture, NULL, set_up, test_no_user, tear_down);
        g_test_add("/identity/hang", struct fixture, NULL, set_up, test_hang, tear_down);
        g_test_add("/identity/many-names", struct fixture, NULL, set_up, test_many_names, tear_down);
        g_test_add("/identity/many", struct fixture, NULL, set_up, test_many, tear_down);
        return g_test_run();
}
