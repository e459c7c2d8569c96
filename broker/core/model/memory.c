/* SPDX-License-Identifier: MPL-2.0
 * memory.c - all memory of the core: counted as a whole and for each key that has it, with free lists for what comes and goes with
 * every message, and slabs for small bodies.
 *
 * What is held on behalf of a peer is charged to the account of its key in the size of its allocation: objects (by whoever makes
 * them), bytes (bufs: for as long as anybody refers to them), and bytes of outcomes that were sent and of which copies may lie in a
 * socket. Charging never fails: the doors by which things come in look at the account first (account.c). Never frees a slab that a
 * slice still refers to: slabs are bufs, and the accounts they are counted in outlive the broker.
 */
#include "model.h"

#define OVERHEAD 16u                /* of the allocator, for each allocation */
#define SPARE 16384u                /* objects that a free list may have besides what is used and reserved */

struct loan { struct account *account; struct buf *of; };

struct account *brk_account_new(struct account *above)
{
    struct account *a = calloc(1, sizeof(*a));

    if (!a)
        return NULL;
    atomic_init(&a->refs, 1);
    a->above = brk_account_ref(above);
    return a;
}

struct account *brk_account_ref(struct account *a)
{
    if (a)
        atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
    return a;
}

void brk_account_unref(struct account *a)
{
    while (a && atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) == 1) {
        struct account *above = a->above;
        free(a);
        a = above;
    }
}

uint64_t brk_account_cost(size_t size) { return size + OVERHEAD; }

void brk_account_charge(struct account *a, size_t size) { a->objects += brk_account_cost(size); }

void brk_account_release(struct account *a, size_t size)
{
    assert(a->objects >= brk_account_cost(size));
    a->objects -= brk_account_cost(size);
}

/* Bytes of bufs; they may go in another thread. */
static void bytes_add(struct account *a, uint64_t n)
{
    for (; a; a = a->above)
        atomic_fetch_add_explicit(&a->bytes, n, memory_order_relaxed);
}

static void bytes_sub(struct account *a, uint64_t n)
{
    for (; a; a = a->above)
        atomic_fetch_sub_explicit(&a->bytes, n, memory_order_relaxed);
}

void *brk_mem_new(struct broker *b, size_t size)
{
    void *p = calloc(1, size);

    if (p)
        bytes_add(b->account, size + OVERHEAD);
    return p;
}

void brk_mem_free(struct broker *b, void *p, size_t size)
{
    if (!p)
        return;
    bytes_sub(b->account, size + OVERHEAD);
    free(p);
}

void *brk_mem_new_for(struct broker *b, struct account *a, size_t size)
{
    void *p = brk_mem_new(b, size);

    if (p)
        brk_account_charge(a, size);
    return p;
}

void brk_mem_free_for(struct broker *b, struct account *a, void *p, size_t size)
{
    if (!p)
        return;
    brk_account_release(a, size);
    brk_mem_free(b, p, size);
}

void *brk_cache_get(struct broker *b, struct cache *c, struct account *a)
{
    void *p = c->free;

    if (p) {
        memcpy(&c->free, p, sizeof(c->free));
        c->n_free--;
        memset(p, 0, c->size);
    } else if (!(p = brk_mem_new(b, c->size))) {
        return NULL;
    }
    c->n_used++;
    brk_account_charge(a, c->size);
    return p;
}

static void cache_keep(struct cache *c, void *p)
{
    memcpy(p, &c->free, sizeof(c->free));
    c->free = p;
    c->n_free++;
}

/* A free list keeps no more than is likely to be wanted again: nobody's account has it. */
void brk_cache_put(struct broker *b, struct cache *c, void *p, struct account *a)
{
    brk_account_release(a, c->size);
    c->n_used--;
    if (c->n_free > c->n_used + c->n_reserved + SPARE)
        brk_mem_free(b, p, c->size);
    else
        cache_keep(c, p);
}

static int reserve_cached(struct broker *b, struct cache *c, size_t n)
{
    c->n_reserved = n;              /* so that what is freed from now on is kept up to that */
    while (c->n_free < n) {
        void *p = brk_mem_new(b, c->size);
        if (!p)
            return BFORK_ENOMEM;
        cache_keep(c, p);
    }
    return 0;
}

