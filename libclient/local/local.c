/* SPDX-License-Identifier: MPL-2.0
 * local.c - the local engine: a broker core and a worker core in this process, joined by function calls, with task processes below
 * them. The same decisions as on a cluster, no daemon, no sockets, no threads: whoever drives the session runs it.
 *
 * Messages are handed over as they are, without encoding; bodies are references. The worker offers more slots than anybody asks
 * for: how many processes there are is the pool's word.
 */
#include "link.h"

#include "base/clock.h"
#include "base/least.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "bfork.h"
#include "broker/core/broker.h"
#include "exec/object.h"
#include "lanes.h"
#include "task/task.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define FOR_EVER_MS 0x3fffffffu     /* leases and heartbeats between parts of one process */
#define SLOTS 65536u
#define WINDOW (1ull << 40)
#define OUTPUT_WINDOW (16u << 20)   /* what tasks have printed and the program has not taken */
#define WORKER_WINDOW (4u << 20)    /* bytes of chunks in the worker core and the rings at a time */

#define MANY 32u                    /* with more tasks outstanding one result is not worth a wake-up, if they are short */

#define FORKED 0xfe                 /* first byte of the digest of a program that is a fork of the caller; its number follows */

/* Of a pool with BFORK_START_FORK. */
struct forked { struct list_node node; uint8_t digest[WIRE_DIGEST]; struct task_server server; };

enum { PEER_CLIENT = 1, PEER_WORKER = 2 };

struct local {
    struct link link;
    struct session *core;
    struct link_events events;
    struct broker *broker;
    struct worker *worker;
    struct lanes *lanes;
    char host[256];
    struct list forks;
    uint64_t n_forks;
    uint8_t client_key[WIRE_KEY], worker_key[WIRE_KEY];
};

/* Session to broker. */
static bool from_session(struct local *l, uint64_t now)
{
    size_t n;
    const struct session_effect *e = session_effects(l->core, &n);
    for (size_t i = 0; i < n; i++)
        if (e[i].type == SESSION_RECONNECT)     /* nowhere to: the session is at its end */
            l->events.failed(l->events.ctx, BFORK_ENOMEM, e[i].text);
        else
            broker_recv(l->broker, now, PEER_CLIENT, WIRE_CLIENT, l->client_key, &e[i].msg);
    session_effects_done(l->core);
    return n > 0;
}

/* Broker to session and worker. */
static bool from_broker(struct local *l, uint64_t now)
{
    size_t n;
    const struct broker_effect *e = broker_effects(l->broker, &n);
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        if (e[i].type == BROKER_SEND && e[i].peer == PEER_CLIENT)
            session_recv(l->core, now, &e[i].msg);
        else if (e[i].type == BROKER_SEND)
            worker_recv(l->worker, now, &e[i].msg);
        else if (e[i].type == BROKER_CUT)
            l->events.failed(l->events.ctx, e[i].code ? e[i].code : BFORK_EPROTOCOL, e[i].text);
        any |= e[i].type != BROKER_LOG;
    }
    broker_effects_done(l->broker);
    return any;
}

/* Worker to broker and to its processes. */
static bool move_from_worker(struct local *l, uint64_t now)
{
    size_t n;
    const struct worker_effect *e = worker_effects(l->worker, &n);
    for (size_t i = 0; i < n; i++) {
        if (e[i].type == WORKER_SEND)
            broker_recv(l->broker, now, PEER_WORKER, WIRE_WORKER, l->worker_key, &e[i].msg);
        else if (e[i].type == WORKER_RECONNECT || e[i].type == WORKER_REFUSED)
            l->events.failed(l->events.ctx, BFORK_ENOMEM, "the local engine ran out of memory");
        else if (e[i].type == WORKER_LOG && e[i].level == LOG_WARNING_)     /* there is no log but the program's stderr */
            l->events.warning(l->events.ctx, e[i].text);
        else
            lanes_perform(l->lanes, now, &e[i]);
    }
    worker_effects_done(l->worker);
    return n > 0;
}

