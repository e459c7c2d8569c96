/* SPDX-License-Identifier: MPL-2.0
 * error.c - errors as data: the last one of each thread, those owned by futures, their names and their text.
 */
#include "error.h"
#include "base/cpus.h"
#include "base/text.h"

#include <stdio.h>

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#undef bfs_error_set                /* see error.h */
#define STRINGS 6

/* The texts of a thread's last error, so that it needs no allocation and nothing has to be freed when the thread ends. */
static _Thread_local struct {
    bfork_error e;
    char text[8192];
} last;

static const bfork_error none = { .message = "no error", .function = "", .where = "", .host = "", .backtrace = "", .output = "" };
static const bfork_error no_memory = { .kind = BFORK_ENOMEM, .message = "out of memory", .function = "", .where = "", .host = "",
                                       .backtrace = "", .output = "" };

static const struct { int status; const char *name;
} names[] = {
    { BFORK_OK, "ok" },
    { BFORK_END, "end" },
    { BFORK_FAILED, "failed" },
    { BFORK_CRASHED, "crashed" },
    { BFORK_EXITED, "exited" },
    { BFORK_OVERTIME, "over time" },
    { BFORK_OVERMEMORY, "over memory" },
    { BFORK_CANCELLED, "cancelled" },
    { BFORK_LOST, "lost" },
    { BFORK_REFUSED, "refused" },
    { BFORK_UNKNOWN, "unknown" },
    { BFORK_MISMATCH, "mismatch" },
    { BFORK_EINVAL, "invalid argument" },
    { BFORK_ETIMEDOUT, "timed out" },
    { BFORK_EAGAIN, "try again" },
    { BFORK_ENOMEM, "out of memory" },
    { BFORK_ECLOSED, "closed" },
    { BFORK_ESTATE, "wrong state" },
    { BFORK_EINTR, "interrupted" },
    { BFORK_ETOOBIG, "too big" },
    { BFORK_EQUOTA, "over quota" },
    { BFORK_ENOTSUP, "not supported" },
    { BFORK_ENOINIT, "bfork_init was not called" },
    { BFORK_EFORKED, "used after fork" },
    { BFORK_ETHREADS, "other threads run" },
    { BFORK_EKEY, "key or profile" },
    { BFORK_EUNREACHABLE, "unreachable" },
    { BFORK_EDENIED, "denied" },
    { BFORK_EPROTOCOL, "protocol" },
};

const char *bfork_status_name(int status)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].status == status)
            return names[i].name;
    return "unknown status";
}

const bfork_error *bfork_last_error(void)
{
    return last.e.kind ? &last.e : &none;
}

const bfork_error *bfs_error_no_memory(void)
{
    return &no_memory;
}

int bfs_error_set(int kind, const char *format, ...)
{
    char text[sizeof(last.text)];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);  /* the arguments may point into last.text */
    va_end(ap);
    memcpy(last.text, text, strlen(text) + 1);
    last.e = none;
    last.e.kind = kind;
    last.e.message = last.text;
    return kind;
}

int bfs_error_from(const struct err *e)
{
    return bfs_error_set(e->code, "%s", e->text);
}

int bfs_error_again(const bfork_error *e)
{
    if (e == &last.e)
        return e->kind;
    const char *from[STRINGS] = { e->message, e->function, e->where, e->host, e->backtrace, e->output };
    const char **to[STRINGS] = {
        &last.e.message, &last.e.function, &last.e.where, &last.e.host, &last.e.backtrace, &last.e.output
    };
    size_t used = 0;
    last.e = *e;
    for (int i = 0; i < STRINGS; i++) {
        size_t room = sizeof(last.text) - used - (STRINGS - 1 - (size_t)i), n = strlen(from[i]) + 1;
        n = n < room ? n : room;
        memcpy(last.text + used, from[i], n - 1);
        last.text[used + n - 1] = 0;
        *to[i] = last.text + used;
        used += n;
    }
    return e->kind;
}

