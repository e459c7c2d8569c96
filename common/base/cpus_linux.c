/* SPDX-License-Identifier: MPL-2.0
 * cpus_linux.c - usable cores on Linux: affinity mask, and the CPU quota of every control group on the way up. Only reads /proc and
 * /sys; whatever cannot be read sets no limit.
 */
#include "base/cpus.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool read_line(const char *path, char *line, size_t size)
{
    FILE *f = fopen(path, "re");
    bool ok = f && fgets(line, (int)size, f);

    if (f)
        fclose(f);
    return ok;
}

static int quota_cores(long long quota, long long period, int least)
{
    long long cores;

    if (quota <= 0 || period <= 0)
        return least;
    cores = quota / period + (quota % period != 0);
    return cores < least ? (int)cores : least;
}

static int limit_v2(const char *dir, int least)
{
    char path[4352], line[64];
    long long quota, period;

    snprintf(path, sizeof(path), "%s/cpu.max", dir);
    if (!read_line(path, line, sizeof(line)) || sscanf(line, "%lld %lld", &quota, &period) != 2)
        return least;       /* "max 100000" does not scan */
    return quota_cores(quota, period, least);
}

static int limit_v1(const char *dir, int least)
{
    char path[4352], quota[64], period[64];

    snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", dir);
    if (!read_line(path, quota, sizeof(quota)))
        return least;
    snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", dir);
    if (!read_line(path, period, sizeof(period)))
        return least;
    return quota_cores(strtoll(quota, NULL, 10), strtoll(period, NULL, 10), least);
}

/* Every directory from root/path up to root: in a container path may not exist below root, root itself then counts. */
static int limit_along(const char *root, const char *path, int (*limit)(const char *dir, int least), int least)
{
    char dir[4200];
    size_t stop = strlen(root);

    snprintf(dir, sizeof(dir), "%s%s", root, path);
    for (;;) {
        char *slash;

        least = limit(dir, least);
        if (strlen(dir) <= stop || !(slash = strrchr(dir, '/')) || (size_t)(slash - dir) < stop)
            return least;
        *slash = 0;
    }
}

static bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = list; (p = strstr(p, word)) != NULL; p += n)
        if ((p == list || p[-1] == ',') && (p[n] == 0 || p[n] == ','))
            return true;
    return false;
}

static int limit_groups(int least)
{
    FILE *f = fopen("/proc/self/cgroup", "re");
    char line[4096];

    while (f && fgets(line, sizeof(line), f)) {
        char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;

        if (!path)
            continue;
        *path++ = 0;
        names++;
        path[strcspn(path, "\n")] = 0;
        if (strcmp(path, "/") == 0)
            *path = 0;
        if (!*names)
            least = limit_along("/sys/fs/cgroup", path, limit_v2, least);
        else if (has_word(names, "cpu")) {
            least = limit_along("/sys/fs/cgroup/cpu", path, limit_v1, least);
            least = limit_along("/sys/fs/cgroup/cpu,cpuacct", path, limit_v1, least);
        }
    }
    if (f)
        fclose(f);
    return least;
}

static int affinity_cores(int least)
{
    for (int size = 1024; size <= 1 << 20; size *= 2) {     /* the kernel refuses a mask smaller than its own */
        cpu_set_t *set = CPU_ALLOC((size_t)size);
        int n = 0;

        if (!set)
            return least;
        if (sched_getaffinity(0, CPU_ALLOC_SIZE((size_t)size), set) == 0)
            n = CPU_COUNT_S(CPU_ALLOC_SIZE((size_t)size), set);
        CPU_FREE(set);
        if (n > 0)
            return n < least ? n : least;
    }
    return least;
}

int cpus_usable(void)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    int n = online > 0 && online < 1 << 20 ? (int)online : 1;

    n = limit_groups(affinity_cores(n));
    return n > 0 ? n : 1;
}
