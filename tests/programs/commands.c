/* SPDX-License-Identifier: MPL-2.0
 * Commands as tasks, one for each line of the input; the exit status is the number of those that failed. */
#include <bfork.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    bfork_pool *pool = bfork_pool_new(NULL, BFORK_ALL, &(bfork_pool_options){ .max_queued = 100000 });
    bfork_stream *s = bfork_stream_new();
    char line[4096];
    int failed = 0, rc;

    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = 0;
        const char *script = "echo \"to stdout: $1\"; echo \"to stderr: $1\" >&2; [ \"$1\" != bad ] || exit 3";
        const char *cmd[] = { "sh", "-c", script, "sh", line, NULL };
        bfork_function fn = { .argv = cmd };
        bfork_stream_add(s, bfork_pool_submit_raw(pool, &fn, &(bfork_options){ .run_limit_ms = 60000 }, NULL, 0), strdup(line));
    }
    bfork_future *f;
    while ((rc = bfork_stream_next(s, BFORK_FOREVER, &f)) == 0) {
        int status;
        bfork_bytes out, err;
        if (bfork_result(f, &status, &out, &err) != 0) {
            bfork_report(stderr, bfork_future_error(f));
            failed++;
        } else {
            fwrite(out.data, 1, out.size, stdout);
            fwrite(err.data, 1, err.size, stdout);
            printf("%s ended with %d\n", (const char *)bfork_future_data(f), status);
            failed += status != 0;
        }
        free(bfork_future_data(f));
        bfork_future_free(&f);
    }
    if (rc != BFORK_END)
        bfork_die("commands");
    bfork_stream_free(&s);
    bfork_pool_free(&pool);
    return failed > 100 ? 101 : failed;
}
