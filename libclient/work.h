/* SPDX-License-Identifier: MPL-2.0
 * work.h - the floor above client.h: jobs, futures, maps, what tasks print, and what comes of all that. Nothing here waits for the
 * core or pumps it: that is drive.h.
 */
#ifndef LIBCLIENT_WORK_H
#define LIBCLIENT_WORK_H

#include "client.h"

/* ready.c */
struct taker { struct list_node node; struct bfork_session *s; };       /* in bfork_stream_next: drives s meanwhile */
/* Threads that drive another session than s do not see what happened there. With the stream's lock. */
void bfs_ready_tell(struct bfork_stream *st, const struct bfork_session *s);
void bfs_ready_future(struct bfork_future *f);                      /* f, in a stream, is done */

/* elements.c */
#define NOT_YET BFORK_END           /* status of an element without an outcome: no outcome is this one */
struct each_input { const void *in; size_t size; const char *const *strings; const bfork_bytes *bytes; };
bfork_arg bfs_elements_arg(const struct each_input *in, size_t i);
bool bfs_elements_keep(struct map_state *m, uint64_t index, struct slice result); /* false: out of memory */
void bfs_elements_fail(struct map_state *m, uint64_t first, uint32_t count, const struct wire_outcome *o);
void bfs_elements_rest(struct map_state *m, int kind);              /* of the elements without an outcome */
void bfs_elements_results(struct map_state *m, const struct wire_item *item);
void bfs_elements_free(struct map_state *m);
void bfs_elements_progress(const struct map_state *m, bfork_progress *p); /* with the lock */

/* future.c */
struct string { struct string *next; char text[]; };                /* a copy that is lent */
bool bfs_future_is_static(const struct bfork_future *f);
struct bfork_future *bfs_future_new(struct bfork_session *s);       /* with the lock; NULL: out of memory. refs 1 */
struct bfork_future *bfs_future_lone(int kind, bfork_error *e);     /* of no session, done: takes e over; NULL: out of memory */
struct bfork_future *bfs_future_failed(int kind); /* made from this thread's last error; never NULL */
void bfs_future_slabs_free(struct bfork_session *s);                     /* the slabs, at the session's end */
/* One reference less; true: it was the last, its session's reference is the caller's now. */
bool bfs_future_drop(struct bfork_future *f);
void bfs_future_mark_done(struct bfork_future *f);                  /* state, stream, waiting threads */
void bfs_future_settle_ok(struct bfork_future *f, struct slice result); /* with the lock */
void bfs_future_settle_error(struct bfork_future *f, bfork_error *e); /* takes e over; NULL: out of memory */

/* claim.c */
int bfs_claim_open(struct bfork_pool *p, int which, struct claim **ret); /* with the lock */
void bfs_claim_state(void *ctx, void *user, uint32_t slots, int32_t code, struct wire_str text);

/* job.c: all with the lock */
struct job_shape {
    bfork_function function;
    const bfork_options *options;
    uint32_t in_size, out_size;
    enum wire_job_kind kind;
    bool map;                       /* one future for all its tasks: a map, or each */
    uint64_t total;
    bfork_internal_output_fn *told; /* see job */
    void *task;                     /* of this submit: becomes data_of_user of its future */
};
/* What the wire says of it, and its function; strings are the caller's. */
int bfs_job_spec(struct bfork_session *s, const struct job_shape *shape, struct wire_job_spec *ret,
                 const struct known_function **ret_fn);
int bfs_job_find(struct bfork_pool *p, const struct job_shape *shape, struct job **ret); /* sets the last error */
int bfs_job_index(struct bfork_pool *p, const struct job_shape *shape, uint64_t *ret);  /* serial: of the next submit */
int bfs_job_reserve(struct job *j);                                 /* room for one more future */
void bfs_job_put(struct job *j, struct bfork_future *f, uint64_t index);
void bfs_job_close(struct job *j);                                  /* no more tasks */
void bfs_job_forget(struct job *j);                                 /* nobody waits for it any more: j is gone */
struct bfork_future *bfs_job_future(const struct job *j, uint64_t index);   /* that waits for it; NULL: none */
struct bfork_future *bfs_job_take(struct job *j, uint64_t index);   /* the same, taken out */

/* map.c */
void bfs_map_outcomes(struct job *j, const struct wire_item *item);
void bfs_map_fail_rest(struct bfork_future *f, const bfork_error *e);
/* With the lock: cancels; in and out are never touched again. To be kicked by the caller. */
void bfs_map_abandon(struct bfork_future *f);
struct bfork_future *bfs_map_future(struct bfork_pool *p, void *out, size_t out_size, size_t n,
                                    const bfork_options *o);         /* with the lock */
void bfs_map_adopt(struct job *j, struct bfork_future *f);          /* with the lock: j is the job of the map f */

/* told.c: with the lock */
struct queued { const struct bfork_session *s; uint64_t cancelled; uint32_t open; };    /* who waits for answers to cancels */
void bfs_told_outcomes(void *ctx, void *user, const struct wire_item *item);
void bfs_told_end(struct job *j, const bfork_error *e);             /* its futures end so, and j is gone */
void bfs_told_failure(struct bfork_session *s);                     /* it has failed: now, not from inside a core's call */
void bfs_told_cancelled(void *user, uint64_t cancelled);            /* inside a core's call */

/* output.c */
bool bfs_output_piece(void *ctx, void *user, const struct session_print *k);
void bfs_output_outside(void *ctx, uint32_t pid, int stream, const void *bytes, size_t size); /* outside of tasks */
/* With the lock: tells the program what tasks have printed; true: something was. It waits for the program, without the lock. */
bool bfs_output_tell(struct bfork_session *s);

/* waiting.c */
/* With the lock, in a wait. What there is to say about slots that do not come, or "", and when to look again. *ret_asked: the core
 * has a question for the broker now, and is to be pumped. */
uint64_t bfs_waiting_look(struct bfork_session *s, char *text, size_t size, bool *ret_asked);
void bfs_waiting_answer(struct bfork_session *s, struct wire_str json); /* with the lock: of s->vain_request */
void bfs_waiting_say(const char *text);                                 /* without */

/* serial.c: tasks run here and now, one at a time in a pool; f is settled when it returns. Without the session's lock. */
void bfs_serial_submit(struct bfork_pool *p, struct bfork_future *f, const struct job_shape *shape, const uint8_t *args,
                       size_t size);
void bfs_serial_map(struct bfork_pool *p, struct bfork_future *f, const struct job_shape *shape, const void *in);
void bfs_serial_each(struct bfork_pool *p, struct bfork_future *f, const struct job_shape *shape, const struct each_input *in);
void bfs_serial_pool_free(struct bfork_pool *p);

#endif
