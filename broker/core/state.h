/* SPDX-License-Identifier: MPL-2.0
 * state.h - what the broker's core knows, and who changes it. Internal to broker/core.
 *
 * Objects and their states (the moves are made only in the file named behind them)
 *
 *   peer      new -> ready -> cut                            one connection; session.c
 *   client    ready <-> detached -> gone                     key + instance; outlives connections for detach_ms; session.c
 *   worker    joining -> ready <-> draining; any <-> silent; silent -> lost (gone)       key + instance; session.c
 *                 joining  HELLO was taken, not all of HOLDING was looked at: nothing is granted or sent, and what the worker
 *                          says meanwhile waits (worker.behind), also when it is ready, until all of that was taken in
 *                 silent   the connection is cut, the lease runs: its attempts are orphaned, not lost
 *   pool      open -> gone; `doubt` while every ready worker said POOL_FAILED but another may come back, then `failed`   pool.c
 *   lane      one pool on one worker: slots granted there, attempts handed out there     grant.c
 *   job       open -> closed -> gone; parked while no client has opened it in this epoch (adopted from a worker)         job.c
 *   range     queued | held (recovery: until workers had time to report; back-off)       range.c
 *   attempt   assigning (at most once: the client has not confirmed) -> live -> finished (results not yet acknowledged) -> closing;
 *             assigning/live -> requeued (gone) | closing (fenced, job gone)              attempt.c
 *   outcome   unsent -> sent -> acknowledged (gone)                                       outcome.c
 *   piece     of output: kept (job parked) -> unsaid -> said -> taken (told to its worker) -> gone                       said.c
 *
 * A task of a job is in exactly one place: a range in job.queue, a range in job.held, an attempt's [next, end), an outcome, or it
 * is settled and forgotten. job.index has all these places as disjoint intervals (putting one in asserts it), so a task is found in
 * O(log n). job.n_queued, n_held, n_live are the sums; their total is what quotas count, by session and by owner.
 *
 * A message of k records costs O(k log n) steps. What a single record may ask for that is larger (the end of a client, a pool or a
 * job, a pool that fails, an acknowledgement or a cancel of very many) begins at once and goes on as a chore of its owner, some
 * turn_steps a turn (chore.c); owners with chores take turns. What a client has is not walked at once either when it goes or
 * comes back. What is ending is in no lookup and no sum of its session any more.
 *
 * How things fail
 *   connection of a worker cut
 *       silent; same instance back before the lease ends: HOLDING says what it has, the rest never arrived and is requeued without
 *       charge. Else lost: [next, end) is requeued with tries + 1, over the limit LOST; at most once: UNKNOWN.
 *   worker says BYE, is replaced, or breaks the protocol
 *       lost at once; its attempts go back over turns (leave.c).
 *   a pool or job is refused
 *       it alone ends: POOL_STATE or JOB_STATE says why, the session goes on; a question: ERROR (refuse.c).
 *   client cut
 *       detached: what was handed out goes on for TIME_CLOSED_MS, then its processes end (dormant); the rest waits for it, outcomes
 *       are kept up to its window; after detach_ms gone, or when detached_max sessions of its key were detached later.
 *   client gone
 *       its jobs vanish: attempts are closed with GONE, nothing is recorded.
 *   broker restarted
 *       HOLDING of another epoch: tickets are checked, attempts adopted, their jobs parked; a client's replay is cut against them
 *       and the rest held until hold_ms after our start.
 *   late, foreign, repeated results
 *       counted; the attempt is closed with FENCED at the sender.
 *   no memory
 *       what an entry point may need is reserved first; if that fails, the peer that asked is cut (its session resumes by
 *       reconnecting). An attempt keeps ranges and outcomes in reserve for itself, each of its pieces, its cancels and its asks, so
 *       losing a worker needs no memory and drops nothing.
 *
 * What a peer makes us hold is charged to the account of its key (memory.c) and let in by account.c: a client's key has its
 * sessions, pools, jobs, ranges, attempts, outcomes, and frames as long as a part of them is kept; a worker's key has its sessions
 * and what it is to be told. An owner whose outcomes are not acknowledged is given no work, and what it has out and not begun is
 * asked back.
 *
 * Nothing in a turn walks over all tasks, jobs or peers: what must be looked at in the next flush is put into a list when it
 * changes (dirty clients, dirty workers, active pools, pools with work and room), and what is due at some time into a tree by time.
 * Times are the caller's; `b->now` never goes back.
 */
#ifndef BROKER_CORE_STATE_H
#define BROKER_CORE_STATE_H

#include "broker.h"

#include "base/clock.h"
#include "base/interval.h"
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
#define TURN_STEPS 2048u            /* of any one walk in a turn; and what config.turn_steps is by default */
#define OUTCOME_COST 64u            /* what an outcome counts besides its bytes */
#define RETRY_BITS 0x3eu            /* of retry_on: failed, crashed, exited, over time, over memory */
#define BACKOFF_MOST_MS 600000u     /* a back-off is doubled up to here */
#define FRAME_KEPT 327680u          /* of frames up to this size any part is referred to, instead of copied */
#define MAP_COST 64u                /* cells of maps that are for one object */
#define TOO_MANY_FOREIGN "it names more attempts that are not its own than it can be told of"
#define SESSION_LINES 8u            /* of the log about sessions of one key, in a second */
#define ENDED_MAX 64u               /* jobs of a key that have ended and that are remembered … */
#define ENDED_KEYS 256u             /* … and of so many keys */
#define GONE_MAX 64u                /* handles that a session used and that are remembered */

/* What is found by bytes that peers choose: see keyed.c. */
struct keyed { struct keyed *next; uint64_t hash; };

struct client;
struct worker;
struct pool;
struct job;
struct lane;

/* What is held on behalf of one key; of the broker's own, which is above all others, only `bytes` counts, and has the objects, too.
 * Outlives the broker while bufs or objects of it are referenced. */
struct account {
    _Atomic uint32_t refs;
    struct account *above;          /* NULL: the broker's */
    _Atomic uint64_t bytes;         /* bufs, until nobody refers to them */
    uint64_t objects;
    uint64_t away;                  /* bytes of outcomes that were sent and not acknowledged: copies may lie in a socket */
    uint64_t outcomes;              /* cost of those not acknowledged, a part of the bytes */
    uint64_t found, found_bytes; /* inside brk_recount_accounts */
};

struct cache { void *free; size_t size, n_free, n_used, n_reserved; };      /* objects of one size, kept when freed */

/* Work that one record asked for and that is too much for a turn. Embedded in what it is about. */
enum chore_kind { CHORE_CLIENT_END, CHORE_CLIENT_AWAY, CHORE_SAID_ACK, CHORE_POOL_END, CHORE_JOB_END, CHORE_JOB_BIND, CHORE_ACK,
                  CHORE_CANCEL, CHORE_REPLAY, CHORE_ROOM, CHORE_OWNER_WAKE, CHORE_WORKER_JOIN, CHORE_WORKER_END,
                  CHORE_LANE_RECALL };
struct chore {
    struct list_node node;
    enum chore_kind kind;
    uint64_t round;                 /* the owner's, while it is one of those that wait for room */
};

