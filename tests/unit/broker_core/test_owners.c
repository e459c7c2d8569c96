/* SPDX-License-Identifier: MPL-2.0
 * test_owners.c - what the sessions of one key may do together: quotas, how many may be gone at a time, slots.
 */
#include "world.h"

#include <string.h>

static struct broker_counters counters(struct world *w)
{
    struct broker_counters n;

    broker_counters(w->b, &n);
    return n;
}

/* Another session with c1's key. */
static void same_key(struct world *w, const char *name)
{
    memcpy(world_peer(w, name)->key, world_peer(w, "c1")->key, WIRE_KEY);
}

static void start(struct world *w, const char *name)
{
    same_key(w, name);
    client_start(w, name, 1, NULL);
    world_forget(w);
}

static void sessions_share_a_quota_of_tasks(void **state)
{
    struct world *w = world_new(&(struct broker_config){ .quota_tasks = 10 });

    (void)state;
    start(w, "c1");
    start(w, "c2");
    start(w, "c3");
    start(w, "c4");
    start(w, "c5");
    client_start(w, "c6", 1, NULL);     /* somebody else */
    client_tasks(w, "c1", 1, 0, 10, 100);
    client_tasks(w, "c2", 1, 0, 10, 100);
    world_lost(w, "c2");                /* it counts although it is gone */
    client_tasks(w, "c3", 1, 0, 10, 100);
    client_tasks(w, "c4", 1, 0, 10, 100);
    world_forget(w);
    client_tasks(w, "c5", 1, 0, 1, 100);
    EXPECT(w, "[   0] > c5 JOB_STATE j1 next 0 refused -41 owner_quota_tasks\n");
    assert_int_equal(counters(w).refused, 1);
    assert_int_equal(counters(w).queued, 40);
    client_tasks(w, "c6", 1, 0, 10, 100);
    EXPECT(w, "");
    client_cancel(w, "c1", 1, 0, 1);
    world_forget(w);
    start(w, "c5");
    client_tasks(w, "c5", 1, 0, 1, 100);
    EXPECT(w, "");
    world_free(w);
}

static void sessions_share_a_quota_of_bytes(void **state)
{
    struct world *w = world_new(&(struct broker_config){ .quota_bytes = 10000, .owner_quota_bytes = 15000 });

    (void)state;
    start(w, "c1");
    start(w, "c2");
    client_tasks(w, "c1", 1, 0, 1, 10000);
    client_tasks(w, "c2", 1, 0, 1, 5000);
    EXPECT(w, "");
    client_tasks(w, "c2", 1, 1, 1, 1);
    EXPECT(w, "[   0] > c2 JOB_STATE j1 next 0 refused -41 owner_quota_bytes\n");
    assert_int_equal(counters(w).queued, 1);
    world_free(w);
}

/* What a broker that was started again says about jobs. */
static struct { int refused, states; uint64_t next; } told;

static void on_state(struct world *w, struct world_peer *p, const struct wire_msg *m)
{
    (void)w;
    if (m->type != WIRE_JOB_STATE || strcmp(p->name, "c1"))
        return;
    told.refused += m->u.job_state.code < 0;
    told.states++;
    told.next = m->u.job_state.next;
}

static void forget_told(void)
{
    told.refused = told.states = 0;
    told.next = 0;
}

/* c2 has used what the key of c1 and c2 may have, when c1, of which a broker before had taken 100 tasks, sends them again. */
static struct world *crowded(const struct broker_config *c)
{
    struct world *w = world_new(c);

    start(w, "c1");
    client_tasks(w, "c1", 1, 0, 100, 100);
    world_restart(w, 2 * EPOCH);
    start(w, "c2");
    start(w, "c1");
    client_tasks(w, "c2", 1, 0, 100, 100);
    w->hook = on_state;
    forget_told();
    client_replay(w, "c1", 1, 0, 50, 0);
    client_replay(w, "c1", 1, 50, 50, 0);
    assert_int_equal(told.refused, 0);
    return w;
}

