/* SPDX-License-Identifier: MPL-2.0
 * bfork-broker as a process: how it starts and refuses to, whom it talks to, signals, orders. Peers are made by hand from
 * common/net. Usage: test_daemon PATH-OF-BFORK-BROKER
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "bfork.h"
#include "net/allow.h"
#include "net/link_i.h"
#include "net/net.h"
#include "net/peers.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *broker_path;

struct daemon_process { pid_t pid; int err; char text[65536]; size_t n; };

struct world {
    char dir[64];
    struct daemon_process d;
    char ends[3][256];              /* clients, workers, admins */
    struct net_keypair broker, keys[3];
    struct net *net;
    struct wire_item *items;
    struct buf *frame;              /* of the last message */
};

static const char *at(const struct world *w, const char *name)
{
    static char paths[4][256];
    static int turn;

    turn = (turn + 1) % 4;
    snprintf(paths[turn], sizeof(paths[turn]), "%s/%s", w->dir, name);
    return paths[turn];
}

/* Starts the broker with --dir and more flags; its stderr comes to us. */
static void start(struct world *w, struct daemon_process *d, const char *const *more)
{
    const char *argv[24] = { broker_path, "--dir", w->dir };
    int n = 3, pipes[2];

    for (; more && *more; more++)
        argv[n++] = *more;
    argv[n] = NULL;
    memset(d, 0, sizeof(*d));
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    d->pid = fork();
    assert_true(d->pid >= 0);
    if (d->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);       /* a failed test leaves nothing behind */
        dup2(pipes[1], 2);
        execv(broker_path, (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    close(pipes[1]);
    d->err = pipes[0];
}

/* Reads stderr until `word` was there. False: it ended without. */
static bool until_said(struct daemon_process *d, const char *word)
{
    uint64_t deadline = clock_now() + 20 * CLOCK_SEC;

    while (!strstr(d->text, word)) {
        struct pollfd p = { .fd = d->err, .events = POLLIN };
        ssize_t got;
        if (poll(&p, 1, clock_poll_ms(clock_now(), deadline)) == 0)
            fail_msg("the broker did not say \"%s\" but: %s", word, d->text);
        got = read(d->err, d->text + d->n, sizeof(d->text) - 1 - d->n);
        if (got <= 0)
            return false;
        d->n += (size_t)got;
        d->text[d->n] = '\0';
    }
    return true;
}

static int ended(struct daemon_process *d)
{
    int status = 0;

    until_said(d, "\001 never said");
    assert_int_equal(waitpid(d->pid, &status, 0), d->pid);
    close(d->err);
    if (!WIFEXITED(status))
        fail_msg("the broker was killed by signal %d: %s", WTERMSIG(status), d->text);
    return WEXITSTATUS(status);
}

static void ends_with(struct daemon_process *d, int code, const char *word)
{
    int got = ended(d);

    if (got != code || !strstr(d->text, word))
        fail_msg("exit code %d, wanted %d with \"%s\": %s", got, code, word, d->text);
}

static void prepare(struct world *w)
{
    static const char *const roles[3] = { "clients", "workers", "admins" };
    struct err e = { 0, "" };
    char path[64];

    memset(w, 0, sizeof(*w));
    strcpy(w->dir, "broker.XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    assert_int_equal(net_keypair_new(&w->broker, &e), 0);
    assert_int_equal(net_keypair_save(&w->broker, at(w, "broker.key"), "broker", &e), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(net_keypair_new(&w->keys[i], &e), 0);
        snprintf(path, sizeof(path), "allow/%s", roles[i]);
        assert_int_equal(net_allow_add(at(w, path), w->keys[i].public_key, roles[i], &e), 1);
    }
    assert_int_equal(net_new(&w->net, &e), 0);
    w->items = calloc(WIRE_ITEMS_MAX, sizeof(*w->items));
}

static const char *const any_port[] = { "--endpoint", "tcp://127.0.0.1:0", "--ports-file", "ports", NULL };

static void serve(struct world *w)
{
    const char *flags[] = { "--endpoint", "tcp://127.0.0.1:0", "--hello-limit", "10s", "--ports-file", at(w, "ports"), NULL };
    static const char *const names[3] = { " clients=", " workers=", " admins=" };

    start(w, &w->d, flags);
    if (!until_said(&w->d, "event=serving") || !until_said(&w->d, "epoch="))
        fail_msg("the broker did not start: %s", w->d.text);
    for (int i = 0; i < 3; i++) {
        const char *from = strstr(w->d.text, names[i]) + strlen(names[i]);
        snprintf(w->ends[i], sizeof(w->ends[i]), "%.*s", (int)strcspn(from, " "), from);
    }
}

static void stop(struct world *w)
{
    if (w->d.pid && kill(w->d.pid, SIGTERM) == 0)
        assert_int_equal(ended(&w->d), 0);
}

static void finish(struct world *w)
{
    char command[128];

    net_free(&w->net);
    buf_unref(&w->frame);
    free(w->items);
    snprintf(command, sizeof(command), "rm -rf ./%s", w->dir);
    assert_int_equal(system(command), 0);
}

static void step(struct world *w, uint64_t deadline)
{
    struct pollfd p = { .fd = net_fd(w->net), .events = POLLIN };
    struct err e;

    assert_true(clock_now() < deadline);
    if (!net_ready(w->net))
        poll(&p, 1, clock_poll_ms(clock_now(), deadline));
    assert_int_equal(net_step(w->net, &e), 0);
}

static struct net_link *connect_to(struct world *w, int end, const struct net_keypair *k)
{
    struct net_link *l = NULL;
    struct err e = { 0, "" };

    assert_int_equal(net_connect(w->net, w->ends[end], w->broker.public_key, k, &l, &e), 0);
    return l;
}

static int down(struct world *w, struct net_link *l, struct err *e)
{
    uint64_t deadline = clock_now() + 10 * CLOCK_SEC;
    struct buf *b;

    while (net_link_state(l, e) != NET_LINK_DOWN) {
        step(w, deadline);
        while (net_link_recv(l, &b) == 1)
            buf_unref(&b);
    }
    return e->code;
}

static void receive(struct world *w, struct net_link *l, unsigned type, struct wire_msg *m)
{
    uint64_t deadline = clock_now() + 10 * CLOCK_SEC;
    struct err e = { 0, "" };

    for (;;) {
        buf_unref(&w->frame);
        while (net_link_recv(l, &w->frame) != 1) {
            if (net_link_state(l, &e) == NET_LINK_DOWN)
                fail_msg("the connection ended while waiting for %s: %s", wire_type_name(type), e.text);
            step(w, deadline);
        }
        assert_int_equal(wire_decode(w->frame->data, w->frame->size, w->frame, w->items, m, &e), 0);
        if (m->type == type)
            return;
    }
}

static void hello(struct world *w, struct net_link *l, int end, struct wire_msg *welcome)
{
    static const uint8_t instances[3][16] = { { 1 }, { 2 }, { 3 } };
    struct wire_msg m = { .type = WIRE_HELLO };

    m.u.hello.protocol_min = WIRE_PROTOCOL_MIN;
    m.u.hello.protocol_max = WIRE_PROTOCOL;
    m.u.hello.role = (uint32_t)end + 1;
    m.u.hello.software = WIRE_STR("test");
    m.u.hello.name = WIRE_STR("test");
    m.u.hello.host = WIRE_STR("here");
    m.u.hello.instance = wire_bin_of(instances[end], 16);
    m.u.hello.conn_no = 1;
    m.u.hello.window_bytes = 1 << 20;
    if (end == 1) {
        m.u.hello.slots = 2;
        m.u.hello.arch = WIRE_STR("x86_64-linux-gnu");
        m.u.hello.resources = WIRE_STR("cpus=2");
    }
    assert_int_equal(net_link_send(l, &m), 0);
    receive(w, l, WIRE_WELCOME, welcome);
}

static struct net_link *session(struct world *w, int end)
{
    struct net_link *l = connect_to(w, end, &w->keys[end]);
    struct wire_msg m;

    hello(w, l, end, &m);
    if (end == 1) {
        m = (struct wire_msg){ .type = WIRE_HOLDING };
        m.u.holding.last = true;
        assert_int_equal(net_link_send(l, &m), 0);
    }
    return l;
}

static json_t *status(struct world *w, struct net_link *l, const char *what)
{
    struct wire_msg m = { .type = WIRE_STATUS_GET, .request = 7 };
    json_t *o;
    char *text;

    m.u.status_get.what = WIRE_STR(what);
    assert_int_equal(net_link_send(l, &m), 0);
    receive(w, l, WIRE_STATUS, &m);
    assert_int_equal(m.request, 7);
    text = strndup(m.u.status.json.p, m.u.status.json.n);
    o = json_loads(text, 0, NULL);
    if (!o)
        fail_msg("not JSON: %s", text);
    free(text);
    return o;
}

/* Asks until the broker has taken the worker in. */
static json_t *status_with_worker(struct world *w, struct net_link *l)
{
    uint64_t deadline = clock_now() + 10 * CLOCK_SEC;

    for (;;) {
        json_t *o = status(w, l, "summary");
        if (json_integer_value(json_object_get(o, "workers")) == 1)
            return o;
        json_decref(o);
        assert_true(clock_now() < deadline);
    }
}

static void order(struct world *w, struct net_link *l, const char *verb, const char *argument, unsigned answer, struct wire_msg *m)
{
    memset(m, 0, sizeof(*m));
    m->type = WIRE_ADMIN;
    m->request = 9;
    m->u.admin.verb = WIRE_STR(verb);
    m->u.admin.argument = WIRE_STR(argument);
    assert_int_equal(net_link_send(l, m), 0);
    receive(w, l, answer, m);
    assert_int_equal(m->request, 9);
}

/* ---- tests ------------------------------------------------------------------------------------------------------------------- */

static void it_serves_and_ends_at_sigterm(void **state)
{
    struct world w;
    struct stat st;
    char line[512];
    (void)state;

    prepare(&w);
    serve(&w);
    FILE *f = fopen(at(&w, "ports"), "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof(line), f));
    assert_memory_equal(line, "endpoint = tcp://127.0.0.1:", 27);
    assert_non_null(strstr(line, w.ends[0]));
    fclose(f);
    assert_int_equal(stat(at(&w, "broker.secret"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, 32);
    stop(&w);
    serve(&w);
    assert_int_equal(kill(w.d.pid, SIGPIPE), 0);
    assert_int_equal(kill(w.d.pid, SIGINT), 0);
    assert_int_equal(ended(&w.d), 0);
    struct stat again;
    assert_int_equal(stat(at(&w, "broker.secret"), &again), 0);
    assert_int_equal(again.st_ino, st.st_ino);
    finish(&w);
}

static void a_wrong_configuration_is_exit_2(void **state)
{
    struct world w;
    struct daemon_process d;
    (void)state;

    prepare(&w);
    start(&w, &d, (const char *const[]){ "--nonsense", NULL });
    ends_with(&d, 2, "nonsense");
    start(&w, &d, (const char *const[]){ "--log-level", "loud", NULL });
    ends_with(&d, 2, "loud");
    start(&w, &d, (const char *const[]){ "--key", "/none/broker.key", NULL });
    ends_with(&d, 2, "bfork keygen");
    start(&w, &d, (const char *const[]){ "--allow-clients", "/none/clients", NULL });
    ends_with(&d, 2, "/none/clients");
    assert_int_equal(chmod(at(&w, "broker.key"), 0640), 0);
    start(&w, &d, any_port);
    ends_with(&d, 2, "chmod 600");
    assert_int_equal(chmod(at(&w, "broker.key"), 0600), 0);
    FILE *f = fopen(at(&w, "allow/workers"), "a");
    fputs("rubbish\n", f);
    fclose(f);
    start(&w, &d, any_port);
    ends_with(&d, 2, "allow/workers:2:");
    finish(&w);
}

static void check_config_checks_and_exits(void **state)
{
    struct world w;
    struct daemon_process d;
    (void)state;

    prepare(&w);
    start(&w, &d, (const char *const[]){ "--check-config", NULL });
    assert_int_equal(ended(&d), 0);
    assert_int_not_equal(access(at(&w, "broker.secret"), F_OK), 0);      /* it changes nothing */
    FILE *f = fopen(at(&w, "broker.conf"), "w");
    fputs("lease = soon\n", f);
    fclose(f);
    start(&w, &d, (const char *const[]){ "--check-config", NULL });
    ends_with(&d, 2, "broker.conf:1");
    finish(&w);
}

static void an_address_in_use_is_exit_3_and_a_shared_state_exit_2(void **state)
{
    struct world w;
    struct daemon_process d;
    (void)state;

    prepare(&w);
    serve(&w);
    start(&w, &d, (const char *const[]){ "--endpoint", w.ends[0], "--state-dir", at(&w, "other"), NULL });
    ends_with(&d, 3, "in use");
    start(&w, &d, any_port);
    ends_with(&d, 2, "another broker");
    stop(&w);
    finish(&w);
}

static void each_key_fits_one_door(void **state)
{
    struct world w;
    struct net_keypair stranger;
    struct err e = { 0, "" };
    (void)state;

    prepare(&w);
    serve(&w);
    assert_int_equal(net_keypair_new(&stranger, &e), 0);
    for (int end = 0; end < 3; end++) {
        struct net_link *l = connect_to(&w, end, &stranger);
        assert_int_equal(down(&w, l, &e), BFORK_EDENIED);
        net_link_close(&l);
        for (int key = 0; key < 3; key++) {
            if (key == end)
                continue;
            l = connect_to(&w, end, &w.keys[key]);
            assert_int_equal(down(&w, l, &e), BFORK_EDENIED);
            net_link_close(&l);
        }
        l = session(&w, end);
        net_link_close(&l);
    }
    stop(&w);
    finish(&w);
}

static void status_has_the_names_people_use(void **state)
{
    struct world w;
    (void)state;

    prepare(&w);
    serve(&w);
    struct net_link *worker = session(&w, 1), *client = session(&w, 0), *admin = session(&w, 2);
    json_t *o = status_with_worker(&w, client);
    assert_string_equal(json_string_value(json_object_get(o, "endpoint")), w.ends[0]);
    assert_int_equal(json_integer_value(json_object_get(o, "clients")), 1);
    assert_true(json_is_integer(json_object_get(o, "uptime_s")));
    assert_true(json_is_integer(json_object_get(o, "queued")));
    assert_true(json_integer_value(json_object_get(o, "bytes")) > 0);      /* r07: what is held for its key */
    assert_int_equal(json_integer_value(json_object_get(o, "bytes_most")), 2ll << 30);
    assert_null(json_object_get(o, "keys"));
    assert_null(json_object_get(o, "counters"));            /* r14: a client sees its own numbers only */
    assert_null(json_object_get(o, "listeners"));
    json_decref(o);
    o = status(&w, admin, "summary");
    assert_true(json_is_integer(json_object_get(json_object_get(o, "counters"), "tasks_accepted")));
    assert_int_equal(json_array_size(json_object_get(o, "keys")), 1);
    assert_true(json_integer_value(json_object_get(json_array_get(json_object_get(o, "keys"), 0), "bytes")) > 0);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(json_object_get(o, "listeners"), "admins"), "connections")),
                     1);
    json_decref(o);
    o = status(&w, admin, "workers");
    assert_int_equal(json_array_size(json_object_get(o, "workers")), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(json_object_get(o, "workers"), 0), "host")), "here");
    json_decref(o);
    o = status(&w, client, "jobs");
    assert_int_equal(json_array_size(json_object_get(o, "jobs")), 0);
    json_decref(o);
    net_link_close(&worker);
    stop(&w);
    finish(&w);
}

static void a_reload_cuts_who_is_gone_and_keeps_the_old_when_broken(void **state)
{
    struct world w;
    struct err e = { 0, "" };
    (void)state;

    prepare(&w);
    serve(&w);
    struct net_link *client = session(&w, 0), *worker = session(&w, 1);
    FILE *f = fopen(at(&w, "allow/clients"), "a");
    fputs("rubbish\n", f);
    fclose(f);
    assert_int_equal(kill(w.d.pid, SIGHUP), 0);
    assert_true(until_said(&w.d, "event=reload_failed"));
    json_decref(status(&w, client, "summary"));         /* still there */
    f = fopen(at(&w, "allow/clients"), "w");
    fputs("# nobody\n", f);
    fclose(f);
    uint64_t begin = clock_now();
    assert_int_equal(kill(w.d.pid, SIGHUP), 0);
    down(&w, client, &e);
    assert_true(clock_now() - begin < CLOCK_SEC);
    net_link_close(&client);
    client = connect_to(&w, 0, &w.keys[0]);
    assert_int_equal(down(&w, client, &e), BFORK_EDENIED);
    assert_int_equal(net_link_state(worker, &e), NET_LINK_UP);
    stop(&w);
    finish(&w);
}

static void orders_of_administrators(void **state)
{
    struct world w;
    struct err e = { 0, "" };
    struct wire_msg m;
    char key[NET_KEY_TEXT];
    (void)state;

    prepare(&w);
    serve(&w);
    struct net_link *admin = session(&w, 2), *client = session(&w, 0);
    order(&w, admin, "dance", "", WIRE_ERROR, &m);
    assert_int_equal(m.u.error.code, BFORK_EINVAL);
    order(&w, admin, "status", "summary", WIRE_STATUS, &m);
    order(&w, admin, "reload", "", WIRE_STATUS, &m);
    order(&w, admin, "revoke", "nobody", WIRE_ERROR, &m);
    order(&w, admin, "revoke", "", WIRE_ERROR, &m);
    net_key_text(w.keys[0].public_key, key);
    uint64_t begin = clock_now();
    order(&w, admin, "revoke", key, WIRE_STATUS, &m);
    down(&w, client, &e);
    assert_true(clock_now() - begin < CLOCK_SEC);
    order(&w, admin, "revoke", "workers", WIRE_STATUS, &m);     /* by name */
    struct net_link *worker = connect_to(&w, 1, &w.keys[1]);
    assert_int_equal(down(&w, worker, &e), BFORK_EDENIED);
    order(&w, admin, "stop", "", WIRE_STATUS, &m);
    assert_int_equal(ended(&w.d), 0);
    finish(&w);
}

/* An order that would be done to the whole broker is not done when it is given for something else. */
static void r24_orders_are_refused_by_field_and_value(void **state)
{
    static const struct { const char *verb, *argument, *field, *value; } wrong[] = {
        { "drain", "worker0", "argument", "worker0" }, { "stop", "worker0", "argument", "worker0" },
        { "reload", "clients", "argument", "clients" }, { "fly", "", "verb", "fly" }, { "revoke", "", "argument", "needs" },
        { "revoke", "nobody", "argument", "nobody" }, { "status", "weather", "argument", "weather" },
    };
    struct world w;
    struct wire_msg m;
    struct err e = { 0, "" };
    char said[600];
    (void)state;

    prepare(&w);
    serve(&w);
    struct net_link *admin = session(&w, 2);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        order(&w, admin, wrong[i].verb, wrong[i].argument, WIRE_ERROR, &m);
        assert_int_equal(m.u.error.code, BFORK_EINVAL);
        snprintf(said, sizeof(said), "%.*s: %.*s", (int)m.u.error.field.n, m.u.error.field.p, (int)m.u.error.text.n,
                 m.u.error.text.p);
        assert_ptr_equal(strstr(said, wrong[i].field), said);
        assert_non_null(strstr(said, wrong[i].value));
    }
    json_decref(status(&w, admin, "summary"));                  /* it goes on */
    m = (struct wire_msg){ .type = WIRE_ADMIN, .u.admin = { .verb = WIRE_STR("fly") } };
    assert_int_equal(net_link_send(admin, &m), 0);              /* nobody knows what that would answer */
    receive(&w, admin, WIRE_ERROR, &m);
    down(&w, admin, &e);
    net_link_close(&admin);
    stop(&w);
    finish(&w);
}

