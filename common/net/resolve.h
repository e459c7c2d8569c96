/* SPDX-License-Identifier: MPL-2.0
 * resolve.h - one name, looked up by a thread of its own; its end shows on a descriptor.
 */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct net_resolve;

int net_resolve_start(const char *host, const char *port, struct net_resolve **ret, struct err *e);
int net_resolve_fd(const struct net_resolve *r);
bool net_resolve_done(struct net_resolve *r, char (**ret)[80], size_t *ret_n, struct err *e);  /* *ret: caller frees */
void net_resolve_free(struct net_resolve **r);
bool net_host_port(const char *endpoint, char host[256], char port[8]);

#endif
