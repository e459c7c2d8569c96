/* SPDX-License-Identifier: MPL-2.0
 * said.c - what tasks have printed: each byte told once for a try of a task, in order, and before its outcome.
 *
 * Pieces are numbered in a session and epoch; the program takes them in that order, and what it has taken is acknowledged. Outcomes
 * that came behind a piece of their job wait here until it is taken: then whoever sees a future settled has had its task's output.
 * They are not acknowledged meanwhile, so a connection that ends loses none. After a restart of the broker workers send again what
 * was not acknowledged: the offset in a task's stream says what is new.
 * A piece of another attempt, or of a later try in the same, says that the task runs again. An outcome of another attempt than the
 * one whose pieces came says that the task has run again and printed nothing; or, if some of its own had come before, that they are
 * lost, since the program has given them up.
 */
#include "rules.h"

#include <stdlib.h>
#include <string.h>

void ses_said_reset(struct session *s)
{
    /* What the program has yet to take of the epoch before is counted on: outcomes wait for it. */
    s->said_seen = s->said_taken = s->said_told = 0;
    s->said_turn++;
}

static struct printed *printed_of(struct session_job *j, uint64_t index)
{
    struct printed *p = map_get(&j->printed, index);

    if (p || !(p = calloc(1, sizeof(*p))) || map_put(&j->printed, index, p) == 0)
        return p;
    free(p);
    return NULL;
}

/* Another attempt's output begins. Returns how many bytes of it the program has had, and was told to forget. */
static uint64_t next_printed(struct printed *p, uint64_t attempt, uint32_t tries)
{
    struct printed old = *p;
    uint64_t had = 0;

    *p = (struct printed){ .attempt = attempt, .tries = tries };
    memcpy(p->before, old.before, sizeof(p->before));
    for (int i = 0; i < PRINTED_BEFORE; i++)
        had = p->before[i].attempt == attempt ? p->before[i].bytes : had;
    if (old.attempt && old.attempt != attempt) {
        memmove(p->before + 1, p->before, sizeof(p->before) - sizeof(p->before[0]));
        p->before[0].attempt = old.attempt;
        p->before[0].bytes = old.offset[0] + old.offset[1];
    }
    return had;
}

/* What of the piece is new, told to the program. */
static void tell_new(struct session_job *j, const struct wire_item *i, struct wire_str host)
{
    struct session *s = j->s;
    struct printed *p = j->user && !ses_bits_get(&j->settled, i->first) && i->first < j->next ? printed_of(j, i->first) : NULL;
    struct session_print k = { .job = j->handle, .turn = s->said_turn, .seq = i->seq, .index = i->first, .pid = i->pid,
                               .attempt = i->tries, .stream = i->stream, .host = host, .bytes = i->body, .limit = i->end };

    if (!p)
        return;
    if (p->attempt == i->id && i->tries < p->tries)
        return;                       /* of a try that is over, sent again */
    if (p->attempt != i->id || p->tries != i->tries) {
        k.again = p->attempt != 0;
        next_printed(p, i->id, i->tries);
    }
    uint64_t *at = &p->offset[i->stream == 2], end = i->offset + i->body.size;
    k.cut = i->flags & WIRE_CUT && !p->cut;
    p->cut |= k.cut;
    if (end <= *at && !k.cut && !k.again)
        return;                       /* it came before the broker was started anew */
    if (i->offset > *at)
        k.lost = i->offset - *at;
    else if (*at > i->offset)
        k.bytes = slice_part(i->body, (size_t)(*at - i->offset < i->body.size ? *at - i->offset : i->body.size),
                             end > *at ? (size_t)(end - *at) : 0);
    *at = end > *at ? end : *at;
    if (!s->ops->output(s->ctx, j->user, &k))
        return;
    j->said_after = ++s->said_given;
}

void ses_said_items(struct session *s, const struct wire_msg *m)
{
    for (uint32_t k = 0; k < m->n_items; k++) {
        const struct wire_item *i = &m->items[k];
        struct session_job *j = map_get(&s->handles, i->job);

        s->in_bytes += wire_item_bytes(i);
        if (i->seq <= s->said_seen || i->stream < 1 || i->stream > 2)
            continue;
        s->said_seen = i->seq;
        if (j)
            tell_new(j, i, m->u.output.host);
    }
}

/* What had come of the task is of an attempt that is over; the one that ended so printed nothing, or what the program was told to
 * forget: that is lost. */
static void silent(struct session_job *j, uint64_t index, struct printed *p, uint64_t attempt)
{
    struct session *s = j->s;
    uint16_t tries, crashes;

    ses_counts_of(j, index, index + 1, &tries, &crashes);
    uint64_t lost = next_printed(p, attempt, tries + crashes > (int)p->tries ? tries + crashes + 1u : p->tries + 1);
    if (s->ops->output(s->ctx, j->user, &(struct session_print){ .job = j->handle, .turn = s->said_turn, .seq = s->said_seen,
                                                                 .index = index, .attempt = p->tries, .stream = 1, .again = true,
                                                                 .silent = !lost, .lost = lost }))
        j->said_after = ++s->said_given;
}

/* An outcome has come: is it of the attempts whose output has? */
void ses_said_ended(struct session_job *j, const struct wire_item *i)
{
    uint64_t key;
    void *value;

    if (!i->attempt || !j->user || !j->printed.count)
        return;
    if (i->count <= 64) {
        for (uint64_t at = i->first; at < i->first + i->count; at++)
            if ((value = map_get(&j->printed, at)) && ((struct printed *)value)->attempt != i->attempt)
                silent(j, at, value, i->attempt);
        return;
    }
    for (size_t n = 0; map_next(&j->printed, &n, &key, &value);)
        if (key - i->first < i->count && ((struct printed *)value)->attempt != i->attempt)
            silent(j, key, value, i->attempt);
}

void ses_said_ack(struct session *s)
{
    uint64_t upto = s->said_given > s->said_got ? s->said_taken : s->said_seen;
    struct session_effect *e = upto > s->said_told ? ses_effect_send(s, WIRE_OUTPUT_ACK) : NULL;

    if (!e)
        return;
    e->msg.u.output_ack.seq = s->said_told = upto;
}
