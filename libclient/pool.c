/* SPDX-License-Identifier: MPL-2.0
 * pool.c - pools: their options as a specification, opened at first use, closed, joined, terminated.
 *
 * A pool has up to two lanes: one whose task processes are this program (functions of it), one whose are our runner (commands,
 * functions of shared objects). Each is a pool of the protocol.
 */
#include "client.h"

#include "base/arch.h"
#include "base/cpus.h"
#include "task/task.h"
#include "wire/value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_QUEUED (4u << 20)
#define MAX_QUEUED_BYTES (1ull << 30)
#define FINALIZERS_MS 2000          /* bfork_pool_free waits so long for them */

static struct bfork_pool no_memory_pool = { .refs = 1, .processes = 1 };

static bool is_static(const struct bfork_pool *p)
{
    return p == &no_memory_pool;
}

bool bfs_pool_usable(const struct bfork_pool *p)
{
    return p && !is_static(p) && p->s->kind != KIND_FAILED && *p->s->fork_guard;
}

static bool all_zero(const uint64_t *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (words[i])
            return false;
    return true;
}

static int check_options(int processes, const bfork_pool_options *o)
{
    if (processes == 0 || processes < -65536 || processes > 1 << 20)
        return bfs_error_set(BFORK_EINVAL,
                             "bfork_pool_new: %d processes: give how many (from 1), or BFORK_ALL (-1), or -2 for all but one",
                             processes);
    if (!o)
        return 0;
    if (o->flags || !all_zero(o->reserved, sizeof(o->reserved) / sizeof(o->reserved[0])))
        return bfs_error_set(BFORK_EINVAL, "bfork_pool_new: flags and reserved fields of the options must be 0");
    if (o->start > BFORK_START_EXEC || o->reserved32)
        return bfs_error_set(BFORK_EINVAL, "bfork_pool_new: start is %u, reserved32 is %u: a BFORK_START_… and 0 are needed",
                             o->start,
                             o->reserved32);
    if (o->start == BFORK_START_EXEC)
        return bfs_error_set(BFORK_ENOTSUP, "bfork_pool_new: BFORK_START_EXEC is not supported: use BFORK_START_SPAWN");
    if (o->close_limit_ms < 0)
        return bfs_error_set(BFORK_EINVAL, "bfork_pool_new: close_limit_ms is %lld", (long long)o->close_limit_ms);
    if (o->nargs && !o->args)
        return bfs_error_set(BFORK_EINVAL, "bfork_pool_new: nargs is %zu and args is NULL", o->nargs);
    if (o->cwd && (o->cwd[0] != '/' || strlen(o->cwd) > WIRE_CWD_MAX))
        return bfs_error_set(BFORK_EINVAL, "bfork_pool_new: cwd is \"%.200s\"; a path from / of at most %u bytes is needed", o->cwd,
                             WIRE_CWD_MAX);
    for (size_t i = 0; o->env && o->env[i]; i++)
        if (!strchr(o->env[i], '=') || o->env[i][0] == '=')
            return bfs_error_set(BFORK_EINVAL, "bfork_pool_new: env[%zu] is \"%s\"; NAME=value is needed", i, o->env[i]);
    return 0;
}

static int copy_options(struct bfork_pool *p, const bfork_pool_options *o)
{
    struct err e;
    p->max_queued = o && o->max_queued ? o->max_queued : MAX_QUEUED;
    p->max_queued_bytes = o && o->max_queued_bytes ? o->max_queued_bytes : MAX_QUEUED_BYTES;
    if (!o)
        return 0;
    p->options = *o;
    p->close_limit_ms = o->close_limit_ms;
    if (o->name && !(p->name = strdup(o->name)))
        return bfs_error_set(BFORK_ENOMEM, "out of memory");
    if (o->cwd && !(p->spec_cwd = strdup(o->cwd)))
        return bfs_error_set(BFORK_ENOMEM, "out of memory");
    if (o->nargs) {
        size_t size = value_size(o->args, o->nargs, &e);
        if (size == 0)
            return bfs_error_from(&e);
        if (!(p->spec_args = buf_new(size)))
            return bfs_error_set(BFORK_ENOMEM, "out of memory");
        value_pack(o->args, o->nargs, p->spec_args->data);
        p->spec_args->size = size;
    }
    for (size_t i = 0; o->env && o->env[i]; i++) {
        if (!p->spec_env && !(p->spec_env = buf_new(256)))
            return bfs_error_set(BFORK_ENOMEM, "out of memory");
        if (buf_append(&p->spec_env, o->env[i], strlen(o->env[i]) + 1) != 0)
            return bfs_error_set(BFORK_ENOMEM, "out of memory");
    }
    return 0;
}

