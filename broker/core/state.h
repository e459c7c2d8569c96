/* SPDX-License-Identifier: MPL-2.0
 * state.h - what the broker's core knows, and who changes it. Internal to broker/core.
 *
 * Objects and their states (the moves are made only in the file named behind them)
 *
 *   peer      new -> ready -> cut                            one connection; session.c
 *   client    ready <-> detached -> gone                     key + instance; outlives connections for detach_ms; session.c
 *   worker    joining -> ready <-> draining; any <-> silent; silent -> lost (gone)       key + instance; session.c
 *                 joining  HELLO was taken, HOLDING is not complete: nothing is granted or sent
 *                 silent   the connection is cut, the lease runs: its attempts are orphaned, not lost
 *   pool      open -> gone; `failed` while every ready worker said POOL_FAILED           pool.c
 *   lane      one pool on one worker: slots granted there, attempts handed out there     grant.c
 *   job       open -> closed -> gone; parked while no client has opened it in this epoch (adopted from a worker)         job.c
 *   range     queued | held (recovery: until workers had time to report; back-off)       range.c
 *   attempt   assigning (at most once: the client has not confirmed) -> live -> finished (results not yet acknowledged) -> closing;
 *             assigning/live -> requeued (gone) | closing (fenced, job gone)              attempt.c
 *   outcome   unsent -> sent -> acknowledged (gone)                                       outcome.c
 *
 * A task of a job is in exactly one place: a range in job.queue, a range in job.held, an attempt's [next, end), an outcome, or it
 * is settled and forgotten. job.n_queued, n_held, n_live are the sums; their total is what quotas count,
 * by session and by owner.
 *
 * How things fail
 *   connection of a worker cut   silent; same instance back before the lease ends: HOLDING says what it has, the rest never arrived
 * and is requeued without charge. Else lost: [next, end) is requeued with tries + 1, over the limit LOST; at most once: UNKNOWN.
 *   worker says BYE, is replaced, or breaks the protocol     lost at once.
 *   client cut                   detached: work goes on, outcomes are kept up to its window; after detach_ms gone, or when
 * detached_max sessions of its key were detached later.
 *   client gone                  its jobs vanish: attempts are closed with GONE, nothing is recorded.
 *   broker restarted             HOLDING of another epoch: tickets are checked, attempts adopted, their jobs parked; a client's
 * replay is cut against them and the rest held until hold_ms after our start. late, foreign, repeated results      counted; the
 * attempt is closed with FENCED at the sender. no memory                    what an entry point may need is reserved first; if that
 * fails, the peer that asked is cut (its session resumes by reconnecting). An attempt keeps one range and one outcome in reserve,
 * so losing a worker needs no memory.
 *
 * Nothing in a turn walks over all tasks, jobs or peers: what must be looked at in the next flush is put into a list when it
 * changes (dirty clients, dirty workers, pools with work and room). Times are the caller's; `b->now` never goes back.
 */
#ifndef BROKER_CORE_STATE_H
#define BROKER_CORE_STATE_H

#include "broker.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "bfork.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SMALL_BODY 4096u            /* smaller ones are copied into slabs of the job */
#define SLAB_MAX 131072u
#define QUANTUM_NS (20 * CLOCK_MS)  /* of fairness, while there are more claims than slots */
#define LINGER_NS (2 * CLOCK_MS)    /* how long a pool without work keeps slots that others want */
#define LONG_NS (20 * CLOCK_MS)     /* tasks this long are not prefetched */
#define AHEAD_NS (4 * CLOCK_MS)     /* work that waits at a worker for each slot, when tasks are shorter */
#define BALANCE_NS (5 * CLOCK_MS)
#define OUTCOME_COST 64u            /* what an outcome counts besides its bytes */

struct client;
struct worker;
struct pool;
struct job;
struct lane;

struct account { _Atomic uint32_t refs; _Atomic uint64_t bytes; };   /* outlives the broker while slabs of it are referenced */

struct cache { void *free; size_t size, n_free, n_used; };          /* objects of one size, kept when freed */

struct owner {
    struct list_node node;          /* b->owners */
    uint8_t key[WIRE_KEY];
    uint32_t refs;                  /* sessions and jobs */
    uint64_t used_ns;               /* slot time, for fairness; relative to the others */
    uint64_t n_tasks, n_bytes;      /* pending, of all its jobs, against the owner's quota */
    uint32_t n_detached;            /* sessions */
    struct list pools;
    uint64_t demand, target;        /* inside grant_run */
};

