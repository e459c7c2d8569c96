/* SPDX-License-Identifier: MPL-2.0
 * beanstalk - a client and two worker processes that speak beanstalkd's text protocol, commands pipelined; beanstalkd itself runs
 * already.
 *     beanstalk PORT rtt | submits | echo | memory PID */
#include "contest.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS = 2000, TASK = 100, BIG = 1 << 20, BATCH = 200, SUBMITS = 20000, ECHOES = 64, FLIGHT = 4, QUEUED = 200000 };

struct link { FILE *in; int fd; };
struct reply { char id[24]; size_t size; };

static struct {
    struct link client;
    const char *mode;
    pid_t broker;
    size_t size;
    char *in, *out;         /* all tasks of a run, all results in the order in which they came */
} bench;

static struct link connect_to(int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct link l = { .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    int one = 1;
    if (l.fd < 0 || connect(l.fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        contest_fail("connecting to beanstalkd: %s", strerror(errno));
    setsockopt(l.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    l.in = fdopen(l.fd, "r");
    return l;
}

/* Reads a reply's line, and its body, if it has one, into room for `room` bytes. */
static struct reply expect(struct link *l, const char *word, char *body, size_t room)
{
    char line[128], end[2];
    struct reply r = { "", 0 };
    if (!fgets(line, sizeof(line), l->in) || strncmp(line, word, strlen(word)) != 0)
        contest_fail("beanstalkd answers \"%.40s\" instead of %s", line, word);
    if (strcmp(word, "RESERVED") == 0) {
        if (sscanf(line, "RESERVED %23s %zu", r.id, &r.size) != 2 || r.size > room || fread(body, 1, r.size, l->in) != r.size ||
            fread(end, 1, 2, l->in) != 2)
            contest_fail("beanstalkd: a bad body");
    }
    return r;
}

static size_t put_text(char *to, const void *body, size_t size)
{
    size_t n = (size_t)snprintf(to, 64, "put 1 0 60 %zu\r\n", size);
    memcpy(to + n, body, size);
    memcpy(to + n + size, "\r\n", 2);
    return n + size + 2;
}

static void command(struct link *l, const char *text, const char *reply)
{
    contest_write(l->fd, text, strlen(text));
    expect(l, reply, NULL, 0);
}

static void worker(int port)
{
    struct link l = connect_to(port);
    char *body = malloc(BIG), *text = malloc(BIG + 256);
    command(&l, "use done\r\n", "USING");
    command(&l, "watch work\r\n", "WATCHING");
    command(&l, "ignore default\r\n", "WATCHING");
    contest_write(l.fd, "reserve\r\n", 9);
    for (;;) {
        struct reply r = expect(&l, "RESERVED", body, BIG);
        size_t n = put_text(text, body, r.size);
        n += (size_t)snprintf(text + n, 64, "delete %s\r\nreserve\r\n", r.id);
        contest_write(l.fd, text, n);
        expect(&l, "INSERTED", NULL, 0);
        expect(&l, "DELETED", NULL, 0);
    }
}

/* `batch` tasks there and back; the deletes of this batch go out with nothing to wait for but their own replies. */
static void round_trip(unsigned batch, unsigned first)
{
    static char *text, ids[BATCH][24];
    size_t n = 0;
    if (!text && !(text = malloc((bench.size + 256) * (bench.size == BIG ? FLIGHT : BATCH))))
        contest_fail("out of memory");
    for (unsigned i = 0; i < batch; i++)
        n += put_text(text + n, bench.in + (first + i) * bench.size, bench.size);
    for (unsigned i = 0; i < batch; i++)
        n += (size_t)snprintf(text + n, 64, "reserve\r\n");
    contest_write(bench.client.fd, text, n);
    for (unsigned i = 0; i < batch; i++)
        expect(&bench.client, "INSERTED", NULL, 0);
    for (unsigned i = 0; i < batch; i++) {
        struct reply r = expect(&bench.client, "RESERVED", bench.out + (first + i) * bench.size, bench.size);
        memcpy(ids[i], r.id, sizeof(ids[i]));
        if (r.size != bench.size)
            contest_fail("beanstalkd: a result has another size");
    }
    n = 0;
    for (unsigned i = 0; i < batch; i++)
        n += (size_t)snprintf(text + n, 64, "delete %s\r\n", ids[i]);
    contest_write(bench.client.fd, text, n);
    for (unsigned i = 0; i < batch; i++)
        expect(&bench.client, "DELETED", NULL, 0);
}

/* The results of a round trip: those of its tasks, each once, in any order. */
static void compare(unsigned batch, unsigned first)
{
    bool seen[BATCH] = { false };
    for (unsigned i = 0; i < batch; i++) {
        const char *result = bench.out + (first + i) * bench.size;
        size_t number = contest_number(result);
        if (number - first >= batch || seen[number - first] || !contest_filled(result, bench.size, number))
            contest_fail("beanstalkd: a result is wrong");
        seen[number - first] = true;
    }
}

/* Bytes of the broker for each task that only waits. Once: what is queued stays. */
static double queue_memory(void)
{
    char *text = malloc(BATCH * (TASK + 256)), body[TASK];
    double before = contest_resident(bench.broker);
    for (unsigned done = 0; done < QUEUED; done += BATCH) {
        size_t n = 0;
        for (unsigned i = 0; i < BATCH; i++) {
            contest_fill(body, TASK, done + i);
            n += put_text(text + n, body, TASK);
        }
        contest_write(bench.client.fd, text, n);
        for (unsigned i = 0; i < BATCH; i++)
            expect(&bench.client, "INSERTED", NULL, 0);
    }
    free(text);
    return (contest_resident(bench.broker) - before) / QUEUED;
}

static unsigned tasks(void)     /* of a run */
{
    return strcmp(bench.mode, "echo") == 0 ? ECHOES : strcmp(bench.mode, "submits") == 0 ? SUBMITS : ROUNDS;
}

/* Compared after the time, as ours is. */
static double echo(void)
{
    double t = contest_now();
    for (unsigned i = 0; i < ECHOES; i += FLIGHT)
        round_trip(FLIGHT, i);
    t = contest_now() - t;
    for (unsigned i = 0; i < ECHOES; i += FLIGHT)
        compare(FLIGHT, i);
    return ECHOES * (double)BIG / 1e6 / t;
}

static double submits(void)
{
    double t = contest_now();
    for (unsigned i = 0; i < SUBMITS; i += BATCH) {
        round_trip(BATCH, i);
        compare(BATCH, i);
    }
    return SUBMITS / (contest_now() - t);
}

static double run(void *data)
{
    static double us[ROUNDS];
    (void)data;
    if (strcmp(bench.mode, "memory") == 0)
        return queue_memory();
    memset(bench.out, 0xff, tasks() * bench.size);
    if (strcmp(bench.mode, "echo") == 0)
        return echo();
    if (strcmp(bench.mode, "submits") == 0)
        return submits();
    for (unsigned i = 0; i < ROUNDS; i++) {
        double t = contest_now();
        round_trip(1, i);
        compare(1, i);
        us[i] = (contest_now() - t) * 1e6;
    }
    return contest_median(us, ROUNDS);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        contest_fail("usage: beanstalk PORT rtt | submits | echo | memory PID");
    int port = (int)strtol(argv[1], NULL, 10);
    bench.mode = argv[2];
    bench.broker = argc > 3 ? (pid_t)strtol(argv[3], NULL, 10) : 0;
    bench.size = strcmp(bench.mode, "echo") == 0 ? BIG : TASK;
    bench.in = contest_payloads(tasks(), bench.size);
    bench.out = malloc(tasks() * bench.size);
    if (!bench.out)
        contest_fail("out of memory");
    int workers = strcmp(bench.mode, "rtt") == 0 ? 1 : 2;           /* as many as ours has */
    for (int i = 0; i < workers && !bench.broker; i++)
        if (contest_fork() == 0)
            worker(port);
    bench.client = connect_to(port);
    command(&bench.client, "use work\r\n", "USING");
    command(&bench.client, "watch done\r\n", "WATCHING");
    command(&bench.client, "ignore default\r\n", "WATCHING");
    return contest_loop(run, NULL, NULL);
}
