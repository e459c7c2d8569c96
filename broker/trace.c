/* SPDX-License-Identifier: MPL-2.0
 * trace.c - see trace.h. It names peers as people do: the role, the number of the connection, the name of the key or its beginning.
 */
#include "trace.h"

#include "net/trace.h"

#include <stdio.h>

#define WHO 320

static void name_peer(const struct shell *s, enum auth_role role, uint64_t peer, const uint8_t key[32], char who[WHO])
{
    const char *name = net_allow_name(s->auth->allow[role], key);
    char text[NET_KEY_TEXT];
    unsigned number = peer >> 32 & 0xffffffu;

    net_key_text(key, text);
    if (name && name[0])
        snprintf(who, WHO, "%s %u \"%.255s\"", auth_role_names[role], number, name);
    else
        snprintf(who, WHO, "%s %u %.8s", auth_role_names[role], number, text);
}

static void trace_sent(void *ctx, const struct net_listener *l, uint64_t peer, const uint8_t *key, const struct wire_msg *m)
{
    struct shell *s = ctx;
    char who[WHO];

    for (int role = 0; role < AUTH_ROLES; role++)
        if (s->listeners[role] == l) {
            name_peer(s, (enum auth_role)role, peer, key, who);
            net_trace_message(s->trace, true, who, m);
        }
}

int bsh_trace_open(struct shell *s, struct err *e)
{
    int rc = s->options->trace ? net_trace_open(s->options->trace, NET_TRACE_MOST, &s->trace, e) : 0;

    if (s->trace)
        net_set_sent(s->net, trace_sent, s);
    return rc;
}

void bsh_trace_received(struct shell *s, const struct flow_peer *p, const struct wire_msg *m)
{
    char who[WHO];

    if (!s->trace)
        return;
    name_peer(s, p->role, p->peer, p->key, who);
    net_trace_message(s->trace, false, who, m);
}

void bsh_trace_unread(struct shell *s, const struct flow_peer *p, size_t size, const char *why)
{
    char who[WHO];

    if (!s->trace)
        return;
    name_peer(s, p->role, p->peer, p->key, who);
    net_trace_unread(s->trace, who, size, why);
}
