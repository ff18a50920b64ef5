/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <inttypes.h>

#include "daemon/history.h"
#include "shared/lookup.h"

/* A line a sample, with a checksum at its end: lines are appended, and what a crash leaves of the last one
 * must not pass for a sample. */

#define FILE_HEAD "mergemem history 1\n"
#define FILE_NEW "history.new"
#define LINE_MAX_BYTES 512U

static size_t format_line(const struct history_sample *s, char line[LINE_MAX_BYTES])
{
        int n = snprintf(line, LINE_MAX_BYTES,
                         "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
                         " %" PRIu64 " %" PRIu64 " %" PRIu64 " ",
                         s->usec, s->span_usec, s->saved_bytes, s->saved_gross_bytes, s->shared_frames,
                         s->merged_pages, s->n_scanned, s->n_merged, s->n_written, s->cpu_nsec);

        return (size_t) n + (size_t) snprintf(line + n, LINE_MAX_BYTES - (size_t) n, "%016" PRIx64 "\n",
                                              hash_bytes(line, (size_t) n));
}

static int parse_line(const char *line, struct history_sample *ret)
{
        char again[LINE_MAX_BYTES];
        struct history_sample s;

        if (sscanf(line,
                   "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
                   " %" SCNu64 " %" SCNu64 " %" SCNu64,
                   &s.usec, &s.span_usec, &s.saved_bytes, &s.saved_gross_bytes, &s.shared_frames,
                   &s.merged_pages, &s.n_scanned, &s.n_merged, &s.n_written, &s.cpu_nsec) != 10)
                return -EBADMSG;
        /* There is one way to write a sample, checksum and all. */
        (void) format_line(&s, again);
        if (!streq(line, again))
                return -EBADMSG;
        *ret = s;
        return 0;
}

/* 1: a line that a crash cut off is to be written over. */
static int read_lines(struct history *h, FILE *f, uint64_t keep_usec)
{
        char line[LINE_MAX_BYTES];
        int r;

        if (!fgets(line, sizeof(line), f))
                return ferror(f) ? -EIO : 1;
        if (!streq(line, FILE_HEAD))
                return -EBADMSG;
        while (fgets(line, sizeof(line), f)) {
                struct history_sample s;

                r = parse_line(line, &s);
                if (r < 0)
                        return !strchr(line, '\n') && feof(f) ? 1 : r;
                r = history_add(h, &s, keep_usec);
                if (r < 0)
                        return r;
                h->n_lines++;
        }
        return ferror(f) ? -EIO : 0;
}

static int write_anew(struct history *h)
{
        _cleanup_(fclosep) FILE *f = NULL;
        int fd;

        fd = openat(h->dir_fd, FILE_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        f = fdopen(fd, "we");
        if (!f) {
                safe_close(fd);
                return -ENOMEM;
        }
        fputs(FILE_HEAD, f);
        for (size_t i = 0; i < h->n; i++) {
                char line[LINE_MAX_BYTES];

                fwrite(line, 1, format_line(&h->samples[i], line), f);
        }
        if (fflush(f) != 0 || ferror(f) || fsync(fd) < 0)
                return errno > 0 ? -errno : -EIO;
        if (renameat(h->dir_fd, FILE_NEW, h->dir_fd, HISTORY_FILE) < 0)
                return -errno;
        h->n_lines = h->n;
        return 0;
}

static int append_last(struct history *h)
{
        _cleanup_(closep) int fd = -EBADF;
        char line[LINE_MAX_BYTES];
        size_t n = format_line(&h->samples[h->n - 1], line);
        ssize_t written;

        fd = openat(h->dir_fd, HISTORY_FILE, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == ENOENT ? write_anew(h) : -errno;
        written = write(fd, line, n);
        if (written < 0)
                return -errno;
        h->n_lines++;
        /* The file system is full: half a line must not be in the way of the next one. */
        return (size_t) written == n ? 0 : write_anew(h);
}

int history_save(struct history *h)
{
        if (h->dir_fd < 0 || h->n == 0)
                return 0;
        return h->n_lines > 2 * h->n + 64 ? write_anew(h) : append_last(h);
}

int history_load(struct history *h, int dir_fd, uint64_t keep_usec)
{
        _cleanup_(fclosep) FILE *f = NULL;
        int fd, r;

        *h = (struct history) { .dir_fd = dir_fd };
        fd = openat(dir_fd, HISTORY_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        f = fdopen(fd, "re");
        if (!f) {
                safe_close(fd);
                return -ENOMEM;
        }
        r = read_lines(h, f, keep_usec);
        if (r == -EBADMSG) {
                (void) renameat(dir_fd, HISTORY_FILE, dir_fd, HISTORY_FILE_DAMAGED);
                (void) write_anew(h);
                return r;
        }
        return r > 0 ? write_anew(h) : r;
}
