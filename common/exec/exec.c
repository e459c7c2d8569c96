/* SPDX-License-Identifier: MPL-2.0
 * exec.c - the owner's loop: one epoll set with the templates' sockets, everybody's output and the event counter that task
 * processes ring. Decides nothing about tasks.
 */
#include "exec/death.h"
#include "exec/end.h"
#include "exec/exec.h"
#include "exec/find.h"
#include "exec/kept.h"
#include "exec/orders.h"
#include "exec/output.h"
#include "exec/pending.h"
#include "exec/source.h"
#include "exec/states.h"
#include "exec/template.h"
#include "exec/watch.h"
#include "exec/watchdog.h"
#include "base/clock.h"
#include "bfork.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

int exec_new(const struct exec_config *c, struct exec **ret, struct err *e)
{
    char path[4096];
    struct exec *x = calloc(1, sizeof(*x));

    if (!x)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    x->config = *c;
    x->epoll = x->event = x->guard = x->guard_leash = -1;
    list_init(&x->ending);
    list_init(&x->templates);
    list_init(&x->graves_t);
    list_init(&x->graves_p);
    x->runner = strdup(c->runner ? c->runner : exec_find("bfork-runner", path, sizeof(path)));
    x->symbols = strdup(c->symbols ? c->symbols : exec_find("bfork-symbols", path, sizeof(path)));
    x->keeper = strdup(exec_find("bfork-keeper", path, sizeof(path)));
    x->work_dir = c->work_dir ? strdup(c->work_dir) : NULL;
    if (!x->runner || !x->symbols || !x->keeper || (c->work_dir && !x->work_dir)) {
        exec_free(&x);
        return err_set(e, BFORK_ENOMEM, "out of memory");
    }
    if (!x->config.output_limit)
        x->config.output_limit = 1ull << 30;
    x->epoll = epoll_create1(EPOLL_CLOEXEC);
    x->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    x->event_source = (struct source){ .fd = x->event, .kind = SOURCE_EVENT };
    if (x->epoll < 0 || x->event < 0 || exec_watch(x, &x->event_source) < 0) {
        err_errno(e, BFORK_ENOMEM, errno, "cannot get descriptors for task processes");
        exec_free(&x);
        return BFORK_ENOMEM;
    }
    int rc = c->adopt ? exec_kept_guard(x, e) : 0;
    if (rc < 0) {
        exec_free(&x);
        return rc;
    }
    x->oom_kills = exec_death_oom_count();
    x->now = clock_now();
    x->until = CLOCK_NEVER;
    *ret = x;
    return 0;
}

static void template_free(struct exec_template *t)
{
    buf_unref(&t->spec);
    free(t->program_path);
    free(t->library_path);
    free(t);
}

static void exec_sweep(struct exec *x)
{
    struct list_node *n;

    while ((n = list_pop(&x->graves_p)))
        exec_proc_free(LIST_ENTRY(n, struct exec_proc, node));
    while ((n = list_pop(&x->graves_t))) {
        struct exec_template *t = LIST_ENTRY(n, struct exec_template, node);
        if (t->leash.fd < 0) {
            template_free(t);
            continue;
        }
        list_push_back(&x->ending, &t->node);   /* its keeper still kills */
        t->buried = true;
    }
}

void exec_free(struct exec **xx)
{
    struct exec *x = *xx;
    int keep = errno;

    if (!x)
        return;
    while (!list_empty(&x->templates))
        exec_template_stop(LIST_ENTRY(list_first(&x->templates), struct exec_template, node));
    exec_sweep(x);
    exec_kept_leave(x);
    for (struct list_node *n; (n = list_pop(&x->ending));)
        template_free(LIST_ENTRY(n, struct exec_template, node));
    if (x->event >= 0)
        close(x->event);
    if (x->epoll >= 0)
        close(x->epoll);
    free(x->runner);
    free(x->symbols);
    free(x->keeper);
    free(x->work_dir);
    free(x);
    *xx = NULL;
    errno = keep;
}

int exec_fd(const struct exec *x) { return x->epoll; }

uint64_t exec_deadline(const struct exec *x)
{
    uint64_t least = CLOCK_NEVER;

    for (LIST_EACH(&x->templates, n)) {
        const struct exec_template *t = LIST_ENTRY(n, struct exec_template, node);
        if (t->failure.code)
            return x->now;
        if ((t->state == TEMPLATE_STARTING || t->over) && t->deadline < least)
            least = t->deadline;
        for (LIST_EACH(&t->procs, m)) {
            const struct exec_proc *p = LIST_ENTRY(m, struct exec_proc, node);
            if ((p->violated || p->stop_early) && p->state != PROC_DEAD)
                return x->now;
            if (p->limited && p->sample_at < least)
                least = p->sample_at;
            if (p->limit != p->expected && x->check_at < least)
                least = x->check_at;
        }
    }
    return least;
}

/* ---- step ---- */

#define EVENTS 64                   /* taken in a step */

static void source_ready(struct exec *x, struct source *s)
{
    switch (s->kind) {
    case SOURCE_EVENT:
        return;
    case SOURCE_SOCKET:
        if (s->t->state != TEMPLATE_GONE)
            exec_template_packet(s->t);
        if (s->t->state == TEMPLATE_READY)
            exec_template_flush(s->t);
        return;
    case SOURCE_LEASH:
        exec_template_leash(s->t);
        return;
    case SOURCE_OUT:
    case SOURCE_ERR:
        if (s->fd >= 0)
            exec_output_read(x, s, false);
        return;
    }
}

