/* SPDX-License-Identifier: MPL-2.0
 * exec.c - the owner's loop: one epoll set with the templates' sockets, everybody's output and the event counter that task
 * processes ring. Decides nothing about tasks.
 */
#include "exec/exec_i.h"
#include "base/clock.h"
#include "bfork.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#ifndef BF_LIBEXECDIR
#error "BF_LIBEXECDIR must say where bfork-runner is installed"
#endif

int exec_watch(struct exec *x, struct source *s)
{
    /* The event counter rings by its edge and is never read: one system call less for each wake-up. */
    struct epoll_event ev = { .events = s->kind == SOURCE_EVENT ? EPOLLIN | EPOLLET : EPOLLIN, .data.ptr = s };
    return epoll_ctl(x->epoll, EPOLL_CTL_ADD, s->fd, &ev) < 0 ? -errno : 0;
}

void exec_unwatch(struct exec *x, struct source *s)
{
    if (s->fd < 0)
        return;
    epoll_ctl(x->epoll, EPOLL_CTL_DEL, s->fd, NULL);
    close(s->fd);
    s->fd = -1;
}

void exec_watch_room(struct exec *x, struct source *s, bool on)
{
    struct epoll_event ev = { .events = on ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = s };
    epoll_ctl(x->epoll, EPOLL_CTL_MOD, s->fd, &ev);
}

/* The folder, without links, of the file this code is in: the program's or libbfork's. */
static bool own_folder(char *folder, size_t size)
{
    char real[PATH_MAX];
    Dl_info self;

    if (!dladdr((void *)(uintptr_t)&exec_new, &self) || !self.dli_fname)
        return false;
    if (!strchr(self.dli_fname, '/') || !realpath(self.dli_fname, real)) {
        ssize_t n = readlink("/proc/self/exe", real, sizeof(real) - 1);
        real[n > 0 ? n : 0] = '\0';
    }
    char *slash = strrchr(real, '/');
    if (!slash)
        return false;
    *slash = '\0';
    return snprintf(folder, size, "%s", real) < (int)size;
}

/* From a folder of programs or libraries to the helpers of the same prefix. */
static const char *const to_helpers[] = { BF_BIN_TO_LIBEXEC, BF_LIB_TO_LIBEXEC };

static bool find_beside(const char *folder, int n, const char *name, char *path, size_t size)
{
    for (size_t i = 0; i < sizeof(to_helpers) / sizeof(to_helpers[0]); i++)
        if (snprintf(path, size, "%.*s/%s/%s", n, folder, to_helpers[i], name) < (int)size && access(path, X_OK) == 0)
            return true;
    return false;
}

/* Where the file this code is in was told to look for libraries (RUNPATH, RPATH), or NULL. A program may lie anywhere with
 * libbfork.a in it: that is where bfork.pc was that it was linked with. */
static const char *own_runpath(void)
{
    const char *strings = NULL, *path = NULL;
    struct link_map *self = NULL;
    Dl_info info;

    if (!dladdr1((void *)(uintptr_t)&exec_new, &info, (void **)&self, RTLD_DL_LINKMAP) || !self || !self->l_ld)
        return NULL;
    for (const ElfW(Dyn) *d = self->l_ld; d->d_tag != DT_NULL; d++)
        if (d->d_tag == DT_STRTAB)      /* an address, which some loaders leave as the file has it */
            strings = (const char *)(uintptr_t)(d->d_un.d_ptr < self->l_addr ? self->l_addr + d->d_un.d_ptr : d->d_un.d_ptr);
    for (const ElfW(Dyn) *d = self->l_ld; strings && d->d_tag != DT_NULL; d++)
        if (d->d_tag == DT_RUNPATH || (d->d_tag == DT_RPATH && !path))
            path = strings + d->d_un.d_val;
    return path;
}

/* A helper of ours: in the build tree if this code lies in it, else in the prefix this code lies in, else in the one it was linked
 * with, else where it was configured to be. */
const char *exec_find(const char *name, char *path, size_t size)
{
    char folder[PATH_MAX];
    bool known = own_folder(folder, sizeof(folder));

#ifdef BF_BUILD_DIR
    static const char *const built[] = { "libclient/runner", "common/exec", "bin" };

    if (known && strncmp(folder, BF_BUILD_DIR "/", strlen(BF_BUILD_DIR "/")) == 0)
        for (size_t i = 0; i < sizeof(built) / sizeof(built[0]); i++) {
            snprintf(path, size, "%s/%s/%s", BF_BUILD_DIR, built[i], name);
            if (access(path, X_OK) == 0)
                return path;
        }
#endif
    if (known && find_beside(folder, (int)strlen(folder), name, path, size))
        return path;
    for (const char *at = own_runpath(); at; at = *at ? at + 1 : NULL) {
        int n = (int)strcspn(at, ":");
        if (*at == '/' && find_beside(at, n, name, path, size))
            return path;
        at += n;
    }
    snprintf(path, size, "%s/%s", BF_LIBEXECDIR, name);
    return path;
}

