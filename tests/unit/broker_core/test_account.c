/* SPDX-License-Identifier: MPL-2.0
 * test_account.c - whatever a peer can make the broker hold is charged to the account of its key: each way in is attacked until it
 * is refused, the account stays below its limit, and what it says agrees with the allocator. Others notice nothing.
 */
#include "world.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT (8u << 20)
#define LARGE 250000u

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);

static long long allocated;     /* bytes that are in use now */

static void *in(void *p)
{
    allocated += (long long)malloc_usable_size(p);
    return p;
}

void *__wrap_malloc(size_t n) { return in(__real_malloc(n)); }
void *__wrap_calloc(size_t n, size_t size) { return in(__real_calloc(n, size)); }

void *__wrap_realloc(void *p, size_t n)
{
    allocated -= (long long)malloc_usable_size(p);
    return in(__real_realloc(p, n));
}

void __wrap_free(void *p)
{
    allocated -= (long long)malloc_usable_size(p);
    __real_free(p);
}

static uint8_t large[1u << 20];

static struct world *world_with(struct broker_config c)
{
    if (!c.owner_memory)
        c.owner_memory = LIMIT;
    struct world *w = world_new(&c);
    w->quiet = true;
    return w;
}

static uint64_t held(struct world *w, const char *name) { return broker_held(w->b, world_peer(w, name)->key); }

static struct { int code; char text[512]; uint64_t welcomes, states, outcomes, bytes, seq[8]; bool back[8192]; } told;

static void listen_to(struct world *w, struct world_peer *p, const struct wire_msg *m)
{
    struct wire_str s = { NULL, 0 };

    (void)w;
    (void)p;
    if (m->type == WIRE_POOL_STATE && m->u.pool_state.code < 0)
        told.code = m->u.pool_state.code, s = m->u.pool_state.text;
    if (m->type == WIRE_JOB_STATE && m->u.job_state.code < 0)
        told.code = m->u.job_state.code, s = m->u.job_state.text;
    if (m->type == WIRE_ERROR)
        told.code = m->u.error.code, s = m->u.error.text;
    told.welcomes += m->type == WIRE_WELCOME;
    told.states += m->type == WIRE_JOB_STATE && m->u.job_state.code == 0;
    for (uint32_t i = 0; m->type == WIRE_OUTCOMES && i < m->n_items; i++) {
        told.outcomes += m->items[i].count;
        told.bytes += m->items[i].body.size;
        told.seq[m->items[i].job & 7] = m->items[i].id;
    }
    for (uint32_t i = 0; m->type == WIRE_RECALL && i < m->n_items; i++)
        told.back[m->items[i].id] = true;
    if (s.n) {
        memcpy(told.text, s.p, s.n < sizeof(told.text) ? s.n : sizeof(told.text) - 1);
        told.text[s.n < sizeof(told.text) ? s.n : sizeof(told.text) - 1] = 0;
    }
}

static void forget(struct world *w)
{
    w->hook = listen_to;
    memset(&told, 0, sizeof(told));
}

/* With what the other end of the connection would have as well. */
static void agrees(struct world *w, const char *name, uint64_t most)
{
    const char *wrong = broker_check(w->b);

    if (wrong)
        fail_msg("%s", wrong);
    if (held(w, name) > most)
        fail_msg("%llu bytes are held for %s, the limit is %llu", (unsigned long long)held(w, name), name,
                 (unsigned long long)most);
}

static void served(struct world *w, const char *name)
{
    forget(w);
    client_start(w, name, 1, NULL);
    client_tasks(w, name, 1, 0, 10, 100);
    assert_int_equal(told.code, 0);
    assert_int_equal(told.welcomes, 1);
}

static void large_pool(struct world *w, const char *name, uint32_t pool)
{
    struct wire_pool_spec spec = { .program_name = WIRE_STR("prog"), .arch = WIRE_STR("x"), .argv = wire_bin_of(large, LARGE / 2),
        .env = wire_bin_of(large, LARGE / 2) };
    struct buf *bytes = wire_pool_spec_encode(&spec);
    uint8_t digest[WIRE_DIGEST] = { (uint8_t)pool, (uint8_t)(pool >> 8) };
    struct wire_msg m = { .type = WIRE_POOL_OPEN };

    m.u.pool_open = (struct wire_pool_open){ .pool = pool, .processes = 1, .digest = wire_bin_of(digest, WIRE_DIGEST),
        .spec = wire_bin_of(bytes->data, bytes->size), .name = WIRE_STR("pool") };
    world_send(w, name, &m);
    buf_unref(&bytes);
}

