/* SPDX-License-Identifier: MPL-2.0
 * push.c - tasks and job specifications on their way into a process's rings, and tasks taken back. The owner remembers what it has
 * written; of what the process says it believes only {next}, and that only between what is possible.
 */
#include "exec/pending.h"
#include "base/clock.h"
#include "bfork.h"

#include <stdlib.h>
#include <string.h>

static int pushed_grow(struct exec_proc *p)
{
    struct pushed *bigger;

    if (p->pushed_n < p->pushed_cap)
        return 0;
    if (!(bigger = malloc(2 * (size_t)p->pushed_cap * sizeof(*bigger))))
        return BASE_ENOMEM;
    for (uint32_t i = 0; i < p->pushed_n; i++)
        bigger[i] = *pushed_at(p, i);
    free(p->pushed);
    p->pushed = bigger;
    p->pushed_first = 0;
    p->pushed_cap *= 2;
    return 0;
}

static bool is_taking(const struct exec_proc *p) { return p->state < PROC_STOPPING && p->asked && !p->violated; }

int exec_push_job(struct exec_proc *p, uint32_t job, const void *spec, size_t size)
{
    struct ring_control *c = p->ring.control;
    uint32_t need = (uint32_t)RING_ROUND(sizeof(struct ring_job) + size);
    struct wire_job_spec decoded;
    struct proc_job *known;

    if (!is_taking(p) || size > WIRE_SPEC_MAX)
        return BFORK_EINVAL;
    uint64_t tail = atomic_load_explicit(&c->job_tail, memory_order_acquire);
    if (tail - p->job_tail_seen > p->job.pos - p->job_tail_seen) {
        exec_proc_violates(p, "it wrote over the control words of its task ring");
        return BFORK_EAGAIN;
    }
    p->job_tail_seen = tail;
    if (p->job.pos - tail + need > RING_JOBS)
        return BFORK_EAGAIN;
    if (size == 0) {
        free(map_take(&p->jobs, job));
    } else {
        if (wire_job_spec_decode(spec, size, &decoded, NULL) < 0)
            return BFORK_EINVAL;
        if (!(known = map_get(&p->jobs, job))) {
            if (!(known = calloc(1, sizeof(*known))) || map_put(&p->jobs, job, known) < 0) {
                free(known);
                return BFORK_ENOMEM;
            }
        }
        *known = (struct proc_job){ decoded.kind == WIRE_JOB_MAP, decoded.out_size };
    }
    struct ring_job *r = (struct ring_job *)(void *)(p->ring.jobs + p->job.off);
    *r = (struct ring_job){ need, job, (uint32_t)size, 0 };
    if (size)
        memcpy(r + 1, spec, size);
    ring_advance(&p->job, need);
    atomic_store_explicit(&c->job_head, p->job.pos, memory_order_release);
    return 0;
}

/* How many of the item's first tasks fit into `room` bytes; *ret_body: their bytes. */
static uint32_t how_many(const struct wire_item *i, uint64_t room, uint64_t *ret_body)
{
    uint64_t body = 0;
    uint32_t n = 0;

    if (i->flags & WIRE_FIXED) {
        n = i->count;
        if (i->size && n * (uint64_t)i->size > room)
            n = (uint32_t)(room / i->size);
        *ret_body = n * (uint64_t)i->size;
        return n;
    }
    while (n < i->count) {
        uint64_t with = body + wire_len_at(i, n);
        if (with + RING_ROUND(4 * (uint64_t)(n + 1)) > room)
            break;
        body = with;
        n++;
    }
    *ret_body = body;
    return n;
}

