/* SPDX-License-Identifier: MPL-2.0
 * sim.h - a cluster in one process and virtual time: the real broker core, worker cores and client sessions over a simulated
 * network, simulated task processes, all from one seed. A failure replays from its seed.
 *
 * Every message is encoded and decoded, so the codec is in the loop. After each event the invariants of the part that moved are
 * checked; at the end every task must have had exactly one outcome, and the right one.
 */
#ifndef TESTS_SIMULATION_SIM_H
#define TESTS_SIMULATION_SIM_H

#include "base/clock.h"
#include "base/list.h"
#include "bfork.h"
#include "broker/core/broker.h"
#include "libclient/core/session.h"
#include "net/retry.h"
#include "wire/wire.h"
#include "worker.h"

#define SIM_TEXT 1600
#define SIM_WORKERS 4
#define SIM_CLIENTS 3
#define SIM_JOBS 4
#define SIM_POOLS 2
#define SIM_PROCS 64
#define SIM_PRINTED 4096u
#define SIM_RING 48                 /* tasks a process's ring takes */
#define SIM_UNTOLD 8                /* tasks that end before the owner looks at the process */

enum sim_fault {
    FAULT_CUT = 1,
    FAULT_BROKER = 2,
    FAULT_WORKER = 4,
    FAULT_STALL = 8,
    FAULT_PROCESS = 16,
    FAULT_DRAIN = 32,
    FAULT_CLIENT = 64,
    FAULT_TEMPLATE = 128,
    FAULT_BROKER_STALL = 256,
    FAULT_UNSUITABLE = 512,         /* no event: some workers cannot run programs; the first one always can */
    FAULT_REVOKE = 1024,
    FAULT_ADOPTED = 2048,           /* restart of the broker, workers back before clients, then a worker dies */
    FAULT_KINDS = 12
};

/* What a task does is decided by its index: so every run of it does the same. */
enum sim_task { TASK_OK, TASK_FAILS, TASK_CRASHES };

struct sim;

struct sim_event {
    uint64_t at, order;
    void (*run)(struct sim *s, void *what, uint64_t a, uint64_t b);
    void *what;
    uint64_t a, b;
    struct buf *frame;
};

/* One end of a connection: messages towards it arrive in order. */
struct sim_end {
    uint64_t conn;                  /* 0: not connected */
    uint64_t last;                  /* arrival of the newest message on its way here */
    struct { uint64_t conn; struct buf *frame; } *inbox;    /* arrived while its owner stalls */
    size_t n_inbox, inbox_capacity;
};

struct sim_proc {
    worker_proc id;                 /* 0: free */
    worker_lane lane;
    bool ready, stopping, dead, scheduled;
    uint32_t head, count;           /* ring */
    struct { uint32_t job; uint64_t index; uint64_t value; uint32_t tag; } ring[SIM_RING];
    bool busy;                      /* ring[head] has begun */
    uint32_t prints;                /* pieces that it prints before it ends */
    /* Tasks that have ended and whose results are not read yet, with what they have printed to stderr: that is read later. */
    struct { uint32_t tag; uint64_t index, value; uint32_t errs; } untold[SIM_UNTOLD + 1];
    uint32_t n_untold, errs;        /* errs: of the task that runs */
    bool reading;                   /* all of them are being read, and none begins */
    uint32_t job_tags[256];         /* number of push_job -> tag of our job */
    uint64_t incarnation;           /* so that events for an earlier process are dropped */
};

struct sim_worker {
    struct sim *s;
    int number;
    struct worker *core;
    struct sim_end here, there;     /* messages to the worker; to the broker */
    struct sim_proc procs[SIM_PROCS];
    uint8_t instance[WIRE_ID];
    uint64_t life, tick_at, stalled_until;
    uint64_t unaware_until;         /* its key was revoked, and it may not have heard of that: its tasks go on for a lease */
    struct retry retry;
    bool reconnecting, draining;
    bool lossy;                     /* the last cut lost what was on its way to it */
    bool unsuitable;
    uint32_t slots;
    char name[16];
};

struct sim_job {
    struct sim_client *client;
    struct session_job *core;
    uint32_t tag;                   /* unique in the world: client * SIM_JOBS + job */
    bool map, at_most_once, closed;
    bool dropped;                   /* its pool was closed or its client died: nothing is awaited any more */
    int pool;
    uint32_t n, added, settled;
    uint8_t *outcomes;              /* of each task: how many */
    uint8_t *cancelled;             /* its client has asked for that; 2: if it has not begun; 4: it had not, says the answer */
    uint16_t *starts;
    int8_t *kinds;
    struct sim_said { uint64_t printed, heard; } (*said)[2];    /* bytes of each stream, of the run that was the last */
    uint64_t *in;                   /* of a map */
};

