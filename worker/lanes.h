/* SPDX-License-Identifier: MPL-2.0
 * lanes.h - what a worker's slots are filled with: the lanes and task processes of its core, made real. Performs the core's process
 * effects with common/exec, and turns what templates and task processes do into calls of the core. One code for bfork-worker and
 * for the local engine; no ZeroMQ, no OpenSSL, prints nothing.
 *
 *     lanes_new(&config, &s); worker_new(&wc, lanes_ops(), s, &w); lanes_attach(s, w);
 *     turn:   lanes_step(s, now); worker_tick(w, now); worker_flush(w, now);
 *             for each effect: if (!lanes_perform(s, now, e)) perform it yourself;     worker_effects_done(w);
 *     sleep:  if (!lanes_arm(s, lanes_want(s))) poll lanes_fd until the least of lanes_deadline, worker_deadline, …
 *
 * The core is called only from lanes_step, never from lanes_perform, lanes_program or the ops. Free the lanes before the core.
 */
#ifndef WORKER_LANES_H
#define WORKER_LANES_H

#include "base/err.h"
#include "exec/exec.h"
#include "core/worker.h"

struct lanes;

struct lanes_config {
    const char *runner, *symbols, *work_dir;    /* as in exec_config; copied */
    uint64_t output_limit;                      /* as in exec_config, where a pool sets none */
    bool hide_secrets, adopt;
    uint64_t start_limit_ms;                    /* template until ready; 0: 60000 */
    /* Find the program of a lane: answer with lanes_program, from inside or later. Not asked for pools without a program (the
     * runner). NULL: such pools are refused. spec and owner (the key of the pool's client) are valid during the call. */
    void (*resolve)(void *ctx, worker_lane lane, struct wire_bin owner, const struct wire_pool_spec *spec);
    /* What templates and processes print outside of tasks; tasks' own goes to the core. May be NULL. */
    void (*output)(void *ctx, uint32_t pid, int stream, const void *bytes, size_t size);
    void *ctx;
};

int lanes_new(const struct lanes_config *c, struct lanes **ret, struct err *e);
void lanes_free(struct lanes **s);              /* kills everything and waits for it */
const struct worker_ops *lanes_ops(void);       /* ctx: the lanes */
void lanes_attach(struct lanes *s, struct worker *w);

/* true: done; false: not a process effect (SEND, RECONNECT, LOG, STOPPED, REFUSED). */
bool lanes_perform(struct lanes *s, uint64_t now, const struct worker_effect *e);
/* The answer to resolve: a path, or else an open descriptor (duplicated), or else an error with its stage ("fetch", "arch", …).
 * library_path: put behind LD_LIBRARY_PATH; NULL: not. Unknown lanes are ignored: they were stopped meanwhile. */
void lanes_program(struct lanes *s, worker_lane lane, const char *path, int fd, const char *library_path);
/* … or a socket of the program's fork server (duplicated). */
void lanes_fork(struct lanes *s, worker_lane lane, int server);
/* … or neither. EAGAIN and ENOMEM: there is no room for it now. */
void lanes_no_program(struct lanes *s, worker_lane lane, int code, const char *stage, const char *text);
bool lanes_known(const struct lanes *s, worker_lane lane);

/* As exec_valid_until: what worker_right_until says, before worker_flush and after all that may change it. */
void lanes_valid_until(struct lanes *s, uint64_t until);
bool lanes_step(struct lanes *s, uint64_t now);         /* true: something was told to the core */
int lanes_fd(const struct lanes *s);
uint64_t lanes_deadline(const struct lanes *s);
/* What is worth waking up for: every result, or rings half empty when they are full of short tasks. */
enum exec_want lanes_want(const struct lanes *s);
bool lanes_arm(struct lanes *s, enum exec_want want);   /* as exec_arm: true: do not sleep */

#endif