static void r07_specifications_are_charged(void **state)
{
    struct world *w = world_with((struct broker_config){ .epoch = EPOCH });
    uint32_t n = 1, most = LIMIT / LARGE;
    uint64_t before;

    (void)state;
    forget(w);
    client_hello(w, "c1");
    before = held(w, "c1");
    assert_true(before > 0);
    for (; !told.code && n < 1000; n++)
        large_pool(w, "c1", n);
    assert_int_equal(told.code, BFORK_EQUOTA);
    assert_in_range(n, most / 2, most);
    assert_non_null(strstr(told.text, "owner-memory (8388608)"));
    for (int i = 0; i < 50; i++)
        large_pool(w, "c1", n++);
    agrees(w, "c1", LIMIT);
    assert_true(held(w, "c1") > LIMIT / 2);
    served(w, "c2");
    for (uint32_t i = 1; i < n; i++)
        simple(w, "c1", WIRE_POOL_CLOSE, i);
    assert_int_equal(held(w, "c1"), before);
    forget(w);
    large_pool(w, "c1", n);
    assert_int_equal(told.code, 0);
    world_free(w);
}

static void large_job(struct world *w, const char *name, uint32_t job)
{
    struct wire_job_spec spec = { .context = wire_bin_of(large, LARGE) };

    client_job(w, name, job, 1, &spec);
}

static void r07_contexts_are_charged(void **state)
{
    struct world *w = world_with((struct broker_config){ .epoch = EPOCH });
    uint32_t n = 1;

    (void)state;
    forget(w);
    client_hello(w, "c1");
    client_pool(w, "c1", 1, 1);
    for (; !told.code && n < 200; n++)
        large_job(w, "c1", n);
    assert_int_equal(told.code, BFORK_EQUOTA);
    assert_in_range(n, LIMIT / LARGE / 2, LIMIT / LARGE);
    agrees(w, "c1", LIMIT);
    served(w, "c2");
    world_lost(w, "c1");                /* gone for a while, still there: still charged */
    assert_true(held(w, "c1") > LIMIT / 2);
    agrees(w, "c1", LIMIT);
    world_free(w);
}

/* Tasks that cannot be joined cost more than their bytes. */
static void r07_tasks_are_charged_with_what_they_cost(void **state)
{
    struct world *w = world_with((struct broker_config){ .epoch = EPOCH });
    struct wire_item items[1000] = { 0 };
    uint64_t index = 0;

    (void)state;
    forget(w);
    client_start(w, "c1", 1, NULL);
    while (!told.code && index < 1000000) {
        struct wire_msg m = { .type = WIRE_TASKS, .items = items, .n_items = 1000 };
        for (uint32_t i = 0; i < 1000; i++, index += 2)
            items[i] = (struct wire_item){ .job = 1, .first = index, .count = 1, .flags = WIRE_FIXED };
        world_send(w, "c1", &m);
        if (!told.code)
            agrees(w, "c1", LIMIT);
    }
    assert_int_equal(told.code, BFORK_EQUOTA);
    world_after(w, 1);
    agrees(w, "c1", LIMIT / 8);         /* the job is gone, and what it had */
    world_free(w);
}

/* Behind records that take many turns, more come than may be kept: the rest stays with its client, who is asked for it later. */
static void r07_tasks_that_wait_for_their_turn_are_charged(void **state)
{
    struct world *w = world_with((struct broker_config){ .epoch = EPOCH });
    struct wire_item items[1000] = { 0 };
    struct wire_msg m = { .type = WIRE_TASKS, .items = items, .n_items = 1000 };

    (void)state;
    served(w, "c2");
    forget(w);
    client_start(w, "c1", 1, NULL);
    for (uint32_t first = 0; first < 8000; first += 1000) {
        for (uint32_t i = 0; i < 1000; i++)
            items[i] = (struct wire_item){ .job = 1, .first = 2 * (first + i), .count = 1, .flags = WIRE_FIXED };
        world_send(w, "c1", &m);
    }
    for (uint32_t i = 0; i < 100; i++)
        items[i] = (struct wire_item){ .job = 1, .count = 16000, .flags = WIRE_FIXED | WIRE_REPLAY };
    client_replay(w, "c1", 1, 0, 16000, 0);     /* from now on there are no gaps */
    world_after(w, 1);
    assert_int_equal(told.code, 0);
    m.n_items = 100;
    world_steps(w, "c1", &m);
    items[0] = (struct wire_item){ .job = 1, .count = 1, .flags = WIRE_FIXED | WIRE_REPLAY, .size = sizeof(large),
                                   .body = slice_borrow(large, sizeof(large)) };
    m.n_items = 1;
    for (int i = 0; i < 64; i++) {
        world_steps(w, "c1", &m);
        agrees(w, "c1", LIMIT);
    }
    assert_int_equal(told.states, 1);
    world_after(w, 1);
    assert_int_equal(told.code, 0);
    assert_int_equal(told.states, 2);   /* the others had their turn: there is room */
    agrees(w, "c1", LIMIT);
    simple(w, "c1", WIRE_JOB_CLOSE, 1);
    simple(w, "c1", WIRE_POOL_CLOSE, 1);
    world_after(w, 1);
    agrees(w, "c1", LIMIT / 8);
    world_free(w);
}

