/* SPDX-License-Identifier: MPL-2.0
 * admin.c - the orders of administrators: one table of verbs. Who may give them was decided by the listener they came through.
 */
#include "shell.h"

#include "base/clock.h"
#include "base/log.h"
#include "bfork.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Returns a new object for the answer, or NULL with e. */
typedef json_t *admin_verb(struct shell *s, uint64_t now, const char *argument, struct err *e);

static json_t *admin_reload(struct shell *s, uint64_t now, const char *argument, struct err *e)
{
    (void)argument;
    if (shell_reload_checked(s, now, e) < 0)
        return NULL;
    return json_pack("{s:b,s:I,s:I,s:I}", "ok", 1, "clients", (json_int_t)allow_count(s->auth->allow[AUTH_CLIENT]),
                     "workers", (json_int_t)allow_count(s->auth->allow[AUTH_WORKER]),
                     "admins", (json_int_t)allow_count(s->auth->allow[AUTH_ADMIN]));
}

static json_t *admin_revoke(struct shell *s, uint64_t now, const char *argument, struct err *e)
{
    int lines;

    if (!argument[0]) {
        err_set(e, BFORK_EINVAL, "revoke needs a key or the name of one");
        return NULL;
    }
    lines = auth_revoke(s->auth, argument, e);
    if (lines == 0)
        err_set(e, BFORK_EINVAL, "no allowed key is or is called %s", argument);
    if (lines <= 0 || shell_reload_checked(s, now, e) < 0)
        return NULL;
    return json_pack("{s:b,s:i}", "ok", 1, "revoked", lines);
}

static json_t *admin_drain(struct shell *s, uint64_t now, const char *argument, struct err *e)
{
    (void)argument;
    (void)e;
    shell_drain(s, now);
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
    char *text = shell_status(s, now, argument, NULL);
    json_t *o = text ? json_loads(text, 0, NULL) : NULL;

    free(text);
    if (!o)
        err_set(e, BFORK_ENOMEM, "out of memory");
    return o;
}

static const struct { const char *name; admin_verb *verb;
} verbs[] = {
    { "reload", admin_reload }, { "revoke", admin_revoke }, { "drain", admin_drain },
    { "stop", admin_stop },     { "status", admin_status },
};

static void admin_error(struct flow_peer *p, const struct wire_msg *m, const struct err *e)
{
    struct wire_msg answer = { .type = WIRE_ERROR, .channel = m->channel, .request = m->request };

    answer.u.error.code = e->code ? e->code : BFORK_ENOMEM;
    answer.u.error.text = WIRE_STR(e->text);
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

void shell_admin(struct shell *s, uint64_t now, struct flow_peer *p, const struct wire_msg *m)
{
    struct err e = { 0, "" };
    char verb[64] = "", argument[512] = "", key[NET_KEY_TEXT];
    json_t *o = NULL;
    char *text;
    bool known = false;

    net_key_text(p->key, key);
    if (!text_of(m->u.admin.verb, verb, sizeof(verb)) || !text_of(m->u.admin.argument, argument, sizeof(argument)))
        verb[0] = '\0';
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]) && !known; i++)
        if (strcmp(verb, verbs[i].name) == 0) {
            known = true;
            log_line(LOG_NOTICE_, "event=admin verb=%s by=\"%s\"", verb, allow_name(s->auth->allow[AUTH_ADMIN], p->key) ?
                     allow_name(s->auth->allow[AUTH_ADMIN], p->key) : key);
            o = verbs[i].verb(s, now, argument, &e);
        }
    if (!known)
        err_set(&e, BFORK_EINVAL, "this broker knows the orders reload, revoke, drain, stop, status");
    text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    if (text) {
        struct wire_msg answer = { .type = WIRE_STATUS, .channel = m->channel, .request = m->request };
        answer.u.status.json = WIRE_STR(text);
        net_listener_send(p->listener, p->peer, &answer);
    } else {
        admin_error(p, m, &e);
    }
    free(text);
}
