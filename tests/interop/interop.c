/* SPDX-License-Identifier: MPL-2.0 */
/* interop.c - a complete second client, written from docs/protocol.md with czmq and msgpack-c: interop SCENE KEY-FILE.
 *
 * Each scene runs against real daemons, compares what comes back, and ends with 0 or with a line that says what was otherwise.
 * Scenes in which daemons are killed print a word for the script when it is time, and wait for a file that the script makes. */
#include "scenes.h"

/* Elements of four bytes each, and arrays of any length; more than a window of both. */
static void scene_functions(struct session *s)
{
    one_pool(s, -1);
    struct map sizes = { 0 };
    map_number(&sizes, 3, 4);
    map_number(&sizes, 4, 4);
    struct job *squares = job_open(s, 1, 1, 1, symbol("square"), sizes);
    struct job *texts = job_open(s, 2, 1, 0, symbol("twice"), (struct map){ 0 });
    struct job *lengths = job_open(s, 3, 1, 3, symbol("length"), (struct map){ 0 });
    char text[1000], back[2100], both[2100];
    for (int i = 0; i < 20000; i++)
        task_add(squares, &i, sizeof i);
    for (int i = 0; i < 2000; i++) {
        memset(text, 'a' + i % 26, sizeof text);
        text[i % 999 + 1] = '\0';
        task_of(texts, "s", text);
        if (i < 500)
            task_of(lengths, "s", text);
    }
    settled(s, squares);
    settled(s, texts);
    settled(s, lengths);
    for (int i = 0; i < 20000; i++) {
        EXPECT(squares->tasks[i].kind == 0 && squares->tasks[i].result.size == 4);
        EXPECT(number_get(squares->tasks[i].result.data, 4) == (uint32_t)(i * i));
    }
    for (int i = 0; i < 2000; i++) {
        memset(text, 'a' + i % 26, sizeof text);
        text[i % 999 + 1] = '\0';
        snprintf(both, sizeof both, "%s%s", text, text);
        result_text(&texts->tasks[i], back, sizeof back);
        EXPECT(strcmp(back, both) == 0);
        EXPECT(i >= 500 || result_number(&lengths->tasks[i]) == (int64_t)strlen(text));
    }
    job_close(s, squares);
}

/* How tasks end that do not end well, each with its document. */
static void scene_errors(struct session *s)
{
    one_pool(s, 2);
    struct map limits = { 0 };
    map_number(&limits, 5, 300);
    map_number(&limits, 11, 1);
    struct job *j = job_open(s, 1, 1, 0, symbol("ends"), limits);
    for (int how = 0; how < 5; how++)
        task_of(j, "i", how);
    task_of(j, "s", "no number");
    struct job *missing = job_open(s, 2, 1, 0, symbol("no_such_function"), (struct map){ 0 });
    task_of(missing, "i", 1);
    settled(s, j);
    settled(s, missing);
    char text[4200];
    EXPECT(result_number(&j->tasks[0]) == 0);
    EXPECT(j->tasks[1].kind == -2 && outcome_number(&j->tasks[1], 3) == SIGABRT);
    EXPECT(j->tasks[2].kind == -3 && outcome_number(&j->tasks[2], 2) == 7);
    EXPECT(j->tasks[3].kind == -4);
    EXPECT(j->tasks[4].kind == -1 && outcome_number(&j->tasks[4], 2) == 42);
    EXPECT(j->tasks[5].kind == -10);
    for (int i = 1; i < 6; i++) {
        EXPECT(outcome_number(&j->tasks[i], 6) == i && outcome_number(&j->tasks[i], 4) == 1);
        outcome_text(&j->tasks[i], 8, text, sizeof text);
        EXPECT(text[0] != '\0');
        outcome_text(&j->tasks[i], 11, text, sizeof text);
        EXPECT(text[0] != '\0');
    }
    EXPECT(missing->tasks[0].kind == -8);
    outcome_text(&missing->tasks[0], 8, text, sizeof text);
    EXPECT(strstr(text, "no_such_function"));
}

