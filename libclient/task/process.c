/* SPDX-License-Identifier: MPL-2.0
 * process.c - a task process: claims tasks from its ring, runs them, writes results, sleeps. One thread, no clock call for each
 * task, no allocation for each task. Leaves by _exit: the program's own exit handlers belong to the application.
 */
#include "exec/ring.h"
#include "exec/sweep.h"
#include "task/crash.h"
#include "task/fail.h"
#include "task/process.h"
#include "task/run.h"
#include "task/task.h"
#include "base/clock.h"
#include "base/map.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define KEPT_CHILDREN 64

struct process {
    int output[2];                      /* what stdout and stderr were at the start */
    struct ring ring;
    struct ring_control *c;
    struct ring_cursor task, job, result;
    uint64_t tail;                      /* result_tail as last seen */
    uint32_t to_look, stride;           /* tasks until the owner's right is looked at again, and between two looks */
    uint64_t looked;                    /* when that was */
    uint64_t body_off;                  /* of the next task in the current record, if it has lengths */
    int event;
    struct map jobs;
    struct task_job *last_job;
    struct bfork_task t;
    char message[1200];
    pid_t kept[KEPT_CHILDREN];          /* what the initializer has started */
    size_t n_kept;
    volatile char *alive;               /* zero after a fork: a task's child came back from its function */
};

static void __attribute__((noreturn)) broken(struct process *p)
{
    atomic_store(&p->c->current, 0);    /* its task had ended well */
    atomic_store(&p->c->state, RING_BROKEN);
    fflush(NULL);
    _exit(3);
}

/* ---- results ---- */

static void ring_owner(struct process *p)
{
    static const uint64_t one = 1;
    uint64_t all;

    while (write(p->event, &one, sizeof(one)) < 0)
        if (errno == EAGAIN) {          /* the counter is full: nobody else reads it */
            if (read(p->event, &all, sizeof(all)) < 0 && errno != EAGAIN)
                broken(p);
        } else if (errno != EINTR) {
            broken(p);                  /* a task has closed it: nobody would hear of the results */
        }
}

/* Wakes the owner if it waits for what there is now. dry: nothing more will come by itself. */
static void notify(struct process *p, bool dry)
{
    struct ring_control *c = p->c;
    uint32_t want;

    atomic_thread_fence(memory_order_seq_cst);
    want = atomic_load_explicit(&c->want, memory_order_relaxed);
    if (want == RING_QUIET)
        return;
    if (want == RING_LOW && !dry) {
        uint64_t word = atomic_load_explicit(&c->word, memory_order_relaxed);
        if (p->result.pos - p->tail >= RING_RESULTS / 2)
            p->tail = atomic_load_explicit(&c->result_tail, memory_order_acquire);
        if ((uint32_t)(word >> 32) - (uint32_t)word > atomic_load_explicit(&c->low, memory_order_relaxed)
            && p->result.pos - p->tail < RING_RESULTS / 2)
            return;
    }
    if (atomic_exchange(&c->want, RING_QUIET) != RING_QUIET)
        ring_owner(p);
}

static void wait_for_ring(struct process *p, uint64_t need)
{
    struct ring_control *c = p->c;

    for (;;) {
        p->tail = atomic_load_explicit(&c->result_tail, memory_order_acquire);
        if (RING_RESULTS - (p->result.pos - p->tail) >= need)
            return;
        notify(p, true);
        atomic_store(&c->sleeping, RING_NO_ROOM);
        p->tail = atomic_load(&c->result_tail);
        if (RING_RESULTS - (p->result.pos - p->tail) >= need) {
            atomic_store(&c->sleeping, RING_AWAKE);
            return;
        }
        exec_ring_sleep(c, RING_NO_ROOM);
        atomic_store(&c->sleeping, RING_AWAKE);
    }
}

static struct ring_result *reserve_result(struct process *p, uint64_t body)
{
    uint64_t need = RING_ROUND(sizeof(struct ring_result) + body);

