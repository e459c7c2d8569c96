/* SPDX-License-Identifier: MPL-2.0
 * client_map.c - a function over an array on this machine: sizes, failures, giving up, progress.
 */
#include "tasks.h"

#include <fcntl.h>

static bfork_pool *pool;

static int open_pool(void **state)
{
    (void)state;
    pool = bfork_pool_new(NULL, 2, NULL);
    return bfork_pool_error(pool) ? -1 : 0;
}

static int free_pool(void **state)
{
    (void)state;
    bfork_pool_free(&pool);
    return 0;
}

struct point { double x, y; int32_t tag; };

static int mirror(const struct point *in, struct point *out, bfork_task *t)
{
    (void)t;
    *out = (struct point){ in->y, in->x, -in->tag };
    return 0;
}

static int first_and_last(const void *in, void *out, bfork_task *t)
{
    size_t size;
    const uint8_t *bytes = bfork_task_args_raw(t, &size);
    (void)in;
    memset(out, bytes[0] == bytes[size - 1] ? bytes[0] : 255, 1u << 20);
    return 0;
}

static int leaves_out_alone(const int *in, int *out, bfork_task *t)
{
    (void)t;
    return *in ? 0 : *out;                      /* *out is zeroed at entry: otherwise this fails */
}

static void nothing_one_and_many(void **state)
{
    static const size_t counts[] = { 0, 1, 2, 7, 1000, 200000 };
    (void)state;
    for (size_t k = 0; k < sizeof(counts) / sizeof(counts[0]); k++) {
        size_t n = counts[k];
        int *in = malloc((n + 1) * sizeof(*in)), *out = malloc((n + 1) * sizeof(*out));
        for (size_t i = 0; i < n; i++)
            in[i] = (int)(i % 40000);
        ok(bfork_map(pool, square, in, out, n));
        for (size_t i = 0; i < n; i++)
            assert_int_equal(out[i], in[i] * in[i]);
        free(in);
        free(out);
    }
}

static void structs(void **state)
{
    struct point in[100], out[100];
    (void)state;
    for (int i = 0; i < 100; i++)
        in[i] = (struct point){ i, 2 * i, i };
    ok(bfork_map(pool, mirror, in, out, 100));
    for (int i = 0; i < 100; i++)
        assert_true(out[i].x == 2 * i && out[i].y == i && out[i].tag == -i);
}

static void elements_of_one_mebibyte(void **state)
{
    enum { N = 6, SIZE = 1 << 20 };
    uint8_t *in = malloc((size_t)N * SIZE), *out = calloc(N, SIZE);
    (void)state;
    for (int i = 0; i < N; i++)
        memset(in + (size_t)i * SIZE, i + 1, SIZE);
    ok(bfork_pool_map(pool, first_and_last, in, SIZE, out, SIZE, N, NULL));
    assert_memory_equal(in, out, (size_t)N * SIZE);
    free(in);
    free(out);
}

static void too_big_elements_and_wrong_calls(void **state)
{
    static char one[8];
    (void)state;
    assert_int_equal(bfork_pool_map(pool, first_and_last, one, 2u << 20, one, 1, 1, NULL), BFORK_ETOOBIG);
    assert_int_equal(bfork_pool_map(pool, first_and_last, one, 1, one, 2u << 20, 1, NULL), BFORK_ETOOBIG);
    assert_int_equal(bfork_pool_map(pool, NULL, one, 1, one, 1, 1, NULL), BFORK_EINVAL);
    assert_int_equal(bfork_pool_map(pool, first_and_last, NULL, 1, one, 1, 1, NULL), BFORK_EINVAL);
    assert_int_equal(bfork_pool_map(NULL, first_and_last, one, 1, one, 1, 1, NULL), BFORK_EINVAL);
}