static void scene_commands(struct session *s)
{
    one_pool(s, -1);
    struct job *j = job_open(s, 1, 1, 0, command(), (struct map){ 0 });
    char text[64];
    for (int i = 0; i < 200; i++) {
        snprintf(text, sizeof text, "echo out %d; echo err %d >&2; exit %d", i, i, i % 3);
        task_of(j, "sss", "sh", "-c", text);
    }
    task_of(j, "s", "no-such-command-here");
    task_of(j, "s", "/dev/null");
    task_of(j, "sss", "sh", "-c", "kill -9 $$");
    settled(s, j);
    struct span out, err;
    for (int i = 0; i < 200; i++) {
        EXPECT(command_status(&j->tasks[i], &out, &err) == i % 3);
        snprintf(text, sizeof text, "out %d\n", i);
        EXPECT(out.size == strlen(text) && memcmp(out.data, text, out.size) == 0);
        snprintf(text, sizeof text, "err %d\n", i);
        EXPECT(err.size == strlen(text) && memcmp(err.data, text, err.size) == 0);
    }
    EXPECT(command_status(&j->tasks[200], &out, &err) == 127);
    EXPECT(command_status(&j->tasks[201], &out, &err) == 126);
    EXPECT(command_status(&j->tasks[202], &out, &err) == 128 + 9);
}

