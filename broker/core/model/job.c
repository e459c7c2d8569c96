/* SPDX-License-Identifier: MPL-2.0
 * job.c - jobs: found, made, parked. A job is found by (owner, id): another owner's job does not exist.
 */
#include "model.h"

static uint64_t job_hash(const struct broker *b, const uint8_t *id) { return map_hash_keyed(&b->hash, id, WIRE_ID); }

struct job *brk_job_find(struct broker *b, struct owner *o, const uint8_t *id)
{
    struct job *j = map_get(&b->jobs, job_hash(b, id));

    while (j && (j->owner != o || memcmp(j->id, id, WIRE_ID) || job_is_ending(j))) {
        j = j->same_hash;
        b->steps++;
    }
    return j;
}

struct job *brk_job_of(struct client *c, uint32_t handle)
{
    struct job *j = map_get(&c->jobs, handle);

    return j && !job_is_ending(j) ? j : NULL;
}

struct job *brk_job_new(struct broker *b, struct owner *o, const uint8_t *id)
{
    struct job *j = brk_mem_new_for(b, o->account, sizeof(*j));

    if (!j)
        return NULL;
    if (map_reserve(&b->jobs, 1) < 0 || map_reserve(&b->numbers, 1) < 0) {
        brk_mem_free_for(b, o->account, j, sizeof(*j));
        return NULL;
    }
    brk_account_charge(o->account, 3 * MAP_COST);
    memcpy(j->id, id, WIRE_ID);
    j->owner = o;
    o->refs++;
    j->number = brk_number_new(b, j);
    j->since = b->now;
    list_init(&j->queue);
    intervals_init(&j->held, b->ranks += 2, &b->steps);
    intervals_init(&j->lost, b->ranks += 2, &b->steps);
    intervals_init(&j->index, b->ranks += 2, &b->steps);
    list_init(&j->live);
    list_init(&j->finished);
    list_init(&j->outcomes);
    list_init(&j->known);
    list_init(&j->said);
    list_init(&j->cancels);
    list_init(&j->awaiting);
    intervals_init(&j->cancelling, b->ranks += 2, &b->steps);
    list_init(&j->replays);
    j->same_hash = map_get(&b->jobs, job_hash(b, id));
    map_put(&b->jobs, job_hash(b, id), j);
    list_push_back(&b->all_jobs, &j->in_all);
    list_push_back(&o->jobs, &j->in_owner);
    return j;
}

void brk_job_park(struct broker *b, struct job *j, uint64_t until)
{
    brk_job_move(j, JOB_ON_PARK);
    j->parked = (struct interval){ .first = until };
    interval_put_time(&b->parked, &j->parked);
    if (until < b->tick_at)
        b->tick_at = until;
}

void brk_job_unhash(struct broker *b, struct job *j)
{
    struct job *at = map_get(&b->jobs, job_hash(b, j->id));

    if (at == j) {
        if (j->same_hash)
            map_put(&b->jobs, job_hash(b, j->id), j->same_hash);
        else
            map_take(&b->jobs, job_hash(b, j->id));
        return;
    }
    while (at->same_hash != j)
        at = at->same_hash;
    at->same_hash = j->same_hash;
}

void brk_replay_drop(struct broker *b, struct job *j, struct list_node *n)
{
    struct replay *w = LIST_ENTRY(n, struct replay, in_job);

    list_remove(&j->replays, n);
    slice_unref(&w->lens);
    slice_unref(&w->body);
    brk_mem_free_for(b, j->owner->account, w, sizeof(*w));
}
