/* SPDX-License-Identifier: MPL-2.0
 * test_words.c - quoting that a real shell reads back.
 */
#include "test.h"

#include "../../../cli/core/words.h"

static void a_shell_reads_back_what_was_quoted(void **state)
{
    static const char *const words[] = { "plain", "", "two words", "it's", "a\nb", "$HOME `x` \"q\" \\", "*", "--x=1", "ü" };

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        char command[256], back[256] = "";
        FILE *to = fmemopen(command, sizeof(command), "w");
        fputs("printf %s ", to);
        cli_words_quote(to, words[i]);
        fclose(to);
        FILE *from = popen(command, "r");
        size_t n = fread(back, 1, sizeof(back) - 1, from);
        assert_int_equal(pclose(from), 0);
        assert_int_equal(n, strlen(words[i]));
        assert_string_equal(back, words[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shell_reads_back_what_was_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
