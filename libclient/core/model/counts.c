/* SPDX-License-Identifier: MPL-2.0
 * counts.c - how often tasks were lost with a worker or have crashed, as the broker has told: returned with a replay, so that the
 * limits hold over its restarts. Few tasks have counts, so each has a cell of its own until it is settled.
 */
#include "model.h"

static void *counts_cell(uint16_t tries, uint16_t crashes) { return (void *)((uintptr_t)tries << 16 | crashes); }

void ses_counts_told(struct session *s, const struct wire_msg *m)
{
    for (uint32_t k = 0; k < m->n_items; k++) {
        const struct wire_item *i = &m->items[k];
        struct session_job *j = map_get(&s->handles, i->job);
        if (!j || i->first > j->next || i->count > j->next - i->first)
            continue;                       /* of a job that ended meanwhile */
        if (!i->tries && !i->crashes)
            continue;
        if (map_reserve(&j->counts, i->count) != 0) {
            ses_effect_reconnect(s, "out of memory for counts of tries");      /* the broker tells again */
            return;
        }
        for (uint64_t at = i->first; at < i->first + i->count; at++)
            if (!ses_bits_get(&j->settled, at))
                (void)map_put(&j->counts, at, counts_cell(i->tries, i->crashes)); /* there is room */
    }
}

void ses_counts_settled(struct session_job *j, uint64_t first, uint64_t count)
{
    for (; count && j->counts.count; count--)
        map_take(&j->counts, first++);
}

/* Of task first; returns up to where, at most end, the tasks have the same. */
uint64_t ses_counts_of(const struct session_job *j, uint64_t first, uint64_t end, uint16_t *tries, uint16_t *crashes)
{
    const void *same = map_get(&j->counts, first);
    uint64_t at = first + 1;

    *tries = (uint16_t)((uintptr_t)same >> 16);
    *crashes = (uint16_t)(uintptr_t)same;
    while (at < end && map_get(&j->counts, at) == same)
        at++;
    return at;
}
