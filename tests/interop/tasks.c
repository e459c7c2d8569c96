/* SPDX-License-Identifier: MPL-2.0 */
/* tasks.c - functions that run in workers, in a shared object and in a program (-DPROGRAM); the client knows their names only. */
#include <bfork.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEEN __attribute__((visibility("default"), used))

int square(const int *in, int *out, bfork_task *task);
SEEN int square(const int *in, int *out, bfork_task *task)
{
    (void)task;
    *out = *in * *in;
    return 0;
}

int twice(bfork_task *task);
SEEN int twice(bfork_task *task)
{
    const char *text;
    char both[8192];
    if (bfork_args(task, &text))
        return -1;
    snprintf(both, sizeof both, "%s%s", text, text);
    return bfork_return(task, both);
}

int add(bfork_task *task);
SEEN int add(bfork_task *task)
{
    int a, b;
    if (bfork_args(task, &a, &b))
        return -1;
    return bfork_return(task, a + b);
}

/* An element of a job of the kind 3: a string. */
int length(const char *text, bfork_task *task);
SEEN int length(const char *text, bfork_task *task)
{
    return bfork_return(task, (int)strlen(text));
}

/* Elements of the kinds 2 and 4: a number of four bytes, and bytes. */
int half(const int *in, bfork_task *task);
SEEN int half(const int *in, bfork_task *task)
{
    return bfork_return(task, *in / 2);
}

int sum(bfork_bytes in, bfork_task *task);
SEEN int sum(bfork_bytes in, bfork_task *task)
{
    int all = 0;
    for (size_t i = 0; i < in.size; i++)
        all += ((const unsigned char *)in.data)[i];
    return bfork_return(task, all);
}

int ends(bfork_task *task);
SEEN int ends(bfork_task *task)
{
    int how;
    if (bfork_args(task, &how))
        return -1;
    if (how == 1)
        abort();
    if (how == 2)
        exit(7);
    if (how == 3)
        sleep(60);
    if (how == 4)
        return 42;
    return bfork_return(task, how);
}

int says(bfork_task *task);
SEEN int says(bfork_task *task)
{
    int lines;
    if (bfork_args(task, &lines))
        return -1;
    for (int i = 0; i < lines; i++)
        printf("line %06d of the interop peer\n", i);
    return bfork_return(task, lines);
}

#ifdef PROGRAM
int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);
    return 3;
}
#endif
