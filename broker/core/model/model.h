/* SPDX-License-Identifier: MPL-2.0
 * model.h - the objects of the broker's core: found, made, moved, freed; their lists and sums, and notes for the next flush.
 * Decides nothing about tasks.
 *
 * Files are in an order in which each calls only those before it. They include no other header of the core, so that a call upward
 * does not compile. What returns int: 0, or < 0 and, where there is a struct refusal, why.
 */
#ifndef BROKER_CORE_MODEL_H
#define BROKER_CORE_MODEL_H

#include "../state.h"

/* moves.c: false: it comes too late, nothing has changed */
bool brk_peer_move(struct peer *p, enum peer_event e);
bool brk_client_move(struct client *c, enum client_event e);
bool brk_worker_move(struct worker *w, enum worker_event e);
const char *brk_worker_state_name(const struct worker *w);
bool brk_pool_move(struct broker *b, struct pool *p, enum pool_event e);
bool brk_job_move(struct job *j, enum job_event e);
bool brk_attempt_move(struct attempt *a, enum attempt_event e);

/* memory.c */
void *brk_mem_new(struct broker *b, size_t size);                   /* zeroed */
void brk_mem_free(struct broker *b, void *p, size_t size);
void *brk_mem_new_for(struct broker *b, struct account *a, size_t size);
void brk_mem_free_for(struct broker *b, struct account *a, void *p, size_t size);
void *brk_cache_get(struct broker *b, struct cache *c, struct account *a);  /* zeroed; NULL: no memory */
void brk_cache_put(struct broker *b, struct cache *c, void *p, struct account *a);
void brk_cache_free(struct broker *b, struct cache *c);
/* Makes room for so many, besides what attempts keep: giving an attempt back cuts its ends (two ranges), and each piece and each
 * cancel may part it once more, which makes a range and an outcome. How many: constants named ..._ROOM, each beside what it is
 * for; they are what that needs at worst, and some to spare, which costs nothing: what is not used stays in the free lists. */
int brk_reserve(struct broker *b, size_t ranges, size_t outcomes);
struct buf *brk_slab_new(struct account *a, size_t capacity);
struct buf *brk_bytes_copy(struct account *a, const void *p, size_t n);
struct buf *brk_bytes_charge(struct account *a, struct buf *of);    /* consumes `of`; NULL: no memory */
/* A slice of one's own of what came in a frame: refers to it, or copies. 0 or BFORK_ENOMEM. */
int brk_bytes_keep(struct broker *b, struct account *a, struct slice from, struct slice *ret);
void brk_loan_forget(struct broker *b);                             /* the frame was taken in */
uint64_t brk_buf_cost(const struct buf *s);
struct account *brk_account_new(struct account *above);             /* NULL: no memory */
struct account *brk_account_ref(struct account *a);
void brk_account_unref(struct account *a);
/* Every object that a peer makes us hold, in the size of its allocation. Bufs charge themselves. */
void brk_account_charge(struct account *a, size_t size);
void brk_account_release(struct account *a, size_t size);
uint64_t brk_account_cost(size_t size);                             /* what that is */
struct account *brk_buf_account(struct buf *s);                     /* NULL: nobody's */

