/* SPDX-License-Identifier: MPL-2.0
 * record.h - one task of a map, or one run, as a line of JSON. The field names are stable; new ones may be added.
 *
 *   {"task":3,"args":["c"],"command":["echo","c"],"exit":0,"signal":0,"tries":1,"stdout":"c\n","stderr":""}
 *
 * A task without an exit status has "exit":null and "error":{"kind","message","code","signal","attempt","pid","host","output"}, and
 * what it wrote before.
 * Output that is not UTF-8 comes in "stdout_base64", "stderr_base64" instead.
 */
#ifndef CLI_CORE_RECORD_H
#define CLI_CORE_RECORD_H

#include <bfork.h>
#include <stdio.h>

struct record {
    uint64_t number;            /* 0: no "task" */
    const char *const *args;    /* NULL: no "args" */
    size_t n_args;
    char *const *argv;
    int status, signal;
    unsigned tries;
    bfork_bytes out, err;
    const bfork_error *error;   /* NULL: it has an exit status */
};

/* 0 or BFORK_ENOMEM, and then nothing was written. */
int cli_record_print(const struct record *r, FILE *to);
#endif
