/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <signal.h>

#include "children.h"
#include "client.h"
#include "frames.h"
#include "shared/macro.h"
#include "shared/names.h"

/* What the service tells of memory, pages and who shares them: against the kernel's own figures, and to whom
 * it tells what. */

#define PAGE 4096U
#define PAGES 300U
#define HUGE_PAGES 2048U

#define FLAG_ANON (UINT64_C(1) << 12)
#define FLAG_KSM (UINT64_C(1) << 21)
#define FLAG_SINGLE (UINT64_C(1) << 63)
#define FLAGS_OF_USERS (FLAG_SINGLE | UINT64_C(1) << 62 | UINT64_C(1) << 61 | UINT64_C(1) << 24)

static struct harness h;

/* In bytes, but for the last two. */
struct usage {
        uint64_t rss, pss, uss, swap, ksm;
        uint32_t processes, unread;
};

static uint64_t smaps_field(const char *text, const char *name)
{
        char *key = g_strdup_printf("\n%s:", name);
        const char *at = strstr(text, key);
        uint64_t value = at ? g_ascii_strtoull(at + strlen(key), NULL, 10) : 0;

        g_free(key);
        return value * 1024;
}

/* What the kernel says, in whole KiB. */
static struct usage kernel_says(pid_t pid)
{
        char *path = g_strdup_printf("/proc/%d/smaps_rollup", (int)pid), *text;
        struct usage u;

        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        u = (struct usage){
                .rss = smaps_field(text, "Rss"),
                .pss = smaps_field(text, "Pss"),
                .uss = smaps_field(text, "Private_Clean") + smaps_field(text, "Private_Dirty"),
                .swap = smaps_field(text, "Swap"),
                .ksm = smaps_field(text, "KSM"),
        };
        g_free(text);
        g_free(path);
        return u;
}

static sd_bus_message *call_memory(sd_bus *bus, const struct what *what, const char *by, sd_bus_error *error)
{
        sd_bus_message *m, *reply = NULL;

        g_assert_cmpint(sd_bus_message_new_method_call(bus, &m, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                                       MERGEMEM_MANAGER_INTERFACE, "Memory"),
                        >=, 0);
        g_assert_cmpint(what_append(m, what), >=, 0);
        g_assert_cmpint(sd_bus_message_append(m, "s", by), >=, 0);
        (void) sd_bus_call(bus, m, 120 * UINT64_C(1000000), error, &reply);
        sd_bus_message_unref(m);
        return reply;
}

static void read_more(sd_bus_message *m, struct usage *u, uint32_t *ret_pid)
{
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "{sv}"), >, 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                const char *key;

                g_assert_cmpint(sd_bus_message_read(m, "s", &key), >, 0);
                if (streq(key, "pid"))
                        g_assert_cmpint(sd_bus_message_read(m, "v", "u", ret_pid), >, 0);
                else if (streq(key, "ksm_bytes"))
                        g_assert_cmpint(sd_bus_message_read(m, "v", "t", &u->ksm), >, 0);
                else if (streq(key, "unread_processes"))
                        g_assert_cmpint(sd_bus_message_read(m, "v", "u", &u->unread), >, 0);
                else
                        g_assert_cmpint(sd_bus_message_skip(m, "v"), >, 0);
                g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
        }
        g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
}

/* The row of process @pid, or that whose name ends in @name, or, if both are not given, the sum of all.
 * Returns how many rows there are. */