enum peer_state { PEER_NEW, PEER_READY, PEER_CUT };

struct peer {
    struct list_node cut;           /* b->cuts */
    broker_peer id;
    enum peer_state state;
    enum wire_role role;
    uint8_t key[WIRE_KEY];
    struct client *client;
    struct worker *worker;
    uint64_t window;                /* what may be on the way to it */
    uint64_t sent, acked;           /* bytes towards it */
    uint64_t consumed, told;        /* bytes from it, and what of them was acknowledged */
    bool pong;
    uint64_t stamp;
    struct list_node dirty;         /* b->dirty_peers: a PONG or a bare ack is due */
    const char *why;                /* of the cut; static, or NULL */
};

struct client {
    struct list_node node;          /* b->clients, by arrival */
    struct list_node dirty;         /* b->dirty_clients */
    struct owner *owner;
    uint8_t instance[WIRE_ID];
    uint64_t conn_no;
    struct peer *peer;              /* NULL: detached */
    uint64_t detached_at, since;
    uint64_t mute_until;            /* jobs not opened again by then are unknown to the client: dropped; 0: none */
    uint64_t window;
    struct map pools, jobs;         /* by handle */
    struct list pool_list, job_list;
    struct list sending;            /* jobs with unsent outcomes */
    struct list assigning;          /* attempts to be told */
    struct list states;             /* pools whose POOL_STATE is due */
    uint64_t n_tasks, n_bytes;      /* pending, against the quota */
    uint64_t unacked, sent_unacked; /* bytes of outcomes */
    bool paused, detached;          /* detached: counted in owner.n_detached */
    char name[64], host[64];
    uint32_t pid;
};

enum worker_state { WORKER_JOINING, WORKER_READY, WORKER_DRAINING, WORKER_SILENT };

struct worker {
    struct list_node node;          /* b->workers, by arrival */
    struct list_node dirty;         /* b->dirty_workers */
    uint8_t key[WIRE_KEY], instance[WIRE_ID];
    uint64_t conn_no, since, lease_end;
    struct peer *peer;
    enum worker_state state;
    bool same_epoch;                /* the HOLDING that is coming speaks of attempts of this epoch */
    uint32_t slots, granted;
    uint32_t round;                 /* of HOLDING: attempts that were reported carry it */
    struct list lanes, attempts;    /* attempts: assigning, live, finished */
    struct list to_send, recalls, closing, known, forget, grants;
    struct map known_map;           /* job number -> struct known */
    uint64_t out_bytes;             /* of live attempts */
    uint64_t message_bytes;         /* of the CHUNKS being collected */
    uint64_t busy, tasks_done, held;
    bool window_full;               /* dispatch stopped for the envelope's window */
    char name[64], host[64], software[64], resources[64];
};

/* A worker knows this job's specification. */
struct known { struct list_node in_worker, in_job; struct worker *worker; struct job *job; uint32_t number; uint64_t conn_no; };

struct lane {
    struct list_node in_worker, in_pool;
    struct list_node open;          /* pool.open: may have room */
    struct list_node grant;         /* worker.grants: a GRANT is due */
    struct worker *worker;
    struct pool *pool;              /* NULL: the pool is gone, GRANT says forget */
    uint32_t number;                /* of the pool */
    uint32_t slots;
    uint64_t spec_conn;             /* conn_no on which the specification was sent; 0: never */
    bool failed;
    struct list live;               /* attempts, oldest first */
    uint64_t out_bytes, short_ns;   /* outstanding: bytes; time of those that are prefetched */
    uint32_t n_long;                /* attempts outstanding that are not prefetched */
    uint32_t n_recalled;            /* attempts asked back */
};

struct pool {
    struct list_node node;          /* b->pools */
    struct list_node in_client, in_owner;
    struct list_node work;          /* b->work: has tasks and perhaps room */
    struct list_node thirst;        /* b->thirsty: a lane ran low and the queue is empty */
    struct list_node state;         /* client.states */
    struct client *client;
    struct owner *owner;
    uint32_t handle, number;
    int32_t wanted;
    uint8_t digest[WIRE_DIGEST], program[WIRE_DIGEST];
    bool has_program;
    struct buf *spec;               /* owned */
    char name[64];
    struct list jobs, ready;        /* all; those with queued tasks, by turn */
    struct list lanes, open;
    uint32_t slots;                 /* granted, all lanes */
    uint32_t offered;               /* told to the client */
    uint64_t n_tasks;               /* queued + live of its jobs */
    uint64_t balanced_at;
    uint64_t used_ns, demand, target;
    bool failed;
    int32_t code;
    char text[256];
};

