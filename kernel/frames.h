/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef MERGEMOD_FRAMES_H
#define MERGEMOD_FRAMES_H

#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/page_ref.h>
#include <linux/uidgid.h>

#include "domain.h"

/**
 * struct frame - a shared frame
 * @node: in its bucket
 * @domain: who may share it
 * @hash: of its content
 * @page: the memory; this table has one reference, every mapping another
 * @refs_max: with so many references it gets no further users
 * @owner: for whom it counts
 */
struct frame {
	struct hlist_node node;
	struct domain domain;
	u64 hash;
	struct page *page;
	int refs_max;
	kuid_t owner;
};

/* References that a frame has at most by merging, but for a batch of each other session meanwhile. */
#define FRAME_REFS_MAX 640

/* A count that has become negative is no room. */
static inline bool frame_has_room(const struct page *page, int refs_max)
{
	int refs = page_ref_count(page);

	return refs > 0 && refs < refs_max;
}

int frames_init(void);
void frames_exit(void);

struct frame *frame_new(kuid_t owner, int node, bool wait);
void frame_free(struct frame *frame);
void frame_fill(struct frame *frame, u64 hash, const struct domain *domain, struct page *source);

u64 frames_hash(struct page *source);
struct page *frames_find(u64 hash, const struct domain *domain, int node, int *ret_refs_max);
void frames_publish(struct frame *frame);
unsigned long frames_sweep(unsigned long n, bool wait);

unsigned long frames_max(void);
unsigned long frames_count(void);
unsigned long frames_mappings(void);

#endif
