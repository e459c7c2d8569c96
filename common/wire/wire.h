/* SPDX-License-Identifier: MPL-2.0
 * wire.h - the messages: one struct, one table of fields, one encoder, one decoder.
 *
 * A message is one frame, one MessagePack array of eight:
 *
 *     [type, channel, request, ack, head, records, lengths, body]
 *
 * head is a map with small integer keys; records is a bin of packed little-endian records of a fixed size for each type; lengths a
 * bin of u32, little-endian; body a bin nobody between the two ends looks into. TASKS, CHUNKS, RESULTS and OUTCOMES carry *items*:
 * an item is a range of consecutive tasks of one job. Item k is record k, its part of lengths (none if all its tasks have the same
 * size) and its part of body, end to end in the order of the records.
 *
 * In memory a message is a struct wire_msg, whether it came in a frame or from another core in the same process. Decoding allocates
 * nothing but the caller's item array; strings and slices point into the frame. Every limit is in wire_limits.h or the field table.
 */
#ifndef WIRE_WIRE_H
#define WIRE_WIRE_H

#include "base/buf.h"
#include "base/err.h"
#include "wire/wire_limits.h"

#include <stdbool.h>
#include <stdint.h>

enum wire_type {
    /* any direction */
    WIRE_HELLO = 1,
    WIRE_WELCOME,
    WIRE_RESET,
    WIRE_PING,
    WIRE_PONG,
    WIRE_BYE,
    WIRE_ERROR,
    /* client to broker */
    WIRE_POOL_OPEN = 16,
    WIRE_POOL_CLOSE,
    WIRE_JOB_OPEN,
    WIRE_JOB_CLOSE,
    WIRE_TASKS,
    WIRE_CANCEL,
    WIRE_OUTCOMES_ACK,
    WIRE_ASSIGNED_OK,
    WIRE_STATUS_GET,
    WIRE_TASKS_LOOK,
    /* broker to client */
    WIRE_POOL_STATE = 32,
    WIRE_JOB_STATE,
    WIRE_OUTCOMES,
    WIRE_ASSIGNED,
    WIRE_STATUS,
    WIRE_CANCELLED,
    WIRE_TRIES = 39,
    WIRE_TASKS_SEEN = 41,
    /* broker to worker */
    WIRE_GRANT = 48,
    WIRE_JOB_SPEC,
    WIRE_JOB_FORGET,
    WIRE_CHUNKS,
    WIRE_RECALL,
    WIRE_ATTEMPTS_CLOSE,
    /* worker to broker */
    WIRE_HOLDING = 64,
    WIRE_RESULTS,
    WIRE_WORKER_STATE,
    WIRE_POOL_FAILED,
    WIRE_RECALLED,
    /* blobs, either direction between client and broker, broker and worker */
    WIRE_BLOB_GET = 80,
    WIRE_BLOB_PIECE,
    WIRE_BLOB_NONE,
    /* worker to broker to client, kept until it is taken */
    WIRE_OUTPUT = 96,
    WIRE_OUTPUT_ACK = 97,
    WIRE_OUTPUT_TAKEN = 98,
    /* administrator to broker */
    WIRE_ADMIN = 112
};

enum wire_role { WIRE_CLIENT = 1, WIRE_WORKER = 2, WIRE_ADMINISTRATOR = 3 };

/* How a range ended, or what an item of RESULTS and OUTCOMES says. */
enum wire_kind {
    WIRE_OK = 0,        /* body: the results */
    WIRE_OUTCOME = 1,   /* count tasks ended otherwise; body: one struct wire_outcome, encoded */
    WIRE_RETURNED = 2   /* RESULTS only: these tasks were not begun and are given back; always the end of the attempt */
};

/* wire_item.flags */
#define WIRE_FIXED 1u           /* every task of the item has `size` bytes and there are no lengths */
#define WIRE_REPLAY 2u          /* TASKS: sent before, to another epoch of the broker: hold until workers have reported */
#define WIRE_MAYBE_STARTED 4u   /* TASKS, with REPLAY: was assigned, at most once: never run again */
#define WIRE_SEALED 8u          /* reserved: the body is encrypted from end to end */
#define WIRE_CUT 16u            /* OUTPUT: the task's limit is reached */

