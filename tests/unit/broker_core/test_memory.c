/* SPDX-License-Identifier: MPL-2.0
 * test_memory.c - each single allocation of the core fails once, at every place of a schedule with work, failures, a cancel, a lost
 * worker and a restart's adoption. Nothing may crash or leak, all invariants hold, and a client that comes later is served.
 */
#include "world.h"

#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static bool inside;
static long left;               /* allocations until the one that fails; < 0: it has failed */

static bool fails(void) { return inside && left >= 0 && left-- == 0; }
void *__wrap_malloc(size_t n) { return fails() ? NULL : __real_malloc(n); }
void *__wrap_calloc(size_t n, size_t size) { return fails() ? NULL : __real_calloc(n, size); }
void *__wrap_realloc(void *p, size_t n) { return fails() ? NULL : __real_realloc(p, n); }
static void around(bool in) { inside = in; }

static const struct attempt_seen *last(const struct world *w) { return w->n_seen ? &w->seen[w->n_seen - 1] : NULL; }

static bool up(struct world *w, const char *name) { return world_peer(w, name)->id != 0; }

/* Sends only while the peer is connected, as real ones do. */
#define IF_UP(name, call) do { if (up(w, name)) call; } while (0)

static void schedule(struct world *w)
{
    struct wire_job_spec spec = { .retries = 1, .chunk = 5 };
    struct wire_item some = { .job = 1, .first = 3, .count = 9, .why = WIRE_WHY_QUEUED }, told = { 0 };
    const struct attempt_seen *s;

    w->features = WIRE_FEATURES;
    worker_hello_only(w, "w1", 2, NULL);
    IF_UP("w1", worker_holding(w, "w1", NULL, 0));
    client_hello(w, "c1");
    IF_UP("c1", client_pool(w, "c1", 1, 2));
    IF_UP("c1", client_job(w, "c1", 1, 1, &spec));
    IF_UP("c1", client_tasks(w, "c1", 1, 0, 20, 100));
    IF_UP("c1", client_tasks(w, "c1", 1, 20, 3, 5000));
    if ((s = last(w)) && up(w, "w1"))
        worker_done(w, "w1", s->id, s->first, 2, 1000);
    if (s && up(w, "w1"))
        worker_failed(w, "w1", s->id, s->first + 2, BFORK_FAILED);
    IF_UP("c1", client_cancel(w, "c1", 1, 12, 3));
    IF_UP("c1", client_cancel(w, "c1", 1, 1, 2));
    IF_UP("c1", world_send(w, "c1", &(struct wire_msg){ .type = WIRE_CANCEL, .request = 1, .items = &some, .n_items = 1 }));
    if (s && up(w, "w1")) {
        told = (struct wire_item){ .id = s->id, .first = s->first + 4 };
        world_send(w, "w1", &(struct wire_msg){ .type = WIRE_RECALLED, .items = &told, .n_items = 1 });
    }
    if (up(w, "w1"))
        world_lost(w, "w1");
    world_after(w, 6000);
    worker_hello_only(w, "w2", 1, NULL);
    IF_UP("w2", worker_holding(w, "w2", NULL, 0));
    world_restart(w, EPOCH * 2);
    if (last(w)) {
        uint64_t id = last(w)->id;
        worker_hello_only(w, "w2", 1, NULL);
        IF_UP("w2", worker_holding(w, "w2", &id, 1));
    }
    client_hello(w, "c1");
    IF_UP("c1", client_pool(w, "c1", 1, 2));
    IF_UP("c1", client_job(w, "c1", 1, 1, &spec));
    IF_UP("c1", client_replay(w, "c1", 1, 0, 12, 0));
    world_after(w, 4000);
}

