/* SPDX-License-Identifier: MPL-2.0
 * base_conf_test.c - options from flags, environment and file: precedence, ranges, and what the texts say.
 */
#include "base/conf.h"
#include "bfork.h"

#include <stddef.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct options { bool verbose; int64_t slots, lease_ms; uint64_t window; const char *endpoint; struct conf_list allow; };

static const struct conf_option table[] = {
    { "endpoint", 'e', CONF_STR, offsetof(struct options, endpoint), "tcp://127.0.0.1:7700", 0, 0, "ENDPOINT", "Where to listen.",
      0 },
    { "slots", 's', CONF_INT, offsetof(struct options, slots), NULL, -4, 100, "N", "Tasks at a time.", 0 },
    { "lease", 0, CONF_MS, offsetof(struct options, lease_ms), "5s", 100, 3600000, "TIME",
      "Silence after which a worker is given up, told in a line that is far too long for eighty columns.", 0 },
    { "window-size", 'w', CONF_SIZE, offsetof(struct options, window), "8MiB", 0, 0, "SIZE", "Bytes on the way.", 0 },
    { "verbose", 'v', CONF_FLAG, offsetof(struct options, verbose), NULL, 0, 0, NULL, "Say more.", 0 },
    { "allow", 'a', CONF_LIST, offsetof(struct options, allow), NULL, 0, 0, "KEY", "Who may come in.", 0 },
};
#define N (sizeof(table) / sizeof(table[0]))

static struct options o;
static struct conf *c;
static struct err e;

static int setup(void **state)
{
    (void)state;
    memset(&o, 0, sizeof(o));
    memset(&e, 0, sizeof(e));
    return conf_new(table, N, &o, &c);
}

static int teardown(void **state)
{
    (void)state;
    conf_free(&c);
    return 0;
}

static int flags(char **argv, bool stop, int *index)
{
    int argc = 0;

    while (argv[argc])
        argc++;
    return conf_flags(c, argc, argv, stop, index, &e);
}
#define FLAGS(stop, index, ...) flags((char *[]){ (char *)"prog", __VA_ARGS__, NULL }, stop, index)

