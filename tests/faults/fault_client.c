/* SPDX-License-Identifier: MPL-2.0
 * fault_client.c - the client of the fault tests: does a known amount of work and says what became of it, on one line:
 *
 *     attempted=10000 acknowledged=10000 delivered=10000 lost=0 duplicated=0 unexpected=0 recovered=17
 *
 * attempted: tasks it wanted; acknowledged: the library took them; delivered: outcomes seen; lost: acknowledged and without an
 * outcome; duplicated: outcomes beyond the first of a task; unexpected: outcomes that are not the right result; recovered: right
 * results that needed more than one attempt. Exit status 0: lost, duplicated and unexpected are 0.
 * Each task first appends "INDEX PID ATTEMPT" to a file, so that others can count what really ran, and wait for it.
 *
 *     fault_client good                     100 tasks and a map of 100: is the cluster well?
 *     fault_client map N MICROSECONDS FILE [once] [chunk=N]      once: also prints "unknown=N"
 *     fault_client submit N MICROSECONDS FILE
 *     fault_client gated N BYTES GATE       submits N tasks with results of so many bytes, which wait until the file GATE is there,
 *                                           and reads them: whoever starts it can stop it between
 *     fault_client small ROUNDS             submits 10 tasks and waits for them, so often: "p99_us=…" of a round
 *     fault_client late FILE [early]        does nothing with its pool for twice as long as connecting may take, and until FILE is
 *                                           there; then as good. early: after a first task was sent
 *     fault_client denied                   a map that must end because the key is refused or revoked: "ended=KIND MESSAGE"
 * FILE "-": nothing is written. MICROSECONDS: each task sleeps so long; "10s": it computes for so long.
 */
#include <bfork.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LATE_LIMIT_MS 3000u
struct orders { uint32_t sleep_us, spin_us; char path[1024]; };
struct in { uint64_t index; };
struct out { uint64_t value; uint64_t attempt; };
struct counts { uint64_t attempted, acknowledged, delivered, lost, duplicated, unexpected, recovered; };

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- tasks ------------------------------------------------------------------------------------------------------------------- */

static int work(bfork_task *task, uint64_t index)
{
    const struct orders *o = bfork_task_context(task, NULL);
    struct timespec t = { 0 };
    char line[64];
    int n, fd;

    if (o->path[0]) {
        n = snprintf(line, sizeof(line), "%" PRIu64 " %ld %d\n", index, (long)getpid(), bfork_task_self(task)->attempt);
        fd = open(o->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0 || write(fd, line, (size_t)n) != n)
            return bfork_raise(task, errno, "cannot note index %" PRIu64 " in %s: %s", index, o->path, strerror(errno));
        close(fd);
    }
    for (uint64_t until = o->spin_us ? now_us() + o->spin_us : 0; until && now_us() < until;)
        ;
    t.tv_sec = o->sleep_us / 1000000;
    t.tv_nsec = (long)(o->sleep_us % 1000000) * 1000;
    while (t.tv_sec + t.tv_nsec > 0 && nanosleep(&t, &t) != 0 && errno == EINTR)
        ;
    return 0;
}

static int map_task(const struct in *in, struct out *out, bfork_task *task)
{
    out->value = in->index * 7 + 3;
    out->attempt = (uint64_t)bfork_task_self(task)->attempt;
    return work(task, in->index);
}

static int submit_task(bfork_task *task)
{
    unsigned long index;

    if (bfork_args(task, &index) || work(task, index))
        return BFORK_FAILED;
    return bfork_return(task, index, index * 7 + 3, bfork_task_self(task)->attempt);
}

static int big_task(bfork_task *task)
{
    unsigned long index, size;
    const char *gate;
    char *bytes;

    if (bfork_args(task, &index, &size, &gate) || !(bytes = bfork_task_alloc(task, size)))
        return BFORK_FAILED;
    while (access(gate, F_OK) != 0)
        usleep(1000);
    memset(bytes, (int)(index & 0xff), size);
    return bfork_return(task, index, bfork_bytes_of(bytes, size));
}

/* ---- counting ---------------------------------------------------------------------------------------------------------------- */

static void complain(struct counts *c, const char *what, uint64_t index)
{
    if (++c->unexpected <= 3) {
        fprintf(stderr, "%s %" PRIu64 ": ", what, index);
        bfork_report(stderr, NULL);
        fputc('\n', stderr);
    }
}

static int report(const struct counts *c)
{
    printf("attempted=%" PRIu64 " acknowledged=%" PRIu64 " delivered=%" PRIu64 " lost=%" PRIu64 " duplicated=%" PRIu64
           " unexpected=%" PRIu64 " recovered=%" PRIu64 "\n",
           c->attempted, c->acknowledged, c->delivered, c->lost, c->duplicated, c->unexpected, c->recovered);
    fflush(stdout);
    return c->lost || c->duplicated || c->unexpected || c->acknowledged != c->attempted;
}

