/* SPDX-License-Identifier: MPL-2.0
 * test_session.c - the client's core against a scripted broker, as scenarios. The core checks its invariants after every step.
 */
#include "broker.h"
#include "model/model.h"

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
static bool no_memory;
void *__wrap_malloc(size_t size) { return no_memory ? NULL : __real_malloc(size); }

static struct script *b;
static struct told told;

static int before(void **state)
{
    (void)state;
    b = script_new();
    return 0;
}

static int after(void **state)
{
    (void)state;
    script_free(b);
    return 0;
}

#define expect_sent(text) assert_string_equal(sent(b), text)

static void all_are(int32_t kind, uint64_t n)
{
    assert_int_equal(told.n, n);
    for (uint64_t i = 0; i < n; i++) {
        assert_int_equal(told.times[i], 1);
        assert_int_equal(told.kinds[i], kind);
    }
}

static void from_hello_to_the_end(void **state)
{
    (void)state;
    struct session_pool *p = a_pool(b);
    struct session_job *j = a_job(b, p, false, &told);
    add(b, j, 3, 10);
    connect_to(b, 5, false);
    expect_sent("HELLO\nPOOL_OPEN\nJOB_OPEN\nTASKS 0+3\n");
    session_job_close(j);
    flush(b);
    expect_sent("JOB_CLOSE\n");
    done(b, 0, 2);
    ended(b, 2, 1, BFORK_FAILED);
    assert_int_equal(told.n, 3);
    assert_int_equal(told.kinds[2], BFORK_FAILED);
    expect_sent("OUTCOMES_ACK 2\n");            /* a finished job is acknowledged at once */
    session_pool_close(p);
    session_bye(b->s);
    flush(b);
    expect_sent("POOL_CLOSE\nBYE\n");
    assert_int_equal(session_unsettled(b->s), 0);
}

static void say_job(uint32_t job, int32_t code)
{
    struct wire_msg m = { .type = WIRE_JOB_STATE };
    m.u.job_state = (struct wire_job_state){ .job = job, .code = code, .text = WIRE_STR("no") };
    say(b, &m);
}

static void say_pool(uint32_t pool, int32_t code)
{
    struct wire_msg m = { .type = WIRE_POOL_STATE };
    m.u.pool_state = (struct wire_pool_state){ .pool = pool, .code = code, .text = WIRE_STR("no"), .ended = true };
    say(b, &m);
}

/* Its tasks end, those that were settled stay so, and the session and its other jobs go on. */
/* Nothing moves: the broker is asked, and what it has lost is sent again, marked as sent before. */
static void r15_what_the_broker_has_lost_is_sent_again(void **state)
{
    (void)state;
    struct wire_item seen[] = { { .job = 0, .first = 0, .count = 4 }, { .job = 0, .first = 4, .count = 2, .kind = 1 } };
    struct wire_msg m = { .type = WIRE_TASKS_SEEN, .items = seen, .n_items = 2 };
    struct session_pool *p = a_pool(b);
    struct session_job *j = a_job(b, p, false, &told);
    add(b, j, 6, 10);
    connect_to(b, 5, false);
    sent(b);
    for (int i = 0; i < 40; i++) {                      /* half seconds in which the broker is alive and silent about the job */
        b->now += 500 * CLOCK_MS;
        session_tick(b->s, b->now);
        flush(b);
        say(b, &(struct wire_msg){ .type = WIRE_PONG });
    }
    const char *asked = sent(b);
    assert_non_null(strstr(asked, "TASKS_LOOK"));
    assert_null(strstr(strstr(asked, "TASKS_LOOK") + 1, "TASKS_LOOK"));     /* one question at a time */
    seen[0].job = seen[1].job = b->job;
    m.request = b->looked;
    say(b, &m);
    flush(b);
    assert_non_null(strstr(sent(b), "TASKS 4+2 replay"));    /* it may be there after all */
    done(b, 0, 6);
    assert_int_equal(told.n, 6);
    for (int i = 0; i < 6; i++)
        assert_int_equal(told.times[i], 1);
    session_job_close(j);
    flush(b);
}

/* A job that runs for days is asked about now and then, not ever less often. */
static void r15_a_broker_that_has_all_is_asked_on(void **state)
{
    (void)state;
    struct wire_item seen = { .first = 0, .count = 6 };
    struct wire_msg m = { .type = WIRE_TASKS_SEEN, .items = &seen, .n_items = 1 };
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    int asked = 0;
    add(b, j, 6, 10);
    connect_to(b, 5, false);
    sent(b);
    for (int i = 0; i < 3600; i++) {
        b->now += CLOCK_SEC;
        session_tick(b->s, b->now);
        flush(b);
        say(b, &(struct wire_msg){ .type = WIRE_PONG });
        if (!strstr(sent(b), "TASKS_LOOK"))
            continue;
        asked++;
        seen.job = b->job;
        m.request = b->looked;
        say(b, &m);
    }
    assert_in_range(asked, 14, 17);                     /* after 10, 30, 70 … s, then every 320 s */
    done(b, 0, 6);
    session_job_close(j);
    flush(b);
}

/* The broker had no room for what was sent before: it has dropped it, and asks for it when it has. */
static void r15_what_was_put_off_is_sent_when_there_is_room(void **state)
{
    (void)state;
    struct session_pool *p = a_pool(b);
    struct session_job *j = a_job(b, p, false, &told);
    add(b, j, 6, 10);
    connect_to(b, 5, false);
    cut(b);
    sent(b);
    connect_to(b, 6, false);
    session_job_close(j);
    flush(b);
    expect_sent("HELLO\nPOOL_OPEN\nJOB_OPEN\nTASKS 0+6 replay\nJOB_CLOSE\n");
    job_state(b, 2);
    expect_sent("JOB_OPEN\n");                          /* what is on its way is not taken, either */
    job_state(b, 2);
    expect_sent("TASKS 2+4 replay\nJOB_CLOSE\n");
    done(b, 0, 6);
    b->now += CLOCK_SEC;
    flush(b);
    sent(b);
    job_state(b, 2);                                    /* it has ended here, unlike there */
    expect_sent("JOB_CLOSE\n");
}

