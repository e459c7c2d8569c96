/* SPDX-License-Identifier: MPL-2.0
 * client_threads.c - many threads in one session: who drives, who is woken. A wake-up that is lost hangs here and ends by the
 * test's time limit. Also run under the thread sanitizer.
 */
#include "tasks.h"

#include <poll.h>
#include <semaphore.h>

#if defined(BF_SANITIZED)
#define SUBMITS 200
#define ROUNDS 60
#else
#define SUBMITS 1000
#define ROUNDS 300
#endif

static bfork_pool *pool;

static int open_pool(void **state)
{
    (void)state;
    pool = bfork_pool_new(NULL, 2, NULL);
    return bfork_pool_error(pool) ? -1 : 0;
}

static int free_pool(void **state)
{
    (void)state;
    bfork_pool_free(&pool);
    return 0;
}

static void run(void *(*f)(void *), size_t n, void *arg)
{
    pthread_t threads[16];
    for (size_t i = 0; i < n; i++)
        ok(pthread_create(&threads[i], NULL, f, arg));
    for (size_t i = 0; i < n; i++) {
        void *failed;
        ok(pthread_join(threads[i], &failed));
        assert_null(failed);
    }
}

static void *submits_and_waits(void *arg)
{
    bfork_future *f[SUBMITS];
    uintptr_t wrong = 0;
    (void)arg;
    for (int i = 0; i < SUBMITS; i++)
        f[i] = bfork_submit(pool, add_one, i);
    for (int i = 0; i < SUBMITS; i++) {
        int y;
        wrong += bfork_result(f[i], &y) != 0 || y != i + 1;
        bfork_future_free(&f[i]);
    }
    return (void *)wrong;
}

static void eight_threads_in_one_pool(void **state)
{
    (void)state;
    run(submits_and_waits, 8, NULL);
}

static void *one_after_another(void *arg)
{
    uintptr_t wrong = 0;
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        int y;
        bfork_future *f = bfork_submit(pool, add_one, i);
        wrong += bfork_result(f, &y) != 0 || y != i + 1;
        bfork_future_free(&f);
    }
    return (void *)wrong;
}

static void each_waits_for_its_own(void **state)
{
    (void)state;
    run(one_after_another, 4, NULL);
}

struct handover { bfork_future *futures[SUBMITS]; sem_t there; };

static void *waits_for_others_work(void *arg)
{
    struct handover *h = arg;
    uintptr_t wrong = 0;
    for (int i = 0; i < SUBMITS; i++) {
        int y;
        sem_wait(&h->there);
        wrong += bfork_result(h->futures[i], &y) != 0 || y != i + 1;
        bfork_future_free(&h->futures[i]);
    }
    return (void *)wrong;
}

static void one_submits_another_waits(void **state)
{
    static struct handover h;
    pthread_t waiter;
    void *failed;
    (void)state;
    sem_init(&h.there, 0, 0);
    ok(pthread_create(&waiter, NULL, waits_for_others_work, &h));
    for (int i = 0; i < SUBMITS; i++) {
        h.futures[i] = bfork_submit(pool, add_one, i);
        sem_post(&h.there);
        if (i % 50 == 0)
            poll(NULL, 0, 3);                   /* long enough for the helper to take over */
    }
    ok(pthread_join(waiter, &failed));
    assert_null(failed);
    sem_destroy(&h.there);
}

static void *waits_for_one(void *arg)
{
    return (void *)(uintptr_t)(bfork_future_wait(arg, BFORK_FOREVER) != 0);
}

/* The one who sleeps for a long task must not keep a short one from starting, nor the other from hearing of it. */
static void a_long_wait_does_not_hold_up_others(void **state)
{
    const char *gate = fresh("gate_threads");
    pthread_t sleeper;
    void *failed;
    (void)state;
    bfork_future *slow = bfork_submit(pool, waits_for_file, gate);
    ok(pthread_create(&sleeper, NULL, waits_for_one, slow));
    for (int i = 0; i < ROUNDS; i++) {
        int y;
        bfork_future *f = bfork_submit(pool, add_one, i);
        ok(bfork_result(f, &y));
        assert_int_equal(y, i + 1);
        bfork_future_free(&f);
    }
    fclose(fopen(gate, "w"));
    ok(pthread_join(sleeper, &failed));
    assert_null(failed);
    bfork_future_free(&slow);
}

/* Nobody waits at all: work goes on by itself. */
static void tasks_start_though_nobody_waits(void **state)
{
    const char *gate = fresh("gate_nobody"), *path = fresh("nobody_waits");
    bfork_pool *many = bfork_pool_new(NULL, 20, NULL);
    bfork_future *slow[17], *f;
    (void)state;
    for (int i = 0; i < 17; i++)
        slow[i] = bfork_submit(many, waits_for_file, gate);
    assert_int_equal(bfork_future_wait(slow[0], 20), BFORK_ETIMEDOUT);
    poll(NULL, 0, 10);                          /* the helper drives now */
    f = bfork_submit(many, touches, path);
    wait_for_file(path);
    bfork_future_free(&f);
    for (int i = 0; i < 17; i++)
        bfork_future_free(&slow[i]);
    bfork_pool_terminate(many);
    bfork_pool_free(&many);
}

static uint32_t random_next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static uintptr_t take(bfork_stream *stream, int *left, int timeout_ms)
{
    bfork_future *f;
    int rc = bfork_stream_next(stream, timeout_ms, &f);
    if (rc != 0)
        return rc != BFORK_ETIMEDOUT;
    uintptr_t wrong = bfork_result(f) != 0;
    bfork_future_free(&f);
    (*left)--;
    return wrong;
}

