/* SPDX-License-Identifier: MPL-2.0
 * worker.h - the worker's decisions as a pure state machine: lanes (one for each pool granted to it), the chunks they hold, which
 * task process gets what, what is reported, kept for a reconnect, given back.
 *
 * As broker.h: calls with the time of the turn come in, effects come out, and what must be answered at once (ring space, taking
 * tasks back) goes through worker_ops. Runs in bfork-worker, in the local engine and in the simulator.
 */
#ifndef WORKER_CORE_WORKER_H
#define WORKER_CORE_WORKER_H

#include "wire/wire.h"

struct worker;

typedef uint32_t worker_proc;       /* task process, from 1; a number is not used again while the core knows it */
typedef uint32_t worker_lane;       /* lane = granted pool = one template, from 1 */

struct worker_config {
    uint32_t slots;                 /* task processes that may run at a time; the local engine passes a large number */
    uint8_t instance[WIRE_ID], replaces[WIRE_ID];
    bool has_replaces;
    const char *name, *host, *software, *arch, *resources;      /* kept by the caller */
    bool key_exposed;               /* tasks can read the worker's key: the broker shows it */
    uint32_t pid;
    uint64_t window_bytes;          /* results on the way to the broker; 0: 8 MiB */
    uint64_t output_window;         /* output of a pool's tasks sent and not taken; 0: WIRE_OUTPUT_WINDOW, which brokers demand */
    uint32_t idle_lanes;            /* warm templates without a grant, kept at most; 0: 8 */
};

/* Answered at once by the shell; must not call back into the core. */
struct worker_ops {
    /* Hands over as many tasks of item (from its first) as fit; returns how many, 0: no room now. Bytes are copied.
     * job: the number given with push_job, not the broker's handle; numbers of forgotten jobs come again, after a new push_job. */
    uint32_t (*push)(void *ctx, worker_proc proc, uint32_t job, const struct wire_item *item);
    /* The job's specification must be in front of its first push to a process. 0, or < 0 (no room now). */
    int (*push_job)(void *ctx, worker_proc proc, uint32_t job, const struct wire_bin spec);
    /* Takes back what has not begun, from the end, at most max tasks; returns how many. */
    uint32_t (*retract)(void *ctx, worker_proc proc, uint32_t max);
};

enum worker_effect_type {
    WORKER_SEND,                    /* msg to the broker */
    WORKER_RECONNECT,               /* drop the connection (text says why), make a new one with back-off, then worker_connected */
    WORKER_LANE_START,              /* lane, spec, owner: fetch the program, start the template; then worker_lane_ready/_failed */
    WORKER_LANE_STOP,               /* lane: kill its template and all its processes */
    WORKER_PROC_START,              /* lane, proc: fork a task process; then worker_proc_ready */
    WORKER_PROC_KILL,               /* proc; text: why; worker_proc_died follows */
    WORKER_PROC_LIMIT,              /* proc, run_limit_ms: of the tasks pushed from now on; none is before effects_done */
    WORKER_PROC_STOP,               /* proc: end in an orderly way (finalizer) when its ring is empty; worker_proc_died follows */
    WORKER_LOG,
    WORKER_STOPPED,                 /* drain is complete: nothing is held, the daemon may leave */
    WORKER_REFUSED                  /* text: the broker refuses this worker for good (version …); trying again is of no use */
};

struct worker_effect {
    enum worker_effect_type type;
    struct wire_msg msg;
    worker_lane lane;
    worker_proc proc;
    struct wire_bin spec, owner, digest;    /* valid until worker_effects_done */
    uint64_t run_limit_ms;
    int level;
    unsigned whose;                 /* of LOG: a client can repeat it, so it is said once a second for each of these; 0: always */
    const char *text;
};

/* Why a task process is no more, and what it was doing. */
struct worker_obituary {
    /* BFORK_CRASHED, BFORK_EXITED, BFORK_OVERTIME, BFORK_OVERMEMORY; 0: stopped as asked; BFORK_EAGAIN: it could not be started
     * for want of descriptors, processes or memory, which is tried again after a pause */
    int32_t kind;
    int32_t code, signal;
    uint32_t pid;
    bool in_task;                   /* a task was running: the first one without a result */
    bool violated;                  /* a task wrote over the ring: that one, or another one without a result */
    uint64_t duration_us;           /* of that task, if known */
    struct wire_str message, function, where, backtrace, output, stage;
};

