// SPDX-License-Identifier: LGPL-2.1-or-later
/* The service with the module: mergememd, its bus and its client. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"
#include "knob.h"
#include "pages.h"
#include "peer.h"
#include "service.h"

#define ADDRESS 0x300000000000UL
#define SEED 77
#define USER 1000
#define OTHER 1001

/* Pages that a peer holds: as many of each other content as @n, and half as many of zeros. */
static size_t n = 2048;
static char *pages;

#define ALL (n + n / 2)

static long hold(long seed) {
        if (!pages) {
                pages = mmap((void *)ADDRESS, ALL * PAGE, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
                check(pages == (void *)ADDRESS);
                madvise(pages, ALL * PAGE, MADV_NOHUGEPAGE);
        }
        pages_fill(pages, n, seed);
        memset(pages + n * PAGE, 1, n / 2 * PAGE);
        memset(pages + n * PAGE, 0, n / 2 * PAGE);
        pages_settle();
        return 0;
}

static long wrong(long seed) {
        return pages_wrong(pages, n, seed) + pages_wrong(pages + n * PAGE, n / 2, 0);
}

/* Writes to every page below @end without changing anything. */
static long touch(long end) {
        for (long i = 0; i < end; i++)
                ((volatile char *)pages)[i * PAGE] = pages[i * PAGE];
        return 0;
}

static long settle(long unused) {
        pages_settle();
        return 0;
}

static struct peer holder_of(uid_t uid, long seed) {
        struct peer peer = peer_start_as(uid);

        peer_call(&peer, hold, seed);
        return peer;
}

/* All but a few pages, which wait for the kernel in lists of its CPUs. */
static void check_shared(const struct peer *a, const struct peer *b) {
        check_at_least(pages_shared(a->pid, b->pid, ADDRESS, ALL), ALL - 64);
}

static int compare(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

/* Frames that these have, counted without the service. */
static long frames_of(const struct peer *peers, size_t n_peers) {
        uint64_t *words = calloc(n_peers * ALL, sizeof(*words)), zero = zero_frame();
        long frames = 0;

        check(words);
        for (size_t i = 0; i < n_peers; i++)
                pages_frames(peers[i].pid, ADDRESS, words + i * ALL, ALL);
        qsort(words, n_peers * ALL, sizeof(*words), compare);
        for (size_t i = 0; i < n_peers * ALL; i++)
                frames += words[i] && words[i] != zero && (i == 0 || words[i] != words[i - 1]);
        free(words);
        return frames;
}

/* Within 2 % of each other. */
static void check_near(long counted, long said) {
        long distance = labs(counted - said);

        if (distance * 50 > counted)
                fail("%ld frames counted, and mergememd says %ld", counted, said);
}

static long saved_frames(void) {
        return stats_number("saved_gross_bytes") / (long)PAGE;
}

/* The service looks again every ten seconds. */
static void check_saved(long counted) {
        for (int i = 0; i < 150 && labs(saved_frames() - counted) * 50 > counted; i++)
                usleep(100000);
        check_near(counted, saved_frames());
}

static void merge(void) {
        struct service service = service_start();
        struct peer peers[5];
        long before, after;
        char *json;

        json = ctl("stats");
        if (!strstr(json, "\"mechanism\":\"direct\""))
                fail("the mechanism is not direct: %s", json);
        free(json);
        /* Two pairs of one content each, and one alone. */
        for (size_t i = 0; i < 5; i++)
                peers[i] = holder_of(USER, SEED + i / 2);
        before = frames_of(peers, 5);
        json = ctl("estimate --user %d --all", USER);
        check_near(2 * n + 5 * (n / 2), json_number(json, "duplicate_frames"));
        free(json);

        json = ctl("merge --user %d --all", USER);
        after = frames_of(peers, 5);
        check_near(before - after, json_number(json, "saved_frames"));
        check_near(2 * n + 5 * (n / 2), before - after);
        check_near(2 * n, json_number(json, "shared_frames"));
        free(json);
        for (size_t i = 0; i < 5; i++)
                check_equal(peer_call(&peers[i], wrong, SEED + i / 2), 0);
        check_saved(before - after);

        /* Writes. */
        peer_call(&peers[0], touch, n / 2);
        check_saved(before - frames_of(peers, 5));
        /* A page that comes later finds the frame that is there. */
        peer_call(&peers[0], hold, SEED);
        json = ctl("merge --user %d --all", USER);
        check_near(2 * n + 5 * (n / 2), before - frames_of(peers, 5));
        check_equal(json_number(json, "shared_frames"), 0);
        free(json);
        check_saved(before - frames_of(peers, 5));
        check_equal(peer_call(&peers[0], wrong, SEED), 0);

        /* Ends: what is left of a pair saves nothing, and the other pair as before. */
        peer_end(&peers[4]);
        peer_end(&peers[0]);
        check_saved(n + 3 * (n / 2));
        peer_end(&peers[1]);
        check_saved(n + 2 * (n / 2));
        peer_end(&peers[2]);
        peer_end(&peers[3]);
        for (int i = 0; i < 100 && stats_number("merged_pages"); i++)
                usleep(100000);
        check_equal(stats_number("merged_pages"), 0);
        check_equal(stats_number("saved_gross_bytes"), 0);
        service_end(&service);
}

static void unmerge(void) {
        struct service service = service_start();
        struct peer a = holder_of(USER, SEED), b = holder_of(USER, SEED);
        char *json;

        free(ctl("merge --user %d --all", USER));
        check_shared(&a, &b);
        json = ctl("unmerge --user %d --pid %d", USER, a.pid);
        check_near(ALL, json_number(json, "unmerged_pages"));
        free(json);
        check_equal(pages_shared(a.pid, b.pid, ADDRESS, ALL), 0);
        check_equal(pages_zero(a.pid, ADDRESS, ALL), 0);
        check_equal(peer_call(&a, wrong, SEED) + peer_call(&b, wrong, SEED), 0);
        /* Another service knows what the first one merged. */
        service_end(&service);
        service = service_start();
        free(ctl("unmerge --user %d --pid %d", USER, b.pid));
        check_equal(pages_zero(b.pid, ADDRESS, ALL), 0);
        check_equal(peer_call(&b, wrong, SEED), 0);
        for (int i = 0; i < 100 && stats_number("merged_pages"); i++)
                usleep(100000);
        check_equal(stats_number("merged_pages"), 0);
        service_end(&service);
}

/* Nothing is given back for which the cgroup has no room, unless that is forced, and then not all. */
static void memory_short(void) {
        struct service service = service_start();
        struct peer a = holder_of(USER, SEED), b = holder_of(USER, SEED);
        char command[128], said[512] = "", *json;
        FILE *f;

        cgroup_make();
        free(ctl("merge --user %d --all", USER));
        check_shared(&a, &b);
        cgroup_put(b.pid);
        knob_set(CGROUP "/memory.max", "4M");
        snprintf(command, sizeof(command), "./mergememctl unmerge --user %d --pid %d 2>&1", USER,
                 (int)b.pid);
        f = popen(command, "re");
        check(f);
        said[fread(said, 1, sizeof(said) - 1, f)] = 0;
        check_equal(WEXITSTATUS(pclose(f)), 1);
        if (!strstr(said, "are available in the cgroup /memory-test; force goes ahead"))
                fail("%s", said);
        check_shared(&a, &b);
        json = ctl("unmerge --user %d --pid %d --force", USER, b.pid);
        if (!strstr(json, "memory ran out"))
                fail("%s", json);
        free(json);
        check_equal(cgroup_events("oom_kill"), 0);
        check_equal(peer_call(&a, wrong, SEED) + peer_call(&b, wrong, SEED), 0);
        knob_set(CGROUP "/memory.max", "max");
        free(ctl("unmerge --user %d --pid %d", USER, b.pid));
        check_equal(pages_shared(a.pid, b.pid, ADDRESS, ALL), 0);
        check_equal(peer_call(&a, wrong, SEED) + peer_call(&b, wrong, SEED), 0);
        peer_end(&b);
        cgroup_remove();
        service_end(&service);
}

static void put_into(const char *cgroup, pid_t pid) {
        char path[128];
        FILE *f;

        snprintf(path, sizeof(path), "/sys/fs/cgroup/%s", cgroup);
        mkdir(path, 0755);
        snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/cgroup.procs", cgroup);
        f = fopen(path, "we");
        check(f && fprintf(f, "%d", (int)pid) > 0 && fclose(f) == 0);
}

static void domains(void) {
        struct service service = service_start();
        struct peer users[4], units[4];

        for (size_t i = 0; i < 4; i++) {
                users[i] = holder_of(i < 2 ? USER : OTHER, SEED);
                units[i] = holder_of(0, SEED);
                put_into(i < 2 ? "one.service" : "two.service", units[i].pid);
        }
        free(ctl("merge --user %d --user %d --all", USER, OTHER));
        free(ctl("merge --unit one.service --unit two.service --all"));
        for (size_t i = 0; i < 4; i++)
                for (size_t k = 0; k < 4; k++) {
                        check_equal(pages_shared(users[i].pid, units[k].pid, ADDRESS, n), 0);
                        if (i / 2 == k / 2) {
                                check_shared(&users[i], &users[k]);
                                check_shared(&units[i], &units[k]);
                        } else {
                                check_equal(pages_shared(users[i].pid, users[k].pid, ADDRESS, n), 0);
                                check_equal(pages_shared(units[i].pid, units[k].pid, ADDRESS, n), 0);
                        }
                }
        free(ctl("unmerge --user %d --user %d", USER, OTHER));
        free(ctl("unmerge --unit one.service --unit two.service"));
        for (size_t i = 0; i < 4; i++) {
                peer_call(&users[i], settle, 0);
                peer_call(&units[i], settle, 0);
        }

        /* Said so: one cgroup, then everybody. */
        put_into("one.service", users[0].pid);
        put_into("one.service", users[2].pid);
        free(ctl("merge --unit one.service --trust cgroup --all"));
        check_shared(&users[0], &users[2]);
        check_shared(&users[0], &units[0]);
        check_equal(pages_shared(users[1].pid, users[0].pid, ADDRESS, ALL), 0);
        free(ctl("unmerge --unit one.service"));

        /* Two at once, each for itself. */
        peer_call(&users[0], settle, 0);
        peer_call(&users[2], settle, 0);
        for (size_t i = 0; i < 4; i++)
                peer_call(&units[i], settle, 0);
        free(ctl("merge --unit one.service --unit two.service --trust cgroup --all"));
        check_shared(&units[0], &units[1]);
        check_shared(&units[2], &units[3]);
        check_equal(pages_shared(units[0].pid, units[2].pid, ADDRESS, n), 0);
        free(ctl("unmerge --unit one.service --unit two.service"));
        free(ctl("merge --user %d --user %d --trust system --all", USER, OTHER));
        check_shared(&users[1], &users[3]);
        for (size_t i = 0; i < 4; i++)
                check_equal(peer_call(&users[i], wrong, SEED) + peer_call(&units[i], wrong, SEED), 0);
        service_end(&service);
}

/* Bytes that the kernel's own sum of @pid has, which tells KiB. */
static long rollup_bytes(pid_t pid, const char *name) {
        char path[64], line[256];
        long kib = -1;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
        f = fopen(path, "re");
        check(f);
        while (kib < 0 && fgets(line, sizeof(line), f))
                if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
                        kib = atol(line + strlen(name) + 1);
        fclose(f);
        check(kib >= 0);
        return kib * 1024;
}

/* Merged pages are told from others, and counted as the kernel does. */
static void memory(void) {
        struct service service = service_start();
        struct peer a = holder_of(USER, SEED), b = holder_of(USER, SEED);
        char *json;

        json = ctl("memory --pid %d", a.pid);
        check_equal(json_number(json, "rss_bytes"), rollup_bytes(a.pid, "Rss"));
        check_equal(json_number(json, "direct_bytes"), 0);
        free(json);
        free(ctl("merge --user %d --all", USER));
        check_shared(&a, &b);

        json = ctl("memory --pid %d", a.pid);
        check_equal(json_number(json, "rss_bytes"), rollup_bytes(a.pid, "Rss"));
        check_at_least(json_number(json, "direct_bytes"), (n - 64) * PAGE);
        check_at_least(json_number(json, "zero_bytes"), (n / 2 - 64) * PAGE);
        /* Half of what is merged is the other's. */
        check_at_least(json_number(json, "rss_bytes") - json_number(json, "pss_bytes"), (n - 64) / 2 * PAGE);
        free(json);
        json = ctl("shared %d", a.pid);
        check_at_least(json_number(json, "direct_pages"), n - 64);
        check_at_least(json_number(strstr(json, "\"processes\""), "direct_pages"), n - 64);
        free(json);
        json = ctl("pages %d --flags=file,~lru,~anon", a.pid);
        check_at_least(json_number(json, "page_count"), n - 64);
        free(json);

        free(ctl("unmerge --user %d", USER));
        json = ctl("memory --pid %d", a.pid);
        check_equal(json_number(json, "rss_bytes"), rollup_bytes(a.pid, "Rss"));
        check_equal(json_number(json, "direct_bytes"), 0);
        free(json);
        service_end(&service);
}

static void check_between(long least, long value, long most) {
        check_at_least(value, least);
        check_at_least(most, value);
}

/* Pages of KSM's of a process, as the views and an estimate tell them. */
static void check_ksm(pid_t pid, long least, long most) {
        char *json = ctl("memory --pid %d", pid);

        check_between(least, json_number(json, "ksm_bytes") / (long)PAGE, most);
        free(json);
        json = ctl("shared %d", pid);
        check_between(least, json_number(json, "ksm_pages"), most);
        free(json);
        json = ctl("pages %d --flags=ksm", pid);
        check_between(least, json_number(json, "page_count"), most);
        free(json);
        json = ctl("estimate --pid %d", pid);
        check_between(least, json_number(json, "ksm_pages"), most);
        free(json);
}

/* As after exec. Who has changed his user is not dumpable, and left alone if only his PID is named. */
static long be_dumpable(long unused) {
        return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

/* What KSM has merged is told from what it has not, whatever the kernel says of frames: some are shared
 * since a fork. */
static void ksm(void) {
        struct service service = service_start();
        struct peer a = holder_of(USER, SEED), b = holder_of(USER, SEED), c = holder_of(USER, SEED + 1);
        long all = (long)ALL, half = (long)n / 2;
        char *json;

        check_equal(peer_call(&a, be_dumpable, 0) + peer_call(&b, be_dumpable, 0) +
                    peer_call(&c, be_dumpable, 0), 0);
        check_ksm(a.pid, 0, 0);
        json = ctl("merge --mechanism ksm --pid %d --pid %d", a.pid, b.pid);
        check_at_least(pages_shared(a.pid, b.pid, ADDRESS, n), n - 64);
        /* With them a few that the program has; whether zeros count is the kernel's choice. */
        check_between(4 * half - 128, json_number(json, "merged_pages"), 2 * (all + 256));
        check_between(2 * half - 64, json_number(json, "saved_frames"), all + half + 256);
        free(json);
        check_ksm(a.pid, 2 * half - 64, all + 256);
        check_ksm(c.pid, 0, 0);
        check_between(4 * half - 128, stats_number("merged_pages"), 2 * (all + 256));

        peer_call(&a, touch, half);
        check_ksm(a.pid, half - 64, all - half + 256);
        for (int i = 0; i < 150 && stats_number("merged_pages") > 2 * all - half + 512; i++)
                usleep(100000);
        check_between(2 * half - 128, stats_number("merged_pages"), 2 * all - half + 512);

        free(ctl("unmerge --user %d", USER));
        check_ksm(a.pid, 0, 0);
        check_equal(peer_call(&a, wrong, SEED) + peer_call(&b, wrong, SEED), 0);
        service_end(&service);
}

/* From then on nobody lets it make calls of his own. */
static long filter(long unused) {
        struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        struct sock_fprog program = { .len = 1, .filter = &allow };

        check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
        return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void registers(void) {
        struct service service = service_start();
        struct peer a = holder_of(USER, SEED), b = holder_of(USER, SEED);
        char *json;

        check_equal(peer_call(&a, filter, 0) + peer_call(&b, filter, 0), 0);
        json = ctl("merge --user %d --all --mechanism ksm", USER);
        if (!strstr(json, "\"mechanism\":\"ksm\""))
                fail("the mechanism is not ksm: %s", json);
        free(json);
        check_at_least(pages_shared(a.pid, b.pid, ADDRESS, n), n - 64);
        check_equal(peer_call(&a, wrong, SEED) + peer_call(&b, wrong, SEED), 0);
        free(ctl("unmerge --user %d", USER));
        check_equal(pages_shared(a.pid, b.pid, ADDRESS, ALL), 0);
        check_equal(peer_call(&a, wrong, SEED) + peer_call(&b, wrong, SEED), 0);
        service_end(&service);
}

/* Huge pages stay as they are, and this is said; unless the command says otherwise. */
static long hold_huge(long seed) {
        pages = mmap((void *)ADDRESS, 2 * HUGE_PAGE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        check(pages == (void *)ADDRESS);
        check(madvise(pages, 2 * HUGE_PAGE, MADV_HUGEPAGE) == 0);
        pages_fill(pages, 2 * HUGE_PAGE / PAGE, seed);
        pages_settle();
        return 0;
}

static void huge(void) {
        struct service service = service_start();
        struct peer peers[2];
        char *json;

        for (size_t i = 0; i < 2; i++) {
                peers[i] = peer_start_as(USER);
                peer_call(&peers[i], hold_huge, SEED);
        }
        /* An estimate promises no more than the merge then does. */
        json = ctl("estimate --user %d --all", USER);
        check_at_least(json_number(json, "huge_frames"), 2 * HUGE_PAGE / PAGE - 1);
        check_at_least(64, json_number(json, "duplicate_frames"));
        free(json);
        json = ctl("estimate --user %d --all --huge-pages=split", USER);
        check_equal(json_number(json, "huge_frames"), 0);
        check_at_least(json_number(json, "duplicate_frames"), 2 * HUGE_PAGE / PAGE - 64);
        free(json);
        /* A rule that is tried is about what it would be about in force. */
        json = ctl("enable huge --user %d", USER);
        check_at_least(json_number(json, "huge_frames"), 2 * HUGE_PAGE / PAGE - 1);
        check_at_least(64, json_number(json, "duplicate_frames"));
        free(json);
        json = ctl("enable huge --user %d --huge-pages=split", USER);
        check_equal(json_number(json, "huge_frames"), 0);
        check_at_least(json_number(json, "duplicate_frames"), 2 * HUGE_PAGE / PAGE - 64);
        free(json);
        free(ctl("disable huge"));
        json = ctl("merge --user %d --all", USER);
        check_at_least(64, json_number(json, "merged_pages"));
        if (!strstr(json, "in an area with huge pages"))
                fail("nothing is said of huge pages: %s", json);
        free(json);
        check_equal(pages_shared(peers[0].pid, peers[1].pid, ADDRESS, 2 * HUGE_PAGE / PAGE), 0);
        free(ctl("merge --user %d --all --huge-pages=split", USER));
        check_at_least(pages_shared(peers[0].pid, peers[1].pid, ADDRESS, 2 * HUGE_PAGE / PAGE),
                       2 * HUGE_PAGE / PAGE - 64);
        service_end(&service);
}

/* A merge that takes a while, under way. */
static void merge_begin(struct peer *peers, size_t n_peers) {
        n = 8192;
        for (size_t i = 0; i < n_peers; i++)
                peers[i] = holder_of(USER, SEED);
        free(ctl("merge --user %d --all --no-block", USER));
        for (int i = 0; i < 3000 && !pages_zero(peers[0].pid, ADDRESS + n * PAGE, 64) &&
                        !pages_shared(peers[0].pid, peers[1].pid, ADDRESS, 64);
             i++)
                usleep(10000);
        check_at_least(pages_shared(peers[0].pid, peers[1].pid, ADDRESS, ALL), 1);
}

static void cancel(void) {
        struct service service = service_start();
        struct peer peers[3];
        long before;
        char *json;

        merge_begin(peers, 3);
        (void)!system("./mergememctl cancel 1 >/dev/null 2>&1");
        before = 3 * ALL;
        for (int i = 0; i < 300; i++) {
                json = ctl("list jobs");
                bool over = !strstr(json, "merging");

                free(json);
                if (over)
                        break;
                usleep(100000);
        }
        check_saved(before - frames_of(peers, 3));
        for (size_t i = 0; i < 3; i++)
                check_equal(peer_call(&peers[i], wrong, SEED), 0);
        /* Nothing stands in the way of another. */
        free(ctl("merge --user %d --all", USER));
        check_shared(&peers[0], &peers[2]);
        service_end(&service);
}

static void killed(void) {
        struct service service = service_start();
        struct peer peers[3];

        merge_begin(peers, 3);
        kill(service.daemon, SIGKILL);
        waitpid(service.daemon, NULL, 0);
        for (size_t i = 0; i < 3; i++)
                check_equal(peer_call(&peers[i], wrong, SEED), 0);
        service_start_daemon(&service);
        check_saved(3 * ALL - frames_of(peers, 3));
        free(ctl("merge --user %d --all", USER));
        check_shared(&peers[0], &peers[2]);
        check_saved(3 * ALL - frames_of(peers, 3));
        free(ctl("unmerge --user %d", USER));
        check_equal(pages_shared(peers[0].pid, peers[2].pid, ADDRESS, ALL), 0);
        for (size_t i = 0; i < 3; i++)
                check_equal(peer_call(&peers[i], wrong, SEED), 0);
        service_end(&service);
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "service: merges at once, and what it says is saved is what is counted", merge },
                { "service: unmerge, also by another service", unmerge },
                { "service: nothing is given back that there is no memory for", memory_short },
                { "service: trust domains, by frame number", domains },
                { "service: memory, pages and shared tell what is merged", memory },
                { "service: pages of KSM's are told from others, whatever the kernel says", ksm },
                { "service: the module registers with KSM what nobody else could", registers },
                { "service: huge pages are left alone", huge },
                { "service: cancelled while it merges", cancel },
                { "service: killed while it merges", killed },
        };

        return CASES_RUN(argc, argv, cases);
}
