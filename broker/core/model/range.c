/* SPDX-License-Identifier: MPL-2.0
 * range.c - ranges of tasks that wait: taking them in (small bodies into slabs, neighbours merged), cutting, queueing, holding.
 *
 * Never looks into a body. Invariants: job.queue holds no empty range; index and sums of the job follow every move; a span holds
 * references of its own to both its slices.
 */
#include "model.h"

#define LENS_A_STEP 16u             /* lengths of a cache line */

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
}

static uint64_t lens_sum(const struct span *s, uint32_t from, uint32_t to)
{
    uint64_t sum = 0;

    for (uint32_t k = from; k < to; k++)
        sum += get32(s->lens.data + 4 * (size_t)k);
    return sum;
}

/* Bytes of the first n. Only the shorter side is looked at: however a span is cut up, each task is looked at O(log n) times. */
static uint64_t span_sum(const struct span *s, uint32_t n, uint32_t *ret_looked)
{
    bool front = n <= s->count / 2;

    *ret_looked = 0;
    if (s->flags & WIRE_FIXED)
        return (uint64_t)n * s->size;
    *ret_looked = front ? n : s->count - n;
    return front ? lens_sum(s, 0, n) : s->body.size - lens_sum(s, n, s->count);
}

static struct slice slice_take(struct slice *s, size_t n)
{
    struct slice head = slice_part(*s, 0, n);

    buf_ref(s->buf);
    s->data += n;
    s->size -= n;
    return head;
}

uint32_t brk_span_cut(struct span *s, uint32_t n, struct span *ret_head)
{
    uint32_t looked;
    uint64_t bytes;

    assert(n && n <= s->count);
    *ret_head = *s;
    if (n == s->count) {
        s->first += n;
        s->count = 0;
        s->lens = s->body = slice_none();
        return 0;
    }
    bytes = span_sum(s, n, &looked);
    assert(bytes <= s->body.size);
    ret_head->count = n;
    ret_head->body = slice_take(&s->body, bytes);
    if (!(s->flags & WIRE_FIXED))
        ret_head->lens = slice_take(&s->lens, 4 * (size_t)n);
    s->first += n;
    s->count -= n;
    if (!(s->flags & WIRE_FIXED)) {
        s->size = (uint32_t)s->body.size;
        ret_head->size = (uint32_t)bytes;
    }
    return looked / LENS_A_STEP;
}

void brk_span_done(struct span *s)
{
    slice_unref(&s->lens);
    slice_unref(&s->body);
    s->count = 0;
}

uint32_t brk_span_fit(const struct span *s, uint32_t n, uint64_t bytes)
{
    uint64_t sum = 0;
    uint32_t k;

    if (n > s->count)
        n = s->count;
    if (s->flags & WIRE_FIXED) {
        if (s->size && bytes / s->size < n)
            n = (uint32_t)(bytes / s->size);
        return n ? n : 1;
    }
    if (s->body.size + s->lens.size <= bytes)
        return n;
    for (k = 0; k < n; k++) {
        sum += get32(s->lens.data + 4 * (size_t)k) + 4u;
        if (sum > bytes)
            break;
    }
    return k ? k : 1;
}

struct range *brk_range_of(struct broker *b, struct job *j, struct span *s)
{
    struct range *r = brk_cache_get(b, &b->ranges, j->owner->account);

    assert(r);
    r->s = *s;
    s->lens = s->body = slice_none();
    s->count = 0;
    return r;
}

void brk_range_free(struct broker *b, struct job *j, struct range *r)
{
    brk_span_done(&r->s);
    brk_cache_put(b, &b->ranges, r, j->owner->account);
}

static void range_place(struct job *j, struct range *r, enum place where)
{
    r->at.first = r->s.first;
    r->at.end = r->s.first + r->s.count;
    r->at.kind = where;
    interval_put(&j->index, &r->at);
}

/* n bytes of room at the end of the job's current slab, which grows by being replaced. NULL: no memory. */
static uint8_t *room_in_slab(struct account *a, struct buf **slab, size_t *size, size_t n)
{
    struct buf *s = *slab;

    if (s && s->capacity - s->size < n && s->capacity >= n && atomic_load_explicit(&s->refs, memory_order_acquire) == 1)
        s->size = 0;
    if (!s || s->capacity - s->size < n) {
        size_t want = *size ? *size * 2 : 512;
        if (want > SLAB_MAX)
            want = SLAB_MAX;
        if (want < n)
            want = n;
        if (!(s = brk_slab_new(a, want)))
            return NULL;
        buf_unref(slab);
        *slab = s;
        *size = want;
    }
    s->size += n;
    return s->data + s->size - n;
}

static bool at_end(struct buf *slab, struct slice s, size_t room)
{
    return slab && s.buf == slab && s.data + s.size == slab->data + slab->size && slab->capacity - slab->size >= room;
}

static void lens_write(uint8_t *to, const struct wire_item *it)
{
    if (it->flags & WIRE_FIXED)
        for (uint32_t k = 0; k < it->count; k++)
            put32(to + 4 * (size_t)k, it->size);
    else
        memcpy(to, it->lens.data, 4 * (size_t)it->count);
}

