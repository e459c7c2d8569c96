/* SPDX-License-Identifier: MPL-2.0
 * messages.c - the table of all messages: their fields, records, limits, and who may send them. Data only. Keys and record layouts
 * are never changed and never used again; fields are only added, with the protocol version they came with.
 */
#include "wire/fields.h"

#include <stddef.h>

#define REQ FIELD_REQUIRED
#define F(k, T, S, m, max, fl, who, text) { k, FIELD_##T, fl, 1, who, offsetof(struct S, m), max, #m, text }
#define C(at, m, text) { sizeof(((struct wire_item *)0)->m), at, offsetof(struct wire_item, m), #m, text, false }
#define C_SECRET(at, m, text) { sizeof(((struct wire_item *)0)->m), at, offsetof(struct wire_item, m), #m, text, true }
#define C2(at, m, label, text) { sizeof(((struct wire_item *)0)->m), at, offsetof(struct wire_item, m), label, text, false }
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define T_STRIDE "bytes from one record to the next; 0: the size below"

static const struct wire_field records_fields[] = {
    F(WIRE_KEY_STRIDE, U32, wire_records, stride, WIRE_STRIDE_MAX, 0, 0, T_STRIDE),
};

static const struct wire_field hello_fields[] = {
    F(1, U32, wire_hello, protocol_min, 0, REQ | FIELD_NONZERO, 0, "oldest version the sender speaks"),
    F(2, U32, wire_hello, protocol_max, 0, REQ | FIELD_NONZERO, 0, "newest version the sender speaks"),
    F(3, U32, wire_hello, role, 3, REQ | FIELD_NONZERO, 0, "1 client, 2 worker, 3 administrator; must fit the port"),
    F(4, STR, wire_hello, software, WIRE_NAME_MAX, FIELD_CUT, 0, "name and version of the program, for people"),
    F(5, STR, wire_hello, name, WIRE_NAME_MAX, FIELD_CUT, 0, "of the session, or of the worker, for people"),
    F(6, BIN, wire_hello, instance, WIRE_ID, REQ | FIELD_EXACT, 0, "random: this start of the worker, this session of the client"),
    F(7, BIN, wire_hello, replaces, WIRE_ID, FIELD_EXACT, FROM_WORKER, "the instance that ran in the same state directory before"),
    F(8, U64, wire_hello, conn_no, 0, REQ | FIELD_NONZERO, 0,
      "counts the connections of this instance, from 1; a higher one ends a lower one"),
    F(9, U64, wire_hello, epoch, 0, 0, 0, "of the broker that the instance last spoke to; 0: none"),
    F(10, U32, wire_hello, slots, 65536, 0, FROM_WORKER, "tasks it runs at a time"),
    F(11, U64, wire_hello, window_bytes, 0, 0, 0,
      "window of the sender: unacknowledged bytes that may be on the way to it; 0: the receiver's default"),
    F(12, STR, wire_hello, arch, WIRE_NAME_MAX, 0, FROM_WORKER, "machine, kernel and C library: \"x86_64-linux-gnu\""),
    F(13, STR, wire_hello, host, WIRE_NAME_MAX, FIELD_CUT, 0, "host name"),
    F(14, U32, wire_hello, pid, 0, 0, 0, "process id on that host"),
    F(15, STR, wire_hello, resources, WIRE_TEXT_MAX, 0, FROM_WORKER, "\"cpus=8\""),
    F(16, U64, wire_hello, features, 0, 0, 0, "what the sender understands beyond version 1, one bit each; 0: nothing"),
    F(17, BOOL, wire_hello, key_exposed, 0, 0, FROM_WORKER, "its tasks can read the key that it joined with"),
};

