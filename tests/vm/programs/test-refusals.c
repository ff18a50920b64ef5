// SPDX-License-Identifier: LGPL-2.1-or-later
/* Every way in which the interface says no. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"
#include "held.h"

static void not_root(void) {
        pid_t pid = fork();
        int status;

        if (pid == 0) {
                int fd;

                chmod(MERGEMOD_DEVICE, 0666);
                check_equal(setresuid(1000, 1000, 1000), 0);
                fd = open(MERGEMOD_DEVICE, O_RDWR);
                _exit(fd < 0 && errno == EPERM ? 0 : 1);
        }
        check_equal(waitpid(pid, &status, 0), pid);
        chmod(MERGEMOD_DEVICE, 0600);
        check_equal(status, 0);
}

static void handshake(void) {
        struct mergemod_info info = { .version = MERGEMOD_VERSION + 1 };
        struct mergemod_stats stats;
        int fd = open(MERGEMOD_DEVICE, O_RDWR | O_CLOEXEC);

        check(fd >= 0);
        check_equal(device_call(fd, MERGEMOD_STATS, &stats), -EPROTO);
        check_equal(device_call(fd, MERGEMOD_INFO, &info), -EPROTO);
        check_equal(info.version, MERGEMOD_VERSION);
        info = (struct mergemod_info){ .version = MERGEMOD_VERSION, .features = 1ULL << 63 };
        check_equal(device_call(fd, MERGEMOD_INFO, &info), -EPROTO);
        info = (struct mergemod_info){ .version = MERGEMOD_VERSION, .flags = 1 };
        check_equal(device_call(fd, MERGEMOD_INFO, &info), -EINVAL);
        info = (struct mergemod_info){ .version = MERGEMOD_VERSION, .reserved = { 0, 1 } };
        check_equal(device_call(fd, MERGEMOD_INFO, &info), -EINVAL);
        check_equal(device_call(fd, MERGEMOD_STATS, &stats), -EPROTO);
        info = (struct mergemod_info){ .version = MERGEMOD_VERSION, .features = MERGEMOD_FEATURE_ZERO };
        check_equal(device_call(fd, MERGEMOD_INFO, &info), 0);
        check_equal(device_call(fd, MERGEMOD_STATS, &stats), 0);
        check_equal(device_call(fd, _IO(MERGEMOD_IOC, 0x7f), &stats), -ENOTTY);
        check_equal(device_call(fd, _IOWR(MERGEMOD_IOC, 0x00, struct mergemod_stats), &stats), -ENOTTY);
        check_equal(device_call(fd, MERGEMOD_STATS, NULL), -EFAULT);
        check_equal(device_call(fd, MERGEMOD_INFO, NULL), -EFAULT);
}

static long pass(long unused) {
        return 0;
}

static void targets(void) {
        struct peer peer = peer_start();
        struct mergemod_attach attach = { .pid = peer.pid };
        struct mergemod_target target = { .target = 1 };
        struct mergemod_merge merge = {};
        int fd = device_open();

        check_equal(device_call(fd, MERGEMOD_ACTIVATE, &target), -ENOENT);
        check_equal(device_call(fd, MERGEMOD_DETACH, &target), -ENOENT);
        check_equal(held_merge_one(fd, 1, HELD_ADDRESS, merge), -ENOENT);
        check_equal(device_call(fd, MERGEMOD_ATTACH, &attach), 0);
        check_equal(attach.target, 1);
        check_equal(held_merge_one(fd, 1, HELD_ADDRESS, merge), -ENOTCONN);
        target.flags = 1;
        check_equal(device_call(fd, MERGEMOD_ACTIVATE, &target), -EINVAL);
        target.flags = 0;
        check_equal(device_call(fd, MERGEMOD_ACTIVATE, &target), 0);
        check_equal(held_merge_one(fd, 1, HELD_ADDRESS, merge), -EFAULT);
        peer_call(&peer, pass, 0);
        peer_end(&peer);
        check_equal(held_merge_one(fd, 1, HELD_ADDRESS, merge), -ESRCH);
        check_equal(device_call(fd, MERGEMOD_DETACH, &target), 0);
        check_equal(held_merge_one(fd, 1, HELD_ADDRESS, merge), -ENOENT);

        attach = (struct mergemod_attach){ .pid = peer.pid };
        check_equal(device_call(fd, MERGEMOD_ATTACH, &attach), -ESRCH);
        attach.pid = 1;
        check_equal(device_call(fd, MERGEMOD_ATTACH, &attach), -EPERM);
        attach.pid = 2;
        check_equal(device_call(fd, MERGEMOD_ATTACH, &attach), -ESRCH);
        attach.pid = 0;
        check_equal(device_call(fd, MERGEMOD_ATTACH, &attach), -EINVAL);
        attach = (struct mergemod_attach){ .pid = getpid(), .flags = 1 };
        check_equal(device_call(fd, MERGEMOD_ATTACH, &attach), -EINVAL);
        attach = (struct mergemod_attach){ .pid = getpid(), .reserved = 1 };
        check_equal(device_call(fd, MERGEMOD_ATTACH, &attach), -EINVAL);
}

static int look_or_leave(void *end) {
        char byte;

        return read(*(int *)end, &byte, 1) != 0;
}

/* Its memory is that of its parent, whatever its own credentials. */
static void memory_of_another(void) {
        static char stack[65536];
        struct mergemod_attach attach = {};
        int fd = device_open(), ends[2], status;
        pid_t pid;

        check_equal(pipe(ends), 0);
        pid = clone(look_or_leave, stack + sizeof(stack), CLONE_VM | SIGCHLD, &ends[0]);
        check(pid > 0);
        attach.pid = pid;
        check_equal(device_call(fd, MERGEMOD_ATTACH, &attach), -ESRCH);
        attach.pid = getpid();
        check_equal(device_call(fd, MERGEMOD_ATTACH, &attach), 0);
        check_equal(kill(pid, SIGKILL), 0);
        check_equal(waitpid(pid, &status, 0), pid);
        attach.pid = getpid();
        check_equal(device_call(fd, MERGEMOD_ATTACH, &attach), 0);
}

