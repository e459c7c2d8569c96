/* SPDX-License-Identifier: MPL-2.0
 * rules.h - what the client core decides about its objects. They stand below in an order in which each calls only those before it,
 * and the model. The doors (session.c: the connection, send.c: a flush, check.c) call them, and none of each other.
 */
#ifndef LIBCLIENT_CORE_RULES_H
#define LIBCLIENT_CORE_RULES_H

#include "model/model.h"

/* settle.c */
void ses_settle_tell(struct session_job *j, const struct wire_item *item);  /* the unsettled parts of an item: settled, and told */
void ses_settle_untold(struct session_job *j, uint64_t first);  /* of an abandoned job: tasks from first on are settled, untold */

/* refuse.c */
bool ses_refuse_rest(struct session_job *j);                /* settles what is unsettled; false: out of memory, for now */
void ses_refuse_job(struct session *s, uint32_t handle, struct wire_str text);
void ses_refuse_pool(struct session *s, struct session_pool *p, struct wire_str text);
void ses_refuse_task(struct session_job *j, uint64_t index, const char *text);  /* it is settled as REFUSED, here */

/* cancel.c */
bool ses_cancel_check(const struct session_job *j);         /* false: something that is to be said is forgotten */
void ses_cancel_untold(struct session_job *j);              /* a new connection: nothing of it counts as told */
void ses_cancel_over(struct session *s, struct question *q); /* all of its tasks have their outcome, and nothing is to be asked */
void ses_cancel_answered(struct session *s, uint32_t request, uint64_t cancelled);
void ses_cancel_rewound(struct session_job *j);             /* tasks count as not sent: the cancelled ones never are */
void ses_cancel_send(struct session *s);
bool ses_cancel_can_ask(const struct session_job *j, const struct question *q); /* its tasks have gone out */

/* rewind.c */
void ses_rewind_job(struct session_job *j, uint64_t next);  /* what is not settled from next on counts as not sent */
void ses_rewind_state(struct session *s, const struct wire_job_state *w);

/* look.c: has the broker lost something of a job that does not move? */
void ses_look_tick(struct session *s, uint64_t now);
void ses_look_send(struct session *s, uint64_t now);
void ses_look_seen(struct session *s, const struct wire_msg *m);

/* said.c */
void ses_said_reset(struct session *s);                     /* another epoch numbers its pieces anew */
void ses_said_items(struct session *s, const struct wire_msg *m);
void ses_said_ended(struct session_job *j, const struct wire_item *i);
void ses_said_ack(struct session *s);

/* outcome.c */
void ses_outcome_items(struct session *s, const struct wire_msg *m);
void ses_outcome_settle(struct session_job *j, const struct wire_item *i);
void ses_outcome_assigned(struct session *s, const struct wire_msg *m);

#endif
