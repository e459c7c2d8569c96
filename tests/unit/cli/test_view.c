/* SPDX-License-Identifier: MPL-2.0
 * test_view.c - a broker's JSON as text; whatever a peer sends instead is refused, never believed.
 */
#include "test.h"

#include "../../../cli/core/view.h"

#include <bfork.h>

static char *view(const char *what, const char *json, int expect)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    struct err e = { 0 };
    int rc = cli_view_print(what, json, to, &e);

    fclose(to);
    if (rc != expect)
        fail_msg("%d instead of %d: %s", rc, expect, e.text);
    if (rc < 0) {
        assert_string_equal(text, "");
        assert_true(strlen(e.text) > 10);
    }
    return text;
}

static void check(const char *what, const char *json, const char *expect)
{
    char *text = view(what, json, 0);

    assert_string_equal(text, expect);
    free(text);
}

static void the_summary(void **state)
{
    (void)state;
    check("summary", "{\"endpoint\":\"tcp://a:7700\",\"uptime_s\":274260,\"workers\":12,\"slots\":96,\"busy\":93,\"queued\":58767,"
          "\"running\":93,\"done\":41233,\"failed\":3,\"clients\":1}",
          "broker   tcp://a:7700   up 3 d 04:11   12 workers, 96 slots (93 busy)   queued 58,767   running 93   done 41,233   "
              "failed 3\n");
    check("summary", "{\"bytes\":1234,\"bytes_most\":2147483648}",        /* r07 */
          "broker   in this process   0 workers, 0 slots (0 busy)   queued 0   running 0   done 0   failed 0   "
              "holds 1,234 of 2,147,483,648 bytes\n");
    check("summary", "{\"bytes\":5000,\"keys\":[{\"name\":\"al\\u001bce\",\"key\":\"x\",\"bytes\":4321,\"clients\":2,\"queued\":3,"
          "\"running\":\"x\"},{}]}",
          "broker   in this process   0 workers, 0 slots (0 busy)   queued 0   running 0   done 0   failed 0   holds 5,000 bytes\n"
          "KEY OF  BYTES  CLIENTS  QUEUED  RUNNING\n"
          "al?ce   4,321        2       3        x\n"
          "-           -        -       -        -\n");
    check("summary", "{}", "broker   in this process   0 workers, 0 slots (0 busy)   queued 0   running 0   done 0   failed 0\n");
}

static void workers(void **state)
{
    (void)state;
    check("workers", "{\"workers\":[{\"name\":\"w1\",\"host\":\"b\",\"state\":\"up\",\"slots\":8,\"busy\":2,\"held\":4,"
          "\"done\":12345,"
          "\"up_s\":61,\"resources\":\"cpus=8\",\"key\":\"exposed\",\"new\":[1]},{\"name\":\"w\\u001b2\",\"slots\":\"x\"}]}",
          "WORKER  HOST  STATE  SLOTS  BUSY  HELD    DONE    UP  RESOURCES  KEY\n"
          "w1      b     up         8     2     4  12,345  61 s  cpus=8     exposed\n"
          "w?2     -     -          x     -     -       -     -  -          -\n");
    char *none = view("workers", "{\"workers\":[]}", 0);
    assert_non_null(strstr(none, "bfork-worker"));
    free(none);
}

static void jobs(void **state)
{
    (void)state;
    check("jobs", "{\"jobs\":[]}", "no jobs\n");
    check("jobs", "{\"jobs\":[{\"name\":\"render\",\"client\":\"bfork "
          "map\",\"host\":\"a\",\"state\":\"open\",\"queued\":1,\"running\":2,"
          "\"done\":3,\"failed\":0,\"up_s\":5}]}",
          "JOB     CLIENT     HOST  STATE  QUEUED  RUNNING  DONE  FAILED  AGE\n"
          "render  bfork map  a     open        1        2     3       0  5 s\n");
}

static void other_bytes_are_refused(void **state)
{
    static const char *const bad[] = { "", "[]", "7", "{", "{\"workers\":{}}", "{\"workers\":7}", "null" };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        free(view("workers", bad[i], BFORK_EPROTOCOL));
    char *rows_of_nonsense = view("workers", "{\"workers\":[7,null,[],\"x\"]}", 0);
    assert_non_null(strstr(rows_of_nonsense, "WORKER"));
    free(rows_of_nonsense);
}

static void r14_json_is_shown_in_ascii(void **state)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    struct err e = { 0 };
    (void)state;

    assert_int_equal(cli_view_json("{\"name\":\"a\\u001bb\xc2\x9b" "c\xe2\x80\xae" "d\"}", to, &e), 0);
    assert_int_equal(cli_view_json("{", to, &e), BFORK_EPROTOCOL);
    fclose(to);
    assert_string_equal(text, "{\"name\":\"a\\u001Bb\\u009Bc\\u202Ed\"}\n");
    free(text);
}

static void r14_rows_do_not_steer_the_terminal(void **state)
{
    (void)state;
    check("jobs", "{\"jobs\":[{\"name\":\"a\\u009b2J\\u202eb\",\"client\":\"\\u001b]0;c\\u0007\"}]}",
          "JOB        CLIENT  HOST  STATE  QUEUED  RUNNING  DONE  FAILED  AGE\n"
          "a??2J???b  ?]0;c?  -     -           -        -     -       -    -\n");
    check("summary", "{\"endpoint\":\"tcp://\\u202ea\\u001b\"}",
          "broker   tcp://???a?   0 workers, 0 slots (0 busy)   queued 0   running 0   done 0   failed 0\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_summary), cmocka_unit_test(workers), cmocka_unit_test(jobs), cmocka_unit_test(other_bytes_are_refused),
        cmocka_unit_test(r14_json_is_shown_in_ascii), cmocka_unit_test(r14_rows_do_not_steer_the_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