struct owner {
    struct list_node node;          /* b->owners */
    struct keyed by_key;            /* b->owner_map */
    struct list_node busy;          /* b->busy: has chores */
    struct list chores;
    struct list waiting;            /* chores that go on when something of the owner has ended */
    uint64_t round;                 /* of them */
    struct chore wake;
    size_t to_wake;                 /* of active, to be looked at: they may hand out again, or not any more */
    uint64_t turn;                  /* in which `budget` counts */
    uint32_t budget;                /* places that its messages may still touch at once */
    uint64_t leaving_tasks, leaving_bytes;  /* of what is ending: in no other sum here */
    uint8_t key[WIRE_KEY];
    uint32_t refs;                  /* sessions and jobs */
    struct account *account;
    bool full;                      /* its outcomes fill their part of the account: nothing of it is handed out */
    char why[256];                  /* full: who has not taken them, and what to do */
    struct list stopped;            /* jobs whose cancels wait until that is over */
    uint32_t n_sessions;
    uint64_t used_ns;               /* slot time, for fairness; relative to the others */
    uint64_t done, failed;          /* tasks with a result, without one; since it has had a session or a job */
    uint64_t n_tasks, n_bytes;      /* pending, of all its jobs, against the owner's quota */
    uint32_t n_detached;            /* sessions */
    struct list pools;
    struct list active;         /* those of them that brk_grant_run looks at: all that have slots, and some that have tasks */
    struct list later;              /* others that have tasks or have changed: they take turns to be among those */
    size_t n_fresh;                 /* of `later`, the first: they are looked at without delay … */
    size_t n_vain;                  /* … and so many were looked at, the last ones, that claimed nothing */
    struct list jobs;
    uint64_t queued, running;       /* tasks of all its jobs */
    uint64_t demand, target;    /* inside brk_grant_run */
};

/* Why something is refused: field names what was wrong, NULL if it was no field. */
struct refusal { int code; const char *field; char text[320]; };

struct gone {
    bool pool;
    uint32_t handle;
    uint8_t name[WIRE_ID];
}; /* a job's id, the beginning of a pool's digest; 0: refused */

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
    struct account *account;        /* that it is charged to, since HELLO */
    bool pong;
    uint64_t stamp;
    uint32_t pong_request, hello_request;   /* returned in PONG, in WELCOME */
    struct list_node dirty;         /* b->dirty_peers: a PONG or a bare ack is due */
    struct map said;                /* worker: one of its windows -> bytes of output that are not taken */
    uint32_t windows;               /* so many of them it may have: see said.c */
    const char *why;                /* of the cut; static, or NULL */
    int32_t why_code;               /* BFORK_ENOMEM, or 0 */
    uint32_t n_status;              /* its questions that are waiting */
    uint64_t refused_turn;          /* in which `refused` counts */
    uint32_t refused;
};

struct client {
    struct list_node node;          /* b->clients, by arrival */
    struct keyed by_name;           /* b->client_map, until it ends */
    struct list_node dirty;         /* b->dirty_clients */
    struct owner *owner;
    uint8_t instance[WIRE_ID];
    uint64_t conn_no;
    struct peer *peer;              /* NULL: detached */
    uint64_t detached_at, since;
    struct interval timer;          /* b->timers. Disconnected: then it is dormant, or gone; resumed: jobs that were not opened
                                     * again until then are unknown to it, and dropped */
    uint64_t window;
    uint64_t features;              /* of its HELLO: what it understands */
    struct map pools, jobs;         /* by handle */
    struct list pool_list, job_list;
    struct list sending;            /* jobs with unsent outcomes */
    struct list assigning;          /* attempts to be told */
    struct list told;               /* attempts that it was told of and has not confirmed */
    struct list unsure;             /* both of an earlier connection: `away` gives them back */
    uint32_t attached;              /* rises when its connection ends: jobs and attempts of before do not carry it */
    struct list states;             /* pools whose POOL_STATE is due */
    uint64_t n_tasks, n_bytes;      /* pending, against the quota */
    uint64_t unacked, sent_unacked; /* bytes of outcomes */
    bool dormant;                   /* disconnected for TIME_CLOSED_MS: its processes have ended, its work waits for it; if it is
                                     * back before `away` is done, until then */
    struct list said;               /* pieces of output, by seq; before unsaid: sent on this connection */
    bool said_held;                 /* unsaid waits until the client has acknowledged: its window is full */
    struct piece *unsaid;
    uint64_t said_seq, said_sent, said_acked;
    struct chore said_ack;
    bool said_again;                /* it is back while that goes on: what is left goes out again after it */
    bool paused, detached;          /* paused: nothing of it is handed out, as its outcomes fill its window, or its connection has
                                     * ended; detached: counted in owner.n_detached */
    bool adopted;                   /* a worker has brought tasks of it, which it may not have counted against its quota */
    bool ending;                    /* no peer, found by nobody: its chore takes it apart */
    struct chore end, away;
    size_t away_jobs, away_pools;   /* of the lists, to be looked at before it is all asleep */
    size_t mute_jobs, mute_pools;   /* and what was not opened again in time is to end */
    char name[64], host[64];
    uint32_t pid;
    struct gone gone[GONE_MAX];     /* a ring: what was open and is not any more */
    uint32_t n_gone;
    uint32_t top[2];                /* greatest handle of a job, of a pool that was used: those up to it may be gone */
};

enum worker_state { WORKER_JOINING, WORKER_READY, WORKER_DRAINING, WORKER_SILENT };

struct worker {
    struct list_node node;          /* b->workers, by arrival; b->leaving once it ends */
    struct keyed by_name;           /* b->worker_map, until it ends */
    struct list_node dirty;         /* b->dirty_workers */
    uint8_t key[WIRE_KEY], instance[WIRE_ID];
    struct account *account;        /* of its key, shared by all workers with it */
    uint64_t conn_no, since, lease_end;
    uint64_t features;              /* of its HELLO: what it understands */
    bool key_exposed;               /* and that its tasks can read its key */
    struct peer *peer;
    enum worker_state state;
    bool joined;                    /* it has said all that it held before this epoch */
    bool same_epoch;                /* the HOLDING that is coming speaks of attempts of this epoch */
    uint32_t slots, granted;
    uint32_t round;                 /* of HOLDING: attempts that were reported carry it */
    struct list lanes, attempts;    /* attempts: assigning, live */
    struct map lane_map;            /* number of a pool -> its lane, until that is forgotten */
    struct list finished;           /* attempts */
    struct list told;               /* struct holding: what it said it has, not yet looked at */
    struct list behind;             /* struct behind: what it said behind HOLDING */
    bool all_told;                  /* the last HOLDING has come */
    size_t unseen;                  /* of attempts, to be looked at before it is ready */
    bool ending;                    /* no peer, found by nobody: its chore gives back what it had */
    struct chore join, end;
    struct list to_send, recalls, closing, known, forget, grants, taken;
    struct map known_map;           /* job number -> struct known */
    struct list shelves;
    struct map shelf_map;           /* account of an owner -> struct shelf */
    uint64_t out_bytes;             /* of live attempts */
    uint64_t message_bytes;         /* of the CHUNKS being collected */
    uint64_t specs, specs_marked;   /* bytes of specifications on the way to it: before the PING that is, too, marked */
    bool specs_full;                /* something waits until there are fewer */
    uint64_t busy, tasks_done, held;
    uint64_t n_sent;                /* tasks of attempts that it was sent */
    bool window_full;               /* dispatch stopped for the envelope's window */
    char name[64], host[64], software[64], resources[64];
    char lost[256];                 /* what those are told whose tasks it had */
};

/* Records of HOLDING that wait for their turn. */
struct holding { struct list_node node; uint32_t n, at; struct wire_item items[]; };

/* A message that came behind HOLDING while that is looked at: it may speak of attempts that are still to be found there. */
struct behind { struct list_node node; struct wire_msg m; struct wire_item items[]; };

