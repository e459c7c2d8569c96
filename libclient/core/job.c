/* SPDX-License-Identifier: MPL-2.0
 * job.c - pools and jobs of a session, the batches that hold their tasks, settling.
 *
 * Invariants: batches are in index order and do not overlap; job.unsettled = sum of batch.left + elements of a map not yet cut; the
 * sum of batch.bytes over all jobs = session.bytes_held.
 */
#include "state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static uint64_t random_next(uint64_t *state)        /* splitmix64, Steele, Lea, Flood 2014 */
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

int session_pool_open(struct session *s, int32_t processes, struct buf *spec, const uint8_t digest[WIRE_DIGEST], const char *name,
                      void *user, struct session_pool **ret)
{
    struct session_pool *p = calloc(1, sizeof(*p));
    char *copy = strdup(name ? name : "");
    if (!p || !copy) {
        free(p);
        free(copy);
        buf_unref(&spec);
        return BFORK_ENOMEM;
    }
    p->s = s;
    p->user = user;
    p->handle = ++s->next_handle;
    p->processes = processes;
    p->spec = spec;
    memcpy(p->digest, digest, WIRE_DIGEST);
    p->name = copy;
    list_push_back(&s->pools, &p->node);
    *ret = p;
    return 0;
}

void session_pool_close(struct session_pool *p)
{
    struct session *s = p->s;
    for (LIST_EACH_SAFE(&s->jobs, n, after)) {
        struct session_job *j = LIST_ENTRY(n, struct session_job, node);
        if (j->pool == p)
            ses_job_free(j);
    }
    p->closing = true;
    p->user = NULL;
    if (s->state != SESSION_UP)
        ses_pool_gone(p);
}

/* Its close is said on the next connection, or once more if it may have been lost with this one: until the broker knows, its tasks
 * run and count against the quota. Of very many, the oldest are left to the broker, which drops what is not opened again. */
void ses_pool_gone(struct session_pool *p)
{
    struct session *s = p->s;
    if (p->refused || p->epoch != s->epoch) {
        ses_pool_free(p);
        return;
    }
    list_remove(&s->pools, &p->node);
    buf_unref(&p->spec);
    free(p->name);
    p->name = NULL;
    list_push_back(&s->closed, &p->node);
    p = LIST_ENTRY(list_first(&s->closed), struct session_pool, node);
    if (s->closed.count > SESSION_CLOSED && !p->closing) {
        list_remove(&s->closed, &p->node);
        ses_pool_free(p);
    }
}

/* Tasks that went out behind a close, or a ping, have been read. */
void ses_pools_heard(struct session *s, const struct wire_msg *m)
{
    uint64_t asked = m->type == WIRE_PONG && m->u.ping.stamp > UINT32_MAX ? m->u.ping.stamp : 0;
    for (LIST_EACH_SAFE(&s->closed, n, after)) {
        struct session_pool *p = LIST_ENTRY(n, struct session_pool, node);
        if (p->closing || (s->out_acked <= p->closed_out && asked <= p->closed_at))
            break;
        list_remove(&s->closed, n);
        ses_pool_free(p);
    }
}

void ses_pool_free(struct session_pool *p)
{
    if (list_in(&p->node))
        list_remove(&p->s->pools, &p->node);
    buf_unref(&p->spec);
    free(p->name);
    free(p->refused);
    free(p);
}

int session_job_open(struct session_pool *p, struct buf *spec, bool at_most_once, void *user, struct session_job **ret)
{
    struct session *s = p->s;
    struct session_job *j = calloc(1, sizeof(*j));
    if (!j || map_put(&s->handles, s->next_handle + 1, j) != 0) {
        free(j);
        buf_unref(&spec);
        return BFORK_ENOMEM;
    }
    j->s = s;
    j->pool = p;
    p->jobs++;
    j->user = user;
    j->handle = ++s->next_handle;
    for (size_t i = 0; i < WIRE_ID; i += 8) {
        uint64_t r = random_next(&s->random);
        memcpy(j->id + i, &r, 8);
    }
    j->spec = spec;
    j->at_most_once = at_most_once;
    list_init(&j->batches);
    list_init(&j->deferred);
    map_init(&j->printed);
    j->untold_from = UINT64_MAX;
    list_push_back(&s->jobs, &j->node);
    *ret = j;
    return 0;
}

void session_job_user(struct session_job *j, void *user)
{
    j->user = user;
}

void ses_job_dirty(struct session_job *j)
{
    if (!list_in(&j->dirty))
        list_push_back(&j->s->dirty, &j->dirty);
}

static void batch_free(struct session_job *j, struct batch *b)
{
    if (j->hint == b)
        j->hint = NULL;
    j->s->bytes_held -= b->bytes;
    list_remove(&j->batches, &b->node);
    buf_unref(&b->grow_body);
    buf_unref(&b->grow_lens);
    slice_unref(&b->body);
    slice_unref(&b->lens);
    free(b);
}