static const struct wire_field welcome_fields[] = {
    F(1, U32, wire_welcome, protocol, 0, REQ | FIELD_NONZERO, 0, "the version spoken from now on"),
    F(2, STR, wire_welcome, software, WIRE_NAME_MAX, FIELD_CUT, 0, "name and version of the broker, for people"),
    F(3, U64, wire_welcome, epoch, 0, REQ | FIELD_NONZERO, 0, "random, one for each start of the broker"),
    F(4, U32, wire_welcome, heartbeat_ms, 0, REQ | FIELD_NONZERO, 0, "send something at least this often"),
    F(5, U32, wire_welcome, lease_ms, 0, REQ | FIELD_NONZERO, 0, "silence after which the other side is given up"),
    F(6, U32, wire_welcome, hold_ms, 0, 0, 0, "how long replayed ranges are held after a start of the broker"),
    F(7, U64, wire_welcome, window_bytes, 0, REQ | FIELD_NONZERO, 0,
      "window of the broker: unacknowledged bytes that may be on the way to it"),
    F(8, U64, wire_welcome, quota_bytes, 0, 0, TO_CLIENT, "bytes of tasks sent and not settled"),
    F(9, U64, wire_welcome, quota_tasks, 0, 0, TO_CLIENT, "tasks sent and not settled"),
    F(10, BIN, wire_welcome, owner, WIRE_KEY, FIELD_EXACT, 0, "the public key by which the broker knows the receiver"),
    F(11, BOOL, wire_welcome, resumed, 0, 0, 0, "the broker still knows this instance"),
    F(12, U64, wire_welcome, features, 0, 0, 0, "what the broker understands beyond version 1, one bit each"),
    F(13, U32, wire_welcome, frame_max, 0, 0, 0, "bytes of one frame, at most; here and below 0: as in chapter 3"),
    F(14, U32, wire_welcome, body_max, 0, 0, 0, "bytes of the body of one frame"),
    F(15, U32, wire_welcome, task_max, 0, 0, 0, "bytes of one task's arguments, or of one result"),
    F(16, U32, wire_welcome, spec_max, 0, 0, 0, "bytes of a pool or job specification"),
    F(17, U32, wire_welcome, records_max, 0, 0, 0, "records in one frame"),
    F(18, U32, wire_welcome, item_tasks_max, 0, 0, 0, "tasks in one item of kind OK"),
    F(19, U32, wire_welcome, piece_max, 0, 0, 0, "bytes of one piece of a blob"),
    F(20, U64, wire_welcome, owner_quota_bytes, 0, 0, TO_CLIENT, "as quota_bytes, of all sessions of this key"),
    F(21, U64, wire_welcome, owner_quota_tasks, 0, 0, TO_CLIENT, "as quota_tasks, of all sessions of this key"),
    F(22, U32, wire_welcome, detach_ms, 0, 0, TO_CLIENT, "how long a session without a connection is kept"),
    F(23, U32, wire_welcome, detached_max, 0, 0, TO_CLIENT, "sessions without a connection that are kept for this key"),
    F(24, U64, wire_welcome, memory, 0, 0, 0, "bytes of everything that the broker holds for this key"),
    F(25, U64, wire_welcome, window_max, 0, 0, 0, "what a larger HELLO.window_bytes was cut to"),
    F(26, U32, wire_welcome, sessions_max, 0, 0, TO_CLIENT, "sessions of this key"),
    F(27, U32, wire_welcome, pools_max, 0, 0, TO_CLIENT, "pools of one session"),
    F(28, U32, wire_welcome, jobs_max, 0, 0, TO_CLIENT, "jobs of one session"),
};

static const struct wire_field error_fields[] = {
    F(1, I32, wire_error_head, code, 0, REQ, 0, "one of the codes of chapter 10"),
    F(2, STR, wire_error_head, text, WIRE_TEXT_MAX, FIELD_CUT, 0, "a line for people: what, to what, what to do"),
    F(3, U32, wire_error_head, protocol_min, 0, 0, 0, "when no common version was found: oldest"),
    F(4, U32, wire_error_head, protocol_max, 0, 0, 0, "and newest version the sender speaks"),
    F(5, STR, wire_error_head, field, WIRE_NAME_MAX, FIELD_CUT, 0, "the field that was refused, if it was one"),
};

static const struct wire_field ping_fields[] = {
    F(1, U64, wire_ping, stamp, 0, 0, 0, "anything; PONG returns it"),
};

static const struct wire_field pool_open_fields[] = {
    F(1, U32, wire_pool_open, pool, 0, REQ | FIELD_NONZERO, 0, "handle, chosen by the client, unique in its session"),
    F(2, I32, wire_pool_open, processes, 0, REQ, 0, "slots wanted: > 0 so many, -1 all, -k all but k-1; 0 is refused"),
    F(3, BIN, wire_pool_open, digest, WIRE_DIGEST, REQ | FIELD_EXACT, 0, "SHA-256 of spec"),
    F(4, BIN, wire_pool_open, spec, WIRE_SPEC_MAX, REQ | FIELD_PRIVATE, 0, "document pool_spec"),
    F(5, STR, wire_pool_open, name, WIRE_NAME_MAX, FIELD_CUT, 0, "for people"),
};

