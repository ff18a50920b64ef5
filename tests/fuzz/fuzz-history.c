/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <sys/stat.h>

#include "daemon/history.h"
#include "fuzz.h"
#include "shared/macro.h"

/* The input is the file `history`. */

static char tree[] = "/tmp/fuzz-history-XXXXXX";
static int tree_fd = -EBADF;

static void remove_tree(void)
{
        static const char *const names[] = { HISTORY_FILE, HISTORY_FILE_DAMAGED, "history.new" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                (void) unlinkat(tree_fd, names[i], 0);
        (void) rmdir(tree);
}

static void set_up(void)
{
        CHECK(mkdtemp(tree));
        tree_fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(tree_fd >= 0);
        CHECK(atexit(remove_tree) == 0);
}

static int load(struct history *h)
{
        return history_load(h, fcntl(tree_fd, F_DUPFD_CLOEXEC, 3), UINT64_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct history first, second;
        int fd, r;

        if (tree_fd < 0)
                set_up();
        (void) unlinkat(tree_fd, HISTORY_FILE_DAMAGED, 0);
        fd = openat(tree_fd, HISTORY_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        CHECK(fd >= 0 && write(fd, data, size) == (ssize_t) size);
        safe_close(fd);

        r = load(&first);
        CHECK(r == 0 || r == -EBADMSG);
        CHECK(faccessat(tree_fd, HISTORY_FILE_DAMAGED, F_OK, 0) == (r == 0 ? -1 : 0));
        CHECK(first.n <= HISTORY_MAX && first.n_lines >= first.n);

        /* What was kept is all there for the next service, and a sample more. */
        r = history_add(&first, &(struct history_sample) { .usec = 1, .span_usec = 1 }, UINT64_MAX);
        CHECK(r == 0 && history_save(&first) == 0);
        CHECK(load(&second) == 0 && second.n == first.n);
        CHECK(memcmp(first.samples, second.samples, first.n * sizeof(*first.samples)) == 0);
        history_done(&first);
        history_done(&second);
        return 0;
}
