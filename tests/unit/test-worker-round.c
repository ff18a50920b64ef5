/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rounds of the real worker over children whose pages are known. */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lib/elf.h"
#include "lib/owner.h"
#include "target.h"
#include "worker-calls.h"

#define PAGE 4096U
#define BOOKKEEPING (64ULL * 1024 * 1024)
#define PLACE_BYTES (64U * 1024 * 1024)
#define MANY_PAGES 4096U

/* Where each child has its pages; reserved by all, used by none but them. */
static char *place;

struct fixture {
        struct worker_calls calls;
        uint32_t n_scanned; /* targets in this round */
};

static void set_up(struct fixture *f, const void *data)
{
        worker_calls_open(&f->calls);
}

static void tear_down(struct fixture *f, const void *data)
{
        worker_calls_close(&f->calls);
}

/* Everything that a child has so far is marked as private, so that rounds look at the rest only. */
static void hide_memory(void)
{
        static char text[1024 * 1024];
        size_t size = 0;
        ssize_t n;
        int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

        while (fd >= 0 && (n = read(fd, text + size, sizeof(text) - 1 - size)) > 0)
                size += (size_t) n;
        close(fd);
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
                unsigned long start, end;

                if (sscanf(line, "%lx-%lx", &start, &end) == 2)
                        (void) madvise((void *) start, end - start, MADV_DONTDUMP);
        }
}

