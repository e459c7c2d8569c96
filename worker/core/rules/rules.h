/* SPDX-License-Identifier: MPL-2.0
 * rules.h - what follows from what: who gets work, what comes back, which lanes start, stop and fail. Above model; a file
 * calls those above it in this list.
 */
#ifndef WORKER_CORE_RULES_H
#define WORKER_CORE_RULES_H

#include "model/model.h"

/* staff.c */
void wrk_proc_staff(struct worker *w); /* starts processes as grants allow and queues need, stops those that are too many */
void wrk_proc_need(struct worker *w, const struct lane *l);        /* its queue has grown: are processes missing? */
/* back.c */
void wrk_attempt_return(struct worker *w, struct attempt *a, uint64_t from); /* not below pushed; finishes it if nothing is left */
void wrk_attempt_queue_front(struct worker *w, struct attempt *a); /* from a process; what was recalled goes on to the broker */
void wrk_attempt_recall(struct worker *w, struct attempt *a, const struct wire_item *i);   /* the broker asks for it */
void wrk_attempt_hand_back(struct worker *w, struct attempt *a);   /* what of it has not begun; what runs goes on */
void wrk_attempt_kill(struct worker *w, struct attempt *a);        /* nothing of it is wanted: what runs of it is killed */
void wrk_attempt_lost(struct worker *w, struct attempt *a);        /* no memory to keep its results: the broker will miss it */
void wrk_proc_retract(struct worker *w, struct proc *p, uint32_t max); /* wholly untouched attempts go back to the queue */
void wrk_procs_retract(struct worker *w);                          /* all of them, whatever has not begun */
void wrk_proc_kill(struct worker *w, struct proc *p, const char *why);
void wrk_proc_check_head(struct worker *w, struct proc *p);        /* kills it if what it runs now is not wanted */
/* start.c */
void wrk_lane_start(struct worker *w, struct lane *l);
void wrk_lane_stop(struct worker *w, struct lane *l, enum lane_event event);  /* its template and processes go, as of event */
void wrk_lane_free(struct worker *w, struct lane *l);
void wrk_lane_evict(struct worker *w);                             /* templates that are too many, and lanes that nobody finds */
void wrk_lane_tick(struct worker *w);                              /* those whose pause is over */
/* fail.c */
void wrk_lane_tell(struct worker *w, struct lane *l);              /* the broker, that it has failed */
/* leave: it ends here, its tasks go back. fail: that is an error of the pool. back_off: it is started again, so often. */
void wrk_lane_leave(struct worker *w, struct lane *l, int32_t code, const char *stage, const char *text);
void wrk_lane_fail(struct worker *w, struct lane *l, int32_t code, const char *stage, const char *text);
void wrk_lane_back_off(struct worker *w, struct lane *l, const char *stage, const char *text);
/* grant.c */
void wrk_lane_grant(struct worker *w, const struct wire_grant *g);
void wrk_lane_stale_all(struct worker *w);                         /* a new connection: pools and jobs are told anew */
void wrk_lane_unbind_idle(struct worker *w);                       /* those that are stale and of which nothing is here */
void wrk_lane_unbind_all(struct worker *w);                        /* the broker forgot every handle */
void wrk_lane_expire(struct worker *w, struct lane *l);            /* its slots of before this connection, when they are done */
/* feed.c */
void wrk_lane_feed(struct worker *w, struct lane *l);
/* lease.c */
void wrk_lease_out(struct worker *w, const char *why);              /* it has passed, or the session has ended */
void wrk_lease_in(struct worker *w);                               /* the broker has answered */

#endif
