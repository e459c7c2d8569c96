/* SPDX-License-Identifier: MPL-2.0
 * check.c - every invariant of state.h, checked by walking over everything. For tests; changes nothing.
 */
#include "state.h"

#include <stdio.h>

#define MUST(b, what, ...)                                                   \
    do {                                                                     \
        if (!(what)) {                                                       \
            snprintf((b)->check_text, sizeof((b)->check_text), __VA_ARGS__); \
            return false;                                                    \
        }                                                                    \
    } while (0)

static uint64_t sum_ranges(const struct list *l, uint64_t *bytes)
{
    uint64_t sum = 0;

    for (LIST_EACH(l, n)) {
        const struct span *s = &LIST_ENTRY(n, struct range, node)->s;
        sum += s->count;
        *bytes += span_bytes(s);
    }
    return sum;
}

static bool check_span(struct broker *b, const struct span *s)
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

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return x[0] < y[0] ? -1 : x[0] > y[0];
}

/* No task is in two places. */
static bool check_disjoint(struct broker *b, const struct job *j)
{
    size_t n = j->queue.count + j->held.count + j->live.count + j->outcomes.count, i = 0;
    uint64_t (*v)[2] = calloc(n + 1, sizeof(*v));
    const struct list *lists[] = { &j->queue, &j->held };
    bool fine = true;

    if (!v)
        return true;
    for (int k = 0; k < 2; k++)
        for (LIST_EACH(lists[k], m)) {
            const struct span *s = &LIST_ENTRY(m, struct range, node)->s;
            v[i][0] = s->first;
            v[i++][1] = s->first + s->count;
        }
    for (LIST_EACH(&j->live, m)) {
        const struct attempt *a = LIST_ENTRY(m, struct attempt, in_job);
        v[i][0] = a->next;
        v[i++][1] = a->end;
    }
    for (LIST_EACH(&j->outcomes, m)) {
        const struct outcome *o = LIST_ENTRY(m, struct outcome, node);
        v[i][0] = o->first;
        v[i++][1] = o->first + o->count;
    }
    assert(i == n);
    qsort(v, n, sizeof(*v), compare);
    for (i = 1; i < n && fine; i++)
        if (v[i][0] < v[i - 1][1]) {
            snprintf(b->check_text, sizeof(b->check_text), "task %llu is in two places", (unsigned long long)v[i][0]);
            fine = false;
        }
    free(v);
    return fine;
}

static bool check_attempt(struct broker *b, struct attempt *a, struct job *j)
{
    uint64_t pieces = 0;

    MUST(b, a->job == j && a->next < a->end, "a live attempt is empty or in the wrong job");
    MUST(b, map_get(&b->attempts, a->id) == a, "a live attempt is not in the map");
    MUST(b, a->worker && list_in(&a->in_worker), "a live attempt has no worker");
    MUST(b, a->state == ATTEMPT_LIVE || a->state == ATTEMPT_ASSIGNING, "a live attempt has state %d", a->state);
    MUST(b, !a->lane || (a->lane->worker == a->worker && a->lane->pool == j->pool && list_in(&a->in_lane)),
         "an attempt is in a foreign lane");
    MUST(b, a->s.first <= a->next && a->end <= a->s.first + a->s.count, "an attempt is outside of what was handed out");
    MUST(b, a->sent || a->state == ATTEMPT_ASSIGNING || list_in(&a->out), "a chunk is not on its way");
    sum_ranges(&a->pieces, &pieces);
    return true;
}