static void a_refused_job_is_only_that_job(void **state)
{
    (void)state;
    static struct told told_other;
    struct session_pool *p = a_pool(b);
    struct session_job *j = a_job(b, p, false, &told), *other;
    add(b, j, 5, 10);
    connect_to(b, 5, false);
    done(b, 1, 1);
    sent(b);
    say_job(b->job, BFORK_EQUOTA);
    flush(b);
    assert_int_equal(told.n, 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(told.kinds[i], i == 1 ? 0 : BFORK_REFUSED);
    add(b, j, 2, 10);                           /* what comes later, too */
    flush(b);
    assert_int_equal(told.n, 7);
    assert_int_equal(told.kinds[6], BFORK_REFUSED);
    session_cancel(j, 0, 7);
    session_job_close(j);
    flush(b);
    expect_sent("");                            /* nothing of it goes out any more */
    assert_int_equal(session_unsettled(b->s), 0);
    assert_int_equal(b->failed, 0);
    other = a_job(b, p, false, &told_other);
    add(b, other, 1, 10);
    flush(b);
    expect_sent("JOB_OPEN\nTASKS 0+1\n");
    cut(b);
    connect_to(b, 5, true);
    expect_sent("HELLO\nPOOL_OPEN\nJOB_OPEN\n");
}

/* All of its tasks are at the broker, and more may come: it has nothing else to send that would bring the next flush to it. */
static void a_refusal_that_found_no_memory_is_told_by_the_next_flush(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    add(b, j, 3, 10);
    connect_to(b, 5, false);
    say_job(b->job, BFORK_EQUOTA);
    no_memory = true;
    session_flush(b->s, b->now);
    no_memory = false;
    session_effects_done(b->s);
    assert_int_equal(told.n, 0);
    assert_true(session_deadline(b->s) <= b->now + 10 * CLOCK_MS);
    b->now += 10 * CLOCK_MS;
    flush(b);
    all_are(BFORK_REFUSED, 3);
    assert_int_equal(session_unsettled(b->s), 0);
}

static void a_refused_pool_ends_all_its_jobs(void **state)
{
    (void)state;
    static uint8_t array[4000];
    static struct told told_map;
    struct session_pool *p = a_pool(b);
    struct session_job *j = a_job(b, p, false, &told), *map = a_map(b, p, &told_map, array, 4, 1000);
    add(b, j, 3, 10);
    session_job_close(map);
    connect_to(b, 5, false);
    say_pool(b->pool, BFORK_ENOTSUP);
    flush(b);
    all_are(BFORK_REFUSED, 3);
    assert_int_equal(told_map.n, 1000);
    assert_int_equal(told_map.kinds[999], BFORK_REFUSED);
    cut(b);
    sent(b);
    connect_to(b, 6, false);
    expect_sent("HELLO\n");                     /* it is not tried again */
    add(b, j, 1, 10);
    flush(b);
    all_are(BFORK_REFUSED, 4);
    session_job_close(j);
    flush(b);
    session_pool_close(p);
    flush(b);
    expect_sent("");
    assert_int_equal(b->failed, 0);
}

static void a_map_that_was_hardly_sent_is_refused_whole(void **state)
{
    (void)state;
    static uint8_t array[300000];
    b->welcome.window_bytes = 1000;
    struct session_job *map = a_map(b, a_pool(b), &told, array, 3, 100000);
    session_job_close(map);
    connect_to(b, 5, false);
    say_job(b->job, BFORK_ENOTSUP);
    flush(b);
    all_are(BFORK_REFUSED, 100000);
    assert_int_equal(session_unsettled(b->s), 0);
}

static void outcomes_out_of_order_and_twice(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    add(b, j, 10, 3);
    connect_to(b, 5, false);
    done(b, 7, 3);
    done(b, 0, 2);
    b->seq--;                                   /* the same item again */
    done(b, 0, 2);
    done(b, 0, 9);                              /* a new item that says more than is new */
    all_are(0, 10);
}

static void outcomes_nobody_waits_for(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    add(b, j, 2, 3);
    connect_to(b, 5, false);
    done(b, 1, 2);                              /* one of them was never added */
    done(b, 5, UINT32_MAX);
    b->job += 100;
    done(b, 0, 1);
    b->job -= 100;
    assert_int_equal(told.n, 0);
    done(b, 0, 2);
    all_are(0, 2);
}

static void batches_of_one_size_and_of_many(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    add(b, j, 2, 8);
    add(b, j, 1, 9);                            /* from here with a column of lengths */
    connect_to(b, 5, false);
    expect_sent("HELLO\nPOOL_OPEN\nJOB_OPEN\nTASKS 0+3\n");
    assert_int_equal(b->sent_bytes, 25 + 12);
    add(b, j, 2, 200000);
    flush(b);
    expect_sent("TASKS 3+1\nTASKS 4+1\n");
    add(b, j, 1, WIRE_TASK_MAX);
    flush(b);
    expect_sent("TASKS 5+1\n");
    done(b, 0, 6);
    all_are(0, 6);
}

static void the_window_stops_and_acknowledgements_free(void **state)
{
    (void)state;
    b->welcome.window_bytes = 1000;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    add(b, j, 25, 100);
    connect_to(b, 5, false);
    assert_int_equal(b->sent_tasks, 10);
    ack(b);
    assert_int_equal(b->sent_tasks, 20);
    ack(b);
    assert_int_equal(b->sent_tasks, 25);
    add(b, j, 1, 5000);                         /* larger than the window: alone */
    flush(b);
    assert_int_equal(b->sent_tasks, 25);
    ack(b);
    assert_int_equal(b->sent_tasks, 26);
}

static void a_quota_of_tasks_smaller_than_a_batch(void **state)
{
    (void)state;
    b->welcome.quota_tasks = 4;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    add(b, j, 10, 3);
    connect_to(b, 5, false);
    expect_sent("HELLO\nPOOL_OPEN\nJOB_OPEN\nTASKS 0+4\n");
    done(b, 0, 1);
    expect_sent("TASKS 4+1\n");
    done(b, 1, 4);
    expect_sent("TASKS 5+4\n");
    done(b, 5, 4);
    done(b, 9, 1);
    all_are(0, 10);
}

static void a_quota_of_bytes_smaller_than_a_batch(void **state)
{
    (void)state;
    b->welcome.quota_bytes = 100;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    add(b, j, 10, 30);
    add(b, j, 1, 20);                           /* lengths now: 34 bytes each, and 24 */
    connect_to(b, 5, false);
    expect_sent("HELLO\nPOOL_OPEN\nJOB_OPEN\nTASKS 0+2\n");
    for (uint32_t i = 0; i < 11; i++) {
        done(b, i, 1);
        assert_true(b->sent_tasks - i - 1 <= 3);
    }
    all_are(0, 11);
}

static void a_task_larger_than_the_quota_is_refused(void **state)
{
    (void)state;
    b->welcome.quota_bytes = 100;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    add(b, j, 1, 50);
    add(b, j, 1, 101);
    add(b, j, 1, 40);
    connect_to(b, 5, false);
    assert_int_equal(told.kinds[1], BFORK_REFUSED);
    done(b, 0, 1);
    done(b, 2, 1);
    assert_int_equal(told.n, 3);
}

static void a_cut_in_the_middle_of_a_batch(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    add(b, j, 10, 3);
    connect_to(b, 5, false);
    done(b, 1, 2);
    cut(b);
    sent(b);
    connect_to(b, 5, true);
    expect_sent("HELLO\nPOOL_OPEN\nJOB_OPEN acked 1\n");        /* nothing more before JOB_STATE */
    job_state(b, 6);
    expect_sent("TASKS 6+4\n");
    done(b, 0, 1);
    done(b, 3, 7);
    all_are(0, 10);
}

static void a_cut_before_anything_arrived(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    add(b, j, 5, 3);
    connect_to(b, 5, false);
    session_job_close(j);
    flush(b);
    cut(b);
    sent(b);
    connect_to(b, 5, true);
    job_state(b, 0);
    expect_sent("HELLO\nPOOL_OPEN\nJOB_OPEN\nTASKS 0+5\nJOB_CLOSE\n");
    done(b, 0, 5);
    all_are(0, 5);
}

static void a_finished_job_is_forgotten_after_a_cut(void **state)
{
    (void)state;
    struct session_counters c;
    struct session_pool *p = a_pool(b);
    struct session_job *j = a_job(b, p, false, &told);
    add(b, j, 1, 3);
    connect_to(b, 5, false);
    session_job_close(j);
    flush(b);
    session_recv(b->s, b->now, &(struct wire_msg){ .type = WIRE_PING });
    struct wire_item i = { .id = 1, .job = b->job, .count = 1, .kind = WIRE_OK, .flags = WIRE_FIXED };
    session_recv(b->s, b->now, &(struct wire_msg){ .type = WIRE_OUTCOMES, .items = &i, .n_items = 1 });
    cut(b);                                     /* before the acknowledgement went out */
    session_effects_done(b->s);
    sent(b);
    connect_to(b, 5, true);
    job_state(b, 1);
    expect_sent("HELLO\nPOOL_OPEN\nJOB_OPEN acked 1\nJOB_CLOSE\n");
    cut(b);
    sent(b);
    connect_to(b, 5, true);
    expect_sent("HELLO\nPOOL_OPEN\n");          /* there is no such job any more */
    session_counters(b->s, &c);
    assert_int_equal(c.bytes_held, 0);
}

static void a_broker_that_has_restarted(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    add(b, j, 4, 3);
    connect_to(b, 5, false);
    done(b, 1, 1);
    cut(b);
    add(b, j, 2, 3);                            /* never sent before: no replay */
    sent(b);
    b->seq = 0;
    connect_to(b, 6, false);
    expect_sent("HELLO\nPOOL_OPEN\nJOB_OPEN\nTASKS 0+1 replay 2+2 replay 4+2\n");
    done(b, 0, 6);
    all_are(0, 6);
}

static void a_broker_that_has_forgotten_us(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    add(b, j, 2, 3);
    connect_to(b, 5, false);
    cut(b);
    sent(b);
    connect_to(b, 5, false);
    expect_sent("HELLO\nPOOL_OPEN\nJOB_OPEN\nTASKS 0+2 replay\n");
}

static void assign(uint64_t first, uint32_t count)
{
    struct wire_item i = { .id = 9, .job = b->job, .first = first, .count = count };
    say(b, &(struct wire_msg){ .type = WIRE_ASSIGNED, .items = &i, .n_items = 1 });
}

static void at_most_once_tells_what_may_have_started(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), true, &told);
    add(b, j, 6, 3);
    connect_to(b, 5, false);
    sent(b);
    assign(1, 2);
    flush(b);
    expect_sent("ASSIGNED_OK 1+2\n");
    cut(b);
    connect_to(b, 6, false);
    expect_sent("HELLO\nPOOL_OPEN\nJOB_OPEN\nTASKS 0+1 replay 1+2 replay maybe-started 3+3 replay\n");
}

