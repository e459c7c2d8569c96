/* SPDX-License-Identifier: MPL-2.0
 * fuzz_corpus.c - the fuzzer's entry point over its corpus, the golden files, each offered to each reader, and over 200000 seeded
 * mutations of them. The harness aborts if a rule is broken.
 */
#include "golden.h"
#include "samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sample samples[SAMPLES_MAX];

static void offer(const uint8_t *p, size_t n, uint8_t reader)
{
    uint8_t *copy = malloc(n + 1);

    assert_non_null(copy);
    copy[0] = reader;
    memcpy(copy + 1, p, n);
    assert_int_equal(LLVMFuzzerTestOneInput(copy, n + 1), 0);
    free(copy);
}

static uint32_t random_next(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(*seed >> 33);
}

/* Changes up to four places: a byte, a bit, a byte taken out or doubled. */
static size_t mutate(uint8_t *p, size_t n, uint64_t *seed)
{
    for (uint32_t k = random_next(seed) % 4; n > 1; k--) {
        size_t at = random_next(seed) % n;

        switch (random_next(seed) % 4) {
        case 0: p[at] = (uint8_t)random_next(seed); break;
        case 1: p[at] ^= (uint8_t)(1u << random_next(seed) % 8); break;
        case 2: memmove(p + at, p + at + 1, --n - at); break;
        default: memmove(p + at + 1, p + at, n - at); n++; break;
        }
        if (k == 0)
            break;
    }
    return n;
}

static void the_corpus_and_what_is_near_it(void **state)
{
    size_t n_samples = samples_make(samples);
    uint64_t seed = 1;
    uint8_t bytes[SAMPLE_ROOM], changed[SAMPLE_ROOM + 8];
    unsigned offered = 0;

    (void)state;
    for (size_t k = 0; k < n_samples + SAMPLE_DOCUMENTS; k++) {
        char name[64];
        long n;

        if (k < n_samples)
            strcpy(name, samples[k].name);
        else
            strcat(strcpy(name, "document_"), sample_document_names[k - n_samples]);
        assert_true((n = golden_read(name, bytes, sizeof(bytes), NULL, 0)) > 0);
        for (uint8_t reader = 0; reader < 6; reader++)
            offer(bytes, (size_t)n, reader);
        for (int round = 0; round < 5000; round++, offered++) {
            memcpy(changed, bytes, (size_t)n);
            offer(changed, mutate(changed, (size_t)n, &seed), k < n_samples ? 0 : (uint8_t)(2 + k - n_samples));
        }
    }
    assert_true(offered >= 200000);
}

static void values_and_what_is_near_them(void **state)
{
    static const char sample[] =
        "\x0d\x80\x9d\xc3\x01\xcc\x80\xd0\x80\xce\x80\x00\x00\x00\xd3\x80\x00\x00\x00\x00\x00\x00\x00\xff\xca\x3f\x80\x00\x00"
        "\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00\xa3"
        "abc\xc4\x02xy\xc0\xc2";
    uint8_t changed[sizeof(sample) + 16];
    uint64_t seed = 2;

    (void)state;
    for (int round = 0; round < 50000; round++) {
        memcpy(changed, sample, sizeof(sample) - 1);
        changed[1] = (uint8_t)round;
        offer(changed, round % 8 ? mutate(changed, sizeof(sample) - 1, &seed) : sizeof(sample) - 1, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_corpus_and_what_is_near_it),
                                        cmocka_unit_test(values_and_what_is_near_them) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
