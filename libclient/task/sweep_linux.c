/* SPDX-License-Identifier: MPL-2.0
 * sweep_linux.c - finds, kills and reaps what a task has left behind. The task process is a subreaper, so everything a task starts
 * becomes its child sooner or later, whatever sessions and groups it makes.
 */
#include "task/task_i.h"

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

bool sweep_has_children(void)
{
    siginfo_t si;
    return waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 || errno != ECHILD;
}

static size_t read_pids(int fd, pid_t *pids, size_t n, size_t max)
{
    char text[4096];
    ssize_t got;
    pid_t pid = 0;

    while ((got = read(fd, text, sizeof(text))) > 0)
        for (ssize_t i = 0; i < got; i++) {
            if (isdigit((unsigned char)text[i])) {
                pid = pid * 10 + (text[i] - '0');
            } else {
                if (pid && n < max)
                    pids[n++] = pid;
                pid = 0;
            }
        }
    if (pid && n < max)
        pids[n++] = pid;
    return n;
}

/* For kernels without /proc/…/children. */
static size_t list_by_parent(pid_t *pids, size_t max)
{
    DIR *d = opendir("/proc");
    struct dirent *e;
    char path[300], text[512];
    size_t n = 0;

    while (d && n < max && (e = readdir(d))) {
        if (!isdigit((unsigned char)e->d_name[0]))
            continue;
        snprintf(path, sizeof(path), "/proc/%s/stat", e->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        if (fd >= 0)
            close(fd);
        if (got <= 0)
            continue;
        text[got] = '\0';
        const char *name_end = strrchr(text, ')');
        if (name_end && strlen(name_end) > 4 && strtol(name_end + 4, NULL, 10) == getpid())
            pids[n++] = (pid_t)strtol(e->d_name, NULL, 10);
    }
    if (d)
        closedir(d);
    return n;
}

size_t sweep_list(pid_t *pids, size_t max)
{
    DIR *d = opendir("/proc/self/task");
    struct dirent *e;
    char path[300];
    size_t n = 0;
    bool known = false;

    while (d && (e = readdir(d))) {
        if (!isdigit((unsigned char)e->d_name[0]))
            continue;
        snprintf(path, sizeof(path), "/proc/self/task/%s/children", e->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            continue;
        known = true;
        n = read_pids(fd, pids, n, max);
        close(fd);
    }
    if (d)
        closedir(d);
    return known ? n : list_by_parent(pids, max);
}

static bool is_kept(pid_t pid, const pid_t *keep, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (keep[i] == pid)
            return true;
    return false;
}

bool sweep_children(const pid_t *keep, size_t n_keep)
{
    pid_t pids[1024];
    struct timespec begin, now;
    struct timespec moment = { 0, 200000 };

    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (;;) {
        size_t n = sweep_list(pids, sizeof(pids) / sizeof(pids[0])), others = 0;
        for (size_t i = 0; i < n; i++)
            if (!is_kept(pids[i], keep, n_keep)) {
                kill(pids[i], SIGKILL);
                others++;
            }
        if (others == 0)
            return true;
        for (size_t i = 0; i < n; i++)
            if (!is_kept(pids[i], keep, n_keep))
                waitpid(pids[i], NULL, WNOHANG | __WALL);
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec - begin.tv_sec >= 2)
            return false;
        nanosleep(&moment, NULL);
    }
}
