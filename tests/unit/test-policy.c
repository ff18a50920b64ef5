/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "daemon/policy.h"

static struct mm_process a_process(void)
{
        struct mm_process p = MM_PROCESS_NULL;

        p.pid = 100;
        p.ruid = p.euid = p.suid = p.fsuid = 1000;
        p.user_ns = (struct mm_file_id) { .dev = 4, .ino = 11 };
        p.pid_ns = (struct mm_file_id) { .dev = 4, .ino = 12 };
        p.mnt_ns = (struct mm_file_id) { .dev = 4, .ino = 13 };
        strcpy(p.comm, "worker");
        p.exe = (char *) "/usr/bin/worker";
        p.cgroup = (char *) "/a/b";
        p.state = 'S';
        p.dumpable = true;
        return p;
}

static void set_uids(struct mm_process *p, uid_t ruid, uid_t euid, uid_t suid, uid_t fsuid)
{
        p->ruid = ruid;
        p->euid = euid;
        p->suid = suid;
        p->fsuid = fsuid;
}

static void expect(const struct mm_process *p, enum exclusion plain, enum exclusion named)
{
        g_test_message("%s %s", p->comm, p->exe);
        g_assert_cmpint(policy_exclude(p, false), ==, plain);
        g_assert_cmpint(policy_exclude(p, true), ==, named);
}

static void test_words(void)
{
        g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

        g_assert_cmpstr(exclusion_to_string(EXCLUSION_NONE), ==, "");
        for (int i = 0; i < EXCLUSION_MAX_; i++)
                g_assert_true(g_hash_table_add(seen, (char *) exclusion_to_string((enum exclusion) i)));
}

/* What cannot be looked at at all, whatever names it. */
static void test_never(void)
{
        struct mm_process p = a_process();

        expect(&p, EXCLUSION_NONE, EXCLUSION_NONE);
        p.pid = 1;
        expect(&p, EXCLUSION_INIT, EXCLUSION_INIT);

        p = a_process();
        p.state = 'Z';
        expect(&p, EXCLUSION_ENDED, EXCLUSION_ENDED);
        p.state = 'X';
        expect(&p, EXCLUSION_ENDED, EXCLUSION_ENDED);
        for (const char *state = "RSDTtI"; *state; state++) {
                p.state = *state;
                expect(&p, EXCLUSION_NONE, EXCLUSION_NONE);
        }

        p = a_process();
        p.kernel_thread = true;
        p.exe = NULL;
        expect(&p, EXCLUSION_KERNEL, EXCLUSION_KERNEL);
}

static void test_privileged(void)
{
        struct mm_process p = a_process();

        p.dumpable = false;
        expect(&p, EXCLUSION_NOT_DUMPABLE, EXCLUSION_NONE);

        /* Each of the other uids counts. */
        p = a_process();
        set_uids(&p, 1000, 0, 1000, 1000);
        expect(&p, EXCLUSION_PRIVILEGED, EXCLUSION_NONE);
        set_uids(&p, 1000, 1000, 0, 1000);
        expect(&p, EXCLUSION_PRIVILEGED, EXCLUSION_NONE);
        set_uids(&p, 1000, 1000, 1000, 0);
        expect(&p, EXCLUSION_PRIVILEGED, EXCLUSION_NONE);
        set_uids(&p, 0, 1000, 1000, 1000);
        expect(&p, EXCLUSION_PRIVILEGED, EXCLUSION_NONE);
        set_uids(&p, 1000, 1001, 1001, 1001);
        expect(&p, EXCLUSION_PRIVILEGED, EXCLUSION_NONE);

        p = a_process();
        p.cap_effective = 1U << 10;
        expect(&p, EXCLUSION_PRIVILEGED, EXCLUSION_NONE);
        p = a_process();
        p.cap_permitted = 1ULL << 40;
        expect(&p, EXCLUSION_PRIVILEGED, EXCLUSION_NONE);
        /* root has them anyway. */
        set_uids(&p, 0, 0, 0, 0);
        p.cap_effective = p.cap_permitted;
        expect(&p, EXCLUSION_NONE, EXCLUSION_NONE);
}

