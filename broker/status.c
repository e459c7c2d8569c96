/* SPDX-License-Identifier: MPL-2.0
 * status.c - what the broker says about itself, as JSON with stable names. It reads and changes nothing. A text never passes
 * WIRE_STATUS_MAX: rows beyond that are left out and "truncated" says so.
 */
#include "status.h"

#include "base/clock.h"
#include "bfork.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_ROOM (WIRE_STATUS_MAX - 65536u)

static void put_number(json_t *o, const char *name, uint64_t value)
{
    json_object_set_new(o, name, json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value));
}

/* Peers chose these bytes: what is not UTF-8 is replaced. */
static void put_json_text(json_t *o, const char *name, const char *text)
{
    json_t *j = json_string(text ? text : "");
    char clean[256];
    size_t n = 0;

    if (!j && text) {
        for (; text[n] && n < sizeof(clean) - 1; n++)
            clean[n] = (unsigned char)text[n] < 0x80 ? text[n] : '?';
        clean[n] = '\0';
        j = json_string(clean);
    }
    json_object_set_new(o, name, j);
}

static void put_listener(json_t *o, const char *name, const struct net_listener *l)
{
    struct net_counters c;
    json_t *j = json_object();

    net_listener_counters(l, &c);
    put_json_text(j, "endpoint", net_listener_endpoint(l));
    put_number(j, "connections", c.connections);
    put_number(j, "accepted", c.accepted);
    put_number(j, "accept_failed", c.accept_failed);
    put_number(j, "refused_keys", c.refused);
    put_number(j, "failed_handshakes", c.handshake_failed);
    put_number(j, "silent", c.silent);
    put_number(j, "bad", c.bad);
    put_number(j, "over_cap", c.over_cap);
    put_number(j, "cut", c.cut);
    json_object_set_new(o, name, j);
}

static json_t *status_counters(struct shell *s, const struct broker_counters *c)
{
    struct blobs_counters b;
    json_t *o = json_object();

    bsh_blobs_counters(s->blobs, &b);
    put_number(o, "tasks_accepted", c->tasks_accepted);
    put_number(o, "tasks_ok", c->tasks_ok);
    put_number(o, "tasks_failed", c->tasks_failed);
    put_number(o, "requeued", c->requeued);
    put_number(o, "attempts", c->attempts);
    put_number(o, "duplicates", c->duplicates);
    put_number(o, "foreign", c->foreign);
    put_number(o, "bad_messages", c->bad_messages + s->counters.malformed);
    put_number(o, "refused", c->refused);
    put_number(o, "adopted", c->adopted);
    put_number(o, "fenced", c->fenced);
    put_number(o, "bytes", c->bytes);
    put_number(o, "messages", s->counters.messages);
    put_number(o, "most_messages_in_a_turn", s->counters.most_in_turn);
    put_number(o, "stalls", s->counters.stalls);
    put_number(o, "overrun", s->counters.overrun);
    put_number(o, "reloads", s->counters.reloads);
    put_number(o, "blob_files", b.files);
    put_number(o, "blob_bytes", b.bytes);
    put_number(o, "blob_uploads", b.uploads);
    put_number(o, "blob_pieces_served", b.pieces_served);
    put_number(o, "blob_refused", b.refused);
    put_number(o, "blob_bad_pieces", b.bad_pieces);
    return o;
}

struct rows { struct shell *shell; json_t *list; uint64_t now; size_t room; };

static bool rows_room(struct rows *r, size_t need)
{
    if (need > r->room)
        return false;
    r->room -= need;
    return true;
}

static size_t text_room(const char *text)
{
    return text ? 6 * strlen(text) : 0;     /* every byte may become \u00xx */
}

static bool key_row(void *ctx, const struct broker_key_row *k)
{
    struct rows *r = ctx;
    char text[NET_KEY_TEXT];
    const char *name = bsh_shell_key_name(r->shell, k->key, text);
    json_t *o;

    if (!rows_room(r, 256 + text_room(name)))
        return false;
    o = json_object();
    put_json_text(o, "name", name);
    net_key_text(k->key, text);
    put_json_text(o, "key", text);
    put_number(o, "bytes", k->bytes);
    put_number(o, "clients", k->clients);
    put_number(o, "queued", k->queued);
    put_number(o, "running", k->running);
    json_array_append_new(r->list, o);
    return true;
}

/* What an administrator is told besides. */
static void put_everybody(struct shell *s, json_t *o, const struct broker_counters *c, struct rows *r)
{
    json_t *ports = json_object();

    json_object_set_new(o, "counters", status_counters(s, c));
    put_listener(ports, "clients", s->listeners[AUTH_CLIENT]);
    put_listener(ports, "workers", s->listeners[AUTH_WORKER]);
    put_listener(ports, "admins", s->listeners[AUTH_ADMIN]);
    json_object_set_new(o, "listeners", ports);
    if (!broker_keys(s->core, key_row, r))
        json_object_set_new(o, "truncated", json_true());
    json_object_set(o, "keys", r->list);
}

