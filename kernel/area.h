/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MERGEMOD_AREA_H
#define MERGEMOD_AREA_H

#include <linux/mm.h>

#include "uapi/linux/mergemod.h"

struct target;

int area_check(struct vm_area_struct *vma);
bool area_is_walked(struct vm_area_struct *vma);
bool area_has_file_pages(struct vm_area_struct *vma);
bool area_fits_huge(struct vm_area_struct *vma);
bool area_gets_huge(struct vm_area_struct *vma);
int area_forbid_huge(struct target *target, struct vm_area_struct *vma, enum mergemod_huge mode);
int area_has_huge(struct mm_struct *mm, unsigned long address, unsigned long *ret_start,
		  unsigned long *ret_end);
void area_was_merged(struct vm_area_struct *vma);
int area_allow_huge(struct target *target, struct mm_struct *mm, unsigned long start, unsigned long end);

#endif