void brk_cache_free(struct broker *b, struct cache *c)
{
    while (c->free) {
        void *p = c->free;
        memcpy(&c->free, p, sizeof(c->free));
        brk_mem_free(b, p, c->size);
    }
    c->n_free = 0;
}

int brk_reserve(struct broker *b, size_t ranges, size_t outcomes)
{
    if (reserve_cached(b, &b->ranges, reserve_ranges(b) + ranges) < 0)
        return BFORK_ENOMEM;
    return reserve_cached(b, &b->outcomes, reserve_outcomes(b) + outcomes);
}

uint64_t brk_buf_cost(const struct buf *s) { return s->capacity + sizeof(*s) + 2 * OVERHEAD; }

static void slab_release(struct buf *s)
{
    struct account *a = s->owner;

    bytes_sub(a, brk_buf_cost(s));
    free(s->data);
    buf_free_struct(s);
    brk_account_unref(a);
}

struct buf *brk_slab_new(struct account *a, size_t capacity)
{
    uint8_t *data = malloc(capacity ? capacity : 1);
    struct buf *s = data ? buf_wrap(data, 0, slab_release, brk_account_ref(a)) : NULL;

    if (!s) {
        if (data)
            brk_account_unref(a);
        free(data);
        return NULL;
    }
    s->capacity = capacity;
    bytes_add(a, brk_buf_cost(s));
    return s;
}

struct buf *brk_bytes_copy(struct account *a, const void *p, size_t n)
{
    struct buf *s = brk_slab_new(a, n);

    if (s && n)
        memcpy(s->data, p, n);
    if (s)
        s->size = n;
    return s;
}

static void loan_release(struct buf *s)
{
    struct loan *l = s->owner;

    bytes_sub(l->account, brk_buf_cost(s));
    brk_account_unref(l->account);
    buf_unref(&l->of);
    free(l);
    buf_free_struct(s);
}

struct account *brk_buf_account(struct buf *s)
{
    if (s->release == loan_release)
        return ((struct loan *)s->owner)->account;
    return s->release == slab_release ? s->owner : NULL;
}

/* A buf around one that was not made here, which counts as long as this one is referred to. */
static struct buf *loan_new(struct account *a, struct buf *of)
{
    struct loan *l = malloc(sizeof(*l));
    struct buf *s = l ? buf_wrap(of->data, of->size, loan_release, l) : NULL;

    if (!s) {
        free(l);
        return NULL;
    }
    s->capacity = of->capacity > of->size ? of->capacity : of->size;
    *l = (struct loan){ brk_account_ref(a), buf_ref(of) };
    bytes_add(a, brk_buf_cost(s));
    return s;
}

struct buf *brk_bytes_charge(struct account *a, struct buf *of)
{
    struct buf *s = of ? loan_new(a, of) : NULL;

    buf_unref(&of);
    return s;
}

/* A frame counts in full for whom a part of it is kept, so of a large one only large parts are referred to. */
static bool worth(const struct slice *s)
{
    return s->buf && (s->buf->size <= FRAME_KEPT || s->size >= s->buf->size / 16);
}

int brk_bytes_keep(struct broker *b, struct account *a, struct slice from, struct slice *ret)
{
    struct buf *s;

    *ret = slice_none();
    if (!from.size)
        return 0;
    if (!worth(&from)) {
        if (!(s = brk_bytes_copy(a, from.data, from.size)))
            return BFORK_ENOMEM;
        *ret = slice_of(s, 0, from.size);
        return 0;
    }
    if (!b->loan || b->lent != from.buf || b->borrower != a) {
        if (!(s = loan_new(a, from.buf)))
            return BFORK_ENOMEM;
        brk_loan_forget(b);
        b->loan = s;
        b->lent = from.buf;
        b->borrower = a;
    }
    *ret = (struct slice){ buf_ref(b->loan), from.data, from.size };
    return 0;
}

void brk_loan_forget(struct broker *b)
{
    buf_unref(&b->loan);
    b->lent = NULL;
    b->borrower = NULL;
}
