/* SPDX-License-Identifier: MPL-2.0
 * check.c - every invariant of state.h, checked by walking over everything. For tests; changes nothing.
 */
#include "core.h"

#include <stdio.h>

#define MUST(b, what, ...)                                                   \
    do {                                                                     \
        if (!(what)) {                                                       \
            snprintf((b)->check_text, sizeof((b)->check_text), __VA_ARGS__); \
            return false;                                                    \
        }                                                                    \
    } while (0)

static bool counted(const struct list *l)
{
    size_t count = 0;

    for (LIST_EACH(l, n))
        count++;
    return count == l->count;
}

static uint64_t sum_ranges(const struct list *l, uint64_t *bytes)
{
    uint64_t sum = 0;

    for (LIST_EACH(l, n)) {
        const struct run *s = &LIST_ENTRY(n, struct range, node)->run;
        sum += s->count;
        *bytes += run_bytes(s);
    }
    return sum;
}

static uint64_t sum_held(const struct job *j, uint64_t *bytes)
{
    uint64_t sum = 0;

    for (HELD_EACH(j, v)) {
        sum += HELD_RANGE(v)->run.count;
        *bytes += run_bytes(&HELD_RANGE(v)->run);
    }
    return sum;
}

static bool check_run(struct broker *b, const struct run *s)
{
    uint64_t sum = 0;

    MUST(b, s->count, "a range is empty");
    if (s->flags & WIRE_FIXED) {
        MUST(b, s->body.size == (uint64_t)s->count * s->size && !s->lens.size, "a fixed range of %u x %u has %zu bytes", s->count,
             s->size, s->body.size);
        return true;
    }
    MUST(b, s->lens.size == 4 * (size_t)s->count, "a range of %u tasks has %zu bytes of lengths", s->count, s->lens.size);
    for (uint32_t k = 0; k < s->count; k++)
        sum += wire_len_at(&(struct wire_item){ .lens = s->lens }, k);
    MUST(b, sum == s->body.size, "lengths sum to %llu, the body has %zu", (unsigned long long)sum, s->body.size);
    return true;
}

static bool stands(const struct interval *v, const struct job *j, uint64_t first, uint64_t end, enum place kind)
{
    return interval_in(v) && v->first == first && v->end == end && v->kind == (uint32_t)kind && interval_at(&j->index, first) == v;
}

/* The index has every place of the job, and nothing else; no task is in two. */
static bool check_index(struct broker *b, const struct job *j)
{
    size_t n = j->queue.count + j->held.count + j->live.count + j->outcomes.count;
    uint64_t last = 0, due = 0;

    MUST(b, n == j->index.count, "a job has %zu places, its index %zu", n, j->index.count);
    for (const struct interval *v = interval_first(&j->index); v; v = interval_next(v)) {
        MUST(b, v->first >= last && v->first < v->end, "task %llu is in two places", (unsigned long long)v->first);
        MUST(b, !v->up || v->up->rank >= v->rank, "the index is not in order");
        last = v->end;
    }
    for (LIST_EACH(&j->queue, m)) {
        const struct range *r = LIST_ENTRY(m, struct range, node);
        MUST(b, stands(&r->at, j, r->run.first, run_end(&r->run), PLACE_QUEUED), "a queued range is not where the index says");
    }
    for (HELD_EACH(j, v)) {
        const struct range *r = HELD_RANGE(v);
        MUST(b, stands(&r->at, j, r->run.first, run_end(&r->run), PLACE_HELD), "a held range is not where the index says");
        MUST(b, v->first >= due, "held ranges are not by time");
        due = v->first;
    }
    for (const struct interval *v = interval_first(&j->lost); v; v = interval_next(v)) {
        MUST(b, v->first >= j->next && v->first < v->end, "counts are kept of tasks that have come");
        for (const struct interval *p = interval_at(&j->index, v->first); p && p->first < v->end; p = interval_next(p))
            MUST(b, p->kind != PLACE_LIVE, "counts are kept of tasks that an attempt answers for");
    }
    for (LIST_EACH(&j->live, m)) {
        const struct attempt *a = LIST_ENTRY(m, struct attempt, in_job);
        MUST(b, stands(&a->at, j, a->next, a->end, PLACE_LIVE), "an attempt is not where the index says");
    }
    for (LIST_EACH(&j->outcomes, m)) {
        const struct outcome *o = LIST_ENTRY(m, struct outcome, node);
        MUST(b, stands(&o->at, j, o->run.first, run_end(&o->run), PLACE_OUTCOME), "an outcome is not where the index says");
    }
    return true;
}

