/* SPDX-License-Identifier: MPL-2.0
 * test_refusals.c - what is refused, how small the refusal stays, and which answer belongs to which request. The rules are those of
 * the table "What is enforced, and how" in docs/protocol.md, in its order.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct world *started(void)
{
    struct world *w = world_new(NULL);

    worker_hello(w, "w1", 2);
    client_start(w, "c1", 2, NULL);
    world_forget(w);
    return w;
}

static char last_text[512];

static void listen(struct world *w, struct world_peer *p, const struct wire_msg *m)
{
    struct wire_str s = m->type == WIRE_JOB_STATE ? m->u.job_state.text : m->type == WIRE_POOL_STATE ? m->u.pool_state.text
        : m->type == WIRE_ERROR ? m->u.error.text : (struct wire_str){ NULL, 0 };

    (void)w;
    (void)p;
    if (s.n)
        snprintf(last_text, sizeof(last_text), "%.*s", (int)s.n, s.p);
}

/* The digest of a toy: the first byte of the specification's sum. */
static void toy_digest(void *ctx, const void *in, size_t n, uint8_t out[WIRE_DIGEST])
{
    (void)ctx;
    memset(out, 0, WIRE_DIGEST);
    for (size_t i = 0; i < n; i++)
        out[0] = (uint8_t)(out[0] + ((const uint8_t *)in)[i]);
}

static void open_pool(struct world *w, const char *name, uint32_t request, uint32_t pool, int32_t processes, uint8_t digest,
                      const struct wire_pool_spec *spec)
{
    const struct wire_pool_spec plain = { .program_name = WIRE_STR("prog") };
    struct buf *bytes = wire_pool_spec_encode(spec ? spec : &plain);
    uint8_t d[WIRE_DIGEST] = { digest };
    struct wire_msg m = { .type = WIRE_POOL_OPEN, .request = request };

    m.u.pool_open = (struct wire_pool_open){ .pool = pool, .processes = processes, .digest = wire_bin_of(d, sizeof(d)),
        .spec = wire_bin_of(bytes->data, bytes->size) };
    world_send(w, name, &m);
    buf_unref(&bytes);
}

static void open_job(struct world *w, const char *name, uint32_t request, uint32_t job, uint32_t pool, uint8_t id, uint64_t acked,
                     const struct wire_job_spec *spec)
{
    struct wire_job_spec s = spec ? *spec : (struct wire_job_spec){ 0 };
    struct buf *bytes;
    uint8_t i[WIRE_ID] = { id, (uint8_t)name[1] };
    struct wire_msg m = { .type = WIRE_JOB_OPEN, .request = request };

    s.fn = wire_bin_of("\x81\x01\x01", 3);
    bytes = wire_job_spec_encode(&s);
    m.u.job_open = (struct wire_job_open){ .job = job, .pool = pool, .id = wire_bin_of(i, sizeof(i)), .acked = acked,
        .spec = wire_bin_of(bytes->data, bytes->size) };
    world_send(w, name, &m);
    buf_unref(&bytes);
}

/* A session that has something refused goes on: its other job does. */
static void still_works(struct world *w)
{
    world_forget(w);
    client_job(w, "c1", 90, 1, NULL);
    client_tasks(w, "c1", 90, 0, 1, 10);
    if (!strstr(w->trace, "CHUNKS"))
        fail_msg("the session has not survived:\n%s", w->trace);
    world_forget(w);
}

static void an_equal_or_lower_connection_number_takes_nothing_over(void **state)
{
    struct world *w = started();
    struct world_peer *c = world_peer(w, "c1"), *p = world_peer(w, "w1");
    broker_peer old = c->id;

    (void)state;
    client_tasks(w, "c1", 1, 0, 2, 10);
    world_forget(w);
    c->conn_no--;
    client_hello(w, "c1");                  /* the same number again */
    EXPECT(w, "[   0] > c1 ERROR -37\n"
              "[   0] > c1 CUT\n");
    c->conn_no -= 1;
    client_hello(w, "c1");
    c->id = old;
    c->cut = false;
    world_forget(w);
    worker_done(w, "w1", 1, 0, 1, 10);      /* the present connection is told */
    assert_non_null(strstr(w->trace, "> c1 OUTCOMES s1 j1 0+1"));
    old = p->id;
    world_forget(w);
    p->conn_no--;
    worker_hello_only(w, "w1", 2, NULL);
    EXPECT(w, "[   0] > w1 ERROR -37\n"
              "[   0] > w1 CUT\n");
    p->id = old;
    p->cut = false;
    client_tasks(w, "c1", 1, 2, 1, 10);
    assert_non_null(strstr(w->trace, "> w1 CHUNKS"));
    world_free(w);
}

