/* SPDX-License-Identifier: MPL-2.0
 * fault_memory.c - an allowed client that makes the broker hold as much as it can, and goes on after every refusal.
 *
 *     fault_memory specifications ENDPOINT KEY-FILE MIB   pools, each with another specification of 240 kB
 *     fault_memory contexts ENDPOINT KEY-FILE MIB         jobs, each with a context of 240 kB
 *     fault_memory tasks ENDPOINT KEY-FILE MIB            tasks of 200 kB
 *     fault_memory status ENDPOINT KEY-FILE N             N questions, of which no answer is read
 *     fault_memory ranges ENDPOINT KEY-FILE N             N frames of as many ranges of one task without bytes as a frame can have
 *     fault_memory outcomes ENDPOINT KEY-FILE MIB WORKERS WORKER-KEY-FILE
 *                                                         results of 200 kB by a worker of its own, of which the client reads none
 * Its window is 2^62. "sent=MIB refused=N code=C TEXT", when everything was sent or nothing more is
 * taken; then it keeps its session until its input ends. Each frame is sent when there is room for it in the broker's window. Every
 * wait ends after 600 s.
 */
#include "base/clock.h"
#include "bfork.h"
#include "net/net.h"

#include <openssl/sha.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LARGE 240000u
#define TASK 200000u
#define WINDOW (4u << 20)

static struct net *net;
static struct net_link *the_link;
static struct wire_item items[WIRE_ITEMS_MAX];
static uint8_t large[LARGE];
static uint64_t sent, body_sent, acked, consumed, refused, until;
static int code;
static char text[512];
static bool cut;
static char instance[17];

static int die(const char *what)
{
    fprintf(stderr, "fault_memory: %s\n", what);
    exit(1);
}

static void refusal(int with, struct wire_str s)
{
    refused++;
    code = with;
    snprintf(text, sizeof(text), "%.*s", (int)s.n, s.n ? s.p : "");
}

static void transmit(struct wire_msg *m);

static void take(struct buf *frame)
{
    struct wire_msg m, pong = { .type = WIRE_PONG };
    struct err e = { 0, "" };

    if (wire_decode(frame->data, frame->size, frame, items, &m, &e) != 0)
        die(e.text);
    acked = m.ack > acked ? m.ack : acked;
    for (uint32_t i = 0; i < m.n_items; i++)
        consumed += wire_item_bytes(&m.items[i]);
    if (m.type == WIRE_POOL_STATE && m.u.pool_state.code < 0)
        refusal(m.u.pool_state.code, m.u.pool_state.text);
    if (m.type == WIRE_JOB_STATE && m.u.job_state.code < 0)
        refusal(m.u.job_state.code, m.u.job_state.text);
    if (m.type == WIRE_ERROR)
        refusal(m.u.error.code, m.u.error.text);
    if (m.type == WIRE_PING) {
        pong.u.ping.stamp = m.u.ping.stamp;
        transmit(&pong);
    }
}

/* What has come is read, unless nothing is to be. */
static void turn(bool read_it, uint64_t wait)
{
    struct pollfd f = { .fd = net_fd(net), .events = POLLIN };
    struct buf *frame = NULL;
    struct err e = { 0, "" };

    if (net_step(net, &e) < 0)
        die(e.text);
    while (read_it && net_link_recv(the_link, &frame) == 1) {
        take(frame);
        buf_unref(&frame);
        wait = 0;
    }
    if (net_link_state(the_link, &e) == NET_LINK_DOWN && !cut) {
        cut = true;
        snprintf(text, sizeof(text), "cut: %.500s", e.text);
    }
    if (clock_now() > until)
        die("it takes too long");
    if (wait && !net_ready(net))
        poll(&f, 1, (int)wait);
}

static void transmit(struct wire_msg *m)
{
    m->ack = consumed;
    if (!cut && net_link_send(the_link, m) != 0)
        cut = true;
}

static void join(const char *endpoint, const char *key)
{
    static struct net_cert cert;
    struct wire_msg m = { .type = WIRE_HELLO };
    struct err e = { 0, "" };

    until = clock_now() + 600 * CLOCK_SEC;
    if (net_cert_load(key, true, &cert, &e) < 0 || net_new(&net, &e) < 0 ||
        net_connect(net, endpoint, cert.broker_key, &cert.pair, &the_link, &e) < 0)
        die(e.text);
    m.u.hello = (struct wire_hello){ .protocol_min = 1, .protocol_max = 1, .role = WIRE_CLIENT, .conn_no = 1,
        .software = WIRE_STR("fault_memory"), .name = WIRE_STR("fault_memory"), .host = WIRE_STR("here"),
        .instance = wire_bin_of(instance, 16), .window_bytes = 1ull << 62 };
    transmit(&m);
}