static size_t memory(sd_bus *bus, const struct what *what, const char *by, pid_t pid, const char *name,
                     struct usage *ret)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *m = call_memory(bus, what, by, &error);
        size_t n = 0;

        if (!m)
                g_error("Memory: %s", error.message);
        *ret = (struct usage){ 0 };
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "(sutttta{sv})"), >, 0);
        while (sd_bus_message_enter_container(m, 'r', "sutttta{sv}") > 0) {
                struct usage u = { 0 };
                uint32_t his_pid = 0;
                const char *his_name;

                g_assert_cmpint(sd_bus_message_read(m, "sutttt", &his_name, &u.processes, &u.rss, &u.pss,
                                                    &u.uss, &u.swap),
                                >, 0);
                read_more(m, &u, &his_pid);
                n++;
                if ((pid == 0 || (pid_t)his_pid == pid) && (!name || g_str_has_suffix(his_name, name))) {
                        ret->rss += u.rss;
                        ret->pss += u.pss;
                        ret->uss += u.uss;
                        ret->swap += u.swap;
                        ret->ksm += u.ksm;
                        ret->processes += u.processes;
                        ret->unread += u.unread;
                }
                g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
        }
        sd_bus_message_unref(m);
        return n;
}

/* To the byte; only fractions of KiB the kernel does not tell. Others may come to map the same files while
 * we look, and end: then it is tried again. */
static void assert_exact(pid_t pid)
{
        const struct what his = { .pids = &pid, .n_pids = 1 };

        for (unsigned i = 0;; i++) {
                struct usage kernel, u;

                memory(h.bus, &his, "process", pid, NULL, &u);
                kernel = kernel_says(pid);
                u.pss -= u.pss % 1024;
                if (u.rss == kernel.rss && u.pss == kernel.pss && u.uss == kernel.uss &&
                    u.swap == kernel.swap && u.ksm == kernel.ksm)
                        return;
                g_test_message("%d: RSS %" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT " PSS %" G_GUINT64_FORMAT
                               "/%" G_GUINT64_FORMAT " USS %" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT
                               " KSM %" G_GUINT64_FORMAT "/%" G_GUINT64_FORMAT, (int)pid, u.rss, kernel.rss,
                               u.pss, kernel.pss, u.uss, kernel.uss, u.ksm, kernel.ksm);
                g_assert_cmpuint(i, <, 50);
                sleep_msec(20);
        }
}

static void test_exact(void)
{
        struct child *c[3];
        pid_t pids[5];
        char *answer;

        children_start(&h, UID_FIRST, c, pids, 3);
        for (size_t i = 0; i < 3; i++) {
                child_area(c[i], PAGES, 41, 1);
                child_say(c[i], "load %s 5", h.library);
        }
        /* Huge pages, and what two children have inherited of all that, with some of it written to. */
        answer = child_ask(c[0], "map %u", HUGE_PAGES);
        child_say(c[0], "huge %s", answer);
        child_say(c[0], "fill %s 9 1", answer);
        pids[3] = child_fork(c[0]);
        pids[4] = child_fork(c[0]);
        child_say(c[0], "child 0 write 0 7 100 1");
        child_say(c[0], "child 1 write %s 700 100 1", answer);
        g_free(answer);
        for (size_t i = 0; i < 5; i++)
                g_assert_cmpint(kill(pids[i], SIGSTOP), ==, 0);
        for (size_t i = 0; i < 5; i++)
                assert_exact(pids[i]);
        for (size_t i = 0; i < 5; i++)
                g_assert_cmpint(kill(pids[i], SIGCONT), ==, 0);

        /* The same where KSM has a part in it. */
        g_free(job_run(h.bus, "Merge", &(struct what){ .pids = pids, .n_pids = 3 }));
        for (size_t i = 0; i < 5; i++)
                g_assert_cmpint(kill(pids[i], SIGSTOP), ==, 0);
        for (size_t i = 0; i < 5; i++)
                assert_exact(pids[i]);
        for (size_t i = 1; i < 3; i++) {
                struct usage u;

                memory(h.bus, &(struct what){ .pids = pids, .n_pids = 5 }, "process", pids[i], NULL, &u);
                g_assert_cmpuint(u.ksm, >=, PAGES * PAGE);
        }
        for (size_t i = 0; i < 5; i++)
                g_assert_cmpint(kill(pids[i], SIGCONT), ==, 0);
        job_undo(h.bus, &(struct what){ .pids = pids, .n_pids = 5 });
        children_verify(c, 3);
        children_end(c, 3);
}

