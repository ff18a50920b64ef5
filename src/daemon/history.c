/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/history.h"
#include "shared/macro.h"

void history_done(struct history *h)
{
        free(h->samples);
        safe_close(h->dir_fd);
        *h = (struct history) { .dir_fd = -EBADF };
}

static uint64_t add_up(uint64_t a, uint64_t b)
{
        return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* The newer one stands for both. */
static struct history_sample put_together(const struct history_sample *older,
                                          const struct history_sample *newer)
{
        struct history_sample s = *newer;

        s.span_usec = add_up(s.span_usec, older->span_usec);
        s.n_scanned = add_up(s.n_scanned, older->n_scanned);
        s.n_merged = add_up(s.n_merged, older->n_merged);
        s.n_written = add_up(s.n_written, older->n_written);
        s.cpu_nsec = add_up(s.cpu_nsec, older->cpu_nsec);
        return s;
}

/* Puts @count neighbours each of the first @n of @samples together; returns how many that makes. */
static size_t coarsen(struct history_sample *samples, size_t n, size_t count)
{
        size_t n_new = 0;

        for (size_t i = 0; i < n; i++)
                if (i % count == 0)
                        samples[n_new++] = samples[i];
                else
                        samples[n_new - 1] = put_together(&samples[n_new - 1], &samples[i]);
        return n_new;
}

static void forget_old(struct history *h, uint64_t before_usec)
{
        size_t n = 0;

        if (h->n == 0 || h->samples[0].usec >= before_usec)
                return;
        for (size_t i = 0; i < h->n; i++)
                if (h->samples[i].usec >= before_usec)
                        h->samples[n++] = h->samples[i];
        h->n = n;
}

int history_add(struct history *h, const struct history_sample *s, uint64_t keep_usec)
{
        struct history_sample *samples;

        if (s->usec > keep_usec)
                forget_old(h, s->usec - keep_usec);
        if (h->n >= HISTORY_MAX) {
                size_t half = h->n / 2, n = coarsen(h->samples, half, 2);

                memmove(h->samples + n, h->samples + half, (h->n - half) * sizeof(*h->samples));
                h->n -= half - n;
        }
        if (h->n == h->allocated) {
                size_t allocated = MAX(h->allocated * 2, (size_t) 64);

                samples = reallocarray(h->samples, allocated, sizeof(*samples));
                if (!samples)
                        return -ENOMEM;
                h->samples = samples;
                h->allocated = allocated;
        }
        h->samples[h->n++] = *s;
        return 0;
}

int history_select(const struct history *h, uint64_t from_usec, uint64_t to_usec, size_t max,
                   struct history_sample **ret, size_t *ret_n)
{
        struct history_sample *samples;
        size_t n = 0;

        samples = calloc(MAX(h->n, (size_t) 1), sizeof(*samples));
        if (!samples)
                return -ENOMEM;
        for (size_t i = 0; i < h->n; i++)
                if (h->samples[i].usec >= from_usec && h->samples[i].usec <= to_usec)
                        samples[n++] = h->samples[i];
        if (max > 0 && n > max)
                n = coarsen(samples, n, (n + max - 1) / max);
        *ret = samples;
        *ret_n = n;
        return 0;
}
