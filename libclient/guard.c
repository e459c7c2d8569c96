/* SPDX-License-Identifier: MPL-2.0
 * guard.c - a page that tells a forked child that what it belongs to is its parent's: fork wipes it, so that no handler is
 * needed, and a child that never looks pays nothing.
 */
#include "client.h"

#include <sys/mman.h>
#include <unistd.h>

const uint8_t *bfs_guard_new(void)
{
    uint8_t *page = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return NULL;
    if (madvise(page, (size_t)sysconf(_SC_PAGESIZE), MADV_WIPEONFORK) != 0) {
        munmap(page, (size_t)sysconf(_SC_PAGESIZE));
        return NULL;
    }
    page[0] = 1;
    return page;
}

void bfs_guard_free(const uint8_t *guard)
{
    munmap((void *)(uintptr_t)guard, (size_t)sysconf(_SC_PAGESIZE));
}
