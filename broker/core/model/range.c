/* SPDX-License-Identifier: MPL-2.0
 * range.c - ranges of tasks that wait: taking them in (small bodies into slabs, neighbours merged), cutting, queueing, holding.
 *
 * Never looks into a body. Invariants: job.queue holds no empty range; index and sums of the job follow every move; a range's run
 * holds references of its own.
 */
#include "model.h"

#define LENS_A_STEP 16u             /* lengths of a cache line */

/* How a job keeps what waits: small bodies in slabs of its owner's account, others where they came. */
struct keeper { struct broker *b; struct account *account; };

static struct buf *keeper_slab(void *ctx, size_t capacity)
{
    const struct keeper *k = ctx;

    return brk_slab_new(k->account, capacity);
}

static int keeper_keep(void *ctx, struct slice from, struct slice *ret)
{
    const struct keeper *k = ctx;

    return brk_bytes_keep(k->b, k->account, from, ret);
}

static const struct run_memory memory = { .room = keeper_slab, .keep = keeper_keep, .least = 512, .most = SLAB_MAX,
                                          .small = SMALL_BODY };

struct range *brk_range_of(struct broker *b, struct job *j, struct run *s)
{
    struct range *r = brk_cache_get(b, &b->ranges, j->owner->account);

    assert(r);
    r->run = *s;
    s->lens = s->body = slice_none();
    s->count = 0;
    return r;
}

void brk_range_free(struct broker *b, struct job *j, struct range *r)
{
    run_done(&r->run);
    brk_cache_put(b, &b->ranges, r, j->owner->account);
}

static void range_place(struct job *j, struct range *r, enum place where)
{
    r->at.first = r->run.first;
    r->at.end = run_end(&r->run);
    r->at.kind = where;
    interval_put(&j->index, &r->at);
}

int brk_range_make(struct broker *b, struct job *j, const struct wire_item *it, struct range **ret)
{
    struct keeper k = { b, j->owner->account };
    struct range *r = brk_cache_get(b, &b->ranges, k.account);
    struct run view = run_of_item(it);

    if (!r)
        return BFORK_ENOMEM;
    r->run = (struct run){ .first = it->first };
    if (run_keep(&memory, &k, &j->arena, &view, &r->run) < 0) {
        brk_range_free(b, j, r);
        return BFORK_ENOMEM;
    }
    *ret = r;
    return 0;
}

static struct range *queued_last(const struct job *j)
{
    struct list_node *last = list_last(&j->queue);

    return last ? LIST_ENTRY(last, struct range, node) : NULL;
}

/* What is held as long, in front of this task. */
static struct range *held_before(const struct job *j, uint64_t first, uint64_t due)
{
    struct interval *v = first ? interval_at(&j->index, first - 1) : NULL;
    struct range *r = v && v->end == first && v->kind == PLACE_HELD ? INTERVAL_ENTRY(v, struct range, at) : NULL;

    return r && r->time.first == due ? r : NULL;
}

int brk_range_accept(struct broker *b, struct job *j, const struct wire_item *item, bool held, uint64_t due)
{
    struct range *r = held ? held_before(j, item->first, due) : queued_last(j);
    struct keeper k = { b, j->owner->account };
    struct wire_item it = *item;
    struct run view;
    uint64_t before;

    if (!held)
        it.flags &= ~(WIRE_REPLAY | WIRE_MAYBE_STARTED);
    view = run_of_item(&it);
    before = r ? run_bytes(&r->run) : 0;
    if (r && run_append(&memory, &k, &j->arena, &r->run, &view)) {
        r->at.end += it.count;
        brk_job_pending(b, j, held ? 0 : it.count, held ? it.count : 0, 0, (int64_t)(run_bytes(&r->run) - before));
        return 0;
    }
    if (brk_range_make(b, j, &it, &r) < 0)
        return BFORK_ENOMEM;
    if (held)
        brk_range_hold(b, j, r, due);
    else
        brk_range_queue(b, j, r, false);
    return 0;
}

void brk_range_queue(struct broker *b, struct job *j, struct range *r, bool front)
{
    assert(r->run.count);
    r->run.flags &= ~(WIRE_REPLAY | WIRE_MAYBE_STARTED);
    if (front)
        list_push_front(&j->queue, &r->node);
    else
        list_push_back(&j->queue, &r->node);
    range_place(j, r, PLACE_QUEUED);
    brk_job_pending(b, j, r->run.count, 0, 0, (int64_t)run_bytes(&r->run));
}

void brk_range_hold(struct broker *b, struct job *j, struct range *r, uint64_t due)
{
    r->time = (struct interval){ .first = due };
    interval_put_time(&j->held, &r->time);
    range_place(j, r, PLACE_HELD);
    if (!list_in(&j->holder))
        list_push_back(&b->holders, &j->holder);
    if (due < b->tick_at)
        b->tick_at = due;
    brk_job_pending(b, j, 0, r->run.count, 0, (int64_t)run_bytes(&r->run));
}

void brk_range_out(struct broker *b, struct job *j, struct range *r)
{
    bool held = r->at.kind == PLACE_HELD;
    int64_t n = r->run.count;

    interval_take(&j->index, &r->at);
    if (held)
        interval_take(&j->held, &r->time);
    else
        list_remove(&j->queue, &r->node);
    r->node = (struct list_node){ NULL, NULL };
    if (list_empty(&j->queue) && list_in(&j->ready))
        list_remove(&j->need->ready, &j->ready);
    if (!j->held.count && list_in(&j->holder))
        list_remove(&b->holders, &j->holder);
    brk_job_pending(b, j, held ? 0 : -n, held ? -n : 0, 0, -(int64_t)run_bytes(&r->run));
}

struct range *brk_range_split(struct broker *b, struct job *j, struct range *r, uint32_t n)
{
    struct run head;
    struct range *before;

    assert(n && n < r->run.count);
    b->steps += run_cut(&r->run, n, &head) / LENS_A_STEP;
    r->at.first = r->run.first;
    before = brk_range_of(b, j, &head);
    range_place(j, before, r->at.kind);
    if (r->at.kind == PLACE_HELD) {
        before->time = (struct interval){ .first = r->time.first };
        interval_put_time(&j->held, &before->time);
    } else {
        list_insert_before(&j->queue, &r->node, &before->node);
    }
    return before;
}