struct wire_item {
    uint64_t id;                /* attempt (CHUNKS, RESULTS, RECALL, HOLDING …) or seq (OUTCOMES); 0 in TASKS */
    uint32_t job;               /* handle, given by whoever opened the job in this session */
    uint32_t count;
    uint64_t first;
    uint32_t flags;
    uint32_t size;              /* WIRE_FIXED: bytes of each task; else: bytes of all of them */
    uint16_t tries, crashes;    /* attempts lost with a worker; crashes of the task itself: so far */
    uint8_t kind;               /* enum wire_kind; TASKS_SEEN: 0 here, 1 nowhere */
    uint8_t why;                /* RECALL, CANCEL, ATTEMPTS_CLOSE: enum wire_why */
    uint32_t pid;               /* RESULTS: process that ran it */
    uint64_t sum_ns;            /* RESULTS: time the functions took, all tasks together; 0: not measured */
    uint64_t end;               /* HOLDING: one past the last index of the attempt as it was handed out; OUTPUT: the limit */
    uint64_t seq, offset;       /* OUTPUT: number of the piece; of its first byte */
    uint64_t attempt;           /* OUTCOMES (`id` is their seq): the attempt that ended so; 0: none did, or it was not told */
    uint8_t stream;             /* OUTPUT: 1, 2 */
    uint8_t ticket[WIRE_TICKET];
    uint8_t job_id[WIRE_ID];    /* HOLDING */
    uint8_t owner[WIRE_KEY];    /* HOLDING */
    struct slice lens;          /* u32 each, little-endian; empty if WIRE_FIXED */
    struct slice body;
};

enum wire_why { WIRE_WHY_CANCEL = 1, WIRE_WHY_DRAIN, WIRE_WHY_BALANCE, WIRE_WHY_FENCED, WIRE_WHY_DONE, WIRE_WHY_GONE,
                WIRE_WHY_QUEUED };      /* CANCEL: only what has not begun; RECALL: answered with RECALLED */

struct wire_str { const char *p; uint32_t n; };     /* not NUL-ended */
struct wire_bin { const uint8_t *p; uint32_t n; };

/* ---- heads: one struct a type; the field tables in messages.c say key, limit, since, who may send it ------------------------- */

struct wire_hello {             /* layout frozen */
    uint32_t protocol_min, protocol_max, role;
    struct wire_str software;   /* "broadfork 0.1.0" */
    struct wire_str name;       /* of the session, or host name of the worker */
    struct wire_bin instance;   /* 16 bytes: this start of the worker; this session of the client */
    struct wire_bin replaces;   /* 16 bytes or none: the instance that ran in the same state directory before */
    uint64_t conn_no;           /* from 1; a higher one fences a lower one of the same instance */
    uint64_t epoch;             /* of the broker it last spoke to; 0: none */
    uint32_t slots;             /* worker */
    uint64_t window_bytes;      /* how much may be on the way to the sender, unacknowledged */
    struct wire_str arch;       /* worker: "x86_64-linux-gnu": machine, kernel, C library */
    struct wire_str host;       /* client and worker: host name */
    uint32_t pid;
    struct wire_str resources;  /* worker: "cpus=8" */
    uint64_t features;          /* WIRE_FEATURE_…: what the sender understands */
    bool key_exposed;           /* worker: its tasks can read its key */
};

struct wire_welcome {
    uint32_t protocol;
    struct wire_str software;
    uint64_t epoch;
    uint32_t heartbeat_ms, lease_ms, hold_ms;
    uint64_t window_bytes;      /* unacknowledged bytes on the way to the broker */
    uint64_t quota_bytes, quota_tasks;  /* client: what may be queued or running, sent and not settled */
    struct wire_bin owner;      /* client: its own public key, as the broker saw it */
    bool resumed;               /* the broker still knows this instance */
    uint64_t features;          /* WIRE_FEATURE_…: what the broker understands */
    uint32_t frame_max, body_max, task_max, spec_max, records_max, item_tasks_max, piece_max;  /* limits in force; 0: as written */
    uint64_t owner_quota_bytes, owner_quota_tasks;      /* client: as quota_…, of all sessions of its key */
    uint32_t detach_ms, detached_max;   /* client: how long a session without a connection is kept, and how many of a key */
    uint64_t memory, window_max;        /* what is held for its key, of everything; what its window was cut to, if it was larger */
    uint32_t sessions_max, pools_max, jobs_max;         /* client: of its key; of one session */
};

