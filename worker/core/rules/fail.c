/* SPDX-License-Identifier: MPL-2.0
 * fail.c - lanes whose template ended, or that cannot run here.
 *
 * A template that ends, or cannot be started for want of something that may be there in a moment, is started again after a pause
 * (BACKOFF -> STARTING); its tasks wait, and those that it was running are run again, LOST_STARTS times in all. Only when that was
 * of no use TEMPLATE_STARTS times without a result, or the program itself cannot run, the pool fails here (FAILED).
 */
#include "rules/rules.h"

#include "bfork.h"
#include "wire/times.h"

#include <stdio.h>

#define LOST_STARTS 3                   /* a task is begun so often, when its worker or template is lost */
#define TEMPLATE_STARTS 8   /* templates that end or do not start, one after the other without a result: the pool fails here */

void wrk_lane_tell(struct worker *w, struct lane *l)
{
    if (w->link != LINK_UP || !l->bound)
        return;
    struct wire_str stage = wrk_effect_str(w, l->fail_stage), text = wrk_effect_str(w, l->fail_text);
    struct wire_msg *m = wrk_link_send(w, WIRE_POOL_FAILED);

    m->u.pool_failed = (struct wire_pool_failed){ l->pool, l->fail_code, stage, text };
    l->tell_failed = false;
}

/* Is the task `next` run again? It was running when its template ended. */
static bool may_run_again(struct attempt *a)
{
    if (a->job->at_most_once)
        return false;
    if (a->lost && a->lost_at != a->next)
        a->lost = 0;
    a->lost_at = a->next;
    if (a->lost + a->run.tries + 1 >= LOST_STARTS)
        return false;
    a->lost++;
    return true;
}

/* A process whose template is gone is gone too; what it was running may have begun and says so. */
static void lose_running(struct worker *w, struct lane *l)
{
    for (LIST_EACH(&l->procs, n)) {
        struct proc *p = LIST_ENTRY(n, struct proc, in_lane);
        struct attempt *a = wrk_proc_first(p);
        struct wire_outcome o = { .kind = BFORK_LOST, .message = WIRE_STR("the template of its task process ended") };

        if (!p->pending || !a || a->state == ATTEMPT_DOOMED || may_run_again(a))
            continue;
        if (a->job->at_most_once)
            o.kind = BFORK_UNKNOWN;
        o.index = a->next;
        o.stage = WIRE_STR(l->fail_stage);
        if (!wrk_record_outcome(w, a, &o)) {
            wrk_attempt_lost(w, a);
            continue;
        }
        a->next++;
        p->pending--;
    }
}

/* It ends here, the broker hears why, and its tasks go back. */
void wrk_lane_leave(struct worker *w, struct lane *l, int32_t code, const char *stage, const char *text)
{
    l->fail_code = code;
    snprintf(l->fail_stage, sizeof(l->fail_stage), "%s", stage);
    snprintf(l->fail_text, sizeof(l->fail_text), "%s", text);
    lose_running(w, l);
    wrk_lane_stop(w, l, LANE_FAIL);
    l->tell_failed = true;
    w->staff = true;
    for (LIST_EACH_SAFE(&l->queue, n, after)) {
        struct attempt *a = LIST_ENTRY(n, struct attempt, node);

        if (a->next == a->end)
            wrk_attempt_finish(w, a);
        else
            wrk_attempt_return(w, a, a->next);
    }
    wrk_lane_tell(w, l);
    if (!l->bound)
        wrk_lane_released(w, l);
}

void wrk_lane_fail(struct worker *w, struct lane *l, int32_t code, const char *stage, const char *text)
{
    wrk_effect_log_of(w, l->owner, LOG_ERROR_, "a pool cannot run here (%s): %s", stage, text);
    l->deaths = 0;
    wrk_lane_leave(w, l, code, stage, text);
}

static void back_off_until(struct worker *w, struct lane *l)
{
    uint64_t pause = TIME_TEMPLATE_FIRST_MS * CLOCK_MS;

    for (uint32_t k = 1; k < l->deaths && pause < TIME_TEMPLATE_MOST_MS * CLOCK_MS; k++)
        pause *= 2;
    l->again_at = w->now + (pause < TIME_TEMPLATE_MOST_MS * CLOCK_MS ? pause : TIME_TEMPLATE_MOST_MS * CLOCK_MS);
    if (l->again_at < w->backoff_at)
        w->backoff_at = l->again_at;
}

void wrk_lane_back_off(struct worker *w, struct lane *l, const char *stage, const char *text)
{
    char said[512];

    if (++l->deaths >= TEMPLATE_STARTS) {
        snprintf(said, sizeof(said), "its template was started %u times without a result: %.400s", l->deaths, text);
        wrk_lane_fail(w, l, BFORK_REFUSED, stage, said);
        return;
    }
    snprintf(l->fail_stage, sizeof(l->fail_stage), "%s", stage);
    lose_running(w, l);
    wrk_lane_stop(w, l, LANE_PAUSE);
    for (LIST_EACH_SAFE(&l->queue, n, after))           /* the lost task was the attempt's last */
        if (LIST_ENTRY(n, struct attempt, node)->next == LIST_ENTRY(n, struct attempt, node)->end)
            wrk_attempt_finish(w, LIST_ENTRY(n, struct attempt, node));
    back_off_until(w, l);
    wrk_effect_log(w, LOG_WARNING_, "%s: its pool is started again here in %u ms", text,
                   (unsigned)((l->again_at - w->now) / CLOCK_MS));
    if (wrk_lane_idle(l))
        wrk_lane_became_idle(w, l);
}
