/* SPDX-License-Identifier: MPL-2.0
 * samples.c - the messages and documents of samples.h. Data only; nothing here depends on the machine or on the time.
 */
#include "samples.h"

#include "bfork.h"

#include <string.h>

static const uint8_t bytes[64] = { 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d,
                                   0x1e, 0x1f, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x2b,
                                   0x2c, 0x2d, 0x2e, 0x2f, 0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9 };
static const uint8_t lengths[] = { 3, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0 };    /* 3, 0, 5 */
static uint8_t outcome_bytes[SAMPLE_ROOM], pool_bytes[SAMPLE_ROOM], job_bytes[SAMPLE_ROOM];
static struct wire_item items[SAMPLES_MAX][3];

#define ID wire_bin_of(bytes, WIRE_ID)
#define KEY wire_bin_of(bytes + 8, WIRE_KEY)
#define DIGEST wire_bin_of(bytes + 4, WIRE_DIGEST)

const char *const sample_document_names[SAMPLE_DOCUMENTS] = { "fn", "pool_spec", "job_spec", "outcome" };

static size_t take(struct buf *b, uint8_t *out)
{
    size_t n = b ? b->size : 0;

    if (n)
        memcpy(out, b->data, n);
    buf_unref(&b);
    return n;
}

size_t sample_document(enum sample_document which, uint8_t out[SAMPLE_ROOM])
{
    struct wire_fn fn = { .kind = WIRE_FN_OFFSET,
                          .offset = 0x1139,
                          .object = WIRE_STR("libtasks.so.1"),
                          .build_id = wire_bin_of(bytes, 20),
                          .layout = DIGEST,
                          .symbol = WIRE_STR("square") };
    uint8_t nested[SAMPLE_ROOM];
    size_t n;

    if (which == SAMPLE_FN)
        return take(wire_fn_encode(&fn), out);
    n = sample_document(SAMPLE_FN, nested);
    if (which == SAMPLE_POOL_SPEC) {
        struct wire_pool_spec s = { .program = DIGEST,
                                    .program_size = 123456,
                                    .program_name = WIRE_STR("prog"),
                                    .arch = WIRE_STR("x86_64-linux-gnu"),
                                    .argv = wire_bin_of("prog\0-v", 8),
                                    .env = wire_bin_of("A=1\0B=2", 8),
                                    .preload = wire_bin_of(nested, n),
                                    .initializer = wire_bin_of(nested, n),
                                    .finalizer = wire_bin_of(nested, n),
                                    .args = wire_bin_of("\x91\x07", 2),
                                    .max_tasks = 1000,
                                    .max_growth = 1 << 30,
                                    .output_limit = 65536,
                                    .resources = WIRE_STR("cpus=1"),
                                    .needs = WIRE_FEATURE_GROWTH };
        return take(wire_pool_spec_encode(&s), out);
    }
    if (which == SAMPLE_JOB_SPEC) {
        struct wire_job_spec s = { .kind = WIRE_JOB_MAP,
                                   .fn = wire_bin_of(nested, n),
                                   .in_size = 8,
                                   .out_size = 4,
                                   .run_limit_ms = 60000,
                                   .queue_limit_ms = 70000,
                                   .total_limit_ms = 80000,
                                   .retries = -1,
                                   .retry_on = 6,
                                   .backoff_ms = 100,
                                   .chunk = 64,
                                   .seed = 0x123456789abcdef0,
                                   .priority = -3,
                                   .context = wire_bin_of("context", 7),
                                   .name = WIRE_STR("thumbs"),
                                   .client_host = WIRE_STR("hosta"),
                                   .client_pid = 4321,
                                   .total = 1000000,
                                   .needs = WIRE_FEATURE_GROWTH };
        return take(wire_job_spec_encode(&s), out);
    }
    struct wire_outcome o = { .kind = BFORK_CRASHED,
                              .code = -7,
                              .signal = 11,
                              .attempt = 2,
                              .pid = 77,
                              .index = 41,
                              .duration_us = 1500,
                              .message = WIRE_STR("crashed with SIGSEGV at address 0x8"),
                              .function = WIRE_STR("blur"),
                              .where = WIRE_STR("blur.c:17"),
                              .host = WIRE_STR("hostb"),
                              .backtrace = WIRE_STR("blur\nrun\nmain\n"),
                              .output = WIRE_STR("row 17\n"),
                              .stage = WIRE_STR("load") };
    return take(wire_outcome_encode(&o), out);
}

