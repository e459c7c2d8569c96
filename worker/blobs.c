/* SPDX-License-Identifier: MPL-2.0
 * blobs.c - see blobs.h. A file grows in DIR/tmp and is renamed to its digest when all of it is there and right.
 */
#include "blobs.h"

#include "base/list.h"
#include "bfork.h"
#include "cache.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IN_FLIGHT 4u

struct user { struct list_node node; uint32_t lane; };

struct blob {                   /* wanted by at least one lane; or there, and used by some */
    struct list_node node;
    uint8_t digest[WIRE_DIGEST];
    char hex[2 * WIRE_DIGEST + 1], name[256];
    struct list users;
    bool there;                 /* verified by this process */
    uint64_t size;              /* 0: not known before the first piece */
    uint64_t asked, got;        /* bytes; pieces come in the order in which they were asked for */
    uint32_t in_flight;
    int fd;
    EVP_MD_CTX *sha;
};

struct blobs {
    struct blobs_ops ops;
    struct cache cache;
    struct list all;
    uint32_t in_flight;
    bool online;
};

int blobs_new(const char *dir, uint64_t bound, const struct blobs_ops *ops, struct blobs **ret, struct err *e)
{
    struct blobs *b = calloc(1, sizeof(*b));

    *ret = NULL;
    if (!b || snprintf(b->cache.dir, sizeof(b->cache.dir), "%s", dir) >= (int)sizeof(b->cache.dir) - 100) {
        free(b);
        return b ? err_set(e, BFORK_EINVAL, "the path of the cache is too long: %s", dir)
                 : err_set(e, BFORK_ENOMEM, "out of memory");
    }
    b->cache.bound = bound;
    b->ops = *ops;
    list_init(&b->all);
    *ret = b;
    return 0;
}

static void stop_fetch(struct blobs *b, struct blob *x)
{
    if (x->fd >= 0) {
        close(x->fd);
        cache_drop_part(&b->cache, x->hex);
    }
    x->fd = -1;
    EVP_MD_CTX_free(x->sha);
    x->sha = NULL;
    b->in_flight -= x->in_flight;
    x->in_flight = 0;
    x->asked = x->got = 0;
}

static void drop(struct blobs *b, struct blob *x)
{
    stop_fetch(b, x);
    for (struct list_node *n; (n = list_pop(&x->users));)
        free(LIST_ENTRY(n, struct user, node));
    list_remove(&b->all, &x->node);
    free(x);
}

void blobs_free(struct blobs **pb)
{
    struct blobs *b = *pb;

    if (!b)
        return;
    *pb = NULL;
    for (struct list_node *n; (n = list_first(&b->all));)
        drop(b, LIST_ENTRY(n, struct blob, node));
    free(b);
}

static void fail(struct blobs *b, struct blob *x, int code, const char *text)
{
    for (struct list_node *n; (n = list_pop(&x->users));) {
        struct user *u = LIST_ENTRY(n, struct user, node);

        b->ops.failed(b->ops.ctx, u->lane, code, "fetch", text);
        free(u);
    }
    drop(b, x);
}

static void fail_err(struct blobs *b, struct blob *x, const struct err *e)
{
    fail(b, x, e->code, e->text);
}

static void tell(struct blobs *b, const struct blob *x, uint32_t lane)
{
    char path[PATH_MAX];

    cache_path(&b->cache, x->hex, path);
    cache_touch(&b->cache, x->hex);
    b->ops.ready(b->ops.ctx, lane, path);
}

static struct blob *find(const struct blobs *b, const uint8_t *digest)
{
    for (LIST_EACH(&b->all, n)) {
        struct blob *x = LIST_ENTRY(n, struct blob, node);

        if (memcmp(x->digest, digest, WIRE_DIGEST) == 0)
            return x;
    }
    return NULL;
}

static struct blob *add(struct blobs *b, const uint8_t digest[WIRE_DIGEST], uint64_t size, const char *name)
{
    struct blob *x = calloc(1, sizeof(*x));

    if (!x)
        return NULL;
    memcpy(x->digest, digest, WIRE_DIGEST);
    for (size_t k = 0; k < WIRE_DIGEST; k++)
        snprintf(x->hex + 2 * k, 3, "%02x", digest[k]);
    snprintf(x->name, sizeof(x->name), "%s", name);
    x->size = size;
    x->fd = -1;
    list_init(&x->users);
    list_push_back(&b->all, &x->node);
    return x;
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
        if (list_empty(&x->users) && !x->there && x->in_flight == 0)
            drop(b, x);
    }
}

static bool in_use(void *ctx, const char *hex)
{
    const struct blobs *b = ctx;

    for (LIST_EACH(&b->all, n)) {
        const struct blob *x = LIST_ENTRY(n, struct blob, node);

        if (!list_empty(&x->users) && strcmp(x->hex, hex) == 0)
            return true;
    }
    return false;
}

/* Room for it, and a file to write to. */
static int begin(struct blobs *b, struct blob *x, struct err *e)
{
    int rc;

    if (!(x->sha = EVP_MD_CTX_new()) || EVP_DigestInit_ex(x->sha, EVP_sha256(), NULL) != 1)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    if ((rc = cache_room(&b->cache, x->size, x->name, in_use, b, e)) < 0)
        return rc;
    return cache_create_part(&b->cache, x->hex, &x->fd, e);
}

