/* SPDX-License-Identifier: MPL-2.0
 * client_memory.c - the n-th allocation of the library fails, for every n of a small scenario: each call says so by an error or a
 * handle that has failed; nothing crashes, hangs or (under the address sanitizer) leaks.
 */
#include "tasks.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);

static _Atomic long left = -1;              /* allocations until one fails; < 0: none does */

static bool fails(void)
{
    return atomic_load(&left) >= 0 && atomic_fetch_sub(&left, 1) == 0;
}

void *__wrap_malloc(size_t size) { return fails() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t n, size_t size) { return fails() ? NULL : __real_calloc(n, size); }
void *__wrap_realloc(void *p, size_t size) { return fails() ? NULL : __real_realloc(p, size); }
char *__wrap_strdup(const char *s) { return fails() ? NULL : __real_strdup(s); }
char *__wrap_strndup(const char *s, size_t n) { return fails() ? NULL : __real_strndup(s, n); }

static void is_status(int rc)
{
    assert_true(rc == 0 || strcmp(bfork_status_name(rc), "unknown status") != 0);
    if (rc != 0) {
        assert_int_equal(bfork_last_error()->kind, rc);
        assert_true(*bfork_last_error()->message != 0);
    }
}

/* true: all went well. */
static bool scenario(void)
{
    enum { N = 20 };
    int in[N], out[N], y = 0;
    bool well = true;
    for (int i = 0; i < N; i++)
        in[i] = i;
    bfork_session *s = bfork_session_new("local:", NULL);
    bfork_pool *p = bfork_pool_new(s, 1, &(bfork_pool_options){ .name = "memory", BFORK_ARGS(1) });
    bfork_stream *stream = bfork_stream_new();
    assert_true(s && p && stream);
    bfork_future *f = bfork_submit_with(p, BFORK_OPTIONS(.name = "job", .context = bfork_bytes_of("abc", 3)), add_one, 41);
    bfork_stream_add(stream, bfork_submit(p, raises), NULL);
    assert_non_null(f);
    int rc = bfork_result(f, &y);
    is_status(rc);
    well &= rc == 0 && y == 42;
    rc = bfork_map(p, odd_fails, in, out, N);
    is_status(rc);
    well &= rc == BFORK_FAILED;
    for (bfork_future *next; bfork_stream_next(stream, BFORK_FOREVER, &next) == 0; bfork_future_free(&next))
        is_status(bfork_result(next));
    bfork_future_free(&f);
    bfork_stream_free(&stream);
    bfork_pool_free(&p);
    bfork_session_free(&s);
    return well;
}

static void every_allocation_fails_once(void **state)
{
    (void)state;
    assert_true(scenario());                    /* what is allocated once for the program's life */
    int before = descriptors();
    long n = 0;
    for (int clean = 0; clean < 2 && n < 3000; n++) {
        atomic_store(&left, n);
        alarm(30);                              /* a hang ends the test with a message that names it */
        bool well = scenario();
        clean = well && atomic_load(&left) >= 0 ? clean + 1 : 0;
        atomic_store(&left, -1);
    }
    alarm(0);
    assert_true(n > 50 && n < 3000);
    assert_int_equal(descriptors(), before);
    assert_int_equal(children(), 0);
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_allocation_fails_once) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
