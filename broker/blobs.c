/* SPDX-License-Identifier: MPL-2.0
 * blobs.c - see blobs.h. A blob is FETCHING (from `source`, or waiting for one), or READY (its file is complete and verified).
 * Pieces are asked for in order and must come in order; the digest is computed as they come, so nothing is read twice.
 */
#include "blobs_internal.h"

#include "base/clock.h"
#include "bfork.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct blob *blob_find(struct blobs *b, const uint8_t digest[WIRE_DIGEST])
{
    for (LIST_EACH(&b->all, n)) {
        struct blob *x = LIST_ENTRY(n, struct blob, node);
        if (memcmp(x->digest, digest, WIRE_DIGEST) == 0)
            return x;
    }
    return NULL;
}

static void blob_remove(struct blobs *b, struct blob *x)
{
    struct list_node *n;

    while ((n = list_pop(&x->waiting)))
        free(LIST_ENTRY(n, struct blob_wait, node));
    b->in_flight -= x->in_flight;
    blob_file_drop(b, x);
    EVP_MD_CTX_free(x->sha);
    list_remove(&b->all, &x->node);
    if (x->state == BLOB_FETCHING)
        b->counters.fetching--;
    else
        b->counters.files--;
    free(x);
}

static void say_none(struct blobs *b, uint64_t worker, uint32_t channel, uint32_t request, const uint8_t *digest, const char *text)
{
    struct wire_msg m = { .type = WIRE_BLOB_NONE, .channel = channel, .request = request };

    m.u.blob.digest = wire_bin_of(digest, WIRE_DIGEST);
    m.u.blob.text = WIRE_STR(text);
    b->counters.refused++;
    b->ops.send(b->ops.ctx, worker, &m);
}

/* Nobody gets it: everyone who waits is told why. */
static void blob_fail(struct blobs *b, struct blob *x, const char *text)
{
    for (LIST_EACH(&x->waiting, n)) {
        struct blob_wait *w = LIST_ENTRY(n, struct blob_wait, node);
        say_none(b, w->worker, w->channel, w->request, x->digest, text);
    }
    blob_remove(b, x);
}

/* Begins at the start with the next client that has it; none: waits for one until the limit. */
static void blob_next_source(struct blobs *b, struct blob *x, uint64_t now)
{
    uint64_t after = x->source;

    b->in_flight -= x->in_flight;
    x->in_flight = 0;
    x->asked = x->got = x->total = 0;
    x->total_known = false;
    blob_file_drop(b, x);
    x->source = b->ops.source(b->ops.ctx, x->digest, after);
    if (!x->source && after)
        x->rounds++;
    x->heard = now;
    if (x->source && EVP_DigestInit_ex(x->sha, EVP_sha256(), NULL) != 1)
        x->source = 0;
}

static struct blob *blob_begin(struct blobs *b, uint64_t now, const uint8_t digest[WIRE_DIGEST])
{
    struct blob *x;

    if (b->counters.fetching >= FETCHING_MAX)
        return NULL;
    x = calloc(1, sizeof(*x));
    if (!x)
        return NULL;
    x->sha = EVP_MD_CTX_new();
    if (!x->sha) {
        free(x);
        return NULL;
    }
    x->fd = -1;
    x->began = now;
    memcpy(x->digest, digest, WIRE_DIGEST);
    list_init(&x->waiting);
    list_push_front(&b->all, &x->node);
    b->counters.fetching++;
    blob_next_source(b, x, now);
    return x;
}

static size_t waits_of(const struct blobs *b, uint64_t worker)
{
    size_t n = 0;

    for (LIST_EACH(&b->all, node)) {
        struct blob *x = LIST_ENTRY(node, struct blob, node);
        for (LIST_EACH(&x->waiting, inner))
            n += LIST_ENTRY(inner, struct blob_wait, node)->worker == worker;
    }
    return n;
}

void blobs_get(struct blobs *b, uint64_t now, uint64_t worker, const struct wire_msg *m)
{
    const uint8_t *digest = m->u.blob.digest.p;
    struct blob *x;
    struct blob_wait *w;

    if (!b->ops.may_pull(b->ops.ctx, worker, digest)) {
        say_none(b, worker, m->channel, m->request, digest, "no pool of this worker names this blob");
        return;
    }
    if (waits_of(b, worker) >= WAITS_MAX) {
        say_none(b, worker, m->channel, m->request, digest, "too many pieces are asked for at once");
        return;
    }
    x = blob_find(b, digest);
    if (!x)
        x = blob_begin(b, now, digest);
    w = x ? calloc(1, sizeof(*w)) : NULL;
    if (!w) {
        say_none(b, worker, m->channel, m->request, digest, "the broker fetches too many programs at once; ask again later");
        return;
    }
    w->worker = worker;
    w->channel = m->channel;
    w->request = m->request;
    w->offset = m->u.blob.offset;
    w->size = m->u.blob.size && m->u.blob.size < WIRE_PIECE_MAX ? m->u.blob.size : WIRE_PIECE_MAX;
    list_push_back(&x->waiting, &w->node);
    list_remove(&b->all, &x->node);         /* used last: evicted last */
    list_push_front(&b->all, &x->node);
    b->work = true;
}

