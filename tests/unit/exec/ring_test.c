/* SPDX-License-Identifier: MPL-2.0
 * ring_test.c - the rings under pressure: owner and process at full speed with random item sizes, retractions in between, rings
 * that are full, the largest task; and a ring whose contents a hostile process has made up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "exec/objects.h"
#include "owner.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char self[4096];
#define FN(f) ((void (*)(void))(f))
#ifdef BF_SANITIZED
#define ROUNDS 3000
#else
#define ROUNDS 30000
#endif

static uint32_t random_next(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(*seed >> 33);
}

static void sleep_for_results(struct owner *o, enum exec_want want)
{
    struct pollfd f = { exec_fd(o->x), POLLIN, 0 };

    if (!exec_arm(o->x, want))
        assert_int_equal(poll(&f, 1, 20000), 1);
    exec_step(o->x, clock_now());
}

/* Squares of a counter; taken back ones are pushed again, so each must come exactly once and in order. */
static void tasks_taken_back_and_pushed_again_come_once(void **state)
{
    struct owner o;
    struct exec_proc *p;
    struct wire_item item;
    uint64_t seed = 42;
    unsigned pushed = 0, done = 0, in[512];
    (void)state;

    owner_open(&o, &(struct pool){ .program = self });
    p = owner_proc(&o);
    owner_job(p, 1, FN(map_square), 4, 4);
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t n = 1 + random_next(&seed) % 512, k;
        for (uint32_t i = 0; i < n; i++)
            in[i] = pushed + i;
        struct wire_item push = { .count = n, .flags = WIRE_FIXED, .size = 4, .body = slice_borrow(in, 4 * (size_t)n) };
        k = exec_push(p, 1, &push, 1 + random_next(&seed) % 64, random_next(&seed) % 2);
        pushed += k;
        if (random_next(&seed) % 3 == 0)
            pushed -= exec_retract(p, random_next(&seed) % 600);
        exec_kick(p);
        while (exec_pull(p, &item))
            for (uint32_t i = 0; i < item.count; i++, done++) {
                unsigned x;
                memcpy(&x, item.body.data + 4 * i, 4);
                assert_int_equal(x, done * done);
            }
        if (k == 0)
            sleep_for_results(&o, round % 2 ? EXEC_LOW : EXEC_NEXT);
        assert_int_equal(exec_pending(p), pushed - done);
    }
    while (exec_pending(p)) {
        if (!exec_pull(p, &item))
            sleep_for_results(&o, EXEC_LOW);
        else
            done += item.count;
    }
    assert_int_equal(done, pushed);
    owner_close(&o);
}

static void items_of_any_length_come_back_whole(void **state)
{
    struct owner o;
    struct exec_proc *p;
    struct wire_item item;
    uint64_t seed = 7, seed_back = 7;
    uint8_t *body = malloc(WIRE_TASK_MAX);
    uint32_t left = ROUNDS / 10, waiting = left;
    (void)state;

    owner_open(&o, &(struct pool){ .program = self });
    p = owner_proc(&o);
    owner_job(p, 1, FN(task_echo), 0, 0);
    while (waiting) {
        uint32_t n = 3 + random_next(&seed) % 200000;           /* a bin of so many bytes, all alike */
        uint64_t before = seed;
        body[0] = 0xc6;
        for (int i = 0; i < 4; i++)
            body[1 + i] = (uint8_t)(n >> (24 - 8 * i));
        memset(body + 5, (int)n, n);
        struct wire_item push = { .count = 1, .flags = WIRE_FIXED, .size = n + 5, .body = slice_borrow(body, n + 5) };
        if (left && exec_push(p, 1, &push, 2, false) == 1)
            left--;
        else if (left)
            before = 0;                                         /* no room: again with the same size */
        uint32_t got = 0;
        while (exec_pull(p, &item)) {
            size_t at = 0;
            for (uint32_t i = 0; i < item.count; i++, waiting--, got++) {
                uint32_t size = 3 + random_next(&seed_back) % 200000;
                assert_int_equal(wire_len_at(&item, i), size + 5);
                assert_int_equal(item.body.data[at + 5], (uint8_t)size);
                assert_int_equal(item.body.data[at + size + 4], (uint8_t)size);
                at += size + 5;
            }
        }
        if (before == 0)
            seed = (seed - 1442695040888963407ull) * 13877824140714322085ull;   /* the generator's step back */
        if (!got && waiting && (before == 0 || !left))
            sleep_for_results(&o, EXEC_NEXT);
    }
    free(body);
    owner_close(&o);
}

