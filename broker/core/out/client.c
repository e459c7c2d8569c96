/* SPDX-License-Identifier: MPL-2.0
 * client.c - from what has changed to messages for a client: states of pools, what is assigned, output, outcomes. No outcome
 * overtakes output. Only what fits; the rest waits for the next flush.
 */
#include "out.h"

struct gather { struct outcome *found[WIRE_ITEMS_MAX]; struct job *jobs[WIRE_ITEMS_MAX]; size_t n; uint64_t bytes, cost; };

static void pool_states(struct broker *b, struct client *c)
{
    struct list_node *n;

    while ((n = list_first(&c->states))) {
        if (!brk_pool_say(b, LIST_ENTRY(n, struct pool, news), 0)) {
            b->again = true;
            return;
        }
        list_remove(&c->states, n);
    }
}

static void assigned(struct broker *b, struct client *c)
{
    size_t n = brk_out_most(c->assigning.count), i;
    struct wire_item *items = n ? brk_out_items(b, n) : NULL;

    if (!items)
        return;
    for (i = 0; i < n; i++) {
        struct attempt *a = LIST_ENTRY(list_pop(&c->assigning), struct attempt, out);
        list_push_back(&c->told, &a->out);
        a->told = true;
        items[i].id = a->id;
        items[i].job = a->job->handle;
        items[i].first = a->next;
        items[i].count = (uint32_t)(a->end - a->next);
        items[i].tries = a->run.tries;
        items[i].crashes = a->run.crashes;
    }
    brk_out_message(b, c->peer, WIRE_ASSIGNED, items, n);
}

static void outcome_item(const struct job *j, const struct outcome *o, struct wire_item *it)
{
    it->id = o->seq;
    it->job = j->handle;
    run_to_item(&o->run, it);
    it->kind = o->kind;
    it->pid = o->pid;
    it->sum_ns = o->sum_ns;
    it->attempt = o->attempt ? o->attempt->id : 0;
}

/* Unsent outcomes of one job, as many as fit. false: full. */
static bool gather(struct client *c, struct job *j, struct gather *g)
{
    for (struct list_node *n = &j->unsent->node; n != &j->outcomes.head; n = n->next) {
        struct outcome *o = LIST_ENTRY(n, struct outcome, node);
        uint64_t bytes = run_bytes(&o->run);
        if (g->n == WIRE_ITEMS_MAX || (g->n && g->bytes + bytes > WIRE_BODY_MAX) ||
            (c->sent_unacked + g->cost && c->sent_unacked + g->cost + outcome_cost(o) > c->window))
            return false;
        g->found[g->n] = o;
        g->jobs[g->n++] = j;
        g->bytes += bytes;
        g->cost += outcome_cost(o);
    }
    return true;
}

/* Of all its jobs, as many as fit; those that say nothing any more leave. What is behind the message, or the turn, is not looked
 * at. */
static void gather_all(struct broker *b, struct client *c, struct gather *g)
{
    uint32_t budget = b->c.turn_steps;

    g->n = 0;
    g->bytes = g->cost = 0;
    for (LIST_EACH_SAFE(&c->sending, k, after)) {
        struct job *j = LIST_ENTRY(k, struct job, sending);
        if (!budget--) {
            b->again = true;
            brk_client_dirty(b, c);
            return;
        }
        b->steps++;
        if (job_is_ending(j) || job_mute(j))
            list_remove(&c->sending, k);
        else if (!gather(c, j, g))
            return;
    }
}

static void outcomes(struct broker *b, struct client *c)
{
    struct gather g;
    struct wire_item *items;
    struct wire_msg *m;

    gather_all(b, c, &g);
    if (!g.n)
        return;
    if (!(items = brk_out_items(b, g.n))) {
        brk_client_dirty(b, c);
        return;
    }
    for (size_t i = 0; i < g.n; i++) {
        struct outcome *o = g.found[i];
        struct job *j = g.jobs[i];
        outcome_item(j, o, &items[i]);
        brk_out_hold(b, &items[i]);
        j->sent_seq = o->seq > j->sent_seq ? o->seq : j->sent_seq;
        brk_outcome_costs(b, j, 0, (int64_t)outcome_cost(o));
        j->unsent = o->node.next == &j->outcomes.head ? NULL : LIST_ENTRY(o->node.next, struct outcome, node);
        if (!j->unsent)
            list_remove(&c->sending, &j->sending);
    }
    m = brk_out_message(b, c->peer, WIRE_OUTCOMES, items, g.n);
    if (!(c->features & WIRE_FEATURE_GROWTH))
        m->u.records.stride = WIRE_OUTCOMES_V1;
    c->peer->sent += g.bytes;
    if (!list_empty(&c->sending)) {
        struct list_node *n = list_pop(&c->sending);
        list_push_back(&c->sending, n);
        if (c->sent_unacked < c->window) {
            b->again = true;
            brk_client_dirty(b, c);
        }
    }
}

static void piece_record(const struct piece *p, struct wire_item *i)
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

/* Pieces of output from one host, as many as one message, the window and the turn take; false: none now, no memory or no room. */
static bool said_message(struct broker *b, struct client *c, uint32_t *budget)
{
    uint64_t out = c->peer->sent - c->peer->acked, room = out < c->peer->window ? c->peer->window - out : 0;
    struct piece *p = c->unsaid, *end = p;
    struct wire_item *items;
    uint64_t bytes = 0;
    size_t n = 0;
    char *host;

    if (p->size > room && out) {
        c->said_held = true;        /* until it has acknowledged: see brk_said_room */
        return false;
    }
    room = room < WIRE_BODY_MAX ? room : WIRE_BODY_MAX;
    for (; end && n < WIRE_ITEMS_MAX && n < *budget && (!n || bytes + end->size <= room) && !strcmp(end->host, p->host); n++) {
        bytes += end->size;
        end = end->node.next == &c->said.head ? NULL : LIST_ENTRY(end->node.next, struct piece, node);
    }
    if (!(items = brk_out_items(b, n)) || !(host = brk_effect_bytes(b, sizeof(p->host)))) {
        b->again = true;
        return false;
    }
    memcpy(host, p->host, sizeof(p->host));
    for (size_t i = 0; i < n; i++, p = LIST_ENTRY(p->node.next, struct piece, node)) {
        piece_record(p, &items[i]);
        brk_out_hold(b, &items[i]);
        c->said_sent = p->seq > c->said_sent ? p->seq : c->said_sent;
    }
    c->unsaid = end;
    *budget -= (uint32_t)n;
    b->steps += n;
    brk_out_message(b, c->peer, WIRE_OUTPUT, items, n)->u.output = (struct wire_output){ .host = WIRE_STR(host) };
    c->peer->sent += bytes;
    return true;
}

void brk_compose_client(struct broker *b, struct client *c)
{
    uint32_t budget = b->c.turn_steps;

    pool_states(b, c);
    assigned(b, c);
    while (c->unsaid && budget && said_message(b, c, &budget))
        continue;                       /* what its window and a turn take */
    if (!c->unsaid && !c->said_again) {
        outcomes(b, c);                 /* none may overtake output */
    } else if (c->unsaid && !c->said_held) {
        b->again = true;
        brk_client_dirty(b, c);
    }
    if (!list_empty(&c->states) || !list_empty(&c->assigning)) {
        b->again = true;
        brk_client_dirty(b, c);
    }
}