    if (RING_RESULTS - (p->result.pos - p->tail) < need)
        wait_for_ring(p, need);
    return (struct ring_result *)(void *)(p->ring.results + p->result.off);
}

static uint8_t *room_in_ring(void *ctx, size_t size)
{
    return (uint8_t *)(reserve_result(ctx, size) + 1);
}

static void publish(struct process *p, struct ring_result *r, uint32_t first, uint32_t done, uint32_t kind, bool fixed,
                    uint32_t size, uint64_t ns)
{
    uint32_t bytes = (uint32_t)RING_ROUND(sizeof(*r) + (fixed ? (uint64_t)done * size : size));

    r->bytes = bytes;
    r->kind = kind;
    r->fixed = fixed;
    r->size = size;
    r->ns = ns;
    atomic_store_explicit(&r->done, done, memory_order_relaxed);
    r->first = first;
    ring_advance(&p->result, bytes);
    atomic_store_explicit(&p->c->result_head, p->result.pos, memory_order_release);
}

static void check_alive(const struct process *p)
{
    if (!*p->alive)
        _exit(0);
}

/* ---- output: see common/exec/output.c ---- */

static bool is_pending(FILE *f)
{
#ifdef __GLIBC__
    if (f->_IO_write_ptr == f->_IO_write_base && f->_mode <= 0)
        return false;                   /* the usual case, for every task: no call */
#endif
    return __fpending(f) != 0;
}

/* Behind what this task has printed on a stream. */
static void put_mark(struct process *p, int stream, uint32_t seq)
{
    uint8_t mark[MARK_SIZE];
    struct pollfd full = { .fd = p->output[stream], .events = POLLOUT };
    size_t at = 0;

    memcpy(mark, p->c->nonce, MARK_NONCE);
    memcpy(mark + MARK_NONCE, &seq, sizeof(seq));
    while (at < sizeof(mark)) {
        ssize_t n = write(p->output[stream], mark + at, sizeof(mark) - at);
        if (n >= 0)
            at += (size_t)n;
        else if (errno == EAGAIN)       /* a task has made the pipe non-blocking */
            poll(&full, 1, -1);
        else if (errno != EINTR)
            return;                     /* a task has closed it; what was printed is there, its end is found otherwise */
    }
}

static void end_printing(struct process *p, uint32_t seq)
{
    FILE *const files[2] = { stdout, stderr };

    check_alive(p);
    for (int k = 0; k < 2; k++) {
        bool printed = is_pending(files[k]);
        if (printed)
            fflush(files[k]);
        if (printed || p->t.printed || atomic_load_explicit(&p->c->attentive[k], memory_order_relaxed))
            put_mark(p, k, seq);
    }
    p->t.printed = false;
}

/* After each task, before its result is there. A task that prints nothing costs no system call. */
static inline void task_printed(struct process *p, uint32_t seq)
{
    if (is_pending(stdout) || is_pending(stderr) || p->t.printed
        || atomic_load_explicit(&p->c->attentive[0], memory_order_relaxed)
        || atomic_load_explicit(&p->c->attentive[1], memory_order_relaxed))
        end_printing(p, seq);
}

static void publish_outcome(struct process *p, uint32_t seq, struct wire_outcome *o, uint64_t ns)
{
    struct buf *doc;

    o->pid = (uint32_t)getpid();
    o->duration_us = ns / 1000;
    doc = wire_outcome_encode(o);
    if (!doc)
        _exit(4);                       /* no memory for a few hundred bytes: the obituary says the rest */
    struct ring_result *r = reserve_result(p, doc->size);
    memcpy(r + 1, doc->data, doc->size);
    task_printed(p, seq);
    publish(p, r, seq, 1, WIRE_OUTCOME, false, (uint32_t)doc->size, ns);
    buf_unref(&doc);
}

/* ---- jobs ---- */

