/* SPDX-License-Identifier: MPL-2.0
 * test_random.c - random schedules: clients submit, cancel, detach, come back, leave; workers answer, return, crash tasks, vanish,
 * drain, come back; the broker restarts. After every step all invariants hold; at the end every task of a client that stayed has
 * had exactly one outcome. The seed of a failure is printed; ./broker_core_random SEED runs one.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLIENTS 3
#define WORKERS 3
#define HELD 512
#define TASKS_MAX 4000
#define SEEDS 300
#define STEPS 400

struct held {
    uint64_t id, first, next, end, given;
    uint32_t job, size;
    uint8_t ticket[WIRE_TICKET], job_id[WIRE_ID], owner[WIRE_KEY];
};

struct fake_worker {
    char name[8];
    bool up, draining, deaf;    /* deaf: its connection is dead, but nobody has noticed yet */
    uint64_t epoch, features;
    struct held held[HELD];     /* chunks; done ones (next == end) too, until they are closed */
    size_t n;
    uint64_t asked[HELD];       /* attempts, for what has not begun */
    size_t n_asked;
    uint8_t job_ids[256][WIRE_ID];      /* by handle of the broker, this epoch */
    uint8_t owners[256][WIRE_KEY];      /* by pool */
    uint8_t job_owner[256][WIRE_KEY];
};

struct fake_client {
    char name[8];
    bool up, deaf;
    uint64_t submitted, seq, next_known;
    uint64_t epoch, needs;
    uint8_t outcome[TASKS_MAX];         /* received? */
    uint8_t unwanted[TASKS_MAX];        /* cancelled? */
    uint64_t told_in[TASKS_MAX];        /* seq of the outcome that was received */
    uint64_t acked;                     /* the seq up to which it has acknowledged in this epoch */
    bool once;
    int32_t retries;
    uint8_t ran[TASKS_MAX];             /* how many workers have begun it */
    bool assigned[TASKS_MAX];
    uint64_t oks[1024];
    size_t n_oks;
    bool reopened;
};

struct fake {
    struct world *w;
    uint64_t random;
    struct fake_worker workers[WORKERS];
    struct fake_client clients[CLIENTS];
    uint64_t duplicates;
    uint32_t n_asked;           /* by clients */
};

static uint32_t roll(struct fake *f, uint32_t n)
{
    f->random = f->random * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((f->random >> 33) % n);
}

static struct fake_worker *worker_named(struct fake *f, const char *name) { return &f->workers[name[1] - '1']; }
static struct fake_client *client_named(struct fake *f, const char *name) { return &f->clients[name[1] - '1']; }

static struct held *find(struct fake_worker *k, uint64_t id)
{
    for (size_t i = 0; i < k->n; i++)
        if (k->held[i].id == id)
            return &k->held[i];
    return NULL;
}

static void take_chunks(struct fake *f, struct fake_worker *k, const struct wire_msg *m)
{
    for (uint32_t i = 0; i < m->n_items; i++) {
        const struct wire_item *it = &m->items[i];
        struct held *h = &k->held[k->n++];
        assert_true(k->n <= HELD);
        assert_null(find(k, it->id) == h ? NULL : find(k, it->id));
        *h = (struct held){
            .id = it->id, .first = it->first, .next = it->first, .end = it->first + it->count, .given = it->end, .job = it->job
        };
        memcpy(h->ticket, it->ticket, WIRE_TICKET);
        memcpy(h->job_id, k->job_ids[it->job & 255], WIRE_ID);
        memcpy(h->owner, k->job_owner[it->job & 255], WIRE_KEY);
        struct fake_client *c = &f->clients[h->job_id[1] - '1'];
        if (c->once)
            for (uint64_t t = h->first; t < h->end; t++)
                if (++c->ran[t] > 1)
                    fail_msg("task %llu of an at most once job was handed out twice", (unsigned long long)t);
    }
}