static char *map_pages(size_t from, size_t n)
{
        void *p = mmap(place + from * PAGE, n * PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

        return p == MAP_FAILED ? NULL : p;
}

/* A letter is a page of it, "0" one that zeros were written to, "." one that was never touched. */
static void fill(char *pages, const char *letters)
{
        for (size_t i = 0; letters[i]; i++)
                if (letters[i] != '.')
                        memset(pages + i * PAGE, letters[i] == '0' ? 0 : letters[i], PAGE);
}

static void have_pages(void *userdata)
{
        const char *letters = userdata;
        char *pages;

        hide_memory();
        pages = map_pages(0, strlen(letters));
        if (!pages)
                _exit(1);
        fill(pages, letters);
}

static pid_t child_with(const char *letters)
{
        return child_start(have_pages, (void *) letters);
}

static void begin_with(struct fixture *f, const struct worker_begin *begin)
{
        union worker_packet p;

        worker_packet_init(&p, WORKER_BEGIN, sizeof(p.begin));
        p.begin = *begin;
        p.begin.header = (struct worker_header) { .type = WORKER_BEGIN, .size = sizeof(p.begin) };
        g_assert_cmpint(call(&f->calls, &p, -1, NULL), ==, 0);
        f->n_scanned = 0;
}

static void begin(struct fixture *f)
{
        begin_with(f, &(struct worker_begin) { .bookkeeping_max_bytes = BOOKKEEPING, .seed = 4711 });
}

static int packet_target(struct fixture *f, uint32_t type, pid_t pid, uint32_t domain,
                         union worker_packet *ret)
{
        _cleanup_(mm_process_done) struct mm_process process = MM_PROCESS_NULL;

        g_assert_cmpint(mm_process_open(f->calls.proc_fd, pid, true, &process), ==, 0);
        worker_packet_init(ret, type, sizeof(ret->target));
        ret->target.index = f->n_scanned;
        ret->target.domain = domain;
        ret->target.pid = pid;
        ret->target.start_ticks = process.start_ticks;
        ret->target.exe = process.exe_id;
        worker_packet_text(ret, process.exe);
        return TAKE_FD(process.dir_fd);
}

static struct worker_scanned scan(struct fixture *f, pid_t pid, uint32_t domain)
{
        _cleanup_(outcome_done) struct outcome o = {};
        _cleanup_(closep) int fd = -EBADF;
        union worker_packet p;

        fd = packet_target(f, WORKER_SCAN, pid, domain, &p);
        g_assert_cmpint(call(&f->calls, &p, fd, &o), ==, 0);
        g_assert_cmpuint(outcome_count(&o, WORKER_ROW_SCANNED), ==, 1);
        g_assert_cmpuint(outcome_row(&o, WORKER_ROW_SCANNED)->scanned.index, ==, f->n_scanned);
        f->n_scanned++;
        return outcome_row(&o, WORKER_ROW_SCANNED)->scanned;
}

static void group(struct fixture *f, struct outcome *o)
{
        union worker_packet p;

        worker_packet_init(&p, WORKER_GROUP, sizeof(p.header));
        g_assert_cmpint(call(&f->calls, &p, -1, o), ==, 0);
        g_assert_cmpuint(outcome_count(o, WORKER_ROW_TOTAL), ==, 1);
}

static void check_total(const struct outcome *o, uint64_t n_records, uint64_t n_duplicates, uint64_t n_zero)
{
        const struct worker_total *t = &outcome_row(o, WORKER_ROW_TOTAL)->total;

        g_assert_cmpuint(t->n_records, ==, n_records);
        g_assert_cmpuint(t->n_duplicates, ==, n_duplicates);
        g_assert_cmpuint(t->n_zero, ==, n_zero);
        g_assert_cmpuint(t->n_anonymous, ==, n_duplicates);
}

static void test_figures(struct fixture *f, const void *data)
{
        _cleanup_(outcome_done) struct outcome o = {};
        pid_t a = child_with("aabc0."), b = child_with("acd00..a");
        struct worker_scanned row;

        begin(f);
        row = scan(f, a, 0);
        g_assert_cmpint(row.error, ==, 0);
        g_assert_cmpuint(row.n_pages, ==, 5);
        g_assert_cmpuint(row.n_ksm + row.n_vanished, ==, 0);
        g_assert_true(row.matched);
        g_assert_false(row.incomplete);
        g_assert_cmpuint(row.private_bytes, >, 0);
        g_assert_cmpuint(scan(f, b, 0).n_pages, ==, 6);

        /* Of four pages of "a" three, of three of zeros two, of two of "c" one. */
        group(f, &o);
        check_total(&o, 11, 6, 2);

        /* All is one owner's: anonymous memory of this program. */
        g_assert_cmpuint(outcome_count(&o, WORKER_ROW_OWNER), ==, 1);
        g_assert_cmpuint(outcome_row(&o, WORKER_ROW_OWNER)->owner.kind, ==, MM_OWNER_ANON);
        g_assert_cmpuint(outcome_row(&o, WORKER_ROW_OWNER)->owner.n_pages, ==, 11);
        g_assert_cmpuint(outcome_row(&o, WORKER_ROW_OWNER)->owner.n_duplicates, ==, 6);
        g_assert_cmpuint(outcome_row(&o, WORKER_ROW_OWNER)->owner.n_zero, ==, 2);
        g_assert_cmpuint(outcome_count(&o, WORKER_ROW_DOMAIN), ==, 1);
        g_assert_cmpuint(outcome_row(&o, WORKER_ROW_DOMAIN)->domain.n_duplicates, ==, 6);

        child_kill(a);
        child_kill(b);
}

static const struct worker_domain *domain_row(const struct outcome *o, uint32_t domain)
{
        for (size_t i = 0; i < o->rows->len; i++) {
                const union worker_packet *row = o->rows->pdata[i];

                if (row->header.type == WORKER_ROW_DOMAIN && row->domain.domain == domain)
                        return &row->domain;
        }
        g_error("no row of domain %u", domain);
}

static void test_domains(struct fixture *f, const void *data)
{
        _cleanup_(outcome_done) struct outcome o = {};
        pid_t a = child_with("abc"), b = child_with("abcc"), c = child_with("aab0");

        begin(f);
        scan(f, a, 3);
        scan(f, b, 3);
        scan(f, c, 5);
        group(f, &o);
        check_total(&o, 11, 5, 0);
        g_assert_cmpuint(outcome_count(&o, WORKER_ROW_DOMAIN), ==, 2);
        g_assert_cmpuint(domain_row(&o, 3)->n_pages, ==, 7);
        g_assert_cmpuint(domain_row(&o, 3)->n_duplicates, ==, 4);
        g_assert_cmpuint(domain_row(&o, 5)->n_pages, ==, 4);
        g_assert_cmpuint(domain_row(&o, 5)->n_duplicates, ==, 1);

        child_kill(a);
        child_kill(b);
        child_kill(c);
}

static void have_pages_and_child(void *userdata)
{
        pid_t pid;

        have_pages(userdata);
        pid = fork();
        if (pid < 0)
                _exit(1);
        if (pid > 0)
                return;
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                _exit(1);
        for (;;)
                pause();
}

static pid_t only_child_of(pid_t pid)
{
        g_autofree char *path = g_strdup_printf("/proc/%d/task/%d/children", pid, pid), *text = NULL;

        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        return (pid_t) g_ascii_strtoll(text, NULL, 10);
}

/* Frames that a fork shares are not duplicates, and not freed while somebody else has them. */
static void test_fork(struct fixture *f, const void *data)
{
        _cleanup_(outcome_done) struct outcome o = {};
        pid_t a = child_start(have_pages_and_child, (void *) "abcd"), b = child_with("ab"),
              child = only_child_of(a);

        g_assert_cmpint(child, >, 0);
        begin(f);
        scan(f, a, 0);
        scan(f, child, 0);
        group(f, &o);
        check_total(&o, 8, 0, 0);

        /* Only one of the two is looked at: its frames stay with the other. */
        begin(f);
        scan(f, a, 0);
        scan(f, b, 0);
        group(f, &o);
        check_total(&o, 6, 0, 0);

        begin(f);
        scan(f, a, 0);
        scan(f, child, 0);
        scan(f, b, 0);
        group(f, &o);
        check_total(&o, 10, 2, 0);

        child_kill(a);
        child_kill(b);
}

/* Pages as mlock(2), MADV_DONTDUMP and MADV_WIPEONFORK mark them. */
static void have_secrets(void *userdata)
{
        char *pages;

        hide_memory();
        pages = map_pages(0, 8);
        if (!pages)
                _exit(1);
        fill(pages, "aabbccdd");
        /* AddressSanitizer makes nothing of mlock(). */
        if (syscall(SYS_mlock, pages, 2UL * PAGE) < 0 ||
            madvise(pages + 2 * PAGE, 2 * PAGE, MADV_DONTDUMP) < 0 ||
            madvise(pages + 4 * PAGE, 2 * PAGE, MADV_WIPEONFORK) < 0)
                _exit(1);
}

static void test_private(struct fixture *f, const void *data)
{
        _cleanup_(outcome_done) struct outcome o = {};
        pid_t a = child_start(have_secrets, NULL);
        struct worker_scanned row;

        begin(f);
        row = scan(f, a, 0);
        g_assert_cmpuint(row.n_pages, ==, 2);
        group(f, &o);
        check_total(&o, 2, 1, 0);

        /* A rule names the process: all of its memory, the hidden part too. */
        begin_with(f,
                   &(struct worker_begin) {
                           .bookkeeping_max_bytes = BOOKKEEPING, .seed = 1, .include_private = true
                   });
        row = scan(f, a, 0);
        g_assert_cmpuint(row.n_pages, >, 8);
        g_assert_cmpuint(row.private_bytes, ==, 0);

        child_kill(a);
}

static void have_two_owners(void *userdata)
{
        int fd = open(userdata, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        char *pages, *file;

        hide_memory();
        pages = map_pages(0, 2);
        if (fd < 0 || ftruncate(fd, 4 * PAGE) < 0 || !pages)
                _exit(1);
        file = mmap(place + 16 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0);
        if (file == MAP_FAILED)
                _exit(1);
        fill(pages, "ab");
        fill(file, "a.b"); /* the second is the file's, the last was never touched */
}

/* Pages meet within their owner, unless all are meant. */
static void test_owners(struct fixture *f, const void *data)
{
        _cleanup_(outcome_done) struct outcome o = {};
        g_autofree char *path = g_build_filename(f->calls.tree, "file", NULL);
        pid_t a = child_start(have_two_owners, path);
        const union worker_packet *row;

        begin(f);
        g_assert_cmpuint(scan(f, a, 0).n_pages, ==, 4);
        group(f, &o);
        check_total(&o, 4, 0, 0);
        g_assert_cmpuint(outcome_count(&o, WORKER_ROW_OWNER), ==, 2);

        begin_with(f,
                   &(struct worker_begin) {
                           .bookkeeping_max_bytes = BOOKKEEPING, .seed = 1, .cross_owners = true
                   });
        scan(f, a, 0);
        group(f, &o);
        row = outcome_row(&o, WORKER_ROW_TOTAL);
        g_assert_cmpuint(row->total.n_duplicates, ==, 2);

        for (size_t i = 0, n = 0; i < o.rows->len; i++) {
                union worker_packet *owner = o.rows->pdata[i];

                if (owner->header.type != WORKER_ROW_OWNER)
                        continue;
                g_assert_cmpuint(owner->owner.n_pages, ==, 2);
                if (owner->owner.kind == MM_OWNER_FILE)
                        g_assert_cmpstr(worker_packet_get_text(owner, sizeof(owner->owner)), ==, path);
                else
                        g_assert_cmpuint(owner->owner.kind, ==, MM_OWNER_ANON);
                g_assert_cmpuint(++n, <=, 2);
        }
        child_kill(a);
}

static void have_many(void *userdata)
{
        char *pages;

        hide_memory();
        pages = map_pages(0, MANY_PAGES);
        if (!pages)
                _exit(1);
        /* Each page twice. */
        for (size_t i = 0; i < MANY_PAGES; i++)
                *(size_t *) (pages + i * PAGE) = 1 + i / 2;
}

/* In passes over parts of the hashes the sums are the same, however little room there is. */
static void test_parts(struct fixture *f, const void *data)
{
        _cleanup_(outcome_done) struct outcome o = {};
        pid_t a = child_start(have_many, NULL);
        struct worker_begin b = { .bookkeeping_max_bytes = 64 * 1024, .seed = 99, .n_parts = 8 };
        uint64_t n_records = 0, n_duplicates = 0;
        struct worker_scanned row;

        begin(f);
        row = scan(f, a, 0);
        g_assert_cmpuint(row.n_pages, ==, MANY_PAGES);
        g_assert_false(row.incomplete);
        group(f, &o);
        check_total(&o, MANY_PAGES, MANY_PAGES / 2, 0);

        for (b.part = 0; b.part < b.n_parts; b.part++) {
                begin_with(f, &b);
                row = scan(f, a, 0);
                g_assert_cmpuint(row.n_pages, ==, MANY_PAGES);
                g_assert_false(row.incomplete);
                group(f, &o);
                n_records += outcome_row(&o, WORKER_ROW_TOTAL)->total.n_records;
                n_duplicates += outcome_row(&o, WORKER_ROW_TOTAL)->total.n_duplicates;
        }
        g_assert_cmpuint(n_records, ==, MANY_PAGES);
        g_assert_cmpuint(n_duplicates, ==, MANY_PAGES / 2);

        b.part = 0;
        b.n_parts = 1;
        begin_with(f, &b);
        g_assert_true(scan(f, a, 0).incomplete);
        child_kill(a);
}

static void plan(struct fixture *f, uint32_t domain, bool every, struct outcome *o)
{
        union worker_packet p;

        worker_packet_init(&p, WORKER_PLAN, sizeof(p.plan));
        p.plan.domain = domain;
        p.plan.every_domain = every;
        g_assert_cmpint(call(&f->calls, &p, -1, o), ==, 0);
}

static void measure(struct fixture *f, uint64_t n_planned, uint64_t n_gone)
{
        _cleanup_(outcome_done) struct outcome o = {};
        union worker_packet p;
        const struct worker_measured *m;

        worker_packet_init(&p, WORKER_MEASURE, sizeof(p.header));
        g_assert_cmpint(call(&f->calls, &p, -1, &o), ==, 0);
        m = &outcome_row(&o, WORKER_ROW_MEASURED)->measured;
        g_assert_cmpuint(m->n_planned, ==, n_planned);
        g_assert_cmpuint(m->n_gone, ==, n_gone);
        /* Nothing was merged. */
        g_assert_cmpuint(m->n_merged + m->n_frames_before + m->n_frames_shared, ==, 0);
}

static void test_plan(struct fixture *f, const void *data)
{
        _cleanup_(outcome_done) struct outcome o = {};
        pid_t a = child_with("xaaby.z"), b = child_with("....b"), c = child_with("b");
        const struct worker_ranges *r;

        begin(f);
        scan(f, a, 0);
        scan(f, b, 0);
        scan(f, c, 1);
        group(f, &o);
        check_total(&o, 8, 2, 0);

        plan(f, 0, false, &o);
        g_assert_cmpuint(outcome_count(&o, WORKER_ROW_PLANNED), ==, 2);
        r = &((const union worker_packet *) o.rows->pdata[0])->ranges;
        g_assert_cmpuint(r->index, ==, 0);
        g_assert_cmpint(r->pid, ==, a);
        g_assert_cmpuint(r->n_pages, ==, 3);
        g_assert_cmpuint(r->n, ==, 1);
        g_assert_cmphex(r->ranges[0].start, ==, (uintptr_t) place + PAGE);
        g_assert_cmphex(r->ranges[0].end, ==, (uintptr_t) place + 4 * PAGE);
        r = &((const union worker_packet *) o.rows->pdata[1])->ranges;
        g_assert_cmpuint(r->index, ==, 1);
        g_assert_cmpint(r->pid, ==, b);
        g_assert_cmpuint(r->n_pages, ==, 1);
        g_assert_cmphex(r->ranges[0].start, ==, (uintptr_t) place + 4 * PAGE);
        g_assert_cmphex(r->ranges[0].end, ==, (uintptr_t) place + 5 * PAGE);
        measure(f, 4, 0);

        child_kill(b);
        begin(f);
        scan(f, a, 0);
        scan(f, c, 1);
        plan(f, 1, false, &o);
        g_assert_cmpuint(outcome_count(&o, WORKER_ROW_PLANNED), ==, 0);
        plan(f, 0, true, &o);
        g_assert_cmpuint(outcome_count(&o, WORKER_ROW_PLANNED), ==, 1);
        child_kill(a);
        measure(f, 0, 2);
        child_kill(c);
}

static void test_gone(struct fixture *f, const void *data)
{
        _cleanup_(outcome_done) struct outcome o = {};
        _cleanup_(closep) int fd = -EBADF;
        pid_t a = child_with("aa");
        union worker_packet p;

        begin(f);
        fd = packet_target(f, WORKER_SCAN, a, 0, &p);
        child_kill(a);
        g_assert_cmpint(call(&f->calls, &p, fd, &o), ==, 0);
        g_assert_cmpint(outcome_row(&o, WORKER_ROW_SCANNED)->scanned.error, ==, -ESRCH);
        g_assert_cmpuint(outcome_row(&o, WORKER_ROW_SCANNED)->scanned.n_pages, ==, 0);
        group(f, &o);
        check_total(&o, 0, 0, 0);

        /* A place in the order is given once. */
        g_assert_cmpint(call(&f->calls, &p, fd, &o), ==, -EINVAL);
}

static void have_a_lot(void *userdata)
{
        char *pages;

        hide_memory();
        pages = map_pages(0, PLACE_BYTES / PAGE);
        if (!pages)
                _exit(1);
        memset(pages, 'x', PLACE_BYTES);
}

/* Somebody who does not want the answer any more is not waited for to the end. */
static void test_cancel(struct fixture *f, const void *data)
{
        pid_t a = child_start(have_a_lot, NULL);
        uint64_t n_records = PLACE_BYTES / PAGE;

        /* The scan may be over before it is stopped, if we do not get the CPU. */
        for (unsigned i = 0; i < 20 && n_records == PLACE_BYTES / PAGE; i++) {
                _cleanup_(outcome_done) struct outcome scanned = {}, o = {};
                _cleanup_(closep) int fd = -EBADF;
                pid_t worker = worker_pid(f->calls.worker);
                uint64_t before;
                union worker_packet p;

                begin(f);
                before = worker_cpu_nsec(f->calls.worker);
                fd = packet_target(f, WORKER_SCAN, a, 0, &p);
                call_start(&f->calls, &p, fd, &scanned);
                while (worker_cpu_nsec(f->calls.worker) < before + 2000000U)
                        g_usleep(100);
                g_assert_cmpint(kill(worker, SIGSTOP), ==, 0);
                worker_forget(f->calls.worker, &scanned);
                g_usleep(100000); /* it looks every 50 ms */
                g_assert_cmpint(kill(worker, SIGCONT), ==, 0);
                group(f, &o);
                n_records = outcome_row(&o, WORKER_ROW_TOTAL)->total.n_records;
                g_assert_cmpuint(scanned.n_ends, ==, 0);
        }
        g_assert_cmpuint(n_records, >, 0);
        g_assert_cmpuint(n_records, <, PLACE_BYTES / PAGE);
        g_assert_cmpuint(worker_generation(f->calls.worker), ==, 1);
        child_kill(a);
}

/* The library's file, from the file system. */
static struct mm_file_id library_id(void)
{
        struct stat st;

        g_assert_cmpint(stat(TEST_LIBRARY, &st), ==, 0);
        return (struct mm_file_id) { .dev = st.st_dev, .ino = st.st_ino };
}

static void test_list(struct fixture *f, const void *data)
{
        _cleanup_(outcome_done) struct outcome o = {};
        _cleanup_(closep) int fd = -EBADF;
        struct mm_file_id library = library_id();
        uint64_t bytes = 0;
        union worker_packet p;
        struct target t;

        target_start(&t, TEST_TARGET, (const char *const[]) { "loads", TEST_LIBRARY, NULL });
        fd = packet_target(f, WORKER_LIST, t.pid, 0, &p);
        g_assert_cmpint(call(&f->calls, &p, fd, &o), ==, 0);
        for (size_t i = 0; i < o.rows->len; i++) {
                union worker_packet *row = o.rows->pdata[i];
                const char *path = worker_packet_get_text(row, sizeof(row->library_row));

                g_assert_cmpuint(row->header.type, ==, WORKER_ROW_LIBRARY);
                g_assert_true(g_path_is_absolute(path));
                g_assert_false(mm_file_id_equal(&row->library_row.file, &p.target.exe));
                if (!mm_file_id_equal(&row->library_row.file, &library))
                        continue;
                g_assert_cmpstr(path, ==, TEST_LIBRARY);
                bytes += row->library_row.private_bytes;
        }
        /* Its .bss was written in one of two loads; beside that there is little. */
        g_assert_cmpuint(bytes, >=, TARGET_BSS_BYTES);
        g_assert_cmpuint(bytes, <, TARGET_BSS_BYTES + 32 * PAGE);
        target_stop(&t);
}

/* Only the memory of a library is looked at, found by name or by file. */
static void test_library(struct fixture *f, const void *data)
{
        static const char *const names[] = { "libtarget", "libtarget.so", NULL };
        struct target t[2];

        for (size_t i = 0; i < ELEMENTSOF(t); i++)
                target_start(&t[i], TEST_TARGET, (const char *const[]) { "loads", TEST_LIBRARY, NULL });

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_(outcome_done) struct outcome o = {};
                const struct worker_owner *owner;
                union worker_packet p;

                begin(f);
                worker_packet_init(&p, WORKER_LIBRARY, sizeof(p.library));
                if (names[i])
                        worker_packet_text(&p, names[i]);
                else
                        p.library.file = library_id();
                g_assert_cmpint(call(&f->calls, &p, -1, NULL), ==, 0);
                worker_packet_init(&p, WORKER_LIBRARY, sizeof(p.library));
                worker_packet_text(&p, "libnowhere");
                g_assert_cmpint(call(&f->calls, &p, -1, NULL), ==, 0);

                for (size_t k = 0; k < ELEMENTSOF(t); k++) {
                        _cleanup_(closep) int fd = packet_target(f, WORKER_SCAN, t[k].pid, 0, &p);

                        f->n_scanned++;
                        g_assert_cmpint(call(&f->calls, &p, fd, &o), ==, 0);
                        g_assert_true(outcome_row(&o, WORKER_ROW_SCANNED)->scanned.matched);
                        g_assert_cmpuint(outcome_count(&o, WORKER_ROW_MATCHED), ==, 1);
                        g_assert_cmpuint(outcome_row(&o, WORKER_ROW_MATCHED)->matched.library, ==, 0);
                }
                group(f, &o);
                g_assert_cmpuint(outcome_count(&o, WORKER_ROW_OWNER), ==, 1);
                owner = &outcome_row(&o, WORKER_ROW_OWNER)->owner;
                g_assert_cmpuint(owner->kind, ==, MM_OWNER_LIBRARY);
                /* All of .bss holds the same byte. */
                g_assert_cmpuint(owner->n_pages, >=, 2 * TARGET_BSS_BYTES / PAGE);
                g_assert_cmpuint(owner->n_duplicates, >=, 2 * (TARGET_BSS_BYTES / PAGE - 1) - 1);
                g_assert_cmpuint(owner->n_duplicates, <, owner->n_pages);
        }
        for (size_t i = 0; i < ELEMENTSOF(t); i++)
                target_stop(&t[i]);
}

static void test_count(struct fixture *f, const void *data)
{
        _cleanup_(outcome_done) struct outcome o = {};
        _cleanup_(closep) int fd = -EBADF;
        pid_t a = child_with("aab");
        union worker_packet p;

        fd = packet_target(f, WORKER_LIST, a, 0, &p);
        worker_packet_init(&p, WORKER_COUNT, sizeof(p.ranges));
        p.ranges.n = 1;
        p.ranges.ranges[0] = (struct worker_range) {
                .start = (uintptr_t) place, .end = (uintptr_t) place + 3 * PAGE
        };
        p.header.size += sizeof(p.ranges.ranges[0]);
        g_assert_cmpint(call(&f->calls, &p, fd, &o), ==, 0);
        g_assert_cmpint(outcome_row(&o, WORKER_ROW_KSM)->ksm_row.error, ==, 0);
        g_assert_cmpuint(outcome_row(&o, WORKER_ROW_KSM)->ksm_row.merging_pages, ==, 0);

        worker_packet_init(&p, WORKER_CENSUS, sizeof(p.header));
        g_assert_cmpint(call(&f->calls, &p, fd, &o), ==, 0);
        g_assert_cmpint(outcome_row(&o, WORKER_ROW_KSM)->ksm_row.error, ==, 0);
        g_assert_cmpint(outcome_row(&o, WORKER_ROW_KSM)->ksm_row.mergeable, <=, 0);

        child_kill(a);
        g_assert_cmpint(call(&f->calls, &p, fd, &o), ==, 0);
        g_assert_cmpint(outcome_row(&o, WORKER_ROW_KSM)->ksm_row.error, ==, -ESRCH);
}

static void add_test(const char *name, void (*test)(struct fixture *f, const void *data))
{
        g_test_add(name, struct fixture, NULL, set_up, test, tear_down);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        place = mmap(NULL, PLACE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        g_assert_true(place != MAP_FAILED);
        add_test("/worker/round/figures", test_figures);
        add_test("/worker/round/domains", test_domains);
        add_test("/worker/round/fork", test_fork);
        add_test("/worker/round/private", test_private);
        add_test("/worker/round/owners", test_owners);
        add_test("/worker/round/parts", test_parts);
        add_test("/worker/round/plan", test_plan);
        add_test("/worker/round/gone", test_gone);
        add_test("/worker/round/cancel", test_cancel);
        add_test("/worker/round/library", test_library);
        add_test("/worker/list", test_list);
        add_test("/worker/count", test_count);
        return g_test_run();
}
