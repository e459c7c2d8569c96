/* SPDX-License-Identifier: MPL-2.0
 * pool.c - pools: made, their options looked at, asked whether they take work.
 *
 * A pool has up to two claims: one whose task processes are this program (functions of it), one whose are our runner (commands,
 * functions of shared objects). Each is a pool of the protocol, and made in claim.c.
 */
#include "drive.h"

#include "task/task.h"
#include "wire/value.h"

#include <stdlib.h>
#include <string.h>

#define MAX_QUEUED (4u << 20)
#define MAX_QUEUED_BYTES (1ull << 30)

static struct bfork_pool no_memory_pool = { .refs = 1, .processes = 1 };

bool bfs_pool_is_static(const struct bfork_pool *p)
{
    return p == &no_memory_pool;
}

bool bfs_pool_usable(const struct bfork_pool *p)
{
    return p && !bfs_pool_is_static(p) && p->s->kind != KIND_FAILED && *p->s->fork_guard;
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
    if (bfs_pool_is_static(p))
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

int64_t bfs_pool_cancel_all(struct bfork_pool *p)
{
    int64_t all = 0;
    int rc = 0;
    for (LIST_EACH_SAFE(&p->jobs, n, after)) {
        struct job *j = LIST_ENTRY(n, struct job, node);
        all += (int64_t)(j->map && j->future ? j->future->map->n - j->future->map->settled : j->left);
        if (j->left && session_cancel(j->core, 0, UINT64_MAX) != 0)     /* may settle all there is: j can be gone after this */
            rc = BFORK_ENOMEM;
    }
    if (all)
        bfs_drive_kick(p->s, true);
    return rc == 0 ? all : bfs_error_set(rc, "out of memory: not all is cancelled");
}