/* However it is put together it is the same memory. */
static void test_by(void)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        static const char *const kinds[] = { "program", "user", "cgroup", "library" };
        struct child *c[2], *other = child_start(&h, UID_SECOND);
        struct usage each, u;
        struct what what;
        pid_t pids[3];

        children_start(&h, UID_FIRST, c, pids, 2);
        pids[2] = other->pid;
        for (size_t i = 0; i < 2; i++) {
                child_area(c[i], PAGES, 3, 1);
                child_say(c[i], "load %s 5", h.library);
        }
        what = (struct what){ .pids = pids, .n_pids = 3 };
        g_assert_cmpuint(memory(h.bus, &what, "process", 0, NULL, &each), ==, 3);
        g_assert_cmpuint(each.processes, ==, 3);
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                g_test_message("%s", kinds[i]);
                memory(h.bus, &what, kinds[i], 0, NULL, &u);
                g_assert_cmpuint(u.rss, ==, each.rss);
                g_assert_cmpuint(u.swap, ==, each.swap);
                g_assert_cmpuint(u.unread, ==, 0);
        }
        g_assert_cmpuint(memory(h.bus, &what, "program", 0, "/mm-target", &u), ==, 1);
        g_assert_cmpuint(u.processes, ==, 3);
        g_assert_cmpuint(memory(h.bus, &what, "user", 0, "nobody", &u), ==, 2);
        g_assert_cmpuint(u.processes, ==, 2);
        g_assert_cmpuint(u.uss, >=, 2 * PAGES * PAGE);
        memory(h.bus, &what, "library", 0, h.library, &u);
        g_assert_cmpuint(u.processes, ==, 2);
        g_assert_cmpuint(u.uss, >=, 2 * 60 * PAGE);
        g_assert_cmpuint(u.uss, <, 2 * PAGES * PAGE);
        each = u;

        /* A library narrows it down to what is its own, in those who have it. */
        what.shlib = "libtarget";
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                memory(h.bus, &what, kinds[i], 0, NULL, &u);
                g_assert_cmpuint(u.processes, ==, 2);
                g_assert_cmpuint(u.rss, ==, each.rss);
                g_assert_cmpuint(u.uss, ==, each.uss);
        }
        g_assert_cmpuint(memory(h.bus, &what, "process", 0, NULL, &u), ==, 2);
        g_assert_cmpuint(u.rss, ==, each.rss);
        what.shlib = "libnowhere";
        g_assert_null(call_memory(h.bus, &what, "process", &error));
        g_assert_cmpstr(error.name, ==, MERGEMEM_ERROR_NO_SUCH_LIBRARY);
        sd_bus_error_free(&error);
        children_end(c, 2);
        child_end(other);
}

/* Options of Pages and Sharing; what is NULL or 0 is not said. */
struct options {
        uint64_t from, to;
        uint32_t max;
        const char *owner, *flags;
        bool others;
};

static void append_options(sd_bus_message *m, const struct options *o)
{
        g_assert_cmpint(sd_bus_message_open_container(m, 'a', "{sv}"), >=, 0);
        if (o->from > 0)
                g_assert_cmpint(sd_bus_message_append(m, "{sv}", "from", "t", o->from), >=, 0);
        if (o->to > 0)
                g_assert_cmpint(sd_bus_message_append(m, "{sv}", "to", "t", o->to), >=, 0);
        if (o->max > 0)
                g_assert_cmpint(sd_bus_message_append(m, "{sv}", "max", "u", o->max), >=, 0);
        if (o->owner)
                g_assert_cmpint(sd_bus_message_append(m, "{sv}", "owner", "s", o->owner), >=, 0);
        if (o->flags)
                g_assert_cmpint(sd_bus_message_append(m, "{sv}", "flags", "as", 1, o->flags), >=, 0);
        if (o->others)
                g_assert_cmpint(sd_bus_message_append(m, "{sv}", "others", "b", 1), >=, 0);
        g_assert_cmpint(sd_bus_message_close_container(m), >=, 0);
}

