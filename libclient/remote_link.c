/* SPDX-License-Identifier: MPL-2.0
 * remote_link.c - the link to a broker: connects, backs off, connects again, brings messages to the session's core and sends its
 * own; hands out this program's file in pieces when the broker asks for it. The transport comes from libbfork-remote, loaded here.
 *
 * States   waiting (until `again`) -> connecting -> up -> waiting …; failed (for good)
 * Failures never connected within connect_limit: failed, saying what was tried
 *          key refused, wrong broker key, other version: failed at once
 *          cut later: tried again for RECONNECT_LIMIT with back-off; work goes on where it was (core/session.h)
 *
 * Limits are of time spent on trying: a program that computes between two calls gives the link no turns, and that does not count.
 */
#include "link.h"

#include "base/clock.h"
#include "base/moves.h"
#include "bfork.h"
#include "exec/object.h"
#include "remote/transport.h"
#include "wire/times.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BACKOFF_FIRST (TIME_CLIENT_FIRST_MS * CLOCK_MS)
#define BACKOFF_MOST (TIME_CLIENT_RETRY_MS * CLOCK_MS)
#define RECONNECT_LIMIT (TIME_CLIENT_GIVE_UP_MS * CLOCK_MS)
#define REMOTE_OBJECT "libbfork-remote.so.0"
#define RECV_TURN 256               /* messages a turn */
#define LOOK_EVERY CLOCK_SEC        /* while it connects: who waits gives it a turn as often */

#pragma weak bfork_remote_transport /* there in a static program, else loaded */

enum remote_state { REMOTE_WAITING, REMOTE_CONNECTING, REMOTE_UP, REMOTE_FAILED, REMOTE_STATES };
enum remote_event { REMOTE_TRIED, REMOTE_WELCOMED, REMOTE_LOST, REMOTE_REFUSED, REMOTE_EVENTS };

struct remote {
    struct link link;
    const struct transport_table *table;
    void *object;                   /* of dlopen */
    struct transport *transport;
    struct session *core;
    struct link_events events;
    enum remote_state state;
    uint64_t again, backoff, give_up, connect_limit;
    uint64_t since;                 /* not connected: the first try, or when it was cut */
    uint64_t looked;                /* the last turn */
    int program_fd;
    uint8_t program_digest[WIRE_DIGEST];
    uint64_t program_size;
    struct err why;                 /* of the last failed connection */
    char text[1200];
    struct wire_item items[WIRE_ITEMS_MAX];
};

static const char *const remote_states[] = { "waiting", "connecting", "up", "failed" };
static const char *const remote_events[] = { "tried", "welcomed", "lost", "refused" };
static const uint8_t remote_cells[REMOTE_STATES][REMOTE_EVENTS] = {
    /* Lost while it waits: the transport could not even begin. */
    [REMOTE_WAITING] = { [REMOTE_TRIED] = TO(REMOTE_CONNECTING),
                         [REMOTE_LOST] = TO(REMOTE_WAITING),
                         [REMOTE_REFUSED] = TO(REMOTE_FAILED) },
    [REMOTE_CONNECTING] = { [REMOTE_WELCOMED] = TO(REMOTE_UP),
                            [REMOTE_LOST] = TO(REMOTE_WAITING),
                            [REMOTE_REFUSED] = TO(REMOTE_FAILED) },
    [REMOTE_UP] = { [REMOTE_LOST] = TO(REMOTE_WAITING), [REMOTE_REFUSED] = TO(REMOTE_FAILED) },
    [REMOTE_FAILED] = { [REMOTE_LOST] = MOVES_LATE },
};
static const struct moves remote_moves = MOVES("the link to a broker", remote_states, remote_events, remote_cells);

static bool move_remote(struct remote *r, enum remote_event event)
{
    unsigned to;

    if (!moves_next(&remote_moves, r->state, event, &to))
        return false;
    r->state = (enum remote_state)to;
    return true;
}

static void fail_link(struct remote *r, int code, const char *text)
{
    move_remote(r, REMOTE_REFUSED);
    r->table->disconnect(r->transport);
    r->events.failed(r->events.ctx, code, text);
}

