/* SPDX-License-Identifier: MPL-2.0
 * types.h - what the doors of common/net share: net.h, keys.h, link.h, listener.h.
 */
#ifndef NET_TYPES_H
#define NET_TYPES_H

#include <stdbool.h>
#include <stdint.h>

#define NET_KEY_TEXT 41         /* a key in Z85, with its NUL */

struct net;                     /* a context, and the ZAP handler when there are listeners */
struct net_listener;
struct net_link;
struct wire_msg;

struct net_keypair { uint8_t public_key[32], secret_key[32]; };

/* Is this key allowed here? Called in the thread that steps the net. */
typedef bool net_allow_fn(void *ctx, const uint8_t key[32]);

/* A message was handed to a connection. l, key: NULL for a link, peer: 0. Not to be called back into. */
typedef void net_sent_fn(void *ctx, const struct net_listener *l, uint64_t peer, const uint8_t *key, const struct wire_msg *m);

enum net_link_state { NET_LINK_CONNECTING, NET_LINK_UP, NET_LINK_DOWN };

struct net_counters { uint64_t connections, accepted, accept_failed, refused, handshake_failed, silent, bad, over_cap, cut; };

#endif
