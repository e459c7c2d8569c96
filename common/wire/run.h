/* SPDX-License-Identifier: MPL-2.0
 * run.h - consecutive tasks of one job with their bytes: the one shape in which tasks wait, travel and come back.
 *
 * A run owns a reference to each of its slices, or none: a *view*, which lives as long as what it was made from, and tells which
 * buffers its bytes are in, so that references can be taken. Bytes behind a run never change; only the owner of an arena appends,
 * behind everything that was handed out. Nothing here looks into a body, and nothing fails halfway: false or BASE_ENOMEM means that
 * nothing has changed.
 *
 * Layout: WIRE_FIXED, `size` bytes for each task and no lengths; else a length of 32 bits, little-endian, for each task, and `size`
 * bytes of all together. Cost of cut, part, skip and trim: nothing for WIRE_FIXED, else a look at the lengths of the shorter side,
 * so that each task is looked at O(log n) times however a run is cut up.
 */
#ifndef WIRE_RUN_H
#define WIRE_RUN_H

#include "wire/wire.h"

struct run {
    uint64_t first;                     /* index of the first task */
    uint32_t count;                     /* 0: empty */
    uint32_t size;
    uint16_t flags;                     /* of wire_item.flags */
    uint16_t tries, crashes, fails;     /* of each of its tasks, so far */
    struct slice lens, body;
};

static inline uint64_t run_end(const struct run *r) { return r->first + r->count; }
static inline uint64_t run_bytes(const struct run *r) { return r->lens.size + r->body.size; }   /* as windows and accounts count */
uint32_t run_len(const struct run *r, uint32_t k);      /* bytes of its k-th task */

/* A view of an item's tasks; one task alone is WIRE_FIXED. */
struct run run_of_item(const struct wire_item *i);
/* The columns of an item that say which tasks these are, and their bytes. */
void run_to_item(const struct run *r, struct wire_item *i);

struct run run_part(const struct run *r, uint32_t from, uint32_t n);   /* a view of tasks [from, from + n) of it */
void run_ref(struct run *r);                    /* a view of bytes with buffers becomes an owner */
void run_done(struct run *r);                   /* its references are given back; it is empty */

/* Its first n tasks (1 … count) become *ret_head; both own. Returns how many lengths were looked at. */
uint32_t run_cut(struct run *r, uint32_t n, struct run *ret_head);
void run_skip(struct run *r, uint32_t n);       /* without the first n */
void run_trim(struct run *r, uint32_t n);       /* only the first n */
uint32_t run_fit(const struct run *r, uint32_t n, uint64_t bytes);      /* how many of the first n fit into them; at least 1 */

/* Where one is in a run, going on from task to task: k tasks, of `at` bytes, are passed. { 0, 0 } is the beginning. */
struct run_cursor { uint32_t k; uint64_t at; };
void run_seek(const struct run *r, struct run_cursor *c, uint32_t k);   /* forward or back; looks at the lengths between */
/* A view of the n tasks from the cursor on (n up to what is left), which stays. */
struct run run_from(const struct run *r, const struct run_cursor *c, uint32_t n);

/* ---- small bytes end to end, so that a task costs no allocation ------------------------------------------------------------- */

/* How a part keeps bytes. */
struct run_memory {
    struct buf *(*room)(void *ctx, size_t capacity);    /* a buffer for a slab; NULL: no memory */
    /* bytes that are not copied into a slab: sets a slice with a reference of its own. 0 or BASE_ENOMEM */
    int (*keep)(void *ctx, struct slice from, struct slice *ret);
    uint32_t least, most;                       /* capacity of the first slab, which doubles from slab to slab up to `most` */
    uint32_t small;                             /* fewer bytes are copied into a slab … */
    bool shares;                                /* … but not those that have a buffer, which is kept */
};

struct run_slab { struct buf *buf; size_t capacity; };
struct run_arena { struct run_slab lens, body; };

/* The tasks of a view become a run that owns its bytes. 0 or BASE_ENOMEM. */
int run_keep(const struct run_memory *m, void *ctx, struct run_arena *a, const struct run *view, struct run *ret);
/* The tasks of a view, behind the last run that was kept or appended to: false if they are not neighbours of the same kind, or
 * there is no room behind it. */
bool run_append(const struct run_memory *m, void *ctx, struct run_arena *a, struct run *tail, const struct run *view);
void run_arena_done(struct run_arena *a);

#endif
