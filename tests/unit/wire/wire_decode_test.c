/* SPDX-License-Identifier: MPL-2.0
 * wire_decode_test.c - what the decoder refuses and what it says; what the encoder refuses; who may send what.
 */
#include "bfork.h"
#include "wire/fields.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct wire_item items[WIRE_ITEMS_MAX];
static struct wire_msg m;
static struct err e;

/* A frame from its parts. */
struct frame { uint8_t b[4096]; size_t n; };

static struct frame frame_of(unsigned type, const char *head, size_t head_size, const void *records, size_t records_size,
                             const void *lens, size_t lens_size, const void *body, size_t body_size)
{
    struct frame f;
    uint8_t *o = pack_array_head(f.b, 8);

    o = pack_uint(o, type);
    o = pack_uint(pack_uint(pack_uint(o, 0), 0), 0);
    o = pack_bytes(o, head, head_size);
    o = pack_bytes(pack_bin_head(o, (uint32_t)records_size), records, records_size);
    o = pack_bytes(pack_bin_head(o, (uint32_t)lens_size), lens, lens_size);
    o = pack_bytes(pack_bin_head(o, (uint32_t)body_size), body, body_size);
    f.n = (size_t)(o - f.b);
    return f;
}

static int decode(struct frame f)
{
    static struct frame kept;       /* m points into it */

    kept = f;
    return wire_decode(kept.b, kept.n, NULL, items, &m, &e);
}

static void refused(struct frame f, const char *text)
{
    assert_int_equal(decode(f), BFORK_EPROTOCOL);
    if (!strstr(e.text, text))
        fail_msg("\"%s\" is not in: %s", text, e.text);
}

#define HEAD_FRAME(type, head) frame_of(type, head, sizeof(head) - 1, NULL, 0, NULL, 0, NULL, 0)

static void heads(void **state)
{
    (void)state;
    assert_int_equal(decode(HEAD_FRAME(WIRE_PING, "\x81\x01\x07")), 0);
    assert_int_equal(m.u.ping.stamp, 7);
    /* any width of an integer, and keys of a later version with anything behind them */
    assert_int_equal(decode(HEAD_FRAME(WIRE_PING, "\x83\x3f\x92\xc0\x81\x01\xc4\x01\x00\x01\xcd\x00\x07\x3e\xca\x00\x00\x00\x00")),
                     0);
    assert_int_equal(m.u.ping.stamp, 7);
    assert_int_equal(decode(HEAD_FRAME(WIRE_PING, "\xde\x00\x01\x01\x07")), 0);
    refused(HEAD_FRAME(WIRE_PING, "\x82\x01\x07\x01\x07"), "PING: key 1 is there twice");
    refused(HEAD_FRAME(WIRE_PING, "\x82\x3f\x07\x3f\x07"), "PING: key 63 is there twice");
    refused(HEAD_FRAME(WIRE_PING, "\x81\xcc\x80\x07"), "key number 0 is not an integer from 0 to 127");
    refused(HEAD_FRAME(WIRE_PING, "\x81\xa1x\x07"), "key number 0 is not an integer");
    refused(HEAD_FRAME(WIRE_PING, "\x81\x01\xff"), "PING: field stamp (key 1) is not an integer >= 0");
    refused(HEAD_FRAME(WIRE_PING, "\x81\x01\xc1"), "PING: field stamp (key 1) is malformed");
    refused(HEAD_FRAME(WIRE_PING, "\x81\x02\xc1"), "PING: the value of key 2 is malformed");
    refused(HEAD_FRAME(WIRE_PING, "\x90"), "PING: the fields are not a MessagePack map");
    refused(HEAD_FRAME(WIRE_POOL_CLOSE, "\x80"), "POOL_CLOSE: field pool (key 1) is missing");
    refused(HEAD_FRAME(WIRE_POOL_CLOSE, "\x81\x01\x00"), "POOL_CLOSE: field pool (key 1) must not be 0");
    refused(HEAD_FRAME(WIRE_POOL_CLOSE, "\x81\x01\xcf\x00\x00\x00\x01\x00\x00\x00\x00"), "does not fit in 32 bits");
    refused(HEAD_FRAME(WIRE_ERROR, "\x81\x01\xce\x80\x00\x00\x00"), "ERROR: field code (key 1) does not fit in 32 bits");
    assert_int_equal(decode(HEAD_FRAME(WIRE_ERROR, "\x81\x01\xd2\x80\x00\x00\x00")), 0);
    assert_int_equal(m.u.error.code, INT32_MIN);
    refused(HEAD_FRAME(WIRE_ERROR, "\x82\x01\x00\x02\xc4\x01x"), "ERROR: field text (key 2) is not a string");
    refused(HEAD_FRAME(WIRE_STATUS_GET, "\x81\x01\xb0"
                                        "0123456789abcdef"),
            "STATUS_GET: field what (key 1) has 16 bytes, the limit is 15");
    refused(HEAD_FRAME(WIRE_HOLDING, "\x81\x01\x01"), "HOLDING: field last (key 1) is not a boolean");
    refused(HEAD_FRAME(WIRE_BLOB_NONE, "\x81\x01\xc4\x01x"), "BLOB_NONE: field digest (key 1) has 1 bytes, not 32");
}