/* owner NULL: an administrator asks, who sees the counters of everybody. */
static json_t *status_summary(struct shell *s, const uint8_t *owner, struct rows *r)
{
    struct broker_counters c;
    json_t *o = json_object();
    char epoch[24];

    if (owner)
        broker_owner_counters(s->core, owner, &c);
    else
        broker_counters(s->core, &c);
    snprintf(epoch, sizeof(epoch), "%016llx", (unsigned long long)s->epoch);
    put_json_text(o, "software", "broadfork " BF_VERSION);
    put_json_text(o, "endpoint", net_listener_endpoint(s->listeners[AUTH_CLIENT]));
    put_json_text(o, "epoch", epoch);
    put_number(o, "uptime_s", (r->now - s->started) / CLOCK_SEC);
    json_object_set_new(o, "draining", json_boolean(s->drain_until != 0));
    put_number(o, "workers", c.workers);
    put_number(o, "slots", c.slots);
    put_number(o, "busy", c.slots_busy);
    put_number(o, "clients", c.clients);
    put_number(o, "queued", c.queued);
    put_number(o, "running", c.running);
    put_number(o, "done", c.tasks_ok);
    put_number(o, "failed", c.tasks_failed);
    put_number(o, "bytes", c.bytes);
    if (owner)
        put_number(o, "bytes_most", c.bytes_most);
    else
        put_everybody(s, o, &c, r);
    return o;
}

static bool worker_row(void *ctx, const struct broker_worker_row *w)
{
    struct rows *r = ctx;
    json_t *o;

    if (!rows_room(r, 256 + text_room(w->name) + text_room(w->host) + text_room(w->software) + text_room(w->resources)))
        return false;
    o = json_object();
    put_json_text(o, "name", w->name);
    put_json_text(o, "host", w->host);
    put_json_text(o, "state", w->state);
    put_number(o, "slots", w->slots);
    put_number(o, "busy", w->busy);
    put_number(o, "done", w->tasks_done);
    put_number(o, "held", w->held);
    put_number(o, "bytes", w->bytes);
    put_number(o, "up_s", r->now > w->since ? (r->now - w->since) / CLOCK_SEC : 0);
    put_json_text(o, "software", w->software);
    put_json_text(o, "resources", w->resources);
    put_json_text(o, "key", w->key_exposed ? "exposed" : "safe");
    json_array_append_new(r->list, o);
    return true;
}

static bool job_row(void *ctx, const struct broker_job_row *j)
{
    struct rows *r = ctx;
    json_t *o;
    char id[2 * WIRE_ID + 1];

    if (!rows_room(r, 320 + text_room(j->name) + text_room(j->pool) + text_room(j->client) + text_room(j->host)))
        return false;
    for (size_t i = 0; i < WIRE_ID; i++)
        snprintf(id + 2 * i, 3, "%02x", j->id[i]);
    o = json_object();
    put_json_text(o, "id", id);
    put_json_text(o, "name", j->name);
    put_json_text(o, "pool", j->pool);
    put_json_text(o, "client", j->client);
    put_json_text(o, "host", j->host);
    put_json_text(o, "state", j->state);
    put_number(o, "queued", j->queued);
    put_number(o, "running", j->running);
    put_number(o, "done", j->done);
    put_number(o, "failed", j->failed);
    put_number(o, "total", j->total);
    put_number(o, "up_s", r->now > j->since ? (r->now - j->since) / CLOCK_SEC : 0);
    json_array_append_new(r->list, o);
    return true;
}

const char *bsh_shell_key_name(const struct shell *s, const uint8_t key[32], char text[NET_KEY_TEXT])
{
    const char *name = net_allow_name(s->auth->allow[AUTH_CLIENT], key);

    if (name && name[0])
        return name;
    net_key_text(key, text);
    return text;
}

bool bsh_shell_status_known(const char *what, struct err *e)
{
    if (strcmp(what, "summary") == 0 || strcmp(what, "workers") == 0 || strcmp(what, "jobs") == 0)
        return true;
    err_set(e, BFORK_EINVAL, "there is no status \"%s\"; there are summary, workers and jobs", what);
    return false;
}

char *bsh_shell_status(struct shell *s, uint64_t now, const char *what, const uint8_t *owner)
{
    struct rows r = { s, json_array(), now, STATUS_ROOM };
    json_t *o;
    char *text;

    if (strcmp(what, "workers") == 0 || strcmp(what, "jobs") == 0) {
        bool all = what[0] == 'w' ? broker_workers(s->core, worker_row, &r) : broker_jobs(s->core, owner, job_row, &r);
        o = json_object();
        json_object_set(o, what, r.list);
        if (!all)
            json_object_set_new(o, "truncated", json_true());
    } else {
        o = status_summary(s, owner, &r);
    }
    text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    json_decref(r.list);
    return text;
}
