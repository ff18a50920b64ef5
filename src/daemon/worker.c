/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "daemon/worker-child.h"
#include "daemon/worker.h"
#include "shared/log.h"

struct call {
        struct call *next;
        worker_row_t row;
        worker_done_t done;
        void *userdata; /* NULL: forgotten */
        bool cancelled; /* before its turn came */
        int fd;
        uint64_t packet[]; /* a union worker_packet as far as header.size says */
};

struct worker {
        sd_event *event;
        int proc_fd, state_fd, ksm_fd;
        pid_t pid;
        int socket_fd;
        unsigned generation;
        uint64_t past_cpu_nsec;
        sd_event_source *io_source;
        sd_event_source *silence_source;
        struct call *running;
        struct call *first, *last;
};

static struct call *call_free(struct call *c)
{
        if (!c)
                return NULL;
        safe_close(c->fd);
        free(c);
        return NULL;
}

static void close_other_fds(int a, int b, int c, int d)
{
        int keep[] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, a, b, c, d };
        unsigned from = 0;

        /* Ascending, so that the gaps between them can be closed. */
        for (size_t i = 0; i < ELEMENTSOF(keep); i++)
                for (size_t k = i + 1; k < ELEMENTSOF(keep); k++)
                        if (keep[k] < keep[i]) {
                                int t = keep[i];

                                keep[i] = keep[k];
                                keep[k] = t;
                        }
        for (size_t i = 0; i < ELEMENTSOF(keep); i++) {
                if (keep[i] < 0)
                        continue;
                if ((unsigned) keep[i] > from)
                        (void) syscall(SYS_close_range, from, (unsigned) keep[i] - 1U, 0U);
                from = (unsigned) keep[i] + 1U;
        }
        (void) syscall(SYS_close_range, from, ~0U, 0U);
}

static int spawn(struct worker *w)
{
        int pair[2], r;
        sigset_t none;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        w->pid = fork();
        if (w->pid < 0) {
                r = -errno;
                safe_close(pair[0]);
                safe_close(pair[1]);
                return r;
        }
        if (w->pid == 0) {
                close_other_fds(pair[1], w->proc_fd, w->state_fd, w->ksm_fd);
                (void) sigemptyset(&none);
                (void) sigprocmask(SIG_SETMASK, &none, NULL);
                _exit(worker_child_run(pair[1], w->proc_fd, w->state_fd, w->ksm_fd));
        }
        safe_close(pair[1]);
        w->socket_fd = pair[0];
        w->generation++;
        return 0;
}

/* So that a process in uninterruptible sleep is not waited for: it is reaped whenever it ends. */
static int on_reaped(sd_event_source *source, const siginfo_t *si, void *userdata)
{
        (void) sd_event_source_disable_unref(source);
        return 0;
}

static uint64_t process_cpu_nsec(pid_t pid)
{
        struct timespec ts;
        clockid_t clock;

        if (pid <= 0 || clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &ts) < 0)
                return 0;
        return (uint64_t) ts.tv_sec * 1000000000U + (uint64_t) ts.tv_nsec;
}

static void leave_child(struct worker *w)
{
        sd_event_source *source;

        if (w->pid <= 0)
                return;
        w->past_cpu_nsec += process_cpu_nsec(w->pid);
        (void) kill(w->pid, SIGKILL);
        if (sd_event_add_child(w->event, &source, w->pid, WEXITED, on_reaped, NULL) < 0)
                (void) waitpid(w->pid, NULL, WNOHANG);
        w->pid = 0;
}

static int start_next(struct worker *w);
static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata);

static int attach(struct worker *w)
{
        int r;

        r = sd_event_add_io(w->event, &w->io_source, w->socket_fd, EPOLLIN, on_io, w);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(w->io_source, "worker");
        return 0;
}

static void detach(struct worker *w)
{
        w->io_source = sd_event_source_disable_unref(w->io_source);
        w->socket_fd = safe_close(w->socket_fd);
}

static int replace(struct worker *w)
{
        int r;

        detach(w);
        leave_child(w);
        r = spawn(w);
        if (r < 0)
                return r;
        return attach(w);
}

static uint64_t patience_usec(const struct call *c)
{
        uint32_t type = ((const union worker_packet *) c->packet)->header.type;

        return type == WORKER_KSM_START || type == WORKER_KSM_STOP ? WORKER_KSM_SILENCE_USEC
                                                                   : WORKER_SILENCE_USEC;
}

