/* SPDX-License-Identifier: MPL-2.0
 * r23_scale.h - what libr23_scale.so offers: scale_of gives value times what was last set, at first 1.
 */
#ifndef PROGRAMS_R23_SCALE_H
#define PROGRAMS_R23_SCALE_H

void scale_set(int by);
int scale_of(int value);

#endif
