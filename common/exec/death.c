/* SPDX-License-Identifier: MPL-2.0
 * death.c - from a wait status, what the process left in its ring and what we did to it, to one outcome with a line of text. From
 * here on it is lent upward as it is. Strings from the ring are copied, ended and cleaned: the process is hostile.
 */
#include "exec/death.h"
#include "exec/pending.h"
#include "base/clock.h"
#include "bfork.h"

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct texts { char message[2048], function[256], where[512], backtrace[8192], output[TAIL_SIZE + 1], stage[32]; };

/* memory.events of the cgroup this process is in (v2): how many processes the kernel has killed there. */
uint64_t exec_death_oom_count(void)
{
    char line[4200], path[4300];
    unsigned long long n = 0;
    FILE *f = fopen("/proc/self/cgroup", "re");

    path[0] = '\0';
    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, "0::", 3) == 0) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.events", line + 3);
        }
    if (f)
        fclose(f);
    f = path[0] ? fopen(path, "re") : NULL;
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "oom_kill %llu", &n) == 1)
            break;
    if (f)
        fclose(f);
    return n;
}

/* At most size - 1 bytes of what the process wrote, without control characters but \n and \t. */
static void clean(char *to, size_t size, const char *from, size_t from_size)
{
    size_t n = 0;

    for (; n < size - 1 && n < from_size; n++) {
        char c = ((const volatile char *)from)[n];
        if (!c)
            break;
        to[n] = (unsigned char)c < 32 && c != '\n' && c != '\t' ? '?' : c;
    }
    to[n] = '\0';
}

static const char *signal_name(int sig, char *room, size_t size)
{
    static const struct {
        int n;
        const char *name;
    } names[] = { { SIGSEGV, "SIGSEGV" }, { SIGABRT, "SIGABRT" }, { SIGBUS, "SIGBUS" },   { SIGFPE, "SIGFPE" },
                  { SIGILL, "SIGILL" },   { SIGSYS, "SIGSYS" },   { SIGTRAP, "SIGTRAP" }, { SIGKILL, "SIGKILL" },
                  { SIGTERM, "SIGTERM" }, { SIGINT, "SIGINT" },   { SIGPIPE, "SIGPIPE" }, { SIGALRM, "SIGALRM" },
                  { SIGHUP, "SIGHUP" },   { SIGXCPU, "SIGXCPU" }, { SIGXFSZ, "SIGXFSZ" }, { SIGUSR1, "SIGUSR1" },
                  { SIGUSR2, "SIGUSR2" }, { SIGQUIT, "SIGQUIT" } };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].n == sig)
            return names[i].name;
    snprintf(room, size, "signal %d", sig);
    return room;
}

static void describe_signal(struct exec_proc *p, struct wire_outcome *d, struct texts *t, int sig)
{
    assert(p->ring.control);
    struct ring_obituary *o = &p->ring.control->obituary;
    char name[32];
    int told = atomic_load_explicit(&o->signal, memory_order_acquire);

    if (told > 0 && told < 65 && sig != SIGKILL)
        sig = told;                                 /* the handler itself may have ended otherwise */
    d->kind = BFORK_CRASHED;
    d->signal = sig;
    if (sig == SIGKILL) {
        uint64_t oom = exec_death_oom_count();
        if (oom > p->x->oom_kills) {
            p->x->oom_kills = oom;
            d->kind = BFORK_OVERMEMORY;
            snprintf(t->message, sizeof(t->message), "over memory: killed by the kernel because its memory limit was reached");
        } else {
            snprintf(t->message, sizeof(t->message),
                     "crashed: SIGKILL, sent by somebody else; it may have been the kernel for lack of memory (see dmesg)");
        }
        return;
    }
    if (told) {
        clean(t->function, sizeof(t->function), o->function, sizeof(o->function));
        clean(t->where, sizeof(t->where), o->where, sizeof(o->where));
        clean(t->backtrace, sizeof(t->backtrace), o->backtrace, sizeof(o->backtrace));
    }
    int n = snprintf(t->message, sizeof(t->message), "crashed: %s", signal_name(sig, name, sizeof(name)));
    if (t->function[0])
        n += snprintf(t->message + n, sizeof(t->message) - (size_t)n, " in %s", t->function);
    if (t->where[0])
        n += snprintf(t->message + n, sizeof(t->message) - (size_t)n, " at %s", t->where);
    if (told && o->sig_code == RING_OVERFLOW && (sig == SIGSEGV || sig == SIGBUS))
        snprintf(t->message + n, sizeof(t->message) - (size_t)n, ": stack overflow (address %#llx)",
                 (unsigned long long)o->address);
    else if (told && o->address && (sig == SIGSEGV || sig == SIGBUS))
        snprintf(t->message + n, sizeof(t->message) - (size_t)n, " (address %#llx)", (unsigned long long)o->address);
}

