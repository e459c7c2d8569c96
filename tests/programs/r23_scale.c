/* SPDX-License-Identifier: MPL-2.0
 * libr23_scale.so: a library whose functions depend on what a program has set in it, as random numbers do on their generator.
 */
#include "r23_scale.h"

static int factor = 1;

void scale_set(int by) { factor = by; }
int scale_of(int value) { return value * factor; }