static bool local_pump(struct link *link, uint64_t now)
{
    struct local *l = (struct local *)link;
    bool any = false, more = true;
    while (more) {
        more = lanes_step(l->lanes, now);
        worker_tick(l->worker, now);
        worker_flush(l->worker, now);
        more |= move_from_worker(l, now);
        session_tick(l->core, now);
        session_flush(l->core, now);
        more |= from_session(l, now);
        broker_tick(l->broker, now);
        broker_flush(l->broker, now);
        more |= from_broker(l, now);
        any |= more;
    }
    return any;
}

static int local_fd(struct link *link)
{
    return lanes_fd(((struct local *)link)->lanes);
}

static uint64_t local_deadline(struct link *link)
{
    const struct local *l = (const struct local *)link;
    return least(least(lanes_deadline(l->lanes), worker_deadline(l->worker)),
                 least(broker_deadline(l->broker), session_deadline(l->core)));
}

static bool local_arm(struct link *link, enum link_want want)
{
    struct local *l = (struct local *)link;
    return lanes_arm(l->lanes, want == LINK_LOW || session_unsettled(l->core) > MANY ? lanes_want(l->lanes) : EXEC_NEXT);
}

/* Tells documents of this process apart; not a cryptographic digest, and it never leaves the process. */
static void local_digest(struct link *link, const void *p, size_t n, uint8_t out[WIRE_DIGEST])
{
    uint64_t h = map_hash_bytes(p, n);
    (void)link;
    for (size_t i = 0; i < WIRE_DIGEST; i += 8) {
        uint64_t mixed[2] = { h, i };
        memcpy(out + i, &h, 8);
        h = map_hash_bytes(mixed, sizeof(mixed));
    }
}

static int local_program(struct link *link, uint8_t out[WIRE_DIGEST], uint64_t *ret_size, struct err *e)
{
    (void)link;
    (void)e;
    memset(out, 0xff, WIRE_DIGEST);         /* "this very program": see local_resolve */
    *ret_size = 0;
    return 0;
}

/* Outside of tasks. */
static void print_output(void *ctx, uint32_t pid, int stream, const void *bytes, size_t size)
{
    struct local *l = ctx;
    l->events.printed(l->events.ctx, pid, stream, bytes, size);
}

static struct forked *fork_of(struct local *l, const uint8_t *digest)
{
    for (LIST_EACH(&l->forks, n))
        if (memcmp(LIST_ENTRY(n, struct forked, node)->digest, digest, WIRE_DIGEST) == 0)
            return LIST_ENTRY(n, struct forked, node);
    return NULL;
}

static int local_fork(struct link *link, uint8_t out[WIRE_DIGEST], struct err *e)
{
    struct local *l = (struct local *)link;
    struct forked *f = calloc(1, sizeof(*f));
    if (!f)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    int rc = task_fork_server(&f->server, e);
    if (rc < 0) {
        free(f);
        return rc;
    }
    l->n_forks++;
    f->digest[0] = FORKED;
    memcpy(f->digest + 1, &l->n_forks, sizeof(l->n_forks));
    memcpy(out, f->digest, WIRE_DIGEST);
    list_push_back(&l->forks, &f->node);
    return 0;
}

static void local_drop_fork(struct link *link, const uint8_t digest[WIRE_DIGEST])
{
    struct local *l = (struct local *)link;
    struct forked *f = fork_of(l, digest);
    if (!f)
        return;
    list_remove(&l->forks, &f->node);
    task_server_end(&f->server);
    free(f);
}

/* The one program there is: this one, by the very file that runs; or what was forked from it. */
static void on_resolve(void *ctx, worker_lane lane, struct wire_bin owner, const struct wire_pool_spec *spec)
{
    struct local *l = ctx;
    char path[4096];
    struct err e;
    int fd;
    (void)owner;
    if (spec->program.n == WIRE_DIGEST && spec->program.p[0] == FORKED) {
        const struct forked *f = fork_of(l, spec->program.p);
        if (f)
            lanes_fork(l->lanes, lane, f->server.socket);
        else
            lanes_no_program(l->lanes, lane, BFORK_CANCELLED, "exec", "the pool has been freed");
        return;
    }
    if (exec_object_program(&fd, path, sizeof(path), &e) != 0) {
        lanes_no_program(l->lanes, lane, e.code, "exec", e.text);
        return;
    }
    lanes_program(l->lanes, lane, path[0] ? path : NULL, fd, NULL);
    close(fd);
}

