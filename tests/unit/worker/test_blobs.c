/* SPDX-License-Identifier: MPL-2.0
 * test_blobs.c - the cache of programs and the instance file: this test plays the broker.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bfork.h"
#include "blobs.h"
#include "instance.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE (2 * WIRE_PIECE_MAX + 777)

static struct { uint64_t offset; uint32_t size; } asked[64];
static uint32_t n_asked, n_ready, n_failed;
static char path[4096], text[1000];
static bool gone;
static uint8_t program[SIZE], digest[WIRE_DIGEST];
static char dir[] = "/tmp/test_blobs.XXXXXX", cache[100];

static void send_get(void *ctx, const struct wire_msg *m)
{
    (void)ctx;
    assert_int_equal(m->type, WIRE_BLOB_GET);
    assert_true(n_asked < 64);
    asked[n_asked].offset = m->u.blob.offset;
    asked[n_asked++].size = m->u.blob.size;
}

static bool wanted(void *ctx, uint32_t lane)
{
    (void)ctx;
    (void)lane;
    return !gone;
}

static void ready(void *ctx, uint32_t lane, const char *p)
{
    (void)ctx;
    (void)lane;
    n_ready++;
    snprintf(path, sizeof(path), "%s", p);
}

static void failed(void *ctx, uint32_t lane, int code, const char *stage, const char *why)
{
    (void)ctx;
    (void)lane;
    assert_true(code < 0);
    assert_string_equal(stage, "fetch");
    n_failed++;
    snprintf(text, sizeof(text), "%s", why);
}

static struct blobs *open_blobs(uint64_t bound)
{
    const struct blobs_ops ops = { send_get, wanted, ready, failed, NULL };
    struct blobs *b;
    struct err e = { 0 };

    n_asked = n_ready = n_failed = 0;
    gone = false;
    assert_int_equal(blobs_new(cache, bound, &ops, &b, &e), 0);
    blobs_online(b, true);
    return b;
}

static void fill(uint8_t x)
{
    unsigned n = WIRE_DIGEST;

    memset(program, x, sizeof(program));
    assert_int_equal(EVP_Digest(program, sizeof(program), digest, &n, EVP_sha256(), NULL), 1);
}

static void answer(struct blobs *b, uint32_t k)
{
    struct wire_msg m = { .type = WIRE_BLOB_PIECE };

    m.u.blob.digest = wire_bin_of(digest, WIRE_DIGEST);
    m.u.blob.offset = asked[k].offset;
    m.u.blob.total = SIZE;
    m.body = slice_borrow(program + asked[k].offset, asked[k].size);
    blobs_message(b, &m);
}

static void fetch(struct blobs *b, uint32_t lane, uint64_t size)
{
    uint32_t from = n_asked, before = n_ready;

    blobs_want(b, lane, digest, size, "prog");
    for (blobs_step(b); from < n_asked; blobs_step(b))
        answer(b, from++);
    assert_int_equal(n_ready, before + 1);
}

static void pieces_become_an_executable_file(void **state)
{
    struct blobs *b = open_blobs(1 << 24);
    struct stat st;

    (void)state;
    fill(1);
    fetch(b, 1, SIZE);
    assert_int_equal(n_asked, 3);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(st.st_size, SIZE);
    blobs_want(b, 2, digest, SIZE, "prog");     /* nothing is asked for again */
    assert_int_equal(n_ready, 2);
    blobs_free(&b);
    b = open_blobs(1 << 24);                    /* nor after a restart */
    blobs_want(b, 1, digest, SIZE, "prog");
    assert_int_equal(n_ready, 1);
    assert_int_equal(n_asked, 0);
    blobs_free(&b);
}

static void a_size_that_is_not_known_comes_with_the_first_piece(void **state)
{
    struct blobs *b = open_blobs(1 << 24);

    (void)state;
    fill(2);
    fetch(b, 1, 0);
    blobs_free(&b);
}

static void a_cached_file_that_was_changed_is_fetched_again(void **state)
{
    struct blobs *b = open_blobs(1 << 24);

    (void)state;
    fill(3);
    fetch(b, 1, SIZE);
    blobs_free(&b);
    assert_int_equal(truncate(path, 5), 0);
    b = open_blobs(1 << 24);
    fetch(b, 1, SIZE);
    assert_int_equal(n_asked, 3);
    blobs_free(&b);
}

