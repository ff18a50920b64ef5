/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-util.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

char *tree_new(void)
{
        g_autoptr(GError) error = NULL;
        char *tree = g_dir_make_tmp("mergemem-test-XXXXXX", &error);

        g_assert_no_error(error);
        return tree;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

void tree_free(char *tree)
{
        g_assert_cmpint(nftw(tree, remove_entry, 16, FTW_DEPTH | FTW_PHYS), ==, 0);
        g_free(tree);
}

static char *place(const char *tree, const char *path)
{
        g_autofree char *full = g_build_filename(tree, path, NULL);
        g_autofree char *above = g_path_get_dirname(full);

        g_assert_cmpint(g_mkdir_with_parents(above, 0755), ==, 0);
        return g_steal_pointer(&full);
}

void tree_write(const char *tree, const char *path, const char *text)
{
        g_autofree char *full = place(tree, path);
        g_autoptr(GError) error = NULL;

        g_file_set_contents(full, text, -1, &error);
        g_assert_no_error(error);
}

void tree_link(const char *tree, const char *path, const char *target)
{
        g_autofree char *full = place(tree, path);

        g_assert_cmpint(symlink(target, full), ==, 0);
}

int tree_open(const char *tree)
{
        int fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        g_assert_cmpint(fd, >=, 0);
        return fd;
}

pid_t child_start(void (*setup)(void *userdata), void *userdata)
{
        int pipe_fds[2];
        pid_t pid;
        char c;

        g_assert_cmpint(pipe2(pipe_fds, O_CLOEXEC), ==, 0);
        pid = fork();
        g_assert_cmpint(pid, >=, 0);
        if (pid == 0) {
                if (setup)
                        setup(userdata);
                /* After setup: a change of user clears it. */
                if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || write(pipe_fds[1], "", 1) != 1)
                        _exit(1);
                for (;;)
                        pause();
        }

        close(pipe_fds[1]);
        g_assert_cmpint(read(pipe_fds[0], &c, 1), ==, 1);
        close(pipe_fds[0]);
        return pid;
}

void child_make_zombie(pid_t pid)
{
        siginfo_t info;

        g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
        g_assert_cmpint(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), ==, 0);
}

void child_kill(pid_t pid)
{
        g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
        g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
}

void target_start(struct target *t, const char *program, const char *const *arguments)
{
        int input[2], output[2];
        GString *text = g_string_new(NULL);

        g_assert_cmpint(pipe2(input, O_CLOEXEC), ==, 0);
        g_assert_cmpint(pipe2(output, O_CLOEXEC), ==, 0);
        t->pid = fork();
        g_assert_cmpint(t->pid, >=, 0);
        if (t->pid == 0) {
                g_autoptr(GPtrArray) argv = g_ptr_array_new();

                dup2(input[0], STDIN_FILENO);
                dup2(output[1], STDOUT_FILENO);
                g_ptr_array_add(argv, (char *)program);
                for (; *arguments; arguments++)
                        g_ptr_array_add(argv, (char *)*arguments);
                g_ptr_array_add(argv, NULL);
                execv(program, (char **)argv->pdata);
                _exit(127);
        }
        close(input[0]);
        close(output[1]);

        while (!g_str_has_suffix(text->str, "ready\n")) {
                char buffer[256];
                ssize_t n = read(output[0], buffer, sizeof(buffer));

                if (n <= 0)
                        g_error("%s ended before it was ready: %s", program, text->str);
                g_string_append_len(text, buffer, n);
        }
        close(output[0]);
        t->input = input[1];
        t->output = g_string_free(text, FALSE);
}

void target_stop(struct target *t)
{
        int status;

        close(t->input);
        g_assert_cmpint(waitpid(t->pid, &status, 0), ==, t->pid);
        g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        g_free(t->output);
}

uint64_t target_number(const struct target *t, const char *key)
{
        g_auto(GStrv) lines = g_strsplit(t->output, "\n", -1);

        for (char **line = lines; *line; line++)
                if (g_str_has_prefix(*line, key) && (*line)[strlen(key)] == ' ')
                        return g_ascii_strtoull(*line + strlen(key) + 1, NULL, 16);
        g_error("no \"%s\" in: %s", key, t->output);
}

char *data_read(const char *name, size_t *ret_size)
{
        g_autofree char *path = g_build_filename(TEST_DATA, name, NULL);
        g_autoptr(GError) error = NULL;
        char *text;

        g_file_get_contents(path, &text, ret_size, &error);
        g_assert_no_error(error);
        return text;
}
