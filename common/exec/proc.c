/* SPDX-License-Identifier: MPL-2.0
 * proc.c - what the caller wants of a task process, whatever it does just now. Its tasks are in push.c and pull.c.
 */
#include "exec/kept.h"
#include "exec/orders.h"
#include "exec/pending.h"
#include "exec/proc.h"
#include "exec/states.h"
#include "base/clock.h"
#include "bfork.h"

void exec_proc_kill(struct exec_proc *p, int kind)
{
    if (!exec_proc_move(p, PROC_KILL))
        return;
    p->kill_kind = kind;
    if (p->solo)
        exec_kept_end(p->solo);
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

    if (!exec_proc_move(p, PROC_STOP))
        return;
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
