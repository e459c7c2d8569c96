/* SPDX-License-Identifier: MPL-2.0
 * job.c - jobs as the caller sees them: submits of one function with the same options are one job; so is a map. Which futures wait
 * for which index.
 */
#include "work.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JOBS_OPEN 64                /* submit jobs kept open in a pool; the least recently used one is closed then */

static const bfork_options defaults;

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* argv is an argument of each task, not part of the function: all commands of a pool are one job. */
static bool same_function(const bfork_function *a, const bfork_function *b)
{
    return a->fn == b->fn && !a->argv == !b->argv && same_text(a->object, b->object) && same_text(a->symbol, b->symbol);
}

static bool same_options(const bfork_options *a, const bfork_options *b)
{
    return a->retries == b->retries && a->run_limit_ms == b->run_limit_ms && a->seed == b->seed && a->chunk == b->chunk &&
           a->context.size == b->context.size && same_text(a->name, b->name) &&
           (a->context.size == 0 || memcmp(a->context.data, b->context.data, a->context.size) == 0);
}

int bfs_job_spec(struct bfork_session *s, const struct job_shape *shape, struct wire_job_spec *ret,
                 const struct known_function **ret_fn)
{
    const bfork_options *o = shape->options ? shape->options : &defaults;
    const struct known_function *known;
    int rc = bfs_function_of(s, &shape->function, &known);
    if (rc != 0)
        return rc;
    *ret_fn = known;
    /* What is set here, same_spec compares. */
    *ret = (struct wire_job_spec){
        .kind = shape->kind, .fn = wire_bin_of(known->doc->data, known->doc->size),
        .in_size = shape->in_size, .out_size = shape->out_size, .run_limit_ms = (uint64_t)o->run_limit_ms, .retries = o->retries,
        .chunk = o->chunk, .seed = o->seed, .context = wire_bin_of(o->context.data, o->context.size),
        .name = WIRE_STR(o->name ? o->name : ""), .client_pid = (uint32_t)getpid(), .total = shape->map ? shape->total : 0,
        .needs = shape->told ? WIRE_FEATURE_STREAM : 0, .streamed = shape->told != NULL };
    return 0;
}

static void free_job(struct job *j)
{
    free((char *)(uintptr_t)j->function.object);
    free((char *)(uintptr_t)j->function.symbol);
    free((char *)(uintptr_t)j->options.name);
    free((void *)(uintptr_t)j->options.context.data);
    free(j->slots);
    free(j);
}

/* Copies what tells this job from others. */
static bool job_copy(struct job *j, const struct job_shape *shape)
{
    const bfork_options *o = shape->options ? shape->options : &defaults;
    j->function = shape->function;
    j->options = *o;
    j->function.object = shape->function.object ? strdup(shape->function.object) : NULL;
    j->function.symbol = shape->function.symbol ? strdup(shape->function.symbol) : NULL;
    j->options.name = o->name ? strdup(o->name) : NULL;
    void *context = o->context.size ? malloc(o->context.size) : NULL;
    if (context)
        memcpy(context, o->context.data, o->context.size);
    j->options.context.data = context;
    return (!shape->function.object || j->function.object) && (!shape->function.symbol || j->function.symbol) &&
           (!o->name || j->options.name) && (!o->context.size || context);
}

/* Of what bfs_job_spec sets; that of functions lives as long as the session. Names and contexts are the caller's, and not kept. */
static bool same_spec(const struct wire_job_spec *a, const struct wire_job_spec *b)
{
    return a->fn.p == b->fn.p && a->kind == b->kind && a->total == b->total && a->in_size == b->in_size &&
           a->out_size == b->out_size && a->run_limit_ms == b->run_limit_ms && a->retries == b->retries && a->chunk == b->chunk &&
           a->seed == b->seed && a->client_pid == b->client_pid && a->needs == b->needs && a->streamed == b->streamed &&
           !b->name.n && !b->context.n;
}

/* The specification as bytes. A program that maps in a loop has the same again: then they are those of the last job. */
static struct buf *spec_bytes(struct bfork_pool *p, const struct wire_job_spec *spec)
{
    if (p->job_doc && same_spec(&p->job_spec, spec))
        return buf_ref(p->job_doc);
    struct buf *doc = wire_job_spec_encode(spec);
    if (doc && !spec->name.n && !spec->context.n) {
        buf_unref(&p->job_doc);
        p->job_doc = buf_ref(doc);
        p->job_spec = *spec;
    }
    return doc;
}