static sd_bus_message *call_about(sd_bus *bus, const char *method, pid_t pid, const struct options *o,
                                  sd_bus_error *error)
{
        sd_bus_message *m, *reply = NULL;

        g_assert_cmpint(sd_bus_message_new_method_call(bus, &m, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                                       MERGEMEM_MANAGER_INTERFACE, method),
                        >=, 0);
        g_assert_cmpint(sd_bus_message_append(m, "u", (uint32_t)pid), >=, 0);
        append_options(m, o);
        (void) sd_bus_call(bus, m, 120 * UINT64_C(1000000), error, &reply);
        sd_bus_message_unref(m);
        return reply;
}

static void assert_refused(sd_bus *bus, const char *method, pid_t pid, const struct options *o,
                           const char *name)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *m = call_about(bus, method, pid, o, &error);

        g_assert_null(m);
        g_test_message("%s", error.message);
        g_assert_cmpstr(error.name, ==, name);
        sd_bus_error_free(&error);
}

/* What answers to Pages came to. */
struct pages {
        uint64_t n, first_frame, first_address;
        uint64_t all_flags, some_flags, frames;
        unsigned n_answers, n_runs;
};

static void read_pages(sd_bus_message *m, uint64_t from, struct pages *p, uint64_t *ret_next)
{
        uint64_t address, n, frame, count, flags;
        const char *kind, *owner;

        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "(tttttssa{sv})"), >, 0);
        while (sd_bus_message_enter_container(m, 'r', "tttttssa{sv}") > 0) {
                g_assert_cmpint(sd_bus_message_read(m, "tttttss", &address, &n, &frame, &count, &flags,
                                                    &kind, &owner),
                                >, 0);
                g_assert_cmpint(sd_bus_message_skip(m, "a{sv}"), >, 0);
                g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
                g_assert_cmpuint(address, >=, from);
                from = address + n * PAGE;
                if (p->n_runs++ == 0) {
                        p->first_address = address;
                        p->first_frame = frame;
                        p->all_flags = UINT64_MAX;
                }
                p->n += n;
                p->all_flags &= flags;
                p->some_flags |= flags;
                p->frames |= frame;
        }
        g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
        g_assert_cmpint(sd_bus_message_read(m, "t", ret_next), >, 0);
}

static struct pages pages(sd_bus *bus, pid_t pid, struct options o)
{
        struct pages p = { 0 };

        do {
                sd_bus_error error = SD_BUS_ERROR_NULL;
                sd_bus_message *m = call_about(bus, "Pages", pid, &o, &error);

                if (!m)
                        g_error("Pages: %s", error.message);
                read_pages(m, o.from - o.from % PAGE, &p, &o.from);
                sd_bus_message_unref(m);
                p.n_answers++;
        } while (o.from > 0);
        return p;
}

