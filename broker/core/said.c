/* SPDX-License-Identifier: MPL-2.0
 * said.c - what tasks have printed, on its way from workers to clients: pieces, forwarded at once, kept until the client has taken
 * them, then told to their worker, which is what keeps its window open.
 *
 * A piece is in the list of its client, or of its job while that is parked. Pieces of a task are with the client before its
 * outcome: they come from the worker before its result and are composed before outcomes. What a worker may send is bounded by
 * windows, which it names itself: it has one for each pool, and for each lane that has none yet, and only it knows which of its
 * tasks are in which lane when pools come and go. So we count what it says, and limit how many windows there can be: one for each
 * pool that it was granted on this connection, and for each attempt that it brought. What is kept is so bounded by the workers of a
 * pool; it is charged to the owner's account, and to the worker's from then on until that is told. Very many workers make it very
 * much: what is taken, given back or handed over goes on over turns.
 */
#include "state.h"

uint64_t brk_piece_cost(const struct piece *p) { return p->size + WIRE_OUTPUT_COST; }

static uint64_t used(const struct peer *p, uint32_t window) { return (uint64_t)(uintptr_t)map_get(&p->said, window); }

void brk_said_use(struct peer *p, uint32_t window, int64_t bytes)
{
    void **at = map_at(&p->said, window);
    uint64_t now = at ? (uint64_t)(uintptr_t)*at : 0;

    now = bytes < 0 && (uint64_t)-bytes > now ? 0 : now + (uint64_t)bytes;
    if (at && now)
        *at = (void *)(uintptr_t)now;
    else if (at)
        map_take(&p->said, window);
    else if (now)
        map_put(&p->said, window, (void *)(uintptr_t)now); /* there was room for it: see brk_said_take */
}

/* Has it room for so much in this window, or for one window more? */
bool brk_said_fits(const struct broker *b, const struct peer *p, uint32_t window, uint64_t more)
{
    uint64_t before = used(p, window);

    return before ? before + more <= b->c.output_window : p->said.count < p->windows;
}

static void free_piece(struct broker *b, struct piece *p)
{
    slice_unref(&p->body);
    brk_mem_free_for(b, p->account, p, sizeof(*p));
}

/* The client has it, or nobody wants it: its worker is told, if it is still there on the connection it came by. */
static void note_taken(struct broker *b, struct piece *p)
{
    struct peer *from = map_get(&b->peers, p->peer);

    slice_unref(&p->body);
    if (list_in(&p->in_attempt)) {
        if (p->from->said_hint == p)
            p->from->said_hint = NULL;          /* those before it have gone before it */
        list_remove(&p->from->said, &p->in_attempt);
    }
    if (!from || !from->worker || from->state == PEER_CUT) {
        free_piece(b, p);
        return;
    }
    brk_said_use(from, p->window, -(int64_t)brk_piece_cost(p));
    brk_account_release(p->account, sizeof(*p));
    p->account = from->worker->account;
    brk_account_charge(p->account, sizeof(*p));
    list_push_back(&from->worker->taken, &p->node);
    brk_worker_dirty(b, from->worker);
}

void brk_said_queue(struct broker *b, struct client *c, struct job *j, struct piece *p)
{
    p->job = j->handle;
    p->seq = ++c->said_seq;
    list_push_back(&c->said, &p->node);
    if (!c->unsaid && !c->said_again)
        c->unsaid = p;
    brk_client_dirty(b, c);
}

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
    return give_back_piece(b, w, i, i->seq);        /* the client has it */
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

    if (!a || a->worker != w || !a->sent) {
        b->n.foreign++;
        brk_attempt_foreign(b, w, i->id);
        return give_back_piece(b, w, i, i->seq);
    }
    if (i->seq <= a->said_seq)                      /* also of one that has ended, of which no tasks are left */
        return take_again(b, w, a, i);
    /* Of a task that was returned: HOLDING told that before the piece came again. What its attempt has said before is not taken
     * with it: a broker that is started anew has that from the worker alone. */
    if (a->state == ATTEMPT_FINISHED)
        return give_back_piece(b, w, i, list_empty(&a->said) ? i->seq : 0);
    /* Else each connection of the worker would open its windows anew. */
    if (!list_empty(&a->said) && LIST_ENTRY(list_last(&a->said), struct piece, in_attempt)->peer != w->peer->id)
        return BFORK_ESTATE;
    if (i->first < a->s.first || i->first >= a->s.first + a->s.count)
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

