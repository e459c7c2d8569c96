/* SPDX-License-Identifier: MPL-2.0
 * job.c - jobs of a session: their state on a connection, made, settled in part, freed with all they hold.
 *
 * Invariants: batches are in index order and do not overlap; job.unsettled = sum of batch.left + elements of a map not yet cut; the
 * sum of batch.bytes over all jobs = session.bytes_held.
 */
#include "model.h"
#include "base/moves.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char *const job_states[] = { "new", "asked", "open", "ending" };
static const char *const job_events[] = { "opened", "reopened", "closed", "answered", "refused", "put off", "cut" };
static const uint8_t job_cells[JOB_STATES][JOB_EVENTS] = {
    [JOB_NEW] = { [JOB_OPENED] = TO(JOB_OPEN),
                  [JOB_REOPENED] = TO(JOB_ASKED),
                  [JOB_REFUSED] = TO(JOB_NEW),
                  [JOB_PUT_OFF] = MOVES_LATE,
                  [JOB_CUT] = TO(JOB_NEW) },
    [JOB_ASKED] = { [JOB_ANSWERED] = TO(JOB_OPEN), [JOB_REFUSED] = TO(JOB_OPEN), [JOB_CUT] = TO(JOB_NEW) },
    [JOB_OPEN] = { [JOB_CLOSED] = TO(JOB_ENDING),
                   [JOB_REFUSED] = TO(JOB_OPEN),
                   [JOB_PUT_OFF] = TO(JOB_NEW),
                   [JOB_CUT] = TO(JOB_NEW) },
    [JOB_ENDING] = { [JOB_REFUSED] = TO(JOB_ENDING), [JOB_PUT_OFF] = TO(JOB_NEW), [JOB_CUT] = TO(JOB_NEW) },
};
static const struct moves job_moves = MOVES("a job of a session", job_states, job_events, job_cells);

bool ses_job_move(struct session_job *j, enum job_event event)
{
    unsigned to;

    if (!moves_next(&job_moves, j->state, event, &to))
        return false;
    j->state = (enum job_state)to;
    return true;
}

static uint64_t random_next(uint64_t *state)        /* splitmix64, Steele, Lea, Flood 2014 */
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

int session_job_open(struct session_pool *p, struct buf *spec, bool at_most_once, void *user, struct session_job **ret)
{
    struct session *s = p->s;
    struct session_job *j = calloc(1, sizeof(*j));
    if (!j || map_put(&s->handles, s->next_handle + 1, j) != 0) {
        free(j);
        buf_unref(&spec);
        return BFORK_ENOMEM;
    }
    j->s = s;
    j->pool = p;
    p->jobs++;
    j->user = user;
    j->handle = ++s->next_handle;
    for (size_t i = 0; i < WIRE_ID; i += 8) {
        uint64_t r = random_next(&s->random);
        memcpy(j->id + i, &r, 8);
    }
    j->spec = spec;
    j->at_most_once = at_most_once;
    list_init(&j->batches);
    list_init(&j->deferred);
    map_init(&j->printed);
    j->untold_from = UINT64_MAX;
    list_push_back(&s->jobs, &j->node);
    *ret = j;
    return 0;
}

void session_job_user(struct session_job *j, void *user)
{
    j->user = user;
}

void ses_job_dirty(struct session_job *j)
{
    if (!list_in(&j->dirty))
        list_push_back(&j->s->dirty, &j->dirty);
}

void session_job_close(struct session_job *j)
{
    if (j->closed)
        return;
    j->closed = true;
    ses_job_dirty(j);
}

bool ses_job_finished(const struct session_job *j)
{
    return j->closed && j->unsettled == 0;
}

bool ses_job_is_refused(const struct session_job *j)
{
    return j->refused || j->pool->refused;
}

/* The quota of its tasks that are sent and not settled. */
static void batch_give_back(struct session_job *j, const struct batch *b)
{
    uint64_t end = j->epoch != j->s->epoch ? b->run.first : run_end(&b->run) < j->sent ? run_end(&b->run) : j->sent;
    for (uint64_t at = b->run.first; at < end;) {
        uint64_t from = ses_bits_next(&j->settled, at, end, false), to = ses_bits_next(&j->settled, from, end, true);
        if (from == end)
            break;
        j->s->quota_used_tasks -= to - from;
        j->s->quota_used_bytes -= ses_batch_bytes(b, from, to - from);
        at = to;
    }
}

void ses_job_free(struct session_job *j)
{
    struct session *s = j->s;
    s->unsettled -= j->unsettled;
    s->settled_total += j->unsettled;
    while (!list_empty(&j->batches)) {
        struct batch *b = LIST_ENTRY(list_first(&j->batches), struct batch, node);
        batch_give_back(j, b);
        ses_batch_free(j, b);
    }
    map_take(&s->handles, j->handle);
    if (list_in(&j->dirty))
        list_remove(&s->dirty, &j->dirty);
    list_remove(&s->jobs, &j->node);
    j->pool->jobs--;
    ses_printed_free(j);
    free(j->settled.words);
    free(j->assigned.words);
    ses_question_job_goes(j);
    map_free(&j->counts);
    slice_unref(&j->source);
    buf_unref(&j->spec);
    free(j->refused);
    free(j);
}

/* Marks unsettled tasks [first, first + count), which are all in batches, as settled. */
void ses_job_settle(struct session_job *j, uint64_t first, uint64_t count)
{
    struct session *s = j->s;
    ses_bits_set(&j->settled, first, count);
    ses_counts_settled(j, first, count);
    ses_printed_settled(j, first, count);
    while (count) {
        struct batch *b = ses_batch_find(j, first);
        assert(b);
        uint64_t n = run_end(&b->run) - first;
        n = n < count ? n : count;
        if (first < j->sent && j->epoch == s->epoch) {
            uint64_t sent = j->sent - first < n ? j->sent - first : n;
            s->quota_used_tasks -= sent;
            s->quota_used_bytes -= ses_batch_bytes(b, first, sent);
        }
        b->left -= (uint32_t)n;
        first += n;
        count -= n;
        if (b->left == 0)
            ses_batch_free(j, b);
    }
    const struct list_node *head = list_first(&j->batches);
    uint64_t below = head ? LIST_ENTRY(head, struct batch, node)->run.first : j->source_n ? j->source_next : j->next;
    ses_bits_drop(&j->settled, below);
    ses_bits_drop(&j->cancelled, below);
    ses_bits_drop(&j->told, below);
}

void session_pool_close(struct session_pool *p)
{
    struct session *s = p->s;
    for (LIST_EACH_SAFE(&s->jobs, n, after)) {
        struct session_job *j = LIST_ENTRY(n, struct session_job, node);
        if (j->pool == p)
            ses_job_free(j);
    }
    p->closing = true;
    p->user = NULL;
    if (s->state != SESSION_UP)
        ses_pool_gone(p);
}
