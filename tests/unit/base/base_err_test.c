/* SPDX-License-Identifier: MPL-2.0
 * base_err_test.c - texts of failures: set, prefixed, cut at whole characters.
 */
#include "base/err.h"
#include "bfork.h"

#include <errno.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void codes_are_the_public_ones(void **state)
{
    (void)state;
    assert_int_equal(BASE_ENOMEM, BFORK_ENOMEM);
}

static void text_and_code(void **state)
{
    struct err e;

    (void)state;
    errno = EBUSY;
    assert_int_equal(err_set(&e, -3, "no %s in %d", "tea", 4), -3);
    assert_int_equal(e.code, -3);
    assert_string_equal(e.text, "no tea in 4");
    assert_int_equal(err_prefix(&e, "kitchen %d", 2), -3);
    assert_string_equal(e.text, "kitchen 2: no tea in 4");
    assert_int_equal(err_errno(&e, -4, ENOENT, "cannot open %s", "x"), -4);
    assert_string_equal(e.text, "cannot open x: No such file or directory");
    assert_int_equal(errno, EBUSY);
}

static void nobody_asks_for_the_text(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, -3, "x"), -3);
    assert_int_equal(err_errno(NULL, -3, ENOENT, "x"), -3);
    assert_int_equal(err_prefix(NULL, "x"), 0);
}

static void long_texts_are_cut_at_a_character(void **state)
{
    struct err e;
    char longer[1024];

    (void)state;
    for (size_t i = 0; i + 1 < sizeof(longer); i += 2)
        memcpy(longer + i, "\xc3\xa4", 2);
    longer[1022] = 0;
    for (int from = 0; from < 2; from++) {
        err_set(&e, -1, "%s%s", from ? "x" : "", longer);
        assert_true(strlen(e.text) < sizeof(e.text));
        assert_int_equal((strlen(e.text) - (size_t)from) % 2, 0);
        err_prefix(&e, "12345%s", from ? "6" : "");
        assert_true(strlen(e.text) < sizeof(e.text));
        assert_memory_equal(e.text, "12345", 5);
        err_prefix(&e, "%s", longer);
        assert_true(strlen(e.text) >= 500 && strlen(e.text) < sizeof(e.text));
        err_errno(&e, -1, ENOENT, "%s", longer);
        assert_true(strlen(e.text) < sizeof(e.text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_the_public_ones), cmocka_unit_test(text_and_code), cmocka_unit_test(nobody_asks_for_the_text),
        cmocka_unit_test(long_texts_are_cut_at_a_character),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