static bfork_error *error_build(const bfork_error *numbers, const struct wire_str from[STRINGS])
{
    size_t size = sizeof(bfork_error);
    for (int i = 0; i < STRINGS; i++)
        size += from[i].n + 1;
    bfork_error *e = malloc(size);
    if (!e)
        return NULL;
    *e = *numbers;
    const char **to[STRINGS] = { &e->message, &e->function, &e->where, &e->host, &e->backtrace, &e->output };
    char *at = (char *)(e + 1);
    for (int i = 0; i < STRINGS; i++) {
        if (from[i].n)
            memcpy(at, from[i].p, from[i].n);
        at[from[i].n] = 0;
        *to[i] = at;
        at += from[i].n + 1;
    }
    return e;
}

bfork_error *bfs_error_new(int kind, const char *message)
{
    const bfork_error numbers = { .kind = kind };
    const struct wire_str from[STRINGS] = { WIRE_STR(message) };
    return error_build(&numbers, from);
}

bfork_error *bfs_error_new_outcome(const struct wire_outcome *o)
{
    const bfork_error numbers = { .kind = o->kind,
                                  .code = o->code,
                                  .signal = o->signal,
                                  .attempt = (int32_t)o->attempt,
                                  .index = o->index,
                                  .pid = o->pid,
                                  .duration_us = (int64_t)o->duration_us };
    const struct wire_str from[STRINGS] = { o->message, o->function, o->where, o->host, o->backtrace, o->output };
    return error_build(&numbers, from);
}

bfork_error *bfs_error_clone(const bfork_error *e)
{
    const struct wire_str from[STRINGS] = { WIRE_STR(e->message), WIRE_STR(e->function), WIRE_STR(e->where),
                                            WIRE_STR(e->host),    WIRE_STR(e->backtrace), WIRE_STR(e->output) };
    return error_build(e, from);
}

/* Appends as snprintf does; *at counts what would have been written. */
static void put_format(char *buf, size_t size, size_t *at, const char *format, ...) __attribute__((format(printf, 4, 5)));
static void put_format(char *buf, size_t size, size_t *at, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(*at < size ? buf + *at : NULL, *at < size ? size - *at : 0, format, ap);
    va_end(ap);
    if (n > 0)
        *at += (size_t)n;
}

/* Lines, each indented. */
static void put_block(char *buf, size_t size, size_t *at, const char *title, const char *text)
{
    if (!*text)
        return;
    put_format(buf, size, at, "  %s:\n", title);
    for (const char *line = text; *line;) {
        size_t n = strcspn(line, "\n");
        put_format(buf, size, at, "    %.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
}

size_t bfork_error_text(const bfork_error *e, char *buf, size_t size)
{
    size_t at = 0;
    if (!e)
        e = bfork_last_error();
    if (size)
        buf[0] = 0;
    const char *name = bfork_status_name(e->kind);
    if (strncmp(e->message, name, strlen(name)) != 0)   /* messages of deaths begin with it */
        put_format(buf, size, &at, "%s: ", name);
    put_format(buf, size, &at, "%s", e->message);
    if (e->kind <= BFORK_FAILED && e->kind >= BFORK_MISMATCH) {
        if (*e->function && !strstr(e->message, e->function))
            put_format(buf, size, &at, ", in %s", e->function);
        put_format(buf, size, &at, ", task %llu", (unsigned long long)e->index);
        if (*e->host)
            put_format(buf, size, &at, ", host %s", e->host);
        if (e->pid)
            put_format(buf, size, &at, ", pid %lld", (long long)e->pid);
        if (e->attempt > 1)
            put_format(buf, size, &at, ", attempt %d", e->attempt);
    }
    put_format(buf, size, &at, "\n");
    put_block(buf, size, &at, "backtrace", e->backtrace);
    put_block(buf, size, &at, "the end of its stderr", e->output);
    if (size)
        text_clean(buf, strlen(buf), true);         /* it is for people, and from anywhere */
    return at;
}

void bfork_die(const char *what)
{
    char text[8192];
    bfork_error_text(NULL, text, sizeof(text));
    fprintf(stderr, "%s: %s", what ? what : "bfork", text);
    exit(bfork_last_error()->kind == BFORK_EINTR ? 130 : 1);
}

uint32_t bfork_version(void)
{
    return BFORK_VERSION;
}

int bfork_cpu_count(void)
{
    return cpus_usable();
}
