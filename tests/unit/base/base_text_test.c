/* SPDX-License-Identifier: MPL-2.0
 * What of a text from elsewhere may reach a terminal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"

#include <stdio.h>
#include <string.h>

static void becomes(const char *text, bool lines, const char *wanted)
{
    char copy[256];

    snprintf(copy, sizeof(copy), "%s", text);
    text_clean(copy, strlen(copy), lines);
    assert_string_equal(copy, wanted);
}

static void r14_what_steers_a_terminal_is_replaced(void **state)
{
    (void)state;
    becomes("\033]0;owned\007", false, "?]0;owned?");
    becomes("\033[2J", true, "?[2J");
    becomes("a\rb\bc\177", true, "a?b?c?");
    becomes("a\xc2\x9b" "2Jb", true, "a??2Jb");           /* CSI as one character */
    becomes("a\x9b" "2Jb", true, "a?2Jb");                /* … and as one byte */
    becomes("a\xc2\x85" "b", true, "a??b");
    becomes("one\ntwo\tthree", false, "one?two?three");
    becomes("one\ntwo\tthree", true, "one\ntwo\tthree");
}

static void r14_what_turns_text_around_is_replaced(void **state)
{
    (void)state;
    becomes("a\xe2\x80\xaa" "b\xe2\x80\xab" "c\xe2\x80\xac" "d\xe2\x80\xad" "e\xe2\x80\xae" "f", false, "a???b???c???d???e???f");
    becomes("a\xe2\x81\xa6" "b\xe2\x81\xa7" "c\xe2\x81\xa8" "d\xe2\x81\xa9" "e", false, "a???b???c???d???e");
    becomes("a\xe2\x80\x8e" "b\xe2\x80\x8f" "c\xd8\x9c" "d\xe2\x80\xa8" "e\xe2\x80\xa9" "f", false, "a???b???c??d???e???f");
}

static void r14_bytes_that_are_no_text_are_replaced(void **state)
{
    (void)state;
    becomes("a\xff\xfe" "b", false, "a??b");
    becomes("\xc0\x9b", false, "??");                       /* longer than needed */
    becomes("\xe0\x82\x9b", false, "???");
    becomes("\xed\xa0\x80", false, "???");                  /* half a surrogate pair */
    becomes("\xf4\x90\x80\x80", false, "????");             /* behind the last character */
    becomes("cut \xe2\x82", false, "cut ??");
    becomes("\xc3(", false, "?(");
}

static void what_people_write_stays(void **state)
{
    static const char *const texts[] = { "", "plain", "Grüße, 東京, Ω ≤ ½", "עברית and العربية", "\xf0\x9f\x8c\xb1", "~ {}[]\"'\\" };
    (void)state;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        becomes(texts[i], false, texts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r14_what_steers_a_terminal_is_replaced),
        cmocka_unit_test(r14_what_turns_text_around_is_replaced),
        cmocka_unit_test(r14_bytes_that_are_no_text_are_replaced),
        cmocka_unit_test(what_people_write_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