/* The worker answers everything it has been given with results of this size, and gives back what it is asked to. The results. */
static size_t work(struct world *w, const char *name, uint32_t size)
{
    struct attempt_seen todo[64];
    size_t n = w->n_seen < 64 ? w->n_seen : 64, results = 0;

    memcpy(todo, w->seen, n * sizeof(todo[0]));
    memmove(w->seen, w->seen + n, (w->n_seen - n) * sizeof(w->seen[0]));
    w->n_seen -= n;
    for (size_t i = 0; i < n; i++) {
        if (told.back[todo[i].id]) {
            worker_returns(w, name, todo[i].id, todo[i].first, todo[i].count);
            continue;
        }
        if ((uint64_t)size * todo[i].count > sizeof(large))
            size = (uint32_t)(sizeof(large) / todo[i].count);
        struct wire_item it = { .id = todo[i].id, .first = todo[i].first, .count = todo[i].count, .kind = WIRE_OK,
            .flags = WIRE_FIXED, .size = size, .sum_ns = 1000, .body = slice_borrow(large, (size_t)size * todo[i].count) };
        struct wire_msg m = { .type = WIRE_RESULTS, .items = &it, .n_items = 1 };
        results++;
        world_send(w, name, &m);
    }
    return results;
}

static void r07_outcomes_never_acknowledged_are_charged(void **state)
{
    struct world *w = world_with((struct broker_config){ .epoch = EPOCH, .peer_window_bytes = 1u << 30 });
    const struct wire_job_spec one = { .chunk = 1 };
    static const char *const names[] = { "c1", "c1b", "c1c" };
    struct broker_counters n;
    uint64_t done = 0;

    (void)state;
    forget(w);
    worker_hello(w, "w1", 2);
    for (int i = 0; i < 3; i++) {
        client_hello(w, names[i]);
        client_pool(w, names[i], 1, 2);
        struct wire_job_spec s = one;
        s.seed = (uint64_t)i;
        client_job(w, names[i], (uint32_t)i + 1, 1, &s);
        client_tasks(w, names[i], (uint32_t)i + 1, 0, 40, 100);
    }
    for (size_t some = 1; some;) {
        some = work(w, "w1", LARGE);
        done += some;
        agrees(w, "c1", LIMIT);
    }
    assert_in_range(done, 4, LIMIT / 4 / LARGE + 10);
    broker_counters(w->b, &n);
    assert_int_equal(n.queued + n.running + done, 120);     /* nothing is dropped */
    client_hello(w, "c2");
    client_pool(w, "c2", 1, 1);
    client_job(w, "c2", 4, 1, &one);
    client_tasks(w, "c2", 4, 0, 5, 100);
    for (size_t some = 1; some;)
        some = work(w, "w1", 100);
    assert_int_equal(told.seq[4], 5);                       /* another owner's go on */
    for (int round = 0; round < 200 && done < 120; round++) {
        for (uint32_t i = 0; i < 3; i++) {
            struct wire_item it = { .job = i + 1, .id = told.seq[i + 1] };
            struct wire_msg m = { .type = WIRE_OUTCOMES_ACK, .items = &it, .n_items = 1 };
            world_send(w, names[i], &m);
        }
        done += work(w, "w1", LARGE);
        agrees(w, "c1", LIMIT);
    }
    assert_int_equal(done, 120);
    world_free(w);
}

static void hello_window(struct world *w, const char *name, uint64_t window)
{
    struct world_peer *p = world_peer(w, name);
    struct wire_msg m = { .type = WIRE_HELLO };

    p->id = w->next_peer++;
    p->conn_no++;
    m.u.hello = (struct wire_hello){ .protocol_min = 1, .protocol_max = 1, .role = WIRE_CLIENT, .conn_no = p->conn_no,
        .instance = wire_bin_of(p->instance, WIRE_ID), .window_bytes = window };
    world_send(w, name, &m);
}

static void r07_a_job_that_is_opened_twice_is_not_sent_twice(void **state)
{
    const struct wire_job_spec one = { .chunk = 1 };
    struct world *w = world_with((struct broker_config){ .epoch = EPOCH, .peer_window_bytes = 1u << 30 });

    (void)state;
    forget(w);
    worker_hello(w, "w1", 1);
    client_hello(w, "c1");
    client_pool(w, "c1", 1, 1);
    client_job(w, "c1", 1, 1, &one);
    client_tasks(w, "c1", 1, 0, 1, 100);
    assert_int_equal(work(w, "w1", 1000), 1);
    assert_int_equal(told.outcomes, 1);
    for (int i = 0; i < 20; i++)
        client_job(w, "c1", 1, 1, &one);
    assert_int_equal(told.code, 0);
    assert_int_equal(told.outcomes, 1);                 /* it is on its way already */
    agrees(w, "c1", LIMIT);
    world_free(w);
}