int worker_new(const struct worker_config *config, const struct worker_ops *ops, void *ctx, struct worker **ret);
void worker_free(struct worker **w);

/* The connection */
void worker_connected(struct worker *w, uint64_t now);          /* sends HELLO */
/* Every message that came, those of blobs as well (they renew the broker's lease). Slices with buf NULL are copied. */
void worker_recv(struct worker *w, uint64_t now, const struct wire_msg *m);
bool worker_online(const struct worker *w);                     /* WELCOME has come: the shell may send its own (blobs, output) */
uint64_t worker_ack(const struct worker *w);                    /* for the envelope of what the shell sends itself */
void worker_disconnected(struct worker *w, uint64_t now, const char *why);
/* The end of the lease as far as it is known; 0: nothing is held that it is about. */
uint64_t worker_lease_end(const struct worker *w);
/* Until then tasks may be begun here: 0: none now; CLOCK_NEVER: no broker has said how long. It is put off by its answers alone. */
uint64_t worker_right_until(const struct worker *w);
void worker_denied(struct worker *w, uint64_t now); /* the broker does not allow the key (any more): the lease is over */
void worker_stalled(struct worker *w, uint64_t from, uint64_t to);
void worker_drain(struct worker *w, uint64_t now);              /* give back what has not begun, finish the rest, then STOPPED */

/* The processes */
void worker_lane_ready(struct worker *w, uint64_t now, worker_lane lane);
void worker_lane_failed(struct worker *w, uint64_t now, worker_lane lane, int32_t code, const char *stage, const char *text);
/* Instead of ready: what its program needs is not there at present. Its tasks go back, and it may be granted again. */
void worker_lane_not_now(struct worker *w, uint64_t now, worker_lane lane, const char *stage, const char *text);
/* Since when nothing runs or waits in it; CLOCK_NEVER: something does. Such a lane can be told to go; text: why. */
uint64_t worker_lane_quiet(const struct worker *w, worker_lane lane);
void worker_lane_yield(struct worker *w, uint64_t now, worker_lane lane, const char *text);
void worker_proc_ready(struct worker *w, uint64_t now, worker_proc proc);
/* Results in the order of the pushes. item: count, flags, size, lens, body, kind (WIRE_OK or WIRE_OUTCOME with an encoded
 * wire_outcome whose index and attempt the core fills in), sum_ns, pid. Slices with buf NULL are copied. */
void worker_proc_results(struct worker *w, uint64_t now, worker_proc proc, const struct wire_item *item);
void worker_proc_room(struct worker *w, uint64_t now, worker_proc proc);        /* the ring has drained: push may work again */
void worker_proc_died(struct worker *w, uint64_t now, worker_proc proc, const struct worker_obituary *o);

struct worker_print { int stream; const void *bytes; size_t size; uint32_t pid; bool cut; uint64_t limit; };
/* What the task has printed that is so many behind the process's first without a result; before that task's result. Copied.
 * false: there is no such task. */
bool worker_output(struct worker *w, uint64_t now, worker_proc proc, uint32_t ahead, const struct worker_print *k);
/* May output of this process be read? While not, leave it in its pipe; ask again when a message has come. */
bool worker_output_room(const struct worker *w, worker_proc proc);

void worker_tick(struct worker *w, uint64_t now);
void worker_flush(struct worker *w, uint64_t now);              /* feeds processes, composes at most one RESULTS */
const struct worker_effect *worker_effects(const struct worker *w, size_t *n);
void worker_effects_done(struct worker *w);
uint64_t worker_deadline(const struct worker *w);

struct worker_counters { uint64_t lanes, procs, stopping, busy, chunks, tasks_ok, tasks_failed, held_bytes, reconnects; };
void worker_counters(const struct worker *w, struct worker_counters *ret);
const char *worker_check(struct worker *w);

#endif
