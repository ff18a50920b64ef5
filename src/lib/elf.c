/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lib/elf.h"

#include <elf.h>
#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "lib/hash.h"

#if __BYTE_ORDER == __LITTLE_ENDIAN
#define NATIVE_DATA ELFDATA2LSB
#else
#define NATIVE_DATA ELFDATA2MSB
#endif

/* More program headers than any linker writes; PN_XNUM, which says "more than fit here", is above. */
#define HEADERS_MAX 1024U

/* Where the program headers are, of either class. */
struct layout {
        uint8_t class_;
        uint16_t type;
        uint64_t offset;
        size_t entry_size, n;
};

static int parse_layout(const void *data, size_t size, struct layout *ret)
{
        const unsigned char *ident = data;
        struct layout l;
        uint32_t version;

        if (size < EI_NIDENT || memcmp(ident, ELFMAG, SELFMAG) != 0)
                return -ENOEXEC;
        if (ident[EI_DATA] != NATIVE_DATA || ident[EI_VERSION] != EV_CURRENT)
                return -ENOEXEC;

        if (ident[EI_CLASS] == ELFCLASS64) {
                Elf64_Ehdr h;

                if (size < sizeof(h))
                        return -EINVAL;
                memcpy(&h, data, sizeof(h));
                l = (struct layout){ ELFCLASS64, h.e_type, h.e_phoff, h.e_phentsize, h.e_phnum };
                version = h.e_version;
                if (l.n > 0 && l.entry_size != sizeof(Elf64_Phdr))
                        return -EINVAL;
        } else if (ident[EI_CLASS] == ELFCLASS32) {
                Elf32_Ehdr h;

                if (size < sizeof(h))
                        return -EINVAL;
                memcpy(&h, data, sizeof(h));
                l = (struct layout){ ELFCLASS32, h.e_type, h.e_phoff, h.e_phentsize, h.e_phnum };
                version = h.e_version;
                if (l.n > 0 && l.entry_size != sizeof(Elf32_Phdr))
                        return -EINVAL;
        } else
                return -ENOEXEC;

        if (version != EV_CURRENT || (l.type != ET_EXEC && l.type != ET_DYN))
                return -ENOEXEC;
        if (l.n > HEADERS_MAX)
                return -E2BIG;
        *ret = l;
        return 0;
}

static Elf64_Phdr get_header(const struct layout *l, const void *table, size_t i)
{
        const char *at = (const char *)table + i * l->entry_size;
        Elf64_Phdr h;
        Elf32_Phdr s;

        if (l->class_ == ELFCLASS64) {
                memcpy(&h, at, sizeof(h));
                return h;
        }
        memcpy(&s, at, sizeof(s));
        return (Elf64_Phdr){
                .p_type = s.p_type,
                .p_flags = s.p_flags,
                .p_offset = s.p_offset,
                .p_vaddr = s.p_vaddr,
                .p_filesz = s.p_filesz,
                .p_memsz = s.p_memsz,
        };
}

/* Room for rounding up to a page is part of "fits". */
static bool range_fits(uint64_t start, uint64_t size)
{
        return size <= UINT64_MAX - MM_PAGE_SIZE && start <= UINT64_MAX - MM_PAGE_SIZE - size;
}

static int add_segment(struct mm_elf *elf, const Elf64_Phdr *h)
{
        const struct mm_elf_segment *last = elf->n_segments > 0 ? elf->segments + elf->n_segments - 1 : NULL;

        if (h->p_filesz > h->p_memsz || !range_fits(h->p_vaddr, h->p_memsz) ||
            !range_fits(h->p_offset, h->p_filesz))
                return -EINVAL;
        if (h->p_memsz == 0)
                return 0;
        if (last && h->p_vaddr < last->vaddr + last->memsz)
                return -EINVAL;
        /* Nobody could map it otherwise. */
        if (h->p_filesz > 0 && (h->p_vaddr - h->p_offset) % MM_PAGE_SIZE != 0)
                return -EINVAL;
        if (elf->n_segments == MM_ELF_SEGMENTS_MAX)
                return -E2BIG;

        elf->segments[elf->n_segments++] = (struct mm_elf_segment){
                .vaddr = h->p_vaddr,
                .offset = h->p_offset,
                .filesz = h->p_filesz,
                .memsz = h->p_memsz,
                .flags = h->p_flags,
        };
        return 0;
}

static int parse_headers(const struct layout *l, const void *table, struct mm_elf *ret)
{
        struct mm_elf elf = { .type = l->type, .class_ = l->class_ };
        size_t i;
        int r;

        for (i = 0; i < l->n; i++) {
                Elf64_Phdr h = get_header(l, table, i);

                if (h.p_type == PT_LOAD) {
                        r = add_segment(&elf, &h);
                        if (r < 0)
                                return r;
                } else if (h.p_type == PT_GNU_RELRO) {
                        if (!range_fits(h.p_vaddr, h.p_memsz))
                                return -EINVAL;
                        elf.relro_vaddr = h.p_vaddr;
                        elf.relro_memsz = h.p_memsz;
                }
        }
        *ret = elf;
        return 0;
}

int mm_elf_parse(const void *data, size_t size, struct mm_elf *ret)
{
        struct layout l;
        int r;

        r = parse_layout(data, size, &l);
        if (r < 0)
                return r;
        if (l.offset > size || l.n * l.entry_size > size - l.offset)
                return -EINVAL;
        return parse_headers(&l, (const char *)data + l.offset, ret);
}

static ssize_t read_at(int fd, void *buffer, size_t size, uint64_t offset)
{
        size_t done = 0;

        while (done < size) {
                ssize_t n = pread(fd, (char *)buffer + done, size - done, (off_t)(offset + done));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                done += (size_t)n;
        }
        return (ssize_t)done;
}

/* From @size bytes that begin at @base in @fd. Program headers need not be near the beginning:
 * patchelf(1) puts them at the end. */
static int read_elf(int fd, uint64_t base, uint64_t size, struct mm_elf *ret)
{
        char header[sizeof(Elf64_Ehdr)];
        char table[HEADERS_MAX * sizeof(Elf64_Phdr)];
        struct layout l;
        ssize_t n;
        int r;

        if (base > INT64_MAX || size < sizeof(header))
                return -ENOEXEC;
        n = read_at(fd, header, sizeof(header), base);
        if (n < 0)
                return (int)n;
        r = parse_layout(header, (size_t)n, &l);
        if (r < 0)
                return r;
        if (l.offset > size || l.n * l.entry_size > size - l.offset)
                return -EINVAL;
        n = read_at(fd, table, l.n * l.entry_size, base + l.offset);
        if (n < 0)
                return (int)n;
        if ((size_t)n < l.n * l.entry_size)
                return -EINVAL;
        return parse_headers(&l, table, ret);
}

int mm_elf_read_mapped(int process_fd, uint64_t start, uint64_t end, struct mm_elf *ret)
{
        char name[sizeof("map_files/-") + 2 * 16];
        _cleanup_(closep) int fd = -EBADF;
        struct stat st;

        (void) snprintf(name, sizeof(name), "map_files/%" PRIx64 "-%" PRIx64, start, end);
        fd = openat(process_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0) {
                if (errno != EPERM && errno != EACCES)
                        return -errno;
                fd = openat(process_fd, "mem", O_RDONLY | O_CLOEXEC);
                if (fd < 0)
                        return -errno;
                return read_elf(fd, start, end - start, ret);
        }

        /* What is no regular file has no size, and nothing is read of it. */
        if (fstat(fd, &st) < 0)
                return -errno;
        return read_elf(fd, 0, (uint64_t)st.st_size, ret);
}