/* A worker knows this job's specification. */
struct known {
    struct list_node in_worker, in_job;
    struct list_node shelved;       /* in shelf.known, by use */
    struct shelf *shelf;
    struct worker *worker;
    struct job *job;
    struct account *account;        /* of the job's owner */
    uint32_t number, size;
    uint32_t live;                  /* attempts there that need it */
    uint32_t forgotten;             /* lane.forgotten when it was told: if that has risen, the worker forgot it with its pool */
    uint64_t conn_no;
};

/* What a worker was told of one owner's specifications, and keeps: shelf.c. */
struct shelf {
    struct list_node in_worker;
    struct worker *worker;
    struct account *account;        /* the owner's */
    uint64_t pool_bytes, job_bytes;
    struct list lanes, used, idle;  /* used, idle: known that attempts there are of, or none; first those not used for longest */
    struct list crowded;            /* attempts that wait for room for their job, by `out` */
    bool full;                      /* no job fits, and all that are there are in use: wait until one is not */
};

struct lane {
    struct list_node in_worker, in_pool;
    struct list_node open;          /* pool.open: may have room */
    struct list_node grant;         /* worker.grants: a GRANT is due */
    struct worker *worker;
    struct pool *pool;              /* NULL: the pool is gone, GRANT says forget */
    struct account *account;        /* of the pool's owner */
    struct list_node shelved;       /* in shelf.lanes, while the worker keeps the specification */
    struct shelf *shelf;
    uint32_t size;                  /* of it */
    uint32_t forgotten;             /* so often the worker was told to forget the pool, to make room */
    uint32_t number;                /* of the pool */
    uint32_t slots, yields;         /* yields: slots that go to others when what they run has ended */
    uint64_t spec_conn;             /* conn_no on which the specification was sent; 0: never */
    uint64_t not_before, pause;     /* the worker had no room: it is granted nothing until then; how long that is */
    bool failed;
    struct list live;               /* attempts, oldest first, but while some are asked back */
    struct chore recall;
    size_t to_recall;               /* of live, to be asked back, */
    uint8_t why;                    /* as long as it has no slots: why */
    struct list kept;               /* finished ones: the worker keeps their results, and with them the pool */
    uint64_t out_bytes, short_ns;   /* outstanding: bytes; time of those that are prefetched */
    uint32_t n_long;                /* attempts outstanding that are not prefetched */
    uint32_t n_recalled;            /* attempts asked back */
};

/* Jobs of a pool that need the same of a worker: need.c. */
#define NEEDS_MAX 4u
struct need {
    uint64_t features;              /* the pool's own among them */
    size_t n_jobs;                  /* 0: it stands for nothing */
    struct list ready;              /* jobs with queued tasks, by turn; one that is mute may have left it: see next_job */
    uint64_t n_tasks;               /* queued + live of its jobs */
    uint64_t n_opened;              /* of n_tasks: what is of jobs that were opened on the connection `opened` */
    uint32_t opened;                /* client.attached, when n_opened was counted */
};

