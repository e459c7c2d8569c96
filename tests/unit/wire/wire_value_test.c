/* SPDX-License-Identifier: MPL-2.0
 * wire_value_test.c - values to MessagePack and back: every type, every range, every mismatch with its text.
 */
#include "bfork.h"
#include "wire/value.h"

#include <float.h>
#include <limits.h>
#include <math.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint8_t packed[1 << 17];
static size_t packed_size;
static struct err e;

static char arena[4096];
static size_t arena_used;
static bool arena_empty;
static void *alloc(void *ctx, size_t size)
{
    void *p = arena + arena_used;

    (void)ctx;
    arena_used += size;
    return arena_empty || arena_used > sizeof(arena) ? NULL : p;
}

static void pack(const bfork_arg *args, size_t n)
{
    packed_size = value_size(args, n, &e);
    assert_true(packed_size > 0 && packed_size < sizeof(packed));
    packed[packed_size] = 0xee;
    value_pack(args, n, packed);
    assert_int_equal(packed[packed_size], 0xee);
    assert_true(value_is_sound(packed, packed_size));
}

/* From memory that ends where the bytes end. */
static int unpack(const bfork_ref *refs, size_t n)
{
    uint8_t *copy = malloc(packed_size ? packed_size : 1);
    int rc;

    memcpy(copy, packed, packed_size);
    arena_used = 0;
    rc = value_unpack(copy, packed_size, refs, n, alloc, NULL, &e);
    free(copy);
    return rc;
}

#define PACK(...) pack(BFORK_ARGS_(0, __VA_ARGS__))
#define UNPACK(...) unpack(BFORK_REFS_(0, __VA_ARGS__))

static void refuses(int rc, const char *text)
{
    assert_int_equal(rc, BFORK_MISMATCH);
    assert_int_equal(e.code, BFORK_MISMATCH);
    assert_string_equal(e.text, text);
}

static void one_of_each(void **state)
{
    bool b = false;
    short s = 0;
    unsigned u = 0;
    long long ll = 0;
    unsigned long long ull = 0;
    float f = 0;
    double d = 0;
    const char *text = NULL, *none = "x";
    bfork_bytes bytes;

    (void)state;
    PACK((bool)true, (short)-7, 4000000000u, -5000000000ll, 18446744073709551615ull, 1.5f, 0.1, "häuser", (const char *)NULL,
         bfork_bytes_of("\0x", 2));
    arena_used = 0;                 /* bytes are lent from packed, so it must stay */
    assert_int_equal(
        value_unpack(packed, packed_size, BFORK_REFS_(0, &b, &s, &u, &ll, &ull, &f, &d, &text, &none, &bytes), alloc, NULL, &e), 0);
    assert_true(b && s == -7 && u == 4000000000u && ll == -5000000000ll && ull == UINT64_MAX && f == 1.5f && d == 0.1 && !none);
    assert_string_equal(text, "häuser");
    assert_int_equal(bytes.size, 2);
    assert_memory_equal(bytes.data, "\0x", 2);
    assert_true((const uint8_t *)bytes.data > packed && (const uint8_t *)bytes.data < packed + packed_size);
}

static void no_values(void **state)
{
    (void)state;
    pack(NULL, 0);
    assert_int_equal(packed_size, 1);
    assert_int_equal(unpack(NULL, 0), 0);
}

/* The value must come through as it is where it fits, and be refused where not. */
static void integer(long long v)
{
    short s;
    unsigned short us;
    int i;
    unsigned u;
    long long l;
    unsigned long long ul;

    PACK(v);
    assert_int_equal(UNPACK(&s), v >= SHRT_MIN && v <= SHRT_MAX ? 0 : BFORK_MISMATCH);
    assert_int_equal(s, v >= SHRT_MIN && v <= SHRT_MAX ? v : 0);
    assert_int_equal(UNPACK(&us), v >= 0 && v <= USHRT_MAX ? 0 : BFORK_MISMATCH);
    assert_int_equal(us, v >= 0 && v <= USHRT_MAX ? v : 0);
    assert_int_equal(UNPACK(&i), v >= INT_MIN && v <= INT_MAX ? 0 : BFORK_MISMATCH);
    assert_int_equal(i, v >= INT_MIN && v <= INT_MAX ? v : 0);
    assert_int_equal(UNPACK(&u), v >= 0 && v <= UINT_MAX ? 0 : BFORK_MISMATCH);
    assert_int_equal(u, v >= 0 && v <= UINT_MAX ? v : 0);
    assert_int_equal(UNPACK(&l), 0);
    assert_true(l == v);
    assert_int_equal(UNPACK(&ul), v >= 0 ? 0 : BFORK_MISMATCH);
    assert_true(v < 0 || ul == (unsigned long long)v);
}

