/* SPDX-License-Identifier: MPL-2.0
 * results.c - RESULTS: each result is compared with its attempt, and recorded, run again, or dropped as a repetition.
 *
 * What does not fit its attempt ends the session of the worker; what is late or another's is counted and closed at its sender.
 */
#include "in.h"

#include "base/pace.h"

/* Each record is an outcome, or what failed waits again: a range, or cut out of a piece (two). A piece that is cut is one more, for
 * which its attempt keeps one of each: a message cuts few, as it goes from front to back. */
#define RESULTS_ROOM(n) (2 * (size_t)(n) + 8)

static void measure_attempt(struct broker *b, struct attempt *a, const struct wire_item *it)
{
    struct job *j = a->job;

    if (!it->sum_ns && j->mean_ns && it->count == 1)
        return;
    j->mean_ns = pace_add(j->mean_ns, it->sum_ns ? it->sum_ns : b->now - a->sent_at, it->count);
}

static bool has_arguments(const struct attempt *a, const struct wire_item *it)
{
    if (!a->adopted)
        return true;
    for (LIST_EACH(&a->pieces, n)) {
        const struct run *s = &LIST_ENTRY(n, struct range, node)->run;
        if (s->first > it->first)
            break;
        if (it->first >= s->first && it->first + it->count <= s->first + s->count)
            return true;
    }
    return false;
}

/* Shall the tasks of this outcome run again? Then what its counters grow by is set. */
static bool retry(struct broker *b, struct attempt *a, const struct wire_item *it, const struct wire_outcome *d, int *crashes,
                  int *fails)
{
    const struct wire_job_spec *s = &a->job->spec;
    uint32_t on = s->retry_on ? s->retry_on : 1u << -BFORK_FAILED;
    uint64_t until;

    *crashes = d->kind == BFORK_CRASHED;
    *fails = !*crashes;
    if (job_once(a->job) || brk_attempt_is_cancelled(a, it->first, &until) || !has_arguments(a, it))
        return false;
    if (*crashes && a->run.crashes + 1u < b->c.crash_limit)
        return true;
    return d->kind >= BFORK_OVERMEMORY && on & 1u << -d->kind && (uint32_t)a->run.crashes + a->run.fails < (uint32_t)s->retries;
}

/* What does not fit its attempt is told with its name. */
static int misfit(struct refusal *r, const struct wire_item *it, int code, const char *why)
{
    return brk_refuse(r, code, NULL, "RESULTS of attempt %llu, %u tasks from %llu: %s", (unsigned long long)it->id, it->count,
                      (unsigned long long)it->first, why);
}

/* 1: it runs again; 0: recorded; < 0: no memory, or r says what does not fit, and nothing has changed. */
static int settle_item(struct broker *b, struct attempt *a, struct wire_item *it, struct refusal *r)
{
    struct account *account = a->job->owner->account;
    struct slice lens, body;
    struct wire_outcome d;
    struct buf *doc;
    struct err e = { 0 };
    int crashes, fails, rc;

    if (it->kind == WIRE_OUTCOME) {
        if ((rc = wire_outcome_decode(it->body.data, it->body.size, &d, &e)) < 0)
            return misfit(r, it, rc, e.text);
        if (d.kind >= 0 || d.kind < BFORK_MISMATCH)
            return misfit(r, it, BFORK_EPROTOCOL, "outcome: field kind (key 1) is none of the codes -1 to -10");
        if (retry(b, a, it, &d, &crashes, &fails)) {
            brk_attempt_back(b, a, it->first, it->first + it->count, 0, crashes, fails);
            return 1;
        }
        d.attempt = a->run.tries + a->run.crashes + a->run.fails + 1u;
        if (it->count == 1)
            d.index = it->first;
        if (!(doc = brk_bytes_charge(account, wire_outcome_encode(&d))))
            return BFORK_ENOMEM;
        it->lens = slice_none();
        it->body = slice_of(doc, 0, doc->size);
        it->size = (uint32_t)doc->size;
        it->flags |= WIRE_FIXED;
    } else {
        if (brk_bytes_keep(b, account, it->lens, &lens) < 0)
            return BFORK_ENOMEM;
        if (brk_bytes_keep(b, account, it->body, &body) < 0) {
            slice_unref(&lens);
            return BFORK_ENOMEM;
        }
        it->lens = lens;
        it->body = body;
    }
    brk_outcome_record(b, a->job, a, it);
    return 0;
}