/* More than the broker's window is sent, more than ours comes back: neither is passed. */
static void scene_windows(struct session *s)
{
    one_pool(s, -1);
    struct job *j = job_open(s, 1, 1, 0, symbol("twice"), (struct map){ 0 });
    char text[4000];
    memset(text, 'w', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (int i = 0; i < 4000; i++)
        task_of(j, "s", text);
    settled(s, j);
    EXPECT(s->most_out <= s->window && s->sent > s->window && s->consumed > 8 * s->own_window);
    char back[8200];
    for (int i = 0; i < 4000; i++) {
        result_text(&j->tasks[i], back, sizeof back);
        EXPECT(strlen(back) == 2 * strlen(text));
    }
    /* What was sent is counted by the broker to the last byte. */
    UNTIL(s, s->peer_acked == s->sent);
}

static void scene_cancel(struct session *s)
{
    char begun[4096], line[4200];
    EXPECT(getcwd(begun, sizeof begun - 8));
    strcat(begun, "/begun");
    snprintf(line, sizeof line, ": >'%s' && exec sleep 600", begun);
    one_pool(s, 1);
    struct job *j = job_open(s, 1, 1, 0, command(), (struct map){ 0 });
    task_of(j, "sss", "sh", "-c", line);
    for (int i = 1; i < 100; i++)
        task_of(j, "ss", "sleep", "0.01");
    UNTIL(s, j->next == 100 && access(begun, F_OK) == 0);
    uint32_t request = cancel(s, j, 50, 40, 7, true);          /* those that wait */
    UNTIL(s, s->answered == request);
    EXPECT(s->cancelled == 40 && s->running == 0 && s->done == 0);
    for (int i = 50; i < 90; i++)
        UNTIL(s, j->tasks[i].settled);
    EXPECT(!j->tasks[0].settled && j->tasks[50].kind == -6);
    request = cancel(s, j, 0, 60, 7, true);
    UNTIL(s, s->answered == request);
    EXPECT(s->running >= 1 && s->done == 10 && s->cancelled + s->running == 50);
    EXPECT(!j->tasks[0].settled);                               /* it runs, and goes on */
    request = cancel(s, j, 0, 0, 1, true);                     /* all, from the first on */
    UNTIL(s, s->answered == request);
    settled(s, j);
    EXPECT(j->tasks[0].kind == -6 && j->tasks[99].kind == -6);
    task_of(j, "s", "true");                                    /* the job goes on */
    settled(s, j);
    EXPECT(j->tasks[100].kind == 0);
}

static void scene_at_most_once(struct session *s)
{
    one_pool(s, 2);
    struct map never = { 0 };
    map_signed(&never, 8, -1);
    struct job *j = job_open(s, 1, 1, 0, symbol("add"), never);
    for (int i = 0; i < 300; i++)
        task_of(j, "ii", i, 1000);
    settled(s, j);
    EXPECT(j->assigned == 300);
    for (int i = 0; i < 300; i++)
        EXPECT(j->tasks[i].started && result_number(&j->tasks[i]) == i + 1000);
}

static void scene_status(struct session *s)
{
    one_pool(s, 1);
    static const char *what[] = { "summary", "workers", "jobs", "nonsense" };
    struct job *j = job_open(s, 1, 1, 0, command(), (struct map){ 0 });
    task_of(j, "ss", "sleep", "600");
    UNTIL(s, j->next == 1);
    for (int i = 0; i < 4; i++) {
        struct message m = { .type = STATUS_GET, .request = ++s->requests };
        map_text(&m.head, 1, what[i]);
        session_send(s, &m);
        UNTIL(s, s->answered == s->requests);
        if (i < 3)
            EXPECT(s->status.size > 2 && s->status.data[0] == '{' && s->answer_code == 0);
        else
            EXPECT(s->answer_code == -32 && strcmp(s->answer_field, "what") == 0 && strstr(s->answer_text, "summary"));
    }
    EXPECT(!s->over);
    cancel(s, j, 0, 0, 1, false);
    settled(s, j);
}

/* The program comes from this client, in pieces that are shorter than asked for. */
static void scene_program(struct session *s)
{
    const char *path = getenv("INTEROP_PROGRAM");
    zchunk_t *file = zchunk_slurp(path, 0);
    if (!file)
        fail("%s cannot be read", path);
    struct span bytes = { zchunk_data(file), zchunk_size(file) };
    UNTIL(s, s->welcome);
    s->piece = bytes.size / 3 + 1;
    struct map spec = { 0 }, fn = { 0 }, sizes = { 0 };
    uint8_t digest[32];
    sha256(bytes.data, bytes.size, digest);
    map_bytes(&spec, 1, digest, sizeof digest);
    map_number(&spec, 2, bytes.size);
    map_text(&spec, 3, "interop_program");
    map_text(&spec, 4, "x86_64-linux-gnu");
    struct pool *p = pool_open(s, 1, -1, spec);
    memcpy(p->program_digest, digest, sizeof digest);
    bytes_put(&p->program, bytes.data, bytes.size);
    EXPECT(elf_function(bytes, "square", &fn));
    map_number(&sizes, 3, 4);
    map_number(&sizes, 4, 4);
    struct job *j = job_open(s, 1, 1, 1, fn, sizes);
    for (int i = 0; i < 1000; i++)
        task_add(j, &i, sizeof i);
    UNTIL(s, p->slots > 0 || p->code < 0);
    if (p->code < 0)
        fail("the pool: %d %s", p->code, p->text);
    settled(s, j);
    for (int i = 0; i < 1000; i++)
        EXPECT(j->tasks[i].kind == 0 && number_get(j->tasks[i].result.data, 4) == (uint32_t)(i * i));
    EXPECT(s->pieces >= 3 && s->blob_bytes >= bytes.size);
    UNTIL(s, s->peer_acked == s->sent);
    struct map other = { 0 };                                   /* a build that is another has another layout */
    EXPECT(elf_function(bytes, "square", &other));
    other.bytes.data[other.bytes.size - 9] ^= 1;
    struct job *wrong = job_open(s, 2, 1, 0, other, (struct map){ 0 });
    task_of(wrong, "i", 1);
    settled(s, wrong);
    EXPECT(wrong->tasks[0].kind == -8);
    zchunk_destroy(&file);
}

/* The connection is cut and made again: same session, nothing twice. */
static void scene_resume(struct session *s)
{
    one_pool(s, 2);
    struct job *j = job_open(s, 1, 1, 0, symbol("add"), (struct map){ 0 });
    for (int i = 0; i < 5000; i++)
        task_of(j, "ii", i, 1);
    for (unsigned cuts = 1; cuts <= 5; cuts++) {
        size_t done = 1000 * (cuts - 1);
        UNTIL(s, j->tasks[done].settled);
        session_cut(s);
        UNTIL(s, s->connections == cuts + 1);
        EXPECT(s->resumed && s->conn_no == cuts + 1);
    }
    settled(s, j);
    for (int i = 0; i < 5000; i++)
        EXPECT(result_number(&j->tasks[i]) == i + 1);
    EXPECT(s->replays == 0);
    job_close(s, j);
}

/* The script kills the broker and starts it again. */
static void scene_restart(struct session *s)
{
    one_pool(s, 2);
    struct map never = { 0 };
    map_signed(&never, 8, -1);
    struct job *j = job_open(s, 1, 1, 0, command(), (struct map){ 0 });
    struct job *once = job_open(s, 2, 1, 0, command(), never);
    char text[80];
    for (int i = 0; i < 60; i++) {
        snprintf(text, sizeof text, "sleep 0.1; echo %d >>ran.retry; echo %d", i, i);
        task_of(j, "sss", "sh", "-c", text);
        snprintf(text, sizeof text, "sleep 0.1; echo %d >>ran.once; echo %d", i, i);
        task_of(once, "sss", "sh", "-c", text);
    }
    uint64_t epoch = s->epoch;
    UNTIL(s, j->tasks[5].settled && once->tasks[5].settled);
    say("now");
    UNTIL(s, s->epoch != epoch && s->welcome);
    EXPECT(!s->resumed && s->replays == 2);
    bool begun[60];
    for (int i = 0; i < 60; i++)
        begun[i] = once->tasks[i].started && !once->tasks[i].settled;
    task_of(j, "ss", "echo", "60");                             /* a new one behind those that are replayed */
    settled(s, j);
    settled(s, once);
    struct span out, err;
    for (int i = 0; i < 60; i++) {
        snprintf(text, sizeof text, "%d\n", i);
        EXPECT(command_status(&j->tasks[i], &out, &err) == 0 && out.size == strlen(text) && memcmp(out.data, text, out.size) == 0);
        EXPECT(once->tasks[i].kind == 0 || (once->tasks[i].kind == -9 && begun[i]));
        if (once->tasks[i].kind == -9)
            printf("unknown %d\n", i);
    }
    EXPECT(command_status(&j->tasks[60], &out, &err) == 0);
}

/* A task loses its worker, then worker and broker at once, then the third worker: with a limit of two it is lost, since the
 * new broker was told how often it was lost before. */
static void scene_tries(struct session *s)
{
    one_pool(s, 1);
    struct job *j = job_open(s, 1, 1, 0, command(), (struct map){ 0 });
    task_of(j, "sss", "sh", "-c", "echo run >>ran; exec sleep 600");
    await(s, "ran");
    say("kill the worker");
    UNTIL(s, j->tries_told == 1);
    EXPECT(j->tasks[0].tries == 1 && j->tasks[0].crashes == 0);
    uint64_t epoch = s->epoch;
    say("kill the broker and the worker");
    UNTIL(s, s->epoch != epoch && s->welcome);
    settled(s, j);
    EXPECT(j->tasks[0].kind == -7);
}

/* What the broker never got it says it has not; it is sent once more and runs. */
static void scene_look(struct session *s)
{
    one_pool(s, 1);
    struct job *j = job_open(s, 1, 1, 0, symbol("add"), (struct map){ 0 });
    for (int i = 0; i < 10; i++)
        task_of(j, "ii", i, 1)->kept_back = i == 4 || i == 5;
    for (int i = 0; i < 10; i++)
        UNTIL(s, j->tasks[i].settled || i == 4 || i == 5);
    EXPECT(!j->tasks[4].settled && !j->tasks[5].settled);
    while (s->seen_to < 10) {
        uint64_t from = s->seen_to;
        look(s, j, from, (uint32_t)(10 - from));
        UNTIL(s, s->seen_to > from);
    }
    settled(s, j);
    for (int i = 0; i < 10; i++)
        EXPECT(result_number(&j->tasks[i]) == i + 1 && j->tasks[i].outcomes == 1);
}

/* The numbers of the page that need no daemon. */
static void scene_vectors(void)
{
    static const uint64_t headers[2][7] = { { 1, 5, 0, 0, 0x1000, 0x1000, 0x1000 }, { 2, 6, 0x2df0, 0x3df0, 0x1f0, 0x1f0, 8 } };
    static const uint8_t wanted[32] = { 0x3a, 0xa4, 0xa3, 0x04, 0x4a, 0xb7, 0xc9, 0x17, 0x9e, 0xaa, 0x8f, 0x15, 0x61, 0x71,
                                        0x51, 0xf9,
                                        0x9b, 0x65, 0xb8, 0x3f, 0x9c, 0xe9, 0x8d, 0x40, 0xf3, 0x2d, 0x30, 0x28, 0x1c, 0x85, 0xd7,
                                            0x2b };
    static const uint8_t abc[32] = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
                                     0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15,
                                         0xad };
    uint8_t got[32];
    layout_of(headers, 2, got);
    EXPECT(memcmp(got, wanted, sizeof wanted) == 0);
    sha256("abc", 3, got);
    EXPECT(memcmp(got, abc, sizeof abc) == 0);
}