static void integers_at_every_border(void **state)
{
    static const long long around[] = { 0,     31,    32,    127,        128,        255,        256,        32767,
                                        32768, 65535, 65536, 2147483647, 2147483648, 4294967295, 4294967296, LLONG_MAX };

    (void)state;
    for (size_t k = 0; k < sizeof(around) / sizeof(around[0]); k++)
        for (int d = -2; d <= 2; d++) {
            if ((d > 0 && around[k] > LLONG_MAX - d) || (d < 0 && -around[k] < LLONG_MIN - d))
                continue;
            integer(around[k] + d);
            integer(-around[k] + d);
        }
    integer(LLONG_MIN);
}

static void beyond_signed(void **state)
{
    long long l = 1;
    unsigned long long ul = 0;

    (void)state;
    PACK(9223372036854775808ull);
    refuses(UNPACK(&l), "sent (unsigned long 9223372036854775808), asked for (long *)");
    assert_true(l == 0);
    assert_int_equal(UNPACK(&ul), 0);
    assert_true(ul == 9223372036854775808ull);
}

static void real_numbers(void **state)
{
    double d;
    float f;
    int i;

    (void)state;
    PACK(9007199254740993ll);       /* 2^53 + 1 */
    assert_int_equal(UNPACK(&d), BFORK_MISMATCH);
    PACK(9007199254740992ll);
    assert_int_equal(UNPACK(&d), 0);
    assert_true(d == 9007199254740992.0);
    PACK(LLONG_MIN);
    assert_int_equal(UNPACK(&d), 0);
    assert_true(d == -9223372036854775808.0);
    PACK(16777217);
    assert_int_equal(UNPACK(&f), BFORK_MISMATCH);
    PACK(-16777216);
    assert_int_equal(UNPACK(&f), 0);
    assert_true(f == -16777216.0f);
    PACK(1e39);
    assert_int_equal(UNPACK(&f), BFORK_MISMATCH);
    PACK((double)FLT_MAX);
    assert_int_equal(UNPACK(&f), 0);
    assert_true(f == FLT_MAX);
    PACK((double)INFINITY, (double)NAN);
    {
        float g;

        assert_int_equal(UNPACK(&f, &g), 0);
        assert_true(isinf(f) && isnan(g));
    }
    PACK(2.0);
    refuses(UNPACK(&i), "sent (double 2), asked for (int *)");
    memcpy(packed, "\x91\xca\x3f\x80\x00\x00", packed_size = 6);    /* a float of another language */
    assert_int_equal(UNPACK(&d), 0);
    assert_true(d == 1.0);
}

static void fixed_objects(void **state)
{
    struct point { double x, y; } p = { 1.5, -2 }, q;
    char small[15];

    (void)state;
    PACK(bfork_pod(p));
    assert_int_equal(UNPACK(bfork_into(q)), 0);
    assert_memory_equal(&p, &q, sizeof(p));
    refuses(UNPACK(bfork_into(small)), "sent (bytes [16]), asked for (object of 15 bytes *)");
    PACK("text of 16 bytes");
    assert_int_equal(UNPACK(bfork_into(q)), BFORK_MISMATCH);
    assert_true(q.x == 0 && q.y == 0);
}

/* In C before C23 true and false are ints, so a program that says bfork_submit(pool, f, true) sends one. */
static void true_and_false_as_c_has_them(void **state)
{
    bool yes = false, no = true;

    (void)state;
    PACK(1, 0);
    assert_int_equal(UNPACK(&yes, &no), 0);
    assert_true(yes && !no);
}

static void any_value(void **state)
{
    bfork_arg a[7];

    (void)state;
    PACK(-1, 7u, 18446744073709551615ull, 2.5, "text", (bool)false, (const char *)NULL);
    assert_int_equal(UNPACK(&a[0], &a[1], &a[2], &a[3], &a[4], &a[5], &a[6]), 0);
    assert_true(a[0].type == BFORK_INT && a[0].v.i == -1 && a[1].type == BFORK_INT && a[1].v.i == 7);
    assert_true(a[2].type == BFORK_UINT && a[2].v.u == UINT64_MAX && a[3].type == BFORK_REAL && a[3].v.f == 2.5);
    assert_true(a[4].type == BFORK_STR && a[4].size == 4 && strcmp(a[4].v.p, "text") == 0);
    assert_true(a[5].type == BFORK_BOOL && !a[5].v.u && a[6].type == BFORK_NIL);
    memcpy(packed, "\x91\x91\x01", packed_size = 3);
    refuses(UNPACK(&a[0]), "sent (array of 1), asked for (bfork_arg *)");
}

