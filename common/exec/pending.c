/* SPDX-License-Identifier: MPL-2.0
 * pending.c - what an owner has pushed into a process's ring and has no result of yet, as it remembers it; and the first thing that
 * the process did wrong.
 */
#include "exec/pending.h"
#include "bfork.h"

uint32_t exec_pending(const struct exec_proc *p) { return p->limit - p->expected; }

/* Results whose output waits for room are none yet: the room is what brings the owner back. */
bool exec_proc_has_result(const struct exec_proc *p)
{
    return !p->violated && p->asked && !p->output.out.more && !p->output.err.more
           && atomic_load_explicit(&p->ring.control->result_head, memory_order_acquire) != p->result.pos;
}

void exec_pushed_finished(struct exec_proc *p)
{
    struct pushed *e = pushed_at(p, 0);

    p->held = e->bytes;
    if (e->run_limit_ns)
        p->limited--;
    p->pushed_first++;
    p->pushed_n--;
}

void exec_proc_violates(struct exec_proc *p, const char *what)
{
    if (p->violated)
        return;
    p->violated = true;
    err_set(&p->violation, BFORK_CRASHED, "%s", what);
}
