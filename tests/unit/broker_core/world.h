/* SPDX-License-Identifier: MPL-2.0
 * world.h - a broker core with scripted clients and workers around it, in virtual time. After every step all invariants are
 * checked; what the broker does is written down as text, one line an effect:
 *
 *     "[   0] > w1 CHUNKS #1 j2 0+5\n"       at 0 ms the broker sends worker w1 five tasks of its job 2, from index 0, as attempt 1
 *
 * Attempts and handles of the broker count from 1; a peer's name is "c1" (client), "w1" (worker) or "a1" (administrator), and a
 * number behind a point is its connection: "w1.2". Nothing here knows how the core works inside.
 */
#ifndef TESTS_BROKER_CORE_WORLD_H
#define TESTS_BROKER_CORE_WORLD_H

#include "broker.h"
#include "base/clock.h"
#include "bfork.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define EPOCH (1ull << 32)      /* handles of the broker start at 1 */
#define PEERS 16

struct attempt_seen { uint64_t id, first, end; uint32_t job, count, size; uint16_t tries, crashes; uint8_t ticket[WIRE_TICKET]; };

struct world {
    struct broker *b;
    struct broker_config config;
    uint64_t now;               /* ns */
    char trace[65536];
    size_t n;
    bool quiet;                 /* no trace */
    bool in_a_row;              /* what is sent is received only: the turn comes with the first that is sent without this */
    const char *host;           /* of workers that say HELLO from now on; NULL: "there" */
    uint64_t features;          /* what peers understand that say HELLO from now on */
    bool strict;                /* GRANT, JOB_SPEC, POOL_STATE and logs are in the trace too; "limited": the peer can repeat it */
    broker_peer next_peer;
    struct world_peer {
        char name[16];
        broker_peer id;         /* 0: not connected */
        enum wire_role role;
        bool cut;               /* the broker has ended the connection */
        uint64_t conn_no, epoch, acked, bytes_in;
        uint8_t key[WIRE_KEY], instance[WIRE_ID];
    } peers[PEERS];
    struct attempt_seen seen[4096];     /* chunks on their way, newest last */
    size_t n_seen;
    void (*hook)(struct world *w, struct world_peer *p, const struct wire_msg *m);
    void *ctx;
    void (*around)(bool inside);        /* called before and after each call into the core that takes something in or composes */
};

const char *bfork_status_name_of(int kind);
struct world *world_new(const struct broker_config *config);
void world_free(struct world *w);
void world_restart(struct world *w, uint64_t epoch);        /* a new broker with the same secret; all connections are gone */
struct world_peer *world_peer(struct world *w, const char *name);

void world_send(struct world *w, const char *name, struct wire_msg *m);    /* then flush, effects, check */
void world_step(struct world *w);
/* One frame and the turn behind it, without the checks of world_send, which walk over everything. Steps of both. */
uint64_t world_steps(struct world *w, const char *name, struct wire_msg *m);
void world_after(struct world *w, uint64_t ms);             /* time passes, with ticks when they are due */
void world_lost(struct world *w, const char *name);

void client_hello(struct world *w, const char *name);       /* a new connection of the same session */
void client_pool(struct world *w, const char *name, uint32_t pool, int32_t processes);
void client_job(struct world *w, const char *name, uint32_t job, uint32_t pool, const struct wire_job_spec *spec);
void client_tasks(struct world *w, const char *name, uint32_t job, uint64_t first, uint32_t count, uint32_t size);
void client_replay(struct world *w, const char *name, uint32_t job, uint64_t first, uint32_t count, uint32_t flags);
void client_returns(struct world *w, const char *name, uint32_t job, uint64_t first, uint32_t count, uint16_t tries); /* a replay */
void client_cancel(struct world *w, const char *name, uint32_t job, uint64_t first, uint32_t count);
void client_ack(struct world *w, const char *name, uint32_t job, uint64_t seq);
void client_start(struct world *w, const char *name, int32_t processes,
                  const struct wire_job_spec *spec);                       /* HELLO, pool 1, job 1 */
void worker_hello(struct world *w, const char *name, uint32_t slots);      /* HELLO and an empty HOLDING */
void worker_hello_only(struct world *w, const char *name, uint32_t slots, const char *replaces);
void worker_holding(struct world *w, const char *name, const uint64_t *attempts, size_t n);
void worker_done(struct world *w, const char *name, uint64_t attempt, uint64_t first, uint32_t count, uint64_t mean_us);
void worker_failed(struct world *w, const char *name, uint64_t attempt, uint64_t index, int kind);
void worker_returns(struct world *w, const char *name, uint64_t attempt, uint64_t first, uint32_t count);
void worker_state(struct world *w, const char *name, uint32_t slots, bool draining);
void simple(struct world *w, const char *name, enum wire_type type, uint32_t handle);

/* The trace since the last EXPECT. */
void world_expect(struct world *w, const char *file, int line, const char *text);
#define EXPECT(w, text) world_expect((w), __FILE__, __LINE__, text)
void world_forget(struct world *w);

#endif
