/* SPDX-License-Identifier: MPL-2.0 */
/* wire.c - chapter 3 of the page: frames, maps, records and items. */
#include "wire.h"

#include <stdio.h>
#include <string.h>

void bytes_put(buffer *to, const void *from, size_t size)
{
    if (size > 0)
        msgpack_sbuffer_write(to, from, size);
}

void number_put(buffer *to, uint64_t value, int bytes)
{
    uint8_t b[8];
    for (int i = 0; i < bytes; i++)
        b[i] = (uint8_t)(value >> (8 * i));
    bytes_put(to, b, (size_t)bytes);
}

uint64_t number_get(const void *from, int bytes)
{
    const uint8_t *b = from;
    uint64_t value = 0;
    for (int i = bytes; i-- > 0;)
        value = value << 8 | b[i];
    return value;
}

static msgpack_packer pack(buffer *to)
{
    msgpack_packer packer;
    msgpack_packer_init(&packer, to, msgpack_sbuffer_write);
    return packer;
}

static void key_put(struct map *map, int key)
{
    msgpack_packer p = pack(&map->bytes);
    msgpack_pack_int(&p, key);
    map->count++;
}

void map_number(struct map *map, int key, uint64_t value)
{
    if (value == 0)
        return;
    key_put(map, key);
    msgpack_packer p = pack(&map->bytes);
    msgpack_pack_uint64(&p, value);
}

void map_signed(struct map *map, int key, int64_t value)
{
    if (value == 0)
        return;
    key_put(map, key);
    msgpack_packer p = pack(&map->bytes);
    msgpack_pack_int64(&p, value);
}

void map_text(struct map *map, int key, const char *value)
{
    if (!value)
        return;
    key_put(map, key);
    msgpack_packer p = pack(&map->bytes);
    msgpack_pack_str(&p, strlen(value));
    msgpack_pack_str_body(&p, value, strlen(value));
}

static void bin_put(buffer *to, const void *value, size_t size)
{
    msgpack_packer p = pack(to);
    msgpack_pack_bin(&p, size);
    bytes_put(to, value, size);
}

void map_bytes(struct map *map, int key, const void *value, size_t size)
{
    key_put(map, key);
    bin_put(&map->bytes, value, size);
}

void map_finish(struct map *map, buffer *to)
{
    msgpack_packer p = pack(to);
    msgpack_pack_map(&p, map->count);
    bytes_put(to, map->bytes.data, map->bytes.size);
    msgpack_sbuffer_destroy(&map->bytes);
    *map = (struct map){ 0 };
}

void message_finish(struct message *message, uint64_t ack, buffer *to)
{
    msgpack_packer p = pack(to);
    msgpack_pack_array(&p, 8);
    msgpack_pack_unsigned_int(&p, message->type);
    msgpack_pack_unsigned_int(&p, 0);                           /* channel */
    msgpack_pack_uint32(&p, message->request);
    msgpack_pack_uint64(&p, ack);
    map_finish(&message->head, to);
    bin_put(to, message->records.data, message->records.size);
    bin_put(to, message->lengths.data, message->lengths.size);
    bin_put(to, message->body.data, message->body.size);
    msgpack_sbuffer_destroy(&message->records);
    msgpack_sbuffer_destroy(&message->lengths);
    msgpack_sbuffer_destroy(&message->body);
    *message = (struct message){ 0 };
}

static bool number_of(const msgpack_object *o, uint64_t most, uint64_t *to)
{
    *to = o->type == MSGPACK_OBJECT_POSITIVE_INTEGER ? o->via.u64 : 0;
    return o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && *to <= most;
}

static bool span_of(const msgpack_object *o, struct span *to)
{
    if (o->type != MSGPACK_OBJECT_BIN)
        return false;
    *to = (struct span){ (const uint8_t *)o->via.bin.ptr, o->via.bin.size };
    return true;
}

bool frame_read(struct frame *frame, const void *data, size_t size)
{
    *frame = (struct frame){ 0 };
    msgpack_unpacked_init(&frame->unpacked);
    size_t end = 0;
    uint64_t type = 0, channel = 0, request = 0;
    if (msgpack_unpack_next(&frame->unpacked, data, size, &end) == MSGPACK_UNPACK_SUCCESS && end == size) {
        const msgpack_object *o = &frame->unpacked.data;
        const msgpack_object *e = o->type == MSGPACK_OBJECT_ARRAY && o->via.array.size == 8 ? o->via.array.ptr : NULL;
        if (e && number_of(e, UINT8_MAX, &type) && number_of(e + 1, UINT32_MAX, &channel) &&
            number_of(e + 2, UINT32_MAX, &request) &&
            number_of(e + 3, UINT64_MAX, &frame->ack) && e[4].type == MSGPACK_OBJECT_MAP && span_of(e + 5, &frame->records) &&
            span_of(e + 6, &frame->lengths) && span_of(e + 7, &frame->body)) {
            frame->type = (unsigned)type;
            frame->channel = (uint32_t)channel;
            frame->request = (uint32_t)request;
            frame->head = e + 4;
            return true;
        }
    }
    frame_free(frame);
    return false;
}

void frame_free(struct frame *frame)
{
    msgpack_unpacked_destroy(&frame->unpacked);
}

static const msgpack_object *field(const msgpack_object *map, int key)
{
    for (uint32_t i = 0; map && map->type == MSGPACK_OBJECT_MAP && i < map->via.map.size; i++) {
        const msgpack_object_kv *kv = &map->via.map.ptr[i];
        if (kv->key.type == MSGPACK_OBJECT_POSITIVE_INTEGER && kv->key.via.u64 == (uint64_t)key)
            return &kv->val;
    }
    return NULL;
}

