/* SPDX-License-Identifier: MPL-2.0
 * tasks.h - what the tests of the library have in common: cmocka, the task functions, small helpers.
 */
#ifndef TESTS_LIBCLIENT_TASKS_H
#define TESTS_LIBCLIENT_TASKS_H

#include "bfork.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* int -> int */
int add_one(bfork_task *t);
int fails_with_7(bfork_task *t);                /* returns 7 */
int raises(bfork_task *t);                      /* bfork_raise (5, "no luck with 3") */
int crashes(bfork_task *t);                     /* SIGSEGV */
int aborts(bfork_task *t);
int exits(bfork_task *t);                       /* exit (int) */
int sleeps(bfork_task *t);                      /* for ever */
int sleeps_ms(bfork_task *t);                   /* so long, returns it */
int own_pid(bfork_task *t);
int touches(bfork_task *t);                     /* writes its pid into the file (string) and sleeps for ever */
int waits_for_file(bfork_task *t);              /* returns when the file (string) is there */
int appends(bfork_task *t);                     /* one byte to the file (string) */
int prints(bfork_task *t);                      /* int lines of 1000 bytes to stdout, "last" to stderr */
int reads_context(bfork_task *t);               /* sum of the ints in the context */
int reads_env(bfork_task *t);                   /* string -> string */
int returns_all(bfork_task *t);                 /* every type, as it came */
int crashes_once(bfork_task *t);                /* in its first attempt, told by the file (string) */
int fails_twice(bfork_task *t);                 /* succeeds when the file (string) has two bytes */
int square(const int *in, int *out, bfork_task *t);
int odd_fails(const int *in, int *out, bfork_task *t);          /* even: their half */
int waits_forever(const int *in, int *out, bfork_task *t);

#define ok(call) assert_int_equal((call), 0)

bfork_session *local(void);
double seconds(void);
int descriptors(void);                          /* open in this process */
int children(void);                             /* processes below this one */
/* A path in the working directory that does not exist. */
const char *fresh(const char *name);
void wait_for_file(const char *path);

#endif
