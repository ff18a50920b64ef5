/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mmlib: identify and merge pages of same contents. mmlib(3) has the calls of 1999, mmlib_ctx(3) those
 * around a context, with examples. Clean as C89, C11 and C++; works whatever the size of a page is.
 */
#ifndef MMLIB_H
#define MMLIB_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The classic interface, mmlib(3). */

typedef struct {
        const void *v_addr; /* virtual address */
        const void *p_addr; /* physical address; NULL: no such page */
        size_t count;       /* reference count; 0: no such page */
        unsigned long hash;
} MPAGEINFO;

typedef struct {
        pid_t spid;          /* source pid */
        const void *sv_addr; /* source virtual address */
        pid_t dpid;          /* destination pid */
        const void *dv_addr; /* destination virtual address */
        int status;          /* 0 if merged, else an errno */
} MEQUALPAIR;

/* Pages of @pid in the region from @start up to @end, in ascending order, at most @nel. *@contp, unless
 * @contp is NULL, is set to the first page not yet examined, or NULL. Number of entries, -1 and errno. */
ssize_t m_getpageinfos(pid_t pid, const void *start, const void *end, MPAGEINFO *pageinfos, size_t nel,
                       const void **contp);

/* Hashes the pages at v_addr of each element, sets p_addr and count anew. Number of pages hashed, -1 and
 * errno. */
ssize_t m_hashpages(pid_t pid, MPAGEINFO *pageinfos, size_t nel,
                    unsigned long (*hashfunction)(const void *addr, size_t size));

/* Merges pairs of equal pages. Number of pairs merged, -1 and errno. */
ssize_t m_merge(MEQUALPAIR *pagepairs, size_t nel);

/* What m_hashpages() takes for NULL; NULL: m_hash_xxh64. 0, -1 and errno. */
ssize_t m_set_hash_default(unsigned long (*hashfunction)(const void *addr, size_t size));

/* Handed to m_hashpages() these run in the kernel, those that start with m_libhash_ like any function. */
unsigned long m_hash_addrothalf(const void *addr, size_t size);
unsigned long m_hash_const(const void *addr, size_t size);
unsigned long m_hash_sample(const void *addr, size_t size);
unsigned long m_hash_xxh64(const void *addr, size_t size);
unsigned long m_libhash_addrothalf(const void *addr, size_t size);
unsigned long m_libhash_const(const void *addr, size_t size);
unsigned long m_libhash_sample(const void *addr, size_t size);
unsigned long m_libhash_xxh64(const void *addr, size_t size);

/* The modern interface, mmlib_ctx(3). What can fail returns a negative errno and leaves what ret points to
 * as it was. Addresses, sizes and lengths are in bytes; ranges are from start up to, not including, end, and
 * of whole pages. */

/* A session: at most one thread at a time works with it and with what belongs to it. */
struct mm_ctx;

int mm_ctx_new(struct mm_ctx **ret);
struct mm_ctx *mm_ctx_ref(struct mm_ctx *ctx);
struct mm_ctx *mm_ctx_unref(struct mm_ctx *ctx);

/* @priority as in syslog(3), never above LOG_DEBUG; @message is one line without its end. */
typedef void (*mm_log_fn)(void *userdata, int priority, const char *message);
void mm_ctx_set_log_fn(struct mm_ctx *ctx, mm_log_fn fn, void *userdata);

/* Whether mergemod can be used: 0, -ENOPKG, -EPROTO, -EPERM. */
int mm_ctx_check_module(struct mm_ctx *ctx);

/* Counters of mergemod since it was loaded, and of the kernel's KSM. */
struct mm_stats {
        uint64_t frames;        /* shared frames of mergemod now */
        uint64_t frames_max;    /* at most so many */
        uint64_t mappings;      /* how often they are mapped */
        uint64_t merged;        /* pages merged, those of zeros included */
        uint64_t zero_merged;   /* of them pages of zeros */
        uint64_t freed;         /* frames that nobody mapped any more after that */
        uint64_t unmerged;      /* pages unmerged */
        uint64_t differed;      /* pages that were not equal when it came to it */
        uint64_t refused;       /* pages refused for whatever other reason */
        uint64_t hashed;        /* pages hashed in the kernel */
        uint64_t lock_usec_max; /* longest time a process's memory was locked, microseconds */
        uint64_t ksm_frames;    /* shared frames of KSM now; 0 without KSM */
        uint64_t ksm_mappings;  /* further mappings of them, each a page saved */
        uint64_t reserved[11];
};
int mm_ctx_get_stats(struct mm_ctx *ctx, struct mm_stats *ret);

/* A process. */
struct mm_target;

/* @start_ticks: field 22 of /proc/PID/stat, so that nobody else who got the pid is taken for it; 0: whoever
 * has the pid now. @pidfd is not kept. */