/* What was told before a rerun comes back with the replay, newest first, and only of what is not settled. */
static void r05_counts_come_back_with_a_replay(void **state)
{
    const struct wire_item told_first = { .first = 1, .count = 4, .tries = 1 },
                           told_then = { .first = 3, .count = 1, .tries = 2, .crashes = 1 };
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    add(b, j, 6, 3);
    connect_to(b, 5, false);
    sent(b);
    struct wire_item items[] = {
        told_first, told_then, { .first = 5, .count = 9, .tries = 7 }, { .first = 0, .count = 1, .tries = 9 }
    };
    for (int i = 0; i < 4; i++)
        items[i].job = b->job + (i == 3);       /* beyond its end, and of another job: dropped */
    say(b, &(struct wire_msg){ .type = WIRE_TRIES, .items = items, .n_items = 4 });
    flush(b);
    expect_sent("");                            /* no answer: it costs no round trip */
    done(b, 4, 1);
    cut(b);
    b->seq = 0;
    connect_to(b, 6, false);
    expect_sent("HELLO\nPOOL_OPEN\nJOB_OPEN\nTASKS 0+1 replay 1+2 replay tries 1,0 3+1 replay tries 2,1 5+1 replay\n");
    cut(b);
    connect_to(b, 7, false);                    /* and once more */
    expect_sent("HELLO\nPOOL_OPEN\nJOB_OPEN\nTASKS 0+1 replay 1+2 replay tries 1,0 3+1 replay tries 2,1 5+1 replay\n");
}

static void many_assignments_in_one_turn(void **state)
{
    enum { N = 5000 };
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), true, &told);
    add(b, j, N, 1);
    connect_to(b, 5, false);
    sent(b);
    for (uint64_t i = 0; i < N; i++) {
        struct wire_item item = { .id = 9, .job = b->job, .first = i, .count = 1 };
        session_recv(b->s, b->now, &(struct wire_msg){ .type = WIRE_ASSIGNED, .items = &item, .n_items = 1 });
    }
    flush(b);
    const char *text = sent(b);
    int confirmed = 0;
    for (const char *at = text; (at = strchr(at, '+')); at++)
        confirmed++;
    assert_int_equal(confirmed, N);
}

static void cancelling_what_was_not_sent(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    add(b, j, 5, 3);
    session_cancel(j, 1, 3);
    assert_int_equal(told.n, 3);
    assert_int_equal(told.kinds[2], BFORK_CANCELLED);
    connect_to(b, 5, false);
    expect_sent("HELLO\nPOOL_OPEN\nJOB_OPEN\nTASKS 0+1 4+1\n");
    session_cancel(j, 10, 1);                   /* there is no such task */
    flush(b);
    expect_sent("");
}

static void cancelling_what_was_sent(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    b->welcome.quota_tasks = 2;
    add(b, j, 5, 3);
    connect_to(b, 5, false);
    sent(b);
    session_cancel(j, 0, UINT64_MAX);
    assert_int_equal(told.n, 3);                /* those behind the quota */
    flush(b);
    expect_sent("CANCEL 0+2\n");
    done(b, 0, 1);                              /* it was quicker */
    ended(b, 1, 1, BFORK_CANCELLED);
    assert_int_equal(told.kinds[0], 0);
    assert_int_equal(told.kinds[1], BFORK_CANCELLED);
    assert_int_equal(session_unsettled(b->s), 0);
}

static void a_cancel_waits_for_its_tasks(void **state)
{
    (void)state;
    struct session_pool *p = a_pool(b);
    struct session_job *j = a_job(b, p, false, &told);
    add(b, j, 3, 3);
    connect_to(b, 5, false);
    cut(b);
    session_cancel(j, 0, 2);                    /* may be at a worker: nobody knows */
    assert_int_equal(told.n, 0);
    sent(b);
    connect_to(b, 6, false);
    expect_sent("HELLO\nPOOL_OPEN\nJOB_OPEN\nTASKS 0+3 replay\nCANCEL 0+2\n");
}

/* Nobody knows how far a connection carried it: it is kept until its tasks are settled. */
static void r15_a_cancel_on_its_way_is_said_again(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    add(b, j, 9, 3);
    connect_to(b, 5, false);
    assert_int_equal(session_cancel(j, 1, 3), 0);
    assert_int_equal(session_cancel(j, 6, 2), 0);
    sent(b);
    flush(b);
    expect_sent("CANCEL 1+3 6+2\n");
    flush(b);
    expect_sent("");
    ended(b, 2, 1, BFORK_CANCELLED);
    cut(b);                                     /* the broker goes on */
    connect_to(b, 5, true);
    sent(b);
    job_state(b, 9);
    expect_sent("CANCEL 1+1 3+1 6+2\n");
    cut(b);                                     /* and is started again: nothing of it begins in front of the cancel */
    connect_to(b, 6, false);
    expect_sent("HELLO\nPOOL_OPEN\nJOB_OPEN\nTASKS 0+2 replay 3+6 replay\nCANCEL 1+1 3+1 6+2\n");
    b->seq = 0;
    ended(b, 1, 8, BFORK_CANCELLED);
    cut(b);
    connect_to(b, 7, false);
    expect_sent("HELLO\nPOOL_OPEN\nJOB_OPEN\nTASKS 0+1 replay\n");
}

/* What the broker has not got when the connection is cut, nobody has: it is not sent again only to be cancelled. */
static void r15_a_cancelled_task_that_never_arrived_is_settled(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    add(b, j, 9, 3);
    connect_to(b, 5, false);
    session_cancel(j, 3, 3);
    flush(b);
    cut(b);
    connect_to(b, 5, true);
    sent(b);
    job_state(b, 4);
    assert_int_equal(told.n, 2);
    assert_int_equal(told.kinds[4], BFORK_CANCELLED);
    assert_int_equal(told.kinds[5], BFORK_CANCELLED);
    expect_sent("TASKS 6+3\nCANCEL 3+1\n");
}

/* A pool that is closed while the connection is down, or as it breaks: the broker is told on the next one, before it gets tasks
 * that count on its quota; when it has shown that it knows, not again. */
static void r15_a_close_that_may_be_lost_is_said_again(void **state)
{
    (void)state;
    static struct told other;
    struct session_pool *first = a_pool(b), *second = a_pool(b), *third = a_pool(b);
    struct session_job *j = a_job(b, first, false, &told);
    add(b, a_job(b, second, false, &other), 6, 10);
    b->welcome.quota_tasks = 8;
    connect_to(b, 5, false);
    session_pool_close(third);                  /* sent, and lost */
    flush(b);
    cut(b);
    session_pool_close(second);                 /* with all that it has at the broker */
    add(b, j, 8, 10);
    sent(b);
    connect_to(b, 5, true);
    job_state(b, 0);
    expect_sent("HELLO\nPOOL_CLOSE\nPOOL_CLOSE\nPOOL_OPEN\nJOB_OPEN\nTASKS 0+8\n");
    ack(b);                                     /* the tasks behind the closes have been read */
    cut(b);
    connect_to(b, 5, true);
    job_state(b, 8);
    expect_sent("HELLO\nPOOL_OPEN\nJOB_OPEN\n");
    session_pool_close(first);
    flush(b);
    cut(b);
    sent(b);
    connect_to(b, 6, false);                    /* this one knows of no pool */
    expect_sent("HELLO\n");
}

