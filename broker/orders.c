/* SPDX-License-Identifier: MPL-2.0
 * orders.c - what an administrator and a signal can both order: other keys, and no more work. See orders.h.
 */
#include "orders.h"

#include "base/clock.h"
#include "base/log.h"
#include "notify.h"

#include <stdlib.h>
#include <string.h>

struct shell_keys { const struct auth_set *set; uint8_t (*keys)[32]; uint64_t *peers; size_t n, room; bool failed; };

static void shell_collect(void *ctx, uint64_t peer, const uint8_t key[32])
{
    struct shell_keys *k = ctx;

    if (bsh_auth_allows((void *)(uintptr_t)k->set, key))
        return;
    if (k->n == k->room) {
        size_t room = k->room ? k->room * 2 : 64;
        void *keys = realloc(k->keys, room * sizeof(*k->keys));
        if (keys)
            k->keys = keys;
        void *peers = keys ? realloc(k->peers, room * sizeof(*k->peers)) : NULL;
        if (peers)
            k->peers = peers;
        k->failed = !keys || !peers;
        if (k->failed)
            return;
        k->room = room;
    }
    memcpy(k->keys[k->n], key, 32);
    k->peers[k->n++] = peer;
}

/* Ends the sessions of keys that are not allowed any more, at once. */
static void shell_cut_revoked(struct shell *s, uint64_t now)
{
    for (int role = 0; role < AUTH_ROLES; role++) {
        struct shell_keys k = { .set = &s->auth->sets[role] };
        do {                            /* what was cut is not collected again, so running out of memory only costs rounds */
            k.n = 0;
            k.failed = false;
            net_listener_each(s->listeners[role], shell_collect, &k);
            for (size_t i = 0; i < k.n; i++) {
                char text[NET_KEY_TEXT];
                net_key_text(k.keys[i], text);
                log_line(LOG_NOTICE_, "event=revoked role=%s key=%s", auth_role_names[role], text);
                broker_revoke(s->core, now, k.keys[i]);
                net_listener_cut(s->listeners[role], k.peers[i]);
            }
        } while (k.failed && k.n > 0);
        free(k.keys);
        free(k.peers);
    }
}

int bsh_shell_reload_checked(struct shell *s, uint64_t now, struct err *e)
{
    int rc = bsh_auth_reload(s->auth, e);

    if (rc < 0) {
        log_line(LOG_ERROR_, "event=reload_failed text=\"%s\" what=\"ignoring the new files, the old keys stay in force\"",
                 e->text);
        return rc;
    }
    s->counters.reloads++;
    log_line(LOG_NOTICE_, "event=reloaded clients=%zu workers=%zu admins=%zu", net_allow_count(s->auth->allow[AUTH_CLIENT]),
             net_allow_count(s->auth->allow[AUTH_WORKER]), net_allow_count(s->auth->allow[AUTH_ADMIN]));
    shell_cut_revoked(s, now);
    return 0;
}

void bsh_shell_reload(struct shell *s, uint64_t now)
{
    struct err e = { 0, "" };

    bsh_notify_reloading();
    bsh_shell_reload_checked(s, now, &e);
    bsh_notify_ready();
}

void bsh_shell_drain(struct shell *s, uint64_t now)
{
    struct broker_waits w;

    if (s->drain_until)
        return;
    s->drain_until = now + (uint64_t)s->options->drain_ms * CLOCK_MS + 1;
    broker_waits(s->core, &w);
    log_line(LOG_NOTICE_,
             "event=draining text=\"no new connections; %llu tasks run, %llu are queued, %llu clients have outcomes to fetch; they "
             "have %lld s; %llu disconnected clients are not waited for\"",
             (unsigned long long)w.running, (unsigned long long)w.queued, (unsigned long long)w.clients,
             (long long)s->options->drain_ms / 1000, (unsigned long long)w.gone);
    bsh_notify_stopping();
    net_listener_refuse(s->listeners[AUTH_CLIENT]);
    net_listener_refuse(s->listeners[AUTH_WORKER]);
    broker_drain(s->core, now);
}
