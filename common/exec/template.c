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
    return rc ? rc : words_put(w, TASK_FD_VARIABLE "=3", sizeof(TASK_FD_VARIABLE) + 1);
}

static int make_arguments(const struct exec_template *t, struct words *w)
{
    const struct wire_bin *argv = &t->decoded.argv;
    int rc = 0;

    for (uint32_t at = 0; at < argv->n && rc == 0;) {
        size_t n = strnlen((const char *)argv->p + at, argv->n - at);
        rc = words_add(w, strndup((const char *)argv->p + at, n));
        at += (uint32_t)n + 1;
    }
    return rc || w->n ? rc : words_add(w, strdup(t->name));
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
    snprintf(head.work_dir, sizeof(head.work_dir), "%s", x->work_dir ? x->work_dir : "");
    int rc = 0;
    if (write(fd, &head, sizeof(head)) != (ssize_t)sizeof(head) ||
        write(fd, t->spec->data, t->spec->size) != (ssize_t)t->spec->size)
        rc = -EIO;
    else
        rc = packet_send(t->socket.fd, &p, &fd, 1);
    close(fd);
    return rc;
}

static void exec_failed(struct exec_template *t, int error)
{
    char text[512];
    const char *stage = "exec";

    if (error == ENOEXEC || error == ENOENT) {
        const char *found = elf_why_not(t->program_path, t->program_fd, text, sizeof(text), t->name, &stage);
        if (found) {
            fail_later(t, stage, BFORK_REFUSED, found);
            return;
        }
    }
    snprintf(text, sizeof(text), "cannot start %s: %s", t->name, strerror(error));
    fail_later(t, stage, BFORK_REFUSED, text);
}