/* The replay of what was accepted passes the quota of the key: it waits with its client, and is asked for when there is room. */
static void r15_a_replay_without_room_ends_no_job(void **state)
{
    struct world *w = crowded(&(struct broker_config){ .quota_bytes = 11000, .owner_quota_bytes = 15000 });

    (void)state;
    assert_int_equal(told.states, 0);
    assert_int_equal(counters(w).queued, 150);
    client_tasks(w, "c1", 1, 100, 1, 1);        /* what comes behind it waits as well */
    simple(w, "c1", WIRE_JOB_CLOSE, 1);
    assert_int_equal(counters(w).queued, 150);
    simple(w, "c2", WIRE_POOL_CLOSE, 1);
    assert_int_equal(told.states, 1);
    assert_int_equal(told.next, 50);
    client_replay(w, "c1", 1, 50, 50, 0);       /* it was on its way */
    assert_int_equal(counters(w).queued, 50);
    client_job(w, "c1", 1, 1, NULL);
    assert_int_equal(told.states, 2);
    assert_int_equal(told.next, 50);
    client_replay(w, "c1", 1, 50, 50, 0);
    client_tasks(w, "c1", 1, 100, 1, 1);
    assert_int_equal(counters(w).queued, 101);
    assert_int_equal(told.refused, 0);
    world_free(w);
}

/* There is room for tasks when those before have ended, too, and when nobody else has any. */
static void r15_replays_have_room_when_others_have_ended(void **state)
{
    struct world *w = crowded(&(struct broker_config){ .quota_tasks = 100, .owner_quota_tasks = 120 });

    (void)state;
    assert_int_equal(counters(w).queued, 100);
    world_after(w, 10000);                      /* nothing is held any more */
    worker_hello(w, "w1", 4);
    for (int turns = 0; !told.states && turns < 200; turns++) {
        size_t n = w->n_seen;
        for (size_t i = 0; i < n; i++)
            worker_done(w, "w1", w->seen[i].id, w->seen[i].first, w->seen[i].count, 1000);
        memmove(w->seen, w->seen + n, (w->n_seen - n) * sizeof(w->seen[0]));
        w->n_seen -= n;
    }
    assert_int_equal(told.states, 1);
    assert_int_equal(told.next, 0);
    client_job(w, "c1", 1, 1, NULL);
    client_replay(w, "c1", 1, 0, 50, 0);
    assert_int_equal(told.refused, 0);
    assert_int_equal(told.states, 2);
    world_free(w);
}

/* A limit that one item alone passes is not waited for. */
static void r15_a_replay_alone_is_let_in(void **state)
{
    struct world *w = world_new(&(struct broker_config){ .quota_bytes = 1000 });

    (void)state;
    w->hook = on_state;
    start(w, "c1");
    forget_told();
    client_replay(w, "c1", 1, 0, 50, 0);
    assert_int_equal(counters(w).queued, 50);
    client_replay(w, "c1", 1, 50, 50, 0);
    assert_int_equal(counters(w).queued, 50);
    assert_int_equal(told.states, 0);
    world_free(w);
}

/* A job of which all that was put off has ended meanwhile is closed once more. */
static void r15_what_was_put_off_may_end(void **state)
{
    struct world *w = crowded(&(struct broker_config){ .quota_bytes = 10000, .owner_quota_bytes = 10000 });
    uint64_t before;

    (void)state;
    simple(w, "c1", WIRE_JOB_CLOSE, 1);
    world_after(w, 10000);                      /* nothing is held any more: they are told to be cancelled at once */
    client_cancel(w, "c1", 1, 0, 100);
    client_ack(w, "c1", 1, 1);
    simple(w, "c2", WIRE_POOL_CLOSE, 1);
    assert_int_equal(told.states, 1);           /* its client has not said that there is nothing more */
    before = broker_held(w->b, world_peer(w, "c1")->key);
    simple(w, "c1", WIRE_JOB_CLOSE, 1);
    assert_true(broker_held(w->b, world_peer(w, "c1")->key) + 500 < before);
    world_free(w);
}

