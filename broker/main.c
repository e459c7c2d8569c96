/* SPDX-License-Identifier: MPL-2.0
 * main.c - bfork-broker: reads its configuration, opens what it needs in an order that cannot leave a door open, runs, closes.
 */
#include "loop.h"

#include "base/clock.h"
#include "base/fds.h"
#include "base/log.h"
#include "bfork.h"
#include "net/probe.h"
#include "net/trace.h"
#include "notify.h"
#include "trace.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

static int fail_start(int code, const struct err *e)
{
    fprintf(stderr, "bfork-broker: %s\n", e->text);
    return code;
}

/* As many descriptors as we are allowed; what is kept for files and ZeroMQ is not for connections. */
static uint32_t main_descriptors(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return 512;
    if (r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max > 1048576 ? 1048576 : r.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &r) != 0 && getrlimit(RLIMIT_NOFILE, &r) != 0)
            return 512;
    }
    return r.rlim_cur > 256 ? (uint32_t)(r.rlim_cur > 1048576 ? 1048576 : r.rlim_cur) - 128 : 64;
}

/* Blocked before any thread is made, so that only our descriptor gets them. */
static int main_signals(void)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int main_core(struct shell *s, struct err *e)
{
    const struct options *o = s->options;
    struct broker_config c = { .heartbeat_ms = (uint32_t)o->heartbeat_ms,
                               .lease_ms = (uint32_t)o->lease_ms,
                               .hold_ms = (uint32_t)o->hold_ms,
                               .detach_ms = (uint32_t)o->detach_ms,
                               .quota_bytes = o->quota_bytes,
                               .quota_tasks = o->quota_tasks,
                               .owner_quota_bytes = o->owner_quota_bytes,
                               .owner_quota_tasks = o->owner_quota_tasks,
                               .owner_memory = o->owner_memory,
                               .worker_memory = o->worker_memory,
                               .window_bytes = o->window_bytes,
                               .lost_limit = (uint32_t)o->lost_limit,
                               .crash_limit = (uint32_t)o->crash_limit,
                               .worker_window_bytes = o->worker_window_bytes,
                               .target_us = (uint32_t)o->target_us,
                               .mac = bsh_auth_mac,
                               .mac_ctx = s->auth,
                               .digest = bsh_auth_digest };

    while (c.epoch == 0)
        if (getrandom(&c.epoch, sizeof(c.epoch), 0) != sizeof(c.epoch) || getrandom(&c.seed, sizeof(c.seed), 0) != sizeof(c.seed) ||
            getrandom(c.secret, sizeof(c.secret), 0) != sizeof(c.secret))
            return err_errno(e, BFORK_ENOMEM, errno, "no random numbers");
    s->epoch = c.epoch;
    if (broker_new(&c, &s->core) < 0)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    return 0;
}

static bool main_has_room(void *ctx, uint64_t peer)
{
    struct flow_peer *p = bsh_flow_get(&((struct shell *)ctx)->flow, peer);

    return !p || flow_waiting(p) <= SHELL_PIECES_AHEAD;
}

static int main_blob_send(void *ctx, uint64_t peer, const struct wire_msg *m)
{
    struct flow_peer *p = bsh_flow_get(&((struct shell *)ctx)->flow, peer);

    return p ? bsh_flow_send(p, m) : BFORK_EUNREACHABLE;
}

static bool main_blob_owner(void *ctx, uint64_t worker, const uint8_t digest[WIRE_DIGEST], const uint8_t *after,
                            uint8_t ret[WIRE_KEY])
{
    return broker_blob_owner(((struct shell *)ctx)->core, worker, digest, after, ret);
}

static uint64_t main_source(void *ctx, const uint8_t digest[WIRE_DIGEST], uint64_t after, uint8_t ret_key[WIRE_KEY])
{
    return broker_blob_source(((struct shell *)ctx)->core, digest, after, ret_key);
}

/* An exit code; 0: all three doors are open and were seen to be locked. */
static int main_listen(struct shell *s, uint32_t descriptors, struct err *e)
{
    static const char *const domains[AUTH_ROLES] = { "bfork-clients", "bfork-workers", "bfork-admins" };
    const char *const endpoints[AUTH_ROLES] = { s->options->endpoint, s->paths->worker_endpoint, s->paths->admin_endpoint };
    uint32_t most = s->options->max_connections ? (uint32_t)s->options->max_connections : 0;
    const uint32_t share[AUTH_ROLES] = { most ? most : descriptors / 2, most ? most : descriptors / 8 * 3, descriptors / 16 + 8 };

    for (int i = 0; i < AUTH_ROLES; i++) {
        int rc = net_listen(s->net, endpoints[i], domains[i], &s->auth->pair, bsh_auth_allows, &s->auth->sets[i], &s->listeners[i],
                            e);
        if (rc < 0)
            return rc == BFORK_ESTATE ? EXIT_BIND : rc == BFORK_EPROTOCOL ? EXIT_AUTHENTICATION : 1;
        net_listener_limits(s->listeners[i], (uint32_t)s->options->hello_ms, (uint32_t)s->options->connections_per_key, share[i]);
    }
    for (int i = 0; i < AUTH_ROLES; i++)
        if (net_listener_probe(s->net, s->listeners[i], 5000, e) < 0)
            return EXIT_AUTHENTICATION;
    return 0;
}

