/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run/situation.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "lib/procfs.h"
#include "lib/text.h"

#define PERSONALITY_QUERY 0xffffffffUL

/* Yama's "only who may trace anything" and "nobody". */
#define YAMA_CAPABLE 2
#define YAMA_NOBODY 3

static bool read_number(const char *path, unsigned base, uint64_t *ret)
{
        _cleanup_(freep) char *text = NULL;
        struct mm_text at;
        size_t size;

        if (mm_read_file(AT_FDCWD, path, 64, 4096, &text, &size) < 0)
                return false;
        at = (struct mm_text){ text, text + size };
        return mm_text_number(&at, base, ret);
}

static int read_setting(const char *path, int fallback)
{
        uint64_t n;

        return read_number(path, 10, &n) && n <= INT16_MAX ? (int) n : fallback;
}

/* The file comes first: a filter may end who makes the call. */
static int read_personality(unsigned long *ret)
{
        uint64_t n;
        int r;

        if (read_number("/proc/self/personality", 16, &n)) {
                *ret = (unsigned long) n;
                return 0;
        }
        r = personality(PERSONALITY_QUERY);
        if (r < 0)
                return -errno;
        *ret = (unsigned long) r;
        return 0;
}

static int read_capabilities(struct situation *s)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
        int bits;

        if (syscall(SYS_capget, &header, data) < 0)
                return -errno;
        s->cap_permitted = data[0].permitted | (uint64_t) data[1].permitted << 32;
        s->cap_root = data[0].inheritable | (uint64_t) data[1].inheritable << 32;
        for (unsigned i = 0; i < 64; i++) {
                int r = prctl(PR_CAPBSET_READ, i, 0, 0, 0);

                if (r < 0)
                        break; /* beyond the last one that this kernel knows */
                s->cap_root |= (uint64_t) r << i;
        }
        bits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
        s->no_root = bits > 0 && (bits & SECBIT_NOROOT) != 0;
        return 0;
}

static pid_t read_tracer(void)
{
        _cleanup_(freep) char *text = NULL;
        struct mm_process p = MM_PROCESS_NULL;
        size_t size;

        if (mm_read_file(AT_FDCWD, "/proc/self/status", 4096, 65536, &text, &size) < 0)
                return 0;
        (void) mm_parse_status(text, size, &p);
        return p.tracer;
}

/* unshare(2) with CLONE_NEWPID is for children only, and once the first of them has ended there can be no
 * more. */
static bool read_children_apart(void)
{
        struct stat own, children;

        if (stat("/proc/self/ns/pid", &own) < 0)
                return false;
        /* Until there is a first one the file leads nowhere. */
        return stat("/proc/self/ns/pid_for_children", &children) < 0 || own.st_dev != children.st_dev ||
               own.st_ino != children.st_ino;
}

int situation_read(struct situation *ret)
{
        struct situation s = {
                .ruid = getuid(),
                .euid = geteuid(),
                .rgid = getgid(),
                .egid = getegid(),
        };
        int r;

        r = read_personality(&s.personality);
        if (r < 0)
                return r;
        if (getrlimit(RLIMIT_STACK, &s.stack) < 0)
                return -errno;
        r = read_capabilities(&s);
        if (r < 0)
                return r;
        s.tracer = read_tracer();
        s.children_apart = read_children_apart();
        s.randomize = read_setting("/proc/sys/kernel/randomize_va_space", SITUATION_RANDOM);
        s.legacy_layout = read_setting("/proc/sys/vm/legacy_va_layout", 0) != 0;
        s.yama = read_setting("/proc/sys/kernel/yama/ptrace_scope", 0);
        *ret = s;
        return 0;
}

int situation_judge(const struct situation *s, struct refusal *f)
{
        bool root = (s->ruid == 0 || s->euid == 0) && !s->no_root;

        if (s->randomize == SITUATION_FIXED)
                return 0;
        if (s->legacy_layout)
                return refuse(f, -EOPNOTSUPP, "vm.legacy_va_layout=1 puts libraries where no secret moves "
                              "them");
        if ((s->personality & ADDR_COMPAT_LAYOUT) != 0)
                return refuse(f, -EOPNOTSUPP, "the personality ADDR_COMPAT_LAYOUT puts libraries where no "
                              "secret moves them");
        if (s->tracer != 0)
                return refuse(f, -EPERM, "process %d traces mergemem-run, which has to be traced by itself: "
                              "let it trace the program once that runs", (int) s->tracer);
        if (s->children_apart)
                return refuse(f, -EOPNOTSUPP, "children of this process get into another PID namespace");
        /* The kernel would take this for a program that gains privileges, and that while it is traced. */
        if (s->ruid != s->euid || s->rgid != s->egid)
                return refuse(f, -EPERM, "real and effective user or group differ");
        if (root && (s->cap_root & ~s->cap_permitted) != 0)
                return refuse(f, -EPERM, "root has less capabilities here than executing a program would "
                              "give back");
        return 1;
}

void situation_explain_trace(const struct situation *s, struct refusal *f)
{
        if (s->yama == YAMA_NOBODY)
                (void) refuse(f, 0, "kernel.yama.ptrace_scope=3 forbids all tracing");
        else if (s->yama == YAMA_CAPABLE)
                (void) refuse(f, 0, "kernel.yama.ptrace_scope=2 permits tracing with CAP_SYS_PTRACE only");
        else
                (void) refuse(f, 0, "tracing a process of one's own is not permitted here");
}