/* All bytes are there: is it what its name says? */
static void blob_complete(struct blobs *b, struct blob *x, uint64_t now)
{
    uint8_t found[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (EVP_DigestFinal_ex(x->sha, found, &n) != 1 || n != WIRE_DIGEST || memcmp(found, x->digest, WIRE_DIGEST) != 0) {
        b->counters.bad_pieces++;
        blob_next_source(b, x, now);
        return;
    }
    EVP_MD_CTX_free(x->sha);
    x->sha = NULL;
    x->state = BLOB_READY;
    b->counters.fetching--;
    b->counters.files++;
    b->counters.uploads++;
    blob_file_close(x);
}

void blobs_piece(struct blobs *b, uint64_t now, uint64_t client, const struct wire_msg *m)
{
    struct blob *x = blob_find(b, m->u.blob.digest.p);
    size_t size = m->body.size;
    struct err e;

    if (!x || x->state != BLOB_FETCHING || x->source != client || m->u.blob.offset != x->got || x->in_flight == 0) {
        b->counters.bad_pieces++;       /* late, or nobody asked */
        return;
    }
    b->work = true;
    x->in_flight--;
    b->in_flight--;
    x->heard = now;
    if (!x->total_known) {
        x->total = m->u.blob.total;
        x->total_known = true;
        if (x->total > b->bound) {
            blob_fail(b, x, "the program is larger than the broker's cache for programs (option blob-cache)");
            return;
        }
    }
    if (m->u.blob.total != x->total || size > x->total - x->got || (size == 0 && x->total > x->got)) {
        b->counters.bad_pieces++;
        blob_next_source(b, x, now);
        return;
    }
    if (blob_file_append(b, x, m->body.data, size, &e) < 0) {
        blob_fail(b, x, e.text);
        return;
    }
    if (EVP_DigestUpdate(x->sha, m->body.data, size) != 1) {
        blob_fail(b, x, "the broker cannot compute SHA-256");
        return;
    }
    x->got += size;
    if (x->got == x->total) {
        b->in_flight -= x->in_flight;
        x->in_flight = 0;
        blob_complete(b, x, now);
    }
}

void blobs_none(struct blobs *b, uint64_t now, uint64_t client, const struct wire_msg *m)
{
    struct blob *x = blob_find(b, m->u.blob.digest.p);

    if (!x || x->state != BLOB_FETCHING || x->source != client)
        return;
    b->work = true;
    blob_next_source(b, x, now);
}

void blobs_lost(struct blobs *b, uint64_t now, uint64_t peer)
{
    for (LIST_EACH_SAFE(&b->all, n, after)) {
        struct blob *x = LIST_ENTRY(n, struct blob, node);
        for (LIST_EACH_SAFE(&x->waiting, inner, behind)) {
            struct blob_wait *w = LIST_ENTRY(inner, struct blob_wait, node);
            if (w->worker == peer) {
                list_remove(&x->waiting, &w->node);
                free(w);
            }
        }
        if (x->state == BLOB_FETCHING && x->source == peer)
            blob_next_source(b, x, now);
        if (x->state == BLOB_FETCHING && list_empty(&x->waiting))
            blob_remove(b, x);
    }
    b->work = true;
}

/* Asks for the next pieces, in order. */
static void blob_ask(struct blobs *b, struct blob *x)
{
    while (x->in_flight < PIECES_IN_FLIGHT && b->in_flight < ALL_IN_FLIGHT &&
           (x->total_known ? x->asked < x->total : x->in_flight == 0)) {
        struct wire_msg m = { .type = WIRE_BLOB_GET };
        m.u.blob.digest = wire_bin_of(x->digest, WIRE_DIGEST);
        m.u.blob.offset = x->asked;
        m.u.blob.size = WIRE_PIECE_MAX;
        if (x->total_known && x->total - x->asked < WIRE_PIECE_MAX)
            m.u.blob.size = (uint32_t)(x->total - x->asked);
        if (b->ops.send(b->ops.ctx, x->source, &m) < 0)
            return;                     /* its loss is reported soon */
        x->asked += m.u.blob.size;
        x->in_flight++;
        b->in_flight++;
    }
}

/* False: it has ended. */
static bool blob_fetch(struct blobs *b, struct blob *x, uint64_t now)
{
    if (x->source && now - x->heard > SOURCE_LIMIT)
        blob_next_source(b, x, now);
    if (!x->source) {
        bool wanted = false;
        for (LIST_EACH(&x->waiting, n))
            wanted = wanted || b->ops.may_pull(b->ops.ctx, LIST_ENTRY(n, struct blob_wait, node)->worker, x->digest);
        if (!wanted || x->rounds >= ROUNDS_MAX || now - x->began > WAIT_LIMIT) {
            blob_fail(b, x, !wanted ? "its pool is closed" : x->rounds ? "no connected client could deliver it whole" :
                      "no connected client has it");
            return false;
        }
        blob_next_source(b, x, now);
    }
    if (x->source)
        blob_ask(b, x);
    return true;
}

static bool wait_serve(struct blobs *b, struct blob *x, struct blob_wait *w)
{
    struct wire_msg m = { .type = WIRE_BLOB_PIECE, .channel = w->channel, .request = w->request };
    struct buf *piece = NULL;
    struct err e;

    if (w->offset > x->got) {
        say_none(b, w->worker, w->channel, w->request, x->digest, "there is nothing at this offset");
        return true;
    }
    if (!b->ops.has_room(b->ops.ctx, w->worker))
        return false;
    if (blob_file_read(b, x, w->offset, w->size, &piece, &e) < 0) {
        say_none(b, w->worker, w->channel, w->request, x->digest, e.text);
        return true;
    }
    m.u.blob.digest = wire_bin_of(x->digest, WIRE_DIGEST);
    m.u.blob.offset = w->offset;
    m.u.blob.total = x->got;
    m.u.blob.size = (uint32_t)piece->size;
    m.body = slice_of(piece, 0, piece->size);
    b->ops.send(b->ops.ctx, w->worker, &m);
    b->counters.pieces_served++;
    buf_unref(&piece);
    return true;
}

static void blob_serve(struct blobs *b, struct blob *x, int *budget)
{
    for (LIST_EACH_SAFE(&x->waiting, n, after)) {
        struct blob_wait *w = LIST_ENTRY(n, struct blob_wait, node);
        if (*budget == 0) {
            b->work = true;
            return;
        }
        if (!wait_serve(b, x, w)) {
            b->blocked = true;
            continue;
        }
        --*budget;
        list_remove(&x->waiting, &w->node);
        free(w);
    }
}

static void blobs_evict(struct blobs *b)
{
    for (struct list_node *n = list_last(&b->all); n && (b->counters.bytes > b->bound || b->counters.files > FILES_MAX);) {
        struct blob *x = LIST_ENTRY(n, struct blob, node);
        n = n->prev == &b->all.head ? NULL : n->prev;
        if (x->state == BLOB_READY && list_empty(&x->waiting))
            blob_remove(b, x);
    }
}

void blobs_step(struct blobs *b, uint64_t now)
{
    int budget = SERVE_TURN;

    if (!b->work && !b->blocked && b->counters.fetching == 0)
        return;
    b->work = b->blocked = false;
    for (LIST_EACH_SAFE(&b->all, n, after)) {
        struct blob *x = LIST_ENTRY(n, struct blob, node);
        if (x->state == BLOB_FETCHING && !blob_fetch(b, x, now))
            continue;
        if (x->state == BLOB_READY)
            blob_serve(b, x, &budget);
    }
    blobs_evict(b);
}

uint64_t blobs_deadline(const struct blobs *b, uint64_t now)
{
    if (b->work)
        return now;
    return b->counters.fetching || b->blocked ? now + 250 * CLOCK_MS : CLOCK_NEVER;
}

void blobs_counters(const struct blobs *b, struct blobs_counters *ret)
{
    *ret = b->counters;
}

void blobs_free(struct blobs **bp)
{
    struct blobs *b = *bp;

    if (!b)
        return;
    *bp = NULL;
    while (!list_empty(&b->all))
        blob_remove(b, LIST_ENTRY(list_first(&b->all), struct blob, node));
    blob_folder_close(b);
    free(b);
}

int blobs_new(const char *dir, uint64_t bound, const struct blobs_ops *ops, struct blobs **ret, struct err *e)
{
    struct blobs *b = calloc(1, sizeof(*b));
    int rc;

    if (!b)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    list_init(&b->all);
    b->bound = bound;
    b->ops = *ops;
    b->lock_fd = -1;
    b->folder_fd = -1;
    rc = blob_folder_open(b, dir, e);
    if (rc < 0) {
        blobs_free(&b);
        return rc;
    }
    *ret = b;
    return 0;
}
