/* SPDX-License-Identifier: MPL-2.0
 * loop.c - the turns of the broker, and its signals. A turn is bounded; nothing in it waits.
 */
#include "loop.h"

#include "base/clock.h"
#include "base/log.h"
#include "bfork.h"
#include "input.h"
#include "orders.h"
#include "status.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

static int shell_send(struct shell *s, uint64_t peer, const struct wire_msg *m)
{
    struct flow_peer *p = bsh_flow_get(&s->flow, peer);
    int rc = p ? bsh_flow_send(p, m) : BFORK_EUNREACHABLE;
    char key[NET_KEY_TEXT];

    if (rc == 0 && flow_waiting(p) > p->limit)
        rc = BFORK_EAGAIN;
    if (rc == 0 || rc == BFORK_EUNREACHABLE)
        return rc;                      /* gone: its loss is reported by itself */
    s->counters.overrun++;
    net_key_text(p->key, key);
    log_limited(LOG_WARNING_, 'o', "event=cut role=%s key=%s text=\"%s\"", auth_role_names[p->role], key,
                rc == BFORK_EAGAIN ? "it takes no messages, beyond its window" : "a message could not be made for it");
    net_listener_cut(p->listener, peer);
    return rc;
}

static void shell_perform(struct shell *s)
{
    size_t n;
    const struct broker_effect *effects = broker_effects(s->core, &n);

    for (size_t i = 0; i < n; i++) {
        const struct broker_effect *f = &effects[i];
        struct flow_peer *p;
        char text[NET_KEY_TEXT];
        if (f->type == BROKER_SEND)
            shell_send(s, f->peer, &f->msg);
        else if (f->type == BROKER_LOG && f->key)
            log_limited_to(f->most, (enum log_level)f->level, f->whose, "key=\"%s\" text=\"%s\"",
                           bsh_shell_key_name(s, f->key, text),
                        f->text ? f->text : "");
        else if (f->type == BROKER_LOG)
            log_limited_to(f->most, (enum log_level)f->level, f->whose, "%s", f->text ? f->text : "");
        else if ((p = bsh_flow_get(&s->flow, f->peer))) {
            log_limited(LOG_INFO_, 'c', "event=cut role=%s text=\"%s\"", auth_role_names[p->role], f->text ? f->text : "");
            net_listener_cut(p->listener, f->peer);
        }
    }
    broker_effects_done(s->core);
}

/* What came through one listener. True: there may be more. */
static bool shell_drain_listener(struct shell *s, enum auth_role role, uint64_t now)
{
    struct net_listener *l = s->listeners[role];
    struct net_received r;
    struct err e = { 0, "" };
    uint64_t lost, until = clock_now() + SHELL_TURN_NS;
    bool over = false;
    int rc = 0;

    for (uint64_t n = 0; !over && (rc = net_listener_recv(l, &r, &e)) > 0;) {
        struct flow_peer *p = bsh_flow_get(&s->flow, r.peer);
        if (!p)
            p = bsh_flow_add(&s->flow, r.peer, role, l, r.key);
        if (p)
            bsh_shell_take(s, now, p, r.frame);
        else
            net_listener_cut(l, r.peer);
        buf_unref(&r.frame);
        over = ++n == SHELL_TURN || clock_now() >= until;
        s->counters.most_in_turn = n > s->counters.most_in_turn ? n : s->counters.most_in_turn;
    }
    if (rc == BFORK_ENOMEM) {
        log_limited(LOG_ERROR_, 'e', "event=out_of_memory text=\"%s\"", e.text);
    } else if (rc < 0) {
        log_line(LOG_ERROR_, "event=listener_broken text=\"%s\"", e.text);
        s->stop = true;
        s->status = 1;
    }
    while (net_listener_lost(l, &lost)) {
        broker_lost(s->core, now, lost);
        bsh_blobs_lost(s->blobs, now, lost);
        bsh_flow_remove(&s->flow, lost);
    }
    return over;
}

static void shell_answer_status(struct shell *s, uint64_t now)
{
    broker_peer peer;
    uint32_t request;
    char what[16];

    while (broker_status_wanted(s->core, &peer, &request, what)) {
        struct flow_peer *p = bsh_flow_get(&s->flow, peer);
        struct err e = { 0, "" };
        char *json = bsh_shell_status_known(what, &e)
            ? bsh_shell_status(s, now, what, p && p->role == AUTH_ADMIN ? NULL : p ? p->key : (const uint8_t[32]){ 0 }) : NULL;
        if (e.code)
            broker_status_refuse(s->core, peer, request, e.code, e.text);
        else
            broker_status_answer(s->core, peer, request, json ? json : "{}");
        free(json);
    }
}