struct pool {
    struct list_node node;          /* b->pools */
    struct list_node in_client, in_owner;
    struct list_node active;        /* owner.active or, without slots, owner.later: it has tasks or slots, or has changed */
    struct list_node offer;         /* b->offers */
    struct list_node doubtful;      /* b->doubtful: failed or in doubt */
    struct list_node work;          /* b->work: has tasks and perhaps room */
    struct list_node thirst;        /* b->thirsty: a lane ran low and the queue is empty */
    struct list_node state;         /* client.states */
    struct client *client;
    struct owner *owner;
    uint32_t handle, number;
    int32_t wanted;
    uint8_t digest[WIRE_DIGEST], program[WIRE_DIGEST];
    bool has_program;
    uint32_t attached;              /* the client's, when it or a job in it was opened last */
    uint64_t needs;                 /* features that it needs of a worker, whatever its jobs need besides */
    struct need need[NEEDS_MAX];
    uint64_t turns;                 /* the next job.turn */
    bool passed;                    /* a lane has left `open` because its worker can run nothing that is ready */
    uint64_t lacks;                 /* features that tasks of it wait for and no worker has, when grants were made last; 0: none */
    struct buf *spec;               /* owned */
    char name[64];
    struct list jobs, lanes, open;
    uint32_t slots, yields;         /* of all lanes */
    uint32_t offered;               /* told to the client */
    uint64_t n_tasks;               /* queued + live of its jobs */
    uint64_t all_tasks, all_bytes;  /* queued, held and live; those that end do not count */
    uint64_t balanced_at;
    uint64_t used_ns, demand, target;
    bool failed, doubt, is_later;
    bool ending;                    /* in no map: its chore takes it and its jobs apart */
    struct chore end;
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

/* What contains an interval of job.index. */
enum place { PLACE_QUEUED = 1, PLACE_HELD, PLACE_LIVE, PLACE_OUTCOME };

struct range {
    union {
        struct list_node node;      /* in job.queue or attempt.pieces */
        struct interval time;       /* in job.held, by when it is due */
    };
    struct interval at;             /* in job.index, while it waits */
    struct span s;
};

/* Tasks of an attempt that do not run again when they come back. untold: among those that the worker has yet to hear of. */
struct cancelled { struct interval at; struct list_node untold; };

/* A cancel of what has not begun, at an attempt whose worker is asked; cancelled: so many of [first, end) have come back. */
struct ask {
    struct list_node in_attempt, in_cancel;
    struct attempt *attempt;
    struct cancel *cancel;
    uint64_t first, end, cancelled;
    bool again;                     /* of the cancel, when it was made: all of it was counted before */
};

struct job {
    struct list_node in_client, in_pool, in_owner, ready, sending, holder, in_all;
    struct job *same_hash;
    struct owner *owner;
    struct client *client;          /* NULL: parked */
    struct pool *pool;              /* NULL: parked */
    struct need *need;              /* of the pool's */
    uint64_t turn;                  /* of its place in need.ready */
    uint8_t id[WIRE_ID];
    uint32_t handle, number;
    uint64_t since;
    struct interval parked;         /* b->parked, by when it ends; while no client has it */
    struct buf *spec_bytes;         /* owned; spec points into it */
    struct wire_job_spec spec;
    bool closed;
    bool ending;                    /* found by nobody: a chore takes it apart */
    bool resend;                    /* opened again while a chore is freeing what it has acknowledged: outcomes go out after that */
    struct chore end, ack, bind, cancel, replay, room;
    size_t to_tell;                 /* of live: their counts are told again */
    uint64_t ack_to;
    uint32_t opening;               /* rises when it is opened: what waits of before is sent again */
    struct list replays;            /* struct replay: items of TASKS that wait for their turn, in the order in which they came */
    bool put_off;                   /* replays had no room: TASKS are left to the client until it has opened the job again */
    bool room_told;                 /* and it was asked to */
    uint64_t put_off_to;            /* replays below it are with the client: all that an earlier epoch may have handed out */
    struct list cancels;            /* struct cancel: going on; nothing of the job is handed out meanwhile */
    struct list awaiting;           /* struct cancel: have passed over what is held */
    size_t awake;                   /* of those, from the first on: to go over it once more */
    struct intervals cancelling;    /* those of either list that others can be taken into, by index */
    struct list_node stopped;       /* in owner.stopped */
    uint32_t attached;              /* the client's, when it was opened last: see job_mute */
    uint64_t next;                  /* indexes below it were received in this epoch */
    uint64_t next_told;             /* as JOB_STATE said on this connection: what is below it may come again */
    struct intervals index;         /* all its places */
    struct list queue;              /* ranges */
    struct intervals held;          /* ranges, by time */
    struct intervals lost;          /* ranges without bytes: counts of tasks that a worker brought, and that went before they were
                                     * sent again; all from `next` on */
    struct list live;               /* attempts: assigning, live */
    struct list finished;           /* attempts whose outcomes are not all acknowledged */
    struct list outcomes;           /* by seq */
    struct outcome *unsent;
    struct list said;               /* output that came while it was parked: behind it comes what is newer, and its outcomes */
    struct list known;
    uint64_t cost, sent_cost;       /* of its outcomes; of those that were sent on this connection */
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
    struct list_node in_lane;       /* lane.live, or kept->kept */
    struct list_node out;           /* worker.to_send, worker.recalls, shelf.crowded or client.assigning */
    struct shelf *crowded;          /* whose list that is */
    bool counted;                   /* in known.live */
    struct lane *kept;              /* finished: in that lane's list; NULL: in none */
    uint64_t id;
    struct job *job;
    struct account *account;        /* of the job's owner; foreign: of the worker */
    struct worker *worker;          /* NULL: finished, and the worker is gone */
    struct lane *lane;              /* NULL: adopted and not yet bound to a pool */
    enum attempt_state state;
    uint8_t why;                    /* of the recall, of the closing */
    bool sent, is_long, adopted;
    bool recalled, asked;           /* asked: the worker has yet to hear why, from recall_first on */
    uint64_t recount;               /* seen by recount.c */
    bool told;                      /* assigning: the client knows */
    uint32_t attached;              /* assigning: the client's, when it was made */
    uint32_t round, unacked;        /* unacked: outcomes not acknowledged by the client */
    uint64_t next, end;             /* what has no outcome yet; [s.first, s.first + s.count) was handed out */
    uint64_t recall_first;
    uint64_t mean_ns, sent_at, bytes_left;
    struct interval at;             /* [next, end) in job.index */
    struct span s;
    struct list said;               /* its output that was not taken */
    uint64_t said_seq;              /* of the last piece that came */
    broker_peer said_peer;          /* on this connection pieces came again up to said_again; … */
    uint64_t said_again;
    struct piece *said_hint;        /* … the last of them that is here; NULL: none */
    struct list pieces;             /* adopted: ranges with the arguments, by index, as far as the client has replayed them */
    struct intervals cancels;       /* struct cancelled */
    struct list untold;             /* of them, those that the worker has yet to hear of */
    struct list asks;               /* struct ask */
    uint64_t ask_first;             /* asked for: all from here on that has not begun */
    uint32_t ask_open;              /* RECALLs for it, not answered */
    bool ask_due;                   /* one more is to be sent */
    bool ask_wanted;                /* a cancel waits until these are answered */
};

/* Of what a task has printed. */
struct piece {
    struct list_node node;          /* client.said, job.said, or worker.taken */
    struct list_node in_attempt;
    struct attempt *from;           /* while in_attempt is in its list */
    struct account *account;        /* charged: the owner's, then the worker's that is told */
    uint64_t seq;                   /* in the client's session */
    uint64_t attempt, attempt_seq, index, offset, limit;
    broker_peer peer;               /* the connection it came by: its window counts it */
    uint32_t window, job, pid, size, flags; /* window: as its worker calls it; job: the client's handle */
    uint16_t tries;
    uint8_t stream;
    struct slice body;
    char host[64];
};

struct outcome {
    struct list_node node;
    struct interval at;             /* in job.index */
    uint64_t seq, first, sum_ns;
    struct attempt *attempt;
    uint32_t count, flags, size, pid;
    uint8_t kind;
    struct slice lens, body;
};

/* An item of TASKS, or what is left of it, that waits for its turn. */
struct replay {
    struct list_node in_job;
    struct wire_item it;
    struct slice lens, body;        /* references; the item's are parts of them */
    uint32_t request, opening;
    bool begun;
};

#define CANCEL_NOTHING UINT64_MAX

/* A CANCEL that is being carried out, from index `at` on. */
struct cancel {
    struct list_node in_job;
    struct job *job;
    struct interval range;          /* in job.cancelling, if others can be taken into it */
    uint64_t at;
    uint64_t held_from;             /* where the first task is that it has passed over; CANCEL_NOTHING: none */
    bool only_queued;
    bool awaits;                    /* in job.awaiting, else in job.cancels */
    bool again;                     /* it is over its range not for the first time: only what was held is news */
    struct list asks;               /* struct ask: not answered */
    broker_peer peer;               /* who is answered; request 0: nobody */
    uint32_t request;
    uint64_t cancelled, running, done, held;
};

struct status_request { struct list_node node; struct account *account; broker_peer peer; uint32_t request; char what[16]; };

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
    struct buf *loan, *lent;                        /* a frame of which parts are kept, as charged to `borrower` */
    struct account *borrower;
    uint64_t now, started, next_attempt, hold_end;
    uint32_t next_number;                           /* of a pool or a job */
    struct map peers, attempts, jobs;               /* jobs: by hash of the id */
    struct map owner_map, client_map, worker_map;   /* by key, by key and instance */
    struct map numbers;                             /* of pools and jobs, until they are gone */
    struct map ended_map;                           /* by key: see ended.c */
    struct owner own;                               /* whose chores are those of workers; in no list of owners */
    struct list owners, clients, workers, pools, all_jobs, cuts, dirty_peers, dirty_clients, dirty_workers, work, thirsty, holders,
        status, busy, leaving, doubtful, ended;
    struct list offers;                             /* all pools: the first n_stale are told, when nothing is asked of them, … */
    size_t n_stale;                                 /* … what they would have, a few in each turn, since workers have changed */
    struct intervals timers, parked;                /* clients and jobs, by time */
    uint64_t status_turn;                           /* in which `answered` counts */
    uint32_t answered;
    struct hash_key hash;                           /* of all maps whose keys peers choose */
    uint64_t ranks;                                 /* seeds of the jobs' indexes */
    uint64_t steps;                                 /* places, ranges, outcomes and cells looked at */
    uint64_t turn, recounts;
    struct cache ranges, attempt_cache, outcomes;
    size_t n_attempts, n_pieces, n_cancels;     /* of assigning and live attempts: what each keeps in reserve, see brk_reserve();
                                                     * asks are among the cancels */
    struct batch batch[2], *building, *current;
    bool grants_dirty;              /* grants are made anew: something has changed, … */
    bool regrant;                   /* … or it is time */
    bool contended, draining, again;
    uint64_t regrant_at, granted_at, tick_at, doubt_at;
    struct { struct peer *peer; struct wire_item *items; uint32_t n; } counts;   /* counts.c */
    struct broker_counters n;
    struct buf *generic[BFORK_MISMATCH * -1 + 1];   /* documents that many tasks share, and that are there when memory is not */
    struct buf *unreported;                         /* another for UNKNOWN: see OUTCOME_UNREPORTED */
    char check_text[256];
};

/* memory.c */
void *brk_mem_new(struct broker *b, size_t size);                   /* zeroed */
void brk_mem_free(struct broker *b, void *p, size_t size);
void *brk_mem_new_for(struct broker *b, struct account *a, size_t size);
void brk_mem_free_for(struct broker *b, struct account *a, void *p, size_t size);
void *brk_cache_get(struct broker *b, struct cache *c, struct account *a);  /* zeroed; NULL: no memory */
void brk_cache_put(struct broker *b, struct cache *c, void *p, struct account *a);
int brk_cache_reserve(struct broker *b, struct cache *c, size_t n);
void brk_cache_free(struct broker *b, struct cache *c);
/* Makes room for so many, besides what attempts keep: giving an attempt back cuts its ends (two ranges), and each piece and each
 * cancel may part it once more, which makes a range and an outcome. */