/* Tasks that were put off may be with a worker that is not back yet: a cancel of them is not told in the hold, but waits until that
 * worker has brought them, or until they come. */
static void r15_a_cancel_of_what_was_put_off_waits_in_the_hold(void **state)
{
    const struct wire_job_spec tens = { .chunk = 10 };

    (void)state;
    for (int back = 0; back < 2; back++) {
        struct world *w = world_new(&(struct broker_config){ .quota_bytes = 11000, .owner_quota_bytes = 15000 });
        worker_hello(w, "w1", 10);
        same_key(w, "c1");
        client_start(w, "c1", 10, &tens);
        client_tasks(w, "c1", 1, 0, 100, 100);
        world_restart(w, 2 * EPOCH);
        start(w, "c2");
        client_tasks(w, "c2", 1, 0, 100, 100);
        client_start(w, "c1", 10, &tens);
        client_replay(w, "c1", 1, 0, 50, 0);
        client_replay(w, "c1", 1, 50, 20, 0);
        client_replay(w, "c1", 1, 70, 30, 0);
        world_forget(w);
        client_cancel(w, "c1", 1, 62, 3);
        client_cancel(w, "c1", 1, 99, 1);
        EXPECT(w, "");
        client_cancel(w, "c1", 1, 100, 1);              /* nobody has had it */
        EXPECT(w, "[   0] > c1 OUTCOMES s1 j1 100+1 cancelled\n");
        worker_hello_only(w, "w1", 10, NULL);
        world_forget(w);
        if (back) {
            worker_holding(w, "w1", (uint64_t[]){ 7 }, 1);
            EXPECT(w, "[   0] > w1 RECALL #7 j4 62+3 why 1\n"
                      "[   0] > w1 CHUNKS #1000 j2 0+1\n");    /* c2's */
        }
        simple(w, "c2", WIRE_POOL_CLOSE, 1);
        client_job(w, "c1", 1, 1, &tens);
        world_forget(w);
        client_replay(w, "c1", 1, 50, 50, 0);
        EXPECT(w, "");
        if (back)
            worker_returns(w, "w1", 7, 62, 8);
        EXPECT(w, back ? "[   0] > w1 CHUNKS #1001 j4 65+5\n"
                         "[   0] > c1 OUTCOMES s2 j1 62+3 cancelled\n" : "");
        world_after(w, 10000);
        assert_int_equal(counters(w).tasks_failed, 4);
        world_free(w);
    }
}

/* A replay that takes more than a turn and has no room for its end: what came behind it is not taken ahead of that. */
static void r15_nothing_overtakes_a_replay_without_room(void **state)
{
    static struct wire_item gaps[1500];
    struct wire_item sent[] = { { .job = 1, .count = 6200, .flags = WIRE_FIXED | WIRE_REPLAY },
                                { .job = 1, .first = 6200, .count = 1, .flags = WIRE_FIXED | WIRE_REPLAY } };
    struct world *w = world_new(&(struct broker_config){ .quota_tasks = 3200, .owner_quota_tasks = 3250 });

    (void)state;
    w->quiet = true;
    start(w, "c2");
    start(w, "c1");
    client_tasks(w, "c2", 1, 0, 100, 100);
    for (uint32_t part = 0; part < 2; part++) {         /* every second place is known */
        for (uint32_t i = 0; i < 1500; i++)
            gaps[i] = (struct wire_item){ .job = 1, .first = 3000 * part + 2 * i, .count = 1, .why = WIRE_WHY_CANCEL };
        world_send(w, "c1", &(struct wire_msg){ .type = WIRE_CANCEL, .items = gaps, .n_items = 1500 });
    }
    w->hook = on_state;
    forget_told();
    world_send(w, "c1", &(struct wire_msg){ .type = WIRE_TASKS, .items = sent, .n_items = 2 });
    world_step(w);
    assert_int_equal(counters(w).queued, 100 + 2999);   /* neither the last 201, nor the one behind them */
    assert_int_equal(told.states, 0);
    world_after(w, 10000);                              /* nothing is held any more */
    client_cancel(w, "c1", 1, 0, 5999);
    simple(w, "c2", WIRE_POOL_CLOSE, 1);
    world_step(w);
    assert_int_equal(told.states, 1);
    assert_int_equal(told.next, 5999);
    world_free(w);
}

