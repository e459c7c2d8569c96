/* SPDX-License-Identifier: MPL-2.0 */
/* handle.c - what a client does with each message of the broker. */
#include "session.h"

static struct job *job_of(struct session *s, uint32_t handle)
{
    for (struct job *j = s->jobs; j < s->jobs + JOBS; j++)
        if (j->handle == handle && handle != 0)
            return j;
    fail("the broker speaks of job %u, which there is not", handle);
}

static void welcome(struct session *s, const msgpack_object *head)
{
    uint64_t epoch = field_number(head, 3);
    s->heartbeat_ms = (unsigned)field_number(head, 4);
    s->lease_ms = (unsigned)field_number(head, 5);
    s->window = field_number(head, 7);
    s->quota_bytes = field_number(head, 8);
    s->quota_tasks = field_number(head, 9);
    s->owner_quota_tasks = field_number(head, 21);
    s->resumed = field_number(head, 11) != 0;
    s->features = field_number(head, 12);
    s->frame_max = (unsigned)field_number(head, 13);
    s->detach_ms = (unsigned)field_number(head, 22);
    s->welcome = true;
    s->connections++;
    bool same = epoch == s->epoch && s->resumed;
    if (epoch == s->epoch && !s->resumed && s->connections > 1)
        fprintf(stderr, "the broker does not know this session any more\n");
    s->epoch = epoch;
    session_replay(s, same || s->connections == 1);
}

static void pool_state(struct session *s, const msgpack_object *head)
{
    for (struct pool *p = s->pools; p < s->pools + POOLS; p++)
        if (p->handle == field_number(head, 1)) {
            p->slots = (unsigned)field_number(head, 2);
            p->code = (int)field_signed(head, 3);
            p->ended = field_number(head, 5) != 0;
            p->states++;
            field_text(head, 4, p->text, sizeof p->text);
            field_text(head, 6, p->field, sizeof p->field);
            return;
        }
    fail("POOL_STATE of pool %u, which there is not", (unsigned)field_number(head, 1));
}

/* The broker has put off tasks of the job, and has room for them now: it is asked how far it got. */
static void asked_back(struct session *s, struct job *j)
{
    s->asked_back++;
    if (j->closed && job_settled(j))                            /* nothing is left to be sent */
        job_close_again(s, j);
    else
        job_say(s, j);
}

static void job_state(struct session *s, const struct frame *f)
{
    struct job *j = job_of(s, (uint32_t)field_number(f->head, 1));
    j->code = (int)field_signed(f->head, 3);
    field_text(f->head, 4, j->text, sizeof j->text);
    field_text(f->head, 5, j->field, sizeof j->field);
    if (j->code < 0) {
        j->refused = true;
        return;
    }
    if (f->request == 0) {
        asked_back(s, j);
        return;
    }
    if (j->open || f->request != j->asked)
        fail("JOB_STATE answers request %u, which job %u did not ask", f->request, j->handle);
    j->told_next = field_number(f->head, 2);
    j->next = 0;
    j->open = true;                                             /* the tasks go out at the end of this turn */
}

/* The first outcome of a task counts. */
static void settle(struct session *s, struct job *j, uint64_t index, int kind, uint64_t attempt, struct span bytes)
{
    if (index >= j->count)
        fail("an outcome of task %llu, which there is not", (unsigned long long)index);
    struct task *t = &j->tasks[index];
    t->outcomes++;
    if (t->settled) {
        s->repeated++;
        return;
    }
    s->early += index >= j->next;
    t->settled = true;
    j->done++;
    t->kind = kind;
    t->attempt = attempt;
    bytes_put(&t->result, bytes.data, bytes.size);
}

