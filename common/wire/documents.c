/* SPDX-License-Identifier: MPL-2.0
 * documents.c - the documents that travel inside messages as bytes: function, pool and job specification, outcome. The same kind of
 * table and the same two loops as heads. Rules for keys as in messages.c.
 */
#include "wire/fields.h"

#include "bfork.h"

#include <stddef.h>

#define REQ FIELD_REQUIRED
#define F(k, T, S, m, max, fl, text) { k, FIELD_##T, fl, 1, 0, offsetof(struct S, m), max, #m, text }
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct wire_field fn_fields[] = {
    F(1, U32, wire_fn, kind, 3, REQ, "0 none, 1 offset into an object, 2 symbol of an object, 3 command"),
    F(2, U64, wire_fn, offset, 0, 0, "OFFSET: from the object's load address"),
    F(3, STR, wire_fn, object, WIRE_TEXT_MAX, 0, "empty for the program itself; OFFSET: a soname; SYMBOL: path as given"),
    F(4, BIN, wire_fn, build_id, 64, 0, "OFFSET: of the object, if it has one"),
    F(5, BIN, wire_fn, layout, WIRE_DIGEST, FIELD_EXACT, "OFFSET: of the object's program headers, as below"),
    F(6, STR, wire_fn, symbol, WIRE_TEXT_MAX, 0, "SYMBOL: the name to look up; else for people"),
};

static const struct wire_field pool_spec_fields[] = {
    F(1, BIN, wire_pool_spec, program, WIRE_DIGEST, FIELD_EXACT,
      "SHA-256 of the executable, a blob; none: the worker's own runner"),
    F(2, U64, wire_pool_spec, program_size, 0, 0, "its bytes"),
    F(3, STR, wire_pool_spec, program_name, WIRE_TEXT_MAX, 0, "its file name"),
    F(4, STR, wire_pool_spec, arch, WIRE_NAME_MAX, 0, "what it runs on, as in HELLO"),
    F(5, BIN, wire_pool_spec, argv, 131072, 0, "NUL-separated; none: { program_name }"),
    F(6, BIN, wire_pool_spec, env, 131072, 0, "NUL-separated NAME=value"),
    F(7, BIN, wire_pool_spec, preload, WIRE_FN_MAX, 0, "document fn, run once for each template"),
    F(8, BIN, wire_pool_spec, initializer, WIRE_FN_MAX, 0, "document fn, run once for each task process"),
    F(9, BIN, wire_pool_spec, finalizer, WIRE_FN_MAX, 0, "document fn, run at the end of each task process"),
    F(10, BIN, wire_pool_spec, args, WIRE_SPEC_MAX, 0, "MessagePack array, the arguments of these three"),
    F(11, U32, wire_pool_spec, max_tasks, 0, 0, "tasks for each task process, then a fresh one; 0: no limit"),
    F(12, U64, wire_pool_spec, max_growth, 0, 0, "reserved; 0: a task process may grow as it likes"),
    F(13, U64, wire_pool_spec, output_limit, 0, 0, "reserved; 0: what the worker allows"),
    F(14, STR, wire_pool_spec, resources, WIRE_TEXT_MAX, 0, "what one slot is: \"cpus=1\", or empty, which is that"),
    F(15, U64, wire_pool_spec, needs, 0, 0, "features, as in HELLO, that a worker must have to be granted"),
    F(64, STR, wire_pool_spec, cwd, WIRE_CWD_MAX, 0,
      "where task processes start: a path from / on the worker, that must be there; empty: the worker's choice"),
};

static const struct wire_field job_spec_fields[] = {
    F(1, U32, wire_job_spec, kind, 4, REQ,
      "0 tasks: MessagePack arrays; 1 map: elements of a fixed size; 2, 3, 4 each: arrays of one value, bin of in_size bytes, str, "
      "bin"),
    F(2, BIN, wire_job_spec, fn, WIRE_FN_MAX, REQ, "document fn"),
    F(3, U32, wire_job_spec, in_size, WIRE_TASK_MAX, 0, "MAP, EACH: bytes of one element"),
    F(4, U32, wire_job_spec, out_size, WIRE_TASK_MAX, 0, "MAP: bytes of one result"),
    F(5, U64, wire_job_spec, run_limit_ms, 0, 0, "running time of each task; 0: no limit"),
    F(6, U64, wire_job_spec, queue_limit_ms, 0, 0, "reserved for a limit of the waiting time; 0"),
    F(7, U64, wire_job_spec, total_limit_ms, 0, 0, "reserved for a limit of both together; 0"),
    F(8, I32, wire_job_spec, retries, 0, 0,
      "how often a task that has failed runs again, see chapter 6; -1: at most once, whatever happens"),
    F(9, U32, wire_job_spec, retry_on, 0, 0, "bit k, 1 to 5: a task with outcome -k has failed; 0: bit 1 alone"),
    F(10, U32, wire_job_spec, backoff_ms, 0, 0, "before it runs again; doubles each time, up to 600,000"),
    F(11, U32, wire_job_spec, chunk, 0, 0, "tasks in a chunk; 0: the broker decides by measured durations"),
    F(12, U64, wire_job_spec, seed, 0, 0, "of the tasks' random numbers"),
    F(13, I32, wire_job_spec, priority, 0, 0, "reserved; 0"),
    F(14, BIN, wire_job_spec, context, WIRE_SPEC_MAX, 0, "bytes for all tasks of the job"),
    F(15, STR, wire_job_spec, name, WIRE_NAME_MAX, FIELD_CUT, "for people"),
    F(16, STR, wire_job_spec, client_host, WIRE_NAME_MAX, FIELD_CUT, "where the client runs, for tasks"),
    F(17, U32, wire_job_spec, client_pid, 0, 0, "its process id, for tasks"),
    F(18, U64, wire_job_spec, total, 0, 0, "tasks there will be; 0: not known when the job opens"),
    F(19, U64, wire_job_spec, needs, 0, 0, "features, as in HELLO, that a worker must have to be given its tasks"),
    F(64, BOOL, wire_job_spec, streamed, 0, 0,
      "commands: what they write comes as OUTPUT, as it is written; stdout and stderr of the result are empty"),
};