static void test_pages(void)
{
        struct child *c = child_start(&h, UID_FIRST);
        uint64_t start = child_address(c, child_area(c, PAGES, 8, 1)), end = start + PAGES * PAGE;
        struct frames frames = frames_read(c->pid, start, end);
        struct pages p;

        g_assert_cmpuint(frames.n, ==, PAGES);
        p = pages(h.bus, c->pid, (struct options){ .from = start, .to = end });
        g_assert_cmpuint(p.n, ==, PAGES);
        g_assert_cmpuint(p.n_answers, ==, 1);
        g_assert_cmphex(p.first_address, ==, start);
        g_assert_cmphex(p.first_frame, ==, frames.pages[0].word & ((UINT64_C(1) << 55) - 1));
        g_assert_cmphex(p.all_flags & (FLAG_ANON | FLAG_SINGLE), ==, FLAG_ANON | FLAG_SINGLE);
        /* Addresses within a page mean all of it. */
        p = pages(h.bus, c->pid, (struct options){ .from = start + 1, .to = start + PAGE + 1 });
        g_assert_cmpuint(p.n, ==, 2);

        p = pages(h.bus, c->pid, (struct options){ .from = start, .to = end, .max = 1 });
        g_assert_cmpuint(p.n, ==, PAGES);
        g_assert_cmpuint(p.n_answers, ==, p.n_runs);
        p = pages(h.bus, c->pid, (struct options){ .from = start, .to = end, .flags = "anon,~swapbacked" });
        g_assert_cmpuint(p.n, ==, 0);
        p = pages(h.bus, c->pid,
                  (struct options){ .from = start, .to = end, .flags = "anon,swapbacked,~ksm" });
        g_assert_cmpuint(p.n, ==, PAGES);

        child_say(c, "load %s 5", h.library);
        p = pages(h.bus, c->pid, (struct options){ .owner = "libtarget", .flags = "anon" });
        g_assert_cmpuint(p.n, >=, 60);
        g_assert_cmpuint(p.n, <, PAGES);
        g_assert_cmpuint(pages(h.bus, c->pid, (struct options){ .owner = h.library, .flags = "anon" }).n,
                         ==, p.n);
        g_assert_cmpuint(pages(h.bus, c->pid, (struct options){ .owner = "stack" }).n, >, 0);
        frames_done(&frames);
        child_end(c);
}

static void test_errors(void)
{
        struct child *c = child_start(&h, UID_FIRST);
        sd_bus_error error = SD_BUS_ERROR_NULL;
        pid_t ended;

        assert_refused(h.bus, "Pages", c->pid, &(struct options){ .flags = "anon,purple" },
                       MERGEMEM_ERROR_BAD_SELECTOR);
        assert_refused(h.bus, "Pages", c->pid, &(struct options){ .from = 2 * PAGE, .to = PAGE },
                       MERGEMEM_ERROR_BAD_SELECTOR);
        assert_refused(h.bus, "Pages", c->pid, &(struct options){ .owner = "libnowhere" },
                       MERGEMEM_ERROR_NO_SUCH_LIBRARY);
        assert_refused(h.bus, "Sharing", c->pid, &(struct options){ .flags = "anon" },
                       MERGEMEM_ERROR_BAD_SELECTOR);
        /* The place of what is wrong is told. */
        g_assert_null(
                call_about(h.bus, "Pages", c->pid, &(struct options){ .flags = "lru,purple" }, &error));
        g_assert_nonnull(strstr(error.message, "character 5: \"purple\""));
        sd_bus_error_free(&error);
        g_assert_null(call_memory(h.bus, &(struct what){ 0 }, "weight", &error));
        g_assert_cmpstr(error.name, ==, MERGEMEM_ERROR_BAD_SELECTOR);
        g_assert_nonnull(strstr(error.message, "weight"));
        sd_bus_error_free(&error);

        ended = c->pid;
        child_end(c);
        assert_refused(h.bus, "Pages", ended, &(struct options){ 0 }, MERGEMEM_ERROR_NO_SUCH_PROCESS);
        assert_refused(h.bus, "Sharing", ended, &(struct options){ 0 }, MERGEMEM_ERROR_NO_SUCH_PROCESS);
        assert_refused(h.bus, "Pages", 0, &(struct options){ 0 }, MERGEMEM_ERROR_NO_SUCH_PROCESS);
        assert_refused(h.bus, "Pages", -1, &(struct options){ 0 }, MERGEMEM_ERROR_NO_SUCH_PROCESS);
}

/* Processes that come and go meanwhile are no error. */
static void test_vanished(void)
{
        struct child *c = child_start(&h, UID_FIRST);
        struct usage u;

        child_send(c, "churn 200");
        for (unsigned i = 0; i < 10; i++)
                memory(h.bus, &(struct what){ .exe = h.target }, i % 2 == 0 ? "process" : "library", 0,
                       NULL, &u);
        g_free(child_hear(c, 60000));
        memory(h.bus, &(struct what){ .exe = h.target }, "process", 0, NULL, &u);
        g_assert_cmpuint(u.processes, ==, 1);
        child_end(c);
}

