/* SPDX-License-Identifier: MPL-2.0
 * state.h - what the broker's core knows, and who changes it. Internal to broker/core.
 *
 * Its files lie on floors, and each calls only those below it and, on its own, those before it (the order is that of the headers):
 * model/ has the objects, their sums and notes, and decides nothing; rules/ says where a task goes, what ends and who gets slots;
 * in/ takes messages, out/ composes them; broker.c and the files beside it are the doors.
 *
 * Objects and their states (the tables, and the only moves, of those in capitals are in model/moves.c)
 *
 *   PEER      new -> ready -> cut                            one connection
 *   CLIENT    attached <-> detached -> dormant -> waking -> attached; any -> ending (gone)      key + instance; outlives
 *             connections for detach_ms
 *   WORKER    joining -> ready <-> draining; any <-> silent; any -> ending (lost, gone)         key + instance
 *                 joining  HELLO was taken, not all of HOLDING was looked at: nothing is granted or sent, and what the worker
 *                          says meanwhile waits (worker.behind), also when it is ready, until all of that was taken in
 *                 silent   the connection is cut, the lease runs: its attempts are orphaned, not lost
 *   POOL      open <-> doubt, while every ready worker said POOL_FAILED but another may come back <-> failed; closed at any time
 *   lane      one pool on one worker: slots granted there, attempts handed out there            model/lane.c
 *   JOB       open <-> closed -> ending (gone); parked while no client has opened it in this epoch (adopted from a worker)
 *   range     queued | held (recovery: until workers had time to report; back-off)              model/range.c
 *   ATTEMPT   assigning (at most once: the client has not confirmed) -> ready -> sent -> finished (results not yet acknowledged)
 *             -> closing (its worker is to be told) -> closed; what is given back, or whose job is gone: -> closing, closed
 *   outcome   unsent -> sent -> acknowledged (gone)                                             model/outcome.c, rules/ack.c
 *   piece     of output: kept (job parked) -> unsaid -> said -> taken (told to its worker) -> gone                  model/said.c
 *
 * A task of a job is in exactly one place: a range in job.queue, a range in job.held, an attempt's [next, end), an outcome, or it
 * is settled and forgotten. job.index has all these places as disjoint intervals (putting one in asserts it), so a task is found in
 * O(log n). job.n_queued, n_held, n_live are the sums; their total is what quotas count, by session and by owner.
 *
 * A message of k records costs O(k log n) steps. What a single record may ask for that is larger (the end of a client, a pool or a
 * job, a pool that fails, an acknowledgement or a cancel of very many) begins at once and goes on as a chore of its owner, some
 * turn_steps a turn (chores.c); owners with chores take turns. What a client has is not walked at once either when it goes or
 * comes back. What is ending is in no lookup and no sum of its session any more.
 *
 * How things fail
 *   connection of a worker cut
 *       silent; same instance back before the lease ends: HOLDING says what it has, the rest never arrived and is requeued without
 *       charge. Else lost: [next, end) is requeued with tries + 1, over the limit LOST; at most once: UNKNOWN.
 *   worker says BYE, is replaced, or breaks the protocol
 *       lost at once; its attempts go back over turns (rules/leave.c).
 *   a pool or job is refused
 *       it alone ends: POOL_STATE or JOB_STATE says why, the session goes on; a question: ERROR (rules/refuse.c).
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
 * What a peer makes us hold is charged to the account of its key (model/memory.c) and let in by model/account.c: a client's key has
 * its sessions, pools, jobs, ranges, attempts, outcomes, and frames as long as a part of them is kept; a worker's key has its
 * sessions and what it is to be told. An owner whose outcomes are not acknowledged is given no work, and what it has out and not
 * begun is asked back.
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
#include "wire/run.h"

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

/* What is found by bytes that peers choose: see model/keyed.c. */
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

