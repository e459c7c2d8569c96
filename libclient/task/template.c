/* SPDX-License-Identifier: MPL-2.0
 * template.c - the process that task processes are forked from. It stands in bfork_init, single-threaded, after the preload; forks,
 * reaps, kills what tasks leave behind, and tells its owner. When the owner's end of the socket closes it kills everything and
 * leaves.
 */
#include "exec/packets.h"
#include "exec/ring.h"
#include "exec/sweep.h"
#include "task/crash.h"
#include "task/process.h"
#include "task/run.h"
#include "task/task.h"
#include "task/template.h"

#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct child { struct child *next; uint32_t id; pid_t pid, reporter; int ring, status; bool dead, seen; uint64_t maxrss_kb; };

struct answer { struct answer *next; struct packet p; };    /* cut behind its text */

struct template_state {
    int socket, signals;
    struct answer *first, **last;       /* what the socket has not taken yet: at most two for each process the owner asked for */
    uint32_t n_answers;
    struct rlimit descriptors;          /* as task processes are to have it */
    struct packet_setup *setup;         /* and the encoded specification behind it */
    struct wire_pool_spec spec;
    struct child *children;
};

static void __attribute__((noreturn)) fail_template(int socket, const char *stage, int code, const char *text)
{
    struct packet p = { .type = PACKET_FAILED, .code = code };

    snprintf(p.stage, sizeof(p.stage), "%s", stage);
    snprintf(p.text, sizeof(p.text), "%s", text);
    exec_packet_send(socket, &p, NULL, 0, true);
    fflush(NULL);
    _exit(125);
}

static void enter_directory(int socket, const char *path)
{
    char text[PACKET_TEXT], host[64] = "";

    if (!path[0] || chdir(path) == 0)
        return;
    int error = errno;
    gethostname(host, sizeof(host) - 1);
    snprintf(text, sizeof(text), "cannot enter the directory %s on host %s: %s", path, host, strerror(error));
    text_clean(text, strlen(text), false);
    fail_template(socket, "init", BFORK_REFUSED, text);
}

static void read_template_setup(struct template_state *s)
{
    struct packet p;
    struct err e = { 0 };
    int fds[PACKET_FDS];
    struct stat st;
    int rc = exec_packet_recv(s->socket, &p, fds, true);

    if (rc <= 0)
        _exit(125);                     /* the owner is gone */
    if (p.type != PACKET_SETUP || p.value != PACKET_VERSION || fds[0] < 0)
        fail_template(s->socket, "init", BFORK_EPROTOCOL,
                      "the program's library is of another version of Broadfork than its owner: rebuild or update");
    if (fstat(fds[0], &st) < 0 || (size_t)st.st_size < sizeof(*s->setup) || !(s->setup = malloc((size_t)st.st_size + 1)))
        fail_template(s->socket, "init", BFORK_ENOMEM, "cannot read the pool's specification");
    if (pread(fds[0], s->setup, (size_t)st.st_size, 0) != st.st_size || s->setup->version != PACKET_VERSION
        || s->setup->spec_size != (size_t)st.st_size - sizeof(*s->setup))
        fail_template(s->socket, "init", BFORK_EPROTOCOL, "the pool's specification is damaged");
    close(fds[0]);
    if (wire_pool_spec_decode(s->setup + 1, s->setup->spec_size, &s->spec, &e) < 0)
        fail_template(s->socket, "init", e.code, e.text);
}

static void __attribute__((noreturn)) leave_template(struct template_state *s);

/* Sends what the owner takes now; the rest when its socket has room. The owner may be waiting for nothing of ours. */
static void send_answers(struct template_state *s)
{
    struct answer *a;

    while ((a = s->first)) {
        int rc = exec_packet_send(s->socket, &a->p, NULL, 0, false);

        if (rc == -EAGAIN || rc == -ENOBUFS || rc == -ENOMEM)
            return;
        if (rc < 0)
            leave_template(s);          /* the owner is gone */
        if (!(s->first = a->next))
            s->last = &s->first;
        s->n_answers--;
        free(a);
    }
}

static void answer_packet(struct template_state *s, const struct packet *p)
{
    size_t size = offsetof(struct packet, text) + strlen(p->text) + 1;
    struct answer *a = malloc(offsetof(struct answer, p) + size);

    if (!a)
        leave_template(s);              /* a process nobody hears of would be waited for for ever */
    memcpy(&a->p, p, size);
    a->next = NULL;
    *s->last = a;
    s->last = &a->next;
    s->n_answers++;
    send_answers(s);
}

/* While foreign code runs and nobody looks at the socket, its end is a deadly signal. */
static void die_with_owner(int socket, bool on)
{
    int flags = fcntl(socket, F_GETFL);

    fcntl(socket, F_SETOWN, getpid());
    fcntl(socket, F_SETFL, on ? flags | O_ASYNC : flags & ~O_ASYNC);
}

