/* SPDX-License-Identifier: MPL-2.0
 * buf.h - reference-counted bytes, and slices of them.
 *
 * A buf owns memory; a slice points into one and may hold a reference. What travels between the cores is slices, so that a core
 * can pass a body on without copying it. It is copied where it cannot stay in the memory it came in: into what a core keeps, into
 * and out of the rings of task processes, into the caller's array. The client of a local map copies arguments and results five
 * times in all. References are atomic: a future may outlive the thread that drove its session. Contents are written by one owner
 * before they are shared and never change afterwards.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    _Atomic uint32_t refs;
    uint8_t *data;
    size_t size;                    /* bytes used */
    size_t capacity;                /* bytes that data has room for; also what quotas count */
    void (*release)(struct buf *b); /* frees data and b; called when the last reference goes */
    void *owner;                    /* for release */
};

struct slice {
    struct buf *buf;                /* NULL: the bytes are kept alive by somebody else for as long as the slice is used */
    const uint8_t *data;
    size_t size;
};

/* A buf with room for capacity bytes behind it in one allocation; size 0. NULL: out of memory. */
struct buf *buf_new(size_t capacity);
/* A buf around bytes of somebody else; release(b) is called at the end and frees b by buf_free_struct(). NULL: out of memory. */
struct buf *buf_wrap(void *data, size_t size, void (*release)(struct buf *b), void *owner);
void buf_free_struct(struct buf *b);
/* Room for `more` bytes after size; may move data, so only while nobody else holds it. 0 or BASE_ENOMEM (unchanged). */
int buf_reserve(struct buf **b, size_t more);
int buf_append(struct buf **b, const void *data, size_t size);
static inline struct buf *buf_ref(struct buf *b)
{
    if (b)
        atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}
void buf_unref(struct buf **b);     /* NULL-safe, sets NULL */

static inline struct slice slice_none(void) { return (struct slice){ NULL, NULL, 0 }; }
static inline struct slice slice_of(struct buf *b, size_t from, size_t size) { return (struct slice){ b, b->data + from, size }; }
static inline struct slice slice_borrow(const void *p, size_t n) { return (struct slice){ NULL, (const uint8_t *)p, n }; }
static inline struct slice slice_ref(struct slice s) { buf_ref(s.buf); return s; }
static inline struct slice slice_part(struct slice s, size_t from, size_t size)
{
    return (struct slice){ s.buf, from ? s.data + from : s.data, size };
}
static inline void slice_unref(struct slice *s) { buf_unref(&s->buf); *s = slice_none(); }

#endif
