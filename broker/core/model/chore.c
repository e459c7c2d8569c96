/* SPDX-License-Identifier: MPL-2.0
 * chore.c - the lists of chores: work that one message asked for and that is too much for a turn goes on a little in each, for
 * its owner.
 *
 * Only notes them; chores.c carries them out. One that waits for room in a limit is not asked again before something of its owner
 * has ended. Invariant: an owner is in b->busy if and only if it has chores that do not wait.
 */
#include "model.h"

void brk_chore_add(struct broker *b, struct owner *o, struct chore *c, enum chore_kind kind)
{
    if (list_in(&c->node))
        return;
    c->kind = kind;
    c->round = 0;
    list_push_back(&o->chores, &c->node);
    if (!list_in(&o->busy))
        list_push_back(&b->busy, &o->busy);
}

void brk_chore_wait(struct broker *b, struct owner *o, struct chore *c, enum chore_kind kind)
{
    (void)b;
    if (list_in(&c->node))
        return;
    c->kind = kind;
    c->round = o->round;
    list_push_back(&o->waiting, &c->node);
}

void brk_chores_room(struct broker *b, struct owner *o)
{
    if (list_empty(&o->waiting))
        return;
    list_append(&o->chores, &o->waiting);
    o->round++;
    if (!list_in(&o->busy))
        list_push_back(&b->busy, &o->busy);
}

void brk_chore_forget(struct broker *b, struct owner *o, struct chore *c)
{
    if (!list_in(&c->node))
        return;
    list_remove(c->round == o->round ? &o->waiting : &o->chores, &c->node);
    if (list_empty(&o->chores) && list_in(&o->busy))
        list_remove(&b->busy, &o->busy);
}

uint32_t *brk_chore_budget(struct broker *b, struct owner *o)
{
    if (o->turn != b->turn) {
        o->turn = b->turn;
        o->budget = b->c.turn_steps;
    }
    return &o->budget;
}