static const struct wire_field pool_ref_fields[] = {
    F(1, U32, wire_pool_ref, pool, 0, REQ | FIELD_NONZERO, 0, "handle"),
};

static const struct wire_field pool_state_fields[] = {
    F(1, U32, wire_pool_state, pool, 0, REQ | FIELD_NONZERO, 0, "handle"),
    F(2, U32, wire_pool_state, slots, 0, 0, 0, "slots it has now"),
    F(3, I32, wire_pool_state, code, 0, 0, 0, "< 0: it cannot run, a code of chapter 10"),
    F(4, STR, wire_pool_state, text, WIRE_TEXT_MAX, FIELD_CUT, 0, "why, for people"),
    F(5, BOOL, wire_pool_state, ended, 0, 0, 0, "it was refused: there is no such pool, its jobs are gone"),
    F(6, STR, wire_pool_state, field, WIRE_NAME_MAX, FIELD_CUT, 0, "the field that was refused, if it was one"),
};

static const struct wire_field job_open_fields[] = {
    F(1, U32, wire_job_open, job, 0, REQ | FIELD_NONZERO, 0, "handle, chosen by the client, unique in its session"),
    F(2, U32, wire_job_open, pool, 0, REQ | FIELD_NONZERO, 0, "handle of an open pool"),
    F(3, BIN, wire_job_open, id, WIRE_ID, REQ | FIELD_EXACT, 0, "random, the job's name for ever"),
    F(4, U64, wire_job_open, acked, 0, 0, 0, "outcomes up to this seq were received in this epoch"),
    F(5, BIN, wire_job_open, spec, WIRE_SPEC_MAX, REQ | FIELD_PRIVATE, 0, "document job_spec"),
};

static const struct wire_field job_ref_fields[] = {
    F(1, U32, wire_job_ref, job, 0, REQ | FIELD_NONZERO, 0, "handle"),
};

static const struct wire_field job_state_fields[] = {
    F(1, U32, wire_job_state, job, 0, REQ | FIELD_NONZERO, 0, "handle"),
    F(2, U64, wire_job_state, next, 0, 0, 0, "tasks below this index were received in this epoch; 0: none"),
    F(3, I32, wire_job_state, code, 0, 0, 0,
      "< 0: refused, a code of chapter 10: there is no such job, nothing more is told of it"),
    F(4, STR, wire_job_state, text, WIRE_TEXT_MAX, FIELD_CUT, 0, "why, for people"),
    F(5, STR, wire_job_state, field, WIRE_NAME_MAX, FIELD_CUT, 0, "the field that was refused, if it was one"),
};

static const struct wire_field grant_fields[] = {
    F(1, U32, wire_grant, pool, 0, REQ | FIELD_NONZERO, 0, "handle, chosen by the broker, unique in the worker's session"),
    F(2, U32, wire_grant, slots, 0, 0, 0, "of this worker; 0: none"),
    F(3, BIN, wire_grant, digest, WIRE_DIGEST, FIELD_EXACT, 0, "SHA-256 of spec"),
    F(4, BIN, wire_grant, spec, WIRE_SPEC_MAX, FIELD_PRIVATE, 0, "document pool_spec; none, with slots 0: forget the pool"),
    F(5, BIN, wire_grant, owner, WIRE_KEY, FIELD_EXACT, 0, "public key of the client it works for"),
};

static const struct wire_field job_spec_fields[] = {
    F(1, U32, wire_job_to_worker, job, 0, REQ | FIELD_NONZERO, 0, "handle, chosen by the broker, unique in the worker's session"),
    F(2, U32, wire_job_to_worker, pool, 0, REQ | FIELD_NONZERO, 0, "handle of a granted pool"),
    F(3, BIN, wire_job_to_worker, id, WIRE_ID, REQ | FIELD_EXACT, 0, "the job's name for ever"),
    F(4, BIN, wire_job_to_worker, spec, WIRE_SPEC_MAX, REQ | FIELD_PRIVATE, 0, "document job_spec"),
    F(5, U64, wire_job_to_worker, features, 0, 0, 0, "what the job's client understands, as in its HELLO; 0 while it is away"),
};

