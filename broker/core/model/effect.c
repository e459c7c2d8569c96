/* SPDX-License-Identifier: MPL-2.0
 * effect.c - what is to happen, collected in two batches: one is filled while the shell performs the other.
 *
 * What an effect refers to (items, texts, bufs) lives in its batch until broker_effects_done. Never decides anything.
 */
#include "model.h"

#include <stdarg.h>
#include <stdio.h>

#define BLOCK_MIN 16384u

void *brk_effect_bytes(struct broker *b, size_t n)
{
    struct batch *t = b->building;
    struct block *k = t->blocks;

    n = (n + 15) & ~(size_t)15;
    if (!k || k->size - k->used < n) {
        size_t size = n > BLOCK_MIN ? n : BLOCK_MIN;
        if (!(k = brk_mem_new(b, sizeof(*k) + size)))
            return NULL;
        k->size = size;
        k->next = t->blocks;
        t->blocks = k;
    }
    k->used += n;
    return (uint8_t *)(k + 1) + k->used - n;
}

int brk_effect_reserve(struct broker *b, size_t n)
{
    struct batch *t = b->building;
    size_t want = t->n + n, holds = t->n_holds + 2 * n;

    if (want > t->capacity) {
        size_t capacity = want * 2;
        struct broker_effect *e = brk_mem_new(b, capacity * sizeof(*e));
        if (!e)
            return BFORK_ENOMEM;
        if (t->n)
            memcpy(e, t->effects, t->n * sizeof(*e));
        brk_mem_free(b, t->effects, t->capacity * sizeof(*e));
        t->effects = e;
        t->capacity = capacity;
    }
    if (holds > t->holds_capacity) {
        size_t capacity = holds * 2;
        struct buf **h = brk_mem_new(b, capacity * sizeof(*h));
        if (!h)
            return BFORK_ENOMEM;
        if (t->n_holds)
            memcpy(h, t->holds, t->n_holds * sizeof(*h));
        brk_mem_free(b, t->holds, t->holds_capacity * sizeof(*h));
        t->holds = h;
        t->holds_capacity = capacity;
    }
    return 0;
}

int brk_effect_hold(struct broker *b, struct buf *buf)
{
    struct batch *t = b->building;

    if (!buf)
        return 0;
    if (t->n_holds == t->holds_capacity && brk_effect_reserve(b, t->n_holds + 8) < 0)
        return BFORK_ENOMEM;
    t->holds[t->n_holds++] = buf_ref(buf);
    return 0;
}

struct broker_effect *brk_effect_new(struct broker *b, enum broker_effect_type type)
{
    struct batch *t = b->building;
    struct broker_effect *e;

    if (t->n == t->capacity && brk_effect_reserve(b, t->n + 8) < 0)
        return NULL;
    e = &t->effects[t->n++];
    memset(e, 0, offsetof(struct broker_effect, msg) + offsetof(struct wire_msg, u));
    e->msg.items = NULL;
    e->msg.n_items = 0;
    e->msg.body = slice_none();
    e->level = 0;
    e->text = NULL;
    e->type = type;
    return e;
}

struct wire_msg *brk_effect_send(struct broker *b, struct peer *p, enum wire_type type)
{
    struct broker_effect *e = brk_effect_new(b, BROKER_SEND);

    if (!e)
        return NULL;
    e->peer = p->id;
    e->msg.type = (uint8_t)type;
    e->msg.ack = p->told = p->consumed;
    return &e->msg;
}

struct wire_str brk_effect_text(struct broker *b, const char *format, va_list ap)
{
    char text[512];
    int n = vsnprintf(text, sizeof(text), format, ap);
    char *copy;

    if (n < 0)
        n = 0;
    if ((size_t)n >= sizeof(text))
        n = (int)sizeof(text) - 1;
    if (!(copy = brk_effect_bytes(b, (size_t)n + 1)))
        return (struct wire_str){ "", 0 };
    memcpy(copy, text, (size_t)n);
    copy[n] = 0;
    return (struct wire_str){ copy, (uint32_t)n };
}

static struct broker_effect *effect_log(struct broker *b, uint32_t whose, int level, const char *format, va_list ap)
{
    struct broker_effect *e = brk_effect_new(b, BROKER_LOG);

    if (!e)
        return NULL;
    e->whose = whose;
    e->most = 1;
    e->level = level;
    e->text = brk_effect_text(b, format, ap).p;
    return e;
}

void brk_effect_log_of(struct broker *b, const void *whose, size_t n, int level, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    effect_log(b, (uint32_t)map_hash_keyed(&b->hash, whose, n) | 1, level, format, ap);
    va_end(ap);
}

void brk_effect_log_session(struct broker *b, const uint8_t *key, int level, const char *format, ...)
{
    struct broker_effect *e;
    va_list ap;

    va_start(ap, format);
    e = effect_log(b, (uint32_t)(map_hash_keyed(&b->hash, key, WIRE_KEY) >> 32) | 1, level, format, ap);
    va_end(ap);
    if (e)
        e->most = SESSION_LINES;
}

void brk_effect_log_key(struct broker *b, const uint8_t *key, int level, const char *format, ...)
{
    uint8_t *copy = brk_effect_bytes(b, WIRE_KEY);
    struct broker_effect *e;
    va_list ap;

    va_start(ap, format);
    e = effect_log(b, (uint32_t)map_hash_keyed(&b->hash, key, WIRE_KEY) | 1, level, format, ap);
    va_end(ap);
    if (e && copy)
        e->key = memcpy(copy, key, WIRE_KEY);
}

void brk_effects_clear(struct broker *b, struct batch *t)
{
    for (size_t i = 0; i < t->n_holds; i++)
        buf_unref(&t->holds[i]);
    t->n_holds = 0;
    t->n = 0;
    while (t->blocks && t->blocks->next) {
        struct block *k = t->blocks;
        t->blocks = k->next;
        brk_mem_free(b, k, sizeof(*k) + k->size);
    }
    if (t->blocks && t->blocks->size > BLOCK_MIN) {
        brk_mem_free(b, t->blocks, sizeof(*t->blocks) + t->blocks->size);
        t->blocks = NULL;
    }
    if (t->blocks)
        t->blocks->used = 0;
}

void brk_effects_free(struct broker *b, struct batch *t)
{
    brk_effects_clear(b, t);
    if (t->blocks)
        brk_mem_free(b, t->blocks, sizeof(*t->blocks) + t->blocks->size);
    brk_mem_free(b, t->effects, t->capacity * sizeof(*t->effects));
    brk_mem_free(b, t->holds, t->holds_capacity * sizeof(*t->holds));
    memset(t, 0, sizeof(*t));
}
