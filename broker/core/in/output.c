/* SPDX-License-Identifier: MPL-2.0
 * output.c - OUTPUT: what tasks have printed becomes pieces on their way to the client, within the windows of its worker
 * (model/said.c).
 */
#include "in.h"

/* Nobody waits for it: it counts no more. up_to: the pieces of its attempt that need not be kept; 0: this tells of none. */
static int give_back_piece(struct broker *b, struct worker *w, const struct wire_item *i, uint64_t up_to)
{
    struct piece *p = brk_mem_new_for(b, w->account, sizeof(*p));

    if (!p)
        return BFORK_ENOMEM;            /* untold, its window would stay as it is */
    *p = (struct piece){ .attempt = i->id, .attempt_seq = up_to, .window = i->job, .size = (uint32_t)i->body.size,
                         .account = w->account };
    list_push_back(&w->taken, &p->node);
    brk_worker_dirty(b, w);
    return 0;
}

/* One that came before, on an earlier connection of the worker: it counts in the window of this one now. On a connection they come
 * in order, so all of them together walk over the attempt's pieces once; what does not is no news. */
static int take_again(struct broker *b, struct worker *w, struct attempt *a, const struct wire_item *i)
{
    const struct list_node *first = list_first(&a->said);
    struct piece *p = NULL;

    if (a->said_peer != w->peer->id) {
        a->said_peer = w->peer->id;
        a->said_again = 0;
        a->said_hint = NULL;
    }
    if (i->seq > a->said_again) {
        struct list_node *n = a->said_hint ? a->said_hint->in_attempt.next : a->said.head.next;
        for (; n != &a->said.head && LIST_ENTRY(n, struct piece, in_attempt)->attempt_seq <= i->seq; n = n->next) {
            a->said_hint = LIST_ENTRY(n, struct piece, in_attempt);
            b->steps++;
        }
        a->said_again = i->seq;
        p = a->said_hint;
    }
    if (p && p->attempt_seq == i->seq && p->peer != w->peer->id) {
        if (!brk_said_fits(b, w->peer, i->job, brk_piece_cost(p)))
            return BFORK_EQUOTA;
        if (map_reserve(&w->peer->said, 1) < 0)
            return BFORK_ENOMEM;        /* uncounted it would open the window too far when it is taken */
        p->peer = w->peer->id;
        p->window = i->job;
        brk_said_use(w->peer, p->window, (int64_t)brk_piece_cost(p));
        return 0;
    }
    /* The client has it, or it was given back as a returned task's: what was said before it may be with this broker alone. */
    return give_back_piece(b, w, i, !first || LIST_ENTRY(first, struct piece, in_attempt)->attempt_seq > i->seq ? i->seq : 0);
}

static struct piece *new_piece(struct broker *b, struct worker *w, struct attempt *a, const struct wire_item *i)
{
    struct account *owner = a->job->owner->account;
    struct piece *p = brk_mem_new_for(b, owner, sizeof(*p));
    struct buf *copy = p && i->body.size ? brk_bytes_copy(owner, i->body.data, i->body.size) : NULL;

    if (!p || (i->body.size && !copy)) {
        brk_mem_free_for(b, owner, p, sizeof(*p));
        return NULL;
    }
    *p = (struct piece){ .attempt = i->id, .attempt_seq = i->seq, .index = i->first, .offset = i->offset, .limit = i->end,
                         .peer = w->peer->id, .window = i->job, .pid = i->pid, .tries = i->tries, .stream = i->stream,
                         .flags = i->flags, .size = (uint32_t)i->body.size, .from = a, .account = owner };
    if (copy)
        p->body = slice_of(copy, 0, i->body.size);
    memcpy(p->host, w->host, sizeof(p->host));
    list_push_back(&a->said, &p->in_attempt);
    return p;
}

static int take_piece(struct broker *b, struct worker *w, const struct wire_item *i)
{
    struct attempt *a = map_get(&b->attempts, i->id);
    struct piece *p;

    if (!a || a->worker != w || !attempt_is_sent(a)) {
        b->n.foreign++;
        brk_attempt_foreign(b, w, i->id);
        return give_back_piece(b, w, i, i->seq);
    }
    if (i->seq <= a->said_seq)                      /* also of one that has ended, of which no tasks are left */
        return take_again(b, w, a, i);
    /* Of a task that was returned: HOLDING told that before the piece came again. What its attempt has said before is not taken
     * with it: a broker that is started anew has that from the worker alone. */
    if (a->state == ATTEMPT_FINISHED || i->first >= a->end)
        return give_back_piece(b, w, i, list_empty(&a->said) ? i->seq : 0);
    /* Else each connection of the worker would open its windows anew. */
    if (!list_empty(&a->said) && LIST_ENTRY(list_last(&a->said), struct piece, in_attempt)->peer != w->peer->id)
        return BFORK_ESTATE;
    if (i->first < a->run.first || i->first >= run_end(&a->run))
        return BFORK_EPROTOCOL;
    uint64_t more = i->body.size + WIRE_OUTPUT_COST;
    if (!brk_said_fits(b, w->peer, i->job, more))
        return BFORK_EQUOTA;
    if (map_reserve(&w->peer->said, 1) < 0 || !(p = new_piece(b, w, a, i)))
        return BFORK_ENOMEM;
    a->said_seq = i->seq;
    brk_said_use(w->peer, i->job, (int64_t)more);
    if (a->job->client && list_empty(&a->job->said))
        brk_said_queue(b, a->job->client, a->job, p);
    else
        list_push_back(&a->job->said, &p->node);
    return 0;
}

void brk_said_take(struct broker *b, struct worker *w, const struct wire_msg *m)
{
    uint32_t i = 0;
    int rc = 0;

    while (i < m->n_items && rc == 0)
        rc = take_piece(b, w, &m->items[i++]);
    if (rc == BFORK_ENOMEM) {
        brk_session_break(b, w->peer);
    } else if (rc == BFORK_EQUOTA) {
        brk_session_fail(b, w->peer, BFORK_EPROTOCOL, "OUTPUT beyond a window of %llu bytes, or in more windows than %u",
                         (unsigned long long)b->c.output_window, w->peer->windows);
    } else if (rc == BFORK_ESTATE) {
        brk_session_fail(b, w->peer, BFORK_EPROTOCOL, "OUTPUT of attempt %llu: piece %llu is new, and what was said on an earlier "
                         "connection and not taken has not come again", (unsigned long long)m->items[i - 1].id,
                         (unsigned long long)m->items[i - 1].seq);
    } else if (rc < 0) {
        brk_session_fail(b, w->peer, rc, "OUTPUT of attempt %llu: task %llu is not among those that were handed out with it",
                         (unsigned long long)m->items[i - 1].id, (unsigned long long)m->items[i - 1].first);
    }
}
