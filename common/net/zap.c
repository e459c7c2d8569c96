/* SPDX-License-Identifier: MPL-2.0
 * zap.c - the authentication handler (ZAP 1.0, RFC 27): answers who may pass a handshake, by domain and key. Served by whoever
 * steps the net. It admits nobody by default; if its socket breaks, every further step fails, because libzmq without a handler
 * admits everybody.
 */
#include "zap.h"

#include "base/clock.h"
#include "base/log.h"
#include "bfork.h"
#include "keys.h"
#include "peers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ZAP_FRAMES 9        /* routing id, empty, version, request, domain, address, identity, mechanism, key */

int net_zap_start(struct net *n, struct err *e)
{
    void *socket;
    int rc;

    if (n->zap_dead)
        return err_set(e, BFORK_EPROTOCOL, "the authentication handler is dead");
    if (n->zap.socket)
        return 0;
    socket = zmq_socket(n->context, ZMQ_ROUTER);
    if (!socket)
        return err_set(e, BFORK_EPROTOCOL, "cannot make the authentication handler's socket: %s", zmq_strerror(errno));
    if (net_set_int(socket, ZMQ_LINGER, 0) != 0 || net_set_int(socket, ZMQ_RCVHWM, 0) != 0 ||
        net_set_int(socket, ZMQ_SNDHWM, 0) != 0 || zmq_bind(socket, NET_ZAP_ENDPOINT) != 0) {
        rc = err_set(e, BFORK_EPROTOCOL,
                     "cannot start the authentication handler at %s: %s. Without it everybody would be admitted, "
                     "so nothing is opened",
                     NET_ZAP_ENDPOINT, zmq_strerror(errno));
        zmq_close(socket);
        return rc;
    }
    rc = net_source_add(n, &n->zap, socket, e);
    if (rc < 0)
        zmq_close(socket);
    return rc;
}

/* All frames of one request. 1: got them (count may exceed ZAP_FRAMES, the rest is thrown away), 0: none, < 0: the socket is
 * broken. */
static int zap_recv(void *socket, zmq_msg_t frames[ZAP_FRAMES], size_t *ret_count)
{
    size_t count = 0;
    int more = 1;

    while (more) {
        zmq_msg_t rest, *into = count < ZAP_FRAMES ? &frames[count] : &rest;
        zmq_msg_init(into);
        while (zmq_msg_recv(into, socket, ZMQ_DONTWAIT) < 0) {
            if (errno == EINTR)
                continue;
            *ret_count = count < ZAP_FRAMES ? count + 1 : ZAP_FRAMES;
            return errno == EAGAIN && count == 0 ? 0 : -1;
        }
        more = zmq_msg_more(into);
        if (into == &rest)
            zmq_msg_close(&rest);
        count++;
    }
    *ret_count = count;
    return 1;
}

static bool zap_is(zmq_msg_t *f, const char *text)
{
    return zmq_msg_size(f) == strlen(text) && memcmp(zmq_msg_data(f), text, strlen(text)) == 0;
}

/* What an allowed key may do here again: as many handshakes at once as connections, and a part of that in each second. The numbers
 * of connections are 32 bits wide, and a handshake costs us more than most messages. Kept for allowed keys alone, so there are few.
 */
struct net_pace { uint64_t left_ns, told_ns, at; };

enum zap_pace { PACE_OK, PACE_TOLD, PACE_SILENT };

static bool pace_take(uint64_t *left, uint64_t passed, uint64_t cost, uint64_t most)
{
    *left = passed > most - *left ? most : *left + passed;
    if (*left < cost)
        return false;
    *left -= cost;
    return true;
}

/* Those that are too many are let in to be told so, but no more of them than of the others. */
static enum zap_pace zap_paced(struct net_listener *l, const uint8_t key[32])
{
    uint64_t now = clock_now(), burst = l->max_per_key > NET_PACE_LEAST ? l->max_per_key : NET_PACE_LEAST;
    uint64_t cost = CLOCK_SEC * NET_PACE_PART / burst, most = burst * cost, name;

    if (l->max_per_key == 0)
        return PACE_OK;
    memcpy(&name, key, sizeof(name));               /* two keys that begin alike share one pace */
    struct net_pace *p = map_get(&l->paces, name);
    if (!p) {
        p = calloc(1, sizeof(*p));
        if (!p || map_put(&l->paces, name, p) < 0) {
            free(p);
            return PACE_SILENT;
        }
        *p = (struct net_pace){ most, most, now };
    }
    uint64_t passed = now - p->at;
    p->at = now;
    if (pace_take(&p->left_ns, passed, cost, most))
        return PACE_OK;
    return pace_take(&p->told_ns, passed, cost, most) ? PACE_TOLD : PACE_SILENT;
}

