/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "config.h"
#include "daemon/identity.h"
#include "daemon/explain.h"
#include "daemon/history-bus.h"
#include "daemon/job.h"
#include "daemon/layout-bus.h"
#include "daemon/limit.h"
#include "daemon/listing.h"
#include "daemon/manager.h"
#include "daemon/pages-bus.h"
#include "daemon/runtime.h"
#include "daemon/sharing.h"
#include "daemon/subscriber.h"
#include "daemon/totals-bus.h"
#include "shared/clock.h"
#include "shared/format.h"
#include "shared/log.h"

/* What registered processes save changes slowly, and a look costs a few system calls for each. */
#define REFRESH_USEC (10ULL * 1000U * 1000U)
#define REFRESH_SOON_USEC (200U * 1000U)

/* How long a process that held the worker up is left alone. */
#define HUNG_USEC (10ULL * 60U * 1000U * 1000U)

int manager_new(Manager **ret)
{
        _cleanup_(manager_freep) Manager *m = NULL;
        int r;

        m = malloc(sizeof(*m));
        if (!m)
                return -ENOMEM;
        *m = (Manager) {
                .version = MERGEMEM_VERSION,
                .bus_address = "system",
                .mechanism_option = MECHANISM_INVALID_,
                .log_level_option = -1,
                .proc_fd = -EBADF,
                .state_fd = -EBADF,
                .lock_fd = -EBADF,
                .ksm_fd = -EBADF,
                .history.dir_fd = -EBADF,
                .layouts.dir_fd = -EBADF,
                .layouts.quotas.rate = &quota_pages,
                .pages.rate = &quota_pages,
                .calls.rate = &quota_calls,
        };
        r = conf_init(&m->conf);
        if (r < 0)
                return r;
        r = sd_event_default(&m->event);
        if (r < 0)
                return r;
        registry_init(&m->registry, REGISTRY_KSM, m->event, -EBADF);
        registry_init(&m->merged, REGISTRY_DIRECT, m->event, -EBADF);
        *ret = TAKE_PTR(m);
        return 0;
}