int task_threads(void)
{
    DIR *d = opendir("/proc/self/task");
    struct dirent *e;
    int n = 0;

    while (d && (e = readdir(d)))
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return d ? n : 1;
}

static void preload(struct template_state *s)
{
    struct task_runner *r;
    const struct wire_outcome *o;
    struct err e = { 0 };
    char text[2048];

    if (s->spec.preload.n == 0)
        return;
    if (task_runner_new(&r, &e) < 0)
        fail_template(s->socket, "preload", e.code, e.text);
    if (!task_run_once(r, s->spec.preload, s->spec.args, &o)) {
        snprintf(text, sizeof(text), "preload: %.*s", (int)o->message.n, o->message.p);
        fail_template(s->socket, o->stage.n ? "load" : "preload", o->kind, text);
    }
    task_runner_free(&r);
    fflush(NULL);
}

/* ---- task processes ---- */

static void child_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void become_process(struct template_state *s, uint32_t id, const int fds[PACKET_FDS], pid_t parent)
{
    struct process_start start = { id, fds[0], fds[1], fds[2], fds[3], &s->spec, s->setup->work_dir, s->setup->solo, parent };

    if (!start.solo)
        close(s->socket);
    close(s->signals);
    setrlimit(RLIMIT_NOFILE, &s->descriptors);
    for (struct child *c = s->children; c; c = c->next)
        close(c->ring);
    child_signals();
    task_process_main(&start);
}