int brk_reserve(struct broker *b, size_t ranges, size_t outcomes);
static inline size_t reserve_ranges(const struct broker *b) { return 2 * b->n_attempts + b->n_pieces + b->n_cancels; }
static inline size_t reserve_outcomes(const struct broker *b) { return b->n_attempts + b->n_pieces + b->n_cancels; }
#define CANCELLED_RESERVE (sizeof(struct range) + sizeof(struct outcome))   /* of each cancel, charged to its owner */
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

/* account.c: the doors. 0, or BFORK_EQUOTA and r says what the limit is and what is held */
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

/* recount.c */
bool brk_recount_accounts(struct broker *b);                        /* false: b->check_text says what differs */

/* keyed.c */
uint64_t brk_keyed_hash(const struct broker *b, const uint8_t *key, const uint8_t *instance);   /* instance may be NULL */
int brk_keyed_put(struct map *m, struct keyed *k, uint64_t hash);   /* 0 or BFORK_ENOMEM */
void brk_keyed_take(struct map *m, struct keyed *k);
#define KEYED_EACH(m, hash_, k) struct keyed *k = map_get(m, hash_); k; k = k->next

/* number.c: what workers know a pool or a job by */
uint32_t brk_number_new(struct broker *b, void *whose); /* not 0 and nobody's; a cell of b->numbers is reserved */
void brk_number_free(struct broker *b, uint32_t number); /* it is gone: the number may be another's */

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
struct broker_effect *brk_effect_new(struct broker *b, enum broker_effect_type type);

/* counts.c */
void brk_counts_tell(struct broker *b, struct job *j, const struct span *s, uint64_t first, uint64_t end);
/* what of it was not sent again */
void brk_counts_keep(struct broker *b, struct attempt *a, uint64_t from, uint64_t to, int tries);
void brk_counts_take(struct broker *b, struct attempt *a);          /* what is kept of its tasks counts for it */
uint64_t brk_counts_kept(const struct job *j, uint64_t first, uint64_t end, uint16_t *tries, uint16_t *crashes);
void brk_counts_sent(struct broker *b, struct job *j);              /* its tasks below j->next have come */
bool brk_counts_drop(struct broker *b, struct job *j);              /* one that is kept; false: there is none */
bool brk_counts_tell_some(struct broker *b, struct job *j, uint32_t *budget); /* of job.to_tell; true: all */
void brk_counts_send(struct broker *b);

/* session.c */
void brk_session_hello(struct broker *b, struct peer *p, const struct wire_msg *m);
void brk_session_lost(struct broker *b, struct peer *p);            /* the connection is gone */
void brk_peer_dirty(struct broker *b, struct peer *p);              /* a PONG or an ack is due */
void brk_session_drop(struct broker *b, struct peer *p, const char *why);  /* it is cut, and may resume its session */
void brk_session_break(struct broker *b, struct peer *p);           /* the same, for want of memory */
void brk_session_bye(struct broker *b, struct peer *p);
/* The session ends: ERROR, then CUT; counted. */
void brk_session_fail(struct broker *b, struct peer *p, int code, const char *format, ...) __attribute__((format(printf, 4, 5)));
void brk_client_end(struct broker *b, struct client *c);            /* at once for everybody else; its chore takes it apart */
void brk_client_free(struct broker *b, struct client *c);           /* its jobs and pools are gone */
bool brk_client_away(struct broker *b, struct client *c, uint32_t *budget); /* true: all that it left is given back */
void brk_worker_free(struct broker *b, struct worker *w);           /* it has nothing any more */
void brk_worker_end(struct broker *b, struct worker *w, const char *why);   /* at once for everybody else, as a client's */
void brk_client_dirty(struct broker *b, struct client *c);
void brk_worker_dirty(struct broker *b, struct worker *w);
void brk_peer_cut(struct broker *b, struct peer *p, const char *why);
void brk_peer_no_memory(struct broker *b, struct peer *p);          /* cut for that; its session resumes by reconnecting */
void brk_peers_cut_again(struct broker *b);                         /* those for which there was no effect in the last turn */
void brk_peer_free(struct broker *b, struct peer *p);
void brk_session_tick(struct broker *b, uint64_t *next);
void brk_copy_text(char *to, size_t size, struct wire_str s);
struct owner *brk_owner_get(struct broker *b, const uint8_t *key);
struct owner *brk_owner_find(const struct broker *b, const uint8_t *key);   /* NULL: nothing of it is here */
void brk_owner_unref(struct broker *b, struct owner *o);
void brk_peer_ready(struct peer *p, struct account *a);
void brk_client_timer(struct broker *b, struct client *c, uint64_t at);
void brk_client_attached(struct client *c);
struct client *brk_client_find(struct broker *b, const uint8_t *key, struct wire_bin instance);
struct client *brk_client_new(struct broker *b, struct peer *p, const struct wire_hello *h, struct refusal *r);
struct worker *brk_worker_find(struct broker *b, const uint8_t *key, struct wire_bin instance);
struct worker *brk_worker_new(struct broker *b, struct peer *p, const struct wire_hello *h);
void brk_session_away(struct broker *b, struct client *c);
void brk_client_detach(struct broker *b, struct client *c);
void brk_client_dormant(struct broker *b, struct client *c);
void brk_detached_limit(struct broker *b, struct owner *o);
void brk_session_cut(struct broker *b, struct peer *p);

/* refuse.c */
int brk_refuse(struct refusal *r, int code, const char *field, const char *format, ...) __attribute__((format(printf, 4, 5)));
/* 0, or the first value that means something this release has no code for. */
int brk_refuse_pool_spec(const struct wire_pool_spec *s, struct refusal *r);
int brk_refuse_job_spec(const struct wire_job_spec *s, struct refusal *r);
void brk_request_refused(struct broker *b, struct peer *p, uint32_t request, const struct refusal *r);
/* The pool or job of this handle, if there is one, is gone; the client is told with this request. */
void brk_pool_refused(struct broker *b, struct client *c, uint32_t request, uint32_t handle, const struct refusal *r);
void brk_job_refused(struct broker *b, struct client *c, uint32_t request, uint32_t handle, const struct refusal *r);
void brk_handle_gone(struct client *c, bool pool, uint32_t handle, const uint8_t *name);
const uint8_t *brk_handle_was(const struct client *c, bool pool, uint32_t handle); /* its name, if it went lately */
/* What still comes for it may have crossed with its end. */
static inline bool handle_may_be_gone(const struct client *c, bool pool, uint32_t handle)
{
    /* A job that is ending is in its map. */
    return (handle && handle <= c->top[pool]) || map_get(pool ? &c->pools : &c->jobs, handle);
}

/* Nothing of it is handed out: its outcomes are not fetched, or its client's connection has ended. */
static inline bool pool_is_paused(const struct pool *p) { return p->client->paused || p->owner->full; }

