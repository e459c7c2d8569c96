/* SPDX-License-Identifier: MPL-2.0
 * resolve.c - looks a host name up beside the caller's loop: getaddrinfo() may take many seconds, so it runs in a thread that ends
 * by itself and is never waited for. The result is shared by a count of two: whoever is last frees it.
 */
#include "resolve.h"

#include "bfork.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define RESOLVE_MAX 16

struct net_resolve {
    _Atomic int refs;
    _Atomic bool done;          /* what is below belongs to the reader from then on */
    int fd;
    char host[256], port[8];
    char (*addresses)[80];
    size_t n;
    int failed;
};

bool net_host_port(const char *endpoint, char host[256], char port[8])
{
    const char *colon;
    size_t n;

    if (strncmp(endpoint, "tcp://", 6) != 0)
        return false;
    endpoint += 6;
    colon = strrchr(endpoint, ':');
    if (!colon || colon == endpoint || strlen(colon + 1) > 5 || strspn(colon + 1, "0123456789") != strlen(colon + 1) || !colon[1])
        return false;
    n = (size_t)(colon - endpoint);
    if (endpoint[0] == '[' && n > 2 && endpoint[n - 1] == ']') {
        endpoint++;
        n -= 2;
    }
    if (n >= 256)
        return false;
    memcpy(host, endpoint, n);
    host[n] = '\0';
    memcpy(port, colon + 1, strlen(colon + 1) + 1);
    return true;
}

static void resolve_unref(struct net_resolve *r)
{
    if (atomic_fetch_sub(&r->refs, 1) > 1)
        return;
    close(r->fd);
    free(r->addresses);
    free(r);
}

static void resolve_list(struct net_resolve *r, const struct addrinfo *found)
{
    r->addresses = calloc(RESOLVE_MAX, sizeof(*r->addresses));
    for (; r->addresses && found && r->n < RESOLVE_MAX; found = found->ai_next) {
        char text[INET6_ADDRSTRLEN];
        const void *a = found->ai_family == AF_INET ? (void *)&((struct sockaddr_in *)(void *)found->ai_addr)->sin_addr :
                                                      (void *)&((struct sockaddr_in6 *)(void *)found->ai_addr)->sin6_addr;
        if ((found->ai_family != AF_INET && found->ai_family != AF_INET6) || !inet_ntop(found->ai_family, a, text, sizeof(text)))
            continue;
        snprintf(r->addresses[r->n++], sizeof(*r->addresses), found->ai_family == AF_INET ? "tcp://%s:%s" : "tcp://[%s]:%s", text,
                 r->port);
    }
}

static void *resolve_thread(void *arg)
{
    struct net_resolve *r = arg;
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG }, *found = NULL;
    uint64_t one = 1;

    r->failed = getaddrinfo(r->host, NULL, &hints, &found);
    if (r->failed == 0) {
        resolve_list(r, found);
        freeaddrinfo(found);
    }
    atomic_store(&r->done, true);
    if (write(r->fd, &one, sizeof(one)) < 0)
        r->failed = EAI_SYSTEM;         /* cannot happen with an eventfd; the link's own limit ends it */
    resolve_unref(r);
    return NULL;
}

int net_resolve_start(const char *host, const char *port, struct net_resolve **ret, struct err *e)
{
    struct net_resolve *r = calloc(1, sizeof(*r));
    pthread_attr_t attr;
    sigset_t all, old;
    pthread_t t;
    int rc;

    if (!r)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    atomic_init(&r->refs, 2);
    snprintf(r->host, sizeof(r->host), "%s", host);
    snprintf(r->port, sizeof(r->port), "%s", port);
    r->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->fd < 0) {
        free(r);
        return err_errno(e, BFORK_ENOMEM, errno, "cannot look up %s", host);
    }
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&t, &attr, resolve_thread, r);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (rc != 0) {
        atomic_store(&r->refs, 1);
        resolve_unref(r);
        return err_errno(e, BFORK_ENOMEM, rc, "cannot look up %s", host);
    }
    *ret = r;
    return 0;
}

int net_resolve_fd(const struct net_resolve *r)
{
    return r->fd;
}

bool net_resolve_done(struct net_resolve *r, char (**ret)[80], size_t *ret_n, struct err *e)
{
    if (!atomic_load(&r->done))
        return false;
    *ret = r->addresses;
    *ret_n = r->n;
    r->addresses = NULL;
    if (r->failed == EAI_AGAIN)
        err_set(e, BFORK_EUNREACHABLE, "cannot look up the host %s now: no name server answers", r->host);
    else if (*ret_n == 0)
        err_set(e, BFORK_EUNREACHABLE, "there is no host %s (%s): check the name in the endpoint", r->host,
                r->failed ? gai_strerror(r->failed) : "no address");
    return true;
}

void net_resolve_free(struct net_resolve **r)
{
    if (*r)
        resolve_unref(*r);
    *r = NULL;
}
