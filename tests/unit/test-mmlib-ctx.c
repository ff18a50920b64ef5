/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mmlib_ctx(3) without mergemod: contexts, targets, areas, pages. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mmlib-memory.h"

#define N 64U

struct fixture {
        struct mm_ctx *ctx;
        uint8_t *memory;
        pid_t pid;
        struct mm_target *target;
};

static void touch_all(void *userdata)
{
        for (size_t i = 0; i < N; i++)
                memory_fill(userdata, i, i / 2 + 1);
}

static void setup(struct fixture *f, const void *unused)
{
        g_assert_cmpint(mm_ctx_new(&f->ctx), ==, 0);
        f->memory = memory_map(N);
        f->pid = child_start(touch_all, f->memory);
        g_assert_cmpint(mm_target_new_from_pid(f->ctx, f->pid, 0, &f->target), ==, 0);
}

static void teardown(struct fixture *f, const void *unused)
{
        mm_target_unref(f->target);
        mm_ctx_unref(f->ctx);
        child_kill(f->pid);
        memory_unmap(f->memory, N * PAGE);
}

static void test_references(void)
{
        struct mm_target *target;
        struct mm_ctx *ctx;

        g_assert_cmpint(mm_ctx_new(&ctx), ==, 0);
        g_assert_true(mm_ctx_ref(ctx) == ctx);
        g_assert_null(mm_ctx_unref(ctx));
        g_assert_cmpint(mm_target_new_from_pid(ctx, getpid(), 0, &target), ==, 0);
        /* What belongs to a context keeps it. */
        g_assert_null(mm_ctx_unref(ctx));
        g_assert_true(mm_target_ref(target) == target);
        g_assert_null(mm_target_unref(target));
        g_assert_cmpint(mm_target_get_pid(target), ==, getpid());
        g_assert_null(mm_target_unref(target));
        g_assert_null(mm_ctx_unref(NULL));
        g_assert_null(mm_target_unref(NULL));
        g_assert_null(mm_area_iter_free(NULL));
        g_assert_null(mm_groups_free(NULL));
}

static void test_no_module(struct fixture *f, const void *unused)
{
        struct mm_merge_page page = { .target = f->target, .address = (uintptr_t) f->memory };
        struct mm_merge_result result = { .merged = 7 };
        struct mm_stats stats;
        uint64_t pages = 7;

        g_assert_cmpint(mm_ctx_check_module(f->ctx), ==, -ENOPKG);
        g_assert_cmpint(mm_ctx_merge(f->ctx, NULL, &page, 1, &result), ==, -ENOPKG);
        g_assert_cmpuint(result.merged, ==, 7);
        g_assert_cmpint(mm_target_unmerge(f->target, page.address, page.address + PAGE, 0, &pages), ==,
                        -ENOPKG);
        g_assert_cmpuint(pages, ==, 7);
        g_assert_cmpint(mm_ctx_get_stats(f->ctx, &stats), ==, 0);
        g_assert_cmpuint(stats.frames, ==, 0);
        g_assert_cmpuint(stats.merged, ==, 0);
}

