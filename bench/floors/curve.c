/* SPDX-License-Identifier: MPL-2.0
 * curve - the floor of everything encrypted: client - CURVE broker - worker echo on loopback, nothing but the transport, one frame
 * a message.
 *     rtt         100 bytes, one in flight: p50 in microseconds
 *     chain       the same with a forked child behind the worker, over two pipes: what every round trip through a daemon that runs
 *                 tasks in other processes is made of
 *     echo        1 MiB there and back, four in flight: MB/s
 *     batch N B   N tasks of B bytes a message, eight messages in flight: tasks/s
 * The broker is one ROUTER to the client and one to the worker, and forwards bodies as they are. No authentication handler: keys
 * only. What comes back is compared as a whole: a round trip within its time, what flows after it. */
#include "contest.h"
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

enum { ROUNDS = 2000, TASK = 100, BIG = 1 << 20, MOVED = 40000000 };

struct floor {
    void *socket;
    const char *mode;
    size_t size;                /* of a message */
    size_t batch;               /* payloads in it */
    unsigned n;                 /* messages of a run of echo and batch: all that is sent, all that came back */
    char *in, *out;
};

static char server_public[41], server_secret[41], client_public[41], client_secret[41];

static void check(bool ok, const char *what)
{
    if (!ok)
        contest_fail("%s: %s", what, zmq_strerror(errno));
}

static void *make_socket(void *context, int type, bool server)
{
    void *s = zmq_socket(context, type);
    int one = 1, zero = 0;
    check(s, "zmq_socket");
    zmq_setsockopt(s, ZMQ_LINGER, &zero, sizeof(zero));
    zmq_setsockopt(s, ZMQ_SNDHWM, &zero, sizeof(zero));
    zmq_setsockopt(s, ZMQ_RCVHWM, &zero, sizeof(zero));
    if (server) {
        zmq_setsockopt(s, ZMQ_CURVE_SERVER, &one, sizeof(one));
        check(zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, server_secret, 40) == 0, "CURVE");
    } else {
        zmq_setsockopt(s, ZMQ_CURVE_SERVERKEY, server_public, 40);
        zmq_setsockopt(s, ZMQ_CURVE_PUBLICKEY, client_public, 40);
        check(zmq_setsockopt(s, ZMQ_CURVE_SECRETKEY, client_secret, 40) == 0, "CURVE");
    }
    return s;
}

/* Forwards all that waits at `from` to the peer of `to`. The last peer heard of is the only one. */
static void forward(void *from, void *to, zmq_msg_t *from_peer, zmq_msg_t *to_peer)
{
    zmq_msg_t id, body, target;
    for (;;) {
        zmq_msg_init(&id);
        if (zmq_msg_recv(&id, from, ZMQ_DONTWAIT) < 0)
            return;
        zmq_msg_init(&body);
        zmq_msg_recv(&body, from, 0);
        zmq_msg_move(from_peer, &id);
        if (zmq_msg_size(to_peer) > 0 && zmq_msg_size(&body) > 1) {     /* one byte: a greeting */
            zmq_msg_init(&target);
            zmq_msg_copy(&target, to_peer);
            zmq_msg_send(&target, to, ZMQ_SNDMORE);
            zmq_msg_send(&body, to, 0);
        } else {
            zmq_msg_close(&body);
        }
    }
}

static void broker(int ports)
{
    void *context = zmq_ctx_new(), *front = make_socket(context, ZMQ_ROUTER, true), *back = make_socket(context, ZMQ_ROUTER, true);
    char endpoints[2][64];
    size_t size = sizeof(endpoints[0]);
    zmq_msg_t client, worker;
    zmq_msg_init(&client);
    zmq_msg_init(&worker);
    check(zmq_bind(front, "tcp://127.0.0.1:*") == 0 && zmq_bind(back, "tcp://127.0.0.1:*") == 0, "bind");
    memset(endpoints, 0, sizeof(endpoints));
    zmq_getsockopt(front, ZMQ_LAST_ENDPOINT, endpoints[0], &size);
    size = sizeof(endpoints[1]);
    zmq_getsockopt(back, ZMQ_LAST_ENDPOINT, endpoints[1], &size);
    contest_write(ports, endpoints, sizeof(endpoints));
    for (;;) {
        zmq_pollitem_t items[] = { { front, 0, ZMQ_POLLIN, 0 }, { back, 0, ZMQ_POLLIN, 0 } };
        if (zmq_poll(items, 2, -1) < 0)
            _exit(1);
        forward(front, back, &client, &worker);
        forward(back, front, &worker, &client);
    }
}

/* A child that sends back what it reads, so that the worker has what a worker has: a process that runs the task. */
static void child(int there[2], int back[2])
{
    if (pipe(there) < 0 || pipe(back) < 0)
        _exit(1);
    if (contest_fork() == 0) {
        char bytes[TASK];
        for (;;) {
            contest_read(there[0], bytes, TASK);
            contest_write(back[1], bytes, TASK);
        }
    }
}

