/* SPDX-License-Identifier: MPL-2.0 */
/* session.h - a client's session: pools, jobs and tasks over as many connections as it takes (chapters 4 to 6, 8 and 9 of
 * docs/protocol.md).
 * Everything happens in session_turn: it receives, answers, sends what is due, and connects again when a connection has ended. */
#ifndef INTEROP_SESSION_H
#define INTEROP_SESSION_H

#include "link.h"

enum { POOLS = 8, JOBS = 16, CANCELS = 4, TEXT = 4200, PIECE_COST = 64 };

struct task {
    buffer args;
    bool sent, old, started, settled;   /* old: an earlier epoch may have had it; started: ASSIGNED was answered */
    bool kept_back, lost;               /* not sent at first, to be asked for; TASKS_SEEN said that nobody has it */
    uint16_t tries, crashes;
    int kind;                           /* 0, or a code of chapter 10 */
    buffer result;                      /* the bytes, or the document */
    unsigned outcomes;                  /* that named it */
    uint64_t printed[2], limit;         /* bytes of each stream; the limit that it reached */
    uint64_t printed_by, attempt;       /* the attempt whose output came; that of the outcome; 0: none */
    unsigned printed_try;               /* and its try */
};

struct cancel {
    uint64_t first, end;
    int why;
    bool said;                          /* in this connection, behind the tasks that it names */
};

struct job {
    uint32_t handle, pool;
    uint8_t id[16];
    buffer spec;
    struct task *tasks;
    size_t count, done, next;           /* tasks from next on are to be sent in this connection */
    bool fixed, open, refused;
    bool closed, close_said;            /* no more tasks will come; the broker was told so behind the last one */
    struct cancel cancels[CANCELS];     /* kept until their tasks are settled */
    uint32_t asked;                     /* request of the last JOB_OPEN */
    uint64_t seq, acked;
    uint64_t told_next;
    int code;
    char text[TEXT], field[256];
    unsigned assigned, tries_told;
};

struct pool {
    uint32_t handle;
    int processes;
    buffer spec, program;
    uint8_t program_digest[32];
    unsigned slots, states;
    int code;
    bool ended;
    char text[TEXT], field[256];
};

struct session {
    const char *key_file;
    struct link link;
    uint8_t instance[16];
    uint64_t conn_no, epoch, features, window, quota_tasks, own_window;
    unsigned heartbeat_ms, lease_ms, detach_ms, frame_max;
    bool welcome, resumed, over, no_reconnect, admin;
    uint64_t sent, peer_acked, consumed, told;
    uint64_t most_out;                  /* bytes that were on the way at most */
    int64_t sent_at, heard_at, ack_due;
    uint32_t requests;
    struct pool pools[POOLS];
    struct job jobs[JOBS];
    unsigned connections, replays, asked_back, pieces, blob_bytes, nones, repeated, outputs, outputs_again, early;
    uint64_t quota_bytes, owner_quota_tasks;
    size_t piece;                       /* bytes of a blob that go into one piece at most; 0: as asked */
    uint32_t answered;                  /* request of the last answer */
    int answer_code;
    char answer_text[TEXT], answer_field[256];
    buffer status;
    uint64_t cancelled, running, done;
    uint64_t seen_to;                   /* TASKS_SEEN told up to here */
    unsigned pongs;
    buffer output;                      /* of all tasks, as it came */
    uint64_t said, taken;               /* the last seq of a piece, and the last that was acknowledged */
    uint64_t said_bytes;                /* not yet acknowledged, as a window counts them */
    bool keep_output;                   /* it is not acknowledged */
};

void session_init(struct session *s, const char *key_file);      /* an administrator, if it is called admin.key */
void session_free(struct session *s);
void session_turn(struct session *s, int limit_ms);
/* Turns until the condition holds; ends the program after LIMIT_MS. */
enum { LIMIT_MS = 120000 };
#define UNTIL(s, condition)                                                                     \
    for (int64_t until_ = zclock_mono() + LIMIT_MS; !(condition); session_turn(s, 50))          \
        if (zclock_mono() > until_)                                                             \
            fail("%s:%d: not within two minutes: %s", __FILE__, __LINE__, #condition)

void session_send(struct session *s, struct message *m);
void session_connect(struct session *s);
void session_cut(struct session *s);                            /* closes the connection without a word; the next turn makes one */
void session_bye(struct session *s);
void job_say(struct session *s, struct job *j);                 /* JOB_OPEN */
void session_replay(struct session *s, bool same);              /* after WELCOME: pools, jobs and tasks once more */
void session_tasks(struct session *s);                          /* sends tasks as far as the window allows */
void session_handle(struct session *s, const struct frame *f);

struct pool *pool_open(struct session *s, uint32_t handle, int processes, struct map spec);
/* fn: the function; fixed: elements of in_size and out_size. spec: further fields of job_spec. */
struct job *job_open(struct session *s, uint32_t handle, uint32_t pool, int kind, struct map fn, struct map spec);
struct task *task_add(struct job *j, const void *args, size_t size);
void job_close(struct session *s, struct job *j);                /* JOB_CLOSE, as soon as all tasks were sent */
void job_close_again(struct session *s, struct job *j);
bool job_settled(const struct job *j);
uint32_t cancel(struct session *s, struct job *j, uint64_t first, uint32_t count, int why, bool ask);
void look(struct session *s, struct job *j, uint64_t first, uint32_t count);

#endif