/* Consecutive tasks with their arguments. */
struct span {
    uint64_t first;
    uint32_t count, flags, size;
    uint16_t tries, crashes, fails;
    struct slice lens, body;        /* references */
};

struct range { struct list_node node; uint64_t due; struct span s; };

struct interval { struct list_node node; uint64_t first, end; };

struct job {
    struct list_node in_client, in_pool, ready, sending, holder, in_all;
    struct job *same_hash;
    struct owner *owner;
    struct client *client;          /* NULL: parked */
    struct pool *pool;              /* NULL: parked */
    uint8_t id[WIRE_ID];
    uint32_t handle, number;
    uint64_t since, parked_until;
    struct buf *spec_bytes;         /* owned; spec points into it */
    struct wire_job_spec spec;
    bool closed;
    bool mute; /* the client has reconnected, but not opened it again: outcomes would overtake those to be sent again */
    uint64_t next;                  /* indexes below it were received in this epoch */
    struct list queue, held;        /* ranges */
    struct list live;               /* attempts: assigning, live */
    struct list finished;           /* attempts whose outcomes are not all acknowledged */
    struct list outcomes;           /* by seq */
    struct outcome *unsent;
    struct list known;
    struct list cancels;            /* intervals that attempts still touch */
    uint64_t n_queued, n_held, n_live, n_bytes;
    uint64_t seq, sent_seq;
    uint64_t mean_ns;               /* of one task; 0: not known */
    uint64_t done, failed, total;
    struct buf *slab, *lens_slab;
    size_t slab_size, lens_slab_size;
};

enum attempt_state { ATTEMPT_ASSIGNING, ATTEMPT_LIVE, ATTEMPT_FINISHED, ATTEMPT_CLOSING, ATTEMPT_CLOSED };

struct attempt {
    struct list_node in_worker;     /* worker.attempts or worker.closing */
    struct list_node in_job;        /* job.live or job.finished */
    struct list_node in_lane;
    struct list_node out;           /* worker.to_send, worker.recalls or client.assigning */
    uint64_t id;
    struct job *job;
    struct worker *worker;          /* NULL: finished, and the worker is gone */
    struct lane *lane;              /* NULL: adopted and not yet bound to a pool */
    enum attempt_state state;
    uint8_t why;                    /* of the recall, of the closing */
    bool sent, recalled, is_long, adopted;
    uint32_t round, unacked;        /* unacked: outcomes not acknowledged by the client */
    uint64_t next, end;             /* what has no outcome yet; [s.first, s.first + s.count) was handed out */
    uint64_t recall_first;
    uint64_t mean_ns, sent_at, bytes_left;
    struct span s;
    struct list pieces;             /* adopted: ranges with the arguments, as far as the client has replayed them */
};

struct outcome {
    struct list_node node;
    uint64_t seq, first, sum_ns;
    struct attempt *attempt;
    uint32_t count, flags, size, pid;
    uint8_t kind;
    struct slice lens, body;
};

struct status_request { struct list_node node; broker_peer peer; uint32_t request; char what[16]; };

struct block { struct block *next; size_t size, used; };

/* Effects that are collected, and what they refer to. */
struct batch {
    struct broker_effect *effects;
    size_t n, capacity;
    struct buf **holds;
    size_t n_holds, holds_capacity;
    struct block *blocks;
};

struct broker {
    struct broker_config c;
    struct account *account;
    uint64_t now, started, next_attempt, hold_end;
    uint32_t next_number;
    struct map peers, attempts, jobs;               /* jobs: by hash of the id */
    struct list owners, clients, workers, pools, all_jobs, cuts, dirty_peers, dirty_clients, dirty_workers, work, thirsty, holders,
        status;
    struct cache ranges, attempt_cache, outcomes;
    size_t n_attempts;              /* assigning and live: each keeps a range and an outcome in reserve */
    struct batch batch[2], *building, *current;
    bool grants_dirty, contended, draining, again;
    uint64_t regrant_at, granted_at, tick_at;
    struct broker_counters n;
    struct buf *generic[BFORK_MISMATCH * -1 + 1];   /* documents used when there is no memory for a better text */
    char check_text[256];
};

