/* SPDX-License-Identifier: MPL-2.0 */
/* notation.h - MessagePack as a line of text, so that a frame with a mistake can stand in a table. */
#ifndef INTEROP_NOTATION_H
#define INTEROP_NOTATION_H

#include "wire.h"

/*  [a b c]         array                       {k v k v}   map
 *  12 -3           integers                    true        boolean
 *  'text'          str                         *N          str of N letters
 *  <4:1 8:0>       bin of little-endian numbers of so many bytes
 *  %N              bin of N zero bytes         #0a1b;      bin of these bytes
 *  !c1ff;          these bytes, as they are    $a .. $z    the bytes that names gives, as a bin; $A .. $Z their SHA-256
 *  '$NAME'         str that the environment gives
 *  (...)           bin of what is inside: a document      @(...)      bin of its SHA-256
 */
struct names { struct span of[26], digest[26]; };
void notation(const char *line, const struct names *names, buffer *to);

#endif