static void clients_give_no_orders(void **state)
{
    struct world w;
    struct wire_msg m = { .type = WIRE_ADMIN };
    struct err e = { 0, "" };
    (void)state;

    prepare(&w);
    serve(&w);
    struct net_link *client = session(&w, 0);
    m.u.admin.verb = WIRE_STR("stop");
    assert_int_equal(net_link_send(client, &m), 0);
    receive(&w, client, WIRE_ERROR, &m);
    assert_int_equal(m.u.error.code, BFORK_EPROTOCOL);
    down(&w, client, &e);
    net_link_close(&client);
    client = session(&w, 0);
    stop(&w);
    finish(&w);
}

static void garbage_ends_its_session_and_nothing_else(void **state)
{
    struct world w;
    struct err e = { 0, "" };
    struct wire_msg m;
    (void)state;

    prepare(&w);
    serve(&w);
    struct net_link *bad = session(&w, 1), *good = session(&w, 2);
    zmq_msg_t raw;
    zmq_msg_init_size(&raw, 100);
    memset(zmq_msg_data(&raw), 0xdf, 100);
    assert_true(zmq_msg_send(&raw, bad->data.socket, ZMQ_DONTWAIT) == 100);
    receive(&w, bad, WIRE_ERROR, &m);
    assert_int_equal(m.u.error.code, BFORK_EPROTOCOL);
    down(&w, bad, &e);
    json_t *o = status(&w, good, "summary");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(o, "counters"), "bad_messages")), 1);
    json_decref(o);
    /* the session is ended, not only cut: the same instance does not find it again */
    net_link_close(&bad);
    bad = connect_to(&w, 1, &w.keys[1]);
    hello(&w, bad, 1, &m);
    assert_false(m.u.welcome.resumed);
    net_link_close(&bad);
    /* a status that there is not is an error of that question */
    m = (struct wire_msg){ .type = WIRE_STATUS_GET, .request = 41, .u.status_get.what = WIRE_STR("weather") };
    assert_int_equal(net_link_send(good, &m), 0);
    receive(&w, good, WIRE_ERROR, &m);
    assert_int_equal(m.request, 41);
    assert_int_equal(m.u.error.code, BFORK_EINVAL);
    json_decref(status(&w, good, "jobs"));
    stop(&w);
    finish(&w);
}

