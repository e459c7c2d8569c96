/* SPDX-License-Identifier: MPL-2.0
 * codec - the same bytes are decoded into structures and encoded again, by our own cursor (codec_ours.c) and by msgpack-c
 * (peers/msgpack.c). Each function takes n bytes apart, with all checks that its structures need, puts what it got together again
 * in out, and returns how many bytes that are. What cannot be decoded ends the program. */
#ifndef BENCH_CODEC_H
#define BENCH_CODEC_H

#include <stddef.h>
#include <stdint.h>

size_t codec_task(const uint8_t *bytes, size_t n, uint8_t *out);    /* arguments: integer, text, real, truth value, 100 bytes */
size_t codec_tasks(const uint8_t *bytes, size_t n, uint8_t *out);   /* a TASKS frame */
size_t codec_hello(const uint8_t *bytes, size_t n, uint8_t *out);   /* a HELLO frame: a map of 17 fields */

#endif