static void write_record(struct exec_proc *p, uint32_t job, const struct wire_item *item, uint32_t n, uint32_t claim, uint64_t lens,
                         uint64_t body, uint32_t bytes)
{
    struct ring_task *r = (struct ring_task *)(void *)(p->ring.tasks + p->task.off);
    bool fixed = lens == 0;

    r->bytes = bytes;
    r->job = job;
    r->first = p->limit;
    atomic_store_explicit(&r->count, n, memory_order_relaxed);
    r->claim = claim ? claim : 1;
    r->flags = fixed ? WIRE_FIXED : 0;
    r->size = item->flags & WIRE_FIXED ? item->size : fixed ? (uint32_t)body : 0;
    r->tries = (uint32_t)item->tries + item->crashes;   /* what has been tried, however it ended */
    r->index = item->first;
    r->id = item->id;
    r->body_at = sizeof(*r) + lens;
    if (!fixed)
        memcpy(r + 1, item->lens.data, 4 * (size_t)n);
    if (body)
        memcpy((uint8_t *)r + r->body_at, item->body.data, body);
}

uint32_t exec_push(struct exec_proc *p, uint32_t job, const struct wire_item *item, uint32_t claim, bool more)
{
    uint64_t room = RING_TASKS - (p->task.pos - p->task_freed), body = 0;
    uint64_t head = sizeof(struct ring_task) + RING_ALIGN;
    uint32_t n;

    if (!is_taking(p) || room < head || !map_get(&p->jobs, job) || pushed_grow(p) < 0)
        return 0;
    n = how_many(item, room - head, &body);
    if (n == 0)
        return 0;
    uint64_t lens = item->flags & WIRE_FIXED || n == 1 ? 0 : RING_ROUND(4 * (uint64_t)n);
    uint32_t bytes = (uint32_t)RING_ROUND(sizeof(struct ring_task) + lens + body);
    p->claim = claim ? claim : 1;
    write_record(p, job, item, n, claim, lens, body, bytes);

    *pushed_at(p, p->pushed_n) = (struct pushed){ p->limit, n, 0, job, bytes, p->task.off, p->run_limit_ns };
    p->pushed_n++;
    if (p->run_limit_ns && p->limited++ == 0)
        p->sample_at = p->x->now;
    if (p->limit == p->expected && p->x->check_at <= p->x->now)
        p->x->check_at = p->x->now + CHECK_NS;
    p->limit += n;
    ring_advance(&p->task, bytes);
    atomic_fetch_add(&p->ring.control->word, (uint64_t)n << 32);    /* publishes; what overflows falls off */
    if (!more)
        exec_ring_wake(p->ring.control);
    return n;
}

void exec_kick(struct exec_proc *p)
{
    if (!p->asked)
        return;
    atomic_thread_fence(memory_order_seq_cst);
    exec_ring_wake(p->ring.control);
}

/* Behind the last record again, after its tasks were taken back. */
static void unwrite(struct exec_proc *p, struct pushed *last)
{
    p->task.pos -= last->bytes;
    p->task.off = last->off;
    if (last->run_limit_ns)
        p->limited--;
    p->pushed_n--;
}

uint32_t exec_retract(struct exec_proc *p, uint32_t max)
{
    _Atomic uint64_t *word;
    uint64_t old, new_word;
    uint32_t n, left;

    if (p->state == PROC_DEAD || p->violated || !p->asked)
        return 0;
    word = &p->ring.control->word;
    old = atomic_load(word);
    do {
        uint32_t next = (uint32_t)old, limit = (uint32_t)(old >> 32);
        if (limit != p->limit || next - p->expected > limit - p->expected || next - p->next_seen > limit - p->next_seen) {
            exec_proc_violates(p, "it wrote over the control words of its task ring");
            return 0;
        }
        n = limit - next < max ? limit - next : max;
        if (n == 0)
            return 0;
        new_word = (uint64_t)(limit - n) << 32 | next;
    } while (!atomic_compare_exchange_weak(word, &old, new_word));

    p->limit -= n;
    for (left = n; left;) {
        struct pushed *last = pushed_at(p, p->pushed_n - 1);
        uint32_t back = last->count - last->done < left ? last->count - last->done : left;
        last->count -= back;
        left -= back;
        if (last->count == 0)
            unwrite(p, last);
        else
            atomic_store_explicit(&((struct ring_task *)(void *)(p->ring.tasks + last->off))->count, last->count,
                                  memory_order_release);
        if (last->count && last->count == last->done)
            exec_pushed_finished(p);    /* nothing before it is open either: it is the first */
    }
    return n;
}