static long run_sleep(long unused) {
        execl("/bin/sleep", "sleep", "100", NULL);
        return -errno;
}

static void exec_ends_it(void) {
        struct peer peer = peer_start();
        struct { peer_function function; long argument; } order = { run_sleep, 0 };
        int fd = device_open();
        uint32_t target;

        peer_call(&peer, held_fill, 0);
        target = device_attach(fd, peer.pid);
        check_equal(write(peer.to, &order, sizeof(order)), sizeof(order));
        for (int i = 0; i < 100 && kib_of(peer.pid, "RssAnon") > HELD * 2; i++)
                usleep(100000);
        check_equal(held_merge_one(fd, target, HELD_ADDRESS, (struct mergemod_merge){}), -ESRCH);
}

static void merge_arguments(void) {
        struct mergemod_element element = { .address = HELD_ADDRESS };
        struct mergemod_merge merge = {};
        int fd = device_open();
        uint32_t target = device_attach(fd, getpid());

        check_equal(device_merge(fd, &merge, &element, 0), -EINVAL);
        check_equal(device_merge(fd, &merge, &element, MERGEMOD_ELEMENTS_MAX + 1), -EINVAL);
        merge = (struct mergemod_merge){ .flags = 2 };
        check_equal(device_merge(fd, &merge, &element, 1), -EINVAL);
        merge = (struct mergemod_merge){ .domain = MERGEMOD_DOMAIN_SYSTEM + 1 };
        check_equal(device_merge(fd, &merge, &element, 1), -EINVAL);
        merge = (struct mergemod_merge){ .huge = MERGEMOD_HUGE_SPLIT + 1 };
        check_equal(device_merge(fd, &merge, &element, 1), -EINVAL);
        merge = (struct mergemod_merge){ .domain = MERGEMOD_DOMAIN_CGROUP, .cgroup_fd = -1 };
        check_equal(device_merge(fd, &merge, &element, 1), -EBADF);
        merge = (struct mergemod_merge){};
        check_equal(device_merge(fd, &merge, NULL, 1), -EFAULT);

        check_equal(held_merge_one(fd, target, HELD_ADDRESS + 1, merge), -EINVAL);
        check_equal(held_merge_one(fd, target, ~0UL << 12, merge), -EINVAL);
        check_equal(held_merge_one(fd, target, HELD_ADDRESS, merge), -EFAULT);
        element = (struct mergemod_element){ .address = HELD_ADDRESS, .target = target, .group = 1 };
        check_equal(device_merge(fd, &merge, &element, 1), 0);
        check_equal(element.status, -EINVAL);
        element = (struct mergemod_element){ .address = HELD_ADDRESS, .target = target, .reserved = 1 };
        check_equal(device_merge(fd, &merge, &element, 1), 0);
        check_equal(element.status, -EINVAL);
}