static const char *zap_elsewhere(struct net *n, const struct net_listener *here, const uint8_t key[32])
{
    for (LIST_EACH(&n->listeners, node)) {
        const struct net_listener *l = LIST_ENTRY(node, struct net_listener, node);
        if (l != here && l->allow(l->allow_ctx, key))
            return l->domain;
    }
    return NULL;
}

/* The status of the answer: let in, not known, known at another door only, or (silently) not now. */
static const char *zap_admit(struct net *n, zmq_msg_t frames[ZAP_FRAMES], size_t count, char user_id[NET_KEY_TEXT], bool *ret_full)
{
    char text[NET_KEY_TEXT];
    const char *other;

    if (count != ZAP_FRAMES || !zap_is(&frames[2], "1.0") || !zap_is(&frames[7], "CURVE") || zmq_msg_size(&frames[8]) != 32)
        return "400";
    const uint8_t *key = zmq_msg_data(&frames[8]);
    for (LIST_EACH(&n->listeners, node)) {
        struct net_listener *l = LIST_ENTRY(node, struct net_listener, node);
        if (!zap_is(&frames[4], l->domain))
            continue;
        net_key_text(key, text);
        if (!l->allow(l->allow_ctx, key)) {
            l->counters.refused++;
            if (!(other = zap_elsewhere(n, l, key)))
                return "400";
            log_limited(LOG_NOTICE_, 'd', "event=wrong_door key=%s came_to=%s belongs_to=%s", text, l->domain, other);
            return NET_ZAP_ELSEWHERE;
        }
        enum zap_pace pace = zap_paced(l, key);
        if (pace == PACE_SILENT) {
            l->counters.over_cap++;
            log_limited(LOG_WARNING_, 'p', "event=too_many_handshakes key=%s at=%s", text, l->domain);
            return "300";
        }
        *ret_full = pace == PACE_TOLD;
        memcpy(user_id, text, sizeof(text));
        return "200";
    }
    return "400";
}

static int zap_send(void *socket, const void *data, size_t size, bool more)
{
    while (zmq_send(socket, data, size, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) < 0)
        if (errno != EINTR)
            return -1;
    return 0;
}

static int zap_answer(struct net *n, zmq_msg_t frames[ZAP_FRAMES], size_t count)
{
    static const char property[] = "\006" NET_FULL "\0\0\0\001" "1";       /* as in a ZMTP READY */
    char user_id[NET_KEY_TEXT] = "";
    bool full = false;
    const char *code = zap_admit(n, frames, count, user_id, &full), *text = user_id[0] ? "OK" : "not admitted";
    void *s = n->zap.socket;

    if (count < 4)
        return 0;       /* nothing to answer to: the handshake's own limit ends it */
    if (zap_send(s, zmq_msg_data(&frames[0]), zmq_msg_size(&frames[0]), true) < 0 || zap_send(s, "", 0, true) < 0 ||
        zap_send(s, "1.0", 3, true) < 0 || zap_send(s, zmq_msg_data(&frames[3]), zmq_msg_size(&frames[3]), true) < 0 ||
        zap_send(s, code, 3, true) < 0 || zap_send(s, text, strlen(text), true) < 0 ||
        zap_send(s, user_id, strlen(user_id), true) < 0 || zap_send(s, property, full ? sizeof(property) - 1 : 0, false) < 0)
        return -1;
    return 0;
}

int net_zap_serve(struct net *n, struct err *e)
{
    zmq_msg_t frames[ZAP_FRAMES];

    while (!n->zap_dead && n->zap.hot) {
        size_t count = 0;
        int rc = zap_recv(n->zap.socket, frames, &count);
        int failed = errno;
        if (rc > 0 && zap_answer(n, frames, count) < 0) {
            failed = errno;
            rc = -1;
        }
        for (size_t i = 0; i < count && i < ZAP_FRAMES; i++)
            zmq_msg_close(&frames[i]);
        if (rc == 0)
            n->zap.hot = false;
        if (rc < 0) {
            n->zap_dead = true;
            errno = failed;
        }
    }
    if (n->zap_dead)
        return err_set(e, BFORK_EPROTOCOL,
                       "the authentication handler failed (%s): without it everybody would be admitted. Stopping",
                       zmq_strerror(errno));
    return 0;
}
