/* SPDX-License-Identifier: MPL-2.0
 * compose.c - for each peer that has something due its messages (out/worker.c, out/client.c), and what is acknowledged.
 *
 * Never decides what is sent, only when.
 */
#include "out.h"

/* A worker whose question is answered has heard before what it has lost: it goes on with what it holds. */
static void compose_acks(struct broker *b)
{
    struct list_node *n;

    for (size_t turns = b->dirty_peers.count; turns && (n = list_pop(&b->dirty_peers)); turns--) {
        struct peer *p = LIST_ENTRY(n, struct peer, dirty);
        struct wire_msg *m;
        if (p->worker && !list_empty(&p->worker->closing)) {
            list_push_back(&b->dirty_peers, &p->dirty);
            b->again = true;
            continue;
        }
        if (p->worker && worker_is_behind(p->worker))
            continue;                       /* it is dirty again when it has joined */
        if (!p->pong && p->consumed - p->told < b->c.window_bytes / 4)
            continue;
        if (!(m = brk_effect_send(b, p, WIRE_PONG))) {
            brk_peer_no_memory(b, p);
            return;
        }
        m->u.ping.stamp = p->pong ? p->stamp : 0;
        m->request = p->pong ? p->pong_request : 0;
        p->pong = false;
    }
}

void brk_compose_run(struct broker *b)
{
    struct list_node *n;
    size_t turns = b->dirty_workers.count;

    while (turns-- && (n = list_pop(&b->dirty_workers)))
        brk_compose_worker(b, LIST_ENTRY(n, struct worker, dirty));
    turns = b->dirty_clients.count;
    while (turns-- && (n = list_pop(&b->dirty_clients)))
        brk_compose_client(b, LIST_ENTRY(n, struct client, dirty));
    compose_acks(b);
}