/* refusal.c */
int brk_refuse(struct refusal *r, int code, const char *field, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* 0, or the first value that means something this release has no code for. */
int brk_refuse_pool_spec(const struct wire_pool_spec *s, struct refusal *r);
int brk_refuse_job_spec(const struct wire_job_spec *s, struct refusal *r);

/* account.c. What returns int: 0, or BFORK_EQUOTA, and r says what the limit is and what is held. */
uint64_t brk_account_held(const struct account *a);
uint64_t brk_account_outcomes_max(const struct broker *b);          /* of one owner, not acknowledged: then it is given no work */
int brk_account_takes_session(const struct broker *b, const struct owner *o, struct refusal *r);
int brk_account_takes_pool(const struct broker *b, const struct client *c, uint32_t handle, size_t spec, struct refusal *r);
int brk_account_takes_job(const struct broker *b, const struct client *c, uint32_t handle, size_t spec, struct refusal *r);
int brk_account_takes_cancel(const struct broker *b, const struct owner *o);
uint64_t brk_account_requests_max(uint64_t memory);                  /* what of an owner's memory is for requests */
int brk_account_takes_tasks(const struct broker *b, const struct owner *o, uint64_t more, struct refusal *r);
int brk_account_takes_parked(const struct broker *b, const struct owner *o);
int brk_account_takes_foreign(const struct broker *b, const struct worker *w, uint64_t more);

/* keyed.c */
uint64_t brk_keyed_hash(const struct broker *b, const uint8_t *key, const uint8_t *instance);   /* instance may be NULL */
int brk_keyed_put(struct map *m, struct keyed *k, uint64_t hash);   /* 0 or BFORK_ENOMEM */
void brk_keyed_take(struct map *m, struct keyed *k);

/* number.c: what workers know a pool or a job by */
uint32_t brk_number_new(struct broker *b, void *whose); /* not 0 and nobody's; a cell of b->numbers is reserved */
void brk_number_free(struct broker *b, uint32_t number); /* it is gone: the number may be another's */

/* ended.c */
void brk_ended_add(struct broker *b, const struct job *j);
bool brk_ended_has(const struct broker *b, const uint8_t *key, const uint8_t *id); /* lately, since this start of the broker */
void brk_ended_free(struct broker *b);

/* effect.c */
void *brk_effect_bytes(struct broker *b, size_t n);                 /* lives as long as the effects; NULL: no memory */
int brk_effect_reserve(struct broker *b, size_t n);
/* NULL: no memory; heads are the caller's */
struct wire_msg *brk_effect_send(struct broker *b, struct peer *p, enum wire_type type);
int brk_effect_hold(struct broker *b, struct buf *buf);
/* What a peer can bring about as often as it likes: whose doing it is (a key, an instance), for the shell to limit its lines. */
void brk_effect_log_of(struct broker *b, const void *whose, size_t n, int level, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* About a session of this key that begins or ends. */
void brk_effect_log_session(struct broker *b, const uint8_t *key, int level, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void brk_effect_log_key(struct broker *b, const uint8_t *key, int level, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
struct wire_str brk_effect_text(struct broker *b, const char *format, va_list ap);
void brk_effects_clear(struct broker *b, struct batch *t);
void brk_effects_free(struct broker *b, struct batch *t);
struct broker_effect *brk_effect_new(struct broker *b, enum broker_effect_type type); /* NULL: no memory */

/* chore.c */
void brk_chore_add(struct broker *b, struct owner *o, struct chore *c, enum chore_kind kind);
void brk_chore_forget(struct broker *b, struct owner *o, struct chore *c);  /* if it is one */
/* It goes on when brk_chores_room is said of its owner. */
void brk_chore_wait(struct broker *b, struct owner *o, struct chore *c, enum chore_kind kind);
void brk_chores_room(struct broker *b, struct owner *o);                    /* something of it has ended */
uint32_t *brk_chore_budget(struct broker *b, struct owner *o);              /* of its messages in this turn */

/* owner.c */
struct owner *brk_owner_get(struct broker *b, const uint8_t *key);
struct owner *brk_owner_find(const struct broker *b, const uint8_t *key);   /* NULL: nothing of it is here */
void brk_owner_unref(struct broker *b, struct owner *o);

/* active.c */
void brk_pool_active(struct pool *p, bool later);
void brk_pool_idle(struct pool *p);                                 /* neither: it has no tasks and no slots */
void brk_pool_changed(struct broker *b, struct pool *p);            /* it wants other slots than before: grants are made anew */
#define ACTIVE_EACH(b, p) struct pool *p = brk_active_next((b), NULL); p; p = brk_active_next((b), p)
void brk_grant_workers_changed(struct broker *b);                   /* who there is, or how many slots they have */
struct pool *brk_active_next(const struct broker *b, const struct pool *p);

/* need.c */
void brk_needs_init(struct pool *p, uint64_t features);
void brk_need_join(struct broker *b, struct job *j);                /* its pool has it now */
void brk_need_leave(struct job *j);
void brk_need_opened(struct pool *p, struct need *k, int64_t n);    /* so many tasks more are of jobs that are open */
/* Those of n_tasks that may be handed out, or were; tasks of jobs that the client has yet to open again are not among them. */
uint64_t brk_need_due(const struct pool *p, const struct need *k);
bool brk_pool_is_picky(const struct pool *p);                       /* it may be that not every worker can run all of it */
bool brk_pool_runs_at(const struct pool *p, const struct worker *w); /* some of what is due; if nothing is: the pool itself */
/* Tasks that are due and that a ready worker can run. *ret_lacks: features that the others wait for; 0: there are no others. */
uint64_t brk_pool_tasks_somewhere(const struct broker *b, const struct pool *p, uint64_t *ret_lacks);
uint64_t brk_need_reach(const struct pool *p, const struct need *k); /* slots that the pool has where it can run */
struct need *brk_need_poorest(struct pool *p, uint32_t *tried);     /* with tasks due, that of least reach; NULL: all were tried */
size_t brk_pool_ready(const struct pool *p);                        /* jobs with queued tasks */
bool brk_pool_ready_at(const struct pool *p, const struct worker *w); /* is one of them for this worker? */
void brk_job_takes_turn(struct job *j);                             /* it is ready, and comes after those that are */
struct job *brk_job_of_turn(struct pool *p, const struct worker *w); /* the first of those for this worker; NULL: none */
uint32_t brk_needs_at(const struct pool *p, const struct worker *w); /* a bit for each that the worker meets */
bool brk_pool_claims(const struct pool *p);                         /* it has work that may be handed out */

/* note.c */
void brk_peer_dirty(struct broker *b, struct peer *p);              /* a PONG or an ack is due */
void brk_client_dirty(struct broker *b, struct client *c);
void brk_worker_dirty(struct broker *b, struct worker *w);
void brk_pool_wake(struct broker *b, struct pool *p);               /* all its lanes may have room */
void brk_pool_work(struct broker *b, struct pool *p);
void brk_pool_tell(struct broker *b, struct pool *p);
void brk_job_ready(struct broker *b, struct job *j);
void brk_attempt_recall_due(struct broker *b, struct attempt *a);   /* its worker is to hear one */
void brk_attempt_recalled(struct attempt *a);                       /* it has said what comes of that */
void brk_lane_open(struct broker *b, struct lane *l);
void brk_lane_grant_due(struct broker *b, struct lane *l);
void brk_job_sending(struct broker *b, struct job *j);              /* its outcomes may go out, if nothing is in front of them */
void brk_cancel_wake(struct broker *b, struct job *j);                  /* something of it has come, or is not held any more */
void brk_cancels_unstop(struct broker *b, struct owner *o);             /* its account takes outcomes again */

/* sum.c */
void brk_pool_tasks(struct broker *b, struct job *j, int64_t n);    /* its pool has so many more */
void brk_pool_opened(struct broker *b, struct job *j);              /* the client has opened it again: its tasks may run */
void brk_pool_paused(struct broker *b, struct pool *p);             /* pool_is_paused has changed */
/* The sums above the job alone; brk_job_pending keeps the job's own as well, and is what callers want. */
void brk_job_pending_above(struct broker *b, struct job *j, int64_t all, int64_t bytes);
void brk_job_pending(struct broker *b, struct job *j, int64_t queued, int64_t held, int64_t live, int64_t bytes);
void brk_outcome_costs(struct broker *b, struct job *j, int64_t cost, int64_t sent); /* they change by so much */
void brk_client_pause(struct broker *b, struct client *c);           /* its window is full or open, its connection there or not */
void brk_outcome_freed(struct broker *b, struct client *c);          /* its window may have opened */

/* peer.c */
void brk_peer_cut(struct broker *b, struct peer *p, const char *why);
void brk_peer_no_memory(struct broker *b, struct peer *p);          /* cut for that; its session resumes by reconnecting */
void brk_peers_cut_again(struct broker *b);                         /* those for which there was no effect in the last turn */
void brk_peer_free(struct broker *b, struct peer *p);
void brk_peer_ready(struct peer *p, struct account *a);             /* HELLO was taken; charged from now on */

/* range.c */
int brk_range_accept(struct broker *b, struct job *j, const struct wire_item *it, bool held, uint64_t due);
int brk_range_make(struct broker *b, struct job *j, const struct wire_item *it, struct range **ret);
void brk_range_queue(struct broker *b, struct job *j, struct range *r, bool front);
void brk_range_hold(struct broker *b, struct job *j, struct range *r, uint64_t due);
void brk_range_free(struct broker *b, struct job *j, struct range *r);
/* A waiting range leaves its queue, the index and the sums; it keeps its tasks. */
void brk_range_out(struct broker *b, struct job *j, struct range *r);
/* The first n tasks of a waiting range become one of their own in front of it; uses the reserve. */
struct range *brk_range_split(struct broker *b, struct job *j, struct range *r, uint32_t n);
struct range *brk_range_of(struct broker *b, struct job *j, struct run *s); /* consumes s; uses the reserve */

/* counts.c */
/* what of it was not sent again */
void brk_counts_keep(struct broker *b, struct attempt *a, uint64_t from, uint64_t to, int tries);
void brk_counts_take(struct broker *b, struct attempt *a);          /* what is kept of its tasks counts for it */
uint64_t brk_counts_kept(const struct job *j, uint64_t first, uint64_t end, uint16_t *tries, uint16_t *crashes);
void brk_counts_sent(struct broker *b, struct job *j);              /* its tasks below j->next have come */
bool brk_counts_drop(struct broker *b, struct job *j);              /* one that is kept; false: there is none */

/* shelf.c */
void brk_shelf_drop_known(struct broker *b, struct known *k);
void brk_shelf_drop_lane(struct broker *b, struct lane *l);
void brk_shelf_use(struct known *k, struct attempt *a);             /* its chunk is about to be sent: the job is needed there … */
void brk_shelf_unuse(struct broker *b, struct attempt *a);          /* … not any more */
void brk_shelf_crowded(struct attempt *a);                          /* it leaves to_send, and waits for room for its job */
void brk_shelf_uncrowd(struct broker *b, struct attempt *a);        /* it leaves shelf.crowded, and is in no list then */
void brk_shelves_wake(struct broker *b, struct worker *w);          /* all that wait are in to_send again */
struct shelf *brk_shelf_get(struct broker *b, struct worker *w, struct account *a); /* NULL: no memory */
void brk_known_free(struct broker *b, struct known *k);

/* lane.c */
struct lane *brk_lane_get(struct broker *b, struct worker *w, struct pool *p, bool make); /* NULL: none, or no memory */
void brk_lane_slots(struct broker *b, struct lane *l, uint32_t slots);
void brk_lane_free(struct broker *b, struct lane *l);
void brk_lane_forget(struct broker *b, struct lane *l);
uint32_t brk_slots_total(const struct broker *b);
void brk_lane_yields(struct lane *l, uint32_t yields);              /* so many go to others when what they run has ended */

/* job.c */
void brk_job_unhash(struct broker *b, struct job *j);               /* nobody finds it by its id any more */
struct job *brk_job_find(struct broker *b, struct owner *o, const uint8_t *id);
struct job *brk_job_new(struct broker *b, struct owner *o, const uint8_t *id);
struct job *brk_job_of(struct client *c, uint32_t handle);          /* NULL: not there, or it is ending */
void brk_job_park(struct broker *b, struct job *j, uint64_t until);  /* no client has it: it ends then */
void brk_replay_drop(struct broker *b, struct job *j, struct list_node *n);  /* one that waits */

/* cancel.c */
enum asked brk_attempt_ask(struct broker *b, struct attempt *a, struct cancel *k, uint64_t first, uint64_t end);
bool brk_asks_have(const struct attempt *a, uint64_t index, uint64_t *ret_until);
void brk_asks_cancelled(struct attempt *a, uint64_t first, uint64_t end);   /* these have come back, and are settled */
void brk_asks_end(struct broker *b, struct attempt *a);             /* all are answered: what has not come back goes on */
void brk_asks_again(struct broker *b, struct attempt *a);           /* its worker has a new connection */
void brk_ask_free(struct broker *b, struct ask *q);
void brk_cancel_free(struct broker *b, struct cancel *k);
void brk_cancel_answer(struct broker *b, const struct cancel *k);   /* CANCELLED, if somebody has asked */
void brk_cancel_count(struct cancel *k, uint64_t n);                /* so many more will not run */

/* said.c */
bool brk_said_bind(struct broker *b, struct job *j, uint32_t *budget);     /* true: all */
bool brk_said_ack_some(struct broker *b, struct client *c, uint32_t *budget); /* true: all */
void brk_said_resend(struct broker *b, struct client *c);
void brk_said_room(struct broker *b, struct client *c);             /* it has acknowledged something: its window may have room */
bool brk_said_drop(struct broker *b, struct list *pieces, uint32_t *budget); /* true: all */
void brk_said_orphan(struct attempt *a);
void brk_said_forget(struct broker *b, struct worker *w);
size_t brk_said_taken_items(struct broker *b, struct worker *w, struct wire_item *items, size_t n);
uint64_t brk_piece_cost(const struct piece *p);                     /* in its window */
void brk_said_use(struct peer *p, uint32_t window, int64_t bytes);  /* its window has so much more in it */
bool brk_said_fits(const struct broker *b, const struct peer *p, uint32_t window, uint64_t more);
void brk_said_queue(struct broker *b, struct client *c, struct job *j, struct piece *p); /* it goes out after the others */

/* ticket.c */
void brk_attempt_ticket(struct broker *b, const uint8_t *job_id, const uint8_t *owner, const struct worker *w, uint64_t first,
                        uint64_t end, uint64_t id, uint8_t out[WIRE_TICKET]);

/* attempt.c */
struct attempt *brk_attempt_new(struct broker *b, struct job *j, struct worker *w, struct lane *l);
/* detached from everything; the worker is told if why != 0 */
void brk_attempt_close(struct broker *b, struct attempt *a, uint8_t why);
bool brk_attempt_strip(struct broker *b, struct attempt *a);        /* of one that ends: a piece or a cancel; false: it has none */
void brk_attempt_acked(struct broker *b, struct attempt *a);
int brk_attempt_foreign(struct broker *b, struct worker *w, uint64_t id);    /* 0, or BFORK_EQUOTA: too many wait to be told */
void brk_attempt_told(struct broker *b, struct attempt *a);         /* its ATTEMPTS_CLOSE is composed */
void brk_attempt_bytes(struct attempt *a, int64_t bytes);           /* what its arguments count at lane and worker */
void brk_attempt_place(struct attempt *a, uint64_t next, uint64_t end); /* what it answers for in the index; not yet its fields */
void brk_attempt_piece(struct broker *b, struct attempt *a, struct range *r); /* arguments of an adopted one */
bool brk_attempt_is_cancelled(const struct attempt *a, uint64_t index, uint64_t *ret_until);
void brk_attempt_bind(struct broker *b, struct attempt *a);                 /* adopted: its job has got a pool */
void brk_attempt_drop_pieces(struct broker *b, struct attempt *a, uint64_t below);
void brk_cancelled_free(struct broker *b, struct attempt *a, struct cancelled *k);
/* It answers for [next, end) only from now on: the rest is about to be settled or given back. */
void brk_attempt_narrow(struct broker *b, struct attempt *a, uint64_t next, uint64_t end);
struct list *brk_attempt_offers(const struct attempt *a);           /* where it waits for its client's word */
void brk_attempt_park(struct broker *b, struct attempt *a);         /* nothing is left of it but outcomes */
void brk_attempt_finish(struct broker *b, struct attempt *a);       /* the same; closed if there are none */

/* outcome.c */
/* Fields of it and its slices (their references are consumed); uses the reserve. */
void brk_outcome_record(struct broker *b, struct job *j, struct attempt *a, const struct wire_item *it);
/* count tasks from first end with this kind; tries: attempts so far. text NULL: the general one; OUTCOME_UNREPORTED (UNKNOWN): they
 * may have begun before we were started, or were lost between us and a session that is not resumed. */
extern const char OUTCOME_UNREPORTED[];
void brk_outcome_text(struct broker *b, struct job *j, uint64_t first, uint64_t count, uint32_t tries, int kind, const char *text);
/* Tasks that nobody knows, since they were never received or were acknowledged long ago: counted in no sum. */
void brk_outcome_nowhere(struct broker *b, struct job *j, uint64_t first, uint32_t count);
void brk_outcome_free(struct broker *b, struct job *j, struct outcome *o);

/* client.c */
void brk_client_free(struct broker *b, struct client *c);           /* its jobs and pools are gone */
void brk_copy_text(char *to, size_t size, struct wire_str s);
void brk_client_timer(struct broker *b, struct client *c, uint64_t at); /* when a tick looks at it; 0: not */
struct client *brk_client_find(struct broker *b, const uint8_t *key, struct wire_bin instance);
struct client *brk_client_new(struct broker *b, struct peer *p, const struct wire_hello *h, struct refusal *r); /* NULL: see r */
void brk_handle_gone(struct client *c, bool pool, uint32_t handle, const uint8_t *name);
const uint8_t *brk_handle_was(const struct client *c, bool pool, uint32_t handle); /* its name, if it went lately */

/* worker.c */
void brk_worker_free(struct broker *b, struct worker *w);           /* it has nothing any more */
struct worker *brk_worker_find(struct broker *b, const uint8_t *key, struct wire_bin instance);
struct worker *brk_worker_new(struct broker *b, struct peer *p, const struct wire_hello *h); /* NULL: no memory */
void brk_worker_behind_forget(struct broker *b, struct worker *w);
void brk_behind_free(struct broker *b, struct account *a, struct behind *m);
/* 0, BFORK_EQUOTA or _ENOMEM */
int brk_behind_new(struct broker *b, struct worker *w, const struct wire_msg *m, struct behind **ret);

/* pool.c */
void brk_pool_free(struct broker *b, struct pool *p);
int brk_pool_new(struct broker *b, struct client *c, const struct wire_pool_open *o, struct pool **ret, struct refusal *r);
bool brk_pool_say(struct broker *b, struct pool *p, uint32_t request);   /* false: no memory */

#endif
