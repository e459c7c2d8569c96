/* SPDX-License-Identifier: MPL-2.0
 * shell.c - the turns of the worker: drain, decide, flush; signals; sleep. Nothing in a turn waits.
 */
#include "shell.h"

#include "base/clock.h"
#include "base/least.h"
#include "base/log.h"
#include "bfork.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define STALL (500 * CLOCK_MS)

static void drain_messages(struct shell *s, uint64_t now)
{
    struct worker_counters c;

    worker_counters(s->core, &c);
    log_line(LOG_NOTICE_,
             "event=draining busy=%llu text=\"giving back what has not begun, finishing what runs; again: exit at once\"",
             (unsigned long long)c.busy);
    wsh_notify_stopping();
    s->draining = true;
    if (s->options->drain_ms)
        s->drain_until = now + (uint64_t)s->options->drain_ms * CLOCK_MS;
    worker_drain(s->core, now);
}

static void signals(struct shell *s, int signal_fd, uint64_t now)
{
    struct signalfd_siginfo si;

    while (read(signal_fd, &si, sizeof(si)) == sizeof(si)) {
        if (si.ssi_signo == SIGHUP) {
            log_line(LOG_NOTICE_, "event=hangup text=\"nothing to read again: keys and options need a restart\"");
        } else if (s->draining) {
            log_line(LOG_NOTICE_, "event=stopping text=\"second signal: leaving at once\"");
            s->stop = true;
        } else {
            drain_messages(s, now);
        }
    }
}

/* We did not run for a while: the broker is not charged for it. */
static void notice_stall(struct shell *s, uint64_t now)
{
    uint64_t expected = s->slept_until > s->last_turn ? s->slept_until : s->last_turn;

    if (s->last_turn && now > expected + STALL) {
        worker_stalled(s->core, expected, now);
        log_limited(LOG_INFO_, 's', "event=stalled ms=%llu", (unsigned long long)((now - expected) / CLOCK_MS));
    }
    s->last_turn = now;
    s->slept_until = 0;
}

static void perform_one(struct shell *s, uint64_t now, const struct worker_effect *e)
{
    if (lanes_perform(s->lanes, now, e))
        return;
    switch (e->type) {
    case WORKER_SEND:
        wsh_connection_send(s, &e->msg);
        return;
    case WORKER_RECONNECT:
        log_line(LOG_WARNING_, "event=reconnect text=\"%s\"", e->text);
        wsh_connection_break(s, e->text);
        return;
    case WORKER_LOG:
        if (e->whose)
            log_limited((enum log_level)e->level, e->whose, "%s", e->text);
        else
            log_line((enum log_level)e->level, "%s", e->text);
        return;
    case WORKER_STOPPED:
        log_line(LOG_NOTICE_, "event=drained text=\"nothing is held any more\"");
        s->stop = true;
        return;
    case WORKER_REFUSED:
        log_line(LOG_ERROR_, "%s", e->text);
        s->status = EXIT_REFUSED;
        s->stop = true;
        return;
    default:
        return;
    }
}

static void perform(struct shell *s, uint64_t now)
{
    size_t n;
    const struct worker_effect *e = worker_effects(s->core, &n);

    for (size_t k = 0; k < n; k++)
        perform_one(s, now, &e[k]);
    worker_effects_done(s->core);
}

static void notice_online(struct shell *s)
{
    bool online = worker_online(s->core) && s->link && !s->broken;
    char status[400];

    if (online == s->online)
        return;
    s->online = online;
    wsh_blobs_online(s->blobs, clock_now(), online);
    if (!online)
        return;
    net_retry_worked(&s->retry, clock_now());
    s->said[0] = 0;
    snprintf(status, sizeof(status), "joined %s with %u slots", s->settings->endpoint, s->settings->slots);
    log_line(LOG_NOTICE_, "event=joined broker=%s slots=%u name=%s", s->settings->endpoint, s->settings->slots, s->settings->name);
    wsh_notify_ready(status);
}

/* True: there may be more to do at once. */
static bool take_turn(struct shell *s, int signal_fd)
{
    uint64_t now = clock_now();
    struct err e = { 0 };
    bool more;

    notice_stall(s, now);
    if (net_step(s->net, &e) < 0) {
        log_line(LOG_ERROR_, "%s", e.text);
        s->stop = true;
        s->status = 1;
        return false;
    }
    signals(s, signal_fd, now);
    wsh_connection_step(s, now);
    more = wsh_connection_drain(s, now);
    lanes_step(s->lanes, now);
    if (worker_deadline(s->core) <= now)
        worker_tick(s->core, now);
    lanes_valid_until(s->lanes, worker_right_until(s->core));
    worker_flush(s->core, now);
    perform(s, now);
    notice_online(s);
    wsh_blobs_step(s->blobs, now);
    if (s->broken)
        wsh_connection_close(s, now);
    if (s->drain_until && now >= s->drain_until && !s->stop) {
        log_line(LOG_WARNING_, "event=drain_limit text=\"tasks that still run are killed; the broker runs them elsewhere\"");
        s->stop = true;
    }
    return more;
}

static void nap(struct shell *s, int signal_fd)
{
    struct pollfd p[3] = { { .fd = net_fd(s->net), .events = POLLIN }, { .fd = lanes_fd(s->lanes), .events = POLLIN },
                           { .fd = signal_fd, .events = POLLIN } };
    uint64_t until = least(worker_deadline(s->core), lanes_deadline(s->lanes)), now = clock_now();

    if (!s->link || s->retry.trying)
        until = least(until, net_retry_deadline(&s->retry));
    until = least(until, wsh_blobs_deadline(s->blobs));
    if (s->drain_until)
        until = least(until, s->drain_until);
    if (until <= now || lanes_arm(s->lanes, lanes_want(s->lanes)) || net_ready(s->net))
        return;
    s->slept_until = until == CLOCK_NEVER ? now : until;
    poll(p, 3, clock_poll_ms(now, until));
    if (s->slept_until == now || clock_now() < s->slept_until)
        s->slept_until = clock_now();       /* woken by an event */
}

/* What was sent last has a moment to leave: linger is 0. */
static void farewell(struct shell *s)
{
    uint64_t until = clock_now() + 300 * CLOCK_MS;
    struct err e = { 0 };

    while (s->link && s->link_up && clock_now() < until && net_step(s->net, &e) == 0 &&
           net_link_state(s->link, &e) == NET_LINK_UP) {
        struct pollfd p = { .fd = net_fd(s->net), .events = POLLIN };
        struct buf *frame = NULL;

        while (net_link_recv(s->link, &frame) > 0)
            buf_unref(&frame);
        if (!net_ready(s->net))
            poll(&p, 1, clock_poll_ms(clock_now(), until));
    }
}

int wsh_shell_run(struct shell *s, int signal_fd)
{
    while (!s->stop) {
        bool more = take_turn(s, signal_fd);

        if (!s->stop && !more)
            nap(s, signal_fd);
    }
    if (s->online)
        farewell(s);
    return s->status;
}
