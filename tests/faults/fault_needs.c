/* SPDX-License-Identifier: MPL-2.0
 * fault_needs.c - the library that a program needs and a worker's host lacks.
 */
extern int fault_needed(void);

__attribute__((visibility("default"))) int fault_needed(void) { return 42; }
