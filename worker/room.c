/* SPDX-License-Identifier: MPL-2.0
 * room.c - the worker's memory for programs: who may have how much of it, and who goes to make room. See blobs.h.
 */
#include "blobs_internal.h"

#include "base/clock.h"
#include "bfork.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMAGES_MAX 256u
#define HUNGRY_MAX 64u
#define HUNGRY_NS (2 * TIME_NOT_NOW_MOST_MS * CLOCK_MS)     /* it has asked again by then, or does not want it any more */

/* An image costs more than its bytes: so many together reach the bound, however small they are. */
static uint64_t image_cost(const struct blobs *b, uint64_t size)
{
    return size > b->memory_bound / IMAGES_MAX ? size : b->memory_bound / IMAGES_MAX;
}

static uint64_t bytes_held(const struct blobs *b)
{
    uint64_t sum = 0;

    for (LIST_EACH(&b->all, n))
        sum += LIST_ENTRY(n, struct blob, node)->image ? image_cost(b, LIST_ENTRY(n, struct blob, node)->reserved) : 0;
    return sum;
}

/* Since when all lanes that use it are quiet; 0: nobody uses it; CLOCK_NEVER: it cannot go. */
static uint64_t quiet_since(const struct blobs *b, const struct blob *x)
{
    uint64_t since = 0;

    if (x->state != READY)
        return CLOCK_NEVER;
    for (LIST_EACH(&x->users, n)) {
        uint64_t at = b->ops.quiet(b->ops.ctx, LIST_ENTRY(n, struct user, node)->lane);

        since = at > since ? at : since;
    }
    return since;
}

static bool used_by(const struct blob *x, const uint8_t *owner)
{
    for (LIST_EACH(&x->users, n))
        if (memcmp(LIST_ENTRY(n, struct user, node)->owner, owner, WIRE_KEY) == 0)
            return true;
    return false;
}

/* What an owner keeps others from using. What others use as well counts for each of them. */
static uint64_t held_by(const struct blobs *b, const uint8_t *owner)
{
    uint64_t sum = 0;

    for (LIST_EACH(&b->all, n)) {
        const struct blob *x = LIST_ENTRY(n, struct blob, node);

        if (x->image && used_by(x, owner) && quiet_since(b, x) == CLOCK_NEVER)
            sum += image_cost(b, x->reserved);
    }
    return sum;
}

static struct hunger *hunger_of(const struct blobs *b, const uint8_t *owner)
{
    for (LIST_EACH(&b->hungry, n))
        if (memcmp(LIST_ENTRY(n, struct hunger, node)->owner, owner, WIRE_KEY) == 0)
            return LIST_ENTRY(n, struct hunger, node);
    return NULL;
}

static void sated(struct blobs *b, struct hunger *h)
{
    list_remove(&b->hungry, &h->node);
    free(h);
}

/* Whoever finds no place in the list has no claim on others, and waits like everybody. */
static void hungers(struct blobs *b, const uint8_t *owner, uint64_t size)
{
    struct hunger *h = hunger_of(b, owner);

    if (!h && (b->hungry.count >= HUNGRY_MAX || !(h = calloc(1, sizeof(*h)))))
        return;
    if (!list_in(&h->node))
        list_push_back(&b->hungry, &h->node);
    memcpy(h->owner, owner, WIRE_KEY);
    h->size = size;
    h->until = b->now + HUNGRY_NS;
}

static void forget_hungry(struct blobs *b)
{
    for (LIST_EACH_SAFE(&b->hungry, n, after))
        if (LIST_ENTRY(n, struct hunger, node)->until <= b->now)
            sated(b, LIST_ENTRY(n, struct hunger, node));
}

/* May it have size bytes more in the name of this owner? Within the owner's share, if there is room; else when nobody who was
 * turned away holds less. */
static bool has_right(const struct blobs *b, const uint8_t *owner, uint64_t size)
{
    uint64_t own = held_by(b, owner), owners = 1;
    bool less = false;

    for (LIST_EACH(&b->hungry, n)) {
        const struct hunger *h = LIST_ENTRY(n, struct hunger, node);

        if (memcmp(h->owner, owner, WIRE_KEY) == 0)
            continue;
        owners++;
        less |= held_by(b, h->owner) < own;
    }
    return !less || own + size <= b->memory_bound / owners;
}

static bool may_have(const struct blobs *b, const struct blob *x, uint64_t size)
{
    bool may = false;

    for (LIST_EACH(&x->users, n))
        may |= has_right(b, LIST_ENTRY(n, struct user, node)->owner, size);
    return may;
}

static struct blob *longest_quiet(const struct blobs *b)
{
    struct blob *least = NULL;
    uint64_t least_since = CLOCK_NEVER;

    for (LIST_EACH(&b->all, n)) {
        struct blob *y = LIST_ENTRY(n, struct blob, node);
        uint64_t since = quiet_since(b, y);

        if (since < least_since || (since == least_since && least && y->used < least->used)) {
            least = y;
            least_since = since;
        }
    }
    return least;
}

static void yield(struct blobs *b, struct blob *y, const struct blob *to)
{
    char text[400];

    snprintf(text, sizeof(text), "%.150s, which was idle, made room for %.150s in the worker's memory for programs", y->name,
             to->name);
    for (struct list_node *n; (n = list_pop(&y->users));) {
        b->ops.yield(b->ops.ctx, LIST_ENTRY(n, struct user, node)->lane, text);
        free(LIST_ENTRY(n, struct user, node));
    }
    wsh_blob_drop(b, y);
}

/* Is there room, or can it be made without ending what works? Nothing is stopped in vain. */
static bool could_fit(const struct blobs *b, uint64_t more)
{
    uint64_t sum = more;

    for (LIST_EACH(&b->all, n)) {
        const struct blob *y = LIST_ENTRY(n, struct blob, node);

        if (y->image && quiet_since(b, y) == CLOCK_NEVER)
            sum += image_cost(b, y->reserved);
    }
    return sum <= b->memory_bound;
}

int wsh_room_make(struct blobs *b, struct blob *x, uint64_t size, struct err *e)
{
    uint64_t more = image_cost(b, size);

    forget_hungry(b);
    if (more > b->memory_bound)
        return err_set(e, BFORK_REFUSED, "%.150s has %llu bytes, more than the worker's memory for programs (program-memory, %llu)",
                       x->name, (unsigned long long)size, (unsigned long long)b->memory_bound);
    if (!could_fit(b, more) || !may_have(b, x, more)) {
        for (LIST_EACH(&x->users, n))
            hungers(b, LIST_ENTRY(n, struct user, node)->owner, more);
        return err_set(e, BFORK_EAGAIN, "no room now for %.150s (%llu bytes) in the worker's memory for programs: those in use "
                       "fill it (program-memory, %llu)", x->name,
                       (unsigned long long)size, (unsigned long long)b->memory_bound);
    }
    while (bytes_held(b) + more > b->memory_bound)
        yield(b, longest_quiet(b), x);
    for (LIST_EACH(&x->users, n)) {
        struct hunger *h = hunger_of(b, LIST_ENTRY(n, struct user, node)->owner);

        if (h)
            sated(b, h);
    }
    b->memory += size;
    x->reserved = size;
    return 0;
}

void wsh_room_done(struct blobs *b)
{
    for (struct list_node *n; (n = list_first(&b->hungry));)
        sated(b, LIST_ENTRY(n, struct hunger, node));
}
