/* SPDX-License-Identifier: MPL-2.0
 * owner.c - the tests' owner of templates and task processes.
 */
#include "owner.h"
#include "base/clock.h"
#include "exec/object.h"
#include "wire/value.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT (120 * CLOCK_SEC)     /* of a wait: only what never comes takes so long, on a busy machine, too */

static void template_ready(void *ctx, void *user)
{
    (void)user;
    ((struct owner *)ctx)->ready++;
}

static void template_failed(void *ctx, void *user, int code, const char *stage, const char *text)
{
    struct owner *o = ctx;
    (void)user;
    o->failed++;
    o->t = NULL;
    o->fail_code = code;
    snprintf(o->fail_stage, sizeof(o->fail_stage), "%s", stage);
    snprintf(o->fail_text, sizeof(o->fail_text), "%s", text);
}

static void proc_ready(void *ctx, void *user)
{
    (void)user;
    ((struct owner *)ctx)->procs_ready++;
    ((struct owner *)ctx)->settled++;
}

static void proc_died(void *ctx, void *user, const struct wire_outcome *d)
{
    struct owner *o = ctx;
    (void)user;
    if (o->dying && exec_pull(o->dying, &o->harvested) && o->harvested.body.size <= sizeof(o->harvest))
        memcpy(o->harvest, o->harvested.body.data, o->harvested.body.size);
    o->died++;
    o->settled += d->pid == 0;
    o->death = *d;
    snprintf(o->message, sizeof(o->message), "%.*s", (int)d->message.n, d->message.p);
    snprintf(o->function, sizeof(o->function), "%.*s", (int)d->function.n, d->function.p);
    snprintf(o->where, sizeof(o->where), "%.*s", (int)d->where.n, d->where.p);
    snprintf(o->backtrace, sizeof(o->backtrace), "%.*s", (int)d->backtrace.n, d->backtrace.p);
    snprintf(o->tail, sizeof(o->tail), "%.*s", (int)d->output.n, d->output.p);
    snprintf(o->stage, sizeof(o->stage), "%.*s", (int)d->stage.n, d->stage.p);
}

static void keep(char *to, size_t room, uint64_t before, const void *bytes, size_t n)
{
    if (before + n < room)
        memcpy(to + before, bytes, n);
}

static void output(void *ctx, void *user, const struct exec_print *k)
{
    struct owner *o = ctx;
    (void)user;
    keep(k->stream == 1 ? o->out : o->err, sizeof(o->out) - 1, k->stream == 1 ? o->out_bytes : o->err_bytes, k->bytes, k->size);
    *(k->stream == 1 ? &o->out_bytes : &o->err_bytes) += k->size;
    o->cuts += k->cut;
    o->print = *k;
    if (o->on_print)
        o->on_print(o, k);
}

static bool room(void *ctx, void *user)
{
    (void)user;
    return !((struct owner *)ctx)->no_room;
}

static const struct exec_callbacks callbacks = { template_ready, template_failed, proc_ready, proc_died, output, room };

static void need(int rc, const struct err *e)
{
    if (rc < 0) {
        fprintf(stderr, "test owner: %s\n", e->text);
        abort();
    }
}

static struct buf *function_doc(bfork_task_fn *fn)
{
    struct object_fn f;
    struct err e = { 0 };

    if (!fn)
        return NULL;
    need(exec_object_function((object_pointer *)fn, &f, &e), &e);
    return wire_fn_encode(&f.fn);
}

static struct wire_bin bin_of(const struct buf *b) { return b ? wire_bin_of(b->data, b->size) : (struct wire_bin){ NULL, 0 }; }

void owner_open(struct owner *o, const struct pool *pool)
{
    struct exec_config c = { .callbacks = &callbacks,
                             .ctx = o,
                             .hide_secrets = pool->hide_secrets,
                             .adopt = pool->adopt,
                             .output_limit = pool->output_limit };
    struct exec_template_spec s = { .program_fd = -1, .program_path = pool->program, .start_limit_ms = pool->start_limit_ms };
    struct buf *docs[3] = { function_doc(pool->preload), function_doc(pool->initializer), function_doc(pool->finalizer) };
    struct err e = { 0 };

    memset(o, 0, sizeof(*o));
    s.spec.preload = bin_of(docs[0]);
    s.spec.initializer = bin_of(docs[1]);
    s.spec.finalizer = bin_of(docs[2]);
    s.spec.args = wire_bin_of(pool->args, pool->n_args);
    s.spec.argv = wire_bin_of(pool->argv, pool->n_argv);
    if (pool->program)
        s.spec.program_name = WIRE_STR(pool->program);
    need(exec_new(&c, &o->x, &e), &e);
    need(exec_template_start(o->x, &s, o, &o->t, &e), &e);
    for (int i = 0; i < 3; i++)
        buf_unref(&docs[i]);
}

void owner_close(struct owner *o) { exec_free(&o->x); }

