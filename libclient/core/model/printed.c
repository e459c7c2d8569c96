/* SPDX-License-Identifier: MPL-2.0
 * printed.c - what of the output of a job's unsettled tasks has come, and the outcomes that wait until the program has taken it.
 */
#include "model.h"

#include <stdlib.h>
#include <string.h>

void ses_deferred_free(struct deferred *d)
{
    slice_unref(&d->item.lens);
    slice_unref(&d->item.body);
    free(d);
}

void ses_deferred_drop(struct session_job *j)
{
    for (struct list_node *n; (n = list_pop(&j->deferred));)
        ses_deferred_free(LIST_ENTRY(n, struct deferred, node));
}

void ses_printed_free(struct session_job *j)
{
    uint64_t key;
    void *value;

    ses_deferred_drop(j);
    for (size_t i = 0; map_next(&j->printed, &i, &key, &value);)
        free(value);
    map_free(&j->printed);
}

void ses_printed_settled(struct session_job *j, uint64_t first, uint64_t count)
{
    uint64_t key;
    void *value;

    if (j->printed.count == 0)
        return;
    if (count <= 64) {
        for (uint64_t i = first; i < first + count; i++)
            free(map_take(&j->printed, i));
        return;
    }
    for (size_t i = 0; map_next(&j->printed, &i, &key, &value);)
        if (key - first < count) {
            free(map_take(&j->printed, key));
            i = 0;                          /* the map has changed */
        }
}

/* Must the item wait for output that the program has not taken? Then it is kept here. False: also when there is no memory for it,
 * which is better than losing it. */
bool ses_deferred_keep(struct session_job *j, const struct wire_item *item)
{
    struct deferred *d;

    if (j->said_after <= j->s->said_got && list_empty(&j->deferred))
        return false;
    if (!(d = calloc(1, sizeof(*d))))
        return false;
    d->after = j->said_after;
    d->item = *item;
    slice_ref(d->item.lens);
    slice_ref(d->item.body);
    struct slice *parts[2] = { &d->item.lens, &d->item.body };
    for (int k = 0; k < 2; k++) {
        struct buf *copy;
        if (!parts[k]->size || parts[k]->buf)
            continue;
        if (!(copy = buf_new(parts[k]->size))) {
            ses_deferred_free(d);
            return false;
        }
        memcpy(copy->data, parts[k]->data, parts[k]->size);
        copy->size = parts[k]->size;
        *parts[k] = slice_of(copy, 0, copy->size);
    }
    list_push_back(&j->deferred, &d->node);
    return true;
}