int sample_document_again(enum sample_document which, const void *p, size_t n, uint8_t *out, size_t *ret_size, struct err *e)
{
    union { struct wire_fn fn; struct wire_pool_spec pool; struct wire_job_spec job; struct wire_outcome outcome; } u;
    struct buf *b = NULL;
    int rc;

    switch (which) {
    case SAMPLE_FN:
        if ((rc = wire_fn_decode(p, n, &u.fn, e)) == 0)
            b = wire_fn_encode(&u.fn);
        break;
    case SAMPLE_POOL_SPEC:
        if ((rc = wire_pool_spec_decode(p, n, &u.pool, e)) == 0)
            b = wire_pool_spec_encode(&u.pool);
        break;
    case SAMPLE_JOB_SPEC:
        if ((rc = wire_job_spec_decode(p, n, &u.job, e)) == 0)
            b = wire_job_spec_encode(&u.job);
        break;
    default:
        if ((rc = wire_outcome_decode(p, n, &u.outcome, e)) == 0)
            b = wire_outcome_encode(&u.outcome);
        break;
    }
    if (rc < 0)
        return rc;
    if (!b)
        return -1;
    *ret_size = take(b, out);
    return 0;
}

/* The next sample; its numbers are such that every width of integers occurs. */
static struct sample *next(struct sample *samples, size_t *n, const char *name, enum wire_type type)
{
    struct sample *s = &samples[(*n)++];

    memset(s, 0, sizeof(*s));
    s->name = name;
    s->msg.type = (uint8_t)type;
    s->msg.ack = 70000;
    s->msg.items = items[*n - 1];
    return s;
}

static void make_connection(struct sample *samples, size_t *n)
{
    struct wire_error_head error = { BFORK_EPROTOCOL, WIRE_STR("no common version: install 0.1"), 1, 3, WIRE_STR("protocol_min") };
    struct wire_msg *m = &next(samples, n, "hello", WIRE_HELLO)->msg;

    m->ack = 0;
    m->u.hello = (struct wire_hello){ 1,
                                      1,
                                      WIRE_WORKER,
                                      WIRE_STR("broadfork 0.1.0"),
                                      WIRE_STR("hostb"),
                                      ID,
                                      wire_bin_of(bytes + 16, WIRE_ID),
                                      3,
                                      0x1122334455667788,
                                      8,
                                      8 << 20,
                                      WIRE_STR("x86_64-linux-gnu"),
                                      WIRE_STR("hostb.example"),
                                      4242,
                                      WIRE_STR("cpus=8"),
                                      WIRE_FEATURE_GROWTH,
                                      true };
    m = &next(samples, n, "welcome", WIRE_WELCOME)->msg;
    m->u.welcome = (struct wire_welcome){
        1, WIRE_STR("broadfork 0.1.0"), 0x1122334455667788, 1000, 5000, 3000, 8 << 20, 1 << 30, 16 << 20, KEY, true,
        WIRE_FEATURE_GROWTH, WIRE_FRAME_MAX, WIRE_BODY_MAX, WIRE_TASK_MAX, WIRE_SPEC_MAX, WIRE_ITEMS_MAX, WIRE_BATCH_TASKS,
        WIRE_PIECE_MAX, 4ull << 30, 64 << 20, 60000, 1024, 2ull << 30, 64 << 20, 4096, 1024, 65536
    };
    next(samples, n, "reset", WIRE_RESET)->msg.u.error = error;
    next(samples, n, "ping", WIRE_PING)->msg.u.ping.stamp = UINT64_MAX;
    next(samples, n, "pong", WIRE_PONG)->msg.u.ping.stamp = 200;
    next(samples, n, "bye", WIRE_BYE)->msg.u.error = error;
    m = &next(samples, n, "error", WIRE_ERROR)->msg;
    m->u.error = error;
    m->request = 300;
    m->channel = 2;
}

