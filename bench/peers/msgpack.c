/* SPDX-License-Identifier: MPL-2.0
 * peers/msgpack - the codec's work with msgpack-c, as fast as its interface allows: one zone that is cleared and used again, values
 * that lie in the bytes they were read from, a packer that writes to where the bytes are wanted, fields by a switch. Records, which
 * MessagePack knows nothing of, are read and written by the product's own functions: they are not what is compared. */
#include "../codec.h"

#include "contest.h"
#include "wire/item.h"

#include <msgpack.h>
#include <string.h>

static msgpack_zone zone;
static uint8_t *end;            /* of what is packed */

static int put(void *none, const char *from, size_t n)
{
    (void)none;
    memcpy(end, from, n);
    end += n;
    return 0;
}

/* The array of n values that the bytes are, all of them. */
static const msgpack_object *unpack(const uint8_t *bytes, size_t size, uint32_t n)
{
    static msgpack_object o;
    static bool has_zone;
    size_t at = 0;

    if (!has_zone && !(has_zone = msgpack_zone_init(&zone, 8192)))
        contest_fail("out of memory");
    msgpack_zone_clear(&zone);
    if (msgpack_unpack((const char *)bytes, size, &at, &zone, &o) != MSGPACK_UNPACK_SUCCESS || at != size ||
        o.type != MSGPACK_OBJECT_ARRAY || o.via.array.size != n)
        contest_fail("these bytes are no array of %u", n);
    return o.via.array.ptr;
}

static void of_type(const msgpack_object *o, msgpack_object_type type)
{
    if (o->type != type)
        contest_fail("a value of type %d instead of %d", (int)o->type, (int)type);
}

static msgpack_packer pack(uint8_t *out)
{
    msgpack_packer p;

    end = out;
    msgpack_packer_init(&p, NULL, put);
    return p;
}

static void put_str(msgpack_packer *p, const char *text, size_t n)
{
    msgpack_pack_str(p, n);
    msgpack_pack_str_body(p, text, n);
}

static void put_bin(msgpack_packer *p, const void *from, size_t n)
{
    msgpack_pack_bin(p, n);
    if (n)
        msgpack_pack_bin_body(p, from, n);
}

size_t codec_task(const uint8_t *bytes, size_t n, uint8_t *out)
{
    const msgpack_object *o = unpack(bytes, n, 5);
    msgpack_packer p;
    char text[256];

    of_type(&o[0], MSGPACK_OBJECT_NEGATIVE_INTEGER);
    of_type(&o[1], MSGPACK_OBJECT_STR);
    of_type(&o[2], MSGPACK_OBJECT_FLOAT64);
    of_type(&o[3], MSGPACK_OBJECT_BOOLEAN);
    of_type(&o[4], MSGPACK_OBJECT_BIN);
    if (o[1].via.str.size >= sizeof(text))
        contest_fail("the text is too long");
    memcpy(text, o[1].via.str.ptr, o[1].via.str.size);      /* a C string, as a task gets it */
    text[o[1].via.str.size] = '\0';
    p = pack(out);
    msgpack_pack_array(&p, 5);
    msgpack_pack_int64(&p, o[0].via.i64);
    put_str(&p, text, strlen(text));
    msgpack_pack_double(&p, o[2].via.f64);
    if (o[3].via.boolean)
        msgpack_pack_true(&p);
    else
        msgpack_pack_false(&p);
    put_bin(&p, o[4].via.bin.ptr, o[4].via.bin.size);
    return (size_t)(end - out);
}

/* ---- frames ---- */

static uint64_t number(const msgpack_object *o, uint64_t most)
{
    of_type(o, MSGPACK_OBJECT_POSITIVE_INTEGER);
    if (o->via.u64 > most)
        contest_fail("a number is over its limit");
    return o->via.u64;
}

static struct wire_str text(const msgpack_object *o)
{
    of_type(o, MSGPACK_OBJECT_STR);
    if (o->via.str.size > WIRE_TEXT_MAX)
        contest_fail("a text is too long");
    return (struct wire_str){ o->via.str.ptr, o->via.str.size };
}

