/* SPDX-License-Identifier: MPL-2.0
 * test_blobs.c - the cache of programs and the instance file: this test plays the broker.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "bfork.h"
#include "blobs.h"
#include "instance.h"
#include "wire/times.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE (2 * WIRE_PIECE_MAX + 777)

static struct { uint64_t offset; uint32_t size; } asked[64];
static uint32_t n_asked, n_ready, n_failed;
static char text[1000];
static int program_fd = -1;        /* of the last ready */
static uint32_t ready_lane, failed_lane;
static uint64_t now = CLOCK_SEC;
static bool gone;
static uint64_t quiet_since[64];        /* of each lane; 0: it has something to do */
static uint32_t yielded[64], n_yielded;
static int code_failed;
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

static uint64_t quiet(void *ctx, uint32_t lane)
{
    (void)ctx;
    return lane < 64 && quiet_since[lane] ? quiet_since[lane] : CLOCK_NEVER;
}

static void yield(void *ctx, uint32_t lane, const char *why)
{
    (void)ctx;
    assert_true(quiet_since[lane] && n_yielded < 64);
    assert_non_null(strstr(why, "made room"));
    yielded[n_yielded++] = lane;
}

static void ready(void *ctx, uint32_t lane, int fd)
{
    (void)ctx;
    ready_lane = lane;
    n_ready++;
    if (program_fd >= 0)
        close(program_fd);
    assert_true((program_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3)) >= 0);
}

static void failed(void *ctx, uint32_t lane, int code, const char *stage, const char *why)
{
    (void)ctx;
    failed_lane = lane;
    assert_true(code < 0);
    code_failed = code;
    assert_string_equal(stage, "fetch");
    n_failed++;
    snprintf(text, sizeof(text), "%s", why);
}

static struct blobs *open_with(uint64_t bound, uint64_t memory)
{
    const struct blobs_ops ops = { send_get, wanted, quiet, yield, ready, failed, NULL };
    struct blobs *b;
    struct err e = { 0 };

    n_asked = n_ready = n_failed = n_yielded = 0;
    memset(quiet_since, 0, sizeof(quiet_since));
    gone = false;
    assert_int_equal(wsh_blobs_new(cache, bound, memory, &ops, &b, &e), 0);
    wsh_blobs_online(b, now, true);
    return b;
}

static struct blobs *open_blobs(uint64_t bound)
{
    return open_with(bound, 1u << 30);
}

static void fill(uint8_t x)
{
    unsigned n = WIRE_DIGEST;

    memset(program, x, sizeof(program));
    assert_int_equal(EVP_Digest(program, sizeof(program), digest, &n, EVP_sha256(), NULL), 1);
}

static void want(struct blobs *b, uint32_t lane, uint8_t owner, uint64_t size)
{
    uint8_t key[WIRE_KEY] = { owner };
    struct blobs_wish w = { digest, key, size, "prog" };

    wsh_blobs_want(b, lane, &w);
}

static void answer_with(struct blobs *b, uint64_t offset, uint32_t size)
{
    struct wire_msg m = { .type = WIRE_BLOB_PIECE };

    m.u.blob.digest = wire_bin_of(digest, WIRE_DIGEST);
    m.u.blob.offset = offset;
    m.u.blob.total = SIZE;
    m.body = slice_borrow(program + offset, size);
    wsh_blobs_message(b, now, &m);
}

static void answer(struct blobs *b, uint32_t k)
{
    answer_with(b, asked[k].offset, asked[k].offset + asked[k].size > SIZE ? (uint32_t)(SIZE - asked[k].offset) : asked[k].size);
}

/* Turns, until nothing more is asked for. */
static void turns(struct blobs *b)
{
    uint32_t before, from = n_asked;

    do {
        before = n_asked;
        wsh_blobs_step(b, now);
        for (; from < n_asked; from++)
            answer(b, from);
    } while (n_asked > before || wsh_blobs_deadline(b) == 0);
}

static void fetch(struct blobs *b, uint32_t lane, uint64_t size)
{
    uint32_t before = n_ready;

    want(b, lane, 1, size);
    turns(b);
    assert_int_equal(n_ready, before + 1);
    assert_int_equal(ready_lane, lane);
}

