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

/* A program header, as the file has it. */
struct object_segment { uint64_t type, flags, offset, vaddr, filesz, memsz, align; };
/* fn.layout: no cryptographic digest, it tells builds apart and keeps nobody out. Described in docs/protocol.md, chapter 15. */
void exec_object_layout(const struct object_segment *s, size_t n, uint8_t out[WIRE_DIGEST]);

/* Names a function of this process. kind OFFSET; symbol "" if only the symbol table could say it (exec_object_symbol). About a
 * microsecond; callers cache. 0, or BFORK_EINVAL. */
int exec_object_function(object_pointer *pointer, struct object_fn *out, struct err *e);
/* Is it in the program itself (and not in a shared object)? Such a function needs bfork_init. */
static inline bool object_is_program(const struct object_fn *f) { return f->fn.object.n == 0; }
/* The function in this process; loads its object if need be. 0, or BFORK_REFUSED with a text that names what is missing or differs.
 */
int exec_object_resolve(const struct wire_fn *fn, object_pointer **ret, struct err *e);
/* The name of the function at an address, static ones included (reads the file's symbol table: milliseconds). false: no name. */
bool exec_object_symbol(const void *address, char *name, size_t size);

/* Memory that a loaded object writes to: from, to, and where what its file holds ends (behind that it began as zeros). */
struct object_part { uintptr_t from, to, file_end; };
struct object_data { const char *path; uintptr_t base; struct object_part parts[4]; size_t n; };    /* path: "" for the program */
/* Calls it for the program, then for each library but those of the system; path is lent for the call. Loads and unloads wait. */
void exec_object_each_data(void (*each)(void *ctx, const struct object_data *data), void *ctx);
/* Is it a library of the system, by its name? */
bool exec_object_is_system(const char *path);

/* This process's program: a descriptor of the very file that runs (close-on-exec), and its path if it is still there ("" if not).
 * 0, or BFORK_ENOTSUP if it cannot be told (started through the dynamic loader and hidden). */
int exec_object_program(int *ret_fd, char *path, size_t size, struct err *e);
#endif
