/* SPDX-License-Identifier: MPL-2.0
 * mapped.h - what a path in /proc/PID/maps means when the program runs from memory (a memfd: "/memfd:NAME (deleted)"): which
 * file to read for its symbols, and what to call it, with or without a place in it.
 */
#ifndef EXEC_MAPPED_H
#define EXEC_MAPPED_H

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define MAPPED_MEMORY "/memfd:"
#define MAPPED_GONE " (deleted)"

/* The file to open: path itself, or the running program of process pid if path is that. */
static inline const char *mapped_file(const char *path, pid_t pid, char room[64])
{
    char link[PATH_MAX];
    ssize_t n;

    if (strncmp(path, MAPPED_MEMORY, strlen(MAPPED_MEMORY)) != 0)
        return path;
    snprintf(room, 64, "/proc/%d/exe", (int)pid);
    n = readlink(room, link, sizeof(link) - 1);
    link[n > 0 ? n : 0] = '\0';
    return strcmp(link, path) == 0 ? room : path;
}

/* For people: *ret_n bytes of path. */
static inline const char *mapped_name(const char *path, int *ret_n)
{
    size_t n = strlen(path), gone = strlen(MAPPED_GONE), memory = strlen(MAPPED_MEMORY);

    if (strncmp(path, MAPPED_MEMORY, memory) == 0 && n > memory + gone && strcmp(path + n - gone, MAPPED_GONE) == 0) {
        path += memory;
        n -= memory + gone;
    }
    *ret_n = (int)n;
    return path;
}

/* "program+0x1234": where something is in a file that does not say more about it. */
static inline void mapped_place(const char *path, unsigned long long offset, char *text, size_t size)
{
    int n;
    const char *shown = mapped_name(path, &n);

    for (int i = n; i-- > 0;)
        if (shown[i] == '/') {
            shown += i + 1;
            n -= i + 1;
            break;
        }
    snprintf(text, size, "%.*s+%#llx", n, shown, offset);
}

#endif