static void r07_a_huge_window_is_clamped(void **state)
{
    struct world *w = world_with((struct broker_config){ .epoch = EPOCH, .owner_memory = 1u << 30, .peer_window_bytes = 1u << 20 });
    const struct wire_job_spec one = { .chunk = 1 };

    (void)state;
    forget(w);
    worker_hello(w, "w1", 2);
    hello_window(w, "c1", 1ull << 62);
    client_pool(w, "c1", 1, 2);
    client_job(w, "c1", 1, 1, &one);
    client_tasks(w, "c1", 1, 0, 100, 100);
    while (work(w, "w1", LARGE))
        ;
    assert_in_range(told.bytes, LARGE, 1u << 20);       /* the peer says nothing more: so much may lie in its socket */
    agrees(w, "c1", 1u << 30);
    client_ack(w, "c1", 1, told.seq[1]);
    while (work(w, "w1", LARGE))
        ;
    assert_in_range(told.bytes, 2 * LARGE, 2u << 20);
    world_free(w);
}

static void r07_sessions_of_a_key_are_limited(void **state)
{
    struct world *w = world_with((struct broker_config){ .epoch = EPOCH, .sessions_max = 3 });

    (void)state;
    forget(w);
    client_hello(w, "c1");
    client_hello(w, "c1b");
    client_hello(w, "c1c");
    world_lost(w, "c1b");                   /* detached ones count */
    assert_int_equal(told.welcomes, 3);
    client_hello(w, "c1d");
    assert_int_equal(told.code, BFORK_EQUOTA);
    assert_int_equal(told.welcomes, 3);
    forget(w);
    client_hello(w, "c1b");                 /* whoever has one may come back to it */
    assert_int_equal(told.welcomes, 1);
    served(w, "c2");
    simple(w, "c1", WIRE_BYE, 0);
    forget(w);
    client_hello(w, "c1d");
    assert_int_equal(told.welcomes, 1);
    world_free(w);
}

static void r07_pools_and_jobs_of_a_session_are_limited(void **state)
{
    struct world *w = world_with((struct broker_config){ .epoch = EPOCH, .pools_max = 3, .jobs_max = 2 });

    (void)state;
    forget(w);
    client_hello(w, "c1");
    for (uint32_t i = 1; i <= 3; i++)
        client_pool(w, "c1", i, 1);
    assert_int_equal(told.code, 0);
    client_pool(w, "c1", 4, 1);
    assert_int_equal(told.code, BFORK_EQUOTA);
    assert_non_null(strstr(told.text, "3 pools"));
    forget(w);
    client_job(w, "c1", 1, 1, NULL);
    client_job(w, "c1", 2, 2, NULL);
    assert_int_equal(told.code, 0);
    client_job(w, "c1", 3, 1, NULL);
    assert_int_equal(told.code, BFORK_EQUOTA);
    assert_non_null(strstr(told.text, "2 jobs"));
    simple(w, "c1", WIRE_JOB_CLOSE, 1);
    forget(w);
    client_job(w, "c1", 4, 1, NULL);
    assert_int_equal(told.code, 0);
    world_free(w);
}

/* Every second task of what runs is cancelled, one by one: each is remembered until it has come back. */
static void r07_cancels_are_charged(void **state)
{
    struct world *w = world_with((struct broker_config){ .epoch = EPOCH });
    const struct wire_job_spec many = { .chunk = 2000 };
    uint64_t before;
    long long really;

    (void)state;
    forget(w);
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, &many);
    client_tasks(w, "c1", 1, 0, 2000, 4);
    before = held(w, "c1");
    really = allocated;
    for (uint64_t i = 1; i < 2000; i += 2)
        client_cancel(w, "c1", 1, i, 1);
    assert_true(held(w, "c1") > before + 100 * 40);
    assert_true(allocated - really < (long long)(held(w, "c1") - before) + 50000);      /* with what is in reserve for them */
    agrees(w, "c1", LIMIT / 8);
    simple(w, "c1", WIRE_BYE, 0);
    world_after(w, 1);
    assert_int_equal(held(w, "c1"), 0);
    world_free(w);
}

/* Many messages in one turn: what the loop of the daemon takes in before it answers. */
static void at_once(struct world *w, const char *name, struct wire_msg *m, int n)
{
    struct world_peer *p = world_peer(w, name);

    for (int i = 0; i < n; i++)
        broker_recv(w->b, w->now, p->id, p->role, p->key, m);
}

