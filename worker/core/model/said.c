/* SPDX-License-Identifier: MPL-2.0
 * said.c - what tasks have printed: pieces of attempts, kept until the client has taken them, and the windows that they count in.
 *
 * A window counts what is sent and not taken: each pool has one, and each lane that has no pool, or not yet. Every piece names
 * the one it counts in, and so does the broker when it is taken, also when lane and attempt are gone. What waits (said_waits) is
 * what was read before the window was known to be full, and the last words of processes. While either is too much, nothing more is
 * read, and in the end nothing started: a reader that is stuck stops its own tasks, and only those that print.
 *
 * stdout and stderr are two pipes, read one after the other: of a process that has run on, what several tasks have printed to the
 * one comes before what they have printed to the other. So each stream is at a task of its own, and results wait for both.
 *
 * A task that has printed may be pushed again in the same attempt: its template has ended, or its process for no fault of this
 * task. Then a piece without bytes, whose try is one more, says so: what the task prints behind that begins anew.
 */
#include "model/model.h"

#include <stdlib.h>
#include <string.h>

#define ANEW_MOST 1000u             /* rounds that are told apart: more than an attempt ever has */

static uint64_t window_cost(const struct piece *p) { return p->body.size + WIRE_OUTPUT_COST; }

static int stream_of(const struct piece *p) { return p->stream == 2; }

static void window_end(struct worker *w, struct window *v)
{
    if (v->out || !list_empty(&v->lanes))
        return;
    map_take(&w->windows, v->id);
    if (v->pool)
        map_take(&w->pool_windows, v->pool);
    free(v);
}

static struct window *window_new(struct worker *w, uint32_t pool)
{
    struct window *v = calloc(1, sizeof(*v));

    if (!v || map_reserve(&w->windows, 1) < 0 || map_reserve(&w->pool_windows, 1) < 0) {
        free(v);
        return NULL;
    }
    v->id = wrk_number_next(&w->windows, &w->last_window);
    v->pool = pool;
    list_init(&v->lanes);
    map_put(&w->windows, v->id, v);
    if (pool)
        map_put(&w->pool_windows, pool, v);
    return v;
}

/* NULL: no memory. */
struct window *wrk_window_of(struct worker *w, struct lane *l)
{
    if (!l->window) {
        struct window *v = l->bound ? map_get(&w->pool_windows, l->pool) : NULL;
        if (!v && !(v = window_new(w, l->bound ? l->pool : 0)))
            return NULL;
        l->window = v;
        list_push_back(&v->lanes, &l->in_window);
    }
    return l->window;
}

void wrk_said_leave(struct worker *w, struct lane *l)
{
    struct window *v = l->window;

    if (!v)
        return;
    list_remove(&v->lanes, &l->in_window);
    l->window = NULL;
    window_end(w, v);
}

void wrk_said_end(struct worker *w)
{
    uint64_t id;
    void *v;

    for (LIST_EACH(&w->lanes, n))
        LIST_ENTRY(n, struct lane, all)->window = NULL;
    for (size_t i = 0; map_next(&w->windows, &i, &id, &v);) {
        while (list_pop(&((struct window *)v)->lanes))
            continue;
        free(v);
    }
    map_free(&w->windows);
    map_free(&w->pool_windows);
    map_init(&w->windows);
    map_init(&w->pool_windows);
}

static void forget_piece(struct piece *p)
{
    slice_unref(&p->body);
    free(p);
}

static struct piece *cut_piece(struct attempt *a, uint64_t index, const struct worker_print *k)
{
    int stream = k->stream == 2;
    struct piece *p = calloc(1, sizeof(*p));
    struct buf *b = p && k->size ? buf_new(k->size) : NULL;

    if (!p || (k->size && !b)) {
        free(p);
        return NULL;
    }
    if (b) {
        memcpy(b->data, k->bytes, k->size);
        b->size = k->size;
        p->body = slice_of(b, 0, k->size);
    }
    if (a->said_index[stream] != index) {
        a->said_index[stream] = index;
        a->said_offset[stream] = 0;
    }
    p->seq = ++a->said_seq;
    p->index = index;
    p->offset = a->said_offset[stream];
    p->limit = k->cut ? k->limit : 0;
    p->pid = k->pid;
    p->stream = (uint8_t)k->stream;
    p->cut = k->cut;
    p->again = index < a->anew_end ? a->anew : 0;
    a->said_offset[stream] += k->size;
    if (a->said_from >= a->said_end)
        a->said_from = a->said_end = index;
    a->said_from = index < a->said_from ? index : a->said_from;
    a->said_end = index >= a->said_end ? index + 1 : a->said_end;
    return p;
}

static void append_piece(struct worker *w, struct attempt *a, struct piece *p)
{
    if (a->said_tail)
        a->said_tail->next = p;
    else
        a->said = p;
    a->said_tail = p;
    if (a->said_last[stream_of(p)])
        a->said_last[stream_of(p)]->next_same = p;
    a->said_last[stream_of(p)] = p;
    if (!a->to_say)
        a->to_say = p;
    if (!a->to_say_of[stream_of(p)])
        a->to_say_of[stream_of(p)] = p;
    a->job->lane->said_waits += window_cost(p);
    if (!list_in(&a->saying))
        list_push_back(&w->saying, &a->saying);
}

