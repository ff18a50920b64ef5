/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/maps.h"

#include <limits.h>
#include <sys/sysmacros.h>

#include "lib/hash.h"
#include "lib/text.h"

/* About twice what MM_AREAS_MAX lines without long names need. */
#define MAPS_MAX (160U * 1024U * 1024U)
#define MAPS_HINT (64U * 1024U)

/* How often a list is read again that changed while it was read. */
#define MAPS_TRIES 4U

/* Turns \012 into a newline, in place: the one escape that maps knows, a backslash stands for itself
 * otherwise. */
static void unescape(char *name)
{
        char *to = name;

        for (const char *from = name; *from;)
                if (strncmp(from, "\\012", 4) == 0) {
                        *to++ = '\n';
                        from += 4;
                } else
                        *to++ = *from++;
        *to = '\0';
}

static bool has_prefix(const char *s, const char *prefix)
{
        return strncmp(s, prefix, strlen(prefix)) == 0;
}

static bool strip_suffix(char *s, const char *suffix)
{
        size_t n = strlen(s), m = strlen(suffix);

        if (n <= m || !streq(s + n - m, suffix))
                return false;
        s[n - m] = '\0';
        return true;
}

/* What stands in brackets: the kernel's names, not files. */
static uint8_t classify_bracket(const char *name)
{
        if (streq(name, "heap"))
                return MM_AREA_HEAP;
        /* Before Linux 4.5, stacks of other threads were found and called [stack:TID]. */
        if (streq(name, "stack") || has_prefix(name, "stack:"))
                return MM_AREA_STACK;
        if (has_prefix(name, "anon:"))
                return MM_AREA_NAMED_ANON;
        if (has_prefix(name, "anon_shmem:"))
                return MM_AREA_SHARED;
        return MM_AREA_SPECIAL;
}

static uint8_t classify_file(const char *name, bool deleted)
{
        /* Files of the kernel's own making, which have no directory; one with a directory could be
         * called so only by who may write to "/" or "/dev". */
        if (has_prefix(name, "/memfd:") ||
            (deleted && (has_prefix(name, "/SYSV") || streq(name, "/dev/zero"))))
                return MM_AREA_SHARED;
        /* hugetlbfs and asynchronous I/O. */
        if (deleted && (streq(name, "/anon_hugepage") || streq(name, "/[aio]")))
                return MM_AREA_SPECIAL;
        /* Buffers of graphics drivers that were not mapped through their device node. */
        if (deleted && (streq(name, "/drm mm object") || streq(name, "/i915")))
                return MM_AREA_DEVICE;

        if (has_prefix(name, "/dev/shm/") || has_prefix(name, "/dev/hugepages/"))
                return MM_AREA_FILE;
        /* Device memory is also mapped through sysfs (PCI resources) and /proc/bus/pci. */
        if (has_prefix(name, "/dev/") || has_prefix(name, "/sys/") || has_prefix(name, "/proc/") ||
            has_prefix(name, "/dmabuf"))
                return MM_AREA_DEVICE;
        /* Without a path: "anon_inode:[perf_event]", "socket:[4711]". */
        return *name == '/' ? MM_AREA_FILE : MM_AREA_DEVICE;
}

static void classify(struct mm_area *area, char *name)
{
        bool file = mm_file_id_known(&area->file);

        if (*name == '\0' && !file)
                area->kind = MM_AREA_ANON;
        else if (*name == '[') {
                (void) strip_suffix(name++, "]");
                area->kind = classify_bracket(name);
        } else {
                unescape(name);
                if (strip_suffix(name, " (deleted)"))
                        area->flags |= MM_AREA_DELETED;
                area->kind = classify_file(name, area->flags & MM_AREA_DELETED);

                /* A private mapping of /dev/zero is anonymous memory that still bears the name. */
                if (streq(name, "/dev/zero") && !(area->flags & (MM_AREA_MAYSHARE | MM_AREA_DELETED))) {
                        area->kind = MM_AREA_ANON;
                        area->file = (struct mm_file_id){};
                        name += strlen(name);
                }
        }
        area->name = name;
}