/* memory.c */
void *mem_new(struct broker *b, size_t size);                       /* zeroed */
void mem_free(struct broker *b, void *p, size_t size);
void *cache_get(struct broker *b, struct cache *c);                 /* zeroed; NULL: no memory */
void cache_put(struct cache *c, void *p);
int cache_reserve(struct broker *b, struct cache *c, size_t n);
void cache_free(struct broker *b, struct cache *c);
int reserve(struct broker *b, size_t ranges, size_t outcomes);      /* besides what attempts keep */
struct buf *slab_new(struct broker *b, size_t capacity);
struct buf *bytes_copy(struct broker *b, const void *p, size_t n);
void account_unref(struct account *a);

/* effect.c */
void *effect_bytes(struct broker *b, size_t n);                     /* lives as long as the effects; NULL: no memory */
int effect_reserve(struct broker *b, size_t n);
struct wire_msg *effect_send(struct broker *b, struct peer *p, enum wire_type type); /* NULL: no memory; heads are the caller's */
int effect_hold(struct broker *b, struct buf *buf);
void effect_log(struct broker *b, int level, const char *format, ...) __attribute__((format(printf, 3, 4)));
struct wire_str effect_text(struct broker *b, const char *format, va_list ap);
void effects_clear(struct broker *b, struct batch *t);
void effects_free(struct broker *b, struct batch *t);

/* session.c */
void session_hello(struct broker *b, struct peer *p, const struct wire_msg *m);
void session_lost(struct broker *b, struct peer *p);                /* the connection is gone */
void session_bye(struct broker *b, struct peer *p);
/* The session ends: ERROR, then CUT; counted. */
void session_fail(struct broker *b, struct peer *p, int code, const char *format, ...) __attribute__((format(printf, 4, 5)));
void client_end(struct broker *b, struct client *c);
void worker_end(struct broker *b, struct worker *w, const char *why);
void client_dirty(struct broker *b, struct client *c);
void worker_dirty(struct broker *b, struct worker *w);
void peer_cut(struct broker *b, struct peer *p, const char *why);
void peer_free(struct broker *b, struct peer *p);
void session_tick(struct broker *b, uint64_t *next);
void worker_ready(struct broker *b, struct worker *w);
void copy_text(char *to, size_t size, struct wire_str s);
struct owner *owner_get(struct broker *b, const uint8_t *key);
void owner_unref(struct broker *b, struct owner *o);

/* pool.c */
void pool_open(struct broker *b, struct client *c, const struct wire_msg *m);
void pool_close(struct broker *b, struct pool *p);                  /* pool and jobs end; nothing more is told of them */
void pool_free(struct broker *b, struct pool *p);
void pool_failed(struct broker *b, struct worker *w, const struct wire_pool_failed *f);
void pool_check_failed(struct broker *b, struct pool *p);
void pool_tasks(struct broker *b, struct pool *p, int64_t n);       /* n_tasks changes */
void pool_wake(struct broker *b, struct pool *p);                   /* all its lanes may have room */
void pool_paused(struct broker *b, struct pool *p);                 /* its client's outcomes fill their window, or no longer */
void pool_work(struct broker *b, struct pool *p);
void pool_tell(struct broker *b, struct pool *p);
void pool_refuse(struct broker *b, struct pool *p, struct job *j);

/* job.c */
struct job *job_find(struct broker *b, struct owner *o, const uint8_t *id);
struct job *job_new(struct broker *b, struct owner *o, const uint8_t *id);
void job_open(struct broker *b, struct client *c, const struct wire_msg *m);
void job_free(struct broker *b, struct job *j);
void job_maybe_end(struct broker *b, struct job *j);
void job_tasks(struct broker *b, struct client *c, const struct wire_msg *m);
void job_cancel(struct broker *b, struct client *c, const struct wire_msg *m);
void job_pending(struct broker *b, struct job *j, int64_t queued, int64_t held, int64_t live, int64_t bytes);
bool job_is_cancelled(const struct job *j, uint64_t index, uint64_t *ret_until);
void job_release_held(struct broker *b, uint64_t *next);
static inline bool job_once(const struct job *j) { return j->spec.retries < 0; }
static inline uint64_t job_tasks_pending(const struct job *j) { return j->n_queued + j->n_held + j->n_live; }

