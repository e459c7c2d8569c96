/* SPDX-License-Identifier: MPL-2.0
 * interval.h - disjoint intervals of indexes, found in O(log n): which range, attempt or outcome has task i?
 *
 * Intrusive, so putting in and taking out need no memory and cannot fail. A treap: its ranks come from the owner's seeded
 * generator, so no peer can make it deep. The bounds of a member may be moved in place as long as it stays disjoint from its
 * neighbours and not empty: a chunk that is cut off the front, or results that come in, cost no search.
 */
#ifndef BASE_INTERVAL_H
#define BASE_INTERVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct interval {
    struct interval *left, *right, *up;
    uint64_t first, end;            /* [first, end) */
    uint32_t rank;                  /* 0: in no tree */
    uint32_t kind;                  /* the owner's: what contains this member */
};

/* steps: where members looked at are counted; NULL: nowhere */
struct intervals { struct interval *root; size_t count; uint64_t seed; uint64_t *steps; };

static inline void intervals_init(struct intervals *t, uint64_t seed, uint64_t *steps)
{
    *t = (struct intervals){ .seed = seed, .steps = steps };
}
void interval_put(struct intervals *t, struct interval *v);         /* asserts that it overlaps nothing */
/* A queue of times: by `first` alone, those with the same in the order in which they came. Such a tree is for interval_first,
 * interval_next and interval_take; members may be of any length. */
void interval_put_time(struct intervals *t, struct interval *v);
void interval_take(struct intervals *t, struct interval *v);
struct interval *interval_at(const struct intervals *t, uint64_t index);        /* the first that ends behind index; NULL: none */
struct interval *interval_first(const struct intervals *t);
struct interval *interval_last(const struct intervals *t);
struct interval *interval_next(const struct interval *v);
struct interval *interval_prev(const struct interval *v);
static inline bool interval_in(const struct interval *v) { return v->rank != 0; }

#define INTERVAL_ENTRY(v, type, member) ((type *)(void *)((char *)(v) - offsetof(type, member)))
/* for (INTERVAL_EACH(t, lo, hi, v)): members that touch [lo, hi); v may be taken out inside the body. */
#define INTERVAL_EACH(t, lo, hi, v)                                                                               \
    struct interval *v = interval_at((t), (lo)), *v##_after = v ? interval_next(v) : NULL; v && v->first < (hi); \
    v = v##_after, v##_after = v ? interval_next(v) : NULL

#endif