static void write_file(const char *text)
{
    FILE *f = fopen("test.conf", "we");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void defaults_apply(void **state)
{
    (void)state;
    assert_int_equal(conf_finish(c, &e), 0);
    assert_string_equal(o.endpoint, "tcp://127.0.0.1:7700");
    assert_true(o.slots == 0 && o.lease_ms == 5000 && o.window == 8 << 20 && !o.verbose && o.allow.n == 0);
    assert_string_equal(conf_origin(c, 0), "default");
}

static void all_forms_of_flags(void **state)
{
    char *argv[] = { (char *)"prog",
                     (char *)"-vs",
                     (char *)"-4",
                     (char *)"word",
                     (char *)"--lease=250ms",
                     (char *)"-w1 GiB",
                     (char *)"more",
                     (char *)"--allow",
                     (char *)"k1",
                     (char *)"-ak2",
                     (char *)"--",
                     (char *)"-x",
                     NULL };
    int index;

    (void)state;
    assert_int_equal(flags(argv, false, &index), 0);
    assert_int_equal(conf_finish(c, &e), 0);
    assert_true(o.verbose && o.slots == -4 && o.lease_ms == 250 && o.window == 1 << 30 && o.allow.n == 2);
    assert_string_equal(o.allow.items[0], "k1");
    assert_string_equal(o.allow.items[1], "k2");
    assert_int_equal(index, 9);
    assert_string_equal(argv[9], "word");
    assert_string_equal(argv[10], "more");
    assert_string_equal(argv[11], "-x");
    assert_null(argv[12]);
}

static void parsing_stops_at_a_word(void **state)
{
    int index;

    (void)state;
    assert_int_equal(FLAGS(true, &index, (char *)"-v", (char *)"run", (char *)"--unknown"), 0);
    assert_int_equal(index, 2);
}

static void flags_win_over_environment_over_file(void **state)
{
    int index;

    (void)state;
    write_file("# a comment\nslots = 1\n  window-size=1K # one\n\nlease = 2m\nallow = f1\nallow = f2\nendpoint = tcp://x#y\n");
    setenv("T_SLOTS", "2", 1);
    setenv("T_WINDOW_SIZE", "2KiB", 1);
    setenv("T_ALLOW", "e1,e2,e3", 1);
    assert_int_equal(conf_file(c, "test.conf", false, &e), 0);
    assert_int_equal(FLAGS(true, &index, (char *)"--slots", (char *)"3"), 0);
    assert_int_equal(conf_environment(c, "T", &e), 0);
    assert_int_equal(conf_finish(c, &e), 0);
    unsetenv("T_SLOTS");
    unsetenv("T_WINDOW_SIZE");
    unsetenv("T_ALLOW");
    assert_true(o.slots == 3 && o.window == 2048 && o.lease_ms == 120000 && o.allow.n == 3);
    assert_string_equal(o.allow.items[2], "e3");
    assert_string_equal(o.endpoint, "tcp://x#y");
    assert_string_equal(conf_origin(c, 1), "flag --slots");
    assert_string_equal(conf_origin(c, 3), "variable T_WINDOW_SIZE");
    assert_string_equal(conf_origin(c, 2), "test.conf:5");
}

static void refused(const char *file, const char *text)
{
    write_file(file);
    assert_int_equal(conf_file(c, "test.conf", false, &e), BFORK_EINVAL);
    if (!strstr(e.text, text))
        fail_msg("\"%s\" is not in: %s", text, e.text);
    conf_free(&c);
    assert_int_equal(conf_new(table, N, &o, &c), 0);
}

static void bad_lines_are_named(void **state)
{
    (void)state;
    refused("slots = 1\nslots = 2\n", "test.conf:2: slots is given twice (first: test.conf:1)");
    refused("slots = 12x\n", "test.conf:1: slots: '12x' is no whole number");
    refused("slots = 101\n", "out of range: give a value from -4 to 100");
    refused("slots = -99999999999999999999\n", "no whole number");
    refused("slost = 1\n", "there is no option 'slost'");
    refused("slots\n", "not of the form name = value");
    refused("slots =\n", "has no value");
    refused("lease = 5 years\n", "no duration");
    refused("lease = 50ms\n", "give a value from 100 to 3600000 ms");
    refused("window-size = 99999999T\n", "no size");
    refused("window-size = -1\n", "no size");
    refused("verbose = maybe\n", "neither yes nor no");
}

static void bad_flags_are_named(void **state)
{
    int index;

    (void)state;
    assert_int_equal(FLAGS(true, &index, (char *)"--slost"), BFORK_EINVAL);
    assert_string_equal(e.text, "there is no flag --slost; did you mean --slots?");
    assert_int_equal(FLAGS(true, &index, (char *)"--frobnicate"), BFORK_EINVAL);
    assert_string_equal(e.text, "there is no flag --frobnicate: see --help");
    assert_int_equal(FLAGS(true, &index, (char *)"-q"), BFORK_EINVAL);
    assert_int_equal(FLAGS(true, &index, (char *)"--slots"), BFORK_EINVAL);
    assert_string_equal(e.text, "flag --slots needs a value: --slots N");
}

static void a_missing_file(void **state)
{
    (void)state;
    unlink("missing.conf");
    assert_int_equal(conf_file(c, "missing.conf", true, &e), 0);
    assert_int_equal(conf_file(c, "missing.conf", false, &e), BFORK_EKEY);
    assert_non_null(strstr(e.text, "missing.conf: No such file"));
}

static char *capture(void (*print)(FILE *to))
{
    static char text[4096];
    FILE *f = fmemopen(text, sizeof(text), "w");

    print(f);
    fclose(f);
    return text;
}

static void help(FILE *to) { conf_help(table, N, to); }
static void values(FILE *to) { conf_print(c, to); }

static void help_fits_into_eighty_columns(void **state)
{
    const char *text = capture(help);

    (void)state;
    assert_memory_equal(text, "  -e, --endpoint ENDPOINT     Where to listen. (default: tcp://127.0.0.1:7700)\n", 78);
    assert_non_null(strstr(text, "      --lease TIME            Silence after which"));
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= 80);
}

static void values_with_their_origin(void **state)
{
    int index;

    (void)state;
    assert_int_equal(FLAGS(true, &index, (char *)"-s7", (char *)"-aA", (char *)"-aB"), 0);
    assert_int_equal(conf_finish(c, &e), 0);
    assert_string_equal(capture(values),
                        "endpoint = tcp://127.0.0.1:7700   # default\nslots = 7   # flag -s\nlease = 5s   # default\n"
                        "window-size = 8MiB   # default\nverbose = no   # default\nallow = A   # flag -a\nallow = B   # flag -a\n");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(defaults_apply), TEST(all_forms_of_flags), TEST(parsing_stops_at_a_word), TEST(flags_win_over_environment_over_file),
        TEST(bad_lines_are_named), TEST(bad_flags_are_named), TEST(a_missing_file), TEST(help_fits_into_eighty_columns),
        TEST(values_with_their_origin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
