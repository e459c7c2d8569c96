/* SPDX-License-Identifier: MPL-2.0
 * base_map_test.c - the map against a plain array, through many puts and takes.
 */
#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEYS 700u

/* Keys that collide in their low bits and keys far apart, 0 and the largest among them. */
static uint64_t key_of(unsigned i)
{
    return i == 0 ? UINT64_MAX : i % 3 == 0 ? (uint64_t)i << 40 : i % 3 == 1 ? (uint64_t)i * 1024 : i - 2;
}

static void behaves_as_an_array_of_all_keys(void **state)
{
    static void *model[KEYS];
    static char values[KEYS];
    struct map m;
    uint32_t random = 12345;
    size_t count = 0;

    (void)state;
    map_init(&m);
    assert_null(map_get(&m, 5));
    assert_null(map_take(&m, 5));
    for (unsigned step = 0; step < 60000; step++) {
        unsigned i;

        random = random * 1664525u + 1013904223u;
        i = (random >> 8) % KEYS;
        if (random >> 30 & 1) {
            assert_int_equal(map_put(&m, key_of(i), &values[(i + step) % KEYS]), 0);
            count += !model[i];
            model[i] = &values[(i + step) % KEYS];
        } else {
            assert_ptr_equal(map_take(&m, key_of(i)), model[i]);
            count -= model[i] != NULL;
            model[i] = NULL;
        }
        assert_int_equal(m.count, count);
        assert_ptr_equal(map_get(&m, key_of(i)), model[i]);
        if (step % 4096 == 0)
            for (unsigned k = 0; k < KEYS; k++)
                assert_ptr_equal(map_get(&m, key_of(k)), model[k]);
    }
    map_free(&m);
    assert_int_equal(m.count, 0);
}

static void iteration_sees_each_once(void **state)
{
    static char seen[KEYS], value;
    struct map m;
    uint64_t key;
    void *v;
    size_t n = 0;

    (void)state;
    map_init(&m);
    for (unsigned i = 0; i < KEYS; i++)
        assert_int_equal(map_put(&m, i * 3, &value), 0);
    for (size_t i = 0; map_next(&m, &i, &key, &v); n++) {
        assert_int_equal(key % 3, 0);
        assert_int_equal(seen[key / 3], 0);
        assert_ptr_equal(v, &value);
        seen[key / 3] = 1;
    }
    assert_int_equal(n, KEYS);
    map_free(&m);
}

static void a_reserve_makes_puts_safe(void **state)
{
    static char value;
    struct map m;
    struct map_cell *cells;

    (void)state;
    map_init(&m);
    assert_int_equal(map_reserve(&m, 1000), 0);
    cells = m.cells;
    for (uint64_t i = 0; i < 1000; i++)
        assert_int_equal(map_put(&m, i, &value), 0);
    assert_ptr_equal(m.cells, cells);
    assert_int_equal(map_reserve(&m, SIZE_MAX), -35);
    assert_int_equal(m.count, 1000);
    map_free(&m);
}

static void hashes_differ(void **state)
{
    uint8_t bytes[32] = { 0 };
    uint64_t one = map_hash_bytes(bytes, 32);

    (void)state;
    assert_true(one == map_hash_bytes(bytes, 32));
    for (size_t n = 0; n < 32; n++)
        assert_true(one != map_hash_bytes(bytes, n));
    for (unsigned i = 0; i < 32; i++) {
        bytes[i] = 1;
        assert_true(one != map_hash_bytes(bytes, 32));
        bytes[i] = 0;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behaves_as_an_array_of_all_keys), cmocka_unit_test(iteration_sees_each_once),
        cmocka_unit_test(a_reserve_makes_puts_safe), cmocka_unit_test(hashes_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
