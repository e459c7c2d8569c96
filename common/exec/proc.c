/* SPDX-License-Identifier: MPL-2.0
 * proc.c - the life of a task process as its owner sees it: forked, initialized, told to stop, dead. Its tasks are in push.c and
 * pull.c.
 */
#include "exec/exec_i.h"
#include "base/clock.h"
#include "bfork.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

void exec_proc_free(struct exec_proc *p)
{
    size_t i = 0;
    uint64_t key;
    void *value;

    exec_ring_close(&p->ring);
    while (map_next(&p->jobs, &i, &key, &value))
        free(value);
    map_free(&p->jobs);
    free(p->pushed);
    free(p->pull);
    free(p->lens);
    free(p);
}

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
    p->pull_cap = PULL_MERGE + 65536;
    p->pull = malloc(p->pull_cap);
    p->lens = malloc(PULL_TASKS * 4);
    if (!p->pushed || !p->pull || !p->lens) {
        rc = err_set(e, BFORK_ENOMEM, "out of memory");
        goto fail;
    }
    p->task.size = RING_TASKS;
    p->job.size = RING_JOBS;
    p->result.size = RING_RESULTS;
    p->sample_at = CLOCK_NEVER;
    if (t->threads && (rc = exec_template_solo(t, p, e)) < 0)
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

static struct exec_template *template_of_proc(const struct exec_proc *p) { return p->solo ? p->solo : p->t; }

void exec_proc_due(struct exec_proc *p, bool first)
{
    struct exec_template *t = template_of_proc(p);

    if (list_in(&p->due))
        list_remove(&t->due, &p->due);
    if (first)
        list_push_front(&t->due, &p->due);
    else
        list_push_back(&t->due, &p->due);
    exec_template_flush(t);
}

void exec_proc_undue(struct exec_proc *p)
{
    if (list_in(&p->due))
        list_remove(&template_of_proc(p)->due, &p->due);
}

/* It never came into being: for want of descriptors or memory, which may be there later. */
static void proc_unborn(struct exec_proc *p, const char *why)
{
    exec_ring_close(&p->ring);
    exec_output_close(p->x, &p->output);
    p->unborn = true;
    exec_proc_violates(p, why);
}

static int make_ring(struct exec_proc *p, struct err *e)
{
    int rc = exec_ring_new(&p->ring, e);

    if (rc < 0)
        return rc;
    if (getrandom(p->nonce, MARK_NONCE, 0) != MARK_NONCE)
        return err_errno(e, BFORK_ENOMEM, errno, "no random numbers");
    p->nonce[0] = MARK_FIRST;
    memcpy(p->ring.control->nonce, p->nonce, MARK_NONCE);
    atomic_store(&p->ring.control->until, exec_watch_until(p->x));
    atomic_store(&p->ring.control->attentive[0], 1);
    atomic_store(&p->ring.control->attentive[1], 1);
    return 0;
}