static void recv_one(struct world *w, const char *name, enum wire_type type, uint32_t handle, struct wire_item *it)
{
    const struct world_peer *p = world_peer(w, name);
    struct wire_msg m = { .type = (uint8_t)type, .items = it, .n_items = it ? 1 : 0 };

    if (!it)
        m.u.pool_ref.pool = handle;
    broker_recv(w->b, w->now, p->id, p->role, p->key, &m);
}

/* What ends over turns is still held: a replay waits while too much of it is there. */
static void r15_a_replay_waits_for_what_is_being_dropped(void **state)
{
    struct wire_item some = { .job = 1, .count = 100, .flags = WIRE_FIXED },
                     again = { .job = 1, .count = 50, .flags = WIRE_FIXED | WIRE_REPLAY };
    struct world *w = world_new(&(struct broker_config){ .quota_tasks = 100, .owner_quota_tasks = 120 });

    (void)state;
    start(w, "c2");
    start(w, "c3");
    start(w, "c1");
    w->hook = on_state;
    forget_told();
    for (int i = 2; i < 4; i++) {
        recv_one(w, i == 2 ? "c2" : "c3", WIRE_TASKS, 0, &some);
        recv_one(w, i == 2 ? "c2" : "c3", WIRE_POOL_CLOSE, 1, NULL);
    }
    recv_one(w, "c1", WIRE_TASKS, 0, &again);
    world_step(w);
    assert_int_equal(told.refused, 0);
    assert_int_equal(told.states, 1);                   /* it is asked for, when that has gone */
    assert_int_equal(told.next, 0);
    assert_int_equal(counters(w).queued, 0);
    world_free(w);
}

/* There is room, and it is about to be asked for, when its pool is closed. */
static void r15_what_was_put_off_may_end_when_there_is_room(void **state)
{
    struct world *w = crowded(&(struct broker_config){ .quota_bytes = 11000, .owner_quota_bytes = 15000 });

    (void)state;
    recv_one(w, "c2", WIRE_POOL_CLOSE, 1, NULL);
    recv_one(w, "c1", WIRE_POOL_CLOSE, 1, NULL);
    world_step(w);
    assert_int_equal(told.refused, 0);
    assert_int_equal(counters(w).queued, 0);
    simple(w, "c1", WIRE_BYE, 0);
    simple(w, "c2", WIRE_BYE, 0);
    world_step(w);
    assert_int_equal(counters(w).clients, 0);
    world_free(w);
}

/* What is told is what is enforced: a quarter of the memory is for outcomes. */
static uint64_t told_tasks, told_owner_bytes;

static void on_welcome(struct world *w, struct world_peer *p, const struct wire_msg *m)
{
    (void)w;
    (void)p;
    if (m->type == WIRE_WELCOME)
        told_tasks = m->u.welcome.quota_tasks, told_owner_bytes = m->u.welcome.owner_quota_bytes;
}

static void r15_the_quota_of_a_key_is_what_its_memory_allows(void **state)
{
    struct world *w = world_new(&(struct broker_config){ .quota_bytes = 1u << 30, .owner_memory = 1u << 20 });

    (void)state;
    w->hook = on_welcome;
    start(w, "c1");
    assert_int_equal(told_owner_bytes, 3u << 18);
    world_free(w);
}

