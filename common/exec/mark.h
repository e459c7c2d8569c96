/* SPDX-License-Identifier: MPL-2.0
 * mark.h - what a task process writes into the pipe of its output behind what a task has printed, and its owner takes out again:
 * random bytes that the owner has put into the ring, and the number of the task. So the boundary between two tasks is exact, and
 * whatever else has written into the pipe stands on the right side of it.
 */
#ifndef EXEC_MARK_H
#define EXEC_MARK_H

#define MARK_NONCE 16u              /* the first byte is none that text has, the rest is random */
#define MARK_FIRST 0xf8u
#define MARK_SIZE (MARK_NONCE + 4u) /* then the task's sequence number in the ring, as this machine writes it */

#endif
