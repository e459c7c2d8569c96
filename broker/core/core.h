/* SPDX-License-Identifier: MPL-2.0
 * core.h - the doors of the broker's core, above all its floors. Outside of broker/core only broker.h is included.
 */
#ifndef BROKER_CORE_CORE_H
#define BROKER_CORE_CORE_H

#include "in/in.h"
#include "out/out.h"

/* from_client.c */
void brk_client_recv(struct broker *b, struct peer *p, const struct wire_msg *m);

/* from_worker.c */
bool brk_worker_join(struct broker *b, struct worker *w, uint32_t *budget); /* true: it is ready, or waits for more, or is gone */
void brk_worker_recv(struct broker *b, struct peer *p, const struct wire_msg *m);

/* chores.c */
void brk_chores_run(struct broker *b, bool all);                            /* all: to their ends */

/* recount.c */
bool brk_recount_accounts(struct broker *b);                        /* false: b->check_text says what differs */

#endif