/* A session is not told more than its key may have. */
static void the_smaller_quota_is_told(void **state)
{
    struct world *w = world_new(&(struct broker_config){ .quota_tasks = 10, .owner_quota_tasks = 7 });

    (void)state;
    w->hook = on_welcome;
    start(w, "c1");
    assert_int_equal(told_tasks, 7);
    world_free(w);
}

static void oldest_detached_session_goes(void **state)
{
    struct world *w = world_new(&(struct broker_config){ .detached_max = 2 });
    static const char *const names[] = { "c1", "c2", "c3", "c4" };

    (void)state;
    for (int i = 0; i < 4; i++) {
        start(w, names[i]);
        client_tasks(w, names[i], 1, 0, 1u << i, 100);
    }
    client_start(w, "c5", 1, NULL);     /* somebody else */
    client_tasks(w, "c5", 1, 0, 16, 100);
    world_lost(w, "c5");
    world_lost(w, "c2");
    world_after(w, 1);
    world_lost(w, "c1");
    assert_int_equal(counters(w).queued, 31);
    world_after(w, 1);
    client_hello(w, "c2");              /* back in time */
    world_lost(w, "c3");
    client_hello(w, "c3");
    client_hello(w, "c3");              /* a newer connection of the same session: nobody goes */
    world_after(w, 1);
    world_lost(w, "c2");
    assert_int_equal(counters(w).queued, 31);
    world_after(w, 1);
    world_lost(w, "c3");
    assert_int_equal(counters(w).queued, 30);   /* c1's task */
    world_lost(w, "c4");
    assert_int_equal(counters(w).queued, 28);
    assert_int_equal(counters(w).clients, 3);
    world_free(w);
}

/* The client that reads no outcomes gets no slots, until it reads. */
static void a_paused_client_takes_no_slots(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    w->quiet = true;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, &(struct wire_job_spec){ .chunk = 1000 });
    for (uint32_t i = 0; i < 1000; i++)
        client_tasks(w, "c1", 1, i * 1000u, 1000, 8);
    while (counters(w).running) {
        const struct attempt_seen *s = &w->seen[w->n_seen - 1];
        worker_done(w, "w1", s->id, s->first, s->count, 30000);
    }
    assert_true(counters(w).queued > 0);
    uint32_t paused_job = w->seen[w->n_seen - 1].job;
    client_start(w, "c2", 1, &(struct wire_job_spec){ .chunk = 1 });
    client_tasks(w, "c2", 1, 0, 100, 100);
    for (int i = 0; i < 50; i++) {      /* much longer than a turn of fairness */
        const struct attempt_seen *s = &w->seen[w->n_seen - 1];
        assert_int_equal(counters(w).running, 1);
        assert_int_not_equal(s->job, paused_job);
        world_after(w, 10);
        assert_int_equal(counters(w).running, 1);
        worker_done(w, "w1", s->id, s->first, s->count, 30000);
    }
    client_ack(w, "c1", 1, 100);
    for (int i = 0; i < 10 && w->seen[w->n_seen - 1].job != paused_job; i++) {
        const struct attempt_seen *s = &w->seen[w->n_seen - 1];
        world_after(w, 10);
        if (w->seen[w->n_seen - 1].job != paused_job)
            worker_done(w, "w1", s->id, s->first, s->count, 30000);
    }
    assert_int_equal(w->seen[w->n_seen - 1].job, paused_job);
    world_free(w);
}

struct told { int grants, states; uint32_t slots; };

static void on_slots(struct world *w, struct world_peer *p, const struct wire_msg *m)
{
    struct told *t = w->ctx;

    t->grants += m->type == WIRE_GRANT;
    if (m->type != WIRE_POOL_STATE || strcmp(p->name, "c2"))
        return;
    t->states++;
    t->slots = m->u.pool_state.slots;
}

