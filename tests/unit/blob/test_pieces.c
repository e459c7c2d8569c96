/* SPDX-License-Identifier: MPL-2.0
 * test_pieces.c - what is asked for, what is taken, who has a place: without sockets, files or a clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "blob/pieces.h"
#include "blob/share.h"

#define PIECE 1000000u
#define LIMIT 5000u

static uint64_t offset;
static uint32_t size;

static bool next(struct blob_pieces *p, uint64_t now) { return blob_pieces_next(p, now, &offset, &size); }

static void the_size_comes_with_the_first_piece(void **state)
{
    struct blob_pieces p;

    (void)state;
    blob_pieces_init(&p, 0, PIECE);
    assert_true(next(&p, 0));
    assert_int_equal(size, PIECE);
    assert_false(next(&p, 0));
    assert_int_equal(blob_pieces_got(&p, 0, 0, PIECE, 2 * PIECE + 5), BLOB_TAKE);
    assert_true(next(&p, 0));
    assert_true(next(&p, 0));
    assert_int_equal(offset, 2 * PIECE);
    assert_int_equal(size, 5);
    assert_false(next(&p, 0));
    assert_int_equal(blob_pieces_got(&p, 0, PIECE, PIECE, 2 * PIECE + 5), BLOB_TAKE);
    assert_false(blob_pieces_complete(&p));
    assert_int_equal(blob_pieces_got(&p, 0, 2 * PIECE, 5, 2 * PIECE + 5), BLOB_TAKE);
    assert_true(blob_pieces_complete(&p));
}

static void an_empty_blob_is_complete_with_its_first_piece(void **state)
{
    struct blob_pieces p;

    (void)state;
    blob_pieces_init(&p, 0, PIECE);
    assert_true(next(&p, 0));
    assert_int_equal(blob_pieces_got(&p, 0, 0, 0, 0), BLOB_TAKE);
    assert_true(blob_pieces_complete(&p));
    assert_false(next(&p, 0));
}

static void a_short_piece_is_asked_on_from_the_gap(void **state)
{
    struct blob_pieces p;

    (void)state;
    blob_pieces_init(&p, 0, PIECE);
    assert_true(next(&p, 0));
    assert_int_equal(blob_pieces_got(&p, 0, 0, PIECE, 10 * PIECE), BLOB_TAKE);
    for (int i = 0; i < 4; i++)
        assert_true(next(&p, 0));
    assert_int_equal(blob_pieces_got(&p, 0, PIECE, 5000, 10 * PIECE), BLOB_TAKE);
    for (uint64_t i = 2; i < 5; i++) {
        assert_int_equal(blob_pieces_got(&p, 0, i * PIECE, PIECE, 10 * PIECE), BLOB_DROP);
        assert_int_equal(p.got, PIECE + 5000);
    }
    assert_true(next(&p, 0));
    assert_int_equal(offset, PIECE + 5000);
    assert_int_equal(size, 5000);               /* what it gives, so that nothing more is dropped */
    assert_int_equal(blob_pieces_got(&p, 0, offset, 1, 10 * PIECE), BLOB_TAKE);
    assert_true(next(&p, 0));
    assert_int_equal(size, BLOB_PIECE_MIN);
}

static void only_what_was_asked_for_is_looked_at(void **state)
{
    struct blob_pieces p;

    (void)state;
    blob_pieces_init(&p, 0, PIECE);
    assert_int_equal(blob_pieces_got(&p, 0, 0, 5, 5), BLOB_DROP);
    assert_true(next(&p, 0));
    assert_int_equal(blob_pieces_got(&p, 0, 7, 5, 50), BLOB_DROP);
    assert_false(p.known);
    assert_int_equal(blob_pieces_got(&p, 0, 0, 20, 50), BLOB_TAKE);
    assert_int_equal(blob_pieces_got(&p, 0, 0, 20, 50), BLOB_DROP);
    assert_true(next(&p, 0));
    assert_int_equal(blob_pieces_got(&p, 0, 20, 30, 51), BLOB_WRONG);      /* another total */
    blob_pieces_cut(&p, 0);
    assert_true(next(&p, 0));
    assert_int_equal(blob_pieces_got(&p, 0, 20, 31, 50), BLOB_WRONG);      /* over the end */
    blob_pieces_cut(&p, 0);
    assert_true(next(&p, 0));
    assert_int_equal(blob_pieces_got(&p, 0, 20, 0, 50), BLOB_WRONG);       /* nothing */
}

static void r09_bytes_now_and_then_are_silence(void **state)
{
    struct blob_pieces p;
    uint64_t now = 0;

    (void)state;
    blob_pieces_init(&p, 0, PIECE);
    assert_false(blob_pieces_stalled(&p, 100 * LIMIT, LIMIT));      /* nobody was asked */
    assert_true(next(&p, now));
    assert_false(blob_pieces_stalled(&p, now + LIMIT, LIMIT));
    assert_true(blob_pieces_stalled(&p, now + LIMIT + 1, LIMIT));
    assert_int_equal(blob_pieces_got(&p, now, 0, PIECE, 9 * PIECE), BLOB_TAKE);
    now += LIMIT;
    assert_true(next(&p, now) && next(&p, now));
    assert_int_equal(blob_pieces_got(&p, now + LIMIT, PIECE, 1, 9 * PIECE), BLOB_TAKE);
    assert_true(blob_pieces_stalled(&p, now + LIMIT + 1, LIMIT));
    assert_int_equal(blob_pieces_got(&p, now + LIMIT + 2, 2 * PIECE, PIECE, 9 * PIECE), BLOB_DROP);
    blob_pieces_cut(&p, now + LIMIT + 3);
    assert_true(next(&p, now + LIMIT + 3));
    assert_int_equal(offset, PIECE + 1);
    assert_false(blob_pieces_stalled(&p, now + LIMIT + 4, LIMIT));
}

static void r09_every_owner_has_a_place(void **state)
{
    struct blob_share s;
    uint8_t key[WIRE_KEY] = { 0 }, late[WIRE_KEY] = { 200 };

    (void)state;
    blob_share_init(&s, 4, 2);
    for (uint8_t k = 0; k < 9; k++) {
        key[0] = k;
        assert_true(blob_share_take(&s, key));
        assert_int_equal(blob_share_take(&s, key), k < 2);      /* a second one only while there are some */
        assert_false(blob_share_take(&s, key));
    }
    assert_true(blob_share_take(&s, late));
    assert_int_equal(blob_share_of(&s, late), 1);
    blob_share_give(&s, late);
    assert_int_equal(blob_share_of(&s, late), 0);
    assert_int_equal(s.taken, 11);
    key[0] = 0;
    blob_share_give(&s, key);
    blob_share_give(&s, key);
    assert_int_equal(s.taken, 9);
    blob_share_done(&s);
    assert_int_equal(s.taken, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_size_comes_with_the_first_piece),
        cmocka_unit_test(an_empty_blob_is_complete_with_its_first_piece),
        cmocka_unit_test(a_short_piece_is_asked_on_from_the_gap),
        cmocka_unit_test(only_what_was_asked_for_is_looked_at),
        cmocka_unit_test(r09_bytes_now_and_then_are_silence),
        cmocka_unit_test(r09_every_owner_has_a_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