/* A number below zero, as a size_t: no array has so many. */
static void r24_a_negative_number_of_elements_is_refused(void **state)
{
    static char one[8];
    int n = -1;
    (void)state;
    assert_int_equal(bfork_pool_map(pool, first_and_last, one, 1, one, 1, (size_t)n, NULL), BFORK_EINVAL);
    assert_non_null(strstr(bfork_last_error()->message, "negative"));
    assert_int_equal(bfork_pool_map(pool, first_and_last, one, 8, one, 0, SIZE_MAX / 8, NULL), BFORK_EINVAL);
    assert_int_equal(bfork_pool_map(pool, first_and_last, one, 0, one, 8, SIZE_MAX / 8, NULL), BFORK_EINVAL);
}

static int returns_besides(const int *in, int *out, bfork_task *t)
{
    *out = *in;
    return bfork_return(t, "text");
}

static int asks_for_arguments(const int *in, int *out, bfork_task *t)
{
    *out = *in;
    return bfork_args(t, out);
}

static int exits_with_4(const int *in, int *out, bfork_task *t)
{
    (void)t;
    exit(*in + *out + 4);
}

/* What is wrong in the function of a map is said in its words, and by its name, whoever runs it. */
static void r24_what_the_function_of_a_map_cannot_do_is_said(void **state)
{
    static const char *const profiles[] = { "local:", "serial:" };
    int in = 0, out;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        bfork_session *s = bfork_session_new(profiles[i], NULL);
        bfork_pool *p = bfork_pool_new(s, 1, NULL);
        assert_int_equal(bfork_map(p, returns_besides, &in, &out, 1), BFORK_FAILED);
        assert_int_equal(bfork_last_error()->code, BFORK_EINVAL);
        assert_non_null(strstr(bfork_last_error()->message, "returns_besides is the function of a map: it returns through *out"));
        assert_int_equal(bfork_map(p, asks_for_arguments, &in, &out, 1), BFORK_MISMATCH);
        assert_non_null(strstr(bfork_last_error()->message, "asks_for_arguments is the function of a map: its argument is *in"));
        bfork_pool_free(&p);
        bfork_session_free(&s);
    }
    assert_int_equal(bfork_map(pool, exits_with_4, &in, &out, 1), BFORK_EXITED);
    assert_non_null(strstr(bfork_last_error()->function, "exits_with_4"));
}

static void failures_leave_out_alone_and_the_lowest_is_told(void **state)
{
    int in[] = { 2, 4, 7, 6, 9 }, out[] = { -1, -1, -1, -1, -1 };
    int32_t status[5];
    (void)state;
    bfork_future *f = bfork_map_async(pool, odd_fails, in, out, 5, BFORK_OPTIONS(.status = status));
    assert_int_equal(bfork_result(f), BFORK_FAILED);
    assert_int_equal(bfork_last_error()->index, 2);
    assert_int_equal(bfork_last_error()->code, 7);
    assert_string_equal(bfork_last_error()->message, "7 is odd");
    assert_non_null(strstr(bfork_last_error()->function, "odd_fails"));
    assert_int_equal(bfork_future_error_at(f, 4)->code, 9);
    assert_null(bfork_future_error_at(f, 0));
    assert_int_equal(bfork_future_error(f)->index, 2);
    bfork_future_free(&f);
    const int expected[] = { 1, 2, -1, 3, -1 };
    const int32_t kinds[] = { 0, 0, BFORK_FAILED, 0, BFORK_FAILED };
    assert_memory_equal(out, expected, sizeof(out));
    assert_memory_equal(status, kinds, sizeof(status));
}

static void out_is_zeroed_at_entry(void **state)
{
    int in[64] = { 0 }, out[64];
    (void)state;
    memset(out, 1, sizeof(out));
    ok(bfork_map(pool, leaves_out_alone, in, out, 64));
    for (int i = 0; i < 64; i++)
        assert_int_equal(out[i], 0);
}