static struct wire_bin bin(const msgpack_object *o)
{
    of_type(o, MSGPACK_OBJECT_BIN);
    return (struct wire_bin){ (const uint8_t *)o->via.bin.ptr, o->via.bin.size };
}

/* Everything in front of the head. */
static msgpack_packer begin(const struct wire_msg *m, uint8_t *out)
{
    msgpack_packer p = pack(out);

    msgpack_pack_array(&p, 8);
    msgpack_pack_uint8(&p, m->type);
    msgpack_pack_uint32(&p, m->channel);
    msgpack_pack_uint32(&p, m->request);
    msgpack_pack_uint64(&p, m->ack);
    return p;
}

static void envelope(const msgpack_object *o, struct wire_msg *m)
{
    m->type = (uint8_t)number(&o[0], 127);
    m->channel = (uint32_t)number(&o[1], UINT32_MAX);
    m->request = (uint32_t)number(&o[2], UINT32_MAX);
    m->ack = number(&o[3], UINT64_MAX);
    of_type(&o[4], MSGPACK_OBJECT_MAP);
}

/* Its parts of lengths and body are taken from theirs. */
static void read_item(const struct wire_message *d, const uint8_t *record, struct wire_item *i, struct wire_bin *lens,
                      struct wire_bin *body)
{
    size_t n_lens, n_body;
    uint64_t sum = 0;

    memset(i, 0, sizeof(*i));
    item_read(d, record, d->record_size, i);
    if (item_wrong(d, i))
        contest_fail("a record: %s", item_wrong(d, i));
    item_load(i, &n_lens, &n_body);
    if (n_lens > lens->n || n_body > body->n)
        contest_fail("lengths or bodies are missing");
    for (size_t k = 0; k < n_lens; k += 4) {
        if (le32_at(lens->p + k) > WIRE_TASK_MAX)
            contest_fail("a task is too large");
        sum += le32_at(lens->p + k);
    }
    if (n_lens && sum != i->size)
        contest_fail("the lengths are wrong");
    i->lens = (struct slice){ .data = lens->p, .size = n_lens };
    i->body = (struct slice){ .data = body->p, .size = n_body };
    *lens = wire_bin_of(lens->p + n_lens, lens->n - n_lens);
    *body = wire_bin_of(body->p + n_body, body->n - n_body);
}

size_t codec_tasks(const uint8_t *bytes, size_t n, uint8_t *out)
{
    static struct wire_item items[WIRE_ITEMS_MAX];
    const struct wire_message *d = wire_message_of(WIRE_TASKS);
    const msgpack_object *o = unpack(bytes, n, 8);
    struct wire_msg m = { .items = items };
    struct wire_bin records, lens, body;
    size_t n_lens = 0, n_body = 0;
    msgpack_packer p;

    envelope(o, &m);
    records = bin(&o[5]);
    lens = bin(&o[6]);
    body = bin(&o[7]);
    if (records.n % d->record_size || records.n / d->record_size > WIRE_ITEMS_MAX || body.n > WIRE_BODY_MAX)
        contest_fail("the records are wrong");
    m.n_items = records.n / d->record_size;
    for (uint32_t k = 0; k < m.n_items; k++) {
        read_item(d, records.p + (size_t)k * d->record_size, &items[k], &lens, &body);
        n_lens += items[k].lens.size;
        n_body += items[k].body.size;
    }
    if (lens.n || body.n)
        contest_fail("there are bytes that belong to no record");

    p = begin(&m, out);
    msgpack_pack_map(&p, 0);
    msgpack_pack_bin(&p, (size_t)m.n_items * d->record_size);
    for (uint32_t k = 0; k < m.n_items; k++) {
        if (item_wrong(d, &items[k]))               /* what is sent is checked as what is received */
            contest_fail("a record: %s", item_wrong(d, &items[k]));
        end = item_write(d, &items[k], d->record_size, end);
    }
    msgpack_pack_bin(&p, n_lens);
    for (uint32_t k = 0; k < m.n_items; k++)
        if (items[k].lens.size)
            put(NULL, (const char *)items[k].lens.data, items[k].lens.size);
    msgpack_pack_bin(&p, n_body);
    for (uint32_t k = 0; k < m.n_items; k++)
        put(NULL, (const char *)items[k].body.data, items[k].body.size);
    return (size_t)(end - out);
}