struct wire_error_head {        /* ERROR: the session ends; RESET: say HELLO again */
    int32_t code;               /* bfork_status */
    struct wire_str text;
    uint32_t protocol_min, protocol_max;    /* when the version was the reason */
    struct wire_str field;      /* which field was refused, if it was one */
};

struct wire_ping { uint64_t stamp; };       /* echoed in PONG */

struct wire_pool_open {         /* idempotent: opening again what is open changes nothing but processes */
    uint32_t pool;              /* handle */
    int32_t processes;          /* > 0; or -1: all, -k: all but k-1 */
    struct wire_bin digest;     /* SHA-256 of spec */
    struct wire_bin spec;       /* struct wire_pool_spec, encoded */
    struct wire_str name;
};
struct wire_pool_ref { uint32_t pool; };    /* POOL_CLOSE: its jobs are cancelled, its slots given back */
struct wire_pool_state {        /* code < 0: the pool cannot run, and why */
    uint32_t pool, slots;
    int32_t code;
    struct wire_str text;
    bool ended;                 /* it was refused: there is no such pool, and its jobs are gone */
    struct wire_str field;      /* for which field */
};

struct wire_job_open {          /* idempotent; after a reconnect the client opens all its live jobs again */
    uint32_t job, pool;         /* handles */
    struct wire_bin id;         /* 16 bytes, random */
    uint64_t acked;             /* seq up to which outcomes were received in this epoch */
    struct wire_bin spec;       /* struct wire_job_spec, encoded */
};
struct wire_job_ref {
    uint32_t job;
}; /* JOB_CLOSE: no more tasks; forgotten when all is settled and acknowledged. JOB_FORGET */
struct wire_job_state {
    uint32_t job;
    uint64_t next;              /* indexes below it have been received in this epoch; 0: none */
    int32_t code;               /* < 0: refused: there is no such job (any more), and nothing more is told of its tasks */
    struct wire_str text, field;
};

struct wire_grant {
    uint32_t pool;
    uint32_t slots;
    struct wire_bin digest, spec, owner;
}; /* slots 0 and no spec: forget the pool */
struct wire_job_to_worker {
    uint32_t job, pool;
    struct wire_bin id, spec;
    uint64_t features;          /* what the job's client understands */
};

struct wire_worker_state { uint32_t slots, busy; bool draining; };
struct wire_pool_failed { uint32_t pool; int32_t code; struct wire_str stage, text; };

struct wire_holding { bool last; uint32_t stride; };        /* items: every attempt held; last: these were all */

/* The head of all other messages with records. HOLDING has the same field. */
struct wire_records { uint32_t stride; };   /* bytes from one record to the next; 0: as long as this release makes them */

struct wire_blob { struct wire_bin digest; uint64_t offset, total; uint32_t size; struct wire_str text; };   /* body: the piece */

struct wire_output { uint32_t stride; struct wire_str host; };      /* items: pieces of what tasks have printed */
struct wire_output_ack { uint64_t seq; };

struct wire_status_get { struct wire_str what; };   /* "summary", "workers", "jobs" */
struct wire_status { struct wire_str json; };       /* head carries JSON: one place makes it, any tool reads it */

/* Of the tasks of a CANCEL: will not run; run, or may; have an outcome. */
struct wire_cancelled { uint64_t cancelled, running, done; };

struct wire_admin { struct wire_str verb, argument; };

