/* SPDX-License-Identifier: MPL-2.0
 * start.c - starts templates, with their environment and arguments, and processes; and stops templates. Why a template could not be
 * started is said by the next exec_step.
 */
#include "exec/end.h"
#include "exec/exec.h"
#include "exec/kept.h"
#include "exec/orders.h"
#include "exec/output.h"
#include "exec/source.h"
#include "exec/template.h"
#include "base/clock.h"
#include "bfork.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

extern char **environ;

/* ---- environment and arguments ---- */

struct words { char **v; size_t n; };

static int words_add(struct words *w, char *word)
{
    char **v = word ? realloc(w->v, (w->n + 2) * sizeof(*v)) : NULL;

    if (!v) {
        free(word);
        return BASE_ENOMEM;
    }
    w->v = v;
    v[w->n++] = word;
    v[w->n] = NULL;
    return 0;
}

static void words_free(struct words *w)
{
    for (size_t i = 0; i < w->n; i++)
        free(w->v[i]);
    free(w->v);
    w->v = NULL;
    w->n = 0;
}

/* A variable replaces an earlier one of its name. */
static int words_put(struct words *w, const char *p, size_t n)
{
    const char *eq = memchr(p, '=', n);
    char *copy;

    if (!eq)
        return 0;
    for (size_t i = 0; i < w->n; i++)
        if (strncmp(w->v[i], p, (size_t)(eq - p) + 1) == 0) {
            if (!(copy = strndup(p, n)))
                return BASE_ENOMEM;
            free(w->v[i]);
            w->v[i] = copy;
            return 0;
        }
    return words_add(w, strndup(p, n));
}

static bool is_inherited(const struct exec *x, const char *variable)
{
    static const char *const kept[] = { "PATH=", "HOME=", "LANG=", "LC_", "TZ=", "TMPDIR=", "USER=", "LOGNAME=", "SHELL=",
#ifdef BF_SANITIZED
                                        "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "TSAN_OPTIONS=", "LSAN_OPTIONS=",
#endif
                                        NULL };

    if (strncmp(variable, TASK_FD_VARIABLE "=", sizeof(TASK_FD_VARIABLE)) == 0)
        return false;
    for (int i = 0; x->config.hide_secrets && kept[i]; i++)
        if (strncmp(variable, kept[i], strlen(kept[i])) == 0)
            return true;
    return !x->config.hide_secrets;
}

static int make_environment(const struct exec_template *t, struct words *w)
{
    const struct wire_bin *env = &t->decoded.env;
    char path[8192];
    int rc = 0;

    for (char **v = environ; v && *v && rc == 0; v++)
        if (is_inherited(t->x, *v))
            rc = words_add(w, strdup(*v));
    for (uint32_t at = 0; at < env->n && rc == 0;) {
        size_t n = strnlen((const char *)env->p + at, env->n - at);
        rc = words_put(w, (const char *)env->p + at, n);
        at += (uint32_t)n + 1;
    }
    if (rc == 0 && t->library_path) {
        const char *old = NULL;
        for (size_t i = 0; i < w->n; i++)
            if (strncmp(w->v[i], "LD_LIBRARY_PATH=", 16) == 0)
                old = w->v[i] + 16;
        int n = snprintf(path, sizeof(path), "LD_LIBRARY_PATH=%s%s%s", old ? old : "", old && *old ? ":" : "", t->library_path);
        if (n > 0 && (size_t)n < sizeof(path))
            rc = words_put(w, path, (size_t)n);
    }
    if (rc == 0 && t->x->mark[0])
        rc = words_put(w, t->x->mark, strlen(t->x->mark));
    return rc ? rc : words_put(w, TASK_FD_VARIABLE "=3", sizeof(TASK_FD_VARIABLE) + 1);
}

/* Of the keeper: in front of the program's own. */
static int make_arguments(const struct exec_template *t, struct words *w)
{
    const struct wire_bin *argv = &t->decoded.argv;
    int rc = words_add(w, strdup("bfork-keeper"));
    size_t before;

    if (rc == 0 && (rc = words_add(w, strdup(t->x->config.hide_secrets ? "s" : "g"))) == 0)
        rc = words_add(w, strdup(t->program_path ? t->program_path : ""));
    before = w->n;

    for (uint32_t at = 0; at < argv->n && rc == 0;) {
        size_t n = strnlen((const char *)argv->p + at, argv->n - at);
        rc = words_add(w, strndup((const char *)argv->p + at, n));
        at += (uint32_t)n + 1;
    }
    return rc || w->n > before ? rc : words_add(w, strdup(t->name));
}

