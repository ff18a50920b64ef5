/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/manager.h"

/* Figures of the books as entries of a dictionary a{sv} that is open in @m; dbus/org.mergemem1.Manager.xml
 * says what they mean. @f NULL: nothing is known, nothing is appended. */
int account_append(const struct account_figures *f, sd_bus_message *m);

/* Has the books describe this very moment. */
void manager_update_account(Manager *m);
