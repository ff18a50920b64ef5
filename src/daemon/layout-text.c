/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>

#include "daemon/layout-text.h"
#include "lib/text.h"
#include "shared/lookup.h"

#define HEAD "mergemem layout 1"

/* Enough for the longest name and what stands before it. */
#define LINE_BYTES 512U

static void print(FILE *f, const struct layout *g, const sd_id128_t *boot,
                  const struct layout_process *processes, size_t n)
{
        fprintf(f, HEAD "\nboot " SD_ID128_FORMAT_STR "\n", SD_ID128_FORMAT_VAL(*boot));
        fprintf(f, "%s %" PRIu32 " %s\n", g->unit ? "unit" : "name", (uint32_t) g->uid, g->name);
        fprintf(f, "drawn %" PRIu64 " last %" PRIu64 " given %" PRIu64 " forgetful %d\n", g->drawn_usec,
                g->last_usec, g->n_given, g->forgetful);
        fputs("secret ", f);
        for (size_t i = 0; i < sizeof(g->secret); i++)
                fprintf(f, "%02x", g->secret[i]);
        fputc('\n', f);
        for (size_t i = 0; i < n && g->n_processes > 0; i++)
                if (processes[i].layout == g)
                        fprintf(f, "process %d %" PRIu64 "\n", processes[i].pid, processes[i].start_ticks);
}

int layout_format(const struct layout *g, const sd_id128_t *boot, const struct layout_process *processes,
                  size_t n, char **ret, size_t *ret_size)
{
        char *text = NULL, *whole;
        size_t size = 0;
        FILE *f;
        int k;

        f = open_memstream(&text, &size);
        if (!f)
                return -ENOMEM;
        print(f, g, boot, processes, n);
        if (fclose(f) != 0) {
                free(text);
                return -ENOMEM;
        }
        k = asprintf(&whole, "%ssum %016" PRIx64 "\n", text, hash_bytes(text, size));
        explicit_bzero(text, size);
        free(text);
        if (k < 0)
                return -ENOMEM;
        *ret = whole;
        *ret_size = (size_t) k;
        return 0;
}

/* The next line as a string. */
static bool take_line(struct mm_text *t, char line[LINE_BYTES])
{
        struct mm_text l;

        if (!mm_text_until(t, '\n', &l) || mm_text_size(&l) >= LINE_BYTES ||
            memchr(l.at, '\0', mm_text_size(&l)))
                return false;
        memcpy(line, l.at, mm_text_size(&l));
        line[mm_text_size(&l)] = '\0';
        return true;
}

static bool parse_group(const char *line, struct layout *g)
{
        const char *name;
        uint32_t uid;
        int at = 0;

        g->unit = strncmp(line, "unit ", 5) == 0;
        if (!g->unit && strncmp(line, "name ", 5) != 0)
                return false;
        if (sscanf(line + 5, "%" SCNu32 " %n", &uid, &at) != 1 || at == 0)
                return false;
        name = line + 5 + at;
        if (!layout_name_is_valid(name))
                return false;
        g->uid = uid;
        memcpy(g->name, name, strlen(name) + 1);
        return true;
}

static bool parse_figures(const char *line, struct layout *g)
{
        int forgetful;

        if (sscanf(line, "drawn %" SCNu64 " last %" SCNu64 " given %" SCNu64 " forgetful %d", &g->drawn_usec,
                   &g->last_usec, &g->n_given, &forgetful) != 4)
                return false;
        g->forgetful = forgetful != 0;
        return true;
}

static bool parse_secret(const char *line, struct layout *g)
{
        unsigned byte;

        if (strlen(line) != 7 + 2 * sizeof(g->secret))
                return false;
        for (size_t i = 0; i < sizeof(g->secret); i++) {
                if (sscanf(line + 7 + 2 * i, "%2x", &byte) != 1)
                        return false;
                g->secret[i] = (uint8_t) byte;
        }
        return true;
}

static int parse_processes(struct mm_text *t, struct layout *g, struct layout_process **ret, size_t *ret_n)
{
        _cleanup_(freep) struct layout_process *processes = NULL;
        char line[LINE_BYTES];
        size_t n = 0;

        while (take_line(t, line) && strncmp(line, "process ", 8) == 0) {
                struct layout_process p = { .pid_fd = -EBADF, .layout = g }, *more;

                if (n >= LAYOUT_PROCESSES_MAX ||
                    sscanf(line, "process %d %" SCNu64, &p.pid, &p.start_ticks) != 2 || p.pid < 1)
                        return -EBADMSG;
                more = reallocarray(processes, n + 1, sizeof(*more));
                if (!more)
                        return -ENOMEM;
                processes = more;
                processes[n++] = p;
        }
        *ret = TAKE_PTR(processes);
        *ret_n = n;
        return 0;
}

/* There is one way to write it, checksum and all. */
static int compare(const char *text, size_t size, const sd_id128_t *boot, struct layout *g,
                   const struct layout_process *processes, size_t n)
{
        size_t again_size;
        char *again;
        int r;

        g->n_processes = n;
        r = layout_format(g, boot, processes, n, &again, &again_size);
        g->n_processes = 0;
        if (r < 0)
                return r;
        r = size == again_size && memcmp(text, again, size) == 0 ? 0 : -EBADMSG;
        explicit_bzero(again, again_size);
        free(again);
        return r;
}

int layout_parse(const char *text, size_t size, const sd_id128_t *boot, struct layout *ret,
                 struct layout_process **ret_processes, size_t *ret_n)
{
        _cleanup_(freep) struct layout_process *processes = NULL;
        struct mm_text t = { text, text + size };
        struct layout g = {};
        char line[LINE_BYTES];
        sd_id128_t written;
        size_t n = 0;
        bool good;
        int r = -EBADMSG;

        good = take_line(&t, line) && take_line(&t, line) && strncmp(line, "boot ", 5) == 0 &&
               sd_id128_from_string(line + 5, &written) >= 0;
        good = good && take_line(&t, line) && parse_group(line, &g);
        good = good && take_line(&t, line) && parse_figures(line, &g);
        good = good && take_line(&t, line) && parse_secret(line, &g);
        explicit_bzero(line, sizeof(line));
        if (good)
                r = parse_processes(&t, &g, &processes, &n);
        if (r >= 0)
                r = compare(text, size, &written, &g, processes, n);
        if (r >= 0 && !sd_id128_equal(written, *boot))
                r = -ESTALE;
        if (r >= 0) {
                for (size_t i = 0; i < n; i++)
                        processes[i].layout = NULL;
                *ret = g;
                *ret_processes = TAKE_PTR(processes);
                *ret_n = n;
        }
        explicit_bzero(g.secret, sizeof(g.secret));
        return r;
}