static const struct wire_field worker_state_fields[] = {
    F(1, U32, wire_worker_state, slots, 65536, REQ, 0, "tasks it runs at a time now"),
    F(2, U32, wire_worker_state, busy, 65536, 0, 0, "slots that are running a task"),
    F(3, BOOL, wire_worker_state, draining, 0, 0, 0, "it wants no more work and will leave"),
};

static const struct wire_field pool_failed_fields[] = {
    F(1, U32, wire_pool_failed, pool, 0, REQ | FIELD_NONZERO, 0, "handle of a granted pool"),
    F(2, I32, wire_pool_failed, code, 0, REQ, 0, "< 0, a code of chapter 10"),
    F(3, STR, wire_pool_failed, stage, WIRE_NAME_MAX, FIELD_CUT, 0, "what failed: fetch, arch, exec, load, init, preload"),
    F(4, STR, wire_pool_failed, text, WIRE_TEXT_MAX, FIELD_CUT, 0, "why, for people"),
};

static const struct wire_field holding_fields[] = {
    F(1, BOOL, wire_holding, last, 0, 0, 0, "these were all; nothing else is held"),
    F(WIRE_KEY_STRIDE, U32, wire_holding, stride, WIRE_STRIDE_MAX, 0, 0, T_STRIDE),
};

static const struct wire_field blob_get_fields[] = {
    F(1, BIN, wire_blob, digest, WIRE_DIGEST, REQ | FIELD_EXACT, 0, "SHA-256 of the whole blob"),
    F(2, U64, wire_blob, offset, 0, 0, 0, "of the piece"),
    F(4, U32, wire_blob, size, WIRE_PIECE_MAX, 0, 0, "bytes wanted at most; 0: as many as a piece may have"),
};

static const struct wire_field blob_piece_fields[] = {
    F(1, BIN, wire_blob, digest, WIRE_DIGEST, REQ | FIELD_EXACT, 0, "SHA-256 of the whole blob"),
    F(2, U64, wire_blob, offset, 0, 0, 0, "of the piece"),
    F(3, U64, wire_blob, total, 0, 0, 0, "bytes of the whole blob"),
    F(4, U32, wire_blob, size, WIRE_PIECE_MAX, 0, 0, "bytes of the body; may be left out"),
};

static const struct wire_field blob_none_fields[] = {
    F(1, BIN, wire_blob, digest, WIRE_DIGEST, REQ | FIELD_EXACT, 0, "SHA-256 of the blob that cannot be had"),
    F(5, STR, wire_blob, text, WIRE_TEXT_MAX, FIELD_CUT, 0, "why, for people"),
};

static const struct wire_field output_fields[] = {
    F(1, STR, wire_output, host, WIRE_NAME_MAX, FIELD_CUT, TO_CLIENT, "where the tasks of this message ran"),
    F(WIRE_KEY_STRIDE, U32, wire_output, stride, WIRE_STRIDE_MAX, 0, 0, T_STRIDE),
};

static const struct wire_field output_ack_fields[] = {
    F(1, U64, wire_output_ack, seq, 0, REQ | FIELD_NONZERO, 0,
      "every piece of this session up to this one was taken by the program"),
};

static const struct wire_field status_get_fields[] = {
    F(1, STR, wire_status_get, what, 15, REQ, 0, "\"summary\", \"workers\", \"jobs\""),
};

static const struct wire_field status_fields[] = {
    F(1, STR, wire_status, json, WIRE_STATUS_MAX, REQ, 0, "one JSON object"),
};

static const struct wire_field cancelled_fields[] = {
    F(1, U64, wire_cancelled, cancelled, 0, 0, 0, "tasks that will not run"),
    F(2, U64, wire_cancelled, running, 0, 0, 0, "tasks that run, or may: they are with a worker"),
    F(3, U64, wire_cancelled, done, 0, 0, 0, "tasks that have an outcome already"),
};

static const struct wire_field admin_fields[] = {
    F(1, STR, wire_admin, verb, WIRE_NAME_MAX, REQ, 0, "what to do"),
    F(2, STR, wire_admin, argument, WIRE_TEXT_MAX, 0, 0, "to what"),
};

/* ---- records ----------------------------------------------------------------------------------------------------------------- */

#define T_FIRST "index of the first task"
#define T_COUNT "tasks in the item"
#define T_SIZE "bytes of each task (FIXED), or of the item's body"
#define T_TRIES "attempts that were lost with a worker so far"
#define T_CRASHES "crashes and failures of the task itself so far"
#define T_WHY "1 cancel, 2 drain, 3 balance, 4 fenced, 5 done, 6 gone"

