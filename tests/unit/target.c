/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dlfcn.h>
#include <err.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#include "target.h"

/* A program whose memory the tests look at. It tells where it has what, says "ready" and waits for
 * the end of its input. Built without sanitizers, which have memory of their own everywhere. */

#define PAGE 4096UL

static void tell(const char *key, const void *address)
{
        printf("%s %lx\n", key, (unsigned long)(uintptr_t)address);
}

static void *map(void *at, size_t size, int protection, int flags, int fd)
{
        void *p = mmap(at, size, protection, flags, fd, 0);

        if (p == MAP_FAILED)
                err(1, "mmap");
        return p;
}

static void *map_anonymous(size_t size, int protection)
{
        return map(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static void map_file(const char *key, const char *path, int flags)
{
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

        if (fd < 0 || ftruncate(fd, PAGE) < 0)
                err(1, "%s", path);
        tell(key, map(NULL, PAGE, PROT_READ | PROT_WRITE, flags, fd));
        close(fd);
}

static void names(const char *directory)
{
        int memfd, zero, shm;

        if (chdir(directory) < 0)
                err(1, "%s", directory);
        map_file("blank", "with blanks ", MAP_PRIVATE);
        map_file("newline", "with\nnewlines\n", MAP_PRIVATE);
        map_file("brackets", "[heap]", MAP_PRIVATE);
        map_file("gone", "gone", MAP_PRIVATE);
        map_file("gone-newline", "gone\n", MAP_PRIVATE);
        map_file("shared-file", "shared", MAP_SHARED);
        if (unlink("gone") < 0 || unlink("gone\n") < 0)
                err(1, "unlink");

        memfd = memfd_create("name", MFD_CLOEXEC);
        if (memfd < 0 || ftruncate(memfd, PAGE) < 0)
                err(1, "memfd");
        tell("memfd-shared", map(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memfd));
        tell("memfd-private", map(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, memfd));

        zero = open("/dev/zero", O_RDWR | O_CLOEXEC);
        if (zero < 0)
                err(1, "/dev/zero");
        tell("zero-shared", map(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, zero));
        tell("zero-private", map(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero));
        tell("anon-shared", map(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1));

        shm = shmget(IPC_PRIVATE, PAGE, 0600);
        if (shm < 0)
                err(1, "shmget");
        tell("sysv", shmat(shm, NULL, 0));
        if (shmctl(shm, IPC_RMID, NULL) < 0)
                err(1, "shmctl");

        tell("heap", malloc(64));
        tell("stack", &shm);
        /* A page without access on both sides, so that it is not joined with another. */
        tell("anon", (char *)map_anonymous(3 * PAGE, PROT_NONE) + PAGE);
}

static void *open_library(const char *key, Lmid_t where, const char *path)
{
        void *handle = dlmopen(where, path, RTLD_NOW);
        struct link_map *lm;

        if (!handle || dlinfo(handle, RTLD_DI_LINKMAP, &lm) < 0)
                errx(1, "%s", dlerror());
        tell(key, (void *)lm->l_addr);
        return handle;
}

static char *variable(void *handle, const char *name)
{
        char *p = dlsym(handle, name);

        if (!p)
                errx(1, "%s", dlerror());
        return p;
}

/* The same library in two name spaces, and memory of an allocator right behind the .bss of one. */
static void loads(const char *path)
{
        const size_t hole_size = 512 * 1024;
        char *hole, *bss, *bss_end;
        void *first;

        hole = map_anonymous(hole_size, PROT_NONE);
        first = open_library("first", LM_ID_BASE, path);
        if (munmap(hole, hole_size) < 0)
                err(1, "munmap");

        bss = variable(first, "target_bss");
        bss_end = (char *)(((uintptr_t)bss + TARGET_BSS_BYTES + PAGE - 1) & ~(PAGE - 1));
        memset(bss, 1, TARGET_BSS_BYTES);
        memset(map(bss_end, 16 * PAGE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1), 2, 16 * PAGE);
        tell("bss", bss);
        tell("behind", bss_end);
        tell("data", variable(first, "target_data"));
        tell("relro", variable(first, "target_relro"));

        (void) open_library("second", LM_ID_NEWLM, path);
}

static void *thread(void *barrier)
{
        int local = 0;

        tell("thread-local", &local);
        pthread_barrier_wait(barrier);
        (void) pause();
        return NULL;
}

static void threads(void)
{
        const size_t size = 256 * 1024, reserve_size = 64 * 1024 * 1024;
        pthread_barrier_t barrier;
        pthread_attr_t attributes;
        char *stack, *reserve;
        pthread_t id;

        /* glibc draws its guards in ways of its own since 2.42. */
        stack = map_anonymous(PAGE + size, PROT_NONE);
        if (mprotect(stack + PAGE, size, PROT_READ | PROT_WRITE) < 0)
                err(1, "mprotect");
        if (pthread_barrier_init(&barrier, NULL, 2) != 0 || pthread_attr_init(&attributes) != 0 ||
            pthread_attr_setstack(&attributes, stack + PAGE, size) != 0 ||
            pthread_create(&id, &attributes, thread, &barrier) != 0)
                errx(1, "No thread.");
        pthread_barrier_wait(&barrier);
        tell("thread-stack", stack + PAGE);

        reserve = map_anonymous(reserve_size, PROT_NONE);
        if (mprotect(reserve + reserve_size - 64 * PAGE, 64 * PAGE, PROT_READ | PROT_WRITE) < 0)
                err(1, "mprotect");
        tell("reserve-used", reserve + reserve_size - 64 * PAGE);
        tell("stack", &size);
}

int main(int argc, char **argv)
{
        if (argc == 3 && strcmp(argv[1], "names") == 0)
                names(argv[2]);
        else if (argc == 3 && strcmp(argv[1], "loads") == 0)
                loads(argv[2]);
        else if (argc == 2 && strcmp(argv[1], "threads") == 0)
                threads();
        else if (argc != 2 || strcmp(argv[1], "wait") != 0)
                errx(2, "names DIRECTORY | loads LIBRARY | threads | wait");

        puts("ready");
        if (fflush(stdout) != 0)
                err(1, "stdout");
        while (getchar() != EOF)
                ;
        return 0;
}