static void start_trying(struct remote *r, uint64_t now, uint64_t limit)
{
    r->since = now;
    r->give_up = now + limit;
}

static double tried_for(const struct remote *r, uint64_t now)
{
    return (double)(now - r->since) / (double)CLOCK_SEC;
}

static void link_lost(struct remote *r, uint64_t now)
{
    const enum remote_state before = r->state;
    if (before == REMOTE_UP || before == REMOTE_CONNECTING)
        session_disconnected(r->core, now);
    r->table->disconnect(r->transport);
    if (!move_remote(r, REMOTE_LOST))
        return;
    if (before == REMOTE_UP)
        start_trying(r, now, r->connect_limit > RECONNECT_LIMIT ? r->connect_limit : RECONNECT_LIMIT);
    uint64_t jitter = (uint64_t)(uintptr_t)r * 2654435761u ^ now;
    r->again = now + r->backoff / 2 + jitter % (r->backoff / 2 + 1);
    r->backoff = r->backoff * 2 < BACKOFF_MOST ? r->backoff * 2 : BACKOFF_MOST;
}

static uint64_t remote_deadline(struct link *l);

static void pause_ends(struct remote *r, uint64_t now)
{
    uint64_t due = remote_deadline(&r->link), late = now > due ? now - due : 0;
    if (r->state != REMOTE_UP) {
        r->since += late;
        r->give_up += late;
    }
    r->looked = now;
}

static bool reconnects(struct remote *r, uint64_t now)
{
    if (r->state != REMOTE_WAITING || now < r->again)
        return false;
    if (now >= r->give_up) {
        snprintf(r->text, sizeof(r->text), "broker %s: %s (tried for %.0f s)", r->table->endpoint(r->transport),
                 r->why.code ? r->why.text : "no answer", tried_for(r, now));
        fail_link(r, BFORK_EUNREACHABLE, r->text);
        return true;
    }
    if (r->table->connect(r->transport, &r->why) != 0) {
        if (r->why.code == BFORK_EINVAL || r->why.code == BFORK_EKEY)
            fail_link(r, r->why.code, r->why.text);
        else
            link_lost(r, now);
        return true;
    }
    move_remote(r, REMOTE_TRIED);
    session_connected(r->core, now);
    return true;
}

static bool watch_state(struct remote *r, uint64_t now)
{
    struct err e = { 0 };
    if (r->state != REMOTE_CONNECTING && r->state != REMOTE_UP)
        return false;
    switch (r->table->state(r->transport, &e)) {
    case TRANSPORT_UP:
        if (r->state == REMOTE_UP || !session_is_up(r->core))
            return false;
        move_remote(r, REMOTE_WELCOMED);
        r->backoff = BACKOFF_FIRST;
        return true;
    case TRANSPORT_CONNECTING:
        if (now < r->give_up)
            return false;
        r->why = (struct err){ .code = 0 };
        snprintf(r->text, sizeof(r->text), "broker %s does not answer (tried for %.0f s): is it running, and is the port open?",
                 r->table->endpoint(r->transport), tried_for(r, now));
        fail_link(r, BFORK_EUNREACHABLE, r->text);
        return true;
    default:
        r->why = e;
        if (e.code == BFORK_EDENIED) {      /* refused, or revoked meanwhile: trying again is of no use */
            fail_link(r, BFORK_EDENIED, e.text);
            return true;
        }
        link_lost(r, now);
        return true;
    }
}

/* The broker pulls our program: a piece for each BLOB_GET. */
static void give_blob(struct remote *r, const struct wire_blob *asked, uint32_t request)
{
    struct wire_msg m = { .type = WIRE_BLOB_NONE, .request = request, .u.blob = *asked };
    uint32_t size = asked->size && asked->size < WIRE_PIECE_MAX ? asked->size : WIRE_PIECE_MAX;
    struct buf *piece = NULL;
    if (r->program_fd < 0 || asked->digest.n != WIRE_DIGEST || memcmp(asked->digest.p, r->program_digest, WIRE_DIGEST) != 0) {
        m.u.blob.text = WIRE_STR("this client has no such blob");
    } else if (asked->offset >= r->program_size || !(piece = buf_new(size))) {
        m.u.blob.text = WIRE_STR("no such piece");
    } else {
        ssize_t n = pread(r->program_fd, piece->data, size, (off_t)asked->offset);
        if (n > 0) {
            piece->size = (size_t)n;
            m.type = WIRE_BLOB_PIECE;
            m.u.blob.total = r->program_size;
            m.u.blob.size = (uint32_t)n;
            m.body = slice_of(piece, 0, (size_t)n);
        } else {
            m.u.blob.text = WIRE_STR("the program's file cannot be read any more");
        }
    }
    r->table->send(r->transport, &m);       /* a broken connection shows in the next turn */
    buf_unref(&piece);
}