static void make_pools(struct sample *samples, size_t *n)
{
    struct wire_bin pool = wire_bin_of(pool_bytes, sample_document(SAMPLE_POOL_SPEC, pool_bytes));
    struct wire_bin job = wire_bin_of(job_bytes, sample_document(SAMPLE_JOB_SPEC, job_bytes));
    struct wire_str why = WIRE_STR("missing library libpng16.so.16");

    next(samples, n, "pool_open", WIRE_POOL_OPEN)->msg.u.pool_open =
        (struct wire_pool_open){ 7, -1, DIGEST, pool, WIRE_STR("main") };
    next(samples, n, "pool_close", WIRE_POOL_CLOSE)->msg.u.pool_ref.pool = 7;
    next(samples, n, "pool_state", WIRE_POOL_STATE)->msg.u.pool_state =
        (struct wire_pool_state){ 7, 4, BFORK_REFUSED, why, true, WIRE_STR("spec") };
    next(samples, n, "job_open", WIRE_JOB_OPEN)->msg.u.job_open = (struct wire_job_open){ 300, 7, ID, 90000, job };
    next(samples, n, "job_close", WIRE_JOB_CLOSE)->msg.u.job_ref.job = 300;
    next(samples, n, "job_state", WIRE_JOB_STATE)->msg.u.job_state = (struct wire_job_state){
        300, 1 << 20, BFORK_ENOTSUP, WIRE_STR("priority is 3; this broker knows no other than 0"), WIRE_STR("priority")
    };
    next(samples, n, "grant", WIRE_GRANT)->msg.u.grant = (struct wire_grant){ 9, 4, DIGEST, pool, KEY };
    next(samples, n, "job_spec", WIRE_JOB_SPEC)->msg.u.job_spec = (struct wire_job_to_worker){
        5, 9, ID, job, WIRE_FEATURE_GROWTH
    };
    next(samples, n, "job_forget", WIRE_JOB_FORGET)->msg.u.job_ref.job = 5;
    next(samples, n, "worker_state", WIRE_WORKER_STATE)->msg.u.worker_state = (struct wire_worker_state){ 8, 3, true };
    next(samples, n, "pool_failed", WIRE_POOL_FAILED)->msg.u.pool_failed =
        (struct wire_pool_failed){ 9, BFORK_REFUSED, WIRE_STR("load"), why };
    next(samples, n, "status_get", WIRE_STATUS_GET)->msg.u.status_get.what = WIRE_STR("workers");
    next(samples, n, "status", WIRE_STATUS)->msg.u.status.json = WIRE_STR("{\"workers\":[]}");
    next(samples, n, "cancelled", WIRE_CANCELLED)->msg.u.cancelled = (struct wire_cancelled){ 7, 2, 300 };
    next(samples, n, "admin", WIRE_ADMIN)->msg.u.admin = (struct wire_admin){ WIRE_STR("drain"), WIRE_STR("hostb") };
}

