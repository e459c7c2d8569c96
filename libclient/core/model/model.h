/* SPDX-License-Identifier: MPL-2.0
 * model.h - the client core's objects: what they are, how they are found, counted and freed; it decides nothing. Files of model/
 * include this and no rules, so a call upward is of a function that is not declared. They stand below in an order in which each
 * calls only those before it.
 *
 * A job's tasks live in batches, in index order: [settled and gone …][closed batches …][open batch]. A batch is what was added
 * between two flushes (up to WIRE_BATCH bytes); once closed its bytes never change, so messages refer to them. A map has no open
 * batch: its batches are cut from the caller's array when they are sent. `settled` says which tasks have their outcome; a batch is
 * freed when all of its have.
 */
#ifndef LIBCLIENT_CORE_MODEL_H
#define LIBCLIENT_CORE_MODEL_H

#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"
#include "bfork.h"
#include "session.h"
#include "wire/run.h"

#define SESSION_ITEMS 128           /* items in one TASKS or CANCEL message */
#define LOOK_JOBS 8                 /* that the broker is asked about in one message */
#define SESSION_CONTROL 32          /* messages without items in one flush */
#define SESSION_CLOSED 256          /* pools whose close is remembered */

/* One bit a task, from `base` (a multiple of 64) on; what is below is all set. */
struct bits { uint64_t *words; uint64_t base; size_t n, capacity; };

struct batch {
    struct list_node node;          /* in job.batches */
    struct run run;                 /* its tasks; while it is open, its buffers have room behind, and may move */
    uint32_t left;                  /* not settled */
    bool open;
    uint64_t bytes;                 /* as the session counts them; of a map whose array is gone, they are counted still */
};

/* What was said of a job on this connection: nothing; JOB_OPEN, and the broker is to say how far it got before; JOB_OPEN, and its
 * tasks may go; JOB_CLOSE as well. */
enum job_state { JOB_NEW, JOB_ASKED, JOB_OPEN, JOB_ENDING, JOB_STATES };
/* We have OPENED it, REOPENED it (this epoch has seen it before), CLOSED it; the broker has ANSWERED how far it got, REFUSED it, or
 * PUT_OFF what it had no room for: it is to be opened again. */
enum job_event { JOB_OPENED, JOB_REOPENED, JOB_CLOSED, JOB_ANSWERED, JOB_REFUSED, JOB_PUT_OFF, JOB_CUT, JOB_EVENTS };

struct session_job {
    struct session *s;
    struct session_pool *pool;
    struct list_node node;          /* in session.jobs */
    struct list_node dirty;         /* in session.dirty: has something to send */
    void *user;
    uint32_t handle;
    uint8_t id[WIRE_ID];
    struct buf *spec;
    enum job_state state;           /* on this connection */
    bool at_most_once, closed;      /* closed: the program adds no more */
    char *refused;                  /* the broker's reason; NULL: it was not refused */
    bool abandoned;                 /* a map whose array is gone: nothing of it can be sent any more */
    uint64_t next;                  /* index of the next task added */
    uint64_t unsettled;
    uint64_t sent;                  /* indexes below it were sent in this epoch (or are settled) */
    uint64_t replay;                /* indexes below it were sent to an earlier epoch */
    uint64_t epoch;                 /* in which `sent` and `seq` count */
    uint64_t moved_at, looked_at;   /* when something of it came or went; when the broker was last asked whether it has it all */
    uint64_t look_from, look_wait;  /* asked up to here in this round; how long it has to be still for the next */
    uint64_t seq, seq_acked;        /* last outcome seen, last one acknowledged */
    struct list batches;
    struct batch *hint;             /* where the last outcome was */
    struct bits settled, assigned;
    struct list_node cancels;       /* in session.cancels */
    struct bits cancelled, told;    /* not wanted any more, as far as it had gone out; told: on this connection */
    uint64_t untold_from;
    struct map counts;              /* index -> tries and crashes that the broker has told; of few tasks */
    struct map printed;             /* index -> struct printed: what has come of tasks that are not settled */
    struct list deferred;           /* outcomes that wait for output to be taken */
    uint64_t said_after;            /* session.said_given, when the program was given something of this job last */
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
    char *refused;                  /* the broker's reason: there is no such pool there */
    bool opened, closing;           /* opened: POOL_OPEN sent on this connection; closing: POOL_CLOSE is to be sent */
    uint64_t epoch;                 /* in which POOL_OPEN was sent last */
    uint64_t closed_at, closed_out; /* in session.closed: when POOL_CLOSE was sent, and session.out_bytes then */
    uint32_t jobs;
};

#define PRINTED_BEFORE 3        /* attempts whose output was said to be of no account: one of them may win after a restart */

struct printed {                        /* of a task that is not settled, by index */
    uint64_t attempt, offset[2];
    uint32_t tries;
    bool cut;
    struct { uint64_t attempt, bytes; } before[PRINTED_BEFORE];
};

struct deferred { struct list_node node; uint64_t after; struct wire_item item; };

struct question {
    struct list_node node;
    uint32_t request;
    uint32_t wire;                  /* as the broker has it: another one when it is asked again on the same connection */
    uint32_t earlier[8];            /* CANCEL: those it had on this connection before, and that have no answer; 0: none */
    uint8_t type;
    bool sent;
    char a[64], b[256];
    void *user;                     /* CANCEL: who asked, for which tasks */
    uint32_t job;
    uint64_t first, count;
    bool asked, again;              /* sent before; sent once more, so that an answer may have been lost */
    uint64_t here;                  /* of its tasks, settled here since: the broker never had them */
    uint64_t seen, seen_before;     /* of its tasks, told to be cancelled since; those before it was sent last */
    bool on_this;                   /* sent on this connection: then the next two count */
    uint64_t seen_first, told;      /* seen before it was sent there first; cancelled, as answers to the earlier ones say */
    bool answered;                  /* nobody waits for it; … */
    uint64_t promised;              /* … so many of its tasks, that will not run, have yet to be told so */
};