/* What the owner wrote is not there any more: a task has written over the ring. The owner says which. */
static void __attribute__((noreturn)) overwritten(void) { _exit(4); }

static bool is_record(uint32_t bytes, size_t head, uint32_t ring)
{
    return bytes >= head && bytes <= ring && bytes % RING_ALIGN == 0;
}

static void read_jobs(struct process *p)
{
    struct err e = { 0 };

    uint64_t head;

    while (p->job.pos != (head = atomic_load_explicit(&p->c->job_head, memory_order_acquire))) {
        const struct ring_job *r = (const struct ring_job *)(const void *)(p->ring.jobs + p->job.off);
        if (head - p->job.pos > RING_JOBS || !is_record(r->bytes, sizeof(*r), RING_JOBS) || r->size > r->bytes - sizeof(*r))
            overwritten();
        struct task_job *old = map_take(&p->jobs, r->job), *j = NULL;
        p->last_job = NULL;
        task_job_free(&old);
        if (r->size) {
            if (task_job_new(r + 1, r->size, &j, &e) < 0 || map_put(&p->jobs, r->job, j) < 0)
                _exit(4);
            j->handle = r->job;
        }
        ring_advance(&p->job, r->bytes);
        atomic_store_explicit(&p->c->job_tail, p->job.pos, memory_order_release);
    }
}

static struct task_job *job_of(struct process *p, uint32_t handle)
{
    if (!p->last_job || p->last_job->handle != handle)
        p->last_job = map_get(&p->jobs, handle);
    if (!p->last_job)
        _exit(4);                       /* the owner sends it first */
    return p->last_job;
}

/* ---- the owner's right to its tasks: see ring.h ---- */

#define STRIDE_MOST 256u

/* Has the owner still the right? Tasks may cost less than a look: while those between two looks take less than a millisecond, twice
 * as many pass until the next. */
static bool look_for_work(struct process *p)
{
    uint64_t until = atomic_load(&p->c->until), now = until == RING_ALWAYS ? 0 : clock_coarse();

    p->stride = now > p->looked + CLOCK_MS ? 1 : p->stride < STRIDE_MOST ? 2 * p->stride : p->stride;
    p->to_look = p->stride;
    p->looked = now;
    return until == RING_ALWAYS || now < until;
}

/* Before what is claimed next: its first task may begin if this says so. */
static bool look_afresh(struct process *p)
{
    bool well = look_for_work(p);

    p->stride = 1;
    p->to_look = 2;
    return well;
}

static inline bool may_begin(struct process *p) { return --p->to_look || look_for_work(p); }

static bool is_empty(const struct process *p)
{
    uint64_t word = atomic_load(&p->c->word);

    return (uint32_t)word == (uint32_t)(word >> 32);
}

/* In the middle of a claim: what is left of it waits here. */
static void wait_for_right(struct process *p)
{
    while (!look_afresh(p)) {
        notify(p, true);
        atomic_store(&p->c->sleeping, RING_EXPIRED);
        if (!look_for_work(p))
            exec_ring_sleep(p->c, RING_EXPIRED);
        atomic_store(&p->c->sleeping, RING_AWAKE);
    }
}

/* ---- tasks ---- */

static void now_running(struct process *p, uint32_t seq)
{
    atomic_store_explicit(&p->c->current, (uint64_t)seq << 1 | 1, memory_order_relaxed);
}

/* k elements of a map from the current record, results straight into one record; returns how many were done. Fewer, or none: one
 * has failed, there is no room for more in one record, or the owner's right has passed. */