/* What a newer release says and must not be overlooked. */
static void keys_that_must_be_understood(void **state)
{
    struct wire_pool_spec pool;
    struct wire_job_spec job;

    (void)state;
    assert_int_equal(decode(HEAD_FRAME(WIRE_PING, "\x82\x01\x07\x40\x01")), BFORK_ENOTSUP);
    assert_string_equal(e.text, "PING: key 64 must be understood and is not known here; a newer release wrote it");
    assert_int_equal(m.type, WIRE_PING);
    assert_int_equal(decode(HEAD_FRAME(WIRE_PING, "\x82\x7f\xc0\x01\x07")), BFORK_ENOTSUP);
    assert_non_null(strstr(e.text, "key 127"));
    assert_int_equal(decode(HEAD_FRAME(WIRE_PING, "\x82\x3f\xc0\x01\x07")), 0);
    assert_int_equal(wire_pool_spec_decode("\x81\x41\x01", 3, &pool, &e), BFORK_ENOTSUP);
    assert_non_null(strstr(e.text, "pool_spec: key 65"));
    assert_int_equal(wire_job_spec_decode("\x83\x01\x00\x02\xc4\x00\x66\x01", 8, &job, &e), BFORK_ENOTSUP);
    assert_non_null(strstr(e.text, "job_spec: key 102"));
    assert_int_equal(wire_job_spec_decode("\x83\x01\x00\x02\xc4\x00\x3f\x01", 8, &job, &e), 0);
}

#define ACKS_FRAME(head, records) \
    frame_of(WIRE_OUTCOMES_ACK, head, sizeof(head) - 1, records, sizeof(records) - 1, NULL, 0, NULL, 0)

/* Records grow: a reader takes what it knows of each and goes on at the stride. */
static void records_have_a_stride(void **state)
{
    static const char two[] = "\x01\0\0\0\0\0\0\0\x05\0\0\0" "new!" "\x02\0\0\0\0\0\0\0\x06\0\0\0" "more";
    struct wire_item acks[2] = { { .id = 1, .job = 5 }, { .id = 2, .job = 6 } };
    struct wire_msg grown = { .type = WIRE_OUTCOMES_ACK, .items = acks, .n_items = 2, .u.records.stride = 16 };
    uint8_t out[256];

    (void)state;
    assert_int_equal(decode(ACKS_FRAME("\x81\x40\x10", two)), 0);
    assert_int_equal(m.n_items, 2);
    assert_true(m.items[0].id == 1 && m.items[0].job == 5 && m.items[1].id == 2 && m.items[1].job == 6);
    assert_int_equal(decode(frame_of(WIRE_OUTCOMES_ACK, "\x80", 1, two, 12, NULL, 0, NULL, 0)), 0);
    assert_int_equal(m.n_items, 1);
    assert_int_equal(decode(ACKS_FRAME("\x81\x40\x0b", two)), BFORK_EPROTOCOL);
    assert_non_null(strstr(e.text, "the stride of its records is less than their 12 bytes"));
    refused(ACKS_FRAME("\x81\x40\x0f", two), "records have 32 bytes, which is no multiple of 15");
    refused(ACKS_FRAME("\x81\x40\xcd\x04\x01", two), "field stride (key 64) is 1025, the limit is 1024");
    /* what is written with a stride is filled with zeros, and read back */
    assert_int_equal(wire_size(&grown), 5 + 3 + 34 + 4);
    memset(out, 0xee, sizeof(out));
    wire_encode(&grown, out);
    assert_memory_equal(out + 5, "\x81\x40\x10\xc4\x20\x01", 6);
    assert_memory_equal(out + 10 + 12, "\0\0\0\0\x02", 5);
    assert_int_equal(wire_decode(out, wire_size(&grown), NULL, items, &m, &e), 0);
    assert_true(m.n_items == 2 && m.items[1].id == 2 && m.items[1].job == 6);
    grown.u.records.stride = 11;
    assert_int_equal(wire_size(&grown), 0);
}

