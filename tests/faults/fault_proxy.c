/* SPDX-License-Identifier: MPL-2.0
 * fault_proxy.c - a bad network between peers and a broker: forwards TCP connections and cuts them.
 *
 *     fault_proxy TO-PORT CUTS [SEED]
 *
 * Listens on two free ports in a row (or on FAULT_PORT and the next, which must be free) and forwards them to TO-PORT and TO-PORT +
 * 1 of 127.0.0.1; prints "port=N" when it does. From SIGUSR1 on, each connection is cut (both sides, half of them with a TCP reset)
 * after a random number of bytes, until CUTS were made; "cuts=N" is printed as each is. Afterwards it only forwards. Never looks
 * into what it forwards. Ends at SIGTERM, or when its parent does.
 *
 * SIGUSR2 is an outage of FAULT_OUTAGE_MS (4000): "outage" and "over" are printed. Nothing passes, nobody is told; connections that
 * there were, and those made meanwhile, never pass anything again (TCP would send again only much later). New ones work. A
 * second after it "stalled=MS" is printed: by how much this process was woken too late, at worst, since the outage began. If it
 * is much, what others did too late says nothing about them.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PAIRS = 256, ROOM = 65536 };

struct flow { int from, to; unsigned char bytes[ROOM]; size_t at, n; };
struct pair { bool used, dead; struct flow way[2]; uint64_t left; };

static struct pair pairs[PAIRS];
static uint64_t seed = 88172645463325252u;
static unsigned cuts, cuts_wanted;
static volatile sig_atomic_t cutting, outage_wanted;
static uint64_t outage_until;
static uint64_t watch_until, watch_at, stalled;       /* when the next look is due; 0: not watched */

enum { WATCH_MS = 10, WATCH_AFTER_MS = 1000 };

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static struct sockaddr_in loopback(unsigned port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static int tcp(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        perror("socket");
        exit(1);
    }
    return fd;
}

static int listen_on(unsigned port)
{
    struct sockaddr_in a = loopback(port);
    int fd = tcp(), yes = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (bind(fd, (struct sockaddr *)(void *)&a, sizeof(a)) == 0 && listen(fd, 64) == 0)
        return fd;
    close(fd);
    return -1;
}

static void pair_close(struct pair *p, bool reset)
{
    struct linger hard = { 1, 0 };

    for (int i = 0; i < 2; i++) {
        if (reset)
            setsockopt(p->way[i].from, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
        close(p->way[i].from);
    }
    p->used = false;
}

static void pair_open(int listener, unsigned to_port)
{
    struct sockaddr_in a = loopback(to_port);
    struct pair *p = pairs;
    int peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC), broker;

    if (peer < 0)
        return;
    while (p < pairs + PAIRS && p->used)
        p++;
    broker = tcp();
    if (p == pairs + PAIRS || connect(broker, (struct sockaddr *)(void *)&a, sizeof(a)) != 0) {
        close(peer);
        close(broker);
        return;
    }
    memset(p, 0, sizeof(*p));
    p->used = true;
    p->dead = outage_until != 0;
    p->way[0].from = p->way[1].to = peer;
    p->way[0].to = p->way[1].from = broker;
    p->left = 500 + next_random() % 120000;
}

static void pair_cut(struct pair *p)
{
    pair_close(p, next_random() & 1);
    printf("cuts=%u\n", ++cuts);
    fflush(stdout);
}

