/* SPDX-License-Identifier: MPL-2.0
 * status_name.c - the one function of the library that records need, so that their test needs no library.
 */
#include <bfork.h>

const char *bfork_status_name(int status)
{
    return status == BFORK_CRASHED ? "crashed" : "other";
}