static const struct wire_field outcome_fields[] = {
    F(1, I32, wire_outcome, kind, 0, REQ, "a code of chapter 10: how it ended"),
    F(2, I32, wire_outcome, code, 0, 0, "the task's own code, or its exit status"),
    F(3, I32, wire_outcome, signal, 0, 0, "that killed it"),
    F(4, U32, wire_outcome, attempt, 0, 0, "which try it was, from 1"),
    F(5, U32, wire_outcome, pid, 0, 0, "of the task process"),
    F(6, U64, wire_outcome, index, 0, 0, "of the task"),
    F(7, U64, wire_outcome, duration_us, 0, 0, "running time"),
    F(8, STR, wire_outcome, message, WIRE_TEXT_MAX, FIELD_CUT, "a line for people: what, to what, what to do"),
    F(9, STR, wire_outcome, function, WIRE_TEXT_MAX, FIELD_CUT, "symbol"),
    F(10, STR, wire_outcome, where, WIRE_TEXT_MAX, FIELD_CUT, "file:line; object+offset where neither line nor function is known"),
    F(11, STR, wire_outcome, host, WIRE_NAME_MAX, FIELD_CUT, "where it ran"),
    F(12, STR, wire_outcome, backtrace, 32768, FIELD_CUT, "lines"),
    F(13, STR, wire_outcome, output, 32768, FIELD_CUT, "tail of the task's standard error"),
    F(14, STR, wire_outcome, stage, WIRE_NAME_MAX, FIELD_CUT,
      "when it never ran: fetch, arch, exec, load, init, preload, initializer"),
};

#define MAP(label, S, f) { label, f, COUNT(f), sizeof(struct S) }
const struct wire_map wire_fn_map = MAP("fn", wire_fn, fn_fields);
const struct wire_map wire_pool_spec_map = MAP("pool_spec", wire_pool_spec, pool_spec_fields);
const struct wire_map wire_job_spec_map = MAP("job_spec", wire_job_spec, job_spec_fields);
const struct wire_map wire_outcome_map = MAP("outcome", wire_outcome, outcome_fields);

static struct buf *document_encode(const struct wire_map *map, const void *s)
{
    struct buf *b;
    size_t size;

    if (!fields_size(map, s, &size) || size > WIRE_SPEC_MAX || !(b = buf_new(size)))
        return NULL;
    b->size = (size_t)(fields_encode(map, s, b->data) - b->data);
    return b;
}

static int document_decode(const struct wire_map *map, const void *p, size_t n, void *s, struct err *e)
{
    struct cursor c = { p, (const uint8_t *)p + n };
    int rc;

    if (n > WIRE_SPEC_MAX)
        return err_set(e, BFORK_EPROTOCOL, "%s: %zu bytes, the limit is %u", map->name, n, WIRE_SPEC_MAX);
    if ((rc = fields_decode(map, &c, s, e)) < 0)
        return rc;
    if (c.p != c.end)
        return err_set(e, BFORK_EPROTOCOL, "%s: %zu bytes too many at the end", map->name, (size_t)(c.end - c.p));
    return 0;
}

struct buf *wire_fn_encode(const struct wire_fn *d) { return document_encode(&wire_fn_map, d); }
struct buf *wire_pool_spec_encode(const struct wire_pool_spec *d) { return document_encode(&wire_pool_spec_map, d); }
struct buf *wire_job_spec_encode(const struct wire_job_spec *d) { return document_encode(&wire_job_spec_map, d); }
struct buf *wire_outcome_encode(const struct wire_outcome *d) { return document_encode(&wire_outcome_map, d); }

int wire_fn_decode(const void *p, size_t n, struct wire_fn *d, struct err *e)
{
    return document_decode(&wire_fn_map, p, n, d, e);
}

int wire_pool_spec_decode(const void *p, size_t n, struct wire_pool_spec *d, struct err *e)
{
    return document_decode(&wire_pool_spec_map, p, n, d, e);
}

int wire_job_spec_decode(const void *p, size_t n, struct wire_job_spec *d, struct err *e)
{
    return document_decode(&wire_job_spec_map, p, n, d, e);
}

int wire_outcome_decode(const void *p, size_t n, struct wire_outcome *d, struct err *e)
{
    return document_decode(&wire_outcome_map, p, n, d, e);
}
