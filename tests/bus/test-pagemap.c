/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "children.h"
#include "frames.h"
#include "memory-call.h"
#include "shared/macro.h"
#include "shared/names.h"

/* What the service tells of pages and who shares them: against the kernel's own figures, and to whom it
 * tells what. */

#define PAGE 4096U
#define PAGES 300U

#define FLAG_ANON (UINT64_C(1) << 12)
#define FLAG_KSM (UINT64_C(1) << 21)
#define FLAG_SINGLE (UINT64_C(1) << 63)
#define FLAGS_OF_USERS (FLAG_SINGLE | UINT64_C(1) << 62 | UINT64_C(1) << 61 | UINT64_C(1) << 24)

static struct harness h;

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

        ended = c->pid;
        child_end(c);
        assert_refused(h.bus, "Pages", ended, &(struct options){ 0 }, MERGEMEM_ERROR_NO_SUCH_PROCESS);
        assert_refused(h.bus, "Sharing", ended, &(struct options){ 0 }, MERGEMEM_ERROR_NO_SUCH_PROCESS);
        assert_refused(h.bus, "Pages", 0, &(struct options){ 0 }, MERGEMEM_ERROR_NO_SUCH_PROCESS);
        assert_refused(h.bus, "Pages", -1, &(struct options){ 0 }, MERGEMEM_ERROR_NO_SUCH_PROCESS);
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
        g_assert_cmpuint(memory_row(bus, &(struct what){ .exe = h.target }, "process", 0, NULL, &u), ==, 2);
        memory_row(h.bus, &(struct what){ .exe = h.target }, "process", own->pid, NULL, &roots);
        memory_row(bus, &(struct what){ .exe = h.target }, "process", own->pid, NULL, &u);
        g_assert_cmpuint(u.rss, ==, roots.rss);
        g_assert_cmpuint(u.uss, ==, roots.uss);
        memory_row(bus, &(struct what){ .exe = h.target }, "process", secret->pid, NULL, &u);
        g_assert_cmpuint(u.processes, ==, 0);
        memory_row(bus, &(struct what){ .exe = h.target }, "user", 0, NULL, &u);
        g_assert_cmpuint(u.processes, ==, 2);
        g_assert_null(memory_call(bus, &(struct what){ .others = true }, "process", &error));
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
        g_test_add_func("/pagemap/pages", test_pages);
        g_test_add_func("/pagemap/errors", test_errors);
        g_test_add_func("/pagemap/sharing", test_sharing);
        g_test_add_func("/pagemap/privileges", test_privileges);
        g_test_add_func("/pagemap/limits", test_limits);
        status = g_test_run();
        return harness_end(&h, status);
}
