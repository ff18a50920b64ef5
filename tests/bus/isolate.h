/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Goes on in namespaces of its own for processes and mounts, so that the test sees its own
 * processes only, nobody else sees what it does to them, and nothing outlives it. Returns in a new
 * process; the caller's own waits for it and exits as it did. */
void isolate(void);
