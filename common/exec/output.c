/* SPDX-License-Identifier: MPL-2.0
 * output.c - what task processes print: read from their pipes, cut at the ends of tasks, told in whole lines with the task each
 * belongs to. Nothing is dropped but what is over a task's limit, and that is told.
 *
 * Whose bytes are these? A process that has flushed something for a task writes a mark behind it into the same pipe (mark.h): what
 * stands between two marks is one task's. Bytes without a mark are of a task that still runs, or that writes past stdio; they
 * belong to the task that was running before the pipe was emptied and still runs after it. A process that writes past stdio is
 * asked to mark the end of every task (ring_control.attentive), as every process is for its first tasks; when nothing is printed it
 * is let off, and silent tasks pay nothing.
 *
 * Back-pressure: nothing is read while the owner has no room for it, so the pipe fills and the task waits in its write. Results are
 * not pulled before the output of their tasks has been read (exec_proc.visible): output comes first, always.
 */
#include "exec/output.h"
#include "exec/source.h"
#include "base/clock.h"
#include "bfork.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define TURN_READS 16               /* of a pipe in a step: one flooding process does not hold up the others */
#define CHANGES 4                   /* the pipe is emptied again if another task began meanwhile */
#define PIPE_SIZE 65536u            /* what a pipe holds: marks written before are seen after reading so much */
#define BLANK_FIRST 64u             /* marks without bytes, one after the other: the process need not mark every task any more */
#define BLANK_LATER 4096u           /* … once it has written something past stdio */

void exec_output_init(struct output *o, struct exec_template *t, struct exec_proc *p)
{
    memset(o, 0, sizeof(*o));
    o->out = (struct source){ .fd = -1, .kind = SOURCE_OUT, .t = t, .p = p, .patience = BLANK_FIRST };
    o->err = (struct source){ .fd = -1, .kind = SOURCE_ERR, .t = t, .p = p, .patience = BLANK_FIRST };
}

int exec_output_pipe(struct exec *x, struct source *s, int *ret_write, struct err *e)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_errno(e, BFORK_ENOMEM, errno, "cannot make a pipe for a task process's output");
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    s->fd = fds[0];
    int rc = exec_watch(x, s);
    if (rc < 0) {
        close(fds[0]);
        close(fds[1]);
        s->fd = -1;
        return err_errno(e, BFORK_ENOMEM, -rc, "cannot watch a task process's output");
    }
    *ret_write = fds[1];
    return 0;
}

/* ---- telling ---- */

static void tail_add(struct output *o, uint32_t seq, const uint8_t *p, size_t n)
{
    if (o->tail_seq != seq)
        o->tail_used = 0;
    o->tail_seq = seq;
    if (n >= TAIL_SIZE) {
        p += n - TAIL_SIZE;
        n = TAIL_SIZE;
    }
    if (o->tail_used + n > TAIL_SIZE) {
        uint32_t drop = (uint32_t)(o->tail_used + n - TAIL_SIZE);
        memmove(o->tail, o->tail + drop, o->tail_used - drop);
        o->tail_used -= drop;
    }
    memcpy(o->tail + o->tail_used, p, n);
    o->tail_used += (uint32_t)n;
}

static struct output *output_of_source(const struct source *s) { return s->p ? &s->p->output : &s->t->output; }

static struct exec_template *template_of_source(const struct source *s) { return s->p ? s->p->t : s->t; }

static void *user_of_source(const struct source *s)
{
    return s->p ? s->p->user : s->t->solo ? s->t->solo->user : s->t->user;
}

static uint64_t output_limit_of(const struct exec *x, const struct source *s)
{
    uint64_t own = template_of_source(s)->decoded.output_limit;

    return own && own < x->config.output_limit ? own : x->config.output_limit;
}

/* Is seq a task that has no result yet? */
static bool is_unfinished(const struct exec_proc *p, uint32_t seq) { return seq - p->expected < p->limit - p->expected; }

/* The other pipe, if it is at the same task: a task's limit is for both. Of one that a pipe has left behind the other's bytes count
 * alone. */
static const struct source *beside(const struct source *s)
{
    const struct output *o = output_of_source(s);
    const struct source *other = s == &o->out ? &o->err : &o->out;

    return other->counting == s->counting && (!s->counting || other->seq == s->seq) ? other : NULL;
}

