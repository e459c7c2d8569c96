/* SPDX-License-Identifier: MPL-2.0
 * main.c - bfork-worker: reads its configuration, makes its parts, runs, closes. Task processes end with it (common/exec sees to
 * that).
 */
#include "shell.h"

#include "base/arch.h"
#include "base/clock.h"
#include "base/fds.h"
#include "base/log.h"
#include "bfork.h"
#include "net/trace.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail_worker(int code, const struct err *e)
{
    fprintf(stderr, "bfork-worker: %s\n", e->text);
    return code;
}

/* Blocked before any thread is made, so that only our descriptor gets them. */
static int open_signals(void)
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

/* Each task process takes a few. */
static void raise_descriptors(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max && r.rlim_max != RLIM_INFINITY) {
        r.rlim_cur = r.rlim_max > 1048576 ? 1048576 : r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);       /* if not: fewer processes at a time, with a text when it comes to that */
    }
}

/* Programs that do not say where libbfork is find the one that came with this program, wherever the prefix is. */
static void find_library(char folder[PATH_MAX])
{
    char own[PATH_MAX], file[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
    char *slash;

    own[n > 0 ? n : 0] = '\0';
    if (!(slash = strrchr(own, '/')))
        return;
    *slash = '\0';
    if (snprintf(file, sizeof(file), "%s/" BF_BIN_TO_LIB "/libbfork.so.0", own) >= (int)sizeof(file) || !realpath(file, own))
        return;
    file[strlen(file) - strlen("/libbfork.so.0")] = '\0';
    if (realpath(file, own) && !strpbrk(own, ":;$"))       /* the loader takes these for something else */
        snprintf(folder, PATH_MAX, "%s", own);
}

/* ---- programs -------------------------------------------------------------------------------- */

static void resolve_program(void *ctx, worker_lane lane, struct wire_bin owner, const struct wire_pool_spec *spec)
{
    struct shell *s = ctx;
    char name[256], text[600];

    snprintf(name, sizeof(name), "%.*s", (int)spec->program_name.n, spec->program_name.n ? spec->program_name.p : "");
    if (spec->arch.n != strlen(BASE_ARCH) || memcmp(spec->arch.p, BASE_ARCH, spec->arch.n) != 0) {
        snprintf(text, sizeof(text), "%s is built for %.*s, and worker %s runs %s", name, (int)spec->arch.n,
                 spec->arch.n ? spec->arch.p : "", s->settings->name, BASE_ARCH);
        lanes_no_program(s->lanes, lane, BFORK_REFUSED, "arch", text);
        return;
    }
    if (spec->program.n != WIRE_DIGEST || owner.n != WIRE_KEY) {
        lanes_no_program(s->lanes, lane, BFORK_EPROTOCOL, "fetch", "the program is not named by a SHA-256");
        return;
    }
    struct blobs_wish wish = { .digest = spec->program.p, .owner = owner.p, .size = spec->program_size, .name = name };

    wsh_blobs_want(s->blobs, lane, &wish);
}

static void blob_send(void *ctx, const struct wire_msg *m)
{
    struct shell *s = ctx;
    struct wire_msg copy = *m;

    copy.ack = worker_ack(s->core);
    wsh_connection_send(s, &copy);
}

static bool blob_wanted(void *ctx, uint32_t lane)
{
    return lanes_known(((struct shell *)ctx)->lanes, lane);
}

static uint64_t blob_quiet(void *ctx, uint32_t lane)
{
    return worker_lane_quiet(((struct shell *)ctx)->core, lane);
}

static void blob_yield(void *ctx, uint32_t lane, const char *text)
{
    struct shell *s = ctx;

    worker_lane_yield(s->core, clock_now(), lane, text);
}

static void blob_ready(void *ctx, uint32_t lane, int fd)
{
    struct shell *s = ctx;

    lanes_program(s->lanes, lane, NULL, fd, s->library_path[0] ? s->library_path : NULL);
}

static void blob_failed(void *ctx, uint32_t lane, int code, const char *stage, const char *text)
{
    lanes_no_program(((struct shell *)ctx)->lanes, lane, code, stage, text);
}

/* Outside of tasks: what a preload or an initializer says. */
static void log_output(void *ctx, uint32_t pid, int stream, const void *bytes, size_t size)
{
    (void)ctx;
    log_limited(LOG_INFO_, 'o', "event=output pid=%u stream=%d text=\"%.*s\"", pid, stream, (int)(size < 500 ? size : 500),
                (const char *)bytes);
}

/* ---- parts ----------------------------------------------------------------------------------- */

static int make_core(struct shell *s, struct err *e)
{
    struct worker_config c = { .slots = s->settings->slots, .has_replaces = s->instance.has_replaces, .name = s->settings->name,
        .host = s->settings->host, .software = "broadfork " BF_VERSION, .arch = BASE_ARCH, .resources = s->settings->resources,
        .key_exposed = s->settings->key_exposed, .pid = (uint32_t)getpid(), .window_bytes = s->options->window_bytes };

    memcpy(c.instance, s->instance.id, WIRE_ID);
    memcpy(c.replaces, s->instance.replaces, WIRE_ID);
    if (worker_new(&c, lanes_ops(), s->lanes, &s->core) < 0)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    lanes_attach(s->lanes, s->core);
    return 0;
}

static void trace_to_broker(void *ctx, const struct net_listener *l, uint64_t peer, const uint8_t *key, const struct wire_msg *m)
{
    (void)l;
    (void)peer;
    (void)key;
    net_trace_message(((struct shell *)ctx)->trace, true, "the broker", m);
}

static int check_work_dir(const char *dir, struct err *e)
{
    struct stat st;

    if (stat(dir, &st) != 0)
        return err_errno(e, BFORK_EINVAL, errno, "the work directory %s", dir);
    if (!S_ISDIR(st.st_mode) || access(dir, X_OK) != 0)
        return err_set(e, BFORK_EINVAL, "the work directory %s is not a directory that can be entered", dir);
    return 0;
}

static int make_parts(struct shell *s, struct err *e)
{
    const struct options *o = s->options;
    struct blobs_ops ops = { blob_send, blob_wanted, blob_quiet, blob_yield, blob_ready, blob_failed, s };
    struct lanes_config c = { .work_dir = s->settings->work, .output_limit = o->output_limit, .hide_secrets = true, .adopt = true,
        .start_limit_ms = (uint64_t)o->start_ms, .resolve = resolve_program, .output = log_output, .ctx = s };
    int rc;

    if ((rc = check_work_dir(s->settings->work, e)) < 0 || (rc = wsh_instance_open(s->settings->state, &s->instance, e)) < 0 ||
        (rc = wsh_blobs_new(s->settings->cache, o->cache_size, o->program_memory, &ops, &s->blobs, e)) < 0 ||
        (rc = lanes_new(&c, &s->lanes, e)) < 0 ||
        (rc = make_core(s, e)) < 0 || (rc = net_new(&s->net, e)) < 0)
        return rc;
    net_set_role(s->net, "worker");
    if (o->trace && (rc = net_trace_open(o->trace, NET_TRACE_MOST, &s->trace, e)) < 0)
        return rc;
    if (s->trace)
        net_set_sent(s->net, trace_to_broker, s);
    if (!(s->items = calloc(WIRE_ITEMS_MAX, sizeof(*s->items))))
        return err_set(e, BFORK_ENOMEM, "out of memory");
    if (getrandom(&s->seed, sizeof(s->seed), 0) != sizeof(s->seed))
        return err_errno(e, BFORK_ENOMEM, errno, "no random numbers");
    s->seed |= 1;
    return 0;
}

/* The keys have been read. From here on nothing needs the rights that we were started with. */
static int give_up_rights(struct settings *s, struct err *e)
{
    int rc;

    if ((rc = wsh_rights_directory(&s->rights, s->state, e)) < 0 || (rc = wsh_rights_drop(&s->rights, e)) < 0)
        return rc;
    s->key_exposed = wsh_rights_expose(s->key);
    if (s->key_exposed)
        log_line(LOG_WARNING_, "event=key_exposed key=%s text=\"tasks run as a user that can read this worker's key, and could use "
                 "it to join as a worker: start bfork-worker as root, with the key root's own, so that it becomes another user\"",
                 s->key);
    return 0;
}

static int serve_worker(struct shell *s, int signal_fd)
{
    struct err e = { 0 };
    int rc, code;

    s->instance.fd = -1;
    if ((rc = make_parts(s, &e)) < 0) {
        if (s->settings->rights.change)
            err_prefix(&e, "as user %s", s->settings->rights.user);
        code = fail_worker(rc == BFORK_EINVAL || rc == BFORK_ESTATE ? EXIT_CONFIGURATION : 1, &e);
    } else {
        log_line(LOG_NOTICE_, "event=started broker=%s slots=%u state=%s", s->settings->endpoint, s->settings->slots,
                 s->settings->state);
        code = wsh_shell_run(s, signal_fd);
    }
    if (s->link)
        net_link_close(&s->link);
    lanes_free(&s->lanes);
    worker_free(&s->core);
    wsh_blobs_free(&s->blobs);
    net_free(&s->net);
    net_trace_close(&s->trace);
    wsh_instance_close(&s->instance);
    free(s->items);
    return code;
}

int main(int argc, char **argv)
{
    static struct settings settings;
    static struct options options;
    static struct shell shell = { .options = &options, .settings = &settings };
    struct conf *conf = NULL;
    struct err e = { 0, "" };
    int code = 0, signal_fd;

    prctl(PR_SET_DUMPABLE, 0);          /* task processes have our user id: they must not read our memory */
    fds_reserve();
    if (wsh_options_read(argc, argv, &options, &settings, &conf, &e) < 0)
        return fail_worker(EXIT_CONFIGURATION, &e);
    if (options.help) {
        wsh_options_help();
    } else if (options.version) {
        puts("bfork-worker " BF_VERSION);
    } else if (log_level_parse(options.log_level) < 0) {
        err_set(&e, BFORK_EINVAL, "the log level is one of error, warning, notice, info, debug, not %s", options.log_level);
        code = fail_worker(EXIT_CONFIGURATION, &e);
    } else if (wsh_settings_keys(&options, &settings, &e) < 0 || (options.check_config && check_work_dir(settings.work, &e) < 0)) {
        code = fail_worker(EXIT_CONFIGURATION, &e);
    } else if (options.check_config) {
        wsh_options_print(&settings, conf);
    } else {
        log_open("bfork-worker", (enum log_level)log_level_parse(options.log_level));
        raise_descriptors();
        find_library(shell.library_path);
        if (give_up_rights(&settings, &e) < 0) {
            code = fail_worker(EXIT_CONFIGURATION, &e);
        } else if ((signal_fd = open_signals()) < 0) {
            err_errno(&e, BFORK_ENOMEM, errno, "cannot catch signals");
            code = fail_worker(1, &e);
        } else {
            code = serve_worker(&shell, signal_fd);
            close(signal_fd);
        }
    }
    explicit_bzero(&settings.pair, sizeof(settings.pair));
    conf_free(&conf);
    return code;
}
