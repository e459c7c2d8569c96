/* SPDX-License-Identifier: MPL-2.0
 * rules.h - the rules of the broker's core: where a task goes, what ends with what, who gets which slots. Above the model, below
 * what comes in and goes out.
 *
 * Files are in an order in which each calls only those before it.
 */
#ifndef BROKER_CORE_RULES_H
#define BROKER_CORE_RULES_H

#include "../model/model.h"

/* settle.c */
bool brk_pool_refuse(struct broker *b, struct pool *p, struct job *j, uint32_t *budget); /* what it has queued; true: all */
/* What has no outcome goes back to the queue, or is settled: lost counts a try. The attempt is gone. close: why to tell the worker,
 * 0 no */
void brk_attempt_requeue(struct broker *b, struct attempt *a, bool lost, const char *text, uint8_t close);
void brk_attempt_recall(struct broker *b, struct attempt *a, uint64_t first, uint8_t why); /* why: drain or balance */
void brk_attempt_recall_again(struct broker *b, struct attempt *a); /* its worker has a new connection: what is cancelled is told */
void brk_attempt_shrink(struct broker *b, struct attempt *a, uint64_t end); /* [end, a->end) goes back in front */
/* [first, end) of it is not wanted: asked back, and not run again when it comes back. 0 or BFORK_ENOMEM. */
int brk_attempt_cancel(struct broker *b, struct attempt *a, uint64_t first, uint64_t end);
/* [from, to), for which it does not answer any more, waits again in front, its counts raised by so many. */
void brk_attempt_back(struct broker *b, struct attempt *a, uint64_t from, uint64_t to, int tries, int crashes, int fails);

/* recall.c */
void brk_lane_recall(struct broker *b, struct lane *l, uint8_t why); /* all that it was given, while it has no slots */
bool brk_lane_recall_some(struct broker *b, struct lane *l, uint32_t *budget); /* true: done */
bool brk_owner_wake_some(struct broker *b, struct owner *o, uint32_t *budget); /* true: all */

/* ack.c */
void brk_outcome_ack(struct broker *b, struct job *j, uint64_t seq);
bool brk_outcome_ack_some(struct broker *b, struct job *j, uint32_t *budget); /* up to job.ack_to; true: done */
void brk_outcome_resend(struct broker *b, struct job *j);

/* end.c */
void brk_client_end(struct broker *b, struct client *c);            /* at once for everybody else; its chore takes it apart */
void brk_pool_close(struct broker *b, struct pool *p);              /* pool and jobs end; nothing more is told of them */
void brk_job_end(struct broker *b, struct job *j);                  /* its chore takes it apart */
bool brk_job_reap(struct broker *b, struct job *j, uint32_t *budget); /* takes it apart; true: it is gone */
void brk_job_maybe_end(struct broker *b, struct job *j);
void brk_job_forget(struct broker *b, struct job *j);               /* workers do not know it any more: JOB_FORGET */
bool brk_pool_end_some(struct broker *b, struct pool *p, uint32_t *budget); /* true: it is gone */
bool brk_client_end_some(struct broker *b, struct client *c, uint32_t *budget); /* true: it is gone */

/* leave.c */
void brk_worker_end(struct broker *b, struct worker *w, const char *why);   /* at once for everybody else, as a client's */
bool brk_worker_end_some(struct broker *b, struct worker *w, uint32_t *budget); /* true: it is gone */
void brk_worker_leaves(struct broker *b, struct worker *w);                 /* its connection has ended: what is only for that */

/* away.c */
bool brk_client_away_some(struct broker *b, struct client *c, uint32_t *budget); /* true: all that it left is given back */
void brk_client_away(struct broker *b, struct client *c);          /* brk_client_away_some, now and as a chore */
void brk_client_detach(struct broker *b, struct client *c);         /* its connection has ended */
void brk_client_dormant(struct broker *b, struct client *c);        /* and has been gone for a while */
void brk_detached_limit(struct broker *b, struct owner *o);         /* the oldest ends if there are too many */

/* session.c */
void brk_session_lost(struct broker *b, struct peer *p);            /* the connection is gone */
void brk_session_drop(struct broker *b, struct peer *p, const char *why);  /* it is cut, and may resume its session */
void brk_session_break(struct broker *b, struct peer *p);           /* the same, for want of memory */
void brk_session_bye(struct broker *b, struct peer *p);
/* The session ends: ERROR, then CUT; counted. */
void brk_session_fail(struct broker *b, struct peer *p, int code, const char *format, ...) __attribute__((format(printf, 4, 5)));
void brk_session_cut(struct broker *b, struct peer *p);             /* brk_session_lost without a limit: HELLO took it over */