static void cached(char path[4096])
{
    int n = snprintf(path, 4096, "%s/", cache);

    for (size_t k = 0; k < WIRE_DIGEST; k++)
        n += snprintf(path + n, 4096 - (size_t)n, "%02x", digest[k]);
}

static void is_the_program(void)
{
    static uint8_t found[SIZE + 1];

    assert_int_equal(pread(program_fd, found, sizeof(found), 0), SIZE);
    assert_memory_equal(found, program, SIZE);
}

static void pieces_become_a_sealed_program(void **state)
{
    struct blobs *b = open_blobs(1 << 24);
    const int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

    (void)state;
    fill(1);
    fetch(b, 1, SIZE);
    assert_int_equal(n_asked, 3);
    is_the_program();
    assert_int_equal(fcntl(program_fd, F_GET_SEALS) & seals, seals);
    assert_int_equal(pwrite(program_fd, "x", 1, 0), -1);
    want(b, 2, 1, SIZE);                        /* nothing is asked for again */
    assert_int_equal(n_ready, 2);
    wsh_blobs_free(&b);
    b = open_blobs(1 << 24);                    /* nor after a restart */
    want(b, 1, 1, SIZE);
    turns(b);
    assert_int_equal(n_ready, 1);
    assert_int_equal(n_asked, 0);
    is_the_program();
    wsh_blobs_free(&b);
}

static void a_size_that_is_not_known_comes_with_the_first_piece(void **state)
{
    struct blobs *b = open_blobs(1 << 24);

    (void)state;
    fill(2);
    fetch(b, 1, 0);
    wsh_blobs_free(&b);
}

/* Another task of the worker's user has written over the file: with as many bytes, and behind the worker's back. */
static void r08_a_replaced_file_is_never_what_runs(void **state)
{
    struct blobs *b = open_blobs(1 << 24);
    char path[4096];
    int fd;

    (void)state;
    fill(3);
    fetch(b, 1, SIZE);
    cached(path);
    assert_true((fd = open(path, O_RDWR)) >= 0);
    assert_int_equal(pwrite(fd, "evil", 4, 1000), 4);
    want(b, 2, 2, SIZE);
    assert_int_equal(n_ready, 2);
    is_the_program();
    wsh_blobs_free(&b);
    b = open_blobs(1 << 24);                    /* the memory is gone: the file is read, found wrong, and fetched */
    fetch(b, 1, SIZE);
    assert_int_equal(n_asked, 3);
    is_the_program();
    close(fd);
    wsh_blobs_free(&b);
    assert_int_equal(truncate(path, 5), 0);
    b = open_blobs(1 << 24);
    fetch(b, 1, SIZE);
    assert_int_equal(n_asked, 3);
    is_the_program();
    wsh_blobs_free(&b);
}

static void another_digest_is_refused_and_leaves_no_file(void **state)
{
    struct blobs *b = open_blobs(1 << 24);
    char name[200];

    (void)state;
    fill(4);
    program[SIZE - 1] ^= 1;
    want(b, 1, 1, SIZE);
    turns(b);
    assert_int_equal(n_ready, 0);
    assert_int_equal(n_failed, 1);
    assert_non_null(strstr(text, "it is not run"));
    assert_int_equal(wsh_blobs_memory(b), 0);
    snprintf(name, sizeof(name), "%s/tmp", cache);
    assert_int_equal(rmdir(name), 0);           /* empty */
    wsh_blobs_free(&b);
}

static void a_cut_connection_goes_on_where_it_was(void **state)
{
    struct blobs *b = open_blobs(1 << 24);

    (void)state;
    fill(5);
    want(b, 1, 1, SIZE);
    wsh_blobs_step(b, now);
    answer(b, 0);
    wsh_blobs_step(b, now);
    assert_int_equal(n_asked, 3);
    wsh_blobs_online(b, now, false);
    wsh_blobs_step(b, now);
    assert_int_equal(n_asked, 3);
    wsh_blobs_online(b, now, true);
    wsh_blobs_step(b, now);
    assert_int_equal(n_asked, 5);
    assert_int_equal(asked[3].offset, WIRE_PIECE_MAX);
    answer(b, 3);
    answer(b, 4);
    assert_int_equal(n_ready, 1);
    is_the_program();
    wsh_blobs_free(&b);
}