static void step_proc(struct exec_proc *p)
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
        exec_proc_move(p, PROC_UP);
        if (atomic_load(&c->stop))
            exec_proc_move(p, PROC_STOP);
        if (cb->proc_ready)
            cb->proc_ready(p->x->config.ctx, p->user);
    }
}

/* false: a callback has changed the lists, start again. */
static bool step_template(struct exec_template *t, uint64_t now)
{
    struct exec *x = t->x;
    uint32_t changes = x->changes;

    exec_template_step(t);
    for (struct list_node *m = x->changes == changes ? t->procs.head.next : NULL; m && m != &t->procs.head; m = m->next) {
        struct exec_proc *p = LIST_ENTRY(m, struct exec_proc, node);
        step_proc(p);
        if (x->changes != changes)
            return false;
        exec_watchdog_step(p, now);
        if (now >= x->check_at)
            exec_watch_words(p);
    }
    return x->changes == changes;
}

/* Where output waited for room, it is read on; and how far results have come is noted before the pipes are looked at. */
static void resume_output(struct exec *x)
{
    for (LIST_EACH(&x->templates, n))
        for (LIST_EACH(&LIST_ENTRY(n, struct exec_template, node)->procs, m)) {
            struct exec_proc *p = LIST_ENTRY(m, struct exec_proc, node);
            if (!p->asked)
                continue;
            exec_output_resume(x, &p->output.out);
            exec_output_resume(x, &p->output.err);
            p->snapshot = atomic_load_explicit(&p->ring.control->result_head, memory_order_acquire);
        }
}

/* What was printed before those results has been read now. crowded: more pipes may be ready than were told. */
static void reveal(struct exec *x, bool crowded)
{
    for (LIST_EACH(&x->templates, n))
        for (LIST_EACH(&LIST_ENTRY(n, struct exec_template, node)->procs, m)) {
            struct exec_proc *p = LIST_ENTRY(m, struct exec_proc, node);
            if (!p->asked || p->snapshot == p->visible)
                continue;
            if (crowded) {
                exec_output_read(x, &p->output.out, false);
                exec_output_read(x, &p->output.err, false);
            }
            if (!p->output.out.more && !p->output.err.more)
                p->visible = p->snapshot;
        }
}

void exec_step(struct exec *x, uint64_t now)
{
    struct epoll_event ev[EVENTS];

    x->now = now;
    resume_output(x);
    int n = epoll_wait(x->epoll, ev, EVENTS, 0);
    for (int i = 0; i < n; i++) {
        struct source *s = ev[i].data.ptr;      /* objects live until the sweep below */
        if (s->fd >= 0)
            source_ready(x, s);
    }
    reveal(x, n == EVENTS);
again:
    for (LIST_EACH(&x->templates, node))
        if (!step_template(LIST_ENTRY(node, struct exec_template, node), now))
            goto again;
    if (now >= x->check_at)
        x->check_at = now + CHECK_NS;
    exec_sweep(x);
}

void exec_valid_until(struct exec *x, uint64_t until)
{
    if (until == x->until)
        return;
    x->until = until;
    for (LIST_EACH(&x->templates, n))
        for (LIST_EACH(&LIST_ENTRY(n, struct exec_template, node)->procs, m)) {
            struct ring_control *c = LIST_ENTRY(m, struct exec_proc, node)->ring.control;

            if (!c)
                continue;               /* not asked for yet */
            atomic_store(&c->until, exec_watch_until(x));
            if (atomic_load(&c->sleeping) == RING_EXPIRED)
                exec_ring_wake(c);
        }
}

#define LOW_CLAIMS 8u               /* a ring with less than this is low; a claim lasts some 50 µs */

bool exec_arm(struct exec *x, enum exec_want want)
{
    bool something = false;

    for (LIST_EACH(&x->templates, n))
        for (LIST_EACH(&LIST_ENTRY(n, struct exec_template, node)->procs, m)) {
            struct exec_proc *p = LIST_ENTRY(m, struct exec_proc, node);
            struct ring_control *c = p->ring.control;
            if (!c)
                continue;               /* not asked for yet */
            if (p->state == PROC_DEAD || !exec_pending(p)) {
                atomic_store_explicit(&c->want, RING_QUIET, memory_order_relaxed);
                continue;
            }
            uint64_t word = atomic_load_explicit(&c->word, memory_order_relaxed);
            uint32_t left = (uint32_t)(word >> 32) - (uint32_t)word;
            uint32_t low = LOW_CLAIMS * p->claim;       /* of short tasks, so much lasts until the caller has come back */
            p->low_set = left / 2 < low ? left / 2 : low;
            atomic_store_explicit(&c->low, p->low_set, memory_order_relaxed);
            atomic_store(&c->want, want == EXEC_NEXT ? RING_NEXT : want == EXEC_LOW ? RING_LOW : RING_QUIET);
            if (want == EXEC_NEXT)
                something |= exec_proc_has_result(p);
            else if (want == EXEC_LOW && (left == 0 || atomic_load(&c->sleeping) == RING_NO_ROOM))
                something |= exec_proc_has_result(p);
        }
    return something;
}