int mm_target_new_from_pid(struct mm_ctx *ctx, pid_t pid, uint64_t start_ticks, struct mm_target **ret);
int mm_target_new_from_pidfd(struct mm_ctx *ctx, int pidfd, struct mm_target **ret);
struct mm_target *mm_target_ref(struct mm_target *target);
struct mm_target *mm_target_unref(struct mm_target *target);

pid_t mm_target_get_pid(const struct mm_target *target);
uint64_t mm_target_get_start_ticks(const struct mm_target *target);
uid_t mm_target_get_uid(const struct mm_target *target);
/* Of the program, as /proc/PID/exe says; NULL if not known. Belongs to the target. */
const char *mm_target_get_exe(const struct mm_target *target);
/* 1 or 0. */
int mm_target_is_alive(const struct mm_target *target);

/* Whose memory part of an area is. */
enum mm_owner_kind {
        MM_OWNER_NONE,         /* nobody's: shared, the kernel's, or next to a device; never touched */
        MM_OWNER_LIBRARY,      /* ELF file other than the program */
        MM_OWNER_PROGRAM,      /* the file that /proc/PID/exe is */
        MM_OWNER_FILE,         /* private mapping of some other file, or of a memfd */
        MM_OWNER_HEAP,         /* [heap] */
        MM_OWNER_STACK,        /* [stack] */
        MM_OWNER_THREAD_STACK, /* anonymous, readable and writable, right above a guard: PROT_NONE
                                  without a file, at most 1 MiB */
        MM_OWNER_NAMED,        /* [anon:NAME] */
        MM_OWNER_ANON          /* all other private anonymous memory */
};

/* Which part of an ELF file. */
enum mm_owner_part {
        MM_PART_NONE,
        MM_PART_TEXT,  /* not writable: private pages there come from a debugger or text relocations */
        MM_PART_RELRO, /* PT_GNU_RELRO: relocated, then made read-only; .got lies here with -z now */
        MM_PART_DATA,  /* .data, .got.plt: from the file, written since */
        MM_PART_BSS    /* anonymous, up to the end of the segment's p_memsz, rounded up to a page */
};

/* "library", "program", ...; "data", "bss", ...: never translated. */
const char *mm_owner_kind_name(enum mm_owner_kind kind);
const char *mm_owner_part_name(enum mm_owner_part part);

#define MM_AREA_INFO_FILE 1U    /* maps a file: merged by KSM only */
#define MM_AREA_INFO_REFUSED 2U /* locked, not to be dumped, watched, ...: mergemod merges nothing there */
#define MM_AREA_INFO_KSM 4U     /* registered with KSM */

struct mm_area_info {
        uint64_t start, end;
        uint64_t device, inode; /* of the file; 0: none */
        const char *name;       /* path, name of the area, or ""; valid as long as the iterator */
        uint32_t owner;         /* enum mm_owner_kind */
        uint32_t part;          /* enum mm_owner_part */
        uint32_t flags;         /* MM_AREA_INFO_* */
        uint32_t reserved[5];
};

/* Private memory with its owners, ascending, as it was when the iterator was made. */
struct mm_area_iter;

int mm_area_iter_new(struct mm_target *target, struct mm_area_iter **ret);
/* 1, 0 at the end. */
int mm_area_iter_next(struct mm_area_iter *iter, struct mm_area_info *ret);
struct mm_area_iter *mm_area_iter_free(struct mm_area_iter *iter);

#define MM_PAGE_INFO_ZERO 1U   /* the kernel's page of zeros */
#define MM_PAGE_INFO_MERGED 2U /* a shared frame of mergemod */
#define MM_PAGE_INFO_HUGE 4U   /* a huge page */

struct mm_page_info {
        uint64_t address;
        uint64_t frame; /* page frame number, of a huge page the first */
        uint64_t hash;
        uint64_t count;  /* how often it is mapped; of the page of zeros not known: 2 */
        uint64_t size;   /* bytes */
        uint32_t flags;  /* MM_PAGE_INFO_* */
        int32_t status;  /* 0; -ENODATA: no page that could be merged */
};

enum mm_hash_kind {
        MM_HASH_NONE,       /* only look */
        MM_HASH_XXH64,      /* of all bytes */
        MM_HASH_ADDROTHALF, /* of the first half */
        MM_HASH_SAMPLE,     /* of a few lines that the seed chooses */
        MM_HASH_CONST,
        MM_HASH_FUNCTION    /* the caller's */
};

typedef uint64_t (*mm_hash_fn)(void *userdata, const void *data, size_t size);

struct mm_hash {
        enum mm_hash_kind kind;
        uint64_t seed;  /* all but NONE and FUNCTION */
        mm_hash_fn fn;  /* FUNCTION; @data is aligned for a word */
        void *userdata; /* of it */
};

/* Pages in [*@start, @end) that could be merged, ascending, hashed if @hash is not NULL: how many, at most
 * @n. *@start moves to where to go on, which is @end when all is done. */
