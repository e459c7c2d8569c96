/* SPDX-License-Identifier: MPL-2.0
 * open.c - sessions: which kind a profile means, made, ended with their last reference; the default one.
 *
 * Whatever fails, there is a handle: its kind is KIND_FAILED and its error says why, and every call with it says that again. The
 * default session belongs to the pools that were made without one. It is replaced when it has failed, or is a parent's.
 */
#include "drive.h"
#include "internal.h"

#include "base/clock.h"
#include "base/fds.h"
#include "task/task.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

static pthread_mutex_t default_lock = PTHREAD_MUTEX_INITIALIZER;
static struct bfork_session *default_session;       /* counted by its pools; gone with the last one */

static void on_answer(void *ctx, uint32_t request, int32_t code, struct wire_str text)
{
    struct bfork_session *s = ctx;
    if (request == s->vain_request) {
        bfs_waiting_answer(s, text);
        return;
    }
    free(s->answer_text);
    s->answer_text = strndup(text.p ? text.p : "", text.n);
    s->answer_code = code;
    s->answered = request;
}

static void on_cancelled(void *ctx, void *user, uint64_t cancelled)
{
    (void)ctx;
    bfs_told_cancelled(user, cancelled);
}

static void on_failed(void *ctx, int32_t code, struct wire_str text)
{
    char line[WIRE_TEXT_MAX + 1];
    size_t n = text.n < WIRE_TEXT_MAX ? text.n : WIRE_TEXT_MAX;
    if (n)
        memcpy(line, text.p, n);
    line[n] = 0;
    bfs_session_fail(ctx, code, line);
}

static void on_link_failed(void *ctx, int code, const char *text)
{
    bfs_session_fail(ctx, code, text);
}

static void on_link_warning(void *ctx, const char *text)
{
    const struct bfork_session *s = ctx;
    if (!s->quiet)
        fprintf(stderr, "%s: %s\n", program_invocation_short_name, text);
}

static const struct session_ops core_ops = {
    .outcomes = bfs_told_outcomes, .pool_state = bfs_claim_state, .output = bfs_output_piece, .answer = on_answer,
    .failed = on_failed, .cancelled = on_cancelled };

static int open_core(struct bfork_session *s, const bfork_session_options *o, bool admin)
{
    char host[256] = "";
    struct session_config config = { .name = o && o->name ? o->name : program_invocation_short_name, .host = host,
                                     .software = "broadfork " BF_VERSION, .pid = (uint32_t)getpid(),
                                     .role = admin ? WIRE_ADMINISTRATOR : WIRE_CLIENT };
    gethostname(host, sizeof(host) - 1);
    if (getrandom(config.instance, WIRE_ID, 0) != WIRE_ID || getrandom(&config.seed, 8, 0) != 8)
        return bfs_error_set(BFORK_ESTATE, "no random numbers from the kernel: %s", strerror(errno));
    if (session_new(&config, &core_ops, s, &s->core) != 0)
        return bfs_error_set(BFORK_ENOMEM, "out of memory");
    return 0;
}

static enum session_kind kind_of(const char *profile)
{
    if (strcmp(profile, "local:") == 0 || strcmp(profile, "local") == 0)
        return KIND_LOCAL;
    if (strcmp(profile, "serial:") == 0 || strcmp(profile, "serial") == 0)
        return KIND_SERIAL;
    return KIND_REMOTE;
}

static int open_link(struct bfork_session *s, const char *profile, const bfork_session_options *o, bool admin)
{
    const struct link_events events = { .failed = on_link_failed, .warning = on_link_warning,
                                        .printed = bfs_output_outside, .ctx = s,
                                        .output_window = o ? o->max_output_bytes : 0 };
    struct err e;
    if (!profile)
        profile = getenv("BFORK_PROFILE");
    if (!profile || !*profile)
        profile = "local:";
    if (o && (o->flags & ~(uint32_t)BFORK_QUIET || o->reserved32))
        return bfs_error_set(BFORK_EINVAL, "bfork_session_new: flags other than BFORK_QUIET and reserved fields must be 0");
    if (o && o->connect_limit_ms < 0)
        return bfs_error_set(BFORK_EINVAL, "bfork_session_new: connect_limit_ms is %lld", (long long)o->connect_limit_ms);
    for (size_t i = 0; o && i < sizeof(o->reserved) / sizeof(o->reserved[0]); i++)
        if (o->reserved[i])
            return bfs_error_set(BFORK_EINVAL, "bfork_session_new: flags and reserved fields of the options must be 0");
    if (task_is_inside())
        return bfs_error_set(BFORK_ENOTSUP,
                             "bfork_session_new: a task cannot open sessions or pools of its own yet: return what is "
                             "to be done, and let the program submit it");
    s->kind = kind_of(profile);
    s->quiet = o && o->flags & BFORK_QUIET;
    s->output = o ? o->output : NULL;
    s->output_data = o ? o->output_data : NULL;
    if (s->kind == KIND_SERIAL)
        return 0;
    int rc = open_core(s, o, admin);
    if (rc != 0)
        return rc;
    const struct remote_setup setup = { .profile = profile, .client_key = o ? o->client_key : NULL, .admin = admin,
                                        .connect_limit_ms = o && o->connect_limit_ms > 0 ? o->connect_limit_ms : 10000 };
    rc = s->kind == KIND_LOCAL ? bfs_local_link_open(s->core, &events, &s->link, &e)
                               : bfs_remote_link_open(&setup, s->core, &events, &s->link, &e);
    return rc == 0 ? 0 : bfs_error_from(&e);
}