/* The caller's memory, kept as it is now. In serial mode tasks have it anyway. */
static int fork_now(struct bfork_pool *p)
{
    struct bfork_session *s = p->s;
    struct err e;
    if (p->options.start != BFORK_START_FORK || s->kind == KIND_SERIAL)
        return 0;
    if (!s->link->ops->fork)
        return bfs_error_set(BFORK_ENOTSUP,
                             "bfork_pool_new: BFORK_START_FORK works on this machine only (local:), not on a cluster: "
                             "workers start the program anew; give tasks what they need by arguments, options.context or preload");
    pthread_mutex_lock(&s->lock);
    int rc = s->link->ops->fork(s->link, p->fork_digest, &e);
    pthread_mutex_unlock(&s->lock);
    p->forked = rc == 0;
    return rc == 0 ? 0 : bfs_error_from(&e);
}

/* In serial mode the program's pools are at hand in its tasks; waiting for them would be waiting for itself. */
static int refuse_inside(void)
{
    if (!task_is_inside())
        return 0;
    return bfs_error_set(BFORK_ENOTSUP, "a task cannot use pools yet: return what is to be done, and let the program submit it");
}

bfork_pool *bfork_pool_new(bfork_session *s, int processes, const bfork_pool_options *o)
{
    struct bfork_pool *p = calloc(1, sizeof(*p));
    if (!p) {
        bfs_error_set(BFORK_ENOMEM, "out of memory");
        return &no_memory_pool;
    }
    atomic_init(&p->refs, 1);
    list_init(&p->jobs);
    pthread_mutex_init(&p->serial_lock, NULL);
    p->processes = processes;
    p->s = s ? s : bfs_session_default();
    if (s)
        bfs_session_ref(s);
    int rc = bfs_session_usable(p->s);
    if (rc == 0)
        rc = refuse_inside();
    if (rc == 0)
        rc = check_options(processes, o);
    if (rc == 0 && o && o->cwd && p->s->kind == KIND_SERIAL)
        rc = bfs_error_set(BFORK_ENOTSUP, "bfork_pool_new: cwd: with serial: tasks run in this process, in its directory");
    if (rc == 0)
        rc = copy_options(p, o);
    if (rc == 0)
        rc = fork_now(p);
    if (rc != 0) {
        p->error = bfs_error_clone(bfork_last_error());
        if (!p->error)
            p->error = (bfork_error *)(uintptr_t)bfs_error_no_memory();
    }
    if (bfs_pool_usable(p)) {
        pthread_mutex_lock(&p->s->lock);
        list_push_back(&p->s->pools, &p->node);
        pthread_mutex_unlock(&p->s->lock);
    }
    return p;
}

