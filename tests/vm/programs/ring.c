// SPDX-License-Identifier: LGPL-2.1-or-later
#include "ring.h"

#include <linux/io_uring.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "case.h"

static void *map(struct ring *ring, unsigned which, size_t size, off_t offset) {
        void *address = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd,
                             offset);

        check(address != MAP_FAILED);
        ring->maps[which].address = address;
        ring->maps[which].size = size;
        return address;
}

struct ring ring_open(void *buffer, size_t size) {
        struct io_uring_params params = {};
        struct iovec iov = { buffer, size };
        struct ring ring = { .buffer = buffer };
        char *sq, *cq;

        ring.fd = syscall(SYS_io_uring_setup, 4, &params);
        check(ring.fd >= 0);
        sq = map(&ring, 0, params.sq_off.array + params.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
        cq = map(&ring, 1, params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe),
                 IORING_OFF_CQ_RING);
        ring.sqes = map(&ring, 2, params.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
        ring.sq_tail = (unsigned *)(sq + params.sq_off.tail);
        ring.sq_mask = (unsigned *)(sq + params.sq_off.ring_mask);
        ring.sq_array = (unsigned *)(sq + params.sq_off.array);
        ring.cq_head = (unsigned *)(cq + params.cq_off.head);
        ring.cq_tail = (unsigned *)(cq + params.cq_off.tail);
        ring.cq_mask = (unsigned *)(cq + params.cq_off.ring_mask);
        ring.cqes = (struct io_uring_cqe *)(cq + params.cq_off.cqes);
        check_equal(syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_BUFFERS, &iov, 1), 0);
        return ring;
}

static int run(struct ring *ring, const struct io_uring_sqe *sqe) {
        unsigned tail = *ring->sq_tail, head = *ring->cq_head;
        int r;

        ring->sqes[tail & *ring->sq_mask] = *sqe;
        ring->sq_array[tail & *ring->sq_mask] = tail & *ring->sq_mask;
        __atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
        check_equal(syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0), 1);
        check(__atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE) != head);
        r = ring->cqes[head & *ring->cq_mask].res;
        __atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
        return r;
}

int ring_read(struct ring *ring, int fd, size_t offset, size_t size, uint64_t position) {
        return run(ring, &(struct io_uring_sqe){
                .opcode = IORING_OP_READ_FIXED,
                .fd = fd,
                .addr = (uintptr_t)ring->buffer + offset,
                .len = size,
                .off = position,
        });
}

int ring_write(struct ring *ring, int fd, size_t offset, size_t size, uint64_t position) {
        return run(ring, &(struct io_uring_sqe){
                .opcode = IORING_OP_WRITE_FIXED,
                .fd = fd,
                .addr = (uintptr_t)ring->buffer + offset,
                .len = size,
                .off = position,
        });
}

void ring_close(struct ring *ring) {
        for (size_t i = 0; i < 3; i++)
                munmap(ring->maps[i].address, ring->maps[i].size);
        close(ring->fd);
}
