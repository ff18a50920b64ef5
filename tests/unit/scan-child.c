/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "scan-child.h"

int scan_proc_fd = -EBADF;

struct scan_child scan_child_start(uint8_t *memory, scan_child_func_t func, scan_child_func_t then)
{
        struct scan_child c;
        int command[2], answer[2];
        char path[32], byte;

        g_assert_cmpint(pipe2(command, O_CLOEXEC), ==, 0);
        g_assert_cmpint(pipe2(answer, O_CLOEXEC), ==, 0);
        c.pid = fork();
        g_assert_cmpint(c.pid, >=, 0);
        if (c.pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (func)
                        func(memory);
                if (write(answer[1], "", 1) != 1 || read(command[0], &byte, 1) != 1)
                        _exit(EXIT_FAILURE);
                if (then)
                        then(memory);
                if (write(answer[1], "", 1) != 1)
                        _exit(EXIT_FAILURE);
                for (;;)
                        pause();
        }

        close(command[0]);
        close(answer[1]);
        c.command_fd = command[1];
        c.answer_fd = answer[0];
        g_assert_cmpint(read(c.answer_fd, &byte, 1), ==, 1);
        snprintf(path, sizeof(path), "%d", (int)c.pid);
        c.dir_fd = openat(scan_proc_fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        g_assert_cmpint(c.dir_fd, >=, 0);
        return c;
}

bool scan_child_go_on(struct scan_child *c)
{
        char byte;

        g_assert_cmpint(write(c->command_fd, "", 1), ==, 1);
        return read(c->answer_fd, &byte, 1) == 1;
}

void scan_child_stop(struct scan_child *c)
{
        kill(c->pid, SIGKILL);
        waitpid(c->pid, NULL, 0);
        close(c->command_fd);
        close(c->answer_fd);
        close(c->dir_fd);
}

uint8_t *map_pages(uint64_t n, int flags)
{
        int map_flags = MAP_PRIVATE | MAP_ANONYMOUS | flags;
        uint8_t *p = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, map_flags, -1, 0);

        g_assert_true(p != MAP_FAILED);
        g_assert_cmpint(madvise(p, n * PAGE, MADV_NOHUGEPAGE), ==, 0);
        return p;
}

void fill(uint8_t *page, uint64_t number)
{
        uint64_t *words = (uint64_t *)page;

        for (size_t i = 0; i < PAGE / sizeof(*words); i++)
                words[i] = number * (i + 1);
}

uint64_t key_of(uint64_t number, uint64_t owner)
{
        uint8_t page[PAGE];

        fill(page, number);
        return mm_hash_page(page, SEED) ^ mm_hash_fold(DOMAIN, owner);
}

bool frames_known(void)
{
        return mm_zero_frame() != 0;
}

void scan_fixture_start(struct scan_fixture *f, uint64_t max_bytes)
{
        g_assert_cmpint(mm_records_new(max_bytes, &f->records), ==, 0);
        g_assert_cmpint(mm_scan_init(&f->scan, f->records, scan_proc_fd, SEED), ==, 0);
}

void scan_fixture_done(struct scan_fixture *f)
{
        mm_scan_done(&f->scan);
        mm_records_free(f->records);
}

int scan_target(struct scan_fixture *f, struct mm_scan_target *t, uint64_t owner, const uint8_t *memory,
                uint64_t n)
{
        uint64_t start = (uintptr_t)memory;

        return mm_scan_range(&f->scan, t, start, start + n * PAGE, owner, false, NULL, NULL);
}

int scan_pages(struct scan_fixture *f, int dir_fd, uint32_t index, uint64_t owner, const uint8_t *memory,
               uint64_t n)
{
        struct mm_scan_target t;
        int r;

        g_assert_cmpint(mm_scan_target_open(dir_fd, index, DOMAIN, &t), ==, 0);
        r = scan_target(f, &t, owner, memory, n);
        mm_scan_target_done(&t);
        return r;
}
