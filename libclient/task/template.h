/* SPDX-License-Identifier: MPL-2.0
 * template.h - what a template does.
 */
#ifndef LIBCLIENT_TASK_TEMPLATE_H
#define LIBCLIENT_TASK_TEMPLATE_H

#include <stdbool.h>

int task_threads(void);                                     /* of this process */
void task_template_main(int socket, bool forked) __attribute__((noreturn)); /* forked: from the caller, not started anew */
#endif
