/* SPDX-License-Identifier: MPL-2.0
 * blobs.c - see blobs.h. A blob is WAITING (for a place to be fetched in), READING (from its file in the cache), FETCHING, or
 * READY: a sealed image in memory. What is fetched goes into the image and into DIR/tmp, while there is room; that file gets its
 * name when all of it is there.
 */
#include "blobs_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "bfork.h"
#include "cache.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FETCHES 8u                  /* that move at a time */
#define FETCHES_OWNER 2u
#define ASKED 64u                   /* and with those that the broker has no answer for yet */
#define ASKED_OWNER 16u
#define READ_TURN (8u << 20)        /* bytes read and hashed in a turn */
#define STALL (TIME_BLOB_STALL_MS * CLOCK_MS)

int wsh_blobs_new(const char *dir, uint64_t bound, uint64_t memory, const struct blobs_ops *ops, struct blobs **ret, struct err *e)
{
    struct blobs *b = calloc(1, sizeof(*b));

    *ret = NULL;
    if (!b || snprintf(b->cache.dir, sizeof(b->cache.dir), "%s", dir) >= (int)sizeof(b->cache.dir) - 100) {
        free(b);
        return b ? err_set(e, BFORK_EINVAL, "the path of the cache is too long: %s", dir)
                 : err_set(e, BFORK_ENOMEM, "out of memory");
    }
    b->cache.bound = bound;
    b->memory_bound = memory;
    b->ops = *ops;
    list_init(&b->all);
    list_init(&b->hungry);
    blob_share_init(&b->fetches, FETCHES, FETCHES_OWNER);
    blob_share_init(&b->asked, ASKED, ASKED_OWNER);
    *ret = b;
    return 0;
}

void wsh_blobs_free(struct blobs **pb)
{
    struct blobs *b = *pb;

    if (!b)
        return;
    *pb = NULL;
    for (struct list_node *n; (n = list_first(&b->all));)
        wsh_blob_drop(b, LIST_ENTRY(n, struct blob, node));
    wsh_room_done(b);
    blob_share_done(&b->fetches);
    blob_share_done(&b->asked);
    free(b);
}

static void fail_user(struct blobs *b, struct blob *x, struct user *u, int code, const char *text)
{
    list_remove(&x->users, &u->node);
    b->ops.failed(b->ops.ctx, u->lane, code, "fetch", text);
    free(u);
}

static void fail_blob(struct blobs *b, struct blob *x, int code, const char *text)
{
    for (struct list_node *n; (n = list_first(&x->users));)
        fail_user(b, x, LIST_ENTRY(n, struct user, node), code, text);
    wsh_blob_drop(b, x);
}

/* What somebody said about the size counts for nobody else. */
static void tell_user(struct blobs *b, struct blob *x, struct user *u)
{
    char text[700];

    if (!u->size || u->size == blob_image_size(x->image)) {
        b->ops.ready(b->ops.ctx, u->lane, blob_image_fd(x->image));
        return;
    }
    snprintf(text, sizeof(text), "%s is announced with %llu bytes, but the program of this SHA-256 has %llu", x->name,
             (unsigned long long)u->size, (unsigned long long)blob_image_size(x->image));
    fail_user(b, x, u, BFORK_REFUSED, text);
}

/* Lanes that are gone use nothing any more. */
static void forget_users(struct blobs *b)
{
    for (LIST_EACH_SAFE(&b->all, n, after)) {
        struct blob *x = LIST_ENTRY(n, struct blob, node);

        for (LIST_EACH_SAFE(&x->users, m, next)) {
            struct user *u = LIST_ENTRY(m, struct user, node);

            if (b->ops.wanted(b->ops.ctx, u->lane))
                continue;
            list_remove(&x->users, m);
            free(u);
        }
        if (list_empty(&x->users) && x->state != READY)
            wsh_blob_drop(b, x);
    }
}