/* It is there, but has no place for us, and says why. */
static void try_later(struct remote *r, uint64_t now, const struct wire_error_head *said)
{
    err_set(&r->why, BFORK_EUNREACHABLE, "the broker %s has no place for this connection: %.*s; trying again",
            r->table->endpoint(r->transport), (int)said->text.n, said->text.p);
    link_lost(r, now);
}

static bool receives(struct remote *r, uint64_t now)
{
    bool any = false;
    for (int i = 0; i < RECV_TURN && (r->state == REMOTE_CONNECTING || r->state == REMOTE_UP); i++) {
        struct wire_msg m;
        struct buf *frame = NULL;
        struct err e;
        int got = r->table->recv(r->transport, r->items, &m, &frame, &e);
        if (got == 0)
            break;
        any = true;
        if (got < 0) {
            r->why = e;
            link_lost(r, now);
            break;
        }
        if (m.type == WIRE_BLOB_GET)
            give_blob(r, &m.u.blob, m.request);
        else if (m.type == WIRE_RESET && m.u.error.code == BFORK_EAGAIN)
            try_later(r, now, &m.u.error);
        else
            session_recv(r->core, now, &m);
        buf_unref(&frame);
    }
    return any;
}

/* Performs the core's effects; false: the connection is gone. */
static bool performs(struct remote *r, uint64_t now)
{
    size_t n;
    bool ok = true;
    const struct session_effect *e = session_effects(r->core, &n);
    for (size_t i = 0; i < n && ok; i++) {
        if (e[i].type == SESSION_SEND) {
            ok = r->table->send(r->transport, &e[i].msg) == 0;
        } else {
            err_set(&r->why, BFORK_EUNREACHABLE, "%s", e[i].text);
            ok = false;
        }
    }
    session_effects_done(r->core);
    if (!ok)
        link_lost(r, now);
    return ok;
}

static bool remote_pump(struct link *l, uint64_t now)
{
    struct remote *r = (struct remote *)l;
    struct err e;
    bool any = false, more = true;
    if (r->state == REMOTE_FAILED)
        return false;
    pause_ends(r, now);
    while (more) {
        more = false;
        if (r->table->step(r->transport, &e) < 0) {
            fail_link(r, e.code, e.text);
            return true;
        }
        more |= reconnects(r, now);
        more |= receives(r, now);
        more |= watch_state(r, now);
        if (r->state != REMOTE_CONNECTING && r->state != REMOTE_UP)
            return any || more;
        session_tick(r->core, now);
        more |= session_flush(r->core, now);
        if (!performs(r, now))
            return true;
        any |= more;
    }
    return any;
}

static int remote_fd(struct link *l)
{
    struct remote *r = (struct remote *)l;
    return r->table->fd(r->transport);
}

static uint64_t remote_deadline(struct link *l)
{
    const struct remote *r = (const struct remote *)l;
    if (r->state == REMOTE_FAILED)
        return CLOCK_NEVER;
    if (r->state == REMOTE_WAITING)
        return r->again;
    uint64_t at = session_deadline(r->core), look = r->looked + LOOK_EVERY;
    if (r->state == REMOTE_UP)
        return at;
    look = r->give_up < look ? r->give_up : look;
    return look < at ? look : at;
}

static bool remote_arm(struct link *l, enum link_want want)
{
    struct remote *r = (struct remote *)l;
    (void)want;
    return r->state != REMOTE_FAILED && r->table->ready(r->transport);
}

static void remote_digest(struct link *l, const void *p, size_t n, uint8_t out[WIRE_DIGEST])
{
    ((struct remote *)l)->table->digest(p, n, out);
}