static void r07_status_requests_are_limited(void **state)
{
    struct world *w = world_with((struct broker_config){ .epoch = EPOCH });
    struct wire_msg m = { .type = WIRE_STATUS_GET, .request = 1 };
    broker_peer peer;
    uint32_t request;
    char what[16];
    int n = 0, others = 0;
    size_t effects;

    (void)state;
    forget(w);
    client_hello(w, "c1");
    client_hello(w, "c2");
    m.u.status_get.what = WIRE_STR("summary");
    at_once(w, "c1", &m, 200);
    at_once(w, "c2", &m, 1);
    agrees(w, "c1", LIMIT / 64);
    broker_flush(w->b, w->now);
    assert_int_equal(broker_effects(w->b, &effects)->msg.u.error.code, BFORK_EAGAIN);
    broker_effects_done(w->b);
    while (broker_deadline(w->b) <= w->now) {           /* a few in each turn */
        while (broker_status_wanted(w->b, &peer, &request, what)) {
            n += peer == world_peer(w, "c1")->id;
            others += peer == world_peer(w, "c2")->id;
        }
        broker_flush(w->b, w->now);
        broker_effects_done(w->b);
    }
    assert_in_range(n, 1, 8);
    assert_int_equal(others, 1);
    world_step(w);
    world_free(w);
}

/* A worker names attempts that nobody has given to it: each is to be told that it is not its own. */
static void r07_holding_of_a_worker_is_charged(void **state)
{
    static const enum wire_type types[] = { WIRE_HOLDING, WIRE_RESULTS };
    struct wire_item items[WIRE_ITEMS_MAX];

    (void)state;
    for (int t = 0; t < 2; t++) {
        struct world *w = world_with((struct broker_config){ .epoch = EPOCH, .worker_memory = 1u << 20 });
        uint64_t id = 1000;
        forget(w);
        worker_hello_only(w, "w1", 1, NULL);
        worker_hello(w, "w2", 1);
        if (types[t] == WIRE_RESULTS)
            worker_holding(w, "w1", NULL, 0);
        for (int i = 0; i < 100; i++) {
            struct wire_msg m = { .type = (uint8_t)types[t], .items = items, .n_items = WIRE_ITEMS_MAX };
            memset(items, 0, sizeof(items));
            for (uint32_t k = 0; k < WIRE_ITEMS_MAX; k++)
                items[k] = (struct wire_item){ .id = id++, .first = k, .count = 1, .end = k + 1 };
            at_once(w, "w1", &m, 1);
            assert_true(held(w, "w1") <= (1u << 20) + 4096);
        }
        world_step(w);
        assert_int_equal(told.code, BFORK_EQUOTA);
        assert_int_equal(world_peer(w, "w1")->id, 0);
        assert_int_not_equal(world_peer(w, "w2")->id, 0);
        served(w, "c1");
        world_free(w);
    }
}

struct keys { struct world *w; unsigned n; };

static bool key_row(void *ctx, const struct broker_key_row *r)
{
    struct keys *k = ctx;
    const char *name = k->n++ ? "c2" : "c1";

    assert_memory_equal(r->key, world_peer(k->w, name)->key, WIRE_KEY);
    assert_int_equal(r->bytes, held(k->w, name));
    assert_int_equal(r->clients, 1);
    return true;
}

/* A client is told its own, an administrator that of each key. */
static void r07_status_tells_what_is_held_for_a_key(void **state)
{
    const struct broker_config config = { .owner_memory = 64u << 20 };
    struct world *w = world_new(&config);
    struct broker_counters n, other;
    struct keys k = { w, 0 };

    (void)state;
    w->quiet = true;
    client_start(w, "c1", 1, NULL);
    client_start(w, "c2", 1, NULL);
    client_tasks(w, "c1", 1, 0, 10, 100000);
    broker_owner_counters(w->b, world_peer(w, "c1")->key, &n);
    broker_owner_counters(w->b, world_peer(w, "c2")->key, &other);
    assert_int_equal(n.bytes, held(w, "c1"));
    assert_in_range(n.bytes, 1000000, 1100000);
    assert_int_equal(n.bytes_most, 64u << 20);
    assert_int_equal(other.bytes, held(w, "c2"));
    assert_in_range(other.bytes, 1, 100000);
    assert_true(broker_keys(w->b, key_row, &k));
    assert_int_equal(k.n, 2);
    world_free(w);
}

static void r07_refusals_are_limited(void **state)
{
    struct world *w = world_with((struct broker_config){ .epoch = EPOCH });
    struct wire_item items[WIRE_ITEMS_MAX] = { 0 };
    struct wire_msg m = { .type = WIRE_OUTCOMES_ACK, .items = items, .n_items = WIRE_ITEMS_MAX };
    uint32_t job = 10;
    long long before;

    (void)state;
    forget(w);
    client_hello(w, "c1");
    client_hello(w, "c2");
    before = allocated;
    for (int i = 0; i < 64; i++) {
        for (uint32_t k = 0; k < WIRE_ITEMS_MAX; k++)
            items[k].job = job++;
        at_once(w, "c1", &m, 1);
    }
    assert_true(allocated - before < 2 << 20);
    world_step(w);
    assert_int_equal(told.code, BFORK_EQUOTA);
    assert_int_equal(world_peer(w, "c1")->id, 0);
    served(w, "c2");
    world_free(w);
}

