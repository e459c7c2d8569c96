/* SPDX-License-Identifier: MPL-2.0
 * ring - the floor of a local map: two processes, blocks of shared memory, and only the two copies that cannot be left out: the
 * caller's array into a block, the results out of it. The function (copy one element) runs between the two, on a second area.
 *     ring map BYTES N    N elements of so many bytes through blocks of 64 KiB: elements/s
 *     ring echo           64 values of 1 MiB, one in each of four blocks at a time: MB/s
 * Waiting is a futex on each block's word, spun on for a moment first. Every result is checked, outside the time. */
#include "contest.h"
#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PROCESSES = 2, BLOCKS = 8, SPIN = 2000, FREE = 0, FULL = 1, DONE = 2 };

struct block { _Atomic uint32_t state; uint32_t count; };

struct floor {
    struct block *blocks;
    char *bytes;
    char *in, *out;
    size_t block_bytes, size, n;
    unsigned n_blocks;
    size_t turn;
    bool echo;
};

static void wait_for(_Atomic uint32_t *word, uint32_t wanted)
{
    for (;;) {
        uint32_t is = atomic_load_explicit(word, memory_order_acquire);
        for (int i = 0; is != wanted && i < SPIN; i++)
            is = atomic_load_explicit(word, memory_order_acquire);
        if (is == wanted)
            return;
        syscall(SYS_futex, word, FUTEX_WAIT, is, NULL, NULL, 0);
    }
}

static void change(_Atomic uint32_t *word, uint32_t to)
{
    atomic_store_explicit(word, to, memory_order_release);
    syscall(SYS_futex, word, FUTEX_WAKE, 2, NULL, NULL, 0);
}

static char *arguments(const struct floor *f, unsigned block) { return f->bytes + (size_t)block * 2 * f->block_bytes; }
static char *results(const struct floor *f, unsigned block) { return arguments(f, block) + f->block_bytes; }

struct hundred { char bytes[100]; };

/* The function, called for each element: of the two sizes that rows measure with the size known when it is compiled, as in ours. */
static void call(const char *in, char *out, size_t size, uint32_t count)
{
    if (size == sizeof(uint64_t))
        for (uint32_t k = 0; k < count; k++)
            ((uint64_t *)(void *)out)[k] = ((const uint64_t *)(const void *)in)[k];
    else if (size == sizeof(struct hundred))
        for (uint32_t k = 0; k < count; k++)
            ((struct hundred *)(void *)out)[k] = ((const struct hundred *)(const void *)in)[k];
    else
        for (uint32_t k = 0; k < count; k++)
            memcpy(out + k * size, in + k * size, size);
}

/* Process p serves the blocks p, p + 2, ... in turn. */
static void serve(const struct floor *f, unsigned p)
{
    for (unsigned i = p;; i = (i + PROCESSES) % f->n_blocks) {
        struct block *b = &f->blocks[i];
        wait_for(&b->state, FULL);
        call(arguments(f, i), results(f, i), f->size, b->count);
        change(&b->state, DONE);
    }
}

static void take(const struct floor *f, unsigned block, size_t first)
{
    struct block *b = &f->blocks[block];
    wait_for(&b->state, DONE);
    memcpy(f->out + first * f->size, results(f, block), b->count * f->size);
    atomic_store_explicit(&b->state, FREE, memory_order_release);
}

static double run(void *data)
{
    struct floor *f = data;
    size_t each = f->block_bytes / f->size, rounds = (f->n + each - 1) / each;
    memset(f->out, 0xff, f->n * f->size);
    double t = contest_now();
    for (size_t r = 0; r < rounds + f->n_blocks; r++) {
        unsigned block = (unsigned)((f->turn + r) % f->n_blocks);
        if (r >= f->n_blocks)
            take(f, block, (r - f->n_blocks) * each);
        if (r >= rounds)
            continue;
        struct block *b = &f->blocks[block];
        size_t left = f->n - r * each;
        b->count = (uint32_t)(left < each ? left : each);
        memcpy(arguments(f, block), f->in + r * each * f->size, b->count * f->size);
        change(&b->state, FULL);
    }
    t = contest_now() - t;
    f->turn += rounds;          /* where the two processes go on */
    if (memcmp(f->in, f->out, f->n * f->size) != 0)
        contest_fail("a result is wrong");
    return f->echo ? (double)f->n * (double)f->size / 1e6 / t : (double)f->n / t;
}

static void *shared(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (p == MAP_FAILED)
        contest_fail("mmap: %s", strerror(errno));
    return p;
}

int main(int argc, char **argv)
{
    static struct floor f;
    f.echo = argc > 1 && strcmp(argv[1], "echo") == 0;
    f.size = f.echo ? 1 << 20 : argc > 2 ? strtoul(argv[2], NULL, 10) : 100;
    f.n = f.echo ? 64 : argc > 3 ? strtoul(argv[3], NULL, 10) : 2000000;
    f.block_bytes = f.echo ? f.size : 65536;
    f.n_blocks = f.echo ? 4 : BLOCKS;
    if (f.size == 0 || f.size > f.block_bytes)
        contest_fail("usage: floor-ring map BYTES N | echo");
    f.blocks = shared(sizeof(*f.blocks) * f.n_blocks);
    f.bytes = shared(f.block_bytes * 2 * f.n_blocks);
    f.in = contest_payloads(f.n, f.size);
    f.out = calloc(f.n, f.size);
    if (!f.out)
        contest_fail("out of memory");
    for (unsigned p = 0; p < PROCESSES; p++)
        if (contest_fork() == 0)
            serve(&f, p);
    return contest_loop(run, NULL, &f);
}
