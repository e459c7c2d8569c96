/* SPDX-License-Identifier: MPL-2.0
 * dispatch.c - cutting chunks from the queues of jobs and giving them to lanes with room; asking work back when lanes run dry.
 *
 * A chunk is cut when it is handed out, where duration, queue, slots and windows are known. Jobs of a pool and lanes of a pool take
 * turns. Nothing is walked but pools with both tasks and room.
 */
#include "rules.h"

#define PROBE_TINY 32u              /* tasks of the first chunks of a map over elements this small … */
#define TINY 64u
#define LEAST_NS 30000u             /* the tail of a job is not cut finer than this */

static uint64_t ahead_ns(const struct broker *b, const struct job *j)
{
    uint64_t chunk = b->c.target_us * 1000ull;

    if (j->spec.chunk)
        chunk = j->spec.chunk * j->mean_ns;
    if (chunk < j->mean_ns)
        chunk = j->mean_ns;
    return 2 * chunk > AHEAD_NS ? 2 * chunk : AHEAD_NS;
}

static bool is_long(const struct job *j) { return !j->mean_ns || j->mean_ns >= LONG_NS; }

/* A worker's window is shared by its lanes as its slots are. */
static uint64_t lane_window(const struct broker *b, const struct lane *l)
{
    const struct worker *w = l->worker;
    uint64_t all = w->granted ? w->granted : 1;

    return b->c.worker_window_bytes / all * l->slots;
}

static bool lane_room(struct broker *b, struct lane *l, const struct job *j)
{
    struct worker *w = l->worker;

    if (!lane_usable(l) || l->failed || w->state != WORKER_READY || !w->peer)
        return false;
    /* Who has nothing out takes any chunk: a single task may be larger than the windows. */
    if (l->out_bytes && (l->out_bytes >= lane_window(b, l) || w->out_bytes >= b->c.worker_window_bytes))
        return false;
    if (w->peer->sent - w->peer->acked + w->message_bytes > w->peer->window) {
        w->window_full = true;
        return false;
    }
    if (w->specs_full) {
        w->window_full = true;
        return false;
    }
    if (w->message_bytes >= WIRE_BODY_MAX - WIRE_BATCH || w->to_send.count >= WIRE_ITEMS_MAX) {
        b->again = true;
        w->window_full = true;
        return false;
    }
    /* A long task has its slot for itself; of short ones so much waits there that a slot has the next one before we have heard of
     * the last. */
    if (l->n_long >= lane_usable(l))
        return false;
    return l->short_ns < lane_usable(l) * (is_long(j) ? AHEAD_NS : ahead_ns(b, j));
}

static uint32_t chunk_size(const struct broker *b, const struct job *j, const struct pool *p, const struct run *s)
{
    uint64_t n, tail, least;

    if (j->spec.chunk) {
        n = j->spec.chunk;
    } else {
        if (j->mean_ns)
            n = b->c.target_us * 1000ull / j->mean_ns;
        else
            n = j->spec.kind == WIRE_JOB_MAP && s->flags & WIRE_FIXED && s->size <= TINY ? PROBE_TINY : 1;
        /* The rest of a job is cut finer and finer, so that its slots end at about the same time. */
        tail = j->n_queued / (2ull * (p->slots ? p->slots : 1));
        least = j->mean_ns ? LEAST_NS / j->mean_ns : 1;
        if (tail < least)
            tail = least;
        n = n < tail ? n : tail;
    }
    n = n > WIRE_BATCH_TASKS ? WIRE_BATCH_TASKS : n;
    return run_fit(s, n ? (uint32_t)n : 1, WIRE_BATCH);
}

