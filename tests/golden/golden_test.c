/* SPDX-License-Identifier: MPL-2.0
 * golden_test.c - the bytes of every message and document are what they were when the golden files were written, and are read back.
 * With the argument "write" it writes files that do not exist yet; one that exists is never changed.
 */
#include "golden.h"
#include "samples.h"

#include "wire/fields.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct sample samples[SAMPLES_MAX];
static size_t n_samples;
static struct wire_item items[WIRE_ITEMS_MAX];

static size_t encode(const struct wire_msg *m, uint8_t *out)
{
    size_t size = wire_size(m);

    assert_true(size > 0 && size <= SAMPLE_ROOM);
    memset(out, 0xee, SAMPLE_ROOM);
    wire_encode(m, out);
    for (size_t i = size; i < SAMPLE_ROOM; i++)
        assert_int_equal(out[i], 0xee);
    return size;
}

static void compare(const char *name, const char *text, const uint8_t *p, size_t n)
{
    uint8_t golden[SAMPLE_ROOM];
    char comment[8192] = "";
    long size = golden_read(name, golden, sizeof(golden), comment, sizeof(comment));

    if (size < 0)
        fail_msg("there is no golden file for %s: run golden_test write", name);
    comment[strcspn(comment, "\n")] = 0;
    assert_string_equal(comment, text);
    assert_int_equal(size, n);
    assert_memory_equal(golden, p, n);
}

static void every_message_has_the_golden_bytes(void **state)
{
    uint8_t frame[SAMPLE_ROOM];
    char text[4096];

    (void)state;
    for (size_t k = 0; k < n_samples; k++) {
        size_t size = encode(&samples[k].msg, frame);

        wire_print(&samples[k].msg, text, sizeof(text));
        compare(samples[k].name, text, frame, size);
    }
}

static void every_document_has_the_golden_bytes(void **state)
{
    static const char *const names[] = { "document_fn", "document_pool_spec", "document_job_spec", "document_outcome" };
    uint8_t bytes[SAMPLE_ROOM];

    (void)state;
    for (int k = 0; k < SAMPLE_DOCUMENTS; k++)
        compare(names[k], sample_document_names[k], bytes, sample_document((enum sample_document)k, bytes));
}

static void every_type_has_a_sample(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 128; type++) {
        size_t k = 0;

        while (k < n_samples && samples[k].msg.type != type)
            k++;
        assert_int_equal(k < n_samples, strcmp(wire_type_name(type), "?") != 0);
    }
}

/* Decoded, printed and encoded again it is the same; and every field of the head is there. */
static void every_message_comes_back(void **state)
{
    uint8_t frame[SAMPLE_ROOM], again[SAMPLE_ROOM];
    char sent[4096], got[4096];
    struct wire_msg m;
    struct err e;

    (void)state;
    for (size_t k = 0; k < n_samples; k++) {
        size_t size = encode(&samples[k].msg, frame);
        const struct wire_message *d = wire_message_of(samples[k].msg.type);

        if (wire_decode(frame, size, NULL, items, &m, &e) < 0)
            fail_msg("%s: %s", samples[k].name, e.text);
        assert_int_equal(encode(&m, again), size);
        assert_memory_equal(frame, again, size);
        wire_print(&samples[k].msg, sent, sizeof(sent));
        wire_print(&m, got, sizeof(got));
        assert_string_equal(sent, got);
        for (uint32_t i = 0; i < d->head.n; i++) {
            char name[64];

            snprintf(name, sizeof(name), " %s=", d->head.fields[i].name);
            if (!strstr(got, name) && !(d->head.fields[i].from && m.type == WIRE_HELLO) &&
                d->head.fields[i].key != WIRE_KEY_STRIDE)       /* absent until a record grows */
                fail_msg("%s: the sample does not set %s", samples[k].name, name);
        }
    }
}

static void every_item_comes_back(void **state)
{
    uint8_t frame[SAMPLE_ROOM];
    struct wire_msg m;

    (void)state;
    for (size_t k = 0; k < n_samples; k++) {
        const struct wire_msg *s = &samples[k].msg;

        assert_int_equal(wire_decode(frame, encode(s, frame), NULL, items, &m, NULL), 0);
        assert_int_equal(m.n_items, s->n_items);
        for (uint32_t i = 0; i < m.n_items; i++) {
            struct wire_item a = s->items[i], b = m.items[i];

            assert_int_equal(a.lens.size, b.lens.size);
            assert_int_equal(a.body.size, b.body.size);
            if (a.lens.size)
                assert_memory_equal(a.lens.data, b.lens.data, a.lens.size);
            if (a.body.size)
                assert_memory_equal(a.body.data, b.body.data, a.body.size);
            assert_true(a.id == b.id && a.job == b.job && a.first == b.first && a.count == b.count && a.flags == b.flags &&
                        a.size == b.size);
            assert_true(a.tries == b.tries && a.crashes == b.crashes && a.kind == b.kind && a.why == b.why && a.pid == b.pid);
            assert_true(a.sum_ns == b.sum_ns && a.end == b.end);
            assert_memory_equal(a.ticket, b.ticket, sizeof(a.ticket));
            assert_memory_equal(a.job_id, b.job_id, sizeof(a.job_id));
            assert_memory_equal(a.owner, b.owner, sizeof(a.owner));
        }
    }
}

static void write_missing(const char *name, const char *comment, const uint8_t *p, size_t n)
{
    char path[512], text[4 * SAMPLE_ROOM];
    uint8_t ignored[1];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s.hex", GOLDEN_DIR, name);
    if (golden_read(name, ignored, 1, NULL, 0) >= 0 || !(f = fopen(path, "we")))
        return;
    golden_text(comment, p, n, text, sizeof(text));
    fputs(text, f);
    fclose(f);
    printf("wrote %s\n", path);
}

static void write_all(void)
{
    static uint8_t bytes[SAMPLE_ROOM];
    char text[4096];

    for (size_t k = 0; k < n_samples; k++) {
        wire_print(&samples[k].msg, text, sizeof(text));
        wire_encode(&samples[k].msg, bytes);
        write_missing(samples[k].name, text, bytes, wire_size(&samples[k].msg));
    }
    for (int k = 0; k < SAMPLE_DOCUMENTS; k++) {
        snprintf(text, sizeof(text), "document_%s", sample_document_names[k]);
        write_missing(text, sample_document_names[k], bytes, sample_document((enum sample_document)k, bytes));
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_has_the_golden_bytes),
        cmocka_unit_test(every_document_has_the_golden_bytes),
        cmocka_unit_test(every_type_has_a_sample),
        cmocka_unit_test(every_message_comes_back),
        cmocka_unit_test(every_item_comes_back),
    };

    n_samples = samples_make(samples);
    if (argc > 1 && strcmp(argv[1], "write") == 0) {
        write_all();
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