/* Fills the options of a job; the context stays the caller's. */
static bfork_options options(struct orders *o, const char *us, const char *path)
{
    bfork_options b = { .context = { o, sizeof(*o) } };

    memset(o, 0, sizeof(*o));
    *(strchr(us, 's') ? &o->spin_us : &o->sleep_us) = (uint32_t)strtoul(us, NULL, 10);
    if (strcmp(path, "-") != 0)
        snprintf(o->path, sizeof(o->path), "%s", path);
    return b;
}

static void *need(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);

    if (!p) {
        fputs("out of memory\n", stderr);
        exit(99);
    }
    return p;
}

static int do_map(bfork_pool *pool, size_t n, const char *us, const char *path, bool once, uint32_t chunk)
{
    struct in *in = need(n, sizeof(*in));
    struct out *out = need(n, sizeof(*out));
    int32_t *status = need(n, sizeof(*status));
    struct orders o;
    bfork_options b = options(&o, us, path);
    struct counts c = { .attempted = n, .acknowledged = n };
    size_t unknown = 0;

    for (size_t i = 0; i < n; i++)
        in[i].index = i;
    b.status = status;
    b.retries = once ? BFORK_RETRY_NEVER : 0;
    b.chunk = chunk;
    if (bfork_map_with(pool, map_task, in, out, n, &b) != 0)
        complain(&c, "map of", n);
    c.unexpected = 0;
    for (size_t i = 0; i < n; i++) {
        if (status[i] == BFORK_END || (status[i] == 0 && out[i].attempt == 0)) {   /* no outcome, or a result that never came */
            c.lost++;
            continue;
        }
        c.delivered++;
        if (once && status[i] == BFORK_UNKNOWN) {
            unknown++;
            continue;
        }
        if (status[i] != 0 || out[i].value != i * 7 + 3)
            c.unexpected++;
        else if (out[i].attempt > 1)
            c.recovered++;
    }
    if (once)
        printf("unknown=%zu\n", unknown);
    free(in);
    free(out);
    free(status);
    return report(&c);
}

/* Takes all futures out of the stream; seen: one byte for each index. */
static void collect(bfork_stream *s, struct counts *c, unsigned char *seen, size_t n)
{
    bfork_future *f;
    unsigned long index, value;
    int attempt;

    while (bfork_stream_next(s, BFORK_FOREVER, &f) == 0) {
        size_t at = (size_t)(uintptr_t)bfork_future_data(f);
        c->delivered++;
        if (bfork_result(f, &index, &value, &attempt) != 0)
            complain(c, "task", at);
        else if (index != at || value != index * 7 + 3)
            c->unexpected++;
        else if (attempt > 1)
            c->recovered++;
        if (at >= n)
            c->unexpected++;
        else if (seen[at]++)
            c->duplicated++;
        bfork_future_free(&f);
    }
    for (size_t i = 0; i < n; i++)
        c->lost += !seen[i];
}

static int do_submit(bfork_pool *pool, size_t n, const char *us, const char *path)
{
    unsigned char *seen = need(n, 1);
    bfork_stream *s = bfork_stream_new();
    struct orders o;
    bfork_options b = options(&o, us, path);
    struct counts c = { .attempted = n };

    for (unsigned long i = 0; i < n; i++) {
        bfork_future *f = bfork_submit_with(pool, &b, submit_task, i);
        c.acknowledged += bfork_future_state(f) == BFORK_PENDING || !bfork_future_error(f);
        bfork_stream_add(s, f, (void *)(uintptr_t)i);
    }
    collect(s, &c, seen, n);
    bfork_stream_free(&s);
    free(seen);
    return report(&c);
}

static int do_good(bfork_pool *pool)
{
    int a = do_submit(pool, 100, "0", "-"), b = do_map(pool, 100, "0", "-", false, 0);

    return a | b;
}