static const struct wire_column tasks_columns[] = {
    C(0, job, "handle"), C(4, count, T_COUNT), C(8, first, T_FIRST), C(16, flags, "1 FIXED, 2 REPLAY, 4 MAYBE_STARTED, 8 SEALED"),
    C(20, size, T_SIZE), C(24, tries, T_TRIES), C(26, crashes, T_CRASHES),
};
static const struct wire_column cancel_columns[] = {
    C(0, job, "handle"), C(4, count, "tasks; 0: all from first on"), C(8, first, T_FIRST),
    C(16, why, "1 all of them; 7 only those that have not begun"),
};
static const struct wire_column look_columns[] = {
    C(0, job, "handle"), C(4, count, "tasks asked for"), C(8, first, T_FIRST),
};
static const struct wire_column seen_columns[] = {
    C(0, job, "handle"), C(4, count, T_COUNT), C(8, first, T_FIRST),
    C(16, kind, "0 they are here, or were settled and not acknowledged; 1 nobody has them"),
};
static const struct wire_column outcomes_columns[] = {
    C2(0, id, "seq", "number of the outcome in its job and epoch, from 1"), C(8, job, "handle"), C(12, count, T_COUNT),
    C(16, first, T_FIRST), C(24, flags, "1 FIXED, 8 SEALED"), C(28, size, T_SIZE),
    C(32, sum_ns, "time the functions took, all tasks together; 0: not measured"), C(40, kind, "0 OK, 1 OUTCOME"),
    C(41, attempt, "that ended so, as in OUTPUT; 0: none did, or it is not known"),
};
static const struct wire_column ack_columns[] = {
    C2(0, id, "seq", "every outcome of the job up to this one has been received"), C(8, job, "handle"),
};
static const struct wire_column assigned_columns[] = {
    C2(0, id, "attempt", "about to be handed out"), C(8, job, "handle"), C(12, count, T_COUNT), C(16, first, T_FIRST),
    C(24, tries, T_TRIES), C(26, crashes, T_CRASHES),
};
static const struct wire_column tries_columns[] = {
    C(0, job, "handle"), C(4, count, T_COUNT), C(8, first, T_FIRST), C(16, tries, T_TRIES), C(18, crashes, T_CRASHES),
};
static const struct wire_column assigned_ok_columns[] = {
    C2(0, id, "attempt", "may be handed out"), C(8, job, "handle"), C(12, count, T_COUNT), C(16, first, T_FIRST),
};
static const struct wire_column chunks_columns[] = {
    C2(0, id, "attempt", "name of this hand-out"), C(8, job, "handle"), C(12, count, T_COUNT), C(16, first, T_FIRST),
    C(24, flags, "1 FIXED, 8 SEALED"), C(28, size, T_SIZE), C(32, tries, T_TRIES), C(34, crashes, T_CRASHES),
    C_SECRET(36, ticket, "to be shown in HOLDING"),
};
static const struct wire_column recall_columns[] = {
    C2(0, id, "attempt", "to give back from"),
    C(8, job, "handle"),
    C(12, count, "why = cancel: so many of them, if they run, are ended; 0: all"),
    C(16, first, "tasks from this index to the attempt's end are wanted back, if they have not begun"),
    C(24, why, "1 cancel, 2 drain, 3 balance, 7 not begun: answered by RECALLED"),
};
static const struct wire_column recalled_columns[] = {
    C2(0, id, "attempt", "that was asked for"),
    C(8, first, "tasks from this index to the attempt's end have not begun, and are given back; all others have, or have ended"),
};
static const struct wire_column close_columns[] = {
    C2(0, id, "attempt", "that is over"), C(8, job, "handle"), C(12, why, T_WHY),
};
static const struct wire_column holding_columns[] = {
    C2(0, id, "attempt", "that is held"),
    C(8, job, "handle of the worker's last session, or 0"),
    C(12, count, "tasks it still answers for, from first on: those given back are not among them"),
    C(16, first, "first index of the attempt as it was handed out"),
    C(24, end, "one past the last index of the attempt as it was handed out"),
    C(32, tries, T_TRIES),
    C(34, crashes, T_CRASHES),
    C_SECRET(36, ticket, "as it came with the chunk"),
    C(52, job_id, "the job's name for ever"),
    C(68, owner, "public key of the job's client"),
};
static const struct wire_column results_columns[] = {
    C2(0, id, "attempt", "that the tasks belong to"),
    C(8, job, "handle"),
    C(12, count, T_COUNT),
    C(16, first, T_FIRST),
    C(24, flags, "1 FIXED, 8 SEALED"),
    C(28, size, T_SIZE),
    C(32, sum_ns, "time the functions took, all tasks together; 0: not measured"),
    C(40, pid, "process that ran them"),
    C(44, kind, "0 OK, 1 OUTCOME, 2 RETURNED"),
};