static void take_worker(struct fake *f, struct fake_worker *k, const struct wire_msg *m)
{
    if (m->type == WIRE_GRANT && m->u.grant.owner.n)
        memcpy(k->owners[m->u.grant.pool & 255], m->u.grant.owner.p, WIRE_KEY);
    if (m->type == WIRE_JOB_SPEC) {
        memcpy(k->job_ids[m->u.job_spec.job & 255], m->u.job_spec.id.p, WIRE_ID);
        memcpy(k->job_owner[m->u.job_spec.job & 255], k->owners[m->u.job_spec.pool & 255], WIRE_KEY);
    }
    if (m->type == WIRE_CHUNKS)
        take_chunks(f, k, m);
    for (uint32_t i = 0; i < m->n_items && m->type == WIRE_RECALL; i++)
        if (m->items[i].why == WIRE_WHY_QUEUED) {
            assert_true(k->n_asked < HELD);
            k->asked[k->n_asked++] = m->items[i].id;
        }
    if (m->type == WIRE_ATTEMPTS_CLOSE)
        for (uint32_t i = 0; i < m->n_items; i++) {
            struct held *h = find(k, m->items[i].id);
            if (h)
                *h = k->held[--k->n];
        }
}

static void take_client(struct fake *f, struct fake_client *c, const struct wire_msg *m)
{
    if (m->type == WIRE_WELCOME && m->u.welcome.epoch != c->epoch) {
        c->epoch = m->u.welcome.epoch;
        c->seq = c->acked = 0;
    }
    if (m->type == WIRE_JOB_STATE)
        c->next_known = m->u.job_state.next;
    for (uint32_t i = 0; i < m->n_items && m->type == WIRE_ASSIGNED; i++) {
        const struct wire_item *it = &m->items[i];
        for (uint64_t t = it->first; t < it->first + it->count; t++)
            c->assigned[t] = true;
        assert_true(c->n_oks < 1024);
        c->oks[c->n_oks++] = it->id;
    }
    for (uint32_t i = 0; i < m->n_items && m->type == WIRE_OUTCOMES; i++) {
        const struct wire_item *it = &m->items[i];
        if (it->id != c->seq + 1) {
            if (it->id <= c->seq)
                continue;
            fail_msg("outcome %llu after %llu", (unsigned long long)it->id, (unsigned long long)c->seq);
        }
        c->seq = it->id;
        for (uint64_t t = it->first; t < it->first + it->count; t++) {
            assert_true(t < c->submitted);
            /* a cancel of what was settled and acknowledged long ago is answered all the same */
            if (c->outcome[t] && !(c->unwanted[t] && c->told_in[t] <= c->acked))
                f->duplicates++;
            c->outcome[t] = 1;
            c->told_in[t] = it->id;
        }
    }
}

static void hook(struct world *w, struct world_peer *p, const struct wire_msg *m)
{
    struct fake *f = w->ctx;

    if (m->type == WIRE_JOB_STATE && m->u.job_state.code)
        fail_msg("a job of %s was refused: %.*s", p->name, (int)m->u.job_state.text.n, m->u.job_state.text.p);
    if (m->type == WIRE_ERROR)
        fail_msg("%s got ERROR: %.*s", p->name, (int)m->u.error.text.n, m->u.error.text.p);
    if (p->role == WIRE_WORKER ? worker_named(f, p->name)->deaf : client_named(f, p->name)->deaf)
        return;
    if (p->role == WIRE_WORKER)
        take_worker(f, worker_named(f, p->name), m);
    else
        take_client(f, client_named(f, p->name), m);
}

/* ---- what clients do --------------------------------------------------------------------------------------------------------- */

static void client_up(struct fake *f, struct fake_client *c)
{
    uint64_t epoch = c->epoch;
    struct wire_job_spec spec = { .kind = WIRE_JOB_MAP, .retries = c->once ? -1 : c->retries, .needs = c->needs };

    world_peer(f->w, c->name)->epoch = c->epoch;
    client_hello(f->w, c->name);
    c->up = true;
    c->n_oks = 0;
    client_pool(f->w, c->name, 1, roll(f, 3) ? (int)roll(f, 4) + 1 : -1);
    world_peer(f->w, c->name)->acked = c->acked = c->seq;
    client_job(f->w, c->name, 1, 1, &spec);
    for (uint64_t t = c->next_known; t < c->submitted;) {
        uint64_t n = 1;
        uint32_t flags = c->assigned[t] ? WIRE_MAYBE_STARTED : 0;
        if (c->outcome[t]) {
            t++;
            continue;
        }
        while (t + n < c->submitted && !c->outcome[t + n] && n < 50 && c->assigned[t + n] == c->assigned[t])
            n++;
        if (epoch != c->epoch)
            client_replay(f->w, c->name, 1, t, (uint32_t)n, c->once ? flags : 0);
        else
            client_tasks(f->w, c->name, 1, t, (uint32_t)n, 100);
        t += n;
    }
}

