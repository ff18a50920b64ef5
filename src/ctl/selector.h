/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

/* The "what" of the service's methods, as the user said it: dbus/org.mergemem1.Manager.xml. */
enum selector_kind {
        SELECTOR_COMM,
        SELECTOR_EXE,
        SELECTOR_CGROUP,
        SELECTOR_UNIT,
        SELECTOR_USER,
        SELECTOR_SHLIB,
        SELECTOR_KIND_MAX_
};

struct selector {
        struct {
                char **items;
                size_t n;
        } names[SELECTOR_KIND_MAX_];
        uint32_t *pids;
        size_t n_pids;
        bool all;
        bool force;
        bool others;
        const char *trust;     /* NULL: the service's default */
        const char *mechanism; /* NULL: the service's choice */
        const char *huge_pages; /* NULL: as for mechanism */
};

/* All: 0, -EINVAL for what cannot be such a value, -ENOMEM. Relative paths are completed, never
 * resolved: only the service sees the file that is meant. */
int selector_add(struct selector *s, enum selector_kind kind, const char *value);
int selector_add_pid(struct selector *s, const char *value);
int selector_set_trust(struct selector *s, const char *value);
int selector_set_mechanism(struct selector *s, const char *value);
int selector_set_huge_pages(struct selector *s, const char *value);

/* Whether nothing narrows down the processes and --all was not given either. */
bool selector_is_empty(const struct selector *s);

/* Appends the dictionary. -EINVAL: a value is not UTF-8 and cannot travel; this has been said then. */
int selector_append(const struct selector *s, sd_bus_message *m);

void selector_done(struct selector *s);