/* Of what comes behind a gap nothing is taken; the rest is asked for in pieces of the length that comes. */
static void short_pieces_are_asked_on_from_the_gap(void **state)
{
    struct blobs *b = open_blobs(1 << 24);

    (void)state;
    fill(11);
    want(b, 1, 1, 0);
    wsh_blobs_step(b, now);
    answer_with(b, 0, 300000);
    wsh_blobs_step(b, now);
    assert_int_equal(asked[1].offset, 300000);
    assert_int_equal(asked[1].size, 300000);
    answer_with(b, asked[1].offset, 100000);
    answer_with(b, asked[2].offset, asked[2].size);
    answer_with(b, asked[3].offset, asked[3].size);
    answer_with(b, asked[4].offset, asked[4].size);
    wsh_blobs_step(b, now);
    assert_int_equal(asked[5].offset, 400000);
    for (uint32_t k = 5; k < n_asked && n_ready == 0; k++) {
        answer(b, k);
        wsh_blobs_step(b, now);
    }
    assert_int_equal(n_ready, 1);
    is_the_program();
    wsh_blobs_free(&b);
}

static void old_files_make_room(void **state)
{
    struct blobs *b = open_blobs(5 << 20);      /* two of them */
    char first[4096], last[4096];

    (void)state;
    fill(6);
    fetch(b, 1, SIZE);
    cached(first);
    fill(7);
    fetch(b, 2, SIZE);
    fill(8);
    fetch(b, 3, SIZE);
    cached(last);
    assert_int_not_equal(access(first, F_OK), 0);
    assert_int_equal(access(last, R_OK), 0);
    fill(6);                                    /* in use: it is still in memory */
    fetch(b, 4, SIZE);
    assert_int_equal(n_asked, 9);
    wsh_blobs_free(&b);
}

static void memory_goes_from_what_was_used_least_recently_but_never_from_what_is_used(void **state)
{
    struct blobs *b = open_with(1 << 30, 5 << 20);      /* two of them */

    (void)state;
    fill(21);
    fetch(b, 1, SIZE);
    fill(22);
    fetch(b, 2, SIZE);
    fill(23);
    want(b, 3, 1, SIZE);                        /* both are in use */
    turns(b);
    assert_int_equal(n_failed, 1);
    assert_non_null(strstr(text, "program-memory"));
    assert_int_equal(wsh_blobs_memory(b), 2 * SIZE);
    gone = true;
    wsh_blobs_step(b, now);
    gone = false;
    fetch(b, 4, SIZE);
    assert_int_equal(wsh_blobs_memory(b), 2 * SIZE);
    fill(22);
    want(b, 5, 1, SIZE);                        /* the second is still there, the first had to go */
    assert_int_equal(n_ready, 4);
    wsh_blobs_free(&b);
}

static void a_program_over_the_bound_is_refused(void **state)
{
    struct blobs *b = open_blobs(1 << 20);

    (void)state;
    fill(9);
    want(b, 1, 1, SIZE);
    assert_int_equal(n_failed, 1);
    assert_non_null(strstr(text, "cache-size"));
    want(b, 2, 2, 0);                           /* its client says nothing, the broker does */
    turns(b);
    assert_int_equal(n_failed, 2);
    assert_non_null(strstr(text, "cache-size"));
    wsh_blobs_free(&b);
}

static void a_cache_that_cannot_be_made_is_named(void **state)
{
    const struct blobs_ops ops = { send_get, wanted, quiet, yield, ready, failed, NULL };
    struct blobs *b;

    (void)state;
    n_failed = n_asked = 0;
    assert_int_equal(wsh_blobs_new("/proc/self/no/cache", 1 << 24, 1 << 24, &ops, &b, NULL), 0);
    wsh_blobs_online(b, now, true);
    fill(10);
    want(b, 1, 1, SIZE);
    turns(b);
    assert_int_equal(n_failed, 1);
    assert_non_null(strstr(text, "/proc/self/no"));
    wsh_blobs_free(&b);
}

/* In a namespace of our own, so that it goes with us; false: we may not mount anything. */
static bool mount_cache(const char *options)
{
    static bool own;

    if (!own && unshare(CLONE_NEWNS) != 0)
        return false;
    own = true;
    mkdir(cache, 0700);
    return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mount("none", cache, "tmpfs", 0, options) == 0;
}

static uint32_t n_lines;        /* of the log, on stderr */

