/* SPDX-License-Identifier: MPL-2.0 */
/* scenes.c - functions, arguments and results (chapters 3, 6, 10 and 15 of docs/protocol.md). */
#include "scenes.h"

struct map command(void)
{
    struct map fn = { 0 };
    map_number(&fn, 1, 3);
    return fn;
}

struct map symbol(const char *name)
{
    struct map fn = { 0 };
    map_number(&fn, 1, 2);
    map_text(&fn, 3, getenv("INTEROP_TASKS"));
    map_text(&fn, 6, name);
    return fn;
}

static void args_list(buffer *to, const char *format, va_list list)
{
    msgpack_packer p;
    msgpack_packer_init(&p, to, msgpack_sbuffer_write);
    msgpack_pack_array(&p, strlen(format));
    for (; *format; format++)
        if (*format == 'i') {
            msgpack_pack_int(&p, va_arg(list, int));
        } else if (*format == 'b') {
            size_t size = va_arg(list, size_t);
            msgpack_pack_bin(&p, size);
            msgpack_pack_bin_body(&p, va_arg(list, const void *), size);
        } else {
            const char *text = va_arg(list, const char *);
            msgpack_pack_str(&p, strlen(text));
            msgpack_pack_str_body(&p, text, strlen(text));
        }
}

void args_put(buffer *to, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    args_list(to, format, list);
    va_end(list);
}

struct task *task_of(struct job *j, const char *format, ...)
{
    struct task *t = task_add(j, NULL, 0);
    va_list list;
    va_start(list, format);
    args_list(&t->args, format, list);
    va_end(list);
    return t;
}

static msgpack_object first_of(const struct task *t, msgpack_unpacked *u)
{
    msgpack_unpacked_init(u);
    if (t->kind != 0 || msgpack_unpack_next(u, t->result.data, t->result.size, NULL) != MSGPACK_UNPACK_SUCCESS ||
        u->data.type != MSGPACK_OBJECT_ARRAY || u->data.via.array.size != 1)
        fail("a result of kind %d and %zu bytes is no array of one value", t->kind, t->result.size);
    return u->data.via.array.ptr[0];
}

int64_t result_number(const struct task *t)
{
    msgpack_unpacked u;
    msgpack_object o = first_of(t, &u);
    EXPECT(o.type == MSGPACK_OBJECT_POSITIVE_INTEGER || o.type == MSGPACK_OBJECT_NEGATIVE_INTEGER);
    msgpack_unpacked_destroy(&u);
    return o.via.i64;
}

void result_text(const struct task *t, char *to, size_t size)
{
    msgpack_unpacked u;
    msgpack_object o = first_of(t, &u);
    EXPECT(o.type == MSGPACK_OBJECT_STR);
    snprintf(to, size, "%.*s", (int)o.via.str.size, o.via.str.ptr);
    msgpack_unpacked_destroy(&u);
}

int64_t outcome_number(const struct task *t, int key)
{
    msgpack_unpacked u;
    msgpack_unpacked_init(&u);
    EXPECT(msgpack_unpack_next(&u, t->result.data, t->result.size, NULL) == MSGPACK_UNPACK_SUCCESS);
    int64_t value = field_signed(&u.data, key);
    msgpack_unpacked_destroy(&u);
    return value;
}

void outcome_text(const struct task *t, int key, char *to, size_t size)
{
    msgpack_unpacked u;
    msgpack_unpacked_init(&u);
    EXPECT(msgpack_unpack_next(&u, t->result.data, t->result.size, NULL) == MSGPACK_UNPACK_SUCCESS);
    field_text(&u.data, key, to, size);
    msgpack_unpacked_destroy(&u);
}

/* The unpacked bins lie in the result itself: msgpack-c copies none when it unpacks from memory that stays. */
int64_t command_status(const struct task *t, struct span *out, struct span *err)
{
    static msgpack_unpacked u;
    msgpack_unpacked_destroy(&u);
    msgpack_unpacked_init(&u);
    if (t->kind != 0 || msgpack_unpack_next(&u, t->result.data, t->result.size, NULL) != MSGPACK_UNPACK_SUCCESS ||
        u.data.type != MSGPACK_OBJECT_ARRAY || u.data.via.array.size != 3)
        return -1;
    const msgpack_object *e = u.data.via.array.ptr;
    EXPECT(e[1].type == MSGPACK_OBJECT_BIN && e[2].type == MSGPACK_OBJECT_BIN);
    *out = (struct span){ (const uint8_t *)e[1].via.bin.ptr, e[1].via.bin.size };
    *err = (struct span){ (const uint8_t *)e[2].via.bin.ptr, e[2].via.bin.size };
    return (int64_t)e[0].via.u64;
}

void one_pool(struct session *s, int processes)
{
    UNTIL(s, s->welcome);
    struct map spec = { 0 };
    struct pool *p = pool_open(s, 1, processes, spec);
    UNTIL(s, p->slots > 0 || p->code < 0);
    if (p->code < 0)
        fail("the pool: %d %s", p->code, p->text);
}

void settled(struct session *s, struct job *j)
{
    UNTIL(s, job_settled(j) || j->refused || s->over);
    if (j->refused || s->over)
        fail("job %u was refused: %d %s %s", j->handle, j->code, j->text, s->answer_text);
}

void say(const char *word)
{
    puts(word);
    fflush(stdout);
}

void await(struct session *s, const char *word)
{
    UNTIL(s, access(word, F_OK) == 0);
}