uint64_t field_number(const msgpack_object *map, int key)
{
    const msgpack_object *o = field(map, key);
    if (o && o->type == MSGPACK_OBJECT_BOOLEAN)
        return o->via.boolean;
    return o && o->type == MSGPACK_OBJECT_POSITIVE_INTEGER ? o->via.u64 : 0;
}

int64_t field_signed(const msgpack_object *map, int key)
{
    const msgpack_object *o = field(map, key);
    return o && (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER || o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER) ? o->via.i64 : 0;
}

struct span field_bytes(const msgpack_object *map, int key)
{
    const msgpack_object *o = field(map, key);
    struct span span = { 0 };
    if (o && o->type == MSGPACK_OBJECT_STR)
        span = (struct span){ (const uint8_t *)o->via.str.ptr, o->via.str.size };
    else if (o)
        span_of(o, &span);
    return span;
}

void field_text(const msgpack_object *map, int key, char *to, size_t size)
{
    struct span s = field_bytes(map, key);
    snprintf(to, size, "%.*s", (int)s.size, s.data ? (const char *)s.data : "");
}

const uint8_t *frame_record(const struct frame *frame, size_t k, size_t size)
{
    uint64_t stride = field_number(frame->head, 64);
    if (stride == 0)
        stride = size;
    return stride >= size && (k + 1) * stride <= frame->records.size ? frame->records.data + k * stride : NULL;
}

struct span item_task(const struct frame *frame, const struct item *item, struct cursor at, uint32_t k)
{
    if (item->kind != 0)                                        /* one document for all of them */
        return (struct span){ frame->body.data + at.body, item->size };
    if (item->flags & FIXED)
        return (struct span){ frame->body.data + at.body + (size_t)k * item->size, item->size };
    size_t offset = at.body;
    for (uint32_t i = 0; i < k; i++)
        offset += number_get(frame->lengths.data + at.length + 4 * (size_t)i, 4);
    return (struct span){ frame->body.data + offset, number_get(frame->lengths.data + at.length + 4 * (size_t)k, 4) };
}

bool item_next(const struct frame *frame, const struct item *item, struct cursor *at)
{
    bool lengths = item->kind == 0 && !(item->flags & FIXED);
    uint64_t bytes = item->size, sum = 0;
    if (item->kind == 0 && item->flags & FIXED)
        bytes *= item->count;
    if (item->count == 0 || bytes > frame->body.size - at->body ||
        (lengths && 4 * (uint64_t)item->count > frame->lengths.size - at->length))
        return false;
    for (uint32_t i = 0; lengths && i < item->count; i++)
        sum += number_get(frame->lengths.data + at->length + 4 * (size_t)i, 4);
    if (lengths && sum != bytes)
        return false;
    at->body += bytes;
    at->length += lengths ? 4 * (size_t)item->count : 0;
    return true;
}

/* czmq has SHA-1 only: FIPS 180-4. */
static uint32_t turn(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void sha256_block(uint32_t h[8], const uint8_t *p, const uint32_t k[64])
{
    uint32_t w[64], s[8];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
    for (int i = 16; i < 64; i++)
        w[i] = w[i - 16] + w[i - 7] + (turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ w[i - 15] >> 3) +
               (turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ w[i - 2] >> 10);
    memcpy(s, h, sizeof s);
    for (int i = 0; i < 64; i++) {
        uint32_t a = s[7] + (turn(s[4], 6) ^ turn(s[4], 11) ^ turn(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
        uint32_t b = (turn(s[0], 2) ^ turn(s[0], 13) ^ turn(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += a;
        s[0] = a + b;
    }
    for (int i = 0; i < 8; i++)
        h[i] += s[i];
}

/* The first 32 bits of the fraction of the root of a prime: the constants, by their definition, in whole numbers. */
static uint32_t root_bits(unsigned prime, int degree)
{
    unsigned __int128 low = 0, high = (unsigned __int128)1 << 37;          /* root × 2^32, below 2^37 */
    while (low < high) {
        unsigned __int128 middle = (low + high + 1) / 2;
        bool fits = degree == 2 ? middle * middle <= (unsigned __int128)prime << 64
                                : middle * middle * middle <= (unsigned __int128)prime << 96;
        if (fits)
            low = middle;
        else
            high = middle - 1;
    }
    return (uint32_t)low;
}

void sha256(const void *data, size_t size, uint8_t digest[32])
{
    static uint32_t first[8], k[64];
    for (unsigned prime = 2, found = 0; k[63] == 0 && found < 64; prime++) {
        unsigned by = 2;
        while (by * by <= prime && prime % by != 0)
            by++;
        if (by * by <= prime)
            continue;
        if (found < 8)
            first[found] = root_bits(prime, 2);
        k[found++] = root_bits(prime, 3);
    }
    uint32_t h[8];
    memcpy(h, first, sizeof h);
    const uint8_t *p = data;
    size_t left = size;
    for (; left >= 64; left -= 64, p += 64)
        sha256_block(h, p, k);
    uint8_t last[128] = { 0 };
    if (left > 0)
        memcpy(last, p, left);
    last[left] = 0x80;
    size_t end = left < 56 ? 64 : 128;
    for (int i = 0; i < 8; i++)
        last[end - 1 - (size_t)i] = (uint8_t)((uint64_t)size * 8 >> (8 * i));
    sha256_block(h, last, k);
    if (end == 128)
        sha256_block(h, last + 64, k);
    for (int i = 0; i < 32; i++)
        digest[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}
