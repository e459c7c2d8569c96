/* SPDX-License-Identifier: MPL-2.0
 * tasks.c - task functions for the tests of the library, and small helpers.
 */
#include "tasks.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

static void nap(int ms)
{
    poll(NULL, 0, ms);
}

int add_one(bfork_task *t)
{
    int x;
    if (bfork_args(t, &x) != 0)
        return -1;
    return bfork_return(t, x + 1);
}

int fails_with_7(bfork_task *t)
{
    (void)t;
    return 7;
}

int raises(bfork_task *t)
{
    return bfork_raise(t, 5, "no luck with %d", 3);
}

int crashes(bfork_task *t)
{
    (void)t;
    raise(SIGSEGV);
    return 0;
}

int aborts(bfork_task *t)
{
    (void)t;
    abort();
}

int exits(bfork_task *t)
{
    int code;
    if (bfork_args(t, &code) != 0)
        return -1;
    exit(code);
}

int sleeps(bfork_task *t)
{
    (void)t;
    for (;;)
        pause();
}

int sleeps_ms(bfork_task *t)
{
    int ms;
    if (bfork_args(t, &ms) != 0)
        return -1;
    nap(ms);
    return bfork_return(t, ms);
}

int own_pid(bfork_task *t)
{
    return bfork_return(t, (int)getpid());
}

int touches(bfork_task *t)
{
    const char *path;
    char part[PATH_MAX], text[32];
    if (bfork_args(t, &path) != 0)
        return -1;
    snprintf(part, sizeof(part), "%s.part", path);
    int fd = open(part, O_CREAT | O_WRONLY | O_CLOEXEC, 0600), n = snprintf(text, sizeof(text), "%d", (int)getpid());
    if (fd < 0 || write(fd, text, (size_t)n) != n || close(fd) != 0 || rename(part, path) != 0)
        return 1;
    for (;;)
        pause();
}

int waits_for_file(bfork_task *t)
{
    const char *path;
    if (bfork_args(t, &path) != 0)
        return -1;
    while (access(path, F_OK) != 0)
        nap(1);
    return 0;
}

static int append(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    int rc = fd >= 0 && write(fd, "x", 1) == 1 ? 0 : 1;
    close(fd);
    return rc;
}

int appends(bfork_task *t)
{
    const char *path;
    return bfork_args(t, &path) != 0 ? -1 : append(path);
}

int prints(bfork_task *t)
{
    int lines;
    char line[1000];
    if (bfork_args(t, &lines) != 0)
        return -1;
    memset(line, 'a', sizeof(line));
    line[sizeof(line) - 1] = '\n';
    for (int i = 0; i < lines; i++)
        fwrite(line, 1, sizeof(line), stdout);
    fflush(stdout);
    fputs("last\n", stderr);
    return 0;
}

int reads_context(bfork_task *t)
{
    size_t size;
    int sum = 0;
    const int *numbers = bfork_task_context(t, &size);
    for (size_t i = 0; i < size / sizeof(*numbers); i++)
        sum += numbers[i];
    return bfork_return(t, sum);
}

int reads_env(bfork_task *t)
{
    const char *name;
    if (bfork_args(t, &name) != 0)
        return -1;
    return bfork_return(t, getenv(name) ? getenv(name) : "(none)");
}

int returns_all(bfork_task *t)
{
    bool b;
    short s;
    unsigned short us;
    int i;
    unsigned u;
    long l;
    unsigned long ul;
    float f;
    double d;
    const char *str;
    bfork_bytes bytes;
    if (bfork_args(t, &b, &s, &us, &i, &u, &l, &ul, &f, &d, &str, &bytes) != 0)
        return -1;
    return bfork_return(t, b, s, us, i, u, l, ul, f, d, str, bytes);
}

int crashes_once(bfork_task *t)
{
    const char *path;
    if (bfork_args(t, &path) != 0)
        return -1;
    if (access(path, F_OK) == 0)
        return 0;
    append(path);
    raise(SIGSEGV);
    return 1;
}

int fails_twice(bfork_task *t)
{
    const char *path;
    struct stat st = { .st_size = 0 };
    if (bfork_args(t, &path) != 0)
        return -1;
    if (stat(path, &st) == 0 && st.st_size >= 2)
        return bfork_return(t, (int)bfork_task_self(t)->attempt);
    append(path);
    return 9;
}

int square(const int *in, int *out, bfork_task *t)
{
    (void)t;
    *out = *in * *in;
    return 0;
}

int odd_fails(const int *in, int *out, bfork_task *t)
{
    if (*in % 2)
        return bfork_raise(t, *in, "%d is odd", *in);
    *out = *in / 2;
    return 0;
}

int waits_forever(const int *in, int *out, bfork_task *t)
{
    (void)in, (void)out, (void)t;
    for (;;)
        pause();
}

bfork_session *local(void)
{
    bfork_session *s = bfork_session_new("local:", NULL);
    assert_null(bfork_session_error(s));
    return s;
}

double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int entries(const char *path)
{
    int n = 0;
    DIR *d = opendir(path);
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

int descriptors(void)
{
    return entries("/proc/self/fd");
}

int children(void)
{
    char path[64], text[4096];
    int n = 0;
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd >= 0 ? read(fd, text, sizeof(text)) : -1;
    assert_true(size >= 0);
    close(fd);
    for (ssize_t i = 0; i < size; i++)
        n += text[i] == ' ';
    return n;
}

const char *fresh(const char *name)
{
    static char paths[16][PATH_MAX];
    static int next;
    char *path = paths[next++ % 16], cwd[PATH_MAX - 64];
    assert_non_null(getcwd(cwd, sizeof(cwd)));
    snprintf(path, sizeof(paths[0]), "%s/%s", cwd, name);
    unlink(path);
    return path;
}

void wait_for_file(const char *path)
{
    while (access(path, F_OK) != 0)
        nap(1);
}