/* An answer that may have been lost is asked for again, when the broker has all that the question is about. */
static void r02_a_question_is_asked_until_it_is_answered(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    uint64_t here;
    uint32_t request;
    add(b, j, 9, 3);
    connect_to(b, 5, false);
    sent(b);
    b->cancelled = -1;
    assert_int_equal(session_cancel_queued(j, 0, UINT64_MAX, &told, &here, &request), 0);
    assert_int_equal(here, 0);
    flush(b);
    expect_sent("CANCEL 0+9\n");
    ended(b, 2, 2, BFORK_CANCELLED);            /* its answer and other outcomes are lost */
    cut(b);
    b->welcome.quota_tasks = 4;
    connect_to(b, 5, true);
    sent(b);
    job_state(b, 8);                            /* task 8 never arrived */
    expect_sent("CANCEL 0+8\n");
    assert_int_equal(told.kinds[8], BFORK_CANCELLED);
    ended(b, 4, 3, BFORK_CANCELLED);            /* as it was cancelled the first time */
    cut(b);
    connect_to(b, 6, false);                    /* another start of it: first it is to have the tasks again */
    expect_sent("HELLO\nPOOL_OPEN\nJOB_OPEN\nTASKS 0+2 replay 7+1 replay\nCANCEL 0+8\n");
    assert_int_equal(b->cancelled, -1);
    say(b, &(struct wire_msg){ .type = WIRE_CANCELLED, .request = request, .u.cancelled = { .cancelled = 1, .running = 2 } });
    assert_int_equal(b->cancelled, 7);          /* 2, 3, 4 to 6, one of 0, 1 and 7, and 8 */
}

/* On one connection the first answer may come when the question is asked once more, or is about to be, and ahead of the outcomes:
 * what it says counts, and nothing twice. */
static void asked_twice(bool late)
{
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    uint64_t here;
    uint32_t request;
    add(b, j, 9, 3);
    connect_to(b, 5, false);
    cut(b);
    connect_to(b, 6, false);
    b->cancelled = -1;
    assert_int_equal(session_cancel_queued(j, 0, UINT64_MAX, &told, &here, &request), 0);
    flush(b);
    const struct wire_msg first = { .type = WIRE_CANCELLED, .request = request, .u.cancelled = { .cancelled = 5 } };
    job_state(b, 2);
    say(b, &(struct wire_msg){ .type = WIRE_JOB_STATE, .u.job_state = { .job = b->job, .next = 2 } });
    if (!late)
        say(b, &first);
    flush(b);
    if (late) {
        ended(b, 2, 2, BFORK_CANCELLED);
        say(b, &first);
    }
    assert_int_equal(b->cancelled, -1);
    say(b, &(struct wire_msg){ .type = WIRE_CANCELLED, .request = request + 1, .u.cancelled = { .cancelled = 1 } });
    assert_int_equal(b->cancelled, 6);
}

static void r02_an_answer_to_a_question_that_is_to_be_asked_again_counts(void **state)
{
    (void)state;
    asked_twice(false);
}

static void r02_answers_of_one_connection_count_together(void **state)
{
    (void)state;
    asked_twice(true);
}

/* The connection that carried the question is cut. On the next one all of its tasks end before it is asked again. */
static void r02_a_question_whose_tasks_have_ended_counts_what_was_seen(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    uint64_t here;
    uint32_t request;
    add(b, j, 9, 3);
    session_job_close(j);
    connect_to(b, 5, false);
    b->cancelled = -1;
    assert_int_equal(session_cancel_queued(j, 0, UINT64_MAX, &told, &here, &request), 0);
    flush(b);
    cut(b);
    connect_to(b, 5, true);
    ended(b, 0, 7, BFORK_CANCELLED);
    done(b, 7, 2);
    job_state(b, 9);
    flush(b);
    assert_int_equal(b->cancelled, 7);
}

/* A task was cancelled by itself, and its outcome comes before the question about all goes out: it is not counted once more. */
static void r02_what_was_cancelled_before_it_is_asked_does_not_count(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    uint64_t here;
    uint32_t one, all;
    add(b, j, 9, 3);
    connect_to(b, 5, false);
    assert_int_equal(session_cancel_queued(j, 8, 1, &told, &here, &one), 0);
    flush(b);
    say(b, &(struct wire_msg){ .type = WIRE_CANCELLED, .request = one, .u.cancelled = { .cancelled = 1 } });
    assert_int_equal(b->cancelled, 1);
    b->cancelled = -1;
    assert_int_equal(session_cancel_queued(j, 0, UINT64_MAX, &told, &here, &all), 0);
    ended(b, 8, 1, BFORK_CANCELLED);
    flush(b);
    say(b, &(struct wire_msg){ .type = WIRE_CANCELLED, .request = all, .u.cancelled = { .cancelled = 5 } });
    assert_int_equal(b->cancelled, 5);
}

/* The broker has put off what the question is about, and waits for it. Some of that has ended here, and is not sent again: the
 * question is, behind what is. */
static void r15_a_question_is_asked_again_behind_what_is_sent_again(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    uint64_t here;
    uint32_t request;
    add(b, j, 9, 3);
    connect_to(b, 5, false);
    cut(b);
    connect_to(b, 6, false);
    b->cancelled = -1;
    assert_int_equal(session_cancel_queued(j, 0, UINT64_MAX, &told, &here, &request), 0);
    flush(b);
    sent(b);
    b->seq = 0;
    done(b, 7, 2);                              /* a worker has brought them */
    job_state(b, 2);
    expect_sent("JOB_OPEN acked 1\n");
    job_state(b, 2);
    expect_sent("TASKS 2+5 replay\nCANCEL 0+9\n");
    assert_int_equal(b->cancelled, -1);
    ended(b, 2, 2, BFORK_CANCELLED);
    say(b, &(struct wire_msg){ .type = WIRE_CANCELLED, .request = request, .u.cancelled = { .cancelled = 5 } });
    assert_int_equal(b->cancelled, -1);         /* what it was asked first: it counts two that were seen to end */
    say(b, &(struct wire_msg){ .type = WIRE_CANCELLED, .request = request + 1, .u.cancelled = { .cancelled = 7 } });
    assert_int_equal(b->cancelled, 7);
    say(b, &(struct wire_msg){ .type = WIRE_CANCELLED, .request = request, .u.cancelled = { .cancelled = 7 } });
    assert_int_equal(b->cancelled, 7);          /* the first question was answered, too */
}

static void a_job_closed_without_tasks(void **state)
{
    (void)state;
    connect_to(b, 5, false);
    struct session_pool *p = a_pool(b);
    struct session_job *never = a_job(b, p, false, &told), *empty;
    session_job_close(never);                   /* the broker never hears of it */
    empty = a_job(b, p, false, &told);
    sent(b);
    flush(b);
    add(b, empty, 1, 1);
    flush(b);
    session_job_close(empty);
    flush(b);
    done(b, 0, 1);
    assert_non_null(strstr(sent(b), "JOB_CLOSE\nOUTCOMES_ACK 1\n"));
}

static void closing_a_pool_drops_its_jobs(void **state)
{
    (void)state;
    b->welcome.quota_tasks = 3;
    struct session_pool *p = a_pool(b), *q = a_pool(b);
    struct session_job *j = a_job(b, p, false, &told);
    add(b, j, 3, 3);
    connect_to(b, 5, false);
    session_pool_close(p);
    flush(b);
    assert_int_equal(session_unsettled(b->s), 0);
    done(b, 0, 3);                              /* of a job that is gone */
    assert_int_equal(told.n, 0);
    j = a_job(b, q, false, &told);
    add(b, j, 3, 3);
    sent(b);
    flush(b);
    expect_sent("JOB_OPEN\nTASKS 0+3\n");       /* the quota has come back */
}

static void closing_a_pool_between_two_epochs(void **state)
{
    static struct told others[40];
    (void)state;
    struct session_pool *p = a_pool(b);
    for (int i = 0; i < 40; i++)
        add(b, a_job(b, p, false, &others[i]), 2, 3);
    connect_to(b, 5, false);
    cut(b);
    struct wire_msg m = { .type = WIRE_WELCOME };
    session_connected(b->s, b->now);
    session_effects_done(b->s);
    b->welcome.epoch = 6;
    m.u.welcome = b->welcome;
    say(b, &m);
    session_flush(b->s, b->now);                /* not all jobs are open again */
    session_effects_done(b->s);
    session_pool_close(p);
    flush(b);
    assert_null(session_check(b->s));
    assert_int_equal(session_unsettled(b->s), 0);
}

static void many_pools_and_jobs_at_once(void **state)
{
    enum { N = 70 };
    static struct told each[N];
    int opened = 0, tasks = 0;
    (void)state;
    for (int i = 0; i < N; i++)
        add(b, a_job(b, a_pool(b), false, &each[i]), 1, 3);
    a_pool(b);                                  /* one without jobs */
    connect_to(b, 5, false);
    const char *text = sent(b);
    for (const char *at = text; (at = strstr(at, "_OPEN\n")); at++)
        opened++;
    for (const char *at = text; (at = strstr(at, " 0+1")); at++)
        tasks++;
    assert_int_equal(opened, 2 * N + 1);
    assert_int_equal(tasks, N);
}

