/* SPDX-License-Identifier: MPL-2.0
 * live.c - what tasks print, on its way to the broker as they print it. Lossy: bounded in a second, dropped while there is no
 * connection; the tail of a failed task's output travels with its outcome and is not our business.
 */
#include "shell.h"

#include "base/clock.h"
#include "base/log.h"

#include <string.h>

#define PIECE 32768u

void live_init(struct live *o, uint64_t rate)
{
    memset(o, 0, sizeof(*o));
    o->rate = o->left = rate;
}

static size_t take(struct live *o, uint64_t now, size_t wanted)
{
    uint64_t ms = (now - o->filled_at) / CLOCK_MS;

    if (ms > 0) {
        uint64_t more = ms >= 1000 ? o->rate : o->rate * ms / 1000;

        o->left = o->left + more > o->rate ? o->rate : o->left + more;
        o->filled_at = now;
    }
    if (wanted > o->left)
        wanted = (size_t)o->left;
    o->left -= wanted;
    return wanted;
}

/* Where this process's stream is, within its task. */
static uint64_t *offset_of(struct live *o, uint32_t pid, uint64_t attempt, uint64_t index, int stream)
{
    struct live_writer *w = &o->writers[pid % LIVE_WRITERS];

    if (w->pid != pid || w->attempt != attempt || w->index != index)
        *w = (struct live_writer){ pid, attempt, index, { 0, 0 } };
    return &w->offset[stream == 2];
}

void live_send(struct shell *s, uint64_t attempt, uint32_t job, uint64_t index, uint32_t pid, int stream, const void *bytes,
               size_t size, bool cut)
{
    struct live *o = &s->live;
    uint64_t *offset = offset_of(o, pid, attempt, index, stream);
    size_t may;

    if (attempt == 0) {
        log_limited(LOG_INFO_, 'o', "event=output pid=%u text=\"%.*s\"", pid, (int)(size < 500 ? size : 500), (const char *)bytes);
        return;
    }
    may = worker_online(s->core) && s->link ? take(o, clock_now(), size) : 0;
    if (may < size)
        o->cut = true;
    for (size_t at = 0; at < may; at += PIECE) {
        size_t n = may - at < PIECE ? may - at : PIECE;
        struct wire_msg m = { .type = WIRE_OUTPUT, .ack = worker_ack(s->core) };

        m.u.output = (struct wire_output){ .job = job, .attempt = attempt, .index = index, .stream = (uint32_t)stream,
            .offset = *offset + at, .pid = pid, .cut = cut || o->cut, .host = WIRE_STR(s->settings->host) };
        m.body = slice_borrow((const uint8_t *)bytes + at, n);
        if (net_link_send(s->link, &m) == 0)
            o->cut = false;
        else
            o->cut = true;          /* lossy: results must not wait behind it */
    }
    *offset += size;
}