static int remote_program(struct link *l, uint8_t out[WIRE_DIGEST], uint64_t *ret_size, struct err *e)
{
    struct remote *r = (struct remote *)l;
    char path[1024];
    if (r->program_fd < 0) {
        int rc = exec_object_program(&r->program_fd, path, sizeof(path), e);
        if (rc == 0)
            rc = r->table->digest_file(r->program_fd, r->program_digest, &r->program_size, e);
        if (rc != 0)
            return rc;
    }
    memcpy(out, r->program_digest, WIRE_DIGEST);
    *ret_size = r->program_size;
    return 0;
}

/* Workers see to it themselves. */
static bool remote_ending(struct link *l)
{
    (void)l;
    return false;
}

static void remote_close(struct link *l)
{
    struct remote *r = (struct remote *)l;
    if (r->transport)
        r->table->close(&r->transport);
    if (r->program_fd >= 0)
        close(r->program_fd);
    free(r);                                /* the object stays loaded: its threads' last instructions may still run */
}

static const char *remote_trouble(struct link *l)
{
    struct remote *r = (struct remote *)l;
    const char *endpoint = r->table->endpoint(r->transport), *why = r->why.code ? r->why.text : "no answer yet";
    bool named = strstr(why, endpoint) != NULL;
    if (session_is_up(r->core))
        return "";
    snprintf(r->text, sizeof(r->text), "%s%s%s%s", named ? "" : "broker ", named ? "" : endpoint, named ? "" : ": ", why);
    return r->text;
}

static const struct link_ops remote_ops = { .trouble = remote_trouble,
                                            .pump = remote_pump,
                                            .fd = remote_fd,
                                            .deadline = remote_deadline,
                                            .arm = remote_arm,
                                            .ending = remote_ending,
                                            .close = remote_close,
                                            .digest = remote_digest,
                                            .program = remote_program };

/* From the folder libbfork itself is in: the two are of one version. */
static void *load_beside(void)
{
    char path[4096];
    Dl_info self;
    const char *slash = dladdr((void *)(uintptr_t)bfs_remote_link_open, &self) &&
        self.dli_fname ? strrchr(self.dli_fname, '/') : NULL;
    if (!slash || (size_t)(slash - self.dli_fname) + sizeof(REMOTE_OBJECT) + 1 > sizeof(path))
        return NULL;
    snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - self.dli_fname), self.dli_fname, REMOTE_OBJECT);
    return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

static int load_transport(struct remote *r, struct err *e)
{
    if (&bfork_remote_transport) {
        r->table = &bfork_remote_transport;
        return 0;
    }
    r->object = load_beside();
    if (!r->object)
        r->object = dlopen(REMOTE_OBJECT, RTLD_NOW | RTLD_LOCAL);
    if (!r->object)
        return err_set(e, BFORK_ENOTSUP, "brokers need " REMOTE_OBJECT ", which cannot be loaded: %s", dlerror());
    r->table = dlsym(r->object, "bfork_remote_transport");
    if (!r->table || strcmp(r->table->version, BF_VERSION) != 0)
        return err_set(e, BFORK_ENOTSUP,
                       "libbfork-remote.so.0 is version %s, libbfork is " BF_VERSION ": install both from one build",
                       r->table ? r->table->version : "unknown");
    return 0;
}

int bfs_remote_link_open(const struct remote_setup *setup, struct session *core, const struct link_events *events,
                         struct link **ret,
                         struct err *e)
{
    struct remote *r = calloc(1, sizeof(*r));
    if (!r)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    r->link.ops = &remote_ops;
    r->core = core;
    r->events = *events;
    r->program_fd = -1;
    r->backoff = BACKOFF_FIRST;
    r->connect_limit = (uint64_t)setup->connect_limit_ms * CLOCK_MS;
    r->again = clock_now();
    start_trying(r, r->again, r->connect_limit);
    int rc = load_transport(r, e);
    if (rc == 0)
        rc = r->table->open(setup->profile, setup->client_key, setup->admin, &r->transport, e);
    if (rc != 0) {
        free(r);
        return rc;
    }
    *ret = &r->link;
    return 0;
}