/* For want of something that may be there later. */
static void refuse_spawn(struct template_state *s, struct child *c, struct packet *p, const int fds[PACKET_FDS])
{
    p->type = PACKET_DIED;
    p->code = BFORK_EAGAIN;
    answer_packet(s, p);
    free(c);
    for (int i = 0; i < PACKET_FDS; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static void spawn(struct template_state *s, uint32_t id, int fds[PACKET_FDS])
{
    struct packet p = { .type = PACKET_FORKED, .id = id };
    struct child *c = calloc(1, sizeof(*c));
    pid_t me = getpid();

    if (fds[PACKET_FDS - 1] < 0) {      /* the kernel had no room for all of them in this process */
        snprintf(p.text, sizeof(p.text), "its template has no more descriptors: raise the limit of open files (ulimit -Hn)");
        refuse_spawn(s, c, &p, fds);
        return;
    }
    if (s->setup->solo) {
        free(c);
        p.pid = me;
        exec_packet_send(s->socket, &p, NULL, 0, true);
        die_with_owner(s->socket, true);
        become_process(s, id, fds, 0);
    }
    pid_t pid = c ? fork() : -1;
    if (pid == 0)
        become_process(s, id, fds, me);
    if (pid < 0) {
        snprintf(p.text, sizeof(p.text), "fork: %s", strerror(c ? errno : ENOMEM));
        refuse_spawn(s, c, &p, fds);
        return;
    }
    *c = (struct child){ .next = s->children, .id = id, .pid = pid, .ring = fds[0] };
    s->children = c;
    p.pid = pid;
    answer_packet(s, &p);
    for (int i = 1; i < PACKET_FDS; i++)
        close(fds[i]);
}

static struct child *child_of(struct template_state *s, uint32_t id, pid_t pid)
{
    for (struct child *c = s->children; c; c = c->next)
        if ((id && c->id == id) || (pid && (c->pid == pid || c->reporter == pid)))
            return c;
    return NULL;
}

/* What it had started is now ours: kill it, but not the others. */
static void sweep_orphans(struct template_state *s)
{
    size_t n = 0;

    for (struct child *c = s->children; c; c = c->next)
        n += 2;
    pid_t *keep = malloc((n + 1) * sizeof(*keep));
    if (!keep)
        leave_template(s);
    n = 0;
    for (struct child *c = s->children; c; c = c->next) {
        if (!c->dead)
            keep[n++] = c->pid;
        if (c->reporter)
            keep[n++] = c->reporter;
    }
    exec_sweep_children(keep, n);
    free(keep);
}

static void tell_death(struct template_state *s, struct child *c)
{
    struct packet p = { .type = PACKET_DIED, .id = c->id, .pid = c->pid, .status = c->status, .maxrss_kb = c->maxrss_kb };

    for (struct child **at = &s->children; *at; at = &(*at)->next)
        if (*at == c) {
            *at = c->next;
            break;
        }
    close(c->ring);
    free(c);
    answer_packet(s, &p);
}

/* Another child looks up the names of the dead one's return addresses: that may take long, and reads files that may be anything. */
static bool start_reporter(struct template_state *s, struct child *c)
{
    struct ring r;
    bool crashed;

    if (exec_ring_open(&r, c->ring, true, NULL) < 0)
        return false;
    crashed = atomic_load(&r.control->obituary.signal) > 0;
    if (crashed && (c->reporter = fork()) == 0) {
        child_signals();
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(5);
        task_crash_names(&r.control->obituary);
        if (dup2(c->ring, 3) == 3 && s->setup->symbols[0])
            execl(s->setup->symbols, s->setup->symbols, (char *)NULL);
        _exit(0);
    }
    exec_ring_close(&r);
    return crashed && c->reporter > 0;
}

/* All that have died are buried together: one look at what they have left behind is enough. */
static void bury_dead(struct template_state *s)
{
    struct rusage usage;
    struct child *after;
    bool any = false;
    int status;
    pid_t pid;

    while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
        struct child *c = child_of(s, 0, pid);
        if (!c)
            continue;                   /* an orphan */
        if (c->reporter == pid) {
            tell_death(s, c);
            continue;
        }
        c->dead = true;
        c->status = status;
        c->maxrss_kb = (uint64_t)usage.ru_maxrss;
        kill(-pid, SIGKILL);            /* its group at one blow, then what has left it */
        any = true;
    }
    if (any)
        sweep_orphans(s);
    for (struct child *c = s->children; c && any; c = after) {
        after = c->next;
        if (!c->dead || c->seen)
            continue;
        c->seen = true;
        if (!start_reporter(s, c))
            tell_death(s, c);
    }
}

static void leave_template(struct template_state *s)
{
    for (struct child *c = s->children; c; c = c->next)
        if (!c->dead) {
            kill(-c->pid, SIGKILL);
            kill(c->pid, SIGKILL);
        }
    exec_sweep_children(NULL, 0);
    _exit(0);
}

static void hear(struct template_state *s)
{
    struct packet p;
    int fds[PACKET_FDS];
    struct child *c;
    int rc = exec_packet_recv(s->socket, &p, fds, false);

    if (rc == -EAGAIN)
        return;
    if (rc <= 0)
        leave_template(s);
    if (p.type == PACKET_SPAWN) {
        spawn(s, p.id, fds);
        return;
    }
    for (int i = 0; i < PACKET_FDS; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    if (p.type == PACKET_KILL && (c = child_of(s, p.id, 0)) && !c->dead)
        kill(c->pid, SIGKILL);          /* first it alone: then what it had started is our child, and swept */
}

/* One for the ring of each process: as many as may be had. Task processes get what there was back. */
static void more_descriptors(struct template_state *s)
{
    struct rlimit most;

    if (getrlimit(RLIMIT_NOFILE, &s->descriptors) < 0)
        return;
    most = s->descriptors;
    most.rlim_cur = most.rlim_max;
    setrlimit(RLIMIT_NOFILE, &most);
}

/* What exec would have put into the environment. */
static void set_pool_environment(const struct wire_pool_spec *spec)
{
    for (uint32_t at = 0; at < spec->env.n;) {
        size_t n = strnlen((const char *)spec->env.p + at, spec->env.n - at);
        char *copy = strndup((const char *)spec->env.p + at, n);
        if (!copy || putenv(copy) != 0)
            _exit(125);                 /* no memory for a few bytes */
        at += (uint32_t)n + 1;
    }
}

void task_template_main(int socket, bool forked)
{
    static struct template_state s = { .signals = -1 };
    struct packet p = { .type = PACKET_HELLO, .value = PACKET_VERSION, .pid = getpid() };
    struct signalfd_siginfo info;
    sigset_t chld;

    s.socket = socket;
    s.last = &s.first;
    prctl(PR_SET_NAME, "bfork:template");
    task_process = true;
    if (exec_packet_send(socket, &p, NULL, 0, true) < 0)
        _exit(125);
    read_template_setup(&s);
    if (forked)
        set_pool_environment(&s.spec);
    if (!s.setup->solo)
        prctl(PR_SET_CHILD_SUBREAPER, 1);
    enter_directory(socket, s.setup->work_dir);
    die_with_owner(socket, true);
    preload(&s);
    task_crash_warm_up();
    die_with_owner(socket, false);

    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &chld, NULL);
    more_descriptors(&s);
    s.signals = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s.signals < 0)
        fail_template(socket, "init", BFORK_ENOMEM, "no descriptor for signals");
    p = (struct packet){ .type = PACKET_READY, .pid = getpid(), .value = s.setup->solo ? 1 : task_threads() };
    exec_packet_send(socket, &p, NULL, 0, true);
    for (;;) {
        short take = s.n_answers <= PACKET_QUEUE ? POLLIN : 0, give = s.n_answers ? POLLOUT : 0;
        struct pollfd f[2] = { { socket, (short)(take | give), 0 }, { s.signals, POLLIN, 0 } };
        if (poll(f, 2, -1) < 0 && errno != EINTR)
            leave_template(&s);
        if (f[1].revents) {
            while (read(s.signals, &info, sizeof(info)) > 0)
                continue;
            bury_dead(&s);
        }
        if (f[0].revents & POLLOUT)
            send_answers(&s);
        if (f[0].revents & ~POLLOUT)
            hear(&s);
    }
}
