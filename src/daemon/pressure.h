/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* How hard processes have to wait for CPUs and memory: /proc/pressure, accounting/psi.rst of the kernel's
 * documentation. Kernels without it, or booted with psi=0, have no pressure. */

/* Shares of the last 10 s in which somebody waited, in hundredths of a percent. For CPUs every busy machine
 * has some of that; a third of all time is where our work would be felt. */
#define PRESSURE_CPU_HIGH 3300U
#define PRESSURE_MEMORY_HIGH 500U

/* What the kernel is to report at once: 200 ms of waiting for memory within 2 s, the least window that takes
 * no capability. */
#define PRESSURE_MEMORY_TRIGGER "some 200000 2000000"

/* "some avg10=" of one file, in hundredths of a percent. 0 or -EINVAL. */
int pressure_parse(const char *text, size_t size, uint32_t *ret);

/* The same of proc/pressure/@what below @proc_fd; 0 if there is no such file. */
uint32_t pressure_read(int proc_fd, const char *what);

/* A descriptor that polls with EPOLLPRI when memory gets short. -ENOENT, -EOPNOTSUPP and others where the
 * kernel does not say. */
int pressure_open_trigger(int proc_fd);
