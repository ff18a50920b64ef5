/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/socket.h>

#include "daemon/worker-io.h"
#include "fuzz.h"

static void check_text(union worker_packet *p, size_t fixed)
{
        const char *text = worker_packet_get_text(p, fixed);
        size_t n = strlen(text);

        CHECK(p->header.size > fixed ? n < p->header.size - fixed : n == 0);
}

/* The input is one packet, as either side may get it from the other. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static int fds[2] = { -EBADF, -EBADF };
        union worker_packet p;
        bool good;
        int fd = -EBADF, r;

        if (fds[0] < 0)
                CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
        if (size > 2 * WORKER_PACKET_MAX)
                return 0;
        CHECK(send(fds[0], data, size, 0) == (ssize_t) size);
        r = worker_receive(fds[1], MSG_DONTWAIT, &p, &fd);
        CHECK(fd < 0);
        good = size >= sizeof(p.header) && size <= WORKER_PACKET_MAX &&
               ((const struct worker_header *) (const void *) p.bytes)->size == size;
        CHECK(r == (size == 0 ? 0 : good ? 1 : -EBADMSG));
        if (!good)
                return 0;
        CHECK(memcmp(p.bytes, data, size) == 0);
        check_text(&p, sizeof(p.resolve));
        check_text(&p, sizeof(p.library));
        check_text(&p, sizeof(p.target));
        check_text(&p, sizeof(p.owner));
        check_text(&p, sizeof(p.library_row));
        return 0;
}