static void open_pool(uint32_t handle, bool is_large)
{
    uint32_t bytes = is_large ? LARGE / 2 : 0;
    struct wire_pool_spec ps = { .program_name = WIRE_STR("memory"), .arch = WIRE_STR("none"), .argv = wire_bin_of(large, bytes),
        .env = wire_bin_of(large, bytes) };
    struct wire_msg m = { .type = WIRE_POOL_OPEN };
    struct buf *spec;
    uint8_t digest[32];

    memcpy(large, &handle, sizeof(handle));
    spec = wire_pool_spec_encode(&ps);
    SHA256(spec->data, spec->size, digest);
    m.u.pool_open = (struct wire_pool_open){ .pool = handle, .processes = 1, .digest = wire_bin_of(digest, 32),
        .spec = wire_bin_of(spec->data, spec->size), .name = WIRE_STR("memory") };
    transmit(&m);
    sent += spec->size;
    buf_unref(&spec);
}

static void open_job(uint32_t handle, bool is_large)
{
    struct wire_fn f = { .kind = WIRE_FN_OFFSET, .offset = 4096, .symbol = WIRE_STR("task") };
    struct buf *fn = wire_fn_encode(&f), *spec;
    struct wire_job_spec js = { .kind = WIRE_JOB_TASKS, .name = WIRE_STR("memory"), .fn = wire_bin_of(fn->data, fn->size),
        .context = wire_bin_of(large, is_large ? LARGE : 0) };
    struct wire_msg m = { .type = WIRE_JOB_OPEN };
    uint8_t id[16] = "memory";

    memcpy(id + 8, &handle, sizeof(handle));
    spec = wire_job_spec_encode(&js);
    m.u.job_open = (struct wire_job_open){ .job = handle, .pool = 1, .id = wire_bin_of(id, 16),
        .spec = wire_bin_of(spec->data, spec->size) };
    transmit(&m);
    sent += spec->size;
    buf_unref(&fn);
    buf_unref(&spec);
}

/* Tasks of a job that was refused are refused as well; another is opened then. */
static void send_task(uint32_t job, uint64_t index)
{
    struct wire_item it = { .job = job, .first = index, .count = 1, .flags = WIRE_FIXED, .size = TASK,
        .body = { NULL, large, TASK } };
    struct wire_msg m = { .type = WIRE_TASKS, .items = &it, .n_items = 1 };

    while (!cut && body_sent - acked > WINDOW)
        turn(true, 50);
    transmit(&m);
    sent += TASK;
    body_sent += TASK;
}

static void send_ranges(uint32_t job, uint64_t frame)
{
    static struct wire_item ranges[WIRE_ITEMS_MAX];
    struct wire_msg m = { .type = WIRE_TASKS, .items = ranges, .n_items = WIRE_ITEMS_MAX };

    for (uint32_t i = 0; i < WIRE_ITEMS_MAX; i++)
        ranges[i] = (struct wire_item){ .job = job, .first = frame * WIRE_ITEMS_MAX + i, .count = 1, .flags = WIRE_FIXED };
    transmit(&m);
}

/* ---- a worker that answers everything at once -------------------------------------------------------------------------------- */

static struct net_link *worker_link;
static struct wire_item chunk_items[WIRE_ITEMS_MAX];
static uint64_t results_sent, results_acked, chunks_consumed;

static void worker_send(struct wire_msg *m)
{
    m->ack = chunks_consumed;
    if (net_link_send(worker_link, m) != 0)
        die("the worker cannot send");
}

static void worker_take(struct buf *frame)
{
    struct wire_msg m, pong = { .type = WIRE_PONG };
    struct err e = { 0, "" };

    if (wire_decode(frame->data, frame->size, frame, chunk_items, &m, &e) != 0)
        die(e.text);
    results_acked = m.ack > results_acked ? m.ack : results_acked;
    for (uint32_t i = 0; i < m.n_items; i++)
        chunks_consumed += wire_item_bytes(&m.items[i]);
    if (m.type == WIRE_PING) {
        pong.u.ping.stamp = m.u.ping.stamp;
        worker_send(&pong);
    }
    for (uint32_t i = 0; m.type == WIRE_CHUNKS && i < m.n_items; i++) {
        struct wire_item it = { .id = m.items[i].id, .first = m.items[i].first, .count = m.items[i].count, .kind = WIRE_OK,
            .flags = WIRE_FIXED, .size = TASK, .sum_ns = 1000, .body = { NULL, large, TASK } };
        struct wire_msg results = { .type = WIRE_RESULTS, .items = &it, .n_items = 1 };
        if (it.count != 1)
            die("a chunk has more than one task");
        worker_send(&results);
        results_sent += TASK;
    }
}

static void worker_turn(void)
{
    struct wire_msg ping = { .type = WIRE_PING };
    struct buf *frame = NULL;
    static uint64_t pinged;

    while (results_sent - results_acked <= WINDOW && net_link_recv(worker_link, &frame) == 1) {
        worker_take(frame);
        buf_unref(&frame);
    }
    while (results_sent - results_acked > WINDOW && net_link_recv(worker_link, &frame) == 1)
        die("the broker sends beyond what it has confirmed"), buf_unref(&frame);
    if (clock_now() > pinged + CLOCK_SEC / 4) {
        pinged = clock_now();
        worker_send(&ping);
    }
}

