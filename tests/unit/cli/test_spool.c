/* SPDX-License-Identifier: MPL-2.0
 * test_spool.c - what commands print and is kept until its turn: whole and in order, within a bound of memory, in a file that does
 * not grow when what was in it is gone.
 */
#include "test.h"

#include "../../../cli/spool.h"

#include <bfork.h>
#include <unistd.h>

#define SPOOLS 160u
#define SIZE (SPOOL_BLOCK + 40001u)     /* of each: all of them are more than memory takes */

static struct spools all;
static struct spool spools[SPOOLS];

/* Byte `at` of spool `k`. */
static char byte_of(size_t k, uint64_t at) { return (char)(at * 31 + at / 251 + k * 7); }

static struct { size_t k; uint64_t at; int wrong; } reading;

static int compare(void *ctx, const char *bytes, size_t size)
{
    (void)ctx;
    for (size_t i = 0; i < size; i++)
        reading.wrong += bytes[i] != byte_of(reading.k, reading.at + i);
    reading.at += size;
    return 0;
}

static void is_whole(size_t k, uint64_t size)
{
    struct err e = { 0 };

    reading.k = k;
    reading.at = 0;
    reading.wrong = 0;
    assert_int_equal(cli_spool_each(&all, &spools[k], compare, NULL, &e), 0);
    assert_int_equal(reading.at, size);
    assert_int_equal(spools[k].size, size);
    assert_int_equal(reading.wrong, 0);
}

/* All of them in turn, a part each: as tasks that run at the same time print. */
static void fill(void)
{
    static char part[SPOOL_BLOCK];
    struct err e = { 0 };
    uint64_t at = 0;

    for (size_t n = 1; at < SIZE; at += n, n = n * 5 + 3) {
        n = n < SIZE - at ? n : SIZE - at;
        n = n < sizeof(part) ? n : sizeof(part);
        for (size_t k = 0; k < SPOOLS; k++) {
            for (size_t i = 0; i < n; i++)
                part[i] = byte_of(k, at + i);
            assert_int_equal(cli_spool_add(&all, &spools[k], part, n, &e), 0);
            assert_true(all.memory <= SPOOL_MEMORY + SPOOL_BLOCK + SPOOLS * 512);
        }
    }
}

static void r01_what_waits_is_whole_and_bounded(void **state)
{
    uint64_t blocks;

    (void)state;
    fill();
    assert_true(all.blocks > 0);
    for (size_t k = 0; k < SPOOLS; k++)
        is_whole(k, SIZE);
    blocks = all.blocks;
    for (size_t k = 0; k < SPOOLS; k += 2) {            /* every second one is told, and what comes then takes its place */
        cli_spool_clear(&all, &spools[k]);
        is_whole(k, 0);
    }
    for (size_t k = 1; k < SPOOLS; k += 2)
        is_whole(k, SIZE);
    for (size_t k = 1; k < SPOOLS; k += 2)
        cli_spool_clear(&all, &spools[k]);
    assert_int_equal(all.memory, 0);
    assert_int_equal(all.n_free, all.blocks);
    fill();
    assert_int_equal(all.blocks, blocks);               /* the file is as large as before */
    for (size_t k = 0; k < SPOOLS; k++) {
        is_whole(k, SIZE);
        cli_spool_clear(&all, &spools[k]);
    }
    cli_spools_free(&all);
}

/* A few bytes need no file, and one that cannot be made is told with what to do; what was there before stays. */
static void r01_a_file_that_cannot_be_made_is_told(void **state)
{
    static char block[2 * SPOOL_BLOCK];
    struct err e = { 0 };

    (void)state;
    assert_int_equal(setenv("TMPDIR", "/nowhere/at/all", 1), 0);
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = byte_of(0, i);
    assert_int_equal(cli_spool_add(&all, &spools[0], block, 100, &e), 0);
    assert_int_equal(all.fd, 0);
    assert_true(cli_spool_add(&all, &spools[0], block + 100, sizeof(block) - 100, &e) < 0);
    assert_non_null(strstr(e.text, "/nowhere/at/all"));
    assert_non_null(strstr(e.text, "TMPDIR"));
    is_whole(0, SPOOL_BLOCK);
    cli_spool_clear(&all, &spools[0]);
    assert_int_equal(all.memory, 0);
    cli_spools_free(&all);
    unsetenv("TMPDIR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r01_what_waits_is_whole_and_bounded), cmocka_unit_test(r01_a_file_that_cannot_be_made_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
