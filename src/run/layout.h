/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>
#include <sys/resource.h>

#include "shared/layout-group.h"

/* From the secret of a group to the layout of its processes. Pure.
 *
 * A program that is started without randomisation finds its libraries, and all else that it maps,
 * below a gap that the kernel leaves for its stack: as wide as the stack may grow, 128 MiB at least
 * and 5/6 of the address space at most (mmap_base() in arch/x86/mm/mmap.c). So a limit that is
 * raised by a secret amount moves them all to a secret place. */

/* As many places, in pages, as the kernel itself has for libraries: vm.mmap_rnd_bits by default. */
#define LAYOUT_BITS 28U

/* Below this much the kernel makes no difference. */
#define LAYOUT_GAP_MIN (UINT64_C(128) << 20)

/* What a stack that may grow without limit can grow to at least. */
#define LAYOUT_GAP_UNLIMITED (UINT64_C(64) << 30)

/* Larger limits than this leave no room for the secret under all circumstances. */
#define LAYOUT_GAP_MAX (UINT64_C(64) << 40)

/* The limits of the stack with which a program is to be executed, if it shall have @stack
 * afterwards. The stack can grow as far as it could before. Of limits up to 128 MiB the place does
 * not depend. *@ret may have a higher hard limit than @stack, which takes CAP_SYS_RESOURCE.
 * 0; -ERANGE if the limit is beyond LAYOUT_GAP_MAX. */
int layout_stack(const uint8_t secret[LAYOUT_SECRET_BYTES], const struct rlimit *stack, struct rlimit *ret);