/* A slot that runs a long task is its pool's until that ends: the other pool hears that it has none, and nothing else. */
static void slot_stays(struct world *w, const char *other)
{
    struct told t = { .slots = 77 };
    uint32_t first;

    w->hook = on_slots;
    w->ctx = &t;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, &(struct wire_job_spec){ .chunk = 3 });
    client_tasks(w, "c1", 1, 0, 9, 100);
    first = w->seen[w->n_seen - 1].job;
    client_start(w, other, 1, &(struct wire_job_spec){ .chunk = 1 });
    client_tasks(w, other, 1, 0, 2, 100);
    world_after(w, 100);                /* it is the other's turn: what has not begun is asked back */
    worker_returns(w, "w1", 1, 1, 2);
    assert_int_equal(t.slots, 0);
    t.grants = t.states = 0;
    w->n_seen = 1;
    world_after(w, 3000);
    assert_int_equal(t.grants, 0);
    assert_int_equal(t.states, 0);
    assert_int_equal(w->n_seen, 1);
    worker_done(w, "w1", 1, 0, 1, 3000000);
    assert_int_equal(t.slots, 1);
    assert_int_equal(w->n_seen, 2);
    assert_int_not_equal(w->seen[1].job, first);
    world_free(w);
}

static void r24_a_slot_that_runs_a_task_stays_with_its_pool(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    w->quiet = true;
    same_key(w, "c2");
    slot_stays(w, "c2");
}

static void r24_a_slot_that_runs_a_task_stays_with_its_owner(void **state)
{
    struct world *w = world_new(NULL);

    (void)state;
    w->quiet = true;
    slot_stays(w, "c2");
}

/* Of four slots with long tasks two are to be another's: it gets each as soon as its task has ended. */
static void r24_slots_are_passed_on_one_by_one(void **state)
{
    struct world *w = world_new(NULL);
    struct told t = { 0 };

    (void)state;
    w->quiet = true;
    w->hook = on_slots;
    w->ctx = &t;
    worker_hello(w, "w1", 4);
    client_start(w, "c1", -1, &(struct wire_job_spec){ .chunk = 1 });
    client_tasks(w, "c1", 1, 0, 9, 100);
    client_start(w, "c2", -1, &(struct wire_job_spec){ .chunk = 1 });
    client_tasks(w, "c2", 1, 0, 9, 100);
    world_after(w, 100);
    assert_int_equal(w->n_seen, 4);
    for (uint32_t i = 1; i <= 2; i++) {
        worker_done(w, "w1", i, i - 1, 1, 100000);
        assert_int_equal(t.slots, i);
        assert_int_not_equal(w->seen[w->n_seen - 1].job, w->seen[0].job);
    }
    worker_done(w, "w1", 3, 2, 1, 100000);      /* the others are c1's own */
    assert_int_equal(w->n_seen, 7);
    assert_int_equal(w->seen[6].job, w->seen[0].job);
    world_free(w);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
    const struct CMUnitTest tests[] = { T(sessions_share_a_quota_of_tasks), T(sessions_share_a_quota_of_bytes),
                                        T(the_smaller_quota_is_told), T(oldest_detached_session_goes),
                                        T(a_paused_client_takes_no_slots), T(r15_a_replay_without_room_ends_no_job),
                                        T(r15_replays_have_room_when_others_have_ended), T(r15_a_replay_alone_is_let_in),
                                        T(r15_what_was_put_off_may_end),
                                        T(r15_a_cancel_of_what_was_put_off_waits_in_the_hold),
                                        T(r15_nothing_overtakes_a_replay_without_room),
                                        T(r15_a_replay_waits_for_what_is_being_dropped),
                                        T(r15_what_was_put_off_may_end_when_there_is_room),
                                        T(r15_the_quota_of_a_key_is_what_its_memory_allows),
                                        T(r24_a_slot_that_runs_a_task_stays_with_its_pool),
                                        T(r24_a_slot_that_runs_a_task_stays_with_its_owner),
                                        T(r24_slots_are_passed_on_one_by_one) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
