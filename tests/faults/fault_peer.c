/* SPDX-License-Identifier: MPL-2.0
 * fault_peer.c - peers that do not behave, made by hand. What the broker answers is printed on one line.
 *
 *     fault_peer join ENDPOINT KEY-FILE ROLE [VERSION]    connects, says HELLO: "code=-48 TEXT", or "welcome"
 *     fault_peer program ENDPOINT KEY-FILE FILE ARCH      a client whose pool runs FILE, announced as built for ARCH: what becomes
 *                                                         of it: "kind=-8 pool: WHY", or "kind=… stage=… WHY"
 *     fault_peer absent ENDPOINT KEY-FILE FILE N          a client with N pools, whose programs nobody has, or every second one,
 *                                                         FILE with a wrong size: "N pools", then "job=K kind=-8 …" for each
 *     fault_peer noise PORT ROUNDS                        what scanners send, to PORT and the next two; half of the connections
 *                                                         are left open
 *     fault_peer idle PORT N                              N connections that say nothing: "open=N", then waits for the end of its
 *                                                         input
 *     fault_peer hold PORT                                listens there and serves nobody: "held"
 * The key of the broker is the one that the key file names. Every wait ends after 20 s, that of "absent" after 120 s.
 */
#include "base/arch.h"
#include "base/clock.h"
#include "bfork.h"
#include "net/net.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <openssl/sha.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct peer {
    struct net *net;
    struct net_link *link;
    struct wire_item items[WIRE_ITEMS_MAX];
    struct buf *frame;
    uint64_t deadline;
};

static int die(const char *what)
{
    fprintf(stderr, "fault_peer: %s\n", what);
    exit(1);
}

static void print_text(const struct wire_str *s) { printf("%.*s", (int)s->n, s->n ? s->p : ""); }

/* The next message, or false: the connection has ended, why is in e. */
static bool receive(struct peer *p, struct wire_msg *m, struct err *e)
{
    for (;;) {
        struct pollfd f = { .fd = net_fd(p->net), .events = POLLIN };
        buf_unref(&p->frame);
        if (net_link_recv(p->link, &p->frame) == 1) {
            if (wire_decode(p->frame->data, p->frame->size, p->frame, p->items, m, e) != 0)
                die(e->text);
            return true;
        }
        if (net_link_state(p->link, e) == NET_LINK_DOWN)
            return false;
        if (clock_now() >= p->deadline)
            die("nothing has come for 20 s");
        if (!net_ready(p->net))
            poll(&f, 1, clock_poll_ms(clock_now(), p->deadline));
        if (net_step(p->net, e) < 0)
            die(e->text);
    }
}

static void transmit(struct peer *p, struct wire_msg *m)
{
    if (net_link_send(p->link, m) != 0)
        die("a message could not be sent");
}

static void join(struct peer *p, const char *endpoint, const char *key, uint32_t role, uint32_t version)
{
    static struct net_cert cert;
    struct wire_msg m = { .type = WIRE_HELLO };
    struct err e = { 0, "" };

    memset(p, 0, sizeof(*p));
    p->deadline = clock_now() + 20 * CLOCK_SEC;
    if (net_cert_load(key, true, &cert, &e) < 0 || net_new(&p->net, &e) < 0 ||
        net_connect(p->net, endpoint, cert.broker_key, &cert.pair, &p->link, &e) < 0)
        die(e.text);
    m.u.hello = (struct wire_hello){ .protocol_min = version, .protocol_max = version, .role = role, .conn_no = 1,
        .software = WIRE_STR("fault_peer"), .name = WIRE_STR("fault_peer"), .host = WIRE_STR("here"),
        .instance = wire_bin_of("fault_peer------", 16), .window_bytes = 1 << 20 };
    if (role == WIRE_WORKER) {
        m.u.hello.slots = 1;
        m.u.hello.arch = WIRE_STR("x86_64-linux-gnu");
        m.u.hello.resources = WIRE_STR("cpus=1");
    }
    transmit(p, &m);
}

