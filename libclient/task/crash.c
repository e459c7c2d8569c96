/* SPDX-License-Identifier: MPL-2.0
 * crash.c - the last words of a task process: signal, address and return addresses into its ring, then the signal again. Uses only
 * what is safe in a handler; backtrace is warmed up in the template. Names are added afterwards by a child of the template.
 */
#include "task/crash.h"
#include "exec/elf.h"
#include "exec/mapped.h"

#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define STACK_SIZE 131072u

static struct ring_obituary *obituary;
static const int signals[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGSYS, SIGTRAP };

void task_crash_warm_up(void)
{
    void *frames[4];
    backtrace(frames, 4);               /* loads libgcc, allocates */
}

static uint64_t pc_of(const void *context)
{
    const ucontext_t *u = context;
#if defined(__x86_64__)
    return (uint64_t)u->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return u->uc_mcontext.pc;
#else
    (void)u;
    return 0;
#endif
}

/* The address that was missing lies where the stack would have grown to: a frame may be large, but not by so much. */
static bool is_overflow(const void *context, uint64_t address)
{
    const ucontext_t *u = context;
#if defined(__x86_64__)
    uint64_t sp = (uint64_t)u->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
    uint64_t sp = u->uc_mcontext.sp;
#else
    uint64_t sp = 0;
    (void)u;
#endif
    return sp && address - (sp - 65536) < 2 * 65536;
}

static uint64_t hex(const char **p)
{
    uint64_t v = 0;

    for (;; (*p)++) {
        char c = **p;
        if (c >= '0' && c <= '9')
            v = v << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            v = v << 4 | (uint64_t)(c - 'a' + 10);
        else
            return v;
    }
}

static uint32_t add_path(struct ring_obituary *o, const char *path, size_t n)
{
    uint32_t at = o->paths_used;

    if (at + n + 1 > sizeof(o->paths))
        return 0;
    memcpy(o->paths + at, path, n);
    o->paths[at + n] = '\0';
    o->paths_used = at + (uint32_t)n + 1;
    return at;
}

/* "from-to perms offset device inode   path": which frames lie in it? */
static void map_line(struct ring_obituary *o, const char *p, size_t n)
{
    const char *end = p + n, *path;
    uint64_t from = hex(&p), to, offset;
    uint32_t at = 0;

    p++;
    to = hex(&p);
    if (end - p < 6 || p[3] != 'x')
        return;
    p += 6;
    offset = hex(&p);
    for (path = p; path < end && *path != '/'; path++)
        continue;
    for (int i = 0; i < o->n_frames && path < end; i++)
        if (o->frames[i].pc >= from && o->frames[i].pc < to) {
            if (!at && !(at = add_path(o, path, (size_t)(end - path))))
                return;
            o->frames[i].path = at;
            o->frames[i].offset = o->frames[i].pc - from + offset;
        }
}

static void locate(struct ring_obituary *o)
{
    char text[4096];
    size_t used = 0;
    ssize_t n;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

    o->paths_used = 1;                  /* 0 means unknown */
    while (fd >= 0 && (n = read(fd, text + used, sizeof(text) - used)) > 0) {
        char *line = text, *end;
        used += (size_t)n;
        while ((end = memchr(line, '\n', used - (size_t)(line - text)))) {
            map_line(o, line, (size_t)(end - line));
            line = end + 1;
        }
        used -= (size_t)(line - text);
        memmove(text, line, used);
        if (used == sizeof(text))
            used = 0;                   /* longer than any path may be */
    }
    if (fd >= 0)
        close(fd);
}

static void crashed(int sig, siginfo_t *info, void *context)
{
    struct ring_obituary *o = obituary;
    void *frames[RING_FRAMES + 8];
    uint64_t pc = pc_of(context);
    int n, from = 0;

    signal(SIGALRM, SIG_DFL);
    alarm(5);                           /* should anything below hang */
    o->sig_code = info->si_code;
    o->address = sig == SIGSEGV || sig == SIGBUS ? (uint64_t)(uintptr_t)info->si_addr : 0;
    if (o->address && is_overflow(context, o->address))
        o->sig_code = RING_OVERFLOW;
    atomic_store_explicit(&o->signal, sig, memory_order_release);
    o->frames[0].pc = pc;
    o->n_frames = 1;
    n = backtrace(frames, RING_FRAMES + 8);
    for (int i = 0; i < n; i++)
        if ((uint64_t)(uintptr_t)frames[i] == pc)
            from = i + 1;
    if (!from)
        from = n < 3 ? n : 3;           /* this handler, the trampoline, and where it jumped to */
    for (int i = from; i < n && o->n_frames < RING_FRAMES; i++)
        o->frames[o->n_frames++].pc = (uint64_t)(uintptr_t)frames[i] - 1;     /* of the call */
    locate(o);
    signal(sig, SIG_DFL);
    raise(sig);
}

void task_crash_install(struct ring_obituary *o)
{
    struct sigaction sa = { .sa_sigaction = crashed, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | (int)SA_RESETHAND };
    stack_t stack = { .ss_size = STACK_SIZE };

    obituary = o;
    stack.ss_sp = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack.ss_sp != MAP_FAILED)
        sigaltstack(&stack, NULL);
    sigemptyset(&sa.sa_mask);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaction(signals[i], &sa, NULL);
}

static bool is_shared_object(const char *path)
{
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    return strncmp(base, "libc.", 5) == 0 || strncmp(base, "libc-", 5) == 0 || strncmp(base, "ld-", 3) == 0 ||
           strncmp(base, "libpthread", 10) == 0 || strncmp(base, "libasan", 7) == 0 || strncmp(base, "libubsan", 8) == 0 ||
           strncmp(base, "libm.", 5) == 0;
}

/* Symbol table names: better than nothing where bfork-symbols is not installed. */
void task_crash_names(struct ring_obituary *o)
{
    size_t used = 0;
    char name[256], room[64];

    for (int i = 0; i < o->n_frames && i < RING_FRAMES; i++) {
        const char *path = o->paths + o->frames[i].path;
        const char *file = mapped_file(path, getpid(), room), *shown;
        uint64_t at, from;
        int shown_n;
        bool known =
            o->frames[i].path && exec_elf_address(file, o->frames[i].offset, &at) &&
                exec_elf_symbol_at(file, at, name, sizeof(name), &from);
        if (!o->frames[i].path)
            path = "?";
        shown = mapped_name(path, &shown_n);
        int n = known ? snprintf(o->backtrace + used, sizeof(o->backtrace) - used, "%s+%#llx in %.*s\n", name,
                                 (unsigned long long)from, shown_n, shown)
                      : snprintf(o->backtrace + used, sizeof(o->backtrace) - used, "%.*s+%#llx\n", shown_n, shown,
                                 (unsigned long long)o->frames[i].offset);
        if (n < 0 || (size_t)n >= sizeof(o->backtrace) - used)
            break;
        used += (size_t)n;
        if (o->function[0] || o->where[0] || path[0] != '/' || is_shared_object(path))
            continue;
        if (known)
            snprintf(o->function, sizeof(o->function), "%s", name);
        else                                /* the name of its caller would be a wrong one */
            mapped_place(path, o->frames[i].offset, o->where, sizeof(o->where));
    }
}
