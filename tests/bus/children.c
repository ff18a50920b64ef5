/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "children.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "shared/macro.h"

struct child *child_start(const struct harness *h, uid_t uid)
{
        struct child *c = g_new0(struct child, 1);
        int in[2], out[2];
        char *answer;

        g_assert_cmpint(pipe2(in, O_CLOEXEC), ==, 0);
        g_assert_cmpint(pipe2(out, O_CLOEXEC), ==, 0);
        c->pid = spawn(&(struct spawn){
                .argv = (const char *[]){ h->target, NULL },
                /* The kernel writes the number of the processor into each thread's rseq area. */
                .environment = (const char *[]){ "GLIBC_TUNABLES=glibc.pthread.rseq=0", NULL },
                .in = in[0],
                .out = out[1],
                .uid = uid,
                .fixed_layout = true,
        });
        safe_close(in[0]);
        safe_close(out[1]);
        c->in = in[1];
        c->out = out[0];

        answer = child_hear(c, 10000);
        g_assert_cmpstr(answer, ==, "ok ready");
        g_free(answer);
        /* Once through its loop: from now on its memory changes only when it is told to. */
        child_verify(c);
        return c;
}

struct child *child_end(struct child *c)
{
        if (!c)
                return NULL;
        spawn_kill(c->pid);
        safe_close(c->in);
        safe_close(c->out);
        g_free(c);
        return NULL;
}

static void send_line(struct child *c, const char *format, va_list args)
{
        char *text = g_strdup_vprintf(format, args), *line = g_strconcat(text, "\n", NULL);

        g_assert_cmpint(write(c->in, line, strlen(line)), ==, (ssize_t)strlen(line));
        g_free(line);
        g_free(text);
}

char *child_hear(struct child *c, unsigned timeout_msec)
{
        uint64_t end = now_usec() + timeout_msec * 1000ULL;
        GString *line = g_string_new(NULL);

        for (;;) {
                struct pollfd p = { .fd = c->out, .events = POLLIN };
                uint64_t now = now_usec();
                char byte;

                if (now >= end || poll(&p, 1, (int)((end - now) / 1000) + 1) == 0)
                        g_error("process %d does not answer", (int)c->pid);
                if (read(c->out, &byte, 1) != 1)
                        g_error("process %d is gone", (int)c->pid);
                if (byte == '\n')
                        return g_string_free(line, FALSE);
                g_string_append_c(line, byte);
        }
}

void child_send(struct child *c, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        send_line(c, format, args);
        va_end(args);
}

static char *hear_ok(struct child *c)
{
        char *answer = child_hear(c, 30000), *rest;

        if (!g_str_has_prefix(answer, "ok"))
                g_error("process %d: %s", (int)c->pid, answer);
        rest = g_strdup(g_strchug(answer + 2));
        g_free(answer);
        return rest;
}

char *child_ask(struct child *c, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        send_line(c, format, args);
        va_end(args);
        return hear_ok(c);
}

void child_say(struct child *c, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        send_line(c, format, args);
        va_end(args);
        g_free(hear_ok(c));
}

unsigned child_area(struct child *c, size_t pages, uint64_t seed, unsigned step)
{
        char *answer = child_ask(c, "map %zu", pages);
        unsigned area = (unsigned)strtoul(answer, NULL, 10);

        g_free(answer);
        child_say(c, "fill %u %" G_GUINT64_FORMAT " %u", area, seed, step);
        return area;
}

uint64_t child_address(struct child *c, unsigned area)
{
        char *answer = child_ask(c, "address %u", area);
        uint64_t address = strtoull(answer, NULL, 16);

        g_free(answer);
        return address;
}

void child_verify(struct child *c)
{
        child_say(c, "verify");
}

pid_t child_fork(struct child *c)
{
        char *answer = child_ask(c, "fork");
        pid_t pid = (pid_t)strtol(answer, NULL, 10);

        g_free(answer);
        child_verify(c);
        return pid;
}

void children_start(const struct harness *h, uid_t uid, struct child **ret, pid_t *ret_pids, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                ret[i] = child_start(h, uid);
                ret_pids[i] = ret[i]->pid;
        }
}

void children_end(struct child **c, size_t n)
{
        for (size_t i = 0; i < n; i++)
                c[i] = child_end(c[i]);
}

void children_verify(struct child **c, size_t n)
{
        for (size_t i = 0; i < n; i++)
                child_verify(c[i]);
}
