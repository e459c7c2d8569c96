/* SPDX-License-Identifier: MPL-2.0
 * value.h - MessagePack values to and from C: what bfork_arg and bfork_ref mean on the wire. A task's arguments and its results are
 * one MessagePack array. Used by both ends of a call; knows nothing of messages.
 */
#ifndef WIRE_VALUE_H
#define WIRE_VALUE_H

#include "base/err.h"
#include "bfork.h"

#include <stdbool.h>

/* Size of the array of n values; 0: a value cannot travel (e says which and why). */
size_t value_size(const bfork_arg *args, size_t n, struct err *e);
/* Writes exactly value_size() bytes. */
void value_pack(const bfork_arg *args, size_t n, uint8_t *out);

/* Reads an array of exactly n values into refs, with range checks. Bytes are lent, pointing into p; strings are NUL-ended copies
 * from alloc (NULL from it: BFORK_ENOMEM). Conversions: integers into any integer or real place that holds them exactly, 0 and 1
 * into bool, doubles into float rounded, nil into a string as NULL; nothing else. Reading twice gives the same. 0, or
 * BFORK_MISMATCH with a text that shows both sides
 * ("sent (str, int), asked for (int *, int *)"; then all refs are zeroed), or BFORK_EPROTOCOL if p is not well-formed. */
int value_unpack(const uint8_t *p, size_t size, const bfork_ref *refs, size_t n, void *(*alloc)(void *ctx, size_t size), void *ctx,
                 struct err *e);

/* Is p one well-formed MessagePack value, nested at most 32 deep? */
bool value_is_sound(const void *p, size_t size);
#endif
