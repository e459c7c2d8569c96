/* SPDX-License-Identifier: MPL-2.0
 * range.c - ranges of tasks that wait: taking them in (small bodies into slabs, neighbours merged), cutting, queueing, holding.
 *
 * Never looks into a body. Invariants: job.queue holds no empty range; sums of the job follow every move; a span holds references
 * of its own to both its slices.
 */
#include "state.h"

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

static uint64_t span_sum(const struct span *s, uint32_t n)
{
    uint64_t sum = 0;

    if (s->flags & WIRE_FIXED)
        return (uint64_t)n * s->size;
    for (uint32_t k = 0; k < n; k++)
        sum += get32(s->lens.data + 4 * (size_t)k);
    return sum;
}

static struct slice slice_take(struct slice *s, size_t n)
{
    struct slice head = slice_part(*s, 0, n);

    buf_ref(s->buf);
    s->data += n;
    s->size -= n;
    return head;
}

void span_cut(struct span *s, uint32_t n, struct span *ret_head)
{
    uint64_t bytes;

    assert(n && n <= s->count);
    *ret_head = *s;
    if (n == s->count) {
        s->first += n;
        s->count = 0;
        s->lens = s->body = slice_none();
        return;
    }
    bytes = span_sum(s, n);
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
}

void span_done(struct span *s)
{
    slice_unref(&s->lens);
    slice_unref(&s->body);
    s->count = 0;
}

uint32_t span_fit(const struct span *s, uint32_t n, uint64_t bytes)
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

struct range *range_of(struct broker *b, struct span *s)
{
    struct range *r = cache_get(b, &b->ranges);

    assert(r);
    r->s = *s;
    s->lens = s->body = slice_none();
    s->count = 0;
    return r;
}

void range_free(struct broker *b, struct range *r)
{
    span_done(&r->s);
    cache_put(&b->ranges, r);
}

/* n bytes of room at the end of the job's current slab, which grows by being replaced. NULL: no memory. */
static uint8_t *slab_room(struct broker *b, struct buf **slab, size_t *size, size_t n)
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
        if (!(s = slab_new(b, want)))
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
static bool merge(struct broker *b, struct job *j, struct range *t, const struct wire_item *it)
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
            if (s->count > 1 || !(lens = slab_room(b, &j->lens_slab, &j->lens_slab_size, 4 + 4 * (size_t)it->count)))
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

static int copy_slice(struct broker *b, struct slice from, struct buf **slab, size_t *size, struct slice *ret)
{
    *ret = slice_none();
    if (!from.size)
        return 0;
    if (from.size < SMALL_BODY) {
        uint8_t *to = slab_room(b, slab, size, from.size);
        if (!to)
            return BFORK_ENOMEM;
        memcpy(to, from.data, from.size);
        *ret = slice_ref((struct slice){ *slab, to, from.size });
    } else if (from.buf) {
        *ret = slice_ref(from);
    } else {
        struct buf *copy = bytes_copy(b, from.data, from.size);
        if (!copy)
            return BFORK_ENOMEM;
        *ret = slice_of(copy, 0, from.size);
    }
    return 0;
}

int range_make(struct broker *b, struct job *j, const struct wire_item *it, struct range **ret)
{
    struct range *r = cache_get(b, &b->ranges);
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
    if (copy_slice(b, it->body, &j->slab, &j->slab_size, &s->body) < 0 ||
        (!(s->flags & WIRE_FIXED) && copy_slice(b, it->lens, &j->lens_slab, &j->lens_slab_size, &s->lens) < 0)) {
        range_free(b, r);
        return BFORK_ENOMEM;
    }
    if (!(s->flags & WIRE_FIXED))
        s->size = (uint32_t)s->body.size;
    *ret = r;
    return 0;
}

int range_accept(struct broker *b, struct job *j, const struct wire_item *item, bool held, uint64_t due)
{
    struct list_node *last = held ? NULL : list_last(&j->queue);
    struct range *r = last ? LIST_ENTRY(last, struct range, node) : NULL;
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
    if (r && it.body.size < SMALL_BODY && merge(b, j, r, &it)) {
        job_pending(b, j, it.count, 0, 0, (int64_t)(span_bytes(&r->s) - before));
        return 0;
    }
    if (range_make(b, j, &it, &r) < 0)
        return BFORK_ENOMEM;
    if (held)
        range_hold(b, j, r, due);
    else
        range_queue(b, j, r, false);
    return 0;
}

void job_ready(struct broker *b, struct job *j)
{
    if (!j->pool || list_empty(&j->queue))
        return;
    if (!list_in(&j->ready))
        list_push_back(&j->pool->ready, &j->ready);
    pool_work(b, j->pool);
}

void range_queue(struct broker *b, struct job *j, struct range *r, bool front)
{
    assert(r->s.count);
    r->s.flags &= ~(WIRE_REPLAY | WIRE_MAYBE_STARTED);
    if (front)
        list_push_front(&j->queue, &r->node);
    else
        list_push_back(&j->queue, &r->node);
    job_pending(b, j, r->s.count, 0, 0, (int64_t)span_bytes(&r->s));
}

void range_hold(struct broker *b, struct job *j, struct range *r, uint64_t due)
{
    struct list_node *at = &j->held.head;

    r->due = due;
    while (at->prev != &j->held.head && LIST_ENTRY(at->prev, struct range, node)->due > due)
        at = at->prev;
    list_insert_before(&j->held, at, &r->node);
    if (!list_in(&j->holder))
        list_push_back(&b->holders, &j->holder);
    if (due < b->tick_at)
        b->tick_at = due;
    job_pending(b, j, 0, r->s.count, 0, (int64_t)span_bytes(&r->s));
}

void range_return(struct broker *b, struct job *j, struct range *r)
{
    uint64_t until;

    for (uint64_t at = r->s.first + r->s.count; r->s.count;) {
        uint64_t first = r->s.first, n;
        struct span head;
        bool cancelled = job_is_cancelled(j, first, &until);
        n = until < at ? until - first : r->s.count;
        if (cancelled)
            outcome_text(b, j, first, n, r->s.tries, BFORK_CANCELLED, NULL);
        if (n == r->s.count && !cancelled)
            break;
        if (!cancelled && !b->ranges.n_free)
            break;
        span_cut(&r->s, (uint32_t)n, &head);
        if (cancelled)
            span_done(&head);
        else
            range_queue(b, j, range_of(b, &head), true);
    }
    if (r->s.count)
        range_queue(b, j, r, true);
    else
        range_free(b, r);
}
