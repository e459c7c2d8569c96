/* SPDX-License-Identifier: MPL-2.0
 * test_record.c - the JSON of one task: stable names, bytes that are no text, errors.
 */
#include "test.h"

#include "../../../cli/core/record.h"

static char *line(const struct record *r)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    assert_int_equal(cli_record_print(r, to), 0);
    fclose(to);
    return text;
}

static void a_task_that_ended(void **state)
{
    const char *args[] = { "c" };
    char echo[] = "echo", *argv[] = { echo, (char *)(uintptr_t)args[0], NULL };
    struct record r = { .number = 3, .args = args, .n_args = 1, .argv = argv, .tries = 1, .out = { "c\n", 2 }, .err = { "", 0 } };

    (void)state;
    char *text = line(&r);
    assert_string_equal(text, "{\"task\":3,\"args\":[\"c\"],\"command\":[\"echo\",\"c\"],\"exit\":0,\"signal\":0,\"tries\":1,"
                        "\"stdout\":\"c\\n\",\"stderr\":\"\"}\n");
    free(text);
}

static void bytes_that_are_no_text(void **state)
{
    char echo[] = "e\xff", *argv[] = { echo, NULL };
    struct record r = { .argv = argv, .tries = 1, .status = 1, .out = { "\xff\x00\x01", 3 }, .err = { "\xfe", 1 } };

    (void)state;
    char *text = line(&r);
    assert_string_equal(text, "{\"command\":[{\"base64\":\"Zf8=\"}],\"exit\":1,\"signal\":0,\"tries\":1,\"stdout_base64\":\"/wAB\","
                        "\"stderr_base64\":\"/g==\"}\n");
    free(text);
}

static void a_task_that_crashed(void **state)
{
    char echo[] = "e", *argv[] = { echo, NULL };
    const bfork_error e = { .kind = BFORK_CRASHED, .signal = 11, .attempt = 2, .pid = 991, .message = "it \"crashed\"", .host = "b",
                            .output = "", .function = "", .where = "", .backtrace = "" };
    struct record r = { .number = 1, .argv = argv, .tries = 2, .signal = 11, .error = &e,
                        .out = bfork_bytes_of("last words", 10) };

    (void)state;
    char *text = line(&r);
    assert_string_equal(text, "{\"task\":1,\"command\":[\"e\"],\"exit\":null,\"signal\":11,\"tries\":2,\"error\":{\"kind\":"
                        "\"crashed\",\"message\":\"it \\\"crashed\\\"\",\"code\":0,\"signal\":11,\"attempt\":2,"
                        "\"pid\":991,\"host\":\"b\",\"output\":\"\"},\"stdout\":\"last words\",\"stderr\":\"\"}\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_that_ended), cmocka_unit_test(bytes_that_are_no_text), cmocka_unit_test(a_task_that_crashed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