/* range.c */
static inline uint64_t span_bytes(const struct span *s) { return s->lens.size + s->body.size; }
void span_cut(struct span *s, uint32_t n, struct span *ret_head);   /* the first n; both hold references */
void span_done(struct span *s);
uint32_t span_fit(const struct span *s, uint32_t n, uint64_t bytes);        /* how many of the first n fit; at least 1 */
int range_accept(struct broker *b, struct job *j, const struct wire_item *it, bool held, uint64_t due);
int range_make(struct broker *b, struct job *j, const struct wire_item *it, struct range **ret);
void range_queue(struct broker *b, struct job *j, struct range *r, bool front);
void range_hold(struct broker *b, struct job *j, struct range *r, uint64_t due);
void range_free(struct broker *b, struct range *r);
struct range *range_of(struct broker *b, struct span *s);           /* consumes s; uses the reserve */
void job_ready(struct broker *b, struct job *j);
/* The range is in no list: back in front of the queue, but for what was cancelled meanwhile, which settles. */
void range_return(struct broker *b, struct job *j, struct range *r);

/* attempt.c */
struct attempt *attempt_new(struct broker *b, struct job *j, struct worker *w, struct lane *l);
void attempt_results(struct broker *b, struct worker *w, const struct wire_msg *m);
/* What has no outcome goes back to the queue, or is settled: lost counts a try. The attempt is gone. close: why to tell the worker,
 * 0 no */
void attempt_requeue(struct broker *b, struct attempt *a, bool lost, const char *text, uint8_t close);
void attempt_close(struct broker *b, struct attempt *a, uint8_t why); /* detached from everything; the worker is told if why != 0 */
void attempt_recall(struct broker *b, struct attempt *a, uint64_t first, uint8_t why);
void attempt_acked(struct broker *b, struct attempt *a);
void attempt_foreign(struct broker *b, struct worker *w, uint64_t id);
void attempt_free(struct broker *b, struct attempt *a);
void attempt_told(struct broker *b, struct attempt *a);             /* its ATTEMPTS_CLOSE is composed */
void attempt_bytes(struct attempt *a, int64_t bytes);               /* what its arguments count at lane and worker */
void attempt_shrink(struct broker *b, struct attempt *a, uint64_t end);     /* [end, a->end) goes back in front */
void attempt_assigned(struct broker *b, struct client *c, const struct wire_msg *m);
void attempt_bind(struct broker *b, struct attempt *a);                     /* adopted: its job has got a pool */
void attempt_ticket(struct broker *b, const uint8_t *job_id, const uint8_t *owner, const struct worker *w, uint64_t first,
                    uint64_t end, uint64_t id, uint8_t out[WIRE_TICKET]);

/* grant.c */
void grant_run(struct broker *b);
struct lane *lane_get(struct broker *b, struct worker *w, struct pool *p, bool make);
void lane_slots(struct broker *b, struct lane *l, uint32_t slots);
void lane_open(struct broker *b, struct lane *l);
void lane_free(struct broker *b, struct lane *l);
void lane_forget(struct broker *b, struct lane *l);
void lane_grant_due(struct broker *b, struct lane *l);
uint32_t slots_total(const struct broker *b);

/* dispatch.c */
void dispatch_run(struct broker *b);

/* compose.c */
void compose_run(struct broker *b);

/* outcome.c */
/* Fields of it and its slices (their references are consumed); uses the reserve. */
void outcome_record(struct broker *b, struct job *j, struct attempt *a, const struct wire_item *it);
static inline uint64_t outcome_cost(const struct outcome *o) { return OUTCOME_COST + o->lens.size + o->body.size; }
/* count tasks from first end with this kind; tries: attempts so far. text NULL: the general one. */
void outcome_text(struct broker *b, struct job *j, uint64_t first, uint64_t count, uint32_t tries, int kind, const char *text);
void outcome_ack(struct broker *b, struct job *j, uint64_t seq);
void outcome_acks(struct broker *b, struct client *c, const struct wire_msg *m);
void outcome_free(struct broker *b, struct outcome *o);
void outcome_freed(struct broker *b, struct client *c);              /* its window may have opened */
void outcome_resend(struct broker *b, struct job *j);

/* status.c */
void status_get(struct broker *b, struct peer *p, const struct wire_msg *m);

/* adopt.c */
void adopt_holding(struct broker *b, struct worker *w, const struct wire_msg *m);
/* A replayed item is cut against adopted attempts; what remains is held. */
int adopt_replay(struct broker *b, struct job *j, const struct wire_item *it);

#endif