static int do_join(const char *endpoint, const char *key, uint32_t role, uint32_t version)
{
    static struct peer p;
    struct wire_msg m;
    struct err e = { 0, "" };

    join(&p, endpoint, key, role, version);
    if (!receive(&p, &m, &e)) {
        printf("code=%d %s\n", e.code, e.text);
    } else if (m.type == WIRE_ERROR) {
        printf("code=%d min=%u max=%u ", m.u.error.code, m.u.error.protocol_min, m.u.error.protocol_max);
        print_text(&m.u.error.text);
        puts(receive(&p, &m, &e) ? " (and goes on)" : " (and is cut)");
    } else {
        puts(m.type == WIRE_WELCOME ? "welcome" : wire_type_name(m.type));
    }
    net_link_close(&p.link);
    net_free(&p.net);
    buf_unref(&p.frame);
    return 0;
}

/* ---- a program --------------------------------------------------------------------------------------------------------------- */

struct program { uint8_t *bytes; size_t size; uint8_t digest[32]; const char *arch; };

static void program_read(struct program *x, const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) != 0 || !(x->bytes = malloc((size_t)st.st_size)))
        die("the program cannot be read");
    while (x->size < (size_t)st.st_size) {
        ssize_t n = read(fd, x->bytes + x->size, (size_t)st.st_size - x->size);
        if (n <= 0)
            die("the program cannot be read");
        x->size += (size_t)n;
    }
    close(fd);
    SHA256(x->bytes, x->size, x->digest);
}

/* Pool and job of this number, with one task. */
static void program_submit(struct peer *p, const struct program *x, uint32_t number)
{
    struct wire_pool_spec ps = { .program = wire_bin_of(x->digest, 32), .program_size = x->size, .program_name =
        WIRE_STR("doctored"), .arch = WIRE_STR(x->arch) };
    struct buf *spec = wire_pool_spec_encode(&ps), *fn, *job;
    struct wire_fn f = { .kind = WIRE_FN_OFFSET, .offset = 4096, .symbol = WIRE_STR("task") };
    struct wire_job_spec js = { .kind = WIRE_JOB_TASKS, .total = 1, .name = WIRE_STR("doctored") };
    struct wire_item item = { .job = number, .count = 1, .flags = WIRE_FIXED, .size = 1,
                              .body = { NULL, (const uint8_t *)"\x90", 1 } };
    struct wire_msg m = { .type = WIRE_POOL_OPEN };
    uint8_t digest[32], id[17] = "doctored--------";

    id[8] = (uint8_t)number;
    SHA256(spec->data, spec->size, digest);
    m.u.pool_open = (struct wire_pool_open){ .pool = number, .processes = 1, .digest = wire_bin_of(digest, 32),
        .spec = wire_bin_of(spec->data, spec->size), .name = WIRE_STR("doctored") };
    transmit(p, &m);
    fn = wire_fn_encode(&f);
    js.fn = wire_bin_of(fn->data, fn->size);
    job = wire_job_spec_encode(&js);
    m = (struct wire_msg){ .type = WIRE_JOB_OPEN };
    m.u.job_open = (struct wire_job_open){ .job = number, .pool = number, .id = wire_bin_of(id, 16),
        .spec = wire_bin_of(job->data, job->size) };
    transmit(p, &m);
    m = (struct wire_msg){ .type = WIRE_TASKS, .items = &item, .n_items = 1 };
    transmit(p, &m);
    buf_unref(&spec);
    buf_unref(&fn);
    buf_unref(&job);
}

