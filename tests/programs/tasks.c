/* SPDX-License-Identifier: MPL-2.0
 * A shared object with a task function that is called by its name. */
#include <bfork.h>

int add(bfork_task *task);

int add(bfork_task *task)
{
    int a, b;

    if (bfork_args(task, &a, &b))
        return -1;
    return bfork_return(task, a + b);
}