int exec_new(const struct exec_config *c, struct exec **ret, struct err *e)
{
    char path[4096];
    struct exec *x = calloc(1, sizeof(*x));

    if (!x)
        return err_set(e, BFORK_ENOMEM, "out of memory");
    x->config = *c;
    x->epoll = x->event = x->guard = x->guard_leash = -1;
    list_init(&x->ending);
    list_init(&x->templates);
    list_init(&x->graves_t);
    list_init(&x->graves_p);
    x->runner = strdup(c->runner ? c->runner : exec_find("bfork-runner", path, sizeof(path)));
    x->symbols = strdup(c->symbols ? c->symbols : exec_find("bfork-symbols", path, sizeof(path)));
    x->keeper = strdup(exec_find("bfork-keeper", path, sizeof(path)));
    x->work_dir = c->work_dir ? strdup(c->work_dir) : NULL;
    if (!x->runner || !x->symbols || !x->keeper || (c->work_dir && !x->work_dir)) {
        exec_free(&x);
        return err_set(e, BFORK_ENOMEM, "out of memory");
    }
    if (!x->config.output_limit)
        x->config.output_limit = 1ull << 30;
    x->epoll = epoll_create1(EPOLL_CLOEXEC);
    x->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    x->event_source = (struct source){ .fd = x->event, .kind = SOURCE_EVENT };
    if (x->epoll < 0 || x->event < 0 || exec_watch(x, &x->event_source) < 0) {
        err_errno(e, BFORK_ENOMEM, errno, "cannot get descriptors for task processes");
        exec_free(&x);
        return BFORK_ENOMEM;
    }
    int rc = c->adopt ? exec_kept_guard(x, e) : 0;
    if (rc < 0) {
        exec_free(&x);
        return rc;
    }
    x->oom_kills = exec_death_oom_count();
    x->now = clock_now();
    x->until = CLOCK_NEVER;
    *ret = x;
    return 0;
}

static void template_free(struct exec_template *t)
{
    buf_unref(&t->spec);
    free(t->program_path);
    free(t->library_path);
    free(t);
}

static void exec_sweep(struct exec *x)
{
    struct list_node *n;

    while ((n = list_pop(&x->graves_p)))
        exec_proc_free(LIST_ENTRY(n, struct exec_proc, node));
    while ((n = list_pop(&x->graves_t))) {
        struct exec_template *t = LIST_ENTRY(n, struct exec_template, node);
        if (t->leash.fd < 0) {
            template_free(t);
            continue;
        }
        list_push_back(&x->ending, &t->node);   /* its keeper still kills */
        t->buried = true;
    }
}

void exec_free(struct exec **xx)
{
    struct exec *x = *xx;
    int keep = errno;

    if (!x)
        return;
    while (!list_empty(&x->templates))
        exec_template_stop(LIST_ENTRY(list_first(&x->templates), struct exec_template, node));
    exec_sweep(x);
    exec_kept_leave(x);
    for (struct list_node *n; (n = list_pop(&x->ending));)
        template_free(LIST_ENTRY(n, struct exec_template, node));
    if (x->event >= 0)
        close(x->event);
    if (x->epoll >= 0)
        close(x->epoll);
    free(x->runner);
    free(x->symbols);
    free(x->keeper);
    free(x->work_dir);
    free(x);
    *xx = NULL;
    errno = keep;
}

int exec_fd(const struct exec *x) { return x->epoll; }

uint64_t exec_deadline(const struct exec *x)
{
    uint64_t least = CLOCK_NEVER;

    for (LIST_EACH(&x->templates, n)) {
        const struct exec_template *t = LIST_ENTRY(n, struct exec_template, node);
        if (t->failure.code)
            return x->now;
        if ((t->state == TEMPLATE_STARTING || t->over) && t->deadline < least)
            least = t->deadline;
        for (LIST_EACH(&t->procs, m)) {
            const struct exec_proc *p = LIST_ENTRY(m, struct exec_proc, node);
            if ((p->violated || p->stop_early) && p->state != PROC_DEAD)
                return x->now;
            if (p->limited && p->sample_at < least)
                least = p->sample_at;
            if (p->limit != p->expected && x->check_at < least)
                least = x->check_at;
        }
    }
    return least;
}

/* ---- step ---- */

#define EVENTS 64                   /* taken in a step */

static void source_ready(struct exec *x, struct source *s)
{
    switch (s->kind) {
    case SOURCE_EVENT:
        return;
    case SOURCE_SOCKET:
        if (s->t->state != TEMPLATE_GONE)
            exec_template_packet(s->t);
        if (s->t->state == TEMPLATE_READY)
            exec_template_flush(s->t);
        return;
    case SOURCE_LEASH:
        exec_template_leash(s->t);
        return;
    case SOURCE_OUT:
    case SOURCE_ERR:
        if (s->fd >= 0)
            exec_output_read(x, s, false);
        return;
    }
}