static void a_map_is_cut_from_its_array(void **state)
{
    enum { N = 90000 };
    (void)state;
    uint8_t *array = calloc(N, 8);
    b->welcome.quota_tasks = 40000;
    a_map(b, a_pool(b), &told, array, 8, N);
    connect_to(b, 5, false);
    assert_int_equal(b->sent_tasks, WIRE_BATCH_TASKS);  /* the rest of the quota is too little to be worth a message */
    cut(b);
    connect_to(b, 5, true);
    job_state(b, 100);
    assert_int_equal(b->sent_tasks, WIRE_BATCH_TASKS - 100);
    for (uint32_t i = 0; i < N; i += 10000)
        done(b, i, 10000);
    assert_int_equal(b->sent_tasks, N - 100);
    all_are(0, N);
    free(array);
}

static void a_map_that_is_given_up_is_not_read_again(void **state)
{
    enum { N = 90000 };
    (void)state;
    for (int round = 0; round < 4; round++) {
        uint8_t *array = calloc(N, 8);
        b->welcome.quota_tasks = 40000;
        struct session_pool *p = a_pool(b);
        struct session_job *j = a_map(b, p, &told, array, 8, N);
        if (round)
            connect_to(b, 5, round > 1);
        session_job_abandon(j);
        flush(b);
        free(array);                            /* the sanitizer sees who reads it now */
        if (round == 1)
            ended(b, 0, WIRE_BATCH_TASKS, BFORK_CANCELLED);
        if (round >= 2) {
            cut(b);
            connect_to(b, round == 2 ? 5 : 6, round == 2);
        }
        if (round == 2)
            job_state(b, 300);
        if (round == 2)
            ended(b, 0, 300, BFORK_CANCELLED);
        assert_int_equal(session_unsettled(b->s), 0);
        assert_int_equal(told.n, 0);
        session_pool_close(p);
        flush(b);
        cut(b);
    }
}

static void an_error_ends_the_session(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    connect_to(b, 5, false);
    say(b, &(struct wire_msg){ .type = WIRE_ERROR, .u.error = { .code = BFORK_EQUOTA, .text = WIRE_STR("too much") } });
    assert_int_equal(b->failed, BFORK_EQUOTA);
    assert_string_equal(b->failed_text, "too much");
    add(b, j, 1, 1);
    sent(b);
    flush(b);
    session_connected(b->s, b->now);
    flush(b);
    expect_sent("");
}

static void questions_and_answers(void **state)
{
    uint32_t first, second, third;
    (void)state;
    assert_int_equal(session_ask(b->s, "summary", &first), 0);
    connect_to(b, 5, false);
    expect_sent("HELLO\nSTATUS_GET\n");
    cut(b);
    connect_to(b, 5, true);
    expect_sent("HELLO\nSTATUS_GET\n");         /* asked again */
    say(b, &(struct wire_msg){ .type = WIRE_STATUS, .request = first });
    assert_int_equal(b->answered, first);
    assert_int_equal(session_admin(b->s, "reload", NULL, &second), 0);
    flush(b);
    say(b, &(struct wire_msg){ .type = WIRE_ERROR, .request = second, .u.error.code = BFORK_EDENIED });
    assert_int_equal(b->answered, second);
    assert_int_equal(b->answer_code, BFORK_EDENIED);
    assert_int_equal(b->failed, 0);             /* the answer to a question is not the session's end */
    assert_int_equal(session_ping(b->s, b->now, &third), 0);
    flush(b);
    say(b, &(struct wire_msg){ .type = WIRE_PONG, .u.ping.stamp = third });
    assert_int_equal(b->answered, third);
}

static void a_ping_is_answered_and_a_farewell_followed(void **state)
{
    (void)state;
    connect_to(b, 5, false);
    sent(b);
    say(b, &(struct wire_msg){ .type = WIRE_PING, .u.ping.stamp = 3 });
    expect_sent("PONG\n");
    say(b, &(struct wire_msg){ .type = WIRE_BYE });
    expect_sent("reconnect: the broker is leaving\n");
    say(b, &(struct wire_msg){ .type = WIRE_RESET });
    expect_sent("reconnect: the broker asked to start over\n");
}

static void pass(uint64_t ms)
{
    b->now += ms * CLOCK_MS;
    session_tick(b->s, b->now);
    flush(b);
}

static void a_silent_broker_is_left(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    add(b, j, 1, 3);
    connect_to(b, 5, false);
    sent(b);
    pass(1000);
    pass(1000);
    expect_sent("");
    assert_true(session_deadline(b->s) == b->now + 500 * CLOCK_MS);
    pass(600);
    expect_sent("PING\n");
    pass(1000);
    pass(1000);
    expect_sent("");
    pass(500);
    expect_sent("reconnect: the broker was silent for 5000 ms\n");
}

static void a_stall_of_ours_is_not_the_brokers_silence(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    add(b, j, 1, 3);
    connect_to(b, 5, false);
    pass(60000);
    assert_int_equal(b->reconnects, 0);
}

static void nothing_asked_is_no_silence_either(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    connect_to(b, 5, false);
    for (int i = 0; i < 20; i++)
        pass(1000);                             /* driven, but idle: somebody waits for slots */
    add(b, j, 1, 3);
    flush(b);
    pass(10);
    assert_int_equal(b->reconnects, 0);
}

static void acknowledgements_are_gathered(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    add(b, j, 5, 3);
    connect_to(b, 5, false);
    sent(b);
    done(b, 0, 1);
    done(b, 1, 1);
    expect_sent("");
    assert_true(session_deadline(b->s) <= b->now + 200 * CLOCK_MS);
    pass(200);
    expect_sent("OUTCOMES_ACK 2\n");
}

/* A piece of output of task `index` from the broker. */
static void print_try(uint64_t seq, uint64_t attempt, uint16_t tries, uint64_t index, int stream, uint64_t offset, const char *text)
{
    struct wire_item i = { .id = attempt, .seq = seq, .job = b->job, .count = 1, .first = index, .offset = offset,
                           .flags = WIRE_FIXED, .size = (uint32_t)strlen(text), .stream = (uint8_t)stream, .tries = tries,
                           .body = slice_borrow(text, strlen(text)) };
    say(b, &(struct wire_msg){ .type = WIRE_OUTPUT, .items = &i, .n_items = 1 });
}

static void print(uint64_t seq, uint64_t attempt, uint64_t index, int stream, uint64_t offset, const char *text)
{
    print_try(seq, attempt, 1, index, stream, offset, text);
}

static void r21_an_outcome_waits_for_the_output_of_its_job(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    b->slow = true;
    add(b, j, 4, 3);
    connect_to(b, 5, false);
    done(b, 0, 1);
    assert_int_equal(told.n, 1);                /* nothing was printed: nothing waits */
    print(1, 7, 1, 1, 0, "abc\n");
    struct session_print first = b->print;
    print(2, 7, 1, 1, 4, "def\n");
    struct session_print second = b->print;
    done(b, 1, 1);
    assert_int_equal(told.n, 1);
    session_output_taken(b->s, &first);
    assert_int_equal(told.n, 1);
    session_output_taken(b->s, &second);
    assert_int_equal(told.n, 2);
    assert_int_equal(b->printed, 8);
}

static void r21_output_that_comes_again_is_told_once(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    add(b, j, 4, 3);
    connect_to(b, 5, false);
    print(1, 7, 1, 1, 0, "abc\n");
    print(1, 7, 1, 1, 0, "abc\n");              /* the same number: a resend in this epoch */
    assert_int_equal(b->printed, 4);
    session_disconnected(b->s, b->now);
    connect_to(b, 6, false);                    /* another epoch: numbers begin anew, the worker sends all again */
    print(1, 7, 1, 1, 0, "abc\n");
    assert_int_equal(b->printed, 4);
    print(2, 7, 1, 1, 2, "c\ndef\n");
    assert_int_equal(b->printed, 8);
    assert_int_equal(b->print.bytes.size, 4);
    assert_false(b->print.again);
    print(3, 8, 1, 1, 0, "abc\n");              /* another attempt: the task runs again, and that is said */
    assert_int_equal(b->printed, 12);
    assert_true(b->print.again);
    print(4, 8, 1, 1, 10, "xyz\n");
    assert_int_equal(b->print.lost, 6);         /* a gap is told */
}