/* pool.c. What returns int: 0, or < 0 and r says why it is refused; nothing else has changed */
int brk_pool_open(struct broker *b, struct client *c, const struct wire_msg *m, struct refusal *r);
void brk_pool_close(struct broker *b, struct pool *p);              /* pool and jobs end; nothing more is told of them */
void brk_pool_free(struct broker *b, struct pool *p);
void brk_pool_failed(struct broker *b, struct worker *w, const struct wire_pool_failed *f);
void brk_pool_crowded(struct broker *b, struct lane *l);            /* there is no room for its specification at the worker */
void brk_pool_check_doubts(struct broker *b);                       /* a worker has come or gone */
void brk_pool_tick(struct broker *b, uint64_t *next);
void brk_pool_check_failed(struct broker *b, struct pool *p);
void brk_pool_tasks(struct broker *b, struct job *j, int64_t n);    /* its pool has so many more */
void brk_pool_opened(struct broker *b, struct job *j);              /* the client has opened it again: its tasks may run */
void brk_pool_wake(struct broker *b, struct pool *p);               /* all its lanes may have room */
void brk_pool_paused(struct broker *b, struct pool *p);             /* pool_is_paused has changed */
void brk_pool_work(struct broker *b, struct pool *p);
void brk_pool_active(struct pool *p, bool later);
void brk_pool_idle(struct pool *p);                                 /* neither: it has no tasks and no slots */
void brk_pool_changed(struct broker *b, struct pool *p);            /* it wants other slots than before: grants are made anew */
void brk_pool_tell(struct broker *b, struct pool *p);
bool brk_pool_refuse(struct broker *b, struct pool *p, struct job *j, uint32_t *budget); /* what it has queued; true: all */
int brk_pool_new(struct broker *b, struct client *c, const struct wire_pool_open *o, struct pool **ret, struct refusal *r);

#define HELD_EACH(j, v) struct interval *v = interval_first(&(j)->held); v; v = interval_next(v)
#define HELD_RANGE(v) INTERVAL_ENTRY(v, struct range, time)

/* ended.c */
void brk_ended_add(struct broker *b, const struct job *j);
bool brk_ended_has(const struct broker *b, const uint8_t *key, const uint8_t *id); /* lately, since this start of the broker */
void brk_ended_free(struct broker *b);

/* job.c */
void brk_job_unhash(struct broker *b, struct job *j);
void brk_job_bind(struct broker *b, struct job *j);
void brk_job_pending_above(struct broker *b, struct job *j, int64_t all, int64_t bytes);
struct job *brk_job_find(struct broker *b, struct owner *o, const uint8_t *id);
struct job *brk_job_new(struct broker *b, struct owner *o, const uint8_t *id);
int brk_job_open(struct broker *b, struct client *c, const struct wire_msg *m, struct refusal *r);
void brk_job_end(struct broker *b, struct job *j);                  /* its chore takes it apart */
bool brk_job_reap(struct broker *b, struct job *j, uint32_t *budget); /* takes it apart; true: it is gone */
static inline bool job_is_ending(const struct job *j)
{
    return j->ending || (j->pool && j->pool->ending) || (j->client && j->client->ending);
}
/* The client has reconnected, but not opened it again: outcomes would overtake those to be sent again. */
static inline bool job_mute(const struct job *j) { return j->client && j->attached != j->client->attached; }
bool brk_job_bind_some(struct broker *b, struct job *j, uint32_t *budget); /* live attempts get their lanes, are told; true: all */
struct job *brk_job_of(struct client *c, uint32_t handle);          /* NULL: not there, or it is ending */
void brk_job_maybe_end(struct broker *b, struct job *j);
/* Has it items of TASKS that have come and are not all taken yet? What they say is compared with what is known. */
static inline bool job_has_replays(const struct job *j)
{
    const struct list_node *n = list_last(&j->replays);

    return n && LIST_ENTRY(n, struct replay, in_job)->opening == j->opening && !job_mute(j);
}
void brk_job_pending(struct broker *b, struct job *j, int64_t queued, int64_t held, int64_t live, int64_t bytes);
void brk_job_forget(struct broker *b, struct job *j);               /* workers do not know it any more: JOB_FORGET */
void brk_job_park(struct broker *b, struct job *j, uint64_t until);  /* no client has it: it ends then */
void brk_job_release_held(struct broker *b, uint64_t *next);
static inline bool job_once(const struct job *j) { return j->spec.retries < 0; }
static inline uint64_t job_tasks_pending(const struct job *j) { return j->n_queued + j->n_held + j->n_live; }

/* range.c */
static inline uint64_t span_bytes(const struct span *s) { return s->lens.size + s->body.size; }
/* The first n; both hold references. Returns the steps that it cost. */
uint32_t brk_span_cut(struct span *s, uint32_t n, struct span *ret_head);
void brk_span_done(struct span *s);
uint32_t brk_span_fit(const struct span *s, uint32_t n, uint64_t bytes);    /* how many of the first n fit; at least 1 */
int brk_range_accept(struct broker *b, struct job *j, const struct wire_item *it, bool held, uint64_t due);
int brk_range_make(struct broker *b, struct job *j, const struct wire_item *it, struct range **ret);
void brk_range_queue(struct broker *b, struct job *j, struct range *r, bool front);
void brk_range_hold(struct broker *b, struct job *j, struct range *r, uint64_t due);
void brk_range_free(struct broker *b, struct job *j, struct range *r);
/* A waiting range leaves its queue, the index and the sums; it keeps its tasks. */
void brk_range_out(struct broker *b, struct job *j, struct range *r);
/* The first n tasks of a waiting range become one of their own in front of it; uses the reserve. */
struct range *brk_range_split(struct broker *b, struct job *j, struct range *r, uint32_t n);
struct range *brk_range_of(struct broker *b, struct job *j, struct span *s); /* consumes s; uses the reserve */
void brk_job_ready(struct broker *b, struct job *j);
/* The range is in no list: back in front of the queue, or held until due (0: no), but for what of the attempt was cancelled
 * meanwhile, which settles. */
void brk_range_return(struct broker *b, struct attempt *a, struct range *r, uint64_t due);

/* attempt.c */
struct attempt *brk_attempt_new(struct broker *b, struct job *j, struct worker *w, struct lane *l);
void brk_attempt_results(struct broker *b, struct worker *w, const struct wire_msg *m);
/* What has no outcome goes back to the queue, or is settled: lost counts a try. The attempt is gone. close: why to tell the worker,
 * 0 no */
void brk_attempt_requeue(struct broker *b, struct attempt *a, bool lost, const char *text, uint8_t close);
/* detached from everything; the worker is told if why != 0 */
void brk_attempt_close(struct broker *b, struct attempt *a, uint8_t why);
void brk_attempt_recall(struct broker *b, struct attempt *a, uint64_t first, uint8_t why); /* why: drain or balance */
void brk_attempt_recall_again(struct broker *b, struct attempt *a); /* its worker has a new connection: what is cancelled is told */
static inline size_t attempt_recalls_due(const struct attempt *a) { return a->untold.count + a->asked + a->ask_due; }
void brk_attempt_recall_due(struct broker *b, struct attempt *a);   /* its worker is to hear one */
void brk_attempt_recalled(struct attempt *a);                       /* it has said what comes of that */
size_t brk_attempt_recalls(struct attempt *a, struct wire_item *items, size_t room); /* records of RECALL, as many as fit */
/* Places that giving it back touches. */
static inline uint64_t attempt_places(const struct attempt *a) { return 1 + a->pieces.count + a->cancels.count + a->asks.count; }
bool brk_attempt_strip(struct broker *b, struct attempt *a);        /* of one that ends: a piece or a cancel; false: it has none */
void brk_attempt_acked(struct broker *b, struct attempt *a);
int brk_attempt_foreign(struct broker *b, struct worker *w, uint64_t id);    /* 0, or BFORK_EQUOTA: too many wait to be told */
void brk_attempt_free(struct broker *b, struct attempt *a);
void brk_attempt_told(struct broker *b, struct attempt *a);         /* its ATTEMPTS_CLOSE is composed */
void brk_attempt_bytes(struct attempt *a, int64_t bytes);           /* what its arguments count at lane and worker */
void brk_attempt_shrink(struct broker *b, struct attempt *a, uint64_t end); /* [end, a->end) goes back in front */
void brk_attempt_place(struct attempt *a, uint64_t next, uint64_t end); /* what it answers for in the index; not yet its fields */
void brk_attempt_piece(struct broker *b, struct attempt *a, struct range *r); /* arguments of an adopted one */
/* [first, end) of it is not wanted: asked back, and not run again when it comes back. 0 or BFORK_ENOMEM. */
int brk_attempt_cancel(struct broker *b, struct attempt *a, uint64_t first, uint64_t end);
bool brk_attempt_is_cancelled(const struct attempt *a, uint64_t index, uint64_t *ret_until);
void brk_attempt_assigned(struct broker *b, struct client *c, const struct wire_msg *m);
void brk_attempt_bind(struct broker *b, struct attempt *a);                 /* adopted: its job has got a pool */
void brk_attempt_ticket(struct broker *b, const uint8_t *job_id, const uint8_t *owner, const struct worker *w, uint64_t first,
                        uint64_t end, uint64_t id, uint8_t out[WIRE_TICKET]);