void template_launch(struct exec_template *t)
{
    struct exec *x = t->x;
    struct words argv = { 0 }, env = { 0 };
    struct err e = { 0 };
    int pair[2] = { -1, -1 }, out = -1, err = -1, rc;

    if (make_arguments(t, &argv) < 0 || make_environment(t, &env) < 0) {
        fail_later(t, "exec", BFORK_ENOMEM, "out of memory");
        goto done;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 || output_pipe(x, &t->output.out, &out, &e) < 0
        || output_pipe(x, &t->output.err, &err, &e) < 0) {
        fail_later(t, "exec", BFORK_ENOMEM, e.code ? e.text : "cannot make a socket pair for a template: too many open files");
        goto done;
    }
    t->socket.fd = pair[0];
    pair[0] = -1;
    if ((rc = exec_watch(x, &t->socket)) < 0) {
        fail_later(t, "exec", BFORK_ENOMEM, strerror(-rc));
        goto done;
    }
    struct spawn s = { t->program_path,        t->program_fd,         argv.v, env.v, pair[1], out, err,
                       x->config.hide_secrets, x->config.hide_secrets };
    rc = spawn_process(&s, &t->pid);
    if (rc)
        exec_failed(t, rc);
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

static int start(struct exec *x, const struct exec_template_spec *s, void *user, struct exec_proc *solo, struct exec_template **ret,
                 struct err *e)
{
    struct exec_template *t = calloc(1, sizeof(*t));
    struct err mine = { 0 };

    if (!t)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    t->x = x;
    t->user = user;
    t->solo = solo;
    t->program_fd = t->pid = -1;
    t->socket = (struct source){ -1, SOURCE_SOCKET, t, NULL };
    list_init(&t->procs);
    output_init(&t->output, t, NULL);
    t->start_limit_ms = s->start_limit_ms ? s->start_limit_ms : 60000;
    t->deadline = clock_now() + t->start_limit_ms * CLOCK_MS;
    t->spec = wire_pool_spec_encode(&s->spec);
    if (s->program_path)
        t->program_path = strdup(s->program_path);
    else if (s->program_fd >= 0)
        t->program_fd = fcntl(s->program_fd, F_DUPFD_CLOEXEC, 5);
    else
        t->program_path = strdup(x->runner);
    t->library_path = s->library_path ? strdup(s->library_path) : NULL;
    if (!t->spec || (!t->program_path && t->program_fd < 0) || (s->library_path && !t->library_path)
        || wire_pool_spec_decode(t->spec->data, t->spec->size, &t->decoded, &mine) < 0)
        goto fail;
    if (t->decoded.program_name.n)
        snprintf(t->name, sizeof(t->name), "%.*s", (int)t->decoded.program_name.n, t->decoded.program_name.p);
    else
        snprintf(t->name, sizeof(t->name), "%s", t->program_path ? t->program_path : "the program");
    list_push_back(&x->templates, &t->node);
    template_launch(t);
    *ret = t;
    return 0;
fail:
    buf_unref(&t->spec);
    free(t->program_path);
    free(t->library_path);
    if (t->program_fd >= 0)
        close(t->program_fd);
    free(t);
    return mine.code ? err_set(e, mine.code, "%s", mine.text)
                     : err_set(e, BFORK_ENOMEM, "cannot keep the pool's specification: out of memory, or it is too large");
}

int exec_template_start(struct exec *x, const struct exec_template_spec *s, void *user, struct exec_template **ret, struct err *e)
{
    return start(x, s, user, NULL, ret, e);
}

/* A template of its own for one process: its program starts threads, which do not survive a fork. */
int template_solo(struct exec_template *like, struct exec_proc *p, struct err *e)
{
    struct exec_template_spec s = { .program_fd = like->program_fd, .program_path = like->program_path, .spec = like->decoded,
                                    .library_path = like->library_path, .start_limit_ms = like->start_limit_ms };
    return start(like->x, &s, NULL, p, &p->solo, e);
}

/* ---- end ---- */

static void reap(struct exec_template *t, bool wait)
{
    pid_t rc;

    if (t->pid <= 0 || t->reaped)
        return;
    do
        rc = waitpid(t->pid, &t->wait_status, wait ? 0 : WNOHANG);
    while (rc < 0 && errno == EINTR);
    if (rc == 0)
        return;
    if (rc < 0)
        t->wait_status = 0;             /* somebody else has reaped it, or SIGCHLD is ignored */
    t->reaped = true;
}

void template_kill(struct exec_template *t)
{
    if (t->pid > 0 && !t->reaped) {
        kill(-t->pid, SIGKILL);
        kill(t->pid, SIGKILL);
    }
}

/* What is left of the groups of its task processes, when it cannot kill them itself any more. */
static void kill_groups(struct exec_template *t)
{
    for (LIST_EACH(&t->procs, n)) {
        struct exec_proc *p = LIST_ENTRY(n, struct exec_proc, node);
        if (p->pid > 0 && p->state != PROC_DEAD)
            kill(-p->pid, SIGKILL);
    }
}

void template_gone(struct exec_template *t)
{
    if (t->state == TEMPLATE_GONE)
        return;
    t->state = TEMPLATE_GONE;
    t->x->changes++;
    kill_groups(t);
    while (!list_empty(&t->procs))
        proc_unlink(LIST_ENTRY(list_first(&t->procs), struct exec_proc, node));
    exec_unwatch(t->x, &t->socket);
    template_kill(t);
    reap(t, true);
    output_close(t->x, &t->output);
    if (t->program_fd >= 0)
        close(t->program_fd);
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
        proc_unlink(p);                 /* takes its own template with it, if it has one */
    }
    exec_unwatch(t->x, &t->socket);
    uint64_t until = clock_now() + 2 * CLOCK_SEC;
    if (t->state == TEMPLATE_READY)
        while (reap(t, false), t->pid > 0 && !t->reaped && clock_now() < until)
            usleep(200);
    template_gone(t);
}