static void turn(struct owner *o, uint64_t until)
{
    struct pollfd f = { exec_fd(o->x), POLLIN, 0 };
    uint64_t now = clock_now(), deadline = exec_deadline(o->x);

    if (now > until) {
        fprintf(stderr, "test owner: what it waits for did not come within two minutes\n");
        abort();
    }
    if (deadline > until)
        deadline = until;
    poll(&f, 1, clock_poll_ms(now, deadline));
    exec_step(o->x, clock_now());
}

void owner_until(struct owner *o, const int *count, int at_least)
{
    uint64_t until = clock_now() + LIMIT;

    while (*count < at_least)
        turn(o, until);
}

void owner_turn(struct owner *o) { turn(o, clock_now() + LIMIT); }

struct exec_proc *owner_proc(struct owner *o)
{
    struct exec_proc *p;
    struct err e = { 0 };
    int before = o->procs_ready;

    owner_until(o, &o->ready, 1);
    need(exec_proc_start(o->t, o, &p, &e), &e);
    owner_until(o, &o->procs_ready, before + 1);
    return p;
}

static void push_spec(struct exec_proc *p, uint32_t job, const struct wire_fn *fn, uint32_t in_size, uint32_t out_size,
                      bool streamed)
{
    struct buf *doc = wire_fn_encode(fn), *spec;
    struct wire_job_spec s = { .kind = in_size ? WIRE_JOB_MAP : WIRE_JOB_TASKS,
                               .in_size = in_size,
                               .out_size = out_size,
                               .fn = bin_of(doc),
                               .name = WIRE_STR("test"),
                               .context = wire_bin_of("ctx", 3),
                               .client_host = WIRE_STR("here"),
                               .streamed = streamed };

    struct err e = { 0 };
    spec = wire_job_spec_encode(&s);
    need(doc && spec ? wire_job_spec_decode(spec->data, spec->size, &s, &e)
                     : err_set(&e, BFORK_ENOMEM, "a specification cannot be encoded"),
         &e);
    need(exec_push_job(p, job, spec->data, spec->size) < 0 ? err_set(&e, BFORK_EAGAIN, "a specification was not taken") : 0, &e);
    buf_unref(&doc);
    buf_unref(&spec);
}

void owner_job(struct exec_proc *p, uint32_t job, void (*fn)(void), uint32_t in_size, uint32_t out_size)
{
    struct object_fn f;
    struct err e = { 0 };

    need(exec_object_function(fn, &f, &e), &e);
    push_spec(p, job, &f.fn, in_size, out_size, false);
}

void owner_job_named(struct exec_proc *p, uint32_t job, const char *object, const char *symbol)
{
    struct wire_fn fn = { .kind = WIRE_FN_SYMBOL, .object = WIRE_STR(object), .symbol = WIRE_STR(symbol) };
    push_spec(p, job, &fn, 0, 0, false);
}

void owner_job_command(struct exec_proc *p, uint32_t job, bool streamed)
{
    struct wire_fn fn = { .kind = WIRE_FN_COMMAND };
    push_spec(p, job, &fn, 0, 0, streamed);
}

void owner_push(struct exec_proc *p, uint32_t job, const void *body, uint32_t size, uint32_t n, uint32_t claim)
{
    uint8_t *all = malloc((size_t)size * n + 1);
    struct wire_item item = { .job = job, .count = n, .flags = WIRE_FIXED, .size = size };

    for (uint32_t i = 0; all && i < n; i++)
        memcpy(all + (size_t)i * size, body, size);
    item.body = slice_borrow(all, (size_t)size * n);
    if (!all || exec_push(p, job, &item, claim, false) != n)
        abort();
    free(all);
}

bool owner_pull(struct owner *o, struct exec_proc *p, struct wire_item *item)
{
    uint64_t until = clock_now() + LIMIT;
    int died = o->died;

    for (;;) {
        if (exec_pull(p, item))
            return true;
        bool there = exec_arm(o->x, EXEC_NEXT);
        o->dying = p;
        if (there)
            exec_step(o->x, clock_now());
        else
            turn(o, until);
        o->dying = NULL;
        if (o->died != died)
            return false;
    }
}

void owner_outcome(const struct wire_item *item, struct wire_outcome *ret)
{
    struct err e = { 0 };
    need(wire_outcome_decode(item->body.data, item->body.size, ret, &e), &e);
}

int owner_int(const struct wire_item *item)
{
    int x = -1;
    struct err e = { 0 };
    need(value_unpack(item->body.data, item->body.size, (const bfork_ref[]){ bfork_ref_int(&x) }, 1, NULL, NULL, &e), &e);
    return x;
}

uint32_t pack_int(uint8_t *to, int x)
{
    const bfork_arg a = bfork_arg_int(x);
    struct err e = { 0 };
    size_t n = value_size(&a, 1, &e);

    value_pack(&a, 1, to);
    return (uint32_t)n;
}