ssize_t mm_target_scan(struct mm_target *target, uint64_t *start, uint64_t end, const struct mm_hash *hash,
                       struct mm_page_info *pages, size_t n);
/* The pages at the addresses in @pages: how many are there. The others have their status. */
ssize_t mm_target_look(struct mm_target *target, const struct mm_hash *hash, struct mm_page_info *pages,
                       size_t n);

/* Whose pages may share a frame. */
enum mm_domain {
        MM_DOMAIN_USER,    /* of the same user ids and namespaces; root's in one cgroup */
        MM_DOMAIN_CGROUP,  /* of the same namespaces and below one cgroup */
        MM_DOMAIN_SESSION, /* whatever is merged through this context */
        MM_DOMAIN_SYSTEM   /* whatever is merged with this domain */
};

/* What becomes of huge pages. */
enum mm_huge {
        MM_HUGE_KEEP, /* areas that could hold one are left alone */
        MM_HUGE_AUTO, /* areas that hold none now are merged, and get none any more */
        MM_HUGE_SPLIT /* they are split where a page of theirs is merged */
};

struct mm_merge_options {
        enum mm_domain domain;
        enum mm_huge huge;
        int cgroup_fd; /* MM_DOMAIN_CGROUP: its directory; else -1 */
        int zero_only; /* only pages of zeros */
        uint64_t reserved[4];
};

struct mm_merge_page {
        struct mm_target *target;
        uint64_t address;
        uint32_t group; /* pages with equal numbers are believed to be equal; below the number of pages */
        int32_t status; /* out: 0 or a negative errno; mmlib_ctx(3) lists them */
};

struct mm_merge_result {
        uint64_t merged;      /* pages */
        uint64_t zero_merged; /* of them pages of zeros */
        uint64_t freed;       /* frames that nobody maps any more */
        uint64_t new_frames;  /* shared frames made */
        uint64_t refused;     /* pages that were not merged */
        uint64_t reserved[3];
};

/* Small pages, or huge ones part by part. Both @options and @ret may be NULL: MM_DOMAIN_USER,
 * MM_HUGE_KEEP. */
int mm_ctx_merge(struct mm_ctx *ctx, const struct mm_merge_options *options, struct mm_merge_page *pages,
                 size_t n, struct mm_merge_result *ret);

#define MM_UNMERGE_ZERO 1U   /* also the page of zeros */
#define MM_UNMERGE_SINGLE 2U /* only frames with one user left */

/* Gives pages frames of their own again. *@ret_pages, if not NULL: how many. */
int mm_target_unmerge(struct mm_target *target, uint64_t start, uint64_t end, unsigned int flags,
                      uint64_t *ret_pages);

/* Registers memory with the kernel's KSM, or takes it out and unmerges. *@ret_bytes, if not NULL: for how
 * much that was done. */
int mm_target_ksm_register(struct mm_target *target, uint64_t start, uint64_t end, uint64_t *ret_bytes);
int mm_target_ksm_unregister(struct mm_target *target, uint64_t start, uint64_t end, uint64_t *ret_bytes);

/* Pages of any number of targets, and which of them are equal. */
struct mm_groups;

/* @options: how they are going to be merged, which says who is grouped with whom; may be NULL. @max_bytes:
 * of memory for bookkeeping, of which a page takes 24. */
int mm_groups_new(struct mm_ctx *ctx, const struct mm_merge_options *options, uint64_t max_bytes,
                  struct mm_groups **ret);
struct mm_groups *mm_groups_free(struct mm_groups *groups);
/* Forgets all pages; draws a new seed. */
int mm_groups_clear(struct mm_groups *groups);

/* Adds the pages in [@start, @end) that could be merged, each frame hashed once. Only pages with equal
 * @owner are grouped together. -ENOBUFS when the bookkeeping is full; -EBUSY after mm_groups_next(). */
int mm_groups_scan(struct mm_groups *groups, struct mm_target *target, uint64_t start, uint64_t end,
                   uint64_t owner);

struct mm_group_info {
        uint64_t pages;    /* mappings seen */
        uint64_t frames;   /* distinct frames among them */
        uint64_t freeable; /* of them those with every mapping seen */
        uint64_t saving;   /* frames that merging would free, net */
        int zero;          /* pages of zeros */
        uint32_t reserved[5];
};

/* The next group of equal pages; those of one page are passed over, unless it is full of zeros. 1, 0 at the
 * end. */
int mm_groups_next(struct mm_groups *groups, struct mm_group_info *ret);
/* Page @i of the group; the target belongs to @groups. */
int mm_groups_get_page(const struct mm_groups *groups, size_t i, struct mm_target **ret_target,
                       uint64_t *ret_address);
/* The group is to be merged. */
int mm_groups_plan(struct mm_groups *groups);
/* Merges what is planned. @ret may be NULL. */
int mm_groups_merge(struct mm_groups *groups, struct mm_merge_result *ret);

#ifdef __cplusplus
}
#endif

#endif