/* Pieces of an adopted attempt: by index, disjoint, inside of what was handed out. */
static bool check_pieces(struct broker *b, const struct attempt *a)
{
    uint64_t last = a->run.first;

    for (LIST_EACH(&a->pieces, n)) {
        const struct run *s = &LIST_ENTRY(n, struct range, node)->run;
        MUST(b, a->adopted && s->first >= last && s->first + s->count <= a->end, "a piece of an attempt is out of order");
        last = s->first + s->count;
    }
    return true;
}

/* What is asked of its worker will be answered. */
static bool check_asks(struct broker *b, const struct attempt *a)
{
    for (LIST_EACH(&a->asks, n)) {
        const struct ask *q = LIST_ENTRY(n, struct ask, in_attempt);
        MUST(b, q->attempt == a && q->cancel->job == a->job && q->cancel->only_queued, "an ask at a foreign attempt");
        MUST(b, q->first >= a->ask_first && q->first < q->end, "an ask for what is not asked for");
    }
    MUST(b, list_empty(&a->asks) || (attempt_is_sent(a) && a->ask_first < a->end), "asks at an attempt that has nothing for them");
    MUST(b, list_empty(&a->asks) || a->ask_due || a->ask_open, "asks that nobody answers");
    MUST(b, !a->ask_due || list_in(&a->out) || !a->worker->peer || a->worker->state == WORKER_JOINING, "a worker is not asked");
    return true;
}

static bool check_attempt_of(struct broker *b, struct attempt *a, struct job *j)
{
    MUST(b, a->job == j && a->next < a->end, "a live attempt is empty or in the wrong job");
    MUST(b, map_get(&b->attempts, a->id) == a, "a live attempt is not in the map");
    MUST(b, a->worker && list_in(&a->in_worker), "a live attempt has no worker");
    MUST(b, attempt_is_live(a), "a live attempt has state %d", a->state);
    MUST(b, !a->lane || (a->lane->worker == a->worker && a->lane->pool == j->pool && list_in(&a->in_lane)),
         "an attempt is in a foreign lane");
    MUST(b, a->run.first <= a->next && a->end <= run_end(&a->run), "an attempt is outside of what was handed out");
    MUST(b, attempt_is_sent(a) || a->state == ATTEMPT_ASSIGNING || list_in(&a->out), "a chunk is not on its way");
    return check_pieces(b, a) && check_asks(b, a);
}

static bool check_job(struct broker *b, struct job *j)
{
    uint64_t bytes = 0, queued = sum_ranges(&j->queue, &bytes), held = sum_held(j, &bytes), live = 0, seq = 0;
    bool unsent = false;

    for (LIST_EACH(&j->live, n)) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, in_job);
        live += a->end - a->next;
        bytes += a->bytes_left;
        if (!check_attempt_of(b, a, j))
            return false;
    }
    MUST(b, queued == j->n_queued && held == j->n_held && live == j->n_live,
         "sums of a job: queued %llu/%llu held %llu/%llu live %llu/%llu", (unsigned long long)queued,
         (unsigned long long)j->n_queued, (unsigned long long)held, (unsigned long long)j->n_held, (unsigned long long)live,
         (unsigned long long)j->n_live);
    MUST(b, bytes == j->n_bytes, "bytes of a job: %llu/%llu", (unsigned long long)bytes, (unsigned long long)j->n_bytes);
    for (LIST_EACH(&j->queue, n))
        if (!check_run(b, &LIST_ENTRY(n, struct range, node)->run))
            return false;
    for (HELD_EACH(j, v))
        if (!check_run(b, &HELD_RANGE(v)->run))
            return false;
    for (LIST_EACH(&j->outcomes, n)) {
        struct outcome *o = LIST_ENTRY(n, struct outcome, node);
        MUST(b, !seq || o->seq == seq + 1, "outcomes out of order");
        seq = o->seq;
        unsent = unsent || o == j->unsent;
    }
    MUST(b, !seq || seq == j->seq, "the last outcome has seq %llu of %llu", (unsigned long long)seq, (unsigned long long)j->seq);
    MUST(b, unsent == (j->unsent != NULL), "the unsent outcome is not in the list");
    MUST(b, list_in(&j->ready) == (j->pool && !list_empty(&j->queue)) || job_mute(j),
         "job in the list of ready ones: %d, queue %zu", list_in(&j->ready), j->queue.count);
    MUST(b, list_in(&j->holder) == (j->held.count > 0), "job in the list of holders");
    MUST(b, !job_cancels(j) || job_is_ending(j) || list_in(&j->cancel.node) || list_in(&j->stopped), "cancels that do not go on");
    MUST(b, job_is_ending(j) || job_mute(j) ||
         list_in(&j->sending) == (j->client && j->unsent && !j->resend && list_empty(&j->said)),
         "job in the list of senders");
    for (LIST_EACH(&j->finished, n)) {
        const struct attempt *a = LIST_ENTRY(n, struct attempt, in_job);
        MUST(b, a->state == ATTEMPT_FINISHED && a->unacked, "a finished attempt waits for nothing");
    }
    return check_index(b, j);
}