static void a_frame_that_cannot_be_read_ends_the_session(void **state)
{
    struct world *w = started();

    (void)state;
    client_tasks(w, "c1", 1, 0, 2, 10);
    world_forget(w);
    assert_true(broker_broken(w->b, w->now, world_peer(w, "c1")->id, BFORK_EPROTOCOL, "message type 99 is not known"));
    world_step(w);
    EXPECT(w, "[   0] > c1 ERROR -49\n"
              "[   0] > c1 CUT\n"
              "[   0] > w1 ATTEMPTS_CLOSE #1 why 6 #2 why 6\n");
    w->strict = true;
    client_hello(w, "c1");
    EXPECT(w, "[   0] > c1 WELCOME\n");     /* not resumed: it was ended */
    assert_false(broker_broken(w->b, w->now, 999, BFORK_EPROTOCOL, "nobody"));
    world_free(w);
}

static void channels_are_refused_by_name(void **state)
{
    struct world *w = started();
    struct wire_msg m = { .type = WIRE_PING, .channel = 3, .request = 8 };

    (void)state;
    w->hook = listen;
    world_send(w, "c1", &m);
    EXPECT(w, "[   0] > c1 ERROR request 8 -42\n");
    assert_string_equal(last_text, "PING: channel is 3; this release knows no other than 0");
    still_works(w);
    m.request = 0;
    world_send(w, "c1", &m);
    EXPECT(w, "[   0] > c1 ERROR -42\n"
              "[   0] > c1 CUT\n"
              "[   0] > w1 ATTEMPTS_CLOSE #1 why 6\n");
    world_free(w);
}

static void answers_carry_the_request_they_belong_to(void **state)
{
    struct world *w = world_new(NULL);
    struct wire_msg ping = { .type = WIRE_PING, .request = 70, .u.ping.stamp = 7 };
    struct wire_msg early = { .type = WIRE_STATUS_GET, .request = 5, .u.status_get.what = WIRE_STR("jobs") };
    struct wire_msg hello = { .type = WIRE_HELLO, .request = 9 };
    struct world_peer *p = world_peer(w, "c1");

    (void)state;
    w->strict = true;
    world_send(w, "c1", &early);
    EXPECT(w, "[   0] > c1 RESET request 5\n");
    hello.u.hello = (struct wire_hello){ .protocol_min = 1, .protocol_max = 1, .role = WIRE_CLIENT,
        .instance = wire_bin_of(p->instance, WIRE_ID), .conn_no = 1 };
    world_send(w, "c1", &hello);
    EXPECT(w, "[   0] > c1 WELCOME request 9\n");
    open_pool(w, "c1", 11, 1, 2, 1, NULL);
    assert_non_null(strstr(w->trace, "> c1 POOL_STATE request 11 p1 slots 0\n"));
    world_forget(w);
    open_job(w, "c1", 12, 1, 1, 1, 0, NULL);
    EXPECT(w, "[   0] > c1 JOB_STATE request 12 j1 next 0\n");
    world_send(w, "c1", &ping);
    EXPECT(w, "[   0] > c1 PONG request 70 7\n");
    open_pool(w, "c1", 13, 2, 0, 1, NULL);
    open_job(w, "c1", 14, 2, 2, 1, 0, NULL);
    EXPECT(w, "[   0] limited log: a pool of  is refused: POOL_OPEN 2: processes is 0; say how many, or -1 for all\n"
              "[   0] > c1 POOL_STATE request 13 p2 slots 0 refused -32 processes\n"
              "[   0] limited log: a job of  is refused: JOB_OPEN 2: pool 2 is not open\n"
              "[   0] > c1 JOB_STATE request 14 j2 next 0 refused -37 pool\n");
    broker_status_refuse(w->b, p->id, 5, BFORK_EINVAL, "there is no status");
    world_step(w);
    assert_non_null(strstr(w->trace, "> c1 ERROR request 5 -32\n"));
    world_free(w);
}

