/* SPDX-License-Identifier: MPL-2.0
 * worker_types.h - what worker.h takes and gives: configuration, operations, effects, ends of processes. Apart from its functions,
 * which the floors of the core must not call.
 */
#ifndef WORKER_CORE_WORKER_TYPES_H
#define WORKER_CORE_WORKER_TYPES_H

#include "wire/wire.h"

struct worker;

typedef uint32_t worker_proc;       /* task process, from 1; a number is not used again while the core knows it */
typedef uint32_t worker_lane;       /* lane = granted pool = one template, from 1 */

struct worker_config {
    uint32_t slots;                 /* so many task processes at a time; the local engine passes a large number */
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

/* What a task has printed. */
struct worker_print { int stream; const void *bytes; size_t size; uint32_t pid; bool cut; uint64_t limit; };

struct worker_counters { uint64_t lanes, procs, stopping, busy, chunks, tasks_ok, tasks_failed, held_bytes, reconnects; };

#endif
