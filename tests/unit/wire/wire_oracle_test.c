/* SPDX-License-Identifier: MPL-2.0
 * wire_oracle_test.c - our MessagePack against msgpack-c: the same bytes for the same values, and the same values from its bytes.
 */
#include "bfork.h"
#include "wire/cursor.h"
#include "wire/value.h"

#include <limits.h>
#include <msgpack.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void same_bytes(const bfork_arg *a, const msgpack_sbuffer *theirs)
{
    uint8_t ours[70016];
    size_t n = value_size(a, 1, NULL);

    value_pack(a, 1, ours);
    assert_int_equal(n, theirs->size);
    assert_memory_equal(ours, theirs->data, n);
}

static void integers(void **state)
{
    msgpack_sbuffer buffer;
    msgpack_packer packer;
    bfork_arg a;

    (void)state;
    msgpack_sbuffer_init(&buffer);
    msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
    for (int shift = 0; shift < 64; shift++)
        for (int d = -2; d <= 2; d++) {
            uint64_t u = ((uint64_t)1 << shift) + (uint64_t)(int64_t)d;

            msgpack_sbuffer_clear(&buffer);
            msgpack_pack_array(&packer, 1);
            msgpack_pack_uint64(&packer, u);
            a = bfork_arg_uint(u);
            same_bytes(&a, &buffer);
            msgpack_sbuffer_clear(&buffer);
            msgpack_pack_array(&packer, 1);
            msgpack_pack_int64(&packer, (int64_t)u);
            a = bfork_arg_int((long long)u);
            same_bytes(&a, &buffer);
            msgpack_sbuffer_clear(&buffer);
            msgpack_pack_array(&packer, 1);
            msgpack_pack_int64(&packer, (int64_t)(0 - u));
            a = bfork_arg_int((long long)(0 - u));
            same_bytes(&a, &buffer);
        }
    msgpack_sbuffer_destroy(&buffer);
}

static void strings_bytes_and_the_rest(void **state)
{
    static const size_t sizes[] = { 0, 1, 31, 32, 255, 256, 65535, 65536 };
    static char text[65536];
    msgpack_sbuffer buffer;
    msgpack_packer packer;
    bfork_arg a;

    (void)state;
    memset(text, 'x', sizeof(text));
    msgpack_sbuffer_init(&buffer);
    msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
    for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
        msgpack_sbuffer_clear(&buffer);
        msgpack_pack_array(&packer, 1);
        msgpack_pack_bin(&packer, sizes[k]);
        msgpack_pack_bin_body(&packer, text, sizes[k]);
        a = bfork_arg_bin(bfork_bytes_of(text, sizes[k]));
        same_bytes(&a, &buffer);
        msgpack_sbuffer_clear(&buffer);
        msgpack_pack_array(&packer, 1);
        msgpack_pack_str(&packer, sizes[k]);
        msgpack_pack_str_body(&packer, text, sizes[k]);
        a.type = BFORK_STR;
        same_bytes(&a, &buffer);
    }
    msgpack_sbuffer_clear(&buffer);
    msgpack_pack_array(&packer, 1);
    msgpack_pack_double(&packer, -0.1);
    a = bfork_arg_real(-0.1);
    same_bytes(&a, &buffer);
    msgpack_sbuffer_destroy(&buffer);
}

/* Random bytes: whether they are one sound value, and how long it is, is judged alike (but for msgpack-c's own limit of nesting).
 */
static void soundness(void **state)
{
    uint32_t random = 99;
    unsigned sound = 0;

    (void)state;
    for (int round = 0; round < 100000; round++) {
        char bytes[12];
        size_t at = 0;
        msgpack_unpacked u;
        struct cursor c = { (uint8_t *)bytes, (uint8_t *)bytes + sizeof(bytes) };
        msgpack_unpack_return theirs;

        for (size_t i = 0; i < sizeof(bytes); i++) {
            random = random * 1664525u + 1013904223u;
            bytes[i] = (char)(random >> 24);
            if ((bytes[i] & 0xfc) == 0xdc)      /* msgpack-c allocates by the length that these claim */
                bytes[i] ^= 0x40;
        }
        msgpack_unpacked_init(&u);
        theirs = msgpack_unpack_next(&u, bytes, sizeof(bytes), &at);
        if (cursor_skip(&c)) {
            assert_true(theirs == MSGPACK_UNPACK_SUCCESS);
            assert_int_equal(at, c.p - (uint8_t *)bytes);
            sound++;
        } else
            assert_true(theirs != MSGPACK_UNPACK_SUCCESS);
        msgpack_unpacked_destroy(&u);
    }
    assert_true(sound > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers), cmocka_unit_test(strings_bytes_and_the_rest), cmocka_unit_test(soundness),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