/* Its template was lost, not its worker: the attempt is the same, the try another. It is told once; what comes of the try before,
 * sent again to another broker, is told no more. */
static void r21_a_task_that_runs_again_in_its_attempt(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    add(b, j, 4, 3);
    connect_to(b, 5, false);
    print(1, 7, 1, 1, 0, "abc\n");
    assert_false(b->print.again);
    print_try(2, 7, 2, 1, 1, 0, "");
    assert_true(b->print.again && !b->print.silent && b->print.attempt == 2 && b->print.bytes.size == 0);
    assert_int_equal(b->print.seq, 2);
    print_try(3, 7, 2, 1, 1, 0, "abcd\n");
    assert_int_equal(b->printed, 9);
    assert_false(b->print.again);
    session_disconnected(b->s, b->now);
    connect_to(b, 6, false);
    print(1, 7, 1, 1, 0, "abc\n");
    print_try(2, 7, 2, 1, 1, 0, "");
    print_try(3, 7, 2, 1, 1, 0, "abcd\n");
    assert_int_equal(b->print.seq, 3);
    assert_int_equal(b->printed, 9);
    print_try(4, 7, 2, 1, 1, 5, "e\n");
    assert_int_equal(b->printed, 11);
    print_try(5, 7, 2, 2, 1, 0, "");            /* nothing had come of this one: nothing comes again */
    assert_int_equal(b->print.seq, 4);
}

/* It printed, was lost with its worker, ran again and printed nothing: the program is told so, before the outcome. */
static void r21_a_task_that_prints_nothing_when_it_runs_again(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    b->slow = true;
    add(b, j, 100, 4);
    connect_to(b, 5, false);
    print(1, 7, 1, 1, 0, "abc\n");
    struct session_print first = b->print;
    print(2, 9, 2, 1, 0, "def\n");
    struct session_print second = b->print;
    session_output_taken(b->s, &first);
    session_output_taken(b->s, &second);
    done_by(b, 8, 0, 2);
    assert_int_equal(told.n, 0);
    assert_true(b->print.again && b->print.silent && b->print.index == 1 && b->print.attempt == 2 && b->print.bytes.size == 0);
    struct session_print third = b->print;
    b->seq--;
    done_by(b, 8, 0, 2);                        /* once more: nothing new */
    assert_int_equal(b->print.seq, third.seq);
    done_by(b, 9, 2, 1);                        /* the attempt that printed */
    assert_int_equal(b->print.index, 1);
    session_output_taken(b->s, &third);
    assert_int_equal(told.n, 3);
    print(3, 10, 90, 1, 0, "ghi\n");
    struct session_print fourth = b->print;
    session_output_taken(b->s, &fourth);
    done(b, 3, 1);                              /* not told which, as when it was cancelled where it waited */
    assert_int_equal(told.n, 4);
    assert_int_equal(b->print.index, 90);
    assert_false(b->print.again);
    print(4, 10, 95, 1, 0, "jkl\n");
    struct session_print fifth = b->print;
    session_output_taken(b->s, &fifth);
    struct wire_item tries = { .job = b->job, .first = 90, .count = 1, .tries = 2, .crashes = 1 };
    say(b, &(struct wire_msg){ .type = WIRE_TRIES, .items = &tries, .n_items = 1 });
    done_by(b, 11, 4, 91);                      /* up to the one before */
    assert_true(b->print.again && b->print.index == 90 && b->print.attempt == 4);
}

/* What came and is nothing to tell is acknowledged as well: it took its part of the window. */
static void r21_output_that_is_not_told_is_acknowledged(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    b->slow = true;
    add(b, j, 4, 3);
    connect_to(b, 5, false);
    print(1, 7, 1, 1, 0, "abc\n");
    struct session_print first = b->print;
    session_output_taken(b->s, &first);
    flush(b);
    assert_non_null(strstr(sent(b), "OUTPUT_ACK"));
    print(2, 7, 1, 1, 0, "abc\n");              /* it came before */
    flush(b);
    assert_non_null(strstr(sent(b), "OUTPUT_ACK"));
    assert_int_equal(b->print.seq, 1);
}

/* What the program takes of an epoch that has ended acknowledges nothing of this one, whose numbers began anew. */
static void r21_output_of_an_epoch_that_ended_is_not_acknowledged(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    b->slow = true;
    add(b, j, 4, 3);
    connect_to(b, 5, false);
    print(1, 7, 1, 1, 0, "abc\n");
    struct session_print first = b->print;
    session_disconnected(b->s, b->now);
    connect_to(b, 6, false);
    print(1, 7, 1, 1, 0, "abc\n");
    print(2, 7, 1, 1, 4, "def\n");
    struct session_print second = b->print;
    assert_int_equal(second.seq, 2);
    sent(b);
    session_output_taken(b->s, &first);
    flush(b);
    assert_null(strstr(sent(b), "OUTPUT_ACK"));
    session_output_taken(b->s, &second);
    flush(b);
    assert_non_null(strstr(sent(b), "OUTPUT_ACK"));
    done(b, 1, 1);                              /* all that this epoch has told is taken: nothing waits */
    assert_int_equal(told.n, 1);
}

static void states_of_pools_and_output(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    add(b, j, 1, 3);
    connect_to(b, 5, false);
    say(b, &(struct wire_msg){ .type = WIRE_POOL_STATE, .u.pool_state = { .pool = b->pool, .slots = 7 } });
    assert_int_equal(b->slots, 7);
    say(b, &(struct wire_msg){ .type = WIRE_POOL_STATE, .u.pool_state = { .pool = b->pool + 9, .slots = 1 } });
    assert_int_equal(b->slots, 7);
    print(1, 7, 0, 1, 0, "abc");
    session_job_user(j, NULL);
    print(2, 7, 0, 1, 3, "abc");
    assert_int_equal(b->printed, 3);
    done(b, 0, 1);
    assert_int_equal(told.n, 0);
}

/* Its answer is ahead of the outcomes: until these have come, another broker is asked again, and nobody is told twice. */
static void r02_what_was_promised_not_to_run_is_cancelled_after_a_restart(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    uint64_t here;
    uint32_t request;
    add(b, j, 9, 3);
    connect_to(b, 5, false);
    b->cancelled = -1;
    assert_int_equal(session_cancel_queued(j, 0, UINT64_MAX, &told, &here, &request), 0);
    flush(b);
    say(b, &(struct wire_msg){ .type = WIRE_CANCELLED, .request = request, .u.cancelled = { .cancelled = 9 } });
    assert_int_equal(b->cancelled, 9);
    cut(b);
    sent(b);
    connect_to(b, 5, true);                     /* this one knows */
    assert_null(strstr(sent(b), "CANCEL"));
    cut(b);
    sent(b);
    connect_to(b, 6, false);
    expect_sent("HELLO\nPOOL_OPEN\nJOB_OPEN\nTASKS 0+9 replay\nCANCEL 0+9\n");
    b->cancelled = -1;
    say(b, &(struct wire_msg){ .type = WIRE_CANCELLED, .request = request, .u.cancelled = { .cancelled = 9 } });
    assert_int_equal(b->cancelled, -1);
    cut(b);
    sent(b);
    connect_to(b, 7, false);
    expect_sent("HELLO\nPOOL_OPEN\nJOB_OPEN\nTASKS 0+9 replay\nCANCEL 0+9\n");
    b->seq = 0;
    ended(b, 0, 9, BFORK_CANCELLED);
    cut(b);
    sent(b);
    connect_to(b, 8, false);
    assert_null(strstr(sent(b), "CANCEL"));
    assert_int_equal(b->cancelled, -1);
}

static void ask_queued(struct session_job *j, uint64_t cancelled)
{
    uint64_t here;
    uint32_t request;

    assert_int_equal(session_cancel_queued(j, 0, UINT64_MAX, &told, &here, &request), 0);
    flush(b);
    b->cancelled = -1;
    say(b, &(struct wire_msg){ .type = WIRE_CANCELLED, .request = request, .u.cancelled = { .cancelled = cancelled } });
    assert_int_equal(b->cancelled, (int64_t)cancelled);
}

