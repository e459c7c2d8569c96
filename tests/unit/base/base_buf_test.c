/* SPDX-License-Identifier: MPL-2.0
 * base_buf_test.c - references, growth and alignment of bufs; slices.
 */
#include "base/buf.h"
#include "base/err.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_is_aligned_and_empty), cmocka_unit_test(appending_keeps_what_is_there),
        cmocka_unit_test(an_impossible_reserve_changes_nothing), cmocka_unit_test(the_last_reference_releases),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
