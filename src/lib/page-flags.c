/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/page-flags.h"

#define BIT(n) (UINT64_C(1) << (n))
#define COMPOUND (BIT(KPF_COMPOUND_HEAD) | BIT(KPF_COMPOUND_TAIL))

/* Those beyond are no interface of the kernel's. */
#define KPF_STABLE (BIT(32) - 1)

static const char *const names[64] = {
        [KPF_LOCKED] = "locked",
        [KPF_ERROR] = "error",
        [KPF_REFERENCED] = "referenced",
        [KPF_UPTODATE] = "uptodate",
        [KPF_DIRTY] = "dirty",
        [KPF_LRU] = "lru",
        [KPF_ACTIVE] = "active",
        [KPF_SLAB] = "slab",
        [KPF_WRITEBACK] = "writeback",
        [KPF_RECLAIM] = "reclaim",
        [KPF_BUDDY] = "buddy",
        [KPF_MMAP] = "mmap",
        [KPF_ANON] = "anonymous",
        [KPF_SWAPCACHE] = "swapcache",
        [KPF_SWAPBACKED] = "swapbacked",
        [KPF_COMPOUND_HEAD] = "compound_head",
        [KPF_COMPOUND_TAIL] = "compound_tail",
        [KPF_HUGE] = "huge",
        [KPF_UNEVICTABLE] = "unevictable",
        [KPF_HWPOISON] = "hwpoison",
        [KPF_NOPAGE] = "nopage",
        [KPF_KSM] = "ksm",
        [KPF_THP] = "thp",
        [KPF_OFFLINE] = "offline",
        [KPF_ZERO_PAGE] = "zero_page",
        [KPF_IDLE] = "idle_page",
        [KPF_PGTABLE] = "pgtable",
        [MM_FLAG_FILE] = "file",
        [MM_FLAG_SWAP] = "swap",
        [MM_FLAG_MMAP_EXCLUSIVE] = "mmap_exclusive",
};

const char *mm_flag_name(unsigned bit)
{
        return bit < ELEMENTSOF(names) ? names[bit] : NULL;
}

uint64_t mm_flags_of_page(const struct mm_page *page, uint64_t kpageflags)
{
        uint64_t flags = kpageflags & KPF_STABLE;

        if (!(flags & BIT(KPF_HUGE)))
                flags &= ~COMPOUND;
        if (page->flags & MM_PAGE_FILE)
                flags |= BIT(MM_FLAG_FILE);
        if (page->flags & MM_PAGE_SWAPPED)
                flags |= BIT(MM_FLAG_SWAP);
        if (page->flags & MM_PAGE_EXCLUSIVE)
                flags |= BIT(MM_FLAG_MMAP_EXCLUSIVE);
        if (page->flags & MM_PAGE_ZERO)
                flags |= BIT(KPF_ZERO_PAGE);
        return flags;
}

struct parser {
        const char *text, *at;
        struct mm_flag_error *error;
};

static int fail(struct parser *p, size_t n, const char *what)
{
        *p->error = (struct mm_flag_error) { .at = (size_t)(p->at - p->text), .n = n, .what = what };
        return -EINVAL;
}

static int parse_number(struct parser *p, size_t n, uint64_t *ret)
{
        uint64_t value = 0;

        if (n == 2 || n > 2 + 16)
                return fail(p, n, "not a number of up to 64 bits");
        for (size_t i = 2; i < n; i++) {
                char c = p->at[i];
                unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                                 : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                 : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                        : 16;

                if (digit == 16)
                        return fail(p, n, "not a number of up to 64 bits");
                value = value << 4 | digit;
        }
        *ret = value;
        return 0;
}

/* What @n characters from @at are the name of, or the begin of one; *@ret_several if of more than one. */
static uint64_t find_name(const char *at, size_t n, bool *ret_several)
{
        uint64_t found = 0;

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                if (!names[i] || strncmp(names[i], at, n) != 0)
                        continue;
                if (names[i][n] == '\0') {
                        *ret_several = false;
                        return BIT(i);
                }
                *ret_several = found != 0;
                found |= BIT(i);
        }
        return found;
}

static int parse_name(struct parser *p, size_t n, uint64_t *ret)
{
        bool several = false;
        uint64_t flag;

        if (n == 0)
                return fail(p, 0, "a flag is missing");
        if (p->at[0] == '0' && n > 1 && p->at[1] == 'x')
                return parse_number(p, n, ret);
        flag = find_name(p->at, n, &several);
        if (flag == 0)
                return fail(p, n, "no such flag");
        if (several)
                return fail(p, n, "more than one flag begins so");
        *ret = flag;
        return 0;
}

/* Names up to "=" or the end: all of them, and those that are negated. */
static int parse_list(struct parser *p, bool negatable, uint64_t *ret_all, uint64_t *ret_negated)
{
        uint64_t flag;
        int r;

        for (;; p->at++) {
                bool negated = *p->at == '~' || *p->at == '!';
                size_t n;

                if (negated && !negatable)
                        return fail(p, 1, "not together with \"=\"");
                p->at += negated;
                n = strcspn(p->at, ",=");
                r = parse_name(p, n, &flag);
                if (r < 0)
                        return r;
                if ((negated ? *ret_all & ~*ret_negated : *ret_negated) & flag)
                        return fail(p, n, "both with and without \"~\"");
                *ret_all |= flag;
                if (negated)
                        *ret_negated |= flag;
                p->at += n;
                if (*p->at != ',')
                        return 0;
        }
}

int mm_flag_filter_parse(const char *text, struct mm_flag_filter *ret, struct mm_flag_error *error)
{
        struct parser p = { .text = text, .at = text, .error = error };
        bool equals = strchr(text, '=');
        uint64_t before = 0, behind = 0, negated = 0;
        int r;

        if (strnlen(text, MM_FLAG_TEXT_MAX) == MM_FLAG_TEXT_MAX)
                return fail(&p, 0, "too long");
        if (*text != '=') {
                r = parse_list(&p, !equals, &before, &negated);
                if (r < 0)
                        return r;
        } else
                before = UINT64_MAX;
        if (!equals) {
                *ret = (struct mm_flag_filter) {
                        .mask = before, .bits = before & ~negated, .any = negated == 0
                };
                return 0;
        }
        p.at++;
        if (*p.at != '\0') {
                r = parse_list(&p, false, &behind, &negated);
                if (r < 0)
                        return r;
        }
        if (*p.at == '=')
                return fail(&p, 1, "one \"=\" is enough");
        if (behind & ~before) {
                p.at = strchr(text, '=') + 1;
                return fail(&p, strlen(p.at), "not among those before \"=\"");
        }
        *ret = (struct mm_flag_filter) { .mask = before, .bits = behind };
        return 0;
}
