// SPDX-License-Identifier: LGPL-2.1-or-later
#include "mmlib-pairs.h"

#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "case.h"

struct couple couple_start(uid_t first, uid_t second, long first_seed, long second_seed) {
        struct couple couple = { { peer_start_as(first), peer_start_as(second) } };

        peer_call(&couple.peers[0], held_fill, first_seed);
        peer_call(&couple.peers[1], held_fill, second_seed);
        return couple;
}

void couple_end(struct couple *couple) {
        peer_end(&couple->peers[0]);
        peer_end(&couple->peers[1]);
}

size_t couple_wrong(const struct couple *couple, long first_seed, long second_seed) {
        return peer_call(&couple->peers[0], held_wrong, first_seed) +
               peer_call(&couple->peers[1], held_wrong, second_seed);
}

size_t couple_shared(const struct couple *couple) {
        return pages_shared(couple->peers[0].pid, couple->peers[1].pid, HELD_ADDRESS, HELD);
}

void couple_pairs(const struct couple *couple, MEQUALPAIR *pairs) {
        for (size_t i = 0; i < HELD; i++)
                pairs[i] = (MEQUALPAIR){
                        .spid = couple->peers[0].pid,
                        .sv_addr = (void *)(HELD_ADDRESS + i * PAGE),
                        .dpid = couple->peers[1].pid,
                        .dv_addr = (void *)(HELD_ADDRESS + i * PAGE),
                        .status = -1,
                };
}

size_t pairs_count(const MEQUALPAIR *pairs, size_t n, int status) {
        size_t count = 0;

        for (size_t i = 0; i < n; i++)
                count += pairs[i].status == status;
        return count;
}

void held_infos(pid_t pid, MPAGEINFO *infos) {
        const char *start = (char *)HELD_ADDRESS;
        const void *cont = start;

        check_equal(m_getpageinfos(pid, start, start + HELD * PAGE, infos, HELD, &cont), HELD);
        check(!cont);
}

int couple_run(const struct couple *couple, const char *program) {
        char command[128];
        int status;

        snprintf(command, sizeof(command), "%s %d %d >/dev/null", program, (int)couple->peers[0].pid,
                 (int)couple->peers[1].pid);
        status = system(command);
        check(WIFEXITED(status));
        return WEXITSTATUS(status);
}

void module_hide(void) {
        check_equal(unshare(CLONE_NEWNS), 0);
        check_equal(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
        check_equal(mount("none", "/dev", "tmpfs", 0, NULL), 0);
}

void module_show(void) {
        check_equal(umount("/dev"), 0);
}