static void frame_gone(struct buf *f)
{
    free(f->data);
    buf_free_struct(f);
}

/* As it comes from a socket: not among the buffers that are used again. */
static struct buf *frame_of(size_t size)
{
    uint8_t *data = malloc(size);
    struct buf *f = data ? buf_wrap(data, size, frame_gone, NULL) : NULL;

    assert_non_null(f);
    memset(data, 7, size);
    return f;
}

/* A frame lives as long as anything refers to it: it counts in full, or nothing of it is kept but copies. */
static void r07_a_small_part_of_a_frame_is_charged(void **state)
{
    static const size_t sizes[] = { 200000, 1000000 };
    struct world *w = world_with((struct broker_config){ .epoch = EPOCH, .owner_memory = 64u << 20 });

    (void)state;
    forget(w);
    client_start(w, "c1", 1, NULL);
    for (uint64_t i = 0; i < 100; i++) {
        struct buf *f = frame_of(sizes[i % 2]);
        struct wire_item it = { .job = 1, .first = i, .count = 1, .flags = WIRE_FIXED, .size = 5000, .body = slice_of(f, 0, 5000) };
        struct wire_msg m = { .type = WIRE_TASKS, .items = &it, .n_items = 1, .body = slice_of(f, 0, f->size) };
        long long before = allocated - (long long)f->size;
        uint64_t was = held(w, "c1");
        world_send(w, "c1", &m);
        buf_unref(&f);
        assert_true(allocated - before <= (long long)(held(w, "c1") - was) + 32768);
    }
    assert_int_equal(told.code, 0);
    world_free(w);
}

/* What the accounts say and what was allocated, for a mixture of everything. */
static void r07_accounts_agree_with_the_allocator(void **state)
{
    struct world *w = world_with((struct broker_config){ .epoch = EPOCH, .owner_memory = 256u << 20 });
    const struct wire_job_spec one = { .chunk = 1 };
    long long before = allocated, real;
    uint64_t sum;

    (void)state;
    forget(w);
    worker_hello(w, "w1", 4);
    client_hello(w, "c1");
    for (uint32_t i = 1; i < 20; i++)
        large_pool(w, "c1", i);
    for (uint32_t i = 1; i < 20; i++)
        large_job(w, "c1", i);
    client_tasks(w, "c1", 1, 0, 20000, 50);
    for (uint64_t i = 0; i < 3000; i++)
        client_tasks(w, "c1", 2, 2 * i, 1, 20);
    for (uint64_t i = 0; i < 300; i++)
        client_tasks(w, "c1", 3, i, 1, 20000);
    client_job(w, "c1", 30, 1, &one);
    client_tasks(w, "c1", 30, 0, 200, 10);
    for (int i = 0; i < 20; i++)
        work(w, "w1", 1000);
    sum = held(w, "c1") + held(w, "w1");
    real = allocated - before;
    if (real > (long long)sum + (long long)sum / 4 || (long long)sum > 2 * real)
        fail_msg("%lld bytes are allocated, the accounts have %llu", real, (unsigned long long)sum);
    simple(w, "c1", WIRE_BYE, 0);
    world_after(w, 1);
    assert_int_equal(held(w, "c1"), 0);
    world_free(w);
    assert_true(allocated <= before + 4096);
}

/* A cancel of everything between two tasks that are 2^62 apart: its outcomes stop at the limit, and go on as they are fetched. */
static void r07_outcomes_of_a_gap_are_charged(void **state)
{
    struct wire_item all = { .job = 1, .why = WIRE_WHY_CANCEL };
    struct world *w = world_with((struct broker_config){ .epoch = EPOCH });
    struct broker_counters n;
    uint64_t before;

    (void)state;
    client_start(w, "c1", 1, NULL);
    client_tasks(w, "c1", 1, 0, 1, 100);
    client_tasks(w, "c1", 1, 1ull << 62, 1, 100);
    forget(w);
    world_send(w, "c1", &(struct wire_msg){ .type = WIRE_CANCEL, .items = &all, .n_items = 1 });
    agrees(w, "c1", LIMIT);
    assert_true(broker_deadline(w->b) > w->now);        /* it waits, and does not turn round and round meanwhile */
    assert_true(told.outcomes > 0);
    for (int i = 0; i < 3; i++) {
        before = told.outcomes;
        client_ack(w, "c1", 1, told.seq[1]);
        while (told.outcomes == before)
            client_ack(w, "c1", 1, told.seq[1]);
        agrees(w, "c1", LIMIT);
    }
    broker_counters(w->b, &n);
    assert_int_equal(n.refused, 0);
    served(w, "c2");
    world_free(w);                                      /* the rest of it is not made */
}

