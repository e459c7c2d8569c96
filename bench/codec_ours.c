/* SPDX-License-Identifier: MPL-2.0
 * codec_ours - what the product does with the bytes of a peer and of a task. Nothing is allocated. */
#include "codec.h"

#include "contest.h"
#include "wire/value.h"
#include "wire/wire.h"

static char texts[256];
static size_t n_texts;

/* What the texts of a task are copied into, with an end. */
static void *text_room(void *ctx, size_t size)
{
    char *p = texts + n_texts;

    (void)ctx;
    if (size > sizeof(texts) - n_texts)
        return NULL;
    n_texts += size;
    return p;
}

size_t codec_task(const uint8_t *bytes, size_t n, uint8_t *out)
{
    long long number;
    const char *text;
    double real;
    bool yes;
    bfork_bytes data;
    const bfork_ref refs[] = { bfork_ref_llong(&number), bfork_ref_str(&text), bfork_ref_double(&real), bfork_ref_bool(&yes),
                               bfork_ref_bytes(&data) };
    struct err e;

    n_texts = 0;
    if (value_unpack(bytes, n, refs, 5, text_room, NULL, &e) < 0)
        contest_fail("%s", e.text);
    const bfork_arg args[] = { bfork_arg_int(number), bfork_arg_str(text), bfork_arg_real(real), bfork_arg_bool(yes),
                               bfork_arg_bin(data) };
    size_t size = value_size(args, 5, &e);
    value_pack(args, 5, out);
    return size;
}

static size_t message(const uint8_t *bytes, size_t n, uint8_t *out)
{
    static struct wire_item items[WIRE_ITEMS_MAX];
    struct wire_msg m;
    struct err e;

    if (wire_decode(bytes, n, NULL, items, &m, &e) < 0)
        contest_fail("%s", e.text);
    n = wire_size(&m);
    wire_encode(&m, out);
    return n;
}

size_t codec_tasks(const uint8_t *bytes, size_t n, uint8_t *out) { return message(bytes, n, out); }
size_t codec_hello(const uint8_t *bytes, size_t n, uint8_t *out) { return message(bytes, n, out); }