/* What @other has in common with @pid. */
struct common {
        bool found;
        uint64_t file, anon, ksm, n_runs, in_runs;
        uint64_t here, there, frame; /* of the first run */
};

static void read_runs(sd_bus_message *m, struct common *c)
{
        uint64_t here, there, n, frame;
        const char *kind;

        g_assert_cmpint(sd_bus_message_enter_container(m, 'v', "a(tttts)"), >, 0);
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "(tttts)"), >, 0);
        while (sd_bus_message_read(m, "(tttts)", &here, &there, &n, &frame, &kind) > 0) {
                if (c->n_runs++ == 0) {
                        c->here = here;
                        c->there = there;
                        c->frame = frame;
                }
                c->in_runs += n;
        }
        g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
        g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
}

static struct common sharing(pid_t pid, pid_t other, const struct options *o)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *m = call_about(h.bus, "Sharing", pid, o, &error);
        struct common c = { 0 };
        uint64_t next;

        if (!m)
                g_error("Sharing: %s", error.message);
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "(usutttta{sv})"), >, 0);
        while (sd_bus_message_enter_container(m, 'r', "usutttta{sv}") > 0) {
                uint64_t file, anon, ksm, direct;
                uint32_t his_pid, uid;
                const char *comm;

                g_assert_cmpint(sd_bus_message_read(m, "usutttt", &his_pid, &comm, &uid, &file, &anon, &ksm,
                                                    &direct),
                                >, 0);
                if ((pid_t)his_pid == other) {
                        c.found = true;
                        c.file = file;
                        c.anon = anon;
                        c.ksm = ksm;
                }
                g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "{sv}"), >, 0);
                while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                        const char *key;

                        g_assert_cmpint(sd_bus_message_read(m, "s", &key), >, 0);
                        if (streq(key, "runs") && (pid_t)his_pid == other)
                                read_runs(m, &c);
                        else
                                g_assert_cmpint(sd_bus_message_skip(m, "v"), >, 0);
                        g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
                }
                g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
                g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
        }
        g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
        g_assert_cmpint(sd_bus_message_read(m, "t", &next), >, 0);
        g_assert_cmpuint(next, ==, 0);
        sd_bus_message_unref(m);
        return c;
}

static void test_sharing(void)
{
        struct child *c = child_start(&h, UID_FIRST), *stranger = child_start(&h, UID_FIRST);
        uint64_t start = child_address(c, child_area(c, PAGES, 8, 1));
        pid_t forked, pids[3] = { c->pid, stranger->pid };
        struct common with;
        struct pages p;

        forked = pids[2] = child_fork(c);
        child_say(c, "child 0 write 0 7 100 1");

        with = sharing(c->pid, forked, &(struct options){ .from = start, .to = start + PAGES * PAGE });
        g_assert_cmpuint(with.anon, ==, PAGES - 1);
        g_assert_cmpuint(with.file + with.ksm, ==, 0);
        g_assert_cmphex(with.here, ==, start);
        g_assert_cmphex(with.there, ==, start);
        p = pages(h.bus, c->pid, (struct options){ .from = start, .to = start + PAGE });
        g_assert_cmphex(with.frame, ==, p.first_frame);

        /* One page that was written to, and its neighbour. */
        with = sharing(c->pid, forked,
                       &(struct options){ .from = start + 7 * PAGE, .to = start + 8 * PAGE });
        g_assert_false(with.found);
        with = sharing(c->pid, forked,
                       &(struct options){ .from = start + 8 * PAGE, .to = start + 9 * PAGE });
        g_assert_cmpuint(with.anon, ==, 1);
        g_assert_cmpuint(with.in_runs, ==, 1);

        /* With a stranger only what both have of the same files. */
        with = sharing(c->pid, stranger->pid, &(struct options){ 0 });
        g_assert_cmpuint(with.file, >, 50);
        g_assert_cmpuint(with.anon + with.ksm, ==, 0);

        child_area(stranger, PAGES, 8, 1);
        g_free(job_run(h.bus, "Merge", &(struct what){ .pids = pids, .n_pids = 3 }));
        with = sharing(c->pid, stranger->pid,
                       &(struct options){ .from = start, .to = start + PAGES * PAGE });
        g_assert_cmpuint(with.ksm, ==, PAGES);
        g_assert_cmpuint(pages(h.bus, c->pid, (struct options){ .from = start, .to = start + PAGES * PAGE,
                                                                .flags = "ksm" }).n,
                         ==, PAGES);
        job_undo(h.bus, &(struct what){ .pids = pids, .n_pids = 3 });
        child_end(c);
        child_end(stranger);
}

