/* SPDX-License-Identifier: MPL-2.0
 * exec_needs_library.c - a program that needs it.
 */
int exec_lonely(int x);
int main(void) { return exec_lonely(1); }