static int begin_image(struct blobs *b, struct blob *x, uint64_t size, struct err *e)
{
    int rc = wsh_room_make(b, x, size, e);

    return rc < 0 ? rc : blob_image_new(x->name, &x->image, e);
}

/* true: its file is there, and is being read from now on. */
static bool begin_reading(struct blobs *b, struct blob *x)
{
    struct err e = { 0 };
    int fd = x->looked ? -1 : wsh_cache_open(&b->cache, x->hex, &x->left);

    x->looked = true;
    if (fd < 0)
        return false;
    x->fd = fd;
    wsh_blob_move(x, BLOB_READ);
    if (begin_image(b, x, x->left, &e) == 0)
        return true;
    fail_blob(b, x, e.code, e.text);
    return true;
}

void wsh_blobs_want(struct blobs *b, uint32_t lane, const struct blobs_wish *w)
{
    struct blob *x = wsh_blob_find(b, w->digest);
    struct user *u;
    char text[700];

    if (w->size > b->cache.bound) {
        snprintf(text, sizeof(text), "%.200s has %llu bytes, more than the worker's cache may have (cache-size, %llu)", w->name,
                 (unsigned long long)w->size, (unsigned long long)b->cache.bound);
        b->ops.failed(b->ops.ctx, lane, BFORK_REFUSED, "fetch", text);
        return;
    }
    if ((!x && !(x = wsh_blob_add(b, w->digest, w->name))) || !(u = wsh_blob_user(x, lane))) {
        b->ops.failed(b->ops.ctx, lane, BFORK_ENOMEM, "fetch", "out of memory");
        return;                 /* a blob without users goes by itself */
    }
    u->lane = lane;
    u->size = w->size;
    memcpy(u->owner, w->owner, WIRE_KEY);
    x->used = ++b->uses;
    if (x->state == READY) {
        wsh_cache_touch(&b->cache, x->hex);
        tell_user(b, x, u);
    }
}

static void become_ready(struct blobs *b, struct blob *x)
{
    wsh_blob_move(x, BLOB_FILLED);
    for (LIST_EACH_SAFE(&x->users, m, after))
        tell_user(b, x, LIST_ENTRY(m, struct user, node));
}

/* A part of the file. What is in it is not believed: a file of another content is removed, and the program is fetched. */
static void read_on(struct blobs *b, struct blob *x)
{
    struct err e = { 0 };
    int64_t n = blob_image_add_file(x->image, x->fd, x->left < READ_TURN ? (size_t)x->left : READ_TURN, &e);

    if (n < 0 && e.code == BFORK_ENOMEM) {
        fail_blob(b, x, e.code, e.text);
        return;
    }
    x->left -= n > 0 ? (uint64_t)n : 0;
    if (n > 0 && x->left > 0)
        return;
    if (n >= 0 && x->left == 0 && blob_image_seal(x->image, x->digest, &e) == 0) {
        close(x->fd);
        x->fd = -1;
        wsh_cache_touch(&b->cache, x->hex);
        become_ready(b, x);
        return;
    }
    wsh_cache_remove(&b->cache, x->hex);
    wsh_blob_reset(b, x);
}

/* ---- fetching -------------------------------------------------------------------------------- */

/* A place among those that are fetched, in the name of any owner who wants it. */
static bool begin_fetching(struct blobs *b, struct blob *x, uint64_t now)
{
    for (LIST_EACH(&x->users, n)) {
        const struct user *u = LIST_ENTRY(n, struct user, node);

        if (blob_share_of(&b->fetches, u->owner) >= FETCHES_OWNER || !blob_share_take(&b->asked, u->owner))
            continue;
        if (!blob_share_take(&b->fetches, u->owner)) {
            blob_share_give(&b->asked, u->owner);
            continue;
        }
        memcpy(x->payer, u->owner, WIRE_KEY);
        x->moving = true;
        wsh_blob_move(x, BLOB_FETCH);
        blob_pieces_init(&x->pieces, now, WIRE_PIECE_MAX);
        return true;
    }
    return false;
}

