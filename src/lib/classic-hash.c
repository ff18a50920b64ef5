/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <limits.h>
#include <stdatomic.h>

#include "lib/classic.h"
#include "lib/hash-kind.h"

/* Pages at a time, which bounds our own memory. Without mergemod the areas are read anew each time. */
#define BATCH_PAGES 4096U

typedef unsigned long (*hash_function)(const void *addr, size_t size);

static _Atomic(hash_function) default_hash; /* NULL: m_hash_xxh64() */

_public_ unsigned long m_hash_addrothalf(const void *addr, size_t size)
{
        return (unsigned long) mm_hash_kind_compute(MM_HASH_ADDROTHALF, 0, addr, size);
}

_public_ unsigned long m_hash_const(const void *addr, size_t size)
{
        return (unsigned long) mm_hash_kind_compute(MM_HASH_CONST, 0, addr, size);
}

_public_ unsigned long m_hash_sample(const void *addr, size_t size)
{
        return (unsigned long) mm_hash_kind_compute(MM_HASH_SAMPLE, 0, addr, size);
}

_public_ unsigned long m_hash_xxh64(const void *addr, size_t size)
{
        return (unsigned long) mm_hash_kind_compute(MM_HASH_XXH64, 0, addr, size);
}

_public_ unsigned long m_libhash_addrothalf(const void *addr, size_t size)
{
        return m_hash_addrothalf(addr, size);
}

_public_ unsigned long m_libhash_const(const void *addr, size_t size)
{
        return m_hash_const(addr, size);
}

_public_ unsigned long m_libhash_sample(const void *addr, size_t size)
{
        return m_hash_sample(addr, size);
}

_public_ unsigned long m_libhash_xxh64(const void *addr, size_t size)
{
        return m_hash_xxh64(addr, size);
}

static uint64_t call_function(void *userdata, const void *data, size_t size)
{
        const hash_function *function = userdata;

        return (*function)(data, size);
}

/* The predefined ones are known by their address. */
static struct mm_hash hash_of(hash_function *function)
{
        static const struct {
                hash_function function;
                enum mm_hash_kind kind;
        } known[] = {
                { m_hash_addrothalf, MM_HASH_ADDROTHALF },
                { m_hash_const, MM_HASH_CONST },
                { m_hash_sample, MM_HASH_SAMPLE },
                { m_hash_xxh64, MM_HASH_XXH64 },
        };

        for (size_t i = 0; i < ELEMENTSOF(known); i++)
                if (*function == known[i].function)
                        return (struct mm_hash) { .kind = known[i].kind };
        return (struct mm_hash) { .kind = MM_HASH_FUNCTION, .fn = call_function, .userdata = function };
}

static ssize_t hash_batch(struct mm_target *t, const struct mm_hash *hash, MPAGEINFO *infos,
                          struct mm_page_info *pages, size_t n)
{
        ssize_t n_hashed;

        for (size_t i = 0; i < n; i++)
                pages[i].address = (uintptr_t) infos[i].v_addr;
        n_hashed = mm_target_look(t, hash, pages, n);
        for (size_t i = 0; i < n && n_hashed >= 0; i++) {
                infos[i].p_addr = pages[i].status < 0 ? NULL : mm_classic_physical(&pages[i]);
                infos[i].count = pages[i].status < 0 ? 0 : (size_t) pages[i].count;
                if (pages[i].status == 0)
                        infos[i].hash = (unsigned long) pages[i].hash;
        }
        return n_hashed;
}

static ssize_t hashpages(pid_t pid, MPAGEINFO *pageinfos, size_t nel, hash_function function)
{
        _cleanup_(mm_target_unrefp) struct mm_target *t = NULL;
        _cleanup_(freep) struct mm_page_info *pages = NULL;
        size_t n_batch = MIN(nel, (size_t) BATCH_PAGES);
        struct mm_hash hash;
        ssize_t n_hashed = 0;
        int r;

        if (nel > SSIZE_MAX / sizeof(*pageinfos))
                return -EINVAL;
        if (!function)
                function = atomic_load(&default_hash);
        if (!function)
                function = m_hash_xxh64;
        hash = hash_of(&function);
        r = mm_classic_check_memory(pageinfos, nel * sizeof(*pageinfos), true);
        if (r >= 0)
                r = mm_classic_check_memory((const void *) (uintptr_t) function, 1, false);
        if (r >= 0)
                r = mm_classic_open_target(pid, &t);
        if (r < 0)
                return r;
        pages = calloc(MAX(n_batch, (size_t) 1), sizeof(*pages));
        if (!pages)
                return -ENOMEM;
        for (size_t i = 0; i < nel; i += n_batch) {
                ssize_t n;

                n = hash_batch(t, &hash, pageinfos + i, pages, MIN(nel - i, n_batch));
                if (n < 0)
                        return n;
                n_hashed += n;
        }
        return n_hashed;
}

_public_ ssize_t m_hashpages(pid_t pid, MPAGEINFO *pageinfos, size_t nel, hash_function hashfunction)
{
        return mm_classic_result(hashpages(pid, pageinfos, nel, hashfunction));
}

_public_ ssize_t m_set_hash_default(hash_function hashfunction)
{
        int r = 0;

        if (hashfunction)
                r = mm_classic_check_memory((const void *) (uintptr_t) hashfunction, 1, false);
        if (r >= 0)
                atomic_store(&default_hash, hashfunction);
        return mm_classic_result(r);
}
