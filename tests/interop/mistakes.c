/* SPDX-License-Identifier: MPL-2.0 */
/* mistakes.c - what chapter 11 of docs/protocol.md says happens to a peer that breaks a rule: a table of mistakes, each on a
 * connection of its own, while a well-behaved client goes on working. */
#include "notation.h"
#include "mistakes.h"

#include "scenes.h"

enum { PATIENCE_MS = 20000 };            /* only for what never comes */

static const char *key_of[3];      /* by port */
static struct names names;
static uint8_t digests['z' - 'a' + 1][32];

/* The documents that lines of the table name by a letter; the SHA-256 of each is named by the capital. */
static void names_make(void)
{
    for (size_t i = 0; i < 26; i++)
        if (name_lines[i]) {
            buffer b = { 0 };
            notation(name_lines[i], &names, &b);
            names.of[i] = (struct span){ (const uint8_t *)b.data, b.size };
            sha256(b.data, b.size, digests[i]);
            names.digest[i] = (struct span){ digests[i], 32 };
        }
}

static void fresh(void)
{
    static uint8_t random[2][16];
    static uint64_t number;
    uint64_t seed[2] = { (uint64_t)getpid() << 32 | ++number, (uint64_t)zclock_usecs() };
    for (int i = 0; i < 2; i++) {
        memcpy(random[i], seed, sizeof random[i]);
        random[i][15] ^= (uint8_t)(i + 1);
    }
    names.of['n' - 'a'] = (struct span){ random[0], 16 };
    names.of['i' - 'a'] = (struct span){ random[1], 16 };
}

/* Sends the frames of a line, which bars separate; a frame that begins with + belongs to the message of the one before. */
static void line_send(struct link *link, const char *line)
{
    while (*line) {
        size_t size = strcspn(line, "|");
        char one[1024];
        buffer b = { 0 };
        snprintf(one, sizeof one, "%.*s", (int)size, line);
        line += size + (line[size] == '|');
        notation(one, &names, &b);
        zframe_t *frame = zframe_new(b.data, b.size);
        zframe_send(&frame, link->socket, ZFRAME_DONTWAIT | (*line == '+' ? ZFRAME_MORE : 0));
        zframe_destroy(&frame);
        msgpack_sbuffer_destroy(&b);
        line += *line == '+';
    }
}

/* Waits for a frame of the type, with a code if a key for that is given; the others on the way are passed over. false: the
 * connection has ended, or nothing came. */
static bool wait_for(struct link *link, unsigned type, int code_key, struct frame *f, zframe_t **bytes)
{
    for (int64_t end = zclock_mono() + PATIENCE_MS; zclock_mono() < end && (*bytes = link_receive(link, PATIENCE_MS)) != NULL;) {
        if (frame_read(f, zframe_data(*bytes), zframe_size(*bytes))) {
            if (f->type == type && (code_key == 0 || field_signed(f->head, code_key) != 0))
                return true;
            frame_free(f);
        }
        zframe_destroy(bytes);
    }
    return false;
}

static void pass(struct link *link, unsigned type)
{
    struct frame f;
    zframe_t *bytes;
    if (!wait_for(link, type, 0, &f, &bytes))
        fail("no message of type %u before the mistake", type);
    frame_free(&f);
    zframe_destroy(&bytes);
}

static void begin(struct link *link, enum stage stage)
{
    static const char *const hello[] = { CLIENT_HELLO, WORKER_HELLO, ADMIN_HELLO };
    unsigned role = stage >= ADMIN_FIRST ? 2 : stage >= JOINING ? 1 : 0;
    fresh();
    link_open(link, key_of[role], link_endpoint(key_of[role], (int)role));
    if (!link_ready(link, 10000))
        fail("no handshake");
    if (stage == FIRST || stage == WORKER_FIRST || stage == ADMIN_FIRST)
        return;
    line_send(link, hello[role]);
    pass(link, WELCOME);
    if (stage == POOLED) {
        line_send(link, POOL_ONE);
        pass(link, POOL_STATE);
    } else if (stage == OPEN) {
        line_send(link, POOL_ONE "|" JOB_ONE);
        pass(link, JOB_STATE);
    } else if (stage == JOINED) {
        line_send(link, HOLDING_NOTHING);
    }
}

