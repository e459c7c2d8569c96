/* SPDX-License-Identifier: MPL-2.0
 * base_log_test.c - log lines as a reader of standard error sees them.
 */
#include "base/log.h"

#include "base/clock.h"

#include <stdio.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int kept_stderr, reader;

static void catch_begin(void)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    fflush(stderr);
    kept_stderr = dup(2);
    dup2(ends[1], 2);
    close(ends[1]);
    reader = ends[0];
}

static void catch_end(char *text, size_t size)
{
    size_t n = 0;
    ssize_t got;

    dup2(kept_stderr, 2);
    close(kept_stderr);
    while (n + 1 < size && (got = read(reader, text + n, size - 1 - n)) > 0)
        n += (size_t)got;
    text[n] = 0;
    close(reader);
}

static void words_for_levels(void **state)
{
    (void)state;
    assert_int_equal(log_level_parse("error"), LOG_ERROR_);
    assert_int_equal(log_level_parse("debug"), LOG_DEBUG_);
    assert_int_equal(log_level_parse("loud"), -1);
}

static void lines_for_the_journal(void **state)
{
    char text[8192], longer[4000];

    (void)state;
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = 0;
    setenv("JOURNAL_STREAM", "8:1", 1);
    log_open("bfork-test", LOG_NOTICE_);
    catch_begin();
    log_line(LOG_WARNING_, "worker %s lost", "b\n<0>fake");
    log_line(LOG_INFO_, "not shown");
    log_line(LOG_ERROR_, "%s", longer);
    catch_end(text, sizeof(text));
    assert_memory_equal(text, "<4>bfork-test: warning: worker b?<0>fake lost\n<3>bfork-test: error: xxx", 71);
    assert_null(strstr(text, "not shown"));
    assert_true(strlen(text) < 2200 && text[strlen(text) - 1] == '\n');
}

static void lines_for_a_terminal(void **state)
{
    char text[1024];
    int year;

    (void)state;
    unsetenv("JOURNAL_STREAM");
    log_open("bfork-test", LOG_DEBUG_);
    catch_begin();
    log_line(LOG_DEBUG_, "here");
    catch_end(text, sizeof(text));
    assert_int_equal(sscanf(text, "%d-", &year), 1);
    assert_string_equal(text + 24, "bfork-test: debug: here\n");
}

static void repeats_are_counted(void **state)
{
    char text[4096];
    uint64_t start;

    (void)state;
    setenv("JOURNAL_STREAM", "8:1", 1);
    log_open("t", LOG_NOTICE_);
    catch_begin();
    start = clock_now();
    for (int i = 0; i < 10; i++)
        log_limited(LOG_NOTICE_, 7, "seven %d", i);
    log_limited(LOG_NOTICE_, 8, "eight");
    while (clock_now() < start + 3 * CLOCK_SEC / 2)
        log_limited(LOG_NOTICE_, 7, "seven again");
    catch_end(text, sizeof(text));
    assert_memory_equal(text, "<5>t: notice: seven 0\n<5>t: notice: eight\n<5>t: notice: seven again (", 69);
    assert_null(strstr(text, "seven 1"));
    assert_non_null(strstr(text, "more like this were left out)\n"));
}

/* Some are not too many: how many were left out is said with the first after them. */
static void r07_so_many_lines_of_one_key_in_a_second(void **state)
{
    char text[16384];
    uint64_t start, lines = 0;

    (void)state;
    setenv("JOURNAL_STREAM", "8:1", 1);
    log_open("t", LOG_NOTICE_);
    catch_begin();
    start = clock_now();
    for (int i = 0; i < 100; i++)
        log_limited_to(8, LOG_NOTICE_, 70, "seventy");
    uint64_t seconds = (clock_now() - start) / CLOCK_SEC + 1;
    while (clock_now() < start + seconds * CLOCK_SEC)
        continue;
    log_limited_to(8, LOG_NOTICE_, 70, "last");
    catch_end(text, sizeof(text));
    for (const char *at = text; (at = strstr(at, "seventy")); at++)
        lines++;
    assert_in_range(lines, 8, 8 * seconds);
    if (seconds == 1)
        assert_non_null(strstr(text, "last (92 more like this were left out)\n"));
}

/* Who can choose the key of a line, by connecting with many names, gets no more of them. */
static void r06_many_keys_are_no_more_lines(void **state)
{
    enum { KEYS = 200, CELLS = 65 };        /* those of log.c, and the one that the others share */
    static char text[65536];
    uint64_t start, lines = 0;

    (void)state;
    setenv("JOURNAL_STREAM", "8:1", 1);
    log_open("t", LOG_NOTICE_);
    catch_begin();
    start = clock_now();
    for (unsigned i = 0; i < 3 * KEYS; i++)
        log_limited(LOG_NOTICE_, 1000 + i % KEYS, "key");
    uint64_t seconds = (clock_now() - start) / CLOCK_SEC + 1;
    catch_end(text, sizeof(text));
    for (const char *at = text; (at = strchr(at, '\n')); at++)
        lines++;
    assert_in_range(lines, 1, CELLS * seconds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_for_levels), cmocka_unit_test(lines_for_the_journal), cmocka_unit_test(lines_for_a_terminal),
        cmocka_unit_test(repeats_are_counted), cmocka_unit_test(r07_so_many_lines_of_one_key_in_a_second),
        cmocka_unit_test(r06_many_keys_are_no_more_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
