// SPDX-License-Identifier: LGPL-2.1-or-later
/* What --shlib means, with the module: a library's private memory in the programs that have loaded it. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "case.h"
#include "pages.h"
#include "service.h"

#define SEED 77
#define USER 1000

/* A program with a library, and pipes to it. */
struct holder {
        pid_t pid;
        FILE *to, *from;
};

static struct holder holder_start(void) {
        struct holder holder;
        int to[2], from[2];

        check(pipe2(to, O_CLOEXEC) == 0);
        check(pipe2(from, O_CLOEXEC) == 0);
        holder.pid = fork();
        check(holder.pid >= 0);
        if (holder.pid == 0) {
                dup2(to[0], STDIN_FILENO);
                dup2(from[1], STDOUT_FILENO);
                if (setresuid(USER, USER, USER) == 0)
                        execl("./holder", "./holder", NULL);
                _exit(127);
        }
        close(to[0]);
        close(from[1]);
        holder.to = fdopen(to[1], "w");
        holder.from = fdopen(from[0], "r");
        check(holder.to && holder.from);
        return holder;
}

static void holder_do(const struct holder *holder, const char *verb) {
        char line[64] = "";

        fprintf(holder->to, "%s %d\n", verb, SEED);
        fflush(holder->to);
        if (!fgets(line, sizeof(line), holder->from) || strcmp(line, "ok\n") != 0)
                fail("%s: %s", verb, line);
}

/* Frames of the library's .data, or of its .bss, which follows. */
static void library_frames(pid_t pid, bool bss, uint64_t *frames, size_t n_frames) {
        char path[64], line[512];
        unsigned long start, end, last = 0, found = 0;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
        f = fopen(path, "re");
        check(f);
        while (!found && fgets(line, sizeof(line), f)) {
                bool library = strstr(line, "libtarget.so");

                if (sscanf(line, "%lx-%lx", &start, &end) != 2)
                        continue;
                if (strstr(line, " rw-p ") && (bss ? start == last && !library : library))
                        found = start;
                last = library ? end : 0;
        }
        fclose(f);
        check(found && end - found >= n_frames * PAGE);
        pages_frames(pid, found, frames, n_frames);
}

/* Pages of it that two programs have in one frame. */
static size_t library_shared(pid_t a, pid_t b, bool bss, size_t n_frames) {
        uint64_t frames[2][64];
        size_t shared = 0;

        library_frames(a, bss, frames[0], n_frames);
        library_frames(b, bss, frames[1], n_frames);
        for (size_t i = 0; i < n_frames; i++)
                shared += frames[0][i] && frames[0][i] == frames[1][i];
        return shared;
}

#define BSS 40
#define DATA 24

static void library(void) {
        struct service service = service_start();
        struct holder a = holder_start(), b = holder_start();
        char *json;

        holder_do(&a, "fill");
        holder_do(&b, "fill");
        json = ctl("merge --user %d --shlib libtarget.so", USER);
        /* The linker may have put something else into the first page. */
        check_at_least(library_shared(a.pid, b.pid, true, BSS), BSS - 1);
        check_at_least(library_shared(a.pid, b.pid, false, DATA), DATA - 1);
        check_at_least(json_number(json, "merged_pages"), 2 * (BSS + DATA - 2));
        check_at_least(json_number(json, "saved_frames"), BSS + DATA - 2);
        free(json);
        holder_do(&a, "check");
        holder_do(&b, "check");
        free(ctl("unmerge --user %d", USER));
        check_equal(library_shared(a.pid, b.pid, true, BSS) + library_shared(a.pid, b.pid, false, DATA), 0);
        holder_do(&a, "check");
        holder_do(&b, "check");
        service_end(&service);
}

int main(int argc, char **argv) {
        static const struct test_case cases[] = {
                { "service: a library's .bss at once, its .data by KSM", library },
        };

        return CASES_RUN(argc, argv, cases);
}
