/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>

#include "lib/ksm-state.h"
#include "lib/ksm.h"

#define STATE_NAME "ksm.state"
#define STATE_NEW_NAME STATE_NAME ".new"
#define STATE_DAMAGED_NAME STATE_NAME ".damaged"

struct mm_ksm_drive {
        int root_fd, state_fd; /* borrowed */
        bool ran;
        struct ksm_state state;
};

/* The first line of a knob, without its end. */
static int read_knob(int root_fd, const char *name, char *ret, size_t size)
{
        _cleanup_(closep) int fd = -EBADF;
        char buf[64];
        ssize_t n;

        fd = openat(root_fd, name, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        n = read(fd, buf, sizeof(buf) - 1);
        if (n < 0)
                return -errno;
        buf[n] = '\0';
        buf[strcspn(buf, "\n")] = '\0';
        if (strlen(buf) >= size)
                return -EINVAL;
        strcpy(ret, buf);
        return 0;
}

static int write_knob(int root_fd, const char *name, const char *value)
{
        _cleanup_(closep) int fd = -EBADF;

        fd = openat(root_fd, name, O_WRONLY | O_TRUNC | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (write(fd, value, strlen(value)) < 0)
                return -errno;
        return 0;
}

static int read_counter(int root_fd, const char *name, uint64_t *ret)
{
        char s[32], *end;
        long long n;
        int r;

        r = read_knob(root_fd, name, s, sizeof(s));
        if (r < 0)
                return r;
        errno = 0;
        n = strtoll(s, &end, 10);
        if (errno != 0 || end == s || *end)
                return -EINVAL;
        /* Linux 6.6 to 6.9 can count zero pages below none. */
        *ret = n > 0 ? (uint64_t) n : 0;
        return 0;
}

int mm_ksm_read(int root_fd, struct mm_ksm_counters *ret)
{
        struct mm_ksm_counters c = {};
        uint64_t run = 0, use_zero_pages = 0;
        const struct {
                const char *name;
                uint64_t *value;
                bool optional;
        } files[] = {
                { "run", &run },
                { "full_scans", &c.full_scans },
                { "pages_shared", &c.pages_shared },
                { "pages_sharing", &c.pages_sharing },
                { "max_page_sharing", &c.max_page_sharing },
                { "sleep_millisecs", &c.sleep_millisecs },
                { "use_zero_pages", &use_zero_pages },
                { "pages_scanned", &c.pages_scanned, true },
                { "ksm_zero_pages", &c.zero_pages, true },
        };

        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                int r = read_counter(root_fd, files[i].name, files[i].value);

                if (r < 0 && !(r == -ENOENT && files[i].optional))
                        return r;
        }
        c.run = (unsigned) run;
        c.use_zero_pages = use_zero_pages;
        *ret = c;
        return 0;
}

/* The value of a knob that we may change; the advisor shows its choice in brackets among the others. */
static int read_value(int root_fd, enum ksm_knob knob, char ret[KSM_VALUE_BYTES])
{
        char s[64], *word = s, *open;
        int r;

        r = read_knob(root_fd, ksm_knob_name(knob), s, sizeof(s));
        if (r < 0)
                return r;
        open = strchr(s, '[');
        if (open) {
                word = open + 1;
                word[strcspn(word, "]")] = '\0';
        }
        if (!ksm_knob_takes(knob, word))
                return -EINVAL;
        strcpy(ret, word);
        return 0;
}

/* The kernel refuses pages_to_scan while its advisor sets it. */
static bool advisor_is_on(int root_fd)
{
        char mode[KSM_VALUE_BYTES];

        return read_value(root_fd, KSM_ADVISOR_MODE, mode) >= 0 && !streq(mode, "none");
}

/* What setting the advisor back to "none" leaves of pages_to_scan. */
#define PAGES_TO_SCAN_AFTER_ADVISOR "100"

static bool advisor_is_ours(const struct ksm_state *state)
{
        return streq(state->changes[KSM_ADVISOR_MODE].ours, "scan-time");
}

static int put_back_knob(int root_fd, const struct ksm_state *state, enum ksm_knob knob)
{
        const struct ksm_change *c = state->changes + knob;
        char now[KSM_VALUE_BYTES];
        int r;

        if (!c->ours[0])
                return 0;
        r = read_value(root_fd, knob, now);
        if (r == -ENOENT || r == -EINVAL) /* what we cannot read is not ours */
                return 0;
        if (r < 0)
                return r;
        if (!streq(now, c->ours) || (knob == KSM_PAGES_TO_SCAN && advisor_is_on(root_fd)))
                return 0;
        return write_knob(root_fd, ksm_knob_name(knob), c->before);
}

/* `run` last: writing it waits for a lock that ksmd hardly lets go of before it sleeps as it used to. What
 * the kernel will take later stays in *@state, and nothing else. */
static int put_back(int root_fd, struct ksm_state *state)
{
        struct ksm_state later = {};
        int r = 0, q;

        if (advisor_is_ours(state))
                r = put_back_knob(root_fd, state, KSM_ADVISOR_MODE);
        for (int k = KSM_RUN - 1; k >= 0; k--) {
                q = put_back_knob(root_fd, state, k);
                if (q == -EBUSY && ksm_knob_waits(k))
                        later.changes[k] = state->changes[k];
                else
                        r = r < 0 ? r : q;
        }
        q = put_back_knob(root_fd, state, KSM_RUN);
        r = r < 0 ? r : q;
        if (r >= 0)
                *state = later;
        return r;
}

static bool state_is_empty(const struct ksm_state *state)
{
        for (enum ksm_knob k = 0; k < KSM_KNOB_MAX_; k++)
                if (state->changes[k].ours[0])
                        return false;
        return true;
}

/* Whether nothing but what the kernel will take later is left to do. */
static bool state_only_waits(const struct ksm_state *state)
{
        for (enum ksm_knob k = 0; k < KSM_KNOB_MAX_; k++)
                if (state->changes[k].ours[0] && !ksm_knob_waits(k))
                        return false;
        return true;
}

static int apply(int root_fd, const struct ksm_state *state)
{
        for (enum ksm_knob k = 0; k < KSM_KNOB_MAX_; k++) {
                const struct ksm_change *c = state->changes + k;
                int r;

                if (!c->ours[0] || (k == KSM_PAGES_TO_SCAN && advisor_is_ours(state)))
                        continue;
                r = write_knob(root_fd, ksm_knob_name(k), c->ours);
                if (r < 0 && !(r == -EBUSY && ksm_knob_waits(k)))
                        return r;
        }
        return 0;
}

static int write_state(int state_fd, const struct ksm_state *state)
{
        _cleanup_(closep) int fd = -EBADF;
        char text[KSM_STATE_BYTES_MAX];
        size_t size = ksm_state_format(state, text);
        ssize_t n;

        fd = openat(state_fd, STATE_NEW_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        n = write(fd, text, size);
        if (n < 0)
                return -errno;
        if ((size_t) n < size)
                return -ENOSPC;
        if (fsync(fd) < 0 || renameat(state_fd, STATE_NEW_NAME, state_fd, STATE_NAME) < 0 ||
            fsync(state_fd) < 0)
                return -errno;
        return 0;
}

static int read_state(int state_fd, struct ksm_state *ret)
{
        _cleanup_(closep) int fd = -EBADF;
        char text[KSM_STATE_BYTES_MAX];
        ssize_t n;

        fd = openat(state_fd, STATE_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        n = read(fd, text, sizeof(text));
        if (n < 0)
                return -errno;
        return ksm_state_parse(text, (size_t) n, ret);
}

static int remove_state(int state_fd)
{
        return unlinkat(state_fd, STATE_NAME, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* Leaves in the file what is still to be put back. */
static int settle(int state_fd, const struct ksm_state *state)
{
        return state_is_empty(state) ? remove_state(state_fd) : write_state(state_fd, state);
}

static int plan_change(int root_fd, enum ksm_knob knob, const char *ours, struct ksm_state *state)
{
        struct ksm_change *c = state->changes + knob;
        char before[KSM_VALUE_BYTES];
        int r;

        if (!ksm_knob_takes(knob, ours))
                return -EINVAL;
        r = read_value(root_fd, knob, before);
        if (r == -ENOENT) /* a knob that this kernel is too old for */
                return 0;
        if (r < 0)
                return r;
        if (streq(before, ours))
                return 0;
        /* What an earlier drive could not put back yet is from before that. */
        if (!c->ours[0])
                strcpy(c->before, before);
        strcpy(c->ours, ours);
        return 0;
}

static int plan_number(int root_fd, enum ksm_knob knob, int64_t wanted, struct ksm_state *state)
{
        char ours[24];

        if (wanted < 0)
                return 0;
        sprintf(ours, "%lld", (long long) wanted);
        return plan_change(root_fd, knob, ours, state);
}

static int plan_changes(int root_fd, const struct mm_ksm_settings *s, struct ksm_state *state)
{
        int r = 0;

        if (s->advisor)
                r = plan_change(root_fd, KSM_ADVISOR_MODE, s->advisor, state);
        if (r >= 0 && advisor_is_ours(state))
                r = plan_change(root_fd, KSM_PAGES_TO_SCAN, PAGES_TO_SCAN_AFTER_ADVISOR, state);
        else if (r >= 0 && ((s->advisor && streq(s->advisor, "none")) || !advisor_is_on(root_fd)))
                r = plan_number(root_fd, KSM_PAGES_TO_SCAN, s->pages_to_scan, state);
        if (r >= 0)
                r = plan_number(root_fd, KSM_SLEEP_MILLISECS, s->sleep_millisecs, state);
        if (r >= 0)
                r = plan_number(root_fd, KSM_SMART_SCAN, s->smart_scan, state);
        if (r >= 0)
                r = plan_number(root_fd, KSM_USE_ZERO_PAGES, s->use_zero_pages, state);
        if (r >= 0)
                r = plan_number(root_fd, KSM_MERGE_ACROSS_NODES, s->merge_across_nodes, state);
        if (r >= 0)
                r = plan_number(root_fd, KSM_MAX_PAGE_SHARING, s->max_page_sharing, state);
        if (r >= 0)
                r = plan_number(root_fd, KSM_RUN, 1, state);
        return r;
}

int mm_ksm_drive_start(int root_fd, int state_fd, const struct mm_ksm_settings *settings,
                       struct mm_ksm_drive **ret)
{
        _cleanup_(freep) struct mm_ksm_drive *d = NULL;
        uint64_t run = 0;
        int r;

        r = read_counter(root_fd, ksm_knob_name(KSM_RUN), &run);
        if (r < 0)
                return r;
        if (run > 1)
                return -EBUSY;

        d = calloc(1, sizeof(*d));
        if (!d)
                return -ENOMEM;
        d->root_fd = root_fd;
        d->state_fd = state_fd;
        d->ran = run == 1;

        if (!d->ran) {
                r = read_state(state_fd, &d->state);
                if (r != -ENOENT && (r < 0 || !state_only_waits(&d->state)))
                        return -EEXIST;
                r = plan_changes(root_fd, settings, &d->state);
                if (r < 0)
                        return r;
                r = write_state(state_fd, &d->state);
                if (r < 0)
                        return r;
                r = apply(root_fd, &d->state);
                if (r < 0) {
                        mm_ksm_drive_stop(TAKE_PTR(d));
                        return r;
                }
        }

        *ret = TAKE_PTR(d);
        return 0;
}

struct mm_ksm_drive *mm_ksm_drive_stop(struct mm_ksm_drive *d)
{
        if (!d)
                return NULL;
        /* What cannot be put back now is left to mm_ksm_recover(). */
        if (!d->ran && put_back(d->root_fd, &d->state) >= 0)
                (void) settle(d->state_fd, &d->state);
        free(d);
        return NULL;
}

int mm_ksm_recover(int root_fd, int state_fd)
{
        struct ksm_state state;
        bool waited;
        int r;

        r = read_state(state_fd, &state);
        if (r == -ENOENT)
                return 0;
        if (r == -EBADMSG)
                return renameat(state_fd, STATE_NAME, state_fd, STATE_DAMAGED_NAME) < 0 ? -errno : -EBADMSG;
        if (r < 0)
                return r;

        waited = state_only_waits(&state);
        r = put_back(root_fd, &state);
        if (r >= 0)
                r = settle(state_fd, &state);
        return r < 0 ? r : !waited;
}