static int do_gated(bfork_pool *pool, size_t n, unsigned long size, const char *gate)
{
    struct counts c = { .attempted = n };
    bfork_stream *s = bfork_stream_new();
    unsigned char *seen = need(n, 1);
    bfork_future *f;
    unsigned long index;
    bfork_bytes bytes;

    for (unsigned long i = 0; i < n; i++) {
        f = bfork_submit(pool, big_task, i, size, gate);
        c.acknowledged += bfork_future_state(f) == BFORK_PENDING || !bfork_future_error(f);
        bfork_stream_add(s, f, (void *)(uintptr_t)i);
    }
    while (bfork_stream_next(s, BFORK_FOREVER, &f) == 0) {
        size_t at = (size_t)(uintptr_t)bfork_future_data(f);
        c.delivered++;
        if (bfork_result(f, &index, &bytes) != 0)
            complain(&c, "task", at);
        else if (index != at || bytes.size != size || (size && ((const unsigned char *)bytes.data)[size - 1] != (at & 0xff)))
            c.unexpected++;
        c.duplicated += at < n && seen[at]++ != 0;
        bfork_future_free(&f);
    }
    for (size_t i = 0; i < n; i++)
        c.lost += !seen[i];
    bfork_stream_free(&s);
    free(seen);
    return report(&c);
}

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static int do_small(bfork_pool *pool, size_t rounds)
{
    uint64_t *took = need(rounds, sizeof(*took));
    unsigned char seen[10];
    struct orders o;
    bfork_options b = options(&o, "0", "-");
    struct counts c = { 0 };

    for (size_t r = 0; r <= rounds; r++) {          /* the first one warms up: the program is fetched, processes are made */
        bfork_stream *s = bfork_stream_new();
        uint64_t begin = now_us();
        memset(seen, 0, sizeof(seen));
        for (unsigned long i = 0; i < 10; i++)
            bfork_stream_add(s, bfork_submit_with(pool, &b, submit_task, i), (void *)(uintptr_t)i);
        c.attempted += 10;
        c.acknowledged += 10;
        collect(s, &c, seen, 10);
        bfork_stream_free(&s);
        if (r > 0)
            took[r - 1] = now_us() - begin;
    }
    qsort(took, rounds, sizeof(*took), ascending);
    printf("rounds=%zu p50_us=%" PRIu64 " p99_us=%" PRIu64 "\n", rounds, took[rounds / 2], took[(rounds - 1) * 99 / 100]);
    free(took);
    return report(&c);
}

/* Makes its pool, submits a task at once or not, computes for longer than it may take to connect and until the file is there, and
 * only then has work done: neither the library nor the broker was asked for anything meanwhile. */
static int do_late(bool early, const char *file)
{
    const bfork_session_options so = { .connect_limit_ms = LATE_LIMIT_MS };
    bfork_session *s = bfork_session_new(NULL, &so);
    bfork_pool *pool = bfork_pool_new(s, BFORK_ALL, NULL);
    struct orders o;
    bfork_options b = options(&o, "0", "-");
    bfork_future *f = early ? bfork_submit_with(pool, &b, submit_task, 5ul) : NULL;
    unsigned long index, value = 0;
    int attempt, rc = 0;

    puts("computes");
    fflush(stdout);
    for (uint64_t until = now_us() + 2000 * LATE_LIMIT_MS; now_us() < until || access(file, F_OK) != 0;)
        usleep(1000);
    if (early && bfork_result(f, &index, &value, &attempt) != 0) {
        fprintf(stderr, "the task sent early: %s\n", bfork_last_error()->message);
        rc = 1;
    }
    bfork_future_free(&f);
    rc |= do_good(pool);
    bfork_pool_free(&pool);
    bfork_session_free(&s);
    return rc;
}

static int do_denied(bfork_pool *pool)
{
    struct in in[1000] = { { 0 } };
    struct out out[1000];
    struct orders o;
    bfork_options b = options(&o, "20000", "-");
    int rc = bfork_map_with(pool, map_task, in, out, 1000, &b);

    printf("ended=%s %s\n", bfork_status_name(rc), rc ? bfork_last_error()->message : "");
    return rc == BFORK_EDENIED ? 0 : 1;
}

int main(int argc, char **argv)
{
    bfork_init(&argc, &argv);

    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "late") == 0 && argc >= 3)
        return do_late(argc > 3, argv[2]);

    size_t n = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    bfork_pool *pool = bfork_pool_new(NULL, BFORK_ALL, NULL);
    int rc = 2;

    if (strcmp(what, "good") == 0)
        rc = do_good(pool);
    else if (strcmp(what, "map") == 0 && argc >= 5)
        rc = do_map(pool, n, argv[3], argv[4], argc > 5 && strcmp(argv[5], "once") == 0,
                    strncmp(argv[argc - 1], "chunk=", 6) == 0 ? (uint32_t)strtoul(argv[argc - 1] + 6, NULL, 10) : 0);
    else if (strcmp(what, "submit") == 0 && argc == 5)
        rc = do_submit(pool, n, argv[3], argv[4]);
    else if (strcmp(what, "gated") == 0 && argc == 5)
        rc = do_gated(pool, n, strtoul(argv[3], NULL, 10), argv[4]);
    else if (strcmp(what, "small") == 0 && n > 0)
        rc = do_small(pool, n);
    else if (strcmp(what, "denied") == 0)
        rc = do_denied(pool);
    else
        fputs("usage: see fault_client.c\n", stderr);
    bfork_pool_free(&pool);
    return rc;
}