static void silence_watch(struct worker *w, bool on)
{
        if (on)
                (void) sd_event_source_set_time_relative(w->silence_source, patience_usec(w->running));
        (void) sd_event_source_set_enabled(w->silence_source, on ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static void finish(struct worker *w, int error)
{
        struct call *c = TAKE_PTR(w->running);

        silence_watch(w, false);
        if (c && c->userdata)
                c->done(c->userdata, error);
        (void) call_free(c);
}

/* The child is gone or given up: a new one, and the running call has failed. */
static int give_up(struct worker *w, int error)
{
        int r;

        r = replace(w);
        if (r < 0) {
                /* Nothing can be done without one: the service manager shall try again. */
                (void) sd_event_exit(w->event, r);
                return log_error_errno(r, "Cannot start a new worker: %m");
        }
        finish(w, error);
        return start_next(w);
}

static int on_silence(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct worker *w = userdata;

        log_warning("The worker made no progress for %u s and is replaced.",
                    (unsigned) (patience_usec(w->running) / 1000000U));
        return give_up(w, -ETIMEDOUT);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct worker *w = userdata;
        union worker_packet p;
        int r;

        r = worker_receive(w->socket_fd, MSG_DONTWAIT, &p, NULL);
        if (r == -EAGAIN)
                return 0;
        if (r <= 0) {
                log_warning_errno(r, "The worker ended unexpectedly and is replaced.");
                return give_up(w, -EPIPE);
        }
        if (!w->running)
                return 0;
        if (p.header.type == WORKER_DONE) {
                finish(w, p.done.error);
                return start_next(w);
        }
        silence_watch(w, true);
        if (w->running->userdata && w->running->row)
                w->running->row(w->running->userdata, &p);
        return 0;
}

static int start_next(struct worker *w)
{
        int r;

        while (!w->running && w->first) {
                struct call *c = w->first;

                w->first = c->next;
                if (!w->first)
                        w->last = NULL;
                if (!c->userdata) {
                        (void) call_free(c);
                        continue;
                }
                w->running = c;
                silence_watch(w, true);
                /* One call at a time fits the socket buffer, so this does not block. */
                r = worker_send(w->socket_fd, (const union worker_packet *) c->packet, c->fd);
                c->fd = safe_close(c->fd);
                if (r < 0)
                        return give_up(w, -EPIPE);
                if (c->cancelled)
                        worker_cancel(w, c->userdata);
        }
        return 0;
}

int worker_new(sd_event *event, int proc_fd, int state_fd, int ksm_fd, struct worker **ret)
{
        _cleanup_(worker_freep) struct worker *w = NULL;
        int r;

        w = malloc(sizeof(*w));
        if (!w)
                return -ENOMEM;
        *w = (struct worker) {
                .event = sd_event_ref(event),
                .proc_fd = proc_fd,
                .state_fd = state_fd,
                .ksm_fd = ksm_fd,
                .socket_fd = -EBADF,
        };
        r = sd_event_add_time_relative(event, &w->silence_source, CLOCK_MONOTONIC, WORKER_SILENCE_USEC, 0,
                                       on_silence, w);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(w->silence_source, "worker-silence");
        /* After its messages: a service that was slow itself must not take the worker for silent. */
        (void) sd_event_source_set_priority(w->silence_source, SD_EVENT_PRIORITY_NORMAL + 10);
        silence_watch(w, false);
        r = spawn(w);
        if (r < 0)
                return r;
        r = attach(w);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(w);
        return 0;
}

/* At the end of its socket the child stops ksmd, if it drives it, and leaves by itself: which a
 * service manager that kills what is left must not cut short. */
static void wait_for_child(pid_t pid)
{
        _cleanup_(closep) int pid_fd = (int) syscall(SYS_pidfd_open, pid, 0U);
        struct pollfd p = { .fd = pid_fd, .events = POLLIN };

        if (pid_fd < 0 || poll(&p, 1, WORKER_SILENCE_USEC / 1000U) <= 0)
                (void) kill(pid, SIGKILL);
        (void) waitpid(pid, NULL, WNOHANG);
}

struct worker *worker_free(struct worker *w)
{
        if (!w)
                return NULL;
        detach(w);
        if (w->pid > 0)
                wait_for_child(w->pid);
        w->silence_source = sd_event_source_disable_unref(w->silence_source);
        (void) call_free(w->running);
        while (w->first) {
                struct call *c = w->first;

                w->first = c->next;
                (void) call_free(c);
        }
        sd_event_unref(w->event);
        free(w);
        return NULL;
}

int worker_call(struct worker *w, const union worker_packet *packet, int fd, worker_row_t row,
                worker_done_t done, void *userdata)
{
        struct call *c;
        int copy = -EBADF;

        if (fd >= 0) {
                copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
                if (copy < 0)
                        return -errno;
        }
        c = malloc(sizeof(*c) + packet->header.size);
        if (!c) {
                safe_close(copy);
                return -ENOMEM;
        }
        *c = (struct call) { .row = row, .done = done, .userdata = userdata, .fd = copy };
        memcpy(c->packet, packet->bytes, packet->header.size);
        if (w->last)
                w->last->next = c;
        else
                w->first = c;
        w->last = c;
        return start_next(w);
}

void worker_cancel(struct worker *w, void *userdata)
{
        union worker_packet p;

        for (struct call *c = w->first; c; c = c->next)
                if (c->userdata == userdata)
                        c->cancelled = true;
        if (!w->running || w->running->userdata != userdata)
                return;
        worker_packet_init(&p, WORKER_CANCEL, sizeof(p.header));
        (void) worker_send(w->socket_fd, &p, -1);
}

void worker_forget(struct worker *w, void *userdata)
{
        for (struct call *c = w->first; c; c = c->next)
                if (c->userdata == userdata)
                        c->userdata = NULL;
        worker_cancel(w, userdata);
        if (w->running && w->running->userdata == userdata)
                w->running->userdata = NULL;
}

unsigned worker_generation(const struct worker *w)
{
        return w->generation;
}

uint64_t worker_cpu_nsec(const struct worker *w)
{
        return w->past_cpu_nsec + process_cpu_nsec(w->pid);
}

pid_t worker_pid(const struct worker *w)
{
        return w->pid;
}
