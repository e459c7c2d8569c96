/* SPDX-License-Identifier: MPL-2.0
 * contest - see contest.h. */
#include "contest.h"
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

double contest_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double contest_median(double *values, size_t n)
{
    qsort(values, n, sizeof(*values), by_value);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static void leave(const char *how, const char *format, va_list ap)
{
    char text[512];
    vsnprintf(text, sizeof(text), format, ap);
    for (char *p = text; *p; p++)
        if (*p == '\n')
            *p = ' ';
    printf("%s: %s\n", how, text);
    fflush(stdout);
    exit(how[0] == 's' ? 0 : 1);
}

void contest_skip(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    leave("skip", format, ap);
    va_end(ap);
    abort();
}

void contest_fail(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    leave("failed", format, ap);
    va_end(ap);
    abort();
}

void contest_note(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    printf("note: ");
    vprintf(format, ap);
    printf("\n");
    va_end(ap);
}

int contest_loop(double (*run)(void *data), void (*done)(void *data), void *data)
{
    char line[64];
    printf("ready\n");
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin)) {
        printf("%.9g\n", run(data));
        fflush(stdout);
    }
    if (done)
        done(data);
    return 0;
}

pid_t contest_fork(void)
{
    pid_t parent = getpid();
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        contest_fail("fork: %s", strerror(errno));
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(0);
    }
    return pid;
}

void contest_write(int fd, const void *bytes, size_t size)
{
    for (const char *p = bytes; size > 0;) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno != EINTR)
            contest_fail("write: %s", strerror(errno));
        if (n > 0) {
            p += n;
            size -= (size_t)n;
        }
    }
}

void contest_read(int fd, void *bytes, size_t size)
{
    for (char *p = bytes; size > 0;) {
        ssize_t n = read(fd, p, size);
        if (n == 0)
            contest_fail("read: the other side has closed");
        if (n < 0 && errno != EINTR)
            contest_fail("read: %s", strerror(errno));
        if (n > 0) {
            p += n;
            size -= (size_t)n;
        }
    }
}

/* Bytes in which no eight occur twice; a payload begins at the place that its number says. Only as many are made as are needed:
 * they count as memory of the client. */
static const uint8_t *noise(size_t size, size_t number)
{
    enum { PLACES = 4096 };
    static uint8_t bytes[PLACES + CONTEST_PAYLOAD];
    static size_t made;
    static uint64_t x = 88172645463325252u;
    if (size > CONTEST_PAYLOAD)
        contest_fail("a payload of %zu bytes is too large", size);
    for (; made < PLACES + size; made += sizeof(x)) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(bytes + made, &x, sizeof(x));
    }
    return bytes + number % PLACES;
}

static size_t head(size_t size) { return size < sizeof(size_t) ? size : sizeof(size_t); }

void contest_fill(void *payload, size_t size, size_t number)
{
    memcpy(payload, &number, head(size));
    memcpy((uint8_t *)payload + head(size), noise(size, number), size - head(size));
}

bool contest_filled(const void *payload, size_t size, size_t number)
{
    return memcmp(payload, &number, head(size)) == 0 &&
           memcmp((const uint8_t *)payload + head(size), noise(size, number), size - head(size)) == 0;
}

size_t contest_number(const void *payload)
{
    size_t number;
    memcpy(&number, payload, sizeof(number));
    return number;
}

void *contest_payloads(size_t n, size_t size)
{
    uint8_t *all = malloc(n * size);
    if (!all)
        contest_fail("out of memory");
    for (size_t i = 0; i < n; i++)
        contest_fill(all + i * size, size, i);
    return all;
}

enum contest_placement contest_placement_of(const char *name)
{
    static const char *names[] = { [CONTEST_FREE] = "free", [CONTEST_SAME] = "same", [CONTEST_TWO] = "two" };
    for (int i = CONTEST_FREE; i <= CONTEST_TWO; i++)
        if (strcmp(names[i], name) == 0)
            return (enum contest_placement)i;
    contest_fail("no placement \"%s\": free, same or two", name);
}

void contest_place(enum contest_placement placement, int partner)
{
    cpu_set_t may, one;
    int n = placement == CONTEST_TWO ? partner : 0;
    if (placement == CONTEST_FREE)
        return;
    if (sched_getaffinity(0, sizeof(may), &may) < 0)
        contest_fail("sched_getaffinity: %s", strerror(errno));
    if (CPU_COUNT(&may) <= n)
        contest_skip("this machine has not two processors");
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &may) && n-- == 0) {
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            if (sched_setaffinity(0, sizeof(one), &one) < 0)
                contest_fail("sched_setaffinity: %s", strerror(errno));
        }
}

double contest_resident(pid_t pid)
{
    char path[64], line[256];
    double kilobytes = -1;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, "VmRSS:", 6) == 0)
            kilobytes = strtod(line + 6, NULL);
    if (f)
        fclose(f);
    if (kilobytes < 0)
        contest_fail("process %d has no memory to measure: has it ended?", (int)pid);
    return kilobytes * 1024;
}