/* Tasks 4 to 8 were on their way when the connection was cut, are put off when they come again, and told to go on. Then there is
 * room, and the broker is killed; the first connection to its heir is cut before these tasks have come. */
static void promised_while_tasks_are_put_off(struct session_job *j, int questions)
{
    add(b, j, 9, 3);
    connect_to(b, 5, false);
    cut(b);
    connect_to(b, 5, true);
    job_state(b, 4);
    while (questions--)
        ask_queued(j, 1);
    say(b, &(struct wire_msg){ .type = WIRE_JOB_STATE, .u.job_state = { .job = b->job, .next = 4 } });
    flush(b);
    say(b, &(struct wire_msg){ .type = WIRE_JOB_STATE, .u.job_state = { .job = b->job, .next = 4 } });
    cut(b);
    connect_to(b, 6, false);
    cut(b);
    connect_to(b, 6, true);
    sent(b);
    job_state(b, 4);
    assert_int_equal(told.n, 0);
}

static void r02_a_promise_takes_nothing_back_that_was_told_to_go_on(void **state)
{
    (void)state;
    promised_while_tasks_are_put_off(a_job(b, a_pool(b), false, &told), 1);
    expect_sent("TASKS 4+5\nCANCEL 0+4\n");
}

static void r02_promises_that_are_kept_while_others_are_cut(void **state)
{
    (void)state;
    promised_while_tasks_are_put_off(a_job(b, a_pool(b), false, &told), 2);
    b->seq = 0;
    ended(b, 0, 1, BFORK_CANCELLED);
    cut(b);
    sent(b);
    connect_to(b, 7, false);
    assert_null(strstr(sent(b), "CANCEL"));
}

/* On one connection, which is not the first one of its tasks: none of them is settled here. */
static uint32_t asked_anew(struct session_job *j)
{
    uint64_t here;
    uint32_t request;

    add(b, j, 9, 3);
    connect_to(b, 5, false);
    cut(b);
    connect_to(b, 6, false);
    b->cancelled = -1;
    assert_int_equal(session_cancel_queued(j, 0, UINT64_MAX, &told, &here, &request), 0);
    flush(b);
    return request;
}

/* The broker has no room for tasks from `next` on, and then it has: what was asked about them is asked again. */
static void put_off(uint64_t next)
{
    job_state(b, next);
    job_state(b, next);
}

static void answers(uint32_t request, uint64_t cancelled)
{
    say(b, &(struct wire_msg){ .type = WIRE_CANCELLED, .request = request, .u.cancelled = { .cancelled = cancelled } });
}

/* Tasks 2 and 3 are seen to be cancelled before the question is asked again. The first answer counts them as well; it may never
 * come, if what it waits for has ended and is not sent again. */
static void r02_what_was_seen_between_two_questions_counts_once(void **state)
{
    (void)state;
    uint32_t request = asked_anew(a_job(b, a_pool(b), false, &told));
    ended(b, 2, 2, BFORK_CANCELLED);
    put_off(2);
    answers(request, 5);
    assert_int_equal(b->cancelled, -1);
    answers(request + 1, 1);
    assert_int_equal(b->cancelled, 6);
}

static void r02_what_was_seen_counts_without_the_first_answer(void **state)
{
    (void)state;
    uint32_t request = asked_anew(a_job(b, a_pool(b), false, &told));
    ended(b, 2, 2, BFORK_CANCELLED);
    put_off(2);
    answers(request + 1, 3);
    assert_int_equal(b->cancelled, 5);
}

static void r02_all_answers_of_one_connection_count(void **state)
{
    (void)state;
    uint32_t request = asked_anew(a_job(b, a_pool(b), false, &told));
    put_off(2);
    put_off(2);
    answers(request, 3);
    answers(request + 1, 2);
    assert_int_equal(b->cancelled, -1);
    answers(request + 2, 1);
    assert_int_equal(b->cancelled, 6);
}

/* The first answer came, the second one is lost with the connection: what the first one counted is seen on the next one. */
static void r02_an_answer_of_an_earlier_connection_counts_no_more(void **state)
{
    (void)state;
    uint32_t request = asked_anew(a_job(b, a_pool(b), false, &told));
    put_off(2);
    answers(request, 5);
    cut(b);
    connect_to(b, 6, true);
    ended(b, 2, 5, BFORK_CANCELLED);
    sent(b);
    job_state(b, 9);
    expect_sent("CANCEL 0+9\n");
    answers(request + 1, 1);
    assert_int_equal(b->cancelled, 6);
}

/* What was seen before a connection counts besides the answers of it. */
static void r02_what_was_seen_before_the_connection_counts_besides_its_answers(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    uint64_t here;
    uint32_t request;
    add(b, j, 9, 3);
    connect_to(b, 5, false);
    b->cancelled = -1;
    assert_int_equal(session_cancel_queued(j, 0, UINT64_MAX, &told, &here, &request), 0);
    flush(b);
    ended(b, 0, 2, BFORK_CANCELLED);
    cut(b);
    b->seq = 0;
    connect_to(b, 6, false);
    put_off(4);
    answers(request, 3);
    assert_int_equal(b->cancelled, -1);
    answers(request + 1, 1);
    assert_int_equal(b->cancelled, 6);
}

/* Two of four outcomes come before the answer, two behind it: the promise is kept, and what was told to go on goes on. */
static void r02_a_promise_that_was_kept_is_not_asked_for_again(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    uint64_t here;
    uint32_t request;
    add(b, j, 9, 3);
    connect_to(b, 5, false);
    assert_int_equal(session_cancel_queued(j, 0, 6, &told, &here, &request), 0);
    flush(b);
    b->cancelled = -1;
    ended(b, 0, 2, BFORK_CANCELLED);
    answers(request, 4);
    assert_int_equal(b->cancelled, 4);
    ended(b, 2, 2, BFORK_CANCELLED);
    cut(b);
    sent(b);
    connect_to(b, 6, false);
    expect_sent("HELLO\nPOOL_OPEN\nJOB_OPEN\nTASKS 4+5 replay\n");
}

/* One is still due. */
static void r02_a_promise_is_asked_for_until_the_last_outcome(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    add(b, j, 9, 3);
    connect_to(b, 5, false);
    ask_queued(j, 9);
    ended(b, 0, 8, BFORK_CANCELLED);
    cut(b);
    sent(b);
    connect_to(b, 6, false);
    expect_sent("HELLO\nPOOL_OPEN\nJOB_OPEN\nTASKS 8+1 replay\nCANCEL 0+9\n");
}

/* A task that runs is killed by another call, and has its outcome before the question has its answer. */
static void r02_what_another_call_cancels_meanwhile_does_not_count(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    uint64_t here;
    uint32_t request;
    add(b, j, 9, 3);
    connect_to(b, 5, false);
    b->cancelled = -1;
    assert_int_equal(session_cancel_queued(j, 0, UINT64_MAX, &told, &here, &request), 0);
    flush(b);
    assert_int_equal(session_cancel(j, 0, 1), 0);
    flush(b);
    ended(b, 0, 1, BFORK_CANCELLED);
    answers(request, 0);
    assert_int_equal(b->cancelled, 0);
}

/* Cut twice, and each time the broker has less of the tasks than was sent. */
static void r02_all_that_is_cancelled_here_counts(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    uint64_t here;
    uint32_t request;
    add(b, j, 9, 3);
    connect_to(b, 5, false);
    b->cancelled = -1;
    assert_int_equal(session_cancel_queued(j, 0, UINT64_MAX, &told, &here, &request), 0);
    flush(b);
    for (uint64_t next = 8; next > 4; next -= 2) {
        cut(b);
        connect_to(b, 5, true);
        job_state(b, next);
    }
    assert_int_equal(told.n, 3);
    answers(request, 1);
    assert_int_equal(b->cancelled, 4);
}

static void r02_outcomes_of_one_job_keep_no_promise_about_another(void **state)
{
    static struct told others;
    struct session_pool *p = a_pool(b);
    struct session_job *j = a_job(b, p, false, &others), *k = a_job(b, p, false, &told);
    (void)state;
    add(b, j, 2, 3);
    add(b, k, 3, 3);
    connect_to(b, 5, false);
    ask_queued(j, 2);
    ask_queued(k, 3);
    ended(b, 0, 3, BFORK_CANCELLED);            /* of k, which was opened last */
    assert_int_equal(told.n, 3);
    assert_int_equal(others.n, 0);
    cut(b);
    sent(b);
    connect_to(b, 6, false);
    assert_non_null(strstr(sent(b), "TASKS 0+2 replay\nCANCEL 0+2\n"));
}