/* What waits behind HOLDING outlives the frame that it came in. */
static bool check_behind(struct broker *b, const struct worker *w)
{
    for (LIST_EACH(&w->behind, n)) {
        const struct wire_msg *m = &LIST_ENTRY(n, struct behind, node)->m;
        MUST(b, !m->body.data && (m->type != WIRE_OUTPUT || !m->u.output.host.p), "a head that waits at worker %s has pointers",
             w->name);
        for (uint32_t i = 0; i < m->n_items; i++)
            MUST(b, (m->items[i].lens.buf || !m->items[i].lens.data) && (m->items[i].body.buf || !m->items[i].body.data),
                 "a record that waits at worker %s is in no buf", w->name);
    }
    return true;
}

static bool check_shelves(struct broker *b, const struct worker *w)
{
    for (LIST_EACH(&w->shelves, n)) {
        const struct shelf *s = LIST_ENTRY(n, struct shelf, in_worker);
        uint64_t pools = 0, jobs = 0;
        for (LIST_EACH(&s->lanes, k))
            pools += LIST_ENTRY(k, struct lane, shelved)->size;
        for (LIST_EACH(&s->used, k))
            jobs += LIST_ENTRY(k, struct known, shelved)->live ? LIST_ENTRY(k, struct known, shelved)->size : 0;
        for (LIST_EACH(&s->idle, k))
            jobs += LIST_ENTRY(k, struct known, shelved)->live ? 0 : LIST_ENTRY(k, struct known, shelved)->size;
        if (pools == s->pool_bytes && jobs == s->job_bytes && (!s->full || s->used.count + s->idle.count))
            continue;
        snprintf(b->check_text, sizeof(b->check_text), "specifications at worker %s: pools %llu/%llu jobs %llu/%llu", w->name,
                 (unsigned long long)pools, (unsigned long long)s->pool_bytes, (unsigned long long)jobs,
                 (unsigned long long)s->job_bytes);
        return false;
    }
    return true;
}

