/* SPDX-License-Identifier: MPL-2.0
 * blob.c - one program of blobs.c: found, added, with a lane that uses it, and dropped with all that it has.
 */
#include "blobs_internal.h"

#include "base/moves.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const blob_states[] = { "WAITING", "READING", "FETCHING", "READY" };
static const char *const blob_events[] = { "READ", "FETCH", "FILLED", "RESET" };

/* Whatever is dropped is reset before, in any state. */
static const uint8_t blob_cells[BLOB_STATES][BLOB_EVENTS] = {
    [WAITING] = { [BLOB_READ] = TO(READING), [BLOB_FETCH] = TO(FETCHING), [BLOB_RESET] = TO(WAITING) },
    [READING] = { [BLOB_FILLED] = TO(READY), [BLOB_RESET] = TO(WAITING) },
    [FETCHING] = { [BLOB_FILLED] = TO(READY), [BLOB_RESET] = TO(WAITING) },
    [READY] = { [BLOB_RESET] = TO(WAITING) },
};
static const struct moves blob_moves = MOVES("a program", blob_states, blob_events, blob_cells);

void wsh_blob_move(struct blob *x, enum blob_event event)
{
    unsigned to;

    if (moves_next(&blob_moves, x->state, event, &to))
        x->state = to;
}

struct blob *wsh_blob_find(const struct blobs *b, const uint8_t *digest)
{
    for (LIST_EACH(&b->all, n)) {
        struct blob *x = LIST_ENTRY(n, struct blob, node);

        if (memcmp(x->digest, digest, WIRE_DIGEST) == 0)
            return x;
    }
    return NULL;
}

struct blob *wsh_blob_add(struct blobs *b, const uint8_t digest[WIRE_DIGEST], const char *name)
{
    struct blob *x = calloc(1, sizeof(*x));

    if (!x)
        return NULL;
    memcpy(x->digest, digest, WIRE_DIGEST);
    for (size_t k = 0; k < WIRE_DIGEST; k++)
        snprintf(x->hex + 2 * k, 3, "%02x", digest[k]);
    snprintf(x->name, sizeof(x->name), "%s", name);
    x->fd = -1;
    list_init(&x->users);
    list_push_back(&b->all, &x->node);
    return x;
}

struct user *wsh_blob_user(struct blob *x, uint32_t lane)
{
    struct user *u;

    for (LIST_EACH(&x->users, n))
        if ((u = LIST_ENTRY(n, struct user, node))->lane == lane)
            return u;
    if ((u = calloc(1, sizeof(*u))))
        list_push_back(&x->users, &u->node);
    return u;
}

void wsh_blob_reset(struct blobs *b, struct blob *x)
{
    if (x->fd >= 0) {
        close(x->fd);
        if (x->state == FETCHING)
            wsh_cache_drop_part(&b->cache, x->hex);
    }
    x->fd = -1;
    if (x->moving)
        blob_share_give(&b->fetches, x->payer);
    if (x->state == FETCHING)
        blob_share_give(&b->asked, x->payer);
    x->moving = false;
    blob_image_free(&x->image);
    b->memory -= x->reserved;
    x->reserved = 0;
    wsh_blob_move(x, BLOB_RESET);
}

void wsh_blob_drop(struct blobs *b, struct blob *x)
{
    wsh_blob_reset(b, x);
    for (struct list_node *n; (n = list_pop(&x->users));)
        free(LIST_ENTRY(n, struct user, node));
    list_remove(&b->all, &x->node);
    free(x);
}
