/* SPDX-License-Identifier: MPL-2.0
 * broker.h - the broker's decisions as a pure state machine: sessions, pools, jobs, ranges, attempts, grants, outcomes.
 *
 * No sockets, files, clock, threads, globals, randomness from outside. Everything comes in by the calls below with the time of the
 * loop turn; everything that is to happen comes out as effects. The same code runs in bfork-broker, in the local engine and in the
 * simulator.
 *
 * A loop turn is: any number of broker_recv / broker_lost / broker_tick, then one broker_flush, then perform the effects in order
 * and broker_effects_done. recv only takes in; flush dispatches and composes at most one data message (TASKS' descendants: CHUNKS,
 * OUTCOMES) for each peer, so batches grow with the load and a lone task waits for nobody.
 */
#ifndef BROKER_CORE_BROKER_H
#define BROKER_CORE_BROKER_H

#include "wire/wire.h"

struct broker;

typedef uint64_t broker_peer;       /* the shell's name for one connection; never used again after broker_lost */

struct broker_config {
    uint64_t epoch;                 /* random, not 0 */
    uint64_t seed;                  /* attempts start here */
    uint64_t secret[2];             /* random: keys the maps and ranks the trees, so that no peer can make them slow */
    uint32_t heartbeat_ms, lease_ms, hold_ms;       /* 0: as in wire/times.h */
    uint32_t detach_ms;             /* how long a client may be gone before its jobs end; 0: as in wire/times.h */
    uint32_t detached_max;          /* sessions of one key that may be gone at a time, the oldest ends first; 0: 1024 */
    uint64_t quota_bytes, quota_tasks;              /* each client session; 0: 1 GiB, 16 Mi */
    uint64_t owner_quota_bytes, owner_quota_tasks;  /* all jobs of one key together; 0: 4 times the session's */
    uint64_t owner_memory;          /* all that is held for one client key; 0: 2 GiB, or twice quota_bytes if more */
    uint64_t worker_memory;         /* and for one worker key; 0: 64 MiB */
    uint64_t worker_specs;          /* bytes of specifications of an owner's pools at a worker, as much of jobs; 0: 32 MiB */
    uint32_t sessions_max, pools_max, jobs_max;     /* of one key; of one session; 0: 4096, 1024, 65536 */
    uint64_t window_bytes;          /* unacknowledged bytes towards the broker; 0: 8 MiB */
    uint64_t peer_window_bytes;     /* towards a peer: what it says is cut to this; 0: WIRE_WINDOW_MAX */
    uint32_t lost_limit;            /* attempts when workers are lost; 0: 3 */
    uint32_t crash_limit;           /* attempts when the task itself crashes; 0: 1 */
    uint64_t worker_window_bytes;   /* chunks on the way to one worker and in its rings; 0: 4 MiB */
    uint64_t output_window;         /* output of a pool's tasks on one worker, sent and not taken; 0: WIRE_OUTPUT_WINDOW */
    uint32_t target_us;             /* duration a chunk is cut for; 0: 1000 */
    uint32_t turn_steps;            /* places that all chores together touch in a turn, and each owner's messages; 0: 2048 */
    /* MAC for tickets: out = MAC(secret, in). NULL (local engine): tickets are zero and nothing is adopted. */
    void (*mac)(void *ctx, const void *in, size_t n, uint8_t out[WIRE_TICKET]);
    void *mac_ctx;
    /* out = SHA-256(in), to check what clients say of their specifications. NULL (local engine): they are not checked. */
    void (*digest)(void *ctx, const void *in, size_t n, uint8_t out[WIRE_DIGEST]);
    void *digest_ctx;
};

enum broker_effect_type { BROKER_SEND, BROKER_CUT, BROKER_LOG };

struct broker_effect {
    enum broker_effect_type type;
    broker_peer peer;
    struct wire_msg msg;            /* SEND: valid until broker_effects_done; slices hold references of the core's */
    int level;                      /* LOG: enum log_level */
    uint32_t whose;                 /* LOG: the same for all that one peer can repeat: for log_limited_to() */
    uint32_t most;                  /* … so many lines of it in a second */
    const uint8_t *key;             /* LOG: NULL, or the client key that it is about: the shell knows its name */
    int32_t code;                   /* CUT: BFORK_ENOMEM, or 0 for every other reason */
    const char *text;               /* CUT, LOG: why, for the log */
};

int broker_new(const struct broker_config *config, struct broker **ret);
void broker_free(struct broker **b);

/* A message of an authenticated peer. The first from a peer must be HELLO, or it is answered with RESET. Slices of m are referenced
 * (slice_ref) or copied as the core sees fit; if body.buf is NULL they are copied. An error never comes back here: a bad message
 * ends the session through effects (ERROR, then CUT) and is counted. */
void broker_recv(struct broker *b, uint64_t now, broker_peer peer, enum wire_role role, const uint8_t key[WIRE_KEY],
                 const struct wire_msg *m);
/* The peer sent what cannot be read, and text says why: its session ends as after any other break of the protocol. False: it has
 * said no HELLO, there is nothing to end. */
