/* SPDX-License-Identifier: MPL-2.0
 * fds.h - the three standard descriptors of a process.
 */
#ifndef BASE_FDS_H
#define BASE_FDS_H

/* From now on nothing that is opened becomes descriptor 0, 1 or 2: those of them that are closed are taken by descriptors that can
 * be neither read, written nor polled (so programs still see that they are closed), and that end with exec. Any thread, any number
 * of times; keeps errno. Without descriptors left it does nothing. */
void fds_reserve(void);

#endif
