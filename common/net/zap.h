/* SPDX-License-Identifier: MPL-2.0
 * zap.h - the authentication handler of a net.
 */
#ifndef NET_ZAP_H
#define NET_ZAP_H

#include "source.h"

#define NET_ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define NET_PACE_LEAST 64u              /* handshakes that a key may make at once, however few its connections */
#define NET_PACE_PART 8u                /* … and in so many seconds again */
#define NET_FULL "X-Full"               /* a property of connections whose key made too many handshakes: they are told, and cut */

int net_zap_start(struct net *n, struct err *e);
int net_zap_serve(struct net *n, struct err *e);

#endif