static void make_records(struct sample *samples, size_t *n)
{
    const struct wire_item range = {
        .id = 0x0102030405060708, .job = 300, .first = 1 << 20, .count = 100, .tries = 1, .crashes = 2
    };
    struct wire_msg *m = &next(samples, n, "cancel", WIRE_CANCEL)->msg;

    m->n_items = 1;
    m->items[0] = (struct wire_item){ .job = 300, .first = 5, .count = 10, .why = WIRE_WHY_CANCEL };
    m = &next(samples, n, "tasks_look", WIRE_TASKS_LOOK)->msg;
    m->request = 9;
    m->n_items = 1;
    m->items[0] = (struct wire_item){ .job = 300, .first = 5, .count = 10 };
    m = &next(samples, n, "tasks_seen", WIRE_TASKS_SEEN)->msg;
    m->request = 9;
    m->n_items = 2;
    m->items[0] = (struct wire_item){ .job = 300, .first = 5, .count = 4 };
    m->items[1] = (struct wire_item){ .job = 300, .first = 9, .count = 6, .kind = 1 };
    m = &next(samples, n, "outcomes_ack", WIRE_OUTCOMES_ACK)->msg;
    m->n_items = 2;
    m->items[0] = (struct wire_item){ .id = 1000, .job = 300 };
    m->items[1] = (struct wire_item){ .id = 1, .job = 301 };
    m = &next(samples, n, "assigned", WIRE_ASSIGNED)->msg;
    m->n_items = 1;
    m->items[0] = range;
    m = &next(samples, n, "assigned_ok", WIRE_ASSIGNED_OK)->msg;
    m->n_items = 1;
    m->items[0] = range;
    m->items[0].tries = m->items[0].crashes = 0;
    m = &next(samples, n, "tries", WIRE_TRIES)->msg;
    m->n_items = 1;
    m->items[0] = (struct wire_item){ .job = 300, .first = 5, .count = 10, .tries = 2, .crashes = 1 };
    m = &next(samples, n, "recall", WIRE_RECALL)->msg;
    m->n_items = 1;
    m->items[0] = (struct wire_item){ .id = range.id, .job = 5, .first = range.first + 50, .why = WIRE_WHY_DRAIN };
    m = &next(samples, n, "recalled", WIRE_RECALLED)->msg;
    m->n_items = 1;
    m->items[0] = (struct wire_item){ .id = range.id, .first = range.first + 50 };
    m = &next(samples, n, "attempts_close", WIRE_ATTEMPTS_CLOSE)->msg;
    m->n_items = 2;
    m->items[0] = (struct wire_item){ .id = range.id, .job = 5, .why = WIRE_WHY_DONE };
    m->items[1] = (struct wire_item){ .id = range.id + 1, .job = 5, .why = WIRE_WHY_FENCED };
    m = &next(samples, n, "holding", WIRE_HOLDING)->msg;
    m->n_items = 1;
    m->items[0] = range;
    m->items[0].end = range.first + 128;
    memcpy(m->items[0].ticket, bytes, WIRE_TICKET);
    memcpy(m->items[0].job_id, bytes + 1, WIRE_ID);
    memcpy(m->items[0].owner, bytes + 8, WIRE_KEY);
    m->u.holding.last = true;
}