/* Outcomes have grown since version 1: who does not read records by their stride is sent those of then. */
static void r21_outcomes_say_their_attempt_to_who_can_read_it(void **state)
{
    struct wire_item two[2] = { { .id = 1, .job = 5, .count = 1, .flags = WIRE_FIXED, .attempt = 0x0102030405060708 },
                                { .id = 2, .job = 5, .count = 1, .first = 1, .flags = WIRE_FIXED, .attempt = 9 } };
    struct wire_msg out = { .type = WIRE_OUTCOMES, .items = two, .n_items = 2 };
    uint8_t frame[256];
    size_t size = wire_size(&out);

    (void)state;
    wire_encode(&out, frame);
    assert_memory_equal(frame + 5, "\x81\x40\x31\xc4\x62", 5);
    assert_int_equal(wire_decode(frame, size, NULL, items, &m, &e), 0);
    assert_true(m.n_items == 2 && m.items[0].attempt == 0x0102030405060708 && m.items[1].attempt == 9);
    out.u.records.stride = WIRE_OUTCOMES_V1;
    assert_int_equal(wire_size(&out), size - 2 - 16);
    wire_encode(&out, frame);
    assert_memory_equal(frame + 5, "\x80\xc4\x52", 3);
    assert_int_equal(wire_decode(frame, wire_size(&out), NULL, items, &m, &e), 0);
    assert_true(m.n_items == 2 && m.items[0].attempt == 0 && m.items[1].id == 2);
    out.u.records.stride = 45;                  /* half of it is inside */
    wire_encode(&out, frame);
    assert_int_equal(wire_decode(frame, wire_size(&out), NULL, items, &m, &e), 0);
    assert_true(m.n_items == 2 && m.items[0].attempt == 0 && m.items[1].id == 2);
}

static void frames(void **state)
{
    static uint8_t large[WIRE_FRAME_MAX + 1];
    struct frame f = HEAD_FRAME(WIRE_PING, "\x80");

    (void)state;
    refused(HEAD_FRAME(99, "\x80"), "message type 99 is not known");
    refused(HEAD_FRAME(1000, "\x80"), "message type 1000 is not known");
    f.b[0] = 0x97;
    refused(f, "does not begin a MessagePack array of 8");
    f = HEAD_FRAME(WIRE_PING, "\x80");
    f.b[2] = 0xc0;
    refused(f, "PING: channel or request is not an integer");
    f = HEAD_FRAME(WIRE_PING, "\x80");
    f.b[4] = 0xc0;
    refused(f, "PING: ack is not an integer");
    refused(frame_of(WIRE_PING, "\x80", 1, "x", 1, NULL, 0, NULL, 0), "PING: records or lengths, but it has no items");
    refused(frame_of(WIRE_PING, "\x80", 1, NULL, 0, "x", 1, NULL, 0), "PING: records or lengths, but it has no items");
    refused(frame_of(WIRE_PING, "\x80", 1, NULL, 0, NULL, 0, "x", 1), "PING: a body of 1 bytes, the limit is 0");
    f = HEAD_FRAME(WIRE_PING, "\x80");
    f.n++;
    refused(f, "PING: 1 bytes too many at the end");
    memset(large, 0x90, sizeof(large));
    assert_int_equal(wire_decode(large, sizeof(large), NULL, items, &m, &e), BFORK_EPROTOCOL);
    assert_int_equal(wire_decode(large, 0, NULL, items, &m, &e), BFORK_EPROTOCOL);
}

