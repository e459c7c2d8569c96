/* SPDX-License-Identifier: MPL-2.0
 * blur.h - what libblur.so offers: out[i] = in[i] / 2, in the pool's task processes, or in this process if pool is NULL. */
#ifndef PROGRAMS_BLUR_H
#define PROGRAMS_BLUR_H

#include <bfork.h>

BFORK_API int blur_rows(const float *in, float *out, size_t rows, bfork_pool *pool);

#endif