static void a_pool_that_is_refused_is_only_that_pool(void **state)
{
    struct wire_pool_spec resources = { .resources = WIRE_STR("gpus=1") }, output = { .output_limit = 5 },
                          growth = { .max_growth = 1 << 20 }, plain = { .resources = WIRE_STR("cpus=1") };
    struct world *w = world_new(&(struct broker_config){ .digest = toy_digest });
    uint8_t sum = 0;
    struct buf *bytes = wire_pool_spec_encode(&plain);

    (void)state;
    for (size_t i = 0; i < bytes->size; i++)
        sum = (uint8_t)(sum + bytes->data[i]);
    buf_unref(&bytes);
    w->hook = listen;
    worker_hello(w, "w1", 2);
    client_hello(w, "c1");
    world_forget(w);
    open_pool(w, "c1", 0, 1, 0, sum, &plain);
    EXPECT(w, "[   0] > c1 POOL_STATE p1 slots 0 refused -32 processes\n");
    open_pool(w, "c1", 0, 1, 1, (uint8_t)(sum + 1), &plain);
    EXPECT(w, "[   0] > c1 POOL_STATE p1 slots 0 refused -37 pool\n");      /* a handle that was used */
    open_pool(w, "c1", 0, 2, 1, (uint8_t)(sum + 1), &plain);
    EXPECT(w, "[   0] > c1 POOL_STATE p2 slots 0 refused -32 digest\n");
    assert_string_equal(last_text, "POOL_OPEN 2: digest is not the SHA-256 of spec");
    open_pool(w, "c1", 0, 3, 1, sum, &plain);
    EXPECT(w, "");
    open_job(w, "c1", 0, 1, 3, 1, 0, NULL);
    client_tasks(w, "c1", 1, 0, 1, 10);
    world_forget(w);
    open_pool(w, "c1", 0, 3, 1, (uint8_t)(sum + 1), &plain);
    EXPECT(w, "[   0] > c1 POOL_STATE p3 slots 0 refused -37 digest\n"
              "[   0] > w1 ATTEMPTS_CLOSE #1 why 6\n");
    w->config.digest = NULL;
    world_restart(w, EPOCH + 4096);
    client_hello(w, "c1");
    open_pool(w, "c1", 0, 4, 1, 1, &resources);
    EXPECT(w, "[   0] > c1 POOL_STATE p4 slots 0 refused -42 resources\n");
    open_pool(w, "c1", 0, 5, 1, 1, &output);
    EXPECT(w, "[   0] > c1 POOL_STATE p5 slots 0 refused -42 output_limit\n");
    assert_string_equal(last_text, "pool_spec: field output_limit is 5; this release knows no other value than 0");
    open_pool(w, "c1", 0, 6, 1, 1, &growth);
    EXPECT(w, "[   0] > c1 POOL_STATE p6 slots 0 refused -42 max_growth\n");
    assert_string_equal(last_text, "pool_spec: field max_growth is 1048576; this release knows no other value than 0");
    simple(w, "c1", WIRE_POOL_CLOSE, 4);
    EXPECT(w, "");                          /* it was told that this one is gone */
    simple(w, "c1", WIRE_POOL_CLOSE, 77);
    EXPECT(w, "[   0] > c1 POOL_STATE p77 slots 0 refused -37 pool\n");
    client_pool(w, "c1", 1, 1);
    worker_hello(w, "w1", 2);
    still_works(w);
    world_free(w);
}

static void values_that_mean_something_are_not_ignored(void **state)
{
    static const struct { struct wire_job_spec spec; const char *field, *text;
    } cases[] = {
        { { .priority = 3 }, "-42 priority", "job_spec: field priority is 3; this release knows no other value than 0" },
        { { .priority = -1 }, "-42 priority", "job_spec: field priority is -1; this release knows no other value than 0" },
        { { .queue_limit_ms = 9 },
          "-42 queue_limit_ms",
          "job_spec: field queue_limit_ms is 9; this release knows no other value than 0" },
        { { .total_limit_ms = 9 },
          "-42 total_limit_ms",
          "job_spec: field total_limit_ms is 9; this release knows no other value than 0" },
        { { .retries = -2 }, "-32 retries", "job_spec: field retries is -2; it is -1 (at most once), 0 or more" },
        { { .retry_on = 1 << 6 },
          "-32 retry_on",
          "job_spec: field retry_on is 0x40; bits 1 (failed) to 5 (over memory) can be retried, others not" },
        { { .retry_on = 1 },
          "-32 retry_on",
          "job_spec: field retry_on is 0x1; bits 1 (failed) to 5 (over memory) can be retried, others not" },
        { { .streamed = true, .needs = 1 },
          "-32 needs",
          "job_spec: field needs is 0x1; with streamed it has bit 1 (2), the feature that is" },
    };
    struct world *w = started();

    (void)state;
    w->hook = listen;
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char expected[128];
        open_job(w, "c1", 40 + i, 10 + i, 1, (uint8_t)(10 + i), 0, &cases[i].spec);
        snprintf(expected, sizeof(expected), "[   0] > c1 JOB_STATE request %u j%u next 0 refused %s\n", 40 + i, 10 + i,
                 cases[i].field);
        EXPECT(w, expected);
        assert_string_equal(last_text, cases[i].text);
    }
    still_works(w);
    world_free(w);
}

