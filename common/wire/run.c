/* SPDX-License-Identifier: MPL-2.0
 * run.c - consecutive tasks with their bytes: cutting, fitting, appending, references. Never looks into a body.
 */
#include "wire/run.h"

#include "base/err.h"
#include "wire/cursor.h"

#include <assert.h>
#include <string.h>

static bool is_fixed(const struct run *r) { return r->flags & WIRE_FIXED; }

uint32_t run_len(const struct run *r, uint32_t k)
{
    return is_fixed(r) ? r->size : le32_at(r->lens.data + 4 * (size_t)k);
}

/* Bytes of n tasks from the one `from` on. */
static uint64_t sum_lens(const struct run *r, uint32_t from, uint32_t n)
{
    uint64_t sum = 0;

    if (is_fixed(r))
        return (uint64_t)n * r->size;
    for (const uint8_t *p = r->lens.data + 4 * (size_t)from, *end = p + 4 * (size_t)n; p < end; p += 4)
        sum += le32_at(p);
    return sum;
}

/* Bytes of the first n, by a look at the shorter side; *ret_looked: at so many lengths. */
static uint64_t sum_first(const struct run *r, uint32_t n, uint32_t *ret_looked)
{
    bool front = n <= r->count / 2;

    *ret_looked = is_fixed(r) ? 0 : front ? n : r->count - n;
    return front || is_fixed(r) ? sum_lens(r, 0, n) : r->body.size - sum_lens(r, n, r->count - n);
}

struct run run_of_item(const struct wire_item *i)
{
    struct run r = { .first = i->first, .count = i->count, .size = i->size, .flags = (uint16_t)i->flags,
                     .tries = i->tries, .crashes = i->crashes, .lens = i->lens, .body = i->body };

    if (is_fixed(&r))
        return r;
    r.size = (uint32_t)i->body.size;
    if (r.count == 1) {
        r.flags |= WIRE_FIXED;
        r.lens = slice_none();
    }
    return r;
}

void run_to_item(const struct run *r, struct wire_item *i)
{
    i->first = r->first;
    i->count = r->count;
    i->size = r->size;
    i->flags = r->flags;
    i->tries = r->tries;
    i->crashes = r->crashes;
    i->lens = r->lens;
    i->body = r->body;
}

/* Without the first n, which have so many bytes; references stay as they are. */
static void drop_front(struct run *r, uint32_t n, uint64_t bytes)
{
    r->first += n;
    r->count -= n;
    r->body = slice_part(r->body, bytes, r->body.size - bytes);
    if (!is_fixed(r)) {
        r->lens = slice_part(r->lens, 4 * (size_t)n, r->lens.size - 4 * (size_t)n);
        r->size = (uint32_t)r->body.size;
    }
}

/* Only the first n, which have so many bytes; references stay as they are. */
static void drop_behind(struct run *r, uint32_t n, uint64_t bytes)
{
    r->count = n;
    r->body.size = bytes;
    if (!is_fixed(r)) {
        r->lens.size = 4 * (size_t)n;
        r->size = (uint32_t)bytes;
    }
}

struct run run_part(const struct run *r, uint32_t from, uint32_t n)
{
    struct run part = *r;
    uint32_t looked;

    assert(from <= r->count && n <= r->count - from);
    drop_front(&part, from, sum_first(r, from, &looked));
    drop_behind(&part, n, sum_first(&part, n, &looked));
    return part;
}

void run_ref(struct run *r)
{
    buf_ref(r->lens.buf);
    buf_ref(r->body.buf);
}

void run_done(struct run *r)
{
    slice_unref(&r->lens);
    slice_unref(&r->body);
    r->count = 0;
}

uint32_t run_cut(struct run *r, uint32_t n, struct run *ret_head)
{
    uint32_t looked;
    uint64_t bytes;

    assert(n && n <= r->count);
    *ret_head = *r;
    if (n == r->count) {                        /* the references move along */
        r->first += n;
        r->count = 0;
        r->lens = r->body = slice_none();
        return 0;
    }
    bytes = sum_first(r, n, &looked);
    assert(bytes <= r->body.size);
    run_ref(ret_head);
    drop_behind(ret_head, n, bytes);
    drop_front(r, n, bytes);
    return looked;
}

void run_skip(struct run *r, uint32_t n)
{
    uint32_t looked;

    assert(n <= r->count);
    drop_front(r, n, sum_first(r, n, &looked));
    if (!r->count)
        run_done(r);
}

void run_trim(struct run *r, uint32_t n)
{
    uint32_t looked;

    assert(n <= r->count);
    drop_behind(r, n, sum_first(r, n, &looked));
    if (!n)
        run_done(r);
}

uint32_t run_fit(const struct run *r, uint32_t n, uint64_t bytes)
{
    uint64_t sum = 0;
    uint32_t k;

    if (n > r->count)
        n = r->count;
    if (is_fixed(r)) {
        if (r->size && bytes / r->size < n)
            n = (uint32_t)(bytes / r->size);
        return n ? n : 1;
    }
    if (run_bytes(r) <= bytes)
        return n;
    for (k = 0; k < n; k++) {
        sum += run_len(r, k) + 4u;
        if (sum > bytes)
            break;
    }
    return k ? k : 1;
}