static const struct wire_column output_columns[] = {
    C2(0, id, "attempt", "that the task belongs to"),
    C(8, seq, "number of the piece, from 1: from a worker in its attempt, to a client in its session and epoch"),
    C(16, job, "handle; from a worker the window that it counts in, by a number of the worker's"),
    C(20, count, "1"),
    C2(24, first, "index", "of the task"),
    C(32, offset, "of the first byte in this stream of this attempt's task; a gap means loss"),
    C(40, flags, "1 FIXED (always), 16 CUT: the task's limit is reached, the rest of what it prints is dropped"),
    C(44, size, "bytes"),
    C(48, pid, "of the task process"),
    C(52, tries, "which try of the task it is, from 1"),
    C(54, stream, "1 standard output, 2 standard error"),
    C(55, end, "CUT: the limit, in bytes"),
};
static const struct wire_column output_taken_columns[] = {
    C2(0, id, "attempt", "that the pieces belong to"),
    C(8, seq, "its pieces up to this one need not be kept any more; 0: of none"),
    C2(16, job, "window", "that they count in, as OUTPUT named it"),
    C(20, size, "so much of the window is free again: bytes of bodies, and 64 for each piece"),
};

/* ---- the table --------------------------------------------------------------------------------------------------------------- */

#define HEAD(label, S, f) { label, f, COUNT(f), sizeof(struct S) }
#define PLAIN(label, who, S, f, text)                                                                      \
    {                                                                                                      \
        .name = label, .ways = who, .load = LOAD_NONE, .since = 1, .head = HEAD(label, S, f), .help = text \
    }
#define RECORDS(label, who, cols, bytes, text)                                                                        \
    {                                                                                                                 \
        .name = label, .ways = who, .load = LOAD_RECORDS, .since = 1, .record_size = bytes, .record_v1 = bytes, \
        .n_columns = COUNT(cols), .head = HEAD(label, wire_records, records_fields), .columns = cols, .help = text    \
    }
#define ITEMS(label, who, cols, bytes, fl, k, text)                                                                              \
    {                                                                                                                            \
        .name = label, .ways = who, .load = LOAD_ITEMS, .since = 1, .record_size = bytes, .record_v1 = bytes,                    \
        .n_columns = COUNT(cols), .flags = fl, .kinds = k, .body_max = WIRE_BODY_MAX,                                            \
        .head = HEAD(label, wire_records, records_fields), .columns = cols, .help = text                                         \
    }
#define BODY(label, who, S, f, text) { .name = label, .ways = who, .load = LOAD_BODY, .since = 1, .body_max = WIRE_PIECE_MAX, \
    .head = HEAD(label, S, f), .help = text }
#define KIND(k) (1u << (k))