static void outcomes(struct session *s, const struct frame *f)
{
    struct cursor at = { 0 };
    const uint8_t *r;
    for (size_t k = 0; (r = frame_record(f, k, 41)) != NULL; k++) {
        struct item item = { (uint32_t)number_get(r + 12, 4), (uint32_t)number_get(r + 24, 4), (uint32_t)number_get(r + 28, 4),
            r[40] };
        struct job *j = job_of(s, (uint32_t)number_get(r + 8, 4));
        uint64_t seq = number_get(r, 8), first = number_get(r + 16, 8), stride = field_number(f->head, 64);
        uint64_t attempt = stride >= 49 ? number_get(r + 41, 8) : 0;
        if (seq > j->seq + 1)
            fail("outcome %llu came behind outcome %llu", (unsigned long long)seq, (unsigned long long)j->seq);
        j->seq = seq > j->seq ? seq : j->seq;
        int kind = 0;
        struct cursor begin = at;
        if (!item_next(f, &item, &at))
            fail("an item of OUTCOMES does not fit");
        if (item.kind == 1) {
            msgpack_unpacked u;
            msgpack_unpacked_init(&u);
            if (msgpack_unpack_next(&u, (const char *)f->body.data + begin.body, item.size, NULL) != MSGPACK_UNPACK_SUCCESS)
                fail("a document outcome that is none");
            kind = (int)field_signed(&u.data, 1);
            msgpack_unpacked_destroy(&u);
        }
        for (uint32_t i = 0; i < item.count; i++)
            settle(s, j, first + i, kind, attempt, item_task(f, &item, begin, i));
    }
    if (at.body != f->body.size || at.length != f->lengths.size)
        fail("bytes are left over in OUTCOMES");
    if (s->ack_due == 0)
        s->ack_due = zclock_mono() + 50;
}

/* The client is the one that remembers: first note, then answer. */
static void assigned(struct session *s, const struct frame *f)
{
    struct message m = { .type = ASSIGNED_OK };
    const uint8_t *r;
    for (size_t k = 0; (r = frame_record(f, k, 28)) != NULL; k++) {
        struct job *j = job_of(s, (uint32_t)number_get(r + 8, 4));
        uint64_t first = number_get(r + 16, 8), count = number_get(r + 12, 4);
        for (uint64_t i = first; i < first + count && i < j->count; i++) {
            j->tasks[i].started = true;
            j->tasks[i].tries = (uint16_t)number_get(r + 24, 2);
            j->tasks[i].crashes = (uint16_t)number_get(r + 26, 2);
        }
        j->assigned += (unsigned)count;
        bytes_put(&m.records, r, 24);
    }
    session_send(s, &m);
}

static void tries(struct session *s, const struct frame *f)
{
    const uint8_t *r;
    for (size_t k = 0; (r = frame_record(f, k, 20)) != NULL; k++) {
        struct job *j = job_of(s, (uint32_t)number_get(r, 4));
        uint64_t first = number_get(r + 8, 8), count = number_get(r + 4, 4);
        for (uint64_t i = first; i < first + count && i < j->count; i++) {
            j->tasks[i].tries = (uint16_t)number_get(r + 16, 2);
            j->tasks[i].crashes = (uint16_t)number_get(r + 18, 2);
        }
        j->tries_told++;
    }
}

/* Nobody has these: they are sent once more. */
static void tasks_seen(struct session *s, const struct frame *f)
{
    const uint8_t *r;
    for (size_t k = 0; (r = frame_record(f, k, 17)) != NULL; k++) {
        struct job *j = job_of(s, (uint32_t)number_get(r, 4));
        uint64_t first = number_get(r + 8, 8), count = number_get(r + 4, 4);
        s->seen_to = first + count;
        for (uint64_t i = first; r[16] == 1 && i < first + count && i < j->count; i++)
            if (!j->tasks[i].settled) {
                j->tasks[i].lost = true;
                j->tasks[i].kept_back = false;
                j->next = j->next > i ? i : j->next;
            }
    }
}

static void blob_get(struct session *s, const struct frame *f)
{
    struct span digest = field_bytes(f->head, 1);
    uint64_t offset = field_number(f->head, 2), size = field_number(f->head, 4);
    struct message m = { .type = BLOB_NONE, .request = f->request };
    map_bytes(&m.head, 1, digest.data, digest.size);
    for (struct pool *p = s->pools; p < s->pools + POOLS; p++)
        if (p->handle != 0 && p->program.size > offset && digest.size == 32 && memcmp(p->program_digest, digest.data, 32) == 0) {
            uint64_t left = p->program.size - offset;
            size = size == 0 || size > left ? left : size;
            size = size > 1 << 20 ? 1 << 20 : size;
            size = s->piece != 0 && size > s->piece ? s->piece : size;
            m.type = BLOB_PIECE;
            map_number(&m.head, 2, offset);
            map_number(&m.head, 3, p->program.size);
            bytes_put(&m.body, p->program.data + offset, size);
            s->pieces++;
            s->blob_bytes += (unsigned)size;
            session_send(s, &m);
            return;
        }
    map_text(&m.head, 5, "this client has no such program");
    s->nones++;
    session_send(s, &m);
}