bool wrk_said_add(struct worker *w, struct attempt *a, uint64_t index, const struct worker_print *k)
{
    struct piece *p = cut_piece(a, index, k);

    if (p)
        append_piece(w, a, p);
    return p != NULL;
}

void wrk_said_anew(struct worker *w, struct attempt *a, uint64_t first, uint64_t count)
{
    uint64_t i = first > a->said_from ? first : a->said_from, end = first + count < a->said_end ? first + count : a->said_end;

    if (i >= end)
        return;
    if ((!a->anew || i < a->anew_at) && a->anew < ANEW_MOST)
        a->anew++;
    for (int stream = 0; stream < 2; stream++)
        if (i <= a->said_index[stream] && a->said_index[stream] < end)
            a->said_offset[stream] = 0;
    for (; i < end; i++) {
        struct piece *p = calloc(1, sizeof(*p));
        if (!p)
            break;                      /* its first piece will say it */
        p->seq = ++a->said_seq;
        p->index = i;
        p->stream = 1;
        p->again = a->anew;
        append_piece(w, a, p);
    }
    a->anew_at = end;
    a->anew_end = end > a->anew_end ? end : a->anew_end;
    if (a->said_from >= first)
        a->said_from = end;             /* else one before them has printed, and may be pushed again, too */
}

bool wrk_said_full(const struct worker *w, const struct lane *l) { return l->said_waits >= 2 * w->config.output_window; }

static bool is_before(const struct piece *p, uint64_t end) { return p && p->index < end; }

bool wrk_said_blocks(const struct attempt *a, const struct record *r)
{
    uint64_t end = run_end(&r->run);

    /* anew: pieces are not in the order of tasks, not even of one stream */
    return a->to_say && (a->anew || is_before(a->to_say_of[0], end) || is_before(a->to_say_of[1], end));
}

/* Its pieces up to seq are not needed any more. */
static void drop(struct worker *w, struct attempt *a, uint64_t seq)
{
    for (struct piece *p; (p = a->said) && p->seq <= seq;) {
        a->said = p->next;
        if (a->said_last[stream_of(p)] == p)
            a->said_last[stream_of(p)] = NULL;
        if (a->to_say_of[stream_of(p)] == p)
            a->to_say_of[stream_of(p)] = p->next_same;
        if (p == a->to_say) {
            a->to_say = p->next;
            a->job->lane->said_waits -= window_cost(p);
        } else if (a->to_say && p->seq > a->to_say->seq) {
            a->job->lane->said_waits -= window_cost(p);
        }
        forget_piece(p);
    }
    if (!a->said)
        a->said_tail = NULL;
    if (!a->to_say && list_in(&a->saying))
        list_remove(&w->saying, &a->saying);
}

void wrk_said_free(struct worker *w, struct attempt *a)
{
    if (!a->said)
        return;
    drop(w, a, UINT64_MAX);
    wrk_lane_dirty(w, a->job->lane);
}

void wrk_said_taken(struct worker *w, const struct wire_item *i)
{
    struct window *v = map_get(&w->windows, i->job);
    struct attempt *a = map_get(&w->by_attempt, i->id);

    if (v) {
        v->out -= i->size < v->out ? i->size : v->out;
        for (LIST_EACH(&v->lanes, n))
            wrk_lane_dirty(w, LIST_ENTRY(n, struct lane, in_window));
        window_end(w, v);
    }
    if (a && i->seq <= a->said_seq && (!a->to_say || i->seq < a->to_say->seq))
        drop(w, a, i->seq);
}

bool wrk_window_has_room(const struct worker *w, const struct window *v, const struct piece *p)
{
    return !v->out || v->out + window_cost(p) <= w->config.output_window;
}

void wrk_said_sent(struct attempt *a, struct window *v)
{
    struct piece *p = a->to_say;

    a->job->lane->said_waits -= window_cost(p);
    v->out += window_cost(p);
    a->to_say = p->next;
    a->to_say_of[stream_of(p)] = p->next_same;
}

/* A new connection: nothing is on the way, and everything not taken goes out again. */
void wrk_said_resend(struct worker *w)
{
    wrk_said_end(w);
    for (LIST_EACH(&w->attempts, n)) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, all);

        for (struct piece *p = a->said; p && p != a->to_say; p = p->next)
            a->job->lane->said_waits += window_cost(p);
        a->to_say = a->said;
        a->to_say_of[0] = a->to_say_of[1] = NULL;
        for (struct piece *p = a->said; p && !(a->to_say_of[0] && a->to_say_of[1]); p = p->next)
            if (!a->to_say_of[stream_of(p)])
                a->to_say_of[stream_of(p)] = p;
        if (a->to_say && !list_in(&a->saying))
            list_push_back(&w->saying, &a->saying);
    }
}
