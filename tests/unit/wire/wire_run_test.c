/* SPDX-License-Identifier: MPL-2.0
 * wire_run_test.c - runs of tasks: whatever is kept, appended, cut, parted, trimmed and skipped, each task has its bytes, each byte
 * is counted, every reference is given back, and without memory nothing changes.
 */
#include "base/err.h"
#include "wire/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TASKS = 20000, PARTS = 2000, LONGEST = 8192 };
enum layout { EQUAL, EMPTY, VARIED, SOME_LARGE, LAYOUTS };

static uint64_t seed;
static int buffers;             /* that live */
static int rooms_left;          /* so many may still be made; -1: any number */

static uint32_t random_below(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

static uint32_t task_size(uint64_t index, enum layout layout)
{
    switch (layout) {
    case EQUAL: return 100;
    case VARIED: return (uint32_t)(index * 2654435761u % 57);
    case SOME_LARGE: return index % 300 == 299 ? 5000 : 8;
    default: return 0;
    }
}

static uint8_t task_byte(uint64_t index, uint32_t k) { return (uint8_t)(index * 131 + k * 7 + 3); }

static void buffer_gone(struct buf *b)
{
    buffers--;
    free(b->data);
    buf_free_struct(b);
}

static struct buf *room(void *ctx, size_t capacity)
{
    uint8_t *data;
    struct buf *b;
    (void)ctx;

    if (rooms_left == 0)
        return NULL;
    if (rooms_left > 0)
        rooms_left--;
    data = malloc(capacity);
    assert_non_null(data);
    b = buf_wrap(data, 0, buffer_gone, NULL);
    assert_non_null(b);
    b->capacity = capacity;
    buffers++;
    return b;
}

static int keep(void *ctx, struct slice from, struct slice *ret)
{
    struct buf *b;

    if (from.buf) {
        *ret = slice_ref(from);
        return 0;
    }
    if (!(b = room(ctx, from.size)))
        return BASE_ENOMEM;
    memcpy(b->data, from.data, from.size);
    b->size = from.size;
    *ret = slice_of(b, 0, from.size);
    return 0;
}

static const struct run_memory copying = { .room = room, .keep = keep, .least = 512, .most = 131072, .small = 4096 };
static const struct run_memory sharing = { .room = room, .keep = keep, .least = 65536, .most = 65536, .small = 16384,
                                           .shares = true };

static void check(const struct run *r, enum layout layout)
{
    uint64_t bytes = 0;
    const uint8_t *p = r->body.data;

    for (uint32_t k = 0; k < r->count; k++) {
        uint64_t index = r->first + k;

        assert_int_equal(run_len(r, k), task_size(index, layout));
        for (uint32_t n = 0; n < run_len(r, k); n++)
            if (p[bytes + n] != task_byte(index, n))
                fail_msg("task %llu has another byte %u", (unsigned long long)index, n);
        bytes += run_len(r, k);
    }
    assert_int_equal(r->body.size, bytes);
    assert_int_equal(r->lens.size, r->flags & WIRE_FIXED ? 0 : 4 * (uint64_t)r->count);
    assert_true(r->flags & WIRE_FIXED || !r->count || r->size == bytes);
}

static struct run view_of(uint64_t index, enum layout layout, uint8_t bytes[LONGEST])
{
    uint32_t size = task_size(index, layout);

    for (uint32_t k = 0; k < size; k++)
        bytes[k] = task_byte(index, k);
    return (struct run){ .first = index, .count = 1, .size = size, .flags = WIRE_FIXED, .body = slice_borrow(bytes, size) };
}

static size_t take_in(const struct run_memory *m, struct run_arena *a, enum layout layout, struct run *parts)
{
    uint8_t bytes[LONGEST];
    size_t n = 0;

    for (uint64_t i = 0; i < TASKS; i++) {
        struct run v = view_of(i, layout, bytes);

        if (n && run_append(m, NULL, a, &parts[n - 1], &v))
            continue;
        assert_true(n < PARTS);
        assert_int_equal(run_keep(m, NULL, a, &v, &parts[n++]), 0);
    }
    return n;
}

/* A part is looked at in every way that leaves it as it is. */
static void look(const struct run *r, enum layout layout)
{
    uint32_t from = random_below(r->count + 1), n = random_below(r->count - from + 1), fit;
    uint64_t limit = random_below(3000);
    struct run_cursor c = { 0, 0 };
    struct run part = run_part(r, from, n), same, t = *r, s = *r;

    check(&part, layout);
    assert_true(part.first == r->first + from && part.count == n && part.body.buf == r->body.buf);
    run_seek(r, &c, from + n);
    run_seek(r, &c, from);
    same = run_from(r, &c, n);
    assert_true(same.first == part.first && same.count == n);
    assert_true(same.body.size == part.body.size && same.lens.size == part.lens.size);
    check(&same, layout);
    run_ref(&t);
    run_ref(&s);
    run_trim(&t, n);
    run_skip(&s, from);
    assert_true(run_end(&t) == r->first + n && run_end(&s) == run_end(r));
    check(&t, layout);
    check(&s, layout);
    run_done(&t);
    run_done(&s);
    fit = run_fit(r, UINT32_MAX, limit);
    part = run_part(r, 0, fit);
    assert_true(fit >= 1 && (fit == 1 || run_bytes(&part) <= limit));
    if (fit < r->count) {
        part = run_part(r, 0, fit + 1);
        assert_true(run_bytes(&part) > limit);
    }
}

static void every_task_keeps_its_bytes(void **state)
{
    static struct run parts[PARTS];
    (void)state;

    for (int how = 0; how < 2 * LAYOUTS; how++) {
        enum layout layout = (enum layout)(how / 2);
        struct run_arena a = { 0 };
        uint64_t next = 0;
        size_t n;

        seed = (uint64_t)how + 1;
        rooms_left = -1;
        n = take_in(how % 2 ? &sharing : &copying, &a, layout, parts);
        for (size_t k = 0; k < n; k++) {
            struct run rest = parts[k];
            uint64_t bytes = run_bytes(&rest), seen = 0;

            assert_int_equal(rest.first, next);
            next = run_end(&rest);
            check(&rest, layout);
            while (rest.count) {
                struct run head;
                uint32_t count = 1 + random_below(rest.count), before = rest.count;
                uint32_t looked = run_cut(&rest, count, &head);

                assert_true(looked <= before / 2 && head.count == count && run_end(&head) == rest.first);
                check(&head, layout);
                check(&rest, layout);
                look(&head, layout);
                seen += run_bytes(&head);
                run_done(&head);
            }
            assert_true(seen == bytes || parts[k].flags & WIRE_FIXED);
        }
        assert_int_equal(next, TASKS);
        run_arena_done(&a);
        assert_int_equal(buffers, 0);
    }
}

/* A run of a thousand small tasks must not cost a thousand allocations, nor one of many sizes. */
static void neighbours_share_slabs(void **state)
{
    static struct run parts[PARTS];
    struct run_arena a = { 0 };
    size_t n;
    (void)state;

    rooms_left = -1;
    n = take_in(&copying, &a, VARIED, parts);
    assert_in_range(n, 1, 32);
    while (n--)
        run_done(&parts[n]);
    run_arena_done(&a);
    assert_int_equal(buffers, 0);
}

static void strangers_are_not_appended(void **state)
{
    struct run_arena a = { 0 };
    struct run t, v, other;
    uint8_t bytes[LONGEST];
    struct buf *b;
    (void)state;

    rooms_left = -1;
    v = view_of(0, EQUAL, bytes);
    assert_int_equal(run_keep(&copying, NULL, &a, &v, &t), 0);
    v = view_of(2, EQUAL, bytes);
    assert_false(run_append(&copying, NULL, &a, &t, &v));
    for (int how = 0; how < 4; how++) {
        v = view_of(1, EQUAL, bytes);
        v.tries += how == 0;
        v.crashes += how == 1;
        v.fails += how == 2;
        v.flags |= how == 3 ? WIRE_SEALED : 0;
        assert_false(run_append(&copying, NULL, &a, &t, &v));
    }
    v = view_of(1, EQUAL, bytes);
    assert_int_equal(run_keep(&copying, NULL, &a, &v, &other), 0);      /* behind t: no longer the end of the slab */
    run_done(&other);
    assert_false(run_append(&copying, NULL, &a, &t, &v));
    run_done(&t);
    run_arena_done(&a);

    assert_int_equal(run_keep(&sharing, NULL, &a, &v, &t), 0);          /* bytes with a buffer are kept in it */
    b = room(NULL, 100);
    b->size = 100;
    memset(b->data, 0, 100);
    v.first++;
    v.body = slice_of(b, 0, 100);
    assert_false(run_append(&sharing, NULL, &a, &t, &v));
    assert_int_equal(run_keep(&sharing, NULL, &a, &v, &other), 0);
    assert_ptr_equal(other.body.data, b->data);
    run_done(&other);
    run_done(&t);
    buf_unref(&b);
    run_arena_done(&a);
    assert_int_equal(buffers, 0);
}

static void without_memory_nothing_changes(void **state)
{
    struct run_arena a = { 0 };
    struct run t, v, before;
    uint8_t bytes[LONGEST];
    static const uint8_t lens[] = { 1, 0, 0, 0, 2, 0, 0, 0 };
    (void)state;

    v = (struct run){ .first = 0, .count = 2, .size = 3, .lens = slice_borrow(lens, 8), .body = slice_borrow("abc", 3) };
    for (rooms_left = 0; rooms_left < 2;) {
        int left = rooms_left;

        memset(&t, 0xee, sizeof(t));
        before = t;
        assert_int_equal(run_keep(&copying, NULL, &a, &v, &t), BASE_ENOMEM);
        assert_memory_equal(&t, &before, sizeof(t));
        run_arena_done(&a);
        a = (struct run_arena){ 0 };
        assert_int_equal(buffers, 0);
        rooms_left = left + 1;
    }
    rooms_left = 1;
    v = view_of(0, VARIED, bytes);
    v.body = slice_borrow(bytes, v.size = 4);
    assert_int_equal(run_keep(&copying, NULL, &a, &v, &t), 0);
    before = t;
    v.first = 1;
    v.body.size = v.size = 3;                   /* another size: lengths are needed, for which there is no room */
    assert_false(run_append(&copying, NULL, &a, &t, &v));
    assert_memory_equal(&t, &before, sizeof(t));
    run_done(&t);
    run_arena_done(&a);
    assert_int_equal(buffers, 0);
}

static void items_and_runs_are_the_same_tasks(void **state)
{
    static const uint8_t lens[] = { 1, 0, 0, 0, 2, 0, 0, 0 };
    struct wire_item i = { .first = 7, .count = 2, .size = 3, .tries = 1, .crashes = 2, .lens = slice_borrow(lens, 8),
                           .body = slice_borrow("abc", 3) }, back = { .id = 9 };
    struct run r = run_of_item(&i);
    (void)state;

    assert_true(r.first == 7 && r.count == 2 && r.size == 3 && r.tries == 1 && r.crashes == 2 && !r.fails && run_bytes(&r) == 11);
    run_to_item(&r, &back);
    assert_true(back.id == 9 && back.first == 7 && back.count == 2 && back.size == 3 && back.tries == 1 && back.crashes == 2);
    assert_true(back.lens.data == lens && back.body.size == 3);
    i.count = 1;
    i.lens.size = 4;
    r = run_of_item(&i);
    assert_true(r.flags & WIRE_FIXED && r.size == 3 && !r.lens.size && r.count == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_keeps_its_bytes),
        cmocka_unit_test(neighbours_share_slabs),
        cmocka_unit_test(strangers_are_not_appended),
        cmocka_unit_test(without_memory_nothing_changes),
        cmocka_unit_test(items_and_runs_are_the_same_tasks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
