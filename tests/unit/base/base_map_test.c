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
    cells = m.now.cells;
    for (uint64_t i = 0; i < 1000; i++)
        assert_int_equal(map_put(&m, i, &value), 0);
    assert_ptr_equal(m.now.cells, cells);
    assert_int_equal(map_reserve(&m, SIZE_MAX), -35);
    assert_int_equal(m.count, 1000);
    map_free(&m);
}

/* Cells looked at by the put that costs most of 1,100,000: the map grows seventeen times meanwhile. */
static void r06_a_growing_map_moves_a_few_keys_at_a_time(void **state)
{
    struct hash_key key = { .k = { 3, 4 } };
    static char value;
    uint64_t most = 0;
    struct map m;

    (void)state;
    map_init_keyed(&m, &key);
    for (uint64_t i = 0; i < 1100000; i++) {
        uint64_t before = key.probes;
        assert_int_equal(map_put(&m, i, &value), 0);
        if (key.probes - before > most)
            most = key.probes - before;
    }
    assert_int_equal(m.count, 1100000);
    for (uint64_t i = 0; i < 1100000; i++) {
        assert_ptr_equal(map_get(&m, i), &value);
        if (i % 2)
            assert_ptr_equal(map_take(&m, i), &value);
    }
    assert_int_equal(m.count, 550000);
    map_free(&m);
    if (most > 1000)
        fail_msg("one put looked at %llu cells", (unsigned long long)most);
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

/* Numbers that meet in one cell of a map without a key: its mixing is undone, so that the low bits of all are the same. */
static uint64_t unmix(uint64_t x)
{
    x ^= x >> 31 ^ x >> 62;
    x *= 0x319642b2d24d8ec3ull;
    x ^= x >> 27 ^ x >> 54;
    x *= 0x96de1b173f119089ull;
    return x ^ x >> 30 ^ x >> 60;
}

static uint64_t probes_of(struct hash_key *key, bool chosen)
{
    static char value;
    uint64_t random = 5, before = key->probes;
    struct map m;

    map_init_keyed(&m, key);
    for (uint64_t i = 1; i <= 20000; i++) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        assert_int_equal(map_put(&m, chosen ? unmix(i << 32) : random, &value), 0);
    }
    assert_int_equal(m.count, 20000);
    map_free(&m);
    return key->probes - before;
}

static void r06_colliding_numbers_cost_what_others_cost(void **state)
{
    struct hash_key key = { .k = { 0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull } };
    uint64_t others = probes_of(&key, false), chosen = probes_of(&key, true);

    (void)state;
    if (chosen > others + others / 4)
        fail_msg("20,000 chosen numbers cost %llu probes, others %llu", (unsigned long long)chosen, (unsigned long long)others);
}

/* Two keys put the same bytes elsewhere; the first is that of the reference, whose SipHash-1-3 of 00 01 … 0e is known. */
static void r06_the_hash_depends_on_its_key(void **state)
{
    struct hash_key one = { .k = { 0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull } }, other = { .k = { 1, 2 } };
    uint8_t bytes[16];
    size_t same = 0;

    (void)state;
    for (unsigned i = 0; i < 16; i++)
        bytes[i] = (uint8_t)i;
    for (size_t n = 0; n <= 16; n++)
        same += map_hash_keyed(&one, bytes, n) == map_hash_keyed(&other, bytes, n);
    assert_int_equal(same, 0);
    assert_true(map_hash_keyed(&one, bytes, 0) == 0xabac0158050fc4dcull);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behaves_as_an_array_of_all_keys), cmocka_unit_test(iteration_sees_each_once),
        cmocka_unit_test(a_reserve_makes_puts_safe), cmocka_unit_test(r06_a_growing_map_moves_a_few_keys_at_a_time),
        cmocka_unit_test(hashes_differ),
        cmocka_unit_test(r06_colliding_numbers_cost_what_others_cost),
        cmocka_unit_test(r06_the_hash_depends_on_its_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
