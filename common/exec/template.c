/* SPDX-License-Identifier: MPL-2.0
 * template.c - hears templates, and turns every way in which one can fail to come up, or end, into a stage and a line of text.
 * Never waits: what cannot be said at once is said by the next exec_step.
 */
#include "exec/elf.h"
#include "exec/end.h"
#include "exec/kept.h"
#include "exec/orders.h"
#include "exec/output.h"
#include "exec/source.h"
#include "exec/states.h"
#include "exec/sweep.h"
#include "exec/template.h"
#include "base/clock.h"
#include "bfork.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void exec_template_fail(struct exec_template *t, const char *stage, int code, const char *text)
{
    if (t->failure.code)
        return;
    snprintf(t->failure_stage, sizeof(t->failure_stage), "%s", stage);
    err_set(&t->failure, code, "%s", text);
}

void exec_template_unstarted(struct exec_template *t, int error)
{
    char text[512];
    const char *stage = "exec";

    if (error == ENOEXEC || error == ENOENT) {
        const char *found = exec_elf_why_not(t->program_path, t->program_fd, text, sizeof(text), t->name, &stage);
        if (found) {
            exec_template_fail(t, stage, BFORK_REFUSED, found);
            return;
        }
    }
    snprintf(text, sizeof(text), "cannot start %s: %s", t->name, strerror(error));
    exec_template_fail(t, stage, err_passes(error) ? BFORK_EAGAIN : BFORK_REFUSED, text);
}

/* ---- end ---- */

static void report_failure(struct exec_template *t, const char *stage, int code, const char *text)
{
    struct exec *x = t->x;
    const struct exec_callbacks *cb = x->config.callbacks;
    struct exec_proc *solo = t->solo;

    exec_template_move(t, TEMPLATE_FAIL);
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
        exec_template_unstarted(t, t->exec_error);
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

    if (!exec_template_move(t, TEMPLATE_UP))
        return;
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

/* A template is its program's process, and may be anything. What it can say is this; who says anything else is ended, with all its
 * processes, and the pool's owner hears why. A process that it does not have any more may be named: that was on the way. */
static void template_lies(struct exec_template *t, const char *what)
{
    char text[512];

    snprintf(text, sizeof(text), "the template of %s was ended: %s", t->name, what);
    exec_template_fail(t, "template", BFORK_CRASHED, text);
}

static void heard_failed(struct exec_template *t, const struct packet *p)
{
    int code = p->code < 0 && p->code >= BFORK_EPROTOCOL ? p->code : BFORK_REFUSED;

    if (t->state == TEMPLATE_STARTING)
        report_failure(t, p->stage[0] ? p->stage : "init", code, p->text);
}

/* Has this template been asked for it? One that is a template of its own is in the list of the one that it was to be like. */
static bool is_asked(const struct exec_template *t, const struct exec_proc *p) { return p->asked && template_of_proc(p) == t; }

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
    if (!is_asked(t, proc) || p->pid <= 1 || !exec_proc_move(proc, PROC_FORKED)) {
        template_lies(t, "it told of a process that it had not been asked for");
        return;
    }
    answered(t, proc);
    proc->pid = p->pid;
    proc->below = t->pid > 1 && (p->pid == t->pid || exec_sweep_parent(p->pid) == t->pid);
}

/* Of a process that there was, its pid and how it ended; of one that there was not, that it may be asked for again. */
static void heard_died(struct exec_template *t, const struct packet *p)
{
    struct exec_proc *proc = proc_of(t, p->id);
    bool ended = p->pid > 0 && (WIFEXITED(p->status) || WIFSIGNALED(p->status));

    if (!proc || proc->state == PROC_DEAD)
        return;
    if (!is_asked(t, proc)) {
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
