// SPDX-License-Identifier: LGPL-2.1-or-later
/* Rules that the service works on by itself, with the module. */
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "case.h"
#include "held.h"
#include "knob.h"
#include "service.h"

#define SEED 77
#define USERS 2
#define WORKERS 8
#define USER 1000

/* Pages of zeros that a worker has besides. */
#define ZEROS 64
#define ZEROS_ADDRESS 0x210000000000UL

/* The defaults, but for how often it looks. */
#define OFTEN "[Daemon]\nLogLevel=debug\nIntervalSec=1\nCpuQuota=100%\n[Rule default]\nMinAgeSec=0\n"

#define PATIENCE 1200

#define wait_for(condition)                                          \
        do {                                                         \
                int _i = 0;                                          \
                while (!(condition) && _i++ < PATIENCE)              \
                        usleep(100000);                              \
                if (!(condition))                                    \
                        fail("in vain: %s", #condition);             \
        } while (0)

static long hold(long seed) {
        char *zeros;

        /* As after exec. */
        check(prctl(PR_SET_DUMPABLE, 1) == 0);
        held_fill(seed);
        zeros = mmap((void *)ZEROS_ADDRESS, ZEROS * PAGE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        check(zeros == (void *)ZEROS_ADDRESS);
        memset(zeros, 1, ZEROS * PAGE);
        memset(zeros, 0, ZEROS * PAGE);
        pages_settle();
        return 0;
}

static struct peer worker_of(uid_t uid) {
        struct peer peer = peer_start_as(uid);

        peer_call(&peer, hold, SEED);
        return peer;
}

static size_t shared(const struct peer *a, const struct peer *b) {
        return pages_shared(a->pid, b->pid, HELD_ADDRESS, HELD);
}

static size_t zeros(const struct peer *peers, size_t n) {
        size_t ret = 0;

        for (size_t i = 0; i < n; i++)
                ret += pages_zero(peers[i].pid, ZEROS_ADDRESS, ZEROS);
        return ret;
}

/* Pages that a worker has in one frame with the first of the same user, all together. */
static size_t shared_with_first(const struct peer *peers) {
        size_t ret = 0;

        for (size_t i = 0; i < USERS * WORKERS; i++)
                if (i % WORKERS)
                        ret += shared(&peers[i], &peers[i - i % WORKERS]);
        return ret;
}

static void wait_for_turns(const char *rule, size_t n) {
        char what[128];
        size_t before;

        snprintf(what, sizeof(what), "Rule \"%s\": a turn is over", rule);
        before = service_said(what);
        wait_for(service_said(what) >= before + n);
}

/* The first command of its kind that mergememctl stats advises. */
static void advised(const char *verb, char *ret, size_t size) {
        char line[512], start[64];
        FILE *f = popen("./mergememctl stats", "re");

        check(f);
        snprintf(start, sizeof(start), "  mergememctl %s", verb);
        *ret = 0;
        while (fgets(line, sizeof(line), f))
                if (!*ret && strncmp(line, start, strlen(start)) == 0)
                        snprintf(ret, size, "./%.*s", (int)strcspn(line + 2, "\n"), line + 2);
        check_equal(pclose(f), 0);
        if (!*ret)
                fail("mergememctl stats advises no %s", verb);
}

/* What mergememctl explain says of a process. */
static void check_explained(const struct peer *peer, const char *text) {
        char command[64], line[512], all[4096] = "";
        FILE *f;

        snprintf(command, sizeof(command), "./mergememctl explain %d", (int)peer->pid);
        f = popen(command, "re");
        check(f);
        while (fgets(line, sizeof(line), f))
                strncat(all, line, sizeof(all) - strlen(all) - 1);
        check_equal(pclose(f), 0);
        if (!strstr(all, text))
                fail("no \"%s\" in: %s", text, all);
}

/* Nothing but zeros is merged, until a command says so; then once for each user. */
static void packaged(void) {
        struct service service = service_start_with(OFTEN);
        struct peer peers[USERS * WORKERS];
        char command[512], *json;

        for (size_t i = 0; i < USERS * WORKERS; i++)
                peers[i] = worker_of(USER + i / WORKERS);
        wait_for(zeros(peers, USERS * WORKERS) >= USERS * WORKERS * (ZEROS - 4));
        wait_for_turns("default", 2);
        check_equal(shared_with_first(peers), 0);
        check_equal(shared(&peers[0], &peers[WORKERS]), 0);

        advised("enable", command, sizeof(command));
        printf("# %s\n", command);
        fflush(stdout);
        check_equal(system(command), 0);
        wait_for(shared_with_first(peers) >= USERS * (WORKERS - 1) * (HELD - 8));
        for (size_t i = 0; i < WORKERS; i++)
                for (size_t k = WORKERS; k < 2 * WORKERS; k++)
                        check_equal(shared(&peers[i], &peers[k]), 0);
        for (size_t i = 0; i < USERS * WORKERS; i++)
                check_equal(peer_call(&peers[i], held_wrong, SEED), 0);
        wait_for(stats_number("saved_gross_bytes") / (long)PAGE >=
                 USERS * (WORKERS - 1) * (HELD - 8) + USERS * WORKERS * (ZEROS - 4));
        check_explained(&peers[0], "user");
        json = ctl("stats");
        printf("# %ld frames saved\n", json_number(json, "saved_gross_bytes") / (long)PAGE);
        free(json);
        service_end(&service);
}

/* From the next reload on. */
static void never(void) {
        static const char rule[] = OFTEN "[Rule yes]\nUser=1000\nIntervalSec=1\nMinAgeSec=0\n";
        struct service service = service_start_with(rule);
        struct peer peers[2] = { worker_of(USER), worker_of(USER) };
        char text[512];

        mkdir("/sys/fs/cgroup/never", 0755);
        for (size_t i = 0; i < 2; i++)
                knob_set_number("/sys/fs/cgroup/never/cgroup.procs", peers[i].pid);
        wait_for(shared(&peers[0], &peers[1]) >= HELD - 8);

        snprintf(text, sizeof(text), "%s[Rule no]\nCgroup=/never\nMerge=never\n", rule);
        service_write(SERVICE_CONF, text);
        kill(service.daemon, SIGHUP);
        wait_for_turns("yes", 1);
        for (long i = 0; i < 50; i++)
                peer_call(&peers[0], held_write, i);
        peer_call(&peers[0], held_fill, SEED);
        wait_for_turns("yes", 3);
        check_equal(shared(&peers[0], &peers[1]), 0);
        check_at_least(zeros(peers, 2), 2 * (ZEROS - 4));

        free(ctl("unmerge --cgroup /never"));
        check_equal(zeros(peers, 2), 0);
        check_equal(peer_call(&peers[0], held_wrong, SEED) + peer_call(&peers[1], held_wrong, SEED), 0);
        check_explained(&peers[0], "never");
        service_end(&service);
}

/* Every page, and leaves it as it was. */
static void *rewrite(void *unused) {
        while (true) {
                for (long i = 0; i < 2 * HELD; i++)
                        held_write(i / 2);
                sleep(1);
        }
        return NULL;
}

static long rewrite_start(long unused) {
        pthread_t thread;

        return pthread_create(&thread, NULL, rewrite, NULL);
}

/* Left alone after it has been seen once, and that is said once. */
static void erosion(void) {
        static const char said[] = "merged pages are written to faster than merging pays";
        struct service service =
                service_start_with(OFTEN "[Rule mine]\nUser=1000\nIntervalSec=1\nMinAgeSec=0\n");
        struct peer peers[2] = { worker_of(USER), worker_of(USER) };

        for (size_t i = 0; i < 2; i++)
                check_equal(peer_call(&peers[i], rewrite_start, 0), 0);
        wait_for(service_said(said) > 0);
        wait_for_turns("mine", 1);
        sleep(2);
        check_equal(shared(&peers[0], &peers[1]), 0);
        for (int i = 0; i < 20; i++) {
                usleep(500000);
                check_equal(shared(&peers[0], &peers[1]), 0);
        }
        check_equal(service_said(said), 1);
        service_end(&service);
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "rules: zeros by default, then by a command that is advised", packaged },
                { "rules: never", never },
                { "rules: what is written to all the time is left alone", erosion },
        };

        return CASES_RUN(argc, argv, cases);
}
