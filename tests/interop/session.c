/* SPDX-License-Identifier: MPL-2.0 */
/* session.c - connections of a session: HELLO, heartbeats, windows, and what is said again after a cut or a restart. */
#include "session.h"

void session_init(struct session *s, const char *key_file)
{
    *s = (struct session){ .key_file = key_file, .own_window = 1 << 20 };
    FILE *random = fopen("/dev/urandom", "rb");
    if (!random || fread(s->instance, 1, sizeof s->instance, random) != sizeof s->instance)
        fail("/dev/urandom cannot be read");
    fclose(random);
    s->admin = strlen(key_file) > 9 && strcmp(key_file + strlen(key_file) - 9, "admin.key") == 0;
    session_connect(s);
}

void session_free(struct session *s)
{
    link_close(&s->link);
    for (struct pool *p = s->pools; p < s->pools + POOLS; p++) {
        msgpack_sbuffer_destroy(&p->spec);
        msgpack_sbuffer_destroy(&p->program);
    }
    for (struct job *j = s->jobs; j < s->jobs + JOBS; j++) {
        msgpack_sbuffer_destroy(&j->spec);
        for (size_t i = 0; i < j->count; i++) {
            msgpack_sbuffer_destroy(&j->tasks[i].args);
            msgpack_sbuffer_destroy(&j->tasks[i].result);
        }
        free(j->tasks);
    }
    msgpack_sbuffer_destroy(&s->status);
    msgpack_sbuffer_destroy(&s->output);
}

/* Windows are of items: pieces of blobs do not count. */
static uint64_t counted(const struct message *m)
{
    return m->type == TASKS ? m->lengths.size + m->body.size : 0;
}

void session_send(struct session *s, struct message *m)
{
    s->sent += counted(m);
    if (s->sent - s->peer_acked > s->most_out)
        s->most_out = s->sent - s->peer_acked;
    buffer bytes = { 0 };
    message_finish(m, s->consumed, &bytes);
    if (link_send(&s->link, &bytes)) {
        s->sent_at = zclock_mono();
        s->told = s->consumed;
    }
}

/* A new socket, the handshake, and HELLO as the first message. */
void session_connect(struct session *s)
{
    s->conn_no++;
    s->welcome = false;
    s->sent = s->peer_acked = s->consumed = s->told = 0;
    link_open(&s->link, s->key_file, s->admin ? link_endpoint(s->key_file, 2) : NULL);
    if (!link_ready(&s->link, 3000)) {
        link_close(&s->link);
        return;
    }
    s->heard_at = zclock_mono();
    struct message m = { .type = HELLO };
    map_number(&m.head, 1, 1);
    map_number(&m.head, 2, 1);
    map_number(&m.head, 3, s->admin ? 3 : 1);
    map_text(&m.head, 4, "interop 1");
    map_text(&m.head, 5, "interop");
    map_bytes(&m.head, 6, s->instance, sizeof s->instance);
    map_number(&m.head, 8, s->conn_no);
    map_number(&m.head, 9, s->epoch);
    map_number(&m.head, 11, s->own_window);
    map_number(&m.head, 14, (uint64_t)getpid());
    map_number(&m.head, 16, 1);
    session_send(s, &m);
}

void session_cut(struct session *s)
{
    link_close(&s->link);
}

void session_bye(struct session *s)
{
    struct message m = { .type = BYE };
    map_text(&m.head, 2, "done");
    msgpack_packer p;
    msgpack_packer_init(&p, &m.head.bytes, msgpack_sbuffer_write);      /* code is required, also when it is 0 */
    msgpack_pack_int(&p, 1);
    msgpack_pack_int(&p, 0);
    m.head.count++;
    session_send(s, &m);
    s->no_reconnect = true;
    for (int64_t end = zclock_mono() + 5000; !s->link.ended && zclock_mono() < end;)
        session_turn(s, 100);
    link_close(&s->link);
}

static void pool_say(struct session *s, struct pool *p)
{
    struct message m = { .type = POOL_OPEN };
    uint8_t digest[32];
    sha256(p->spec.data, p->spec.size, digest);
    map_number(&m.head, 1, p->handle);
    map_signed(&m.head, 2, p->processes);
    map_bytes(&m.head, 3, digest, sizeof digest);
    map_bytes(&m.head, 4, p->spec.data, p->spec.size);
    map_text(&m.head, 5, "interop");
    session_send(s, &m);
}

void job_say(struct session *s, struct job *j)
{
    struct message m = { .type = JOB_OPEN, .request = j->asked = ++s->requests };
    map_number(&m.head, 1, j->handle);
    map_number(&m.head, 2, j->pool);
    map_bytes(&m.head, 3, j->id, sizeof j->id);
    map_number(&m.head, 4, j->seq);
    map_bytes(&m.head, 5, j->spec.data, j->spec.size);
    session_send(s, &m);
    j->acked = j->seq;
    j->open = j->close_said = false;
    for (struct cancel *c = j->cancels; c < j->cancels + CANCELS; c++)
        c->said = false;
}

/* same: the broker still knows this session; else everything without an outcome is sent anew, marked as what may have been
 * there. */