/* Submits, waits, streams, maps, cancels and naps in any order. */
static void *anything(void *arg)
{
    static _Atomic uint32_t seeds;
    uint32_t random = atomic_fetch_add(&seeds, 1) * 7919 + 17;
    bfork_stream *stream = bfork_stream_new();
    uintptr_t wrong = 0;
    int left = 0;
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        int in[50] = { 0 }, out[50], y;
        bfork_future *f;
        switch (random_next(&random) % 8) {
        case 0: case 1:
            f = bfork_submit(pool, add_one, i);
            wrong += bfork_result(f, &y) != 0 || y != i + 1;
            bfork_future_free(&f);
            break;
        case 2: case 3:
            for (uint32_t k = random_next(&random) % 20; k--; left++)
                bfork_stream_add(stream, bfork_submit(pool, add_one, i), NULL);
            break;
        case 4:
            if (left)
                wrong += take(stream, &left, random_next(&random) % 2 ? BFORK_FOREVER : 0);
            break;
        case 5:
            wrong += bfork_map(pool, square, in, out, 1 + random_next(&random) % 50) != 0;
            break;
        case 6:
            f = bfork_submit(pool, add_one, i);
            if (random_next(&random) % 2)
                bfork_future_cancel(f, 0);
            bfork_future_free(&f);
            break;
        default:
            poll(NULL, 0, (int)(random_next(&random) % 5));
            break;
        }
    }
    while (left)
        wrong += take(stream, &left, BFORK_FOREVER);
    bfork_stream_free(&stream);
    return (void *)wrong;
}

static void anything_in_five_threads(void **state)
{
    (void)state;
    run(anything, 5, NULL);
}

static void *fills_the_queue(void *arg)
{
    bfork_pool *small = arg;
    for (;;) {
        bfork_future *f = bfork_submit(small, sleeps);
        const bfork_error *e = bfork_future_error(f);
        int kind = e ? e->kind : 0;
        bfork_future_free(&f);
        if (kind)
            return (void *)(uintptr_t)(kind != BFORK_ECLOSED);
    }
}

static void closing_ends_the_wait_for_room(void **state)
{
    pthread_t threads[3];
    bfork_pool *small = bfork_pool_new(NULL, 1, &(bfork_pool_options){ .max_queued = 3 });
    (void)state;
    for (int i = 0; i < 3; i++)
        ok(pthread_create(&threads[i], NULL, fills_the_queue, small));
    poll(NULL, 0, 20);                          /* right whenever it happens */
    bfork_pool_close(small);
    for (int i = 0; i < 3; i++) {
        void *failed;
        ok(pthread_join(threads[i], &failed));
        assert_null(failed);
    }
    bfork_pool_terminate(small);
    ok(bfork_pool_join(small, BFORK_FOREVER));
    bfork_pool_free(&small);
}

static void cancelling_wakes_who_waits(void **state)
{
    bfork_pool *p = bfork_pool_new(NULL, 1, NULL);
    bfork_future *f[3];
    pthread_t threads[3];
    (void)state;
    for (int i = 0; i < 3; i++) {
        f[i] = bfork_submit(p, sleeps);
        ok(pthread_create(&threads[i], NULL, waits_for_one, f[i]));
    }
    for (int i = 2; i >= 0; i--) {
        void *failed;
        ok(bfork_future_cancel(f[i], 0));
        ok(pthread_join(threads[i], &failed));
        assert_null(failed);
        assert_int_equal(bfork_future_error(f[i])->kind, BFORK_CANCELLED);
        bfork_future_free(&f[i]);
    }
    bfork_pool_free(&p);
}

/* The helper drives while maps are given up. */
static void giving_up_maps_while_the_helper_drives(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++) {
        int *in = calloc(20000, sizeof(*in)), *out = calloc(20000, sizeof(*out));
        bfork_future *f = bfork_map_async(pool, square, in, out, 20000, NULL);
        poll(NULL, 0, i % 6);
        bfork_future_free(&f);
        free(in);
        free(out);
    }
}

static void *own_session(void *arg)
{
    uintptr_t wrong = 0;
    (void)arg;
    for (int i = 0; i < 3; i++) {
        bfork_session *s = bfork_session_new("local:", NULL);
        bfork_pool *p = bfork_pool_new(s, 1, NULL);
        int y;
        bfork_future *f = bfork_submit(p, add_one, i);
        bfork_session_free(&s);
        wrong += bfork_result(f, &y) != 0 || y != i + 1;
        bfork_pool_free(&p);
        bfork_future_free(&f);
    }
    return (void *)wrong;
}

static void sessions_in_several_threads(void **state)
{
    (void)state;
    run(own_session, 4, NULL);
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eight_threads_in_one_pool),
        cmocka_unit_test(each_waits_for_its_own),
        cmocka_unit_test(one_submits_another_waits),
        cmocka_unit_test(a_long_wait_does_not_hold_up_others),
        cmocka_unit_test(tasks_start_though_nobody_waits),
        cmocka_unit_test(anything_in_five_threads),
        cmocka_unit_test(closing_ends_the_wait_for_room),
        cmocka_unit_test(cancelling_wakes_who_waits),
        cmocka_unit_test(giving_up_maps_while_the_helper_drives),
        cmocka_unit_test(sessions_in_several_threads),
    };
    return cmocka_run_group_tests(tests, open_pool, free_pool);
}
