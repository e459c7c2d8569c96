/* SPDX-License-Identifier: MPL-2.0
 * moves.c - the states of connections, sessions, pools, jobs and attempts: which there are, and which event leads from which to
 * which. The only file that writes them.
 *
 * A move keeps what hangs on the state and on nothing else: sums and lists of those in it. What becomes of tasks is the caller's.
 * It needs no memory and cannot fail. A cell that is not there is an event that cannot be (base/moves.h).
 */
#include "model.h"

#include "base/moves.h"

/* Each state and each event has a name. */
#define NAMED(what, STATES, EVENTS)                                                                                                \
    _Static_assert(sizeof(what##_states) / sizeof(what##_states[0]) == (STATES) &&                                                 \
                       sizeof(what##_events) / sizeof(what##_events[0]) == (EVENTS), "names of " #what)

/* ---- connections ------------------------------------------------------------------------------------------------------------- */

static const char *const peer_states[] = { "new", "ready", "cut" };
static const char *const peer_events[] = { "say HELLO", "be cut" };
/* It is cut again for as long as there is no effect for it, and when its session fails while it is being cut. */
static const uint8_t peer_cells[PEER_STATES][PEER_EVENTS] = {
    [PEER_NEW] = { [PEER_ON_HELLO] = TO(PEER_READY), [PEER_ON_CUT] = TO(PEER_CUT) },
    [PEER_READY] = { [PEER_ON_CUT] = TO(PEER_CUT) },
    [PEER_CUT] = { [PEER_ON_CUT] = MOVES_LATE },
};
NAMED(peer, PEER_STATES, PEER_EVENTS);
static const struct moves peer_moves = MOVES("a connection", peer_states, peer_events, peer_cells);

bool brk_peer_move(struct peer *p, enum peer_event e)
{
    unsigned to;

    if (!moves_next(&peer_moves, p->state, e, &to))
        return false;
    p->state = (enum peer_state)to;
    return true;
}

/* ---- sessions of clients ----------------------------------------------------------------------------------------------------- */

static const char *const client_states[] = { "new", "attached", "waking", "detached", "dormant", "ending" };
static const char *const client_events[] = { "be attached", "be cut", "fall asleep", "be awake", "end" };
/* Whoever is back while all that its processes had is still going back is waking until that is done. */
static const uint8_t client_cells[CLIENT_STATES][CLIENT_EVENTS] = {
    [CLIENT_NEW] = { [CLIENT_ON_HELLO] = TO(CLIENT_ATTACHED), [CLIENT_ON_END] = TO(CLIENT_ENDING) },
    [CLIENT_ATTACHED] = { [CLIENT_ON_CUT] = TO(CLIENT_DETACHED), [CLIENT_ON_END] = TO(CLIENT_ENDING) },
    [CLIENT_WAKING] = { [CLIENT_ON_CUT] = TO(CLIENT_DORMANT), [CLIENT_ON_AWAKE] = TO(CLIENT_ATTACHED),
                        [CLIENT_ON_END] = TO(CLIENT_ENDING) },
    [CLIENT_DETACHED] = { [CLIENT_ON_HELLO] = TO(CLIENT_ATTACHED), [CLIENT_ON_SLEEP] = TO(CLIENT_DORMANT),
                          [CLIENT_ON_END] = TO(CLIENT_ENDING) },
    [CLIENT_DORMANT] = { [CLIENT_ON_HELLO] = TO(CLIENT_WAKING), [CLIENT_ON_SLEEP] = TO(CLIENT_DORMANT),
                         [CLIENT_ON_END] = TO(CLIENT_ENDING) },
    [CLIENT_ENDING] = { [CLIENT_ON_END] = MOVES_LATE },
};
NAMED(client, CLIENT_STATES, CLIENT_EVENTS);
static const struct moves client_moves = MOVES("a client's session", client_states, client_events, client_cells);

bool brk_client_move(struct client *c, enum client_event e)
{
    bool was_gone = client_is_gone(c);
    unsigned to;

    if (!moves_next(&client_moves, c->state, e, &to))
        return false;
    c->state = (enum client_state)to;
    c->owner->n_detached += client_is_gone(c);
    c->owner->n_detached -= was_gone;
    return true;
}

/* ---- sessions of workers ----------------------------------------------------------------------------------------------------- */

static const char *const worker_states[] = { "silent", "joining", "ready", "draining", "ending" };
static const char *const worker_events[] = { "say HELLO", "be ready", "drain", "be cut", "end" };
/* One that is new is silent until its HELLO is taken. A worker that drains says so for as long as it does. */
static const uint8_t worker_cells[WORKER_STATES][WORKER_EVENTS] = {
    [WORKER_SILENT] = { [WORKER_ON_HELLO] = TO(WORKER_JOINING), [WORKER_ON_END] = TO(WORKER_ENDING) },
    [WORKER_JOINING] = { [WORKER_ON_SEEN] = TO(WORKER_READY), [WORKER_ON_CUT] = TO(WORKER_SILENT),
                         [WORKER_ON_END] = TO(WORKER_ENDING) },
    [WORKER_READY] = { [WORKER_ON_DRAIN] = TO(WORKER_DRAINING), [WORKER_ON_CUT] = TO(WORKER_SILENT),
                       [WORKER_ON_END] = TO(WORKER_ENDING) },
    [WORKER_DRAINING] = { [WORKER_ON_DRAIN] = MOVES_LATE, [WORKER_ON_CUT] = TO(WORKER_SILENT),
                          [WORKER_ON_END] = TO(WORKER_ENDING) },
};
NAMED(worker, WORKER_STATES, WORKER_EVENTS);
static const struct moves worker_moves = MOVES("a worker", worker_states, worker_events, worker_cells);

bool brk_worker_move(struct worker *w, enum worker_event e)
{
    unsigned to;

    if (!moves_next(&worker_moves, w->state, e, &to))
        return false;
    w->state = (enum worker_state)to;
    return true;
}

const char *brk_worker_state_name(const struct worker *w) { return worker_states[w->state]; }

/* ---- pools ------------------------------------------------------------------------------------------------------------------- */

static const char *const pool_states[] = { "open", "in doubt", "failed" };
static const char *const pool_events[] = { "be able to run", "be able to run perhaps", "be refused everywhere" };
/* What is looked at anew may come out as it was. */
static const uint8_t pool_cells[POOL_STATES][POOL_EVENTS] = {
    [POOL_OPEN] = { [POOL_ON_RUNS] = TO(POOL_OPEN), [POOL_ON_DOUBT] = TO(POOL_DOUBT), [POOL_ON_REFUSED] = TO(POOL_FAILED) },
    [POOL_DOUBT] = { [POOL_ON_RUNS] = TO(POOL_OPEN), [POOL_ON_DOUBT] = TO(POOL_DOUBT), [POOL_ON_REFUSED] = TO(POOL_FAILED) },
    [POOL_FAILED] = { [POOL_ON_RUNS] = TO(POOL_OPEN), [POOL_ON_DOUBT] = TO(POOL_DOUBT), [POOL_ON_REFUSED] = TO(POOL_FAILED) },
};
NAMED(pool, POOL_STATES, POOL_EVENTS);
static const struct moves pool_moves = MOVES("a pool", pool_states, pool_events, pool_cells);

bool brk_pool_move(struct broker *b, struct pool *p, enum pool_event e)
{
    unsigned to;

    if (!moves_next(&pool_moves, p->state, e, &to))
        return false;
    p->state = (enum pool_state)to;
    if (p->state != POOL_OPEN && !list_in(&p->doubtful))
        list_push_back(&b->doubtful, &p->doubtful);
    else if (p->state == POOL_OPEN && list_in(&p->doubtful))
        list_remove(&b->doubtful, &p->doubtful);
    return true;
}

/* ---- jobs -------------------------------------------------------------------------------------------------------------------- */

static const char *const job_states[] = { "new", "parked", "open", "closed", "ending" };
static const char *const job_events[] = { "be parked", "be opened", "be opened again", "be closed", "end" };
/* JOB_CLOSE may have been lost with a connection, or come twice; so may JOB_OPEN. */
static const uint8_t job_cells[JOB_STATES][JOB_EVENTS] = {
    [JOB_NEW] = { [JOB_ON_PARK] = TO(JOB_PARKED), [JOB_ON_OPEN] = TO(JOB_OPEN), [JOB_ON_END] = TO(JOB_ENDING) },
    [JOB_PARKED] = { [JOB_ON_OPEN] = TO(JOB_OPEN), [JOB_ON_END] = TO(JOB_ENDING) },
    [JOB_OPEN] = { [JOB_ON_REOPEN] = TO(JOB_OPEN), [JOB_ON_CLOSE] = TO(JOB_CLOSED), [JOB_ON_END] = TO(JOB_ENDING) },
    [JOB_CLOSED] = { [JOB_ON_REOPEN] = TO(JOB_OPEN), [JOB_ON_CLOSE] = TO(JOB_CLOSED), [JOB_ON_END] = TO(JOB_ENDING) },
};
NAMED(job, JOB_STATES, JOB_EVENTS);
static const struct moves job_moves = MOVES("a job", job_states, job_events, job_cells);

bool brk_job_move(struct job *j, enum job_event e)
{
    unsigned to;

    if (!moves_next(&job_moves, j->state, e, &to))
        return false;
    j->state = (enum job_state)to;
    return true;
}

/* ---- attempts ---------------------------------------------------------------------------------------------------------------- */

static const char *const attempt_states[] = { "new", "assigning", "ready", "sent", "finished", "closing", "closed" };
static const char *const attempt_events[] = { "be made", "be another's", "be offered", "be adopted", "be confirmed", "be sent",
                                              "be empty", "be fenced", "be dropped", "be told of" };
/* One that was never sent is dropped, not fenced: its worker has not heard of it. But one that is empty before it is sent finishes,
 * and is closed at its worker like any other, which does not mind. */
static const uint8_t attempt_cells[ATTEMPT_STATES][ATTEMPT_EVENTS] = {
    [ATTEMPT_NEW] = { [ATTEMPT_ON_MADE] = TO(ATTEMPT_READY), [ATTEMPT_ON_FOREIGN] = TO(ATTEMPT_CLOSING) },
    [ATTEMPT_ASSIGNING] = { [ATTEMPT_ON_CONFIRM] = TO(ATTEMPT_READY), [ATTEMPT_ON_EMPTY] = TO(ATTEMPT_FINISHED),
                            [ATTEMPT_ON_DROP] = TO(ATTEMPT_CLOSED) },
    [ATTEMPT_READY] = { [ATTEMPT_ON_OFFER] = TO(ATTEMPT_ASSIGNING), [ATTEMPT_ON_ADOPT] = TO(ATTEMPT_SENT),
                        [ATTEMPT_ON_SEND] = TO(ATTEMPT_SENT), [ATTEMPT_ON_EMPTY] = TO(ATTEMPT_FINISHED),
                        [ATTEMPT_ON_DROP] = TO(ATTEMPT_CLOSED) },
    [ATTEMPT_SENT] = { [ATTEMPT_ON_EMPTY] = TO(ATTEMPT_FINISHED), [ATTEMPT_ON_FENCE] = TO(ATTEMPT_CLOSING),
                       [ATTEMPT_ON_DROP] = TO(ATTEMPT_CLOSED) },
    [ATTEMPT_FINISHED] = { [ATTEMPT_ON_FENCE] = TO(ATTEMPT_CLOSING), [ATTEMPT_ON_DROP] = TO(ATTEMPT_CLOSED) },
    [ATTEMPT_CLOSING] = { [ATTEMPT_ON_TOLD] = TO(ATTEMPT_CLOSED) },
};
NAMED(attempt, ATTEMPT_STATES, ATTEMPT_EVENTS);
static const struct moves attempt_moves = MOVES("an attempt", attempt_states, attempt_events, attempt_cells);

bool brk_attempt_move(struct attempt *a, enum attempt_event e)
{
    unsigned to;

    if (!moves_next(&attempt_moves, a->state, e, &to))
        return false;
    a->state = (enum attempt_state)to;
    return true;
}