static void a_job_is_opened_again_only_as_what_it_is(void **state)
{
    struct wire_job_spec other = { .chunk = 7 };
    struct world *w = started();

    (void)state;
    client_pool(w, "c1", 2, 1);
    open_job(w, "c1", 0, 2, 1, 2, 0, NULL);
    open_job(w, "c1", 0, 2, 1, 2, 0, NULL);
    world_forget(w);
    open_job(w, "c1", 0, 2, 1, 2, 0, &other);
    EXPECT(w, "[   0] > c1 JOB_STATE j2 next 0 refused -37 spec\n");
    open_job(w, "c1", 0, 2, 1, 3, 0, NULL);
    EXPECT(w, "[   0] > c1 JOB_STATE j2 next 0 refused -37 job\n");         /* its handle was used */
    open_job(w, "c1", 0, 3, 1, 3, 0, NULL);
    EXPECT(w, "");
    open_job(w, "c1", 0, 3, 1, 4, 0, NULL);
    EXPECT(w, "[   0] > c1 JOB_STATE j3 next 0 refused -37 job\n");
    open_job(w, "c1", 0, 4, 1, 5, 0, NULL);
    open_job(w, "c1", 0, 4, 2, 5, 0, NULL);
    EXPECT(w, "[   0] > c1 JOB_STATE j4 next 0 refused -37 pool\n");
    open_job(w, "c1", 0, 5, 1, 6, 0, NULL);
    open_job(w, "c1", 0, 5, 1, 6, 1, NULL);
    EXPECT(w, "[   0] > c1 JOB_STATE j5 next 0 refused -32 acked\n");
    open_job(w, "c1", 0, 6, 1, 7, 0, NULL);
    open_job(w, "c1", 0, 7, 1, 7, 0, NULL);
    EXPECT(w, "[   0] > c1 JOB_STATE j7 next 0 refused -37 id\n");          /* one handle at a time */
    still_works(w);
    client_hello(w, "c1b");                 /* the same owner, another session */
    client_pool(w, "c1b", 1, 1);
    world_forget(w);
    open_job(w, "c1b", 0, 1, 1, 7, 0, NULL);
    EXPECT(w, "[   0] > c1b JOB_STATE j1 next 0 refused -37 id\n");
    world_free(w);
}

static void tasks_are_refused_with_their_job(void **state)
{
    struct wire_item sealed = { .job = 4, .first = 0, .count = 1, .size = 0, .flags = WIRE_FIXED | WIRE_SEALED };
    struct wire_msg m = { .type = WIRE_TASKS, .request = 6, .items = &sealed, .n_items = 1 };
    struct world *w = started();

    (void)state;
    w->hook = listen;
    client_job(w, "c1", 2, 1, NULL);
    client_tasks(w, "c1", 2, 5, 5, 10);
    world_forget(w);
    client_tasks(w, "c1", 2, 3, 1, 10);
    EXPECT(w, "[   0] > c1 JOB_STATE j2 next 0 refused -32 first\n"
              "[   0] > w1 ATTEMPTS_CLOSE #1 why 6 #2 why 6\n");
    assert_string_equal(last_text, "TASKS for job 2: index 3 comes behind 9; indexes must ascend");
    client_job(w, "c1", 3, 1, NULL);
    simple(w, "c1", WIRE_JOB_CLOSE, 3);
    world_forget(w);
    client_tasks(w, "c1", 3, 0, 1, 10);
    EXPECT(w, "[   0] > c1 JOB_STATE j3 next 0 refused -37 job\n");
    client_job(w, "c1", 4, 1, NULL);
    world_send(w, "c1", &m);
    EXPECT(w, "[   0] > c1 JOB_STATE request 6 j4 next 0 refused -42 flags\n");
    simple(w, "c1", WIRE_JOB_CLOSE, 4);
    EXPECT(w, "");
    simple(w, "c1", WIRE_JOB_CLOSE, 44);
    EXPECT(w, "[   0] > c1 JOB_STATE j44 next 0 refused -37 job\n");
    still_works(w);
    world_free(w);
}