static uint32_t run_map_record(struct process *p, struct task_job *j, const struct ring_task *r, uint32_t seq, uint32_t k)
{
    uint32_t in_size = j->spec.in_size, out_size = j->spec.out_size, at = seq - r->first, i = 0;
    uint32_t fit = out_size ? RING_FLUSH / out_size : k;
    const uint8_t *in = (const uint8_t *)r + r->body_at + (uint64_t)at * in_size;
    struct bfork_task *t = &p->t;
    bfork_map_fn *fn = j->call.map;
    struct wire_outcome o;
    int rc = 0;

    fit = fit < 1 ? 1 : fit < k ? fit : k;
    struct ring_result *rr = reserve_result(p, (uint64_t)fit * out_size);
    uint8_t *out = (uint8_t *)(rr + 1);
    memset(out, 0, (size_t)fit * out_size);
    rr->first = seq - 1;                                    /* nothing of it is valid until first is */
    rr->bytes = (uint32_t)RING_ROUND(sizeof(*rr) + (uint64_t)fit * out_size);
    rr->kind = WIRE_OK;
    rr->fixed = 1;
    rr->size = out_size;
    rr->ns = 0;
    atomic_store_explicit(&rr->done, 0, memory_order_release);
    rr->first = seq;
    atomic_signal_fence(memory_order_seq_cst);

    uint64_t begin = clock_now();
    atomic_store_explicit(&p->c->block_first, seq, memory_order_relaxed);
    atomic_store_explicit(&p->c->block_ns, begin, memory_order_relaxed);
    task_begin(t, j);
    t->args_size = in_size;
    for (t->index = r->index + at; i < fit; i++, t->index++, in += in_size, out += out_size) {
        if (!may_begin(p)) {
            fit = i;
            break;
        }
        t->args = in;
        now_running(p, seq + i);
        rc = fn(in, out, t);
        if (rc | t->fail_kind)
            break;
        task_printed(p, seq + i);
        atomic_store_explicit(&rr->done, i + 1, memory_order_release);
    }
    check_alive(p);
    uint64_t ns = clock_now() - begin;
    if (i)
        publish(p, rr, seq, i, WIRE_OK, true, out_size, ns ? ns : 1);
    if (i < fit) {
        task_failed(t, rc, &o, p->message, sizeof(p->message));
        publish_outcome(p, seq + i, &o, i ? 0 : ns);
        i++;
    }
    task_end(t);
    return i;
}

static void run_refused(struct process *p, struct task_job *j, const struct ring_task *r, uint32_t seq)
{
    struct wire_outcome o;

    task_begin(&p->t, j);
    p->t.index = r->index + (seq - r->first);
    if (j->unusable.code)
        task_fail(&p->t, BFORK_REFUSED, 0, "%s", j->unusable.text);
    else
        task_fail(&p->t, BFORK_MISMATCH, 0, "an element has %u bytes, the job says %u", r->size, j->spec.in_size);
    task_failed(&p->t, -1, &o, p->message, sizeof(p->message));
    o.stage = WIRE_STR("load");
    publish_outcome(p, seq, &o, 0);
}

/* What a streamed command has left behind would print into the next task's output. */
static void sweep(const struct process *p)
{
    if (exec_sweep_has_children())
        exec_sweep_children(p->kept, p->n_kept);
}

/* One task with arguments and a result of its own. ns: only known to the caller's block, put on its last record. */
static void run_task(struct process *p, struct task_job *j, const struct ring_task *r, uint32_t seq, uint64_t begin, bool last)
{
    static const uint8_t nothing[1] = { 0x90 };
    uint32_t at = seq - r->first, size = r->size;
    struct bfork_task *t = &p->t;
    struct wire_outcome o;

    task_begin(t, j);
    t->index = r->index + at;
    if (r->flags & WIRE_FIXED) {
        t->args = (const uint8_t *)r + r->body_at + (uint64_t)at * size;
    } else {
        memcpy(&size, (const uint8_t *)(r + 1) + 4 * (size_t)at, 4);
        size = le32toh(size);
        t->args = (const uint8_t *)r + r->body_at + p->body_off;
        p->body_off += size;
    }
    t->args_size = size;
    now_running(p, seq);
    int rc = task_call(t);
    check_alive(p);
    if (t->printed)
        sweep(p);
    uint64_t ns = last ? clock_now() - begin : 0;
    if (rc | t->fail_kind) {
        task_failed(t, rc, &o, p->message, sizeof(p->message));
        publish_outcome(p, seq, &o, ns);
    } else {
        if (!t->returned) {
            memcpy(room_in_ring(p, 1), nothing, 1);
            t->result_size = 1;
        }
        task_printed(p, seq);
        publish(p, (struct ring_result *)(void *)(p->ring.results + p->result.off), seq, 1, WIRE_OK, false,
                (uint32_t)t->result_size, ns);
    }
    if (t->arena)
        task_end(t);
}

