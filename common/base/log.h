/* SPDX-License-Identifier: MPL-2.0
 * log.h - log lines of the daemons, on stderr: "bfork-broker: warning: worker b lost: silent for 5 s". Never used by the library
 * inside a user's process, never by a core (cores say things through effects).
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_ERROR_, LOG_WARNING_, LOG_NOTICE_, LOG_INFO_, LOG_DEBUG_ };

/* Level from a word ("error" … "debug"); -1: no such word. */
int log_level_parse(const char *word);
/* program: the prefix, static. With JOURNAL_STREAM set, lines start with the <n> of sd-daemon(3) instead of a time. */
void log_open(const char *program, enum log_level least);
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same, at most once for `key` in every second; the number of lines left out is added to the next one. */
void log_limited(enum log_level level, unsigned key, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* At most `most` times in every second. Always the same for one key. */
void log_limited_to(unsigned most, enum log_level level, unsigned key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
#endif