static int stderr_to(const char *name)
{
    int kept = dup(STDERR_FILENO), fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);

    assert_true(kept >= 0 && fd >= 0 && dup2(fd, STDERR_FILENO) == STDERR_FILENO);
    close(fd);
    return kept;
}

static void stderr_back(int kept, const char *name)
{
    char lines[4000] = "";
    FILE *f = fopen(name, "r");

    dup2(kept, STDERR_FILENO);
    close(kept);
    assert_non_null(f);
    for (n_lines = 0; fgets(lines, sizeof(lines), f); n_lines++) {
        assert_non_null(strstr(lines, "event=uncached"));
        assert_non_null(strstr(lines, cache));
        assert_non_null(strstr(lines, "o space left on device"));
    }
    fclose(f);
}

/* No room for the directory, for the file, for the first piece, for one behind it: it is run without being cached, told once. */
static void r16_a_full_cache_runs_the_program_from_memory(void **state)
{
    static const char *const full[] = { "size=64m,nr_inodes=1", "size=64m,nr_inodes=2", "size=64k", "size=1100k" };
    struct blobs *b = open_blobs(1 << 24);
    char path[4096], lines[120];

    (void)state;
    snprintf(lines, sizeof(lines), "%s/lines", dir);
    for (uint8_t k = 0; k < 4; k++) {
        if (!mount_cache(full[k])) {
            print_message("not shown: a full disk needs the right to mount one\n");
            break;
        }
        for (uint8_t twice = 0; twice < 2; twice++) {
            int kept = stderr_to(lines);

            fill((uint8_t)(60 + 2 * k + twice));
            fetch(b, 1, SIZE);
            stderr_back(kept, lines);
            is_the_program();
            cached(path);
            assert_int_equal(access(path, F_OK), -1);
            assert_int_equal(n_lines, k == 0 && !twice);
            assert_int_equal(n_failed, 0);
        }
        snprintf(path, sizeof(path), "%s/tmp", cache);
        assert_true(k == 0 || rmdir(path) == 0);        /* nothing is left in it */
        assert_int_equal(umount(cache), 0);
    }
    fill(70);
    fetch(b, 1, SIZE);                                  /* there is room again: from now on it is told again */
    cached(path);
    assert_int_equal(access(path, F_OK), 0);
    if (mount_cache(full[0])) {
        int kept = stderr_to(lines);

        fill(71);
        fetch(b, 1, SIZE);
        stderr_back(kept, lines);
        assert_int_equal(n_lines, 1);
        assert_int_equal(umount(cache), 0);
    }
    wsh_blobs_free(&b);
}

/* Eight pools of one owner, whose programs nobody has, and then one of another owner. */
static void r09_absent_programs_of_one_owner_hold_up_no_other(void **state)
{
    struct blobs *b = open_blobs(1 << 24);
    uint32_t before;

    (void)state;
    for (uint8_t k = 0; k < 8; k++) {
        fill((uint8_t)(100 + k));
        want(b, 100u + k, 66, SIZE);
    }
    wsh_blobs_step(b, now);
    assert_true(n_asked <= 2);                  /* of those, few at a time */
    before = n_asked;
    fill(12);
    want(b, 1, 1, SIZE);
    wsh_blobs_step(b, now);
    assert_int_equal(n_asked, before + 1);
    turns(b);
    for (uint32_t k = before; n_ready == 0 && k < n_asked; k++) {
        answer(b, k);
        wsh_blobs_step(b, now);
    }
    assert_int_equal(n_ready, 1);
    is_the_program();
    wsh_blobs_free(&b);
}

/* Nor does an owner's own wait for ever behind the absent ones. */
static void r09_what_does_not_move_gives_its_place_away(void **state)
{
    struct blobs *b = open_blobs(1 << 24);
    uint32_t before;

    (void)state;
    fill(110);
    want(b, 100, 1, SIZE);
    fill(111);
    want(b, 101, 1, SIZE);
    fill(13);
    want(b, 1, 1, SIZE);
    wsh_blobs_step(b, now);
    before = n_asked;
    wsh_blobs_step(b, now);
    assert_int_equal(n_asked, before);
    assert_true(wsh_blobs_deadline(b) <= now + (TIME_BLOB_STALL_MS + 1) * CLOCK_MS);
    now += (TIME_BLOB_STALL_MS + 1) * CLOCK_MS;
    turns(b);
    assert_int_equal(n_ready, 1);
    is_the_program();
    wsh_blobs_free(&b);
}

