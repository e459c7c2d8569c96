/* SPDX-License-Identifier: MPL-2.0
 * A table that is loaded once per host and shared by all task processes; a map some of whose tasks fail. */
#include <bfork.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROWS = 100000 };

static double *table;
static size_t rows;

static int load(bfork_task *task)
{
    const char *path;

    if (bfork_args(task, &path, &rows))
        return -1;
    FILE *f = fopen(path, "rb");
    if (!f)
        return bfork_raise(task, 1, "cannot open %s", path);
    table = malloc(rows * sizeof(*table));
    size_t got = table ? fread(table, sizeof(*table), rows, f) : 0;
    fclose(f);
    return got == rows ? 0 : bfork_raise(task, 2, "%s: %zu of %zu rows", path, got, rows);
}

static int look_up(const size_t *row, double *out, bfork_task *task)
{
    if (*row >= rows)
        return bfork_raise(task, 3, "row %zu of %zu", *row, rows);
    *out = table[*row];
    return 0;
}

static void make_table(const char *path)
{
    FILE *f = fopen(path, "wb");

    for (int i = 0; f && i < ROWS; i++) {
        double value = i * 0.5;
        fwrite(&value, sizeof(value), 1, f);
    }
    if (!f || fclose(f))
        abort();
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    char path[4096], *here = realpath(".", NULL);
    snprintf(path, sizeof(path), "%s/table.bin", here);
    free(here);
    make_table(path);

    bfork_pool_options o = { .preload = load, BFORK_ARGS(path, (size_t)ROWS) };
    bfork_pool *pool = bfork_pool_new(NULL, BFORK_ALL, &o);
    size_t row[] = { 1, 99, 5000000 };
    double out[3] = { 0 };
    int32_t status[3];
    if (bfork_map_with(pool, look_up, row, out, 3, &(bfork_options){ .status = status, .retries = BFORK_RETRY_NEVER }))
        printf("%s\n", bfork_last_error()->message);        /* the lowest index that failed; the others are there */
    for (int i = 0; i < 3; i++)
        if (status[i] == 0)
            printf("%zu %g\n", row[i], out[i]);
        else
            printf("%zu %s, %g\n", row[i], bfork_status_name(status[i]), out[i]);
    bfork_pool_free(&pool);
}
