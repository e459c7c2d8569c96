/* SPDX-License-Identifier: MPL-2.0
 * sweep_linux.c - see sweep.h. Reads the lists of children that /proc has for each thread, or where the kernel has none all of
 * /proc.
 */
#include "exec/sweep.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEEPEST 64                      /* generations killed in one round: the others come up in the next ones */

struct visitor { void (*see)(struct visitor *v, pid_t pid); };

bool exec_sweep_has_children(void)
{
    siginfo_t si;
    return waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 || errno != ECHILD;
}

static void read_pids(int fd, struct visitor *v)
{
    char text[4096];
    ssize_t got;
    pid_t pid = 0;

    while ((got = read(fd, text, sizeof(text))) > 0)
        for (ssize_t i = 0; i < got; i++) {
            if (isdigit((unsigned char)text[i])) {
                pid = pid * 10 + (text[i] - '0');
            } else {
                if (pid)
                    v->see(v, pid);
                pid = 0;
            }
        }
    if (pid)
        v->see(v, pid);
}

static pid_t parent_of(const char *name)
{
    char path[300], text[512];

    snprintf(path, sizeof(path), "/proc/%s/stat", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        close(fd);
    text[got > 0 ? got : 0] = '\0';
    const char *name_end = strrchr(text, ')');
    return name_end && strlen(name_end) > 4 ? (pid_t)strtol(name_end + 4, NULL, 10) : -1;
}

pid_t exec_sweep_parent(pid_t pid)
{
    char name[16];

    snprintf(name, sizeof(name), "%d", (int)pid);
    return parent_of(name);
}

/* For kernels without /proc/…/children. */
static void visit_by_parent(pid_t parent, struct visitor *v)
{
    DIR *d = opendir("/proc");
    struct dirent *e;

    while (d && (e = readdir(d)))
        if (isdigit((unsigned char)e->d_name[0]) && parent_of(e->d_name) == parent)
            v->see(v, (pid_t)strtol(e->d_name, NULL, 10));
    if (d)
        closedir(d);
}

static void visit_children(pid_t parent, struct visitor *v)
{
    char path[300];
    struct dirent *e;
    bool known = false;

    snprintf(path, sizeof(path), "/proc/%d/task", (int)parent);
    DIR *d = opendir(path);

    while (d && (e = readdir(d))) {
        if (!isdigit((unsigned char)e->d_name[0]))
            continue;
        snprintf(path, sizeof(path), "/proc/%d/task/%s/children", (int)parent, e->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        known = true;
        read_pids(fd, v);
        close(fd);
    }
    if (d)
        closedir(d);
    if (!known && parent == getpid())
        visit_by_parent(parent, v);
}

struct lister { struct visitor v; pid_t *pids; size_t n, max; };

static void list_it(struct visitor *v, pid_t pid)
{
    struct lister *l = (struct lister *)v;

    if (l->n < l->max)
        l->pids[l->n++] = pid;
}

size_t exec_sweep_list(pid_t *pids, size_t max)
{
    struct lister l = { { list_it }, pids, 0, max };

    visit_children(getpid(), &l.v);
    return l.n;
}

struct sweeper { struct visitor v; const pid_t *keep; size_t n_keep, found; };

static void kill_it(struct visitor *v, pid_t pid)
{
    struct sweeper *s = (struct sweeper *)v;

    for (size_t i = 0; i < s->n_keep; i++)
        if (s->keep[i] == pid)
            return;
    kill(pid, SIGKILL);
    waitpid(pid, NULL, WNOHANG | __WALL);
    s->found++;
}

static void a_moment(void)
{
    nanosleep(&(struct timespec){ 0, 200000 }, NULL);
}

bool exec_sweep_children(const pid_t *keep, size_t n_keep)
{
    struct timespec begin, now;

    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (;;) {
        struct sweeper s = { { kill_it }, keep, n_keep, 0 };

        visit_children(getpid(), &s.v);
        if (s.found == 0)
            return true;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec - begin.tv_sec >= 2)
            return false;
        a_moment();
    }
}

struct feller { struct visitor v; int depth; };

static void fell(struct visitor *v, pid_t pid)
{
    struct feller *f = (struct feller *)v;

    kill(pid, SIGKILL);
    if (++f->depth < DEEPEST)
        visit_children(pid, v);
    f->depth--;
}

void exec_sweep_all(void)
{
    for (;;) {
        struct feller f = { { fell }, 0 };

        visit_children(getpid(), &f.v);
        while (waitpid(-1, NULL, WNOHANG | __WALL) > 0)
            continue;
        if (!exec_sweep_has_children())
            return;
        a_moment();
    }
}

static bool has_entry(const char *pid, const char *entry)
{
    static char text[1 << 18];          /* more than that of an environment is not looked at */
    char path[300];
    size_t used = 0, n = strlen(entry) + 1;
    ssize_t got = 0;

    snprintf(path, sizeof(path), "/proc/%s/environ", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && used < sizeof(text) - 1 && (got = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
        used += (size_t)got;
    if (fd >= 0)
        close(fd);
    text[used] = '\0';
    for (size_t at = 0; at < used; at += strlen(text + at) + 1)
        if (used - at >= n - 1 && memcmp(text + at, entry, n) == 0)
            return true;
    return false;
}

size_t exec_sweep_marked(const char *entry)
{
    DIR *d = opendir("/proc");
    struct dirent *e;
    size_t found = 0;

    while (d && (e = readdir(d))) {
        pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);

        if (pid > 1 && pid != getpid() && has_entry(e->d_name, entry)) {
            kill(pid, SIGKILL);
            found++;
        }
    }
    if (d)
        closedir(d);
    return found;
}
