/* SPDX-License-Identifier: MPL-2.0
 * link.c - the connection to the broker: whether there is one, messages into it, its end; and the lease, which outlives it.
 * session.c knows what is said.
 */
#include "model/model.h"

#include "base/moves.h"

static const char *const link_states[] = { "DOWN", "HELLO", "UP" };
static const char *const link_events[] = { "CONNECTED", "WELCOME", "CUT" };

/* Both sides cut: the shell tells of a connection that is gone when the core has given it up already. A second WELCOME is the
 * broker's fault, which session.c answers. */
static const uint8_t link_cells[LINK_STATES][LINK_EVENTS] = {
    [LINK_DOWN] = { [LINK_CONNECTED] = TO(LINK_HELLO), [LINK_WELCOME] = MOVES_LATE, [LINK_CUT] = MOVES_LATE },
    [LINK_HELLO] = { [LINK_WELCOME] = TO(LINK_UP), [LINK_CUT] = TO(LINK_DOWN) },
    [LINK_UP] = { [LINK_WELCOME] = MOVES_LATE, [LINK_CUT] = TO(LINK_DOWN) },
};
static const struct moves link_moves = MOVES("the link to the broker", link_states, link_events, link_cells);

bool wrk_link_move(struct worker *w, enum link_event event)
{
    unsigned to;

    if (!moves_next(&link_moves, w->link, event, &to))
        return false;
    w->link = to;
    return true;
}

static const char *const lease_states[] = { "NONE", "HELD", "OUT" };
static const char *const lease_events[] = { "WELCOME", "PASS", "ANSWER" };

/* WELCOME does not end OUT: only what was sent behind HOLDING, and is answered, does. */
static const uint8_t lease_cells[LEASE_STATES][LEASE_EVENTS] = {
    [LEASE_NONE] = { [LEASE_WELCOME] = TO(LEASE_HELD), [LEASE_PASS] = TO(LEASE_OUT) },
    [LEASE_HELD] = { [LEASE_WELCOME] = TO(LEASE_HELD), [LEASE_PASS] = TO(LEASE_OUT), [LEASE_ANSWER] = TO(LEASE_HELD) },
    [LEASE_OUT] = { [LEASE_WELCOME] = TO(LEASE_OUT), [LEASE_PASS] = MOVES_LATE, [LEASE_ANSWER] = TO(LEASE_HELD) },
};
static const struct moves lease_moves = MOVES("the lease", lease_states, lease_events, lease_cells);

bool wrk_lease_move(struct worker *w, enum lease_event event)
{
    unsigned to;

    if (!moves_next(&lease_moves, w->lease, event, &to))
        return false;
    w->lease = to;
    return true;
}

struct wire_msg *wrk_link_send(struct worker *w, uint8_t type)
{
    struct worker_effect *e = wrk_effect_add(w, WORKER_SEND);

    e->msg.type = type;
    e->msg.ack = w->in_bytes;
    w->in_told = w->in_bytes;
    w->last_sent = w->now;
    return &e->msg;
}

void wrk_link_drop(struct worker *w, const char *why)
{
    if (!wrk_link_move(w, LINK_CUT))
        return;
    struct wire_str s = wrk_effect_str(w, why);
    struct worker_effect *e = wrk_effect_add(w, WORKER_RECONNECT);

    e->text = s.p;
}
