/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <glib.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "daemon/worker-io.h"

struct pair {
        int a, b;
};

static unsigned count_fds(void)
{
        _cleanup_(closedirp) DIR *dir = opendir("/proc/self/fd");
        unsigned n = 0;

        g_assert_nonnull(dir);
        while (readdir(dir))
                n++;
        return n;
}

static void set_up(struct pair *p, const void *data)
{
        int fds[2];

        g_assert_cmpint(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), ==, 0);
        p->a = fds[0];
        p->b = fds[1];
}

static void tear_down(struct pair *p, const void *data)
{
        safe_close(p->a);
        safe_close(p->b);
}

static void test_packet(struct pair *pair, const void *data)
{
        union worker_packet p;

        memset(&p, 0xff, sizeof(p));
        worker_packet_init(&p, WORKER_SCAN, sizeof(p.target));
        g_assert_cmpuint(p.header.type, ==, WORKER_SCAN);
        g_assert_cmpuint(p.header.size, ==, sizeof(p.target));
        for (size_t i = sizeof(p.header); i < sizeof(p.target); i++)
                g_assert_cmpuint(p.bytes[i], ==, 0);

        worker_packet_text(&p, "");
        g_assert_cmpuint(p.header.size, ==, sizeof(p.target) + 1);
        g_assert_cmpstr(worker_packet_get_text(&p, sizeof(p.target)), ==, "");
}

static void test_text(struct pair *pair, const void *data)
{
        /* The longest that fits, and longer ones. */
        const size_t room = WORKER_PACKET_MAX - sizeof(struct worker_owner) - 1,
                     lengths[] = { 0, 1, 1000, room, room + 1, WORKER_PACKET_MAX };

        for (size_t i = 0; i < ELEMENTSOF(lengths); i++) {
                g_autofree char *text = g_strnfill(lengths[i], 'x');
                union worker_packet sent, received;
                const char *read;

                worker_packet_init(&sent, WORKER_ROW_OWNER, sizeof(sent.owner));
                worker_packet_text(&sent, text);
                g_assert_cmpuint(sent.header.size, <=, WORKER_PACKET_MAX);
                g_assert_cmpint(worker_send(pair->a, &sent, -1), ==, 0);
                g_assert_cmpint(worker_receive(pair->b, 0, &received, NULL), ==, 1);
                g_assert_cmpuint(received.header.size, ==, sent.header.size);
                read = worker_packet_get_text(&received, sizeof(received.owner));
                g_assert_cmpuint(strlen(read), ==, MIN(lengths[i], room));
                g_assert_true(g_str_has_prefix(text, read));
        }
}

static void test_no_text(struct pair *pair, const void *data)
{
        union worker_packet p;

        /* None at all, or a packet cut even before that. */
        worker_packet_init(&p, WORKER_ROW_OWNER, sizeof(p.owner));
        g_assert_cmpstr(worker_packet_get_text(&p, sizeof(p.owner)), ==, "");
        worker_packet_init(&p, WORKER_ROW_OWNER, sizeof(p.header));
        g_assert_cmpstr(worker_packet_get_text(&p, sizeof(p.owner)), ==, "");

        /* Not ended. */
        worker_packet_init(&p, WORKER_ROW_OWNER, sizeof(p.owner));
        memset(p.bytes + sizeof(p.owner), 'x', 5);
        p.header.size += 4;
        g_assert_cmpstr(worker_packet_get_text(&p, sizeof(p.owner)), ==, "xxx");
}

