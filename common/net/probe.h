/* SPDX-License-Identifier: MPL-2.0
 * probe.h - does a listener refuse a key that it does not know? On top of net.h: it connects to itself.
 */
#ifndef NET_PROBE_H
#define NET_PROBE_H

#include "net.h"

int net_listener_probe(struct net *n, struct net_listener *l, int timeout_ms, struct err *e);   /* 0: a random key was refused */

#endif