struct sim_client {
    struct sim *s;
    int number;
    struct session *core;
    struct session_pool *pools[SIM_POOLS];
    int n_pools;
    struct sim_end here, there;
    struct sim_job jobs[SIM_JOBS];
    int n_jobs;
    uint64_t life, tick_at;
    uint64_t stalled_until, away_until;
    bool reconnecting, lossy, dead, leaving;
    uint32_t asked, answered;       /* cancels of what has not begun */
    struct { uint32_t job; uint64_t turn, seq; } printed[SIM_PRINTED];     /* a ring: output that its program has yet to take */
    uint32_t n_printed, n_taken;
};

struct sim_report {
    uint64_t attempted, delivered, ok, failed, lost_outcome, unknown, started, started_again, events, cuts, broker_restarts,
        worker_deaths, duplicates, sent_again, cancelled, dropped, client_deaths, revocations, unsuitable, adoptions, cancels_asked;
};

struct sim {
    uint64_t seed, random, now, order, next_conn;
    struct sim_event *heap;
    size_t n_heap, heap_capacity;
    struct broker *broker;
    uint64_t broker_life, broker_tick_at, broker_stalled_until;
    struct sim_worker workers[SIM_WORKERS];
    struct sim_client clients[SIM_CLIENTS];
    int n_workers, n_clients;
    unsigned faults;
    bool cancels, slow_reader, closing;
    uint64_t window_small;          /* windows and quotas of this world: 0: the usual ones */
    bool turns_short;               /* the broker does a little in each turn */
    uint64_t output_window;         /* of this world; 0: the usual one */
    uint32_t printing;              /* so many tasks of a thousand print */
    bool healed, trace;
    uint64_t faults_until;
    struct { uint64_t conn; bool delivers; } conns[4096];   /* the broker's peers */
    size_t n_conns;
    struct wire_item items[WIRE_ITEMS_MAX];
    struct sim_report report;
    char failure[SIM_TEXT];         /* "" while all is well */
};

/* Runs the world of a seed to its end. 0; or 1 with s->failure and *report. */
int sim_run(uint64_t seed, unsigned faults, bool trace, struct sim_report *report, char failure[SIM_TEXT]);

/* sim.c */
uint64_t sim_random(struct sim *s, uint64_t below);     /* 0 … below - 1 */
bool sim_chance(struct sim *s, unsigned per_thousand);
void sim_at(struct sim *s, uint64_t at, void (*run)(struct sim *, void *, uint64_t, uint64_t), void *what, uint64_t a, uint64_t b,
            struct buf *frame);
void sim_fail(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_trace(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_trace_items(struct sim *s, const struct wire_msg *m);

/* net.c */
void net_send(struct sim *s, uint64_t conn, struct sim_end *to, const struct wire_msg *m,
              void (*arrive)(struct sim *, void *, uint64_t, uint64_t), void *what);
struct wire_msg net_open(struct sim *s, struct buf *frame);
bool net_delivers(const struct sim *s, uint64_t conn);  /* may a message of this connection still reach the broker? */
uint64_t net_connect(struct sim *s);
void net_keep(struct sim_end *e, uint64_t conn, struct buf *frame);
void net_forget(struct sim_end *e);
void net_cut_client(struct sim *s, struct sim_client *c);
void net_cut_worker(struct sim *s, struct sim_worker *w);

/* the parts: each performs the effects of its core */
void broker_start(struct sim *s);
void broker_perform(struct sim *s);
void broker_drains(struct sim *s);                      /* a message was read: the turn ends now, or after some more */
void broker_crash(struct sim *s, uint64_t away);        /* 0: as it happens */
void broker_revokes(struct sim *s, uint8_t key);        /* every byte of the key */
void broker_stall(struct sim *s, uint64_t ns);
bool broker_later(struct sim *s, void (*run)(struct sim *, void *, uint64_t, uint64_t), void *what, uint64_t a, uint64_t frame);
void broker_connection_lost(struct sim *s, uint64_t conn);
void worker_start(struct sim *s, struct sim_worker *w, bool replaces);
void worker_perform(struct sim *s, struct sim_worker *w);
void worker_crash(struct sim *s, struct sim_worker *w);
void worker_template_dies(struct sim *s, struct sim_worker *w);
bool process_last_words(struct sim *s, struct sim_worker *w, struct sim_proc *p);
void worker_connection_lost(struct sim *s, struct sim_worker *w);
void client_start(struct sim *s, struct sim_client *c);
void client_perform(struct sim *s, struct sim_client *c);
void client_leave(struct sim *s, struct sim_client *c);
void client_crash(struct sim *s, struct sim_client *c);
void client_connection_lost(struct sim *s, struct sim_client *c);
struct sim_job *job_of_tag(struct sim *s, uint32_t tag);
enum sim_task task_kind(const struct sim_job *j, uint64_t index);
uint64_t task_value(uint32_t tag, uint64_t index);

#endif
