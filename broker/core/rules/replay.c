/* SPDX-License-Identifier: MPL-2.0
 * replay.c - TASKS that may have come before: what is new of them is queued or held, what is known is compared with what is
 * known.
 *
 * Replays are tasks that were accepted once, so a limit that they pass ends no job (nor do others of a session of which a worker
 * has brought some that the client does not know of yet): they are put off. They stay with their client, as all TASKS of the job
 * that follow; when there is room, JOB_STATE asks it to open the job again and to send on. What passes a limit while nothing else
 * is pending is let in: nobody would ever make room for it.
 */
#include "rules.h"

/* A part of an item that one place reaches: a range or an outcome; as a piece of an adopted attempt a range, and what the attempt
 * keeps for it: one of each. */
#define PART_ROOM 8u

static bool fits(uint64_t used, uint64_t more, uint64_t most) { return used <= most && more <= most - used; }

/* Is there room for so many tasks that were sent before, or will nothing ever make any? */
static bool replay_has_room(const struct broker *b, const struct job *j, uint64_t tasks, uint64_t bytes)
{
    const struct client *c = j->client;
    const struct owner *o = c->owner;
    const struct broker_config *l = &b->c;
    bool alone = !o->n_tasks && !o->leaving_tasks;
    struct refusal r;

    if (c->n_tasks && !(fits(c->n_tasks, tasks, l->quota_tasks) && fits(c->n_bytes, bytes, l->quota_bytes)))
        return false;
    if (!alone && !(fits(o->n_tasks, tasks, l->owner_quota_tasks) && fits(o->n_bytes, bytes, l->owner_quota_bytes) &&
                    fits(o->leaving_tasks, 0, l->owner_quota_tasks) && fits(o->leaving_bytes, 0, l->owner_quota_bytes)))
        return false;
    return (alone && !o->account->outcomes) || brk_account_takes_tasks(b, o, bytes, &r) == 0;
}

/* It is left to its client, which sends it again. */
void brk_replay_stays(struct job *j, const struct wire_item *it)
{
    uint64_t end = it->first + it->count;

    if (it->flags & WIRE_REPLAY && end > j->put_off_to)
        j->put_off_to = end;
}

void brk_replay_put_off(struct broker *b, struct job *j, const struct wire_item *it)
{
    brk_replay_stays(j, it);
    brk_effect_log_of(b, j->owner->key, WIRE_KEY, LOG_INFO_, "tasks that %s sends again wait with it until there is room",
                      j->client->name);
    j->put_off = true;
    j->room_told = false;
    brk_chore_wait(b, j->owner, &j->room, CHORE_ROOM);
}

bool brk_replay_room(struct broker *b, struct job *j)
{
    struct wire_msg *m;

    if (job_is_ending(j) || job_mute(j) || !j->put_off || j->room_told)
        return true;
    if (!list_empty(&j->replays) || !replay_has_room(b, j, b->c.quota_tasks / 4, b->c.quota_bytes / 4)) {
        brk_chore_wait(b, j->owner, &j->room, CHORE_ROOM);
        return false;
    }
    j->room_told = true;
    if ((m = brk_effect_send(b, j->client->peer, WIRE_JOB_STATE)))
        m->u.job_state = (struct wire_job_state){ .job = j->handle, .next = j->next };
    else
        brk_peer_no_memory(b, j->client->peer);
    return true;
}

/* A part that nobody answers for. */
static int unknown(struct broker *b, struct job *j, const struct wire_item *it)
{
    if (!(it->flags & WIRE_REPLAY))
        return brk_range_accept(b, j, it, false, 0);
    if (b->now < b->hold_end)
        return brk_range_accept(b, j, it, true, b->hold_end);
    if (it->flags & WIRE_MAYBE_STARTED && job_once(j)) {
        brk_outcome_text(b, j, it->first, it->count, it->tries + 1u, BFORK_UNKNOWN, OUTCOME_UNREPORTED);
        return 0;
    }
    return brk_range_accept(b, j, it, false, 0);
}

/* Does an adopted attempt wait for the arguments of these tasks? */
static bool wants(const struct job *j, struct interval *v, const struct wire_item *it)
{
    return v->kind == PLACE_LIVE && INTERVAL_ENTRY(v, struct attempt, at)->adopted && it->first >= j->next;
}

/* A part that is known: an adopted attempt gets its arguments if this is the first time that they come. */
static int take_known(struct broker *b, struct job *j, struct interval *v, const struct wire_item *it)
{
    struct attempt *a = INTERVAL_ENTRY(v, struct attempt, at);
    struct range *r;

    if (!wants(j, v, it)) {
        b->n.duplicates += it->first < j->next ? it->count : 0;
        return 0;
    }
    if (brk_range_make(b, j, it, &r) < 0)
        return BFORK_ENOMEM;
    brk_attempt_piece(b, a, r);
    brk_attempt_bytes(a, (int64_t)run_bytes(&r->run));
    brk_job_pending(b, j, 0, 0, 0, (int64_t)run_bytes(&r->run));
    return 0;
}

bool brk_replay_lenient(const struct job *j, const struct wire_item *it)
{
    return it->flags & WIRE_REPLAY || j->client->adopted;
}

/* The front of an item, as far as one place reaches. 0, 1: it has no room; < 0: no memory. */
int brk_replay_step(struct broker *b, struct job *j, struct wire_item *it)
{
    struct interval *v = interval_at(&j->index, it->first);
    bool here = v && v->first <= it->first, again = it->first < j->next;
    uint64_t until = here ? v->end : v ? v->first : UINT64_MAX, n;
    bool skip = again && !(it->flags & WIRE_REPLAY);
    struct wire_item head = *it, tail = { .count = 0 };
    uint16_t tries = it->tries, crashes = it->crashes;
    int rc = 0;

    if (again && (skip || until > j->next))
        until = j->next;
    if (!here)
        until = brk_counts_kept(j, it->first, until, &tries, &crashes);
    n = until - it->first;
    if (n < it->count)
        wire_item_cut(it, (uint32_t)n, &head, &tail);
    head.tries = tries;
    head.crashes = crashes;
    if (skip) {
        b->n.duplicates += head.count;
    } else {
        if (brk_replay_lenient(j, it) && (!here || wants(j, v, &head)) &&
            !replay_has_room(b, j, here ? 0 : head.count, wire_item_bytes(&head)))
            return 1;
        if (brk_reserve(b, PART_ROOM, PART_ROOM) < 0 || (rc = here ? take_known(b, j, v, &head) : unknown(b, j, &head)) < 0)
            return BFORK_ENOMEM;
    }
    if (!again) {
        b->n.tasks_accepted += head.count;
        j->next = head.first + head.count;
        brk_counts_sent(b, j);
    }
    brk_cancel_wake(b, j);
    *it = tail;
    return 0;
}