uint64_t ses_job_bytes(const struct batch *b, uint64_t first, uint64_t count)
{
    if (b->fixed)
        return count * b->size;
    const struct wire_item i = { .lens = b->open ? slice_borrow(b->grow_lens->data, b->grow_lens->size) : b->lens };
    uint64_t bytes = 4 * count;
    for (uint64_t k = first - b->first; count--; k++)
        bytes += wire_len_at(&i, (uint32_t)k);
    return bytes;
}

/* The quota of its tasks that are sent and not settled. */
static void batch_give_back(struct session_job *j, const struct batch *b)
{
    uint64_t end = j->epoch != j->s->epoch ? b->first : b->first + b->count < j->sent ? b->first + b->count : j->sent;
    for (uint64_t at = b->first; at < end;) {
        uint64_t from = ses_bits_next(&j->settled, at, end, false), to = ses_bits_next(&j->settled, from, end, true);
        if (from == end)
            break;
        j->s->quota_used_tasks -= to - from;
        j->s->quota_used_bytes -= ses_job_bytes(b, from, to - from);
        at = to;
    }
}

void ses_job_free(struct session_job *j)
{
    struct session *s = j->s;
    s->unsettled -= j->unsettled;
    s->settled_total += j->unsettled;
    while (!list_empty(&j->batches)) {
        struct batch *b = LIST_ENTRY(list_first(&j->batches), struct batch, node);
        batch_give_back(j, b);
        batch_free(j, b);
    }
    map_take(&s->handles, j->handle);
    if (list_in(&j->dirty))
        list_remove(&s->dirty, &j->dirty);
    list_remove(&s->jobs, &j->node);
    j->pool->jobs--;
    ses_said_free(j);
    free(j->settled.words);
    free(j->assigned.words);
    ses_cancel_done(j);
    map_free(&j->counts);
    slice_unref(&j->source);
    buf_unref(&j->spec);
    free(j->refused);
    free(j);
}

bool ses_job_finished(const struct session_job *j)
{
    return j->closed && j->unsettled == 0;
}

void ses_job_close_batch(struct batch *b)
{
    if (!b->open)
        return;
    b->open = false;
    b->body = slice_of(b->grow_body, 0, b->grow_body->size);
    b->grow_body = NULL;
    if (b->grow_lens)
        b->lens = slice_of(b->grow_lens, 0, b->grow_lens->size);
    b->grow_lens = NULL;
}

static struct batch *batch_open(struct session_job *j, size_t size)
{
    struct batch *b = calloc(1, sizeof(*b));
    struct buf *body = buf_new(size < 192 ? 256 : size + 64);
    if (!b || !body) {
        free(b);
        buf_unref(&body);
        return NULL;
    }
    b->first = j->next;
    b->open = b->fixed = true;
    b->size = (uint32_t)size;
    b->grow_body = body;
    list_push_back(&j->batches, &b->node);
    return b;
}

static void put_u32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
}

/* From here on this batch has a column of lengths. */
static int batch_unfix(struct session *s, struct batch *b)
{
    struct buf *lens = buf_new(4 * ((size_t)b->count + 16));
    if (!lens)
        return BFORK_ENOMEM;
    for (uint32_t i = 0; i < b->count; i++)
        put_u32(lens->data + 4 * (size_t)i, b->size);
    lens->size = 4 * (size_t)b->count;
    b->grow_lens = lens;
    b->fixed = false;
    b->bytes += lens->size;
    s->bytes_held += lens->size;
    return 0;
}

uint8_t *session_task_reserve(struct session_job *j, size_t size, uint64_t *ret_index)
{
    struct session *s = j->s;
    assert(!j->closed && size <= WIRE_TASK_MAX && !j->source.size);
    struct list_node *last = list_last(&j->batches);
    struct batch *b = last ? LIST_ENTRY(last, struct batch, node) : NULL;
    if (b && b->open && (b->grow_body->size + size > WIRE_BATCH || b->count >= WIRE_BATCH_TASKS))
        ses_job_close_batch(b);
    if (ses_bits_reserve(&j->settled, j->next + 1) != 0)
        return NULL;
    if (!b || !b->open) {
        if (!(b = batch_open(j, size)))
            return NULL;
    } else if (b->fixed && b->size != size && batch_unfix(s, b) != 0) {
        return NULL;
    }
    if ((!b->fixed && buf_reserve(&b->grow_lens, 4) != 0) || buf_reserve(&b->grow_body, size) != 0) {
        if (b->count == 0)
            batch_free(j, b);
        return NULL;
    }
    uint8_t *at = b->grow_body->data + b->grow_body->size;
    b->grow_body->size += size;
    uint64_t bytes = size;
    if (!b->fixed) {
        put_u32(b->grow_lens->data + b->grow_lens->size, (uint32_t)size);
        b->grow_lens->size += 4;
        bytes += 4;
    }
    b->bytes += bytes;
    s->bytes_held += bytes;
    b->count++;
    b->left++;
    *ret_index = j->next++;
    j->unsettled++;
    s->unsettled++;
    s->tasks++;
    ses_job_dirty(j);
    return at;
}

