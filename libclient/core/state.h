/* SPDX-License-Identifier: MPL-2.0
 * state.h - the client core's own structures. Only libclient/core includes this.
 *
 * A job's tasks live in batches, in index order: [settled and gone …][closed batches …][open batch]. A batch is what was added
 * between two flushes (up to WIRE_BATCH bytes); once closed its bytes never change, so messages refer to them. A map has no open
 * batch: its batches are cut from the caller's array when they are sent. `settled` says which tasks have their outcome; a batch is
 * freed when all of its have.
 */
#ifndef LIBCLIENT_CORE_STATE_H
#define LIBCLIENT_CORE_STATE_H

#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"
#include "bfork.h"
#include "session.h"

#define SESSION_ITEMS 128           /* items in one TASKS or CANCEL message */
#define SESSION_CONTROL 32          /* messages without items in one flush */

/* One bit a task, from `base` (a multiple of 64) on; what is below is all set. */
struct bits { uint64_t *words; uint64_t base; size_t n, capacity; };

struct batch {
    struct list_node node;          /* in job.batches */
    uint64_t first;
    uint32_t count, left;           /* left: not settled */
    uint32_t size;                  /* FIXED: of each */
    bool fixed, open;
    struct buf *grow_body, *grow_lens;      /* while open */
    struct slice body, lens;        /* once closed */
    uint64_t bytes;                 /* of body and lens */
};

struct session_job {
    struct session *s;
    struct session_pool *pool;
    struct list_node node;          /* in session.jobs */
    struct list_node dirty;         /* in session.dirty: has something to send */
    void *user;
    uint32_t handle;
    uint8_t id[WIRE_ID];
    struct buf *spec;
    bool at_most_once, closed, opened, waiting, done_sent;  /* opened: JOB_OPEN sent on this connection; waiting: for JOB_STATE */
    bool abandoned;                 /* a map whose array is gone: nothing of it can be sent any more */
    uint64_t next;                  /* index of the next task added */
    uint64_t unsettled;
    uint64_t sent;                  /* indexes below it were sent in this epoch (or are settled) */
    uint64_t replay;                /* indexes below it were sent to an earlier epoch */
    uint64_t epoch;                 /* in which `sent` and `seq` count */
    uint64_t seq, seq_acked;        /* last outcome seen, last one acknowledged */
    struct list batches;
    struct batch *hint;             /* where the last outcome was */
    struct bits settled, assigned;
    struct slice source;            /* of a map */
    uint32_t source_size;
    uint64_t source_n, source_next; /* elements, elements cut into batches */
};

struct session_pool {
    struct session *s;
    struct list_node node;
    void *user;
    uint32_t handle;
    int32_t processes;
    struct buf *spec;
    uint8_t digest[WIRE_DIGEST];
    char *name;
    bool opened, closing;
    uint32_t jobs;
};

struct cancel { struct list_node node; uint32_t job; uint64_t first, count; };
struct question { struct list_node node; uint32_t request; uint8_t type; bool sent; char a[64], b[256]; };

enum session_state { SESSION_DOWN, SESSION_GREETING, SESSION_UP, SESSION_FAILED };

struct session {
    struct session_config config;
    char *name, *host, *software;
    const struct session_ops *ops;
    void *ctx;
    enum session_state state;
    uint64_t random;                /* generator for job ids */
    uint64_t epoch, conn_no;
    struct wire_welcome limits;
    struct list pools, jobs, dirty, cancels, questions;
    struct map handles;             /* job handle -> job */
    uint32_t next_handle, next_request;
    uint64_t tasks, settled_total, unsettled, bytes_held, sent_again, duplicates;
    uint64_t quota_used_bytes, quota_used_tasks;    /* sent in this epoch and not settled: of jobs whose epoch is this one */
    uint64_t out_bytes, out_acked;  /* on this connection: sent, acknowledged by the broker */
    uint64_t in_bytes, in_acked;    /* consumed, told to the broker */
    uint64_t acks_due;              /* jobs may have outcomes to acknowledge: bytes since */
    uint64_t acks_since;            /* when the first of them came */
    uint64_t last_received, last_tick, pinged;
    uint64_t quiet_since;           /* since when the broker owes a sign of life */
    bool bye;
    bool more;                      /* this flush had no room for all there is */
    bool starved;                   /* out of memory: tried again soon */
    /* effects of this turn */
    struct session_effect effects[SESSION_CONTROL + 1];     /* the last: RECONNECT */
    size_t n_effects;
    struct wire_item items[SESSION_ITEMS], acks[SESSION_ITEMS], cuts[SESSION_ITEMS];
    struct wire_item *oks;          /* assignments to confirm: the first oks_sent are in this turn's effects */
    struct {
        uint32_t job;
        uint64_t seq;
    } strays[64]; /* outcomes of jobs that are gone here: to be acknowledged all the same */
    size_t n_strays;
    size_t n_oks, oks_sent, oks_capacity;
    struct buf *garbage[SESSION_CONTROL];   /* what effects refer to and is freed after them */
    size_t n_garbage;
    char text[256];
};

/* job.c */
void job_dirty(struct session_job *j);
struct batch *job_batch(struct session_job *j, uint64_t index);
void job_settle(struct session_job *j, uint64_t first, uint64_t count);
void job_close_batch(struct batch *b);
struct batch *job_cut_source(struct session_job *j);
uint64_t job_bytes(const struct batch *b, uint64_t first, uint64_t count);    /* of these tasks, lengths included */
void job_free(struct session_job *j);
void job_drop(struct session_job *j, uint64_t first);         /* of an abandoned job: tasks from first on are settled, untold */
bool job_finished(const struct session_job *j);
void pool_free(struct session_pool *p);

/* bits.c */
int bits_reserve(struct bits *b, uint64_t end);             /* room for indexes below end */
bool bits_get(const struct bits *b, uint64_t i);
void bits_set(struct bits *b, uint64_t first, uint64_t count);
uint64_t bits_next(const struct bits *b, uint64_t from, uint64_t end, bool value);     /* first index with that value, or end */
void bits_drop(struct bits *b, uint64_t below);             /* all below are set: forget them */

/* outcome.c */
void outcome_refuse(struct session_job *j, uint64_t index, const char *text);     /* this task is settled as REFUSED, here */
void outcome_items(struct session *s, const struct wire_msg *m);
void outcome_assigned(struct session *s, const struct wire_msg *m);

/* session.c */
void session_reconnect(struct session *s, const char *why);      /* text: static or s->text */

/* send.c */
struct session_effect *send_effect(struct session *s, uint8_t type); /* a zeroed SEND in this turn's effects; NULL: no room left */

#endif
