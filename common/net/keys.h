/* SPDX-License-Identifier: MPL-2.0
 * keys.h - keys as Z85 text, 40 characters, and key files as czmq's zcert writes them; a secret file must be 0600 or stricter and
 * ours. And endpoints with another port, which is what a profile and the daemons' options make of one.
 */
#ifndef NET_KEYS_H
#define NET_KEYS_H

#include "base/err.h"
#include "types.h"

#include <limits.h>
#include <stddef.h>

int net_keypair_new(struct net_keypair *k, struct err *e);
void net_key_text(const uint8_t key[32], char text[NET_KEY_TEXT]);
int net_key_parse(const char *text, uint8_t key[32]);               /* 0 or BFORK_EKEY */

/* A key file with what it says about itself: both of zcert's sections. */
struct net_cert {
    struct net_keypair pair;
    bool has_secret;
    char name[256];             /* metadata, "" if not there; */
    char broker[256];           /* … where to connect to */
    uint8_t broker_key[32];     /* … with which key there */
    bool has_broker_key;
};
/* secret: write or demand the secret key too, in a file of mode 0600. save: BFORK_ESTATE: exists already. load: BFORK_EKEY; the
 * secret is in path_secret, as czmq writes it, or else in path itself. */
int net_cert_save(const struct net_cert *c, const char *path, bool secret, struct err *e);
int net_cert_load(const char *path, bool secret, struct net_cert *ret, struct err *e);
/* In which of the two files the secret is looked for. 0, or BFORK_EKEY: the path is too long. */
int net_cert_secret(const char *path, char ret[PATH_MAX], struct err *e);

int net_keypair_save(const struct net_keypair *k, const char *path, const char *name,
                     struct err *e);                                                    /* BFORK_ESTATE: exists already */
int net_keypair_load(const char *path, struct net_keypair *k, struct err *e);           /* BFORK_EKEY, with what to do */
int net_public_load(const char *path, uint8_t key[32], struct err *e);
/* Nobody comes to a broker with its own key. 0, or BFORK_EKEY: what path holds is that one. */
int net_not_the_brokers(const char *path, const uint8_t own[32], const uint8_t broker[32], struct err *e);

/* "tcp://host:7700" and 2 is "tcp://host:7702"; host: NULL, or to be put in its place. 0, or BFORK_EINVAL. */
int net_endpoint_shift(const char *endpoint, const char *host, int by, char *ret, size_t size, struct err *e);

#endif
