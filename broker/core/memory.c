/* SPDX-License-Identifier: MPL-2.0
 * memory.c - all memory of the core: counted, with free lists for what comes and goes with every message, and slabs for small
 * bodies.
 *
 * Never frees a slab that a slice still refers to: slabs are bufs, and the account they are counted in outlives the broker.
 */
#include "state.h"

#define OVERHEAD 16u                /* of the allocator, for each allocation */

static void account_add(struct account *a, uint64_t n) { atomic_fetch_add_explicit(&a->bytes, n, memory_order_relaxed); }
static void account_sub(struct account *a, uint64_t n) { atomic_fetch_sub_explicit(&a->bytes, n, memory_order_relaxed); }

void account_unref(struct account *a)
{
    if (a && atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) == 1)
        free(a);
}

void *mem_new(struct broker *b, size_t size)
{
    void *p = calloc(1, size);

    if (p)
        account_add(b->account, size + OVERHEAD);
    return p;
}

void mem_free(struct broker *b, void *p, size_t size)
{
    if (!p)
        return;
    account_sub(b->account, size + OVERHEAD);
    free(p);
}

void *cache_get(struct broker *b, struct cache *c)
{
    void *p = c->free;

    if (p) {
        memcpy(&c->free, p, sizeof(c->free));
        c->n_free--;
        memset(p, 0, c->size);
    } else if (!(p = mem_new(b, c->size))) {
        return NULL;
    }
    c->n_used++;
    return p;
}

void cache_put(struct cache *c, void *p)
{
    memcpy(p, &c->free, sizeof(c->free));
    c->free = p;
    c->n_free++;
    c->n_used--;
}

int cache_reserve(struct broker *b, struct cache *c, size_t n)
{
    while (c->n_free < n) {
        void *p = mem_new(b, c->size);
        if (!p)
            return BFORK_ENOMEM;
        c->n_used++;
        cache_put(c, p);
    }
    return 0;
}

void cache_free(struct broker *b, struct cache *c)
{
    while (c->free) {
        void *p = c->free;
        memcpy(&c->free, p, sizeof(c->free));
        mem_free(b, p, c->size);
    }
    c->n_free = 0;
}

int reserve(struct broker *b, size_t ranges, size_t outcomes)
{
    if (cache_reserve(b, &b->ranges, b->n_attempts + ranges) < 0)
        return BFORK_ENOMEM;
    return cache_reserve(b, &b->outcomes, b->n_attempts + outcomes);
}

static void slab_release(struct buf *s)
{
    struct account *a = s->owner;

    account_sub(a, s->capacity + sizeof(*s) + 2 * OVERHEAD);
    free(s->data);
    buf_free_struct(s);
    account_unref(a);
}

struct buf *slab_new(struct broker *b, size_t capacity)
{
    uint8_t *data = malloc(capacity ? capacity : 1);
    struct buf *s = data ? buf_wrap(data, 0, slab_release, b->account) : NULL;

    if (!s) {
        free(data);
        return NULL;
    }
    s->capacity = capacity;
    atomic_fetch_add_explicit(&b->account->refs, 1, memory_order_relaxed);
    account_add(b->account, capacity + sizeof(*s) + 2 * OVERHEAD);
    return s;
}

struct buf *bytes_copy(struct broker *b, const void *p, size_t n)
{
    struct buf *s = slab_new(b, n);

    if (s && n)
        memcpy(s->data, p, n);
    if (s)
        s->size = n;
    return s;
}
