/* SPDX-License-Identifier: MPL-2.0
 * Blobs between made-up clients and workers: what is asked, what is served, and what is never served.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "bfork.h"
#include "blobs_internal.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORKER 100u
#define OTHER 101u
#define VICTIM 200u

struct sent { uint64_t peer, offset, total; uint8_t type; uint32_t request, size; char text[256]; uint8_t *bytes; size_t n; };

struct world {
    char folder[64];
    struct blobs *b;
    uint64_t now;
    uint64_t sources[8];        /* clients that have it, in order; 0 ends */
    bool may, room, also_victim;
    uint8_t owner;
    struct sent sent[256];
    size_t n_sent;
    uint8_t *data, digest[32];
    size_t size;
};

static int on_send(void *ctx, uint64_t peer, const struct wire_msg *m)
{
    struct world *w = ctx;
    struct sent *s = &w->sent[w->n_sent++];

    assert_true(w->n_sent < 256);
    memset(s, 0, sizeof(*s));
    s->peer = peer;
    s->type = m->type;
    s->request = m->request;
    s->offset = m->u.blob.offset;
    s->total = m->u.blob.total;
    s->size = m->u.blob.size;
    if (m->u.blob.text.n)
        snprintf(s->text, sizeof(s->text), "%.*s", (int)m->u.blob.text.n, m->u.blob.text.p);
    if (m->body.size) {
        s->bytes = malloc(m->body.size);
        memcpy(s->bytes, m->body.data, m->body.size);
        s->n = m->body.size;
    }
    return 0;
}

static bool on_room(void *ctx, uint64_t peer) { (void)peer; return ((struct world *)ctx)->room; }

/* The owner of what is asked for is w->owner; also_victim: and VICTIM. */
static bool on_owner(void *ctx, uint64_t worker, const uint8_t *digest, const uint8_t *after, uint8_t ret[WIRE_KEY])
{
    const struct world *w = ctx;

    (void)worker;
    (void)digest;
    if (!w->may || (after && (after[0] == VICTIM || !w->also_victim)))
        return false;
    memset(ret, 0, WIRE_KEY);
    ret[0] = after ? VICTIM : w->owner;
    return true;
}

/* A client's key is that of its first digit. */
static uint64_t on_source(void *ctx, const uint8_t *digest, uint64_t after, uint8_t ret_key[WIRE_KEY])
{
    struct world *w = ctx;
    size_t i = 0;

    (void)digest;
    if (after)
        while (w->sources[i] && w->sources[i++] != after)
            ;
    memset(ret_key, 0, WIRE_KEY);
    ret_key[0] = (uint8_t)(w->sources[i] < 10 ? w->sources[i] : w->sources[i] / 10);
    return w->sources[i];
}

