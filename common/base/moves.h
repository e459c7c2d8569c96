/* SPDX-License-Identifier: MPL-2.0
 * moves.h - states change by tables: for each state of a thing and each event, the state that follows. A part has one table and one
 * function that moves for each thing with states; nothing else writes the state.
 *
 * A cell that is not written is an event that cannot be: a fault of ours, so the program ends and says which cell it was. What
 * peers bring about never asserts, so whatever a peer may do has a cell. MOVES_LATE is for what comes too late or twice, which is
 * normal life.
 *
 *     static const uint8_t lamp_cells[LAMP_STATES][LAMP_EVENTS] = {
 *         [LAMP_OFF] = { [LAMP_PRESS] = TO(LAMP_ON) },
 *         [LAMP_ON] = { [LAMP_PRESS] = TO(LAMP_OFF), [LAMP_ALARM] = MOVES_LATE },
 *     };
 *     static const struct moves lamp_moves = MOVES("a lamp", lamp_states, lamp_events, lamp_cells);
 */
#ifndef BASE_MOVES_H
#define BASE_MOVES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MOVES_LATE 0xffu
#define TO(state) ((uint8_t)((state) + 1))      /* a cell: this state follows; the same one: it stays as it is */

struct moves {
    const char *what;                   /* for the text of a fault: "a lamp" */
    const char *const *states, *const *events;
    const uint8_t *cells;               /* a row for each state, a column for each event */
    uint8_t n_states, n_events;
};

#define MOVES(what_, states_, events_, cells_)                                                                                   \
    {                                                                                                                            \
        .what = (what_), .states = (states_), .events = (events_), .cells = &(cells_)[0][0],                                     \
        .n_states = sizeof(cells_) / sizeof((cells_)[0]), .n_events = sizeof((cells_)[0]),                                       \
    }

/* Says on stderr which cell is not there, and aborts. */
_Noreturn void moves_impossible(const struct moves *m, unsigned from, unsigned event);

/* Sets *to to the state that follows `from` on this event and returns true; returns false, with *to as it was, if the event comes
 * too late. */
static inline bool moves_next(const struct moves *m, unsigned from, unsigned event, unsigned *to)
{
    uint8_t cell;

    if (from >= m->n_states || event >= m->n_events || !(cell = m->cells[from * m->n_events + event]))
        moves_impossible(m, from, event);
    if (cell == MOVES_LATE)
        return false;
    *to = cell - 1u;
    return true;
}

#endif