/* The size is the word of who said it. */
static void r09_a_wrong_size_hurts_only_who_says_it(void **state)
{
    struct blobs *b = open_blobs(1 << 24);

    (void)state;
    fill(14);
    want(b, 66, 66, 17);                        /* it comes first, with a digest that is another's */
    want(b, 1, 1, SIZE);
    turns(b);
    assert_int_equal(n_ready, 1);
    assert_int_equal(ready_lane, 1);
    is_the_program();
    assert_int_equal(n_failed, 1);
    assert_int_equal(failed_lane, 66);
    assert_non_null(strstr(text, "announced with 17 bytes"));
    want(b, 67, 66, 1u << 30);                  /* over the bound, and when it is there already */
    want(b, 68, 66, SIZE + 1);
    assert_int_equal(n_failed, 3);
    want(b, 2, 1, SIZE);
    assert_int_equal(n_ready, 2);
    wsh_blobs_free(&b);
}

/* One owner's large program that stays warm: it goes before another's is turned away. */
static void r09_idle_lanes_make_room_the_longest_idle_first(void **state)
{
    struct blobs *b = open_with(1 << 30, 5 << 20);      /* two of them */

    (void)state;
    fill(31);
    fetch(b, 1, SIZE);
    want(b, 2, 1, SIZE);                        /* two lanes of one program */
    fill(32);
    fetch(b, 3, SIZE);
    quiet_since[1] = now;
    quiet_since[2] = now + 2;
    quiet_since[3] = now + 1;
    fill(33);
    want(b, 4, 2, SIZE);
    turns(b);
    assert_int_equal(n_failed, 0);
    assert_int_equal(n_yielded, 1);
    assert_int_equal(yielded[0], 3);            /* of the other one, a lane was busy for longer */
    assert_int_equal(ready_lane, 4);
    assert_int_equal(wsh_blobs_memory(b), 2 * SIZE);
    quiet_since[2] = 0;                         /* it works again: nothing that works goes, nor anything in vain */
    fill(34);
    want(b, 5, 3, SIZE);
    turns(b);
    assert_int_equal(n_failed, 1);
    assert_int_equal(code_failed, BFORK_EAGAIN);
    assert_non_null(strstr(text, "no room now"));
    assert_int_equal(n_yielded, 1);
    wsh_blobs_free(&b);
}

/* Room that becomes free is for who was turned away, not for who has most of it and asks first. */
static void r09_owners_who_compete_have_equal_shares(void **state)
{
    struct blobs *b = open_with(1 << 30, 7 << 20);      /* three of them */

    (void)state;
    for (uint32_t k = 1; k <= 3; k++) {
        fill((uint8_t)(40 + k));
        fetch(b, k, SIZE);                      /* all for owner 1, as nobody else wants any */
    }
    fill(44);
    want(b, 4, 2, SIZE);
    turns(b);
    assert_int_equal(n_failed, 1);
    assert_int_equal(code_failed, BFORK_EAGAIN);
    quiet_since[1] = now;
    fill(45);
    want(b, 5, 1, SIZE);                        /* it would have three of three again */
    turns(b);
    assert_int_equal(n_failed, 2);
    assert_int_equal(failed_lane, 5);
    assert_int_equal(n_yielded, 0);
    fill(44);
    want(b, 6, 2, SIZE);
    turns(b);
    assert_int_equal(n_failed, 2);
    assert_int_equal(ready_lane, 6);
    assert_int_equal(yielded[0], 1);
    quiet_since[2] = now;
    fill(45);
    want(b, 7, 1, SIZE);                        /* nobody waits any more */
    turns(b);
    assert_int_equal(n_failed, 2);
    assert_int_equal(ready_lane, 7);
    wsh_blobs_free(&b);
}

/* Whoever was turned away and holds no less keeps others from nothing: what is free is used. */
static void r09_room_is_kept_for_who_holds_less(void **state)
{
    struct blobs *b = open_with(1 << 30, 7 << 20);      /* three of them */

    (void)state;
    fill(61);
    fetch(b, 1, SIZE);
    fill(62);
    want(b, 2, 2, SIZE);
    turns(b);
    fill(63);
    want(b, 3, 3, SIZE);
    turns(b);
    assert_int_equal(ready_lane, 3);
    fill(64);
    want(b, 4, 2, SIZE);
    turns(b);
    assert_int_equal(n_failed, 1);
    assert_int_equal(code_failed, BFORK_EAGAIN);
    quiet_since[3] = now;
    fill(65);
    want(b, 5, 1, SIZE);
    turns(b);
    assert_int_equal(n_failed, 1);
    assert_int_equal(ready_lane, 5);
    wsh_blobs_free(&b);
}