/* After a reconnect what was received may come again, and what comes then still ascends. */
static void what_was_received_may_come_again_after_a_reconnect(void **state)
{
    struct world *w = started();

    (void)state;
    client_tasks(w, "c1", 1, 0, 10, 10);
    world_lost(w, "c1");
    client_hello(w, "c1");
    client_pool(w, "c1", 1, 2);
    world_forget(w);
    client_tasks(w, "c1", 1, 10, 1, 10);
    EXPECT(w, "[   0] > c1 JOB_STATE j1 next 0 refused -37 job\n"           /* not opened again in this connection */
              "[   0] > w1 ATTEMPTS_CLOSE #1 why 6 #2 why 6\n");
    client_job(w, "c1", 2, 1, NULL);
    client_tasks(w, "c1", 2, 0, 10, 10);
    world_lost(w, "c1");
    client_hello(w, "c1");
    client_pool(w, "c1", 1, 2);
    client_job(w, "c1", 2, 1, NULL);
    world_forget(w);
    client_tasks(w, "c1", 2, 0, 5, 10);
    client_tasks(w, "c1", 2, 5, 10, 10);
    client_tasks(w, "c1", 2, 0, 10, 10);
    EXPECT(w, "");
    client_tasks(w, "c1", 2, 12, 1, 10);
    assert_non_null(strstr(w->trace, "refused -32 first"));
    world_free(w);
}

/* retries: of what has failed, unless retry_on says of what else. */
static void what_is_retried_is_what_was_asked_for(void **state)
{
    static const struct { uint32_t on; int kind; bool again; } cases[] = {
        { 0, BFORK_FAILED, true },      { 0, BFORK_EXITED, false },    { 0, BFORK_OVERTIME, false }, { 0, BFORK_OVERMEMORY, false },
        { 0, BFORK_CRASHED, false },    { 0, BFORK_REFUSED, false },   { 2, BFORK_FAILED, true },    { 2, BFORK_EXITED, false },
        { 4, BFORK_CRASHED, true },     { 4, BFORK_FAILED, false },    { 8, BFORK_EXITED, true },    { 16, BFORK_OVERTIME, true },
        { 32, BFORK_OVERMEMORY, true }, { 62, BFORK_MISMATCH, false }, { 62, BFORK_EXITED, true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world *w = world_new(NULL);
        worker_hello(w, "w1", 1);
        client_start(w, "c1", 1, &(struct wire_job_spec){ .retries = 1, .retry_on = cases[i].on });
        client_tasks(w, "c1", 1, 0, 1, 10);
        world_forget(w);
        worker_failed(w, "w1", 1, 0, cases[i].kind);
        if (!!strstr(w->trace, "> w1 CHUNKS #2") != cases[i].again || !!strstr(w->trace, "OUTCOMES s1") == cases[i].again)
            fail_msg("retry_on %u, kind %d:\n%s", cases[i].on, cases[i].kind, w->trace);
        world_free(w);
    }
}

static void backing_off_doubles_up_to_ten_minutes(void **state)
{
    static const uint32_t waits[] = { 100000, 200000, 400000, 600000, 600000 };
    struct world *w = world_new(&(struct broker_config){ .lease_ms = 3000000 });

    (void)state;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, &(struct wire_job_spec){ .retries = 5, .backoff_ms = 100000 });
    client_tasks(w, "c1", 1, 0, 1, 10);
    for (unsigned i = 0; i < 5; i++) {
        char expected[32];
        worker_failed(w, "w1", i + 1, 0, BFORK_FAILED);
        world_forget(w);
        world_after(w, waits[i] - 1);
        if (strstr(w->trace, "CHUNKS"))
            fail_msg("back-off %u was too short:\n%s", i, w->trace);
        world_after(w, 2);
        snprintf(expected, sizeof(expected), "> w1 CHUNKS #%u j2 0+1", i + 2);
        if (!strstr(w->trace, expected))
            fail_msg("back-off %u was too long:\n%s", i, w->trace);
    }
    world_forget(w);
    worker_failed(w, "w1", 6, 0, BFORK_FAILED);
    assert_non_null(strstr(w->trace, "OUTCOMES s1 j1 0+1 failed"));
    world_free(w);
}

