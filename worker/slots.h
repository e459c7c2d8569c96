/* SPDX-License-Identifier: MPL-2.0
 * slots.h - what a worker's slots are filled with: the lanes and task processes of its core, made real. Performs the core's process
 * effects with common/exec, and turns what templates and task processes do into calls of the core. One code for bfork-worker and
 * for the local engine; no ZeroMQ, no OpenSSL, prints nothing.
 *
 *     slots_new(&config, &s); worker_new(&wc, slots_ops(), s, &w); slots_attach(s, w);
 *     turn:   slots_step(s, now); worker_tick(w, now); worker_flush(w, now);
 *             for each effect: if (!slots_perform(s, now, e)) perform it yourself;     worker_effects_done(w);
 *     sleep:  if (!slots_arm(s, slots_want(s))) poll slots_fd until the least of slots_deadline, worker_deadline, …
 *
 * The core is called only from slots_step, never from slots_perform, slots_program or the ops. Free the slots before the core.
 */
#ifndef WORKER_SLOTS_H
#define WORKER_SLOTS_H

#include "base/err.h"
#include "exec/exec.h"
#include "core/worker.h"

struct slots;

struct slots_config {
    const char *runner, *symbols, *work_dir;    /* as in exec_config; copied */
    uint64_t output_limit;                      /* as in exec_config, where a pool sets none */
    bool hide_secrets, adopt;
    uint64_t start_limit_ms;                    /* template until ready; 0: 60000 */
    /* Find the program of a lane: answer with slots_program, from inside or later. Not asked for pools without a program (the
     * runner). NULL: such pools are refused. spec and owner (the key of the pool's client) are valid during the call. */
    void (*resolve)(void *ctx, worker_lane lane, struct wire_bin owner, const struct wire_pool_spec *spec);
    /* What templates and processes print outside of tasks; tasks' own goes to the core. May be NULL. */
    void (*output)(void *ctx, uint32_t pid, int stream, const void *bytes, size_t size);
    void *ctx;
};

int slots_new(const struct slots_config *c, struct slots **ret, struct err *e);
void slots_free(struct slots **s);              /* kills everything and waits for it */
const struct worker_ops *slots_ops(void);       /* ctx: the slots */
void slots_attach(struct slots *s, struct worker *w);

/* true: done; false: not a process effect (SEND, RECONNECT, LOG, STOPPED, REFUSED). */
bool slots_perform(struct slots *s, uint64_t now, const struct worker_effect *e);
/* The answer to resolve: a path, or else an open descriptor (duplicated), or else an error with its stage ("fetch", "arch", …).
 * library_path: put behind LD_LIBRARY_PATH; NULL: not. Unknown lanes are ignored: they were stopped meanwhile. */
void slots_program(struct slots *s, worker_lane lane, const char *path, int fd, const char *library_path);
/* … or a socket of the program's fork server (duplicated). */
void slots_fork(struct slots *s, worker_lane lane, int server);
/* … or neither. EAGAIN and ENOMEM: there is no room for it now. */
void slots_no_program(struct slots *s, worker_lane lane, int code, const char *stage, const char *text);
bool slots_lane_known(const struct slots *s, worker_lane lane);

/* As exec_valid_until: what worker_right_until says, before worker_flush and after all that may change it. */
void slots_valid_until(struct slots *s, uint64_t until);
bool slots_step(struct slots *s, uint64_t now);         /* true: something was told to the core */
int slots_fd(const struct slots *s);
uint64_t slots_deadline(const struct slots *s);
/* What is worth waking up for: every result, or rings half empty when they are full of short tasks. */
enum exec_want slots_want(const struct slots *s);
bool slots_arm(struct slots *s, enum exec_want want);   /* as exec_arm: true: do not sleep */

#endif