static void worker(const char *endpoint, bool chain)
{
    int there[2], back[2];
    void *socket = make_socket(zmq_ctx_new(), ZMQ_DEALER, false);
    zmq_msg_t m;
    if (chain)
        child(there, back);
    check(zmq_connect(socket, endpoint) == 0, "connect");
    zmq_send(socket, "w", 1, 0);
    for (;;) {
        zmq_msg_init(&m);
        if (zmq_msg_recv(&m, socket, 0) < 0)
            _exit(1);
        if (chain && zmq_msg_size(&m) == TASK) {
            contest_write(there[1], zmq_msg_data(&m), TASK);
            contest_read(back[0], zmq_msg_data(&m), TASK);
        }
        if (zmq_msg_send(&m, socket, 0) < 0)
            _exit(1);
    }
}

static void send_one(void *socket, const void *bytes, size_t size)
{
    check(zmq_send(socket, bytes, size, 0) >= 0, "send");
}

static void receive_one(void *socket, void *bytes, size_t size)
{
    int n = zmq_recv(socket, bytes, size, 0);
    check(n >= 0, "receive");
    if ((size_t)n != size)
        contest_fail("a message of %zu bytes came back with %d", size, n);
}

/* Messages a second, with so many in flight. They come back in their order. */
static double flow(const struct floor *f, unsigned in_flight)
{
    unsigned sent = 0;
    memset(f->out, 0xff, f->n * f->size);
    double t = contest_now();
    for (unsigned received = 0; received < f->n; received++) {
        for (; sent < f->n && sent - received < in_flight; sent++)
            send_one(f->socket, f->in + sent * f->size, f->size);
        receive_one(f->socket, f->out + received * f->size, f->size);
    }
    t = contest_now() - t;
    if (memcmp(f->in, f->out, f->n * f->size) != 0)
        contest_fail("a message came back as another");
    return f->n / t;
}

static void round_trip(const struct floor *f, unsigned number)
{
    char bytes[TASK];
    contest_fill(bytes, TASK, number);
    send_one(f->socket, bytes, TASK);
    receive_one(f->socket, bytes, TASK);
    if (!contest_filled(bytes, TASK, number))
        contest_fail("message %u came back as another", number);
}

static double run(void *data)
{
    struct floor *f = data;
    static double us[ROUNDS];
    if (strcmp(f->mode, "echo") == 0)
        return flow(f, 4) * BIG / 1e6;
    if (strcmp(f->mode, "batch") == 0)
        return flow(f, 8) * (double)f->batch;
    for (unsigned i = 0; i < ROUNDS; i++) {
        double t = contest_now();
        round_trip(f, i);
        us[i] = (contest_now() - t) * 1e6;
    }
    return contest_median(us, ROUNDS);
}

/* What is sent, and room for what comes back. */
static void prepare(struct floor *f, size_t batch, size_t bytes)
{
    bool echo = strcmp(f->mode, "echo") == 0;
    if (!echo && strcmp(f->mode, "batch") != 0)
        return;
    f->batch = echo ? 1 : batch;
    f->size = echo ? BIG : batch * bytes;
    f->n = echo ? 64 : MOVED / (unsigned)f->size;
    f->in = contest_payloads(f->n * f->batch, f->size / f->batch);
    f->out = malloc(f->n * f->size);
    if (!f->out)
        contest_fail("out of memory");
}

int main(int argc, char **argv)
{
    char endpoints[2][64];
    int ports[2], wait = 100;
    struct floor f = { .mode = argc > 1 ? argv[1] : "rtt" };

    if (zmq_curve_keypair(server_public, server_secret) < 0 || zmq_curve_keypair(client_public, client_secret) < 0)
        contest_skip("this libzmq has no CURVE");
    if (pipe(ports) < 0)
        contest_fail("pipe: %s", strerror(errno));
    if (contest_fork() == 0)
        broker(ports[1]);
    contest_read(ports[0], endpoints, sizeof(endpoints));
    if (contest_fork() == 0)
        worker(endpoints[1], strcmp(f.mode, "chain") == 0);

    prepare(&f, argc > 2 ? strtoul(argv[2], NULL, 10) : 1, argc > 3 ? strtoul(argv[3], NULL, 10) : TASK);
    f.socket = make_socket(zmq_ctx_new(), ZMQ_DEALER, false);
    check(zmq_connect(f.socket, endpoints[0]) == 0, "connect");
    zmq_setsockopt(f.socket, ZMQ_RCVTIMEO, &wait, sizeof(wait));
    for (size_t tries = 0, came = SIZE_MAX; ; tries++) {      /* until the worker is known, and nothing older is on its way */
        char bytes[TASK];
        if (tries == 50)
            contest_fail("no echo after 5 s");
        contest_fill(bytes, TASK, tries);
        send_one(f.socket, bytes, TASK);
        while (came != tries && zmq_recv(f.socket, bytes, sizeof(bytes), 0) >= 0)
            came = contest_number(bytes);
        if (came == tries)
            break;
    }
    wait = 10000;
    zmq_setsockopt(f.socket, ZMQ_RCVTIMEO, &wait, sizeof(wait));
    return contest_loop(run, NULL, &f);
}
