/* SPDX-License-Identifier: MPL-2.0
 * function.c - which function is meant, as a document for the wire; found out once for each pointer and kept with the session.
 */
#include "client.h"

#include "exec/object.h"
#include "task/task.h"

#include <stdlib.h>
#include <string.h>

static struct known_function *keep_function(struct bfork_session *s, uint64_t key, const struct wire_fn *fn, const char *symbol,
                                            bool in_program)
{
    struct known_function *k = calloc(1, sizeof(*k));
    if (k) {
        k->doc = wire_fn_encode(fn);
        k->symbol = strdup(symbol);
        k->in_program = in_program;
    }
    if (!k || !k->doc || !k->symbol || map_put(&s->functions, key, k) != 0) {
        if (k)
            buf_unref(&k->doc);
        free(k ? k->symbol : NULL);
        free(k);
        bfs_error_set(BFORK_ENOMEM, "out of memory");
        return NULL;
    }
    return k;
}

static int by_pointer(struct bfork_session *s, void (*fn)(void), const struct known_function **ret)
{
    uint64_t key = (uint64_t)(uintptr_t)fn;
    struct object_fn found;
    struct err e;
    if ((*ret = map_get(&s->functions, key)))
        return 0;
    if (exec_object_function(fn, &found, &e) != 0)
        return bfs_error_from(&e);
    bool in_program = object_is_program(&found);
    if (in_program && !task_inited())
        return bfs_error_set(BFORK_ENOINIT, "the function is in this program, whose main has not called bfork_init(&argc, &argv): "
                             "make that its first line");
    if (found.fn.symbol.n == 0 && exec_object_symbol((const void *)(uintptr_t)fn, found.symbol, sizeof(found.symbol)))
        found.fn.symbol = WIRE_STR(found.symbol);
    *ret = keep_function(s, key, &found.fn, found.symbol, in_program || task_inited());
    return *ret ? 0 : BFORK_ENOMEM;
}

/* Commands: the words travel with each task. Symbols: object and name, looked up where the task runs. */
static int by_name(struct bfork_session *s, const bfork_function *f, const struct known_function **ret)
{
    const char *object = f->argv ? "" : f->object, *symbol = f->argv ? "command" : f->symbol;
    const struct wire_fn fn = { .kind = f->argv ? WIRE_FN_COMMAND : WIRE_FN_SYMBOL,
                                .object = WIRE_STR(object),
                                .symbol = WIRE_STR(symbol) };
    uint64_t key = map_hash_bytes(object, strlen(object)) ^ (map_hash_bytes(symbol, strlen(symbol)) << 1) ^ fn.kind;
    key |= 1ull << 63;                      /* apart from addresses */
    for (;; key++) {
        const struct known_function *k = map_get(&s->functions, key);
        struct wire_fn known;
        if (!k)
            break;
        if (wire_fn_decode(k->doc->data, k->doc->size, &known, NULL) == 0 && known.kind == fn.kind &&
            known.object.n == fn.object.n && (!fn.object.n || memcmp(known.object.p, object, fn.object.n) == 0) &&
            strcmp(k->symbol, symbol) == 0) {
            *ret = k;
            return 0;
        }
    }
    *ret = keep_function(s, key, &fn, symbol, false);
    return *ret ? 0 : BFORK_ENOMEM;
}

int bfs_function_of(struct bfork_session *s, const bfork_function *f, const struct known_function **ret)
{
    return f->fn ? by_pointer(s, f->fn, ret) : by_name(s, f, ret);
}

void bfs_function_free_all(struct bfork_session *s)
{
    uint64_t key;
    void *value;
    for (size_t i = 0; map_next(&s->functions, &i, &key, &value);) {
        struct known_function *k = value;
        buf_unref(&k->doc);
        free(k->symbol);
        free(k);
    }
    map_free(&s->functions);
}