/* States, and what leads from one to another: model/moves.c has the tables, and is the only file that writes a state. */
enum peer_state { PEER_NEW, PEER_READY, PEER_CUT, PEER_STATES };
enum peer_event { PEER_ON_HELLO, PEER_ON_CUT, PEER_EVENTS };

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
    uint32_t windows;               /* so many of them it may have: see model/said.c */
    const char *why;                /* of the cut; static, or NULL */
    int32_t why_code;               /* BFORK_ENOMEM, or 0 */
    uint32_t n_status;              /* its questions that are waiting */
    uint64_t refused_turn;          /* in which `refused` counts */
    uint32_t refused;
};

/* waking: attached again, while what its processes had still goes back. */
enum client_state { CLIENT_NEW, CLIENT_ATTACHED, CLIENT_WAKING, CLIENT_DETACHED, CLIENT_DORMANT, CLIENT_ENDING, CLIENT_STATES };
enum client_event { CLIENT_ON_HELLO, CLIENT_ON_CUT, CLIENT_ON_SLEEP, CLIENT_ON_AWAKE, CLIENT_ON_END, CLIENT_EVENTS };

struct client {
    struct list_node node;          /* b->clients, by arrival */
    struct keyed by_name;           /* b->client_map, until it ends */
    struct list_node dirty;         /* b->dirty_clients */
    struct owner *owner;
    uint8_t instance[WIRE_ID];
    uint64_t conn_no;
    struct peer *peer;              /* NULL: detached */
    enum client_state state;        /* dormant: disconnected for TIME_CLOSED_MS: its processes have ended, its work waits for it;
                                     * ending: no peer, found by nobody: its chore takes it apart */
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
    struct list said;               /* pieces of output, by seq; before unsaid: sent on this connection */
    bool said_held;                 /* unsaid waits until the client has acknowledged: its window is full */
    struct piece *unsaid;
    uint64_t said_seq, said_sent, said_acked;
    struct chore said_ack;
    bool said_again;                /* it is back while that goes on: what is left goes out again after it */
    bool paused;                    /* nothing of it is handed out, as its outcomes fill its window, or its connection has ended */
    bool adopted;                   /* a worker has brought tasks of it, which it may not have counted against its quota */
    struct chore end, away;
    size_t away_jobs, away_pools;   /* of the lists, to be looked at before it is all asleep */
    size_t mute_jobs, mute_pools;   /* and what was not opened again in time is to end */
    char name[64], host[64];
    uint32_t pid;
    struct gone gone[GONE_MAX];     /* a ring: what was open and is not any more */
    uint32_t n_gone;
    uint32_t top[2];                /* greatest handle of a job, of a pool that was used: those up to it may be gone */
};

enum worker_state { WORKER_SILENT, WORKER_JOINING, WORKER_READY, WORKER_DRAINING, WORKER_ENDING, WORKER_STATES };
enum worker_event { WORKER_ON_HELLO, WORKER_ON_SEEN, WORKER_ON_DRAIN, WORKER_ON_CUT, WORKER_ON_END, WORKER_EVENTS };

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
    enum worker_state state;        /* ending: no peer, found by nobody: its chore gives back what it had */
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

/* What a worker was told of one owner's specifications, and keeps: model/shelf.c. */
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

/* Jobs of a pool that need the same of a worker: model/need.c. */
#define NEEDS_MAX 4u
struct need {
    uint64_t features;              /* the pool's own among them */
    size_t n_jobs;                  /* 0: it stands for nothing */
    struct list ready;              /* jobs with queued tasks, by turn; one that is mute may have left it: see next_job */
    uint64_t n_tasks;               /* queued + live of its jobs */
    uint64_t n_opened;              /* of n_tasks: what is of jobs that were opened on the connection `opened` */
    uint32_t opened;                /* client.attached, when n_opened was counted */
};

enum pool_state { POOL_OPEN, POOL_DOUBT, POOL_FAILED, POOL_STATES };
enum pool_event { POOL_ON_RUNS, POOL_ON_DOUBT, POOL_ON_REFUSED, POOL_EVENTS };

