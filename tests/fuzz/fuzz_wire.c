/* SPDX-License-Identifier: MPL-2.0
 * fuzz_wire.c - one harness for all readers of a peer's bytes. The first byte chooses: 0 a frame, 1 values, 2..5 a document. What
 * decodes must keep the encoder's limits, come back the same when it is decoded again, and be cut and printed without harm.
 */
#include "wire/value.h"
#include "wire/wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct wire_item items[WIRE_ITEMS_MAX], again[WIRE_ITEMS_MAX];

static void must(int holds)
{
    if (!holds)
        abort();
}

static void fuzz_cut(const struct wire_msg *m)
{
    for (uint32_t k = 0; k < m->n_items && k < 16; k++) {
        struct wire_item head, rest;

        wire_item_cut(&m->items[k], m->items[k].count / 2, &head, &rest);
        must(head.count + rest.count == m->items[k].count);
        must(m->items[k].kind != WIRE_OK || head.body.size + rest.body.size == m->items[k].body.size);
    }
}

static void fuzz_frame(const uint8_t *p, size_t n)
{
    struct wire_msg m, m2;
    struct err e;
    char text[512];
    uint8_t *out, *twice;
    size_t size;

    if (wire_decode(p, n, NULL, items, &m, &e) < 0) {
        must(e.code < 0 && e.text[0]);
        return;
    }
    wire_print(&m, text, sizeof(text));
    must((size = wire_size(&m)) > 0);
    out = malloc(size);
    twice = malloc(size);
    must(out && twice);
    wire_encode(&m, out);
    must(wire_decode(out, size, NULL, again, &m2, &e) == 0);
    must(wire_size(&m2) == size);
    wire_encode(&m2, twice);
    must(memcmp(out, twice, size) == 0);
    fuzz_cut(&m2);
    free(out);
    free(twice);
}

static void *strings_alloc(void *ctx, size_t size)
{
    void **list = ctx, **p = malloc(sizeof(void *) + size);

    if (!p)
        return NULL;
    *p = *list;
    *list = p;
    return p + 1;
}

/* Places of every type in turn, as many as the bytes say they are. */
static void fuzz_values(const uint8_t *p, size_t n)
{
    static const int types[] = { BFORK_BOOL, BFORK_I16, BFORK_U16, BFORK_I32, BFORK_U32, BFORK_I64, BFORK_U64, BFORK_F32, BFORK_F64,
                                 BFORK_STR, BFORK_BIN, BFORK_FIXED, BFORK_ANY };
    union { uint64_t u; bfork_bytes bytes; bfork_arg arg; uint8_t fixed[8]; } places[15];
    bfork_ref refs[15] = { { 0 } };
    bfork_arg args[15];
    uint8_t *out;
    void *strings = NULL;
    size_t count = n > 2 ? p[0] & 15u : 0, from = n > 2 ? p[1] : 0, size;
    bool any = from & 128;
    struct err e;

    if (n < 2)
        return;
    if (count == 15)
        count = 0;
    for (size_t i = 0; i < count; i++)
        refs[i] = (bfork_ref){ any ? BFORK_ANY : types[(from + i) % (sizeof(types) / sizeof(types[0]))], 0, &places[i],
                               sizeof(places[i].fixed) };
    if (value_unpack(p + 2, n - 2, refs, count, strings_alloc, &strings, &e) < 0)
        must(e.code < 0 && e.text[0]);
    else {
        must(value_is_sound(p + 2, n - 2));
        for (size_t i = 0; any && i < count; i++)
            args[i] = places[i].arg;
        if (any) {
            must((size = value_size(args, count, &e)) > 0);
            out = malloc(size);
            must(out != NULL);
            value_pack(args, count, out);
            must(value_unpack(out, size, refs, count, strings_alloc, &strings, &e) == 0);
            free(out);
        }
    }
    while (strings) {
        void *next = *(void **)strings;

        free(strings);
        strings = next;
    }
}

#define FUZZ_DOCUMENT(name) \
    static void fuzz_##name(const uint8_t *p, size_t n) \
    { \
        struct wire_##name d; \
        struct buf *one, *two; \
        struct err e; \
        if (wire_##name##_decode(p, n, &d, &e) < 0) \
            return; \
        must((one = wire_##name##_encode(&d)) != NULL); \
        must(wire_##name##_decode(one->data, one->size, &d, &e) == 0); \
        must((two = wire_##name##_encode(&d)) != NULL); \
        must(one->size == two->size && memcmp(one->data, two->data, one->size) == 0); \
        buf_unref(&one); \
        buf_unref(&two); \
    }
FUZZ_DOCUMENT(fn)
FUZZ_DOCUMENT(pool_spec)
FUZZ_DOCUMENT(job_spec)
FUZZ_DOCUMENT(outcome)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(const uint8_t *p, size_t n) = { fuzz_frame,     fuzz_values,   fuzz_fn,
                                                                   fuzz_pool_spec, fuzz_job_spec, fuzz_outcome };

    if (size > 0)
        readers[data[0] % (sizeof(readers) / sizeof(readers[0]))](data + 1, size - 1);
    return 0;
}