static void shell_signals(struct shell *s, int signal_fd, uint64_t now)
{
    struct signalfd_siginfo si;

    while (read(signal_fd, &si, sizeof(si)) == sizeof(si)) {
        if (si.ssi_signo == SIGHUP) {
            bsh_shell_reload(s, now);
        } else if (s->drain_until) {
            log_line(LOG_NOTICE_, "event=stopping text=\"second signal: leaving at once\"");
            s->stop = true;
        } else {
            bsh_shell_drain(s, now);
        }
    }
}

/* We did not run for a while: nobody is charged for it. */
static void shell_notice_stall(struct shell *s, uint64_t now)
{
    uint64_t half = (uint64_t)s->options->heartbeat_ms * CLOCK_MS / 2;

    if (s->last_turn && now - s->last_turn > half) {
        s->counters.stalls++;
        broker_stalled(s->core, s->last_turn, now);
        log_limited(LOG_INFO_, 's', "event=stalled ms=%llu", (unsigned long long)((now - s->last_turn) / CLOCK_MS));
    }
    s->last_turn = now;
}

/* One turn. True: there may be more to do at once. */
static bool shell_turn(struct shell *s, int signal_fd)
{
    struct err e = { 0, "" };
    uint64_t now = clock_now();
    bool more = false;

    shell_notice_stall(s, now);
    if (net_step(s->net, &e) < 0) {
        log_line(LOG_ERROR_, "event=authentication_lost text=\"%s\"", e.text);
        s->stop = true;
        s->status = EXIT_AUTHENTICATION;
        return false;
    }
    more |= shell_drain_listener(s, AUTH_WORKER, now);
    more |= shell_drain_listener(s, AUTH_CLIENT, now);
    more |= shell_drain_listener(s, AUTH_ADMIN, now);
    shell_signals(s, signal_fd, now);
    if (broker_deadline(s->core) <= now)
        broker_tick(s->core, now);
    shell_answer_status(s, now);
    broker_flush(s->core, now);
    shell_perform(s);
    bsh_blobs_step(s->blobs, now);
    if (s->drain_until && (now >= s->drain_until || broker_idle(s->core))) {
        log_line(LOG_NOTICE_, "event=drained text=\"%s\"", broker_idle(s->core) ? "all work is done" : "the limit has passed");
        s->stop = true;
    }
    return more;
}

static void shell_sleep(struct shell *s, int signal_fd)
{
    struct pollfd p[2] = { { .fd = net_fd(s->net), .events = POLLIN }, { .fd = signal_fd, .events = POLLIN } };
    uint64_t now = clock_now(), until = broker_deadline(s->core), other = bsh_blobs_deadline(s->blobs, now);
    uint64_t pulse = now + (uint64_t)s->options->heartbeat_ms * CLOCK_MS / 4;     /* so that a longer gap is a stall */

    if (other < until)
        until = other;
    if (s->drain_until && s->drain_until < until)
        until = s->drain_until;
    if (pulse < until)
        until = pulse;
    if (until > now)
        poll(p, 2, clock_poll_ms(now, until));
}

/* What was sent last has a moment to leave: linger is 0. Ends as soon as every peer is gone. */
static void shell_farewell(struct shell *s)
{
    struct wire_msg bye = { .type = WIRE_BYE };
    uint64_t key, until = clock_now() + 300 * CLOCK_MS;
    struct err e;
    void *value;

    bye.u.error.code = BFORK_ECLOSED;
    bye.u.error.text = WIRE_STR("the broker is stopping");
    for (size_t i = 0; map_next(&s->flow.peers, &i, &key, &value);) {
        struct flow_peer *p = value;
        if (p->greeted)
            net_listener_send(p->listener, p->peer, &bye);
        net_listener_cut(p->listener, p->peer);
    }
    while (clock_now() < until && s->flow.peers.count > 0 && net_step(s->net, &e) == 0) {
        struct pollfd p = { .fd = net_fd(s->net), .events = POLLIN };
        for (int role = 0; role < AUTH_ROLES; role++) {
            struct net_received r;
            uint64_t lost;
            while (net_listener_recv(s->listeners[role], &r, &e) > 0)
                buf_unref(&r.frame);
            while (net_listener_lost(s->listeners[role], &lost))
                bsh_flow_remove(&s->flow, lost);
        }
        if (s->flow.peers.count > 0 && !net_ready(s->net))
            poll(&p, 1, clock_poll_ms(clock_now(), until));
    }
}

int bsh_shell_run(struct shell *s, int signal_fd)
{
    while (!s->stop) {
        bool more = shell_turn(s, signal_fd);
        if (!s->stop && !more && !net_ready(s->net))
            shell_sleep(s, signal_fd);
    }
    shell_farewell(s);
    return s->status;
}