#define MOST_SPECS (4u << 20)

struct specs { uint64_t bytes, most, before; uint32_t jobs; uint64_t stamp; bool asked; };

static void on_spec(struct world *w, struct world_peer *p, const struct wire_msg *m)
{
    struct specs *s = w->ctx;

    if (p->role != WIRE_WORKER)
        return;
    s->jobs += m->type == WIRE_JOB_SPEC;
    s->bytes += m->type == WIRE_JOB_SPEC ? m->u.job_spec.spec.n : m->type == WIRE_GRANT ? m->u.grant.spec.n : 0;
    s->most = s->bytes > s->most ? s->bytes : s->most;
    if (m->type != WIRE_PING)
        return;
    s->asked = true;
    s->before = s->bytes;
    s->stamp = m->u.ping.stamp;
}

/* A worker that reads is told of many large contexts piece by piece, so that it is not taken for one that does not. */
static void r07_specifications_on_the_way_are_limited(void **state)
{
    struct world *w = world_with((struct broker_config){ .epoch = EPOCH, .owner_memory = 1u << 30 });
    uint8_t *context = calloc(1, 200000);
    struct wire_job_spec heavy = { .chunk = 1, .context = wire_bin_of(context, 200000) };
    struct specs s = { 0 };
    struct broker_counters n;

    (void)state;
    w->hook = on_spec;
    w->ctx = &s;
    worker_hello(w, "w1", 140);
    client_hello(w, "c1");
    client_pool(w, "c1", 1, -1);
    for (uint32_t i = 1; i <= 140; i++) {
        client_job(w, "c1", i, 1, &heavy);
        client_tasks(w, "c1", i, 0, 1, 100);
    }
    assert_in_range(s.most, 1 << 20, MOST_SPECS);
    while (s.asked) {
        struct wire_msg pong = { .type = WIRE_PONG, .u.ping.stamp = s.stamp };
        s.asked = false;
        s.bytes -= s.before;        /* what went out behind the question is on its way still */
        world_send(w, "w1", &pong);
        assert_true(s.most <= MOST_SPECS);
    }
    assert_int_equal(s.jobs, 140);
    broker_counters(w->b, &n);
    assert_int_equal(n.slots_busy, 140);        /* all were sent */
    free(context);
    world_free(w);
}

/* An outcome that is larger than the client's window goes out when nothing else is on its way. */
static void r07_an_outcome_above_the_window_is_sent(void **state)
{
    struct world *w = world_with((struct broker_config){ .epoch = EPOCH });
    struct wire_item it = { .id = 1, .count = 1, .kind = WIRE_OK, .flags = WIRE_FIXED, .size = WIRE_TASK_MAX, .pid = 5 };
    uint8_t *body = calloc(1, it.size);

    (void)state;
    assert_non_null(body);
    it.body = slice_borrow(body, it.size);
    forget(w);
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, NULL);
    client_tasks(w, "c1", 1, 0, 1, 100);
    world_send(w, "w1", &(struct wire_msg){ .type = WIRE_RESULTS, .items = &it, .n_items = 1 });
    assert_int_equal(told.outcomes, 1);
    assert_int_equal(told.bytes, WIRE_TASK_MAX);
    free(body);
    world_free(w);
}

/* After a restart a worker brings more than the account of their owner takes: the rest is told not to be its own. */
static void r07_what_a_worker_brings_is_charged_to_its_owner(void **state)
{
    static struct wire_item items[WIRE_ITEMS_MAX];
    struct world *w = world_with((struct broker_config){ .epoch = EPOCH, .owner_memory = 64u << 20 });
    struct broker_counters n;

    (void)state;
    worker_hello(w, "w1", WIRE_ITEMS_MAX);
    client_start(w, "c1", -1, &(struct wire_job_spec){ .chunk = 1 });
    client_tasks(w, "c1", 1, 0, WIRE_ITEMS_MAX, 1);
    world_step(w);
    assert_int_equal(w->n_seen, WIRE_ITEMS_MAX);
    w->config.owner_memory = 1u << 18;
    world_restart(w, 2 * EPOCH);
    forget(w);
    worker_hello_only(w, "w1", WIRE_ITEMS_MAX, NULL);
    for (size_t i = 0; i < WIRE_ITEMS_MAX; i++) {
        const struct attempt_seen *s = &w->seen[i];
        items[i] = (struct wire_item){ .id = s->id, .first = s->first, .count = s->count, .end = s->end, .job_id = { 1, '1' } };
        memcpy(items[i].ticket, s->ticket, WIRE_TICKET);
        memcpy(items[i].owner, world_peer(w, "c1")->key, WIRE_KEY);
    }
    struct wire_msg m = { .type = WIRE_HOLDING, .items = items, .n_items = WIRE_ITEMS_MAX, .u.holding.last = true };
    world_send(w, "w1", &m);
    world_step(w);
    agrees(w, "c1", (1u << 18) + 4096);
    broker_counters(w->b, &n);
    assert_in_range(n.adopted, 100, WIRE_ITEMS_MAX - 100);
    assert_int_equal(n.fenced, WIRE_ITEMS_MAX - n.adopted);
    world_free(w);
}