/* false: a callback has changed the lists, start again. */
static bool step_template(struct exec_template *t, uint64_t now)
{
    struct exec *x = t->x;
    uint32_t changes = x->changes;

    exec_template_step(t);
    for (struct list_node *m = x->changes == changes ? t->procs.head.next : NULL; m && m != &t->procs.head; m = m->next) {
        struct exec_proc *p = LIST_ENTRY(m, struct exec_proc, node);
        exec_proc_step(p);
        if (x->changes != changes)
            return false;
        exec_watchdog_step(p, now);
        if (now >= x->check_at)
            exec_watch_words(p);
    }
    return x->changes == changes;
}

/* Where output waited for room, it is read on; and how far results have come is noted before the pipes are looked at. */
static void resume_output(struct exec *x)
{
    for (LIST_EACH(&x->templates, n))
        for (LIST_EACH(&LIST_ENTRY(n, struct exec_template, node)->procs, m)) {
            struct exec_proc *p = LIST_ENTRY(m, struct exec_proc, node);
            if (!p->asked)
                continue;
            exec_output_resume(x, &p->output.out);
            exec_output_resume(x, &p->output.err);
            p->snapshot = atomic_load_explicit(&p->ring.control->result_head, memory_order_acquire);
        }
}

/* What was printed before those results has been read now. crowded: more pipes may be ready than were told. */
static void reveal(struct exec *x, bool crowded)
{
    for (LIST_EACH(&x->templates, n))
        for (LIST_EACH(&LIST_ENTRY(n, struct exec_template, node)->procs, m)) {
            struct exec_proc *p = LIST_ENTRY(m, struct exec_proc, node);
            if (!p->asked || p->snapshot == p->visible)
                continue;
            if (crowded) {
                exec_output_read(x, &p->output.out, false);
                exec_output_read(x, &p->output.err, false);
            }
            if (!p->output.out.more && !p->output.err.more)
                p->visible = p->snapshot;
        }
}

void exec_step(struct exec *x, uint64_t now)
{
    struct epoll_event ev[EVENTS];

    x->now = now;
    resume_output(x);
    int n = epoll_wait(x->epoll, ev, EVENTS, 0);
    for (int i = 0; i < n; i++) {
        struct source *s = ev[i].data.ptr;      /* objects live until the sweep below */
        if (s->fd >= 0)
            source_ready(x, s);
    }
    reveal(x, n == EVENTS);
again:
    for (LIST_EACH(&x->templates, node))
        if (!step_template(LIST_ENTRY(node, struct exec_template, node), now))
            goto again;
    if (now >= x->check_at)
        x->check_at = now + CHECK_NS;
    exec_sweep(x);
}

void exec_valid_until(struct exec *x, uint64_t until)
{
    if (until == x->until)
        return;
    x->until = until;
    for (LIST_EACH(&x->templates, n))
        for (LIST_EACH(&LIST_ENTRY(n, struct exec_template, node)->procs, m)) {
            struct ring_control *c = LIST_ENTRY(m, struct exec_proc, node)->ring.control;

            if (!c)
                continue;               /* not asked for yet */
            atomic_store(&c->until, exec_watch_until(x));
            if (atomic_load(&c->sleeping) == RING_EXPIRED)
                exec_ring_wake(c);
        }
}

#define LOW_CLAIMS 8u               /* a ring with less than this is low; a claim lasts some 50 µs */

bool exec_arm(struct exec *x, enum exec_want want)
{
    bool something = false;

    for (LIST_EACH(&x->templates, n))
        for (LIST_EACH(&LIST_ENTRY(n, struct exec_template, node)->procs, m)) {
            struct exec_proc *p = LIST_ENTRY(m, struct exec_proc, node);
            struct ring_control *c = p->ring.control;
            if (!c)
                continue;               /* not asked for yet */
            if (p->state == PROC_DEAD || !exec_pending(p)) {
                atomic_store_explicit(&c->want, RING_QUIET, memory_order_relaxed);
                continue;
            }
            uint64_t word = atomic_load_explicit(&c->word, memory_order_relaxed);
            uint32_t left = (uint32_t)(word >> 32) - (uint32_t)word;
            uint32_t low = LOW_CLAIMS * p->claim;       /* of short tasks, so much lasts until the caller has come back */
            p->low_set = left / 2 < low ? left / 2 : low;
            atomic_store_explicit(&c->low, p->low_set, memory_order_relaxed);
            atomic_store(&c->want, want == EXEC_NEXT ? RING_NEXT : want == EXEC_LOW ? RING_LOW : RING_QUIET);
            if (want == EXEC_NEXT)
                something |= exec_proc_has_result(p);
            else if (want == EXEC_LOW && (left == 0 || atomic_load(&c->sleeping) == RING_NO_ROOM))
                something |= exec_proc_has_result(p);
        }
    return something;
}