static void test_descriptor(struct pair *pair, const void *data)
{
        _cleanup_(closep) int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        unsigned before = count_fds();
        struct stat sent, received;
        union worker_packet p;
        int fd = -EBADF;

        worker_packet_init(&p, WORKER_SCAN, sizeof(p.target));
        p.target.pid = 4711;
        g_assert_cmpint(worker_send(pair->a, &p, null_fd), ==, 0);
        memset(&p, 0, sizeof(p));
        g_assert_cmpint(worker_receive(pair->b, 0, &p, &fd), ==, 1);
        g_assert_cmpint(p.target.pid, ==, 4711);
        g_assert_cmpint(fd, >=, 0);
        g_assert_cmpint(fd, !=, null_fd);
        g_assert_cmpint(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
        g_assert_cmpint(fstat(null_fd, &sent), ==, 0);
        g_assert_cmpint(fstat(fd, &received), ==, 0);
        g_assert_cmpuint(sent.st_rdev, ==, received.st_rdev);
        fd = safe_close(fd);

        /* None came along. */
        worker_packet_init(&p, WORKER_GROUP, sizeof(p.header));
        g_assert_cmpint(worker_send(pair->a, &p, -1), ==, 0);
        fd = 4711;
        g_assert_cmpint(worker_receive(pair->b, 0, &p, &fd), ==, 1);
        g_assert_cmpint(fd, <, 0);

        /* Nobody wants it. */
        g_assert_cmpint(worker_send(pair->a, &p, null_fd), ==, 0);
        g_assert_cmpint(worker_receive(pair->b, 0, &p, NULL), ==, 1);
        g_assert_cmpuint(count_fds(), ==, before);
}

/* Raw bytes with @n descriptors. */
static void send_raw(int fd, const void *bytes, size_t size, size_t n, int passed)
{
        union {
                struct cmsghdr header;
                uint8_t bytes[CMSG_SPACE(4 * sizeof(int))];
        } control = {};
        int fds[4] = { passed, passed, passed, passed };
        struct iovec iov = { .iov_base = (void *) bytes, .iov_len = size };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

        g_assert_cmpuint(n, <=, ELEMENTSOF(fds));
        if (n > 0) {
                message.msg_control = &control;
                message.msg_controllen = CMSG_SPACE(n * sizeof(int));
                control.header.cmsg_len = CMSG_LEN(n * sizeof(int));
                control.header.cmsg_level = SOL_SOCKET;
                control.header.cmsg_type = SCM_RIGHTS;
                memcpy(CMSG_DATA(&control.header), fds, n * sizeof(int));
        }
        g_assert_cmpint(sendmsg(fd, &message, MSG_NOSIGNAL), ==, (ssize_t) size);
}

static void test_bad(struct pair *pair, const void *data)
{
        _cleanup_(closep) int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        static uint8_t large[WORKER_PACKET_MAX + 1];
        const struct worker_header short_by_one = { .type = WORKER_GROUP, .size = sizeof(short_by_one) + 1 },
                                   long_by_one = { .type = WORKER_GROUP, .size = sizeof(long_by_one) - 1 },
                                   too_large = { .type = WORKER_GROUP, .size = sizeof(large) },
                                   largest = { .type = WORKER_GROUP, .size = WORKER_PACKET_MAX },
                                   good = { .type = WORKER_GROUP, .size = sizeof(good) };
        unsigned before = count_fds();
        union worker_packet p;
        int fd = 4711;

        for (size_t n = 0; n <= 4; n += 4) {
                send_raw(pair->a, &good, sizeof(good) - 1, n, null_fd);
                g_assert_cmpint(worker_receive(pair->b, 0, &p, &fd), ==, -EBADMSG);
                send_raw(pair->a, &short_by_one, sizeof(short_by_one), n, null_fd);
                g_assert_cmpint(worker_receive(pair->b, 0, &p, &fd), ==, -EBADMSG);
                send_raw(pair->a, &long_by_one, sizeof(long_by_one), n, null_fd);
                g_assert_cmpint(worker_receive(pair->b, 0, &p, &fd), ==, -EBADMSG);
                memcpy(large, &too_large, sizeof(too_large));
                send_raw(pair->a, large, sizeof(large), n, null_fd);
                g_assert_cmpint(worker_receive(pair->b, 0, &p, &fd), ==, -EBADMSG);
                /* Right as far as it fits in. */
                memcpy(large, &largest, sizeof(largest));
                send_raw(pair->a, large, sizeof(large), n, null_fd);
                g_assert_cmpint(worker_receive(pair->b, 0, &p, &fd), ==, -EBADMSG);
        }
        /* More descriptors than a call has. */
        for (size_t n = 2; n <= 4; n++) {
                send_raw(pair->a, &good, sizeof(good), n, null_fd);
                g_assert_cmpint(worker_receive(pair->b, 0, &p, &fd), ==, -EBADMSG);
        }
        g_assert_cmpint(fd, ==, 4711);
        g_assert_cmpuint(count_fds(), ==, before);

        /* What comes after is read as ever. */
        send_raw(pair->a, &good, sizeof(good), 0, -1);
        g_assert_cmpint(worker_receive(pair->b, 0, &p, &fd), ==, 1);
}

static void test_ends(struct pair *pair, const void *data)
{
        union worker_packet p;

        g_assert_cmpint(worker_receive(pair->b, MSG_DONTWAIT, &p, NULL), ==, -EAGAIN);
        worker_packet_init(&p, WORKER_GROUP, sizeof(p.header));
        g_assert_cmpint(worker_send(pair->a, &p, -1), ==, 0);
        pair->a = safe_close(pair->a);
        /* What was sent before is still there. */
        g_assert_cmpint(worker_receive(pair->b, MSG_DONTWAIT, &p, NULL), ==, 1);
        g_assert_cmpint(worker_receive(pair->b, MSG_DONTWAIT, &p, NULL), ==, 0);
        g_assert_cmpint(worker_receive(pair->b, 0, &p, NULL), ==, 0);
        /* An error, not a signal. */
        worker_packet_init(&p, WORKER_GROUP, sizeof(p.header));
        g_assert_cmpint(worker_send(pair->b, &p, -1), ==, -EPIPE);
}

/* The other side closed with our packet unread, as when it was killed. */
static void test_reset(struct pair *pair, const void *data)
{
        union worker_packet p;

        worker_packet_init(&p, WORKER_GROUP, sizeof(p.header));
        g_assert_cmpint(worker_send(pair->b, &p, -1), ==, 0);
        pair->a = safe_close(pair->a);
        g_assert_cmpint(worker_receive(pair->b, MSG_DONTWAIT, &p, NULL), ==, 0);
}

static void add_test(const char *name, void (*test)(struct pair *pair, const void *data))
{
        g_test_add(name, struct pair, NULL, set_up, test, tear_down);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        add_test("/worker-io/packet", test_packet);
        add_test("/worker-io/text", test_text);
        add_test("/worker-io/no-text", test_no_text);
        add_test("/worker-io/descriptor", test_descriptor);
        add_test("/worker-io/bad", test_bad);
        add_test("/worker-io/ends", test_ends);
        add_test("/worker-io/reset", test_reset);
        return g_test_run();
}