/* refuse.c */
void brk_request_refused(struct broker *b, struct peer *p, uint32_t request, const struct refusal *r);
/* The pool or job of this handle, if there is one, is gone; the client is told with this request. */
void brk_pool_refused(struct broker *b, struct client *c, uint32_t request, uint32_t handle, const struct refusal *r);
void brk_job_refused(struct broker *b, struct client *c, uint32_t request, uint32_t handle, const struct refusal *r);

/* tries.c */
void brk_tries_tell(struct broker *b, struct job *j, const struct run *s, uint64_t first, uint64_t end);
bool brk_tries_tell_some(struct broker *b, struct job *j, uint32_t *budget); /* of job.to_tell; true: all */
void brk_tries_send(struct broker *b);

/* bind.c */
void brk_job_bind(struct broker *b, struct job *j);                 /* brk_job_bind_some, now and as a chore */
bool brk_job_bind_some(struct broker *b, struct job *j, uint32_t *budget); /* live attempts get their lanes, are told; true: all */

/* fail.c */
void brk_pool_failed(struct broker *b, struct worker *w, const struct wire_pool_failed *f);
void brk_pool_crowded(struct broker *b, struct lane *l);            /* there is no room for its specification at the worker */
void brk_pool_check_doubts(struct broker *b);                       /* a worker has come or gone */
void brk_pool_tick(struct broker *b, uint64_t *next);
void brk_pool_check_failed(struct broker *b, struct pool *p);

/* recover.c */
/* A record of HOLDING. 0, BFORK_ENOMEM, or BFORK_EQUOTA: TOO_MANY_FOREIGN. */
int brk_recover_held(struct broker *b, struct worker *w, const struct wire_item *it);
/* HOLDING is complete: what it did not name has never arrived. */
void brk_recover_seen(struct broker *b, struct worker *w, struct attempt *a);
void brk_worker_ready(struct broker *b, struct worker *w);          /* all of it was seen */

/* cancel.c */
bool brk_cancel_some(struct broker *b, struct job *j, uint32_t *budget); /* true: all that can be done now, or none before room */
int brk_cancel_begin(struct broker *b, struct job *j, struct cancel now); /* 0, BFORK_ENOMEM or _EQUOTA: nothing was begun */

/* replay.c */
bool brk_replay_room(struct broker *b, struct job *j);                       /* for what was put off; true: its client was told */
void brk_replay_stays(struct job *j, const struct wire_item *it);   /* it is left to its client, which sends it again */
void brk_replay_put_off(struct broker *b, struct job *j, const struct wire_item *it); /* from this one on they are */
bool brk_replay_lenient(const struct job *j, const struct wire_item *it); /* a limit ends no job for it */
/* The front of an item, as far as one place reaches. 0, 1: it has no room; < 0: no memory. */
int brk_replay_step(struct broker *b, struct job *j, struct wire_item *it);

/* tick.c */
void brk_session_tick(struct broker *b, uint64_t *next);
void brk_job_release_held(struct broker *b, uint64_t *next);

/* share.c */
bool brk_lane_barred(const struct broker *b, const struct lane *l); /* it cannot run there: for good, or for a while */
uint64_t brk_pool_wanted(struct broker *b, const struct pool *p, uint32_t total); /* slots, of those that it could have */
void brk_share_charge(struct broker *b);                            /* slot time since the last run, to those that had work */
void brk_share_level(struct broker *b);                             /* who was idle has not saved up much */
uint64_t brk_share_demands(struct broker *b, uint32_t total, bool by_tasks); /* of all; sets demand and target of each */
void brk_share_owners(struct broker *b, uint64_t slots);
void brk_share_pools(struct owner *o);

/* place.c */
uint32_t brk_slots_at_most(uint64_t a, uint64_t b);
/* False: for want of memory not all was placed. *ret_waits: a pool has no slot where it can run, and is looked at again. */
bool brk_place_run(struct broker *b, uint32_t total, bool *ret_waits);

/* grant.c */
void brk_grant_run(struct broker *b);
void brk_offers_run(struct broker *b);                              /* what pools without work would have, when that has changed */

/* dispatch.c */
void brk_dispatch_run(struct broker *b);

#endif