/* The job has got a client: what came before is for it. Outcomes wait for that. */
bool brk_said_bind(struct broker *b, struct job *j, uint32_t *budget)
{
    struct list_node *n;

    if (list_empty(&j->said))
        return true;
    for (; *budget && (n = list_pop(&j->said)); --*budget) {
        b->steps++;
        brk_said_queue(b, j->client, j, LIST_ENTRY(n, struct piece, node));
    }
    brk_job_sending(b, j);
    return list_empty(&j->said);
}

bool brk_said_ack_some(struct broker *b, struct client *c, uint32_t *budget)
{
    struct list_node *n;

    for (; (n = list_first(&c->said)) && LIST_ENTRY(n, struct piece, node) != c->unsaid &&
           LIST_ENTRY(n, struct piece, node)->seq <= c->said_acked; --*budget) {
        if (!*budget)
            return false;
        b->steps++;
        list_remove(&c->said, n);
        note_taken(b, LIST_ENTRY(n, struct piece, node));
    }
    if (c->said_again) {
        c->said_again = false;
        brk_said_resend(b, c);
        brk_client_dirty(b, c);         /* outcomes have waited for it */
    }
    return true;
}

void brk_said_ack(struct broker *b, struct client *c, uint64_t seq)
{
    if (seq > c->said_sent) {
        brk_session_fail(b, c->peer, BFORK_EPROTOCOL, "OUTPUT_ACK up to %llu, but only %llu were sent", (unsigned long long)seq,
                         (unsigned long long)c->said_sent);
        return;
    }
    c->said_acked = seq > c->said_acked ? seq : c->said_acked;
    if (!brk_said_ack_some(b, c, brk_chore_budget(b, c->owner)))
        brk_chore_add(b, c->owner, &c->said_ack, CHORE_SAID_ACK);
}

void brk_said_room(struct broker *b, struct client *c)
{
    if (!c->said_held || !c->peer || c->peer->sent - c->peer->acked >= c->peer->window)
        return;
    c->said_held = false;
    brk_client_dirty(b, c);
}

/* A new connection of the client. */
void brk_said_resend(struct broker *b, struct client *c)
{
    struct list_node *n = list_first(&c->said);

    if ((c->said_again = list_in(&c->said_ack.node)))
        n = NULL;                       /* what it has acknowledged goes first */
    c->unsaid = n ? LIST_ENTRY(n, struct piece, node) : NULL;
    c->said_held = false;
    if (n)
        brk_client_dirty(b, c);
}

bool brk_said_drop(struct broker *b, struct list *pieces, uint32_t *budget)
{
    struct list_node *n;

    for (; *budget && (n = list_pop(pieces)); --*budget) {
        b->steps++;
        note_taken(b, LIST_ENTRY(n, struct piece, node));
    }
    return list_empty(pieces);
}

/* Pieces outlive their attempt. */
void brk_said_orphan(struct attempt *a)
{
    while (list_pop(&a->said))
        continue;
    a->said_hint = NULL;
}

void brk_said_forget(struct broker *b, struct worker *w)
{
    struct list_node *n;

    while ((n = list_pop(&w->taken)))
        free_piece(b, LIST_ENTRY(n, struct piece, node));
}

void brk_said_item(const struct piece *p, struct wire_item *i)
{
    i->id = p->attempt;
    i->seq = p->seq;
    i->job = p->job;
    i->count = 1;
    i->first = p->index;
    i->offset = p->offset;
    i->flags = p->flags;
    i->size = p->size;
    i->pid = p->pid;
    i->tries = p->tries;
    i->stream = p->stream;
    i->end = p->limit;
    i->body = p->body;
}

/* Records for OUTPUT_TAKEN, at most n; pieces that follow each other are one record. */
size_t brk_said_taken_items(struct broker *b, struct worker *w, struct wire_item *items, size_t n)
{
    size_t k = 0;

    for (struct list_node *m; (m = list_first(&w->taken));) {
        struct piece *p = LIST_ENTRY(m, struct piece, node);
        struct wire_item *last = k ? &items[k - 1] : NULL;
        if (!last || last->id != p->attempt || last->job != p->window || last->size > UINT32_MAX - brk_piece_cost(p)) {
            if (k == n)
                break;
            last = &items[k++];
            last->id = p->attempt;
            last->job = p->window;
        }
        last->seq = p->attempt_seq > last->seq ? p->attempt_seq : last->seq;
        last->size += (uint32_t)brk_piece_cost(p);
        list_remove(&w->taken, m);
        free_piece(b, p);
    }
    return k;
}
