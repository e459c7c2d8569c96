/* SPDX-License-Identifier: MPL-2.0
 * pull.c - results on their way out of a process's ring: copied first, then checked against what the owner pushed. Anything that
 * cannot be is the end of the process. Invariant: `expected` is the sequence number of the first task without a result.
 */
#include "exec/output.h"
#include "exec/pending.h"
#include "bfork.h"
#include "wire/cursor.h"

#include <string.h>

struct checked {                        /* a record's header, copied and found possible */
    uint32_t bytes, done, size;
    uint32_t kind;
    bool fixed;
    uint64_t ns, body;
};

static uint64_t published(const struct exec_proc *p)
{
    return p->visible - p->result.pos;
}

/* A record's space is free again when a result of a later one is here: until then the process may still look at its header. */
static void account(struct exec_proc *p, uint32_t done)
{
    struct pushed *e = pushed_at(p, 0);

    p->task_freed += p->held;
    p->held = 0;
    e->done += done;
    p->expected += done;
    if (e->done == e->count)
        exec_pushed_finished(p);
}

static bool check(struct exec_proc *p, uint64_t available, bool unfinished, struct checked *k)
{
    struct ring_result *shared = (struct ring_result *)(void *)(p->ring.results + p->result.off);
    struct ring_result r;
    const struct pushed *e = pushed_at(p, 0);
    const struct proc_job *job;

    if (available < sizeof(r) || p->pushed_n == 0)
        return false;
    memcpy(&r, shared, sizeof(r));
    k->bytes = r.bytes;
    k->done = atomic_load_explicit(&shared->done, memory_order_acquire);
    k->fixed = r.fixed != 0;
    k->size = r.size;
    k->kind = r.kind;
    k->ns = r.ns;
    k->body = k->fixed ? (uint64_t)k->size * k->done : k->size;
    if (k->bytes < sizeof(r) || k->bytes % RING_ALIGN || k->bytes > available || k->body > k->bytes - sizeof(r))
        return false;
    if (r.first != p->expected || k->done > e->count - e->done || (k->done == 0 && !unfinished) || k->size > WIRE_TASK_MAX)
        return false;
    if (k->kind == WIRE_OUTCOME)
        return !k->fixed && k->done == 1;
    job = map_get(&p->jobs, e->job);
    return k->kind == WIRE_OK && job && job->map == k->fixed && (k->fixed ? k->size == job->out_size : k->done == 1);
}

/* What the process had finished of the block it was in when it died. */
static uint64_t unfinished_bytes(const struct exec_proc *p)
{
    const struct ring_result *r = (const struct ring_result *)(const void *)(p->ring.results + p->result.off);
    uint32_t bytes = r->bytes;

    return r->first == p->expected && bytes <= RING_RESULTS ? bytes : 0;
}

/* Room for a private copy: what is large has a buffer of its own, which whoever keeps the results keeps, instead of copying it once
 * more. NULL: no memory. */
static uint8_t *room_for_copy(struct exec_proc *p, uint64_t body)
{
    if (body < PULL_OWN)
        return p->pull;
    buf_unref(&p->own);
    if (!(p->own = buf_new(body)))
        return NULL;
    p->own->size = body;
    return p->own->data;
}

static void take_record(struct exec_proc *p, const struct checked *k, uint8_t *to)
{
    if (k->body)
        memcpy(to, p->ring.results + p->result.off + sizeof(struct ring_result), k->body);
    ring_advance(&p->result, k->bytes);
    account(p, k->done);
}

/* Results with a length each: as many as are there, well and of the same job. */
static void merge_results(struct exec_proc *p, struct wire_item *item, uint64_t available, uint32_t job)
{
    size_t used = item->body.size;
    struct checked k;

    le32_put(p->lens, (uint32_t)used);
    item->lens = slice_borrow(p->lens, 4);
    if (item->body.buf)
        return;
    while (item->count < PULL_TASKS && used < PULL_MERGE && available && p->pushed_n && pushed_at(p, 0)->job == job) {
        if (!check(p, available, false, &k)) {
            exec_proc_violates(p, "it wrote a result into its task ring that cannot be");
            break;
        }
        if (k.kind != WIRE_OK || used + k.body > PULL_ROOM)
            break;
        take_record(p, &k, p->pull + used);
        available -= k.bytes;
        le32_put(p->lens + 4 * (size_t)item->count++, k.size);
        item->sum_ns += k.ns;
        used += k.body;
    }
    item->size = (uint32_t)used;
    item->body = slice_borrow(p->pull, used);
    item->lens = slice_borrow(p->lens, 4 * (size_t)item->count);
}

static void release_results(struct exec_proc *p)
{
    struct ring_control *c = p->ring.control;

    atomic_store(&c->result_tail, p->result.pos);
    if (atomic_load_explicit(&c->sleeping, memory_order_relaxed) == RING_NO_ROOM)
        exec_ring_wake(c);
}

bool exec_pull(struct exec_proc *p, struct wire_item *item)
{
    uint64_t available;
    bool unfinished = false;
    struct checked k;
    uint8_t *to;

    if (p->violated || !p->asked)
        return false;
    available = published(p);
    if (available == 0) {
        if (p->state != PROC_DEAD || p->harvested)
            return false;
        p->harvested = true;
        available = unfinished_bytes(p);
        unfinished = true;
        if (available == 0)
            return false;
    }
    if (available > RING_RESULTS || !check(p, available, unfinished, &k)) {
        if (!unfinished)
            exec_proc_violates(p, "it wrote a result into its task ring that cannot be");
        return false;
    }
    if (k.done == 0)
        return false;
    uint32_t job = pushed_at(p, 0)->job;
    exec_output_settle(p);
    if (!(to = room_for_copy(p, k.body)))
        return false;
    take_record(p, &k, to);
    memset(item, 0, sizeof(*item));
    item->job = job;
    item->count = k.done;
    item->kind = (uint8_t)k.kind;
    item->pid = (uint32_t)p->pid;
    item->sum_ns = k.ns;
    item->size = k.size;
    item->body = k.body < PULL_OWN ? slice_borrow(to, k.body) : slice_of(p->own, 0, k.body);
    if (k.fixed || k.kind == WIRE_OUTCOME)
        item->flags = WIRE_FIXED;
    else
        merge_results(p, item, available - k.bytes, job);
    release_results(p);
    return true;
}
