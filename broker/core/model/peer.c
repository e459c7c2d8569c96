/* SPDX-License-Identifier: MPL-2.0
 * peer.c - connections: ready, cut, gone. A cut is an effect; without memory for one it is tried again in the next flush.
 */
#include "model.h"

static void cut_peer(struct broker *b, struct peer *p, int32_t code, const char *why)
{
    struct broker_effect *e;

    p->why = why;
    p->why_code = code;
    if (brk_peer_move(p, PEER_ON_CUT)) {
        p->pong = false;
        if (list_in(&p->dirty))
            list_remove(&b->dirty_peers, &p->dirty);
    }
    if (!(e = brk_effect_new(b, BROKER_CUT))) {
        if (!list_in(&p->cut))
            list_push_back(&b->cuts, &p->cut);
        return;
    }
    if (list_in(&p->cut))
        list_remove(&b->cuts, &p->cut);
    e->peer = p->id;
    e->code = code;
    e->text = why;
}

void brk_peer_cut(struct broker *b, struct peer *p, const char *why) { cut_peer(b, p, 0, why); }

void brk_peer_no_memory(struct broker *b, struct peer *p) { cut_peer(b, p, BFORK_ENOMEM, "out of memory"); }

void brk_peers_cut_again(struct broker *b)
{
    for (LIST_EACH_SAFE(&b->cuts, n, after)) {
        struct peer *p = LIST_ENTRY(n, struct peer, cut);
        cut_peer(b, p, p->why_code, p->why);
    }
}

void brk_peer_ready(struct peer *p, struct account *a)
{
    brk_peer_move(p, PEER_ON_HELLO);
    p->account = brk_account_ref(a);
    brk_account_charge(a, sizeof(*p) + MAP_COST);
}

void brk_peer_free(struct broker *b, struct peer *p)
{
    map_take(&b->peers, p->id);
    if (list_in(&p->cut))
        list_remove(&b->cuts, &p->cut);
    if (list_in(&p->dirty))
        list_remove(&b->dirty_peers, &p->dirty);
    if (p->account)
        brk_account_release(p->account, sizeof(*p) + MAP_COST);
    brk_account_unref(p->account);
    map_free(&p->said);
    brk_mem_free(b, p, sizeof(*p));
}