static bool take_flags(struct mm_text *t, uint8_t *ret)
{
        static const char set[] = "rwxs", unset[] = "---p";
        uint8_t flags = 0;

        for (unsigned i = 0; i < 4; i++)
                if (mm_text_skip(t, set[i]))
                        flags |= (uint8_t)(MM_AREA_READ << i);
                else if (!mm_text_skip(t, unset[i]))
                        return false;
        *ret = flags;
        return true;
}

/* START-END PERMS OFFSET MAJOR:MINOR INODE NAME; @line ends where a NUL may be written. */
static int parse_line(struct mm_text *line, struct mm_area *ret)
{
        uint64_t major, minor, inode;
        struct mm_area a = {};
        char *end;

        if (!mm_text_number(line, 16, &a.start) || !mm_text_skip(line, '-') ||
            !mm_text_number(line, 16, &a.end) || !mm_text_skip(line, ' ') ||
            !take_flags(line, &a.flags) || !mm_text_skip(line, ' ') ||
            !mm_text_number(line, 16, &a.offset) || !mm_text_skip(line, ' ') ||
            !mm_text_number(line, 16, &major) || !mm_text_skip(line, ':') ||
            !mm_text_number(line, 16, &minor) || !mm_text_skip(line, ' ') ||
            !mm_text_number(line, 10, &inode))
                return -EINVAL;
        if (a.start >= a.end || a.start % MM_PAGE_SIZE != 0 || a.end % MM_PAGE_SIZE != 0 ||
            a.offset % MM_PAGE_SIZE != 0 || major > UINT_MAX || minor > UINT_MAX)
                return -EINVAL;

        a.file = (struct mm_file_id){ makedev((unsigned)major, (unsigned)minor), inode };
        mm_text_skip_all(line, ' ');
        if (memchr(line->at, '\0', mm_text_size(line)))
                return -EINVAL;
        end = (char *)line->end;
        *end = '\0';
        classify(&a, (char *)line->at);
        *ret = a;
        return 0;
}

int mm_areas_parse(char *text, size_t size, struct mm_areas *ret)
{
        _cleanup_(mm_areas_done) struct mm_areas areas = { .text = text };
        struct mm_text rest = { text, text + size }, line;
        size_t allocated = 0;
        int r;

        while (mm_text_until(&rest, '\n', &line)) {
                struct mm_area *area;

                if (areas.n == MM_AREAS_MAX)
                        return -E2BIG;
                if (areas.n == allocated) {
                        size_t wanted = allocated ? allocated * 2 : 64;
                        struct mm_area *grown = realloc(areas.items, wanted * sizeof(*grown));

                        if (!grown)
                                return -ENOMEM;
                        areas.items = grown;
                        allocated = wanted;
                }

                area = areas.items + areas.n;
                r = parse_line(&line, area);
                if (r < 0)
                        return r;
                if (areas.n > 0 && area->start < area[-1].end)
                        return -EAGAIN;
                areas.n++;
        }

        *ret = areas;
        areas = (struct mm_areas){};
        return 0;
}

int mm_areas_read(int process_fd, struct mm_areas *ret)
{
        unsigned i;
        int r;

        for (i = 0; i < MAPS_TRIES; i++) {
                size_t size;
                char *text;

                r = mm_read_file(process_fd, "maps", MAPS_HINT, MAPS_MAX, &text, &size);
                if (r < 0)
                        return r == -ENOENT ? -ESRCH : r;
                if (size == 0) {
                        free(text);
                        return -ESRCH;
                }
                r = mm_areas_parse(text, size, ret);
                if (r != -EAGAIN)
                        return r;
        }
        return r;
}

void mm_areas_done(struct mm_areas *a)
{
        if (!a)
                return;
        free(a->items);
        free(a->text);
        *a = (struct mm_areas){};
}

const struct mm_area *mm_areas_find(const struct mm_areas *a, uint64_t address)
{
        size_t low = 0, high = a->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                const struct mm_area *area = a->items + middle;

                if (address < area->start)
                        high = middle;
                else if (address >= area->end)
                        low = middle + 1;
                else
                        return area;
        }
        return NULL;
}