/* Every word, which bars separate, is in the text. */
static bool words_in(const char *words, const char *text)
{
    char list[200], *rest = list;
    snprintf(list, sizeof list, "%s", words);
    for (char *word; (word = strsep(&rest, "|")) != NULL;)
        if (!strcasestr(text, word))
            return false;
    return true;
}

/* The third element of the last frame is 9. */
static bool asks(const char *line)
{
    const char *last = strrchr(line, '|');
    unsigned type, channel, request;
    return sscanf(last ? last + 1 : line, "[%u %u %u", &type, &channel, &request) == 3 && request == 9;
}

/* The session goes on: a STATUS_GET is answered. The connection has ended: nothing more comes. */
static const char *after(struct link *link, enum answer answer)
{
    struct frame f;
    zframe_t *bytes;
    if (answer == CUT || answer == ENDS) {
        while ((bytes = link_receive(link, PATIENCE_MS)) != NULL)
            zframe_destroy(&bytes);
        return link->ended ? NULL : "the connection was not cut";
    }
    line_send(link, "[4 0 77 0 {1 5} <> <> <>]");
    for (bool pong = false; !pong;) {
        if (!wait_for(link, PONG, 0, &f, &bytes))
            return "the session has ended";
        pong = f.request == 77;
        frame_free(&f);
        zframe_destroy(&bytes);
    }
    return NULL;
}

static const struct { unsigned type; int code, text, field; } where[] = {
    [RESET_] = { RESET, 1, 2, 5 }, [CUT] = { ERROR_, 1, 2, 5 }, [ANSWERED] = { ERROR_, 1, 2, 5 }, [POOL_ENDS] = { POOL_STATE, 3,
        4, 6 },
    [JOB_ENDS] = { JOB_STATE, 3, 4, 5 }, [NONE_SUCH] = { BLOB_NONE, 0, 5, 0 }, [FENCED] = { 53, 0, 0, 0 },
    [TOLD] = { CANCELLED, 0, 0, 0 }, [SEEN] = { TASKS_SEEN, 0, 0, 0 }, [TAKEN] = { OUTPUT_TAKEN, 0, 0, 0 },
    [REFUSED_] = { OUTCOMES, 0, 0, 0 },
};

/* What an answer says: its code, if it has one, and its text, with the field or the stage. */
static int answer_read(const struct mistake *m, const struct frame *f, char *said, size_t size)
{
    int code = where[m->answer].code ? (int)field_signed(f->head, where[m->answer].code) : m->code;
    char text[TEXT] = "", field[256] = "";
    msgpack_unpacked u;
    msgpack_unpacked_init(&u);
    if (m->answer != REFUSED_) {
        field_text(f->head, where[m->answer].text, text, sizeof text);
        field_text(f->head, where[m->answer].field, field, sizeof field);
    } else if (msgpack_unpack_next(&u, (const char *)f->body.data, f->body.size, NULL) == MSGPACK_UNPACK_SUCCESS) {
        code = (int)field_signed(&u.data, 1);
        field_text(&u.data, 8, text, sizeof text);
        field_text(&u.data, 14, field, sizeof field);
    }
    msgpack_unpacked_destroy(&u);
    snprintf(said, size, "type %u request %u code %d field '%s': %s", f->type, f->request, code, field, text);
    return code;
}

