/* SPDX-License-Identifier: MPL-2.0
 * protocol_example_test.c - the worked example of docs/protocol.md: its frames are what the encoder makes of the same messages, and
 * they decode. With the argument "print" it prints the example's frames as the document has them.
 */
#include "bfork.h"
#include "wire/times.h"
#include "wire/value.h"
#include "wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include <cmocka.h>

static uint8_t instance[16], owner[32], job_id[16], digest[32];
static struct buf *fn, *pool, *job;
static uint8_t arguments[32], results[64];
static struct wire_item task, outcome;
static struct wire_item items[WIRE_ITEMS_MAX];
static char text[1 << 18], expected[65536];

#define MESSAGES 8
static struct wire_msg messages[MESSAGES];

static void make_specs(void)
{
    const struct wire_fn f = { .kind = WIRE_FN_SYMBOL, .object = WIRE_STR("./tasks.so"), .symbol = WIRE_STR("square") };
    const struct wire_pool_spec p = { .arch = WIRE_STR("x86_64-linux-gnu") };
    struct wire_job_spec j = { .kind = WIRE_JOB_TASKS, .name = WIRE_STR("squares") };

    memset(instance, 0x11, sizeof(instance));
    memset(owner, 0x22, sizeof(owner));
    memset(job_id, 0x33, sizeof(job_id));
    fn = wire_fn_encode(&f);
    pool = wire_pool_spec_encode(&p);
    j.fn = wire_bin_of(fn->data, fn->size);
    job = wire_job_spec_encode(&j);
    SHA256(pool->data, pool->size, digest);
}

/* Three calls square(2), square(3), square(4) and what they return. */
static void make_items(void)
{
    for (int k = 0; k < 3; k++) {
        bfork_arg a = bfork_arg_int(2 + k), r = bfork_arg_int((2 + k) * (2 + k));

        value_pack(&a, 1, arguments + 2 * k);
        value_pack(&r, 1, results + 2 * k);
    }
    task = (struct wire_item){ .job = 1, .count = 3, .flags = WIRE_FIXED, .size = 2, .body = slice_borrow(arguments, 6) };
    outcome = (struct wire_item){ .id = 1, .job = 1, .count = 3, .flags = WIRE_FIXED, .size = 2, .attempt = 17,
                                   .body = slice_borrow(results, 6) };
}

static void make_messages(void)
{
    static struct wire_item ack = { .id = 1, .job = 1 };

    make_specs();
    make_items();
    messages[0] = (struct wire_msg){ .type = WIRE_HELLO };
    messages[0].u.hello = (struct wire_hello){ .protocol_min = 1,
                                               .protocol_max = 1,
                                               .role = WIRE_CLIENT,
                                               .software = WIRE_STR("example 1"),
                                               .instance = wire_bin_of(instance, 16),
                                               .conn_no = 1,
                                               .window_bytes = 1 << 20,
                                               .features = WIRE_FEATURE_GROWTH };
    messages[1] = (struct wire_msg){ .type = WIRE_WELCOME };
    messages[1].u.welcome = (struct wire_welcome){ .protocol = 1,
                                                   .software = WIRE_STR("broadfork 0.1.0"),
                                                   .epoch = 0x1122334455667788,
                                                   .heartbeat_ms = TIME_HEARTBEAT_MS,
                                                   .lease_ms = TIME_LEASE_MS,
                                                   .hold_ms = TIME_HOLD_MS,
                                                   .window_bytes = 8 << 20,
                                                   .quota_bytes = 1 << 30,
                                                   .quota_tasks = 16 << 20,
                                                   .owner = wire_bin_of(owner, 32),
                                                   .features = WIRE_FEATURES };
    messages[2] = (struct wire_msg){ .type = WIRE_POOL_OPEN };
    messages[2].u.pool_open =
        (struct wire_pool_open){ 1, 4, wire_bin_of(digest, 32), wire_bin_of(pool->data, pool->size), WIRE_STR("main") };
    messages[3] = (struct wire_msg){ .type = WIRE_JOB_OPEN };
    messages[3].u.job_open = (struct wire_job_open){ 1, 1, wire_bin_of(job_id, 16), 0, wire_bin_of(job->data, job->size) };
    messages[4] = (struct wire_msg){ .type = WIRE_JOB_STATE };
    messages[4].u.job_state.job = 1;
    messages[5] = (struct wire_msg){ .type = WIRE_TASKS, .items = &task, .n_items = 1 };
    messages[6] = (struct wire_msg){ .type = WIRE_OUTCOMES, .ack = 6, .u.records.stride = WIRE_OUTCOMES_V1 + 8, .items = &outcome,
                                     .n_items = 1 };
    messages[7] = (struct wire_msg){ .type = WIRE_OUTCOMES_ACK, .ack = 6, .items = &ack, .n_items = 1 };
}

/* A frame as the document shows it: what it says, then its bytes, sixteen a line, indented as code. */
static void format(const struct wire_msg *m, char *out, size_t size)
{
    uint8_t frame[1024];
    size_t n = wire_size(m), at = 4;

    assert_true(n > 0 && n <= sizeof(frame));
    wire_encode(m, frame);
    at = (size_t)snprintf(out, size, "    ");
    at += wire_print(m, out + at, size - at);
    at += (size_t)snprintf(out + at, size - at, "\n");
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%02x%s", i % 16 ? " " : "        ", frame[i],
                               i % 16 == 15 || i + 1 == n ? "\n" : "");
}

static void every_frame_stands_in_the_document(void **state)
{
    FILE *f = fopen(PROTOCOL_DOCUMENT, "re");
    size_t n;

    (void)state;
    assert_non_null(f);
    n = fread(text, 1, sizeof(text) - 1, f);
    assert_true(n > 0 && n < sizeof(text) - 1);
    text[n] = 0;
    fclose(f);
    for (int k = 0; k < MESSAGES; k++) {
        format(&messages[k], expected, sizeof(expected));
        if (!strstr(text, expected))
            fail_msg("docs/protocol.md does not contain\n%s(protocol_example_test print shows all)", expected);
    }
}

static void every_frame_decodes_and_its_values_unpack(void **state)
{
    uint8_t frame[1024];
    struct wire_msg m;
    int n;

    (void)state;
    for (int k = 0; k < MESSAGES; k++) {
        wire_encode(&messages[k], frame);
        assert_int_equal(wire_decode(frame, wire_size(&messages[k]), NULL, items, &m, NULL), 0);
    }
    wire_encode(&messages[6], frame);
    assert_int_equal(wire_decode(frame, wire_size(&messages[6]), NULL, items, &m, NULL), 0);
    assert_int_equal(value_unpack(m.items[0].body.data + 4, 2, BFORK_REFS_(0, &n), NULL, NULL, NULL), 0);
    assert_int_equal(n, 16);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_frame_stands_in_the_document), cmocka_unit_test(every_frame_decodes_and_its_values_unpack),
    };
    int failed = 0;

    make_messages();
    if (argc > 1 && strcmp(argv[1], "print") == 0)
        for (int k = 0; k < MESSAGES; k++) {
            format(&messages[k], expected, sizeof(expected));
            printf("%s\n", expected);
        }
    else
        failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_unref(&fn);
    buf_unref(&pool);
    buf_unref(&job);
    return failed;
}
