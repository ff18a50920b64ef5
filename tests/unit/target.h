/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sizes in target-library.c, with pages to spare in every part. */
#define TARGET_RELRO_POINTERS 2048
#define TARGET_DATA_BYTES (5 * 4096)
#define TARGET_BSS_BYTES (1200 * 1024)
