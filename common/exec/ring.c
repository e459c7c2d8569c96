/* SPDX-License-Identifier: MPL-2.0
 * ring.c - makes, seals and maps the shared memory; sleeps and wakes on its futex. What is in the rings is the users' business
 * (push.c and pull.c on the owner's side, libclient/task/process.c on the other).
 */
#include "exec/ring.h"
#include "bfork.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif

static size_t control_size(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (sizeof(struct ring_control) + page - 1) / page * page;
}

static size_t file_size(void) { return control_size() + RING_TASKS + RING_JOBS + RING_RESULTS; }

/* One reservation, then the pieces of the file over it; a ring's piece twice. */
static int map_all(struct ring *r, int fd, struct err *e)
{
    static const size_t sizes[3] = { RING_TASKS, RING_JOBS, RING_RESULTS };
    size_t at = control_size(), in_file = at;
    uint8_t **starts[3] = { &r->tasks, &r->jobs, &r->results };

    r->map_size = control_size() + 2 * (RING_TASKS + RING_JOBS + RING_RESULTS);
    r->map = mmap(NULL, r->map_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (r->map == MAP_FAILED) {
        r->map = NULL;
        return err_errno(e, BFORK_ENOMEM, errno, "cannot reserve address space for a task ring");
    }
    if (mmap(r->map, at, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
        goto fail;
    for (int i = 0; i < 3; i++) {
        for (int twice = 0; twice < 2; twice++)
            if (mmap(r->map + at + (size_t)twice * sizes[i], sizes[i], PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
                     (off_t)in_file) == MAP_FAILED)
                goto fail;
        *starts[i] = r->map + at;
        at += 2 * sizes[i];
        in_file += sizes[i];
    }
    r->control = (struct ring_control *)(void *)r->map;
    return 0;
fail:
    err_errno(e, BFORK_ENOMEM, errno, "cannot map a task ring");
    exec_ring_close(r);
    return BFORK_ENOMEM;
}

int exec_ring_new(struct ring *r, struct err *e)
{
    memset(r, 0, sizeof(*r));
    r->fd = memfd_create("bfork-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (r->fd < 0 && errno == EINVAL)
        r->fd = memfd_create("bfork-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (r->fd < 0)
        return err_errno(e, BFORK_ENOMEM, errno, "cannot create the memory of a task ring");
    if (ftruncate(r->fd, (off_t)file_size()) < 0) {
        err_errno(e, BFORK_ENOMEM, errno, "cannot size the memory of a task ring");
        goto fail;
    }
    if (fcntl(r->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        err_errno(e, BFORK_ENOMEM, errno, "cannot seal the memory of a task ring");
        goto fail;
    }
    if (map_all(r, r->fd, e) < 0)
        return BFORK_ENOMEM;                /* it has closed everything */
    r->control->magic = RING_MAGIC;
    r->control->version = 1;
    return 0;
fail:
    exec_ring_close(r);
    return BFORK_ENOMEM;
}

int exec_ring_open(struct ring *r, int fd, bool control_only, struct err *e)
{
    struct stat st;

    memset(r, 0, sizeof(*r));
    r->fd = -1;
    if (fstat(fd, &st) < 0 || (uint64_t)st.st_size != file_size())
        return err_set(e, BFORK_EPROTOCOL, "the descriptor that was passed is not a task ring of this version");
    if (control_only) {
        r->map_size = control_size();
        r->map = mmap(NULL, r->map_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (r->map == MAP_FAILED) {
            r->map = NULL;
            return err_errno(e, BFORK_ENOMEM, errno, "cannot map the task ring");
        }
        r->control = (struct ring_control *)(void *)r->map;
    } else if (map_all(r, fd, e) < 0) {
        return BFORK_ENOMEM;
    }
    if (r->control->magic != RING_MAGIC || r->control->version != 1) {
        exec_ring_close(r);
        return err_set(e, BFORK_EPROTOCOL, "the task ring is of another version of Broadfork than this program's library");
    }
    return 0;
}

void exec_ring_forget_fd(struct ring *r)
{
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
}

void exec_ring_close(struct ring *r)
{
    int keep = errno;

    if (r->map)
        munmap(r->map, r->map_size);
    exec_ring_forget_fd(r);
    r->map = NULL;
    r->control = NULL;
    errno = keep;
}

void exec_ring_wake(struct ring_control *c)
{
    if (atomic_load_explicit(&c->sleeping, memory_order_relaxed) != RING_AWAKE
        && atomic_exchange(&c->sleeping, RING_AWAKE) != RING_AWAKE)
        syscall(SYS_futex, &c->sleeping, FUTEX_WAKE, 1, NULL, NULL, 0);
}

void exec_ring_sleep(struct ring_control *c, uint32_t how)
{
    syscall(SYS_futex, &c->sleeping, FUTEX_WAIT, how, NULL, NULL, 0);
}