/* Three items: lengths, a fixed size, and what is particular to the message. */
static void make_items(struct sample *samples, size_t *n)
{
    const struct wire_item uneven = {
        .job = 300, .first = 10, .count = 3, .size = 8, .lens = slice_borrow(lengths, 12), .body = slice_borrow(bytes, 8)
    };
    const struct wire_item fixed = {
        .job = 300, .first = 1 << 20, .count = 4, .size = 8, .flags = WIRE_FIXED, .body = slice_borrow(bytes, 32)
    };
    size_t size = sample_document(SAMPLE_OUTCOME, outcome_bytes);
    const struct wire_item outcome = { .job = 300, .first = 41, .count = 1, .size = (uint32_t)size, .kind = WIRE_OUTCOME,
                                       .body = slice_borrow(outcome_bytes, size) };
    struct wire_msg *m = &next(samples, n, "tasks", WIRE_TASKS)->msg;

    m->n_items = 3;
    m->items[0] = uneven;
    m->items[1] = m->items[2] = fixed;
    m->items[2].flags |= WIRE_REPLAY | WIRE_MAYBE_STARTED;
    m->items[2].tries = 2;
    m->items[2].crashes = 1;
    m = &next(samples, n, "chunks", WIRE_CHUNKS)->msg;
    m->n_items = 2;
    m->items[0] = uneven;
    m->items[1] = fixed;
    for (int k = 0; k < 2; k++) {
        m->items[k].id = 0x0102030405060708 + (uint64_t)k;
        m->items[k].tries = 1;
        memcpy(m->items[k].ticket, bytes + 3 + k, WIRE_TICKET);
    }
    m = &next(samples, n, "results", WIRE_RESULTS)->msg;
    m->n_items = 3;
    m->items[0] = fixed;
    m->items[1] = outcome;
    m->items[2] = (struct wire_item){ .job = 300, .first = 50, .count = 30, .kind = WIRE_RETURNED };
    for (int k = 0; k < 3; k++)
        m->items[k].id = 0x0102030405060708;
    m->items[0].pid = 77;
    m->items[0].sum_ns = 123456;
    for (uint64_t attempt = 0; attempt < 2; attempt++) {      /* for those who read records by their stride, and for others */
        m = &next(samples, n, attempt ? "outcomes_attempt" : "outcomes", WIRE_OUTCOMES)->msg;
        m->u.records.stride = attempt ? WIRE_OUTCOMES_V1 + 8 : WIRE_OUTCOMES_V1;
        m->n_items = 3;
        m->items[0] = uneven;
        m->items[1] = fixed;
        m->items[2] = outcome;
        for (uint64_t k = 0; k < 3; k++) {
            m->items[k].id = 1000 + k;
            m->items[k].attempt = attempt * 0x0102030405060708;
        }
        m->items[1].sum_ns = 123456;
    }
}

static void make_blobs(struct sample *samples, size_t *n)
{
    struct wire_msg *m;

    next(samples, n, "blob_get", WIRE_BLOB_GET)->msg.u.blob =
        (struct wire_blob){ .digest = DIGEST, .offset = 1 << 20, .size = 65536 };
    m = &next(samples, n, "blob_piece", WIRE_BLOB_PIECE)->msg;
    m->u.blob = (struct wire_blob){ .digest = DIGEST, .offset = 1 << 20, .total = (1 << 20) + 42, .size = 42 };
    m->body = slice_borrow(bytes, 42);
    next(samples, n, "blob_none", WIRE_BLOB_NONE)->msg.u.blob =
        (struct wire_blob){ .digest = DIGEST, .text = WIRE_STR("the file has changed") };
    m = &next(samples, n, "output", WIRE_OUTPUT)->msg;
    m->u.output.host = WIRE_STR("hostb");
    m->n_items = 2;
    for (uint32_t k = 0; k < 2; k++)
        m->items[k] = (struct wire_item){ .id = 0x0102030405060708, .seq = 9 + k, .job = 300, .count = 1, .first = 41,
                                          .offset = 4096 * k, .flags = WIRE_FIXED, .size = 7, .pid = 77, .tries = 2, .stream = 1,
                                          .body = slice_borrow("row 17\n", 7) };
    m->items[1].stream = 2;
    m->items[1].flags |= WIRE_CUT;
    m->items[1].end = 65536;
    next(samples, n, "output_ack", WIRE_OUTPUT_ACK)->msg.u.output_ack.seq = 1000000;
    m = &next(samples, n, "output_taken", WIRE_OUTPUT_TAKEN)->msg;
    m->n_items = 1;
    m->items[0] = (struct wire_item){ .id = 0x0102030405060708, .seq = 10, .job = 300, .size = 142 };
}

size_t samples_make(struct sample samples[SAMPLES_MAX])
{
    size_t n = 0;

    make_connection(samples, &n);
    make_pools(samples, &n);
    make_records(samples, &n);
    make_items(samples, &n);
    make_blobs(samples, &n);
    return n;
}