/* MaxFrames= */
static void limit_frames(Manager *m, uint64_t max_frames)
{
        _cleanup_(closep) int sys_fd = open("/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
        int r = sys_fd < 0 ? -errno : frame_limit_set(&m->frame_limit, sys_fd, max_frames);

        if (r == -ENOENT)
                log_warning("MaxFrames= has no effect while mergemod is not loaded.");
        else if (r < 0)
                log_warning_errno(r, "Cannot set max_frames of mergemod: %m");
}

Manager *manager_free(Manager *m)
{
        if (!m)
                return NULL;
        while (m->n_jobs > 0)
                job_free(m->jobs[m->n_jobs - 1]);
        free(m->jobs);
        while (m->n_listings > 0)
                listing_free(m->listings[m->n_listings - 1]);
        free(m->listings);
        explain_done(m);
        layout_bus_done(m);
        layouts_done(&m->layouts);
        newcomers_done(&m->newcomers);
        pages_done(m);
        sharing_done(m);
        refresh_stop(&m->refresh);
        m->engine = engine_free(m->engine);
        identities_free(m->identities);
        worker_free(m->worker);
        sd_event_source_disable_unref(m->refresh_source);
        sd_event_source_disable_unref(m->publish_source);
        registry_done(&m->registry);
        registry_done(&m->merged);
        account_done(&m->account);
        sd_event_source_disable_unref(m->history_source);
        history_done(&m->history);
        subscribers_done(m);
        auth_done(&m->auth);
        sd_bus_flush_close_unref(m->bus);
        sd_event_unref(m->event);
        for (size_t i = 0; i < ELEMENTSOF(m->mechanisms); i++)
                free(m->mechanisms[i].reason);
        free(m->mechanism_reason);
        safe_close(m->proc_fd);
        safe_close(m->ksm_fd);
        safe_close(m->lock_fd);
        safe_close(m->state_fd);
        limit_frames(m, 0);
        conf_done(&m->conf);
        free(m);
        return NULL;
}

uint64_t manager_saved_frames(const Manager *m)
{
        return registry_saved_frames(&m->registry) + registry_saved_frames(&m->merged);
}

uint64_t manager_metadata_bytes(const Manager *m)
{
        return registry_metadata_bytes(&m->registry) + registry_metadata_bytes(&m->merged);
}

void manager_notify_status(Manager *m)
{
        uint64_t saved = manager_saved_frames(m) * MM_PAGE_SIZE;

        if (m->running)
                (void) sd_notifyf(0, "STATUS=Job %u, %s: %s.", m->running->id,
                                  job_type_to_string(m->running->type),
                                  job_state_to_string(m->running->state));
        else
                (void) sd_notifyf(0, "STATUS=%s saved by %s.", FORMAT_BYTES(saved),
                                  mechanism_to_string(m->mechanism));
}

void manager_dispatch(Manager *m)
{
        struct job *next = NULL;

        for (size_t i = 0; i < m->n_jobs; i++)
                if (m->jobs[i]->state == JOB_WAITING && (!next || limit_goes_first(m, m->jobs[i], next)))
                        next = m->jobs[i];
        if (next && m->running && m->running->by_rule)
                engine_make_way(m->running, next->uid == 0);
        else if (next && !m->running && next->uid != 0 && engine_goes_first(m->engine)) {
                engine_dispatch(m->engine);
                /* It could not begin, or is over already. */
                if (!m->running)
                        manager_dispatch(m);
        } else if (next && !m->running) {
                m->running = next;
                job_start(next);
        } else if (!m->running) {
                manager_notify_status(m);
                if (m->engine)
                        engine_dispatch(m->engine);
        }
}

void manager_mark_hung(Manager *m, pid_t pid, uint64_t start_ticks)
{
        size_t i = m->next_hung++ % ELEMENTSOF(m->hung);

        m->hung[i].pid = pid;
        m->hung[i].start_ticks = start_ticks;
        m->hung[i].until_usec = clock_usec(CLOCK_MONOTONIC) + HUNG_USEC;
}

bool manager_is_hung(const Manager *m, pid_t pid, uint64_t start_ticks)
{
        for (size_t i = 0; i < ELEMENTSOF(m->hung); i++)
                if (m->hung[i].pid == pid && m->hung[i].start_ticks == start_ticks &&
                    m->hung[i].until_usec > clock_usec(CLOCK_MONOTONIC))
                        return true;
        return false;
}

static bool is_part_of_us(const Manager *m, const struct mm_process *p)
{
        if (p->pid == getpid() || p->pid == worker_pid(m->worker))
                return true;
        return m->service_pid > 0 && (p->pid == m->service_pid || p->parent == m->service_pid);
}

enum exclusion manager_exclude(const Manager *m, const struct mm_process *p, bool named)
{
        enum exclusion why = policy_exclude(p, named);

        if (is_part_of_us(m, p))
                return EXCLUSION_SELF;
        return why == EXCLUSION_NONE && manager_is_hung(m, p->pid, p->start_ticks) ? EXCLUSION_HUNG : why;
}

static void on_ksm_stopped(void *userdata, int error)
{
        if (error < 0)
                log_warning_errno(error, "Cannot put the knobs of KSM back: %m");
}

void manager_stop_ksm(Manager *m)
{
        union worker_packet p;

        if (!m->driving)
                return;
        m->driving = false;
        worker_packet_init(&p, WORKER_KSM_STOP, sizeof(p.header));
        (void) worker_call(m->worker, &p, -1, NULL, on_ksm_stopped, m);
}

uint64_t manager_ksmd_cpu_nsec(const Manager *m)
{
        struct timespec ts;
        clockid_t clock;

        if (m->ksmd_pid <= 0 || clock_getcpuclockid(m->ksmd_pid, &clock) != 0 ||
            clock_gettime(clock, &ts) < 0)
                return 0;
        return (uint64_t) ts.tv_sec * 1000000000U + (uint64_t) ts.tv_nsec;
}

uint64_t manager_cpu_nsec(const Manager *m)
{
        struct timespec ts;

        if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts) < 0)
                return 0;
        return (uint64_t) ts.tv_sec * 1000000000U + (uint64_t) ts.tv_nsec + worker_cpu_nsec(m->worker);
}

