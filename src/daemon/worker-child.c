/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "daemon/worker-child.h"
#include "shared/clock.h"
#include "shared/log.h"
#include "shared/parse.h"

/* Far more often than the 2 s after which the service gives a silent worker up. */
#define MARK_INTERVAL_USEC 50000U

int worker_child_send(struct worker_child *w, const union worker_packet *p)
{
        return worker_send(w->socket_fd, p, -1);
}

int worker_child_tick(struct worker_child *w)
{
        union worker_packet p;
        uint64_t now = clock_usec(CLOCK_MONOTONIC);
        int r;

        if (now < w->next_mark_usec)
                return 0;
        w->next_mark_usec = now + MARK_INTERVAL_USEC;

        worker_packet_init(&p, WORKER_PROGRESS, sizeof(p.progress));
        p.progress.n_pages = w->n_pages;
        r = worker_child_send(w, &p);
        if (r < 0)
                return r;

        r = worker_receive(w->socket_fd, MSG_DONTWAIT, &p, NULL);
        if (r == -EAGAIN)
                return 0;
        if (r <= 0)
                return r < 0 ? r : -EPIPE;
        return p.header.type == WORKER_CANCEL ? -ECANCELED : -EBADMSG;
}

static uint64_t cpu_nsec(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
        return (uint64_t) ts.tv_sec * 1000000000U + (uint64_t) ts.tv_nsec;
}

void worker_child_slice(struct worker_child *w, uint64_t slice_usec)
{
        w->slice_end_nsec = slice_usec > 0 ? cpu_nsec() + slice_usec * 1000U : 0;
}

bool worker_child_slice_is_over(const struct worker_child *w)
{
        return w->slice_end_nsec > 0 && cpu_nsec() >= w->slice_end_nsec;
}

static int resolve_user(const char *name, uid_t *ret)
{
        struct passwd buffer, *found = NULL;
        char text[4096];
        uint64_t number;
        int r;

        /* A name of digits is a name first, as everywhere in systemd and util-linux. */
        r = getpwnam_r(name, &buffer, text, sizeof(text), &found);
        if (r == 0 && found) {
                *ret = found->pw_uid;
                return 0;
        }
        r = parse_uint64(name, &number);
        if (r < 0 || number > UINT32_MAX - 1U)
                return -ESRCH;
        *ret = (uid_t) number;
        return 0;
}

static int resolve_uid(const char *number, union worker_packet *row)
{
        struct passwd buffer, *found = NULL;
        char text[4096];
        uint64_t uid;
        int r;

        r = parse_uint64(number, &uid);
        if (r < 0 || uid > UINT32_MAX - 1U)
                return -EINVAL;
        r = getpwuid_r((uid_t) uid, &buffer, text, sizeof(text), &found);
        /* A database that fails has not said that there is no such user. */
        if (r != 0)
                return r == ESRCH ? -EIO : -r;
        if (!found)
                return -ESRCH;
        worker_packet_text(row, found->pw_name);
        return 0;
}

static int call_resolve(struct worker_child *w, union worker_packet *p)
{
        const char *text = worker_packet_get_text(p, sizeof(p->resolve));
        union worker_packet row;
        struct stat st;

        worker_packet_init(&row, WORKER_ROW_RESOLVED, sizeof(row.resolved));
        if (p->resolve.kind == WORKER_RESOLVE_USER) {
                uid_t uid = 0;

                row.resolved.error = resolve_user(text, &uid);
                row.resolved.uid = uid;
        } else if (p->resolve.kind == WORKER_RESOLVE_UID)
                row.resolved.error = resolve_uid(text, &row);
        else if (stat(text, &st) < 0)
                row.resolved.error = -errno;
        else
                row.resolved.file = (struct mm_file_id) { .dev = st.st_dev, .ino = st.st_ino };
        return worker_child_send(w, &row);
}

static int call_ksm_start(struct worker_child *w, const struct worker_ksm *ksm)
{
        const struct mm_ksm_settings settings = {
                .pages_to_scan = ksm->pages_to_scan,
                .sleep_millisecs = ksm->sleep_millisecs,
                .smart_scan = ksm->smart_scan,
                .use_zero_pages = ksm->use_zero_pages,
                .advisor = ksm->advisor ? "scan-time" : "none",
                .merge_across_nodes = ksm->merge_across_nodes,
                .max_page_sharing = ksm->max_page_sharing,
        };

        if (w->drive)
                return 0;
        if (w->ksm_fd < 0)
                return -ENOENT;
        return mm_ksm_drive_start(w->ksm_fd, w->state_fd, &settings, &w->drive);
}