static void the_largest_task_fits_twice(void **state)
{
    struct owner o;
    struct exec_proc *p;
    struct wire_item item;
    uint8_t *body = calloc(1, WIRE_TASK_MAX);
    uint32_t n = WIRE_TASK_MAX - 5, done = 0;
    (void)state;

    body[0] = 0xc6;
    for (int i = 0; i < 4; i++)
        body[1 + i] = (uint8_t)(n >> (24 - 8 * i));
    owner_open(&o, &(struct pool){ .program = self });
    p = owner_proc(&o);
    owner_job(p, 1, FN(task_echo), 0, 0);
    owner_push(p, 1, body, WIRE_TASK_MAX, 1, 1);
    owner_push(p, 1, body, WIRE_TASK_MAX, 1, 1);
    while (done < 2 && owner_pull(&o, p, &item)) {
        assert_int_equal(item.body.size, WIRE_TASK_MAX * (uint64_t)item.count);
        done += item.count;
    }
    assert_int_equal(done, 2);
    free(body);
    owner_close(&o);
}

/* The process is stopped by a signal and the test writes into its ring what a hostile one could. */
struct hostile { struct owner o; struct exec_proc *p; };

static void hostile_open(struct hostile *h)
{
    owner_open(&h->o, &(struct pool){ .program = self });
    h->p = owner_proc(&h->o);
    kill(exec_proc_pid(h->p), SIGSTOP);
    owner_job(h->p, 1, FN(map_square), 4, 4);
    owner_push(h->p, 1, "abcd", 4, 10, 1);
}

static void hostile_is_killed(struct hostile *h)
{
    struct wire_item item;

    exec_step(h->o.x, clock_now());
    assert_false(exec_pull(h->p, &item));
    owner_until(&h->o, &h->o.died, 1);
    assert_int_equal(h->o.death.kind, BFORK_CRASHED);
    assert_non_null(strstr(h->o.message, "task ring"));
    owner_close(&h->o);
}

static void made_up_results_end_the_process(void **state)
{
    static const struct { uint32_t bytes, first, done, kind, fixed, size; uint64_t head; } lies[] = {
        { 48, 0, 1, WIRE_OK, 1, 4, UINT64_MAX }, { 0, 0, 1, WIRE_OK, 1, 4, 48 }, { 48, 1, 1, WIRE_OK, 1, 4, 48 },
        { 48, 0, 11, WIRE_OK, 1, 4, 48 }, { 48, 0, 1, WIRE_OK, 1, 8, 48 }, { 48, 0, 1, WIRE_OK, 0, 4, 48 },
        { 48, 0, 1, 7, 1, 4, 48 }, { 47, 0, 1, WIRE_OK, 1, 4, 48 }, { 4096, 0, 1, WIRE_OK, 1, 4, 48 },
        { 48, 0, 1, WIRE_OUTCOME, 0, 0xffffffff, 48 }, { 48, 0, 0, WIRE_OK, 1, 4, 48 }, { 48, 0, 5, WIRE_OK, 1, 4, 48 },
        { 96, 0, 11, WIRE_OK, 1, 4, 96 },       /* room for eleven, and ten were asked for */
    };
    (void)state;

    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct hostile h;
        hostile_open(&h);
        struct ring_result *r = (struct ring_result *)(void *)h.p->ring.results;
        *r = (struct ring_result){ .bytes = lies[i].bytes, .first = lies[i].first, .done = lies[i].done, .kind = lies[i].kind,
                                   .fixed = lies[i].fixed, .size = lies[i].size };
        atomic_store(&h.p->ring.control->result_head, lies[i].head);
        hostile_is_killed(&h);
    }
}

