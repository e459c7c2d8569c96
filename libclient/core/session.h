/* SPDX-License-Identifier: MPL-2.0
 * session.h - the client's decisions as a pure state machine: what is outstanding, in whose custody, sent in which epoch of the
 * broker, settled, acknowledged, sent again after a reconnect or a restart of the broker.
 *
 * As broker.h and worker.h: calls with the time of the turn come in, effects come out, outcomes are told at once through
 * session_ops (which must not call back in, except as said). Runs in libbfork, on both kinds of link, and in the simulator.
 *
 * Custody: a task's bytes stay here until its outcome is here. A task is settled exactly once: what is reported again is dropped.
 *
 * States   session: down -> greeting (HELLO sent) -> up -> down …; failed (refused for good)
 *          job:     open -> closed -> (all settled and acknowledged) gone
 *          task:    held (not sent in this epoch) -> sent -> [assigned] -> settled
 * Failures connection cut, same epoch:  jobs are opened again, JOB_STATE says how far the broker got, the rest is sent again
 *          broker restarted, new epoch: everything unsettled is sent again, marked WIRE_REPLAY if the old epoch may have had it
 *          broker refuses (ERROR):      session_ops.failed, nothing is sent any more
 */
#ifndef LIBCLIENT_CORE_SESSION_H
#define LIBCLIENT_CORE_SESSION_H

#include "wire/wire.h"

struct session;
struct session_pool;
struct session_job;

struct session_config {
    uint8_t instance[WIRE_ID];
    uint64_t seed;                          /* for job ids */
    const char *name, *host, *software;     /* copied */
    uint32_t pid;
    enum wire_role role;                    /* WIRE_CLIENT or WIRE_ADMINISTRATOR */
    uint64_t window_bytes;                  /* outcomes on the way here, unacknowledged; 0: 32 MiB */
};

/* What a task has printed. */
struct session_print {
    uint32_t job;
    uint64_t turn, seq;                     /* which piece: for session_output_taken */
    uint64_t index;
    uint32_t pid, attempt;                  /* attempt: which try of the task, from 1 */
    int stream;                             /* 1, 2 */
    bool again;                             /* another try of the task has printed before; this is the first piece of a new one */
    bool silent;                            /* with `again`: the new try has ended and printed nothing; no piece of it follows */
    bool cut;                               /* the task's limit of `limit` bytes is reached: the rest is dropped */
    uint64_t limit, lost;                   /* lost: bytes before this piece that never came */
    struct wire_str host;
    struct slice bytes;                     /* lives until the call returns unless referenced; buf may be NULL */
};

struct session_ops {
    /* New outcomes of consecutive tasks of one job: kind WIRE_OK with their results, or WIRE_OUTCOME (count tasks ended so). Slices
     * live until the call returns unless referenced; body.buf may be NULL. session_job_close and session_cancel may be called. */
    void (*outcomes)(void *ctx, void *job_user, const struct wire_item *item);
    void (*pool_state)(void *ctx, void *pool_user, uint32_t slots, int32_t code, struct wire_str text);
    /* true: session_output_taken will be called for it, in the order of these calls; outcomes of its job wait for that. */
    bool (*output)(void *ctx, void *job_user, const struct session_print *k);
    void (*answer)(void *ctx, uint32_t request, int32_t code, struct wire_str text);    /* of session_ask, session_ping */
    void (*failed)(void *ctx, int32_t code, struct wire_str text);
    /* Of session_cancel_queued: how many of what was asked for will not run. Told once, unless it is forgotten before. */
    void (*cancelled)(void *ctx, void *user, uint64_t cancelled);
};

enum session_effect_type { SESSION_SEND, SESSION_RECONNECT };
struct session_effect {
    enum session_effect_type type;
    struct wire_msg msg;                    /* valid until session_effects_done */
    const char *text;
};

int session_new(const struct session_config *config, const struct session_ops *ops, void *ctx, struct session **ret);
void session_free(struct session **s);