int session_task_add(struct session_job *j, const void *args, size_t size, uint64_t *ret_index)
{
    uint8_t *at = session_task_reserve(j, size, ret_index);
    if (!at)
        return BFORK_ENOMEM;
    if (size)
        memcpy(at, args, size);
    return 0;
}

int session_map_add(struct session_job *j, struct slice in, uint32_t size, uint64_t n)
{
    assert(!j->closed && j->next == 0);
    int rc = ses_bits_reserve(&j->settled, n);
    if (rc != 0)
        return rc;
    j->source = slice_ref(in);
    j->source_size = size;
    j->source_n = n;
    j->next = n;
    j->unsettled += n;
    j->s->unsettled += n;
    j->s->tasks += n;
    ses_job_dirty(j);
    return 0;
}

/* The next batch of a map. NULL: out of memory (tried again at the next flush). */
struct batch *ses_job_cut_source(struct session_job *j)
{
    uint64_t n = j->source_size ? WIRE_BATCH / j->source_size : WIRE_BATCH_TASKS, left = j->source_n - j->source_next;
    n = n == 0 ? 1 : n > WIRE_BATCH_TASKS ? WIRE_BATCH_TASKS : n;
    n = n < left ? n : left;
    struct batch *b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    b->first = j->source_next;
    b->count = b->left = (uint32_t)n;
    b->fixed = true;
    b->size = j->source_size;
    b->body = slice_ref(slice_part(j->source, (size_t)(b->first * b->size), (size_t)(n * b->size)));
    b->bytes = n * b->size;
    j->s->bytes_held += b->bytes;
    j->source_next += n;
    list_push_back(&j->batches, &b->node);
    return b;
}

void session_job_abandon(struct session_job *j)
{
    struct session *s = j->s;
    j->user = NULL;
    j->abandoned = true;
    session_job_close(j);
    uint64_t rest = j->source_n - j->source_next;       /* never cut: never sent */
    if (rest) {
        ses_bits_set(&j->settled, j->source_next, rest);
        j->source_next = j->source_n;
        j->unsettled -= rest;
        s->unsettled -= rest;
        s->settled_total += rest;
    }
    if (j->epoch == s->epoch && j->sent)
        (void)session_cancel(j, 0, j->sent);    /* without memory for that they run, and nobody is told */
    ses_job_drop(j, j->epoch == s->epoch ? j->sent : 0);
    for (LIST_EACH(&j->batches, n)) {
        struct batch *b = LIST_ENTRY(n, struct batch, node);
        slice_unref(&b->body);
    }
    slice_unref(&j->source);
}

void session_job_close(struct session_job *j)
{
    if (j->closed)
        return;
    j->closed = true;
    ses_job_dirty(j);
}

struct batch *ses_job_batch(struct session_job *j, uint64_t index)
{
    struct list_node *n = j->hint ? &j->hint->node : list_first(&j->batches);
    if (j->hint && j->hint->first > index)
        n = list_first(&j->batches);
    for (; n && n != &j->batches.head; n = n->next) {
        struct batch *b = LIST_ENTRY(n, struct batch, node);
        if (index < b->first)
            return NULL;
        if (index < b->first + b->count)
            return j->hint = b;
    }
    return NULL;
}

void ses_job_drop(struct session_job *j, uint64_t first)
{
    struct session *s = j->s;
    for (uint64_t at = first; at < j->next;) {
        uint64_t from = ses_bits_next(&j->settled, at, j->next, false), to = ses_bits_next(&j->settled, from, j->next, true);
        if (from == j->next)
            break;
        ses_job_settle(j, from, to - from);
        j->unsettled -= to - from;
        s->unsettled -= to - from;
        s->settled_total += to - from;
        at = to;
    }
    ses_job_dirty(j);
}

/* Marks unsettled tasks [first, first + count), which are all in batches, as settled. */
void ses_job_settle(struct session_job *j, uint64_t first, uint64_t count)
{
    struct session *s = j->s;
    ses_bits_set(&j->settled, first, count);
    ses_counts_settled(j, first, count);
    ses_said_settled(j, first, count);
    while (count) {
        struct batch *b = ses_job_batch(j, first);
        assert(b);
        uint64_t n = b->first + b->count - first;
        n = n < count ? n : count;
        if (first < j->sent && j->epoch == s->epoch) {
            uint64_t sent = j->sent - first < n ? j->sent - first : n;
            s->quota_used_tasks -= sent;
            s->quota_used_bytes -= ses_job_bytes(b, first, sent);
        }
        b->left -= (uint32_t)n;
        first += n;
        count -= n;
        if (b->left == 0)
            batch_free(j, b);
    }
    const struct list_node *head = list_first(&j->batches);
    uint64_t below = head ? LIST_ENTRY(head, struct batch, node)->first : j->source_n ? j->source_next : j->next;
    ses_bits_drop(&j->settled, below);
    ses_bits_drop(&j->cancelled, below);
    ses_bits_drop(&j->told, below);
}
