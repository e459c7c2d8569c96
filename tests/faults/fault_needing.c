/* SPDX-License-Identifier: MPL-2.0
 * fault_needing.c - a program that needs a library (fault_needs.c) and runs one task; prints how it ended.
 */
#include <bfork.h>

int fault_needed(void);

static int task_of_it(bfork_task *task) { return bfork_return(task, fault_needed()); }

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);

    bfork_pool *pool = bfork_pool_new(NULL, 1, NULL);
    bfork_future *f = bfork_submit(pool, task_of_it);
    int value = 0, rc = bfork_result(f, &value);

    printf("%s: %d %s\n", bfork_status_name(rc), value, rc ? bfork_last_error()->message : "");
    bfork_future_free(&f);
    bfork_pool_free(&pool);
    return rc ? 1 : 0;
}