static const char *answered(struct link *link, const struct mistake *m, char *said, size_t size)
{
    struct frame f;
    zframe_t *bytes;
    const char *wrong = NULL;
    if (!wait_for(link, where[m->answer].type, where[m->answer].code, &f, &bytes))
        return "no answer of that type came";
    if (answer_read(m, &f, said, size) != m->code || !words_in(m->words, said))
        wrong = "another code or text";
    else if (f.request != (m->answer != CUT && m->answer != FENCED && asks(m->line) ? 9 : 0))
        wrong = "another request";
    frame_free(&f);
    zframe_destroy(&bytes);
    return wrong;
}

/* NULL: as the table says. */
static const char *mistake_try(const struct mistake *m, char *said, size_t size)
{
    struct link link, older = { 0 };
    const char *wrong = NULL;
    begin(&link, m->stage == SECOND ? READY : m->stage);
    if (m->stage == SECOND) {                                   /* the same instance on a second connection */
        older = link;
        link_open(&link, key_of[0], NULL);
        link_ready(&link, 10000);
    }
    line_send(&link, m->line);
    said[0] = '\0';
    if (m->answer < IGNORED)
        wrong = answered(&link, m, said, size);
    if (!wrong && m->answer != RESET_)
        wrong = after(&link, m->answer);
    link_close(&link);
    if (older.socket)
        link_close(&older);
    return wrong;
}

/* A peer that announces a routing id has its connection ended by its first message. */
static const char *routing_id(void)
{
    struct link link;
    zcert_t *cert = zcert_load(key_of[0]);
    fresh();
    link_open(&link, key_of[0], "tcp://127.0.0.1:1");           /* nobody there: only the socket is wanted */
    zsock_set_identity(link.socket, "interop");
    link.ended = false;
    zsock_connect(link.socket, "%s", zcert_meta(cert, "broker"));
    zcert_destroy(&cert);
    for (int64_t end = zclock_mono() + 10000; !link.up && zclock_mono() < end; link.ended = false)
        link_ready(&link, 1000);
    line_send(&link, CLIENT_HELLO);
    zframe_t *bytes;
    bool welcome = false;
    while ((bytes = link_receive(&link, 5000)) != NULL) {
        welcome = true;
        zframe_destroy(&bytes);
    }
    const char *wrong = welcome ? "it was answered" : link.ended ? NULL : "the connection was not cut";
    link_close(&link);
    return wrong;
}

/* The mistakes of a table, one after the other; how many of them are answered otherwise. */
static unsigned table_try(const struct mistake *m, struct session *good, struct job *j)
{
    char said[2 * TEXT];
    unsigned broken = 0;
    for (; m->line; m++) {
        const char *wrong = mistake_try(m, said, sizeof said);
        if (wrong) {
            fprintf(stderr, "%s: %s\n    %s\n    it said: %s\n", m->name, wrong, m->line, said);
            broken++;
        }
        task_of(j, "s", "true");                                /* and the daemon goes on serving */
        settled(good, j);
        EXPECT(j->tasks[j->count - 1].kind == 0 && good->replays == 0);
    }
    return broken;
}

void mistakes(const char *key, const char *worker_key, const char *admin_key)
{
    static struct session good;
    key_of[0] = key;
    key_of[1] = worker_key;
    key_of[2] = admin_key;
    names_make();
    session_init(&good, key);
    one_pool(&good, 1);
    struct job *j = job_open(&good, 1, 1, 0, command(), (struct map){ 0 });
    unsigned broken = table_try(mistake_table, &good, j);
    broken += table_try(mistake_rest, &good, j);
    size_t count = j->count;
    const char *wrong = routing_id();
    if (wrong)
        fail("a routing id: %s", wrong);
    session_bye(&good);
    session_free(&good);
    for (size_t i = 0; i < 26; i++)
        if (name_lines[i])
            free((void *)(uintptr_t)names.of[i].data);
    printf("%zu mistakes\n", count + 1);
    if (broken > 0)
        fail("%u of %zu mistakes are answered otherwise", broken, count);
}
