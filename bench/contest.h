/* SPDX-License-Identifier: MPL-2.0
 * contest - what all contenders of a benchmark share: a warm program that measures once for each line "run" on stdin.
 * It prints "ready" when it is set up, one number for each run, and leaves at the end of stdin. "skip: why" and "failed: why" end
 * it; "note: what" before a number is told with the row.
 * It never measures by itself: bench/run decides whose turn it is, so that ours, peers and floors alternate. */
#ifndef BENCH_CONTEST_H
#define BENCH_CONTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

double contest_now(void);                                       /* seconds, monotonic */
double contest_median(double *values, size_t n);                /* sorts them */
void contest_skip(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void contest_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Of the run that goes on. */
void contest_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Runs until the end of stdin; then calls done (may be NULL) and returns 0. */
int contest_loop(double (*run)(void *data), void (*done)(void *data), void *data);

/* fork; the child dies with its parent, and with SIGTERM. */
pid_t contest_fork(void);

/* The whole buffer, or contest_fail. */
void contest_write(int fd, const void *bytes, size_t size);
void contest_read(int fd, void *bytes, size_t size);

/* The payload of a task: its number, and behind that bytes that follow from the number and differ from place to place, so that a
 * result can be compared as a whole, here or with what was sent. Of a size below 8 only the number's first bytes. Costs a memcpy, a
 * memcmp. */
enum { CONTEST_PAYLOAD = 1 << 20 };                             /* the largest */
void contest_fill(void *payload, size_t size, size_t number);
bool contest_filled(const void *payload, size_t size, size_t number);
size_t contest_number(const void *payload);                     /* of at least 8 bytes; not checked */
/* n of them, numbered from 0, one behind the other. Or contest_fail. */
void *contest_payloads(size_t n, size_t size);

/* Where two partners of a round trip run, so that like is compared with like: as the scheduler likes, both on the first processor
 * that this process may use, or partner 0 on the first and partner 1 on the second. contest_place puts the calling thread there. */
enum contest_placement { CONTEST_FREE, CONTEST_SAME, CONTEST_TWO };
enum contest_placement contest_placement_of(const char *name);  /* "free", "same", "two" */
void contest_place(enum contest_placement placement, int partner);

/* The resident memory of a process in bytes. */
double contest_resident(pid_t pid);

#endif