static void test_programs(void)
{
        static const struct {
                const char *name;
                enum exclusion why;
        } cases[] = {
                { "sshd", EXCLUSION_SECRETS },
                { "sshd-session", EXCLUSION_SECRETS },
                { "ssh-agent", EXCLUSION_SECRETS },
                { "gpg-agent", EXCLUSION_SECRETS },
                { "pinentry-curses", EXCLUSION_SECRETS },
                { "sudo", EXCLUSION_SECRETS },
                { "su", EXCLUSION_SECRETS },
                { "polkitd", EXCLUSION_SECRETS },
                { "gnome-keyring-daemon", EXCLUSION_SECRETS },
                { "gnome-keyring-d", EXCLUSION_SECRETS }, /* as comm has it */
                { "kwalletd5", EXCLUSION_SECRETS },
                { "firefox", EXCLUSION_MIXED },
                { "firefox-esr", EXCLUSION_MIXED },
                { "chrome", EXCLUSION_MIXED },
                { "chromium", EXCLUSION_MIXED },
                { "Web Content", EXCLUSION_MIXED },
                { "Isolated Web Co", EXCLUSION_MIXED },
                { "WebKitWebProces", EXCLUSION_MIXED },
                { "WebKitWebProcess", EXCLUSION_MIXED },
                { "thunderbird", EXCLUSION_MIXED },
                { "ssh", EXCLUSION_NONE },
                { "xsshd", EXCLUSION_NONE },
                { "sudoku", EXCLUSION_NONE },
                { "supervisord", EXCLUSION_NONE },
                { "ssh-agent2", EXCLUSION_NONE },
                { "Firefox", EXCLUSION_NONE },
                { "python3", EXCLUSION_NONE },
                { "*", EXCLUSION_NONE },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                g_autofree char *path = g_strconcat("/usr/bin/", cases[i].name, NULL);
                struct mm_process p = a_process();

                /* Either name does. */
                strcpy(p.comm, cases[i].name);
                expect(&p, cases[i].why, EXCLUSION_NONE);
                p.exe = NULL;
                expect(&p, cases[i].why, EXCLUSION_NONE);
                strcpy(p.comm, "worker");
                p.exe = path;
                expect(&p, cases[i].why, EXCLUSION_NONE);
        }
}

/* A name of a directory is not the program's. */
static void test_program_path(void)
{
        struct mm_process p = a_process();

        p.exe = (char *) "/opt/sshd/worker";
        expect(&p, EXCLUSION_NONE, EXCLUSION_NONE);
        p.exe = (char *) "/opt/worker/sshd";
        expect(&p, EXCLUSION_SECRETS, EXCLUSION_NONE);
}

static char *domain(enum trust trust, const struct mm_process *p, const char *unit, const char *cgroup)
{
        char *text = NULL;

        g_assert_cmpint(policy_domain(trust, p, unit, cgroup, &text), ==, 0);
        g_assert_nonnull(text);
        return text;
}

struct subject {
        struct mm_process process;
        const char *unit;
};

/* All pairs: equal words for equal trust, and for nothing else. */
static void check_distinct(const struct subject *subjects, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                g_autofree char *a = domain(TRUST_USER, &subjects[i].process, subjects[i].unit, NULL);

                for (size_t k = 0; k < n; k++) {
                        const struct subject *other = &subjects[k];
                        g_autofree char *b = domain(TRUST_USER, &other->process, other->unit, NULL);

                        g_test_message("%s; %s", a, b);
                        g_assert_cmpint(g_str_equal(a, b), ==, i == k);
                }
        }
}

static void test_user(void)
{
        struct subject s[9];
        g_autofree char *a = NULL, *b = NULL;

        for (size_t i = 0; i < ELEMENTSOF(s); i++)
                s[i] = (struct subject) { .process = a_process() };
        set_uids(&s[1].process, 1001, 1000, 1000, 1000);
        set_uids(&s[2].process, 1000, 1001, 1000, 1000);
        set_uids(&s[3].process, 1000, 1000, 1001, 1000);
        set_uids(&s[4].process, 1000, 1000, 1000, 1001);
        set_uids(&s[5].process, 1001, 1001, 1001, 1001);
        s[6].process.user_ns.ino++;
        s[7].process.pid_ns.ino++;
        s[8].process.mnt_ns.ino++;
        check_distinct(s, ELEMENTSOF(s));

        /* Nothing else of a process counts. */
        s[1] = s[0];
        s[1].process.pid++;
        strcpy(s[1].process.comm, "other");
        s[1].process.exe = (char *) "/other";
        s[1].process.cgroup = (char *) "/other";
        a = domain(TRUST_USER, &s[0].process, "one.service", "/a");
        b = domain(TRUST_USER, &s[1].process, "two.service", "/b");
        g_assert_cmpstr(a, ==, b);
}