void session_replay(struct session *s, bool same)
{
    for (struct pool *p = s->pools; p < s->pools + POOLS; p++)
        if (p->handle != 0 && !p->ended)
            pool_say(s, p);
    if (!same)
        s->said = s->taken = s->said_bytes = 0;
    for (struct job *j = s->jobs; j < s->jobs + JOBS; j++) {
        if (j->handle == 0 || j->refused || (j->closed && job_settled(j)))
            continue;
        if (!same) {
            j->seq = 0;
            for (size_t i = 0; i < j->count; i++)
                j->tasks[i].old |= j->tasks[i].sent;
            s->replays++;
        }
        job_say(s, j);
    }
}

struct pool *pool_open(struct session *s, uint32_t handle, int processes, struct map spec)
{
    struct pool *p = s->pools;
    while (p->handle != 0 && p->handle != handle)
        p++;
    p->handle = handle;
    p->processes = processes;
    msgpack_sbuffer_destroy(&p->spec);
    p->spec = (buffer){ 0 };
    map_finish(&spec, &p->spec);
    if (s->welcome)
        pool_say(s, p);
    return p;
}

struct job *job_open(struct session *s, uint32_t handle, uint32_t pool, int kind, struct map fn, struct map spec)
{
    struct job *j = s->jobs;
    while (j->handle != 0)
        j++;
    *j = (struct job){ .handle = handle, .pool = pool, .fixed = kind == 1 };
    memcpy(j->id, s->instance, sizeof j->id);
    for (int i = 0; i < 4; i++)
        j->id[i] ^= (uint8_t)(handle >> (8 * i));
    buffer function = { 0 };
    map_finish(&fn, &function);
    struct map all = { 0 };
    msgpack_packer p;
    msgpack_packer_init(&p, &all.bytes, msgpack_sbuffer_write); /* kind is required, also when it is 0 */
    msgpack_pack_int(&p, 1);
    msgpack_pack_int(&p, kind);
    all.count = 1;
    map_bytes(&all, 2, function.data, function.size);
    msgpack_sbuffer_destroy(&function);
    bytes_put(&all.bytes, spec.bytes.data, spec.bytes.size);
    all.count += spec.count;
    msgpack_sbuffer_destroy(&spec.bytes);
    map_finish(&all, &j->spec);
    if (s->welcome)
        job_say(s, j);
    return j;
}

struct task *task_add(struct job *j, const void *args, size_t size)
{
    j->tasks = realloc(j->tasks, (j->count + 1) * sizeof *j->tasks);
    if (!j->tasks)
        fail("no memory");
    struct task *t = &j->tasks[j->count++];
    *t = (struct task){ 0 };
    bytes_put(&t->args, args, size);
    return t;
}

/* One message of consecutive tasks that go out alike; the first of them is next. */
static void batch_send(struct session *s, struct job *j, size_t end)
{
    struct task *t = &j->tasks[j->next];
    struct message m = { .type = TASKS };
    uint32_t flags = (j->fixed ? FIXED : 0) | (t->old || t->lost ? REPLAY : 0) | (t->started ? MAYBE_STARTED : 0);
    size_t size = 0, count = end - j->next;
    for (size_t i = j->next; i < end; i++) {
        struct task *u = &j->tasks[i];
        if (!j->fixed)
            number_put(&m.lengths, u->args.size, 4);
        bytes_put(&m.body, u->args.data, u->args.size);
        size += u->args.size;
        u->sent = true;
        u->lost = u->kept_back = false;
    }
    number_put(&m.records, j->handle, 4);
    number_put(&m.records, count, 4);
    number_put(&m.records, j->next, 8);
    number_put(&m.records, flags, 4);
    number_put(&m.records, j->fixed ? t->args.size : size, 4);
    number_put(&m.records, t->tries, 2);
    number_put(&m.records, t->crashes, 2);
    session_send(s, &m);
    j->next = end;
}

static bool alike(const struct task *a, const struct task *b)
{
    return a->old == b->old && a->lost == b->lost && a->started == b->started && a->tries == b->tries && a->crashes == b->crashes;
}

static bool to_send(const struct job *j, const struct task *t)
{
    return !t->settled && !t->kept_back && (t->lost || (size_t)(t - j->tasks) >= j->told_next);
}

/* Sends of a job what fits; false: the window is full. */
static bool job_send(struct session *s, struct job *j)
{
    while (j->open && j->next < j->count) {
        if (!to_send(j, &j->tasks[j->next])) {
            j->next++;
            continue;
        }
        size_t end = j->next, bytes = 0;
        while (end < j->count && end - j->next < 1000 && bytes < 256 << 10 && to_send(j, &j->tasks[end]) &&
               alike(&j->tasks[end], &j->tasks[j->next]))
            bytes += j->tasks[end++].args.size + (j->fixed ? 0 : 4);
        if (end > j->next + 1 && bytes > 256 << 10)
            bytes -= j->tasks[--end].args.size + (j->fixed ? 0 : 4);
        uint64_t out = s->sent - s->peer_acked;
        if (out > 0 && out + bytes > s->window)
            return false;
        batch_send(s, j, end);
    }
    return true;
}