static const struct ring_task *next_record(const struct process *p)
{
    return (const struct ring_task *)(const void *)(p->ring.tasks + p->task.off);
}

/* The record that holds task seq; those before it are done. */
static const struct ring_task *walk_to(struct process *p, uint32_t seq)
{
    const struct ring_task *r = next_record(p);

    while (seq - r->first >= atomic_load_explicit(&r->count, memory_order_acquire)) {
        if (!is_record(r->bytes, sizeof(*r), RING_TASKS))
            overwritten();
        ring_advance(&p->task, r->bytes);
        p->body_off = 0;
        r = next_record(p);
    }
    return r;
}

/* A task that closed stdout or stderr closed its own: the next one has them again. */
static void restore_output(const struct process *p)
{
    for (int fd = 1; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0) {
            dup2(p->output[fd - 1], fd);
            clearerr(fd == 1 ? stdout : stderr);
        }
}

static void run_claimed(struct process *p, uint32_t seq, uint32_t n)
{
    while (n) {
        const struct ring_task *r = walk_to(p, seq);
        struct task_job *j = job_of(p, r->job);
        uint32_t left = atomic_load_explicit(&r->count, memory_order_relaxed) - (seq - r->first), k = n < left ? n : left;
        p->t.id = r->id;
        p->t.tries = r->tries;
        if (j->unusable.code || (j->spec.kind == WIRE_JOB_MAP && (!(r->flags & WIRE_FIXED) || r->size != j->spec.in_size))) {
            run_refused(p, j, r, seq);
            k = 1;
        } else if (j->spec.kind == WIRE_JOB_MAP) {
            k = run_map_record(p, j, r, seq, k);
        } else {
            uint64_t begin = clock_now();
            atomic_store_explicit(&p->c->block_first, seq, memory_order_relaxed);
            atomic_store_explicit(&p->c->block_ns, begin, memory_order_relaxed);
            for (uint32_t i = 0; i < k; i++) {
                if (!may_begin(p)) {
                    k = i;
                    break;
                }
                run_task(p, j, r, seq + i, begin, i + 1 == k);
                notify(p, false);
            }
        }
        seq += k;
        n -= k;
        atomic_store_explicit(&p->c->current, (uint64_t)seq << 1, memory_order_relaxed);
        notify(p, false);
        if (k == 0)
            wait_for_right(p);
    }
    sweep(p);
    restore_output(p);
}

/* Claims up to what the next record suggests; 0: there is nothing that may be begun. The record may be in the act of being
 * overwritten: it is a hint. */
static uint32_t claim(struct process *p, uint32_t *ret_first)
{
    _Atomic uint64_t *word = &p->c->word;
    uint64_t old = atomic_load_explicit(word, memory_order_acquire);

    for (;;) {
        uint32_t next = (uint32_t)old, limit = (uint32_t)(old >> 32), n = limit - next;
        if (n == 0 || !look_afresh(p))
            return 0;
        const struct ring_task *r = next_record(p);
        if (next - r->first >= atomic_load_explicit(&r->count, memory_order_relaxed)) {
            struct ring_cursor after = p->task;
            if (r->bytes && r->bytes < RING_TASKS) {
                ring_advance(&after, r->bytes);
                r = (const struct ring_task *)(const void *)(p->ring.tasks + after.off);
            }
        }
        uint32_t hint = r->claim ? r->claim : 1;
        if (n > hint)
            n = hint;
        if (atomic_compare_exchange_weak(word, &old, (uint64_t)limit << 32 | (uint32_t)(next + n))) {
            *ret_first = next;
            return n;
        }
    }
}