void brk_attempt_drop_pieces(struct broker *b, struct attempt *a, uint64_t below);
void brk_cancelled_free(struct broker *b, struct attempt *a, struct cancelled *k);
void brk_attempt_narrow(struct broker *b, struct attempt *a, uint64_t next, uint64_t end);
struct list *brk_attempt_offers(const struct attempt *a);
void brk_attempt_park(struct broker *b, struct attempt *a);
void brk_attempt_finish(struct broker *b, struct attempt *a);
void brk_attempt_back(struct broker *b, struct attempt *a, uint64_t from, uint64_t to, int tries, int crashes, int fails);

/* need.c */
static inline bool worker_has(const struct worker *w, uint64_t features) { return !(features & ~w->features); }
void brk_needs_init(struct pool *p, uint64_t features);
void brk_need_join(struct broker *b, struct job *j);                /* its pool has it now */
void brk_need_leave(struct job *j);
void brk_need_opened(struct pool *p, struct need *k, int64_t n);    /* so many tasks more are of jobs that are open */
/* Those of n_tasks that may be handed out, or were; tasks of jobs that the client has yet to open again are not among them. */
uint64_t brk_need_due(const struct pool *p, const struct need *k);
uint64_t brk_pool_tasks_due(const struct pool *p);                  /* of all its needs */
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

/* grant.c */
#define ACTIVE_EACH(b, p) struct pool *p = brk_active_next((b), NULL); p; p = brk_active_next((b), p)
bool brk_pool_claims(const struct pool *p);                         /* it has work that may be handed out */
void brk_grant_run(struct broker *b);
void brk_grant_workers_changed(struct broker *b);                   /* who there is, or how many slots they have */
void brk_offers_run(struct broker *b);                              /* what pools without work would have, when that has changed */
struct lane *brk_lane_get(struct broker *b, struct worker *w, struct pool *p, bool make);
void brk_lane_slots(struct broker *b, struct lane *l, uint32_t slots);
static inline uint32_t lane_usable(const struct lane *l) { return l->slots - l->yields; }      /* for what is handed out now */
void brk_lane_open(struct broker *b, struct lane *l);
void brk_lane_free(struct broker *b, struct lane *l);
void brk_lane_forget(struct broker *b, struct lane *l);
void brk_lane_grant_due(struct broker *b, struct lane *l);
void brk_lane_recall(struct broker *b, struct lane *l, uint8_t why); /* all that it was given, while it has no slots */
bool brk_lane_recall_some(struct broker *b, struct lane *l, uint32_t *budget); /* true: done */
uint32_t brk_slots_total(const struct broker *b);
struct pool *brk_active_next(const struct broker *b, const struct pool *p);
void brk_lane_yields(struct lane *l, uint32_t yields);
bool brk_lane_barred(const struct broker *b, const struct lane *l);
uint64_t brk_pool_wanted(struct broker *b, const struct pool *p, uint32_t total);
void brk_share_charge(struct broker *b);
void brk_share_level(struct broker *b);
uint64_t brk_share_demands(struct broker *b, uint32_t total, bool by_tasks);
void brk_share_owners(struct broker *b, uint64_t slots);
void brk_share_pools(struct owner *o);
uint32_t brk_slots_at_most(uint64_t a, uint64_t b);
bool brk_place_run(struct broker *b, uint32_t total, bool *ret_waits);

/* dispatch.c */
void brk_dispatch_run(struct broker *b);

/* shelf.c. What returns int: 0, BFORK_ENOMEM, or BFORK_EQUOTA: there is no room now; only compose.c calls it, as it may send */
int brk_shelf_job(struct broker *b, struct known *k);
int brk_shelf_pool(struct broker *b, struct lane *l);
void brk_shelf_drop_known(struct broker *b, struct known *k);
void brk_shelf_drop_lane(struct broker *b, struct lane *l);
void brk_shelf_use(struct known *k, struct attempt *a);             /* its chunk is about to be sent: the job is needed there … */
void brk_shelf_unuse(struct broker *b, struct attempt *a);          /* … not any more */
void brk_shelf_crowded(struct attempt *a);                          /* it leaves to_send, and waits for room for its job */
void brk_shelf_uncrowd(struct broker *b, struct attempt *a);        /* it leaves shelf.crowded, and is in no list then */
void brk_shelves_wake(struct broker *b, struct worker *w);          /* all that wait are in to_send again */
bool brk_shelves_check(struct broker *b, const struct worker *w);   /* false: b->check_text says what differs */
struct shelf *brk_shelf_get(struct broker *b, struct worker *w, struct account *a);

/* compose.c */
void brk_compose_run(struct broker *b);
void brk_known_free(struct broker *b, struct known *k);
void brk_compose_pong(struct broker *b, struct worker *w, uint64_t stamp);
bool brk_compose_pool_state(struct broker *b, struct pool *p, uint32_t request);   /* false: no memory */
struct wire_item *brk_out_items(struct broker *b, size_t n);
struct wire_msg *brk_out_message(struct broker *b, struct peer *p, enum wire_type type, struct wire_item *items, size_t n);
void brk_out_hold(struct broker *b, const struct wire_item *it);
size_t brk_out_most(size_t n);
bool brk_specs_fit(struct worker *w, const struct buf *spec);
void brk_specs_mark(struct broker *b, struct worker *w);
void brk_compose_worker(struct broker *b, struct worker *w);
void brk_compose_client(struct broker *b, struct client *c);

/* outcome.c */
void brk_outcome_costs(struct broker *b, struct job *j, int64_t cost, int64_t sent); /* they change by so much */
/* Fields of it and its slices (their references are consumed); uses the reserve. */
void brk_outcome_record(struct broker *b, struct job *j, struct attempt *a, const struct wire_item *it);
static inline uint64_t outcome_cost(const struct outcome *o) { return OUTCOME_COST + o->lens.size + o->body.size; }
/* count tasks from first end with this kind; tries: attempts so far. text NULL: the general one; OUTCOME_UNREPORTED (UNKNOWN): they
 * may have begun before we were started, or were lost between us and a session that is not resumed. */
extern const char OUTCOME_UNREPORTED[];
void brk_outcome_text(struct broker *b, struct job *j, uint64_t first, uint64_t count, uint32_t tries, int kind, const char *text);
/* Tasks that nobody knows, since they were never received or were acknowledged long ago: counted in no sum. */
void brk_outcome_nowhere(struct broker *b, struct job *j, uint64_t first, uint32_t count);
void brk_outcome_ack(struct broker *b, struct job *j, uint64_t seq);
bool brk_outcome_ack_some(struct broker *b, struct job *j, uint32_t *budget); /* up to job.ack_to; true: done */
void brk_outcome_acks(struct broker *b, struct client *c, const struct wire_msg *m);
void brk_outcome_free(struct broker *b, struct job *j, struct outcome *o);
bool brk_owner_wake_some(struct broker *b, struct owner *o, uint32_t *budget); /* true: all */
void brk_client_pause(struct broker *b, struct client *c);           /* its window is full or open, its connection there or not */
void brk_outcome_freed(struct broker *b, struct client *c);          /* its window may have opened */
void brk_outcome_resend(struct broker *b, struct job *j);
void brk_job_sending(struct broker *b, struct job *j);              /* its outcomes may go out, if nothing is in front of them */

