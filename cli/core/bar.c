/* SPDX-License-Identifier: MPL-2.0
 * bar.c - numbers, durations and the progress bar as a person reads them. Pure: knows no terminal and no clock.
 */
#include "bar.h"

#include <stdio.h>
#include <string.h>

#define CELLS 20u

char *cli_bar_number(uint64_t n, char buf[BAR_TEXT])
{
    char digits[24];
    int size = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n), at = 0;

    for (int i = 0; i < size; i++) {
        if (i > 0 && (size - i) % 3 == 0)
            buf[at++] = ',';
        buf[at++] = digits[i];
    }
    buf[at] = '\0';
    return buf;
}

char *cli_bar_duration(uint64_t seconds, char buf[BAR_TEXT])
{
    unsigned long long s = seconds;

    if (s < 100)
        snprintf(buf, BAR_TEXT, "%llu s", s);
    else if (s < 3600)
        snprintf(buf, BAR_TEXT, "%llu min %02llu s", s / 60, s % 60);
    else if (s < 86400)
        snprintf(buf, BAR_TEXT, "%llu h %02llu min", s / 3600, s / 60 % 60);
    else
        snprintf(buf, BAR_TEXT, "%llu d %02llu:%02llu", s / 86400, s / 3600 % 24, s / 60 % 60);
    return buf;
}

char *cli_bar_nanoseconds(uint64_t ns, char buf[BAR_TEXT])
{
    static const char *const units[] = { "ns", "µs", "ms", "s" };
    double v = (double)ns;
    unsigned u = 0;

    while (v >= 999.5 && u < 3) {
        v /= 1000;
        u++;
    }
    snprintf(buf, BAR_TEXT, "%.*f %s", u == 0 || v >= 99.95 ? 0 : v >= 9.995 ? 1 : 2, v, units[u]);
    return buf;
}

static size_t add_part(char *out, size_t size, size_t at, unsigned columns, const char *part)
{
    size_t n = strlen(part);

    if (at + n > columns || at + n >= size)
        return at;
    memcpy(out + at, part, n + 1);
    return at + n;
}

size_t cli_bar_render(const struct bar *b, unsigned columns, char *out, size_t size)
{
    char part[96], x[BAR_TEXT], y[BAR_TEXT];
    size_t at = 0;

    if (size == 0)
        return 0;
    out[0] = '\0';
    if (b->total_known) {
        double share = b->total ? (double)b->done / (double)b->total : 1.0;
        unsigned full = (unsigned)(share * CELLS);
        part[0] = '[';
        for (unsigned i = 0; i < CELLS; i++)
            part[1 + i] = i < full ? '#' : '-';
        memcpy(part + 1 + CELLS, "]  ", sizeof("]  "));
        at = add_part(out, size, at, columns, part);
        snprintf(part, sizeof(part), "%s of %s", cli_bar_number(b->done, x), cli_bar_number(b->total, y));
    } else {
        snprintf(part, sizeof(part), "%s done", cli_bar_number(b->done, x));
    }
    at = add_part(out, size, at, columns, part);
    if (b->per_second >= 0) {
        if (b->per_second < 10)
            snprintf(part, sizeof(part), "   %.1f/s", b->per_second);
        else
            snprintf(part, sizeof(part), "   %s/s", cli_bar_number((uint64_t)(b->per_second + 0.5), x));
        at = add_part(out, size, at, columns, part);
    }
    if (b->total_known && b->per_second > 0 && b->done < b->total) {
        snprintf(part, sizeof(part), "   %s left", cli_bar_duration((uint64_t)((double)(b->total - b->done) / b->per_second + 0.5),
                                                                    x));
        at = add_part(out, size, at, columns, part);
    }
    if (b->failed > 0) {
        snprintf(part, sizeof(part), "   %s failed", cli_bar_number(b->failed, x));
        at = add_part(out, size, at, columns, part);
    }
    return at;
}