static bool send_bytes(struct net_link *l, size_t n)
{
    zmq_msg_t raw;

    assert_int_equal(zmq_msg_init_size(&raw, n), 0);
    memset(zmq_msg_data(&raw), 0, n);
    return zmq_msg_send(&raw, l->data.socket, ZMQ_DONTWAIT) == (int)n;
}

/* One byte too many is told, also to who reads a trace; what the transport itself does not take ends without a word, and nobody
 * else notices. */
static void a_frame_over_the_limit_gets_its_error_before_the_cut(void **state)
{
    struct world w;
    struct err e = { 0, "" };
    struct wire_msg m;
    (void)state;

    prepare(&w);
    setenv("BFORK_BROKER_TRACE", "-", 1);
    serve(&w);
    unsetenv("BFORK_BROKER_TRACE");
    struct net_link *good = session(&w, 2);
    for (int i = 0; i < 2; i++) {
        struct net_link *bad = session(&w, 0);
        assert_true(send_bytes(bad, i ? NET_FRAME_ROOM : WIRE_FRAME_MAX + 1));
        receive(&w, bad, WIRE_ERROR, &m);
        assert_int_equal(m.u.error.code, BFORK_EPROTOCOL);
        assert_true(m.u.error.text.n > 40 && memmem(m.u.error.text.p, m.u.error.text.n, "the limit is 1314816", 20));
        down(&w, bad, &e);
        net_link_close(&bad);
    }
    assert_true(until_said(&w.d, ": 1314817 bytes that are no message: "));
    assert_true(until_said(&w.d, "the limit is 1314816"));
    struct net_link *worse = session(&w, 0);
    assert_true(send_bytes(worse, NET_FRAME_ROOM + NET_OVERHEAD));
    down(&w, worse, &e);
    json_decref(status(&w, good, "summary"));
    stop(&w);
    finish(&w);
}

