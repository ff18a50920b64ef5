/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/runtime.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "shared/log.h"
#include "test-util.h"

/* One program at a time has the runtime directory, and says who it is. */

static char *path_of(const char *tree)
{
        return g_build_filename(tree, "run", NULL);
}

static void test_open(void)
{
        char *tree = tree_new(), *path = path_of(tree);
        int state_fd = -EBADF, lock_fd = -EBADF, other_fd = -EBADF, other_lock_fd = -EBADF;
        struct runtime_holder holder = { .pid = 7 };
        struct stat st;

        g_assert_cmpint(runtime_open(path, "mergemem", &state_fd, &lock_fd, &holder), ==, 0);
        g_assert_cmpint(holder.pid, ==, 7);
        g_assert_cmpint(fstat(state_fd, &st), ==, 0);
        g_assert_cmpuint(st.st_mode & 0777, ==, 0700);
        g_assert_cmpint(fstatat(state_fd, "lock", &st, 0), ==, 0);
        g_assert_cmpuint(st.st_mode & 0777, ==, 0600);

        g_assert_cmpint(runtime_open(path, "mergememd", &other_fd, &other_lock_fd, &holder), ==,
                        -EWOULDBLOCK);
        g_assert_cmpint(other_fd, ==, -EBADF);
        g_assert_cmpint(other_lock_fd, ==, -EBADF);
        g_assert_cmpstr(holder.name, ==, "mergemem");
        g_assert_cmpint(holder.pid, ==, getpid());

        /* The next one has it, and is who is named. */
        safe_close(lock_fd);
        g_assert_cmpint(runtime_open(path, "mergememd", &other_fd, &other_lock_fd, &holder), ==, 0);
        holder = (struct runtime_holder) {};
        g_assert_cmpint(runtime_last_holder(path, &holder), ==, 1);
        g_assert_cmpstr(holder.name, ==, "mergememd");
        g_assert_cmpint(holder.pid, ==, getpid());
        safe_close(other_fd);
        safe_close(other_lock_fd);
        safe_close(state_fd);
        g_free(path);
        tree_free(tree);
}

/* Looking takes nothing and makes nothing. */
static void test_look(void)
{
        char *tree = tree_new(), *path = path_of(tree);
        struct runtime_holder holder = { .pid = 7 };
        int fd;

        g_assert_cmpint(runtime_last_holder(path, &holder), ==, 0);
        g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
        g_assert_cmpint(mkdir(path, 0700), ==, 0);
        g_assert_cmpint(runtime_last_holder(path, &holder), ==, 0);
        g_assert_cmpint(holder.pid, ==, 7);

        tree_write(tree, "run/lock", "mergememd 12\n");
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        g_assert_cmpint(runtime_last_holder(path, &holder), ==, 1);
        g_assert_cmpint(holder.pid, ==, 12);
        safe_close(fd);
        g_free(path);
        tree_free(tree);
}

/* Of a lock that says nothing, or nonsense, nobody is named. */
static void test_nonsense(void)
{
        static const char *const texts[] = {
                "", "\n", "mergememd", "mergememd \n", "mergememd 0\n", "mergememd -3\n", "12\n",
                "mergememd 12 13\n", "mergememd 99999999999999999999999999999999999999999999999999999999\n",
        };
        char *tree = tree_new(), *path = path_of(tree), *lock = g_build_filename(path, "lock", NULL);
        struct runtime_holder holder;
        int fd, state_fd, lock_fd;

        for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
                tree_write(tree, "run/lock", texts[i]);
                g_assert_cmpint(runtime_last_holder(path, &holder), ==, 0);
                fd = open(lock, O_RDWR | O_CLOEXEC);
                g_assert_cmpint(flock(fd, LOCK_EX), ==, 0);
                holder = (struct runtime_holder) { .pid = 7 };
                g_assert_cmpint(runtime_open(path, "mergemem", &state_fd, &lock_fd, &holder), ==,
                                -EWOULDBLOCK);
                g_assert_cmpint(holder.pid, ==, 0);
                safe_close(fd);
        }
        /* A link to anywhere is no lock. */
        g_assert_cmpint(unlink(lock), ==, 0);
        tree_link(tree, "run/lock", "/etc/hostname");
        log_set_level(LOG_CRIT);
        g_assert_cmpint(runtime_open(path, "mergemem", &state_fd, &lock_fd, &holder), ==, -ELOOP);
        g_assert_cmpint(runtime_last_holder(path, &holder), ==, -ELOOP);
        g_free(lock);
        g_free(path);
        tree_free(tree);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/runtime/open", test_open);
        g_test_add_func("/runtime/look", test_look);
        g_test_add_func("/runtime/nonsense", test_nonsense);
        return g_test_run();
}