static void test_bad_options(struct fixture *f, const void *unused)
{
        const struct mm_merge_options options[] = {
                { .domain = 9, .cgroup_fd = -1 },
                { .huge = 9, .cgroup_fd = -1 },
                { .domain = MM_DOMAIN_CGROUP, .cgroup_fd = -1 },
                { .cgroup_fd = -1, .reserved = { 1 } },
        };
        uint64_t start = (uintptr_t) f->memory, end = start + PAGE, at = start;
        struct mm_merge_page page = { .target = f->target, .address = start };
        struct mm_page_info info = { .address = start };
        struct mm_hash hash = { .kind = 99 };
        struct mm_groups *groups;
        struct mm_ctx *other;

        for (size_t i = 0; i < G_N_ELEMENTS(options); i++) {
                g_assert_cmpint(mm_ctx_merge(f->ctx, &options[i], &page, 1, NULL), ==, -EINVAL);
                g_assert_cmpint(mm_groups_new(f->ctx, &options[i], 1 << 20, &groups), ==, -EINVAL);
        }
        page.group = 1;
        g_assert_cmpint(mm_ctx_merge(f->ctx, NULL, &page, 1, NULL), ==, -EINVAL);
        page.group = 0;
        g_assert_cmpint(mm_ctx_new(&other), ==, 0);
        g_assert_cmpint(mm_ctx_merge(other, NULL, &page, 1, NULL), ==, -EINVAL);
        mm_ctx_unref(other);
        g_assert_cmpint(mm_target_unmerge(f->target, start + 1, end, 0, NULL), ==, -EINVAL);
        g_assert_cmpint(mm_target_unmerge(f->target, end, start, 0, NULL), ==, -EINVAL);
        g_assert_cmpint(mm_target_unmerge(f->target, start, end, 4, NULL), ==, -EINVAL);
        g_assert_cmpint(mm_target_ksm_register(f->target, start, start, NULL), ==, -EINVAL);
        g_assert_cmpint(mm_target_ksm_unregister(f->target, start, end + 1, NULL), ==, -EINVAL);
        g_assert_cmpint(mm_target_scan(f->target, &at, end, &hash, &info, 1), ==, -EINVAL);
        g_assert_cmpint(mm_target_look(f->target, &hash, &info, 1), ==, -EINVAL);
        hash.kind = MM_HASH_FUNCTION;
        g_assert_cmpint(mm_target_look(f->target, &hash, &info, 1), ==, -EINVAL);
        g_assert_cmpint(mm_target_scan(f->target, &at, end, NULL, &info, 0), ==, -EINVAL);
        at = start + 1;
        g_assert_cmpint(mm_target_scan(f->target, &at, end, NULL, &info, 1), ==, -EINVAL);
        at = end;
        g_assert_cmpint(mm_target_scan(f->target, &at, start, NULL, &info, 1), ==, -EINVAL);
        g_assert_cmpint(mm_groups_new(f->ctx, NULL, 1, &groups), ==, -EINVAL);
}

static void on_log(void *userdata, int priority, const char *message)
{
        g_assert_cmpint(priority, ==, 7);
        g_assert_null(strchr(message, '\n'));
        ++*(unsigned *) userdata;
}

/* A reservation of all but nothing: what is said of it goes to the caller, and nothing to standard error. */
static void test_log(struct fixture *f, const void *unused)
{
        unsigned n = 0;
        struct mm_target *target;
        pid_t pid = child_start(NULL, NULL);

        mm_ctx_set_log_fn(f->ctx, on_log, &n);
        g_assert_cmpint(mm_target_new_from_pid(f->ctx, pid, 0, &target), ==, 0);
        g_assert_cmpint(kill(pid, SIGSTOP), ==, 0);
        /* Nothing can be had from a process that is stopped, and the reason is told. */
        g_assert_cmpint(mm_target_ksm_register(target, (uintptr_t) f->memory,
                                               (uintptr_t) f->memory + N * PAGE, NULL), ==, -EAGAIN);
        g_assert_cmpuint(n, ==, 1);
        mm_ctx_set_log_fn(f->ctx, NULL, NULL);
        g_assert_cmpint(mm_target_ksm_register(target, (uintptr_t) f->memory,
                                               (uintptr_t) f->memory + N * PAGE, NULL), ==, -EAGAIN);
        g_assert_cmpuint(n, ==, 1);
        mm_target_unref(target);
        child_kill(pid);
}

static void test_target(struct fixture *f, const void *unused)
{
        uint64_t ticks = mm_target_get_start_ticks(f->target);
        g_autofree char *exe = g_file_read_link("/proc/self/exe", NULL);
        struct mm_target *again = NULL;

        g_assert_cmpuint(ticks, >, 0);
        g_assert_cmpint(mm_target_get_pid(f->target), ==, f->pid);
        g_assert_cmpuint(mm_target_get_uid(f->target), ==, getuid());
        g_assert_cmpstr(mm_target_get_exe(f->target), ==, exe);
        g_assert_cmpint(mm_target_is_alive(f->target), ==, 1);
        g_assert_cmpint(mm_target_new_from_pid(f->ctx, f->pid, ticks + 1, &again), ==, -ESRCH);
        g_assert_cmpint(mm_target_new_from_pid(f->ctx, 0, 0, &again), ==, -EINVAL);
        g_assert_null(again);
        g_assert_cmpint(mm_target_new_from_pid(f->ctx, f->pid, ticks, &again), ==, 0);
        mm_target_unref(again);
}

