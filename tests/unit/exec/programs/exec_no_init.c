/* SPDX-License-Identifier: MPL-2.0
 * exec_no_init.c - a program whose main forgets bfork_init: it says a word and ends.
 */
#include <stdio.h>

int main(void)
{
    fprintf(stderr, "forgot it\n");
    return 3;
}