static void outcomes(const char *endpoint, const char *key, uint64_t mib)
{
    static struct net_cert cert;
    struct wire_msg m = { .type = WIRE_HELLO };
    struct err e = { 0, "" };
    uint64_t was, since;

    if (net_cert_load(key, true, &cert, &e) < 0 || net_connect(net, endpoint, cert.broker_key, &cert.pair, &worker_link, &e) < 0)
        die(e.text);
    m.u.hello = (struct wire_hello){ .protocol_min = 1, .protocol_max = 1, .role = WIRE_WORKER, .conn_no = 1, .slots = 8,
        .software = WIRE_STR("fault_memory"), .name = WIRE_STR("fault_memory"), .host = WIRE_STR("here"), .arch = WIRE_STR("none"),
        .resources = WIRE_STR("cpus=8"), .instance = wire_bin_of(instance, 16), .window_bytes = 8 << 20 };
    worker_send(&m);
    m = (struct wire_msg){ .type = WIRE_HOLDING };
    m.u.holding.last = true;
    worker_send(&m);
    open_pool(1, false);
    open_job(1, false);
    for (uint64_t i = 0; i < (mib << 20) / TASK; i++) {
        struct wire_item it = { .job = 1, .first = i, .count = 1, .flags = WIRE_FIXED, .size = 8, .body = { NULL, large, 8 } };
        struct wire_msg tasks = { .type = WIRE_TASKS, .items = &it, .n_items = 1 };
        transmit(&tasks);
    }
    for (was = 0, since = clock_now(); !cut && clock_now() < since + 3 * CLOCK_SEC;) {
        turn(false, 20);
        worker_turn();
        if (results_sent != was)
            since = clock_now();
        was = results_sent;
    }
    sent = results_sent;
    m = (struct wire_msg){ .type = WIRE_BYE };
    worker_send(&m);
}

static void attack(const char *how, uint64_t n)
{
    struct wire_msg question = { .type = WIRE_STATUS_GET };
    uint64_t most = n << 20, before = 0;
    bool counted = !strcmp(how, "status") || !strcmp(how, "ranges");
    uint32_t handle = 1, job = 0;

    question.u.status_get.what = WIRE_STR("jobs");
    if (strcmp(how, "specifications") != 0)
        open_pool(handle++, false);
    for (uint64_t i = 0; !cut; i++) {
        if (counted ? i == n : sent >= most)
            break;
        if (!strcmp(how, "specifications")) {
            open_pool(handle++, true);
        } else if (!strcmp(how, "contexts")) {
            open_job(handle++, true);
        } else if (!strcmp(how, "tasks")) {
            if (!job || refused != before)
                open_job(job = handle++, false);
            before = refused;
            send_task(job, i);
        } else if (!strcmp(how, "ranges")) {
            if (!job)
                open_job(job = handle++, false);
            send_ranges(job, i);
        } else {
            question.request = (uint32_t)i + 1;
            transmit(&question);
        }
        turn(strcmp(how, "status") != 0, 0);
    }
}

int main(int argc, char **argv)
{
    struct wire_msg last = { .type = WIRE_STATUS_GET, .request = 1 };
    struct pollfd f = { .fd = 0, .events = POLLIN };
    bool own = argc == 7 && strcmp(argv[1], "outcomes") == 0, reads = !own && argc == 5 && strcmp(argv[1], "status") != 0;
    uint64_t was = 0;

    if (argc != 5 && !own)
        return die("usage: fault_memory "
                   "specifications|contexts|tasks|status|ranges|outcomes "
                   "ENDPOINT KEY-FILE N [WORKERS KEY-FILE]");
    snprintf(instance, sizeof(instance), "memory%010d", (int)getpid());
    join(argv[2], argv[3]);
    if (own)
        outcomes(argv[5], argv[6], strtoull(argv[4], NULL, 10));
    else
        attack(argv[1], strtoull(argv[4], NULL, 10));
    last.u.status_get.what = WIRE_STR("summary");
    transmit(&last);
    for (int quiet = 0; reads && !cut && quiet < 20; quiet = was == refused ? quiet + 1 : 0) {
        was = refused;
        turn(true, 50);
    }
    printf("sent=%llu refused=%llu code=%d %s\n", (unsigned long long)(sent >> 20), (unsigned long long)refused, code, text);
    fflush(stdout);
    while (poll(&f, 1, 0) == 0)
        turn(reads, 50);
    last = (struct wire_msg){ .type = WIRE_BYE };
    transmit(&last);
    net_link_close(&worker_link);
    net_link_close(&the_link);
    net_free(&net);
    return 0;
}