static struct bfork_session *new_session(const char *profile, const bfork_session_options *o, bool admin)
{
    task_refuse_stray();
    fds_reserve();                      /* no descriptor of ours, or of libzmq, may be taken for somebody's input or errors */
    struct bfork_session *s = calloc(1, sizeof(*s));
    if (!s) {
        bfs_error_set(BFORK_ENOMEM, "out of memory");
        return bfs_session_no_memory();
    }
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->helper_cond, &attr);
    pthread_condattr_destroy(&attr);
    atomic_init(&s->refs, 1);
    list_init(&s->pools);
    list_init(&s->outputs);
    list_init(&s->waiters);
    map_init(&s->functions);
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->fork_guard = bfs_guard_new();
    int rc = 0;
    if (s->wake_fd < 0 || !s->fork_guard)
        rc = bfs_error_set(BFORK_ESTATE, "bfork_session_new: no descriptor or memory page: %s", strerror(errno));
    if (rc == 0)
        rc = open_link(s, profile, o, admin);
    if (rc != 0) {
        if (s->error != bfs_error_no_memory())
            free(s->error);                 /* the link's: what the call said is more */
        s->error = bfs_error_clone(bfork_last_error());
        if (!s->error)
            s->error = (bfork_error *)(uintptr_t)bfs_error_no_memory();
        s->kind = KIND_FAILED;
    } else {
        bfs_interrupt_add(s);
    }
    return s;
}

bfork_session *bfork_session_new(const char *profile, const bfork_session_options *o)
{
    return new_session(profile, o, false);
}

bfork_session *bfork_internal_admin_session(const char *profile, const bfork_session_options *o)
{
    return new_session(profile, o, true);
}

static void session_destroy(struct bfork_session *s)
{
    bfs_interrupt_remove(s);
    if (s->kind != KIND_FAILED)
        bfs_drive_stop(s);
    if (s->link) {
        if (!s->error) {
            session_bye(s->core);
            s->link->ops->pump(s->link, clock_now());
        }
        pthread_mutex_lock(&s->lock);
        bfs_output_tell(s);
        pthread_mutex_unlock(&s->lock);
        s->link->ops->close(s->link);
    }
    session_free(&s->core);
    bfs_function_free_all(s);
    for (struct list_node *n; (n = list_pop(&s->outputs));)
        free(LIST_ENTRY(n, struct output, node));
    bfs_future_slabs_free(s);
    if (s->wake_fd >= 0)
        close(s->wake_fd);
    if (s->fork_guard)
        bfs_guard_free(s->fork_guard);
    if (s->error != bfs_error_no_memory())
        free(s->error);
    free(s->answer_text);
    free(s->vain_answer);
    pthread_cond_destroy(&s->helper_cond);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void bfs_session_unref(struct bfork_session *s)
{
    if (s == bfs_session_no_memory())
        return;
    pthread_mutex_lock(&default_lock);
    bool last = atomic_fetch_sub(&s->refs, 1) == 1;
    if (last && s == default_session)
        default_session = NULL;
    pthread_mutex_unlock(&default_lock);
    if (last)
        session_destroy(s);
}

void bfork_session_free(bfork_session **sp)
{
    bfork_session *s = *sp;
    *sp = NULL;
    if (!s || s == bfs_session_no_memory() || (s->fork_guard && !*s->fork_guard))
        return;
    bfs_session_unref(s);
}

/* A session made before a fork is the parent's: a child gets its own. */
struct bfork_session *bfs_session_default(void)
{
    pthread_mutex_lock(&default_lock);
    struct bfork_session *s = default_session;
    if (s && s->fork_guard && *s->fork_guard && !s->error) {
        bfs_session_ref(s);
    } else {
        s = new_session(NULL, NULL, false);
        default_session = s->kind == KIND_FAILED ? NULL : s;
    }
    pthread_mutex_unlock(&default_lock);
    return s;
}

const bfork_error *bfork_session_error(bfork_session *s)
{
    if (s == bfs_session_no_memory())
        return bfs_error_no_memory();
    if (s && (s->kind == KIND_FAILED || s->kind == KIND_SERIAL) && !(s->fork_guard && !*s->fork_guard))
        return s->error;
    if (bfs_session_usable(s) != 0 || !s)
        return bfork_last_error();          /* NULL, or forked */
    pthread_mutex_lock(&s->lock);
    const bfork_error *e = s->error;
    pthread_mutex_unlock(&s->lock);
    return e;
}