struct wire_msg {
    uint8_t type;
    uint32_t channel, request;
    uint64_t ack;               /* bytes of body and lengths consumed so far in the other direction of this connection */
    union wire_head {
        struct wire_hello hello;
        struct wire_welcome welcome;
        struct wire_error_head error;           /* ERROR, RESET, BYE */
        struct wire_ping ping;                  /* PING, PONG */
        struct wire_pool_open pool_open;
        struct wire_pool_ref pool_ref;          /* POOL_CLOSE */
        struct wire_pool_state pool_state;
        struct wire_job_open job_open;
        struct wire_job_ref job_ref;            /* JOB_CLOSE, JOB_FORGET */
        struct wire_job_state job_state;
        struct wire_grant grant;
        struct wire_job_to_worker job_spec;
        struct wire_worker_state worker_state;
        struct wire_pool_failed pool_failed;
        struct wire_holding holding;
        struct wire_records records;            /* TASKS, CHUNKS, RESULTS, OUTCOMES, and the rest of those with items */
        struct wire_blob blob;                  /* BLOB_GET, BLOB_PIECE, BLOB_NONE */
        struct wire_output output;
        struct wire_output_ack output_ack;
        struct wire_status_get status_get;
        struct wire_status status;
        struct wire_cancelled cancelled;
        struct wire_admin admin;
    } u;
    struct wire_item
        *items; /* TASKS, CANCEL, OUTCOMES, OUTCOMES_ACK, ASSIGNED, ASSIGNED_OK, CHUNKS, RECALL, ATTEMPTS_CLOSE, HOLDING, RESULTS */
    uint32_t n_items;
    struct slice body;          /* of types without items: BLOB_PIECE */
};

/* ---- nested documents: maps with small integer keys from the same kind of table ---------------------------------------------- */

enum wire_fn_kind { WIRE_FN_NONE, WIRE_FN_OFFSET, WIRE_FN_SYMBOL, WIRE_FN_COMMAND };

struct wire_fn {                /* which function: a document of its own, nested as bin */
    uint32_t kind;
    uint64_t offset;            /* OFFSET: from the object's load address */
    struct wire_str object;     /* OFFSET: "" = the program itself, else soname; SYMBOL: path as given */
    struct wire_bin build_id;   /* OFFSET, of the object, if it has one */
    struct wire_bin layout;     /* OFFSET: of its program headers: the build-id survives patchelf, this does not */
    struct wire_str symbol;     /* for people, or the name to look up */
};

struct wire_pool_spec {
    struct wire_bin program;    /* SHA-256 of the executable; none: the worker's own runner */
    uint64_t program_size;
    struct wire_str program_name, arch;
    struct wire_bin argv;       /* NUL-separated, or none: { program_name } */
    struct wire_bin env;        /* NUL-separated NAME=value */
    struct wire_bin preload, initializer, finalizer;    /* struct wire_fn, encoded, or none */
    struct wire_bin args;       /* MessagePack array, for these three */
    uint32_t max_tasks;
    uint64_t max_growth, output_limit;
    struct wire_str resources;
    uint64_t needs;             /* WIRE_FEATURE_…: granted only to workers that have them all */
    struct wire_str cwd;        /* directory of the task processes on the worker; empty: its choice */
};

/* How the function is called. EACH_*: a task's arguments are an array of one value, which the function gets as its element. */
enum wire_job_kind { WIRE_JOB_TASKS, WIRE_JOB_MAP, WIRE_JOB_EACH, WIRE_JOB_EACH_STRING, WIRE_JOB_EACH_BYTES };

struct wire_job_spec {
    uint32_t kind;
    struct wire_bin fn;         /* struct wire_fn, encoded */
    uint32_t in_size, out_size; /* MAP; EACH: in_size */
    uint64_t run_limit_ms, queue_limit_ms, total_limit_ms;
    int32_t retries;            /* of failed tasks; -1: at most once */
    uint32_t retry_on, backoff_ms, chunk;
    uint64_t seed;
    int32_t priority;
    struct wire_bin context;
    struct wire_str name, client_host;
    uint32_t client_pid;
    uint64_t total;             /* tasks there will be, if known when the job opens; 0: not known */
    uint64_t needs;             /* WIRE_FEATURE_…: handed out only to workers that have them all */
    bool streamed;              /* commands: what they write is output of their tasks, not in their results */
};

