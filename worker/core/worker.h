/* SPDX-License-Identifier: MPL-2.0
 * worker.h - the worker's decisions as a pure state machine: lanes (one for each pool granted to it), the chunks they hold, which
 * task process gets what, what is reported, kept for a reconnect, given back.
 *
 * As broker.h: calls with the time of the turn come in, effects come out, and what must be answered at once (ring space, taking
 * tasks back) goes through worker_ops. Runs in bfork-worker, in the local engine and in the simulator.
 */
#ifndef WORKER_CORE_WORKER_H
#define WORKER_CORE_WORKER_H

#include "worker_types.h"

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
/* o: why it is no more, and what it was doing. Its kind: BFORK_CRASHED, BFORK_EXITED, BFORK_OVERTIME, BFORK_OVERMEMORY; 0: stopped
 * as asked; BFORK_EAGAIN: it could not be started for want of descriptors, processes or memory, which is tried again after a
 * pause. */
void worker_proc_died(struct worker *w, uint64_t now, worker_proc proc, const struct wire_outcome *o);

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

void worker_counters(const struct worker *w, struct worker_counters *ret);
const char *worker_check(struct worker *w);

#endif
