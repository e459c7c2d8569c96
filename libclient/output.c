/* SPDX-License-Identifier: MPL-2.0
 * output.c - what tasks print, on its way to the program: its function, or stdout and stderr; of streamed commands to theirs.
 *
 * Queued under the lock and told without it, by one thread at a time, in order: the program's function, or a terminal that nobody
 * reads, may take as long as it wants. What is told is confirmed to the core, which then settles the outcomes that waited for it
 * and lets tasks go on that wait for room. Whoever tells holds no driver's token meanwhile.
 */
#include "work.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- queueing, with the lock ------------------------------------------------------------------------------------------------- */

static struct output *output_new(struct bfork_session *s, const char *function, const struct session_print *k, const void *bytes,
                                 size_t size)
{
    size_t host = k->host.n < WIRE_NAME_MAX ? k->host.n : WIRE_NAME_MAX;
    struct output *o = malloc(sizeof(*o) + size + 1);

    if (!o) {
        bfs_session_fail(s, BFORK_ENOMEM, "out of memory: what a task has printed cannot be kept");
        return NULL;
    }
    memset(o, 0, sizeof(*o));
    if (host)
        memcpy(o->host, k->host.p, host);
    o->who = (bfork_error){ .index = k->index, .pid = k->pid, .attempt = (int32_t)k->attempt, .message = "", .function = function,
                            .where = "", .host = o->host, .backtrace = "", .output = "" };
    o->piece = *k;
    o->piece.turn = 0;
    o->stream = k->stream;
    o->size = size;
    if (size)
        memcpy(o->bytes, bytes, size);
    o->bytes[size] = 0;
    list_push_back(&s->outputs, &o->node);
    return o;
}

static void describe_output(struct output *o, const struct job *j)
{
    const struct bfork_future *f = j->told ? bfs_job_future(j, o->piece.index) : NULL;
    o->told = j->told;
    o->task = f ? f->data_of_user : NULL;
}

/* A line of the library's about what a task prints. */
static void notice(struct job *j, const char *function, const struct session_print *k, int kind, const char *text)
{
    struct session_print own = *k;
    own.stream = 2;
    struct output *o = output_new(j->pool->s, function, &own, text, strlen(text));
    if (!o)
        return;
    o->who.kind = kind;
    o->who.message = (const char *)o->bytes;
    describe_output(o, j);
}

bool bfs_output_piece(void *ctx, void *user, const struct session_print *k)
{
    struct job *j = user;
    struct bfork_session *s = ctx;
    const char *function = j->symbol ? j->symbol : "a command";
    char text[512], who[300] = "the command";           /* the command line counts its commands itself */

    if (j->told && !bfs_job_future(j, k->index))
        return false;                   /* it is settled, and whoever submitted it may be gone */
    if (!j->told)
        snprintf(who, sizeof(who), "task %llu of %.250s", (unsigned long long)k->index, function);
    if (k->again) {
        snprintf(text, sizeof(text), "broadfork: %s %s again (attempt %u)%s\n", who, k->silent ? "ran" : "runs", k->attempt,
                 k->silent ? " and printed nothing" : ": what it had printed may come again");
        notice(j, function, k, BFORK_EAGAIN, text);
    }
    if (k->lost) {
        snprintf(text, sizeof(text), "broadfork: %llu bytes of what %s printed are lost\n", (unsigned long long)k->lost, who);
        notice(j, function, k, BFORK_LOST, text);
    }
    struct output *o = output_new(s, j->symbol ? j->symbol : "", k, k->bytes.data, k->bytes.size);
    if (o && k->cut) {
        snprintf(text, sizeof(text), "broadfork: what %s prints beyond %llu bytes is lost: that is the limit of one "
                 "task; output-limit of the worker raises it, or write to a file\n", who, (unsigned long long)k->limit);
        notice(j, function, k, BFORK_ETOOBIG, text);
    }
    if (!o)
        return false;
    o->piece.turn = k->turn;
    describe_output(o, j);
    return true;
}

void bfs_output_outside(void *ctx, uint32_t pid, int stream, const void *bytes, size_t size)
{
    const struct session_print k = { .pid = pid, .stream = stream };

    output_new(ctx, "", &k, bytes, size);
}

/* ---- telling, without the lock ----------------------------------------------------------------------------------------------- */

static bool write_all(int fd, const void *bytes, size_t size)
{
    const char *p = bytes;

    while (size) {
        ssize_t n = write(fd, p, size);
        if (n > 0) {
            p += n;
            size -= (size_t)n;
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, -1);
        } else if (n == 0 || errno != EINTR) {
            return false;
        }
    }
    return true;
}

static void print_piece(struct bfork_session *s, const struct output *o)
{
    struct open_line *l = &s->lines[o->stream == 2];
    bool same = l->job == o->piece.job && l->index == o->piece.index && l->attempt == o->who.attempt && o->who.kind == 0, ok = true;
    char text[256];

    if (s->output_failed[o->stream == 2] || !o->size)
        return;
    if (l->open && !same)               /* two tasks never share a line */
        ok = write_all(o->stream, "\n", 1);
    ok = ok && write_all(o->stream, o->bytes, o->size);
    *l = (struct open_line){ o->bytes[o->size - 1] != '\n', o->piece.job, o->piece.index, o->who.attempt };
    if (ok)
        return;
    s->output_failed[o->stream == 2] = true;
    snprintf(text, sizeof(text), "broadfork: what tasks print is lost from here on: standard %s cannot be written to: %s\n",
             o->stream == 2 ? "error" : "output", strerror(errno));
    write_all(2, text, strlen(text));
}

bool bfs_output_tell(struct bfork_session *s)
{
    bool any = false;

    while (!list_empty(&s->outputs) && !s->delivering) {
        struct output *o = LIST_ENTRY(list_pop(&s->outputs), struct output, node);
        any = s->delivering = true;         /* one thread at a time, so that the order stays */
        bfs_wake_next(s);
        pthread_mutex_unlock(&s->lock);
        if (o->told)
            o->told(o->task, &o->who, o->stream, o->bytes, o->size);
        else if (!s->output)
            print_piece(s, o);
        else if (o->size)
            s->output(s->output_data, &o->who, o->stream, o->bytes, o->size);
        pthread_mutex_lock(&s->lock);
        s->delivering = false;
        if (o->piece.turn)
            session_output_taken(s->core, &o->piece);
        free(o);
    }
    if (any)
        bfs_wake_look(s);
    return any;
}
