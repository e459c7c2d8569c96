/* SPDX-License-Identifier: MPL-2.0
 * codec NAME, peer-msgpack NAME - how often in a second a task's arguments, a frame of tasks, or a HELLO are decoded and encoded
 * again. The bytes are made here, by our encoder, and must come out as they went in: what was decoded wrongly could not be encoded
 * so. */
#include "codec.h"

#include "contest.h"
#include "wire/value.h"
#include "wire/wire.h"

#include <stdlib.h>
#include <string.h>

enum { ITEMS = 256, PAYLOAD = 100, BLOCK = 64 };

static uint8_t *bytes, *out;
static size_t n_bytes;

static void take(const struct wire_msg *m)
{
    if (!(n_bytes = wire_size(m)) || !(bytes = malloc(n_bytes)))
        contest_fail("the frame cannot be made");
    wire_encode(m, bytes);
}

static void make_task(void)
{
    uint8_t data[PAYLOAD];

    contest_fill(data, sizeof(data), 7);
    const bfork_arg args[] = { bfork_arg_int(-123456), bfork_arg_str("a text of some length"), bfork_arg_real(0.1),
                               bfork_arg_bool(true), bfork_arg_bin(bfork_bytes_of(data, sizeof(data))) };
    if (!(n_bytes = value_size(args, 5, NULL)) || !(bytes = malloc(n_bytes)))
        contest_fail("the arguments cannot be made");
    value_pack(args, 5, bytes);
}

/* Single tasks that do not merge, as submits are that have been tried before, and a map of tasks of differing sizes behind them. */
static void make_tasks(void)
{
    static struct wire_item items[ITEMS + 1];
    static const uint8_t lengths[] = { 30, 0, 0, 0, 0, 0, 0, 0, 70, 0, 0, 0 };
    uint8_t *data = contest_payloads(ITEMS + 1, PAYLOAD);

    for (uint32_t i = 0; i <= ITEMS; i++)
        items[i] = (struct wire_item){ .job = 1 + i % 3, .count = 1, .first = 1000000 + i, .flags = WIRE_FIXED, .size = PAYLOAD,
                                       .tries = (uint16_t)(i % 2),
                                       .body = { .data = data + (size_t)i * PAYLOAD, .size = PAYLOAD } };
    items[ITEMS].count = 3;
    items[ITEMS].flags = 0;
    items[ITEMS].lens = (struct slice){ .data = lengths, .size = sizeof(lengths) };
    take(&(struct wire_msg){ .type = WIRE_TASKS, .ack = 70000, .items = items, .n_items = ITEMS + 1 });
    free(data);
}

static void make_hello(void)
{
    static const uint8_t id[WIRE_ID] = "an id of sixteen";
    struct wire_msg m = { .type = WIRE_HELLO, .request = 1 };

    m.u.hello = (struct wire_hello){ .protocol_min = 1, .protocol_max = 1, .role = WIRE_WORKER,
                                     .software = WIRE_STR("broadfork 0.1.0"),
                                     .name = WIRE_STR("rack-7"), .instance = wire_bin_of(id, WIRE_ID),
                                     .replaces = wire_bin_of(id, WIRE_ID), .conn_no = 3, .epoch = 0x1122334455667788, .slots = 8,
                                     .window_bytes = 8 << 20, .arch = WIRE_STR("x86_64-linux-gnu"),
                                     .host = WIRE_STR("rack-7.example.org"), .pid = 4242, .resources = WIRE_STR("cpus=8"),
                                     .features = WIRE_FEATURES, .key_exposed = true };
    take(&m);
}

static const struct { const char *name; void (*make)(void); size_t (*codec)(const uint8_t *, size_t, uint8_t *); } kinds[] = {
    { "task", make_task, codec_task }, { "tasks", make_tasks, codec_tasks }, { "hello", make_hello, codec_hello },
};

static double measure(void *kind)
{
    size_t rounds = 0, n = 0;
    double t = contest_now(), spent;

    memset(out, 0, n_bytes);
    do {
        for (int i = 0; i < BLOCK; i++)
            n = kinds[*(size_t *)kind].codec(bytes, n_bytes, out);
        rounds += BLOCK;
        if (n != n_bytes || memcmp(out, bytes, n_bytes) != 0)
            contest_fail("%s: the bytes that were encoded are not those that were decoded", kinds[*(size_t *)kind].name);
    } while ((spent = contest_now() - t) < 0.3);
    return (double)rounds / spent;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (!strcmp(kinds[i].name, argv[1])) {
            kinds[i].make();
            if (!(out = malloc(n_bytes)))
                contest_fail("out of memory");
            return contest_loop(measure, NULL, &i);
        }
    contest_fail("codec: name task, tasks or hello");
}
