/* SPDX-License-Identifier: MPL-2.0
 * probe.c - proves that a listener refuses a key it does not know: knocks with a random one and insists on the refusal.
 */
#include "probe.h"

#include "base/clock.h"
#include "bfork.h"
#include "peers.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

/* What to connect to for a bound endpoint: the wildcard addresses are not places. */
static void probe_target(const char *endpoint, char ret[256])
{
    if (strncmp(endpoint, "tcp://0.0.0.0:", 14) == 0)
        snprintf(ret, 256, "tcp://127.0.0.1:%s", endpoint + 14);
    else if (strncmp(endpoint, "tcp://[::]:", 11) == 0)
        snprintf(ret, 256, "tcp://[::1]:%s", endpoint + 11);
    else
        snprintf(ret, 256, "%s", endpoint);
}

int net_listener_probe(struct net *n, struct net_listener *l, int timeout_ms, struct err *e)
{
    struct net_keypair stranger;
    struct net_link *link = NULL;
    struct err why = { 0, "" };
    char target[256];
    uint64_t deadline = clock_now() + (uint64_t)timeout_ms * CLOCK_MS;
    enum net_link_state state = NET_LINK_CONNECTING;
    int rc;

    probe_target(l->endpoint, target);
    if ((rc = net_keypair_new(&stranger, e)) < 0 || (rc = net_connect(n, target, l->server_key, &stranger, &link, e)) < 0)
        return rc;
    while (state == NET_LINK_CONNECTING && clock_now() < deadline) {
        struct pollfd p = { .fd = n->epoll_fd, .events = POLLIN };
        if (!net_ready(n))
            poll(&p, 1, clock_poll_ms(clock_now(), deadline));
        if ((rc = net_step(n, e)) < 0)
            break;
        state = net_link_state(link, &why);
    }
    net_link_close(&link);
    if (rc < 0)
        return rc;
    if (state == NET_LINK_DOWN && why.code == BFORK_EDENIED)
        return 0;
    if (state == NET_LINK_UP)
        return err_set(e, BFORK_EPROTOCOL, "%s admitted a random key: authentication does not work here; refusing to serve",
                       l->endpoint);
    if (state == NET_LINK_DOWN)
        return err_set(e, BFORK_EPROTOCOL, "the self-test of authentication on %s found no refusal: %s", l->endpoint, why.text);
    return err_set(e, BFORK_EPROTOCOL, "the self-test of authentication on %s was not answered within %d ms", l->endpoint,
                   timeout_ms);
}