static void a_made_up_word_ends_the_process(void **state)
{
    static const uint64_t words[] = { UINT64_MAX, 0, 5ull << 32 | 7, 11ull << 32, 10ull << 32 | 0x80000000u };
    (void)state;

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        struct hostile h;
        hostile_open(&h);
        atomic_store(&h.p->ring.control->word, words[i]);
        assert_int_equal(exec_retract(h.p, 100), 0);
        hostile_is_killed(&h);
    }
}

/* Who waits for room in the result ring is woken when there is some: looked at while it cannot move. */
static void a_process_that_waits_for_result_room_is_woken(void **state)
{
    struct owner o;
    struct exec_proc *p;
    struct wire_item item;
    uint8_t args[16];
    uint32_t n = pack_int(args, 900000);
    uint64_t until = clock_now() + 20 * CLOCK_SEC;
    (void)state;

    owner_open(&o, &(struct pool){ .program = self });
    p = owner_proc(&o);
    struct ring_control *c = p->ring.control;
    owner_job(p, 1, FN(task_bytes), 0, 0);
    owner_push(p, 1, args, n, 5, 1);        /* the third does not fit */
    while (atomic_load(&c->sleeping) != RING_NO_ROOM)
        assert_true(clock_now() < until);
    kill(exec_proc_pid(p), SIGSTOP);
    exec_step(o.x, clock_now());
    assert_true(exec_pull(p, &item));
    assert_int_equal(atomic_load(&c->sleeping), RING_AWAKE);
    kill(exec_proc_pid(p), SIGCONT);
    for (uint32_t done = item.count; done < 5; done += item.count)
        assert_true(owner_pull(&o, p, &item));
    owner_close(&o);
}

/* The process reads nothing: specifications end where the first unread one begins, and all that were taken are read later. */
static void specifications_that_are_not_read_are_not_overwritten(void **state)
{
    struct owner o;
    struct exec_proc *p;
    struct wire_item item;
    uint8_t args[16];
    uint32_t n = pack_int(args, 6), jobs = 1;
    uint8_t filler[4096];
    struct wire_job_spec s = { .kind = WIRE_JOB_TASKS, .context = wire_bin_of(filler, sizeof(filler)) };
    struct wire_fn none = { .kind = WIRE_FN_COMMAND };
    struct buf *fn = wire_fn_encode(&none), *spec;
    (void)state;

    memset(filler, 'f', sizeof(filler));
    s.fn = wire_bin_of(fn->data, fn->size);
    spec = wire_job_spec_encode(&s);
    owner_open(&o, &(struct pool){ .program = self });
    p = owner_proc(&o);
    kill(exec_proc_pid(p), SIGSTOP);
    owner_job(p, 1, FN(task_square), 0, 0);
    while (exec_push_job(p, jobs + 1, spec->data, spec->size) == 0)
        assert_true(++jobs * sizeof(filler) <= RING_JOBS);
    assert_true(jobs * sizeof(filler) > RING_JOBS / 2);
    owner_push(p, 1, args, n, 1, 1);
    kill(exec_proc_pid(p), SIGCONT);
    assert_true(owner_pull(&o, p, &item));
    assert_int_equal(owner_int(&item), 36);
    buf_unref(&fn);
    buf_unref(&spec);
    owner_close(&o);
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[n > 0 ? n : 0] = '\0';
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_taken_back_and_pushed_again_come_once), cmocka_unit_test(items_of_any_length_come_back_whole),
        cmocka_unit_test(the_largest_task_fits_twice), cmocka_unit_test(made_up_results_end_the_process),
        cmocka_unit_test(a_made_up_word_ends_the_process), cmocka_unit_test(a_process_that_waits_for_result_room_is_woken),
        cmocka_unit_test(specifications_that_are_not_read_are_not_overwritten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
