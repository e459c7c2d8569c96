/* SPDX-License-Identifier: MPL-2.0
 * connection.c - the state of a session's connection, and the only place that changes it.
 *
 * A link tells of a connection made only when there is none; that it is cut it may tell twice. What a broker can bring about, a
 * second WELCOME, changes nothing. A session that was refused for good stays so, whatever its link does after that.
 */
#include "model.h"
#include "base/moves.h"

static const char *const session_states[] = { "down", "greeting", "up", "failed" };
static const char *const session_events[] = { "connected", "welcomed", "cut", "refused" };
static const uint8_t session_cells[SESSION_STATES][SESSION_EVENTS] = {
    [SESSION_DOWN] = { [SESSION_CONNECTED] = TO(SESSION_GREETING), [SESSION_CUT] = MOVES_LATE },
    [SESSION_GREETING] = { [SESSION_WELCOMED] = TO(SESSION_UP),
                           [SESSION_CUT] = TO(SESSION_DOWN),
                           [SESSION_REFUSED] = TO(SESSION_FAILED) },
    [SESSION_UP] = { [SESSION_WELCOMED] = MOVES_LATE,
                     [SESSION_CUT] = TO(SESSION_DOWN),
                     [SESSION_REFUSED] = TO(SESSION_FAILED) },
    [SESSION_FAILED] = { [SESSION_CONNECTED] = MOVES_LATE, [SESSION_CUT] = MOVES_LATE },
};
static const struct moves session_moves = MOVES("the connection of a session", session_states, session_events, session_cells);

bool ses_connection_move(struct session *s, enum session_event event)
{
    unsigned to;

    if (!moves_next(&session_moves, s->state, event, &to))
        return false;
    s->state = (enum session_state)to;
    return true;
}
