/* SPDX-License-Identifier: MPL-2.0 */
/* program.h - names of functions in a program, for another process that runs the same program. */
#ifndef INTEROP_PROGRAM_H
#define INTEROP_PROGRAM_H

#include "wire.h"

void layout_of(const uint64_t (*headers)[7], size_t count, uint8_t layout[32]);
/* Writes the document fn of a function of a 64-bit program; false: it has no such symbol. */
bool elf_function(struct span file, const char *name, struct map *fn);

#endif
