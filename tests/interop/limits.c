/* SPDX-License-Identifier: MPL-2.0 */
/* limits.c - scenes of what is bounded, refused or not known: quotas, output, programs that nobody has, orders, tasks that may have
 * run, and features that nobody has (chapters 3 to 6, 8 and 9 of docs/protocol.md). */
#include "scenes.h"

/* Elements of four bytes, and bytes with NULs among them, each one argument. */
void scene_kinds(struct session *s)
{
    one_pool(s, -1);
    struct map size = { 0 };
    map_number(&size, 3, 4);
    struct job *halves = job_open(s, 1, 1, 2, symbol("half"), size);
    struct job *sums = job_open(s, 2, 1, 4, symbol("sum"), (struct map){ 0 });
    uint8_t bytes[300] = { 0 };
    int wanted = 0;
    for (int i = 0; i < 300; i++) {
        task_of(halves, "b", sizeof i, (const void *)&i);
        task_of(sums, "b", (size_t)i, (const void *)bytes);
        bytes[i] = (uint8_t)(i % 7 == 0 ? 0 : i);
    }
    settled(s, halves);
    settled(s, sums);
    for (int i = 0; i < 300; i++) {
        EXPECT(result_number(&halves->tasks[i]) == i / 2 && result_number(&sums->tasks[i]) == wanted);
        wanted += bytes[i];
    }
    char text[TEXT];
    task_of(halves, "b", (size_t)5, (const void *)bytes);       /* neither is what the job says */
    task_of(sums, "s", "text");
    settled(s, halves);
    settled(s, sums);
    EXPECT(halves->tasks[300].kind == -10 && sums->tasks[300].kind == -10);
    outcome_text(&halves->tasks[300], 8, text, sizeof text);
    EXPECT(strstr(text, "5 bytes") && strstr(text, "4"));
}

enum { LINE = 32, OUTPUT_WINDOW = 262144 };

/* While the program does not take what tasks print, the task waits; after a cut the same pieces come again. */
void scene_output(struct session *s)
{
    one_pool(s, 1);
    s->keep_output = true;
    struct job *j = job_open(s, 1, 1, 0, symbol("says"), (struct map){ 0 });
    task_of(j, "i", 60000);
    UNTIL(s, s->said_bytes > OUTPUT_WINDOW - 2 * 65536);
    uint64_t said = s->said;
    for (unsigned cuts = 1; cuts <= 2; cuts++) {
        session_cut(s);
        UNTIL(s, s->connections == cuts + 1);
        EXPECT(s->resumed);
        UNTIL(s, s->outputs_again >= cuts * said);
    }
    EXPECT(s->said_bytes <= OUTPUT_WINDOW && !j->tasks[0].settled);
    s->keep_output = false;
    s->ack_due = zclock_mono();
    settled(s, j);
    EXPECT(j->tasks[0].printed[0] == 60000 * LINE && s->output.size == 60000 * LINE && j->tasks[0].limit == 0);
    EXPECT(j->tasks[0].attempt != 0 && j->tasks[0].attempt == j->tasks[0].printed_by);
    char line[2 * LINE];
    for (int i = 0; i < 60000; i++) {
        snprintf(line, sizeof line, "line %06d of the interop peer\n", i);
        EXPECT(memcmp(s->output.data + (size_t)i * LINE, line, LINE) == 0);
    }
    UNTIL(s, s->taken == s->said);
}

/* The worker allows a task 100,000 bytes. The rest is dropped, and that is said. */
void scene_cut(struct session *s)
{
    one_pool(s, 1);
    struct job *j = job_open(s, 1, 1, 0, symbol("says"), (struct map){ 0 });
    task_of(j, "i", 60000);
    task_of(j, "i", 10);
    settled(s, j);
    EXPECT(result_number(&j->tasks[0]) == 60000 && j->tasks[0].limit == 100000 && j->tasks[0].printed[0] <= 100000);
    EXPECT(result_number(&j->tasks[1]) == 10 && j->tasks[1].limit == 0 && j->tasks[1].printed[0] == 10 * LINE);
}

