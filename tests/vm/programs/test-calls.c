// SPDX-License-Identifier: LGPL-2.1-or-later
/* Callers and targets that end, change or share what they have in the middle of a call. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"
#include "hammer.h"
#include "held.h"

#define SEED 101
#define MANY 2048
#define MANY_AREA 0x300000000000UL

static long many_fill(long seed) {
        char *many = mmap((void *)MANY_AREA, MANY * PAGE, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

        check(many == (void *)MANY_AREA);
        check_equal(madvise(many, MANY * PAGE, MADV_NOHUGEPAGE), 0);
        pages_fill(many, MANY, seed);
        pages_settle();
        return 0;
}

static long many_wrong(long seed) {
        return pages_wrong((void *)MANY_AREA, MANY, seed);
}

/* Merges a process again and again, unmerges it, and merges it. */
static void churn(pid_t pid) {
        static struct mergemod_element elements[MANY];
        int fd = device_open();
        uint32_t target = device_attach(fd, pid);

        for (;;) {
                struct mergemod_merge merge = {};

                elements_fill(elements, target, MANY_AREA, MANY, 0);
                check_equal(device_merge(fd, &merge, elements, MANY), 0);
                device_unmerge(fd, target, MANY_AREA, MANY, 0);
        }
}

static pid_t churn_start(pid_t pid) {
        pid_t caller = fork();

        check(caller >= 0);
        if (caller == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                churn(pid);
        }
        return caller;
}

static void kill_and_wait(pid_t pid) {
        int status;

        check_equal(kill(pid, SIGKILL), 0);
        check_equal(waitpid(pid, &status, 0), pid);
        /* Not one that failed before. */
        check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void caller_killed(void) {
        struct peer peer = peer_start();
        int fd = device_open();

        peer_call(&peer, many_fill, SEED);
        for (unsigned i = 0; i < 20; i++) {
                uint64_t before = device_stats(fd).merged;
                pid_t caller = churn_start(peer.pid);

                while (device_stats(fd).merged == before)
                        usleep(1000);
                usleep(i * 3000);
                kill_and_wait(caller);
                check_equal(peer_call(&peer, many_wrong, SEED), 0);
        }
        peer_end(&peer);
        frames_gone(fd);
}

static void target_killed(void) {
        struct peer other = peer_start();
        int fd = device_open();

        hammer_start();
        hammer_add(other.pid);
        peer_call(&other, many_fill, SEED);
        for (unsigned i = 0; i < 20; i++) {
                uint64_t before = device_stats(fd).merged;
                struct peer peer = peer_start();

                hammer_add(peer.pid);
                peer_call(&peer, many_fill, SEED);
                while (device_stats(fd).merged == before)
                        usleep(1000);
                usleep(i * 3000);
                kill_and_wait(peer.pid);
                check_equal(peer_call(&other, many_wrong, SEED), 0);
        }
        hammer_stop();
        peer_end(&other);
}

/* A child that execs while it is merged. */
static void target_execs(void) {
        hammer_start();
        for (unsigned i = 0; i < 20; i++) {
                pid_t pid = fork();
                int status;

                check(pid >= 0);
                if (pid == 0) {
                        many_fill(SEED);
                        hammer_add(getpid());
                        usleep(i * 5000);
                        if (many_wrong(SEED))
                                _exit(1);
                        execl("/bin/true", "true", NULL);
                        _exit(2);
                }
                check_equal(waitpid(pid, &status, 0), pid);
                check_equal(status, 0);
        }
        hammer_stop();
}

static atomic_bool shared_good;

/* With the memory of the parent. */
static int look_and_write(void *argument) {
        char *page = (char *)MANY_AREA + (uintptr_t)argument * PAGE;

        shared_good = many_wrong(SEED) == 0;
        page[0] ^= 1;
        page[0] ^= 1;
        return 0;
}

static void shared_memory(void) {
        static char stack[65536];

        hammer_start();
        many_fill(SEED);
        for (uintptr_t i = 0; i < 20; i++) {
                int status;
                pid_t pid = clone(look_and_write, stack + sizeof(stack), CLONE_VM | SIGCHLD, (void *)i);

                check(pid >= 0);
                hammer_add(pid);
                check_equal(waitpid(pid, &status, 0), pid);
                check_equal(status, 0);
                check(shared_good);

                pid = vfork();
                if (pid == 0) {
                        ((char *)MANY_AREA)[i * PAGE + 1] ^= 1;
                        execl("/bin/true", "true", NULL);
                        _exit(2);
                }
                check_equal(waitpid(pid, &status, 0), pid);
                check_equal(status, 0);
                ((char *)MANY_AREA)[i * PAGE + 1] ^= 1;
                check_equal(many_wrong(SEED), 0);
        }
        hammer_stop();
}

static void two_callers(void) {
        struct peer peer = peer_start();
        int fd = device_open();
        pid_t callers[2];

        peer_call(&peer, many_fill, SEED);
        for (size_t i = 0; i < 2; i++)
                callers[i] = churn_start(peer.pid);
        for (unsigned i = 0; i < 12; i++) {
                check_equal(peer_call(&peer, many_wrong, SEED), 0);
                peer_call(&peer, many_fill, SEED);
        }
        for (size_t i = 0; i < 2; i++)
                kill_and_wait(callers[i]);
        check_equal(peer_call(&peer, many_wrong, SEED), 0);
        peer_end(&peer);
        frames_gone(fd);
}

static void *merge_in_thread(void *argument) {
        const struct herd *herd = argument;

        for (int i = 0; i < 30; i++) {
                struct mergemod_merge merge = {};

                herd_merge(herd, &merge);
        }
        return NULL;
}

/* Calls of one session run one after the other. */
static void two_threads(void) {
        struct herd herd = herd_start(2, SEED);
        pthread_t threads[2];

        for (size_t i = 0; i < 2; i++)
                check_equal(pthread_create(&threads[i], NULL, merge_in_thread, &herd), 0);
        for (long i = 0; i < 10; i++)
                check_equal(herd_wrong(&herd, SEED), 0);
        for (size_t i = 0; i < 2; i++)
                pthread_join(threads[i], NULL);
        check_equal(herd_wrong(&herd, SEED), 0);
        check_equal(pages_shared(herd.peers[0].pid, herd.peers[1].pid, HELD_ADDRESS, HELD), HELD);
        herd_end(&herd);
}

static void send_fd(int socket, int fd) {
        char byte = 0, control[CMSG_SPACE(sizeof(fd))] = {};
        struct iovec iov = { &byte, 1 };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
                                  .msg_controllen = sizeof(control) };
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);

        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(fd));
        memcpy(CMSG_DATA(header), &fd, sizeof(fd));
        check_equal(sendmsg(socket, &message, 0), 1);
}

