/* SPDX-License-Identifier: MPL-2.0 */
/* mistakes.h - the table of mistakes: where a connection stands, what is sent, and what must come of it. */
#ifndef INTEROP_MISTAKES_H
#define INTEROP_MISTAKES_H

/* FIRST: nothing was said yet. READY: WELCOME has come. POOLED: pool 1 is open. OPEN: job 1 as well, of commands. SECOND: as READY,
 * but said on another connection.
 * JOINING, JOINED and WORKER_FIRST are on the workers' port; JOINED has sent its last HOLDING. The last two are on the
 * administrators'. */
enum stage { FIRST, READY, POOLED, OPEN, SECOND, JOINING, JOINED, WORKER_FIRST, ADMIN_FIRST, ADMINISTERS };

/* RESET_: RESET. CUT: ERROR with request 0, then the end. ANSWERED: ERROR to request 9. POOL_ENDS, JOB_ENDS: POOL_STATE or
 * JOB_STATE with a code.
 * NONE_SUCH: BLOB_NONE. FENCED: ATTEMPTS_CLOSE. TOLD: CANCELLED. SEEN: TASKS_SEEN. TAKEN: OUTPUT_TAKEN. REFUSED_: an outcome, of a
 * worker.
 * IGNORED: nothing comes of it. ENDS: the connection ends, whatever was said.
 * But for RESET_, CUT and ENDS the session goes on. What answers a request returns it: 9 in all lines. */
enum answer { RESET_, CUT, ANSWERED, POOL_ENDS, JOB_ENDS, NONE_SUCH, FENCED, TOLD, SEEN, TAKEN, REFUSED_, IGNORED, ENDS };

enum { EINVAL_ = -32, ESTATE = -37, ENOTSUP_ = -42, EDENIED = -48, EPROTOCOL = -49, EREFUSED = -8, EMISMATCH = -10 };

struct mistake {
    const char *name;
    enum stage stage;
    const char *line;               /* in the notation of notation.h; NULL ends the table */
    enum answer answer;
    int code;
    const char *words;              /* that the answer has in it, separated by bars */
};

#define CLIENT_HELLO "[1 0 0 0 {1 1 2 1 3 1 6 $n 8 1 11 1048576 16 1} <> <> <>]"
#define WORKER_HELLO "[1 0 0 0 {1 1 2 1 3 2 6 $n 8 1 10 1 11 1048576 12 'none-at-all' 16 1} <> <> <>]"
#define ADMIN_HELLO "[1 0 0 0 {1 1 2 1 3 3 6 $n 8 1 16 1} <> <> <>]"
#define HOLDING_NOTHING "[64 0 0 0 {1 true} <> <> <>]"
#define POOL_ONE "[16 0 0 0 {1 1 2 1 3 $S 4 $s} <> <> <>]"
#define JOB_ONE "[18 0 0 0 {1 1 2 1 3 $i 5 $j} <> <> <>]"
#define TASK_AT(first) "[20 0 0 0 {} <4:1 4:1 8:" #first " 4:1 4:6 2:0 2:0> <> #91a474727565;]"
/* sleep 600 */
#define LONG_TASK "[20 0 0 0 {} <4:1 4:1 8:0 4:1 4:11 2:0 2:0> <> #92a5736c656570a3363030;]"

extern const char *const name_lines[26];
extern const struct mistake mistake_table[], mistake_rest[];

#endif