static void describe_exit(struct exec_proc *p, struct wire_outcome *d, struct texts *t, int code)
{
    struct ring_control *c = p->ring.control;
    uint32_t state = atomic_load(&c->state);

    if (state == RING_STOPPED && code == 0 && p->stop_asked) {
        d->kind = 0;
        return;
    }
    d->code = code;
    d->kind = BFORK_EXITED;
    if (state == RING_INIT_FAILED) {
        d->kind = BFORK_FAILED;
        d->code = c->init_code;
        snprintf(t->stage, sizeof(t->stage), "initializer");
        clean(t->message, sizeof(t->message), c->init_text, sizeof(c->init_text));
    } else if (state == RING_NEW) {
        snprintf(t->stage, sizeof(t->stage), "initializer");
        snprintf(t->message, sizeof(t->message), "exited: the initializer called exit(%d)", code);
    } else if (state == RING_BROKEN) {
        snprintf(t->message, sizeof(t->message), "exited: a task had closed descriptors the task process needs");
    } else if (state == RING_STOPPED && atomic_load(&c->stop)) {
        snprintf(t->message, sizeof(t->message), "exited: a task wrote over the control words of its task ring");
    } else if (d->in_task) {
        snprintf(t->message, sizeof(t->message), "exited: the task called exit(%d)", code);
    } else {
        snprintf(t->message, sizeof(t->message), "exited: the task process ended with status %d between two tasks", code);
    }
}

static void describe_kill(struct exec_proc *p, struct wire_outcome *d, struct texts *t)
{
    d->kind = p->kill_kind;
    if (p->violated)
        snprintf(t->message, sizeof(t->message), "crashed: %s; the process was killed", p->violation.text);
    else if (p->kill_kind == BFORK_OVERTIME)
        snprintf(t->message, sizeof(t->message), "over time: the task had run for %.1f s and was killed at its limit",
                 (double)d->duration_us / 1e6);
    else if (p->kill_kind == BFORK_CANCELLED)
        snprintf(t->message, sizeof(t->message), "cancelled: it was running and was killed");
    else
        snprintf(t->message, sizeof(t->message), "the task process was killed");
}

static void running_task(struct exec_proc *p, struct wire_outcome *d)
{
    struct ring_control *c = p->ring.control;

    if (!c)
        return;                                     /* it never came into being */
    uint64_t current = atomic_load(&c->current), began = atomic_load(&c->block_ns), now = clock_now();

    /* Who writes over the words that tell is taken for running: or its task would be run again and again. */
    bool made_up = p->violated || current >> 33 || (uint32_t)(current >> 1) - p->expected > p->limit - p->expected;
    d->violated = made_up;
    d->in_task = (current & 1 || (made_up && atomic_load(&c->state) != RING_BROKEN)) && exec_pending(p) > 0;
    if (!d->in_task)
        return;
    if (atomic_load(&c->block_first) == (uint32_t)(current >> 1) && began && began <= now)
        d->duration_us = (now - began) / 1000;
    else if (current == p->seen_current && p->seen_at && p->seen_at <= now)
        d->duration_us = (now - p->seen_at) / 1000;
}

/* Of a running task its own words only; what ended between two tasks, or wrote over the words that tell, has those of the last. */
static void output_tail(const struct exec_proc *p, const struct wire_outcome *d, char *to, size_t size)
{
    if (d->in_task && !d->violated && p->output.tail_seq != (uint32_t)(atomic_load(&p->ring.control->current) >> 1))
        return;
    clean(to, size, p->output.tail, p->output.tail_used);
}

static struct wire_str lent(const char *text)
{
    size_t n = strlen(text);

    return (struct wire_str){ text, n < WIRE_TEXT_MAX ? (uint32_t)n : WIRE_TEXT_MAX };
}

void exec_death_report(struct exec_proc *p, const struct packet *o)
{
    const struct exec_callbacks *cb = p->x->config.callbacks;
    struct texts *t = calloc(1, sizeof(*t));
    struct texts none = { .message = "" };
    struct wire_outcome d = { .pid = (uint32_t)(o->pid > 0 ? o->pid : p->pid > 0 ? p->pid : 0) };

    if (!t)
        t = &none;                                  /* without words rather than without a report */
    running_task(p, &d);
    output_tail(p, &d, t->output, sizeof(t->output));
    if (o->pid <= 0 && p->stop_early && !p->violated) {
        d.kind = 0;
    } else if (o->pid <= 0) {                       /* it never ran */
        d.kind = p->kill_kind ? p->kill_kind : o->code < 0 ? o->code : BFORK_CRASHED;
        snprintf(t->message, sizeof(t->message), "no task process could be started: %.1900s", o->text);
        snprintf(t->stage, sizeof(t->stage), "%s", o->stage[0] ? o->stage : "fork");
    } else if (p->kill_kind && WIFSIGNALED(o->status) && WTERMSIG(o->status) == SIGKILL) {
        describe_kill(p, &d, t);
    } else if (WIFSIGNALED(o->status)) {
        describe_signal(p, &d, t, WTERMSIG(o->status));
        if (atomic_load(&p->ring.control->state) == RING_NEW)
            snprintf(t->stage, sizeof(t->stage), "initializer");
    } else {
        describe_exit(p, &d, t, WEXITSTATUS(o->status));
    }
    d.message = lent(t->message);
    d.function = lent(t->function);
    d.where = lent(t->where);
    d.backtrace = lent(t->backtrace);
    d.output = lent(t->output);
    d.stage = lent(t->stage);
    if (!p->t->silent)
        cb->proc_died(p->x->config.ctx, p->user, &d);
    if (t != &none)
        free(t);
}