/* A pool whose program this client has not: it fails, and its tasks with it. Another client has it. */
void scene_no_blob(struct session *s)
{
    static struct session other;
    zchunk_t *file = zchunk_slurp(getenv("INTEROP_PROGRAM"), 0);
    if (!file)
        fail("INTEROP_PROGRAM cannot be read");
    struct span bytes = { zchunk_data(file), zchunk_size(file) };
    uint8_t digest[32];
    sha256(bytes.data, bytes.size, digest);
    session_init(&other, s->key_file);
    struct session *both[2] = { s, &other };
    for (int i = 0; i < 2; i++) {
        UNTIL(both[i], both[i]->welcome);
        struct map spec = { 0 }, fn = { 0 };
        map_bytes(&spec, 1, digest, sizeof digest);
        map_number(&spec, 2, bytes.size);
        map_text(&spec, 3, "interop_program");
        map_text(&spec, 4, "x86_64-linux-gnu");
        struct pool *p = pool_open(both[i], 1, 1, spec);
        memcpy(p->program_digest, digest, sizeof digest);
        if (i == 1)
            bytes_put(&p->program, bytes.data, bytes.size);
        EXPECT(elf_function(bytes, "add", &fn));
        struct job *j = job_open(both[i], 1, 1, 0, fn, (struct map){ 0 });
        task_of(j, "ii", 20, 3);
        settled(both[i], j);
        if (i == 0) {
            EXPECT(s->nones > 0 && p->code < 0 && !p->ended && j->tasks[0].kind == p->code);
            EXPECT(strstr(p->text, "interop_program"));
        } else {
            EXPECT(result_number(&j->tasks[0]) == 23 && other.nones == 0);
        }
    }
    session_bye(&other);
    session_free(&other);
    zchunk_destroy(&file);
}

static void refused(struct session *s, struct job *j, const char *field, const char *value, const char *limit)
{
    UNTIL(s, j->refused || s->over);
    EXPECT(!s->over && j->code == -41 && strcmp(j->field, field) == 0);
    EXPECT(strstr(j->text, value) && strstr(j->text, limit));
}

/* At most 50 tasks and 1 MiB in a session, 80 tasks for the key. What passes them ends the job that does, nothing else. */
void scene_quota(struct session *s)
{
    static struct session other;
    static char text[600000];
    one_pool(s, 1);
    EXPECT(s->quota_tasks == 50 && s->quota_bytes == 1 << 20 && s->owner_quota_tasks == 80);
    struct job *j = job_open(s, 1, 1, 0, command(), (struct map){ 0 });
    for (int i = 0; i < 50; i++)
        task_of(j, "ss", "sleep", "600");
    UNTIL(s, j->next == 50);
    struct job *more = job_open(s, 2, 1, 0, command(), (struct map){ 0 });
    task_of(more, "s", "true");
    refused(s, more, "quota_tasks", "51", "50");
    cancel(s, j, 20, 30, 1, false);
    UNTIL(s, j->done == 30);
    memset(text, 'q', sizeof text);
    text[sizeof text - 1] = '\0';
    struct job *large = job_open(s, 3, 1, 0, command(), (struct map){ 0 });
    task_of(large, "ss", "true", text);
    task_of(large, "ss", "true", text);
    refused(s, large, "quota_bytes", "1200", "1048576");
    session_init(&other, s->key_file);
    one_pool(&other, 1);
    struct job *job = NULL;
    cancel(s, j, 0, 0, 1, false);
    settled(s, j);
    for (int i = 0; i < 2; i++) {                               /* 45 of each are too many for the key */
        struct session *of = i == 0 ? s : &other;
        job = job_open(of, 4, 1, 0, command(), (struct map){ 0 });
        for (int k = 0; k < 45; k++)
            task_of(job, "ss", "sleep", "600");
        UNTIL(of, job->next == 45);
    }
    refused(&other, job, "owner_quota_tasks", "90", "80");
    cancel(s, &s->jobs[3], 0, 0, 1, false);
    settled(s, &s->jobs[3]);
    struct job *last = job_open(&other, 5, 1, 0, command(), (struct map){ 0 });
    task_of(last, "s", "true");
    settled(&other, last);
    EXPECT(last->tasks[0].kind == 0);
    session_bye(&other);
    session_free(&other);
    /* A task that crashes runs once more, and that is told before. */
    struct job *crashes = job_open(s, 6, 1, 0, symbol("ends"), (struct map){ 0 });
    task_of(crashes, "i", 1);
    settled(s, crashes);
    EXPECT(crashes->tries_told == 1 && crashes->tasks[0].crashes == 1 && crashes->tasks[0].tries == 0);
    EXPECT(crashes->tasks[0].kind == -2 && outcome_number(&crashes->tasks[0], 4) == 2);
}

