/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* io_uring with one registered buffer, one operation at a time. */
struct ring {
        int fd;
        unsigned *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
        struct io_uring_sqe *sqes;
        struct io_uring_cqe *cqes;
        char *buffer;
        /* What is mapped of it. */
        struct {
                void *address;
                size_t size;
        } maps[3];
};

/* The kernel pins the buffer for as long as the ring is open. */
struct ring ring_open(void *buffer, size_t size);
/* Through the registered buffer, at @offset of it: what read() and write() return, or -errno. */
int ring_read(struct ring *ring, int fd, size_t offset, size_t size, uint64_t position);
int ring_write(struct ring *ring, int fd, size_t offset, size_t size, uint64_t position);
void ring_close(struct ring *ring);
