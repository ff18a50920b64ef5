/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mmlib-memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

static void cut(uint8_t *p, size_t size)
{
        if (size > 0)
                g_assert_cmpint(munmap(p, size), ==, 0);
}

/* With a page around it that nothing can be in. */
static uint8_t *map(size_t size, size_t alignment)
{
        size_t whole = size + 2 * alignment;
        int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
        uint8_t *p = mmap(NULL, whole, PROT_NONE, flags, -1, 0), *memory;

        g_assert_true(p != MAP_FAILED);
        memory = (uint8_t *) (((uintptr_t) p + alignment) / alignment * alignment);
        cut(p, (size_t) (memory - p) - PAGE);
        cut(memory + size + PAGE, (size_t) (p + whole - memory) - size - PAGE);
        g_assert_cmpint(mprotect(memory, size, PROT_READ | PROT_WRITE), ==, 0);
        return memory;
}

uint8_t *memory_map(size_t n)
{
        uint8_t *memory = map(n * PAGE, 2 * PAGE);

        g_assert_cmpint(madvise(memory, n * PAGE, MADV_NOHUGEPAGE), ==, 0);
        return memory;
}

uint8_t *memory_map_huge(size_t n)
{
        uint8_t *memory = map(n * HUGE, HUGE);

        g_assert_cmpint(madvise(memory, n * HUGE, MADV_HUGEPAGE), ==, 0);
        return memory;
}

void memory_unmap(uint8_t *memory, size_t size)
{
        g_assert_cmpint(munmap(memory - PAGE, size + 2 * PAGE), ==, 0);
}

void memory_fill(uint8_t *memory, size_t i, uint64_t number)
{
        uint64_t *words = (uint64_t *) (memory + i * PAGE);

        for (size_t k = 0; k < PAGE / sizeof(*words); k++)
                words[k] = number * (k + 1);
}

static uint64_t read_word(const char *path, uint64_t index)
{
        uint64_t word = 0;
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        g_assert_cmpint(fd, >=, 0);
        g_assert_cmpint(pread(fd, &word, sizeof(word), (off_t) (index * sizeof(word))), ==, sizeof(word));
        close(fd);
        return word;
}

uint64_t memory_frame(pid_t pid, const void *address)
{
        g_autofree char *path = g_strdup_printf("/proc/%d/pagemap", (int) pid);
        uint64_t word = read_word(path, (uintptr_t) address / PAGE);

        return word >> 63 ? word & ((UINT64_C(1) << 55) - 1) : 0;
}

uint64_t memory_count(pid_t pid, const void *address)
{
        return read_word("/proc/kpagecount", memory_frame(pid, address));
}

size_t memory_infos(pid_t pid, const uint8_t *memory, size_t size, MPAGEINFO *infos, size_t n)
{
        const void *cont = &cont;
        ssize_t n_infos = m_getpageinfos(pid, memory, memory + size, infos, n, &cont);

        g_assert_cmpint(n_infos, >=, 0);
        g_assert_null(cont);
        return (size_t) n_infos;
}

static void become_nobody(void *unused)
{
        if (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
                _exit(1);
}

pid_t child_start_as_nobody(void)
{
        return child_start(become_nobody, NULL);
}

int run_as_nobody(int (*func)(void))
{
        pid_t pid = fork();
        int status;

        g_assert_cmpint(pid, >=, 0);
        if (pid == 0) {
                become_nobody(NULL);
                _exit(func());
        }
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        g_assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}