/* ---- life ---- */

static void run_pool_hook(struct process *p, struct wire_bin fn, struct wire_bin args, bool initializer)
{
    struct task_runner *r;
    const struct wire_outcome *o;

    if (fn.n == 0)
        return;
    if (task_runner_new(&r, NULL) < 0)
        _exit(4);
    bool well = task_run_once(r, fn, args, &o);
    if (!well && initializer) {
        snprintf(p->c->init_text, sizeof(p->c->init_text), "initializer: %.*s", (int)o->message.n, o->message.p);
        p->c->init_code = o->code;
        atomic_store(&p->c->state, RING_INIT_FAILED);
        fflush(NULL);
        _exit(1);
    }
    task_runner_free(&r);
    fflush(NULL);
}

static void wait_for_tasks(struct process *p)
{
    struct ring_control *c = p->c;
    uint32_t how = is_empty(p) ? RING_IDLE : RING_EXPIRED;

    notify(p, true);
    atomic_store(&c->sleeping, how);
    if (how == RING_IDLE ? is_empty(p) && !atomic_load(&c->stop) : !is_empty(p) && !look_for_work(p))
        exec_ring_sleep(c, how);
    atomic_store(&c->sleeping, RING_AWAKE);
    check_alive(p);
}

static int high_fd(int fd)
{
    int high = fcntl(fd, F_DUPFD_CLOEXEC, 500);     /* out of the way of tasks that close low numbers */

    if (high < 0)
        return fd;
    close(fd);
    return high;
}

static void settle_process(struct process *p, const struct process_start *s)
{
    char name[16];

    snprintf(name, sizeof(name), "bfork:%u", s->id);
    prctl(PR_SET_NAME, name);
    if (!s->solo) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != s->parent)
            _exit(125);                 /* the template died before */
        setpgid(0, 0);
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    dup2(s->out, 1);
    dup2(s->err, 2);
    p->output[0] = high_fd(s->out);
    p->output[1] = high_fd(s->err);
    if (exec_ring_open(&p->ring, s->ring, false, NULL) < 0)
        _exit(4);
    close(s->ring);
    p->event = high_fd(s->event);
    p->c = p->ring.control;
    p->alive = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p->alive == MAP_FAILED)
        _exit(4);
    madvise((void *)(uintptr_t)p->alive, 4096, MADV_WIPEONFORK);
    *p->alive = 1;
}

void task_process_main(const struct process_start *s)
{
    static struct process process;
    struct process *p = &process;
    uint32_t first, n;

    settle_process(p, s);
    p->task.size = RING_TASKS;
    p->job.size = RING_JOBS;
    p->result.size = RING_RESULTS;
    map_init(&p->jobs);
    p->t.room = room_in_ring;
    p->t.room_ctx = p;
    p->t.slot = (int32_t)s->id;
    task_crash_install(&p->c->obituary);
    run_pool_hook(p, s->spec->initializer, s->spec->args, true);
    if (exec_sweep_has_children())
        p->n_kept = exec_sweep_list(p->kept, KEPT_CHILDREN);
    atomic_store(&p->c->state, RING_READY);
    ring_owner(p);
    for (;;) {
        n = claim(p, &first);
        read_jobs(p);
        if (n)
            run_claimed(p, first, n);
        else if (atomic_load(&p->c->stop) && is_empty(p))
            break;
        else
            wait_for_tasks(p);
    }
    run_pool_hook(p, s->spec->finalizer, s->spec->args, false);
    fflush(NULL);
    atomic_store(&p->c->state, RING_STOPPED);
    _exit(0);
}
