/* SPDX-License-Identifier: MPL-2.0
 * effect.c - what the core answers with: effects, and the memory and bytes that they point to until worker_effects_done.
 */
#include "model/model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One entry more in a growing array; NULL: out of memory. */
static void *grown(void *array, size_t n, size_t *capacity, size_t size)
{
    if (n < *capacity)
        return array;
    size_t more = *capacity ? *capacity * 2 : 64;
    void *p = realloc(array, more * size);

    if (p)
        *capacity = more;
    return p;
}

struct worker_effect *wrk_effect_add(struct worker *w, enum worker_effect_type type)
{
    struct worker_effect *e = &w->lost_effect;      /* lost without memory; then we start anew with the broker */
    void *p = grown(w->effects, w->n_effects, &w->cap_effects, sizeof(*w->effects));

    if (p) {
        w->effects = p;
        e = &w->effects[w->n_effects++];
    }
    memset(e, 0, sizeof(*e));
    e->type = type;
    return e;
}

void wrk_effect_keep(struct worker *w, struct slice s)
{
    void *p;

    if (!s.buf || !(p = grown(w->refs, w->n_refs, &w->cap_refs, sizeof(*w->refs))))
        return;
    w->refs = p;
    w->refs[w->n_refs++] = buf_ref(s.buf);
}

void *wrk_effect_alloc(struct worker *w, size_t size)
{
    void *p = grown(w->garbage, w->n_garbage, &w->cap_garbage, sizeof(*w->garbage));

    if (!p)
        return NULL;
    w->garbage = p;
    if ((p = calloc(1, size)))
        w->garbage[w->n_garbage++] = p;
    return p;
}

struct wire_str wrk_effect_str(struct worker *w, const char *text)
{
    size_t whole = strlen(text), n = whole < WIRE_TEXT_MAX ? whole : WIRE_TEXT_MAX;
    char *p = wrk_effect_alloc(w, n + 1);

    if (!p)
        return (struct wire_str){ "", 0 };
    memcpy(p, text, n);
    return (struct wire_str){ p, (uint32_t)n };
}

__attribute__((format(printf, 4, 0)))
static void worker_log(struct worker *w, unsigned whose, int level, const char *format, va_list args)
{
    char text[700];

    vsnprintf(text, sizeof(text), format, args);
    struct worker_effect *e = wrk_effect_add(w, WORKER_LOG);

    e->whose = whose;
    e->level = level;
    e->text = wrk_effect_str(w, text).p;
}

void wrk_effect_log(struct worker *w, int level, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    worker_log(w, 0, level, format, args);
    va_end(args);
}

void wrk_effect_log_of(struct worker *w, const uint8_t *owner, int level, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    worker_log(w, (unsigned)map_hash_bytes(owner, WIRE_KEY) | 1, level, format, args);
    va_end(args);
}
