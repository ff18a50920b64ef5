// SPDX-License-Identifier: LGPL-2.1-or-later
/* Calls of the device at random, from several processes and threads through several sessions at once, for
 * targets that write, fork, end and become others meanwhile: no byte of theirs may be wrong. Most arguments
 * are such that they pass the checks; the others are nearly such.
 *
 * FUZZ_SEED decides what each thread does, whatever it gets for an answer. They call VM_COUNT times, but not
 * for longer than VM_SECONDS. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "case.h"
#include "device.h"
#include "fuzz-arguments.h"
#include "held.h"
#include "pages.h"

#define CALLERS 3
#define THREADS 2
#define SESSIONS 4

static struct fuzz_board *board;
static unsigned long n_calls = 20000;
static unsigned seconds = 600;
static time_t end;
static uint64_t seed;
static int cgroup_fd;
/* The first is shared by all callers. */
static int sessions[SESSIONS];

static bool is_refusal(int r) {
        static const int refusals[] = { EINVAL, EFAULT, ENOTTY, EPROTO, ENOENT, ENOTCONN, EBADF, EPERM };

        for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
                if (r == -refusals[i])
                        return true;
        return false;
}

static void call(struct fuzz_caller *caller, int fd) {
        unsigned long request;
        unsigned k = fuzz_make(caller, &request);
        int r = device_call(fd, request, &caller->argument);

        board->calls[k]++;
        board->passed[k] += !is_refusal(r);
        if (request == MERGEMOD_MERGE && !r)
                board->merged += caller->argument.merge.merged;
}

/* The number stays open all the time, for others who call at this moment. */
static void open_anew(int fd) {
        int new = device_open();

        for (unsigned i = 0; i < FUZZ_TARGETS; i++) {
                struct mergemod_attach attach = { .pid = board->pids[i] };
                struct mergemod_target target;

                if (device_call(new, MERGEMOD_ATTACH, &attach))
                        continue;
                target = (struct mergemod_target){ .target = attach.target };
                check_equal(device_call(new, MERGEMOD_ACTIVATE, &target), 0);
        }
        check_equal(dup2(new, fd), fd);
        close(new);
}

static void *caller_run(void *argument) {
        struct fuzz_caller *caller = argument;

        for (unsigned long i = 0; i < caller->n_calls && !board->wrong && time(NULL) < end; i++) {
                int fd = sessions[random_below(&caller->random, SESSIONS)];

                call(caller, fd);
                if (random_once_in(&caller->random, 2000))
                        open_anew(fd);
        }
        return NULL;
}

static void interrupt(int unused) {
}

static void caller_process(unsigned number) {
        struct sigaction action = { .sa_handler = interrupt };
        struct itimerval often = { { 0, 30000 }, { 0, 30000 } };
        struct fuzz_caller callers[THREADS];
        pthread_t threads[THREADS];

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        check(mmap((void *)FUZZ_ADDRESS, FUZZ_PAGES * PAGE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == (void *)FUZZ_ADDRESS);
        for (size_t i = 0; i < FUZZ_PAGES; i++)
                pages_fill((char *)FUZZ_ADDRESS + i * PAGE, 1, i % FUZZ_SEEDS);
        for (size_t i = 1; i < SESSIONS; i++) {
                sessions[i] = dup(sessions[0]);
                open_anew(sessions[i]);
        }
        sigaction(SIGALRM, &action, NULL);
        setitimer(ITIMER_REAL, &often, NULL);
        for (unsigned i = 0; i < THREADS; i++) {
                callers[i] = (struct fuzz_caller){
                        .board = board,
                        .random = { seed + number * THREADS + i },
                        .n_calls = n_calls / (CALLERS * THREADS) + 1,
                        .cgroup_fd = cgroup_fd,
                };
                fuzz_caller_init(&callers[i]);
                check_equal(pthread_create(&threads[i], NULL, caller_run, &callers[i]), 0);
        }
        for (unsigned i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        for (size_t i = 0; i < FUZZ_PAGES; i++)
                board->wrong += pages_wrong((char *)FUZZ_ADDRESS + i * PAGE, 1, i % FUZZ_SEEDS);
}

static pid_t start_caller(unsigned number) {
        pid_t pid = fork();

        check(pid >= 0);
        if (pid)
                return pid;
        caller_process(number);
        _exit(0);
}

static pid_t start_target(unsigned number) {
        static struct random random;
        pid_t pid;

        fflush(stdout);
        pid = fork();
        check(pid >= 0);
        if (pid == 0)
                fuzz_target(board, number, seed ^ random_next(&random));
        random_next(&random);
        return pid;
}

/* Targets that end are followed by others until no caller is left. */
static void watch(pid_t *targets, unsigned n_callers) {
        while (n_callers) {
                unsigned number = 0;
                int status;
                pid_t pid = waitpid(-1, &status, 0);

                check(pid > 0);
                if (status)
                        fail("process %d ended with status %d", (int)pid, status);
                while (number < FUZZ_TARGETS && targets[number] != pid)
                        number++;
                if (number < FUZZ_TARGETS)
                        targets[number] = start_target(number);
                else
                        n_callers--;
        }
}

static void report(void) {
        unsigned long all = 0, passed = 0;

        for (size_t k = 0; k < FUZZ_KINDS; k++) {
                printf("# %-8s %8lu calls, %8lu of them pass the checks\n", fuzz_kinds[k].name,
                       board->calls[k], board->passed[k]);
                all += board->calls[k];
                passed += board->passed[k];
        }
        printf("# %lu calls, %lu of them pass the checks, %lu pages merged\n", all, passed, board->merged);
        printf("# total fuzz %lu\n", all);
        check_at_least(passed * 2, all);
        check_at_least(board->merged, all / 100);
        if (all < n_calls)
                printf("# the time was over\n");
}

static void fuzz(void) {
        pid_t targets[FUZZ_TARGETS];
        int status;

        alarm(seconds + 120);
        unlink(FUZZ_BOARD);
        board = fuzz_board_map();
        end = time(NULL) + seconds;
        printf("# seed %lu\n", seed);
        cgroup_fd = open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        check(cgroup_fd >= 0);
        for (unsigned i = 0; i < FUZZ_TARGETS; i++) {
                targets[i] = start_target(i);
                while (!board->pids[i])
                        usleep(10000);
        }
        sessions[0] = device_open();
        open_anew(sessions[0]);
        for (unsigned i = 0; i < CALLERS; i++)
                start_caller(i);
        watch(targets, CALLERS);
        board->stop = true;
        for (unsigned i = 0; i < FUZZ_TARGETS; i++) {
                check_equal(waitpid(targets[i], &status, 0), targets[i]);
                check_equal(status, 0);
        }
        check_equal(board->wrong, 0);
        report();
}

static void gone(void) {
        frames_gone(device_open());
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "fuzz: random calls from many at once", fuzz },
                { "fuzz: no frame is left", gone },
        };

        if (argc == 4 && strcmp(argv[1], "target") == 0)
                fuzz_target(fuzz_board_map(), atoi(argv[2]), strtoul(argv[3], NULL, 10));
        seed = getenv("FUZZ_SEED") ? strtoul(getenv("FUZZ_SEED"), NULL, 10) : (uint64_t)time(NULL);
        if (getenv("VM_COUNT"))
                n_calls = strtoul(getenv("VM_COUNT"), NULL, 10);
        if (getenv("VM_SECONDS"))
                seconds = atoi(getenv("VM_SECONDS"));
        return CASES_RUN(argc, argv, cases);
}
