/* SPDX-License-Identifier: MPL-2.0
 * cursor.h - reading MessagePack from bytes of a peer: never reads past the end, allocates nothing, trusts no length. And the few
 * lines that write it. Integers are written in their shortest form and read in any.
 */
#ifndef WIRE_CURSOR_H
#define WIRE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor { const uint8_t *p, *end; };

enum cursor_kind {
    CURSOR_NIL, CURSOR_BOOL, CURSOR_UINT, CURSOR_NEGATIVE, CURSOR_REAL, CURSOR_STR, CURSOR_BIN, CURSOR_EXT, CURSOR_ARRAY, CURSOR_MAP
};

struct cursor_value {
    enum cursor_kind kind;
    uint32_t n;                     /* STR, BIN, EXT: bytes; ARRAY: values, MAP: pairs that follow */
    union { uint64_t u; int64_t i; double f; const uint8_t *p; } v;    /* BOOL, UINT: u; NEGATIVE: i (< 0) */
};

/* Takes one value, of an array or map only its head. false: cut short or no MessagePack; c is then where it was. */
bool cursor_next(struct cursor *c, struct cursor_value *v);
/* Takes one whole value, containers with all that is in them. false: as above, or nested more than WIRE_DEPTH_MAX deep. */
bool cursor_skip(struct cursor *c);

static inline bool cursor_uint(struct cursor *c, uint64_t *ret)
{
    struct cursor_value v;

    if (c->p < c->end && *c->p < 0x80) {
        *ret = *c->p++;
        return true;
    }
    if (!cursor_next(c, &v) || v.kind != CURSOR_UINT)
        return false;
    *ret = v.v.u;
    return true;
}

static inline bool cursor_bin(struct cursor *c, const uint8_t **p, uint32_t *n)
{
    struct cursor_value v;

    if (!cursor_next(c, &v) || v.kind != CURSOR_BIN)
        return false;
    *p = v.v.p;
    *n = v.n;
    return true;
}

/* ---- writing: pack_X_size says how many bytes pack_X writes; pack_X returns what is behind ----------------------------------- */

static inline uint8_t *pack_be16(uint8_t *o, uint8_t tag, uint16_t v)
{
    *o++ = tag;
    v = __builtin_bswap16(v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap16(v);
#endif
    memcpy(o, &v, 2);
    return o + 2;
}

static inline uint8_t *pack_be32(uint8_t *o, uint8_t tag, uint32_t v)
{
    *o++ = tag;
    v = __builtin_bswap32(v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap32(v);
#endif
    memcpy(o, &v, 4);
    return o + 4;
}

static inline uint8_t *pack_be64(uint8_t *o, uint8_t tag, uint64_t v)
{
    *o++ = tag;
    v = __builtin_bswap64(v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    memcpy(o, &v, 8);
    return o + 8;
}

static inline size_t pack_uint_size(uint64_t v) { return v < 0x80 ? 1 : v < 0x100 ? 2 : v < 0x10000 ? 3 : v <= UINT32_MAX ? 5 : 9; }
static inline uint8_t *pack_uint(uint8_t *o, uint64_t v)
{
    if (v < 0x80) {
        *o = (uint8_t)v;
        return o + 1;
    }
    if (v < 0x100) {
        o[0] = 0xcc;
        o[1] = (uint8_t)v;
        return o + 2;
    }
    if (v < 0x10000)
        return pack_be16(o, 0xcd, (uint16_t)v);
    return v <= UINT32_MAX ? pack_be32(o, 0xce, (uint32_t)v) : pack_be64(o, 0xcf, v);
}

static inline size_t pack_int_size(int64_t v)
{
    if (v >= 0)
        return pack_uint_size((uint64_t)v);
    return v >= -32 ? 1 : v >= INT8_MIN ? 2 : v >= INT16_MIN ? 3 : v >= INT32_MIN ? 5 : 9;
}

static inline uint8_t *pack_int(uint8_t *o, int64_t v)
{
    if (v >= 0)
        return pack_uint(o, (uint64_t)v);
    if (v >= -32) {
        *o = (uint8_t)v;
        return o + 1;
    }
    if (v >= INT8_MIN) {
        o[0] = 0xd0;
        o[1] = (uint8_t)v;
        return o + 2;
    }
    if (v >= INT16_MIN)
        return pack_be16(o, 0xd1, (uint16_t)v);
    return v >= INT32_MIN ? pack_be32(o, 0xd2, (uint32_t)v) : pack_be64(o, 0xd3, (uint64_t)v);
}

static inline uint8_t *pack_bool(uint8_t *o, bool v) { *o = v ? 0xc3 : 0xc2; return o + 1; }
static inline uint8_t *pack_nil(uint8_t *o) { *o = 0xc0; return o + 1; }
static inline uint8_t *pack_double(uint8_t *o, double v) { uint64_t u; memcpy(&u, &v, 8); return pack_be64(o, 0xcb, u); }

static inline size_t pack_str_head_size(uint32_t n) { return n < 32 ? 1 : n < 0x100 ? 2 : n < 0x10000 ? 3 : 5; }
static inline uint8_t *pack_str_head(uint8_t *o, uint32_t n)
{
    if (n < 32) {
        *o = (uint8_t)(0xa0 | n);
        return o + 1;
    }
    if (n < 0x100) {
        o[0] = 0xd9;
        o[1] = (uint8_t)n;
        return o + 2;
    }
    return n < 0x10000 ? pack_be16(o, 0xda, (uint16_t)n) : pack_be32(o, 0xdb, n);
}

static inline size_t pack_bin_head_size(uint32_t n) { return n < 0x100 ? 2 : n < 0x10000 ? 3 : 5; }
static inline uint8_t *pack_bin_head(uint8_t *o, uint32_t n)
{
    if (n < 0x100) {
        o[0] = 0xc4;
        o[1] = (uint8_t)n;
        return o + 2;
    }
    return n < 0x10000 ? pack_be16(o, 0xc5, (uint16_t)n) : pack_be32(o, 0xc6, n);
}

static inline size_t pack_array_head_size(uint32_t n) { return n < 16 ? 1 : n < 0x10000 ? 3 : 5; }
static inline uint8_t *pack_array_head(uint8_t *o, uint32_t n)
{
    if (n < 16) {
        *o = (uint8_t)(0x90 | n);
        return o + 1;
    }
    return n < 0x10000 ? pack_be16(o, 0xdc, (uint16_t)n) : pack_be32(o, 0xdd, n);
}

static inline size_t pack_map_head_size(uint32_t n) { return n < 16 ? 1 : n < 0x10000 ? 3 : 5; }
static inline uint8_t *pack_map_head(uint8_t *o, uint32_t n)
{
    if (n < 16) {
        *o = (uint8_t)(0x80 | n);
        return o + 1;
    }
    return n < 0x10000 ? pack_be16(o, 0xde, (uint16_t)n) : pack_be32(o, 0xdf, n);
}

static inline uint8_t *pack_bytes(uint8_t *o, const void *p, size_t n)
{
    if (n)
        memcpy(o, p, n);
    return o + n;
}

/* ---- little-endian, as in records and lengths -------------------------------------------------------------------------------- */

static inline uint16_t le16(uint16_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap16(v);
#endif
    return v;
}

static inline uint32_t le32(uint32_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap32(v);
#endif
    return v;
}

static inline uint64_t le64(uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

static inline uint32_t le32_at(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return le32(v); }
static inline void le32_put(uint8_t *p, uint32_t v) { v = le32(v); memcpy(p, &v, 4); }

#endif