static bool check_job(struct broker *b, struct job *j)
{
    uint64_t bytes = 0, queued = sum_ranges(&j->queue, &bytes), held = sum_ranges(&j->held, &bytes), live = 0, seq = 0;
    bool unsent = false;

    for (LIST_EACH(&j->live, n)) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, in_job);
        live += a->end - a->next;
        bytes += a->bytes_left;
        if (!check_attempt(b, a, j))
            return false;
    }
    MUST(b, queued == j->n_queued && held == j->n_held && live == j->n_live,
         "sums of a job: queued %llu/%llu held %llu/%llu live %llu/%llu", (unsigned long long)queued,
         (unsigned long long)j->n_queued, (unsigned long long)held, (unsigned long long)j->n_held, (unsigned long long)live,
         (unsigned long long)j->n_live);
    MUST(b, bytes == j->n_bytes, "bytes of a job: %llu/%llu", (unsigned long long)bytes, (unsigned long long)j->n_bytes);
    for (LIST_EACH(&j->queue, n))
        if (!check_span(b, &LIST_ENTRY(n, struct range, node)->s))
            return false;
    for (LIST_EACH(&j->held, n))
        if (!check_span(b, &LIST_ENTRY(n, struct range, node)->s))
            return false;
    for (LIST_EACH(&j->outcomes, n)) {
        struct outcome *o = LIST_ENTRY(n, struct outcome, node);
        MUST(b, !seq || o->seq == seq + 1, "outcomes out of order");
        seq = o->seq;
        unsent = unsent || o == j->unsent;
    }
    MUST(b, !seq || seq == j->seq, "the last outcome has seq %llu of %llu", (unsigned long long)seq, (unsigned long long)j->seq);
    MUST(b, unsent == (j->unsent != NULL), "the unsent outcome is not in the list");
    MUST(b, list_in(&j->ready) == (j->pool && !list_empty(&j->queue)), "job in the list of ready ones: %d, queue %zu",
         list_in(&j->ready), j->queue.count);
    MUST(b, list_in(&j->holder) == !list_empty(&j->held), "job in the list of holders");
    MUST(b, list_in(&j->sending) == (j->client && j->unsent && !j->mute), "job in the list of senders");
    for (LIST_EACH(&j->finished, n)) {
        const struct attempt *a = LIST_ENTRY(n, struct attempt, in_job);
        MUST(b, a->state == ATTEMPT_FINISHED && a->unacked, "a finished attempt waits for nothing");
    }
    return check_disjoint(b, j);
}

static bool check_worker(struct broker *b, struct worker *w)
{
    uint64_t out = 0;
    uint32_t granted = 0;

    for (LIST_EACH(&w->attempts, n)) {
        const struct attempt *a = LIST_ENTRY(n, struct attempt, in_worker);
        MUST(b, a->worker == w, "an attempt is with another worker");
        out += a->state == ATTEMPT_FINISHED ? 0 : a->bytes_left;
    }
    MUST(b, out == w->out_bytes, "bytes at worker %s: %llu/%llu", w->name, (unsigned long long)out,
         (unsigned long long)w->out_bytes);
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
        MUST(b, !list_in(&l->open) || (l->pool && l->slots), "a lane without slots is open");
        granted += l->slots;
    }
    MUST(b, granted == w->granted && (granted <= w->slots), "worker %s: %u slots granted (%u), has %u", w->name, granted,
         w->granted, w->slots);
    MUST(b, w->state == WORKER_READY || !granted, "worker %s has grants in state %d", w->name, w->state);
    MUST(b, !!w->peer == (w->state != WORKER_SILENT), "worker %s: peer and state differ", w->name);
    return true;
}

static bool check_pool(struct broker *b, struct pool *p)
{
    uint64_t tasks = 0;
    uint32_t slots = 0;

    for (LIST_EACH(&p->lanes, n)) {
        MUST(b, LIST_ENTRY(n, struct lane, in_pool)->pool == p, "a lane is in a foreign pool");
        slots += LIST_ENTRY(n, struct lane, in_pool)->slots;
    }
    for (LIST_EACH(&p->jobs, n)) {
        const struct job *j = LIST_ENTRY(n, struct job, in_pool);
        tasks += j->n_queued + j->n_live;
    }
    MUST(b, slots == p->slots, "pool %s: slots %u/%u", p->name, slots, p->slots);
    MUST(b, tasks == p->n_tasks, "pool %s: tasks %llu/%llu", p->name, (unsigned long long)tasks, (unsigned long long)p->n_tasks);
    MUST(b, b->grants_dirty || p->wanted < 0 || p->slots <= (uint32_t)p->wanted || !p->n_tasks, "pool %s has %u slots, wanted %d",
         p->name, p->slots, p->wanted);
    return true;
}

