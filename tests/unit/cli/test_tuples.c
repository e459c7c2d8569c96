/* SPDX-License-Identifier: MPL-2.0
 * test_tuples.c - lines of files and pipes, and combinations of sources.
 */
#include "test.h"

#include "../../../cli/lines.h"
#include "../../../cli/tuples.h"

#include <bfork.h>
#include <unistd.h>

#define W(s) (char *)(uintptr_t)(s)

static void write_file(const char *path, const void *data, size_t size)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

/* All tuples, words joined by ',', tuples by '|'. */
static const char *all(const struct command_split *split, const char *file, char delimiter)
{
    static char text[512];
    struct tuples *t;
    struct err e = { 0 };
    const char *const *args;
    uint64_t total, n = 0;
    int rc;

    text[0] = '\0';
    assert_int_equal(cli_tuples_new(split, file, delimiter, &t, &e), 0);
    assert_true(cli_tuples_total(t, &total));
    for (; (rc = cli_tuples_next(t, -1, &args, &e)) == 0; n++) {
        strcat(text, n > 0 ? "|" : "");
        for (size_t i = 0; i < cli_tuples_width(t); i++)
            strcat(strcat(text, i > 0 ? "," : ""), args[i]);
    }
    assert_int_equal(rc, BFORK_END);
    assert_int_equal(cli_tuples_next(t, -1, &args, &e), BFORK_END);
    assert_int_equal(total, n);
    cli_tuples_free(&t);
    return text;
}

static void combinations(void **state)
{
    char *a[] = { W("a"), W("b") }, *n[] = { W("1"), W("2"), W("3") }, *file[] = { W("combine.txt") };
    struct command_split s = { .sources = { { false, a, 2 }, { false, n, 3 } }, .n_sources = 2 };

    (void)state;
    assert_string_equal(all(&s, "-", '\n'), "a,1|a,2|a,3|b,1|b,2|b,3");
    s.n_sources = 1;
    assert_string_equal(all(&s, "-", '\n'), "a|b");
    s.sources[0].n = 0;
    assert_string_equal(all(&s, "-", '\n'), "");
    write_file("combine.txt", "x\ny", 3);
    s = (struct command_split){ .sources = { { true, file, 1 }, { false, a, 2 } }, .n_sources = 2 };
    assert_string_equal(all(&s, "-", '\n'), "x,a|x,b|y,a|y,b");
    s.n_sources = 1;
    assert_string_equal(all(&s, "-", '\n'), "x|y");
}

static void lines_of_files(void **state)
{
    struct command_split none = { 0 };

    (void)state;
    write_file("plain.txt", "one\n\ntwo words\n", 15);
    assert_string_equal(all(&none, "plain.txt", '\n'), "one||two words");
    write_file("open-end.txt", "one\ntwo", 7);
    assert_string_equal(all(&none, "open-end.txt", '\n'), "one|two");
    write_file("null.txt", "a\nb\0c\0", 6);
    assert_string_equal(all(&none, "null.txt", '\0'), "a\nb|c");
    write_file("empty.txt", "", 0);
    assert_string_equal(all(&none, "empty.txt", '\n'), "");
    struct tuples *t;
    struct err e = { 0 };
    assert_int_equal(cli_tuples_new(&none, "not-there.txt", '\n', &t, &e), BFORK_EINVAL);
    assert_non_null(strstr(e.text, "not-there.txt"));
}

static void a_pipe_gives_what_it_has_and_no_more(void **state)
{
    int fds[2];
    char name[32], *line;
    struct lines *l;
    struct err e = { 0 };
    uint64_t n;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    snprintf(name, sizeof(name), "/dev/fd/%d", fds[0]);
    assert_int_equal(cli_lines_open(name, '\n', &l, &e), 0);
    close(fds[0]);
    assert_false(cli_lines_count(l, &n));
    assert_int_equal(cli_lines_next(l, 0, &line, &e), BFORK_ETIMEDOUT);
    assert_int_equal(write(fds[1], "first\nsec", 9), 9);
    assert_int_equal(cli_lines_next(l, 0, &line, &e), 0);
    assert_string_equal(line, "first");
    assert_int_equal(cli_lines_next(l, 0, &line, &e), BFORK_ETIMEDOUT);
    assert_int_equal(write(fds[1], "ond\n\nlast", 9), 9);
    assert_int_equal(cli_lines_next(l, 0, &line, &e), 0);
    assert_string_equal(line, "second");
    assert_int_equal(cli_lines_next(l, 0, &line, &e), 0);
    assert_string_equal(line, "");
    close(fds[1]);
    assert_int_equal(cli_lines_next(l, -1, &line, &e), 0);
    assert_string_equal(line, "last");
    assert_int_equal(cli_lines_next(l, -1, &line, &e), BFORK_END);
    cli_lines_close(&l);
}

static void long_lines_have_an_end(void **state)
{
    static char big[LINES_MAX + 100000];
    struct lines *l;
    struct err e = { 0 };
    char *line;

    (void)state;
    memset(big, 'x', sizeof(big));
    big[LINES_MAX - 1000] = '\n';
    write_file("long.txt", big, sizeof(big));
    assert_int_equal(cli_lines_open("long.txt", '\n', &l, &e), 0);
    assert_int_equal(cli_lines_next(l, -1, &line, &e), 0);
    assert_int_equal(strlen(line), LINES_MAX - 1000);
    cli_lines_close(&l);
    big[LINES_MAX - 1000] = 'x';
    write_file("long.txt", big, sizeof(big));
    assert_int_equal(cli_lines_open("long.txt", '\n', &l, &e), 0);
    assert_int_equal(cli_lines_next(l, -1, &line, &e), BFORK_ETOOBIG);
    assert_non_null(strstr(e.text, "1 MiB"));
    cli_lines_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(combinations), cmocka_unit_test(lines_of_files), cmocka_unit_test(a_pipe_gives_what_it_has_and_no_more),
        cmocka_unit_test(long_lines_have_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