struct pool {
    struct list_node node;          /* b->pools */
    struct list_node in_client, in_owner;
    struct list_node active;        /* owner.active or, without slots, owner.later: it has tasks or slots, or has changed */
    struct list_node offer;         /* b->offers */
    struct list_node doubtful;      /* b->doubtful: failed or in doubt */
    struct list_node work;          /* b->work: has tasks and perhaps room */
    struct list_node thirst;        /* b->thirsty: a lane ran low and the queue is empty */
    struct list_node news;          /* client.states: a POOL_STATE is due */
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
    enum pool_state state;          /* also of one that is ending */
    bool is_later;
    bool ending;                    /* in no map: its chore takes it and its jobs apart */
    struct chore end;
    int32_t code;
    char text[256];
};

/* Consecutive tasks with their arguments. */
/* What contains an interval of job.index. */
enum place { PLACE_QUEUED = 1, PLACE_HELD, PLACE_LIVE, PLACE_OUTCOME };

struct range {
    union {
        struct list_node node;      /* in job.queue or attempt.pieces */
        struct interval time;       /* in job.held, by when it is due */
    };
    struct interval at;             /* in job.index, while it waits */
    struct run run;
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

enum job_state { JOB_NEW, JOB_PARKED, JOB_OPEN, JOB_CLOSED, JOB_ENDING, JOB_STATES };
enum job_event { JOB_ON_PARK, JOB_ON_OPEN, JOB_ON_REOPEN, JOB_ON_CLOSE, JOB_ON_END, JOB_EVENTS };

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
    enum job_state state;           /* ending: found by nobody: a chore takes it apart; see job_is_ending and job_mute, too */
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
    struct run_arena arena;             /* of small bodies that wait */
};

enum attempt_state { ATTEMPT_NEW, ATTEMPT_ASSIGNING, ATTEMPT_READY, ATTEMPT_SENT, ATTEMPT_FINISHED, ATTEMPT_CLOSING, ATTEMPT_CLOSED,
                     ATTEMPT_STATES };
enum attempt_event { ATTEMPT_ON_MADE, ATTEMPT_ON_FOREIGN, ATTEMPT_ON_OFFER, ATTEMPT_ON_ADOPT, ATTEMPT_ON_CONFIRM, ATTEMPT_ON_SEND,
                     ATTEMPT_ON_EMPTY, ATTEMPT_ON_FENCE, ATTEMPT_ON_DROP, ATTEMPT_ON_TOLD, ATTEMPT_EVENTS };

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
    bool is_long, adopted;
    bool recalled, asked;           /* asked: the worker has yet to hear why, from recall_first on */
    uint64_t recount;               /* seen by recount.c */
    bool told;                      /* assigning: the client knows */
    uint32_t attached;              /* assigning: the client's, when it was made */
    uint32_t round, unacked;        /* unacked: outcomes not acknowledged by the client */
    uint64_t next, end;             /* what has no outcome yet; [s.first, s.first + s.count) was handed out */
    uint64_t recall_first;
    uint64_t mean_ns, sent_at, bytes_left;
    struct interval at;             /* [next, end) in job.index */
    struct run run;
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
    uint64_t seq, sum_ns;
    struct attempt *attempt;
    struct run run;                 /* its tasks and their results; else the body is one document for all */
    uint32_t pid;
    uint8_t kind;
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
    struct map ended_map;                           /* by key: see model/ended.c */
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
    struct { struct peer *peer; struct wire_item *items; uint32_t n; } counts;   /* rules/tries.c */
    struct broker_counters n;
    struct buf *generic[BFORK_MISMATCH * -1 + 1];   /* documents that many tasks share, and that are there when memory is not */
    struct buf *unreported;                         /* another for UNKNOWN: see OUTCOME_UNREPORTED */
    char check_text[256];
};

/* ---- what can be read off them ----------------------------------------------------------------------------------------------- */

static inline size_t reserve_ranges(const struct broker *b) { return 2 * b->n_attempts + b->n_pieces + b->n_cancels; }
static inline size_t reserve_outcomes(const struct broker *b) { return b->n_attempts + b->n_pieces + b->n_cancels; }