/* Who was turned away and does not come again keeps nothing from others. */
static void r09_a_claim_on_room_ends(void **state)
{
    struct blobs *b = open_with(1 << 30, 5 << 20);      /* two of them */

    (void)state;
    fill(51);
    fetch(b, 1, SIZE);
    fill(52);
    fetch(b, 2, SIZE);
    fill(53);
    want(b, 3, 2, SIZE);
    turns(b);
    assert_int_equal(code_failed, BFORK_EAGAIN);
    quiet_since[1] = now;
    fill(54);
    want(b, 4, 1, SIZE);
    turns(b);
    assert_int_equal(n_failed, 2);
    now += 2 * TIME_NOT_NOW_MOST_MS * CLOCK_MS;
    want(b, 5, 1, SIZE);
    turns(b);
    assert_int_equal(n_failed, 2);
    assert_int_equal(ready_lane, 5);
    wsh_blobs_free(&b);
}

static void a_program_larger_than_the_memory_is_refused(void **state)
{
    struct blobs *b = open_with(1 << 30, 2 << 20);

    (void)state;
    fill(55);
    want(b, 1, 1, SIZE);
    turns(b);
    assert_int_equal(code_failed, BFORK_REFUSED);
    assert_non_null(strstr(text, "program-memory"));
    wsh_blobs_free(&b);
}

static void an_instance_replaces_the_one_before_and_locks(void **state)
{
    struct instance a, b;
    struct err e = { 0 };
    char name[200];
    uint8_t id[WIRE_ID];

    (void)state;
    snprintf(name, sizeof(name), "%s/state/deep", dir);
    assert_int_equal(wsh_instance_open(name, &a, &e), 0);
    assert_false(a.has_replaces);
    memcpy(id, a.id, WIRE_ID);
    assert_int_equal(wsh_instance_open(name, &b, &e), BFORK_ESTATE);
    assert_non_null(strstr(e.text, name));
    wsh_instance_close(&a);
    assert_int_equal(wsh_instance_open(name, &b, &e), 0);
    assert_true(b.has_replaces);
    assert_memory_equal(b.replaces, id, WIRE_ID);
    assert_memory_not_equal(b.id, id, WIRE_ID);
    wsh_instance_close(&b);
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
        cmocka_unit_test(pieces_become_a_sealed_program),
        cmocka_unit_test(a_size_that_is_not_known_comes_with_the_first_piece),
        cmocka_unit_test(r08_a_replaced_file_is_never_what_runs),
        cmocka_unit_test(another_digest_is_refused_and_leaves_no_file),
        cmocka_unit_test(a_cut_connection_goes_on_where_it_was),
        cmocka_unit_test(short_pieces_are_asked_on_from_the_gap),
        cmocka_unit_test(old_files_make_room),
        cmocka_unit_test(memory_goes_from_what_was_used_least_recently_but_never_from_what_is_used),
        cmocka_unit_test(a_program_over_the_bound_is_refused),
        cmocka_unit_test(a_cache_that_cannot_be_made_is_named),
        cmocka_unit_test(r16_a_full_cache_runs_the_program_from_memory),
        cmocka_unit_test(r09_absent_programs_of_one_owner_hold_up_no_other),
        cmocka_unit_test(r09_what_does_not_move_gives_its_place_away),
        cmocka_unit_test(r09_a_wrong_size_hurts_only_who_says_it),
        cmocka_unit_test(r09_idle_lanes_make_room_the_longest_idle_first),
        cmocka_unit_test(r09_owners_who_compete_have_equal_shares),
        cmocka_unit_test(r09_a_claim_on_room_ends),
        cmocka_unit_test(r09_room_is_kept_for_who_holds_less),
        cmocka_unit_test(a_program_larger_than_the_memory_is_refused),
        cmocka_unit_test(an_instance_replaces_the_one_before_and_locks),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