int main(int argc, char **argv)
{
    static const struct { const char *name; void (*run)(struct session *s); } scenes[] = {
        { "functions", scene_functions }, { "errors", scene_errors }, { "commands", scene_commands }, { "windows", scene_windows },
        { "cancel", scene_cancel }, { "at_most_once", scene_at_most_once }, { "status", scene_status }, { "program",
            scene_program },
        { "resume", scene_resume }, { "restart", scene_restart }, { "tries", scene_tries }, { "look", scene_look },
        { "kinds", scene_kinds }, { "output", scene_output }, { "cut", scene_cut }, { "no_blob", scene_no_blob },
        { "quota", scene_quota }, { "admin", scene_admin }, { "unknown", scene_unknown }, { "growth", scene_growth },
        { "room", scene_room }, { "certificate", scene_certificate },
    };
    static struct session s;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 2 && strcmp(argv[1], "vectors") == 0) {
        scene_vectors();
        return 0;
    }
    if (argc == 5 && strcmp(argv[1], "mistakes") == 0) {
        mistakes(argv[2], argv[3], argv[4]);
        return 0;
    }
    if (argc == 5 && strcmp(argv[1], "make") == 0) {
        certificate_make(argv[2], argv[3], argv[4]);
        return 0;
    }
    if (argc == 4 && strcmp(argv[1], "known") == 0) {
        certificate_known(argv[2], argv[3]);
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "refused") == 0) {
        certificate_refused(argv[2]);
        return 0;
    }
    for (size_t i = 0; argc == 3 && i < sizeof scenes / sizeof *scenes; i++)
        if (strcmp(argv[1], scenes[i].name) == 0) {
            session_init(&s, argv[2]);
            scenes[i].run(&s);
            EXPECT(!s.over);
            session_bye(&s);
            session_free(&s);
            return 0;
        }
    fail("usage: interop SCENE KEY-FILE, interop mistakes CLIENT-KEY WORKER-KEY ADMIN-KEY, interop vectors,\n"
         "interop make CERTIFICATE NAME KEY-FILE, interop known DIRECTORY CERTIFICATE, interop refused CERTIFICATE");
}
