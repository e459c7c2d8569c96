/* SPDX-License-Identifier: MPL-2.0
 * fault_killer.c - one task, at most once, that turns on what runs it.
 *
 *     fault_killer hunt FILE MARK     it leaves a process in a session of its own that kills all its ancestors up to its worker,
 *                                     and then every bfork-worker whose command line has MARK; its pid is written into FILE
 *     fault_killer command FILE       it starts a command that writes its pid into FILE and does not end by itself
 * Prints how the task ended.
 */
#define _GNU_SOURCE
#include <bfork.h>

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Reads /proc/PID/NAME, zeros and all; the size. */
static size_t look(long pid, const char *name, char *text, size_t size)
{
    char path[64];
    ssize_t n;

    snprintf(path, sizeof(path), "/proc/%ld/%s", pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : read(fd, text, size - 1);
    if (fd >= 0)
        close(fd);
    n = n < 0 ? 0 : n;
    text[n] = 0;
    return (size_t)n;
}

static long parent_of(long pid)
{
    char text[512];
    long parent;

    look(pid, "stat", text, sizeof(text));
    const char *after = strrchr(text, ')');
    return after && sscanf(after + 1, " %*c %ld", &parent) == 1 ? parent : 0;
}

static int is_worker(long pid)
{
    char text[64];

    look(pid, "comm", text, sizeof(text));
    return strncmp(text, "bfork-worker", 12) == 0;
}

static int has(long pid, const char *mark)
{
    char text[4096];
    size_t n = look(pid, "cmdline", text, sizeof(text));

    return memmem(text, n, mark, strlen(mark)) != NULL;
}

static void __attribute__((noreturn)) hunt(const long *above, int n, const char *file, const char *mark)
{
    prctl(PR_SET_PDEATHSIG, 0);
    FILE *f = fopen(file, "a");
    if (f)
        fprintf(f, "%d\n", (int)getpid());
    if (f)
        fclose(f);
    while (n--)                     /* the worker first: when one below it dies, the others end us at once */
        kill((pid_t)above[n], SIGKILL);
    for (int i = 0; i < 6000; i++, usleep(10000)) {     /* a minute, should nobody end it */
        DIR *d = opendir("/proc");
        for (struct dirent *e; d && (e = readdir(d));)
            if (isdigit((unsigned char)e->d_name[0]) && is_worker(atol(e->d_name)) && has(atol(e->d_name), mark))
                kill((pid_t)atol(e->d_name), SIGKILL);
        if (d)
            closedir(d);
    }
    _exit(0);
}

static int turns_on_its_worker(bfork_task *task)
{
    const char *file, *mark;
    long above[16];
    int n = 0;

    if (bfork_args(task, &file, &mark))
        return -1;
    for (long p = getppid(); p > 1 && n < 16; p = parent_of(p)) {
        above[n++] = p;
        if (is_worker(p))
            break;
    }
    if (fork() == 0) {
        setsid();
        if (fork() == 0)
            hunt(above, n, file, mark);
        _exit(0);
    }
    for (;;)
        pause();
}

static int starts_a_command(bfork_task *task)
{
    const char *file;
    char line[4200];

    if (bfork_args(task, &file))
        return -1;
    snprintf(line, sizeof(line), "echo $$ >>'%s'; exec sleep 1000", file);
    return system(line);
}

int main(int argc, char **argv)
{
    const bfork_options once = { .retries = BFORK_RETRY_NEVER };
    bfork_future *f = NULL;

    bfork_init(&argc, &argv);
    bfork_pool *pool = bfork_pool_new(NULL, BFORK_ALL, NULL);
    if (argc == 4 && strcmp(argv[1], "hunt") == 0)
        f = bfork_submit_with(pool, &once, turns_on_its_worker, argv[2], argv[3]);
    else if (argc == 3 && strcmp(argv[1], "command") == 0)
        f = bfork_submit_with(pool, &once, starts_a_command, argv[2]);
    else
        return 2;
    printf("ended=%s\n", bfork_status_name(bfork_result(f)));
    bfork_future_free(&f);
    bfork_pool_free(&pool);
    return 0;
}