static void of_many_failures_the_lowest_is_kept(void **state)
{
    enum { N = 5000 };
    int *in = malloc(N * sizeof(*in)), *out = malloc(N * sizeof(*out)), kept = 0;
    (void)state;
    for (int i = 0; i < N; i++)
        in[i] = i < 3 ? 2 : 2 * i + 1;
    bfork_future *f = bfork_map_async(pool, odd_fails, in, out, N, NULL);
    assert_int_equal(bfork_result(f), BFORK_FAILED);
    assert_int_equal(bfork_last_error()->index, 3);
    for (size_t i = 0; i < N; i++)
        kept += bfork_future_error_at(f, i) != NULL;
    assert_in_range(kept, 1000, 1100);
    bfork_future_free(&f);
    free(in);
    free(out);
}

/* The first element waits until the file of the context is there. */
static int first_fails_last(const int *in, int *out, bfork_task *t)
{
    size_t size;
    if (*in == 0)
        wait_for_file(bfork_task_context(t, &size));
    return odd_fails(&(int){ 2 * *in + 1 }, out, t);
}

struct late { const char *gate; uint64_t failed; };

static void open_gate(void *data, const bfork_progress *p)
{
    struct late *l = data;
    if (p->failed < 1100 || l->failed)
        return;
    l->failed = p->failed;                      /* more than are kept, and the first element is not among them */
    close(open(l->gate, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

/* The lowest failure arrives when as many others as are kept have arrived: it is the one that is told. */
static void the_lowest_failure_is_told_though_it_comes_last(void **state)
{
    enum { N = 2000 };
    int in[N], out[N];
    struct late l = { .gate = fresh("late") };
    (void)state;
    for (int i = 0; i < N; i++)
        in[i] = i;
    bfork_future *f = bfork_map_async(pool, first_fails_last, in, out, N,
                                      BFORK_OPTIONS(.chunk = 1, .context = bfork_bytes_of(l.gate, strlen(l.gate) + 1),
                                                    .progress = open_gate, .progress_data = &l));
    assert_int_equal(bfork_result(f), BFORK_FAILED);
    assert_in_range(l.failed, 1100, N - 1);
    assert_int_equal(bfork_last_error()->index, 0);
    assert_int_equal(bfork_last_error()->code, 1);
    assert_non_null(bfork_future_error_at(f, 0));
    bfork_future_free(&f);
}

static void a_map_that_is_given_up_never_touches_its_arrays_again(void **state)
{
    enum { N = 3000 };
    (void)state;
    for (int round = 0; round < 20; round++) {
        int *in = calloc(N, sizeof(*in)), *out = calloc(N, sizeof(*out));
        bfork_future *f = bfork_map_async(pool, round % 2 ? waits_forever : square, in, out, N, NULL);
        if (round % 3 == 0)
            assert_true(bfork_future_wait(f, 1) <= 0);
        bfork_future_free(&f);
        memset(out, 0x55, N * sizeof(*out));
        free(in);                               /* the sanitizer sees who reads them now */
        free(out);
    }
    int one = 3, nine;
    ok(bfork_map(pool, square, &one, &nine, 1));
    assert_int_equal(nine, 9);
}

static void a_map_with_two_handles_goes_on(void **state)
{
    int in[100], out[100];
    (void)state;
    for (int i = 0; i < 100; i++)
        in[i] = i;
    bfork_future *f = bfork_map_async(pool, square, in, out, 100, NULL), *g = bfork_future_ref(f);
    bfork_future_free(&f);
    ok(bfork_result(g));
    bfork_future_free(&g);
    assert_int_equal(out[99], 99 * 99);
}

static void cancelling_a_map(void **state)
{
    enum { N = 100000 };
    int *in = calloc(N, sizeof(*in)), *out = calloc(N, sizeof(*out));
    int32_t *status = calloc(N, sizeof(*status));
    (void)state;
    bfork_future *f = bfork_map_async(pool, waits_forever, in, out, N, BFORK_OPTIONS(.status = status));
    ok(bfork_future_cancel(f, 0));
    assert_int_equal(bfork_result(f), BFORK_CANCELLED);
    for (int i = 0; i < N; i++)
        assert_int_equal(status[i], BFORK_CANCELLED);
    assert_int_equal(bfork_future_cancel(f, 0), BFORK_ESTATE);
    bfork_future_free(&f);
    free(in);
    free(out);
    free(status);
}

static void count_calls(void *data, const bfork_progress *p)
{
    uint64_t *seen = data;
    seen[0]++;
    seen[1] = p->done;
    seen[2] = p->failed;
    seen[3] = p->total;
}

static void progress_has_the_last_word(void **state)
{
    int in[] = { 2, 3, 4 }, out[3];
    uint64_t seen[4] = { 0 };
    (void)state;
    assert_int_equal(bfork_map_with(pool, odd_fails, in, out, 3, BFORK_OPTIONS(.progress = count_calls, .progress_data = seen)),
                     BFORK_FAILED);
    assert_true(seen[0] >= 1);
    assert_int_equal(seen[1], 2);
    assert_int_equal(seen[2], 1);
    assert_int_equal(seen[3], 3);
}

/* The map is done long before anybody waits for it. */
static void progress_of_a_map_that_was_done_before(void **state)
{
    int in[] = { 2, 3, 4 }, out[3];
    uint64_t seen[4] = { 0 };
    (void)state;
    bfork_future *f = bfork_map_async(pool, odd_fails, in, out, 3, BFORK_OPTIONS(.progress = count_calls, .progress_data = seen));
    while (bfork_future_state(f) != BFORK_DONE) {       /* another future's wait drives this one */
        bfork_future *other = bfork_submit(pool, add_one, 1);
        ok(bfork_result(other));
        bfork_future_free(&other);
    }
    assert_int_equal(seen[0], 0);
    for (int i = 0; i < 3; i++)
        ok(bfork_future_wait(f, BFORK_FOREVER));
    assert_int_equal(seen[0], 1);
    assert_int_equal(seen[1], 2);
    assert_int_equal(seen[2], 1);
    bfork_future_free(&f);
}

static int first_ends(const int *in, int *out, bfork_task *t)
{
    return *in ? waits_forever(in, out, t) : 0;
}

static void elements_that_never_end_have_the_status_of_their_map(void **state)
{
    enum { N = 50 };
    int in[N] = { 0 }, out[N];
    int32_t status[N];
    (void)state;
    for (int i = 1; i < N; i++)
        in[i] = 1;
    bfork_future *f = bfork_map_async(pool, first_ends, in, out, N, BFORK_OPTIONS(.status = status, .chunk = 1));
    assert_int_equal(status[N - 1], BFORK_END);
    while (*(volatile int32_t *)status != 0)
        assert_int_equal(bfork_future_wait(f, 1), BFORK_ETIMEDOUT);
    bfork_future_free(&f);
    assert_int_equal(status[0], 0);
    for (int i = 1; i < N; i++)
        assert_int_equal(status[i], BFORK_CANCELLED);
}

static void elements_without_bytes(void **state)
{
    char out[3] = { 0 };
    (void)state;
    ok(bfork_pool_map(pool, (bfork_map_fn *)leaves_out_alone, (const int[]){ 1, 1, 1 }, sizeof(int), out, 0, 3, NULL));
}

static void several_maps_at_once(void **state)
{
    enum { MAPS = 20, N = 500 };
    static int in[N], out[MAPS][N];
    bfork_future *f[MAPS];
    (void)state;
    for (int i = 0; i < N; i++)
        in[i] = i;
    for (int m = 0; m < MAPS; m++)
        f[m] = bfork_map_async(pool, square, in, out[m], N, BFORK_OPTIONS(.chunk = (uint32_t)m));
    for (int m = MAPS - 1; m >= 0; m--) {
        ok(bfork_result(f[m]));
        assert_int_equal(out[m][N - 1], (N - 1) * (N - 1));
        bfork_future_free(&f[m]);
    }
}

struct job_seen { uint64_t seed; int32_t context; char name[16]; };

static int looks_at_its_job(const int *in, struct job_seen *out, bfork_task *t)
{
    const bfork_task_info *self = bfork_task_self(t);
    size_t size;
    const int32_t *context = bfork_task_context(t, &size);
    (void)in;
    out->seed = self->seed;
    out->context = size == sizeof(*context) ? *context : 0;
    snprintf(out->name, sizeof(out->name), "%s", self->job);
    return 0;
}

/* A map that says the same as the one before has the same specification: any other does not. */
static void maps_in_a_row_have_each_its_options(void **state)
{
    const int32_t one = 1, two = 2;
    const bfork_options options[] = {
        { .chunk = 0 }, { .chunk = 0 }, { .seed = 7 }, { .context = bfork_bytes_of(&one, sizeof(one)) },
        { .context = bfork_bytes_of(&two, sizeof(two)) }, { .name = "named" }, { .seed = 7 }, { .chunk = 0 } };
    enum { MAPS = sizeof(options) / sizeof(options[0]) };
    struct job_seen seen[MAPS];
    int in = 3, out = 0;
    (void)state;
    for (int m = 0; m < MAPS; m++) {
        ok(bfork_map_with(pool, looks_at_its_job, &in, &seen[m], 1, &options[m]));
        ok(bfork_map(pool, square, &in, &out, 1));
        assert_int_equal(out, 9);
        assert_int_equal(seen[m].context, m == 3 ? 1 : m == 4 ? 2 : 0);
        assert_string_equal(seen[m].name, m == 5 ? "named" : "");
        if (m == 2 || m == 6)
            assert_true(seen[m].seed == seen[2].seed && seen[m].seed != seen[0].seed);
        else
            assert_true(seen[m].seed == seen[0].seed);
        ok(bfork_map_with(pool, looks_at_its_job, &in, &seen[m], 1, &options[m]));
    }
}

static void a_closed_pool_takes_no_map(void **state)
{
    int one = 1, out;
    bfork_pool *p = bfork_pool_new(NULL, 1, NULL);
    (void)state;
    bfork_pool_close(p);
    assert_int_equal(bfork_map(p, square, &one, &out, 1), BFORK_ECLOSED);
    bfork_pool_free(&p);
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_one_and_many), cmocka_unit_test(structs), cmocka_unit_test(elements_of_one_mebibyte),
        cmocka_unit_test(too_big_elements_and_wrong_calls),
        cmocka_unit_test(r24_a_negative_number_of_elements_is_refused),
        cmocka_unit_test(r24_what_the_function_of_a_map_cannot_do_is_said),
        cmocka_unit_test(failures_leave_out_alone_and_the_lowest_is_told),
        cmocka_unit_test(out_is_zeroed_at_entry), cmocka_unit_test(of_many_failures_the_lowest_is_kept),
        cmocka_unit_test(the_lowest_failure_is_told_though_it_comes_last),
        cmocka_unit_test(a_map_that_is_given_up_never_touches_its_arrays_again),
        cmocka_unit_test(a_map_with_two_handles_goes_on), cmocka_unit_test(cancelling_a_map),
        cmocka_unit_test(progress_has_the_last_word), cmocka_unit_test(progress_of_a_map_that_was_done_before),
        cmocka_unit_test(elements_that_never_end_have_the_status_of_their_map), cmocka_unit_test(elements_without_bytes),
        cmocka_unit_test(several_maps_at_once), cmocka_unit_test(maps_in_a_row_have_each_its_options),
        cmocka_unit_test(a_closed_pool_takes_no_map),
    };
    return cmocka_run_group_tests(tests, open_pool, free_pool);
}