static int job_make(struct bfork_pool *p, const struct job_shape *shape, struct job **ret)
{
    struct bfork_session *s = p->s;
    struct wire_job_spec spec;
    struct buf *doc;
    const struct known_function *known;
    struct claim *claim = NULL;
    bool serial = s->kind == KIND_SERIAL;
    int rc = bfs_job_spec(s, shape, &spec, &known);
    if (rc == 0 && !serial)
        rc = bfs_claim_open(p, known->in_program ? CLAIM_PROGRAM : CLAIM_RUNNER, &claim);
    if (rc != 0)
        return rc;
    if (!(doc = spec_bytes(p, &spec)))
        return bfs_error_set(BFORK_ETOOBIG, "the context has %u bytes; with the rest of the options at most %u travel",
                             spec.context.n,
                             WIRE_SPEC_MAX);
    struct job *j = calloc(1, sizeof(*j));
    if (!j || !job_copy(j, shape) ||
        (claim && session_job_open(claim->core, buf_ref(doc), spec.retries == BFORK_RETRY_NEVER, j, &j->core) != 0)) {
        buf_unref(&doc);
        if (j)
            free_job(j);
        return bfs_error_set(BFORK_ENOMEM, "out of memory");
    }
    buf_unref(&doc);
    j->pool = p;
    j->claim = claim;
    j->map = shape->map;
    j->told = shape->told;
    j->symbol = known->symbol;
    list_push_front(&p->jobs, &j->node);
    *ret = j;
    return 0;
}

int bfs_job_find(struct bfork_pool *p, const struct job_shape *shape, struct job **ret)
{
    const bfork_options *o = shape->options ? shape->options : &defaults;
    struct job *oldest = NULL;
    size_t open = 0;
    for (LIST_EACH(&p->jobs, n)) {
        struct job *j = LIST_ENTRY(n, struct job, node);
        if (j->map || j->closed)
            continue;
        if (!shape->map && j->told == shape->told && same_function(&j->function, &shape->function) &&
            same_options(&j->options, o)) {
            if (list_first(&p->jobs) != n) {
                list_remove(&p->jobs, n);
                list_push_front(&p->jobs, n);
            }
            *ret = j;
            return 0;
        }
        oldest = j;
        open++;
    }
    if (!shape->map && open >= JOBS_OPEN)
        bfs_job_close(oldest);
    return job_make(p, shape, ret);
}

int bfs_job_index(struct bfork_pool *p, const struct job_shape *shape, uint64_t *ret)
{
    struct job *j = NULL;
    int rc = bfs_job_find(p, shape, &j);
    if (rc == 0 && j) {
        *ret = j->next;
        j->base = ++j->next;                /* nothing of it is ever outstanding */
    }
    return rc;
}

int bfs_job_reserve(struct job *j)
{
    uint64_t capacity = j->slots ? j->mask + 1 : 0;
    if (j->next - j->base < capacity)
        return 0;
    uint64_t bigger = capacity ? capacity * 2 : 16;
    struct bfork_future **slots = calloc((size_t)bigger, sizeof(*slots));
    if (!slots)
        return BFORK_ENOMEM;
    for (uint64_t i = j->base; j->slots && i < j->next; i++)
        slots[i & (bigger - 1)] = j->slots[i & j->mask];
    free(j->slots);
    j->slots = slots;
    j->mask = bigger - 1;
    return 0;
}

void bfs_job_put(struct job *j, struct bfork_future *f, uint64_t index)
{
    f->job = j;
    f->index = index;
    atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
    j->slots[index & j->mask] = f;
    j->next = index + 1;
    j->left++;
    j->pool->pending++;
    j->pool->queued_bytes += f->bytes;
}

void bfs_job_close(struct job *j)
{
    if (j->closed)
        return;
    j->closed = true;
    if (j->core)
        session_job_close(j->core);
    if (j->left == 0 && !j->map)
        bfs_job_forget(j);
}

void bfs_job_forget(struct job *j)
{
    if (j->core && !j->closed)
        session_job_close(j->core);
    if (j->core)
        session_job_user(j->core, NULL);
    list_remove(&j->pool->jobs, &j->node);
    free_job(j);
}

struct bfork_future *bfs_job_future(const struct job *j, uint64_t index)
{
    return index >= j->base && index < j->next ? j->slots[index & j->mask] : NULL;
}

/* Takes the future of this index out, or NULL. */
struct bfork_future *bfs_job_take(struct job *j, uint64_t index)
{
    struct bfork_future *f = bfs_job_future(j, index);
    if (index < j->base || index >= j->next)
        return NULL;
    j->slots[index & j->mask] = NULL;
    while (j->base < j->next && !j->slots[j->base & j->mask])
        j->base++;
    if (f) {
        j->left--;
        j->pool->pending--;
        j->pool->queued_bytes -= f->bytes;
    }
    return f;
}