/* Neighbours of the same kind become one range if their bytes lie side by side in the slab. */
static bool merge_range(struct job *j, struct range *t, const struct wire_item *it)
{
    struct span *s = &t->s;
    bool fixed = s->flags & WIRE_FIXED && it->flags & WIRE_FIXED && s->size == it->size;
    size_t n = it->body.size;
    uint8_t *lens;

    if (s->first + s->count != it->first || s->tries != it->tries || s->crashes != it->crashes || s->fails ||
        (s->flags ^ it->flags) & ~WIRE_FIXED || s->count > UINT32_MAX / 8 || (s->body.size && !at_end(j->slab, s->body, n)))
        return false;
    if (!s->body.size && n)
        return false;
    if (!fixed) {
        if (s->flags & WIRE_FIXED) {
            size_t room = 4 + 4 * (size_t)it->count;
            if (s->count > 1 || !(lens = room_in_slab(j->owner->account, &j->lens_slab, &j->lens_slab_size, room)))
                return false;
            put32(lens, s->size);
            s->lens = slice_ref((struct slice){ j->lens_slab, lens, 4 });
            s->flags &= ~WIRE_FIXED;
            lens += 4;
        } else {
            if (!at_end(j->lens_slab, s->lens, 4 * (size_t)it->count))
                return false;
            lens = j->lens_slab->data + j->lens_slab->size;
            j->lens_slab->size += 4 * (size_t)it->count;
        }
        lens_write(lens, it);
        s->lens.size += 4 * (size_t)it->count;
    }
    if (n) {
        memcpy(j->slab->data + j->slab->size, it->body.data, n);
        j->slab->size += n;
        s->body.size += n;
    }
    s->count += it->count;
    if (!(s->flags & WIRE_FIXED))
        s->size = (uint32_t)s->body.size;
    return true;
}

static int copy_slice(struct broker *b, struct account *a, struct slice from, struct buf **slab, size_t *size, struct slice *ret)
{
    *ret = slice_none();
    if (!from.size)
        return 0;
    if (from.size < SMALL_BODY) {
        uint8_t *to = room_in_slab(a, slab, size, from.size);
        if (!to)
            return BFORK_ENOMEM;
        memcpy(to, from.data, from.size);
        *ret = slice_ref((struct slice){ *slab, to, from.size });
    } else {
        return brk_bytes_keep(b, a, from, ret);
    }
    return 0;
}

int brk_range_make(struct broker *b, struct job *j, const struct wire_item *it, struct range **ret)
{
    struct account *a = j->owner->account;
    struct range *r = brk_cache_get(b, &b->ranges, a);
    struct span *s;

    if (!r)
        return BFORK_ENOMEM;
    s = &r->s;
    *s = (struct span){
        .first = it->first, .count = it->count, .flags = it->flags, .size = it->size, .tries = it->tries, .crashes = it->crashes
    };
    if (it->count == 1 && !(it->flags & WIRE_FIXED)) {
        s->flags |= WIRE_FIXED;
        s->size = (uint32_t)it->body.size;
    }
    if (copy_slice(b, a, it->body, &j->slab, &j->slab_size, &s->body) < 0 ||
        (!(s->flags & WIRE_FIXED) && copy_slice(b, a, it->lens, &j->lens_slab, &j->lens_slab_size, &s->lens) < 0)) {
        brk_range_free(b, j, r);
        return BFORK_ENOMEM;
    }
    if (!(s->flags & WIRE_FIXED))
        s->size = (uint32_t)s->body.size;
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
    struct wire_item it = *item;
    uint64_t before;

    if (it.count == 1 && !(it.flags & WIRE_FIXED)) {
        it.flags |= WIRE_FIXED;
        it.size = (uint32_t)it.body.size;
        it.lens = slice_none();
    }
    if (!held)
        it.flags &= ~(WIRE_REPLAY | WIRE_MAYBE_STARTED);
    before = r ? span_bytes(&r->s) : 0;
    if (r && it.body.size < SMALL_BODY && merge_range(j, r, &it)) {
        r->at.end += it.count;
        brk_job_pending(b, j, held ? 0 : it.count, held ? it.count : 0, 0, (int64_t)(span_bytes(&r->s) - before));
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
    assert(r->s.count);
    r->s.flags &= ~(WIRE_REPLAY | WIRE_MAYBE_STARTED);
    if (front)
        list_push_front(&j->queue, &r->node);
    else
        list_push_back(&j->queue, &r->node);
    range_place(j, r, PLACE_QUEUED);
    brk_job_pending(b, j, r->s.count, 0, 0, (int64_t)span_bytes(&r->s));
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
    brk_job_pending(b, j, 0, r->s.count, 0, (int64_t)span_bytes(&r->s));
}

void brk_range_out(struct broker *b, struct job *j, struct range *r)
{
    bool held = r->at.kind == PLACE_HELD;
    int64_t n = r->s.count;

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
    brk_job_pending(b, j, held ? 0 : -n, held ? -n : 0, 0, -(int64_t)span_bytes(&r->s));
}

struct range *brk_range_split(struct broker *b, struct job *j, struct range *r, uint32_t n)
{
    struct span head;
    struct range *before;

    assert(n && n < r->s.count);
    b->steps += brk_span_cut(&r->s, n, &head);
    r->at.first = r->s.first;
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
