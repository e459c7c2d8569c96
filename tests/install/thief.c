/* SPDX-License-Identifier: MPL-2.0
 * thief.c - thief KEY-FILE PID...: tries every way that a process has to a key: the file, and the memory, descriptors and state
 * of the processes that have read it (the worker, and what is above it). Prints a line for each way that was open. Exit status
 * 0: none was; 3: the key can be had.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int open_ways, tried;

static void try(int got, const char *what, const char *which)
{
    tried++;
    if (!got)
        return;
    open_ways++;
    printf("open: %s %s\n", what, which);
}

static int can_read(const char *path)
{
    char byte;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int got = fd >= 0 && read(fd, &byte, 1) == 1;

    if (fd >= 0)
        close(fd);
    return got;
}

static int can_list(const char *path)
{
    DIR *d = opendir(path);
    int got = 0;

    for (struct dirent *e; d && (e = readdir(d));)
        got |= e->d_name[0] != '.';
    if (d)
        closedir(d);
    return got;
}

static void steal_file(const char *key)
{
    char copy[] = "/tmp/thief.XXXXXX", link_path[64];
    int fd;

    try(can_read(key), "read", key);
    try(chmod(key, 0666) == 0, "chmod", key);
    try((fd = open(key, O_WRONLY | O_CLOEXEC)) >= 0, "write", key);
    if (mkdtemp(copy)) {
        snprintf(link_path, sizeof(link_path), "%s/key", copy);
        try(link(key, link_path) == 0 && can_read(link_path), "link", key);
        unlink(link_path);
        rmdir(copy);
    }
}

static void steal_from(const char *pid)
{
    static const char *const files[] = { "mem", "environ", "auxv", "maps", "smaps", "syscall", "stack", "exe" };
    static const char *const folders[] = { "fd", "map_files", "fdinfo", "root", "cwd" };
    char path[128], byte;
    struct iovec here = { &byte, 1 }, there = { (void *)(uintptr_t)0x400000, 1 };
    pid_t p = (pid_t)atoi(pid);
    int fd;

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(path, sizeof(path), "/proc/%s/%s", pid, files[i]);
        if (strcmp(files[i], "mem") == 0) {
            try((fd = open(path, O_RDONLY | O_CLOEXEC)) >= 0, "open", path);
            if (fd >= 0)
                close(fd);
        } else {
            try(can_read(path), "read", path);
        }
    }
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        snprintf(path, sizeof(path), "/proc/%s/%s", pid, folders[i]);
        try(can_list(path), "list", path);
    }
    errno = 0;
    try(process_vm_readv(p, &here, 1, &there, 1, 0) == 1 || errno == EFAULT, "process_vm_readv", pid);
    if (ptrace(PTRACE_SEIZE, p, NULL, NULL) == 0) {
        try(1, "ptrace", pid);
        ptrace(PTRACE_DETACH, p, NULL, NULL);
    } else {
        try(0, "ptrace", pid);
    }
#ifdef SYS_pidfd_getfd
    int pidfd = (int)syscall(SYS_pidfd_open, p, 0);
    for (int i = 0; pidfd >= 0 && i < 32; i++)
        try(syscall(SYS_pidfd_getfd, pidfd, i, 0) >= 0, "pidfd_getfd", pid);
#endif
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: thief KEY-FILE PID...\n");
        return 2;
    }
    steal_file(argv[1]);
    for (int i = 2; i < argc; i++)
        steal_from(argv[i]);
    if (getuid() != 0) {
        try(setuid(0) == 0 || setresuid(0, 0, 0) == 0, "setuid", "0");
        steal_file(argv[1]);            /* once more, with what that may have given */
    }
    printf("%d ways tried as user %u, %d open\n", tried, (unsigned)getuid(), open_ways);
    return open_ways ? 3 : 0;
}
