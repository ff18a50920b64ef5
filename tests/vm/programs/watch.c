// SPDX-License-Identifier: LGPL-2.1-or-later
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "case.h"
#include "pages.h"

static int open_watch(uint64_t *ret_features) {
        struct uffdio_api api = { .api = UFFD_API };
        int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

        check(fd >= 0);
        check_equal(ioctl(fd, UFFDIO_API, &api), 0);
        *ret_features = api.features;
        return fd;
}

uint64_t watch_features(void) {
        uint64_t features;

        close(open_watch(&features));
        return features;
}

/* The page of the number that it has in the area. */
static void make(struct watch *watch, uintptr_t address, char *all) {
        size_t page = (address - (uintptr_t)watch->address) / PAGE;
        struct uffdio_copy copy = {
                .dst = (uintptr_t)watch->address + page * PAGE,
                .src = (uintptr_t)all + page * PAGE,
                .len = PAGE,
        };

        watch->missing++;
        if (ioctl(watch->fd, UFFDIO_COPY, &copy) < 0)
                check_equal(errno, EEXIST);
}

static void let_go(struct watch *watch, uintptr_t address) {
        struct uffdio_writeprotect protect = {
                .range = { address & ~(PAGE - 1), PAGE },
        };

        watch->protected++;
        check_equal(ioctl(watch->fd, UFFDIO_WRITEPROTECT, &protect), 0);
}

static void *answer(void *argument) {
        struct watch *watch = argument;
        struct pollfd wait = { .fd = watch->fd, .events = POLLIN };
        struct uffd_msg message;
        char *all = mmap(NULL, watch->n * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        check(all != MAP_FAILED);
        pages_fill(all, watch->n, watch->seed);
        for (;;) {
                check(poll(&wait, 1, -1) == 1);
                if (read(watch->fd, &message, sizeof(message)) != sizeof(message))
                        continue;
                check_equal(message.event, UFFD_EVENT_PAGEFAULT);
                if (message.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP)
                        let_go(watch, message.arg.pagefault.address);
                else
                        make(watch, message.arg.pagefault.address, all);
        }
        return NULL;
}

void watch_start(struct watch *watch, char *address, size_t n, long seed) {
        struct uffdio_register reg = {
                .range = { (uintptr_t)address, n * PAGE },
                .mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP,
        };
        uint64_t features;

        memset(watch, 0, sizeof(*watch));
        watch->fd = open_watch(&features);
        watch->address = address;
        watch->n = n;
        watch->seed = seed;
        check_equal(ioctl(watch->fd, UFFDIO_REGISTER, &reg), 0);
        check_equal(pthread_create(&watch->thread, NULL, answer, watch), 0);
}

void watch_protect(struct watch *watch) {
        struct uffdio_writeprotect protect = {
                .range = { (uintptr_t)watch->address, watch->n * PAGE },
                .mode = UFFDIO_WRITEPROTECT_MODE_WP,
        };

        check_equal(ioctl(watch->fd, UFFDIO_WRITEPROTECT, &protect), 0);
}

void watch_end(struct watch *watch) {
        pthread_cancel(watch->thread);
        pthread_join(watch->thread, NULL);
        close(watch->fd);
}
