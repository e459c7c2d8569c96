/* SPDX-License-Identifier: MPL-2.0
 * claim.c - the claims of a pool: its options as a specification for this program, or for the runner, opened at first use. A lane
 * is something else: what a worker has for one of them.
 */
#include "work.h"

#include "base/arch.h"
#include "base/cpus.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int spec_function(struct bfork_session *s, bfork_task_fn *fn, struct wire_bin *ret)
{
    const bfork_function f = { .fn = (void (*)(void))fn };
    const struct known_function *known;
    if (!fn)
        return 0;
    int rc = bfs_function_of(s, &f, &known);
    if (rc == 0)
        *ret = wire_bin_of(known->doc->data, known->doc->size);
    return rc;
}

/* The pool's options as a document. */
static int pool_spec(struct bfork_pool *p, int which, struct buf **ret)
{
    struct bfork_session *s = p->s;
    const bfork_pool_options *o = &p->options;
    uint8_t digest[WIRE_DIGEST];
    struct err e;
    struct wire_pool_spec spec = { .arch = WIRE_STR(BASE_ARCH), .max_tasks = o->max_tasks };
    int rc = 0;
    if (which == CLAIM_PROGRAM) {
        if (p->forked)
            memcpy(digest, p->fork_digest, sizeof(digest));
        else if (s->link->ops->program(s->link, digest, &spec.program_size, &e) != 0)
            return bfs_error_from(&e);
        spec.program = wire_bin_of(digest, WIRE_DIGEST);
        spec.program_name = WIRE_STR(program_invocation_short_name);
        rc = spec_function(s, o->preload, &spec.preload);
        if (rc == 0)
            rc = spec_function(s, o->initializer, &spec.initializer);
        if (rc == 0)
            rc = spec_function(s, o->finalizer, &spec.finalizer);
        if (p->spec_args)
            spec.args = wire_bin_of(p->spec_args->data, p->spec_args->size);
    }
    if (p->spec_env)
        spec.env = wire_bin_of(p->spec_env->data, p->spec_env->size);
    if (p->spec_cwd)
        spec.cwd = WIRE_STR(p->spec_cwd);
    if (rc == 0 && !(*ret = wire_pool_spec_encode(&spec)))
        rc = bfs_error_set(BFORK_ETOOBIG, "the pool's arguments and environment are larger than %u bytes together", WIRE_SPEC_MAX);
    return rc;
}

static int local_processes(int processes)
{
    int n = processes > 0 ? processes : cpus_usable() + 1 + processes;
    return n < 1 ? 1 : n;
}

int bfs_claim_open(struct bfork_pool *p, int which, struct claim **ret)
{
    struct bfork_session *s = p->s;
    struct claim *c = &p->claims[which];
    *ret = c;
    if (c->error)
        return bfs_error_again(c->error);
    if (c->core)
        return 0;
    struct buf *spec = NULL;
    uint8_t digest[WIRE_DIGEST];
    int rc = pool_spec(p, which, &spec);
    if (rc != 0 || !spec)
        return rc;
    c->pool = p;
    s->link->ops->digest(s->link, spec->data, spec->size, digest);
    if (session_pool_open(s->core, s->kind == KIND_LOCAL ? local_processes(p->processes) : p->processes, spec, digest, p->name, c,
                          &c->core) != 0)
        return bfs_error_set(BFORK_ENOMEM, "out of memory");
    return 0;
}

/* A state with a code says that the pool cannot run: its tasks end so, by outcomes of their own. A text without a code says why it
 * has no slots for the time being. */
void bfs_claim_state(void *ctx, void *user, uint32_t slots, int32_t code, struct wire_str text)
{
    struct claim *c = user;
    char line[WIRE_TEXT_MAX + 1];
    (void)ctx;
    c->slots = slots;
    snprintf(c->why, sizeof(c->why), "%.*s", slots || code < 0 ? 0 : (int)text.n, text.n ? text.p : "");
    if (code < 0 && !c->error) {
        size_t n = text.n < WIRE_TEXT_MAX ? text.n : WIRE_TEXT_MAX;
        memcpy(line, text.p, n);
        line[n] = 0;
        c->error = bfs_error_new(code, line);
    }
}
