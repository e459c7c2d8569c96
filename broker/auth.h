/* SPDX-License-Identifier: MPL-2.0
 * auth.h - who may talk to the broker, in which role; and the broker's own secrets.
 *
 * Three sets of keys, one for each listener. A file that cannot be read or is malformed leaves the set that is in force.
 */
#ifndef BROKER_AUTH_H
#define BROKER_AUTH_H

#include "net/allow.h"
#include "net/net.h"
#include "options.h"

enum auth_role { AUTH_CLIENT, AUTH_WORKER, AUTH_ADMIN, AUTH_ROLES };

struct auth;

struct auth_set { struct auth *auth; enum auth_role role; }; /* the context of bsh_auth_allows */

struct auth {
    struct net_keypair pair;
    uint8_t secret[32];                 /* of tickets */
    struct evp_mac_ctx_st *mac;         /* keyed with it; made with the first ticket */
    struct allow *allow[AUTH_ROLES];    /* owned */
    const char *files[AUTH_ROLES];      /* borrowed: paths */
    bool required[AUTH_ROLES];          /* the file was named, so it must be there */
    struct auth_set sets[AUTH_ROLES];
};

/* Reads keys and files. create_secret: make the ticket secret if there is none. BFORK_EKEY. */
int bsh_auth_init(struct auth *a, const struct options *o, const struct paths *p, bool create_secret, struct err *e);
void bsh_auth_done(struct auth *a);
int bsh_auth_reload(struct auth *a, struct err *e);     /* all three or none */
bool bsh_auth_allows(void *set, const uint8_t key[32]); /* net_allow_fn */
/* Takes a key, or a name, out of all three files. How many lines; < 0. */
int bsh_auth_revoke(struct auth *a, const char *key_or_name, struct err *e);
/* The MAC of tickets: HMAC-SHA256, cut. broker_config.mac; ctx is the auth, whose context it uses: for one thread. */
void bsh_auth_mac(void *ctx, const void *in, size_t n, uint8_t out[16]);
/* SHA-256, for broker_config.digest; zeros, which nobody's digest is, if it cannot be computed. */
void bsh_auth_digest(void *ctx, const void *in, size_t n, uint8_t out[32]);
extern const char *const auth_role_names[AUTH_ROLES];

#endif
