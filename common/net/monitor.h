/* SPDX-License-Identifier: MPL-2.0
 * monitor.h - what happens to the connections of a socket, event by event.
 */
#ifndef NET_MONITOR_H
#define NET_MONITOR_H

#include "source.h"

struct net_event { unsigned id; uint32_t value; };

int net_monitor_open(struct net *n, void *socket, int events, struct net_source *s, struct err *e);
void net_monitor_close(struct net *n, void *socket, struct net_source *s);
bool net_monitor_next(struct net_source *s, struct net_event *ret);

#endif
