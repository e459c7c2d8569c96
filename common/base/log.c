/* SPDX-License-Identifier: MPL-2.0
 * log.c - one write() for each line on stderr. The daemons' threads share it: log_open comes before the threads, the limiter is
 * behind a lock. Never allocates, never fails; a line is cut at 2 KiB and what could steer a terminal becomes '?'.
 */
#include "base/log.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOG_KEYS 64u

static const char *const level_names[] = { "error", "warning", "notice", "info", "debug" };
static const int level_priorities[] = { 3, 4, 5, 6, 7 };

static struct {
    const char *program;
    enum log_level least;
    bool journal;
    pthread_mutex_t lock;
    /* The last: of all others. */
    struct { unsigned key; uint64_t until; unsigned said, left_out; bool used; } limits[LOG_KEYS + 1];
} logger = { .program = "broadfork", .least = LOG_NOTICE_, .lock = PTHREAD_MUTEX_INITIALIZER };

int log_level_parse(const char *word)
{
    for (int i = 0; i <= LOG_DEBUG_; i++)
        if (strcmp(word, level_names[i]) == 0)
            return i;
    return -1;
}

void log_open(const char *program, enum log_level least)
{
    logger.program = program;
    logger.least = least;
    logger.journal = getenv("JOURNAL_STREAM") != NULL;
}

static size_t log_start(enum log_level level, char *line, size_t size)
{
    struct timespec t;
    struct tm tm;
    char stamp[32];

    if (logger.journal)
        return (size_t)snprintf(line, size, "<%d>%s: %s: ", level_priorities[level], logger.program, level_names[level]);
    clock_gettime(CLOCK_REALTIME, &t);
    localtime_r(&t.tv_sec, &tm);
    strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", &tm);
    return (size_t)snprintf(line, size, "%s.%03d %s: %s: ", stamp, (int)(t.tv_nsec / 1000000), logger.program, level_names[level]);
}

static void log_out(enum log_level level, unsigned left_out, const char *format, va_list ap)
{
    char line[2048];
    int kept = errno, n;
    size_t start = log_start(level, line, 256), size;

    if (start > 255)
        start = 255;
    n = vsnprintf(line + start, sizeof(line) - start - 64, format, ap);
    size = start + (n < 0 ? 0 : strlen(line + start));
    text_clean(line + start, size - start, false);
    if (left_out)
        size += (size_t)snprintf(line + size, 63, " (%u more like this were left out)", left_out);
    line[size++] = '\n';
    for (size_t done = 0; done < size;) {
        ssize_t wrote = write(STDERR_FILENO, line + done, size - done);

        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            break;
        done += (size_t)wrote;
    }
    errno = kept;
}

void log_line(enum log_level level, const char *format, ...)
{
    va_list ap;

    if (level > logger.least)
        return;
    va_start(ap, format);
    log_out(level, 0, format, ap);
    va_end(ap);
}

/* Which cell counts for key: its own, an unused one, or the one whose second ended longest ago. While all are in their second,
 * those that are too many share one: who has many keys has no more lines. */
static size_t limit_cell(unsigned key, uint64_t now)
{
    size_t best = 0;

    for (size_t i = 0; i < LOG_KEYS; i++) {
        if (logger.limits[i].used && logger.limits[i].key == key)
            return i;
        if (!logger.limits[i].used || (logger.limits[best].used && logger.limits[i].until < logger.limits[best].until))
            if (!(best != i && !logger.limits[best].used))
                best = i;
    }
    if (logger.limits[best].used && now < logger.limits[best].until)
        return LOG_KEYS;
    logger.limits[best].used = true;
    logger.limits[best].key = key;
    logger.limits[best].until = 0;
    logger.limits[best].said = 0;
    logger.limits[best].left_out = 0;
    return best;
}

/* May this line be said? Then *ret_left_out are those before it that were not. */
static bool limit_take(unsigned most, unsigned key, unsigned *ret_left_out)
{
    uint64_t now = clock_now();
    bool say;
    size_t i;

    pthread_mutex_lock(&logger.lock);
    i = limit_cell(key, now);
    if (now >= logger.limits[i].until) {
        logger.limits[i].until = now + CLOCK_SEC;
        logger.limits[i].said = 0;
    }
    say = logger.limits[i].said < (i == LOG_KEYS ? 1 : most);
    if (say) {
        *ret_left_out = logger.limits[i].left_out;
        logger.limits[i].left_out = 0;
        logger.limits[i].said++;
    } else
        logger.limits[i].left_out++;
    pthread_mutex_unlock(&logger.lock);
    return say;
}

void log_limited(enum log_level level, unsigned key, const char *format, ...)
{
    unsigned left_out;
    va_list ap;

    if (level > logger.least || !limit_take(1, key, &left_out))
        return;
    va_start(ap, format);
    log_out(level, left_out, format, ap);
    va_end(ap);
}

void log_limited_to(unsigned most, enum log_level level, unsigned key, const char *format, ...)
{
    unsigned left_out;
    va_list ap;

    if (level > logger.least || !limit_take(most, key, &left_out))
        return;
    va_start(ap, format);
    log_out(level, left_out, format, ap);
    va_end(ap);
}