static void test_pidfd(struct fixture *f, const void *unused)
{
        pid_t pid = child_start(NULL, NULL);
        int pidfd = (int) syscall(SYS_pidfd_open, pid, 0), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        struct mm_target *target = NULL, *late = NULL;

        g_assert_cmpint(pidfd, >=, 0);
        g_assert_cmpint(mm_target_new_from_pidfd(f->ctx, pidfd, &target), ==, 0);
        g_assert_cmpint(mm_target_get_pid(target), ==, pid);
        g_assert_cmpint(mm_target_new_from_pidfd(f->ctx, null, &late), ==, -EBADF);
        g_assert_cmpint(mm_target_new_from_pidfd(f->ctx, -1, &late), ==, -EBADF);
        g_assert_cmpint(mm_target_new_from_pidfd(f->ctx, 987654, &late), ==, -EBADF);
        child_make_zombie(pid);
        g_assert_cmpint(mm_target_is_alive(target), ==, 0);
        g_assert_cmpint(mm_target_new_from_pidfd(f->ctx, pidfd, &late), ==, -ESRCH);
        g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
        g_assert_cmpint(mm_target_new_from_pidfd(f->ctx, pidfd, &late), ==, -ESRCH);
        g_assert_null(late);
        /* The target does not live on it. */
        close(pidfd);
        close(null);
        mm_target_unref(target);
}

static void test_gone(struct fixture *f, const void *unused)
{
        struct mm_page_info page = { .address = (uintptr_t) f->memory };
        pid_t pid = child_start(touch_all, f->memory);
        uint64_t start = page.address;
        struct mm_area_iter *iter;
        struct mm_target *target;

        g_assert_cmpint(mm_target_new_from_pid(f->ctx, pid, 0, &target), ==, 0);
        g_assert_cmpint(mm_target_look(target, NULL, &page, 1), ==, 1);
        child_kill(pid);
        g_assert_cmpint(mm_target_look(target, NULL, &page, 1), ==, -ESRCH);
        g_assert_cmpint(mm_target_scan(target, &start, start + PAGE, NULL, &page, 1), ==, -ESRCH);
        g_assert_cmpuint(start, ==, (uintptr_t) f->memory);
        g_assert_cmpint(mm_area_iter_new(target, &iter), ==, -ESRCH);
        mm_target_unref(target);
}

static void test_scan(struct fixture *f, const void *unused)
{
        const struct mm_hash hash = { .kind = MM_HASH_XXH64, .seed = 5 };
        uint64_t start = (uintptr_t) f->memory, end = start + N * PAGE, at = start;
        struct mm_page_info pages[N], looked[N];
        size_t n = 0;

        while (at < end) {
                ssize_t k = mm_target_scan(f->target, &at, end, &hash, pages + n, 10);

                g_assert_cmpint(k, ==, MIN(10, N - n));
                n += (size_t) k;
        }
        g_assert_cmpuint(n, ==, N);
        g_assert_cmpuint(at, ==, end);
        for (size_t i = 0; i < N; i++) {
                g_assert_cmpuint(pages[i].address, ==, start + i * PAGE);
                g_assert_cmpuint(pages[i].frame, ==, memory_frame(f->pid, f->memory + i * PAGE));
                g_assert_cmpuint(pages[i].count, ==, 1);
                g_assert_cmpuint(pages[i].size, ==, PAGE);
                g_assert_cmpuint(pages[i].flags, ==, 0);
                g_assert_cmpint(pages[i].status, ==, 0);
                looked[i] = (struct mm_page_info) { .address = pages[i].address };
        }
        g_assert_cmpint(mm_target_look(f->target, &hash, looked, N), ==, N);
        for (size_t i = 0; i < N; i++) {
                g_assert_cmpuint(looked[i].hash, ==, pages[i].hash);
                for (size_t k = 0; k < i; k++)
                        g_assert_true((pages[i].hash == pages[k].hash) == (i / 2 == k / 2));
        }
}

