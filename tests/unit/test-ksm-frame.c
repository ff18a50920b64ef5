/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <glib.h>
#include <linux/kernel-page-flags.h>
#include <sys/mman.h>

#include "lib/ksm-frame.h"
#include "shared/macro.h"

#define PAGE 4096U
#define BIT(name) (UINT64_C(1) << KPF_##name)
#define ANON (BIT(ANON) | BIT(SWAPBACKED))

static void test_judge(void)
{
        static const struct {
                uint64_t flags;
                bool vague;
                uint32_t page, area;
                bool ksm;
        } cases[] = {
                { ANON, false, 0, 0, false },
                { ANON, true, 0, MM_VM_HAS_KSM, false },
                /* Where the kernel knows, it is believed, whatever else it says. */
                { ANON | BIT(KSM), false, MM_PAGE_EXCLUSIVE, 0, true },
                { ANON | BIT(KSM), false, 0, MM_VM_HAS_KSM, true },
                { ANON | BIT(KSM), true, 0, MM_VM_HAS_KSM | MM_VM_MERGEABLE, true },
                { ANON | BIT(KSM), true, MM_PAGE_EXCLUSIVE, MM_VM_HAS_KSM, false },
                { ANON | BIT(KSM), true, 0, MM_VM_MERGEABLE, false },
                { ANON | BIT(KSM), true, MM_PAGE_EXCLUSIVE, 0, false },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const struct mm_page page = { .flags = MM_PAGE_PRESENT | cases[i].page };
                uint64_t flags = mm_ksm_judge(cases[i].flags, cases[i].vague, &page, cases[i].area);

                g_test_message("%zu", i);
                g_assert_cmphex(flags, ==, ANON | (cases[i].ksm ? BIT(KSM) : 0));
        }
}

/* Each page is judged by the area that it lies in. */
static void test_areas(void)
{
        struct mm_vmflags items[] = {
                { .start = PAGE, .end = 3 * PAGE, .flags = MM_VM_HAS_KSM },
                { .start = 3 * PAGE, .end = 4 * PAGE, .flags = MM_VM_MERGEABLE },
                { .start = 6 * PAGE, .end = 7 * PAGE, .flags = MM_VM_HAS_KSM },
        };
        struct mm_ksm_areas a = { .items = items, .n = ELEMENTSOF(items), .vague = true };

        for (uint64_t i = 0; i < 8; i++) {
                const struct mm_page page = { .address = i * PAGE, .flags = MM_PAGE_PRESENT };
                uint64_t flags = ANON | BIT(KSM);

                g_assert_cmphex(mm_ksm_areas_judge(&a, &page, flags), ==,
                                i == 1 || i == 2 || i == 6 ? flags : ANON);
                g_assert_cmphex(mm_ksm_areas_judge(&(struct mm_ksm_areas) {}, &page, flags), ==, flags);
        }
}

/* Pages that nobody can have merged, on this kernel, and as on one that does not know. */
static void test_kernel(void)
{
        enum { N = 64 };
        _cleanup_(closep) int proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(closep) int self_fd = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
        uint8_t *p = mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        struct mm_kpage k;

        g_assert_true(p != MAP_FAILED);
        mm_kpage_open(proc_fd, &k);
        mm_kpage_probe_ksm(&k);
        for (int vague = k.ksm_is_vague; vague <= 1; vague++) {
                struct mm_ksm_areas a;
                size_t n_believed = 0;

                k.ksm_is_vague = vague;
                g_assert_cmpint(mm_ksm_areas_read(&k, self_fd, &a), ==, 0);
                for (size_t i = 0; i < N; i++) {
                        struct mm_page page = { .address = (uintptr_t) p + i * PAGE };
                        uint64_t flags;

                        p[i * PAGE] = 1;
                        page.frame = mm_frame_at(p + i * PAGE);
                        g_assert_cmpint(mm_kpage_flags(&k, page.frame, &flags, 1), ==, 1);
                        n_believed += (mm_ksm_areas_judge(&a, &page, flags) & BIT(KSM)) != 0;
                }
                g_assert_cmpuint(n_believed, ==, 0);
                mm_ksm_areas_done(&a);
        }
        mm_kpage_done(&k);
        munmap(p, N * PAGE);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/ksm-frame/judge", test_judge);
        g_test_add_func("/ksm-frame/areas", test_areas);
        g_test_add_func("/ksm-frame/kernel", test_kernel);
        return g_test_run();
}