static void order(struct session *s, const char *verb, const char *argument)
{
    struct message m = { .type = ADMIN, .request = ++s->requests };
    map_text(&m.head, 1, verb);
    map_text(&m.head, 2, argument);
    session_send(s, &m);
    UNTIL(s, s->answered == s->requests || s->over);
    bytes_put(&s->status, "", 1);
}

/* An administrator sees the broker's counters, a client its own numbers; a broker that drains ends when what it has is done. */
void scene_admin(struct session *s)
{
    static struct session admin;
    char key[4096];
    snprintf(key, sizeof key, "%.*sadmin.key", (int)(strrchr(s->key_file, '/') + 1 - s->key_file), s->key_file);
    session_init(&admin, key);
    UNTIL(&admin, admin.welcome);
    one_pool(s, 1);
    struct job *j = job_open(s, 1, 1, 0, command(), (struct map){ 0 });
    task_of(j, "ss", "sleep", "600");
    UNTIL(s, j->next == 1);
    static const char *const arguments[] = { NULL, "summary", "workers", "jobs" };
    for (int i = 0; i < 4; i++) {
        order(&admin, "status", arguments[i]);
        EXPECT(admin.answer_code == 0 && admin.status.data[0] == '{');
        EXPECT(strstr(admin.status.data, i < 2 ? "counters" : arguments[i]));
    }
    order(&admin, "reload", NULL);
    EXPECT(strstr(admin.status.data, "\"ok\":true"));
    order(&admin, "drain", "worker0");
    EXPECT(admin.answer_code == -32 && strcmp(admin.answer_field, "argument") == 0 && !admin.over);
    cancel(s, j, 0, 0, 1, false);
    settled(s, j);                                              /* it did not drain: it goes on */
    task_of(j, "ss", "sleep", "0.2");
    UNTIL(s, j->next == 2);
    order(&admin, "drain", NULL);
    EXPECT(strstr(admin.status.data, "draining"));
    struct job *late = job_open(s, 2, 1, 0, command(), (struct map){ 0 });
    UNTIL(s, late->refused);
    EXPECT(late->code == -36);
    settled(s, j);
    EXPECT(j->tasks[1].kind == 0);
    UNTIL(s, s->ack_due == 0);                                  /* the broker waits for who has outcomes to acknowledge */
    admin.no_reconnect = true;
    s->no_reconnect = true;
    UNTIL(&admin, admin.link.ended);
    session_free(&admin);
}

/* The script kills broker and worker. At most once: what may have begun is unknown and is not run again; what has not, runs. */
void scene_unknown(struct session *s)
{
    one_pool(s, 1);
    struct map never = { 0 };
    map_signed(&never, 8, -1);
    map_number(&never, 11, 1);
    struct job *j = job_open(s, 1, 1, 0, command(), never);
    task_of(j, "sss", "sh", "-c", "echo 0 >>ran; exec sleep 600");
    await(s, "ran");
    task_of(j, "sss", "sh", "-c", "echo 1 >>ran");
    UNTIL(s, j->next == 2);
    bool second = j->tasks[1].started;                          /* it may have been handed out to wait for the slot */
    uint64_t epoch = s->epoch;
    say("kill the broker and the worker");
    UNTIL(s, s->epoch != epoch && s->welcome);
    second |= j->tasks[1].started;
    settled(s, j);
    EXPECT(j->tasks[0].kind == -9 && j->tasks[0].outcomes == 1);
    EXPECT(j->tasks[1].kind == 0 || (second && j->tasks[1].kind == -9));
    /* The same in one epoch: nobody has a task that was told to have been assigned. */
    struct map once = { 0 };
    map_signed(&once, 8, -1);
    struct job *lost = job_open(s, 2, 1, 0, command(), once);
    struct task *t = task_of(lost, "sss", "sh", "-c", "echo 2 >>ran");
    t->kept_back = t->started = true;
    task_of(lost, "s", "true");
    UNTIL(s, lost->tasks[1].settled);
    look(s, lost, 0, 1);
    settled(s, lost);
    EXPECT(lost->tasks[0].kind == -9 && lost->tasks[1].kind == 0);
}