static bool dispatch_one(struct broker *b, struct pool *p, struct job *j, struct lane *l)
{
    struct range *r = LIST_ENTRY(list_first(&j->queue), struct range, node);
    struct attempt *a = brk_attempt_new(b, j, l->worker, l);
    int64_t bytes;

    if (!a)
        return false;
    run_cut(&r->run, chunk_size(b, j, p, &r->run), &a->run);
    do
        a->id = b->next_attempt++;
    while (!a->id || map_get(&b->attempts, a->id));
    map_put(&b->attempts, a->id, a);
    a->next = a->run.first;
    a->end = run_end(&a->run);
    if (r->run.count)
        r->at.first = r->run.first;
    else
        interval_take(&j->index, &r->at);
    brk_attempt_place(a, a->next, a->end);
    a->mean_ns = j->mean_ns;
    a->is_long = is_long(j);
    a->sent_at = b->now;
    bytes = (int64_t)run_bytes(&a->run);
    brk_attempt_bytes(a, bytes);
    if (a->is_long)
        l->n_long++;
    else
        l->short_ns += a->run.count * a->mean_ns;
    brk_tries_tell(b, j, &a->run, a->next, a->end);
    if (job_once(j)) {
        brk_attempt_move(a, ATTEMPT_ON_OFFER);
        a->attached = j->client->attached;
        list_push_back(&j->client->assigning, &a->out);
        brk_client_dirty(b, j->client);
    } else {
        list_push_back(&l->worker->to_send, &a->out);
        l->worker->message_bytes += (uint64_t)bytes;
        brk_worker_dirty(b, l->worker);
    }
    if (!r->run.count) {
        list_remove(&j->queue, &r->node);
        brk_range_free(b, j, r);
    }
    brk_job_pending(b, j, -(int64_t)a->run.count, 0, a->run.count, 0);
    return true;
}

/* The next job by turn that this lane has room for. Mute ones leave the list: the client has to open them again first. */
static struct job *next_job(struct broker *b, struct pool *p, struct lane *l, uint32_t *budget)
{
    /* Jobs that this lane has no room for come around again; who has many of those need not ask them all for each chunk. */
    size_t most = brk_pool_ready(p), tries = most < 16 ? most : 16;
    struct job *j;

    b->steps++;
    while (tries && *budget && (j = brk_job_of_turn(p, l->worker))) {
        list_remove(&j->need->ready, &j->ready);
        if ((j->client->peer && job_mute(j)) || j->state == JOB_ENDING) {
            b->steps++;
            --*budget;
            continue;               /* it is ready again when it is opened again; what ends is never */
        }
        tries--;
        brk_job_takes_turn(j);
        if ((job_once(j) && !j->client->peer) || job_cancels(j))
            continue;
        if (lane_room(b, l, j))
            return j;
    }
    p->passed = p->passed || !brk_pool_ready_at(p, l->worker);
    return NULL;
}

/* What workers gave back after the pool had failed. */
static void refuse_returned(struct broker *b, struct pool *p)
{
    uint32_t budget = TURN_STEPS;

    for (struct need *k = p->need; k < p->need + NEEDS_MAX; k++)
        for (LIST_EACH_SAFE(&k->ready, n, after))
            if (!brk_pool_refuse(b, p, LIST_ENTRY(n, struct job, ready), &budget)) {
                brk_pool_work(b, p);
                b->again = true;
                return;
            }
}

static void dispatch_pool(struct broker *b, struct pool *p)
{
    uint32_t budget = TURN_STEPS;       /* of jobs that are not open yet */
    struct list_node *n;

    if (p->state == POOL_FAILED && !p->ending) {
        refuse_returned(b, p);
        return;
    }
    if (pool_is_paused(p) || p->ending)
        return;
    while (brk_pool_ready(p) && (n = list_pop(&p->open))) {
        struct lane *l = LIST_ENTRY(n, struct lane, open);
        struct job *j = next_job(b, p, l, &budget);
        if (!j && budget)
            continue;
        list_push_back(&p->open, n);
        if (!j || !dispatch_one(b, p, j, l)) {
            brk_pool_work(b, p);
            b->again = true;
            return;
        }
        if (list_empty(&j->queue) && list_in(&j->ready))
            list_remove(&j->need->ready, &j->ready);
    }
}