static void client_step(struct fake *f, struct fake_client *c)
{
    uint32_t what = roll(f, 20), n = roll(f, 4) ? 1 + roll(f, 5) : 1 + roll(f, 100);

    if (c->deaf) {
        if (what < 5)
            world_lost(f->w, c->name);
        c->deaf = c->up = what >= 5;
        return;
    }
    if (!c->up) {
        if (what < 10)
            client_up(f, c);
        return;
    }
    if (what < 8 && c->submitted + n <= TASKS_MAX) {
        c->submitted += n;
        client_tasks(f->w, c->name, 1, c->submitted - n, n, roll(f, 3) ? 100 : roll(f, 3) * 3000);
    } else if (what < 14) {
        c->acked = c->seq;
        client_ack(f->w, c->name, 1, c->seq);
    } else if (what < 18 && c->n_oks) {
        struct wire_item it = { .id = c->oks[--c->n_oks], .job = 1 };
        struct wire_msg m = { .type = WIRE_ASSIGNED_OK, .items = &it, .n_items = 1 };
        world_send(f->w, c->name, &m);
    } else if (what == 18 && c->submitted) {
        uint32_t first = roll(f, (uint32_t)c->submitted), count = 1 + roll(f, 20);
        count = first + count > c->submitted ? (uint32_t)c->submitted - first : count;
        struct wire_item some = { .job = 1, .first = first, .count = count, .why = WIRE_WHY_QUEUED };
        if (roll(f, 2)) {
            memset(c->unwanted + first, 1, count);
            client_cancel(f->w, c->name, 1, first, count);
        } else {
            world_send(f->w, c->name, &(struct wire_msg){ .type = WIRE_CANCEL, .request = 1 + f->n_asked++, .items = &some,
                                                          .n_items = 1 });
        }
    } else if (what == 19 && !roll(f, 3)) {
        c->deaf = true;
    }
}

/* ---- what workers do --------------------------------------------------------------------------------------------------------- */

static void resend(struct fake *f, struct fake_worker *k)
{
    struct held copy[HELD];
    size_t n = k->n;

    memcpy(copy, k->held, sizeof(copy));
    for (size_t i = 0; i < n; i++)
        if (copy[i].next > copy[i].first && k->up && find(k, copy[i].id))
            worker_done(f->w, k->name, copy[i].id, copy[i].first, (uint32_t)(copy[i].next - copy[i].first), 1000);
}

static void worker_up(struct fake *f, struct fake_worker *k)
{
    struct wire_item items[HELD];
    struct wire_msg m = { .type = WIRE_HOLDING, .items = items, .n_items = 0 };

    world_peer(f->w, k->name)->epoch = k->epoch;
    f->w->features = k->features;
    worker_hello_only(f->w, k->name, 1 + roll(f, 4), NULL);
    f->w->features = 0;
    k->up = true;
    k->n_asked = 0;
    k->draining = false;
    k->epoch = world_peer(f->w, k->name)->epoch;
    memset(items, 0, sizeof(items));
    for (size_t i = 0; i < k->n; i++) {
        struct wire_item *it = &items[m.n_items];
        const struct held *h = &k->held[i];
        if (h->end == h->first)
            continue;
        it->id = h->id;
        it->first = h->first;
        it->count = (uint32_t)(h->end - h->first);
        it->end = h->given;
        memcpy(it->ticket, h->ticket, WIRE_TICKET);
        memcpy(it->job_id, h->job_id, WIRE_ID);
        memcpy(it->owner, h->owner, WIRE_KEY);
        m.n_items++;
    }
    for (size_t i = 0; i < k->n;)
        if (k->held[i].end == k->held[i].first)
            k->held[i] = k->held[--k->n];
        else
            i++;
    m.u.holding.last = true;
    world_send(f->w, k->name, &m);
    resend(f, k);
}

/* A new start of the worker: it holds nothing. */
static void worker_restart(struct fake *f, struct fake_worker *k)
{
    struct world_peer *p = world_peer(f->w, k->name);

    if (k->up)
        world_lost(f->w, k->name);
    k->up = false;
    k->n = 0;
    p->instance[8]++;
    p->conn_no = 0;
    k->epoch = 0;
}