bool broker_broken(struct broker *b, uint64_t now, broker_peer peer, int code, const char *text);
/* The connection is gone. Due once for each peer, also after a CUT effect: until then the core remembers the peer, to drop what
 * still arrives. May be called while effects are performed; what follows from it comes with the next flush. */
void broker_lost(struct broker *b, uint64_t now, broker_peer peer);
/* The key was revoked: its sessions end, its jobs are cancelled (client) or requeued (worker). */
void broker_revoke(struct broker *b, uint64_t now, const uint8_t key[WIRE_KEY]);
/* The shell's loop did not run from `from` to `to`: nobody is charged for it. */
void broker_stalled(struct broker *b, uint64_t from, uint64_t to);
void broker_tick(struct broker *b, uint64_t now);
void broker_drain(struct broker *b, uint64_t now);      /* no new jobs; running work finishes */
/* Nothing queued, running or unacknowledged; while draining, what disconnected clients have not fetched does not count: nobody may
 * connect any more. */
bool broker_idle(const struct broker *b);
struct broker_waits { uint64_t queued, running, clients, gone; };  /* tasks; clients with outcomes to fetch, such disconnected */
void broker_waits(const struct broker *b, struct broker_waits *ret);

void broker_flush(struct broker *b, uint64_t now);
const struct broker_effect *broker_effects(const struct broker *b, size_t *n);
void broker_effects_done(struct broker *b);             /* releases what the effects hold */
uint64_t broker_deadline(const struct broker *b);       /* when broker_tick is due at the latest; CLOCK_NEVER: not at all */

/* Blobs are the shell's; who may have them is decided here. The owner with the next key behind `after` (NULL: the first) of a pool
 * that was granted to this worker and names the blob; false: there is none (at first: the worker must not have it). */
bool broker_blob_owner(const struct broker *b, broker_peer worker, const uint8_t digest[WIRE_DIGEST], const uint8_t *after,
                       uint8_t ret[WIRE_KEY]);
/* A connected client that named this digest in an open pool, and its key; 0: none. Call again with the last answer for the next. */
broker_peer broker_blob_source(const struct broker *b, const uint8_t digest[WIRE_DIGEST], broker_peer after,
                               uint8_t ret_key[WIRE_KEY]);

struct broker_counters {
    uint64_t tasks_accepted, tasks_ok, tasks_failed, requeued, attempts, duplicates, foreign, bad_messages, refused, adopted,
        fenced;
    uint64_t queued, running, clients, workers, slots, slots_busy, bytes;
    uint64_t bytes_most;            /* of one key; 0: of all together there is no limit */
};
void broker_counters(const struct broker *b, struct broker_counters *ret);
/* What one key may know: workers and slots are everybody's; clients, tasks and bytes are its own, the others 0. */
void broker_owner_counters(const struct broker *b, const uint8_t key[WIRE_KEY], struct broker_counters *ret);
/* What is held for all sessions of a client key, or for all workers with one; 0: nobody with it is known. */
uint64_t broker_held(const struct broker *b, const uint8_t key[WIRE_KEY]);
/* Rows for status; the shell makes JSON of them. Strings are valid until the next call into the core. owner: only this key's jobs;
 * NULL: all. Rows come in order of arrival. A job of a disconnected client is left out when nothing of it is queued or running. */
struct broker_worker_row {
    const char *name, *host, *state, *software, *resources;
    uint32_t slots, busy;
    uint64_t tasks_done, held, since;
    uint64_t bytes;                 /* that are held for its key, whichever of its workers they are for */
    bool key_exposed;
};
struct broker_key_row { const uint8_t *key; uint64_t bytes, clients, queued, running; };   /* bytes: as of broker_held */
struct broker_job_row {
    uint8_t id[WIRE_ID];
    const char *name, *pool, *client, *host, *state;
    uint64_t queued, running, done, failed, total, since;
};
/* row: false: it takes no more. They return whether all rows were given; of very many jobs only the oldest are looked at. */
bool broker_workers(const struct broker *b, bool (*row)(void *ctx, const struct broker_worker_row *r), void *ctx);
bool broker_jobs(struct broker *b, const uint8_t *owner, bool (*row)(void *ctx, const struct broker_job_row *r), void *ctx);
bool broker_keys(struct broker *b, bool (*row)(void *ctx, const struct broker_key_row *r), void *ctx);     /* of clients */
/* A STATUS_GET that broker_recv took in waits here for the shell, which answers through broker_status_answer (json: the whole
 * text). False: nobody waits, or enough were answered in this turn. */
bool broker_status_wanted(struct broker *b, broker_peer *ret_peer, uint32_t *ret_request, char what[16]);
void broker_status_answer(struct broker *b, broker_peer peer, uint32_t request, const char *json);
void broker_status_refuse(struct broker *b, broker_peer peer, uint32_t request, int code, const char *text);    /* no such status */

/* Places, ranges, outcomes and cells looked at so far: what the limits of a message's work are asserted on. */
uint64_t broker_steps(const struct broker *b);

/* Every invariant; NULL or a text that names the broken one (static buffer inside b). Costs a walk over everything: tests only. */
const char *broker_check(struct broker *b);

#endif