static bool moves(const struct attempt *a, uint32_t needs) { return needs & 1u << (a->job->need - a->job->pool->need); }

/* How long the lane is busy with tasks of these needs (a bit each, as of brk_needs_at), which other lanes can run, too. */
static uint64_t backlog_ns(const struct lane *l, uint32_t needs)
{
    bool all = !(brk_needs_at(l->pool, l->worker) & ~needs);
    uint64_t sum = all ? l->short_ns : 0;

    if (!l->n_long && all)
        return l->slots ? sum / l->slots : sum;
    for (LIST_EACH(&l->live, n)) {
        const struct attempt *a = LIST_ENTRY(n, struct attempt, in_lane);
        uint64_t mean = a->job->mean_ns;
        if (!moves(a, needs))
            continue;
        if (a->is_long)
            sum += (a->end - a->next - 1) * (mean ? mean : BALANCE_NS);
        else if (!all)
            sum += (a->end - a->next) * a->mean_ns;
    }
    return l->slots ? sum / l->slots : sum;
}

/* Half of what this lane has not begun, and others can run, is asked back, from its end. */
static void recall_half(struct broker *b, struct lane *l, uint32_t needs)
{
    uint64_t left = 0;

    for (LIST_EACH(&l->live, n)) {
        const struct attempt *a = LIST_ENTRY(n, struct attempt, in_lane);
        left += moves(a, needs) ? a->end - a->next : 0;
    }
    left /= 2;
    for (struct list_node *n = l->live.head.prev, *before = n->prev; left && n != &l->live.head; n = before, before = n->prev) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, in_lane);
        uint64_t count = a->end - a->next;
        if (!moves(a, needs))
            continue;
        if (a->recalled || !attempt_is_sent(a))
            return;
        if (count > left)
            count = left;
        left -= count;
        brk_attempt_recall(b, a, a->end - count, WIRE_WHY_BALANCE);
    }
}

/* The queue has nothing for a lane with idle slots: the lane with the longest backlog gives some back. */
static void balance(struct broker *b, struct pool *p)
{
    struct lane *worst = NULL;
    uint64_t most = BALANCE_NS;
    uint32_t idle = 0;

    if (p->lanes.count < 2 && p->slots < 2)
        return;
    for (LIST_EACH(&p->lanes, n)) {
        const struct lane *l = LIST_ENTRY(n, struct lane, in_pool);
        if (l->n_recalled)
            return;                 /* what was asked back before comes first: else all would be asked for it again and again */
        if (lane_usable(l) > l->live.count && !l->failed && l->worker->state == WORKER_READY && !brk_pool_ready_at(p, l->worker))
            idle |= brk_needs_at(p, l->worker);
    }
    for (LIST_EACH(&p->lanes, n)) {
        struct lane *l = LIST_ENTRY(n, struct lane, in_pool);
        uint64_t wait = idle ? backlog_ns(l, idle) : 0;
        if (wait > most && l->worker->state == WORKER_READY) {
            most = wait;
            worst = l;
        }
    }
    if (worst)
        recall_half(b, worst, idle);
}

void brk_dispatch_run(struct broker *b)
{
    struct list_node *n;
    size_t turns = b->work.count;

    while (turns-- && (n = list_pop(&b->work)))
        dispatch_pool(b, LIST_ENTRY(n, struct pool, work));
    brk_tries_send(b);
    while ((n = list_pop(&b->thirsty))) {
        struct pool *p = LIST_ENTRY(n, struct pool, thirst);
        if (p->n_tasks && (!brk_pool_ready(p) || brk_pool_is_picky(p)) && b->now >= p->balanced_at) {
            p->balanced_at = b->now + BALANCE_NS / 8;
            balance(b, p);
        }
    }
}
