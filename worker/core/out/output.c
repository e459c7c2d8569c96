/* SPDX-License-Identifier: MPL-2.0
 * output.c - what tasks have printed becomes OUTPUT within the window of its pool, at most one message a turn, before results.
 */
#include "out/out.h"

#include <string.h>

static void fill_output(struct worker *w, struct wire_item *i, const struct attempt *a, const struct piece *p,
                        const struct window *v)
{
    memset(i, 0, sizeof(*i));
    i->id = a->id;
    i->seq = p->seq;
    i->job = v->id;
    i->first = p->index;
    i->count = 1;
    i->flags = WIRE_FIXED | (p->cut ? WIRE_CUT : 0);
    i->size = (uint32_t)p->body.size;
    i->offset = p->offset;
    i->end = p->limit;
    i->pid = p->pid;
    i->tries = (uint16_t)(a->run.tries + a->run.crashes + 1u + p->again);
    i->stream = p->stream;
    i->body = p->body;
    wrk_effect_keep(w, p->body);
}

/* Puts pieces of a into the message until nothing is left (true) or it or the window is full. */
static bool put_pieces(struct worker *w, struct attempt *a, struct window *v, uint32_t *n, size_t *body)
{
    for (struct piece *p; (p = a->to_say);) {
        if (!wrk_window_has_room(w, v, p))
            return false;
        if (*n == RESULTS_ITEMS || (*n && *body + p->body.size > RESULTS_BODY)) {
            w->again = true;
            return false;
        }
        fill_output(w, &w->pieces[(*n)++], a, p, v);
        *body += p->body.size;
        wrk_said_sent(a, v);
    }
    return true;
}

void wrk_said_flush(struct worker *w)
{
    uint32_t n = 0;
    size_t body = 0;

    if (w->link != LINK_UP || w->pieces_used || list_empty(&w->saying))
        return;
    for (LIST_EACH_SAFE(&w->saying, o, after)) {
        struct attempt *a = LIST_ENTRY(o, struct attempt, saying);
        struct window *v = wrk_window_of(w, a->job->lane);

        if (!v) {
            wrk_link_drop(w, "out of memory");  /* all of it goes out again */
            return;
        }
        if (put_pieces(w, a, v, &n, &body))
            list_remove(&w->saying, &a->saying);
        if (a->unsent && !list_in(&a->out))
            list_push_back(&w->out, &a->out);   /* its results waited behind this */
    }
    if (!n)
        return;
    struct wire_msg *m = wrk_link_send(w, WIRE_OUTPUT);

    m->items = w->pieces;
    m->n_items = n;
    w->pieces_used = true;
    w->out_bytes += body;
}