static bool check_worker(struct broker *b, struct worker *w)
{
    uint64_t out = 0, sent = 0;
    uint32_t granted = 0;

    for (LIST_EACH(&w->attempts, n)) {
        const struct attempt *a = LIST_ENTRY(n, struct attempt, in_worker);
        MUST(b, a->worker == w, "an attempt is with another worker");
        MUST(b, a->state != ATTEMPT_FINISHED, "a finished attempt is among those of worker %s that are not", w->name);
        out += a->bytes_left;
        sent += attempt_is_sent(a) ? a->end - a->next : 0;
    }
    MUST(b, out == w->out_bytes, "bytes at worker %s: %llu/%llu", w->name, (unsigned long long)out,
         (unsigned long long)w->out_bytes);
    MUST(b, sent == w->n_sent, "tasks at worker %s: %llu/%llu", w->name, (unsigned long long)sent, (unsigned long long)w->n_sent);
    for (LIST_EACH(&w->lanes, n)) {
        const struct lane *l = LIST_ENTRY(n, struct lane, in_worker);
        uint64_t bytes = 0, short_ns = 0;
        uint32_t longs = 0, recalled = 0;
        for (LIST_EACH(&l->live, k)) {
            const struct attempt *a = LIST_ENTRY(k, struct attempt, in_lane);
            bytes += a->bytes_left;
            longs += a->is_long;
            recalled += a->recalled;
            short_ns += a->is_long ? 0 : (a->end - a->next) * a->mean_ns;
        }
        MUST(b, bytes == l->out_bytes && short_ns == l->short_ns && longs == l->n_long && recalled == l->n_recalled,
             "sums of a lane at %s: bytes %llu/%llu long %u/%u recalled %u/%u", w->name, (unsigned long long)bytes,
             (unsigned long long)l->out_bytes, longs, l->n_long, recalled, l->n_recalled);
        MUST(b, l->yields <= l->slots, "a lane yields %u of %u slots", l->yields, l->slots);
        MUST(b, !list_in(&l->open) || (l->pool && lane_usable(l)), "a lane without slots is open");
        granted += l->slots;
    }
    MUST(b, granted == w->granted && (granted <= w->slots), "worker %s: %u slots granted (%u), has %u", w->name, granted,
         w->granted, w->slots);
    MUST(b, w->state == WORKER_READY || !granted, "worker %s has grants in state %d", w->name, w->state);
    MUST(b, !!w->peer == (w->state != WORKER_SILENT), "worker %s: peer and state differ", w->name);
    return check_behind(b, w) && check_shelves(b, w);
}

static bool check_need(struct broker *b, const struct pool *p, const struct need *k)
{
    uint64_t tasks = 0, due = 0;
    size_t jobs = 0, ready = 0;

    for (LIST_EACH(&p->jobs, n)) {
        const struct job *j = LIST_ENTRY(n, struct job, in_pool);
        if (j->need != k)
            continue;
        MUST(b, !((p->needs | j->spec.needs) & ~k->features), "a job of pool %s needs more than it is counted for", p->name);
        jobs++;
        ready += list_in(&j->ready);
        tasks += j->n_queued + j->n_live;
        due += p->client->peer && job_mute(j) ? 0 : j->n_queued + j->n_live;
    }
    MUST(b, jobs == k->n_jobs && ready == k->ready.count && tasks == k->n_tasks && due == brk_need_due(p, k),
         "pool %s: jobs of one need %zu/%zu ready %zu/%zu tasks %llu/%llu due %llu/%llu", p->name, jobs, k->n_jobs, ready,
         k->ready.count, (unsigned long long)tasks, (unsigned long long)k->n_tasks, (unsigned long long)due,
         (unsigned long long)brk_need_due(p, k));
    return true;
}

static bool check_pool(struct broker *b, struct pool *p)
{
    uint64_t tasks = 0, all = 0, bytes = 0;
    uint32_t slots = 0, yields = 0;

    for (LIST_EACH(&p->lanes, n)) {
        MUST(b, LIST_ENTRY(n, struct lane, in_pool)->pool == p, "a lane is in a foreign pool");
        slots += LIST_ENTRY(n, struct lane, in_pool)->slots;
        yields += LIST_ENTRY(n, struct lane, in_pool)->yields;
    }
    for (LIST_EACH(&p->jobs, n)) {
        const struct job *j = LIST_ENTRY(n, struct job, in_pool);
        tasks += j->n_queued + j->n_live;
        all += j->state == JOB_ENDING ? 0 : job_tasks_pending(j);
        bytes += j->state == JOB_ENDING ? 0 : j->n_bytes;
    }
    MUST(b, all == p->all_tasks && bytes == p->all_bytes, "pool %s: all tasks %llu/%llu", p->name, (unsigned long long)all,
         (unsigned long long)p->all_tasks);
    MUST(b, slots == p->slots && yields == p->yields, "pool %s: slots %u/%u yields %u/%u", p->name, slots, p->slots, yields,
         p->yields);
    MUST(b, tasks == p->n_tasks, "pool %s: tasks %llu/%llu", p->name, (unsigned long long)tasks, (unsigned long long)p->n_tasks);
    for (const struct need *k = p->need; k < p->need + NEEDS_MAX; k++)
        if (!check_need(b, p, k))
            return false;
    MUST(b, list_in(&p->active) || (!tasks && !slots), "pool %s is not among the active ones", p->name);
    MUST(b, !p->is_later || (list_in(&p->active) && !slots), "pool %s waits to be looked at, and has slots", p->name);
    MUST(b, list_in(&p->doubtful) == (p->state != POOL_OPEN), "pool %s is in doubt, or not", p->name);
    MUST(b, b->grants_dirty || p->wanted < 0 || p->slots - p->yields <= (uint32_t)p->wanted || !p->n_tasks,
         "pool %s has %u slots, wanted %d", p->name, p->slots, p->wanted);
    return true;
}

