/* SPDX-License-Identifier: MPL-2.0
 * sum1000.c - the numbers 1 to 1000, summed in chunks by a map, the partial sums combined here.
 * Shows: elements that are structs, one task a chunk, results in the order of the input whoever finishes first. */
#include <bfork.h>
#include <stdio.h>

enum { CHUNKS = 10, NUMBERS = 1000 };

struct range { int from, to; };     /* both included */

static int sum(const struct range *range, long *out, bfork_task *task)
{
    (void)task;
    for (int i = range->from; i <= range->to; i++)
        *out += i;                  /* *out is zero at entry */
    return 0;
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);

    struct range ranges[CHUNKS];
    long sums[CHUNKS], total = 0;
    for (int i = 0; i < CHUNKS; i++)
        ranges[i] = (struct range){ i * NUMBERS / CHUNKS + 1, (i + 1) * NUMBERS / CHUNKS };

    bfork_pool *pool = bfork_pool_new(NULL, BFORK_ALL, NULL);
    if (bfork_map(pool, sum, ranges, sums, CHUNKS) != 0)
        bfork_die("sum1000");

    for (int i = 0; i < CHUNKS; i++) {
        printf("%4d to %4d: %6ld\n", ranges[i].from, ranges[i].to, sums[i]);
        total += sums[i];
    }
    printf("1 to %d: %ld\n", NUMBERS, total);
    bfork_pool_free(&pool);
}
