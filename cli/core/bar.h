/* SPDX-License-Identifier: MPL-2.0
 * bar.h - numbers, durations and the progress bar as a person reads them.
 *
 *   [########------------]  41,233 of 100,000   1,912/s   31 s left   3 failed
 */
#ifndef CLI_CORE_BAR_H
#define CLI_CORE_BAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BAR_TEXT 32u

/* 41233: "41,233". buf has BAR_TEXT bytes and is returned. */
char *cli_bar_number(uint64_t n, char buf[BAR_TEXT]);
/* Seconds: "0 s", "31 s", "4 min 05 s", "2 h 07 min", "3 d 04:11". */
char *cli_bar_duration(uint64_t seconds, char buf[BAR_TEXT]);
/* Nanoseconds with three digits: "850 ns", "18.3 µs", "1.25 ms", "2.00 s". */
char *cli_bar_nanoseconds(uint64_t ns, char buf[BAR_TEXT]);

struct bar {
    uint64_t done, failed, total;
    bool total_known;
    double elapsed;             /* seconds since the first task was submitted */
    double per_second;          /* now; < 0: not measured yet */
};
/* One line without its newline, at most `columns` wide (parts that do not fit are left out). Returns its length in bytes. */
size_t cli_bar_render(const struct bar *b, unsigned columns, char *out, size_t size);
#endif