static void give_back(struct fake *f, struct fake_worker *k, struct held *h)
{
    uint64_t from = h->next + roll(f, (uint32_t)(h->end - h->next)), id = h->id, end = h->end;
    struct fake_client *c = &f->clients[h->job_id[1] - '1'];

    if (from == h->next && from > h->first && from == h->end)
        return;
    h->end = from;
    for (uint64_t t = from; t < end && c->once; t++)
        c->ran[t]--;
    if (h->end == h->first)
        *h = k->held[--k->n];
    worker_returns(f->w, k->name, id, from, (uint32_t)(end - from));
}

/* What has not begun of an attempt that was asked for: all behind some task. */
static void answer(struct fake *f, struct fake_worker *k)
{
    uint64_t id = k->asked[--k->n_asked];
    struct held *h = find(k, id);
    struct wire_item it = { .id = id, .first = h ? h->end : TASKS_MAX };

    if (h && h->next < h->end)
        it.first = h->next + roll(f, (uint32_t)(h->end - h->next) + 1);
    for (uint64_t t = it.first; h && t < h->end && f->clients[h->job_id[1] - '1'].once; t++)
        f->clients[h->job_id[1] - '1'].ran[t]--;
    if (h)
        h->end = it.first;
    if (h && h->end == h->first)
        *h = k->held[--k->n];
    world_send(f->w, k->name, &(struct wire_msg){ .type = WIRE_RECALLED, .items = &it, .n_items = 1 });
}

static void worker_step(struct fake *f, struct fake_worker *k)
{
    uint32_t what = roll(f, 40);
    struct held *h = k->n ? &k->held[roll(f, (uint32_t)k->n)] : NULL;

    if (k->deaf) {
        if (what < 10)
            world_lost(f->w, k->name);
        k->deaf = k->up = what >= 10;
        return;
    }
    if (!k->up) {
        if (what < 20)
            worker_up(f, k);
        return;
    }
    if (what < 28 && k->n_asked && roll(f, 2)) {
        answer(f, k);
    } else if (what < 28 && h && h->next < h->end) {
        uint32_t n = 1 + roll(f, (uint32_t)(h->end - h->next));
        uint64_t first = h->next;
        h->next += n;
        worker_done(f->w, k->name, h->id, first, n, roll(f, 3) ? 1 + roll(f, 50) : roll(f, 60000));
    } else if (what < 31 && h && h->next < h->end) {
        uint64_t index = h->next++;
        struct fake_client *c = &f->clients[h->job_id[1] - '1'];
        static const int kinds[] = { BFORK_FAILED, BFORK_CRASHED, BFORK_OVERTIME, BFORK_CANCELLED };
        if (c->once)
            c->ran[index] = 1;
        worker_failed(f->w, k->name, h->id, index, kinds[roll(f, 4)]);
    } else if (what < 34 && h && h->next < h->end) {
        give_back(f, k, h);
    } else if (what == 34 && h && h->next > h->first) {
        worker_done(f->w, k->name, h->id, h->first, (uint32_t)(h->next - h->first), 5);     /* repeated */
    } else if (what == 35) {
        k->deaf = true;
    } else if (what == 36 && !roll(f, 4)) {
        worker_restart(f, k);
    } else if (what == 37 && !roll(f, 4)) {
        worker_state(f->w, k->name, 2, k->draining = true);
    } else if (what == 38) {
        worker_state(f->w, k->name, 1 + roll(f, 4), k->draining);
    } else if (what == 39) {
        worker_done(f->w, k->name, roll(f, 100000) + 5000000, 0, 1, 5);                     /* foreign */
    }
}

static void broker_restarts(struct fake *f)
{
    world_restart(f->w, f->w->config.epoch + (1ull << 32));
    for (size_t i = 0; i < WORKERS; i++)
        f->workers[i].up = f->workers[i].deaf = false;
    for (size_t i = 0; i < CLIENTS; i++)
        f->clients[i].up = f->clients[i].deaf = false;
}