/* seq: the task; not that of a pending one: nobody's. */
static void emit(struct exec *x, struct source *s, uint32_t seq, const uint8_t *bytes, size_t n)
{
    struct output *o = output_of_source(s);
    struct exec_print k = { .stream = s->kind == SOURCE_ERR ? 2 : 1, .bytes = bytes, .size = n };

    if (n == 0)
        return;
    /* What a thread prints when no task runs has no task of its own, and may come while results of tasks before wait. A stream
     * never goes back: offsets are counted task by task, and those of a task that is over would begin anew. */
    if (s->p && s->counting && is_unfinished(s->p, s->seq) && (!is_unfinished(s->p, seq) || (int32_t)(seq - s->seq) < 0))
        seq = s->seq;
    if (s->kind == SOURCE_ERR)
        tail_add(o, seq, bytes, n);
    if (s->p && is_unfinished(s->p, seq)) {
        k.in_task = true;
        k.ahead = seq - s->p->expected;
        if (!s->counting || s->seq != seq)
            s->bytes = 0, s->cut = false;
        s->counting = true;
        s->seq = seq;
    }
    const struct source *other = beside(s);
    uint64_t most = output_limit_of(x, s), told = s->bytes + (other ? other->bytes : 0), left = told < most ? most - told : 0;
    s->bytes += n;
    s->cut |= other && other->cut;
    if (s->cut || template_of_source(s)->silent || !x->config.callbacks->output)
        return;
    if (n > left) {
        s->cut = k.cut = true;
        k.limit = most;
        k.size = (size_t)left;
    }
    x->config.callbacks->output(x->config.ctx, user_of_source(s), &k);
}

/* ---- whose ---- */

/* The task the process runs now, or else the first that can have printed what has no mark. */
static uint32_t running(const struct source *s, bool *ret)
{
    const struct exec_proc *p = s->p;
    uint64_t current = p && p->asked ? atomic_load(&p->ring.control->current) : 0;
    uint32_t seq = (uint32_t)(current >> 1);

    *ret = p && current & 1 && is_unfinished(p, seq);
    return *ret ? seq : p && s->marked && is_unfinished(p, s->last_mark + 1) ? s->last_mark + 1 : p ? p->expected : 0;
}

static void be_attentive(struct source *s)
{
    if (!s->p)
        return;
    s->blanks = 0;
    s->patience = BLANK_LATER;
    atomic_store_explicit(&s->p->ring.control->attentive[s->kind == SOURCE_ERR], 1, memory_order_relaxed);
}

/* Tells the first n kept bytes as those of task seq. */
static void tell_kept(struct exec *x, struct source *s, uint32_t seq, size_t n)
{
    if (!n)
        return;
    emit(x, s, seq, s->kept, n);
    memmove(s->kept, s->kept + n, s->n_kept - n);
    s->n_kept -= (uint32_t)n;
    s->guessing = false;
    s->sure = s->sure && s->n_kept;
}

/* How many kept bytes cannot be the beginning of a mark. */
static size_t certain(const struct source *s)
{
    size_t n = s->n_kept, from = n < MARK_SIZE ? 0 : n - (MARK_SIZE - 1);
    const struct exec_proc *p = s->p;

    for (size_t i = from; p && i < n; i++) {
        size_t same = n - i < MARK_NONCE ? n - i : MARK_NONCE;
        if (memcmp(s->kept + i, p->nonce, same) == 0)
            return i;
    }
    return n;
}

/* How many of the first n kept bytes are whole lines. */
static size_t whole_lines(const struct source *s, size_t n)
{
    while (n && s->kept[n - 1] != '\n')
        n--;
    return n;
}

/* The pipe is empty: whole lines are told as they come. */
static void tell_lines(struct exec *x, struct source *s, uint32_t seq)
{
    size_t n = whole_lines(s, certain(s));

    if (s->sure)
        seq = s->since;
    if (!n)
        return;
    tell_kept(x, s, seq, n);
    be_attentive(s);
}

/* Much is kept and has no mark yet: the task that ran when it was so much has printed it, unless a mark that was written before
 * turns up in what the pipe held then. Whole lines of it are told; what has no end of a line at all is a line told in parts. */
static void tell_long(struct exec *x, struct source *s, size_t just_read, bool empty)
{
    bool runs;

    if (!s->guessing) {
        s->guess = running(s, &runs);
        s->guess_n = (uint32_t)whole_lines(s, certain(s));
        if (!s->guess_n)
            s->guess_n = (uint32_t)certain(s);
        s->guess_read = 0;
        s->guessing = true;
    } else {
        s->guess_read += (uint32_t)just_read;
    }
    if (empty || s->guess_read >= PIPE_SIZE) {
        tell_kept(x, s, s->guess, s->guess_n);
        be_attentive(s);
    }
}

/* ---- reading ---- */

static bool keep_room(struct source *s, size_t more)
{
    uint8_t *bigger;

    if (s->n_kept + more <= s->cap)
        return true;
    if (!(bigger = realloc(s->kept, s->n_kept + more)))
        return false;
    s->kept = bigger;
    s->cap = (uint32_t)(s->n_kept + more);
    return true;
}

