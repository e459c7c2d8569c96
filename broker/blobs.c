/* SPDX-License-Identifier: MPL-2.0
 * blobs.c - see blobs.h. A blob is FETCHING (from `source`, or waiting for one), or READY (its file is complete and verified).
 * Pieces are taken in order; the digest is computed as they come, so nothing is read twice. A source that fails is followed by
 * one of another key; only when all keys have failed are their other clients tried.
 */
#include "blobs_internal.h"

#include "base/clock.h"
#include "base/text.h"
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

static void source_leave(struct blobs *b, struct blob *x)
{
    if (x->source)
        blob_share_give(&b->fetches, x->payer);
    x->source = 0;
    bsh_blob_file_drop(b, x);
}

static void blob_remove(struct blobs *b, struct blob *x)
{
    struct list_node *n;

    while ((n = list_pop(&x->waiting)))
        free(LIST_ENTRY(n, struct blob_wait, node));
    source_leave(b, x);
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
        char full[600];
        snprintf(full, sizeof(full), "its client says: %s (%s)", w->said, text);    /* the end may be cut on the way */
        say_none(b, w->worker, w->channel, w->request, x->digest, w->said[0] ? full : text);
    }
    blob_remove(b, x);
}

/* ---- sources --------------------------------------------------------------------------------- */

/* It has not delivered what it named: another key's client is next. */
static void source_failed(struct blobs *b, struct blob *x, const char *why)
{
    snprintf(x->why, sizeof(x->why), "%s", why);
    memcpy(x->bad[x->n_bad++ % BAD_MAX], x->source_key, WIRE_KEY);
    source_leave(b, x);
    b->work = true;
}

static bool is_bad(const struct blob *x, const uint8_t key[WIRE_KEY])
{
    for (uint32_t i = 0; i < x->n_bad && i < BAD_MAX; i++)
        if (memcmp(x->bad[i], key, WIRE_KEY) == 0)
            return true;
    return false;
}

/* The next client that has it, if there is one. */
static uint64_t source_next(struct blobs *b, struct blob *x)
{
    uint64_t source = x->cursor;

    do
        source = b->ops.source(b->ops.ctx, x->digest, source, x->source_key);
    while (source && x->rounds == 0 && is_bad(x, x->source_key));
    if (x->rounds && x->tried >= TRIES_MAX)
        source = 0;
    x->cursor = source;
    if (source) {
        x->tried++;
    } else if (x->tried) {
        x->rounds++;
        x->tried = 0;
    }
    return source;
}

/* A place to fetch it in, in the name of any owner for whom it is waited. */
static bool find_payer(struct blobs *b, struct blob *x)
{
    for (LIST_EACH(&x->waiting, n)) {
        const struct blob_wait *w = LIST_ENTRY(n, struct blob_wait, node);
        if (!blob_share_take(&b->fetches, w->owner))
            continue;
        memcpy(x->payer, w->owner, WIRE_KEY);
        return true;
    }
    return false;
}

static void find_source(struct blobs *b, struct blob *x, uint64_t now)
{
    uint64_t source;

    if (!find_payer(b, x)) {
        x->began = now;                     /* waiting for a place is not waiting for a client */
        return;
    }
    source = source_next(b, x);
    if (!source || EVP_DigestInit_ex(x->sha, EVP_sha256(), NULL) != 1) {
        blob_share_give(&b->fetches, x->payer);
        return;
    }
    x->source = source;
    blob_pieces_init(&x->pieces, now, WIRE_PIECE_MAX);
}

static struct blob *blob_begin(struct blobs *b, uint64_t now, const uint8_t digest[WIRE_DIGEST])
{
    struct blob *x = calloc(1, sizeof(*x));

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
    return x;
}

/* ---- requests -------------------------------------------------------------------------------- */

static size_t waits_of(const struct blobs *b, uint64_t worker, const uint8_t owner[WIRE_KEY])
{
    size_t n = 0;

    for (LIST_EACH(&b->all, node)) {
        struct blob *x = LIST_ENTRY(node, struct blob, node);
        for (LIST_EACH(&x->waiting, inner)) {
            const struct blob_wait *w = LIST_ENTRY(inner, struct blob_wait, node);
            n += w->worker == worker && memcmp(w->owner, owner, WIRE_KEY) == 0;
        }
    }
    return n;
}