static void program_piece(struct peer *p, const struct program *x, const struct wire_msg *asked)
{
    struct wire_msg m = { .type = WIRE_BLOB_PIECE, .request = asked->request };
    size_t at = asked->u.blob.offset < x->size ? (size_t)asked->u.blob.offset : x->size, n = x->size - at;

    if (n > 1 << 20)
        n = 1 << 20;
    if (asked->u.blob.size && n > asked->u.blob.size)
        n = asked->u.blob.size;
    m.u.blob = (struct wire_blob){ .digest = wire_bin_of(x->digest, 32), .offset = at, .total = x->size, .size = (uint32_t)n };
    m.body = (struct slice){ NULL, x->bytes + at, n };
    transmit(p, &m);
}

static void print_outcome(const struct wire_item *i)
{
    struct wire_outcome o;
    struct err e = { 0, "" };

    if (i->kind != WIRE_OUTCOME || wire_outcome_decode(i->body.data, i->body.size, &o, &e) != 0) {
        puts("kind=0");
        return;
    }
    printf("kind=%d attempt=%u stage=", o.kind, o.attempt);
    print_text(&o.stage);
    putchar(' ');
    print_text(&o.message);
    putchar('\n');
}

static int do_program(const char *endpoint, const char *key, const char *path, const char *arch)
{
    static struct peer p;
    struct program x = { .arch = arch };
    struct wire_msg m;
    struct err e = { 0, "" };

    program_read(&x, path);
    join(&p, endpoint, key, WIRE_CLIENT, 1);
    if (!receive(&p, &m, &e) || m.type != WIRE_WELCOME)
        die("not welcome");
    program_submit(&p, &x, 1);
    for (;;) {
        if (!receive(&p, &m, &e))
            die(e.text);
        if (m.type == WIRE_BLOB_GET)
            program_piece(&p, &x, &m);
        if (m.type == WIRE_POOL_STATE && m.u.pool_state.code < 0) {
            printf("kind=%d pool: ", m.u.pool_state.code);
            print_text(&m.u.pool_state.text);
            putchar('\n');
            break;
        }
        if (m.type == WIRE_OUTCOMES) {
            print_outcome(&m.items[0]);
            break;
        }
    }
    m = (struct wire_msg){ .type = WIRE_BYE };
    transmit(&p, &m);
    net_link_close(&p.link);
    net_free(&p.net);
    buf_unref(&p.frame);
    free(x.bytes);
    return 0;
}

static int do_absent(const char *endpoint, const char *key, const char *path, uint32_t n)
{
    static struct peer p;
    struct program x = { .arch = BASE_ARCH };
    struct wire_msg m, pong = { .type = WIRE_PONG };
    struct err e = { 0, "" };

    program_read(&x, path);
    join(&p, endpoint, key, WIRE_CLIENT, 1);
    p.deadline = clock_now() + 120 * CLOCK_SEC;
    if (!receive(&p, &m, &e) || m.type != WIRE_WELCOME)
        die("not welcome");
    for (uint32_t k = 1; k <= n; k++) {
        struct program bad = x;

        if (k % 2)
            SHA256((const uint8_t *)&k, sizeof(k), bad.digest);
        else
            bad.size += k;
        program_submit(&p, &bad, k);
    }
    printf("%u pools\n", n);
    fflush(stdout);
    for (uint32_t done = 0; done < n;) {
        if (!receive(&p, &m, &e))
            die(e.text);
        pong.u.ping.stamp = m.u.ping.stamp;
        if (m.type == WIRE_PING)
            transmit(&p, &pong);
        for (uint32_t k = 0; m.type == WIRE_OUTCOMES && k < m.n_items; k++, done++) {
            printf("job=%u ", m.items[k].job);
            print_outcome(&m.items[k]);
        }
        fflush(stdout);
    }
    m = (struct wire_msg){ .type = WIRE_BYE };
    transmit(&p, &m);
    net_link_close(&p.link);
    net_free(&p.net);
    buf_unref(&p.frame);
    free(x.bytes);
    return 0;
}

/* ---- no peers at all --------------------------------------------------------------------------------------------------------- */