/* ---- templates ---- */

static int send_setup(struct exec_template *t)
{
    struct packet_setup head;
    struct packet p = { .type = PACKET_SETUP, .value = PACKET_VERSION };
    const struct exec *x = t->x;
    int fd = memfd_create("bfork-setup", MFD_CLOEXEC);

    if (fd < 0)
        return -errno;
    memset(&head, 0, sizeof(head));
    head.version = PACKET_VERSION;
    head.spec_size = (uint32_t)t->spec->size;
    head.hide_secrets = x->config.hide_secrets;
    head.solo = t->solo != NULL;
    snprintf(head.symbols, sizeof(head.symbols), "%s", x->symbols);
    if (t->decoded.cwd.n)
        snprintf(head.work_dir, sizeof(head.work_dir), "%.*s", (int)t->decoded.cwd.n, t->decoded.cwd.p);
    else
        snprintf(head.work_dir, sizeof(head.work_dir), "%s", x->work_dir ? x->work_dir : "");
    int rc = 0;
    if (write(fd, &head, sizeof(head)) != (ssize_t)sizeof(head) ||
        write(fd, t->spec->data, t->spec->size) != (ssize_t)t->spec->size)
        rc = -EIO;
    else
        rc = exec_packet_send(t->socket.fd, &p, &fd, 1, false);
    close(fd);
    return rc;
}

static void keeper_failed(struct exec_template *t, int error)
{
    const bool missing = error == ENOENT || error == EACCES;
    char text[1024];

    if (t->fork_server >= 0) {
        exec_template_unstarted(t, error);
        return;
    }
    snprintf(text, sizeof(text), "cannot start %s%s: %s%s", t->x->keeper, missing ? ", a part of Broadfork" : "", strerror(error),
             missing ? "; install it again, or link a program that has libbfork.a in it with the -rpath of bfork.pc" : "");
    exec_template_fail(t, "exec", BFORK_REFUSED, text);
}

static void launch_template(struct exec_template *t)
{
    struct exec *x = t->x;
    struct words argv = { 0 }, env = { 0 };
    struct err e = { 0 };
    int pair[2] = { -1, -1 }, out = -1, err = -1, rc;

    if (make_arguments(t, &argv) < 0 || make_environment(t, &env) < 0) {
        exec_template_fail(t, "exec", BFORK_ENOMEM, "out of memory");
        goto done;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 || exec_output_pipe(x, &t->output.out, &out, &e) < 0
        || exec_output_pipe(x, &t->output.err, &err, &e) < 0) {
        exec_template_fail(t, "exec", BFORK_ENOMEM,
                           e.code ? e.text : "cannot make a socket pair for a template: too many open files");
        goto done;
    }
    t->socket.fd = pair[0];
    pair[0] = -1;
    if ((rc = exec_watch(x, &t->socket)) < 0) {
        exec_template_fail(t, "exec", BFORK_ENOMEM, strerror(-rc));
        goto done;
    }
    if ((rc = exec_kept_spawn(t, argv.v, env.v, pair[1], out, err)))
        keeper_failed(t, rc);
    else if ((rc = send_setup(t)) < 0 && rc != -EPIPE && rc != -ECONNRESET)
        exec_template_fail(t, "exec", BFORK_ENOMEM, strerror(-rc));
done:
    for (int i = 0; i < 2; i++)
        if (pair[i] >= 0)
            close(pair[i]);
    if (out >= 0)
        close(out);
    if (err >= 0)
        close(err);
    words_free(&argv);
    words_free(&env);
}

static int start_exec(struct exec *x, const struct exec_template_spec *s, void *user, struct exec_proc *solo,
                      struct exec_template **ret,
                      struct err *e)
{
    struct exec_template *t = calloc(1, sizeof(*t));
    struct err mine = { 0 };