/* Moves what can be moved without waiting. False: the connection has ended. */
static bool flow_move(struct flow *w, short events)
{
    ssize_t n;

    if (w->n == 0 && (events & (POLLIN | POLLHUP | POLLERR))) {
        n = recv(w->from, w->bytes, ROOM, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return false;
        w->at = 0;
        w->n = n > 0 ? (size_t)n : 0;
    }
    if (w->n > 0) {
        n = send(w->to, w->bytes + w->at, w->n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        w->at += (size_t)n;
        w->n -= (size_t)n;
    }
    return true;
}

static void pair_step(struct pair *p, const struct pollfd *f)
{
    uint64_t moved = 0;

    for (int i = 0; i < 2; i++) {
        size_t before = p->way[i].at;
        short events = f[i].revents;
        if (!flow_move(&p->way[i], events)) {
            pair_close(p, false);
            return;
        }
        moved += p->way[i].at > before ? p->way[i].at - before : p->way[i].at;
    }
    if (cutting && cuts < cuts_wanted && moved >= p->left)
        pair_cut(p);
    else
        p->left -= !cutting ? 0 : moved < p->left ? moved : p->left;
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Notes how late this turn is; how long poll may sleep, or -1. */
static int watch(uint64_t now)
{
    if (!watch_until)
        return -1;
    if (now > watch_at && now - watch_at > stalled)
        stalled = now - watch_at;
    if (now >= watch_until) {
        printf("stalled=%llu\n", (unsigned long long)stalled);
        fflush(stdout);
        watch_until = 0;
        return -1;
    }
    watch_at = now + WATCH_MS;
    return WATCH_MS;
}

/* Begins and ends outages; how long poll may sleep, or -1. */
static int outage(void)
{
    const char *ms = getenv("FAULT_OUTAGE_MS");
    uint64_t now = now_ms();

    if (outage_wanted) {
        outage_wanted = 0;
        outage_until = now + (ms ? strtoul(ms, NULL, 10) : 4000);
        watch_until = outage_until + WATCH_AFTER_MS;
        watch_at = now;
        stalled = 0;
        for (int i = 0; i < PAIRS; i++)
            pairs[i].dead |= pairs[i].used;
        puts("outage");
        fflush(stdout);
    }
    if (outage_until && now >= outage_until) {
        outage_until = 0;
        puts("over");
        fflush(stdout);
    }
    return watch(now);
}

static void serve(const int listeners[2], unsigned to_port)
{
    struct pollfd f[2 + 2 * PAIRS];

    for (;;) {
        int wait = outage();
        for (int i = 0; i < 2; i++)
            f[i] = (struct pollfd){ .fd = listeners[i], .events = POLLIN };
        for (int i = 0; i < 2 * PAIRS; i++) {
            const struct pair *p = &pairs[i / 2];
            const struct flow *in = &p->way[i % 2], *out = &p->way[1 - i % 2];
            f[2 + i] = (struct pollfd){ .fd = p->used && !p->dead ? in->from : -1 };
            f[2 + i].events = (short)((in->n == 0 ? POLLIN : 0) | (out->n > 0 ? POLLOUT : 0));
        }
        if (poll(f, 2 + 2 * PAIRS, wait) < 0) {
            if (errno == EINTR)
                continue;
            perror("poll");
            exit(1);
        }
        for (int i = 0; i < PAIRS; i++)
            if (pairs[i].used && (f[2 + 2 * i].revents || f[3 + 2 * i].revents))
                pair_step(&pairs[i], &f[2 + 2 * i]);
        for (unsigned i = 0; i < 2; i++)
            if (f[i].revents)
                pair_open(listeners[i], to_port + i);
    }
}

static void begin(int signal_number)
{
    (void)signal_number;
    cutting = 1;
}

static void cut_off(int signal_number)
{
    (void)signal_number;
    outage_wanted = 1;
}

int main(int argc, char **argv)
{
    int listeners[2] = { -1, -1 };

    if (argc < 3) {
        fputs("usage: fault_proxy TO-PORT CUTS [SEED]\n", stderr);
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGUSR1, begin);
    signal(SIGUSR2, cut_off);
    cuts_wanted = (unsigned)strtoul(argv[2], NULL, 10);
    if (argc > 3)
        seed ^= strtoull(argv[3], NULL, 10) * 0x9e3779b97f4a7c15u;
    const char *given = getenv("FAULT_PORT");
    unsigned from = given && *given ? (unsigned)strtoul(given, NULL, 10) : 11000 + (unsigned)getpid() % 20000;
    for (unsigned port = from; listeners[0] < 0 || listeners[1] < 0; port += 2) {
        for (int i = 0; i < 2; i++)
            if (listeners[i] >= 0)
                close(listeners[i]);
        if (port > 65000 || (given && *given && port != from)) {
            fputs("no free ports\n", stderr);
            return 1;
        }
        listeners[0] = listen_on(port);
        listeners[1] = listen_on(port + 1);
        if (listeners[0] >= 0 && listeners[1] >= 0)
            printf("port=%u\n", port);
    }
    fflush(stdout);
    serve(listeners, (unsigned)strtoul(argv[1], NULL, 10));
}
