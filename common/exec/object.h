/* SPDX-License-Identifier: MPL-2.0
 * object.h - a C function pointer as (object, offset), and back. Linux-only inside: object_linux.c.
 *
 * An address is only accepted if it lies in an executable segment and is the start of a function, as far as the object's unwind
 * tables or dynamic symbols say. Pointers into the C library's own objects are refused: what memcpy is differs from processor to
 * processor.
 */
#ifndef EXEC_OBJECT_H
#define EXEC_OBJECT_H

#include "wire/wire.h"

typedef void object_pointer(void);

struct object_fn {                  /* fn's strings point into the struct: do not copy it by value */
    struct wire_fn fn;
    char object[1024], symbol[256];
    uint8_t build_id[64], layout[WIRE_DIGEST];
};

/* Names a function of this process. kind OFFSET; symbol "" if only the symbol table could say it (object_symbol). About a
 * microsecond; callers cache. 0, or BFORK_EINVAL. */
int object_function(object_pointer *pointer, struct object_fn *out, struct err *e);
/* Is it in the program itself (and not in a shared object)? Such a function needs bfork_init. */
static inline bool object_is_program(const struct object_fn *f) { return f->fn.object.n == 0; }
/* The function in this process; loads its object if need be. 0, or BFORK_REFUSED with a text that names what is missing or differs.
 */
int object_resolve(const struct wire_fn *fn, object_pointer **ret, struct err *e);
/* The name of the function at an address, static ones included (reads the file's symbol table: milliseconds). false: no name. */
bool object_symbol(const void *address, char *name, size_t size);

/* This process's program: a descriptor of the very file that runs (close-on-exec), and its path if it is still there ("" if not).
 * 0, or BFORK_ENOTSUP if it cannot be told (started through the dynamic loader and hidden). */
int object_program(int *ret_fd, char *path, size_t size, struct err *e);
#endif