static struct sockaddr_in loopback(unsigned port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static int dial(unsigned port)
{
    struct sockaddr_in a = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (struct sockaddr *)(void *)&a, sizeof(a)) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static size_t noise_make(unsigned kind, unsigned char *to, size_t room)
{
    static const unsigned char null_greeting[64] = { 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1, 'N', 'U', 'L', 'L' };
    static const unsigned char curve_greeting[64] = { 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1, 'C', 'U', 'R', 'V', 'E' };
    static const char http[] = "GET / HTTP/1.1\r\nHost: broker\r\nUser-Agent: scanner\r\n\r\n";

    memset(to, 0, room);
    switch (kind) {
    case 0:
        memcpy(to, http, sizeof(http) - 1);
        return sizeof(http) - 1;
    case 1:
        memcpy(to, null_greeting, 64);
        return 64;
    case 2:                                     /* a greeting that fits, then a frame that says it is huge */
        memcpy(to, curve_greeting, 64);
        memset(to + 64, 0xff, 9);
        to[64] = 6;
        return 73;
    case 3:
        memcpy(to, curve_greeting, 64);
        return 11;                              /* half a greeting */
    case 4:
        return 0;                               /* a port scan: connects and goes */
    default:
        for (size_t i = 0; i < room; i++)
            to[i] = (unsigned char)(random() >> 7);
        return 1 + (size_t)random() % room;
    }
}

static int do_noise(unsigned port, unsigned rounds)
{
    unsigned char bytes[4096];
    unsigned refused = 0, sent = 0;

    for (unsigned r = 0; r < rounds; r++)
        for (unsigned k = 0; k < 3 * 8; k++) {
            int fd = dial(port + k % 3);
            size_t n = noise_make(k / 3, bytes, sizeof(bytes));
            if (fd < 0) {
                refused++;
                continue;
            }
            if (n == 0 || send(fd, bytes, n, MSG_NOSIGNAL) == (ssize_t)n)
                sent++;
            if (r % 2 == 0)
                close(fd);                      /* else it stays half open until we end */
        }
    printf("noise: %u connections, %u could not be made\n", sent, refused);
    return sent == 0;
}

static int do_idle(unsigned port, unsigned n)
{
    unsigned open_now = 0;
    char byte;

    for (unsigned i = 0; i < n; i++)
        open_now += dial(port + i % 3) >= 0;
    printf("open=%u\n", open_now);
    fflush(stdout);
    while (read(0, &byte, 1) > 0)
        ;
    return open_now == 0;
}

static int do_hold(unsigned port)
{
    struct sockaddr_in a = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    char byte;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (fd < 0 || bind(fd, (struct sockaddr *)(void *)&a, sizeof(a)) != 0 || listen(fd, 1) != 0)
        return die(strerror(errno));
    puts("held");
    fflush(stdout);
    while (read(0, &byte, 1) > 0)
        ;
    return 0;
}

static unsigned number(const char *text) { return (unsigned)strtoul(text, NULL, 10); }

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";

    if (strcmp(what, "join") == 0 && argc >= 5)
        return do_join(argv[2], argv[3], number(argv[4]), argc > 5 ? number(argv[5]) : WIRE_PROTOCOL);
    if (strcmp(what, "program") == 0 && argc == 6)
        return do_program(argv[2], argv[3], argv[4], argv[5]);
    if (strcmp(what, "absent") == 0 && argc == 6)
        return do_absent(argv[2], argv[3], argv[4], number(argv[5]));
    if (strcmp(what, "noise") == 0 && argc == 4)
        return do_noise(number(argv[2]), number(argv[3]));
    if (strcmp(what, "idle") == 0 && argc == 4)
        return do_idle(number(argv[2]), number(argv[3]));
    if (strcmp(what, "hold") == 0)
        return do_hold(number(argv[2]));
    fputs("usage: see fault_peer.c\n", stderr);
    return 2;
}