/* What a newer client says: longer records, keys that are not known, features that no worker has. */
void scene_growth(struct session *s)
{
    one_pool(s, 1);
    EXPECT(s->features & 1);
    struct map needs = { 0 }, plain = { 0 };
    map_number(&needs, 19, 1ull << 40);
    map_number(&needs, 60, 5);
    map_number(&plain, 60, 5);
    pool_open(s, 3, 1, (struct map){ 0 });                      /* what a job needs, its pool needs */
    struct job *newer = job_open(s, 1, 3, 0, command(), needs);
    struct job *old = job_open(s, 2, 1, 0, command(), plain);
    task_of(newer, "s", "true");
    UNTIL(s, newer->next == 1);
    task_of(old, "s", "true");
    settled(s, old);
    EXPECT(old->tasks[0].kind == 0);
    struct message m = { .type = TASKS };
    map_number(&m.head, 64, 36);
    map_number(&m.head, 50, 1);
    struct task *t = task_of(old, "s", "true");
    t->kept_back = true;                                        /* it is sent here */
    number_put(&m.records, 2, 4);
    number_put(&m.records, 1, 4);
    number_put(&m.records, 1, 8);
    number_put(&m.records, FIXED, 4);
    number_put(&m.records, t->args.size, 4);
    number_put(&m.records, 0, 4);
    number_put(&m.records, ~0ull, 8);                           /* what version 1 does not know */
    bytes_put(&m.body, t->args.data, t->args.size);
    session_send(s, &m);
    settled(s, old);
    EXPECT(old->tasks[1].kind == 0 && !newer->tasks[0].settled);
    uint32_t request = cancel(s, newer, 0, 0, 7, true);
    UNTIL(s, s->answered == request);
    EXPECT(s->cancelled == 1 && s->running == 0);               /* it has waited all the time */
    settled(s, newer);
    EXPECT(newer->tasks[0].kind == -6);
    /* What is not here is cancelled as well, and can be sent no more. */
    struct job *never = job_open(s, 3, 1, 0, command(), (struct map){ 0 });
    task_of(never, "s", "true")->kept_back = true;
    task_of(never, "s", "true");
    UNTIL(s, never->tasks[1].settled);
    cancel(s, never, 0, 1, 1, false);
    settled(s, never);
    EXPECT(never->tasks[0].kind == -6 && never->tasks[1].kind == 0);
    /* A pool that no worker can be given has no slots until then. */
    struct map spec = { 0 };
    map_number(&spec, 15, 1ull << 40);
    struct pool *p = pool_open(s, 2, 1, spec);
    UNTIL(s, p->states > 0);
    EXPECT(p->slots == 0 && p->code == 0 && !p->ended);
}

/* The script starts the broker anew with a quota of 20. The tasks of the first job pass it and are let in, since there are no
 * others; those of the second, sent again behind them, are put off. When there is room the broker asks for them, by a JOB_STATE
 * that nobody asked for. It was never told of the cancel, nor that the job is closed. */
void scene_room(struct session *s)
{
    one_pool(s, 1);
    struct job *first = job_open(s, 1, 1, 0, command(), (struct map){ 0 });
    struct job *j = job_open(s, 2, 1, 0, command(), (struct map){ 0 });
    char text[80];
    for (int i = 0; i < 60; i++) {
        snprintf(text, sizeof text, "echo %d >>ran; [ -e go ] || exec sleep 600; echo %d", i, i);
        task_of(i < 25 ? first : j, "sss", "sh", "-c", text);
    }
    await(s, "ran");
    UNTIL(s, j->next == 35);
    say("stop the broker");
    await(s, "stopped");
    cancel(s, j, 25, 10, 1, false);
    job_close(s, j);
    uint64_t epoch = s->epoch;
    say("kill the broker and the worker");
    UNTIL(s, s->epoch != epoch && s->welcome);
    EXPECT(s->quota_tasks == 20);
    settled(s, first);
    settled(s, j);
    EXPECT(s->asked_back > 0);
    for (int i = 0; i < 60; i++) {
        struct task *t = i < 25 ? &first->tasks[i] : &j->tasks[i - 25];
        struct span out, err;
        snprintf(text, sizeof text, "%d\n", i);
        if (i >= 50)
            EXPECT(t->kind == -6);
        else
            EXPECT(command_status(t, &out, &err) == 0 && out.size == strlen(text) && memcmp(out.data, text, out.size) == 0);
    }
    do {                                                        /* it was closed behind its last task: then it is forgotten */
        struct message m = { .type = STATUS_GET, .request = ++s->requests };
        map_text(&m.head, 1, "jobs");
        session_send(s, &m);
        UNTIL(s, s->answered == s->requests);
        bytes_put(&s->status, "", 1);
    } while (!strstr(s->status.data, "\"id\"") || strstr(strstr(s->status.data, "\"id\"") + 1, "\"id\""));
}