static int receive_fd(int socket) {
        char byte, control[CMSG_SPACE(sizeof(int))];
        struct iovec iov = { &byte, 1 };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
                                  .msg_controllen = sizeof(control) };
        int fd;

        check_equal(recvmsg(socket, &message, 0), 1);
        check(CMSG_FIRSTHDR(&message));
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
        return fd;
}

/* A session goes to a process without rights, is used there, and closed last by it. */
static void passed(void) {
        struct herd herd = herd_start(2, SEED);
        struct mergemod_merge merge = {};
        int sockets[2], status;
        pid_t pid;

        check_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
        pid = fork();
        check(pid >= 0);
        if (pid == 0) {
                char byte;

                close(herd.fd);
                close(sockets[0]);
                check_equal(setresuid(1000, 1000, 1000), 0);
                herd.fd = receive_fd(sockets[1]);
                /* The parent has closed it. */
                check_equal(recv(sockets[1], &byte, 1, 0), 0);
                check_equal(herd_merge(&herd, &merge), 2 * HELD);
                close(herd.fd);
                _exit(0);
        }
        close(sockets[1]);
        send_fd(sockets[0], herd.fd);
        close(herd.fd);
        close(sockets[0]);
        check_equal(waitpid(pid, &status, 0), pid);
        check_equal(status, 0);
        check_equal(pages_shared(herd.peers[0].pid, herd.peers[1].pid, HELD_ADDRESS, HELD), HELD);
        check_equal(herd_wrong(&herd, SEED), 0);
        herd_end(&herd);
        frames_gone(device_open());
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "calls: the caller is killed", caller_killed },
                { "calls: the target is killed", target_killed },
                { "calls: the target calls exec", target_execs },
                { "calls: processes that share their memory", shared_memory },
                { "calls: two callers", two_callers },
                { "calls: two threads with one session", two_threads },
                { "calls: a session that is passed on", passed },
        };

        return CASES_RUN(argc, argv, cases);
}