/* ---- what the program wants. 0 or BFORK_ENOMEM (nothing has changed) --------------------------------------------------------- */

/* spec is taken over (also on failure). digest: 32 bytes. */
int session_pool_open(struct session *s, int32_t processes, struct buf *spec, const uint8_t digest[WIRE_DIGEST], const char *name,
                      void *user, struct session_pool **ret);
void session_pool_close(struct session_pool *p);            /* its jobs must be gone or are dropped without a word; p is gone */
int session_job_open(struct session_pool *p, struct buf *spec, bool at_most_once, void *user, struct session_job **ret);
void session_job_user(struct session_job *j, void *user);   /* NULL: outcomes and output are no longer told */
/* One more task: its index is *ret_index (dense from 0). size ≤ WIRE_TASK_MAX. */
int session_task_add(struct session_job *j, const void *args, size_t size, uint64_t *ret_index);
/* The same, to be written by the caller: room for size bytes, valid until the next call. NULL: out of memory. */
uint8_t *session_task_reserve(struct session_job *j, size_t size, uint64_t *ret_index);
/* n elements of `size` bytes, read from `in` when they are sent and again when they must be sent again. Once a job, instead of
 * adds. */
int session_map_add(struct session_job *j, struct slice in, uint32_t size, uint64_t n);
/* A map whose array the caller takes back: it is not read any more, nor are outcomes told. What has gone out is asked for, the rest
 * is settled. j is closed with this. */
void session_job_abandon(struct session_job *j);
void session_job_close(struct session_job *j);              /* no more tasks; j is gone once all is settled: do not use it then */
/* Tasks [first, first + count): what has not gone out is settled as cancelled here and now (through ops), the rest is asked for,
 * on every connection until it is settled. 0 or BFORK_ENOMEM (not all is cancelled). */
int session_cancel(struct session_job *j, uint64_t first, uint64_t count);

/* The same for what has not begun: what a worker has goes on. *ret_cancelled tells what was settled here; if more of it has gone
 * out, *ret_request is not 0 and session_ops.cancelled tells with `user` what came of that. 0 or BFORK_ENOMEM (nothing was
 * cancelled). */
int session_cancel_queued(struct session_job *j, uint64_t first, uint64_t count, void *user, uint64_t *ret_cancelled,
                          uint32_t *ret_request);
void session_forget(struct session *s, const void *user);   /* nobody waits for its answers any more */
/* The program has it. May tell outcomes that waited for it. Not from inside an op. */
void session_output_taken(struct session *s, const struct session_print *k);

int session_ask(struct session *s, const char *what, uint32_t *ret_request);                                    /* STATUS_GET */
int session_admin(struct session *s, const char *verb, const char *argument, uint32_t *ret_request);
int session_ping(struct session *s, uint64_t now, uint32_t *ret_request);

/* ---- the connection ---------------------------------------------------------------------------------------------------------- */

void session_connected(struct session *s, uint64_t now);
void session_recv(struct session *s, uint64_t now, const struct wire_msg *m);
void session_disconnected(struct session *s, uint64_t now);
void session_bye(struct session *s);                        /* say BYE in the next flush: the broker drops what is ours */
bool session_is_up(const struct session *s);

void session_tick(struct session *s, uint64_t now);
/* Composes at most one TASKS message; true: there is more that could go now. */
bool session_flush(struct session *s, uint64_t now);
const struct session_effect *session_effects(const struct session *s, size_t *n);
void session_effects_done(struct session *s);
uint64_t session_deadline(const struct session *s);

struct session_counters { uint64_t tasks, settled, bytes_held, sent_again, duplicates, reconnects; };
void session_counters(const struct session *s, struct session_counters *ret);
uint64_t session_unsettled(const struct session *s);        /* tasks without an outcome */
uint64_t session_unsent(const struct session *s);           /* of these, not sent in this epoch */
const char *session_check(struct session *s);               /* every invariant; NULL or what is broken; tests only */

#endif