/* Pieces come by their numbers, those that were not taken once more after a cut; each stream of a task without a gap, and before
 * the task's outcome. */
static void output(struct session *s, const struct frame *f)
{
    struct cursor at = { 0 };
    const uint8_t *r;
    s->outputs++;
    for (size_t k = 0; (r = frame_record(f, k, 63)) != NULL; k++) {
        struct item item = { .count = (uint32_t)number_get(r + 20, 4), .flags = (uint32_t)number_get(r + 40, 4),
                             .size = (uint32_t)number_get(r + 44, 4) };
        uint64_t seq = number_get(r + 8, 8), index = number_get(r + 24, 8), offset = number_get(r + 32, 8);
        struct job *j = job_of(s, (uint32_t)number_get(r + 16, 4));
        struct span bytes = item_task(f, &item, at, 0);
        if (item.count != 1 || !(item.flags & FIXED) || !item_next(f, &item, &at) || r[54] < 1 || r[54] > 2 || index >= j->count)
            fail("a piece of output that is none");
        if (seq <= s->said) {
            s->outputs_again++;
            continue;
        }
        struct task *t = &j->tasks[index];
        if (t->printed_by != number_get(r, 8) || t->printed_try != number_get(r + 52, 2))
            t->printed[0] = t->printed[1] = 0;                  /* it runs again */
        if (seq != s->said + 1 || offset != t->printed[r[54] - 1] || t->settled)
            fail("piece %llu behind %llu, at %llu behind %llu", (unsigned long long)seq, (unsigned long long)s->said,
                 (unsigned long long)offset, (unsigned long long)t->printed[r[54] - 1]);
        t->printed[r[54] - 1] += bytes.size;
        t->printed_by = number_get(r, 8);
        t->printed_try = (unsigned)number_get(r + 52, 2);
        t->limit = item.flags & CUT_OFF ? number_get(r + 55, 8) : 0;
        s->said = seq;
        s->said_bytes += bytes.size + PIECE_COST;
        bytes_put(&s->output, bytes.data, bytes.size);
    }
    if (at.body != f->body.size)
        fail("bytes are left over in OUTPUT");
    if (s->ack_due == 0)
        s->ack_due = zclock_mono() + 50;
}

static void answer(struct session *s, const struct frame *f)
{
    s->answered = f->request;
    s->answer_code = (int)field_signed(f->head, 1);
    field_text(f->head, 2, s->answer_text, sizeof s->answer_text);
    field_text(f->head, 5, s->answer_field, sizeof s->answer_field);
    if (f->request == 0)
        s->over = true;
}

static void other(struct session *s, const struct frame *f)
{
    struct message m = { .type = PONG, .request = f->request };
    struct span json = field_bytes(f->head, 1);
    switch (f->type) {
    case PING:
        map_number(&m.head, 1, field_number(f->head, 1));
        session_send(s, &m);
        break;
    case PONG:
        s->pongs++;
        break;
    case STATUS:
        s->answered = f->request;
        s->status.size = 0;
        bytes_put(&s->status, json.data, json.size);
        break;
    case CANCELLED:
        s->answered = f->request;
        s->cancelled = field_number(f->head, 1);
        s->running = field_number(f->head, 2);
        s->done = field_number(f->head, 3);
        break;
    case OUTPUT:
        output(s, f);
        break;
    case RESET:
    case BYE:
        link_close(&s->link);                                   /* says HELLO in a new one */
        break;
    default:
        fail("the broker has sent a message of type %u", f->type);
    }
}

void session_handle(struct session *s, const struct frame *f)
{
    switch (f->type) {
    case WELCOME:
        welcome(s, f->head);
        break;
    case ERROR_:
        answer(s, f);
        break;
    case POOL_STATE:
        pool_state(s, f->head);
        break;
    case JOB_STATE:
        job_state(s, f);
        break;
    case OUTCOMES:
        outcomes(s, f);
        break;
    case ASSIGNED:
        assigned(s, f);
        break;
    case TRIES:
        tries(s, f);
        break;
    case TASKS_SEEN:
        tasks_seen(s, f);
        break;
    case BLOB_GET:
        blob_get(s, f);
        break;
    default:
        other(s, f);
    }
}
