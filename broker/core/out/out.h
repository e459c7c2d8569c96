/* SPDX-License-Identifier: MPL-2.0
 * out.h - from what has changed to messages. Never decides what is sent, only when.
 *
 * Files are in an order in which each calls only those before it.
 */
#ifndef BROKER_CORE_OUT_H
#define BROKER_CORE_OUT_H

#include "../rules/rules.h"

/* message.c */
struct wire_item *brk_out_items(struct broker *b, size_t n);        /* zeroed, with room for the message; NULL: in the next turn */
struct wire_msg *brk_out_message(struct broker *b, struct peer *p, enum wire_type type, struct wire_item *items, size_t n);
void brk_out_hold(struct broker *b, const struct wire_item *it);    /* its slices, until the message is sent */
size_t brk_out_most(size_t n);                                      /* of which one message takes so many */

/* specs.c */
void brk_specs_pong(struct broker *b, struct worker *w, uint64_t stamp);
bool brk_specs_fit(struct worker *w, const struct buf *spec);       /* false: something waits (specs_full) */
void brk_specs_mark(struct broker *b, struct worker *w);            /* a PING behind those that are on the way */

/* shelf.c */
int brk_shelf_job(struct broker *b, struct known *k);
int brk_shelf_pool(struct broker *b, struct lane *l);

/* worker.c */
void brk_compose_worker(struct broker *b, struct worker *w);

/* client.c */
void brk_compose_client(struct broker *b, struct client *c);

/* compose.c */
void brk_compose_run(struct broker *b);

#endif
