/* SPDX-License-Identifier: MPL-2.0
 * gearman - a client and two worker processes of libgearman; gearmand itself runs already.
 *     gearman PORT rtt | submits | memory PID */
#include "contest.h"
#include <libgearman/gearman.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS = 2000, TASK = 100, WINDOW = 1000, SUBMITS = 20000, QUEUED = 100000 };

static struct { gearman_client_st *client; const char *mode; pid_t broker; } bench;

static gearman_return_t echo(gearman_job_st *job, void *context)
{
    (void)context;
    gearman_job_send_complete(job, gearman_job_workload(job), gearman_job_workload_size(job));
    return GEARMAN_SUCCESS;
}

static void worker(const char *port)
{
    gearman_worker_st *w = gearman_worker_create(NULL);
    gearman_worker_add_server(w, "127.0.0.1", (in_port_t)strtoul(port, NULL, 10));
    gearman_worker_define_function(w, "echo", 4, gearman_function_create(echo), 0, NULL);
    while (gearman_worker_work(w) == GEARMAN_SUCCESS)
        ;
    _exit(1);
}

static void one(unsigned number)
{
    char body[TASK];
    size_t size;
    gearman_return_t rc;
    contest_fill(body, TASK, number);
    void *result = gearman_client_do(bench.client, "echo", NULL, body, TASK, &size, &rc);
    if (rc != GEARMAN_SUCCESS)
        contest_fail("gearman: %s", gearman_strerror(rc));
    if (size != TASK || !contest_filled(result, TASK, number))
        contest_fail("gearman: a result is wrong");
    free(result);
}

static struct { unsigned first, n; bool seen[WINDOW]; } window;

/* A result of the window: the number that was sent, once. */
static gearman_return_t came_back(gearman_task_st *task)
{
    if (gearman_task_data_size(task) != TASK)
        contest_fail("gearman: a result has another size");
    size_t number = contest_number(gearman_task_data(task));
    if (number - window.first >= WINDOW || window.seen[number - window.first] ||
        !contest_filled(gearman_task_data(task), TASK, number))
        contest_fail("gearman: a result is wrong");
    window.seen[number - window.first] = true;
    window.n++;
    return GEARMAN_SUCCESS;
}

static void many(unsigned first, unsigned n)
{
    static char bodies[WINDOW][TASK];
    gearman_return_t rc = GEARMAN_SUCCESS;
    memset(&window, 0, sizeof(window));
    window.first = first;
    gearman_client_set_complete_fn(bench.client, came_back);
    for (unsigned i = 0; i < n && rc == GEARMAN_SUCCESS; i++) {
        contest_fill(bodies[i], TASK, first + i);
        gearman_client_add_task(bench.client, NULL, NULL, "echo", NULL, bodies[i], TASK, &rc);
    }
    if (rc != GEARMAN_SUCCESS || (rc = gearman_client_run_tasks(bench.client)) != GEARMAN_SUCCESS)
        contest_fail("gearman: %s", gearman_strerror(rc));
    gearman_client_task_free_all(bench.client);
    if (window.n != n)
        contest_fail("gearman: %u results of %u", window.n, n);
}

static double queue_memory(void)
{
    double before = contest_resident(bench.broker);
    char body[TASK];
    for (unsigned i = 0; i < QUEUED; i++) {
        gearman_job_handle_t handle;
        contest_fill(body, TASK, i);
        gearman_return_t rc = gearman_client_do_background(bench.client, "wait", NULL, body, TASK, handle);
        if (rc != GEARMAN_SUCCESS)
            contest_fail("gearman: %s", gearman_strerror(rc));
    }
    return (contest_resident(bench.broker) - before) / QUEUED;
}

static double run(void *data)
{
    static double us[ROUNDS];
    (void)data;
    double t = contest_now();
    if (strcmp(bench.mode, "memory") == 0)
        return queue_memory();
    if (strcmp(bench.mode, "submits") == 0) {
        for (unsigned i = 0; i < SUBMITS; i += WINDOW)
            many(i, WINDOW);
        return SUBMITS / (contest_now() - t);
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        t = contest_now();
        one(i);
        us[i] = (contest_now() - t) * 1e6;
    }
    return contest_median(us, ROUNDS);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        contest_fail("usage: gearman PORT rtt | submits | memory PID");
    bench.mode = argv[2];
    bench.broker = argc > 3 ? (pid_t)strtol(argv[3], NULL, 10) : 0;
    int workers = strcmp(bench.mode, "rtt") == 0 ? 1 : 2;           /* as many as ours has */
    for (int i = 0; i < workers && !bench.broker; i++)
        if (contest_fork() == 0)
            worker(argv[1]);
    bench.client = gearman_client_create(NULL);
    gearman_client_add_server(bench.client, "127.0.0.1", (in_port_t)strtoul(argv[1], NULL, 10));
    if (!bench.broker)
        one(0);                     /* the workers are there */
    return contest_loop(run, NULL, NULL);
}