    if (!t)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    t->x = x;
    t->user = user;
    t->solo = solo;
    t->program_fd = t->fork_server = t->keeper = t->pid = -1;
    t->socket = (struct source){ .fd = -1, .kind = SOURCE_SOCKET, .t = t };
    t->leash = (struct source){ .fd = -1, .kind = SOURCE_LEASH, .t = t };
    list_init(&t->procs);
    list_init(&t->due);
    exec_output_init(&t->output, t, NULL);
    t->start_limit_ms = s->start_limit_ms ? s->start_limit_ms : 60000;
    t->deadline = clock_now() + t->start_limit_ms * CLOCK_MS;
    t->spec = wire_pool_spec_encode(&s->spec);
    if (s->program_path)
        t->program_path = strdup(s->program_path);
    else if (s->program_fd >= 0)
        t->program_fd = fcntl(s->program_fd, F_DUPFD_CLOEXEC, 5);
    else
        t->program_path = strdup(x->runner);
    if (s->fork_server > 0)
        t->fork_server = fcntl(s->fork_server, F_DUPFD_CLOEXEC, 5);
    t->library_path = s->library_path ? strdup(s->library_path) : NULL;
    if (!t->spec || (s->fork_server > 0 && t->fork_server < 0) || (!t->program_path && t->program_fd < 0) ||
        (s->library_path && !t->library_path) || wire_pool_spec_decode(t->spec->data, t->spec->size, &t->decoded, &mine) < 0)
        goto fail;
    if (t->decoded.program_name.n)
        snprintf(t->name, sizeof(t->name), "%.*s", (int)t->decoded.program_name.n, t->decoded.program_name.p);
    else
        snprintf(t->name, sizeof(t->name), "%s", t->program_path ? t->program_path : "the program");
    list_push_back(&x->templates, &t->node);
    launch_template(t);
    *ret = t;
    return 0;
fail:
    buf_unref(&t->spec);
    free(t->program_path);
    free(t->library_path);
    if (t->program_fd >= 0)
        close(t->program_fd);
    if (t->fork_server >= 0)
        close(t->fork_server);
    free(t);
    return mine.code ? err_set(e, mine.code, "%s", mine.text)
                     : err_set(e, BFORK_ENOMEM, "cannot keep the pool's specification: out of memory, or it is too large");
}

int exec_template_start(struct exec *x, const struct exec_template_spec *s, void *user, struct exec_template **ret, struct err *e)
{
    return start_exec(x, s, user, NULL, ret, e);
}

/* A template of its own for one process: its program starts threads, which do not survive a fork. */
static int start_solo(struct exec_template *like, struct exec_proc *p, struct err *e)
{
    struct exec_template_spec s = { .program_fd = like->program_fd,
                                    .program_path = like->program_path,
                                    .spec = like->decoded,
                                    .fork_server = like->fork_server,
                                    .library_path = like->library_path,
                                    .start_limit_ms = like->start_limit_ms };
    return start_exec(like->x, &s, NULL, p, &p->solo, e);
}

/* Closing the socket is the order: it kills what it has started and leaves. Only if it does not is it killed. */
void exec_template_stop(struct exec_template *t)
{
    if (t->state == TEMPLATE_GONE)
        return;
    t->silent = true;
    while (!list_empty(&t->procs)) {
        struct exec_proc *p = LIST_ENTRY(list_first(&t->procs), struct exec_proc, node);
        exec_proc_unlink(p);            /* takes its own template with it, if it has one */
    }
    exec_unwatch(t->x, &t->socket);
    if (t->state == TEMPLATE_READY)
        exec_kept_wait(t, clock_now() + 2 * CLOCK_SEC);
    exec_template_gone(t);
    exec_kept_wait(t, clock_now() + 2 * CLOCK_SEC);
}

/* ---- processes ---- */

int exec_proc_start(struct exec_template *t, void *user, struct exec_proc **ret, struct err *e)
{
    struct exec_proc *p = calloc(1, sizeof(*p));
    int rc;

    if (!p)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    p->x = t->x;
    p->t = t;
    p->user = user;
    p->id = ++t->x->next_id;
    p->ring.fd = -1;
    p->pid = -1;
    map_init(&p->jobs);
    exec_output_init(&p->output, NULL, p);
    p->pushed_cap = 64;
    p->pushed = malloc(p->pushed_cap * sizeof(*p->pushed));
    p->pull = malloc(PULL_ROOM);
    p->lens = malloc(PULL_TASKS * 4);
    if (!p->pushed || !p->pull || !p->lens) {
        rc = err_set(e, BFORK_ENOMEM, "out of memory");
        goto fail;
    }
    p->task.size = RING_TASKS;
    p->job.size = RING_JOBS;
    p->result.size = RING_RESULTS;
    p->sample_at = CLOCK_NEVER;
    if (t->threads && (rc = start_solo(t, p, e)) < 0)
        goto fail;
    list_push_back(&t->procs, &p->node);
    t->x->changes++;
    if (t->state == TEMPLATE_READY && !t->threads)
        exec_proc_due(p, false);
    *ret = p;
    return 0;
fail:
    exec_proc_free(p);
    return rc;
}