/* It lives, and has lost the session: it has nothing of what was promised. What it answers then takes nothing from the promise. */
static void r02_a_promise_holds_with_a_broker_that_has_forgotten_us(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    add(b, j, 9, 3);
    connect_to(b, 5, false);
    ask_queued(j, 9);
    cut(b);
    sent(b);
    connect_to(b, 5, false);
    expect_sent("HELLO\nPOOL_OPEN\nJOB_OPEN\nTASKS 0+9 replay\nCANCEL 0+9\n");
    answers(1, 2);                              /* the number of the only question */
    cut(b);
    b->seq = 0;
    connect_to(b, 6, false);
    answers(1, 0);
    ended(b, 0, 2, BFORK_CANCELLED);
    cut(b);
    sent(b);
    connect_to(b, 7, false);
    expect_sent("HELLO\nPOOL_OPEN\nJOB_OPEN\nTASKS 2+7 replay\nCANCEL 0+9\n");
}

/* Its pool is closed while outcomes are due: nothing is kept of what was promised about its tasks. */
static void r02_promises_go_with_their_job(void **state)
{
    (void)state;
    struct session_pool *p = a_pool(b);
    struct session_job *j = a_job(b, p, false, &told);
    add(b, j, 9, 3);
    connect_to(b, 5, false);
    ask_queued(j, 9);
    assert_int_equal(b->s->promises.count, 1);
    session_pool_close(p);
    flush(b);
    cut(b);
    connect_to(b, 5, true);
    flush(b);
    assert_int_equal(b->s->jobs.count, 0);
    assert_int_equal(b->s->promises.count, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, before, after)

/* Attempt 7 printed all that it prints, and is taken for lost; attempt 8 begins, prints, and is fenced after a restart of the
 * broker, to which 7 has come back first, with its result. What counts was printed, was told, and was said to count no more. */
static void r21_the_attempt_that_wins_had_printed(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    add(b, j, 4, 3);
    connect_to(b, 5, false);
    print(1, 7, 1, 1, 0, "abc\n");
    print(2, 8, 1, 1, 0, "ab");
    assert_true(b->print.again);
    session_disconnected(b->s, b->now);
    connect_to(b, 6, false);
    done_by(b, 7, 1, 1);
    assert_int_equal(told.n, 1);
    assert_int_equal(b->print.lost, 4);
    assert_false(b->print.silent);              /* it printed 4 bytes: they are lost, or come once more */
}

/* What an attempt that is over had printed comes behind what the next has: its outcome is well, and its output is gone. */
static void r21_output_of_an_attempt_before_comes_late(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    add(b, j, 4, 3);
    connect_to(b, 5, false);
    print(1, 8, 1, 1, 0, "abc\n");
    print(2, 7, 1, 1, 0, "ab\n");               /* of the attempt before */
    done_by(b, 8, 1, 1);
    assert_int_equal(told.n, 1);
    assert_int_equal(b->print.lost, 4);
    assert_false(b->print.silent);
}

/* Its program has not taken the output of the task when the broker is started anew: its outcome waits as before. */
static void r21_an_outcome_waits_for_output_of_the_epoch_before(void **state)
{
    (void)state;
    struct session_job *j = a_job(b, a_pool(b), false, &told);
    b->slow = true;
    add(b, j, 4, 3);
    connect_to(b, 5, false);
    print(1, 7, 1, 1, 0, "abc\n");
    struct session_print first = b->print;
    done_by(b, 7, 1, 1);
    assert_int_equal(told.n, 0);
    session_disconnected(b->s, b->now);
    connect_to(b, 6, false);
    print(1, 7, 1, 1, 0, "abc\n");              /* the worker says it again: it is queued for the program already */
    sent(b);
    flush(b);
    assert_null(strstr(sent(b), "OUTPUT_ACK"));
    done_by(b, 7, 1, 1);
    assert_int_equal(told.n, 0);
    session_output_taken(b->s, &first);
    assert_int_equal(told.n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(from_hello_to_the_end),
        T(outcomes_out_of_order_and_twice),
        T(outcomes_nobody_waits_for),
        T(batches_of_one_size_and_of_many),
        T(the_window_stops_and_acknowledgements_free),
        T(a_quota_of_tasks_smaller_than_a_batch),
        T(a_quota_of_bytes_smaller_than_a_batch),
        T(a_task_larger_than_the_quota_is_refused),
        T(a_cut_in_the_middle_of_a_batch),
        T(a_cut_before_anything_arrived),
        T(a_finished_job_is_forgotten_after_a_cut),
        T(a_broker_that_has_restarted),
        T(a_broker_that_has_forgotten_us),
        T(at_most_once_tells_what_may_have_started),
        T(many_assignments_in_one_turn),
        T(cancelling_what_was_not_sent),
        T(cancelling_what_was_sent),
        T(a_cancel_waits_for_its_tasks),
        T(r15_a_cancel_on_its_way_is_said_again),
        T(r15_a_cancelled_task_that_never_arrived_is_settled),
        T(r15_a_close_that_may_be_lost_is_said_again),
        T(r02_a_question_is_asked_until_it_is_answered),
        T(r02_what_was_promised_not_to_run_is_cancelled_after_a_restart),
        T(r02_a_promise_takes_nothing_back_that_was_told_to_go_on), T(r02_promises_that_are_kept_while_others_are_cut),
        T(r02_an_answer_to_a_question_that_is_to_be_asked_again_counts), T(r02_answers_of_one_connection_count_together),
        T(r02_a_question_whose_tasks_have_ended_counts_what_was_seen), T(r02_what_was_cancelled_before_it_is_asked_does_not_count),
        T(r02_what_was_seen_between_two_questions_counts_once), T(r02_what_was_seen_counts_without_the_first_answer),
        T(r02_all_answers_of_one_connection_count), T(r02_an_answer_of_an_earlier_connection_counts_no_more),
        T(r02_what_was_seen_before_the_connection_counts_besides_its_answers),
        T(r02_a_promise_that_was_kept_is_not_asked_for_again), T(r02_outcomes_of_one_job_keep_no_promise_about_another),
        T(r02_a_promise_holds_with_a_broker_that_has_forgotten_us), T(r02_promises_go_with_their_job),
        T(r02_a_promise_is_asked_for_until_the_last_outcome), T(r02_what_another_call_cancels_meanwhile_does_not_count),
        T(r02_all_that_is_cancelled_here_counts),
        T(a_job_closed_without_tasks),
        T(closing_a_pool_drops_its_jobs),
        T(r05_counts_come_back_with_a_replay),
        T(closing_a_pool_between_two_epochs),
        T(many_pools_and_jobs_at_once),
        T(a_map_is_cut_from_its_array),
        T(a_map_that_is_given_up_is_not_read_again),
        T(an_error_ends_the_session),
        T(questions_and_answers),
        T(a_ping_is_answered_and_a_farewell_followed),
        T(a_silent_broker_is_left),
        T(a_stall_of_ours_is_not_the_brokers_silence),
        T(nothing_asked_is_no_silence_either),
        T(acknowledgements_are_gathered),
        T(states_of_pools_and_output),
        T(r15_what_the_broker_has_lost_is_sent_again), T(r15_a_broker_that_has_all_is_asked_on),
        T(r15_what_was_put_off_is_sent_when_there_is_room), T(r15_a_question_is_asked_again_behind_what_is_sent_again),
        T(a_refused_job_is_only_that_job),
        T(a_refusal_that_found_no_memory_is_told_by_the_next_flush),
        T(a_refused_pool_ends_all_its_jobs),
        T(a_map_that_was_hardly_sent_is_refused_whole),
        T(r21_an_outcome_waits_for_the_output_of_its_job), T(r21_a_task_that_runs_again_in_its_attempt),
        T(r21_output_that_comes_again_is_told_once),
        T(r21_output_of_an_epoch_that_ended_is_not_acknowledged), T(r21_a_task_that_prints_nothing_when_it_runs_again),
        T(r21_output_that_is_not_told_is_acknowledged), T(r21_the_attempt_that_wins_had_printed),
        T(r21_output_of_an_attempt_before_comes_late), T(r21_an_outcome_waits_for_output_of_the_epoch_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