static void who_says_no_hello_is_told_to(void **state)
{
    struct world w;
    struct wire_msg m = { .type = WIRE_PING };
    (void)state;

    prepare(&w);
    serve(&w);
    struct net_link *client = connect_to(&w, 0, &w.keys[0]);
    assert_int_equal(net_link_send(client, &m), 0);
    receive(&w, client, WIRE_RESET, &m);
    hello(&w, client, 0, &m);
    assert_int_equal(m.u.welcome.owner.n, 32);
    assert_memory_equal(m.u.welcome.owner.p, w.keys[0].public_key, 32);
    stop(&w);
    finish(&w);
}

static void a_stopped_broker_goes_on_where_it_was(void **state)
{
    struct world w;
    int st;
    (void)state;

    prepare(&w);
    serve(&w);
    struct net_link *worker = session(&w, 1), *client = session(&w, 2);
    json_decref(status_with_worker(&w, client));
    assert_int_equal(kill(w.d.pid, SIGSTOP), 0);
    assert_int_equal(waitpid(w.d.pid, &st, WUNTRACED), w.d.pid);
    uint64_t until = clock_now() + 1500 * CLOCK_MS;      /* longer than half a heartbeat: what is tested is a span of time */
    while (clock_now() < until)
        poll(NULL, 0, clock_poll_ms(clock_now(), until));
    assert_int_equal(kill(w.d.pid, SIGCONT), 0);
    json_t *o = status(&w, client, "summary");
    assert_int_equal(json_integer_value(json_object_get(o, "workers")), 1);
    assert_true(json_integer_value(json_object_get(json_object_get(o, "counters"), "stalls")) >= 1);
    json_decref(o);
    net_link_close(&worker);
    stop(&w);
    finish(&w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_serves_and_ends_at_sigterm),
        cmocka_unit_test(a_wrong_configuration_is_exit_2),
        cmocka_unit_test(check_config_checks_and_exits),
        cmocka_unit_test(an_address_in_use_is_exit_3_and_a_shared_state_exit_2),
        cmocka_unit_test(each_key_fits_one_door),
        cmocka_unit_test(status_has_the_names_people_use),
        cmocka_unit_test(a_reload_cuts_who_is_gone_and_keeps_the_old_when_broken),
        cmocka_unit_test(orders_of_administrators),
        cmocka_unit_test(r24_orders_are_refused_by_field_and_value),
        cmocka_unit_test(clients_give_no_orders),
        cmocka_unit_test(garbage_ends_its_session_and_nothing_else),
        cmocka_unit_test(a_frame_over_the_limit_gets_its_error_before_the_cut),
        cmocka_unit_test(who_says_no_hello_is_told_to),
        cmocka_unit_test(a_stopped_broker_goes_on_where_it_was),
    };

    if (argc != 2) {
        fprintf(stderr, "usage: test_daemon PATH-OF-BFORK-BROKER\n");
        return 2;
    }
    broker_path = argv[1];
    umask(022);
    unsetenv("BFORK_DIR");
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