/* The status of merging a page of this process. */
static int own_status(void *page) {
        struct mergemod_merge merge = {};
        int fd = device_open();
        int status = held_merge_one(fd, device_attach(fd, getpid()), (uintptr_t)page, merge);

        close(fd);
        return status;
}

static void kinds_of_areas(void) {
        int file = open("/tmp/areas", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        char *page;

        check_equal(ftruncate(file, PAGE), 0);
        page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
        memset(page, 1, PAGE);
        check_equal(own_status(page), -EOPNOTSUPP);
        page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        memset(page, 1, PAGE);
        check_equal(own_status(page), -EOPNOTSUPP);
        page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        memset(page, 1, PAGE);
        check_equal(own_status(page), -EOPNOTSUPP);

        page = pages_map(1);
        check_equal(own_status(page), -EOPNOTSUPP);
        memset(page, 1, PAGE);
        check_equal(mlock(page, PAGE), 0);
        check_equal(own_status(page), -EOPNOTSUPP);

        static const int advices[] = { MADV_DONTDUMP, MADV_WIPEONFORK, MADV_MERGEABLE };
        for (size_t i = 0; i < 3; i++) {
                page = pages_map(1);
                memset(page, 1, PAGE);
                pages_settle();
                check_equal(madvise(page, PAGE, advices[i]), 0);
                check_equal(own_status(page), -EOPNOTSUPP);
        }
        page = pages_map(1);
        memset(page, 1, PAGE);
        check_equal(munmap(page, PAGE), 0);
        check_equal(own_status(page), -EFAULT);
}

static void userfault_area(void) {
        struct uffdio_api api = { .api = UFFD_API };
        struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
        int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
        char *page = pages_map(1);

        check(fd >= 0);
        memset(page, 1, PAGE);
        check_equal(ioctl(fd, UFFDIO_API, &api), 0);
        reg.range.start = (uintptr_t)page;
        reg.range.len = PAGE;
        check_equal(ioctl(fd, UFFDIO_REGISTER, &reg), 0);
        check_equal(own_status(page), -EOPNOTSUPP);
}

static void kinds_of_pages(void) {
        char *pages = pages_map(4);

        pages[0] = 1;
        check_equal(own_status(pages + PAGE), -ENODATA);
        (void)*(volatile char *)(pages + 2 * PAGE);
        check_equal(own_status(pages + 2 * PAGE), -EALREADY);
        pages_settle();
        check_equal(own_status(pages), 0);
        check_equal(own_status(pages), -EALREADY);
        check_equal(pages[0], 1);
}

static void pinned_page(void) {
        char *page = pages_map(1);
        struct iovec iov = { page, PAGE };
        char back[PAGE];
        int ends[2];

        memset(page, 1, PAGE);
        pages_settle();
        check_equal(pipe(ends), 0);
        check_equal(vmsplice(ends[1], &iov, 1, 0), PAGE);
        check_equal(own_status(page), -EBUSY);
        check_equal(read(ends[0], back, PAGE), PAGE);
        pages_settle();
        check_equal(own_status(page), 0);
        page[0] = 2;
        check_equal(page[0] + page[1], 3);
}

static void different_pages(void) {
        struct herd herd = herd_start(2, 1);
        struct mergemod_merge merge = {};

        peer_call(&herd.peers[1], held_fill, 2);
        check_equal(herd_merge(&herd, &merge), HELD);
        check_equal(peer_call(&herd.peers[0], held_wrong, 1), 0);
        check_equal(peer_call(&herd.peers[1], held_wrong, 2), 0);
        check_equal(pages_shared(herd.peers[0].pid, herd.peers[1].pid, HELD_ADDRESS, HELD), 0);
        merge = (struct mergemod_merge){ .flags = MERGEMOD_MERGE_ZERO_ONLY };
        check_equal(held_merge_one(herd.fd, herd.targets[1], HELD_ADDRESS, merge), -ESTALE);
        check_at_least(device_stats(herd.fd).differed, HELD + 1);
        herd_end(&herd);
}

static void write_parameter(const char *name, const char *value) {
        char path[128];
        FILE *f;

        snprintf(path, sizeof(path), "/sys/module/mergemod/parameters/%s", name);
        f = fopen(path, "we");
        check(f && fputs(value, f) >= 0 && fclose(f) == 0);
}

static void limits(void) {
        struct herd herd = herd_start(2, 3);
        struct mergemod_merge merge = {};

        frames_gone(herd.fd);
        write_parameter("max_user_percent", "100");
        write_parameter("max_frames", "100");
        check_equal(herd_merge(&herd, &merge), 200);
        check_equal(merge.new_frames, 100);
        check_equal(held_merge_one(herd.fd, herd.targets[0], HELD_ADDRESS + 150 * PAGE, merge), -ENOSPC);
        write_parameter("max_user_percent", "50");
        write_parameter("max_frames", "150");
        check_equal(held_merge_one(herd.fd, herd.targets[0], HELD_ADDRESS + 150 * PAGE, merge), -EDQUOT);
        check_equal(herd_wrong(&herd, 3), 0);
        write_parameter("max_user_percent", "75");
        write_parameter("max_frames", "0");
        check_equal(held_merge_one(herd.fd, herd.targets[0], HELD_ADDRESS + 150 * PAGE, merge), 0);
        check_at_least(device_stats(herd.fd).refused_limit, 2 * (HELD - 100) + 2);
        herd_end(&herd);
}

static void range_arguments(void) {
        struct mergemod_range range = { .start = HELD_ADDRESS, .end = HELD_ADDRESS };
        struct mergemod_ranges ranges = { .ranges = (uintptr_t)&range, .n_ranges = 1 };
        int fd = device_open();

        range.target = device_attach(fd, getpid());
        check_equal(device_call(fd, MERGEMOD_UNMERGE, &ranges), 0);
        check_equal(range.status, -EINVAL);
        range.end = range.start + PAGE + 1;
        check_equal(device_call(fd, MERGEMOD_UNMERGE, &ranges), 0);
        check_equal(range.status, -EINVAL);
        range.end = ~0UL << 12;
        check_equal(device_call(fd, MERGEMOD_UNMERGE, &ranges), 0);
        check_equal(range.status, -EINVAL);
        range.end = range.start + PAGE;
        range.target++;
        check_equal(device_call(fd, MERGEMOD_UNMERGE, &ranges), 0);
        check_equal(range.status, -ENOENT);
        ranges.flags = 4;
        check_equal(device_call(fd, MERGEMOD_UNMERGE, &ranges), -EINVAL);
        ranges.flags = 0;
        check_equal(device_call(fd, MERGEMOD_ADVISE, &ranges), -EINVAL);
        ranges.flags = MERGEMOD_ADVISE_KSM | MERGEMOD_ADVISE_NO_KSM;
        check_equal(device_call(fd, MERGEMOD_ADVISE, &ranges), -EINVAL);
        ranges = (struct mergemod_ranges){ .ranges = (uintptr_t)&range, .n_ranges = 1, .reserved = 1 };
        check_equal(device_call(fd, MERGEMOD_UNMERGE, &ranges), -EINVAL);
        ranges = (struct mergemod_ranges){ .ranges = (uintptr_t)&range };
        check_equal(device_call(fd, MERGEMOD_UNMERGE, &ranges), -EINVAL);
        ranges = (struct mergemod_ranges){ .n_ranges = 1 };
        check_equal(device_call(fd, MERGEMOD_UNMERGE, &ranges), -EFAULT);
}

static void scan_arguments(void) {
        struct mergemod_page pages[4] = {};
        struct mergemod_scan good = { .start = HELD_ADDRESS, .end = HELD_ADDRESS + PAGE,
                                      .pages = (uintptr_t)pages, .n_pages = 4 }, scan;
        int fd = device_open();

        good.target = device_attach(fd, getpid());
        scan = good;
        check_equal(device_call(fd, MERGEMOD_PAGES, &scan), 0);
        check_equal(scan.done, 0);
        scan = good, scan.flags = 1;
        check_equal(device_call(fd, MERGEMOD_PAGES, &scan), -EINVAL);
        scan = good, scan.flags = 1 << 8;
        check_equal(device_call(fd, MERGEMOD_SCAN, &scan), -EINVAL);
        scan = good, scan.end = scan.start;
        check_equal(device_call(fd, MERGEMOD_SCAN, &scan), -EINVAL);
        scan = good, scan.end++;
        check_equal(device_call(fd, MERGEMOD_SCAN, &scan), -EINVAL);
        scan = good, scan.n_pages = 0;
        check_equal(device_call(fd, MERGEMOD_SCAN, &scan), -EINVAL);
        scan = good, scan.target++;
        check_equal(device_call(fd, MERGEMOD_SCAN, &scan), -ENOENT);
        scan = good;
        check_equal(device_call(fd, MERGEMOD_HASH, &scan), -EINVAL);
        scan = good, scan.start = scan.end = 0, scan.flags = MERGEMOD_SCAN_ZEROS;
        check_equal(device_call(fd, MERGEMOD_HASH, &scan), -EINVAL);
        scan = good, scan.start = scan.end = 0, scan.pages = 0;
        check_equal(device_call(fd, MERGEMOD_HASH, &scan), -EFAULT);
        scan = good, scan.start = scan.end = 0;
        check_equal(device_call(fd, MERGEMOD_HASH, &scan), 0);
        check_equal(scan.done, 4);
        check_equal(pages[3].status, -ENODATA);
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "refused: opening without capabilities", not_root },
                { "refused: calls before the handshake, unknown calls", handshake },
                { "refused: targets that are not there, not active, gone", targets },
                { "refused: a target after exec", exec_ends_it },
                { "refused: a process with the memory of another", memory_of_another },
                { "refused: arguments of MERGE", merge_arguments },
                { "refused: kinds of areas", kinds_of_areas },
                { "refused: areas with userfaultfd", userfault_area },
                { "refused: kinds of pages", kinds_of_pages },
                { "refused: pinned pages", pinned_page },
                { "refused: pages that differ", different_pages },
                { "refused: more frames than allowed", limits },
                { "refused: arguments of UNMERGE and ADVISE", range_arguments },
                { "refused: arguments of PAGES, HASH and SCAN", scan_arguments },
        };

        return CASES_RUN(argc, argv, cases);
}
