/* SPDX-License-Identifier: MPL-2.0
 * wire_item_test.c - cutting items: both parts together are the whole, wherever the cut is.
 */
#include "bfork.h"
#include "wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t body[24] = "abcdefghijklmnopqrstuvw";
static const uint8_t lens[] = { 3, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0 };

static void cut_everywhere(const struct wire_item *i)
{
    for (uint32_t n = 0; n <= i->count; n++) {
        struct wire_item head, rest, self = *i;
        uint32_t bytes = 0;

        for (uint32_t k = 0; k < n; k++)
            bytes += wire_len_at(i, k);
        wire_item_cut(i, n, &head, &rest);
        assert_true(head.first == i->first && head.count == n && rest.first == i->first + n && rest.count == i->count - n);
        assert_true(head.body.data == i->body.data && head.body.size == bytes);
        assert_true(rest.body.data == i->body.data + bytes && rest.body.size == i->body.size - bytes);
        assert_true(head.sum_ns + rest.sum_ns == i->sum_ns && head.id == i->id && rest.tries == i->tries);
        for (uint32_t k = 0; k < i->count; k++)
            assert_int_equal(k < n ? wire_len_at(&head, k) : wire_len_at(&rest, k - n), wire_len_at(i, k));
        if (!(i->flags & WIRE_FIXED))
            assert_true(head.size == bytes && rest.size == i->size - bytes && head.lens.size == 4 * n &&
                        rest.lens.size == 4 * rest.count);
        wire_item_cut(&self, n, &head, &self);      /* in place */
        assert_true(self.first == rest.first && self.body.data == rest.body.data && self.count == rest.count);
    }
}

static void every_cut_of_plain_items(void **state)
{
    struct wire_item uneven = { .id = 9,
                                .first = 100,
                                .count = 4,
                                .size = 9,
                                .tries = 2,
                                .sum_ns = 1001,
                                .lens = slice_borrow(lens, 16),
                                .body = slice_borrow(body, 9) };
    struct wire_item fixed = { .id = 9, .first = UINT64_MAX - 6, .count = 6, .size = 4, .flags = WIRE_FIXED, .sum_ns = UINT64_MAX,
                               .body = slice_borrow(body, 24) };

    (void)state;
    cut_everywhere(&uneven);
    cut_everywhere(&fixed);
}

static void the_document_of_an_outcome_stays_whole(void **state)
{
    struct wire_item i = { .first = 5, .count = 10, .kind = WIRE_OUTCOME, .size = 8, .body = slice_borrow(body, 8) }, head, rest;

    (void)state;
    wire_item_cut(&i, 4, &head, &rest);
    assert_true(head.count == 4 && rest.count == 6 && rest.first == 9 && head.body.size == 8 && rest.body.data == i.body.data);
}

static void a_range_without_bytes(void **state)
{
    struct wire_item i = { .job = 3, .first = 5, .count = 10 }, head, rest;

    (void)state;
    wire_item_cut(&i, 4, &head, &rest);
    assert_true(head.count == 4 && rest.count == 6 && rest.first == 9 && head.body.size == 0 && rest.body.size == 0);
}

/* Each part has the share of the time that it has of the tasks, and nothing is lost. */
static void a_cut_divides_the_time(void **state)
{
    struct wire_item i = { .first = 5, .count = 10, .sum_ns = 1003 }, head, rest;

    (void)state;
    wire_item_cut(&i, 4, &head, &rest);
    assert_int_equal(head.sum_ns, 401);
    assert_int_equal(rest.sum_ns, 602);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_cut_of_plain_items),
                                        cmocka_unit_test(the_document_of_an_outcome_stays_whole),
                                        cmocka_unit_test(a_cut_divides_the_time), cmocka_unit_test(a_range_without_bytes) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
