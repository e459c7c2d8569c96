/* SPDX-License-Identifier: MPL-2.0
 * in.h - what comes in: what the broker says of chunks. What the shell says of templates and processes is in worker.h. No two of
 * these files call each other.
 */
#ifndef WORKER_CORE_IN_H
#define WORKER_CORE_IN_H

#include "rules/rules.h"

/* chunks.c */
void wrk_attempt_take(struct worker *w, const struct wire_item *item);
void wrk_attempts_recall(struct worker *w, const struct wire_msg *m);
void wrk_attempt_close(struct worker *w, const struct wire_item *item);

#endif
