/* SPDX-License-Identifier: MPL-2.0
 * text.h - text from elsewhere that is shown to people: what could steer a terminal, or show a text as another one, is replaced.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Replaces by '?', byte for byte, so that the size stays: control characters (C0, DEL, C1), bytes that are no UTF-8, marks that
 * turn the direction of text, separators of lines. lines: newlines and tabs stay. */
void text_clean(char *text, size_t size, bool lines);

#endif