/* No JOB_STATE can say which job it is: the session ends, and is told why. */
static void a_handle_that_is_zero_breaks_the_protocol(void **state)
{
    static const enum wire_type types[] = { WIRE_TASKS, WIRE_CANCEL, WIRE_OUTCOMES_ACK };

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct wire_item none = { .count = 1, .flags = types[i] == WIRE_TASKS ? WIRE_FIXED : 0, .why = WIRE_WHY_CANCEL };
        struct wire_msg m = { .type = types[i], .request = 6, .items = &none, .n_items = 1 };
        struct world *w = started();
        w->hook = listen;
        world_send(w, "c1", &m);
        EXPECT(w, "[   0] > c1 ERROR -49\n"
                  "[   0] > c1 CUT\n");
        assert_non_null(strstr(last_text, "job 0, which is not open; handles are not 0"));
        world_free(w);
    }
}

/* One answer of a worker that holds tasks 0 to 9 in an attempt. */
static void wrong_result(struct wire_item it, const char *document, size_t size, int code, const char *why)
{
    struct wire_msg m = { .type = WIRE_RESULTS, .items = &it, .n_items = 1 };
    struct wire_job_spec spec = { .chunk = 10 };
    struct world *w = started();
    struct buf *body = buf_new(size + 1);
    char expected[32];

    it.id = 1;
    it.size = (uint32_t)size;
    memcpy(body->data, document, size);
    it.body = slice_of(body, 0, size);
    client_job(w, "c1", 2, 1, &spec);
    client_tasks(w, "c1", 2, 0, 10, 10);
    world_forget(w);
    w->hook = listen;
    world_send(w, "w1", &m);
    snprintf(expected, sizeof(expected), "> w1 ERROR %d\n", code);
    if (!strstr(w->trace, expected) || !strstr(last_text, why))
        fail_msg("expected %d %s, got %s\n%s", code, why, last_text, w->trace);
    slice_unref(&it.body);
    world_free(w);
}

static void what_does_not_fit_its_attempt_is_told_by_name(void **state)
{
    const struct wire_item ok = { .count = 1, .flags = WIRE_FIXED }, bad = { .count = 1, .kind = WIRE_OUTCOME };
    struct wire_item it = ok;

    (void)state;
    it.flags |= WIRE_SEALED;
    wrong_result(it, "", 0, BFORK_EPROTOCOL, "SEALED");
    it = ok;
    it.first = 3;
    wrong_result(it, "", 0, BFORK_EPROTOCOL, "1 tasks from 3: there is a gap before them");
    it.first = 4000;
    wrong_result(it, "", 0, BFORK_EPROTOCOL, "not among those that were handed out");
    it.first = 0;
    it.kind = WIRE_RETURNED;
    wrong_result(it, "", 0, BFORK_EPROTOCOL, "not its tail");
    wrong_result(bad, "\xc1", 1, BFORK_EPROTOCOL, "outcome: ");
    wrong_result(bad, "\x80", 1, BFORK_EPROTOCOL, "outcome: field kind (key 1) is missing");
    wrong_result(bad, "\x81\x01\x00", 3, BFORK_EPROTOCOL, "outcome: field kind (key 1) is none of the codes");
    wrong_result(bad, "\x82\x01\xff\x4d\x01", 5, BFORK_ENOTSUP, "outcome: key 77 must be understood");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_equal_or_lower_connection_number_takes_nothing_over),
        cmocka_unit_test(a_frame_that_cannot_be_read_ends_the_session),
        cmocka_unit_test(channels_are_refused_by_name),
        cmocka_unit_test(answers_carry_the_request_they_belong_to),
        cmocka_unit_test(a_pool_that_is_refused_is_only_that_pool),
        cmocka_unit_test(values_that_mean_something_are_not_ignored),
        cmocka_unit_test(a_job_is_opened_again_only_as_what_it_is),
        cmocka_unit_test(tasks_are_refused_with_their_job),
        cmocka_unit_test(what_was_received_may_come_again_after_a_reconnect),
        cmocka_unit_test(what_is_retried_is_what_was_asked_for),
        cmocka_unit_test(backing_off_doubles_up_to_ten_minutes),
        cmocka_unit_test(a_handle_that_is_zero_breaks_the_protocol),
        cmocka_unit_test(what_does_not_fit_its_attempt_is_told_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
