/* SPDX-License-Identifier: MPL-2.0
 * test_command.c - placeholders, and where a command ends and its sources begin.
 */
#include "test.h"

#include "../../../cli/core/command.h"

#include <bfork.h>

#define WORDS(...) (char *const[]){ __VA_ARGS__ }, sizeof((char *const[]){ __VA_ARGS__ }) / sizeof(char *)
#define W(s) (char *)(uintptr_t)(s)

/* The filled command, words joined by '|'. */
static const char *fill(char *const *words, size_t n, size_t sources, bool shell, const char *replace, const char *const *args)
{
    static char text[512];
    struct command *c;
    struct err e = { 0 };

    text[0] = '\0';
    assert_int_equal(cli_command_new(words, n, sources, shell, replace, &c, &e), 0);
    char **argv = cli_command_fill(c, args, 7);
    assert_non_null(argv);
    for (size_t i = 0; argv[i]; i++) {
        if (i > 0)
            strcat(text, "|");
        strcat(text, argv[i]);
    }
    cli_command_argv_free(argv);
    cli_command_free(&c);
    assert_null(c);
    return text;
}

static const char *one(const char *word, const char *arg)
{
    return fill(WORDS(W("x"), W(word)), 1, false, NULL, &arg) + 2;
}

static void every_placeholder(void **state)
{
    (void)state;
    assert_string_equal(one("{}", "a/b.c.jpg"), "a/b.c.jpg");
    assert_string_equal(one("{.}", "a/b.c.jpg"), "a/b.c");
    assert_string_equal(one("{/}", "a/b.c.jpg"), "b.c.jpg");
    assert_string_equal(one("{//}", "a/b.c.jpg"), "a");
    assert_string_equal(one("{/.}", "a/b.c.jpg"), "b.c");
    assert_string_equal(one("{#}", "a"), "7");
    assert_string_equal(one("<{/.}-{#}-{}>", "d/e.f"), "<e-7-d/e.f>");
}

static void unusual_names(void **state)
{
    (void)state;
    assert_string_equal(one("{.}", "a.d/b"), "a.d/b");
    assert_string_equal(one("{.}", "a."), "a.");
    assert_string_equal(one("{.}", "none"), "none");
    assert_string_equal(one("{//}", "none"), ".");
    assert_string_equal(one("{//}", "/top"), "/");
    assert_string_equal(one("{//}", "a//b"), "a");
    assert_string_equal(one("{/}", "/top"), "top");
    assert_string_equal(one("{}", ""), "");
}

static void braces_that_are_no_placeholder_stay(void **state)
{
    (void)state;
    assert_string_equal(fill(WORDS(W("awk"), W("{print $1}"), W("{}")), 1, false, NULL, (const char *const[]){ "f" }), "awk|{print "
                        "$1}|f");
    assert_string_equal(one("{x}{}", "f"), "{x}f");
    assert_string_equal(one("{ {}", "f"), "{ f");
    assert_string_equal(one("{}{", "f"), "f{");
}

static void without_a_placeholder_the_argument_is_the_last_word(void **state)
{
    const char *const args[] = { "a b", "c" };

    (void)state;
    assert_string_equal(fill(WORDS(W("echo"), W("-n")), 1, false, NULL, args), "echo|-n|a b");
    assert_string_equal(fill(WORDS(W("echo")), 2, false, NULL, args), "echo|a b|c");
    assert_string_equal(fill(WORDS(W("echo"), W("{#}")), 1, false, NULL, args), "echo|7");
}

static void several_sources(void **state)
{
    const char *const args[] = { "x/a.b", "c" };

    (void)state;
    assert_string_equal(fill(WORDS(W("e"), W("{}")), 2, false, NULL, args), "e|x/a.b|c");
    assert_string_equal(fill(WORDS(W("e"), W("[{}]")), 2, false, NULL, args), "e|[x/a.b c]");
    assert_string_equal(fill(WORDS(W("e"), W("{2}-{1/.}")), 2, false, NULL, args), "e|c-a");
    assert_string_equal(fill(WORDS(W("e"), W("{1//}{1.}")), 2, false, NULL, args), "e|xx/a");
}

