/* SPDX-License-Identifier: MPL-2.0
 * worker.c - the whole: creation, the turn (tick, flush, deadline), drain, counters. Decides nothing about tasks.
 */
#include "doors.h"
#include "in/in.h"
#include "out/out.h"
#include "worker.h"

#include <stdlib.h>

int worker_new(const struct worker_config *config, const struct worker_ops *ops, void *ctx, struct worker **ret)
{
    struct worker *w = calloc(1, sizeof(*w));

    *ret = NULL;
    if (!w)
        return BASE_ENOMEM;
    w->cap_effects = 64;
    if (!(w->effects = malloc(w->cap_effects * sizeof(*w->effects))) ||
        !(w->items = malloc(RESULTS_ITEMS * sizeof(*w->items))) || !(w->pieces = malloc(RESULTS_ITEMS * sizeof(*w->pieces)))) {
        free(w->effects);
        free(w->items);
        free(w);
        return BASE_ENOMEM;
    }
    w->config = *config;
    if (!w->config.window_bytes)
        w->config.window_bytes = 8u << 20;
    if (!w->config.output_window)
        w->config.output_window = WIRE_OUTPUT_WINDOW;
    if (!w->config.idle_lanes)
        w->config.idle_lanes = 8;
    w->ops = *ops;
    w->ctx = ctx;
    w->rebalance_at = w->backoff_at = CLOCK_NEVER;
    w->turn = 1;
    list_init(&w->lanes);
    list_init(&w->dirty);
    list_init(&w->attempts);
    list_init(&w->out);
    list_init(&w->saying);
    *ret = w;
    return 0;
}

void worker_free(struct worker **pw)
{
    struct worker *w = *pw;

    if (!w)
        return;
    *pw = NULL;
    worker_effects_done(w);
    for (struct list_node *n; (n = list_first(&w->lanes));)
        wrk_lane_free(w, LIST_ENTRY(n, struct lane, all));
    for (struct attempt *a; (a = w->free_attempts); free(a))
        w->free_attempts = (struct attempt *)(void *)a->all.next;
    for (struct record *r; (r = w->free_records); free(r))
        w->free_records = r->next;
    worker_effects_done(w);
    run_arena_done(&w->args);
    run_arena_done(&w->results);
    wrk_said_end(w);
    map_free(&w->by_lane);
    map_free(&w->by_proc);
    map_free(&w->by_attempt);
    map_free(&w->by_pool);
    map_free(&w->by_job);
    free(w->effects);
    free(w->items);
    free(w->pieces);
    free(w->garbage);
    free(w->refs);
    free(w);
}

const struct worker_effect *worker_effects(const struct worker *w, size_t *n)
{
    *n = w->n_effects;
    return w->effects;
}

void worker_effects_done(struct worker *w)
{
    w->n_effects = 0;
    while (w->n_garbage)
        free(w->garbage[--w->n_garbage]);
    while (w->n_refs)
        buf_unref(&w->refs[--w->n_refs]);
    w->items_used = w->pieces_used = false;
    w->turn++;
    if (w->feed_again) {        /* limits have been set, or a job did not fit: who waited for that can be fed */
        w->feed_again = false;
        w->again = true;
        wrk_lanes_dirty(w);
    }
}

/* ---- the turn ----------------------------------------------------------------------------------- */

void worker_tick(struct worker *w, uint64_t now)
{
    w->now = now;
    wrk_link_tick(w);
    if (now >= w->backoff_at)
        wrk_lane_tick(w);
    if (now >= w->rebalance_at) {
        for (LIST_EACH(&w->lanes, n)) {
            struct lane *l = LIST_ENTRY(n, struct lane, all);

            if (l->multi)
                wrk_lane_dirty(w, l);
        }
    }
}

void worker_flush(struct worker *w, uint64_t now)
{
    w->now = now;
    w->again = false;
    if (w->evict)
        wrk_lane_evict(w);
    if (w->staff)
        wrk_proc_staff(w);
    for (struct list_node *n; (n = list_pop(&w->dirty));)
        wrk_lane_feed(w, LIST_ENTRY(n, struct lane, dirty));
    wrk_said_flush(w);
    wrk_results_flush(w);
    if (w->link == LINK_UP && w->in_bytes - w->in_told >= w->config.window_bytes / 4)
        wrk_link_send(w, WIRE_PING)->u.ping.stamp = now;
    if (w->draining && !w->stopped && list_empty(&w->attempts)) {
        w->stopped = true;
        if (w->link == LINK_UP)
            wrk_link_send(w, WIRE_BYE)->u.error.text = WIRE_STR("the worker has finished");
        wrk_effect_add(w, WORKER_STOPPED);
    }
    if (w->lost_effect.type) {
        w->lost_effect.type = 0;
        wrk_link_drop(w, "out of memory");
    }
}

uint64_t worker_deadline(const struct worker *w)
{
    uint64_t at = wrk_link_deadline(w);

    if (w->again)
        return 0;
    if (w->staff_failed && w->staff_at < at)
        at = w->staff_at;
    if (w->backoff_at < at)
        at = w->backoff_at;
    return at < w->rebalance_at ? at : w->rebalance_at;
}

void worker_drain(struct worker *w, uint64_t now)
{
    w->now = now;
    if (w->draining)
        return;
    w->draining = true;
    if (w->link == LINK_UP)
        wrk_send_state(w);
    wrk_procs_retract(w);
    for (LIST_EACH_SAFE(&w->attempts, n, after))
        wrk_attempt_return(w, LIST_ENTRY(n, struct attempt, all), 0);
}

void worker_counters(const struct worker *w, struct worker_counters *ret)
{
    *ret = w->count;
    ret->busy = wrk_lanes_busy(w);
    ret->lanes = w->lanes.count;
    ret->procs = w->n_procs;
    ret->stopping = w->n_stopping;
    ret->chunks = w->attempts.count;
    ret->reconnects = w->conn_no ? w->conn_no - 1 : 0;
}