static bool check_client(struct broker *b, struct client *c)
{
    uint64_t tasks = 0, bytes = 0, unacked = 0, sent = 0, cost;

    for (LIST_EACH(&c->job_list, n)) {
        const struct job *j = LIST_ENTRY(n, struct job, in_client);
        bool before = true;
        bool leaving = j->state == JOB_ENDING || j->pool->ending;
        MUST(b, leaving || map_get(&c->jobs, j->handle) == j, "a job is not in its client's map");
        tasks += leaving ? 0 : job_tasks_pending(j);
        bytes += leaving ? 0 : j->n_bytes;
        cost = 0;
        for (LIST_EACH(&j->outcomes, k)) {
            const struct outcome *o = LIST_ENTRY(k, struct outcome, node);
            before = before && o != j->unsent;
            unacked += outcome_cost(o);
            cost += outcome_cost(o);
            sent += before ? outcome_cost(o) : 0;
        }
        MUST(b, cost == j->cost, "outcomes of a job cost %llu/%llu", (unsigned long long)cost, (unsigned long long)j->cost);
    }
    MUST(b, tasks == c->n_tasks && bytes == c->n_bytes, "client %s: tasks %llu/%llu bytes %llu/%llu", c->name,
         (unsigned long long)tasks, (unsigned long long)c->n_tasks, (unsigned long long)bytes, (unsigned long long)c->n_bytes);
    MUST(b, c->peer || c->state == CLIENT_ENDING || interval_in(&c->timer), "client %s is gone, and no tick looks at it", c->name);
    MUST(b, unacked == c->unacked && sent == c->sent_unacked, "client %s: outcomes %llu/%llu sent %llu/%llu", c->name,
         (unsigned long long)unacked, (unsigned long long)c->unacked, (unsigned long long)sent,
         (unsigned long long)c->sent_unacked);
    return true;
}

static bool check_owner(struct broker *b, struct owner *o)
{
    uint64_t tasks = 0, bytes = 0, leaving = 0, leaving_bytes = 0, queued = 0, running = 0;
    uint32_t detached = 0;

    for (LIST_EACH(&o->jobs, n)) {
        const struct job *j = LIST_ENTRY(n, struct job, in_owner);
        MUST(b, j->owner == o, "a job is another owner's");
        MUST(b, j->client || j->state == JOB_ENDING || interval_in(&j->parked), "a job is parked, and no tick looks at it");
        queued += j->n_queued + j->n_held;
        running += j->n_live;
    }
    MUST(b, queued == o->queued && running == o->running, "an owner: queued %llu/%llu running %llu/%llu",
         (unsigned long long)queued, (unsigned long long)o->queued, (unsigned long long)running, (unsigned long long)o->running);
    for (LIST_EACH(&b->all_jobs, n)) {
        const struct job *j = LIST_ENTRY(n, struct job, in_all);
        uint64_t count = j->owner == o ? job_tasks_pending(j) : 0, size = j->owner == o ? j->n_bytes : 0;
        *(job_is_ending(j) ? &leaving : &tasks) += count;
        *(job_is_ending(j) ? &leaving_bytes : &bytes) += size;
    }
    for (LIST_EACH(&b->clients, n)) {
        const struct client *c = LIST_ENTRY(n, struct client, node);
        MUST(b, c->state == CLIENT_ENDING || client_is_gone(c) == !c->peer, "client %s: peer and detached differ", c->name);
        detached += c->owner == o && client_is_gone(c);
    }
    MUST(b, leaving == o->leaving_tasks && leaving_bytes == o->leaving_bytes, "an owner: leaving %llu/%llu",
         (unsigned long long)leaving, (unsigned long long)o->leaving_tasks);
    MUST(b, list_in(&o->busy) == !list_empty(&o->chores), "an owner's chores are not known");
    MUST(b, counted(&o->active) && counted(&o->later) && o->n_fresh <= o->later.count && o->n_vain <= o->later.count,
         "an owner's active pools are not counted");
    MUST(b, counted(&o->chores) && counted(&o->waiting), "a chore was taken from the list that it is not in");
    MUST(b, tasks == o->n_tasks && bytes == o->n_bytes && detached == o->n_detached,
         "an owner: tasks %llu/%llu bytes %llu/%llu detached %u/%u", (unsigned long long)tasks, (unsigned long long)o->n_tasks,
         (unsigned long long)bytes, (unsigned long long)o->n_bytes, detached, o->n_detached);
    return true;
}