static void another_digest_is_refused_and_leaves_no_file(void **state)
{
    struct blobs *b = open_blobs(1 << 24);
    char name[200];

    (void)state;
    fill(4);
    program[SIZE - 1] ^= 1;
    blobs_want(b, 1, digest, SIZE, "prog");
    blobs_step(b);
    for (uint32_t k = 0; k < 3; k++)
        answer(b, k);
    assert_int_equal(n_ready, 0);
    assert_int_equal(n_failed, 1);
    assert_non_null(strstr(text, "it is not run"));
    snprintf(name, sizeof(name), "%s/tmp", cache);
    assert_int_equal(rmdir(name), 0);           /* empty */
    blobs_free(&b);
}

static void a_cut_connection_goes_on_where_it_was(void **state)
{
    struct blobs *b = open_blobs(1 << 24);

    (void)state;
    fill(5);
    blobs_want(b, 1, digest, SIZE, "prog");
    blobs_step(b);
    answer(b, 0);
    blobs_online(b, false);
    blobs_step(b);
    assert_int_equal(n_asked, 3);
    blobs_online(b, true);
    blobs_step(b);
    assert_int_equal(n_asked, 5);
    assert_int_equal(asked[3].offset, WIRE_PIECE_MAX);
    answer(b, 3);
    answer(b, 4);
    assert_int_equal(n_ready, 1);
    blobs_free(&b);
}

static void old_programs_make_room_unless_they_are_used(void **state)
{
    struct blobs *b = open_blobs(5 << 20);      /* two of them */
    char first[4096];

    (void)state;
    fill(6);
    fetch(b, 1, SIZE);
    snprintf(first, sizeof(first), "%s", path);
    fill(7);
    fetch(b, 2, SIZE);
    fill(8);
    blobs_want(b, 3, digest, SIZE, "prog");     /* both are in use */
    assert_int_equal(n_failed, 1);
    assert_non_null(strstr(text, cache));
    gone = true;
    blobs_step(b);
    gone = false;
    fetch(b, 4, SIZE);
    assert_int_not_equal(access(first, F_OK), 0);
    assert_int_equal(access(path, X_OK), 0);
    blobs_free(&b);
}

static void a_program_over_the_bound_is_refused(void **state)
{
    struct blobs *b = open_blobs(1 << 20);

    (void)state;
    fill(9);
    blobs_want(b, 1, digest, SIZE, "prog");
    assert_int_equal(n_failed, 1);
    assert_non_null(strstr(text, "cache-size"));
    blobs_free(&b);
}

static void a_cache_that_cannot_be_made_is_named(void **state)
{
    const struct blobs_ops ops = { send_get, wanted, ready, failed, NULL };
    struct blobs *b;

    (void)state;
    n_failed = 0;
    assert_int_equal(blobs_new("/proc/self/no/cache", 1 << 24, &ops, &b, NULL), 0);
    fill(10);
    blobs_want(b, 1, digest, SIZE, "prog");
    assert_int_equal(n_failed, 1);
    assert_non_null(strstr(text, "/proc/self/no"));
    blobs_free(&b);
}

static void an_instance_replaces_the_one_before_and_locks(void **state)
{
    struct instance a, b;
    struct err e = { 0 };
    char name[200];
    uint8_t id[WIRE_ID];

    (void)state;
    snprintf(name, sizeof(name), "%s/state/deep", dir);
    assert_int_equal(instance_open(name, &a, &e), 0);
    assert_false(a.has_replaces);
    memcpy(id, a.id, WIRE_ID);
    assert_int_equal(instance_open(name, &b, &e), BFORK_ESTATE);
    assert_non_null(strstr(e.text, name));
    instance_close(&a);
    assert_int_equal(instance_open(name, &b, &e), 0);
    assert_true(b.has_replaces);
    assert_memory_equal(b.replaces, id, WIRE_ID);
    assert_memory_not_equal(b.id, id, WIRE_ID);
    instance_close(&b);
}

static int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(cache, sizeof(cache), "%s/cache", dir);
    return 0;
}

static int remove_dir(void **state)
{
    char command[200];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_become_an_executable_file),
        cmocka_unit_test(a_size_that_is_not_known_comes_with_the_first_piece),
        cmocka_unit_test(a_cached_file_that_was_changed_is_fetched_again),
        cmocka_unit_test(another_digest_is_refused_and_leaves_no_file),
        cmocka_unit_test(a_cut_connection_goes_on_where_it_was),
        cmocka_unit_test(old_programs_make_room_unless_they_are_used),
        cmocka_unit_test(a_program_over_the_bound_is_refused),
        cmocka_unit_test(a_cache_that_cannot_be_made_is_named),
        cmocka_unit_test(an_instance_replaces_the_one_before_and_locks),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