/* In whose name is this asked? NULL: one was found; else why it is refused. */
static const char *find_owner(const struct blobs *b, uint64_t worker, const uint8_t *digest, uint8_t owner[WIRE_KEY])
{
    uint8_t after[WIRE_KEY];
    const char *why = "no pool of this worker names this blob";

    for (const uint8_t *from = NULL; b->ops.owner(b->ops.ctx, worker, digest, from, owner); from = after) {
        if (waits_of(b, worker, owner) < WAITS_MAX)
            return NULL;
        why = "too many pieces are asked for at once";
        memcpy(after, owner, WIRE_KEY);
    }
    return why;
}

void bsh_blobs_get(struct blobs *b, uint64_t now, uint64_t worker, const struct wire_msg *m)
{
    const uint8_t *digest = m->u.blob.digest.p;
    uint8_t owner[WIRE_KEY];
    const char *why = find_owner(b, worker, digest, owner);
    struct blob *x;
    struct blob_wait *w;

    if (why) {
        say_none(b, worker, m->channel, m->request, digest, why);
        return;
    }
    x = blob_find(b, digest);
    if (!x)
        x = blob_begin(b, now, digest);
    w = x ? calloc(1, sizeof(*w)) : NULL;
    if (!w) {
        say_none(b, worker, m->channel, m->request, digest, "the broker is out of memory");
        return;
    }
    w->worker = worker;
    w->channel = m->channel;
    w->request = m->request;
    w->offset = m->u.blob.offset;
    w->size = m->u.blob.size && m->u.blob.size < WIRE_PIECE_MAX ? m->u.blob.size : WIRE_PIECE_MAX;
    memcpy(w->owner, owner, WIRE_KEY);
    list_push_back(&x->waiting, &w->node);
    list_remove(&b->all, &x->node);         /* used last: evicted last */
    list_push_front(&b->all, &x->node);
    b->work = true;
}

/* ---- pieces from clients --------------------------------------------------------------------- */

/* All bytes are there: is it what its name says? */
static void blob_complete(struct blobs *b, struct blob *x)
{
    uint8_t found[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (EVP_DigestFinal_ex(x->sha, found, &n) != 1 || n != WIRE_DIGEST || memcmp(found, x->digest, WIRE_DIGEST) != 0) {
        b->counters.bad_pieces++;
        source_failed(b, x, "it has other bytes than its SHA-256 says");
        return;
    }
    EVP_MD_CTX_free(x->sha);
    x->sha = NULL;
    blob_share_give(&b->fetches, x->payer);
    x->source = 0;
    x->state = BLOB_READY;
    b->counters.fetching--;
    b->counters.files++;
    b->counters.uploads++;
    bsh_blob_file_close(x);
}

void bsh_blobs_piece(struct blobs *b, uint64_t now, uint64_t client, const struct wire_msg *m)
{
    struct blob *x = blob_find(b, m->u.blob.digest.p);
    size_t size = m->body.size;
    enum blob_verdict verdict;
    struct err e;

    if (!x || x->state != BLOB_FETCHING || x->source != client) {
        b->counters.bad_pieces++;       /* late, or nobody asked */
        return;
    }
    b->work = true;
    verdict = blob_pieces_got(&x->pieces, now, m->u.blob.offset, size, m->u.blob.total);
    if (verdict != BLOB_TAKE)
        b->counters.bad_pieces++;
    if (verdict == BLOB_WRONG)
        source_failed(b, x, "its pieces do not fit together");
    else if (x->pieces.known && x->pieces.size > b->bound)
        source_failed(b, x, "it is larger than the broker's cache for programs (option blob-cache)");
    if (verdict != BLOB_TAKE || !x->source)
        return;
    if (bsh_blob_file_append(b, x, m->body.data, size, &e) < 0)
        blob_fail(b, x, e.text);
    else if (EVP_DigestUpdate(x->sha, m->body.data, size) != 1)
        blob_fail(b, x, "the broker cannot compute SHA-256");
    else if (blob_pieces_complete(&x->pieces))
        blob_complete(b, x);
}

/* What a client says is for those who ask in the name of its owner: nobody else is shown another's words. */
static void tell_owner(struct blob *x, struct wire_str text)
{
    for (LIST_EACH(&x->waiting, n)) {
        struct blob_wait *w = LIST_ENTRY(n, struct blob_wait, node);
        if (memcmp(w->owner, x->source_key, WIRE_KEY))
            continue;
        snprintf(w->said, sizeof(w->said), "%.*s", (int)text.n, text.n ? text.p : "");
        text_clean(w->said, strlen(w->said), false);
    }
}

void bsh_blobs_none(struct blobs *b, uint64_t client, const struct wire_msg *m)
{
    struct blob *x = blob_find(b, m->u.blob.digest.p);

    if (!x || x->state != BLOB_FETCHING || x->source != client)
        return;
    tell_owner(x, m->u.blob.text);
    source_failed(b, x, "it is not there any more");
}

void bsh_blobs_lost(struct blobs *b, uint64_t now, uint64_t peer)
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
        if (x->state == BLOB_FETCHING && x->source == peer) {
            source_leave(b, x);
            snprintf(x->why, sizeof(x->why), "its client has left");
            x->cursor = 0;
            x->began = now;
        }
        if (x->state == BLOB_FETCHING && list_empty(&x->waiting))
            blob_remove(b, x);
    }
    b->work = true;
}

