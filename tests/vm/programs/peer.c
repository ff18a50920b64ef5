// SPDX-License-Identifier: LGPL-2.1-or-later
#include "peer.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"

struct peer_order {
        peer_function function;
        long argument;
};

static void peer_serve(int from, int to) {
        struct peer_order order;
        long result;

        while (read(from, &order, sizeof(order)) == sizeof(order)) {
                result = order.function(order.argument);
                if (write(to, &result, sizeof(result)) != sizeof(result))
                        break;
        }
        _exit(0);
}

struct peer peer_start_as(uid_t uid) {
        int to[2], from[2];
        struct peer peer;

        check(pipe2(to, O_CLOEXEC) == 0);
        check(pipe2(from, O_CLOEXEC) == 0);
        peer.pid = fork();
        check(peer.pid >= 0);
        if (peer.pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                /* Others, which would not see their end otherwise. */
                dup2(to[0], 3);
                dup2(from[1], 4);
                close_range(5, ~0U, 0);
                if (uid && setresuid(uid, uid, uid) < 0)
                        _exit(1);
                peer_serve(3, 4);
        }
        close(to[0]);
        close(from[1]);
        peer.to = to[1];
        peer.from = from[0];
        return peer;
}

struct peer peer_start(void) {
        return peer_start_as(0);
}

long peer_call(const struct peer *peer, peer_function function, long argument) {
        struct peer_order order = { function, argument };
        long result;

        check(write(peer->to, &order, sizeof(order)) == sizeof(order));
        if (read(peer->from, &result, sizeof(result)) != sizeof(result))
                fail("process %d did not answer", (int)peer->pid);
        return result;
}

void peer_end(struct peer *peer) {
        int status;

        close(peer->to);
        close(peer->from);
        check_equal(waitpid(peer->pid, &status, 0), peer->pid);
        check_equal(status, 0);
}
