/* SPDX-License-Identifier: MPL-2.0
 * in.h - messages as they come in, a file for each group of them. None of these calls another.
 */
#ifndef BROKER_CORE_IN_H
#define BROKER_CORE_IN_H

#include "../rules/rules.h"

/* hello.c */
void brk_session_hello(struct broker *b, struct peer *p, const struct wire_msg *m);

/* pool.c */
int brk_pool_open(struct broker *b, struct client *c, const struct wire_msg *m, struct refusal *r);
int brk_pool_take_close(struct broker *b, struct client *c, uint32_t handle, struct refusal *r);

/* job.c */
int brk_job_open(struct broker *b, struct client *c, const struct wire_msg *m, struct refusal *r);
int brk_job_take_close(struct broker *b, struct client *c, uint32_t handle, struct refusal *r);

/* tasks.c */
void brk_tasks_take(struct broker *b, struct client *c, const struct wire_msg *m);
bool brk_tasks_take_some(struct broker *b, struct job *j, uint32_t *budget); /* of those that wait; true: all, and j may be gone */

/* cancel.c */
void brk_cancel_tasks(struct broker *b, struct client *c, const struct wire_msg *m);

/* look.c */
void brk_look_tasks(struct broker *b, struct client *c, const struct wire_msg *m);

/* acks.c */
void brk_attempt_assigned(struct broker *b, struct client *c, const struct wire_msg *m);
void brk_outcome_acks(struct broker *b, struct client *c, const struct wire_msg *m);
void brk_said_ack(struct broker *b, struct client *c, uint64_t seq);

/* results.c */
void brk_attempt_results(struct broker *b, struct worker *w, const struct wire_msg *m);

/* recalled.c */
void brk_asks_told(struct broker *b, struct worker *w, const struct wire_msg *m);

/* output.c */
void brk_said_take(struct broker *b, struct worker *w, const struct wire_msg *m);

/* holding.c */
void brk_worker_wait_behind(struct broker *b, struct worker *w, const struct wire_msg *m); /* while worker_is_behind */
/* Records of HOLDING, as far as the budget goes. False: the session has failed, and the worker may be gone. */
bool brk_holding_look(struct broker *b, struct worker *w, struct holding *h, uint32_t *budget);

/* worker.c */
void brk_worker_stands(struct broker *b, struct worker *w, const struct wire_worker_state *s);

/* status.c */
void brk_status_get(struct broker *b, struct peer *p, const struct wire_msg *m);

#endif