/* Returns the error for WORKER_DONE; errors of the socket show at the next receive. */
static int call(struct worker_child *w, union worker_packet *p, int fd)
{
        _cleanup_(closep) int dir_fd = fd;

        switch (p->header.type) {
        case WORKER_CANCEL:
                return 0;
        case WORKER_RESOLVE:
                return call_resolve(w, p);
        case WORKER_BEGIN:
                if (w->device)
                        mm_device_sweep(w->device);
                return round_begin(&w->round, w->proc_fd, &p->begin);
        case WORKER_LIBRARY:
                return round_add_library(&w->round, &p->library,
                                         worker_packet_get_text(p, sizeof(p->library)));
        case WORKER_SCAN:
                return round_scan(w, &p->target, worker_packet_get_text(p, sizeof(p->target)),
                                  TAKE_FD(dir_fd));
        case WORKER_GROUP:
                return round_group(w);
        case WORKER_PLAN:
                return round_plan(w, &p->plan);
        case WORKER_REGISTER:
                return worker_child_advise(w, &p->ranges, dir_fd, true);
        case WORKER_UNREGISTER:
                return worker_child_advise(w, &p->ranges, dir_fd, false);
        case WORKER_KSM_START:
                return call_ksm_start(w, &p->ksm);
        case WORKER_KSM_STOP:
                w->drive = mm_ksm_drive_stop(w->drive);
                return 0;
        case WORKER_MEASURE:
                return round_measure(w);
        case WORKER_MERGE:
                return round_merge(w, &p->merge, dir_fd);
        case WORKER_UNMERGE:
                return worker_child_unmerge(w, &p->ranges, dir_fd);
        case WORKER_COUNT:
                return worker_child_count(w, &p->ranges, dir_fd);
        case WORKER_CENSUS:
                return worker_child_census(w, dir_fd);
        case WORKER_AREAS:
                return worker_child_areas(w, dir_fd);
        case WORKER_LIST:
                return round_list(w, &p->target, dir_fd);
        case WORKER_USAGE:
                return worker_child_usage(w, &p->usage, dir_fd);
        case WORKER_PAGES:
                return worker_child_pages(w, &p->pages, worker_packet_get_text(p, sizeof(p->pages)), dir_fd);
        case WORKER_SHARE:
                return worker_child_share(w, &p->share, dir_fd);
        case WORKER_SHARE_WITH:
                return worker_child_share_with(w, &p->share, dir_fd);
        default:
                return -EBADMSG;
        }
}

int worker_child_run(int socket_fd, int proc_fd, int state_fd, int ksm_fd)
{
        struct worker_child w = {
                .socket_fd = socket_fd, .proc_fd = proc_fd, .state_fd = state_fd, .ksm_fd = ksm_fd
        };
        union worker_packet p;
        int r;

        (void) prctl(PR_SET_NAME, "mergemem-worker");
        /* The service speaks for itself on signals; we end when it closes the socket. */
        (void) signal(SIGTERM, SIG_IGN);
        (void) signal(SIGINT, SIG_IGN);
        (void) signal(SIGHUP, SIG_IGN);

        mm_kpage_open(proc_fd, &w.kpage);
        mm_kpage_probe_ksm(&w.kpage);
        /* What a worker that was killed has left of KSM. Without a runtime directory another may be
         * driving it. */
        if (ksm_fd >= 0 && state_fd >= 0) {
                r = mm_ksm_recover(ksm_fd, state_fd);
                if (r > 0)
                        log_info("KSM was left changed by a service that was killed, and is put back.");
                else if (r < 0)
                        log_warning_errno(r, "Cannot put KSM back to what it was before: %m");
        }

        for (;;) {
                int fd = -EBADF;

                r = worker_receive(socket_fd, 0, &p, &fd);
                if (r <= 0)
                        break;
                if (p.header.type == WORKER_CANCEL)
                        continue; /* came too late: that call is done */
                w.n_pages = 0;
                w.next_mark_usec = clock_usec(CLOCK_MONOTONIC) + MARK_INTERVAL_USEC;
                r = call(&w, &p, fd);
                worker_packet_init(&p, WORKER_DONE, sizeof(p.done));
                p.done.error = r;
                r = worker_send(socket_fd, &p, -1);
                if (r < 0)
                        break;
        }

        /* Without a service nobody would stop ksmd later. */
        w.drive = mm_ksm_drive_stop(w.drive);
        round_done(&w.round);
        mm_sharing_done(&w.sharing.frames);
        mm_device_free(w.device);
        mm_kpage_done(&w.kpage);
        return r == 0 || r == -EPIPE ? EXIT_SUCCESS : EXIT_FAILURE;
}
