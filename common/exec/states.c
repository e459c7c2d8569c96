/* SPDX-License-Identifier: MPL-2.0
 * states.c - the states of templates and task processes, and which of them follows what happens. Nothing else writes them.
 *
 * KILL leaves the state: a process that is to be killed may still be forked, become ready and have results until its end is told.
 * That it is, and why, is kill_kind.
 */
#include "exec/states.h"

#include "base/moves.h"

static const char *const template_states[] = { "starting", "ready", "failed", "gone" };
static const char *const template_events[] = { "be ready", "fail", "leave" };

/* While a failure is told the caller may stop the template: it leaves twice. */
static const uint8_t template_cells[TEMPLATE_STATES][TEMPLATE_EVENTS] = {
    [TEMPLATE_STARTING] = { [TEMPLATE_UP] = TO(TEMPLATE_READY),
                            [TEMPLATE_FAIL] = TO(TEMPLATE_FAILED),
                            [TEMPLATE_LEAVE] = TO(TEMPLATE_GONE) },
    [TEMPLATE_READY] = { [TEMPLATE_UP] = MOVES_LATE,
                         [TEMPLATE_FAIL] = TO(TEMPLATE_FAILED),
                         [TEMPLATE_LEAVE] = TO(TEMPLATE_GONE) },
    [TEMPLATE_FAILED] = { [TEMPLATE_LEAVE] = TO(TEMPLATE_GONE) },
    [TEMPLATE_GONE] = { [TEMPLATE_LEAVE] = MOVES_LATE },
};

static const struct moves template_moves = MOVES("a template", template_states, template_events, template_cells);

bool exec_template_move(struct exec_template *t, enum template_event event)
{
    unsigned to;

    if (!moves_next(&template_moves, t->state, event, &to))
        return false;
    t->state = to;
    return true;
}

static const char *const proc_states[] = { "forking", "starting", "ready", "stopping", "dead", "gone" };
static const char *const proc_events[] = { "be forked", "be ready", "be stopped", "be killed", "die", "leave" };

/* Its template may say FORKED again: that is a lie, and no fault of ours. */
static const uint8_t proc_cells[PROC_STATES][PROC_EVENTS] = {
    [PROC_FORKING] = { [PROC_FORKED] = TO(PROC_STARTING),
                       [PROC_STOP] = TO(PROC_FORKING),
                       [PROC_KILL] = TO(PROC_FORKING),
                       [PROC_DIE] = TO(PROC_DEAD),
                       [PROC_LEAVE] = TO(PROC_GONE) },
    [PROC_STARTING] = { [PROC_FORKED] = MOVES_LATE,
                        [PROC_UP] = TO(PROC_READY),
                        [PROC_STOP] = TO(PROC_STARTING),
                        [PROC_KILL] = TO(PROC_STARTING),
                        [PROC_DIE] = TO(PROC_DEAD),
                        [PROC_LEAVE] = TO(PROC_GONE) },
    [PROC_READY] = { [PROC_FORKED] = MOVES_LATE,
                     [PROC_STOP] = TO(PROC_STOPPING),
                     [PROC_KILL] = TO(PROC_READY),
                     [PROC_DIE] = TO(PROC_DEAD),
                     [PROC_LEAVE] = TO(PROC_GONE) },
    [PROC_STOPPING] = { [PROC_FORKED] = MOVES_LATE,
                        [PROC_STOP] = TO(PROC_STOPPING),
                        [PROC_KILL] = TO(PROC_STOPPING),
                        [PROC_DIE] = TO(PROC_DEAD),
                        [PROC_LEAVE] = TO(PROC_GONE) },
    [PROC_DEAD] = { [PROC_STOP] = MOVES_LATE, [PROC_KILL] = MOVES_LATE, [PROC_LEAVE] = TO(PROC_GONE) },
    [PROC_GONE] = { [PROC_STOP] = MOVES_LATE, [PROC_KILL] = MOVES_LATE, [PROC_LEAVE] = MOVES_LATE },
};

static const struct moves proc_moves = MOVES("a task process", proc_states, proc_events, proc_cells);

bool exec_proc_move(struct exec_proc *p, enum proc_event event)
{
    unsigned to;

    if (!moves_next(&proc_moves, p->state, event, &to))
        return false;
    p->state = to;
    return true;
}