/* Everybody behaves from here on: every task must come to its end. */
static void settle(struct fake *f)
{
    for (size_t i = 0; i < WORKERS; i++) {
        if (f->workers[i].deaf) {
            world_lost(f->w, f->workers[i].name);
            f->workers[i].deaf = f->workers[i].up = false;
        }
        if (f->workers[i].draining)
            worker_restart(f, &f->workers[i]);
        if (!f->workers[i].up)
            worker_up(f, &f->workers[i]);
    }
    for (int round = 0; round < 3000; round++) {
        bool open = false;
        for (size_t i = 0; i < CLIENTS; i++) {
            struct fake_client *c = &f->clients[i];
            if (c->deaf)
                world_lost(f->w, c->name);
            if (!c->up || c->deaf) {
                c->deaf = false;
                client_up(f, c);
            }
            while (c->n_oks) {
                struct wire_item it = { .id = c->oks[--c->n_oks], .job = 1 };
                struct wire_msg m = { .type = WIRE_ASSIGNED_OK, .items = &it, .n_items = 1 };
                world_send(f->w, c->name, &m);
            }
            c->acked = c->seq;
            client_ack(f->w, c->name, 1, c->seq);
            for (uint64_t t = 0; t < c->submitted; t++)
                open = open || !c->outcome[t];
        }
        if (!open)
            return;
        for (size_t i = 0; i < WORKERS; i++)
            for (size_t n = 0; n < f->workers[i].n; n++) {
                struct held *h = &f->workers[i].held[n];
                uint64_t first = h->next;
                if (h->next == h->end)
                    continue;
                if (f->workers[i].n_asked) {
                    answer(f, &f->workers[i]);
                    break;
                }
                h->next = h->end;
                worker_done(f->w, f->workers[i].name, h->id, first, (uint32_t)(h->end - first), 100);
            }
        world_after(f->w, 30);
        for (size_t i = 0; i < WORKERS; i++)
            simple(f->w, f->workers[i].name, WIRE_PING, 1);
    }
    for (size_t i = 0; i < CLIENTS; i++)
        for (uint64_t t = 0; t < f->clients[i].submitted; t++)
            if (!f->clients[i].outcome[t])
                fail_msg("task %llu of %s has no outcome", (unsigned long long)t, f->clients[i].name);
}

static void run(uint64_t seed)
{
    static struct fake fake;
    struct fake *f = &fake;
    struct broker_config config = { .detach_ms = 600000, .lost_limit = 3, .crash_limit = 2, .hold_ms = 500 };

    memset(f, 0, sizeof(*f));
    f->random = seed * 2654435761u + 1;
    f->w = world_new(&config);
    f->w->quiet = true;
    f->w->features = WIRE_FEATURES;
    f->w->hook = hook;
    f->w->ctx = f;
    for (size_t i = 0; i < WORKERS; i++) {
        snprintf(f->workers[i].name, sizeof(f->workers[i].name), "w%zu", i + 1);
        f->workers[i].features = i ? 0x100 : 0;
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        snprintf(f->clients[i].name, sizeof(f->clients[i].name), "c%zu", i + 1);
        f->clients[i].once = i == 2;
        f->clients[i].needs = i == 1 ? 0x100 : 0;
        f->clients[i].retries = (int32_t)roll(f, 3);
    }
    for (int step = 0; step < STEPS; step++) {
        uint32_t what = roll(f, 100);
        if (what < 40)
            client_step(f, &f->clients[roll(f, CLIENTS)]);
        else if (what < 90)
            worker_step(f, &f->workers[roll(f, WORKERS)]);
        else if (what < 98)
            world_after(f->w, roll(f, 10) ? roll(f, 30) : 0);
        else if (seed % 2 && !roll(f, 3))
            broker_restarts(f);
        for (size_t i = 0; i < WORKERS; i++)
            if (f->workers[i].up && !f->workers[i].deaf && what % 2)
                simple(f->w, f->workers[i].name, WIRE_PING, 1);
    }
    settle(f);
    if (!(seed % 2) && f->duplicates)
        fail_msg("%llu tasks had two outcomes", (unsigned long long)f->duplicates);
    for (size_t i = 0; i < CLIENTS; i++)
        simple(f->w, f->clients[i].name, WIRE_BYE, 0);
    assert_true(broker_idle(f->w->b));
    world_free(f->w);
}

static uint64_t from = 1, to = SEEDS;

static void seeds(void **state)
{
    (void)state;
    for (uint64_t seed = from; seed <= to; seed++) {
        FILE *mark = fopen("seed", "w");    /* the last seed, should it end without a word */
        if (mark) {
            fprintf(mark, "%llu\n", (unsigned long long)seed);
            fclose(mark);
        }
        run(seed);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(seeds) };

    if (argc > 1)
        from = to = strtoull(argv[1], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