void run_seek(const struct run *r, struct run_cursor *c, uint32_t k)
{
    assert(k <= r->count);
    if (k >= c->k)
        c->at += sum_lens(r, c->k, k - c->k);
    else
        c->at -= sum_lens(r, k, c->k - k);
    c->k = k;
}

struct run run_from(const struct run *r, const struct run_cursor *c, uint32_t n)
{
    struct run part = *r;

    assert(n <= r->count - c->k);
    drop_front(&part, c->k, c->at);
    if (n < part.count)
        drop_behind(&part, n, sum_lens(&part, 0, n));
    return part;
}

/* ---- the arena -------------------------------------------------------------------------------------------------------------- */

/* n bytes at the end of the slab, which is replaced when it is full, or begun anew when nobody refers to it. NULL: no memory. */
static uint8_t *slab_room(const struct run_memory *m, void *ctx, struct run_slab *s, size_t n)
{
    struct buf *b = s->buf;

    if (b && b->capacity - b->size < n && b->capacity >= n && atomic_load_explicit(&b->refs, memory_order_acquire) == 1)
        b->size = 0;
    if (!b || b->capacity - b->size < n) {
        size_t want = s->capacity ? s->capacity * 2 : m->least;

        if (want > m->most)
            want = m->most;
        if (want < n)
            want = n;
        if (!(b = m->room(ctx, want)))
            return NULL;
        buf_unref(&s->buf);
        s->buf = b;
        s->capacity = want;
    }
    b->size += n;
    return b->data + b->size - n;
}

static int keep_slice(const struct run_memory *m, void *ctx, struct run_slab *s, struct slice from, struct slice *ret)
{
    uint8_t *to;

    *ret = slice_none();
    if (!from.size)
        return 0;
    if (from.size >= m->small || (from.buf && m->shares))
        return m->keep(ctx, from, ret);
    if (!(to = slab_room(m, ctx, s, from.size)))
        return BASE_ENOMEM;
    memcpy(to, from.data, from.size);
    *ret = slice_ref((struct slice){ s->buf, to, from.size });
    return 0;
}

int run_keep(const struct run_memory *m, void *ctx, struct run_arena *a, const struct run *view, struct run *ret)
{
    struct run r = *view;

    if (keep_slice(m, ctx, &a->body, view->body, &r.body) < 0)
        return BASE_ENOMEM;
    if (keep_slice(m, ctx, &a->lens, view->lens, &r.lens) < 0) {
        slice_unref(&r.body);
        return BASE_ENOMEM;
    }
    *ret = r;
    return 0;
}

/* Does this end where the slab ends, with room for so much behind it? */
static bool ends_slab(const struct run_slab *s, struct slice last, size_t more)
{
    return s->buf && last.buf == s->buf && last.data + last.size == s->buf->data + s->buf->size &&
           s->buf->capacity - s->buf->size >= more;
}

/* Lengths of the view behind those of t, which is given some if it had none. */
static bool append_lens(const struct run_memory *m, void *ctx, struct run_arena *a, struct run *t, const struct run *view)
{
    size_t n = 4 * (size_t)view->count;
    uint8_t *to;

    if (is_fixed(t)) {
        if (t->count > 1 || !(to = slab_room(m, ctx, &a->lens, 4 + n)))
            return false;
        le32_put(to, t->size);
        t->lens = slice_ref((struct slice){ a->lens.buf, to, 4 });
        t->flags &= (uint16_t)~WIRE_FIXED;
        to += 4;
    } else {
        if (!ends_slab(&a->lens, t->lens, n))
            return false;
        to = a->lens.buf->data + a->lens.buf->size;
        a->lens.buf->size += n;
    }
    if (is_fixed(view))
        for (uint32_t k = 0; k < view->count; k++)
            le32_put(to + 4 * (size_t)k, view->size);
    else
        memcpy(to, view->lens.data, n);
    t->lens.size += n;
    return true;
}

bool run_append(const struct run_memory *m, void *ctx, struct run_arena *a, struct run *t, const struct run *view)
{
    bool fixed = is_fixed(t) && is_fixed(view) && t->size == view->size;
    size_t n = view->body.size;

    if (run_end(t) != view->first || t->tries != view->tries || t->crashes != view->crashes || t->fails != view->fails ||
        (t->flags ^ view->flags) & ~WIRE_FIXED || t->count > UINT32_MAX / 8 || n >= m->small ||
        (m->shares && (view->body.buf || view->lens.buf)))
        return false;
    if (t->body.size ? !ends_slab(&a->body, t->body, n) : n != 0)
        return false;
    if (!fixed && !append_lens(m, ctx, a, t, view))
        return false;
    if (n) {
        memcpy(a->body.buf->data + a->body.buf->size, view->body.data, n);
        a->body.buf->size += n;
        t->body.size += n;
    }
    t->count += view->count;
    if (!is_fixed(t))
        t->size = (uint32_t)t->body.size;
    return true;
}

void run_arena_done(struct run_arena *a)
{
    buf_unref(&a->lens.buf);
    buf_unref(&a->body.buf);
}
