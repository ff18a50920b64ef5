/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "lib/maps.h"
#include "lib/vmflags.h"

/* One area takes about 700 bytes of smaps; more text than this is a process beyond MM_AREAS_MAX. */
#define SMAPS_BYTES_MAX (1ULL << 30)

static const struct {
        char name[3];
        uint32_t flag;
} flag_names[] = {
        { "mg", MM_VM_MERGEABLE },   { "dd", MM_VM_DONTDUMP },    { "wf", MM_VM_WIPEONFORK },
        { "lo", MM_VM_LOCKED },      { "um", MM_VM_USERFAULTFD }, { "uw", MM_VM_USERFAULTFD },
        { "ui", MM_VM_USERFAULTFD }, { "io", MM_VM_IO },          { "pf", MM_VM_IO },
        { "mm", MM_VM_IO },          { "ht", MM_VM_HUGETLB },     { "ss", MM_VM_SHADOW_STACK },
        { "nh", MM_VM_NOHUGEPAGE },
};

struct list {
        struct mm_vmflags *items;
        size_t n, allocated;
};

static int list_add(struct list *l, uint64_t start, uint64_t end)
{
        if (l->n >= MM_AREAS_MAX)
                return -E2BIG;
        if (l->n >= l->allocated) {
                size_t allocated = MAX(l->allocated * 2, (size_t) 64);
                struct mm_vmflags *items;

                items = reallocarray(l->items, allocated, sizeof(*items));
                if (!items)
                        return -ENOMEM;
                l->items = items;
                l->allocated = allocated;
        }
        l->items[l->n++] = (struct mm_vmflags) { .start = start, .end = end };
        return 0;
}

static bool parse_hex(const char **p, const char *end, uint64_t *ret)
{
        const char *from = *p;
        uint64_t value = 0;

        for (; *p < end && *p - from < 16; (*p)++) {
                char c = **p;

                if (c >= '0' && c <= '9')
                        value = value << 4 | (uint64_t) (c - '0');
                else if (c >= 'a' && c <= 'f')
                        value = value << 4 | (uint64_t) (c - 'a' + 10);
                else
                        break;
        }
        *ret = value;
        return *p > from;
}

/* The first line of an area is the one of maps: "START-END ...". All others begin with a word in
 * capitals, so the first character already tells them apart. */
static bool parse_head(const char *line, const char *end, uint64_t *ret_start, uint64_t *ret_end)
{
        if (!parse_hex(&line, end, ret_start) || line >= end || *line++ != '-')
                return false;
        return parse_hex(&line, end, ret_end) && line < end && *line == ' ' && *ret_start < *ret_end;
}

static uint32_t parse_flags(const char *p, const char *end)
{
        uint32_t flags = 0;

        for (; end - p >= 2; p++) {
                if (*p == ' ')
                        continue;
                for (size_t i = 0; i < ELEMENTSOF(flag_names); i++)
                        if (memcmp(p, flag_names[i].name, 2) == 0)
                                flags |= flag_names[i].flag;
                p += 2;
        }
        return flags;
}

/* What follows @key at the beginning of the line, or NULL. */
static const char *after_key(const char *line, const char *end, const char *key)
{
        size_t n = strlen(key);

        return (size_t) (end - line) > n && memcmp(line, key, n) == 0 ? line + n : NULL;
}

static bool parse_is_some(const char *p, const char *end)
{
        while (p < end && (*p == ' ' || *p == '0'))
                p++;
        return p < end && *p >= '1' && *p <= '9';
}

static int parse_line(struct list *l, const char *line, const char *end)
{
        uint64_t area_start, area_end;
        const char *p;

        if (*line >= 'A' && *line <= 'Z') {
                uint32_t flags = 0;

                if ((p = after_key(line, end, "VmFlags:")))
                        flags = parse_flags(p, end);
                else if ((p = after_key(line, end, "AnonHugePages:")))
                        flags = parse_is_some(p, end) ? MM_VM_HAS_HUGE : 0;
                else if ((p = after_key(line, end, "KSM:")))
                        flags = parse_is_some(p, end) ? MM_VM_HAS_KSM : 0;
                else
                        return 0;
                if (l->n == 0)
                        return -EINVAL;
                l->items[l->n - 1].flags |= flags;
                return 0;
        }
        if (!parse_head(line, end, &area_start, &area_end))
                return -EINVAL;
        return list_add(l, area_start, area_end);
}

/* Takes whole lines off the front of @text; *@ret_used is what they are long. */
static int parse_lines(struct list *l, const char *text, size_t size, size_t *ret_used)
{
        const char *line = text, *newline;

        while ((newline = memchr(line, '\n', size - (size_t) (line - text)))) {
                if (newline > line) {
                        int r = parse_line(l, line, newline);

                        if (r < 0)
                                return r;
                }
                line = newline + 1;
        }
        *ret_used = (size_t) (line - text);
        return 0;
}

int mm_vmflags_parse(const char *text, size_t size, struct mm_vmflags **ret, size_t *ret_n)
{
        struct list l = {};
        size_t used;
        int r;

        r = parse_lines(&l, text, size, &used);
        if (r >= 0 && used < size)
                r = -EINVAL;
        if (r < 0) {
                free(l.items);
                return r;
        }
        *ret = l.items;
        *ret_n = l.n;
        return 0;
}

int mm_vmflags_read(int process_fd, struct mm_vmflags **ret, size_t *ret_n)
{
        _cleanup_(freep) char *buffer = NULL;
        _cleanup_(closep) int fd = -EBADF;
        const size_t buffer_size = 64 * 1024;
        uint64_t total = 0;
        struct list l = {};
        size_t have = 0;
        int r = 0;

        fd = openat(process_fd, "smaps", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        buffer = malloc(buffer_size);
        if (!buffer)
                return -ENOMEM;

        for (;;) {
                size_t used;
                ssize_t n;

                n = read(fd, buffer + have, buffer_size - have);
                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        r = -errno;
                        break;
                }
                if (n == 0)
                        break;
                total += (size_t) n;
                have += (size_t) n;
                r = parse_lines(&l, buffer, have, &used);
                if (r < 0)
                        break;
                memmove(buffer, buffer + used, have - used);
                have -= used;
                if (have == buffer_size || total > SMAPS_BYTES_MAX) {
                        r = -E2BIG;
                        break;
                }
        }
        if (r >= 0 && l.n == 0)
                r = -ESRCH;
        if (r < 0) {
                free(l.items);
                return r;
        }
        *ret = l.items;
        *ret_n = l.n;
        return 0;
}

uint32_t mm_vmflags_of(const struct mm_vmflags *v, size_t n, uint64_t start, uint64_t end)
{
        size_t low = 0, high = n;
        uint32_t flags = 0;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (v[middle].end <= start)
                        low = middle + 1;
                else
                        high = middle;
        }
        for (; low < n && v[low].start < end; low++)
                flags |= v[low].flags;
        return flags;
}