int bfs_pool_begin(struct bfork_pool *p, const bfork_options *o)
{
    if (!p)
        return bfs_error_set(BFORK_EINVAL, "the pool is NULL");
    if (is_static(p))
        return bfs_error_set(BFORK_ENOMEM, "out of memory when the pool was made");
    int rc = bfs_session_usable(p->s);
    if (rc == 0)
        rc = refuse_inside();
    if (rc != 0)
        return rc;
    if (p->error)
        return bfs_error_again(p->error);
    if (p->closed)
        return bfs_error_set(BFORK_ECLOSED, "the pool is closed: it takes no more work");
    if (o && (o->flags || !all_zero(o->reserved, sizeof(o->reserved) / sizeof(o->reserved[0]))))
        return bfs_error_set(BFORK_EINVAL, "flags and reserved fields of bfork_options must be 0");
    if (o && (o->run_limit_ms < 0 || o->retries < BFORK_RETRY_NEVER || o->when_full < 0 || o->when_full > BFORK_REFUSE))
        return bfs_error_set(BFORK_EINVAL, "bfork_options: run_limit_ms %lld, retries %d or when_full %d is out of range",
                             (long long)o->run_limit_ms, o->retries, o->when_full);
    if (o && o->context.size && !o->context.data)
        return bfs_error_set(BFORK_EINVAL, "bfork_options: the context has %zu bytes and no address", o->context.size);
    return 0;
}

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
    if (which == LANE_PROGRAM) {
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

int bfs_pool_lane(struct bfork_pool *p, int which, struct lane **ret)
{
    struct bfork_session *s = p->s;
    struct lane *l = &p->lanes[which];
    *ret = l;
    if (l->error)
        return bfs_error_again(l->error);
    if (l->core)
        return 0;
    struct buf *spec = NULL;
    uint8_t digest[WIRE_DIGEST];
    int rc = pool_spec(p, which, &spec);
    if (rc != 0 || !spec)
        return rc;
    l->pool = p;
    s->link->ops->digest(s->link, spec->data, spec->size, digest);
    if (session_pool_open(s->core, s->kind == KIND_LOCAL ? local_processes(p->processes) : p->processes, spec, digest, p->name, l,
                          &l->core) != 0)
        return bfs_error_set(BFORK_ENOMEM, "out of memory");
    return 0;
}

/* A state with a code says that the pool cannot run: its tasks end so, by outcomes of their own. A text without a code says why it
 * has no slots for the time being. */
void bfs_pool_state(void *ctx, void *user, uint32_t slots, int32_t code, struct wire_str text)
{
    struct lane *l = user;
    char line[WIRE_TEXT_MAX + 1];
    (void)ctx;
    l->slots = slots;
    snprintf(l->why, sizeof(l->why), "%.*s", slots || code < 0 ? 0 : (int)text.n, text.n ? text.p : "");
    if (code < 0 && !l->error) {
        size_t n = text.n < WIRE_TEXT_MAX ? text.n : WIRE_TEXT_MAX;
        memcpy(line, text.p, n);
        line[n] = 0;
        l->error = bfs_error_new(code, line);
    }
}

/* The lane functions of this program would use; the runner's, if it did not call bfork_init. */
static int first_lane(struct bfork_pool *p, struct lane **ret)
{
    return bfs_pool_lane(p, task_inited() ? LANE_PROGRAM : LANE_RUNNER, ret);
}

struct slots_wanted { struct lane *lane; int slots; };

static bool has_slots(void *arg)
{
    const struct slots_wanted *w = arg;
    const struct bfork_pool *p = w->lane->pool;
    return w->lane->error || w->lane->slots >= (uint32_t)w->slots || p->s->error || p->closed;
}

int bfork_pool_wait(bfork_pool *p, int slots, int timeout_ms)
{
    struct slots_wanted w = { .slots = slots < 1 ? 1 : slots };
    int rc = bfs_pool_begin(p, NULL);
    if (rc != 0)
        return rc;
    struct bfork_session *s = p->s;
    if (s->kind == KIND_SERIAL)
        return w.slots <= 1 ? 0 : bfs_error_set(BFORK_EINVAL, "bfork_pool_wait: a serial session has one slot, never %d", slots);
    pthread_mutex_lock(&s->lock);
    rc = first_lane(p, &w.lane);
    p->slots_awaited++;
    if (rc == 0)
        rc = bfs_drive_wait(s, has_slots, &w, LINK_NEXT, bfs_drive_deadline(timeout_ms), NULL, NULL);
    p->slots_awaited--;
    if (rc == BFORK_ETIMEDOUT)
        rc = bfs_error_set(BFORK_ETIMEDOUT, "the pool has %u of %d slots after %d ms: see bfork workers", w.lane->slots, w.slots,
                           timeout_ms);
    else if (rc == 0 && w.lane->error)
        rc = bfs_error_again(w.lane->error);
    else if (rc == 0 && s->error)
        rc = bfs_error_again(s->error);
    else if (rc == 0 && p->closed)
        rc = bfs_error_set(BFORK_ECLOSED, "the pool was closed while waiting for its slots");
    pthread_mutex_unlock(&s->lock);
    return rc;
}

static bool settled_in(void *arg)
{
    const struct bfork_pool *p = arg;
    return p->lanes[LANE_PROGRAM].slots + p->lanes[LANE_RUNNER].slots > 0;
}

int bfork_pool_size(bfork_pool *p)
{
    struct lane *l;
    int rc = bfs_pool_begin(p, NULL);
    if (rc != 0)
        return rc;
    struct bfork_session *s = p->s;
    if (s->kind == KIND_SERIAL)
        return 1;
    pthread_mutex_lock(&s->lock);
    rc = first_lane(p, &l);
    if (rc == 0)
        bfs_drive_try(s, settled_in, p, LINK_NEXT, bfs_drive_deadline(0), NULL, NULL);
    int slots = (int)(p->lanes[LANE_PROGRAM].slots > p->lanes[LANE_RUNNER].slots ? p->lanes[LANE_PROGRAM].slots
                                                                                 : p->lanes[LANE_RUNNER].slots);
    pthread_mutex_unlock(&s->lock);
    return rc != 0 ? rc : slots;
}

int bfork_pool_check(bfork_pool *p, const bfork_function *f)
{
    const struct known_function *known;
    int rc = bfs_pool_begin(p, NULL);
    if (rc != 0)
        return rc;
    if (!f || !!f->fn + !!f->argv + (f->object && f->symbol) != 1)
        return bfs_error_set(BFORK_EINVAL, "bfork_pool_check: the function must have exactly one of fn, argv, object and symbol");
    pthread_mutex_lock(&p->s->lock);
    rc = bfs_function_of(p->s, f, &known);
    pthread_mutex_unlock(&p->s->lock);
    return rc;
}

const bfork_error *bfork_pool_error(bfork_pool *p)
{
    if (!p) {
        bfs_error_set(BFORK_EINVAL, "the pool is NULL");
        return bfork_last_error();
    }
    if (is_static(p))
        return bfs_error_no_memory();
    if (p->error)
        return p->error;
    return bfork_session_error(p->s);
}

bfork_session *bfork_pool_session(bfork_pool *p)
{
    return p ? p->s : NULL;
}

void bfork_pool_close(bfork_pool *p)
{
    if (!bfs_pool_usable(p))
        return;
    struct bfork_session *s = p->s;
    pthread_mutex_lock(&s->lock);
    p->closed = true;
    for (LIST_EACH_SAFE(&p->jobs, n, after))
        bfs_job_close(LIST_ENTRY(n, struct job, node));
    s->stirred = true;
    if (s->core)
        bfs_drive_kick(s, true);            /* also wakes those who wait for room in it */
    pthread_mutex_unlock(&s->lock);
}

void bfork_pool_terminate(bfork_pool *p)
{
    bfork_pool_close(p);
    if (!bfs_pool_usable(p))
        return;
    pthread_mutex_lock(&p->s->lock);
    bfs_cancel_all(p);
    pthread_mutex_unlock(&p->s->lock);
}

static bool all_done(void *arg)
{
    return ((const struct bfork_pool *)arg)->pending == 0;
}

int bfork_pool_join(bfork_pool *p, int timeout_ms)
{
    if (!p)
        return bfs_error_set(BFORK_EINVAL, "bfork_pool_join: the pool is NULL");
    if (is_static(p) || p->s->kind == KIND_FAILED)
        return 0;
    if (bfs_session_usable(p->s) != 0)
        return BFORK_EFORKED;
    if (!p->closed)
        return bfs_error_set(BFORK_ESTATE,
                             "bfork_pool_join: the pool is still open: bfork_pool_close or bfork_pool_terminate it first");
    pthread_mutex_lock(&p->s->lock);
    int rc = bfs_drive_wait(p->s, all_done, p, LINK_LOW, bfs_drive_deadline(timeout_ms), NULL, NULL);
    pthread_mutex_unlock(&p->s->lock);
    return rc;
}

/* Ends whatever is left, with the lock. */
static void drop_rest(struct bfork_pool *p)
{
    bfork_error *e = p->pending ? bfs_error_new(BFORK_CANCELLED, "the pool was freed") : NULL;
    for (LIST_EACH_SAFE(&p->jobs, n, after))
        bfs_job_fail(LIST_ENTRY(n, struct job, node), e ? e : bfs_error_no_memory());
    free(e);
    for (int i = 0; i < LANES; i++) {
        if (p->lanes[i].core)
            session_pool_close(p->lanes[i].core);
        free(p->lanes[i].error);
    }
}

static bool have_ended(void *arg)
{
    const struct bfork_session *s = arg;
    return s->error || !s->link->ops->ending(s->link);
}

void bfork_pool_free(bfork_pool **pp)
{
    bfork_pool *p = *pp;
    *pp = NULL;
    if (!p || is_static(p))
        return;
    struct bfork_session *s = p->s;
    if (s->kind != KIND_FAILED && !*s->fork_guard)
        return;                             /* the parent's */
    bfork_pool_close(p);
    if (bfs_pool_usable(p)) {
        int limit = p->close_limit_ms > 0 && p->close_limit_ms < INT32_MAX ? (int)p->close_limit_ms : BFORK_FOREVER;
        bfork_error *before = bfs_error_clone(bfork_last_error()); /* free leaves the thread's last error alone */
        int rc = s->kind == KIND_SERIAL ? 0 : bfork_pool_join(p, limit);
        if (rc != 0) {
            bfork_pool_terminate(p);
            rc = rc == BFORK_EINTR ? 0 : bfork_pool_join(p, 2000);
            (void)rc;                       /* what is left is dropped below */
        }
        if (before && before->kind)
            bfs_error_again(before);
        free(before);
        pthread_mutex_lock(&s->lock);
        drop_rest(p);
        list_remove(&s->pools, &p->node);
        if (s->core)
            bfs_drive_kick(s, true);
        if (s->link && p->options.finalizer)    /* the session's end would kill them */
            bfs_drive_try(s, have_ended, s, LINK_NEXT, bfs_drive_deadline(FINALIZERS_MS), NULL, NULL);
        if (p->forked && s->link)
            s->link->ops->drop_fork(s->link, p->fork_digest);
        pthread_mutex_unlock(&s->lock);
        if (s->kind == KIND_SERIAL)
            bfs_serial_pool_free(p);
    }
    if (p->error != bfs_error_no_memory())
        free(p->error);
    buf_unref(&p->spec_args);
    buf_unref(&p->spec_env);
    free(p->spec_cwd);
    pthread_mutex_destroy(&p->serial_lock);
    free(p->name);
    free(p);
    bfs_session_unref(s);
}