static int main_ports(const struct shell *s, struct err *e)
{
    static const char *const names[AUTH_ROLES] = { "endpoint", "worker-endpoint", "admin-endpoint" };
    char temporary[PATH_MAX];
    FILE *f;

    if (!s->options->ports_file)
        return 0;
    if ((size_t)snprintf(temporary, sizeof(temporary), "%s.new", s->options->ports_file) >= sizeof(temporary))
        return err_set(e, BFORK_EINVAL, "the path of the ports file is too long");
    f = fopen(temporary, "we");
    if (!f)
        return err_errno(e, BFORK_EINVAL, errno, "cannot write %s", temporary);
    for (int i = 0; i < AUTH_ROLES; i++)
        fprintf(f, "%s = %s\n", names[i], net_listener_endpoint(s->listeners[i]));
    if (fclose(f) != 0 || rename(temporary, s->options->ports_file) != 0)
        return err_errno(e, BFORK_EINVAL, errno, "cannot write %s", s->options->ports_file);
    return 0;
}

static void main_announce(const struct shell *s)
{
    log_line(LOG_NOTICE_, "event=serving clients=%s workers=%s admins=%s epoch=%016llx",
             net_listener_endpoint(s->listeners[AUTH_CLIENT]), net_listener_endpoint(s->listeners[AUTH_WORKER]),
             net_listener_endpoint(s->listeners[AUTH_ADMIN]), (unsigned long long)s->epoch);
    for (int i = 0; i < AUTH_ROLES; i++)
        if (net_allow_count(s->auth->allow[i]) == 0)
            log_line(i == AUTH_ADMIN ? LOG_INFO_ : LOG_WARNING_,
                     "event=nobody_allowed role=%s text=\"no key is allowed yet: bfork allow %s KEY\"", auth_role_names[i],
                     auth_role_names[i]);
}

static int main_serve(struct shell *s, uint32_t descriptors, int signal_fd)
{
    struct blobs_ops ops = { main_blob_send, main_has_room, main_blob_owner, main_source, s };
    struct err e = { 0, "" };
    int code = 1, rc;

    bsh_flow_init(&s->flow);
    s->items = calloc(WIRE_ITEMS_MAX, sizeof(*s->items));
    if (!s->items)
        err_set(&e, BFORK_ENOMEM, "out of memory");
    else if ((rc = bsh_blobs_new(s->paths->state, s->options->blob_cache, &ops, &s->blobs, &e)) < 0)
        code = rc == BFORK_ENOMEM ? 1 : EXIT_CONFIGURATION;
    else if (main_core(s, &e) == 0 && net_new(&s->net, &e) == 0 && (code = main_listen(s, descriptors, &e)) == 0) {
        code = EXIT_CONFIGURATION;
        if (bsh_trace_open(s, &e) == 0 && main_ports(s, &e) == 0) {
            s->started = clock_now();
            main_announce(s);
            bsh_notify_ready();
            code = bsh_shell_run(s, signal_fd);
            e.text[0] = '\0';
        }
    }
    if (e.text[0])
        fail_start(code, &e);
    net_free(&s->net);
    net_trace_close(&s->trace);
    broker_free(&s->core);
    bsh_blobs_free(&s->blobs);
    bsh_flow_done(&s->flow);
    free(s->items);
    return code;
}

static int main_check(const struct options *o, const struct paths *p, const struct conf *c, struct auth *a)
{
    struct err e = { 0, "" };
    char text[NET_KEY_TEXT];

    bsh_options_print(o, p, c);
    if (bsh_auth_init(a, o, p, false, &e) < 0)
        return fail_start(EXIT_CONFIGURATION, &e);
    net_key_text(a->pair.public_key, text);
    printf("# public key       %s\n# allowed          %zu clients, %zu workers, %zu administrators\n", text,
           net_allow_count(a->allow[AUTH_CLIENT]), net_allow_count(a->allow[AUTH_WORKER]), net_allow_count(a->allow[AUTH_ADMIN]));
    bsh_auth_done(a);
    return 0;
}

int main(int argc, char **argv)
{
    static struct paths paths;
    static struct options options;
    static struct auth auth;
    struct shell shell = { .options = &options, .paths = &paths, .auth = &auth };
    struct conf *conf = NULL;
    struct err e = { 0, "" };
    int code = 0, signal_fd;

    fds_reserve();
    if (bsh_options_read(argc, argv, &options, &paths, &conf, &e) < 0)
        return fail_start(EXIT_CONFIGURATION, &e);
    if (options.help || options.version) {
        if (options.help)
            bsh_options_help();
        else
            puts("bfork-broker " BF_VERSION);
    } else if (log_level_parse(options.log_level) < 0) {
        err_set(&e, BFORK_EINVAL, "the log level is one of error, warning, notice, info, debug, not %s", options.log_level);
        code = fail_start(EXIT_CONFIGURATION, &e);
    } else if (options.check_config) {
        code = main_check(&options, &paths, conf, &auth);
    } else if (bsh_auth_init(&auth, &options, &paths, true, &e) < 0) {
        code = fail_start(EXIT_CONFIGURATION, &e);
    } else {
        log_open("bfork-broker", (enum log_level)log_level_parse(options.log_level));
        uint32_t descriptors = main_descriptors();
        signal_fd = main_signals();
        if (signal_fd < 0) {
            err_errno(&e, BFORK_ENOMEM, errno, "cannot catch signals");
            code = fail_start(1, &e);
        } else {
            code = main_serve(&shell, descriptors, signal_fd);
            close(signal_fd);
        }
        bsh_auth_done(&auth);
    }
    conf_free(&conf);
    return code;
}
