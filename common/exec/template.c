/* SPDX-License-Identifier: MPL-2.0
 * template.c - starts templates, hears them, and turns every way in which one can fail to come up into a stage and a line of text.
 * Never waits: what cannot be said at once is said by the next exec_step.
 */
#include "exec/exec_i.h"
#include "exec/elf.h"
#include "base/clock.h"
#include "bfork.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void fail_later(struct exec_template *t, const char *stage, int code, const char *text)
{
    if (t->failure.code)
        return;
    snprintf(t->failure_stage, sizeof(t->failure_stage), "%s", stage);
    err_set(&t->failure, code, "%s", text);
}

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

/* ---- start ---- */

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

static void exec_failed(struct exec_template *t, int error)
{
    char text[512];
    const char *stage = "exec";

    if (error == ENOEXEC || error == ENOENT) {
        const char *found = exec_elf_why_not(t->program_path, t->program_fd, text, sizeof(text), t->name, &stage);
        if (found) {
            fail_later(t, stage, BFORK_REFUSED, found);
            return;
        }
    }
    snprintf(text, sizeof(text), "cannot start %s: %s", t->name, strerror(error));
    fail_later(t, stage, err_passes(error) ? BFORK_EAGAIN : BFORK_REFUSED, text);
}

static void keeper_failed(struct exec_template *t, int error)
{
    const bool missing = error == ENOENT || error == EACCES;
    char text[1024];

    if (t->fork_server >= 0) {
        exec_failed(t, error);
        return;
    }
    snprintf(text, sizeof(text), "cannot start %s%s: %s%s", t->x->keeper, missing ? ", a part of Broadfork" : "", strerror(error),
             missing ? "; install it again, or link a program that has libbfork.a in it with the -rpath of bfork.pc" : "");
    fail_later(t, "exec", BFORK_REFUSED, text);
}