/* said.c */
void brk_said_take(struct broker *b, struct worker *w, const struct wire_msg *m);
bool brk_said_bind(struct broker *b, struct job *j, uint32_t *budget);     /* true: all */
void brk_said_ack(struct broker *b, struct client *c, uint64_t seq);
bool brk_said_ack_some(struct broker *b, struct client *c, uint32_t *budget); /* true: all */
void brk_said_resend(struct broker *b, struct client *c);
void brk_said_room(struct broker *b, struct client *c);             /* it has acknowledged something: its window may have room */
bool brk_said_drop(struct broker *b, struct list *pieces, uint32_t *budget); /* true: all */
void brk_said_orphan(struct attempt *a);
void brk_said_forget(struct broker *b, struct worker *w);
void brk_said_item(const struct piece *p, struct wire_item *i);
size_t brk_said_taken_items(struct broker *b, struct worker *w, struct wire_item *items, size_t n);
uint64_t brk_piece_cost(const struct piece *p);
void brk_said_use(struct peer *p, uint32_t window, int64_t bytes);
bool brk_said_fits(const struct broker *b, const struct peer *p, uint32_t window, uint64_t more);
void brk_said_queue(struct broker *b, struct client *c, struct job *j, struct piece *p);

/* status.c */
void brk_status_get(struct broker *b, struct peer *p, const struct wire_msg *m);

/* adopt.c */
void brk_adopt_holding(struct broker *b, struct worker *w, const struct wire_msg *m);
bool brk_worker_join(struct broker *b, struct worker *w, uint32_t *budget); /* true: it is ready, or waits for more, or is gone */
static inline bool worker_is_behind(const struct worker *w) { return w->state == WORKER_JOINING || !list_empty(&w->behind); }
void brk_worker_behind_forget(struct broker *b, struct worker *w);
void brk_worker_wait_behind(struct broker *b, struct worker *w, const struct wire_msg *m); /* while worker_is_behind */
void brk_worker_said(struct broker *b, struct worker *w, const struct wire_msg *m);     /* takes in one that need not wait */
void brk_behind_free(struct broker *b, struct account *a, struct behind *m);
int brk_behind_new(struct broker *b, struct worker *w, const struct wire_msg *m, struct behind **ret);
int brk_recover_held(struct broker *b, struct worker *w, const struct wire_item *it);
void brk_recover_seen(struct broker *b, struct worker *w, struct attempt *a);
void brk_worker_ready(struct broker *b, struct worker *w);
bool brk_holding_look(struct broker *b, struct worker *w, struct holding *h, uint32_t *budget);

/* leave.c */
bool brk_worker_end_some(struct broker *b, struct worker *w, uint32_t *budget); /* true: it is gone */
void brk_worker_leaves(struct broker *b, struct worker *w);                 /* its connection has ended: what is only for that */
void brk_worker_untold(struct broker *b, struct worker *w);                 /* what it was about to say it has */

/* tasks.c */
void brk_tasks_take(struct broker *b, struct client *c, const struct wire_msg *m);
bool brk_tasks_take_some(struct broker *b, struct job *j, uint32_t *budget); /* of those that wait; true: all, and j may be gone */
bool brk_tasks_room(struct broker *b, struct job *j);                       /* for what was put off; true: its client was told */
void brk_tasks_drop(struct broker *b, struct job *j, struct list_node *n);  /* one that waits */
void brk_replay_stays(struct job *j, const struct wire_item *it);
void brk_replay_put_off(struct broker *b, struct job *j, const struct wire_item *it);
bool brk_replay_lenient(const struct job *j, const struct wire_item *it);
int brk_replay_step(struct broker *b, struct job *j, struct wire_item *it);

/* ask.c */
enum asked { ASK_MADE, ASK_LATER, ASK_NOT, ASK_NO_MEMORY };     /* later: there are too many; not: this worker cannot be asked */
enum asked brk_attempt_ask(struct broker *b, struct attempt *a, struct cancel *k, uint64_t first, uint64_t end);
bool brk_asks_have(const struct attempt *a, uint64_t index, uint64_t *ret_until);
void brk_asks_cancelled(struct attempt *a, uint64_t first, uint64_t end);   /* these have come back, and are settled */
void brk_asks_end(struct broker *b, struct attempt *a);             /* all are answered: what has not come back goes on */
void brk_asks_again(struct broker *b, struct attempt *a);           /* its worker has a new connection */
void brk_asks_told(struct broker *b, struct worker *w, const struct wire_msg *m);
void brk_ask_free(struct broker *b, struct ask *q);

/* cancel.c */
void brk_cancel_told(struct broker *b, struct ask *q, uint64_t running);    /* its answer: it is gone, and the cancel may be */
void brk_cancel_tasks(struct broker *b, struct client *c, const struct wire_msg *m);
bool brk_cancel_some(struct broker *b, struct job *j, uint32_t *budget); /* true: all that can be done now, or none before room */
void brk_cancel_wake(struct broker *b, struct job *j);                  /* something of it has come, or is not held any more */
void brk_cancels_unstop(struct broker *b, struct owner *o);             /* its account takes outcomes again */
void brk_cancel_free(struct broker *b, struct cancel *k);
static inline bool job_cancels(const struct job *j) { return !list_empty(&j->cancels) || j->awake; }
void brk_cancel_answer(struct broker *b, const struct cancel *k);
void brk_cancel_count(struct cancel *k, uint64_t n);
int brk_cancel_begin(struct broker *b, struct job *j, struct cancel now);

/* chore.c */
void brk_chore_add(struct broker *b, struct owner *o, struct chore *c, enum chore_kind kind);
void brk_chore_forget(struct broker *b, struct owner *o, struct chore *c);  /* if it is one */
/* It goes on when brk_chores_room is said of its owner. */
void brk_chore_wait(struct broker *b, struct owner *o, struct chore *c, enum chore_kind kind);
void brk_chores_room(struct broker *b, struct owner *o);                    /* something of it has ended */
uint32_t *brk_chore_budget(struct broker *b, struct owner *o);              /* of its messages in this turn */
static inline void budget_take(uint32_t *budget, uint64_t n) { *budget -= n < *budget ? (uint32_t)n : *budget; }
void brk_chores_run(struct broker *b, bool all);                            /* all: to their ends */
bool brk_pool_end_some(struct broker *b, struct pool *p, uint32_t *budget);
bool brk_client_end_some(struct broker *b, struct client *c, uint32_t *budget);

/* look.c */
void brk_look_tasks(struct broker *b, struct client *c, const struct wire_msg *m);

/* broker.c */
int brk_pool_take_close(struct broker *b, struct client *c, uint32_t handle, struct refusal *r);
int brk_job_take_close(struct broker *b, struct client *c, uint32_t handle, struct refusal *r);
void brk_worker_stands(struct broker *b, struct worker *w, const struct wire_worker_state *s);
void brk_worker_recv(struct broker *b, struct peer *p, const struct wire_msg *m);
void brk_client_recv(struct broker *b, struct peer *p, const struct wire_msg *m);

#endif
