/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>

#include "config.h"
#include "run/hash.h"
#include "run/launch.h"
#include "run/node.h"
#include "run/options.h"
#include "run/secret.h"
#include "shared/format.h"
#include "shared/log.h"

/* As env(1), timeout(1) and their like have it. */
enum {
        EXIT_OURS = 125,
        EXIT_CANNOT_EXECUTE = 126,
        EXIT_NOT_FOUND = 127,
};

static int exec_status(int error)
{
        return error == -ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_EXECUTE;
}

/* What is opened here may not lie where a standard stream is missing, or messages would go there. */
static void fill_streams(void)
{
        int fd;

        do
                fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        while (fd >= 0 && fd <= STDERR_FILENO);
        safe_close(fd);
}

/* What is known about the start, until there is a program in place of this. */
struct start {
        struct options options;
        struct program program;
        struct situation situation;
        struct secret secret;
        bool has_secret;
        int node; /* what node_apply() returned */
        struct refusal node_why;
};

/* As all below it returns only while there is no program in place of this: the exit status. */
static int start_plain(struct start *s)
{
        struct refusal f;
        int r;

        if (s->options.ksm && launch_set_ksm(&f) < 0) {
                if (!s->options.fallback) {
                        log_error("mergemem-run: %s.", f.text);
                        return EXIT_OURS;
                }
                log_warning("mergemem-run: %s.", f.text);
        }
        r = launch_plain(&s->program, &f);
        log_error("mergemem-run: %s.", f.text);
        return exec_status(r);
}

static int start_refused(struct start *s, const struct refusal *f)
{
        if (!s->options.fallback) {
                log_error("mergemem-run: no layout for %s: %s.", s->program.path, f->text);
                return EXIT_OURS;
        }
        log_warning("mergemem-run: no layout for %s, which is started without: %s.", s->program.path,
                    f->text);
        return s->options.dry_run ? EXIT_SUCCESS : start_plain(s);
}

static void say_node(const struct start *s, FILE *out)
{
        _cleanup_(freep) char *text = NULL;

        if (s->node > 0) {
                text = escape_text(s->program.argv[2]);
                fprintf(out, "Hashes:  --random-seed, for Node.js\nRandom:  %s, for Node.js\n", text ?: "?");
        } else if (s->node < 0) {
                text = escape_text(s->node_why.text);
                fprintf(out, "Hashes:  no --random-seed, for Node.js: %s\n", text ?: "?");
        }
}

static void say(const struct start *s, bool layout, FILE *out)
{
        const struct program *p = &s->program;
        _cleanup_(freep) char *path = escape_text(p->path), *runs = p->runs ? escape_text(p->runs) : NULL;

        fprintf(out, "Program: %s%s%s\n", path ?: "?", runs && !streq(p->runs, p->path) ? ", run by " : "",
                runs && !streq(p->runs, p->path) ? runs : "");
        if (layout)
                fprintf(out, "Layout:  of the group %s, one of 2^%u\n", s->secret.group, LAYOUT_BITS);
        else
                fputs("Layout:  as it is, since kernel.randomize_va_space=0 makes all alike\n", out);
        if (s->has_secret)
                fprintf(out, "Secret:  kept by %s\n", s->secret.where);
        if (s->options.stable_hash)
                for (size_t i = 0; i < hash_settings_size; i++)
                        fprintf(out, "Hashes:  %s, for %s%s\n", hash_settings[i].variable,
                                hash_settings[i].runtime, s->has_secret ? "" : ", not set");
        say_node(s, out);
        if (s->options.ksm)
                fputs("KSM:     merges what it has\n", out);
        if (s->options.inherit)
                fputs("Inherit: programs that it executes are not randomised\n", out);
}

static int start_with_layout(struct start *s)
{
        struct launch l = {
                .program = &s->program,
                .situation = &s->situation,
                .secret = s->secret.bytes,
                .inherit = s->options.inherit,
                .ksm = s->options.ksm,
                .dry_run = s->options.dry_run,
        };
        struct refusal f;
        int error = 0;

        switch (launch_with_layout(&l, &error, &f)) {
        case LAUNCH_TRIED:
                say(s, true, stdout);
                return EXIT_SUCCESS;
        case LAUNCH_REFUSED:
                return start_refused(s, &f);
        default:
                /* A security module may object to a program that is traced. */
                if (s->options.fallback)
                        return start_refused(s, &f);
                log_error("mergemem-run: %s.", f.text);
                return exec_status(error);
        }
}

/* What whoever starts it has chosen is no reason to warn. 0 or -ENOMEM. */
static int seed_node(struct start *s)
{
        s->node = node_apply(&s->program, s->secret.bytes, &s->node_why);
        if (s->node == -ENOMEM)
                return s->node;
        if (s->node < 0 && s->node != -EEXIST && s->node != -EPERM)
                log_warning("mergemem-run: no --random-seed for Node.js: %s.", s->node_why.text);
        return 0;
}

static int start(struct start *s)
{
        struct refusal f = { "" };
        int r, possible;

        r = program_find(s->options.argv, &s->program);
        if (r < 0) {
                log_error_errno(r, "mergemem-run: cannot execute %s: %m.", s->options.argv[0]);
                return exec_status(r);
        }
        r = situation_read(&s->situation);
        if (r < 0) {
                (void) refuse(&f, r, "cannot find out how this process is set up: %m");
                return start_refused(s, &f);
        }
        possible = situation_judge(&s->situation, &f);
        if (possible > 0 || (possible == 0 && s->options.stable_hash)) {
                r = secret_get(s->options.group, &s->secret, &f);
                if (r < 0)
                        return start_refused(s, &f);
                s->has_secret = true;
        }
        if (s->options.stable_hash && s->has_secret) {
                r = hash_apply(s->secret.bytes);
                if (r < 0)
                        return log_oom(), EXIT_OURS;
        }
        if (possible < 0)
                return start_refused(s, &f);
        r = possible > 0 || s->options.stable_hash ? program_examine(&s->program, &f) : 0;
        if (r < 0 && possible > 0)
                return start_refused(s, &f);
        if (r >= 0 && s->options.stable_hash) {
                r = seed_node(s);
                if (r < 0)
                        return log_oom(), EXIT_OURS;
        }
        if (possible == 0) {
                if (s->options.dry_run || s->options.verbose)
                        say(s, false, s->options.dry_run ? stdout : stderr);
                return s->options.dry_run ? EXIT_SUCCESS : start_plain(s);
        }

        if (s->options.verbose && !s->options.dry_run)
                say(s, true, stderr);
        return start_with_layout(s);
}

/* @status, unless what was to be printed could not be. */
static int flush_stdout(int status)
{
        if (fflush(stdout) == 0 && !ferror(stdout))
                return status;
        log_error_errno(-errno, "mergemem-run: cannot write to standard output: %m.");
        return status == EXIT_SUCCESS ? EXIT_OURS : status;
}

int main(int argc, char *argv[])
{
        struct start s = { 0 };
        int status = EXIT_SUCCESS;

        fill_streams();
        if (options_parse(argc, argv, &s.options) < 0)
                return EXIT_OURS;
        if (s.options.help)
                options_help(stdout);
        else if (s.options.version)
                puts("mergemem-run " MERGEMEM_VERSION);
        else {
                status = start(&s);
                program_done(&s.program);
        }
        return flush_stdout(status);
}
