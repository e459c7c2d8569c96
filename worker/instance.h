/* SPDX-License-Identifier: MPL-2.0
 * instance.h - who this start of the worker is, and whom it replaces: DIR/instance, locked while we run.
 */
#ifndef WORKER_INSTANCE_H
#define WORKER_INSTANCE_H

#include "base/err.h"
#include "wire/wire.h"

struct instance { int fd; uint8_t id[WIRE_ID], replaces[WIRE_ID]; bool has_replaces; };

/* Makes dir (0700) and its parents if needed. BFORK_ESTATE: another worker uses it. Every failure names the directory. */
int wsh_instance_open(const char *dir, struct instance *ret, struct err *e);
void wsh_instance_close(struct instance *i);
int wsh_instance_mkdir(const char *dir, struct err *e);

#endif