void blobs_want(struct blobs *b, uint32_t lane, const uint8_t digest[WIRE_DIGEST], uint64_t size, const char *name)
{
    struct user *u = calloc(1, sizeof(*u));
    struct blob *x = find(b, digest);
    struct err e = { 0 };

    if (!u || (!x && !(x = add(b, digest, size, name)))) {
        free(u);
        b->ops.failed(b->ops.ctx, lane, BFORK_ENOMEM, "fetch", "out of memory");
        return;
    }
    u->lane = lane;
    list_push_back(&x->users, &u->node);
    if (x->there && !cache_has(&b->cache, x->hex))
        x->there = false;       /* somebody has emptied the directory */
    if (!x->there && x->fd < 0)
        x->there = cache_verify(&b->cache, x->hex, x->digest);
    if (x->there)
        tell(b, x, lane);
    else if (x->fd < 0 && begin(b, x, &e) < 0)
        fail_err(b, x, &e);
}

/* All of it is there: is it what it should be? */
static void complete(struct blobs *b, struct blob *x)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    struct err e = { 0 };

    if (EVP_DigestFinal_ex(x->sha, digest, &n) != 1 || n != WIRE_DIGEST || memcmp(digest, x->digest, WIRE_DIGEST) != 0) {
        char text[600];

        snprintf(text, sizeof(text), "%s is not what the client announced: its SHA-256 is not %s; it is not run", x->name, x->hex);
        fail(b, x, BFORK_REFUSED, text);
        return;
    }
    if (cache_commit_part(&b->cache, x->hex, &x->fd, &e) < 0) {
        fail_err(b, x, &e);
        return;
    }
    stop_fetch(b, x);
    x->there = true;
    for (LIST_EACH(&x->users, m))
        tell(b, x, LIST_ENTRY(m, struct user, node)->lane);
}

static void piece(struct blobs *b, struct blob *x, const struct wire_msg *m)
{
    struct err e = { 0 };
    const struct slice *body = &m->body;

    if (x->size == 0)
        x->size = m->u.blob.total;
    if (m->u.blob.offset != x->got || m->u.blob.total != x->size || body->size == 0 || body->size > x->size - x->got) {
        fail(b, x, BFORK_EPROTOCOL, "the broker sent another piece of the program than it was asked for");
        return;
    }
    if (cache_write_part(&b->cache, x->fd, body->data, body->size, x->got, &e) < 0) {
        fail_err(b, x, &e);
        return;
    }
    if (EVP_DigestUpdate(x->sha, body->data, body->size) != 1) {
        fail(b, x, BFORK_ENOMEM, "out of memory");
        return;
    }
    x->got += body->size;
    if (x->got == x->size)
        complete(b, x);
    else if (x->in_flight == 0)
        x->asked = x->got;      /* a short piece: ask for the rest */
}

void blobs_message(struct blobs *b, const struct wire_msg *m)
{
    struct blob *x = m->u.blob.digest.n == WIRE_DIGEST ? find(b, m->u.blob.digest.p) : NULL;

    if (!x || !x->in_flight)
        return;                 /* of a lane that is gone */
    x->in_flight--;
    b->in_flight--;
    if (m->type == WIRE_BLOB_PIECE) {
        piece(b, x, m);
    } else if (m->type == WIRE_BLOB_NONE) {
        char text[600];

        snprintf(text, sizeof(text), "%s cannot be fetched: %.*s", x->name, (int)m->u.blob.text.n,
                 m->u.blob.text.n ? m->u.blob.text.p : "");
        fail(b, x, BFORK_REFUSED, text);
    }
}

void blobs_online(struct blobs *b, bool online)
{
    b->online = online;
    for (LIST_EACH(&b->all, n)) {
        struct blob *x = LIST_ENTRY(n, struct blob, node);

        b->in_flight -= x->in_flight;
        x->in_flight = 0;
        x->asked = x->got;
    }
}

void blobs_step(struct blobs *b)
{
    if (!b->online)
        return;
    forget_users(b);
    for (LIST_EACH(&b->all, n)) {
        struct blob *x = LIST_ENTRY(n, struct blob, node);

        while (x->fd >= 0 && b->in_flight < IN_FLIGHT && (x->size ? x->asked < x->size : x->in_flight == 0)) {
            struct wire_msg m = { .type = WIRE_BLOB_GET };
            uint64_t left = x->size ? x->size - x->asked : WIRE_PIECE_MAX;

            m.u.blob.digest = wire_bin_of(x->digest, WIRE_DIGEST);
            m.u.blob.offset = x->asked;
            m.u.blob.size = left < WIRE_PIECE_MAX ? (uint32_t)left : WIRE_PIECE_MAX;
            x->asked += m.u.blob.size;
            x->in_flight++;
            b->in_flight++;
            b->ops.send(b->ops.ctx, &m);
        }
    }
}

uint64_t blobs_bytes(const struct blobs *b)
{
    return b->cache.bytes;
}