/* The cache is full, or cannot be written just now. The file would only save fetching it again: it is run from memory without one.
 * Told once, until one can be written. */
static void go_uncached(struct blobs *b, struct blob *x, const struct err *e)
{
    if (x->fd >= 0)
        close(x->fd);
    x->fd = -1;
    wsh_cache_drop_part(&b->cache, x->hex);
    if (!b->uncached)
        log_line(LOG_WARNING_, "event=uncached text=\"%s is run from memory and will be fetched again: %s\"", x->name, e->text);
    b->uncached = true;
}

/* All of it is there: is it what it should be? */
static void complete(struct blobs *b, struct blob *x)
{
    struct err e = { 0 };
    char text[600];
    int rc = blob_image_seal(x->image, x->digest, &e);

    if (rc == BFORK_EPROTOCOL) {
        snprintf(text, sizeof(text), "%s is not what the client announced: its SHA-256 is not %s; it is not run", x->name, x->hex);
        fail_blob(b, x, BFORK_REFUSED, text);
        return;
    }
    if (rc == 0 && x->fd >= 0) {
        rc = wsh_cache_commit_part(&b->cache, x->hex, &x->fd, &e);
        if (rc == BFORK_EAGAIN) {
            go_uncached(b, x, &e);
            rc = 0;
        } else if (rc == 0) {
            b->uncached = false;
        }
    }
    if (rc < 0) {
        fail_blob(b, x, e.code, e.text);
        return;
    }
    if (x->moving)
        blob_share_give(&b->fetches, x->payer);
    blob_share_give(&b->asked, x->payer);
    x->moving = false;
    become_ready(b, x);
}

/* The size is known from now on: by the broker, which has seen all bytes. */
static int first_piece(struct blobs *b, struct blob *x, struct err *e)
{
    struct err image = { 0 };
    int rc = wsh_cache_room(&b->cache, x->pieces.size, x->name, e);

    if (rc < 0 && rc != BFORK_EAGAIN)
        return rc;
    if (begin_image(b, x, x->pieces.size, &image) < 0) {
        *e = image;
        return e->code;
    }
    if (rc == 0)
        rc = wsh_cache_create_part(&b->cache, x->hex, &x->fd, e);
    if (rc == BFORK_EAGAIN) {
        go_uncached(b, x, e);
        rc = 0;
    }
    return rc;
}

/* The next bytes, into the file as well while there is one. */
static int add_piece(struct blobs *b, struct blob *x, const struct slice *body, uint64_t at, struct err *e)
{
    int rc = blob_image_add(x->image, body->data, body->size, e);

    if (rc < 0 || x->fd < 0 || (rc = wsh_cache_write_part(&b->cache, x->fd, body->data, body->size, at, e)) != BFORK_EAGAIN)
        return rc;
    go_uncached(b, x, e);
    return 0;
}

static void piece(struct blobs *b, struct blob *x, uint64_t now, const struct wire_msg *m)
{
    const struct slice *body = &m->body;
    struct err e = { 0 };
    bool first = !x->pieces.known;
    uint64_t at = x->pieces.got;

    switch (blob_pieces_got(&x->pieces, now, m->u.blob.offset, body->size, m->u.blob.total)) {
    case BLOB_DROP:
        return;
    case BLOB_WRONG:
        fail_blob(b, x, BFORK_EPROTOCOL, "the broker sent another piece of the program than it was asked for");
        return;
    case BLOB_TAKE:
        break;
    }
    if ((first && first_piece(b, x, &e) < 0) || add_piece(b, x, body, at, &e) < 0)
        fail_blob(b, x, e.code, e.text);
    else if (blob_pieces_complete(&x->pieces))
        complete(b, x);
}