static uint32_t closed, closed_at_pong;

static void on_close(struct world *w, struct world_peer *p, const struct wire_msg *m)
{
    (void)w;
    (void)p;
    closed += m->type == WIRE_ATTEMPTS_CLOSE ? m->n_items : 0;
    closed_at_pong = m->type == WIRE_PONG && m->u.ping.stamp == 5 ? closed : closed_at_pong;
}

/* More than a message holds: a worker whose question is answered goes on with what it has, so it hears before what it has lost. */
static void r20_a_worker_hears_what_it_has_lost_before_an_answer(void **state)
{
    struct world *w = world_with((struct broker_config){ .epoch = EPOCH });
    static struct wire_item items[WIRE_ITEMS_MAX];
    uint64_t id = 1000;

    (void)state;
    closed = closed_at_pong = 0;
    w->hook = on_close;
    worker_hello(w, "w1", 1);
    for (int i = 0; i < 2; i++) {
        for (uint32_t k = 0; k < WIRE_ITEMS_MAX; k++)
            items[k] = (struct wire_item){ .id = id++, .first = k, .count = 1, .flags = WIRE_FIXED };
        at_once(w, "w1", &(struct wire_msg){ .type = WIRE_RESULTS, .items = items, .n_items = WIRE_ITEMS_MAX }, 1);
    }
    at_once(w, "w1", &(struct wire_msg){ .type = WIRE_PING, .u.ping.stamp = 5 }, 1);
    world_step(w);
    assert_int_equal(closed, 2 * WIRE_ITEMS_MAX);
    assert_int_equal(closed_at_pong, 2 * WIRE_ITEMS_MAX);
    world_free(w);
}

/* Lines of the log about sessions are limited for each key, like all that a peer can repeat. */
static void r07_lines_about_sessions_are_limited(void **state)
{
    struct world *w = world_new(NULL);
    struct wire_msg m = { .type = WIRE_PING, .channel = 3 };

    (void)state;
    w->strict = true;
    worker_hello(w, "w1", 2);
    client_hello(w, "c1");
    world_send(w, "c1", &m);
    world_send(w, "w1", &m);
    assert_non_null(strstr(w->trace, "] limited log: worker w1 is ready"));
    assert_non_null(strstr(w->trace, "] limited log: a session ends: PING: channel is 3"));
    assert_non_null(strstr(w->trace, "] limited log: worker w1 is gone"));
    assert_null(strstr(w->trace, "] log:"));
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r07_specifications_are_charged),
        cmocka_unit_test(r07_contexts_are_charged),
        cmocka_unit_test(r07_status_tells_what_is_held_for_a_key),
        cmocka_unit_test(r07_tasks_are_charged_with_what_they_cost),
        cmocka_unit_test(r07_tasks_that_wait_for_their_turn_are_charged),
        cmocka_unit_test(r07_outcomes_never_acknowledged_are_charged),
        cmocka_unit_test(r07_a_huge_window_is_clamped),
        cmocka_unit_test(r07_a_job_that_is_opened_twice_is_not_sent_twice),
        cmocka_unit_test(r07_sessions_of_a_key_are_limited),
        cmocka_unit_test(r07_pools_and_jobs_of_a_session_are_limited),
        cmocka_unit_test(r07_cancels_are_charged),
        cmocka_unit_test(r07_outcomes_of_a_gap_are_charged),
        cmocka_unit_test(r07_status_requests_are_limited),
        cmocka_unit_test(r07_holding_of_a_worker_is_charged),
        cmocka_unit_test(r07_refusals_are_limited),
        cmocka_unit_test(r07_a_small_part_of_a_frame_is_charged),
        cmocka_unit_test(r07_specifications_on_the_way_are_limited),
        cmocka_unit_test(r07_accounts_agree_with_the_allocator),
        cmocka_unit_test(r07_what_a_worker_brings_is_charged_to_its_owner),
        cmocka_unit_test(r07_an_outcome_above_the_window_is_sent),
        cmocka_unit_test(r07_lines_about_sessions_are_limited),
        cmocka_unit_test(r20_a_worker_hears_what_it_has_lost_before_an_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