/* Who is not root: sums over his own processes, and what his own pagemap tells him. */
static void test_privileges(void)
{
        struct child *own = child_start(&h, UID_FIRST), *secret = child_start(&h, UID_FIRST),
                     *other = child_start(&h, UID_SECOND);
        sd_bus *bus = harness_connect_as(&h, UID_FIRST);
        sd_bus_error error = SD_BUS_ERROR_NULL;
        uint64_t start = child_address(own, child_area(own, PAGES, 8, 1));
        pid_t forked = child_fork(own);
        struct usage u, roots;
        struct pages p;

        child_say(secret, "secret");
        child_say(own, "child 0 write 0 7 100 1");
        g_assert_cmpuint(memory(bus, &(struct what){ .exe = h.target }, "process", 0, NULL, &u), ==, 2);
        memory(h.bus, &(struct what){ .exe = h.target }, "process", own->pid, NULL, &roots);
        memory(bus, &(struct what){ .exe = h.target }, "process", own->pid, NULL, &u);
        g_assert_cmpuint(u.rss, ==, roots.rss);
        g_assert_cmpuint(u.uss, ==, roots.uss);
        memory(bus, &(struct what){ .exe = h.target }, "process", secret->pid, NULL, &u);
        g_assert_cmpuint(u.processes, ==, 0);
        memory(bus, &(struct what){ .exe = h.target }, "user", 0, NULL, &u);
        g_assert_cmpuint(u.processes, ==, 2);
        g_assert_null(call_memory(bus, &(struct what){ .others = true }, "process", &error));
        g_assert_cmpstr(error.name, ==, SD_BUS_ERROR_ACCESS_DENIED);
        sd_bus_error_free(&error);

        /* Neither frames nor the kernel's flags, nor how many others map a page. */
        p = pages(bus, own->pid, (struct options){ .from = start, .to = start + PAGES * PAGE });
        g_assert_cmpuint(p.n, ==, PAGES);
        g_assert_cmphex(p.frames, ==, 0);
        g_assert_cmphex(p.some_flags & ~FLAGS_OF_USERS, ==, 0);
        g_assert_cmpuint(p.n_runs, ==, 3);
        p = pages(bus, own->pid, (struct options){ .from = start, .to = start + PAGES * PAGE,
                                                   .flags = "mmap_exclusive" });
        g_assert_cmpuint(p.n, ==, 1);
        assert_refused(bus, "Pages", own->pid, &(struct options){ .flags = "anon" },
                       SD_BUS_ERROR_ACCESS_DENIED);
        assert_refused(bus, "Pages", own->pid, &(struct options){ .flags = "~ksm" },
                       SD_BUS_ERROR_ACCESS_DENIED);
        assert_refused(bus, "Pages", own->pid, &(struct options){ .others = true },
                       SD_BUS_ERROR_ACCESS_DENIED);
        assert_refused(bus, "Pages", other->pid, &(struct options){ 0 }, SD_BUS_ERROR_ACCESS_DENIED);
        assert_refused(bus, "Pages", secret->pid, &(struct options){ 0 }, SD_BUS_ERROR_ACCESS_DENIED);
        assert_refused(bus, "Pages", 1, &(struct options){ 0 }, SD_BUS_ERROR_ACCESS_DENIED);
        assert_refused(bus, "Sharing", own->pid, &(struct options){ 0 }, SD_BUS_ERROR_ACCESS_DENIED);
        assert_refused(bus, "Sharing", forked, &(struct options){ 0 }, SD_BUS_ERROR_ACCESS_DENIED);
        assert_refused(bus, "Sharing", other->pid, &(struct options){ 0 }, SD_BUS_ERROR_ACCESS_DENIED);

        p = pages(h.bus, own->pid, (struct options){ .from = start, .to = start + PAGES * PAGE });
        g_assert_cmphex(p.frames, !=, 0);
        sd_bus_flush_close_unref(bus);
        child_end(own);
        child_end(secret);
        child_end(other);
}