void wsh_blobs_message(struct blobs *b, uint64_t now, const struct wire_msg *m)
{
    struct blob *x = m->u.blob.digest.n == WIRE_DIGEST ? wsh_blob_find(b, m->u.blob.digest.p) : NULL;

    b->now = now;
    if (!x || x->state != FETCHING || !x->pieces.in_flight)
        return;                 /* of a lane that is gone */
    if (m->type == WIRE_BLOB_PIECE) {
        piece(b, x, now, m);
    } else if (m->type == WIRE_BLOB_NONE) {
        char text[600];

        snprintf(text, sizeof(text), "%s cannot be fetched: %.*s", x->name, (int)m->u.blob.text.n,
                 m->u.blob.text.n ? m->u.blob.text.p : "");
        fail_blob(b, x, BFORK_REFUSED, text);
    }
}

void wsh_blobs_online(struct blobs *b, uint64_t now, bool online)
{
    b->online = online;
    for (LIST_EACH(&b->all, n)) {
        struct blob *x = LIST_ENTRY(n, struct blob, node);

        if (x->state == FETCHING)
            blob_pieces_cut(&x->pieces, now);
    }
}

/* While the broker has no answer, others may move; afterwards it moves again when there is a place. */
static void give_way(struct blobs *b, struct blob *x, uint64_t now)
{
    bool stalled = blob_pieces_stalled(&x->pieces, now, STALL);

    if (x->moving && stalled) {
        blob_share_give(&b->fetches, x->payer);
        x->moving = false;
    } else if (!x->moving && !stalled) {
        x->moving = blob_share_take(&b->fetches, x->payer);
    }
}

static void ask_source(struct blobs *b, struct blob *x, uint64_t now)
{
    struct wire_msg m = { .type = WIRE_BLOB_GET };

    m.u.blob.digest = wire_bin_of(x->digest, WIRE_DIGEST);
    while (blob_pieces_next(&x->pieces, now, &m.u.blob.offset, &m.u.blob.size))
        b->ops.send(b->ops.ctx, &m);
}

/* Every one of them may make room: what is behind it in the list may be gone then. */
static void look_for_files(struct blobs *b)
{
    struct list_node *n = list_first(&b->all);

    while (n) {
        struct blob *x = LIST_ENTRY(n, struct blob, node);
        bool look = x->state == WAITING && !x->looked;

        if (look)
            begin_reading(b, x);
        n = look ? list_first(&b->all) : n->next != &b->all.head ? n->next : NULL;
    }
}

void wsh_blobs_step(struct blobs *b, uint64_t now)
{
    b->now = now;
    forget_users(b);
    look_for_files(b);
    b->reading = false;
    for (LIST_EACH_SAFE(&b->all, n, after)) {
        struct blob *x = LIST_ENTRY(n, struct blob, node);

        if (x->state == READING && !b->reading) {
            b->reading = true;
            list_remove(&b->all, n);
            list_push_back(&b->all, n);     /* the next turn is another's */
            read_on(b, x);
        }
    }
    for (LIST_EACH(&b->all, n)) {
        struct blob *x = LIST_ENTRY(n, struct blob, node);

        if (x->state == WAITING && b->online)
            begin_fetching(b, x, now);
        if (x->state != FETCHING || !b->online)
            continue;
        give_way(b, x, now);
        if (x->moving)
            ask_source(b, x, now);
    }
}

uint64_t wsh_blobs_deadline(const struct blobs *b)
{
    uint64_t least = CLOCK_NEVER;

    if (b->reading)
        return 0;
    for (LIST_EACH(&b->all, n)) {
        const struct blob *x = LIST_ENTRY(n, struct blob, node);

        if (x->state == FETCHING && x->moving && b->online && x->pieces.moved_at + STALL + CLOCK_MS < least)
            least = x->pieces.moved_at + STALL + CLOCK_MS;
    }
    return least;
}

uint64_t wsh_blobs_memory(const struct blobs *b)
{
    return b->memory;
}
