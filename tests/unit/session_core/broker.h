/* SPDX-License-Identifier: MPL-2.0
 * broker.h - a scripted broker for tests of the client's core: it writes down what the core sends and says what the test wants.
 */
#ifndef TESTS_SESSION_CORE_BROKER_H
#define TESTS_SESSION_CORE_BROKER_H

#include "base/clock.h"
#include "bfork.h"
#include "session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#define MAX_TASKS 100000

/* One job as its owner sees it. */
struct told { uint8_t times[MAX_TASKS]; int32_t kinds[MAX_TASKS]; uint64_t n; };

struct script {
    struct session *s;
    uint64_t now;
    char trace[65536];                  /* a line for each message sent */
    uint64_t sent_tasks, sent_bytes;    /* since the last connect */
    uint32_t job, pool;                 /* handles last opened */
    uint32_t looked;                    /* request of the last TASKS_LOOK */
    uint64_t seq, consumed;
    struct wire_welcome welcome;
    int failed;
    char failed_text[256];
    int64_t cancelled;                  /* what session_ops.cancelled has told last; -1: nothing yet */
    uint32_t answered;
    int32_t answer_code;
    uint32_t slots;
    uint64_t printed, prints;           /* bytes, pieces of output */
    struct session_print print;         /* the last one */
    bool slow;                          /* the program takes output when the test says so */
    int reconnects;
};

struct script *script_new(void);
void script_free(struct script *b);
void flush(struct script *b);                               /* until nothing more goes out; checks the core after each turn */
void say(struct script *b, const struct wire_msg *m);
void connect_to(struct script *b, uint64_t epoch, bool resumed);    /* connected, HELLO, WELCOME, flush */
void cut(struct script *b);
void ack(struct script *b);                                 /* all bytes sent so far were consumed */
void done(struct script *b, uint64_t first, uint32_t count);        /* OUTCOMES, results of no bytes */
void done_by(struct script *b, uint64_t attempt, uint64_t first, uint32_t count);
void ended(struct script *b, uint64_t first, uint32_t count, int kind);
void job_state(struct script *b, uint64_t next);
/* What was sent since the last call, and forgets it. */
const char *sent(struct script *b);

struct session_pool *a_pool(struct script *b);
struct session_job *a_job(struct script *b, struct session_pool *p, bool once, struct told *t);
void add(struct script *b, struct session_job *j, int n, size_t size);
struct session_job *a_map(struct script *b, struct session_pool *p, struct told *t, uint8_t *array, uint32_t size, uint64_t n);

#endif