/* What this item says is new and fits: accounts for it. */
static int advance(struct broker *b, struct worker *w, struct attempt *a, struct wire_item *it, struct refusal *r)
{
    int rc;

    if (it->kind == WIRE_OK)
        measure_attempt(b, a, it);
    brk_attempt_place(a, a->next + it->count, a->end);  /* a task is in one place at a time */
    if ((rc = settle_item(b, a, it, r)) < 0) {
        brk_attempt_place(a, a->next, a->end);
        return rc;
    }
    brk_attempt_narrow(b, a, a->next + it->count, a->end);
    brk_attempt_drop_pieces(b, a, a->next);
    w->tasks_done += it->count;
    if (a->next == a->end)
        brk_attempt_finish(b, a);
    else if (a->lane)
        brk_lane_open(b, a->lane);
    return 0;
}

static int result(struct broker *b, struct worker *w, const struct wire_item *item, struct refusal *r)
{
    struct attempt *a = map_get(&b->attempts, item->id);
    struct wire_item it = *item, head;
    uint64_t end = it.first + it.count, handed;

    if (!a || a->worker != w || !attempt_is_sent(a)) {
        b->n.foreign += it.count;
        return !a || a->worker != w ? brk_attempt_foreign(b, w, it.id) : 0;
    }
    if (a->state == ATTEMPT_FINISHED) {
        b->n.duplicates += it.count;
        return 0;
    }
    if (job_is_ending(a->job)) {
        b->n.foreign += it.count;
        brk_attempt_close(b, a, WIRE_WHY_GONE);
        return 0;
    }
    handed = run_end(&a->run);
    if (!it.count || end < it.first || it.first < a->run.first || end > handed || it.kind > WIRE_RETURNED)
        return misfit(r, &it, BFORK_EPROTOCOL, "they are not among those that were handed out with it");
    if (it.flags & WIRE_SEALED)
        return misfit(r, &it, BFORK_EPROTOCOL, "flag 8 (SEALED) is set, which this release does not know");
    if (end <= a->next || it.first >= a->end) {
        b->n.duplicates += it.count;
        return 0;
    }
    if (it.kind == WIRE_RETURNED) {
        if (it.first < a->next || end < a->end)
            return misfit(r, &it, BFORK_EPROTOCOL, "they are given back and are not its tail");
        brk_attempt_shrink(b, a, it.first);
        return 0;
    }
    if (it.first > a->next || end > a->end)
        return misfit(r, &it, BFORK_EPROTOCOL, it.first > a->next ? "there is a gap before them" : "its end was given back");
    if (it.first < a->next) {
        uint32_t n = (uint32_t)(a->next - it.first);
        b->n.duplicates += n;
        if (it.kind == WIRE_OK) {
            wire_item_cut(item, n, &head, &it);
        } else {
            it.first += n;
            it.count -= n;
        }
    }
    return advance(b, w, a, &it, r);
}

void brk_attempt_results(struct broker *b, struct worker *w, const struct wire_msg *m)
{
    int rc = brk_reserve(b, RESULTS_ROOM(m->n_items), RESULTS_ROOM(m->n_items));
    struct refusal r;

    for (uint32_t i = 0; i < m->n_items && rc == 0; i++)
        rc = result(b, w, &m->items[i], &r);
    if (rc == BFORK_ENOMEM) {
        brk_session_break(b, w->peer);
    } else if (rc < 0) {
        brk_session_fail(b, w->peer, rc, "%s", rc == BFORK_EQUOTA ? TOO_MANY_FOREIGN : r.text);
    }
}
