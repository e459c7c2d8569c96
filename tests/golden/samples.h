/* SPDX-License-Identifier: MPL-2.0
 * samples.h - one message of every type, with every field set, and one of every document: what golden files, mutations and fuzzing
 * start from. Fixed for ever, as the golden files are; new samples go to the end.
 */
#ifndef TESTS_SAMPLES_H
#define TESTS_SAMPLES_H

#include "wire/wire.h"

struct sample { const char *name; struct wire_msg msg; };
enum sample_document { SAMPLE_FN, SAMPLE_POOL_SPEC, SAMPLE_JOB_SPEC, SAMPLE_OUTCOME, SAMPLE_DOCUMENTS };

#define SAMPLES_MAX 64
#define SAMPLE_ROOM 8192

/* Fills samples[]; returns how many. They live as long as the program. */
size_t samples_make(struct sample samples[SAMPLES_MAX]);
extern const char *const sample_document_names[SAMPLE_DOCUMENTS];
/* The document's bytes into out; how many. */
size_t sample_document(enum sample_document which, uint8_t out[SAMPLE_ROOM]);
/* Decodes p as that kind of document and encodes it again: 0, or the decoder's answer; -1: the encoder refused. */
int sample_document_again(enum sample_document which, const void *p, size_t n, uint8_t *out, size_t *ret_size, struct err *e);

#endif