static void on_refreshed(void *userdata, int error)
{
        Manager *m = userdata;

        /* First what KSM has, then what mergemod has merged. */
        if (m->refresh.registry == &m->registry && m->merged.n_items > 0) {
                refresh_start(&m->refresh, &m->merged, &m->account, m->worker, on_refreshed, m);
                return;
        }
        totals_changed(m);
        manager_notify_status(m);
        engine_judge(m->engine);
}

static int on_refresh(sd_event_source *source, uint64_t usec, void *userdata)
{
        Manager *m = userdata;

        /* With nothing merged the next merge starts this again. */
        if (m->registry.n_items == 0 && m->merged.n_items == 0) {
                totals_changed(m);
                manager_notify_status(m);
                return 0;
        }
        (void) sd_event_source_set_time_relative(source, REFRESH_USEC);
        (void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        /* Jobs that change something count for themselves. */
        if (!m->refresh.running && (!m->running || !job_changes(m->running->type)))
                refresh_start(&m->refresh, &m->registry, &m->account, m->worker, on_refreshed, m);
        return 0;
}

void manager_refresh(Manager *m)
{
        (void) sd_event_source_set_time_relative(m->refresh_source, REFRESH_SOON_USEC);
        (void) sd_event_source_set_enabled(m->refresh_source, SD_EVENT_ONESHOT);
}

int manager_load_conf(const Manager *m, const struct conf_overlay *overlay, struct conf *ret)
{
        _cleanup_(closep) int root_fd = -EBADF;

        if (m->conf_path)
                return conf_load_file(m->conf_path, overlay, ret);
        root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0)
                return log_error_errno(-errno, "/: %m");
        return conf_load(root_fd, overlay, ret);
}

static void apply_log_level(Manager *m)
{
        log_set_level(m->log_level_option >= 0 ? m->log_level_option : m->conf.log_level);
}

int manager_apply_conf(Manager *m, struct conf *c)
{
        struct conf before = m->conf;
        int r;

        m->conf = *c;
        r = manager_choose_mechanism(m);
        /* What the timers and the job under way know are names of rules. */
        if (r >= 0)
                r = engine_reload(m->engine);
        if (r < 0) {
                m->conf = before;
                return r;
        }
        *c = before;
        m->conf_generation++;
        identities_retry(m->identities);
        apply_log_level(m);
        limit_frames(m, m->conf.max_frames);
        return 0;
}

int manager_reload(Manager *m)
{
        _cleanup_(conf_done) struct conf c = {};
        int r;

        (void) sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_usec(CLOCK_MONOTONIC));
        r = manager_load_conf(m, NULL, &c);
        if (r >= 0)
                r = manager_apply_conf(m, &c);
        if (r >= 0)
                log_info("Configuration read again.");
        else
                log_warning("The configuration stays as it was.");
        (void) sd_notify(0, "READY=1");
        manager_notify_status(m);
        return r;
}

static int open_runtime_directory(Manager *m)
{
        const char *path = getenv("RUNTIME_DIRECTORY");
        struct runtime_holder holder;
        int r;

        path = path && *path ? path : RUNTIME_DIRECTORY;
        r = runtime_open(path, "mergememd", &m->state_fd, &m->lock_fd, &holder);
        if (r != -EWOULDBLOCK)
                return r;
        if (holder.pid == 0)
                return log_error_errno(r, "Another mergememd is running already (it holds %s/lock).", path);
        return log_error_errno(r, "%s%s is running already (process %d holds %s/lock).",
                               streq(holder.name, "mergememd") ? "Another " : "", holder.name, holder.pid,
                               path);
}

/* Three descriptors for each process looked at. */
static void raise_limits(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
                return;
        limit.rlim_cur = limit.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &limit);
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
        (void) manager_reload(userdata);
        return 0;
}

