/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/socket.h>

#include "daemon/worker-io.h"

void worker_packet_init(union worker_packet *p, uint32_t type, size_t fixed)
{
        memset(p, 0, fixed);
        p->header.type = type;
        p->header.size = (uint32_t) fixed;
}

void worker_packet_text(union worker_packet *p, const char *text)
{
        size_t room = sizeof(p->bytes) - p->header.size, n = strnlen(text, room - 1);

        memcpy(p->bytes + p->header.size, text, n);
        p->bytes[p->header.size + n] = 0;
        p->header.size += (uint32_t) n + 1;
}

const char *worker_packet_get_text(union worker_packet *p, size_t fixed)
{
        if (p->header.size <= fixed)
                return "";
        p->bytes[p->header.size - 1] = 0;
        return (const char *) p->bytes + fixed;
}

int worker_send(int socket_fd, const union worker_packet *p, int fd)
{
        union {
                struct cmsghdr header;
                uint8_t bytes[CMSG_SPACE(sizeof(int))];
        } control = {};
        struct iovec iov = { .iov_base = (void *) p->bytes, .iov_len = p->header.size };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (fd >= 0) {
                message.msg_control = &control;
                message.msg_controllen = sizeof(control);
                control.header.cmsg_len = CMSG_LEN(sizeof(int));
                control.header.cmsg_level = SOL_SOCKET;
                control.header.cmsg_type = SCM_RIGHTS;
                memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
        }
        while (sendmsg(socket_fd, &message, MSG_NOSIGNAL) < 0)
                if (errno != EINTR)
                        return -errno;
        return 0;
}

/* The one descriptor of a packet. With alignment there is room for two: more than one is refused, and
 * none stays open. */
static int take_fd(struct msghdr *message, int *ret)
{
        int fd = -EBADF;
        size_t n = 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                for (size_t i = 0; CMSG_LEN((i + 1) * sizeof(int)) <= c->cmsg_len; i++, n++) {
                        safe_close(fd);
                        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
                }
        }
        if (n > 1) {
                safe_close(fd);
                return -EBADMSG;
        }
        *ret = fd;
        return 0;
}

int worker_receive(int socket_fd, int flags, union worker_packet *ret, int *ret_fd)
{
        union {
                struct cmsghdr header;
                uint8_t bytes[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec iov = { .iov_base = ret->bytes, .iov_len = sizeof(ret->bytes) };
        struct msghdr message = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        _cleanup_(closep) int fd = -EBADF;
        ssize_t n;
        int r;

        do
                n = recvmsg(socket_fd, &message, flags | MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno == ECONNRESET ? 0 : -errno;
        if (n == 0)
                return 0;

        r = take_fd(&message, &fd);
        if (r < 0)
                return r;
        if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || (size_t) n < sizeof(ret->header) ||
            ret->header.size != (size_t) n)
                return -EBADMSG;
        if (ret_fd)
                *ret_fd = TAKE_FD(fd);
        return 1;
}