/* Nesting that would exhaust a stack is refused, not followed. */
static void deep_nesting(void **state)
{
    char head[2048] = "\x81\x05";

    (void)state;
    memset(head + 2, 0x91, 31);
    head[33] = 0x01;
    assert_int_equal(decode(frame_of(WIRE_PING, head, 34, NULL, 0, NULL, 0, NULL, 0)), 0);
    memset(head + 2, 0x91, 2000);
    head[2002] = 0x01;
    refused(frame_of(WIRE_PING, head, 2003, NULL, 0, NULL, 0, NULL, 0), "PING: the value of key 5 is malformed");
}

struct task_record { uint32_t job, count; uint64_t first; uint32_t flags, size; uint16_t tries, crashes; } __attribute__((packed));

static struct frame tasks(struct task_record r, const void *lens, size_t lens_size, size_t body_size)
{
    static const uint8_t zeros[2048];

    return frame_of(WIRE_TASKS, "\x80", 1, &r, sizeof(r), lens, lens_size, zeros, body_size);
}

static void items_that_do_not_add_up(void **state)
{
    static const uint8_t three_five[] = { 3, 0, 0, 0, 5, 0, 0, 0 }, huge[] = { 1, 16, 16, 0, 0, 0, 0, 0 };
    const struct task_record even = { 1, 2, 0, WIRE_FIXED, 4, 0, 0 }, uneven = { 1, 2, 0, 0, 8, 0, 0 };
    struct task_record r;

    (void)state;
    assert_int_equal(decode(tasks(even, NULL, 0, 8)), 0);
    assert_int_equal(decode(tasks(uneven, three_five, 8, 8)), 0);
    assert_int_equal(wire_len_at(&items[0], 1), 5);
    refused(tasks(even, NULL, 0, 7), "TASKS: record 0: the body is shorter than the records say");
    refused(tasks(even, NULL, 0, 9), "TASKS: 1 bytes of body belong to no record");
    refused(tasks(even, three_five, 8, 8), "TASKS: 8 bytes of lengths belong to no record");
    refused(tasks(uneven, three_five, 4, 8), "TASKS: record 0: there are fewer lengths than tasks");
    refused(tasks(uneven, three_five, 8, 7), "the body is shorter");
    r = uneven;
    r.size = 9;
    refused(tasks(r, three_five, 8, 9), "TASKS: record 0: size is 9, its lengths add up to 8");
    r.size = 1052673;
    refused(tasks(r, huge, 8, 9), "the body is shorter");
    r = even;
    r.count = 0;
    refused(tasks(r, NULL, 0, 0), "TASKS: record 0: count is 0");
    r.count = WIRE_BATCH_TASKS + 1;
    r.size = 0;
    refused(tasks(r, NULL, 0, 0), "TASKS: record 0: count is above the limit");
    r.count = WIRE_BATCH_TASKS;
    assert_int_equal(decode(tasks(r, NULL, 0, 0)), 0);
    r = even;
    r.first = UINT64_MAX - 1;
    refused(tasks(r, NULL, 0, 8), "TASKS: record 0: first + count is beyond 64 bits");
    r = even;
    r.flags |= 64;
    refused(tasks(r, NULL, 0, 8), "a flag is set that this message does not have");
    r = even;
    r.size = WIRE_TASK_MAX + 1;
    refused(tasks(r, NULL, 0, 8), "one task is larger than the limit");
    refused(frame_of(WIRE_TASKS, "\x80", 1, &r, sizeof(r) - 1, NULL, 0, NULL, 0),
            "TASKS: records have 27 bytes, which is no multiple of 28");
}

static void too_many_records(void **state)
{
    static uint8_t frame[64 + (WIRE_ITEMS_MAX + 1) * 12];
    uint8_t *o = frame;

    (void)state;
    memcpy(o, "\x98\x16\x00\x00\x00\x80", 6);
    o = pack_bin_head(o + 6, (WIRE_ITEMS_MAX + 1) * 12) + (WIRE_ITEMS_MAX + 1) * 12;
    o = pack_bin_head(pack_bin_head(o, 0), 0);
    assert_int_equal(wire_decode(frame, (size_t)(o - frame), NULL, items, &m, &e), BFORK_EPROTOCOL);
    assert_non_null(strstr(e.text, "OUTCOMES_ACK: 2049 records, the limit is 2048"));
}

