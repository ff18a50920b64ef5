/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

/* org.freedesktop.LogControl1(5): "systemctl service-log-level mergememd debug". */
int log_control_attach(sd_bus *bus);