struct answers {
        unsigned n_done, n_refused;
};

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *unused)
{
        struct answers *a = userdata;
        const sd_bus_error *error = sd_bus_message_get_error(m);

        if (error)
                g_assert_cmpstr(error->name, ==, MERGEMEM_ERROR_LIMITS);
        *(error ? &a->n_refused : &a->n_done) += 1;
        return 0;
}

static struct answers flood(sd_bus *bus, const char *method, pid_t pid, unsigned n)
{
        struct answers a = { 0 };

        for (unsigned i = 0; i < n; i++)
                g_assert_cmpint(sd_bus_call_method_async(bus, NULL, MERGEMEM_BUS_NAME, MERGEMEM_PATH,
                                                         MERGEMEM_MANAGER_INTERFACE, method, on_answer, &a,
                                                         "ua{sv}", (uint32_t)pid, 0),
                                >=, 0);
        while (a.n_done + a.n_refused < n) {
                g_assert_cmpint(sd_bus_process(bus, NULL), >=, 0);
                g_assert_cmpint(sd_bus_wait(bus, 1000), >=, 0);
        }
        return a;
}

/* Many at a time are answered, too many are refused; afterwards all is as before. */
static void test_limits(void)
{
        struct child *c = child_start(&h, UID_FIRST);
        sd_bus *bus = harness_connect_as(&h, UID_FIRST);
        struct answers a;

        child_area(c, 20000, 8, 1);
        a = flood(h.bus, "Sharing", c->pid, 8);
        g_assert_cmpuint(a.n_done, ==, 8);
        a = flood(h.bus, "Sharing", c->pid, 60);
        g_assert_cmpuint(a.n_done, >=, 8);
        g_assert_cmpuint(a.n_refused, >, 0);
        a = flood(h.bus, "Pages", c->pid, 100);
        g_assert_cmpuint(a.n_done, >=, 16);
        a = flood(bus, "Pages", c->pid, 60);
        g_assert_cmpuint(a.n_done, >=, 2);
        g_assert_cmpuint(a.n_refused, >, 0);
        g_assert_true(sharing(c->pid, c->pid, &(struct options){ 0 }).found);

        /* One after the other too: in the end a user has had enough. */
        for (unsigned i = 0;; i++) {
                a = flood(bus, "Pages", c->pid, 1);
                if (a.n_refused > 0)
                        break;
                g_assert_cmpuint(i, <, 1000);
        }
        g_assert_cmpuint(pages(h.bus, c->pid, (struct options){ 0 }).n, >, 0);
        sd_bus_flush_close_unref(bus);
        child_end(c);
}

int main(int argc, char **argv)
{
        int status;

        g_test_init(&argc, &argv, NULL);
        harness_start(&h);
        harness_daemon_start(&h, NULL, NULL);
        g_test_add_func("/pagemap/exact", test_exact);
        g_test_add_func("/pagemap/by", test_by);
        g_test_add_func("/pagemap/pages", test_pages);
        g_test_add_func("/pagemap/errors", test_errors);
        g_test_add_func("/pagemap/vanished", test_vanished);
        g_test_add_func("/pagemap/sharing", test_sharing);
        g_test_add_func("/pagemap/privileges", test_privileges);
        g_test_add_func("/pagemap/limits", test_limits);
        status = g_test_run();
        return harness_end(&h, status);
}
