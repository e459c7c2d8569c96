/* SPDX-License-Identifier: MPL-2.0
 * end.c - what goes takes along what it has: a process its own template, if it has one, a template all its processes. They are
 * out of every list then, and freed when no callback can be using them (exec.c).
 */
#include "exec/death.h"
#include "exec/end.h"
#include "exec/kept.h"
#include "exec/orders.h"
#include "exec/output.h"
#include "exec/source.h"
#include "exec/states.h"

#include <stdlib.h>
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
    buf_unref(&p->own);
    free(p->lens);
    free(p);
}

/* Out of every list; freed at the end of the step. */
void exec_proc_unlink(struct exec_proc *p)
{
    struct exec_template *solo = p->solo;

    if (!exec_proc_move(p, PROC_LEAVE))
        return;
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
            exec_kept_end(solo);
            exec_template_gone(solo);
        }
    }
}

/* Its keeper may still be killing what it had started: the struct stays until that has ended. */
void exec_template_gone(struct exec_template *t)
{
    if (!exec_template_move(t, TEMPLATE_LEAVE))
        return;
    t->x->changes++;
    while (!list_empty(&t->procs))
        exec_proc_unlink(LIST_ENTRY(list_first(&t->procs), struct exec_proc, node));
    exec_unwatch(t->x, &t->socket);
    exec_kept_end(t);
    exec_output_close(t->x, &t->output);
    if (t->program_fd >= 0)
        close(t->program_fd);
    if (t->fork_server >= 0)
        close(t->fork_server);
    list_remove(&t->x->templates, &t->node);
    list_push_back(&t->x->graves_t, &t->node);
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
    exec_proc_move(p, PROC_DIE);
    exec_death_report(p, obituary);
    exec_proc_unlink(p);
}