/* Finds marks in what is kept, from `from` on, and tells what stands before each. */
static void take_marks(struct exec *x, struct source *s, size_t from)
{
    const struct exec_proc *p = s->p;
    const uint8_t *at;
    size_t told = 0;
    uint32_t seq;
    bool runs;

    while (p && from < s->n_kept && (at = memmem(s->kept + from, s->n_kept - from, p->nonce, MARK_NONCE))) {
        size_t n = (size_t)(at - s->kept);
        if (s->n_kept - n < MARK_SIZE)
            break;
        memcpy(&seq, at + MARK_NONCE, sizeof(seq));
        s->blanks = n > told ? 0 : s->blanks + 1;
        if (!is_unfinished(p, seq))
            seq = running(s, &runs);    /* it has the bytes of a mark and is none */
        emit(x, s, seq, s->kept + told, n - told);
        told = from = n + MARK_SIZE;
        s->last_mark = seq;
        s->marked = true;
        s->guessing = s->sure = false;
    }
    if (told) {
        memmove(s->kept, s->kept + told, s->n_kept - told);
        s->n_kept -= (uint32_t)told;
    }
    if (s->blanks > s->patience) {
        atomic_store_explicit(&p->ring.control->attentive[s->kind == SOURCE_ERR], 0, memory_order_relaxed);
        s->blanks = 0;
    }
}

static void park_source(struct exec *x, struct source *s)
{
    s->more = true;
    if (!s->parked)
        epoll_ctl(x->epoll, EPOLL_CTL_DEL, s->fd, NULL);
    s->parked = true;
}

static bool output_has_room(struct exec *x, struct source *s)
{
    const struct exec_callbacks *cb = x->config.callbacks;

    return !s->p || !cb->output_room || template_of_source(s)->silent || cb->output_room(x->config.ctx, user_of_source(s));
}

static void tell_rest(struct exec *x, struct source *s)
{
    bool runs;
    uint32_t seq = running(s, &runs);

    tell_kept(x, s, seq, s->n_kept);
}

/* -EAGAIN: it is empty; 0: at its end; else what was read. */
static ssize_t read_some(struct source *s)
{
    ssize_t n;

    if (!keep_room(s, PIPE_SIZE))
        return -ENOMEM;
    do
        n = read(s->fd, s->kept + s->n_kept, s->cap - s->n_kept);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        s->n_kept += (uint32_t)n;
    return n < 0 ? -errno : n;
}

void exec_output_read(struct exec *x, struct source *s, bool last)
{
    int reads = 0, changes = 0;
    bool ran, runs;

    s->more = false;
    while (s->fd >= 0) {
        uint32_t before = running(s, &ran), after;
        size_t had = s->n_kept;
        if (!last && !output_has_room(x, s)) {
            park_source(x, s);
            return;
        }
        ssize_t n = read_some(s);
        if (n > 0) {
            take_marks(x, s, had > MARK_SIZE ? had - MARK_SIZE : 0);
            if (s->n_kept >= OUTPUT_LINE)
                tell_long(x, s, (size_t)n, false);
            if (!last && ++reads >= TURN_READS) {
                s->more = true;
                return;
            }
            continue;
        }
        if (n == -ENOMEM) {
            s->more = true;             /* nothing is lost: it is in the pipe */
            return;
        }
        if (n != -EAGAIN) {
            exec_unwatch(x, s);
            break;
        }
        after = running(s, &runs);
        if (s->n_kept && runs && (!ran || before != after) && ++changes < CHANGES)
            continue;
        if (s->n_kept && !s->sure && ran && runs && before == after) {
            s->since = after;
            s->sure = true;
        }
        if (s->sure && runs && s->since == after)
            s->ran_at = s->p->snapshot;
        if (s->n_kept >= OUTPUT_LINE)
            tell_long(x, s, 0, true);
        if (s->n_kept && (runs || !s->p))
            tell_lines(x, s, after);
        break;
    }
    if (last || s->fd < 0)
        tell_rest(x, s);
    if (!s->n_kept && s->cap > PIPE_SIZE) {
        free(s->kept);
        s->kept = NULL;
        s->cap = 0;
    }
}

void exec_output_resume(struct exec *x, struct source *s)
{
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = s };

    if (s->fd < 0 || !s->more)
        return;
    exec_output_read(x, s, false);
    if (s->parked && !s->more && s->fd >= 0) {
        epoll_ctl(x->epoll, EPOLL_CTL_ADD, s->fd, &ev);
        s->parked = false;
    }
}

/* A result is about to be pulled: what is left without a mark is told, but for what a task has printed that runs now, or that still
 * ran when all results were there that may be pulled. */
void exec_output_settle(struct exec_proc *p)
{
    struct source *both[2] = { &p->output.out, &p->output.err };

    for (int i = 0; i < 2; i++) {
        struct source *s = both[i];
        size_t n = s->n_kept ? certain(s) : 0;
        bool runs;
        uint32_t now = running(s, &runs);
        if (!n || (s->sure && ((runs && s->since == now) || s->ran_at >= p->visible)))
            continue;
        tell_kept(p->x, s, s->sure ? s->since : s->marked && is_unfinished(p, s->last_mark + 1) ? s->last_mark + 1 : p->expected,
                  n);
        be_attentive(s);
    }
}

void exec_output_close(struct exec *x, struct output *o)
{
    exec_unwatch(x, &o->out);
    exec_unwatch(x, &o->err);
    free(o->out.kept);
    free(o->err.kept);
    o->out.kept = o->err.kept = NULL;
    o->out.n_kept = o->err.n_kept = o->out.cap = o->err.cap = 0;
}