/* root's processes share within a unit; without systemd, within a cgroup. */
static void test_root(void)
{
        struct subject s[13];
        g_autofree char *a = NULL, *b = NULL;

        for (size_t i = 0; i < ELEMENTSOF(s); i++) {
                s[i] = (struct subject) { .process = a_process(), .unit = "one.service" };
                set_uids(&s[i].process, 0, 0, 0, 0);
        }
        s[1].unit = "two.service";
        s[2].unit = NULL;
        s[3].unit = NULL;
        s[3].process.cgroup = (char *) "/one.service";
        s[4].unit = NULL;
        s[4].process.cgroup = NULL;
        /* root that has put it on or off for a while is root. */
        for (size_t i = 5; i < ELEMENTSOF(s); i++) {
                uid_t u[4] = { 1000, 1000, 1000, 1000 };

                u[(i - 5) / 2] = 0;
                set_uids(&s[i].process, u[0], u[1], u[2], u[3]);
                s[i].unit = i % 2 ? "one.service" : "two.service";
        }
        check_distinct(s, ELEMENTSOF(s));

        s[1] = s[0];
        s[1].process.pid++;
        s[1].process.cgroup = (char *) "/other";
        a = domain(TRUST_USER, &s[0].process, "one.service", "/a");
        b = domain(TRUST_USER, &s[1].process, "one.service", "/b");
        g_assert_cmpstr(a, ==, b);
}

static void test_cgroup(void)
{
        struct mm_process p = a_process(), q = a_process();
        g_autofree char *a = domain(TRUST_CGROUP, &p, NULL, "/a"), *b = NULL, *c = NULL;

        /* Users may differ there. */
        set_uids(&q, 0, 0, 0, 0);
        q.cgroup = (char *) "/a/c";
        b = domain(TRUST_CGROUP, &q, "some.service", "/a");
        g_assert_cmpstr(a, ==, b);
        c = domain(TRUST_CGROUP, &p, NULL, "/a/b");
        g_assert_cmpstr(a, !=, c);

        /* Namespaces may not. */
        for (int i = 0; i < 3; i++) {
                g_autofree char *d = NULL;

                q = a_process();
                (i == 0 ? &q.user_ns : i == 1 ? &q.pid_ns : &q.mnt_ns)->ino++;
                d = domain(TRUST_CGROUP, &q, NULL, "/a");
                g_assert_cmpstr(a, !=, d);
        }
}

static void test_system(void)
{
        struct mm_process p = a_process(), q = a_process();
        g_autofree char *a = domain(TRUST_SYSTEM, &p, NULL, "/a"), *b = NULL, *c = NULL;

        set_uids(&q, 0, 0, 0, 0);
        q.user_ns.ino = q.pid_ns.ino = q.mnt_ns.ino = 1;
        b = domain(TRUST_SYSTEM, &q, "some.service", NULL);
        g_assert_cmpstr(a, ==, b);

        /* The kinds of trust do not meet. */
        c = domain(TRUST_USER, &p, NULL, NULL);
        g_assert_cmpstr(a, !=, c);
}

/* What the kernel would not tell him we do not either. */
static void test_own_memory(void)
{
        struct mm_process p = a_process();

        g_assert_true(policy_own_memory_is_told(&p, 1000));
        g_assert_false(policy_own_memory_is_told(&p, 1001));
        strcpy(p.comm, "firefox");
        g_assert_true(policy_own_memory_is_told(&p, 1000));
        p.dumpable = false;
        g_assert_false(policy_own_memory_is_told(&p, 1000));
        p.dumpable = true;
        p.cap_permitted = 1;
        g_assert_false(policy_own_memory_is_told(&p, 1000));
        p.cap_permitted = 0;
        set_uids(&p, 1000, 1000, 0, 1000);
        g_assert_false(policy_own_memory_is_told(&p, 1000));
        set_uids(&p, 1000, 1000, 1000, 1000);
        p.pid = 1;
        g_assert_false(policy_own_memory_is_told(&p, 1000));
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/policy/exclude/words", test_words);
        g_test_add_func("/policy/exclude/never", test_never);
        g_test_add_func("/policy/exclude/privileged", test_privileged);
        g_test_add_func("/policy/exclude/programs", test_programs);
        g_test_add_func("/policy/exclude/program-path", test_program_path);
        g_test_add_func("/policy/own-memory", test_own_memory);
        g_test_add_func("/policy/domain/user", test_user);
        g_test_add_func("/policy/domain/root", test_root);
        g_test_add_func("/policy/domain/cgroup", test_cgroup);
        g_test_add_func("/policy/domain/system", test_system);
        return g_test_run();
}