static void read_hello(const msgpack_object *map, struct wire_hello *h)
{
    uint64_t seen = 0;

    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object *v = &map->via.map.ptr[i].val;
        uint64_t key = number(&map->via.map.ptr[i].key, 63);

        if (seen >> key & 1)
            contest_fail("a key stands there twice");
        seen |= (uint64_t)1 << key;
        switch (key) {
        case 1: h->protocol_min = (uint32_t)number(v, UINT32_MAX); break;
        case 2: h->protocol_max = (uint32_t)number(v, UINT32_MAX); break;
        case 3: h->role = (uint32_t)number(v, 3); break;
        case 4: h->software = text(v); break;
        case 5: h->name = text(v); break;
        case 6: h->instance = bin(v); break;
        case 7: h->replaces = bin(v); break;
        case 8: h->conn_no = number(v, UINT64_MAX); break;
        case 9: h->epoch = number(v, UINT64_MAX); break;
        case 10: h->slots = (uint32_t)number(v, 65536); break;
        case 11: h->window_bytes = number(v, UINT64_MAX); break;
        case 12: h->arch = text(v); break;
        case 13: h->host = text(v); break;
        case 14: h->pid = (uint32_t)number(v, UINT32_MAX); break;
        case 15: h->resources = text(v); break;
        case 16: h->features = number(v, UINT64_MAX); break;
        case 17: of_type(v, MSGPACK_OBJECT_BOOLEAN); h->key_exposed = v->via.boolean; break;
        }
    }
    if ((seen & 0x14e) != 0x14e || h->instance.n != WIRE_ID || (h->replaces.n && h->replaces.n != WIRE_ID))
        contest_fail("a field is missing, or wrong");
}

static void put_number(msgpack_packer *p, uint8_t key, uint64_t v)
{
    if (!v)
        return;
    msgpack_pack_uint8(p, key);
    msgpack_pack_uint64(p, v);
}

static void put_text(msgpack_packer *p, uint8_t key, struct wire_str s)
{
    if (!s.n)
        return;
    msgpack_pack_uint8(p, key);
    put_str(p, s.p, s.n);
}

static void put_bytes(msgpack_packer *p, uint8_t key, struct wire_bin b)
{
    if (!b.n)
        return;
    msgpack_pack_uint8(p, key);
    put_bin(p, b.p, b.n);
}

size_t codec_hello(const uint8_t *bytes, size_t n, uint8_t *out)
{
    const msgpack_object *o = unpack(bytes, n, 8);
    struct wire_msg m = { .type = 0 };
    struct wire_hello *h = &m.u.hello;
    uint32_t fields;
    msgpack_packer p;

    envelope(o, &m);
    read_hello(&o[4], h);
    if (bin(&o[5]).n || bin(&o[6]).n || bin(&o[7]).n)
        contest_fail("it has records");

    p = begin(&m, out);
    fields = 5 + !!h->software.n + !!h->name.n + !!h->replaces.n + !!h->epoch + !!h->slots + !!h->window_bytes + !!h->arch.n +
             !!h->host.n + !!h->pid + !!h->resources.n + !!h->features + h->key_exposed;
    msgpack_pack_map(&p, fields);
    put_number(&p, 1, h->protocol_min);
    put_number(&p, 2, h->protocol_max);
    put_number(&p, 3, h->role);
    put_text(&p, 4, h->software);
    put_text(&p, 5, h->name);
    put_bytes(&p, 6, h->instance);
    put_bytes(&p, 7, h->replaces);
    put_number(&p, 8, h->conn_no);
    put_number(&p, 9, h->epoch);
    put_number(&p, 10, h->slots);
    put_number(&p, 11, h->window_bytes);
    put_text(&p, 12, h->arch);
    put_text(&p, 13, h->host);
    put_number(&p, 14, h->pid);
    put_text(&p, 15, h->resources);
    put_number(&p, 16, h->features);
    if (h->key_exposed) {
        msgpack_pack_uint8(&p, 17);
        msgpack_pack_true(&p);
    }
    msgpack_pack_bin(&p, 0);
    msgpack_pack_bin(&p, 0);
    msgpack_pack_bin(&p, 0);
    return (size_t)(end - out);
}
