/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* A program that mergemem-run starts in the tests. Built without sanitizers, with and without libraries.
 *
 *      probe report            what it finds itself to be like, a "KEY VALUE" per line
 *      probe hold              the same, "end", and stays until the end of its input
 *      probe exit N
 *      probe kill N            itself, by signal N
 *      probe exec PROGRAM...   executes that
 *      probe deep MIB          fills so much of its stack
 *      probe beyond N          writes behind the end of N bytes of heap
 *      probe lose N            forgets pieces of heap of N bytes
 */

#define GET_MEMORY_MERGE 68 /* PR_GET_MEMORY_MERGE of newer headers */

static int data = 11;

static void tell(const char *key, uint64_t value)
{
        printf("%s %ju\n", key, (uintmax_t) value);
}

/* Lines of /proc/self/status, which are the kernel's word. */
static void tell_status(void)
{
        static const char *const keys[] = {
                "Name", "Pid", "PPid", "TracerPid", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt",
                "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Threads", "Uid",
                "Gid",
        };
        char line[512];
        FILE *f = fopen("/proc/self/status", "re");

        while (f && fgets(line, sizeof(line), f))
                for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
                        size_t n = strlen(keys[i]);

                        if (strncmp(line, keys[i], n) == 0 && line[n] == ':')
                                printf("%s %s", keys[i], line + n + 1 + strspn(line + n + 1, "\t "));
                }
        if (f)
                fclose(f);
}

static void tell_file(const char *key, const char *path)
{
        char text[4096];
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

        if (fd >= 0)
                close(fd);
        text[n < 0 ? 0 : n] = '\0';
        text[strcspn(text, "\n")] = '\0';
        printf("%s %s\n", key, text);
}

static void tell_files(void)
{
        DIR *dir = opendir("/proc/self/fd");
        struct dirent *e;

        printf("Files");
        while (dir && (e = readdir(dir))) {
                char target[256];
                ssize_t n;

                if (e->d_name[0] == '.' || atoi(e->d_name) == dirfd(dir))
                        continue;
                n = readlinkat(dirfd(dir), e->d_name, target, sizeof(target) - 1);
                target[n < 0 ? 0 : n] = '\0';
                printf(" %s=%s:%d", e->d_name, target, fcntl(atoi(e->d_name), F_GETFD));
        }
        printf("\n");
        if (dir)
                closedir(dir);
}

static void *note_stack(void *ret)
{
        pthread_attr_t attr;
        void *start;

        if (pthread_getattr_np(pthread_self(), &attr) == 0) {
                (void) pthread_attr_getstack(&attr, &start, ret);
                pthread_attr_destroy(&attr);
        }
        return start;
}

static void tell_stacks(void)
{
        struct rlimit limit;
        pthread_t thread;
        size_t size = 0;
        void *start = NULL;

        if (getrlimit(RLIMIT_STACK, &limit) == 0) {
                tell("StackSoft", limit.rlim_cur);
                tell("StackHard", limit.rlim_max);
        }
        if (pthread_create(&thread, NULL, note_stack, &size) == 0)
                pthread_join(thread, &start);
        tell("ThreadStack", size);
        tell("ThreadStackAt", (uintptr_t) start);
}

static void tell_places(void)
{
        void *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        tell("Program", (uintptr_t) &data);
        tell("Heap", (uintptr_t) sbrk(0));
        tell("Libraries", (uintptr_t) &stdout->_flags);
        tell("Mappings", (uintptr_t) p);
        tell("Stack", (uintptr_t) __builtin_frame_address(0) & ~UINT64_C(0xfffff));
}

static void report(void)
{
        struct itimerval timer;
        int death = 0, status, subreaper = 0;
        mode_t mask = umask(0);
        char *tty = ttyname(STDIN_FILENO), cwd[4096];

        umask(mask);
        tell_places();
        tell_status();
        tell_files();
        tell_file("Personality", "/proc/self/personality");
        tell_file("Score", "/proc/self/oom_score_adj");
        tell_file("Control", "/proc/self/cgroup");
        tell_stacks();
        prctl(PR_GET_PDEATHSIG, &death);
        prctl(PR_GET_CHILD_SUBREAPER, &subreaper);
        getitimer(ITIMER_REAL, &timer);
        tell("Death", (unsigned) death);
        tell("Subreaper", (unsigned) subreaper);
        tell("Timer", timer.it_value.tv_sec > 0);
        tell("Group", (unsigned) getpgrp());
        tell("Session", (unsigned) getsid(0));
        tell("Foreground", (unsigned) tcgetpgrp(STDIN_FILENO));
        tell("Mask", mask);
        tell("Nice", (unsigned) (20 - getpriority(PRIO_PROCESS, 0)));
        tell("Merge", (unsigned) prctl(GET_MEMORY_MERGE, 0, 0, 0, 0));
        printf("Terminal %s\n", tty ? tty : "none");
        printf("Directory %s\n", getcwd(cwd, sizeof(cwd)));
        /* Children of whatever kind: there has never been one. */
        tell("Childless", waitpid(-1, &status, WNOHANG | __WALL) < 0 && errno == ECHILD);
}

static __attribute__((noinline)) int deep(size_t bytes)
{
        char here[65536];

        memset(here, (int) bytes, sizeof(here));
        __asm__ volatile("" : : "r"(here) : "memory");
        return bytes > sizeof(here) ? deep(bytes - sizeof(here)) + here[5] : here[7];
}

static __attribute__((noinline)) void beyond(size_t n)
{
        volatile char *p = malloc(n);

        p[n] = 1;
        free((char *) p);
}

static __attribute__((noinline)) void lose(size_t n)
{
        for (unsigned i = 0; i < 100; i++) { /* the last one may still be in some register */
                volatile char *p = malloc(n);

                p[0] = 1;
        }
}

int main(int argc, char *argv[])
{
        const char *what = argc > 1 ? argv[1] : "", *slash = strrchr(what, '/');

        /* As the interpreter of a script it gets a path. */
        if (slash)
                what = slash + 1;
        if (strcmp(what, "report") == 0 || strcmp(what, "hold") == 0) {
                report();
                for (int i = 2; i < argc; i++)
                        printf("Argument%d %s\n", i, argv[i]);
                if (strcmp(what, "hold") == 0) {
                        printf("end\n");
                        fflush(stdout);
                        while (getchar() != EOF)
                                ;
                }
                return EXIT_SUCCESS;
        }
        if (argc < 3)
                return 99;
        if (strcmp(what, "exit") == 0)
                return atoi(argv[2]);
        if (strcmp(what, "kill") == 0) {
                kill(getpid(), atoi(argv[2]));
                return 98;
        }
        if (strcmp(what, "deep") == 0) {
                (void) deep((size_t) atoi(argv[2]) << 20);
                return EXIT_SUCCESS;
        }
        if (strcmp(what, "beyond") == 0) {
                beyond((size_t) atoi(argv[2]));
                return EXIT_SUCCESS;
        }
        if (strcmp(what, "lose") == 0) {
                lose((size_t) atoi(argv[2]));
                return EXIT_SUCCESS;
        }
        if (strcmp(what, "exec") == 0)
                execv(argv[2], argv + 2);
        return 97;
}
