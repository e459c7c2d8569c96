/* SPDX-License-Identifier: MPL-2.0
 * progress.c - bfork_bar: one line on stderr, drawn anew, only if that is a terminal.
 */
#include "bfork.h"

#include <string.h>
#include <unistd.h>

#define BAR 20

/* 1234567 as 1,234,567 */
static const char *grouped(uint64_t n, char text[32])
{
    char plain[32];
    int len = snprintf(plain, sizeof(plain), "%llu", (unsigned long long)n), at = 0;
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            text[at++] = ',';
        text[at++] = plain[i];
    }
    text[at] = 0;
    return text;
}

static void left_text(double seconds, char *text, size_t size)
{
    if (!(seconds >= 0) || seconds > 8640000)
        snprintf(text, size, "?");
    else if (seconds < 90)
        snprintf(text, size, "%.0f s", seconds);
    else if (seconds < 5400)
        snprintf(text, size, "%.0f min", seconds / 60);
    else
        snprintf(text, size, "%.1f h", seconds / 3600);
}

void bfork_bar(void *unused, const bfork_progress *p)
{
    char bar[BAR + 1], line[256], left[32], a[32], b[32], c[32], d[32];
    (void)unused;
    if (!isatty(2))
        return;
    uint64_t done = p->done + p->failed;
    int full = p->total ? (int)(BAR * (double)done / (double)p->total) : 0;
    memset(bar, '-', BAR);
    memset(bar, '#', (size_t)full);
    bar[BAR] = 0;
    left_text(p->seconds_left, left, sizeof(left));
    int n = snprintf(line, sizeof(line), "\r[%s]  %s of %s   %s/s   %s left   %s failed\033[K%s", bar, grouped(done, a),
                     grouped(p->total, b), grouped((uint64_t)p->per_second, c), left, grouped(p->failed, d),
                     p->total && done == p->total ? "\n" : "");
    ssize_t put = write(2, line, n < (int)sizeof(line) ? (size_t)n : sizeof(line) - 1);
    (void)put;
}