static int add_events(Manager *m)
{
        sigset_t mask;
        int r;

        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGTERM);
        (void) sigaddset(&mask, SIGINT);
        (void) sigaddset(&mask, SIGHUP);
        (void) sigaddset(&mask, SIGCHLD);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;
        (void) signal(SIGPIPE, SIG_IGN);
        r = sd_event_add_signal(m->event, NULL, SIGTERM, NULL, NULL);
        if (r >= 0)
                r = sd_event_add_signal(m->event, NULL, SIGINT, NULL, NULL);
        if (r >= 0)
                r = sd_event_add_signal(m->event, NULL, SIGHUP, on_hangup, m);
        if (r >= 0)
                r = sd_event_set_watchdog(m->event, true);
        if (r >= 0)
                r = sd_event_add_time_relative(m->event, &m->refresh_source, CLOCK_MONOTONIC,
                                               REFRESH_SOON_USEC, REFRESH_SOON_USEC, on_refresh, m);
        return r;
}

static int load_registry(Manager *m, struct registry *registry, const char *name)
{
        int r;

        registry->state_fd = m->state_fd;
        r = registry_load(registry, m->proc_fd);
        if (r == -EBADMSG) {
                log_warning("The list of %s memory was damaged; it is set aside as %s.damaged.", name, name);
                return 0;
        }
        return r < 0 ? log_error_errno(r, "Cannot read the list of %s memory: %m", name) : 0;
}

/* Without them the service does all the rest. */
static void load_layouts(Manager *m)
{
        int r = layouts_load(&m->layouts, m->state_fd, m->proc_fd);

        if (r < 0)
                log_warning_errno(r, "No layouts are handed out: cannot read " LAYOUT_DIRECTORY
                                     " in the runtime directory: %m");
        if (r < 0)
                layouts_done(&m->layouts);
}

int manager_open_kernel(Manager *m)
{
        raise_limits();
        m->proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (m->proc_fd < 0)
                return log_error_errno(-errno, "Cannot open /proc: %m");
        m->ksm_fd = open("/sys/kernel/mm/ksm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return manager_choose_mechanism(m);
}

int manager_start_worker(Manager *m)
{
        int r = 0;

        if (m->state_fd >= 0) {
                limit_frames(m, m->conf.max_frames);
                r = load_registry(m, &m->registry, "registered");
                if (r >= 0)
                        r = load_registry(m, &m->merged, "merged");
        }
        if (r < 0)
                return r;
        r = worker_new(m->event, m->proc_fd, m->state_fd, m->ksm_fd, &m->worker);
        if (r < 0)
                return log_error_errno(r, "Cannot start the worker: %m");
        r = identities_new(m->event, m->worker, &m->identities);
        return r < 0 ? log_oom() : 0;
}

int manager_start(Manager *m)
{
        int r;

        conf_done(&m->conf);
        r = manager_load_conf(m, NULL, &m->conf);
        if (r < 0)
                return r;
        apply_log_level(m);
        r = open_runtime_directory(m);
        if (r >= 0)
                r = manager_open_kernel(m);
        if (r < 0)
                return r;
        r = add_events(m);
        if (r < 0)
                return log_error_errno(r, "Cannot set up the event loop: %m");
        r = manager_start_worker(m);
        if (r < 0)
                return r;
        load_layouts(m);
        r = history_start(m);
        if (r < 0)
                return r;
        r = engine_new(m, &m->engine);
        if (r < 0)
                return log_error_errno(r, "Cannot set up the timers of rules: %m");
        r = manager_connect_bus(m);
        if (r < 0)
                return r;
        r = engine_reload(m->engine);
        return r < 0 ? log_error_errno(r, "Cannot set up the timers of rules: %m") : 0;
}

static void log_kept(const char *by, const struct registry *r)
{
        if (r->n_items > 0)
                log_info("What is merged stays merged: %" PRIu64 " pages of %zu process%s, by %s.",
                         registry_merged_pages(r), r->n_items, r->n_items == 1 ? "" : "es", by);
}

int manager_run(Manager *m)
{
        int r;

        (void) sd_notify(0, "READY=1");
        manager_notify_status(m);
        r = sd_event_loop(m->event);
        (void) sd_notify(0, "STOPPING=1");
        history_stop(m);
        log_kept("KSM", &m->registry);
        log_kept("mergemod", &m->merged);
        return r;
}