/* Asks for the next pieces, in order. */
static void blob_ask(struct blobs *b, struct blob *x, uint64_t now)
{
    struct wire_msg m = { .type = WIRE_BLOB_GET };

    m.u.blob.digest = wire_bin_of(x->digest, WIRE_DIGEST);
    while (blob_pieces_next(&x->pieces, now, &m.u.blob.offset, &m.u.blob.size))
        if (b->ops.send(b->ops.ctx, x->source, &m) < 0)
            return;                     /* its loss is reported soon */
}

static bool is_wanted(const struct blobs *b, const struct blob *x)
{
    uint8_t owner[WIRE_KEY];

    for (LIST_EACH(&x->waiting, n))
        if (b->ops.owner(b->ops.ctx, LIST_ENTRY(n, struct blob_wait, node)->worker, x->digest, NULL, owner))
            return true;
    return false;
}

/* False: it has ended. */
static bool blob_fetch(struct blobs *b, struct blob *x, uint64_t now)
{
    char text[300];

    if (x->source && blob_pieces_stalled(&x->pieces, now, SOURCE_LIMIT))
        source_failed(b, x, "it is announced, but does not come");
    if (!x->source)
        find_source(b, x, now);
    if (x->source) {
        blob_ask(b, x, now);
        return true;
    }
    if (!is_wanted(b, x))
        snprintf(text, sizeof(text), "its pool is closed");
    else if (x->rounds >= ROUNDS_MAX)
        snprintf(text, sizeof(text), "no connected client could deliver it whole: %s", x->why);
    else if (now - x->began > WAIT_LIMIT)
        snprintf(text, sizeof(text), "no connected client has it");
    else
        return true;
    blob_fail(b, x, text);
    return false;
}

static bool wait_serve(struct blobs *b, struct blob *x, struct blob_wait *w)
{
    struct wire_msg m = { .type = WIRE_BLOB_PIECE, .channel = w->channel, .request = w->request };
    struct buf *piece = NULL;
    struct err e;

    if (w->offset > x->pieces.got) {
        say_none(b, w->worker, w->channel, w->request, x->digest, "there is nothing at this offset");
        return true;
    }
    if (!b->ops.has_room(b->ops.ctx, w->worker))
        return false;
    if (bsh_blob_file_read(b, x, w->offset, w->size, &piece, &e) < 0) {
        say_none(b, w->worker, w->channel, w->request, x->digest, e.text);
        return true;
    }
    m.u.blob.digest = wire_bin_of(x->digest, WIRE_DIGEST);
    m.u.blob.offset = w->offset;
    m.u.blob.total = x->pieces.got;
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

void bsh_blobs_step(struct blobs *b, uint64_t now)
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

uint64_t bsh_blobs_deadline(const struct blobs *b, uint64_t now)
{
    if (b->work)
        return now;
    return b->counters.fetching || b->blocked ? now + 250 * CLOCK_MS : CLOCK_NEVER;
}

void bsh_blobs_counters(const struct blobs *b, struct blobs_counters *ret)
{
    *ret = b->counters;
}

void bsh_blobs_free(struct blobs **bp)
{
    struct blobs *b = *bp;

    if (!b)
        return;
    *bp = NULL;
    while (!list_empty(&b->all))
        blob_remove(b, LIST_ENTRY(list_first(&b->all), struct blob, node));
    blob_share_done(&b->fetches);
    bsh_blob_folder_close(b);
    free(b);
}

int bsh_blobs_new(const char *dir, uint64_t bound, const struct blobs_ops *ops, struct blobs **ret, struct err *e)
{
    struct blobs *b = calloc(1, sizeof(*b));
    int rc;

    if (!b)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    list_init(&b->all);
    blob_share_init(&b->fetches, FETCHES, FETCHES_OWNER);
    b->bound = bound;
    b->ops = *ops;
    b->lock_fd = -1;
    b->folder_fd = -1;
    rc = bsh_blob_folder_open(b, dir, e);
    if (rc < 0) {
        bsh_blobs_free(&b);
        return rc;
    }
    *ret = b;
    return 0;
}