static void in_a_shell_arguments_are_quoted(void **state)
{
    const char *const args[] = { "it's; rm" };

    (void)state;
    assert_string_equal(fill(WORDS(W("cat"), W("{} | wc")), 1, true, NULL, args), "/bin/sh|-c|cat 'it'\\''s; rm' | wc");
    assert_string_equal(fill(WORDS(W("cat")), 1, true, NULL, args), "/bin/sh|-c|cat 'it'\\''s; rm'");
    assert_string_equal(fill(WORDS(W("cat"), W("-n")), 1, true, NULL, args), "/bin/sh|-c|cat -n 'it'\\''s; rm'");
}

static void a_placeholder_of_ones_own(void **state)
{
    const char *const args[] = { "a" };

    (void)state;
    assert_string_equal(fill(WORDS(W("e"), W("{}"), W("_X_X")), 1, false, "_X", args), "e|{}|aa");
    assert_string_equal(fill(WORDS(W("e"), W("{2} {%}")), 1, false, "@", args), "e|{2} {%}|a");
}

static void refuse(char *const *words, size_t n, size_t sources, const char *replace, const char *part)
{
    struct command *c;
    struct err e = { 0 };

    assert_int_equal(cli_command_new(words, n, sources, false, replace, &c, &e), BFORK_EINVAL);
    assert_null(c);
    if (!strstr(e.text, part))
        fail_msg("'%s' is not in: %s", part, e.text);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    refuse(WORDS(W("e"), W("{2}")), 1, NULL, "{2} asks for argument 2, but there is 1 source");
    refuse(WORDS(W("e"), W("{0}")), 1, NULL, "{0}");
    refuse(WORDS(W("e"), W("{%}")), 1, NULL, "job slot");
    refuse(WORDS(W("e")), 1, "", "placeholder is empty");
    refuse(NULL, 0, 1, NULL, "no command");
}

static void lines_as_commands(void **state)
{
    (void)state;
    struct command *c;
    struct err e = { 0 };
    assert_int_equal(cli_command_new(NULL, 0, 1, true, NULL, &c, &e), 0);
    char **argv = cli_command_fill(c, (const char *const[]){ "echo 'a b' | wc" }, 1);
    assert_string_equal(argv[2], "echo 'a b' | wc");
    cli_command_argv_free(argv);
    cli_command_free(&c);
}

static void sources_behind_a_command(void **state)
{
    char *argv[] = { W("e"), W("{}"), W(":::"), W("a"), W("b"), W("::::"), W("f"), W(":::") };
    struct command_split s;
    struct err e = { 0 };

    (void)state;
    assert_int_equal(cli_command_split(argv, 8, &s, &e), 0);
    assert_int_equal(s.n, 2);
    assert_int_equal(s.n_sources, 3);
    assert_int_equal(s.sources[0].n, 2);
    assert_string_equal(s.sources[0].words[1], "b");
    assert_true(s.sources[1].is_file);
    assert_string_equal(s.sources[1].words[0], "f");
    assert_int_equal(s.sources[2].n, 0);
    assert_int_equal(cli_command_split(argv, 2, &s, &e), 0);
    assert_int_equal(s.n_sources, 0);
    assert_int_equal(cli_command_split((char *[]){ W("e"), W("::::") }, 2, &s, &e), BFORK_EINVAL);
    assert_int_equal(cli_command_split((char *[]){ W("e"), W(":::+"), W("a") }, 3, &s, &e), BFORK_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_placeholder), cmocka_unit_test(unusual_names), cmocka_unit_test(braces_that_are_no_placeholder_stay),
        cmocka_unit_test(without_a_placeholder_the_argument_is_the_last_word), cmocka_unit_test(several_sources),
        cmocka_unit_test(in_a_shell_arguments_are_quoted), cmocka_unit_test(a_placeholder_of_ones_own),
        cmocka_unit_test(what_cannot_be_is_refused), cmocka_unit_test(lines_as_commands),
            cmocka_unit_test(sources_behind_a_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