const struct wire_message wire_messages[128] = {
    [WIRE_HELLO] =
        PLAIN("HELLO", FROM_ANY, wire_hello, hello_fields, "First message of a connection. Its layout is frozen for ever."),
    [WIRE_WELCOME] = PLAIN("WELCOME", TO_ANY, wire_welcome, welcome_fields, "Answer to HELLO: the session exists."),
    [WIRE_RESET] =
        PLAIN("RESET", TO_ANY, wire_error_head, error_fields, "The broker does not know this connection: say HELLO again."),
    [WIRE_PING] = PLAIN("PING", FROM_ANY | TO_ANY, wire_ping, ping_fields, "Is anybody there? Renews the lease; carries ack."),
    [WIRE_PONG] = PLAIN("PONG", FROM_ANY | TO_ANY, wire_ping, ping_fields, "Answer to PING."),
    [WIRE_BYE] = PLAIN("BYE", FROM_ANY | TO_ANY, wire_error_head, error_fields,
                       "The sender leaves in an orderly way and expects nothing more."),
    [WIRE_ERROR] = PLAIN("ERROR", FROM_ANY | TO_ANY, wire_error_head, error_fields,
                         "With request: that request failed. Without: the session is over, and why."),
    [WIRE_POOL_OPEN] =
        PLAIN("POOL_OPEN", FROM_CLIENT, wire_pool_open, pool_open_fields, "Opens a pool, or changes its processes. Idempotent."),
    [WIRE_POOL_CLOSE] =
        PLAIN("POOL_CLOSE", FROM_CLIENT, wire_pool_ref, pool_ref_fields, "Its jobs are cancelled, its slots given back."),
    [WIRE_JOB_OPEN] =
        PLAIN("JOB_OPEN", FROM_CLIENT, wire_job_open, job_open_fields, "Opens a job, or takes it up again. Idempotent."),
    [WIRE_JOB_CLOSE] = PLAIN("JOB_CLOSE", FROM_CLIENT, wire_job_ref, job_ref_fields,
                             "No more tasks will come; forgotten when all is settled and acknowledged."),
    [WIRE_TASKS] = ITEMS("TASKS", FROM_CLIENT, tasks_columns, 28, WIRE_FIXED | WIRE_REPLAY | WIRE_MAYBE_STARTED | WIRE_SEALED,
                         KIND(WIRE_OK), "Tasks to run. Body: their arguments."),
    [WIRE_CANCEL] = RECORDS("CANCEL", FROM_CLIENT, cancel_columns, 17,
                            "These tasks are not wanted any more. With request: one record, answered with CANCELLED."),
    [WIRE_TASKS_LOOK] = RECORDS("TASKS_LOOK", FROM_CLIENT, look_columns, 16, "Are these tasks still with the broker?"),
    [WIRE_OUTCOMES_ACK] = RECORDS("OUTCOMES_ACK", FROM_CLIENT, ack_columns, 12, "Outcomes received, cumulative for each job."),
    [WIRE_ASSIGNED_OK] = RECORDS("ASSIGNED_OK", FROM_CLIENT, assigned_ok_columns, 24, "Noted: the attempts may be handed out."),
    [WIRE_STATUS_GET] = PLAIN("STATUS_GET", FROM_CLIENT | FROM_ADMIN, wire_status_get, status_get_fields, "Asks for a STATUS."),
    [WIRE_POOL_STATE] =
        PLAIN("POOL_STATE", TO_CLIENT, wire_pool_state, pool_state_fields, "Slots of a pool have changed, or it cannot run."),
    [WIRE_JOB_STATE] =
        PLAIN("JOB_STATE", TO_CLIENT, wire_job_state, job_state_fields, "Answer to JOB_OPEN: how far the job was received."),
    [WIRE_OUTCOMES] = { .name = "OUTCOMES",
                        .ways = TO_CLIENT,
                        .load = LOAD_ITEMS,
                        .since = 1,
                        .record_size = 49,
                        .record_v1 = WIRE_OUTCOMES_V1,
                        .n_columns = COUNT(outcomes_columns),
                        .flags = WIRE_FIXED | WIRE_SEALED,
                        .kinds = KIND(WIRE_OK) | KIND(WIRE_OUTCOME),
                        .body_max = WIRE_BODY_MAX,
                        .head = HEAD("OUTCOMES", wire_records, records_fields),
                        .columns = outcomes_columns,
                        .help = "How tasks ended. Body: results (OK) or one document outcome (OUTCOME)." },
    [WIRE_ASSIGNED] = RECORDS("ASSIGNED", TO_CLIENT, assigned_columns, 28, "At most once: may these be handed out?"),
    [WIRE_TRIES] = RECORDS("TRIES", TO_CLIENT, tries_columns, 20,
                           "These tasks run again: how often they were lost, or crashed or failed. To be returned in TASKS."),
    [WIRE_STATUS] = PLAIN("STATUS", TO_CLIENT | TO_ADMIN, wire_status, status_fields, "Answer to STATUS_GET or ADMIN."),
    [WIRE_CANCELLED] =
        PLAIN("CANCELLED", TO_CLIENT, wire_cancelled, cancelled_fields, "Answer to CANCEL: what became of its tasks."),
    [WIRE_TASKS_SEEN] = RECORDS("TASKS_SEEN", TO_CLIENT, seen_columns, 17,
                                "Answer to TASKS_LOOK, as far as the broker has looked: the client asks on behind it."),
    [WIRE_GRANT] = PLAIN("GRANT", TO_WORKER, wire_grant, grant_fields, "Slots of the worker for a pool."),
    [WIRE_JOB_SPEC] = PLAIN("JOB_SPEC", TO_WORKER, wire_job_to_worker, job_spec_fields, "A job, before its first chunk."),
    [WIRE_JOB_FORGET] = PLAIN("JOB_FORGET", TO_WORKER, wire_job_ref, job_ref_fields, "The handle will not be used any more."),
    [WIRE_CHUNKS] = ITEMS("CHUNKS", TO_WORKER, chunks_columns, 52, WIRE_FIXED | WIRE_SEALED, KIND(WIRE_OK),
                          "Tasks to run, each item an attempt. Body: their arguments."),
    [WIRE_RECALL] = RECORDS("RECALL", TO_WORKER, recall_columns, 25, "Give back what has not begun."),
    [WIRE_ATTEMPTS_CLOSE] =
        RECORDS("ATTEMPTS_CLOSE", TO_WORKER, close_columns, 13, "These attempts are over: forget them and their results."),
    [WIRE_HOLDING] = { .name = "HOLDING",
                       .ways = FROM_WORKER,
                       .load = LOAD_RECORDS,
                       .since = 1,
                       .record_size = 100,
                       .record_v1 = 100,
                       .n_columns = COUNT(holding_columns),
                       .head = HEAD("HOLDING", wire_holding, holding_fields),
                       .columns = holding_columns,
                       .help = "What the worker still holds from before: sent after WELCOME." },
    [WIRE_RESULTS] = ITEMS(
        "RESULTS", FROM_WORKER, results_columns, 45, WIRE_FIXED | WIRE_SEALED,
        KIND(WIRE_OK) | KIND(WIRE_OUTCOME) | KIND(WIRE_RETURNED),
        "How tasks ended, or that they are given back. Body: results (OK), one document outcome (OUTCOME), nothing (RETURNED)."),
    [WIRE_WORKER_STATE] =
        PLAIN("WORKER_STATE", FROM_WORKER, wire_worker_state, worker_state_fields, "Slots have changed, or the worker drains."),
    [WIRE_POOL_FAILED] =
        PLAIN("POOL_FAILED", FROM_WORKER, wire_pool_failed, pool_failed_fields, "A granted pool cannot run on this host."),
    [WIRE_RECALLED] = RECORDS("RECALLED", FROM_WORKER, recalled_columns, 16, "Answer to RECALL with why = 7: a record for each."),
    [WIRE_BLOB_GET] = PLAIN("BLOB_GET", FROM_WORKER | TO_CLIENT, wire_blob, blob_get_fields, "Asks for one piece of a blob."),
    [WIRE_BLOB_PIECE] = BODY("BLOB_PIECE", FROM_CLIENT | TO_WORKER, wire_blob, blob_piece_fields, "Body: the piece."),
    [WIRE_BLOB_NONE] = PLAIN("BLOB_NONE", FROM_CLIENT | TO_WORKER, wire_blob, blob_none_fields, "The blob cannot be had here."),
    [WIRE_OUTPUT] = { .name = "OUTPUT",
                      .ways = FROM_WORKER | TO_CLIENT,
                      .load = LOAD_ITEMS,
                      .since = 1,
                      .record_size = 63,
                      .record_v1 = 63,
                      .n_columns = COUNT(output_columns),
                      .flags = WIRE_FIXED | WIRE_CUT,
                      .kinds = KIND(WIRE_OK),
                      .body_max = WIRE_BODY_MAX,
                      .head = HEAD("OUTPUT", wire_output, output_fields),
                      .columns = output_columns,
                      .help = "What tasks have printed, in the order of each task and stream. Body: the bytes of each piece." },
    [WIRE_OUTPUT_ACK] = PLAIN("OUTPUT_ACK", FROM_CLIENT, wire_output_ack, output_ack_fields, "Output taken, cumulative."),
    [WIRE_OUTPUT_TAKEN] = RECORDS("OUTPUT_TAKEN", TO_WORKER, output_taken_columns, 24,
                                  "The client has taken output, or nobody wants it any more: the window opens."),
    [WIRE_ADMIN] =
        PLAIN("ADMIN", FROM_ADMIN, wire_admin, admin_fields, "An order of an administrator; answered with STATUS or ERROR."),
};
