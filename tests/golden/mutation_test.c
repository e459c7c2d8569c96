/* SPDX-License-Identifier: MPL-2.0
 * mutation_test.c - the decoder against every truncation, every single-byte change and some insertions of every golden frame. The
 * frame lies at the end of its own allocation, so a sanitizer sees a read of one byte too many. What decodes keeps every limit: it
 * can be encoded again, and that decodes.
 */
#include "golden.h"
#include "samples.h"

#include "bfork.h"
#include "wire/fields.h"
#include "wire/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct sample samples[SAMPLES_MAX];
static size_t n_samples;
static struct wire_item items[WIRE_ITEMS_MAX], items2[WIRE_ITEMS_MAX];
static uint8_t again[WIRE_FRAME_MAX];

/* true: it decoded. */
static bool try_frame(const uint8_t *frame, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    struct wire_msg m, m2;
    struct err e = { 0, "" };
    size_t n;
    int rc;

    assert_non_null(copy);
    if (size)
        memcpy(copy, frame, size);
    rc = wire_decode(copy, size, NULL, items, &m, &e);
    if (rc < 0) {
        assert_true(rc == BFORK_EPROTOCOL || rc == BFORK_ENOTSUP);      /* a key that became one that must be understood */
        assert_int_equal(e.code, rc);
        assert_true(strlen(e.text) > 10);
    } else {
        n = wire_size(&m);
        assert_true(n > 0 && n <= sizeof(again));
        wire_encode(&m, again);
        if (wire_decode(again, n, NULL, items2, &m2, &e) < 0)
            fail_msg("encoded again, it is refused: %s", e.text);
    }
    free(copy);
    return rc == 0;
}

static void every_truncation_is_refused(void **state)
{
    uint8_t frame[SAMPLE_ROOM];

    (void)state;
    for (size_t k = 0; k < n_samples; k++) {
        size_t size = (size_t)golden_read(samples[k].name, frame, sizeof(frame), NULL, 0);

        assert_true(try_frame(frame, size));
        for (size_t n = 0; n < size; n++)
            if (try_frame(frame, n))
                fail_msg("%s, cut to %zu of %zu bytes, decodes", samples[k].name, n, size);
    }
}

static void a_byte_too_many_is_refused(void **state)
{
    uint8_t frame[SAMPLE_ROOM];

    (void)state;
    for (size_t k = 0; k < n_samples; k++) {
        size_t size = (size_t)golden_read(samples[k].name, frame, sizeof(frame) - 1, NULL, 0);

        frame[size] = 0xc0;
        assert_false(try_frame(frame, size + 1));
    }
}

static void every_change_of_a_byte_is_survived(void **state)
{
    uint8_t frame[SAMPLE_ROOM];
    size_t decoded = 0, refused = 0;

    (void)state;
    for (size_t k = 0; k < n_samples; k++) {
        size_t size = (size_t)golden_read(samples[k].name, frame, sizeof(frame), NULL, 0);

        for (size_t at = 0; at < size; at++) {
            uint8_t was = frame[at];

            for (unsigned v = 0; v < 256; v++) {
                frame[at] = (uint8_t)v;
                if (try_frame(frame, size))
                    decoded++;
                else
                    refused++;
            }
            frame[at] = was;
        }
    }
    assert_true(decoded > 1000 && refused > 10000);
}

static void every_change_of_a_document_is_survived(void **state)
{
    uint8_t bytes[SAMPLE_ROOM], out[2 * SAMPLE_ROOM];
    size_t size;
    struct err e;

    (void)state;
    for (int which = 0; which < SAMPLE_DOCUMENTS; which++) {
        size_t n = sample_document((enum sample_document)which, bytes);

        for (size_t cut = 0; cut < n; cut++) {
            uint8_t *copy = malloc(cut + 1);

            memcpy(copy + 1, bytes, cut);
            assert_int_equal(sample_document_again((enum sample_document)which, copy + 1, cut, out, &size, &e), BFORK_EPROTOCOL);
            free(copy);
        }
        for (size_t at = 0; at < n; at++)
            for (unsigned bit = 0; bit < 8; bit++) {
                uint8_t *copy = malloc(n);
                int rc;

                memcpy(copy, bytes, n);
                copy[at] ^= (uint8_t)(1u << bit);
                rc = sample_document_again((enum sample_document)which, copy, n, out, &size, &e);
                if (rc == 0)
                    assert_true(size > 0);
                else
                    assert_true(rc == BFORK_EPROTOCOL || rc == BFORK_ENOTSUP);
                free(copy);
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_truncation_is_refused), cmocka_unit_test(a_byte_too_many_is_refused),
        cmocka_unit_test(every_change_of_a_byte_is_survived), cmocka_unit_test(every_change_of_a_document_is_survived),
    };

    n_samples = samples_make(samples);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
