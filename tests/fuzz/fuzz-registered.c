/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sys/stat.h>

#include "daemon/registry.h"
#include "fuzz.h"
#include "shared/macro.h"

/* The input is the file `registered`. The process "1 77" of it lives; all others have ended. */

static const char stat_text[] = "1 (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 77 0 0 0 0 0 0 0 0 0 0 0 0 0 "
                                "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
static const char status_text[] = "TracerPid:\t0\nUid:\t1\t1\t1\t1\nThreads:\t1\nCapPrm:\t0\nCapEff:\t0\n"
                                  "Seccomp:\t0\n";

static char tree[] = "/tmp/fuzz-registered-XXXXXX";
static int tree_fd = -EBADF;
static sd_event *event;

static void write_file(const char *path, const void *data, size_t size)
{
        int fd = openat(tree_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        CHECK(fd >= 0 && write(fd, data, size) == (ssize_t) size);
        safe_close(fd);
}

static size_t read_saved(char *buffer, size_t size)
{
        int fd = openat(tree_fd, "registered", O_RDONLY | O_CLOEXEC);
        ssize_t n;

        CHECK(fd >= 0);
        n = read(fd, buffer, size);
        CHECK(n >= 0 && (size_t) n < size);
        safe_close(fd);
        return (size_t) n;
}

static void remove_tree(void)
{
        static const char *const names[] = {
                "1/stat", "1/status", "1", "registered", "registered.new", "registered.damaged",
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                (void) unlinkat(tree_fd, names[i], streq(names[i], "1") ? AT_REMOVEDIR : 0);
        (void) rmdir(tree);
        sd_event_unref(event);
}

static void set_up(void)
{
        CHECK(mkdtemp(tree));
        tree_fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(tree_fd >= 0 && mkdirat(tree_fd, "1", 0700) == 0);
        write_file("1/stat", stat_text, strlen(stat_text));
        write_file("1/status", status_text, strlen(status_text));
        CHECK(sd_event_new(&event) >= 0);
        CHECK(atexit(remove_tree) == 0);
}

static int load(struct registry *r)
{
        registry_init(r, REGISTRY_KSM, event, tree_fd);
        return registry_load(r, tree_fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        /* A saved range can be longer than what it was read from. */
        static char first[1024 * 1024], second[sizeof(first)];
        struct registry r;
        size_t n;
        int k;

        if (size > 32768)
                return 0;
        if (tree_fd < 0)
                set_up();
        write_file("registered", data, size);
        k = load(&r);
        CHECK(k == 0 || k == -EBADMSG);
        CHECK(faccessat(tree_fd, "registered", F_OK, 0) == (k == 0 ? 0 : -1));
        CHECK(r.n_items <= 1 && (k == 0 || r.n_items == 0));
        CHECK(r.n_items > 0 || r.n_saved + r.n_baseline + r.n_shared == 0);
        for (size_t i = 0; i < r.n_items; i++) {
                const struct registered *g = r.items[i];

                CHECK(g->pid == 1 && g->start_ticks == 77 && g->n_ranges > 0);
                for (size_t m = 0; m < g->n_ranges; m++) {
                        CHECK(g->ranges[m].start < g->ranges[m].end);
                        CHECK(m == 0 || g->ranges[m - 1].end < g->ranges[m].start);
                }
        }

        /* What is kept is written and read as the same. */
        CHECK(registry_save(&r) == 0);
        registry_done(&r);
        n = read_saved(first, sizeof(first));
        CHECK(load(&r) == 0 && registry_save(&r) == 0);
        registry_done(&r);
        CHECK(read_saved(second, sizeof(second)) == n && memcmp(first, second, n) == 0);
        return 0;
}