#define CANCELLED_RESERVE (sizeof(struct range) + sizeof(struct outcome))   /* of each cancel, charged to its owner */

#define KEYED_EACH(m, hash_, k) struct keyed *k = map_get(m, hash_); k; k = k->next

/* What still comes for it may have crossed with its end. */
static inline bool handle_may_be_gone(const struct client *c, bool pool, uint32_t handle)
{
    /* A job that is ending is in its map. */
    return (handle && handle <= c->top[pool]) || map_get(pool ? &c->pools : &c->jobs, handle);
}

/* Counted in owner.n_detached. */
static inline bool client_is_gone(const struct client *c) { return c->state == CLIENT_DETACHED || c->state == CLIENT_DORMANT; }
/* Its processes have ended, or are about to: nothing of it runs. */
static inline bool client_is_dormant(const struct client *c) { return c->state == CLIENT_DORMANT || c->state == CLIENT_WAKING; }

/* Nothing of it is handed out: its outcomes are not fetched, or its client's connection has ended. */
static inline bool pool_is_paused(const struct pool *p) { return p->client->paused || p->owner->full; }

#define HELD_EACH(j, v) struct interval *v = interval_first(&(j)->held); v; v = interval_next(v)
#define HELD_RANGE(v) INTERVAL_ENTRY(v, struct range, time)

static inline bool job_is_ending(const struct job *j)
{
    return j->state == JOB_ENDING || (j->pool && j->pool->ending) || (j->client && j->client->state == CLIENT_ENDING);
}

/* The client has reconnected, but not opened it again: outcomes would overtake those to be sent again. */
static inline bool job_mute(const struct job *j) { return j->client && j->attached != j->client->attached; }

/* Has it items of TASKS that have come and are not all taken yet? What they say is compared with what is known. */
static inline bool job_has_replays(const struct job *j)
{
    const struct list_node *n = list_last(&j->replays);

    return n && LIST_ENTRY(n, struct replay, in_job)->opening == j->opening && !job_mute(j);
}

static inline bool job_once(const struct job *j) { return j->spec.retries < 0; }

static inline uint64_t job_tasks_pending(const struct job *j) { return j->n_queued + j->n_held + j->n_live; }


/* Among those that are assigned, to be sent or sent, and has tasks. */
static inline bool attempt_is_live(const struct attempt *a)
{
    return a->state == ATTEMPT_ASSIGNING || a->state == ATTEMPT_READY || a->state == ATTEMPT_SENT;
}

/* Its worker has it, or has had it, or it is on its way there. */
static inline bool attempt_is_sent(const struct attempt *a) { return a->state == ATTEMPT_SENT || a->state == ATTEMPT_FINISHED; }

static inline size_t attempt_recalls_due(const struct attempt *a) { return a->untold.count + a->asked + a->ask_due; }

/* Places that giving it back touches. */
static inline uint64_t attempt_places(const struct attempt *a) { return 1 + a->pieces.count + a->cancels.count + a->asks.count; }

static inline bool worker_has(const struct worker *w, uint64_t features) { return !(features & ~w->features); }

static inline uint32_t lane_usable(const struct lane *l) { return l->slots - l->yields; }      /* for what is handed out now */

static inline uint64_t outcome_cost(const struct outcome *o) { return OUTCOME_COST + run_bytes(&o->run); }

/* It has no connection, or has yet to say all that it holds. */
static inline bool worker_is_away(const struct worker *w) { return w->state != WORKER_READY && w->state != WORKER_DRAINING; }

static inline bool worker_is_behind(const struct worker *w) { return w->state == WORKER_JOINING || !list_empty(&w->behind); }

enum asked { ASK_MADE, ASK_LATER, ASK_NOT, ASK_NO_MEMORY };     /* later: there are too many; not: this worker cannot be asked */

static inline bool job_cancels(const struct job *j) { return !list_empty(&j->cancels) || j->awake; }

static inline void budget_take(uint32_t *budget, uint64_t n) { *budget -= n < *budget ? (uint32_t)n : *budget; }

#endif
