/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sys/mman.h>

#include "worker-rounds.h"

char *rounds_place;

void rounds_set_up(struct rounds *f, const void *data)
{
        if (!rounds_place)
                rounds_place = mmap(NULL, ROUNDS_BYTES, PROT_NONE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        g_assert_true(rounds_place != MAP_FAILED);
        worker_calls_open(&f->calls);
}

void rounds_tear_down(struct rounds *f, const void *data)
{
        worker_calls_close(&f->calls);
}

void hide_memory(void)
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

char *map_pages(size_t from, size_t n)
{
        void *p = mmap(rounds_place + from * ROUNDS_PAGE, n * ROUNDS_PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

        return p == MAP_FAILED ? NULL : p;
}

void fill_pages(char *pages, const char *letters)
{
        for (size_t i = 0; letters[i]; i++)
                if (letters[i] != '.')
                        memset(pages + i * ROUNDS_PAGE, letters[i] == '0' ? 0 : letters[i], ROUNDS_PAGE);
}

void have_pages(void *letters)
{
        char *pages;

        hide_memory();
        pages = map_pages(0, strlen(letters));
        if (!pages)
                _exit(1);
        fill_pages(pages, letters);
}

pid_t child_with(const char *letters)
{
        return child_start(have_pages, (void *) letters);
}

void begin_round_with(struct rounds *f, const struct worker_begin *begin)
{
        union worker_packet p;

        worker_packet_init(&p, WORKER_BEGIN, sizeof(p.begin));
        p.begin = *begin;
        p.begin.header = (struct worker_header) { .type = WORKER_BEGIN, .size = sizeof(p.begin) };
        g_assert_cmpint(call(&f->calls, &p, -1, NULL), ==, 0);
        f->n_scanned = 0;
}

void begin_round(struct rounds *f)
{
        begin_round_with(f,
                         &(struct worker_begin) {
                                 .bookkeeping_max_bytes = ROUNDS_BOOKKEEPING,
                                 .use_zero_pages = -1,
                                 .huge = MERGEMOD_HUGE_SPLIT,
                                 .seed = 4711,
                         });
}

int packet_target(struct rounds *f, uint32_t type, pid_t pid, uint32_t domain, union worker_packet *ret)
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

struct worker_scanned scan_process(struct rounds *f, pid_t pid, uint32_t domain)
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

void group_pages(struct rounds *f, struct outcome *o)
{
        union worker_packet p;

        worker_packet_init(&p, WORKER_GROUP, sizeof(p.header));
        g_assert_cmpint(call(&f->calls, &p, -1, o), ==, 0);
        g_assert_cmpuint(outcome_count(o, WORKER_ROW_TOTAL), ==, 1);
}

void check_total(const struct outcome *o, uint64_t n_duplicates, uint64_t n_zero)
{
        const struct worker_total *t = &outcome_row(o, WORKER_ROW_TOTAL)->total;

        g_assert_cmpuint(t->n_duplicates, ==, n_duplicates);
        g_assert_cmpuint(t->n_zero, ==, n_zero);
        g_assert_cmpuint(t->n_anonymous, ==, n_duplicates);
}