static bool check_numbers(struct broker *b)
{
    for (LIST_EACH(&b->all_jobs, n)) {
        struct job *j = LIST_ENTRY(n, struct job, in_all);
        MUST(b, j->number && map_get(&b->numbers, j->number) == j, "number %u is not its job's", j->number);
    }
    for (LIST_EACH(&b->pools, n)) {
        struct pool *p = LIST_ENTRY(n, struct pool, node);
        MUST(b, p->number && map_get(&b->numbers, p->number) == p, "number %u is not pool %s's", p->number, p->name);
    }
    MUST(b, b->numbers.count == b->all_jobs.count + b->pools.count, "%zu numbers are in use by %zu", b->numbers.count,
         b->all_jobs.count + b->pools.count);
    return true;
}

static bool check_whole_broker(struct broker *b)
{
    uint64_t queued = 0, running = 0, live = 0, pieces = 0, cancels = 0;

    for (LIST_EACH(&b->all_jobs, n)) {
        struct job *j = LIST_ENTRY(n, struct job, in_all);
        if (!check_job(b, j))
            return false;
        queued += j->n_queued + j->n_held;
        running += j->n_live;
        live += j->live.count;
        for (LIST_EACH(&j->live, k)) {
            pieces += LIST_ENTRY(k, struct attempt, in_job)->pieces.count;
            cancels += LIST_ENTRY(k, struct attempt, in_job)->cancels.count + LIST_ENTRY(k, struct attempt, in_job)->asks.count;
        }
    }
    MUST(b, queued == b->n.queued && running == b->n.running, "queued %llu/%llu running %llu/%llu", (unsigned long long)queued,
         (unsigned long long)b->n.queued, (unsigned long long)running, (unsigned long long)b->n.running);
    MUST(b, live == b->n_attempts, "live attempts %llu/%zu", (unsigned long long)live, b->n_attempts);
    MUST(b, pieces == b->n_pieces && cancels == b->n_cancels, "pieces %llu/%zu cancels %llu/%zu", (unsigned long long)pieces,
         b->n_pieces, (unsigned long long)cancels, b->n_cancels);
    MUST(b, b->ranges.n_free >= reserve_ranges(b) && b->outcomes.n_free >= reserve_outcomes(b), "attempts have no reserve");
    for (LIST_EACH(&b->workers, n))
        if (!check_worker(b, LIST_ENTRY(n, struct worker, node)))
            return false;
    for (LIST_EACH(&b->pools, n))
        if (!check_pool(b, LIST_ENTRY(n, struct pool, node)))
            return false;
    for (LIST_EACH(&b->clients, n))
        if (!check_client(b, LIST_ENTRY(n, struct client, node)))
            return false;
    for (LIST_EACH(&b->owners, n))
        if (!check_owner(b, LIST_ENTRY(n, struct owner, node)))
            return false;
    return check_numbers(b) && brk_recount_accounts(b);
}

const char *broker_check(struct broker *b) { return check_whole_broker(b) ? NULL : b->check_text; }
