/* SPDX-License-Identifier: MPL-2.0
 * exec_lonely.c - a shared object that the loader will not find.
 */
int exec_lonely(int x);
__attribute__((visibility("default"))) int exec_lonely(int x) { return x + 1; }