void exec_template_launch(struct exec_template *t)
{
    struct exec *x = t->x;
    struct words argv = { 0 }, env = { 0 };
    struct err e = { 0 };
    int pair[2] = { -1, -1 }, out = -1, err = -1, rc;

    if (make_arguments(t, &argv) < 0 || make_environment(t, &env) < 0) {
        fail_later(t, "exec", BFORK_ENOMEM, "out of memory");
        goto done;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 || exec_output_pipe(x, &t->output.out, &out, &e) < 0
        || exec_output_pipe(x, &t->output.err, &err, &e) < 0) {
        fail_later(t, "exec", BFORK_ENOMEM, e.code ? e.text : "cannot make a socket pair for a template: too many open files");
        goto done;
    }
    t->socket.fd = pair[0];
    pair[0] = -1;
    if ((rc = exec_watch(x, &t->socket)) < 0) {
        fail_later(t, "exec", BFORK_ENOMEM, strerror(-rc));
        goto done;
    }
    if ((rc = exec_kept_spawn(t, argv.v, env.v, pair[1], out, err)))
        keeper_failed(t, rc);
    else if ((rc = send_setup(t)) < 0 && rc != -EPIPE && rc != -ECONNRESET)
        fail_later(t, "exec", BFORK_ENOMEM, strerror(-rc));
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
    exec_template_launch(t);
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
int exec_template_solo(struct exec_template *like, struct exec_proc *p, struct err *e)
{
    struct exec_template_spec s = { .program_fd = like->program_fd,
                                    .program_path = like->program_path,
                                    .spec = like->decoded,
                                    .fork_server = like->fork_server,
                                    .library_path = like->library_path,
                                    .start_limit_ms = like->start_limit_ms };
    return start_exec(like->x, &s, NULL, p, &p->solo, e);
}

/* ---- end ---- */

void exec_template_kill(struct exec_template *t) { exec_kept_end(t); }

/* Its keeper may still be killing what it had started: the struct stays until that has ended. */
void exec_template_gone(struct exec_template *t)
{
    if (t->state == TEMPLATE_GONE)
        return;
    t->state = TEMPLATE_GONE;
    t->x->changes++;
    while (!list_empty(&t->procs))
        exec_proc_unlink(LIST_ENTRY(list_first(&t->procs), struct exec_proc, node));
    exec_unwatch(t->x, &t->socket);
    exec_template_kill(t);
    exec_output_close(t->x, &t->output);
    if (t->program_fd >= 0)
        close(t->program_fd);
    if (t->fork_server >= 0)
        close(t->fork_server);
    list_remove(&t->x->templates, &t->node);
    list_push_back(&t->x->graves_t, &t->node);
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

static void report_failure(struct exec_template *t, const char *stage, int code, const char *text)
{
    struct exec *x = t->x;
    const struct exec_callbacks *cb = x->config.callbacks;
    struct exec_proc *solo = t->solo;

    t->state = TEMPLATE_FAILED;
    for (LIST_EACH(&t->procs, n))
        exec_proc_last_words(LIST_ENTRY(n, struct exec_proc, node));
    if (solo) {
        struct packet died = { .type = PACKET_DIED, .code = code };
        snprintf(died.text, sizeof(died.text), "%s", text);
        snprintf(died.stage, sizeof(died.stage), "%s", stage);
        exec_proc_dead(solo, &died);
    } else if (!t->silent && cb->template_failed) {
        cb->template_failed(x->config.ctx, t->user, code, stage, text);
    }
    exec_template_gone(t);
}

static bool last_line_of(const struct exec_template *t, char *line, size_t size)
{
    const struct output *o = &t->output;
    uint32_t end = o->tail_used, from;

    while (end && (o->tail[end - 1] == '\n' || o->tail[end - 1] == '\0'))
        end--;
    for (from = end; from && o->tail[from - 1] != '\n';)
        from--;
    snprintf(line, size, "%.*s", (int)(end - from), o->tail + from);
    return end > from;
}

/* It ended before it was ready: what its exit status and its last words say. */
static void report_end(struct exec_template *t)
{
    char line[1024], text[1600], why[512];
    const char *stage = t->hello ? "preload" : "init", *found;
    struct output *o = &t->output;

    exec_output_read(t->x, &o->out, true);
    exec_output_read(t->x, &o->err, true);
    bool words = last_line_of(t, line, sizeof(line));
    if (!t->hello && WIFEXITED(t->wait_status) && WEXITSTATUS(t->wait_status) == 127 && words) {
        found = exec_elf_loader_said(line, why, sizeof(why));
        snprintf(text, sizeof(text), "%s: %s", t->name, found ? found : line);
        report_failure(t, "load", BFORK_REFUSED, text);
        return;
    }
    if (WIFSIGNALED(t->wait_status))
        snprintf(text, sizeof(text), "%s was killed by signal %d (%s) %s%s%s", t->name, WTERMSIG(t->wait_status),
                 strsignal(WTERMSIG(t->wait_status)), t->hello ? "while it preloaded" : "before its main called bfork_init",
                 words ? "; its last words: " : "", words ? line : "");
    else if (t->hello)
        snprintf(text, sizeof(text), "%s called exit(%d) while it preloaded%s%s", t->name, WEXITSTATUS(t->wait_status),
                 words ? "; its last words: " : "", words ? line : "");
    else
        snprintf(
            text, sizeof(text),
            "main of %s did not call bfork_init before it ended with status %d: make bfork_init (&argc, &argv) its first line%s%s",
            t->name, WEXITSTATUS(t->wait_status), words ? "; its last words: " : "", words ? line : "");
    if (WIFSIGNALED(t->wait_status) && WTERMSIG(t->wait_status) == SIGKILL)
        report_failure(t, stage, BFORK_EAGAIN, text);       /* by somebody else: its own doing has other signals */
    else
        report_failure(t, stage, t->hello ? BFORK_REFUSED : BFORK_ENOINIT, text);
}

/* It is no more, and nothing that it had started. */
static void conclude(struct exec_template *t)
{
    char text[512];

    t->over = false;
    if (t->failure.code)
        return;                         /* already known, and better: the step says it */
    if (t->exec_error) {
        exec_failed(t, t->exec_error);
        return;
    }
    if (!t->told)
        t->wait_status = SIGKILL;       /* as it does to those that it keeps */
    if (t->state == TEMPLATE_STARTING) {
        report_end(t);
        return;
    }
    if (t->solo) {
        struct packet died = { .type = PACKET_DIED, .pid = t->pid, .status = t->wait_status };
        exec_proc_dead(t->solo, &died);
        exec_template_gone(t);
        return;
    }
    if (!t->told)
        snprintf(text, sizeof(text), "the keeper of the template of %s was killed", t->name);
    else if (WIFSIGNALED(t->wait_status))
        snprintf(text, sizeof(text), "the template of %s was killed by signal %d (%s)", t->name, WTERMSIG(t->wait_status),
                 strsignal(WTERMSIG(t->wait_status)));
    else
        snprintf(text, sizeof(text), "the template of %s ended by itself with status %d", t->name, WEXITSTATUS(t->wait_status));
    report_failure(t, "template", BFORK_CRASHED, text);
}

/* It ends; what is below it is killed before anybody hears of it, so that nothing runs here and again elsewhere. */
static void socket_ended(struct exec_template *t)
{
    exec_unwatch(t->x, &t->socket);
    exec_kept_end(t);
    if (exec_kept_hear(t)) {
        conclude(t);
        return;
    }
    t->over = true;
    t->deadline = clock_now() + 2 * CLOCK_SEC;
}

/* ---- packets ---- */

static void became_ready(struct exec_template *t, const struct packet *p)
{
    struct exec *x = t->x;

    t->state = TEMPLATE_READY;
    t->threads = p->value > 1;
    if (t->solo) {
        exec_proc_due(t->solo, false);
        return;
    }
    if (!t->threads)
        for (LIST_EACH(&t->procs, n))
            exec_proc_due(LIST_ENTRY(n, struct exec_proc, node), false);
    if (!t->silent && x->config.callbacks->template_ready)
        x->config.callbacks->template_ready(x->config.ctx, t->user);
}

static struct exec_proc *proc_of(struct exec_template *t, uint32_t id)
{
    if (t->solo && t->solo->id == id)
        return t->solo;
    for (LIST_EACH(&t->procs, n))
        if (LIST_ENTRY(n, struct exec_proc, node)->id == id)
            return LIST_ENTRY(n, struct exec_proc, node);
    return NULL;
}

/* Orders to the template, in bounded steps: those who are to be killed first, then SPAWNs while few are unanswered. */
void exec_template_flush(struct exec_template *t)
{
    struct list_node *n;
    bool full = false;

    if (t->state != TEMPLATE_READY || t->socket.fd < 0)
        return;
    while (!full && (n = list_first(&t->due))) {
        struct exec_proc *p = LIST_ENTRY(n, struct exec_proc, due);

        if (!p->asked && t->asked >= PACKET_SPAWNS)
            break;
        if (exec_proc_send(p) == -EAGAIN)
            full = true;
        else
            exec_proc_undue(p);
    }
    if (full != t->blocked)
        exec_watch_room(t->x, &t->socket, full);
    t->blocked = full;
}

/* A template is its program's process, and may be anything. What it can say is this; who says anything else is ended, with all its
 * processes, and the pool's owner hears why. A process that it does not have any more may be named: that was on the way. */
static void template_lies(struct exec_template *t, const char *what)
{
    char text[512];

    snprintf(text, sizeof(text), "the template of %s was ended: %s", t->name, what);
    fail_later(t, "template", BFORK_CRASHED, text);
}

static void heard_failed(struct exec_template *t, const struct packet *p)
{
    int code = p->code < 0 && p->code >= BFORK_EPROTOCOL ? p->code : BFORK_REFUSED;

    if (t->state == TEMPLATE_STARTING)
        report_failure(t, p->stage[0] ? p->stage : "init", code, p->text);
}

static void answered(struct exec_template *t, struct exec_proc *p)
{
    if (p->asked && !p->answered)
        t->asked--;
    p->answered = true;
}

static void heard_forked(struct exec_template *t, const struct packet *p)
{
    struct exec_proc *proc = proc_of(t, p->id);

    if (!proc)
        return;
    if (proc->state != PROC_FORKING || !proc->asked || p->pid <= 0) {
        template_lies(t, "it told of a process that it had not been asked for");
        return;
    }
    answered(t, proc);
    proc->pid = p->pid;
    proc->state = PROC_STARTING;
}

/* Of a process that there was, its pid and how it ended; of one that there was not, that it may be asked for again. */
static void heard_died(struct exec_template *t, const struct packet *p)
{
    struct exec_proc *proc = proc_of(t, p->id);
    bool ended = p->pid > 0 && (WIFEXITED(p->status) || WIFSIGNALED(p->status));

    if (!proc || proc->state == PROC_DEAD)
        return;
    if (!proc->asked) {
        template_lies(t, "it told of the end of a process that it had not been asked for");
    } else if (proc->state == PROC_FORKING && (p->pid > 0 || p->code != BFORK_EAGAIN)) {
        template_lies(t, "it told of the end of a process without its beginning");
    } else if (proc->state != PROC_FORKING && (!ended || p->pid != proc->pid)) {
        template_lies(t, "it told an end of a process that there cannot have been");
    } else {
        answered(t, proc);
        exec_proc_dead(proc, p);
    }
}

void exec_template_packet(struct exec_template *t)
{
    struct packet p;
    int fds[PACKET_FDS];

    for (int turn = 0; turn < 64 && t->state != TEMPLATE_GONE && t->socket.fd >= 0 && !t->failure.code; turn++) {
        int rc = exec_packet_recv(t->socket.fd, &p, fds, false);
        for (int i = 0; i < PACKET_FDS; i++)
            if (fds[i] >= 0)
                close(fds[i]);          /* nothing is accepted from there */
        if (rc == -EAGAIN)
            return;
        if (rc <= 0) {
            socket_ended(t);
            return;
        }
        switch (p.type) {
        case PACKET_HELLO:
            t->hello = true;
            break;
        case PACKET_READY:
            if (t->state == TEMPLATE_STARTING)
                became_ready(t, &p);
            break;
        case PACKET_FAILED:
            heard_failed(t, &p);
            break;
        case PACKET_FORKED:
            heard_forked(t, &p);
            break;
        case PACKET_DIED:
            heard_died(t, &p);
            break;
        default:
            break;                      /* of a later version */
        }
    }
}

/* The keeper has said something, or has ended: then what the template said before is heard first. */
void exec_template_leash(struct exec_template *t)
{
    if (!exec_kept_hear(t))
        return;
    if (t->state == TEMPLATE_GONE) {
        if (t->buried) {
            list_remove(&t->x->ending, &t->node);
            list_push_back(&t->x->graves_t, &t->node);
            t->buried = false;
        }
        return;
    }
    if (t->socket.fd >= 0)
        exec_template_packet(t);
    if (t->state != TEMPLATE_GONE && !t->failure.code) {
        exec_unwatch(t->x, &t->socket);
        conclude(t);
    }
}

void exec_template_step(struct exec_template *t)
{
    char text[512];

    if (t->failure.code) {
        struct err e = t->failure;
        report_failure(t, t->failure_stage, e.code, e.text);
        return;
    }
    if (t->over && t->x->now >= t->deadline) {
        conclude(t);                    /* the kernel does not let go of something below it */
    } else if (t->state == TEMPLATE_STARTING && t->x->now >= t->deadline) {
        snprintf(text, sizeof(text), t->hello ? "%s has not finished its preload within %.1f s" :
                 "main of %s has not called bfork_init within %.1f s: make bfork_init (&argc, &argv) its first line", t->name,
                 (double)t->start_limit_ms / 1000);
        report_failure(t, t->hello ? "preload" : "init", t->hello ? BFORK_OVERTIME : BFORK_ENOINIT, text);
    }
}
