// SPDX-License-Identifier: LGPL-2.1-or-later
/* Merged pages in the hands of others: pipes, devices, io_uring, debuggers. The suite made /dev/zram1. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"
#include "held.h"
#include "ring.h"
#include "twin.h"

#define SEED 81
#define N 64
#define DISK "/dev/zram1"

static int open_disk(void) {
        int fd = open(DISK, O_RDWR | O_DIRECT | O_CLOEXEC);

        check(fd >= 0);
        return fd;
}

/* A pipe that holds the first pages of the first area. */
#define PIPED 8

static void pipe_of(const struct twin *twin, int *ends) {
        struct iovec iov = { twin->a, PIPED * PAGE };

        check_equal(pipe(ends), 0);
        check_equal(vmsplice(ends[1], &iov, 1, 0), PIPED * PAGE);
}

static size_t piped_wrong(int *ends) {
        static char back[PIPED * PAGE];

        check_equal(read(ends[0], back, sizeof(back)), sizeof(back));
        close(ends[0]);
        close(ends[1]);
        return pages_wrong(back, PIPED, SEED);
}

static void pipes(void) {
        struct twin twin = twin_merged(N, SEED);
        int ends[2];

        pipe_of(&twin, ends);
        pages_fill(twin.a, N, SEED + 1);
        check_equal(piped_wrong(ends), 0);
        check_equal(pages_wrong(twin.a, N, SEED + 1) + twin_wrong(&twin), 0);

        pages_fill(twin.a, N, SEED);
        pages_settle();
        check_equal(twin_merge(&twin, twin.a, N), N);
        pipe_of(&twin, ends);
        check_equal(device_unmerge(twin.fd, twin.target, (uintptr_t)twin.a, N, 0), N);
        check_equal(device_unmerge(twin.fd, twin.target, (uintptr_t)twin.b, N, 0), N);
        munmap(twin.a, N * PAGE);
        /* The frames are only in the pipe now. */
        sleep(2);
        check_equal(piped_wrong(ends), 0);
        check_equal(twin_wrong(&twin), 0);
        frames_gone(twin.fd);
}

static void direct_io(void) {
        struct twin twin = twin_merged(N, SEED);
        char *back = pages_map(N);
        int fd = open_disk();

        check_equal(pwrite(fd, twin.a, N * PAGE, 0), N * PAGE);
        check_equal(twin_shared(&twin), N);
        check_equal(pread(fd, back, N * PAGE, 0), N * PAGE);
        check_equal(pages_wrong(back, N, SEED), 0);

        pages_fill(back, N, SEED + 1);
        check_equal(pwrite(fd, back, N * PAGE, N * PAGE), N * PAGE);
        check_equal(pread(fd, twin.a, N * PAGE, N * PAGE), N * PAGE);
        check_equal(pages_wrong(twin.a, N, SEED + 1), 0);
        check_equal(twin_shared(&twin), 0);
        check_equal(twin_wrong(&twin), 0);
        twin_end(&twin);
}

static void fixed_buffers(void) {
        struct twin twin = twin_merged(N, SEED);
        struct mergemod_merge merge = {};
        char *back = pages_map(N);
        int fd = open_disk();
        struct ring ring;

        /* The kernel may write to such a buffer at any time: it is no longer shared, and stays so. */
        ring = ring_open(twin.a, N * PAGE);
        check_equal(twin_shared(&twin), 0);
        check_equal(held_merge_one(twin.fd, twin.target, (uintptr_t)twin.a, merge), -EBUSY);
        check_equal(twin_merge(&twin, twin.a, N), 0);

        check_equal(ring_write(&ring, fd, 0, N * PAGE, 0), N * PAGE);
        check_equal(pread(fd, back, N * PAGE, 0), N * PAGE);
        check_equal(pages_wrong(back, N, SEED), 0);
        pages_fill(back, N, SEED + 1);
        check_equal(pwrite(fd, back, N * PAGE, 0), N * PAGE);
        check_equal(ring_read(&ring, fd, 0, N * PAGE, 0), N * PAGE);
        check_equal(pages_wrong(twin.a, N, SEED + 1), 0);
        pages_fill(twin.a, N, SEED);
        check_equal(ring_write(&ring, fd, 0, N * PAGE, 0), N * PAGE);
        check_equal(pread(fd, back, N * PAGE, 0), N * PAGE);
        check_equal(pages_wrong(back, N, SEED), 0);
        check_equal(twin_wrong(&twin), 0);

        ring_close(&ring);
        /* It lets go in a while. */
        for (int i = 0; i < 50 && twin_shared(&twin) < N; i++) {
                usleep(100000);
                twin_merge(&twin, twin.a, N);
        }
        check_equal(twin_shared(&twin), N);
        check_equal(pages_wrong(twin.a, N, SEED), 0);
        twin_end(&twin);
}

static struct herd merged_herd(void) {
        struct herd herd = herd_start(2, SEED);
        struct mergemod_merge merge = {};

        check_equal(herd_merge(&herd, &merge), 2 * HELD);
        return herd;
}

static void written_by_another(void) {
        static char pages[HELD * PAGE];
        struct herd herd = merged_herd();
        struct iovec local = { pages, sizeof(pages) };
        struct iovec remote = { (void *)HELD_ADDRESS, sizeof(pages) };

        pages_fill(pages, HELD, SEED + 1);
        check_equal(process_vm_writev(herd.peers[0].pid, &local, 1, &remote, 1, 0), sizeof(pages));
        check_equal(peer_call(&herd.peers[0], held_wrong, SEED + 1), 0);
        check_equal(peer_call(&herd.peers[1], held_wrong, SEED), 0);
        check_equal(pages_shared(herd.peers[0].pid, herd.peers[1].pid, HELD_ADDRESS, HELD), 0);
        herd_end(&herd);
}

static long forbid_writing(long unused) {
        return mprotect((void *)HELD_ADDRESS, HELD * PAGE, PROT_READ);
}

/* A debugger may write where the process itself may not. */
static void poked(void) {
        for (int read_only = 0; read_only < 2; read_only++) {
                struct herd herd = merged_herd();
                pid_t pid = herd.peers[0].pid;
                int status;

                if (read_only)
                        check_equal(peer_call(&herd.peers[0], forbid_writing, 0), 0);
                check_equal(ptrace(PTRACE_ATTACH, pid, 0, 0), 0);
                check_equal(waitpid(pid, &status, 0), pid);
                for (size_t i = 0; i < HELD; i += 3) {
                        void *word = (void *)(HELD_ADDRESS + i * PAGE);
                        long value = ptrace(PTRACE_PEEKDATA, pid, word, 0);

                        check_equal(ptrace(PTRACE_POKEDATA, pid, word, ~value), 0);
                        check_equal(ptrace(PTRACE_PEEKDATA, pid, word, 0), ~value);
                }
                check_equal(ptrace(PTRACE_DETACH, pid, 0, 0), 0);
                check_equal(peer_call(&herd.peers[0], held_wrong, SEED), (HELD + 2) / 3);
                check_equal(peer_call(&herd.peers[1], held_wrong, SEED), 0);
                herd_end(&herd);
        }
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "pins: merged pages in a pipe", pipes },
                { "pins: O_DIRECT from and to merged pages", direct_io },
                { "pins: fixed buffers of io_uring", fixed_buffers },
                { "pins: process_vm_writev to merged pages", written_by_another },
                { "pins: ptrace pokes into merged pages", poked },
        };

        return CASES_RUN(argc, argv, cases);
}