static bool local_ending(struct link *link)
{
    struct worker_counters c;
    worker_counters(((struct local *)link)->worker, &c);
    return c.stopping > 0;
}

static void local_close(struct link *link)
{
    struct local *l = (struct local *)link;
    lanes_free(&l->lanes);
    worker_free(&l->worker);
    broker_free(&l->broker);
    while (!list_empty(&l->forks))
        local_drop_fork(link, LIST_ENTRY(list_first(&l->forks), struct forked, node)->digest);
    free(l);
}

static const char *local_trouble(struct link *link)
{
    (void)link;
    return "";
}

static const struct link_ops local_ops = { .trouble = local_trouble,
                                           .pump = local_pump,
                                           .fd = local_fd,
                                           .deadline = local_deadline,
                                           .arm = local_arm,
                                           .ending = local_ending,
                                           .close = local_close,
                                           .digest = local_digest,
                                           .program = local_program,
                                           .fork = local_fork,
                                           .drop_fork = local_drop_fork };

static int make_cores(struct local *l, struct err *e)
{
    uint64_t window = l->events.output_window ? l->events.output_window : OUTPUT_WINDOW;
    struct broker_config bc = { .heartbeat_ms = FOR_EVER_MS,
                                .lease_ms = FOR_EVER_MS,
                                .hold_ms = 1,
                                .detach_ms = FOR_EVER_MS,
                                .quota_bytes = WINDOW,
                                .quota_tasks = WINDOW,
                                .window_bytes = WINDOW,
                                .peer_window_bytes = WINDOW,
                                .worker_memory = WINDOW,
                                .pools_max = UINT32_MAX,
                                .jobs_max = UINT32_MAX,
                                .output_window = window,
                                .worker_window_bytes = WORKER_WINDOW };
    struct worker_config wc = { .slots = SLOTS, .name = "local", .host = l->host, .software = "broadfork " BF_VERSION, .arch = "",
                                .resources = "", .pid = (uint32_t)getpid(), .window_bytes = WINDOW, .output_window = window,
                                .idle_lanes = 1 };
    uint64_t random[6];
    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return err_set(e, BFORK_ESTATE, "no random numbers from the kernel");
    bc.epoch = random[0] | 1;
    bc.seed = random[1];
    memcpy(bc.secret, &random[4], sizeof(bc.secret));
    memcpy(wc.instance, &random[2], WIRE_ID);
    if (broker_new(&bc, &l->broker) != 0)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    const struct lanes_config sc = { .output_limit = UINT64_MAX, .resolve = on_resolve, .output = print_output, .ctx = l };
    int rc = lanes_new(&sc, &l->lanes, e);
    if (rc == 0 && worker_new(&wc, lanes_ops(), l->lanes, &l->worker) != 0)
        rc = err_set(e, BFORK_ENOMEM, "out of memory");
    if (rc == 0)
        lanes_attach(l->lanes, l->worker);
    return rc;
}

int bfs_local_link_open(struct session *core, const struct link_events *events, struct link **ret, struct err *e)
{
    struct local *l = calloc(1, sizeof(*l));
    uint64_t now = clock_now();
    if (!l)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    l->link.ops = &local_ops;
    l->core = core;
    list_init(&l->forks);
    l->events = *events;
    memset(l->client_key, 'c', WIRE_KEY);
    memset(l->worker_key, 'w', WIRE_KEY);
    gethostname(l->host, sizeof(l->host) - 1);
    int rc = make_cores(l, e);
    if (rc != 0) {
        local_close(&l->link);
        return rc;
    }
    worker_connected(l->worker, now);
    session_connected(core, now);
    local_pump(&l->link, now);
    if (!session_is_up(core) || !worker_online(l->worker)) {
        local_close(&l->link);
        return err_set(e, BFORK_ENOMEM, "out of memory");
    }
    *ret = &l->link;
    return 0;
}