/* The process comes into being: four descriptors go to its template. */
static int send_spawn(struct exec_proc *p)
{
    struct exec_template *t = template_of_proc(p);
    struct packet k = { .type = PACKET_SPAWN, .id = p->id };
    int fds[PACKET_FDS] = { -1, p->x->event, -1, -1 };
    struct err e = { 0 };
    int rc = -EMFILE;

    if (make_ring(p, &e) == 0 && exec_output_pipe(p->x, &p->output.out, &fds[2], &e) == 0 &&
        exec_output_pipe(p->x, &p->output.err, &fds[3], &e) == 0) {
        fds[0] = p->ring.fd;
        rc = exec_packet_send(t->socket.fd, &k, fds, PACKET_FDS, false);
    }
    for (int i = 2; i < PACKET_FDS; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    if (rc == 0) {
        exec_ring_forget_fd(&p->ring);
        p->asked = true;
        t->asked++;
    } else if (rc == -EAGAIN) {                     /* anew when there is room: nothing is held meanwhile */
        exec_ring_close(&p->ring);
        exec_output_close(p->x, &p->output);
    } else if (rc != -EPIPE && rc != -ECONNRESET) { /* those: the socket's end is reported soon */
        proc_unborn(p, e.code ? e.text : strerror(-rc));
    }
    return rc;
}

int exec_proc_send(struct exec_proc *p)
{
    struct packet k = { .type = PACKET_KILL, .id = p->id };

    return p->asked ? exec_packet_send(template_of_proc(p)->socket.fd, &k, NULL, 0, false) : send_spawn(p);
}

/* Out of every list; freed at the end of the step. */
void exec_proc_unlink(struct exec_proc *p)
{
    struct exec_template *solo = p->solo;

    if (p->state == PROC_GONE)
        return;
    p->state = PROC_GONE;
    p->x->changes++;
    exec_proc_undue(p);
    if (p->asked && !p->answered)
        template_of_proc(p)->asked--;
    exec_output_close(p->x, &p->output);
    list_remove(&p->t->procs, &p->node);
    list_push_back(&p->x->graves_p, &p->node);
    p->solo = NULL;
    if (solo) {
        solo->solo = NULL;
        solo->silent = true;
        if (solo->state != TEMPLATE_GONE) {
            exec_template_kill(solo);
            exec_template_gone(solo);
        }
    }
}

void exec_proc_violates(struct exec_proc *p, const char *what)
{
    if (p->violated)
        return;
    p->violated = true;
    err_set(&p->violation, BFORK_CRASHED, "%s", what);
}

void exec_proc_kill(struct exec_proc *p, int kind)
{
    if (p->state == PROC_DEAD || p->state == PROC_GONE)
        return;
    p->kill_kind = kind;
    if (p->solo)
        exec_template_kill(p->solo);
    else if (p->asked)
        exec_proc_due(p, true);
    else {
        exec_proc_undue(p);
        exec_proc_violates(p, "killed before it was forked");
    }
}

void exec_proc_stop(struct exec_proc *p)
{
    struct ring_control *c = p->ring.control;

    if (p->state == PROC_DEAD || p->state == PROC_GONE)
        return;
    if (p->state == PROC_READY)
        p->state = PROC_STOPPING;
    if (!p->asked) {
        exec_proc_undue(p);
        p->stop_early = true;
        return;
    }
    p->stop_asked = true;
    atomic_store(&c->stop, 1);
    exec_ring_wake(c);
}

void exec_proc_limit(struct exec_proc *p, uint64_t run_limit_ms) { p->run_limit_ns = run_limit_ms * CLOCK_MS; }

pid_t exec_proc_pid(const struct exec_proc *p) { return p->pid; }

void exec_proc_step(struct exec_proc *p)
{
    const struct exec_callbacks *cb = p->x->config.callbacks;
    struct ring_control *c = p->ring.control;

    if ((p->violated || p->stop_early) && p->state != PROC_DEAD) {
        if (!p->asked) {
            struct packet died = { .type = PACKET_DIED, .code = p->unborn ? BFORK_EAGAIN : BFORK_CRASHED };
            snprintf(died.text, sizeof(died.text), "%s", p->violation.text);
            exec_proc_dead(p, &died);
        } else if (!p->kill_kind) {
            exec_proc_kill(p, BFORK_CRASHED);
        }
        return;
    }
    if (p->state == PROC_STARTING && atomic_load(&c->state) == RING_READY) {
        p->state = atomic_load(&c->stop) ? PROC_STOPPING : PROC_READY;
        if (cb->proc_ready)
            cb->proc_ready(p->x->config.ctx, p->user);
    }
}

void exec_proc_last_words(struct exec_proc *p)
{
    if (!p->asked)
        return;
    exec_output_read(p->x, &p->output.out, true);
    exec_output_read(p->x, &p->output.err, true);
    p->visible = atomic_load_explicit(&p->ring.control->result_head, memory_order_acquire);
}

void exec_proc_dead(struct exec_proc *p, const struct packet *obituary)
{

    if (p->state == PROC_DEAD || p->state == PROC_GONE)
        return;
    exec_proc_last_words(p);
    p->state = PROC_DEAD;
    exec_death_report(p, obituary);
    if (p->state != PROC_GONE)
        exec_proc_unlink(p);
}