static void init(struct world *w, size_t size, uint64_t bound)
{
    struct blobs_ops ops = { on_send, on_room, on_owner, on_source, w };
    struct err e = { 0, "" };
    unsigned n;

    memset(w, 0, sizeof(*w));
    strcpy(w->folder, "blobs.XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    if (bsh_blobs_new(w->folder, bound, &ops, &w->b, &e) != 0)
        fail_msg("%s", e.text);
    w->now = CLOCK_SEC;
    w->may = w->room = true;
    w->sources[0] = 1;
    w->size = size;
    w->data = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        w->data[i] = (uint8_t)(i * 7 + i / 251);
    EVP_Digest(w->data, size, w->digest, &n, EVP_sha256(), NULL);
}

static void forget(struct world *w)
{
    for (size_t i = 0; i < w->n_sent; i++)
        free(w->sent[i].bytes);
    w->n_sent = 0;
}

static void done(struct world *w)
{
    char command[128];

    assert_int_equal(w->b->counters.bytes >= 1 || w->b->counters.files == 0 || w->size == 0, 1);
    bsh_blobs_free(&w->b);
    forget(w);
    free(w->data);
    snprintf(command, sizeof(command), "rm -rf ./%s", w->folder);
    assert_int_equal(system(command), 0);
}

static void get(struct world *w, uint64_t worker, uint32_t request, uint64_t offset)
{
    struct wire_msg m = { .type = WIRE_BLOB_GET, .request = request };

    m.u.blob.digest = wire_bin_of(w->digest, 32);
    m.u.blob.offset = offset;
    bsh_blobs_get(w->b, w->now, worker, &m);
}

static void piece(struct world *w, uint64_t client, uint64_t offset, const uint8_t *bytes, size_t n, uint64_t total)
{
    struct wire_msg m = { .type = WIRE_BLOB_PIECE };

    m.u.blob.digest = wire_bin_of(w->digest, 32);
    m.u.blob.offset = offset;
    m.u.blob.total = total;
    m.body = slice_borrow(bytes, n);
    bsh_blobs_piece(w->b, w->now, client, &m);
}

/* Answers every BLOB_GET that client was sent, until nothing more is asked. Returns how many pieces that took. */
static size_t upload(struct world *w, uint64_t client)
{
    size_t pieces = 0;

    for (;;) {
        struct sent asked[64];
        size_t n = 0;
        bsh_blobs_step(w->b, w->now);
        for (size_t i = 0; i < w->n_sent; i++)
            if (w->sent[i].type == WIRE_BLOB_GET && w->sent[i].peer == client) {
                asked[n++] = w->sent[i];
                w->sent[i].type = 0;
            }
        if (n == 0)
            return pieces;
        assert_true(n <= BLOB_IN_FLIGHT);
        for (size_t i = 0; i < n; i++, pieces++) {
            size_t size = asked[i].size < w->size - asked[i].offset ? asked[i].size : w->size - asked[i].offset;
            piece(w, client, asked[i].offset, w->data + asked[i].offset, size, w->size);
        }
    }
}

static struct sent *answer(struct world *w, uint32_t request)
{
    for (size_t i = 0; i < w->n_sent; i++)
        if (w->sent[i].request == request && (w->sent[i].type == WIRE_BLOB_PIECE || w->sent[i].type == WIRE_BLOB_NONE))
            return &w->sent[i];
    return NULL;
}

static void says_none(struct world *w, uint32_t request, const char *word)
{
    struct sent *s = answer(w, request);

    assert_non_null(s);
    assert_int_equal(s->type, WIRE_BLOB_NONE);
    if (!strstr(s->text, word))
        fail_msg("\"%s\" is not in: %s", word, s->text);
}

static void one_upload_serves_everybody_who_waits(void **state)
{
    struct world w;
    (void)state;

    init(&w, 6 * WIRE_PIECE_MAX + 12345, 1u << 30);
    for (uint32_t i = 0; i < 7; i++)
        get(&w, WORKER, i + 1, (uint64_t)i * WIRE_PIECE_MAX);
    get(&w, OTHER, 8, 0);
    assert_int_equal(upload(&w, 1), 7);
    bsh_blobs_step(w.b, w.now);
    bsh_blobs_step(w.b, w.now);
    for (uint32_t i = 0; i < 7; i++) {
        struct sent *s = answer(&w, i + 1);
        assert_non_null(s);
        assert_int_equal(s->type, WIRE_BLOB_PIECE);
        assert_int_equal(s->total, w.size);
        assert_int_equal(s->n, i < 6 ? WIRE_PIECE_MAX : 12345);
        assert_memory_equal(s->bytes, w.data + s->offset, s->n);
    }
    assert_int_equal(answer(&w, 8)->peer, OTHER);
    assert_int_equal(w.b->counters.uploads, 1);
    get(&w, OTHER, 9, 5);                           /* later: from the file, nobody is asked */
    assert_int_equal(upload(&w, 1), 0);
    assert_int_equal(answer(&w, 9)->n, WIRE_PIECE_MAX);
    assert_int_equal(bsh_blobs_deadline(w.b, w.now), CLOCK_NEVER);
    get(&w, OTHER, 10, w.size + 1);
    bsh_blobs_step(w.b, w.now);
    says_none(&w, 10, "nothing at this offset");
    done(&w);
}

static void an_empty_blob_is_a_blob(void **state)
{
    struct world w;
    (void)state;

    init(&w, 0, 1u << 20);
    get(&w, WORKER, 1, 0);
    assert_int_equal(upload(&w, 1), 1);
    assert_int_equal(answer(&w, 1)->type, WIRE_BLOB_PIECE);
    assert_int_equal(answer(&w, 1)->n, 0);
    done(&w);
}

static void who_may_not_pull_gets_nothing(void **state)
{
    struct world w;
    (void)state;

    init(&w, 100, 1u << 20);
    w.may = false;
    get(&w, WORKER, 1, 0);
    bsh_blobs_step(w.b, w.now);
    says_none(&w, 1, "no pool");
    assert_int_equal(w.n_sent, 1);
    done(&w);
}

static void wrong_bytes_are_never_served(void **state)
{
    struct world w;
    (void)state;

    init(&w, 3000, 1u << 20);
    w.sources[1] = 2;
    get(&w, WORKER, 1, 0);
    bsh_blobs_step(w.b, w.now);
    assert_int_equal(w.sent[0].peer, 1);
    w.data[17] ^= 1;
    piece(&w, 1, 0, w.data, w.size, w.size);        /* the first client lies */
    w.data[17] ^= 1;
    bsh_blobs_step(w.b, w.now);
    assert_null(answer(&w, 1));
    assert_int_equal(w.sent[1].peer, 2);
    assert_int_equal(upload(&w, 2), 1);
    assert_memory_equal(answer(&w, 1)->bytes, w.data, w.size);
    assert_int_equal(w.b->counters.bad_pieces, 1);
    done(&w);
}

static void all_liars_end_in_a_text(void **state)
{
    struct world w;
    (void)state;

    init(&w, 3000, 1u << 20);
    get(&w, WORKER, 1, 0);
    for (int i = 0; i < 10 && !answer(&w, 1); i++) {
        bsh_blobs_step(w.b, w.now);
        piece(&w, 1, 0, (const uint8_t *)"not it", 6, 6);
    }
    says_none(&w, 1, "could deliver it whole");
    assert_int_equal(w.b->counters.fetching, 0);
    assert_int_equal(w.b->fetches.taken, 0);
    assert_int_equal(w.b->counters.bytes, 0);
    done(&w);
}

static void none(struct world *w, uint64_t client, const char *why)
{
    struct wire_msg m = { .type = WIRE_BLOB_NONE };

    m.u.blob.digest = wire_bin_of(w->digest, 32);
    m.u.blob.text = WIRE_STR(why);
    bsh_blobs_none(w->b, client, &m);
}

/* Its owner is told in the client's own words why it has the program not; others that wait for the same one are not. */
static void r09_why_a_client_has_not_a_program_is_told_to_its_owner(void **state)
{
    struct world w;
    (void)state;

    init(&w, 3000, 1u << 20);
    w.sources[1] = 2;
    w.owner = 1;
    get(&w, WORKER, 1, 0);
    w.owner = 3;
    get(&w, OTHER, 2, 0);
    for (int i = 0; i < 10 && !answer(&w, 1); i++) {
        bsh_blobs_step(w.b, w.now);
        none(&w, 1, "the program's \x1b file cannot be read any more");
        bsh_blobs_step(w.b, w.now);
        none(&w, 2, "as I like");
    }
    says_none(&w, 1, "its client says: the program's ? file cannot be read any more (no connected client could deliver it whole");
    says_none(&w, 2, "could deliver it whole: it is not there any more");
    assert_null(strstr(answer(&w, 1)->text, "as I like"));
    assert_null(strstr(answer(&w, 2)->text, "says"));
    done(&w);
}

static void a_client_that_leaves_is_replaced_or_missed(void **state)
{
    struct world w;
    (void)state;

    init(&w, 5 * WIRE_PIECE_MAX, 1u << 30);
    w.sources[1] = 2;
    get(&w, WORKER, 1, 0);
    bsh_blobs_step(w.b, w.now);
    piece(&w, 1, 0, w.data, WIRE_PIECE_MAX, w.size);
    w.sources[0] = 2;
    w.sources[1] = 0;
    bsh_blobs_lost(w.b, w.now, 1);
    w.sources[0] = 0;
    bsh_blobs_lost(w.b, w.now, 2);
    bsh_blobs_step(w.b, w.now);
    assert_null(answer(&w, 1));                     /* it may come back */
    w.now += WAIT_LIMIT + 1;
    bsh_blobs_step(w.b, w.now);
    assert_non_null(answer(&w, 1));
    assert_int_equal(answer(&w, 1)->type, WIRE_BLOB_NONE);
    assert_int_equal(w.b->fetches.taken, 0);
    done(&w);
}

static void a_client_that_comes_late_is_found(void **state)
{
    struct world w;
    (void)state;

    init(&w, 3000, 1u << 20);
    w.sources[0] = 0;
    get(&w, WORKER, 1, 0);
    bsh_blobs_step(w.b, w.now);
    assert_int_equal(w.n_sent, 0);
    assert_true(bsh_blobs_deadline(w.b, w.now) < w.now + CLOCK_SEC);
    w.sources[0] = 7;
    assert_int_equal(upload(&w, 7), 1);
    assert_int_equal(answer(&w, 1)->type, WIRE_BLOB_PIECE);
    done(&w);
}

static void a_client_that_is_silent_is_passed_over(void **state)
{
    struct world w;
    (void)state;

    init(&w, 3000, 1u << 20);
    w.sources[1] = 2;
    get(&w, WORKER, 1, 0);
    bsh_blobs_step(w.b, w.now);
    w.now += SOURCE_LIMIT + 1;
    assert_int_equal(upload(&w, 2), 1);
    assert_int_equal(answer(&w, 1)->type, WIRE_BLOB_PIECE);
    done(&w);
}

static void nothing_unasked_is_taken(void **state)
{
    struct world w;
    (void)state;

    init(&w, 3000, 1u << 20);
    piece(&w, 1, 0, w.data, w.size, w.size);
    get(&w, WORKER, 1, 0);
    bsh_blobs_step(w.b, w.now);
    piece(&w, 9, 0, w.data, w.size, w.size);        /* not the one that was asked */
    piece(&w, 1, 5, w.data, w.size, w.size);        /* not the offset */
    assert_int_equal(w.b->counters.bad_pieces, 3);
    piece(&w, 1, 0, w.data, w.size, w.size);
    bsh_blobs_step(w.b, w.now);
    assert_int_equal(answer(&w, 1)->type, WIRE_BLOB_PIECE);
    done(&w);
}

static void a_blob_over_the_bound_is_refused_and_old_ones_go(void **state)
{
    struct world w;
    (void)state;

    init(&w, 40000, 1u << 16);
    get(&w, WORKER, 1, 0);
    for (int i = 0; i < 10 && !answer(&w, 1); i++) {
        bsh_blobs_step(w.b, w.now);
        piece(&w, 1, 0, w.data, 100, 1u << 20);
    }
    says_none(&w, 1, "blob-cache");
    forget(&w);
    for (uint32_t i = 0; i < 3; i++) {              /* three of 40,000 bytes, 65,536 allowed */
        unsigned n;
        w.data[0] = (uint8_t)i;
        EVP_Digest(w.data, w.size, w.digest, &n, EVP_sha256(), NULL);
        get(&w, WORKER, i + 2, 0);
        assert_int_equal(upload(&w, 1), 1);
        assert_int_equal(answer(&w, i + 2)->type, WIRE_BLOB_PIECE);
        bsh_blobs_step(w.b, w.now);
    }
    assert_true(w.b->counters.bytes <= w.b->bound);
    assert_int_equal(w.b->counters.files, 1);
    done(&w);
}

static void a_worker_without_room_waits(void **state)
{
    struct world w;
    (void)state;

    init(&w, 3000, 1u << 20);
    w.room = false;
    get(&w, WORKER, 1, 0);
    upload(&w, 1);
    assert_null(answer(&w, 1));
    assert_true(bsh_blobs_deadline(w.b, w.now) != CLOCK_NEVER);
    w.room = true;
    bsh_blobs_step(w.b, w.now);
    assert_int_equal(answer(&w, 1)->type, WIRE_BLOB_PIECE);
    for (uint32_t i = 0; i <= WAITS_MAX; i++)
        get(&w, WORKER, 10 + i, 0);
    says_none(&w, 10 + WAITS_MAX, "too many");
    done(&w);
}

/* What comes behind a short piece is dropped, and it is asked on from the gap. */
static void short_pieces_are_asked_on_from_the_gap(void **state)
{
    struct world w;
    size_t n;
    (void)state;

    init(&w, 6 * WIRE_PIECE_MAX, 1u << 30);
    get(&w, WORKER, 1, 0);
    bsh_blobs_step(w.b, w.now);
    piece(&w, 1, 0, w.data, WIRE_PIECE_MAX, w.size);
    bsh_blobs_step(w.b, w.now);
    assert_int_equal(w.n_sent, 5);
    piece(&w, 1, WIRE_PIECE_MAX, w.data + WIRE_PIECE_MAX, 300000, w.size);
    for (size_t i = 2; i < 5; i++)
        piece(&w, 1, w.sent[i].offset, w.data + w.sent[i].offset, w.sent[i].size, w.size);
    n = w.n_sent;
    bsh_blobs_step(w.b, w.now);
    assert_true(w.n_sent > n);
    assert_int_equal(w.sent[n].offset, WIRE_PIECE_MAX + 300000);
    for (size_t i = n; i < w.n_sent; i++) {
        if (w.sent[i].type == WIRE_BLOB_GET)
            piece(&w, 1, w.sent[i].offset, w.data + w.sent[i].offset, w.sent[i].size, w.size);
        bsh_blobs_step(w.b, w.now);
    }
    assert_non_null(answer(&w, 1));
    assert_int_equal(answer(&w, 1)->type, WIRE_BLOB_PIECE);
    assert_memory_equal(answer(&w, 1)->bytes, w.data, WIRE_PIECE_MAX);
    done(&w);
}

/* Three hundred programs of one owner whose client never answers, and then one of another owner. */
static void r09_absent_programs_of_one_owner_hold_up_no_other(void **state)
{
    struct world w;
    uint8_t real[32];
    size_t n;
    (void)state;

    init(&w, 3000, 1u << 20);
    memcpy(real, w.digest, 32);
    for (uint32_t i = 0; i < 60; i++) {
        w.digest[0] = (uint8_t)(real[0] + 1 + i);
        get(&w, WORKER, 100 + i, 0);
        get(&w, OTHER, 200 + i, 0);
    }
    bsh_blobs_step(w.b, w.now);
    assert_int_equal(w.n_sent, FETCHES_OWNER);
    memcpy(w.digest, real, 32);
    w.owner = VICTIM;
    w.sources[0] = 2;
    n = w.n_sent;
    get(&w, WORKER, 1, 0);
    assert_int_equal(upload(&w, 2), 1);
    assert_true(w.n_sent > n);
    assert_int_equal(answer(&w, 1)->type, WIRE_BLOB_PIECE);
    assert_memory_equal(answer(&w, 1)->bytes, w.data, w.size);
    done(&w);
}

/* The attacker names the victim's program, and has no place left: it is fetched in the victim's. */
static void r09_a_blob_that_two_name_is_fetched_for_either(void **state)
{
    struct world w;
    uint8_t real[32];
    (void)state;

    init(&w, 3000, 1u << 20);
    memcpy(real, w.digest, 32);
    for (uint32_t i = 0; i < WAITS_MAX; i++) {
        w.digest[0] = (uint8_t)(real[0] + 1 + i);
        get(&w, WORKER, 100 + i, 0);
    }
    bsh_blobs_step(w.b, w.now);
    w.digest[0] = real[0];
    w.also_victim = true;
    w.sources[0] = 2;
    get(&w, WORKER, 1, 0);
    assert_int_equal(upload(&w, 2), 1);
    assert_int_equal(answer(&w, 1)->type, WIRE_BLOB_PIECE);
    done(&w);
}

/* Five connections of a client that says it has it, and nothing more; then, of another key, one that has. */
static void r09_a_bad_source_is_skipped_with_all_of_its_key(void **state)
{
    struct world w;
    (void)state;

    init(&w, 3000, 1u << 20);
    for (size_t i = 0; i < 5; i++)
        w.sources[i] = 10 + i;
    w.sources[5] = 2;
    get(&w, WORKER, 1, 0);
    bsh_blobs_step(w.b, w.now);
    assert_int_equal(w.sent[0].peer, 10);
    w.now += SOURCE_LIMIT + 1;
    assert_int_equal(upload(&w, 2), 1);
    assert_int_equal(answer(&w, 1)->type, WIRE_BLOB_PIECE);
    done(&w);
}

/* Whoever says that the victim's program is larger than anything may be: that is the end of it as a source, not of the program. */
static void r09_a_source_with_a_wrong_size_is_skipped(void **state)
{
    struct world w;
    (void)state;

    init(&w, 3000, 1u << 20);
    w.sources[1] = 2;
    get(&w, WORKER, 1, 0);
    bsh_blobs_step(w.b, w.now);
    piece(&w, 1, 0, w.data, 100, 1u << 30);
    assert_int_equal(upload(&w, 2), 1);
    assert_int_equal(answer(&w, 1)->type, WIRE_BLOB_PIECE);
    done(&w);
}

/* A byte now and then is no delivery. */
static void r09_a_source_that_trickles_is_skipped(void **state)
{
    struct world w;
    uint64_t at = 0;
    (void)state;

    init(&w, 300000, 1u << 20);
    w.sources[1] = 2;
    get(&w, WORKER, 1, 0);
    for (uint64_t end = w.now + SOURCE_LIMIT; w.now <= end; w.now += CLOCK_SEC) {
        bsh_blobs_step(w.b, w.now);
        piece(&w, 1, at, w.data + at, 1, w.size);
        at++;
    }
    w.now += CLOCK_SEC;
    bsh_blobs_step(w.b, w.now);
    assert_int_equal(upload(&w, 2), 1);
    assert_int_equal(answer(&w, 1)->type, WIRE_BLOB_PIECE);
    assert_memory_equal(answer(&w, 1)->bytes, w.data, w.size);
    done(&w);
}

static void the_folder_is_one_brokers_and_begins_empty(void **state)
{
    struct world w;
    struct blobs *second = NULL;
    struct err e = { 0, "" };
    char stale[256];
    (void)state;

    init(&w, 10, 1u << 20);
    assert_int_equal(bsh_blobs_new(w.folder, 1u << 20, &w.b->ops, &second, &e), BFORK_ESTATE);
    assert_null(second);
    struct blobs_ops ops = w.b->ops;
    bsh_blobs_free(&w.b);
    snprintf(stale, sizeof(stale), "%s/%064d.blob", w.folder, 0);
    FILE *f = fopen(stale, "w");
    assert_non_null(f);
    fputs("poison", f);
    fclose(f);
    assert_int_equal(bsh_blobs_new(w.folder, 1u << 20, &ops, &w.b, &e), 0);
    assert_int_not_equal(access(stale, F_OK), 0);
    done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_upload_serves_everybody_who_waits),
        cmocka_unit_test(an_empty_blob_is_a_blob),
        cmocka_unit_test(who_may_not_pull_gets_nothing),
        cmocka_unit_test(wrong_bytes_are_never_served),
        cmocka_unit_test(all_liars_end_in_a_text),
        cmocka_unit_test(a_client_that_leaves_is_replaced_or_missed),
        cmocka_unit_test(a_client_that_comes_late_is_found),
        cmocka_unit_test(a_client_that_is_silent_is_passed_over),
        cmocka_unit_test(nothing_unasked_is_taken),
        cmocka_unit_test(a_blob_over_the_bound_is_refused_and_old_ones_go),
        cmocka_unit_test(a_worker_without_room_waits),
        cmocka_unit_test(short_pieces_are_asked_on_from_the_gap),
        cmocka_unit_test(r09_absent_programs_of_one_owner_hold_up_no_other),
        cmocka_unit_test(r09_a_blob_that_two_name_is_fetched_for_either),
        cmocka_unit_test(r09_a_bad_source_is_skipped_with_all_of_its_key),
        cmocka_unit_test(r09_a_source_with_a_wrong_size_is_skipped),
        cmocka_unit_test(r09_a_source_that_trickles_is_skipped),
        cmocka_unit_test(r09_why_a_client_has_not_a_program_is_told_to_its_owner),
        cmocka_unit_test(the_folder_is_one_brokers_and_begins_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