static void mismatches_show_both_sides(void **state)
{
    int i = 1, j = 2;
    bool yes = true;
    const char *s = "x";
    unsigned u;
    bfork_bytes b;

    (void)state;
    PACK("a.jpg", 256);
    refuses(UNPACK(&i, &j), "sent (str \"a.jpg\", int 256), asked for (int *, int *)");
    assert_true(i == 0 && j == 0);
    refuses(UNPACK(&s), "sent (str \"a.jpg\", int 256), asked for (const char * *)");
    assert_null(s);
    PACK(-1, (bool)true, "a text that is longer than what is shown of it", bfork_bytes_of("12345", 5), -3000000000ll, 1);
    refuses(UNPACK(&u, &yes, &s, &b, &i, &j),
            "sent (int -1, bool true, str \"a text that is longer th…\", bytes [5], long -3000000000, int 1), "
            "asked for (unsigned *, bool *, const char * *, bfork_bytes *, int *, int *)");
    assert_true(!yes && !s && !b.data);
    PACK(2);
    refuses(UNPACK(&yes), "sent (int 2), asked for (bool *)");
    PACK((bool)true);
    refuses(UNPACK(&i), "sent (bool true), asked for (int *)");
    memcpy(packed, "\x81\x01\x02", packed_size = 3);
    refuses(UNPACK(&i), "sent map of 1, asked for (int *)");
    pack(NULL, 0);
    refuses(UNPACK(&i), "sent (), asked for (int *)");
}

static void many_values_in_a_mismatch(void **state)
{
    bfork_arg args[100];
    int i;

    (void)state;
    for (size_t k = 0; k < 100; k++)
        args[k] = bfork_arg_str("a string that takes room in the text");
    pack(args, 100);
    assert_int_equal(UNPACK(&i), BFORK_MISMATCH);
    assert_true(strlen(e.text) < sizeof(e.text));
    assert_memory_equal(e.text, "sent (str \"a string that takes room", 35);
}

static void malformed_bytes(void **state)
{
    static const char *const bad[] = {
        "\xc1", "\x92\x01", "\x91\xa5xyz", "\x91\x01\x01", "\x91\xdd\xff\xff\xff\xff", "\x91\xc6\x7f\xff\xff\xff"
    };
    static const size_t sizes[] = { 1, 2, 5, 3, 6, 6 };
    int i = 5;

    (void)state;
    for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
        memcpy(packed, bad[k], packed_size = sizes[k]);
        assert_int_equal(UNPACK(&i), BFORK_EPROTOCOL);
        assert_int_equal(i, 0);
        assert_false(value_is_sound(packed, packed_size));
    }
    packed_size = 0;
    assert_int_equal(UNPACK(&i), BFORK_EPROTOCOL);
    memset(packed, 0x91, 33);
    packed[32] = 1;
    assert_true(value_is_sound(packed, 33));
    packed[32] = 0x91;
    packed[33] = 1;
    assert_false(value_is_sound(packed, 34));
}

static void no_memory_for_strings(void **state)
{
    const char *s = "x";
    int i = 4;

    (void)state;
    PACK(3, "text");
    arena_empty = true;
    assert_int_equal(UNPACK(&i, &s), BFORK_ENOMEM);
    arena_empty = false;
    assert_true(i == 0 && !s);
    assert_int_equal(UNPACK(&i, &s), 0);
    assert_int_equal(i, 3);
}

static void what_cannot_travel(void **state)
{
    bfork_arg null_bytes = bfork_arg_bin(bfork_bytes_of(NULL, 5)), none = bfork_arg_make(99);
    bfork_arg nothing = bfork_arg_bin(bfork_bytes_of(NULL, 0));

    (void)state;
    assert_int_equal(value_size(&null_bytes, 1, &e), 0);
    assert_int_equal(e.code, BFORK_EINVAL);
    assert_int_equal(value_size(&none, 1, &e), 0);
    assert_non_null(strstr(e.text, "value 1 has type 99"));
    pack(&nothing, 1);
    assert_int_equal(packed_size, 3);
}

static void strings_of_every_width(void **state)
{
    static char text[70000];
    static const size_t sizes[] = { 0, 1, 31, 32, 255, 256, 65535, 65536 };
    bfork_bytes b;

    (void)state;
    memset(text, 'x', sizeof(text));
    for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
        bfork_arg args[2] = { bfork_arg_bin(bfork_bytes_of(text, sizes[k])), bfork_arg_int(7) };
        int i;

        pack(args, 2);
        assert_int_equal(UNPACK(&b, &i), 0);
        assert_true(b.size == sizes[k] && i == 7);
        args[0].type = BFORK_STR;
        pack(args, 2);
        assert_int_equal(unpack(BFORK_REFS_(0, &b, &i)), BFORK_MISMATCH);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_of_each),
        cmocka_unit_test(no_values),
        cmocka_unit_test(integers_at_every_border),
        cmocka_unit_test(beyond_signed),
        cmocka_unit_test(real_numbers),
        cmocka_unit_test(fixed_objects),
        cmocka_unit_test(true_and_false_as_c_has_them),
        cmocka_unit_test(any_value),
        cmocka_unit_test(mismatches_show_both_sides),
        cmocka_unit_test(many_values_in_a_mismatch),
        cmocka_unit_test(malformed_bytes),
        cmocka_unit_test(no_memory_for_strings),
        cmocka_unit_test(what_cannot_travel),
        cmocka_unit_test(strings_of_every_width),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