static void kinds_of_results(void **state)
{
    struct wire_item i = { .id = 1, .job = 1, .count = 5, .kind = WIRE_RETURNED, .flags = WIRE_FIXED, .size = 7 };
    struct wire_msg out = { .type = WIRE_RESULTS, .items = &i, .n_items = 1 };
    uint8_t frame[256];
    size_t n;

    (void)state;
    n = wire_size(&out);            /* what an item was before it is given back does not travel */
    assert_true(n > 0);
    wire_encode(&out, frame);
    assert_int_equal(wire_decode(frame, n, NULL, items, &m, &e), 0);
    assert_true(items[0].size == 0 && items[0].count == 5 && items[0].kind == WIRE_RETURNED);
    out.type = WIRE_OUTCOMES;       /* returned tasks never go to the client */
    assert_int_equal(wire_size(&out), 0);
    i.kind = WIRE_OUTCOME;
    i.count = UINT32_MAX;           /* one document can stand for any number of tasks */
    i.body = slice_borrow("document", 8);
    n = wire_size(&out);
    wire_encode(&out, frame);
    assert_int_equal(wire_decode(frame, n, NULL, items, &m, &e), 0);
    assert_true(items[0].size == 8 && items[0].lens.size == 0 && items[0].body.size == 8);
}

static void holding_must_be_a_range(void **state)
{
    struct wire_item i = { .id = 1, .first = 10, .count = 5, .end = 15 };
    struct wire_msg out = { .type = WIRE_HOLDING, .items = &i, .n_items = 1 };

    (void)state;
    assert_true(wire_size(&out) > 0);
    i.end = 14;
    assert_int_equal(wire_size(&out), 0);
    i.end = 9;
    i.count = 0;
    assert_int_equal(wire_size(&out), 0);
}

static void the_encoder_keeps_limits(void **state)
{
    static char text[8000];
    static uint8_t bytes[WIRE_BODY_MAX + 1], frame[8000];
    struct wire_item i = { .job = 1, .count = 2, .size = 4, .flags = WIRE_FIXED, .body = slice_borrow(bytes, 8) };
    struct wire_msg out = { .type = WIRE_TASKS, .items = &i, .n_items = 1 };

    (void)state;
    assert_true(wire_size(&out) > 0);
    i.body.size = 7;
    assert_int_equal(wire_size(&out), 0);
    i = (struct wire_item){
        .job = 1, .count = 1, .size = WIRE_TASK_MAX, .flags = WIRE_FIXED, .body = slice_borrow(bytes, WIRE_TASK_MAX)
    };
    assert_true(wire_size(&out) > WIRE_TASK_MAX && wire_size(&out) <= WIRE_FRAME_MAX);
    i.body.size++;
    i.size++;
    assert_int_equal(wire_size(&out), 0);
    out = (struct wire_msg){ .type = 99 };
    assert_int_equal(wire_size(&out), 0);
    out = (struct wire_msg){ .type = WIRE_ERROR };
    memset(text, 'x', sizeof(text));
    memcpy(text + WIRE_TEXT_MAX - 1, "\xc3\xa4", 2);        /* a text for people is cut, at a whole character */
    out.u.error.text = (struct wire_str){ text, sizeof(text) };
    wire_encode(&out, frame);
    assert_int_equal(wire_decode(frame, wire_size(&out), NULL, items, &m, &e), 0);
    assert_int_equal(m.u.error.text.n, WIRE_TEXT_MAX - 1);
    out = (struct wire_msg){ .type = WIRE_ADMIN };
    out.u.admin.verb = (struct wire_str){ text, WIRE_NAME_MAX + 1 };    /* a name is not */
    assert_int_equal(wire_size(&out), 0);
}

static void documents(void **state)
{
    struct wire_outcome o = { .kind = BFORK_FAILED }, back;
    struct wire_job_spec spec = { .context = { (const uint8_t *)"", 0 } };
    static uint8_t context[WIRE_SPEC_MAX];
    struct buf *b = wire_outcome_encode(&o);

    (void)state;
    assert_int_equal(b->size, 3);
    assert_int_equal(wire_outcome_decode(b->data, b->size, &back, &e), 0);
    assert_int_equal(back.kind, BFORK_FAILED);
    assert_int_equal(wire_outcome_decode(b->data, 2, &back, &e), BFORK_EPROTOCOL);
    buf_unref(&b);
    assert_int_equal(wire_outcome_decode("\x81\x01\xff\x00", 4, &back, &e), BFORK_EPROTOCOL);
    assert_string_equal(e.text, "outcome: 1 bytes too many at the end");
    assert_int_equal(wire_outcome_decode("\x80", 1, &back, &e), BFORK_EPROTOCOL);
    assert_string_equal(e.text, "outcome: field kind (key 1) is missing");
    spec.context = wire_bin_of(context, WIRE_SPEC_MAX);
    assert_null(wire_job_spec_encode(&spec));
}

