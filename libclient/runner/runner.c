/* SPDX-License-Identifier: MPL-2.0
 * runner.c - the program that functions of shared objects, and commands, run in: nothing but bfork_init. Started by the library and
 * by bfork-worker, never by hand.
 */
#include <bfork.h>

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    fprintf(stderr,
            "bfork-runner: this program is started by Broadfork itself; see bfork (1) for running commands and functions\n");
    return 2;
}