struct wire_outcome {           /* how a task ended that did not end well: what becomes bfork_error */
    int32_t kind;               /* bfork_status, < 0 */
    int32_t code, signal;
    uint32_t attempt, pid;
    uint64_t index, duration_us;
    struct wire_str message, function, where, host, backtrace, output, stage;
    /* Not on the wire, of the end of a task process (common/exec/death.c), whose kind may also be 0: stopped as asked. */
    bool in_task;               /* a task was running: the first one without a result */
    bool violated;              /* a task wrote over the ring: that one, or another one without a result */
};

/* ---- encode, decode ---------------------------------------------------------------------------------------------------------- */

/* Exact size of the frame for m; 0: m breaks a limit or contradicts itself (a bug of the caller). Texts for people that are too
 * long are cut, not refused. An item's `size` is taken from its body unless it is WIRE_FIXED. */
size_t wire_size(const struct wire_msg *m);
/* Writes exactly wire_size(m) bytes. */
void wire_encode(const struct wire_msg *m, uint8_t *out);

/* Decodes one frame. items: caller's array of WIRE_ITEMS_MAX. Slices in m refer to `owner` without taking a reference (NULL:
 * borrowed). 0, or < 0 with e saying what and where: BFORK_EPROTOCOL; BFORK_ENOTSUP for a key that must be understood, then type,
 * channel and request of m are as sent. Else m is undefined. Cost is bounded by the frame's size. */
int wire_decode(const void *frame, size_t size, struct buf *owner, struct wire_item *items, struct wire_msg *m, struct err *e);

/* May `role` send this type to the broker (to_broker), or be sent it by the broker? */
bool wire_may_send(enum wire_role role, enum wire_type type, bool to_broker);
const char *wire_type_name(unsigned type);                          /* "TASKS"; "?" */
/* What m says, in one line, for logs and golden files; as snprintf. Long strings and bytes are shortened. */
size_t wire_print(const struct wire_msg *m, char *out, size_t size);
/* The same for a trace that somebody reads who debugs a peer. Texts are longer; of many records there are the first; of what is
 * the users' own or proves something (tasks, results, specifications, tickets) there is only the size. */
size_t wire_print_trace(const struct wire_msg *m, char *out, size_t size);

/* Sum of an item's payload, lengths and body: what windows and quotas count. */
static inline uint64_t wire_item_bytes(const struct wire_item *i) { return i->lens.size + i->body.size; }
/* The first n (<= count) tasks of an item become *head, what is behind *rest; either may be i itself. No references are taken.
 * Costs a walk over the n lengths (none if WIRE_FIXED). The document of a WIRE_OUTCOME is in both parts; sum_ns is divided by the
 * counts. */
void wire_item_cut(const struct wire_item *i, uint32_t n, struct wire_item *head, struct wire_item *rest);
static inline uint32_t wire_len_at(const struct wire_item *i, uint32_t k)
{
    const uint8_t *p = i->lens.data + 4 * (size_t)k;
    return i->flags & WIRE_FIXED ? i->size : (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Documents. encode returns a buf holding the document (NULL: out of memory or over WIRE_SPEC_MAX); decode as wire_decode. */
struct buf *wire_fn_encode(const struct wire_fn *d);
int wire_fn_decode(const void *p, size_t n, struct wire_fn *d, struct err *e);
struct buf *wire_pool_spec_encode(const struct wire_pool_spec *d);
int wire_pool_spec_decode(const void *p, size_t n, struct wire_pool_spec *d, struct err *e);
struct buf *wire_job_spec_encode(const struct wire_job_spec *d);
int wire_job_spec_decode(const void *p, size_t n, struct wire_job_spec *d, struct err *e);
struct buf *wire_outcome_encode(const struct wire_outcome *d);
int wire_outcome_decode(const void *p, size_t n, struct wire_outcome *d, struct err *e);

#define WIRE_STR(s) ((struct wire_str){ (s), (uint32_t)__builtin_strlen(s) })
static inline struct wire_bin wire_bin_of(const void *p, size_t n) { return (struct wire_bin){ (const uint8_t *)p, (uint32_t)n }; }

#endif
