/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/worker-protocol.h"
#include "shared/macro.h"

/* One packet of the protocol, with room for the largest. */
union worker_packet {
        struct worker_header header;
        struct worker_done done;
        struct worker_progress progress;
        struct worker_resolve resolve;
        struct worker_resolved resolved;
        struct worker_begin begin;
        struct worker_library library;
        struct worker_target target;
        struct worker_scanned scanned;
        struct worker_matched matched;
        struct worker_group_row group;
        struct worker_owner owner;
        struct worker_parts parts;
        struct worker_places places;
        struct worker_domain domain;
        struct worker_total total;
        struct worker_plan plan;
        struct worker_ranges ranges;
        struct worker_advised advised;
        struct worker_ksm ksm;
        struct worker_measured measured;
        struct worker_merge merge;
        struct worker_merged merged;
        struct worker_refused refused;
        struct worker_ksm_row ksm_row;
        struct worker_library_row library_row;
        struct worker_looked looked;
        struct worker_usage usage;
        struct worker_usage_row usage_row;
        struct worker_pages pages;
        struct worker_runs runs;
        struct worker_share share;
        struct worker_shared shared;
        uint8_t bytes[WORKER_PACKET_MAX];
};

/* Starts a packet: zeroes its fixed part of @fixed bytes and sets the header. */
void worker_packet_init(union worker_packet *p, uint32_t type, size_t fixed);

/* Appends @text behind the fixed part, cut where the packet ends. */
void worker_packet_text(union worker_packet *p, const char *text);

/* The string behind a fixed part of @fixed bytes of a received packet; always ends in NUL. */
const char *worker_packet_get_text(union worker_packet *p, size_t fixed);

/* Sends @p, with @fd if it is not negative. Blocks. 0 or -errno. */
int worker_send(int socket_fd, const union worker_packet *p, int fd);

/* Receives one packet. 1; 0 when the other side is gone; -EAGAIN with MSG_DONTWAIT in @flags and
 * nothing there; -EBADMSG for what is no packet. *@ret_fd, which may be NULL: a descriptor that came
 * with it, or negative. */
int worker_receive(int socket_fd, int flags, union worker_packet *ret, int *ret_fd);