static uint32_t cancel_say(struct session *s, const struct job *j, const struct cancel *c, bool ask)
{
    struct message m = { .type = CANCEL, .request = ask ? ++s->requests : 0 };
    uint32_t request = m.request;
    number_put(&m.records, j->handle, 4);
    number_put(&m.records, c->end - c->first, 4);
    number_put(&m.records, c->first, 8);
    number_put(&m.records, (uint64_t)c->why, 1);
    session_send(s, &m);
    return request;
}

void job_close_again(struct session *s, struct job *j)
{
    struct message m = { .type = JOB_CLOSE };
    map_number(&m.head, 1, j->handle);
    session_send(s, &m);
    j->close_said = true;
}

static bool unsettled(const struct job *j, uint64_t first, uint64_t end)
{
    while (first < end && j->tasks[first].settled)
        first++;
    return first < end;
}

/* Behind the tasks: cancels that name them and nothing that was not sent, and that there are no more. */
static void job_behind(struct session *s, struct job *j)
{
    for (struct cancel *c = j->cancels; c < j->cancels + CANCELS; c++)
        if (j->open && !c->said && j->next >= c->end && unsettled(j, c->first, c->end)) {
            cancel_say(s, j, c, false);
            c->said = true;
        }
    if (j->open && j->closed && !j->close_said && j->next == j->count)
        job_close_again(s, j);
}

void session_tasks(struct session *s)
{
    for (struct job *j = s->jobs; j < s->jobs + JOBS; j++)
        if (j->handle != 0 && !j->refused) {
            if (!job_send(s, j))
                return;
            job_behind(s, j);
        }
}

void job_close(struct session *s, struct job *j)
{
    j->closed = true;
    job_behind(s, j);
}

bool job_settled(const struct job *j)
{
    return j->done == j->count;
}

uint32_t cancel(struct session *s, struct job *j, uint64_t first, uint32_t count, int why, bool ask)
{
    struct cancel *c = j->cancels;
    while (c < j->cancels + CANCELS && unsettled(j, c->first, c->end))
        c++;
    if (c == j->cancels + CANCELS)
        fail("more than %d cancels of job %u at a time", CANCELS, j->handle);
    *c = (struct cancel){ first, count == 0 ? j->count : first + count, why, true };
    return cancel_say(s, j, c, ask);
}

void look(struct session *s, struct job *j, uint64_t first, uint32_t count)
{
    struct message m = { .type = TASKS_LOOK };
    number_put(&m.records, j->handle, 4);
    number_put(&m.records, count, 4);
    number_put(&m.records, first, 8);
    session_send(s, &m);
}

static void ping(struct session *s)
{
    struct message m = { .type = PING };
    map_number(&m.head, 1, (uint64_t)zclock_mono());
    session_send(s, &m);
}

/* OUTCOMES_ACK for every job that has news, all in one message. */
static void acks_send(struct session *s)
{
    struct message m = { .type = OUTCOMES_ACK };
    for (struct job *j = s->jobs; j < s->jobs + JOBS; j++)
        if (j->handle != 0 && j->open && j->seq > j->acked) {
            number_put(&m.records, j->seq, 8);
            number_put(&m.records, j->handle, 4);
            j->acked = j->seq;
        }
    s->ack_due = 0;
    if (m.records.size > 0)
        session_send(s, &m);
    if (s->said > s->taken && !s->keep_output) {
        struct message taken = { .type = OUTPUT_ACK };
        map_number(&taken.head, 1, s->taken = s->said);
        s->said_bytes = 0;
        session_send(s, &taken);
    }
}

static void session_due(struct session *s)
{
    int64_t now = zclock_mono();
    if (s->ack_due != 0 && now >= s->ack_due)
        acks_send(s);
    session_tasks(s);
    if (s->consumed - s->told >= s->own_window / 4 || now - s->sent_at >= s->heartbeat_ms)
        ping(s);
    if (now - s->heard_at > s->lease_ms + s->heartbeat_ms)      /* it was pinged meanwhile */
        link_close(&s->link);
}

void session_turn(struct session *s, int limit_ms)
{
    if (s->link.ended && !link_left(&s->link)) {
        if (s->no_reconnect)
            return;
        link_close(&s->link);
        zclock_sleep(50 + (int)((s->conn_no * 7919 + (uint64_t)getpid()) % 200));
        session_connect(s);
        return;
    }
    zframe_t *bytes = link_receive(&s->link, limit_ms);
    if (bytes) {
        struct frame f;
        if (!frame_read(&f, zframe_data(bytes), zframe_size(bytes)))
            fail("the broker has sent a frame of %zu bytes that is none", zframe_size(bytes));
        s->heard_at = zclock_mono();
        s->peer_acked = f.ack > s->peer_acked ? f.ack : s->peer_acked;
        s->consumed += f.type == OUTCOMES || f.type == OUTPUT ? f.lengths.size + f.body.size : 0;
        session_handle(s, &f);
        frame_free(&f);
        zframe_destroy(&bytes);
    }
    if (s->welcome && !s->link.ended && !s->over)
        session_due(s);
}