static void later(struct world *w)
{
    w->around = NULL;
    worker_hello(w, "w3", 1);
    client_start(w, "c3", 1, NULL);
    w->n_seen = 0;
    client_tasks(w, "c3", 1, 0, 1, 100);
    for (int i = 0; i < 50 && up(w, "w3"); i++) {
        for (size_t n = w->n_seen; n--;)
            if (w->seen[n].count == 1 && w->seen[n].first == 0 && w->seen[n].size == 100)
                return;
        world_after(w, 100);
        simple(w, "w3", WIRE_PING, 1);
    }
    fail_msg("a later client was not served");
}

static void no_refusal(struct world *w, struct world_peer *p, const struct wire_msg *m)
{
    (void)w;
    if (m->type == WIRE_ERROR || (m->type == WIRE_POOL_STATE && m->u.pool_state.code) ||
        (m->type == WIRE_JOB_STATE && m->u.job_state.code))
        fail_msg("%s is told %s", p->name, wire_type_name(m->type));
}

/* Nothing that was open ends for want of memory: who asked is cut, and comes back. */
static void r15_every_allocation_fails_once(void **state)
{
    long n = 0;

    (void)state;
    do {
        struct world *w = world_new(NULL);
        w->quiet = true;
        w->hook = no_refusal;
        w->around = around;
        left = n;
        schedule(w);
        later(w);
        world_free(w);
    } while (left < 0 && ++n < 5000);
    assert_in_range(n, 50, 4999);       /* it came to its end, and there was something to fail */
}

static struct { uint64_t taken, outcomes; } told;

static void on_told(struct world *w, struct world_peer *p, const struct wire_msg *m)
{
    (void)w;
    (void)p;
    for (uint32_t i = 0; i < m->n_items && m->type == WIRE_OUTPUT_TAKEN; i++)
        told.taken += m->items[i].size;
    told.outcomes += m->type == WIRE_OUTCOMES;
}

static struct world *one_task(void)
{
    struct world *w = world_new(NULL);

    memset(&told, 0, sizeof(told));
    w->quiet = true;
    w->hook = on_told;
    worker_hello(w, "w1", 1);
    client_start(w, "c1", 1, NULL);
    client_tasks(w, "c1", 1, 0, 1, 100);
    w->around = around;
    return w;
}

/* Nothing happens but turns. True: an allocation had failed. */
static bool quiet_turns(struct world *w)
{
    bool failed = left < 0;

    w->around = NULL;
    for (int i = 0; i < 3; i++)
        world_step(w);
    return failed;
}

/* What nobody waits for: untold, the window that it came in would stay closed. */
static void r21_output_is_given_back_or_its_worker_is_cut(void **state)
{
    struct wire_item it = { .id = 77, .job = 1, .count = 1, .flags = WIRE_FIXED, .size = 4, .seq = 1, .stream = 1, .pid = 5,
                            .tries = 1, .body = slice_borrow((const uint8_t *)"abc\n", 4) };
    long n = 0;
    bool failed;

    (void)state;
    do {
        struct world *w = one_task();
        left = n;
        world_send(w, "w1", &(struct wire_msg){ .type = WIRE_OUTPUT, .items = &it, .n_items = 1 });
        failed = quiet_turns(w);
        assert_true(told.taken == 4 + WIRE_OUTPUT_COST || !up(w, "w1"));
        world_free(w);
    } while (failed && ++n < 100);
    assert_in_range(n, 1, 99);
}

static void r15_outcomes_go_out_when_there_is_memory_again(void **state)
{
    long n = 0;
    bool failed;

    (void)state;
    do {
        struct world *w = one_task();
        left = n;
        worker_done(w, "w1", 1, 0, 1, 1000);
        failed = quiet_turns(w);
        assert_true(told.outcomes || !up(w, "c1") || !up(w, "w1"));
        world_free(w);
    } while (failed && ++n < 100);
    assert_in_range(n, 1, 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(r15_every_allocation_fails_once),
                                        cmocka_unit_test(r21_output_is_given_back_or_its_worker_is_cut),
                                        cmocka_unit_test(r15_outcomes_go_out_when_there_is_memory_again) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