static void report_failure(struct exec_template *t, const char *stage, int code, const char *text)
{
    struct exec *x = t->x;
    const struct exec_callbacks *cb = x->config.callbacks;
    struct exec_proc *solo = t->solo;

    t->state = TEMPLATE_FAILED;
    if (solo) {
        struct packet died = { .type = PACKET_DIED, .code = code };
        snprintf(died.text, sizeof(died.text), "%s", text);
        snprintf(died.stage, sizeof(died.stage), "%s", stage);
        proc_dead(solo, &died);
    } else if (!t->silent && cb->template_failed) {
        cb->template_failed(x->config.ctx, t->user, code, stage, text);
    }
    template_gone(t);
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

    output_read(t->x, o, &o->out);
    output_read(t->x, o, &o->err);
    reap(t, true);
    bool words = last_line_of(t, line, sizeof(line));
    if (!t->hello && WIFEXITED(t->wait_status) && WEXITSTATUS(t->wait_status) == 127 && words) {
        found = elf_loader_said(line, why, sizeof(why));
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
    report_failure(t, stage, t->hello ? BFORK_REFUSED : BFORK_ENOINIT, text);
}

static void socket_ended(struct exec_template *t)
{
    char text[512];

    if (t->failure.code)
        return;                         /* already known, and better: the step says it */
    if (t->state == TEMPLATE_STARTING) {
        report_end(t);
        return;
    }
    if (t->solo) {
        template_kill(t);               /* its group, while its pid cannot be another's */
        reap(t, true);
        struct packet died = { .type = PACKET_DIED, .pid = t->pid, .status = t->wait_status };
        proc_dead(t->solo, &died);
        template_gone(t);
        return;
    }
    template_kill(t);
    reap(t, true);
    if (WIFSIGNALED(t->wait_status))
        snprintf(text, sizeof(text), "the template of %s was killed by signal %d (%s)", t->name, WTERMSIG(t->wait_status),
                 strsignal(WTERMSIG(t->wait_status)));
    else
        snprintf(text, sizeof(text), "the template of %s ended by itself with status %d", t->name, WEXITSTATUS(t->wait_status));
    report_failure(t, "template", BFORK_CRASHED, text);
}

/* ---- packets ---- */

static void became_ready(struct exec_template *t, const struct packet *p)
{
    struct exec *x = t->x;

    t->state = TEMPLATE_READY;
    t->threads = p->value > 1;
    if (t->solo) {
        proc_attach(t->solo);
        return;
    }
    for (LIST_EACH(&t->procs, n))
        proc_attach(LIST_ENTRY(n, struct exec_proc, node));
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

void template_packet(struct exec_template *t)
{
    struct packet p;
    int fds[PACKET_FDS];
    struct exec_proc *proc;

    for (int turn = 0; turn < 64 && t->state != TEMPLATE_GONE; turn++) {
        int rc = packet_recv(t->socket.fd, &p, fds, false);
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
            if (t->state == TEMPLATE_STARTING) {
                report_failure(t, p.stage[0] ? p.stage : "init", p.code < 0 ? p.code : BFORK_REFUSED, p.text);
                return;
            }
            break;
        case PACKET_FORKED:
            if ((proc = proc_of(t, p.id)) && proc->state == PROC_FORKING && p.pid > 0) {
                proc->pid = p.pid;
                proc->state = PROC_STARTING;
            }
            break;
        case PACKET_DIED:
            if ((proc = proc_of(t, p.id)) && proc->state != PROC_DEAD)
                proc_dead(proc, &p);
            break;
        default:
            break;                      /* of a later version */
        }
    }
}

void template_step(struct exec_template *t)
{
    char text[512];

    if (t->failure.code) {
        struct err e = t->failure;
        report_failure(t, t->failure_stage, e.code, e.text);
        return;
    }
    if (t->state == TEMPLATE_STARTING && t->x->now >= t->deadline) {
        snprintf(text, sizeof(text), t->hello ? "%s has not finished its preload within %.1f s" :
                 "main of %s has not called bfork_init within %.1f s: make bfork_init (&argc, &argv) its first line", t->name,
                 (double)t->start_limit_ms / 1000);
        report_failure(t, t->hello ? "preload" : "init", t->hello ? BFORK_OVERTIME : BFORK_ENOINIT, text);
    }
}