static void who_may_send(void **state)
{
    (void)state;
    assert_true(wire_may_send(WIRE_CLIENT, WIRE_TASKS, true));
    assert_false(wire_may_send(WIRE_CLIENT, WIRE_TASKS, false));
    assert_false(wire_may_send(WIRE_WORKER, WIRE_TASKS, true));
    assert_true(wire_may_send(WIRE_WORKER, WIRE_CHUNKS, false));
    assert_false(wire_may_send(WIRE_CLIENT, WIRE_CHUNKS, false));
    assert_true(wire_may_send(WIRE_ADMINISTRATOR, WIRE_ADMIN, true));
    assert_false(wire_may_send(WIRE_CLIENT, WIRE_ADMIN, true));
    assert_true(wire_may_send(WIRE_CLIENT, WIRE_HELLO, true));
    assert_false(wire_may_send(WIRE_CLIENT, WIRE_HELLO, false));
    assert_false(wire_may_send((enum wire_role)0, WIRE_PING, true));
    assert_false(wire_may_send((enum wire_role)4, WIRE_PING, true));
    assert_false(wire_may_send(WIRE_CLIENT, (enum wire_type)200, true));
}

/* Tables: keys ascend, records have no holes. */
static void tables_are_sound(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 128; type++) {
        const struct wire_message *d = wire_message_of(type);
        unsigned end = 0;

        if (!d)
            continue;
        for (uint32_t i = 0; i < d->head.n; i++) {
            assert_true(d->head.fields[i].key < WIRE_KEYS_MAX);
            assert_true(i == 0 || d->head.fields[i].key > d->head.fields[i - 1].key);
            assert_true(d->head.fields[i].type < FIELD_STR || d->head.fields[i].limit > 0);
        }
        for (unsigned i = 0; i < d->n_columns; i++) {
            assert_int_equal(d->columns[i].at, end);
            end += d->columns[i].width;
        }
        assert_int_equal(d->record_size, end);
        assert_true((d->load == LOAD_RECORDS || d->load == LOAD_ITEMS) == (d->n_columns > 0));
        assert_true(d->record_v1 <= d->record_size);
        if (d->n_columns) {             /* every message with records can let them grow */
            const struct wire_field *last = &d->head.fields[d->head.n - 1];

            assert_int_equal(last->key, WIRE_KEY_STRIDE);
            assert_int_equal(last->offset, type == WIRE_HOLDING ? offsetof(struct wire_holding, stride) : 0);
        }
    }
}

static void printing_is_bounded_and_tame(void **state)
{
    struct wire_msg out = { .type = WIRE_ERROR };
    char text[256];
    size_t n;

    (void)state;
    out.u.error.text = WIRE_STR("a\n\"b\"\x1b[31m");
    n = wire_print(&out, text, sizeof(text));
    assert_string_equal(text, "ERROR code=0 text=\"a\\n\\\"b\\\"\\x1b[31m\"");
    assert_int_equal(n, strlen(text));
    for (size_t size = 0; size <= n; size++) {
        char *exact = malloc(size ? size : 1);

        assert_int_equal(wire_print(&out, exact, size), n);
        if (size)
            assert_int_equal(strlen(exact), size - 1);
        free(exact);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads),
        cmocka_unit_test(keys_that_must_be_understood),
        cmocka_unit_test(records_have_a_stride),
        cmocka_unit_test(r21_outcomes_say_their_attempt_to_who_can_read_it),
        cmocka_unit_test(frames),
        cmocka_unit_test(deep_nesting),
        cmocka_unit_test(items_that_do_not_add_up),
        cmocka_unit_test(too_many_records),
        cmocka_unit_test(kinds_of_results),
        cmocka_unit_test(holding_must_be_a_range),
        cmocka_unit_test(the_encoder_keeps_limits),
        cmocka_unit_test(documents),
        cmocka_unit_test(who_may_send),
        cmocka_unit_test(tables_are_sound),
        cmocka_unit_test(printing_is_bounded_and_tame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