enum session_state { SESSION_DOWN, SESSION_GREETING, SESSION_UP, SESSION_FAILED, SESSION_STATES };
/* CONNECTED, CUT: its link says so; WELCOMED, REFUSED (for good): the broker. */
enum session_event { SESSION_CONNECTED, SESSION_WELCOMED, SESSION_CUT, SESSION_REFUSED, SESSION_EVENTS };

struct session {
    struct session_config config;
    char *name, *host, *software;
    const struct session_ops *ops;
    void *ctx;
    enum session_state state;
    uint64_t random;                /* generator for job ids */
    uint64_t epoch, conn_no;
    struct wire_welcome limits;
    struct list pools, jobs, dirty, cancels, questions, promises;   /* cancels: jobs; promises: questions that were answered */
    struct list closed;         /* pools that are gone here, and of which the broker may not know that: see ses_pool_gone */
    struct map handles;             /* job handle -> job */
    uint32_t next_handle, next_request;
    uint64_t tasks, settled_total, unsettled, bytes_held, sent_again, duplicates;
    uint64_t quota_used_bytes, quota_used_tasks;    /* sent in this epoch and not settled: of jobs whose epoch is this one */
    uint64_t out_bytes, out_acked;  /* on this connection: sent, acknowledged by the broker */
    uint64_t in_bytes, in_acked;    /* consumed, told to the broker */
    uint64_t acks_due;              /* jobs may have outcomes to acknowledge: bytes since */
    uint64_t acks_since;            /* when the first of them came */
    uint64_t said_seen, said_taken, said_told, said_turn;   /* pieces of output: come, taken, acknowledged; turn: one an epoch */
    uint64_t said_given, said_got;  /* how many, in this said_turn: given to the program, taken by it */
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
    uint64_t look_next;             /* when jobs are looked through for such that do not move */
    uint32_t look_request;          /* TASKS_LOOK that is not answered; 0: none */
    bool look_due;
    struct wire_item looks[LOOK_JOBS];
    struct wire_item asked[SESSION_CONTROL];    /* of questions in this turn's effects */
    size_t n_asked;
    struct buf *garbage[SESSION_CONTROL];   /* what effects refer to and is freed after them */
    size_t n_garbage;
    char text[256];
};

/* effect.c */
/* a zeroed SEND in this turn's effects; NULL: no room left */
struct session_effect *ses_effect_send(struct session *s, uint8_t type);
void ses_effect_reconnect(struct session *s, const char *why);      /* once a turn; text: static or s->text */

/* connection.c */
bool ses_connection_move(struct session *s, enum session_event event);  /* false: too late, nothing has changed */

/* bits.c */
int ses_bits_reserve(struct bits *b, uint64_t end);         /* room for indexes below end */
bool ses_bits_get(const struct bits *b, uint64_t i);
void ses_bits_set(struct bits *b, uint64_t first, uint64_t count);
uint64_t ses_bits_next(const struct bits *b, uint64_t from, uint64_t end, bool value); /* first index with that value, or end */
void ses_bits_drop(struct bits *b, uint64_t below);         /* all below are set: forget them */

/* counts.c */
void ses_counts_told(struct session *s, const struct wire_msg *m);
void ses_counts_settled(struct session_job *j, uint64_t first, uint64_t count);
uint64_t ses_counts_of(const struct session_job *j, uint64_t first, uint64_t end, uint16_t *tries, uint16_t *crashes);

/* printed.c */
void ses_deferred_free(struct deferred *d);
void ses_deferred_drop(struct session_job *j);              /* all of the job's */
bool ses_deferred_keep(struct session_job *j, const struct wire_item *item);
void ses_printed_settled(struct session_job *j, uint64_t first, uint64_t count);
void ses_printed_free(struct session_job *j);

/* question.c */
void ses_question_job_goes(struct session_job *j);          /* what is asked of it, and promised, goes with it */
void ses_question_sent(struct question *q);
void ses_question_cut(struct question *q);                  /* with its connection */
void ses_question_promises(struct session *s);              /* another broker, or one that has forgotten us: they are asked again */

/* pool.c */
void ses_pool_gone(struct session_pool *p);                 /* nobody here has it any more; the broker may */
void ses_pool_heard(struct session *s, const struct wire_msg *m);   /* what m shows of the closes that the broker has read */
void ses_pool_free(struct session_pool *p);

/* batch.c */
void ses_batch_free(struct session_job *j, struct batch *b);
uint64_t ses_batch_bytes(const struct batch *b, uint64_t first, uint64_t count);    /* of these tasks, lengths included */
void ses_batch_close(struct batch *b);
struct batch *ses_batch_cut(struct session_job *j);         /* the next one of a map; NULL: out of memory */
struct batch *ses_batch_find(struct session_job *j, uint64_t index);

/* job.c */
bool ses_job_move(struct session_job *j, enum job_event event); /* false: too late, nothing has changed */
void ses_job_dirty(struct session_job *j);                  /* the next flush looks at it */
bool ses_job_finished(const struct session_job *j);
bool ses_job_is_refused(const struct session_job *j);       /* it, or its pool */
void ses_job_free(struct session_job *j);
void ses_job_settle(struct session_job *j, uint64_t first, uint64_t count); /* in bits and batches: the sums are settle.c's */

#endif