/* The kinds of hashes know their seeds. */
static void test_seeds(struct fixture *f, const void *unused)
{
        static const enum mm_hash_kind kinds[] = { MM_HASH_XXH64, MM_HASH_ADDROTHALF, MM_HASH_SAMPLE,
                                                   MM_HASH_CONST };

        for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
                struct mm_page_info page = { .address = (uintptr_t) f->memory };
                struct mm_hash hash = { .kind = kinds[i], .seed = 1 };
                uint64_t first;

                g_assert_cmpint(mm_target_look(f->target, &hash, &page, 1), ==, 1);
                first = page.hash;
                hash.seed = UINT64_C(0x0123456789abcdef);
                g_assert_cmpint(mm_target_look(f->target, &hash, &page, 1), ==, 1);
                g_assert_cmpuint(page.hash, !=, first);
                hash.kind = MM_HASH_NONE;
                first = page.hash;
                g_assert_cmpint(mm_target_look(f->target, &hash, &page, 1), ==, 1);
                g_assert_cmpuint(page.hash, ==, first);
        }
}

static uint64_t hash_with(void *userdata, const void *data, size_t size)
{
        return *(const uint64_t *) data + *(uint64_t *) userdata;
}

static void test_function(struct fixture *f, const void *unused)
{
        uint64_t plus = 100, at = (uintptr_t) f->memory;
        const struct mm_hash hash = { .kind = MM_HASH_FUNCTION, .fn = hash_with, .userdata = &plus };
        struct mm_page_info pages[N];

        g_assert_cmpint(mm_target_scan(f->target, &at, at + N * PAGE, &hash, pages, N), ==, N);
        for (size_t i = 0; i < N; i++)
                g_assert_cmpuint(pages[i].hash, ==, i / 2 + 1 + plus);
}

/* Areas of a program with a library in it twice, and an allocator's right behind its .bss. */
static void test_areas(struct fixture *f, const void *unused)
{
        const char *arguments[] = { "loads", TEST_LIBRARY, NULL };
        uint64_t addresses[3], last = 0;
        bool seen[MM_OWNER_ANON + 1] = {}, found[3] = {};
        static const char *const keys[] = { "data", "relro", "bss" };
        static const uint32_t parts[] = { MM_PART_DATA, MM_PART_RELRO, MM_PART_BSS };
        struct mm_area_iter *iter;
        struct mm_area_info info;
        struct mm_target *target;
        struct target process;
        int r;

        target_start(&process, TEST_TARGET, arguments);
        g_assert_cmpint(mm_target_new_from_pid(f->ctx, process.pid, 0, &target), ==, 0);
        for (size_t i = 0; i < 3; i++)
                addresses[i] = target_number(&process, keys[i]) + PAGE; /* the first page may be shared */
        g_assert_cmpint(mm_area_iter_new(target, &iter), ==, 0);
        while ((r = mm_area_iter_next(iter, &info)) > 0) {
                g_assert_cmpuint(info.start, >=, last);
                g_assert_cmpuint(info.end, >, info.start);
                g_assert_nonnull(mm_owner_kind_name(info.owner));
                last = info.end;
                seen[info.owner] = true;
                for (size_t i = 0; i < 3; i++) {
                        if (addresses[i] < info.start || addresses[i] >= info.end)
                                continue;
                        found[i] = true;
                        g_assert_cmpuint(info.owner, ==, MM_OWNER_LIBRARY);
                        g_assert_cmpuint(info.part, ==, parts[i]);
                        g_assert_true(g_str_has_suffix(info.name, "/libtarget.so"));
                        g_assert_cmpuint(info.inode, >, 0);
                        g_assert_cmpuint(info.flags, ==, i < 2 ? MM_AREA_INFO_FILE : 0);
                }
        }
        g_assert_cmpint(r, ==, 0);
        g_assert_true(found[0] && found[1] && found[2]);
        g_assert_true(seen[MM_OWNER_LIBRARY] && seen[MM_OWNER_PROGRAM] && seen[MM_OWNER_STACK] &&
                      seen[MM_OWNER_HEAP] && seen[MM_OWNER_ANON]);
        mm_area_iter_free(iter);
        mm_target_unref(target);
        target_stop(&process);
}

