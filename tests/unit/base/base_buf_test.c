/* SPDX-License-Identifier: MPL-2.0
 * base_buf_test.c - references, growth and alignment of bufs; slices; that large bufs are used again, by one thread at a time.
 */
#include "base/buf.h"
#include "base/err.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void data_is_aligned_and_empty(void **state)
{
    (void)state;
    for (size_t n = 0; n < 100; n += 7) {
        struct buf *b = buf_new(n);

        assert_non_null(b);
        assert_int_equal((uintptr_t)b->data % 16, 0);
        assert_int_equal(b->size, 0);
        assert_int_equal(b->capacity, n);
        memset(b->data, 1, n);
        buf_unref(&b);
        assert_null(b);
    }
}

static void appending_keeps_what_is_there(void **state)
{
    struct buf *b = buf_new(0);
    unsigned moves = 0;

    (void)state;
    for (unsigned i = 0; i < 5000; i++) {
        const struct buf *was = b;
        size_t capacity = b->capacity;
        uint8_t byte = (uint8_t)(i * 7);

        assert_int_equal(buf_append(&b, &byte, 1), 0);
        moves += was != b || capacity != b->capacity;
        assert_int_equal((uintptr_t)b->data % 16, 0);
    }
    assert_int_equal(b->size, 5000);
    for (unsigned i = 0; i < 5000; i++)
        assert_int_equal(b->data[i], (uint8_t)(i * 7));
    assert_true(moves < 20);        /* it grows by factors */
    buf_unref(&b);
}

static void an_impossible_reserve_changes_nothing(void **state)
{
    struct buf *b = buf_new(8), *was = b;

    (void)state;
    assert_int_equal(buf_reserve(&b, SIZE_MAX - 4), BASE_ENOMEM);
    assert_ptr_equal(b, was);
    assert_int_equal(b->capacity, 8);
    assert_null(buf_new(SIZE_MAX - 8));
    buf_unref(&b);
}

static int released;
static void release(struct buf *b)
{
    released += *(int *)b->owner;
    buf_free_struct(b);
}

static void the_last_reference_releases(void **state)
{
    int add = 3;
    char bytes[] = "abcdef";
    struct buf *b = buf_wrap(bytes, 6, release, &add), *second;
    struct slice s;

    (void)state;
    released = 0;
    second = buf_ref(b);
    s = slice_ref(slice_of(b, 2, 3));
    buf_unref(&b);
    buf_unref(&second);
    assert_int_equal(released, 0);
    assert_memory_equal(s.data, "cde", 3);
    slice_unref(&s);
    assert_int_equal(released, 3);
    assert_int_equal(s.size, 0);
    buf_unref(&b);                  /* NULL */
    slice_unref(&s);
    assert_int_equal(released, 3);
}

/* What buf_new gave, and what is given back, as many as there are. */
static void fill(struct buf **list, size_t n, size_t capacity)
{
    for (size_t i = 0; i < n; i++) {
        assert_non_null(list[i] = buf_new(capacity));
        assert_true(list[i]->capacity >= capacity && list[i]->size == 0);
        memset(list[i]->data, (int)i, capacity);
    }
}

static void empty(struct buf **list, size_t n)
{
    while (n--)
        buf_unref(&list[n]);
}

static void large_buffers_are_used_again(void **state)
{
    enum { MANY = 20, MIB = 1 << 20 };
    struct buf *list[MANY], *other;
    size_t again = 0;
    const void *last;

    (void)state;
    fill(list, MANY, MIB);
    empty(list, MANY);
    other = buf_new(65536);     /* none of them: most of it would be idle */
    assert_non_null(other);
    assert_true(other->capacity < MIB);
    buf_unref(&other);
    other = buf_new(3 * MIB);   /* too large to be kept */
    assert_non_null(other);
    buf_unref(&other);
    fill(list, MANY, MIB - 1000);
    for (size_t i = 0; i < MANY; i++)
        again += list[i]->capacity == MIB;
    assert_int_equal(again, 8);
    assert_int_equal(buf_append(&list[0], "abc", 3), 0);
    last = list[0]->data;
    buf_unref(&list[0]);
    list[0] = buf_new(MIB);     /* it has room for so much, and is empty */
    assert_non_null(list[0]);
    assert_true(list[0]->data == last && list[0]->size == 0);
    empty(list, MANY);
}

static void *make_and_stamp(void *seed)
{
    uint64_t x = (uint64_t)(uintptr_t)seed;
    struct buf *mine[4] = { NULL };

    for (int i = 0; i < 4000; i++) {
        struct buf **b;

        x = x * 6364136223846793005u + 1442695040888963407u;
        b = &mine[x >> 62];
        if (*b) {
            if (memcmp((*b)->data, b, sizeof(*b)) || memcmp((*b)->data + (*b)->size, b, sizeof(*b)))
                return (void *)1;
            buf_unref(b);
        } else if ((*b = buf_new(65536 + (x >> 40) % 200000))) {
            (*b)->size = (*b)->capacity - 64;
            memcpy((*b)->data, b, sizeof(*b));
            memcpy((*b)->data + (*b)->size, b, sizeof(*b));
        } else {
            return (void *)1;
        }
    }
    for (int i = 0; i < 4; i++)
        buf_unref(&mine[i]);
    return NULL;
}

static void threads_never_share_one(void **state)
{
    pthread_t threads[4];
    void *broken;

    (void)state;
    for (uintptr_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, make_and_stamp, (void *)(i + 1)), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], &broken), 0);
        assert_null(broken);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_is_aligned_and_empty), cmocka_unit_test(appending_keeps_what_is_there),
        cmocka_unit_test(an_impossible_reserve_changes_nothing), cmocka_unit_test(the_last_reference_releases),
        cmocka_unit_test(large_buffers_are_used_again), cmocka_unit_test(threads_never_share_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