static bool check_client(struct broker *b, struct client *c)
{
    uint64_t tasks = 0, bytes = 0, unacked = 0, sent = 0;

    for (LIST_EACH(&c->job_list, n)) {
        const struct job *j = LIST_ENTRY(n, struct job, in_client);
        bool before = true;
        MUST(b, map_get(&c->jobs, j->handle) == j, "a job is not in its client's map");
        tasks += job_tasks_pending(j);
        bytes += j->n_bytes;
        for (LIST_EACH(&j->outcomes, k)) {
            const struct outcome *o = LIST_ENTRY(k, struct outcome, node);
            before = before && o != j->unsent;
            unacked += outcome_cost(o);
            sent += before ? outcome_cost(o) : 0;
        }
    }
    MUST(b, tasks == c->n_tasks && bytes == c->n_bytes, "client %s: tasks %llu/%llu bytes %llu/%llu", c->name,
         (unsigned long long)tasks, (unsigned long long)c->n_tasks, (unsigned long long)bytes, (unsigned long long)c->n_bytes);
    MUST(b, unacked == c->unacked && sent == c->sent_unacked, "client %s: outcomes %llu/%llu sent %llu/%llu", c->name,
         (unsigned long long)unacked, (unsigned long long)c->unacked, (unsigned long long)sent,
         (unsigned long long)c->sent_unacked);
    return true;
}

static bool check_owner(struct broker *b, struct owner *o)
{
    uint64_t tasks = 0, bytes = 0;
    uint32_t detached = 0;

    for (LIST_EACH(&b->all_jobs, n)) {
        const struct job *j = LIST_ENTRY(n, struct job, in_all);
        tasks += j->owner == o ? job_tasks_pending(j) : 0;
        bytes += j->owner == o ? j->n_bytes : 0;
    }
    for (LIST_EACH(&b->clients, n)) {
        const struct client *c = LIST_ENTRY(n, struct client, node);
        MUST(b, c->detached == !c->peer, "client %s: peer and detached differ", c->name);
        detached += c->owner == o && c->detached;
    }
    MUST(b, tasks == o->n_tasks && bytes == o->n_bytes && detached == o->n_detached,
         "an owner: tasks %llu/%llu bytes %llu/%llu detached %u/%u", (unsigned long long)tasks, (unsigned long long)o->n_tasks,
         (unsigned long long)bytes, (unsigned long long)o->n_bytes, detached, o->n_detached);
    return true;
}

static bool check_all(struct broker *b)
{
    uint64_t queued = 0, running = 0, live = 0;

    for (LIST_EACH(&b->all_jobs, n)) {
        struct job *j = LIST_ENTRY(n, struct job, in_all);
        if (!check_job(b, j))
            return false;
        queued += j->n_queued + j->n_held;
        running += j->n_live;
        live += j->live.count;
    }
    MUST(b, queued == b->n.queued && running == b->n.running, "queued %llu/%llu running %llu/%llu", (unsigned long long)queued,
         (unsigned long long)b->n.queued, (unsigned long long)running, (unsigned long long)b->n.running);
    MUST(b, live == b->n_attempts, "live attempts %llu/%zu", (unsigned long long)live, b->n_attempts);
    MUST(b, b->ranges.n_free >= b->n_attempts && b->outcomes.n_free >= b->n_attempts, "attempts have no reserve");
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
    return true;
}

const char *broker_check(struct broker *b) { return check_all(b) ? NULL : b->check_text; }
