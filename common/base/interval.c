/* SPDX-License-Identifier: MPL-2.0
 * interval.c - see interval.h. A treap: a search tree by `first`, a heap by rank. Invariants: `up` is the inverse of left and
 * right; no member's rank is above that of the one over it.
 */
#include "base/interval.h"

#include <assert.h>

static uint32_t next_rank(struct intervals *t)      /* splitmix64, Steele, Lea, Flood 2014 */
{
    uint64_t x = t->seed += 0x9e3779b97f4a7c15u;

    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)(x >> 32) | 1u;
}

static void count(const struct intervals *t, uint64_t n)
{
    if (t->steps)
        *t->steps += n;
}

static struct interval **link_of(struct intervals *t, struct interval *v)
{
    return !v->up ? &t->root : v->up->left == v ? &v->up->left : &v->up->right;
}

/* v goes up one level. */
static void rotate_up(struct intervals *t, struct interval *v)
{
    struct interval *p = v->up, **at = link_of(t, p), *moved;

    if (p->left == v) {
        moved = v->right;
        p->left = moved;
        v->right = p;
    } else {
        moved = v->left;
        p->right = moved;
        v->left = p;
    }
    if (moved)
        moved->up = p;
    v->up = p->up;
    p->up = v;
    *at = v;
    count(t, 1);
}

static void hang(struct intervals *t, struct interval *v, struct interval **at, struct interval *up)
{
    v->left = v->right = NULL;
    v->up = up;
    v->rank = next_rank(t);
    *at = v;
    t->count++;
    while (v->up && v->up->rank < v->rank)
        rotate_up(t, v);
}

void interval_put(struct intervals *t, struct interval *v)
{
    struct interval **at = &t->root, *up = NULL;

    assert(v->first < v->end && !v->rank);
    while (*at) {
        up = *at;
        assert(v->end <= up->first || v->first >= up->end);
        at = v->first < up->first ? &up->left : &up->right;
        count(t, 1);
    }
    hang(t, v, at, up);
}

void interval_put_time(struct intervals *t, struct interval *v)
{
    struct interval **at = &t->root, *up = NULL;

    assert(!v->rank);
    while (*at) {
        up = *at;
        at = v->first < up->first ? &up->left : &up->right;
        count(t, 1);
    }
    hang(t, v, at, up);
}

void interval_take(struct intervals *t, struct interval *v)
{
    assert(v->rank);
    while (v->left && v->right)
        rotate_up(t, v->left->rank > v->right->rank ? v->left : v->right);
    struct interval *child = v->left ? v->left : v->right;
    *link_of(t, v) = child;
    if (child)
        child->up = v->up;
    v->left = v->right = v->up = NULL;
    v->rank = 0;
    t->count--;
    count(t, 1);
}

struct interval *interval_at(const struct intervals *t, uint64_t index)
{
    struct interval *best = NULL;

    for (struct interval *v = t->root; v;) {
        count(t, 1);
        if (v->end > index) {
            best = v;
            v = v->left;
        } else {
            v = v->right;
        }
    }
    return best;
}

struct interval *interval_first(const struct intervals *t)
{
    struct interval *v = t->root;

    while (v && v->left) {
        count(t, 1);
        v = v->left;
    }
    return v;
}

struct interval *interval_last(const struct intervals *t)
{
    struct interval *v = t->root;

    while (v && v->right) {
        count(t, 1);
        v = v->right;
    }
    return v;
}

struct interval *interval_next(const struct interval *v)
{
    if (v->right) {
        struct interval *n = v->right;
        while (n->left)
            n = n->left;
        return n;
    }
    while (v->up && v->up->right == v)
        v = v->up;
    return v->up;
}

struct interval *interval_prev(const struct interval *v)
{
    if (v->left) {
        struct interval *n = v->left;
        while (n->right)
            n = n->right;
        return n;
    }
    while (v->up && v->up->left == v)
        v = v->up;
    return v->up;
}
