/* SPDX-License-Identifier: MPL-2.0
 * test_bar.c - numbers, durations, the progress bar, tables: exactly what a person sees.
 */
#include "test.h"

#include "../../../cli/core/bar.h"
#include "../../../cli/core/table.h"

static void numbers(void **state)
{
    char b[BAR_TEXT];

    (void)state;
    assert_string_equal(cli_bar_number(0, b), "0");
    assert_string_equal(cli_bar_number(999, b), "999");
    assert_string_equal(cli_bar_number(41233, b), "41,233");
    assert_string_equal(cli_bar_number(UINT64_MAX, b), "18,446,744,073,709,551,615");
}

static void durations(void **state)
{
    char b[BAR_TEXT];

    (void)state;
    assert_string_equal(cli_bar_duration(31, b), "31 s");
    assert_string_equal(cli_bar_duration(245, b), "4 min 05 s");
    assert_string_equal(cli_bar_duration(7620, b), "2 h 07 min");
    assert_string_equal(cli_bar_duration(3 * 86400 + 4 * 3600 + 11 * 60, b), "3 d 04:11");
    assert_string_equal(cli_bar_nanoseconds(850, b), "850 ns");
    assert_string_equal(cli_bar_nanoseconds(18340, b), "18.3 µs");
    assert_string_equal(cli_bar_nanoseconds(1250000, b), "1.25 ms");
    assert_string_equal(cli_bar_nanoseconds(999600, b), "1.00 ms");
    assert_string_equal(cli_bar_nanoseconds(123456789, b), "123 ms");
    assert_string_equal(cli_bar_nanoseconds(2000000000, b), "2.00 s");
}

static void the_bar(void **state)
{
    char line[256];
    struct bar b = { .done = 41233, .failed = 3, .total = 100000, .total_known = true, .per_second = 1912.2 };

    (void)state;
    size_t n = cli_bar_render(&b, 120, line, sizeof(line));
    assert_int_equal(n, strlen(line));
    assert_string_equal(line, "[########------------]  41,233 of 100,000   1,912/s   31 s left   3 failed");
    b = (struct bar){ .done = 5, .per_second = 2.5 };
    cli_bar_render(&b, 120, line, sizeof(line));
    assert_string_equal(line, "5 done   2.5/s");
    b = (struct bar){ .done = 4, .total = 4, .total_known = true, .per_second = -1 };
    cli_bar_render(&b, 120, line, sizeof(line));
    assert_string_equal(line, "[####################]  4 of 4");
    b = (struct bar){ .total_known = true, .per_second = 0 };
    cli_bar_render(&b, 120, line, sizeof(line));
    assert_string_equal(line, "[####################]  0 of 0   0.0/s");
}

static void the_bar_fits_any_terminal(void **state)
{
    char line[256];
    struct bar b = { .done = UINT64_MAX, .failed = UINT64_MAX, .total = UINT64_MAX, .total_known = true, .per_second = 1e15 };

    (void)state;
    for (unsigned columns = 0; columns < 200; columns++)
        assert_true(cli_bar_render(&b, columns, line, sizeof(line)) <= columns);
    for (size_t size = 1; size < sizeof(line); size++)
        assert_true(cli_bar_render(&b, 200, line, size) < size);
    assert_int_equal(cli_bar_render(&b, 200, line, 0), 0);
}

static void tables_line_up(void **state)
{
    static const char *const cells[] = { "NAME", "SLOTS", "STATE", "a", "8", "ok", "größer", "1,024", "drain\ning" };
    struct table *t = cli_table_new("lrl");
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    (void)state;
    for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++)
        cli_table_cell(t, cells[i]);
    assert_int_equal(cli_table_print(t, to), 0);
    fclose(to);
    assert_string_equal(text, "NAME    SLOTS  STATE\na           8  ok\ngrößer  1,024  drain?ing\n");
    free(text);
    cli_table_free(&t);
    assert_null(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers), cmocka_unit_test(durations), cmocka_unit_test(the_bar),
            cmocka_unit_test(the_bar_fits_any_terminal),
        cmocka_unit_test(tables_line_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
