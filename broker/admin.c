/* SPDX-License-Identifier: MPL-2.0
 * admin.c - the orders of administrators: one table of verbs. Who may give them was decided by the listener they came through.
 */
#include "admin.h"

#include "base/clock.h"
#include "base/log.h"
#include "bfork.h"
#include "orders.h"
#include "status.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Returns a new object for the answer, or NULL with e. */
typedef json_t *admin_verb(struct shell *s, uint64_t now, const char *argument, struct err *e);

static json_t *admin_reload(struct shell *s, uint64_t now, const char *argument, struct err *e)
{
    (void)argument;
    if (bsh_shell_reload_checked(s, now, e) < 0)
        return NULL;
    return json_pack("{s:b,s:I,s:I,s:I}", "ok", 1, "clients", (json_int_t)net_allow_count(s->auth->allow[AUTH_CLIENT]),
                     "workers", (json_int_t)net_allow_count(s->auth->allow[AUTH_WORKER]),
                     "admins", (json_int_t)net_allow_count(s->auth->allow[AUTH_ADMIN]));
}

static json_t *admin_revoke(struct shell *s, uint64_t now, const char *argument, struct err *e)
{
    int lines;

    if (!argument[0]) {
        err_set(e, BFORK_EINVAL, "revoke needs a key or the name of one");
        return NULL;
    }
    lines = bsh_auth_revoke(s->auth, argument, e);
    if (lines == 0)
        err_set(e, BFORK_EINVAL, "revoke: no allowed key is or is called \"%s\"", argument);
    if (lines <= 0 || bsh_shell_reload_checked(s, now, e) < 0)
        return NULL;
    return json_pack("{s:b,s:i}", "ok", 1, "revoked", lines);
}

static json_t *admin_drain(struct shell *s, uint64_t now, const char *argument, struct err *e)
{
    (void)argument;
    (void)e;
    bsh_shell_drain(s, now);
    return json_pack("{s:b,s:b}", "ok", 1, "draining", 1);
}

static json_t *admin_stop(struct shell *s, uint64_t now, const char *argument, struct err *e)
{
    (void)now;
    (void)argument;
    (void)e;
    s->stop = true;
    return json_pack("{s:b,s:b}", "ok", 1, "stopping", 1);
}

static json_t *admin_status(struct shell *s, uint64_t now, const char *argument, struct err *e)
{
    if (argument[0] && !bsh_shell_status_known(argument, e))
        return NULL;
    char *text = bsh_shell_status(s, now, argument, NULL);
    json_t *o = text ? json_loads(text, 0, NULL) : NULL;

    free(text);
    if (!o)
        err_set(e, BFORK_ENOMEM, "out of memory");
    return o;
}

/* What an order is about. One that is about the whole broker has no argument: "drain" is not for one worker. */
static const struct { const char *name; admin_verb *verb; bool whole;
} verbs[] = {
    { "reload", admin_reload, true }, { "revoke", admin_revoke, false }, { "drain", admin_drain, true },
    { "stop", admin_stop, true },     { "status", admin_status, false },
};

/* Without a request nobody knows what it answers: then the session is over. */
static void admin_error(struct shell *s, uint64_t now, struct flow_peer *p, const struct wire_msg *m, const char *field,
                        const struct err *e)
{
    struct wire_msg answer = { .type = WIRE_ERROR, .channel = m->channel, .request = m->request };

    if (!m->request) {
        broker_broken(s->core, now, p->peer, e->code, e->text);
        return;
    }
    answer.u.error.code = e->code;
    answer.u.error.text = WIRE_STR(e->text);
    answer.u.error.field = WIRE_STR(field);
    net_listener_send(p->listener, p->peer, &answer);
}

static bool text_of(struct wire_str s, char *to, size_t size)
{
    if (s.n >= size || (s.n && memchr(s.p, '\0', s.n)))
        return false;
    if (s.n)
        memcpy(to, s.p, s.n);
    to[s.n] = '\0';
    return true;
}

/* The field that is wrong, "": none is, NULL: it was done, and o is the answer. */
static const char *admin_do(struct shell *s, uint64_t now, const struct flow_peer *p, const struct wire_admin *a, json_t **o,
                            struct err *e)
{
    char verb[64], argument[512], key[NET_KEY_TEXT];
    size_t i = 0, n = sizeof(verbs) / sizeof(verbs[0]);
    const char *by = net_allow_name(s->auth->allow[AUTH_ADMIN], p->key);

    bool text = text_of(a->verb, verb, sizeof(verb));
    while (i < n && (!text || strcmp(verb, verbs[i].name) != 0))
        i++;
    if (i == n) {
        err_set(e, BFORK_EINVAL, "there is no order \"%.*s\"; there are reload, revoke, drain, stop and status",
                a->verb.n < 100 ? (int)a->verb.n : 100, a->verb.n ? a->verb.p : "");
        return "verb";
    }
    if (!text_of(a->argument, argument, sizeof(argument))) {
        err_set(e, BFORK_EINVAL, "%s: the argument has %u bytes, or a NUL; it has at most %zu and none", verb, a->argument.n,
                sizeof(argument) - 1);
        return "argument";
    }
    if (verbs[i].whole && argument[0]) {
        err_set(e, BFORK_EINVAL, "%s: the argument is \"%s\"; this order is for the whole broker and has none", verb, argument);
        return "argument";
    }
    net_key_text(p->key, key);
    log_line(LOG_NOTICE_, "event=admin verb=%s by=\"%s\"", verb, by ? by : key);
    if ((*o = verbs[i].verb(s, now, argument, e)) != NULL)
        return NULL;
    return e->code == BFORK_EINVAL ? "argument" : "";
}

void bsh_shell_admin(struct shell *s, uint64_t now, struct flow_peer *p, const struct wire_msg *m)
{
    struct wire_msg answer = { .type = WIRE_STATUS, .channel = m->channel, .request = m->request };
    struct err e = { 0, "" };
    json_t *o = NULL;
    const char *field = admin_do(s, now, p, &m->u.admin, &o, &e);
    char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

    json_decref(o);
    if (text) {
        answer.u.status.json = WIRE_STR(text);
        net_listener_send(p->listener, p->peer, &answer);
    } else {
        if (!e.code)
            err_set(&e, BFORK_ENOMEM, "out of memory");
        admin_error(s, now, p, m, field ? field : "", &e);
    }
    free(text);
}