static void lock_some(void *userdata)
{
        uint8_t *memory = userdata;

        touch_all(memory);
        if (syscall(SYS_mlock, memory + 8 * PAGE, 8 * PAGE) < 0 ||
            madvise(memory + 16 * PAGE, 8 * PAGE, MADV_MERGEABLE) < 0)
                _exit(1);
}

/* What the kernel has been told of areas cuts them. */
static void test_area_flags(struct fixture *f, const void *unused)
{
        static const uint32_t expected[] = { 0, MM_AREA_INFO_REFUSED, MM_AREA_INFO_KSM, 0 };
        pid_t pid = child_start(lock_some, f->memory);
        uint64_t start = (uintptr_t) f->memory;
        struct mm_area_iter *iter;
        struct mm_area_info info;
        struct mm_target *target;
        size_t n = 0;

        g_assert_cmpint(mm_target_new_from_pid(f->ctx, pid, 0, &target), ==, 0);
        g_assert_cmpint(mm_area_iter_new(target, &iter), ==, 0);
        while (mm_area_iter_next(iter, &info) > 0) {
                if (info.start < start || info.start >= start + N * PAGE)
                        continue;
                g_assert_cmpuint(n, <, G_N_ELEMENTS(expected));
                g_assert_cmpuint(info.start, ==, start + n * 8 * PAGE);
                g_assert_cmpuint(info.flags, ==, expected[n]);
                n++;
        }
        g_assert_cmpuint(n, ==, G_N_ELEMENTS(expected));
        mm_area_iter_free(iter);
        mm_target_unref(target);
        child_kill(pid);
}

static bool is_registered(struct mm_target *target, uint64_t address)
{
        struct mm_area_iter *iter;
        struct mm_area_info info;
        bool registered = false;

        g_assert_cmpint(mm_area_iter_new(target, &iter), ==, 0);
        while (mm_area_iter_next(iter, &info) > 0)
                if (address >= info.start && address < info.end)
                        registered = info.flags & MM_AREA_INFO_KSM;
        mm_area_iter_free(iter);
        return registered;
}

/* Through a thread of the process, as there is no module. */
static void test_ksm(struct fixture *f, const void *unused)
{
        const char *arguments[] = { "wait", NULL };
        struct mm_area_iter *iter;
        struct mm_area_info info, heap = {};
        struct mm_target *target;
        struct target process;
        uint64_t bytes = 0;

        target_start(&process, TEST_TARGET, arguments);
        g_assert_cmpint(mm_target_new_from_pid(f->ctx, process.pid, 0, &target), ==, 0);
        g_assert_cmpint(mm_area_iter_new(target, &iter), ==, 0);
        while (mm_area_iter_next(iter, &info) > 0)
                if (info.owner == MM_OWNER_HEAP)
                        heap = info;
        mm_area_iter_free(iter);
        g_assert_cmpuint(heap.end, >, heap.start);

        g_assert_cmpint(mm_target_ksm_register(target, heap.start, heap.end, &bytes), ==, 0);
        g_assert_cmpuint(bytes, ==, heap.end - heap.start);
        g_assert_true(is_registered(target, heap.start));
        /* Nothing is left to do. */
        g_assert_cmpint(mm_target_ksm_register(target, heap.start, heap.end, &bytes), ==, 0);
        g_assert_cmpuint(bytes, ==, 0);
        g_assert_cmpint(mm_target_ksm_unregister(target, heap.start, heap.end, &bytes), ==, 0);
        g_assert_cmpuint(bytes, ==, heap.end - heap.start);
        g_assert_false(is_registered(target, heap.start));
        mm_target_unref(target);
        target_stop(&process);
}

#define ADD(path, test) g_test_add("/mmlib-ctx/" path, struct fixture, NULL, setup, test, teardown)

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/mmlib-ctx/references", test_references);
        ADD("no-module", test_no_module);
        ADD("bad-options", test_bad_options);
        ADD("log", test_log);
        ADD("target", test_target);
        ADD("pidfd", test_pidfd);
        ADD("gone", test_gone);
        ADD("scan", test_scan);
        ADD("seeds", test_seeds);
        ADD("function", test_function);
        ADD("areas", test_areas);
        ADD("area-flags", test_area_flags);
        ADD("ksm", test_ksm);
        return g_test_run();
}
